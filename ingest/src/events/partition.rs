//! One partition on disk: what is known of it without opening its index (`Facts`, kept in `summary.json`), the list of the
//! partitions that there must be (the catalog), and the index, opened. Decides nothing: whoever calls says what happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tantivy::{Index, IndexReader, ReloadPolicy, Searcher, SegmentReader};

use super::{EventStoreError, Payload, guarded, schema};
use crate::fields::FieldId;
use crate::time::Timestamp;

/// Holds what is known of the segments; made anew where it is missing.
const SUMMARY_FILE: &str = "summary.json";
/// Names of the partitions that there must be, one a line: a folder that somebody has deleted is noticed by it.
const CATALOG_FILE: &str = "partitions";
/// Partitions being made, each with `READY_FILE` once it is whole.
pub(super) const NEW_DIR: &str = ".new";
/// Partitions on their way out.
pub(super) const GOING_DIR: &str = ".going";
const DAMAGED_FILE: &str = "damaged";
const READY_FILE: &str = "ready";
/// How often a partition is looked at anew that somebody else changes at that moment.
const LOOKS_MAX: usize = 5;

/// What is known of a partition without opening it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    pub(super) payload: Payload,
    /// By the segment's id.
    pub(super) segments: BTreeMap<String, SegmentFacts>,
}

/// A segment; it never changes but for documents that are deleted in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SegmentFacts {
    /// Documents that are not deleted.
    pub(super) documents: u64,
    pub(super) deleted: u32,
    /// Oldest and newest time.
    pub(super) from: i64,
    pub(super) to: i64,
    /// First and last sequence.
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) files: BTreeMap<String, u64>,
    /// Vendors' fields, so that queries may name them before such a line comes again.
    pub(super) vendor: Vec<String>,
}

impl Facts {
    pub(super) fn documents(&self) -> u64 {
        self.segments.values().map(|segment| segment.documents).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.segments.values().flat_map(|segment| segment.files.values()).sum()
    }

    /// Oldest and newest time; `None` where it is empty.
    pub(super) fn span(&self) -> Option<(i64, i64)> {
        let filled = || self.segments.values().filter(|segment| segment.documents + u64::from(segment.deleted) > 0);
        Some((filled().map(|segment| segment.from).min()?, filled().map(|segment| segment.to).max()?))
    }

    /// First and last sequence.
    pub(super) fn seqs(&self) -> Option<(u64, u64)> {
        let filled = || self.segments.values().filter(|segment| segment.documents > 0);
        Some((filled().map(|segment| segment.first).min()?, filled().map(|segment| segment.last).max()?))
    }

    /// Looks at a partition without opening its index, where that can be done.
    ///
    /// # Errors
    /// Where it is damaged.
    pub(super) fn look(dir: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut last = None;
        for _ in 0..LOOKS_MAX {
            // Beside a running server a merge may take files away between two looks.
            match Self::look_once(dir) {
                Ok(facts) => return Ok(facts),
                Err(error) => last = Some(error),
            }
            if Meta::read(dir).is_none() {
                break;
            }
        }
        Err(last.unwrap_or_else(|| "the partition cannot be read".into()))
    }

    fn look_once(dir: &Path) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        if dir.join(DAMAGED_FILE).exists() {
            return Err("it was damaged while it took in events".into());
        }
        let known = summary_read(dir);
        if let Some(meta) = Meta::read(dir) {
            let sizes = sizes(dir);
            let mut facts = Self { payload: meta.payload(), segments: BTreeMap::new() };
            for segment in &meta.segments {
                let Some(found) = known.get(&segment.id()).filter(|found| found.deleted == segment.deleted()) else { break };
                for (name, bytes) in &found.files {
                    match sizes.get(name) {
                        Some(size) if size == bytes => {}
                        Some(_) => return Err(format!("{name} has another size than it was written with").into()),
                        None => return Err(format!("{name} is missing").into()),
                    }
                }
                facts.segments.insert(segment.id(), found.clone());
            }
            if facts.segments.len() == meta.segments.len() {
                facts.learn();
                return Ok(facts);
            }
        }
        let opened = guarded(|| Opened::open(dir))?;
        let facts = guarded(|| Self::of(dir, opened.payload()?, &opened.reader.searcher(), &Self { segments: known, ..Self::default() }))?;
        facts.save(dir);
        Ok(facts)
    }

    /// The facts of an open partition; what is known of a segment is not read again.
    pub(super) fn of(dir: &Path, payload: Payload, searcher: &Searcher, known: &Self) -> tantivy::Result<Self> {
        let mut facts = Self { payload, segments: BTreeMap::new() };
        let mut all = None;
        for reader in searcher.segment_readers() {
            let id = reader.segment_id().uuid_string();
            let of_segment = match known.segments.get(&id).filter(|known| known.deleted == reader.num_deleted_docs()) {
                Some(known) => known.clone(),
                None => SegmentFacts::of(reader, all.get_or_insert_with(|| sizes(dir)))?,
            };
            facts.segments.insert(id, of_segment);
        }
        facts.learn();
        Ok(facts)
    }

    fn learn(&self) {
        for name in self.segments.values().flat_map(|segment| &segment.vendor) {
            let _ = FieldId::intern(name);
        }
    }

    /// Writes the summary. Where that fails it is made anew at the next start, so nobody need know.
    pub(super) fn save(&self, dir: &Path) {
        let fresh = dir.join(format!("{SUMMARY_FILE}.{}", std::process::id()));
        let write =
            || std::fs::write(&fresh, serde_json::to_vec(&self.segments)?).and_then(|()| std::fs::rename(&fresh, dir.join(SUMMARY_FILE)));
        if let Err(error) = write() {
            let _ = std::fs::remove_file(&fresh);
            tracing::debug!(dir = %dir.display(), %error, "a partition's summary could not be kept");
        }
    }
}

impl SegmentFacts {
    fn of(reader: &SegmentReader, sizes: &BTreeMap<String, u64>) -> tantivy::Result<Self> {
        let id = reader.segment_id().uuid_string();
        let columns = reader.fast_fields();
        let (time, seq) = (columns.i64(schema::TIME)?, columns.u64(schema::SEQ)?);
        // Sorted newest first.
        let at = |doc: Option<u32>| doc.and_then(|doc| time.first(doc)).unwrap_or_default();
        let names = reader.fields_metadata()?.into_iter();
        let vendor = names.filter_map(|column| Some(column.field_name.strip_prefix(schema::VENDOR)?.strip_prefix('.')?.to_owned()));
        let empty = reader.max_doc() == 0;
        Ok(Self {
            documents: reader.num_docs().into(),
            deleted: reader.num_deleted_docs(),
            from: at(reader.max_doc().checked_sub(1)),
            to: at(Some(0).filter(|_| !empty)),
            first: if empty { 0 } else { seq.min_value() },
            last: if empty { 0 } else { seq.max_value() },
            files: sizes.iter().filter(|(name, _)| name.starts_with(&id)).map(|(name, size)| (name.clone(), *size)).collect(),
            vendor: vendor.collect::<BTreeSet<_>>().into_iter().collect(),
        })
    }
}

fn summary_read(dir: &Path) -> BTreeMap<String, SegmentFacts> {
    std::fs::read(dir.join(SUMMARY_FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The files of a folder with their sizes.
pub(super) fn sizes(dir: &Path) -> BTreeMap<String, u64> {
    let Ok(entries) = std::fs::read_dir(dir) else { return BTreeMap::new() };
    let one = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        Some((entry.file_name().into_string().ok()?, entry.metadata().ok().filter(std::fs::Metadata::is_file)?.len()))
    };
    entries.filter_map(one).collect()
}

/// What is needed of the index's own `meta.json`: the segments that count, and the commit's payload. Read by ourselves,
/// because opening the index for it takes most of what opening takes.
#[derive(Deserialize)]
pub(super) struct Meta {
    segments: Vec<MetaSegment>,
    #[serde(default)]
    payload: Option<String>,
}

#[derive(Deserialize)]
struct MetaSegment {
    segment_id: String,
    #[serde(default)]
    deletes: Option<MetaDeletes>,
}

#[derive(Deserialize)]
struct MetaDeletes {
    num_deleted_docs: u32,
}

impl Meta {
    pub(super) fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.join("meta.json")).ok()?).ok()
    }

    fn payload(&self) -> Payload {
        self.payload.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.segments.iter().map(MetaSegment::id).collect()
    }
}

impl MetaSegment {
    fn id(&self) -> String {
        self.segment_id.replace('-', "")
    }

    fn deleted(&self) -> u32 {
        self.deletes.as_ref().map_or(0, |deletes| deletes.num_deleted_docs)
    }
}

/// A partition's index, opened.
pub(super) struct Opened {
    pub(super) index: Index,
    /// Reloaded by hand after a commit, under the views' lock.
    pub(super) reader: IndexReader,
}

impl Opened {
    pub(super) fn open(dir: &Path) -> tantivy::Result<Self> {
        let mut index = Index::open_in_dir(dir)?;
        index.set_tokenizers(schema::tokenizers());
        Self::of(index)
    }

    /// A new one; or the one that is there, which a crash may have left without a document.
    pub(super) fn create(dir: &Path) -> tantivy::Result<Self> {
        if dir.join("meta.json").exists() {
            return Self::open(dir);
        }
        let index =
            Index::builder().schema(schema::schema()).settings(schema::settings()).tokenizers(schema::tokenizers()).create_in_dir(dir)?;
        Self::of(index)
    }

    fn of(index: Index) -> tantivy::Result<Self> {
        let reader =
            index.reader_builder().reload_policy(ReloadPolicy::Manual).doc_store_cache_num_blocks(super::STORE_BLOCKS).try_into()?;
        Ok(Self { index, reader })
    }

    pub(super) fn payload(&self) -> tantivy::Result<Payload> {
        Ok(self.index.load_metas()?.payload.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }
}

/// The retention class in a partition's name; a day that is held has its own in it.
pub(super) fn class_of(name: &str) -> &str {
    name.split_once('/').map_or(name, |(class, _)| class)
}

/// As `class_of`; of what is held, the class that its day had.
pub(super) fn class_held(name: &str) -> &str {
    let held = name.strip_prefix(super::HOLD).and_then(|rest| rest.strip_prefix('/'));
    held.and_then(|rest| rest.split_once('.')).map_or_else(|| class_of(name), |(class, _)| class)
}

/// Notes in a partition's folder that it is damaged and lacks what came last: from then on only `rebuild` makes it whole, even
/// where its files can be read again.
pub(super) fn damaged_note(dir: &Path) -> Result<(), EventStoreError> {
    replace(dir, DAMAGED_FILE, "")
}

/// The day in a partition's name, without the number of a sibling: `standard/2026-11-21.1` and `hold/standard.2026-11-21`
/// are of `2026-11-21`.
pub(super) fn day_of(name: &str) -> &str {
    let (class, day) = name.split_once('/').unwrap_or(("", name));
    let day = day.split_once('.').filter(|_| class == super::HOLD).map_or(day, |(_, day)| day);
    day.split_once('.').map_or(day, |(day, _)| day)
}

/// When a day begins; `None` where the text is none.
pub(super) fn day_begin(day: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(&format!("{day}T00:00:00Z"))
}

/// Folders of partitions below `dir` by their names. What begins with a dot is ours and no class.
pub(super) fn list(dir: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut all = Vec::new();
    for class in folders(dir)? {
        for day in folders(&class.1)? {
            all.push((format!("{}/{}", class.0, day.0), day.1));
        }
    }
    Ok(all)
}

pub(super) fn folders(dir: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if !name.is_empty() && !name.starts_with('.') && path.is_dir() {
            all.push((name.to_owned(), path.clone()));
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// The partitions that there must be; `None` where nobody has written that down yet.
///
/// # Errors
/// Where it is there and cannot be read: whoever took that for none would forget what is missing.
pub(super) fn catalog_read(dir: &Path) -> Result<Option<BTreeSet<String>>, EventStoreError> {
    let path = dir.join(CATALOG_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text.lines().map(str::to_owned).collect())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EventStoreError::Io { doing: "read", path, source }),
    }
}

/// Replaces the catalog so that a crash leaves the old or the new one. This is the moment at which a partition is there or gone.
pub(super) fn catalog_write(dir: &Path, names: &BTreeSet<String>) -> Result<(), EventStoreError> {
    let text: String = names.iter().flat_map(|name| [name, "\n"]).collect();
    replace(dir, CATALOG_FILE, &text)
}

/// Replaces a file so that a crash leaves the old or the new one.
pub(super) fn replace(dir: &Path, name: &str, text: &str) -> Result<(), EventStoreError> {
    let path = dir.join(name);
    let replace = || {
        let fresh = dir.join(format!("{name}.new"));
        let mut file = File::create(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&fresh, &path)?;
        File::open(dir)?.sync_all()
    };
    replace().map_err(|source| EventStoreError::Io { doing: "write", path: path.clone(), source })
}

/// Where a partition is made before it takes its place.
pub(super) fn new_dir(dir: &Path, name: &str) -> PathBuf {
    dir.join(NEW_DIR).join(name.replace('/', "~"))
}

/// Says that what is in `new_dir` is whole and may take its place.
pub(super) fn ready(new: &Path, name: &str) -> Result<(), EventStoreError> {
    replace(new, READY_FILE, name)
}

/// The name of the partition that a folder of `NEW_DIR` is to become; `None` where it is not whole.
pub(super) fn ready_for(new: &Path) -> Option<String> {
    std::fs::read_to_string(new.join(READY_FILE)).ok()
}

/// Moves a folder, and makes that durable.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), EventStoreError> {
    let work = || {
        if let Some(above) = to.parent() {
            std::fs::create_dir_all(above)?;
        }
        std::fs::rename(from, to)?;
        [from.parent(), to.parent()].into_iter().flatten().try_for_each(|above| File::open(above)?.sync_all())
    };
    work().map_err(|source| EventStoreError::Io { doing: "move", path: from.to_owned(), source })
}

/// Whether a partition's directory is what a crash leaves that comes before the index's first file: it holds nothing.
/// One with segments but without `meta.json` is damaged instead.
pub(super) fn is_unborn(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    let is_bookkeeping = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.starts_with('.'));
    entries.into_iter().all(|entry| entry.is_ok_and(|entry| is_bookkeeping(&entry.file_name())))
}
