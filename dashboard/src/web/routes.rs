//! All pages: method, path, who is let in, and the function that answers. The router is built from this table and
//! from nothing else, so a page without a declaration does not exist; the test walks it for every role.

use super::ask::{Ask, Reply};
use super::door;
use super::pages::{
    acknowledge, advisories, alerts, flows, incidents, kpis, mailbox, metrics, raster, reveals, rules, search, source, sources, start,
    subscriptions,
};
use super::stream;
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
    /// Asked by the script by itself: no click, so it keeps no session alive.
    pub(super) quiet: bool,
    pub(super) page: fn(&mut Ask) -> Reply,
}

const fn get(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    Route { verb: Verb::Get, path, who, quiet: false, page }
}

const fn quiet(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    Route { verb: Verb::Get, path, who, quiet: true, page }
}

const fn post(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    Route { verb: Verb::Post, path, who, quiet: false, page }
}

pub const ROUTES: &[Route] = &[
    get("/login", Who::Public, door::login_show),
    post("/login", Who::Public, door::login_do),
    post("/logout", Who::SignedIn, door::logout),
    post("/darstellung", Who::SignedIn, door::appearance),
    // A matter of taste, kept in the browser: also at the door.
    post("/sprache", Who::Public, door::appearance),
    get("/", Who::SignedIn, start::show),
    quiet("/lage/live", CERT, start::live),
    // Each topic has its own roles: `live::Topic`.
    quiet("/strom", CASES, stream::open),
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
    // The next lines for the grid.
    get("/suche/zeilen", CERT, search::rows),
    get("/ereignis/{number}", CERT, search::event),
    get("/fluesse", CERT, flows::show),
    get("/aufdeckung", CERT, reveals::list),
    post("/aufdeckung", CERT, reveals::ask_do),
    post("/aufdeckung/{id}/entscheiden", LEAD, reveals::decide),
    post("/aufdeckung/{id}/zeigen", CERT, reveals::look),
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
    post("/meldung/{id}/veroeffentlichen", CERT, advisories::step),
    post("/meldung/{id}/ueberarbeiten", CERT, advisories::step),
    post("/meldung/{id}/zurueckziehen", CERT, advisories::step),
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
    get("/bausteine/raster", CERT, raster::show),
    get("/bausteine/raster/zeilen", CERT, raster::rows),
    get("/bausteine/raster/{n}", CERT, raster::row),
    // Only a program with a mail sink has these.
    get("/postfach", Who::SignedIn, mailbox::list),
    get("/postfach/{id}", Who::SignedIn, mailbox::detail),
];
