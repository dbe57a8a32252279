//! Why the engine's findings are what they are: for a match of one record its detection's verdict, for a correlation what it
//! counted.

use std::collections::BTreeSet;

use ingest::record::Record;

use super::{CompiledRule, RuleSet};
use crate::correlate::{Correlation, Report, Source, amount_shown};
use crate::explanation::{Because, Counted, Explanation, FIRSTS_MAX};

/// Different values that are named of what a correlation counted.
const VALUES_MAX: usize = 10;

pub(super) fn of_record(compiled: &CompiledRule, record: &dyn Record, book: u64) -> Option<Explanation> {
    let verdict = compiled.verdict(record)?;
    Some(Explanation { version: compiled.version(book), because: Because::Record { seq: record.seq(), parts: verdict.parts } })
}

/// What a rule calls the body that a record is of.
const BODY_FIELD: &str = "organization.id";

/// What telling of a correlation needs.
#[derive(Clone, Copy)]
pub(super) struct Telling<'a> {
    pub(super) set: &'a RuleSet,
    pub(super) book: u64,
}

impl Telling<'_> {
    pub(super) fn of_report(&self, compiled: &CompiledRule, correlation: &Correlation, report: &Report) -> Explanation {
        let names: BTreeSet<&str> = correlation
            .references
            .iter()
            .flat_map(|reference| &reference.values)
            .filter_map(|source| match source {
                Source::Field(field) => Some(field.name()),
                Source::Body => Some(BODY_FIELD),
                Source::Group(_) => None,
            })
            .collect();
        let values = names.iter().filter_map(|name| report.observables.0.get(name)).flatten().take(VALUES_MAX).cloned();
        let rules = correlation.references.iter().filter_map(|reference| self.set.rules.get(reference.place));
        Explanation {
            version: compiled.version(self.book),
            because: Because::Count(Counted {
                kind: correlation.measure.kind().to_owned(),
                reached: report.reached.map(amount_shown),
                limits: correlation.limits.shown(),
                timespan_millis: correlation.timespan,
                group: correlation.group_by.iter().map(|column| column.name.clone()).zip(report.key.values.iter().cloned()).collect(),
                values: values.collect(),
                fields: names.into_iter().map(str::to_owned).collect(),
                rules: rules.map(|rule| rule.rule.name.clone()).collect(),
                first: report.first,
                last: report.last,
                firsts: report.evidence.iter().take(FIRSTS_MAX).copied().collect(),
            }),
        }
    }
}
