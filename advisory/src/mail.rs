//! Mails: what is written (German, plain text) and how it becomes a message that nobody can bend. Pure; `outbox` keeps them,
//! `delivery` sends them.

use std::time::{Duration, SystemTime};

use chrono_tz::Europe::Berlin;
use ingest::body::{BodyId, ContactId};
use ingest::time::Timestamp;
use lettre::Message;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};

use crate::advisory::{Advisory, Product, Tlp, is_unprintable, text_enum};
use crate::csaf::{Publisher, measures_text};
use crate::openpgp::{ContactKey, MICALG, OwnKey, PgpError};

text_enum! {
    /// What a mail is about: it names the history's kinds (`advisory.delivered`, `recommendation.delivered`).
    Topic {
        Advisory = "advisory", "Warnmeldung";
        Recommendation = "recommendation", "Handlungsempfehlung";
        /// A person writes out of a case.
        Incident = "incident", "Schreiben zum Vorfall";
        /// The link by which a body reports, and the receipt of what it reported.
        Report = "report", "Meldung eines Vorfalls";
        /// Something waits for the body.
        Reminder = "reminder", "Erinnerung";
    }
}

/// One message to one recipient, as it goes into the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// With the recipient unique for ever: the same key is never sent to the same address twice.
    pub key: String,
    pub recipient: String,
    pub subject: String,
    pub text: String,
    /// Beyond those that every mail has.
    pub headers: Vec<(String, String)>,
    /// Stands in the text as `SECRET_MARK` until the moment of sending, and is forgotten afterwards: the outbox
    /// remains readable as a record without opening anything.
    pub secret: Option<String>,
    /// It may only travel encrypted: without a key that is valid at the moment of sending it does not go.
    pub sealed: bool,
    pub topic: Topic,
    /// The identity of the advisory or incident.
    pub about: String,
    pub body: Option<BodyId>,
    pub contact: Option<ContactId>,
}

/// Where the secret goes. Texts of people cannot contain it: `tidied` removes control characters, and this has two.
pub const SECRET_MARK: &str = "\u{1}secret\u{1}";

/// Subjects are cut here; mail programs show fewer than 100 characters.
const SUBJECT_CHARS_MAX: usize = 250;
/// Header values of ours are addresses and fixed words.
const HEADER_CHARS_MAX: usize = 900;

/// `21.11.2026, 14:02 Uhr` in Germany.
pub fn german_time(moment: Timestamp) -> String {
    moment.utc().with_timezone(&Berlin).format("%d.%m.%Y, %H:%M Uhr").to_string()
}

/// What the mail tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    First,
    /// What changed.
    Update(&'a str),
    /// Why.
    Withdrawal(&'a str),
}

/// Who gets it and why.
#[derive(Clone, Debug)]
pub struct Addressee<'a> {
    pub body: BodyId,
    pub body_name: &'a str,
    pub contact: ContactId,
    pub contact_name: &'a str,
    pub email: &'a str,
    /// Why it concerns this body, as a half-sentence after "weil".
    pub reason: &'a str,
    /// For the link `/w/<token>`.
    pub token: String,
}

/// The mail of a warning, an update or a withdrawal. From TLP:AMBER on it is a neutral notice: the text would travel unencrypted.
pub fn warning_mail(advisory: &Advisory, occasion: Occasion<'_>, to: Addressee<'_>, publisher: &Publisher) -> Mail {
    let content = &advisory.content;
    let open = content.tlp.open_to_all_bodies();
    let occasion_word = match occasion {
        Occasion::First => String::new(),
        Occasion::Update(_) => format!("Aktualisierung {}: ", advisory.revision),
        Occasion::Withdrawal(_) => "Zurückgezogen: ".to_owned(),
    };
    let title = if open { content.title.as_str() } else { "Bitte im Portal lesen" };
    let subject = format!(
        "[{}] {} {} ({}) - {occasion_word}{title}",
        content.tlp.label(),
        advisory.number_label(),
        content.kind.label(),
        content.severity.label()
    );
    let text = if open { warning_text(advisory, occasion, &to, publisher) } else { neutral_text(advisory, &to, publisher) };
    Mail {
        key: format!("advisory/{}/{}/{}", advisory.id, advisory.revision, to.body),
        recipient: to.email.to_owned(),
        subject,
        text,
        headers: vec![("List-Unsubscribe".into(), format!("<mailto:{}?subject=Abmeldung%20WID>", publisher.mail))],
        secret: Some(to.token),
        sealed: false,
        topic: Topic::Advisory,
        about: advisory.id.to_string(),
        body: Some(to.body),
        contact: Some(to.contact),
    }
}

fn warning_text(advisory: &Advisory, occasion: Occasion<'_>, to: &Addressee<'_>, publisher: &Publisher) -> String {
    let content = &advisory.content;
    let mut text = Paragraphs::default();
    text.add(&format!(
        "{}\n{} {}, Stand {}",
        content.tlp.label(),
        content.kind.label(),
        advisory.number_label(),
        german_time(advisory.released_at.unwrap_or(advisory.updated_at))
    ));
    text.add(&format!("Guten Tag {},", to.contact_name));
    match occasion {
        Occasion::First => {}
        Occasion::Update(summary) => text.add(&format!("diese Meldung wurde aktualisiert. {summary}")),
        Occasion::Withdrawal(reason) => text.add(&format!("diese Meldung ist zurückgezogen. {reason}\nSie müssen nichts weiter tun.")),
    }
    text.add(&content.title);
    text.add(&axes_line(advisory));
    text.section("Was ist passiert?", &content.situation);
    text.section("Wie schlimm ist es?", &content.assessment);
    let products = content.products.iter().map(|product: &Product| format!("- {product}")).collect::<Vec<_>>().join("\n");
    let products = if products.is_empty() { products } else { format!("Betroffene Produkte:\n{products}") };
    let check = [content.check.as_str(), products.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    if !matches!(occasion, Occasion::Withdrawal(_)) {
        text.section("Sind Sie betroffen?", &check);
        text.section("Was ist zu tun?", &measures_text(content));
        text.section(
            "Bitte geben Sie uns Bescheid",
            &format!("Gelesen, betroffen, nicht betroffen oder behoben? Ein Klick genügt:\n{}", link(publisher)),
        );
    }
    let sources = content.sources.iter().map(|source| format!("- {}: {}", source.title, source.url)).collect::<Vec<_>>().join("\n");
    text.section("Quellen", &sources);
    text.section("Kontakt", if content.contact.is_empty() { &publisher.contact } else { &content.contact });
    text.add(&format!("{} ({}) erhält diese Meldung, weil {}.", to.body_name, to.contact_name, to.reason));
    text.end(publisher)
}

fn neutral_text(advisory: &Advisory, to: &Addressee<'_>, publisher: &Publisher) -> String {
    let mut text = Paragraphs::default();
    text.add(&format!("Guten Tag {},", to.contact_name));
    text.add(&format!(
        "für {} liegt eine Meldung vor: {} {}, Schweregrad {}.",
        to.body_name,
        advisory.content.kind.label(),
        advisory.number_label(),
        advisory.content.severity.label()
    ));
    text.add(&format!(
        "Sie ist als {} eingestuft. Ihr Inhalt steht deshalb nicht in dieser Mail; Sie lesen und bestätigen sie hier:\n{}",
        advisory.content.tlp.label(),
        link(publisher)
    ));
    text.add("Bitte leiten Sie diese Mail nicht weiter: Der Link ist nur für Sie bestimmt.");
    text.section("Kontakt", &publisher.contact);
    text.end(publisher)
}

fn axes_line(advisory: &Advisory) -> String {
    let content = &advisory.content;
    let mut parts =
        vec![format!("Schweregrad: {}", content.severity.label()), format!("Bedrohungsstufe: {}", content.threat_level.label())];
    parts.extend(content.cvss.as_ref().map(|cvss| format!("CVSS 3.1: {:.1}", cvss.score())));
    // The rest stands on the page; a collection of 200 CVEs helps nobody in a mail.
    let shown: Vec<&str> = content.cves.iter().take(10).map(crate::advisory::Cve::as_str).collect();
    let more = if content.cves.len() > shown.len() { " und weitere" } else { "" };
    parts.extend(Some(format!("{}{more}", shown.join(", "))).filter(|_| !shown.is_empty()));
    parts.join(" · ")
}

fn link(publisher: &Publisher) -> String {
    format!("{}/w/{SECRET_MARK}", publisher.base_url)
}

/// A step of a recommendation as the mail shows it.
#[derive(Clone, Debug)]
pub struct RecommendedStep<'a> {
    pub title: &'a str,
    pub text: &'a str,
    pub due_at: Option<Timestamp>,
}

/// What the mail of a recommendation needs to know of its incident.
#[derive(Clone, Debug)]
pub struct Recommendation<'a> {
    /// Unique for this recommendation and recipient, as `Mail::key` demands.
    pub key: String,
    /// The incident's identity for the history, and its number for people.
    pub incident: String,
    pub number: &'a str,
    pub title: &'a str,
    pub tlp: Tlp,
    pub body: BodyId,
    pub body_name: &'a str,
    pub contact: ContactId,
    pub contact_name: &'a str,
    pub email: &'a str,
    /// What was seen, in a few sentences.
    pub observation: &'a str,
    pub steps: &'a [RecommendedStep<'a>],
    /// For the link (`answer_link`).
    pub token: String,
    /// How long the link works.
    pub until: Timestamp,
}

/// Where a contact answers without a login, with all that he has to know of the link.
pub(crate) fn answer_link_text(publisher: &Publisher, number: &str, until: Timestamp) -> String {
    let base = &publisher.base_url;
    format!(
        "{base}/empfehlung/{SECRET_MARK}\nDer Link gilt bis {} und nur für Sie; bitte geben Sie ihn nicht weiter. Mit einem Konto steht alles hier:\n{base}/vorfall/{number}",
        german_time(until)
    )
}

/// The mail by which the CERT recommends how to contain an incident. From TLP:AMBER on only a neutral notice.
pub fn recommendation_mail(recommendation: &Recommendation<'_>, publisher: &Publisher) -> Mail {
    let Recommendation { number, tlp, .. } = recommendation;
    let open = tlp.open_to_all_bodies();
    let title = if open { recommendation.title } else { "Bitte im Portal lesen" };
    let link = answer_link_text(publisher, number, recommendation.until);
    let mut text = Paragraphs::default();
    if open {
        text.add(&format!("{}\nHandlungsempfehlung zum Vorfall {number}", tlp.label()));
    }
    text.add(&format!("Guten Tag {},", recommendation.contact_name));
    if open {
        text.add(&format!("bei {} ist uns etwas aufgefallen: {}", recommendation.body_name, recommendation.title));
        text.section("Was haben wir gesehen?", recommendation.observation);
        text.section("Was empfehlen wir?", &steps_text(recommendation.steps));
        text.section(
            "Bitte geben Sie uns Bescheid",
            &format!("Was haben Sie umgesetzt, was nicht? Hier lesen und antworten Sie, ohne Anmeldung:\n{link}"),
        );
    } else {
        text.add(&format!("zum Vorfall {number} bei {} gibt es eine Handlungsempfehlung.", recommendation.body_name));
        text.add(&format!(
            "Sie ist als {} eingestuft. Ihr Inhalt steht deshalb nicht in dieser Mail; {}. Antworten können Sie ohne Anmeldung:\n{link}",
            tlp.label(),
            // What is red no body reads in the portal either.
            if *tlp == Tlp::Red { "fragen Sie uns bitte am Telefon danach" } else { "Sie lesen sie nach der Anmeldung" }
        ));
    }
    text.section("Kontakt", &publisher.contact);
    Mail {
        key: recommendation.key.clone(),
        recipient: recommendation.email.to_owned(),
        subject: format!("[{}] {number} Handlungsempfehlung - {title}", tlp.label()),
        text: text.end(publisher),
        headers: Vec::new(),
        secret: Some(recommendation.token.clone()),
        sealed: false,
        topic: Topic::Recommendation,
        about: recommendation.incident.clone(),
        body: Some(recommendation.body),
        contact: Some(recommendation.contact),
    }
}

/// What an analyst writes to a body's contact.
#[derive(Clone, Debug)]
pub struct CaseMail<'a> {
    /// As `Mail::key` demands.
    pub key: String,
    pub incident: String,
    pub number: &'a str,
    pub tlp: detect::incident::Tlp,
    pub body: BodyId,
    pub body_name: &'a str,
    pub contact: ContactId,
    pub contact_name: &'a str,
    pub email: &'a str,
    pub subject: &'a str,
    pub text: &'a str,
    /// The Message-ID that it answers, without angle brackets.
    pub answers: Option<&'a str>,
    /// It will be encrypted, so everything may stand in it.
    pub encrypted: bool,
}

/// A letter out of a case. From TLP:AMBER on, and without a key to encrypt to, only a neutral notice with the way to the
/// portal. The subject always holds the number, by which the answer finds back, and nothing that may not be read by all.
pub fn case_mail(letter: &CaseMail<'_>, publisher: &Publisher) -> Mail {
    let CaseMail { number, .. } = letter;
    let label = format!("TLP:{}", letter.tlp.as_str());
    let open = !crate::mailroom::sealed_needed(letter.tlp);
    let url = format!("{}/vorfall/{number}", publisher.base_url);
    let mut text = Paragraphs::default();
    if open || letter.encrypted {
        text.add(&format!("{label}\nZum Vorfall {number}"));
        text.add(letter.text);
        text.add(&format!("Den Stand des Vorfalls sehen Sie hier:\n{url}"));
    } else {
        text.add(&format!("Guten Tag {},", letter.contact_name));
        text.add(&format!("zum Vorfall {number} bei {} haben wir Ihnen geschrieben.", letter.body_name));
        text.add(&format!("Unser Schreiben ist als {label} eingestuft. Es steht deshalb nicht in dieser Mail; Sie lesen es hier:\n{url}"));
    }
    text.add("Wenn Sie auf diese Mail antworten, lassen Sie bitte den Betreff, wie er ist.");
    let title = if open { letter.subject } else { "Bitte im Portal lesen" };
    let title = if letter.encrypted && !open { "Verschlüsselte Nachricht" } else { title };
    let headers = match letter.answers {
        Some(id) => vec![("In-Reply-To".to_owned(), format!("<{id}>")), ("References".to_owned(), format!("<{id}>"))],
        None => Vec::new(),
    };
    Mail {
        key: letter.key.clone(),
        recipient: letter.email.to_owned(),
        subject: format!("[{label}] {number} {title}"),
        text: text.end(publisher),
        headers,
        secret: None,
        sealed: letter.encrypted && !open,
        topic: Topic::Incident,
        about: letter.incident.clone(),
        body: Some(letter.body),
        contact: Some(letter.contact),
    }
}

fn steps_text(steps: &[RecommendedStep<'_>]) -> String {
    let line = |(index, step): (usize, &RecommendedStep<'_>)| {
        let due = step.due_at.map(|due| format!(" (bis {})", german_time(due))).unwrap_or_default();
        let detail = if step.text.is_empty() { String::new() } else { format!("\n   {}", step.text.replace('\n', "\n   ")) };
        format!("{}. {}{due}{detail}", index + 1, step.title)
    };
    steps.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[derive(Default)]
pub(crate) struct Paragraphs(Vec<String>);

impl Paragraphs {
    pub(crate) fn add(&mut self, text: &str) {
        self.0.push(text.trim().to_owned());
    }

    pub(crate) fn section(&mut self, title: &str, text: &str) {
        if !text.trim().is_empty() {
            self.add(&format!("{title}\n{}\n{}", "-".repeat(title.chars().count()), text.trim()));
        }
    }

    /// Two dashes and a space: mail programs know the signature by them.
    pub(crate) fn end(self, publisher: &Publisher) -> String {
        format!("{}\n\n-- \n{}\n{}\n", self.0.join("\n\n"), publisher.name, publisher.mail)
    }
}

/// One line without control characters: neither a line break nor anything else can start a second header.
pub fn header_text(text: &str, chars_max: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || is_unprintable(c)).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(chars_max).collect()
}

/// A mail that cannot be sent to anybody, whatever the server says.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    #[error("not a mail address: {0:?}")]
    Address(String),
    #[error("build the message: {0}")]
    Build(#[from] lettre::error::Error),
    #[error("sign or encrypt the message: {0}")]
    Pgp(#[from] PgpError),
    /// What may only go encrypted does not go without.
    #[error("no valid OpenPGP key of the recipient is on file any more")]
    NoKey,
}

/// # Errors
/// Where `text` is no address; only the plain form `name@host` is one.
pub fn address_parse(text: &str) -> Result<lettre::Address, MessageError> {
    text.trim().parse().map_err(|_| MessageError::Address(header_text(text, 80)))
}

/// What protects a mail on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Armour<'a> {
    /// Signs every mail about a case; without a key of ours none is signed.
    pub own: Option<&'a OwnKey>,
    /// The recipient's keys.
    pub keys: &'a [ContactKey],
}

/// The finished message (RFC 5322, CRLF), signed and encrypted as far as there are keys (RFC 3156). `message_id` is the row's
/// own and the same at every attempt.
///
/// # Errors
/// Where the recipient is no address, or the mail may only go encrypted and cannot.
pub fn message(mail: &Mail, from: &Mailbox, message_id: &str, date: Timestamp, armour: Armour<'_>) -> Result<Message, MessageError> {
    let now = date;
    let date = SystemTime::UNIX_EPOCH + Duration::from_millis(date.0.max(0).unsigned_abs());
    let builder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, address_parse(&mail.recipient)?))
        .subject(header_text(&mail.subject, SUBJECT_CHARS_MAX))
        .date(date)
        .message_id(Some(message_id.to_owned()));
    // RFC 3834: no out-of-office answers to us, please. Where a person writes, an absence is worth knowing.
    let builder = if mail.topic == Topic::Incident { builder } else { raw_header(builder, "Auto-Submitted", "auto-generated") };
    let builder = mail.headers.iter().fold(builder, |builder, (name, value)| raw_header(builder, name, value));
    let text = mail.secret.as_ref().map_or_else(|| mail.text.clone(), |secret| mail.text.replace(SECRET_MARK, secret));
    let key = armour.keys.iter().find(|key| key.usable(now));
    match (armour.own, key) {
        (Some(own), Some(key)) if mail.topic != Topic::Advisory => Ok(builder.multipart(encrypted(own, key, text, now)?)?),
        _ if mail.sealed => Err(MessageError::NoKey),
        (Some(own), _) if mail.topic != Topic::Advisory => Ok(builder.multipart(signed(own, text)?)?),
        _ => Ok(builder.header(ContentType::TEXT_PLAIN).body(text)?),
    }
}

/// Quoted-printable, so that nothing on the way has a reason to change what is signed.
fn text_part(text: String) -> (SinglePart, Vec<u8>) {
    let part = SinglePart::builder().header(ContentType::TEXT_PLAIN).header(ContentTransferEncoding::QuotedPrintable).body(text);
    let mut bytes = part.formatted();
    // The last line's end belongs to the boundary (RFC 3156, 5).
    bytes.truncate(bytes.len().saturating_sub(2));
    (part, bytes)
}

fn signed(own: &OwnKey, text: String) -> Result<MultiPart, MessageError> {
    let (part, bytes) = text_part(text);
    let signature = SinglePart::builder().header(content_type("application/pgp-signature; name=\"signature.asc\"")).body(own.sign(&bytes)?);
    let kind = MultiPart::signed("application/pgp-signature".to_owned(), MICALG.to_owned());
    Ok(kind.singlepart(part).singlepart(signature))
}

fn encrypted(own: &OwnKey, key: &ContactKey, text: String, now: Timestamp) -> Result<MultiPart, MessageError> {
    let (_, bytes) = text_part(text);
    let version = SinglePart::builder().header(content_type("application/pgp-encrypted")).body("Version: 1\r\n".to_owned());
    let sealed = own.seal(&bytes, key, now)?;
    let sealed = SinglePart::builder().header(content_type("application/octet-stream; name=\"encrypted.asc\"")).body(sealed);
    Ok(MultiPart::encrypted("application/pgp-encrypted".to_owned()).singlepart(version).singlepart(sealed))
}

fn content_type(text: &str) -> ContentType {
    ContentType::parse(text).unwrap_or(ContentType::TEXT_PLAIN)
}

/// A name that is no header name is dropped: it can only come from a mistake of ours.
fn raw_header(builder: MessageBuilder, name: &str, value: &str) -> MessageBuilder {
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    match HeaderName::new_from_ascii(name.to_owned()) {
        Ok(name) if plain => builder.raw_header(HeaderValue::new(name, header_text(value, HEADER_CHARS_MAX))),
        _ => builder,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;

    use super::*;
    use crate::advisory::tests::sample;
    use crate::advisory::{AdvisoryId, State};
    use crate::csaf::tests::publisher;

    fn id(n: u128) -> ingest::id::Ulid {
        ingest::id::Ulid(n)
    }

    fn advisory(tlp: Tlp) -> Advisory {
        let mut content = sample();
        content.tlp = tlp;
        Advisory {
            id: AdvisoryId(id(1)),
            number: Some("WID-TH-2026-0001".into()),
            state: State::Published,
            content,
            editors: vec![],
            approver: None,
            revision: 2,
            row_version: 4,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
            published_at: Some(Timestamp(1_795_266_127_000)),
            released_at: Some(Timestamp(1_795_266_127_000)),
        }
    }

    fn addressee() -> Addressee<'static> {
        Addressee {
            body: BodyId(id(2)),
            body_name: "Stadt Sömmerda",
            contact: ContactId(id(3)),
            contact_name: "Erika Muster",
            email: "isb@soemmerda.example",
            reason: "der Schweregrad mindestens mittel ist",
            token: "t0ken".into(),
        }
    }

    pub(crate) fn mail() -> Mail {
        warning_mail(&advisory(Tlp::Green), Occasion::First, addressee(), &publisher())
    }

    fn shown(mail: &Mail) -> String {
        format!("{}\n\n{}", mail.subject, mail.text.replace(SECRET_MARK, "<token>"))
    }

    #[test]
    fn a_warning() {
        expect![[r#"
            [TLP:GREEN] WID-TH-2026-0001 Sicherheitswarnung (kritisch) - Kritische Lücke in Beispiel-VPN

            TLP:GREEN
            Sicherheitswarnung WID-TH-2026-0001, Stand 21.11.2026, 14:02 Uhr

            Guten Tag Erika Muster,

            Kritische Lücke in Beispiel-VPN

            Schweregrad: kritisch · Bedrohungsstufe: 3 (orange) · CVSS 3.1: 9.8 · CVE-2026-12345

            Was ist passiert?
            -----------------
            Angreifer können ohne Anmeldung beliebige Befehle ausführen.

            Wie schlimm ist es?
            -------------------
            Die Lücke wird bereits ausgenutzt.

            Sind Sie betroffen?
            -------------------
            Öffnen Sie die Verwaltung, Seite „Über“. Steht dort eine Version vor 7.2, sind Sie betroffen.
            Betroffene Produkte:
            - Beispiel AG Beispiel-VPN < 7.2

            Was ist zu tun?
            ---------------
            1. Version 7.2 einspielen. (bis 23.11.2026, 12:00 Uhr)
            2. Verwaltung aus dem Internet nehmen.

            Bitte geben Sie uns Bescheid
            ----------------------------
            Gelesen, betroffen, nicht betroffen oder behoben? Ein Klick genügt:
            https://wartburg.example/w/<token>

            Quellen
            -------
            - Hersteller: https://vendor.example/a?b=1

            Kontakt
            -------
            Telefon 0361 000000, Mo-Fr 8-16 Uhr

            Stadt Sömmerda (Erika Muster) erhält diese Meldung, weil der Schweregrad mindestens mittel ist.

            -- 
            ThüringenCERT
            wid@cert.example
        "#]]
        .assert_eq(&shown(&mail()));
    }

    #[test]
    fn an_update_says_what_changed_and_a_withdrawal_asks_for_nothing() {
        let update = warning_mail(&advisory(Tlp::Clear), Occasion::Update("Ein Update liegt nun vor."), addressee(), &publisher());
        expect![[r#"
            [TLP:CLEAR] WID-TH-2026-0001 Sicherheitswarnung (kritisch) - Aktualisierung 2: Kritische Lücke in Beispiel-VPN

            TLP:CLEAR
            Sicherheitswarnung WID-TH-2026-0001, Stand 21.11.2026, 14:02 Uhr

            Guten Tag Erika Muster,

            diese Meldung wurde aktualisiert. Ein Update liegt nun vor.
        "#]]
        .assert_eq(&shown(&update).lines().take(9).collect::<Vec<_>>().join("\n"));
        let withdrawal = warning_mail(&advisory(Tlp::Clear), Occasion::Withdrawal("Der Hersteller irrte."), addressee(), &publisher());
        expect![[r#"
            [TLP:CLEAR] WID-TH-2026-0001 Sicherheitswarnung (kritisch) - Zurückgezogen: Kritische Lücke in Beispiel-VPN

            TLP:CLEAR
            Sicherheitswarnung WID-TH-2026-0001, Stand 21.11.2026, 14:02 Uhr

            Guten Tag Erika Muster,

            diese Meldung ist zurückgezogen. Der Hersteller irrte.
            Sie müssen nichts weiter tun.

            Kritische Lücke in Beispiel-VPN

            Schweregrad: kritisch · Bedrohungsstufe: 3 (orange) · CVSS 3.1: 9.8 · CVE-2026-12345

            Was ist passiert?
            -----------------
            Angreifer können ohne Anmeldung beliebige Befehle ausführen.

            Wie schlimm ist es?
            -------------------
            Die Lücke wird bereits ausgenutzt.

            Quellen
            -------
            - Hersteller: https://vendor.example/a?b=1

            Kontakt
            -------
            Telefon 0361 000000, Mo-Fr 8-16 Uhr

            Stadt Sömmerda (Erika Muster) erhält diese Meldung, weil der Schweregrad mindestens mittel ist.

            -- 
            ThüringenCERT
            wid@cert.example
        "#]]
        .assert_eq(&shown(&withdrawal));
    }

    #[test]
    fn from_amber_on_the_mail_says_nothing_of_the_matter() {
        for tlp in [Tlp::Amber, Tlp::AmberStrict, Tlp::Red] {
            let shown = shown(&warning_mail(&advisory(tlp), Occasion::Update("Beispiel-VPN"), addressee(), &publisher()));
            for word in ["Beispiel", "VPN", "CVE", "7.2", "Lücke"] {
                assert!(!shown.contains(word), "{tlp:?} {word}: {shown}");
            }
        }
        let red = warning_mail(&advisory(Tlp::Red), Occasion::First, addressee(), &publisher());
        expect![[r#"
            [TLP:RED] WID-TH-2026-0001 Sicherheitswarnung (kritisch) - Bitte im Portal lesen

            Guten Tag Erika Muster,

            für Stadt Sömmerda liegt eine Meldung vor: Sicherheitswarnung WID-TH-2026-0001, Schweregrad kritisch.

            Sie ist als TLP:RED eingestuft. Ihr Inhalt steht deshalb nicht in dieser Mail; Sie lesen und bestätigen sie hier:
            https://wartburg.example/w/<token>

            Bitte leiten Sie diese Mail nicht weiter: Der Link ist nur für Sie bestimmt.

            Kontakt
            -------
            Telefon 0361 000000, Mo-Fr 8-16 Uhr

            -- 
            ThüringenCERT
            wid@cert.example
        "#]]
        .assert_eq(&shown(&red));
    }

    #[test]
    fn a_recommendation() {
        let steps = [
            RecommendedStep {
                title: "Konto sperren",
                text: "Im Verzeichnisdienst.\nAuch im VPN.",
                due_at: Some(Timestamp(1_795_266_127_000)),
            },
            RecommendedStep { title: "Kennwort ändern", text: "", due_at: None },
        ];
        let mut recommendation = Recommendation {
            key: "recommendation/1/isb".into(),
            incident: "01".into(),
            number: "VF-2026-0007",
            title: "Anmeldeversuche auf einem Server",
            tlp: Tlp::Green,
            body: BodyId(id(2)),
            body_name: "Stadt Sömmerda",
            contact: ContactId(id(3)),
            contact_name: "Erika Muster",
            email: "isb@soemmerda.example",
            observation: "Von 192.0.2.1 kamen 400 Anmeldeversuche; der letzte gelang.",
            steps: &steps,
            token: "t0ken".into(),
            until: Timestamp(1_797_858_127_000),
        };
        expect![[r#"
            [TLP:GREEN] VF-2026-0007 Handlungsempfehlung - Anmeldeversuche auf einem Server

            TLP:GREEN
            Handlungsempfehlung zum Vorfall VF-2026-0007

            Guten Tag Erika Muster,

            bei Stadt Sömmerda ist uns etwas aufgefallen: Anmeldeversuche auf einem Server

            Was haben wir gesehen?
            ----------------------
            Von 192.0.2.1 kamen 400 Anmeldeversuche; der letzte gelang.

            Was empfehlen wir?
            ------------------
            1. Konto sperren (bis 21.11.2026, 14:02 Uhr)
               Im Verzeichnisdienst.
               Auch im VPN.
            2. Kennwort ändern

            Bitte geben Sie uns Bescheid
            ----------------------------
            Was haben Sie umgesetzt, was nicht? Hier lesen und antworten Sie, ohne Anmeldung:
            https://wartburg.example/empfehlung/<token>
            Der Link gilt bis 21.12.2026, 14:02 Uhr und nur für Sie; bitte geben Sie ihn nicht weiter. Mit einem Konto steht alles hier:
            https://wartburg.example/vorfall/VF-2026-0007

            Kontakt
            -------
            Telefon 0361 000000, Mo-Fr 8-16 Uhr

            -- 
            ThüringenCERT
            wid@cert.example
        "#]]
        .assert_eq(&shown(&recommendation_mail(&recommendation, &publisher())));
        recommendation.tlp = Tlp::Amber;
        let amber = shown(&recommendation_mail(&recommendation, &publisher()));
        assert!(!amber.contains("192.0.2.1") && !amber.contains("Konto sperren") && !amber.contains("Anmeldeversuche"), "{amber}");
    }

    fn formatted(mail: &Mail) -> String {
        let from = "ThüringenCERT <wid@cert.example>".parse().unwrap();
        String::from_utf8(message(mail, &from, "<row@cert.example>", Timestamp(1_795_266_127_000), Armour::default()).unwrap().formatted())
            .unwrap()
    }

    #[test]
    fn the_message_as_it_travels() {
        let mut mail = mail();
        mail.text = format!("Grüße {SECRET_MARK}\n.\nFrom hier\n");
        expect![[r#"
            From: =?utf-8?b?VGjDvHJpbmdlbkNFUlQ=?= <wid@cert.example>
            To: isb@soemmerda.example
            Subject: [TLP:GREEN] WID-TH-2026-0001 Sicherheitswarnung (kritisch) -
             Kritische =?utf-8?b?TMO8Y2tl?= in Beispiel-VPN
            Date: Sat, 21 Nov 2026 13:02:07 +0000
            Message-ID: <row@cert.example>
            Auto-Submitted: auto-generated
            List-Unsubscribe: <mailto:wid@cert.example?subject=Abmeldung%20WID>
            Content-Type: text/plain; charset=utf-8
            Content-Transfer-Encoding: quoted-printable

            Gr=C3=BC=C3=9Fe t0ken
            .
            From hier
        "#]]
        .assert_eq(&formatted(&mail).replace("\r\n", "\n"));
    }

    #[test]
    fn no_text_starts_a_second_header() {
        let attacks = [
            "x\r\nBcc: victim@x.example",
            "x\nBcc: victim@x.example",
            "x\rBcc: victim@x.example",
            "x\u{0}\r\n\r\nBcc: victim@x.example",
            "x\u{2028}Bcc: victim@x.example",
            "x\u{85}Bcc: victim@x.example",
            "x\u{b}Bcc: victim@x.example",
            "=?utf-8?q?x=0D=0ABcc:_victim?=",
            "\r\n.\r\nMAIL FROM:<x@x.example>",
        ];
        for attack in attacks {
            // lettre encodes what is left; ours is the first line of defence and is judged alone.
            assert!(!header_text(attack, 250).contains(is_unprintable), "{attack:?}");
            let mut mail = mail();
            mail.headers.push(("X-Test".into(), attack.into()));
            mail.headers.push((attack.into(), "x".into()));
            mail.subject = attack.into();
            let formatted = formatted(&mail);
            let head = formatted.split("\r\n\r\n").next().unwrap();
            let names: Vec<&str> =
                head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])).map(|line| line.split(':').next().unwrap()).collect();
            let expected = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "List-Unsubscribe",
                "X-Test",
                "Content-Type",
                "MIME-Version",
                "Content-Transfer-Encoding",
            ];
            assert!(names.iter().all(|name| expected.contains(name)), "{attack:?}: {names:?}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "x",
            "x@",
            "@x.example",
            "a@x.example\r\nRCPT TO:<b@x.example>",
            "a@x.example>",
            "a b@x.example",
            "a@x.example,b@x.example",
            "Erika <a@x.example>",
            "a@x..example",
        ] {
            assert!(address_parse(bad).is_err(), "{bad}");
        }
        assert_eq!(address_parse(" isb@soemmerda.example ").unwrap().to_string(), "isb@soemmerda.example");
    }
}
