//! The form of an event in tantivy: which fields a partition's index has, and how an event becomes a document.
//!
//! Stored is only what re-creates the frame (`stored`); a hit's fields come from decoding it again. The line's form and its
//! other words (`form`) and pivot fields are inverted and folded; all fields are columns; a vendor's fields are columns of
//! one JSON field. What a field cannot hold exactly (a value too long, a number that is none) is named in `_odd`, and then
//! the line decides.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use tantivy::schema::{
    BytesOptions, FAST, Field, IndexRecordOption, IpAddrOptions, JsonObjectOptions, NumericOptions, OwnedValue, STORED, Schema,
    SchemaBuilder, TextFieldIndexing, TextOptions,
};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{LowerCaser, RawTokenizer, RemoveLongFilter, SimpleTokenizer, TextAnalyzer, TokenizerManager};
use tantivy::{IndexSettings, IndexSortByField, Order, TantivyDocument};

use super::form::{Forms, NONE};
use super::stored::frame_bytes;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FIELDS, FieldId, Kind, Storage};
use crate::query::{fold, normal, words};

/// Words longer than this are keys and blobs that nobody types; the dictionary does not keep them.
pub(super) const WORD_BYTES_MAX: usize = 64;
/// Values longer than this are found by reading the line; dictionaries do not keep them.
pub(super) const VALUE_BYTES_MAX: usize = 1_024;
/// The documents' order and their time.
pub(super) const TIME: &str = "_ts";
pub(super) const SEQ: &str = "_seq";
pub(super) const SITE: &str = "_site";
/// The words of the line that its form leaves out; all of them where it has none.
pub(super) const LINE: &str = "_line";
/// The line's form, or `form::NONE`. Days from before there were forms do not have it.
pub(super) const FORM: &str = "_form";
pub(super) const DEFECT: &str = "_defect";
pub(super) const ODD: &str = "_odd";
pub(super) const FRAME: &str = "_frame";
/// The JSON field of vendors' columns.
pub(super) const VENDOR: &str = "_vendor";
pub(super) const RECEIVED: &str = "_received";

const WORDS: &str = "words";
const FOLDED: &str = "folded";

pub(super) fn schema() -> Schema {
    let mut schema = Schema::builder();
    schema.add_i64_field(TIME, FAST);
    schema.add_i64_field(RECEIVED, FAST);
    schema.add_u64_field(SEQ, FAST);
    schema.add_bytes_field(FRAME, BytesOptions::from(STORED));
    schema.add_text_field(LINE, inverted(WORDS));
    schema.add_text_field(FORM, inverted("raw"));
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
        // Measured (decision 008): 46.9 bytes an event against 49.4 in blocks of 64 KiB; one line alone costs 0.15 ms.
        docstore_blocksize: 128 * 1024,
        ..IndexSettings::default()
    }
}

/// Makes documents; holds the schema's field numbers.
pub(super) struct Documents {
    schema: Schema,
    known: Vec<Option<Field>>,
    /// `None` in a partition from before there were forms.
    form: Option<Field>,
    forms: Forms,
}

impl Documents {
    pub(super) fn new(schema: Schema) -> Self {
        let known = FIELDS.iter().map(|field| schema.get_field(field.name).ok()).collect();
        let form = schema.get_field(FORM).ok();
        Self { schema, known, form, forms: Forms::default() }
    }

    /// `kind` is the frame's byte for its kind and marks.
    ///
    /// # Errors
    /// Where the partition's index is of another form.
    pub(super) fn document(&mut self, event: &Event, kind: u8) -> tantivy::Result<TantivyDocument> {
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

    fn add_line(&mut self, document: &mut TantivyDocument, event: &Event, odd: &mut BTreeSet<&'static str>) -> tantivy::Result<()> {
        let line = fold(event.line());
        if words(&line).any(|(_, word)| word.len() > WORD_BYTES_MAX) {
            odd.insert(LINE);
        }
        let field = self.schema.get_field(LINE)?;
        let cut = self.form.and_then(|_| self.forms.cut(event, &line));
        if let Some(place) = self.form {
            document.add_text(place, cut.as_ref().map_or(NONE, |cut| &cut.text));
        }
        document.add_text(field, cut.map_or(line, |cut| cut.rest));
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
