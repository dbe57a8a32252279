//! That the program's name only spares time: whoever is asked first, the same decoder takes the line.

use std::path::Path;

use super::draft::Draft;
use super::golden::samples::samples;
use super::{DECODERS, Look, PROGRAMS};
use crate::syslog;

/// Who takes a line, asked by its program first or in the table's order.
fn taken_by(line: &str, by_program: bool) -> (&'static str, usize) {
    let header = syslog::parse(line);
    let look = Look::new(header.app, header.message);
    let mut draft = Draft::new(line);
    draft.set_message(header.message);
    let known = look.program().and_then(|place| DECODERS.get(place)).filter(|_| by_program);
    if !known.is_some_and(|decoder| look.decoded_by(decoder, &mut draft)) {
        look.ask_all(&mut draft);
    }
    (draft.decoder, draft.into_parts().fields.len())
}

#[test]
fn the_programs_name_changes_nothing_but_the_time() {
    let (mut by_name, mut lines) = (0, 0);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decode/golden");
    for line in samples(&folder).into_iter().filter_map(|line| String::from_utf8(line).ok()) {
        assert_eq!(taken_by(&line, true), taken_by(&line, false), "{line}");
        let header = syslog::parse(&line);
        by_name += u32::from(Look::new(header.app, header.message).program().is_some());
        lines += 1;
    }
    assert!(lines > 200 && by_name > 50, "{by_name} of {lines}");
}

#[test]
fn every_program_names_a_decoder_and_one_only() {
    let mut seen = std::collections::BTreeSet::new();
    for (decoder, apps) in PROGRAMS {
        assert!(DECODERS.iter().any(|known| known.name == *decoder), "{decoder}");
        for app in *apps {
            assert!(seen.insert(app), "{app} twice");
        }
    }
}
