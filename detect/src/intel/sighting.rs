//! What indicators met: counted where records are judged, in memory and bounded, and written down every few seconds. After
//! a hard end the last seconds are counted from the journal again: a sighting says that and when, not how often to the one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ingest::db::{Db, DbError};
use ingest::rusqlite::{Transaction, params};
use ingest::time::Timestamp;

use super::set::Hit;
use super::store::ROWS_PER_WRITE;

/// Different indicators between two writings; what comes beyond is only counted, and said.
const PENDING_MAX: usize = 20_000;

/// How often, and between when, an indicator met records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub count: u64,
    /// Times of the records.
    pub first: Timestamp,
    pub last: Timestamp,
}

/// List, kind and value.
type Of = (Arc<str>, &'static str, String);

/// What was met and is not written down yet; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Sightings(Arc<Pending>);

#[derive(Debug, Default)]
struct Pending {
    all: Mutex<HashMap<Of, Seen>>,
    lost: AtomicU64,
}

impl Sightings {
    pub fn note(&self, hit: &Hit<'_>, at: Timestamp) {
        let of = (hit.attributes.list.clone(), hit.pattern.kind(), hit.pattern.value());
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PENDING_MAX && !all.contains_key(&of) {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let seen = all.entry(of).or_insert(Seen { count: 0, first: at, last: at });
        *seen = Seen { count: seen.count + 1, first: seen.first.min(at), last: seen.last.max(at) };
    }

    /// Writes down what has gathered; says of how many indicators.
    ///
    /// # Errors
    /// The database's own: what was not written stays.
    pub fn flush(&self, db: &Db) -> Result<usize, DbError> {
        let gathered: Vec<(Of, Seen)> =
            std::mem::take(&mut *self.0.all.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect();
        let mut written = 0;
        for (n, chunk) in gathered.chunks(ROWS_PER_WRITE).enumerate() {
            let rows = chunk.to_vec();
            if let Err(error) = db.write(move |tx| sighting_put(tx, &rows)) {
                self.back(gathered.get(n * ROWS_PER_WRITE..).unwrap_or_default());
                return Err(error);
            }
            written += chunk.len();
        }
        let lost = self.0.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(lost, most = PENDING_MAX, "too many different indicators met at once: some sightings are not counted");
        }
        Ok(written)
    }

    fn back(&self, unwritten: &[(Of, Seen)]) {
        let mut all = self.0.all.lock().unwrap_or_else(PoisonError::into_inner);
        for (of, seen) in unwritten {
            let there = all.entry(of.clone()).or_insert(Seen { count: 0, ..*seen });
            *there = Seen { count: there.count + seen.count, first: there.first.min(seen.first), last: there.last.max(seen.last) };
        }
    }
}

fn sighting_put(tx: &Transaction<'_>, rows: &[(Of, Seen)]) -> Result<(), DbError> {
    let mut update = tx.prepare_cached(
        "UPDATE indicator SET hits = hits + ?4,
         first_hit = CASE WHEN first_hit IS NULL OR first_hit > ?5 THEN ?5 ELSE first_hit END,
         last_hit = CASE WHEN last_hit IS NULL OR last_hit < ?6 THEN ?6 ELSE last_hit END
         WHERE list = ?1 AND kind = ?2 AND value = ?3",
    )?;
    for ((list, kind, value), seen) in rows {
        let count = i64::try_from(seen.count).unwrap_or(i64::MAX);
        let changed = update.execute(params![list.as_ref(), kind, value, count, seen.first.0, seen.last.0])?;
        // A URL is looked up without its scheme: its row may have the other one.
        if changed == 0 && *kind == "url" {
            let other = match value.strip_prefix("https://") {
                Some(rest) => format!("http://{rest}"),
                None => value.replacen("http://", "https://", 1),
            };
            update.execute(params![list.as_ref(), kind, other, count, seen.first.0, seen.last.0])?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{IndicatorSet, ListFilter, MIGRATIONS, NewIndicator, Tlp, indicator_add, indicator_list};
    use super::*;

    #[test]
    fn what_is_met_is_counted_with_its_times() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let new = |pattern: &str, list: &str| NewIndicator {
            pattern: pattern.parse().unwrap(),
            list: list.into(),
            tlp: Tlp::Green,
            confidence: 80,
            valid_until: None,
        };
        let all = [new("bad.example", "a"), new("bad.example", "b"), new("http://bad.example/x", "a")];
        db.write(move |tx| all.iter().try_for_each(|one| indicator_add(tx, one, Timestamp(1)).map(drop))).unwrap();
        let (set, sightings) = (db.read(IndicatorSet::load).unwrap(), Sightings::default());
        for at in [50, 30, 70] {
            set.domain("www.bad.example", Timestamp(at)).iter().for_each(|hit| sightings.note(hit, Timestamp(at)));
        }
        set.url("https://bad.example/x?y", Timestamp(9)).iter().for_each(|hit| sightings.note(hit, Timestamp(9)));
        assert_eq!((sightings.flush(&db).unwrap(), sightings.flush(&db).unwrap()), (3, 0));
        set.domain("bad.example", Timestamp(20)).iter().for_each(|hit| sightings.note(hit, Timestamp(20)));
        sightings.flush(&db).unwrap();
        let rows = db.read(|c| indicator_list(c, &ListFilter::default(), Timestamp(9), 10)).unwrap();
        let mut shown: Vec<String> = rows
            .iter()
            .map(|row| {
                format!(
                    "{} {} {} {:?} {:?}",
                    row.indicator.list,
                    row.indicator.pattern.value(),
                    row.hits,
                    row.first_hit.map(|at| at.0),
                    row.last_hit.map(|at| at.0)
                )
            })
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            ["a bad.example 4 Some(20) Some(70)", "a http://bad.example/x 1 Some(9) Some(9)", "b bad.example 4 Some(20) Some(70)"]
        );
    }

    #[test]
    fn a_flood_of_different_ones_stays_within_the_bound() {
        let attributes = super::super::Attributes { list: "a".into(), tlp: Tlp::Green, confidence: 80, live_from: None };
        let sightings = Sightings::default();
        for n in 0..PENDING_MAX as u32 + 100 {
            let pattern = super::super::Pattern::Address(std::net::Ipv4Addr::from_bits(n).into());
            sightings.note(&Hit { pattern, attributes: &attributes }, Timestamp(0));
        }
        assert_eq!((sightings.0.all.lock().unwrap().len(), sightings.0.lost.load(Ordering::Relaxed)), (PENDING_MAX, 100));
    }
}
