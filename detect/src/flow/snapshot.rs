//! The file in which the detectors' state is kept: written beside, synced, and put in place of the old one, so that there
//! is always a whole one; a checksum says whether it is.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use ingest::body::BodyId;
use ingest::fields::FieldId;
use ingest::frame::Seq;
use serde_json::{Value, json};

use super::wire::{Reader, Writer};
use super::{Reason, RestoreError, Sheet};
use crate::finding::{Entity, Finding};

/// The file's format.
const VERSION: u8 = 1;
/// A larger file is not ours: all detectors together are bounded far below.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// A state with where it stands in the journal.
pub(super) struct Snapshot {
    /// It is the state behind this sequence.
    pub(super) seq: Seq,
    /// Which time something was found in quiet; `unfiled` is what was found the last time.
    pub(super) quiet: u64,
    pub(super) state: Vec<u8>,
    /// Findings as JSON.
    unfiled: Vec<Vec<u8>>,
}

impl Snapshot {
    pub(super) fn new(seq: Seq, quiet: u64, state: Vec<u8>, unfiled: &[Arc<Finding>]) -> Self {
        let unfiled = unfiled.iter().map(|finding| finding_json(finding).to_string().into_bytes()).collect();
        Self { seq, quiet, state, unfiled }
    }

    /// The findings that wait to be filed; one whose rule is gone is left out.
    pub(super) fn findings(&self, sheet: &Sheet) -> Vec<Arc<Finding>> {
        let read = |bytes: &Vec<u8>| finding_of(&serde_json::from_slice(bytes).ok()?, sheet).map(Arc::new);
        self.unfiled.iter().filter_map(read).collect()
    }
}

/// # Errors
/// The disk's own; the old file stays.
pub(super) fn snapshot_write(path: &Path, snapshot: &Snapshot) -> io::Result<()> {
    let mut body = Writer::new(VERSION);
    body.put(&snapshot.seq).put(&snapshot.quiet).bytes(&snapshot.state).put(&(snapshot.unfiled.len() as u64));
    snapshot.unfiled.iter().for_each(|finding| {
        body.bytes(finding);
    });
    let body = body.done();
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(&crc32c::crc32c(&body).to_le_bytes())?;
    file.write_all(&body)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// `None` where there is none.
///
/// # Errors
/// In words, where it cannot be read.
pub(super) fn snapshot_read(path: &Path) -> Result<Option<Snapshot>, String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    let (sum, body) = bytes.split_first_chunk::<4>().ok_or("it is too short")?;
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err("its checksum is wrong".into());
    }
    parse(body).map(Some).map_err(|error| error.to_string())
}

fn parse(body: &[u8]) -> Result<Snapshot, RestoreError> {
    let mut from = Reader::new(body, VERSION)?;
    let (seq, quiet, state) = (from.take()?, from.take()?, from.bytes()?.to_vec());
    let unfiled = (0..from.count()?).map(|_| from.bytes().map(<[u8]>::to_vec)).collect::<Result<_, _>>()?;
    from.done()?;
    Ok(Snapshot { seq, quiet, state, unfiled })
}

fn finding_json(finding: &Finding) -> Value {
    let (kind, name) = match &finding.entity {
        Entity::Ip(address) => ("ip", address.to_string()),
        Entity::Host(name) => ("host", name.clone()),
        Entity::User(name) => ("user", name.clone()),
        Entity::Indicator(value) => ("indicator", value.clone()),
        Entity::Site => ("site", String::new()),
    };
    json!({ "rule": finding.rule.name, "site": finding.site, "body": finding.body, "entity": [kind, name], "observables": finding.observables,
        "first": finding.first, "last": finding.last, "detected_at": finding.detected_at, "evidence": finding.evidence,
        "records": finding.records, "reasons": finding.reasons, "shares": finding.shares })
}

fn finding_of(value: &Value, sheet: &Sheet) -> Option<Finding> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let entity = value.get("entity")?;
    let name = text(entity.get(1)?)?;
    let entity = match entity.get(0)?.as_str()? {
        "ip" => Entity::Ip(name.parse().ok()?),
        "host" => Entity::Host(name),
        "user" => Entity::User(name),
        "indicator" => Entity::Indicator(name),
        _ => Entity::Site,
    };
    let kept = |(field, values): (&String, &Value)| {
        Some((FieldId::find(field)?.name(), values.as_array()?.iter().filter_map(text).collect::<Vec<String>>()))
    };
    Some(Finding {
        rule: sheet.get(value.get("rule")?.as_str()?)?.rule.clone(),
        site: serde_json::from_value(value.get("site")?.clone()).ok()?,
        body: serde_json::from_value::<Option<BodyId>>(value.get("body")?.clone()).ok()?,
        entity,
        observables: value.get("observables")?.as_object()?.iter().filter_map(kept).collect(),
        first: serde_json::from_value(value.get("first")?.clone()).ok()?,
        last: serde_json::from_value(value.get("last")?.clone()).ok()?,
        detected_at: serde_json::from_value(value.get("detected_at")?.clone()).ok()?,
        evidence: serde_json::from_value(value.get("evidence")?.clone()).ok()?,
        records: value.get("records")?.as_u64()?,
        reasons: serde_json::from_value::<Vec<Reason>>(value.get("reasons")?.clone()).ok()?,
        explanation: None,
        // Files of before have none.
        shares: value.get("shares").and_then(|shares| serde_json::from_value(shares.clone()).ok()).unwrap_or_default(),
    })
}
