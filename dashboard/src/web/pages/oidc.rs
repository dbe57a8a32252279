//! Out to the provider and back. What goes wrong is said at the door, where the other way in is; the reason stands in the
//! log, without names.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::body::body_list;
use ingest::db::DbError;

use crate::identity::{IdentityError, identity_sign_in, identity_ungrouped};
use crate::mandate::provider_list;
use crate::oidc::groups::{Tenants, rights};
use crate::oidc::{Answer, Oidc, OidcError, ROUND_MILLIS_MAX};
use crate::session::How;
use crate::web::{Ask, PageError, Reply, door};
use crate::words::{t, tf};
use std::sync::Arc;

fn provider(ask: &Ask) -> Result<Arc<Oidc>, PageError> {
    ask.app.settings.oidc.clone().ok_or(PageError::NotFound)
}

fn cookie_name(ask: &Ask) -> &'static str {
    if ask.app.settings.secure { "__Host-wartburg-oidc" } else { "wartburg-oidc" }
}

/// `SameSite=Lax`: the way back is a link from another site.
fn set_cookie(ask: &Ask, response: &mut Response, value: &str, max_age_secs: i64) {
    let secure = if ask.app.settings.secure { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}", cookie_name(ask));
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Away from here; only to addresses of the configured provider's own description.
fn away(url: &str) -> Reply {
    let mut response = Response::new(axum::body::Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(url).map_err(PageError::store)?;
    response.headers_mut().insert(header::LOCATION, to);
    // The provider learns that somebody came from here, not from which page.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

pub(in crate::web) fn start(ask: &mut Ask) -> Reply {
    let oidc = provider(ask)?;
    let next = crate::web::ask::local_path(ask.query("weiter")).to_owned();
    match oidc.start(&next, ask.now) {
        Ok(start) => {
            let mut response = away(&start.url)?;
            set_cookie(ask, &mut response, &start.cookie, ROUND_MILLIS_MAX / 1_000);
            Ok(response)
        }
        Err(error) => problem(ask, &oidc, &error),
    }
}

pub(in crate::web) fn back(ask: &mut Ask) -> Reply {
    let oidc = provider(ask)?;
    let answer = Answer { code: ask.query("code"), state: ask.query("state"), issuer: ask.query("iss"), error: ask.query("error") };
    let mut response = match oidc.finish(answer, ask.cookie(cookie_name(ask)), ask.now) {
        Ok(vouched) => {
            let tenants = ask.app.db.read(|c| {
                let bodies = body_list(c)?.into_iter().map(|body| (body.id, body.name, body.ags.map(|ags| ags.to_string())));
                let providers = provider_list(c)?.into_iter().map(|provider| (provider.id, provider.name));
                Ok::<_, DbError>(Tenants { bodies: bodies.collect(), providers: providers.collect() })
            })?;
            match rights(&oidc.settings.groups, &vouched.groups, &tenants) {
                None => {
                    let (person, now) = (vouched.person, ask.now);
                    ask.app.db.write(move |tx| identity_ungrouped(tx, &person, now))?;
                    tracing::warn!(groups = vouched.groups.len(), "somebody signed in at the provider whose groups give no role here");
                    let text = tf(
                        "Sie sind bei „{name}“ angemeldet, aber keine Ihrer Gruppen dort gibt Ihnen hier eine Rolle. Bitten Sie die Verwaltung Ihrer Konten um die passende Gruppe, und melden Sie sich dann neu an.",
                        &[("name", &oidc.settings.label)],
                    );
                    door::login_page(ask, StatusCode::FORBIDDEN, "", "/", Some(text))?
                }
                Some(rights) => {
                    let (person, now) = (vouched.person, ask.now);
                    match ask.app.db.write(move |tx| identity_sign_in(tx, &person, rights, now)) {
                        Ok(user) => door::open_session(ask, user.id, How::Oidc, &vouched.next, |_| Ok(()))?,
                        Err(IdentityError::Disabled) => {
                            let text = t("Ihr Konto ist hier gesperrt. Wenden Sie sich an die Verwaltung des ThüringenCERT.");
                            door::login_page(ask, StatusCode::FORBIDDEN, "", "/", Some(text.into()))?
                        }
                        Err(error) => return Err(PageError::store(error)),
                    }
                }
            }
        }
        Err(error) => problem(ask, &oidc, &error)?,
    };
    // Whatever came of it, this answer was the one that the cookie was for.
    set_cookie(ask, &mut response, "", 0);
    Ok(response)
}

/// Ends the session at the provider too; the one here has ended before.
pub(in crate::web) fn logout(ask: &mut Ask) -> Reply {
    match provider(ask)?.logout_url(ask.now) {
        Some(url) => away(&url),
        None => Ok(crate::web::ask::see_other("/login?ok=signed-out")),
    }
}

fn problem(ask: &Ask, oidc: &Oidc, error: &OidcError) -> Reply {
    let label = &oidc.settings.label;
    tracing::warn!(%error, "a log-in at the provider did not work");
    let (status, text) = match error {
        OidcError::Down(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            tf(
                "„{name}“ antwortet gerade nicht. Versuchen Sie es in ein paar Minuten noch einmal, oder melden Sie sich mit Name und Kennwort an, wenn Sie hier ein Kennwort haben.",
                &[("name", label)],
            ),
        ),
        OidcError::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            t("Gerade melden sich sehr viele an. Bitte versuchen Sie es in ein paar Sekunden noch einmal.").to_owned(),
        ),
        OidcError::Stray(_) => (
            StatusCode::BAD_REQUEST,
            tf(
                "Diese Anmeldung passt nicht zu Ihrem Browser, kam zu spät oder wurde schon benutzt. Beginnen Sie noch einmal mit „Mit {name} anmelden“.",
                &[("name", label)],
            ),
        ),
        OidcError::Denied(_) => (
            StatusCode::FORBIDDEN,
            tf(
                "„{name}“ hat die Anmeldung abgelehnt oder sie wurde dort abgebrochen. Versuchen Sie es noch einmal; klappt es wieder nicht, hilft die Verwaltung Ihrer Konten.",
                &[("name", label)],
            ),
        ),
        OidcError::Untrusted(_) => (
            StatusCode::FORBIDDEN,
            tf(
                "Die Antwort von „{name}“ war nicht in Ordnung, deshalb haben wir Sie nicht angemeldet. Versuchen Sie es noch einmal; klappt es wieder nicht, rufen Sie das ThüringenCERT an.",
                &[("name", label)],
            ),
        ),
    };
    door::login_page(ask, status, "", "/", Some(text))
}
