//! IMAP: where no mail server can hand letters over, a mailbox is looked through every minute. A letter is marked as seen, or
//! moved away, only when it is durable here; killed in between, it is fetched again and known by its digest. That knowledge
//! does not hang on UIDs, so a mailbox that was made anew (another UIDVALIDITY) brings no letter twice.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_imap::Client;
use async_imap::imap_proto::{AttributeValue, Response};
use detect::exhibit::{ExhibitError, MAIL_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use crate::delivery::{Login, Tls};
use crate::mailroom::{Mailroom, MailroomError};

/// A mailbox of the CERT's own.
#[derive(Clone, Debug)]
pub struct ImapConfig {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub login: Login,
    pub folder: String,
    /// Where letters go that are kept; none: they stay, marked as seen.
    pub done: Option<String>,
    pub every: Duration,
}

/// What one look brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    pub kept: usize,
    /// What could not be fetched or kept, such as what is longer than a letter may be: flagged and left where it is, with a
    /// note of it in the tray.
    pub left: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum ImapError {
    #[error("connect: {0}")]
    Connect(std::io::Error),
    #[error("the server's certificate or TLS: {0}")]
    Tls(String),
    #[error("a password needs tls = starttls or implicit: it would travel readable")]
    OpenPassword,
    #[error("IMAP: {0}")]
    Protocol(#[from] async_imap::error::Error),
    #[error("no answer within {0:?}")]
    Slow(Duration),
    #[error(transparent)]
    Mailroom(#[from] MailroomError),
}

/// Letters fetched in one look; the rest comes with the next.
const LETTERS_MAX: usize = 100;
const STEP_TIME: Duration = Duration::from_secs(60);
const LETTER_TIME: Duration = Duration::from_secs(600);
/// Between looks that failed, doubling up to this.
const PAUSE_MAX: Duration = Duration::from_secs(600);

trait Wire: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + fmt::Debug> Wire for T {}
type Session = async_imap::Session<Box<dyn Wire>>;

/// The task that looks.
#[derive(Debug)]
pub struct Poller {
    config: ImapConfig,
    mailroom: Mailroom,
}

impl Poller {
    /// # Errors
    /// Where a setting cannot work.
    pub fn new(config: ImapConfig, mailroom: Mailroom) -> Result<Self, ImapError> {
        let here = matches!(config.host.as_str(), "127.0.0.1" | "::1" | "localhost");
        if config.tls == Tls::None && !here {
            return Err(ImapError::OpenPassword);
        }
        Ok(Self { config, mailroom })
    }

    /// Looks until `shutdown` is ready. Whatever is cut off then comes again with the next start.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut pause = self.config.every;
        loop {
            let passed = tokio::select! {
                biased;
                () = &mut shutdown => return,
                passed = self.pass() => passed,
            };
            match passed {
                Ok(pass) => {
                    pause = self.config.every;
                    if pass != Pass::default() {
                        tracing::info!(kept = pass.kept, left = pass.left, "letters from the mailbox");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "mailbox");
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look: everything new is kept, each letter by itself. A letter that cannot be taken is left, and the next is looked at.
    ///
    /// # Errors
    /// Where the server cannot be reached or does not do as it should, or the house cannot keep anything; what was kept before stays.
    pub async fn pass(&self) -> Result<Pass, ImapError> {
        let mut session = bounded(STEP_TIME, self.connect()).await??;
        let mailbox = bounded(STEP_TIME, session.select(&self.config.folder)).await??;
        // Where letters are moved away, whatever is there is new, also what a person has read in the meantime.
        let query = if self.config.done.is_some() { "UNFLAGGED" } else { "UNSEEN UNFLAGGED" };
        let mut new: Vec<u32> = bounded(STEP_TIME, session.uid_search(query)).await??.into_iter().collect();
        new.sort_unstable();
        new.truncate(LETTERS_MAX);
        let mut pass = Pass::default();
        for uid in new {
            let taken = match self.take(&mut session, uid).await? {
                Some(taken) => taken,
                // Somebody else moved it away since it was found.
                None => continue,
            };
            if let Err(why) = taken {
                // Noted first: after the flag it is not asked for again.
                let place = format!("{}, UID {uid} ({})", self.config.folder, mailbox.uid_validity.unwrap_or_default());
                self.note(place, why).await?;
                self.store(&mut session, uid, "(\\Flagged)").await?;
                tracing::error!(uid, why, "a letter is left in the mailbox, flagged");
                pass.left += 1;
                continue;
            }
            match &self.config.done {
                None => self.store(&mut session, uid, "(\\Seen)").await?,
                Some(folder) => bounded(STEP_TIME, session.uid_mv(uid.to_string(), folder)).await??,
            }
            pass.kept += 1;
        }
        // Whoever does not answer to this is left alone.
        let _ = timeout(STEP_TIME, session.logout()).await;
        Ok(pass)
    }

    /// Takes one letter in; the inner error says why it cannot be taken at all. `None` where it is not there any more.
    async fn take(&self, session: &mut Session, uid: u32) -> Result<Option<Result<(), &'static str>>, ImapError> {
        let fetched = bounded(STEP_TIME, fetch(session, uid, "RFC822.SIZE")).await??;
        if !fetched.told {
            return Ok(None);
        }
        if fetched.size.is_none_or(|size| u64::from(size) > MAIL_BYTES_MAX) {
            return Ok(Some(Err("Die Mail ist größer, als eine Mail sein darf.")));
        }
        let fetched = bounded(LETTER_TIME, fetch(session, uid, "BODY.PEEK[]")).await??;
        match fetched.text {
            Some(text) => self.keep(text).await.map(Some),
            None if fetched.told => Ok(Some(Err("Der Mailserver hat zu dieser Mail keinen Text geliefert."))),
            None => Ok(None),
        }
    }

    /// Durable when it returns.
    async fn keep(&self, text: Vec<u8>) -> Result<Result<(), &'static str>, ImapError> {
        let mailroom = self.mailroom.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let mut draft = mailroom.locker().draft(MAIL_BYTES_MAX)?;
            draft.write(&text)?;
            mailroom.receive(draft)
        });
        match kept.await {
            Ok(Ok(_)) => Ok(Ok(())),
            // It said to be shorter.
            Ok(Err(MailroomError::Exhibit(ExhibitError::TooLarge { .. }))) => Ok(Err("Die Mail ist größer, als eine Mail sein darf.")),
            Ok(Err(error)) => Err(error.into()),
            Err(error) if error.is_panic() => Ok(Err("Beim Aufnehmen der Mail trat ein Programmfehler auf.")),
            Err(error) => Err(ImapError::Connect(std::io::Error::other(error))),
        }
    }

    async fn note(&self, place: String, why: &'static str) -> Result<(), ImapError> {
        let mailroom = self.mailroom.clone();
        let noted = tokio::task::spawn_blocking(move || mailroom.unfetched(&place, why));
        noted.await.map_err(|error| ImapError::Connect(std::io::Error::other(error)))??;
        Ok(())
    }

    async fn store(&self, session: &mut Session, uid: u32, flags: &str) -> Result<(), ImapError> {
        let command = format!("UID STORE {uid} +FLAGS.SILENT {flags}");
        Ok(bounded(STEP_TIME, session.run_command_and_check_ok(command)).await??)
    }

    async fn connect(&self) -> Result<Session, ImapError> {
        let config = &self.config;
        let tcp = TcpStream::connect((config.host.as_str(), config.port)).await.map_err(ImapError::Connect)?;
        let stream: Box<dyn Wire> = match config.tls {
            Tls::None => Box::new(tcp),
            Tls::Implicit => Box::new(self.secured(tcp).await?),
            Tls::Starttls => {
                let mut client = Client::new(tcp);
                client.read_response().await.map_err(ImapError::Connect)?;
                client.run_command_and_check_ok("STARTTLS", None).await?;
                Box::new(self.secured(client.into_inner()).await?)
            }
        };
        let mut client = Client::new(stream);
        if config.tls != Tls::Starttls {
            client.read_response().await.map_err(ImapError::Connect)?;
        }
        client.login(&config.login.user, &config.login.password).await.map_err(|(error, _)| ImapError::Protocol(error))
    }

    async fn secured(&self, tcp: TcpStream) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ImapError> {
        let wrong = |error: &dyn fmt::Display| ImapError::Tls(error.to_string());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let client = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider())).with_safe_default_protocol_versions();
        let client = client.map_err(|error| wrong(&error))?.with_root_certificates(roots).with_no_client_auth();
        let name = ServerName::try_from(self.config.host.clone()).map_err(|error| wrong(&error))?;
        TlsConnector::from(Arc::new(client)).connect(name, tcp).await.map_err(|error| wrong(&error))
    }
}

async fn bounded<T>(time: Duration, work: impl Future<Output = T>) -> Result<T, ImapError> {
    timeout(time, work).await.map_err(|_| ImapError::Slow(time))
}

/// What the server says of one letter.
#[derive(Default)]
struct Fetched {
    /// It said something.
    told: bool,
    size: Option<u32>,
    text: Option<Vec<u8>>,
}

async fn fetch(session: &mut Session, uid: u32, what: &str) -> Result<Fetched, ImapError> {
    let id = session.run_command(format!("UID FETCH {uid} (UID {what})")).await?;
    let mut fetched = Fetched::default();
    loop {
        let Some(answer) = session.read_response().await.map_err(ImapError::Connect)? else {
            return Err(async_imap::error::Error::ConnectionLost.into());
        };
        match answer.parsed() {
            Response::Done { tag, .. } if *tag == id => return Ok(fetched),
            Response::Fetch(_, values) if values.contains(&AttributeValue::Uid(uid)) => {
                fetched.told = true;
                for value in values {
                    match value {
                        AttributeValue::Rfc822Size(size) => fetched.size = Some(*size),
                        AttributeValue::BodySection { data: Some(data), .. } => fetched.text = Some(data.to_vec()),
                        _ => {}
                    }
                }
            }
            // The mailbox lives: others tell of other letters.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
