//! `docs/regelwerk.md`, the pack for people who read no YAML: made from the rules, so that it cannot say anything else.

use std::fmt::Write as _;
use std::fs;

use super::crowdsec::rules;
use super::tests::rules_dir;
use crate::engine::RuleSet;
use crate::playbook::Playbooks;
use crate::rule::Level;
use crate::sigma::CompiledRule;

/// The folders below `rules/` in the order of the page. A folder that is not here is a complaint.
const AREAS: &[(&str, &str)] = &[
    ("firewall", "Firewall und Angriffserkennung"),
    ("vpn", "VPN und Fernzugang"),
    ("mail", "Mail"),
    ("web", "Webserver"),
    ("service", "Datenbanken, Anwendungen und Dienste"),
    ("dns", "DNS und DHCP"),
    ("linux", "Linux"),
    ("windows", "Windows"),
    ("state", "Landesweit: über alle Stellen hinweg"),
];

const BEGIN: &str = "<!-- Anfang: aus den Regeln geschrieben -->";
const END: &str = "<!-- Ende: aus den Regeln geschrieben -->";

#[test]
fn the_manual_tells_of_every_rule() {
    let path = rules_dir().join("../docs/regelwerk.md");
    let page = fs::read_to_string(&path).unwrap();
    let (head, rest) = page.split_once(BEGIN).expect("the page has its markers");
    let (_, tail) = rest.split_once(END).expect("the page has its markers");
    let made = format!("{head}{BEGIN}\n\n{}\n{END}{tail}", overview(&rules()));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        fs::write(&path, &made).unwrap();
    } else {
        let changed = made.lines().filter(|line| !page.lines().any(|old| old == *line)).collect::<Vec<_>>().join("\n");
        assert!(made == page, "the page is stale; UPDATE_EXPECT=1 writes it. New:\n{changed}");
    }
}

/// What the issue asks of each rule that people see: words of our own, a class, techniques, notes, and a playbook.
#[test]
fn every_alert_is_explained_and_has_its_playbook() {
    let (set, playbooks) = (rules(), Playbooks::embedded().unwrap());
    let mut wrong = Vec::new();
    for compiled in set.rules() {
        let rule = &compiled.rule;
        let mut say = |what: &str| wrong.push(format!("{}: {what}", rule.name));
        if rule.description.chars().count() < 40 {
            say("the description explains too little");
        }
        if !compiled.alerts {
            continue;
        }
        if rule.level < Level::Low {
            say("alerts at a level that nobody looks at");
        }
        if rule.attack.is_empty() && !compiled.metadata.tags.iter().any(|tag| tag.starts_with("attack.")) {
            say("has no ATT&CK tag");
        }
        if rule.rsit == "other/undetermined" {
            say("has no RSIT class");
        }
        if rule.playbook.as_deref().is_none_or(|name| playbooks.get(name).is_none()) {
            say("names no playbook that there is");
        }
        if compiled.falsepositives.is_empty() {
            say("does not say what may set it off without harm");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(set.rules().len() >= 120, "only {} rules and correlations", set.rules().len());
}

fn overview(set: &RuleSet) -> String {
    let correlations = set.rules().iter().filter(|compiled| compiled.is_correlation()).count();
    let alerting = set.rules().iter().filter(|compiled| compiled.alerts).count();
    let mut out = format!(
        "{} Regeln, davon {correlations} Korrelationen; {alerting} lösen einen Alarm aus, die übrigen liefern ihnen zu.\n",
        set.rules().len()
    );
    for compiled in set.rules() {
        assert!(AREAS.iter().any(|(folder, _)| *folder == area(compiled)), "no heading for {}", compiled.file);
    }
    for (folder, heading) in AREAS {
        let mut rules: Vec<&CompiledRule> = set.rules().iter().filter(|compiled| compiled.alerts && area(compiled) == *folder).collect();
        rules.sort_by(|a, b| b.rule.level.cmp(&a.rule.level).then_with(|| a.rule.name.cmp(&b.rule.name)));
        let _ = write!(out, "\n## {heading}\n\n| Regel | Stufe | Was sie meldet | ATT&CK | Anleitung |\n|---|---|---|---|---|\n");
        for compiled in rules {
            let rule = &compiled.rule;
            let techniques = if rule.attack.is_empty() { "–".to_owned() } else { rule.attack.join(", ") };
            let description = rule.description.replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(
                out,
                "| `{}` | {} | **{}.** {} | {techniques} | `{}` |",
                rule.name,
                level(rule.level),
                rule.title,
                description.trim(),
                rule.playbook.as_deref().unwrap_or("–")
            );
        }
    }
    out
}

/// `…/rules/<area>/<name>/rule.yml`
fn area(compiled: &CompiledRule) -> &str {
    compiled.file.rsplit('/').nth(2).unwrap_or_default()
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Informational => "Hinweis",
        Level::Low => "niedrig",
        Level::Medium => "mittel",
        Level::High => "hoch",
        Level::Critical => "kritisch",
    }
}
