//! The frame around a page: navigation by role, the bar with the one search, how fresh the data are, who I am, and
//! the notice after a form.

use detect::role::Role;

use super::Ask;
use super::assets;
use crate::access::{self, Verdict};
use crate::show;
use crate::words::{self, de, t};

/// Where a page stands in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Overview,
    Incidents,
    Alerts,
    Post,
    Tasks,
    Search,
    Flows,
    Reveals,
    Rules,
    Indicators,
    Advisories,
    Subscriptions,
    Kpis,
    Sources,
    Accounts,
    Protocol,
    Mailbox,
    Elsewhere,
}

/// What the templates know of the frame.
#[derive(Clone, Debug)]
pub struct Frame {
    pub title: String,
    pub css: &'static str,
    /// The operator's theme; empty without one.
    pub theme_css: String,
    pub js: &'static str,
    pub icon: &'static str,
    /// `de` or `en`.
    pub lang: &'static str,
    /// `light`, `dark` or empty for the system's choice.
    pub theme: &'static str,
    pub now: String,
    /// What the page is as new as, for the stream of changes.
    pub since: String,
    pub csrf: String,
    pub signed_in: bool,
    pub user: String,
    pub initials: String,
    pub role: &'static str,
    pub may_search: bool,
    pub search: String,
    pub groups: Vec<NavGroup>,
    /// The notice after a form: (class, text).
    pub notice: Option<(&'static str, &'static str)>,
    pub fresh: Option<Fresh>,
    /// Where the theme's form comes back to.
    pub here: String,
}

/// How fresh the data are.
#[derive(Clone, Debug)]
pub struct Fresh {
    pub last: show::Markup,
    pub late: bool,
}

#[derive(Clone, Debug)]
pub struct NavGroup {
    pub label: &'static str,
    pub items: Vec<NavItem>,
}

#[derive(Clone, Debug)]
pub struct NavItem {
    pub href: &'static str,
    pub label: &'static str,
    pub current: bool,
    pub count: Option<Count>,
}

/// A number beside a navigation item, and what it counts for those who hear it.
#[derive(Clone, Debug)]
pub struct Count {
    pub n: u64,
    pub what: &'static str,
    pub urgent: bool,
}

/// (group, place, path, label); an item is shown to whom its route lets in.
const NAVIGATION: &[(&str, Place, &str, &str)] = &[
    (de("Arbeit"), Place::Overview, "/", de("Lage")),
    (de("Arbeit"), Place::Incidents, "/vorfaelle", de("Vorfälle")),
    (de("Arbeit"), Place::Alerts, "/alarme", de("Alarme")),
    (de("Arbeit"), Place::Post, "/post", de("Posteingang")),
    (de("Arbeit"), Place::Tasks, "/aufgaben", de("Meine Aufgaben")),
    (de("Spuren"), Place::Search, "/suche", de("Suche")),
    (de("Spuren"), Place::Flows, "/fluesse", de("Datenflüsse")),
    (de("Spuren"), Place::Reveals, "/aufdeckung", de("Aufdeckung")),
    (de("Spuren"), Place::Rules, "/regeln", de("Regeln")),
    (de("Spuren"), Place::Indicators, "/indikatoren", de("Indikatoren")),
    (de("Warndienst"), Place::Advisories, "/meldungen", de("Meldungen")),
    (de("Warndienst"), Place::Subscriptions, "/abos", de("Empfänger und Abos")),
    (de("Steuerung"), Place::Kpis, "/kennzahlen", de("Kennzahlen")),
    (de("Steuerung"), Place::Sources, "/quellen", de("Quellen und Standorte")),
    (de("Steuerung"), Place::Accounts, "/konten", de("Konten und Mandate")),
    (de("Prüfung"), Place::Protocol, "/protokoll", de("Protokoll")),
    (de("Vorführung"), Place::Mailbox, "/postfach", de("Postfach")),
];

/// What a page says after a form, by the code in `?ok=`.
pub(crate) const NOTICES: &[(&str, &str, &str)] = &[
    ("assigned", "good", de("Übernommen: Der Vorfall liegt jetzt bei Ihnen.")),
    ("moved", "good", de("Der Stand ist geändert und im Verlauf vermerkt.")),
    ("merged", "good", de("Zusammengeführt. Alarme und offene Aufgaben stehen jetzt hier; der andere Vorfall bleibt lesbar.")),
    ("split", "good", de("Das ist der neue Vorfall mit den herausgelösten Alarmen.")),
    ("linked", "good", de("Die beiden Vorfälle sind verbunden.")),
    ("unlinked", "good", de("Die Verbindung ist gelöst.")),
    ("edited", "good", de("Die Angaben sind geändert und im Verlauf vermerkt.")),
    ("moment-added", "good", de("Es steht in der Zeitleiste.")),
    ("moment-struck", "good", de("Der Eintrag ist gestrichen; der Verlauf behält ihn.")),
    ("task-added", "good", de("Die Aufgabe ist angelegt.")),
    ("task-changed", "good", de("Die Aufgabe ist geändert.")),
    ("task-done", "good", de("Die Aufgabe ist erledigt.")),
    ("task-open", "good", de("Die Aufgabe ist wieder offen.")),
    ("opened", "good", de("Der Vorfall ist eröffnet.")),
    ("link-mailed", "good", de("Der Meldelink ist per Mail unterwegs.")),
    (
        "report-asked",
        "good",
        de(
            "Ist diese Adresse bei uns als Ansprechperson der Stelle eingetragen, kommt gleich eine Mail mit dem Link. Kommt in zehn Minuten keine, rufen Sie uns bitte an.",
        ),
    ),
    ("noted", "good", de("Die Notiz steht im Verlauf.")),
    ("sent", "good", de("Die Empfehlung ist unterwegs. Sobald die Stelle antwortet, steht es hier.")),
    ("duty_applies", "good", de("Festgehalten: Es ist zu melden. Die Frist läuft.")),
    ("duty_waived", "good", de("Festgehalten: Die Pflicht gilt hier nicht.")),
    ("duty_sent", "good", de("Festgehalten: Es ist gemeldet.")),
    ("duty_received", "good", de("Festgehalten: Der Eingang ist bestätigt.")),
    ("duty_reopened", "good", de("Die Meldepflicht ist wieder offen.")),
    ("exhibit-added", "good", de("Die Datei liegt bei den Beweismitteln. Ihre Prüfsumme steht im Verlauf.")),
    ("exhibit-released", "good", de("Die Datei ist freigegeben und kann heruntergeladen werden.")),
    ("letter-sent", "good", de("Das Schreiben ist unterwegs. Ob es ankam, steht beim Schriftwechsel.")),
    ("letter-filed", "good", de("Die Mail gehört jetzt zu diesem Vorfall.")),
    ("letter-opened", "good", de("Aus der Mail ist dieser Vorfall geworden.")),
    ("letter-aside", "good", de("Die Mail ist abgelegt. Sie bleibt unter „abgelegt“ erhalten.")),
    ("answered", "good", de("Danke, Ihre Antwort ist beim ThüringenCERT angekommen.")),
    ("acked", "good", de("Der Alarm ist bestätigt.")),
    ("closed", "good", de("Der Alarm ist geschlossen.")),
    ("saved", "good", de("Gespeichert.")),
    ("webhook-ended", "good", de("Beendet. Dieser Empfänger erfährt nichts mehr.")),
    ("webhook-again", "good", de("Was wartete oder nicht ankam, wird in wenigen Sekunden noch einmal gesendet.")),
    ("submitted", "good", de("Zur Prüfung gegeben. Eine zweite Person muss die Meldung freigeben.")),
    ("approved", "good", de("Freigegeben. Die Meldung kann jetzt veröffentlicht werden.")),
    ("returned", "good", de("Zurück an den Entwurf gegeben.")),
    ("published", "good", de("Veröffentlicht. Der Versand an die Abonnenten läuft.")),
    ("reveal-asked", "good", de("Beantragt. Eine zweite Person aus der Leitung entscheidet darüber.")),
    ("reveal-approved", "good", de("Genehmigt. Sie beide können den Klarwert jetzt 24 Stunden lang anzeigen.")),
    ("reveal-declined", "good", de("Abgelehnt. Die Begründung steht beim Antrag.")),
    ("indicators-added", "good", de("Eingetragen. Die Einträge gelten binnen Sekunden; die Rückschau beginnt von selbst.")),
    ("feed-hurried", "good", de("Die Quelle wird binnen einer Minute abgefragt. Diese Seite zeigt danach, was sie brachte.")),
    ("retro-cancelled", "good", de("Die Rückschau ist abgebrochen. Was sie gefunden hat, bleibt.")),
    ("rule-switched", "good", de("Der Stand der Regel ist gesetzt. Er gilt in wenigen Sekunden.")),
    ("rule-tuned", "good", de("Die Regel wird dort stillgehalten. Der Filter gilt in wenigen Sekunden und endet von selbst.")),
    ("rule-untuned", "good", de("Der Filter ist beendet. Die Regel schlägt dort in wenigen Sekunden wieder an.")),
    ("backtest-cancelled", "good", de("Der Rücktest wird abgebrochen. Was er gefunden hat, steht hier.")),
    ("subscribed", "good", de("Das Abo ist eingetragen.")),
    ("unsubscribed", "good", de("Das Abo ist beendet.")),
    (
        "login-expired",
        "bad",
        de("Die Anmeldung hat zu lange gedauert oder wurde in einem anderen Fenster beendet. Bitte beginnen Sie noch einmal."),
    ),
    ("password-changed", "good", de("Das Kennwort ist geändert. Alle anderen Sitzungen sind beendet.")),
    ("app-removed", "good", de("Die App zählt nicht mehr als zweiter Faktor. Sie können den Eintrag „Wartburg“ dort löschen.")),
    ("passkey-added", "good", de("Der Passkey ist angelegt. Sie können sich damit anmelden.")),
    ("app-added", "good", de("Die App zählt ab jetzt als zweiter Faktor.")),
    ("passkey-removed", "good", de("Der Passkey ist entfernt. Löschen Sie ihn auch auf Ihrem Gerät.")),
    ("session-ended", "good", de("Die Sitzung ist beendet.")),
    ("sessions-ended", "good", de("Alle anderen Sitzungen sind beendet.")),
    ("account-saved", "good", de("Gespeichert. Haben sich Rolle oder Stelle geändert, ist das Konto überall abgemeldet.")),
    ("account-disabled", "good", de("Gesperrt. Das Konto ist überall abgemeldet, seine Zugriffsschlüssel gelten nicht mehr.")),
    ("account-enabled", "good", de("Die Sperre ist aufgehoben.")),
    ("account-signed-out", "good", de("Das Konto ist überall abgemeldet.")),
    ("token-revoked", "good", de("Widerrufen. Mit diesem Schlüssel kommt niemand mehr herein.")),
    ("mandate-granted", "good", de("Das Mandat ist eingetragen.")),
    ("mandate-ended", "good", de("Das Mandat ist beendet.")),
    ("provider-added", "good", de("Der Dienstleister ist eingetragen.")),
    ("password-set", "good", de("Das Kennwort ist gesetzt. Melden Sie sich jetzt damit an.")),
    ("search-saved", "good", de("Gespeichert. Hier können Sie die Suche teilen oder von selbst laufen lassen.")),
    ("search-deleted", "good", de("Die gespeicherte Suche ist gelöscht.")),
    ("search-scheduled", "good", de("Die Suche läuft ab jetzt im gewählten Takt.")),
    ("search-unscheduled", "good", de("Die Suche läuft nicht mehr von selbst.")),
    ("signed-out", "good", de("Sie sind abgemeldet.")),
];

impl Frame {
    pub(super) fn new(ask: &Ask, title: &str, place: Place) -> Self {
        let role = ask.viewer.as_ref().map(|viewer| viewer.role);
        let user = ask.viewer.as_ref().map(|viewer| viewer.name.clone()).unwrap_or_default();
        let ok = ask.query("ok");
        Self {
            title: title.to_owned(),
            css: assets::css(),
            theme_css: ask.app.settings.theme.as_ref().map(super::Theme::url).unwrap_or_default(),
            js: assets::js(),
            icon: assets::icon(),
            lang: words::language().code(),
            theme: match ask.cookie("thema") {
                Some("hell") => "light",
                Some("dunkel") => "dark",
                _ => "",
            },
            now: ask.now.rfc3339(),
            since: if role.is_some() { ask.app.live.now() } else { String::new() },
            csrf: ask.csrf(),
            signed_in: role.is_some(),
            initials: initials(&user),
            user,
            role: role.map_or("", access::role_label),
            may_search: may(role, "/suche"),
            search: if place == Place::Search { ask.query("q").to_owned() } else { String::new() },
            groups: navigation(ask, role, place),
            notice: NOTICES.iter().find(|(code, ..)| *code == ok).map(|(_, class, text)| (*class, t(text))),
            fresh: super::pages::fresh(ask),
            here: ask.path.clone(),
        }
    }
}

fn navigation(ask: &Ask, role: Option<Role>, place: Place) -> Vec<NavGroup> {
    let mut groups: Vec<NavGroup> = vec![];
    for (group, at, href, label) in NAVIGATION {
        // Whose start page is another page needs no item for it.
        let elsewhere = *at == Place::Overview && matches!(role, Some(Role::Steering | Role::Auditor | Role::Admin));
        let nothing_hidden = *at == Place::Reveals && !ask.app.pseudonyms.any();
        if elsewhere || nothing_hidden || !may(role, href) || (*at == Place::Mailbox && !ask.app.settings.demo) {
            continue;
        }
        let (group, label) = renamed(role, group, *at, label);
        let (group, label) = (t(group), t(label));
        let item = NavItem { href, label, current: *at == place, count: super::pages::count(ask, *at) };
        match groups.iter_mut().find(|known| known.label == group) {
            Some(known) => known.items.push(item),
            None => groups.push(NavGroup { label: group, items: vec![item] }),
        }
    }
    groups
}

/// Municipalities and the committee have few items: the CERT's words for work mean nothing to them.
fn renamed(role: Option<Role>, group: &'static str, place: Place, label: &'static str) -> (&'static str, &'static str) {
    match (role, place) {
        (Some(Role::Municipality | Role::Provider), Place::Overview) => (de("Ihre Stelle"), de("Start")),
        (Some(Role::Municipality | Role::Provider), Place::Incidents) => (de("Ihre Stelle"), de("Ihre Vorfälle")),
        (Some(Role::Municipality), Place::Kpis) => (de("Ihre Stelle"), de("Ihre Kennzahlen")),
        (Some(Role::Municipality | Role::Provider), Place::Sources) => (de("Ihre Stelle"), de("Ihre Quellen")),
        (Some(Role::Municipality | Role::Provider), Place::Advisories) => (de("Warndienst"), de("Warnungen")),
        (Some(Role::Municipality | Role::Provider), Place::Subscriptions) => (de("Warndienst"), de("Abos")),
        _ => (group, label),
    }
}

/// Whether a role may open a page.
pub(super) fn may(role: Option<Role>, path: &str) -> bool {
    let route = super::ROUTES.iter().find(|route| route.verb == super::Verb::Get && route.path == path);
    role.is_some() && route.is_some_and(|route| access::judge(route.who, role) == Verdict::Enter)
}

/// The first letters of the first and the last word.
fn initials(name: &str) -> String {
    let mut words = name.split(|ch: char| !ch.is_alphanumeric()).filter(|word| !word.is_empty());
    let letters = [words.next(), words.next_back()];
    letters.into_iter().flatten().filter_map(|word| word.chars().next()).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initials_of_names() {
        for (name, expected) in [("M. Lindner", "ML"), ("ISB Sömmerda", "IS"), ("Özil", "Ö"), ("", "")] {
            assert_eq!(initials(name), expected);
        }
    }

    #[test]
    fn every_navigation_item_is_a_route() {
        for (_, _, path, _) in NAVIGATION {
            assert!(super::super::ROUTES.iter().any(|route| route.path == *path), "{path}");
        }
    }
}
