//! `openpgp generate|import|export|ls|add|remove`: the keys for mails of cases. A server reads the own key when it starts, and
//! the contacts' keys at every mail.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use advisory::openpgp::{OwnKey, contact_key_add, contact_key_list, contact_key_remove};
use anyhow::{Context as _, Result, bail};
use ingest::audit::{NewAudit, audit_add};
use ingest::body::{body_list, contact_list};
use ingest::db::{Db, DbError};
use ingest::time::{Clock, Timestamp};
use serde_json::{Value, json};

use crate::cli::OpenpgpCommand;
use crate::config::Config;
use crate::node::{database, keys_dir};
use crate::show;

pub(super) fn openpgp(command: &OpenpgpCommand, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let (keys, now) = (keys_dir(dir), clock.now());
    match command {
        OpenpgpCommand::Generate => settle(&OwnKey::generate(&config.mail.from, now)?, dir, now, out)?,
        OpenpgpCommand::Import { file } => settle(&OwnKey::import(&read(file)?)?, dir, now, out)?,
        OpenpgpCommand::Export => write!(out, "{}", own(&keys)?.public()?)?,
        OpenpgpCommand::Ls(args) => ls(dir, args.json, now, out)?,
        OpenpgpCommand::Add { email, file } => {
            let db = database(dir)?;
            let armored = read(file)?;
            let Some(contact) = contact(&db, email)? else {
                bail!("„{}“ ist die Adresse keiner Ansprechperson. Tragen Sie sie zuerst ein.", show::safe(email));
            };
            let (address, email) = (email.clone(), email.to_lowercase());
            let fingerprint = db.write(move |tx| contact_key_add(tx, contact, &address, &armored, "system", now))?;
            noted(&db, "openpgp.contact_key_added", format!("key:{fingerprint}"), json!({ "contact": contact }), now)?;
            writeln!(out, "Hinterlegt für {}: {fingerprint}. Bitte am Telefon vergleichen.", show::safe(&email))?;
        }
        OpenpgpCommand::Remove { email, fingerprint } => {
            let db = database(dir)?;
            let (to, key) = (email.to_lowercase(), fingerprint.to_uppercase());
            let print = key.clone();
            if !db.write(move |tx| contact_key_remove(tx, &to, &key)).map_err(|error: DbError| error)? {
                bail!("Diesen Schlüssel gibt es dort nicht; `wartburg openpgp ls` zeigt alle.");
            }
            noted(&db, "openpgp.contact_key_removed", format!("key:{print}"), json!({}), now)?;
            writeln!(out, "Entfernt.")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("{} lesen", file.display()))
}

fn own(keys: &Path) -> Result<OwnKey> {
    OwnKey::load(keys)?.context("Es gibt noch keinen eigenen Schlüssel. Erzeugen: wartburg openpgp generate")
}

fn settle(key: &OwnKey, dir: &Path, now: Timestamp, out: &mut dyn Write) -> Result<()> {
    if OwnKey::load(&keys_dir(dir))?.is_some() {
        bail!("Es gibt schon einen eigenen Schlüssel; er wird nicht überschrieben. Wer wechseln will, legt keys/openpgp.key vorher weg.");
    }
    key.save(&keys_dir(dir))?;
    noted(&database(dir)?, "openpgp.own_key", format!("key:{}", key.fingerprint()), json!({}), now)?;
    writeln!(out, "Eingerichtet: {}", key.fingerprint())?;
    writeln!(out, "Ein laufender Server benutzt ihn nach dem nächsten Start. Zum Weitergeben: wartburg openpgp export")?;
    Ok(())
}

fn contact(db: &Db, email: &str) -> Result<Option<ingest::body::ContactId>> {
    let wanted = email.to_lowercase();
    let found = db.read(|c| {
        for body in body_list(c)? {
            if let Some(contact) = contact_list(c, body.id)?.into_iter().find(|contact| contact.email.to_lowercase() == wanted) {
                return Ok::<_, DbError>(Some(contact.id));
            }
        }
        Ok(None)
    });
    Ok(found?)
}

fn noted(db: &Db, kind: &'static str, object: String, detail: Value, now: Timestamp) -> Result<()> {
    let new = NewAudit { actor: "system".into(), kind, object, detail };
    db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}

fn ls(dir: &Path, json: bool, now: Timestamp, out: &mut dyn Write) -> Result<()> {
    let own = OwnKey::load(&keys_dir(dir))?.map(|key| key.fingerprint());
    let keys = database(dir)?.read(contact_key_list)?;
    if json {
        writeln!(out, "{}", json!({ "own": own }))?;
    } else {
        writeln!(out, "Eigener Schlüssel: {}", own.as_deref().unwrap_or("keiner; Mails gehen ohne Signatur hinaus"))?;
    }
    for key in keys {
        let (until, usable) = (key.expires_at(), key.usable(now));
        if json {
            let until = until.map(Timestamp::rfc3339);
            writeln!(out, "{}", json!({ "email": key.email, "fingerprint": key.fingerprint, "usable": usable, "expires_at": until }))?;
            continue;
        }
        let until = until.map(|at| format!(", bis {}", show::stamp_seconds(at))).unwrap_or_default();
        let state = if usable { "gültig" } else { "NICHT MEHR GÜLTIG: abgelaufen oder widerrufen" };
        writeln!(out, "{}  {}  {state}{until}", key.fingerprint, show::safe(&key.email))?;
    }
    Ok(())
}
