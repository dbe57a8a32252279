//! `playbooks import`: a playbook of others as one of ours, with what of it was not taken over.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use detect::playbook::cacao::{CACAO_BYTES_MAX, CacaoError, Choice, cacao_read, cacao_yaml};
use detect::playbook::playbook_parse;

use super::eprint_line;
use crate::cli::PlaybooksCommand;
use crate::show;

pub(super) fn playbooks(command: &PlaybooksCommand, out: &mut dyn Write) -> Result<ExitCode> {
    match command {
        PlaybooksCommand::Import { file, name, rule, rsit } => {
            let choice = Choice { name: name.clone(), rules: rule.clone(), rsit: rsit.clone() };
            import(file, &choice, out)
        }
    }
}

fn import(file: &Path, choice: &Choice, out: &mut dyn Write) -> Result<ExitCode> {
    let shown = show::safe(&file.display().to_string());
    let mut text = String::new();
    // One byte more than may be, so that what is too large is seen to be.
    let opened = File::open(file).with_context(|| format!("{shown} öffnen"))?;
    opened.take(CACAO_BYTES_MAX + 1).read_to_string(&mut text).with_context(|| format!("{shown} lesen"))?;
    let imported = cacao_read(&text, choice).map_err(|error| anyhow::anyhow!("{shown}: {}", unreadable(&error)))?;
    let yaml = cacao_yaml(&imported);
    // What is written must be what the program reads: a name or class that it does not take is told now.
    if let Err(errors) = playbook_parse(&shown, &yaml) {
        bail!("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    for note in &imported.notes {
        eprint_line(&format!("Hinweis: {}", show::safe(note)));
    }
    write!(out, "{yaml}")?;
    Ok(ExitCode::SUCCESS)
}

/// Why a file was not taken, and what is wanted.
fn unreadable(error: &CacaoError) -> String {
    match error {
        CacaoError::TooLarge => format!("größer als {}", show::bytes(CACAO_BYTES_MAX)),
        CacaoError::Json(error) => format!("kein lesbares JSON ({})", show::safe(error)),
        CacaoError::Key { key, value, wanted } => format!("{key}: „{}“ geht nicht, verlangt ist {wanted}", show::safe(value)),
        CacaoError::Steps(steps) => format!("der Ablauf hat {steps} Schritte; gelesen werden höchstens 500"),
        CacaoError::Depth => "mehr als 16 Bedingungen stehen ineinander".to_owned(),
        CacaoError::Empty => "im Ablauf steht kein Schritt, den jemand tun könnte".to_owned(),
    }
}
