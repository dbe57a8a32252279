//! Where an event's bytes are: by kind of file and, below that, by field. Read from the indexes' own account of themselves.

use std::collections::BTreeMap;
use std::path::Path;

use tantivy::Index;
use tantivy::space_usage::PerFieldSpaceUsage;

use super::report::number;

/// Fields that take less than this of an event are summed up.
const SHOWN_MIN: f64 = 0.3;

/// Bytes by kind of file, and by kind and field.
#[derive(Default)]
pub(crate) struct Space {
    events: u64,
    segments: usize,
    kinds: BTreeMap<&'static str, u64>,
    fields: BTreeMap<(&'static str, String), u64>,
}

impl Space {
    /// Adds all partitions below `dir`.
    pub(crate) fn of(dir: &Path) -> anyhow::Result<Self> {
        let mut space = Self::default();
        for class in std::fs::read_dir(dir)?.filter_map(Result::ok).filter(|entry| entry.path().is_dir()) {
            for day in std::fs::read_dir(class.path())?.filter_map(Result::ok) {
                if day.path().join("meta.json").exists() {
                    space.add(&day.path())?;
                }
            }
        }
        Ok(space)
    }

    fn add(&mut self, dir: &Path) -> anyhow::Result<()> {
        let searcher = Index::open_in_dir(dir)?.reader()?.searcher();
        for segment in searcher.space_usage()?.segments() {
            self.events += u64::from(segment.num_docs());
            self.segments += 1;
            *self.kinds.entry("store").or_default() += segment.store().total().get_bytes();
            self.kind("term", segment.termdict());
            self.kind("idx", segment.postings());
            self.kind("pos", segment.positions());
            self.kind("fast", segment.fast_fields());
            self.kind("fieldnorm", segment.fieldnorms());
        }
        Ok(())
    }

    fn kind(&mut self, kind: &'static str, usage: &PerFieldSpaceUsage) {
        *self.kinds.entry(kind).or_default() += usage.total().get_bytes();
        for field in usage.fields() {
            *self.fields.entry((kind, field.field_name().to_owned())).or_default() += field.total().get_bytes();
        }
    }

    /// Rows of a table: kind, field, bytes of an event.
    pub(crate) fn rows(&self) -> Vec<String> {
        let each = |bytes: u64| bytes as f64 / self.events.max(1) as f64;
        let shown = |bytes: u64| number(each(bytes), 1);
        let mut rows = vec![format!("| {} Ereignisse, {} Segmente | |", number(self.events as f64, 0), self.segments)];
        for (kind, bytes) in &self.kinds {
            rows.push(format!("| **.{kind}** | **{}** |", shown(*bytes)));
            let mut fields: Vec<_> = self.fields.iter().filter(|((of, _), _)| of == kind).collect();
            fields.sort_by_key(|(_, bytes)| std::cmp::Reverse(**bytes));
            let (large, small): (Vec<_>, Vec<_>) = fields.into_iter().partition(|(_, bytes)| each(**bytes) >= SHOWN_MIN);
            rows.extend(large.into_iter().map(|((_, field), bytes)| format!("| {field} | {} |", shown(*bytes))));
            if !small.is_empty() {
                rows.push(format!("| {} weitere | {} |", small.len(), shown(small.iter().map(|(_, bytes)| **bytes).sum())));
            }
        }
        rows.push(format!("| **zusammen** | **{}** |", shown(self.kinds.values().sum())));
        rows
    }
}
