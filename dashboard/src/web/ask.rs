//! One request as a page sees it, and what a page answers.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::db::DbError;
use ingest::events::Cancel;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Map, Value};

use super::frame::{Frame, Place};
use super::routes::Route;
use super::{App, Upload};
use crate::access::Viewer;
use crate::api_token::ApiToken;
use crate::session::{Found, Token};
use crate::show;
use crate::words::Language;

/// Names with values, in order; a name may repeat.
#[derive(Clone, Debug, Default)]
pub struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    pub fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What came with a request: the fields of a form, with a file or without, or a program's JSON.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) pairs: Pairs,
    pub(super) json: Option<String>,
    pub(super) upload: Option<Upload>,
}

/// A request that was let in.
pub struct Ask {
    pub app: App,
    pub path: String,
    params: Pairs,
    pub query: Pairs,
    pub form: Pairs,
    /// What came as JSON instead of a form.
    pub(super) json: Option<String>,
    /// The file that came with the form, on a route that takes one.
    pub(super) upload: Option<Upload>,
    pub(super) headers: HeaderMap,
    pub peer: Option<IpAddr>,
    pub now: Timestamp,
    /// Ends searches when nobody waits for the page any more.
    pub cancel: Cancel,
    pub viewer: Option<Viewer>,
    pub(super) token: Option<Token>,
    /// The session behind the token.
    pub(super) session: Option<Found>,
    /// A program's token instead of a session.
    pub(super) bearer: Option<ApiToken>,
    /// The script asks for a part of the page.
    pub fragment: bool,
    /// A person asked, not the script by itself.
    pub(super) click: bool,
    pub(super) route: Option<&'static Route>,
    /// For the audit log (`note`): what else is to be said, about which object, by whom, and whether it is written.
    pub(super) remarks: RefCell<Map<String, Value>>,
    pub(super) about: RefCell<Option<String>>,
    pub(super) stranger: RefCell<Option<String>>,
    pub(super) noted: Cell<bool>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// Also the answer for what belongs to another tenant: it does not exist for him.
    #[error("no such page")]
    NotFound,
    #[error("not allowed")]
    Forbidden,
    #[error("a form that did not come from here")]
    ForeignForm,
    #[error("the session has ended")]
    Gone,
    /// What was asked cannot be done; the German sentence says why and what to do.
    #[error("{0}")]
    Refused(String),
    /// The audit log takes nothing, and nobody looks unseen.
    #[error("the audit log takes nothing")]
    Unnoted,
    #[error(transparent)]
    Db(#[from] DbError),
    #[error("render the page")]
    Render(#[from] askama::Error),
    #[error("{0}")]
    Store(Box<dyn std::error::Error + Send + Sync>),
}

impl PageError {
    /// For the errors of other stages' stores.
    pub fn store(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Store(error.into())
    }
}

pub type Reply = Result<Response, PageError>;

impl Ask {
    pub(super) fn new(app: App, path: String, params: Pairs, query: Pairs, sent: Sent, headers: HeaderMap, peer: Option<IpAddr>) -> Self {
        let now = app.clock.now();
        let part = headers.get("x-fragment");
        let (fragment, click) = (part.is_some(), part.is_none_or(|kind| kind == "swap"));
        Self {
            app,
            path,
            params,
            query,
            form: sent.pairs,
            json: sent.json,
            upload: sent.upload,
            headers,
            peer,
            now,
            cancel: Cancel::default(),
            viewer: None,
            token: None,
            session: None,
            bearer: None,
            fragment,
            click,
            route: None,
            remarks: RefCell::default(),
            about: RefCell::default(),
            stranger: RefCell::default(),
            noted: Cell::new(false),
        }
    }

    /// What the path names.
    pub(super) fn param_first(&self) -> Option<&str> {
        self.params.0.first().map(|(_, value)| value.as_str())
    }

    pub fn param(&self, name: &str) -> &str {
        self.params.get(name)
    }

    pub fn query(&self, name: &str) -> &str {
        self.query.get(name)
    }

    pub fn form(&self, name: &str) -> &str {
        self.form.get(name)
    }

    /// The signed-in user. On a public page there may be none; the error then leads to the door.
    ///
    /// # Errors
    /// `Gone` where nobody is signed in.
    pub fn viewer(&self) -> Result<&Viewer, PageError> {
        self.viewer.as_ref().ok_or(PageError::Gone)
    }

    /// What he may see; nothing where nobody is signed in.
    pub fn scope(&self) -> Scope {
        self.viewer.as_ref().map_or_else(|| Scope::Bodies(vec![]), |viewer| viewer.scope.clone())
    }

    /// As the switch in the user's menu was set last.
    pub(super) fn language(&self) -> Language {
        Language::of(self.cookie("sprache").unwrap_or_default())
    }

    pub fn csrf(&self) -> String {
        self.token.as_ref().map(Token::csrf).unwrap_or_default()
    }

    pub(super) fn cookie_name(&self) -> &'static str {
        cookie_name(&self.app)
    }

    /// From where the request comes; empty behind a proxy on this machine, where everybody has its address.
    pub(super) fn address(&self) -> String {
        let peer = self.peer.map(|peer| peer.to_canonical()).filter(|peer| !peer.is_loopback());
        peer.map(|peer| peer.to_string()).unwrap_or_default()
    }

    /// The browser's class as it is kept with a session: enough to recognise it, too little to recognise a person.
    pub(super) fn browser(&self) -> String {
        let text = self.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let agent = ingest::enrich::classify(text);
        match (agent.name, agent.os) {
            (Some(name), Some(system)) => format!("{name}, {system}"),
            (Some(one), None) | (None, Some(one)) => one.to_owned(),
            (None, None) => String::new(),
        }
    }

    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        cookie(&self.headers, name)
    }

    /// The page of ours that the browser says it comes from; home where it says none.
    pub(super) fn page_before(&self) -> String {
        let text = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(referer), Some(host)) = (text(header::REFERER), text(header::HOST)) else { return "/".into() };
        let rest = referer.split_once("://").and_then(|(_, rest)| rest.strip_prefix(host));
        local_path(rest.unwrap_or("/")).to_owned()
    }

    /// The frame around a page: navigation, bar, who I am.
    pub fn frame(&self, title: &str, place: Place) -> Frame {
        Frame::new(self, title, place)
    }

    /// # Errors
    /// Where the template fails.
    pub fn page(&self, template: &impl Template) -> Reply {
        self.page_status(StatusCode::OK, template)
    }

    /// # Errors
    /// Where the template fails.
    pub fn page_status(&self, status: StatusCode, template: &impl Template) -> Reply {
        let mut response = Response::new(Body::from(template.render()?));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        Ok(response)
    }

    /// After a form: on to the page that shows what became of it, with a notice from `frame::NOTICES`.
    ///
    /// # Errors
    /// Never; a `Reply` for the pages' convenience.
    pub fn redirect(&self, to: &str, notice: &str) -> Reply {
        Ok(see_other(&show::link(to, &[("ok", notice)])))
    }

    /// A file to keep.
    ///
    /// # Errors
    /// Never; a `Reply` for the pages' convenience.
    pub fn download(&self, name: &str, mime: &'static str, content: Vec<u8>) -> Reply {
        let mut response = Response::new(Body::from(content));
        let safe: String = name.chars().filter(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '-' | '_' | '.')).collect();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(mime));
        if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{safe}\"")) {
            response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
        }
        Ok(response)
    }
}

pub(super) fn cookie_name(app: &App) -> &'static str {
    if app.settings.secure { "__Host-wartburg" } else { "wartburg" }
}

pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

/// 303 to a path of ours; anything that is none leads home, so that no link can send people elsewhere.
pub(super) fn see_other(to: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let to = HeaderValue::from_str(local_path(to)).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    response
}

/// `to` where it is a path on this server, else `/`.
pub(super) fn local_path(to: &str) -> &str {
    let strange = |ch: char| ch.is_control() || ch == '\\' || !ch.is_ascii();
    if to.starts_with('/') && !to.starts_with("//") && !to.contains(strange) { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_ours_are_followed() {
        for (to, expected) in [
            ("/vorfall/TC-2026-000412?x=1", "/vorfall/TC-2026-000412?x=1"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nset-cookie: x=1", "/"),
            ("javascript:alert(1)", "/"),
            ("", "/"),
        ] {
            assert_eq!(local_path(to), expected, "{to}");
        }
    }
}
