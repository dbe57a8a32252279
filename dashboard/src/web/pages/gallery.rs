//! The gallery: every component in every state, for those who build pages and for those who check them. The values are
//! invented; nothing on the page leads anywhere or changes anything.

use askama::Template;
use detect::incident::State;
use detect::rule::Level;

use super::value::{Value, WAYS};
use crate::chart;
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};
use crate::words;

#[derive(Template)]
#[template(path = "gallery.html")]
struct GalleryPage {
    frame: Frame,
    colours: &'static [(&'static str, &'static str)],
    types: &'static [(&'static str, &'static str)],
    options: &'static [(&'static str, &'static str, bool)],
    tabs: &'static [(&'static str, &'static str, bool)],
    chips: &'static [(&'static str, &'static str)],
    problems: &'static [(&'static str, &'static str)],
    facts: &'static [(&'static str, &'static str)],
    measures: &'static [(u8, &'static str, &'static str)],
    shares: &'static [(&'static str, &'static str, &'static str)],
    rows: Vec<Row>,
    severities: Vec<Markup>,
    labels: Vec<Markup>,
    states: Vec<Markup>,
    tones: Vec<Markup>,
    values: [(&'static str, Value); 3],
    strange: &'static [(&'static str, &'static str)],
    charts: Vec<(&'static str, Markup)>,
}

struct Row {
    severity: Markup,
    title: &'static str,
    state: Markup,
    events: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let page = GalleryPage {
        frame: ask.frame("Bausteine", Place::Elsewhere),
        colours: COLOURS,
        types: TYPES,
        options: &[("neu", "neu", false), ("gesichtet", "gesichtet", true), ("geschlossen", "geschlossen", false)],
        tabs: &[("#reiter", "Neu", true), ("#reiter", "Bestätigt", false), ("#reiter", "Geschlossen", false)],
        chips: &[("source.ip:198.51.100.7", "#filter"), ("event.outcome:failure", "#filter")],
        problems: &[
            ("b-name-falsch", "Name: Bitte nennen Sie einen Namen."),
            ("b-art-falsch", "Art: Bitte wählen Sie eine."),
            ("b-datei-falsch", "Datei: Sie ist größer als 5 MB. Bitte teilen Sie sie."),
        ],
        facts: &[("Stelle", "Stadtverwaltung Sömmerda"), ("Eröffnet", "21.11.2026, 14:02"), ("Host", "rathaus-dc01")],
        measures: &[(1, "Version 7.2 einspielen.", "binnen 24 h"), (2, "Verwaltungszugang vom Internet trennen.", "sofort")],
        shares: &[("f-act", "0", "60"), ("rest", "60", "25"), ("f-high", "85", "15")],
        rows: rows(),
        severities: [Level::Critical, Level::High, Level::Medium, Level::Low, Level::Informational].map(words::level_badge).into(),
        labels: ["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"].map(show::tlp).into(),
        states: [State::New, State::Triaged, State::Contained, State::Closed].map(words::state_badge).into(),
        tones: TONES.iter().map(|(tone, word)| show::badge(*tone, word)).collect(),
        values: values(),
        strange: STRANGE,
        charts: chart::examples(),
    };
    ask.page(&page)
}

/// With all that can be done, with some of it, with nothing.
fn values() -> [(&'static str, Value); 3] {
    let menu = |text: &str, labels: &[&'static str]| Value {
        links: labels.iter().map(|label| (*label, "#b-wert".to_owned())).collect(),
        ..Value::plain(text.to_owned())
    };
    let [only, without, all, flows] = WAYS.map(words::t);
    [
        ("source.ip", menu("198.51.100.7", &[only, without, all, flows])),
        ("user.name", menu("anna", &[only, without])),
        ("event.sequence", menu("4711", &[])),
    ]
}

/// (class of the swatch in gallery.css, what the role is for)
const COLOURS: &[(&str, &str)] = &[
    ("ground", "Grund der Seite"),
    ("surface", "Karten, Felder"),
    ("raised", "Abgehobenes"),
    ("line", "Trennlinien"),
    ("edge", "Ränder von Feldern"),
    ("ink", "Text"),
    ("soft", "Nebentext"),
    ("action", "Verweise, Knöpfe"),
    ("focus", "Fokus"),
    ("crit", "kritisch, Fehler"),
    ("high", "hoch"),
    ("mid", "mittel, Achtung"),
    ("low", "niedrig, Hinweis"),
    ("good", "erledigt, im Ziel"),
];

/// (class in gallery.css, what the size is for)
const TYPES: &[(&str, &str)] = &[
    ("t-display", "Kennzahl 3 h 12 min"),
    ("t-title", "Überschrift der Seite"),
    ("t-large", "Überschrift einer Karte, Vorspann"),
    ("t-body", "Text, wie er meistens steht"),
    ("small", "Nebentext, Tabellenköpfe"),
    ("t-tiny", "Zähler, Tasten"),
    ("mono", "198.51.100.7 · user.name:anna"),
];

const TONES: &[(Tone, &str)] = &[
    (Tone::Crit, "verstummt"),
    (Tone::High, "überfällig"),
    (Tone::Mid, "bald fällig"),
    (Tone::Low, "unterwegs"),
    (Tone::Good, "im Ziel"),
    (Tone::Quiet, "ruht"),
];

/// What comes out of logs and must not pose as something else: (what it is, the text).
const STRANGE: &[(&str, &str)] = &[
    ("Markup", "<script>alert(1)</script>"),
    ("Schreibrichtung umgekehrt", "rechnung\u{202E}fdp.exe"),
    ("Richtung eingebettet", "a\u{2067}b\u{2069}c\u{061C}d"),
    ("Steuerzeichen", "ok\0\u{7}\u{1b}[31mrot\u{7f}\u{85}"),
    ("Zeilenumbruch", "eine Zeile\r\nnoch eine\u{2028}und noch eine"),
    ("Ohne Breite", "pass\u{200B}wort\u{2060}\u{FEFF}\u{00AD}"),
    ("Unsichtbare Zeichen", "admin\u{E0041}\u{E0042}\u{FE0F}"),
    ("Leeres Zeichen", "\u{3164}\u{2800}\u{115F}"),
    ("Gewöhnliche fremde Schrift", "Straße שלום مرحبا 東京"),
];

fn rows() -> Vec<Row> {
    let row = |level, title, state, events: u32| Row {
        severity: words::level_badge(level),
        title,
        state: words::state_badge(state),
        events: show::num(events),
    };
    vec![
        row(Level::Critical, "Verschlüsselung auf einem Dateiserver", State::New, 48_211),
        row(Level::Medium, "Viele fehlgeschlagene SSH-Anmeldungen", State::Triaged, 1_184),
        row(Level::Low, "Portscan auf einen Rechner", State::Contained, 7),
    ]
}

#[cfg(test)]
mod tests {
    use detect::role::Role;

    use crate::web::tests::Front;

    #[tokio::test]
    async fn everybody_signed_in_sees_every_component() {
        let front = Front::new();
        let (cookie, _) = front.enter(Role::Municipality);
        let page = front.get("/bausteine", &cookie).await;
        assert_eq!(page.status, 200);
        let anchors = regex::Regex::new("href=\"#(b-[a-z]+)\"").unwrap();
        let mut found = 0;
        for anchor in anchors.captures_iter(&page.text) {
            assert!(page.text.contains(&format!("id=\"{}\"", &anchor[1])), "{}", &anchor[1]);
            found += 1;
        }
        assert!(found > 20, "{found}");
        // What stands in the code stands behind no invisible character on the page.
        assert!(!page.text.contains(['\u{202E}', '\u{200B}', '\u{1b}', '\u{2800}', '\u{E0041}']));
        let ids = regex::Regex::new(" id=\"([^\"]+)\"").unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for id in ids.captures_iter(&page.text) {
            assert!(seen.insert(id[1].to_owned()), "{} stands twice", &id[1]);
        }
    }
}
