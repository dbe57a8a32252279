//! How much each site may send: a token bucket for each, fair shares while the journal's queue is under pressure, and
//! low priority given up first when the disk fills. The loud one pays: what a quiet site sends is never refused because
//! of another. Judging only: the time is a parameter, and what a refusal means (dropping a datagram, reading a connection
//! later, telling an HTTP client to come back) is the listener's affair.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Dropped;
use crate::body::{SITE_UNKNOWN_NAME, SiteId};

/// A site may send this long at once what it may send in so many seconds: the bursts of DOMAIN.md's load B1 (twenty
/// times the usual rate for 10 s) fit the default rate with it.
const BURST: Duration = Duration::from_secs(5);
/// The same for a fair share: short, because pressure must go down within the time that the queue's other half holds.
const FAIR_BURST: Duration = Duration::from_millis(250);
/// Rates are measured over this.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a share holds before it is worked out again.
const SHARE_EVERY: Duration = Duration::from_millis(100);
/// Only who sends clearly more than his share is held to it, in percent: rates that differ by chance are equal.
const LOUD_PERCENT: u64 = 125;
/// How long who is shed waits before he asks again.
const SHED_WAIT: Duration = Duration::from_secs(1);

/// How much a site matters when not everything can be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Priority {
    High,
    #[default]
    Normal,
    /// Given up when the disk is nearly full.
    Low,
}

impl Priority {
    /// Of how many shares of the whole a site's is made.
    fn weight(self) -> u64 {
        match self {
            Self::High => 4,
            Self::Normal => 2,
            Self::Low => 1,
        }
    }
}

/// What a site's entry in the configuration says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SiteQuota {
    /// Frames a second; 0 is without limit, `None` the default of all sites.
    pub rate: Option<u64>,
    pub priority: Priority,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaConfig {
    /// Frames a second of a site that has no rate of its own; 0 is without limit.
    pub rate: u64,
    /// By the sites' names.
    pub sites: HashMap<String, SiteQuota>,
}

impl QuotaConfig {
    fn of(&self, name: &str) -> SiteQuota {
        // Who belongs to nobody comes last.
        let default = if name == SITE_UNKNOWN_NAME { Priority::Low } else { Priority::Normal };
        self.sites.get(name).copied().unwrap_or(SiteQuota { rate: None, priority: default })
    }
}

/// What presses at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pressure {
    /// The journal's queue is more than half full.
    pub(super) queue: bool,
    /// The disk's watermark asks to shed.
    pub(super) disk: bool,
}

/// Whether a sender that can wait may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Take,
    /// Not before this has passed.
    Wait(Duration),
    /// Not while the disk is this full; asking again is worth while after this.
    Shed(Duration),
}

/// What of a batch of datagrams is taken: the first so many, and why not the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) taken: usize,
    pub(super) refused: Dropped,
}

/// All sites' accounts.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    config: QuotaConfig,
    sites: Mutex<Sites>,
}

impl Quotas {
    pub(super) fn new(config: QuotaConfig) -> Self {
        Self { config, sites: Mutex::default() }
    }

    /// For senders that cannot wait: what of `wanted` frames is taken, and paid for. `name` is the site's.
    pub(super) fn grant(&self, site: SiteId, name: &str, wanted: usize, now: Duration, pressure: Pressure) -> Grant {
        self.with(now, |sites, now| {
            let share = sites.share(now, pressure);
            let account = sites.account(site, &self.config, name, now);
            account.meter.count(wanted, now);
            if pressure.disk && account.quota.priority == Priority::Low {
                return Grant { taken: 0, refused: Dropped::DiskFull };
            }
            let taken = account.limits(share).map(|(bucket, price)| bucket.room(price, now)).min().unwrap_or(u64::MAX);
            let taken = taken.min(wanted as u64);
            account.limits(share).for_each(|(bucket, price)| bucket.pay(price, taken, now));
            Grant { taken: usize::try_from(taken).unwrap_or(wanted), refused: Dropped::RateLimited }
        })
    }

    /// For senders that can wait: whether the site may send more. Asked before something is read; what is read then is
    /// taken whole and paid for by `spend`, if need be on credit, so that a long batch passes and the next one waits.
    pub(super) fn admit(&self, site: SiteId, name: &str, now: Duration, pressure: Pressure) -> Admission {
        self.with(now, |sites, now| {
            let share = sites.share(now, pressure);
            let account = sites.account(site, &self.config, name, now);
            if pressure.disk && account.quota.priority == Priority::Low {
                return Admission::Shed(SHED_WAIT);
            }
            match account.limits(share).map(|(bucket, price)| bucket.debt(price, now)).max() {
                Some(debt) if debt > 0 => Admission::Wait(Duration::from_nanos(debt)),
                _ => Admission::Take,
            }
        })
    }

    /// What a sender that can wait has sent.
    pub(super) fn spend(&self, site: SiteId, name: &str, frames: usize, now: Duration, pressure: Pressure) {
        self.with(now, |sites, now| {
            let share = sites.share(now, pressure);
            let account = sites.account(site, &self.config, name, now);
            account.meter.count(frames, now);
            account.limits(share).for_each(|(bucket, price)| bucket.pay(price, frames as u64, now));
        });
    }

    fn with<T>(&self, now: Duration, judge: impl FnOnce(&mut Sites, u64) -> T) -> T {
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX / 2);
        judge(&mut self.sites.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

/// Shares `room` among those who want something: nobody gets more than he wants, and who wants no more than an equal
/// share gets all of it.
pub(super) fn fair_shares(wants: &[usize], room: usize) -> Vec<usize> {
    let mut by_want: Vec<usize> = (0..wants.len()).collect();
    let want = |place: usize| wants.get(place).copied().unwrap_or_default();
    by_want.sort_by_key(|place| want(*place));
    let (mut shares, mut left) = (vec![0; wants.len()], room);
    for (served, place) in by_want.iter().enumerate() {
        let given = want(*place).min(left / (wants.len() - served));
        left -= given;
        if let Some(share) = shares.get_mut(*place) {
            *share = given;
        }
    }
    shares
}

/// There is one account for each configured site that sent something, and one for "unbekannt".
#[derive(Debug, Default)]
struct Sites {
    accounts: HashMap<SiteId, Account>,
    /// Frames a second for each unit of weight; `None` where one site alone sends.
    share: Option<u64>,
    share_at: Option<u64>,
}

impl Sites {
    fn account(&mut self, site: SiteId, config: &QuotaConfig, name: &str, now: u64) -> &mut Account {
        self.accounts.entry(site).or_insert_with(|| {
            let quota = config.of(name);
            let price = Price::new(quota.rate.unwrap_or(config.rate), BURST);
            Account { quota, price, bucket: Bucket::default(), fair: Bucket::default(), meter: Meter { since: now, ..Meter::default() } }
        })
    }

    /// What each unit of weight may send while the queue is under pressure.
    fn share(&mut self, now: u64, pressure: Pressure) -> Option<u64> {
        if !pressure.queue {
            return None;
        }
        if self.share_at.is_none_or(|at| now.saturating_sub(at) >= nanos(SHARE_EVERY)) {
            let (mut active, mut total, mut weights) = (0, 0_u64, 0);
            for account in self.accounts.values_mut() {
                let rate = account.meter.rate(now);
                if rate > 0 {
                    active += 1;
                    total = total.saturating_add(rate);
                    weights += account.quota.priority.weight();
                }
            }
            self.share = (active > 1).then(|| total / weights);
            self.share_at = Some(now);
        }
        self.share
    }
}

#[derive(Debug)]
struct Account {
    quota: SiteQuota,
    price: Option<Price>,
    bucket: Bucket,
    /// Holds a loud site to its share.
    fair: Bucket,
    meter: Meter,
}

impl Account {
    /// The buckets that hold the site now, with what a frame costs there.
    fn limits(&mut self, share: Option<u64>) -> impl Iterator<Item = (&mut Bucket, Price)> {
        let share = share.map(|share| share.saturating_mul(self.quota.priority.weight()).max(1));
        let is_loud = share.is_some_and(|share| self.meter.known() > share.saturating_mul(LOUD_PERCENT) / 100);
        let fair = share.filter(|_| is_loud).and_then(|share| Price::new(share, FAIR_BURST));
        let of_site = self.price.map(|price| (&mut self.bucket, price));
        of_site.into_iter().chain(fair.map(|price| (&mut self.fair, price)))
    }
}

/// How many frames come in a second: of the last whole window, or already in this one.
#[derive(Clone, Copy, Debug, Default)]
struct Meter {
    since: u64,
    count: u64,
    last: u64,
}

impl Meter {
    fn count(&mut self, frames: usize, now: u64) {
        self.turn(now);
        self.count = self.count.saturating_add(frames as u64);
    }

    fn rate(&mut self, now: u64) -> u64 {
        self.turn(now);
        self.known()
    }

    fn known(self) -> u64 {
        self.last.max(self.count)
    }

    fn turn(&mut self, now: u64) {
        let passed = now.saturating_sub(self.since);
        if passed >= nanos(WINDOW) {
            self.last = if passed < 2 * nanos(WINDOW) { self.count } else { 0 };
            (self.count, self.since) = (0, now);
        }
    }
}

/// What a frame costs and how much may be spent at once, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Price {
    frame: u64,
    burst: u64,
}

impl Price {
    /// `None` for a rate of 0: without limit.
    fn new(rate: u64, burst: Duration) -> Option<Self> {
        // Rounded up, so that never more comes through than the rate says.
        (rate > 0).then(|| {
            let frame = 1_000_000_000_u64.div_ceil(rate);
            Self { frame, burst: nanos(burst).max(frame) }
        })
    }
}

/// A token bucket, kept as the moment until which its owner has paid (the generic cell rate algorithm of ITU-T I.371).
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    paid_until: u64,
}

impl Bucket {
    /// Frames that may pass now.
    fn room(self, price: Price, now: u64) -> u64 {
        (now.saturating_add(price.burst)).saturating_sub(self.paid_until.max(now)) / price.frame
    }

    fn pay(&mut self, price: Price, frames: u64, now: u64) {
        self.paid_until = self.paid_until.max(now).saturating_add(price.frame.saturating_mul(frames));
    }

    /// How long until one frame may pass.
    fn debt(self, price: Price, now: u64) -> u64 {
        self.paid_until.saturating_add(price.frame).saturating_sub(now.saturating_add(price.burst))
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::id::Ulid;

    const CALM: Pressure = Pressure { queue: false, disk: false };
    const PRESSED: Pressure = Pressure { queue: true, disk: false };
    const FULL: Pressure = Pressure { queue: false, disk: true };

    fn quotas(rate: u64) -> Quotas {
        let site = |rate, priority| SiteQuota { rate, priority };
        Quotas::new(QuotaConfig {
            rate,
            sites: HashMap::from([
                ("fast".into(), site(Some(1_000), Priority::Normal)),
                ("free".into(), site(Some(0), Priority::Normal)),
                ("low".into(), site(None, Priority::Low)),
                ("high".into(), site(None, Priority::High)),
            ]),
        })
    }

    fn id(name: &str) -> SiteId {
        SiteId(Ulid(name.bytes().fold(7, |id, byte| id * 257 + u128::from(byte))))
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn grant(quotas: &Quotas, name: &str, wanted: usize, millis: u64, pressure: Pressure) -> Grant {
        quotas.grant(id(name), name, wanted, at(millis), pressure)
    }

    /// Lines of `milliseconds site wanted [pressed|full]`, each answered.
    fn check(rate: u64, script: &str, expected: Expect) {
        let quotas = quotas(rate);
        let answers = script.lines().map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let pressure = match words.get(3) {
                Some(&"pressed") => PRESSED,
                Some(&"full") => FULL,
                _ => CALM,
            };
            let grant = grant(&quotas, words[1], words[2].parse().unwrap(), words[0].parse().unwrap(), pressure);
            let refused = if grant.taken < words[2].parse().unwrap() { grant.refused.as_str() } else { "" };
            format!("{line}: {} {refused}", grant.taken).trim_end().to_owned() + "\n"
        });
        expected.assert_eq(&answers.collect::<String>());
    }

    #[test]
    fn a_site_may_send_its_burst_and_then_its_rate() {
        check(
            100,
            "0 a 400\n0 a 200\n0 a 1\n9 a 1\n10 a 1\n1010 a 1000\n90000 a 1000\n90000 fast 9000\n90000 free 1000000\n90000 b 3",
            expect![[r#"
                0 a 400: 400
                0 a 200: 100 rate_limited
                0 a 1: 0 rate_limited
                9 a 1: 0 rate_limited
                10 a 1: 1
                1010 a 1000: 100 rate_limited
                90000 a 1000: 500 rate_limited
                90000 fast 9000: 5000 rate_limited
                90000 free 1000000: 1000000
                90000 b 3: 3
            "#]],
        );
        check(
            0,
            "0 a 1000000",
            expect![[r#"
            0 a 1000000: 1000000
        "#]],
        );
        check(
            1,
            "0 a 9\n999 a 1\n1000 a 1",
            expect![[r#"
            0 a 9: 5 rate_limited
            999 a 1: 0 rate_limited
            1000 a 1: 1
        "#]],
        );
    }

    #[test]
    fn a_full_disk_costs_the_lowest_first() {
        check(
            100,
            "0 low 5 full\n0 unbekannt 5 full\n0 a 5 full\n0 high 5 full\n0 low 5",
            expect![[r#"
                0 low 5 full: 0 disk_full
                0 unbekannt 5 full: 0 disk_full
                0 a 5 full: 5
                0 high 5 full: 5
                0 low 5: 5
            "#]],
        );
        let quotas = quotas(0);
        assert_eq!(quotas.admit(id("low"), "low", at(0), FULL), Admission::Shed(SHED_WAIT));
        assert_eq!(quotas.admit(id("a"), "a", at(0), FULL), Admission::Take);
    }

    #[test]
    fn under_pressure_the_loud_one_is_held_to_its_share_and_one_alone_is_not() {
        // 1,000 + 100 a second of two equal sites: 550 is each one's share.
        check(
            0,
            "0 loud 1000\n0 quiet 100\n1000 loud 1000\n1000 quiet 100\n2000 loud 1000 pressed\n2000 quiet 100 pressed\n2500 loud 1000 pressed\n2600 quiet 300 pressed\n2600 loud 9000",
            expect![[r#"
                0 loud 1000: 1000
                0 quiet 100: 100
                1000 loud 1000: 1000
                1000 quiet 100: 100
                2000 loud 1000 pressed: 137 rate_limited
                2000 quiet 100 pressed: 100
                2500 loud 1000 pressed: 137 rate_limited
                2600 quiet 300 pressed: 300
                2600 loud 9000: 9000
            "#]],
        );
        check(
            0,
            "0 only 1000\n1000 only 1000 pressed\n1100 only 90000 pressed\n2200 only 100 pressed",
            expect![[r#"
                0 only 1000: 1000
                1000 only 1000 pressed: 1000
                1100 only 90000 pressed: 90000
                2200 only 100 pressed: 100
            "#]],
        );
        // A high priority's share is four times a low one's.
        check(
            0,
            "0 high 500\n0 low 500\n1000 high 500 pressed\n1000 low 500 pressed\n1500 low 500 pressed",
            expect![[r#"
                0 high 500: 500
                0 low 500: 500
                1000 high 500 pressed: 500
                1000 low 500 pressed: 50 rate_limited
                1500 low 500 pressed: 50 rate_limited
            "#]],
        );
    }

    #[test]
    fn who_can_wait_is_taken_whole_and_waits_for_the_next() {
        let quotas = quotas(100);
        let (admit, spend) =
            (|millis| quotas.admit(id("a"), "a", at(millis), CALM), |frames, millis| quotas.spend(id("a"), "a", frames, at(millis), CALM));
        assert_eq!(admit(0), Admission::Take);
        spend(700, 0);
        assert_eq!(admit(0), Admission::Wait(at(2_010)), "two seconds' worth on credit, and one frame");
        assert_eq!(admit(2_009), Admission::Wait(at(1)));
        assert_eq!(admit(2_010), Admission::Take);
        assert_eq!(grant(&quotas, "a", 10, 2_010, CALM).taken, 1, "one account for all ways of sending");
    }

    #[test]
    fn shares_are_fair() {
        for (wants, room, shares) in [
            (&[5, 5, 5][..], 15, &[5, 5, 5][..]),
            (&[100, 1, 2], 13, &[10, 1, 2]),
            (&[100, 100], 7, &[3, 4]),
            (&[1, 100], 0, &[0, 0]),
            (&[], 5, &[]),
            (&[3], 9, &[3]),
        ] {
            assert_eq!(fair_shares(wants, room), shares, "{wants:?} {room}");
        }
    }

    proptest! {
        /// Whatever is asked when, no more is taken over any stretch than the rate allows, and a burst.
        #[test]
        fn never_more_than_rate_and_burst(
            rate in 1_u64..200_000,
            asked in proptest::collection::vec((0_u64..3_000, 0_usize..200_000, any::<bool>()), 1..60),
        ) {
            let quotas = quotas(rate);
            let (mut now, mut taken) = (0, Vec::new());
            for (pause, wanted, pressed) in asked {
                now += pause;
                let grant = grant(&quotas, "a", wanted, now, if pressed { PRESSED } else { CALM });
                prop_assert!(grant.taken <= wanted);
                taken.push((now, grant.taken as u64));
            }
            for from in 0..taken.len() {
                let mut sum = 0;
                for (at, frames) in &taken[from..] {
                    sum += frames;
                    let allowed = (at - taken[from].0) as u128 * u128::from(rate) / 1_000 + u128::from(rate) * 5;
                    prop_assert!(u128::from(sum) <= allowed + 1, "{sum} of {allowed}");
                }
            }
        }

        /// Sites below their rate lose nothing, whatever others do, with and without pressure.
        #[test]
        fn a_quiet_site_is_never_limited_because_of_a_loud_one(
            loud in proptest::collection::vec(300_usize..50_000, 1..5),
            quiet in proptest::collection::vec(0_usize..10, 1..20),
            pressed in proptest::collection::vec(any::<bool>(), 50),
        ) {
            let quotas = quotas(1_000);
            for (step, pressed) in pressed.into_iter().enumerate() {
                let (now, pressure) = (step as u64 * 100, if pressed { PRESSED } else { CALM });
                for (site, wanted) in loud.iter().enumerate() {
                    grant(&quotas, &format!("loud{site}"), *wanted, now, pressure);
                }
                for (site, wanted) in quiet.iter().enumerate() {
                    prop_assert_eq!(grant(&quotas, &format!("quiet{site}"), *wanted, now, pressure).taken, *wanted);
                }
            }
        }

        #[test]
        fn shares_fill_the_room_and_the_modest_get_all(wants in proptest::collection::vec(0_usize..1_000, 0..20), room in 0_usize..5_000) {
            let shares = fair_shares(&wants, room);
            let sum: usize = shares.iter().sum();
            prop_assert_eq!(sum, room.min(wants.iter().sum()));
            for (share, want) in shares.iter().zip(&wants) {
                prop_assert!(share <= want);
                prop_assert!(*share == *want || *share >= room / wants.len());
            }
        }
    }
}
