//! Sealing: a day that is over for long gets few large segments and a list of its files with their checksums, which
//! `store verify` holds them against. A late event opens it again; it is sealed anew when it has come to rest.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tantivy::index::SegmentId;

use super::partition::{Meta, Opened, day_begin, day_of, replace, sizes};
use super::writers::{MERGE_DOCS_MAX, locked};
use super::{EventStore, guarded};
use crate::frame::Seq;
use crate::time::Timestamp;

const SEAL_FILE: &str = "sealed.json";
const SEAL_VERSION: u32 = 1;
/// Read at once when files are summed up; between two of them it is asked whether to stop.
const CHUNK: usize = 1 << 20;
/// How often a merge that runs looks whether to stop.
const PATIENCE: Duration = Duration::from_millis(100);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a seal says, as it stands in `sealed.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub version: u32,
    pub at: Timestamp,
    pub documents: u64,
    pub bytes: u64,
    pub first: Seq,
    pub last: Seq,
    pub files: Vec<SealedFile>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedFile {
    pub name: String,
    pub bytes: u64,
    /// Eight hexadecimal digits.
    pub crc32c: String,
    pub sha256: String,
}

/// Takes a seal off, before anything behind it changes.
pub(super) fn unseal(dir: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(dir.join(SEAL_FILE)) {
        Ok(()) => File::open(dir)?.sync_all(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

pub(super) fn sealed(dir: &Path) -> Option<Sealed> {
    serde_json::from_slice(&std::fs::read(dir.join(SEAL_FILE)).ok()?).ok()
}

impl EventStore {
    /// The days that are to be sealed: over for `after_days`, not sealed, nothing pending.
    pub fn seal_due(&self, now: Timestamp, after_days: u32) -> Vec<String> {
        let views = self.snapshot();
        let damaged = self.damaged();
        let over = |name: &str| {
            let end = day_begin(day_of(name))?.plus(Timestamp::DAY);
            Some(now.since(end) >= i64::from(after_days) * Timestamp::DAY)
        };
        let due = views.partitions.iter().filter(|(name, view)| {
            let resting = view.memory.is_empty() && view.facts.documents() > 0 && !damaged.contains(*name);
            resting && over(name).unwrap_or(false) && !view.part.dir.join(SEAL_FILE).exists()
        });
        due.map(|(name, _)| name.clone()).collect()
    }

    /// Merges a partition's segments and seals it. False where an event came meanwhile, or `stop` said so: it is then as
    /// good as before, and is done again another time.
    ///
    /// # Errors
    /// Where its files cannot be read or written.
    pub fn seal(&self, name: &str, now: Timestamp, stop: &dyn Fn() -> bool) -> Result<bool, Failure> {
        let done = self.merge(name, stop).and_then(|merged| if merged { self.seal_files(name, now, stop) } else { Ok(false) });
        // At the program's end nobody waits for a merge: what it left is cleared away by the next writer.
        if !stop() {
            self.writer_close(name)?;
        }
        done
    }

    /// Merges neighbours in time, as long as they have no more than `MERGE_DOCS_MAX` documents together. One merge at a time;
    /// who writes meanwhile is not held up: merging has its own thread, and the writer's lock is held for moments only.
    pub(super) fn merge(&self, name: &str, stop: &dyn Fn() -> bool) -> Result<bool, Failure> {
        for ids in self.runs(name) {
            if stop() {
                return Ok(false);
            }
            let writer = self.writer(name)?;
            let mut held = locked(&writer);
            // Nothing else is merged behind our back while the files are summed up.
            held.merge_by_itself(false);
            let merging = held.writer.merge(&ids);
            drop(held);
            let (tell, told) = sync_channel(1);
            std::thread::Builder::new().name("seal-wait".into()).spawn(move || tell.send(merging.wait()))?;
            loop {
                match told.recv_timeout(PATIENCE) {
                    Ok(merged) => {
                        merged?;
                        break;
                    }
                    Err(RecvTimeoutError::Timeout) if !stop() => {}
                    Err(_) => return Ok(false),
                }
            }
            let held = locked(&writer);
            self.refresh(name)?;
            drop(held);
        }
        Ok(true)
    }

    /// Segments that are to become one, newest first.
    fn runs(&self, name: &str) -> Vec<Vec<SegmentId>> {
        let Some(view) = self.snapshot().partitions.get(name).cloned() else { return Vec::new() };
        let mut segments: Vec<_> = view.facts.segments.iter().collect();
        segments.sort_by_key(|(_, facts)| std::cmp::Reverse((facts.to, facts.last)));
        let (mut runs, mut run, mut documents, mut deleted) = (Vec::new(), Vec::new(), 0, false);
        for (id, facts) in segments {
            let Ok(id) = SegmentId::from_uuid_string(id) else { continue };
            if documents + facts.documents > MERGE_DOCS_MAX as u64 && !run.is_empty() {
                runs.push((std::mem::take(&mut run), std::mem::take(&mut deleted)));
                documents = 0;
            }
            documents += facts.documents;
            deleted |= facts.deleted > 0;
            run.push(id);
        }
        runs.push((run, deleted));
        // One alone is written anew only where what was deleted is still in it.
        runs.into_iter().filter(|(run, deleted)| run.len() > 1 || *deleted).map(|(run, _)| run).collect()
    }

    fn seal_files(&self, name: &str, now: Timestamp, stop: &dyn Fn() -> bool) -> Result<bool, Failure> {
        let Some(view) = self.snapshot().partitions.get(name).cloned() else { return Ok(false) };
        let (dir, facts) = (&view.part.dir, &view.facts);
        let mut files = Vec::new();
        for file in facts.segments.values().flat_map(|segment| segment.files.keys()) {
            match summed(dir, file, stop)? {
                Some(file) => files.push(file),
                None => return Ok(false),
            }
        }
        // With the writer held nothing changes any more: what was summed up is what counts.
        let writer = self.writer(name)?;
        let held = locked(&writer);
        let Some(meta) = summed(dir, "meta.json", &|| false)? else { return Ok(false) };
        let same = Meta::read(dir).is_some_and(|meta| meta.ids().iter().eq(facts.segments.keys()));
        let resting = self.snapshot().partitions.get(name).is_some_and(|view| view.memory.is_empty());
        if !same || !resting {
            return Ok(false);
        }
        files.push(meta);
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let (first, last) = facts.seqs().unwrap_or_default();
        let bytes = files.iter().map(|file| file.bytes).sum();
        let sealed =
            Sealed { version: SEAL_VERSION, at: now, documents: facts.documents(), bytes, first: Seq(first), last: Seq(last), files };
        replace(dir, SEAL_FILE, &serde_json::to_string_pretty(&sealed)?)?;
        drop(held);
        Ok(true)
    }

    /// What is wrong with a partition's files, in words; nothing where all is sound. A sealed day is held against its seal,
    /// another one against the index's own checksums.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn verify(&self, name: &str) -> Result<Vec<String>, Failure> {
        let dir = self.dir.join(name);
        if !dir.join("meta.json").exists() {
            return Ok(vec!["its folder or its meta.json is missing".into()]);
        }
        if let Some(sealed) = sealed(&dir) {
            return sealed_faults(&dir, &sealed);
        }
        let checked = guarded(|| {
            let opened = Opened::open(&dir)?;
            opened.index.validate_checksum().map(|bad| (bad, opened.reader.searcher().num_docs()))
        });
        match checked {
            Err(error) => Ok(vec![format!("its index cannot be opened: {error}")]),
            Ok((bad, _)) => Ok(bad.into_iter().map(|file| format!("{}: its checksum is wrong", file.display())).collect()),
        }
    }
}

fn sealed_faults(dir: &Path, sealed: &Sealed) -> Result<Vec<String>, Failure> {
    let there: BTreeMap<String, u64> = sizes(dir);
    let mut faults = Vec::new();
    for file in &sealed.files {
        match there.get(&file.name) {
            None => faults.push(format!("{}: missing", file.name)),
            Some(bytes) if *bytes != file.bytes => faults.push(format!("{}: {bytes} bytes instead of {}", file.name, file.bytes)),
            Some(_) if summed(dir, &file.name, &|| false)?.as_ref() != Some(file) => {
                faults.push(format!("{}: its checksum is wrong", file.name));
            }
            Some(_) => {}
        }
    }
    Ok(faults)
}

/// A file with its sums; `None` where `stop` said so.
fn summed(dir: &Path, name: &str, stop: &dyn Fn() -> bool) -> std::io::Result<Option<SealedFile>> {
    let mut file = File::open(dir.join(name))?;
    let (mut sha, mut crc, mut bytes, mut chunk) = (Sha256::new(), 0, 0, vec![0; CHUNK]);
    loop {
        let read = file.read(&mut chunk)?;
        let Some(part) = chunk.get(..read).filter(|part| !part.is_empty()) else { break };
        sha.update(part);
        crc = crc32c::crc32c_append(crc, part);
        bytes += part.len() as u64;
        if stop() {
            return Ok(None);
        }
    }
    let sha256 = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(SealedFile { name: name.to_owned(), bytes, crc32c: format!("{crc:08x}"), sha256 }))
}
