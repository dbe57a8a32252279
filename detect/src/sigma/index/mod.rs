//! All detections of a rule set asked at once. Asking them one after the other costs as much as there are rules; here each
//! value of a record is looked at once, for all rules:
//!
//! - `program` puts the rules' lines together, each once however many rules have it.
//! - `clue` picks for each rule what must be there for it to match: one of a few texts or numbers in a field.
//! - `lookup` holds these by field and finds those that a record has (`values`: folded once; `texts`: all that may stand in
//!   a value, at once; `edges`: at its ends).
//! - A rule whose clue is there is a candidate and is evaluated, its lines' answers kept for the other candidates (`order`:
//!   what decides comes first; `hint`: most is answered before a text is walked through; `filter`: what is surely not there).
//!
//! A rule without a clue is a candidate always. What comes out is what `Detection::matches` says of each rule, which
//! tests hold it to.

mod clue;
mod edges;
mod filter;
mod hint;
mod lookup;
mod order;
mod program;
mod texts;
mod values;

use ingest::record::Record;

use self::lookup::Lookup;
use self::program::{Answers, Asked, Program};
use self::texts::Commonness;
use self::values::Values;
use super::set::{Logic, RuleSet};

/// The detections of a rule set, ready to be asked.
#[derive(Debug, Default)]
pub struct RuleIndex {
    program: Program,
    commonness: Commonness,
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

/// The log source that a record is of, where whoever gives it says so: the clues of the rules that may be meant, and no
/// others.
#[derive(Debug)]
pub struct Told(Lookup);

impl RuleIndex {
    pub fn new(set: &RuleSet) -> Self {
        let detections = (0u32..).zip(set.rules()).filter_map(|(place, compiled)| match &compiled.logic {
            Logic::Detection(detection) => Some((place, detection)),
            Logic::Correlation(_) | Logic::Off => None,
        });
        let mut program = Program::new(detections);
        let commonness = clue::commonness(&program);
        program.hint(&commonness);
        order::order(&mut program, &commonness);
        let lookup = Lookup::new(&program, (0u32..).take(program.rules.len()), &commonness);
        Self { program, commonness, lookup }
    }

    /// The places, in the rule set, of the detections that match: ascending.
    pub fn ask(&self, record: &dyn Record, told: Option<&Told>, asking: &mut Asking, matched: &mut Vec<usize>) {
        let Asking { values, answers, candidates } = asking;
        let lookup = told.map_or(&self.lookup, |told| &told.0);
        candidates.begin(self.program.rules.len());
        values.read(record, lookup);
        lookup.find(values, &self.program, record, &mut |rule| candidates.name(rule));
        candidates.rules.sort_unstable();
        matched.clear();
        if candidates.rules.is_empty() {
            return;
        }
        answers.begin(&self.program);
        let mut asked = Asked { record, lookup, values, answers };
        for rule in &candidates.rules {
            if self.program.holds(*rule, &mut asked) {
                matched.extend(self.program.place_of(*rule));
            }
        }
    }

    /// What to ask of records of a product, category and service: the rules that say nothing else.
    pub fn told(&self, product: Option<&str>, category: Option<&str>, service: Option<&str>) -> Told {
        let takes =
            |source: u32| self.program.logsources.get(source as usize).is_some_and(|source| source.takes([product, category, service]));
        let meant = (0u32..).zip(&self.program.rules).filter(|(_, rule)| takes(rule.logsource)).map(|(number, _)| number);
        Told(Lookup::new(&self.program, meant, &self.commonness))
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
