//! The shipped rules against logs that nobody here wrote: crowdsec's cases say which addresses must be flagged. Where the
//! collection is absent the tests say so and pass, unless `WARTBURG_CORPORA_REQUIRED=1`. The table that the test makes
//! stands in `docs/messungen/regelwerk.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::fields;
use ingest::record::{EventRecord, Record as _};
use ingest::time::Timestamp;

use super::lines::Lines;
use super::tests::rules_dir;
use crate::engine::{Engine, RuleSet};
use crate::finding::Finding;
use crate::intel::IndicatorSet;
use crate::rule::Level;
use crate::sigma::FieldNames;

/// Of the attack cases that are not excepted, this share must have all its addresses named.
const RAISED_MIN: f64 = 0.95;

/// Attack cases that no rule is asked for, each with its reason.
const EXCEPTED: &[(&str, &str)] = &[
    ("base-upsun-generic-test", "das Format von Upsun liest kein Decoder; der Fall prüft nur, ob crowdsec selbst läuft"),
    ("mailscanner-blacklisted", "eine einzelne Spammail von einer Adresse der eigenen Sperrliste; ein Alarm je Spammail wäre eine Flut"),
];

/// One folder of the collection.
struct Case {
    name: String,
    lines: Vec<String>,
    /// What crowdsec flags: addresses, and in a few cases an account, a process or a program.
    sources: BTreeSet<String>,
}

fn corpora() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or(beside, PathBuf::from).join("crowdsec");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|required| required != "1"), "no corpora at {}", folder.display());
    eprintln!("skipped: no corpora at {} (set WARTBURG_CORPORA)", folder.display());
    None
}

fn cases(folder: &Path) -> Vec<Case> {
    let mut folders: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().filter_map(|folder| case(folder)).collect()
}

fn case(folder: &Path) -> Option<Case> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let log = files.iter().find(|path| path.extension().is_some_and(|end| end == "log"))?;
    let text = String::from_utf8_lossy(&fs::read(log).ok()?).into_owned();
    let lines = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let asserted = fs::read_to_string(folder.join("scenario.assert")).unwrap_or_default();
    Some(Case { name: folder.file_name()?.to_string_lossy().into_owned(), lines, sources: asserted.lines().filter_map(source).collect() })
}

/// `"172.17.0.1" in results[0].Overflow.GetSources()`
fn source(line: &str) -> Option<String> {
    let (source, _) = line.trim().split_once(" in results[")?;
    serde_json::from_str(source).ok().filter(|_| line.contains(".Overflow.GetSources()"))
}

/// What the rules made of a case.
struct Outcome {
    /// Lines whose meaning a decoder read.
    decoded: usize,
    findings: Vec<Finding>,
}

fn run(set: &RuleSet, case: &Case) -> Outcome {
    let mut engine = Engine::new(set.clone(), Arc::new(IndicatorSet::default()));
    let (lines, sites) = (Lines::default(), SiteTable::default());
    let mut outcome = Outcome { decoded: 0, findings: Vec::new() };
    for (number, line) in (1u64..).zip(&case.lines) {
        let event = lines.event(number, line).unwrap();
        let record = EventRecord { event: &event, sites: &sites };
        outcome.decoded += usize::from(record.first_text(fields::EVENT_ACTION).is_some());
        outcome.findings.extend(engine.apply(&record, SITE_UNKNOWN, None, Timestamp::default()));
    }
    outcome.findings.extend(engine.settle(Timestamp(i64::MAX)));
    outcome
}

impl Outcome {
    /// The rules whose findings name the source, as their entity or among what they observed.
    fn naming(&self, source: &str) -> BTreeSet<String> {
        let same = |value: &String| value == source || address(value).is_some_and(|value| Some(value) == address(source));
        let names = |finding: &&Finding| finding.observables.values().flatten().any(same);
        self.findings.iter().filter(names).map(shown).collect()
    }

    fn rules(&self) -> BTreeSet<String> {
        self.findings.iter().map(shown).collect()
    }

    fn is_high(&self) -> bool {
        self.findings.iter().any(|finding| finding.rule.level >= Level::High)
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn shown(finding: &Finding) -> String {
    format!("`{}` ({})", finding.rule.name, finding.rule.level.as_str())
}

/// From the folder and not from the binary: whoever works on a rule sees at once what it does.
pub(super) fn rules() -> RuleSet {
    let (set, errors) = RuleSet::load(&[rules_dir()], FieldNames::Decoded);
    assert_eq!(errors, []);
    set
}

#[test]
fn attacks_are_raised_with_the_address_they_come_from() {
    let Some(corpora) = corpora() else { return };
    let set = rules();
    let (mut raised, mut missing, mut idle) = (0, Vec::new(), Vec::new());
    for case in cases(&corpora).iter().filter(|case| !case.addresses().is_empty()) {
        let outcome = run(&set, case);
        let silent: Vec<&String> = case.addresses().into_iter().filter(|source| outcome.naming(source).is_empty()).collect();
        let reason = EXCEPTED.iter().find(|(name, _)| *name == case.name);
        match (silent.is_empty(), reason) {
            (true, None) => raised += 1,
            (true, Some(_)) => idle.push(case.name.clone()),
            (false, Some(_)) => {}
            (false, None) => missing.push(format!("{}: {silent:?}, raised: {:?}\n   {}", case.name, outcome.rules(), case.sample())),
        }
    }
    assert_eq!(idle, [""; 0], "these are raised and need no exception");
    let all = raised + missing.len();
    assert!(raised as f64 >= RAISED_MIN * all as f64, "{raised} of {all}\n{}", missing.join("\n"));
    assert!(all >= 90, "only {all} attack cases");
}

/// The everyday logs of a product are no reason to call anybody.
#[test]
fn plain_logs_raise_nothing_high() {
    let Some(corpora) = corpora() else { return };
    let set = rules();
    let plain = cases(&corpora).into_iter().filter(|case| case.name.ends_with("-logs"));
    let wrong: Vec<String> = plain
        .map(|case| (run(&set, &case), case.name))
        .filter(|(outcome, _)| outcome.is_high())
        .map(|(outcome, name)| format!("{name}: {:?}", outcome.rules()))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

impl Case {
    /// What is asserted and an address.
    fn addresses(&self) -> Vec<&String> {
        self.sources.iter().filter(|source| address(source).is_some()).collect()
    }

    fn sample(&self) -> String {
        self.lines.first().map(|line| line.chars().take(200).collect()).unwrap_or_default()
    }
}

const BEGIN: &str = "<!-- Anfang: vom Prüflauf geschrieben -->";
const END: &str = "<!-- Ende: vom Prüflauf geschrieben -->";

/// The page's table is what the rules do now: `UPDATE_EXPECT=1` writes it.
#[test]
fn the_documentation_shows_what_is_raised() {
    let Some(corpora) = corpora() else { return };
    let path = rules_dir().join("../docs/messungen/regelwerk.md");
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
    let set = rules();
    let outcomes: Vec<(Case, Outcome)> = cases(corpora).into_iter().map(|case| (run(&set, &case), case)).map(|(o, c)| (c, o)).collect();
    let (attacks, others): (Vec<_>, Vec<_>) = outcomes.iter().partition(|(case, _)| !case.sources.is_empty());
    let mut out = String::from(
        "### Angriffe\n\n| Fall | Zeilen | davon gelesen | verlangte Quellen | genannt | gemeldet von |\n|---|---:|---:|---:|---:|---|\n",
    );
    let (mut whole, mut wanted) = (0, 0);
    for (case, outcome) in attacks {
        let by: BTreeMap<&String, BTreeSet<String>> = case.sources.iter().map(|source| (source, outcome.naming(source))).collect();
        let named = by.values().filter(|rules| !rules.is_empty()).count();
        let excepted = EXCEPTED.iter().any(|(name, _)| *name == case.name);
        if !excepted && !case.addresses().is_empty() {
            wanted += 1;
            whole += usize::from(case.addresses().iter().all(|source| !by[source].is_empty()));
        }
        let rules = outcome.rules();
        let rules = if rules.is_empty() { "–".to_owned() } else { rules.into_iter().collect::<Vec<_>>().join(", ") };
        writeln!(out, "| {} | {} | {} | {} | {named} | {rules} |", case.name, case.lines.len(), outcome.decoded, case.sources.len())
            .unwrap();
    }
    writeln!(out, "\nVon {wanted} Fällen mit Adressen als Quelle sind {whole} mit allen Adressen gemeldet.\n\n### Ausnahmen\n").unwrap();
    if EXCEPTED.is_empty() {
        out += "Keine.\n";
    }
    for (name, reason) in EXCEPTED {
        writeln!(out, "- {name}: {reason}").unwrap();
    }
    out += "\n### Fälle ohne Angriff\n\n| Fall | Zeilen | davon gelesen | gemeldet von |\n|---|---:|---:|---|\n";
    for (case, outcome) in others {
        let rules = outcome.rules();
        let rules = if rules.is_empty() { "–".to_owned() } else { rules.into_iter().collect::<Vec<_>>().join(", ") };
        writeln!(out, "| {} | {} | {} | {rules} |", case.name, case.lines.len(), outcome.decoded).unwrap();
    }
    out
}

#[test]
fn an_asserted_source_is_read() {
    assert_eq!(source(r#""172.17.0.1" in results[0].Overflow.GetSources()"#).as_deref(), Some("172.17.0.1"));
    assert_eq!(source(r#"results[0].Overflow.Sources["172.17.0.1"].IP == "172.17.0.1""#), None);
    assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
}
