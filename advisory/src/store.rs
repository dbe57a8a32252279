//! The advisories' tables and the steps of a text up to its approval; `publication` takes it from there. Each step is one
//! transaction of the caller's, checks the version it was made from, and is recorded in the history:
//!
//! | kind | when | data |
//! |---|---|---|
//! | `advisory.drafted`, `.submitted`, `.returned`, `.approved`, `.revised` | the steps here | `comment`, `revision` |
//! | `advisory.source_published` | event time of the first source, at the first publication | |
//! | `advisory.published` | the first publication | `number`, `severity`, `kind`, `tlp`, `revision`, `addressed` |
//! | `advisory.updated`, `.withdrawn` | later ones | the same and `summary` |
//! | `advisory.sent` | queued, per body and contact | `revision`, `contact`, `severity` |
//! | `advisory.delivered`, `.bounced` | the mail server's answer (`outbox`) | `mail`, `key`, `contact`, `error` |
//! | `advisory.ack` | each answer of a body | `answer`, `by`, `comment` |
//! | `advisory.not_affected`, `.remediated` | beside the ack that says so | `answer`, `by` |
//!
//! The subject is always the `AdvisoryId`, the body the one that was addressed or answered.

use chrono::Datelike;
use chrono_tz::Europe::Berlin;
use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::types::Value as SqlValue;
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params, params_from_iter};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::json;

use crate::advisory::{Advisory, AdvisoryId, AdvisoryNumber, Content, Problem, State, content_problems, tidy_text};
use crate::gate::Finding;
use crate::workflow::{Actor, Refusal, edit_check, transition_check};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "advisory",
    steps: &["
        CREATE TABLE advisory (
            id TEXT PRIMARY KEY,
            number TEXT UNIQUE,
            state TEXT NOT NULL,
            title TEXT NOT NULL,
            content TEXT NOT NULL,
            editors TEXT NOT NULL,
            approver TEXT,
            revision BIGINT NOT NULL,
            row_version BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            published_at BIGINT,
            released_at BIGINT
        );
        CREATE TABLE advisory_number (
            year BIGINT PRIMARY KEY,
            serial BIGINT NOT NULL
        );
        CREATE TABLE advisory_version (
            advisory TEXT NOT NULL REFERENCES advisory (id),
            revision BIGINT NOT NULL,
            at BIGINT NOT NULL,
            tlp TEXT NOT NULL,
            title TEXT NOT NULL,
            summary TEXT NOT NULL,
            withdrawal TEXT,
            content TEXT NOT NULL,
            approver TEXT,
            publisher TEXT NOT NULL,
            csaf_path TEXT NOT NULL,
            csaf TEXT NOT NULL,
            PRIMARY KEY (advisory, revision)
        );
    "],
};

/// Why a step did not happen; nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum AdvisoryError {
    #[error("no advisory {0}")]
    NotFound(AdvisoryId),
    #[error("the advisory was changed meanwhile: made from version {expected}, now at {found}")]
    Conflict { expected: i64, found: i64 },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the text has {} problems", .0.len())]
    Problems(Vec<Problem>),
    #[error("the CSAF document has {} findings that forbid publication", .0.len())]
    Csaf(Vec<Finding>),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<ingest::rusqlite::Error> for AdvisoryError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// A new draft; whoever begins it has written at it.
///
/// # Errors
/// Where the actor is no author, or the database's own.
pub fn advisory_draft(tx: &Transaction<'_>, content: Content, actor: &Actor, now: Timestamp) -> Result<Advisory, AdvisoryError> {
    edit_check(State::Draft, actor)?;
    let content = content.tidied();
    let advisory = Advisory {
        id: AdvisoryId::new(now),
        number: None,
        state: State::Draft,
        content,
        editors: vec![actor.user.clone()],
        approver: None,
        revision: 0,
        row_version: 1,
        created_at: now,
        updated_at: now,
        published_at: None,
        released_at: None,
    };
    tx.execute(
        "INSERT INTO advisory (id, state, title, content, editors, revision, row_version, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 1, ?6, ?6)",
        params![advisory.id, advisory.state, advisory.content.title, to_json(&advisory.content), to_json(&advisory.editors), now.0],
    )?;
    step_record(tx, &advisory, "advisory.drafted", "", actor, now)?;
    Ok(advisory)
}

/// Replaces a draft's text. `expected` is the `row_version` that the author saw. Drafts may be unfinished: problems count at
/// the submission.
///
/// # Errors
/// Where somebody else saved meanwhile, the text is no draft, or the actor no author.
pub fn advisory_edit(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    content: Content,
    actor: &Actor,
    now: Timestamp,
) -> Result<Advisory, AdvisoryError> {
    let mut advisory = advisory_expect(tx, id, expected)?;
    edit_check(advisory.state, actor)?;
    advisory.content = content.tidied();
    editor_add(&mut advisory, actor);
    advisory_save(tx, advisory, now)
}

/// To review. The text must have no problems.
///
/// # Errors
/// The problems, a refusal, or a conflict.
pub fn advisory_submit(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    actor: &Actor,
    now: Timestamp,
) -> Result<Advisory, AdvisoryError> {
    let advisory = advisory_expect(tx, id, expected)?;
    let problems = content_problems(&advisory.content);
    if !problems.is_empty() {
        return Err(AdvisoryError::Problems(problems));
    }
    advisory_move(tx, advisory, State::InReview, "advisory.submitted", "", actor, now)
}

/// Back to its author, with a comment that says why.
///
/// # Errors
/// A refusal or a conflict.
pub fn advisory_return(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    comment: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Advisory, AdvisoryError> {
    let mut advisory = advisory_expect(tx, id, expected)?;
    // The same step of the table leads from a published text to its update: that is `advisory_revise`.
    if advisory.state == State::Published {
        return Err(Refusal::NoSuchStep { from: State::Published, to: State::Draft }.into());
    }
    advisory.approver = None;
    advisory_move(tx, advisory, State::Draft, "advisory.returned", comment, actor, now)
}

/// A second person found it right.
///
/// # Errors
/// A refusal (also: the own text) or a conflict.
pub fn advisory_approve(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    comment: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Advisory, AdvisoryError> {
    let mut advisory = advisory_expect(tx, id, expected)?;
    advisory.approver = Some(actor.user.clone());
    advisory_move(tx, advisory, State::Approved, "advisory.approved", comment, actor, now)
}

/// Begins an update of a published text, which stays up unchanged until the update is published.
///
/// # Errors
/// A refusal or a conflict.
pub fn advisory_revise(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    actor: &Actor,
    now: Timestamp,
) -> Result<Advisory, AdvisoryError> {
    let mut advisory = advisory_expect(tx, id, expected)?;
    if advisory.state != State::Published {
        return Err(Refusal::NoSuchStep { from: advisory.state, to: State::Draft }.into());
    }
    advisory.approver = None;
    let mut advisory = advisory_move(tx, advisory, State::Draft, "advisory.revised", "", actor, now)?;
    // Who begins an update answers for its text, even without changing a letter.
    advisory.editors = vec![actor.user.clone()];
    tx.execute("UPDATE advisory SET editors = ?2 WHERE id = ?1", params![advisory.id, to_json(&advisory.editors)])?;
    Ok(advisory)
}

/// One advisory as `scope` may see it: the working text for the CERT; for a body the last published one, and only where it
/// was addressed or the label is open to all bodies.
///
/// # Errors
/// The database's own.
pub fn advisory_get(connection: &Connection, scope: &Scope, id: AdvisoryId) -> Result<Option<Advisory>, DbError> {
    let (sql, mut values) = match scope_query(scope) {
        Some(query) => query,
        None => return Ok(None),
    };
    values.push(id.to_string().into());
    let mut statement = connection.prepare_cached(&format!("{sql} AND a.id = ?"))?;
    let mut rows = statement.query_map(params_from_iter(values), advisory_from_row)?;
    Ok(rows.next().transpose()?)
}

/// What the list shows.
#[derive(Clone, Debug, Default)]
pub struct AdvisoryFilter {
    pub state: Option<State>,
    /// Part of the title or the number.
    pub text: String,
    /// Rows to skip.
    pub offset: usize,
    /// At most `LIST_MAX`.
    pub limit: usize,
}

/// A page of the list; more makes no one wiser and the page slow.
pub const LIST_MAX: usize = 200;

/// The newest first, as `scope` may see them.
///
/// # Errors
/// The database's own.
pub fn advisory_list(connection: &Connection, scope: &Scope, filter: &AdvisoryFilter) -> Result<Vec<Advisory>, DbError> {
    let Some((mut sql, mut values)) = scope_query(scope) else { return Ok(Vec::new()) };
    let published_only = matches!(scope, Scope::Bodies(_));
    if let Some(state) = filter.state {
        sql.push_str(if published_only {
            " AND CASE WHEN v.withdrawal IS NULL THEN 'published' ELSE 'withdrawn' END = ?"
        } else {
            " AND a.state = ?"
        });
        values.push(state.as_str().to_owned().into());
    }
    if !filter.text.trim().is_empty() {
        // SQLite folds ASCII only: umlauts must be typed as they are written.
        sql.push_str(if published_only {
            r" AND (LOWER(v.title) LIKE ? ESCAPE '\' OR LOWER(a.number) LIKE ? ESCAPE '\')"
        } else {
            r" AND (LOWER(a.title) LIKE ? ESCAPE '\' OR LOWER(a.number) LIKE ? ESCAPE '\')"
        });
        let escaped = filter.text.trim().to_ascii_lowercase().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        let pattern = SqlValue::from(format!("%{escaped}%"));
        values.extend([pattern.clone(), pattern]);
    }
    sql.push_str(" ORDER BY COALESCE(a.released_at, a.updated_at) DESC, a.id DESC LIMIT ? OFFSET ?");
    for number in [filter.limit.min(LIST_MAX), filter.offset] {
        values.push(i64::try_from(number).unwrap_or(i64::MAX).into());
    }
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map(params_from_iter(values), advisory_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const COLUMNS_WORKING: &str = "SELECT a.id, a.number, a.state, a.content, a.editors, a.approver, a.revision, a.row_version, a.created_at,
    a.updated_at, a.published_at, a.released_at FROM advisory a";
/// The same columns from the last published version: what was written since does not shine through.
const COLUMNS_PUBLISHED: &str =
    "SELECT a.id, a.number, CASE WHEN v.withdrawal IS NULL THEN 'published' ELSE 'withdrawn' END, v.content, '[]', NULL,
    a.revision, a.row_version, a.published_at, v.at, a.published_at, a.released_at
    FROM advisory a JOIN advisory_version v ON v.advisory = a.id AND v.revision = a.revision";

/// The one place that says which advisories a caller sees; `None` sees nothing.
fn scope_query(scope: &Scope) -> Option<(String, Vec<SqlValue>)> {
    match scope {
        Scope::All => Some((format!("{COLUMNS_WORKING} WHERE 1 = 1"), Vec::new())),
        Scope::Bodies(bodies) if bodies.is_empty() => None,
        Scope::Bodies(bodies) => {
            let marks = vec!["?"; bodies.len()].join(", ");
            // The open labels are those of `Tlp::open_to_all_bodies`.
            let sql = format!(
                "{COLUMNS_PUBLISHED} WHERE (v.tlp IN ('clear', 'green')
                     OR EXISTS (SELECT 1 FROM addressee d WHERE d.advisory = a.id AND d.body IN ({marks})))"
            );
            Some((sql, bodies.iter().map(|body| SqlValue::from(body.to_string())).collect()))
        }
    }
}

/// The last published text whoever asks: for mails, and for the pages behind a token.
pub(crate) fn advisory_published(connection: &Connection, id: AdvisoryId) -> Result<Option<Advisory>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{COLUMNS_PUBLISHED} WHERE a.id = ?1"))?;
    Ok(statement.query_row([id], advisory_from_row).optional()?)
}

/// The working text at the version the caller saw.
pub(crate) fn advisory_expect(connection: &Connection, id: AdvisoryId, expected: i64) -> Result<Advisory, AdvisoryError> {
    let advisory = advisory_get(connection, &Scope::All, id)?.ok_or(AdvisoryError::NotFound(id))?;
    if advisory.row_version == expected { Ok(advisory) } else { Err(AdvisoryError::Conflict { expected, found: advisory.row_version }) }
}

fn advisory_move(
    tx: &Transaction<'_>,
    mut advisory: Advisory,
    to: State,
    kind: &'static str,
    comment: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<Advisory, AdvisoryError> {
    transition_check(advisory.state, to, actor, &advisory.editors)?;
    advisory.state = to;
    let advisory = advisory_save(tx, advisory, now)?;
    step_record(tx, &advisory, kind, comment, actor, now)?;
    Ok(advisory)
}

/// Writes the row and counts its version; that nobody was faster is checked once more by the statement itself.
pub(crate) fn advisory_save(tx: &Transaction<'_>, mut advisory: Advisory, now: Timestamp) -> Result<Advisory, AdvisoryError> {
    let before = advisory.row_version;
    advisory.row_version = before + 1;
    advisory.updated_at = now;
    let changed = tx.execute(
        "UPDATE advisory SET number = ?2, state = ?3, title = ?4, content = ?5, editors = ?6, approver = ?7, revision = ?8, row_version = ?9,
             updated_at = ?10, published_at = ?11, released_at = ?12
         WHERE id = ?1 AND row_version = ?13",
        params![
            advisory.id,
            advisory.number,
            advisory.state,
            advisory.content.title,
            to_json(&advisory.content),
            to_json(&advisory.editors),
            advisory.approver,
            advisory.revision,
            advisory.row_version,
            now.0,
            advisory.published_at.map(|at| at.0),
            advisory.released_at.map(|at| at.0),
            before,
        ],
    )?;
    if changed == 1 { Ok(advisory) } else { Err(AdvisoryError::Conflict { expected: before, found: before + 1 }) }
}

fn editor_add(advisory: &mut Advisory, actor: &Actor) {
    if !advisory.editors.contains(&actor.user) {
        advisory.editors.push(actor.user.clone());
    }
}

/// The number that a first publication gets now: gap-free, because it stands or falls with the caller's transaction.
pub(crate) fn number_take(tx: &Transaction<'_>, now: Timestamp) -> Result<AdvisoryNumber, DbError> {
    let year = year(now);
    let serial = tx.query_row(
        "INSERT INTO advisory_number (year, serial) VALUES (?1, 1) ON CONFLICT (year) DO UPDATE SET serial = serial + 1 RETURNING serial",
        [year],
        |row| row.get(0),
    )?;
    Ok(AdvisoryNumber { year, serial })
}

/// What `number_take` would give, for previews.
pub(crate) fn number_peek(connection: &Connection, now: Timestamp) -> Result<AdvisoryNumber, DbError> {
    let year = year(now);
    let serial: u32 =
        connection.query_row("SELECT COALESCE(MAX(serial), 0) FROM advisory_number WHERE year = ?1", [year], |row| row.get(0))?;
    Ok(AdvisoryNumber { year, serial: serial + 1 })
}

/// The year that people in Thuringia read on the calendar.
fn year(now: Timestamp) -> i32 {
    now.utc().with_timezone(&Berlin).year()
}

fn step_record(
    tx: &Transaction<'_>,
    advisory: &Advisory,
    kind: &'static str,
    comment: &str,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), DbError> {
    let comment: String = tidy_text(comment).chars().take(COMMENT_CHARS_MAX).collect();
    record(tx, advisory.id, None, kind, &actor.user, json!({ "comment": comment, "revision": advisory.revision }), now)
}

/// A comment is a paragraph; longer ones belong into the text.
pub(crate) const COMMENT_CHARS_MAX: usize = 2_000;

pub(crate) fn record(
    tx: &Transaction<'_>,
    advisory: AdvisoryId,
    body: Option<BodyId>,
    kind: &'static str,
    actor: &str,
    data: serde_json::Value,
    now: Timestamp,
) -> Result<(), DbError> {
    let event = NewHistory { event_time: now, kind, subject: advisory.to_string(), body, actor: actor.to_owned(), data, corrects: None };
    history_add(tx, now, &event)?;
    Ok(())
}

pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn advisory_from_row(row: &Row<'_>) -> ingest::rusqlite::Result<Advisory> {
    let content: String = row.get(3)?;
    let editors: String = row.get(4)?;
    // Content is written by this module only: one that does not parse is damage, and is said so instead of shown empty.
    let content = serde_json::from_str(&content)
        .map_err(|error| ingest::rusqlite::Error::FromSqlConversionFailure(3, ingest::rusqlite::types::Type::Text, Box::new(error)))?;
    Ok(Advisory {
        id: row.get(0)?,
        number: row.get(1)?,
        state: row.get(2)?,
        content,
        editors: serde_json::from_str(&editors).unwrap_or_default(),
        approver: row.get(5)?,
        revision: row.get(6)?,
        row_version: row.get(7)?,
        created_at: Timestamp(row.get(8)?),
        updated_at: Timestamp(row.get(9)?),
        published_at: row.get::<_, Option<i64>>(10)?.map(Timestamp),
        released_at: row.get::<_, Option<i64>>(11)?.map(Timestamp),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use ingest::body::{Body, BodyKind, Contact, ContactId, body_add, contact_add};
    use ingest::db::Db;
    use ingest::history::{HistoryEvent, history_of};

    use super::*;
    use crate::advisory::tests::sample;
    use crate::workflow::Role;

    /// A database with three bodies: one with an ISB and a deputy, one with an ISB, one without contacts.
    pub(crate) struct Fixture {
        pub(crate) db: Db,
        pub(crate) bodies: Vec<BodyId>,
        pub(crate) dir: tempfile::TempDir,
    }

    impl Fixture {
        pub(crate) fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let owners = [
                ingest::body::MIGRATIONS,
                ingest::history::MIGRATIONS,
                MIGRATIONS,
                crate::subscription::MIGRATIONS,
                crate::outbox::MIGRATIONS,
                crate::acknowledgement::MIGRATIONS,
                detect::alert::MIGRATIONS,
                detect::incident::MIGRATIONS,
                detect::recommendation::MIGRATIONS,
                detect::duty::MIGRATIONS,
                detect::reminder::MIGRATIONS,
                detect::exhibit::MIGRATIONS,
                crate::mailroom::MIGRATIONS,
                crate::openpgp::MIGRATIONS,
                crate::self_report::MIGRATIONS,
                crate::answer_link::MIGRATIONS,
            ];
            let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
            let bodies: Vec<BodyId> = (2..5).map(|n| BodyId(ingest::id::Ulid(n))).collect();
            let ids = bodies.clone();
            db.write(move |tx| {
                for (id, name, contacts) in [(ids[0], "Stadt Sömmerda", 2), (ids[1], "Stadt Apolda", 1), (ids[2], "VG Ohne", 0)] {
                    let body = Body { id, name: name.into(), kind: BodyKind::Gemeinde, ags: None, kreis: "16068".into(), population: 0 };
                    body_add(tx, &body, Timestamp(0))?;
                    for n in 0..contacts {
                        let role = if n == 0 { "isb" } else { "deputy" };
                        let email = format!("{role}@{}.example", name.to_lowercase().replace(' ', "-").replace('ö', "oe"));
                        let contact = Contact {
                            id: ContactId::new(Timestamp(n)),
                            body: id,
                            name: role.into(),
                            email,
                            role: role.into(),
                            confirmed_at: None,
                        };
                        contact_add(tx, &contact)?;
                    }
                }
                Ok::<(), DbError>(())
            })
            .unwrap();
            Self { db, bodies, dir }
        }

        pub(crate) fn write<T: Send + 'static>(
            &self,
            work: impl FnOnce(&Transaction<'_>) -> Result<T, AdvisoryError> + Send + 'static,
        ) -> Result<T, AdvisoryError> {
            self.db.write(work)
        }

        pub(crate) fn history(&self, subject: &str) -> Vec<HistoryEvent> {
            self.db.read(|c| history_of(c, subject)).unwrap()
        }

        /// A text written by `author` and approved by `reviewer`.
        pub(crate) fn approved(&self, content: Content, now: Timestamp) -> Advisory {
            self.write(move |tx| {
                let draft = advisory_draft(tx, content, &author(), now)?;
                let submitted = advisory_submit(tx, draft.id, draft.row_version, &author(), now)?;
                advisory_approve(tx, submitted.id, submitted.row_version, "passt", &reviewer(), now)
            })
            .unwrap()
        }
    }

    pub(crate) fn author() -> Actor {
        Actor::new("author", &Role::ALL)
    }

    pub(crate) fn reviewer() -> Actor {
        Actor::new("reviewer", &Role::ALL)
    }

    #[test]
    fn a_text_goes_to_and_fro_and_each_step_is_recorded() {
        let fixture = Fixture::new();
        let approved = fixture
            .write(|tx| {
                let mut minute = 0;
                let mut now = || {
                    minute += 1;
                    Timestamp(minute)
                };
                let draft = advisory_draft(tx, Content::empty(), &author(), now())?;
                let problems = advisory_submit(tx, draft.id, 1, &author(), now());
                assert!(matches!(problems, Err(AdvisoryError::Problems(list)) if list.len() == 2));
                let draft = advisory_edit(tx, draft.id, 1, sample(), &author(), now())?;
                assert!(matches!(
                    advisory_edit(tx, draft.id, 1, sample(), &author(), now()),
                    Err(AdvisoryError::Conflict { expected: 1, found: 2 })
                ));
                let submitted = advisory_submit(tx, draft.id, 2, &author(), now())?;
                assert!(matches!(advisory_edit(tx, draft.id, 3, sample(), &author(), now()), Err(AdvisoryError::Refused(_))));
                let returned = advisory_return(tx, submitted.id, 3, "Frist\r\nfehlt", &reviewer(), now())?;
                let submitted = advisory_submit(tx, returned.id, 4, &author(), now())?;
                advisory_approve(tx, submitted.id, 5, "", &reviewer(), now())
            })
            .unwrap();
        assert_eq!((approved.state, approved.approver.as_deref(), approved.row_version), (State::Approved, Some("reviewer"), 6));
        let steps: Vec<String> =
            fixture.history(&approved.id.to_string()).iter().map(|event| format!("{} {}", event.kind, event.data["comment"])).collect();
        assert_eq!(
            steps,
            [
                "advisory.drafted \"\"",
                "advisory.submitted \"\"",
                "advisory.returned \"Frist\\nfehlt\"",
                "advisory.submitted \"\"",
                "advisory.approved \"\""
            ]
        );
    }

    #[test]
    fn whoever_wrote_a_word_does_not_approve_it() {
        let fixture = Fixture::new();
        let second = Actor::new("second", &Role::ALL);
        fixture
            .write(move |tx| {
                let draft = advisory_draft(tx, sample(), &author(), Timestamp(1))?;
                advisory_edit(tx, draft.id, 1, sample(), &second, Timestamp(1))?;
                advisory_submit(tx, draft.id, 2, &second, Timestamp(1))?;
                for writer in [&author(), &second] {
                    let refused = advisory_approve(tx, draft.id, 3, "", writer, Timestamp(1));
                    assert!(matches!(refused, Err(AdvisoryError::Refused(Refusal::OwnText))), "{}", writer.user);
                }
                advisory_approve(tx, draft.id, 3, "", &reviewer(), Timestamp(1))
            })
            .unwrap();
    }

    #[test]
    fn numbers_have_no_gaps_and_follow_the_german_new_year() {
        let fixture = Fixture::new();
        // 2026-12-31T23:30:00Z is already 2027 in Germany.
        let (before, after) =
            (Timestamp::parse_rfc3339("2026-12-31T22:59:59Z").unwrap(), Timestamp::parse_rfc3339("2026-12-31T23:30:00Z").unwrap());
        let take = |now, fail: bool| {
            fixture.write(move |tx| {
                let number = number_take(tx, now)?;
                if fail { Err(AdvisoryError::NotFound(AdvisoryId::default())) } else { Ok(number.to_string()) }
            })
        };
        assert_eq!(take(before, false).unwrap(), "WID-TH-2026-0001");
        assert!(take(before, true).is_err());
        assert_eq!(take(before, false).unwrap(), "WID-TH-2026-0002");
        assert_eq!(take(after, false).unwrap(), "WID-TH-2027-0001");
        assert_eq!(fixture.db.read(|c| number_peek(c, after)).unwrap().to_string(), "WID-TH-2027-0002");
    }

    #[test]
    fn a_draft_is_nobodys_business_and_the_list_finds_what_is_typed() {
        let fixture = Fixture::new();
        fixture.write(|tx| advisory_draft(tx, Content { title: "100 % VPN_x".into(), ..sample() }, &author(), Timestamp(1))).unwrap();
        let count = |scope: &Scope, text: &str| {
            let filter = AdvisoryFilter { text: text.into(), limit: 10, ..AdvisoryFilter::default() };
            fixture.db.read(|c| advisory_list(c, scope, &filter)).unwrap().len()
        };
        assert_eq!(
            (count(&Scope::All, ""), count(&Scope::All, "vpn_X"), count(&Scope::All, "100 %"), count(&Scope::All, "vpn%x")),
            (1, 1, 1, 0)
        );
        assert_eq!((count(&Scope::Bodies(fixture.bodies.clone()), ""), count(&Scope::Bodies(vec![]), "")), (0, 0));
    }
}
