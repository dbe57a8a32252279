//! Zugriffsschlüssel: the own API tokens. A new one is shown once, on the answer to the form that made it.

use askama::Template;
use axum::http::StatusCode;
use ingest::time::Timestamp;

use crate::access::{self, Verdict, Viewer};
use crate::api_token::{
    AGE_MILLIS_MAX, ApiToken, ApiTokenError, ApiTokenId, Area, Grant, NAME_CHARS_MAX, PER_USER_MAX, api_token_add, api_token_list,
    api_token_revoke,
};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Machine, PageError, ROUTES, Reply, Verb};
use crate::words::{de, t, tf};

/// A token in a table; also on the administrator's page.
pub(super) struct TokenRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) grants: String,
    pub(super) until: String,
    pub(super) seen: String,
    pub(super) state: Markup,
    pub(super) works: bool,
}

struct Choice {
    key: String,
    label: String,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct TokensPage {
    frame: Frame,
    rows: Vec<TokenRow>,
    choices: Vec<Choice>,
    /// The new token, this once.
    secret: String,
    problem: String,
    name: String,
    until: String,
    until_min: String,
    until_max: String,
    name_max: usize,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new(), String::new())
}

fn page(ask: &Ask, status: StatusCode, secret: String, problem: String) -> Reply {
    let viewer = ask.viewer()?;
    let now = ask.now;
    let tokens = ask.app.db.read(|c| api_token_list(c, viewer.user))?;
    let typed = !problem.is_empty();
    let given: Vec<&str> = ask.form.all("recht").collect();
    let choice = |grant: Grant| Choice { key: grant.key(), label: label(grant), chosen: typed && given.contains(&grant.key().as_str()) };
    let page = TokensPage {
        frame: ask.frame(t("Zugriffsschlüssel für Programme"), Place::Elsewhere),
        rows: tokens.iter().map(|token| row(token, now)).collect(),
        choices: offered(viewer).into_iter().map(choice).collect(),
        secret,
        name: if typed { ask.form("name").to_owned() } else { String::new() },
        until: if typed { ask.form("bis").to_owned() } else { show::day_input(now.plus(90 * Timestamp::DAY)) },
        until_min: show::day_input(now.plus(Timestamp::DAY)),
        until_max: show::day_input(now.plus(AGE_MILLIS_MAX - Timestamp::DAY)),
        name_max: NAME_CHARS_MAX,
        problem,
    };
    ask.page_status(status, &page)
}

pub(super) fn row(token: &ApiToken, now: Timestamp) -> TokenRow {
    let state = match (token.revoked_at, token.works(now)) {
        (Some(_), _) => show::badge(Tone::Quiet, t("widerrufen")),
        (None, true) => show::badge(Tone::Good, t("gilt")),
        (None, false) => show::badge(Tone::Quiet, t("abgelaufen")),
    };
    let grants: Vec<String> = token.grants.iter().map(|grant| label(*grant)).collect();
    TokenRow {
        id: token.id.to_string(),
        name: token.name.clone(),
        grants: if grants.is_empty() { t("nur „Wer bin ich?“").into() } else { grants.join(", ") },
        until: show::date(token.until.plus(-1)),
        seen: token.seen_at.map_or_else(|| t("noch nie").into(), show::stamp),
        state,
        works: token.works(now),
    }
}

fn label(grant: Grant) -> String {
    let area = match grant.area {
        Area::Advisories => t("Meldungen (CSAF)"),
        Area::Incidents => t("Vorfälle"),
        Area::Kpis => t("Kennzahlen (CSV)"),
        Area::Sources => t("Quellen"),
    };
    tf(if grant.write { de("{area} ändern") } else { de("{area} lesen") }, &[("area", &area)])
}

/// What a token of this person can do at all: what some route takes tokens for and lets the role in.
fn offered(viewer: &Viewer) -> Vec<Grant> {
    let opens = |grant: &Grant| {
        ROUTES.iter().any(|route| {
            let verb = if grant.write { Verb::Post } else { Verb::Get };
            route.machine == Some(Machine::In(grant.area))
                && route.verb == verb
                && access::judge(route.who, Some(viewer.role)) == Verdict::Enter
        })
    };
    Grant::all().filter(opens).collect()
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let allowed = offered(&viewer);
    let grants: Vec<Grant> = ask.form.all("recht").filter_map(Grant::parse).collect();
    let again = |ask: &Ask, text: String| page(ask, StatusCode::UNPROCESSABLE_ENTITY, String::new(), text);
    if !grants.iter().all(|grant| allowed.contains(grant)) {
        return again(ask, t("Eines der Rechte haben Sie selbst nicht. Bitte wählen Sie aus der Liste.").into());
    }
    let until = show::day_parse(ask.form("bis")).map(|(_, end)| end);
    let wrong_end = t("Das Ende muss nach heute und innerhalb eines Jahres liegen. Zum Beispiel in drei Monaten.");
    let Some(until) = until else { return again(ask, wrong_end.into()) };
    let (name, now) = (ask.form("name").to_owned(), ask.now);
    match ask.app.db.write(move |tx| api_token_add(tx, viewer.user, &name, &grants, until, now)) {
        Ok((_, secret)) => page(ask, StatusCode::OK, secret.reveal().to_owned(), String::new()),
        Err(ApiTokenError::Name) => again(
            ask,
            tf("Bitte geben Sie einen Namen von höchstens {n} Zeichen an, zum Beispiel „Bericht Haushalt“.", &[("n", &NAME_CHARS_MAX)]),
        ),
        Err(ApiTokenError::Until) => again(ask, wrong_end.into()),
        Err(ApiTokenError::TooMany) => again(
            ask,
            tf("Sie haben schon {n} Schlüssel, die gelten. Widerrufen Sie einen, den niemand mehr braucht.", &[("n", &PER_USER_MAX)]),
        ),
        Err(ApiTokenError::Db(error)) => Err(error.into()),
        Err(error @ ApiTokenError::NotFound) => Err(PageError::store(error)),
    }
}

pub(in crate::web) fn revoke(ask: &mut Ask) -> Reply {
    let (viewer, now) = (ask.viewer()?.clone(), ask.now);
    let id: ApiTokenId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    match ask.app.db.write(move |tx| api_token_revoke(tx, id, viewer.user, viewer.user, now)) {
        Ok(()) => ask.redirect("/konto/zugriff", "token-revoked"),
        Err(ApiTokenError::Db(error)) => Err(error.into()),
        Err(_) => Err(PageError::NotFound),
    }
}
