//! One record on its way into one correlation, and what other correlations found on its way there: which group it belongs
//! to, and what of it is counted or added up.

use ingest::body::{BodyId, SiteId};
use ingest::fields::FieldId;
use ingest::record::Record;
use ingest::time::Timestamp;

use crate::correlate::{self, Amount, Correlation, Firing, GroupKey, Input, Measure, Observables, Outcome, Reference, Source, State};

/// A record as it came.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) record: &'a dyn Record,
    pub(crate) site: SiteId,
    pub(crate) body: Option<BodyId>,
}

/// What there is for the correlations: which detections matched, and which correlations fired. By place in the rule set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Matches {
    pub(crate) detections: Vec<bool>,
    pub(crate) firings: Vec<Vec<(GroupKey, Firing)>>,
}

pub(crate) struct Feed<'a> {
    pub(crate) correlation: &'a Correlation,
    pub(crate) state: &'a mut State,
    /// `None` where time went by and nothing came: then there are firings only.
    pub(crate) arrival: Option<Arrival<'a>>,
    /// What a finding tells of its records beyond what the rule groups by.
    pub(crate) observed: &'a [FieldId],
    pub(crate) received_at: Timestamp,
}

impl Feed<'_> {
    pub(crate) fn run(&mut self, matches: &Matches) -> Outcome {
        let mut outcome = Outcome::default();
        let apart = self.correlation.measure.tells_rules_apart();
        let mut counted = false;
        for (rule, reference) in (0u8..).zip(&self.correlation.references) {
            // A record counts once, however many of the rules it matches, unless the rules are what is counted.
            if matches.detections.get(reference.place) == Some(&true)
                && (apart || !counted)
                && let Some(arrival) = self.arrival
                && let Some((key, value)) = of_record(self.correlation, reference, arrival)
            {
                counted = true;
                let input = Input { time: arrival.record.timestamp(), seq: arrival.record.seq(), rule, value };
                self.insert(reference, &key, input, arrival.body, &mut outcome);
            }
            for (child, firing) in matches.firings.get(reference.place).into_iter().flatten() {
                if let Some((key, value)) = of_firing(self.correlation, reference, child, firing.body) {
                    let input = Input { time: firing.time, seq: firing.seq, rule, value };
                    self.insert(reference, &key, input, firing.body, &mut outcome);
                }
            }
        }
        outcome
    }

    fn insert(&mut self, reference: &Reference, key: &GroupKey, input: Input, body: Option<BodyId>, into: &mut Outcome) {
        let (arrival, observed, group_by) = (self.arrival, self.observed, &self.correlation.group_by);
        let counted = reference.values.iter().filter_map(|source| match source {
            Source::Field(field) => Some(*field),
            Source::Group(_) | Source::Body => None,
        });
        let mut observe = |observables: &mut Observables| {
            let Some(arrival) = arrival else { return };
            let own = group_by.iter().flat_map(|column| &column.fields).copied();
            observables.add(arrival.record, observed.iter().copied().chain(own).chain(counted.clone()));
        };
        let outcome = self.state.insert(self.correlation, key, input, body, self.received_at, &mut observe);
        into.reports.extend(outcome.reports);
        into.firings.extend(outcome.firings);
    }
}

/// The group and the value of a record; `None` where it lacks one of the fields.
fn of_record(correlation: &Correlation, reference: &Reference, arrival: Arrival<'_>) -> Option<(GroupKey, Amount)> {
    let Arrival { record, site, body } = arrival;
    let field = |source: &Source| match source {
        Source::Field(field) => Some(*field),
        Source::Group(_) | Source::Body => None,
    };
    let text = |source: &Source| match source {
        Source::Body => body.map(|body| body.to_string()),
        _ => record.first_text(field(source)?),
    };
    let value = match &correlation.measure {
        Measure::Values => {
            let texts: Option<Vec<String>> = reference.values.iter().map(text).collect();
            correlate::value_hash(texts?.iter().map(String::as_str)).into()
        }
        measure if measure.is_numeric() => {
            let mut found = None;
            record.any_value(field(reference.values.first()?)?, &mut |value| {
                found = correlate::amount_of(value);
                found.is_some()
            });
            found?
        }
        _ => 0,
    };
    Some((correlation.group_of_record(record, site, body, &reference.group)?, value))
}

/// The same of a correlation that fired: its group has the values, the rule set has seen to it.
fn of_firing(correlation: &Correlation, reference: &Reference, child: &GroupKey, body: Option<BodyId>) -> Option<(GroupKey, Amount)> {
    let text = |source: &Source| match source {
        Source::Group(place) => child.values.get(*place).cloned(),
        Source::Body => body.map(|body| body.to_string()),
        Source::Field(_) => None,
    };
    let value = match &correlation.measure {
        Measure::Values => {
            let texts: Option<Vec<String>> = reference.values.iter().map(text).collect();
            correlate::value_hash(texts?.iter().map(String::as_str)).into()
        }
        measure if measure.is_numeric() => correlate::amount_of_text(&text(reference.values.first()?)?)?,
        _ => 0,
    };
    Some((correlation.group_of_firing(child, body, &reference.group)?, value))
}
