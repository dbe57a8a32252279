//! Konten: all accounts with what an administrator looks for, and the form for a new one. The link that sets the first
//! password is shown once; who hands it over, and how, the house decides.

use std::collections::HashMap;

use askama::Template;
use axum::http::StatusCode;
use detect::role::Role;
use ingest::body::{BodyId, body_list};
use ingest::db::DbError;

use crate::access::role_label;
use crate::account::{Account, AccountError, Change, LIST_MAX, NAME_CHARS_MAX, account_add, account_factors, account_list};
use crate::invitation::invitation_url;
use crate::mandate::{ProviderId, provider_list};
use crate::show::{self, Markup, Tone, filters};
use crate::user::{LOGIN_CHARS_MAX, UserError};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf, tn};

struct Row {
    id: String,
    login: String,
    name: String,
    role: &'static str,
    tenant: String,
    state: Markup,
    last_login: String,
    factors: String,
}

#[derive(Template)]
#[template(path = "accounts.html")]
struct AccountsPage {
    frame: Frame,
    summary: String,
    word: String,
    role: String,
    roles: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
    more: bool,
}

/// Names of bodies and organisations, for lists and choices.
pub(super) struct Tenants {
    pub(super) bodies: Vec<(BodyId, String)>,
    pub(super) providers: Vec<(ProviderId, String)>,
}

impl Tenants {
    pub(super) fn load(ask: &Ask) -> Result<Self, DbError> {
        ask.app.db.read(|c| {
            let bodies = body_list(c)?.into_iter().map(|body| (body.id, body.name)).collect();
            let providers = provider_list(c)?.into_iter().map(|provider| (provider.id, provider.name)).collect();
            Ok(Self { bodies, providers })
        })
    }

    /// For whom an account acts, in words.
    pub(super) fn of(&self, account: &Account) -> String {
        let provider = self.providers.iter().find(|(id, _)| Some(*id) == account.provider).map(|(_, name)| name.clone());
        let body = self.bodies.iter().find(|(id, _)| Some(*id) == account.user.body).map(|(_, name)| name.clone());
        match account.user.role {
            Role::Provider => provider.or(body).unwrap_or_else(|| t("ohne Dienstleister").into()),
            Role::Municipality => body.unwrap_or_else(|| t("ohne Stelle").into()),
            _ => String::new(),
        }
    }
}

pub(super) fn state(account: &Account) -> Markup {
    if account.user.disabled {
        show::badge(Tone::High, t("gesperrt"))
    } else if account.external || account.has_password {
        show::badge(Tone::Good, t("aktiv"))
    } else if account.invited_until.is_some() {
        show::badge(Tone::Mid, t("eingeladen"))
    } else {
        show::badge(Tone::Quiet, t("ohne Kennwort"))
    }
}

pub(super) fn roles() -> Vec<(&'static str, &'static str)> {
    Role::ALL.iter().map(|role| (role.as_str(), role_label(*role))).collect()
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let (word, role) = (ask.query("wort").to_owned(), Role::parse(ask.query("rolle")));
    let now = ask.now;
    let tenants = Tenants::load(ask)?;
    let (mut accounts, factors): (_, HashMap<_, _>) =
        ask.app.db.read(|c| Ok::<_, DbError>((account_list(c, &word, role, now)?, account_factors(c)?)))?;
    let more = accounts.len() > LIST_MAX;
    accounts.truncate(LIST_MAX);
    let row = |account: &Account| Row {
        id: account.user.id.to_string(),
        login: account.user.login.clone(),
        name: account.user.name.clone(),
        role: role_label(account.user.role),
        tenant: tenants.of(account),
        state: state(account),
        last_login: account.last_login.map_or_else(|| t("noch nie").into(), show::stamp),
        factors: match factors.get(&account.user.id) {
            None | Some(0) => {
                if account.external {
                    t("beim Anmeldedienst").into()
                } else {
                    t("keiner").into()
                }
            }
            Some(n) => n.to_string(),
        },
    };
    let count = accounts.len();
    let page = AccountsPage {
        frame: ask.frame(t("Konten"), Place::Accounts),
        summary: match more {
            true => tf("Mehr als {n} Konten; die Suche grenzt sie ein.", &[("n", &LIST_MAX)]),
            false => tn("1 Konto", "{n} Konten", count as u64),
        },
        word,
        role: role.map_or_else(String::new, |role| role.as_str().to_owned()),
        roles: roles(),
        rows: accounts.iter().map(row).collect(),
        more,
    };
    ask.page(&page)
}

#[derive(Template)]
#[template(path = "account_new.html")]
struct NewPage {
    frame: Frame,
    problem: String,
    /// The link, this once; and for whom.
    link: String,
    made: String,
    login: String,
    name: String,
    role: String,
    body: String,
    provider: String,
    roles: Vec<(&'static str, &'static str)>,
    bodies: Vec<(String, String)>,
    providers: Vec<(String, String)>,
    login_max: usize,
    name_max: usize,
}

pub(in crate::web) fn new_show(ask: &mut Ask) -> Reply {
    new_page(ask, StatusCode::OK, String::new(), (String::new(), String::new()))
}

fn new_page(ask: &Ask, status: StatusCode, problem: String, (link, made): (String, String)) -> Reply {
    let tenants = Tenants::load(ask)?;
    // After a success the form is empty for the next one.
    let typed = |name: &str| if link.is_empty() { ask.form(name).to_owned() } else { String::new() };
    let page = NewPage {
        frame: ask.frame(t("Konto anlegen"), Place::Accounts),
        problem,
        login: typed("konto"),
        name: typed("name"),
        role: typed("rolle"),
        body: typed("stelle"),
        provider: typed("dienstleister"),
        roles: roles(),
        bodies: choices(&tenants.bodies),
        providers: choices(&tenants.providers),
        login_max: LOGIN_CHARS_MAX,
        name_max: NAME_CHARS_MAX,
        link,
        made,
    };
    ask.page_status(status, &page)
}

/// For a list to choose from. What is invisible in a name shows here as plain text: an option holds no elements.
pub(super) fn choices<I: ToString>(all: &[(I, String)]) -> Vec<(String, String)> {
    all.iter().map(|(id, name)| (id.to_string(), show::safe(name))).collect()
}

/// What a form says of an account; an empty choice is none.
pub(super) fn change_of(ask: &Ask) -> Option<Change> {
    fn chosen<I: std::str::FromStr>(text: &str) -> Option<Option<I>> {
        if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) }
    }
    Some(Change {
        name: ask.form("name").to_owned(),
        role: Role::parse(ask.form("rolle"))?,
        body: chosen(ask.form("stelle"))?,
        provider: chosen(ask.form("dienstleister"))?,
    })
}

pub(in crate::web) fn new_do(ask: &mut Ask) -> Reply {
    let again = |ask: &Ask, text: String| new_page(ask, StatusCode::UNPROCESSABLE_ENTITY, text, Default::default());
    let Some(change) = change_of(ask) else { return again(ask, t("Bitte wählen Sie eine Rolle aus der Liste.").into()) };
    let (actor, login, now) = (ask.viewer()?.user.to_string(), ask.form("konto").to_owned(), ask.now);
    let name = change.name.clone();
    match ask.app.db.write(move |tx| account_add(tx, &actor, &login, &change, now)) {
        Ok((_, secret)) => {
            let link = invitation_url(&ask.app.publisher.base_url, &secret);
            new_page(ask, StatusCode::OK, String::new(), (link, name))
        }
        Err(AccountError::Db(error)) => Err(error.into()),
        Err(error) => again(ask, told(&error)),
    }
}

/// What went wrong and what to do.
pub(super) fn told(error: &AccountError) -> String {
    match error {
        AccountError::NotFound => t("Dieses Konto gibt es nicht (mehr).").into(),
        AccountError::Oneself => {
            t("Am eigenen Konto ändern Sie hier nichts: Wer Rollen vergibt, soll sich selbst keine geben. Bitten Sie eine andere Person der Verwaltung.").into()
        }
        AccountError::LastAdmin => {
            t("Das ist das letzte Konto der Verwaltung, mit dem sich jemand anmelden kann. Legen Sie zuerst ein zweites an.").into()
        }
        AccountError::External => {
            t("Name, Rolle und Stelle dieses Kontos kommen vom Anmeldedienst. Ändern Sie dort die Gruppen; hier lässt es sich sperren.").into()
        }
        AccountError::Name => tf("Bitte geben Sie einen Namen von höchstens {n} Zeichen an.", &[("n", &NAME_CHARS_MAX)]),
        AccountError::Taken => t("Diesen Anmeldenamen gibt es schon. Bitte wählen Sie einen anderen.").into(),
        AccountError::NoTenant => {
            t("Zur Rolle „Stelle“ gehört eine Stelle, zur Rolle „Dienstleister“ ein Dienstleister. Bitte wählen Sie aus der Liste.").into()
        }
        AccountError::NoSuchTenant => t("Diese Stelle oder diesen Dienstleister gibt es nicht. Bitte wählen Sie aus der Liste.").into(),
        AccountError::User(UserError::Login(_)) => t("Der Anmeldename ist leer oder enthält Leerzeichen. Zum Beispiel: m.lindner").into(),
        AccountError::User(_) | AccountError::Db(_) => t("Das Konto ließ sich nicht speichern. Bitte prüfen Sie die Angaben.").into(),
    }
}

/// For pages that have no form to say it in.
pub(super) fn refused(error: AccountError) -> PageError {
    match error {
        AccountError::NotFound => PageError::NotFound,
        AccountError::Db(error) => error.into(),
        other => PageError::Refused(told(&other)),
    }
}
