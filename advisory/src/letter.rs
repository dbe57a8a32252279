//! A letter: a mail that somebody sent us, read. Pure, and made for the worst mail there is: whatever the bytes are, there is
//! a letter, with what was wrong with it said. HTML becomes text, nothing is fetched, nothing is run, nothing is unpacked.
//! `proof` asks whether the sender is who it says, `report` reads what became of a mail of ours, `judge` where a letter belongs.

mod judge;
mod proof;
mod read;
mod report;

use ingest::time::Timestamp;

pub use judge::{Judgement, Known, Place, Sender, Why, judge};
pub use proof::{Proof, proof};
pub use read::{case_numbers, letter_read};
pub use report::Report;

/// A mail as it is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Letter {
    /// The one address it says it is from, in lower case; empty where it names none or several.
    pub from: String,
    pub from_name: String,
    pub to: Vec<String>,
    pub subject: String,
    pub date: Option<Timestamp>,
    /// Without the angle brackets, like all of them.
    pub message_id: String,
    /// What it answers: `In-Reply-To` and `References`, the nearest first.
    pub answers: Vec<String>,
    pub automatic: Option<Automatic>,
    /// What our own mail server found out about the sender.
    pub proof: Proof,
    pub text: String,
    pub attachments: Vec<Attachment>,
    pub report: Option<Report>,
    pub protection: Protection,
    pub defects: Vec<Defect>,
}

/// Why a mail was not written by a person, for us, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Automatic {
    /// RFC 3834: an out-of-office notice, a ticket system.
    Reply,
    List,
    Bulk,
}

/// A file in a mail. It is not opened here.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment {
    pub name: String,
    pub claimed: String,
    pub content: Vec<u8>,
}

/// OpenPGP around the text (RFC 3156), as the structure says; `openpgp` finds out whether it holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Protection {
    #[default]
    None,
    /// The signed part byte for byte, and the signature.
    Signed {
        part: Vec<u8>,
        signature: Vec<u8>,
    },
    Encrypted {
        message: Vec<u8>,
    },
}

/// What was wrong with a mail. It is shown, and nothing is refused for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// Not a mail at all; only the raw bytes are there.
    Unreadable,
    /// No sender, or several.
    Sender,
    /// The text was longer than is shown.
    LongText,
    /// More files than are taken out.
    ManyFiles,
    /// Only HTML; what is shown was made of it.
    OnlyHtml,
    /// Bytes that do not fit the character set that is named.
    Charset,
    /// A file is longer than one may be; it is in the raw mail alone.
    LargeFile,
    /// It lies in the mailbox and could not be fetched from there.
    NotFetched,
}

impl Defect {
    pub const ALL: [Self; 8] =
        [Self::Unreadable, Self::Sender, Self::LongText, Self::ManyFiles, Self::OnlyHtml, Self::Charset, Self::LargeFile, Self::NotFetched];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Sender => "sender",
            Self::LongText => "long_text",
            Self::ManyFiles => "many_files",
            Self::OnlyHtml => "only_html",
            Self::Charset => "charset",
            Self::LargeFile => "large_file",
            Self::NotFetched => "not_fetched",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|defect| defect.as_str() == text)
    }
}

#[cfg(test)]
mod tests;
