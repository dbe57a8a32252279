//! The advisory (Warnung, Hinweis, Information) as our own record: its axes, sections and bounds, and what must be
//! right before it may be reviewed. Pure values; CSAF and mails are generated from them, never the other way round.

use std::fmt;
use std::str::FromStr;

use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

ingest::id_type!(
    /// One advisory through all its revisions.
    AdvisoryId
);

/// Declares a closed list of words: the stored text, and the label that people read. It also speaks serde and SQL.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal, $label:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is stored and sent.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// As people read it.
            pub fn label(self) -> &'static str {
                match self { $(Self::$variant => $label),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom(concat!("unknown ", stringify!($name))))
            }
        }

        impl ingest::rusqlite::ToSql for $name {
            fn to_sql(&self) -> ingest::rusqlite::Result<ingest::rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.as_str().into())
            }
        }

        impl ingest::rusqlite::types::FromSql for $name {
            fn column_result(value: ingest::rusqlite::types::ValueRef<'_>) -> ingest::rusqlite::types::FromSqlResult<Self> {
                Self::parse(value.as_str()?).ok_or(ingest::rusqlite::types::FromSqlError::InvalidType)
            }
        }
    };
}
pub(crate) use text_enum;

text_enum! {
    /// What kind of message it is, after the BSI's kinds of April 2025.
    Kind {
        Warnung = "sicherheitswarnung", "Sicherheitswarnung";
        Hinweis = "sicherheitshinweis", "Sicherheitshinweis";
        Information = "sicherheitsinformation", "Sicherheitsinformation";
    }
}

text_enum! {
    /// How bad it is for those concerned.
    Severity {
        Niedrig = "niedrig", "niedrig";
        Mittel = "mittel", "mittel";
        Hoch = "hoch", "hoch";
        Kritisch = "kritisch", "kritisch";
    }
}

text_enum! {
    /// How urgent the situation is for the Land as a whole, in the BSI's four colours.
    ThreatLevel {
        Grau = "1", "1 (grau)";
        Gelb = "2", "2 (gelb)";
        Orange = "3", "3 (orange)";
        Rot = "4", "4 (rot)";
    }
}

text_enum! {
    /// The Traffic Light Protocol 2.0, from open to closed.
    Tlp {
        Clear = "clear", "TLP:CLEAR";
        Green = "green", "TLP:GREEN";
        Amber = "amber", "TLP:AMBER";
        AmberStrict = "amber_strict", "TLP:AMBER+STRICT";
        Red = "red", "TLP:RED";
    }
}

impl Tlp {
    /// CLEAR is for everybody and GREEN for the community, which all bodies are. Anything stricter is only for those addressed,
    /// and its text does not travel in an unencrypted mail.
    pub fn open_to_all_bodies(self) -> bool {
        matches!(self, Self::Clear | Self::Green)
    }
}

text_enum! {
    /// Where the working text stands; `workflow::TRANSITIONS` says who moves it.
    State {
        Draft = "draft", "Entwurf";
        InReview = "in_review", "In Prüfung";
        Approved = "approved", "Freigegeben";
        Published = "published", "Veröffentlicht";
        Withdrawn = "withdrawn", "Zurückgezogen";
    }
}

text_enum! {
    /// What a measure is; CSAF's remediation categories.
    MeasureKind {
        VendorFix = "vendor_fix", "Aktualisierung des Herstellers";
        Mitigation = "mitigation", "Schutzmaßnahme";
    }
}

/// `WID-TH-2026-0001`: the year of publication in Germany and a gap-free serial within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdvisoryNumber {
    pub year: i32,
    pub serial: u32,
}

impl fmt::Display for AdvisoryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WID-TH-{:04}-{:04}", self.year, self.serial)
    }
}

/// A text that is not what its type promises; the message says what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {expected}: {found:?}")]
pub struct FormatError {
    expected: &'static str,
    found: String,
}

fn format_error(expected: &'static str, found: &str) -> FormatError {
    FormatError { expected, found: found.chars().take(60).collect() }
}

impl FromStr for AdvisoryNumber {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let error = || format_error("an advisory number such as WID-TH-2026-0001", text);
        let (year, serial) = text.strip_prefix("WID-TH-").and_then(|rest| rest.split_once('-')).ok_or_else(error)?;
        let digits = |part: &str, length: bool| length && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(year, year.len() == 4) || !digits(serial, (4..=8).contains(&serial.len())) {
            return Err(error());
        }
        Ok(Self { year: year.parse().map_err(|_| error())?, serial: serial.parse().map_err(|_| error())? })
    }
}

/// `CVE-2026-12345`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cve(String);

impl Cve {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Cve {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let upper = text.trim().to_ascii_uppercase();
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let good = upper
            .strip_prefix("CVE-")
            .and_then(|rest| rest.split_once('-'))
            .is_some_and(|(year, serial)| year.len() == 4 && (4..=19).contains(&serial.len()) && digits(year) && digits(serial));
        if good { Ok(Self(upper)) } else { Err(format_error("a CVE such as CVE-2026-12345", text)) }
    }
}

impl TryFrom<String> for Cve {
    type Error = FormatError;
    fn try_from(text: String) -> Result<Self, FormatError> {
        text.parse()
    }
}

impl From<Cve> for String {
    fn from(cve: Cve) -> Self {
        cve.0
    }
}

/// A CVSS 3.1 base vector; the score is computed from it and never typed in, so that the two cannot differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cvss {
    vector: String,
    score: f64,
}

impl Cvss {
    pub fn vector(&self) -> &str {
        &self.vector
    }

    /// 0.0 to 10.0 with one decimal.
    pub fn score(&self) -> f64 {
        self.score
    }

    /// The standard's word for the score (`CRITICAL`).
    pub fn severity(&self) -> &'static str {
        match self.score {
            score if score < 0.1 => "NONE",
            score if score < 4.0 => "LOW",
            score if score < 7.0 => "MEDIUM",
            score if score < 9.0 => "HIGH",
            _ => "CRITICAL",
        }
    }
}

impl FromStr for Cvss {
    type Err = FormatError;
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let error = || format_error("a CVSS 3.1 base vector such as CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", text);
        let vector = text.trim().to_ascii_uppercase();
        // Exactly the eight base metrics: temporal and environmental scores are not ours to publish yet.
        let metrics = vector.strip_prefix("CVSS:3.1/").filter(|rest| rest.split('/').count() == 8).ok_or_else(error)?;
        if metrics.split('/').any(str::is_empty) {
            return Err(error());
        }
        let parsed = csaf_rs::cvss_rs::v3::CvssV3::from_str(&vector).map_err(|_| error())?;
        let score = parsed.calculated_base_score().ok_or_else(error)?;
        Ok(Self { vector, score })
    }
}

impl TryFrom<String> for Cvss {
    type Error = FormatError;
    fn try_from(text: String) -> Result<Self, FormatError> {
        text.parse()
    }
}

impl From<Cvss> for String {
    fn from(cvss: Cvss) -> Self {
        cvss.vector
    }
}

/// An affected product in the author's words (`Beispiel AG`, `Beispiel-VPN`, `< 7.2`); vendor and version may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Product {
    pub name: String,
    pub vendor: String,
    pub version: String,
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [self.vendor.as_str(), self.name.as_str(), self.version.as_str()];
        f.write_str(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "))
    }
}

/// What to do, and by when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    pub kind: MeasureKind,
    pub text: String,
    pub due_at: Option<Timestamp>,
}

/// Where it can be read in the original.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub title: String,
    pub url: String,
}

/// What an author writes. The four axes are independent of each other: a harmless product's gap (`severity`) can be
/// attacked everywhere (`threat_level`), and neither says who may read it (`tlp`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    pub kind: Kind,
    pub severity: Severity,
    pub threat_level: ThreatLevel,
    pub tlp: Tlp,
    pub title: String,
    /// Sachverhalt.
    pub situation: String,
    /// Bewertung.
    pub assessment: String,
    /// Betroffen? The step by which a reader finds out.
    pub check: String,
    /// Maßnahmen.
    pub measures: Vec<Measure>,
    /// Quellen.
    pub sources: Vec<Source>,
    /// Kontakt; empty means the publisher's own.
    pub contact: String,
    /// The gravest first: `cvss` is the score of that one.
    pub cves: Vec<Cve>,
    pub cvss: Option<Cvss>,
    pub products: Vec<Product>,
    /// More is expected: CSAF's `interim`, else `final`.
    pub interim: bool,
    /// When the first source was published, for the time from there to us (KPI 19).
    pub source_published_at: Option<Timestamp>,
}

impl Content {
    /// An empty draft of the kind that is written most.
    pub fn empty() -> Self {
        Self {
            kind: Kind::Hinweis,
            severity: Severity::Mittel,
            threat_level: ThreatLevel::Gelb,
            tlp: Tlp::Green,
            title: String::new(),
            situation: String::new(),
            assessment: String::new(),
            check: String::new(),
            measures: Vec::new(),
            sources: Vec::new(),
            contact: String::new(),
            cves: Vec::new(),
            cvss: None,
            products: Vec::new(),
            interim: false,
            source_published_at: None,
        }
    }

    /// The same text as it is kept: trimmed, line ends as `\n`, no control characters, nothing listed twice.
    #[must_use]
    pub fn tidied(mut self) -> Self {
        self.title = tidy_line(&self.title);
        for text in [&mut self.situation, &mut self.assessment, &mut self.check, &mut self.contact] {
            *text = tidy_text(text);
        }
        for measure in &mut self.measures {
            measure.text = tidy_text(&measure.text);
        }
        for source in &mut self.sources {
            source.title = tidy_line(&source.title);
            source.url = tidy_line(&source.url);
        }
        for product in &mut self.products {
            product.name = tidy_line(&product.name);
            product.vendor = tidy_line(&product.vendor);
            product.version = tidy_line(&product.version);
        }
        self.products.sort();
        self.products.dedup();
        let mut seen = std::collections::BTreeSet::new();
        self.cves.retain(|cve| seen.insert(cve.clone()));
        self
    }
}

fn tidy_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || is_unprintable(c)).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Also used for comments that readers send.
pub(crate) fn tidy_text(text: &str) -> String {
    let unix = text.replace("\r\n", "\n").replace('\r', "\n");
    unix.chars().filter(|c| *c == '\n' || !is_unprintable(*c)).collect::<String>().trim().to_owned()
}

/// Control characters, and the separators and direction overrides with which a line can be made to look like another.
pub(crate) fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}')
}

/// A title must fit a mail's subject line and a list.
pub const TITLE_CHARS_MAX: usize = 200;
/// A section longer than ten pages is a report, not a warning.
pub const SECTION_CHARS_MAX: usize = 20_000;
pub const NAME_CHARS_MAX: usize = 200;
/// The longest address that browsers and CSAF tools accept everywhere.
pub const URL_CHARS_MAX: usize = 2_000;
pub const MEASURES_MAX: usize = 30;
pub const SOURCES_MAX: usize = 50;
/// Vendors' monthly collections name some 150 CVEs.
pub const CVES_MAX: usize = 300;
pub const PRODUCTS_MAX: usize = 500;

/// What keeps a text from review: the field and a sentence for its author.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub field: &'static str,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Everything that must be put right before a (tidied) text goes to review. A text without problems yields a CSAF document
/// that passes the mandatory tests; the property test in `csaf` holds us to it.
pub fn content_problems(content: &Content) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut add = |field, message: &str| problems.push(Problem { field, message: message.to_owned() });
    for (field, text, max) in [("title", &content.title, TITLE_CHARS_MAX), ("situation", &content.situation, SECTION_CHARS_MAX)] {
        match text.chars().count() {
            0 => add(field, "Bitte ausfüllen."),
            length if length > max => add(field, &format!("Bitte auf {max} Zeichen kürzen.")),
            _ => {}
        }
    }
    for (field, text) in [("assessment", &content.assessment), ("check", &content.check), ("contact", &content.contact)] {
        if text.chars().count() > SECTION_CHARS_MAX {
            add(field, &format!("Bitte auf {SECTION_CHARS_MAX} Zeichen kürzen."));
        }
    }
    for (field, count, max) in [
        ("measures", content.measures.len(), MEASURES_MAX),
        ("sources", content.sources.len(), SOURCES_MAX),
        ("cves", content.cves.len(), CVES_MAX),
        ("products", content.products.len(), PRODUCTS_MAX),
    ] {
        if count > max {
            add(field, &format!("Bitte höchstens {max} Einträge; jetzt sind es {count}."));
        }
    }
    if content.kind == Kind::Warnung && content.measures.is_empty() {
        add("measures", "Eine Sicherheitswarnung sagt, was zu tun ist: Bitte mindestens eine Maßnahme angeben.");
    }
    if content.measures.iter().any(|measure| measure.text.is_empty() || measure.text.chars().count() > SECTION_CHARS_MAX) {
        add("measures", "Bitte jede Maßnahme beschreiben oder die leere Zeile löschen.");
    }
    for product in &content.products {
        let long = [&product.name, &product.vendor, &product.version].iter().any(|text| text.chars().count() > NAME_CHARS_MAX);
        if product.name.is_empty() || long {
            add("products", &format!("Bitte jedes Produkt benennen, höchstens {NAME_CHARS_MAX} Zeichen je Feld."));
            break;
        }
    }
    for source in &content.sources {
        if source.title.is_empty() || source.title.chars().count() > NAME_CHARS_MAX {
            add("sources", "Bitte jede Quelle kurz benennen.");
        }
        if !url_acceptable(&source.url) {
            let shown: String = source.url.chars().take(80).collect();
            add("sources", &format!("Keine vollständige Adresse (https://…, Umlaute und Leerzeichen kodiert): „{shown}“"));
        }
    }
    if content.cvss.is_some() && content.cves.is_empty() {
        add("cvss", "Ein CVSS-Wert gehört zu einer CVE: Bitte die CVE angeben oder den Wert löschen.");
    }
    problems
}

/// An absolute http(s) URI in RFC 3986's letters, strict enough for CSAF's schema and for a mail's line.
pub fn url_acceptable(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let host_good = host.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let letters_good = rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(&b));
    let percent_good = rest.split('%').skip(1).all(|tail| tail.len() >= 2 && tail.bytes().take(2).all(|b| b.is_ascii_hexdigit()));
    let port_good = port.parse::<u16>().is_ok() && port.bytes().all(|b| b.is_ascii_digit());
    url.len() <= URL_CHARS_MAX && host_good && letters_good && percent_good && port_good && rest.matches('#').count() <= 1
}

/// An advisory as one reader sees it: the working text for the CERT, the last published one for a body.
#[derive(Clone, Debug, Serialize)]
pub struct Advisory {
    pub id: AdvisoryId,
    /// Assigned at the first publication.
    pub number: Option<String>,
    pub state: State,
    pub content: Content,
    /// Who wrote at the text since the last publication: none of them may approve it. Empty for bodies.
    pub editors: Vec<String>,
    pub approver: Option<String>,
    /// Publications so far; 0 is a draft that was never published.
    pub revision: u32,
    /// For optimistic locking: every change must name the version it was made from.
    pub row_version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// First publication.
    pub published_at: Option<Timestamp>,
    /// Publication of the newest revision.
    pub released_at: Option<Timestamp>,
}

impl Advisory {
    /// The number, or a word in its place.
    pub fn number_label(&self) -> &str {
        self.number.as_deref().unwrap_or("Entwurf")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// A complete, harmless warning that the tests of all modules share.
    pub(crate) fn sample() -> Content {
        Content {
            kind: Kind::Warnung,
            severity: Severity::Kritisch,
            threat_level: ThreatLevel::Orange,
            tlp: Tlp::Green,
            title: "Kritische Lücke in Beispiel-VPN".into(),
            situation: "Angreifer können ohne Anmeldung beliebige Befehle ausführen.".into(),
            assessment: "Die Lücke wird bereits ausgenutzt.".into(),
            check: "Öffnen Sie die Verwaltung, Seite „Über“. Steht dort eine Version vor 7.2, sind Sie betroffen.".into(),
            measures: vec![
                Measure {
                    kind: MeasureKind::VendorFix,
                    text: "Version 7.2 einspielen.".into(),
                    due_at: Some(Timestamp(1_795_431_600_000)),
                },
                Measure { kind: MeasureKind::Mitigation, text: "Verwaltung aus dem Internet nehmen.".into(), due_at: None },
            ],
            sources: vec![Source { title: "Hersteller".into(), url: "https://vendor.example/a?b=1".into() }],
            contact: String::new(),
            cves: vec!["CVE-2026-12345".parse().unwrap()],
            cvss: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".parse().unwrap()),
            products: vec![Product { name: "Beispiel-VPN".into(), vendor: "Beispiel AG".into(), version: "< 7.2".into() }],
            interim: false,
            source_published_at: None,
        }
    }

    fn check(change: impl FnOnce(&mut Content), expected: Expect) {
        let mut content = sample();
        change(&mut content);
        let problems: Vec<String> = content_problems(&content.tidied()).iter().map(ToString::to_string).collect();
        expected.assert_eq(&problems.join("\n"));
    }

    #[test]
    fn a_text_says_what_it_lacks() {
        check(|_| {}, expect![""]);
        check(|c| c.title = " \u{7}\r\n".into(), expect!["title: Bitte ausfüllen."]);
        check(|c| c.situation = "x".repeat(20_001), expect!["situation: Bitte auf 20000 Zeichen kürzen."]);
        check(
            |c| c.measures.clear(),
            expect!["measures: Eine Sicherheitswarnung sagt, was zu tun ist: Bitte mindestens eine Maßnahme angeben."],
        );
        check(
            |c| c.sources.push(Source { title: "x".into(), url: "javascript:alert(1)".into() }),
            expect!["sources: Keine vollständige Adresse (https://…, Umlaute und Leerzeichen kodiert): „javascript:alert(1)“"],
        );
        check(|c| c.products.push(Product::default()), expect!["products: Bitte jedes Produkt benennen, höchstens 200 Zeichen je Feld."]);
        check(|c| c.cves.clear(), expect!["cvss: Ein CVSS-Wert gehört zu einer CVE: Bitte die CVE angeben oder den Wert löschen."]);
    }

    #[test]
    fn tidied_text_has_no_control_characters_and_no_doubles() {
        let mut content = sample();
        content.title = "  Lücke\r\nBcc: x@y.example\u{202E} ".into();
        content.situation = "eins\r\nzwei\u{0}\rdrei".into();
        content.cves.push("cve-2026-12345".parse().unwrap());
        content.products.push(content.products[0].clone());
        let tidied = content.tidied();
        assert_eq!(tidied.title, "Lücke Bcc: x@y.example");
        assert_eq!(tidied.situation, "eins\nzwei\ndrei");
        assert_eq!((tidied.cves.len(), tidied.products.len()), (1, 1));
    }

    #[test]
    fn urls() {
        for good in ["https://a.example", "http://a.example:8080/x?y=%C3%A4#z", "https://xn--mnchen-3ya.example/"] {
            assert!(url_acceptable(good), "{good}");
        }
        for bad in [
            "",
            "a.example",
            "ftp://a.example",
            "https://",
            "https://a b.example",
            "https://ä.example",
            "https://a.example/%zz",
            "https://a.example/<x>",
            "https://u:p@a.example",
            "https://a..example",
            "https://a.example/\r\nX: y",
            "https://a.example/#a#b",
        ] {
            assert!(!url_acceptable(bad), "{bad}");
        }
    }

    #[test]
    fn numbers_cves_and_vectors_are_what_they_say() {
        for good in ["WID-TH-2026-0001", "WID-TH-2026-12345"] {
            assert_eq!(good.parse::<AdvisoryNumber>().unwrap().to_string(), good);
        }
        for bad in ["", "WID-TH-2026-1", "WID-TH-26-0001", "wid-th-2026-0001", "WID-TH-2026-0001/../x", "WID-TH-+026-0001"] {
            assert!(bad.parse::<AdvisoryNumber>().is_err(), "{bad}");
        }
        assert_eq!(" cve-2026-0001 ".parse::<Cve>().unwrap().as_str(), "CVE-2026-0001");
        for bad in ["", "CVE-2026-1", "CVE-26-0001", "CVE-2026-00x1", "CVE-2026"] {
            assert!(bad.parse::<Cve>().is_err(), "{bad}");
        }
        for (vector, score, word) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "CRITICAL"),
            ("CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.8, "LOW"),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:N/I:N/A:N", 0.0, "NONE"),
        ] {
            let cvss: Cvss = vector.parse().unwrap();
            assert_eq!((cvss.score(), cvss.severity()), (score, word), "{vector}");
        }
        for bad in [
            "",
            "CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/I:H",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/",
        ] {
            assert!(bad.parse::<Cvss>().is_err(), "{bad}");
        }
    }
}
