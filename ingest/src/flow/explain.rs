//! A datagram with everything that is in it, for people who look at one: elements that the record does not keep, options,
//! the counters of switches. Allocates as it likes; the decoder's own way is `decoder`.

use std::net::{Ipv4Addr, Ipv6Addr};

use nom::Parser;
use nom::number::complete::be_u32;
use serde_json::Value;

use super::decoder::{FlowDecoder, FlowReport};
use super::elements::{self, Form};
use super::sets::{self, IPFIX, V9};
use super::template::{Template, TemplateField, number};
use super::{FlowRecord, sflow, v5};
use crate::frame::{Frame, FrameKind};

/// Bytes of one value that are shown; nobody reads more of them in hexadecimal.
const SHOWN_BYTES_MAX: usize = 256;
/// Samples and records of one sFlow datagram that are shown: what a datagram can hold.
const PARTS_MAX: usize = 4_096;

/// What a part of a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    Flow,
    /// About the exporter: sampling rates, names of interfaces.
    Options,
    /// Of a switch's interface or processor.
    Counters,
    /// Anything else that a template describes or a vendor defined.
    Other,
}

impl ItemKind {
    /// The stable name in `decode --json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::Options => "options",
            Self::Counters => "counters",
            Self::Other => "other",
        }
    }
}

/// One data record or sample.
#[derive(Clone, Debug)]
pub struct Item {
    pub kind: ItemKind,
    /// The template's id, or the format of an sFlow sample.
    pub id: u32,
    /// By their names; elements that we have no name for by their number, those of vendors as `enterprise:number`.
    pub fields: Vec<(String, Value)>,
    /// The flows it makes: two where it tells of both directions.
    pub flows: Vec<FlowRecord>,
}

impl FlowDecoder {
    /// The parts of a datagram in their order, by the templates known so far: call it after `decode`.
    pub fn items(&mut self, frame: &Frame) -> Vec<Item> {
        if frame.frame.kind != FrameKind::Flow {
            return Vec::new();
        }
        match *frame.frame.payload {
            [0, 5, ..] => {
                let mut flows = Vec::new();
                v5::decode(frame, &self.sampling, &mut flows, &mut FlowReport::default());
                flows.into_iter().map(|flow| Item { kind: ItemKind::Flow, id: 5, fields: vec![], flows: vec![flow] }).collect()
            }
            [0, 9, ..] => self.set_items(frame, V9),
            [0, 10, ..] => self.set_items(frame, IPFIX),
            [0, 0, 0, 5, ..] => sample_items(frame),
            _ => Vec::new(),
        }
    }

    fn set_items(&mut self, frame: &Frame, version: u8) -> Vec<Item> {
        let Ok((rest, header)) = sets::header(frame, version) else { return Vec::new() };
        let mut origin = header.origin;
        origin.sampling = self.sampling.rate(origin.exporter, origin.domain);
        let Some(exporter) = self.exporters.get(origin.exporter) else { return Vec::new() };
        let mut items = Vec::new();
        sets::each_record(exporter, &origin, rest, &mut |key, template, bytes| {
            let mut fields = Vec::new();
            let mut index = 0usize;
            template.each_field(bytes, &mut |field, bytes| {
                let scope = version == V9 && template.scope.is_some_and(|scope| index < scope);
                index += 1;
                fields.push((field_name(&field, scope), if scope { plain(bytes) } else { shown(&field, bytes) }));
            });
            let mut flows = Vec::new();
            let kind = kind_of(template);
            if kind == ItemKind::Flow {
                let (flow, extra) = sets::flow(exporter, &key, template, bytes, &origin);
                flows.push(flow);
                flows.extend(extra.back.map(|back| back.record(&flow)));
            }
            items.push(Item { kind, id: key.id.into(), fields, flows });
        });
        items
    }
}

fn kind_of(template: &Template) -> ItemKind {
    match template.scope {
        Some(_) => ItemKind::Options,
        None if template.tells_of_traffic() => ItemKind::Flow,
        None => ItemKind::Other,
    }
}

fn field_name(field: &TemplateField, scope: bool) -> String {
    // RFC 3954 section 6.1: NetFlow's scopes have numbers of their own.
    if scope {
        let name = ["", "system", "interface", "lineCard", "cache", "template"].get(usize::from(field.element));
        return name.filter(|name| !name.is_empty()).map_or_else(|| format!("scope:{}", field.element), |name| format!("scope:{name}"));
    }
    match (elements::find(field.enterprise, field.element), field.enterprise) {
        (Some(element), elements::REVERSE) => format!("reverse:{}", element.name),
        (Some(element), _) => element.name.to_owned(),
        (None, 0) => field.element.to_string(),
        (None, enterprise) => format!("{enterprise}:{}", field.element),
    }
}

fn shown(field: &TemplateField, bytes: &[u8]) -> Value {
    let form = elements::find(field.enterprise, field.element).map(|element| element.form);
    match (form, bytes.len()) {
        (Some(Form::Address4), 4) => <[u8; 4]>::try_from(bytes).map_or(Value::Null, |octets| Ipv4Addr::from(octets).to_string().into()),
        (Some(Form::Address6), 16) => <[u8; 16]>::try_from(bytes).map_or(Value::Null, |octets| Ipv6Addr::from(octets).to_string().into()),
        (Some(Form::Mac), 6) => bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":").into(),
        (Some(_), 1..=8) => number(bytes).into(),
        _ => plain(bytes),
    }
}

/// Bytes of which nobody told the type: a number, a text, or hexadecimal.
fn plain(bytes: &[u8]) -> Value {
    if matches!(bytes.len(), 1 | 2 | 4 | 8) {
        return number(bytes).into();
    }
    let unpadded = bytes.iter().rposition(|byte| *byte != 0).map_or(&[][..], |last| bytes.get(..=last).unwrap_or_default());
    let text = std::str::from_utf8(unpadded).ok().filter(|text| !text.is_empty() && !text.contains(char::is_control));
    text.map_or_else(|| hexadecimal(bytes), |text| text.chars().take(SHOWN_BYTES_MAX).collect::<String>().into())
}

fn hexadecimal(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return "".into();
    }
    let digits: String = bytes.iter().take(SHOWN_BYTES_MAX).map(|byte| format!("{byte:02x}")).collect();
    format!("0x{digits}{}", if bytes.len() > SHOWN_BYTES_MAX { "…" } else { "" }).into()
}

fn sample_items(frame: &Frame) -> Vec<Item> {
    let Ok((mut rest, header)) = sflow::header(&frame.frame.payload) else { return Vec::new() };
    let origin = sflow::origin(frame, &header);
    let mut items = Vec::new();
    while let Ok((after, (format, body))) = sflow::tagged(rest) {
        rest = after;
        let expanded = matches!(format, sflow::FLOW_SAMPLE_EXPANDED | sflow::COUNTER_SAMPLE_EXPANDED);
        let (kind, mut fields, mut flows) = match format {
            sflow::FLOW_SAMPLE | sflow::FLOW_SAMPLE_EXPANDED => {
                let flow = sflow::flow_sample(body, expanded, &origin).ok().and_then(|(_, sample)| sample.record);
                (ItemKind::Flow, Vec::new(), Vec::from_iter(flow))
            }
            sflow::COUNTER_SAMPLE | sflow::COUNTER_SAMPLE_EXPANDED => (ItemKind::Counters, Vec::new(), Vec::new()),
            _ => (ItemKind::Other, vec![("bytes".to_owned(), hexadecimal(body))], Vec::new()),
        };
        let words: &[&str] = match format {
            sflow::FLOW_SAMPLE => &["sequence", "sourceId", "samplingRate", "samplePool", "drops", "input", "output"],
            sflow::FLOW_SAMPLE_EXPANDED => &[
                "sequence",
                "sourceIdType",
                "sourceIdIndex",
                "samplingRate",
                "samplePool",
                "drops",
                "inputFormat",
                "input",
                "outputFormat",
                "output",
            ],
            sflow::COUNTER_SAMPLE => &["sequence", "sourceId"],
            sflow::COUNTER_SAMPLE_EXPANDED => &["sequence", "sourceIdType", "sourceIdIndex"],
            _ => &[],
        };
        let mut inner = body;
        for name in words {
            let Some((word, after)) = word(inner) else { break };
            fields.push(((*name).to_owned(), word.into()));
            inner = after;
        }
        // Behind them the number of records, and these.
        if let Some((_count, mut records)) = word(inner).filter(|_| !words.is_empty()) {
            while let Ok((after, (format, body))) = sflow::tagged(records) {
                records = after;
                record_fields(kind, format, body, &mut fields);
                if fields.len() >= PARTS_MAX {
                    break;
                }
            }
        }
        flows.truncate(1);
        items.push(Item { kind, id: format, fields, flows });
        if items.len() >= PARTS_MAX {
            break;
        }
    }
    items
}

fn word(input: &[u8]) -> Option<(u32, &[u8])> {
    let parsed: nom::IResult<&[u8], u32> = be_u32.parse(input);
    parsed.ok().map(|(rest, word)| (word, rest))
}

/// Of a sample's record: a switch's counters by their names, what else as it is.
fn record_fields(kind: ItemKind, format: u32, mut body: &[u8], fields: &mut Vec<(String, Value)>) {
    let known = COUNTERS.iter().find(|(of, _)| kind == ItemKind::Counters && *of == format);
    let Some((_, names)) = known else {
        fields.push((format!("record:{}:{}", format >> 12, format & 0xfff), hexadecimal(body)));
        return;
    };
    for (name, len) in *names {
        let Some((bytes, rest)) = body.split_at_checked(*len) else { return };
        fields.push(((*name).to_owned(), number(bytes).into()));
        body = rest;
    }
}

/// Counter records of sFlow version 5 (enterprise 0): format, and the names of the fields with their lengths in bytes.
type Counters = (u32, &'static [(&'static str, usize)]);

const COUNTERS: [Counters; 4] = [
    (
        1,
        &[
            ("ifIndex", 4),
            ("ifType", 4),
            ("ifSpeed", 8),
            ("ifDirection", 4),
            ("ifStatus", 4),
            ("ifInOctets", 8),
            ("ifInUcastPkts", 4),
            ("ifInMulticastPkts", 4),
            ("ifInBroadcastPkts", 4),
            ("ifInDiscards", 4),
            ("ifInErrors", 4),
            ("ifInUnknownProtos", 4),
            ("ifOutOctets", 8),
            ("ifOutUcastPkts", 4),
            ("ifOutMulticastPkts", 4),
            ("ifOutBroadcastPkts", 4),
            ("ifOutDiscards", 4),
            ("ifOutErrors", 4),
            ("ifPromiscuousMode", 4),
        ],
    ),
    (
        2,
        &[
            ("dot3StatsAlignmentErrors", 4),
            ("dot3StatsFCSErrors", 4),
            ("dot3StatsSingleCollisionFrames", 4),
            ("dot3StatsMultipleCollisionFrames", 4),
            ("dot3StatsSQETestErrors", 4),
            ("dot3StatsDeferredTransmissions", 4),
            ("dot3StatsLateCollisions", 4),
            ("dot3StatsExcessiveCollisions", 4),
            ("dot3StatsInternalMacTransmitErrors", 4),
            ("dot3StatsCarrierSenseErrors", 4),
            ("dot3StatsFrameTooLongs", 4),
            ("dot3StatsInternalMacReceiveErrors", 4),
            ("dot3StatsSymbolErrors", 4),
        ],
    ),
    (5, &[("vlanId", 4), ("octets", 8), ("ucastPkts", 4), ("multicastPkts", 4), ("broadcastPkts", 4), ("discards", 4)]),
    (1_001, &[("cpu5s", 4), ("cpu1m", 4), ("cpu5m", 4), ("totalMemory", 8), ("freeMemory", 8)]),
];

#[cfg(test)]
mod tests;
