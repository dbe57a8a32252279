//! `rules` and `advisory validate`: checking what an operator writes, before it counts.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use detect::explanation::Because;
use detect::intel::IndicatorSet;
use detect::pack::{RunMatch, rules_check, rules_run, rules_test};
use detect::sigma::{FieldNames, RuleSet};
use ingest::import::unpacked;
use ingest::time::{Clock, Stopwatch};
use serde_json::json;

use super::rules_try::{backtest, coverage, explain, print_told};
use super::{SOME_FAILED, data_dir, eprint_line};
use crate::cli::{Cli, RulesCommand};
use crate::config::Config;
use crate::{show, words};

pub(super) fn rules(command: &RulesCommand, cli: &Cli, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    match command {
        RulesCommand::Explain { what, line, rules, json } => explain(what, line.as_deref(), rules, *json, config, clock, out),
        RulesCommand::Coverage { dirs, json, layer } => coverage(dirs, *json, *layer, &data_dir(cli, config), config, out),
        RulesCommand::Backtest { file, days, json } => backtest(file, *days, *json, &data_dir(cli, config), config, clock, out),
        RulesCommand::Check { dirs, raw } => {
            let names = if *raw { FieldNames::Raw } else { FieldNames::Decoded };
            let report = rules_check(&or_default(dirs), names);
            for remark in &report.remarks {
                eprint_line(&format!("Hinweis: {remark}"));
            }
            for error in &report.errors {
                writeln!(out, "{error}")?;
            }
            eprint_line(&format!(
                "{} Regeln und {} Korrelationen übersetzt, {} Fehler",
                report.detections,
                report.correlations,
                report.errors.len()
            ));
            Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
        RulesCommand::Test { dirs } => {
            let (tests, errors) = rules_test(&or_default(dirs));
            let failed: Vec<_> = tests.iter().filter(|test| !test.failures.is_empty()).collect();
            for test in &failed {
                for problem in &test.failures {
                    writeln!(out, "{}: {problem}", test.file)?;
                }
                for one in &test.explained {
                    writeln!(out, "  {}:{} {}", one.file, one.line, one.rule)?;
                    print_told(&words::explain::verdict(&one.verdict), out)?;
                }
            }
            for error in &errors {
                writeln!(out, "{error}")?;
            }
            eprint_line(&format!("{} Regeln mit ihren Belegen geprüft, {} fehlerhaft", tests.len(), failed.len() + errors.len()));
            Ok(if failed.is_empty() && errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
        RulesCommand::Run { rules, file, json } => {
            // The file's records have whatever names they have: a rule may speak of any.
            let (set, errors) = RuleSet::load(rules, FieldNames::Raw);
            let watch = Stopwatch::start();
            let input = unpacked(file)?;
            let mut written = Ok(());
            let summary = rules_run(set, Arc::new(IndicatorSet::default()), input, &mut |found| {
                if written.is_ok() {
                    written = print_match(&found, *json, out);
                }
            })?;
            written?;
            for error in &errors {
                eprint_line(&error.to_string());
            }
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = summary.records as f64 / watch.elapsed().as_secs_f64().max(1e-9);
            eprint_line(&format!("{} Ereignisse, {} Treffer, {rate:.0} Ereignisse/s", summary.records, summary.matches));
            Ok(if errors.is_empty() && summary.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
    }
}

fn print_match(found: &RunMatch, json: bool, out: &mut dyn Write) -> Result<()> {
    if json {
        return Ok(writeln!(out, "{}", json!(found))?);
    }
    writeln!(out, "Zeile {}: {} ({})", found.line, found.title, found.name)?;
    let Some(explanation) = &found.explanation else { return Ok(()) };
    print_told(&words::explain::explained(explanation), out)?;
    if let Because::Count(counted) = &explanation.because {
        for (label, value) in words::explain::counted(counted) {
            writeln!(out, "    {label}: {}", show::safe(&value))?;
        }
    }
    Ok(writeln!(out, "    {}", words::explain::version(&explanation.version))?)
}

fn or_default(dirs: &[PathBuf]) -> Vec<PathBuf> {
    if dirs.is_empty() { vec![PathBuf::from("rules")] } else { dirs.to_vec() }
}

pub(super) fn validate(files: &[PathBuf], json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    let mut bad = 0;
    for path in files {
        let findings = match advisory::gate::advisory_validate(path) {
            Ok(findings) => findings,
            Err(error) => {
                bad += 1;
                eprint_line(&format!("{}: {error}", path.display()));
                continue;
            }
        };
        bad += usize::from(findings.iter().any(|finding| finding.blocks()));
        for finding in &findings {
            if json {
                let mut object = serde_json::to_value(finding)?;
                if let Some(object) = object.as_object_mut() {
                    object.insert("file".into(), path.display().to_string().into());
                }
                writeln!(out, "{object}")?;
            } else {
                writeln!(out, "{}: {finding}", path.display())?;
            }
        }
        if !json && findings.is_empty() {
            writeln!(out, "{}: keine Beanstandung", path.display())?;
        }
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}
