//! The detections of a set as one program. A line that several rules have (`Image|endswith: '\powershell.exe'`) stands in
//! it once, and is answered at most once a record.

use std::collections::HashMap;
use std::sync::Arc;

use ingest::record::Record;

use super::super::condition::Expr;
use super::super::detection::{Branch, Detection, Formula, Item};
use super::super::logsource::Logsource;
use super::values::Values;

/// Detections over shared lines.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) items: Vec<Arc<Item>>,
    selections: Vec<Node>,
    pub(super) rules: Vec<Rule>,
    pub(super) logsources: Vec<Logsource>,
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

/// A formula over items, by their numbers.
#[derive(Debug)]
pub(super) enum Node {
    Item(u32),
    /// What several conditions may name.
    Selection(u32),
    Not(Box<Node>),
    All(Box<[Node]>),
    Any(Box<[Node]>),
}

/// What was answered of one record: per item and per log source, so that nothing is asked twice.
#[derive(Debug, Default)]
pub(super) struct Answers {
    round: u32,
    items: Vec<Answer>,
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

    pub(super) fn holds(&self, rule: u32, record: &dyn Record, values: &Values, answers: &mut Answers) -> bool {
        let Some(rule) = self.rules.get(rule as usize) else { return false };
        self.is_of(rule.logsource, record, answers) && rule.formulas.iter().all(|formula| self.eval(formula, record, values, answers))
    }

    fn is_of(&self, number: u32, record: &dyn Record, answers: &mut Answers) -> bool {
        let (Some(source), Some(answer)) = (self.logsources.get(number as usize), answers.logsources.get_mut(number as usize)) else {
            return false;
        };
        if answer.round != answers.round {
            *answer = Answer { round: answers.round, yes: source.holds(record) };
        }
        answer.yes
    }

    fn eval(&self, node: &Node, record: &dyn Record, values: &Values, answers: &mut Answers) -> bool {
        match node {
            Node::Item(number) => {
                let (Some(item), Some(answer)) = (self.items.get(*number as usize), answers.items.get_mut(*number as usize)) else {
                    return false;
                };
                if answer.round != answers.round {
                    *answer = Answer { round: answers.round, yes: values.satisfy(item, *number, record) };
                }
                answer.yes
            }
            Node::Selection(number) => self.selection(*number).is_some_and(|node| self.eval(node, record, values, answers)),
            Node::Not(inner) => !self.eval(inner, record, values, answers),
            Node::All(parts) => parts.iter().all(|part| self.eval(part, record, values, answers)),
            Node::Any(parts) => parts.iter().any(|part| self.eval(part, record, values, answers)),
        }
    }
}

impl Answers {
    pub(super) fn begin(&mut self, program: &Program) {
        self.round = self.round.wrapping_add(1);
        if self.round == 0 || self.items.len() != program.items.len() || self.logsources.len() != program.logsources.len() {
            self.items = vec![Answer::default(); program.items.len()];
            self.logsources = vec![Answer::default(); program.logsources.len()];
            self.round = 1;
        }
    }
}

/// A program as it grows: what is known already is found by what it says.
#[derive(Default)]
struct Building {
    program: Program,
    items: HashMap<String, u32>,
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

    fn item(&mut self, item: &Arc<Item>) -> u32 {
        let known = &mut self.program.items;
        *self.items.entry(format!("{item:?}")).or_insert_with(|| {
            known.push(item.clone());
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
            Branch::Item(item) => Node::Item(self.item(item)),
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
