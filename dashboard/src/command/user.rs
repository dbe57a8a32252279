//! `user add`, `user invite`, `user reset`: accounts from the command line. Whoever may write the data directory may do
//! all of it; the audit log names him `system`.

use std::io::{BufRead as _, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use detect::role::Role;
use ingest::audit::{NewAudit, audit_add};
use ingest::body::{BodyId, body_list};
use ingest::db::Db;
use ingest::time::Clock;

use super::eprint_line;
use crate::account::{AccountError, Change, account_add, account_reset_by};
use crate::cli::UserCommand;
use crate::config::Config;
use crate::invitation::invitation_url;
use crate::user::{User, UserError, UserId, login_normal, password_hash, user_add, user_list};

/// Who acts, in the audit log.
const ACTOR: &str = "system";

pub(super) fn user(command: &UserCommand, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    std::fs::create_dir_all(dir)?;
    let db = crate::node::database(dir)?;
    crate::node::sites_apply(&db, &config.sites, clock.now())?;
    let now = clock.now();
    match command {
        UserCommand::Add { name, role, body, full_name } => {
            let (role, body) = (role_of(role)?, body_of(&db, body.as_deref())?);
            eprint_line("Kennwort (mindestens 10 Zeichen), dann Eingabetaste:");
            let mut password = String::new();
            std::io::stdin().lock().read_line(&mut password)?;
            let password = password.trim_end_matches(['\n', '\r']);
            if role == Role::Provider && body.is_none() {
                bail!("{}", UserError::NoBody(role));
            }
            let full_name = full_name.clone().unwrap_or_else(|| name.clone());
            let user = User { id: UserId::new(now), login: name.clone(), name: full_name, role, body, disabled: false };
            crate::proof::password::check(password, &user)?;
            let hash = password_hash(password)?;
            let detail = serde_json::json!({ "login": user.login, "role": role.as_str(), "body": body.map(|body| body.to_string()) });
            let row = NewAudit { actor: ACTOR.into(), kind: "user.added", object: format!("user:{}", user.id), detail };
            db.write(move |tx| {
                user_add(tx, &user, &hash, now)?;
                audit_add(tx, now, &row).map(drop).map_err(UserError::from)
            })?;
            writeln!(out, "Konto {name} ({}) angelegt.", role.as_str())?;
        }
        UserCommand::Invite { login, name, role, body } => {
            let change = Change { name: name.clone(), role: role_of(role)?, body: body_of(&db, body.as_deref())?, provider: None };
            let wanted = login.clone();
            let added = db.write(move |tx| account_add(tx, ACTOR, &wanted, &change, now));
            let (_, secret) = added.map_err(|error| told(login, error))?;
            eprint_line("Der Link gilt 48 Stunden und einmal. Geben Sie ihn der Person auf einem sicheren Weg:");
            writeln!(out, "{}", invitation_url(&config.web.base_url, &secret))?;
        }
        UserCommand::Reset { login } => {
            let wanted = login_normal(login);
            let found = db.read(user_list)?.into_iter().find(|user| user.login == wanted);
            let user = found.with_context(|| format!("Das Konto „{login}“ gibt es nicht."))?;
            if user.disabled {
                bail!("Das Konto „{login}“ ist gesperrt. Heben Sie zuerst die Sperre auf.");
            }
            let secret = db.write(move |tx| account_reset_by(tx, ACTOR, user.id, now)).map_err(|error| told(login, error))?;
            eprint_line("Das alte Kennwort gilt nicht mehr. Der Link gilt 48 Stunden und einmal:");
            writeln!(out, "{}", invitation_url(&config.web.base_url, &secret))?;
        }
    }
    db.close();
    Ok(ExitCode::SUCCESS)
}

fn told(login: &str, error: AccountError) -> anyhow::Error {
    match error {
        AccountError::Taken => anyhow::anyhow!("Den Anmeldenamen „{login}“ gibt es schon."),
        AccountError::NoTenant => anyhow::anyhow!("Zu dieser Rolle gehört eine Stelle: --body NAME"),
        other => anyhow::Error::new(other),
    }
}

fn role_of(text: &str) -> Result<Role> {
    let Some(role) = Role::parse(text) else {
        let roles: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        bail!("Die Rolle „{text}“ gibt es nicht. Möglich: {}", roles.join(", "));
    };
    Ok(role)
}

fn body_of(db: &Db, wanted: Option<&str>) -> Result<Option<BodyId>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let found = db.read(body_list)?.into_iter().find(|body| body.name == wanted);
    Ok(Some(found.with_context(|| format!("Die Stelle „{wanted}“ gibt es nicht."))?.id))
}
