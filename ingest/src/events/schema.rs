//! The form of an event in tantivy: which fields a partition's index has, and how an event becomes a document.
//!
//! Stored is only what re-creates the frame; a hit's fields come from decoding it again. Words of the line and pivot
//! fields are inverted and folded; all fields are columns; a vendor's fields are columns of one JSON field. What a
//! field cannot hold exactly (a value too long, a number that is none) is named in `_odd`, and then the line decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use tantivy::schema::{
    BytesOptions, FAST, Field, IndexRecordOption, IpAddrOptions, JsonObjectOptions, NumericOptions, OwnedValue, STORED, Schema,
    SchemaBuilder, TextFieldIndexing, TextOptions, Value,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{LowerCaser, RawTokenizer, RemoveLongFilter, SimpleTokenizer, TextAnalyzer, TokenizerManager};
use tantivy::{IndexSettings, IndexSortByField, Order, TantivyDocument};

use crate::body::SiteId;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FIELDS, FieldId, Kind, Storage};
use crate::frame::{Frame, FrameKind, NewFrame, Seq, Transport};
use crate::pseudonym::bare_event;
use crate::query::{fold, normal, words};
use crate::time::Timestamp;

/// Words longer than this are keys and blobs that nobody types; the dictionary does not keep them.
pub(super) const WORD_BYTES_MAX: usize = 64;
/// Values longer than this are found by reading the line; dictionaries do not keep them.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;
/// The documents' order and their time.
pub(super) const TIME: &str = "_ts";
pub(super) const SEQ: &str = "_seq";
pub(super) const SITE: &str = "_site";
pub(super) const LINE: &str = "_line";
pub(super) const DEFECT: &str = "_defect";
pub(super) const ODD: &str = "_odd";
pub(super) const FRAME: &str = "_frame";
/// The JSON field of vendors' columns.
pub(super) const VENDOR: &str = "_vendor";
const RECEIVED: &str = "_received";

const WORDS: &str = "words";
const FOLDED: &str = "folded";

pub(super) fn schema() -> Schema {
    let mut schema = Schema::builder();
    schema.add_i64_field(TIME, FAST);
    schema.add_i64_field(RECEIVED, FAST);
    schema.add_u64_field(SEQ, FAST);
    schema.add_bytes_field(FRAME, BytesOptions::from(STORED));
    schema.add_text_field(LINE, inverted(WORDS));
    schema.add_text_field(DEFECT, inverted("raw"));
    schema.add_text_field(ODD, inverted("raw"));
    schema.add_text_field(SITE, inverted("raw").set_fast("raw"));
    schema.add_json_field(VENDOR, JsonObjectOptions::default().set_fast("raw").set_expand_dots_enabled());
    for (field, id) in FIELDS.iter().zip((0u16..).map(FieldId)) {
        if !matches!(id, fields::SITE | fields::MESSAGE) {
            add_field(&mut schema, field);
        }
    }
    schema.build()
}

fn inverted(tokenizer: &str) -> TextOptions {
    let indexing = TextFieldIndexing::default().set_tokenizer(tokenizer).set_fieldnorms(false).set_index_option(IndexRecordOption::Basic);
    TextOptions::default().set_indexing_options(indexing)
}

fn add_field(schema: &mut SchemaBuilder, field: &fields::Field) {
    let pivot = field.storage == Storage::Pivot;
    match field.kind {
        Kind::Keyword | Kind::Bool => {
            let options = if pivot { inverted(FOLDED) } else { TextOptions::default() };
            schema.add_text_field(field.name, options.set_fast("raw"));
        }
        Kind::Ip => {
            let options = IpAddrOptions::default().set_fast();
            schema.add_ip_addr_field(field.name, if pivot { options.set_indexed() } else { options });
        }
        Kind::Int => {
            let options = NumericOptions::default().set_fast();
            schema.add_i64_field(field.name, if pivot { options.set_indexed() } else { options });
        }
    }
}

pub(super) fn tokenizers() -> TokenizerManager {
    let tokenizers = TokenizerManager::default();
    // The line is folded before it is cut, as `TextPattern` does it.
    let words = TextAnalyzer::builder(SimpleTokenizer::default()).filter(RemoveLongFilter::limit(WORD_BYTES_MAX + 1)).build();
    tokenizers.register(WORDS, words);
    tokenizers.register(FOLDED, TextAnalyzer::builder(RawTokenizer::default()).filter(LowerCaser).build());
    tokenizers
}

pub(super) fn settings() -> IndexSettings {
    IndexSettings {
        // Newest first: a range of time is a range of documents, found by bisection.
        sort_by_field: Some(IndexSortByField { field: TIME.into(), order: Order::Desc }),
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(3) }),
        // Compressing takes the writer's own thread: the machine has two cores and a pipeline.
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

/// Makes documents; holds the schema's field numbers.
pub(super) struct Documents {
    schema: Schema,
    known: Vec<Option<Field>>,
}

impl Documents {
    pub(super) fn new(schema: Schema) -> Self {
        let known = FIELDS.iter().map(|field| schema.get_field(field.name).ok()).collect();
        Self { schema, known }
    }

    /// `kind` is the frame's byte for its kind and marks.
    ///
    /// # Errors
    /// Where the partition's index is of another form.
    pub(super) fn document(&self, event: &Event, kind: u8) -> tantivy::Result<TantivyDocument> {
        let mut document = TantivyDocument::default();
        let mut odd = BTreeSet::new();
        document.add_i64(self.schema.get_field(TIME)?, event.timestamp.0);
        document.add_i64(self.schema.get_field(RECEIVED)?, event.received_at.0);
        document.add_u64(self.schema.get_field(SEQ)?, event.seq.0);
        document.add_text(self.schema.get_field(SITE)?, event.site.to_string());
        document.add_bytes(self.schema.get_field(FRAME)?, &frame_bytes(event, kind));
        for defect in event.defects.iter() {
            document.add_text(self.schema.get_field(DEFECT)?, defect.name());
        }
        self.add_line(&mut document, event, &mut odd)?;
        let mut vendor: BTreeMap<String, OwnedValue> = BTreeMap::new();
        for (field, value) in std::iter::once((fields::OBSERVER_IP, ValueRef::Ip(event.peer))).chain(event.fields()) {
            if field.known().is_none() {
                add_vendor(&mut vendor, field, value, &mut odd);
            } else if !self.add_known(&mut document, field, value) {
                odd.insert(field.name());
            }
        }
        if !vendor.is_empty() {
            document.add_object(self.schema.get_field(VENDOR)?, vendor);
        }
        for name in odd {
            document.add_text(self.schema.get_field(ODD)?, name);
        }
        Ok(document)
    }

    fn add_line(&self, document: &mut TantivyDocument, event: &Event, odd: &mut BTreeSet<&'static str>) -> tantivy::Result<()> {
        let line = fold(event.line());
        if words(&line).any(|(_, word)| word.len() > WORD_BYTES_MAX) {
            odd.insert(LINE);
        }
        document.add_text(self.schema.get_field(LINE)?, line);
        // A message that begins or ends within a word has a word that the line has not.
        let range = event.message_range();
        let cuts = |at: usize| {
            let before = event.line().get(..at).and_then(|text| text.chars().next_back());
            let behind = event.line().get(at..).and_then(|text| text.chars().next());
            before.is_some_and(char::is_alphanumeric) && behind.is_some_and(char::is_alphanumeric)
        };
        if cuts(range.start) || cuts(range.end) {
            odd.insert(fields::MESSAGE.name());
        }
        Ok(())
    }

    /// Whether the field could take the value.
    fn add_known(&self, document: &mut TantivyDocument, field: FieldId, value: ValueRef<'_>) -> bool {
        let (Some(Some(place)), Some(row)) = (self.known.get(usize::from(field.0)).copied(), field.known()) else { return false };
        match (row.kind, normal(field, value)) {
            (Kind::Ip, ValueRef::Ip(address)) => document.add_ip_addr(place, mapped(address)),
            (Kind::Int, ValueRef::Int(number)) => document.add_i64(place, number),
            (Kind::Ip | Kind::Int, _) => return false,
            (Kind::Keyword | Kind::Bool, value) => {
                let text = value.text();
                if text.is_empty() || text.len() > VALUE_BYTES_MAX {
                    return false;
                }
                document.add_text(place, text);
            }
        }
        true
    }
}

fn add_vendor(vendor: &mut BTreeMap<String, OwnedValue>, field: FieldId, value: ValueRef<'_>, odd: &mut BTreeSet<&'static str>) {
    let (name, text) = (field.name(), value.text());
    if !is_column_name(name) || text.is_empty() || text.len() > VALUE_BYTES_MAX {
        odd.insert(name);
        return;
    }
    let text = OwnedValue::Str(text.into_owned());
    match vendor.get_mut(name) {
        None => {
            vendor.insert(name.into(), text);
        }
        Some(OwnedValue::Array(all)) => all.push(text),
        Some(first) => {
            let before = std::mem::replace(first, OwnedValue::Null);
            *first = OwnedValue::Array(vec![before, text]);
        }
    }
}

/// Names that tantivy's JSON paths carry without escapes. Others are a vendor's oddities and are read from the line.
pub(super) fn is_column_name(name: &str) -> bool {
    name.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')))
}

/// Addresses are kept as IPv6, IPv4 mapped into it.
pub(super) fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

// The stored frame: version, transport, kind, site, peer, received_at, seq, payload. Version 2 has the event's context
// before the payload: its length in two bytes, then its text.

const FRAME_VERSION: u8 = 1;
const FRAME_VERSION_CONTEXT: u8 = 2;
const FRAME_HEAD: usize = 1 + 8 + 8 + 16 + 16 + 1 + 1;

fn frame_bytes(event: &Event, kind: u8) -> Vec<u8> {
    let context = event.context.as_deref().and_then(|text| Some((u16::try_from(text.len()).ok()?, text)));
    let mut bytes = Vec::with_capacity(FRAME_HEAD + event.raw().len() + context.map_or(0, |(_, text)| 2 + text.len()));
    // Fields that seldom change stand together at the front, for the compression's sake.
    bytes.push(if context.is_some() { FRAME_VERSION_CONTEXT } else { FRAME_VERSION });
    bytes.push(event.transport as u8);
    bytes.push(kind);
    bytes.extend(u128::from(event.site.0).to_be_bytes());
    bytes.extend(mapped(event.peer).octets());
    bytes.extend(event.received_at.0.to_be_bytes());
    bytes.extend(event.seq.0.to_be_bytes());
    if let Some((length, text)) = context {
        bytes.extend(length.to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(event.raw());
    bytes
}

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

/// What a document keeps; `None` where it is damaged or of a newer form.
pub(super) fn stored_of(document: &TantivyDocument, schema: &Schema) -> Option<Stored> {
    let stored = document.get_first(schema.get_field(FRAME).ok()?)?;
    let rest = stored.as_bytes()?;
    let (head, rest) = rest.split_first_chunk::<3>()?;
    let [version @ (FRAME_VERSION | FRAME_VERSION_CONTEXT), transport, kind] = *head else { return None };
    let (site, rest) = rest.split_first_chunk()?;
    let (peer, rest) = rest.split_first_chunk::<16>()?;
    let (received_at, rest) = rest.split_first_chunk()?;
    let (seq, payload) = rest.split_first_chunk()?;
    let seq = Seq(u64::from_be_bytes(*seq));
    let received_at = Timestamp(i64::from_be_bytes(*received_at));
    let site = SiteId(u128::from_be_bytes(*site).into());
    let peer = IpAddr::V6(Ipv6Addr::from(*peer)).to_canonical();
    let transport = Transport::from_u8(transport)?;
    if kind == KIND_BARE {
        return Some(Stored::Bare(bare_event(seq, received_at, site, peer, transport, payload)));
    }
    let (context, payload) = if version == FRAME_VERSION_CONTEXT {
        let (length, rest) = payload.split_first_chunk()?;
        let (text, payload) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
        (Some(std::str::from_utf8(text).ok()?.into()), payload)
    } else {
        (None, payload)
    };
    let (kind, marks) = FrameKind::from_byte(kind)?;
    let frame = NewFrame { received_at, site, peer, transport, kind, marks, payload: payload.into() };
    Some(Stored::Frame(Frame { seq, frame }, context))
}
