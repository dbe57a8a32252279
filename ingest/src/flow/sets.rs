//! NetFlow v9 (RFC 3954) and IPFIX (RFC 7011): sets of templates, of options and of data. A set of data whose template is
//! not known yet is handed back, to wait for it.

use nom::number::complete::{be_u16, be_u32};
use nom::{IResult, Parser};

use super::decoder::FlowReport;
use super::defect::{FlowDefect, FlowDefects};
use super::exporters::{Exporter, Exporters, TemplateKey};
use super::sampler::{self, SamplerKey};
use super::template::{Extra, FIELDS_MAX, Origin, RecordBytes, Template, TemplateField};
use super::{FlowRecord, account};
use crate::frame::{Frame, NewFrame, Transport};
use crate::time::Timestamp;

pub(super) const V9: u8 = 9;
pub(super) const IPFIX: u8 = 10;
/// More records than this in one datagram come from a template of a few bytes, not from a router (a full
/// datagram of usual records holds 1,600). It bounds what one datagram can blow up to.
const RECORDS_MAX: usize = 8_192;
/// The ids of data sets begin here; below stand the kinds of sets.
pub(super) const DATA_SET_MIN: u16 = 256;
/// IPFIX marks the elements of vendors, and their number follows.
const ENTERPRISE_BIT: u16 = 0x8000;

/// What a datagram brought that the decoder's memory must act on.
#[derive(Default)]
pub(super) struct Brought<'a> {
    /// Templates that were learnt or changed.
    pub(super) templates: Vec<TemplateKey>,
    /// Data sets without template: its key and the set's body.
    pub(super) orphans: Vec<(TemplateKey, &'a [u8])>,
}

pub(super) struct Header {
    pub(super) origin: Origin,
    pub(super) heard: account::Heard,
    /// What is wrong with it.
    pub(super) defects: FlowDefects,
}

/// The header of v9 or IPFIX, and the sets behind it.
pub(super) fn header(frame: &Frame, version: u8) -> IResult<&[u8], Header> {
    let input = &*frame.frame.payload;
    let (rest, announced, uptime, secs, sequence, domain) = if version == V9 {
        let (rest, (_version, _count, uptime, secs, sequence, domain)) = (be_u16, be_u16, be_u32, be_u32, be_u32, be_u32).parse(input)?;
        (rest, input.len(), Some(uptime), secs, sequence, domain)
    } else {
        let (rest, (_version, len, secs, sequence, domain)) = (be_u16, be_u16, be_u32, be_u32, be_u32).parse(input)?;
        (rest, usize::from(len), None, secs, sequence, domain)
    };
    let mut defects = FlowDefects::default();
    // RFC 7011 section 3.1: the length of the whole message. What is there of it is read.
    let announced = announced.saturating_sub(input.len() - rest.len());
    let (sets, behind) = rest.split_at_checked(announced).unwrap_or((rest, &[]));
    if announced > rest.len() {
        defects.add(FlowDefect::Truncated);
    }
    if behind.iter().any(|byte| *byte != 0) {
        defects.add(FlowDefect::TrailingBytes);
    }
    let NewFrame { received_at, site, peer: exporter, .. } = frame.frame;
    let said = Timestamp(i64::from(secs) * 1_000);
    let believed = Origin::believed(said, received_at);
    if believed.is_none() {
        defects.add(FlowDefect::Time);
    }
    let export_at = believed.unwrap_or(received_at);
    let origin = Origin { seq: frame.seq, received_at, site, exporter, domain, version, export_at, uptime, sampling: 1 };
    let heard = account::Heard { agent: None, sequence, uptime, export_at: said, received_at, site };
    Ok((sets, Header { origin, heard, defects }))
}

/// Decodes in the order of the datagram: a template serves the sets behind it.
pub(super) fn decode<'a>(
    exporters: &mut Exporters,
    origin: &Origin,
    transport: Transport,
    mut rest: &'a [u8],
    out: &mut Vec<FlowRecord>,
    report: &mut FlowReport,
) -> Brought<'a> {
    let mut brought = Brought::default();
    let (templates, options) = if origin.version == V9 { (0, 1) } else { (2, 3) };
    while !rest.is_empty() {
        let Ok((after, (id, body))) = set(rest) else {
            // Some exporters fill the datagram up with zeros.
            if rest.iter().any(|byte| *byte != 0) {
                report.defects.add(FlowDefect::Truncated);
            }
            break;
        };
        rest = after;
        if id == templates || id == options {
            template_set(exporters, origin, transport, (id == options, body), &mut brought, report);
        } else if id >= DATA_SET_MIN {
            let key = TemplateKey { version: origin.version, domain: origin.domain, id };
            match exporters.serve(origin.exporter, &key) {
                Some(exporter) => {
                    let told = data_set(exporter, key, body, origin, out, report);
                    for (place, rate) in told {
                        exporters.sampler_set(origin.exporter, place, rate);
                    }
                }
                None if body.is_empty() => {}
                None => brought.orphans.push((key, body)),
            }
        } else {
            report.defects.add(FlowDefect::UnknownSet);
        }
    }
    brought
}

/// A set's id and body; its length counts its own header of four bytes.
fn set(input: &[u8]) -> IResult<&[u8], (u16, &[u8])> {
    let (rest, (id, len)) = (be_u16, be_u16).parse(input)?;
    let error = || nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::LengthValue));
    let len = usize::from(len).checked_sub(4).ok_or_else(error)?;
    let (body, rest) = rest.split_at_checked(len).ok_or_else(error)?;
    Ok((rest, (id, body)))
}

fn template_set(
    exporters: &mut Exporters,
    origin: &Origin,
    transport: Transport,
    (options, mut body): (bool, &[u8]),
    brought: &mut Brought<'_>,
    report: &mut FlowReport,
) {
    let ipfix = origin.version == IPFIX;
    // Up to three bytes are padding, whatever is in them (some controllers leave there what was); more are zeros.
    while body.len() > 3 && body.iter().any(|byte| *byte != 0) {
        let parsed = if ipfix { template_ipfix(body, options) } else { template_v9(body, options) };
        let Ok((rest, (id, fields, scope))) = parsed else {
            report.defects.add(FlowDefect::Template);
            return;
        };
        body = rest;
        let key = TemplateKey { version: origin.version, domain: origin.domain, id };
        if ipfix && fields.is_empty() {
            withdraw(exporters, origin, transport, key, options, report);
            continue;
        }
        match Template::compile(fields, scope, ipfix) {
            Ok(compiled) => {
                if compiled.odd_length {
                    report.defects.add(FlowDefect::FieldLength);
                }
                if exporters.template_set(origin.exporter, key, compiled) {
                    report.templates += 1;
                    brought.templates.push(key);
                }
            }
            Err(defect) => report.defects.add(defect),
        }
    }
}

/// RFC 7011 section 8.1: a template without fields takes it back; with the set's own id, all of its kind. Over UDP no exporter may
/// do so: a datagram that comes late would take back what is in use, and anybody can forge one.
fn withdraw(exporters: &mut Exporters, origin: &Origin, transport: Transport, key: TemplateKey, options: bool, report: &mut FlowReport) {
    if transport == Transport::Udp {
        report.defects.add(FlowDefect::Withdrawal);
        return;
    }
    let all = key.id < DATA_SET_MIN;
    let gone: Vec<TemplateKey> = exporters.get(origin.exporter).map_or_else(Vec::new, |exporter| {
        let of_stream = |known: &TemplateKey| (known.version, known.domain) == (key.version, key.domain);
        let known = exporter.templates.iter().filter(|(known, _)| of_stream(known));
        known
            .filter(|(known, template)| if all { template.scope.is_some() == options } else { known.id == key.id })
            .map(|(known, _)| *known)
            .collect()
    });
    report.withdrawn += gone.len();
    gone.into_iter().for_each(|key| exporters.template_remove(origin.exporter, key));
}

/// A template as announced: its id, its fields, and for options how many of them are the scope.
type Announced = (u16, Vec<TemplateField>, Option<usize>);

fn template_v9(input: &[u8], options: bool) -> IResult<&[u8], Announced> {
    let (rest, (id, first)) = (be_u16, be_u16).parse(input)?;
    let error = || nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Verify));
    if id < DATA_SET_MIN {
        return Err(error());
    }
    // Options give the lengths of their two parts in bytes, flows the number of fields.
    let (rest, count, scope) = if options {
        let (rest, option_len) = be_u16.parse(rest)?;
        (rest, usize::from(first / 4) + usize::from(option_len / 4), Some(usize::from(first / 4)))
    } else {
        (rest, usize::from(first), None)
    };
    let (bytes, rest) = rest.split_at_checked(count * 4).ok_or_else(error)?;
    let (fields, _) = bytes.as_chunks::<4>();
    let field =
        |[a, b, c, d]: &[u8; 4]| TemplateField { element: u16::from_be_bytes([*a, *b]), len: u16::from_be_bytes([*c, *d]), enterprise: 0 };
    Ok((rest, (id, fields.iter().map(field).collect(), scope)))
}

fn template_ipfix(input: &[u8], options: bool) -> IResult<&[u8], Announced> {
    let (mut rest, (id, count)) = (be_u16, be_u16).parse(input)?;
    let error = || nom::Err::Error(nom::error::Error::new(input, nom::error::ErrorKind::Verify));
    // Only a withdrawal of all may have the id of a kind of sets.
    if id < DATA_SET_MIN && (count > 0 || !(2..=3).contains(&id)) {
        return Err(error());
    }
    let mut scope = None;
    if options && count > 0 {
        let (after, scope_count) = be_u16.parse(rest)?;
        if scope_count > count {
            return Err(error());
        }
        (rest, scope) = (after, Some(usize::from(scope_count)));
    }
    // A field takes four bytes at least, so that no more is asked for than is there.
    let mut fields = Vec::with_capacity(usize::from(count).min(rest.len() / 4));
    for _ in 0..count {
        let (after, (element, len)) = (be_u16, be_u16).parse(rest)?;
        let (after, enterprise) = if element & ENTERPRISE_BIT == 0 { (after, 0) } else { be_u32.parse(after)? };
        rest = after;
        fields.push(TemplateField { element: element & !ENTERPRISE_BIT, len, enterprise });
    }
    Ok((rest, (id, fields, scope)))
}

/// Decodes a set of data by its template, and returns the sampling rates that an options set told. What is
/// left behind the last whole record is padding.
pub(super) fn data_set(
    exporter: &Exporter,
    key: TemplateKey,
    body: &[u8],
    origin: &Origin,
    out: &mut Vec<FlowRecord>,
    report: &mut FlowReport,
) -> Vec<(SamplerKey, u32)> {
    let mut told = Vec::new();
    let Some(template) = exporter.templates.get(&key) else { return told };
    let wanted = template.scope.is_some() || template.tells_of_traffic();
    let rates = exporter.rates(key, origin.sampling);
    let (blank, mut places) = (origin.record(), [(0, 0); FIELDS_MAX]);
    let mut rest = body;
    while rest.len() >= template.record_len && !(template.variable && padding(rest)) {
        let Some((bytes, after)) = template.split(rest, &mut places) else {
            report.defects.add(FlowDefect::Truncated);
            return told;
        };
        if !wanted || report.records + report.options >= RECORDS_MAX {
            // Of records that tell their lengths themselves nobody counts the rest.
            report.skipped += rest.len() / template.record_len;
            report.own += rest.len() / template.record_len;
            report.unsure |= template.variable;
            report.defects.add(if wanted { FlowDefect::RecordCount } else { FlowDefect::NoTraffic });
            return told;
        }
        rest = after;
        report.own += 1;
        if template.scope.is_some() {
            let extra = template.read(&bytes, origin, &mut { blank });
            report.options += 1;
            told.extend(extra.sampling.and_then(|rate| Some((sampler::place(template, &bytes, extra.sampler, origin)?, rate))));
            continue;
        }
        // Read where it will lie: a record is some cache lines, and copying it costs as much as reading it.
        out.push(blank);
        let Some(record) = out.last_mut() else { return told };
        let extra = template.read(&bytes, origin, record);
        record.sampling = rates.of(&extra, record);
        if extra.bad_time {
            report.defects.add(FlowDefect::Time);
        }
        report.flow(origin, record);
        if let Some(back) = extra.back {
            let back = back.record(record);
            out.push(back);
            report.records += 1;
            report.back += 1;
        }
    }
    // RFC 7011 section 3.3.1: padding is shorter than a record and should be zeros; up to three bytes may be anything.
    if rest.len() > 3 && rest.iter().any(|byte| *byte != 0) {
        report.defects.add(FlowDefect::TrailingBytes);
    }
    told
}

/// The flow that a data record tells of, for people who look at one datagram.
pub(super) fn flow(
    exporter: &Exporter,
    key: &TemplateKey,
    template: &Template,
    bytes: &RecordBytes<'_, '_>,
    origin: &Origin,
) -> (FlowRecord, Extra) {
    let mut record = origin.record();
    let extra = template.read(bytes, origin, &mut record);
    record.sampling = exporter.rates(*key, origin.sampling).of(&extra, &record);
    (record, extra)
}

/// Shorter than any field specifier, and zeros: nothing but padding.
fn padding(rest: &[u8]) -> bool {
    rest.len() <= 3 && rest.iter().all(|byte| *byte == 0)
}

/// Visits each data record whose template is known; for people who look at one datagram.
pub(super) fn each_record(
    exporter: &Exporter,
    origin: &Origin,
    mut rest: &[u8],
    visit: &mut dyn FnMut(TemplateKey, &Template, &RecordBytes<'_, '_>),
) {
    let mut places = [(0, 0); FIELDS_MAX];
    while let Ok((after, (id, mut body))) = set(rest) {
        rest = after;
        let key = TemplateKey { version: origin.version, domain: origin.domain, id };
        let Some(template) = exporter.templates.get(&key) else { continue };
        while body.len() >= template.record_len && !(template.variable && padding(body)) {
            let Some((record, after)) = template.split(body, &mut places) else { break };
            visit(key, template, &record);
            body = after;
        }
    }
}
