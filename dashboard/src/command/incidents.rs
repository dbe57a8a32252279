//! `incidents`: the list of cases, one of them as a file for others, and what others report as alerts of ours.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use detect::exchange::import::{Outcome, Plan, Share};
use detect::exchange::read::{Hint, ReadError, Report, read, report_names};
use detect::exchange::{Audience, Format, export};
use detect::incident::{IncidentFilter, IncidentView, State, Tlp, incident_by_number, incident_get, incident_json, incident_labels};
use detect::rule::Level;
use detect::rulebook::Rulebook;
use indicatif::{ProgressBar, ProgressDrawTarget};
use ingest::audit::{NewAudit, audit_add};
use ingest::body::{SiteTable, body_list};
use ingest::db::{Db, DbError};
use ingest::import::unpacked;
use ingest::pseudonym::Pseudonyms;
use ingest::scope::Scope;
use ingest::time::Clock;
use serde_json::{Value, json};

use super::{SOME_FAILED, data_dir, eprint_line, progress_bar};
use crate::cli::{Cli, IncidentImportArgs, IncidentsCommand, ListArgs};
use crate::config::Config;
use crate::node::View;
use crate::report::{CaseFile, refused};
use crate::{outside, serve, show, words};

pub(super) fn incidents(
    args: &ListArgs,
    command: Option<&IncidentsCommand>,
    cli: &Cli,
    config: &Config,
    clock: &Clock,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let dir = data_dir(cli, config);
    match command {
        None => list(args.json, &View::open(&dir, config, clock)?, out),
        Some(IncidentsCommand::Export { number, format, red }) => single(number, format, *red, &dir, config, clock, out),
        Some(IncidentsCommand::Report { number, output, red }) => report(number, output, *red, &dir, config, clock),
        Some(IncidentsCommand::Import(args)) => import(args, &dir, config, clock, out),
    }
}

fn list(json: bool, view: &View, out: &mut dyn Write) -> Result<ExitCode> {
    for incident in view.db.read(|connection| incident_json(connection, &IncidentFilter::new(Scope::All)))? {
        if json {
            writeln!(out, "{}", json!(incident))?;
        } else {
            let place = incident.body.as_deref().or(incident.site.as_deref()).unwrap_or("ohne Stelle");
            writeln!(
                out,
                "{}  {:<13} {:<10} {}  ({place}, {} Ereignisse)",
                incident.number,
                Level::parse(incident.severity).map_or(incident.severity, words::level),
                State::parse(incident.state).map_or(incident.state, words::state),
                show::safe(&incident.title),
                incident.events
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn single(number: &str, format: &str, red: bool, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let Some(format) = Format::parse(format) else { bail!("--format: stix, misp, iodef oder csv") };
    let view = View::open(dir, config, clock)?;
    let case = find(&view, number, red)?;
    let pseudonyms = pseudonyms(dir)?;
    let book = Rulebook::shipped().map_err(|errors| anyhow::anyhow!("Regeln: {errors:?}"))?;
    let package = outside::package(&case, Audience::Cert, &book, &pseudonyms);
    let now = clock.now();
    // Nothing leaves that could not be noted.
    let detail = json!({ "format": format.as_str(), "tlp": case.incident.tlp.as_str(), "hidden": package.hidden });
    note(&view, "incident.exported", format!("incident:{}", case.incident.number), detail, clock)?;
    write!(out, "{}", export(&package, format, &outside::sender(&serve::publisher(config)), now))?;
    Ok(ExitCode::SUCCESS)
}

/// The case as a document, in a file.
fn report(number: &str, output: &Path, red: bool, dir: &Path, config: &Config, clock: &Clock) -> Result<ExitCode> {
    let view = View::open(dir, config, clock)?;
    let case = find(&view, number, red)?;
    let (object, tlp) = (format!("incident:{}", case.incident.number), case.incident.tlp);
    let case = view.db.read(|c| CaseFile::load(c, &Scope::All, case))?;
    let pdf = case.print(&serve::publisher(config).name, &pseudonyms(dir)?).map_err(|error| anyhow::anyhow!(refused(&error)))?;
    // Nothing leaves that could not be noted.
    note(&view, "incident.exported", object, json!({ "format": "pdf", "tlp": tlp.as_str() }), clock)?;
    std::fs::write(output, pdf).with_context(|| format!("{} schreiben", output.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The case, where it may leave.
fn find(view: &View, number: &str, red: bool) -> Result<IncidentView> {
    let found = view.db.read(|c| match incident_by_number(c, &Scope::All, number)? {
        Some(id) => incident_get(c, &Scope::All, id),
        None => Ok(None),
    })?;
    let Some(case) = found else { bail!("Den Vorfall „{}“ gibt es nicht. `wartburg incidents` listet alle.", show::safe(number)) };
    if case.incident.tlp == Tlp::Red && !red {
        bail!("Der Vorfall trägt TLP:RED. Mit --red bestätigen Sie, dass die Datei nur an die Personen geht, für die sie bestimmt ist.");
    }
    Ok(case)
}

fn pseudonyms(dir: &Path) -> Result<Pseudonyms> {
    Pseudonyms::open(&dir.join("keys")).context("Schlüssel der Pseudonyme lesen")
}

/// Reads files one after the other; one that cannot be read keeps none of the others back.
fn import(args: &IncidentImportArgs, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let view = View::open(dir, config, clock)?;
    let sites = view.sites.clone();
    let playbooks = crate::node::playbooks(dir)?;
    let mut failed = false;
    for path in &args.files {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let hint = Hint { file_name: name.clone(), report: args.report.clone() };
        let (plan, report) = match gather(path, &hint, &sites, clock) {
            Ok(read) => read,
            Err(error) => {
                failed = true;
                eprint_line(&format!("{}: {}", show::safe(&name), unreadable(&error)));
                continue;
            }
        };
        let alerts = plan.alerts();
        if args.preview {
            let shares = view.db.read(|c| plan.preview(c))?;
            tell_preview(args.json, &name, &report, &shares, &view.db, out)?;
        } else {
            let bar = progress_bar(alerts as u64, "Alarme");
            let done = plan.file(&view.db, &playbooks, &|| clock.now(), &mut |done| bar.set_position(done as u64));
            bar.finish_and_clear();
            let outcome = done.map_err(|error| anyhow::anyhow!("{}: {error}", show::safe(&name)))?;
            let detail = json!({
                "form": report.form, "rows": report.rows, "opened": outcome.opened, "joined": outcome.joined,
                "extended": outcome.extended, "known": outcome.known, "strangers": outcome.strangers, "faults": report.fault_count,
            });
            note(&view, "incident.imported", format!("file:{name}"), detail, clock)?;
            tell(args.json, &name, &report, &outcome, &view.db, out)?;
        }
        for fault in &report.faults {
            eprint_line(&format!(
                "{}:{}: {} „{}“: {}",
                show::safe(&name),
                show::safe(&fault.place),
                show::safe(&fault.column),
                show::safe(&fault.value),
                words::report_fault(fault.why)
            ));
        }
        let more = report.fault_count.saturating_sub(report.faults.len() as u64);
        if more > 0 {
            eprint_line(&format!("{}: {} weitere Zeilen nicht lesbar", show::safe(&name), show::num(more)));
        }
        failed |= report.fault_count > 0;
    }
    Ok(if failed { ExitCode::from(SOME_FAILED) } else { ExitCode::SUCCESS })
}

fn gather(path: &Path, hint: &Hint, sites: &SiteTable, clock: &Clock) -> Result<(Plan, Report), ReadError> {
    let mut source = unpacked(path).map_err(std::io::Error::other)?;
    let mut plan = Plan::default();
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    spinner.set_message("Zeilen lesen");
    let report = read(&mut source, hint, clock.now(), &mut |row| {
        spinner.inc(1);
        plan.add(row, sites);
    });
    spinner.finish_and_clear();
    Ok((plan, report?))
}

/// Why a file cannot be read at all, and what to do.
fn unreadable(error: &ReadError) -> String {
    match error {
        ReadError::Io(error) => format!("nicht lesbar ({error})"),
        ReadError::Json(error) => format!("kein lesbares JSON ({error})"),
        ReadError::TooLarge(max) => format!("größer als {}; teilen Sie die Datei", show::bytes(*max)),
        ReadError::Utf16 => "in UTF-16; speichern Sie die Datei als UTF-8".to_owned(),
        ReadError::Unknown => "weder eine Tabelle von IntelMQ oder Shadowserver noch ein MISP-Event noch ein STIX-Bundle".to_owned(),
        ReadError::UnknownReport(_) => {
            let names: Vec<&str> = report_names().map(|(name, ..)| name).collect();
            format!("die Art des Berichts ist nicht bekannt; nennen Sie sie mit --report, eine von: {}", names.join(", "))
        }
    }
}

fn tell_preview(as_json: bool, name: &str, report: &Report, shares: &[Share], db: &Db, out: &mut dyn Write) -> Result<()> {
    if as_json {
        writeln!(out, "{}", json!({ "file": name, "report": report, "would": shares }))?;
        return Ok(());
    }
    let bodies = db.read(body_list)?;
    let alerts: u64 = shares.iter().map(|share| share.alerts).sum();
    let known: u64 = shares.iter().map(|share| share.known).sum();
    let (rows, alerts, known) = (show::num(report.rows), show::num(alerts), show::num(known));
    writeln!(out, "{}: {rows} Zeilen würden {alerts} Alarme, davon {known} schon da", show::safe(name))?;
    for share in shares {
        let body = bodies.iter().find(|body| Some(body.id) == share.body).map_or("ohne Stelle", |body| body.name.as_str());
        writeln!(out, "  {:>6}  {}: {}", show::num(share.alerts), show::safe(body), show::safe(&share.title))?;
    }
    Ok(())
}

fn tell(as_json: bool, name: &str, report: &Report, outcome: &Outcome, db: &Db, out: &mut dyn Write) -> Result<()> {
    let labels = db.read(|c| incident_labels(c, &Scope::All, &outcome.incidents))?;
    let mut numbers: Vec<&str> = labels.values().map(|label| label.number.as_str()).collect();
    numbers.sort_unstable();
    if as_json {
        writeln!(out, "{}", json!({ "file": name, "report": report, "outcome": outcome, "incidents": numbers }))?;
        return Ok(());
    }
    let new = outcome.opened + outcome.joined;
    writeln!(
        out,
        "{}: {} Zeilen, {} neue Alarme in {} Vorfällen, {} ergänzt, {} schon bekannt, {} ohne Stelle",
        show::safe(name),
        show::num(report.rows),
        show::num(new),
        show::num(numbers.len() as u64),
        show::num(outcome.extended),
        show::num(outcome.known),
        show::num(outcome.strangers)
    )?;
    for (machine, title) in &outcome.stranger_examples {
        writeln!(out, "  ohne Stelle: {}: {}", show::safe(machine), show::safe(title))?;
    }
    Ok(())
}

/// A view that was opened for reading only (a full disk) notes nothing, and then shows nothing either.
fn note(view: &View, kind: &'static str, object: String, detail: Value, clock: &Clock) -> Result<()> {
    let (new, now) = (NewAudit { actor: "system".into(), kind, object, detail }, clock.now());
    view.db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}
