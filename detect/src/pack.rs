//! Rules and their evidence, as the command line and the tests look at them: do they compile (`rules_check`), does each
//! fire on its `hit` and stay quiet on its `miss` (`rules_test`), what would they say of a file (`rules_run`).
//! Values come back; printing is the caller's.

#[cfg(test)]
mod crowdsec;
mod lines;
#[cfg(test)]
mod overview;

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest::body::{BodyId, SITE_UNKNOWN, SiteId, SiteTable};
use ingest::event::Event;
use ingest::fields::FieldId;
use ingest::frame::Seq;
use ingest::id::Ulid;
use ingest::record::{EventRecord, Record};
use ingest::time::Timestamp;
use serde::Serialize;

use self::lines::Lines;
use crate::correlate::value_hash;
use crate::engine::{Engine, RuleSet};
use crate::explanation::{Explanation, Verdict};
use crate::intel::{Enriched, Indicator, IndicatorId, IndicatorSet, Tlp};
use crate::json_record::JsonRecord;
use crate::rule::Rule;
use crate::sigma::{CompiledRule, FieldNames, RuleError};

/// The longest line of evidence or input; longer ones are counted as unreadable.
const LINE_BYTES_MAX: u64 = 1 << 20;
/// The largest evidence file: evidence is a handful of lines that a person reads.
const EVIDENCE_BYTES_MAX: u64 = 4 << 20;

/// What compiling some folders gave.
#[derive(Clone, Debug)]
pub struct CheckReport {
    pub detections: usize,
    pub correlations: usize,
    pub errors: Vec<RuleError>,
    /// What is accepted but may be meant otherwise.
    pub remarks: Vec<RuleError>,
}

/// Compiles everything below the folders.
pub fn rules_check(dirs: &[PathBuf], names: FieldNames) -> CheckReport {
    let (set, errors) = match names {
        FieldNames::Decoded => RuleSet::load_beside_shipped(dirs),
        FieldNames::Raw => RuleSet::load(dirs, names),
    };
    let own = |compiled: &&CompiledRule| dirs.iter().any(|dir| Path::new(&compiled.file).starts_with(dir));
    let correlations = set.rules().iter().filter(own).filter(|compiled| compiled.is_correlation()).count();
    let detections = set.rules().iter().filter(own).count() - correlations;
    CheckReport { detections, correlations, errors, remarks: set.remarks().to_vec() }
}

/// How one rule stood up to its evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleTest {
    pub file: String,
    /// The folder's name: the rule that the evidence is about.
    pub name: String,
    /// What is wrong; empty where the rule fires on its hit and on nothing of its miss.
    pub failures: Vec<String>,
    /// Where it does not fire or should not have: what the rule, or one that it counts, says of the lines.
    pub explained: Vec<Explained>,
}

/// What a rule says of a line of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    pub file: String,
    pub line: u64,
    pub rule: String,
    pub verdict: Verdict,
}

/// Lines explained of one rule's evidence: who mends it begins with the first.
const EXPLAINED_MAX: usize = 3;

/// Runs the evidence of all rules below the folders, each against the whole set, as rules refer to each other.
/// Refused rules come back as errors; what is not refused is tested all the same.
pub fn rules_test(dirs: &[PathBuf]) -> (Vec<RuleTest>, Vec<RuleError>) {
    let (set, errors) = RuleSet::load(dirs, FieldNames::Decoded);
    let mut folders: BTreeMap<&Path, Vec<&CompiledRule>> = BTreeMap::new();
    for compiled in set.rules() {
        folders.entry(Path::new(&compiled.file).parent().unwrap_or(Path::new(""))).or_default().push(compiled);
    }
    (folders.into_iter().map(|(folder, rules)| folder_test(&set, folder, &rules)).collect(), errors)
}

pub(crate) fn folder_test(set: &RuleSet, folder: &Path, rules: &[&CompiledRule]) -> RuleTest {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let file = rules.first().map(|compiled| compiled.file.clone()).unwrap_or_default();
    let (mut failures, mut explained) = (Vec::new(), Vec::new());
    match rules.iter().find(|compiled| compiled.rule.name == name) {
        None => failures.push(format!("no rule of the folder is called '{name}'")),
        Some(compiled) if !compiled.alerts => failures.push("the rule that names the folder never alerts".into()),
        Some(compiled) if compiled.falsepositives.is_empty() => failures.push("falsepositives are missing".into()),
        Some(_) => {}
    }
    for (kind, wanted) in [("hit", true), ("miss", false)] {
        let evidence = evidence(folder, kind);
        let told = |explained: &mut Vec<Explained>| evidence.iter().for_each(|evidence| evidence.explain(set, &name, !wanted, explained));
        match evidence.as_ref().map_err(Clone::clone).and_then(|evidence| evidence.run(set, &name)) {
            Err(failure) => failures.push(failure),
            Ok(entities) if wanted && entities.is_empty() => {
                failures.push(format!("{kind}: the rule does not fire"));
                told(&mut explained);
            }
            Ok(entities) if !wanted && !entities.is_empty() => {
                failures.push(format!("{kind}: the rule fires on {}", entities.join(", ")));
                told(&mut explained);
            }
            Ok(_) => {}
        }
    }
    RuleTest { file, name, failures, explained }
}

/// A `hit` or `miss` file: lines of `# key: value` in front (`# body:` also between), then lines as devices send them (`.log`) or decoded records,
/// one JSON object a line (`.ndjson`) for what no line says by itself, such as a country.
struct Evidence {
    file: String,
    indicators: Vec<Indicator>,
    /// What the findings must be about (`# entity: ip:192.0.2.1`), where the file says so.
    entity: Option<String>,
    records: Vec<(Option<BodyId>, EvidenceRecord)>,
    /// The body that the lines below are of (`# body: Stadt A`), where the file says so.
    body: Option<BodyId>,
    /// Reads the lines of a `.log`.
    lines: Option<Lines>,
}

enum EvidenceRecord {
    Json(JsonRecord),
    Line(Box<Event>),
}

fn evidence(folder: &Path, kind: &str) -> Result<Evidence, String> {
    let log = format!("{kind}.log");
    let lines = folder.join(&log).is_file().then(Lines::default);
    let file = if lines.is_some() { log } else { format!("{kind}.ndjson") };
    let mut text = String::new();
    let opened = std::fs::File::open(folder.join(&file)).map_err(|error| format!("{file}: {error}"))?;
    opened.take(EVIDENCE_BYTES_MAX).read_to_string(&mut text).map_err(|error| format!("{file}: {error}"))?;
    let mut evidence = Evidence { file, indicators: Vec::new(), entity: None, records: Vec::new(), body: None, lines };
    for (number, line) in (1u64..).zip(text.lines()) {
        evidence.line(number, line.trim()).map_err(|message| format!("{}:{number}: {message}", evidence.file))?;
    }
    Ok(evidence)
}

impl Evidence {
    fn line(&mut self, number: u64, line: &str) -> Result<(), String> {
        // In a log `#Fields: …` is data: there a comment has its space.
        let comment = line.strip_prefix('#').filter(|rest| self.lines.is_none() || rest.is_empty() || rest.starts_with(' '));
        match comment.map(|comment| comment.split_once(':').map(|(key, value)| (key.trim(), value.trim()))) {
            Some(Some(("indicator", value))) => {
                let pattern = value.parse().map_err(|error: crate::intel::PatternError| error.to_string())?;
                let id = IndicatorId::default();
                let created_at = Timestamp::default();
                let list = "evidence".into();
                self.indicators.push(Indicator {
                    id,
                    pattern,
                    list,
                    tlp: Tlp::Clear,
                    confidence: 100,
                    valid_until: None,
                    created_at,
                    live_from: None,
                });
            }
            Some(Some(("entity", value))) => self.entity = Some(value.to_owned()),
            Some(Some(("body", name))) => self.body = Some(body_called(name)),
            Some(_) => {}
            None if line.is_empty() => {}
            None => {
                let record = match &self.lines {
                    Some(lines) => EvidenceRecord::Line(Box::new(lines.event(number, line).ok_or("not a line")?)),
                    None => EvidenceRecord::Json(record(line, number).ok_or("not a JSON object")?),
                };
                self.records.push((self.body, record));
            }
        }
        Ok(())
    }

    /// What the rule, or those that it counts, say of the lines: of those that match, or of those that do not.
    fn explain(&self, set: &RuleSet, name: &str, matched: bool, into: &mut Vec<Explained>) {
        let Some(compiled) = set.find(name) else { return };
        let (sites, indicators) = (SiteTable::default(), IndicatorSet::new(self.indicators.clone()));
        for (_, record) in &self.records {
            let verdicts = |record: &dyn Record| -> Vec<Explained> {
                let record = Enriched::new(record, &indicators);
                let one = |ground: &CompiledRule| {
                    let (file, line, rule) = (self.file.clone(), record.seq().0, ground.rule.name.clone());
                    Some(Explained { file, line, rule, verdict: ground.verdict(&record)? })
                };
                set.grounds(compiled).into_iter().filter_map(one).collect()
            };
            let told = match record {
                EvidenceRecord::Json(record) => verdicts(record),
                EvidenceRecord::Line(event) => verdicts(&EventRecord { event, sites: &sites }),
            };
            let told = told.into_iter().filter(|one| one.verdict.matched == matched);
            into.extend(told.take(EXPLAINED_MAX.saturating_sub(into.len())));
        }
    }

    /// The entities of the rule's findings.
    fn run(&self, set: &RuleSet, name: &str) -> Result<Vec<String>, String> {
        // The rule and what it refers to: the others would be asked, and not heard.
        let alone = set.only(&[name.to_owned()]);
        let mut engine = Engine::new(alone, Arc::new(IndicatorSet::new(self.indicators.clone())));
        let mut findings = Vec::new();
        let sites = SiteTable::default();
        for (body, record) in &self.records {
            // A body of evidence has one site.
            let site = body.map_or(SITE_UNKNOWN, |body| SiteId(body.0));
            findings.extend(match record {
                EvidenceRecord::Json(record) => engine.apply(record, site, *body, Timestamp::default()),
                EvidenceRecord::Line(event) => engine.apply(&EventRecord { event, sites: &sites }, site, *body, Timestamp::default()),
            });
        }
        // Long after, so that windows which wait for more are judged.
        findings.extend(engine.settle(Timestamp(i64::MAX)));
        let mut entities: Vec<String> =
            findings.iter().filter(|finding| finding.rule.name == name).map(|finding| finding.entity.key()).collect();
        entities.sort();
        entities.dedup();
        match &self.entity {
            Some(wanted) if entities != [wanted.clone()] => {
                Err(format!("{}: the finding is about {:?}, not about {wanted}", self.file, entities.join(", ")))
            }
            _ => Ok(entities),
        }
    }
}

/// A body that only evidence knows, by its name.
fn body_called(name: &str) -> BodyId {
    BodyId(Ulid(value_hash([name]).into()))
}

fn record(line: &str, number: u64) -> Option<JsonRecord> {
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(JsonRecord::new(value.as_object()?, Seq(number), Timestamp::default()))
}

/// One match of one rule in a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunMatch {
    pub id: String,
    pub name: String,
    pub title: String,
    pub level: crate::rule::Level,
    /// The line whose record matched, or completed the correlation; 0 where a window closed at the end.
    pub line: u64,
    /// The fields that the rule asked for and that answered; for a correlation its observables' first values.
    pub fields: BTreeMap<String, String>,
    /// Why it matched, and which wording of the rule it was.
    pub explanation: Option<Explanation>,
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    pub records: u64,
    pub matches: u64,
    /// Lines that are no JSON object.
    pub unreadable: u64,
}

/// Evaluates one JSON object a line. Detections are reported even where they only feed a correlation: whoever runs rules
/// by hand wants to see all that matches.
///
/// # Errors
/// The reader's own. What a line holds is never an error.
pub fn rules_run(
    rules: RuleSet,
    indicators: Arc<IndicatorSet>,
    mut input: impl BufRead,
    on_match: &mut dyn FnMut(RunMatch),
) -> io::Result<RunSummary> {
    let mut engine = Engine::new(rules, indicators);
    let mut summary = RunSummary::default();
    let mut bytes = Vec::new();
    for number in 1u64.. {
        bytes.clear();
        if input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        if bytes.len() as u64 == LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
            skip_line(&mut input)?;
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.trim().is_empty() {
            continue;
        }
        let Some(record) = record(text.trim(), number) else {
            summary.unreadable += 1;
            continue;
        };
        summary.records += 1;
        for (rule, explanation) in engine.explain(&record) {
            summary.matches += 1;
            on_match(run_match(&rule, number, explanation.fields(&record), Some(explanation)));
        }
        // What a file says of the body is all there is to tell bodies apart by.
        let body = FieldId::find("organization.id").and_then(|field| record.first_text(field)).map(|name| body_called(&name));
        let findings = engine.apply(&record, SITE_UNKNOWN, body, Timestamp::default());
        report(&engine, findings, number, &mut summary, on_match);
    }
    let findings = engine.settle(Timestamp(i64::MAX));
    report(&engine, findings, 0, &mut summary, on_match);
    Ok(summary)
}

/// Passes on what correlations found; detections were reported before.
fn report(
    engine: &Engine,
    findings: Vec<crate::finding::Finding>,
    line: u64,
    summary: &mut RunSummary,
    on_match: &mut dyn FnMut(RunMatch),
) {
    for finding in findings.into_iter().filter(|finding| engine.is_correlation(&finding.rule)) {
        summary.matches += 1;
        let fields = finding.observables.iter().filter_map(|(name, values)| Some(((*name).to_owned(), values.first()?.clone()))).collect();
        on_match(run_match(&finding.rule, line, fields, finding.explanation.map(|explanation| *explanation)));
    }
}

fn run_match(rule: &Rule, line: u64, fields: BTreeMap<String, String>, explanation: Option<Explanation>) -> RunMatch {
    let Rule { id, name, title, level, .. } = rule;
    RunMatch { id: id.clone(), name: name.clone(), title: title.clone(), level: *level, line, fields, explanation }
}

/// Reads to the end of an overlong line without keeping it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = input.fill_buf()?;
        let (length, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (available.len(), available.is_empty()),
        };
        input.consume(length);
        if ended {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    pub(super) fn rules_dir() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules")
    }

    #[test]
    fn the_shipped_rules_compile_and_stand_up_to_their_evidence() {
        let shipped = RuleSet::shipped().unwrap_or_else(|errors| panic!("{errors:#?}"));
        assert_eq!(shipped.remarks(), []);
        let (tests, errors) = rules_test(&[rules_dir()]);
        assert_eq!(errors, []);
        let failed: Vec<&RuleTest> = tests.iter().filter(|test| !test.failures.is_empty()).collect();
        assert!(failed.is_empty(), "{failed:#?}");
    }

    #[test]
    fn evidence_that_does_not_hold_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("linux/demo");
        std::fs::create_dir_all(&folder).unwrap();
        let rule = "title: T\nfalsepositives: [keine]\nlogsource: {product: linux}\ndetection: {s: {user.name: root}, condition: s}\n";
        std::fs::write(folder.join("rule.yml"), rule).unwrap();
        std::fs::write(folder.join("hit.ndjson"), "{\"user.name\": \"x\"}\n").unwrap();
        std::fs::write(folder.join("miss.ndjson"), "{\"user.name\": \"root\", \"source.ip\": \"192.0.2.1\"}\n").unwrap();
        let failures = |dir: &Path| rules_test(&[dir.to_owned()]).0[0].failures.clone();
        assert_eq!(failures(dir.path()), ["hit: the rule does not fire", "miss: the rule fires on ip:192.0.2.1"]);
        std::fs::remove_file(folder.join("miss.ndjson")).unwrap();
        std::fs::write(folder.join("hit.ndjson"), "# entity: ip:192.0.2.9\n{\"user.name\": \"root\", \"source.ip\": \"192.0.2.1\"}\n")
            .unwrap();
        let found = failures(dir.path());
        assert_eq!(found[0], "hit.ndjson: the finding is about \"ip:192.0.2.1\", not about ip:192.0.2.9");
        assert!(found[1].starts_with("miss.ndjson: "), "{found:?}");
    }

    /// An operator's folder holds a filter alone; the rule that it is for is in the program.
    #[test]
    fn a_filter_for_a_shipped_rule_passes_the_check() {
        let dir = tempfile::tempdir().unwrap();
        let filter = |rule: &str| {
            format!(
                "title: F\nlogsource: {{product: linux}}\nfilter: {{rules: {rule}, own: {{source.ip: 192.0.2.1}}, condition: not own}}\n"
            )
        };
        let check = |text: &str| {
            std::fs::write(dir.path().join("filter.yml"), text).unwrap();
            let report = rules_check(&[dir.path().to_owned()], FieldNames::Decoded);
            (
                report.detections,
                report.correlations,
                report.errors.into_iter().map(|error| error.message).collect::<Vec<_>>(),
                report.remarks,
            )
        };
        assert_eq!(check(&filter("ssh_login_failed")), (0, 0, vec![], vec![]));
        let unknown = "the filter refers to an unknown or refused rule 'ssh_login_faild', did you mean 'ssh_login_failed'?";
        assert_eq!(check(&filter("ssh_login_faild")).2, [unknown]);
        let report = rules_check(&[rules_dir()], FieldNames::Decoded);
        assert_eq!((report.errors, report.detections + report.correlations), (vec![], RuleSet::shipped().unwrap().rules().len()));
    }

    #[test]
    fn a_run_names_rule_line_and_fields() {
        let rule = "title: T\nid: 5f0c5a3e-52c6-4b2e-8f2f-0c9b5b7f5a01\nlogsource: {product: linux}\ndetection: {s: {user.name|startswith: ro}, condition: s}\n";
        let (set, errors) = RuleSet::compile([("rules/linux/demo/rule.yml".into(), rule.into())], FieldNames::Decoded);
        assert_eq!(errors, []);
        let long = "x".repeat(LINE_BYTES_MAX as usize + 10);
        let input = format!("{{\"user.name\": \"root\"}}\nno json\n{long}\n\n{{\"user\": {{\"name\": \"ROSE\"}}}}\n");
        let mut shown = String::new();
        let summary = rules_run(set, Arc::default(), input.as_bytes(), &mut |found| {
            shown.push_str(&format!("{} {} {} {:?}\n", found.name, found.title, found.line, found.fields));
        })
        .unwrap();
        assert_eq!(summary, RunSummary { records: 2, matches: 2, unreadable: 2 });
        expect![[r#"
            demo T 1 {"user.name": "root"}
            demo T 5 {"user.name": "ROSE"}
        "#]]
        .assert_eq(&shown);
    }
}
