//! What a person reports, by the form or on the phone, and the case that comes of it. Pure: who may report for whom and how it
//! is stored is `intake`'s.

use ingest::body::BodyId;
use ingest::time::Timestamp;

use super::{NewIncident, Origin, Tlp, line_clean, service_name, services_known, text_clean};
use crate::alert::Observables;
use crate::rsit::Rsit;
use crate::rule::Level;

/// The longest answer to one question: two pages. Together they stay below what a case's summary holds.
pub const ANSWER_CHARS_MAX: usize = 3_000;
/// Names and numbers.
pub const LINE_CHARS_MAX: usize = 200;
/// What of the first line a title shows.
const TITLE_CHARS: usize = 90;

/// Whether the house still works: how urgent it is, in words that need no explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Normal,
    Limited,
    Stopped,
    Unknown,
}

impl Operation {
    pub const ALL: [Self; 4] = [Self::Normal, Self::Limited, Self::Stopped, Self::Unknown];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Limited => "limited",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// How grave the case is until an analyst has looked at it.
    pub fn severity(self) -> Level {
        match self {
            Self::Stopped => Level::Critical,
            Self::Limited => Level::High,
            Self::Normal | Self::Unknown => Level::Medium,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Normal => "läuft",
            Self::Limited => "läuft eingeschränkt",
            Self::Stopped => "steht still",
            Self::Unknown => "nicht bekannt",
        }
    }
}

/// What somebody reports, in his own words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub what: String,
    /// Since when, as far as known.
    pub since: Option<Timestamp>,
    pub operation: Option<Operation>,
    /// Keys of `service::SERVICES`.
    pub services: Vec<String>,
    /// What else is affected.
    pub affected: String,
    pub done: String,
    /// Whom to call, and where.
    pub caller: String,
    pub phone: String,
}

impl Report {
    /// The first line of what happened, as lists show it.
    pub fn title(&self) -> String {
        let first = self.what.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
        let first = line_clean(first, LINE_CHARS_MAX);
        let sentence = first.split_inclusive(". ").next().unwrap_or_default().trim_end().trim_end_matches('.');
        let mut title = String::new();
        for word in sentence.split_whitespace() {
            if !title.is_empty() && title.chars().count() + word.chars().count() >= TITLE_CHARS {
                title.push_str(" …");
                break;
            }
            title.push_str(if title.is_empty() { "" } else { " " });
            title.push_str(word);
        }
        line_clean(&format!("Gemeldet: {title}"), LINE_CHARS_MAX)
    }

    /// "Was geschah", with what else was said.
    pub fn summary(&self) -> String {
        let services: Vec<&str> =
            services_known(self.services.iter().map(String::as_str)).iter().filter_map(|key| service_name(key)).collect();
        let affected = [services.join(", "), text_clean(&self.affected, ANSWER_CHARS_MAX)];
        let affected = affected.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join("\n");
        let caller = [line_clean(&self.caller, LINE_CHARS_MAX), line_clean(&self.phone, LINE_CHARS_MAX)];
        let caller = caller.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", Telefon ");
        let parts = [
            ("", text_clean(&self.what, ANSWER_CHARS_MAX)),
            ("Betroffen: ", affected),
            ("Betrieb: ", self.operation.map(Operation::label).unwrap_or_default().to_owned()),
            ("Schon unternommen: ", text_clean(&self.done, ANSWER_CHARS_MAX)),
            ("Rückfragen an: ", caller),
        ];
        let said = parts.iter().filter(|(_, text)| !text.is_empty());
        said.map(|(label, text)| format!("{label}{text}")).collect::<Vec<_>>().join("\n\n")
    }

    /// The case that it opens; `aware_at` is when it reached us.
    pub fn incident(&self, origin: Origin, body: Option<BodyId>, aware_at: Timestamp) -> NewIncident {
        NewIncident {
            title: self.title(),
            summary: self.summary(),
            severity: self.operation.unwrap_or(Operation::Unknown).severity(),
            rsit: Rsit::UNDETERMINED,
            tlp: Tlp::Amber,
            services: services_known(self.services.iter().map(String::as_str)),
            origin,
            body,
            site: None,
            first_activity: self.since,
            aware_at,
            observables: Observables::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn what_was_said_becomes_a_title_and_a_story() {
        let report = Report {
            what: "\n Auf drei Rechnern im Bürgerbüro sind alle Dateien verschlüsselt. Es liegt ein Erpresserschreiben auf dem Schreibtisch.\nMehr wissen wir nicht.".into(),
            since: None,
            operation: Some(Operation::Limited),
            services: vec!["thavel".into(), "verwaltungsportal".into(), "gibt-es-nicht".into()],
            affected: "Bürgerbüro, Einwohnermeldewesen".into(),
            done: "Rechner vom Netz genommen".into(),
            caller: "Frau Beyer".into(),
            phone: "03634 350-0".into(),
        };
        expect![[r#"
            Gemeldet: Auf drei Rechnern im Bürgerbüro sind alle Dateien verschlüsselt
            ---
            Auf drei Rechnern im Bürgerbüro sind alle Dateien verschlüsselt. Es liegt ein Erpresserschreiben auf dem Schreibtisch.
            Mehr wissen wir nicht.

            Betroffen: Verwaltungsportal, ThAVEL
            Bürgerbüro, Einwohnermeldewesen

            Betrieb: läuft eingeschränkt

            Schon unternommen: Rechner vom Netz genommen

            Rückfragen an: Frau Beyer, Telefon 03634 350-0"#]]
        .assert_eq(&format!("{}\n---\n{}", report.title(), report.summary()));
        let new = report.incident(Origin::SelfReport, None, Timestamp(5));
        assert_eq!((new.severity, new.aware_at, new.first_activity), (Level::High, Timestamp(5), None));
    }

    #[test]
    fn a_title_ends_at_a_word_and_all_answers_fit_into_one_summary() {
        let long = Report { what: "Wort ".repeat(800), affected: "ä".repeat(9_000), done: "b".repeat(9_000), ..Report::default() };
        assert!(long.title().ends_with("Wort …") && long.title().chars().count() < 120, "{}", long.title());
        assert!(long.summary().chars().count() < 10_000, "a case's summary holds it all");
    }
}
