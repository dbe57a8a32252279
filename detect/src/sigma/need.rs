//! What a record must have for a detection to match, as a query of the stores: their indexes then pass over what cannot. It
//! demands less than the rule, never more. Only fields that are stored as they were judged are asked for; what is added to a
//! record while it is judged (indicators) is not.

use ingest::fields::{self, FieldId, Kind};
use ingest::query::Query;

use super::condition::Expr;
use super::detection::{Branch, Detection, Formula, Item, Subject};
use super::pattern::Place;
use super::value::{Matcher, Number};

/// Conditions in one query: beyond these a rule's alternatives are left out, and it asks for more records.
const TERMS_MAX: usize = 60;
/// A longer value is no word of an index.
const VALUE_BYTES_MAX: usize = 200;

/// Conditions that must hold.
#[derive(Debug)]
enum Need {
    Term(String),
    All(Vec<Need>),
    Any(Vec<Need>),
}

/// The query that finds every record on which one of the detections holds, and others; all where nothing is known.
pub(crate) fn query<'a>(detections: impl Iterator<Item = &'a Detection>) -> Query {
    let needs: Option<Vec<Need>> = detections.map(of_detection).collect();
    let Some(needs) = needs.filter(|needs| !needs.is_empty()) else { return Query::all() };
    let text = Need::Any(needs).text();
    // What the language does not take costs time, never a match.
    Query::parse_fixed(&text).unwrap_or_else(|_| Query::all())
}

fn of_detection(detection: &Detection) -> Option<Need> {
    let source = detection.logsource.alternatives().map(|all| {
        let term = |(field, word): (FieldId, &str)| if word.is_empty() { present(field) } else { equals(field, word) };
        all.map(term).collect::<Option<Vec<Need>>>().map(Need::Any)
    });
    let own = of_formula(&detection.formula).filter(|need| need.terms() <= TERMS_MAX);
    let parts: Vec<Need> = source.flatten().into_iter().chain(own).collect();
    (!parts.is_empty()).then_some(Need::All(parts))
}

fn of_formula(formula: &Formula) -> Option<Need> {
    of_condition(&formula.condition, formula)
}

fn of_condition(expr: &Expr, formula: &Formula) -> Option<Need> {
    match expr {
        Expr::Selection(number) => of_branch(formula.selections.get(*number)?),
        Expr::Not(_) => None,
        Expr::All(parts) => all(parts.iter().filter_map(|part| of_condition(part, formula)).collect()),
        Expr::Any(parts) => any(parts.iter().map(|part| of_condition(part, formula)).collect()),
    }
}

fn of_branch(branch: &Branch) -> Option<Need> {
    match branch {
        Branch::Item(item) => of_item(item),
        Branch::All(parts) => all(parts.iter().filter_map(of_branch).collect()),
        Branch::Any(parts) => any(parts.iter().map(of_branch).collect()),
    }
}

fn all(parts: Vec<Need>) -> Option<Need> {
    (!parts.is_empty()).then_some(Need::All(parts))
}

fn any(parts: Option<Vec<Need>>) -> Option<Need> {
    parts.filter(|parts| !parts.is_empty()).map(Need::Any)
}

fn of_item(item: &Item) -> Option<Need> {
    let Subject::Field(field) = item.subject else { return None };
    if item.neq || !is_stored_as_judged(field) {
        return None;
    }
    let groups: Vec<Need> = item
        .groups
        .iter()
        .filter_map(|group| {
            // A missing field satisfies these: nothing need be there.
            if group.iter().any(|matcher| matches!(matcher, Matcher::Null | Matcher::Exists(false))) {
                return None;
            }
            let terms: Option<Vec<Need>> = group.iter().map(|matcher| of_matcher(field, matcher)).collect();
            terms.filter(|terms| terms.len() <= TERMS_MAX).map(Need::Any).or_else(|| present(field))
        })
        .collect();
    all(groups)
}

fn of_matcher(field: FieldId, matcher: &Matcher) -> Option<Need> {
    match matcher {
        Matcher::Text(pattern) => match pattern.needs() {
            Some((Place::Whole, text)) => equals(field, &text),
            _ => None,
        },
        // A number may be written in many ways where the field is a text (`0104032615`).
        Matcher::Number(Number::Int(number)) if field.known().is_some_and(|known| known.kind == Kind::Int) => {
            equals(field, &number.to_string())
        }
        _ => None,
    }
}

fn is_stored_as_judged(field: FieldId) -> bool {
    field.known().is_some() && !field.name().starts_with("threat.") && field != fields::MESSAGE
}

fn present(field: FieldId) -> Option<Need> {
    Some(Need::Term(format!("{}:*", field.name())))
}

fn equals(field: FieldId, value: &str) -> Option<Need> {
    if value.is_empty() || value.len() > VALUE_BYTES_MAX || value.chars().any(char::is_control) {
        return present(field);
    }
    Some(Need::Term(format!("{}:\"{}\"", field.name(), value.replace('\\', "\\\\").replace('"', "\\\""))))
}

impl Need {
    fn terms(&self) -> usize {
        match self {
            Self::Term(_) => 1,
            Self::All(parts) | Self::Any(parts) => parts.iter().map(Self::terms).sum(),
        }
    }

    fn text(&self) -> String {
        let joined = |parts: &[Self], word: &str| match parts {
            [one] => one.text(),
            parts => format!("({})", parts.iter().map(Self::text).collect::<Vec<_>>().join(word)),
        };
        match self {
            Self::Term(text) => text.clone(),
            Self::All(parts) => joined(parts, " AND "),
            Self::Any(parts) => joined(parts, " OR "),
        }
    }
}

/// Whether the detection is for flows alone, or for flows too, by its own words.
pub(crate) fn flows(detection: &Detection) -> (bool, bool) {
    let word = |key: &str| detection.logsource.words().find(|(known, _)| *known == key).map(|(_, word)| word);
    let alone = word("product") == Some("flow");
    (alone, alone || (word("category") == Some("network_connection") && word("product").is_none()))
}

#[cfg(test)]
mod tests {
    use ingest::frame::Seq;
    use ingest::time::Timestamp;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::json_record::JsonRecord;
    use crate::sigma::{FieldNames, Logic, RuleSet};

    #[test]
    fn what_must_be_there_is_asked_for_and_nothing_more() {
        let table = [
            (
                "{service: sshd}",
                "{s: {user.name: [Anna, kurt]}, condition: s}",
                r#"((event.module:"sshd" OR process.name:"sshd") AND (user.name:"anna" OR user.name:"kurt"))"#,
            ),
            ("{product: linux}", "{s: {user.name|startswith: a}, condition: s}", "user.name:*"),
            ("{product: linux}", "{s: {user.name: null}, condition: s}", "all"),
            ("{product: linux}", "{s: {user.name: a}, f: {user.name: b}, condition: not f or s}", "all"),
            ("{product: linux}", "{s: {user.name: a}, f: {host.name: b}, condition: s and not f}", r#"user.name:"a""#),
            ("{product: linux}", "{s: {user.name: a}, f: {host.name: b}, condition: s or f}", r#"(user.name:"a" OR host.name:"b")"#),
            ("{product: linux}", "{s: {threat.indicator.name: x}, condition: s}", "all"),
            ("{product: linux}", "{s: {destination.port: 22}, condition: s}", r#"destination.port:"22""#),
            ("{product: linux}", "{s: {user.name: 'a\\\"b'}, condition: s}", r#"user.name:"a\\\"b""#),
            ("{product: linux}", "{s: [word, other], condition: s}", "all"),
        ];
        for (logsource, detection, expected) in table {
            let rule = format!("title: T\nlogsource: {logsource}\ndetection: {detection}\n");
            let (set, errors) = RuleSet::compile([("x/rule.yml".to_owned(), rule)], FieldNames::Decoded);
            assert_eq!(errors, [], "{detection}");
            let Logic::Detection(detection) = &set.rules()[0].logic else { panic!() };
            let need = of_detection(detection).map_or_else(|| "all".to_owned(), |need| need.text());
            assert_eq!(need, expected);
            assert!(need == "all" || query(std::iter::once(detection)) != Query::all(), "{need} is no query");
        }
    }

    /// A line of a rule for one of a few fields, in all the ways that there are.
    fn line(field: usize, how: usize) -> String {
        let field = ["user.name", "destination.port", "event.code", "host.name"][field];
        let hows =
            [": [a, '22']", "|startswith: A", ": null", ": 22", "|neq: a", "|exists: true", "|exists: false", "|contains|all: [a, b]"];
        format!("{field}{}", hows[how])
    }

    proptest! {
        /// What a rule matches its query finds: the index may pass over the rest.
        #[test]
        fn the_query_finds_whatever_the_rule_matches(
            lines in vec((0..4usize, 0..8usize), 1..5),
            condition in 0..5usize,
            values in vec((0..4usize, 0..7usize), 0..6),
        ) {
            let selections: String = (0..).zip(&lines).map(|(n, (field, how))| format!("s{n}: {{{}}}, ", line(*field, *how))).collect();
            let condition = ["all of s*", "1 of s*", "not 1 of s*", "s0 or not all of s*", "s0 and 1 of s*"][condition];
            let rule = format!("title: T\nlogsource: {{product: linux}}\ndetection: {{{selections}condition: {condition}}}\n");
            let (set, errors) = RuleSet::compile([("x/rule.yml".to_owned(), rule)], FieldNames::Decoded);
            prop_assert_eq!(errors, []);
            let mut object = serde_json::Map::new();
            for (field, value) in values {
                let name = ["user.name", "destination.port", "event.code", "host.name"][field];
                let value = [json!("a"), json!("A"), json!(22), json!("22"), json!("022"), json!("b a"), json!("")][value].clone();
                let known = object.entry(name).or_insert_with(|| json!([]));
                known.as_array_mut().unwrap().push(value);
            }
            let record = JsonRecord::new(&object, Seq(1), Timestamp(0));
            let Logic::Detection(detection) = &set.rules()[0].logic else { panic!() };
            prop_assert!(!detection.matches(&record) || query(std::iter::once(detection)).matches(&record));
        }
    }
}
