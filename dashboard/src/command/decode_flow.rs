//! `decode --flow`: what datagrams of flows become, with every field that they hold, also those that are not kept.

use std::collections::VecDeque;
use std::io::{Read as _, Write};
use std::path::Path;

use anyhow::Result;
use ingest::body::SiteTable;
use ingest::flow::{FlowDecoder, FlowRecord, Item, ItemKind, SamplingTable};
use ingest::frame::{Frame, FrameKind, PAYLOAD_BYTES_MAX};
use ingest::import::unpacked;
use ingest::record::FlowView;
use ingest::time::Timestamp;
use serde_json::{Map, Value, json};

use super::decode::frame;
use super::search::record_json;
use super::{eprint_line, print_object};
use crate::cli::DecodeArgs;
use crate::config::Config;
use crate::show;

/// Datagrams whose data still waits for its template, kept so that its fields can be shown when that comes.
const WAITING_MAX: usize = 256;

/// Reads datagrams of one exporter, one after the other.
pub(super) struct FlowReader {
    decoder: FlowDecoder,
    json: bool,
    all: bool,
    seq: u64,
    waiting: VecDeque<Frame>,
}

impl FlowReader {
    pub(super) fn new(args: &DecodeArgs, config: &Config) -> Self {
        let mut decoder = FlowDecoder::default();
        decoder.sampling_set(SamplingTable::new(config.flows.sampling.clone()));
        Self { decoder, json: args.json, all: args.all, seq: 0, waiting: VecDeque::new() }
    }

    pub(super) fn datagram(&mut self, path: &Path, now: Timestamp, out: &mut dyn Write) -> Result<()> {
        let mut bytes = Vec::new();
        unpacked(path)?.take(PAYLOAD_BYTES_MAX as u64).read_to_end(&mut bytes)?;
        self.seq += 1;
        let frame = frame(self.seq, FrameKind::Flow, &bytes, now);
        let mut flows = Vec::new();
        let report = self.decoder.decode(&frame, &mut flows);
        let mut items = self.decoder.items(&frame);
        if report.late > 0 {
            let late: Vec<Item> = self.waiting.iter().flat_map(|frame| self.decoder.items(frame)).collect();
            items.extend(late.into_iter().filter(|item| !item.flows.is_empty()));
        }
        if report.sets_waiting > 0 {
            self.waiting.push_back(frame);
            self.waiting.truncate(WAITING_MAX);
        }
        self.print(&flows, &items, out)?;
        let defects: Vec<_> = report.defects.iter().map(|defect| defect.name()).collect();
        let others = [(report.options, "zum Exporteur"), (report.counters, "mit Zählern"), (report.skipped, "übersprungen")];
        let others: String = others.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
        let waiting = if report.sets_waiting > 0 { format!(", {} warten auf ihre Vorlage", report.sets_waiting) } else { String::new() };
        eprint_line(&format!(
            "{}: Version {}, {} Datensätze{others}{waiting}, Mängel: {}",
            path.display(),
            report.version,
            flows.len(),
            if defects.is_empty() { "keine".into() } else { defects.join(", ") }
        ));
        Ok(())
    }

    /// Each flow with the fields that it was made of, then what is no flow.
    fn print(&self, flows: &[FlowRecord], items: &[Item], out: &mut dyn Write) -> Result<()> {
        let sites = SiteTable::default();
        // Flows come in the order of the items, but for late ones: one way through is enough for all others.
        let made: Vec<(&FlowRecord, &Item)> = items.iter().flat_map(|item| item.flows.iter().map(move |flow| (flow, item))).collect();
        let mut next = 0;
        for flow in flows {
            let (ahead, behind) = made.split_at_checked(next).unwrap_or_default();
            let found = behind.iter().chain(ahead).position(|(made, _)| is_same(made, flow));
            let item = found.and_then(|at| made.get((next + at) % made.len().max(1)));
            if let Some(at) = found {
                next = (next + at + 1) % made.len().max(1);
            }
            let fields = item.map(|(_, item)| item.fields.as_slice()).unwrap_or_default();
            let mut object = record_json(&FlowView { flow, sites: &sites });
            if self.json {
                if !fields.is_empty() {
                    object.insert("_fields".into(), Value::Object(object_of(fields)));
                }
                print_object(true, object, out)?;
            } else {
                print_object(false, object, out)?;
                table(fields, out)?;
            }
        }
        for item in items.iter().filter(|item| item.kind != ItemKind::Flow && (self.all || !self.json)) {
            if self.json {
                let object = json!({ "_item": item.kind.name(), "_template": item.id, "_fields": object_of(&item.fields) });
                writeln!(out, "{object}")?;
            } else {
                writeln!(out, "{} {}", word(item.kind), item.id)?;
                table(&item.fields, out)?;
            }
        }
        Ok(())
    }
}

/// Whether a flow that was read again for its fields is this one: it may have got another sequence and sampling by waiting.
fn is_same(again: &FlowRecord, flow: &FlowRecord) -> bool {
    FlowRecord { seq: flow.seq, sampling: flow.sampling, ..*again } == *flow
}

fn word(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Flow => "Fluss",
        ItemKind::Options => "Angaben zum Exporteur, Vorlage",
        ItemKind::Counters => "Zähler, Format",
        ItemKind::Other => "Anderes, Vorlage oder Format",
    }
}

/// Fields by name; one that comes again has its number behind it.
fn object_of(fields: &[(String, Value)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in fields {
        let mut key = name.clone();
        let mut n = 1;
        while object.contains_key(&key) {
            n += 1;
            key = format!("{name}#{n}");
        }
        object.insert(key, value.clone());
    }
    object
}

fn table(fields: &[(String, Value)], out: &mut dyn Write) -> Result<()> {
    for (name, value) in fields {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        writeln!(out, "  {name:<34} {}", show::safe(&text))?;
    }
    Ok(())
}
