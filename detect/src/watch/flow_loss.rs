//! Flows that exporters numbered and that never came. What is lost is judged over a sliding window, by the accounts of the
//! decoder at work: a share of it above the operator's limit is one alert for the stream, which closes when the window is
//! clean again. What nobody knows the exporter of is `UNKNOWN`'s affair.

use std::collections::{HashMap, HashSet, VecDeque};

use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::db::{Db, DbError};
use ingest::flow::{Account, StreamKey, protocol};
use ingest::rusqlite::{Transaction, params};
use ingest::time::Timestamp;

use super::{FLOW_LOSS, Looked, OPENED_PER_LOOK_MAX, open_as_it_stands, watch_put};
use crate::alert::{AlertId, alert_end};
use crate::finding::{Entity, Finding, Reason};
use crate::say::{count, decimal, duration};

/// Fewer lost units (records, of v9 and sFlow datagrams) than this in a window are chance, however few came.
const LOST_MIN: u64 = 10;
/// Looks that are remembered: an hour's, one a minute. With all streams that a decoder knows, of known sites, 20 MB.
const LOOKS_MAX: usize = 61;

/// From which loss on there is an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossLimit {
    /// Of what was sent; 0: never.
    pub percent: u32,
    /// Over how many minutes, at most 60.
    pub minutes: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    came: u64,
    lost: u64,
}

/// Looks after the streams of flows; made when the listeners are open.
#[derive(Debug)]
pub struct LossWatch {
    db: Db,
    limit: LossLimit,
    looks: VecDeque<(Timestamp, HashMap<StreamKey, Counted>)>,
}

impl LossWatch {
    pub fn new(db: Db, limit: LossLimit) -> Self {
        Self { db, limit, looks: VecDeque::new() }
    }

    /// Opens alerts for streams that lose more than they may, closes those of streams that do not any more. Call it about once
    /// a minute with the accounts of the decoder at work.
    ///
    /// # Errors
    /// The database's own.
    pub fn look(&mut self, accounts: &[(StreamKey, Account)], sites: &SiteTable, now: Timestamp) -> Result<Looked, DbError> {
        if self.limit.percent == 0 {
            return Ok(Looked::default());
        }
        let known: Vec<&(StreamKey, Account)> = accounts.iter().filter(|(_, account)| account.site != SITE_UNKNOWN).collect();
        let counted = |(key, account): &&(StreamKey, Account)| (*key, Counted { came: account.came(), lost: account.lost });
        self.looks.push_back((now, known.iter().map(counted).collect()));
        let window = i64::from(self.limit.minutes) * Timestamp::MINUTE;
        // The oldest look that is left lies at the window's beginning, or before it by less than a look.
        while self.looks.len() > LOOKS_MAX || self.looks.get(1).is_some_and(|(at, _)| now.since(*at) >= window) {
            self.looks.pop_front();
        }
        let Some((since, before)) = self.looks.front() else { return Ok(Looked::default()) };
        let (since, whole) = (*since, now.since(*since) >= window);
        let losing = judge(&known, before, self.limit.percent);
        let begun: Vec<(String, Finding)> =
            losing.iter().map(|losing| (subject(losing.key), losing.finding(self.limit.percent, sites, since, now))).collect();
        self.db.write(move |tx| file(tx, begun, whole, now))
    }
}

/// A stream that lost more than it may.
struct Losing<'a> {
    key: &'a StreamKey,
    account: &'a Account,
    /// Units (records, of v9 and sFlow datagrams) in the window, and how many the exporter numbered in it.
    lost: u64,
    sent: u64,
}

/// The streams that lost more than they may since `before`. Pure.
fn judge<'a>(accounts: &[&'a (StreamKey, Account)], before: &HashMap<StreamKey, Counted>, percent: u32) -> Vec<Losing<'a>> {
    let losing = |(key, account): &&'a (StreamKey, Account)| {
        // A stream that is new to us began with nothing; one that came late takes a loss back.
        let known = before.get(key).copied().unwrap_or_default();
        let lost = account.lost.saturating_sub(known.lost);
        let sent = lost.saturating_add(account.came().saturating_sub(known.came));
        let over = lost >= LOST_MIN && lost.saturating_mul(100) > sent.saturating_mul(percent.into());
        over.then_some(Losing { key, account, lost, sent })
    };
    accounts.iter().filter_map(losing).collect()
}

fn subject(key: &StreamKey) -> String {
    format!("{} {} {}", key.exporter, key.version, key.domain_name())
}

impl Losing<'_> {
    fn finding(&self, percent: u32, sites: &SiteTable, since: Timestamp, now: Timestamp) -> Finding {
        let (key, account) = (self.key, self.account);
        #[expect(clippy::cast_precision_loss, reason = "one place behind the comma is shown")]
        let share = self.lost as f64 / self.sent.max(1) as f64 * 100.0;
        let first = since.max(account.since);
        Finding {
            rule: FLOW_LOSS.clone(),
            site: account.site,
            body: sites.body(account.site),
            entity: Entity::Ip(key.exporter),
            observables: [("observer.ip", vec![key.exporter.to_string()])].into(),
            first,
            last: now,
            detected_at: now,
            evidence: vec![],
            records: 0,
            reasons: vec![
                Reason::new("Verloren", format!("{} %", decimal(share, 1)), format!("über {percent} %")),
                Reason::new("Davon gezählt", format!("{} von {} {}", count(self.lost), count(self.sent), unit(key)), ""),
                Reason::new("Zeitraum", duration(now.since(first)), ""),
                Reason::new("Strom", format!("{}, Domäne {}", protocol(key.version).unwrap_or_default(), key.domain_name()), ""),
            ],
            explanation: None,
            shares: vec![],
        }
    }
}

/// What the exporter's sequence counts.
fn unit(key: &StreamKey) -> &'static str {
    if key.counts_records() { "Datensätzen" } else { "Datagrammen" }
}

fn file(tx: &Transaction<'_>, losing: Vec<(String, Finding)>, whole: bool, now: Timestamp) -> Result<Looked, DbError> {
    let open: HashMap<String, AlertId> = {
        let mut statement = tx.prepare_cached("SELECT subject, alert FROM watch WHERE rule = ?1")?;
        statement.query_map([&FLOW_LOSS.name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?
    };
    let mut looked = Looked::default();
    let still: HashSet<&str> = losing.iter().map(|(subject, _)| subject.as_str()).collect();
    // Of less than a window nothing good can be said.
    for (subject, alert) in open.iter().filter(|(subject, _)| whole && !still.contains(subject.as_str())) {
        alert_end(tx, *alert, now, "loss_over", now)?;
        tx.execute("DELETE FROM watch WHERE rule = ?1 AND subject = ?2", params![FLOW_LOSS.name, subject])?;
        looked.whole += 1;
    }
    for (subject, finding) in losing.iter().filter(|(subject, _)| !open.contains_key(subject)).take(OPENED_PER_LOOK_MAX) {
        let Some(alert) = open_as_it_stands(tx, finding, now)? else { break };
        watch_put(tx, &FLOW_LOSS.name, subject, now, alert)?;
        looked.losing += 1;
    }
    Ok(looked)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;
    use ingest::body::{Site, SiteId};
    use ingest::flow::FlowDecoder;
    use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
    use ingest::scope::Scope;

    use super::*;
    use crate::alert::{AlertFilter, alert_list};

    const START: Timestamp = Timestamp(1_794_985_200_000);

    /// Exporters of NetFlow v5 that send ten records a datagram, a decoder, and a house that looks once a minute.
    struct House {
        db: Db,
        decoder: FlowDecoder,
        watch: LossWatch,
        sites: Arc<SiteTable>,
        sequence: u32,
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
                crate::incident::MIGRATIONS,
                crate::alert::MIGRATIONS,
                crate::rulebook::MIGRATIONS,
                super::super::MIGRATIONS,
            ];
            let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
            let prefixes = vec!["192.0.2.0/24".parse().unwrap()];
            let site = Site {
                id: SiteId(ingest::id::Ulid(7)),
                name: "rathaus".into(),
                body: None,
                prefixes,
                certificates: vec![],
                tokens: vec![],
            };
            let copy = site.clone();
            db.write(move |tx| ingest::body::site_add(tx, &copy)).unwrap();
            let watch = LossWatch::new(db.clone(), LossLimit { percent: 5, minutes: 10 });
            let (decoder, sites) = (FlowDecoder::default(), Arc::new(SiteTable::new(vec![site])));
            Self { db, decoder, watch, sites, sequence: 0, seq: 0, now: START, _dir: dir }
        }

        /// Ten datagrams a minute from each exporter, of which every `nth` never comes.
        fn pass(&mut self, minutes: i64, nth: u32) -> String {
            let mut sum = Looked::default();
            for _ in 0..minutes {
                self.now = self.now.plus(Timestamp::MINUTE);
                for n in 0..10 {
                    for peer in ["192.0.2.1", "198.51.100.1"] {
                        if nth == 0 || n % nth != nth - 1 {
                            self.datagram(peer);
                        }
                    }
                    self.sequence += 10;
                }
                let looked = self.watch.look(&self.decoder.accounts().list(), &self.sites, self.now).unwrap();
                (sum.losing, sum.whole) = (sum.losing + looked.losing, sum.whole + looked.whole);
            }
            format!("{} losing, {} whole", sum.losing, sum.whole)
        }

        fn datagram(&mut self, peer: &str) {
            self.seq += 1;
            let peer = peer.parse().unwrap();
            let mut payload: Vec<u8> = [5u16, 10].iter().flat_map(|n| n.to_be_bytes()).collect();
            payload.extend([1_000u32, 1_794_985_200, 0, self.sequence, 0].iter().flat_map(|n| n.to_be_bytes()));
            payload.extend([1; 480]);
            let frame = NewFrame {
                received_at: self.now,
                site: self.sites.site_of(peer),
                peer,
                transport: Transport::Udp,
                kind: FrameKind::Flow,
                marks: Marks::default(),
                payload: payload.into(),
            };
            self.decoder.decode(&Frame { seq: Seq(self.seq), frame }, &mut Vec::new());
        }

        fn alerts(&self) -> String {
            let alerts = self.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
            alerts.iter().rev().map(|alert| format!("{} {} {}\n", alert.title, alert.entity, alert.state.as_str())).collect()
        }

        /// Of the newest alert.
        fn reasons(&self) -> String {
            let alerts = self.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
            let reasons = alerts.first().map(|alert| alert.reasons.clone()).unwrap_or_default();
            reasons.iter().map(|reason| format!("{}: {} {}\n", reason.name, reason.value, reason.threshold)).collect()
        }
    }

    #[test]
    fn a_stream_that_loses_is_one_alert_until_it_is_whole_again() {
        let mut house = House::new();
        assert_eq!(house.pass(30, 0), "0 losing, 0 whole");
        // One of ten, over a window that was clean: above 5 percent after some minutes, and told once.
        assert_eq!(house.pass(30, 10), "1 losing, 0 whole", "and nobody is missed whom nobody knows");
        expect![[r#"
            Flussdaten gehen verloren ip:192.0.2.1 new
        "#]]
        .assert_eq(&house.alerts());
        expect![[r#"
            Verloren: 5,1 % über 5 %
            Davon gezählt: 50 von 990 Datensätzen 
            Zeitraum: 10 min 
            Strom: NetFlow v5, Domäne 0 
        "#]]
        .assert_eq(&house.reasons());
        assert_eq!(house.pass(6, 0), "0 losing, 1 whole", "when less than 5 percent of the last ten minutes is lost");
        expect![[r#"
            Flussdaten gehen verloren ip:192.0.2.1 closed
        "#]]
        .assert_eq(&house.alerts());
        assert_eq!(house.pass(30, 0), "0 losing, 0 whole");
        assert_eq!(house.pass(30, 2), "1 losing, 0 whole", "the next loss is the next alert");
    }

    #[test]
    fn a_restart_of_ours_opens_nothing_twice_and_closes_nothing_early() {
        let mut house = House::new();
        house.pass(20, 5);
        house.watch = LossWatch::new(house.db.clone(), house.watch.limit);
        assert_eq!(house.pass(9, 0), "0 losing, 0 whole", "a part of a window says nothing good");
        assert_eq!(house.pass(3, 0), "0 losing, 1 whole");
    }

    #[test]
    fn zero_percent_is_no_alert() {
        let mut house = House::new();
        house.watch = LossWatch::new(house.db.clone(), LossLimit { percent: 0, minutes: 10 });
        assert_eq!(house.pass(30, 2), "0 losing, 0 whole");
    }
}
