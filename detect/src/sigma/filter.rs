//! Filter documents: what a site adds to rules of others without touching them. A rule that a filter applies to matches
//! where its own condition holds *and* the filter's does (pySigma's meaning). The filter's selections stay its own: no
//! pattern of the rule's condition means them, and none of the filter's means the rule's.

use std::sync::Arc;

use super::CompileError;
use super::detection::Formula;
use super::logsource::Logsource;
use super::metadata::Names;
use super::names::Context;
use super::pipeline::Steps;
use super::yaml::{Entry, Node, Value};

/// Rules that one filter may name.
const REFERENCES_MAX: usize = 1_000;

#[derive(Debug)]
pub(crate) struct Filter {
    pub(crate) names: Names,
    pub(crate) line: u64,
    pub(crate) logsource: Logsource,
    pub(crate) rules: Targets,
    pub(crate) formula: Arc<Formula>,
}

#[derive(Debug)]
pub(crate) enum Targets {
    /// Every rule of the logsource.
    Any,
    /// By id or name, with the reference's line.
    Named(Vec<(u64, String)>),
}

impl Filter {
    pub(crate) fn compile(
        node: &Node,
        filter: &Entry,
        names: Names,
        context: &Context<'_>,
        steps: &Steps<'_>,
    ) -> Result<Self, CompileError> {
        for key in ["detection", "correlation"] {
            if let Some(entry) = node.get(key) {
                return Err(CompileError::at(entry.line, format!("a document is a filter or has a {key}, not both")));
            }
        }
        if let Some(entry) = node.get("wartburg") {
            return Err(CompileError::at(entry.line, "'wartburg' belongs to rules, not to a filter"));
        }
        let Some(logsource) = node.get("logsource") else { return Err(CompileError::at(node.line, "the filter has no logsource")) };
        if !matches!(filter.node.value, Value::Map(_)) {
            return Err(CompileError::at(filter.line, format!("the filter must be a map, not {}", filter.node.kind())));
        }
        if let Some(condition) = filter.node.get("condition").filter(|condition| condition.node.as_str().is_none()) {
            return Err(CompileError::at(condition.line, "a filter has one condition, a text"));
        }
        Ok(Self {
            names,
            line: node.line,
            logsource: Logsource::read(logsource)?,
            rules: Targets::read(filter)?,
            formula: Arc::new(Formula::compile(filter, "filter", &["condition", "rules"], context, steps)?),
        })
    }

    /// What a reader may take otherwise than it is meant.
    pub(crate) fn remark(&self) -> Option<String> {
        let message = "the filter's condition has no 'not': the rules now fire only where it holds; to keep them quiet there, write 'not'";
        (!self.formula.excludes()).then(|| message.to_owned())
    }
}

impl Targets {
    fn read(filter: &Entry) -> Result<Self, CompileError> {
        let wanted = "the rules that it applies to, by id or name, or 'any'";
        let Some(entry) = filter.node.get("rules") else {
            return Err(CompileError::at(filter.line, format!("the filter does not say 'rules': {wanted}")));
        };
        let Some(rules) = entry.node.texts() else {
            return Err(CompileError::at(entry.line, format!("'rules' of a filter is {wanted}")));
        };
        if rules.len() > REFERENCES_MAX {
            return Err(CompileError::at(entry.line, format!("a filter names at most {REFERENCES_MAX} rules")));
        }
        let any = |text: &str| text.eq_ignore_ascii_case("any") || text.eq_ignore_ascii_case("all");
        match (&entry.node.value, rules.as_slice()) {
            (Value::List(_), []) => Ok(Self::Any),
            (Value::Str(_), [(_, text)]) if any(text) => Ok(Self::Any),
            _ => Ok(Self::Named(rules)),
        }
    }
}
