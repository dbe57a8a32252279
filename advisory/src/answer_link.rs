//! The links in the mails about a recommendation: the body's contact reads what is recommended and answers it without a
//! login. Opening a link changes nothing, because mail filters open every link; only its form does. A link belongs to one
//! recommendation and one contact. It ends when everything is answered, when the case is closed, when the contact has left
//! the body, and after some time; each reminder brings a new one.

use detect::incident::{CaseError, State, Tlp};
use detect::recommendation::{
    Answer, Recommendation, RecommendationId, RecommendationState, Via, Word, recommendation_answer, recommendation_get,
};
use detect::role::Role;
use ingest::body::{BodyId, ContactId};
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;

use crate::mailroom::sealed_needed;
use crate::token::{is_token, token_hash, token_new};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "answer_link",
    steps: &["
        CREATE TABLE answer_link (
            hash TEXT PRIMARY KEY,
            recommendation TEXT NOT NULL,
            contact TEXT NOT NULL,
            created_at BIGINT NOT NULL,
            until_at BIGINT NOT NULL,
            answers BIGINT NOT NULL DEFAULT 0
        );
        CREATE INDEX answer_link_recommendation ON answer_link (recommendation);
        CREATE INDEX answer_link_until ON answer_link (until_at);
    "],
};

/// As long as containment and its confirmation take, with somebody on holiday in between; reminders bring new links.
pub const LINK_MILLIS: i64 = 30 * Timestamp::DAY;
/// Links that have run out say so for some time, then they are unknown.
const KEEP_MILLIS: i64 = 90 * Timestamp::DAY;
/// Answers by one link: a handful for each step is normal, and a stuck script must not fill the history.
const ANSWERS_MAX: i64 = 100;

/// What a link opens.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkView {
    Open(Box<Asked>),
    /// It worked once; why it does not any more, and the case's number.
    Ended(Ended, String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Closed,
    Expired,
}

/// What a contact is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    pub recommendation: Recommendation,
    /// The case's.
    pub number: String,
    pub tlp: Tlp,
    pub body: BodyId,
    pub body_name: String,
    pub contact: ContactId,
    pub until: Timestamp,
}

impl Asked {
    /// Whether the text may be shown to whoever has the link: it travelled in a mail that nobody encrypted. From TLP:AMBER
    /// on the link takes the answer only.
    pub fn readable(&self) -> bool {
        !sealed_needed(self.tlp)
    }

    /// Whether everything is answered: then the last word stands, and the link has done its work.
    pub fn answered(&self) -> bool {
        matches!(self.recommendation.state, RecommendationState::Done | RecommendationState::Declined)
    }
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Recorded,
    /// More answers than anybody needs.
    TooMany,
    /// The link does not work, or not any more.
    Ended,
}

/// Makes a link for a contact; the token goes into the mail only.
///
/// # Errors
/// The database's own.
pub fn link_add(tx: &Transaction<'_>, recommendation: RecommendationId, contact: ContactId, now: Timestamp) -> Result<String, DbError> {
    tx.prepare_cached("DELETE FROM answer_link WHERE until_at < ?1")?.execute([now.plus(-KEEP_MILLIS).0])?;
    let token = token_new();
    tx.prepare_cached("INSERT INTO answer_link (hash, recommendation, contact, created_at, until_at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![token_hash(&token), recommendation, contact, now.0, now.plus(LINK_MILLIS).0])?;
    Ok(token)
}

/// What a link opens; `None` for what is none of ours, or belonged to somebody who is no contact of that body any more.
///
/// # Errors
/// The database's own.
pub fn link_open(connection: &Connection, token: &str, now: Timestamp) -> Result<Option<LinkView>, DbError> {
    if !is_token(token) {
        return Ok(None);
    }
    // Whose the case is now: a case that was moved to another body takes no answer of the one it was thought to be.
    let mut statement = connection.prepare_cached(
        "SELECT l.recommendation, l.until_at, i.number, i.tlp, i.state, b.id, b.name, c.id
         FROM answer_link l JOIN recommendation r ON r.id = l.recommendation JOIN incident i ON i.id = r.incident
         JOIN contact c ON c.id = l.contact AND c.body = i.body JOIN body b ON b.id = i.body
         WHERE l.hash = ?1",
    )?;
    let found = statement.query_row([token_hash(token)], |row| {
        let (tlp, state): (String, String) = (row.get(3)?, row.get(4)?);
        Ok(Found {
            recommendation: row.get(0)?,
            until: Timestamp(row.get(1)?),
            number: row.get(2)?,
            // A label or a state that this program does not know opens nothing.
            tlp: Tlp::parse(&tlp).unwrap_or(Tlp::Red),
            closed: State::parse(&state).is_none_or(|state| state == State::Closed),
            body: row.get(5)?,
            body_name: row.get(6)?,
            contact: row.get(7)?,
        })
    });
    let Some(found) = found.optional()? else { return Ok(None) };
    if found.closed {
        return Ok(Some(LinkView::Ended(Ended::Closed, found.number)));
    }
    if now >= found.until {
        return Ok(Some(LinkView::Ended(Ended::Expired, found.number)));
    }
    let own = Scope::Bodies(vec![found.body]);
    let recommendation = recommendation_get(connection, &own, found.recommendation)?;
    Ok(recommendation.map(|recommendation| {
        let Found { number, tlp, body, body_name, contact, until, .. } = found;
        LinkView::Open(Box::new(Asked { recommendation, number, tlp, body, body_name, contact, until }))
    }))
}

struct Found {
    recommendation: RecommendationId,
    until: Timestamp,
    number: String,
    tlp: Tlp,
    closed: bool,
    body: BodyId,
    body_name: String,
    contact: ContactId,
}

/// Takes an answer given by a link, exactly as one given in the portal by that body. What comes after everything is answered
/// changes nothing.
///
/// # Errors
/// `Invalid` without a reason or with an unknown step, `Transition` where the words contradict; the database's own.
pub fn link_answer(tx: &Transaction<'_>, token: &str, step: Option<usize>, word: Word, now: Timestamp) -> Result<Outcome, CaseError> {
    let Some(LinkView::Open(asked)) = link_open(tx, token, now)? else { return Ok(Outcome::Ended) };
    if asked.answered() {
        return Ok(Outcome::Recorded);
    }
    let counted = tx
        .prepare_cached("UPDATE answer_link SET answers = answers + 1 WHERE hash = ?1 AND answers < ?2")?
        .execute(params![token_hash(token), ANSWERS_MAX])?;
    if counted != 1 {
        return Ok(Outcome::TooMany);
    }
    let answer = Answer { step, word, via: Via::Link(asked.contact) };
    let (scope, actor) = (Scope::Bodies(vec![asked.body]), format!("contact:{}", asked.contact));
    recommendation_answer(tx, &scope, asked.recommendation.id, &answer, &actor, Role::Municipality, now)?;
    Ok(Outcome::Recorded)
}

#[cfg(test)]
mod tests {
    use detect::alert::Disposition;
    use detect::incident::{Change, IncidentId, Origin, Report, incident_change, incident_open_manual};
    use detect::playbook::Playbooks;
    use detect::recommendation::{recommendation_add, recommendation_send};
    use expect_test::expect;
    use ingest::body::contact_list;

    use super::*;
    use crate::store::tests::Fixture;

    const NOW: Timestamp = Timestamp(1_795_248_000_000);

    struct World {
        fixture: Fixture,
        incident: IncidentId,
        recommendation: RecommendationId,
        contact: ContactId,
        token: String,
    }

    /// A case of Sömmerda with a recommendation that was sent, and its ISB's link.
    fn world() -> World {
        let fixture = Fixture::new();
        let body = fixture.bodies[0];
        let contact = fixture.db.read(|c| contact_list(c, body)).unwrap().remove(0).id;
        let (incident, recommendation, token) = fixture
            .db
            .write(move |tx| {
                let report = Report { what: "Etwas geschah".into(), ..Report::default() };
                let new = report.incident(Origin::Phone, Some(body), NOW);
                let incident = incident_open_manual(tx, &Scope::All, &new, "anna", Role::Analyst, NOW)?;
                let playbooks = Playbooks::embedded().unwrap();
                let id = recommendation_add(tx, incident, playbooks.get("allgemein").unwrap(), Role::Analyst, NOW)?;
                recommendation_send(tx, id, 1, "anna", Role::Analyst, NOW)?;
                Ok::<_, CaseError>((incident, id, link_add(tx, id, contact, NOW)?))
            })
            .unwrap();
        World { fixture, incident, recommendation, contact, token }
    }

    impl World {
        fn open(&self, now: Timestamp) -> Option<LinkView> {
            self.fixture.db.read(|c| link_open(c, &self.token, now)).unwrap()
        }

        fn say(&self, step: Option<usize>, word: Word) -> Result<Outcome, CaseError> {
            let token = self.token.clone();
            self.fixture.db.write(move |tx| link_answer(tx, &token, step, word, NOW.plus(Timestamp::HOUR)))
        }

        fn state(&self) -> RecommendationState {
            let id = self.recommendation;
            self.fixture.db.read(|c| recommendation_get(c, &Scope::All, id)).unwrap().unwrap().state
        }

        fn sql(&self, sql: &'static str) {
            self.fixture.db.write(move |tx| tx.execute_batch(sql).map_err(DbError::from)).unwrap();
        }
    }

    #[test]
    fn answers_by_link_stand_in_the_history_as_the_contacts() {
        let world = world();
        for _ in 0..3 {
            assert!(matches!(world.open(NOW), Some(LinkView::Open(_))));
        }
        assert_eq!(world.state(), RecommendationState::Sent, "opening is no answer: mail filters open every link");
        let no = Word::Declined { reason: "Kein Zugriff".into() };
        for (step, word) in [(None, Word::Seen), (Some(0), Word::InWork), (Some(1), no), (None, Word::Done { how: "Geprüft".into() })] {
            assert_eq!(world.say(step, word).unwrap(), Outcome::Recorded);
        }
        assert_eq!(world.say(None, Word::InWork).unwrap(), Outcome::Recorded, "what comes too late is heard and changes nothing");
        assert!(matches!(world.open(NOW), Some(LinkView::Open(asked)) if asked.answered()));
        let contact = format!("contact:{}", world.contact);
        let told: Vec<String> = world
            .fixture
            .history(&world.incident.to_string())
            .into_iter()
            .filter(|event| event.actor == contact)
            .map(|event| format!("{} via {} {}", event.kind, event.data["via"], event.data["reason"]))
            .collect();
        expect![[r#"
            recommendation.ack via "link" null
            recommendation.step via "link" null
            recommendation.in_work via "link" null
            recommendation.step via "link" "Kein Zugriff"
            recommendation.done via "link" "Geprüft""#]]
        .assert_eq(&told.join("\n"));
    }

    #[test]
    fn a_link_ends_with_its_time_its_case_and_its_contact() {
        let world = world();
        let ended = |why| Some(LinkView::Ended(why, "TC-2026-000001".into()));
        assert!(matches!(world.open(NOW.plus(LINK_MILLIS - 1)), Some(LinkView::Open(_))));
        assert_eq!(world.open(NOW.plus(LINK_MILLIS)), ended(Ended::Expired));
        let incident = world.incident;
        world
            .fixture
            .db
            .write(move |tx| {
                incident_change(tx, incident, 1, &Change::Move { to: State::Triaged, at: None }, "anna", Role::Analyst, NOW)?;
                let close = Change::Close { disposition: Disposition::FalsePositive, at: None };
                incident_change(tx, incident, 2, &close, "anna", Role::Lead, NOW)
            })
            .unwrap();
        assert_eq!(world.open(NOW), ended(Ended::Closed));
        assert_eq!(world.say(None, Word::DONE).unwrap(), Outcome::Ended);
        assert_eq!(world.state(), RecommendationState::Sent);
        let reopen = Change::Move { to: State::Triaged, at: None };
        world.fixture.db.write(move |tx| incident_change(tx, incident, 3, &reopen, "anna", Role::Lead, NOW)).unwrap();
        assert!(matches!(world.open(NOW), Some(LinkView::Open(_))), "a case that is opened again asks again");
        world.sql("DELETE FROM contact WHERE role = 'isb'");
        assert_eq!(world.open(NOW), None, "who has left the body has lost the link");
        for strange in ["", "fehlt", &"0".repeat(64), &format!("{}0", world.token)] {
            assert_eq!(world.fixture.db.read(|c| link_open(c, strange, NOW)).unwrap(), None, "{strange}");
        }
    }

    #[test]
    fn a_case_that_turns_out_to_be_another_bodys_takes_no_answer() {
        let world = world();
        let other = world.fixture.bodies[1].to_string();
        world.fixture.db.write(move |tx| tx.execute("UPDATE incident SET body = ?1", [other]).map_err(DbError::from)).unwrap();
        assert_eq!(world.open(NOW), None);
        assert_eq!(world.say(None, Word::DONE).unwrap(), Outcome::Ended);
        assert_eq!(world.state(), RecommendationState::Sent);
    }

    #[test]
    fn only_the_hash_is_kept_and_a_stuck_script_is_stopped() {
        let world = world();
        let stored: String =
            world.fixture.db.read(|c| c.query_row("SELECT hash FROM answer_link", [], |row| row.get(0)).map_err(DbError::from)).unwrap();
        assert_eq!(stored, token_hash(&world.token));
        for _ in 0..ANSWERS_MAX {
            assert_eq!(world.say(None, Word::Seen).unwrap(), Outcome::Recorded);
        }
        assert_eq!(world.say(None, Word::DONE).unwrap(), Outcome::TooMany);
        assert_eq!(world.state(), RecommendationState::Seen);
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let world = world();
        assert!(matches!(world.say(None, Word::Declined { reason: " ".into() }), Err(CaseError::Invalid { .. })));
        assert!(matches!(world.say(Some(99), Word::DONE), Err(CaseError::Invalid { .. })));
        assert_eq!(world.state(), RecommendationState::Sent);
        let contact = format!("contact:{}", world.contact);
        assert!(world.fixture.history(&world.incident.to_string()).iter().all(|event| event.actor != contact));
    }

    #[test]
    fn from_amber_on_the_link_opens_no_text() {
        let world = world();
        for (tlp, readable) in [(Tlp::Clear, true), (Tlp::Green, true), (Tlp::Amber, false), (Tlp::AmberStrict, false), (Tlp::Red, false)] {
            let label = tlp.as_str();
            world.fixture.db.write(move |tx| tx.execute("UPDATE incident SET tlp = ?1", [label]).map_err(DbError::from)).unwrap();
            let Some(LinkView::Open(asked)) = world.open(NOW) else { panic!("{label}") };
            assert_eq!(asked.readable(), readable, "{label}");
        }
    }
}
