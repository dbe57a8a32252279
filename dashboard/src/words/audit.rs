//! The audit log in German: each row a sentence, with the object by the name that people know it by.

use ingest::audit::Audit;
use serde_json::Value;

use super::Names;

/// Kind and what somebody did; `{}` is the object.
const SENTENCES: &[(&str, &str)] = &[
    ("session.opened", "hat sich angemeldet"),
    ("session.closed", "hat sich abgemeldet"),
    ("login.failed", "ist bei der Anmeldung gescheitert: {}"),
    ("access.refused", "wurde abgewiesen: {}"),
    ("incident.seen", "hat {} angesehen"),
    ("incident.assigned", "hat {} übernommen"),
    ("incident.moved", "hat {} in einen anderen Stand gebracht"),
    ("incident.noted", "hat eine Notiz geschrieben für {}"),
    ("recommendation.sent", "hat eine Empfehlung verschickt für {}"),
    ("recommendation.answered", "hat eine Empfehlung beantwortet für {}"),
    ("alert.acknowledged", "hat {} bestätigt"),
    ("search.asked", "hat in den Ereignissen gesucht"),
    ("event.seen", "hat {} angesehen"),
    ("flows.asked", "hat in den Datenflüssen gesucht"),
    ("pseudonym.searched", "hat mit Klarwerten nach Personen gesucht"),
    ("pseudonym.reveal_asked", "hat beantragt, Pseudonyme aufzudecken"),
    ("pseudonym.reveal_approved", "hat das Aufdecken genehmigt"),
    ("pseudonym.reveal_declined", "hat das Aufdecken abgelehnt"),
    ("pseudonym.reveal_shown", "hat aufgedeckte Klarwerte angesehen"),
    ("pseudonym.plan_changed", "hat die Pseudonymisierung geändert"),
    ("pseudonym.key_rotated", "hat den Schlüssel der Pseudonyme gewechselt"),
    ("pseudonym.key_forgotten", "hat einen Schlüssel der Pseudonyme vernichtet"),
    ("advisory.seen", "hat {} angesehen"),
    ("advisory.downloaded", "hat {} als CSAF-Dokument heruntergeladen"),
    ("advisory.drafted", "hat {} entworfen"),
    ("advisory.edited", "hat {} bearbeitet"),
    ("advisory.submitted", "hat {} zur Prüfung gegeben"),
    ("advisory.approved", "hat {} freigegeben"),
    ("advisory.returned", "hat {} an den Entwurf zurückgegeben"),
    ("advisory.published", "hat {} veröffentlicht"),
    ("advisory.revised", "hat {} zur Überarbeitung geholt"),
    ("advisory.withdrawn", "hat {} zurückgezogen"),
    ("advisory.acknowledged", "hat {} beantwortet"),
    ("contacts.seen", "hat Ansprechpersonen und Abos angesehen"),
    ("subscription.added", "hat ein Abo eingetragen"),
    ("subscription.changed", "hat ein Abo angehalten oder fortgesetzt"),
    ("source.changed", "hat die Einstellungen einer Quelle geändert"),
    ("kpi.downloaded", "hat Zahlen heruntergeladen: {}"),
    ("account.listed", "hat die Liste der Konten angesehen"),
    ("account.seen", "hat das Konto {} angesehen"),
    ("user.first_invited", "hat den Link für das erste Konto angelegt"),
    ("user.first_added", "hat das erste Konto der Verwaltung angelegt"),
    ("user.added", "hat das Konto {} auf der Befehlszeile angelegt"),
    ("user.invited", "hat {} angelegt und eingeladen"),
    ("user.invitation_redeemed", "hat die Einladung angenommen und ein Kennwort gesetzt"),
    ("user.changed", "hat Rechte oder Namen geändert bei {}"),
    ("user.disabled", "hat {} gesperrt"),
    ("user.enabled", "hat die Sperre aufgehoben bei {}"),
    ("user.reset", "hat das Kennwort zurückgesetzt bei {}"),
    ("user.reset_redeemed", "hat ein neues Kennwort gesetzt"),
    ("user.sessions_ended", "hat überall abgemeldet: {}"),
    ("user.joined", "kam zum ersten Mal über den Anmeldedienst"),
    ("user.regrouped", "hat durch die Gruppen beim Anmeldedienst andere Rechte"),
    ("user.ungrouped", "hat beim Anmeldedienst keine Gruppe mehr, die hier eine Rolle gibt"),
    ("api_token.added", "hat einen Zugriffsschlüssel erzeugt"),
    ("api_token.revoked", "hat einen Zugriffsschlüssel widerrufen"),
    ("provider.added", "hat einen Dienstleister eingetragen"),
    ("mandate.granted", "hat ein Mandat eingetragen"),
    ("mandate.ended", "hat ein Mandat beendet"),
    ("audit.seen", "hat das Protokoll angesehen"),
    ("audit.downloaded", "hat das Protokoll heruntergeladen"),
    ("audit.root_signed", "hat den Stand des Protokolls unterschrieben"),
];

/// Groups of kinds for the filter: beginning, or a whole kind, and label.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("session.", "An- und Abmeldungen"),
    ("login.", "Gescheiterte Anmeldungen"),
    ("access.", "Abgewiesenes"),
    ("search.", "Suchen in Ereignissen"),
    ("event.", "Angesehene Ereignisse"),
    ("flows.", "Suchen in Datenflüssen"),
    ("pseudonym.", "Pseudonyme und Aufdeckung"),
    ("incident.", "Vorfälle"),
    ("recommendation.", "Empfehlungen"),
    ("alert.", "Alarme"),
    ("advisory.", "Meldungen"),
    ("subscription.", "Abos"),
    ("contacts.", "Ansprechpersonen"),
    ("source.", "Quellen"),
    ("kpi.", "Kennzahlen"),
    ("audit.", "Protokoll"),
    ("account.", "Angesehene Konten"),
    ("user.", "Konten"),
    ("api_token.", "Zugriffsschlüssel"),
    ("provider.", "Dienstleister"),
    ("mandate.", "Mandate"),
    ("totp.", "Zweiter Faktor"),
    ("passkey.", "Passkeys"),
];

/// What somebody did, after his name. A kind that this catalogue lacks keeps its own name: better odd than lost.
pub(crate) fn did(row: &Audit, names: &Names) -> String {
    let object = object(&row.object, names);
    match SENTENCES.iter().find(|(kind, _)| *kind == row.kind) {
        Some((_, sentence)) => sentence.replace("{}", &object),
        None => format!("{} ({object})", row.kind),
    }
}

/// Who did it. A failed login was made by nobody knows whom, and an answer by a mail's link by its recipient.
pub(crate) fn who(row: &Audit, names: &Names) -> String {
    match row.actor.as_str() {
        "unknown" => "Jemand".into(),
        contact if contact.starts_with("contact:") => "Eine Ansprechperson".into(),
        actor => names.of(actor),
    }
}

/// An object by the name that people know it by.
pub(crate) fn object(object: &str, names: &Names) -> String {
    let (noun, id) = object.split_once(':').unwrap_or((object, ""));
    match (noun, id) {
        ("incident", id) => format!("den Vorfall {id}"),
        ("alert", id) => format!("den Alarm {id}"),
        ("advisory", "") => "eine Meldung".into(),
        ("advisory", id) => format!("die Meldung {id}"),
        ("user", "unknown") => "ein Konto, das es nicht gibt".into(),
        ("user", id) => format!("„{}“", names.of(id)),
        ("event", id) => format!("das Ereignis {id}"),
        ("kpi", id) => format!("Kennzahl {id}"),
        ("route", id) => id.to_owned(),
        ("", _) => "nichts".into(),
        (noun, "") => noun.to_owned(),
        (noun, id) => format!("{noun} {id}"),
    }
}

/// The details as pairs, in German where they have a name.
pub(crate) fn details(row: &Audit) -> Vec<(String, String)> {
    let label = |name: &str| {
        match name {
            "query" => "Anfrage",
            "from" => "Von",
            "to" => "Bis",
            "hits" => "Treffer",
            "count" => "Anzahl",
            "addresses" => "Adressen",
            "more_addresses" => "Weitere Adressen",
            "why" => "Warum",
            "path" => "Pfad",
            "before" => "Vorher",
            "after" => "Nachher",
            "role" => "Rolle",
            "provider" => "Dienstleister",
            "grants" => "Rechte",
            "sessions" => "Sitzungen",
            "api_token" => "Zugriffsschlüssel",
            "api_tokens" => "Zugriffsschlüssel",
            "reason" => "Begründung",
            "incident" => "Vorfall",
            "objects" => "Pseudonyme",
            "until" => "Sichtbar bis",
            "nach" => "Neuer Stand",
            "ergebnis" => "Ergebnis",
            "empfehlung" => "Empfehlung",
            "wort" | "antwort" => "Antwort",
            "schritt" => "Schritt",
            "stelle" | "body" => "Stelle",
            "schwere" => "Ab Schwere",
            "art" => "Art",
            "erwartet" => "Erwartet",
            "zone" => "Zeitzone",
            "jahr" => "Jahr",
            "period" => "Zeitraum",
            "n" => "Zeile",
            "hash" => "Prüfsumme",
            "key" => "Schlüssel",
            "signature" => "Unterschrift",
            "at" => "Zeitpunkt",
            other => other,
        }
        .to_owned()
    };
    let text = |value: &Value| match value {
        Value::String(text) => match text.as_str() {
            "role" => "die Rolle reicht nicht".to_owned(),
            "form" => "das Formular war ungültig oder fremd".to_owned(),
            "missing" => "das gibt es nicht, oder es gehört anderen".to_owned(),
            text => text.to_owned(),
        },
        Value::Bool(truth) => if *truth { "ja" } else { "nein" }.to_owned(),
        Value::Array(all) => {
            all.iter().map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
        }
        // What a grant was and is: only what is said.
        Value::Object(all) => {
            let said = all.iter().filter(|(_, value)| !value.is_null());
            said.map(|(name, value)| format!("{}: {}", label(name), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
                .collect::<Vec<_>>()
                .join(", ")
        }
        other => other.to_string(),
    };
    let pairs = row.detail.as_object().into_iter().flatten();
    pairs.filter(|(_, value)| !value.is_null()).map(|(name, value)| (label(name), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use ingest::time::Timestamp;
    use serde_json::json;

    use super::*;

    fn row(actor: &str, kind: &str, object: &str) -> Audit {
        Audit {
            n: 1,
            at: Timestamp(0),
            actor: actor.into(),
            kind: kind.into(),
            object: object.into(),
            detail: json!({}),
            hash: String::new(),
        }
    }

    #[test]
    fn a_row_is_a_sentence() {
        let names = Names::default();
        for (actor, kind, object, expected) in [
            ("u", "incident.seen", "incident:TC-2026-000412", "früheres Konto hat den Vorfall TC-2026-000412 angesehen"),
            ("unknown", "login.failed", "user:unknown", "Jemand ist bei der Anmeldung gescheitert: ein Konto, das es nicht gibt"),
            ("system", "audit.root_signed", "audit", "Wartburg hat den Stand des Protokolls unterschrieben"),
            ("contact:1", "advisory.acknowledged", "advisory:7", "Eine Ansprechperson hat die Meldung 7 beantwortet"),
            ("u", "moon.landed", "moon:1", "früheres Konto moon.landed (moon 1)"),
        ] {
            let row = row(actor, kind, object);
            assert_eq!(format!("{} {}", who(&row, &names), did(&row, &names)), expected);
        }
    }

    #[test]
    fn every_declared_kind_has_its_sentence() {
        use crate::web::{Note, ROUTES};
        for route in ROUTES {
            let (Note::Seen(kind, _) | Note::Taken(kind, _) | Note::Asked(kind, _) | Note::Done(kind, ..)) = route.note else { continue };
            assert!(SENTENCES.iter().any(|(known, _)| *known == kind), "{kind} has no sentence in words/audit.rs");
        }
    }
}
