//! From the command line to the command: configuration, our own log, exit codes, and errors as a person can use them.

use std::io::IsTerminal;
use std::process::ExitCode;

use ingest::time::Clock;
use tracing_subscriber::EnvFilter;

use crate::cli::{self, Cli, Command};
use crate::command;
use crate::config::{self, Config};
use crate::{demo, serve};

/// Wrong usage or configuration; clap's own code for the former is the same.
const WRONG_USAGE: u8 = 2;

/// Runs the program and says how it ended.
pub fn main() -> ExitCode {
    let cli = cli::parse();
    log_start(&cli.command);
    let config = match configuration(&cli) {
        Ok(config) => config,
        Err(errors) => {
            for error in errors {
                complain(&error.0);
            }
            return ExitCode::from(WRONG_USAGE);
        }
    };
    let clock = Clock::system();
    let result = match &cli.command {
        Command::Serve(args) => {
            let mut config = config;
            config.web.theme_dir = args.theme_dir.clone().or(config.web.theme_dir);
            serve::serve(&command::data_dir(&cli, &config), &config, &clock).map(|()| ExitCode::SUCCESS)
        }
        Command::Demo(args) => demo::run(args, cli.data.as_deref(), &clock),
        _ => command::run(&cli, &config, &clock),
    };
    result.unwrap_or_else(|error| {
        if error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)) {
            // Whoever read our output (`| head`) has seen enough.
            return ExitCode::SUCCESS;
        }
        complain(&format!("{error:#}"));
        ExitCode::from(WRONG_USAGE)
    })
}

fn configuration(cli: &Cli) -> Result<Config, Vec<config::ConfigError>> {
    match &cli.config {
        Some(path) => config::load(path),
        None => Ok(config::defaults()),
    }
}

/// Our own log goes to standard error: a server tells what it does, a command only what is wrong. `RUST_LOG` overrides.
fn log_start(command: &Command) {
    let default = if matches!(command, Command::Serve(_)) { "info" } else { "warn" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

#[expect(clippy::print_stderr, reason = "the program's last words go to the person who started it")]
fn complain(text: &str) {
    eprintln!("wartburg: {text}");
}
