//! The decoder's memory as JSON, so that a restart loses no template, no sampling rate, no waiting data and no count.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::account::{Account, StreamKey};
use super::decoder::FlowDecoder;
use super::drops::Source;
use super::exporters::TemplateKey;
use super::sampler::Scope;
use super::template::{Origin, Template, TemplateField};
use super::waiting::{WaitingKey, WaitingSet};
use crate::body::SiteId;
use crate::frame::Seq;
use crate::time::Timestamp;

/// Another one is not read, and the templates come again from the exporters.
const FORMAT: u32 = 4;

impl FlowDecoder {
    /// Templates, sampling rates, waiting data and counts as a JSON value.
    pub fn snapshot(&self) -> serde_json::Value {
        let mut snapshot = Snapshot { format: FORMAT, position: self.position, ..Snapshot::default() };
        for (address, exporter) in self.exporters.sorted() {
            let templates = exporter.templates.iter().map(|(key, template)| TemplateEntry {
                version: key.version,
                domain: key.domain,
                id: key.id,
                scope: template.scope,
                fields: template.fields.iter().map(|field| (field.element, field.len, field.enterprise)).collect(),
            });
            let samplers = exporter.samplers.iter().map(|((version, domain, scope), rate)| (*version, *domain, *scope, *rate));
            snapshot.exporters.push(ExporterEntry { address, templates: templates.collect(), samplers: samplers.collect() });
        }
        snapshot.waiting = self.waiting.sets.values().map(WaitingEntry::from_set).collect();
        snapshot.streams = self.accounts.list();
        snapshot.forgotten = self.accounts.forgotten();
        snapshot.drops = self.drops.list();
        serde_json::to_value(&snapshot).unwrap_or_default()
    }

    /// Takes up a snapshot; one of another format, or none, leaves the decoder as it is. Everything passes the
    /// same bounds as what comes from the network.
    pub fn restore(&mut self, value: &serde_json::Value) {
        let Ok(snapshot) = Snapshot::deserialize(value) else { return };
        if snapshot.format != FORMAT {
            return;
        }
        self.position = self.position.max(snapshot.position);
        self.restored = self.position;
        for exporter in snapshot.exporters {
            for entry in exporter.templates {
                let field = |(element, len, enterprise)| TemplateField { element, len, enterprise };
                let fields = entry.fields.into_iter().map(field).collect();
                if let Ok(template) = Template::compile(fields, entry.scope, entry.version == super::sets::IPFIX) {
                    let key = TemplateKey { version: entry.version, domain: entry.domain, id: entry.id };
                    self.exporters.template_set(exporter.address, key, template);
                }
            }
            for (version, domain, scope, rate) in exporter.samplers {
                self.exporters.sampler_set(exporter.address, (version, domain, scope), rate);
            }
        }
        for entry in snapshot.waiting {
            if let Some((key, origin, body)) = entry.into_set() {
                self.waiting.push(key, &origin, &body);
            }
        }
        for (key, source, known) in snapshot.drops {
            self.drops.insert(key, source, known);
        }
        let mut accounts = self.accounts.lock();
        accounts.forgotten = snapshot.forgotten;
        for (key, account) in snapshot.streams {
            accounts.insert(key, account);
        }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Snapshot {
    format: u32,
    position: Seq,
    exporters: Vec<ExporterEntry>,
    waiting: Vec<WaitingEntry>,
    streams: Vec<(StreamKey, Account)>,
    /// Streams that had to go.
    forgotten: u64,
    /// Of sFlow's data sources.
    drops: Vec<(StreamKey, u64, Source)>,
}

#[derive(Serialize, Deserialize)]
struct ExporterEntry {
    address: IpAddr,
    templates: Vec<TemplateEntry>,
    /// Version, domain, what it holds for, rate.
    samplers: Vec<(u8, u32, Scope, u32)>,
}

#[derive(Serialize, Deserialize)]
struct TemplateEntry {
    version: u8,
    domain: u32,
    id: u16,
    scope: Option<usize>,
    /// Element, length, enterprise.
    fields: Vec<(u16, u16, u32)>,
}

#[derive(Serialize, Deserialize)]
struct WaitingEntry {
    exporter: IpAddr,
    version: u8,
    domain: u32,
    template: u16,
    seq: Seq,
    received_at: Timestamp,
    site: SiteId,
    export_at: Timestamp,
    uptime: Option<u32>,
    /// The set's body in hexadecimal.
    body: String,
}

impl WaitingEntry {
    fn from_set(set: &WaitingSet) -> Self {
        let (exporter, key) = set.key;
        Self {
            exporter,
            version: key.version,
            domain: key.domain,
            template: key.id,
            seq: set.origin.seq,
            received_at: set.origin.received_at,
            site: set.origin.site,
            export_at: set.origin.export_at,
            uptime: set.origin.uptime,
            body: set.body.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|n| char::from_digit(n.into(), 16)).collect(),
        }
    }

    fn into_set(self) -> Option<(WaitingKey, Origin, Vec<u8>)> {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (pairs, rest) = self.body.as_bytes().as_chunks::<2>();
        let body: Option<Vec<u8>> = pairs.iter().map(|[a, b]| Some(digit(*a)? << 4 | digit(*b)?)).collect();
        let origin = Origin {
            seq: self.seq,
            received_at: self.received_at,
            site: self.site,
            exporter: self.exporter,
            domain: self.domain,
            version: self.version,
            export_at: self.export_at,
            uptime: self.uptime,
            // Asked for anew when its template comes.
            sampling: 1,
        };
        let key = TemplateKey { version: self.version, domain: self.domain, id: self.template };
        body.filter(|_| rest.is_empty()).map(|body| ((self.exporter, key), origin, body))
    }
}
