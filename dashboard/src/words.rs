//! The German names of what the other stages know in English: severities, states, dispositions, history. One
//! catalogue, so that the same thing has the same word everywhere (docs/glossar.md).

pub(crate) mod audit;
mod enrich;
mod intake;
mod language;

use std::collections::HashMap;

use detect::alert::{AlertState, Disposition};
use detect::incident::{Origin, State, Tlp};
use detect::recommendation::{RecommendationState, StepState};
use detect::rule::Level;
use ingest::db::DbError;
use ingest::history::HistoryEvent;
use ingest::rusqlite::Connection;
use serde_json::Value;

use crate::show::{self, Markup, Tone};
use crate::user;

pub use enrich::{enrichments, geo_fault, geo_file, geo_todo, is_geo_old};
pub use intake::{consumer, defect, dropped, dropped_todo, format, listener, rejected, transport};
pub(crate) use language::filled;
pub use language::{Language, de, language, t, tf, tn, with_language};

pub fn level(level: Level) -> &'static str {
    match level {
        Level::Critical => "kritisch",
        Level::High => "hoch",
        Level::Medium => "mittel",
        Level::Low => "niedrig",
        Level::Informational => "Hinweis",
    }
}

pub fn level_tone(level: Level) -> Tone {
    match level {
        Level::Critical => Tone::Crit,
        Level::High => Tone::High,
        Level::Medium => Tone::Mid,
        Level::Low => Tone::Low,
        Level::Informational => Tone::Quiet,
    }
}

pub fn level_badge(of: Level) -> Markup {
    show::badge(level_tone(of), level(of))
}

pub fn state(state: State) -> &'static str {
    match state {
        State::New => "neu",
        State::Triaged => "gesichtet",
        State::InWork => "in Bearbeitung",
        State::Contained => "eingedämmt",
        State::Recovered => "wiederhergestellt",
        State::Closed => "geschlossen",
    }
}

/// Colour is for severity, TLP and action; a state's badge is quiet, and only what is done is green.
pub fn state_badge(of: State) -> Markup {
    let tone = if matches!(of, State::Contained | State::Recovered | State::Closed) { Tone::Good } else { Tone::Quiet };
    show::badge(tone, state(of))
}

pub fn alert_state(state: AlertState) -> &'static str {
    match state {
        AlertState::New => "neu",
        AlertState::Acknowledged => "bestätigt",
        AlertState::Closed => "geschlossen",
    }
}

pub fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::TruePositive => "zutreffend",
        Disposition::Benign => "zutreffend, aber erlaubt",
        Disposition::FalsePositive => "Fehlalarm",
    }
}

pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Rule => "eigene Erkennung",
        Origin::Phone => "Telefon",
        Origin::Mail => "E-Mail",
        Origin::SelfReport => "Meldung der Stelle",
    }
}

pub fn recommendation_badge(state: RecommendationState) -> Markup {
    match state {
        RecommendationState::Draft => show::badge(Tone::Quiet, "vorbereitet"),
        RecommendationState::Sent => show::badge(Tone::Low, "gesendet"),
        RecommendationState::Seen => show::badge(Tone::Low, "gelesen"),
        RecommendationState::InWork => show::badge(Tone::Low, "in Arbeit"),
        RecommendationState::Done => show::badge(Tone::Good, "erledigt"),
        RecommendationState::Declined => show::badge(Tone::High, "abgelehnt"),
    }
}

pub fn step(state: StepState) -> &'static str {
    match state {
        StepState::Open => "offen",
        StepState::InWork => "in Arbeit",
        StepState::Done => "erledigt",
        StepState::Declined => "abgelehnt",
    }
}

pub fn tlp_badge(tlp: Tlp) -> Markup {
    show::tlp(tlp.as_str())
}

/// What an entity's key says (`ip:192.0.2.1`): its field and its value.
pub fn entity(key: &str) -> (&'static str, &str) {
    match key.split_once(':') {
        Some(("ip", value)) => ("source.ip", value),
        Some(("host", value)) => ("host.name", value),
        Some(("user", value)) => ("user.name", value),
        _ => ("", "Standort"),
    }
}

/// Who did something: names of accounts by their id.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, String>);

impl Names {
    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Self, DbError> {
        let users = user::user_list(connection)?;
        Ok(Self(users.into_iter().map(|user| (user.id.to_string(), user.name)).collect()))
    }

    /// An actor as people read it; a rule and the program are no persons.
    pub fn of(&self, actor: &str) -> String {
        match (actor, self.0.get(actor)) {
            (_, Some(name)) => name.clone(),
            ("" | "system", None) => "Wartburg".into(),
            (actor, None) if actor.starts_with("rule:") => "Regel".into(),
            _ => "früheres Konto".into(),
        }
    }

    /// As `of`, for those outside the CERT: they see the house, not the colleague.
    pub fn of_for(&self, actor: &str, internal: bool) -> String {
        if internal { self.of(actor) } else { String::new() }
    }
}

/// One line of a case's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub what: String,
    pub detail: String,
    /// A turn of the story, not a detail.
    pub strong: bool,
}

fn word<'a>(event: &'a HistoryEvent, key: &str) -> &'a str {
    event.data.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// A history event in German. A kind that this catalogue lacks keeps its own name: better odd than lost.
pub fn told(event: &HistoryEvent, names: &Names) -> Told {
    let text = |key: &str| word(event, key);
    let plain = |what: &str, strong: bool| Told { what: what.into(), detail: text("reason").into(), strong };
    let change = |what: &str, word: &dyn Fn(&str) -> String| Told {
        what: what.into(),
        detail: format!("{} → {}", word(text("from")), word(text("to"))),
        strong: false,
    };
    match event.kind.as_str() {
        "incident.first_activity" => plain("Erste Anzeichen", false),
        "incident.aware" => plain("Bemerkt", false),
        "incident.opened" => plain("Vorfall eröffnet", true),
        "incident.alert_joined" => plain("Weiterer Alarm zugeordnet", false),
        "incident.triaged" => plain("Gesichtet", false),
        "incident.in_work" => plain("In Bearbeitung", false),
        "incident.contained" => plain("Eingedämmt", true),
        "incident.recovered" => plain("Wiederhergestellt", true),
        "incident.closed" => Told {
            what: "Geschlossen".into(),
            detail: Disposition::parse(text("disposition")).map(disposition).unwrap_or_default().into(),
            strong: true,
        },
        "incident.reopened" => plain("Wieder geöffnet", true),
        "incident.assigned" if text("to").is_empty() => plain("Bearbeitung abgegeben", false),
        "incident.assigned" => Told { what: format!("Bearbeitung: {}", names.of(text("to"))), detail: String::new(), strong: false },
        "incident.severity" => {
            change("Schwere geändert", &|word| Level::parse(word).map_or_else(|| word.to_owned(), |is| level(is).to_owned()))
        }
        "incident.classified" => {
            change("Einordnung geändert", &|word| word.parse().map_or_else(|_| word.to_owned(), |class: detect::rsit::Rsit| class.label()))
        }
        "incident.labelled" => change("Weitergabe geändert", &|word| format!("TLP:{word}")),
        "incident.titled" => change("Titel geändert", &|word| format!("„{word}“")),
        "incident.summarised" => plain("Zusammenfassung geschrieben", false),
        "incident.noted" => plain("Notiz", false),
        "recommendation.drafted" => plain("Empfehlung vorbereitet", false),
        "recommendation.edited" => plain("Empfehlung geändert", false),
        "recommendation.sent" => plain("Empfehlung gesendet", true),
        "recommendation.ack" => plain("Empfehlung gelesen", false),
        "recommendation.step" => {
            let number = event.data.get("step").and_then(Value::as_u64).unwrap_or(0) + 1;
            let to = StepState::parse(text("to")).map_or_else(|| text("to").to_owned(), |state| step(state).to_owned());
            Told { what: format!("Schritt {number}: {to}"), detail: text("reason").into(), strong: false }
        }
        "recommendation.in_work" => plain("Empfehlung in Arbeit", false),
        "recommendation.done" => plain("Empfehlung umgesetzt", true),
        "recommendation.declined" => plain("Empfehlung abgelehnt", true),
        "recommendation.delivered" => plain("Mail zugestellt", false),
        "recommendation.bounced" => plain("Mail nicht zustellbar", true),
        "advisory.drafted" => plain("Entwurf angelegt", false),
        "advisory.revised" => plain("Neue Fassung begonnen", false),
        "advisory.updated" => plain("Neue Fassung veröffentlicht", true),
        "advisory.source_published" => plain("Quelle veröffentlicht", false),
        "advisory.sent" => plain("An eine Stelle gerichtet", false),
        "advisory.delivered" => plain("Mail zugestellt", false),
        "advisory.bounced" => plain("Mail nicht zustellbar", true),
        "advisory.ack" => plain("Zur Kenntnis genommen", false),
        "advisory.not_affected" => plain("Nicht betroffen", false),
        "advisory.remediated" => plain("Behoben", false),
        "advisory.submitted" => plain("Zur Prüfung gegeben", false),
        "advisory.returned" => plain("Zurück an den Entwurf", false),
        "advisory.approved" => plain("Freigegeben", true),
        "advisory.published" => plain("Veröffentlicht", true),
        "advisory.withdrawn" => plain("Zurückgezogen", true),
        other => plain(other, false),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::history::HistoryId;
    use ingest::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn check(kind: &str, data: Value) -> String {
        let event = HistoryEvent {
            id: HistoryId::default(),
            event_time: Timestamp(0),
            recorded_at: Timestamp(0),
            kind: kind.into(),
            subject: "s".into(),
            body: None,
            actor: "system".into(),
            data,
            corrects: None,
        };
        let told = told(&event, &Names::default());
        format!("{} | {}\n", told.what, told.detail)
    }

    #[test]
    fn a_history_reads_german() {
        let story = [
            check("incident.opened", json!({ "severity": "high" })),
            check("incident.severity", json!({ "from": "high", "to": "critical" })),
            check("incident.classified", json!({ "from": "other", "to": "intrusions/system-compromise" })),
            check("incident.assigned", json!({ "to": "01ARZ" })),
            check("recommendation.step", json!({ "step": 0, "to": "done" })),
            check("incident.closed", json!({ "disposition": "false_positive" })),
            check("strange.kind", json!(null)),
        ];
        expect![[r#"
            Vorfall eröffnet | 
            Schwere geändert | hoch → kritisch
            Einordnung geändert | Sonstiges → Einbrüche: System übernommen
            Bearbeitung: früheres Konto | 
            Schritt 1: erledigt | 
            Geschlossen | Fehlalarm
            strange.kind | 
        "#]]
        .assert_eq(&story.concat());
    }
}
