//! All pages: method, path, who is let in, and the function that answers. The router is built from this table and
//! from nothing else, so a page without a declaration does not exist; the test walks it for every role.

use super::ask::{Ask, Reply};
use super::note::Note;
use super::pages::{
    account, account_edit, accounts, acknowledge, advisories, alerts, answer_link, api, deadlines, duties, event, exhibits, export, flows,
    gallery, incident_edit, incident_export, incident_join, incident_new, incidents, indicators, invitation, kpis, letters, mailbox,
    mandates, metrics, oidc, protocol, raster, reveals, rules, saved, search, self_report, source, sources, start, subscriptions,
    tail as tail_page, tasks, timeline, tokens, webhooks,
};
use super::{door, steps, stream, tail};
use crate::access::{ADMIN, AUDIT, BODIES, CASES, CERT, FIGURES, LEAD, SOURCES, SOURCES_EDIT, Who};
use crate::api_token::Area;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
}

/// Which programs a route lets in, beside people: those whose token has the area, or any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Any,
    In(Area),
}

/// Which check of the tenant a page makes. The test asks each route for an own and for a foreign object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenant {
    /// Not said, which a test complains of.
    Undeclared,
    /// Nothing on the page is anybody's: the door, rules, what concerns the viewer alone.
    Nobodys,
    /// A list or a sum of what is in the viewer's scope.
    Scoped,
    /// The path names one object of this kind; another tenant's does not exist.
    Own(Object),
    /// The path names one object of this kind, and whoever is let in sees those of all tenants.
    Any(Object),
    /// The path holds a secret, and who has it is let in.
    Secret,
}

/// What a path can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    Incident,
    Alert,
    Event,
    Advisory,
    Subscription,
    Source,
    Reveal,
    Rule,
    Kpi,
    Mail,
    Passkey,
    Session,
    /// Of another part: the test asks only for one that there is not.
    Other,
}

/// One row of the table: what a page is, and what it needs.
pub struct Route {
    pub verb: Verb,
    pub path: &'static str,
    pub who: Who,
    /// Without it a token opens nothing here.
    pub machine: Option<Machine>,
    pub tenant: Tenant,
    /// What of it stands in the audit log.
    pub note: Note,
    /// Wants a proof of who one is that is not older than `session::FRESH_MILLIS` (`stepup`).
    pub fresh: bool,
    /// Asked by the script by itself: no click, so it keeps no session alive.
    pub(super) quiet: bool,
    /// The longest form that it takes.
    pub form_bytes_max: usize,
    /// A file may come with the form (`web::upload`).
    pub(super) upload: bool,
    pub(super) page: fn(&mut Ask) -> Reply,
}

/// Forms are small: a name, a choice, a reason.
const FORM_BYTES_MAX: usize = 32 * 1024;
/// The longest is an advisory's text.
const FORM_BYTES_LONG: usize = 256 * 1024;

impl Route {
    const fn of(self, tenant: Tenant) -> Self {
        Self { tenant, ..self }
    }

    const fn note(self, note: Note) -> Self {
        Self { note, ..self }
    }

    const fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    const fn machine(self, machine: Machine) -> Self {
        Self { machine: Some(machine), ..self }
    }

    const fn upload(self) -> Self {
        Self { upload: true, ..self }
    }

    const fn long(self) -> Self {
        Self { form_bytes_max: FORM_BYTES_LONG, ..self }
    }

    /// For what publishes, reveals, deletes or grants. Only forms: a page that is only read has nothing to keep for later.
    const fn step_up(self) -> Self {
        assert!(matches!(self.verb, Verb::Post), "only forms can be kept while somebody proves who he is");
        assert!(!matches!(self.who, Who::Public), "who is not signed in has nothing to prove");
        Self { fresh: true, ..self }
    }
}

const fn route(verb: Verb, path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    Route {
        verb,
        path,
        who,
        tenant: Tenant::Undeclared,
        note: Note::Undeclared,
        machine: None,
        fresh: false,
        quiet: false,
        form_bytes_max: FORM_BYTES_MAX,
        upload: false,
        page,
    }
}

const fn get(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    route(Verb::Get, path, who, page)
}

const fn post(path: &'static str, who: Who, page: fn(&mut Ask) -> Reply) -> Route {
    route(Verb::Post, path, who, page)
}

/// For the test that plants routes.
#[cfg(test)]
pub(super) const fn planted(path: &'static str, who: Who, tenant: Tenant, page: fn(&mut Ask) -> Reply) -> Route {
    get(path, who, page).of(tenant).note(Note::Nothing)
}

use Note::{Asked, Done, Itself, Nothing, Seen, Taken};
use Object::{Advisory, Alert, Event, Incident, Kpi, Mail, Other, Passkey, Reveal, Rule, Session, Source, Subscription};
use Tenant::{Any, Nobodys, Own, Scoped, Secret};

pub const ROUTES: &[Route] = &[
    get("/login", Who::Public, door::login_show).of(Nobodys).note(Nothing),
    post("/login", Who::Public, door::login_do).of(Nobodys).note(Itself),
    get("/login/schritt", Who::Public, steps::show).of(Nobodys).note(Nothing),
    post("/login/nachweis", Who::Public, steps::factor_do).of(Nobodys).note(Itself),
    post("/login/einrichten", Who::Public, steps::enrol_do).of(Nobodys).note(Itself),
    post("/login/kennwort", Who::Public, steps::password_do).of(Nobodys).note(Itself),
    post("/login/passkey", Who::Public, steps::passkey_do).of(Nobodys).note(Itself),
    post("/login/passkey/optionen", Who::Public, steps::passkey_options).of(Nobodys).note(Itself),
    get("/konto", Who::SignedIn, account::show).of(Nobodys).note(Nothing),
    post("/konto/kennwort", Who::SignedIn, account::password).of(Nobodys).note(Itself),
    get("/konto/app", Who::SignedIn, account::app_show).of(Nobodys).note(Nothing),
    post("/konto/app", Who::SignedIn, account::app_begin).of(Nobodys).note(Itself).step_up(),
    post("/konto/app/bestaetigen", Who::SignedIn, account::app_confirm).of(Nobodys).note(Itself),
    post("/konto/app/entfernen", Who::SignedIn, account::app_remove).of(Nobodys).note(Itself).step_up(),
    post("/konto/codes", Who::SignedIn, account::codes).of(Nobodys).note(Itself).step_up(),
    post("/konto/passkey/neu", Who::SignedIn, account::passkey_new).of(Nobodys).note(Itself).step_up(),
    post("/konto/passkey", Who::SignedIn, account::passkey_add).of(Nobodys).note(Itself),
    post("/konto/passkey/{id}/nennen", Who::SignedIn, account::passkey_name).of(Own(Passkey)).note(Itself),
    post("/konto/passkey/{id}/entfernen", Who::SignedIn, account::passkey_remove).of(Own(Passkey)).note(Itself).step_up(),
    post("/konto/sitzung/{id}/beenden", Who::SignedIn, account::session_end).of(Own(Session)).note(Itself),
    post("/konto/sitzungen/beenden", Who::SignedIn, account::sessions_end).of(Nobodys).note(Itself),
    post("/logout", Who::SignedIn, door::logout).of(Nobodys).note(Itself),
    post("/darstellung", Who::SignedIn, door::appearance).of(Nobodys).note(Nothing),
    // A matter of taste, kept in the browser: also at the door.
    post("/sprache", Who::Public, door::appearance).of(Nobodys).note(Nothing),
    // The outside provider. GET, because a form may not lead to another host (CSP); what comes back proves itself, and who
    // is let in has his row from the session's opening.
    get("/login/oidc", Who::Public, oidc::start).of(Nobodys).note(Nothing),
    get("/login/oidc/zurueck", Who::Public, oidc::back).of(Nobodys).note(Itself),
    get("/login/oidc/abmelden", Who::Public, oidc::logout).of(Nobodys).note(Nothing),
    // Links that carry their own secret. Mail filters open them: only the form uses one up.
    get("/einladung/{token}", Who::Public, invitation::show).of(Secret).note(Nothing),
    post("/einladung/{token}", Who::Public, invitation::redeem).of(Secret).note(Itself),
    // Accounts, tokens and mandates write their rows in the transactions of their nouns, also for the command line.
    get("/konto/zugriff", Who::SignedIn, tokens::show).of(Nobodys).note(Nothing),
    post("/konto/zugriff", Who::SignedIn, tokens::add).of(Nobodys).note(Itself).step_up(),
    post("/konto/zugriff/{id}/widerrufen", Who::SignedIn, tokens::revoke).of(Any(Other)).note(Itself),
    get("/api/v1/me", Who::SignedIn, api::me).of(Nobodys).note(Nothing).machine(Machine::Any),
    // Cases for programs. What changes something takes JSON from a token, or a form with its CSRF token from a session.
    get("/api/v1/incidents", CASES, api::incidents::list).of(Scoped).note(Nothing).machine(Machine::In(Area::Incidents)),
    get("/api/v1/alerts", CERT, api::incidents::alert_all).of(Scoped).note(Nothing).machine(Machine::In(Area::Incidents)),
    get("/api/v1/incidents/{number}", CASES, api::incidents::detail)
        .of(Own(Incident))
        .note(Seen("incident.seen", "incident"))
        .machine(Machine::In(Area::Incidents)),
    get("/api/v1/incidents/{number}/history", CASES, api::incidents::history)
        .of(Own(Incident))
        .note(Seen("incident.seen", "incident"))
        .machine(Machine::In(Area::Incidents)),
    get("/api/v1/incidents/{number}/recommendations", CASES, api::incidents::recommendations)
        .of(Own(Incident))
        .note(Seen("incident.seen", "incident"))
        .machine(Machine::In(Area::Incidents)),
    get("/api/v1/incidents/{number}/alerts", CERT, api::incidents::alerts)
        .of(Own(Incident))
        .note(Seen("incident.seen", "incident"))
        .machine(Machine::In(Area::Incidents)),
    post("/api/v1/incidents", CASES, api::acts::open)
        .of(Scoped)
        .note(Done("incident.opened", "incident", &[]))
        .machine(Machine::In(Area::Incidents)),
    post("/api/v1/incidents/{number}/notes", CERT, api::acts::note)
        .of(Own(Incident))
        .note(Done("incident.noted", "incident", &[]))
        .machine(Machine::In(Area::Incidents)),
    post("/api/v1/incidents/{number}/move", CERT, api::acts::move_to)
        .of(Own(Incident))
        .note(Done("incident.moved", "incident", &[]))
        .machine(Machine::In(Area::Incidents)),
    post("/api/v1/incidents/{number}/close", CERT, api::acts::close)
        .of(Own(Incident))
        .note(Done("incident.moved", "incident", &[]))
        .machine(Machine::In(Area::Incidents)),
    post("/api/v1/incidents/{number}/assignee", CERT, api::acts::assign)
        .of(Own(Incident))
        .note(Done("incident.assigned", "incident", &[]))
        .machine(Machine::In(Area::Incidents)),
    post("/api/v1/incidents/{number}/answer", CASES, api::acts::answer)
        .of(Own(Incident))
        .note(Done("recommendation.answered", "incident", &[]))
        .machine(Machine::In(Area::Incidents)),
    get("/konten", ADMIN, accounts::list).of(Nobodys).note(Seen("account.listed", "accounts")),
    get("/konten/neu", ADMIN, accounts::new_show).of(Nobodys).note(Nothing),
    post("/konten/neu", ADMIN, accounts::new_do).of(Nobodys).note(Itself).step_up(),
    get("/konten/mandate", ADMIN, mandates::show).of(Nobodys).note(Nothing),
    post("/konten/mandate", ADMIN, mandates::add).of(Nobodys).note(Itself).step_up(),
    // What takes rights away wants no second proof: it may have to be quick.
    post("/konten/mandate/{id}/beenden", ADMIN, mandates::end).of(Any(Other)).note(Itself),
    post("/konten/dienstleister", ADMIN, mandates::provider_add).of(Nobodys).note(Itself).step_up(),
    // Programs that are told of cases. What names them wants a proof: it sends something out of the house.
    get("/konten/webhooks", ADMIN, webhooks::show).of(Nobodys).note(Nothing),
    post("/konten/webhooks", ADMIN, webhooks::add).of(Nobodys).note(Done("webhook.added", "webhook", &["name", "ereignis"])).step_up(),
    post("/konten/webhooks/{id}/beenden", ADMIN, webhooks::end).of(Any(Other)).note(Done("webhook.ended", "webhook", &[])),
    post("/konten/webhooks/{id}/erneut", ADMIN, webhooks::again).of(Any(Other)).note(Done("webhook.retried", "webhook", &[])),
    get("/konten/{id}", ADMIN, account_edit::show).of(Any(Other)).note(Seen("account.seen", "user")),
    post("/konten/{id}", ADMIN, account_edit::change).of(Any(Other)).note(Itself).step_up(),
    post("/konten/{id}/sperren", ADMIN, account_edit::disable).of(Any(Other)).note(Itself),
    post("/konten/{id}/freigeben", ADMIN, account_edit::enable).of(Any(Other)).note(Itself).step_up(),
    post("/konten/{id}/zuruecksetzen", ADMIN, account_edit::reset).of(Any(Other)).note(Itself).step_up(),
    post("/konten/{id}/abmelden", ADMIN, account_edit::sessions_end).of(Any(Other)).note(Itself),
    post("/konten/{id}/zugriff/{token}/widerrufen", ADMIN, account_edit::token_revoke).of(Any(Other)).note(Itself),
    get("/", Who::SignedIn, start::show).of(Scoped).note(Nothing),
    get("/lage/live", CERT, start::live).of(Scoped).note(Nothing).quiet(),
    // Each topic has its own roles: `live::Topic`.
    get("/strom", CASES, stream::open).of(Scoped).note(Nothing).quiet(),
    get("/vorfaelle", CASES, incidents::list).of(Scoped).note(Nothing),
    post("/vorfaelle", CERT, incidents::bulk_act).long().of(Scoped).note(Done("incident.bulk", "incident", &["tat", "wer"])),
    get("/vorfaelle.csv", CASES, incident_export::list)
        .of(Scoped)
        .note(Taken("incident.exported", "incident"))
        .machine(Machine::In(Area::Incidents)),
    get("/fristen", CASES, deadlines::list).of(Scoped).note(Nothing),
    // What somebody told on the phone, and the links by which bodies report themselves.
    get("/vorfaelle/neu", CERT, incident_new::show).of(Nobodys).note(Nothing),
    post("/vorfaelle/neu", CERT, incident_new::open).long().of(Nobodys).note(Done("incident.opened", "incident", &["stelle", "weg"])),
    get("/vorfaelle/meldelinks", CERT, incident_new::links).of(Nobodys).note(Seen("contacts.seen", "contacts")),
    post("/vorfaelle/meldelinks", CERT, incident_new::issue).of(Nobodys).note(Done("report_link.issued", "report_link", &["an", "weg"])),
    get("/vorfall/{number}/export", CASES, incident_export::download)
        .of(Own(Incident))
        .note(Taken("incident.exported", "incident"))
        .machine(Machine::In(Area::Incidents)),
    get("/vorfall/{number}/bericht.pdf", CASES, incident_export::report)
        .of(Own(Incident))
        .note(Taken("incident.exported", "incident"))
        .machine(Machine::In(Area::Incidents)),
    get("/vorfall/{number}", CASES, incidents::detail).of(Own(Incident)).note(Seen("incident.seen", "incident")),
    post("/vorfall/{number}/uebernehmen", CERT, incidents::assign).of(Own(Incident)).note(Done("incident.assigned", "incident", &[])),
    post("/vorfall/{number}/stand", CERT, incidents::move_to).of(Own(Incident)).note(Done(
        "incident.moved",
        "incident",
        &["nach", "ergebnis"],
    )),
    post("/vorfall/{number}/notiz", CERT, incidents::note).of(Own(Incident)).note(Done("incident.noted", "incident", &[])),
    get("/vorfall/{number}/angaben", CERT, incident_edit::show).of(Own(Incident)).note(Nothing),
    post("/vorfall/{number}/angaben", CERT, incident_edit::save).of(Own(Incident)).note(Done(
        "incident.edited",
        "incident",
        &["tlp", "schwere"],
    )),
    post("/vorfall/{number}/zeitleiste", CERT, timeline::add).of(Own(Incident)).note(Done("timeline.added", "incident", &["zeit"])),
    post("/vorfall/{number}/zeitleiste/streichen", CERT, timeline::strike).of(Own(Incident)).note(Done(
        "timeline.struck",
        "incident",
        &["eintrag"],
    )),
    post("/zeitleiste", CERT, timeline::take_over).of(Scoped).note(Done("timeline.added", "incident", &["vorfall", "ereignis"])),
    // Tasks are the CERT's, of whichever case.
    get("/aufgaben", CERT, tasks::list).of(Scoped).note(Nothing),
    post("/aufgaben", CERT, tasks::add).of(Scoped).note(Done("task.added", "task", &["vorfall"])),
    get("/aufgabe/{id}", CERT, tasks::detail).of(Any(Other)).note(Nothing),
    post("/aufgabe/{id}", CERT, tasks::edit).of(Any(Other)).note(Done("task.changed", "task", &["wer", "bis"])),
    post("/aufgabe/{id}/stand", CERT, tasks::move_to).of(Any(Other)).note(Done("task.changed", "task", &["nach"])),
    get("/vorfall/{number}/zusammenfuehren", CERT, incident_join::merge_show).of(Own(Incident)).note(Nothing),
    post("/vorfall/{number}/zusammenfuehren", CERT, incident_join::merge_do).of(Own(Incident)).note(Done(
        "incident.merged",
        "incident",
        &["mit"],
    )),
    get("/vorfall/{number}/trennen", CERT, incident_join::split_show).of(Own(Incident)).note(Nothing),
    post("/vorfall/{number}/trennen", CERT, incident_join::split_do).of(Own(Incident)).note(Done("incident.split", "incident", &[])).long(),
    post("/vorfall/{number}/verbinden", CERT, incident_join::link_do).of(Own(Incident)).note(Done("incident.linked", "incident", &["mit"])),
    post("/vorfall/{number}/loesen", CERT, incident_join::unlink_do).of(Own(Incident)).note(Done(
        "incident.unlinked",
        "incident",
        &["mit"],
    )),
    post("/vorfall/{number}/empfehlung", CERT, incidents::send).of(Own(Incident)).note(Done(
        "recommendation.sent",
        "incident",
        &["empfehlung"],
    )),
    post("/vorfall/{number}/warnung", CERT, incidents::warn).of(Own(Incident)).note(Done("incident.warning", "incident", &["wahl"])),
    post("/vorfall/{number}/antwort", CASES, incidents::answer).of(Own(Incident)).note(Done(
        "recommendation.answered",
        "incident",
        &["empfehlung", "wort", "schritt"],
    )),
    get("/vorfall/{number}/pflicht/{duty}", CASES, duties::show).of(Own(Incident)).note(Seen("duty.seen", "incident")),
    get("/vorfall/{number}/pflicht/{duty}/formular.json", CASES, duties::file).of(Own(Incident)).note(Taken("duty.taken", "incident")),
    get("/vorfall/{number}/pflicht/{duty}/formular.pdf", CASES, duties::paper).of(Own(Incident)).note(Taken("duty.taken", "incident")),
    post("/vorfall/{number}/pflicht/{duty}", CASES, duties::act).long().of(Own(Incident)).note(Done("duty.acted", "incident", &["tat"])),
    post("/vorfall/{number}/beweis", CERT, exhibits::add).of(Own(Incident)).note(Done("exhibit.added", "incident", &["datei"])).upload(),
    // A form, because whoever takes a file out says what for.
    post("/vorfall/{number}/beweis/{id}/herunterladen", CERT, exhibits::take).of(Own(Incident)).note(Done(
        "exhibit.downloaded",
        "exhibit",
        &["zweck"],
    )),
    post("/vorfall/{number}/beweis/{id}/freigeben", CERT, exhibits::release).of(Own(Incident)).note(Done(
        "exhibit.released",
        "exhibit",
        &["grund"],
    )),
    post("/vorfall/{number}/schreiben", CERT, letters::send).of(Own(Incident)).note(Done("letter.sent", "incident", &["an"])),
    get("/post", CERT, letters::tray).of(Scoped).note(Nothing),
    get("/post/{id}", CERT, letters::detail).of(Any(Other)).note(Seen("letter.seen", "letter")),
    post("/post/{id}/zuordnen", CERT, letters::file).of(Any(Other)).note(Done("letter.filed", "letter", &["nummer"])),
    post("/post/{id}/eroeffnen", CERT, letters::open_case).of(Any(Other)).note(Done("letter.opened_case", "letter", &["stelle"])),
    post("/post/{id}/ablegen", CERT, letters::set_aside).of(Any(Other)).note(Done("letter.set_aside", "letter", &[])),
    get("/alarme", CERT, alerts::list).of(Scoped).note(Nothing),
    post("/alarme", CERT, alerts::bulk_act).long().of(Scoped).note(Done("alert.bulk", "alert", &["tat", "wer", "nummer"])),
    post("/alarm/{id}/schliessen", CERT, alerts::close).of(Any(Alert)).note(Done("alert.closed", "alert", &["urteil"])),
    post("/alarm/{id}/bestaetigen", CERT, alerts::acknowledge).of(Any(Alert)).note(Done("alert.acknowledged", "alert", &[])),
    get("/suche", CERT, search::show).of(Scoped).note(Asked("search.asked", "search")),
    // The next lines for the grid. Those behind a cursor are noted once an hour and search (`search.paged`); who asks here
    // for the first ones has searched, and that is noted as on the page.
    get("/suche/zeilen", CERT, search::rows).of(Scoped).note(Asked("search.asked", "search")),
    get("/suche/export.csv", CERT, export::csv).of(Scoped).note(Taken("search.exported", "search")),
    get("/suche/export.ndjson", CERT, export::ndjson).of(Scoped).note(Taken("search.exported", "search")),
    get("/suche/export.parquet", CERT, export::parquet).of(Scoped).note(Taken("search.exported", "search")),
    // Saved searches write their rows in the transactions of `saved_search`. Whose they are, that decides.
    get("/suche/gespeichert", CERT, saved::list).of(Nobodys).note(Nothing),
    post("/suche/gespeichert", CERT, saved::add).of(Nobodys).note(Itself),
    get("/suche/gespeichert/{id}", CERT, saved::show).of(Any(Other)).note(Nothing),
    post("/suche/gespeichert/{id}", CERT, saved::change).of(Any(Other)).note(Itself),
    post("/suche/gespeichert/{id}/loeschen", CERT, saved::delete).of(Any(Other)).note(Itself),
    post("/suche/gespeichert/{id}/plan", CERT, saved::schedule).of(Any(Other)).note(Itself),
    get("/suche/live", CERT, tail_page::show).of(Scoped).note(Asked("search.asked", "search")),
    // Noted once an hour: a browser comes back by itself.
    get("/suche/strom", CERT, tail::open).of(Scoped).note(Itself).quiet(),
    get("/ereignis/{number}", CERT, event::show).of(Any(Event)).note(Seen("event.seen", "event")),
    get("/fluesse", CERT, flows::show).of(Scoped).note(Asked("flows.asked", "flows")),
    get("/fluesse/verbindung", CERT, flows::connection).of(Scoped).note(Asked("flows.asked", "flows")),
    get("/aufdeckung", CERT, reveals::list).of(Scoped).note(Nothing),
    // Asking, deciding and looking write their rows in the transactions of `reveal`.
    post("/aufdeckung", CERT, reveals::ask_do).of(Nobodys).note(Itself),
    post("/aufdeckung/{id}/entscheiden", LEAD, reveals::decide).of(Any(Reveal)).note(Itself).step_up(),
    post("/aufdeckung/{id}/zeigen", CERT, reveals::look).of(Any(Reveal)).note(Itself).step_up(),
    get("/indikatoren", CERT, indicators::list).of(Nobodys).note(Nothing),
    get("/indikatoren/eintraege", CERT, indicators::entries).of(Nobodys).note(Nothing),
    // These write their rows in their own transactions.
    post("/indikatoren", CERT, indicators::add).of(Nobodys).note(Itself).long(),
    post("/indikatoren/rueckschau/{id}/abbrechen", CERT, indicators::cancel).of(Any(Other)).note(Itself),
    post("/indikatoren/feed", CERT, indicators::hurry).of(Nobodys).note(Itself),
    get("/regeln", CERT, rules::list).of(Nobodys).note(Nothing),
    get("/regeln/abdeckung", CERT, rules::coverage::show).of(Nobodys).note(Nothing),
    get("/regeln/abdeckung.json", CERT, rules::coverage::layer).of(Nobodys).note(Nothing),
    get("/regeln/ruecktest", CERT, rules::backtest::list).of(Nobodys).note(Nothing),
    post("/regeln/ruecktest", CERT, rules::backtest::start).of(Nobodys).note(Done("rule.backtested", "rule", &["regel", "tage"])).long(),
    get("/regeln/ruecktest/{id}", CERT, rules::backtest::show).of(Any(Other)).note(Nothing),
    post("/regeln/ruecktest/{id}/abbrechen", CERT, rules::backtest::cancel).of(Any(Other)).note(Done(
        "rule.backtest_cancelled",
        "backtest",
        &[],
    )),
    get("/regel/{name}", CERT, rules::rule::detail).of(Any(Rule)).note(Nothing),
    post("/regel/{name}/stand", LEAD, rules::rule::switch).of(Any(Rule)).note(Done("rule.switched", "rule", &["stand", "grund"])),
    get("/regel/{name}/stillhalten", CERT, rules::tuning::show).of(Any(Rule)).note(Nothing),
    post("/regel/{name}/stillhalten", CERT, rules::tuning::add).of(Any(Rule)).note(Done("rule.tuned", "rule", &["grund", "tage"])),
    post("/regel/{name}/stillhalten/{id}/beenden", CERT, rules::tuning::remove).of(Any(Rule)).note(Done("rule.untuned", "rule", &[])),
    get("/meldungen", CASES, advisories::list).of(Scoped).note(Nothing),
    get("/meldung/neu", CERT, advisories::new_show).of(Nobodys).note(Nothing),
    post("/meldung/neu", CERT, advisories::new_do).of(Nobodys).note(Done("advisory.drafted", "advisory", &[])).long(),
    get("/meldung/{id}", CASES, advisories::detail).of(Own(Advisory)).note(Seen("advisory.seen", "advisory")),
    get("/meldung/{id}/csaf", CASES, advisories::csaf)
        .of(Own(Advisory))
        .note(Taken("advisory.downloaded", "advisory"))
        .machine(Machine::In(Area::Advisories)),
    get("/meldung/{id}/bearbeiten", CERT, advisories::edit_show).of(Own(Advisory)).note(Nothing),
    post("/meldung/{id}/bearbeiten", CERT, advisories::edit_do).of(Own(Advisory)).note(Done("advisory.edited", "advisory", &[])).long(),
    post("/meldung/{id}/pruefen", CERT, advisories::step).of(Own(Advisory)).note(Done("advisory.submitted", "advisory", &[])),
    post("/meldung/{id}/freigeben", CERT, advisories::step).of(Own(Advisory)).note(Done("advisory.approved", "advisory", &[])),
    post("/meldung/{id}/zurueck", CERT, advisories::step).of(Own(Advisory)).note(Done("advisory.returned", "advisory", &[])),
    post("/meldung/{id}/veroeffentlichen", CERT, advisories::step)
        .of(Own(Advisory))
        .note(Done("advisory.published", "advisory", &[]))
        .step_up(),
    post("/meldung/{id}/ueberarbeiten", CERT, advisories::step).of(Own(Advisory)).note(Done("advisory.revised", "advisory", &[])),
    post("/meldung/{id}/zurueckziehen", CERT, advisories::step)
        .of(Own(Advisory))
        .note(Done("advisory.withdrawn", "advisory", &[]))
        .step_up(),
    post("/meldung/{id}/kenntnis", BODIES, advisories::acknowledge).of(Own(Advisory)).note(Done(
        "advisory.acknowledged",
        "advisory",
        &["antwort", "stelle"],
    )),
    // Mail filters open every link: that is nobody's look.
    get("/w/{token}", Who::Public, acknowledge::show).of(Secret).note(Nothing),
    post("/w/{token}", Who::Public, acknowledge::answer).of(Secret).note(Done("advisory.acknowledged", "advisory", &["antwort"])),
    get("/empfehlung/{token}", Who::Public, answer_link::show).of(Secret).note(Nothing),
    post("/empfehlung/{token}", Who::Public, answer_link::answer).of(Secret).note(Done(
        "recommendation.answered",
        "incident",
        &["wort", "schritt"],
    )),
    // A body reports by a one-time link. Who asks for one learns nothing of who gets one.
    get("/melden", Who::Public, self_report::ask_show).of(Nobodys).note(Nothing),
    post("/melden", Who::Public, self_report::ask_do).of(Nobodys).note(Done("report_link.asked", "report_link", &["stelle"])),
    get("/melden/{token}", Who::Public, self_report::show).of(Secret).note(Nothing),
    post("/melden/{token}", Who::Public, self_report::submit).long().of(Secret).note(Done("incident.reported", "incident", &[])),
    get("/abos", CASES, subscriptions::list).of(Scoped).note(Seen("contacts.seen", "contacts")),
    post("/abos", CASES, subscriptions::add).of(Scoped).note(Done("subscription.added", "subscription", &["stelle", "schwere", "art"])),
    post("/abo/{id}/beenden", CASES, subscriptions::toggle).of(Own(Subscription)).note(Done("subscription.changed", "subscription", &[])),
    get("/kennzahlen", FIGURES, kpis::list).of(Scoped).note(Nothing),
    // Also with `.csv` behind the name, which is a download (`kpis::detail` says so).
    get("/kennzahl/{name}", FIGURES, kpis::detail).of(Any(Kpi)).note(Nothing).machine(Machine::In(Area::Kpis)),
    get("/quellen", SOURCES, sources::list).of(Scoped).note(Nothing),
    get("/quelle/{id}", SOURCES, source::detail).of(Own(Source)).note(Nothing),
    post("/quelle/{id}", SOURCES_EDIT, source::edit).of(Own(Source)).note(Done("source.changed", "source", &["erwartet", "zone", "jahr"])),
    get("/protokoll", AUDIT, protocol::list).of(Nobodys).note(Seen("audit.seen", "audit")),
    get("/protokoll.csv", AUDIT, protocol::download).of(Nobodys).note(Taken("audit.downloaded", "audit")),
    // The components that all pages are made of, with invented values.
    get("/bausteine", Who::SignedIn, gallery::show).of(Nobodys).note(Nothing),
    get("/bausteine/raster", Who::SignedIn, raster::show).of(Nobodys).note(Nothing),
    get("/bausteine/raster/zeilen", Who::SignedIn, raster::rows).of(Nobodys).note(Nothing),
    get("/bausteine/raster/{n}", Who::SignedIn, raster::row).of(Any(Other)).note(Nothing),
    // Asks for its own token.
    get("/metrics", Who::Public, metrics::show).of(Nobodys).note(Nothing),
    // Only a program with a mail sink has these: the demo's mails, for everybody in it.
    get("/postfach", Who::SignedIn, mailbox::list).of(Nobodys).note(Nothing),
    get("/postfach/{id}", Who::SignedIn, mailbox::detail).of(Any(Mail)).note(Nothing),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_says_what_it_needs() {
        for route in ROUTES {
            let name = format!("{:?} {}", route.verb, route.path);
            assert_ne!(route.tenant, Tenant::Undeclared, "{name}: whose is what it shows? `.of(…)` in routes.rs says it");
            assert_ne!(route.note, Note::Undeclared, "{name}: what of it must stand in the audit log? `.note(…)` in routes.rs says it");
            let names_one = matches!(route.tenant, Own(_) | Any(_) | Secret);
            assert_eq!(route.path.contains('{'), names_one, "{name}: a path that names something says what");
            // What changes something is written down, whoever wrote the page.
            let harmless = ["/darstellung", "/sprache"].contains(&route.path);
            assert!(route.verb == Verb::Get || matches!(route.note, Done(..) | Itself) || harmless, "{name}: a change without a row");
            assert!(route.verb == Verb::Post || !matches!(route.note, Done(..)), "{name}: no link changes anything");
        }
    }

    #[test]
    fn no_route_stands_twice() {
        for (n, route) in ROUTES.iter().enumerate() {
            assert!(!ROUTES.iter().skip(n + 1).any(|other| other.verb == route.verb && other.path == route.path), "{}", route.path);
        }
    }
}
