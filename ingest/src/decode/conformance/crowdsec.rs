//! crowdsec's collection: log files of a hundred products, each with what crowdsec reads of every line. The rows of
//! `table` say what their names are called here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::table::{NOT_YET, ON_PURPOSE, Ours, PRODUCTS, ROWS, THEIR_OWN};
use super::{corpora, event, loghub, names, snare, text};
use crate::event::Event;
use crate::fields::{self, FieldId};
use crate::syslog;
use crate::time::Timestamp;

/// Of the compared fields of one of our products' cases, this share must be equal or different on purpose.
const FIELDS_EQUAL_MIN: f64 = 0.95;

/// One of `parser.assert`'s lines: which stage and parser, which of its events, which field, what value.
struct Assertion {
    stage: String,
    parser: String,
    n: usize,
    /// `Parsed.src_ip`, `Unmarshaled.caddy.request.uri`, `Meta.timestamp[4:]`.
    name: String,
    value: String,
}

impl Assertion {
    fn parse(line: &str) -> Option<Self> {
        let (place, value) = line.trim_end().strip_prefix("results[\"")?.split_once(" == ")?;
        let (place, name) = place.split_once("].Evt.")?;
        let (stage, rest) = place.split_once("\"][\"")?;
        let (parser, n) = rest.split_once("\"][")?;
        let value = serde_json::from_str(&format!("\"{}\"", value.strip_prefix('"')?.strip_suffix('"')?)).ok()?;
        let name = name.replace("[\"", ".").replace("\"]", "");
        Some(Self { stage: stage.into(), parser: parser.into(), n: n.parse().ok()?, name, value })
    }
}

/// A case of the collection: its events in order, and what is asserted of them.
struct Case {
    name: String,
    events: Vec<Event>,
    assertions: Vec<Assertion>,
}

/// The log of a case's folder.
pub(super) fn log_of(folder: &Path) -> Option<PathBuf> {
    let files = names(folder);
    files.iter().find(|name| Path::new(name).extension().is_some_and(|end| end == "log")).map(|name| folder.join(name))
}

fn cases(corpora: &Path) -> Vec<Case> {
    let folder = corpora.join("crowdsec");
    let case = |name: String| {
        let asserts = fs::read_to_string(folder.join(&name).join("parser.assert")).ok()?;
        let log = fs::read(log_of(&folder.join(&name))?).ok()?;
        let events = String::from_utf8_lossy(&log).lines().filter(|line| !line.is_empty()).map(event).collect();
        Some(Case { name, events, assertions: asserts.lines().filter_map(Assertion::parse).collect() })
    };
    names(&folder).into_iter().filter_map(case).collect()
}

impl Case {
    fn product(&self) -> Option<&'static str> {
        PRODUCTS.iter().find(|(start, _)| self.name.starts_with(start)).map(|(_, product)| *product)
    }

    /// Which event an assertion of the later stages means. Their numbers count the events that came as far as the
    /// stage, so the text decides where there is one: the next line behind the last that carries it.
    fn places(&self) -> BTreeMap<(&str, &str, usize), usize> {
        let messages = self.assertions.iter().filter(|assertion| assertion.name == "Parsed.message");
        let message: BTreeMap<_, _> =
            messages.map(|assertion| ((&*assertion.stage, &*assertion.parser, assertion.n), assertion.value.trim())).collect();
        let mut places = BTreeMap::new();
        let all: BTreeSet<_> = self.assertions.iter().map(|assertion| (&*assertion.stage, &*assertion.parser, assertion.n)).collect();
        let (mut last, mut of) = (None, ("", ""));
        for (stage, parser, n) in all {
            if of != (stage, parser) {
                (last, of) = (None, (stage, parser));
            }
            let from = last.map_or(0, |last| last + 1);
            let by_text = message.get(&(stage, parser, n)).and_then(|message| {
                self.events.iter().enumerate().skip(from).find(|(_, event)| event.line().contains(message)).map(|(at, _)| at)
            });
            let at = by_text.unwrap_or(n.max(from));
            places.insert((stage, parser, n), at);
            last = Some(at);
        }
        places
    }

    /// Every field asserted of every line, once: line, name, value. A later stage only adds what it knows of itself.
    fn asserted(&self) -> BTreeMap<(usize, &str), &str> {
        let places = self.places();
        let mut asserted = BTreeMap::new();
        for assertion in &self.assertions {
            let meant = match &*assertion.stage {
                "s01-parse" => true,
                "s02-enrich" => assertion.name.starts_with("Meta."),
                _ => false,
            };
            // An empty value or a dash is theirs for "not said".
            if meant && !matches!(assertion.value.as_str(), "" | "-") {
                let at = places[&(&*assertion.stage, &*assertion.parser, assertion.n)];
                asserted.entry((at, assertion.name.as_str())).or_insert(assertion.value.as_str());
            }
        }
        asserted.retain(|(at, _), _| *at < self.events.len());
        asserted
    }

    /// The header fields of the lines that crowdsec reads as syslog: compared, and what differs.
    fn headers(&self) -> (usize, Vec<String>) {
        let (mut compared, mut wrong) = (0, Vec::new());
        for assertion in self.assertions.iter().filter(|assertion| assertion.parser == "crowdsecurity/syslog-logs") {
            let Some(event) = self.events.get(assertion.n) else { continue };
            let read = match assertion.name.as_str() {
                "Parsed.program" => text(event, fields::PROCESS_NAME),
                "Parsed.pid" => text(event, fields::PROCESS_PID),
                "Parsed.message" => event.message().to_owned(),
                "Meta.machine" => text(event, fields::HOST_NAME),
                _ => continue,
            };
            compared += 1;
            if read.trim() != assertion.value.trim() {
                let Assertion { name: field, value, .. } = assertion;
                wrong.push(format!("{} {field}: {read:?} instead of {value:?}\n   {}", self.name, event.line()));
            }
        }
        (compared, wrong)
    }
}

/// What became of one asserted field.
enum Verdict {
    Equal,
    /// The reason that stands in the table.
    OnPurpose(&'static str),
    Different(String),
    /// We have no field for it.
    NoField,
    /// It says nothing of the line.
    TheirOwn,
}

fn judge(case: &str, name: &str, value: &str, event: &Event) -> Verdict {
    let ours = ROWS.iter().find(|row| row.0 == name && case.starts_with(row.1)).map(|row| row.2);
    let read = match ours {
        Some(Ours::Is(field)) => values(event, &[field.to_owned()]),
        Some(Ours::OneOf(fields)) => values(event, &fields.iter().map(|field| (*field).to_owned()).collect::<Vec<_>>()),
        Some(Ours::Level(field) | Ours::Fold(field)) => values(event, &[field.to_owned()]),
        Some(Ours::Moment) => vec![moment(event.timestamp, name)],
        Some(Ours::Priority) => priority(event).into_iter().collect(),
        None if THEIR_OWN.iter().any(|(own, _)| is_like(name, own)) => return Verdict::TheirOwn,
        // JSON keeps its own names here too, with or without the product's before them.
        None => match name.strip_prefix("Unmarshaled.").and_then(|name| name.split_once('.')) {
            Some((product, path)) => {
                let read = values(event, &[path.to_owned(), format!("{product}.{path}")]);
                if read.is_empty() {
                    return Verdict::NoField;
                }
                read
            }
            None => return Verdict::NoField,
        },
    };
    // Their reading of key=value pairs keeps the commas between them.
    let value = if name.starts_with("Unmarshaled.") { value.trim_end_matches(',') } else { value };
    let same = |read: &String| match ours {
        Some(Ours::Fold(_)) => read.eq_ignore_ascii_case(value),
        Some(Ours::Level(_)) => read.eq_ignore_ascii_case(value.rsplit(':').next().unwrap_or(value)),
        Some(Ours::Moment) => *read == theirs(value, name),
        _ => read == value,
    };
    if read.iter().any(same) {
        return Verdict::Equal;
    }
    match ON_PURPOSE.iter().find(|(start, theirs, _)| case.starts_with(start) && *theirs == name) {
        Some((_, _, reason)) => Verdict::OnPurpose(reason),
        None => Verdict::Different(format!("{name} {read:?} instead of {value:?}: {}", event.line().chars().take(180).collect::<String>())),
    }
}

fn is_like(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end),
        None => name == pattern,
    }
}

fn values(event: &Event, names: &[String]) -> Vec<String> {
    let of = |name: &String| match name.as_str() {
        "message" => vec![event.message().to_owned()],
        _ => FieldId::find(name).map(|field| event.get_all(field).map(|value| value.text().into_owned()).collect()).unwrap_or_default(),
    };
    names.iter().flat_map(of).collect()
}

/// To the second; without the year where their name says so.
fn moment(moment: Timestamp, name: &str) -> String {
    let text = moment.utc().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    if name.ends_with("[4:]") { text[4..].to_owned() } else { text }
}

fn theirs(value: &str, name: &str) -> String {
    Timestamp::parse_rfc3339(value).map_or_else(|| value.to_owned(), |value| moment(value, name))
}

fn priority(event: &Event) -> Option<String> {
    let (facility, level) = (text(event, fields::LOG_SYSLOG_FACILITY), text(event, fields::LOG_LEVEL));
    (0..192).find(|n| syslog::facility_name(*n) == Some(facility.as_str()) && syslog::severity_name(*n) == level).map(|n: u8| n.to_string())
}

/// What the fields of a case came to.
#[derive(Default)]
struct Count {
    equal: usize,
    on_purpose: BTreeMap<(String, &'static str), usize>,
    different: Vec<String>,
    no_field: BTreeMap<String, usize>,
    their_own: usize,
}

impl Count {
    fn of(case: &Case) -> Self {
        let mut count = Self::default();
        for ((at, name), value) in case.asserted() {
            match judge(&case.name, name, value, &case.events[at]) {
                Verdict::Equal => count.equal += 1,
                Verdict::OnPurpose(reason) => *count.on_purpose.entry((name.to_owned(), reason)).or_default() += 1,
                Verdict::Different(how) => count.different.push(how),
                Verdict::NoField => *count.no_field.entry(name.to_owned()).or_default() += 1,
                Verdict::TheirOwn => count.their_own += 1,
            }
        }
        count
    }

    fn on_purpose(&self) -> usize {
        self.on_purpose.values().sum()
    }

    fn compared(&self) -> usize {
        self.equal + self.on_purpose() + self.different.len()
    }

    fn is_well_read(&self) -> bool {
        (self.equal + self.on_purpose()) as f64 >= FIELDS_EQUAL_MIN * self.compared() as f64
    }
}

/// The header of every product in the collection that speaks syslog.
#[test]
fn headers_are_read_as_crowdsec_reads_them() {
    let Some(corpora) = corpora() else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for case in cases(&corpora) {
        let (some, differences) = case.headers();
        compared += some;
        wrong.extend(differences);
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 500, "only {compared} assertions compared");
}

#[test]
fn our_products_are_read_field_by_field() {
    let Some(corpora) = corpora() else { return };
    let (mut compared, mut short) = (0, Vec::new());
    for case in cases(&corpora).iter().filter(|case| case.product().is_some()) {
        let mut count = Count::of(case);
        compared += count.compared();
        let reason = NOT_YET.iter().find(|(name, _)| *name == case.name);
        match (count.is_well_read(), reason) {
            (true, Some(_)) => short.push(format!("{} is read well enough: its row in NOT_YET has served", case.name)),
            (false, None) => {
                count.different.truncate(12);
                let list = count.different.join("\n   ");
                short.push(format!("{}: {} of {}\n   {list}", case.name, count.equal, count.compared()));
            }
            _ => {}
        }
    }
    assert!(short.is_empty(), "{}", short.join("\n"));
    assert!(compared >= 2_000, "only {compared} fields compared");
}

/// A reason that explains nothing any more would let the next difference pass unseen.
#[test]
fn every_row_of_the_table_is_used() {
    let Some(corpora) = corpora() else { return };
    let cases = cases(&corpora);
    let asserted: Vec<_> = cases.iter().flat_map(|case| case.asserted().into_keys().map(|(_, name)| (case.name.as_str(), name))).collect();
    let unused = ROWS.iter().filter(|row| !asserted.iter().any(|(case, name)| *name == row.0 && case.starts_with(row.1)));
    let mut unused: Vec<_> = unused.map(|row| format!("{row:?}")).collect();
    let given: BTreeSet<_> = cases
        .iter()
        .flat_map(|case| Count::of(case).on_purpose.into_keys().map(|(name, _)| (case.name.clone(), name)).collect::<Vec<_>>())
        .collect();
    let idle = ON_PURPOSE.iter().filter(|(case, theirs, _)| !given.iter().any(|(name, field)| name.starts_with(case) && field == theirs));
    unused.extend(idle.map(|row| format!("{row:?}")));
    unused
        .extend(PRODUCTS.iter().filter(|(start, _)| !cases.iter().any(|case| case.name.starts_with(start))).map(|row| format!("{row:?}")));
    assert!(unused.is_empty(), "rows that nothing needs:\n{}", unused.join("\n"));
}

const BEGIN: &str = "<!-- Anfang: vom Prüflauf geschrieben -->";
const END: &str = "<!-- Ende: vom Prüflauf geschrieben -->";

/// The page's table is what the decoders do now: `UPDATE_EXPECT=1` writes it.
#[test]
fn the_documentation_shows_what_is_measured() {
    let Some(corpora) = corpora() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/messungen/decoder.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has its markers");
    let (_, tail) = rest.split_once(END).expect("the page has its markers");
    let made = format!("{head}{BEGIN}\n\n{}\n{END}{tail}", tables(&corpora));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &made).unwrap();
    } else {
        let changed = made.lines().filter(|line| !page.lines().any(|old| old == *line)).collect::<Vec<_>>().join("\n");
        assert!(made == page, "the page is stale; UPDATE_EXPECT=1 writes it. New:\n{changed}");
    }
}

fn tables(corpora: &Path) -> String {
    let cases = cases(corpora);
    let counts: Vec<_> = cases.iter().map(|case| (case, Count::of(case))).collect();
    let mut out = String::from("### crowdsec: Produkte mit eigenem Decoder\n\n");
    rows(&mut out, counts.iter().filter(|(case, _)| case.product().is_some()));
    out += "\n### crowdsec: alle übrigen Produkte\n\nVerlangt ist hier nur der richtige Kopf; was darüber hinaus gelesen wird, ist Zugabe.\n\n";
    rows(&mut out, counts.iter().filter(|(case, _)| case.product().is_none()));
    out += "\n### Was gewollt anders ist\n\n";
    for (case, count) in &counts {
        for ((name, reason), n) in &count.on_purpose {
            writeln!(out, "- `{}`, `{name}` ({n}): {reason}", case.name).unwrap();
        }
    }
    out += "\n### Was noch anders ist\n\n";
    for (case, count) in counts.iter().filter(|(case, count)| case.product().is_some() && !count.different.is_empty()) {
        let mut by_name: BTreeMap<&str, usize> = BTreeMap::new();
        for difference in &count.different {
            *by_name.entry(difference.split(' ').next().unwrap_or_default()).or_default() += 1;
        }
        let reason = NOT_YET.iter().find(|(name, _)| *name == case.name).map_or("", |(_, reason)| *reason);
        writeln!(out, "- `{}`: {}. {reason}", case.name, listed(by_name.iter().map(|(name, n)| (*name, *n)))).unwrap();
    }
    out += "\n### Wofür wir kein Feld haben\n\nNur bei Produkten mit eigenem Decoder; der Text steht in der Rohzeile und ist dort zu finden.\n\n";
    for (case, count) in counts.iter().filter(|(case, count)| case.product().is_some() && !count.no_field.is_empty()) {
        writeln!(out, "- `{}`: {}", case.name, listed(count.no_field.iter().map(|(name, n)| (name.as_str(), *n)))).unwrap();
    }
    out += "\n### Was nichts über die Zeile sagt\n\n";
    for (name, reason) in THEIR_OWN {
        writeln!(out, "- `{name}`: {reason}").unwrap();
    }
    write!(out, "\n### loghub\n\n{}\n### Snare\n\n{}", loghub::table(corpora), snare::sentence(corpora)).unwrap();
    out
}

fn listed<'a>(names: impl Iterator<Item = (&'a str, usize)>) -> String {
    names.map(|(name, n)| format!("`{name}` ({n})")).collect::<Vec<_>>().join(", ")
}

fn rows<'a>(out: &mut String, counts: impl Iterator<Item = &'a (&'a Case, Count)>) {
    out.push_str(
        "| Fall | Produkt | Zeilen | verglichen | gleich | gewollt anders | anders | ohne Feld | crowdsecs Eigenes | Kopf gleich |\n",
    );
    out.push_str("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    let mut all = [0; 9];
    let mut silent = Vec::new();
    for (case, count) in counts {
        if case.assertions.is_empty() {
            silent.push(format!("{} ({})", case.name, case.events.len()));
            continue;
        }
        let (headers, wrong) = case.headers();
        let numbers = [
            case.events.len(),
            count.compared(),
            count.equal,
            count.on_purpose(),
            count.different.len(),
            count.no_field.values().sum(),
            count.their_own,
            headers - wrong.len(),
            headers,
        ];
        all.iter_mut().zip(numbers).for_each(|(all, n)| *all += n);
        row(out, &case.name, case.product().unwrap_or("–"), numbers);
    }
    row(out, "**zusammen**", "", all);
    writeln!(out, "\nOhne Angaben von crowdsec, in Klammern die Zeilen: {}.", silent.join(", ")).unwrap();
}

fn row(out: &mut String, name: &str, product: &str, numbers: [usize; 9]) {
    let [lines, compared, equal, on_purpose, different, no_field, their_own, headers_equal, headers] = numbers;
    let head = if headers == 0 { "–".to_owned() } else { format!("{headers_equal} von {headers}") };
    writeln!(
        out,
        "| {name} | {product} | {lines} | {compared} | {equal} | {on_purpose} | {different} | {no_field} | {their_own} | {head} |"
    )
    .unwrap();
}

#[test]
fn an_assertion_is_read() {
    let line = r#"results["s01-parse"]["crowdsecurity/caddy-logs"][3].Evt.Unmarshaled["caddy"]["request"]["uri"] == "/a\"b""#;
    let read = Assertion::parse(line).unwrap();
    assert_eq!((&*read.stage, &*read.parser, read.n), ("s01-parse", "crowdsecurity/caddy-logs", 3));
    assert_eq!((&*read.name, &*read.value), ("Unmarshaled.caddy.request.uri", "/a\"b"));
    assert!(Assertion::parse("len(results) == 4").is_none());
    assert!(
        is_like("Parsed.ts_m", "Parsed.ts_*")
            && is_like("Unmarshaled.x.time", "Unmarshaled.*.time")
            && !is_like("Parsed.ts", "Parsed.ts_*")
    );
}

/// The judge itself must be able to say no.
#[test]
fn a_wrong_value_is_a_difference() {
    let event = event("<38>Mar 14 07:59:58 srv sshd[1]: Failed password for anna from 203.0.113.5 port 4711 ssh2");
    let verdict = |name: &str, value: &str| match judge("sshd-x", name, value, &event) {
        Verdict::Equal => "equal",
        Verdict::OnPurpose(_) => "on purpose",
        Verdict::Different(_) => "different",
        Verdict::NoField => "no field",
        Verdict::TheirOwn => "their own",
    };
    assert_eq!(verdict("Meta.source_ip", "203.0.113.5"), "equal");
    assert_eq!(verdict("Meta.source_ip", "203.0.113.6"), "different");
    assert_eq!(verdict("Meta.timestamp", "2026-03-14T07:59:58Z"), "equal");
    assert_eq!(verdict("Meta.timestamp[4:]", "-03-14T07:59:59Z"), "different");
    assert_eq!(verdict("Parsed.syslog_priority", "38"), "equal");
    assert_eq!(verdict("Parsed.syslog_priority", "39"), "different");
    assert_eq!(verdict("Parsed.nobody_knows", "x"), "no field");
    assert_eq!(verdict("Meta.service", "ssh"), "their own");
}
