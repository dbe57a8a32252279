//! `import`: files through the journal into the stores and rules, with progress, until all is searchable.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use detect::alert::{AlertFilter, alert_list};
use detect::incident::{IncidentFilter, incident_json};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ingest::body::SITE_UNKNOWN;
use ingest::db::DbError;
use ingest::frame::Seq;
use ingest::import::{Content, Imported, Request, import_file};
use ingest::scope::Scope;
use ingest::source::import_list;
use ingest::time::{Clock, Stopwatch};
use serde_json::json;

use super::{SOME_FAILED, eprint_list, plural};
use crate::cli::ImportArgs;
use crate::config::Config;
use crate::node::Node;
use crate::show;

pub(super) fn import(args: &ImportArgs, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let node = Node::open(dir, config, clock)?;
    node.catch_up()?;
    let site = match &args.site {
        None => SITE_UNKNOWN,
        Some(name) => match node.site_table().by_name(name) {
            Some(site) => site.id,
            None => bail!("Den Standort „{name}“ gibt es nicht. In der Konfiguration unter [[sites]] anlegen, oder ohne --site einlesen."),
        },
    };
    let content = if args.flow { Content::Datagram } else { Content::Lines };
    let mut failed = Vec::new();
    let watch = Stopwatch::start();
    let (mut lines, mut known, mut bytes) = (0, 0, 0);
    for path in &args.files {
        let spooled;
        let source = if path.as_os_str() == "-" {
            spooled = spool().context("Standardeingabe lesen")?;
            spooled.path()
        } else {
            path
        };
        let bar = progress(source);
        marks_settle(&node, node.journal.last())?;
        let marks = node.db.read(import_list)?;
        let request = Request { path: source, site, content };
        let result = import_file(&request, &marks, &node.journal.writer(), &|| clock.now(), &mut |at| bar.set_position(at));
        bar.finish_and_clear();
        match result {
            Ok(imported) => {
                node.catch_up()?;
                lines += imported.lines;
                known += imported.lines_known;
                bytes += imported.bytes;
                print_imported(args.json, path, &imported, out)?;
            }
            Err(error) => {
                let error = format!("{:#}", anyhow::Error::from(error));
                if args.json {
                    writeln!(out, "{}", json!({ "file": path.display().to_string(), "error": error }))?;
                }
                failed.push(format!("{}: {error}", path.display()));
            }
        }
    }
    let (incidents, alerts) = node.db.read(|connection| {
        let incidents = incident_json(connection, &IncidentFilter::new(Scope::All))?.len();
        Ok::<_, DbError>((incidents, alert_list(connection, &AlertFilter::new(Scope::All))?.len()))
    })?;
    node.close();
    let secs = watch.elapsed().as_secs_f64();
    if args.json {
        writeln!(
            out,
            "{}",
            json!({ "lines": lines, "lines_known": known, "bytes": bytes, "alerts": alerts, "incidents": incidents, "failed": failed.len(), "seconds": secs })
        )?;
    } else {
        writeln!(
            out,
            "{} neue Zeilen, {} schon bekannt; jetzt {} und {}. {secs:.1} s",
            show::num(lines),
            show::num(known),
            plural(alerts, "Alarm", "Alarme"),
            plural(incidents, "Vorfall", "Vorfälle")
        )?;
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprint_list(&format!("{} nicht eingelesen:", plural(failed.len(), "Datei", "Dateien")), &failed);
    Ok(ExitCode::from(SOME_FAILED))
}

/// Waits until all marks up to `last` are in the database: from a crash before, or from the file just read.
fn marks_settle(node: &Node, last: Seq) -> Result<()> {
    while node.db.read(ingest::source::source_cursor)? < last {
        node.catch_up()?;
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn print_imported(json: bool, path: &Path, imported: &Imported, out: &mut dyn Write) -> Result<()> {
    if json {
        writeln!(
            out,
            "{}",
            json!({ "file": path.display().to_string(), "lines": imported.lines, "lines_known": imported.lines_known, "bytes": imported.bytes })
        )?;
        return Ok(());
    }
    let known = match imported.lines_known {
        0 => String::new(),
        known => format!(", {} waren schon bekannt", show::num(known)),
    };
    writeln!(out, "{}: {} neue Zeilen{known}", path.display(), show::num(imported.lines))?;
    Ok(())
}

/// Standard input in a file, since an import reads it twice: once to know it again, once to take it in.
fn spool() -> Result<tempfile::NamedTempFile> {
    let mut file = tempfile::NamedTempFile::new()?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    file.flush()?;
    Ok(file)
}

fn progress(path: &Path) -> ProgressBar {
    // Packed files are longer unpacked; their bar only counts.
    let len = unpacked_len(path);
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr());
    let template =
        if len.is_some() { "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} noch {eta}" } else { "{msg} {bytes} {bytes_per_sec}" };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
    bar
}

fn unpacked_len(path: &Path) -> Option<u64> {
    let mut head = [0; 4];
    File::open(path).and_then(|mut file| file.read(&mut head)).ok()?;
    let packed = head.starts_with(&[0x1f, 0x8b]) || head == [0x28, 0xb5, 0x2f, 0xfd];
    if packed { None } else { std::fs::metadata(path).ok().map(|meta| meta.len()) }
}
