//! A correlation document: what is measured, in which window, by which fields. References to other rules stay names here
//! until the rules that they mean are known (`resolve`); `crate::correlate` does the counting. The meaning is pySigma's, with
//! the specification's ranges beside it.

use std::collections::BTreeMap;

use ingest::fields::FieldId;
use ingest::time::Timestamp;

use super::aliases::{Aliases, Name};
use super::attributes::EntityField;
use super::condition;
use super::names::FieldNames;
use super::pipeline::Pipelines;
use super::read::{text, texts};
use super::set::{Logic, RuleSet};
use super::threshold::{self, Threshold};
use super::yaml::{Entry, Node, Value};
use super::{CompileError, nearest};
use crate::correlate::{
    COUNT_MAX, Column, Correlation, DIFFERENT_MAX, Limits, Measure, REFERENCES_MAX, Reach, Reference, Source, TIMESPAN_MAX,
};

/// What the body that something happened at is called in a condition, after ECS. No record says it of itself: whose something
/// is follows from where it came from.
const BODY_FIELD: &str = "organization.id";

/// A correlation whose references are still names.
#[derive(Debug)]
pub(crate) struct CorrelationBody {
    pub(crate) references: Vec<(u64, String)>,
    pub(crate) generate: bool,
    pub(crate) line: u64,
    measure: Measure,
    limits: Limits,
    group_by: Vec<Name>,
    values: Vec<Name>,
    timespan: i64,
    reach: Reach,
    names: FieldNames,
}

/// What pipelines made of the names in the rules that a correlation refers to. A name that all of them were given alike is
/// that in the correlation too (pySigma's meaning); where they differ it must be said with `aliases`.
pub(crate) struct Renaming<'a> {
    pub(crate) pipelines: &'a Pipelines,
    /// By place in the set: the steps that the rule went through.
    pub(crate) steps: &'a [Vec<usize>],
    /// Those that the correlation itself meets.
    pub(crate) own: &'a [usize],
}

impl Renaming<'_> {
    /// What a field is called in the records of the rule at `place`.
    fn of(&self, place: usize, rule: &str, field: &str) -> Result<String, String> {
        let steps: Vec<usize> = self.steps.get(place).into_iter().flatten().chain(self.own).copied().collect();
        let mut names = self.pipelines.names(&steps, field).map_err(|message| format!("'{field}': {message}"))?;
        match names.len() {
            1 => Ok(names.remove(0)),
            0 => Err(format!("a pipeline leaves no name of '{field}' in the records of '{rule}'")),
            _ => Err(format!("'{field}' is one of {} in the records of '{rule}': name the one that is meant", names.join(", "))),
        }
    }
}

const CORRELATION_KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "generate", "aliases"];
const TYPES: [&str; 8] =
    ["event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile", "value_median"];

impl CorrelationBody {
    pub(crate) fn read(correlation: &Entry, names: FieldNames, reach: Reach) -> Result<Self, CompileError> {
        let (node, line) = (&correlation.node, correlation.line);
        if !matches!(node.value, Value::Map(_)) {
            return Err(CompileError::at(line, format!("the correlation must be a map, not {}", node.kind())));
        }
        if let Some(entry) = node.entries().iter().find(|entry| !CORRELATION_KEYS.contains(&entry.key.as_str())) {
            let near = nearest(&entry.key, &CORRELATION_KEYS);
            return Err(CompileError::at(entry.line, format!("unknown key '{}' in the correlation{near}", entry.key)));
        }
        let kind = need(node, line, "type")?;
        let kind_line = node.get("type").map_or(line, |entry| entry.line);
        if !TYPES.contains(&kind.as_str()) {
            return Err(CompileError::at(kind_line, format!("unknown correlation type '{kind}'{}", nearest(&kind, &TYPES))));
        }
        let references = references(node, line, kind.starts_with("temporal"))?;
        let Conditions { measure, limits, values } = match kind.as_str() {
            "temporal" | "temporal_ordered" => temporal(node, line, &references, kind == "temporal_ordered")?,
            _ => counted(node, line, &kind)?,
        };
        let mut aliases = Aliases::read(node)?;
        let named = |(line, name): (u64, String)| aliases.name(line, name);
        let group_by: Vec<(u64, String)> = texts(node, "group-by")?;
        let (group_by, values): (Vec<Name>, Vec<Name>) = {
            let mut named = named;
            (group_by.into_iter().map(&mut named).collect(), values.into_iter().map(&mut named).collect())
        };
        aliases.all_used()?;
        let span = need(node, line, "timespan")?;
        let span_line = node.get("timespan").map_or(line, |entry| entry.line);
        let timespan = timespan(&span).map_err(|message| CompileError::at(span_line, message))?;
        let generate = match node.get("generate").map(|entry| (&entry.node.value, entry.line)) {
            None | Some((Value::Null, _)) => false,
            Some((Value::Bool(generate), _)) => *generate,
            Some((_, line)) => return Err(CompileError::at(line, "'generate' must be true or false")),
        };
        if let Some(name) = group_by.iter().chain(&values).find(|name| name.text == BODY_FIELD) {
            let grouped = group_by.iter().any(|name| name.text == BODY_FIELD);
            let message = match reach {
                Reach::Site => format!("'{BODY_FIELD}' is the same throughout a site: counting bodies needs 'wartburg: {{scope: state}}'"),
                Reach::State if grouped => format!("'{BODY_FIELD}' can be counted, not grouped by: then nothing is left to look over"),
                Reach::State => String::new(),
            };
            if !message.is_empty() {
                return Err(CompileError::at(name.line, message));
            }
        }
        Ok(Self { references, generate, line, measure, limits, group_by, values, timespan, reach, names })
    }

    /// With the places of the rules that it refers to, which are in the set already.
    pub(crate) fn resolve<'n>(&'n self, places: &[usize], set: &RuleSet, renaming: &Renaming<'_>) -> Result<Correlation, CompileError> {
        let rules: Vec<_> = places.iter().filter_map(|place| set.rules.get(*place)).collect();
        let meant = |rule: &str| rules.iter().any(|known| known.rule.name == rule || known.rule.id.eq_ignore_ascii_case(rule));
        for name in self.group_by.iter().chain(&self.values) {
            if let Some((line, rule)) = name.rules().find(|(_, rule)| !meant(rule)) {
                let known: Vec<&str> = rules.iter().map(|known| known.rule.name.as_str()).collect();
                let message = format!(
                    "the alias '{}' speaks of '{rule}', which the correlation does not refer to{}",
                    name.text,
                    nearest(rule, &known)
                );
                return Err(CompileError::at(line, message));
            }
        }
        if let Some(below) = rules.iter().find(|known| known.is_state_wide()) {
            let message =
                format!("'{}' looks over all bodies: what it finds is told, and counted by no other correlation", below.rule.name);
            return Err(CompileError::at(self.line, message));
        }
        let mut columns: Vec<Column> = self.group_by.iter().map(|name| Column { name: name.text.clone(), fields: Vec::new() }).collect();
        let mut references = Vec::new();
        // What each name without an alias is in the records of the first rule.
        let mut called: BTreeMap<&str, (&str, String)> = BTreeMap::new();
        for (place, compiled) in places.iter().zip(&rules) {
            let mut source = |name: &'n Name| -> Result<(Source, Vec<FieldId>), CompileError> {
                let (line, field) = name.for_rule(&compiled.rule)?;
                if field == BODY_FIELD && self.reach == Reach::State {
                    return Ok((Source::Body, vec![]));
                }
                match &compiled.logic {
                    Logic::Detection(_) | Logic::Off => {
                        let rule = compiled.rule.name.as_str();
                        let renamed = renaming.of(*place, rule, field).map_err(|message| CompileError::at(line, message))?;
                        let (first, known) = called.entry(name.text.as_str()).or_insert_with(|| (rule, renamed.clone()));
                        if *known != renamed && !name.is_alias() {
                            let text = &name.text;
                            let message = format!(
                                "'{text}' is '{known}' in the records of '{first}' and '{renamed}' in those of '{rule}': say with 'aliases' which is meant"
                            );
                            return Err(CompileError::at(line, message));
                        }
                        let field = self.names.field(&renamed, line)?;
                        Ok((Source::Field(field), vec![field]))
                    }
                    Logic::Correlation(child) => {
                        let found = child.group_by.iter().position(|column| column.name == field);
                        let place = found.ok_or_else(|| {
                            CompileError::at(line, format!("'{field}' is needed here, but '{}' does not group by it", compiled.rule.name))
                        })?;
                        let fields = child.group_by.get(place).map(|column| column.fields.clone()).unwrap_or_default();
                        Ok((Source::Group(place), fields))
                    }
                }
            };
            let (mut group, mut values) = (Vec::new(), Vec::new());
            for (name, column) in self.group_by.iter().zip(&mut columns) {
                let (from, fields) = source(name)?;
                group.push(from);
                let new: Vec<FieldId> = fields.into_iter().filter(|field| !column.fields.contains(field)).collect();
                column.fields.extend(new);
            }
            for name in &self.values {
                values.push(source(name)?.0);
            }
            references.push(Reference { place: *place, id: compiled.rule.id.clone(), group, values });
        }
        let (measure, limits, timespan, reach) = (self.measure.clone(), self.limits, self.timespan, self.reach);
        Ok(Correlation { measure, limits, references, group_by: columns, timespan, reach })
    }
}

impl Correlation {
    /// Whether its findings can be about that: those over all bodies must be about what these have in common.
    pub(super) fn is_about(&self, entity: EntityField) -> bool {
        let grouped = |field| self.group_by.iter().any(|column| column.fields.contains(&field));
        self.reach == Reach::Site || matches!(entity, EntityField::Field(field) if grouped(field))
    }
}

/// What a condition says.
struct Conditions {
    measure: Measure,
    limits: Limits,
    /// The names of the fields that are counted or added up.
    values: Vec<(u64, String)>,
}

fn need(node: &Node, line: u64, key: &str) -> Result<String, CompileError> {
    text(node, key)?.ok_or_else(|| CompileError::at(line, format!("the correlation has no {key}")))
}

/// The rules that it refers to; where a formula names them it need not list them.
fn references(node: &Node, line: u64, formula_may_name: bool) -> Result<Vec<(u64, String)>, CompileError> {
    let mut references = texts(node, "rules")?;
    if references.is_empty()
        && formula_may_name
        && let Some(condition) = node.get("condition")
        && let Value::Str(formula) = &condition.node.value
    {
        let names = condition::names_in(formula).map_err(|message| CompileError::at(condition.line, message))?;
        references = names.into_iter().map(|name| (condition.line, name.to_owned())).collect();
    }
    if references.is_empty() || references.len() > REFERENCES_MAX {
        let message = format!("a correlation refers to 1 to {REFERENCES_MAX} rules, this one to {}", references.len());
        return Err(CompileError::at(line, message));
    }
    let duplicate = (0..).zip(&references).find(|(n, (_, name))| references.iter().take(*n).any(|(_, before)| before == name));
    match duplicate {
        Some((_, (line, name))) => Err(CompileError::at(*line, format!("the correlation refers to '{name}' twice"))),
        None => Ok(references),
    }
}

/// How many, how many different, how much.
fn counted(node: &Node, line: u64, kind: &str) -> Result<Conditions, CompileError> {
    let Some(entry) = node.get("condition") else { return Err(CompileError::at(line, "the correlation has no condition")) };
    let Threshold { limits, fields, percentile } = Threshold::read(entry)?;
    let error = |line: u64, message: String| Err(CompileError::at(line, message));
    let several = kind == "value_count";
    match (kind, fields.as_slice()) {
        ("event_count", [(line, _), ..]) => return error(*line, "an event_count counts records: 'field' belongs to value_count".into()),
        ("event_count", []) => {}
        (_, []) => return error(line, format!("the condition of a {kind} needs a field")),
        (_, [_, (line, _), ..]) if !several => return error(*line, format!("a {kind} reckons with one field")),
        _ => {}
    }
    let measure = match (kind, percentile) {
        ("value_percentile", Some((_, percent))) => Measure::Percentile(percent),
        ("value_percentile", None) => return error(line, "the condition of a value_percentile needs a percentile".into()),
        (_, Some((line, _))) => return error(line, "'percentile' belongs to value_percentile".into()),
        ("event_count", _) => Measure::Count,
        ("value_count", _) => Measure::Values,
        ("value_sum", _) => Measure::Sum,
        ("value_avg", _) => Measure::Average,
        _ => Measure::Median,
    };
    match measure {
        Measure::Count => threshold::check_count(&limits, COUNT_MAX, "events", entry.line)?,
        Measure::Values => threshold::check_count(&limits, DIFFERENT_MAX, "different values", entry.line)?,
        _ => threshold::check_reachable(&limits, entry.line)?,
    }
    Ok(Conditions { measure, limits, values: fields })
}

/// Which rules match together, in any order or in theirs.
fn temporal(node: &Node, line: u64, references: &[(u64, String)], ordered: bool) -> Result<Conditions, CompileError> {
    let count = references.len();
    let condition = node.get("condition").filter(|entry| entry.node.value != Value::Null);
    let (measure, limits) = match condition {
        None if ordered => (Measure::Order(threshold::chains_of(count, count, line)?), Limits::default()),
        None => (Measure::Rules, Limits::at_least(count)),
        Some(entry) => match &entry.node.value {
            Value::Str(formula) => (threshold::formula(formula, references, ordered, entry.line)?, Limits::default()),
            _ => threshold::rules(entry, count, ordered)?,
        },
    };
    Ok(Conditions { measure, limits, values: Vec::new() })
}

/// `30s`, `5m`, `1h`, `7d`, `2w`, `1M` in milliseconds; month and year are pySigma's, a twelfth of 365.2425 days and all of
/// them.
fn timespan(text: &str) -> Result<i64, String> {
    const YEAR: i64 = 31_556_952 * Timestamp::SECOND;
    let unit = match text.chars().last() {
        Some('s') => Timestamp::SECOND,
        Some('m') => Timestamp::MINUTE,
        Some('h') => Timestamp::HOUR,
        Some('d') => Timestamp::DAY,
        Some('w') => 7 * Timestamp::DAY,
        Some('M') => YEAR / 12,
        Some('y') => YEAR,
        _ => 0,
    };
    let digits = text.get(..text.len().saturating_sub(1)).filter(|digits| unit > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()));
    match digits.and_then(|digits| digits.parse::<u32>().ok()).map(|number| i64::from(number).saturating_mul(unit)) {
        None | Some(0) => Err(format!("'{text}' is no time span (such as 30s, 5m, 1h or 7d)")),
        Some(millis) if millis > TIMESPAN_MAX => Err(format!("a time span of {text} is too long: windows are kept for at most 31d")),
        Some(millis) => Ok(millis),
    }
}
