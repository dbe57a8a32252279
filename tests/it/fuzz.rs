//! The fuzz targets' kept inputs, and small changes to them, through the same functions: what a fuzzer has found once
//! stays found, and a target that no longer compiles is seen here and not a quarter of an hour later.

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "there it is a library")]
mod targets;

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[test]
fn seeds_and_what_is_near_them_hold() {
    for (name, target) in targets::TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| target(seed));
        let near = (prop::sample::select(seeds), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 0..6));
        let run =
            TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() }).run(&near, |(mut bytes, changes)| {
                for (place, byte, how) in changes {
                    let at = place.index(bytes.len() + 1);
                    match how {
                        0 => bytes.insert(at, byte),
                        1 if at < bytes.len() => bytes[at] = byte,
                        2 => bytes.truncate(at),
                        _ => bytes.extend_from_within(at.saturating_sub(usize::from(byte))..at),
                    }
                }
                target(&bytes);
                Ok(())
            });
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap()).collect()
}
