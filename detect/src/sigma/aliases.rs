//! Names for fields that are called otherwise in the records of each rule (`aliases` of a correlation).

use super::CompileError;
use super::read;
use super::yaml::{Node, Value};
use crate::rule::Rule;

/// A name that a correlation groups by or counts.
#[derive(Debug)]
pub(super) struct Name {
    pub(super) line: u64,
    pub(super) text: String,
    /// Line, rule and field, where it is an alias.
    alias: Option<Vec<(u64, String, String)>>,
}

impl Name {
    pub(super) fn is_alias(&self) -> bool {
        self.alias.is_some()
    }

    /// The rules that the alias speaks of.
    pub(super) fn rules(&self) -> impl Iterator<Item = (u64, &str)> {
        self.alias.iter().flatten().map(|(line, rule, _)| (*line, rule.as_str()))
    }

    /// What it is called in the records of a rule.
    pub(super) fn for_rule(&self, rule: &Rule) -> Result<(u64, &str), CompileError> {
        let Some(alias) = &self.alias else { return Ok((self.line, &self.text)) };
        let found = alias.iter().find(|(_, name, _)| *name == rule.name || name.eq_ignore_ascii_case(&rule.id));
        let missing = || CompileError::at(self.line, format!("the alias '{}' says nothing of '{}'", self.text, rule.name));
        found.map(|(line, _, field)| (*line, field.as_str())).ok_or_else(missing)
    }
}

/// The aliases of a correlation, and whether they were used.
pub(super) struct Aliases {
    all: Vec<Alias>,
}

struct Alias {
    line: u64,
    name: String,
    /// Line, rule and the rule's field.
    fields: Vec<(u64, String, String)>,
    used: bool,
}

impl Aliases {
    pub(super) fn read(correlation: &Node) -> Result<Self, CompileError> {
        let mut all = Vec::new();
        let Some(entry) = read::entry(correlation, "aliases") else { return Ok(Self { all }) };
        let no_map = |line, what: &str, node: &Node| Err(CompileError::at(line, format!("{what} must be a map, not {}", node.kind())));
        if !matches!(entry.node.value, Value::Map(_)) {
            return no_map(entry.line, "aliases", &entry.node);
        }
        for alias in entry.node.entries() {
            if !matches!(alias.node.value, Value::Map(_)) {
                return no_map(alias.line, &format!("alias '{}'", alias.key), &alias.node);
            }
            let mut fields = Vec::new();
            for rule in alias.node.entries() {
                let field = rule.node.scalar_text().filter(|field| !field.is_empty());
                let field = field.ok_or_else(|| CompileError::at(rule.line, format!("a field is expected, not {}", rule.node.kind())))?;
                fields.push((rule.line, rule.key.clone(), field));
            }
            all.push(Alias { line: alias.line, name: alias.key.clone(), fields, used: false });
        }
        Ok(Self { all })
    }

    pub(super) fn name(&mut self, line: u64, text: String) -> Name {
        let found = self.all.iter_mut().find(|alias| alias.name == text);
        let alias = found.map(|alias| {
            alias.used = true;
            alias.fields.clone()
        });
        Name { line, text, alias }
    }

    pub(super) fn all_used(&self) -> Result<(), CompileError> {
        match self.all.iter().find(|alias| !alias.used) {
            Some(alias) => Err(CompileError::at(alias.line, format!("the correlation does not use the alias '{}'", alias.name))),
            None => Ok(()),
        }
    }
}
