//! One-time links by which a body's contact reports an incident without a login. Opening a link uses nothing up, because
//! mail filters open every link; sending the form does. The database holds a link's hash only, and with it for which body
//! and which contact it was made: nobody can report for another one.

use detect::incident::{CaseError, IncidentId, Origin, Report, demand, incident_labels, incident_open_manual};
use detect::role::{Action, Role};
use ingest::body::{BodyId, Contact, ContactId, body_get, contact_list};
use ingest::db::{DbError, Migrations};
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::json;

use crate::csaf::Publisher;
use crate::mail::{Mail, Paragraphs, SECRET_MARK, Topic, german_time};
use crate::outbox::outbox_add;
use crate::token::{is_token, token_hash, token_new};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "self_report",
    steps: &["
        CREATE TABLE report_link (
            hash TEXT PRIMARY KEY,
            body TEXT NOT NULL,
            contact TEXT NOT NULL,
            created_by TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            until_at BIGINT NOT NULL,
            used_at BIGINT,
            incident TEXT
        );
        CREATE INDEX report_link_body ON report_link (body, created_at);
        CREATE INDEX report_link_created ON report_link (created_at);
    "],
};

/// Somebody who has to report does so soon; longer, and the link lies in a mailbox that others read.
pub const LINK_MILLIS: i64 = 48 * Timestamp::HOUR;
/// How long a used link still shows its receipt: somebody reloads the page, or looks for the number.
const RECEIPT_MILLIS: i64 = 24 * Timestamp::HOUR;
/// Links in a day for one contact and for one body. Whoever needs more rings up; a stuck script fills no mailbox.
const CONTACT_DAY_MAX: i64 = 5;
const BODY_DAY_MAX: i64 = 20;
/// Spent links are kept so long, for the list of the analysts.
const KEEP_MILLIS: i64 = 90 * Timestamp::DAY;
/// Lines of that list.
const LIST_MAX: usize = 100;

/// What a link opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkView {
    Open(Link),
    /// Used up: the receipt.
    Used(Receipt),
}

/// For whom somebody reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub body: BodyId,
    pub body_name: String,
    pub contact: ContactId,
    pub contact_name: String,
    pub email: String,
    pub until: Timestamp,
}

/// What became of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub incident: IncidentId,
    pub number: String,
    pub at: Timestamp,
    pub email: String,
}

/// A link as the analysts' list shows it: never with what opens it.
#[derive(Clone, Debug)]
pub struct ListedLink {
    pub body_name: String,
    pub contact_name: String,
    /// A user's id, or `contact` where somebody asked for it on the public page.
    pub created_by: String,
    pub created_at: Timestamp,
    pub until: Timestamp,
    pub used_at: Option<Timestamp>,
    pub number: Option<String>,
}

/// An analyst makes a link for a contact: mailed where `mail` says how, else returned to be shown once.
///
/// # Errors
/// `Forbidden`; `NotFound` for a contact that is not the body's; `Invalid` beyond the day's bounds; the database's own.
pub fn link_issue(
    tx: &Transaction<'_>,
    body: BodyId,
    contact: ContactId,
    mail: Option<&Publisher>,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Option<String>, CaseError> {
    demand(Action::IncidentOpen, role)?;
    let known = contact_list(tx, body)?.into_iter().find(|known| known.id == contact);
    let known = known.ok_or_else(|| CaseError::NotFound { noun: "contact", id: contact.to_string() })?;
    let Some(token) = link_add(tx, &known, actor, now)? else {
        return Err(CaseError::Invalid { what: "links", value: known.body.to_string(), wanted: "fewer links in a day" });
    };
    match mail {
        Some(publisher) => {
            link_mail(tx, &known, token, publisher, now)?;
            Ok(None)
        }
        None => Ok(Some(token)),
    }
}

/// Somebody asks for a link on the public page. Only a known contact of that body gets one, by mail; nothing that comes
/// back tells whether somebody is one.
///
/// # Errors
/// The database's own.
pub fn link_request(tx: &Transaction<'_>, body: BodyId, email: &str, publisher: &Publisher, now: Timestamp) -> Result<(), DbError> {
    let email = email.trim().to_lowercase();
    let Some(contact) = contact_list(tx, body)?.into_iter().find(|known| known.email.trim().to_lowercase() == email) else {
        return Ok(());
    };
    if let Some(token) = link_add(tx, &contact, "contact", now)? {
        link_mail(tx, &contact, token, publisher, now)?;
    }
    Ok(())
}

/// What a link opens; `None` for what is none, has run out, or belonged to somebody who is no contact any more.
///
/// # Errors
/// The database's own.
pub fn link_open(connection: &Connection, token: &str, now: Timestamp) -> Result<Option<LinkView>, DbError> {
    if !is_token(token) {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(
        "SELECT l.body, b.name, l.contact, c.name, c.email, l.until_at, l.used_at, l.incident, i.number
         FROM report_link l JOIN contact c ON c.id = l.contact AND c.body = l.body JOIN body b ON b.id = l.body
         LEFT JOIN incident i ON i.id = l.incident
         WHERE l.hash = ?1",
    )?;
    let found = statement.query_row([token_hash(token)], |row| {
        let link = Link {
            body: row.get(0)?,
            body_name: row.get(1)?,
            contact: row.get(2)?,
            contact_name: row.get(3)?,
            email: row.get(4)?,
            until: Timestamp(row.get(5)?),
        };
        let used: Option<(i64, IncidentId, String)> = match (row.get(6)?, row.get(7)?, row.get(8)?) {
            (Some(at), Some(incident), Some(number)) => Some((at, incident, number)),
            _ => None,
        };
        Ok((link, used))
    });
    Ok(found.optional()?.and_then(|(link, used)| match used {
        Some((at, incident, number)) => {
            let receipt = Receipt { incident, number, at: Timestamp(at), email: link.email };
            (now.since(receipt.at) < RECEIPT_MILLIS).then_some(LinkView::Used(receipt))
        }
        None => (now < link.until).then_some(LinkView::Open(link)),
    }))
}

/// Takes a report: uses the link up, opens the case and mails the receipt, all or nothing. `None` where the link does not
/// work any more; of two at once one comes too late.
///
/// # Errors
/// `Invalid` where nothing was said or the time cannot be; the database's own.
pub fn report_submit(
    tx: &Transaction<'_>,
    token: &str,
    report: &Report,
    publisher: &Publisher,
    now: Timestamp,
) -> Result<Option<Receipt>, CaseError> {
    let Some(LinkView::Open(link)) = link_open(tx, token, now)? else { return Ok(None) };
    let actor = format!("contact:{}", link.contact);
    let new = report.incident(Origin::SelfReport, Some(link.body), now);
    let incident = incident_open_manual(tx, &Scope::Bodies(vec![link.body]), &new, &actor, Role::Municipality, now)?;
    let used = tx
        .prepare_cached("UPDATE report_link SET used_at = ?2, incident = ?3 WHERE hash = ?1 AND used_at IS NULL")?
        .execute(params![token_hash(token), now.0, incident])?;
    if used != 1 {
        return Err(CaseError::Invalid { what: "link", value: String::new(), wanted: "one that is not used yet" });
    }
    let data = json!({ "channel": "form", "contact": link.contact });
    let event = NewHistory {
        event_time: now,
        kind: "report.received",
        subject: incident.to_string(),
        body: Some(link.body),
        actor,
        data,
        corrects: None,
    };
    history_add(tx, now, &event)?;
    let number = incident_labels(tx, &Scope::All, &[incident])?.remove(&incident).map(|label| label.number).unwrap_or_default();
    let receipt = Receipt { incident, number, at: now, email: link.email.clone() };
    outbox_add(tx, &receipt_mail(&receipt, &link, publisher), now)?;
    Ok(Some(receipt))
}

/// The newest links first.
///
/// # Errors
/// The database's own.
pub fn link_list(connection: &Connection) -> Result<Vec<ListedLink>, DbError> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT b.name, c.name, l.created_by, l.created_at, l.until_at, l.used_at, i.number
         FROM report_link l JOIN body b ON b.id = l.body LEFT JOIN contact c ON c.id = l.contact
         LEFT JOIN incident i ON i.id = l.incident
         ORDER BY l.created_at DESC, l.hash LIMIT {LIST_MAX}"
    ))?;
    let rows = statement.query_map([], |row| {
        Ok(ListedLink {
            body_name: row.get(0)?,
            contact_name: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            created_by: row.get(2)?,
            created_at: Timestamp(row.get(3)?),
            until: Timestamp(row.get(4)?),
            used_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
            number: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes a token for a contact and keeps its hash; `None` where the day's bound is reached.
fn link_add(tx: &Transaction<'_>, contact: &Contact, by: &str, now: Timestamp) -> Result<Option<String>, DbError> {
    let since = now.plus(-Timestamp::DAY).0;
    let count = |column: &str, id: String| {
        let sql = format!("SELECT COUNT(*) FROM report_link WHERE {column} = ?1 AND created_at > ?2");
        tx.prepare_cached(&sql)?.query_row(params![id, since], |row| row.get::<_, i64>(0)).map_err(DbError::from)
    };
    if count("contact", contact.id.to_string())? >= CONTACT_DAY_MAX || count("body", contact.body.to_string())? >= BODY_DAY_MAX {
        return Ok(None);
    }
    tx.prepare_cached("DELETE FROM report_link WHERE created_at < ?1")?.execute([now.plus(-KEEP_MILLIS).0])?;
    let token = token_new();
    tx.prepare_cached("INSERT INTO report_link (hash, body, contact, created_by, created_at, until_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![token_hash(&token), contact.body, contact.id, by, now.0, now.plus(LINK_MILLIS).0])?;
    Ok(Some(token))
}

fn link_mail(tx: &Transaction<'_>, contact: &Contact, token: String, publisher: &Publisher, now: Timestamp) -> Result<(), DbError> {
    let body_name = body_get(tx, contact.body)?.map(|body| body.name).unwrap_or_default();
    let mut text = Paragraphs::default();
    text.add(&format!("Guten Tag {},", contact.name));
    text.add(&format!(
        "über diesen Link melden Sie uns einen Sicherheitsvorfall bei {body_name}. Sie brauchen dafür kein Konto:\n{}/melden/{SECRET_MARK}",
        publisher.base_url
    ));
    text.add(&format!(
        "Er gilt bis {} und für eine Meldung. Bitte geben Sie ihn nicht weiter. Haben Sie keinen Link angefordert, löschen Sie diese Mail; es ist nichts geschehen.",
        german_time(now.plus(LINK_MILLIS))
    ));
    text.section("Kontakt", &format!("Wenn es eilt oder die Mail nicht mehr sicher ist, rufen Sie uns an.\n{}", publisher.contact));
    let mail = Mail {
        key: format!("report-link/{}", token_hash(&token)),
        recipient: contact.email.clone(),
        subject: "ThüringenCERT: Ihr Link zum Melden eines Vorfalls".into(),
        text: text.end(publisher),
        headers: Vec::new(),
        secret: Some(token),
        sealed: false,
        topic: Topic::Report,
        about: contact.body.to_string(),
        body: Some(contact.body),
        contact: Some(contact.id),
    };
    outbox_add(tx, &mail, now).map(drop)
}

/// Nothing of what was reported stands in it: the mail travels in the open.
fn receipt_mail(receipt: &Receipt, link: &Link, publisher: &Publisher) -> Mail {
    let mut text = Paragraphs::default();
    text.add(&format!("Guten Tag {},", link.contact_name));
    text.add(&format!(
        "Ihre Meldung für {} ist am {} bei uns eingegangen. Sie hat die Nummer {}.",
        link.body_name,
        german_time(receipt.at),
        receipt.number
    ));
    text.add("Wir melden uns bei der Person, die Sie genannt haben. Schalten Sie betroffene Geräte bis dahin nicht aus; trennen Sie sie, wenn möglich, vom Netz.");
    text.add("Fällt Ihnen noch etwas ein, antworten Sie auf diese Mail und lassen Sie den Betreff, wie er ist.");
    text.add(&format!("Mit einem Konto sehen Sie den Stand hier:\n{}/vorfall/{}", publisher.base_url, receipt.number));
    text.section("Kontakt", &publisher.contact);
    Mail {
        key: format!("report-receipt/{}", receipt.incident),
        recipient: link.email.clone(),
        subject: format!("{} Ihre Meldung ist eingegangen", receipt.number),
        text: text.end(publisher),
        headers: Vec::new(),
        secret: None,
        sealed: false,
        topic: Topic::Report,
        about: receipt.incident.to_string(),
        body: Some(link.body),
        contact: Some(link.contact),
    }
}

#[cfg(test)]
mod tests {
    use detect::incident::{incident_get, replay};

    use super::*;
    use crate::csaf::tests::publisher;
    use crate::outbox::outbox_claim;
    use crate::store::tests::Fixture;

    const NOW: Timestamp = Timestamp(1_000_000_000);

    fn report() -> Report {
        Report { what: "Alle Dateien sind verschlüsselt.".into(), caller: "Frau Beyer".into(), ..Report::default() }
    }

    fn ask(fixture: &Fixture, body: usize, email: &str, at: Timestamp) {
        let (body, email) = (fixture.bodies[body], email.to_owned());
        fixture.db.write(move |tx| link_request(tx, body, &email, &publisher(), at)).unwrap();
    }

    /// The links in the mails that are due: (recipient, token).
    fn mailed(fixture: &Fixture, at: Timestamp) -> Vec<(String, String)> {
        let rows = fixture.db.write(move |tx| outbox_claim(tx, "example", 100, at)).unwrap_or_else(|error: DbError| panic!("{error}"));
        rows.into_iter().filter_map(|row| Some((row.mail.recipient, row.mail.secret?))).collect()
    }

    fn submit(fixture: &Fixture, token: &str, at: Timestamp) -> Result<Option<Receipt>, CaseError> {
        let token = token.to_owned();
        fixture.db.write(move |tx| report_submit(tx, &token, &report(), &publisher(), at))
    }

    fn open(fixture: &Fixture, token: &str, at: Timestamp) -> Option<LinkView> {
        fixture.db.read(|c| link_open(c, token, at)).unwrap()
    }

    #[test]
    fn only_a_contact_of_that_body_gets_a_link() {
        let fixture = Fixture::new();
        for (body, email) in [
            (1, "isb@stadt-soemmerda.example"), // another body's
            (0, "fremd@stadt-soemmerda.example"),
            (0, ""),
            (2, "isb@stadt-soemmerda.example"),
        ] {
            ask(&fixture, body, email, NOW);
        }
        assert!(mailed(&fixture, NOW).is_empty());
        ask(&fixture, 0, " ISB@Stadt-Soemmerda.example ", NOW);
        let mails = mailed(&fixture, NOW);
        assert_eq!(mails.len(), 1);
        assert_eq!(mails[0].0, "isb@stadt-soemmerda.example");
        let stored: String =
            fixture.db.read(|c| c.query_row("SELECT hash FROM report_link", [], |row| row.get(0)).map_err(DbError::from)).unwrap();
        assert!(stored != mails[0].1 && stored == token_hash(&mails[0].1), "only its hash is kept");
    }

    #[test]
    fn a_link_reports_once_and_then_shows_its_receipt() {
        let fixture = Fixture::new();
        ask(&fixture, 0, "isb@stadt-soemmerda.example", NOW);
        let token = mailed(&fixture, NOW).remove(0).1;
        assert!(matches!(open(&fixture, &token, NOW), Some(LinkView::Open(_))));
        assert!(matches!(open(&fixture, &token, NOW), Some(LinkView::Open(_))), "looking uses nothing up");
        let at = NOW.plus(Timestamp::HOUR);
        let receipt = submit(&fixture, &token, at).unwrap().expect("it works once");
        assert!(receipt.number.starts_with("TC-"), "{receipt:?}");
        assert_eq!(submit(&fixture, &token, at).unwrap(), None, "and only once");
        assert_eq!(open(&fixture, &token, at), Some(LinkView::Used(receipt.clone())));
        assert_eq!(open(&fixture, &token, at.plus(RECEIPT_MILLIS)), None);
        let view = fixture.db.read(|c| incident_get(c, &Scope::Bodies(vec![fixture.bodies[0]]), receipt.incident)).unwrap().unwrap();
        assert_eq!((view.incident.origin, view.incident.body), (Origin::SelfReport, Some(fixture.bodies[0])));
        let kinds: Vec<&str> = view.history.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["incident.first_activity", "incident.aware", "incident.opened", "report.received"]);
        assert!(view.history.iter().all(|event| event.actor.starts_with("contact:")), "who reported stands in the history");
        assert!(replay(&view.history).is_some());
        let mails = fixture.db.write(move |tx| outbox_claim(tx, "example", 10, at)).unwrap_or_else(|error: DbError| panic!("{error}"));
        assert_eq!(mails.len(), 1);
        assert!(mails[0].mail.text.contains(&receipt.number) && !mails[0].mail.text.contains("verschlüsselt"), "{}", mails[0].mail.text);
    }

    #[test]
    fn a_link_runs_out_and_belongs_to_whoever_is_still_a_contact() {
        let fixture = Fixture::new();
        ask(&fixture, 0, "isb@stadt-soemmerda.example", NOW);
        let token = mailed(&fixture, NOW).remove(0).1;
        let late = NOW.plus(LINK_MILLIS);
        assert_eq!((open(&fixture, &token, late), submit(&fixture, &token, late).unwrap()), (None, None));
        fixture.db.write(|tx| tx.execute("DELETE FROM contact WHERE role = 'isb'", []).map(drop).map_err(DbError::from)).unwrap();
        assert_eq!(open(&fixture, &token, NOW), None);
        for strange in ["", "fehlt", &"A".repeat(64), &"0".repeat(64), &format!("{token}0")] {
            assert_eq!(open(&fixture, strange, NOW), None, "{strange}");
        }
    }

    #[test]
    fn a_mailbox_is_not_filled() {
        let fixture = Fixture::new();
        for n in 0..20 {
            ask(&fixture, 0, "isb@stadt-soemmerda.example", NOW.plus(n));
        }
        assert_eq!(mailed(&fixture, NOW.plus(100)).len(), usize::try_from(CONTACT_DAY_MAX).unwrap());
        ask(&fixture, 0, "isb@stadt-soemmerda.example", NOW.plus(Timestamp::DAY + 100));
        assert_eq!(mailed(&fixture, NOW.plus(2 * Timestamp::DAY)).len(), 1, "the next day it works again");
    }

    #[test]
    fn an_analyst_makes_links_and_nobody_else() {
        let fixture = Fixture::new();
        let body = fixture.bodies[0];
        let contact = fixture.db.read(|c| contact_list(c, body)).unwrap().remove(0).id;
        let issue = |role: Role, body: BodyId| fixture.db.write(move |tx| link_issue(tx, body, contact, None, "anna", role, NOW));
        for role in Role::ALL {
            let made = issue(role, body);
            assert_eq!(made.is_ok(), matches!(role, Role::Analyst | Role::Lead), "{role:?}");
            if let Ok(token) = made {
                assert!(matches!(open(&fixture, &token.unwrap(), NOW), Some(LinkView::Open(_))));
            }
        }
        assert!(matches!(issue(Role::Analyst, fixture.bodies[1]), Err(CaseError::NotFound { .. })), "a foreign body's contact");
        assert_eq!(fixture.db.read(link_list).unwrap().len(), 2);
    }
}
