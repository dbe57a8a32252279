//! The detection of a rule: its selections, compiled from maps, lists and keywords, and how they are evaluated on a
//! record. Evaluation parses nothing and allocates only where a value must be folded to lower case. One detection is asked
//! here by itself; all of a set at once are `index`'s.

use std::sync::Arc;

use ingest::event::ValueRef;
use ingest::fields::FieldId;
use ingest::record::Record;

use super::CompileError;
use super::condition::{self, Expr};
use super::logsource::Logsource;
use super::modifier::Modifiers;
use super::names::Context;
use super::pipeline::Steps;
use super::value::Matcher;
use super::yaml::{Entry, Node, Value};

/// Values in one rule; the largest public ones have some hundreds.
const VALUES_MAX: usize = 10_000;
/// Selections in one rule: each `of` in a condition may mean all of them.
const SELECTIONS_MAX: usize = 500;

/// A compiled detection.
#[derive(Clone, Debug)]
pub(crate) struct Detection {
    pub(crate) logsource: Logsource,
    pub(crate) formula: Formula,
    /// What filter documents demand besides, each with names of its own, so that none meets another's.
    pub(crate) filters: Vec<Arc<Formula>>,
}

/// Selections and the condition over them: what a rule and a filter have in common.
#[derive(Clone, Debug)]
pub(crate) struct Formula {
    /// As the rule calls them.
    pub(super) names: Vec<Box<str>>,
    pub(super) selections: Vec<Branch>,
    pub(super) condition: Expr,
}

/// A selection or a part of one.
#[derive(Clone, Debug)]
pub(super) enum Branch {
    All(Vec<Branch>),
    Any(Vec<Branch>),
    Item(Arc<Item>),
}

/// One line of a selection: where it looks and what it must find there.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) subject: Subject,
    /// Each group must find something: one for all of the line's values, or with `all` one for each.
    pub(super) groups: Vec<Vec<Matcher>>,
    /// With `neq` the line holds where the rest of it does not.
    pub(super) neq: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// Keywords: the whole record.
    Anything,
    Field(FieldId),
    /// The record's own time, `@timestamp`.
    Time,
}

impl Detection {
    pub(crate) fn compile(logsource: &Entry, detection: &Entry, context: &Context<'_>, steps: &Steps<'_>) -> Result<Self, CompileError> {
        let logsource = Logsource::compile(logsource, context.names)?;
        let formula = Formula::compile(detection, "detection", &["condition"], context, steps)?;
        let added = steps.added().iter().map(|(lines, negated)| Formula::of_lines(lines, *negated, context).map(Arc::new));
        Ok(Self { logsource, formula, filters: added.collect::<Result<_, _>>()? })
    }

    /// The meaning that `index` is held to.
    #[cfg(test)]
    pub(crate) fn matches(&self, record: &dyn Record) -> bool {
        self.logsource.holds(record) && self.formula.holds(record) && self.filters.iter().all(|filter| filter.holds(record))
    }
}

impl Formula {
    /// `what` is the map's name for messages, `own` are its keys that are no selections.
    pub(crate) fn compile(map: &Entry, what: &str, own: &[&str], context: &Context<'_>, steps: &Steps<'_>) -> Result<Self, CompileError> {
        let Some(condition) = map.node.get("condition") else {
            return Err(CompileError::at(map.line, format!("the {what} has no condition")));
        };
        let entries: Vec<&Entry> = map.node.entries().iter().filter(|entry| !own.contains(&entry.key.as_str())).collect();
        if entries.len() > SELECTIONS_MAX {
            return Err(CompileError::at(map.line, format!("the {what} has more than {SELECTIONS_MAX} selections")));
        }
        let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let Some(conditions) = condition.node.texts().filter(|all| !all.is_empty()) else {
            return Err(CompileError::at(condition.line, "the condition must be a text or a list of texts"));
        };
        // A list of conditions is one rule that any of them sets off.
        let parts: Result<Vec<Expr>, CompileError> = conditions
            .iter()
            .map(|(line, text)| condition::parse(text, &names).map_err(|message| CompileError::at(*line, message)))
            .collect();
        let condition = Expr::Any(parts?);
        let mut used = Vec::new();
        condition.selections(&mut used);
        let unused = (0..).zip(&entries).find(|(number, entry)| !used.contains(number) && !entry.key.starts_with('_'));
        if let Some((_, entry)) = unused {
            return Err(CompileError::at(entry.line, format!("the condition does not use selection '{}'", entry.key)));
        }
        let mut compiler = Compiler { values: 0, context, steps };
        let selections: Result<Vec<Branch>, CompileError> =
            entries.iter().map(|entry| compiler.selection(&entry.node, &entry.key, entry.line)).collect();
        let names = names.into_iter().map(Box::from).collect();
        Ok(Self { names, selections: selections?, condition })
    }

    pub(super) fn holds(&self, record: &dyn Record) -> bool {
        self.condition.eval(&mut |number| self.selections.get(number).is_some_and(|selection| selection.holds(record)))
    }

    /// Lines that must hold together, or must not.
    fn of_lines(lines: &[Entry], negated: bool, context: &Context<'_>) -> Result<Self, CompileError> {
        let mut compiler = Compiler { values: 0, context, steps: &Steps::default() };
        let lines: Result<Vec<Branch>, CompileError> = lines.iter().map(|line| compiler.entry(line)).collect();
        let condition = if negated { Expr::Not(Box::new(Expr::Selection(0))) } else { Expr::Selection(0) };
        Ok(Self { names: vec!["pipeline".into()], selections: vec![Branch::All(lines?)], condition })
    }

    /// Whether the condition takes anything away: `not` stands in it.
    pub(crate) fn excludes(&self) -> bool {
        self.condition.has_not()
    }
}

impl Branch {
    pub(super) fn holds(&self, record: &dyn Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(record)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(record)),
            Self::Item(item) => item.matches(record),
        }
    }
}

impl Item {
    pub(super) fn matches(&self, record: &dyn Record) -> bool {
        self.groups.iter().all(|matchers| self.found(matchers, record)) != self.neq
    }

    /// Whether one of the matchers finds a value in the record.
    pub(super) fn found(&self, matchers: &[Matcher], record: &dyn Record) -> bool {
        let one = |value: ValueRef<'_>| matchers.iter().any(|matcher| matcher.matches(value, record));
        let field = match self.subject {
            // A line's text holds all of its fields; a flow has no text, so its values are looked at.
            Subject::Anything if record.text().is_empty() => return record.any_field(&mut |_, value| one(value)),
            Subject::Anything => return one(ValueRef::Str(record.text())),
            Subject::Time => return one(ValueRef::Str(&record.timestamp().rfc3339())),
            Subject::Field(field) => field,
        };
        let present = || record.any_value(field, &mut |_| true);
        matchers.iter().any(|matcher| match matcher {
            Matcher::Null => !present(),
            Matcher::Exists(wanted) => present() == *wanted,
            _ => false,
        }) || record.any_value(field, &mut |value| one(value))
    }
}

struct Compiler<'a> {
    values: usize,
    context: &'a Context<'a>,
    steps: &'a Steps<'a>,
}

impl Compiler<'_> {
    fn selection(&mut self, node: &Node, name: &str, line: u64) -> Result<Branch, CompileError> {
        match &node.value {
            Value::Map(entries) if entries.is_empty() => Err(CompileError::at(line, format!("selection '{name}' is empty"))),
            Value::Map(entries) => {
                let mut all = Vec::with_capacity(entries.len());
                for entry in entries {
                    all.extend(self.item(entry)?);
                }
                // Nothing demanded would be everything found.
                match all.is_empty() {
                    true => Err(CompileError::at(line, format!("a pipeline drops all of selection '{name}'"))),
                    false => Ok(Branch::All(all)),
                }
            }
            Value::List(items) if items.is_empty() => Err(CompileError::at(line, format!("selection '{name}' is empty"))),
            Value::List(items) => items.iter().map(|item| self.selection(item, name, item.line)).collect::<Result<_, _>>().map(Branch::Any),
            Value::Null => Err(CompileError::at(line, format!("selection '{name}' is empty"))),
            _ => {
                let keyword = Entry { key: String::new(), line, node: node.clone() };
                let found = self.item(&keyword)?;
                found.ok_or_else(|| CompileError::at(line, format!("a pipeline drops all of selection '{name}'")))
            }
        }
    }

    /// One `field|modifier: value` of a map, after the pipelines: nothing where they drop it, any of several where they make
    /// several of it.
    fn item(&mut self, entry: &Entry) -> Result<Option<Branch>, CompileError> {
        let mut lines = Vec::new();
        for entry in self.steps.of_line(entry)? {
            lines.push(self.entry(&entry)?);
        }
        Ok(match lines.len() {
            0 | 1 => lines.pop(),
            _ => Some(Branch::Any(lines)),
        })
    }

    fn entry(&mut self, entry: &Entry) -> Result<Branch, CompileError> {
        let nodes = match &entry.node.value {
            Value::List(items) if items.is_empty() => {
                return Err(CompileError::at(entry.line, format!("'{}' has an empty list", entry.key)));
            }
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.node),
        };
        self.line(&entry.key, nodes, entry.line).map(Arc::new).map(Branch::Item)
    }

    fn line(&mut self, key: &str, values: &[Node], line: u64) -> Result<Item, CompileError> {
        let mut parts = key.split('|');
        let name = parts.next().unwrap_or_default();
        let modifiers = Modifiers::parse(parts, name.is_empty()).map_err(|message| CompileError::at(line, message))?;
        let (subject, field) = match name {
            "" => (Subject::Anything, None),
            "@timestamp" if modifiers.is_part() => (Subject::Time, None),
            name => {
                let field = self.context.names.field(name, line)?;
                (Subject::Field(field), Some(field))
            }
        };
        let mut groups: Vec<Vec<Matcher>> = Vec::new();
        for value in values {
            let matchers = modifiers.matchers(value, field, self.context)?;
            self.values += matchers.len();
            if self.values > VALUES_MAX {
                return Err(CompileError::at(value.line, format!("the rule has more than {VALUES_MAX} values")));
            }
            match groups.last_mut() {
                Some(group) if !modifiers.all => group.extend(matchers),
                _ => groups.push(matchers),
            }
        }
        Ok(Item { subject, groups, neq: modifiers.neq })
    }
}
