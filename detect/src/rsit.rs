//! The classification of incidents: ENISA's Reference Security Incident Taxonomy (RSIT v1003) as a table, with
//! German labels. The category is mandatory, the type optional.

use std::fmt;
use std::str::FromStr;

/// One category with its types.
#[derive(Clone, Copy, Debug)]
pub struct Category {
    pub name: &'static str,
    pub label: &'static str,
    /// (name, German label)
    pub types: &'static [(&'static str, &'static str)],
}

/// All of RSIT v1003, in its order.
pub const CATEGORIES: &[Category] = &[
    Category {
        name: "abusive-content",
        label: "Missbräuchliche Inhalte",
        types: &[("spam", "Spam"), ("harmful-speech", "Schädigende Äußerungen"), ("violence", "Gewaltdarstellung")],
    },
    Category {
        name: "malicious-code",
        label: "Schadprogramme",
        types: &[
            ("infected-system", "Infiziertes System"),
            ("c2-server", "Steuerungsserver"),
            ("malware-distribution", "Verbreitung von Schadprogrammen"),
            ("malware-configuration", "Konfiguration von Schadprogrammen"),
        ],
    },
    Category {
        name: "information-gathering",
        label: "Ausspähen",
        types: &[("scanner", "Scannen"), ("sniffing", "Mitlesen"), ("social-engineering", "Social Engineering")],
    },
    Category {
        name: "intrusion-attempts",
        label: "Einbruchsversuche",
        types: &[
            ("ids-alert", "Ausnutzen bekannter Schwachstellen"),
            ("brute-force", "Anmeldeversuche"),
            ("exploit", "Ausnutzen unbekannter Schwachstellen"),
        ],
    },
    Category {
        name: "intrusions",
        label: "Einbrüche",
        types: &[
            ("privileged-account-compromise", "Administratorkonto übernommen"),
            ("unprivileged-account-compromise", "Benutzerkonto übernommen"),
            ("application-compromise", "Anwendung übernommen"),
            ("system-compromise", "System übernommen"),
            ("burglary", "Einbruch vor Ort"),
        ],
    },
    Category {
        name: "availability",
        label: "Verfügbarkeit",
        types: &[
            ("dos", "Überlastungsangriff"),
            ("ddos", "Verteilter Überlastungsangriff"),
            ("misconfiguration", "Fehlkonfiguration"),
            ("sabotage", "Sabotage"),
            ("outage", "Ausfall"),
        ],
    },
    Category {
        name: "information-content-security",
        label: "Sicherheit von Inhalten",
        types: &[
            ("unauthorised-information-access", "Unbefugter Zugriff auf Daten"),
            ("unauthorised-information-modification", "Unbefugte Änderung von Daten"),
            ("data-loss", "Datenverlust"),
            ("data-leak", "Datenabfluss"),
        ],
    },
    Category {
        name: "fraud",
        label: "Betrug",
        types: &[
            ("unauthorised-use-of-resources", "Unbefugte Nutzung"),
            ("copyright", "Urheberrecht"),
            ("masquerade", "Vorgetäuschte Identität"),
            ("phishing", "Phishing"),
        ],
    },
    Category {
        name: "vulnerable",
        label: "Schwachstellen",
        types: &[
            ("weak-crypto", "Schwache Verschlüsselung"),
            ("ddos-amplifier", "Als Verstärker nutzbarer Dienst"),
            ("potentially-unwanted-accessible", "Ungewollt erreichbarer Dienst"),
            ("information-disclosure", "Preisgabe von Informationen"),
            ("vulnerable-system", "Verwundbares System"),
        ],
    },
    Category { name: "other", label: "Sonstiges", types: &[("other", "Nicht zugeordnet"), ("undetermined", "Noch unklar")] },
    Category { name: "test", label: "Test", types: &[("test", "Test")] },
];

/// A class of the taxonomy, `category` or `category/type`. Only known names make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rsit {
    category: &'static str,
    kind: Option<&'static str>,
}

/// A text that is no class of the taxonomy.
#[derive(Debug, thiserror::Error)]
#[error("not an RSIT class (such as intrusion-attempts/brute-force): {0:?}")]
pub struct RsitError(String);

impl Rsit {
    /// For a rule whose class is not in the taxonomy: its alert is worth a case all the same.
    pub const UNDETERMINED: Self = Self { category: "other", kind: Some("undetermined") };

    pub fn category(self) -> &'static str {
        self.category
    }

    /// `Einbruchsversuche: Anmeldeversuche`
    pub fn label(self) -> String {
        let Some(category) = CATEGORIES.iter().find(|category| category.name == self.category) else { return String::new() };
        let kind = category.types.iter().find(|(name, _)| Some(*name) == self.kind);
        kind.map_or_else(|| category.label.to_owned(), |(_, label)| format!("{}: {label}", category.label))
    }
}

impl FromStr for Rsit {
    type Err = RsitError;
    fn from_str(text: &str) -> Result<Self, RsitError> {
        let error = || RsitError(text.chars().take(60).collect());
        let (category, kind) = text.split_once('/').map_or((text, None), |(category, kind)| (category, Some(kind)));
        let category = CATEGORIES.iter().find(|known| known.name == category).ok_or_else(error)?;
        let kind = match kind {
            Some(kind) => Some(category.types.iter().find(|(name, _)| *name == kind).ok_or_else(error)?.0),
            None => None,
        };
        Ok(Self { category: category.name, kind })
    }
}

impl fmt::Display for Rsit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.category)?;
        self.kind.map_or(Ok(()), |kind| write!(f, "/{kind}"))
    }
}

impl serde::Serialize for Rsit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_reads_back_and_strangers_are_refused() {
        for category in CATEGORIES {
            assert_eq!(category.name.parse::<Rsit>().unwrap().to_string(), category.name);
            for (kind, label) in category.types {
                let text = format!("{}/{kind}", category.name);
                let class: Rsit = text.parse().unwrap();
                assert_eq!((class.to_string(), class.label()), (text, format!("{}: {label}", category.label)));
            }
        }
        assert_eq!("other/undetermined".parse::<Rsit>().unwrap(), Rsit::UNDETERMINED);
        for bad in ["", "intrusions/", "intrusions/spam", "Intrusions", "malicious-code/c2-server/x"] {
            assert!(bad.parse::<Rsit>().is_err(), "{bad}");
        }
    }
}
