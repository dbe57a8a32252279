//! In which order the parts of a formula are asked: where all must hold the least likely first, where one is enough the
//! likeliest, so that most formulas are decided by their first part. The order changes no answer.

use super::clue;
use super::program::{Node, Program};
use super::texts::Commonness;

/// How likely it is that a part without a clue holds: mostly it says what must not be there.
const SHARE_UNKNOWN: f64 = 0.9;

/// How often lines and selections hold, as far as it can be guessed; by number.
struct Shares {
    lines: Vec<f64>,
    selections: Vec<f64>,
}

pub(super) fn order(program: &mut Program, commonness: &Commonness) {
    let lines = clue::shares_of_lines(program, commonness).into_iter().map(|share| share.unwrap_or(SHARE_UNKNOWN)).collect();
    let mut shares = Shares { lines, selections: Vec::with_capacity(program.selections.len()) };
    // A selection refers to none behind it.
    for selection in &mut program.selections {
        let share = shares.sorted(selection);
        shares.selections.push(share);
    }
    for formula in program.rules.iter_mut().flat_map(|rule| &mut rule.formulas) {
        shares.sorted(formula);
    }
}

impl Shares {
    /// Sorts what is below a node, and says how often the node holds.
    fn sorted(&self, node: &mut Node) -> f64 {
        match node {
            Node::Line(number) => self.lines.get(*number as usize).copied().unwrap_or(SHARE_UNKNOWN),
            Node::Selection(number) => self.selections.get(*number as usize).copied().unwrap_or(SHARE_UNKNOWN),
            Node::Not(inner) => 1.0 - self.sorted(inner),
            Node::All(parts) => self.sort(parts, 1.0).into_iter().fold(1.0, f64::min),
            Node::Any(parts) => self.sort(parts, -1.0).into_iter().sum::<f64>().min(1.0),
        }
    }

    /// Ascending for `1.0`, descending for `-1.0`.
    fn sort(&self, parts: &mut Box<[Node]>, sign: f64) -> Vec<f64> {
        let mut sorted: Vec<(f64, Node)> = std::mem::take(parts).into_iter().map(|mut part| (self.sorted(&mut part), part)).collect();
        sorted.sort_by(|(one, _), (other, _)| (sign * one).total_cmp(&(sign * other)));
        let (shares, nodes): (Vec<f64>, Vec<Node>) = sorted.into_iter().unzip();
        *parts = nodes.into();
        shares
    }
}
