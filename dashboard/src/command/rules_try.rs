//! `rules explain`, `rules coverage` and `rules backtest`: what the rules say of a line, of the world's attacks, and of the
//! past.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use detect::attack::{ATTACK_VERSION, Coverage, Tactic, technique_name};
use detect::engine::Engine;
use detect::explanation::Explanation;
use detect::flow::Sheet;
use detect::intel::IndicatorSet;
use detect::json_record::JsonRecord;
use detect::rule::Rule;
use detect::rulebook::{Backtest, Candidate, CandidateError, Rulebook, rulebook_compose};
use detect::sigma::CompiledRule;
use ingest::body::SiteTable;
use ingest::events::Cancel;
use ingest::frame::{FrameKind, PAYLOAD_BYTES_MAX, Seq};
use ingest::import::unpacked;
use ingest::record::{EventRecord, Record};
use ingest::scope::Scope;
use ingest::time::{Clock, Stopwatch, Timestamp};
use serde_json::json;

use super::decode::{LineReader, frame};
use super::{SOME_FAILED, eprint_line, progress_bar};
use crate::config::Config;
use crate::node::View;
use crate::{show, words};

/// The shipped rules, with those of the folders given, else of the configuration.
fn book(dirs: &[PathBuf], config: &Config) -> Rulebook {
    let dirs = if dirs.is_empty() { &config.rule_dirs } else { dirs };
    let book = rulebook_compose(dirs);
    book.refused.iter().for_each(|error| eprint_line(&format!("abgelehnt: {error}")));
    book
}

/// What every rule says of lines, or, where `what` names one, what that one says and why not.
pub(super) fn explain(
    what: &str,
    line: Option<&str>,
    dirs: &[PathBuf],
    json: bool,
    config: &Config,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let book = book(dirs, config);
    let engine = Engine::new(book.set.clone(), Arc::default());
    let by_id = |compiled: &&CompiledRule| compiled.rule.id.eq_ignore_ascii_case(what);
    let asked = book.set.find(what).or_else(|| book.set.rules().iter().find(by_id)).filter(|_| !Path::new(what).is_file());
    let source = match (asked, line) {
        (Some(_), line) => line.unwrap_or("-"),
        (None, None) => what,
        (None, Some(_)) => bail!("Es gibt keine Regel „{what}“. Die Namen stehen in docs/regelwerk.md und auf der Seite Regeln."),
    };
    let mut reader = LineReader::new(config);
    let mut input: Box<dyn BufRead> = match source {
        "-" => Box::new(BufReader::new(std::io::stdin().lock())),
        path if Path::new(path).is_file() => unpacked(Path::new(path))?,
        line if line.trim().contains([' ', '{']) => Box::new(std::io::Cursor::new(line.to_owned())),
        path => bail!("„{path}“ ist keine Datei. Eine Zeile gehört in Anführungszeichen: wartburg rules explain '<34>1 2026-…'"),
    };
    let (mut line, mut matched) = (Vec::new(), 0u64);
    for number in 1u64.. {
        line.clear();
        if (&mut input).take(PAYLOAD_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = line.trim_ascii();
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        let mut written = Ok(());
        // One of our own records, or a line as a device sends it.
        let object = serde_json::from_slice::<serde_json::Value>(text).ok().and_then(|value| value.as_object().cloned());
        let mut judge = |record: &dyn Record| {
            written = match asked {
                Some(compiled) => near(&book, &engine, compiled, record, number, json, out).map(|hit| matched += u64::from(hit)),
                None => {
                    let told = tell(&book, &engine, record);
                    matched += u64::from(!told.is_empty());
                    print(number, &told, json, out)
                }
            };
        };
        match object.filter(|object| object.keys().any(|key| key.contains('.') || key.starts_with('@'))) {
            Some(object) => judge(&JsonRecord::new(&object, Seq(number), clock.now())),
            None => match reader.read(&frame(number, FrameKind::of_line(text), text, clock.now())) {
                Some(event) => judge(&EventRecord { event: &event, sites: &SiteTable::default() }),
                None if !json => writeln!(out, "Zeile {number}: keine Protokollzeile")?,
                None => {}
            },
        }
        written?;
    }
    eprint_line(&match asked {
        Some(compiled) => format!("{matched} Zeilen, auf die {} anschlägt", compiled.rule.name),
        None => format!("{matched} Zeilen, auf die eine Regel anschlägt"),
    });
    Ok(ExitCode::SUCCESS)
}

/// A rule that matches, and who counts it.
struct Told {
    rule: Arc<Rule>,
    fields: BTreeMap<String, String>,
    explanation: Explanation,
    counted_by: Vec<String>,
    alerts: bool,
}

fn tell(book: &Rulebook, engine: &Engine, record: &dyn Record) -> Vec<Told> {
    let one = |(rule, explanation): (Arc<Rule>, Explanation)| {
        let counted_by = book.set.counting(&rule.name).iter().map(|compiled| compiled.rule.name.clone()).collect();
        let alerts = book.set.find(&rule.name).is_some_and(|compiled| compiled.alerts);
        Told { fields: explanation.fields(record), rule, explanation, counted_by, alerts }
    };
    engine.explain(record).into_iter().map(one).collect()
}

fn print(number: u64, told: &[Told], json: bool, out: &mut dyn Write) -> Result<()> {
    for one in told {
        if json {
            let object = json!({ "line": number, "id": one.rule.id, "name": one.rule.name, "title": one.rule.title,
                "level": one.rule.level, "alerts": one.alerts, "fields": one.fields, "counted_by": one.counted_by,
                "explanation": one.explanation });
            writeln!(out, "{object}")?;
            continue;
        }
        let kind = if one.alerts { one.rule.level.as_str() } else { "Baustein" };
        writeln!(out, "Zeile {number}: {} ({}, {kind})", show::safe(&one.rule.title), one.rule.name)?;
        print_told(&words::explain::explained(&one.explanation), out)?;
        if !one.counted_by.is_empty() {
            writeln!(out, "    gezählt von {}", one.counted_by.join(", "))?;
        }
        writeln!(out, "    {}", words::explain::version(&one.explanation.version))?;
    }
    if told.is_empty() && !json {
        writeln!(out, "Zeile {number}: keine Regel schlägt an")?;
    }
    Ok(())
}

/// What decided, with what matched between » and «.
pub(super) fn print_told(told: &[words::explain::Told], out: &mut dyn Write) -> Result<()> {
    for one in told {
        writeln!(out, "    {}", show::safe(&one.head))?;
        for line in &one.lines {
            let note = if line.note.is_empty() { String::new() } else { format!(" ({})", line.note) };
            writeln!(out, "      {} {}{note}", show::safe(&line.field), show::safe(&line.asked))?;
            for (before, marked, behind) in &line.values {
                let marked = if marked.is_empty() { String::new() } else { format!("»{}«", show::safe(marked)) };
                writeln!(out, "        {}{marked}{}", show::safe(before), show::safe(behind))?;
            }
        }
    }
    Ok(())
}

/// What one rule says of a record and why; of a correlation, what the rules say that it counts. Whether one of them matches.
fn near(
    book: &Rulebook,
    engine: &Engine,
    asked: &CompiledRule,
    record: &dyn Record,
    number: u64,
    json: bool,
    out: &mut dyn Write,
) -> Result<bool> {
    let mut any = false;
    for ground in book.set.grounds(asked) {
        let Some(verdict) = engine.verdict(ground, record) else { continue };
        any |= verdict.matched;
        let lacks = if verdict.matched { book.set.lacks(asked, ground, record) } else { Vec::new() };
        if json {
            let object = json!({ "line": number, "rule": asked.rule.name, "name": ground.rule.name, "title": ground.rule.title,
                "version": ground.version(book.number), "verdict": verdict, "lacks": lacks });
            writeln!(out, "{object}")?;
            continue;
        }
        let says = if verdict.matched { "schlägt an" } else { "schlägt nicht an" };
        writeln!(out, "Zeile {number}: {} ({}) {says}", show::safe(&ground.rule.title), ground.rule.name)?;
        print_told(&words::explain::verdict(&verdict), out)?;
        if !lacks.is_empty() {
            writeln!(out, "    {} zählt die Zeile trotzdem nicht: ihr fehlt {}", asked.rule.name, lacks.join(", "))?;
        } else if verdict.matched && asked.is_correlation() {
            writeln!(out, "    {} zählt diese Zeile", asked.rule.name)?;
        }
        writeln!(out, "    {}", words::explain::version(&ground.version(book.number)))?;
    }
    Ok(any)
}

pub(super) fn coverage(dirs: &[PathBuf], json: bool, layer: bool, data: &Path, config: &Config, out: &mut dyn Write) -> Result<ExitCode> {
    let book = book(dirs, config);
    let sheet: Sheet = crate::node::detectors(data, config)?.sheet().as_ref().clone();
    let house = detect::watch::house_rules();
    let detectors = sheet.iter().filter(|(_, section)| section.enabled).map(|(_, section)| &*section.rule);
    let rules: Vec<&Rule> = book
        .in_force()
        .filter(|compiled| compiled.alerts)
        .map(|compiled| &*compiled.rule)
        .chain(detectors)
        .chain(house.iter().map(|rule| &**rule))
        .collect();
    let coverage = Coverage::of(rules.iter().copied(), |_| 0);
    if layer {
        writeln!(out, "{:#}", coverage.layer("Wartburg", &format!("{} Regeln", rules.len())))?;
        return Ok(ExitCode::SUCCESS);
    }
    for tactic in Tactic::ALL {
        let column = coverage.column(tactic);
        if !json {
            writeln!(out, "{}  {} von {} Techniken", tactic.as_str(), column.len(), tactic.known())?;
        }
        for one in column {
            if json {
                writeln!(
                    out,
                    "{}",
                    json!({ "tactic": tactic.as_str(), "technique": one.id, "name": one.name, "rules": one.rules, "parts": one.parts })
                )?;
                continue;
            }
            let mut line = format!("  {:<6} {:<48} {}", one.id, one.name, super::plural(one.rules.len(), "Regel", "Regeln"));
            for part in one.parts.keys() {
                let _ = write!(line, "\n           {part} {}", technique_name(part).unwrap_or_default());
            }
            writeln!(out, "{line}")?;
        }
    }
    let unplaced: Vec<&str> = coverage.unplaced().into_iter().map(|one| one.id.as_str()).collect();
    if !unplaced.is_empty() {
        eprint_line(&format!("ohne Platz in der Matrix: {}", unplaced.join(", ")));
    }
    eprint_line(&format!("{} Techniken aus {} Regeln (MITRE ATT&CK {ATTACK_VERSION}, Enterprise)", coverage.techniques.len(), rules.len()));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn backtest(
    file: &Path,
    days: i64,
    json: bool,
    data: &Path,
    config: &Config,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} lesen", file.display()))?;
    let candidate = match Candidate::typed(&rulebook_compose(&config.rule_dirs), &text) {
        Ok(candidate) => candidate,
        Err(CandidateError::Refused(errors)) => {
            for error in &errors {
                writeln!(out, "{}:{}: {}", file.display(), error.line, error.message)?;
            }
            return Ok(ExitCode::from(SOME_FAILED));
        }
        Err(error) => bail!("{error}"),
    };
    let view = View::open(data, config, clock)?;
    let (watch, now) = (Stopwatch::start(), clock.now());
    let indicators = Arc::new(view.db.read(IndicatorSet::load)?);
    let test = Backtest {
        events: &view.events,
        flows: Some(&view.flows),
        sites: view.sites.clone(),
        scope: Scope::All,
        indicators,
        from: now.plus(-days * Timestamp::DAY),
        to: now,
        cancel: Cancel::default(),
        gentle: false,
        thorough: false,
    };
    let bar = progress_bar(100, "Prozent");
    let report = test.run(&candidate, &mut |report| bar.set_position(u64::from(report.percent())))?;
    bar.finish_and_clear();
    for hit in &report.hits {
        if json {
            writeln!(out, "{}", json!(hit))?;
        } else {
            let (first, last) = (show::stamp_seconds(hit.first), show::stamp_seconds(hit.last));
            writeln!(out, "{first} – {last}  {}  {}  {}  {} Ereignisse", hit.rule, show::safe(&hit.entity), hit.site, hit.records)?;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = (report.events + report.flows) as f64 / watch.elapsed().as_secs_f64().max(1e-9);
    eprint_line(&format!(
        "{}: hätte in {days} Tagen {}-mal angeschlagen ({} von {} Ereignissen und {} von {} Datenflüssen gelesen, {rate:.0}/s)",
        candidate.title,
        show::num(report.alerts),
        show::num(report.events),
        show::num(report.events_all),
        show::num(report.flows),
        show::num(report.flows_all)
    ));
    if report.partial {
        eprint_line("Ein Teil der Ereignisse war nicht lesbar; es können mehr sein.");
    }
    view.close();
    Ok(if report.partial { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}
