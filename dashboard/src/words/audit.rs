//! The audit log in the reader's words: each row a sentence, with the object by the name that people know it by.

use ingest::audit::Audit;
use serde_json::Value;

use super::{Names, de, t, tf};

/// Kind and what somebody did; `{object}` is what it was done to.
const SENTENCES: &[(&str, &str)] = &[
    ("session.opened", de("hat sich angemeldet")),
    ("session.closed", de("hat sich abgemeldet")),
    ("login.failed", de("ist bei der Anmeldung gescheitert: {object}")),
    ("access.refused", de("wurde abgewiesen: {object}")),
    ("incident.seen", de("hat {object} angesehen")),
    ("incident.opened", de("hat {object} eröffnet")),
    ("incident.reported", de("hat {object} über einen Meldelink gemeldet")),
    ("report_link.issued", de("hat einen Meldelink ausgegeben")),
    ("report_link.asked", de("hat einen Meldelink angefordert")),
    ("incident.exported", de("hat {object} als Datei weitergegeben")),
    ("incident.imported", de("hat Meldungen anderer eingelesen: {object}")),
    ("incident.assigned", de("hat {object} übernommen")),
    ("incident.moved", de("hat {object} in einen anderen Stand gebracht")),
    ("incident.merged", de("hat {object} mit einem anderen Vorfall zusammengeführt")),
    ("incident.split", de("hat Alarme herausgelöst aus {object}")),
    ("incident.linked", de("hat {object} mit einem anderen Vorfall verbunden")),
    ("incident.unlinked", de("hat eine Verbindung gelöst von {object}")),
    ("incident.bulk", de("hat viele Vorfälle auf einmal bearbeitet")),
    ("alert.bulk", de("hat viele Alarme auf einmal bearbeitet")),
    ("incident.edited", de("hat Angaben geändert von {object}")),
    ("timeline.added", de("hat etwas in eine Zeitleiste eingetragen: {object}")),
    ("timeline.struck", de("hat einen Eintrag einer Zeitleiste gestrichen: {object}")),
    ("task.added", de("hat eine Aufgabe angelegt")),
    ("task.changed", de("hat eine Aufgabe geändert")),
    ("incident.noted", de("hat eine Notiz geschrieben für {object}")),
    ("duty.seen", de("hat eine Meldepflicht angesehen für {object}")),
    ("duty.taken", de("hat das Formular einer Meldepflicht heruntergeladen für {object}")),
    ("duty.acted", de("hat eine Meldepflicht bearbeitet für {object}")),
    ("incident.warning", de("hat über eine Warnung entschieden für {object}")),
    ("exhibit.added", de("hat ein Beweismittel hinzugefügt zu {object}")),
    ("exhibit.released", de("hat ein Beweismittel freigegeben")),
    ("exhibit.downloaded", de("hat ein Beweismittel heruntergeladen")),
    ("letter.seen", de("hat eine Mail angesehen")),
    ("letter.sent", de("hat ein Schreiben verschickt zu {object}")),
    ("letter.filed", de("hat eine Mail einem Vorfall zugeordnet")),
    ("letter.opened_case", de("hat aus einer Mail einen Vorfall eröffnet")),
    ("letter.set_aside", de("hat eine Mail abgelegt")),
    ("openpgp.own_key", de("hat den eigenen OpenPGP-Schlüssel eingerichtet")),
    ("openpgp.contact_key_added", de("hat einen OpenPGP-Schlüssel hinterlegt: {object}")),
    ("openpgp.contact_key_removed", de("hat einen OpenPGP-Schlüssel entfernt: {object}")),
    ("recommendation.sent", de("hat eine Empfehlung verschickt für {object}")),
    ("recommendation.answered", de("hat eine Empfehlung beantwortet für {object}")),
    ("alert.acknowledged", de("hat {object} bestätigt")),
    ("alert.closed", de("hat {object} geschlossen")),
    ("search.asked", de("hat in den Ereignissen gesucht")),
    ("search.paged", de("hat in Treffern weitergeblättert")),
    ("search.export_ended", de("Download von Ereignissen zu Ende")),
    ("search.exported", de("hat Ereignisse als Datei heruntergeladen")),
    ("search.tailed", de("hat neue Ereignisse live mitgelesen")),
    ("saved_search.added", de("hat {object} angelegt")),
    ("saved_search.changed", de("hat {object} umbenannt oder anders geteilt")),
    ("saved_search.deleted", de("hat {object} gelöscht")),
    ("saved_search.scheduled", de("lässt {object} von selbst laufen")),
    ("saved_search.unscheduled", de("hat den Takt beendet für {object}")),
    ("saved_search.ran", de("hat im Takt gesucht: {object}")),
    ("event.seen", de("hat {object} angesehen")),
    ("events.deleted", de("hat abgelaufene Ereignisse gelöscht: {object}")),
    ("events.held", de("hat Ereignisse gegen das Löschen gesperrt")),
    ("events.hold_released", de("hat eine Sperre gegen das Löschen aufgehoben")),
    ("events.forget_asked", de("hat angeordnet, Ereignisse einer Person zu löschen")),
    ("events.forgotten", de("hat Ereignisse einer Person löschen lassen")),
    ("events.forget_refused", de("wollte Ereignisse einer Person löschen lassen; abgelehnt")),
    ("events.rebuild_asked", de("hat einen Tag des Ereignisspeichers neu aufbauen lassen: {object}")),
    ("flows.asked", de("hat in den Datenflüssen gesucht")),
    ("pseudonym.searched", de("hat mit Klarwerten nach Personen gesucht")),
    ("pseudonym.reveal_asked", de("hat beantragt, Pseudonyme aufzudecken")),
    ("pseudonym.reveal_approved", de("hat das Aufdecken genehmigt")),
    ("pseudonym.reveal_declined", de("hat das Aufdecken abgelehnt")),
    ("pseudonym.reveal_shown", de("hat aufgedeckte Klarwerte angesehen")),
    ("pseudonym.plan_changed", de("hat die Pseudonymisierung geändert")),
    ("pseudonym.key_rotated", de("hat den Schlüssel der Pseudonyme gewechselt")),
    ("pseudonym.key_forgotten", de("hat einen Schlüssel der Pseudonyme vernichtet")),
    ("indicator.added", de("hat Indikatoren eingetragen in die Liste {object}")),
    ("indicator.imported", de("hat eine Datei mit Indikatoren eingelesen in die Liste {object}")),
    ("indicator.removed", de("hat eine Liste von Indikatoren weggenommen: {object}")),
    ("indicator.feed_hurried", de("hat einen Feed außer der Reihe abfragen lassen: {object}")),
    ("indicator.sightings_exported", de("hat Sichtungen von Indikatoren ausgegeben: {object}")),
    ("indicator.warnings_replaced", de("hat eine Warnliste ersetzt: {object}")),
    ("retro_hunt.cancelled", de("hat eine Rückschau abgebrochen")),
    ("rule.switched", de("hat {object} umgeschaltet")),
    ("rule.tuned", de("hält {object} stellenweise still")),
    ("rule.untuned", de("hat einen Filter beendet für {object}")),
    ("rule.backtested", de("hat {object} an gespeicherten Ereignissen ausprobiert")),
    ("rule.backtest_cancelled", de("hat einen Rücktest abgebrochen")),
    ("rulebook.loaded", de("hat {object} in Kraft gesetzt")),
    ("advisory.seen", de("hat {object} angesehen")),
    ("advisory.downloaded", de("hat {object} als CSAF-Dokument heruntergeladen")),
    ("advisory.drafted", de("hat {object} entworfen")),
    ("advisory.edited", de("hat {object} bearbeitet")),
    ("advisory.submitted", de("hat {object} zur Prüfung gegeben")),
    ("advisory.approved", de("hat {object} freigegeben")),
    ("advisory.returned", de("hat {object} an den Entwurf zurückgegeben")),
    ("advisory.published", de("hat {object} veröffentlicht")),
    ("advisory.revised", de("hat {object} zur Überarbeitung geholt")),
    ("advisory.withdrawn", de("hat {object} zurückgezogen")),
    ("advisory.acknowledged", de("hat {object} beantwortet")),
    ("contacts.seen", de("hat Ansprechpersonen und Abos angesehen")),
    ("subscription.added", de("hat ein Abo eingetragen")),
    ("subscription.changed", de("hat ein Abo angehalten oder fortgesetzt")),
    ("source.changed", de("hat die Einstellungen einer Quelle geändert")),
    ("kpi.downloaded", de("hat Zahlen heruntergeladen: {object}")),
    ("account.listed", de("hat die Liste der Konten angesehen")),
    ("account.seen", de("hat das Konto {object} angesehen")),
    ("user.first_invited", de("hat den Link für das erste Konto angelegt")),
    ("user.first_added", de("hat das erste Konto der Verwaltung angelegt")),
    ("user.added", de("hat das Konto {object} auf der Befehlszeile angelegt")),
    ("user.invited", de("hat {object} angelegt und eingeladen")),
    ("user.invitation_redeemed", de("hat die Einladung angenommen und ein Kennwort gesetzt")),
    ("user.changed", de("hat Rechte oder Namen geändert bei {object}")),
    ("user.disabled", de("hat {object} gesperrt")),
    ("user.enabled", de("hat die Sperre aufgehoben bei {object}")),
    ("user.reset", de("hat das Kennwort zurückgesetzt bei {object}")),
    ("user.reset_redeemed", de("hat ein neues Kennwort gesetzt")),
    ("user.sessions_ended", de("hat überall abgemeldet: {object}")),
    ("user.joined", de("kam zum ersten Mal über den Anmeldedienst")),
    ("user.regrouped", de("hat durch die Gruppen beim Anmeldedienst andere Rechte")),
    ("user.ungrouped", de("hat beim Anmeldedienst keine Gruppe mehr, die hier eine Rolle gibt")),
    ("api_token.added", de("hat einen Zugriffsschlüssel erzeugt")),
    ("api_token.revoked", de("hat einen Zugriffsschlüssel widerrufen")),
    ("provider.added", de("hat einen Dienstleister eingetragen")),
    ("mandate.granted", de("hat ein Mandat eingetragen")),
    ("mandate.ended", de("hat ein Mandat beendet")),
    ("webhook.added", de("hat einen Webhook eingetragen")),
    ("webhook.ended", de("hat einen Webhook beendet")),
    ("webhook.retried", de("hat nicht angekommene Nachrichten eines Webhooks erneut senden lassen")),
    ("audit.seen", de("hat das Protokoll angesehen")),
    ("audit.downloaded", de("hat das Protokoll heruntergeladen")),
    ("audit.root_signed", de("hat den Stand des Protokolls unterschrieben")),
];

/// Groups of kinds for the filter: beginning, or a whole kind, and label.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("session.", de("An- und Abmeldungen")),
    ("login.", de("Gescheiterte Anmeldungen")),
    ("access.", de("Abgewiesenes")),
    ("search.", de("Suchen in Ereignissen")),
    ("saved_search.", de("Gespeicherte Suchen")),
    ("event.", de("Angesehene Ereignisse")),
    ("flows.", de("Suchen in Datenflüssen")),
    ("pseudonym.", de("Pseudonyme und Aufdeckung")),
    ("incident.", de("Vorfälle")),
    ("recommendation.", de("Empfehlungen")),
    ("alert.", de("Alarme")),
    ("rule.", de("Regeln")),
    ("rulebook.", de("Regelsätze")),
    ("advisory.", de("Meldungen")),
    ("subscription.", de("Abos")),
    ("contacts.", de("Ansprechpersonen")),
    ("source.", de("Quellen")),
    ("kpi.", de("Kennzahlen")),
    ("audit.", de("Protokoll")),
    ("account.", de("Angesehene Konten")),
    ("user.", de("Konten")),
    ("api_token.", de("Zugriffsschlüssel")),
    ("provider.", de("Dienstleister")),
    ("mandate.", de("Mandate")),
    ("webhook.", de("Webhooks")),
    ("totp.", de("Zweiter Faktor")),
    ("passkey.", de("Passkeys")),
];

/// What somebody did, after his name. A kind that this catalogue lacks keeps its own name: better odd than lost.
pub(crate) fn did(row: &Audit, names: &Names) -> String {
    let object = object(&row.object, names);
    match SENTENCES.iter().find(|(kind, _)| *kind == row.kind) {
        Some((_, sentence)) => tf(sentence, &[("object", &object)]),
        None => format!("{} ({object})", row.kind),
    }
}

/// Who did it. A failed login was made by nobody knows whom, and an answer by a mail's link by its recipient.
pub(crate) fn who(row: &Audit, names: &Names) -> String {
    match row.actor.as_str() {
        "unknown" => t("Jemand").into(),
        contact if contact.starts_with("contact:") => t("Eine Ansprechperson").into(),
        actor => names.of(actor),
    }
}

/// An object by the name that people know it by.
pub(crate) fn object(object: &str, names: &Names) -> String {
    let (noun, id) = object.split_once(':').unwrap_or((object, ""));
    match (noun, id) {
        ("incident", id) => tf("den Vorfall {id}", &[("id", &id)]),
        ("alert", id) => tf("den Alarm {id}", &[("id", &id)]),
        ("advisory", "") => t("eine Meldung").into(),
        ("advisory", id) => tf("die Meldung {id}", &[("id", &id)]),
        ("user", "unknown") => t("ein Konto, das es nicht gibt").into(),
        ("user", id) => tf("„{name}“", &[("name", &names.of(id))]),
        ("event", id) => tf("das Ereignis {id}", &[("id", &id)]),
        ("saved_search", id) => tf("die gespeicherte Suche {id}", &[("id", &id)]),
        ("rule", "") => t("eine Regel").into(),
        ("rule", id) => tf("die Regel {id}", &[("id", &id)]),
        ("rulebook", id) => tf("Regelsatz {id}", &[("id", &id)]),
        ("kpi", id) => tf("Kennzahl {id}", &[("id", &id)]),
        ("route", id) => id.to_owned(),
        ("", _) => t("nichts").into(),
        (noun, "") => noun.to_owned(),
        (noun, id) => format!("{noun} {id}"),
    }
}

/// The details as pairs, in the reader's words where they have a name.
pub(crate) fn details(row: &Audit) -> Vec<(String, String)> {
    let label = |name: &str| {
        match name {
            "query" => t("Anfrage"),
            "from" => t("Von"),
            "to" => t("Bis"),
            "hits" => t("Treffer"),
            "count" => t("Anzahl"),
            "addresses" => t("Adressen"),
            "more_addresses" => t("Weitere Adressen"),
            "why" => t("Warum"),
            "path" => t("Pfad"),
            "before" => t("Vorher"),
            "after" => t("Nachher"),
            "role" => t("Rolle"),
            "provider" => t("Dienstleister"),
            "grants" => t("Rechte"),
            "sessions" => t("Sitzungen"),
            "api_token" => t("Zugriffsschlüssel"),
            "api_tokens" => t("Zugriffsschlüssel"),
            "reason" => t("Begründung"),
            "incident" => t("Vorfall"),
            "objects" => t("Pseudonyme"),
            "until" => t("Sichtbar bis"),
            "nach" => t("Neuer Stand"),
            "ergebnis" => t("Ergebnis"),
            "empfehlung" => t("Empfehlung"),
            "wort" | "antwort" => t("Antwort"),
            "schritt" => t("Schritt"),
            "stelle" | "body" => t("Stelle"),
            "schwere" => t("Ab Schwere"),
            "art" => t("Art"),
            "erwartet" => t("Erwartet"),
            "zone" => t("Zeitzone"),
            "jahr" => t("Jahr"),
            "period" => t("Zeitraum"),
            "format" => t("Form"),
            "tlp" => t("Einstufung"),
            "hidden" => t("Verborgene Angaben"),
            "red_left_out" => t("Ausgelassen (TLP:RED)"),
            "n" => t("Zeile"),
            "hash" => t("Prüfsumme"),
            "key" => t("Schlüssel"),
            "signature" => t("Unterschrift"),
            "at" => t("Zeitpunkt"),
            "name" => t("Name"),
            "roles" => t("Rollen"),
            "every_minutes" => t("Takt in Minuten"),
            "count_min" => t("Ab Anzahl"),
            "field" => t("Feld"),
            "stand" => t("Neuer Stand"),
            "grund" => t("Begründung"),
            "an" => t("An"),
            "weg" => t("Weg"),
            "fields" => t("Felder"),
            "tage" => t("Tage"),
            "regel" => t("Regel"),
            "rules" => t("Regeln"),
            "refused" => t("Abgelehnt"),
            "level" => t("Schwere"),
            "cool_down_minutes" => t("Ruhe in Minuten"),
            other => other,
        }
        .to_owned()
    };
    let text = |value: &Value| match value {
        Value::String(text) => match text.as_str() {
            "role" => t("die Rolle reicht nicht").to_owned(),
            "form" => t("das Formular war ungültig oder fremd").to_owned(),
            "missing" => t("das gibt es nicht, oder es gehört anderen").to_owned(),
            text => text.to_owned(),
        },
        Value::Bool(truth) => if *truth { t("ja") } else { t("nein") }.to_owned(),
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
