//! The store against a scan that knows nothing of it: generated queries over events of ten days, two retention classes and
//! six sites, of which part is sealed, part committed and part in memory. What a query means is written here once more, from
//! docs/suche.md alone: neither the parser's tree nor `Query::matches` nor the plan has a part in what is expected.
//!
//! An ordinary run has few of both, so that it takes seconds; `WARTBURG_SCAN=full` has 200,000 events and 500 queries. With
//! `PROPTEST_RNG_SEED` both are the same each time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::tests::{DAY0, batch, body, open, seqs, site};
use super::*;
use crate::body::Site;
use crate::event::Defect;
use crate::frame::{FrameKind, Marks, NewFrame, Transport};
use crate::pipeline::Consumer as _;
use crate::query::Pipeline;

/// Events, and queries over them.
fn size() -> (usize, usize) {
    let full = std::env::var("WARTBURG_SCAN").is_ok_and(|asked| asked == "full");
    if full { (200_000, 500) } else { (12_000, 80) }
}

const DAYS: i64 = 10;
const NOW: Timestamp = Timestamp(DAY0 + 8 * Timestamp::DAY + 5_000_000);
/// Germany's summer: nothing here reaches over a change of the clock.
const OFFSET: i64 = 2 * Timestamp::HOUR;

const SITES: [&str; 6] = ["Rathaus-1", "Rathaus-2", "Bauhof", "Stadtwerke Süd", "Archiv", "unbekannt"];

/// Sites 0 to 4 of bodies 1 to 3; the last is in no table.
fn table() -> Arc<SiteTable> {
    let one = |n: usize| Site {
        id: site(n as u128 + 1),
        name: SITES[n].into(),
        body: Some(body(n as u128 / 2 + 1)),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    Arc::new(SiteTable::new((0..5).map(one).collect()))
}

// The events.

/// What many events say: only their times, sites and last words differ.
#[derive(Debug)]
struct Content {
    line: String,
    message: String,
    fields: Vec<(&'static str, String)>,
    defects: Vec<Defect>,
}

struct Row {
    time: i64,
    seq: u64,
    site: usize,
    content: usize,
}

impl Row {
    fn last_word(&self) -> String {
        format!("n{:06}", self.seq)
    }
}

fn content() -> impl Strategy<Value = Content> {
    let of = |name: &'static str, values: &'static str| values.prop_map(move |value| (name, value)).boxed();
    let field = prop_oneof![
        of("user.name", "(root|ROOT|Müller|MÜLLER|max muster|anna\\.weber|u[0-9]{1,2})"),
        of("source.ip", "(10\\.[0-3]\\.0\\.[1-9]|192\\.0\\.2\\.[1-9]|fe80::[1-9]|FE80::1|::ffff:10\\.0\\.0\\.1|kaputt)"),
        of("source.port", "(22|443|0443|-1|[1-9][0-9]{3}|ssh)"),
        of("destination.port", "(22|443|53|3389|x)"),
        of("network.bytes", "[1-9][0-9]{1,5}"),
        of("event.code", "(4624|4625|4740|x1)"),
        of("event.action", "(login|Logout|deny|accept)"),
        of("host.name", "(dc|DC|web-[1-5])"),
        of("process.command_line", "(cmd|CMD /c dir|net user [ab]|powershell -enc [A-F]{3})"),
        of("vendor.rule", "(1[0-9]|deny|Deny|10\\.0\\.0\\.1|10\\.0\\.0\\.0/8)"),
        of("vendor.zone", "(lan|dmz)"),
    ];
    let word =
        "(failed|Failed|login|LOGIN|password|accepted|denied|für|Straße|kernel:|sshd\\[[0-9]{2}\\]|a-b|user=|10\\.0\\.0\\.1|İx|x|[abc]{3})";
    let message = prop::collection::vec(word, 0..7).prop_map(|words| words.join(" "));
    let defect = prop::sample::select(vec![Defect::NoHeader, Defect::BadJson, Defect::NoYear]);
    let long = prop::option::weighted(0.01, prop::sample::select(vec!["user.name", "process.command_line", ""]));
    (prop::collection::vec(field, 0..7), message, prop::option::weighted(0.1, defect), long).prop_map(
        |(mut fields, mut message, defect, long)| {
            match long {
                // Longer than columns hold, and than the index has words.
                Some("") => message.push_str(&format!(" {}", "w".repeat(300))),
                Some(name) => fields.push((name, "y".repeat(2_000))),
                None => {}
            }
            let defects = Vec::from_iter(defect);
            let mut parts: Vec<String> = defects.iter().map(|defect| format!("!{}", defect.name())).collect();
            parts.extend(fields.iter().map(|(name, value)| format!("{name}={value}")));
            // What stands between it and the last word is in no query.
            message.push_str(" ;");
            parts.push(message.clone());
            Content { line: parts.join("\t"), message, fields, defects }
        },
    )
}

struct World {
    contents: Vec<Content>,
    /// Newest first, as hits are.
    rows: Vec<Row>,
    sites: Arc<SiteTable>,
}

/// xorshift64*: 200,000 trees of proptest would take longer than all searches.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % sides
    }
}

fn grow(runner: &mut TestRunner, events: usize, dir: &Path) -> (Arc<EventStore>, EventConsumer, World) {
    let contents: Vec<Content> = (0..events / 20).map(|_| content().new_tree(runner).unwrap().current()).collect();
    let mut dice = Dice(any::<u64>().new_tree(runner).unwrap().current() | 1);
    let (store, mut consumer) = open(dir);
    let long = Class { name: "lang".into(), days: 400, sites: vec![site(2), site(4)], sources: vec![] };
    store.classes_begin(&[long], Seq(0)).unwrap();
    let (sites, mut rows, mut last) = (table(), Vec::with_capacity(events), DAY0);
    for part in 0..20 {
        let mut frames = Vec::new();
        for n in events * part / 20..events * (part + 1) / 20 {
            let due = DAY0 + n as i64 * DAYS * Timestamp::DAY / events as i64;
            last = match dice.below(100) {
                // Of one moment with the one before, or late.
                0..20 => last,
                20..24 => (due - dice.below(6 * 86_400_000) as i64).max(DAY0),
                _ => due,
            };
            // A few contents are most of the events.
            let place = (dice.below(1 << 20) * dice.below(1 << 20)) >> 20;
            let content = (place as usize * contents.len()) >> 20;
            let row = Row { time: last, seq: n as u64 + 1, site: dice.below(6) as usize, content };
            frames.push(frame(&row, &contents[content]));
            rows.push(row);
        }
        let mut taken = batch(&frames);
        taken.sites = sites.clone();
        consumer.apply(&taken).unwrap();
        if matches!(part, 5 | 11 | 17) {
            consumer.flush().unwrap();
        }
        if part == 17 {
            // What comes later for these days lies in memory beside their sealed files.
            for name in store.seal_due(NOW, 2) {
                assert!(store.seal(&name, NOW, &|| false).unwrap(), "{name}");
            }
        }
    }
    rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.time, row.seq)));
    (store, consumer, World { contents, rows, sites })
}

fn frame(row: &Row, content: &Content) -> Frame {
    let payload = format!("t={}\t{} {}", row.time, content.line, row.last_word());
    Frame {
        seq: Seq(row.seq),
        frame: NewFrame {
            received_at: Timestamp(DAY0 + DAYS * Timestamp::DAY),
            site: site(row.site as u128 + 1),
            peer: peer(row.site),
            transport: Transport::Udp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: payload.as_bytes().into(),
        },
    }
}

fn peer(site: usize) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, 100 + site as u8).into()
}

// The language, from its description.

#[derive(Clone, Debug)]
enum Asked {
    Everything,
    /// A word of the line, with or without `*` and `?`.
    Word(&'static str),
    /// Exactly this, whole words.
    Phrase(&'static str),
    Message(&'static str),
    Is(&'static str, &'static str),
    Like(&'static str, &'static str),
    Has(&'static str),
    Numbers(&'static str, i64, i64),
    Net(&'static str, &'static str, u8),
    Between(&'static str, &'static str, &'static str),
    Defect(Option<Defect>),
    /// As it is written, and the first and last millisecond.
    Time(&'static str, i64, i64),
    And(Vec<Asked>),
    Or(Vec<Asked>),
    Not(Box<Asked>),
}

impl Asked {
    fn text(&self) -> String {
        let joined = |all: &[Self], between: &str| format!("({})", all.iter().map(Self::text).collect::<Vec<_>>().join(between));
        match self {
            Self::Everything => "*".into(),
            Self::Word(word) => (*word).into(),
            Self::Phrase(text) => format!("\"{text}\""),
            Self::Message(text) => format!("message:\"{text}\""),
            Self::Is(field, value) => format!("{field}:\"{value}\""),
            Self::Like(field, pattern) => format!("{field}:{pattern}"),
            Self::Has(field) => format!("{field}:*"),
            Self::Numbers(field, low, i64::MAX) => format!("{field}:>={low}"),
            Self::Numbers(field, i64::MIN, high) => format!("{field}:<{}", high + 1),
            Self::Numbers(field, low, high) => format!("{field}:[{low} TO {high}]"),
            Self::Net(field, address, bits) => format!("{field}:{address}/{bits}"),
            Self::Between(field, low, high) => format!("{field}:{low}..{high}"),
            Self::Defect(None) => "_defect:*".into(),
            Self::Defect(Some(defect)) => format!("_defect:{}", defect.name()),
            Self::Time(text, ..) => format!("@timestamp:{text}"),
            Self::And(all) => joined(all, " "),
            Self::Or(all) => joined(all, " OR "),
            Self::Not(one) => format!("NOT {}", one.text()),
        }
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => like(rest, text) || (!text.is_empty() && like(pattern, &text[1..])),
        (Some(('?', rest)), Some((_, behind))) => like(rest, behind),
        (Some((wanted, rest)), Some((c, behind))) => wanted == c && like(rest, behind),
        _ => false,
    }
}

fn is_like(pattern: &str, text: &str) -> bool {
    like(&lower(pattern).chars().collect::<Vec<_>>(), &lower(text).chars().collect::<Vec<_>>())
}

fn has_word(text: &str, pattern: &str) -> bool {
    lower(text).split(|c: char| !c.is_alphanumeric()).any(|word| !word.is_empty() && is_like(pattern, word))
}

fn has_phrase(text: &str, phrase: &str) -> bool {
    let (text, phrase) = (lower(text), lower(phrase));
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    text.char_indices().any(|(at, _)| {
        let behind = text[at..].strip_prefix(&phrase);
        let torn = |behind: &str| letter(phrase.chars().next_back()) && letter(behind.chars().next());
        let torn_before = letter(phrase.chars().next()) && letter(text[..at].chars().next_back());
        !torn_before && behind.is_some_and(|behind| !torn(behind))
    })
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

const ADDRESSES: [&str; 2] = ["source.ip", "observer.ip"];
const NUMBERS: [&str; 3] = ["source.port", "destination.port", "network.bytes"];

fn value_is(field: &str, value: &str, wanted: &str) -> bool {
    let as_number = NUMBERS.contains(&field) && value.parse::<i64>().is_ok_and(|value| wanted.parse() == Ok(value));
    // A vendor's field may hold addresses as well.
    let may_be_address = ADDRESSES.contains(&field) || field.starts_with("vendor.");
    as_number || (may_be_address && address(value).is_some() && address(value) == address(wanted)) || lower(value) == lower(wanted)
}

fn in_net(value: &str, net: &str, bits: u8) -> bool {
    match (address(value), address(net)) {
        (Some(IpAddr::V4(value)), Some(IpAddr::V4(net))) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            value.to_bits() & mask == net.to_bits() & mask
        }
        (Some(IpAddr::V6(value)), Some(IpAddr::V6(net))) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            value.to_bits() & mask == net.to_bits() & mask
        }
        _ => false,
    }
}

/// Which rows are asked for, in their order.
type Bits = Rc<Vec<bool>>;

#[derive(Default)]
struct Scan {
    /// Of single terms, which come again and again.
    known: HashMap<String, Bits>,
}

impl Scan {
    fn rows(&mut self, world: &World, asked: &Asked) -> Bits {
        match asked {
            Asked::And(all) => self.combined(world, all, |a, b| a & b),
            Asked::Or(all) => self.combined(world, all, |a, b| a | b),
            Asked::Not(one) => Rc::new(self.rows(world, one).iter().map(|row| !row).collect()),
            term => {
                let text = term.text();
                if let Some(known) = self.known.get(&text) {
                    return known.clone();
                }
                let found = Rc::new(rows_of_term(world, term));
                self.known.insert(text, found.clone());
                found
            }
        }
    }

    fn combined(&mut self, world: &World, all: &[Asked], join: fn(bool, bool) -> bool) -> Bits {
        let mut rows = all.iter().map(|one| self.rows(world, one)).collect::<Vec<_>>().into_iter();
        let first = rows.next().unwrap();
        rows.fold(first, |a, b| Rc::new(a.iter().zip(b.iter()).map(|(a, b)| join(*a, *b)).collect()))
    }
}

fn rows_of_term(world: &World, term: &Asked) -> Vec<bool> {
    let by_content = |holds: &dyn Fn(&Content) -> bool| {
        let held: Vec<bool> = world.contents.iter().map(holds).collect();
        world.rows.iter().map(|row| held[row.content]).collect::<Vec<bool>>()
    };
    let by_value = |field: &'static str, holds: &dyn Fn(&str) -> bool| match field {
        "site" => world.rows.iter().map(|row| holds(SITES[row.site])).collect(),
        "observer.ip" => world.rows.iter().map(|row| holds(&peer(row.site).to_string())).collect(),
        _ => by_content(&|content| content.fields.iter().any(|(name, value)| *name == field && holds(value))),
    };
    match term {
        Asked::Everything => vec![true; world.rows.len()],
        Asked::Word(pattern) => {
            let held: Vec<bool> = world.contents.iter().map(|content| has_word(&content.line, pattern)).collect();
            // The time and the last word stand in the line as well.
            let own = |row: &Row| has_word(&format!("t={} {}", row.time, row.last_word()), pattern);
            world.rows.iter().map(|row| held[row.content] || own(row)).collect()
        }
        Asked::Phrase(text) => by_content(&|content| has_phrase(&content.line, text)),
        Asked::Message(text) => by_content(&|content| has_phrase(&content.message, text)),
        Asked::Is(field, wanted) => by_value(field, &|value| value_is(field, value, wanted)),
        Asked::Like(field, pattern) => by_value(field, &|value| is_like(pattern, &key(field, value).text())),
        Asked::Has(field) => by_value(field, &|_| true),
        Asked::Numbers(field, low, high) => {
            by_value(field, &|value| value.parse::<i64>().is_ok_and(|value| (*low..=*high).contains(&value)))
        }
        Asked::Net(field, net, bits) => by_value(field, &|value| in_net(value, net, *bits)),
        Asked::Between(field, low, high) => by_value(field, &|value| {
            let (value, low, high) = (address(value), address(low), address(high));
            value.is_some_and(|value| Some(value.is_ipv4()) == low.map(|low| low.is_ipv4())) && value >= low && value <= high
        }),
        Asked::Defect(wanted) => {
            by_content(&|content| wanted.map_or(!content.defects.is_empty(), |wanted| content.defects.contains(&wanted)))
        }
        Asked::Time(_, first, last) => world.rows.iter().map(|row| (*first..=*last).contains(&row.time)).collect(),
        Asked::And(_) | Asked::Or(_) | Asked::Not(_) => unreachable!("no term"),
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    use Asked::*;
    let day = |n: i64| DAY0 + n * Timestamp::DAY - OFFSET;
    let terms = vec![
        Everything,
        Word("failed"),
        Word("LOGIN"),
        Word("für"),
        Word("straße"),
        Word("nirgends"),
        Word("x"),
        Word("root"),
        Word("fail*"),
        Word("*in"),
        Word("*a*b*"),
        Word("pass?ord"),
        Word("?????"),
        Word("n0000??"),
        Word("n00*7"),
        Word("www*"),
        Phrase("failed login"),
        Phrase("login failed"),
        Phrase("a-b"),
        Phrase("kernel: "),
        Phrase("user=root"),
        Phrase("Straße"),
        Phrase("10.0.0.1"),
        Phrase("accepted password für"),
        Message("failed"),
        Message("login x"),
        Message("net user"),
        Is("user.name", "root"),
        Is("user.name", "müller"),
        Is("user.name", "max muster"),
        Is("source.ip", "10.0.0.1"),
        Is("source.ip", "fe80::1"),
        Is("source.port", "443"),
        Is("destination.port", "3389"),
        Is("event.code", "4625"),
        Is("event.action", "LOGIN"),
        Is("host.name", "dc"),
        Is("process.command_line", "CMD /c dir"),
        Is("vendor.rule", "deny"),
        Is("vendor.rule", "10.0.0.1"),
        Is("vendor.zone", "dmz"),
        Is("site", "rathaus-2"),
        Is("site", "unbekannt"),
        Is("observer.ip", "192.0.2.103"),
        Like("user.name", "u1*"),
        Like("user.name", "*m*"),
        Like("user.name", "yyy*"),
        Like("source.ip", "10.1.*"),
        Like("source.ip", "kap*"),
        Like("source.port", "4*"),
        Like("destination.port", "?2"),
        Like("process.command_line", "*user*"),
        Like("vendor.rule", "1?"),
        Like("site", "Rathaus*"),
        Like("host.name", "web-?"),
        Has("user.name"),
        Has("source.ip"),
        Has("destination.port"),
        Has("network.bytes"),
        Has("process.command_line"),
        Has("vendor.zone"),
        Has("site"),
        Numbers("source.port", 1_024, i64::MAX),
        Numbers("source.port", i64::MIN, 442),
        Numbers("destination.port", 1, 100),
        Numbers("network.bytes", 500, 5_000),
        Numbers("event.code", 4_625, i64::MAX),
        Numbers("vendor.rule", 12, 15),
        Net("source.ip", "10.0.0.0", 8),
        Net("source.ip", "10.2.0.0", 15),
        Net("source.ip", "fe80::", 10),
        Net("source.ip", "0.0.0.0", 0),
        Between("source.ip", "10.0.0.3", "10.1.0.5"),
        Between("source.ip", "fe80::2", "fe80::7"),
        Defect(None),
        Defect(Some(crate::event::Defect::NoYear)),
        Time(">now-3d", NOW.0 - 3 * Timestamp::DAY + 1, i64::MAX),
        Time("<=now-90m", i64::MIN, NOW.0 - 90 * Timestamp::MINUTE),
        Time("2024-10-06", day(2), day(3) - 1),
        Time("[2024-10-05 TO now-5d]", day(1), NOW.0 - 5 * Timestamp::DAY),
        Time(">=08.10.2024", day(4), i64::MAX),
        Time("<2024-10-09T12:30", i64::MIN, day(5) + 12 * Timestamp::HOUR + 30 * Timestamp::MINUTE - 1),
    ];
    prop::sample::select(terms).prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Or),
            inner.prop_map(|one| Not(Box::new(one))),
        ]
    })
}

// What a search says.

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(i64),
    At(i64),
    Address(IpAddr),
    Text(String),
    Missing,
}

impl Key {
    fn text(&self) -> String {
        match self {
            Self::Number(number) | Self::At(number) => number.to_string(),
            Self::Address(address) => address.to_string(),
            Self::Text(text) => text.clone(),
            Self::Missing => String::new(),
        }
    }
}

/// A value as its field's kind has it.
fn key(field: &str, value: &str) -> Key {
    let number = value.parse().ok().filter(|_| NUMBERS.contains(&field)).map(Key::Number);
    let address = address(value).filter(|_| ADDRESSES.contains(&field)).map(Key::Address);
    number.or(address).unwrap_or_else(|| Key::Text(value.into()))
}

/// All values of a field, in a row's class: its content and its site.
fn values(world: &World, (content, site): (usize, usize), field: &str) -> Vec<Key> {
    match field {
        "site" => vec![Key::Text(SITES[site].into())],
        "observer.ip" => vec![Key::Address(peer(site))],
        _ => world.contents[content].fields.iter().filter(|(name, _)| *name == field).map(|(_, value)| key(field, value)).collect(),
    }
}

fn different(world: &World, class: (usize, usize), field: &str) -> Vec<Key> {
    Vec::from_iter(BTreeSet::from_iter(values(world, class, field)))
}

/// Rows by what they say.
fn classes(found: &[&Row]) -> BTreeMap<(usize, usize), u64> {
    let mut classes = BTreeMap::new();
    found.iter().for_each(|row| *classes.entry((row.content, row.site)).or_default() += 1);
    classes
}

fn tops(world: &World, found: &[&Row]) -> Vec<(FieldId, Vec<(String, u64)>)> {
    let classes = classes(found);
    let top = |field: FieldId| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (class, count) in &classes {
            let countable = |key: &Key| match key {
                Key::Text(text) => field != fields::SOURCE_IP && text.len() <= 1_024,
                _ => true,
            };
            for value in different(world, *class, field.name()).iter().filter(|key| countable(key)) {
                *counts.entry(value.text()).or_default() += count;
            }
        }
        let mut counts = Vec::from_iter(counts);
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts.truncate(10);
        (field, counts)
    };
    TOP_FIELDS.into_iter().map(top).collect()
}

#[derive(Debug)]
struct Question {
    asked: Asked,
    body: Option<u128>,
    from: Option<i64>,
    to: Option<i64>,
    limit: usize,
    /// Where later pages begin, in thousandths of all hits.
    pages: [usize; 2],
    table: Option<Grouped>,
}

fn question() -> impl Strategy<Value = Question> {
    let bound = || prop::option::weighted(0.3, (0..DAYS * 24).prop_map(|hour| DAY0 + hour * Timestamp::HOUR + 1_234));
    let body = prop::option::weighted(0.4, 1u128..=4);
    let pages = [0usize..1_000, 0..1_000];
    (asked(), body, bound(), bound(), 0usize..60, pages, prop::option::weighted(0.5, grouped())).prop_map(
        |(asked, body, a, b, limit, pages, table)| {
            let (from, to) = match (a, b) {
                (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b) + 1)),
                open => open,
            };
            Question { asked, body, from, to, limit, pages, table }
        },
    )
}

fn check(store: &EventStore, world: &World, scan: &mut Scan, question: &Question) {
    let label = format!("{} {question:?}", question.asked.text());
    let all = scan.rows(world, &question.asked);
    let seen = |row: &&Row| {
        question.from.is_none_or(|from| row.time >= from)
            && question.to.is_none_or(|to| row.time < to)
            && question.body.is_none_or(|body| row.site < 5 && row.site as u128 / 2 + 1 == body)
    };
    let found: Vec<&Row> = world.rows.iter().zip(all.iter()).filter(|(_, asked)| **asked).map(|(row, _)| row).filter(seen).collect();
    let wanted: Vec<u64> = found.iter().map(|row| row.seq).collect();
    let query = match Query::parse_at(&question.asked.text(), NOW) {
        Err(error) if error.message.contains("Sternchen") => return,
        parsed => parsed.unwrap_or_else(|error| panic!("{label}: {error}")),
    };
    let scope = question.body.map_or(Scope::All, |n| Scope::Bodies(vec![body(n)]));
    let mut request = SearchRequest::new(query, scope, world.sites.clone());
    (request.from, request.to) = (question.from.map(Timestamp), question.to.map(Timestamp));
    (request.limit, request.time_max) = (question.limit, Duration::from_secs(600));
    let result = store.search(&request).unwrap();
    assert!(!result.partial && result.damaged.is_empty(), "{label}");
    assert_eq!(result.total, wanted.len() as u64, "{label}");
    assert_eq!(seqs(&result.hits), wanted[..wanted.len().min(question.limit)], "{label}");
    assert_eq!(result.histogram.counts.iter().sum::<u64>(), result.total, "{label}");
    if let (Some(from), Some(to)) = (question.from, question.to) {
        let width = (to - from + 59) / 60;
        let mut bars = vec![0; 60];
        found.iter().for_each(|row| bars[((row.time - from) / width) as usize] += 1);
        assert_eq!(result.histogram, Histogram { start: Timestamp(from), width_millis: width, counts: bars }, "{label}");
    }
    assert_eq!(result.top, tops(world, &found), "{label}");
    // Pages from anywhere, and where there are few of them, all one after the other.
    for (n, page) in question.pages.into_iter().enumerate() {
        let Some(row) = found.get(found.len() * page / 1_000) else { continue };
        let place = found.len() * page / 1_000 + 1;
        let before = Some(Cursor { timestamp: Timestamp(row.time), seq: Seq(row.seq) });
        let page = store.search(&SearchRequest { before, summary: n > 0, limit: 25, ..request.clone() }).unwrap();
        assert_eq!(seqs(&page.hits), wanted[place..wanted.len().min(place + 25)], "{label}");
        assert_eq!(page.total, if n > 0 { wanted.len() as u64 } else { 0 }, "{label}");
        assert_eq!(page.next.is_some(), wanted.len() > place + 25, "{label}");
    }
    if wanted.len() < 600 {
        let (mut got, mut page) = (vec![], SearchRequest { limit: 97, summary: false, ..request.clone() });
        loop {
            let found = store.search(&page).unwrap();
            got.extend(seqs(&found.hits));
            let Some(next) = found.next else { break };
            page.before = Some(next.to_string().parse().unwrap());
        }
        assert_eq!(got, wanted, "{label}");
    }
    if let Some(grouped) = &question.table {
        let text = format!("{} | {}", question.asked.text(), grouped.text());
        let pipeline = Pipeline::parse(&text, NOW).unwrap_or_else(|error| panic!("{text}: {error}"));
        let mut asked = AggregateRequest::new(pipeline, request.scope.clone(), world.sites.clone());
        (asked.from, asked.to, asked.time_max) = (request.from, request.to, request.time_max);
        let result = store.aggregate(&asked).unwrap();
        assert!(!result.partial && result.damaged.is_empty(), "{text} {label}");
        assert_eq!(result.total, wanted.len() as u64, "{text} {label}");
        let got: Vec<Vec<Key>> = result.table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        assert_eq!(got, grouped.rows(world, &found, (question.from, question.to)), "{text} {label}");
    }
}

fn cell(value: &Value) -> Key {
    match value {
        Value::Missing => Key::Missing,
        Value::Int(number) => Key::Number(*number),
        Value::Time(at) => Key::At(at.0),
        Value::Ip(address) => Key::Address(*address),
        Value::Text(text) => Key::Text(text.as_ref().into()),
        Value::Float(_) => Key::Text(value.text().into_owned()),
    }
}

// What a pipe says.

#[derive(Clone, Debug)]
enum Grouped {
    Count(Vec<&'static str>),
    Top(usize, &'static str),
    /// The greatest sums of bytes.
    TopBytes(usize, &'static str),
    Rare(usize, &'static str),
    Distinct(Vec<&'static str>, Vec<&'static str>),
    /// All figures of the bytes.
    Stats(Vec<&'static str>),
    /// Hours of a bar.
    Histogram(i64, Vec<&'static str>),
}

const GROUPS: [&str; 10] = [
    "site",
    "user.name",
    "source.ip",
    "source.port",
    "event.action",
    "host.name",
    "process.command_line",
    "vendor.rule",
    "vendor.zone",
    "observer.ip",
];
const STATS: &str = "count, sum(network.bytes), min(network.bytes), max(network.bytes), avg(network.bytes), median(network.bytes), \
                     p95(network.bytes), dc(user.name)";

fn grouped() -> impl Strategy<Value = Grouped> {
    let list = |sizes: std::ops::RangeInclusive<usize>| prop::sample::subsequence(GROUPS.to_vec(), sizes);
    let field = || prop::sample::select(GROUPS.to_vec());
    prop_oneof![
        list(0..=3).prop_map(Grouped::Count),
        (1usize..12, field()).prop_map(|(rows, field)| Grouped::Top(rows, field)),
        (1usize..12, field()).prop_map(|(rows, field)| Grouped::TopBytes(rows, field)),
        (1usize..12, field()).prop_map(|(rows, field)| Grouped::Rare(rows, field)),
        (list(1..=2), list(0..=1)).prop_map(|(fields, by)| Grouped::Distinct(fields, by)),
        list(0..=2).prop_map(Grouped::Stats),
        (prop::sample::select(vec![1, 6, 24]), list(0..=1)).prop_map(|(hours, by)| Grouped::Histogram(hours, by)),
    ]
}

/// Every combination of one value of each field.
fn product(sets: &[Vec<Key>]) -> Vec<Vec<Key>> {
    let Some((first, rest)) = sets.split_first() else { return vec![vec![]] };
    let rest = product(rest);
    first.iter().flat_map(|one| rest.iter().map(move |rest| [vec![one.clone()], rest.clone()].concat())).collect()
}

type Weighted = Vec<((usize, usize), u64)>;

impl Grouped {
    fn text(&self) -> String {
        let by = |fields: &[&str]| if fields.is_empty() { String::new() } else { format!(" by {}", fields.join(", ")) };
        match self {
            Self::Count(fields) => format!("count{}", by(fields)),
            Self::Top(rows, field) => format!("top {rows} {field}"),
            Self::TopBytes(rows, field) => format!("top {rows} {field} by sum(network.bytes)"),
            Self::Rare(rows, field) => format!("rare {rows} {field}"),
            Self::Distinct(fields, group) => format!("distinct {}{}", fields.join(", "), by(group)),
            Self::Stats(group) => format!("stats {STATS}{}", by(group)),
            Self::Histogram(hours, group) => format!("histogram {hours}h{}", by(group)),
        }
    }

    fn by(&self) -> Vec<&'static str> {
        match self {
            Self::Count(by) | Self::Distinct(_, by) | Self::Stats(by) | Self::Histogram(_, by) => by.clone(),
            Self::Top(_, field) | Self::TopBytes(_, field) | Self::Rare(_, field) => vec![field],
        }
    }

    fn rows(&self, world: &World, found: &[&Row], range: (Option<i64>, Option<i64>)) -> Vec<Vec<Key>> {
        let groups = self.groups(world, found);
        let mut rows: Vec<Vec<Key>> = groups.into_iter().map(|(key, of)| [key, self.figures(world, &of)].concat()).collect();
        // As the description says: the most frequent first, and what is missing always last.
        let falling = |a: &Key, b: &Key| match (a, b) {
            (Key::Missing, _) | (_, Key::Missing) => a.cmp(b),
            _ => b.cmp(a),
        };
        let last = |row: &[Key]| row.last().cloned().unwrap_or(Key::Missing);
        rows.sort();
        match self {
            Self::Count(_) | Self::Distinct(..) => rows.sort_by(|a, b| falling(&last(a), &last(b))),
            Self::Top(limit, _) | Self::TopBytes(limit, _) => {
                rows.sort_by(|a, b| falling(&last(a), &last(b)));
                rows.truncate(*limit);
            }
            Self::Rare(limit, _) => {
                rows.sort_by_key(|row| last(row));
                rows.truncate(*limit);
            }
            Self::Histogram(hours, by) if by.is_empty() => fill(&mut rows, hours * Timestamp::HOUR, range),
            Self::Stats(_) | Self::Histogram(..) => {}
        }
        rows
    }

    fn groups(&self, world: &World, found: &[&Row]) -> BTreeMap<Vec<Key>, Weighted> {
        let mut groups: BTreeMap<Vec<Key>, Weighted> = BTreeMap::new();
        if self.by().is_empty() && !matches!(self, Self::Histogram(..)) {
            groups.insert(vec![], vec![]);
        }
        let only_present = matches!(self, Self::Top(..) | Self::TopBytes(..) | Self::Rare(..));
        let mut bars: BTreeMap<Option<i64>, Vec<&Row>> = BTreeMap::new();
        for row in found {
            let bar = if let Self::Histogram(hours, _) = self { Some(bar(row.time, hours * Timestamp::HOUR)) } else { None };
            bars.entry(bar).or_default().push(row);
        }
        for (bar, rows) in bars {
            for (class, count) in classes(&rows) {
                let mut sets: Vec<Vec<Key>> = bar.map(|bar| vec![Key::At(bar)]).into_iter().collect();
                for field in self.by() {
                    let mut values = different(world, class, field);
                    if values.is_empty() && !only_present {
                        values.push(Key::Missing);
                    }
                    sets.push(values);
                }
                for key in product(&sets) {
                    groups.entry(key).or_default().push((class, count));
                }
            }
        }
        groups
    }

    fn figures(&self, world: &World, of: &Weighted) -> Vec<Key> {
        let count = || Key::Number(of.iter().map(|(_, count)| *count as i64).sum());
        match self {
            Self::Count(_) | Self::Top(..) | Self::Rare(..) | Self::Histogram(..) => vec![count()],
            Self::TopBytes(..) => vec![bytes(world, of).first().map_or(Key::Missing, |_| sum(&bytes(world, of)))],
            Self::Distinct(fields, _) => vec![distinct(world, of, fields)],
            Self::Stats(_) => {
                let all = bytes(world, of);
                let values: i64 = all.iter().map(|(_, count)| *count).sum();
                let rank = |percent: i64| {
                    let mut left = (values * percent + 99) / 100;
                    let place = all.iter().find(|(_, count)| {
                        left -= count;
                        left <= 0
                    });
                    place.map_or(Key::Missing, |(value, _)| Key::Number(*value))
                };
                let Some(((first, _), (last, _))) = all.first().zip(all.last()) else {
                    return [vec![count()], vec![Key::Missing; 6], vec![distinct(world, of, &["user.name"])]].concat();
                };
                let Key::Number(total) = sum(&all) else { unreachable!() };
                let mean = Key::Text(format!("{:.2}", total as f64 / values as f64));
                let ends = [Key::Number(*first), Key::Number(*last)];
                let [first, last] = ends;
                vec![count(), Key::Number(total), first, last, mean, rank(50), rank(95), distinct(world, of, &["user.name"])]
            }
        }
    }
}

/// All values of the bytes with how often they occur, the smallest first.
fn bytes(world: &World, of: &Weighted) -> Vec<(i64, i64)> {
    let mut all: BTreeMap<i64, i64> = BTreeMap::new();
    for (class, count) in of {
        for value in values(world, *class, "network.bytes") {
            if let Key::Number(value) = value {
                *all.entry(value).or_default() += *count as i64;
            }
        }
    }
    Vec::from_iter(all)
}

fn sum(values: &[(i64, i64)]) -> Key {
    Key::Number(values.iter().map(|(value, count)| value * count).sum())
}

fn distinct(world: &World, of: &Weighted, fields: &[&str]) -> Key {
    let sets = |class: (usize, usize)| fields.iter().map(|field| different(world, class, field)).collect::<Vec<_>>();
    let all: BTreeSet<Vec<Key>> = of.iter().flat_map(|(class, _)| product(&sets(*class))).collect();
    Key::Number(all.len() as i64)
}

fn bar(time: i64, width: i64) -> i64 {
    (time + OFFSET).div_euclid(width) * width - OFFSET
}

/// Bars in which nothing was: over the asked range, or where that is open, between the first and the last.
fn fill(rows: &mut Vec<Vec<Key>>, width: i64, (from, to): (Option<i64>, Option<i64>)) {
    let at = |row: &Vec<Key>| if let Some(Key::At(at)) = row.first() { *at } else { unreachable!() };
    let span = match (from, to) {
        (Some(from), Some(to)) => Some((bar(from, width), bar(to - 1, width))),
        _ => rows.first().zip(rows.last()).map(|(first, last)| (at(first), at(last))),
    };
    let Some((first, last)) = span else { return };
    let held: BTreeSet<i64> = rows.iter().map(at).collect();
    rows.extend((first..=last).step_by(width as usize).filter(|at| !held.contains(at)).map(|at| vec![Key::At(at), Key::Number(0)]));
    rows.sort();
}

#[test]
fn generated_queries_equal_a_scan_of_every_event() {
    for name in ["vendor.rule", "vendor.zone"] {
        FieldId::intern(name).unwrap();
    }
    let (events, queries) = size();
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::default();
    let (store, _consumer, world) = grow(&mut runner, events, dir.path());
    let parts = store.partitions();
    let sealed = parts.iter().filter(|part| part.sealed).count();
    let pending = store.stats().pending as usize;
    // Otherwise less is compared than it seems.
    assert!(sealed >= 8 && pending >= events / 20 && pending < events / 5, "{sealed} sealed, {pending} pending");
    assert!(parts.iter().any(|part| part.name.starts_with("lang/")));
    let mut scan = Scan::default();
    for _ in 0..queries {
        check(&store, &world, &mut scan, &question().new_tree(&mut runner).unwrap().current());
    }
}
