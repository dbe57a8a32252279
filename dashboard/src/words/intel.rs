//! Indicators in words: what kinds there are, why an entry was not taken, and what to do about a feed that brings nothing.

use detect::intel::feed::Failure;
use detect::intel::read::Reason;

use super::{t, tn};

/// A kind's name, for several.
pub fn kind(kind: &str) -> &'static str {
    match kind {
        "address" => t("Adressen"),
        "prefix" => t("Netze"),
        "domain" => t("Namen"),
        "url" => t("URLs"),
        "md5" => "MD5",
        "sha1" => "SHA-1",
        "sha256" => "SHA-256",
        "mail" => t("E-Mail-Adressen"),
        _ => t("Sonstiges"),
    }
}

/// A kind's name, for one.
pub fn kind_one(kind: &str) -> &'static str {
    match kind {
        "address" => t("Adresse"),
        "prefix" => t("Netz"),
        "domain" => t("Name"),
        "mail" => t("E-Mail-Adresse"),
        "url" => "URL",
        other => self::kind(other),
    }
}

/// So many of a kind.
pub fn kind_count(kind: &str, n: u64) -> String {
    match kind {
        "address" => tn("{n} Adresse", "{n} Adressen", n),
        "prefix" => tn("{n} Netz", "{n} Netze", n),
        "domain" => tn("{n} Name", "{n} Namen", n),
        "url" => tn("{n} URL", "{n} URLs", n),
        "mail" => tn("{n} E-Mail-Adresse", "{n} E-Mail-Adressen", n),
        "md5" => tn("{n} MD5", "{n} MD5", n),
        "sha1" => tn("{n} SHA-1", "{n} SHA-1", n),
        _ => tn("{n} SHA-256", "{n} SHA-256", n),
    }
}

/// Why something of a source was not taken.
pub fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::NotAnIndicator => t("kein Wert der genannten Art"),
        Reason::TooBroad => t("Netz zu groß (mindestens /8, IPv6 /19)"),
        Reason::OtherKind => t("Art, nach der nicht gesucht wird"),
        Reason::NotForDetection => t("von der Quelle nicht zur Erkennung bestimmt (to_ids)"),
        Reason::Expired => t("schon abgelaufen"),
        Reason::NotYetValid => t("gilt erst später"),
        Reason::TooComplex => t("verknüpft Werte, die nur zusammen gelten"),
        Reason::UnknownPattern => t("Muster oder Feld, das nicht verstanden wird"),
        Reason::Malformed => t("Zeile oder Objekt nicht lesbar"),
        Reason::ValueDigest => t("Prüfsumme eines Wertes aus hashes.csv; bitte das manifest.json des Feeds nennen"),
        Reason::InexactWarning => t("Warnliste aus Wortteilen oder Ausdrücken"),
        Reason::TooMany => t("über der Höchstzahl"),
    }
}

/// What to do about a feed that brought nothing.
pub fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::Unreachable => {
            t("Die Quelle antwortet nicht. Prüfen Sie Adresse, Namensauflösung, Firewall und Zertifikat; es wird weiter versucht.")
        }
        Failure::Refused => {
            t("Die Quelle lehnt die Anmeldung ab. Prüfen Sie Kennwort oder Token in der Konfiguration und ob das Konto noch gilt.")
        }
        Failure::NotThere => t("Unter dieser Adresse gibt es nichts. Prüfen Sie url und collection in der Konfiguration."),
        Failure::Theirs => t(
            "Die Quelle meldet einen eigenen Fehler oder wird zu oft gefragt. Es wird weiter versucht; bleibt es so, fragen Sie den Betreiber.",
        ),
        Failure::Unreadable => t("Die Antwort ist nicht in der eingestellten Form. Prüfen Sie format in der Konfiguration."),
        Failure::Empty => {
            t("Die Antwort enthält keinen einzigen Eintrag; darum bleibt die Liste, wie sie war. Sehen Sie sich die Quelle im Browser an.")
        }
        Failure::Elsewhere => {
            t("Die Quelle verweist auf einen anderen Rechner, der die Anmeldung nicht bekommen darf. Tragen Sie die neue Adresse ein.")
        }
        Failure::Ours => t("Die Einträge konnten nicht gespeichert werden. `wartburg doctor` sagt, was fehlt."),
    }
}
