//! What the commands do, apart from `serve` and `demo`. Results go to standard output, everything else to standard
//! error; `--json` prints one object a line and nothing besides.

use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use detect::alert::{AlertFilter, alert_list};
use detect::incident::{IncidentFilter, State, incident_json};
use detect::intel::IndicatorSet;
use detect::pack::{rules_check, rules_run, rules_test};
use detect::role::Role;
use detect::rule::Level;
use detect::sigma::RuleSet;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ingest::body::{SITE_UNKNOWN, SiteTable, body_list};
use ingest::db::DbError;
use ingest::decode::{Options, decode};
use ingest::event::Event;
use ingest::events::SearchRequest;
use ingest::fields::FieldId;
use ingest::flow::netflow::NetflowDecoder;
use ingest::flows::{FlowRange, GroupBy, Measure, TopRequest};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, PAYLOAD_BYTES_MAX, Seq, Transport};
use ingest::import::{Content, Imported, Request, import_file, unpacked};
use ingest::query::Query;
use ingest::record::{FlowView, Record};
use ingest::scope::Scope;
use ingest::source::{import_list, source_list};
use ingest::time::{Clock, Stopwatch, Timestamp};
use serde_json::{Map, Value, json};

use crate::cli::{AdvisoryCommand, Cli, Command, DecodeArgs, FlowsArgs, ImportArgs, RulesCommand, SearchArgs, Span, UserCommand};
use crate::config::{self, Config};
use crate::node::{Node, View};
use crate::show;
use crate::user::{User, UserId, password_hash, user_add};
use crate::words;

/// Some input failed; the rest was done.
const SOME_FAILED: u8 = 1;

/// Runs a command that is neither `serve` nor `demo`.
///
/// # Errors
/// What kept it from being done at all, in words for people.
pub fn run(cli: &Cli, config: &Config, clock: &Clock) -> Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let code = match &cli.command {
        Command::Serve | Command::Demo(_) => ExitCode::SUCCESS,
        Command::Import(args) => import(args, &data_dir(cli, config), config, clock, &mut out)?,
        Command::Decode(args) => decode_files(args, config, clock, &mut out)?,
        Command::Search(args) => search(args, &View::open(&data_dir(cli, config), config, clock)?, clock.now(), &mut out)?,
        Command::Flows(args) => flows(args, &View::open(&data_dir(cli, config), config, clock)?, clock.now(), &mut out)?,
        Command::Incidents(args) => incidents(args.json, &View::open(&data_dir(cli, config), config, clock)?, &mut out)?,
        Command::Alerts(args) => alerts(args.json, &View::open(&data_dir(cli, config), config, clock)?, &mut out)?,
        Command::Sources(args) => sources(args.json, &View::open(&data_dir(cli, config), config, clock)?, clock.now(), &mut out)?,
        Command::Rules { command } => rules(command, &mut out)?,
        Command::Advisory { command: AdvisoryCommand::Validate { files, json } } => validate(files, *json, &mut out)?,
        Command::User { command } => user(command, &data_dir(cli, config), config, clock, &mut out)?,
        Command::CheckConfig { example: true } => {
            write!(out, "{}", config::example())?;
            ExitCode::SUCCESS
        }
        Command::CheckConfig { example: false } => {
            let Some(path) = &cli.config else { bail!("Welche Datei? Zum Beispiel: wartburg check-config --config wartburg.toml") };
            writeln!(out, "{}: in Ordnung.", path.display())?;
            ExitCode::SUCCESS
        }
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut crate::cli::command(), "wartburg", &mut out);
            ExitCode::SUCCESS
        }
    };
    out.flush()?;
    Ok(code)
}

/// Where the data are: `--data`, the environment, the configuration, else a folder beside the caller.
pub fn data_dir(cli: &Cli, config: &Config) -> PathBuf {
    cli.data.clone().or_else(|| config.data.clone()).unwrap_or_else(|| PathBuf::from("wartburg-data"))
}

fn import(args: &ImportArgs, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
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

fn decode_files(args: &DecodeArgs, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let options = Options { zone: config.zone };
    let mut netflow = NetflowDecoder::default();
    let mut failed = Vec::new();
    let mut seq = 0;
    for path in &args.files {
        let done = if args.flow {
            decode_datagram(path, args.json, &mut netflow, clock.now(), out)
        } else {
            decode_lines(path, args.json, &options, clock.now(), &mut seq, out)
        };
        if let Err(error) = done {
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return Ok(ExitCode::SUCCESS);
            }
            failed.push(format!("{}: {error:#}", path.display()));
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprint_list("Nicht gelesen:", &failed);
    Ok(ExitCode::from(SOME_FAILED))
}

fn decode_lines(path: &Path, json: bool, options: &Options, now: Timestamp, seq: &mut u64, out: &mut dyn Write) -> Result<()> {
    let mut input: Box<dyn std::io::BufRead> =
        if path.as_os_str() == "-" { Box::new(BufReader::new(std::io::stdin().lock())) } else { unpacked(path)? };
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(PAYLOAD_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() {
            continue;
        }
        *seq += 1;
        if let Some(event) = decode(&frame(*seq, FrameKind::of_line(text), text, now), options) {
            print_event(json, &event, "", out)?;
        }
    }
}

fn decode_datagram(path: &Path, json: bool, netflow: &mut NetflowDecoder, now: Timestamp, out: &mut dyn Write) -> Result<()> {
    let mut bytes = Vec::new();
    unpacked(path)?.take(PAYLOAD_BYTES_MAX as u64).read_to_end(&mut bytes)?;
    let mut flows = Vec::new();
    let report = netflow.decode(&frame(1, FrameKind::Flow, &bytes, now), &mut flows);
    let sites = SiteTable::default();
    for flow in &flows {
        print_object(json, record_json(&FlowView { flow, sites: &sites }), out)?;
    }
    let defects: Vec<_> = report.defects.iter().map(|defect| defect.name()).collect();
    eprint_line(&format!(
        "{}: Version {}, {} Datensätze, Mängel: {}",
        path.display(),
        report.version,
        flows.len(),
        if defects.is_empty() { "keine".into() } else { defects.join(", ") }
    ));
    Ok(())
}

fn frame(seq: u64, kind: FrameKind, payload: &[u8], now: Timestamp) -> Frame {
    let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Frame {
        seq: Seq(seq),
        frame: NewFrame {
            received_at: now,
            site: SITE_UNKNOWN,
            peer,
            transport: Transport::Import,
            kind,
            marks: Marks::default(),
            payload: payload.into(),
        },
    }
}

fn search(args: &SearchArgs, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let (from, to) = span(&args.span, now)?;
    let mut request = SearchRequest::new(query(&args.query)?, Scope::All, view.sites.clone());
    (request.from, request.to, request.buckets) = (from, to, 1);
    let (mut left, mut total) = (args.limit, None);
    loop {
        request.limit = left.min(1_000);
        let result = view.events.search(&request).map_err(|error| anyhow::anyhow!("{error}"))?;
        total.get_or_insert((result.total, result.took, result.partial));
        for event in &result.hits {
            print_event(args.json, event, view.sites.name(event.site), out)?;
        }
        left = left.saturating_sub(result.hits.len());
        match result.next {
            Some(next) if left > 0 && !result.hits.is_empty() => {
                request.before = Some(next);
                request.summary = false;
            }
            _ => break,
        }
    }
    out.flush()?;
    if let (false, Some((total, took, partial))) = (args.json, total) {
        let more = if partial { "mindestens " } else { "" };
        eprint_line(&format!("{more}{} Treffer in {} ms", show::num(total), took.as_millis()));
    }
    Ok(ExitCode::SUCCESS)
}

fn flows(args: &FlowsArgs, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let (from, to) = span(&args.span, now)?;
    let query = query(&args.query)?;
    let filter = |record: &dyn Record| query.matches(record);
    let range = FlowRange {
        from: from.unwrap_or(Timestamp(0)),
        to: to.unwrap_or(Timestamp(i64::MAX)),
        filter: Some(&filter),
        scope: &Scope::All,
        sites: &view.sites,
    };
    match &args.top {
        None => {
            for flow in view.flows.list(&range, args.limit)? {
                print_object(args.json, record_json(&FlowView { flow: &flow, sites: &view.sites }), out)?;
            }
        }
        Some(field) => {
            let by = FieldId::find(field).and_then(GroupBy::from_field);
            let by = by.with_context(|| format!("Nach „{field}“ lassen sich Flüsse nicht zusammenfassen. Möglich: source.ip, destination.ip, destination.port, network.transport, site"))?;
            let result = view.flows.top(&TopRequest { range, by, measure: Measure::Bytes, limit: args.limit })?;
            for row in result.rows {
                if args.json {
                    writeln!(out, "{}", json!(row))?;
                } else {
                    writeln!(out, "{:<40} {:>14} Bytes {:>10} Pakete {:>8} Flüsse", row.key, row.bytes, row.packets, row.flows)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn incidents(json: bool, view: &View, out: &mut dyn Write) -> Result<ExitCode> {
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

fn alerts(json: bool, view: &View, out: &mut dyn Write) -> Result<ExitCode> {
    for alert in view.db.read(|connection| alert_list(connection, &AlertFilter::new(Scope::All)))? {
        if json {
            writeln!(out, "{}", json!(alert))?;
        } else {
            writeln!(
                out,
                "{}  {:<13} {:<12} {}  {}",
                alert.first.rfc3339(),
                words::level(alert.level),
                words::alert_state(alert.state),
                show::safe(&alert.title),
                show::safe(&alert.entity)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn sources(json: bool, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    for source in view.db.read(|connection| source_list(connection, &Scope::All, &view.sites))? {
        let site = view.sites.name(source.site);
        if json {
            let mut object = serde_json::to_value(&source)?;
            if let Some(object) = object.as_object_mut() {
                object.insert("site".into(), site.into());
                object.insert("silent".into(), source.is_silent(now).into());
            }
            writeln!(out, "{object}")?;
        } else {
            let silent = if source.is_silent(now) { "  STILL" } else { "" };
            writeln!(
                out,
                "{}  {:<28} {:<16} {:<20} {:<6} {:>9} Pakete{silent}",
                source.last_seen.rfc3339(),
                site,
                source.peer,
                show::safe(&source.host),
                source.transport,
                source.frames
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn rules(command: &RulesCommand, out: &mut dyn Write) -> Result<ExitCode> {
    match command {
        RulesCommand::Check { dirs } => {
            let report = rules_check(&or_default(dirs));
            for error in &report.errors {
                writeln!(out, "{error}")?;
            }
            eprint_line(&format!(
                "{} Regeln und {} Korrelationen übersetzt, {} Fehler",
                report.detections,
                report.correlations,
                report.errors.len()
            ));
            Ok(if report.errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
        RulesCommand::Test { dirs } => {
            let (tests, errors) = rules_test(&or_default(dirs));
            let failed: Vec<_> = tests.iter().filter(|test| !test.failures.is_empty()).collect();
            for test in &failed {
                for problem in &test.failures {
                    writeln!(out, "{}: {problem}", test.file)?;
                }
            }
            for error in &errors {
                writeln!(out, "{error}")?;
            }
            eprint_line(&format!("{} Regeln mit ihren Belegen geprüft, {} fehlerhaft", tests.len(), failed.len() + errors.len()));
            Ok(if failed.is_empty() && errors.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
        RulesCommand::Run { rules, file, json } => {
            let (set, errors) = RuleSet::load(rules);
            let watch = Stopwatch::start();
            let input = unpacked(file)?;
            let mut written = Ok(());
            let summary = rules_run(set, Arc::new(IndicatorSet::default()), input, &mut |found| {
                let line = if *json { json!(found).to_string() } else { format!("Zeile {}: {} ({})", found.line, found.title, found.name) };
                if written.is_ok() {
                    written = writeln!(out, "{line}");
                }
            })?;
            written?;
            for error in &errors {
                eprint_line(&error.to_string());
            }
            #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
            let rate = summary.records as f64 / watch.elapsed().as_secs_f64().max(1e-9);
            eprint_line(&format!("{} Ereignisse, {} Treffer, {rate:.0} Ereignisse/s", summary.records, summary.matches));
            Ok(if errors.is_empty() && summary.unreadable == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
    }
}

fn or_default(dirs: &[PathBuf]) -> Vec<PathBuf> {
    if dirs.is_empty() { vec![PathBuf::from("rules")] } else { dirs.to_vec() }
}

fn validate(files: &[PathBuf], json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    let mut bad = 0;
    for path in files {
        let findings = match advisory::gate::advisory_validate(path) {
            Ok(findings) => findings,
            Err(error) => {
                bad += 1;
                eprint_line(&format!("{}: {error}", path.display()));
                continue;
            }
        };
        bad += usize::from(findings.iter().any(|finding| finding.blocks()));
        for finding in &findings {
            if json {
                let mut object = serde_json::to_value(finding)?;
                if let Some(object) = object.as_object_mut() {
                    object.insert("file".into(), path.display().to_string().into());
                }
                writeln!(out, "{object}")?;
            } else {
                writeln!(out, "{}: {finding}", path.display())?;
            }
        }
        if !json && findings.is_empty() {
            writeln!(out, "{}: keine Beanstandung", path.display())?;
        }
    }
    Ok(if bad == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

fn user(command: &UserCommand, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
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
    let hash = password_hash(password.trim_end_matches(['\n', '\r']))?;
    let now = clock.now();
    let full_name = full_name.clone().unwrap_or_else(|| name.clone());
    let user = User { id: UserId::new(now), login: name.clone(), name: full_name, role, body, disabled: false };
    db.write(move |tx| user_add(tx, &user, &hash, now))?;
    db.close();
    writeln!(out, "Konto {name} ({}) angelegt.", role.as_str())?;
    Ok(ExitCode::SUCCESS)
}

fn query(text: &str) -> Result<Query> {
    if text.trim() == "*" {
        return Ok(Query::all());
    }
    Query::parse(text).map_err(|error| anyhow::anyhow!("Anfrage: {error}"))
}

fn span(span: &Span, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let read = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => moment(text, now)
            .map(Some)
            .with_context(|| format!("„{text}“ ist keine Zeit. Zum Beispiel: 2026-11-21, 2026-11-21T14:00:00Z, 15m, 2h, 7d")),
    };
    Ok((read(&span.from)?, read(&span.to)?))
}

/// A moment as people write it: RFC 3339, a day (in Germany), or how long ago.
pub(crate) fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    use chrono::TimeZone as _;
    if let Some(moment) = Timestamp::parse_rfc3339(text) {
        return Some(moment);
    }
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        let midnight = chrono_tz::Europe::Berlin.from_local_datetime(&day.and_hms_opt(0, 0, 0)?).earliest()?;
        return Some(Timestamp(midnight.timestamp_millis()));
    }
    let unit = match text.chars().last()? {
        's' => Timestamp::SECOND,
        'm' => Timestamp::MINUTE,
        'h' => Timestamp::HOUR,
        'd' => Timestamp::DAY,
        _ => return None,
    };
    let number: u32 = text.get(..text.len() - 1)?.parse().ok()?;
    Some(now.plus(-i64::from(number).saturating_mul(unit)))
}

fn record_json(record: &dyn Record) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("@timestamp".into(), record.timestamp().rfc3339().into());
    record.any_field(&mut |field, value| {
        object.insert(field.name().into(), value.json());
        false
    });
    object
}

fn print_event(json: bool, event: &Event, site: &str, out: &mut dyn Write) -> Result<()> {
    if json {
        writeln!(out, "{}", Value::Object(event.json(site)))?;
        return Ok(());
    }
    writeln!(out, "{}  {}", event.timestamp.rfc3339(), show::safe(event.line()))?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let now = Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-11-21T14:00:00+01:00", Some("2026-11-21T13:00:00.000Z")),
            ("2026-11-21", Some("2026-11-20T23:00:00.000Z")),
            ("15m", Some("2026-11-21T11:45:00.000Z")),
            ("7d", Some("2026-11-14T12:00:00.000Z")),
            ("", None),
            ("m", None),
            ("7x", None),
            ("-7d", None),
            ("gestern", None),
            ("7ä", None),
        ] {
            assert_eq!(moment(text, now).map(Timestamp::rfc3339).as_deref(), expected, "{text}");
        }
    }
}
