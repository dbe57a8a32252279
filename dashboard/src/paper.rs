//! Documents on paper: a template and data become a PDF, in German, tagged so that it can be read aloud (PDF/UA-1), with the
//! label on every page. What a document says is worked out elsewhere and comes here as JSON.
//!
//! **Invariant**: no text from outside is ever source: templates are ours and fixed, everything else is a value that they show.
//! A template reads no file, no network and no clock, so the same data give the same bytes.

mod world;

use std::sync::{Mutex, PoisonError};

use chrono::{Datelike as _, Offset as _, Timelike as _};
use chrono_tz::Europe::Berlin;
use ingest::time::Timestamp;
use serde_json::Value;
use typst::diag::SourceDiagnostic;
use typst::foundations::{Datetime, Smart};
use typst_pdf::{PdfOptions, PdfStandard, PdfStandards};

use world::{PaperWorld, shown};

/// What kinds of documents there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    /// All of a case.
    Case,
    /// The form of a reporting duty.
    Duty,
}

impl Template {
    fn source(self) -> &'static str {
        match self {
            Self::Case => include_str!("paper/case.typ"),
            Self::Duty => include_str!("paper/duty.typ"),
        }
    }
}

/// A document to be.
#[derive(Clone, Debug)]
pub struct Paper {
    pub template: Template,
    /// As a reader's window names it.
    pub title: String,
    /// Who issues it.
    pub author: String,
    /// `AMBER`: stands on every page.
    pub tlp: String,
    /// Beside the label on every page: a case's number.
    pub mark: String,
    /// As of when; the document's only time.
    pub at: Timestamp,
    /// What the template shows, under names that it knows.
    pub data: Value,
}

#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    #[error("the document would be longer than {BYTES_MAX} bytes of text")]
    TooLong,
    #[error("typeset a document: {0}")]
    Typeset(String),
}

/// Text of one document, with its names: some two hundred pages. Typesetting takes time by the page and cannot be stopped, so
/// whoever gathers the data cuts its lists before (and says so in the document).
pub const BYTES_MAX: usize = 1 << 20;
/// A single value, such as a note or a line of a log; what is cut ends with an ellipsis.
pub const TEXT_CHARS_MAX: usize = 20_000;

/// One document at a time: typesetting takes all cores for a moment, and receiving comes first.
static TURN: Mutex<()> = Mutex::new(());

/// Typesets a document.
///
/// # Errors
/// Where it is too long, or the template has a mistake.
pub fn paper_print(paper: &Paper) -> Result<Vec<u8>, PaperError> {
    let stamp = paper.at.utc().with_timezone(&Berlin);
    let mut all = serde_json::json!({
        "title": paper.title, "author": paper.author, "tlp": paper.tlp, "mark": paper.mark,
        "at": stamp.format("%d.%m.%Y, %H:%M Uhr").to_string(), "data": paper.data,
    });
    readable(&mut all);
    let data = all.to_string();
    if data.len() > BYTES_MAX {
        return Err(PaperError::TooLong);
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let world = PaperWorld::new(paper.template.source(), data);
    let document = typst::compile(&world).output.map_err(|errors| told(&errors))?;
    let number = |number: u32| u8::try_from(number).unwrap_or_default();
    let time = Datetime::from_ymd_hms(
        stamp.year(),
        number(stamp.month()),
        number(stamp.day()),
        number(stamp.hour()),
        number(stamp.minute()),
        number(stamp.second()),
    );
    let offset = stamp.offset().fix().local_minus_utc() / 60;
    let options = PdfOptions {
        ident: Smart::Custom(format!("{}/{}/{}", paper.mark, paper.title, paper.at.0)),
        creator: Smart::Custom(Some("Wartburg".into())),
        timestamp: time.and_then(|time| typst_pdf::Timestamp::new_local(time, offset)),
        standards: PdfStandards::new(&[PdfStandard::Ua_1]).map_err(|error| PaperError::Typeset(format!("{error:?}")))?,
        ..PdfOptions::default()
    };
    let pdf = typst_pdf::pdf(&document, &options).map_err(|errors| told(&errors));
    // What was worked out for this document helps no other, and nobody's case stays in memory.
    comemo::evict(0);
    pdf
}

fn told(errors: &[SourceDiagnostic]) -> PaperError {
    PaperError::Typeset(errors.iter().map(|error| error.message.to_string()).collect::<Vec<_>>().join("; "))
}

/// Every text as it can be set: cut to its bound, without what has no shape in our fonts.
fn readable(value: &mut Value) {
    match value {
        Value::String(text) => *text = shown(text, TEXT_CHARS_MAX),
        Value::Array(values) => values.iter_mut().for_each(readable),
        Value::Object(members) => members.values_mut().for_each(readable),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
