//! Days that an earlier version wrote: they stay as they are, are searched as they are, and take late events.

use std::net::{IpAddr, Ipv4Addr};

use super::stored::{Keep, Stored};
use super::tests::{DAY0, batch, frame, open, request, seqs};
use super::*;
use crate::frame::Transport;
use crate::pipeline::Consumer;

/// A day's folder with the schema from before there were forms.
fn without_forms(dir: &Path) {
    let day = dir.join("standard/2024-10-04");
    std::fs::create_dir_all(&day).unwrap();
    let mut fields = serde_json::to_value(schema::schema()).unwrap();
    fields.as_array_mut().unwrap().retain(|field| field["name"] != schema::FORM);
    let older: tantivy::schema::Schema = serde_json::from_value(fields).unwrap();
    assert!(older.get_field(schema::FORM).is_err());
    let index = tantivy::Index::builder().schema(older).settings(schema::settings()).tokenizers(schema::tokenizers());
    index.create_in_dir(&day).unwrap();
}

#[test]
fn a_day_from_before_there_were_forms_is_searched_and_written() {
    let dir = tempfile::tempdir().unwrap();
    without_forms(dir.path());
    let (store, mut consumer) = open(dir.path());
    // Two days alike, one of them the older.
    let at = |n: u64| DAY0 + (n as i64 % 2) * Timestamp::DAY + n as i64;
    let frames: Vec<Frame> = (0..20).map(|n| frame(n + 1, 1, &format!("t={}\thello at n{n} and again n7", at(n)))).collect();
    consumer.apply(&batch(&frames)).unwrap();
    consumer.flush().unwrap();
    assert!(store.seal("standard/2024-10-04", Timestamp(DAY0 + 9 * Timestamp::DAY), &|| false).unwrap());
    for (query, hits) in [
        ("hello", 20),
        ("n4", 1),
        ("n7", 20),
        ("\"hello at\"", 20),
        ("\"at n4 and\"", 1),
        ("\"again n7\"", 20),
        ("\"n7 and\"", 1),
        ("\"again hello\"", 0),
        ("NOT \"at n4\"", 19),
    ] {
        let result = store.search(&SearchRequest { limit: LIMIT_MAX, ..request(query) }).unwrap();
        assert_eq!((result.total, seqs(&result.hits).len(), result.partial), (hits, hits as usize, false), "{query}");
    }
}

#[test]
fn frames_of_all_versions_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer) = open(dir.path());
    consumer.apply(&batch(&[frame(7, 1, &format!("t={DAY0}\thello"))])).unwrap();
    consumer.flush().unwrap();
    let searcher = store.snapshot().partitions["standard/2024-10-04"].searcher().unwrap();
    let keep = Keep::open(searcher.segment_reader(0)).unwrap();
    let whole = |version: u8, rest: &[u8]| {
        let mut bytes = vec![version, Transport::Udp as u8, FrameKind::Line as u8];
        bytes.extend(5u128.to_be_bytes());
        bytes.extend(Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped().octets());
        bytes.extend(1_000i64.to_be_bytes());
        bytes.extend(99u64.to_be_bytes());
        bytes.extend(rest);
        bytes
    };
    let context = b"\0\x03abcline".as_slice();
    for (bytes, seq, expected) in [
        (whole(1, b"line"), 99, Some(None)),
        (whole(2, context), 99, Some(Some("abc"))),
        ([&[3, Transport::Udp as u8, FrameKind::Line as u8], b"line".as_slice()].concat(), 7, Some(None)),
        ([&[4, Transport::Udp as u8, FrameKind::Line as u8], context].concat(), 7, Some(Some("abc"))),
        (whole(5, b"line"), 0, None),
        (whole(1, b"")[..20].to_vec(), 0, None),
        (vec![4, Transport::Udp as u8, FrameKind::Line as u8, 0], 0, None),
        (vec![], 0, None),
    ] {
        let read = match keep.stored(&bytes, 0) {
            Some(Stored::Frame(frame, context)) => {
                assert_eq!((frame.seq, &*frame.frame.payload), (Seq(seq), b"line".as_slice()));
                let head = (frame.frame.received_at, frame.frame.site.0, frame.frame.peer);
                let whole = (Timestamp(1_000), 5u128.into(), IpAddr::V4(Ipv4Addr::new(192, 0, 2, 9)));
                assert_eq!(head == whole, seq == 99);
                Some(context)
            }
            _ => None,
        };
        assert_eq!(read, expected.map(|context| context.map(Into::into)));
    }
}
