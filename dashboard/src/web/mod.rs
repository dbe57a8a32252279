//! The house's front: the router, and what every request passes before a page's function sees it. A page is a plain
//! function from `Ask` to `Reply` that may block; it is called on a blocking thread. Which pages there are and who is
//! let in stands in `routes`; a page that is not in that table cannot be reached.

mod ask;
pub(crate) mod assets;
mod door;
pub(crate) mod frame;
mod pages;
mod routes;
#[cfg(test)]
mod sample;
mod stream;
#[cfg(test)]
pub(crate) mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use advisory::csaf::Publisher;
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use detect::playbook::Playbooks;
use detect::sigma::RuleSet;
use ingest::body::SiteTable;
use ingest::db::Db;
use ingest::disk::Watermark;
use ingest::events::EventStore;
use ingest::flows::FlowStore;
use ingest::journal::Keeper;
use ingest::listen::{Counters, Peer};
use ingest::pseudonym::Pseudonyms;
use ingest::source::SharedReadings;
use ingest::time::Clock;

pub use ask::{Ask, PageError, Pairs, Reply};
pub use routes::{ROUTES, Route, Verb};

use crate::access::{self, Verdict, Who};
use crate::demo::sink::Sink;
use crate::hasher::Hasher;
use crate::live::Hub;
use crate::session::{self, Token};
use crate::throttle::Throttle;
use crate::vitals::Pulse;
use crate::words;

/// Everything that the pages read and write; cheap to clone.
#[derive(Clone)]
pub struct App {
    pub db: Db,
    pub clock: Clock,
    pub sites: Arc<RwLock<Arc<SiteTable>>>,
    /// The stores of lines and flows; `None` in a program that runs without them.
    pub events: Option<Arc<EventStore>>,
    pub flows: Option<Arc<FlowStore>>,
    /// What the listeners received, stored, refused and dropped.
    pub counters: Arc<Counters>,
    /// What the journal says of itself; `None` in a program that runs without one.
    pub journal: Option<Keeper>,
    /// How full the disk with the data is.
    pub watermark: Watermark,
    /// Where the running server is asked how it is; `None` where none runs.
    pub pulse: Option<Pulse>,
    /// What the event store hides, and how it is found and opened again.
    pub pseudonyms: Arc<Pseudonyms>,
    /// By which rules stamps are read that name no zone.
    pub readings: SharedReadings,
    pub rules: Arc<RuleSet>,
    pub playbooks: Arc<Playbooks>,
    /// As whom warnings are published, and where their CSAF documents are put.
    pub publisher: Arc<Publisher>,
    pub csaf_dir: PathBuf,
    pub settings: Arc<Settings>,
    pub door: Arc<Door>,
    /// Tells open pages what has just changed.
    pub live: Arc<Hub>,
}

impl App {
    /// The sites as they are now.
    pub fn sites(&self) -> Arc<SiteTable> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the configuration says about the front.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Served over TLS (by us or by a proxy): cookies are `Secure` and carry the `__Host-` prefix.
    pub secure: bool,
    /// SHA-256 in hex of what `/metrics` is asked with; without one only this machine is answered.
    pub metrics_token: Option<String>,
    /// When sessions end.
    pub session: session::Limits,
    /// The demo: shows the mail sink and the logins at the door.
    pub demo: bool,
    /// Shown at the door in the demo: (role, login, password).
    pub demo_logins: Vec<(String, String, String)>,
    /// The demo: where its mails go, to be read on a page.
    pub sink: Option<Sink>,
}

/// What the door remembers between requests.
#[derive(Debug, Default)]
pub struct Door {
    pub(crate) throttle: Throttle,
    pub(crate) hasher: Hasher,
}

/// Forms are small; the longest is an advisory's text.
const FORM_BYTES_MAX: usize = 256 * 1024;

/// All pages and assets. Serve it with `into_make_service_with_connect_info::<ingest::listen::Peer>()`, else the throttle
/// knows no addresses.
pub fn router(app: App) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route.path, method(route));
    }
    router
        .route("/assets/{version}/{name}", get(assets::serve))
        .fallback(fallback)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), headers))
        .with_state(app)
}

fn method(route: &'static Route) -> MethodRouter<App> {
    let handle = move |State(app): State<App>, params: RawPathParams, request: Request| enter(app, Some(route), params, request);
    match route.verb {
        Verb::Get => get(handle),
        Verb::Post => post(handle),
    }
}

async fn fallback(State(app): State<App>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    run(app, None, parts.uri.path().to_owned(), Pairs::default(), Pairs::default(), Pairs::default(), parts.headers, None).await
}

async fn enter(app: App, route: Option<&'static Route>, params: RawPathParams, request: Request) -> Response {
    let params = Pairs(params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.0);
    let path = request.uri().path().to_owned();
    let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map(|query| Pairs(query.0)).unwrap_or_default();
    let headers = request.headers().clone();
    let form = if request.method() == Method::POST {
        match axum::Form::<Vec<(String, String)>>::from_request(request, &()).await {
            Ok(form) => Pairs(form.0),
            Err(rejection) => {
                let status = axum::response::IntoResponse::into_response(rejection).status();
                return plain(status, "Das Formular war zu groß oder unlesbar. Bitte gehen Sie zurück und senden Sie es noch einmal.");
            }
        }
    } else {
        Pairs::default()
    };
    run(app, route, path, params, query, form, headers, peer).await
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request, named once more in Ask")]
async fn run(
    app: App,
    route: Option<&'static Route>,
    path: String,
    params: Pairs,
    query: Pairs,
    form: Pairs,
    headers: HeaderMap,
    peer: Option<IpAddr>,
) -> Response {
    let work = move || {
        let mut ask = Ask::new(app, path, params, query, form, headers, peer);
        words::with_language(ask.language(), || {
            let reply = admit(&mut ask, route);
            reply.unwrap_or_else(|error| pages::error::respond(&ask, error))
        })
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        // A page that panicked; the panic hook has told the log.
        Err(_) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Das hat nicht geklappt, der Fehler liegt bei uns. Bitte versuchen Sie es noch einmal.",
        ),
    }
}

/// Who is it, may he, is it his own form: then the page.
fn admit(ask: &mut Ask, route: Option<&'static Route>) -> Reply {
    if let Some(token) = ask.cookie(ask.cookie_name()).and_then(Token::parse) {
        let now = ask.now;
        let limits = ask.app.settings.session;
        if let Some(found) = ask.app.db.read(|c| session::session_find(c, &token, limits, now))? {
            ask.viewer = Some(access::viewer(&found.user));
            // The live refresh is no click, and neither is an open stream: they must not keep a session alive.
            if found.stale && ask.click && !route.is_some_and(|route| route.quiet) {
                let token = token.clone();
                ask.app.db.write(move |tx| session::session_seen(tx, &token, now))?;
            }
            ask.token = Some(token);
            ask.session = Some(found);
        }
    }
    let Some(route) = route else {
        return Err(PageError::NotFound);
    };
    match access::judge(route.who, ask.viewer.as_ref().map(|viewer| viewer.role)) {
        Verdict::Enter => {}
        Verdict::SignIn if ask.fragment => return Err(PageError::Gone),
        Verdict::SignIn => {
            // A form cannot be asked for again: back to the page that it stood on, where the script has kept what was typed.
            if route.verb == Verb::Post {
                (ask.path, ask.query) = (ask.page_before(), Pairs::default());
            }
            return Ok(door::to_login(ask));
        }
        Verdict::Forbidden => return Err(PageError::Forbidden),
    }
    if route.verb == Verb::Post {
        if !same_origin(&ask.headers) {
            return Err(PageError::ForeignForm);
        }
        let fits = ask.token.as_ref().is_some_and(|token| token.csrf_fits(ask.form("csrf")));
        if route.who != Who::Public && !fits {
            return Err(PageError::ForeignForm);
        }
    }
    (route.page)(ask)
}

/// Whether a form came from a page of ours, as far as the browser says. Old browsers say nothing; there the CSRF
/// token and `SameSite` stand alone.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return true,
        Some(_) => return false,
        None => {}
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, origin)| origin == host),
        (Some(_), None) => false,
    }
}

const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// The headers that every answer carries, pages, errors and assets alike.
async fn headers(State(app): State<App>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let fixed = [
        ("content-security-policy", CSP),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // Paths hold case numbers and query strings hold names: no other site learns them.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=()"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.settings.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
