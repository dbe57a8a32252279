//! Delivery: takes due rows from the outbox and hands them to the mail server over SMTP, one after the other on one connection.
//!
//! **What is guaranteed**: a row is marked `sending` durably before its first byte goes out, and `sent` after the server said
//! 250. A row is therefore handed over once, except where the answer was lost: when we were killed, or the connection broke,
//! between the server's acceptance and our note of it. Such a row is sent again with the same Message-ID, by which receivers
//! can tell the double. Without this a warning could get lost, which is worse.
//!
//! One process delivers per database: its start declares every row in `sending` to be left over.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ingest::db::{Db, DbError};
use ingest::time::{Clock, Timestamp};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use crate::mail::{Armour, MessageError, header_text, message};
use crate::openpgp::{OwnKey, contact_keys};
use crate::outbox::{OutboxRow, outbox_claim, outbox_failed, outbox_recover, outbox_release, outbox_retry, outbox_sent};

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// For a server on this machine or on the management network.
    None,
    Starttls,
    Implicit,
}

/// What the server wants to know from us; never printed.
#[derive(Clone)]
pub struct Login {
    pub user: String,
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(…)")
    }
}

#[derive(Clone, Debug)]
pub struct SmtpConfig {
    pub host: String,
    pub port: u16,
    pub tls: Tls,
    pub login: Option<Login>,
    /// `ThüringenCERT <wid@cert.example>`.
    pub from: String,
    /// For one mail's whole conversation, and for connecting.
    pub timeout: Duration,
}

/// A setting that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("from is no mail address: {0:?} (such as ThüringenCERT <wid@cert.example>)")]
    From(String),
    #[error("a password needs tls = starttls or implicit: it would travel readable")]
    OpenPassword,
}

/// Rows claimed at once: few, because what is claimed and not yet sent waits for us after a crash.
const BATCH: usize = 10;
/// How often the outbox is looked at when it was empty.
const POLL: Duration = Duration::from_millis(500);
/// Pause after the server could not be reached, doubling up to a minute: a red alert must not wait longer than that.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The first wait of a row that was put off.
const BACKOFF_MILLIS_MIN: i64 = Timestamp::MINUTE;
const BACKOFF_MILLIS_MAX: i64 = Timestamp::HOUR;
/// With the waits above some four days, as RFC 5321 (4.5.4.1) advises before giving up.
const ATTEMPTS_MAX: u32 = 100;

/// What one look at the outbox did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pass {
    pub sent: usize,
    pub put_off: usize,
    pub failed: usize,
    /// The server as a whole did not work; no row is blamed for it.
    pub server_down: Option<String>,
}

/// The task that delivers.
pub struct Delivery {
    db: Db,
    config: SmtpConfig,
    from: Mailbox,
    clock: Clock,
    connection: Option<AsyncSmtpConnection>,
    /// Signs and encrypts mails about cases.
    pgp: Option<Arc<OwnKey>>,
}

/// What the server did with one mail.
enum Handover {
    Accepted,
    /// 5xx, or a mail that cannot be one.
    Refused(String),
    /// 4xx: this mail later.
    Later(String),
    /// No answer, or one that is none: this mail later, on a new connection.
    Lost(String),
    /// It wants something else of us first: not this mail's fault.
    ServerDown(String),
}

impl Delivery {
    /// # Errors
    /// Where a setting cannot work.
    pub fn new(db: Db, config: SmtpConfig, clock: Clock) -> Result<Self, ConfigError> {
        let from: Mailbox = config.from.parse().map_err(|_| ConfigError::From(config.from.clone()))?;
        let here = matches!(config.host.as_str(), "127.0.0.1" | "::1" | "localhost");
        if config.login.is_some() && config.tls == Tls::None && !here {
            return Err(ConfigError::OpenPassword);
        }
        Ok(Self { db, config, from, clock, connection: None, pgp: None })
    }

    /// Signs mails about cases with the house's own key, and encrypts them to whoever has one on file.
    #[must_use]
    pub fn with_key(self, pgp: Option<Arc<OwnKey>>) -> Self {
        Self { pgp, ..self }
    }

    /// Delivers until `shutdown` is ready; the mail in hand is finished first.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        match self.recover().await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(count, "mails left over in mid-sending are sent again with the same Message-ID"),
            Err(error) => tracing::error!(%error, "recover the outbox"),
        }
        let mut pause = PAUSE_MIN;
        loop {
            let wait = match self.pass().await {
                Ok(Pass { server_down: Some(error), .. }) => {
                    tracing::warn!(error, "mail server");
                    let wait = pause;
                    pause = (pause * 2).min(PAUSE_MAX);
                    wait
                }
                Ok(pass) => {
                    pause = PAUSE_MIN;
                    if pass == Pass::default() {
                        POLL
                    } else {
                        tracing::info!(sent = pass.sent, put_off = pass.put_off, failed = pass.failed, "mails");
                        Duration::ZERO
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "outbox");
                    PAUSE_MAX
                }
            };
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.hang_up().await;
    }

    /// Makes rows that a dead process left in `sending` due again.
    ///
    /// # Errors
    /// The database's own.
    pub async fn recover(&self) -> Result<usize, DbError> {
        let now = self.clock.now();
        self.write(move |tx| outbox_recover(tx, now)).await
    }

    /// One batch of due rows. An empty result means that nothing was due.
    ///
    /// # Errors
    /// The database's own; rows whose outcome could not be noted stay in `sending` until the next start.
    pub async fn pass(&mut self) -> Result<Pass, DbError> {
        let mut pass = Pass::default();
        let (domain, now) = (self.from.email.domain().to_owned(), self.clock.now());
        let mut rows = self.write(move |tx| outbox_claim(tx, &domain, BATCH, now)).await?.into_iter();
        if rows.len() == 0 {
            // An idle connection only gets old.
            self.hang_up().await;
            return Ok(pass);
        }
        self.refresh().await;
        for row in rows.by_ref() {
            let now = self.clock.now();
            let handover = self.hand_over(&row, now).await;
            let lost = matches!(handover, Handover::Lost(_));
            match handover {
                Handover::Accepted => {
                    pass.sent += 1;
                    self.write(move |tx| outbox_sent(tx, &row, now)).await?;
                }
                Handover::Refused(error) => {
                    pass.failed += 1;
                    self.write(move |tx| outbox_failed(tx, &row, &error, now)).await?;
                }
                Handover::Later(error) | Handover::Lost(error) => match next_attempt(row.attempts + 1, now) {
                    Some(next) => {
                        pass.put_off += 1;
                        self.write(move |tx| outbox_retry(tx, &row, &error, next, now)).await?;
                    }
                    None => {
                        pass.failed += 1;
                        self.write(move |tx| outbox_failed(tx, &row, &format!("aufgegeben: {error}"), now)).await?;
                    }
                },
                Handover::ServerDown(error) => {
                    pass.server_down = Some(error);
                    self.write(move |tx| outbox_release(tx, row.id, now)).await?;
                }
            }
            // After a silence the rest is given back, so that a shutdown waits for one time-out and not for ten.
            if lost || pass.server_down.is_some() {
                break;
            }
        }
        let rest: Vec<_> = rows.map(|row| row.id).collect();
        let now = self.clock.now();
        self.write(move |tx| rest.into_iter().try_for_each(|id| outbox_release(tx, id, now))).await?;
        Ok(pass)
    }

    async fn hand_over(&mut self, row: &OutboxRow, now: Timestamp) -> Handover {
        let message = match self.message(row, now).await {
            Ok(message) => message,
            Err(error) => return Handover::Refused(error.to_string()),
        };
        let timeout = self.config.timeout;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match tokio::time::timeout(timeout, connect(&self.config)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return Handover::ServerDown(describe(&error)),
                Err(_) => return Handover::ServerDown("no answer while connecting".into()),
            },
        };
        match tokio::time::timeout(timeout, connection.send(message.envelope(), &message.formatted())).await {
            Ok(Ok(_)) => {
                self.connection = Some(connection);
                Handover::Accepted
            }
            // After any error lettre has closed the connection, and after a time-out nobody knows whose answer would come
            // next: it is not used again.
            Ok(Err(error)) => judge(&error),
            Err(_) => Handover::Lost(format!("no answer within {timeout:?}")),
        }
    }

    /// Signing and encrypting take a millisecond of thinking, and the keys stand in the database: on a thread of their own.
    async fn message(&self, row: &OutboxRow, now: Timestamp) -> Result<lettre::Message, MessageError> {
        let (db, mail, from, id, pgp) = (self.db.clone(), row.mail.clone(), self.from.clone(), row.message_id.clone(), self.pgp.clone());
        let made = tokio::task::spawn_blocking(move || {
            // Where the keys cannot be asked for, what must be encrypted waits for the next attempt of a human.
            let keys = if pgp.is_some() { db.read(|c| contact_keys(c, &mail.recipient)).unwrap_or_default() } else { Vec::new() };
            message(&mail, &from, &id, now, Armour { own: pgp.as_deref(), keys: &keys })
        });
        made.await.unwrap_or(Err(MessageError::NoKey))
    }

    /// Tests the connection kept from the last pass, which the server may have closed since.
    async fn refresh(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && tokio::time::timeout(self.config.timeout, connection.test_connected()).await == Ok(true)
        {
            self.connection = Some(connection);
        }
    }

    async fn hang_up(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            // A server that does not answer to QUIT is left alone.
            let _ = tokio::time::timeout(self.config.timeout, connection.quit()).await;
        }
    }

    /// The database's writer blocks until the disk has it: not on a runtime thread.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ingest::rusqlite::Transaction<'_>) -> Result<T, DbError> + Send + 'static,
    ) -> Result<T, DbError> {
        let db = self.db.clone();
        tokio::task::spawn_blocking(move || db.write(work)).await.unwrap_or(Err(DbError::Stopped))
    }
}

async fn connect(config: &SmtpConfig) -> Result<AsyncSmtpConnection, lettre::transport::smtp::Error> {
    let hello = ClientId::default();
    let tls = match config.tls {
        Tls::None => None,
        Tls::Starttls | Tls::Implicit => Some(TlsParameters::new(config.host.clone())?),
    };
    let implicit = tls.clone().filter(|_| config.tls == Tls::Implicit);
    let server = (config.host.as_str(), config.port);
    let mut connection = AsyncSmtpConnection::connect_tokio1(server, Some(config.timeout), &hello, implicit, None).await?;
    if let Some(tls) = tls.filter(|_| config.tls == Tls::Starttls) {
        connection.starttls(tls, &hello).await?;
    }
    if let Some(login) = &config.login {
        let credentials = Credentials::new(login.user.clone(), login.password.clone());
        connection.auth(&[Mechanism::Plain, Mechanism::Login], &credentials).await?;
    }
    Ok(connection)
}

/// "Authenticate first", "encrypt first" and "mechanism too weak" (RFC 4954, RFC 3207) are about us and not about the mail.
const CODES_ABOUT_US: [u16; 4] = [530, 534, 535, 538];

fn judge(error: &lettre::transport::smtp::Error) -> Handover {
    let text = describe(error);
    match error.status().map(u16::from) {
        Some(code) if CODES_ABOUT_US.contains(&code) => Handover::ServerDown(text),
        Some(_) if error.is_permanent() => Handover::Refused(text),
        Some(_) => Handover::Later(text),
        None if error.is_client() => Handover::Refused(text),
        None => Handover::Lost(text),
    }
}

fn describe(error: &lettre::transport::smtp::Error) -> String {
    header_text(&error.to_string(), 500)
}

/// When to try again after the `attempts`th failure; `None` is to give up.
fn next_attempt(attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let doublings = attempts.saturating_sub(1).min(16);
    let wait = BACKOFF_MILLIS_MIN.saturating_mul(1 << doublings).min(BACKOFF_MILLIS_MAX);
    (attempts < ATTEMPTS_MAX).then(|| now.plus(wait))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};

    use expect_test::{Expect, expect};
    use ingest::scope::Scope;
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::mail::Mail;
    use crate::mail::tests::mail;
    use crate::outbox::{outbox_add, outbox_list};
    use crate::store::tests::Fixture;

    /// A real SMTP server whose answers are written into the recipients' names: `451-data.ok` answers 451 to the first mail's
    /// DATA and accepts the second. Steps: `<code>-rcpt`, `<code>-data` (after the text), `close-rcpt`, `close-data` (after
    /// the text, without accepting), `lost-data` (accepts, and closes before it says so), `hang-rcpt`, `hang-data`, `ok`.
    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<Seen>>);

    #[derive(Default)]
    struct Seen {
        tries: HashMap<String, usize>,
        /// Recipient and Message-ID of each text that the server took responsibility for.
        accepted: Vec<(String, String)>,
        connections: usize,
        /// What the server greets with; empty is 220.
        greeting: String,
    }

    impl Server {
        async fn start(&self) -> u16 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let server = self.clone();
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let server = server.clone();
                    tokio::spawn(async move {
                        // A client that hangs up is its right.
                        let _ = server.talk(stream).await;
                    });
                }
            });
            port
        }

        fn step(&self, recipient: &str) -> String {
            let mut seen = self.0.lock().unwrap();
            let tries = seen.tries.entry(recipient.to_owned()).or_default();
            *tries += 1;
            recipient.split('@').next().unwrap().split('.').nth(*tries - 1).unwrap_or("ok").to_owned()
        }

        async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
            let greeting = {
                let mut seen = self.0.lock().unwrap();
                seen.connections += 1;
                if seen.greeting.is_empty() { "220 test".to_owned() } else { seen.greeting.clone() }
            };
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read);
            write.write_all(format!("{greeting}\r\n").as_bytes()).await?;
            let (mut recipient, mut step) = (String::new(), String::new());
            loop {
                let mut line = String::new();
                if lines.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                let answer = match line.get(..4).unwrap_or_default() {
                    "EHLO" => "250-test\r\n250 8BITMIME".to_owned(),
                    "RCPT" => {
                        recipient = line.trim_end().trim_start_matches("RCPT TO:<").trim_end_matches('>').to_owned();
                        step = self.step(&recipient);
                        match step.split_once('-') {
                            Some(("close", "rcpt")) => return Ok(()),
                            Some(("hang", "rcpt")) => std::future::pending().await,
                            Some((code, "rcpt")) => format!("{code} {recipient} says no"),
                            _ => "250 ok".to_owned(),
                        }
                    }
                    "DATA" => {
                        write.write_all(b"354 go on\r\n").await?;
                        let mut text = Vec::new();
                        while !text.ends_with(b"\r\n.\r\n") {
                            text.push(lines.read_u8().await?);
                        }
                        let text = String::from_utf8(text).unwrap();
                        let id = text.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap_or_default().to_owned();
                        let accept = || self.0.lock().unwrap().accepted.push((recipient.clone(), id.clone()));
                        match step.split_once('-') {
                            Some(("close", "data")) => return Ok(()),
                            Some(("lost", "data")) => {
                                accept();
                                return Ok(());
                            }
                            Some(("hang", "data")) => std::future::pending().await,
                            Some((code, "data")) => format!("{code} no"),
                            _ => {
                                accept();
                                "250 taken".to_owned()
                            }
                        }
                    }
                    "QUIT" => {
                        write.write_all(b"221 bye\r\n").await?;
                        return Ok(());
                    }
                    _ => "250 ok".to_owned(),
                };
                write.write_all(format!("{answer}\r\n").as_bytes()).await?;
                if answer.starts_with("421") {
                    return Ok(());
                }
            }
        }
    }

    fn delivery(fixture: &Fixture, port: u16, clock: &Clock) -> Delivery {
        let config = SmtpConfig {
            host: "127.0.0.1".into(),
            port,
            tls: Tls::None,
            login: None,
            from: "ThüringenCERT <wid@cert.example>".into(),
            timeout: Duration::from_millis(300),
        };
        Delivery::new(fixture.db.clone(), config, clock.clone()).unwrap()
    }

    fn queue(fixture: &Fixture, recipients: &[&str]) {
        let mails: Vec<Mail> = recipients.iter().map(|to| Mail { recipient: format!("{to}@x.example"), ..mail() }).collect();
        fixture
            .db
            .write(move |tx| mails.iter().try_for_each(|mail| outbox_add(tx, mail, Timestamp(0)).map(|_| ())))
            .unwrap_or_else(|e: DbError| panic!("{e}"));
    }

    /// Passes until nothing is due.
    async fn drain(delivery: &mut Delivery) {
        while delivery.pass().await.unwrap() != Pass::default() {}
    }

    /// Each row and how often the server took it.
    fn outcome(fixture: &Fixture, server: &Server) -> String {
        let rows = fixture.db.read(|c| outbox_list(c, &Scope::All, None, 200)).unwrap();
        let seen = server.0.lock().unwrap();
        let mut lines: Vec<String> = rows
            .iter()
            .map(|row| {
                let taken: Vec<&String> = seen.accepted.iter().filter(|(to, _)| *to == row.recipient).map(|(_, id)| id).collect();
                let same = taken.windows(2).all(|pair| pair[0] == pair[1]);
                let mut line = format!("{} {} tries {} taken {}", row.recipient, row.state.as_str(), row.attempts, taken.len());
                write!(
                    line,
                    "{}{}",
                    if same { "" } else { " DIFFERENT IDS" },
                    row.last_error.as_ref().map(|e| format!(" | {e}")).unwrap_or_default()
                )
                .unwrap();
                line
            })
            .collect();
        lines.sort();
        lines.join("\n") + "\n"
    }

    const SCRIPT: [&str; 12] = [
        "ok",
        "421-rcpt.ok",
        "421-data.ok",
        "451-rcpt.451-rcpt.ok",
        "451-data.ok",
        "550-rcpt",
        "554-data",
        "close-rcpt.ok",
        "close-data.ok",
        "lost-data.ok",
        "hang-rcpt.ok",
        "hang-data.ok",
    ];

    async fn check(minutes: &[i64], expected: Expect) {
        let (fixture, server, clock) = (Fixture::new(), Server::default(), Clock::manual(Timestamp(0)));
        queue(&fixture, &SCRIPT);
        let mut delivery = delivery(&fixture, server.start().await, &clock);
        for minute in minutes {
            clock.set(Timestamp(minute * Timestamp::MINUTE));
            drain(&mut delivery).await;
        }
        expected.assert_eq(&outcome(&fixture, &server));
    }

    #[tokio::test]
    async fn every_answer_leads_to_its_state() {
        check(
            &[0],
            expect![[r#"
            421-data.ok@x.example queued tries 1 taken 0 | transient error (421): no
            421-rcpt.ok@x.example queued tries 1 taken 0 | transient error (421): 421-rcpt.ok@x.example says no
            451-data.ok@x.example queued tries 1 taken 0 | transient error (451): no
            451-rcpt.451-rcpt.ok@x.example queued tries 1 taken 0 | transient error (451): 451-rcpt.451-rcpt.ok@x.example says no
            550-rcpt@x.example failed tries 1 taken 0 | permanent error (550): 550-rcpt@x.example says no
            554-data@x.example failed tries 1 taken 0 | permanent error (554): no
            close-data.ok@x.example queued tries 1 taken 0 | response error: incomplete response
            close-rcpt.ok@x.example queued tries 1 taken 0 | response error: incomplete response
            hang-data.ok@x.example queued tries 1 taken 0 | no answer within 300ms
            hang-rcpt.ok@x.example queued tries 1 taken 0 | no answer within 300ms
            lost-data.ok@x.example queued tries 1 taken 1 | response error: incomplete response
            ok@x.example sent tries 1 taken 1
        "#]],
        )
        .await;
    }

    #[tokio::test]
    async fn what_was_put_off_arrives_later_and_once() {
        check(
            &[0, 1, 4],
            expect![[r#"
            421-data.ok@x.example sent tries 2 taken 1
            421-rcpt.ok@x.example sent tries 2 taken 1
            451-data.ok@x.example sent tries 2 taken 1
            451-rcpt.451-rcpt.ok@x.example sent tries 3 taken 1
            550-rcpt@x.example failed tries 1 taken 0 | permanent error (550): 550-rcpt@x.example says no
            554-data@x.example failed tries 1 taken 0 | permanent error (554): no
            close-data.ok@x.example sent tries 2 taken 1
            close-rcpt.ok@x.example sent tries 2 taken 1
            hang-data.ok@x.example sent tries 2 taken 1
            hang-rcpt.ok@x.example sent tries 2 taken 1
            lost-data.ok@x.example sent tries 2 taken 2
            ok@x.example sent tries 1 taken 1
        "#]],
        )
        .await;
    }

    #[tokio::test]
    async fn a_killed_process_sends_what_it_had_in_hand_again_under_the_same_id() {
        let (fixture, server, clock) = (Fixture::new(), Server::default(), Clock::manual(Timestamp(0)));
        queue(&fixture, &["a", "b"]);
        // Killed right after the claim; and for `a` after the server had taken it.
        let claimed = fixture.db.write(|tx| outbox_claim(tx, "cert.example", 10, Timestamp(0))).unwrap_or_else(|e: DbError| panic!("{e}"));
        let id_of = |to: &str| claimed.iter().find(|row| row.mail.recipient.starts_with(to)).unwrap().message_id.clone();
        server.0.lock().unwrap().accepted.push(("a@x.example".into(), id_of("a")));
        let mut delivery = delivery(&fixture, server.start().await, &clock);
        drain(&mut delivery).await;
        assert_eq!(server.0.lock().unwrap().accepted.len(), 1, "what is in hand is nobody else's");
        assert_eq!(delivery.recover().await.unwrap(), 2);
        drain(&mut delivery).await;
        expect![[r#"
            a@x.example sent tries 1 taken 2
            b@x.example sent tries 1 taken 1
        "#]]
        .assert_eq(&outcome(&fixture, &server));
        let seen = server.0.lock().unwrap();
        assert_eq!(seen.accepted.iter().find(|(to, _)| to.starts_with('b')).unwrap().1, id_of("b"));
    }

    #[tokio::test]
    async fn a_server_that_is_down_is_no_rows_fault() {
        let (fixture, server, clock) = (Fixture::new(), Server::default(), Clock::manual(Timestamp(0)));
        queue(&fixture, &["a", "b"]);
        let port = server.start().await;
        for greeting in ["421 too busy", "554 not you", "nonsense"] {
            server.0.lock().unwrap().greeting = greeting.into();
            let pass = delivery(&fixture, port, &clock).pass().await.unwrap();
            assert!(pass.server_down.is_some() && pass.sent + pass.put_off + pass.failed == 0, "{greeting}: {pass:?}");
        }
        // Nobody listens here any more.
        let closed = { TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port() };
        assert!(delivery(&fixture, closed, &clock).pass().await.unwrap().server_down.is_some());
        // "Authenticate first" is about us.
        server.0.lock().unwrap().greeting.clear();
        queue(&fixture, &["530-rcpt.ok"]);
        let mut delivery = delivery(&fixture, port, &clock);
        while delivery.pass().await.unwrap() != Pass::default() {}
        expect![[r#"
            530-rcpt.ok@x.example sent tries 1 taken 1
            a@x.example sent tries 1 taken 1
            b@x.example sent tries 1 taken 1
        "#]]
        .assert_eq(&outcome(&fixture, &server));
    }

    #[tokio::test]
    async fn many_mails_share_one_connection_and_run_stops_when_told() {
        let (fixture, server) = (Fixture::new(), Server::default());
        let names: Vec<String> = (0..35).map(|n| format!("n{n}")).collect();
        queue(&fixture, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let delivery = delivery(&fixture, server.start().await, &Clock::manual(Timestamp(0)));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(delivery.run(async { stopped.await.unwrap_or_default() }));
        while server.0.lock().unwrap().accepted.len() < 35 {
            tokio::task::yield_now().await;
        }
        stop.send(()).unwrap();
        task.await.unwrap();
        let seen = server.0.lock().unwrap();
        assert_eq!((seen.accepted.len(), seen.connections), (35, 1));
        let open = fixture.db.read(|c| outbox_list(c, &Scope::All, Some(crate::outbox::OutboxState::Sent), 99)).unwrap().len();
        assert_eq!(open, 35);
    }

    #[test]
    fn waits_grow_to_an_hour_and_end_after_some_days() {
        let wait = |attempts| next_attempt(attempts, Timestamp(0)).map(|next| next.0 / Timestamp::MINUTE);
        assert_eq!([1, 2, 3, 6, 7, 50, 99, 100].map(wait), [Some(1), Some(2), Some(4), Some(32), Some(60), Some(60), Some(60), None]);
        let total: i64 = (1..100).filter_map(wait).sum();
        assert!((4 * 24 * 60 - 120..5 * 24 * 60).contains(&total), "{total} minutes");
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let fixture = Fixture::new();
        let config = |host: &str, from: &str, login: bool, tls| SmtpConfig {
            host: host.into(),
            port: 25,
            tls,
            login: login.then(|| Login { user: "u".into(), password: "geheim".into() }),
            from: from.into(),
            timeout: Duration::from_secs(1),
        };
        let new =
            |config| Delivery::new(fixture.db.clone(), config, Clock::manual(Timestamp(0))).map(|_| ()).map_err(|error| error.to_string());
        assert!(new(config("mail.example", "wid", false, Tls::None)).unwrap_err().starts_with("from is no mail address"));
        assert!(new(config("mail.example", "wid@x.example", true, Tls::None)).unwrap_err().starts_with("a password needs tls"));
        assert_eq!(new(config("mail.example", "wid@x.example", true, Tls::Starttls)), Ok(()));
        assert!(!format!("{:?}", config("127.0.0.1", "", true, Tls::None)).contains("geheim"));
    }
}
