//! An SMTP server that keeps every mail instead of delivering it: what the demo's mails go to, over a real
//! conversation. Mails can be read on a page. It listens on loopback only and is no relay.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ingest::time::{Clock, Timestamp};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Mails kept; the oldest go first. A demo day sends a few hundred.
const MAILS_MAX: usize = 500;
/// A mail's size: more than any of ours, far less than memory.
const MAIL_BYTES_MAX: usize = 1 << 20;
const LINE_BYTES_MAX: u64 = 4_096;
/// Conversations at once; our own sender needs one.
const SESSIONS_MAX: usize = 16;

/// A received mail.
#[derive(Clone, Debug)]
pub struct SinkMail {
    pub id: u64,
    pub received_at: Timestamp,
    pub from: String,
    pub to: Vec<String>,
    /// Header and body as they came.
    pub raw: String,
}

impl SinkMail {
    /// A header's value, unfolded; empty where there is none. Encoded words are left as they are.
    pub fn header(&self, name: &str) -> String {
        let head = self.raw.split("\r\n\r\n").next().unwrap_or_default();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let found = unfolded.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        found.unwrap_or_default()
    }

    pub fn body(&self) -> &str {
        self.raw.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// The mails received so far; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Sink(Arc<Mutex<(u64, VecDeque<SinkMail>)>>);

impl Sink {
    /// Newest first.
    pub fn mails(&self) -> Vec<SinkMail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.iter().rev().cloned().collect()
    }

    pub fn mail(&self, id: u64) -> Option<SinkMail> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.iter().find(|mail| mail.id == id).cloned()
    }

    fn keep(&self, received_at: Timestamp, from: String, to: Vec<String>, raw: String) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0 += 1;
        let id = inner.0;
        inner.1.push_back(SinkMail { id, received_at, from, to, raw });
        if inner.1.len() > MAILS_MAX {
            inner.1.pop_front();
        }
    }

    /// Starts listening on a free loopback port.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn start(&self, clock: Clock) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let sink = self.clone();
        tokio::spawn(async move {
            let sessions = Arc::new(tokio::sync::Semaphore::new(SESSIONS_MAX));
            while let (Ok((stream, _)), Ok(room)) = (listener.accept().await, sessions.clone().acquire_owned().await) {
                let (sink, clock) = (sink.clone(), clock.clone());
                tokio::spawn(async move {
                    // A client that breaks off has no mail to keep.
                    let _ = session(stream, &sink, &clock).await;
                    drop(room);
                });
            }
        });
        Ok(address)
    }
}

async fn session(stream: TcpStream, sink: &Sink, clock: &Clock) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    write.write_all(b"220 wartburg-demo ESMTP\r\n").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    loop {
        let mut line = String::new();
        if (&mut read).take(LINE_BYTES_MAX).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end();
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "EHLO" => b"250-wartburg-demo\r\n250-SIZE 1048576\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
            "HELO" | "NOOP" => b"250 OK\r\n",
            "RSET" => {
                from.clear();
                to.clear();
                b"250 OK\r\n"
            }
            "MAIL" => {
                from = address_of(command);
                to.clear();
                b"250 OK\r\n"
            }
            "RCPT" if from.is_empty() => b"503 MAIL first\r\n",
            "RCPT" => {
                to.push(address_of(command));
                b"250 OK\r\n"
            }
            "DATA" if to.is_empty() => b"503 RCPT first\r\n",
            "DATA" => {
                write.write_all(b"354 end with .\r\n").await?;
                match data(&mut read).await? {
                    Some(raw) => {
                        sink.keep(clock.now(), std::mem::take(&mut from), std::mem::take(&mut to), raw);
                        b"250 kept\r\n"
                    }
                    None => b"552 too large\r\n",
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"500 unknown command\r\n",
        };
        write.write_all(answer).await?;
    }
}

/// The lines up to the single dot, without dot stuffing; `None` where they are too many.
async fn data(read: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<String>> {
    let mut bytes = Vec::new();
    let mut fits = true;
    loop {
        let mut line = Vec::new();
        if read.take(MAIL_BYTES_MAX as u64).read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" || line == b".\n" {
            return Ok(fits.then(|| String::from_utf8_lossy(&bytes).into_owned()));
        }
        fits &= bytes.len() + line.len() <= MAIL_BYTES_MAX;
        if fits {
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}

fn address_of(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(address, _)| address);
    inner.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_conversation_ends_in_a_kept_mail() {
        let sink = Sink::default();
        let address = sink.start(Clock::manual(Timestamp(5))).await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let talk = "EHLO x\r\nRCPT TO:<early@b>\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n\
                    Subject: Hallo\r\n Welt\r\n\r\n..Punkt\r\n.\r\nQUIT\r\n";
        stream.write_all(talk.as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        let codes: Vec<_> = answers.lines().map(|line| &line[..4]).collect();
        assert_eq!(codes, ["220 ", "250-", "250-", "250-", "250 ", "503 ", "250 ", "250 ", "250 ", "354 ", "250 ", "221 "]);
        let mail = sink.mails().remove(0);
        assert_eq!((mail.from.as_str(), mail.to.join(",").as_str(), mail.received_at), ("a@b", "c@d,e@f", Timestamp(5)));
        assert_eq!((mail.header("subject").as_str(), mail.body()), ("Hallo Welt", ".Punkt\r\n"));
    }
}
