//! All pages: method, path, who is let in, and the function that answers. The router is built from this table and
//! from nothing else, so a page without a declaration does not exist; the test walks it for every role.

use super::ask::{Ask, Reply};
use super::pages::{
    account, acknowledge, advisories, alerts, flows, incidents, kpis, mailbox, metrics, reveals, rules, search, source, sources, start,
    subscriptions,
};
use super::{door, steps};
use crate::access::{BODIES, CASES, CERT, FIGURES, LEAD, SOURCES, SOURCES_EDIT, Who};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
}

/// One row of the table.
pub struct Route {
    pub verb: Verb,
    pub path: &'static str,
    pub who: Who,
    /// Wants a proof of who one is that is not older than `session::FRESH_MILLIS` (`stepup`).
    pub fresh: bool,
    pub(super) page: fn(&mut Ask) -> Reply,
}

const fn get(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    Route { verb: Verb::Get, path, who, fresh: false, page }
}

const fn post(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    Route { verb: Verb::Post, path, who, fresh: false, page }
}

impl Route {
    /// For what publishes, reveals, deletes or grants. Only forms: a page that is only read has nothing to keep for later.
    const fn step_up(mut self) -> Self {
        assert!(matches!(self.verb, Verb::Post), "only forms can be kept while somebody proves who he is");
        assert!(!matches!(self.who, Who::Public), "who is not signed in has nothing to prove");
        self.fresh = true;
        self
    }
}

pub const ROUTES: &[Route] = &[
    get("/login", Who::Public, door::login_show),
    post("/login", Who::Public, door::login_do),
    get("/login/schritt", Who::Public, steps::show),
    post("/login/nachweis", Who::Public, steps::factor_do),
    post("/login/einrichten", Who::Public, steps::enrol_do),
    post("/login/kennwort", Who::Public, steps::password_do),
    post("/login/passkey", Who::Public, steps::passkey_do),
    post("/login/passkey/optionen", Who::Public, steps::passkey_options),
    get("/konto", Who::SignedIn, account::show),
    post("/konto/kennwort", Who::SignedIn, account::password),
    get("/konto/app", Who::SignedIn, account::app_show),
    post("/konto/app", Who::SignedIn, account::app_begin).step_up(),
    post("/konto/app/bestaetigen", Who::SignedIn, account::app_confirm),
    post("/konto/app/entfernen", Who::SignedIn, account::app_remove).step_up(),
    post("/konto/codes", Who::SignedIn, account::codes).step_up(),
    post("/konto/passkey/neu", Who::SignedIn, account::passkey_new).step_up(),
    post("/konto/passkey", Who::SignedIn, account::passkey_add),
    post("/konto/passkey/{id}/nennen", Who::SignedIn, account::passkey_name),
    post("/konto/passkey/{id}/entfernen", Who::SignedIn, account::passkey_remove).step_up(),
    post("/konto/sitzung/{id}/beenden", Who::SignedIn, account::session_end),
    post("/konto/sitzungen/beenden", Who::SignedIn, account::sessions_end),
    post("/logout", Who::SignedIn, door::logout),
    post("/darstellung", Who::SignedIn, door::appearance),
    // A matter of taste, kept in the browser: also at the door.
    post("/sprache", Who::Public, door::appearance),
    get("/", Who::SignedIn, start::show),
    get("/lage/live", CERT, start::live),
    get("/vorfaelle", CASES, incidents::list),
    get("/vorfall/{number}", CASES, incidents::detail),
    post("/vorfall/{number}/uebernehmen", CERT, incidents::assign),
    post("/vorfall/{number}/stand", CERT, incidents::move_to),
    post("/vorfall/{number}/notiz", CERT, incidents::note),
    post("/vorfall/{number}/empfehlung", CERT, incidents::send),
    post("/vorfall/{number}/antwort", CASES, incidents::answer),
    get("/alarme", CERT, alerts::list),
    post("/alarm/{id}/bestaetigen", CERT, alerts::acknowledge),
    get("/suche", CERT, search::show),
    get("/fluesse", CERT, flows::show),
    get("/aufdeckung", CERT, reveals::list),
    post("/aufdeckung", CERT, reveals::ask_do),
    post("/aufdeckung/{id}/entscheiden", LEAD, reveals::decide).step_up(),
    post("/aufdeckung/{id}/zeigen", CERT, reveals::look).step_up(),
    get("/regeln", CERT, rules::list),
    get("/regel/{name}", CERT, rules::detail),
    get("/meldungen", CASES, advisories::list),
    get("/meldung/neu", CERT, advisories::new_show),
    post("/meldung/neu", CERT, advisories::new_do),
    get("/meldung/{id}", CASES, advisories::detail),
    get("/meldung/{id}/csaf", CASES, advisories::csaf),
    get("/meldung/{id}/bearbeiten", CERT, advisories::edit_show),
    post("/meldung/{id}/bearbeiten", CERT, advisories::edit_do),
    post("/meldung/{id}/pruefen", CERT, advisories::step),
    post("/meldung/{id}/freigeben", CERT, advisories::step),
    post("/meldung/{id}/zurueck", CERT, advisories::step),
    post("/meldung/{id}/veroeffentlichen", CERT, advisories::step).step_up(),
    post("/meldung/{id}/ueberarbeiten", CERT, advisories::step),
    post("/meldung/{id}/zurueckziehen", CERT, advisories::step).step_up(),
    post("/meldung/{id}/kenntnis", BODIES, advisories::acknowledge),
    get("/w/{token}", Who::Public, acknowledge::show),
    post("/w/{token}", Who::Public, acknowledge::answer),
    get("/abos", CASES, subscriptions::list),
    post("/abos", CASES, subscriptions::add),
    post("/abo/{id}/beenden", CASES, subscriptions::toggle),
    get("/kennzahlen", FIGURES, kpis::list),
    // Also with `.csv` behind the name.
    get("/kennzahl/{name}", FIGURES, kpis::detail),
    get("/quellen", SOURCES, sources::list),
    get("/quelle/{id}", SOURCES, source::detail),
    post("/quelle/{id}", SOURCES_EDIT, source::edit),
    // Asks for its own token.
    get("/metrics", Who::Public, metrics::show),
    // Only a program with a mail sink has these.
    get("/postfach", Who::SignedIn, mailbox::list),
    get("/postfach/{id}", Who::SignedIn, mailbox::detail),
];
