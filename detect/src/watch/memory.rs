//! Correlations that had to give something up for want of room (`crate::correlate`): what they count may be too little, and
//! somebody tries to have it so, or the rule asks for too much. One alert a rule, which closes when a day went by without.

use std::collections::HashMap;

use ingest::body::SITE_UNKNOWN;
use ingest::db::{Db, DbError};
use ingest::rusqlite::{Transaction, params};
use ingest::time::Timestamp;

use super::{MEMORY, OPENED_PER_LOOK_MAX, open_as_it_stands, watch_put};
use crate::alert::{AlertId, alert_end};
use crate::finding::{Entity, Finding, Reason};
use crate::say::count;

/// So long nothing must have been given up for the alert to close.
const CALM: i64 = Timestamp::DAY;

/// Looks after the rules' memory.
#[derive(Debug)]
pub struct MemoryWatch {
    db: Db,
}

/// A rule that ran over, as the consumer noted it.
struct Overflow {
    rule: String,
    name: String,
    title: String,
    given_up: u64,
    since: Timestamp,
    at: Timestamp,
}

impl MemoryWatch {
    pub fn new(db: Db) -> Self {
        Self { db }
    }

    /// Opens alerts for rules whose memory ran over, closes those of rules that have been calm. Call it about once a minute.
    /// Gives back how many were opened and closed.
    ///
    /// # Errors
    /// The database's own.
    pub fn look(&mut self, now: Timestamp) -> Result<(usize, usize), DbError> {
        self.db.write(move |tx| {
            let noted = overflows(tx)?;
            let open: HashMap<String, AlertId> = {
                let mut statement = tx.prepare_cached("SELECT subject, alert FROM watch WHERE rule = ?1")?;
                statement.query_map([&MEMORY.name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
            };
            let (mut opened, mut closed) = (0, 0);
            for overflow in noted {
                let calm = now.since(overflow.at) >= CALM;
                match open.get(&overflow.rule) {
                    None if !calm && opened < OPENED_PER_LOOK_MAX => {
                        if let Some(alert) = open_as_it_stands(tx, &overflow.finding(now), now)? {
                            watch_put(tx, &MEMORY.name, &overflow.rule, overflow.at, alert)?;
                            opened += 1;
                        }
                    }
                    Some(alert) if calm => {
                        alert_end(tx, *alert, overflow.at, "memory_calm", now)?;
                        tx.execute("DELETE FROM watch WHERE rule = ?1 AND subject = ?2", params![MEMORY.name, overflow.rule])?;
                        // The next time begins anew.
                        tx.execute("DELETE FROM detect_overflow WHERE rule = ?1", [&overflow.rule])?;
                        closed += 1;
                    }
                    _ => {}
                }
            }
            Ok((opened, closed))
        })
    }
}

fn overflows(tx: &Transaction<'_>) -> Result<Vec<Overflow>, DbError> {
    let mut statement = tx.prepare_cached("SELECT rule, name, title, given_up, since, at FROM detect_overflow ORDER BY rule")?;
    let rows = statement.query_map([], |row| {
        Ok(Overflow {
            rule: row.get(0)?,
            name: row.get(1)?,
            title: row.get(2)?,
            given_up: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            since: Timestamp(row.get(4)?),
            at: Timestamp(row.get(5)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

impl Overflow {
    fn finding(&self, now: Timestamp) -> Finding {
        Finding {
            rule: MEMORY.clone(),
            // Whose records it was is not known any more: an affair of the house.
            site: SITE_UNKNOWN,
            body: None,
            entity: Entity::Site,
            observables: [("rule.name", vec![self.name.clone()])].into(),
            first: self.since,
            last: self.at,
            detected_at: now,
            evidence: vec![],
            records: 0,
            reasons: vec![
                Reason::new("Regel", &self.title, ""),
                Reason::new("Aufgegebene Gruppen und Ereignisse", count(self.given_up), "ab 1"),
            ],
            explanation: None,
            shares: vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use ingest::body::SiteTable;
    use ingest::event::Event;
    use ingest::fields;
    use ingest::frame::{Seq, Transport};
    use ingest::pipeline::{Batch, Consumer as _};
    use ingest::scope::Scope;
    use ingest::time::Clock;

    use super::*;
    use crate::alert::{AlertFilter, alert_list};
    use crate::consumer::DetectConsumer;
    use crate::engine::{Engine, RuleSet};
    use crate::playbook::Playbooks;
    use crate::sigma::FieldNames;

    const RULES: &str = "title: A\nname: base\nlogsource: {product: linux}\ndetection: {s: {event.action: x}, condition: s}\n---\n\
        title: Viele je Konto\nname: many\ncorrelation: {type: event_count, rules: base, group-by: user.name, timespan: 1h, condition: {gte: 3}}\n";

    /// Events of a hundred thousand accounts, one each.
    fn batch(first: u64, last: u64) -> Batch {
        let events = (first..=last).map(|seq| {
            let mut event = Event::new(Seq(seq), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Udp, b"x");
            event.push_text(fields::EVENT_ACTION, "x");
            event.push_text(fields::USER_NAME, format!("user-{seq}"));
            event
        });
        Batch { first: Seq(first), last: Seq(last), events: events.collect(), sites: Arc::new(SiteTable::default()), ..Batch::default() }
    }

    #[test]
    fn a_flood_of_groups_is_one_alert_that_closes_a_day_later() {
        let dir = tempfile::tempdir().unwrap();
        let owners = [
            ingest::body::MIGRATIONS,
            ingest::history::MIGRATIONS,
            crate::incident::MIGRATIONS,
            crate::alert::MIGRATIONS,
            crate::consumer::MIGRATIONS,
            crate::rulebook::MIGRATIONS,
            super::super::MIGRATIONS,
        ];
        let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
        let (set, errors) = RuleSet::compile([("r/rule.yml".to_owned(), RULES.to_owned())], FieldNames::Decoded);
        assert_eq!(errors, []);
        let playbooks = Arc::new(Playbooks::embedded().unwrap());
        let engine = Engine::new(set, Arc::default());
        let mut consumer = DetectConsumer::new(db.clone(), engine, Clock::manual(Timestamp(1_000)), playbooks).unwrap();
        let mut watch = MemoryWatch::new(db.clone());
        let alerts = || db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
        consumer.apply(&batch(1, 40_000)).unwrap();
        consumer.flush().unwrap();
        assert_eq!(watch.look(Timestamp(2_000)).unwrap(), (0, 0), "there is room for as many");
        consumer.apply(&batch(40_001, 100_000)).unwrap();
        consumer.flush().unwrap();
        assert_eq!(watch.look(Timestamp(2_000)).unwrap(), (1, 0));
        assert_eq!(watch.look(Timestamp(3_000)).unwrap(), (0, 0), "told once");
        let told: Vec<String> = alerts()[0].reasons.iter().map(|reason| format!("{}: {}", reason.name, reason.value)).collect();
        assert_eq!(told, ["Regel: Viele je Konto", "Aufgegebene Gruppen und Ereignisse: 50.000"]);
        assert_eq!(watch.look(Timestamp(CALM + 1_000)).unwrap(), (0, 1));
        assert_eq!((alerts().len(), alerts()[0].state.as_str()), (1, "closed"));
    }
}
