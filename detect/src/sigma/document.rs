//! One YAML document understood: a rule with its detection, a correlation, or a filter. References to other rules stay
//! names here; `set` resolves them.

use super::CompileError;
use super::attributes::{Attributes, EntityField};
use super::correlation::CorrelationBody;
use super::detection::Detection;
use super::filter::Filter;
use super::metadata::{self, Metadata};
use super::names::Context;
use super::read::{one_of, text, texts};
use super::version;
use super::yaml::{Node, Value};
use crate::rule::{Level, Rule};

#[derive(Debug)]
pub(crate) enum Document {
    Rule(Box<RuleDocument>),
    Filter(Filter),
}

/// A rule or a correlation.
#[derive(Debug)]
pub(crate) struct RuleDocument {
    pub(crate) rule: Rule,
    pub(crate) metadata: Metadata,
    /// Fingerprint of the document as it was written, before pipelines.
    pub(crate) content: String,
    /// The pipelines' steps that it went through.
    pub(crate) steps: Vec<usize>,
    pub(crate) line: u64,
    /// `wartburg: alert: false`: the rule only feeds correlations.
    pub(crate) silent: bool,
    pub(crate) entity: EntityField,
    pub(crate) falsepositives: Vec<String>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Detection(Detection),
    Correlation(CorrelationBody),
}

impl Document {
    /// `name` is the folder's or file's, for a document that gives itself none.
    pub(crate) fn compile(node: &Node, name: &str, context: &Context<'_>) -> Result<Self, CompileError> {
        let line = node.line;
        if !matches!(node.value, Value::Map(_)) {
            return Err(CompileError::at(line, format!("a rule must be a map, not {}", node.kind())));
        }
        let content = version::content_of(node);
        let (node, steps) = context.pipelines.apply(node)?;
        let node = &*node;
        metadata::check_keys(node)?;
        let names = metadata::Names::read(node, name)?;
        let metadata = Metadata::read(node)?;
        if let Some(filter) = node.get("filter") {
            return Filter::compile(node, filter, names, context, &steps).map(Self::Filter);
        }
        let levels: Vec<&str> = Level::ALL.iter().map(|level| level.as_str()).collect();
        let level = one_of(node, "level", Level::parse, &levels.join(", "))?.unwrap_or(Level::Informational);
        let attributes = Attributes::read(node, context.names)?;
        let rule = Rule {
            id: names.id.unwrap_or_else(|| names.name.clone()),
            name: names.name,
            title: names.title,
            description: text(node, "description")?.unwrap_or_default(),
            level,
            rsit: attributes.rsit,
            attack: metadata.tags.iter().filter_map(|tag| technique(tag)).collect(),
            playbook: attributes.playbook,
        };
        if node.get("correlation").is_none()
            && let Some(line) = attributes.reach_line
        {
            return Err(CompileError::at(line, "a detection judges one record: only a correlation has a scope"));
        }
        let body = match (node.get("logsource"), node.get("detection"), node.get("correlation")) {
            (_, Some(detection), Some(_)) => {
                return Err(CompileError::at(detection.line, "a document is a detection or a correlation, not both"));
            }
            (Some(logsource), Some(detection), None) => Body::Detection(Detection::compile(logsource, detection, context, &steps)?),
            (None, Some(detection), None) => return Err(CompileError::at(detection.line, "the rule has no logsource")),
            (_, None, Some(correlation)) => Body::Correlation(CorrelationBody::read(correlation, context.names, attributes.reach)?),
            (_, None, None) => return Err(CompileError::at(line, "the rule has neither a detection nor a correlation")),
        };
        let falsepositives = texts(node, "falsepositives")?.into_iter().map(|(_, text)| text).collect();
        let (silent, entity) = (!attributes.alert, attributes.entity);
        Ok(Self::Rule(Box::new(RuleDocument {
            rule,
            metadata,
            content,
            steps: steps.places().to_vec(),
            line,
            silent,
            entity,
            falsepositives,
            body,
        })))
    }
}

/// `attack.t1110.001` → `T1110.001`; tactics and other tags are none.
fn technique(tag: &str) -> Option<String> {
    let name = tag.strip_prefix("attack.t")?;
    name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| format!("T{name}"))
}
