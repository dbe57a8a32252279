//! NetFlow v5: a header of 24 bytes and up to 30 records of 48, no templates.

use std::net::Ipv4Addr;

use nom::number::complete::{be_u8, be_u16, be_u32};
use nom::{IResult, Parser};

use super::FlowRecord;
use super::account::Heard;
use super::decoder::FlowReport;
use super::defect::FlowDefect;
use super::sampling::SamplingTable;
use super::template::Origin;
use crate::frame::{Frame, NewFrame};
use crate::time::Timestamp;

/// As many as v5 allows in a datagram. A header that says otherwise is none, and what follows it would be noise.
const RECORDS_MAX: u16 = 30;
const RECORD_BYTES: usize = 48;

struct Header {
    count: u16,
    uptime: u32,
    export_at: Timestamp,
    sequence: u32,
    /// Type and number of the engine.
    engine: u16,
    sampling: u32,
}

pub(super) fn decode(frame: &Frame, table: &SamplingTable, out: &mut Vec<FlowRecord>, report: &mut FlowReport) -> Option<(u32, Heard)> {
    let Ok((rest, header)) = header(&frame.frame.payload) else {
        report.defects.add(FlowDefect::Truncated);
        return None;
    };
    if header.count == 0 || header.count > RECORDS_MAX {
        report.defects.add(FlowDefect::RecordCount);
        return None;
    }
    let believed = Origin::believed(header.export_at, frame.frame.received_at);
    if believed.is_none() {
        report.defects.add(FlowDefect::Time);
    }
    let origin = Origin {
        seq: frame.seq,
        received_at: frame.frame.received_at,
        site: frame.frame.site,
        exporter: frame.frame.peer,
        domain: header.engine.into(),
        version: 5,
        export_at: believed.unwrap_or(frame.frame.received_at),
        uptime: Some(header.uptime),
        sampling: table.rate(frame.frame.peer, header.engine.into()),
    };
    let count = usize::from(header.count);
    report.own = count;
    let (records, _) = rest.as_chunks::<RECORD_BYTES>();
    for bytes in records.iter().take(count) {
        if let Ok((_, mut record)) = record(bytes, &origin, header.uptime) {
            record.sampling = if header.sampling > 0 { header.sampling } else { origin.sampling };
            if record.start > record.end {
                report.defects.add(FlowDefect::Time);
                record.start = record.end;
            }
            report.flow(&origin, &record);
            out.push(record);
        }
    }
    if records.len() < count {
        report.defects.add(FlowDefect::Truncated);
        report.skipped += count - records.len();
    } else if rest.len() > count * RECORD_BYTES {
        report.defects.add(FlowDefect::TrailingBytes);
    }
    let NewFrame { received_at, site, .. } = frame.frame;
    let (sequence, uptime) = (header.sequence, Some(header.uptime));
    let heard = Heard { agent: None, sequence, uptime, export_at: header.export_at, received_at, site };
    Some((origin.domain, heard))
}

fn header(input: &[u8]) -> IResult<&[u8], Header> {
    let (rest, (_version, count, uptime, secs, nanos)) = (be_u16, be_u16, be_u32, be_u32, be_u32).parse(input)?;
    let (rest, (sequence, engine, sampling)) = (be_u32, be_u16, be_u16).parse(rest)?;
    let export_at = Timestamp(i64::from(secs) * 1_000 + i64::from(nanos / 1_000_000).min(999));
    // The two upper bits name the method, the others the interval; 0 says nothing.
    let sampling = u32::from(sampling & 0x3fff);
    Ok((rest, Header { count, uptime, export_at, sequence, engine, sampling }))
}

fn record<'a>(input: &'a [u8], origin: &Origin, uptime: u32) -> IResult<&'a [u8], FlowRecord> {
    let (rest, (src_ip, dst_ip, next_hop, in_if, out_if)) = (be_u32, be_u32, be_u32, be_u16, be_u16).parse(input)?;
    let (rest, (packets, bytes, first, last)) = (be_u32, be_u32, be_u32, be_u32).parse(rest)?;
    let (rest, (src_port, dst_port, _pad, tcp_flags, protocol, tos)) = (be_u16, be_u16, be_u8, be_u8, be_u8, be_u8).parse(rest)?;
    let (rest, (src_as, dst_as, src_mask, dst_mask)) = (be_u16, be_u16, be_u8, be_u8).parse(rest)?;
    let record = FlowRecord {
        start: origin.at_uptime(uptime, first),
        end: origin.at_uptime(uptime, last),
        src_ip: Ipv4Addr::from(src_ip).into(),
        dst_ip: Ipv4Addr::from(dst_ip).into(),
        src_port,
        dst_port,
        protocol,
        tcp_flags,
        tos,
        bytes: bytes.into(),
        packets: packets.into(),
        in_if: in_if.into(),
        out_if: out_if.into(),
        src_as: src_as.into(),
        dst_as: dst_as.into(),
        next_hop: Ipv4Addr::from(next_hop).into(),
        src_mask,
        dst_mask,
        ..origin.record()
    };
    Ok((rest, record))
}
