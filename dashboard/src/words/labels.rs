//! The labels that the other stages' tables hold themselves, in German: the classes of incidents, the fields of events,
//! the words of the warning service. A page shows them through `t`; here they are marked for the catalogue.

use detect::rsit::{CATEGORIES, Rsit};
use ingest::fields::FieldId;

use super::{de, t, tf};

/// `Einbruchsversuche: Anmeldeversuche`
pub fn rsit(class: Rsit) -> String {
    let Some(category) = CATEGORIES.iter().find(|category| category.name == class.category()) else { return String::new() };
    let text = class.to_string();
    match category.types.iter().find(|(name, _)| text.strip_prefix(category.name).and_then(|rest| rest.strip_prefix('/')) == Some(*name)) {
        Some((_, kind)) => tf("{category}: {kind}", &[("category", &t(category.label)), ("kind", &t(kind))]),
        None => t(category.label).to_owned(),
    }
}

/// A field's label, or its name where it has none.
pub fn field(field: FieldId) -> &'static str {
    let label = field.label();
    t(AMBIGUOUS.iter().find(|(known, _)| *known == label).map_or(label, |(_, marked)| marked))
}

/// What means something else where the pages use the same word.
const AMBIGUOUS: [(&str, &str); 2] = [("Meldung", de("Zeile|Meldung")), ("Protokoll", de("Netz|Protokoll"))];

#[cfg(test)]
const RSIT: &[&str] = &[
    de("Missbräuchliche Inhalte"),
    de("Schadprogramme"),
    de("Ausspähen"),
    de("Einbruchsversuche"),
    de("Einbrüche"),
    de("Verfügbarkeit"),
    de("Sicherheit von Inhalten"),
    de("Betrug"),
    de("Schwachstellen"),
    de("Sonstiges"),
    de("Test"),
    de("Spam"),
    de("Schädigende Äußerungen"),
    de("Gewaltdarstellung"),
    de("Infiziertes System"),
    de("Steuerungsserver"),
    de("Verbreitung von Schadprogrammen"),
    de("Konfiguration von Schadprogrammen"),
    de("Scannen"),
    de("Mitlesen"),
    de("Social Engineering"),
    de("Ausnutzen bekannter Schwachstellen"),
    de("Anmeldeversuche"),
    de("Ausnutzen unbekannter Schwachstellen"),
    de("Administratorkonto übernommen"),
    de("Benutzerkonto übernommen"),
    de("Anwendung übernommen"),
    de("System übernommen"),
    de("Einbruch vor Ort"),
    de("Überlastungsangriff"),
    de("Verteilter Überlastungsangriff"),
    de("Fehlkonfiguration"),
    de("Sabotage"),
    de("Ausfall"),
    de("Unbefugter Zugriff auf Daten"),
    de("Unbefugte Änderung von Daten"),
    de("Datenverlust"),
    de("Datenabfluss"),
    de("Unbefugte Nutzung"),
    de("Urheberrecht"),
    de("Vorgetäuschte Identität"),
    de("Phishing"),
    de("Schwache Verschlüsselung"),
    de("Als Verstärker nutzbarer Dienst"),
    de("Ungewollt erreichbarer Dienst"),
    de("Preisgabe von Informationen"),
    de("Verwundbares System"),
    de("Nicht zugeordnet"),
    de("Noch unklar"),
];

#[cfg(test)]
const FIELDS: &[&str] = &[
    de("Standort"),
    de("Gemeldet von"),
    de("Host"),
    de("Hostadresse"),
    de("Client"),
    de("Server"),
    de("Dienstport"),
    de("Quelladresse (übersetzt)"),
    de("Quellport (übersetzt)"),
    de("Zieladresse (übersetzt)"),
    de("Zielport (übersetzt)"),
    de("Adressart"),
    de("Protokollnummer"),
    de("VLAN"),
    de("VLAN am Ausgang"),
    de("Eingang (Nummer)"),
    de("Ausgang (Nummer)"),
    de("Bytes (hochgerechnet)"),
    de("Pakete (hochgerechnet)"),
    de("Stichprobe, 1 von"),
    de("TCP-Flags"),
    de("TOS"),
    de("Flussprotokoll"),
    de("Beobachtungsbereich"),
    de("Nächster Router"),
    de("Netzmaske (Quelle)"),
    de("Netzmaske (Ziel)"),
    de("Gesehen am"),
    de("Ende durch"),
    de("Firewall-Vorgang"),
    de("NAT-Vorgang"),
    de("Weiterleitung"),
    de("Seite der Verbindung"),
    de("MPLS-Marke"),
    de("VRF am Eingang"),
    de("VRF am Ausgang"),
    de("Kleinste TTL"),
    de("Größte TTL"),
    de("Kleinstes Paket"),
    de("Größtes Paket"),
    de("IPv6-Flussmarke"),
    de("Flussnummer"),
    de("Anwendungsnummer"),
    de("Bytes verworfen"),
    de("Pakete verworfen"),
    de("ICMP-Art"),
    de("ICMP-Code"),
    de("Pakete je Sekunde"),
    de("Bit je Sekunde"),
    de("Bytes je Paket"),
    de("Quelladresse"),
    de("Quellport"),
    de("Quell-MAC"),
    de("Bytes gesendet"),
    de("Pakete gesendet"),
    de("Quellname"),
    de("Konto (Quelle)"),
    de("Land (Quelle)"),
    de("Zieladresse"),
    de("Zielport"),
    de("Ziel-MAC"),
    de("Bytes empfangen"),
    de("Pakete empfangen"),
    de("Zielname"),
    de("Land (Ziel)"),
    de("Konto"),
    de("Kontokennung"),
    de("Zielkonto"),
    de("Wirksames Konto"),
    de("Gruppe"),
    de("Gruppenkennung"),
    de("Vorgang"),
    de("Kategorie"),
    de("Art"),
    de("Ergebnis"),
    de("Ereigniscode"),
    de("Ereignisklasse"),
    de("Produkt"),
    de("Datensatz"),
    de("Grund"),
    de("Schwere (Gerät)"),
    de("Dauer (ns)"),
    de("Zeit im Kopf"),
    de("Regel (Gerät)"),
    de("Regelnummer (Gerät)"),
    de("Prozess"),
    de("Prozessnummer"),
    de("Befehl"),
    de("Stufe"),
    de("Syslog-Bereich"),
    de("Syslog-Nachrichtenart"),
    de("Transport"),
    de("Bytes"),
    de("Pakete"),
    de("Richtung"),
    de("Anwendung"),
    de("Gerät"),
    de("Seriennummer"),
    de("Hersteller"),
    de("Produktname"),
    de("Eingang"),
    de("Ausgang"),
    de("URL"),
    de("Domäne"),
    de("Anforderung"),
    de("Anfrageteil"),
    de("Pfad"),
    de("HTTP-Methode"),
    de("HTTP-Status"),
    de("HTTP-Version"),
    de("Verweis von"),
    de("Bytes der Antwort"),
    de("Browserkennung"),
    de("Datei"),
    de("SHA-256"),
    de("DNS-Art"),
    de("DNS-Name"),
    de("Absender"),
    de("Empfänger"),
    de("Nachrichtenkennung"),
    de("Programmdatei"),
    de("Aufrufende Programmdatei"),
    de("Aufrufende Prozessnummer"),
    de("Indikator"),
    de("Indikatorliste"),
    de("Merkmale"),
    de("Community-ID"),
    de("Länderkürzel (Quelle)"),
    de("AS-Nummer (Quelle)"),
    de("Netzbetreiber (Quelle)"),
    de("Länderkürzel (Ziel)"),
    de("AS-Nummer (Ziel)"),
    de("Netzbetreiber (Ziel)"),
    de("Browser oder Programm"),
    de("Betriebssystem (Browserkennung)"),
    de("Art der Browserkennung"),
    de("Domäne des Kontos"),
    de("Domäne des Zielkontos"),
    de("Kennung des Zielkontos"),
    de("Domäne des wirksamen Kontos"),
    de("Kennung des wirksamen Kontos"),
    de("Domäne der Gruppe"),
    de("Prozesskennung"),
    de("Arbeitsverzeichnis"),
    de("MD5 (Prozess)"),
    de("SHA-1 (Prozess)"),
    de("SHA-256 (Prozess)"),
    de("Importhash (Prozess)"),
    de("Aufrufender Prozess"),
    de("Befehl des Aufrufers"),
    de("Prozesskennung des Aufrufers"),
    de("Dateiname"),
    de("MD5"),
    de("SHA-1"),
    de("Importhash"),
    de("Registrierungspfad"),
    de("Registrierungsstruktur"),
    de("Registrierungsschlüssel"),
    de("Registrierungswert"),
    de("Registrierungsdaten"),
    de("Dienst"),
    de("Aufgelöste Adresse"),
    de("DNS-Antwort"),
    de("Bytes der Anfrage"),
    de("Weitergeleitete Adresse"),
    de("Betreff"),
    de("TLS-Version"),
    de("TLS-Verfahren"),
    de("JA3 (Client)"),
    de("JA3 (Server)"),
];

#[cfg(test)]
const ADVISORIES: &[&str] = &[
    de("Sicherheitswarnung"),
    de("Sicherheitshinweis"),
    de("Sicherheitsinformation"),
    de("niedrig"),
    de("mittel"),
    de("hoch"),
    de("kritisch"),
    de("1 (grau)"),
    de("2 (gelb)"),
    de("3 (orange)"),
    de("4 (rot)"),
    de("Entwurf"),
    de("In Prüfung"),
    de("Freigegeben"),
    de("Veröffentlicht"),
    de("Zurückgezogen"),
    de("Gelesen"),
    de("Betroffen"),
    de("Nicht betroffen"),
    de("Behoben"),
    de("Aktualisierung des Herstellers"),
    de("Schutzmaßnahme"),
    de("Fehler"),
    de("Warnung"),
    de("Hinweis"),
    de("Wartet"),
    de("Wird gesendet"),
    de("Gesendet"),
    de("Nicht zustellbar"),
    de("Zurückgekommen"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use advisory::acknowledgement::Answer;
    use advisory::advisory::{Kind, MeasureKind, Severity, State, ThreatLevel};
    use advisory::gate::FindingSeverity;
    use advisory::outbox::OutboxState;

    use super::*;
    use crate::words::{Language, with_language};

    fn missing(marked: &[&'static str], shown: impl IntoIterator<Item = &'static str>) -> (BTreeSet<&'static str>, BTreeSet<&'static str>) {
        let (marked, shown): (BTreeSet<_>, BTreeSet<_>) = (marked.iter().copied().collect(), shown.into_iter().collect());
        (shown.difference(&marked).copied().collect(), marked.difference(&shown).copied().collect())
    }

    #[test]
    fn every_label_of_the_other_stages_is_marked() {
        let nothing = (BTreeSet::new(), BTreeSet::new());
        let classes = CATEGORIES.iter().flat_map(|category| category.types.iter().map(|(_, label)| *label).chain([category.label]));
        assert_eq!(missing(RSIT, classes), nothing);
        let fields: Vec<&str> = FIELDS.iter().copied().chain(AMBIGUOUS.map(|(label, _)| label)).collect();
        assert_eq!(missing(&fields, ingest::fields::FIELDS.iter().map(|field| field.label)), nothing);
        macro_rules! labels {
            ($($words:ident)*) => { [$($words::ALL.iter().map(|one| one.label()).collect::<Vec<_>>()),*].concat() };
        }
        assert_eq!(missing(ADVISORIES, labels![Kind Severity ThreatLevel State Answer MeasureKind FindingSeverity OutboxState]), nothing);
    }

    #[test]
    fn a_class_reads_as_its_own_crate_says_it() {
        let class: Rsit = "intrusion-attempts/brute-force".parse().unwrap();
        assert_eq!((rsit(class), class.label()), ("Einbruchsversuche: Anmeldeversuche".into(), rsit(class)));
        assert_eq!(with_language(Language::English, || rsit(class)), "Intrusion attempts: login attempts");
    }
}
