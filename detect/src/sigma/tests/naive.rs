//! A second evaluator, straight from the specification: slow, short, and sharing nothing with the compiler but the regex
//! engine. What both say of generated rules and events must be the same.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::{Asking, CompiledRule, FieldNames, Logic, RuleIndex, RuleSet, record};

const FIELDS: [&str; 3] = ["Alpha", "Beta", "Gamma"];
const NAMES: [&str; 4] = ["sel_a", "sel_b", "filt_x", "_hidden"];

#[derive(Clone, Debug)]
struct Line {
    /// `""` for keywords.
    field: &'static str,
    modifiers: Vec<&'static str>,
    values: Vec<Value>,
}

/// Maps of lines; any one of them.
type Selection = Vec<Vec<Line>>;

#[derive(Clone, Debug)]
enum Condition {
    Selection(usize),
    Of(bool, &'static str),
    Not(Box<Condition>),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
}

#[derive(Clone, Debug)]
struct Rule {
    selections: [Selection; 4],
    conditions: Vec<Condition>,
}

// --- what it means ---

fn rule_matches(rule: &Rule, event: &Map<String, Value>) -> bool {
    let found: Vec<bool> =
        rule.selections.iter().map(|maps| maps.iter().any(|lines| lines.iter().all(|line| line_matches(line, event)))).collect();
    rule.conditions.iter().any(|condition| condition_holds(condition, &found))
}

fn condition_holds(condition: &Condition, found: &[bool]) -> bool {
    match condition {
        Condition::Selection(n) => found[*n],
        Condition::Not(inner) => !condition_holds(inner, found),
        Condition::And(a, b) => condition_holds(a, found) && condition_holds(b, found),
        Condition::Or(a, b) => condition_holds(a, found) || condition_holds(b, found),
        Condition::Of(all, pattern) => {
            let pattern = if *pattern == "them" { "*" } else { pattern };
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            let meant = |name: &str| fits(&pieces(pattern), &chars(name)) && (!name.starts_with('_') || pattern.starts_with('_'));
            let mut of = NAMES.iter().zip(found).filter(|(name, _)| meant(name)).map(|(_, found)| *found);
            if *all { of.all(|found| found) } else { of.any(|found| found) }
        }
    }
}

fn line_matches(line: &Line, event: &Map<String, Value>) -> bool {
    let has = |name: &str| line.modifiers.contains(&name);
    let one = |value: &Value| value_matches(line, value, event);
    let found = if has("all") { line.values.iter().all(one) } else { line.values.iter().any(one) };
    found != has("neq")
}

/// The event's values of a field, all of them for a keyword; null is no value.
fn values_of<'a>(field: &str, event: &'a Map<String, Value>) -> Vec<&'a Value> {
    let mut values = Vec::new();
    for (_, value) in event.iter().filter(|(name, _)| field.is_empty() || *name == field) {
        match value {
            Value::Array(items) => values.extend(items.iter().filter(|item| !item.is_null())),
            Value::Null => {}
            other => values.push(other),
        }
    }
    values
}

fn value_matches(line: &Line, wanted: &Value, event: &Map<String, Value>) -> bool {
    let has = |name: &str| line.modifiers.contains(&name);
    let values = values_of(line.field, event);
    if has("exists") {
        return wanted == &json!(!values.is_empty());
    }
    if wanted.is_null() {
        return values.is_empty();
    }
    if has("fieldref") {
        let others = values_of(wanted.as_str().unwrap(), event);
        return values.iter().any(|value| others.iter().any(|other| placed(line, &cased(line, &text(value)), &cased(line, &text(other)))));
    }
    values.iter().any(|value| one_matches(line, wanted, value))
}

fn one_matches(line: &Line, wanted: &Value, value: &Value) -> bool {
    let has = |name: &str| line.modifiers.contains(&name);
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok());
    type Order = (&'static str, fn(f64, f64) -> bool);
    let orders: [Order; 4] = [("lt", |a, b| a < b), ("lte", |a, b| a <= b), ("gt", |a, b| a > b), ("gte", |a, b| a >= b)];
    if let Some((_, holds)) = orders.iter().find(|(name, _)| has(name)) {
        return number(value).is_some_and(|found| holds(found, wanted.as_f64().unwrap()));
    }
    if has("cidr") {
        let (base, bits) = wanted.as_str().unwrap().split_once('/').unwrap();
        let network = |address: Ipv4Addr| u64::from(u32::from(address)) >> (32 - bits.parse::<u32>().unwrap());
        return value.as_str().and_then(|text| text.parse().ok()).is_some_and(|found| network(found) == network(base.parse().unwrap()));
    }
    if has("re") {
        let flag = if has("i") { "(?i)" } else { "" };
        return regex::Regex::new(&format!("{flag}{}", wanted.as_str().unwrap())).unwrap().is_match(&text(value));
    }
    let plain = line.modifiers.iter().all(|name| ["all", "neq"].contains(name)) && !line.field.is_empty();
    match wanted {
        Value::Number(_) if plain => !value.is_boolean() && number(value) == wanted.as_f64(),
        Value::Bool(truth) if plain => value == wanted || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(&truth.to_string())),
        _ => {
            let mut around = pieces(&cased(line, &text(wanted)));
            if has("contains") || has("endswith") || (line.field.is_empty() && !has("startswith")) {
                around.insert(0, Piece::Many);
            }
            if has("contains") || has("startswith") || (line.field.is_empty() && !has("endswith")) {
                around.push(Piece::Many);
            }
            let found: Vec<char> = cased(line, &text(value)).chars().collect();
            let all = if has("windash") { dashed(&around, 0) } else { vec![around] };
            all.iter().any(|pieces| fits(pieces, &found))
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn cased(line: &Line, text: &str) -> String {
    if line.modifiers.contains(&"cased") { text.to_owned() } else { text.chars().flat_map(char::to_lowercase).collect() }
}

fn placed(line: &Line, value: &str, other: &str) -> bool {
    let has = |name: &str| line.modifiers.contains(&name);
    match () {
        () if has("contains") => value.contains(other),
        () if has("startswith") => value.starts_with(other),
        () if has("endswith") => value.ends_with(other),
        () => value == other,
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Char(char),
    One,
    Many,
}

/// A backslash takes the meaning from a wildcard or a backslash behind it, and is itself else.
fn pieces(text: &str) -> Vec<Piece> {
    let chars: Vec<char> = text.chars().collect();
    match chars.as_slice() {
        [] => vec![],
        ['\\', next @ ('*' | '?' | '\\'), rest @ ..] => [vec![Piece::Char(*next)], pieces(&String::from_iter(rest))].concat(),
        [first, rest @ ..] => {
            let piece = match first {
                '*' => Piece::Many,
                '?' => Piece::One,
                other => Piece::Char(*other),
            };
            [vec![piece], pieces(&String::from_iter(rest))].concat()
        }
    }
}

fn fits(pieces: &[Piece], text: &[char]) -> bool {
    match (pieces, text) {
        ([], text) => text.is_empty(),
        ([Piece::Many, rest @ ..], text) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        ([Piece::One, rest @ ..], [_, behind @ ..]) => fits(rest, behind),
        ([Piece::Char(wanted), rest @ ..], [found, behind @ ..]) => wanted == found && fits(rest, behind),
        _ => false,
    }
}

/// Every way to write the switches' signs from `from` on.
fn dashed(pieces: &[Piece], from: usize) -> Vec<Vec<Piece>> {
    let is_word = |piece: Option<&Piece>| matches!(piece, Some(Piece::Char(c)) if c.is_alphanumeric() || *c == '_');
    let is_switch = |at: usize| {
        [Piece::Char('-'), Piece::Char('/')].contains(&pieces[at])
            && !(at > 0 && is_word(pieces.get(at - 1)))
            && is_word(pieces.get(at + 1))
    };
    let Some(at) = (from..pieces.len()).find(|at| is_switch(*at)) else { return vec![pieces.to_vec()] };
    let signs = "-/\u{2013}\u{2014}\u{2015}".chars();
    signs
        .flat_map(|sign| {
            let mut written = pieces.to_vec();
            written[at] = Piece::Char(sign);
            dashed(&written, at + 1)
        })
        .collect()
}

// --- how it is written ---

fn written(rule: &Rule) -> String {
    let mut detection = Map::new();
    for (name, maps) in NAMES.iter().zip(&rule.selections) {
        let map = |lines: &Vec<Line>| {
            let entry = |line: &Line| {
                let key: Vec<&str> = std::iter::once(line.field).chain(line.modifiers.iter().copied()).collect();
                let key = if key == [""] { "|contains".to_owned() } else { key.join("|") };
                (key, if line.values.len() == 1 { line.values[0].clone() } else { json!(line.values) })
            };
            Value::Object(lines.iter().map(entry).collect())
        };
        let maps: Vec<Value> = maps.iter().map(map).collect();
        detection.insert((*name).to_owned(), if maps.len() == 1 { maps[0].clone() } else { json!(maps) });
    }
    detection.insert("condition".into(), rule.conditions.iter().map(spelled).collect());
    json!({ "title": "T", "logsource": { "product": "x" }, "detection": detection }).to_string()
}

fn spelled(condition: &Condition) -> String {
    match condition {
        Condition::Selection(n) => NAMES[*n].to_owned(),
        Condition::Of(all, pattern) => format!("{} of {pattern}", if *all { "all" } else { "1" }),
        // Without brackets where precedence says the same.
        Condition::Not(inner) if matches!(**inner, Condition::And(..) | Condition::Or(..)) => format!("not ({})", spelled(inner)),
        Condition::Not(inner) => format!("not {}", spelled(inner)),
        Condition::And(a, b) => {
            let side = |it: &Condition| if matches!(it, Condition::Or(..)) { format!("({})", spelled(it)) } else { spelled(it) };
            format!("{} and {}", side(a), side(b))
        }
        Condition::Or(a, b) => format!("{} or {}", spelled(a), spelled(b)),
    }
}

// --- rules and events ---

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        r"[abA*?\\ /-]{0,5}",
        select(vec!["a", "ab", "A b", "-a", "/a b", r"\*", r"a\\*", "true", "12", "ä", "Ä-a", ""]).prop_map(str::to_owned)
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let texts = || proptest::collection::vec(words().prop_map(Value::from), 1..4);
    let modified = |modifiers: &'static [&'static [&'static str]], values: BoxedStrategy<Vec<Value>>| {
        (select(modifiers), values).prop_map(|(modifiers, values)| (modifiers.to_vec(), values)).boxed()
    };
    let plain = prop_oneof![
        4 => words().prop_map(Value::from),
        2 => (0..14i64).prop_map(Value::from),
        1 => Just(json!(1.5)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    let on_fields = prop_oneof![
        4 => modified(&[&[], &["all"], &["neq"]], proptest::collection::vec(plain, 1..4).boxed()),
        6 => modified(TEXT_MODIFIERS, texts().boxed()),
        1 => modified(&[&["lt"], &["lte"], &["gt"], &["gte"], &["gte", "neq"]], (0..14i64).prop_map(|n| vec![n.into()]).boxed()),
        1 => modified(&[&["exists"]], any::<bool>().prop_map(|truth| vec![truth.into()]).boxed()),
        1 => modified(
            &[&["re"], &["re", "i"], &["re", "all"], &["re", "i", "neq"]],
            proptest::collection::vec(select(vec!["a+", "^a", "b$", "[ab]-", "^[^a]*$", "1|2"]).prop_map(Value::from), 1..3).boxed()
        ),
        1 => modified(
            &[&["cidr"], &["cidr", "neq"]],
            proptest::collection::vec(select(vec!["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1/32", "0.0.0.0/0"]).prop_map(Value::from), 1..3).boxed()
        ),
        2 => modified(
            &[&["fieldref"], &["fieldref", "contains"], &["fieldref", "startswith"], &["fieldref", "endswith", "cased"], &["fieldref", "neq"]],
            select(FIELDS.to_vec()).prop_map(|name| vec![name.into()]).boxed()
        ),
    ];
    let keywords = modified(&[&[], &["all"], &["cased"], &["windash"], &["startswith"], &["neq"]], texts().boxed());
    prop_oneof![
        8 => (select(FIELDS.to_vec()), on_fields).prop_map(|(field, (modifiers, values))| Line { field, modifiers, values }),
        1 => keywords.prop_map(|(modifiers, values)| Line { field: "", modifiers, values }),
    ]
}

const TEXT_MODIFIERS: &[&[&str]] = &[
    &["contains"],
    &["startswith"],
    &["endswith"],
    &["contains", "all"],
    &["contains", "cased"],
    &["cased"],
    &["windash"],
    &["windash", "contains"],
    &["contains", "windash", "all"],
    &["endswith", "neq"],
    &["contains", "all", "neq"],
];

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        (0..NAMES.len()).prop_map(Condition::Selection),
        (any::<bool>(), select(vec!["them", "sel_*", "*_x", "*", "s*_b", "_hid*"])).prop_map(|(all, pattern)| Condition::Of(all, pattern)),
    ];
    leaf.prop_recursive(4, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|it| Condition::Not(Box::new(it))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Condition::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Condition::Or(Box::new(a), Box::new(b))),
        ]
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    // A key stands once in a map.
    let map = proptest::collection::vec(line(), 1..4).prop_map(|mut lines: Vec<Line>| {
        let mut keys = std::collections::BTreeSet::new();
        lines.retain(|line| keys.insert((line.field, line.modifiers.clone())));
        lines
    });
    let map = map.boxed();
    let selection = || proptest::collection::vec(map.clone(), 1..3).boxed();
    let selections = [selection(), selection(), selection(), selection()];
    (selections, proptest::collection::vec(condition(), 1..3)).prop_map(|(selections, mut conditions)| {
        // Every selection is used somewhere.
        conditions.push(Condition::Of(true, "them"));
        Rule { selections, conditions }
    })
}

fn event() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        6 => r"[abA*\\ /–-]{0,6}".prop_map(Value::from),
        3 => words().prop_map(Value::from),
        2 => (0..14i64).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => select(vec!["10.1.2.3", "10.9.9.9", "192.0.2.1", "12.0"]).prop_map(Value::from),
    ];
    let values = prop_oneof![6 => value.clone(), 1 => proptest::collection::vec(value, 0..3).prop_map(Value::from)];
    proptest::collection::btree_map(select(FIELDS.to_vec()), values, 0..4)
        .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn compiled_rules_say_what_the_specification_says(
        rules in proptest::collection::vec(rule(), 1..6),
        events in proptest::collection::vec(event(), 1..8),
    ) {
        let texts: Vec<String> = rules.iter().map(written).collect();
        let files = texts.iter().enumerate().map(|(n, text)| (format!("rules/x/rule_{n}/rule.yml"), text.clone()));
        let (set, errors) = RuleSet::compile(files, FieldNames::Raw);
        prop_assert_eq!(errors, vec![], "{:?}", texts);
        let (index, mut asking, mut matched) = (RuleIndex::new(&set), Asking::default(), Vec::new());
        for event in events {
            let expected: Vec<usize> = (0..).zip(&rules).filter(|(_, rule)| rule_matches(rule, &event)).map(|(place, _)| place).collect();
            let record = record(&Value::Object(event));
            let alone = |(_, compiled): &(usize, &CompiledRule)| match &compiled.logic {
                Logic::Detection(detection) => detection.matches(&record),
                Logic::Correlation(_) | Logic::Off => false,
            };
            let by_itself: Vec<usize> = (0..).zip(set.rules()).filter(alone).map(|(place, _)| place).collect();
            prop_assert_eq!(&by_itself, &expected, "each alone: {:?} on {:?}", texts, record);
            // Who says nothing of where a record is from means every rule.
            for told in [None, Some(index.told(None, None, None))] {
                index.ask(&record, told.as_ref(), &mut asking, &mut matched);
                prop_assert_eq!(&matched, &expected, "all at once: {:?} on {:?}", texts, record);
            }
        }
    }
}
