//! `decode`: what lines and datagrams become, without storing anything.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::decode::{Options, decode};
use ingest::flow::netflow::NetflowDecoder;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, PAYLOAD_BYTES_MAX, Seq, Transport};
use ingest::import::unpacked;
use ingest::record::FlowView;
use ingest::time::{Clock, Timestamp};

use super::{SOME_FAILED, eprint_line, eprint_list, print_event, print_object, search::record_json};
use crate::cli::DecodeArgs;
use crate::config::Config;

pub(super) fn decode_files(args: &DecodeArgs, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let options = Options::in_zone(config.zone);
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
