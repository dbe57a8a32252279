//! What the house itself notices about its sources and rules, which no record tells: a source that has fallen silent, an
//! address that belongs to no site, flows that are lost, a rule that has too much to remember. Silence is judged on the clock and only while somebody listens; so this runs beside a
//! running server, about once a minute, and not in the pipeline.

mod flow_loss;
mod memory;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, LazyLock};

use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::db::{Db, DbError, Migrations};
use ingest::frame::{Seq, Transport};
use ingest::rusqlite::{Transaction, params};
use ingest::scope::Scope;
use ingest::source::{Source, SourceId, source_cursor, source_list};
use ingest::time::Timestamp;

use crate::alert::{AlertId, alert_end, alert_open};
use crate::finding::{Entity, Finding};
use crate::rule::{Level, Rule};
use crate::rulebook::{RuleState, probe_add, rule_state};

pub use flow_loss::{LossLimit, LossWatch};
pub use memory::MemoryWatch;

/// Alerts of one address at once: a relay that stops takes hundreds of hosts with it, and ten say the same.
const SILENT_PER_PEER_MAX: usize = 10;
/// New alerts of one look; the rest follows with the next.
const OPENED_PER_LOOK_MAX: usize = 100;
/// Unknown senders that get an alert of their own on one day; anybody can forge addresses by the thousand. Those
/// beyond share one.
const UNKNOWN_PER_DAY_MAX: usize = 20;
/// An unknown sender is told of while it sends.
const UNKNOWN_FRESH: i64 = Timestamp::HOUR;
/// What stands for all unknown senders beyond the bound.
const OTHERS: &str = "*";

pub const MIGRATIONS: Migrations = Migrations {
    owner: "watch",
    steps: &["
        CREATE TABLE watch (
            rule TEXT NOT NULL,
            subject TEXT NOT NULL,
            since BIGINT NOT NULL,
            alert TEXT NOT NULL,
            PRIMARY KEY (rule, subject)
        );
    "],
};

/// Hints, so that they wait in the alert list: a device that was switched off is no incident, and the figures on
/// incidents must not count it as one. An analyst who finds more behind it opens a case.
const LEVEL: Level = Level::Informational;

static SILENT: LazyLock<Arc<Rule>> = LazyLock::new(|| {
    rule(
        "2f5f7d0c-6f0e-4a0f-9d8c-7d1a4c1f5e01",
        "source_silent",
        "Quelle verstummt",
        "Schlägt an, wenn eine Quelle länger schweigt als eine Stunde und als das Dreifache dessen, was um diese Stunde der \
         Woche üblich ist; oder länger, als für sie eingestellt ist. Der Alarm schließt sich, sobald sie wieder sendet.",
        "availability/outage",
    )
});

static UNKNOWN: LazyLock<Arc<Rule>> = LazyLock::new(|| {
    rule(
        "2f5f7d0c-6f0e-4a0f-9d8c-7d1a4c1f5e02",
        "sender_unknown",
        "Unbekannter Absender",
        "Schlägt an, wenn von einer Adresse etwas kommt, die zu keinem Standort gehört: einmal am Tag je Adresse.",
        "other/undetermined",
    )
});

static FLOW_LOSS: LazyLock<Arc<Rule>> = LazyLock::new(|| {
    rule(
        "2f5f7d0c-6f0e-4a0f-9d8c-7d1a4c1f5e03",
        "flow_loss",
        "Flussdaten gehen verloren",
        "Schlägt an, wenn von den Flussdaten eines Exporteurs mehr als der eingestellte Anteil nie angekommen ist \
         (flows.loss_percent über flows.loss_minutes, gerechnet aus seinen Folgenummern). Der Alarm schließt sich, sobald über \
         diese Zeit wieder weniger fehlt.",
        "availability/outage",
    )
});

static MEMORY: LazyLock<Arc<Rule>> = LazyLock::new(|| {
    rule(
        "2f5f7d0c-6f0e-4a0f-9d8c-7d1a4c1f5e04",
        "rule_memory",
        "Eine Regel hat zu viel zu merken",
        "Schlägt an, wenn eine Regel, die über mehrere Ereignisse zählt, für weitere keinen Platz hatte und ältere aufgeben \
         musste: Ihre Zahlen können zu klein sein. Der Alarm schließt sich, wenn das einen Tag lang nicht mehr vorkam.",
        "availability/outage",
    )
});

fn rule(id: &str, name: &str, title: &str, description: &str, rsit: &str) -> Arc<Rule> {
    Arc::new(Rule {
        id: id.into(),
        name: name.into(),
        title: title.into(),
        description: description.into(),
        level: LEVEL,
        rsit: rsit.into(),
        attack: vec![],
        playbook: Some(name.into()),
    })
}

/// The rules of this module, which no folder holds.
pub fn house_rules() -> [Arc<Rule>; 4] {
    [SILENT.clone(), UNKNOWN.clone(), FLOW_LOSS.clone(), MEMORY.clone()]
}

/// What a look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Sources that have fallen silent, and those that speak again.
    pub silent: usize,
    pub returned: usize,
    /// Unknown senders that were told of.
    pub unknown: usize,
    /// Streams of flows that lose too much, and those that do not any more.
    pub losing: usize,
    pub whole: usize,
}

/// Looks after the sources; made when the listeners are open.
#[derive(Debug)]
pub struct Watch {
    db: Db,
    /// Since when somebody listens: what came while nobody did cannot be missed.
    since: Timestamp,
    /// The journal's end at the last look.
    reached: Option<Seq>,
}

impl Watch {
    pub fn new(db: Db, since: Timestamp) -> Self {
        Self { db, since, reached: None }
    }

    /// Opens alerts for sources that have fallen silent and for unknown senders, closes those of sources that speak
    /// again. Call it about once a minute; `journal_last` is the journal's end, `now` the time.
    ///
    /// # Errors
    /// The database's own.
    pub fn look(&mut self, sites: &Arc<SiteTable>, journal_last: Seq, now: Timestamp) -> Result<Looked, DbError> {
        // The inventory may lag behind the journal: while it has not counted what lay there at the last look, a source
        // may have sent without its knowing.
        let counted = self.db.read(source_cursor)?;
        let current = self.reached.is_some_and(|reached| counted >= reached);
        self.reached = Some(journal_last);
        if !current {
            return Ok(Looked::default());
        }
        let (sites, since) = (Arc::clone(sites), self.since);
        self.db.write(move |tx| {
            let sources = source_list(tx, &Scope::All, &sites, now)?;
            let mut looked = silences_file(tx, &sources, &sites, since, now)?;
            looked.unknown = strangers_file(tx, &sources, now)?;
            Ok(looked)
        })
    }
}

/// A silence that has an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    /// When the source was last heard then.
    last_seen: Timestamp,
    alert: AlertId,
}

/// What there is to do about silence: which sources get an alert, and whose alerts end. Pure.
fn judge<'s>(
    sources: &'s [Source],
    open: &HashMap<SourceId, Open>,
    listening_since: Timestamp,
    now: Timestamp,
) -> (Vec<&'s Source>, Vec<(SourceId, Open, Timestamp)>) {
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    let mut of_peer: HashMap<(&str, ingest::body::SiteId), usize> = HashMap::new();
    for source in sources {
        let known = open.get(&source.id);
        let given_up = source.expected == Some(0);
        match known {
            Some(open) if source.last_seen > open.last_seen => ended.push((source.id, *open, source.last_seen)),
            Some(open) if given_up => ended.push((source.id, *open, now)),
            Some(_) => *of_peer.entry((&source.peer, source.site)).or_default() += 1,
            None => {}
        }
        // Whom nobody knows, nobody misses.
        let missed = source.site != SITE_UNKNOWN && source.is_regular() && source.is_silent_since(listening_since, now);
        if known.is_none() && missed && begun.len() < OPENED_PER_LOOK_MAX {
            let count = of_peer.entry((&source.peer, source.site)).or_default();
            if *count < SILENT_PER_PEER_MAX {
                *count += 1;
                begun.push(source);
            }
        }
    }
    (begun, ended)
}

fn silences_file(
    tx: &Transaction<'_>,
    sources: &[Source],
    sites: &SiteTable,
    listening_since: Timestamp,
    now: Timestamp,
) -> Result<Looked, DbError> {
    let open: HashMap<SourceId, Open> = {
        let mut statement = tx.prepare_cached("SELECT subject, since, alert FROM watch WHERE rule = ?1")?;
        let rows =
            statement.query_map([&SILENT.name], |row| Ok((row.get(0)?, Open { last_seen: Timestamp(row.get(1)?), alert: row.get(2)? })))?;
        rows.collect::<Result<_, _>>()?
    };
    let (begun, ended) = judge(sources, &open, listening_since, now);
    let mut looked = Looked { silent: begun.len(), returned: ended.len(), ..Looked::default() };
    for (id, open, at) in ended {
        alert_end(tx, open.alert, at, "source_returned", now)?;
        tx.execute("DELETE FROM watch WHERE rule = ?1 AND subject = ?2", params![SILENT.name, id])?;
    }
    for source in begun {
        let mut finding = finding(&SILENT, source, now);
        finding.body = sites.body(source.site);
        match open_as_it_stands(tx, &finding, now)? {
            Some(alert) => watch_put(tx, &SILENT.name, &source.id.to_string(), source.last_seen, alert)?,
            None => looked.silent -= 1,
        }
    }
    Ok(looked)
}

/// One alert a day for each address that belongs to no site.
fn strangers_file(tx: &Transaction<'_>, sources: &[Source], now: Timestamp) -> Result<usize, DbError> {
    let today = now.0.div_euclid(Timestamp::DAY) * Timestamp::DAY;
    tx.execute("DELETE FROM watch WHERE rule = ?1 AND since < ?2", params![UNKNOWN.name, today])?;
    let mut told: HashSet<String> = {
        let mut statement = tx.prepare_cached("SELECT subject FROM watch WHERE rule = ?1")?;
        statement.query_map([&UNKNOWN.name], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    let mut opened = 0;
    for source in sources {
        let stranger = source.site == SITE_UNKNOWN && source.transport != Transport::Import.as_str();
        if !stranger || now.since(source.last_seen) > UNKNOWN_FRESH {
            continue;
        }
        let subject = if told.len() < UNKNOWN_PER_DAY_MAX { source.peer.as_str() } else { OTHERS };
        if told.contains(&source.peer) || told.contains(subject) {
            continue;
        }
        let mut finding = finding(&UNKNOWN, source, now);
        finding.first = source.first_seen.max(Timestamp(today));
        finding.last = source.last_seen;
        finding.entity = match source.peer.parse() {
            Ok(peer) if subject != OTHERS => Entity::Ip(peer),
            _ => Entity::Site,
        };
        let Some(alert) = open_as_it_stands(tx, &finding, now)? else { break };
        watch_put(tx, &UNKNOWN.name, subject, now, alert)?;
        told.insert(subject.to_owned());
        opened += 1;
    }
    Ok(opened)
}

fn finding(rule: &Arc<Rule>, source: &Source, now: Timestamp) -> Finding {
    let address = source.peer.parse().map_or(Entity::Site, Entity::Ip);
    let entity = if source.host.is_empty() { address } else { Entity::Host(source.host.clone()) };
    let observables = [("observer.ip", &source.peer), ("host.name", &source.host)];
    let observables = observables.into_iter().filter(|(_, value)| !value.is_empty());
    Finding {
        rule: Arc::clone(rule),
        site: source.site,
        body: None,
        entity,
        observables: observables.map(|(field, value)| (field, vec![value.clone()])).collect(),
        first: source.last_seen,
        last: now,
        detected_at: now,
        evidence: vec![],
        records: 0,
        reasons: vec![],
        explanation: None,
        shares: vec![],
    }
}

/// What stands in an alert's place where a watch on probation has noted something.
const NOTED: AlertId = AlertId(ingest::id::Ulid(0));

/// Opens an alert where the watch is on. On probation it is noted, and `NOTED` keeps it from being noted again; `None` where
/// the watch is off.
fn open_as_it_stands(tx: &Transaction<'_>, finding: &Finding, now: Timestamp) -> Result<Option<AlertId>, DbError> {
    match rule_state(tx, &finding.rule.name)? {
        RuleState::On => Ok(Some(alert_open(tx, finding, now)?.id)),
        RuleState::Probe => probe_add(tx, std::iter::once(finding), now).map(|()| Some(NOTED)),
        RuleState::Off => Ok(None),
    }
}

/// What was only noted is seen anew when its watch is switched: then it may be worth an alert.
pub(crate) fn watch_renew(tx: &Transaction<'_>, rule: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM watch WHERE rule = ?1 AND alert = ?2", params![rule, NOTED])?;
    Ok(())
}

fn watch_put(tx: &Transaction<'_>, rule: &str, subject: &str, since: Timestamp, alert: AlertId) -> Result<(), DbError> {
    tx.prepare_cached(
        "INSERT INTO watch (rule, subject, since, alert) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (rule, subject) DO UPDATE SET since = excluded.since, alert = excluded.alert",
    )?
    .execute(params![rule, subject, since.0, alert])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use expect_test::expect;
    use ingest::body::{Site, SiteId};
    use ingest::event::Event;
    use ingest::fields;
    use ingest::frame::{Frame, FrameKind, Marks, NewFrame};
    use ingest::pipeline::{Batch, Consumer as _};
    use ingest::source::{SourceConsumer, source_expect};

    use super::*;
    use crate::alert::{AlertFilter, alert_list};
    use crate::incident::{IncidentFilter, incident_list};

    /// A Wednesday, 2026-11-18, at 8 in Thuringia.
    const MORNING: Timestamp = Timestamp(1_794_985_200_000);

    /// A database, the inventory over it, and a clock that the test moves.
    struct House {
        db: Db,
        sources: SourceConsumer,
        sites: Arc<SiteTable>,
        watch: Watch,
        seq: u64,
        now: Timestamp,
        _dir: tempfile::TempDir,
    }

    impl House {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let owners = [
                ingest::body::MIGRATIONS,
                ingest::history::MIGRATIONS,
                ingest::source::MIGRATIONS,
                crate::incident::MIGRATIONS,
                crate::alert::MIGRATIONS,
                crate::rulebook::MIGRATIONS,
                MIGRATIONS,
            ];
            let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
            let site = Site {
                id: SiteId(ingest::id::Ulid(7)),
                name: "rathaus".into(),
                body: None,
                prefixes: vec!["192.0.2.0/24".parse().unwrap()],
                certificates: vec![],
                tokens: vec![],
            };
            let copy = site.clone();
            db.write(move |tx| ingest::body::site_add(tx, &copy)).unwrap();
            let sources = SourceConsumer::new(db.clone()).unwrap();
            let watch = Watch::new(db.clone(), MORNING);
            Self { db, sources, sites: Arc::new(SiteTable::new(vec![site])), watch, seq: 0, now: MORNING, _dir: dir }
        }

        /// Every sender sends once a minute for `minutes`; the house looks every minute. What the looks did, added up.
        fn pass(&mut self, minutes: i64, senders: &[(&str, &str)]) -> String {
            let mut sum = Looked::default();
            for _ in 0..minutes {
                self.now = self.now.plus(Timestamp::MINUTE);
                for (peer, host) in senders {
                    self.line(peer, host);
                }
                self.sources.flush().unwrap();
                let looked = self.watch.look(&self.sites, Seq(self.seq), self.now).unwrap();
                sum.silent += looked.silent;
                sum.returned += looked.returned;
                sum.unknown += looked.unknown;
            }
            format!("{} silent, {} returned, {} unknown", sum.silent, sum.returned, sum.unknown)
        }

        fn line(&mut self, peer: &str, host: &str) {
            self.seq += 1;
            let (seq, peer) = (Seq(self.seq), peer.parse::<IpAddr>().unwrap());
            let site = self.sites.attribute(&ingest::body::Sender::of(peer));
            let frame = NewFrame {
                received_at: self.now,
                site,
                peer,
                transport: Transport::Udp,
                kind: FrameKind::Line,
                marks: Marks::default(),
                payload: Box::from(&b"x"[..]),
            };
            let mut event = Event::new(seq, self.now, site, peer, Transport::Udp, b"x");
            event.push_text(fields::HOST_NAME, host);
            let batch = Batch { first: seq, last: seq, events: vec![event], frames: vec![Frame { seq, frame }], ..Batch::default() };
            self.sources.apply(&batch).unwrap();
        }

        fn alerts(&self, scope: Scope) -> String {
            let alerts = self.db.read(|c| alert_list(c, &AlertFilter::new(scope))).unwrap();
            let show = |alert: &crate::alert::Alert| {
                let lasted = alert.last.since(alert.first) / Timestamp::MINUTE;
                format!("{} {} {} {lasted} min\n", alert.title, alert.entity, alert.state.as_str())
            };
            alerts.iter().rev().map(show).collect()
        }
    }

    #[test]
    fn a_silence_is_one_alert_that_ends_with_it() {
        let mut house = House::new();
        assert_eq!(house.pass(120, &[("192.0.2.1", "fw"), ("192.0.2.2", "srv")]), "0 silent, 0 returned, 0 unknown");
        assert_eq!(house.pass(60, &[("192.0.2.2", "srv")]), "0 silent, 0 returned, 0 unknown", "an hour is not too long");
        assert_eq!(house.pass(300, &[("192.0.2.2", "srv")]), "1 silent, 0 returned, 0 unknown", "told once, not each minute");
        expect![["Quelle verstummt host:fw new 61 min\n"]].assert_eq(&house.alerts(Scope::All));
        assert_eq!(house.pass(60, &[("192.0.2.1", "fw"), ("192.0.2.2", "srv")]), "0 silent, 1 returned, 0 unknown");
        expect![["Quelle verstummt host:fw closed 361 min\n"]].assert_eq(&house.alerts(Scope::All));
        let again = house.pass(24 * 60, &[("192.0.2.2", "srv")]);
        assert_eq!(again, "1 silent, 0 returned, 0 unknown", "the next silence is the next alert, on the same day too");
        let cases = house.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap();
        assert!(cases.is_empty(), "a switched-off device is no incident");
    }

    /// Off, nothing is told; on probation each silence is noted once; and what then still lasts is told when it is on again.
    #[test]
    fn a_watch_does_as_it_stands() {
        use crate::role::Role;
        use crate::rulebook::{StateChange, rule_state_set, rule_states};

        let mut house = House::new();
        let switch = |house: &House, state| {
            let (change, now) = (StateChange { rule: "source_silent".into(), state, reason: "Umzug".into() }, house.now);
            house.db.write(move |tx| rule_state_set(tx, &change, "user:x", Role::Lead, now)).unwrap();
        };
        let hits = |house: &House| house.db.read(rule_states).unwrap()["source_silent"].hits;
        house.pass(120, &[("192.0.2.1", "fw"), ("192.0.2.2", "srv")]);
        switch(&house, RuleState::Off);
        assert_eq!(house.pass(300, &[("192.0.2.2", "srv")]), "0 silent, 0 returned, 0 unknown");
        switch(&house, RuleState::Probe);
        house.pass(30, &[("192.0.2.2", "srv")]);
        assert_eq!((hits(&house), house.alerts(Scope::All)), (1, String::new()), "noted, once");
        switch(&house, RuleState::On);
        house.pass(30, &[("192.0.2.2", "srv")]);
        assert!(house.alerts(Scope::All).starts_with("Quelle verstummt host:fw new"), "it lasts");
        // Switched off while it lasts: the alert ends with the silence all the same.
        switch(&house, RuleState::Off);
        house.pass(60, &[("192.0.2.1", "fw"), ("192.0.2.2", "srv")]);
        assert!(house.alerts(Scope::All).contains("closed"));
    }

    #[test]
    fn nobody_misses_a_source_while_nobody_listens_or_the_inventory_lags() {
        let mut house = House::new();
        house.pass(120, &[("192.0.2.1", "fw")]);
        // The server is off for ten hours; what was sent meanwhile is unknown.
        house.now = house.now.plus(10 * Timestamp::HOUR);
        house.watch = Watch::new(house.db.clone(), house.now);
        assert_eq!(house.pass(50, &[]), "0 silent, 0 returned, 0 unknown");
        // The journal goes on, but the inventory stands.
        house.seq += 1_000;
        assert_eq!(house.pass(120, &[]), "0 silent, 0 returned, 0 unknown");
        house.seq -= 1_000;
        assert_eq!(house.pass(5, &[]), "1 silent, 0 returned, 0 unknown");
    }

    #[test]
    fn an_operator_says_what_is_expected() {
        let mut house = House::new();
        house.pass(120, &[("192.0.2.1", "fw"), ("192.0.2.2", "srv")]);
        let expect = |house: &House, host: &str, expected| {
            let (sites, now) = (house.sites.clone(), house.now);
            let all = house.db.read(|c| source_list(c, &Scope::All, &sites, now)).unwrap();
            let source = all.into_iter().find(|source| source.host == host).unwrap();
            house.db.write(move |tx| source_expect(tx, &source, &sites, expected, "someone", now)).unwrap();
        };
        expect(&house, "fw", Some(5 * Timestamp::MINUTE));
        expect(&house, "srv", Some(0));
        assert_eq!(house.pass(6, &[]), "1 silent, 0 returned, 0 unknown");
        assert_eq!(house.pass(600, &[]), "0 silent, 0 returned, 0 unknown", "who is given up is not missed");
        expect(&house, "fw", Some(0));
        assert_eq!(house.pass(1, &[]), "0 silent, 1 returned, 0 unknown", "and an alert about it ends");
    }

    #[test]
    fn strangers_are_told_of_once_a_day_and_only_to_the_cert() {
        let mut house = House::new();
        assert_eq!(house.pass(120, &[("198.51.100.1", "x"), ("192.0.2.1", "fw")]), "0 silent, 0 returned, 1 unknown");
        expect![["Unbekannter Absender ip:198.51.100.1 new 1 min\n"]].assert_eq(&house.alerts(Scope::All));
        let body = ingest::body::BodyId(ingest::id::Ulid(1));
        assert_eq!(house.alerts(Scope::Bodies(vec![body])), "");
        assert_eq!(house.pass(24 * 60, &[("198.51.100.1", "x"), ("192.0.2.1", "fw")]), "0 silent, 0 returned, 1 unknown");
        let many: Vec<String> = (0..200).map(|n| format!("203.0.113.{n}")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|peer| (peer.as_str(), "x")).collect();
        let told = house.pass(3, &many);
        assert_eq!(told, format!("0 silent, 0 returned, {UNKNOWN_PER_DAY_MAX} unknown"), "the rest shares one");
    }

    #[test]
    fn a_relay_that_stops_does_not_flood_the_queue() {
        let mut house = House::new();
        let hosts: Vec<String> = (0..30).map(|n| format!("host-{n}")).collect();
        let senders: Vec<(&str, &str)> = hosts.iter().map(|host| ("192.0.2.1", host.as_str())).collect();
        house.pass(70, &senders);
        assert_eq!(house.pass(300, &[]), format!("{SILENT_PER_PEER_MAX} silent, 0 returned, 0 unknown"));
        assert_eq!(house.pass(2, &senders), format!("0 silent, {SILENT_PER_PEER_MAX} returned, 0 unknown"));
    }

    #[test]
    fn the_house_rules_have_their_playbooks() {
        let playbooks = crate::playbook::Playbooks::embedded().unwrap();
        for rule in house_rules() {
            assert_eq!(playbooks.choose(&rule.name, rule.playbook.as_deref(), &rule.rsit).unwrap().name, rule.name);
        }
    }
}
