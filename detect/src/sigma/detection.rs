//! The detection of a rule: its selections, compiled from maps, lists and keywords, and how they are evaluated on a
//! record. Evaluation parses nothing and allocates only where a value must be folded to lower case.

use std::collections::BTreeMap;

use ingest::body::Prefix;
use ingest::fields::{FIELDS, FieldId};
use ingest::record::Record;
use regex::RegexBuilder;

use super::condition::{self, Expr};
use super::logsource::{self, Test};
use super::value::{Anchor, Comparison, Matcher, Number, Pattern};
use super::yaml::{Entry, Node, Value};
use super::{CompileError, nearest};

/// Values in one rule; the largest public ones have some hundreds.
const VALUES_MAX: usize = 10_000;
/// A longer string is no pattern but a document.
const PATTERN_BYTES_MAX: usize = 8 * 1024;
/// Compiled size of one regular expression. The engine is linear, so that size is all an expression can cost.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Where vendors' own fields live (`ingest::decode` writes them below these); their names are not checked further.
const VENDOR_PREFIXES: [&str; 20] = [
    "fortinet.",
    "iptables.",
    "sshd.",
    "pam.",
    "kv.",
    "log.syslog.",
    "gelf.",
    "cisco.",
    "panw.",
    "sophos.",
    "checkpoint.",
    "zeek.",
    "suricata.",
    "winlog.",
    "powershell.",
    "iis.",
    "exchange.",
    "microsoft.",
    "windows.",
    "w3c.",
];

/// A compiled detection.
#[derive(Clone, Debug)]
pub(crate) struct Detection {
    logsource: Vec<Test>,
    selections: Vec<Branch>,
    condition: Expr,
}

/// A selection or a part of one.
#[derive(Clone, Debug)]
enum Branch {
    All(Vec<Branch>),
    Any(Vec<Branch>),
    Item(Item),
}

/// One line of a selection: a field (or the whole text) and what its values must be.
#[derive(Clone, Debug)]
struct Item {
    /// `None` for keywords.
    field: Option<FieldId>,
    matchers: Vec<Matcher>,
    /// Every value of the rule must be found, not just one.
    all: bool,
}

impl Detection {
    pub(crate) fn compile(logsource: &Entry, detection: &Entry) -> Result<Self, CompileError> {
        let logsource = logsource::compile(logsource)?;
        let Some(condition) = detection.node.get("condition") else {
            return Err(CompileError::at(detection.line, "the detection has no condition"));
        };
        let entries: Vec<&Entry> = detection.node.entries().iter().filter(|entry| entry.key != "condition").collect();
        let names: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        let Some(conditions) = condition.node.texts().filter(|all| !all.is_empty()) else {
            return Err(CompileError::at(condition.line, "the condition must be a text or a list of texts"));
        };
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
        let mut compiler = Compiler { values: 0 };
        let selections: Result<Vec<Branch>, CompileError> =
            entries.iter().map(|entry| compiler.selection(&entry.node, &entry.key, entry.line)).collect();
        Ok(Self { logsource, selections: selections?, condition })
    }

    pub(crate) fn matches(&self, record: &dyn Record) -> bool {
        self.logsource.iter().all(|test| test.holds(record))
            && self.condition.eval(&mut |number| self.selections.get(number).is_some_and(|selection| selection.matches(record)))
    }

    /// The fields that the detection asked for and that answered, with the record's values: why it matched.
    pub(crate) fn matched_fields(&self, record: &dyn Record) -> BTreeMap<&'static str, String> {
        let mut found = BTreeMap::new();
        self.selections.iter().for_each(|selection| selection.explain(record, &mut found));
        found
    }
}

impl Branch {
    fn matches(&self, record: &dyn Record) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record)),
            Self::Item(item) => item.matches(record),
        }
    }

    fn explain(&self, record: &dyn Record, found: &mut BTreeMap<&'static str, String>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.explain(record, found)),
            Self::Item(item) => {
                if let Some(field) = item.field
                    && item.matches(record)
                    && let Some(value) = record.first_text(field)
                {
                    found.insert(field.name(), value);
                }
            }
        }
    }
}

impl Item {
    fn matches(&self, record: &dyn Record) -> bool {
        match self.all {
            true => self.matchers.iter().all(|matcher| self.found(std::slice::from_ref(matcher), record)),
            false => self.found(&self.matchers, record),
        }
    }

    /// Whether one of the matchers finds a value in the record.
    fn found(&self, matchers: &[Matcher], record: &dyn Record) -> bool {
        let Some(field) = self.field else {
            // A line's text holds all of its fields; a flow has no text, so its values are looked at.
            let text = record.text();
            let value = ingest::event::ValueRef::Str(text);
            return match text.is_empty() {
                false => matchers.iter().any(|matcher| matcher.matches(value)),
                true => record.any_field(&mut |_, value| matchers.iter().any(|matcher| matcher.matches(value))),
            };
        };
        let present = || record.any_value(field, &mut |_| true);
        matchers.iter().any(|matcher| match matcher {
            Matcher::Null => !present(),
            Matcher::Exists(wanted) => present() == *wanted,
            _ => false,
        }) || record.any_value(field, &mut |value| matchers.iter().any(|matcher| matcher.matches(value)))
    }
}

/// Modifiers of one key, checked against each other.
#[derive(Default)]
struct Modifiers {
    all: bool,
    cased: bool,
    /// At most one of the modifiers that say what kind of match it is.
    kind: Option<Kind>,
    regex_flags: Vec<char>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Anchored(Anchor),
    Regex,
    Cidr,
    Compare(Comparison),
    Exists,
}

const MODIFIERS: [&str; 15] =
    ["contains", "startswith", "endswith", "all", "exists", "cased", "re", "i", "m", "s", "cidr", "lt", "lte", "gt", "gte"];
/// Sigma's other modifiers: known, and refused by their name until they are built.
const MODIFIERS_LATER: [&str; 19] = [
    "neq",
    "windash",
    "base64",
    "base64offset",
    "utf16le",
    "utf16be",
    "utf16",
    "wide",
    "expand",
    "fieldref",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
    "timestamp_part",
    "v4",
    "v6",
];

struct Compiler {
    values: usize,
}

impl Compiler {
    fn selection(&mut self, node: &Node, name: &str, line: u64) -> Result<Branch, CompileError> {
        match &node.value {
            Value::Map(entries) if entries.is_empty() => Err(CompileError::at(line, format!("selection '{name}' is empty"))),
            Value::Map(entries) => entries.iter().map(|entry| self.item(entry)).collect::<Result<_, _>>().map(Branch::All),
            Value::List(items) if items.is_empty() => Err(CompileError::at(line, format!("selection '{name}' is empty"))),
            Value::List(items) => items.iter().map(|item| self.selection(item, name, item.line)).collect::<Result<_, _>>().map(Branch::Any),
            Value::Null => Err(CompileError::at(line, format!("selection '{name}' is empty"))),
            _ => self.keyword(node).map(|matcher| Branch::Item(Item { field: None, matchers: vec![matcher], all: false })),
        }
    }

    fn keyword(&mut self, node: &Node) -> Result<Matcher, CompileError> {
        let modifiers = Modifiers { kind: Some(Kind::Anchored(Anchor::Contains)), ..Modifiers::default() };
        self.matcher(node, &modifiers, None)
    }

    /// One `field|modifier: value` of a map.
    fn item(&mut self, entry: &Entry) -> Result<Branch, CompileError> {
        let mut parts = entry.key.split('|');
        let field = match parts.next().unwrap_or_default() {
            "" => None,
            name => Some(field(name, entry.line)?),
        };
        let mut modifiers = Modifiers::default();
        for name in parts {
            modifiers.add(name).map_err(|message| CompileError::at(entry.line, message))?;
        }
        modifiers.check().map_err(|message| CompileError::at(entry.line, message))?;
        if field.is_none() && modifiers.kind.is_none() {
            modifiers.kind = Some(Kind::Anchored(Anchor::Contains));
        }
        let nodes = match &entry.node.value {
            Value::List(items) if items.is_empty() => {
                return Err(CompileError::at(entry.line, format!("'{}' has an empty list", entry.key)));
            }
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.node),
        };
        let matchers: Result<Vec<Matcher>, CompileError> = nodes.iter().map(|node| self.matcher(node, &modifiers, field)).collect();
        Ok(Branch::Item(Item { field, matchers: matchers?, all: modifiers.all }))
    }

    fn matcher(&mut self, node: &Node, modifiers: &Modifiers, field: Option<FieldId>) -> Result<Matcher, CompileError> {
        self.values += 1;
        if self.values > VALUES_MAX {
            return Err(CompileError::at(node.line, format!("the rule has more than {VALUES_MAX} values")));
        }
        let error = |message: String| CompileError::at(node.line, message);
        let text = node.scalar_text();
        if text.as_ref().is_some_and(|text| text.len() > PATTERN_BYTES_MAX) {
            return Err(error(format!("a value is longer than {PATTERN_BYTES_MAX} bytes")));
        }
        match (modifiers.kind, &node.value) {
            (_, Value::List(_) | Value::Map(_)) => Err(error(format!("a value is expected here, not {}", node.kind()))),
            (Some(Kind::Exists), Value::Bool(wanted)) if field.is_some() => Ok(Matcher::Exists(*wanted)),
            (Some(Kind::Exists), _) => Err(error("'exists' needs a field and true or false".into())),
            (Some(Kind::Compare(comparison)), value) => match value {
                Value::Int(number) => Ok(Matcher::Compare(comparison, Number::Int(*number))),
                Value::Float(number) => Ok(Matcher::Compare(comparison, Number::Float(*number))),
                _ => Err(error(format!("a comparison needs a number, not {}", node.kind()))),
            },
            (Some(Kind::Cidr), value) => match value {
                Value::Str(text) => cidr(text).map(Matcher::Cidr).map_err(error),
                _ => Err(error(format!("'cidr' needs an address range, not {}", node.kind()))),
            },
            (Some(Kind::Regex), Value::Str(text)) => regex(text, &modifiers.regex_flags).map(Matcher::Regex).map_err(error),
            (Some(Kind::Regex), _) => Err(error(format!("'re' needs a text, not {}", node.kind()))),
            (Some(Kind::Anchored(anchor)), _) => match text {
                Some(text) => Ok(Matcher::Text(Pattern::new(&text, anchor, modifiers.cased))),
                None => Err(error(format!("a text is expected here, not {}", node.kind()))),
            },
            (None, value) => Ok(match value {
                Value::Null => Matcher::Null,
                Value::Bool(truth) => Matcher::Bool(*truth),
                Value::Int(number) => Matcher::Number(Number::Int(*number)),
                Value::Float(number) => Matcher::Number(Number::Float(*number)),
                _ => Matcher::Text(Pattern::new(&text.unwrap_or_default(), Anchor::Whole, modifiers.cased)),
            }),
        }
    }
}

impl Modifiers {
    fn add(&mut self, name: &str) -> Result<(), String> {
        let kind = match name {
            "all" => return set(&mut self.all, name),
            "cased" => return set(&mut self.cased, name),
            "i" | "m" | "s" if self.kind == Some(Kind::Regex) => {
                self.regex_flags.extend(name.chars());
                return Ok(());
            }
            "i" | "m" | "s" => return Err(format!("modifier '{name}' stands only behind 're'")),
            "contains" => Kind::Anchored(Anchor::Contains),
            "startswith" => Kind::Anchored(Anchor::Start),
            "endswith" => Kind::Anchored(Anchor::End),
            "re" => Kind::Regex,
            "cidr" => Kind::Cidr,
            "lt" => Kind::Compare(Comparison::Lt),
            "lte" => Kind::Compare(Comparison::Lte),
            "gt" => Kind::Compare(Comparison::Gt),
            "gte" => Kind::Compare(Comparison::Gte),
            "exists" => Kind::Exists,
            _ if MODIFIERS_LATER.contains(&name) => return Err(format!("modifier '{name}' is not supported yet")),
            _ => return Err(format!("unknown modifier '{name}'{}", nearest(name, &MODIFIERS))),
        };
        match self.kind.replace(kind) {
            None => Ok(()),
            Some(_) => Err(format!("modifier '{name}' does not go together with the one before it")),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self.kind {
            Some(Kind::Regex | Kind::Cidr | Kind::Compare(_) | Kind::Exists) if self.cased => Err("modifier 'cased' is for texts".into()),
            Some(Kind::Exists) if self.all => Err("modifier 'all' does not go together with 'exists'".into()),
            _ => Ok(()),
        }
    }
}

fn set(flag: &mut bool, name: &str) -> Result<(), String> {
    match std::mem::replace(flag, true) {
        false => Ok(()),
        true => Err(format!("modifier '{name}' stands twice")),
    }
}

fn cidr(text: &str) -> Result<Prefix, String> {
    let prefix: Prefix = text.parse().map_err(|error: ingest::body::PrefixError| error.to_string())?;
    // A base with host bits is nearly always a typing error in its length.
    let base: Option<std::net::IpAddr> = text.split('/').next().and_then(|base| base.parse().ok());
    match base == Some(prefix.range().0) {
        true => Ok(prefix),
        false => Err(format!("the range '{text}' has host bits set, it would be '{prefix}'")),
    }
}

fn regex(text: &str, flags: &[char]) -> Result<regex::Regex, String> {
    RegexBuilder::new(text)
        .case_insensitive(flags.contains(&'i'))
        .multi_line(flags.contains(&'m'))
        .dot_matches_new_line(flags.contains(&'s'))
        .size_limit(REGEX_BYTES_MAX)
        .dfa_size_limit(REGEX_BYTES_MAX)
        .build()
        .map_err(|error| {
            // The crate draws the place over several lines; its last one says what is wrong.
            let message = error.to_string();
            format!("regular expression: {}", message.lines().last().unwrap_or_default().trim_start_matches("error: "))
        })
}

/// The field of an ECS name or of a vendor's own.
pub(crate) fn field(name: &str, line: u64) -> Result<FieldId, CompileError> {
    if let Some(field) = FieldId::find(name).filter(|field| field.known().is_some()) {
        return Ok(field);
    }
    if VENDOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
        return FieldId::intern(name).ok_or_else(|| CompileError::at(line, format!("no room for another vendor field: '{name}'")));
    }
    let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
    Err(CompileError::at(line, format!("unknown field '{name}'{}", nearest(name, &names))))
}
