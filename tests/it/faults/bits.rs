//! A bit of the journal flips on the disk, and `wartburg journal verify` says so. Every bit of a segment is the journal's own
//! test; here some are drawn, and the built program is asked.

use super::Random;
use crate::program::{json_lines, wartburg};

const FLIPS: usize = 40;

#[test]
fn a_flipped_bit_is_noticed_by_the_program() {
    let mut random = Random::seeded("a_flipped_bit_is_noticed_by_the_program");
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Each import is a block of its own.
    for round in 0..6 {
        let log = dir.path().join("a.log");
        let lines: String = (0..50).map(|n| format!("<13>Nov 20 10:00:00 rathaus app[{n}]: {round} {}\n", random.next())).collect();
        std::fs::write(&log, lines).unwrap();
        json_lines(&data, &["import", &log.display().to_string(), "--json"]);
    }
    // Whether it is sound, and what it says. Damage at the very end looks like a block that a crash left unfinished, but the
    // stores have seen what was in it.
    let verify = || {
        let output = wartburg(&data, &["journal", "verify", "--json"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), said)
    };
    assert!(verify().0, "{}", verify().1);

    let entries = std::fs::read_dir(data.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let segment = entries.filter(|path| path.extension().is_some_and(|ending| ending == "wbj")).max().unwrap();
    let whole = std::fs::read(&segment).unwrap();
    let bits = u64::try_from(whole.len() * 8).unwrap();
    for _ in 0..FLIPS {
        let bit = usize::try_from(random.below(bits)).unwrap();
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&segment, bytes).unwrap();
        assert!(!verify().0, "bit {bit} of {bits}: {}", verify().1);
    }
    std::fs::write(&segment, whole).unwrap();
    assert!(verify().0, "{}", verify().1);
}
