//! A correlation document: what is measured, in which window, by which fields. References to other rules stay names
//! here; `set` resolves them, `crate::correlate` does the counting.

use ingest::fields::FieldId;
use ingest::time::Timestamp;

use super::names::FieldNames;
use super::read::{text, texts};
use super::yaml::{Entry, Node, Value};
use super::{CompileError, nearest};
use crate::correlate::{Measure, REFERENCES_MAX, THRESHOLD_MAX, TIMESPAN_MAX, Threshold};

/// A correlation whose references are still names.
#[derive(Debug)]
pub(crate) struct CorrelationBody {
    pub(crate) measure: Measure,
    pub(crate) threshold: Threshold,
    pub(crate) references: Vec<(u64, String)>,
    pub(crate) group_by: Vec<FieldId>,
    pub(crate) timespan: i64,
    pub(crate) generate: bool,
    pub(crate) line: u64,
}

const CORRELATION_KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "generate", "aliases"];
const TYPES: [&str; 4] = ["event_count", "value_count", "temporal", "temporal_ordered"];
/// Sigma's other correlation types: known, and refused by their name until they are built.
const TYPES_LATER: [&str; 6] =
    ["value_sum", "value_avg", "value_percentile", "value_median", "extended_temporal", "extended_temporal_ordered"];

impl CorrelationBody {
    pub(crate) fn read(correlation: &Entry, names: FieldNames) -> Result<Self, CompileError> {
        let node = &correlation.node;
        for entry in node.entries() {
            match entry.key.as_str() {
                "aliases" => return Err(CompileError::at(entry.line, "'aliases' in correlations are not supported yet")),
                key if CORRELATION_KEYS.contains(&key) => {}
                key => {
                    let near = nearest(key, &CORRELATION_KEYS);
                    return Err(CompileError::at(entry.line, format!("unknown key '{key}' in the correlation{near}")));
                }
            }
        }
        let kind = need(node, correlation.line, "type")?;
        let references = texts(node, "rules")?;
        if references.is_empty() || references.len() > REFERENCES_MAX {
            return Err(CompileError::at(
                correlation.line,
                format!("a correlation refers to 1 to {REFERENCES_MAX} rules, this one to {}", references.len()),
            ));
        }
        let duplicate = (0..).zip(&references).find(|(n, (_, name))| references.iter().take(*n).any(|(_, before)| before == name));
        if let Some((_, (line, name))) = duplicate {
            return Err(CompileError::at(*line, format!("the correlation refers to '{name}' twice")));
        }
        let (measure, threshold) = match kind.as_str() {
            "event_count" => (Measure::Count, condition(node, correlation.line, None)?.1),
            "value_count" => match condition(node, correlation.line, Some(names))? {
                (Some(field), threshold) => (Measure::Values(field), threshold),
                (None, _) => return Err(CompileError::at(correlation.line, "the condition of a value_count needs a field")),
            },
            "temporal" | "temporal_ordered" => {
                if let Some(entry) = node.get("condition") {
                    return Err(CompileError::at(entry.line, format!("a condition on '{kind}' is not supported yet")));
                }
                let measure = if kind == "temporal" { Measure::Rules } else { Measure::Order };
                (measure, Threshold::AtLeast(references.len() as u64))
            }
            other => {
                let line = node.get("type").map_or(correlation.line, |entry| entry.line);
                let reason = match TYPES_LATER.contains(&other) {
                    true => format!("correlation type '{other}' is not supported yet"),
                    false => format!("unknown correlation type '{other}'{}", nearest(other, &TYPES)),
                };
                return Err(CompileError::at(line, reason));
            }
        };
        let group_by: Result<Vec<FieldId>, CompileError> =
            texts(node, "group-by")?.iter().map(|(line, name)| names.field(name, *line)).collect();
        let span = need(node, correlation.line, "timespan")?;
        let line = node.get("timespan").map_or(correlation.line, |entry| entry.line);
        let timespan = timespan(&span).map_err(|message| CompileError::at(line, message))?;
        let generate = match node.get("generate").map(|entry| (&entry.node.value, entry.line)) {
            None => false,
            Some((Value::Bool(generate), _)) => *generate,
            Some((_, line)) => return Err(CompileError::at(line, "'generate' must be true or false")),
        };
        Ok(Self { measure, threshold, references, group_by: group_by?, timespan, generate, line: correlation.line })
    }
}

fn need(node: &Node, line: u64, key: &str) -> Result<String, CompileError> {
    text(node, key)?.ok_or_else(|| CompileError::at(line, format!("the correlation has no {key}")))
}

/// `names` where the condition may name a field.
fn condition(node: &Node, line: u64, names: Option<FieldNames>) -> Result<(Option<FieldId>, Threshold), CompileError> {
    let Some(entry) = node.get("condition") else { return Err(CompileError::at(line, "the correlation has no condition")) };
    if !matches!(entry.node.value, Value::Map(_)) {
        return Err(CompileError::at(entry.line, format!("the condition must be a map such as 'gte: 10', not {}", entry.node.kind())));
    }
    let (mut field, mut threshold) = (None, None);
    for part in entry.node.entries() {
        let error = |message: String| Err(CompileError::at(part.line, message));
        let new = match (part.key.as_str(), &part.node.value) {
            ("field", Value::Str(name)) if names.is_some() => {
                field = names.map(|names| names.field(name, part.line)).transpose()?;
                continue;
            }
            ("field", Value::List(_)) if names.is_some() => return error("several fields in a value_count are not supported yet".into()),
            ("field", _) => return error("a field belongs to value_count only, as a text".into()),
            ("gt", Value::Int(n)) => Threshold::AtLeast(bounded(n.saturating_add(1), part.line)?),
            ("gte", Value::Int(n)) => Threshold::AtLeast(bounded(*n, part.line)?),
            ("lt", Value::Int(n)) => Threshold::AtMost(bounded(n.saturating_sub(1), part.line)?),
            ("lte", Value::Int(n)) => Threshold::AtMost(bounded(*n, part.line)?),
            ("eq", Value::Int(n)) => Threshold::Exactly(bounded(*n, part.line)?),
            ("gt" | "gte" | "lt" | "lte" | "eq", _) => return error(format!("a whole number is expected, not {}", part.node.kind())),
            (key, _) => return error(format!("unknown operator '{key}': use gte, gt, lte, lt or eq")),
        };
        if threshold.replace(new).is_some() {
            return error("ranges in a condition are not supported yet".into());
        }
    }
    match threshold {
        Some(threshold) => Ok((field, threshold)),
        None => Err(CompileError::at(entry.line, "the condition has no operator: use gte, gt, lte, lt or eq")),
    }
}

/// No window is judged without an event in it, so a threshold below one would say nothing.
fn bounded(n: i64, line: u64) -> Result<u64, CompileError> {
    let found = u64::try_from(n).ok().filter(|n| (1..=THRESHOLD_MAX).contains(n));
    found.ok_or_else(|| CompileError::at(line, format!("the condition must mean 1 to {THRESHOLD_MAX} events")))
}

/// `30s`, `5m`, `1h`, `7d`, `2w` in milliseconds.
fn timespan(text: &str) -> Result<i64, String> {
    let unit = match text.chars().last() {
        Some('s') => Timestamp::SECOND,
        Some('m') => Timestamp::MINUTE,
        Some('h') => Timestamp::HOUR,
        Some('d') => Timestamp::DAY,
        Some('w') => 7 * Timestamp::DAY,
        _ => 0,
    };
    let number = text.get(..text.len().saturating_sub(1)).filter(|_| unit > 0).and_then(|digits| digits.parse::<u32>().ok());
    match number.map(|number| i64::from(number).saturating_mul(unit)) {
        None | Some(0) => Err(format!("'{text}' is no time span (such as 30s, 5m, 1h or 7d)")),
        Some(millis) if millis > TIMESPAN_MAX => Err(format!("a time span of {text} is too long: windows are kept for at most 30d")),
        Some(millis) => Ok(millis),
    }
}
