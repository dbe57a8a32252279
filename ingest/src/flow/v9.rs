//! NetFlow v9 (RFC 3954): sets of templates, of options and of data. A set of data whose template is not known
//! yet is handed back, to wait for it.

use nom::number::complete::{be_u16, be_u32};
use nom::{IResult, Parser};

use super::FlowRecord;
use super::netflow::{FlowDefect, FlowReport};
use super::template::{Exporter, Exporters, Origin, Template, TemplateField};
use crate::frame::Frame;
use crate::time::Timestamp;

/// More records than this in one datagram come from a template of a few bytes, not from a router (a full
/// datagram of usual records holds 1,600). It bounds what one datagram can blow up to.
const RECORDS_MAX: usize = 8_192;
/// The ids of data sets begin here; below stand the kinds of sets.
pub(super) const DATA_SET_MIN: u16 = 256;

/// What a datagram brought that the decoder's memory must act on.
#[derive(Default)]
pub(super) struct Brought<'a> {
    /// Templates that were learnt or changed, by (source id, template id).
    pub(super) templates: Vec<(u32, u16)>,
    /// Data sets without template: its key and the set's body.
    pub(super) orphans: Vec<((u32, u16), &'a [u8])>,
}

pub(super) struct Header {
    pub(super) source: u32,
    pub(super) origin: Origin,
}

/// Decodes in the order of the datagram: a template serves the sets behind it.
pub(super) fn decode<'a>(
    exporters: &mut Exporters,
    header: &Header,
    mut rest: &'a [u8],
    out: &mut Vec<FlowRecord>,
    report: &mut FlowReport,
) -> Brought<'a> {
    let mut brought = Brought::default();
    while !rest.is_empty() {
        let Ok((after, (id, body))) = set(rest) else {
            // Some exporters fill the datagram up with zeros.
            if rest.iter().any(|byte| *byte != 0) {
                report.defects.add(FlowDefect::Truncated);
            }
            break;
        };
        rest = after;
        match id {
            0 | 1 => template_set(exporters, header, id == 1, body, &mut brought, report),
            DATA_SET_MIN.. => {
                let address = header.origin.exporter;
                let key = (header.source, id);
                match exporters.get(address).filter(|exporter| exporter.templates.contains_key(&key)) {
                    Some(exporter) => {
                        let rates = data_set(exporter, key, body, &header.origin, out, report);
                        for (sampler, rate) in rates {
                            exporters.sampler_set(address, (header.source, sampler), rate);
                        }
                    }
                    None if body.is_empty() => {}
                    None => brought.orphans.push((key, body)),
                }
            }
            _ => report.defects.add(FlowDefect::UnknownSet),
        }
    }
    brought
}

pub(super) fn header(frame: &Frame) -> IResult<&[u8], Header> {
    let (rest, (_version, _count, uptime, secs, _sequence, source)) =
        (be_u16, be_u16, be_u32, be_u32, be_u32, be_u32).parse(&*frame.frame.payload)?;
    let origin = Origin {
        seq: frame.seq,
        received_at: frame.frame.received_at,
        site: frame.frame.site,
        exporter: frame.frame.peer,
        version: 9,
        export_at: Timestamp(i64::from(secs) * 1_000),
        uptime,
    };
    Ok((rest, Header { source, origin }))
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
    header: &Header,
    options: bool,
    mut body: &[u8],
    brought: &mut Brought<'_>,
    report: &mut FlowReport,
) {
    // Up to three bytes are padding, whatever is in them (some controllers leave there what was); more are zeros.
    while body.len() > 3 && body.iter().any(|byte| *byte != 0) {
        let Ok((rest, (id, fields, scope))) = template(body, options) else {
            report.defects.add(FlowDefect::Template);
            return;
        };
        body = rest;
        match Template::compile(fields, scope) {
            Ok(compiled) => {
                if compiled.odd_length {
                    report.defects.add(FlowDefect::FieldLength);
                }
                let key = (header.source, id);
                if exporters.template_set(header.origin.exporter, key, compiled) {
                    report.templates += 1;
                    brought.templates.push(key);
                }
            }
            Err(defect) => report.defects.add(defect),
        }
    }
}

/// A template as announced: its id, its fields, and for options how many of them are the scope.
type Announced = (u16, Vec<TemplateField>, Option<usize>);

fn template(input: &[u8], options: bool) -> IResult<&[u8], Announced> {
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
    let field = |[a, b, c, d]: &[u8; 4]| TemplateField { element: u16::from_be_bytes([*a, *b]), len: u16::from_be_bytes([*c, *d]) };
    Ok((rest, (id, fields.iter().map(field).collect(), scope)))
}

/// Decodes a set of data by its template, and returns the sampling rates that an options set told. What is
/// left behind the last whole record is padding.
pub(super) fn data_set(
    exporter: &Exporter,
    key: (u32, u16),
    body: &[u8],
    origin: &Origin,
    out: &mut Vec<FlowRecord>,
    report: &mut FlowReport,
) -> Vec<(Option<u64>, u32)> {
    let mut rates = Vec::new();
    let Some(template) = exporter.templates.get(&key) else { return rates };
    let records = body.chunks_exact(template.record_len);
    if records.remainder().len() > 3 {
        report.defects.add(FlowDefect::TrailingBytes);
    }
    let wanted = template.scope.is_some() || template.tells_of_traffic();
    for (index, bytes) in records.enumerate() {
        if !wanted || report.records + report.options >= RECORDS_MAX {
            report.skipped += body.len() / template.record_len - index;
            report.defects.add(if wanted { FlowDefect::RecordCount } else { FlowDefect::NoTraffic });
            break;
        }
        let (mut record, extra) = template.read(bytes, origin);
        if template.scope.is_some() {
            report.options += 1;
            rates.extend(extra.sampling.map(|rate| (extra.sampler, rate)));
            continue;
        }
        record.sampling = extra.sampling.unwrap_or_else(|| exporter.sampling(key.0, extra.sampler));
        if extra.bad_time {
            report.defects.add(FlowDefect::Time);
        }
        out.push(record);
        report.records += 1;
    }
    rates
}
