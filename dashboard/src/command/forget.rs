//! `store forget`: the events of one person, deleted for good with a record. An account answers for it by name; who may write
//! the data directory may do it, so the password is not asked for. The server that holds the directory does it, or one opened
//! for it here.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use detect::role::Role;
use ingest::db::{Db, DbError};
use ingest::events::{EventStore, Forget, ForgetState, Forgotten, NewForget, Refusal, forget_add, forget_list};
use ingest::query::{Query, Reach};
use ingest::time::{Clock, Timestamp};
use serde_json::json;

use super::search::span;
use super::{SOME_FAILED, plural, progress_bar};
use crate::cli::ForgetArgs;
use crate::config::Config;
use crate::node::{Node, database, held_by};
use crate::show;
use crate::user::{User, login_normal, user_list};

/// How often a running order is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn forget(args: &ForgetArgs, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let now = clock.now();
    let text = match (&args.query, &args.user) {
        (Some(query), _) => query.clone(),
        (None, Some(user)) => format!("user.name:\"{}\"", user.replace('\\', "\\\\").replace('"', "\\\"")),
        (None, None) => bail!("Was soll gelöscht werden? Eine Anfrage nennen, oder mit --user ein Konto."),
    };
    let query = Query::parse_fixed(&text).map_err(|error| anyhow::anyhow!("Anfrage: {error}"))?;
    if args.reason.trim().is_empty() {
        bail!("Ein Grund gehört dazu: --reason \"Art. 17 DSGVO, Az. …\"");
    }
    let (from, to) = span(&args.span, now)?;
    bounded(&query, from.is_some() && to.is_some())?;
    let by = authorised(&database(dir)?, &args.by, "das Löschen")?;
    if !args.yes {
        bail!(
            "Das löscht endgültig, was `wartburg search '{}'` findet. Erst dort ansehen, dann mit --yes wiederholen.",
            show::safe(&query.to_string())
        );
    }
    let node = match held_by(dir) {
        Some(_) => None,
        None => {
            let node = Node::open(dir, config, clock)?;
            // What the journal has and the store has not yet is to be forgotten too.
            node.catch_up()?;
            Some(node)
        }
    };
    let db = node.as_ref().map_or_else(|| database(dir), |node| Ok(node.db.clone()))?;
    let new = NewForget { actor: by.id.to_string(), reason: args.reason.clone(), query: text, from, to };
    let id = db.write(move |tx| forget_add(tx, &new, now)).map_err(|error: DbError| anyhow::Error::from(error))?;
    let done = watched(&db, &id, dir, node.is_some(), args.json, out);
    if let Some(node) = node {
        node.close();
    }
    Ok(if done? { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

/// Refuses what would take everything, or all but something: that is retention's affair, or a slip.
fn bounded(query: &Query, in_span: bool) -> Result<()> {
    match query.reach() {
        Reach::Everything => bail!("Alles zu löschen ist Sache der Aufbewahrung (retention.default_days), nicht dieses Befehls."),
        Reach::Open if !in_span => bail!(
            "„{}“ nennt nichts, was ein Ereignis haben muss, und träfe fast alles. Einen Wert nennen, oder mit --from und --to die Zeit eingrenzen.",
            show::safe(&query.to_string())
        ),
        Reach::Open | Reach::Named => Ok(()),
    }
}

/// The account that answers for `what`, of the lead or the administration.
pub(super) fn authorised(db: &Db, login: &str, what: &str) -> Result<User> {
    let wanted = login_normal(login);
    let user = db.read(user_list)?.into_iter().find(|user| login_normal(&user.login) == wanted);
    let user = user.with_context(|| format!("Ein Konto {} gibt es nicht.", show::safe(login)))?;
    if user.disabled || !matches!(user.role, Role::Lead | Role::Admin) {
        bail!("{} darf {what} nicht anordnen: Das dürfen nur Leitung und Administration.", show::safe(login));
    }
    Ok(user)
}

/// Waits for the order's end; whether it was done.
fn watched(db: &Db, id: &str, dir: &Path, alone: bool, json: bool, out: &mut dyn Write) -> Result<bool> {
    let bar = progress_bar(0, "");
    loop {
        let order = db.read(forget_list)?.into_iter().find(|order| order.id == id).context("Der Auftrag ist verschwunden")?;
        match &order.state {
            ForgetState::Open(Some(why)) => {
                bar.finish_and_clear();
                bail!("Noch nicht zu Ende, es wird weiter versucht: {}", show::safe(why));
            }
            ForgetState::Open(None) => {}
            ForgetState::Done(_) | ForgetState::Refused(_) => {
                bar.finish_and_clear();
                print(&order, json, out)?;
                return Ok(matches!(order.state, ForgetState::Done(_)));
            }
        }
        if !alone && held_by(dir).is_none() {
            bail!("Der Server hat sich beendet; nach seinem nächsten Start geht es weiter.");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// All orders, for `store deletions`.
pub(super) fn list(json: bool, db: &Db, out: &mut dyn Write) -> Result<()> {
    db.read(forget_list)?.iter().try_for_each(|order| print(order, json, out))
}

fn print(order: &Forget, json: bool, out: &mut dyn Write) -> Result<()> {
    let (state, record, why) = match &order.state {
        ForgetState::Open(why) => ("open", None, why.clone()),
        ForgetState::Done(record) => ("done", Some(record), None),
        ForgetState::Refused(why) => ("refused", None, Some(refusal_words(why))),
    };
    if json {
        let object = json!({
            "id": order.id, "at": order.at.rfc3339(), "by": order.actor, "reason": order.reason, "state": state, "why": why,
            "done_at": order.done_at.map(Timestamp::rfc3339), "events": record.map(|record| record.events),
            "days": record.map(|record| &record.days), "digest": record.map(|record| &record.digest),
            "until": record.map(|record| record.until), "aside": record.map(|record| &record.aside),
            "journal_until": record.and_then(|record| record.journal_until).map(Timestamp::rfc3339),
        });
        writeln!(out, "{object}")?;
        return Ok(());
    }
    let head = format!("{}  Löschung {}  ({})", order.at.rfc3339(), order.id, show::safe(&order.reason));
    match record {
        Some(record) => print_record(&head, record, out),
        None if state == "open" => {
            Ok(writeln!(out, "{head}  läuft noch{}", why.map(|why| format!(": {}", show::safe(&why))).unwrap_or_default())?)
        }
        None => Ok(writeln!(out, "{head}  abgelehnt, nichts gelöscht: {}", show::safe(&why.unwrap_or_default()))?),
    }
}

fn refusal_words(why: &Refusal) -> String {
    match why {
        Refusal::Held { events, days } => {
            format!(
                "{} davon gesperrt ({}). Erst die Sperre aufheben: `wartburg store hold ls`",
                plural(usize::try_from(*events).unwrap_or(usize::MAX), "Ereignis ist", "Ereignisse sind"),
                days.join(", ")
            )
        }
        Refusal::Damaged(name) => {
            format!("{name} ist beschädigt; niemand weiß, was darin steht. Erst reparieren: `wartburg store rebuild`")
        }
        Refusal::TooMany(max) => format!("Mehr als {} Ereignisse. Die Anfrage enger fassen.", show::num(*max as u64)),
        Refusal::Failed(error) => error.clone(),
    }
}

fn print_record(head: &str, record: &Forgotten, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "{head}  {} aus {}", plural_events(record.events), plural(record.days.len(), "Tag", "Tagen"))?;
    for (day, events) in &record.days {
        writeln!(out, "  {day}  {}", show::num(*events))?;
    }
    if record.events > 0 {
        writeln!(out, "  Prüfsumme {}", record.digest)?;
    }
    if let Some(until) = record.journal_until {
        writeln!(out, "  Das Journal behält seine Kopien etwa bis {}.", show::stamp(until))?;
    }
    if !record.aside.is_empty() {
        writeln!(out, "  Von Hand zu löschen, weil ältere Stände dieser Tage: events/.aside/{}", record.aside.join(", events/.aside/"))?;
    }
    Ok(())
}

fn plural_events(events: u64) -> String {
    plural(usize::try_from(events).unwrap_or(usize::MAX), "Ereignis", "Ereignisse")
}

/// Holds what was forgotten against the store; whether all of it is still gone.
pub(super) fn verify(store: &EventStore, db: &Db, json: bool, out: &mut dyn Write) -> Result<bool> {
    let orders = db.read(forget_list)?;
    let open = orders.iter().filter(|order| matches!(order.state, ForgetState::Open(_))).count();
    let records: Vec<(&str, &Forgotten)> = orders
        .iter()
        .filter_map(|order| match &order.state {
            ForgetState::Done(record) if record.events > 0 => Some((order.id.as_str(), record)),
            _ => None,
        })
        .collect();
    // What is being forgotten at this moment is still there.
    let faults = if open > 0 { Vec::new() } else { store.forgotten_verify(records.iter().copied()) };
    if orders.is_empty() && faults.is_empty() {
        return Ok(true);
    }
    if json {
        let object = json!({ "part": "forgotten", "records": records.len(), "open": open, "sound": faults.is_empty(), "faults": faults });
        writeln!(out, "{object}")?;
        return Ok(faults.is_empty());
    }
    for fault in &faults {
        writeln!(out, "Löschungen: {}", show::safe(fault))?;
    }
    match (faults.is_empty(), open) {
        (true, 0) => writeln!(out, "{}: nichts davon ist zurückgekehrt.", plural(records.len(), "Löschung geprüft", "Löschungen geprüft"))?,
        (true, open) => {
            writeln!(out, "{}: erst danach lassen sie sich prüfen.", plural(open, "Löschung läuft noch", "Löschungen laufen noch"))?
        }
        (false, _) => writeln!(out, "Mindestens eine Löschung ist NICHT mehr in Ordnung.")?,
    }
    Ok(faults.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_everything_is_refused() {
        let judged = |text: &str, in_span: bool| bounded(&Query::parse_fixed(text).unwrap(), in_span).is_ok();
        for (text, alone, in_span) in [
            ("", false, false),
            ("*", false, false),
            ("(*)", false, false),
            ("@timestamp:*", false, false),
            ("NOT x", false, true),
            ("@timestamp:>=2026-01-01", false, true),
            ("user.name:\"e.muster\"", true, true),
        ] {
            assert_eq!((judged(text, false), judged(text, true)), (alone, in_span), "{text}");
        }
    }
}
