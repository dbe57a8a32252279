//! Reports of others become alerts: each row is attributed to a site by the networks that are registered, rows of the same
//! (source, kind, machine, site, day) are one alert, and alerts group into cases as those of rules do. The same file again
//! changes nothing. What belongs to no site of ours is kept too, as an alert that calls for nobody.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ingest::body::{BodyId, SITE_UNKNOWN, SiteId, SiteTable};
use ingest::db::{Db, DbError};
use ingest::rusqlite::Connection;
use ingest::time::Timestamp;
use serde::Serialize;

use super::read::Row;
use crate::alert::alert_incident;
use crate::finding::{Entity, Finding, REPORT_PREFIX};
use crate::incident::{CaseError, Change, Filed, IncidentId, Tlp, finding_file, incident_change, incident_find, line_clean};
use crate::playbook::Playbooks;
use crate::role::Role;
use crate::rule::{Level, Rule};

/// Alerts that one import makes: every machine of the state, some times over.
pub const ALERTS_MAX: usize = 200_000;
/// Alerts of one transaction: others write between two of them.
const BATCH: usize = 200;
/// Rows of no site of ours that are told each; all are kept.
pub const STRANGERS_MAX: usize = 100;

/// The rows of a file, brought together: what would become of them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    groups: BTreeMap<Key, Group>,
    /// Rows that came when there were too many alerts already.
    pub left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// The first one first: cases are opened by what came first.
    day: i64,
    rule: String,
    entity: Entity,
    site: SiteId,
}

#[derive(Clone, Debug)]
struct Group {
    rule: Arc<Rule>,
    body: Option<BodyId>,
    tlp: Tlp,
    first: Timestamp,
    last: Timestamp,
    records: u64,
    observables: BTreeMap<&'static str, Vec<String>>,
}

/// One line of a preview: how many alerts of which class for which body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    pub body: Option<BodyId>,
    pub title: String,
    pub rsit: String,
    pub level: Level,
    pub alerts: u64,
    /// Of these there already.
    pub known: u64,
    pub rows: u64,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    pub opened: u64,
    pub joined: u64,
    pub extended: u64,
    /// Nothing new.
    pub known: u64,
    /// Of no site of ours: alerts that call for nobody.
    pub strangers: u64,
    /// The first of them: machine and title.
    pub stranger_examples: Vec<(String, String)>,
    pub incidents: Vec<IncidentId>,
}

/// Values of one field that an alert keeps of a report.
const VALUES_MAX: usize = 50;

impl Plan {
    /// Takes a row in.
    pub fn add(&mut self, row: Row, sites: &SiteTable) {
        let (site, at) = attributed(&row.addresses, sites);
        let entity = match (at.or(row.addresses.first().copied()), &row.host) {
            (Some(address), _) => Entity::Ip(address),
            (None, Some(host)) => Entity::Host(host.clone()),
            (None, None) => return,
        };
        let id = format!("{REPORT_PREFIX}{}:{}", line_clean(&row.source.to_lowercase(), 80), line_clean(&row.kind, 80));
        let key = Key { day: row.first.0.div_euclid(Timestamp::DAY), rule: id.clone(), entity, site };
        if !self.groups.contains_key(&key) && self.groups.len() >= ALERTS_MAX {
            self.left_out += 1;
            return;
        }
        let level = if site == SITE_UNKNOWN { Level::Informational } else { row.level };
        let group = self.groups.entry(key).or_insert_with(|| Group {
            rule: Arc::new(Rule {
                id,
                name: format!("meldung-{}", slug(&row.source)),
                title: line_clean(&row.title, 200),
                description: String::new(),
                level,
                rsit: row.rsit.to_string(),
                attack: Vec::new(),
                playbook: None,
            }),
            body: sites.body(site),
            tlp: row.tlp,
            first: row.first,
            last: row.last,
            records: 0,
            observables: BTreeMap::new(),
        });
        group.records += 1;
        group.tlp = group.tlp.max(row.tlp);
        group.first = group.first.min(row.first);
        group.last = group.last.max(row.last);
        for (field, values) in row.observables {
            let kept = group.observables.entry(field).or_default();
            for value in values {
                if kept.len() < VALUES_MAX && !kept.contains(&value) {
                    kept.push(value);
                }
            }
        }
    }

    pub fn alerts(&self) -> usize {
        self.groups.len()
    }

    /// What would happen, by body and class, the most alerts first. Writes nothing.
    ///
    /// # Errors
    /// The database's own.
    pub fn preview(&self, connection: &Connection) -> Result<Vec<Share>, DbError> {
        let mut known = connection.prepare_cached("SELECT 1 FROM alert WHERE rule = ?1 AND entity = ?2 AND site = ?3 AND anchor = ?4")?;
        let mut shares: HashMap<(Option<BodyId>, &str, &str), Share> = HashMap::new();
        for (key, group) in &self.groups {
            let rule = &group.rule;
            let share = shares.entry((group.body, &rule.title, &rule.rsit)).or_insert_with(|| Share {
                body: group.body,
                title: rule.title.clone(),
                rsit: rule.rsit.clone(),
                level: rule.level,
                alerts: 0,
                known: 0,
                rows: 0,
            });
            share.alerts += 1;
            share.rows += group.records;
            let anchor = key.day.saturating_mul(Timestamp::DAY);
            share.known += u64::from(known.exists(ingest::rusqlite::params![key.rule, key.entity.key(), key.site, anchor])?);
        }
        let mut shares: Vec<Share> = shares.into_values().collect();
        shares.sort_by(|a, b| (b.alerts, b.level, &a.title, a.body).cmp(&(a.alerts, a.level, &b.title, b.body)));
        Ok(shares)
    }

    /// Files all of it, some alerts a transaction; `progress` hears how many are done. Ended in between, the same again
    /// goes on where it ended.
    ///
    /// # Errors
    /// The database's own.
    pub fn file(
        self,
        db: &Db,
        playbooks: &Arc<Playbooks>,
        now: &dyn Fn() -> Timestamp,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Outcome, CaseError> {
        let mut outcome = Outcome::default();
        let mut done = 0;
        let mut groups = self.groups.into_iter().peekable();
        while groups.peek().is_some() {
            let batch: Vec<(Key, Group)> = groups.by_ref().take(BATCH).collect();
            let (count, playbooks, at) = (batch.len(), playbooks.clone(), now());
            let part = db.write(move |tx| {
                let mut outcome = Outcome::default();
                for (key, group) in batch {
                    let finding = finding(&key, &group, at);
                    let (case, fresh) = match finding_file(tx, &playbooks, &finding, at)? {
                        Filed::Opened { incident, .. } => {
                            outcome.opened += 1;
                            (Some(incident), true)
                        }
                        Filed::Joined { incident, .. } => {
                            outcome.joined += 1;
                            (Some(incident), true)
                        }
                        Filed::Extended { alert } => {
                            outcome.extended += 1;
                            (alert_incident(tx, alert)?, false)
                        }
                        Filed::Known { alert } => {
                            outcome.known += 1;
                            (alert_incident(tx, alert)?, false)
                        }
                        Filed::Waiting { .. } => (None, false),
                    };
                    if key.site == SITE_UNKNOWN {
                        outcome.strangers += 1;
                        outcome.stranger_examples.push((key.entity.key(), group.rule.title.clone()));
                    }
                    outcome.incidents.extend(case.filter(|_| fresh));
                    // A case is at least as closed as what it was told in, also when it was told before.
                    if let Some(incident) = case.map(|id| incident_find(tx, id)).transpose()?.flatten().filter(|case| case.tlp < group.tlp)
                    {
                        incident_change(tx, incident.id, incident.version, &Change::Label(group.tlp), "system", Role::Analyst, at)?;
                    }
                }
                Ok::<_, CaseError>(outcome)
            })?;
            outcome.add(part);
            done += count;
            progress(done);
        }
        outcome.incidents.sort();
        outcome.incidents.dedup();
        Ok(outcome)
    }
}

impl Outcome {
    fn add(&mut self, part: Self) {
        self.opened += part.opened;
        self.joined += part.joined;
        self.extended += part.extended;
        self.known += part.known;
        self.strangers += part.strangers;
        let room = STRANGERS_MAX.saturating_sub(self.stranger_examples.len());
        self.stranger_examples.extend(part.stranger_examples.into_iter().take(room));
        self.incidents.extend(part.incidents);
    }
}

/// The site of the first address that is ours, and that address.
fn attributed(addresses: &[IpAddr], sites: &SiteTable) -> (SiteId, Option<IpAddr>) {
    let ours = addresses.iter().map(|address| (sites.site_of(*address), *address)).find(|(site, _)| *site != SITE_UNKNOWN);
    ours.map_or((SITE_UNKNOWN, None), |(site, address)| (site, Some(address)))
}

fn finding(key: &Key, group: &Group, now: Timestamp) -> Finding {
    Finding {
        rule: group.rule.clone(),
        site: key.site,
        body: group.body,
        entity: key.entity.clone(),
        observables: group.observables.clone(),
        shares: vec![],
        explanation: None,
        first: group.first,
        last: group.last,
        detected_at: now,
        evidence: Vec::new(),
        records: group.records,
        reasons: Vec::new(),
    }
}

/// A source's name as a rule's short name has it.
fn slug(text: &str) -> String {
    let folded = text.to_lowercase();
    let parts: Vec<String> =
        folded.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    parts.join("-").chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::body::{Site, site_list, site_put};
    use ingest::scope::Scope;

    use super::super::read::{Hint, read};
    use super::*;
    use crate::alert::{AlertFilter, alert_list};
    use crate::incident::fixture::{START, World};

    /// Site A has 198.51.100.0/25, site B 198.51.100.128/25.
    fn sites(world: &World) -> SiteTable {
        let nets = [(world.sites[0], "198.51.100.0/25"), (world.sites[2], "198.51.100.128/25")];
        let mut all: Vec<Site> = world.db.read(site_list).unwrap();
        for site in &mut all {
            site.prefixes = nets.iter().filter(|(id, _)| *id == site.id).map(|(_, net)| net.parse().unwrap()).collect();
        }
        let copies = all.clone();
        world.db.write(move |tx| copies.iter().try_for_each(|site| site_put(tx, site))).unwrap_or_else(|error: DbError| panic!("{error}"));
        SiteTable::new(all)
    }

    fn plan(text: &str, sites: &SiteTable) -> Plan {
        let mut plan = Plan::default();
        let hint = Hint { file_name: "2026-11-20-scan_rdp-x.csv".into(), report: None };
        read(&mut text.as_bytes(), &hint, START, &mut |row| plan.add(row, sites)).unwrap();
        plan
    }

    const REPORT: &str = "timestamp,ip,port,tag\n\
        2026-11-20 23:50:00,198.51.100.7,3389,rdp\n\
        2026-11-20 01:00:00,198.51.100.7,3389,rdp\n\
        2026-11-21 00:10:00,198.51.100.7,3389,rdp\n\
        2026-11-20 02:00:00,198.51.100.200,3389,rdp\n\
        2026-11-20 02:00:00,192.0.2.99,3389,rdp\n";

    fn alerts(world: &World) -> Vec<String> {
        let mut list = world.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
        list.sort_by(|a, b| (a.first, &a.entity).cmp(&(b.first, &b.entity)));
        let line = |alert: &crate::alert::Alert| {
            let case = if alert.incident.is_some() { "case" } else { "-" };
            let site = alert.site_name.as_deref().unwrap_or_default();
            format!("{} {} {} n{} {} {case}", alert.first.rfc3339(), alert.entity, site, alert.records, alert.level.as_str())
        };
        list.iter().map(line).collect()
    }

    #[test]
    fn rows_become_alerts_of_those_whose_networks_they_name() {
        let world = World::new();
        let sites = sites(&world);
        let shares = world.db.read(|c| plan(REPORT, &sites).preview(c)).unwrap();
        assert_eq!(
            shares.iter().map(|share| (share.alerts, share.known, share.rows)).collect::<Vec<_>>(),
            [(2, 0, 3), (1, 0, 1), (1, 0, 1)]
        );
        let mut heard = Vec::new();
        let file = |heard: &mut Vec<usize>| {
            plan(REPORT, &sites).file(&world.db, &world.playbooks, &|| START, &mut |done| heard.push(done)).unwrap()
        };
        let first = file(&mut heard);
        assert_eq!((first.opened, first.joined, first.strangers, first.known), (2, 1, 1, 0));
        assert_eq!((first.incidents.len(), heard.as_slice()), (2, [4].as_slice()));
        assert_eq!(
            first.stranger_examples,
            [("ip:192.0.2.99".to_owned(), "Shadowserver meldet: RDP aus dem Internet erreichbar".to_owned())]
        );
        let lines = alerts(&world);
        // A day is a calendar day: ten minutes before and after midnight are two.
        expect![[r#"
            2026-11-20T01:00:00.000Z ip:198.51.100.7 rathaus-a n2 medium case
            2026-11-20T02:00:00.000Z ip:192.0.2.99 unbekannt n1 informational -
            2026-11-20T02:00:00.000Z ip:198.51.100.200 landratsamt-b n1 medium case
            2026-11-21T00:10:00.000Z ip:198.51.100.7 rathaus-a n1 medium case"#]]
        .assert_eq(&lines.join("\n"));
        let dump = world.dump();
        let again = file(&mut heard);
        assert_eq!((again.opened + again.joined + again.extended, again.known, again.incidents.len()), (0, 4, 0), "{again:?}");
        assert_eq!(world.dump(), dump, "the same file again changes nothing");
        let shares = world.db.read(|c| plan(REPORT, &sites).preview(c)).unwrap();
        assert!(shares.iter().all(|share| share.known == share.alerts), "{shares:?}");
        // Half of the file first, as after a kill, comes to the same.
        let other = World::new();
        let sites = self::sites(&other);
        let half: String = REPORT.lines().take(3).map(|line| format!("{line}\n")).collect();
        for text in [half.as_str(), REPORT] {
            plan(text, &sites).file(&other.db, &other.playbooks, &|| START, &mut |_| {}).unwrap();
        }
        assert_eq!(alerts(&other), lines);
    }

    #[test]
    fn a_case_is_as_closed_as_what_it_was_told_in() {
        let world = World::new();
        let sites = sites(&world);
        let event = r#"{"Event": {"uuid": "u-1", "info": "x", "date": "2026-11-19", "Tag": [{"name": "tlp:red"}],
            "Attribute": [{"uuid": "a", "type": "ip-dst", "value": "198.51.100.7", "timestamp": "1795200000"}]}}"#;
        let mut plan = Plan::default();
        read(&mut event.as_bytes(), &Hint::default(), START, &mut |row| plan.add(row, &sites)).unwrap();
        let done = plan.file(&world.db, &world.playbooks, &|| START, &mut |_| {}).unwrap();
        assert_eq!(world.view(done.incidents[0]).incident.tlp, Tlp::Red);
    }

    /// The same event again, stricter now, with and without anything new: its case follows, also a closed one; and a more
    /// open one opens nothing.
    #[test]
    fn a_stricter_label_reaches_the_case_that_is_there_already() {
        let world = World::new();
        let sites = sites(&world);
        let send = |tag: &str, more: &str| {
            let event = format!(
                r#"{{"Event": {{"uuid": "u-1", "info": "x", "date": "2026-11-19", "Tag": [{{"name": "{tag}"}}],
                "Attribute": [{{"uuid": "a", "type": "ip-dst", "value": "198.51.100.7", "timestamp": "1795200000"}}{more}]}}}}"#
            );
            let mut plan = Plan::default();
            read(&mut event.as_bytes(), &Hint::default(), START, &mut |row| plan.add(row, &sites)).unwrap();
            plan.file(&world.db, &world.playbooks, &|| START, &mut |_| {}).unwrap()
        };
        let case = send("tlp:green", "").incidents[0];
        let tlp = || world.view(case).incident.tlp;
        assert_eq!(tlp(), Tlp::Amber);
        let known = send("tlp:amber+strict", "");
        assert_eq!((known.known, known.incidents.len(), tlp()), (1, 0, Tlp::AmberStrict));
        world.write(|tx| Ok(tx.execute("UPDATE incident SET state = 'closed', closed_at = first_activity", [])?)).unwrap();
        let extended = send("tlp:red", r#", {"uuid": "b", "type": "md5", "value": "00"}"#);
        assert_eq!((extended.known + extended.extended, tlp()), (1, Tlp::Red));
        send("tlp:clear", "");
        assert_eq!(tlp(), Tlp::Red);
    }
}
