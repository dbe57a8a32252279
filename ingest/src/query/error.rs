//! What is wrong with a query: where, in German what to do about it, and where that can be told, the query as it was
//! probably meant. Nothing here looks at events: what is suggested are names of the language and of the field table.

use std::borrow::Cow;
use std::ops::Range;

use crate::fields::{FIELDS, NAME_BYTES_MAX};

/// A query that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (Stelle {at})")]
pub struct QueryError {
    /// Byte offset in the query's text.
    pub at: usize,
    /// In German: what is wrong and what to do about it.
    pub message: String,
    /// The whole query as it was probably meant.
    pub suggestion: Option<String>,
}

/// An error on its way out: what it suggests is still only a stretch of the text and what to put there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    at: usize,
    message: String,
    instead: Option<(Range<usize>, String)>,
}

pub(super) type Parsed<T> = Result<T, Fault>;

impl Fault {
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into(), instead: None }
    }

    /// With what should probably stand in that stretch of the whole text.
    #[must_use]
    pub(super) fn instead(self, range: Range<usize>, text: impl Into<String>) -> Self {
        Self { instead: Some((range, text.into())), ..self }
    }

    pub(super) fn suggests(&self) -> bool {
        self.instead.is_some()
    }

    pub(super) fn of(self, text: &str) -> QueryError {
        let corrected = |(range, instead): (Range<usize>, String)| {
            let (before, behind) = (text.get(..range.start)?, text.get(range.end..)?);
            Some(format!("{before}{instead}{behind}"))
        };
        QueryError { at: self.at, message: self.message, suggestion: self.instead.and_then(corrected) }
    }
}

pub(super) fn fail<T>(at: usize, message: impl Into<String>) -> Parsed<T> {
    Err(Fault::new(at, message))
}

/// The name at `at` is no field's; `besides` are names that are no fields but may stand in its place.
pub(super) fn unknown_field(name: &str, at: usize, besides: &[&str], advice: &str) -> Fault {
    if name.len() > NAME_BYTES_MAX {
        return Fault::new(at, format!("Feldnamen haben höchstens {NAME_BYTES_MAX} Zeichen.{advice}"));
    }
    let meant = nearest(name, FIELDS.iter().map(|field| field.name).chain(besides.iter().copied()));
    let Some(meant) = meant else {
        // A vendor's own name is known from the first event on that has it.
        let said = if name.contains('.') {
            format!("Ein Feld „{name}“ hatte seit dem Start noch kein Ereignis. Stimmt der Name?")
        } else {
            format!("Das Feld „{name}“ gibt es nicht.")
        };
        return Fault::new(at, format!("{said}{advice}"));
    };
    let fault = Fault::new(at, format!("Das Feld „{name}“ gibt es nicht. Meinten Sie „{meant}“?{advice}"));
    fault.instead(at..at + name.len(), meant)
}

/// The name that a mistyped one most likely means: few letters off, or the same last part.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let distance = |known: &str| if known.rsplit('.').next() == Some(name.as_str()) { 1 } else { edits(&name, known) };
    let best = known.map(|known| (distance(known), known)).min_by_key(|(distance, _)| *distance)?;
    (best.0 <= 2.max(name.len() / 3)).then_some(best.1)
}

/// Levenshtein's distance.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (n, left) in a.chars().enumerate() {
        let mut diagonal = n;
        let mut before = n + 1;
        let mut next = vec![before];
        for (right, above) in b.chars().zip(row.iter().skip(1)) {
            before = (diagonal + usize::from(left != right)).min(above + 1).min(before + 1);
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// A name as an error shows it: who pastes a page need not read it again.
pub(super) fn shown(name: &str) -> Cow<'_, str> {
    const CHARS_MAX: usize = 40;
    match name.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => Cow::Owned(format!("{}…", name.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(name),
    }
}
