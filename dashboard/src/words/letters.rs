//! What is said of letters and exhibits.

use advisory::letter::{Defect, Why};
use advisory::outbox::OutboxState;
use detect::exhibit::Warning;

use super::t;

pub fn exhibit_warning(warning: Warning) -> &'static str {
    match warning {
        Warning::OtherType => t("Der Inhalt ist etwas anderes, als der Absender angibt."),
        Warning::Program => t("Die Datei ist ein Programm oder Skript."),
        Warning::Archive => t("Archiv: Sein Inhalt wurde nicht ausgepackt und nicht geprüft."),
        Warning::Encrypted => t("Der Inhalt ist verschlüsselt; kein Virenscanner hat ihn gesehen."),
    }
}

pub fn custody(what: &str) -> &'static str {
    match what {
        "added" => t("hinzugefügt"),
        "released" => t("freigegeben"),
        "downloaded" => t("heruntergeladen"),
        _ => "",
    }
}

pub fn outbox_state(state: OutboxState) -> &'static str {
    match state {
        OutboxState::Queued => t("wartet auf Versand"),
        OutboxState::Sending => t("wird gesendet"),
        OutboxState::Sent => t("gesendet"),
        OutboxState::Failed => t("nicht zustellbar"),
        OutboxState::Bounced => t("zurückgekommen"),
    }
}

pub fn letter_defect(defect: Defect) -> &'static str {
    match defect {
        Defect::Unreadable => t("Das ist keine lesbare Mail; die Rohfassung liegt bei."),
        Defect::Sender => t("Die Mail nennt keinen Absender oder mehrere."),
        Defect::LongText => t("Der Text ist gekürzt; die Rohfassung ist vollständig."),
        Defect::ManyFiles => t("Die Mail hat mehr Anhänge, als einzeln abgelegt wurden; die Rohfassung enthält alle."),
        Defect::OnlyHtml => t("Die Mail bestand nur aus HTML; hier steht ihr Text ohne Bilder und Verweise."),
        Defect::Charset => t("Einzelne Zeichen waren nicht lesbar."),
        Defect::LargeFile => t("Ein Anhang ist zu groß, um einzeln abgelegt zu werden; die Rohfassung enthält ihn."),
        Defect::NotFetched => {
            t("Die Mail konnte nicht aus dem Postfach abgeholt werden. Sie liegt dort noch und ist markiert; bitte dort ansehen.")
        }
    }
}

/// In two or three words, for a list.
pub fn letter_why(why: Why) -> &'static str {
    match why {
        Why::Answer => t("Antwort auf unsere Mail"),
        Why::Number => t("nennt den Vorfall"),
        Why::Contact => t("Meldung einer Ansprechperson"),
        Why::Forged => t("Absender nicht belegt"),
        Why::Unproved => t("Absender nicht geprüft"),
        Why::Stranger => t("Absender unbekannt"),
        Why::ForeignNumber => t("nennt einen fremden Vorfall"),
        Why::Flood => t("viele Mails in kurzer Zeit"),
        Why::Automatic => t("von einem Programm"),
        Why::Loop => t("unsere eigene Mail"),
        Why::Report => t("Zustellbericht"),
    }
}

/// As a sentence, for the letter's page.
pub fn letter_why_long(why: Why) -> &'static str {
    match why {
        Why::Answer => t("Sie antwortet auf eine Mail aus dem Vorfall."),
        Why::Number => t("Sie nennt den Vorfall im Betreff, und die Ansprechperson der Stelle hat sie nachweislich geschrieben."),
        Why::Contact => t("Eine Ansprechperson der Stelle hat sie nachweislich geschrieben; daraus wurde ein Vorfall."),
        Why::Forged => t(
            "Der eigene Mailserver fand, dass die Mail nicht von der Domäne kommt, die sie als Absender nennt. Behandeln Sie sie als Fälschung, bis Sie den Absender auf anderem Weg erreicht haben.",
        ),
        Why::Unproved => t("Die Adresse gehört einer Ansprechperson, aber niemand hat bestätigt, dass die Mail von dort kommt."),
        Why::Stranger => t(
            "Die Adresse gehört zu keiner Ansprechperson. Unbekannte eröffnen von selbst keine Vorfälle, damit Werbung und Massenmails keine Arbeit machen.",
        ),
        Why::ForeignNumber => t("Sie nennt einen Vorfall einer anderen Stelle."),
        Why::Flood => t("Dieser Absender hat in der letzten Stunde schon mehrere Vorfälle eröffnet."),
        Why::Automatic => t("Ein Programm hat sie verschickt: eine Abwesenheitsnotiz, eine Liste oder eine Massenmail."),
        Why::Loop => t("Es ist unsere eigene Mail, die zu uns zurückgelaufen ist."),
        Why::Report => t("Ein Mailserver berichtet, was aus einer Mail von uns wurde."),
    }
}
