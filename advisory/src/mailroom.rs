//! The mail room (Poststelle): where letters come in, are kept, and find their case. What a letter is, `letter` reads and
//! judges; here it is stored, with its raw bytes and its files as exhibits, once, in one transaction with what it does to a
//! case. `lmtp` and `imap` bring letters here and say that they have them only when `receive` has returned.

mod receive;
mod sort;
mod store;
mod write;

use std::sync::{Arc, Mutex};

use detect::exhibit::{ExhibitError, Locker};
use detect::incident::{CaseError, IncidentId};
use ingest::body::{BodyId, ContactId};
use ingest::db::{Db, DbError};
use ingest::time::{Clock, Timestamp};
use serde::Serialize;

use crate::letter::{Defect, Letter, Report, Sender, Why};

pub use sort::{letter_file, letter_open_case, letter_set_aside};
pub use store::{Direction, LetterFilter, LetterState, MIGRATIONS, StoredLetter, letter_counts, letter_get, letter_list, letters_of_case};
pub use write::{Reply, letter_send, sealed_needed};

ingest::id_type!(
    /// One letter, in or out.
    LetterId
);

/// Takes letters in; cheap to clone.
#[derive(Clone, Debug)]
pub struct Mailroom {
    db: Db,
    locker: Locker,
    clock: Clock,
    own: Own,
    /// Reads a mail; another one in tests.
    reader: Reader,
    /// One letter at a time: between the question whether it is known and the row that makes it so.
    turn: Arc<Mutex<()>>,
}

type Reader = fn(&[u8], Option<&str>) -> Letter;

/// What is ours about mail.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// The address that our mails come from, in lower case.
    pub address: String,
    /// Addresses that letters are taken for, in lower case; with none, those of everybody that the mail server sends.
    pub addresses: Vec<String>,
    /// By which name our mail server says what it found out about a sender (RFC 8601).
    pub authserv: Option<String>,
    /// Opens and checks what is protected by OpenPGP.
    pub pgp: Option<Arc<crate::openpgp::OwnKey>>,
}

/// What became of a letter that was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    Kept(LetterId),
    /// It was here before: brought again by somebody who did not hear that we have it.
    Known(LetterId),
}

#[derive(Debug, thiserror::Error)]
pub enum MailroomError {
    #[error(transparent)]
    Exhibit(#[from] ExhibitError),
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("the letter {0} is not there")]
    Missing(LetterId),
    #[error("a letter to nobody")]
    NoRecipient,
}

impl From<ingest::rusqlite::Error> for MailroomError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// What is said of an OpenPGP signature, or of the lack of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Signature {
    #[default]
    None,
    /// By a key on file; whose it is.
    Good {
        fingerprint: String,
    },
    Bad,
    /// By a key that nobody has given us.
    UnknownKey,
    /// The key is there, and its time is over or it was revoked.
    ExpiredKey,
}

impl Signature {
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Good { .. } => "good",
            Self::Bad => "bad",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey => "expired_key",
        }
    }

    fn parse(text: &str, fingerprint: &str) -> Self {
        match text {
            "good" => Self::Good { fingerprint: fingerprint.to_owned() },
            "bad" => Self::Bad,
            "unknown_key" => Self::UnknownKey,
            "expired_key" => Self::ExpiredKey,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
