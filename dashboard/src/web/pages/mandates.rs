//! Mandate: which provider acts for which bodies, since when and until when; entered and ended here.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use ingest::db::DbError;

use super::accounts::{Tenants, choices};
use crate::mandate::{
    self, Mandate, MandateError, MandateId, NAME_CHARS_MAX, NewMandate, mandate_add, mandate_end, mandate_list, provider_list,
};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{Names, t, tf, tn};

struct Row {
    id: String,
    provider: String,
    body: String,
    period: String,
    granted_by: String,
    state: Markup,
    may_end: bool,
}

#[derive(Template)]
#[template(path = "mandates.html")]
struct MandatesPage {
    frame: Frame,
    problem: String,
    rows: Vec<Row>,
    /// Providers, and how many accounts each has, in words.
    organisations: Vec<(String, String)>,
    bodies: Vec<(String, String)>,
    providers: Vec<(String, String)>,
    provider: String,
    body: String,
    from: String,
    until: String,
    name: String,
    name_max: usize,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new())
}

fn page(ask: &Ask, status: StatusCode, problem: String) -> Reply {
    let tenants = Tenants::load(ask)?;
    let (mandates, organisations, names) = ask.app.db.read(|c| Ok::<_, DbError>((mandate_list(c)?, provider_list(c)?, Names::load(c)?)))?;
    let bodies: HashMap<_, _> = tenants.bodies.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let providers: HashMap<_, _> = tenants.providers.iter().map(|(id, name)| (*id, name.as_str())).collect();
    let row = |one: &Mandate| Row {
        id: one.id.to_string(),
        provider: providers.get(&one.provider).map_or_else(String::new, |name| (*name).to_owned()),
        body: bodies.get(&one.body).map_or_else(String::new, |name| (*name).to_owned()),
        period: match (one.ended_at, one.until) {
            (Some(ended), _) => tf("{from} bis {to}", &[("from", &show::date(one.from)), ("to", &show::date(ended))]),
            (None, Some(until)) => tf("{from} bis {to}", &[("from", &show::date(one.from)), ("to", &show::date(until.plus(-1)))]),
            (None, None) => tf("seit {from}", &[("from", &show::date(one.from))]),
        },
        granted_by: names.of(&one.granted_by),
        state: if one.holds(ask.now) {
            show::badge(Tone::Good, t("gilt"))
        } else if one.ended_at.is_none() && one.from > ask.now {
            show::badge(Tone::Mid, t("beginnt noch"))
        } else {
            show::badge(Tone::Quiet, t("beendet"))
        },
        may_end: one.ended_at.is_none() && one.until.is_none_or(|until| ask.now < until),
    };
    let today = show::day_input(ask.now);
    let typed = !problem.is_empty();
    let page = MandatesPage {
        frame: ask.frame(t("Mandate der Dienstleister"), Place::Accounts),
        rows: mandates.iter().map(row).collect(),
        organisations: organisations.into_iter().map(|one| (one.name, tn("1 Konto", "{n} Konten", one.accounts.unsigned_abs()))).collect(),
        bodies: choices(&tenants.bodies),
        providers: choices(&tenants.providers),
        provider: ask.form("dienstleister").to_owned(),
        body: ask.form("stelle").to_owned(),
        from: if typed && !ask.form("von").is_empty() { ask.form("von").to_owned() } else { today },
        until: ask.form("bis").to_owned(),
        name: ask.form("name").to_owned(),
        name_max: NAME_CHARS_MAX,
        problem,
    };
    ask.page_status(status, &page)
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let again = |ask: &Ask, text: &str| page(ask, StatusCode::UNPROCESSABLE_ENTITY, text.to_owned());
    let chosen = (ask.form("dienstleister").parse(), ask.form("stelle").parse());
    let (Ok(provider), Ok(body)) = chosen else {
        return again(ask, t("Bitte wählen Sie einen Dienstleister und eine Stelle aus der Liste."));
    };
    // From the first day's beginning to the last day's end, as people mean it.
    let from = show::day_parse(ask.form("von")).map(|(begin, _)| begin);
    let until = if ask.form("bis").is_empty() { Some(None) } else { show::day_parse(ask.form("bis")).map(|(_, end)| Some(end)) };
    let (Some(from), Some(until)) = (from, until) else {
        return again(ask, t("Ein Datum ist nicht lesbar. Bitte schreiben Sie es so: 2026-11-21"));
    };
    let (actor, now) = (ask.viewer()?.user.to_string(), ask.now);
    let new = NewMandate { provider, body, from, until };
    match ask.app.db.write(move |tx| mandate_add(tx, new, &actor, now)) {
        Ok(_) => ask.redirect("/konten/mandate", "mandate-granted"),
        Err(MandateError::Db(error)) => Err(error.into()),
        Err(error) => again(ask, told(&error)),
    }
}

fn told(error: &MandateError) -> &'static str {
    match error {
        MandateError::Name => t("Der Name ist leer, zu lang, oder es gibt ihn schon. Bitte wählen Sie einen anderen."),
        MandateError::NotFound => {
            t("Diesen Dienstleister, diese Stelle oder dieses Mandat gibt es nicht (mehr). Bitte wählen Sie aus der Liste.")
        }
        MandateError::Period => t("Das Ende liegt vor dem Beginn. Bitte prüfen Sie die beiden Tage."),
        MandateError::Exists => t("In dieser Zeit handelt der Dienstleister schon für diese Stelle. Beenden Sie zuerst das andere Mandat."),
        MandateError::TooMany => t("Es sind so viele eingetragen, wie möglich sind. Bitte rufen Sie den Betrieb an."),
        MandateError::Db(_) => t("Das ließ sich nicht speichern."),
    }
}

pub(in crate::web) fn end(ask: &mut Ask) -> Reply {
    let id: MandateId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let (actor, now) = (ask.viewer()?.user.to_string(), ask.now);
    match ask.app.db.write(move |tx| mandate_end(tx, id, &actor, now)) {
        Ok(()) => ask.redirect("/konten/mandate", "mandate-ended"),
        Err(MandateError::NotFound) => Err(PageError::NotFound),
        Err(MandateError::Db(error)) => Err(error.into()),
        Err(error) => Err(PageError::Refused(told(&error).into())),
    }
}

pub(in crate::web) fn provider_add(ask: &mut Ask) -> Reply {
    let (name, actor, now) = (ask.form("name").to_owned(), ask.viewer()?.user.to_string(), ask.now);
    match ask.app.db.write(move |tx| mandate::provider_add(tx, &name, &actor, now)) {
        Ok(_) => ask.redirect("/konten/mandate", "provider-added"),
        Err(MandateError::Db(error)) => Err(error.into()),
        Err(error) => page(ask, StatusCode::UNPROCESSABLE_ENTITY, told(&error).to_owned()),
    }
}
