//! `store ls|verify|rebuild|hold|deletions` (`forget` and the flow store's part are beside it): the event store's days. What only looks takes no lock. What changes something is
//! asked for by a row in the database, and done by the server that holds the directory, or by one opened for it here.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ingest::db::{Db, DbError};
use ingest::events::{
    EventStore, HOLD_SEQS_MAX, HOLDS_MAX, NewHold, PartitionInfo, TaskState, deletion_list, hold_add, hold_in_force, hold_list,
    hold_release, task_add, task_list,
};
use ingest::flows::{FlowStore, PART};
use ingest::frame::Seq;
use ingest::query::Query;
use ingest::time::Clock;
use serde_json::json;

use super::search::span;
use super::store_flows as flows;
use super::{SOME_FAILED, eprint_line, plural, progress_bar};
use crate::cli::{HoldCommand, StoreCommand, StoreDayArgs};
use crate::config::Config;
use crate::node::{Node, database, held_by};
use crate::show;

/// How often a running rebuild is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn store(command: &StoreCommand, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    if !dir.join("wartburg.db").exists() {
        bail!("{} ist kein Datenverzeichnis. Mit --data eines nennen.", dir.display());
    }
    match command {
        StoreCommand::Ls(args) => {
            let code = ls(args.json, look(dir)?.as_ref(), out)?;
            flows::ls(args.json, flows::look(dir)?.as_ref(), out)?;
            Ok(code)
        }
        StoreCommand::Verify(args) => verify(args, look(dir)?.as_ref(), flows::look(dir)?.as_ref(), &database(dir)?, out),
        StoreCommand::Rebuild(args) => rebuild(args, dir, config, clock, out),
        StoreCommand::Hold { command } => hold(command, &database(dir)?, clock, out),
        StoreCommand::Forget(args) => super::forget::forget(args, dir, config, clock, out),
        StoreCommand::Deletions(args) => deletions(args.json, &database(dir)?, out),
    }
}

/// The store, looked at: nothing is decoded, nothing written.
pub(super) fn look(dir: &Path) -> Result<Arc<EventStore>> {
    EventStore::open(&dir.join("events"), |_, _| None).context("Ereignisspeicher öffnen")
}

fn ls(json: bool, store: &EventStore, out: &mut dyn Write) -> Result<ExitCode> {
    let all = store.partitions();
    for part in &all {
        if json {
            let mut object = json!(part);
            if let Some(object) = object.as_object_mut() {
                object.insert("bytes_per_event".into(), json!(part.bytes.checked_div(part.documents)));
            }
            writeln!(out, "{object}")?;
            continue;
        }
        let seqs = part
            .first
            .zip(part.last)
            .map_or_else(|| "–".into(), |(first, last)| format!("{} bis {}", show::num(first.0), show::num(last.0)));
        let per_event = part.bytes.checked_div(part.documents).map_or_else(|| "–".into(), |bytes| format!("{bytes} B/Ereignis"));
        writeln!(
            out,
            "{:<28}  {:>12} {:<10}  {:>10}  {per_event:>15}  {:>3} Segmente  {seqs}  {}",
            part.name,
            show::num(part.documents),
            if part.held > 0 { "gesperrte" } else { "Ereignisse" },
            show::bytes(part.bytes),
            part.segments,
            state(part)
        )?;
    }
    if !json {
        let (documents, bytes) = all.iter().fold((0, 0), |(documents, bytes), part| (documents + part.documents, bytes + part.bytes));
        let held: u64 = all.iter().map(|part| part.held).sum();
        let held = if held > 0 { format!(", davon {} gesperrt über ihre Frist hinaus", show::num(held)) } else { String::new() };
        eprint_line(&format!("{}, {} Ereignisse{held}, {}", plural(all.len(), "Tag", "Tage"), show::num(documents), show::bytes(bytes)));
    }
    Ok(ExitCode::SUCCESS)
}

fn state(part: &PartitionInfo) -> &'static str {
    match (part.damaged, part.sealed, part.class.as_str()) {
        (true, _, _) => "BESCHÄDIGT",
        (_, _, ingest::events::HOLD) => "gesperrt",
        (_, true, _) => "versiegelt",
        _ => "offen",
    }
}

fn chosen(args: &StoreDayArgs, part: &PartitionInfo) -> bool {
    args.class.as_ref().is_none_or(|class| *class == part.class) && args.day.as_ref().is_none_or(|day| *day == part.day)
}

fn verify(args: &StoreDayArgs, store: &EventStore, flow_store: &FlowStore, db: &Db, out: &mut dyn Write) -> Result<ExitCode> {
    let mut bad = 0;
    let all: Vec<PartitionInfo> = store.partitions().into_iter().filter(|part| chosen(args, part)).collect();
    let bar = progress_bar(all.len() as u64, "Tage");
    for part in &all {
        let faults = match store.verify(&part.name) {
            Ok(faults) => faults,
            Err(error) => vec![error.to_string()],
        };
        bar.inc(1);
        bad += usize::from(!faults.is_empty());
        if args.json {
            writeln!(out, "{}", json!({ "name": part.name, "sealed": part.sealed, "sound": faults.is_empty(), "faults": faults }))?;
        } else {
            for fault in faults {
                writeln!(out, "{}: {}", part.name, show::safe(&fault))?;
            }
        }
    }
    bar.finish_and_clear();
    let (flow_days, flow_bad) = flows::verify(args, flow_store, out)?;
    bad += flow_bad;
    let forgotten = super::forget::verify(store, db, args.json, out)?;
    if !args.json {
        let checked = plural(all.len() + flow_days, "Tag", "Tage");
        match bad {
            0 if !forgotten => {}
            0 => writeln!(out, "{checked} geprüft, alles in Ordnung.")?,
            bad => writeln!(
                out,
                "{checked} geprüft, {bad} nicht in Ordnung. `wartburg store rebuild --class … --day …` baut einen Tag aus dem Journal neu auf."
            )?,
        }
    }
    Ok(if bad == 0 && forgotten { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

fn rebuild(args: &StoreDayArgs, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let named = args.class.is_some() || args.day.is_some();
    // Only the server knows what it found damaged while it ran; a look from outside finds what is wrong with the files.
    let store = look(dir)?;
    let faulty = |part: &PartitionInfo| part.damaged || store.verify(&part.name).map_or(true, |faults| !faults.is_empty());
    let chosen = |part: &PartitionInfo| if named { chosen(args, part) } else { faulty(part) };
    let mut names: Vec<String> = store.partitions().into_iter().filter(chosen).map(|part| part.name).collect();
    let flow_store = flows::look(dir)?;
    // What is missing of the flows is looked for in all of the journal, whichever day was named.
    let all_flows = args.class.as_deref() == Some(PART) && args.day.is_none();
    let wanted = if named { all_flows || flows::is_chosen(args, &flow_store) } else { flows::faulty(&flow_store) };
    if wanted {
        names.push(PART.to_owned());
    }
    drop(flow_store);
    if names.is_empty() {
        match named {
            true => bail!("Einen solchen Tag gibt es nicht; `wartburg store ls` zeigt sie."),
            false => eprint_line("Kein Tag ist beschädigt."),
        }
        return Ok(ExitCode::SUCCESS);
    }
    drop(store);
    let node = match held_by(dir) {
        Some(_) => None,
        None => Some(Node::open(dir, config, clock)?),
    };
    let db = node.as_ref().map_or_else(|| database(dir), |node| Ok(node.db.clone()))?;
    let mut failed = false;
    for name in names {
        let (part, now) = (name.clone(), clock.now());
        let id = db.write(move |tx| task_add(tx, &part, "shell", now)).map_err(anyhow::Error::from)?;
        failed |= !watched(&db, &id, &name, dir, node.is_some(), args.json, out)?;
    }
    if let Some(node) = node {
        node.close();
    }
    Ok(if failed { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

/// Waits for a rebuild and says how far it is; whether it went well.
fn watched(db: &Db, id: &str, name: &str, dir: &Path, alone: bool, json: bool, out: &mut dyn Write) -> Result<bool> {
    let bar = progress_bar(0, "Einträge des Journals");
    loop {
        let state = db.read(task_list)?.into_iter().find(|task| task.id == id).map(|task| task.state);
        match state.context("Der Auftrag ist verschwunden")? {
            TaskState::Done(rebuilt) => {
                bar.finish_and_clear();
                if json {
                    writeln!(out, "{}", json!(rebuilt))?;
                    return Ok(true);
                }
                let what = if name == PART { "Flüsse" } else { "Ereignisse" };
                writeln!(out, "{name}: {} {what} neu aufgebaut.", show::num(rebuilt.documents))?;
                if let Some(first) = rebuilt.missing_before {
                    let (lost, old) = match name == PART {
                        true => ("Was davor kam", "Das Beschädigte liegt unter flows/quarantine."),
                        false => ("Was davor von diesem Tag kam", "Der alte Stand liegt unter events/.aside."),
                    };
                    writeln!(out, "  Das Journal beginnt erst mit Nummer {}: {lost}, fehlt. {old}", show::num(first.0))?;
                }
                return Ok(true);
            }
            TaskState::Failed(error) => {
                bar.finish_and_clear();
                if json {
                    writeln!(out, "{}", json!({ "name": name, "error": error }))?;
                } else {
                    writeln!(out, "{name}: nicht neu aufgebaut: {}", show::safe(&error))?;
                }
                return Ok(false);
            }
            TaskState::Running(rebuilt) => {
                bar.set_length(rebuilt.until.0);
                bar.set_position(rebuilt.at.0);
            }
            TaskState::Asked => {}
        }
        if !alone && held_by(dir).is_none() {
            bail!("Der Server hat sich beendet; nach seinem nächsten Start geht es weiter.");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn hold(command: &HoldCommand, db: &Db, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let now = clock.now();
    match command {
        HoldCommand::Add { query, span: times, seqs, reason, incident, by } => {
            if query.is_none() && seqs.is_empty() {
                bail!("Was soll gesperrt werden? Eine Anfrage nennen, oder mit --seqs einzelne Ereignisse.");
            }
            if reason.trim().is_empty() {
                bail!("Ein Grund gehört dazu: --reason \"Beweissicherung, Az. …\"");
            }
            if seqs.len() > HOLD_SEQS_MAX {
                bail!("Höchstens {} einzelne Ereignisse; mehr mit einer Anfrage sperren.", show::num(HOLD_SEQS_MAX as u64));
            }
            if db.read(hold_in_force)?.len() >= HOLDS_MAX {
                bail!("Es gelten schon {HOLDS_MAX} Sperren; erst welche aufheben.");
            }
            let (from, to) = span(times, now)?;
            if let Some(text) = query.as_deref().filter(|text| *text != "*") {
                Query::parse_fixed(text).map_err(|error| anyhow::anyhow!("Anfrage: {error}"))?;
            }
            let new = NewHold {
                actor: actor(db, by.as_deref(), "das Sperren")?,
                reason: reason.clone(),
                incident: incident.clone(),
                query: query.clone(),
                from,
                to,
                seqs: seqs.iter().copied().map(Seq).collect(),
            };
            let id = db.write(move |tx| hold_add(tx, &new, now)).map_err(|error: DbError| anyhow::Error::from(error))?;
            writeln!(out, "Gesperrt: {id}")?;
        }
        HoldCommand::Ls(args) => {
            for hold in db.read(hold_list)? {
                let times = (hold.from.map(ingest::time::Timestamp::rfc3339), hold.to.map(ingest::time::Timestamp::rfc3339));
                let released = hold.released_at.map(ingest::time::Timestamp::rfc3339);
                let query = hold.query.as_ref().map(ToString::to_string);
                if args.json {
                    let object = json!({
                        "id": hold.id, "at": hold.at.rfc3339(), "actor": hold.actor, "reason": hold.reason, "incident": hold.incident,
                        "query": query, "from": times.0, "to": times.1, "events": hold.seqs.len(), "released_at": released,
                    });
                    writeln!(out, "{object}")?;
                    continue;
                }
                let what = query.unwrap_or_else(|| plural(hold.seqs.len(), "Ereignis", "Ereignisse"));
                let end = released.map(|at| format!("  aufgehoben {at}")).unwrap_or_default();
                writeln!(out, "{}  {}  {}  ({}){end}", hold.id, hold.at.rfc3339(), show::safe(&what), show::safe(&hold.reason))?;
            }
        }
        HoldCommand::Release { id, by } => {
            let (asked, actor) = (id.clone(), actor(db, by.as_deref(), "das Aufheben")?);
            let released =
                db.write(move |tx| hold_release(tx, &asked, &actor, now)).map_err(|error: DbError| anyhow::Error::from(error))?;
            if !released {
                bail!("Eine Sperre {} gilt nicht; `wartburg store hold ls` zeigt sie.", show::safe(id));
            }
            writeln!(out, "Aufgehoben: {id}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Who answers for it: the account that is named, else whoever may write the data directory.
fn actor(db: &Db, by: Option<&str>, what: &str) -> Result<String> {
    by.map_or_else(|| Ok("shell".to_owned()), |login| Ok(super::forget::authorised(db, login, what)?.id.to_string()))
}

fn deletions(json: bool, db: &Db, out: &mut dyn Write) -> Result<ExitCode> {
    for row in db.read(deletion_list)? {
        if json {
            writeln!(out, "{}", json!(row))?;
            continue;
        }
        let why = match row.why.as_str() {
            "retention" => "Aufbewahrung abgelaufen",
            "retention, damaged" => "Aufbewahrung abgelaufen (war beschädigt)",
            "hold released" => "Sperre aufgehoben",
            other => other,
        };
        let held = if row.held > 0 { format!(", {} gesperrt und behalten", show::num(row.held)) } else { String::new() };
        writeln!(
            out,
            "{}  {}  {} Ereignisse{held}, {}  {why}",
            row.at.rfc3339(),
            row.part,
            show::num(row.documents),
            show::bytes(row.bytes)
        )?;
    }
    flows::deletions(json, db, out)?;
    super::forget::list(json, db, out)?;
    Ok(ExitCode::SUCCESS)
}
