//! Reading a pipeline's file: what a transformation or condition asks for and cannot be done is refused by name and line.

use regex::{Regex, RegexBuilder};

use super::super::logsource::KEYS;
use super::super::read::{one_of, text, texts};
use super::super::yaml::{self, Entry, Node, Value};
use super::super::{CompileError, nearest};
use super::condition::{Conditions, FieldTest, ItemTest, Name, RuleTest};
use super::transform::{Case, Change, Type};
use super::{Pipeline, Step};

/// Transformations in one pipeline.
const STEPS_MAX: usize = 1_000;
/// Compiled size of a pipeline's expressions.
const REGEX_BYTES_MAX: usize = 1 << 20;

const KEYS_OF_PIPELINE: [&str; 6] = ["name", "priority", "vars", "transformations", "allowed_backends", "description"];
const KEYS_OF_STEP: [&str; 12] = [
    "id",
    "type",
    "rule_conditions",
    "rule_cond_op",
    "rule_cond_not",
    "detection_item_conditions",
    "detection_item_cond_op",
    "detection_item_cond_not",
    "field_name_conditions",
    "field_name_cond_op",
    "field_name_cond_not",
    "comment",
];
const TYPES: [&str; 18] = [
    "field_name_mapping",
    "field_name_prefix_mapping",
    "field_name_prefix",
    "field_name_suffix",
    "drop_detection_item",
    "add_condition",
    "change_logsource",
    "replace_string",
    "map_string",
    "set_value",
    "convert_type",
    "case",
    "set_state",
    "value_placeholders",
    "wildcard_placeholders",
    "rule_failure",
    "detection_item_failure",
    "nest",
];

/// Names and what each stands for.
type Vars = Vec<(String, Vec<String>)>;

fn at(line: u64, message: impl Into<String>) -> CompileError {
    CompileError::at(line, message)
}

/// The pipeline and its variables: placeholders and what they stand for.
pub(super) fn pipeline(file: &str, source: &str) -> Result<(Pipeline, Vars), CompileError> {
    let mut nodes = yaml::parse(source).map_err(|error| at(error.line, error.message))?;
    let (Some(node), true) = (nodes.pop(), nodes.is_empty()) else { return Err(at(1, "a pipeline's file holds one document")) };
    only_keys(&node, &KEYS_OF_PIPELINE, "the pipeline")?;
    let priority = match node.get("priority").map(|entry| (&entry.node.value, entry.line)) {
        None => 0,
        Some((Value::Int(priority), _)) => *priority,
        Some((_, line)) => return Err(at(line, "priority must be a whole number")),
    };
    let vars = node.get("vars").map(|entry| entry.node.entries()).unwrap_or_default();
    let vars = vars.iter().map(|entry| {
        let values = entry.node.texts().filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| at(entry.line, format!("variable '{}' must be a text or a list of texts", entry.key)))?;
        Ok((entry.key.clone(), values.into_iter().map(|(_, text)| text).collect()))
    });
    let vars: Result<Vars, CompileError> = vars.collect();
    let steps = list(&node, "transformations")?;
    if steps.len() > STEPS_MAX {
        return Err(at(node.line, format!("a pipeline has at most {STEPS_MAX} transformations")));
    }
    let mut all = Vec::new();
    for node in steps {
        read_step(node, &mut all)?;
    }
    Ok((Pipeline { priority, file: file.to_owned(), steps: all }, vars?))
}

fn list<'a>(node: &'a Node, key: &str) -> Result<&'a [Node], CompileError> {
    match node.get(key).map(|entry| (&entry.node.value, entry)) {
        None | Some((Value::Null, _)) => Ok(&[]),
        Some((Value::List(items), _)) => Ok(items),
        Some((_, entry)) => Err(at(entry.line, format!("{key} must be a list, not {}", entry.node.kind()))),
    }
}

fn only_keys(node: &Node, known: &[&str], what: &str) -> Result<(), CompileError> {
    match node.entries().iter().find(|entry| !known.contains(&entry.key.as_str())) {
        Some(entry) => Err(at(entry.line, format!("unknown key '{}' in {what}{}", entry.key, nearest(&entry.key, known)))),
        None => Ok(()),
    }
}

/// Reads a transformation; one that nests others is these, under its conditions on the rule.
fn read_step(node: &Node, all: &mut Vec<Step>) -> Result<(), CompileError> {
    let kind = text(node, "type")?.ok_or_else(|| at(node.line, "the transformation has no type"))?;
    let line = node.get("type").map_or(node.line, |entry| entry.line);
    let rule = conditions(node, ["rule_conditions", "rule_cond_op", "rule_cond_not"], rule_test)?;
    let id = text(node, "id")?;
    if kind == "nest" {
        own_keys(node, &["items"])?;
        let first = all.len();
        for item in list(node, "items")? {
            read_step(item, all)?;
        }
        // Both conditions must hold; a step has room for one, so that a nested one may have none of its own.
        for step in all.get_mut(first..).unwrap_or_default() {
            if !step.rule.tests.is_empty() && !rule.tests.is_empty() {
                return Err(at(line, "a transformation in a 'nest' that has rule_conditions must have none itself"));
            }
            if step.rule.tests.is_empty() {
                step.rule = rule.clone();
            }
        }
        return Ok(());
    }
    let item = conditions(node, ["detection_item_conditions", "detection_item_cond_op", "detection_item_cond_not"], item_test)?;
    let field = conditions(node, ["field_name_conditions", "field_name_cond_op", "field_name_cond_not"], field_test)?;
    let Some(change) = change(node, &kind, line)? else { return Ok(()) };
    let of_rule = matches!(change, Change::Logsource(_) | Change::State(..) | Change::Condition { .. } | Change::RefuseRule(_));
    if of_rule && !(item.tests.is_empty() && field.tests.is_empty()) {
        return Err(at(line, format!("'{kind}' changes the rule as a whole: conditions on lines or fields mean nothing to it")));
    }
    all.push(Step { id, change, rule, item, field });
    Ok(())
}

fn own_keys(node: &Node, own: &[&str]) -> Result<(), CompileError> {
    let known: Vec<&str> = KEYS_OF_STEP.iter().chain(own).copied().collect();
    only_keys(node, &known, "the transformation")
}

/// `None` for what needs no doing.
fn change(node: &Node, kind: &str, line: u64) -> Result<Option<Change>, CompileError> {
    let need = |key: &str| text(node, key)?.ok_or_else(|| at(line, format!("'{kind}' needs '{key}'")));
    let keys = |own: &[&str]| own_keys(node, own);
    Ok(Some(match kind {
        "field_name_mapping" => {
            keys(&["mapping"])?;
            Change::FieldNames(mapping(node, kind, line)?.into_iter().collect())
        }
        "field_name_prefix_mapping" => {
            keys(&["mapping"])?;
            Change::FieldPrefixes(mapping(node, kind, line)?)
        }
        "field_name_prefix" => {
            keys(&["prefix"])?;
            Change::Prefix(need("prefix")?)
        }
        "field_name_suffix" => {
            keys(&["suffix"])?;
            Change::Suffix(need("suffix")?)
        }
        "drop_detection_item" => {
            keys(&[])?;
            Change::Drop
        }
        "add_condition" => {
            keys(&["conditions", "negated", "template"])?;
            let template = truth(node, "template")?;
            let Some(entry) = node.get("conditions") else { return Err(at(line, "'add_condition' needs 'conditions'")) };
            let lines = entry.node.entries().to_vec();
            let written = |line: &Entry| line.node.texts().is_some_and(|all| all.iter().any(|(_, text)| text.contains('$')));
            if lines.is_empty() {
                return Err(at(entry.line, "'conditions' must be a map of fields and values"));
            }
            if !template && lines.iter().any(written) {
                return Err(at(entry.line, "'$' in a condition needs 'template: true'"));
            }
            Change::Condition { lines, negated: truth(node, "negated")? }
        }
        "change_logsource" => {
            keys(&KEYS)?;
            Change::Logsource(words(node)?)
        }
        "replace_string" => {
            keys(&["regex", "replacement"])?;
            let replacement = node.get("replacement").and_then(|entry| entry.node.scalar_text());
            let replacement = replacement.ok_or_else(|| at(line, "'replace_string' needs 'replacement'"))?;
            // Groups are `\1` there and `${1}` here.
            let groups = Regex::new(r"\\(\d)").map_err(|error| at(line, error.to_string()))?;
            let replacement = groups.replace_all(&replacement.replace('$', "$$"), "$${$1}").into_owned();
            Change::Text { regex: regex(&need("regex")?, line)?, replacement }
        }
        "map_string" => {
            keys(&["mapping"])?;
            Change::Words(mapping(node, kind, line)?.into_iter().collect())
        }
        "set_value" => {
            keys(&["value"])?;
            let Some(entry) = node.get("value") else { return Err(at(line, "'set_value' needs 'value'")) };
            if matches!(entry.node.value, Value::List(_) | Value::Map(_)) {
                return Err(at(entry.line, format!("'value' must be a single one, not {}", entry.node.kind())));
            }
            Change::Value(entry.node.value.clone())
        }
        "convert_type" => {
            keys(&["target_type"])?;
            let parse = |name: &str| match name {
                "str" => Some(Type::Text),
                "num" => Some(Type::Number),
                _ => None,
            };
            Change::Type(one_of(node, "target_type", parse, "str or num")?.ok_or_else(|| at(line, "'convert_type' needs 'target_type'"))?)
        }
        "case" => {
            keys(&["method"])?;
            let parse = |name: &str| match name {
                "lower" => Some(Case::Lower),
                "upper" => Some(Case::Upper),
                _ => None,
            };
            Change::Case(one_of(node, "method", parse, "lower or upper")?.unwrap_or(Case::Lower))
        }
        "set_state" => {
            keys(&["key", "val"])?;
            Change::State(need("key")?, need("val")?)
        }
        "value_placeholders" => {
            keys(&["include", "exclude"])?;
            // A placeholder with values always has them.
            return Ok(None);
        }
        "wildcard_placeholders" => {
            keys(&["include", "exclude"])?;
            let names = |key: &str| Ok::<_, CompileError>(texts(node, key)?.into_iter().map(|(_, text)| text).collect());
            Change::Wildcards { include: names("include")?, exclude: names("exclude")? }
        }
        "rule_failure" => {
            keys(&["message"])?;
            Change::RefuseRule(need("message")?)
        }
        "detection_item_failure" => {
            keys(&["message"])?;
            Change::RefuseLine(need("message")?)
        }
        other => return Err(at(line, format!("transformation '{other}' is not supported{}", nearest(other, &TYPES)))),
    }))
}

fn truth(node: &Node, key: &str) -> Result<bool, CompileError> {
    match node.get(key).map(|entry| (&entry.node.value, entry.line)) {
        None => Ok(false),
        Some((Value::Bool(truth), _)) => Ok(*truth),
        Some((_, line)) => Err(at(line, format!("'{key}' must be true or false"))),
    }
}

fn mapping(node: &Node, kind: &str, line: u64) -> Result<Vec<(String, Vec<String>)>, CompileError> {
    let Some(entry) = node.get("mapping").filter(|entry| matches!(entry.node.value, Value::Map(_))) else {
        return Err(at(line, format!("'{kind}' needs 'mapping', a map")));
    };
    let of = |entry: &Entry| {
        let names = entry.node.texts().filter(|names| !names.is_empty());
        let names = names.ok_or_else(|| at(entry.line, format!("'{}' must be mapped to a text or a list of texts", entry.key)))?;
        Ok((entry.key.clone(), names.into_iter().map(|(_, name)| name).collect()))
    };
    entry.node.entries().iter().map(of).collect()
}

fn words(node: &Node) -> Result<[Option<String>; 3], CompileError> {
    let [product, category, service] = KEYS;
    let word = |key: &str| Ok::<_, CompileError>(text(node, key)?.map(|word| word.to_ascii_lowercase()));
    Ok([word(product)?, word(category)?, word(service)?])
}

fn regex(text: &str, line: u64) -> Result<Regex, CompileError> {
    let built = RegexBuilder::new(text).size_limit(REGEX_BYTES_MAX).build();
    built.map_err(|error| at(line, format!("regular expression: {}", error.to_string().lines().last().unwrap_or_default())))
}

fn conditions<T>(node: &Node, keys: [&str; 3], read: impl Fn(&Node) -> Result<T, CompileError>) -> Result<Conditions<T>, CompileError> {
    let [key, op, not] = keys;
    let tests: Result<Vec<T>, CompileError> = list(node, key)?.iter().map(read).collect();
    let parse = |name: &str| match name {
        "and" => Some(false),
        "or" => Some(true),
        _ => None,
    };
    Ok(Conditions { tests: tests?, any: one_of(node, op, parse, "and or or")?.unwrap_or(false), negated: truth(node, not)? })
}

fn kind_of(node: &Node) -> Result<(String, u64), CompileError> {
    let line = node.get("type").map_or(node.line, |entry| entry.line);
    Ok((text(node, "type")?.ok_or_else(|| at(line, "the condition has no type"))?, line))
}

fn with_type(node: &Node, own: &[&str]) -> Result<(), CompileError> {
    let known: Vec<&str> = std::iter::once("type").chain(own.iter().copied()).collect();
    only_keys(node, &known, "the condition")
}

fn rule_test(node: &Node) -> Result<RuleTest, CompileError> {
    let (kind, line) = kind_of(node)?;
    let need = |key: &str| text(node, key)?.ok_or_else(|| at(line, format!("condition '{kind}' needs '{key}'")));
    Ok(match kind.as_str() {
        "logsource" => {
            with_type(node, &KEYS)?;
            RuleTest::Logsource(words(node)?)
        }
        "contains_field" | "rule_contains_field" => {
            with_type(node, &["field"])?;
            RuleTest::HasField(need("field")?)
        }
        "contains_detection_item" | "rule_contains_detection_item" => {
            with_type(node, &["field", "value"])?;
            RuleTest::HasLine(need("field")?, need("value")?)
        }
        "processing_item_applied" => {
            with_type(node, &["processing_item_id"])?;
            RuleTest::Applied(need("processing_item_id")?)
        }
        "processing_state" => {
            with_type(node, &["key", "val"])?;
            RuleTest::State(need("key")?, need("val")?)
        }
        "tag" => {
            with_type(node, &["tag"])?;
            RuleTest::Tag(need("tag")?)
        }
        "is_sigma_rule" => RuleTest::IsRule,
        "is_sigma_correlation_rule" => RuleTest::IsCorrelation,
        other => return Err(at(line, format!("condition '{other}' on rules is not supported"))),
    })
}

fn item_test(node: &Node) -> Result<ItemTest, CompileError> {
    let (kind, line) = kind_of(node)?;
    let need = |key: &str| text(node, key)?.ok_or_else(|| at(line, format!("condition '{kind}' needs '{key}'")));
    let parse = |name: &str| match name {
        "any" => Some(false),
        "all" => Some(true),
        _ => None,
    };
    let all = || Ok::<_, CompileError>(one_of(node, "cond", parse, "any or all")?.unwrap_or(false));
    Ok(match kind.as_str() {
        "match_string" => {
            with_type(node, &["cond", "pattern", "negate"])?;
            // From the beginning, as there.
            let pattern = regex(&format!(r"\A(?:{})", need("pattern")?), line)?;
            ItemTest::Matches { regex: pattern, all: all()?, negated: truth(node, "negate")? }
        }
        "is_null" => {
            with_type(node, &["cond"])?;
            ItemTest::IsNull { all: all()? }
        }
        "contains_wildcard" => {
            with_type(node, &["cond"])?;
            ItemTest::HasWildcard { all: all()? }
        }
        "processing_item_applied" => {
            with_type(node, &["processing_item_id"])?;
            ItemTest::Applied(need("processing_item_id")?)
        }
        other => return Err(at(line, format!("condition '{other}' on lines is not supported"))),
    })
}

fn field_test(node: &Node) -> Result<FieldTest, CompileError> {
    let (kind, line) = kind_of(node)?;
    let names = || -> Result<Vec<Name>, CompileError> {
        with_type(node, &["fields", "mode"])?;
        let parse = |name: &str| match name {
            "plain" => Some(false),
            "re" => Some(true),
            _ => None,
        };
        let expressions = one_of(node, "mode", parse, "plain or re")?.unwrap_or(false);
        let name = |(line, text): (u64, String)| match expressions {
            true => regex(&format!(r"\A(?:{text})"), line).map(Name::Expression),
            false => Ok(Name::Plain(text)),
        };
        texts(node, "fields")?.into_iter().map(name).collect()
    };
    Ok(match kind.as_str() {
        "include_fields" => FieldTest::Include(names()?),
        "exclude_fields" => FieldTest::Exclude(names()?),
        "processing_item_applied" => {
            with_type(node, &["processing_item_id"])?;
            let id = text(node, "processing_item_id")?;
            FieldTest::Applied(id.ok_or_else(|| at(line, "condition 'processing_item_applied' needs 'processing_item_id'"))?)
        }
        other => return Err(at(line, format!("condition '{other}' on fields is not supported"))),
    })
}
