//! The names, in the reader's language, of what the other stages know in English: severities, states, dispositions,
//! history. One catalogue, so that the same thing has the same word everywhere (docs/glossar.md).

pub(crate) mod audit;
mod enrich;
pub(crate) mod explain;
mod intake;
mod intel;
mod labels;
mod language;
mod letters;
mod refusals;
mod refused;

use std::collections::HashMap;

use detect::alert::{Alert, AlertState, Disposition};
use detect::exchange::read::Why;
use detect::incident::{Incident, Origin, State, Tlp, service_name};
use detect::recommendation::{RecommendationState, StepState};
use detect::rule::Level;
use ingest::body::{SITE_STATE, contact_names};
use ingest::db::DbError;
use ingest::history::HistoryEvent;
use ingest::rusqlite::Connection;
use serde_json::Value;

use crate::show::{self, Markup, Tone};
use crate::user;

pub use enrich::{enrichments, geo_fault, geo_file, geo_todo, is_geo_old};
pub use intake::{consumer, defect, dropped, dropped_todo, flow_version, format, listener, rejected, transport};
pub use intel::{
    failure as feed_failure, kind as indicator_kind, kind_count as indicator_count, kind_one as indicator_kind_one, reason as refusal,
};
pub use labels::{field, rsit};
pub(crate) use language::filled;
pub use language::{Language, de, language, t, tf, tn, with_language};
pub use letters::{custody, exhibit_warning, letter_defect, letter_why, letter_why_long, outbox_state};
pub use refused::refused;

pub fn level(level: Level) -> &'static str {
    match level {
        Level::Critical => t("kritisch"),
        Level::High => t("hoch"),
        Level::Medium => t("mittel"),
        Level::Low => t("niedrig"),
        Level::Informational => t("Hinweis"),
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
        State::New => t("neu"),
        State::Triaged => t("gesichtet"),
        State::InWork => t("in Bearbeitung"),
        State::Contained => t("eingedämmt"),
        State::Recovered => t("wiederhergestellt"),
        State::Closed => t("geschlossen"),
    }
}

/// Colour is for severity, TLP and action; a state's badge is quiet, and only what is done is green.
pub fn state_badge(of: State) -> Markup {
    let tone = if matches!(of, State::Contained | State::Recovered | State::Closed) { Tone::Good } else { Tone::Quiet };
    show::badge(tone, state(of))
}

/// As `state_badge`, for a case that may have been merged: it is closed, and yet goes on elsewhere.
pub fn case_badge(of: &Incident) -> Markup {
    if of.merged_into.is_some() { show::badge(Tone::Quiet, t("zusammengeführt")) } else { state_badge(of.state) }
}

pub fn alert_state(state: AlertState) -> &'static str {
    match state {
        AlertState::New => t("neu"),
        AlertState::Acknowledged => t("bestätigt"),
        AlertState::Closed => t("geschlossen"),
    }
}

pub fn disposition(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::TruePositive => t("zutreffend"),
        Disposition::Benign => t("zutreffend, aber erlaubt"),
        Disposition::FalsePositive => t("Fehlalarm"),
    }
}

pub fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Rule => t("eigene Erkennung"),
        Origin::Phone => t("Telefon"),
        Origin::Mail => t("E-Mail"),
        Origin::SelfReport => t("Meldung der Stelle"),
    }
}

pub fn recommendation(state: RecommendationState) -> &'static str {
    match state {
        RecommendationState::Draft => t("vorbereitet"),
        RecommendationState::Sent => t("gesendet"),
        RecommendationState::Seen => t("gelesen"),
        RecommendationState::InWork => t("in Arbeit"),
        RecommendationState::Done => t("erledigt"),
        RecommendationState::Declined => t("abgelehnt"),
    }
}

pub fn recommendation_badge(of: RecommendationState) -> Markup {
    let tone = match of {
        RecommendationState::Draft => Tone::Quiet,
        RecommendationState::Sent | RecommendationState::Seen | RecommendationState::InWork => Tone::Low,
        RecommendationState::Done => Tone::Good,
        RecommendationState::Declined => Tone::High,
    };
    show::badge(tone, recommendation(of))
}

pub fn step(state: StepState) -> &'static str {
    match state {
        StepState::Open => t("offen"),
        StepState::InWork => t("in Arbeit"),
        StepState::Done => t("erledigt"),
        StepState::Declined => t("abgelehnt"),
    }
}

pub fn tlp_badge(tlp: Tlp) -> Markup {
    show::tlp(tlp.as_str())
}

/// Why a line of a report was not taken.
pub fn report_fault(why: Why) -> &'static str {
    match why {
        Why::Missing => t("Angabe fehlt"),
        Why::NotATime => t("keine Zeit"),
        Why::Future => t("liegt in der Zukunft"),
        Why::NotAnAddress => t("keine Adresse"),
        Why::UnknownClass => t("keine Klasse der RSIT und keine, die wir übersetzen können"),
        Why::OpenQuote => t("Anführungszeichen ohne Ende"),
        Why::TooLong => t("zu lang oder zu viele Spalten"),
        Why::Malformed => t("in sich nicht stimmig"),
        Why::TooMany => t("zu viele Zeilen; teilen Sie die Datei"),
    }
}

/// With whom what carries a label may be shared (FIRST, TLP 2.0), for the one who is about to do it.
pub fn tlp_rule(tlp: Tlp) -> &'static str {
    match tlp {
        Tlp::Clear => t("darf an alle gehen und veröffentlicht werden."),
        Tlp::Green => t("darf an Partner in Verwaltung und Sicherheitsgemeinschaft gehen, aber nicht veröffentlicht werden."),
        Tlp::Amber => {
            t("darf an die betroffene Stelle und ihre Dienstleister gehen, soweit sie es zum Handeln brauchen, sonst an niemanden.")
        }
        Tlp::AmberStrict => t("darf nur innerhalb der betroffenen Stelle weitergehen, nicht an ihre Dienstleister."),
        Tlp::Red => t("ist nur für die Personen, denen es ausdrücklich gegeben wird."),
    }
}

/// What an entity's key says (`ip:192.0.2.1`): its field and its value.
pub fn entity(key: &str) -> (&'static str, &str) {
    match key.split_once(':') {
        Some(("ip", value)) => ("source.ip", value),
        Some(("host", value)) => ("host.name", value),
        Some(("user", value)) => ("user.name", value),
        Some(("indicator", value)) => (field_of_indicator(value), value),
        _ => ("", t("Standort")),
    }
}

/// Where stored events have what a list or a filter knows: a hash, a sender, an address, else a name.
fn field_of_indicator(value: &str) -> &'static str {
    let is_hash = value.bytes().all(|byte| byte.is_ascii_hexdigit());
    match value.len() {
        64 if is_hash => "file.hash.sha256",
        40 if is_hash => "file.hash.sha1",
        32 if is_hash => "file.hash.md5",
        _ if value.contains('@') => "email.from.address",
        _ if value.parse::<std::net::IpAddr>().is_ok() => "destination.ip",
        _ => "dns.question.name",
    }
}

/// Whose an alert is: the body's, else the site's, else the whole state's.
pub fn whose(alert: &Alert) -> String {
    let named = alert.body_name.clone().or_else(|| alert.site_name.clone());
    named.unwrap_or_else(|| if alert.site == SITE_STATE { t("landesweit").into() } else { String::new() })
}

/// Who did something: names of accounts by their id, of contacts by `contact:` and theirs.
#[derive(Debug, Default)]
pub struct Names(HashMap<String, String>);

impl Names {
    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Self, DbError> {
        let users = user::user_list(connection)?.into_iter().map(|user| (user.id.to_string(), user.name));
        let contacts = contact_names(connection)?.into_iter().map(|(id, name)| (format!("contact:{id}"), name));
        Ok(Self(users.chain(contacts).collect()))
    }

    /// An actor as people read it; a rule and the program are no persons.
    pub fn of(&self, actor: &str) -> String {
        match (actor, self.0.get(actor)) {
            (_, Some(name)) => name.clone(),
            ("" | "system", None) => "Wartburg".into(),
            (actor, None) if actor.starts_with("rule:") => t("Regel").into(),
            (actor, None) if actor.starts_with("contact:") => t("Ansprechperson der Stelle").into(),
            _ => t("früheres Konto").into(),
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

/// A history event in the reader's words. A kind that this catalogue lacks keeps its own name: better odd than lost.
pub fn told(event: &HistoryEvent, names: &Names) -> Told {
    let text = |key: &str| word(event, key);
    let plain = |what: &str, strong: bool| Told { what: what.into(), detail: text("reason").into(), strong };
    let change = |what: &str, word: &dyn Fn(&str) -> String| Told {
        what: what.into(),
        detail: format!("{} → {}", word(text("from")), word(text("to"))),
        strong: false,
    };
    // What a contact said by the link in a mail was said without a login, and the reader has to know that.
    let answer = |what: &str, strong: bool| {
        let by_link = (text("via") == "link").then(|| t("über den Link in der Mail"));
        let detail: Vec<&str> = by_link.into_iter().chain([text("reason")]).filter(|part| !part.is_empty()).collect();
        Told { what: what.into(), detail: detail.join(": "), strong }
    };
    match event.kind.as_str() {
        "incident.first_activity" => plain(t("Erste Anzeichen"), false),
        "incident.aware" => plain(t("Bemerkt"), false),
        "incident.opened" => plain(t("Vorfall eröffnet"), true),
        "incident.alert_joined" => plain(t("Weiterer Alarm zugeordnet"), false),
        "incident.triaged" => plain(t("Gesichtet"), false),
        "incident.in_work" => plain(t("In Bearbeitung"), false),
        "incident.contained" => plain(t("Eingedämmt"), true),
        "incident.recovered" => plain(t("Wiederhergestellt"), true),
        "incident.closed" => Told {
            what: t("Geschlossen").into(),
            detail: Disposition::parse(text("disposition")).map(disposition).unwrap_or_default().into(),
            strong: true,
        },
        "incident.reopened" => plain(t("Wieder geöffnet"), true),
        "incident.assigned" if text("to").is_empty() => plain(t("Bearbeitung abgegeben"), false),
        "incident.assigned" => {
            Told { what: tf("Bearbeitung: {name}", &[("name", &names.of(text("to")))]), detail: String::new(), strong: false }
        }
        "incident.severity" => {
            change(t("Schwere geändert"), &|word| Level::parse(word).map_or_else(|| word.to_owned(), |is| level(is).to_owned()))
        }
        "incident.classified" => change(t("Einordnung geändert"), &|word| word.parse().map_or_else(|_| word.to_owned(), rsit)),
        "incident.labelled" => change(t("Weitergabe geändert"), &|word| format!("TLP:{word}")),
        "incident.services" => {
            let names = |key: &str| {
                let keys = event.data.get(key).and_then(Value::as_array).into_iter().flatten();
                let names: Vec<&str> = keys.filter_map(|key| service_name(key.as_str()?)).collect();
                if names.is_empty() { t("keine").to_owned() } else { names.join(", ") }
            };
            Told {
                what: t("Betroffene Basisdienste geändert").into(),
                detail: format!("{} → {}", names("from"), names("to")),
                strong: false,
            }
        }
        "incident.titled" => change(t("Titel geändert"), &|word| tf("„{title}“", &[("title", &word)])),
        "incident.summarised" => plain(t("Zusammenfassung geschrieben"), false),
        "incident.noted" => plain(t("Notiz"), false),
        "incident.merged" => case_told(t("Zusammengeführt"), event, true),
        "incident.took_in" => case_told(t("Anderen Vorfall aufgenommen"), event, true),
        "incident.split" => case_told(t("Alarme abgegeben"), event, true),
        "incident.split_from" => case_told(t("Aus einem anderen Vorfall herausgelöst"), event, true),
        "incident.linked" => case_told(t("Mit einem anderen Vorfall verbunden"), event, false),
        "incident.unlinked" => case_told(t("Verbindung gelöst"), event, false),
        "timeline.added" => Told { what: t("In die Zeitleiste eingetragen").into(), detail: text("text").into(), strong: false },
        "timeline.struck" => Told { what: t("Aus der Zeitleiste gestrichen").into(), detail: text("text").into(), strong: false },
        "task.added" => task_told(t("Aufgabe angelegt"), event),
        "task.changed" => task_told(t("Aufgabe geändert"), event),
        "task.done" => task_told(t("Aufgabe erledigt"), event),
        "task.reopened" => task_told(t("Aufgabe wieder offen"), event),
        "task.moved" => task_told(t("Aufgabe mitgenommen"), event),
        "duty.asked" => duty_told(t("Meldepflicht zu prüfen"), text("basis"), ""),
        "duty.due" => duty_told(t("Meldepflicht gilt"), text("basis"), ""),
        "duty.filled" => duty_told(t("Formular einer Meldepflicht ausgefüllt"), text("basis"), ""),
        "duty.sent" => Told { strong: true, ..duty_told(t("Gemeldet"), text("basis"), text("channel")) },
        "duty.received" => duty_told(t("Eingang der Meldung bestätigt"), text("basis"), text("reference")),
        "duty.waived" => duty_told(t("Meldepflicht gilt nicht"), text("basis"), text("reason")),
        "duty.withdrawn" => duty_told(t("Meldepflicht zurückgenommen"), text("basis"), ""),
        "duty.reopened" => duty_told(t("Meldepflicht wieder offen"), text("basis"), ""),
        "duty.reminded" => duty_told(t("An die Meldefrist erinnert"), text("basis"), ""),
        "duty.breached" => Told { strong: true, ..duty_told(t("Meldefrist abgelaufen"), text("basis"), "") },
        "incident.body_joined" => {
            Told { what: tf("Weitere Stelle betroffen: {name}", &[("name", &text("name"))]), detail: String::new(), strong: true }
        }
        "warning.suggested" => plain(t("Warnung vorgeschlagen"), false),
        "warning.drafted" => plain(t("Entwurf einer Warnung angelegt"), true),
        "warning.declined" => plain(t("Vorschlag einer Warnung abgelehnt"), true),
        "exhibit.added" => Told { what: t("Beweismittel hinzugefügt").into(), detail: text("name").into(), strong: false },
        "exhibit.released" => Told { what: t("Beweismittel freigegeben").into(), detail: text("name").into(), strong: false },
        "exhibit.downloaded" => Told { what: t("Beweismittel herausgegeben").into(), detail: text("name").into(), strong: false },
        "report.received" => plain(t("Meldung der Stelle eingegangen"), true),
        "report.delivered" => plain(t("Eingangsbestätigung zugestellt"), false),
        "report.bounced" => plain(t("Eingangsbestätigung nicht zustellbar"), true),
        "letter.received" => plain(t("Mail eingegangen"), true),
        "letter.filed" => plain(t("Mail zugeordnet"), false),
        "letter.sent" => plain(t("Schreiben verschickt"), true),
        "letter.delivered" => plain(t("Mail zugestellt"), false),
        "letter.bounced" => plain(t("Mail nicht zustellbar"), true),
        "recommendation.drafted" => plain(t("Empfehlung vorbereitet"), false),
        "recommendation.edited" => plain(t("Empfehlung geändert"), false),
        "recommendation.sent" => plain(t("Empfehlung gesendet"), true),
        "recommendation.ack" => answer(t("Empfehlung gelesen"), false),
        "recommendation.step" => {
            let number = event.data.get("step").and_then(Value::as_u64).unwrap_or(0) + 1;
            let to = StepState::parse(text("to")).map_or_else(|| text("to").to_owned(), |state| step(state).to_owned());
            answer(&tf("Schritt {number}: {state}", &[("number", &number), ("state", &to)]), false)
        }
        "recommendation.in_work" => answer(t("Empfehlung in Arbeit"), false),
        "recommendation.done" => answer(t("Empfehlung umgesetzt"), true),
        "recommendation.declined" => answer(t("Empfehlung abgelehnt"), true),
        "recommendation.reminded" => plain(t("An die Empfehlung erinnert"), false),
        "recommendation.escalated" => plain(t("Vertretung und Dienstleister erinnert"), true),
        "recommendation.overdue" => plain(t("Empfehlung überfällig"), true),
        "reminder.delivered" => plain(t("Erinnerung zugestellt"), false),
        "reminder.bounced" => plain(t("Erinnerung nicht zustellbar"), true),
        "recommendation.delivered" => plain(t("Mail zugestellt"), false),
        "recommendation.bounced" => plain(t("Mail nicht zustellbar"), true),
        "advisory.drafted" => plain(t("Entwurf angelegt"), false),
        "advisory.revised" => plain(t("Neue Fassung begonnen"), false),
        "advisory.updated" => plain(t("Neue Fassung veröffentlicht"), true),
        "advisory.source_published" => plain(t("Quelle veröffentlicht"), false),
        "advisory.sent" => plain(t("An eine Stelle gerichtet"), false),
        "advisory.delivered" => plain(t("Mail zugestellt"), false),
        "advisory.bounced" => plain(t("Mail nicht zustellbar"), true),
        "advisory.ack" => plain(t("Zur Kenntnis genommen"), false),
        "advisory.not_affected" => plain(t("Nicht betroffen"), false),
        "advisory.remediated" => plain(t("Behoben"), false),
        "advisory.submitted" => plain(t("Zur Prüfung gegeben"), false),
        "advisory.returned" => plain(t("Zurück an den Entwurf"), false),
        "advisory.approved" => plain(t("Freigegeben"), true),
        "advisory.published" => plain(t("Veröffentlicht"), true),
        "advisory.withdrawn" => plain(t("Zurückgezogen"), true),
        other => plain(other, false),
    }
}

/// Whether an event names another case.
pub fn names_case(event: &HistoryEvent) -> bool {
    matches!(event.kind.as_str(), "incident.merged" | "incident.took_in" | "incident.split" | "incident.split_from" | "incident.linked")
}

fn case_told(what: &str, event: &HistoryEvent, strong: bool) -> Told {
    let (number, reason) = (word(event, "number"), word(event, "reason"));
    let alerts = event.data.get("alerts").and_then(Value::as_u64).map(|n| tn("ein Alarm", "{n} Alarme", n));
    let more: Vec<&str> = [alerts.as_deref().unwrap_or_default(), reason].into_iter().filter(|text| !text.is_empty()).collect();
    let detail = if more.is_empty() { number.to_owned() } else { format!("{number}: {}", more.join(", ")) };
    Told { what: what.into(), detail, strong }
}

fn task_told(what: &str, event: &HistoryEvent) -> Told {
    Told { what: what.into(), detail: word(event, "title").into(), strong: false }
}

/// For whom somebody else was faster: what that one did, so that nothing is overwritten unseen.
pub fn since(events: &[HistoryEvent]) -> String {
    /// More changes between opening and sending a form were never seen.
    const SHOWN: usize = 5;
    let names = Names::default();
    let line = |event: &HistoryEvent| {
        let told = told(event, &names);
        match event.kind.as_str() {
            // Of whom to whom stands on the page; here the catalogue knows no names.
            "incident.assigned" => t("Bearbeitung geändert").to_owned(),
            _ if told.detail.is_empty() => told.what,
            _ => format!("{} ({})", told.what, told.detail),
        }
    };
    let done: Vec<String> = events.iter().take(SHOWN).map(line).collect();
    let asked = t(
        "Jemand war schneller: Es hat sich etwas geändert, seit Sie die Seite geöffnet haben. Öffnen Sie sie neu und prüfen Sie, ob Ihre Änderung noch nötig ist.",
    );
    if done.is_empty() { asked.to_owned() } else { format!("{asked} {} {}.", t("Seitdem:"), done.join(", ")) }
}

fn duty_told(what: &str, basis: &str, more: &str) -> Told {
    let detail = if more.is_empty() { basis.to_owned() } else { format!("{basis}: {more}") };
    Told { what: what.into(), detail, strong: false }
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
