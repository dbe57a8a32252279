//! What can be wrong with a datagram of flows, as named kinds.

use std::fmt;

/// What can be wrong with a datagram. The records that could be read are there all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowDefect {
    /// No version that we know.
    UnknownVersion,
    /// It ends within a header, a set or a record.
    Truncated,
    /// The header announces no records, or more than the version allows; or templates make too many of them.
    RecordCount,
    TrailingBytes,
    /// A set with an id that v9 does not define.
    UnknownSet,
    /// A template that cannot be read.
    Template,
    TemplateEmpty,
    TemplateTooLong,
    /// A known element with a length that it cannot have; it is skipped.
    FieldLength,
    /// A moment that cannot be, of the header or of a flow, or an end before the start.
    Time,
    /// Records with neither addresses nor counters.
    NoTraffic,
    /// A template taken back over UDP, where that must not be (RFC 7011 section 8.1); it stays.
    Withdrawal,
}

impl FlowDefect {
    pub const ALL: [Self; 12] = [
        Self::UnknownVersion,
        Self::Truncated,
        Self::RecordCount,
        Self::TrailingBytes,
        Self::UnknownSet,
        Self::Template,
        Self::TemplateEmpty,
        Self::TemplateTooLong,
        Self::FieldLength,
        Self::Time,
        Self::NoTraffic,
        Self::Withdrawal,
    ];

    /// The stable name in counters and in `decode --json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownVersion => "unknown_version",
            Self::Truncated => "truncated",
            Self::RecordCount => "record_count",
            Self::TrailingBytes => "trailing_bytes",
            Self::UnknownSet => "unknown_set",
            Self::Template => "bad_template",
            Self::TemplateEmpty => "template_empty",
            Self::TemplateTooLong => "template_too_long",
            Self::FieldLength => "field_length",
            Self::Time => "bad_time",
            Self::NoTraffic => "no_traffic",
            Self::Withdrawal => "withdrawal_over_udp",
        }
    }
}

/// A set of defects.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct FlowDefects(u32);

impl FlowDefects {
    pub fn add(&mut self, defect: FlowDefect) {
        self.0 |= 1 << defect as u8;
    }

    pub(super) fn add_all(&mut self, others: Self) {
        self.0 |= others.0;
    }

    pub fn contains(self, defect: FlowDefect) -> bool {
        self.0 & (1 << defect as u8) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = FlowDefect> {
        FlowDefect::ALL.into_iter().filter(move |defect| self.contains(*defect))
    }
}

impl fmt::Debug for FlowDefects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(FlowDefect::name)).finish()
    }
}
