//! One account, as an administrator sees and changes it: name, role, whom it acts for, whether it may come in, its links,
//! sessions and access tokens.

use askama::Template;
use axum::http::StatusCode;
use detect::role::Role;
use ingest::db::DbError;

use super::accounts::{self, Tenants, change_of, choices, refused, told};
use super::tokens::{self, TokenRow};
use crate::account::{
    AccountError, NAME_CHARS_MAX, account_change, account_disable, account_enable, account_get, account_reset, account_sessions_end,
};
use crate::api_token::{ApiTokenError, ApiTokenId, api_token_list, api_token_revoke};
use crate::invitation::invitation_url;
use crate::show::{self, Markup, filters};
use crate::user::UserId;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::t;

#[derive(Template)]
#[template(path = "account_edit.html")]
struct AccountPage {
    frame: Frame,
    problem: String,
    /// A reset's link, this once.
    link: String,
    id: String,
    login: String,
    /// As it is stored; the form may hold what was typed instead.
    called: String,
    state: Markup,
    disabled: bool,
    external: bool,
    oneself: bool,
    name: String,
    role: String,
    body: String,
    provider: String,
    roles: Vec<(&'static str, &'static str)>,
    bodies: Vec<(String, String)>,
    providers: Vec<(String, String)>,
    tenant: String,
    role_label: &'static str,
    last_login: String,
    sessions: i64,
    invited_until: String,
    may_reset: bool,
    tokens: Vec<TokenRow>,
    name_max: usize,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let id = id_of(ask)?;
    page(ask, StatusCode::OK, id, String::new(), String::new())
}

fn id_of(ask: &Ask) -> Result<UserId, PageError> {
    ask.param("id").parse().map_err(|_| PageError::NotFound)
}

fn page(ask: &Ask, status: StatusCode, id: UserId, problem: String, link: String) -> Reply {
    let now = ask.now;
    let found = ask.app.db.read(|c| Ok::<_, DbError>((account_get(c, id, now)?, api_token_list(c, id)?)))?;
    let (Some(account), all) = found else { return Err(PageError::NotFound) };
    let tenants = Tenants::load(ask)?;
    let typed = !problem.is_empty();
    let field = |name: &str, stored: String| if typed { ask.form(name).to_owned() } else { stored };
    let page = AccountPage {
        frame: ask.frame(t("Konto"), Place::Accounts),
        link,
        id: id.to_string(),
        login: account.user.login.clone(),
        called: account.user.name.clone(),
        state: accounts::state(&account),
        disabled: account.user.disabled,
        external: account.external,
        oneself: ask.viewer()?.user == id,
        name: field("name", account.user.name.clone()),
        role: field("rolle", account.user.role.as_str().to_owned()),
        // A provider's body is what it had before there were mandates; the form offers the organisation.
        body: field(
            "stelle",
            account.user.body.filter(|_| account.user.role == Role::Municipality).map_or_else(String::new, |id| id.to_string()),
        ),
        provider: field("dienstleister", account.provider.map_or_else(String::new, |id| id.to_string())),
        roles: accounts::roles(),
        bodies: choices(&tenants.bodies),
        providers: choices(&tenants.providers),
        tenant: tenants.of(&account),
        role_label: crate::access::role_label(account.user.role),
        last_login: account.last_login.map_or_else(|| t("noch nie").into(), show::stamp),
        sessions: account.sessions,
        invited_until: account.invited_until.map(show::stamp).unwrap_or_default(),
        may_reset: !account.user.disabled && (!account.external || account.has_password),
        tokens: all.iter().map(|token| tokens::row(token, now)).collect(),
        name_max: NAME_CHARS_MAX,
        problem,
    };
    ask.page_status(status, &page)
}

pub(in crate::web) fn change(ask: &mut Ask) -> Reply {
    let (id, actor, now) = (id_of(ask)?, ask.viewer()?.user, ask.now);
    let again = |ask: &Ask, text: String| page(ask, StatusCode::UNPROCESSABLE_ENTITY, id, text, String::new());
    let Some(change) = change_of(ask) else { return again(ask, t("Bitte wählen Sie eine Rolle aus der Liste.").into()) };
    match ask.app.db.write(move |tx| account_change(tx, actor, id, &change, now)) {
        Ok(()) => ask.redirect(&path(id), "account-saved"),
        Err(AccountError::NotFound) => Err(PageError::NotFound),
        Err(AccountError::Db(error)) => Err(error.into()),
        Err(error) => again(ask, told(&error)),
    }
}

fn path(id: UserId) -> String {
    format!("/konten/{id}")
}

pub(in crate::web) fn disable(ask: &mut Ask) -> Reply {
    let (id, actor, now) = (id_of(ask)?, ask.viewer()?.user, ask.now);
    ask.app.db.write(move |tx| account_disable(tx, actor, id, now)).map_err(refused)?;
    ask.redirect(&path(id), "account-disabled")
}

pub(in crate::web) fn enable(ask: &mut Ask) -> Reply {
    let (id, actor, now) = (id_of(ask)?, ask.viewer()?.user, ask.now);
    ask.app.db.write(move |tx| account_enable(tx, actor, id, now)).map_err(refused)?;
    ask.redirect(&path(id), "account-enabled")
}

pub(in crate::web) fn sessions_end(ask: &mut Ask) -> Reply {
    let (id, actor, now) = (id_of(ask)?, ask.viewer()?.user, ask.now);
    ask.app.db.write(move |tx| account_sessions_end(tx, actor, id, now)).map_err(refused)?;
    ask.redirect(&path(id), "account-signed-out")
}

pub(in crate::web) fn reset(ask: &mut Ask) -> Reply {
    let (id, actor, now) = (id_of(ask)?, ask.viewer()?.user, ask.now);
    let secret = ask.app.db.write(move |tx| account_reset(tx, actor, id, now)).map_err(refused)?;
    let link = invitation_url(&ask.app.publisher.base_url, &secret);
    page(ask, StatusCode::OK, id, String::new(), link)
}

pub(in crate::web) fn token_revoke(ask: &mut Ask) -> Reply {
    let (id, actor, now) = (id_of(ask)?, ask.viewer()?.user, ask.now);
    let token: ApiTokenId = ask.param("token").parse().map_err(|_| PageError::NotFound)?;
    match ask.app.db.write(move |tx| api_token_revoke(tx, token, id, actor, now)) {
        Ok(()) => ask.redirect(&path(id), "token-revoked"),
        Err(ApiTokenError::Db(error)) => Err(error.into()),
        Err(_) => Err(PageError::NotFound),
    }
}
