//! ATT&CK coverage: which techniques the rules in force watch for, by tactic. It is computed from the rules themselves and
//! says what is watched, not how well: a technique with a rule is one of its many ways seen, not all.

mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::rule::Rule;
use table::{PARTS, TECHNIQUES};

/// The version of ATT&CK that the table is made after.
pub const ATTACK_VERSION: &str = "19";
/// The Navigator's layer format.
const LAYER_VERSION: &str = "4.5";
const NAVIGATOR_VERSION: &str = "5.1.0";

/// What an adversary is after, in ATT&CK's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tactic {
    Reconnaissance,
    ResourceDevelopment,
    InitialAccess,
    Execution,
    Persistence,
    PrivilegeEscalation,
    Stealth,
    DefenseImpairment,
    CredentialAccess,
    Discovery,
    LateralMovement,
    Collection,
    CommandAndControl,
    Exfiltration,
    Impact,
}

impl Tactic {
    pub const ALL: [Self; 15] = [
        Self::Reconnaissance,
        Self::ResourceDevelopment,
        Self::InitialAccess,
        Self::Execution,
        Self::Persistence,
        Self::PrivilegeEscalation,
        Self::Stealth,
        Self::DefenseImpairment,
        Self::CredentialAccess,
        Self::Discovery,
        Self::LateralMovement,
        Self::Collection,
        Self::CommandAndControl,
        Self::Exfiltration,
        Self::Impact,
    ];

    /// As tags and layers write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reconnaissance => "reconnaissance",
            Self::ResourceDevelopment => "resource-development",
            Self::InitialAccess => "initial-access",
            Self::Execution => "execution",
            Self::Persistence => "persistence",
            Self::PrivilegeEscalation => "privilege-escalation",
            Self::Stealth => "stealth",
            Self::DefenseImpairment => "defense-impairment",
            Self::CredentialAccess => "credential-access",
            Self::Discovery => "discovery",
            Self::LateralMovement => "lateral-movement",
            Self::Collection => "collection",
            Self::CommandAndControl => "command-and-control",
            Self::Exfiltration => "exfiltration",
            Self::Impact => "impact",
        }
    }

    /// How many techniques of it the table knows.
    pub fn known(self) -> usize {
        TECHNIQUES.iter().filter(|(_, _, tactics)| tactics.contains(&self)).count()
    }
}

/// The name of a technique or of a part of one; `None` for a number that the table lacks.
pub fn technique_name(id: &str) -> Option<&'static str> {
    let part = PARTS.iter().find(|(known, _)| *known == id).map(|(_, name)| *name);
    part.or_else(|| TECHNIQUES.iter().find(|(known, ..)| *known == id).map(|(_, name, _)| *name))
}

/// The technique that a part belongs to; itself for a technique.
pub fn technique_of(id: &str) -> &str {
    id.split_once('.').map_or(id, |(technique, _)| technique)
}

fn tactics_of(technique: &str) -> &'static [Tactic] {
    TECHNIQUES.iter().find(|(known, ..)| *known == technique).map_or(&[], |(_, _, tactics)| tactics)
}

/// A technique that rules watch for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered {
    /// `T1110`, never a part.
    pub id: String,
    /// Empty where the table lacks it.
    pub name: &'static str,
    /// The parts that rules name, with how many of them each.
    pub parts: BTreeMap<String, usize>,
    /// Short names of the rules.
    pub rules: BTreeSet<String>,
    /// Alerts of these rules, where somebody counted them.
    pub hits: u64,
}

/// Techniques by tactic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub techniques: BTreeMap<String, Covered>,
}

impl Coverage {
    /// Of these rules; `hits` says how often one alerted.
    pub fn of<'r>(rules: impl Iterator<Item = &'r Rule>, hits: impl Fn(&str) -> u64) -> Self {
        let mut coverage = Self::default();
        for rule in rules {
            for id in &rule.attack {
                let technique = technique_of(id);
                let entry = coverage.techniques.entry(technique.to_owned()).or_insert_with(|| Covered {
                    id: technique.to_owned(),
                    name: technique_name(technique).unwrap_or_default(),
                    ..Covered::default()
                });
                if id != technique {
                    *entry.parts.entry(id.clone()).or_default() += 1;
                }
                if entry.rules.insert(rule.name.clone()) {
                    entry.hits = entry.hits.saturating_add(hits(&rule.name));
                }
            }
        }
        coverage
    }

    /// The techniques of a tactic, by number.
    pub fn column(&self, tactic: Tactic) -> Vec<&Covered> {
        self.techniques.values().filter(|one| tactics_of(&one.id).contains(&tactic)).collect()
    }

    /// Those that the table lacks.
    pub fn unplaced(&self) -> Vec<&Covered> {
        self.techniques.values().filter(|one| tactics_of(&one.id).is_empty()).collect()
    }

    /// A layer for the ATT&CK Navigator: the score is the number of rules.
    pub fn layer(&self, name: &str, description: &str) -> Value {
        let mut techniques = Vec::new();
        let mut most = 1;
        for one in self.techniques.values() {
            most = most.max(one.rules.len());
            let comment = one.rules.iter().take(50).cloned().collect::<Vec<_>>().join(", ");
            techniques.push(json!({ "techniqueID": one.id, "score": one.rules.len(), "comment": comment, "enabled": true,
                "showSubtechniques": !one.parts.is_empty() }));
            for (part, rules) in &one.parts {
                techniques.push(json!({ "techniqueID": part, "score": rules, "comment": "", "enabled": true, "showSubtechniques": false }));
            }
        }
        json!({
            "name": name,
            "versions": { "attack": ATTACK_VERSION, "navigator": NAVIGATOR_VERSION, "layer": LAYER_VERSION },
            "domain": "enterprise-attack",
            "description": description,
            "sorting": 3,
            "techniques": techniques,
            "gradient": { "colors": ["#d7e3f4", "#1b4f91"], "minValue": 0, "maxValue": most },
            "legendItems": [],
            "hideDisabled": false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigma::RuleSet;

    #[test]
    fn every_shipped_rule_names_techniques_that_the_table_knows() {
        let set = RuleSet::shipped().unwrap();
        let coverage = Coverage::of(set.rules().iter().map(|compiled| &*compiled.rule), |_| 0);
        let missing: Vec<&str> = coverage.unplaced().into_iter().map(|one| one.id.as_str()).collect();
        assert_eq!(missing, [""; 0], "a row in attack/table.rs says what they are called and which tactics they serve");
    }

    #[test]
    fn the_table_is_in_order_and_its_parts_have_their_technique() {
        assert!(TECHNIQUES.is_sorted_by(|a, b| a.0 < b.0) && PARTS.is_sorted_by(|a, b| a.0 < b.0));
        for (id, _) in PARTS {
            assert!(!tactics_of(technique_of(id)).is_empty(), "{id}");
        }
        assert!(Tactic::ALL.iter().all(|tactic| tactic.known() > 0));
    }

    #[test]
    fn rules_parts_and_hits_are_counted_once_each() {
        let rule = |name: &str, attack: &[&str]| Rule {
            id: name.into(),
            name: name.into(),
            title: String::new(),
            description: String::new(),
            level: crate::rule::Level::Low,
            rsit: String::new(),
            attack: attack.iter().map(|id| (*id).to_owned()).collect(),
            playbook: None,
        };
        let rules = [rule("a", &["T1110", "T1110.003"]), rule("b", &["T1110.003", "T1078"]), rule("c", &["T9999"])];
        let coverage = Coverage::of(rules.iter(), |name| if name == "a" { 7 } else { 1 });
        let brute = &coverage.techniques["T1110"];
        assert_eq!((brute.rules.len(), brute.hits, brute.parts["T1110.003"]), (2, 8, 2));
        let names = |tactic| coverage.column(tactic).into_iter().map(|one| one.id.as_str()).collect::<Vec<_>>();
        assert_eq!(
            (names(Tactic::CredentialAccess), names(Tactic::Stealth), names(Tactic::Impact)),
            (vec!["T1110"], vec!["T1078"], vec![])
        );
        assert_eq!(coverage.unplaced()[0].id, "T9999");
        let layer = coverage.layer("x", "");
        assert_eq!(layer["techniques"].as_array().unwrap().len(), 4);
        assert_eq!((&layer["domain"], &layer["gradient"]["maxValue"]), (&json!("enterprise-attack"), &json!(2)));
    }
}
