//! Sigma 2.1: rules as YAML, compiled once (`RuleSet`), then evaluated on records. What is not supported is refused with
//! file and line; nothing is accepted and then ignored. Windows and counts over several records are `crate::correlate`'s,
//! what becomes of a match `crate::engine`'s.
//!
//! The way of a rule: `files` finds it, `yaml` reads it, `collection` puts documents together, `pipeline` changes one to our
//! names, `document` understands it, `detection` with `modifier` and `condition` compiles it to what `value` and `pattern` ask
//! of a record, `correlation` with `threshold` and `aliases` to what `crate::correlate` counts, and `builder` puts rules,
//! filters and correlations together. `index` asks all detections of a set at once, `explain` says of one why it holds.

mod aliases;
mod attributes;
mod builder;
mod collection;
mod condition;
mod correlation;
mod detection;
mod document;
mod encode;
mod explain;
mod expression;
mod files;
mod filter;
mod index;
mod logsource;
mod metadata;
mod modifier;
mod moment;
mod names;
mod need;
mod pattern;
mod pipeline;
mod placeholder;
mod read;
mod set;
mod threshold;
mod value;
mod version;
mod windows;
mod yaml;

use std::fmt;

pub(crate) use attributes::EntityField;
pub(crate) use condition::Expr;
pub(crate) use files::{Stamp, stamps_of, texts_of};
pub use index::{Asking, RuleIndex, Told};
pub use metadata::Metadata;
pub use names::FieldNames;
pub(crate) use set::Logic;
pub use set::{CompiledRule, RuleSet, shipped_text};

/// Why a rule was refused, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct RuleError {
    pub file: String,
    pub line: u64,
    /// The rule's name, where the file got that far.
    pub rule: Option<String>,
    pub message: String,
}

/// A refusal while the file is still known to the caller only.
#[derive(Debug, PartialEq)]
pub(crate) struct CompileError {
    pub(crate) line: u64,
    pub(crate) message: String,
}

impl CompileError {
    pub(crate) fn at(line: u64, message: impl Into<String>) -> Self {
        Self { line, message: message.into() }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.message)
    }
}

/// Compared only up to this length: a longer word is no typing error.
const WORD_BYTES_MAX: usize = 64;

/// `, did you mean 'x'?` for the known name that is few letters away, else nothing.
pub(crate) fn nearest(word: &str, names: &[&str]) -> String {
    if word.len() > WORD_BYTES_MAX {
        return String::new();
    }
    let allowed = 1 + word.chars().count() / 5;
    let best =
        names.iter().map(|name| (distance(word, name), *name)).filter(|(steps, _)| *steps <= allowed).min_by_key(|(steps, _)| *steps);
    best.map_or_else(String::new, |(_, name)| format!(", did you mean '{name}'?"))
}

/// Levenshtein's distance, row by row.
pub(crate) fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (n, x) in (1..).zip(a.chars()) {
        let mut left = n;
        let mut diagonal = n - 1;
        for (slot, y) in row.iter_mut().skip(1).zip(b.chars()) {
            let above = *slot;
            left = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = n;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
