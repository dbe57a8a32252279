//! Behind a one-time link: set a password. Looking uses nothing up, so that a mail scanner that follows the link does no
//! harm; the form does.

use askama::Template;
use axum::http::StatusCode;
use detect::role::Role;

use crate::invitation::{Invitation, InvitationError, Kind, Typed, invitation_open, invitation_redeem};
use crate::proof::password;
use crate::show::{self, filters};
use crate::user::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, User, UserError, UserId, login_normal, password_hash};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::t;

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    frame: Frame,
    /// The link does not work: nothing but the explanation is shown.
    gone: bool,
    token: String,
    first: bool,
    reset: bool,
    login: String,
    name: String,
    until: String,
    password_min: usize,
    password_max: usize,
    problem: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (token, now) = (ask.param("token").to_owned(), ask.now);
    match ask.app.db.read(|c| invitation_open(c, &token, now))? {
        Some(open) => page(ask, StatusCode::OK, &token, &open, String::new()),
        None => gone(ask),
    }
}

fn gone(ask: &Ask) -> Reply {
    let page = InvitationPage {
        frame: ask.frame(t("Der Link gilt nicht mehr"), Place::Elsewhere),
        gone: true,
        token: String::new(),
        first: false,
        reset: false,
        login: String::new(),
        name: String::new(),
        until: String::new(),
        password_min: PASSWORD_CHARS_MIN,
        password_max: PASSWORD_BYTES_MAX,
        problem: String::new(),
    };
    ask.page_status(StatusCode::NOT_FOUND, &page)
}

fn page(ask: &Ask, status: StatusCode, token: &str, open: &Invitation, problem: String) -> Reply {
    let known = open.user.as_ref();
    let page = InvitationPage {
        frame: ask.frame(t("Kennwort setzen"), Place::Elsewhere),
        gone: false,
        token: show::query_encode(token),
        first: open.kind == Kind::First,
        reset: open.kind == Kind::Reset,
        login: known.map_or_else(|| ask.form("konto").to_owned(), |user| user.login.clone()),
        name: known.map_or_else(|| ask.form("name").to_owned(), |user| user.name.clone()),
        until: show::stamp(open.until),
        password_min: PASSWORD_CHARS_MIN,
        password_max: PASSWORD_BYTES_MAX,
        problem,
    };
    ask.page_status(status, &page)
}

pub(in crate::web) fn redeem(ask: &mut Ask) -> Reply {
    let (token, now) = (ask.param("token").to_owned(), ask.now);
    // Before the hash: only whoever has a link may make us work.
    let Some(open) = ask.app.db.read(|c| invitation_open(c, &token, now))? else { return gone(ask) };
    let again = |ask: &Ask, text: &str| page(ask, StatusCode::UNPROCESSABLE_ENTITY, &token, &open, text.to_owned());
    if ask.form("kennwort") != ask.form("kennwort2") {
        return again(ask, t("Die beiden Kennwörter sind verschieden. Bitte tippen Sie beide noch einmal."));
    }
    // Who has no account yet is measured by the one that he is about to make.
    let owner = open.user.clone().unwrap_or_else(|| User {
        id: UserId::default(),
        login: login_normal(ask.form("konto")),
        name: ask.form("name").to_owned(),
        role: Role::Admin,
        body: None,
        disabled: false,
    });
    if let Err(weak) = password::check(ask.form("kennwort"), &owner) {
        return again(ask, &weak.to_string());
    }
    let hash = password_hash(ask.form("kennwort")).map_err(PageError::store)?;
    let typed = Typed { hash, login: ask.form("konto").to_owned(), name: ask.form("name").to_owned() };
    let link = token.clone();
    match ask.app.db.write(move |tx| invitation_redeem(tx, &link, &typed, now)) {
        Ok(_) => {}
        Err(InvitationError::Gone) => return gone(ask),
        Err(InvitationError::User(UserError::Login(_))) => {
            return again(ask, t("Der Anmeldename ist leer oder enthält Leerzeichen. Zum Beispiel: m.lindner"));
        }
        Err(InvitationError::Db(error)) => return Err(error.into()),
        Err(error @ InvitationError::User(_)) => return Err(PageError::store(error)),
    }
    if let (Kind::First, Some(file)) = (open.kind, &ask.app.settings.first_link_file)
        && let Err(error) = std::fs::remove_file(file)
    {
        tracing::warn!(%error, "the used link's file stays until the next start");
    }
    ask.redirect("/login", "password-set")
}
