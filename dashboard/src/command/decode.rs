//! `decode`: what lines and datagrams become, without storing anything.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::decode::{Options, Pairs, decode, unread};
use ingest::enrich::{Enrichment, LeaseBook};
use ingest::event::{Event, nested};
use ingest::fields;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, PAYLOAD_BYTES_MAX, Seq, Transport};
use ingest::import::unpacked;
use ingest::time::{Clock, Timestamp};
use serde_json::Value;

use super::decode_flow::FlowReader;
use super::{SOME_FAILED, eprint_line, eprint_list, plural};
use crate::cli::DecodeArgs;
use crate::config::Config;
use crate::{show, words};

pub(super) fn decode_files(args: &DecodeArgs, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let mut reader = LineReader::new(config);
    let mut flows = FlowReader::new(args, config);
    let mut failed = Vec::new();
    let form = match args {
        DecodeArgs { json: true, .. } => Form::Json,
        DecodeArgs { ecs: true, .. } => Form::Ecs,
        _ => Form::Table,
    };
    let mut tally = Tally::default();
    for path in &args.files {
        let done = if args.flow {
            flows.datagram(path, clock.now(), out)
        } else {
            decode_lines(path, form, &mut reader, clock.now(), &mut tally, out)
        };
        if let Err(error) = done {
            if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe) {
                return Ok(ExitCode::SUCCESS);
            }
            failed.push(format!("{}: {error:#}", path.display()));
        }
    }
    out.flush()?;
    if form == Form::Table && !args.flow {
        tally.print();
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    eprint_list("Nicht gelesen:", &failed);
    Ok(ExitCode::from(SOME_FAILED))
}

/// Makes events as the pipeline does, of a site that nobody knows.
pub(super) struct LineReader {
    options: Options,
    enrichment: Enrichment,
    pairs: Pairs,
}

impl LineReader {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            options: Options::in_zone(config.zone),
            enrichment: Enrichment::new(config.enrich.clone(), LeaseBook::default()),
            pairs: Pairs::default(),
        }
    }

    pub(super) fn read(&mut self, frame: &Frame) -> Option<Event> {
        let mut event = decode(frame, &self.options)?;
        self.pairs.join(&mut event);
        self.enrichment.learn(&event);
        self.enrichment.enrich(&mut event, &SiteTable::default());
        Some(event)
    }
}

/// How an event is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Ecs,
    Table,
}

fn decode_lines(path: &Path, form: Form, reader: &mut LineReader, now: Timestamp, tally: &mut Tally, out: &mut dyn Write) -> Result<()> {
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
        tally.lines += 1;
        let Some(event) = reader.read(&frame(tally.lines, FrameKind::of_line(text), text, now)) else { continue };
        match form {
            Form::Json => writeln!(out, "{}", Value::Object(event.json("")))?,
            Form::Ecs => writeln!(out, "{}", Value::Object(nested(event.json(""))))?,
            Form::Table => {
                table(tally.lines, &event, out)?;
                tally.add(&event);
            }
        }
    }
}

/// One event for people: what it became, field by field, and what was wrong with it.
fn table(n: u64, event: &Event, out: &mut dyn Write) -> Result<()> {
    writeln!(out, "Zeile {}  {}", show::num(n), show::safe(event.line()))?;
    let decoder = match (event.decoder, unread(event)) {
        ("", _) => "von keinem Decoder verstanden".to_owned(),
        (name, None) => format!("{} ({name})", words::format(name)),
        (name, Some(_)) => format!("{} ({name}), aber nur der Kopf gelesen", words::format(name)),
    };
    writeln!(out, "  {decoder}")?;
    for defect in event.defects.iter() {
        let (word, advice) = words::defect(defect.name());
        writeln!(out, "  Mangel: {word}{}{advice}", if advice.is_empty() { "" } else { " – " })?;
    }
    let mut row = |label: &str, name: &str, value: &str| writeln!(out, "  {label:<26} {name:<34} {}", show::safe(value));
    row("Zeitpunkt", "@timestamp", &event.timestamp.rfc3339())?;
    for (field, value) in event.fields() {
        // A vendor's field has no label of its own.
        let label = if field.known().is_some() { field.label() } else { "" };
        row(label, field.name(), &value.text())?;
    }
    if event.message() != event.line() {
        row(fields::MESSAGE.label(), fields::MESSAGE.name(), event.message())?;
    }
    writeln!(out)?;
    Ok(())
}

/// What came of all lines.
#[derive(Default)]
struct Tally {
    lines: u64,
    /// Lines by decoder, the empty name for none.
    decoders: BTreeMap<&'static str, u64>,
    defects: BTreeMap<&'static str, u64>,
}

impl Tally {
    fn add(&mut self, event: &Event) {
        *self.decoders.entry(event.decoder).or_default() += 1;
        for defect in event.defects.iter() {
            *self.defects.entry(defect.name()).or_default() += 1;
        }
    }

    fn print(&self) {
        let ranked = |counts: &BTreeMap<&'static str, u64>, word: fn(&'static str) -> &'static str| {
            let mut all: Vec<_> = counts.iter().map(|(name, count)| (*count, word(name))).collect();
            all.sort_by(|(a, a_name), (b, b_name)| b.cmp(a).then(a_name.cmp(b_name)));
            all.into_iter().map(|(count, name)| format!("{name} {}", show::num(count))).collect::<Vec<_>>().join(", ")
        };
        eprint_line(&format!(
            "{}: {}",
            plural(usize::try_from(self.lines).unwrap_or(usize::MAX), "Zeile", "Zeilen"),
            ranked(&self.decoders, |name| if name.is_empty() { "nicht verstanden" } else { words::format(name) })
        ));
        if !self.defects.is_empty() {
            eprint_line(&format!("Mängel: {}", ranked(&self.defects, |name| words::defect(name).0)));
        }
    }
}

pub(super) fn frame(seq: u64, kind: FrameKind, payload: &[u8], now: Timestamp) -> Frame {
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
