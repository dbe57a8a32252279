//! The door, walked: every route, as everybody, with an own object and with a foreign one, by every method, over the real
//! router and a real database. What comes out is a table to read, and a list of what must not be; a route that is planted
//! without a check makes the list long.

use advisory::kpi::KPIS;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use detect::role::Role;
use expect_test::expect;
use ingest::body::{BodyId, Site, SiteId, SiteTable, site_add};
use ingest::event::Event;
use ingest::fields;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::pipeline::{Batch, Consumer as _};
use ingest::scope::Scope;
use ingest::source::{SourceConsumer, source_list};

use super::tests::{Answer, Front, now, open_case};
use super::*;
use crate::reveal::{NewReveal, Object as RevealObject, reveal_ask};
use crate::user::{User, UserId, user_add};

/// What stands in everything that is foreign, and in nothing else.
const MARK: &str = "Fremdgut";

/// One object of each kind for the own body and one for the foreign one; what nobody owns is the same for both.
struct Objects {
    incident: [String; 2],
    advisory: [String; 2],
    subscription: [String; 2],
    source: [String; 2],
    reveal: String,
    /// Another account's: everybody's own are tested where they are made.
    passkey: String,
    session: String,
}

impl Objects {
    fn new(front: &Front) -> Self {
        let bodies = [front.body, front.other];
        let title = |n: usize| if n == 0 { "Eigener Fall".to_owned() } else { format!("{MARK} im Fall") };
        let who = UserId::new(now());
        let new = NewReveal {
            reason: "Ein Grund, der lang genug ist".into(),
            incident: String::new(),
            objects: vec![RevealObject { value: "p1abc".into(), seq: 1 }],
        };
        let reveal = front.app.db.write(move |tx| reveal_ask(tx, who, Role::Analyst, &new, now())).unwrap();
        let incident = [0, 1].map(|n| open_case(front, bodies[n], &title(n)));
        let duties = front.app.duties.clone();
        front.app.db.write(move |tx| detect::duty::clocks_start(tx, &duties, now())).unwrap();
        Self {
            incident,
            advisory: [0, 1].map(|n| published(front, &format!("Warnung, {}", title(n)), "amber", bodies[n])),
            subscription: [0, 1].map(|n| subscribed(front, bodies[n])),
            source: sources(front, bodies),
            reveal: reveal.to_string(),
            passkey: passkey(front),
            session: session(front),
        }
    }

    fn id(&self, object: Object, foreign: bool) -> String {
        let of = |pair: &[String; 2]| pair[usize::from(foreign)].clone();
        match object {
            Object::Incident => of(&self.incident),
            Object::Advisory => of(&self.advisory),
            Object::Subscription => of(&self.subscription),
            Object::Source => of(&self.source),
            Object::Reveal => self.reveal.clone(),
            Object::Kpi => KPIS[0].key.to_owned(),
            Object::Rule => "fehlt".into(),
            Object::Passkey if foreign => self.passkey.clone(),
            Object::Session if foreign => self.session.clone(),
            // A demo's mail, an alert, a line: there are none here, so whoever is let in hears just that.
            Object::Alert | Object::Event | Object::Mail | Object::Passkey | Object::Session | Object::Other => MISSING.into(),
        }
    }
}

const MISSING: &str = "00000000000000000000000001";

/// A warning that was written, approved, published, and sent to one body only.
fn published(front: &Front, title: &str, tlp: &str, to: BodyId) -> String {
    try_publish(front, title, tlp, to).unwrap_or_else(|error| panic!("{title}: {error}"))
}

pub(super) fn try_publish(front: &Front, title: &str, tlp: &str, to: BodyId) -> Result<String, advisory::store::AdvisoryError> {
    use advisory::advisory::{AdvisoryId, Content, Tlp};
    use advisory::publication::{Deliver, Order, advisory_publish};
    use advisory::store::{AdvisoryError, advisory_approve, advisory_draft, advisory_submit};
    use advisory::workflow::{Actor, Role as Wid};
    let content = Content {
        title: title.into(),
        severity: advisory::advisory::Severity::Hoch,
        situation: "Angreifer kommen ohne Anmeldung hinein.".into(),
        assessment: "Wird ausgenutzt.".into(),
        check: "Version nachsehen.".into(),
        tlp: Tlp::parse(tlp).unwrap(),
        measures: vec![advisory::advisory::Measure {
            kind: advisory::advisory::MeasureKind::Mitigation,
            text: "Version 7.2 einspielen.".into(),
            due_at: None,
        }],
        products: vec![advisory::advisory::Product { name: "VPN".into(), vendor: "Beispiel AG".into(), version: "< 7.2".into() }],
        sources: vec![advisory::advisory::Source { title: "Hinweis".into(), url: "https://hersteller.example/hinweis".into() }],
        ..Content::empty()
    };
    let publisher = front.app.publisher.clone();
    let id: Result<AdvisoryId, AdvisoryError> = front.app.db.write(move |tx| {
        let all = [Wid::Author, Wid::Reviewer, Wid::Publisher];
        let (author, second) = (Actor::new("a", &all), Actor::new("b", &all));
        let made = advisory_draft(tx, content, &author, now())?;
        let made = advisory_submit(tx, made.id, made.row_version, &author, now())?;
        let made = advisory_approve(tx, made.id, made.row_version, "", &second, now())?;
        let order = Order { actor: &second, publisher: &publisher, deliver: Deliver::Mail, note: "" };
        let done = advisory_publish(tx, made.id, made.row_version, &order, now())?;
        let only = [made.id.to_string(), to.to_string()];
        tx.execute("DELETE FROM addressee WHERE advisory = ?1 AND body <> ?2", only).map_err(ingest::db::DbError::from)?;
        Ok(done.advisory.id)
    });
    id.map(|id| id.to_string())
}

fn subscribed(front: &Front, body: BodyId) -> String {
    use advisory::subscription::{Subscription, subscription_add};
    let one = Subscription::default_for(body);
    front.app.db.write(move |tx| subscription_add(tx, &Scope::All, &one, now())).unwrap().unwrap().to_string()
}

fn passkey(front: &Front) -> String {
    use crate::proof::passkey::{NewPasskey, passkey_add};
    let owner = stranger(front, "schluessel");
    let new = NewPasskey { credential: "fremd".into(), transports: 0, fixed: String::new(), state: String::new() };
    front.app.db.write(move |tx| passkey_add(tx, owner, &new, MARK, now())).unwrap().unwrap().to_string()
}

fn session(front: &Front) -> String {
    use crate::session::{How, NewSession, session_open};
    let new = NewSession { user: stranger(front, "sitzung"), how: How::Password, address: String::new(), browser: MARK.into() };
    let limits = front.app.settings.session;
    front.app.db.write(move |tx| session_open(tx, &new, &Token::new(), limits, now())).unwrap().to_string()
}

/// An account that nobody of the walk has.
fn stranger(front: &Front, login: &str) -> UserId {
    let id = UserId::new(now());
    let user = User { id, login: login.into(), name: "Jemand anders".into(), role: Role::Analyst, body: None, disabled: false };
    front.app.db.write(move |tx| user_add(tx, &user, "x", now())).unwrap();
    id
}

fn sources(front: &Front, bodies: [BodyId; 2]) -> [String; 2] {
    let names = ["rathaus".to_owned(), MARK.to_lowercase()];
    let site = |n: usize| Site {
        id: SiteId(ingest::id::Ulid(n as u128 + 1)),
        name: names[n].clone(),
        body: Some(bodies[n]),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    let all = [site(0), site(1)];
    let copies = all.clone();
    front.app.db.write(move |tx| copies.iter().try_for_each(|site| site_add(tx, site))).unwrap();
    *front.app.sites.write().unwrap() = Arc::new(SiteTable::new(all.to_vec()));
    let mut consumer = SourceConsumer::new(front.app.db.clone()).unwrap();
    for (seq, n) in [(1u64, 0usize), (2, 1)] {
        let peer = "192.0.2.1".parse().unwrap();
        let frame = NewFrame {
            received_at: now(),
            site: all[n].id,
            peer,
            transport: Transport::Udp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: Box::from(&b"x"[..]),
        };
        let mut event = Event::new(Seq(seq), now(), all[n].id, peer, Transport::Udp, b"x");
        event.push_text(fields::HOST_NAME, if n == 0 { "eigen" } else { MARK });
        let frames = vec![Frame { seq: Seq(seq), frame }];
        consumer.apply(&Batch { first: Seq(seq), last: Seq(seq), events: vec![event], frames, ..Batch::default() }).unwrap();
    }
    consumer.flush().unwrap();
    let sites = front.app.sites();
    let found = front.app.db.read(|c| source_list(c, &Scope::All, &sites, now())).unwrap();
    all.map(|site| found.iter().find(|source| source.site == site.id).unwrap().id.to_string())
}

type Person = (Option<Role>, String, String);

fn people(front: &Front) -> Vec<Person> {
    let signed_in = Role::ALL.map(|role| {
        let (cookie, csrf) = front.enter(role);
        (Some(role), cookie, csrf)
    });
    [(None, String::new(), String::new())].into_iter().chain(signed_in).collect()
}

/// A request by any method; forms carry the token.
async fn ask(front: &Front, method: &Method, path: &str, (_, cookie, csrf): &Person) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::COOKIE, cookie).header(header::HOST, "wartburg.test");
    let form = if method == Method::GET || method == Method::HEAD { String::new() } else { format!("csrf={csrf}") };
    front.send(request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::from(form)).unwrap()).await
}

fn path_of(route: &Route, id: &str) -> String {
    let start = route.path.find('{').unwrap_or(route.path.len());
    let end = route.path.find('}').map_or(route.path.len(), |end| end + 1);
    // A case of either body has this duty to report.
    format!("{}{}{}", &route.path[..start], if start == end { "" } else { id }, &route.path[end..]).replace("{duty}", "bsig_meldung")
}

/// What is the same on every such page, whatever was asked for.
fn without(text: &str, id: &str) -> String {
    let csrf = regex::Regex::new(r#"name="csrf" value="[0-9a-f]*""#).unwrap();
    csrf.replace_all(&text.replace(id, "…"), "").into_owned()
}

/// Walks the routes: the table, and what must not be.
async fn walk(front: &Front, routes: &'static [Route], objects: &Objects) -> (String, Vec<String>) {
    let (mut table, mut complaints) = (String::new(), vec![]);
    let people = people(front);
    for route in routes {
        let method = if route.verb == Verb::Get { Method::GET } else { Method::POST };
        let object = match route.tenant {
            Tenant::Own(object) | Tenant::Any(object) => Some(object),
            _ => None,
        };
        let variants: &[bool] = if matches!(route.tenant, Tenant::Own(_)) { &[false, true] } else { &[false] };
        for foreign in variants {
            let id = object.map_or_else(|| "fehlt".to_owned(), |object| objects.id(object, *foreign));
            let path = path_of(route, &id);
            let mut line = vec![];
            for person in &people {
                // Who signs out is out: each does it with a session of its own.
                let fresh = (route.path == "/logout").then(|| person.0.map(|role| front.enter(role))).flatten();
                let person = &fresh.map_or_else(|| person.clone(), |(cookie, csrf)| (person.0, cookie, csrf));
                let answer = ask(front, &method, &path, person).await;
                let status = answer.status;
                line.push(status.as_u16().to_string());
                let name = format!("{method} {path} as {}", person.0.map_or("nobody", Role::as_str));
                let leads_to = |start: &str| status == StatusCode::SEE_OTHER && answer.header("location").starts_with(start);
                let to_door = leads_to("/login?weiter=") || leads_to("/login") && !leads_to("/login?");
                // Programs are told, not led.
                let to_door = to_door || route.path.starts_with("/api/") && status == StatusCode::UNAUTHORIZED;
                match access::judge(route.who, person.0) {
                    Verdict::SignIn if !to_door => complaints.push(format!("{name}: {status} without signing in")),
                    Verdict::Forbidden if status != StatusCode::FORBIDDEN => complaints.push(format!("{name}: {status} instead of 403")),
                    Verdict::Enter if status == StatusCode::FORBIDDEN || to_door => complaints.push(format!("{name}: kept out")),
                    _ => {}
                }
                if status.is_server_error() {
                    complaints.push(format!("{name}: {status}"));
                }
                let bound = matches!(person.0, Some(Role::Municipality | Role::Provider | Role::Steering | Role::Auditor));
                if bound && answer.text.to_lowercase().contains(&MARK.to_lowercase()) {
                    complaints.push(format!("{name}: shows what is another body's"));
                }
                let entered = access::judge(route.who, person.0) == Verdict::Enter;
                let owner = matches!(person.0, Some(Role::Municipality | Role::Provider));
                if *foreign && entered && owner {
                    // Not there, in the very words in which something is not there that nobody has.
                    let none = if object == Some(Object::Incident) { "TC-1999-000001" } else { MISSING };
                    let missing = ask(front, &method, &path_of(route, none), person).await;
                    if status != StatusCode::NOT_FOUND {
                        complaints.push(format!("{name}: {status} for what is another body's"));
                    } else if (missing.status, without(&missing.text, none)) != (status, without(&answer.text, &id)) {
                        complaints.push(format!("{name}: what is foreign is told apart from what is missing"));
                    }
                }
                if !*foreign
                    && entered
                    && owner
                    && route.verb == Verb::Get
                    && matches!(route.tenant, Tenant::Own(_))
                    && status == StatusCode::NOT_FOUND
                {
                    complaints.push(format!("{name}: the own one is not found"));
                }
                complaints.extend(other_methods(front, routes, route, &path, person, status).await);
            }
            let mark = match route.tenant {
                Tenant::Own(_) if *foreign => " (foreign)",
                Tenant::Own(_) => " (own)",
                _ => "",
            };
            table.push_str(&format!("{method:<4} {}{mark}: {}\n", route.path, line.join(" ")));
        }
    }
    (table, complaints)
}

/// What is no GET and no POST of the table is nothing; HEAD says what GET says.
async fn other_methods(
    front: &Front,
    routes: &'static [Route],
    route: &Route,
    path: &str,
    person: &Person,
    status: StatusCode,
) -> Vec<String> {
    let mut complaints = vec![];
    let has = |verb: Verb| routes.iter().any(|other| other.path == route.path && other.verb == verb);
    for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS, Method::TRACE, Method::POST, Method::GET] {
        let expected = match method {
            Method::HEAD if route.verb == Verb::Get => status,
            Method::POST if has(Verb::Post) => continue,
            Method::GET | Method::HEAD if has(Verb::Get) => continue,
            _ => StatusCode::METHOD_NOT_ALLOWED,
        };
        let answer = ask(front, &method, path, person).await;
        if answer.status != expected || (method == Method::HEAD && !answer.text.is_empty()) {
            complaints.push(format!("{method} {path}: {} instead of {expected}", answer.status));
        }
        if answer.header("content-security-policy") != gate::CSP {
            complaints.push(format!("{method} {path}: an answer without its headers"));
        }
    }
    complaints
}

/// Columns: nobody, then the roles in the order of `Role::ALL`.
#[tokio::test]
async fn every_route_as_everybody_with_own_and_foreign() {
    let front = Front::new();
    let objects = Objects::new(&front);
    let (table, complaints) = walk(&front, ROUTES, &objects).await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    expect![[r#"
        GET /login: 200 303 303 303 303 303 303 303
        POST /login: 422 422 422 422 422 429 429 429
        GET /login/schritt: 303 303 303 303 303 303 303 303
        POST /login/nachweis: 303 303 303 303 303 303 303 303
        POST /login/einrichten: 303 303 303 303 303 303 303 303
        POST /login/kennwort: 303 303 303 303 303 303 303 303
        POST /login/passkey: 422 422 422 422 422 422 422 422
        POST /login/passkey/optionen: 404 404 404 404 404 404 404 404
        GET /konto: 303 200 200 200 200 200 200 200
        POST /konto/kennwort: 303 422 422 422 422 422 422 422
        GET /konto/app: 303 303 303 303 303 303 303 303
        POST /konto/app: 303 303 303 303 303 303 303 303
        POST /konto/app/bestaetigen: 303 422 422 422 422 422 422 422
        POST /konto/app/entfernen: 303 303 303 303 303 303 303 303
        POST /konto/codes: 303 422 422 422 422 422 422 422
        POST /konto/passkey/neu: 303 404 404 404 404 404 404 404
        POST /konto/passkey: 303 404 404 404 404 404 404 404
        POST /konto/passkey/{id}/nennen (own): 303 404 404 404 404 404 404 404
        POST /konto/passkey/{id}/nennen (foreign): 303 404 404 404 404 404 404 404
        POST /konto/passkey/{id}/entfernen (own): 303 404 404 404 404 404 404 404
        POST /konto/passkey/{id}/entfernen (foreign): 303 404 404 404 404 404 404 404
        POST /konto/sitzung/{id}/beenden (own): 303 404 404 404 404 404 404 404
        POST /konto/sitzung/{id}/beenden (foreign): 303 404 404 404 404 404 404 404
        POST /konto/sitzungen/beenden: 303 303 303 303 303 303 303 303
        POST /logout: 303 303 303 303 303 303 303 303
        POST /darstellung: 303 303 303 303 303 303 303 303
        POST /sprache: 303 303 303 303 303 303 303 303
        GET /login/oidc: 404 404 404 404 404 404 404 404
        GET /login/oidc/zurueck: 404 404 404 404 404 404 404 404
        GET /login/oidc/abmelden: 404 404 404 404 404 404 404 404
        GET /einladung/{token}: 404 404 404 404 404 404 404 404
        POST /einladung/{token}: 404 404 404 404 404 404 404 404
        GET /konto/zugriff: 303 200 200 200 200 200 200 200
        POST /konto/zugriff: 303 422 422 422 422 422 422 422
        POST /konto/zugriff/{id}/widerrufen: 303 404 404 404 404 404 404 404
        GET /api/v1/me: 401 200 200 200 200 200 200 200
        GET /api/v1/incidents: 401 200 200 200 200 403 403 403
        GET /api/v1/alerts: 401 200 200 403 403 403 403 403
        GET /api/v1/incidents/{number} (own): 401 200 200 200 200 403 403 403
        GET /api/v1/incidents/{number} (foreign): 401 200 200 404 404 403 403 403
        GET /api/v1/incidents/{number}/history (own): 401 200 200 200 200 403 403 403
        GET /api/v1/incidents/{number}/history (foreign): 401 200 200 404 404 403 403 403
        GET /api/v1/incidents/{number}/recommendations (own): 401 200 200 200 200 403 403 403
        GET /api/v1/incidents/{number}/recommendations (foreign): 401 200 200 404 404 403 403 403
        GET /api/v1/incidents/{number}/alerts (own): 401 200 200 403 403 403 403 403
        GET /api/v1/incidents/{number}/alerts (foreign): 401 200 200 403 403 403 403 403
        POST /api/v1/incidents: 401 422 422 422 422 403 403 403
        POST /api/v1/incidents/{number}/notes (own): 401 422 422 403 403 403 403 403
        POST /api/v1/incidents/{number}/notes (foreign): 401 422 422 403 403 403 403 403
        POST /api/v1/incidents/{number}/move (own): 401 428 428 403 403 403 403 403
        POST /api/v1/incidents/{number}/move (foreign): 401 428 428 403 403 403 403 403
        POST /api/v1/incidents/{number}/close (own): 401 428 428 403 403 403 403 403
        POST /api/v1/incidents/{number}/close (foreign): 401 428 428 403 403 403 403 403
        POST /api/v1/incidents/{number}/assignee (own): 401 428 428 403 403 403 403 403
        POST /api/v1/incidents/{number}/assignee (foreign): 401 428 428 403 403 403 403 403
        POST /api/v1/incidents/{number}/answer (own): 401 422 422 422 422 403 403 403
        POST /api/v1/incidents/{number}/answer (foreign): 401 422 422 404 404 403 403 403
        GET /konten: 303 403 403 403 403 403 403 200
        GET /konten/neu: 303 403 403 403 403 403 403 200
        POST /konten/neu: 303 403 403 403 403 403 403 422
        GET /konten/mandate: 303 403 403 403 403 403 403 200
        POST /konten/mandate: 303 403 403 403 403 403 403 422
        POST /konten/mandate/{id}/beenden: 303 403 403 403 403 403 403 404
        POST /konten/dienstleister: 303 403 403 403 403 403 403 422
        GET /konten/webhooks: 303 403 403 403 403 403 403 200
        POST /konten/webhooks: 303 403 403 403 403 403 403 422
        POST /konten/webhooks/{id}/beenden: 303 403 403 403 403 403 403 404
        POST /konten/webhooks/{id}/erneut: 303 403 403 403 403 403 403 404
        GET /konten/{id}: 303 403 403 403 403 403 403 404
        POST /konten/{id}: 303 403 403 403 403 403 403 404
        POST /konten/{id}/sperren: 303 403 403 403 403 403 403 404
        POST /konten/{id}/freigeben: 303 403 403 403 403 403 403 404
        POST /konten/{id}/zuruecksetzen: 303 403 403 403 403 403 403 404
        POST /konten/{id}/abmelden: 303 403 403 403 403 403 403 404
        POST /konten/{id}/zugriff/{token}/widerrufen: 303 403 403 403 403 403 403 404
        GET /: 303 200 200 200 200 303 303 303
        GET /lage/live: 303 200 200 403 403 403 403 403
        GET /strom: 303 409 409 409 409 403 403 403
        GET /vorfaelle: 303 200 200 200 200 403 403 403
        POST /vorfaelle: 303 409 409 403 403 403 403 403
        GET /vorfaelle.csv: 303 200 200 200 200 403 403 403
        GET /fristen: 303 200 200 200 200 403 403 403
        GET /vorfaelle/neu: 303 200 200 403 403 403 403 403
        POST /vorfaelle/neu: 303 422 422 403 403 403 403 403
        GET /vorfaelle/meldelinks: 303 200 200 403 403 403 403 403
        POST /vorfaelle/meldelinks: 303 422 422 403 403 403 403 403
        GET /vorfall/{number}/export (own): 303 200 200 200 200 403 403 403
        GET /vorfall/{number}/export (foreign): 303 200 200 404 404 403 403 403
        GET /vorfall/{number}/bericht.pdf (own): 303 200 200 200 200 403 403 403
        GET /vorfall/{number}/bericht.pdf (foreign): 303 200 200 404 404 403 403 403
        GET /vorfall/{number} (own): 303 200 200 200 200 403 403 403
        GET /vorfall/{number} (foreign): 303 200 200 404 404 403 403 403
        POST /vorfall/{number}/uebernehmen (own): 303 303 303 403 403 403 403 403
        POST /vorfall/{number}/uebernehmen (foreign): 303 303 303 403 403 403 403 403
        POST /vorfall/{number}/stand (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/stand (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/notiz (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/notiz (foreign): 303 409 409 403 403 403 403 403
        GET /vorfall/{number}/angaben (own): 303 200 200 403 403 403 403 403
        GET /vorfall/{number}/angaben (foreign): 303 200 200 403 403 403 403 403
        POST /vorfall/{number}/angaben (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/angaben (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/zeitleiste (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/zeitleiste (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/zeitleiste/streichen (own): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/zeitleiste/streichen (foreign): 303 404 404 403 403 403 403 403
        POST /zeitleiste: 303 409 409 403 403 403 403 403
        GET /aufgaben: 303 200 200 403 403 403 403 403
        POST /aufgaben: 303 409 409 403 403 403 403 403
        GET /aufgabe/{id}: 303 404 404 403 403 403 403 403
        POST /aufgabe/{id}: 303 404 404 403 403 403 403 403
        POST /aufgabe/{id}/stand: 303 404 404 403 403 403 403 403
        GET /vorfall/{number}/zusammenfuehren (own): 303 200 200 403 403 403 403 403
        GET /vorfall/{number}/zusammenfuehren (foreign): 303 200 200 403 403 403 403 403
        POST /vorfall/{number}/zusammenfuehren (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/zusammenfuehren (foreign): 303 409 409 403 403 403 403 403
        GET /vorfall/{number}/trennen (own): 303 200 200 403 403 403 403 403
        GET /vorfall/{number}/trennen (foreign): 303 200 200 403 403 403 403 403
        POST /vorfall/{number}/trennen (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/trennen (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/verbinden (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/verbinden (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/loesen (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/loesen (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/empfehlung (own): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/empfehlung (foreign): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/warnung (own): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/warnung (foreign): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/antwort (own): 303 404 404 404 404 403 403 403
        POST /vorfall/{number}/antwort (foreign): 303 404 404 404 404 403 403 403
        GET /vorfall/{number}/pflicht/{duty} (own): 303 200 200 200 200 403 403 403
        GET /vorfall/{number}/pflicht/{duty} (foreign): 303 200 200 404 404 403 403 403
        GET /vorfall/{number}/pflicht/{duty}/formular.json (own): 303 200 200 200 200 403 403 403
        GET /vorfall/{number}/pflicht/{duty}/formular.json (foreign): 303 200 200 404 404 403 403 403
        GET /vorfall/{number}/pflicht/{duty}/formular.pdf (own): 303 200 200 200 200 403 403 403
        GET /vorfall/{number}/pflicht/{duty}/formular.pdf (foreign): 303 200 200 404 404 403 403 403
        POST /vorfall/{number}/pflicht/{duty} (own): 303 409 409 409 409 403 403 403
        POST /vorfall/{number}/pflicht/{duty} (foreign): 303 409 409 404 404 403 403 403
        POST /vorfall/{number}/beweis (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/beweis (foreign): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/beweis/{id}/herunterladen (own): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/beweis/{id}/herunterladen (foreign): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/beweis/{id}/freigeben (own): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/beweis/{id}/freigeben (foreign): 303 404 404 403 403 403 403 403
        POST /vorfall/{number}/schreiben (own): 303 409 409 403 403 403 403 403
        POST /vorfall/{number}/schreiben (foreign): 303 409 409 403 403 403 403 403
        GET /post: 303 200 200 403 403 403 403 403
        GET /post/{id}: 303 404 404 403 403 403 403 403
        POST /post/{id}/zuordnen: 303 404 404 403 403 403 403 403
        POST /post/{id}/eroeffnen: 303 404 404 403 403 403 403 403
        POST /post/{id}/ablegen: 303 404 404 403 403 403 403 403
        GET /alarme: 303 200 200 403 403 403 403 403
        POST /alarme: 303 409 409 403 403 403 403 403
        POST /alarm/{id}/schliessen: 303 404 404 403 403 403 403 403
        POST /alarm/{id}/bestaetigen: 303 404 404 403 403 403 403 403
        GET /suche: 303 200 200 403 403 403 403 403
        GET /suche/zeilen: 303 200 200 403 403 403 403 403
        GET /suche/export.csv: 303 404 404 403 403 403 403 403
        GET /suche/export.ndjson: 303 404 404 403 403 403 403 403
        GET /suche/export.parquet: 303 404 404 403 403 403 403 403
        GET /suche/gespeichert: 303 200 200 403 403 403 403 403
        POST /suche/gespeichert: 303 409 409 403 403 403 403 403
        GET /suche/gespeichert/{id}: 303 404 404 403 403 403 403 403
        POST /suche/gespeichert/{id}: 303 404 404 403 403 403 403 403
        POST /suche/gespeichert/{id}/loeschen: 303 404 404 403 403 403 403 403
        POST /suche/gespeichert/{id}/plan: 303 404 404 403 403 403 403 403
        GET /suche/live: 303 200 200 403 403 403 403 403
        GET /suche/strom: 303 404 404 403 403 403 403 403
        GET /ereignis/{number}: 303 404 404 403 403 403 403 403
        GET /fluesse: 303 200 200 403 403 403 403 403
        GET /fluesse/verbindung: 303 404 404 403 403 403 403 403
        GET /aufdeckung: 303 200 200 403 403 403 403 403
        POST /aufdeckung: 303 422 422 403 403 403 403 403
        POST /aufdeckung/{id}/entscheiden: 303 403 409 403 403 403 403 403
        POST /aufdeckung/{id}/zeigen: 303 409 409 403 403 403 403 403
        GET /indikatoren: 303 200 200 403 403 403 403 403
        GET /indikatoren/eintraege: 303 200 200 403 403 403 403 403
        POST /indikatoren: 303 422 422 403 403 403 403 403
        POST /indikatoren/rueckschau/{id}/abbrechen: 303 404 404 403 403 403 403 403
        POST /indikatoren/feed: 303 404 404 403 403 403 403 403
        GET /regeln: 303 200 200 403 403 403 403 403
        GET /regeln/abdeckung: 303 200 200 403 403 403 403 403
        GET /regeln/abdeckung.json: 303 200 200 403 403 403 403 403
        GET /regeln/ruecktest: 303 200 200 403 403 403 403 403
        POST /regeln/ruecktest: 303 422 422 403 403 403 403 403
        GET /regeln/ruecktest/{id}: 303 404 404 403 403 403 403 403
        POST /regeln/ruecktest/{id}/abbrechen: 303 404 404 403 403 403 403 403
        GET /regel/{name}: 303 404 404 403 403 403 403 403
        POST /regel/{name}/stand: 303 403 404 403 403 403 403 403
        GET /regel/{name}/stillhalten: 303 404 404 403 403 403 403 403
        POST /regel/{name}/stillhalten: 303 404 404 403 403 403 403 403
        POST /regel/{name}/stillhalten/{id}/beenden: 303 404 404 403 403 403 403 403
        GET /meldungen: 303 200 200 200 200 403 403 403
        GET /meldung/neu: 303 200 200 403 403 403 403 403
        POST /meldung/neu: 303 422 422 403 403 403 403 403
        GET /meldung/{id} (own): 303 200 200 200 200 403 403 403
        GET /meldung/{id} (foreign): 303 200 200 404 404 403 403 403
        GET /meldung/{id}/csaf (own): 303 200 200 200 200 403 403 403
        GET /meldung/{id}/csaf (foreign): 303 200 200 404 404 403 403 403
        GET /meldung/{id}/bearbeiten (own): 303 409 409 403 403 403 403 403
        GET /meldung/{id}/bearbeiten (foreign): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/bearbeiten (own): 303 422 422 403 403 403 403 403
        POST /meldung/{id}/bearbeiten (foreign): 303 422 422 403 403 403 403 403
        POST /meldung/{id}/pruefen (own): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/pruefen (foreign): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/freigeben (own): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/freigeben (foreign): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/zurueck (own): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/zurueck (foreign): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/veroeffentlichen (own): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/veroeffentlichen (foreign): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/ueberarbeiten (own): 303 303 409 403 403 403 403 403
        POST /meldung/{id}/ueberarbeiten (foreign): 303 303 409 403 403 403 403 403
        POST /meldung/{id}/zurueckziehen (own): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/zurueckziehen (foreign): 303 409 409 403 403 403 403 403
        POST /meldung/{id}/kenntnis (own): 303 403 403 409 409 403 403 403
        POST /meldung/{id}/kenntnis (foreign): 303 403 403 404 404 403 403 403
        GET /w/{token}: 404 404 404 404 404 404 404 404
        POST /w/{token}: 409 409 409 409 409 409 409 409
        GET /empfehlung/{token}: 404 404 404 404 404 404 404 404
        POST /empfehlung/{token}: 404 404 404 404 404 404 404 404
        GET /melden: 200 200 200 200 200 200 200 200
        POST /melden: 422 422 422 422 422 422 422 422
        GET /melden/{token}: 404 404 404 404 404 404 404 404
        POST /melden/{token}: 404 404 404 404 404 404 404 404
        GET /abos: 303 200 200 200 200 403 403 403
        POST /abos: 303 404 404 404 404 403 403 403
        POST /abo/{id}/beenden (own): 303 303 303 303 303 403 403 403
        POST /abo/{id}/beenden (foreign): 303 303 303 404 404 403 403 403
        GET /kennzahlen: 303 200 200 200 403 200 200 403
        GET /kennzahl/{name}: 303 200 200 200 403 200 200 403
        GET /quellen: 303 200 200 200 200 403 403 200
        GET /quelle/{id} (own): 303 200 200 200 200 403 403 200
        GET /quelle/{id} (foreign): 303 200 200 404 404 403 403 200
        POST /quelle/{id} (own): 303 303 303 403 403 403 403 303
        POST /quelle/{id} (foreign): 303 303 303 403 403 403 403 303
        GET /protokoll: 303 403 403 403 403 403 200 403
        GET /protokoll.csv: 303 403 403 403 403 403 200 403
        GET /bausteine: 303 200 200 200 200 200 200 200
        GET /bausteine/raster: 303 200 200 200 200 200 200 200
        GET /bausteine/raster/zeilen: 303 200 200 200 200 200 200 200
        GET /bausteine/raster/{n}: 303 200 200 200 200 200 200 200
        GET /metrics: 401 401 401 401 401 401 401 401
        GET /postfach: 303 404 404 404 404 404 404 404
        GET /postfach/{id}: 303 404 404 404 404 404 404 404
    "#]]
    .assert_eq(&table);
}

/// Which labels each role reads, of a case and of a warning that are its own body's: 200, or there is no such thing.
#[tokio::test]
async fn every_label_as_everybody() {
    use detect::incident::Tlp;
    let front = Front::new();
    let mut table = String::new();
    let labels =
        [(Tlp::Clear, "clear"), (Tlp::Green, "green"), (Tlp::Amber, "amber"), (Tlp::AmberStrict, "amber_strict"), (Tlp::Red, "red")];
    for (tlp, word) in labels {
        let case = open_case(&front, front.body, &format!("Fall {word}"));
        let (number, stored) = (case.clone(), tlp.as_str());
        front
            .app
            .db
            .write(move |tx| {
                tx.execute("UPDATE incident SET tlp = ?2 WHERE number = ?1", [&number, stored]).map_err(ingest::db::DbError::from)
            })
            .unwrap();
        let warning = published(&front, &format!("Warnung {word}"), word, front.body);
        for (what, path, list) in
            [("case", format!("/vorfall/{case}"), "/vorfaelle"), ("warning", format!("/meldung/{warning}"), "/meldungen")]
        {
            let mut line = vec![];
            for person in people(&front).iter().skip(1) {
                let status = ask(&front, &Method::GET, &path, person).await.status;
                let listed = ask(&front, &Method::GET, list, person).await.text.contains(&path);
                let home = ask(&front, &Method::GET, "/", person).await.text.contains(&path);
                assert!(status == StatusCode::OK || !(listed || home), "{what} {word} as {:?}: listed, though not shown", person.0);
                line.push(format!("{}{}", status.as_u16(), if listed { "+" } else { "" }));
            }
            table.push_str(&format!("{what} {word}: {}\n", line.join(" ")));
        }
    }
    expect![[r#"
        case clear: 200+ 200+ 200+ 200+ 403 403 403
        warning clear: 200+ 200+ 200+ 200+ 403 403 403
        case green: 200+ 200+ 200+ 200+ 403 403 403
        warning green: 200+ 200+ 200+ 200+ 403 403 403
        case amber: 200+ 200+ 200+ 200+ 403 403 403
        warning amber: 200+ 200+ 200+ 200+ 403 403 403
        case amber_strict: 200+ 200+ 200+ 404 403 403 403
        warning amber_strict: 200+ 200+ 200+ 404 403 403 403
        case red: 200+ 200+ 404 404 403 403 403
        warning red: 200+ 200+ 404 404 403 403 403
    "#]]
    .assert_eq(&table);
}

/// Pages as somebody would write them who forgot something.
mod planted {
    use detect::incident::{incident_by_number, incident_get};

    use super::super::*;

    /// Loads with everybody's scope.
    pub(super) fn careless(ask: &mut Ask) -> Reply {
        let number = ask.param("number").to_owned();
        let found = ask.app.db.read(|c| match incident_by_number(c, &ingest::scope::Scope::All, &number)? {
            Some(id) => incident_get(c, &ingest::scope::Scope::All, id),
            None => Ok(None),
        })?;
        found.map(|view| plain(StatusCode::OK, &view.incident.title)).ok_or(PageError::NotFound)
    }

    /// Tells what is foreign from what is missing.
    pub(super) fn telling(ask: &mut Ask) -> Reply {
        let number = ask.param("number").to_owned();
        let id = ask.app.db.read(|c| incident_by_number(c, &ingest::scope::Scope::All, &number))?.ok_or(PageError::NotFound)?;
        let scope = ask.scope();
        let view = ask.app.db.read(|c| incident_get(c, &scope, id))?.ok_or(PageError::Forbidden)?;
        Ok(plain(StatusCode::OK, &view.incident.title))
    }

    /// A list of all.
    pub(super) fn everything(ask: &mut Ask) -> Reply {
        let filter = detect::incident::IncidentFilter::new(ingest::scope::Scope::All);
        let all = ask.app.db.read(|c| detect::incident::incident_list(c, &filter))?;
        Ok(plain(StatusCode::OK, &all.iter().map(|one| one.title.as_str()).collect::<String>()))
    }
}

const PLANTED: &[Route] = &[
    routes::planted("/pflanze/{number}", access::CASES, Tenant::Own(Object::Incident), planted::careless),
    routes::planted("/offen/{number}", Who::Public, Tenant::Own(Object::Incident), planted::careless),
    routes::planted("/verraeter/{number}", access::CASES, Tenant::Own(Object::Incident), planted::telling),
    routes::planted("/liste", access::CASES, Tenant::Scoped, planted::everything),
];

#[tokio::test]
async fn a_planted_route_is_found() {
    for route in PLANTED {
        let mut front = Front::new();
        let objects = Objects::new(&front);
        front.router = router_of(front.app.clone(), std::slice::from_ref(route));
        let (_, complaints) = walk(&front, std::slice::from_ref(route), &objects).await;
        assert!(complaints.iter().any(|text| text.contains("municipality")), "{}: nobody complains: {complaints:?}", route.path);
    }
}

/// The router has the table's routes, the assets and the operator's theme, and nothing that came in beside them.
#[test]
fn no_way_in_beside_the_table() {
    let sources = [
        ("mod.rs", include_str!("mod.rs")),
        ("routes.rs", include_str!("routes.rs")),
        ("gate.rs", include_str!("gate.rs")),
        ("assets.rs", include_str!("assets.rs")),
        ("door.rs", include_str!("door.rs")),
        ("serve.rs", include_str!("../serve.rs")),
    ];
    let ways = regex::Regex::new(r"\.(route|route_service|nest|nest_service|merge|fallback|fallback_service)\(").unwrap();
    let found: Vec<String> = sources
        .iter()
        .flat_map(|(file, text)| {
            ways.find_iter(text.split("#[cfg(test)]\nmod tests").next().unwrap()).map(move |way| format!("{file} {}", way.as_str()))
        })
        .collect();
    assert_eq!(
        found,
        ["mod.rs .route(", "mod.rs .route(", "mod.rs .route(", "mod.rs .fallback("],
        "a page comes in by routes::ROUTES and in no other way"
    );
}
