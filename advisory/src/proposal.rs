//! A warning made of a case of the state: what came to several bodies, told to all of them. The text names what they have in
//! common and what to do about it, and never who they are: nobody is to read in a warning which neighbour was hit. Pure; an
//! author reads and changes it before anybody else does.

use chrono_tz::Europe::Berlin;
use detect::incident::IncidentView;
use detect::playbook::Playbook;
use detect::rule::Level;
use ingest::time::Timestamp;

use crate::advisory::{Content, Kind, Measure, MeasureKind, Severity, TITLE_CHARS_MAX, ThreatLevel, Tlp};

/// Marks that a text names; a case of the state has one, or a few.
const MARKS_MAX: usize = 10;

/// The draft. It goes to all bodies (GREEN), unless its mark comes from a list or out of a mail: who may pass that on, a
/// person decides (AMBER).
pub fn content_of_incident(view: &IncidentView, playbook: &Playbook) -> Content {
    let incident = &view.incident;
    // The rule's own words: a title that an analyst has written may name a body.
    let alert = view.alerts.iter().max_by_key(|alert| (alert.level, std::cmp::Reverse(alert.id)));
    let what = alert.map_or(playbook.title.as_str(), |alert| alert.title.as_str());
    let mut marks: Vec<Mark> = view.alerts.iter().rev().map(|alert| Mark::of(&alert.entity)).collect();
    marks.dedup();
    let named: Vec<String> = marks.iter().take(MARKS_MAX).map(|mark| format!("{} {}", mark.noun, mark.value)).collect();
    let first = marks.first().map(|mark| format!(": {}", mark.value)).unwrap_or_default();
    let since = day(incident.first_activity);
    let severe = incident.severity >= Level::High;
    let measure = |text: &str| Measure { kind: MeasureKind::Mitigation, text: text.to_owned(), due_at: None };
    Content {
        kind: if severe { Kind::Warnung } else { Kind::Hinweis },
        severity: match incident.severity {
            Level::Critical => Severity::Kritisch,
            Level::High => Severity::Hoch,
            Level::Medium => Severity::Mittel,
            Level::Low | Level::Informational => Severity::Niedrig,
        },
        threat_level: if severe { ThreatLevel::Orange } else { ThreatLevel::Gelb },
        tlp: if marks.iter().any(|mark| mark.listed) { Tlp::Amber } else { Tlp::Green },
        title: format!("{what}{first}").chars().take(TITLE_CHARS_MAX).collect(),
        situation: format!(
            "Seit dem {since} beobachtet das ThüringenCERT bei mehreren Verwaltungen in Thüringen dasselbe: {what}.\n\nKennzeichen: {}.",
            named.join(", ")
        ),
        assessment: playbook.meaning.clone(),
        check: marks.iter().take(MARKS_MAX).map(|mark| mark.check(&since)).collect::<Vec<_>>().join("\n"),
        measures: playbook.steps.iter().map(|step| measure(&step.text)).collect(),
        interim: true,
        ..Content::empty()
    }
}

/// What the bodies have in common, out of an alert's entity (`ip:203.0.113.9`).
#[derive(PartialEq)]
struct Mark {
    noun: &'static str,
    value: String,
    listed: bool,
}

impl Mark {
    fn of(entity: &str) -> Self {
        let (kind, value) = entity.split_once(':').unwrap_or(("", entity));
        let is_hash = matches!(value.len(), 32 | 40 | 64) && value.bytes().all(|byte| byte.is_ascii_hexdigit());
        let noun = match kind {
            "ip" => "Adresse",
            "indicator" if is_hash => "Prüfsumme",
            "indicator" if value.contains('@') => "Absender",
            _ => "Indikator",
        };
        Self { noun, value: value.to_owned(), listed: kind == "indicator" }
    }

    fn check(&self, since: &str) -> String {
        let value = &self.value;
        match self.noun {
            "Adresse" => {
                format!("Suchen Sie in den Protokollen von Firewall, VPN, Mail- und Webserver seit dem {since} nach der Adresse {value}.")
            }
            "Prüfsumme" => format!("Suchen Sie im Virenschutz seit dem {since} nach der Prüfsumme {value}."),
            "Absender" => format!("Suchen Sie im Mailserver seit dem {since} nach Mails des Absenders {value}."),
            _ => format!("Suchen Sie in den Protokollen von Firewall, Proxy und Namensdienst seit dem {since} nach {value}."),
        }
    }
}

/// `21.11.2026` in Thuringia.
fn day(at: Timestamp) -> String {
    at.utc().with_timezone(&Berlin).format("%d.%m.%Y").to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use detect::finding::{Entity, Finding, Share};
    use detect::incident::{Change, Filed, finding_file, incident_change, incident_get};
    use detect::playbook::Playbooks;
    use detect::role::Role;
    use detect::rule::Rule;
    use expect_test::expect;
    use ingest::body::{Body, BodyId, BodyKind, SITE_STATE, body_add};
    use ingest::db::Db;
    use ingest::frame::Seq;
    use ingest::id::Ulid;
    use ingest::scope::Scope;

    use super::*;
    use crate::advisory::content_problems;

    const BODIES: [&str; 3] = ["Stadtverwaltung Sömmerda", "Landratsamt Gotha", "Gemeinde Vogtei"];

    /// The case that a finding over all bodies becomes, after an analyst has written the bodies' names wherever one can.
    fn view(entity: Entity, title: &str) -> IncidentView {
        let dir = tempfile::tempdir().unwrap();
        let owners = [
            ingest::body::MIGRATIONS,
            ingest::history::MIGRATIONS,
            detect::incident::MIGRATIONS,
            detect::alert::MIGRATIONS,
            detect::recommendation::MIGRATIONS,
        ];
        let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
        let at = Timestamp::parse_rfc3339("2026-11-21T03:01:00Z").unwrap();
        let rule = Rule {
            id: "id".into(),
            name: "state_x".into(),
            title: title.into(),
            description: String::new(),
            level: Level::High,
            rsit: "intrusion-attempts/brute-force".into(),
            attack: vec![],
            playbook: None,
        };
        let ids = [1, 2, 3].map(|n| BodyId(Ulid(n)));
        let finding = Finding {
            rule: Arc::new(rule),
            site: SITE_STATE,
            body: None,
            entity,
            observables: BTreeMap::from([("host.name", vec!["rathaus-soemmerda".to_owned()])]),
            first: at,
            last: at,
            detected_at: at,
            evidence: vec![Seq(1)],
            records: 30,
            reasons: vec![],
            shares: ids.map(|body| Share { body, records: 10, first: at, last: at }).into(),
            explanation: None,
        };
        let id = db
            .write(move |tx| {
                for (id, name) in ids.into_iter().zip(BODIES) {
                    let body = Body { id, name: name.into(), kind: BodyKind::Gemeinde, ags: None, kreis: "16068".into(), population: 0 };
                    body_add(tx, &body, at)?;
                }
                let Filed::Opened { incident, .. } = finding_file(tx, &Playbooks::embedded().unwrap(), &finding, at)? else { panic!() };
                for (version, change) in [Change::Title(BODIES.join(", ")), Change::Summary(Some(BODIES.join(", ")))].iter().enumerate() {
                    incident_change(tx, incident, version as i64 + 1, change, "anna", Role::Analyst, at)?;
                }
                Ok::<_, detect::incident::CaseError>(incident)
            })
            .unwrap();
        db.read(|c| incident_get(c, &Scope::All, id)).unwrap().unwrap()
    }

    fn draft(entity: &Entity, title: &str, playbook: &str) -> Content {
        let playbooks = Playbooks::embedded().unwrap();
        let view = view(entity.clone(), title);
        assert_eq!(view.bodies.len(), 3);
        content_of_incident(&view, playbooks.get(playbook).unwrap()).tidied()
    }

    #[test]
    fn a_draft_says_what_and_what_to_do_and_never_who() {
        let hash = "a3f5c1d2e4b6978800112233445566778899aabbccddeeff0011223344556677";
        let listed = |value: &str| Entity::Indicator(value.into());
        let cases = [
            (Entity::Ip([203, 0, 113, 9].into()), "Eine Adresse greift die Anmeldungen mehrerer Stellen an", "landesweit_angriff"),
            (listed("203.0.113.66"), "Derselbe Indikator bei mehreren Stellen", "landesweit_indikator"),
            (listed(hash), "Dasselbe Schadprogramm bei mehreren Stellen", "landesweit_indikator"),
            (listed("rechnung@lieferant.example"), "Schädliche Mails desselben Absenders bei mehreren Stellen", "landesweit_mail"),
        ];
        let mut shown = String::new();
        for (entity, title, playbook) in &cases {
            let content = draft(entity, title, playbook);
            assert_eq!(content_problems(&content), [], "{title}: it could go to review as it is");
            let text = serde_json::to_string(&content).unwrap();
            for word in ["Sömmerda", "Gotha", "Vogtei", "soemmerda", "TC-2026"] {
                assert!(!text.contains(word), "{title}: {word} in {text}");
            }
            assert_eq!(content.measures.len(), 3, "{text}");
            let Content { kind, tlp, severity, .. } = &content;
            shown.push_str(&format!("{} {} {}: {}\n", kind.label(), tlp.label(), severity.label(), content.title));
            shown.push_str(&format!("{}\n{}\n\n", content.situation, content.check));
        }
        expect![[r#"
            Sicherheitswarnung TLP:GREEN hoch: Eine Adresse greift die Anmeldungen mehrerer Stellen an: 203.0.113.9
            Seit dem 21.11.2026 beobachtet das ThüringenCERT bei mehreren Verwaltungen in Thüringen dasselbe: Eine Adresse greift die Anmeldungen mehrerer Stellen an.

            Kennzeichen: Adresse 203.0.113.9.
            Suchen Sie in den Protokollen von Firewall, VPN, Mail- und Webserver seit dem 21.11.2026 nach der Adresse 203.0.113.9.

            Sicherheitswarnung TLP:AMBER hoch: Derselbe Indikator bei mehreren Stellen: 203.0.113.66
            Seit dem 21.11.2026 beobachtet das ThüringenCERT bei mehreren Verwaltungen in Thüringen dasselbe: Derselbe Indikator bei mehreren Stellen.

            Kennzeichen: Indikator 203.0.113.66.
            Suchen Sie in den Protokollen von Firewall, Proxy und Namensdienst seit dem 21.11.2026 nach 203.0.113.66.

            Sicherheitswarnung TLP:AMBER hoch: Dasselbe Schadprogramm bei mehreren Stellen: a3f5c1d2e4b6978800112233445566778899aabbccddeeff0011223344556677
            Seit dem 21.11.2026 beobachtet das ThüringenCERT bei mehreren Verwaltungen in Thüringen dasselbe: Dasselbe Schadprogramm bei mehreren Stellen.

            Kennzeichen: Prüfsumme a3f5c1d2e4b6978800112233445566778899aabbccddeeff0011223344556677.
            Suchen Sie im Virenschutz seit dem 21.11.2026 nach der Prüfsumme a3f5c1d2e4b6978800112233445566778899aabbccddeeff0011223344556677.

            Sicherheitswarnung TLP:AMBER hoch: Schädliche Mails desselben Absenders bei mehreren Stellen: rechnung@lieferant.example
            Seit dem 21.11.2026 beobachtet das ThüringenCERT bei mehreren Verwaltungen in Thüringen dasselbe: Schädliche Mails desselben Absenders bei mehreren Stellen.

            Kennzeichen: Absender rechnung@lieferant.example.
            Suchen Sie im Mailserver seit dem 21.11.2026 nach Mails des Absenders rechnung@lieferant.example.

        "#]].assert_eq(&shown);
    }
}
