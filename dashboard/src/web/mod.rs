//! The house's front: the router, and what every request passes before a page's function sees it. A page is a plain
//! function from `Ask` to `Reply` that may block; it is called on a blocking thread. Which pages there are and who is
//! let in stands in `routes`; a page that is not in that table cannot be reached.

#[cfg(test)]
mod api_tests;
mod ask;
pub(crate) mod assets;
mod bearer;
mod door;
#[cfg(test)]
mod export_tests;
#[cfg(test)]
mod flows_tests;
pub(crate) mod frame;
mod gate;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod identity_tests;
#[cfg(test)]
mod letters_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod matrix;
mod note;
mod pages;
mod problem;
mod prove;
mod routes;
#[cfg(test)]
mod sample;
mod steps;
mod stepup;
mod stream;
mod tail;
#[cfg(test)]
pub(crate) mod tests;
mod theme;
mod upload;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use advisory::csaf::Publisher;
use advisory::openpgp::OwnKey;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequest, Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use detect::duty::Duties;
use detect::exhibit::Locker;
use detect::flow::Board;
use detect::intel::SharedIndicators;
use detect::playbook::Playbooks;
use detect::rulebook::SharedRulebook;
use ingest::body::{Prefix, SiteTable};
use ingest::db::Db;
use ingest::disk::Watermark;
use ingest::events::{Cancel, EventStore};
use ingest::flows::FlowStore;
use ingest::journal::Keeper;
use ingest::listen::Counters;
use ingest::pseudonym::Pseudonyms;
use ingest::source::SharedReadings;
use ingest::time::Clock;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use ask::Sent;
pub use ask::{Ask, PageError, Pairs, Reply};
pub(crate) use gate::host_of;
pub use note::Note;
pub(crate) use pages::incidents::{FIELDS_SHOWN, case_facts};
pub use routes::{Machine, Object, ROUTES, Route, Tenant, Verb};
pub use theme::{Theme, ThemeError};
pub use upload::Upload;

use crate::access::{self, Verdict, Who};
use crate::audit_queue::AuditQueue;
use crate::backtests::Backtests;
use crate::demo::sink::Sink;
use crate::hasher::Hasher;
use crate::live::Hub;
use crate::login;
use crate::oidc::Oidc;
use crate::proof::passkey::{Ceremonies, Relying};
use crate::proof::vault::Vault;
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
    /// What came from the exporters of flows, and what did not.
    pub flow_accounts: ingest::flow::FlowAccounts,
    pub pulse: Option<Pulse>,
    /// What the event store hides, and how it is found and opened again.
    pub pseudonyms: Arc<Pseudonyms>,
    /// By which rules stamps are read that name no zone.
    pub readings: SharedReadings,
    /// The rules in force.
    pub rules: SharedRulebook,
    /// Rules that are being tried on what is stored.
    pub backtests: Arc<Backtests>,
    /// The lists of indicators in force.
    pub indicators: SharedIndicators,
    /// The flow detectors' sheet, and how they stand.
    pub board: Arc<Board>,
    pub playbooks: Arc<Playbooks>,
    pub duties: Arc<Duties>,
    /// As whom warnings are published, and where their CSAF documents are put.
    pub publisher: Arc<Publisher>,
    pub csaf_dir: PathBuf,
    pub settings: Arc<Settings>,
    pub door: Arc<Door>,
    /// Tells open pages what has just changed.
    pub live: Arc<Hub>,
    /// Where looks are noted.
    pub audit: AuditQueue,
    /// The files of cases.
    pub locker: Locker,
    /// The house's own OpenPGP key.
    pub pgp: Option<Arc<OwnKey>>,
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
    /// Under which names the pages are reached, without a port; empty: under any (the demo, tests).
    pub hosts: Vec<String>,
    /// Proxies in front of the pages: what they say of whose a request is, is believed.
    pub trusted_proxies: Vec<Prefix>,
    /// SHA-256 in hex of what `/metrics` is asked with; without one only this machine is answered.
    pub metrics_token: Option<String>,
    /// When sessions end.
    pub session: session::Limits,
    /// Of which roles a second factor is demanded.
    pub second_factor: login::Demand,
    /// For which address passkeys are made; `None` where browsers make none.
    pub relying: Option<Relying>,
    /// The operator's copy of the original KERN theme.
    pub theme: Option<Theme>,
    /// The demo: shows the mail sink and the logins at the door.
    pub demo: bool,
    /// Shown at the door in the demo: (role, login, password).
    pub demo_logins: Vec<(detect::role::Role, String, String)>,
    /// The outside provider, where one is configured.
    pub oidc: Option<Arc<Oidc>>,
    /// Where the first administrator's link lies; it goes when the link is used.
    pub first_link_file: Option<PathBuf>,
    /// The demo: where its mails go, to be read on a page.
    pub sink: Option<Sink>,
}

/// What the door remembers between requests.
#[derive(Debug)]
pub struct Door {
    pub(crate) throttle: Throttle,
    pub(crate) hasher: Hasher,
    places: Places,
    /// Wrong codes of second factors, over minutes and over a day.
    pub(crate) factors: Throttle,
    pub(crate) factors_day: Throttle,
    /// Wishes for links to report by: of one, and of all together.
    pub(crate) reports: Throttle,
    pub(crate) reports_all: Throttle,
    /// Passkeys' challenges that wait for their answers.
    pub(crate) ceremonies: Ceremonies,
    /// Seals the secrets of apps.
    pub(crate) vault: Arc<Vault>,
    /// Files that may come in at the same time.
    uploads: Arc<Semaphore>,
}

impl Door {
    pub fn new(vault: Vault) -> Self {
        Self {
            throttle: Throttle::default(),
            places: Places::default(),
            hasher: Hasher::default(),
            factors: Throttle::codes(),
            factors_day: Throttle::codes_day(),
            reports: Throttle::reports(),
            reports_all: Throttle::reports_all(),
            ceremonies: Ceremonies::default(),
            vault: Arc::new(vault),
            uploads: Arc::new(Semaphore::new(upload::UPLOADS_MAX)),
        }
    }
}

/// Pages that are made at the same time.
#[derive(Debug)]
struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PAGES_MAX)))
    }
}

/// Pages being made at once. Each takes a thread and a connection to the database; on two cores more make all slower.
const PAGES_MAX: usize = 64;
/// How long a request waits for its turn before it is told to come again.
const TURN_TIME: Duration = Duration::from_secs(5);
/// How long a page may take. Searches end by themselves well before.
const PAGE_TIME: Duration = Duration::from_secs(60);
/// How long a form may take to come in: 256 KiB over a slow line, but no dribble. Tests do not wait so long.
const FORM_TIME: Duration = Duration::from_millis(if cfg!(test) { 500 } else { 20_000 });

/// All pages and assets. Serve it with `ingest::listen::Pages`, which says who asks; else the throttle knows no
/// addresses.
pub fn router(app: App) -> Router {
    router_of(app, ROUTES)
}

fn router_of(app: App, routes: &'static [Route]) -> Router {
    let mut router = Router::new();
    for route in routes {
        router = router.route(route.path, method(route));
    }
    router
        .route("/assets/{version}/{name}", get(assets::serve))
        .route("/theme/{version}/{*name}", get(theme::serve))
        .fallback(fallback)
        .layer(from_fn_with_state(app.clone(), gate::gate))
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
    run(app, None, parts.uri.path().to_owned(), Pairs::default(), Pairs::default(), Sent::default(), parts.headers, None).await
}

async fn enter(app: App, route: Option<&'static Route>, params: RawPathParams, request: Request) -> Response {
    let params = Pairs(params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect());
    let peer = request.extensions().get::<gate::Client>().map(|client| client.0);
    let path = request.uri().path().to_owned();
    let query = Query::<Vec<(String, String)>>::try_from_uri(request.uri()).map(|query| Pairs(query.0)).unwrap_or_default();
    let headers = request.headers().clone();
    let sent = match route.filter(|route| route.verb == Verb::Post) {
        None => Sent::default(),
        Some(route) => match sent(&app, route, request).await {
            Ok(sent) => sent,
            Err(response) => return response,
        },
    };
    run(app, route, path, params, query, sent, headers, peer).await
}

async fn sent(app: &App, route: &'static Route, request: Request) -> Result<Sent, Response> {
    let Some(boundary) = upload::boundary(request.headers()).filter(|_| route.upload) else {
        return form(request, route).await;
    };
    let token = ask::cookie(request.headers(), ask::cookie_name(app)).and_then(Token::parse);
    let asked = app.clone();
    // Who may not use the page is told so by it, without his file.
    if !tokio::task::spawn_blocking(move || upload::let_in(&asked, route, token)).await.unwrap_or(false) {
        return Ok(Sent::default());
    }
    let (pairs, upload) = upload::take(app, request, boundary).await?;
    Ok(Sent { pairs, json: None, upload })
}

/// Reads a form within its bounds of size and time.
async fn form(request: Request, route: &Route) -> Result<Sent, Response> {
    let bytes_max = route.form_bytes_max;
    let too_large =
        || plain(StatusCode::PAYLOAD_TOO_LARGE, "Das ist zu viel Text für dieses Formular. Bitte gehen Sie zurück und kürzen Sie ihn.");
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let bytes = match timeout(FORM_TIME, axum::body::to_bytes(body, bytes_max)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let long = std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
            return Err(if long {
                too_large()
            } else {
                plain(StatusCode::BAD_REQUEST, "Das Formular kam nur halb an. Bitte senden Sie es noch einmal.")
            });
        }
        Err(_) => {
            let mut response = plain(StatusCode::REQUEST_TIMEOUT, "Das Formular kam zu langsam an. Bitte senden Sie es noch einmal.");
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            return Err(response);
        }
    };
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // Only where programs are let in: a form of another site cannot be made to send this kind, and has no token for it.
    if route.machine.is_some() && kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        let text = String::from_utf8(bytes.into());
        let not_text = |_| problem::problem(StatusCode::BAD_REQUEST, "not_json", "Erwartet wird JSON in UTF-8.");
        return text.map(|text| Sent { json: Some(text), ..Sent::default() }).map_err(not_text);
    }
    let form = axum::Form::<Vec<(String, String)>>::from_request(Request::from_parts(parts, Body::from(bytes)), &()).await;
    form.map(|form| Sent { pairs: Pairs(form.0), ..Sent::default() }).map_err(|rejection| {
        let status = axum::response::IntoResponse::into_response(rejection).status();
        plain(status, "Das Formular war nicht lesbar. Bitte gehen Sie zurück und senden Sie es noch einmal.")
    })
}

#[expect(clippy::too_many_arguments, reason = "the parts of one request, named once more in Ask")]
async fn run(
    app: App,
    route: Option<&'static Route>,
    path: String,
    params: Pairs,
    query: Pairs,
    sent: Sent,
    headers: HeaderMap,
    peer: Option<IpAddr>,
) -> Response {
    let busy = || {
        let text = "Gerade ist sehr viel los. Bitte versuchen Sie es in ein paar Sekunden noch einmal.";
        let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        response
    };
    let Ok(Ok(place)) = timeout(TURN_TIME, Arc::clone(&app.door.places.0).acquire_owned()).await else { return busy() };
    let cancel = Cancel::default();
    // Dropped with this future: when the page is made, when its time is over, and when the client has gone.
    let _gone = cancel.guard();
    let work = move || {
        // Held until the page is made, also where nobody waits for it any more.
        let _place = place;
        let mut ask = Ask::new(app, path, params, query, sent, headers, peer);
        ask.cancel = cancel;
        words::with_language(ask.language(), || {
            let mut reply = admit(&mut ask, route);
            if let Some(route) = route {
                reply = note::after(&ask, route, reply);
            }
            let program = ask.bearer.is_some() || route.is_some_and(|route| route.path.starts_with("/api/"));
            reply.unwrap_or_else(|error| if program { bearer::told(&ask, error) } else { pages::error::respond(&ask, error) })
        })
    };
    match timeout(PAGE_TIME, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(response)) => response,
        // A page that panicked; the panic hook has told the log.
        Ok(Err(_)) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Das hat nicht geklappt, der Fehler liegt bei uns. Bitte versuchen Sie es noch einmal.",
        ),
        Err(_) => busy(),
    }
}

/// Who is it, may he, is it his own form: then the page.
fn admit(ask: &mut Ask, route: Option<&'static Route>) -> Reply {
    if let Some(secret) = bearer::given(&ask.headers) {
        return bearer::admit(ask, route, &secret);
    }
    if let Some(token) = ask.cookie(ask.cookie_name()).and_then(Token::parse) {
        let now = ask.now;
        let limits = ask.app.settings.session;
        if let Some(found) = ask.app.db.read(|c| session::session_find(c, &token, limits, now))? {
            let bodies = ask.app.db.read(|c| access::bodies(c, &found.user, now))?;
            ask.viewer = Some(access::viewer(&found.user, &bodies));
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
    ask.route = Some(route);
    match access::judge(route.who, ask.viewer.as_ref().map(|viewer| viewer.role)) {
        Verdict::Enter => {}
        Verdict::SignIn if ask.fragment => return Err(PageError::Gone),
        // To a stream of events this says: do not come again.
        Verdict::SignIn if stream::wanted(&ask.headers) => return Ok(axum::response::IntoResponse::into_response(StatusCode::NO_CONTENT)),
        Verdict::SignIn if route.path.starts_with("/api/") => return Ok(bearer::missing()),
        Verdict::SignIn => {
            if let Some(response) = pages::kept::signed_out(ask) {
                return Ok(response);
            }
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
        if route.fresh
            && let Some(response) = stepup::demand(ask)?
        {
            return Ok(response);
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

/// As `same_origin`, but only where the browser says so: what is shown again for sending must not be another site's words.
fn surely_same_origin(headers: &HeaderMap) -> bool {
    let says = headers.contains_key("sec-fetch-site") || headers.contains_key(header::ORIGIN);
    says && same_origin(headers)
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
