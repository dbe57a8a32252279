//! All detections of a rule set asked at once. Asking them one after the other costs as much as there are rules; here each
//! value of a record is looked at once, for all rules:
//!
//! - `program` puts the rules' lines together, each once however many rules have it.
//! - `clue` picks for each rule what must be there for it to match: one of a few texts or numbers in a field.
//! - `lookup` holds these of all rules, by field, and finds those that a record has (`values`: folded once; `texts`: all
//!   that may stand in a value, at once).
//! - A rule whose clue is there is a candidate and is evaluated, its lines' answers kept for the other candidates.
//!
//! A rule without a clue is a candidate always. What comes out is what `Detection::matches` says of each rule, which
//! tests hold it to.

mod clue;
mod lookup;
mod program;
mod texts;
mod values;

use ingest::record::Record;

use self::lookup::Lookup;
use self::program::{Answers, Program};
use self::values::Values;
use super::set::{Logic, RuleSet};

/// The detections of a rule set, ready to be asked.
#[derive(Debug, Default)]
pub struct RuleIndex {
    program: Program,
    lookup: Lookup,
}

/// What asking needs beside the rules, kept from record to record to spare the allocations.
#[derive(Debug, Default)]
pub struct Asking {
    values: Values,
    answers: Answers,
    candidates: Candidates,
}

/// Rules that may match, each once.
#[derive(Debug, Default)]
struct Candidates {
    round: u32,
    /// By rule: the round that it was last named in.
    named: Vec<u32>,
    rules: Vec<u32>,
}

/// The log source that a record is of, where whoever gives it says so: by rule, whether it may be meant.
#[derive(Clone, Debug)]
pub struct Told(Vec<bool>);

impl RuleIndex {
    pub fn new(set: &RuleSet) -> Self {
        let detections = (0u32..).zip(set.rules()).filter_map(|(place, compiled)| match &compiled.logic {
            Logic::Detection(detection) => Some((place, detection)),
            Logic::Correlation(_) | Logic::Off => None,
        });
        let program = Program::new(detections);
        let lookup = Lookup::new(&program);
        Self { program, lookup }
    }

    /// The places, in the rule set, of the detections that match: ascending.
    pub fn ask(&self, record: &dyn Record, told: Option<&Told>, asking: &mut Asking, matched: &mut Vec<usize>) {
        let Asking { values, answers, candidates } = asking;
        candidates.begin(self.program.rules.len());
        values.read(record, &self.lookup);
        let meant = |rule: u32| told.is_none_or(|told| told.0.get(rule as usize) == Some(&true));
        self.lookup.find(values, &self.program, record, &mut |rule| {
            if meant(rule) {
                candidates.name(rule);
            }
        });
        candidates.rules.sort_unstable();
        answers.begin(&self.program);
        matched.clear();
        for rule in &candidates.rules {
            if self.program.holds(*rule, record, values, answers) {
                matched.extend(self.program.place_of(*rule));
            }
        }
    }

    /// The log sources of this set that records of a product, category and service may be of: those that say nothing else.
    pub fn told(&self, product: Option<&str>, category: Option<&str>, service: Option<&str>) -> Told {
        let takes =
            |source: u32| self.program.logsources.get(source as usize).is_some_and(|source| source.takes([product, category, service]));
        Told(self.program.rules.iter().map(|rule| takes(rule.logsource)).collect())
    }

    /// How many rules were put to the last record one by one.
    pub fn candidates(asking: &Asking) -> usize {
        asking.candidates.rules.len()
    }

    /// How many rules have no clue, so that each record is put to them.
    #[cfg(test)]
    pub(crate) fn without_clue(&self) -> Vec<usize> {
        self.lookup.always.iter().filter_map(|rule| self.program.place_of(*rule)).collect()
    }
}

impl Candidates {
    fn begin(&mut self, rules: usize) {
        self.rules.clear();
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.named.len() != rules {
            self.named = vec![0; rules];
            self.round = 1;
        }
    }

    fn name(&mut self, rule: u32) {
        if let Some(named) = self.named.get_mut(rule as usize)
            && *named != self.round
        {
            *named = self.round;
            self.rules.push(rule);
        }
    }
}
