//! What an exporter sent and what of it never came, counted by stream: one observation domain of one exporter. Sequence
//! numbers say what is missing: v5 and IPFIX count records, v9 and sFlow datagrams.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::decoder::FlowReport;
use super::sequence::{Change, Numbered, Sequence};
use crate::body::{SITE_UNKNOWN, SiteId};
use crate::time::Timestamp;

/// Streams in memory: 600 sites with some domains each. Beyond, the half goes that says least.
const STREAMS_MAX: usize = 8_192;
/// Of one exporter: routers with a domain for each line card have some dozens. Who invents more loses its own.
const STREAMS_PER_EXPORTER_MAX: usize = 256;
/// From so many datagrams on a stream is one that lasts.
const LASTING_DATAGRAMS: u64 = 16;
/// Twenty datagrams that are missing in a row are believed at once; for more the exporter must go on from there.
const SURE_DATAGRAMS: u32 = 20;
/// As many, full of usual records.
const SURE_RECORDS: u32 = 640;

/// One observation domain of one exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamKey {
    pub exporter: IpAddr,
    /// As `FlowRecord::version`; 0 for datagrams of no version that we know.
    pub version: u8,
    /// sFlow: the address that the agent gives itself, where it is not the exporter's. Several may send by one address.
    pub agent: Option<IpAddr>,
    pub domain: u32,
}

impl StreamKey {
    /// The domain's number; where an agent sends by somebody else's address, its own beside it.
    pub fn domain_name(&self) -> String {
        self.agent.map_or_else(|| self.domain.to_string(), |agent| format!("{}@{agent}", self.domain))
    }

    /// What its sequence numbers count.
    pub fn counts_records(&self) -> bool {
        matches!(self.version, 5 | 10)
    }

    /// The datagram as its sequence number counts it.
    fn numbered(&self, heard: &Heard, report: &FlowReport) -> Numbered {
        let (units, unsure, sure) = if self.counts_records() {
            let unsure = report.sets_waiting > 0 || report.unsure;
            (u32::try_from(report.own).unwrap_or(u32::MAX), unsure, SURE_RECORDS)
        } else {
            (1, false, SURE_DATAGRAMS)
        };
        let Heard { sequence, uptime, received_at, .. } = *heard;
        Numbered { sequence, uptime, received_at, units, unsure, sure }
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
    /// Datagrams with a number from elsewhere, from which nothing went on: forged ones, or another exporter's behind one address.
    pub strays: u64,
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
    pub fn loss(&self) -> Option<f64> {
        let all = self.came() + self.lost;
        #[allow(clippy::cast_precision_loss, reason = "a share, shown with two digits")]
        (all > 0).then(|| self.lost as f64 / all as f64)
    }

    /// What came, in the unit of `lost`; without what came twice or from elsewhere.
    pub fn came(&self) -> u64 {
        self.sequence.units()
    }

    fn change(&mut self, change: Change) {
        let counts = [
            (&mut self.lost, change.lost),
            (&mut self.late, change.late),
            (&mut self.doubled, change.doubled),
            (&mut self.strays, change.strays),
            (&mut self.restarts, change.restarts),
            (&mut self.unsure, change.unsure),
        ];
        for (count, by) in counts {
            *count = count.saturating_add_signed(by);
        }
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

    /// Streams whose counts had to go for others, because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.lock().forgotten
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Accounts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a datagram's header says of its stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) agent: Option<IpAddr>,
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
    /// How many of them each exporter has.
    of_exporter: HashMap<IpAddr, usize>,
    /// Streams that had to go, with their counts.
    pub(super) forgotten: u64,
}

impl Accounts {
    pub(super) fn note(&mut self, key: StreamKey, heard: &Heard, report: &FlowReport) {
        let account = self.heard(key, heard.site, heard.received_at);
        account.records += report.records as u64;
        account.options += report.options as u64;
        account.sets_waited += report.sets_waiting as u64;
        account.sets_lost += report.sets_lost as u64;
        account.defective += u64::from(!report.defects.is_empty());
        account.dropped_by_exporter = account.dropped_by_exporter.saturating_add_signed(report.dropped_by_exporter);
        let change = account.sequence.step(&key.numbered(heard, report));
        account.change(change);
        // The state of the exporter, as long as it may be its own datagram.
        if change.is_of_the_line() {
            if key.version != super::SFLOW {
                account.skew_ms = heard.export_at.since(heard.received_at);
            }
            account.delay_ms = report.mean_delay().unwrap_or(account.delay_ms);
            if report.sampling > 0 {
                account.sampling = report.sampling;
            }
        }
    }

    /// Counts a datagram whose header could not be read: of its sequence nothing is known.
    pub(super) fn note_unread(&mut self, key: StreamKey, site: SiteId, at: Timestamp) {
        self.heard(key, site, at).defective += 1;
    }

    /// Counts a data set that was given up.
    pub(super) fn note_set_lost(&mut self, key: &StreamKey) {
        if let Some(account) = self.streams.get_mut(key) {
            account.sets_lost += 1;
        }
    }

    fn heard(&mut self, key: StreamKey, site: SiteId, at: Timestamp) -> &mut Account {
        if !self.streams.contains_key(&key) {
            self.make_room(key.exporter);
            *self.of_exporter.entry(key.exporter).or_default() += 1;
        }
        let account = self.streams.entry(key).or_insert_with(|| Account { since: at, ..Account::default() });
        (account.last, account.site) = (at, site);
        account.datagrams += 1;
        account
    }

    pub(super) fn size_bytes(&self) -> usize {
        let stream = size_of::<StreamKey>() + size_of::<Account>() + Sequence::HEAP_BYTES_MAX;
        self.streams.len() * stream + self.of_exporter.len() * size_of::<(IpAddr, usize)>()
    }

    pub(super) fn insert(&mut self, key: StreamKey, account: Account) {
        if self.streams.len() < STREAMS_MAX && self.streams.insert(key, account).is_none() {
            *self.of_exporter.entry(key.exporter).or_default() += 1;
        }
    }

    fn make_room(&mut self, exporter: IpAddr) {
        if self.of_exporter.get(&exporter).is_some_and(|streams| *streams >= STREAMS_PER_EXPORTER_MAX) {
            self.forget_half(|key| key.exporter == exporter);
        } else if self.streams.len() >= STREAMS_MAX {
            self.forget_half(|_| true);
        }
    }

    /// Half of the streams `among`: those of no known site first, then those that hardly began, then the longest silent.
    fn forget_half(&mut self, among: impl Fn(&StreamKey) -> bool) {
        let rank = |account: &Account| (account.site != SITE_UNKNOWN, account.datagrams.min(LASTING_DATAGRAMS), account.last);
        let mut ranks: Vec<_> = self.streams.iter().filter(|(key, _)| among(key)).map(|(_, account)| rank(account)).collect();
        let middle = ranks.len() / 2;
        let (_, median, _) = ranks.select_nth_unstable(middle);
        let median = *median;
        let before = self.streams.len();
        self.streams.retain(|key, account| !among(key) || rank(account) > median);
        self.forgotten += (before - self.streams.len()) as u64;
        self.of_exporter.clear();
        for key in self.streams.keys() {
            *self.of_exporter.entry(key.exporter).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: StreamKey = StreamKey { exporter: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), version: 10, agent: None, domain: 1 };

    /// Sequence, uptime, and how many records the datagram has.
    fn note(accounts: &mut Accounts, sequence: u32, uptime: Option<u32>, own: usize, unsure: bool) {
        let (at, site) = (Timestamp(1_000), SITE_UNKNOWN);
        let heard = Heard { agent: None, sequence, uptime, export_at: at, received_at: at, site };
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
        assert_eq!(plain(&[0, 10, 30, 30, 40]), [10, 0, 1, 0, 0], "what comes twice fills no gap");
        assert_eq!(plain(&[0, 10, 20, 0, 10, 20, 30]), [0, 0, 3, 0, 0], "a burst that comes twice is no restart");
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
        assert!((account.loss().unwrap() - 5.0 / 35.0).abs() < 1e-9);
    }

    /// What is left when a forger puts datagrams with absurd numbers among those of an exporter that sends on.
    #[test]
    fn forged_numbers_change_nothing() {
        let honest = |n: u32| (1_000 + 10 * n, Some(600_000 + n));
        // Far ahead, far behind, a little ahead, a little behind, each with an uptime of its own; one at a time, and in pairs
        // that go on from each other.
        let forged = [
            (3_000_000_000, None),
            (5, Some(1)),
            (1_500, Some(600_100)),
            (1_500, Some(u32::MAX)),
            (4_000, None),
            (900, Some(u32::MAX)),
            (1_000, Some(0)),
        ];
        for (sequence, uptime) in forged {
            for pair in [1, 2] {
                let mut datagrams = Vec::new();
                for n in 0..2_000u32 {
                    datagrams.push(honest(n));
                    if n == 10 {
                        datagrams.extend((0..pair).map(|m| (sequence + 10 * m, uptime)));
                    }
                }
                let [lost, _, _, restarts, unsure] = counts(&datagrams);
                assert_eq!([lost, restarts, unsure], [0; 3], "{pair} from {sequence} on");
            }
        }
    }

    /// A jump is a loss if there was the time for it, and a new count if not.
    #[test]
    fn a_jump_is_believed_when_it_goes_on_and_can_be() {
        let all = |silent_secs: i64, jump: u32, on: bool| {
            let mut accounts = Accounts::default();
            let mut note = |sequence: u32, secs: i64| {
                let at = Timestamp(secs * Timestamp::SECOND);
                let heard = Heard { agent: None, sequence, uptime: None, export_at: at, received_at: at, site: SITE_UNKNOWN };
                accounts.note(KEY, &heard, &FlowReport { records: 10, own: 10, ..FlowReport::default() });
            };
            // A hundred seconds with a hundred records in each.
            (0..1_000u32).for_each(|n| note(10 * n, i64::from(n) / 10));
            let after = 100 + silent_secs;
            note(10_000 + jump, after);
            note(if on { 10_010 + jump } else { 10_000 }, after);
            let account = &accounts.streams[&KEY];
            (account.lost, account.restarts, account.strays, account.came())
        };
        assert_eq!(all(60, 600, false), (590, 0, 0, 10_020), "as much as the network may lose at once");
        assert_eq!(all(60, 60_000, true), (60_000, 0, 0, 10_020));
        assert_eq!(all(60, 60_000, false), (0, 0, 1, 10_010));
        assert_eq!(all(60, 60_000_000, true), (0, 1, 0, 10_020), "nobody can have sent that in a minute");
    }

    #[test]
    fn forged_exporters_are_bounded_and_the_busy_stay() {
        let mut accounts = Accounts::default();
        for n in 0..20_000u32 {
            for domain in [n, 1_000_000] {
                let at = Timestamp(i64::from(n));
                let heard = Heard { agent: None, sequence: n, uptime: None, export_at: at, received_at: at, site: SITE_UNKNOWN };
                let exporter = if domain == n { std::net::Ipv4Addr::from(n).into() } else { KEY.exporter };
                accounts.note(StreamKey { exporter, domain, ..KEY }, &heard, &FlowReport { own: 1, records: 1, ..FlowReport::default() });
            }
        }
        assert!(accounts.streams.len() <= STREAMS_MAX);
        assert_eq!(accounts.streams[&StreamKey { domain: 1_000_000, ..KEY }].records, 20_000);
    }

    #[test]
    fn one_exporter_with_many_domains_takes_no_account_from_others() {
        let mut accounts = Accounts::default();
        let report = FlowReport { own: 1, records: 1, ..FlowReport::default() };
        let heard = |n: u32, site| {
            let at = Timestamp(n.into());
            Heard { agent: None, sequence: n, uptime: None, export_at: at, received_at: at, site }
        };
        // Two thousand others, each heard once, and domains of its own that last.
        for n in 0..2_000u32 {
            accounts.note(StreamKey { exporter: std::net::Ipv4Addr::from(n).into(), ..KEY }, &heard(n, SITE_UNKNOWN), &report);
            accounts.note(StreamKey { domain: n % 8, ..KEY }, &heard(n / 8, SITE_UNKNOWN), &report);
        }
        for n in 0..20_000u32 {
            accounts.note(StreamKey { domain: 1_000 + n, ..KEY }, &heard(2_000 + n, SITE_UNKNOWN), &report);
        }
        let of = |exporter: IpAddr| accounts.streams.keys().filter(|key| key.exporter == exporter).count();
        assert!((0..2_000u32).all(|n| of(std::net::Ipv4Addr::from(n).into()) == 1));
        assert!(of(KEY.exporter) <= STREAMS_PER_EXPORTER_MAX);
        assert!((0..8).all(|domain| accounts.streams[&StreamKey { domain, ..KEY }].records == 250));
        assert_eq!(accounts.forgotten as usize, 2_000 + 8 + 20_000 - accounts.streams.len(), "and all that go are counted");
        let counted: usize = accounts.of_exporter.values().sum();
        assert_eq!((counted, accounts.of_exporter.len()), (accounts.streams.len(), 2_001));
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

        /// On their way datagrams are dropped, come twice, or come up to three places late: each is counted as what it is.
        #[test]
        fn any_path_is_counted_exactly(
            start in any::<u32>(),
            datagrams in proptest::collection::vec((1u32..30, 0u8..12, 0usize..3), 1..200),
        ) {
            let (mut sequence, mut on_the_way) = (start, vec![(0, start, 7)]);
            sequence = sequence.wrapping_add(7);
            let (mut dropped, mut doubled, mut sent) = (0u64, 0u64, 8u64);
            for (at, (records, path, delay)) in (1..).zip(&datagrams) {
                // Places are tens, so that what is late comes between two others.
                match path {
                    0 | 1 => dropped += u64::from(*records),
                    2 => {
                        on_the_way.extend([(10 * at, sequence, *records), (10 * (at + delay) + 5, sequence, *records)]);
                        doubled += 1;
                    }
                    3 => on_the_way.push((10 * (at + delay + 1) + 4, sequence, *records)),
                    _ => on_the_way.push((10 * at, sequence, *records)),
                }
                sent += u64::from(*records);
                sequence = sequence.wrapping_add(*records);
            }
            on_the_way.sort_by_key(|(at, ..)| *at);
            on_the_way.push((0, sequence, 1));
            let mut accounts = Accounts::default();
            on_the_way.iter().for_each(|(_, sequence, records)| note(&mut accounts, *sequence, None, *records as usize, false));
            let account = &accounts.streams[&KEY];
            prop_assert_eq!((account.lost, account.doubled), (dropped, doubled));
            prop_assert_eq!((account.restarts, account.strays, account.came()), (0, 0, sent - dropped));
        }
    }
}
