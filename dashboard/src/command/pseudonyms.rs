//! `pseudonyms ls|rotate|forget`: the keys under which the event store hides persons. To reveal a value is no command: it
//! takes two persons, and a shell cannot tell one from two.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use ingest::audit::{NewAudit, audit_add};
use ingest::db::{Db, DbError};
use ingest::events::CLASS;
use ingest::frame::Seq;
use ingest::pseudonym::{Addresses, KeyId, Keyring, Plan};
use ingest::time::{Clock, Timestamp};
use serde_json::json;

use crate::cli::PseudonymsCommand;
use crate::config::Config;
use crate::node::{Node, keys_dir};
use crate::show;

pub(super) fn pseudonyms(command: &PseudonymsCommand, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let Some(mut ring) = Keyring::load(&keys_dir(dir)).context("Schlüssel der Pseudonyme öffnen")? else {
        bail!("{} hat keine Schlüssel: Es wurde noch nie pseudonymisiert. Einschalten: pseudonymise.enabled = \"ja\"", dir.display());
    };
    match command {
        PseudonymsCommand::Ls(args) => ls(&ring, args.json, out)?,
        PseudonymsCommand::Rotate => {
            let id = settled(dir, config, clock, &mut ring, |ring, since, now| Ok(ring.add(CLASS, since, now)), "pseudonym.key_rotated")?;
            writeln!(out, "Ab jetzt gilt der Schlüssel {id}.")?;
        }
        PseudonymsCommand::Forget { key } => {
            let id: KeyId = key.parse().with_context(|| format!("„{key}“ ist kein Schlüssel; `wartburg pseudonyms ls` zeigt sie"))?;
            let forget = |ring: &mut Keyring, since, now| {
                ring.forget(id, now)?;
                if ring.keys.iter().all(|row| row.class != CLASS || row.is_forgotten()) {
                    ring.add(CLASS, since, now);
                }
                Ok(id)
            };
            settled(dir, config, clock, &mut ring, forget, "pseudonym.key_forgotten")?;
            writeln!(out, "Der Schlüssel {id} ist vernichtet. Sicherungen der Datei enthalten ihn noch: auch dort löschen.")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Changes the keys where nothing is under way: what the journal holds is hidden with the old one before.
fn settled(
    dir: &Path,
    config: &Config,
    clock: &Clock,
    ring: &mut Keyring,
    change: impl FnOnce(&mut Keyring, Seq, Timestamp) -> Result<KeyId>,
    kind: &'static str,
) -> Result<KeyId> {
    let node = Node::open(dir, config, clock)?;
    node.catch_up()?;
    // Opening may have added a plan.
    if let Some(now) = Keyring::load(&keys_dir(dir))? {
        *ring = now;
    }
    let (since, now) = (node.journal.last().next(), clock.now());
    let id = change(ring, since, now)?;
    note(&node.db, kind, id, since, now)?;
    ring.save()?;
    node.close();
    Ok(id)
}

fn note(db: &Db, kind: &'static str, id: KeyId, since: Seq, now: Timestamp) -> Result<()> {
    let new = NewAudit { actor: "system".into(), kind, object: format!("key:{id}"), detail: json!({ "since": since }) };
    db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}

fn ls(ring: &Keyring, json: bool, out: &mut dyn Write) -> Result<()> {
    for plan in &ring.plans {
        if json {
            let Plan { since, at, on, users, mails, addresses, prefixes } = plan;
            let plan = json!({ "on": on, "since": since, "at": at.rfc3339(), "users": users, "mails": mails, "addresses": addresses, "prefixes": prefixes.len() });
            writeln!(out, "{}", json!({ "plan": plan }))?;
        } else {
            writeln!(out, "ab Nummer {:>12}  {}  {}", show::num(plan.since.0), plan.at.rfc3339(), what(plan))?;
        }
    }
    for row in &ring.keys {
        let forgotten = row.forgotten_at.map(Timestamp::rfc3339);
        if json {
            let key = json!({ "id": row.id, "class": row.class, "since": row.since, "made_at": row.made_at.rfc3339(), "forgotten_at": forgotten });
            writeln!(out, "{}", json!({ "key": key }))?;
        } else {
            let end = forgotten.map(|at| format!(", vernichtet {at}")).unwrap_or_default();
            writeln!(out, "Schlüssel {}  {}, ab Nummer {}, vom {}{end}", row.id, row.class, show::num(row.since.0), row.made_at.rfc3339())?;
        }
    }
    Ok(())
}

/// What a plan hides, in words.
pub(super) fn what(plan: &Plan) -> String {
    let addresses = match plan.addresses {
        Addresses::None => None,
        Addresses::Internal => Some("interne Adressen"),
        Addresses::All => Some("alle Adressen"),
    };
    let parts: Vec<&str> =
        [plan.users.then_some("Konten"), plan.mails.then_some("E-Mail-Adressen"), addresses].into_iter().flatten().collect();
    match (plan.on, parts.is_empty()) {
        (false, _) => "aus".into(),
        (true, true) => "an, aber ohne Auswahl".into(),
        (true, false) => parts.join(", "),
    }
}
