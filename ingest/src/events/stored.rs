//! What a document keeps of its event: the frame's line and marks. The rest of the frame (sequence, time of receipt, site,
//! sender) is in columns anyway and is read from there: kept twice it took 13 bytes of an event (decision 008). Lines of
//! versions 1 and 2 have it all in one.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use tantivy::columnar::StrColumn;
use tantivy::fastfield::Column;
use tantivy::index::SegmentId;
use tantivy::schema::Value;
use tantivy::{DocAddress, Searcher, SegmentReader, TantivyDocument, TantivyError};

use super::Redecode;
use super::schema::{FRAME, RECEIVED, SEQ, SITE};
use crate::body::SiteId;
use crate::event::Event;
use crate::fields;
use crate::frame::{Frame, FrameKind, NewFrame, Seq, Transport};
use crate::pseudonym::bare_event;
use crate::time::Timestamp;

// Versions 1 and 2: version, transport, kind, site, peer, received_at, seq, payload. Version 2 has the event's context
// before the payload: its length in two bytes, then its text. Versions 3 and 4 are 1 and 2 without what columns hold.
const VERSION: u8 = 1;
const VERSION_CONTEXT: u8 = 2;
const VERSION_SHORT: u8 = 3;
const VERSION_SHORT_CONTEXT: u8 = 4;

/// The kind's byte of an event of which only the fields are kept (`pseudonym::bare_event`). No frame has it: the journal's
/// kinds never come here with it.
pub(super) const KIND_BARE: u8 = 0x0F;

/// What is kept of an event.
pub(super) enum Stored {
    /// Its frame, and its event's context.
    Frame(Frame, Option<Box<str>>),
    /// Its fields alone.
    Bare(Event),
}

/// The bytes that are kept; `kind` is the frame's byte for its kind and marks.
pub(super) fn frame_bytes(event: &Event, kind: u8) -> Vec<u8> {
    let context = event.context.as_deref().and_then(|text| Some((u16::try_from(text.len()).ok()?, text)));
    let mut bytes = Vec::with_capacity(3 + event.raw().len() + context.map_or(0, |(_, text)| 2 + text.len()));
    bytes.push(if context.is_some() { VERSION_SHORT_CONTEXT } else { VERSION_SHORT });
    bytes.push(event.transport as u8);
    bytes.push(kind);
    if let Some((length, text)) = context {
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(event.raw());
    bytes
}

/// Reads what a segment's documents keep.
pub(super) struct Keep {
    seq: Column<u64>,
    received: Column<i64>,
    peer: Option<Column<Ipv6Addr>>,
    site: Option<StrColumn>,
    /// Those looked up so far, by their number in the column's dictionary.
    sites: RefCell<HashMap<u64, SiteId>>,
}

impl Keep {
    /// # Errors
    /// Where the columns are damaged.
    pub(super) fn open(reader: &SegmentReader) -> tantivy::Result<Self> {
        let columns = reader.fast_fields();
        Ok(Self {
            seq: columns.u64(SEQ)?,
            received: columns.i64(RECEIVED)?,
            peer: columns.column_opt(fields::OBSERVER_IP.name())?,
            site: columns.str(SITE)?,
            sites: RefCell::default(),
        })
    }

    /// # Errors
    /// Where it is damaged or of a newer form.
    pub(super) fn read(&self, searcher: &Searcher, address: DocAddress) -> tantivy::Result<Stored> {
        let document: TantivyDocument = searcher.doc(address)?;
        let bytes = document.get_first(searcher.schema().get_field(FRAME)?).and_then(|value| value.as_bytes().map(<[u8]>::to_vec));
        let stored = bytes.and_then(|bytes| self.stored(&bytes, address.doc_id));
        stored.ok_or_else(|| TantivyError::InternalError("a stored frame cannot be read".into()))
    }

    pub(super) fn stored(&self, bytes: &[u8], doc: u32) -> Option<Stored> {
        let ([version, transport, kind], rest) = bytes.split_first_chunk::<3>()?;
        let (head, rest) = match *version {
            VERSION | VERSION_CONTEXT => Head::split(rest)?,
            VERSION_SHORT | VERSION_SHORT_CONTEXT => (self.head(doc)?, rest),
            _ => return None,
        };
        let Head { seq, received_at, site, peer } = head;
        let transport = Transport::from_u8(*transport)?;
        if *kind == KIND_BARE {
            return Some(Stored::Bare(bare_event(seq, received_at, site, peer, transport, rest)));
        }
        let (context, payload) = if matches!(*version, VERSION_CONTEXT | VERSION_SHORT_CONTEXT) {
            let (length, rest) = rest.split_first_chunk()?;
            let (text, payload) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
            (Some(std::str::from_utf8(text).ok()?.into()), payload)
        } else {
            (None, rest)
        };
        let (kind, marks) = FrameKind::from_byte(*kind)?;
        let frame = NewFrame { received_at, site, peer, transport, kind, marks, payload: payload.into() };
        Some(Stored::Frame(Frame { seq, frame }, context))
    }

    fn head(&self, doc: u32) -> Option<Head> {
        // The sender is the first of the column's values: `Documents` gives it before the line's own.
        let peer = IpAddr::V6(self.peer.as_ref()?.first(doc)?).to_canonical();
        let site = self.site_of(self.site.as_ref()?.ords().first(doc)?)?;
        Some(Head { seq: Seq(self.seq.first(doc)?), received_at: Timestamp(self.received.first(doc)?), site, peer })
    }

    fn site_of(&self, ord: u64) -> Option<SiteId> {
        if let Some(known) = self.sites.borrow().get(&ord) {
            return Some(*known);
        }
        let mut text = String::new();
        self.site.as_ref()?.ord_to_str(ord, &mut text).ok().filter(|found| *found)?;
        let site = text.parse().ok()?;
        self.sites.borrow_mut().insert(ord, site);
        Some(site)
    }
}

struct Head {
    seq: Seq,
    received_at: Timestamp,
    site: SiteId,
    peer: IpAddr,
}

impl Head {
    fn split(rest: &[u8]) -> Option<(Self, &[u8])> {
        let (site, rest) = rest.split_first_chunk()?;
        let (peer, rest) = rest.split_first_chunk::<16>()?;
        let (received_at, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let head = Self {
            seq: Seq(u64::from_be_bytes(*seq)),
            received_at: Timestamp(i64::from_be_bytes(*received_at)),
            site: SiteId(u128::from_be_bytes(*site).into()),
            peer: IpAddr::V6(Ipv6Addr::from(*peer)).to_canonical(),
        };
        Some((head, rest))
    }
}

/// Reads stored events one after the other, mostly of one segment.
pub(super) struct Lines<'a> {
    redecode: &'a Redecode,
    open: Option<(SegmentId, Keep)>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(redecode: &'a Redecode) -> Self {
        Self { redecode, open: None }
    }

    /// What a document keeps.
    ///
    /// # Errors
    /// Where it is damaged or of a newer form.
    pub(super) fn stored(&mut self, searcher: &Searcher, address: DocAddress) -> tantivy::Result<Stored> {
        let reader = searcher.segment_reader(address.segment_ord);
        let id = reader.segment_id();
        let keep = match self.open.take() {
            Some((of, keep)) if of == id => keep,
            _ => Keep::open(reader)?,
        };
        let stored = keep.read(searcher, address);
        self.open = Some((id, keep));
        stored
    }

    /// The event of a document.
    ///
    /// # Errors
    /// Where it is damaged or of a newer form.
    pub(super) fn event(&mut self, searcher: &Searcher, address: DocAddress) -> tantivy::Result<Event> {
        Ok(match self.stored(searcher, address)? {
            Stored::Bare(event) => event,
            Stored::Frame(frame, context) => event_of(&frame, context, self.redecode),
        })
    }
}

/// A frame that cannot be decoded any more is still shown, as its line.
pub(super) fn event_of(frame: &Frame, context: Option<Box<str>>, redecode: &Redecode) -> Event {
    redecode(frame, context).unwrap_or_else(|| {
        let inner = &frame.frame;
        Event::new(frame.seq, inner.received_at, inner.site, inner.peer, inner.transport, &inner.payload)
    })
}
