//! What an exporter sent and what of it never came, counted by stream: one observation domain of one exporter. Sequence
//! numbers say what is missing: v5 and IPFIX count records, v9 and sFlow datagrams.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::decoder::FlowReport;
use crate::body::SiteId;
use crate::time::Timestamp;

/// Streams in memory: 600 sites with some domains each. A flood of forged exporters makes the longest silent half go.
const STREAMS_MAX: usize = 8_192;
/// A jump ahead of more than this is a new count, not a loss: at 100,000 records a second three minutes.
const JUMP_MAX: u32 = 20_000_000;
/// What comes later than this many units is no late datagram.
const LATE_MAX: u32 = 100_000;
/// Nor what comes so long after the gap was seen.
const LATE_MILLIS_MAX: i64 = 5 * Timestamp::SECOND;

/// One observation domain of one exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    pub exporter: IpAddr,
    /// As `FlowRecord::version`; 0 for datagrams of no version that we know.
    pub version: u8,
    pub domain: u32,
}

impl StreamKey {
    /// What its sequence numbers count.
    pub fn counts_records(&self) -> bool {
        matches!(self.version, 5 | 10)
    }
}

/// What became of one stream since it was first heard.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose its last datagram was.
    pub site: SiteId,
    pub since: Timestamp,
    pub last: Timestamp,
    pub datagrams: u64,
    /// Flows, the second direction of two-way records included.
    pub records: u64,
    pub options: u64,
    /// By the sequence numbers: records or datagrams (`StreamKey::counts_records`) that never came.
    pub lost: u64,
    /// Units that came out of order; they are not lost.
    pub late: u64,
    /// Datagrams that came twice.
    pub doubled: u64,
    /// Times that the exporter began to count anew.
    pub restarts: u64,
    /// Times that nothing can be said about a gap, because data still waits for its template.
    pub unsure: u64,
    /// Data sets that waited for a template, and those of them that were given up.
    pub sets_waited: u64,
    pub sets_lost: u64,
    /// Datagrams with a defect.
    pub defective: u64,
    /// sFlow: packets that the exporter itself could not sample, by its own count.
    pub dropped_by_exporter: u64,
    /// The exporter's clock ahead of ours, by its last datagram, in milliseconds.
    pub skew_ms: i64,
    /// From a flow's end to its export, the mean of the last datagram with flows, in milliseconds.
    pub delay_ms: i64,
    /// The last flow's sampling: 1 in so many.
    pub sampling: u32,
    sequence: Sequence,
}

impl Account {
    /// What is missing of all that was sent, from 0 to 1. `None` where nothing came yet.
    pub fn loss(&self, key: &StreamKey) -> Option<f64> {
        let all = self.came(key) + self.lost;
        #[allow(clippy::cast_precision_loss, reason = "a share, shown with two digits")]
        (all > 0).then(|| self.lost as f64 / all as f64)
    }

    /// What came, in the unit of `lost`.
    pub fn came(&self, key: &StreamKey) -> u64 {
        if key.counts_records() { self.sequence.units } else { self.datagrams }
    }
}

/// The accounts of a decoder at work, for those who look on; cheap to clone. A look holds the decoder up for as long as the
/// copy takes: `STREAMS_MAX` of them at most, less than a millisecond.
#[derive(Clone, Debug, Default)]
pub struct FlowAccounts(Arc<Mutex<Accounts>>);

impl FlowAccounts {
    /// All streams in the order of their keys.
    pub fn list(&self) -> Vec<(StreamKey, Account)> {
        let mut all: Vec<_> = self.lock().streams.iter().map(|(key, account)| (*key, account.clone())).collect();
        all.sort_by_key(|(key, _)| *key);
        all
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a datagram's header says of its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) sequence: u32,
    pub(super) uptime: Option<u32>,
    pub(super) export_at: Timestamp,
    pub(super) received_at: Timestamp,
    pub(super) site: SiteId,
}

/// All streams.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    streams: HashMap<StreamKey, Account>,
}

impl Accounts {
    pub(super) fn note(&mut self, key: StreamKey, heard: &Heard, report: &FlowReport) {
        let account = self.heard(key, heard.site, heard.received_at);
        account.records += report.records as u64;
        account.options += report.options as u64;
        account.sets_waited += report.sets_waiting as u64;
        account.sets_lost += report.sets_lost as u64;
        account.defective += u64::from(!report.defects.is_empty());
        account.dropped_by_exporter = account.dropped_by_exporter.max(report.dropped_by_exporter);
        if key.version != super::SFLOW {
            account.skew_ms = heard.export_at.since(heard.received_at);
        }
        if let Some(delay) = report.mean_delay() {
            account.delay_ms = delay;
        }
        if report.sampling > 0 {
            account.sampling = report.sampling;
        }
        let units = if key.counts_records() { u32::try_from(report.own).unwrap_or(u32::MAX) } else { 1 };
        let unsure = key.counts_records() && (report.sets_waiting > 0 || report.unsure);
        let step = account.sequence.step(heard, units, unsure);
        match step {
            Step::InOrder => {}
            Step::Lost(units) => account.lost += u64::from(units),
            Step::Late => {
                account.late += u64::from(units);
                account.lost = account.lost.saturating_sub(units.into());
            }
            Step::Doubled => account.doubled += 1,
            Step::Restarted => account.restarts += 1,
            Step::Unsure => account.unsure += 1,
        }
    }

    /// Counts a datagram whose header could not be read: of its sequence nothing is known.
    pub(super) fn note_unread(&mut self, key: StreamKey, site: SiteId, at: Timestamp) {
        self.heard(key, site, at).defective += 1;
    }

    fn heard(&mut self, key: StreamKey, site: SiteId, at: Timestamp) -> &mut Account {
        if !self.streams.contains_key(&key) && self.streams.len() >= STREAMS_MAX {
            self.forget_the_silent();
        }
        let account = self.streams.entry(key).or_insert_with(|| Account { since: at, ..Account::default() });
        (account.last, account.site) = (at, site);
        account.datagrams += 1;
        account
    }

    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(super) fn insert(&mut self, key: StreamKey, account: Account) {
        if self.streams.len() < STREAMS_MAX {
            self.streams.insert(key, account);
        }
    }

    fn forget_the_silent(&mut self) {
        let mut last: Vec<Timestamp> = self.streams.values().map(|account| account.last).collect();
        let middle = last.len() / 2;
        let (_, median, _) = last.select_nth_unstable(middle);
        let median = *median;
        self.streams.retain(|_, account| account.last > median);
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sequence {
    begun: bool,
    /// The number that comes next, if nothing is missing; `None` where that cannot be said.
    next: Option<u32>,
    /// The exporter's last uptime, in milliseconds.
    uptime: Option<u32>,
    /// Where a stretch that began far behind would go on: twice in a row is a restart.
    behind_next: Option<u32>,
    /// Missing now; what comes late comes out of these.
    missing: u32,
    missing_at: Timestamp,
    /// Units that came.
    units: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    InOrder,
    Lost(u32),
    Late,
    Doubled,
    Restarted,
    Unsure,
}

impl Sequence {
    fn step(&mut self, heard: &Heard, units: u32, unsure: bool) -> Step {
        self.units += u64::from(units);
        // Back by more than a reordering's second: it started anew. The counter itself wraps upwards from its end.
        let rebooted = matches!((self.uptime, heard.uptime), (Some(before), Some(now))
            if before > now && before - now > 10_000 && before - now < u32::MAX - 3_600_000);
        let known = self.next.filter(|_| !rebooted);
        let after = heard.sequence.wrapping_add(units);
        let Some(next) = known else {
            let first = !std::mem::replace(&mut self.begun, true);
            self.begin(after, heard, unsure);
            return if rebooted {
                Step::Restarted
            } else if first {
                Step::InOrder
            } else {
                Step::Unsure
            };
        };
        let ahead = heard.sequence.wrapping_sub(next);
        if ahead <= JUMP_MAX {
            if ahead > 0 {
                self.missing = self.missing.saturating_add(ahead);
                self.missing_at = heard.received_at;
            }
            self.behind_next = None;
            self.uptime = heard.uptime;
            self.next = (!unsure).then_some(after);
            return if ahead == 0 { Step::InOrder } else { Step::Lost(ahead) };
        }
        let behind = next.wrapping_sub(heard.sequence);
        if behind > LATE_MAX {
            self.begin(after, heard, unsure);
            return Step::Restarted;
        }
        if units > 0 && self.missing >= units && heard.received_at.since(self.missing_at) <= LATE_MILLIS_MAX {
            self.missing -= units;
            return Step::Late;
        }
        if self.behind_next == Some(heard.sequence) {
            self.begin(after, heard, unsure);
            return Step::Restarted;
        }
        self.behind_next = Some(after);
        self.units -= u64::from(units);
        Step::Doubled
    }

    fn begin(&mut self, after: u32, heard: &Heard, unsure: bool) {
        self.next = (!unsure).then_some(after);
        self.uptime = heard.uptime;
        (self.behind_next, self.missing) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::body::SITE_UNKNOWN;

    const KEY: StreamKey = StreamKey { exporter: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), version: 10, domain: 1 };

    /// Sequence, uptime, and how many records the datagram has.
    fn note(accounts: &mut Accounts, sequence: u32, uptime: Option<u32>, own: usize, unsure: bool) {
        let (at, site) = (Timestamp(1_000), SITE_UNKNOWN);
        let heard = Heard { sequence, uptime, export_at: at, received_at: at, site };
        accounts.note(KEY, &heard, &FlowReport { records: own, own, unsure, ..FlowReport::default() });
    }

    /// (lost, late, doubled, restarts, unsure) of datagrams with ten records each.
    fn counts(datagrams: &[(u32, Option<u32>)]) -> [u64; 5] {
        let mut accounts = Accounts::default();
        datagrams.iter().for_each(|(sequence, uptime)| note(&mut accounts, *sequence, *uptime, 10, false));
        let account = &accounts.streams[&KEY];
        [account.lost, account.late, account.doubled, account.restarts, account.unsure]
    }

    #[test]
    fn what_sequence_numbers_say() {
        let plain = |sequences: &[u32]| counts(&sequences.iter().map(|sequence| (*sequence, None)).collect::<Vec<_>>());
        assert_eq!(plain(&[0, 10, 20]), [0; 5]);
        assert_eq!(plain(&[500, 510, 540, 550]), [20, 0, 0, 0, 0], "from anywhere on");
        assert_eq!(plain(&[0, 10, 30, 20, 40]), [0, 10, 0, 0, 0], "late is not lost");
        assert_eq!(plain(&[0, 10, 40, 30, 20, 50]), [0, 20, 0, 0, 0]);
        assert_eq!(plain(&[0, 10, 10, 20]), [0, 0, 1, 0, 0]);
        assert_eq!(plain(&[u32::MAX - 9, 0, 20]), [10, 0, 0, 0, 0], "over the counter's end");
        assert_eq!(plain(&[5_000_000, 0, 10, 20]), [0, 0, 0, 1, 0], "far back is a restart");
        assert_eq!(plain(&[5_000, 0, 10, 20, 30]), [0, 0, 1, 1, 0], "and a little back is one when it goes on there");
        assert_eq!(plain(&[0, 10, 2_000_000_000, 2_000_000_010]), [0, 0, 0, 1, 0], "and so is a leap");
        let booted = [(5_000, Some(900_000)), (5_010, Some(901_000)), (0, Some(500)), (10, Some(600))];
        assert_eq!(counts(&booted), [0, 0, 0, 1, 0]);
        let wrapped = [(0, Some(u32::MAX - 5)), (10, Some(10)), (20, Some(20))];
        assert_eq!(counts(&wrapped), [0; 5], "the uptime wraps after 49.7 days");
    }

    #[test]
    fn a_gap_behind_data_that_waits_is_not_guessed() {
        let mut accounts = Accounts::default();
        note(&mut accounts, 0, None, 10, false);
        note(&mut accounts, 10, None, 0, true);
        note(&mut accounts, 30, None, 10, false);
        note(&mut accounts, 45, None, 10, false);
        let account = &accounts.streams[&KEY];
        assert_eq!((account.lost, account.unsure, account.restarts), (5, 1, 0));
        assert!((account.loss(&KEY).unwrap() - 5.0 / 35.0).abs() < 1e-9);
    }

    #[test]
    fn forged_exporters_are_bounded_and_the_busy_stay() {
        let mut accounts = Accounts::default();
        for n in 0..20_000u32 {
            for domain in [n, 1_000_000] {
                let at = Timestamp(i64::from(n));
                let heard = Heard { sequence: n, uptime: None, export_at: at, received_at: at, site: SITE_UNKNOWN };
                accounts.note(StreamKey { domain, ..KEY }, &heard, &FlowReport { own: 1, records: 1, ..FlowReport::default() });
            }
        }
        assert!(accounts.streams.len() <= STREAMS_MAX);
        assert_eq!(accounts.streams[&StreamKey { domain: 1_000_000, ..KEY }].records, 20_000);
    }

    proptest! {
        /// Any part of the datagrams between the first and the last dropped: exactly their records are missing.
        #[test]
        fn dropped_datagrams_are_counted_exactly(
            start in any::<u32>(),
            datagrams in proptest::collection::vec((1usize..30, proptest::bool::weighted(0.2)), 1..300),
        ) {
            let mut accounts = Accounts::default();
            let (mut sequence, mut dropped) = (start, 0u64);
            note(&mut accounts, sequence, None, 7, false);
            sequence = sequence.wrapping_add(7);
            for (records, drop) in &datagrams {
                if *drop { dropped += *records as u64 } else { note(&mut accounts, sequence, None, *records, false) }
                sequence = sequence.wrapping_add(u32::try_from(*records).unwrap());
            }
            note(&mut accounts, sequence, None, 1, false);
            prop_assert_eq!(accounts.streams[&KEY].lost, dropped);
        }
    }
}
