//! LMTP (RFC 2033): how a mail server on this machine or in the management network hands over what was written to the CERT.
//! It is SMTP without a queue: each recipient is answered for after the text, and only when the letter is durable. Everything
//! has a bound and a time; what is too much is refused in a way that lets the server try again or give up.

mod dots;

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use detect::exhibit::{Draft, ExhibitError, MAIL_BYTES_MAX};
use ingest::body::Prefix;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::dots::Dots;
use crate::mailroom::{Mailroom, MailroomError};

/// What one connection and all of them together may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub message_bytes: u64,
    pub recipients: usize,
    pub connections: usize,
    /// Letters of one connection; then it says goodbye, and the server opens another.
    pub messages: usize,
    /// Mistakes of one connection.
    pub errors: usize,
    /// For the next command, and for the next part of a text (RFC 5321, 4.5.3.2 wants five and three minutes).
    pub command_time: Duration,
    pub part_time: Duration,
    /// For a whole text.
    pub text_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: MAIL_BYTES_MAX,
            recipients: 50,
            connections: 20,
            messages: 1_000,
            errors: 10,
            command_time: Duration::from_secs(300),
            part_time: Duration::from_secs(180),
            text_time: Duration::from_secs(900),
        }
    }
}

/// A command's longest line: RFC 5321 (4.5.3.1.4) asks for 512, addresses and extensions may need more.
const LINE_BYTES_MAX: usize = 2_048;
/// Letters that are read and stored at the same time: each takes its size in memory twice.
const RECEIVING_MAX: usize = 2;
/// What is gathered before it is written.
const CHUNK_BYTES: usize = 256 * 1024;

/// The open port.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    mailroom: Mailroom,
    peers: Vec<Prefix>,
    limits: Limits,
}

impl Listener {
    /// # Errors
    /// Where the address is taken or not ours.
    pub async fn bind(address: SocketAddr, mailroom: Mailroom, peers: Vec<Prefix>, limits: Limits) -> std::io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, mailroom, peers, limits })
    }

    /// # Errors
    /// The system's own.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown` is ready; letters in hand are finished or were never acknowledged.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let (stop, stopped) = watch::channel(false);
        let (places, receiving) = (Arc::new(Semaphore::new(self.limits.connections)), Arc::new(Semaphore::new(RECEIVING_MAX)));
        let mut sessions = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                biased;
                () = &mut shutdown => break,
                accepted = self.listener.accept() => accepted,
            };
            while sessions.try_join_next().is_some() {}
            let Ok((mut stream, peer)) = accepted else {
                // Out of descriptors: others must end first.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if !self.allowed(peer.ip()) {
                // Without a word: who is not our mail server has no business here.
                continue;
            }
            let Ok(place) = places.clone().try_acquire_owned() else {
                let _ = timeout(Duration::from_secs(1), stream.write_all(b"421 4.3.2 too many connections\r\n")).await;
                continue;
            };
            let session = Session::new(self.mailroom.clone(), self.limits, receiving.clone(), stopped.clone());
            sessions.spawn(async move {
                // A peer that hangs up is its right.
                let _ = session.talk(stream).await;
                drop(place);
            });
        }
        let _ = stop.send(true);
        while sessions.join_next().await.is_some() {}
    }

    fn allowed(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.peers.iter().any(|prefix| prefix.contains(peer))
    }
}

/// One connection.
pub struct Session {
    mailroom: Mailroom,
    limits: Limits,
    receiving: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
    greeted: bool,
    /// Between MAIL and DATA: how many recipients.
    open: Option<usize>,
    errors: usize,
    messages: usize,
}

/// What to answer, and whether to go on.
enum Answer {
    Say(String),
    Text,
    Bye(String),
}

impl Session {
    pub fn new(mailroom: Mailroom, limits: Limits, receiving: Arc<Semaphore>, stop: watch::Receiver<bool>) -> Self {
        Self { mailroom, limits, receiving, stop, greeted: false, open: None, errors: 0, messages: 0 }
    }

    /// Talks until one of both ends it.
    ///
    /// # Errors
    /// Where the connection breaks.
    pub async fn talk(mut self, stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<()> {
        let (read, mut write) = tokio::io::split(stream);
        let mut read = BufReader::with_capacity(64 * 1024, read);
        write.write_all(b"220 wartburg LMTP\r\n").await?;
        loop {
            let mut stop = self.stop.clone();
            let line = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => None,
                line = timeout(self.limits.command_time, line_read(&mut read)) => Some(line),
            };
            let line = match line {
                None => return say(&mut write, "421 4.3.2 closing").await,
                Some(Err(_)) => return say(&mut write, "421 4.4.2 too slow").await,
                Some(Ok(line)) => line?,
            };
            let Some(line) = line else { return Ok(()) };
            let answer = match line {
                Some(line) => self.command(&line),
                None => self.mistake("500 5.5.2 line too long"),
            };
            match answer {
                Answer::Say(text) => say(&mut write, &text).await?,
                Answer::Bye(text) => return say(&mut write, &text).await,
                Answer::Text => {
                    let recipients = self.open.take().unwrap_or(0);
                    say(&mut write, "354 go on").await?;
                    let answer = self.text(&mut read).await?;
                    let Some(answer) = answer else { return Ok(()) };
                    self.messages += 1;
                    for _ in 0..recipients {
                        say(&mut write, &answer).await?;
                    }
                }
            }
        }
    }

    fn command(&mut self, line: &[u8]) -> Answer {
        let line = String::from_utf8_lossy(line);
        let (verb, rest) = line.split_once(' ').unwrap_or((line.as_ref(), ""));
        match verb.to_ascii_uppercase().as_str() {
            "LHLO" => {
                self.greeted = true;
                self.open = None;
                let size = self.limits.message_bytes;
                Answer::Say(format!("250-wartburg\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE {size}"))
            }
            // RFC 2033, 4.1: LMTP has no HELO and no EHLO.
            "HELO" | "EHLO" => self.mistake("500 5.5.1 this is LMTP: LHLO"),
            "NOOP" => Answer::Say("250 2.0.0 ok".into()),
            "VRFY" => Answer::Say("252 2.5.0 send it and see".into()),
            "RSET" => {
                self.open = None;
                Answer::Say("250 2.0.0 ok".into())
            }
            "QUIT" => Answer::Bye("221 2.0.0 bye".into()),
            "MAIL" | "RCPT" | "DATA" if !self.greeted => self.mistake("503 5.5.1 LHLO first"),
            "MAIL" => self.mail(rest),
            "RCPT" => self.recipient(rest),
            "DATA" => match self.open {
                Some(0) | None => self.mistake("503 5.5.1 no valid recipients"),
                Some(_) => Answer::Text,
            },
            _ => self.mistake("500 5.5.2 what?"),
        }
    }

    fn mail(&mut self, rest: &str) -> Answer {
        if self.messages >= self.limits.messages {
            return Answer::Bye("421 4.3.2 enough for one connection".into());
        }
        if self.open.is_some() {
            return self.mistake("503 5.5.1 one at a time");
        }
        let Some((_, parameters)) = path(rest, "FROM:") else { return self.mistake("501 5.5.4 MAIL FROM:<address>") };
        let sizes = parameters.split_whitespace().filter_map(|word| word.split_once('='));
        let size = sizes.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("SIZE")).and_then(|(_, size)| size.parse::<u64>().ok());
        if size.is_some_and(|size| size > self.limits.message_bytes) {
            return Answer::Say(TOO_LARGE.into());
        }
        self.open = Some(0);
        Answer::Say("250 2.1.0 ok".into())
    }

    fn recipient(&mut self, rest: &str) -> Answer {
        let Some(count) = self.open else { return self.mistake("503 5.5.1 MAIL first") };
        let Some((address, _)) = path(rest, "TO:").filter(|(address, _)| !address.is_empty()) else {
            return self.mistake("501 5.5.4 RCPT TO:<address>");
        };
        if count >= self.limits.recipients {
            return Answer::Say("452 4.5.3 too many recipients".into());
        }
        let ours = &self.mailroom.own().addresses;
        if !ours.is_empty() && !ours.contains(&address.to_lowercase()) {
            return Answer::Say("550 5.1.1 nobody here of that name".into());
        }
        self.open = Some(count + 1);
        Answer::Say("250 2.1.5 ok".into())
    }

    fn mistake(&mut self, text: &str) -> Answer {
        self.errors += 1;
        if self.errors >= self.limits.errors { Answer::Bye("421 4.7.0 too many mistakes".into()) } else { Answer::Say(text.into()) }
    }

    /// Takes a text to its end, whatever becomes of it, and says what became of it; `None` where the connection ended first.
    async fn text(&self, read: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<String>> {
        let taken = timeout(self.limits.text_time, self.take(read)).await;
        let Ok(taken) = taken else { return Ok(None) };
        let Some(draft) = taken? else { return Ok(None) };
        let draft = match draft {
            Ok(draft) => draft,
            Err(error) => return Ok(Some(refusal(&error.into()))),
        };
        let Ok(_turn) = self.receiving.acquire().await else { return Ok(None) };
        let mailroom = self.mailroom.clone();
        let kept = tokio::task::spawn_blocking(move || mailroom.receive(draft));
        Ok(Some(match kept.await {
            Ok(Ok(receipt)) => {
                tracing::info!(?receipt, "a letter came in");
                "250 2.0.0 kept".to_owned()
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "a letter could not be kept");
                refusal(&error)
            }
            Err(_) => "451 4.3.0 not now".to_owned(),
        }))
    }

    async fn take(&self, read: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Result<Draft, ExhibitError>>> {
        let mut draft = self.mailroom.locker().draft(self.limits.message_bytes);
        let (mut dots, mut chunk) = (Dots::default(), Vec::with_capacity(CHUNK_BYTES));
        loop {
            let Ok(buffer) = timeout(self.limits.part_time, read.fill_buf()).await else { return Ok(None) };
            let buffer = buffer?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let used = dots.feed(buffer, &mut chunk);
            read.consume(used);
            if chunk.len() >= CHUNK_BYTES || dots.ended() {
                let part = std::mem::take(&mut chunk);
                // What has failed is still read to its end: the answer comes behind the text.
                draft = match draft {
                    Ok(draft) => tokio::task::spawn_blocking(move || write(draft, &part)).await.map_err(std::io::Error::other)?,
                    failed => failed,
                };
            }
            if dots.ended() {
                return Ok(Some(draft));
            }
        }
    }
}

fn write(mut draft: Draft, part: &[u8]) -> Result<Draft, ExhibitError> {
    draft.write(part).map(|()| draft)
}

const TOO_LARGE: &str = "552 5.3.4 too large";

fn refusal(error: &MailroomError) -> String {
    match error {
        MailroomError::Exhibit(ExhibitError::TooLarge { .. }) => TOO_LARGE.into(),
        MailroomError::Exhibit(ExhibitError::DiskFull) => "452 4.3.1 no room".into(),
        _ => "451 4.3.0 not now".into(),
    }
}

/// `FROM:<a@b> SIZE=5` without its beginning: the address and the rest.
fn path<'a>(rest: &'a str, begins: &str) -> Option<(&'a str, &'a str)> {
    let rest = rest.trim_start();
    let start = rest.get(..begins.len())?;
    let (address, parameters) = rest.get(begins.len()..)?.trim_start().strip_prefix('<')?.split_once('>')?;
    start.eq_ignore_ascii_case(begins).then_some((address, parameters))
}

async fn say(write: &mut (impl AsyncWrite + Unpin), text: &str) -> std::io::Result<()> {
    write.write_all(format!("{text}\r\n").as_bytes()).await?;
    write.flush().await
}

/// The next line without its end; `Some(None)` where it was too long, which is read over; `None` at the end.
async fn line_read(read: &mut (impl AsyncBufRead + Unpin)) -> std::io::Result<Option<Option<Vec<u8>>>> {
    let (mut line, mut long) = (Vec::new(), false);
    loop {
        let buffer = read.fill_buf().await?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or_default();
        long |= line.len() + part.len() > LINE_BYTES_MAX;
        if !long {
            line.extend_from_slice(part);
        }
        let used = end.map_or(buffer.len(), |end| end + 1);
        read.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some((!long).then_some(line)));
        }
    }
}

#[cfg(test)]
mod tests;
