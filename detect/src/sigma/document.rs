//! One YAML document as a rule: its metadata checked, its detection compiled or its correlation read. References to
//! other rules stay names here; `set` resolves them.

use ingest::fields::{self, FieldId, Kind as FieldKind};
use ingest::time::Timestamp;

use super::detection::{self, Detection};
use super::yaml::{Entry, Node, Value};
use super::{CompileError, distance, nearest};
use crate::correlate::{Measure, REFERENCES_MAX, THRESHOLD_MAX, TIMESPAN_MAX, Threshold};
use crate::rule::{Level, Rule};

/// The reference incident classification, `category/type`; the names are those of its machine-readable form.
pub(crate) const RSIT: [&str; 39] = [
    "abusive-content/spam",
    "abusive-content/harmful-speech",
    "abusive-content/violence",
    "malicious-code/infected-system",
    "malicious-code/c2-server",
    "malicious-code/malware-distribution",
    "malicious-code/malware-configuration",
    "information-gathering/scanner",
    "information-gathering/sniffing",
    "information-gathering/social-engineering",
    "intrusion-attempts/ids-alert",
    "intrusion-attempts/brute-force",
    "intrusion-attempts/exploit",
    "intrusions/privileged-account-compromise",
    "intrusions/unprivileged-account-compromise",
    "intrusions/application-compromise",
    "intrusions/system-compromise",
    "intrusions/burglary",
    "availability/dos",
    "availability/ddos",
    "availability/misconfiguration",
    "availability/sabotage",
    "availability/outage",
    "information-content-security/unauthorised-information-access",
    "information-content-security/unauthorised-information-modification",
    "information-content-security/data-loss",
    "information-content-security/data-leak",
    "fraud/unauthorised-use-of-resources",
    "fraud/copyright",
    "fraud/masquerade",
    "fraud/phishing",
    "vulnerable/weak-crypto",
    "vulnerable/ddos-amplifier",
    "vulnerable/potentially-unwanted-accessible",
    "vulnerable/information-disclosure",
    "vulnerable/vulnerable-system",
    "other/uncategorised",
    "other/undetermined",
    "test/test",
];
/// The class of a rule that names none, such as a public one.
const RSIT_DEFAULT: &str = "other/undetermined";

/// Sigma's own keys. Others are custom attributes, unless they look like one of these mistyped.
const KEYS: [&str; 22] = [
    "title",
    "id",
    "name",
    "related",
    "status",
    "description",
    "references",
    "author",
    "date",
    "modified",
    "tags",
    "logsource",
    "detection",
    "correlation",
    "falsepositives",
    "level",
    "fields",
    "license",
    "scope",
    "taxonomy",
    "wartburg",
    "simulation",
];
const STATUS: [&str; 5] = ["stable", "test", "experimental", "deprecated", "unsupported"];
const WARTBURG_KEYS: [&str; 4] = ["rsit", "playbook", "entity", "alert"];
/// pySigma's bound for titles.
const TITLE_CHARS_MAX: usize = 256;

/// A document understood.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) rule: Rule,
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

/// Which field names the entity of a rule's findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntityField {
    Site,
    Field(FieldId),
}

impl Document {
    /// `name` is the folder's or file's, for a document that gives itself none.
    pub(crate) fn compile(node: &Node, name: &str) -> Result<Self, CompileError> {
        let line = node.line;
        if !matches!(node.value, Value::Map(_)) {
            return Err(CompileError::at(line, format!("a rule must be a map, not {}", node.kind())));
        }
        for entry in node.entries() {
            check_key(entry)?;
        }
        let Some(title) = text(node, "title")? else { return Err(CompileError::at(line, "the rule has no title")) };
        if title.chars().count() > TITLE_CHARS_MAX {
            return Err(CompileError::at(line, format!("the title is longer than {TITLE_CHARS_MAX} characters")));
        }
        let name = text(node, "name")?.unwrap_or_else(|| name.to_owned());
        let id = one_of(node, "id", |id| is_uuid(id).then(|| id.to_ascii_lowercase()), "a UUID")?.unwrap_or_else(|| name.clone());
        one_of(node, "status", |status| STATUS.contains(&status).then_some(()), &STATUS.join(", "))?;
        let levels: Vec<&str> = Level::ALL.iter().map(|level| level.as_str()).collect();
        let level = one_of(node, "level", Level::parse, &levels.join(", "))?.unwrap_or(Level::Informational);
        let attributes = Attributes::read(node)?;
        let rule = Rule {
            id,
            name,
            title,
            description: text(node, "description")?.unwrap_or_default(),
            level,
            rsit: attributes.rsit,
            attack: texts(node, "tags")?.iter().filter_map(|(_, tag)| technique(tag)).collect(),
            playbook: attributes.playbook,
        };
        let body = match (node.get("logsource"), node.get("detection"), node.get("correlation")) {
            (_, Some(detection), Some(_)) => {
                return Err(CompileError::at(detection.line, "a document is a detection or a correlation, not both"));
            }
            (Some(logsource), Some(detection), None) => Body::Detection(Detection::compile(logsource, detection)?),
            (None, Some(detection), None) => return Err(CompileError::at(detection.line, "the rule has no logsource")),
            (_, None, Some(correlation)) => Body::Correlation(CorrelationBody::read(correlation)?),
            (_, None, None) => return Err(CompileError::at(line, "the rule has neither a detection nor a correlation")),
        };
        let falsepositives = texts(node, "falsepositives")?.into_iter().map(|(_, text)| text).collect();
        Ok(Self { rule, line, silent: !attributes.alert, entity: attributes.entity, falsepositives, body })
    }
}

fn check_key(entry: &Entry) -> Result<(), CompileError> {
    match entry.key.as_str() {
        "action" => return Err(CompileError::at(entry.line, "documents with 'action' are not supported yet")),
        "filter" => return Err(CompileError::at(entry.line, "filters are not supported yet")),
        _ => {}
    }
    let known = KEYS.contains(&entry.key.as_str());
    // Custom attributes are Sigma's way of extension; a mistyped key of its own must not pass as one.
    let mistyped = KEYS.iter().any(|key| distance(key, &entry.key) <= if key.len() > 4 { 2 } else { 1 });
    match !known && mistyped && entry.key.len() < 32 {
        true => Err(CompileError::at(entry.line, format!("unknown key '{}'{}", entry.key, nearest(&entry.key, &KEYS)))),
        false => Ok(()),
    }
}

/// Our own attributes, below `wartburg:`.
struct Attributes {
    rsit: String,
    playbook: Option<String>,
    entity: EntityField,
    alert: bool,
}

impl Attributes {
    fn read(node: &Node) -> Result<Self, CompileError> {
        let mut all = Self { rsit: RSIT_DEFAULT.into(), playbook: None, entity: EntityField::Field(fields::SOURCE_IP), alert: true };
        let Some(own) = node.get("wartburg") else { return Ok(all) };
        for entry in own.node.entries() {
            match (entry.key.as_str(), &entry.node.value) {
                ("rsit", Value::Str(class)) if RSIT.contains(&class.as_str()) => all.rsit.clone_from(class),
                ("rsit", Value::Str(class)) => {
                    return Err(CompileError::at(entry.line, format!("unknown RSIT class '{class}'{}", nearest(class, &RSIT))));
                }
                ("playbook", Value::Str(name)) => all.playbook = Some(name.clone()),
                ("entity", Value::Str(name)) => all.entity = entity(name, entry.line)?,
                ("alert", Value::Bool(alert)) => all.alert = *alert,
                (key, _) if WARTBURG_KEYS.contains(&key) => {
                    return Err(CompileError::at(entry.line, format!("wartburg {key} cannot be {}", entry.node.kind())));
                }
                (key, _) => {
                    return Err(CompileError::at(entry.line, format!("unknown wartburg key '{key}'{}", nearest(key, &WARTBURG_KEYS))));
                }
            }
        }
        Ok(all)
    }
}

fn entity(name: &str, line: u64) -> Result<EntityField, CompileError> {
    if name == "site" {
        return Ok(EntityField::Site);
    }
    let field = detection::field(name, line)?;
    let address = field.known().is_some_and(|known| known.kind == FieldKind::Ip);
    match address || EntityField::is_host(field) || EntityField::is_user(field) {
        true => Ok(EntityField::Field(field)),
        false => Err(CompileError::at(line, format!("'{name}' names no address, host or account, so it cannot be the entity"))),
    }
}

const ENTITY_HOSTS: [FieldId; 2] = [fields::HOST_NAME, fields::OBSERVER_NAME];
const ENTITY_USERS: [FieldId; 4] = [fields::USER_NAME, fields::USER_TARGET_NAME, fields::USER_EFFECTIVE_NAME, fields::SOURCE_USER_NAME];

impl EntityField {
    pub(crate) fn is_host(field: FieldId) -> bool {
        ENTITY_HOSTS.contains(&field)
    }

    pub(crate) fn is_user(field: FieldId) -> bool {
        ENTITY_USERS.contains(&field)
    }
}

const CORRELATION_KEYS: [&str; 7] = ["type", "rules", "group-by", "timespan", "condition", "generate", "aliases"];
const TYPES: [&str; 4] = ["event_count", "value_count", "temporal", "temporal_ordered"];
/// Sigma's other correlation types: known, and refused by their name until they are built.
const TYPES_LATER: [&str; 6] =
    ["value_sum", "value_avg", "value_percentile", "value_median", "extended_temporal", "extended_temporal_ordered"];

impl CorrelationBody {
    fn read(correlation: &Entry) -> Result<Self, CompileError> {
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
            "event_count" => (Measure::Count, condition(node, correlation.line, false)?.1),
            "value_count" => match condition(node, correlation.line, true)? {
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
            texts(node, "group-by")?.iter().map(|(line, name)| detection::field(name, *line)).collect();
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

fn condition(node: &Node, line: u64, with_field: bool) -> Result<(Option<FieldId>, Threshold), CompileError> {
    let Some(entry) = node.get("condition") else { return Err(CompileError::at(line, "the correlation has no condition")) };
    if !matches!(entry.node.value, Value::Map(_)) {
        return Err(CompileError::at(entry.line, format!("the condition must be a map such as 'gte: 10', not {}", entry.node.kind())));
    }
    let (mut field, mut threshold) = (None, None);
    for part in entry.node.entries() {
        let error = |message: String| Err(CompileError::at(part.line, message));
        let new = match (part.key.as_str(), &part.node.value) {
            ("field", Value::Str(name)) if with_field => {
                field = Some(detection::field(name, part.line)?);
                continue;
            }
            ("field", Value::List(_)) if with_field => return error("several fields in a value_count are not supported yet".into()),
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

fn text(node: &Node, key: &str) -> Result<Option<String>, CompileError> {
    let Some(entry) = node.get(key) else { return Ok(None) };
    let found = entry.node.scalar_text().filter(|text| !text.is_empty());
    found.map(Some).ok_or_else(|| CompileError::at(entry.line, format!("{key} must be a text, not {}", entry.node.kind())))
}

fn texts(node: &Node, key: &str) -> Result<Vec<(u64, String)>, CompileError> {
    let Some(entry) = node.get(key) else { return Ok(Vec::new()) };
    entry.node.texts().ok_or_else(|| CompileError::at(entry.line, format!("{key} must be a text or a list of texts")))
}

fn one_of<T>(node: &Node, key: &str, parse: impl Fn(&str) -> Option<T>, expected: &str) -> Result<Option<T>, CompileError> {
    let Some(found) = text(node, key)? else { return Ok(None) };
    let line = node.get(key).map_or(node.line, |entry| entry.line);
    parse(&found).map(Some).ok_or_else(|| CompileError::at(line, format!("{key} '{found}' is not valid: expected {expected}")))
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// `attack.t1110.001` → `T1110.001`; tactics and other tags are none.
fn technique(tag: &str) -> Option<String> {
    let name = tag.strip_prefix("attack.t")?;
    name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.').then(|| format!("T{name}"))
}
