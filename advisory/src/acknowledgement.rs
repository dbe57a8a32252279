//! Who was addressed, and what they answered: by the link in their mail or in the portal. A click is an answer; opening the
//! page is none, because mail filters open every link.
//!
//! The link's token (`token`) may be used as often as one likes: first *gelesen*, days later *behoben*.

use std::collections::BTreeMap;

use ingest::body::{BodyId, ContactId};
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::advisory::{Advisory, AdvisoryId, text_enum, tidy_text};
use crate::store::{COMMENT_CHARS_MAX, advisory_published, record};
use crate::token::{is_token, token_hash, token_new};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "acknowledgement",
    steps: &["
        CREATE TABLE addressee (
            advisory TEXT NOT NULL,
            body TEXT NOT NULL,
            reason TEXT NOT NULL,
            addressed_at BIGINT NOT NULL,
            answer TEXT,
            answered_at BIGINT,
            answered_by TEXT,
            comment TEXT,
            answers BIGINT NOT NULL DEFAULT 0,
            PRIMARY KEY (advisory, body)
        );
        CREATE INDEX addressee_body ON addressee (body);
        CREATE TABLE ack_token (
            hash TEXT PRIMARY KEY,
            advisory TEXT NOT NULL,
            body TEXT NOT NULL,
            contact TEXT NOT NULL,
            created_at BIGINT NOT NULL
        );
    "],
};

text_enum! {
    /// What a body says about an advisory.
    Answer {
        Gelesen = "gelesen", "Gelesen";
        Betroffen = "betroffen", "Betroffen";
        NichtBetroffen = "nicht_betroffen", "Nicht betroffen";
        Behoben = "behoben", "Behoben";
    }
}

/// Answers recorded per body and advisory: a handful is normal, and a stuck script must not fill the history.
const ANSWERS_MAX: i64 = 100;

/// The page behind a link.
#[derive(Clone, Debug, Serialize)]
pub struct AckView {
    /// The last published text.
    pub advisory: Advisory,
    pub body: BodyId,
    pub body_name: String,
    pub contact: ContactId,
    pub contact_name: String,
    /// What the body answered last, and when.
    pub answer: Option<Answer>,
    pub answered_at: Option<Timestamp>,
}

/// What became of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    Recorded,
    /// Word for word the last answer: nothing new to record.
    Known,
    /// More answers than anybody needs.
    TooMany,
    /// No such link, or the body was not addressed.
    Unknown,
}

/// One line of an advisory's board.
#[derive(Clone, Debug, Serialize)]
pub struct BoardRow {
    pub body: BodyId,
    pub body_name: String,
    pub reason: String,
    pub addressed_at: Timestamp,
    pub answer: Option<Answer>,
    pub answered_at: Option<Timestamp>,
    /// `contact:<id>` or a user's id.
    pub answered_by: Option<String>,
    pub comment: Option<String>,
    /// People to call when nobody answers.
    pub contacts: i64,
    pub mails_open: i64,
    pub mails_sent: i64,
    pub mails_failed: i64,
}

/// What a link shows; `None` for anything that is no token of ours, or whose contact is gone.
///
/// # Errors
/// The database's own.
pub fn ack_open(connection: &Connection, token: &str) -> Result<Option<AckView>, DbError> {
    let Some(link) = link_find(connection, token)? else { return Ok(None) };
    let Some(advisory) = advisory_published(connection, link.advisory)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(
        "SELECT b.name, c.name, d.answer, d.answered_at FROM addressee d JOIN body b ON b.id = d.body JOIN contact c ON c.id = ?3
         WHERE d.advisory = ?1 AND d.body = ?2",
    )?;
    let view = statement.query_row(params![link.advisory, link.body, link.contact], |row| {
        Ok(AckView {
            advisory,
            body: link.body,
            body_name: row.get(0)?,
            contact: link.contact,
            contact_name: row.get(1)?,
            answer: row.get(2)?,
            answered_at: row.get::<_, Option<i64>>(3)?.map(Timestamp),
        })
    });
    Ok(view.optional()?)
}

/// Records an answer given by the link.
///
/// # Errors
/// The database's own.
pub fn ack_record(tx: &Transaction<'_>, token: &str, answer: Answer, comment: &str, now: Timestamp) -> Result<AckOutcome, DbError> {
    match link_find(tx, token)? {
        Some(link) => answer_record(tx, link.advisory, link.body, &format!("contact:{}", link.contact), answer, comment, now),
        None => Ok(AckOutcome::Unknown),
    }
}

/// Records an answer given in the portal by `user`, or taken down by an analyst on the phone.
///
/// # Errors
/// The database's own.
#[expect(clippy::too_many_arguments, reason = "who, what, for whom and when are all facts of the answer")]
pub fn ack_record_body(
    tx: &Transaction<'_>,
    scope: &Scope,
    advisory: AdvisoryId,
    body: BodyId,
    user: &str,
    answer: Answer,
    comment: &str,
    now: Timestamp,
) -> Result<AckOutcome, DbError> {
    if scope.body_allowed(Some(body)) { answer_record(tx, advisory, body, user, answer, comment, now) } else { Ok(AckOutcome::Unknown) }
}

/// Every addressed body with its latest answer: those who have not answered first.
///
/// # Errors
/// The database's own.
pub fn ack_board(connection: &Connection, scope: &Scope, advisory: AdvisoryId) -> Result<Vec<BoardRow>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT d.body, b.name, d.reason, d.addressed_at, d.answer, d.answered_at, d.answered_by, d.comment,
             (SELECT COUNT(*) FROM contact c WHERE c.body = d.body),
             (SELECT COUNT(*) FROM outbox o WHERE o.about = d.advisory AND o.body = d.body AND o.state IN ('queued', 'sending')),
             (SELECT COUNT(*) FROM outbox o WHERE o.about = d.advisory AND o.body = d.body AND o.state = 'sent'),
             (SELECT COUNT(*) FROM outbox o WHERE o.about = d.advisory AND o.body = d.body AND o.state IN ('failed', 'bounced'))
         FROM addressee d JOIN body b ON b.id = d.body WHERE d.advisory = ?1
         ORDER BY CASE WHEN d.answer IS NULL THEN 0 ELSE 1 END, b.name",
    )?;
    let rows = statement.query_map([advisory], |row| {
        Ok(BoardRow {
            body: row.get(0)?,
            body_name: row.get(1)?,
            reason: row.get(2)?,
            addressed_at: Timestamp(row.get(3)?),
            answer: row.get(4)?,
            answered_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
            answered_by: row.get(6)?,
            comment: row.get(7)?,
            contacts: row.get(8)?,
            mails_open: row.get(9)?,
            mails_sent: row.get(10)?,
            mails_failed: row.get(11)?,
        })
    })?;
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(rows.into_iter().filter(|row| scope.body_allowed(Some(row.body))).collect())
}

/// Makes a token and keeps its hash; the token itself goes into the mail only.
pub(crate) fn token_add(
    tx: &Transaction<'_>,
    advisory: AdvisoryId,
    body: BodyId,
    contact: ContactId,
    now: Timestamp,
) -> Result<String, DbError> {
    let token = token_new();
    tx.prepare_cached("INSERT INTO ack_token (hash, advisory, body, contact, created_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![token_hash(&token), advisory, body, contact, now.0])?;
    Ok(token)
}

/// Notes that a body was addressed; a second time changes nothing.
pub(crate) fn addressee_add(tx: &Transaction<'_>, advisory: AdvisoryId, body: BodyId, reason: &str, now: Timestamp) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO addressee (advisory, body, reason, addressed_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (advisory, body) DO NOTHING",
    )?
    .execute(params![advisory, body, reason, now.0])?;
    Ok(())
}

/// The bodies addressed so far and why.
pub(crate) fn addressee_reasons(connection: &Connection, advisory: AdvisoryId) -> Result<BTreeMap<BodyId, String>, DbError> {
    let mut statement = connection.prepare_cached("SELECT body, reason FROM addressee WHERE advisory = ?1")?;
    let rows = statement.query_map([advisory], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

struct Link {
    advisory: AdvisoryId,
    body: BodyId,
    contact: ContactId,
}

fn link_find(connection: &Connection, token: &str) -> Result<Option<Link>, DbError> {
    if !is_token(token) {
        return Ok(None);
    }
    // The contact must still be one of the body's: who left the administration has lost the link.
    let mut statement = connection.prepare_cached(
        "SELECT t.advisory, t.body, t.contact FROM ack_token t JOIN contact c ON c.id = t.contact AND c.body = t.body WHERE t.hash = ?1",
    )?;
    let link = statement.query_row([token_hash(token)], |row| Ok(Link { advisory: row.get(0)?, body: row.get(1)?, contact: row.get(2)? }));
    Ok(link.optional()?)
}

fn answer_record(
    tx: &Transaction<'_>,
    advisory: AdvisoryId,
    body: BodyId,
    by: &str,
    answer: Answer,
    comment: &str,
    now: Timestamp,
) -> Result<AckOutcome, DbError> {
    let comment: String = tidy_text(comment).chars().take(COMMENT_CHARS_MAX).collect();
    let mut statement = tx.prepare_cached("SELECT answer, comment, answers FROM addressee WHERE advisory = ?1 AND body = ?2")?;
    let last = statement.query_row(params![advisory, body], |row| {
        Ok((row.get::<_, Option<Answer>>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, i64>(2)?))
    });
    let Some((last, last_comment, answers)) = last.optional()? else { return Ok(AckOutcome::Unknown) };
    // A deputy who reads what the ISB has already answered takes nothing back.
    let only_read = answer == Answer::Gelesen && comment.is_empty() && last.is_some();
    if only_read || (last == Some(answer) && last_comment.as_deref() == Some(&comment)) {
        return Ok(AckOutcome::Known);
    }
    if answers >= ANSWERS_MAX {
        return Ok(AckOutcome::TooMany);
    }
    let stands = if answer == Answer::Gelesen { last.unwrap_or(answer) } else { answer };
    tx.prepare_cached(
        "UPDATE addressee SET answer = ?3, answered_at = ?4, answered_by = ?5, comment = ?6, answers = answers + 1 WHERE advisory = ?1 AND body = ?2",
    )?
    .execute(params![advisory, body, stands, now.0, by, comment])?;
    let data = json!({ "answer": answer, "by": by, "comment": comment });
    record(tx, advisory, Some(body), "advisory.ack", by, data, now)?;
    let further = match answer {
        Answer::NichtBetroffen => Some("advisory.not_affected"),
        Answer::Behoben => Some("advisory.remediated"),
        Answer::Gelesen | Answer::Betroffen => None,
    };
    if let Some(kind) = further {
        record(tx, advisory, Some(body), kind, by, json!({ "answer": answer, "by": by }), now)?;
    }
    Ok(AckOutcome::Recorded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::tests::sample;
    use crate::csaf::tests::publisher;
    use crate::outbox::outbox_claim;
    use crate::publication::{Deliver, Order, advisory_publish};
    use crate::store::tests::{Fixture, author};

    /// The sample published, and the tokens as the three mails carry them: Sömmerda's two, Apolda's one (by recipient).
    fn published() -> (Fixture, AdvisoryId, BTreeMap<String, String>) {
        let fixture = Fixture::new();
        let approved = fixture.approved(sample(), Timestamp(5));
        let published = fixture
            .write(move |tx| {
                let order = Order { actor: &author(), publisher: &publisher(), deliver: Deliver::Mail, note: "" };
                advisory_publish(tx, approved.id, approved.row_version, &order, Timestamp(6))
            })
            .unwrap();
        let rows =
            fixture.db.write(|tx| outbox_claim(tx, "x.example", 10, Timestamp(7))).unwrap_or_else(|error: DbError| panic!("{error}"));
        let tokens = rows.into_iter().map(|row| (row.mail.recipient, row.mail.secret.unwrap())).collect();
        (fixture, published.advisory.id, tokens)
    }

    fn answer(fixture: &Fixture, token: &str, answer: Answer, comment: &str, now: i64) -> AckOutcome {
        let (token, comment) = (token.to_owned(), comment.to_owned());
        fixture
            .db
            .write(move |tx| ack_record(tx, &token, answer, &comment, Timestamp(now)))
            .unwrap_or_else(|error: DbError| panic!("{error}"))
    }

    fn board(fixture: &Fixture, scope: &Scope, advisory: AdvisoryId) -> Vec<String> {
        let rows = fixture.db.read(|c| ack_board(c, scope, advisory)).unwrap();
        let line = |row: BoardRow| {
            let answer = row.answer.map_or("-", Answer::label);
            format!(
                "{}: {answer} {} ({} contacts, {} open)",
                row.body_name,
                row.answered_at.map_or(0, |at| at.0),
                row.contacts,
                row.mails_open
            )
        };
        rows.into_iter().map(line).collect()
    }

    #[test]
    fn answers_follow_each_other_and_the_board_shows_the_last() {
        let (fixture, advisory, tokens) = published();
        let isb = &tokens["isb@stadt-soemmerda.example"];
        let deputy = &tokens["deputy@stadt-soemmerda.example"];
        assert_eq!(
            board(&fixture, &Scope::All, advisory),
            ["Stadt Apolda: - 0 (1 contacts, 1 open)", "Stadt Sömmerda: - 0 (2 contacts, 2 open)", "VG Ohne: - 0 (0 contacts, 0 open)"]
        );
        assert_eq!(answer(&fixture, isb, Answer::Gelesen, "", 10), AckOutcome::Recorded);
        assert_eq!(answer(&fixture, isb, Answer::Betroffen, "zwei\r\nGeräte\u{0}", 20), AckOutcome::Recorded);
        assert_eq!(answer(&fixture, deputy, Answer::Gelesen, "", 30), AckOutcome::Known, "reading takes nothing back");
        assert_eq!(answer(&fixture, isb, Answer::Behoben, "", 40), AckOutcome::Recorded);
        assert_eq!(answer(&fixture, isb, Answer::Behoben, "", 41), AckOutcome::Known);
        assert_eq!(board(&fixture, &Scope::All, advisory)[2], "Stadt Sömmerda: Behoben 40 (2 contacts, 2 open)");
        assert_eq!(board(&fixture, &Scope::Bodies(vec![fixture.bodies[1]]), advisory), ["Stadt Apolda: - 0 (1 contacts, 1 open)"]);
        let view = fixture.db.read(|c| ack_open(c, deputy)).unwrap().unwrap();
        assert_eq!((view.body_name.as_str(), view.contact_name.as_str(), view.answer), ("Stadt Sömmerda", "deputy", Some(Answer::Behoben)));
        let mut acks: Vec<String> = fixture
            .history(&advisory.to_string())
            .iter()
            .filter(|event| event.event_time.0 >= 10)
            .map(|event| format!("{} {} {}", event.event_time.0, event.kind, event.data["answer"]))
            .collect();
        // Events of one millisecond have no order of their own.
        acks.sort();
        assert_eq!(
            acks,
            [
                "10 advisory.ack \"gelesen\"",
                "20 advisory.ack \"betroffen\"",
                "40 advisory.ack \"behoben\"",
                "40 advisory.remediated \"behoben\""
            ]
        );
    }

    #[test]
    fn a_guessed_token_opens_nothing() {
        let (fixture, advisory, tokens) = published();
        let good = tokens["isb@stadt-soemmerda.example"].clone();
        assert!(fixture.db.read(|c| ack_open(c, &good)).unwrap().is_some());
        let stored: String =
            fixture.db.read(|c| c.query_row("SELECT hash FROM ack_token LIMIT 1", [], |row| row.get(0)).map_err(DbError::from)).unwrap();
        let flipped = format!("{}{}", if good.starts_with('0') { '1' } else { '0' }, &good[1..]);
        let guesses = [
            String::new(),
            "0".repeat(64),
            flipped,
            stored,
            good.to_uppercase(),
            format!("{good} "),
            format!("{good}0"),
            good[..63].to_owned(),
            "' OR 1=1 --".to_owned(),
            format!("{}%", &good[..63]),
            "ü".repeat(32),
            advisory.to_string(),
        ];
        for guess in guesses {
            assert!(fixture.db.read(|c| ack_open(c, &guess)).unwrap().is_none(), "{guess}");
            assert_eq!(answer(&fixture, &guess, Answer::Behoben, "", 9), AckOutcome::Unknown, "{guess}");
        }
        assert!(tokens.values().collect::<std::collections::BTreeSet<_>>().len() == 3);
    }

    #[test]
    fn a_contact_who_left_has_lost_the_link() {
        let (fixture, _, tokens) = published();
        let token = tokens["deputy@stadt-soemmerda.example"].clone();
        fixture.db.write(|tx| tx.execute("DELETE FROM contact WHERE role = 'deputy'", []).map_err(DbError::from)).unwrap();
        assert!(fixture.db.read(|c| ack_open(c, &token)).unwrap().is_none());
        assert_eq!(answer(&fixture, &token, Answer::Gelesen, "", 9), AckOutcome::Unknown);
    }

    #[test]
    fn the_portal_answers_only_for_its_own_bodies() {
        let (fixture, advisory, _) = published();
        let (own, other) = (fixture.bodies[0], fixture.bodies[1]);
        let record = |scope: Scope, body| {
            fixture
                .db
                .write(move |tx| ack_record_body(tx, &scope, advisory, body, "user", Answer::NichtBetroffen, "", Timestamp(9)))
                .unwrap_or_else(|error: DbError| panic!("{error}"))
        };
        assert_eq!(record(Scope::Bodies(vec![own]), other), AckOutcome::Unknown);
        assert_eq!(record(Scope::Bodies(vec![own]), own), AckOutcome::Recorded);
        assert_eq!(record(Scope::All, BodyId::default()), AckOutcome::Unknown, "never addressed");
    }

    #[test]
    fn a_stuck_script_is_stopped() {
        let (fixture, _, tokens) = published();
        let token = &tokens["isb@stadt-apolda.example"];
        for n in 0..100 {
            assert_eq!(answer(&fixture, token, Answer::Betroffen, &n.to_string(), n), AckOutcome::Recorded);
        }
        assert_eq!(answer(&fixture, token, Answer::Betroffen, "noch einer", 101), AckOutcome::TooMany);
    }
}
