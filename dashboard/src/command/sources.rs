//! `sources`: who sends, and what of it nobody understands.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use ingest::decode::{Options, Unread, decode, unread};
use ingest::fields;
use ingest::frame::{FrameKind, Seq};
use ingest::journal::{peek, segments};
use ingest::scope::Scope;
use ingest::source::{Template, Templates, source_list};
use ingest::time::{Clock, Timestamp};
use serde_json::json;

use super::journal::journal_dir;
use super::search::span;
use super::{data_dir, eprint_line, plural, progress_bar};
use crate::cli::{Cli, ListArgs, SourcesCommand, UnparsedArgs};
use crate::config::Config;
use crate::node::{View, database, memory, readings};
use crate::show;

pub(super) fn sources(
    list: &ListArgs,
    command: Option<&SourcesCommand>,
    cli: &Cli,
    config: &Config,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let dir = data_dir(cli, config);
    match command {
        None => source_lines(list.json, &View::open(&dir, config, clock)?, clock.now(), out),
        Some(SourcesCommand::Unparsed(args)) => unparsed(args, &dir, config, clock.now(), out),
    }
}

fn source_lines(json: bool, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    for source in view.db.read(|connection| source_list(connection, &Scope::All, &view.sites, now))? {
        let site = view.sites.name(source.site);
        if json {
            let mut object = serde_json::to_value(&source)?;
            if let Some(object) = object.as_object_mut() {
                object.insert("site".into(), site.into());
                object.insert("silent".into(), source.is_silent(now).into());
                object.insert("patience_millis".into(), source.patience_millis(now).into());
                object.insert("usual_gap_millis".into(), source.usual_gap_millis(now).into());
                object.insert("rate_per_hour".into(), source.rate(now).into());
                object.insert("format".into(), source.format().map(|(name, _)| name).into());
            }
            writeln!(out, "{object}")?;
        } else {
            let silent = if source.is_silent(now) { "  STILL" } else { "" };
            writeln!(
                out,
                "{}  {:<28} {:<16} {:<20} {:<6} {:>9} Pakete{silent}",
                source.last_seen.rfc3339(),
                site,
                source.peer,
                show::safe(&source.host),
                source.transport,
                source.frames
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads the journal beside a running server or without one, takes no lock and writes nothing.
fn unparsed(args: &UnparsedArgs, dir: &Path, config: &Config, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let journal = journal_dir(dir)?;
    let db = database(dir)?;
    let sites = db.read(ingest::body::SiteTable::load)?;
    let options = Options { zone: config.zone, readings: readings(&db)?, memory: memory(&db)? };
    db.close();
    let wanted = match &args.site {
        None => None,
        Some(name) => Some(
            sites
                .by_name(name)
                .map(|site| site.id)
                .with_context(|| format!("Einen Standort „{name}“ gibt es nicht. `wartburg sources` nennt die Standorte."))?,
        ),
    };
    let (from, to) = span(&args.span, now)?;
    let (from, to) = (from.unwrap_or(Timestamp(i64::MIN)), to.unwrap_or(Timestamp(i64::MAX)));
    // Only the segments that reach into the span are opened.
    let first = segments(&journal)?.iter().find(|info| info.span.is_none_or(|(_, last)| last >= from)).map_or(Seq(0), |info| info.first);
    let last = segments(&journal)?.last().map_or(Seq(0), |info| info.last);
    let bar = progress_bar(last.0.saturating_sub(first.0) + 1, "Zeilen gelesen");
    let found = group(&journal, first, &options, &bar, |at, site| (from..to).contains(&at) && wanted.is_none_or(|wanted| wanted == site))?;
    bar.finish_and_clear();
    let share = |part: u64| if found.lines == 0 { 0.0 } else { part as f64 / found.lines as f64 };
    let (strange, silent) = (found.strange.lines(), found.silent.lines());
    let patterns = found.strange.ranked().into_iter().map(|template| (Unread::NoDecoder, template));
    let mut patterns: Vec<_> = patterns.chain(found.silent.ranked().into_iter().map(|template| (Unread::NothingRead, template))).collect();
    patterns.sort_by_key(|(_, template)| std::cmp::Reverse(template.count));
    let shown = patterns.len().min(args.limit);
    for (why, template) in patterns.iter().take(args.limit) {
        if args.json { writeln!(out, "{}", pattern_json(*why, template))? } else { pattern(*why, template, share(template.count), out)? }
    }
    out.flush()?;
    eprint_line(&format!(
        "{} Zeilen gelesen. {} ({}) kennt kein Decoder, bei {} ({}) ist nur der Kopf gelesen. {}.",
        show::num(found.lines),
        show::num(strange),
        percent(share(strange)),
        show::num(silent),
        percent(share(silent)),
        if shown < patterns.len() {
            format!("{shown} von {} Mustern gezeigt (--limit)", patterns.len())
        } else {
            plural(shown, "Muster", "Muster")
        }
    ));
    Ok(ExitCode::SUCCESS)
}

/// With one place: rare lines are many patterns.
fn percent(share: f64) -> String {
    format!("{} %", show::decimal(100.0 * share, 1))
}

/// What of the journal nobody understands.
#[derive(Default)]
struct Unparsed {
    /// Lines in all.
    lines: u64,
    /// No decoder knows them.
    strange: Templates,
    /// A decoder knows the program, but read nothing of what it says.
    silent: Templates,
}

fn group(
    journal: &Path,
    first: Seq,
    options: &Options,
    bar: &ProgressBar,
    wanted: impl Fn(Timestamp, ingest::body::SiteId) -> bool,
) -> Result<Unparsed> {
    let mut found = Unparsed::default();
    let mut reader = peek(journal, Seq(first.0.saturating_sub(1)))?;
    while let Some(frames) = reader.next(Duration::ZERO)? {
        for frame in &frames {
            bar.inc(1);
            let received = &frame.frame;
            if !matches!(received.kind, FrameKind::Line | FrameKind::Json) || !wanted(received.received_at, received.site) {
                continue;
            }
            let Some(event) = decode(frame, options) else { continue };
            found.lines += 1;
            let Some(why) = unread(&event) else { continue };
            let app = event.get(fields::PROCESS_NAME).map(|name| name.text().into_owned()).unwrap_or_default();
            let templates = if why == Unread::NoDecoder { &mut found.strange } else { &mut found.silent };
            templates.add(&app, event.message(), received.received_at);
        }
    }
    Ok(found)
}

fn pattern(why: Unread, template: &Template, share: f64, out: &mut dyn Write) -> Result<()> {
    let app = if template.app.is_empty() { "ohne Programm" } else { &template.app };
    let note = match why {
        Unread::NoDecoder => "",
        Unread::NothingRead => "  (nur der Kopf gelesen)",
    };
    writeln!(
        out,
        "{:>10}  {:>7}  {:<20}  {}{note}",
        show::num(template.count),
        percent(share),
        show::safe(app),
        show::safe(&template.text())
    )?;
    writeln!(out, "{:>10}  {:>7}  {:<20}  z. B. {}", "", "", "", show::safe(&template.example))?;
    Ok(())
}

fn pattern_json(why: Unread, template: &Template) -> serde_json::Value {
    json!({
        "count": template.count,
        "app": template.app,
        "template": template.text(),
        "example": template.example,
        "first": template.first.rfc3339(),
        "last": template.last.rfc3339(),
        "why": match why { Unread::NoDecoder => "no_decoder", Unread::NothingRead => "nothing_read" },
    })
}
