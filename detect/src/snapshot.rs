//! A judge's state as it is written down: a head, and a part for each rule that remembers something. A part is packed, and
//! written again only when it has changed: what thousands of quiet groups hold must not be paid for with every alert.

use std::collections::BTreeMap;

use ingest::db::DbError;
use ingest::frame::Seq;
use ingest::rusqlite::{Connection, OptionalExtension, Transaction, params};
use ingest::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Hardly slower than copying; the texts of a thousand groups are much alike.
const PACK_LEVEL: i32 = 1;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    pub head: String,
    /// By rule.
    pub parts: BTreeMap<String, Vec<u8>>,
    /// Whether these are all parts there are; else they are those that changed.
    pub whole: bool,
}

/// A part's bytes. Empty where it could not be packed, which is as good as none.
pub fn pack(state: &impl Serialize) -> Vec<u8> {
    let packed = zstd::Encoder::new(Vec::new(), PACK_LEVEL).and_then(|mut encoder| {
        serde_json::to_writer(&mut encoder, state)?;
        encoder.finish()
    });
    packed.unwrap_or_else(|error| {
        tracing::error!(%error, "what a rule remembers cannot be packed: a restart would begin it anew");
        Vec::new()
    })
}

/// What `pack` made of it; up to the version before, parts were plain.
pub fn unpack<T: DeserializeOwned>(part: &[u8]) -> Option<T> {
    if part.starts_with(b"{") {
        return serde_json::from_slice(part).ok();
    }
    serde_json::from_slice(&zstd::decode_all(part).ok()?).ok()
}

/// What was written last, and up to where it is the state.
pub(crate) fn snapshot_get(connection: &Connection) -> Result<Option<(Seq, Snapshot)>, DbError> {
    let mut statement = connection.prepare_cached("SELECT seq, snapshot FROM detect_cursor WHERE name = 'detect'")?;
    let Some((seq, head)) = statement.query_row([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()? else { return Ok(None) };
    let mut statement = connection.prepare_cached("SELECT rule, state FROM detect_state")?;
    let parts = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    Ok(Some((Seq(u64::try_from(seq).unwrap_or(0)), Snapshot { head, parts, whole: true })))
}

/// Makes it the state as of `seq`.
pub(crate) fn snapshot_put(tx: &Transaction<'_>, seq: Seq, snapshot: &Snapshot, now: Timestamp) -> Result<(), DbError> {
    if snapshot.whole {
        tx.execute("DELETE FROM detect_state", [])?;
    }
    let mut put = tx
        .prepare_cached("INSERT INTO detect_state (rule, state) VALUES (?1, ?2) ON CONFLICT (rule) DO UPDATE SET state = excluded.state")?;
    for (rule, state) in &snapshot.parts {
        put.execute(params![rule, state])?;
    }
    tx.prepare_cached(
        "INSERT INTO detect_cursor (name, seq, snapshot, moved_at) VALUES ('detect', ?1, ?2, ?3)
         ON CONFLICT (name) DO UPDATE SET seq = excluded.seq, snapshot = excluded.snapshot, moved_at = excluded.moved_at",
    )?
    .execute(params![i64::try_from(seq.0).unwrap_or(i64::MAX), snapshot.head, now.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use ingest::db::{Db, Migrations};

    use super::*;
    use crate::consumer::MIGRATIONS;

    #[test]
    fn what_changed_is_laid_over_what_was_there_and_a_whole_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let snapshot = |whole: bool, parts: &[(&str, &str)]| Snapshot {
            head: "{}".to_owned(),
            parts: parts.iter().map(|(rule, state)| ((*rule).to_owned(), pack(state))).collect(),
            whole,
        };
        let write = |seq: u64, whole: bool, parts: &[(&str, &str)]| {
            let snapshot = snapshot(whole, parts);
            db.write(move |tx| snapshot_put(tx, Seq(seq), &snapshot, Timestamp(0))).unwrap();
            let (seq, read) = db.read(snapshot_get).unwrap().unwrap();
            let parts = read.parts.iter().map(|(rule, part)| (rule.clone(), unpack(part).unwrap())).collect::<Vec<(String, String)>>();
            (seq.0, parts.iter().map(|(rule, state)| format!("{rule}={state}")).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(db.read(snapshot_get).unwrap(), None);
        assert_eq!(write(3, true, &[("a", "1"), ("b", "1")]), (3, "a=1 b=1".to_owned()));
        assert_eq!(write(5, false, &[("b", "2"), ("c", "1")]), (5, "a=1 b=2 c=1".to_owned()));
        assert_eq!(write(5, false, &[]), (5, "a=1 b=2 c=1".to_owned()));
        assert_eq!(write(9, true, &[("c", "2")]), (9, "c=2".to_owned()));
    }

    /// The version before kept all of it as one text.
    #[test]
    fn an_older_state_is_taken_over() {
        let before = Migrations { steps: MIGRATIONS.steps.get(..2).unwrap(), ..MIGRATIONS };
        let taken_over = |text: &'static str| {
            let dir = tempfile::tempdir().unwrap();
            let db = Db::open(&dir.path().join("w.db"), &[before]).unwrap();
            db.write(move |tx| {
                tx.execute("INSERT INTO detect_cursor (name, seq, snapshot, moved_at) VALUES ('detect', 7, ?1, 0)", [text])?;
                Ok::<_, DbError>(())
            })
            .unwrap();
            drop(db);
            let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
            db.read(snapshot_get).unwrap().unwrap()
        };
        let (seq, snapshot) =
            taken_over(r#"{"version":2,"settled_at":5,"rules":{"a":{"of":"x","state":{"groups":[]}},"b":{"of":"y","state":1}}}"#);
        assert_eq!((seq, snapshot.head.as_str()), (Seq(7), r#"{"version":2,"settled_at":5}"#));
        let parts: Vec<(String, serde_json::Value)> =
            snapshot.parts.iter().map(|(rule, part)| (rule.clone(), unpack(part).unwrap())).collect();
        assert_eq!(
            format!("{parts:?}"),
            r#"[("a", Object {"of": String("x"), "state": Object {"groups": Array []}}), ("b", Object {"of": String("y"), "state": Number(1)})]"#
        );
        assert_eq!(taken_over("damaged"), (Seq(7), Snapshot { head: "damaged".to_owned(), whole: true, ..Snapshot::default() }));
    }
}
