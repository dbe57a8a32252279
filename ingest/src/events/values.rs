//! The different values of a field, as the indexes' dictionaries have them: who asks for any of millions of values at once
//! looks through these, which are few, and searches only for those that he knows.

use std::net::{IpAddr, Ipv6Addr};

use tantivy::SegmentReader;

use super::bound::{Cancel, Deadline};
use super::{EventStore, guarded};
use crate::event::ValueRef;
use crate::fields::{FieldId, Kind, Storage};
use crate::time::Timestamp;
use std::time::Duration;

/// What a walk through values came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Valued {
    /// Its time was over, or partitions could not be read: values may be missing.
    pub partial: bool,
    /// Partitions of the asked time that could not be read.
    pub damaged: Vec<String>,
}

impl EventStore {
    /// Gives `each` every value that a field has in the days that reach into `from..to`, some more than once; texts of
    /// fields that are inverted are folded. Values too long for the dictionaries are not among them.
    pub fn each_value(
        &self,
        field: FieldId,
        from: Timestamp,
        to: Timestamp,
        time_max: Duration,
        each: &mut dyn FnMut(ValueRef<'_>),
    ) -> Valued {
        let deadline = Deadline::new(time_max, Cancel::default());
        let mut done = Valued::default();
        for (name, view) in &self.snapshot().partitions {
            for pending in view.memory.iter().flat_map(|chunk| chunk.iter()) {
                pending.event.get_all(field).for_each(&mut *each);
            }
            if !view.touches(from.0, to.0) {
                continue;
            }
            let walked = view.searcher().and_then(|searcher| {
                guarded(|| searcher.segment_readers().iter().try_for_each(|reader| each_of(reader, field, &deadline, each)))
            });
            if deadline.was_over() {
                done.partial = true;
                break;
            }
            if walked.is_err() {
                view.part.is_broken();
                done.partial = true;
                done.damaged.push(name.clone());
            }
        }
        done
    }
}

fn each_of(reader: &SegmentReader, field: FieldId, deadline: &Deadline, each: &mut dyn FnMut(ValueRef<'_>)) -> tantivy::Result<()> {
    let Some(row) = field.known() else { return Ok(()) };
    if row.storage == Storage::Column && row.kind == Kind::Keyword {
        let Some(column) = reader.fast_fields().str(row.name)? else { return Ok(()) };
        let mut terms = column.dictionary().stream()?;
        while terms.advance() {
            deadline.step()?;
            if let Ok(text) = std::str::from_utf8(terms.key()) {
                each(ValueRef::Str(text));
            }
        }
        return Ok(());
    }
    // A day from before the field was known has none.
    let Ok(place) = reader.schema().get_field(row.name) else { return Ok(()) };
    let inverted = reader.inverted_index(place)?;
    let mut terms = inverted.terms().stream()?;
    while terms.advance() {
        deadline.step()?;
        match row.kind {
            Kind::Ip => {
                if let Ok(octets) = <[u8; 16]>::try_from(terms.key()) {
                    each(ValueRef::Ip(IpAddr::V6(Ipv6Addr::from(octets)).to_canonical()));
                }
            }
            Kind::Keyword => {
                if let Ok(text) = std::str::from_utf8(terms.key()) {
                    each(ValueRef::Str(text));
                }
            }
            Kind::Int | Kind::Bool => {}
        }
    }
    Ok(())
}
