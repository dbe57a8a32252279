//! A user's own page: who he is here, password, second factors, recovery codes, sessions, how pages look. Everything on
//! it is about the account that is signed in; nothing takes another account's name.

use askama::Template;
use axum::http::StatusCode;
use ingest::time::Timestamp;
use serde_json::json;

use crate::access::role_label;
use crate::login::half_close_all;
use crate::proof::passkey::{self, PasskeyId, passkey_known, passkey_list, passkey_rename};
use crate::proof::recovery::{self, recovery_make};
use crate::proof::totp::{self, totp_begin, totp_confirm, totp_pending, totp_remove};
use crate::proof::{Standing, factors_clear, standing};
use crate::session::{Found, How, SessionId, session_list, session_revoke, session_revoke_all};
use crate::show::{self, Markup, filters};
use crate::user::User;
use crate::web::frame::{Frame, Place};
use crate::web::prove::{self, Judged, tell};
use crate::web::steps::{PASSKEY_FAILED, PICTURE_LABEL, WRONG_FIRST_CODE, new_password};
use crate::web::stepup::PasskeyAsk;
use crate::web::{Ask, PageError, Reply, door};
use crate::words::{t, tf};

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    login: String,
    name: String,
    role: &'static str,
    body: String,
    has: Standing,
    demanded: bool,
    few: bool,
    passkeys: Vec<PasskeyRow>,
    passkey_host: Option<String>,
    passkeys_max: usize,
    name_max: usize,
    sessions: Vec<SessionRow>,
    others: usize,
    /// What is wrong with which form.
    problem: Problem,
}

/// (the form's section, what to do); empty where all is well.
#[derive(Default)]
struct Problem(&'static str, String);

struct PasskeyRow {
    id: PasskeyId,
    name: String,
    made: Markup,
    used: Option<Markup>,
}

struct SessionRow {
    id: SessionId,
    this: bool,
    browser: String,
    address: String,
    how: &'static str,
    opened: Markup,
    seen: Markup,
}

#[derive(Template)]
#[template(path = "account_app.html")]
struct AppPage {
    frame: Frame,
    picture: Option<Markup>,
    secret: String,
    problem: Option<String>,
}

#[derive(Template)]
#[template(path = "account_codes.html")]
struct CodesPage {
    frame: Frame,
    codes: Vec<String>,
    news: &'static str,
}

#[derive(Template)]
#[template(path = "account_passkey.html")]
struct PasskeyPage {
    frame: Frame,
    passkey: PasskeyAsk,
    name_max: usize,
    name: String,
}

const HOME: &str = "/konto";

fn me(ask: &Ask) -> Result<Found, PageError> {
    ask.session.clone().ok_or(PageError::Gone)
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, Problem::default())
}

fn page(ask: &Ask, problem: Problem) -> Reply {
    let found = me(ask)?;
    let (user, limits, now) = (&found.user, ask.app.settings.session, ask.now);
    let has = ask.app.db.read(|c| standing(c, user.id))?;
    let passkeys = ask.app.db.read(|c| passkey_list(c, user.id))?;
    let sessions = ask.app.db.read(|c| session_list(c, user.id, limits, now))?;
    let body = match user.body {
        Some(id) => ask.app.db.read(ingest::body::body_list)?.into_iter().find(|body| body.id == id).map(|body| body.name),
        None => None,
    };
    let time = |at: Timestamp| show::time(at, now);
    let passkeys = passkeys.into_iter();
    let passkeys = passkeys.map(|one| PasskeyRow { id: one.id, name: one.name, made: time(one.created_at), used: one.used_at.map(time) });
    let others = sessions.iter().filter(|one| one.id != found.id).count();
    let sessions = sessions.into_iter().map(|one| SessionRow {
        id: one.id,
        this: one.id == found.id,
        browser: one.browser,
        address: one.address,
        how: how_label(one.how),
        opened: time(one.created_at),
        seen: time(one.seen_at),
    });
    let status = if problem.1.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let page = AccountPage {
        frame: ask.frame(t("Mein Konto"), Place::Elsewhere),
        login: user.login.clone(),
        name: user.name.clone(),
        role: role_label(user.role),
        body: body.unwrap_or_default(),
        has,
        demanded: ask.app.settings.second_factor.of(user.role),
        few: has.second_factor() && has.recovery_left <= recovery::FEW,
        passkeys: passkeys.collect(),
        passkey_host: ask.app.settings.relying.as_ref().map(|relying| relying.host.clone()),
        passkeys_max: passkey::PER_USER_MAX,
        name_max: passkey::NAME_CHARS_MAX,
        sessions: sessions.collect(),
        others,
        problem,
    };
    ask.page_status(status, &page)
}

fn how_label(how: Option<How>) -> &'static str {
    match how {
        Some(How::Password) => t("Kennwort"),
        Some(How::PasswordAndCode) => t("Kennwort und App"),
        Some(How::PasswordAndPasskey) => t("Kennwort und Passkey"),
        Some(How::PasswordAndRecovery) => t("Kennwort und Wiederherstellungscode"),
        Some(How::Passkey) => t("Passkey"),
        Some(How::Oidc) => t("Anmeldedienst des Hauses"),
        Some(How::Link) => t("Einmal-Link"),
        None => t("unbekannt"),
    }
}

/// Another password: the old one first, then all sessions end and this one begins anew.
pub(in crate::web) fn password(ask: &mut Ask) -> Reply {
    let found = me(ask)?;
    let problem = match prove::password(ask, &found.user, ask.form("alt"))? {
        Judged::Yes(_) => new_password(ask, &found.user)?,
        Judged::No(_) => Some(t("Das bisherige Kennwort stimmt nicht. Bitte prüfen Sie auch Groß- und Kleinschreibung.").to_owned()),
        Judged::Wait(text) => Some(text),
    };
    if let Some(text) = problem {
        return page(ask, Problem("kennwort", text));
    }
    let user = found.user.id;
    door::open_session(ask, user, found.how, "/konto?ok=password-changed", move |tx| half_close_all(tx, user))
}

/// Makes a new secret; until a code of it was typed, what was before still counts.
pub(in crate::web) fn app_begin(ask: &mut Ask) -> Reply {
    let (user, now, vault) = (me(ask)?.user.id, ask.now, ask.app.door.vault.clone());
    ask.app.db.write(move |tx| totp_begin(tx, &vault, user, now))?;
    Ok(crate::web::ask::see_other("/konto/app"))
}

pub(in crate::web) fn app_show(ask: &mut Ask) -> Reply {
    app_page(ask, StatusCode::OK, None)
}

fn app_page(ask: &Ask, status: StatusCode, problem: Option<String>) -> Reply {
    let (user, vault) = (me(ask)?.user, ask.app.door.vault.clone());
    let Some(secret) = ask.app.db.read(|c| totp_pending(c, &vault, user.id, ask.now))? else {
        // Nothing waits: the page was left open, or somebody came by its address.
        return Ok(crate::web::ask::see_other(HOME));
    };
    let picture = totp::picture(&secret.uri(&user.login), t(PICTURE_LABEL));
    ask.page_status(status, &AppPage { frame: ask.frame(t("App einrichten"), Place::Elsewhere), picture, secret: secret.text(), problem })
}

pub(in crate::web) fn app_confirm(ask: &mut Ask) -> Reply {
    let (user, now, code) = (me(ask)?.user.id, ask.now, ask.form("code").to_owned());
    let (door, key) = (ask.app.door.clone(), user.to_string());
    if let Err(wait) = door.factors.enter(&key, "", now) {
        return app_page(ask, StatusCode::TOO_MANY_REQUESTS, Some(prove::too_many(wait)));
    }
    let vault = door.vault.clone();
    let done = ask.app.db.write(move |tx| {
        let before = standing(tx, user)?;
        if !totp_confirm(tx, &vault, user, &code, now)? {
            return Ok::<_, PageError>(None);
        }
        tell(tx, now, user, "totp.enrolled", json!({ "again": before.totp }))?;
        half_close_all(tx, user)?;
        Ok(Some(if before.recovery_left == 0 { recovery_make(tx, user, now)? } else { vec![] }))
    })?;
    let Some(codes) = done else { return app_page(ask, StatusCode::UNPROCESSABLE_ENTITY, Some(t(WRONG_FIRST_CODE).to_owned())) };
    door.factors.succeeded(&key, "");
    codes_or_home(ask, codes, "app-added", t("Die App zählt ab jetzt als zweiter Faktor."))
}

pub(in crate::web) fn app_remove(ask: &mut Ask) -> Reply {
    let (user, now) = (me(ask)?.user, ask.now);
    if let Some(text) = last_one(ask, &user, |has| Standing { totp: false, ..has })? {
        return page(ask, Problem("faktoren", text));
    }
    let id = user.id;
    ask.app.db.write(move |tx| {
        totp_remove(tx, id)?;
        tell(tx, now, id, "totp.removed", json!({}))?;
        codes_end_with_last_factor(tx, id)
    })?;
    ask.redirect(HOME, "app-removed")
}

/// Codes stand in for a lost factor; without any they would be a second password that nobody asks for.
fn codes_end_with_last_factor(tx: &ingest::rusqlite::Transaction<'_>, user: crate::user::UserId) -> Result<(), PageError> {
    if !standing(tx, user)?.second_factor() {
        factors_clear(tx, user)?;
    }
    half_close_all(tx, user)?;
    Ok(())
}

/// Why the last factor cannot go, where it cannot.
fn last_one(ask: &Ask, user: &User, without: impl FnOnce(Standing) -> Standing) -> Result<Option<String>, PageError> {
    let left = without(ask.app.db.read(|c| standing(c, user.id))?);
    let stays = ask.app.settings.second_factor.of(user.role) && !left.second_factor();
    Ok(stays.then(|| {
        t("Ihre Rolle verlangt einen zweiten Faktor. Richten Sie erst einen anderen ein, dann können Sie diesen entfernen.").to_owned()
    }))
}

/// New recovery codes; those before end.
pub(in crate::web) fn codes(ask: &mut Ask) -> Reply {
    let (user, now) = (me(ask)?.user.id, ask.now);
    let codes = ask.app.db.write(move |tx| {
        if !standing(tx, user)?.second_factor() {
            return Ok::<_, PageError>(None);
        }
        tell(tx, now, user, "recovery_code.made", json!({ "codes": recovery::CODES }))?;
        Ok(Some(recovery_make(tx, user, now)?))
    })?;
    match codes {
        Some(codes) => codes_or_home(ask, codes, "", t("Die bisherigen Codes gelten nicht mehr.")),
        None => page(ask, Problem("faktoren", t("Richten Sie zuerst einen zweiten Faktor ein; dazu gibt es dann die Codes.").to_owned())),
    }
}

/// The one time that codes are shown.
fn codes_or_home(ask: &Ask, codes: Vec<String>, notice: &str, news: &'static str) -> Reply {
    if codes.is_empty() {
        return ask.redirect(HOME, notice);
    }
    ask.page(&CodesPage { frame: ask.frame(t("Wiederherstellungscodes"), Place::Elsewhere), codes, news })
}

/// The page that makes a passkey: the browser's part is done by script.
pub(in crate::web) fn passkey_new(ask: &mut Ask) -> Reply {
    let found = me(ask)?;
    let Some(relying) = &ask.app.settings.relying else { return Err(PageError::NotFound) };
    let known = ask.app.db.read(|c| passkey_known(c, found.user.id))?;
    if known.len() >= passkey::PER_USER_MAX {
        return page(
            ask,
            Problem(
                "faktoren",
                tf("Mehr als {n} Passkeys sind nicht möglich. Entfernen Sie erst einen.", &[("n", &passkey::PER_USER_MAX)]),
            ),
        );
    }
    let purpose = format!("session:{}", found.id);
    let options = ask.app.door.ceremonies.register_begin(relying, &found.user, known, &purpose, ask.now);
    let options = options.ok_or_else(|| PageError::Refused(t(PASSKEY_FAILED).to_owned()))?;
    let passkey = PasskeyAsk { options, host: relying.host.clone() };
    let name = ask.browser();
    ask.page(&PasskeyPage { frame: ask.frame(t("Passkey anlegen"), Place::Elsewhere), passkey, name_max: passkey::NAME_CHARS_MAX, name })
}

/// Its challenge was given out behind a fresh proof, to this session.
pub(in crate::web) fn passkey_add(ask: &mut Ask) -> Reply {
    let (found, now) = (me(ask)?, ask.now);
    let Some(relying) = &ask.app.settings.relying else { return Err(PageError::NotFound) };
    let purpose = format!("session:{}", found.id);
    let made = match ask.app.door.ceremonies.register_finish(relying, &purpose, ask.form("passkey"), now) {
        Ok(made) => made,
        Err(error) => {
            tracing::info!(%error, "a passkey was not made");
            return page(ask, Problem("faktoren", t(PASSKEY_FAILED).to_owned()));
        }
    };
    let (user, name) = (found.user.id, ask.form("name").to_owned());
    let done = ask.app.db.write(move |tx| {
        let before = standing(tx, user)?;
        let Some(id) = passkey::passkey_add(tx, user, &made, &name, now)? else { return Ok::<_, PageError>(None) };
        tell(tx, now, user, "passkey.added", json!({ "passkey": id }))?;
        half_close_all(tx, user)?;
        Ok(Some(if before.recovery_left == 0 { recovery_make(tx, user, now)? } else { vec![] }))
    })?;
    match done {
        Some(codes) => codes_or_home(ask, codes, "passkey-added", t("Der Passkey ist angelegt. Sie können sich damit anmelden.")),
        None => page(ask, Problem("faktoren", t(PASSKEY_FAILED).to_owned())),
    }
}

pub(in crate::web) fn passkey_name(ask: &mut Ask) -> Reply {
    let (user, now, name) = (me(ask)?.user.id, ask.now, ask.form("name").to_owned());
    let id: PasskeyId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let done = ask.app.db.write(move |tx| {
        let done = passkey_rename(tx, user, id, &name)?;
        if done {
            tell(tx, now, user, "passkey.renamed", json!({ "passkey": id }))?;
        }
        Ok::<_, PageError>(done)
    })?;
    if done { ask.redirect(HOME, "saved") } else { Err(PageError::NotFound) }
}

pub(in crate::web) fn passkey_remove(ask: &mut Ask) -> Reply {
    let (user, now) = (me(ask)?.user, ask.now);
    let id: PasskeyId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    if let Some(text) = last_one(ask, &user, |has| Standing { passkeys: has.passkeys.saturating_sub(1), ..has })? {
        return page(ask, Problem("faktoren", text));
    }
    let user = user.id;
    let done = ask.app.db.write(move |tx| {
        let done = passkey::passkey_remove(tx, user, id)?;
        if done {
            tell(tx, now, user, "passkey.removed", json!({ "passkey": id }))?;
            codes_end_with_last_factor(tx, user)?;
        }
        Ok::<_, PageError>(done)
    })?;
    if done { ask.redirect(HOME, "passkey-removed") } else { Err(PageError::NotFound) }
}

pub(in crate::web) fn session_end(ask: &mut Ask) -> Reply {
    let (found, now) = (me(ask)?, ask.now);
    let id: SessionId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    if id == found.id {
        return door::logout(ask);
    }
    let user = found.user.id;
    let done = ask.app.db.write(move |tx| {
        let done = session_revoke(tx, user, id)?;
        if done {
            tell(tx, now, user, "session.revoked", json!({ "session": id }))?;
        }
        Ok::<_, PageError>(done)
    })?;
    if done { ask.redirect(HOME, "session-ended") } else { Err(PageError::NotFound) }
}

pub(in crate::web) fn sessions_end(ask: &mut Ask) -> Reply {
    let (found, now) = (me(ask)?, ask.now);
    let user = found.user.id;
    ask.app.db.write(move |tx| {
        let ended = session_revoke_all(tx, user, Some(found.id))?;
        half_close_all(tx, user)?;
        tell(tx, now, user, "session.revoked", json!({ "others": ended }))
    })?;
    ask.redirect(HOME, "sessions-ended")
}
