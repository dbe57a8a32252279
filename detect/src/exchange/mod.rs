//! How a case leaves and enters in the formats of the field: STIX 2.1, MISP, IODEF (RFC 7970) and CSV go out (`Package`
//! is what of a case may leave), reports of others come in as alerts (`read`, `import`). Writing is pure: a package, the
//! moment and who we are make the text, and the same case makes the same identities each time, so that a second export
//! updates the first at its receiver.

mod csv;
pub mod import;
mod iodef;
mod misp;
mod package;
pub mod read;
mod stix;
mod uuid;

use ingest::time::Timestamp;

pub use csv::{csv_cell, csv_list, unformula};
pub use package::{Advice, Audience, Package, Secrets, Seen};

/// A format that cases leave in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    Stix,
    Misp,
    Iodef,
    Csv,
}

impl Format {
    pub const ALL: [Self; 4] = [Self::Stix, Self::Misp, Self::Iodef, Self::Csv];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stix => "stix",
            Self::Misp => "misp",
            Self::Iodef => "iodef",
            Self::Csv => "csv",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }

    /// As it is called on a page.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stix => "STIX 2.1",
            Self::Misp => "MISP",
            Self::Iodef => "IODEF 2 (RFC 7970)",
            Self::Csv => "CSV",
        }
    }

    pub fn mime(self) -> &'static str {
        match self {
            Self::Stix => "application/stix+json;version=2.1",
            Self::Misp => "application/json",
            Self::Iodef => "application/xml",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// Behind the case's number in the name of a file.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Stix => ".stix.json",
            Self::Misp => ".misp.json",
            Self::Iodef => ".iodef.xml",
            Self::Csv => ".csv",
        }
    }
}

/// Who sends: the same in each export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// `ThüringenCERT`.
    pub name: String,
    /// The name in the DNS that our numbers are unique under (IODEF demands one): `wartburg.example`.
    pub domain: String,
}

/// Writes a package.
pub fn export(package: &Package, format: Format, sender: &Sender, now: Timestamp) -> String {
    match format {
        Format::Stix => stix::bundle(package, sender),
        Format::Misp => misp::event(package, sender),
        Format::Iodef => iodef::document(package, sender, now),
        Format::Csv => csv::single(package),
    }
}

#[cfg(test)]
mod tests;
