//! All indicators as they were at one moment, for looking up: typed tables of 12 to 24 bytes an indicator, each behind a
//! filter (`table`), prefixes as disjoint ranges (`ranges`). Values are not kept: an address, a name, a hash is known by
//! what is looked up, and what is said of it by a number into the few different attributes.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use foldhash::quality::RandomState;
use ingest::body::Prefix;
use ingest::time::Timestamp;
use std::hash::BuildHasher as _;

use super::pattern::{DOMAIN_BYTES_MAX, HashKind, MAIL_BYTES_MAX, Pattern};
use super::ranges::Ranges;
use super::table::{ATTRIBUTES_MAX, Facts, Row, Table, Wide, mixed_u32, mixed_u128, unmixed_u32, unmixed_u128};
use super::tlp::Tlp;
use super::url::CanonicalUrl;
use super::{Indicator, Warnings};

/// Indicators held in memory at once: 6 million take some 160 MB. Of more the newest are in force, and the page says so.
pub const INDICATORS_MAX: usize = 6_000_000;

/// What is said of an indicator, beyond when it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The list or feed it comes from.
    pub list: Arc<str>,
    pub tlp: Tlp,
    /// 0 to 100.
    pub confidence: u8,
    /// Flows received from then on are judged as they come, those before by the retro-hunt; `None` for all as they come.
    pub live_from: Option<Timestamp>,
}

/// An indicator that something met.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit<'s> {
    /// As its list names it: of `a.bad.example` it is `bad.example`.
    pub pattern: Pattern,
    pub attributes: &'s Attributes,
}

/// All indicators as they were at one moment.
#[derive(Clone, Debug, Default)]
pub struct IndicatorSet {
    attributes: Vec<Attributes>,
    v4: Table<u32>,
    v6: Table<Wide>,
    domains: Table<Wide>,
    urls: Table<Wide>,
    hashes: Table<Wide>,
    mails: Table<Wide>,
    prefixes: Vec<(Prefix, Facts)>,
    nets_v4: Ranges<u32>,
    nets_v6: Ranges<u128>,
    /// What never matches, even where a listed prefix has it.
    warnings: Option<Arc<Warnings>>,
}

impl IndicatorSet {
    pub fn new(all: Vec<Indicator>) -> Self {
        let mut builder = Builder::default();
        for one in &all {
            builder.add(&one.pattern, &one.list, one.tlp, one.confidence, one.valid_until, one.live_from);
        }
        builder.done(None)
    }

    pub fn len(&self) -> usize {
        let wide = [&self.v6, &self.domains, &self.urls, &self.hashes, &self.mails];
        self.v4.rows().len() + self.prefixes.len() + wide.iter().map(|table| table.rows().len()).sum::<usize>()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        let wide = [&self.v6, &self.domains, &self.urls, &self.hashes, &self.mails];
        self.v4.bytes()
            + wide.iter().map(|table| table.bytes()).sum::<usize>()
            + self.prefixes.capacity() * size_of::<(Prefix, Facts)>()
            + self.nets_v4.bytes()
            + self.nets_v6.bytes()
            + self.attributes.capacity() * size_of::<Attributes>()
    }

    pub(super) fn has_pages(&self) -> bool {
        !self.urls.is_empty()
    }

    /// First and last address of each indicator that names addresses; none where there are more than `most`.
    pub fn address_ranges(&self, most: usize) -> Vec<(IpAddr, IpAddr)> {
        if self.v4.rows().len() + self.v6.rows().len() + self.prefixes.len() > most {
            return vec![];
        }
        let v4 = self.v4.rows().iter().map(|row| IpAddr::from(std::net::Ipv4Addr::from_bits(unmixed_u32(row.key))));
        let v6 = self.v6.rows().iter().map(|row| IpAddr::from(std::net::Ipv6Addr::from_bits(unmixed_u128(row.key))));
        v4.chain(v6).map(|address| (address, address)).chain(self.prefixes.iter().map(|(prefix, _)| prefix.range())).collect()
    }

    /// The indicators that name `address`, exactly or by a prefix, and were valid at `at`; the narrowest first.
    pub fn address(&self, address: IpAddr, at: Timestamp) -> impl Iterator<Item = Hit<'_>> {
        let address = address.to_canonical();
        let (v4, v6, nets) = match address {
            IpAddr::V4(v4) => (self.v4.find(mixed_u32(v4.to_bits())), &[][..], self.nets_v4.find(v4.to_bits())),
            IpAddr::V6(v6) => (&[][..], self.v6.find(mixed_u128(v6.to_bits())), self.nets_v6.find(v6.to_bits())),
        };
        let exact = v4.iter().map(|row| row.facts).chain(v6.iter().map(|row| row.facts));
        let exact = exact.filter_map(move |facts| self.hit(facts, at, || Pattern::Address(address)));
        // A listed net is no reason to warn of a public resolver within it.
        let nets = if !nets.is_empty() && self.warned(address) { &[][..] } else { nets };
        let nets = nets.iter().filter_map(move |place| {
            let (prefix, facts) = self.prefixes.get(*place as usize)?;
            self.hit(*facts, at, || Pattern::Prefix(*prefix))
        });
        exact.chain(nets)
    }

    fn warned(&self, address: IpAddr) -> bool {
        self.warnings.as_ref().is_some_and(|warnings| warnings.list_of(&Pattern::Address(address)).is_some())
    }

    /// The indicators that name `name` or a domain above it, and were valid at `at`; the longest first.
    pub fn domain(&self, name: &str, at: Timestamp) -> Vec<Hit<'_>> {
        let mut found = Vec::new();
        if self.domains.is_empty() {
            return found;
        }
        let mut buffer = [0; DOMAIN_BYTES_MAX];
        let Some(name) = lower(name.strip_suffix('.').unwrap_or(name), &mut buffer) else { return found };
        let mut rest = name;
        // No list has a name of one label.
        while rest.contains('.') {
            self.add(&self.domains, wide(rest), at, &mut found, || Pattern::Domain(rest.to_owned()));
            rest = rest.split_once('.').map_or("", |(_, above)| above);
        }
        found
    }

    /// The indicators that name this URL or, asked for without a query, its page.
    pub fn url(&self, text: &str, at: Timestamp) -> Vec<Hit<'_>> {
        let url = if self.urls.is_empty() { None } else { CanonicalUrl::parse(text) };
        url.map_or_else(Vec::new, |url| self.canonical_url(&url, at))
    }

    pub(super) fn canonical_url(&self, url: &CanonicalUrl, at: Timestamp) -> Vec<Hit<'_>> {
        let mut found = Vec::new();
        self.add(&self.urls, wide(url.key()), at, &mut found, || Pattern::Url(url.named(false).to_owned()));
        if url.has_query() {
            self.add(&self.urls, wide(url.key_of_page()), at, &mut found, || Pattern::Url(url.named(true).to_owned()));
        }
        found
    }

    /// Whether any indicator names this URL, its page or its host.
    pub fn meets_url(&self, text: &str, at: Timestamp) -> bool {
        let Some(url) = CanonicalUrl::parse(text) else { return false };
        let host = url.host().trim_matches(['[', ']']);
        let by_host = || match host.parse() {
            Ok(address) => self.address(address, at).next().is_some(),
            Err(_) => !self.domain(host, at).is_empty(),
        };
        !self.canonical_url(&url, at).is_empty() || by_host()
    }

    /// The indicators that name a file by this hash, in hexadecimal.
    pub fn hash(&self, text: &str, at: Timestamp) -> Vec<Hit<'_>> {
        let mut found = Vec::new();
        if let Some((kind, key)) = if self.hashes.is_empty() { None } else { hash_key(text) } {
            self.add(&self.hashes, key, at, &mut found, || Pattern::Hash(kind, text.to_ascii_lowercase()));
        }
        found
    }

    /// The indicators that name a mail address, or the domain behind its @.
    pub fn mail(&self, text: &str, at: Timestamp) -> Vec<Hit<'_>> {
        let mut found = Vec::new();
        let text = text.trim_matches(|c| matches!(c, '<' | '>' | ' '));
        let Some((_, host)) = text.rsplit_once('@') else { return found };
        let mut buffer = [0; MAIL_BYTES_MAX];
        if let Some(address) = lower(text, &mut buffer).filter(|_| !self.mails.is_empty()) {
            self.add(&self.mails, wide(address), at, &mut found, || Pattern::Mail(address.to_owned()));
        }
        found.extend(self.domain(host, at));
        found
    }

    /// All that says something of a value of any kind: what a person asks.
    pub fn pattern(&self, pattern: &Pattern, at: Timestamp) -> Vec<Hit<'_>> {
        match pattern {
            Pattern::Address(address) => self.address(*address, at).collect(),
            Pattern::Prefix(prefix) => self.address(prefix.range().0, at).filter(|hit| hit.pattern == *pattern).collect(),
            Pattern::Domain(name) => self.domain(name, at),
            Pattern::Url(url) => self.url(url, at),
            Pattern::Hash(_, hash) => self.hash(hash, at),
            Pattern::Mail(mail) => self.mail(mail, at),
        }
    }

    fn add<'s>(&'s self, table: &'s Table<Wide>, key: Wide, at: Timestamp, found: &mut Vec<Hit<'s>>, name: impl Fn() -> Pattern) {
        found.extend(table.find(key).iter().filter_map(|row| self.hit(row.facts, at, &name)));
    }

    fn hit(&self, facts: Facts, at: Timestamp, name: impl Fn() -> Pattern) -> Option<Hit<'_>> {
        let attributes = self.attributes.get(facts.place()).filter(|_| facts.holds(at.0))?;
        Some(Hit { pattern: name(), attributes })
    }
}

/// Gathers what becomes a set, one indicator after the other; nothing of the store is held besides.
#[derive(Debug, Default)]
pub(super) struct Builder {
    attributes: Vec<Attributes>,
    lists: HashMap<Arc<str>, u32>,
    places: HashMap<(u32, Tlp, u8, Option<i64>), u32>,
    v4: Vec<Row<u32>>,
    v6: Vec<Row<Wide>>,
    domains: Vec<Row<Wide>>,
    urls: Vec<Row<Wide>>,
    hashes: Vec<Row<Wide>>,
    mails: Vec<Row<Wide>>,
    prefixes: Vec<(Prefix, Facts)>,
}

impl Builder {
    /// Makes room for so many of a kind, so that nothing is moved about.
    pub(super) fn reserve(&mut self, kind: &str, count: usize) {
        match kind {
            "address" => self.v4.reserve_exact(count),
            "domain" => self.domains.reserve_exact(count),
            "url" => self.urls.reserve_exact(count),
            "mail" => self.mails.reserve_exact(count),
            // Three kinds in one table: each adds to what the others asked for.
            "md5" | "sha1" | "sha256" => self.hashes.reserve_exact(self.hashes.capacity() + count),
            _ => {}
        }
    }

    /// False where it cannot be taken: a name that is none of its kind, or too many different attributes.
    pub(super) fn add(
        &mut self,
        pattern: &Pattern,
        list: &str,
        tlp: Tlp,
        confidence: u8,
        valid_until: Option<Timestamp>,
        live_from: Option<Timestamp>,
    ) -> bool {
        let Some(place) = self.place(list, tlp, confidence, live_from) else { return false };
        let facts = Facts::new(place, valid_until.map(|at| at.0));
        match pattern {
            Pattern::Address(IpAddr::V4(address)) => self.v4.push(Row { key: mixed_u32(address.to_bits()), facts }),
            Pattern::Address(IpAddr::V6(address)) => self.v6.push(Row { key: mixed_u128(address.to_bits()), facts }),
            Pattern::Prefix(prefix) => self.prefixes.push((*prefix, facts)),
            Pattern::Domain(name) => self.domains.push(Row { key: wide(name), facts }),
            Pattern::Mail(mail) => self.mails.push(Row { key: wide(mail), facts }),
            Pattern::Url(url) => match CanonicalUrl::parse(url) {
                Some(url) => self.urls.push(Row { key: wide(url.key()), facts }),
                None => return false,
            },
            Pattern::Hash(_, hash) => match hash_key(hash) {
                Some((_, key)) => self.hashes.push(Row { key, facts }),
                None => return false,
            },
        }
        true
    }

    fn place(&mut self, list: &str, tlp: Tlp, confidence: u8, live_from: Option<Timestamp>) -> Option<u32> {
        let (list, number) = match self.lists.get_key_value(list) {
            Some((list, number)) => (list.clone(), *number),
            None => {
                let (list, next) = (Arc::<str>::from(list), u32::try_from(self.lists.len()).ok()?);
                self.lists.insert(list.clone(), next);
                (list, next)
            }
        };
        let key = (number, tlp, confidence, live_from.map(|at| at.0));
        if let Some(place) = self.places.get(&key) {
            return Some(*place);
        }
        if self.attributes.len() >= ATTRIBUTES_MAX {
            return None;
        }
        let place = u32::try_from(self.attributes.len()).ok()?;
        self.attributes.push(Attributes { list, tlp, confidence, live_from });
        self.places.insert(key, place);
        Some(place)
    }

    pub(super) fn done(self, warnings: Option<Arc<Warnings>>) -> IndicatorSet {
        let (mut nets_v4, mut nets_v6) = (Vec::new(), Vec::new());
        for (place, (prefix, _)) in (0u32..).zip(&self.prefixes) {
            match prefix.range() {
                (IpAddr::V4(first), IpAddr::V4(last)) => nets_v4.push((first.to_bits(), last.to_bits(), place)),
                (IpAddr::V6(first), IpAddr::V6(last)) => nets_v6.push((first.to_bits(), last.to_bits(), place)),
                _ => {}
            }
        }
        IndicatorSet {
            attributes: self.attributes,
            v4: Table::new(self.v4),
            v6: Table::new(self.v6),
            domains: Table::new(self.domains),
            urls: Table::new(self.urls),
            hashes: Table::new(self.hashes),
            mails: Table::new(self.mails),
            prefixes: self.prefixes,
            nets_v4: Ranges::new(nets_v4),
            nets_v6: Ranges::new(nets_v6),
            warnings,
        }
    }
}

/// Two hashes of 64 bits with seeds of this process: nobody outside can make two names meet.
static SEEDS: LazyLock<(RandomState, RandomState)> = LazyLock::new(Default::default);

pub(super) fn wide(text: &str) -> Wide {
    let (first, second) = &*SEEDS;
    Wide(first.hash_one(text.as_bytes()), second.hash_one(text.as_bytes()))
}

/// All bits of a hash folded into 128, told apart by its kind.
fn hash_key(text: &str) -> Option<(HashKind, Wide)> {
    let (kind, mark) = match text.len() {
        32 => (HashKind::Md5, 0),
        40 => (HashKind::Sha1, 0x5348_4131),
        64 => (HashKind::Sha256, 0x5348_4132),
        _ => return None,
    };
    if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let (mut first, mut second) = (0, mark);
    for from in (0..text.len()).step_by(16) {
        let part = u64::from_str_radix(text.get(from..text.len().min(from + 16))?, 16).ok()?;
        (first, second) = (second, first ^ part.rotate_left(u32::try_from(from).unwrap_or(0)));
    }
    Some((kind, Wide(first, second)))
}

/// In lower case, without touching the heap; `None` where it is longer than such a name can be.
fn lower<'b>(text: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
    let place = buffer.get_mut(..text.len())?;
    place.copy_from_slice(text.as_bytes());
    place.make_ascii_lowercase();
    std::str::from_utf8(place).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::IndicatorId;
    use super::*;

    fn set(all: &[(&str, Option<i64>)]) -> IndicatorSet {
        let indicator = |(pattern, until): &(&str, Option<i64>)| Indicator {
            id: IndicatorId::default(),
            pattern: pattern.parse().unwrap(),
            list: "l".into(),
            tlp: Tlp::Amber,
            confidence: 80,
            valid_until: until.map(Timestamp),
            created_at: Timestamp(0),
            live_from: None,
        };
        IndicatorSet::new(all.iter().map(indicator).collect())
    }

    #[test]
    fn addresses_prefixes_and_domains_are_found_by_every_way() {
        let set = set(&[
            ("203.0.113.7", None),
            ("203.0.113.0/24", None),
            ("203.0.0.0/16", Some(10)),
            ("2001:db8::/32", None),
            ("2001:db8::5", None),
            ("Bad.Example.", None),
        ]);
        let addresses = |text: &str, at: i64| -> Vec<String> {
            set.address(text.parse().unwrap(), Timestamp(at)).map(|found| found.pattern.value()).collect()
        };
        assert_eq!(addresses("203.0.113.7", 10), ["203.0.113.7", "203.0.113.0/24", "203.0.0.0/16"]);
        assert_eq!(addresses("203.0.113.8", 11), ["203.0.113.0/24"]);
        assert_eq!(addresses("::ffff:203.0.113.8", 11), ["203.0.113.0/24"]);
        assert_eq!(addresses("2001:db8:ffff::1", 0), ["2001:db8::/32"]);
        assert_eq!(addresses("2001:db8::5", 0), ["2001:db8::5", "2001:db8::/32"]);
        assert_eq!(addresses("2001:db9::1", 0), [""; 0]);
        let domains = |text: &str| set.domain(text, Timestamp(0)).len();
        assert_eq!(["bad.example", "a.B.bad.example.", "notbad.example", "example", ""].map(domains), [1, 1, 0, 0, 0]);
        assert_eq!(set.domain("x.bad.example", Timestamp(0))[0].pattern.value(), "bad.example");
        let ranges: BTreeSet<String> = set.address_ranges(9).iter().map(|(first, last)| format!("{first}-{last}")).collect();
        assert!(
            ranges.contains("203.0.113.7-203.0.113.7") && ranges.contains("2001:db8::5-2001:db8::5") && ranges.len() == 5,
            "{ranges:?}"
        );
        assert!(set.address_ranges(4).is_empty());
    }

    #[test]
    fn urls_hashes_and_mail_addresses() {
        let set = set(&[
            ("http://bad.example/drop.exe", None),
            ("https://bad.example/login?id=7", Some(10)),
            ("d41d8cd98f00b204e9800998ecf8427f", None),
            ("da39a3ee5e6b4b0d3255bfef95601890afd80700", None),
            ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b800", None),
            ("rechnung@bad.example", None),
            ("worse.example", None),
        ]);
        let names = |hits: Vec<Hit<'_>>| hits.iter().map(|hit| hit.pattern.value()).collect::<Vec<_>>().join(" ");
        let urls = |text: &str, at: i64| names(set.url(text, Timestamp(at)));
        assert_eq!(urls("HTTPS://Bad.Example:443/a/../drop.exe?x=1#f", 0), "https://bad.example/drop.exe");
        assert_eq!(urls("https://bad.example/login?id=7", 10), "https://bad.example/login?id=7");
        assert_eq!(urls("https://bad.example/login?id=7", 11), "");
        assert_eq!(urls("https://bad.example/login", 0), "", "listed only with its query");
        assert_eq!(urls("https://bad.example:8443/drop.exe", 0), "", "another port is another server");
        let hashes = |text: &str| names(set.hash(text, Timestamp(0)));
        assert_eq!(hashes("D41D8CD98F00B204E9800998ECF8427F"), "d41d8cd98f00b204e9800998ecf8427f");
        assert_eq!(hashes("da39a3ee5e6b4b0d3255bfef95601890afd80700"), "da39a3ee5e6b4b0d3255bfef95601890afd80700");
        assert_eq!(hashes("da39a3ee5e6b4b0d3255bfef95601890"), "", "a SHA-1 is no MD5");
        assert_eq!(hashes("kein Hash, aber 32 Zeichen lang!"), "");
        let mails = |text: &str| names(set.mail(text, Timestamp(0)));
        assert_eq!(mails("<Rechnung@Bad.Example>"), "rechnung@bad.example");
        assert_eq!(mails("wer@mx.worse.example"), "worse.example");
        assert_eq!(mails("wer@bad.example"), "");
    }

    proptest! {
        /// The whole set beside asking every indicator in turn.
        #[test]
        fn beside_asking_each(
            octets in prop::collection::vec((0u8..4, 0u8..4, 24u8..=32), 0..30),
            names in prop::collection::vec("[ab]{1,2}(\\.[ab]{1,2}){1,2}", 0..20),
            asked in prop::collection::vec((0u8..4, 0u8..4), 1..20),
            asked_names in prop::collection::vec("[abAB]{1,2}(\\.[ab]{1,2}){1,3}", 1..20),
        ) {
            let nets: Vec<Pattern> = octets.iter().map(|(c, d, bits)| format!("10.0.{c}.{d}/{bits}").parse().unwrap()).collect();
            let domains: Vec<Pattern> = names.iter().map(|name| name.parse().unwrap()).collect();
            let texts: Vec<String> = nets.iter().chain(&domains).map(Pattern::value).collect();
            let set = set(&texts.iter().map(|text| (text.as_str(), None)).collect::<Vec<_>>());
            for (c, d) in asked {
                let address: IpAddr = format!("10.0.{c}.{d}").parse().unwrap();
                let holds = |net: &&Pattern| match net { Pattern::Prefix(prefix) => prefix.contains(address), Pattern::Address(one) => *one == address, _ => false };
                let expected = nets.iter().filter(holds).count();
                prop_assert_eq!(set.address(address, Timestamp(0)).count(), expected);
            }
            for name in asked_names {
                let low = name.to_lowercase();
                let expected = names.iter().filter(|listed| low == **listed || low.ends_with(&format!(".{listed}"))).count();
                prop_assert_eq!(set.domain(&name, Timestamp(0)).len(), expected);
            }
        }
    }
}
