//! Correlations: how many, how many different, how much, which together, which in what order, within a time span and per
//! group.
//!
//! Windows are judged in event time and to the millisecond. A result does not depend on the order of arrival, nor on records
//! that come twice, as long as no record is later than one time span behind its group's newest. A group is one site and one
//! set of group-by values: what happens at two sites never adds up, for a finding belongs to one tenant. Only a correlation
//! that says so (`Reach::State`) looks over all bodies: its groups are the state's, each of its reports says what took part at
//! which body, and records of no body take no part. A record without one of the group-by fields, or without the field that is
//! counted or added up, takes no part either.
//!
//! There are two ways to look at windows (`Correlation::slides`):
//!
//! * What more records can only make truer (at least n, at least so much in sum, all rules seen) is judged at once, in every
//!   window that ends with a record. What comes late is judged in the newest window at once; the windows between are looked
//!   at again as soon as that has been paid for (`era::Credit`), at the latest before their records are forgotten.
//! * What more records can take back (an upper end, `eq`, `neq`, a mean, a percentile, `not`) can be judged only when nothing
//!   more can come: such windows begin with their first record, do not overlap, and close two time spans later, or when the
//!   group has been quiet for that long.
//!
//! What a group reports: an *episode* is a run of matching windows that overlap or follow within one time span. It is
//! reported when it begins, then whenever its records have doubled, a time span has gone by or another body is part of it,
//! and once more when it has been quiet for a while (`settle`), so that ten thousand lines are some fifteen findings. Each
//! report counts the records not reported before: the counts of one episode's findings add up. `first` and `last` are the
//! episode's own.
//!
//! Memory is bounded by group and by rule. A group keeps `GROUP_CELLS_MAX` records one by one; of more, those that say the
//! same within a thousandth of the time span become one cell that knows how many it stands for (`line::Line::fold`): counts
//! and sums stay exact, the edges of windows are off by that much. Only where that is not enough something is given up, and
//! `State::overflowed` counts it, which becomes an alert (`crate::watch`).

mod chain;
mod condition;
mod episode;
mod era;
mod judge;
mod line;
mod observables;
mod reach;
mod state;
mod window;

use ingest::body::{BodyId, SITE_STATE, SiteId};
use ingest::fields::FieldId;
use ingest::record::Record;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use condition::{Amount, Bound, Limits, Measure, UNIT, amount_of, amount_of_float, amount_of_text, amount_shown, value_hash};
pub(crate) use episode::Report;
pub(crate) use observables::Observables;
pub(crate) use reach::Reach;
pub(crate) use state::{Firing, Input, Outcome, Saved, State};

/// Different values that a condition may ask for: a group keeps twice as many.
pub(crate) const DIFFERENT_MAX: u64 = 10_000;
/// Records that a condition may ask for; a number to be reached, and far from overflowing anything.
pub(crate) const COUNT_MAX: u64 = 1_000_000_000;
/// The longest time span, a month and a day: windows live in memory. It is also how late a record may come.
pub(crate) const TIMESPAN_MAX: i64 = 31 * Timestamp::DAY;
/// Rules one correlation may refer to.
pub(crate) const REFERENCES_MAX: usize = 16;
/// Orders in which the rules of one `temporal_ordered` may follow each other: each is kept track of by itself.
pub(crate) const CHAINS_MAX: usize = 32;

/// A compiled correlation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Correlation {
    pub(crate) measure: Measure,
    pub(crate) limits: Limits,
    pub(crate) references: Vec<Reference>,
    pub(crate) group_by: Vec<Column>,
    pub(crate) timespan: i64,
    pub(crate) reach: Reach,
}

/// A rule that a correlation refers to, and where its matches have what the correlation asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reference {
    /// Its place in the rule set.
    pub(crate) place: usize,
    pub(crate) id: String,
    /// One for each of `Correlation::group_by`.
    pub(crate) group: Vec<Source>,
    /// What is counted or added up: for `Measure::Values` one or several, for sums and the like one.
    pub(crate) values: Vec<Source>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A field of the record that matched.
    Field(FieldId),
    /// A value of the group of the correlation that fired.
    Group(usize),
    /// The body that it happened at, which no record says of itself.
    Body,
}

/// One of the names that a correlation groups by: a field, or an alias for a field of each rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The fields whose value it is, for telling and for the entity.
    pub(crate) fields: Vec<FieldId>,
}

impl Correlation {
    /// Whether what is measured can only grow more true with each record.
    fn slides(&self) -> bool {
        match &self.measure {
            Measure::Order(_) => true,
            Measure::Formula(formula) => !formula.has_not(),
            Measure::Count | Measure::Values | Measure::Rules | Measure::Sum => self.limits.only_lower(),
            Measure::Average | Measure::Percentile(_) | Measure::Median => false,
        }
    }

    /// What a saved state must have been kept for, to be of use.
    pub(crate) fn fingerprint(&self) -> String {
        let source = |source: &Source| match source {
            Source::Field(field) => field.name().to_owned(),
            Source::Group(place) => format!("group {place}"),
            Source::Body => "body".to_owned(),
        };
        let sources = |all: &[Source]| all.iter().map(source).collect::<Vec<_>>().join("+");
        let reference = |it: &Reference| format!("{} by ({}) of ({})", it.id, sources(&it.group), sources(&it.values));
        let references: Vec<String> = self.references.iter().map(reference).collect();
        let reach = if self.reach == Reach::State { " over all bodies" } else { "" };
        format!("{:?} {:?} in {}{reach}: {}", self.measure, self.limits, self.timespan, references.join(", "))
    }
}

/// Whose windows these are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct GroupKey {
    pub(crate) site: SiteId,
    pub(crate) values: Vec<String>,
}

impl Correlation {
    /// The group that a record belongs to; `None` where it lacks a field.
    pub(crate) fn group_of_record(&self, record: &dyn Record, site: SiteId, body: Option<BodyId>, group: &[Source]) -> Option<GroupKey> {
        self.group(site, body, group, |source| match source {
            Source::Field(field) => record.first_text(field),
            Source::Group(_) | Source::Body => None,
        })
    }

    /// The group that the firing of another correlation belongs to.
    pub(crate) fn group_of_firing(&self, child: &GroupKey, body: Option<BodyId>, group: &[Source]) -> Option<GroupKey> {
        self.group(child.site, body, group, |source| match source {
            Source::Group(place) => child.values.get(place).cloned(),
            Source::Field(_) | Source::Body => None,
        })
    }

    fn group(&self, site: SiteId, body: Option<BodyId>, group: &[Source], value: impl Fn(Source) -> Option<String>) -> Option<GroupKey> {
        self.group_of(group.iter().map(|source| value(*source)).collect::<Option<_>>()?, site, body)
    }

    /// The group of these values at that site; `None` where they mean something else at each body.
    pub(crate) fn group_of(&self, values: Vec<String>, site: SiteId, body: Option<BodyId>) -> Option<GroupKey> {
        match self.reach {
            Reach::Site => Some(GroupKey { site, values }),
            // What belongs to no body cannot be told to be another one's.
            Reach::State if body.is_none() || !values.iter().all(|value| reach::is_same_everywhere(value)) => None,
            Reach::State => Some(GroupKey { site: SITE_STATE, values }),
        }
    }
}

#[cfg(test)]
mod tests;
