//! One target for each protocol of flows: a row of datagrams of one exporter, so that templates, options, what waits and the
//! accounts work together. Each begins as its protocol does, or most inputs would end at the first bytes.

use ingest::flow::{FlowDecoder, FlowRecord, MEMORY_BYTES_MAX, SamplingRule, SamplingTable};
use ingest::frame::{Frame, FrameKind, Seq};

use super::frame;

/// Datagrams of one input.
const DATAGRAMS_MAX: usize = 16;

pub fn netflow_v5(data: &[u8]) {
    decode(&[0, 5], data);
}

pub fn netflow_v9(data: &[u8]) {
    decode(&[0, 9], data);
}

pub fn ipfix(data: &[u8]) {
    decode(&[0, 10], data);
}

pub fn sflow(data: &[u8]) {
    decode(&[0, 0, 0, 5], data);
}

/// Whatever comes: every flow is counted, is one that can be stored, and the decoder's memory keeps its bound, explains the
/// same datagrams, and goes on from its snapshot as without.
fn decode(version: &[u8], data: &[u8]) {
    let mut decoder = FlowDecoder::default();
    let exporters = vec!["127.0.0.0/8".parse().expect("a network")];
    let table = SamplingTable::new(vec![SamplingRule { exporters, domain: Some(1), rate: 100 }]);
    decoder.sampling_set(table.clone());
    let mut restored = FlowDecoder::default();
    let half = datagrams(data).count() / 2;
    for (index, datagram) in datagrams(data).enumerate() {
        let (mut out, mut again) = (Vec::new(), Vec::new());
        let frame = Frame { seq: Seq(index as u64 + 1), ..frame(FrameKind::Flow, &[version, datagram].concat()) };
        let report = decoder.decode(&frame, &mut out);
        assert_eq!(report.records, out.len());
        assert!(out.iter().all(is_sound));
        assert!(decoder.memory_bytes() <= MEMORY_BYTES_MAX);
        let items = decoder.items(&frame);
        assert!(items.iter().map(|item| item.flows.len()).sum::<usize>() <= 2 * datagram.len().max(1));
        if index == half {
            restored.restore(&decoder.snapshot());
            restored.sampling_set(table.clone());
        } else if index > half {
            let second = restored.decode(&frame, &mut again);
            assert_eq!((second.records, second.skipped, second.defects), (report.records, report.skipped, report.defects));
        }
    }
    assert_eq!(restored.accounts().list(), decoder.accounts().list());
}

fn is_sound(record: &FlowRecord) -> bool {
    record.start <= record.end && record.sampling > 0
}

/// Each behind two bytes with its length.
fn datagrams(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let next = move || {
        let (len, rest) = data.split_first_chunk::<2>()?;
        let (datagram, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)).min(rest.len()));
        data = rest;
        Some(datagram)
    };
    std::iter::from_fn(next).take(DATAGRAMS_MAX)
}
