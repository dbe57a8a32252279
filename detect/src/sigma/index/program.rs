//! The detections of a set as one program. A line that several rules have (`Image|endswith: '\powershell.exe'`) stands in
//! it once, and is answered at most once a record.

use std::collections::HashMap;
use std::sync::Arc;

use ingest::record::Record;

use super::super::condition::Expr;
use super::super::detection::{Branch, Detection, Formula, Item};
use super::super::logsource::Logsource;
use super::super::value::Matcher;
use super::hint::Hint;
use super::lookup::Lookup;
use super::texts::Commonness;
use super::values::Values;

/// Detections over shared lines.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) lines: Vec<Line>,
    pub(super) selections: Vec<Node>,
    pub(super) rules: Vec<Rule>,
    pub(super) logsources: Vec<Logsource>,
}

/// One line, with a hint for each of its matchers.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) item: Arc<Item>,
    /// By group and place.
    pub(super) hints: Vec<Vec<Hint>>,
}

/// One detection.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its place in the rule set.
    place: u32,
    pub(super) logsource: u32,
    /// The detection's own formula and its filters': all must hold.
    pub(super) formulas: Vec<Node>,
}

/// A formula over lines, by their numbers.
#[derive(Debug)]
pub(super) enum Node {
    Line(u32),
    /// What several conditions may name.
    Selection(u32),
    Not(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
}

/// What was answered of one record: per line and per log source, so that nothing is asked twice.
#[derive(Debug, Default)]
pub(super) struct Answers {
    round: u32,
    lines: Vec<Answer>,
    logsources: Vec<Answer>,
}

/// An answer counts in its round only.
#[derive(Clone, Copy, Debug, Default)]
struct Answer {
    round: u32,
    yes: bool,
}

impl Program {
    pub(super) fn new<'a>(detections: impl Iterator<Item = (u32, &'a Detection)>) -> Self {
        let mut building = Building::default();
        for (place, detection) in detections {
            let logsource = building.logsource(&detection.logsource);
            let own = building.formula(&detection.formula);
            let filters = detection.filters.iter().map(|filter| building.filter(filter)).collect::<Vec<_>>();
            let formulas = std::iter::once(own).chain(filters).collect();
            building.program.rules.push(Rule { place, logsource, formulas });
        }
        building.program
    }

    pub(super) fn place_of(&self, rule: u32) -> Option<usize> {
        self.rules.get(rule as usize).map(|rule| rule.place as usize)
    }

    pub(super) fn selection(&self, number: u32) -> Option<&Node> {
        self.selections.get(number as usize)
    }

    /// Gives each matcher its hint.
    pub(super) fn hint(&mut self, commonness: &Commonness) {
        for line in &mut self.lines {
            let hints = |matchers: &Vec<Matcher>| matchers.iter().map(|matcher| Hint::of(matcher, commonness)).collect();
            line.hints = line.item.groups.iter().map(hints).collect();
        }
    }

    /// Whether a rule matches the record that `asked` is about.
    pub(super) fn holds(&self, rule: u32, asked: &mut Asked<'_>) -> bool {
        let Some(rule) = self.rules.get(rule as usize) else { return false };
        self.is_of(rule.logsource, asked) && rule.formulas.iter().all(|formula| self.eval(formula, asked))
    }

    fn is_of(&self, number: u32, asked: &mut Asked<'_>) -> bool {
        let round = asked.answers.round;
        let (Some(source), Some(answer)) = (self.logsources.get(number as usize), asked.answers.logsources.get_mut(number as usize)) else {
            return false;
        };
        if answer.round != round {
            *answer = Answer { round, yes: source.holds(asked.record) };
        }
        answer.yes
    }

    fn eval(&self, node: &Node, asked: &mut Asked<'_>) -> bool {
        match node {
            Node::Line(number) => {
                let round = asked.answers.round;
                let (Some(line), Some(answer)) = (self.lines.get(*number as usize), asked.answers.lines.get_mut(*number as usize)) else {
                    return false;
                };
                if answer.round != round {
                    let column = asked.lookup.column_of_line(*number);
                    *answer = Answer { round, yes: asked.values.satisfy(line, column, asked.record) };
                }
                answer.yes
            }
            Node::Selection(number) => self.selection(*number).is_some_and(|node| self.eval(node, asked)),
            Node::Not(inner) => !self.eval(inner, asked),
            Node::All(parts) => parts.iter().all(|part| self.eval(part, asked)),
            Node::Any(parts) => parts.iter().any(|part| self.eval(part, asked)),
        }
    }

    /// Gives `see` the number of each line of a rule.
    pub(super) fn lines_of(&self, rule: u32, see: &mut dyn FnMut(u32)) {
        let formulas = self.rules.get(rule as usize).into_iter().flat_map(|rule| &rule.formulas);
        formulas.for_each(|formula| self.lines_below(formula, see));
    }

    fn lines_below(&self, node: &Node, see: &mut dyn FnMut(u32)) {
        match node {
            Node::Line(number) => see(*number),
            Node::Selection(number) => self.selection(*number).into_iter().for_each(|node| self.lines_below(node, see)),
            Node::Not(inner) => self.lines_below(inner, see),
            Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| self.lines_below(part, see)),
        }
    }
}

/// A record that rules are put to, and what is known of it.
pub(super) struct Asked<'a> {
    pub(super) record: &'a dyn Record,
    pub(super) lookup: &'a Lookup,
    pub(super) values: &'a mut Values,
    pub(super) answers: &'a mut Answers,
}

impl Answers {
    pub(super) fn begin(&mut self, program: &Program) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.lines.len() != program.lines.len() || self.logsources.len() != program.logsources.len() {
            self.lines = vec![Answer::default(); program.lines.len()];
            self.logsources = vec![Answer::default(); program.logsources.len()];
            self.round = 1;
        }
    }
}

/// A program as it grows: what is known already is found by what it says.
#[derive(Default)]
struct Building {
    program: Program,
    lines: HashMap<String, u32>,
    logsources: HashMap<String, u32>,
    /// Filters apply to many rules.
    filters: HashMap<*const Formula, u32>,
}

impl Building {
    fn logsource(&mut self, source: &Logsource) -> u32 {
        let known = &mut self.program.logsources;
        *self.logsources.entry(format!("{source:?}")).or_insert_with(|| {
            known.push(source.clone());
            number(known.len() - 1)
        })
    }

    fn line(&mut self, item: &Arc<Item>) -> u32 {
        let known = &mut self.program.lines;
        *self.lines.entry(format!("{item:?}")).or_insert_with(|| {
            known.push(Line { item: item.clone(), hints: Vec::new() });
            number(known.len() - 1)
        })
    }

    fn filter(&mut self, filter: &Arc<Formula>) -> Node {
        if let Some(number) = self.filters.get(&Arc::as_ptr(filter)) {
            return Node::Selection(*number);
        }
        let node = self.formula(filter);
        self.program.selections.push(node);
        let place = number(self.program.selections.len() - 1);
        self.filters.insert(Arc::as_ptr(filter), place);
        Node::Selection(place)
    }

    fn formula(&mut self, formula: &Formula) -> Node {
        let first = self.program.selections.len();
        for selection in &formula.selections {
            let node = self.branch(selection);
            self.program.selections.push(node);
        }
        condition(&formula.condition, first)
    }

    fn branch(&mut self, branch: &Branch) -> Node {
        match branch {
            Branch::Item(item) => Node::Line(self.line(item)),
            Branch::All(parts) => Node::All(parts.iter().map(|part| self.branch(part)).collect()),
            Branch::Any(parts) => Node::Any(parts.iter().map(|part| self.branch(part)).collect()),
        }
    }
}

fn condition(expr: &Expr, first: usize) -> Node {
    match expr {
        Expr::Selection(selection) => Node::Selection(number(first + selection)),
        Expr::Not(inner) => Node::Not(Box::new(condition(inner, first))),
        Expr::All(parts) => Node::All(parts.iter().map(|part| condition(part, first)).collect()),
        Expr::Any(parts) => Node::Any(parts.iter().map(|part| condition(part, first)).collect()),
    }
}

/// Rule sets are bounded far below this.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}
