//! Exhibits (Beweismittel): the files of a case. `locker` keeps the bytes, once each and under their hash; `sniff` says what
//! they are by what is in them; `store` keeps the rows and the chain of custody. Nothing is ever unpacked, run or shown here:
//! an archive is a file like any other, so a zip bomb stays the few kilobytes that it is.

mod locker;
mod sniff;
mod store;

use std::path::PathBuf;

use ingest::db::DbError;
use ingest::time::Timestamp;
use serde::Serialize;

use crate::incident::{CaseError, IncidentId};

pub use locker::{Draft, Fault, Locker, Sealed};
pub use sniff::{Kind, sniff};
pub use store::{
    MIGRATIONS, NewExhibit, exhibit_add, exhibit_custody, exhibit_get, exhibit_list, exhibit_of_letter, exhibit_release, exhibit_taken,
    exhibit_total, exhibits_file, exhibits_verify,
};

ingest::id_type!(
    /// One file of one case; the same bytes may be several exhibits.
    ExhibitId
);

/// The longest file that is taken: what people attach to mails is no longer, and disks are not files of evidence.
pub const FILE_BYTES_MAX: u64 = 25 << 20;
/// A raw mail holds such a file in base64 and what stands around it.
pub const MAIL_BYTES_MAX: u64 = 36 << 20;
/// All files of one case: twenty of the longest. Whoever needs more has an image of a disk, which belongs elsewhere.
pub const CASE_BYTES_MAX: u64 = 500 << 20;
/// Files of one case: more are a folder, and nobody looks through a list of them.
pub const CASE_FILES_MAX: u64 = 500;

/// Where an exhibit came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Somebody of the CERT put it in.
    Upload,
    /// It was attached to a mail.
    Attachment,
    /// The mail itself, byte for byte as it came.
    Letter,
}

impl Source {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Attachment => "attachment",
            Self::Letter => "letter",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Upload, Self::Attachment, Self::Letter].into_iter().find(|source| source.as_str() == text)
    }

    /// What others sent waits until somebody has looked at it from outside.
    pub fn quarantined(self) -> bool {
        self != Self::Upload
    }
}

/// A file of evidence as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exhibit {
    pub id: ExhibitId,
    /// None while the mail that it came with belongs to no case yet.
    pub incident: Option<IncidentId>,
    /// The mail that it came with.
    pub letter: Option<String>,
    pub source: Source,
    pub name: String,
    pub bytes: u64,
    /// In hex; by it the file is found.
    pub sha256: String,
    /// The type that whoever sent it says it has.
    pub claimed: String,
    /// The type that its bytes have.
    pub found: String,
    /// What is to be said before anybody opens it.
    pub warnings: Vec<Warning>,
    pub quarantined: bool,
    pub added_by: String,
    pub added_at: Timestamp,
}

/// Why to be careful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Warning {
    /// It is not what it says it is.
    OtherType,
    /// It runs when it is opened.
    Program,
    /// It holds other files, which nobody has looked at.
    Archive,
    /// Its content is encrypted: no scanner saw it.
    Encrypted,
}

impl Warning {
    pub const ALL: [Self; 4] = [Self::OtherType, Self::Program, Self::Archive, Self::Encrypted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::OtherType => "other_type",
            Self::Program => "program",
            Self::Archive => "archive",
            Self::Encrypted => "encrypted",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|warning| warning.as_str() == text)
    }
}

/// One link of the chain of custody.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Custody {
    pub at: Timestamp,
    /// `added`, `released`, `downloaded`.
    pub what: String,
    pub actor: String,
    pub why: String,
}

/// Why a file could not be taken, given out or proved.
#[derive(Debug, thiserror::Error)]
pub enum ExhibitError {
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error("a file may have {max} bytes")]
    TooLarge { max: u64 },
    #[error("the case has {what} enough")]
    CaseFull { what: &'static str },
    #[error("the disk is too full for files")]
    DiskFull,
    #[error("{doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: std::io::Error },
    #[error("the file of {sha256} is not what was put in")]
    Damaged { sha256: String },
    #[error("it is in quarantine")]
    Quarantined,
}

impl From<DbError> for ExhibitError {
    fn from(error: DbError) -> Self {
        Self::Case(CaseError::Db(error))
    }
}

impl From<ingest::rusqlite::Error> for ExhibitError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Case(CaseError::Db(error.into()))
    }
}

#[cfg(test)]
mod tests;
