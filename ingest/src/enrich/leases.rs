//! Which machine had an address when: leases learnt from the DHCP servers' own lines, kept over time, so that 10.1.2.3
//! at 14:00 and at 17:00 can be two machines. Pure; `lease_store` keeps them over restarts.
//!
//! An event that is decoded again must say what it said at first. So a lease counts for an event only if it was in the
//! journal before it (or is its own), and what is learnt later changes nothing behind it. One thing remains: a renewal that arrives
//! later than the old term's end lengthens the lease for what came in between too.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::body::SiteId;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::frame::Seq;
use crate::time::Timestamp;

/// Leases of one site: a town hall of 500 machines has as many in half a year.
const SITE_LEASES_MAX: usize = 100_000;
/// All in memory, some 100 MB. Where there are more, the site with the most forgets its oldest.
const LEASES_MAX: usize = 500_000;
/// What is forgotten at once, as a part of the site's.
const FORGET_PART: usize = 10;
/// Leases of one address; one that changes hands more often is no machine's.
const ADDRESS_LEASES_MAX: usize = 512;
/// The longest name that DNS allows.
const HOST_BYTES_MAX: usize = 253;
/// No server lends an address for longer; what says more means for ever.
const TERM_MILLIS_MAX: i64 = 366 * Timestamp::DAY;

/// What a DHCP line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    pub site: SiteId,
    pub address: IpAddr,
    /// Twelve hexadecimal digits in lower case; empty where the line has none.
    pub mac: Box<str>,
    /// Empty where the line has none.
    pub host: Box<str>,
    pub at: Timestamp,
    pub seq: Seq,
    pub said: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Lent for so many milliseconds, where the line says how long.
    Lent(Option<i64>),
    GivenBack,
}

/// What ends a lease and what begins one, in the decoders' words.
const LENT: [&str; 1] = ["dhcp_lease"];
const GIVEN_BACK: [&str; 2] = ["dhcp_release", "dhcp_expire"];

impl Observation {
    /// What an event says of a lease; `None` for all but the few about DHCP.
    pub fn of(event: &Event) -> Option<Self> {
        let Some(ValueRef::Str(action)) = event.get(fields::EVENT_ACTION) else { return None };
        let said = if LENT.contains(&action) {
            Said::Lent(term_of(event))
        } else if GIVEN_BACK.contains(&action) {
            Said::GivenBack
        } else {
            return None;
        };
        let address = first(event, &[fields::SOURCE_IP], &["client.ip"])?.as_ip()?.to_canonical();
        let mac = first(event, &[fields::SOURCE_MAC], &["client.mac"]).map(mac_of).unwrap_or_default();
        let host = first(event, &[fields::SOURCE_DOMAIN], &["client.domain"]).map(host_of).unwrap_or_default();
        if mac.is_empty() && host.is_empty() && said != Said::GivenBack {
            return None;
        }
        Some(Self { site: event.site, address, mac, host, at: event.timestamp, seq: event.seq, said })
    }
}

fn first<'e>(event: &'e Event, known: &[FieldId], named: &[&str]) -> Option<ValueRef<'e>> {
    let known = known.iter().find_map(|field| event.get(*field));
    known.or_else(|| named.iter().find_map(|name| event.get(FieldId::find(name)?)))
}

fn mac_of(value: ValueRef<'_>) -> Box<str> {
    let text = value.text();
    let digits: String = text.chars().filter(|char| !matches!(char, ':' | '-' | '.')).collect();
    let is_mac = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_mac { digits.to_ascii_lowercase().into() } else { Box::default() }
}

fn host_of(value: ValueRef<'_>) -> Box<str> {
    let text = value.text();
    let text = text.trim_end_matches('.');
    let is_plain = text.chars().all(|char| char.is_alphanumeric() || matches!(char, '-' | '.' | '_'));
    let is_name = !text.is_empty() && text.len() <= HOST_BYTES_MAX && is_plain && text.parse::<IpAddr>().is_err();
    if is_name { text.into() } else { Box::default() }
}

/// `… for 3600 seconds`, as Kea says it, or a decoder's `dhcp.lease_seconds`.
fn term_of(event: &Event) -> Option<i64> {
    let said = FieldId::find("dhcp.lease_seconds").and_then(|field| event.get(field)).and_then(ValueRef::as_int);
    let told = || {
        let (before, _) = event.message().split_once(" seconds")?;
        before.rsplit_once(" for ")?.1.parse::<i64>().ok()
    };
    let secs = said.or_else(told).filter(|secs| *secs > 0)?;
    Some(secs.saturating_mul(Timestamp::SECOND).min(TERM_MILLIS_MAX))
}

/// One machine's time with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub site: SiteId,
    pub address: IpAddr,
    pub mac: Box<str>,
    pub host: Arc<str>,
    /// From the first line on.
    pub from: Timestamp,
    /// Until its term is over; excluded.
    pub until: Timestamp,
    /// The journal's place of the first line.
    pub seq: Seq,
    /// Given back before, and the line that says so.
    pub ended: Option<(Timestamp, Seq)>,
}

impl Lease {
    fn is_of(&self, observation: &Observation) -> bool {
        let same_machine = if self.mac.is_empty() || observation.mac.is_empty() {
            !observation.host.is_empty() && *self.host == *observation.host
        } else {
            self.mac == observation.mac
        };
        same_machine && (observation.host.is_empty() || *self.host == *observation.host)
    }

    /// Whether the machine has the address at that time, as far as the journal knew at `seq`.
    fn holds(&self, at: Timestamp, seq: Seq) -> bool {
        let given_back = self.ended.is_some_and(|(end, known)| known <= seq && end <= at);
        self.from <= at && at < self.until && !given_back
    }

    fn key(&self) -> LeaseKey {
        (self.site, self.address, self.from)
    }
}

/// By what a lease is known in the store.
pub type LeaseKey = (SiteId, IpAddr, Timestamp);

/// All leases, in memory.
#[derive(Debug, Default)]
pub struct LeaseBook {
    sites: HashMap<SiteId, SiteLeases>,
    total: usize,
    /// Changed and forgotten since they were last taken to the store.
    changed: HashSet<LeaseKey>,
    forgotten: HashSet<LeaseKey>,
}

#[derive(Debug, Default)]
struct SiteLeases {
    /// Of each address by `from`, which no two share.
    addresses: HashMap<IpAddr, Vec<Lease>>,
    count: usize,
}

/// What the store has to write.
#[derive(Clone, Debug, Default)]
pub struct LeaseChanges {
    pub put: Vec<Lease>,
    pub gone: Vec<LeaseKey>,
}

impl LeaseBook {
    /// Takes in what a line says; `term` is how long a lease lasts where it does not say it. Told the same again, it
    /// stays as it is.
    pub fn learn(&mut self, observation: &Observation, term: i64) {
        match observation.said {
            Said::Lent(said) => self.lend(observation, said.unwrap_or(term).clamp(1, TERM_MILLIS_MAX)),
            Said::GivenBack => self.give_back(observation),
        }
    }

    fn lend(&mut self, observation: &Observation, term: i64) {
        let until = observation.at.plus(term);
        let site = self.sites.entry(observation.site).or_default();
        let leases = site.addresses.entry(observation.address).or_default();
        let place = leases.partition_point(|lease| lease.from <= observation.at);
        if let Some(lease) = place.checked_sub(1).and_then(|before| leases.get_mut(before)) {
            let still =
                lease.is_of(observation) && observation.at <= lease.until && lease.ended.is_none_or(|(end, _)| observation.at < end);
            if still || lease.from == observation.at {
                // Two machines at the same moment: the first one's, or a replay would turn them around each time.
                if still && lease.until < until {
                    lease.until = until;
                    self.changed.insert(lease.key());
                }
                return;
            }
        }
        let (site_id, address, from) = (observation.site, observation.address, observation.at);
        let (mac, host) = (observation.mac.clone(), Arc::from(&*observation.host));
        let lease = Lease { site: site_id, address, mac, host, from, until, seq: observation.seq, ended: None };
        self.changed.insert(lease.key());
        leases.insert(place, lease);
        site.count += 1;
        self.total += 1;
        if leases.len() > ADDRESS_LEASES_MAX {
            let oldest = leases.remove(0);
            site.count -= 1;
            self.total -= 1;
            self.changed.remove(&oldest.key());
            self.forgotten.insert(oldest.key());
        }
        if site.count > SITE_LEASES_MAX {
            self.forget_oldest(site_id);
        } else if self.total > LEASES_MAX
            && let Some(largest) = self.sites.iter().max_by_key(|(_, site)| site.count).map(|(id, _)| *id)
        {
            self.forget_oldest(largest);
        }
    }

    fn give_back(&mut self, observation: &Observation) {
        let Some(leases) = self.sites.get_mut(&observation.site).and_then(|site| site.addresses.get_mut(&observation.address)) else {
            return;
        };
        let place = leases.partition_point(|lease| lease.from <= observation.at);
        let Some(lease) = place.checked_sub(1).and_then(|before| leases.get_mut(before)) else { return };
        let nobody = observation.mac.is_empty() && observation.host.is_empty();
        if (nobody || lease.is_of(observation)) && observation.at < lease.until && lease.ended.is_none() {
            lease.ended = Some((observation.at, observation.seq));
            self.changed.insert(lease.key());
        }
    }

    /// The name of the machine that had an address at that time, as the journal knew it at `seq`.
    pub fn host(&self, site: SiteId, address: IpAddr, at: Timestamp, seq: Seq) -> Option<Arc<str>> {
        let leases = self.sites.get(&site)?.addresses.get(&address.to_canonical())?;
        let place = leases.partition_point(|lease| lease.from <= at);
        // The last who got it has it; whoever had it before has it no more, whatever his term was.
        let lease = leases.get(..place)?.iter().rev().find(|lease| lease.seq <= seq)?;
        Some(lease.host.clone()).filter(|host| lease.holds(at, seq) && !host.is_empty())
    }

    /// Puts back what the store had.
    pub fn restore(&mut self, lease: Lease) {
        let site = self.sites.entry(lease.site).or_default();
        let leases = site.addresses.entry(lease.address).or_default();
        let place = leases.partition_point(|known| known.from < lease.from);
        if leases.get(place).is_some_and(|known| known.from == lease.from) {
            return;
        }
        leases.insert(place, lease);
        site.count += 1;
        self.total += 1;
    }

    pub fn len(&self) -> usize {
        self.total
    }

    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Forgets what ended before `oldest`.
    pub fn forget(&mut self, oldest: Timestamp) {
        for site in self.sites.keys().copied().collect::<Vec<_>>() {
            self.forget_of(site, oldest);
        }
        self.sites.retain(|_, site| site.count > 0);
    }

    fn forget_oldest(&mut self, site: SiteId) {
        let Some(leases) = self.sites.get(&site) else { return };
        let mut ends: Vec<Timestamp> = leases.addresses.values().flatten().map(|lease| lease.until).collect();
        let part = ends.len() / FORGET_PART;
        let (_, oldest, _) = ends.select_nth_unstable(part);
        let oldest = oldest.plus(1);
        self.forget_of(site, oldest);
    }

    fn forget_of(&mut self, site: SiteId, oldest: Timestamp) {
        let Some(leases) = self.sites.get_mut(&site) else { return };
        let (changed, forgotten) = (&mut self.changed, &mut self.forgotten);
        let before = leases.count;
        leases.addresses.retain(|_, of_address| {
            of_address.retain(|lease| {
                let kept = lease.until >= oldest;
                if !kept {
                    changed.remove(&lease.key());
                    forgotten.insert(lease.key());
                }
                kept
            });
            !of_address.is_empty()
        });
        leases.count = leases.addresses.values().map(Vec::len).sum();
        self.total -= before - leases.count;
    }

    /// What has changed since the last time.
    pub fn changes(&mut self) -> LeaseChanges {
        let put = std::mem::take(&mut self.changed).into_iter().filter_map(|key| self.get(key).cloned()).collect();
        LeaseChanges { put, gone: std::mem::take(&mut self.forgotten).into_iter().collect() }
    }

    pub fn has_changes(&self) -> bool {
        !self.changed.is_empty() || !self.forgotten.is_empty()
    }

    /// Takes changes back that could not be written.
    pub fn unwritten(&mut self, changes: &LeaseChanges) {
        self.changed.extend(changes.put.iter().map(Lease::key));
        self.forgotten.extend(changes.gone.iter().copied());
    }

    fn get(&self, (site, address, from): LeaseKey) -> Option<&Lease> {
        let leases = self.sites.get(&site)?.addresses.get(&address)?;
        leases.binary_search_by_key(&from, |lease| lease.from).ok().and_then(|place| leases.get(place))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::decode::{Options, decode};
    use crate::frame::{Frame, FrameKind, Marks, NewFrame, Transport};

    const TERM: i64 = 10;

    fn observation(address: u8, client: u8, at: i64, seq: u64, said: Said) -> Observation {
        Observation {
            site: SITE_UNKNOWN,
            address: [10, 0, 0, address].into(),
            mac: format!("0000000000{client:02x}").into(),
            host: format!("pc-{client}").into(),
            at: Timestamp(at),
            seq: Seq(seq),
            said,
        }
    }

    fn host(book: &LeaseBook, address: u8, at: i64, seq: u64) -> Option<String> {
        book.host(SITE_UNKNOWN, [10, 0, 0, address].into(), Timestamp(at), Seq(seq)).map(|host| host.to_string())
    }

    fn decoded(line: &str) -> Event {
        let frame = NewFrame {
            received_at: Timestamp(1_773_471_600_000),
            site: SITE_UNKNOWN,
            peer: std::net::Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: line.as_bytes().into(),
        };
        decode(&Frame { seq: Seq(1), frame }, &Options::default()).unwrap()
    }

    /// Every DHCP server whose lines are decoded is understood here: what each says of a lease.
    #[test]
    fn what_servers_say_of_leases() {
        let windows = "10,03/14/26,07:59:58,Assign,10.1.1.7,pc-7.kreis.example,00005E005301,,3423,0,,,,,,,,,0";
        let lines = [
            "<30>Mar 14 07:59:58 gw dhcpd[1]: DHCPACK on 10.1.1.7 to 00:00:5e:00:53:01 (pc-7) via eth0",
            "<30>Mar 14 07:59:58 gw dhcpd[1]: DHCPRELEASE of 10.1.1.7 from 00:00:5e:00:53:01 (pc-7) via eth0 (found)",
            "<30>Mar 14 07:59:58 gw dnsmasq-dhcp[1]: DHCPACK(br0) 10.1.1.7 00:00:5e:00:53:01 pc-7",
            "<30>Mar 14 07:59:58 gw kea-dhcp4[1]: INFO  [kea-dhcp4.leases.1] DHCP4_LEASE_ALLOC [hwtype=1 00:00:5e:00:53:01], cid=[no info], tid=0x1: lease 10.1.1.7 has been allocated for 3600 seconds",
            "<30>Mar 14 07:59:58 gw dhcp,info dhcp1 assigned 10.1.1.7 for 00:00:5E:00:53:01 pc-7",
            "<30>Mar 14 07:59:58 gw dhcp,info dhcp1 deassigned 10.1.1.7 for 00:00:5E:00:53:01 pc-7",
            windows,
            &windows.replacen("10,", "17,", 1),
            "<30>Mar 14 07:59:58 gw dhcpd[1]: DHCPDISCOVER from 00:00:5e:00:53:01 (pc-7) via eth0",
        ];
        let said: String = lines
            .iter()
            .map(|line| {
                let event = decoded(line);
                match Observation::of(&event) {
                    Some(seen) => format!("{:?} {} {} {}\n", seen.said, seen.address, seen.mac, seen.host),
                    None => format!("nothing: {}\n", event.decoder),
                }
            })
            .collect();
        expect_test::expect![[r#"
            Lent(None) 10.1.1.7 00005e005301 pc-7
            GivenBack 10.1.1.7 00005e005301 pc-7
            Lent(None) 10.1.1.7 00005e005301 pc-7
            Lent(Some(3600000)) 10.1.1.7 00005e005301 
            Lent(None) 10.1.1.7 00005e005301 pc-7
            GivenBack 10.1.1.7 00005e005301 pc-7
            Lent(None) 10.1.1.7 00005e005301 pc-7.kreis.example
            GivenBack 10.1.1.7 00005e005301 pc-7.kreis.example
            nothing: dhcp
        "#]]
        .assert_eq(&said);
    }

    /// Who had the address, found by reading all lines that the journal had before, each in its order.
    fn naive(lines: &[Observation], address: u8, at: i64, seq: u64) -> Option<String> {
        let address: IpAddr = [10, 0, 0, address].into();
        let mut holder: Option<(String, i64)> = None;
        for line in lines.iter().filter(|line| line.address == address && line.at.0 <= at && line.seq.0 <= seq) {
            match (line.said, &mut holder) {
                (Said::Lent(term), Some((host, until))) if **host == *line.host && line.at.0 <= *until => {
                    *until = (*until).max(line.at.0 + term.unwrap_or(TERM));
                }
                (Said::Lent(term), _) => holder = Some((line.host.to_string(), line.at.0 + term.unwrap_or(TERM))),
                (Said::GivenBack, Some((host, until))) if **host == *line.host && line.at.0 < *until => holder = None,
                (Said::GivenBack, _) => {}
            }
        }
        holder.filter(|(_, until)| at < *until).map(|(host, _)| host)
    }

    fn lines() -> impl Strategy<Value = Vec<Observation>> {
        let said =
            prop_oneof![4 => Just(Said::Lent(None)), 2 => (1..30i64).prop_map(|term| Said::Lent(Some(term))), 1 => Just(Said::GivenBack)];
        prop::collection::vec((0..2u8, 0..3u8, 1..8i64, said), 1..40).prop_map(|steps| {
            let mut at = 0;
            steps
                .into_iter()
                .zip(1u64..)
                .map(|((address, client, step, said), seq)| {
                    at += step;
                    observation(address, client, at, seq, said)
                })
                .collect()
        })
    }

    proptest! {
        /// Renewals within their term apart (see the module), a look-up is that of reading all lines, at every moment.
        #[test]
        fn a_look_up_is_a_naive_scan(lines in lines(), replayed in any::<bool>()) {
            let mut book = LeaseBook::default();
            for line in lines.iter().chain(if replayed { lines.as_slice() } else { &[] }) {
                book.learn(line, TERM);
            }
            let last = lines.last().map_or(0, |line| line.at.0) + 40;
            for at in 0..last {
                for address in 0..2 {
                    prop_assert_eq!(host(&book, address, at, u64::MAX), naive(&lines, address, at, u64::MAX), "{} at {}", address, at);
                }
            }
        }

        /// What an event was told when it came, it is told for ever.
        #[test]
        fn what_comes_later_changes_nothing(lines in lines()) {
            let mut book = LeaseBook::default();
            let mut told = Vec::new();
            for (line, next) in lines.iter().zip(lines.iter().skip(1)) {
                book.learn(line, TERM);
                for at in line.at.0..next.at.0 {
                    told.push((at, line.seq.0, host(&book, 0, at, line.seq.0)));
                }
            }
            for (at, seq, first) in told {
                prop_assert_eq!(host(&book, 0, at, seq), first, "at {}", at);
            }
        }

        #[test]
        fn the_store_brings_back_what_it_was_given(lines in lines()) {
            let mut book = LeaseBook::default();
            let mut rows: HashMap<LeaseKey, Lease> = HashMap::new();
            for line in &lines {
                book.learn(line, TERM);
                let changes = book.changes();
                rows.extend(changes.put.into_iter().map(|lease| (lease.key(), lease)));
                changes.gone.iter().for_each(|key| drop(rows.remove(key)));
            }
            let mut again = LeaseBook::default();
            rows.into_values().for_each(|lease| again.restore(lease));
            prop_assert_eq!(again.len(), book.len());
            for at in 0..400 {
                prop_assert_eq!(host(&again, 1, at, 20), host(&book, 1, at, 20));
            }
        }
    }

    #[test]
    fn two_machines_one_address() {
        let mut book = LeaseBook::default();
        book.learn(&observation(7, 1, 100, 1, Said::Lent(Some(100))), TERM);
        book.learn(&observation(7, 1, 150, 2, Said::GivenBack), TERM);
        book.learn(&observation(7, 2, 160, 3, Said::Lent(Some(100))), TERM);
        let at = |at| host(&book, 7, at, 9);
        assert_eq!(
            [99, 100, 149, 150, 160, 259, 260].map(at),
            [None, Some("pc-1".into()), Some("pc-1".into()), None, Some("pc-2".into()), Some("pc-2".into()), None]
        );
        assert_eq!(host(&book, 7, 155, 1), Some("pc-1".into()), "that it was given back was not known yet");
        assert_eq!(host(&book, 7, 170, 2), None, "nor that it was lent");
    }

    #[test]
    fn it_stays_within_its_bounds() {
        let mut book = LeaseBook::default();
        for n in 0..ADDRESS_LEASES_MAX as i64 + 100 {
            book.learn(&observation(1, (n % 2) as u8, n * 100, n as u64, Said::Lent(None)), TERM);
        }
        assert_eq!(book.len(), ADDRESS_LEASES_MAX);
        for n in 0..SITE_LEASES_MAX as u32 {
            let address = IpAddr::from((0x0A00_0000 + n).to_be_bytes());
            book.learn(&Observation { address, ..observation(1, 1, i64::from(n), 1, Said::Lent(None)) }, TERM);
            assert!(book.len() <= SITE_LEASES_MAX);
        }
        book.forget(Timestamp(i64::MAX));
        assert!(book.is_empty());
        let gone = book.changes().gone.len();
        assert!(gone > SITE_LEASES_MAX, "{gone}");
    }
}
