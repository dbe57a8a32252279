//! Bad input: what holds for every line whoever wrote it. The lines are those of the golden tables and of the corpora, cut,
//! changed, spliced and blown up; there is never a panic, never a byte lost, never a slice of nothing. How long it takes
//! is not asserted here: `benches/decode.rs` measures it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;

use proptest::prelude::*;

use super::conformance::{all_lines, corpora};
use super::golden::samples::samples;
use super::golden::{RECEIVED, event_of};
use super::{DECODERS, FIELDS_MAX};
use crate::event::{Defect, Event, ValueRef};
use crate::fields::NAME_BYTES_MAX;
use crate::frame::FrameKind::{self, Json, Line};
use crate::time::Timestamp;

static SAMPLES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| samples(&ingest().join("src/decode/golden")));

fn ingest() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What a line grows to here; a frame is longer still, but no decoder knows that.
const LONG: usize = 64 * 1024;

/// What must hold for every payload; gives the event for what must hold besides.
#[track_caller]
fn holds(kind: FrameKind, payload: &[u8]) -> Event {
    let event = event_of(kind, payload);
    assert_eq!(event.raw(), payload, "a byte was lost");
    assert!(event.line().get(event.message_range()).is_some(), "the message is no slice of {:?}", event.line());
    for (field, value) in event.fields() {
        // An invalid slice reads as an empty text, and an empty text is never put in.
        assert_ne!(value, ValueRef::Str(""), "{} of {:?}", field.name(), event.line());
        assert_ne!(field.name(), "unknown");
        assert!(field.name().len() <= NAME_BYTES_MAX);
    }
    assert!(event.fields().count() <= FIELDS_MAX);
    assert!(event.timestamp <= RECEIVED.plus(Timestamp::DAY));
    event
}

/// The same, and that it can be written down and read again.
#[track_caller]
fn holds_as_json(kind: FrameKind, payload: &[u8]) -> Event {
    let event = holds(kind, payload);
    let json = serde_json::Value::Object(event.json("s"));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json.to_string()).unwrap(), json);
    event
}

/// Every second line in a thread of its own: there are two cores, and these tests have much to do.
fn for_each(lines: &[Vec<u8>], check: impl Fn(&[u8]) + Sync) {
    thread::scope(|scope| {
        for start in 0..2 {
            let check = &check;
            scope.spawn(move || lines.iter().skip(start).step_by(2).for_each(|line| check(line)));
        }
    });
}

#[test]
fn the_golden_tables_have_a_line_for_every_decoder() {
    let mut unseen: Vec<_> = DECODERS.iter().map(|decoder| decoder.name).collect();
    for sample in SAMPLES.iter() {
        let event = event_of(Line, sample);
        unseen.retain(|name| *name != event.decoder);
    }
    assert!(unseen.is_empty(), "no golden line is understood by {unseen:?}");
    assert!(SAMPLES.len() >= 200, "{}", SAMPLES.len());
}

#[test]
fn every_truncation_of_every_sample_keeps_what_is_left() {
    for_each(&SAMPLES, |sample| {
        for end in 0..=sample.len() {
            holds(Line, &sample[..end]);
        }
        holds_as_json(Line, sample);
        holds_as_json(Json, sample);
    });
}

#[test]
fn every_byte_of_every_sample_may_be_another() {
    for_each(&SAMPLES, |sample| {
        let mut changed = sample.to_vec();
        for at in 0..sample.len() {
            for byte in [0x00, 0xFF, b'"', b'\n', b'7', b'{'] {
                changed[at] = byte;
                holds(Line, &changed);
            }
            changed[at] = sample[at];
        }
    });
}

/// Behind every sample's every word, a character that is not part of it: invalid bytes, bidi marks, control characters.
#[test]
fn odd_characters_may_stand_anywhere() {
    const ODD: [&[u8]; 9] = [
        b"\xC3",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        "\u{202E}".as_bytes(),
        "\u{2066}".as_bytes(),
        b"\x1B[2J",
        b"\x7F",
        "\u{FEFF}".as_bytes(),
        "ß".as_bytes(),
    ];
    for_each(&SAMPLES, |sample| {
        let places = (0..=sample.len()).filter(|at| *at == 0 || !sample[at - 1].is_ascii_alphanumeric());
        for (n, at) in places.enumerate() {
            let odd = ODD[n % ODD.len()];
            holds(Line, &[&sample[..at], odd, &sample[at..]].concat());
        }
    });
}

#[test]
fn real_lines_may_be_cut_and_changed() {
    let Some(corpora) = corpora() else { return };
    let lines: Vec<_> = all_lines(&corpora).into_iter().map(String::into_bytes).collect();
    assert!(lines.len() > 10_000, "{}", lines.len());
    for_each(&lines, |line| {
        holds_as_json(Line, line);
        // Not every place of every line: the golden tables have had that. Another three in each line.
        let mut at = line.len() / 5;
        for byte in [b'"', 0xFF, b' '] {
            at = (at * 31 + 17) % line.len();
            holds(Line, &line[..at]);
            holds(Line, &[&line[..at], &[byte], &line[at + 1..]].concat());
            holds(Line, &[&line[at..], &line[..at]].concat());
        }
    });
}

#[test]
fn a_long_line_of_one_character_is_kept() {
    for byte in 0..=u8::MAX {
        let line = vec![byte; LONG];
        holds(Line, &line);
        holds(Json, &line);
    }
}

/// One character over and over where a decoder has begun to read.
#[test]
fn samples_that_go_on_with_one_character_are_kept() {
    let kinds: Vec<Vec<u8>> = one_per_decoder().into_iter().map(|(_, sample)| sample).collect();
    for_each(&kinds, |sample| {
        for byte in b" \"'=[](){}<>,;:|\\/\t#%-+.0aA\xFF" {
            for end in [sample.len() / 2, sample.len() * 3 / 4, sample.len()] {
                let mut line = sample[..end].to_vec();
                line.resize(LONG / 8, *byte);
                holds(Line, &line);
            }
        }
    });
}

/// The first golden line that each decoder understands.
fn one_per_decoder() -> Vec<(&'static str, Vec<u8>)> {
    let first = |name| SAMPLES.iter().find(|sample| event_of(Line, sample).decoder == name).cloned();
    DECODERS.iter().filter_map(|decoder| first(decoder.name).map(|sample| (decoder.name, sample))).collect()
}

/// A line ends where its frame ends; but what looks like the next key must not be read without end.
#[test]
fn ten_thousand_keys_stop_at_the_bound() {
    const KEYS: usize = 10_000;
    let many = |start: &str, pair: fn(usize) -> String, between: &str, end: &str| {
        format!("{start}{}{end}", (0..KEYS).map(pair).collect::<Vec<_>>().join(between))
    };
    // Names repeat, so that the tests of this process do not use up the table of names.
    for (what, line) in [
        ("kv", many("<13>Mar 14 07:59:58 h a: ", |n| format!("many.k{}=v{n}", n % 50), " ", "")),
        ("quoted kv", many("<13>Mar 14 07:59:58 h a: ", |n| format!("many.k{}=\"v {n}\"", n % 50), " ", "")),
        ("one name", many("<13>Mar 14 07:59:58 h a: ", |n| format!("many.k0={n}"), " ", "")),
        ("logfmt", many("time=2026-03-14T07:59:58Z level=info ", |n| format!("many_k{}=v{n}", n % 50), " ", "")),
        ("fortigate", many("<189>date=2026-03-14 time=07:59:58 devid=\"FG1\" type=\"event\" ", |n| format!("many{}={n}", n % 50), " ", "")),
        ("cef", many("<13>Mar 14 07:59:58 h CEF:0|V|P|1|1|n|5|", |n| format!("manyK{}=v{n}", n % 50), " ", "")),
        ("leef", many("<13>Mar 14 07:59:58 h LEEF:1.0|V|P|1|1|", |n| format!("manyK{}=v{n}", n % 50), "\t", "")),
        ("json", many("{", |n| format!("\"many.k{}\":{n}", n % 50), ",", "}")),
        ("json of objects", many("{", |n| format!("\"many{}\":{{\"a\":{n}}}", n % 50), ",", "}")),
        ("json array", many("{\"many\":[", |n| n.to_string(), ",", "]}")),
        ("structured data", many("<13>1 2026-03-14T07:59:58Z h a 1 - ", |n| format!("[many k{}=\"{n}\"]", n % 50), "", " x")),
    ] {
        let event = holds_as_json(Line, line.as_bytes());
        assert!(event.defects.contains(Defect::TooManyFields), "{what}: {} fields of {KEYS}", event.fields().count());
    }
}

/// A decoder that keeps only the keys it knows leaves ten thousand others alone.
#[test]
fn ten_thousand_unknown_keys_are_not_all_kept() {
    let keys: String = (0..10_000).map(|n| format!(" many{}={n}", n % 50)).collect();
    for start in ["type=SYSCALL msg=audit(1773471598.123:7):", "<4>Mar 14 07:59:58 fw kernel: IN=eth0 OUT= SRC=192.0.2.1"] {
        holds_as_json(Line, format!("{start}{keys}").as_bytes());
    }
}

#[test]
fn deep_json_is_refused_or_read_but_never_followed_down() {
    const DEEP: usize = 10_000;
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"a\":[", "]}"), ("[{\"a\":", "}]")] {
        let nested = format!("{}1{}", open.repeat(DEEP), close.repeat(DEEP));
        for line in [
            nested.clone(),
            open.repeat(DEEP),
            format!("{{\"message\":{nested}}}"),
            format!("<13>Mar 14 07:59:58 h a: {nested}"),
            format!("<13>Mar 14 07:59:58 h a: @cee: {{\"x\":{nested}}}"),
        ] {
            holds(Line, line.as_bytes());
            holds(Json, line.as_bytes());
        }
    }
}

/// A header within a header within a header: one is unwrapped, no more.
#[test]
fn nested_headers_are_not_followed_down() {
    let line = "<13>Mar 14 07:59:58 relay ".repeat(LONG / 26);
    holds(Line, line.as_bytes());
    let inner = r#"{"message":"{\"message\":\"x\"}"}"#;
    holds(Line, inner.as_bytes());
    let xml = "<Event><System><EventID>1</EventID></System></Event>".repeat(1_000);
    holds(Line, xml.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_become_an_event(payload in proptest::collection::vec(any::<u8>(), 0..400)) {
        holds_as_json(Line, &payload);
        holds_as_json(Json, &payload);
    }

    #[test]
    fn any_text_becomes_an_event(payload in "\\PC{0,300}") {
        holds_as_json(Line, payload.as_bytes());
    }

    /// Bytes changed, cut out and doubled in real lines reach further than noise does.
    #[test]
    fn damaged_samples_become_an_event(
        n in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let sample = n.get(&SAMPLES);
        let (at, other) = (at.index(sample.len()), other.index(sample.len()));
        let mut changed = sample.clone();
        changed[at] = byte;
        holds_as_json(Line, &changed);
        let (from, to) = (at.min(other), at.max(other));
        holds_as_json(Line, &[&sample[..from], &sample[to..]].concat());
        holds_as_json(Json, &[&sample[..to], &sample[from..]].concat());
    }

    /// The beginning of one device's line and the end of another's: what begins as one format ends as another.
    #[test]
    fn spliced_samples_become_an_event(
        first in any::<prop::sample::Index>(),
        second in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
    ) {
        let (first, second) = (first.get(&SAMPLES), second.get(&SAMPLES));
        let (to, from) = (to.index(first.len()), from.index(second.len()));
        holds_as_json(Line, &[&first[..to], &second[from..]].concat());
        holds_as_json(Json, &[&first[..to], &second[from..]].concat());
    }
}

/// Which of the fuzzer's families a decoder's lines belong to; one that is not named here is fuzzed with the rest.
const FAMILIES: &[(&str, &[&str])] = &[
    ("firewall", &["netfilter", "fortigate", "filterlog", "mikrotik", "cisco", "suricata"]),
    ("windows", &["snare", "windows_xml"]),
    ("mail", &["postfix", "dovecot", "amavis", "exim"]),
    ("web", &["apache", "http_access", "keycloak"]),
    ("structured", &["json", "cef"]),
    ("columns", &["csv"]),
    ("linux", &["pam", "sshd", "sudo", "accounts", "auditd"]),
    ("services", &["named", "vpn", "services", "database"]),
];

fn family(decoder: &str) -> &'static str {
    FAMILIES.iter().find(|(_, decoders)| decoders.contains(&decoder)).map_or("generic", |(family, _)| family)
}

/// How many lines of a decoder the fuzzer starts from, and how long they may be: it changes short ones faster, and all
/// seeds are read anew by each run.
const SEEDS_PER_DECODER: usize = 2;
const SEED_BYTES_MAX: usize = 600;
const HEADER_SEEDS: usize = 12;

/// The fuzzer's seeds are golden lines: `UPDATE_EXPECT=1` writes those that a decoder lacks.
#[test]
fn every_decoder_has_seeds_in_its_family() {
    let folder = ingest().join("../fuzz/seeds");
    let (mut missing, mut all) = (Vec::new(), 0);
    for decoder in DECODERS {
        let family = folder.join(family(decoder.name));
        let mut lines: Vec<_> = SAMPLES.iter().filter(|sample| event_of(Line, sample).decoder == decoder.name).collect();
        lines.sort_by_key(|line| line.len());
        lines.truncate(SEEDS_PER_DECODER);
        for (n, line) in lines.iter().filter(|line| line.len() <= SEED_BYTES_MAX).enumerate() {
            all += 1;
            let path = family.join(format!("{}-{}", decoder.name, n + 1));
            // The first byte chooses what is put before the rest; 0 is nothing.
            let seed = [&[0], line.as_slice()].concat();
            let understood = |seed: &[u8]| seed.get(1..).is_some_and(|line| event_of(Line, line).decoder == decoder.name);
            if !std::fs::read(&path).is_ok_and(|seed| understood(&seed)) {
                write_or_miss(&path, &seed, &mut missing);
            }
        }
    }
    // What only has a header: the shortest of those, for the header's own family.
    let mut headers: Vec<_> = SAMPLES.iter().filter(|sample| has_header_only(sample)).collect();
    headers.sort_by_key(|line| line.len());
    for (n, line) in headers.iter().take(HEADER_SEEDS).enumerate() {
        all += 1;
        let path = folder.join("header").join(format!("line-{}", n + 1));
        if !path.exists() {
            write_or_miss(&path, &[&[0], line.as_slice()].concat(), &mut missing);
        }
    }
    assert!(missing.is_empty(), "seeds to be written by UPDATE_EXPECT=1: {missing:#?}");
    assert!(all <= 200, "{all} seeds are more than a run should read");
}

fn has_header_only(line: &[u8]) -> bool {
    let event = event_of(Line, line);
    line.starts_with(b"<") && event.decoder.is_empty() && !event.defects.contains(Defect::NoHeader)
}

fn write_or_miss(path: &Path, seed: &[u8], missing: &mut Vec<PathBuf>) {
    if std::env::var_os("UPDATE_EXPECT").is_none() {
        missing.push(path.to_owned());
        return;
    }
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, seed).unwrap();
}
