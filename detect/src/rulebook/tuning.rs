//! "Hold this rule back here": filters that people make from an alert's values, each with a reason and an end. They are
//! stored as the Sigma filter documents that they are, and compiled like any other (`sigma::filter`).
//!
//! Sigma's filters apply to detections. For a correlation the filter goes to the rules that it counts, and so to whatever
//! else counts them: `shared_with` names those, so that nobody is surprised.

use std::collections::BTreeMap;

use ingest::db::DbError;
use ingest::rusqlite::{Connection, Row, Transaction, params};
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::alert::{Alert, Disposition};
use crate::incident::{CaseError, demand, line_clean};
use crate::role::{Action, Role};
use crate::sigma::{CompiledRule, FieldNames, RuleSet};

ingest::id_type!(
    /// One filter that somebody made for one rule.
    TuningId
);

/// Fields of one filter, values of one field, characters of one value: what a person can overlook.
pub const TERMS_MAX: usize = 8;
pub const VALUES_MAX: usize = 20;
const VALUE_CHARS_MAX: usize = 256;
const REASON_CHARS_MAX: usize = 500;
/// Filters in force together: each costs a look at every record of its rules.
const IN_FORCE_MAX: i64 = 500;
/// Half a year: what is true for longer belongs into the rule or the operator's own filter file.
pub const EXPIRY_DAYS_MAX: i64 = 184;
/// Filters that are listed of one rule, the newest.
const LISTED_MAX: usize = 200;
/// The field that stands for the site's name.
const SITE: &str = "site";

/// One field of a filter: it holds where one of the values does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub field: String,
    pub values: Vec<String>,
}

/// A filter as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tuning {
    pub id: TuningId,
    pub rule: String,
    /// All must hold for the rule to be held back.
    pub terms: Vec<Term>,
    /// The Sigma documents.
    pub text: String,
    pub reason: String,
    pub actor: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub removed_at: Option<Timestamp>,
    pub removed_by: Option<String>,
}

impl Tuning {
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.removed_at.is_none() && now < self.expires_at
    }

    /// Under which name its documents are compiled.
    pub(crate) fn file(&self) -> String {
        format!("filter/{}.yml", self.id)
    }
}

/// A filter to be.
#[derive(Clone, Debug)]
pub struct NewTuning {
    pub rule: String,
    pub terms: Vec<Term>,
    pub reason: String,
    pub expires_at: Timestamp,
}

/// Holds a rule back where the terms hold. `set` are the rules in force, which say where the rule's records come from.
///
/// # Errors
/// `Forbidden`; `Invalid` for a rule that there is not, terms that say nothing or that do not compile, a missing reason, an
/// end that is past or too far; the database's own.
pub fn tuning_add(
    tx: &Transaction<'_>,
    set: &RuleSet,
    new: &NewTuning,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<TuningId, CaseError> {
    demand(Action::RuleTune, role)?;
    let invalid = |what: &'static str, wanted: &'static str| CaseError::Invalid { what, value: String::new(), wanted };
    let compiled = set.find(&new.rule).ok_or_else(|| CaseError::NotFound { noun: "rule", id: new.rule.clone() })?;
    let reason = line_clean(&new.reason, REASON_CHARS_MAX);
    if reason.is_empty() {
        return Err(invalid("reason", "why the rule is held back"));
    }
    if new.expires_at <= now || new.expires_at > now.plus(EXPIRY_DAYS_MAX * Timestamp::DAY) {
        return Err(invalid("expires_at", "a day from tomorrow on, half a year ahead at most"));
    }
    let count: i64 =
        tx.query_row("SELECT COUNT(*) FROM rule_tuning WHERE removed_at IS NULL AND expires_at > ?1", [now.0], |row| row.get(0))?;
    if count >= IN_FORCE_MAX {
        return Err(invalid("filters", "fewer filters in force"));
    }
    let id = TuningId::new(now);
    let terms = terms_clean(&new.terms).ok_or_else(|| invalid("terms", "one to eight fields with one to twenty values each"))?;
    let text = documents(set, compiled, &terms, id).ok_or_else(|| invalid("terms", "fields that rules know"))?;
    tx.execute(
        "INSERT INTO rule_tuning (id, rule, terms, text, reason, actor, created_at, expires_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![id, new.rule, json!(terms).to_string(), text, reason, actor, now.0, new.expires_at.0],
    )?;
    Ok(id)
}

/// Ends a filter before its time.
///
/// # Errors
/// `Forbidden`; `NotFound` where none is in force; the database's own.
pub fn tuning_remove(tx: &Transaction<'_>, rule: &str, id: TuningId, actor: &str, role: Role, now: Timestamp) -> Result<(), CaseError> {
    demand(Action::RuleTune, role)?;
    let changed = tx.execute(
        "UPDATE rule_tuning SET removed_at = ?3, removed_by = ?4 WHERE id = ?1 AND rule = ?2 AND removed_at IS NULL",
        params![id, rule, now.0, actor],
    )?;
    if changed == 0 {
        return Err(CaseError::NotFound { noun: "filter", id: id.to_string() });
    }
    Ok(())
}

const COLUMNS: &str = "id, rule, terms, text, reason, actor, created_at, expires_at, removed_at, removed_by";

fn from_row(row: &Row<'_>) -> ingest::rusqlite::Result<Tuning> {
    Ok(Tuning {
        id: row.get(0)?,
        rule: row.get(1)?,
        terms: serde_json::from_str(&row.get::<_, String>(2)?).unwrap_or_default(),
        text: row.get(3)?,
        reason: row.get(4)?,
        actor: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        expires_at: Timestamp(row.get(7)?),
        removed_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        removed_by: row.get(9)?,
    })
}

/// The filters made for one rule, also those whose time is over, the newest first.
///
/// # Errors
/// The database's own.
pub fn tuning_list(connection: &Connection, rule: &str) -> Result<Vec<Tuning>, DbError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM rule_tuning WHERE rule = ?1 ORDER BY id DESC LIMIT {LISTED_MAX}"))?;
    Ok(statement.query_map([rule], from_row)?.collect::<Result<_, _>>()?)
}

/// Those in force, in the order in which they were made.
pub(super) fn tuning_in_force(connection: &Connection, now: Timestamp) -> Result<Vec<Tuning>, DbError> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM rule_tuning WHERE removed_at IS NULL AND expires_at > ?1 ORDER BY id"))?;
    Ok(statement.query_map([now.0], from_row)?.collect::<Result<_, _>>()?)
}

fn terms_clean(terms: &[Term]) -> Option<Vec<Term>> {
    let clean = |term: &Term| {
        let mut values: Vec<String> =
            term.values.iter().map(|value| line_clean(value, VALUE_CHARS_MAX)).filter(|value| !value.is_empty()).collect();
        values.dedup();
        Term { field: term.field.trim().to_owned(), values }
    };
    let terms: Vec<Term> = terms.iter().map(clean).filter(|term| !term.values.is_empty()).collect();
    let fits = (1..=TERMS_MAX).contains(&terms.len()) && terms.iter().all(|term| term.values.len() <= VALUES_MAX);
    let names: std::collections::BTreeSet<&str> = terms.iter().map(|term| term.field.as_str()).collect();
    (fits && names.len() == terms.len()).then_some(terms)
}

/// One filter document for each detection that the rule lives on, as each has a log source of its own; `None` where a
/// field is unknown to rules.
fn documents(set: &RuleSet, compiled: &CompiledRule, terms: &[Term], id: TuningId) -> Option<String> {
    let selection: BTreeMap<&str, Vec<Value>> =
        terms.iter().map(|term| (term.field.as_str(), term.values.iter().map(|value| literal(value)).collect())).collect();
    let (mut text, mut stubs) = (String::new(), String::new());
    for (n, ground) in set.grounds(compiled).into_iter().enumerate() {
        let logsource: BTreeMap<&str, &str> = ground.logsource().into_iter().collect();
        let (name, title) = (format!("filter_{}_{n}", id.to_string().to_ascii_lowercase()), format!("Stillhalten: {}", compiled.rule.name));
        // JSON is YAML: whatever a value holds stays a value.
        text.push_str(&format!(
            "title: {}\nname: {name}\nlogsource: {}\nfilter:\n  rules: [{}]\n  hier: {}\n  condition: not hier\n---\n",
            json!(title),
            json!(logsource),
            json!(ground.rule.id),
            json!(selection),
        ));
        stubs.push_str(&format!(
            "title: x\nname: {}\nlogsource: {}\ndetection: {{s: {{user.name: x}}, condition: s}}\n---\n",
            json!(ground.rule.id),
            json!(logsource)
        ));
    }
    let text = text.strip_suffix("---\n").unwrap_or(&text).to_owned();
    let stubs = stubs.strip_suffix("---\n").unwrap_or(&stubs).to_owned();
    let (_, errors) = RuleSet::compile([("stubs.yml".to_owned(), stubs), ("filter.yml".to_owned(), text.clone())], FieldNames::Decoded);
    (errors.is_empty() && !text.is_empty()).then_some(text)
}

/// A value as Sigma reads it for just itself: wildcards stand for themselves, a number is one.
fn literal(value: &str) -> Value {
    match value.parse::<i64>() {
        Ok(number) if number.to_string() == value => json!(number),
        _ => json!(escaped(value)),
    }
}

/// `*` and `?` get a backslash, and so does a backslash before them or before another that would be taken for one.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    let mut chars = value.chars().peekable();
    while let Some(ch) = chars.next() {
        let before_special = ch == '\\' && chars.peek().is_none_or(|next| matches!(next, '*' | '?' | '\\'));
        if matches!(ch, '*' | '?') || before_special {
            out.push('\\');
        }
        out.push(ch);
    }
    out
}

/// What a filter would have done to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Every value that it shows is one of the filter's.
    Whole,
    /// Some of its records would have been held back.
    Partly,
    No,
}

fn held(alert: &Alert, terms: &[Term]) -> Held {
    let mut whole = true;
    for term in terms {
        let site: Vec<String> = alert.site_name.iter().cloned().collect();
        let values = if term.field == SITE { Some(&site) } else { alert.observables.get(&term.field) };
        let named = |value: &String| term.values.iter().any(|wanted| wanted.eq_ignore_ascii_case(value));
        let among = values.map_or(0, |values| values.iter().filter(|value| named(value)).count());
        if among == 0 {
            return Held::No;
        }
        whole &= values.is_some_and(|values| among == values.len());
    }
    if whole { Held::Whole } else { Held::Partly }
}

/// What a filter would have done to past alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    pub alerts: usize,
    pub whole: usize,
    pub partly: usize,
    /// Of those held back wholly or in part: judged to be true. Each is a reason to think again.
    pub true_positive: usize,
}

/// Looks at past alerts of the rule, as far back as those given reach.
pub fn tuning_preview(alerts: &[Alert], terms: &[Term]) -> Preview {
    let mut preview = Preview { alerts: alerts.len(), ..Preview::default() };
    let Some(terms) = terms_clean(terms) else { return preview };
    for alert in alerts {
        let held = held(alert, &terms);
        match held {
            Held::Whole => preview.whole += 1,
            Held::Partly => preview.partly += 1,
            Held::No => {}
        }
        preview.true_positive += usize::from(held != Held::No && alert.disposition == Some(Disposition::TruePositive));
    }
    preview
}

/// The other rules that a filter for this one reaches too, because they live on the same detections.
pub fn shared_with<'s>(set: &'s RuleSet, compiled: &CompiledRule) -> Vec<&'s CompiledRule> {
    let grounds: Vec<&str> = set.grounds(compiled).into_iter().map(|ground| ground.rule.id.as_str()).collect();
    let shares = |other: &&CompiledRule| {
        // What is no correlation lives on itself alone.
        let ground = |id: &str| grounds.contains(&id);
        let reached =
            || if other.is_correlation() { set.grounds(other).iter().any(|one| ground(&one.rule.id)) } else { ground(&other.rule.id) };
        other.alerts && other.rule.id != compiled.rule.id && reached()
    };
    set.rules().iter().filter(shares).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ingest::body::SiteId;
    use ingest::frame::Seq;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Engine;
    use crate::json_record::JsonRecord;

    fn own(fields: &str) -> String {
        format!("title: Eigene\nname: eigene\nlogsource: {{product: linux}}\ndetection: {{s: {{{fields}}}, condition: s}}\n")
    }

    fn fires(rule: &str, filter: Option<String>, record: Value) -> bool {
        let files = [Some(("own/eigene.yml".to_owned(), rule.to_owned())), filter.map(|text| ("filter/x.yml".to_owned(), text))];
        let (set, errors) = RuleSet::compile(files.into_iter().flatten(), FieldNames::Decoded);
        assert_eq!(errors, []);
        let record = JsonRecord::new(record.as_object().unwrap(), Seq(1), Timestamp(0));
        !Engine::new(set, Arc::default()).apply(&record, SiteId::default(), None, Timestamp(0)).is_empty()
    }

    fn text_of(rule: &str, terms: &[(&str, &[&str])]) -> Option<String> {
        let (set, errors) = RuleSet::compile([("own/eigene.yml".to_owned(), rule.to_owned())], FieldNames::Decoded);
        assert_eq!(errors, []);
        let terms: Vec<Term> = terms
            .iter()
            .map(|(field, values)| Term { field: (*field).to_owned(), values: values.iter().map(|value| (*value).to_owned()).collect() })
            .collect();
        documents(&set, set.find("eigene").unwrap(), &terms, TuningId::default())
    }

    #[test]
    fn it_holds_back_just_what_it_names() {
        let rule = own("event.action: ssh_login");
        let filter = text_of(&rule, &[("source.ip", &["10.0.0.9"]), ("destination.port", &["22"])]).unwrap();
        for (source, port, expected) in [("10.0.0.9", 22, false), ("10.0.0.9", 2_222, true), ("10.0.0.8", 22, true)] {
            let record = json!({ "event.action": "ssh_login", "source.ip": source, "destination.port": port });
            assert_eq!(fires(&rule, Some(filter.clone()), record), expected, "{source} {port}");
        }
        assert_eq!(text_of(&rule, &[("source.pi", &["10.0.0.9"])]), None, "a field that there is not");
    }

    #[test]
    fn a_correlation_is_held_back_where_it_counts() {
        let set = RuleSet::shipped().unwrap();
        let compiled = set.find("ssh_bruteforce").unwrap();
        let terms = [Term { field: "source.ip".into(), values: vec!["10.0.0.9".into()] }];
        let text = documents(&set, compiled, &terms, TuningId::default()).unwrap();
        assert!(text.contains("not hier"), "{text}");
        let shared: Vec<&str> = shared_with(&set, compiled).into_iter().map(|one| one.rule.name.as_str()).collect();
        assert!(shared.contains(&"ssh_bruteforce_success"), "{shared:?}");
        let (_, errors) = RuleSet::shipped_beside([("filter/x.yml".to_owned(), text)]);
        assert_eq!(errors, []);
    }

    proptest! {
        /// Whatever a value holds, the filter means it and nothing else, and stays one value.
        #[test]
        fn any_value_means_itself(value in "[ -~äß]{1,40}", other in "[ -~äß]{1,40}") {
            let value = line_clean(&value, VALUE_CHARS_MAX);
            prop_assume!(!value.is_empty());
            let rule = own("event.action: x");
            let filter = text_of(&rule, &[("user.name", &[&value])]).unwrap();
            let record = |user: &str| json!({ "event.action": "x", "user.name": user });
            prop_assert!(!fires(&rule, Some(filter.clone()), record(&value)), "{}", filter);
            let same = value.to_lowercase() == other.to_lowercase() || value.parse::<f64>().ok().is_some_and(|number| other.trim().parse() == Ok(number));
            prop_assert_eq!(fires(&rule, Some(filter), record(&other)), !same);
        }
    }
}
