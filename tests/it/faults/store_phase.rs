//! What the event store was at when it was killed, told from what is left on disk: half-written segments, commits ahead of the
//! cursor, folders on their way in or out.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the event store can be at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// A segment is being written, or a partition is committed and the cursor does not say so yet.
    Index,
    /// Segments become one.
    Merge,
    /// Some of the days that are due have their seal.
    Seal,
    /// A day is marked as going, or on its way out.
    Retention,
    /// What is held of a day has its copy beside the store.
    Hold,
    /// A partition is made anew beside the store.
    Rebuild,
    /// What is to be forgotten is written down, and is not yet out of all partitions.
    Forget,
    /// The start was not over.
    Start,
}

impl Phase {
    pub(super) const ALL: [Self; 8] =
        [Self::Index, Self::Merge, Self::Seal, Self::Retention, Self::Hold, Self::Rebuild, Self::Forget, Self::Start];
}

/// How it was before: what an earlier kill left does not count again.
pub(super) struct Before {
    half: BTreeSet<PathBuf>,
    sealed: BTreeSet<PathBuf>,
    in_the_way: BTreeSet<PathBuf>,
}

impl Before {
    pub(super) fn look(data: &Path) -> Self {
        Self { half: half_written(data), sealed: sealed(data), in_the_way: in_the_way(data) }
    }

    /// What is half done now. A half-written segment belongs to what was aimed at: to a merge where nothing comes in.
    pub(super) fn left(&self, data: &Path, aim: Phase) -> BTreeSet<Phase> {
        let mut left = BTreeSet::new();
        let half = half_written(data).difference(&self.half).next().is_some();
        if half && matches!(aim, Phase::Merge | Phase::Seal) {
            left.insert(Phase::Merge);
        }
        if aim == Phase::Index && (half || ahead_of_the_cursor(data)) {
            left.insert(Phase::Index);
        }
        let sealed_now = sealed(data);
        if aim != Phase::Rebuild && sealed_now.difference(&self.sealed).next().is_some() && days(data).len() > sealed_now.len() {
            left.insert(Phase::Seal);
        }
        for path in in_the_way(data).difference(&self.in_the_way) {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let of = |folder: &str| path.parent().is_some_and(|above| above.ends_with(folder));
            left.extend(match () {
                () if of(".new") && name.starts_with("hold~") => Some(Phase::Hold),
                () if of(".new") => Some(Phase::Rebuild),
                () if of(".forgetting") => Some(Phase::Forget),
                () => Some(Phase::Retention),
            });
        }
        left
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(dir).map(|all| all.filter_map(|entry| Some(entry.ok()?.path())).collect()).unwrap_or_default()
}

fn days(data: &Path) -> Vec<PathBuf> {
    entries(&data.join("events/standard"))
}

fn sealed(data: &Path) -> BTreeSet<PathBuf> {
    days(data).into_iter().filter(|day| day.join("sealed.json").exists()).collect()
}

/// What is made beside the store, on its way out, or written down for it.
fn in_the_way(data: &Path) -> BTreeSet<PathBuf> {
    let events = data.join("events");
    let going = days(data).into_iter().filter(|day| day.join("going.json").exists());
    let places = [".new", ".going", ".forgetting"].into_iter().flat_map(|place| entries(&events.join(place)));
    going.chain(places).collect()
}

fn meta(day: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(day.join("meta.json")).ok()?).ok()
}

/// Files of segments that the index does not know of.
fn half_written(data: &Path) -> BTreeSet<PathBuf> {
    let mut half = BTreeSet::new();
    for day in days(data) {
        let Some(meta) = meta(&day) else { continue };
        let known: BTreeSet<String> = meta["segments"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|segment| Some(segment["segment_id"].as_str()?.replace('-', "")))
            .collect();
        half.extend(entries(&day).into_iter().filter(|file| {
            let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let stem = stem.split('.').next().unwrap_or_default();
            stem.len() == 32 && stem.bytes().all(|byte| byte.is_ascii_hexdigit()) && !known.contains(stem)
        }));
    }
    half
}

fn ahead_of_the_cursor(data: &Path) -> bool {
    let cursor = std::fs::read_to_string(data.join("events/cursor")).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let position = |day: &PathBuf| -> Option<u64> {
        let payload: serde_json::Value = serde_json::from_str(meta(day)?["payload"].as_str()?).ok()?;
        payload["position"].as_u64()
    };
    cursor.is_some_and(|cursor| days(data).iter().filter_map(position).any(|position| position > cursor))
}
