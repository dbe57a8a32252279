//! What a source said of its columns: `#Fields:` of W3C and Exchange logs, Zeek's `#fields`, a CSV's first line. Such a line
//! counts for what follows it, so a line is read by the last declaration at or before its own sequence: decoded again
//! years later, or by a store that is rebuilt, it says the very same. What was learned is kept by `crate::source`; here
//! is only what the decoder asks on every line. What a layout means is `columns`'.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use super::columns::Layout;
use crate::body::{SITE_UNKNOWN, SiteId};
use crate::frame::{Seq, Transport};

/// A longer declaration is an attack: Exchange's longest has 75 columns in 1,400 bytes.
pub const DECLARATION_BYTES_MAX: usize = 4_096;
/// Of one stream (host and tag). A declaration that only repeats the one in force is none, so this many are changes.
const PER_STREAM_MAX: usize = 64;
/// Of one sender, which can invent hosts and tags.
const PER_SENDER_MAX: usize = 512;
/// Of all senders that belong to no site, who can invent addresses too.
const STRANGERS_MAX: usize = 512;
/// Of all: at a usual 500 bytes some 8 MB. Nothing is ever dropped to make room, for then old lines would be read anew
/// in another way; beyond it, lines are read by their products' documented columns.
const DECLARATIONS_MAX: usize = 16_384;

/// A declaration as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    pub site: SiteId,
    pub peer: IpAddr,
    pub transport: Transport,
    /// The host that the lines name; empty where they name none.
    pub host: String,
    /// The program or file that the lines name; empty where they name none.
    pub tag: String,
    /// It counts from this frame on.
    pub since: Seq,
    /// The declaring line.
    pub columns: String,
}

/// Who speaks: the network's word first, then what the lines say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream<'s> {
    pub(super) sender: Sender,
    pub(super) host: &'s str,
    pub(super) tag: &'s str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sender {
    pub(super) site: SiteId,
    pub(super) peer: IpAddr,
    pub(super) transport: Transport,
}

/// The memory in use; clones share it.
#[derive(Clone, Debug, Default)]
pub struct SharedMemory(Arc<RwLock<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    senders: HashMap<Sender, Streams>,
    /// The same layout is kept once, however many streams declare it.
    layouts: HashMap<Box<str>, Arc<Layout>>,
    declarations: usize,
    strangers: usize,
    unsaved: Vec<Declaration>,
}

#[derive(Debug, Default)]
struct Streams {
    /// By host, then by tag, so that a lookup needs no key of its own.
    by_host: HashMap<Box<str>, HashMap<Box<str>, Vec<Declared>>>,
    declarations: usize,
}

#[derive(Clone, Debug)]
struct Declared {
    since: Seq,
    layout: Arc<Layout>,
}

impl SharedMemory {
    /// With what was learned before.
    pub fn restored(declarations: Vec<Declaration>) -> Self {
        let memory = Self::default();
        for known in declarations {
            let Some(layout) = Layout::of_line(&known.columns) else { continue };
            let sender = Sender { site: known.site, peer: known.peer, transport: known.transport };
            let stream = Stream { sender, host: &known.host, tag: &known.tag };
            memory.write().learn(stream, known.since, layout);
        }
        memory.write().unsaved.clear();
        memory
    }

    /// What was learned since this was last asked, to be stored before anything that was read by it.
    pub fn take_unsaved(&self) -> Vec<Declaration> {
        // On nearly every batch there is nothing, and then the readers are not held up.
        if self.0.read().unwrap_or_else(PoisonError::into_inner).unsaved.is_empty() {
            return Vec::new();
        }
        std::mem::take(&mut self.write().unsaved)
    }

    /// Gives back what could not be stored, for the next time.
    pub fn put_back(&self, mut unsaved: Vec<Declaration>) {
        let memory = &mut *self.write();
        unsaved.append(&mut memory.unsaved);
        memory.unsaved = unsaved;
    }

    pub(super) fn learn(&self, stream: Stream<'_>, since: Seq, layout: Layout) {
        self.write().learn(stream, since, layout);
    }

    /// The last layout of a stream declared at or before `seq` that `fits`.
    pub(super) fn find(&self, stream: Stream<'_>, seq: Seq, fits: impl Fn(&Layout) -> bool) -> Option<Arc<Layout>> {
        let memory = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let declared = memory.senders.get(&stream.sender)?.by_host.get(stream.host)?.get(stream.tag)?;
        declared.iter().rev().find(|declared| declared.since <= seq && fits(&declared.layout)).map(|declared| declared.layout.clone())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Memory> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn learn(&mut self, stream: Stream<'_>, since: Seq, layout: Layout) {
        let is_stranger = stream.sender.site == SITE_UNKNOWN;
        let known = self.senders.get(&stream.sender);
        let declared = known.and_then(|streams| streams.by_host.get(stream.host)?.get(stream.tag));
        // What one stream interleaves (Zeek's logs without tags) differs in its number of columns; only a declaration
        // that another of the same kind would be mistaken for must be kept again.
        let in_force = declared.and_then(|all| all.iter().rev().find(|one| one.since <= since && one.layout.is_like(&layout)));
        let room = declared.is_none_or(|all| all.len() < PER_STREAM_MAX)
            && known.is_none_or(|streams| streams.declarations < PER_SENDER_MAX)
            && self.declarations < DECLARATIONS_MAX
            && (!is_stranger || self.strangers < STRANGERS_MAX);
        if in_force.is_some_and(|one| *one.layout == layout) || !room {
            return;
        }
        let text: Box<str> = layout.line().into();
        let layout = self.layouts.entry(text).or_insert_with(|| Arc::new(layout)).clone();
        let streams = self.senders.entry(stream.sender).or_default();
        let declared = streams.by_host.entry(stream.host.into()).or_default().entry(stream.tag.into()).or_default();
        // Lines come in the journal's order, except where an old one is decoded again.
        let at = declared.partition_point(|one| one.since <= since);
        self.unsaved.push(Declaration {
            site: stream.sender.site,
            peer: stream.sender.peer,
            transport: stream.sender.transport,
            host: stream.host.to_owned(),
            tag: stream.tag.to_owned(),
            since,
            columns: layout.line().to_owned(),
        });
        declared.insert(at, Declared { since, layout });
        streams.declarations += 1;
        self.declarations += 1;
        self.strangers += usize::from(is_stranger);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IIS: &str = "#Fields: date time s-ip cs-method cs-uri-stem c-ip";
    const IIS_TURNED: &str = "#Fields: date time c-ip cs-method cs-uri-stem s-ip";

    fn stream(host: &str) -> Stream<'_> {
        let sender = Sender { site: SiteId(crate::id::Ulid(7)), peer: [192, 0, 2, 1].into(), transport: Transport::Tcp };
        Stream { sender, host, tag: "" }
    }

    fn learn(memory: &SharedMemory, host: &str, since: u64, line: &str) {
        memory.learn(stream(host), Seq(since), Layout::of_line(line).unwrap());
    }

    fn found(memory: &SharedMemory, host: &str, seq: u64) -> Option<String> {
        memory.find(stream(host), Seq(seq), |_| true).map(|layout| layout.line().to_owned())
    }

    #[test]
    fn a_line_is_read_by_the_last_declaration_before_it_also_after_a_restart() {
        let memory = SharedMemory::default();
        learn(&memory, "web", 10, IIS);
        learn(&memory, "web", 20, IIS);
        learn(&memory, "web", 30, IIS_TURNED);
        let unsaved = memory.take_unsaved();
        assert_eq!(unsaved.iter().map(|one| one.since.0).collect::<Vec<_>>(), [10, 30], "the same again is none");
        assert!(memory.take_unsaved().is_empty());
        for memory in [memory, SharedMemory::restored(unsaved)] {
            for (seq, expected) in [(9, None), (10, Some(IIS)), (29, Some(IIS)), (30, Some(IIS_TURNED)), (99, Some(IIS_TURNED))] {
                assert_eq!(found(&memory, "web", seq).as_deref(), expected, "{seq}");
                assert_eq!(found(&memory, "mail", seq), None);
            }
            assert!(memory.take_unsaved().is_empty());
        }
    }

    #[test]
    fn a_sender_that_invents_hosts_and_columns_ends_at_its_bound_and_forgets_nothing() {
        let memory = SharedMemory::default();
        learn(&memory, "web", 1, IIS);
        for n in 0..2_000_u64 {
            learn(&memory, &format!("h{n}"), n + 2, &format!("#Fields: date time x{n}"));
            learn(&memory, "web", n + 2, if n % 2 == 0 { IIS_TURNED } else { IIS });
        }
        assert_eq!(memory.0.read().unwrap().declarations, PER_SENDER_MAX);
        assert_eq!(found(&memory, "web", 1).as_deref(), Some(IIS));
        assert_eq!(memory.take_unsaved().len(), PER_SENDER_MAX);
    }
}
