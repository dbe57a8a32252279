//! What a correlation's condition asks for: numbers between limits, so many of the rules, or a formula over them.

use super::condition;
use super::yaml::{Entry, Node, Value};
use super::{CompileError, nearest};
use crate::correlate::{Amount, Bound, CHAINS_MAX, Limits, Measure, UNIT, amount_of_float, amount_of_text};

const OPERATORS: [&str; 6] = ["gt", "gte", "lt", "lte", "eq", "neq"];

/// The condition as a map.
pub(super) struct Threshold {
    pub(super) limits: Limits,
    pub(super) fields: Vec<(u64, String)>,
    /// With its line.
    pub(super) percentile: Option<(u64, Amount)>,
}

impl Threshold {
    pub(super) fn read(entry: &Entry) -> Result<Self, CompileError> {
        if !matches!(entry.node.value, Value::Map(_)) {
            let message = format!("the condition must be a map such as 'gte: 10', not {}", entry.node.kind());
            return Err(CompileError::at(entry.line, message));
        }
        let (mut limits, mut fields, mut percentile, mut seen) = (Limits::default(), Vec::new(), None, false);
        for part in entry.node.entries() {
            let error = |message: String| Err(CompileError::at(part.line, message));
            match part.key.as_str() {
                "field" => match part.node.texts() {
                    Some(texts) if !texts.is_empty() => fields = texts,
                    _ => return error("field must be a text or a list of texts".into()),
                },
                "percentile" => match number(&part.node).filter(|percent| (0..=100 * UNIT).contains(percent)) {
                    Some(percent) => percentile = Some((part.line, percent)),
                    None => return error("a percentile is a number from 0 to 100".into()),
                },
                operator if OPERATORS.contains(&operator) => {
                    let Some(at) = number(&part.node) else {
                        return error(format!("a number is expected, not {}", part.node.kind()));
                    };
                    seen = true;
                    if !limit(&mut limits, operator, at) {
                        return error(format!("'{operator}' and another operator of the condition say the same end twice"));
                    }
                }
                key => {
                    return error(format!(
                        "unknown operator '{key}': use gte, gt, lte, lt, eq or neq{}",
                        nearest(key, &["field", "percentile"])
                    ));
                }
            }
        }
        if !seen {
            return Err(CompileError::at(entry.line, "the condition has no operator: use gte, gt, lte, lt, eq or neq"));
        }
        Ok(Self { limits, fields, percentile })
    }
}

fn number(node: &Node) -> Option<Amount> {
    match &node.value {
        Value::Int(number) => Some(Amount::from(*number) * UNIT),
        Value::Float(number) => amount_of_float(*number),
        Value::Str(text) => amount_of_text(text),
        _ => None,
    }
}

/// Adds a limit; `false` where there is one at that end already.
fn limit(limits: &mut Limits, operator: &str, at: Amount) -> bool {
    let bound = Some(Bound { at, inside: matches!(operator, "gte" | "lte" | "eq") });
    match operator {
        "neq" => limits.except.replace(at).is_none(),
        "gt" | "gte" => std::mem::replace(&mut limits.lower, bound).is_none(),
        "lt" | "lte" => std::mem::replace(&mut limits.upper, bound).is_none(),
        _ => std::mem::replace(&mut limits.lower, bound).is_none() & std::mem::replace(&mut limits.upper, bound).is_none(),
    }
}

/// No window is judged without a record in it: a condition that asks for none, for a part of one, for nothing that could
/// be, or for nothing at all is a mistake.
pub(super) fn check_count(limits: &Limits, max: u64, what: &str, line: u64) -> Result<(), CompileError> {
    let largest = Amount::from(max) * UNIT;
    let ends = [limits.lower.map(|bound| bound.at), limits.upper.map(|bound| bound.at), limits.except];
    let whole = |at: Amount| (UNIT..=largest).contains(&at) && at % UNIT == 0;
    let good = smallest(limits).is_some_and(|count| count <= max)
        && ends.iter().flatten().all(|at| (0..=largest).contains(at))
        && limits.except.is_none_or(whole)
        && !(limits.only_lower() && limits.hold_count(0));
    match good {
        true => Ok(()),
        false => Err(CompileError::at(line, format!("the condition must mean 1 to {max} {what}"))),
    }
}

/// The smallest count from one on that is inside.
fn smallest(limits: &Limits) -> Option<u64> {
    let from = limits.lower.map_or(1, |bound| bound.at / UNIT).max(1);
    let from = u64::try_from(from).ok()?;
    (from..from.saturating_add(3)).find(|count| limits.hold_count(*count))
}

pub(super) fn check_reachable(limits: &Limits, line: u64) -> Result<(), CompileError> {
    let empty = match (limits.lower, limits.upper) {
        (Some(lower), Some(upper)) => {
            lower.at > upper.at || (lower.at == upper.at && !(lower.inside && upper.inside && limits.except != Some(lower.at)))
        }
        _ => false,
    };
    match empty {
        true => Err(CompileError::at(line, "no number lies between the condition's limits")),
        false => Ok(()),
    }
}

/// So many of `count` rules, in any order or in theirs.
pub(super) fn rules(entry: &Entry, count: usize, ordered: bool) -> Result<(Measure, Limits), CompileError> {
    let Threshold { mut limits, fields, percentile } = Threshold::read(entry)?;
    if let Some(line) = fields.first().map(|(line, _)| *line).or(percentile.map(|(line, _)| line)) {
        return Err(CompileError::at(line, "a temporal correlation counts its rules: it has neither field nor percentile"));
    }
    check_count(&limits, count as u64, "rules", entry.line)?;
    // More than all there cannot be.
    let all = Amount::try_from(count).unwrap_or(Amount::MAX).saturating_mul(UNIT);
    limits.upper = limits.upper.filter(|bound| bound.at < all || (bound.at == all && !bound.inside));
    if !ordered {
        return Ok((Measure::Rules, limits));
    }
    if !limits.only_lower() {
        return Err(CompileError::at(entry.line, "of rules in order there can be asked for at least so many: use gte or gt"));
    }
    let least = smallest(&limits).and_then(|least| usize::try_from(least).ok()).unwrap_or(count);
    Ok((Measure::Order(chains_of(count, least, entry.line)?), Limits::default()))
}

/// Each way to take `least` of `count` rules in their order.
pub(super) fn chains_of(count: usize, least: usize, line: u64) -> Result<Vec<Vec<u8>>, CompileError> {
    chains(count, line, |rules| rules.count_ones() as usize == least)
}

/// `a and (b or not c)`, `1 of recon_*`: over the rules' names.
pub(super) fn formula(text: &str, references: &[(u64, String)], ordered: bool, line: u64) -> Result<Measure, CompileError> {
    let names: Vec<&str> = references.iter().map(|(_, name)| name.as_str()).collect();
    let error = |message: String| CompileError::at(line, message);
    let expr = condition::parse_of(text, &names, "rule").map_err(error)?;
    let mut used = Vec::new();
    expr.selections(&mut used);
    if let Some((_, (line, name))) = (0..).zip(references).find(|(number, _)| !used.contains(number)) {
        return Err(CompileError::at(*line, format!("the condition does not use rule '{name}'")));
    }
    let holds = |rules: u32| expr.eval(&mut |rule| rules & (1 << rule) != 0);
    if !(1..1_u32 << names.len()).any(holds) {
        return Err(error("the condition holds for none of its rules: no window is judged without a record".into()));
    }
    if !ordered {
        return Ok(Measure::Formula(expr));
    }
    if expr.has_not() {
        return Err(error("'not' has no place in an order: use temporal".into()));
    }
    // What holds without one of its rules is not the least that is needed.
    let least = |rules: u32| holds(rules) && (0..names.len()).all(|rule| rules & (1 << rule) == 0 || !holds(rules & !(1 << rule)));
    chains(names.len(), line, least).map(Measure::Order)
}

/// The sets of rules that `wanted` takes, each in order.
fn chains(count: usize, line: u64, wanted: impl Fn(u32) -> bool) -> Result<Vec<Vec<u8>>, CompileError> {
    let all: Vec<u32> = (1..1_u32 << count).filter(|rules| wanted(*rules)).take(CHAINS_MAX + 1).collect();
    if all.len() > CHAINS_MAX {
        return Err(CompileError::at(line, format!("the rules can follow each other in more than {CHAINS_MAX} ways")));
    }
    Ok(all.iter().map(|rules| (0..32).filter(|rule| rules & (1 << rule) != 0).collect()).collect())
}
