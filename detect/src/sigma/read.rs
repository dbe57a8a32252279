//! Reading a document's attributes: texts, lists of texts, words of a table. An attribute that is there but empty
//! (`modified:`) says nothing, as in pySigma.

use super::CompileError;
use super::yaml::{Entry, Node, Value};

/// The entry of that key, unless nothing stands behind it.
pub(crate) fn entry<'a>(node: &'a Node, key: &str) -> Option<&'a Entry> {
    node.get(key).filter(|entry| entry.node.value != Value::Null)
}

pub(crate) fn text(node: &Node, key: &str) -> Result<Option<String>, CompileError> {
    let Some(entry) = entry(node, key) else { return Ok(None) };
    let found = entry.node.scalar_text().filter(|text| !text.is_empty());
    found.map(Some).ok_or_else(|| CompileError::at(entry.line, format!("{key} must be a text, not {}", entry.node.kind())))
}

pub(crate) fn texts(node: &Node, key: &str) -> Result<Vec<(u64, String)>, CompileError> {
    let Some(entry) = entry(node, key) else { return Ok(Vec::new()) };
    entry.node.texts().ok_or_else(|| CompileError::at(entry.line, format!("{key} must be a text or a list of texts")))
}

pub(crate) fn one_of<T>(node: &Node, key: &str, parse: impl Fn(&str) -> Option<T>, expected: &str) -> Result<Option<T>, CompileError> {
    let Some(found) = text(node, key)? else { return Ok(None) };
    let line = node.get(key).map_or(node.line, |entry| entry.line);
    parse(&found).map(Some).ok_or_else(|| CompileError::at(line, format!("{key} '{found}' is not valid: expected {expected}")))
}

pub(crate) fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
