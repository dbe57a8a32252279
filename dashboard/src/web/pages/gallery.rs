//! The gallery: every component in every state, for those who build pages and for those who check them. The values are
//! invented; nothing on the page leads anywhere or changes anything.

use askama::Template;
use detect::incident::State;
use detect::rule::Level;

use super::value::{Value, WAYS};
use crate::chart;
use crate::markdown;
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};
use crate::words::{self, de, t};

#[derive(Template)]
#[template(path = "gallery.html")]
struct GalleryPage {
    frame: Frame,
    colours: Vec<(&'static str, &'static str)>,
    types: Vec<(&'static str, &'static str)>,
    options: Vec<(&'static str, &'static str, bool)>,
    tabs: Vec<(&'static str, &'static str, bool)>,
    chips: &'static [(&'static str, &'static str)],
    problems: Vec<(&'static str, &'static str)>,
    facts: Vec<(&'static str, &'static str)>,
    measures: Vec<(u8, &'static str, &'static str)>,
    shares: &'static [(&'static str, &'static str, &'static str)],
    rows: Vec<Row>,
    severities: Vec<Markup>,
    labels: Vec<Markup>,
    states: Vec<Markup>,
    tones: Vec<Markup>,
    values: [(&'static str, Value); 3],
    strange: Vec<(&'static str, &'static str)>,
    charts: Vec<(&'static str, Markup)>,
    note: Markup,
}

struct Row {
    severity: Markup,
    title: &'static str,
    state: Markup,
    events: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let page = GalleryPage {
        frame: ask.frame(t("Bausteine"), Place::Elsewhere),
        colours: COLOURS.iter().map(|(role, what)| (*role, t(what))).collect(),
        types: TYPES.iter().map(|(class, what)| (*class, t(what))).collect(),
        options: vec![("neu", t("neu"), false), ("gesichtet", t("gesichtet"), true), ("geschlossen", t("geschlossen"), false)],
        tabs: vec![("#reiter", t("Neu"), true), ("#reiter", t("Bestätigt"), false), ("#reiter", t("Geschlossen"), false)],
        chips: &[("source.ip:198.51.100.7", "#filter"), ("event.outcome:failure", "#filter")],
        problems: vec![
            ("b-name-falsch", t("Name: Bitte nennen Sie einen Namen.")),
            ("b-art-falsch", t("Art: Bitte wählen Sie eine.")),
            ("b-datei-falsch", t("Datei: Sie ist größer als 5 MB. Bitte teilen Sie sie.")),
        ],
        facts: vec![(t("Stelle"), "Stadtverwaltung Sömmerda"), (t("Eröffnet"), "21.11.2026, 14:02"), ("Host", "rathaus-dc01")],
        measures: vec![(1, t("Version 7.2 einspielen."), t("binnen 24 h")), (2, t("Verwaltungszugang vom Internet trennen."), t("sofort"))],
        shares: &[("f-act", "0", "60"), ("rest", "60", "25"), ("f-high", "85", "15")],
        rows: rows(),
        severities: [Level::Critical, Level::High, Level::Medium, Level::Low, Level::Informational].map(words::level_badge).into(),
        labels: ["RED", "AMBER+STRICT", "AMBER", "GREEN", "CLEAR"].map(show::tlp).into(),
        states: [State::New, State::Triaged, State::Contained, State::Closed].map(words::state_badge).into(),
        tones: TONES.iter().map(|(tone, word)| show::badge(*tone, t(word))).collect(),
        values: values(),
        strange: STRANGE.iter().map(|(what, text)| (t(what), *text)).collect(),
        charts: chart::examples(),
        note: markdown::markup(t(
            "Die **Leiterin** sagt:\n\n- Rechner ist aus\n- Weg wie in der [Anleitung](https://cert.example/anleitung)\n\n> „Es kam per Mail.“",
        )),
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
    ("ground", de("Grund der Seite")),
    ("surface", de("Karten, Felder")),
    ("raised", de("Abgehobenes")),
    ("line", de("Trennlinien")),
    ("edge", de("Ränder von Feldern")),
    ("ink", de("Text")),
    ("soft", de("Nebentext")),
    ("action", de("Verweise, Knöpfe")),
    ("focus", de("Fokus")),
    ("crit", de("kritisch, Fehler")),
    ("high", de("hoch")),
    ("mid", de("mittel, Achtung")),
    ("low", de("niedrig, Hinweis")),
    ("good", de("erledigt, im Ziel")),
];

/// (class in gallery.css, what the size is for)
const TYPES: &[(&str, &str)] = &[
    ("t-display", de("Kennzahl 3 h 12 min")),
    ("t-title", de("Überschrift der Seite")),
    ("t-large", de("Überschrift einer Karte, Vorspann")),
    ("t-body", de("Text, wie er meistens steht")),
    ("small", de("Nebentext, Tabellenköpfe")),
    ("t-tiny", de("Zähler, Tasten")),
    ("mono", "198.51.100.7 · user.name:anna"),
];

const TONES: &[(Tone, &str)] = &[
    (Tone::Crit, de("verstummt")),
    (Tone::High, de("überfällig")),
    (Tone::Mid, de("bald fällig")),
    (Tone::Low, de("unterwegs")),
    (Tone::Good, de("im Ziel")),
    (Tone::Quiet, de("ruht")),
];

/// What comes out of logs and must not pose as something else: (what it is, the text).
const STRANGE: &[(&str, &str)] = &[
    ("Markup", "<script>alert(1)</script>"),
    (de("Schreibrichtung umgekehrt"), "rechnung\u{202E}fdp.exe"),
    (de("Richtung eingebettet"), "a\u{2067}b\u{2069}c\u{061C}d"),
    (de("Steuerzeichen"), "ok\0\u{7}\u{1b}[31mrot\u{7f}\u{85}"),
    (de("Zeilenumbruch"), "eine Zeile\r\nnoch eine\u{2028}und noch eine"),
    (de("Ohne Breite"), "pass\u{200B}wort\u{2060}\u{FEFF}\u{00AD}"),
    (de("Unsichtbare Zeichen"), "admin\u{E0041}\u{E0042}\u{FE0F}"),
    (de("Leeres Zeichen"), "\u{3164}\u{2800}\u{115F}"),
    (de("Gewöhnliche fremde Schrift"), "Straße שלום مرحبا 東京"),
];

fn rows() -> Vec<Row> {
    let row = |level, title, state, events: u32| Row {
        severity: words::level_badge(level),
        title: t(title),
        state: words::state_badge(state),
        events: show::num(events),
    };
    vec![
        row(Level::Critical, de("Verschlüsselung auf einem Dateiserver"), State::New, 48_211),
        row(Level::Medium, de("Viele fehlgeschlagene SSH-Anmeldungen"), State::Triaged, 1_184),
        row(Level::Low, de("Portscan auf einen Rechner"), State::Contained, 7),
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
