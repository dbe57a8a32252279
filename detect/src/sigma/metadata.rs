//! What a document says of itself: names, status, author, dates, tags, relations. None of it decides what matches; all of
//! it is checked, and attributes that Sigma does not know are taken as custom ones, as the specification says.

use chrono::NaiveDate;

use super::read::{entry, is_uuid, one_of, text, texts};
use super::yaml::{Entry, Node, Value};
use super::{CompileError, distance, nearest};

/// pySigma's bounds.
const TITLE_CHARS_MAX: usize = 256;
const DESCRIPTION_CHARS_MAX: usize = 65_535;

/// Sigma's own keys. Others are custom attributes, unless they look like one of these mistyped.
const KEYS: [&str; 23] = [
    "title",
    "id",
    "name",
    "related",
    "status",
    "description",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "falsepositives",
    "level",
    "fields",
    "license",
    "scope",
    "taxonomy",
    "wartburg",
    "simulation",
];
const STATUS: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
const RELATIONS: [&str; 5] = ["derived", "obsolete", "merged", "renamed", "similar"];
/// Field names in a rule are Sigma's own, or those of our records where such are asked for.
const TAXONOMIES: [&str; 2] = ["sigma", "ecs"];

/// What other documents and people call this one.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) title: String,
}

/// The rest of what a rule says of itself, for people and for choosing rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// One of stable, test, experimental, deprecated, unsupported.
    pub status: Option<String>,
    pub author: Option<String>,
    /// Year, month, day, as in the file.
    pub date: Option<String>,
    pub modified: Option<String>,
    pub license: Option<String>,
    pub references: Vec<String>,
    pub tags: Vec<String>,
    /// Fields worth looking at when the rule fires.
    pub fields: Vec<String>,
    pub scope: Vec<String>,
    /// Ids of other rules and how this one stands to them.
    pub related: Vec<(String, String)>,
    /// Names of attributes that are not Sigma's.
    pub custom: Vec<String>,
}

impl Names {
    /// `name` is for a document that gives itself none.
    pub(crate) fn read(node: &Node, name: &str) -> Result<Self, CompileError> {
        let Some(title) = text(node, "title")? else { return Err(CompileError::at(node.line, "the rule has no title")) };
        if title.chars().count() > TITLE_CHARS_MAX {
            return Err(CompileError::at(node.line, format!("the title is longer than {TITLE_CHARS_MAX} characters")));
        }
        let name = text(node, "name")?.unwrap_or_else(|| name.to_owned());
        let id = one_of(node, "id", |id| is_uuid(id).then(|| id.to_ascii_lowercase()), "a UUID")?;
        Ok(Self { id, name, title })
    }
}

impl Metadata {
    pub(crate) fn read(node: &Node) -> Result<Self, CompileError> {
        one_of(node, "taxonomy", |taxonomy| TAXONOMIES.contains(&taxonomy).then_some(()), &TAXONOMIES.join(", "))?;
        if text(node, "description")?.is_some_and(|text| text.chars().count() > DESCRIPTION_CHARS_MAX) {
            return Err(CompileError::at(node.line, format!("the description is longer than {DESCRIPTION_CHARS_MAX} characters")));
        }
        let list = |key: &str| -> Result<Vec<String>, CompileError> { Ok(texts(node, key)?.into_iter().map(|(_, text)| text).collect()) };
        let date = |key: &str| one_of(node, key, |text| is_date(text).then(|| text.to_owned()), "a date such as 2026-01-31");
        let authors = list("author")?;
        for (line, tag) in texts(node, "tags")? {
            if tag.split_once('.').is_none_or(|(space, name)| space.is_empty() || name.is_empty()) {
                return Err(CompileError::at(line, format!("tag '{tag}' has no namespace (such as attack.t1110)")));
            }
        }
        let custom = node.entries().iter().filter(|entry| !KEYS.contains(&entry.key.as_str())).map(|entry| entry.key.clone());
        Ok(Self {
            status: one_of(node, "status", |status| STATUS.contains(&status).then(|| status.to_owned()), &STATUS.join(", "))?,
            author: (!authors.is_empty()).then(|| authors.join(", ")),
            date: date("date")?,
            modified: date("modified")?,
            license: text(node, "license")?,
            references: list("references")?,
            tags: list("tags")?,
            fields: list("fields")?,
            scope: list("scope")?,
            related: related(node)?,
            custom: custom.collect(),
        })
    }
}

/// Custom attributes are Sigma's way of extension; a mistyped key of its own must not pass as one.
pub(crate) fn check_keys(node: &Node) -> Result<(), CompileError> {
    for Entry { key, line, .. } in node.entries() {
        let known = KEYS.contains(&key.as_str());
        let mistyped = KEYS.iter().any(|known| distance(known, key) <= if known.len() > 4 { 2 } else { 1 });
        if !known && mistyped && key.len() < 32 {
            return Err(CompileError::at(*line, format!("unknown key '{key}'{}", nearest(key, &KEYS))));
        }
    }
    Ok(())
}

fn related(node: &Node) -> Result<Vec<(String, String)>, CompileError> {
    let Some(entry) = entry(node, "related") else { return Ok(Vec::new()) };
    let Value::List(items) = &entry.node.value else {
        return Err(CompileError::at(entry.line, format!("related must be a list of ids with their types, not {}", entry.node.kind())));
    };
    let mut related = Vec::new();
    for item in items {
        let id = one_of(item, "id", |id| is_uuid(id).then(|| id.to_ascii_lowercase()), "a UUID")?;
        let kind = one_of(item, "type", |kind| RELATIONS.contains(&kind).then(|| kind.to_owned()), &RELATIONS.join(", "))?;
        let (Some(id), Some(kind)) = (id, kind) else {
            return Err(CompileError::at(item.line, "each relation has an id and a type"));
        };
        related.push((id, kind));
    }
    Ok(related)
}

/// `2026-01-31` or `2026/01/31`.
fn is_date(text: &str) -> bool {
    text.len() == 10 && ["%Y-%m-%d", "%Y/%m/%d"].iter().any(|format| NaiveDate::parse_from_str(text, format).is_ok())
}
