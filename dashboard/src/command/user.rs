//! `user add`: accounts from the command line.

use std::io::{BufRead as _, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use detect::role::Role;
use ingest::body::body_list;
use ingest::time::Clock;

use super::eprint_line;
use crate::cli::UserCommand;
use crate::config::Config;
use crate::user::{User, UserId, password_hash, user_add};

pub(super) fn user(command: &UserCommand, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let UserCommand::Add { name, role, body, full_name } = command;
    let Some(role) = Role::parse(role) else {
        let roles: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
        bail!("Die Rolle „{role}“ gibt es nicht. Möglich: {}", roles.join(", "));
    };
    std::fs::create_dir_all(dir)?;
    let db = crate::node::database(dir)?;
    crate::node::sites_apply(&db, &config.sites, clock.now())?;
    let body = match body {
        None => None,
        Some(wanted) => {
            let found = db.read(body_list)?.into_iter().find(|body| body.name == *wanted);
            Some(found.with_context(|| format!("Die Stelle „{wanted}“ gibt es nicht."))?.id)
        }
    };
    eprint_line("Kennwort (mindestens 10 Zeichen), dann Eingabetaste:");
    let mut password = String::new();
    std::io::stdin().lock().read_line(&mut password)?;
    let password = password.trim_end_matches(['\n', '\r']);
    let now = clock.now();
    let full_name = full_name.clone().unwrap_or_else(|| name.clone());
    let user = User { id: UserId::new(now), login: name.clone(), name: full_name, role, body, disabled: false };
    crate::proof::password::check(password, &user)?;
    let hash = password_hash(password)?;
    db.write(move |tx| user_add(tx, &user, &hash, now))?;
    db.close();
    writeln!(out, "Konto {name} ({}) angelegt.", role.as_str())?;
    Ok(ExitCode::SUCCESS)
}
