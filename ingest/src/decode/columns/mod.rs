//! Logs whose columns a line of their own declares: IIS and other W3C logs, Windows' firewall, Exchange's logs, Windows'
//! DHCP server, Zeek's tables. A line is read by what its source declared (`memory`); where nothing fits, by the columns
//! that its product documents, if every one of them has the shape it should. Values stay slices of the line.

mod dhcp;
mod exchange;
mod firewall;
pub(super) mod iis;
pub(super) mod zeek;

use std::sync::{Arc, LazyLock};

use super::Look;
use super::csv;
use super::draft::{Draft, address};
use super::memory::{DECLARATION_BYTES_MAX, Stream};
use super::part::{host_port, is_number};
use crate::event::Defect;
use crate::fields::{self, FieldId, NAME_BYTES_MAX};
use crate::syslog::{self, Stamp};

/// Exchange's HTTP proxy has 75; a line of more is no table of ours.
const COLUMNS_MAX: usize = 160;

/// A product whose logs are tables. Adding one is adding it to `PRODUCTS`.
pub(super) struct Product {
    /// Its name in the sources' formats; stable.
    name: &'static str,
    /// Columns that together no other product has.
    marks: &'static [&'static str],
    /// The prefix of columns that ECS has no name for.
    prefix: &'static str,
    /// Columns that are ECS fields as they stand.
    fields: &'static [(&'static str, FieldId)],
    /// Columns that `finish` reads itself, or that say nothing beyond the others.
    own: &'static [&'static str],
    /// Its documented columns, for sources that have declared none yet.
    usual: &'static [&'static str],
    /// What the row is, from its fields.
    finish: fn(&Row<'_>, &mut Draft<'_>),
}

/// The first whose marks are all there.
const PRODUCTS: &[&Product] = &[
    &iis::PRODUCT,
    &firewall::PRODUCT,
    &exchange::TRACKING,
    &exchange::SMTP,
    &exchange::MAILBOX,
    &exchange::PROXY,
    &dhcp::PRODUCT,
    &dhcp::PRODUCT_V6,
    &zeek::PRODUCT,
    &OTHER,
];

/// A W3C log of a product that we do not know.
const OTHER: Product = Product {
    name: "w3c",
    marks: &["date", "time"],
    prefix: "w3c",
    fields: iis::FIELDS,
    own: &["date", "time"],
    usual: &[],
    finish: |row, draft| utc_stamp(row, draft),
};

/// The documented columns, compiled once.
static USUAL: LazyLock<Vec<Arc<Layout>>> =
    LazyLock::new(|| PRODUCTS.iter().flat_map(|product| product.usual).filter_map(|line| Layout::of_line(line)).map(Arc::new).collect());

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delimiter {
    Blank,
    Comma,
    Tab,
}

/// What a declaration means: for each column where it goes and what it must look like.
pub(super) struct Layout {
    line: Box<str>,
    delimiter: Delimiter,
    product: &'static Product,
    columns: Vec<Column>,
}

struct Column {
    name: Box<str>,
    target: Target,
    shape: Shape,
}

#[derive(Clone, Copy)]
enum Target {
    Field(FieldId),
    /// A vendor's field; `None` where there is no room for its name.
    Vendor(Option<FieldId>),
    Own,
}

/// What tells a column from another in lines of the same length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Any,
    Address,
    Endpoint,
    Number,
    Date,
    Time,
    Stamp,
    Epoch,
    UsDate,
}

impl std::fmt::Debug for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Layout({} {})", self.product.name, self.columns.len())
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.delimiter == other.delimiter && self.columns.iter().map(|one| &one.name).eq(other.columns.iter().map(|one| &one.name))
    }
}

impl Layout {
    /// The layout that a line declares; `None` where it declares none.
    pub(super) fn of_line(line: &str) -> Option<Self> {
        let line = line.trim_end();
        if line.len() > DECLARATION_BYTES_MAX {
            return None;
        }
        let (delimiter, names) = if let Some(names) = line.strip_prefix("#Fields:") {
            let names = names.trim_start();
            (if names.contains(',') { Delimiter::Comma } else { Delimiter::Blank }, names)
        } else if let Some(names) = line.strip_prefix("#fields\t") {
            (Delimiter::Tab, names)
        } else {
            CSV_STARTS.iter().any(|start| line.starts_with(start)).then_some((Delimiter::Comma, line))?
        };
        let names: Vec<&str> = match delimiter {
            Delimiter::Blank => names.split_ascii_whitespace().collect(),
            // The DHCP server's header has blanks behind some commas and a full stop at its end.
            Delimiter::Comma => names.split(',').map(|name| name.trim().trim_end_matches('.')).collect(),
            Delimiter::Tab => names.split('\t').collect(),
        };
        if !(2..=COLUMNS_MAX).contains(&names.len()) || names.iter().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX / 2) {
            return None;
        }
        let has = |mark: &&str| names.contains(mark);
        let product = PRODUCTS.iter().find(|product| product.delimits(delimiter) && product.marks.iter().all(has))?;
        let log = if product.name == zeek::PRODUCT.name { zeek::log_of(|name| names.contains(&name)) } else { "" };
        let columns = names.iter().map(|name| product.column(name, log)).collect();
        Some(Self { line: line.into(), delimiter, product, columns })
    }

    /// The line that declares it.
    pub(super) fn line(&self) -> &str {
        &self.line
    }

    /// Whether a line of the one could be taken for one of the other by its number of columns.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.delimiter, self.columns.len()) == (other.delimiter, other.columns.len())
    }

    /// Whether values can be of this layout: as many, and each of the shape that its column has.
    fn fits(&self, delimiter: Delimiter, values: &[&str]) -> bool {
        self.delimiter == delimiter
            && self.columns.len() == values.len()
            && self.columns.iter().zip(values).all(|(column, value)| column.shape.fits(value))
    }
}

/// How CSV files begin that declare their columns without a `#`.
const CSV_STARTS: [&str; 3] = ["ID,Date,Time,Description,", "DateTime,RequestId,", "date-time,"];

impl Product {
    fn delimits(&self, delimiter: Delimiter) -> bool {
        (self.name == zeek::PRODUCT.name) == (delimiter == Delimiter::Tab)
    }

    fn column(&self, name: &str, log: &str) -> Column {
        let field = if log.is_empty() {
            self.fields.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
        } else {
            zeek::field(log, name)
        };
        let target = match field {
            Some(field) => Target::Field(field),
            None if self.own.contains(&name) => Target::Own,
            None => Target::Vendor(vendor_name(self.prefix, log, iis::vendor_key(name).unwrap_or(name))),
        };
        Column { name: name.into(), target, shape: Shape::of(name, field) }
    }
}

/// `iis.access.sub_status` and the like: the column's own name in letters that a query needs not quote.
fn vendor_name(prefix: &str, log: &str, name: &str) -> Option<FieldId> {
    let mut whole = String::with_capacity(prefix.len() + log.len() + name.len() + 2);
    whole.push_str(prefix);
    if !log.is_empty() {
        whole.push('.');
        whole.push_str(log);
    }
    whole.push('.');
    whole.extend(name.chars().map(|char| if char.is_ascii_alphanumeric() || matches!(char, '.' | '-' | '_') { char } else { '_' }));
    FieldId::intern(whole.trim_end_matches('_'))
}

impl Shape {
    fn of(name: &str, field: Option<FieldId>) -> Self {
        match name {
            "date" => return Self::Date,
            "time" => return Self::Time,
            "date-time" | "dateTime" | "DateTime" => return Self::Stamp,
            "ts" => return Self::Epoch,
            "Date" => return Self::UsDate,
            "local-endpoint" | "remote-endpoint" | "sIp" | "cIp" => return Self::Endpoint,
            "ID" | "sc-substatus" | "sc-win32-status" | "time-taken" | "sc-bytes" | "cs-bytes" | "sequence-number" => return Self::Number,
            _ => {}
        }
        let Some(field) = field.and_then(FieldId::known) else { return Self::Any };
        match field.kind {
            fields::Kind::Ip => Self::Address,
            fields::Kind::Int => Self::Number,
            fields::Kind::Keyword | fields::Kind::Bool => Self::Any,
        }
    }

    fn fits(self, value: &str) -> bool {
        let bytes = value.as_bytes();
        let at = |place: usize, byte: u8| bytes.get(place) == Some(&byte);
        match self {
            Self::Any => true,
            Self::Date => bytes.len() == 10 && at(4, b'-') && at(7, b'-'),
            Self::Time => matches!(bytes.len(), 8..=12) && at(2, b':') && at(5, b':'),
            Self::Stamp => bytes.len() >= 19 && at(4, b'-') && at(10, b'T') && at(13, b':'),
            Self::UsDate => matches!(bytes.len(), 8 | 10) && at(2, b'/') && at(5, b'/'),
            Self::Epoch => bytes.first().is_some_and(u8::is_ascii_digit),
            // A column that has nothing to say.
            _ if matches!(value, "" | "-" | "(empty)") => true,
            Self::Number => is_number(value),
            Self::Address => address(value).is_some(),
            Self::Endpoint => address(host_port(value).0).is_some(),
        }
    }
}

/// A line in its columns.
pub(super) struct Row<'r> {
    columns: &'r [Column],
    values: &'r [&'r str],
    text: &'r str,
}

impl<'r> Row<'r> {
    /// The value of a column; empty where there is none or it is `-`.
    fn get(&self, name: &str) -> &'r str {
        let at = self.columns.iter().position(|column| &*column.name == name);
        let value = at.and_then(|at| self.values.get(at)).copied().unwrap_or_default();
        if value == "-" { "" } else { value }
    }
}

pub(super) fn first_look(look: &Look<'_>) -> bool {
    let bytes = look.text.as_bytes();
    let at = |place: usize, byte: u8| bytes.get(place) == Some(&byte);
    match bytes.first() {
        Some(b'#') => true,
        Some(b'0'..=b'9') => {
            // `2026-03-14 07:…` and `2026-03-14T07:…,`; a counter and a US date; seconds and a tab.
            at(4, b'-') && at(7, b'-') && at(13, b':') && (at(10, b' ') || at(10, b'T') && look.text.contains(','))
                || at(2, b',') && at(5, b'/')
                || bytes.iter().take(8).any(|byte| *byte == b',') && memchr::memchr(b'/', bytes.get(..16).unwrap_or(bytes)).is_some()
                || bytes.iter().take(24).any(|byte| matches!(byte, b'\t' | b'#'))
        }
        Some(b'I' | b'D' | b'd') if look.tag.is_empty() => CSV_STARTS.iter().any(|start| look.text.starts_with(start)),
        _ => look.tag.starts_with('#'),
    }
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    declaration(look, draft) || row(look, draft)
}

/// The stream that a line belongs to: the tag of a declaration behind a header is `#Fields` itself.
fn with_stream<T>(look: &Look<'_>, draft: &Draft<'_>, take: impl FnOnce(Stream<'_>) -> T) -> Option<T> {
    let origin = draft.origin.as_ref()?;
    let host = draft.text(fields::HOST_NAME).unwrap_or_default();
    let tag = if look.tag.starts_with('#') { "" } else { look.tag };
    Some(take(Stream { sender: origin.sender, host, tag }))
}

/// `#Fields: …` and its like are learned. Other comment lines of such files are known for what they are, too.
fn declaration(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let whole;
    let line = match look.tag {
        // A header's parser takes `#Fields:` for a program.
        "#Fields" => {
            whole = format!("#Fields: {}", look.text);
            &whole
        }
        tag if DIRECTIVES.iter().any(|name| tag.strip_prefix('#').is_some_and(|tag| tag.eq_ignore_ascii_case(name))) => {
            draft.name(fields::EVENT_KIND, "metric");
            return comment(draft);
        }
        _ => look.text,
    };
    let line = line.trim_start_matches('\u{FEFF}');
    let tabbed;
    let line = if line.starts_with("#fields#011") {
        tabbed = line.replace("#011", "\t");
        &tabbed
    } else {
        line
    };
    if let Some(layout) = Layout::of_line(line) {
        draft.name(fields::EVENT_MODULE, layout.product.prefix.split('.').next().unwrap_or(layout.product.name));
        draft.decoder = layout.product.name;
        if let Some(origin) = draft.origin {
            with_stream(look, draft, |stream| origin.memory.learn(stream, origin.seq, layout));
        }
        return comment(draft);
    }
    let directive = look.text.strip_prefix('#').is_some_and(|rest| {
        let name = rest.split([':', ' ', '\t', '#']).next().unwrap_or_default();
        DIRECTIVES.iter().any(|known| known.eq_ignore_ascii_case(name))
    });
    directive && comment(draft)
}

/// What such files say of themselves besides their columns.
const DIRECTIVES: [&str; 17] = [
    "Software",
    "Version",
    "Date",
    "Start-Date",
    "End-Date",
    "Remark",
    "Log-type",
    "Time",
    "separator",
    "set_separator",
    "empty_field",
    "unset_field",
    "path",
    "open",
    "close",
    "types",
    "Fields",
];

fn comment(draft: &mut Draft<'_>) -> bool {
    if !draft.has(fields::EVENT_KIND) {
        draft.name(fields::EVENT_KIND, "metric");
    }
    draft.name(fields::EVENT_ACTION, "columns_declared");
    true
}

fn row(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let unmasked;
    // Behind syslog daemons that mask control characters a tab is `#011`.
    let text = if !look.text.contains('\t') && look.text.contains("#011") {
        unmasked = look.text.replace("#011", "\t");
        unmasked.as_str()
    } else {
        look.text
    };
    let Some((delimiter, values)) = split(text) else { return false };
    let declared = draft.origin.and_then(|origin| {
        with_stream(look, draft, |stream| origin.memory.find(stream, origin.seq, |layout| layout.fits(delimiter, &values)))?
    });
    let Some(layout) = declared.or_else(|| USUAL.iter().find(|layout| layout.fits(delimiter, &values)).cloned()) else { return false };
    for (column, value) in layout.columns.iter().zip(&values) {
        match column.target {
            Target::Field(field) => put(field, value, draft),
            Target::Vendor(Some(field)) if !matches!(*value, "" | "-" | "(empty)") => draft.str(field, value),
            Target::Vendor(_) | Target::Own => {}
        }
    }
    draft.decoder = layout.product.name;
    if draft.defects.contains(Defect::NoHeader) {
        // What was taken for a header's time is the row's own, in a zone that only its product knows.
        draft.created = Stamp::Absent;
    }
    (layout.product.finish)(&Row { columns: &layout.columns, values: &values, text }, draft);
    true
}

/// A value as its field wants it; a quote in a quoted value of a CSV stands twice.
fn put(field: FieldId, value: &str, draft: &mut Draft<'_>) {
    match value {
        "" | "-" | "(empty)" => {}
        _ if value.contains("\"\"") => draft.typed(field, &value.replace("\"\"", "\"")),
        _ => draft.typed(field, value),
    }
}

fn split(text: &str) -> Option<(Delimiter, Vec<&str>)> {
    let delimiter = if text.contains('\t') {
        Delimiter::Tab
    } else {
        let separator = memchr::memchr2(b',', b' ', text.as_bytes())?;
        if text.as_bytes().get(separator) == Some(&b',') { Delimiter::Comma } else { Delimiter::Blank }
    };
    let mut values = Vec::with_capacity(32);
    match delimiter {
        Delimiter::Tab => values.extend(text.split('\t').take(COLUMNS_MAX + 1)),
        Delimiter::Blank => values.extend(text.split(' ').take(COLUMNS_MAX + 1)),
        Delimiter::Comma => values = csv::columns(text),
    }
    Some((delimiter, values))
}

/// The moment of the columns `date` and `time` in UTC, as W3C demands.
fn utc_stamp(row: &Row<'_>, draft: &mut Draft<'_>) {
    if let Some(Stamp::Civil(civil)) = civil_stamp(row)
        && let Some(at) = civil.moment(0)
    {
        draft.stamp = Stamp::Moment(at);
    }
}

/// The columns `date` and `time`, whose zone is another's to say.
fn civil_stamp(row: &Row<'_>) -> Option<Stamp> {
    // They stand side by side in every log we know.
    if row.columns.first().is_some_and(|first| first.shape == Shape::Date) && row.columns.get(1).is_some_and(|one| one.shape == Shape::Time)
    {
        let length = row.values.first()?.len() + 1 + row.values.get(1)?.len();
        return syslog::whole_stamp(row.text.get(..length)?);
    }
    syslog::whole_stamp(&format!("{} {}", row.get("date"), row.get("time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_its_documented_columns_and_knows_itself_by_them() {
        for product in PRODUCTS {
            for line in product.usual {
                let layout = Layout::of_line(line).unwrap_or_else(|| panic!("{line}"));
                assert_eq!(layout.product.name, product.name, "{line}");
            }
        }
        assert!(USUAL.len() >= 10);
    }

    #[test]
    fn what_declares_nothing_is_no_layout() {
        for line in ["", "#", "#Fields:", "#Fields: one", "#fields\t", "#fields\ta\t\tb", "ID,Date", "#Fields: x y", "#Fields: date,time,,"]
        {
            assert!(Layout::of_line(line).is_none(), "{line}");
        }
        assert!(Layout::of_line(&format!("#Fields: date time {}", "x ".repeat(5_000))).is_none());
        assert!(Layout::of_line(&format!("#Fields: date time {}", "x ".repeat(200))).is_none());
    }
}
