//! How well rules judge, from what people found their alerts to be: counts, verdicts, how long an alert waited for the
//! first look, when a rule fired last, and how that went week by week.

use std::collections::BTreeMap;

use ingest::db::DbError;
use ingest::rusqlite::Connection;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;

use super::Disposition;
use crate::incident::Where;

/// A rule's alerts of a stretch of time, and what people found them to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleQuality {
    pub alerts: u64,
    pub true_positive: u64,
    pub benign: u64,
    pub false_positive: u64,
}

impl RuleQuality {
    /// Alerts with a verdict.
    pub fn judged(&self) -> u64 {
        self.true_positive + self.benign + self.false_positive
    }

    /// The share of what was right among what was judged right or wrong. What happened and was allowed counts for neither:
    /// the rule saw what it is for.
    pub fn precision(&self) -> Option<f64> {
        let decided = self.true_positive + self.false_positive;
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        (decided > 0).then(|| self.true_positive as f64 / decided as f64)
    }
}

/// How often each rule fired since a moment, by its short name; rules that did not are left out.
///
/// # Errors
/// The database's own.
pub fn rules_fired(connection: &Connection, scope: &Scope, since: Timestamp) -> Result<BTreeMap<String, u64>, DbError> {
    let mut condition = Where::default();
    condition.and("detected_at >= ?", &[&since.0])?;
    condition.scope("body", scope)?;
    let sql = format!("SELECT rule_name, COUNT(*) FROM alert WHERE {} GROUP BY rule_name", condition.sql());
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(condition.into_values(), |row| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All of it for one rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleRecord {
    pub quality: RuleQuality,
    /// Detection of the newest alert.
    pub last: Option<Timestamp>,
    /// Milliseconds from detection to the first look (acknowledged or closed by a person): the middle one.
    pub triage: Option<i64>,
    /// Alerts by week, the oldest first.
    pub weeks: Vec<u64>,
}

/// The record of each rule by its short name, over `weeks` weeks before `now`.
///
/// # Errors
/// The database's own.
pub fn rule_records(connection: &Connection, scope: &Scope, weeks: usize, now: Timestamp) -> Result<BTreeMap<String, RuleRecord>, DbError> {
    let since = now.plus(-i64::try_from(weeks).unwrap_or(0).saturating_mul(7 * Timestamp::DAY));
    let mut all = counted(connection, scope, weeks, since)?;
    for (rule, mut waits) in waited(connection, scope, since)? {
        waits.sort_unstable();
        if let Some(record) = all.get_mut(&rule) {
            record.triage = waits.get(waits.len() / 2).copied();
        }
    }
    Ok(all)
}

fn counted(connection: &Connection, scope: &Scope, weeks: usize, since: Timestamp) -> Result<BTreeMap<String, RuleRecord>, DbError> {
    let mut condition = Where::default();
    condition.and("detected_at >= ?", &[&since.0])?;
    condition.scope("body", scope)?;
    let (week, since) = (7 * Timestamp::DAY, since.0);
    let sql = format!(
        "SELECT rule_name, disposition, (detected_at - {since}) / {week}, COUNT(*), MAX(detected_at) FROM alert WHERE {}
         GROUP BY rule_name, disposition, (detected_at - {since}) / {week}",
        condition.sql()
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query(condition.into_values())?;
    let mut all: BTreeMap<String, RuleRecord> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let record = all.entry(row.get(0)?).or_insert_with(|| RuleRecord { weeks: vec![0; weeks], ..RuleRecord::default() });
        let count = u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
        record.quality.add(row.get::<_, Option<String>>(1)?.as_deref().and_then(Disposition::parse), count);
        record.last = record.last.max(Some(Timestamp(row.get(4)?)));
        // The present moment itself would be one week too many.
        let place = usize::try_from(row.get::<_, i64>(2)?).unwrap_or(0).min(weeks.saturating_sub(1));
        if let Some(slot) = record.weeks.get_mut(place) {
            *slot += count;
        }
    }
    Ok(all)
}

/// How long alerts waited, by rule.
fn waited(connection: &Connection, scope: &Scope, since: Timestamp) -> Result<BTreeMap<String, Vec<i64>>, DbError> {
    let mut condition = Where::default();
    condition.and("a.detected_at >= ?", &[&since.0])?;
    condition.scope("a.body", scope)?;
    let sql = format!(
        "SELECT a.rule_name, MIN(h.event_time) - a.detected_at FROM alert a
         JOIN history h ON h.subject = a.id AND h.kind IN ('alert.acked', 'alert.closed') AND h.actor <> 'system'
         WHERE {} GROUP BY a.id, a.rule_name, a.detected_at",
        condition.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(condition.into_values())?;
    let mut waits: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        waits.entry(row.get(0)?).or_default().push(row.get::<_, i64>(1)?.max(0));
    }
    Ok(waits)
}

impl RuleQuality {
    fn add(&mut self, disposition: Option<Disposition>, count: u64) {
        self.alerts += count;
        match disposition {
            Some(Disposition::TruePositive) => self.true_positive += count,
            Some(Disposition::Benign) => self.benign += count,
            Some(Disposition::FalsePositive) => self.false_positive += count,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::{AlertFilter, alert_ack, alert_close, alert_list};
    use crate::incident::finding_file;
    use crate::incident::fixture::{START, World, spec};
    use crate::role::Role;

    #[test]
    fn verdicts_waits_and_weeks() {
        let world = World::new();
        let file = |entity: &str, day: i64| {
            let finding = world.finding(&spec(entity, 0, day * 24 * 60, [u64::from(entity.len() as u8) + day.unsigned_abs()]));
            let (playbooks, at) = (world.playbooks.clone(), finding.detected_at);
            world.db.write(move |tx| finding_file(tx, &playbooks, &finding, at)).unwrap();
        };
        (0..5).for_each(|day| file(&format!("192.0.2.{day}"), day * 5));
        let alerts = world.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
        let verdicts = [Some(Disposition::TruePositive), Some(Disposition::TruePositive), Some(Disposition::FalsePositive), None, None];
        for ((alert, verdict), hours) in alerts.iter().zip(verdicts).zip(1..) {
            let (id, at) = (alert.id, alert.detected_at.plus(hours * Timestamp::HOUR));
            world
                .db
                .write(move |tx| match verdict {
                    Some(verdict) => alert_close(tx, id, verdict, "u", Role::Analyst, at),
                    None if hours == 4 => alert_ack(tx, id, "u", Role::Analyst, at),
                    None => Ok(()),
                })
                .unwrap();
        }
        let now = START.plus(21 * Timestamp::DAY);
        let records = world.db.read(|c| rule_records(c, &Scope::All, 3, now)).unwrap();
        let record = &records["ssh_bruteforce"];
        assert_eq!(record.quality, RuleQuality { alerts: 5, true_positive: 2, benign: 0, false_positive: 1 });
        assert_eq!(record.quality.precision(), Some(2.0 / 3.0));
        assert_eq!((record.triage, record.weeks.as_slice()), (Some(3 * Timestamp::HOUR), [2, 1, 2].as_slice()));
        assert_eq!(record.last.map(|at| at.since(START) / Timestamp::DAY), Some(20));
        let foreign = Scope::Bodies(vec![world.bodies[1]]);
        assert!(world.db.read(|c| rule_records(c, &foreign, 3, now)).unwrap().is_empty());
    }
}
