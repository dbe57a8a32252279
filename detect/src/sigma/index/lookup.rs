//! The clues of rules by field, and which of them a record has: numbers by a hash table, texts by `texts`, and what remains
//! by asking. There is one for all rules, and one for each log source that records are told to be of.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use ingest::fields::FieldId;
use ingest::record::Record;

use super::super::detection::Subject;
use super::super::pattern::Place;
use super::clue::{self, Clue, Sign};
use super::program::Program;
use super::texts::{Commonness, Texts};
use super::values::{Counted, Values};

/// The column of what is looked for anywhere in a record.
pub(super) const ANYTHING: u16 = 0;
/// No column.
const NONE: u16 = u16::MAX;

/// Every column that rules ask for, with its clues.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// By `FieldId`.
    by_field: Vec<u16>,
    columns: Vec<Column>,
    /// Rules without a clue.
    pub(super) always: Vec<u32>,
    /// By line of the program: its column.
    line_columns: Vec<u16>,
    asks_anything: bool,
}

/// What is looked for in the values of a field.
#[derive(Debug, Default)]
struct Column {
    numbers: HashMap<i64, Vec<u32>, RandomState>,
    texts: Option<Texts>,
    /// Matchers of the program's lines by line, group and place, put to each value.
    asked: Vec<((u32, usize, usize), Vec<u32>)>,
    present: Vec<u32>,
}

impl Lookup {
    /// For these rules of a program.
    pub(super) fn new(program: &Program, rules: impl Iterator<Item = u32>, commonness: &Commonness) -> Self {
        let mut lookup = Self { columns: vec![Column::default()], line_columns: vec![ANYTHING; program.lines.len()], ..Self::default() };
        let mut collected: Vec<Collected> = Vec::new();
        for rule in rules {
            program.lines_of(rule, &mut |line| {
                let Some(subject) = program.lines.get(line as usize).map(|line| line.item.subject) else { return };
                let column = lookup.column(subject);
                lookup.line_columns.get_mut(line as usize).into_iter().for_each(|known| *known = column);
            });
            let Some(clues) = clue::of_rule(rule, program, commonness) else {
                lookup.always.push(rule);
                continue;
            };
            for clue in clues.all {
                let column = usize::from(lookup.column(clue.subject));
                if collected.len() <= column {
                    collected.resize_with(column + 1, Collected::default);
                }
                if let Some(collected) = collected.get_mut(column) {
                    collected.add(clue, rule);
                }
            }
        }
        for (column, collected) in lookup.columns.iter_mut().zip(collected) {
            *column = collected.into_column(commonness);
        }
        lookup
    }

    pub(super) fn column_of_line(&self, line: u32) -> u16 {
        self.line_columns.get(line as usize).copied().unwrap_or(ANYTHING)
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn asks_anything(&self) -> bool {
        self.asks_anything
    }

    pub(super) fn column_of(&self, field: FieldId) -> Option<u16> {
        self.by_field.get(usize::from(field.0)).copied().filter(|column| *column != NONE)
    }

    /// Names the rules that one of their clues is there for.
    pub(super) fn find(&self, values: &Values, program: &Program, record: &dyn Record, name: &mut dyn FnMut(u32)) {
        self.always.iter().for_each(|rule| name(*rule));
        for value in values.iter() {
            let Some(column) = self.columns.get(usize::from(value.column)) else { continue };
            let mut all = |rules: &[u32]| rules.iter().for_each(|rule| name(*rule));
            all(&column.present);
            if !column.numbers.is_empty() {
                match values.number(value) {
                    Some(Counted::Exactly(number)) => column.numbers.get(&number).into_iter().for_each(|rules| all(rules)),
                    // As `Number::compare` rounds.
                    Some(Counted::About(number)) => {
                        column.numbers.iter().filter(|(wanted, _)| **wanted as f64 == number).for_each(|(_, rules)| all(rules));
                    }
                    None => {}
                }
            }
            if let Some(texts) = &column.texts {
                texts.find(values.folded(value), &value.edges, &mut all);
            }
            for ((line, group, place), rules) in &column.asked {
                let matcher = program.lines.get(*line as usize).and_then(|line| line.item.groups.get(*group)?.get(*place));
                if matcher.is_some_and(|matcher| values.agree(matcher, value, record)) {
                    all(rules);
                }
            }
        }
    }

    fn column(&mut self, subject: Subject) -> u16 {
        let field = match subject {
            Subject::Field(field) => usize::from(field.0),
            Subject::Anything => {
                self.asks_anything = true;
                return ANYTHING;
            }
            Subject::Time => return ANYTHING,
        };
        if self.by_field.len() <= field {
            self.by_field.resize(field + 1, NONE);
        }
        let Some(column) = self.by_field.get_mut(field) else { return ANYTHING };
        if *column == NONE {
            // There are fewer fields than 2^16.
            *column = u16::try_from(self.columns.len()).unwrap_or(NONE);
            self.columns.push(Column::default());
        }
        *column
    }
}

/// A column's clues as they are gathered.
#[derive(Default)]
struct Collected {
    column: Column,
    texts: HashMap<(Place, String), Vec<u32>>,
    asked: HashMap<(u32, usize, usize), Vec<u32>>,
}

impl Collected {
    fn add(&mut self, clue: Clue, rule: u32) {
        let rules = match clue.sign {
            Sign::Present => &mut self.column.present,
            Sign::Number(number) => self.column.numbers.entry(number).or_default(),
            Sign::Asked(line, group, place) => self.asked.entry((line, group, place)).or_default(),
            Sign::Text(place, text) => self.texts.entry((place, text)).or_default(),
        };
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }

    fn into_column(mut self, commonness: &Commonness) -> Column {
        self.column.texts = Texts::new(self.texts.into_iter().map(|((place, text), rules)| (place, text, rules)), commonness);
        self.column.asked = self.asked.into_iter().collect();
        self.column.asked.sort_unstable();
        self.column
    }
}
