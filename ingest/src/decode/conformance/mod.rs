//! Against logs that nobody here wrote: loghub's, crowdsec's and rsyslog's, where they lie beside the workspace. Where
//! they are absent the tests say so and pass, unless `WARTBURG_CORPORA_REQUIRED=1`. What their names mean in ECS, and
//! where we differ on purpose, are the rows of `table`; the measured table stands in `docs/messungen/decoder.md`.

mod crowdsec;
mod loghub;
mod snare;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use super::{Options, decode};
use crate::body::SITE_UNKNOWN;
use crate::event::Event;
use crate::fields::FieldId;
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use crate::time::Timestamp;

pub(super) fn corpora() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|required| required != "1"), "no corpora at {}", folder.display());
    eprintln!("skipped: no corpora at {} (set WARTBURG_CORPORA)", folder.display());
    None
}

/// The corpora read a stamp without a zone as UTC; their youngest lines are of May 2026.
fn event(line: &str) -> Event {
    let frame = NewFrame {
        received_at: Timestamp::parse_rfc3339("2026-12-31T00:00:00Z").unwrap(),
        site: SITE_UNKNOWN,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Import,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload: line.as_bytes().into(),
    };
    decode(&Frame { seq: Seq(1), frame }, &Options::in_zone(chrono_tz::UTC)).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// The names in a folder, sorted, so that every run tells the same story.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

/// The first value of a field; empty where there is none.
fn text(event: &Event, field: FieldId) -> String {
    event.get(field).map(|value| value.text().into_owned()).unwrap_or_default()
}

/// The lines of all corpora that are text, for those who want many real lines.
pub(super) fn all_lines(corpora: &Path) -> Vec<String> {
    let mut files =
        vec![corpora.join("rsyslog/snare/sample-custom-pattern.data"), corpora.join("rsyslog/snare/sample-windows2022-security.data")];
    files.extend(names(&corpora.join("loghub")).iter().map(|name| corpora.join("loghub").join(name).join(format!("{name}_2k.log"))));
    files.extend(names(&corpora.join("crowdsec")).iter().filter_map(|name| crowdsec::log_of(&corpora.join("crowdsec").join(name))));
    let texts = files.iter().filter_map(|file| fs::read(file).ok());
    let lossy = texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    lossy.flat_map(|text| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()).collect()
}
