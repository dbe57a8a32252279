//! Several documents in one file: `action: global` is a template that each rule behind it takes over, `reset` ends that,
//! `repeat` is the rule before once more with changes. The meaning is pySigma's, down to which side wins.

use super::yaml::{Entry, Node, Value};
use super::{CompileError, nearest};

const ACTIONS: [&str; 3] = ["global", "reset", "repeat"];
/// Values that taking over may make of one file: a long template before many rules multiplies.
const MERGED_MAX: usize = 400_000;

/// What the documents so far left for the next one.
#[derive(Default)]
pub(crate) struct Collection {
    global: Vec<Entry>,
    previous: Option<Node>,
    merged: usize,
}

/// A document as it is to be read, and the keys whose value the template took from it.
#[derive(Debug)]
pub(crate) struct Merged {
    pub(crate) node: Node,
    pub(crate) overridden: Vec<(u64, String)>,
}

impl Collection {
    /// `None` for a document that only prepares others.
    pub(crate) fn next(&mut self, mut node: Node) -> Result<Option<Merged>, CompileError> {
        let Some(action) = node.get("action").map(|entry| (entry.line, entry.node.scalar_text().unwrap_or_default())) else {
            let mut overridden = Vec::new();
            // Correlations and filters have neither log source nor detection to take over.
            let plain = node.get("correlation").is_none() && node.get("filter").is_none();
            let line = node.line;
            if plain && let Value::Map(entries) = &mut node.value {
                self.merged += size_of(&self.global);
                check(self.merged, line)?;
                merge(entries, &self.global, &mut overridden);
            }
            self.previous = Some(node.clone());
            return Ok(Some(Merged { node, overridden }));
        };
        let (line, action) = action;
        if let Value::Map(entries) = &mut node.value {
            entries.retain(|entry| entry.key != "action");
        }
        match action.as_str() {
            "global" => {
                self.global = node.entries().to_vec();
                self.previous = Some(node);
                Ok(None)
            }
            "reset" if node.entries().is_empty() => {
                self.global.clear();
                Ok(None)
            }
            "reset" => Err(CompileError::at(line, "a document with 'action: reset' says nothing else")),
            "repeat" => {
                let Some(previous) = &self.previous else {
                    return Err(CompileError::at(line, "'action: repeat' has no document before it"));
                };
                self.merged += size_of_node(previous);
                check(self.merged, line)?;
                let mut whole = Node { line: node.line, value: previous.value.clone() };
                if let Value::Map(entries) = &mut whole.value {
                    merge(entries, node.entries(), &mut Vec::new());
                }
                self.previous = Some(whole.clone());
                Ok(Some(Merged { node: whole, overridden: Vec::new() }))
            }
            other => Err(CompileError::at(line, format!("unknown action '{other}'{}", nearest(other, &ACTIONS)))),
        }
    }
}

fn check(merged: usize, line: u64) -> Result<(), CompileError> {
    match merged > MERGED_MAX {
        true => Err(CompileError::at(line, format!("global and repeated documents make more than {MERGED_MAX} values of the file"))),
        false => Ok(()),
    }
}

/// Maps grow together key by key; of anything else `from` takes the place.
fn merge(into: &mut Vec<Entry>, from: &[Entry], overridden: &mut Vec<(u64, String)>) {
    for entry in from {
        let Some(known) = into.iter_mut().find(|known| known.key == entry.key) else {
            into.push(entry.clone());
            continue;
        };
        if let (Value::Map(inner), Value::Map(more)) = (&mut known.node.value, &entry.node.value) {
            merge(inner, more, overridden);
            continue;
        }
        if !same(&known.node.value, &entry.node.value) {
            overridden.push((known.line, known.key.clone()));
        }
        *known = entry.clone();
    }
}

/// Equal wherever they stand.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(&one.value, &other.value))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.key == other.key && same(&one.node.value, &other.node.value))
        }
        _ => one == other,
    }
}

fn size_of(entries: &[Entry]) -> usize {
    entries.iter().map(|entry| size_of_node(&entry.node)).sum()
}

fn size_of_node(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size_of_node).sum::<usize>(),
        Value::Map(entries) => 1 + size_of(entries),
        _ => 1,
    }
}
