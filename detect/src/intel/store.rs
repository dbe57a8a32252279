//! The indicators' tables: listing, updating and taking off, the lists as a whole, and reading all of them into a set
//! without holding more than one row.

use std::collections::HashMap;
use std::sync::Arc;

use ingest::db::{Db, DbError, Migrations};
use ingest::rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params, params_from_iter};
use ingest::time::Timestamp;

use super::pattern::Pattern;
use super::set::{Builder, INDICATORS_MAX, IndicatorSet};
use super::tlp::Tlp;
use super::warning::{Warnings, warning_load};

ingest::id_type!(
    /// One entry of one list.
    IndicatorId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "indicator",
    steps: &[
        "
        CREATE TABLE indicator (
            id TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            list TEXT NOT NULL,
            tlp TEXT NOT NULL,
            confidence BIGINT NOT NULL,
            valid_until BIGINT,
            created_at BIGINT NOT NULL,
            UNIQUE (list, kind, value)
        );
    ",
        // Those that are there already were watched for from the beginning; the others are hunted for in what is stored
        // (`flow::retro`), each once: `hunt` is NULL until then.
        "
        ALTER TABLE indicator ADD COLUMN hunt TEXT;
        UPDATE indicator SET hunt = '';
        CREATE INDEX indicator_hunt ON indicator (hunt);
        CREATE TABLE retro_hunt (
            id TEXT PRIMARY KEY,
            list TEXT NOT NULL,
            version BIGINT NOT NULL,
            state TEXT NOT NULL,
            indicators BIGINT NOT NULL,
            from_at BIGINT NOT NULL,
            to_at BIGINT NOT NULL,
            reached BIGINT NOT NULL,
            hits BIGINT NOT NULL,
            findings BIGINT NOT NULL,
            begun_at BIGINT NOT NULL,
            ended_at BIGINT,
            ended_by TEXT,
            UNIQUE (list, version)
        );
    ",
        // `reference` is the object of the source that it came with, `warned` the warning list that keeps it from matching, and `hits` with its two times what came of it. `number` of
        // `indicator_change` counts what sets must be read anew for. `event_reached` is how far a hunt has come in the
        // events; hunts that were there before stay with the flows.
        "
        ALTER TABLE indicator ADD COLUMN reference TEXT;
        ALTER TABLE indicator ADD COLUMN warned TEXT;
        ALTER TABLE indicator ADD COLUMN hits BIGINT NOT NULL DEFAULT 0;
        ALTER TABLE indicator ADD COLUMN first_hit BIGINT;
        ALTER TABLE indicator ADD COLUMN last_hit BIGINT;
        CREATE INDEX indicator_value ON indicator (value);
        CREATE INDEX indicator_tally ON indicator (list, kind, valid_until, warned, hits);
        CREATE TABLE indicator_change (id BIGINT PRIMARY KEY, number BIGINT NOT NULL);
        INSERT INTO indicator_change (id, number) VALUES (1, 1);
        CREATE TABLE indicator_feed (
            name TEXT PRIMARY KEY,
            tried_at BIGINT NOT NULL,
            done_at BIGINT,
            state TEXT NOT NULL
        );
        CREATE TABLE warning_list (
            list TEXT PRIMARY KEY,
            description TEXT NOT NULL,
            entries BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE TABLE warning_entry (
            list TEXT NOT NULL,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (list, kind, value)
        );
        ALTER TABLE retro_hunt ADD COLUMN event_reached BIGINT;
        ALTER TABLE retro_hunt ADD COLUMN event_hits BIGINT NOT NULL DEFAULT 0;
        UPDATE retro_hunt SET event_reached = to_at;
    ",
    ],
};

/// Rows that are changed in one transaction: some tens of milliseconds of the one writer.
pub(super) const ROWS_PER_WRITE: usize = 2_000;

/// What is to be listed.
#[derive(Clone, Debug, PartialEq)]
pub struct NewIndicator {
    pub pattern: Pattern,
    /// The list or feed it comes from: what `threat.feed.name` says.
    pub list: String,
    pub tlp: Tlp,
    /// 0 to 100.
    pub confidence: u8,
    /// It matches records up to this moment of theirs; `None` for as long as it is listed.
    pub valid_until: Option<Timestamp>,
}

/// An indicator as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Indicator {
    pub id: IndicatorId,
    pub pattern: Pattern,
    pub list: Arc<str>,
    pub tlp: Tlp,
    pub confidence: u8,
    pub valid_until: Option<Timestamp>,
    pub created_at: Timestamp,
    /// Flows received from then on are judged as they come, those before by the retro-hunt (`flow::retro`); `None` for all
    /// as they come.
    pub live_from: Option<Timestamp>,
}

/// An indicator with what became of it, as pages and exports show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub indicator: Indicator,
    /// The object of the source: a STIX identity, the UUID of a MISP attribute.
    pub reference: Option<String>,
    /// The warning list that keeps it from matching.
    pub warned: Option<String>,
    pub hits: i64,
    pub first_hit: Option<Timestamp>,
    pub last_hit: Option<Timestamp>,
}

/// What a reading did with one indicator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    New,
    Changed,
    Same,
}

/// Lists an indicator; one that its list has already is brought up to date and keeps its identity.
///
/// # Errors
/// The database's own.
pub fn indicator_add(tx: &Transaction<'_>, new: &NewIndicator, now: Timestamp) -> Result<IndicatorId, DbError> {
    indicator_put(tx, new, None, now)?;
    indicator_changed(tx)?;
    let mut found = tx.prepare_cached("SELECT id FROM indicator WHERE list = ?1 AND kind = ?2 AND value = ?3")?;
    Ok(found.query_row(params![new.list, new.pattern.kind(), new.pattern.value()], |row| row.get(0))?)
}

/// As `indicator_add`, as part of a reading; who calls it says `indicator_changed` at its end.
///
/// # Errors
/// The database's own.
pub(super) fn indicator_put(tx: &Transaction<'_>, new: &NewIndicator, reference: Option<&str>, now: Timestamp) -> Result<Put, DbError> {
    let (kind, value) = (new.pattern.kind(), new.pattern.value());
    let (tlp, confidence, until) = (new.tlp.as_str(), i64::from(new.confidence.min(100)), new.valid_until.map(|at| at.0));
    let mut known =
        tx.prepare_cached("SELECT tlp, confidence, valid_until, reference FROM indicator WHERE list = ?1 AND kind = ?2 AND value = ?3")?;
    let same = known
        .query_row(params![new.list, kind, value], |row| {
            let referred = reference.is_none() || text_or_null(row, 3)? == reference;
            Ok(referred && text(row, 0)? == tlp && row.get::<_, i64>(1)? == confidence && row.get::<_, Option<i64>>(2)? == until)
        })
        .optional()?;
    match same {
        Some(true) => Ok(Put::Same),
        Some(false) => {
            tx.prepare_cached(
                "UPDATE indicator SET tlp = ?4, confidence = ?5, valid_until = ?6, reference = COALESCE(?7, reference)
                 WHERE list = ?1 AND kind = ?2 AND value = ?3",
            )?
            .execute(params![new.list, kind, value, tlp, confidence, until, reference])?;
            Ok(Put::Changed)
        }
        None => {
            tx.prepare_cached(
                "INSERT INTO indicator (id, kind, value, list, tlp, confidence, valid_until, created_at, reference)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![IndicatorId::new(now), kind, value, new.list, tlp, confidence, until, now.0, reference])?;
            Ok(Put::New)
        }
    }
}

/// Takes an indicator off its list; says whether it was there.
///
/// # Errors
/// The database's own.
pub(super) fn indicator_withdraw(tx: &Transaction<'_>, list: &str, pattern: &Pattern) -> Result<bool, DbError> {
    let mut delete = tx.prepare_cached("DELETE FROM indicator WHERE list = ?1 AND kind = ?2 AND value = ?3")?;
    Ok(delete.execute(params![list, pattern.kind(), pattern.value()])? > 0)
}

/// Takes indicators off by their identities.
///
/// # Errors
/// The database's own.
pub(super) fn indicator_delete(tx: &Transaction<'_>, ids: &[IndicatorId]) -> Result<(), DbError> {
    let mut delete = tx.prepare_cached("DELETE FROM indicator WHERE id = ?1")?;
    ids.iter().try_for_each(|id| delete.execute([id]).map(drop))?;
    indicator_changed(tx)
}

/// A row of a list as a reading compares it.
pub(super) struct ListedRow<'r> {
    pub(super) id: IndicatorId,
    pub(super) kind: &'r str,
    pub(super) value: &'r str,
    pub(super) tlp: &'r str,
    pub(super) confidence: i64,
    pub(super) valid_until: Option<i64>,
    pub(super) reference: Option<&'r str>,
}

/// Gives every row of a list to `each`, in whatever order.
///
/// # Errors
/// The database's own.
pub(super) fn indicator_each(connection: &Connection, list: &str, each: &mut dyn FnMut(&ListedRow<'_>)) -> Result<(), DbError> {
    let mut rows = connection.prepare("SELECT id, kind, value, tlp, confidence, valid_until, reference FROM indicator WHERE list = ?1")?;
    let mut rows = rows.query([list])?;
    while let Some(row) = rows.next()? {
        each(&ListedRow {
            id: row.get(0)?,
            kind: text(row, 1)?,
            value: text(row, 2)?,
            tlp: text(row, 3)?,
            confidence: row.get(4)?,
            valid_until: row.get(5)?,
            reference: text_or_null(row, 6)?,
        });
    }
    Ok(())
}

/// What ended before a moment and never met anything, at most so many as are taken off together.
///
/// # Errors
/// The database's own.
pub(super) fn indicator_ended(connection: &Connection, before: Timestamp) -> Result<Vec<IndicatorId>, DbError> {
    let mut ended = connection.prepare_cached("SELECT id FROM indicator WHERE valid_until < ?1 AND hits = 0 LIMIT ?2")?;
    let rows = ended.query_map(params![before.0, i64::try_from(ROWS_PER_WRITE).unwrap_or(i64::MAX)], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Says that sets must be read anew.
///
/// # Errors
/// The database's own.
pub(super) fn indicator_changed(tx: &Transaction<'_>) -> Result<(), DbError> {
    tx.prepare_cached("UPDATE indicator_change SET number = number + 1")?.execute([])?;
    Ok(())
}

/// Counts the changes that sets must be read anew for.
///
/// # Errors
/// The database's own.
pub fn indicator_change(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.prepare_cached("SELECT number FROM indicator_change")?.query_row([], |row| row.get(0))?)
}

/// One list as a whole, by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSummary {
    pub list: String,
    pub kind: String,
    pub entries: i64,
    pub expired: i64,
    /// Kept from matching by a warning list.
    pub warned: i64,
    /// Those that met something.
    pub sighted: i64,
}

/// All lists by name and kind, at most `limit` rows.
///
/// # Errors
/// The database's own.
pub fn indicator_lists(connection: &Connection, now: Timestamp, limit: usize) -> Result<Vec<ListSummary>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT list, kind, COUNT(*), SUM(CASE WHEN valid_until < ?1 THEN 1 ELSE 0 END),
         SUM(CASE WHEN warned IS NOT NULL THEN 1 ELSE 0 END), SUM(CASE WHEN hits > 0 THEN 1 ELSE 0 END)
         FROM indicator GROUP BY list, kind ORDER BY list, kind LIMIT ?2",
    )?;
    let rows = statement.query_map(params![now.0, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(ListSummary {
            list: row.get(0)?,
            kind: row.get(1)?,
            entries: row.get(2)?,
            expired: row.get(3)?,
            warned: row.get(4)?,
            sighted: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Which of the indicators a page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub list: Option<String>,
    pub kind: Option<String>,
    /// Those that came with this retro-hunt.
    pub hunt: Option<String>,
    /// Only these values, in their canonical form.
    pub values: Vec<String>,
    pub only: Only,
    /// A page behind this identity, newest first.
    pub before: Option<IndicatorId>,
}

/// A number of the overview, as rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    #[default]
    All,
    Expired,
    Warned,
    Sighted,
}

/// Values asked for at once: a name of 127 labels has as many above it.
pub const VALUES_MAX: usize = 200;

/// The newest indicators that pass, at most `limit`.
///
/// # Errors
/// The database's own.
pub fn indicator_list(connection: &Connection, filter: &ListFilter, now: Timestamp, limit: usize) -> Result<Vec<Listed>, DbError> {
    use ingest::rusqlite::types::Value;
    let (mut tests, mut values): (Vec<String>, Vec<Value>) = (Vec::new(), Vec::new());
    let mut test = |text: &str, value: Value| {
        values.push(value);
        tests.push(text.replace('?', &format!("?{}", values.len())));
    };
    if let Some(list) = &filter.list {
        test("i.list = ?", list.clone().into());
    }
    if let Some(kind) = &filter.kind {
        test("i.kind = ?", kind.clone().into());
    }
    if let Some(hunt) = &filter.hunt {
        test("i.hunt = ?", hunt.clone().into());
    }
    if let Some(before) = filter.before {
        test("i.id < ?", before.to_string().into());
    }
    match filter.only {
        Only::All => {}
        Only::Expired => test("i.valid_until < ?", now.0.into()),
        Only::Warned => test("i.warned IS NOT NULL AND ? = ?", 1.into()),
        Only::Sighted => test("i.hits > ?", 0.into()),
    }
    if !filter.values.is_empty() {
        let places: Vec<String> =
            filter.values.iter().take(VALUES_MAX).enumerate().map(|(n, _)| format!("?{}", values.len() + n + 1)).collect();
        values.extend(filter.values.iter().take(VALUES_MAX).map(|value| Value::from(value.clone())));
        tests.push(format!("i.value IN ({})", places.join(", ")));
    }
    let tests = if tests.is_empty() { String::new() } else { format!("WHERE {}", tests.join(" AND ")) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT i.id, i.kind, i.value, i.list, i.tlp, i.confidence, i.valid_until, i.created_at, h.to_at, i.reference, i.warned, i.hits,
         i.first_hit, i.last_hit FROM indicator i LEFT JOIN retro_hunt h ON h.id = i.hunt {tests} ORDER BY i.id DESC LIMIT {limit}"
    ))?;
    let rows = statement.query_map(params_from_iter(values), listed_from_row)?;
    let found: Vec<Option<Listed>> = rows.collect::<Result<_, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

/// `None` for a row whose value this program cannot read.
fn listed_from_row(row: &Row<'_>) -> ingest::rusqlite::Result<Option<Listed>> {
    let Some(pattern) = Pattern::stored(text(row, 1)?, text(row, 2)?) else { return Ok(None) };
    let time = |column: usize| -> ingest::rusqlite::Result<Option<Timestamp>> { Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp)) };
    let list: String = row.get(3)?;
    Ok(Some(Listed {
        indicator: Indicator {
            id: row.get(0)?,
            pattern,
            list: list.into(),
            tlp: tlp_of(text(row, 4)?),
            confidence: confidence_of(row.get(5)?),
            valid_until: time(6)?,
            created_at: Timestamp(row.get(7)?),
            live_from: time(8)?,
        },
        reference: row.get(9)?,
        warned: row.get(10)?,
        hits: row.get(11)?,
        first_hit: time(12)?,
        last_hit: time(13)?,
    }))
}

/// A text that is looked at where it lies.
pub(super) fn text<'r>(row: &'r Row<'_>, column: usize) -> ingest::rusqlite::Result<&'r str> {
    Ok(row.get_ref(column)?.as_str()?)
}

fn text_or_null<'r>(row: &'r Row<'_>, column: usize) -> ingest::rusqlite::Result<Option<&'r str>> {
    Ok(row.get_ref(column)?.as_str_or_null()?)
}

/// What cannot be read is shared with nobody.
fn tlp_of(text: &str) -> Tlp {
    Tlp::parse(text).unwrap_or(Tlp::Red)
}

fn confidence_of(number: i64) -> u8 {
    u8::try_from(number.clamp(0, 100)).unwrap_or(0)
}

/// What a reading of the store gave.
pub struct Loaded {
    pub set: IndicatorSet,
    /// Indicators of which the store does not yet say rightly whether a warning list keeps them from matching.
    pub marks: Vec<(IndicatorId, Option<String>)>,
    /// Beyond `INDICATORS_MAX`, or not readable.
    pub left_out: usize,
}

impl IndicatorSet {
    /// The newest `INDICATORS_MAX` of the store, without what warning lists have.
    ///
    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Self, DbError> {
        Ok(indicator_load(connection)?.set)
    }
}

/// Reads the store row by row.
///
/// # Errors
/// The database's own.
pub fn indicator_load(connection: &Connection) -> Result<Loaded, DbError> {
    let warnings = Arc::new(warning_load(connection)?);
    let mut builder = Builder::default();
    let mut counts = connection.prepare("SELECT kind, COUNT(*) FROM indicator GROUP BY kind")?;
    let mut counts = counts.query([])?;
    let mut all = 0;
    while let Some(row) = counts.next()? {
        let count = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0).min(INDICATORS_MAX);
        builder.reserve(text(row, 0)?, count);
        all += count;
    }
    // In whatever order they lie, unless some must stay behind: then the oldest.
    let order = if all > INDICATORS_MAX { "ORDER BY id DESC" } else { "" };
    let mut rows = connection.prepare(&format!("SELECT {LOADED} FROM indicator {order} LIMIT {INDICATORS_MAX}"))?;
    let loaded = read_all(connection, builder, &mut rows.query([])?, Some(&warnings))?;
    Ok(Loaded { left_out: loaded.left_out + all.saturating_sub(INDICATORS_MAX), ..loaded })
}

/// The set of what some hunts are after.
///
/// # Errors
/// The database's own.
pub(crate) fn indicator_load_of_hunts(connection: &Connection, hunts: &[String]) -> Result<IndicatorSet, DbError> {
    let warnings = Arc::new(warning_load(connection)?);
    let places: Vec<String> = (1..=hunts.len()).map(|n| format!("?{n}")).collect();
    let text = format!("SELECT {LOADED} FROM indicator WHERE hunt IN ({}) LIMIT {INDICATORS_MAX}", places.join(", "));
    let mut rows = connection.prepare(&text)?;
    Ok(read_all(connection, Builder::default(), &mut rows.query(params_from_iter(hunts))?, Some(&warnings))?.set)
}

const LOADED: &str = "id, kind, value, list, tlp, confidence, valid_until, hunt, warned";

fn read_all(
    connection: &Connection,
    mut builder: Builder,
    rows: &mut ingest::rusqlite::Rows<'_>,
    warnings: Option<&Arc<Warnings>>,
) -> Result<Loaded, DbError> {
    let mut hunts: HashMap<String, Option<Timestamp>> = HashMap::new();
    let mut known = connection.prepare("SELECT id, to_at FROM retro_hunt")?;
    let mut known = known.query([])?;
    while let Some(row) = known.next()? {
        hunts.insert(row.get(0)?, row.get::<_, Option<i64>>(1)?.map(Timestamp));
    }
    let (mut marks, mut left_out) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let Some(pattern) = Pattern::stored(text(row, 1)?, text(row, 2)?) else {
            left_out += 1;
            continue;
        };
        let warned = warnings.and_then(|warnings| warnings.list_of(&pattern));
        let marked = text_or_null(row, 8)?;
        if warned.as_deref() != marked {
            marks.push((row.get(0)?, warned.as_deref().map(str::to_owned)));
        }
        if warned.is_some() {
            continue;
        }
        let live_from = text_or_null(row, 7)?.and_then(|hunt| hunts.get(hunt).copied().flatten());
        let until = row.get::<_, Option<i64>>(6)?.map(Timestamp);
        left_out += usize::from(!builder.add(&pattern, text(row, 3)?, tlp_of(text(row, 4)?), confidence_of(row.get(5)?), until, live_from));
    }
    Ok(Loaded { set: builder.done(warnings.cloned()), marks, left_out })
}

/// Reads the store and writes down what warning lists keep from matching.
///
/// # Errors
/// The database's own.
pub fn indicator_refresh(db: &Db) -> Result<IndicatorSet, DbError> {
    let Loaded { set, marks, left_out } = db.read(indicator_load)?;
    if left_out > 0 {
        tracing::warn!(left_out, most = INDICATORS_MAX, "not all indicators are in force");
    }
    for chunk in marks.chunks(ROWS_PER_WRITE) {
        let chunk = chunk.to_vec();
        db.write(move |tx| {
            let mut mark = tx.prepare_cached("UPDATE indicator SET warned = ?2 WHERE id = ?1")?;
            chunk.iter().try_for_each(|(id, list)| mark.execute(params![id, list]).map(drop))?;
            Ok::<_, DbError>(())
        })?;
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::super::warning::{NewWarning, warning_replace};
    use super::*;

    fn new(pattern: &str, list: &str, valid_until: Option<i64>) -> NewIndicator {
        let valid_until = valid_until.map(Timestamp);
        NewIndicator { pattern: pattern.parse().unwrap(), list: list.into(), tlp: Tlp::Amber, confidence: 80, valid_until }
    }

    fn store() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        (dir, db)
    }

    #[test]
    fn a_list_that_comes_again_updates_its_indicators() {
        let (_dir, db) = store();
        let (first, second) = (new("203.0.113.7", "a", None), new("203.0.113.7", "a", Some(5)));
        let ids = db
            .write(move |tx| Ok::<_, DbError>([indicator_add(tx, &first, Timestamp(1))?, indicator_add(tx, &second, Timestamp(2))?]))
            .unwrap();
        assert_eq!(ids[0], ids[1]);
        let set = db.read(IndicatorSet::load).unwrap();
        let at = |at: i64| set.address("203.0.113.7".parse().unwrap(), Timestamp(at)).map(|hit| hit.attributes.tlp).collect::<Vec<_>>();
        assert_eq!((set.len(), at(5), at(6)), (1, vec![Tlp::Amber], vec![]));
    }

    #[test]
    fn putting_says_what_it_did_and_keeps_what_is_known() {
        let (_dir, db) = store();
        let put = db
            .write(|tx| {
                let put = |until: Option<i64>, reference: Option<&str>| {
                    indicator_put(tx, &new("bad.example", "a", until), reference, Timestamp(1))
                };
                Ok::<_, DbError>([
                    put(None, Some("x"))?,
                    put(None, None)?,
                    put(Some(5), None)?,
                    put(Some(5), Some("y"))?,
                    put(Some(5), Some("y"))?,
                ])
            })
            .unwrap();
        assert_eq!(put, [Put::New, Put::Same, Put::Changed, Put::Changed, Put::Same]);
        let listed = db.read(|c| indicator_list(c, &ListFilter::default(), Timestamp(9), 10)).unwrap();
        assert_eq!(listed.iter().map(|one| one.reference.as_deref()).collect::<Vec<_>>(), [Some("y")]);
        let ended = db.read(|c| indicator_ended(c, Timestamp(6))).unwrap();
        db.write(move |tx| indicator_delete(tx, &ended)).unwrap();
        assert!(db.read(|c| indicator_list(c, &ListFilter::default(), Timestamp(9), 10)).unwrap().is_empty());
    }

    #[test]
    fn what_a_warning_list_has_is_kept_and_does_not_match() {
        let (_dir, db) = store();
        let listed = ["8.8.8.8", "8.8.8.0/24", "www.gut.example", "gut.example", "bad.example"].map(|pattern| new(pattern, "a", None));
        db.write(move |tx| listed.iter().try_for_each(|one| indicator_add(tx, one, Timestamp(1)).map(drop))).unwrap();
        let entries = ["8.8.8.8", "*.gut.example"].map(|text| NewWarning::parse(text).unwrap()).to_vec();
        db.write(move |tx| warning_replace(tx, "DNS", "", &entries, Timestamp(1))).unwrap();
        let set = indicator_refresh(&db).unwrap();
        let count = |text: &str| set.pattern(&text.parse().unwrap(), Timestamp(2)).len();
        let asked = ["8.8.8.8", "8.8.8.9", "www.gut.example", "bad.example"];
        assert_eq!(asked.map(count), [0, 1, 0, 1], "a net around a warned address matches the others of it");
        let only = |only: Only| {
            let filter = ListFilter { only, ..ListFilter::default() };
            let rows = db.read(|c| indicator_list(c, &filter, Timestamp(2), 10)).unwrap();
            rows.iter().map(|row| format!("{} {}", row.indicator.pattern.value(), row.warned.as_deref().unwrap_or("-"))).collect::<Vec<_>>()
        };
        assert_eq!(only(Only::Warned), ["gut.example DNS", "www.gut.example DNS", "8.8.8.8 DNS"]);
        assert_eq!(only(Only::All).len(), 5);
        // Where the list goes, they match again.
        db.write(|tx| warning_replace(tx, "DNS", "", &[], Timestamp(3))).unwrap();
        let set = indicator_refresh(&db).unwrap();
        assert_eq!((set.len(), only(Only::Warned)), (5, vec![]));
    }

    #[test]
    fn every_number_of_the_overview_leads_to_its_rows() {
        let (_dir, db) = store();
        let all = [new("203.0.113.7", "a", Some(5)), new("203.0.113.8", "a", None), new("bad.example", "b", None)];
        db.write(move |tx| {
            all.iter().try_for_each(|one| indicator_add(tx, one, Timestamp(1)).map(drop))?;
            Ok::<_, DbError>(tx.execute("UPDATE indicator SET hits = 2 WHERE kind = 'domain'", []).map(drop)?)
        })
        .unwrap();
        for row in db.read(|c| indicator_lists(c, Timestamp(6), 10)).unwrap() {
            for (only, count) in
                [(Only::All, row.entries), (Only::Expired, row.expired), (Only::Warned, row.warned), (Only::Sighted, row.sighted)]
            {
                let filter = ListFilter { list: Some(row.list.clone()), kind: Some(row.kind.clone()), only, ..ListFilter::default() };
                let rows = db.read(|c| indicator_list(c, &filter, Timestamp(6), 10)).unwrap();
                assert_eq!(rows.len() as i64, count, "{row:?} {only:?}");
            }
        }
        let filter = ListFilter { values: vec!["bad.example".into(), "203.0.113.8".into()], ..ListFilter::default() };
        assert_eq!(db.read(|c| indicator_list(c, &filter, Timestamp(6), 10)).unwrap().len(), 2);
    }
}
