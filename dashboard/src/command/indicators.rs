//! `indicators`: reading files into lists and warning lists, what there is, whether a value is known, what feeds brought,
//! and sightings for those who warned. A running server takes over what changes within seconds.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use detect::intel::feed::{feed_list, import, remove};
use detect::intel::read::{Defaults, Format, Reason};
use detect::intel::{Flavour, IndicatorSet, ListFilter, Pattern, Tlp, indicator_list, indicator_lists, sightings_export, warning_lists};
use ingest::audit::{NewAudit, audit_add};
use ingest::db::{Db, DbError};
use ingest::import::unpacked;
use ingest::time::{Clock, Timestamp};
use serde_json::{Value, json};

use super::{SOME_FAILED, eprint_line};
use crate::cli::{IndicatorImportArgs, IndicatorsCommand};
use crate::{show, words};

/// Lists and kinds that `ls` shows.
const LISTED_MAX: usize = 10_000;
/// Entries that `find` shows.
const FOUND_MAX: usize = 200;

pub(super) fn indicators(command: &IndicatorsCommand, dir: &Path, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    std::fs::create_dir_all(dir)?;
    let (db, now) = (crate::node::database(dir)?, clock.now());
    match command {
        IndicatorsCommand::Import(args) => read_in(args, &db, now, out),
        IndicatorsCommand::Ls(args) => ls(args.json, &db, now, out),
        IndicatorsCommand::Find { value, json } => find(value, *json, &db, now, out),
        IndicatorsCommand::Remove { list } => {
            let gone = remove(&db, list, now)?;
            note(&db, "indicator.removed", list.clone(), json!({ "entries": gone }), now)?;
            writeln!(out, "{} Einträge weggenommen", show::num(gone))?;
            Ok(if gone == 0 { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
        }
        IndicatorsCommand::Feeds(args) => feeds(args.json, &db, out),
        IndicatorsCommand::Sightings { format, list } => {
            let flavour = if format == "stix" { Flavour::Stix } else { Flavour::Misp };
            let (text, count) = db.read(|c| sightings_export(c, list.as_deref(), flavour, now))?;
            write!(out, "{text}")?;
            let object = list.clone().unwrap_or_else(|| "*".to_owned());
            note(&db, "indicator.sightings_exported", object, json!({ "format": format, "sightings": count }), now)?;
            eprint_line(&format!("{} Indikatoren mit Sichtungen", show::num(count as u64)));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn read_in(args: &IndicatorImportArgs, db: &Db, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let Some(tlp) = Tlp::loose(&args.tlp) else {
        bail!("--tlp: „{}“ ist keines von: clear, green, amber, amber+strict, red", args.tlp)
    };
    let format = Format::parse(&args.format).unwrap_or(Format::Auto);
    let defaults = Defaults {
        list: args.list.trim().to_owned(),
        tlp,
        confidence: args.confidence,
        valid_days: args.valid_days,
        column: args.column.clone(),
    };
    if defaults.list.is_empty() || defaults.list.chars().count() > 80 {
        bail!("--list: bitte einen Namen von höchstens 80 Zeichen");
    }
    let mut source = unpacked(&args.file)?;
    let outcome = import(db, &mut source, format, &defaults, args.whole, now);
    let outcome = outcome.with_context(|| format!("{} lesen", args.file.display()))?;
    let refused: u64 = outcome.report.refused.values().sum();
    let detail = json!({ "taken": outcome.report.taken, "added": outcome.added, "dropped": outcome.dropped, "refused": refused });
    let kind = if format == Format::Warning { "indicator.warnings_replaced" } else { "indicator.imported" };
    note(db, kind, defaults.list.clone(), detail, now)?;
    if args.json {
        let reasons: Value = outcome
            .report
            .refused
            .iter()
            .map(|(reason, count)| (json!(reason).as_str().unwrap_or_default().to_owned(), json!(count)))
            .collect();
        let object = json!({
            "list": defaults.list, "taken": outcome.report.taken, "withdrawn": outcome.report.withdrawn, "added": outcome.added,
            "changed": outcome.changed, "dropped": outcome.dropped, "refused": reasons, "examples": outcome.report.examples,
        });
        writeln!(out, "{object}")?;
    } else {
        writeln!(
            out,
            "{}: {} gelesen, davon {} neu, {} geändert; {} entfallen",
            show::safe(&defaults.list),
            show::num(outcome.report.taken),
            show::num(outcome.added),
            show::num(outcome.changed),
            show::num(outcome.dropped)
        )?;
        for (reason, count) in &outcome.report.refused {
            writeln!(out, "  {} nicht übernommen: {}", show::num(*count), words::refusal(*reason))?;
        }
        for example in &outcome.report.examples {
            writeln!(out, "    {}: {}", show::safe(&example.place), show::safe(&example.what))?;
        }
    }
    let broken = [Reason::Malformed, Reason::NotAnIndicator].iter().any(|reason| outcome.report.refused.contains_key(reason));
    Ok(if outcome.report.taken == 0 && broken { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

fn ls(as_json: bool, db: &Db, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    for row in db.read(|c| indicator_lists(c, now, LISTED_MAX))? {
        if as_json {
            let object = json!({
                "list": row.list, "kind": row.kind, "entries": row.entries, "expired": row.expired, "warned": row.warned, "sighted": row.sighted,
            });
            writeln!(out, "{object}")?;
        } else {
            writeln!(
                out,
                "{}  {}, getroffen {}, abgelaufen {}, auf Warnliste {}",
                show::safe(&row.list),
                words::indicator_count(&row.kind, row.entries.unsigned_abs()),
                show::num(row.sighted),
                show::num(row.expired),
                show::num(row.warned)
            )?;
        }
    }
    for list in db.read(warning_lists)? {
        if as_json {
            writeln!(out, "{}", json!({ "warning_list": list.list, "entries": list.entries, "updated_at": list.updated_at.rfc3339() }))?;
        } else {
            writeln!(out, "Warnliste {}  {} Einträge", show::safe(&list.list), show::num(list.entries))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn find(value: &str, as_json: bool, db: &Db, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let pattern: Pattern = value.parse().map_err(|_| {
        anyhow::anyhow!("„{}“ ist keine Adresse, kein Netz, kein Name, keine URL, kein Hash und keine E-Mail-Adresse", show::safe(value))
    })?;
    let set = db.read(IndicatorSet::load)?;
    let mut values: Vec<String> = set.pattern(&pattern, now).iter().map(|hit| hit.pattern.value()).collect();
    values.extend(pattern.around());
    values.sort();
    values.dedup();
    let filter = ListFilter { values, ..ListFilter::default() };
    let rows = db.read(|c| indicator_list(c, &filter, now, FOUND_MAX))?;
    for row in &rows {
        let indicator = &row.indicator;
        let until = indicator.valid_until.map(Timestamp::rfc3339);
        if as_json {
            let object = json!({
                "kind": indicator.pattern.kind(), "value": indicator.pattern.value(), "list": indicator.list.as_ref(), "tlp": indicator.tlp,
                "confidence": indicator.confidence, "valid_until": until, "warned": row.warned, "hits": row.hits,
                "first_hit": row.first_hit.map(Timestamp::rfc3339), "last_hit": row.last_hit.map(Timestamp::rfc3339), "reference": row.reference,
            });
            writeln!(out, "{object}")?;
        } else {
            let warned = row.warned.as_ref().map(|list| format!(", trifft nicht: Warnliste „{}“", show::safe(list))).unwrap_or_default();
            let until = until.map(|at| format!(", bis {at}")).unwrap_or_default();
            writeln!(
                out,
                "{}  {} ({}, Vertrauen {} %{until}){warned}; {} Treffer",
                show::safe(&indicator.pattern.value()),
                show::safe(&indicator.list),
                indicator.tlp.as_str(),
                indicator.confidence,
                show::num(row.hits)
            )?;
        }
    }
    if rows.is_empty() {
        eprint_line("Steht auf keiner Liste.");
    }
    Ok(if rows.is_empty() { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

fn feeds(as_json: bool, db: &Db, out: &mut dyn Write) -> Result<ExitCode> {
    let feeds = db.read(feed_list)?;
    let failed = feeds.iter().any(|feed| feed.state.failure.is_some());
    for feed in feeds {
        let (state, failure) = (&feed.state, feed.state.failure.as_ref());
        if as_json {
            let object = json!({
                "name": feed.name, "done_at": feed.done_at.map(Timestamp::rfc3339), "tried_at": feed.tried_at.map(Timestamp::rfc3339),
                "taken": state.report.taken, "added": state.added, "dropped": state.dropped,
                "failure": failure.map(|(failure, detail)| json!({ "kind": failure, "detail": detail })),
            });
            writeln!(out, "{object}")?;
        } else {
            let done = feed.done_at.map_or("noch nie".to_owned(), Timestamp::rfc3339);
            let todo = failure
                .map(|(failure, detail)| format!("\n  {} ({})", words::feed_failure(*failure), show::safe(detail)))
                .unwrap_or_default();
            writeln!(out, "{}  gelesen {done}, {} Einträge{todo}", show::safe(&feed.name), show::num(state.report.taken))?;
        }
    }
    Ok(if failed { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

fn note(db: &Db, kind: &'static str, object: String, detail: Value, now: Timestamp) -> Result<()> {
    let new = NewAudit { actor: "system".into(), kind, object, detail };
    db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}
