//! What the fuzz targets do with the bytes they are given: hostile input is data, so nothing may panic, and what does not
//! depend on how a stream was split must not. The integration tests run the same functions over the kept seeds.

mod families;
mod flows;

use std::net::Ipv4Addr;

use ingest::body::SITE_UNKNOWN;
use ingest::decode::{FIELDS_MAX, Options, decode};
use ingest::event::{Event, ValueRef};
use ingest::fields::NAME_BYTES_MAX;
use ingest::flow::FlowDecoder;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, PAYLOAD_BYTES_MAX, Seq, Transport};
use ingest::listen::framing::{FrameBytes, Framer};
use ingest::query::{Pipeline, Query};
use ingest::time::Timestamp;

/// A target's name, as its folder of seeds is called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

pub use families::{columns, firewall, generic, header, linux, mail, services, structured, web, windows};
pub use flows::{ipfix, netflow_v5, netflow_v9, sflow};

/// All targets: what comes over the network first, then the decoders by family.
pub const TARGETS: [Target; 22] = [
    ("framing", framing),
    ("relp", relp),
    ("gelf", gelf),
    ("http", http),
    ("letter", letter),
    ("line", line),
    ("query", query),
    ("netflow", netflow),
    ("netflow_v5", netflow_v5),
    ("netflow_v9", netflow_v9),
    ("ipfix", ipfix),
    ("sflow", sflow),
    ("header", header),
    ("firewall", firewall),
    ("windows", windows),
    ("mail", mail),
    ("web", web),
    ("structured", structured),
    ("columns", columns),
    ("linux", linux),
    ("services", services),
    ("generic", generic),
];

/// A mail as somebody sent it: whatever it is, there is a letter, on one line where it should be and without what moves the
/// cursor.
pub fn letter(data: &[u8]) {
    let letter = advisory::letter::letter_read(data, Some("mx.example"));
    assert!(!letter.subject.contains(char::is_control) && !letter.from.contains(char::is_control));
    assert!(letter.text.chars().all(|c| c == '\n' || !c.is_control()));
    assert!(letter.attachments.iter().all(|file| !file.name.contains(char::is_control)));
}

/// The first byte says how the rest is split.
fn split(data: &[u8]) -> (usize, &[u8]) {
    data.split_first().map_or((1, data), |(piece, rest)| (usize::from(*piece).max(1), rest))
}

/// Syslog over a stream: any split gives the same frames, none of them empty or too long.
pub fn framing(data: &[u8]) {
    let (piece, stream) = split(data);
    for new in [Framer::default, Framer::lines] {
        let whole = frames(new(), stream, stream.len());
        assert!(whole.iter().all(|frame| (1..=PAYLOAD_BYTES_MAX).contains(&frame.bytes.len())));
        assert_eq!(frames(new(), stream, piece), whole);
    }
}

fn frames(mut framer: Framer, stream: &[u8], piece: usize) -> Vec<FrameBytes> {
    let mut frames = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        framer.push(bytes);
        frames.extend(std::iter::from_fn(|| framer.next()));
    }
    framer.close();
    frames.extend(std::iter::from_fn(|| framer.next()));
    frames
}

/// RELP: any split gives the same parts and the same error.
pub fn relp(data: &[u8]) {
    let (piece, stream) = split(data);
    assert_eq!(ingest::listen::fuzzing::relp(stream, piece), ingest::listen::fuzzing::relp(stream, stream.len()));
}

/// GELF datagrams, each behind a byte with its length: messages whole or in parts, packed or not, each no longer than a frame.
pub fn gelf(mut data: &[u8]) {
    let datagrams = std::iter::from_fn(|| {
        let (len, rest) = data.split_first()?;
        let (datagram, rest) = rest.split_at(usize::from(*len).min(rest.len()));
        data = rest;
        Some(datagram)
    });
    assert!(ingest::listen::fuzzing::gelf(datagrams).iter().all(|payload| payload.len() <= PAYLOAD_BYTES_MAX));
}

/// HTTP bodies of every kind, packed in every way: refused, or frames that a journal takes and a decoder understands.
pub fn http(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    for received in ingest::listen::fuzzing::http(*kind, body).unwrap_or_default() {
        assert!((1..=PAYLOAD_BYTES_MAX).contains(&received.payload.len()));
        decode(&Frame { seq: Seq(1), frame: received }, &Options::default());
    }
}

/// A log line or a JSON object: always an event, whatever is wrong with it, and one that can be shown.
pub fn line(data: &[u8]) {
    let data = data.get(..PAYLOAD_BYTES_MAX).unwrap_or(data);
    for kind in [FrameKind::Line, FrameKind::Json] {
        let shown = becomes_an_event(kind, data).json("rathaus");
        assert!(!shown.is_empty());
    }
}

/// No byte is lost, what is shown stands in the line, and there is no more of it than we bear.
fn becomes_an_event(kind: FrameKind, data: &[u8]) -> Event {
    let event = decode(&frame(kind, data), &Options::default()).expect("a line is an event");
    assert_eq!(event.raw(), data);
    assert!(event.line().get(event.message_range()).is_some(), "the message is no slice of the line");
    assert!(event.fields().count() <= FIELDS_MAX);
    for (field, value) in event.fields() {
        // An invalid slice reads as an empty text, and an empty text is never put in.
        assert_ne!(value, ValueRef::Str(""), "{}", field.name());
        assert!(field.name().len() <= NAME_BYTES_MAX);
    }
    event
}

/// A query: understood or refused; what is understood can be asked of an event.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(query) = Query::parse_fixed(text) {
        assert_eq!(Query::parse_fixed(text).as_ref(), Ok(&query), "the same text is the same query");
    }
    if let Ok(pipeline) = Pipeline::parse(text, Timestamp(0)) {
        assert!(!pipeline.to_string().is_empty() && !pipeline.columns().is_empty());
    }
}

/// NetFlow: two datagrams out of one input, so that the second may use the first one's templates.
pub fn netflow(data: &[u8]) {
    let (at, rest) = split(data);
    let (first, second) = rest.split_at(at.min(rest.len()));
    let (mut decoder, mut flows) = (FlowDecoder::default(), Vec::new());
    for datagram in [first, second] {
        decoder.decode(&frame(FrameKind::Flow, datagram), &mut flows);
    }
    let mut restored = FlowDecoder::default();
    restored.restore(&decoder.snapshot());
    assert_eq!(restored.snapshot(), decoder.snapshot());
}

fn frame(kind: FrameKind, payload: &[u8]) -> Frame {
    let frame = NewFrame {
        received_at: Timestamp(1_795_000_000_000),
        site: SITE_UNKNOWN,
        peer: Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Tcp,
        kind,
        marks: Marks::default(),
        payload: payload.into(),
    };
    Frame { seq: Seq(1), frame }
}
