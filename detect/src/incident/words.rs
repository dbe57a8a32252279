//! A case in German, made of its facts: title, "Was geschah", and why an alert stands where it stands. Pure.
//! Values come from hostile lines: they are cut and stripped of what could disguise text, never interpreted.

use chrono_tz::Europe::Berlin;
use ingest::body::{SITE_STATE, SiteId};
use ingest::time::Timestamp;

use super::Incident;
use super::change::TITLE_CHARS_MAX;
use crate::alert::{Alert, Observables};

/// Values that a sentence names; the rest is counted.
const NAMED_MAX: usize = 3;

/// Text of several lines without control and direction characters, trimmed, at most `chars_max` characters.
pub(crate) fn text_clean(text: &str, chars_max: usize) -> String {
    let kept: String = text.chars().filter(|c| *c == '\n' || !disguises(*c)).take(chars_max).collect();
    kept.trim().to_owned()
}

/// As `text_clean`, on one line.
pub(crate) fn line_clean(text: &str, chars_max: usize) -> String {
    text_clean(&text.replace(['\n', '\t'], " "), chars_max)
}

/// Controls, and the characters that turn the direction of the text around them ("Trojan Source").
fn disguises(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// `SSH-Anmeldeversuche: 203.0.113.9 (Stadt Sömmerda)`
pub(crate) fn title(rule_title: &str, entity: &str, place: &str) -> String {
    let entity = entity_name(entity).map(|name| format!(": {name}")).unwrap_or_default();
    line_clean(&format!("{rule_title}{entity} ({place})"), TITLE_CHARS_MAX)
}

/// What an entity's key is about, without its kind; `None` for a site as a whole.
pub(crate) fn entity_name(key: &str) -> Option<String> {
    match key.split_once(':') {
        Some(("user", name)) => Some(format!("Konto {name}")),
        Some((_, name)) => Some(name.to_owned()),
        None => None,
    }
}

/// The body, else the site; or the whole state.
pub(crate) fn place(body_name: Option<&str>, site: Option<SiteId>, site_name: Option<&str>) -> String {
    if site == Some(SITE_STATE) {
        return "landesweit".to_owned();
    }
    body_name.map(str::to_owned).unwrap_or_else(|| format!("Standort {}", site_name.unwrap_or("unbekannt")))
}

/// Two sentences: when and how often which rules spoke at which place, and who took part.
pub(crate) fn summary(incident: &Incident, alerts: &[Alert], observables: &Observables, bodies: usize) -> String {
    let place = match incident.is_state_wide() {
        true => format!("{bodies} Stellen"),
        false => place(incident.body_name.as_deref(), incident.site, incident.site_name.as_deref()),
    };
    if alerts.is_empty() {
        return line_clean(&format!("Gemeldet am {} für: {place}.", moment(incident.detected_at)), 1_000);
    }
    let mut rules: Vec<&str> = Vec::new();
    for alert in alerts.iter().rev() {
        if !rules.contains(&alert.title.as_str()) {
            rules.push(&alert.title);
        }
    }
    let quoted: Vec<String> = rules.iter().map(|rule| format!("„{rule}“")).collect();
    let span = span(incident.first_activity, incident.last_activity);
    let events = if incident.events == 1 { "1 Ereignis auf".to_owned() } else { format!("{} Ereignisse auf", incident.events) };
    let rules = if quoted.len() == 1 { "Regel" } else { "Regeln" };
    let involved: Vec<String> = [
        ("Adresse", "Adressen", &["source.ip", "destination.ip", "host.ip"][..]),
        ("Host", "Hosts", &["host.name"][..]),
        ("Konto", "Konten", &["user.name", "user.target.name"][..]),
        ("Indikator", "Indikatoren", &["threat.indicator.name"][..]),
    ]
    .into_iter()
    .filter_map(|(one, many, fields)| {
        let mut values: Vec<String> = Vec::new();
        for value in fields.iter().filter_map(|field| observables.get(*field)).flatten() {
            if !values.contains(value) {
                values.push(value.clone());
            }
        }
        let noun = if values.len() == 1 { one } else { many };
        (!values.is_empty()).then(|| format!("{noun} {}", enumeration(&values)))
    })
    .collect();
    let fell = if incident.events == 1 { "fiel" } else { "fielen" };
    let mut text = format!("{place}: {span} {fell} {events} ({rules} {}).", enumeration(&quoted));
    if !involved.is_empty() {
        text.push_str(&format!(" Beteiligt: {}.", involved.join("; ")));
    }
    line_clean(&text, 2_000)
}

/// Why an alert joined a case.
pub(crate) fn because_joined(key: &str, incident: &Incident) -> String {
    let what = match key.split_once(':') {
        Some(("ip", address)) => format!("gleiche Adresse {address}"),
        Some(("host", name)) => format!("gleicher Host {name}"),
        Some(("user", name)) => format!("gleiches Konto {name}"),
        Some(("indicator", value)) => format!("gleicher Indikator {value}"),
        _ => "gleicher Standort".to_owned(),
    };
    let whose = match incident.body {
        Some(_) => "derselben Stelle",
        None if incident.is_state_wide() => "des Landes",
        None => "desselben Standorts",
    };
    line_clean(&format!("{what} wie im offenen Vorfall {whose}, zuletzt aktiv am {}.", moment(incident.last_activity)), 500)
}

pub(crate) const BECAUSE_OPENED: &str = "Neuer Vorfall: Kein offener Vorfall derselben Stelle hatte in den 14 Tagen davor oder danach eine gemeinsame Adresse, einen gemeinsamen Host oder dasselbe Konto.";

pub(crate) const BECAUSE_OPENED_STATE: &str = "Neuer Vorfall des Landes: Kein offener Vorfall des Landes hatte in den 14 Tagen davor oder danach dieselbe Adresse oder denselben Indikator.";

/// `21.11.2026, 14:02 Uhr` in Thuringia.
pub(crate) fn moment(at: Timestamp) -> String {
    at.utc().with_timezone(&Berlin).format("%d.%m.%Y, %H:%M Uhr").to_string()
}

/// The calendar year in Thuringia: an incident of New Year's night belongs to the year on the wall.
pub(crate) fn year(at: Timestamp) -> i32 {
    chrono::Datelike::year(&at.utc().with_timezone(&Berlin))
}

fn span(first: Timestamp, last: Timestamp) -> String {
    let (from, to) = (first.utc().with_timezone(&Berlin), last.utc().with_timezone(&Berlin));
    let (day, clock) = ("%d.%m.%Y", "%H:%M");
    if from.date_naive() != to.date_naive() {
        format!("Vom {} bis zum {}", moment(first), moment(last))
    } else if from.format(clock).to_string() == to.format(clock).to_string() {
        format!("Am {} um {} Uhr", from.format(day), from.format(clock))
    } else {
        format!("Am {} zwischen {} und {} Uhr", from.format(day), from.format(clock), to.format(clock))
    }
}

/// `a`, `a und b`, `a, b, c und 4 weitere`
fn enumeration(values: &[String]) -> String {
    let named = values.get(..values.len().min(NAMED_MAX)).unwrap_or_default();
    let more = values.len() - named.len();
    match named.split_last() {
        _ if more > 0 => format!("{} und {more} weitere", named.join(", ")),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} und {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_three_and_count_the_rest() {
        let check = |values: &[&str], expected: &str| {
            assert_eq!(enumeration(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>()), expected);
        };
        check(&[], "");
        check(&["a"], "a");
        check(&["a", "b"], "a und b");
        check(&["a", "b", "c"], "a, b und c");
        check(&["a", "b", "c", "d", "e"], "a, b, c und 2 weitere");
    }

    #[test]
    fn text_from_lines_cannot_disguise_itself() {
        assert_eq!(line_clean("a\u{202E}b\u{7}c\nd ", 10), "abc d");
        assert_eq!(text_clean("a\nb\u{2066}c", 3), "a\nb");
        assert_eq!(title("Regel", "user:root", "Stadt A"), "Regel: Konto root (Stadt A)");
        assert_eq!(title("Regel", "site", "Stadt A"), "Regel (Stadt A)");
        assert_eq!(title("Regel", "ip:2001:db8::1", "Stadt A"), "Regel: 2001:db8::1 (Stadt A)");
    }

    #[test]
    fn new_years_night_is_the_year_on_the_wall() {
        let at = |text| Timestamp::parse_rfc3339(text).unwrap();
        assert_eq!(year(at("2026-12-31T22:59:59Z")), 2026);
        assert_eq!(year(at("2026-12-31T23:00:00Z")), 2027);
        assert_eq!(span(at("2026-12-31T22:50:00Z"), at("2026-12-31T22:50:59Z")), "Am 31.12.2026 um 23:50 Uhr");
        assert_eq!(span(at("2026-12-31T22:50:00Z"), at("2026-12-31T23:01:00Z")), "Vom 31.12.2026, 23:50 Uhr bis zum 01.01.2027, 00:01 Uhr");
    }
}
