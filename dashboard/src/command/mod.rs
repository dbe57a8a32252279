//! What the commands do, apart from `serve` and `demo`. Results go to standard output, everything else to standard
//! error; `--json` prints one object a line and nothing besides.

mod decode;
mod decode_flow;
mod doctor;
mod export;
mod flows;
mod forget;
mod import;
mod incidents;
mod indicators;
mod journal;
mod list;
mod openpgp;
mod playbooks;
mod pseudonyms;
mod rules;
mod rules_try;
mod search;
mod sources;
mod store;
mod store_flows;
mod table;
mod tail;
mod user;
mod verify;

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ingest::event::Event;
use ingest::time::Clock;
use serde_json::{Map, Value};

use crate::cli::{AdvisoryCommand, Cli, Command};
use crate::config::{self, Config};
use crate::node::View;
use crate::{show, words};

use decode::decode_files;
use doctor::doctor;
use flows::flows;
use import::import;
use incidents::incidents;
use indicators::indicators;
use journal::journal;
use list::alerts;
use openpgp::openpgp;
use playbooks::playbooks;
use pseudonyms::pseudonyms;
use rules::{rules, validate};
use search::search;
use sources::sources;
use store::store;
use tail::tail;
use user::user;
use verify::verify;

/// Some input failed; the rest was done.
const SOME_FAILED: u8 = 1;
/// The configuration is wrong.
const CONFIG_WRONG: u8 = 2;

/// Runs a command that is neither `serve` nor `demo`.
///
/// # Errors
/// What kept it from being done at all, in words for people.
pub fn run(cli: &Cli, config: &Config, clock: &Clock) -> Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let code = match &cli.command {
        Command::Serve(_) | Command::Demo(_) => ExitCode::SUCCESS,
        Command::Import(args) => import(args, &data_dir(cli, config), config, clock, &mut out)?,
        Command::Decode(args) => decode_files(args, config, clock, &mut out)?,
        Command::Search(args) => search(args, &View::open(&data_dir(cli, config), config, clock)?, clock.now(), &mut out)?,
        Command::Tail(args) => tail(args, &data_dir(cli, config), config, clock, &mut out)?,
        Command::Flows(args) => flows(args, &View::open(&data_dir(cli, config), config, clock)?, clock.now(), &mut out)?,
        Command::Incidents { list, command } => incidents(list, command.as_ref(), cli, config, clock, &mut out)?,
        Command::Alerts(args) => alerts(args.json, &View::open(&data_dir(cli, config), config, clock)?, &mut out)?,
        Command::Sources { list, command } => sources(list, command.as_ref(), cli, config, clock, &mut out)?,
        Command::Doctor(args) => doctor(args.json, &data_dir(cli, config), config, clock.now(), &mut out)?,
        Command::Indicators { command } => indicators(command, &data_dir(cli, config), clock, &mut out)?,
        Command::Rules { command } => rules(command, cli, config, clock, &mut out)?,
        Command::Playbooks { command } => playbooks(command, &mut out)?,
        Command::Advisory { command: AdvisoryCommand::Validate { files, json } } => validate(files, *json, &mut out)?,
        Command::Pseudonyms { command } => pseudonyms(command, &data_dir(cli, config), config, clock, &mut out)?,
        Command::Openpgp { command } => openpgp(command, &data_dir(cli, config), config, clock, &mut out)?,
        Command::User { command } => user(command, &data_dir(cli, config), config, clock, &mut out)?,
        Command::Journal { command } => journal(command, &data_dir(cli, config), &mut out)?,
        Command::Store { command } => store(command, &data_dir(cli, config), config, clock, &mut out)?,
        Command::Verify(args) => verify(args, &data_dir(cli, config), &mut out)?,
        Command::CheckConfig { example: true } => {
            write!(out, "{}", config::example())?;
            ExitCode::SUCCESS
        }
        Command::CheckConfig { example: false } => {
            let Some(path) = &cli.config else { bail!("Welche Datei? Zum Beispiel: wartburg check-config --config wartburg.toml") };
            let mut wrong = geo_faults(path, config);
            wrong.extend(crate::node::detectors(&data_dir(cli, config), config).err().map(|error| format!("{error:#}")));
            if wrong.is_empty() {
                writeln!(out, "{}: in Ordnung.", path.display())?;
                ExitCode::SUCCESS
            } else {
                eprint_list("Die Konfiguration ist nicht in Ordnung:", &wrong);
                ExitCode::from(CONFIG_WRONG)
            }
        }
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut crate::cli::command(), "wartburg", &mut out);
            ExitCode::SUCCESS
        }
    };
    out.flush()?;
    Ok(code)
}

/// What is wrong with the files that the configuration names for enriching. The server starts without them all the same.
fn geo_faults(path: &Path, config: &Config) -> Vec<String> {
    let files = ingest::enrich::Geo::open(&config.enrich.geo_files).files();
    let fault = |file: ingest::enrich::GeoFile| {
        let error = file.error?;
        let (config, file) = (path.display(), file.path.display());
        Some(format!("{config}: enrich.geo_files: „{file}“ {}. {}", words::geo_fault(&error), words::geo_todo(&error)))
    };
    files.into_iter().filter_map(fault).collect()
}

/// Where the data are: `--data`, the environment, the configuration, else a folder beside the caller.
pub fn data_dir(cli: &Cli, config: &Config) -> PathBuf {
    cli.data.clone().or_else(|| config.data.clone()).unwrap_or_else(|| PathBuf::from("wartburg-data"))
}

fn print_event(event: &Event, site: &str, out: &mut dyn Write) -> Result<()> {
    Ok(writeln!(out, "{}", Value::Object(event.json(site)))?)
}

fn print_object(json: bool, object: Map<String, Value>, out: &mut dyn Write) -> Result<()> {
    if json {
        writeln!(out, "{}", Value::Object(object))?;
        return Ok(());
    }
    let fields: Vec<String> =
        object.iter().map(|(name, value)| format!("{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect();
    writeln!(out, "{}", show::safe(&fields.join(" ")))?;
    Ok(())
}

/// Counts `what` up to `total` on standard error, if somebody watches.
fn progress_bar(total: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{human_pos}/{human_len} {msg} {bar:30} {per_sec} noch {eta}") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

fn plural(n: usize, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", show::num(n as u64)) }
}

#[expect(clippy::print_stderr, reason = "a command's words for people go to standard error")]
fn eprint_line(line: &str) {
    eprintln!("{line}");
}

fn eprint_list(title: &str, items: &[String]) {
    eprint_line(title);
    for item in items {
        eprint_line(&format!("  {item}"));
    }
}
