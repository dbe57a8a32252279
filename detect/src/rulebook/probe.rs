//! What rules on probation found. Written in the transaction of the cursor as alerts are, so that each counts once; all
//! are counted, the newest are kept.

use std::collections::BTreeMap;

use ingest::body::SiteId;
use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;

use crate::finding::Finding;
use crate::incident::line_clean;

ingest::id_type!(
    /// One finding of a rule on probation.
    ProbeHitId
);

/// Hits kept of one rule: what a person looks through before deciding. The count goes on beyond it.
pub const PROBE_HITS_MAX: usize = 200;
/// Hits of one rule kept of one transaction: a rule that matches everything must not fill the one writer's time.
const PER_WRITE_MAX: usize = 20;
const ENTITY_CHARS_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeHit {
    pub site: SiteId,
    /// `Entity::key`.
    pub entity: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub records: u64,
    pub detected_at: Timestamp,
}

/// Notes findings that alert nobody.
pub(crate) fn probe_add<'f>(tx: &Transaction<'_>, findings: impl Iterator<Item = &'f Finding>, now: Timestamp) -> Result<(), DbError> {
    let mut by_rule: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        by_rule.entry(&finding.rule.name).or_default().push(finding);
    }
    for (rule, found) in by_rule {
        let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
        tx.prepare_cached("UPDATE rule_state SET hits = hits + ?2 WHERE rule = ?1")?.execute(params![rule, count])?;
        let mut insert = tx.prepare_cached(
            "INSERT INTO probe_hit (id, rule, site, entity, first, last, records, detected_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for finding in found.iter().skip(found.len().saturating_sub(PER_WRITE_MAX)) {
            insert.execute(params![
                ProbeHitId::new(now),
                rule,
                finding.site,
                line_clean(&finding.entity.key(), ENTITY_CHARS_MAX),
                finding.first.0,
                finding.last.0,
                i64::try_from(finding.records).unwrap_or(i64::MAX),
                finding.detected_at.0,
            ])?;
        }
        tx.prepare_cached(&format!(
            "DELETE FROM probe_hit WHERE rule = ?1 AND id <= (SELECT id FROM probe_hit WHERE rule = ?1 ORDER BY id DESC LIMIT 1 OFFSET {PROBE_HITS_MAX})"
        ))?
        .execute([rule])?;
    }
    Ok(())
}

/// The newest hits of a rule on probation.
///
/// # Errors
/// The database's own.
pub fn probe_hits(connection: &Connection, rule: &str, limit: usize) -> Result<Vec<ProbeHit>, DbError> {
    let limit = limit.min(PROBE_HITS_MAX);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT site, entity, first, last, records, detected_at FROM probe_hit WHERE rule = ?1 ORDER BY id DESC LIMIT {limit}"
    ))?;
    let rows = statement.query_map([rule], |row| {
        Ok(ProbeHit {
            site: row.get(0)?,
            entity: row.get(1)?,
            first: Timestamp(row.get(2)?),
            last: Timestamp(row.get(3)?),
            records: u64::try_from(row.get::<_, i64>(4)?).unwrap_or(0),
            detected_at: Timestamp(row.get(5)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
