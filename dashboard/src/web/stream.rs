//! GET /strom: server-sent events for the pages that a browser has open. It is let in as any page is, and looked at again
//! with every heartbeat: where the session has ended, or may no longer hear its topics, the stream ends. An open stream
//! is no click and keeps no session alive.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body::Frame;
use ingest::db::DbError;
use ingest::scope::Scope;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{App, Ask, PageError, Reply, plain};
use crate::access::{self, Verdict, Viewer};
use crate::live::{News, Position, Seat, Topic, What};
use crate::session::{self, Token};

/// Pieces that wait for a client's socket. What does not fit stays in the rings, and is forgotten there.
const QUEUE_MAX: usize = 4;
/// When the browser comes back after the connection broke.
pub(super) const RETRY: Duration = Duration::from_secs(3);

/// Whether a request is a browser's for a stream of events.
pub(super) fn wanted(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream")
}

pub(super) fn open(ask: &mut Ask) -> Reply {
    let Some(token) = ask.token.clone() else { return Err(PageError::Gone) };
    let viewer = ask.viewer()?;
    let mut topics = vec![];
    // More than there are can only repeat.
    for name in ask.query.all("thema").take(Topic::ALL.len()) {
        let topic = Topic::parse(name).ok_or(PageError::NotFound)?;
        if access::judge(topic.who(), Some(viewer.role)) != Verdict::Enter {
            return Err(PageError::Forbidden);
        }
        topics.push(topic);
    }
    if topics.is_empty() {
        return Err(PageError::Refused("Zu hören gibt es nur, was mit einem Thema gefragt ist.".into()));
    }
    let hub = &ask.app.live;
    // The token for forms is made from the session's own: it names the session and opens nothing.
    let Some(seat) = hub.enter(&token.csrf()) else {
        return Ok(full());
    };
    let position = hub.position(last_seen(ask));
    let (sender, chunks) = mpsc::channel(QUEUE_MAX);
    let listener = Listener { app: ask.app.clone(), token, topics, scope: viewer.scope.clone(), position, seat, sender };
    tokio::spawn(listener.run());
    Ok(answer(chunks))
}

/// The pieces as an answer that goes on.
pub(super) fn answer(chunks: mpsc::Receiver<Bytes>) -> Response {
    let mut response = Response::new(Body::new(Chunks(chunks)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    // A proxy that gathers the answer would hold every event back.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// There is no place for one more stream.
pub(super) fn full() -> Response {
    let mut full = plain(StatusCode::SERVICE_UNAVAILABLE, "Gerade sind zu viele Seiten offen.");
    full.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
    full
}

/// Where the client was, as it says itself: the browser when it comes back, the page at first.
pub(super) fn last_seen(ask: &Ask) -> &str {
    ask.headers.get("last-event-id").and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty()).unwrap_or(ask.query("seit"))
}

/// Who a session is now; `None` where it has ended. A database that cannot be asked ends it too: coming back is cheap,
/// and asks again.
pub(super) async fn still(app: &App, token: &Token) -> Option<Viewer> {
    let (app, token) = (app.clone(), token.clone());
    let found = tokio::task::spawn_blocking(move || {
        let now = app.clock.now();
        app.db.read(|c| {
            let Some(found) = session::session_find(c, &token, app.settings.session, now)? else { return Ok(None) };
            Ok::<_, DbError>(Some(access::viewer(&found.user, &access::bodies(c, &found.user, now)?)))
        })
    });
    found.await.ok()?.ok()?
}

/// One open stream.
struct Listener {
    app: App,
    token: Token,
    topics: Vec<Topic>,
    scope: Scope,
    position: Position,
    seat: Seat,
    sender: mpsc::Sender<Bytes>,
}

/// The client has gone, or the server stops.
struct Over;

impl Listener {
    async fn run(mut self) {
        // Why it is over does not matter here: the seat is free again.
        let _ = self.serve().await;
    }

    async fn serve(&mut self) -> Result<(), Over> {
        let mut bell = self.seat.hub.listen();
        let beat = self.seat.hub.beat();
        let mut next_beat = Instant::now() + beat;
        let hello = format!("retry: {}\nid: {}\nevent: hallo\ndata: {{}}\n\n", RETRY.as_millis(), self.id());
        self.send(hello).await?;
        loop {
            // Before what is next, so that nothing is heard by a session that ended meanwhile for longer than a beat,
            // however much there is to tell.
            if Instant::now() >= next_beat {
                next_beat = Instant::now() + beat;
                match self.still().await {
                    Some(scope) => self.scope = scope,
                    None => return self.send("event: ende\ndata: {}\n\n".into()).await,
                }
                self.send(":\n\n".into()).await?;
            }
            bell.mark_unchanged();
            let news = self.seat.hub.take(&mut self.position, &self.topics, &self.scope);
            if !news.is_empty() {
                self.send(news.iter().map(written).collect()).await?;
                continue;
            }
            tokio::select! {
                () = self.sender.closed() => return Err(Over),
                () = self.seat.hub.stopped().cancelled() => return Err(Over),
                _ = bell.changed() => {}
                () = sleep_until(next_beat) => {}
            }
        }
    }

    fn id(&self) -> String {
        self.seat.hub.id(&self.position)
    }

    /// Waits for room in the client's queue, not for ever: a client that has gone and a server that stops end it.
    async fn send(&self, text: String) -> Result<(), Over> {
        tokio::select! {
            sent = self.sender.send(text.into()) => sent.map_err(|_| Over),
            () = self.seat.hub.stopped().cancelled() => Err(Over),
        }
    }

    /// What the session may see now; `None` where it has ended or may not hear all of this any more.
    async fn still(&self) -> Option<Scope> {
        let viewer = still(&self.app, &self.token).await?;
        let may = self.topics.iter().all(|topic| access::judge(topic.who(), Some(viewer.role)) == Verdict::Enter);
        may.then_some(viewer.scope)
    }
}

/// In the stream's own form. The data are one line of JSON, in which no line can end.
fn written(news: &News) -> String {
    let mut text = format!("id: {}\n", news.id);
    let _ = match &news.what {
        What::Event(data) => write!(text, "event: {}\ndata: {data}\n\n", news.topic.as_str()),
        What::Missed(count) => {
            let told = serde_json::json!({ "thema": news.topic.as_str(), "verpasst": count });
            write!(text, "event: lagged\ndata: {told}\n\n")
        }
    };
    text
}

/// The pieces as a response's body.
struct Chunks(mpsc::Receiver<Bytes>);

impl HttpBody for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::http::Request;
    use detect::role::Role;
    use expect_test::expect;
    use ingest::time::Timestamp;
    use serde_json::json;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt as _;

    use super::super::tests::{Front, now};
    use super::*;
    use crate::live::{Audience, Hub};

    /// A front whose streams beat often, and an open stream of it.
    struct Open {
        front: Front,
        app: App,
        stop: CancellationToken,
    }

    impl Open {
        fn new() -> Self {
            let (front, stop) = (Front::new(), CancellationToken::new());
            let app = App { live: Arc::new(Hub::new(stop.clone(), Duration::from_millis(20))), ..front.app.clone() };
            Self { front, app, stop }
        }

        async fn get(&self, query: &str, cookie: &str, last: &str) -> Response {
            let request = Request::get(format!("/strom?{query}")).header(header::COOKIE, cookie).header("last-event-id", last);
            super::super::router(self.app.clone()).oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
        }

        fn publish(&self, n: u64) {
            self.app.live.publish(Topic::Overview, Audience::Topic, &json!(n));
        }
    }

    /// The next piece that is no heartbeat; empty at the end.
    async fn next(body: &mut Body) -> String {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
            let Some(frame) = frame else { return String::new() };
            let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
            if text != ":\n\n" {
                return text;
            }
        }
    }

    fn id_of(text: &str) -> String {
        text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_browser_without_a_session_is_told_not_to_come_again() {
        let open = Open::new();
        let request = Request::get("/strom?thema=lage").header(header::ACCEPT, "text/event-stream").body(Body::empty()).unwrap();
        let answer = super::super::router(open.app.clone()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    }

    #[tokio::test]
    async fn events_come_and_a_client_that_comes_back_misses_none() {
        let open = Open::new();
        let (cookie, _) = open.front.enter(Role::Analyst);
        let response = open.get("thema=lage", &cookie, "").await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let mut body = response.into_body();
        let hello = next(&mut body).await;
        open.publish(1);
        let first = next(&mut body).await;
        drop(body);
        open.publish(2);
        open.publish(3);
        let mut again = open.get("thema=lage", &cookie, &id_of(&first)).await.into_body();
        let (greeting, rest) = (next(&mut again).await, next(&mut again).await);
        let mut by_query = open.get(&format!("thema=lage&seit={}", id_of(&hello)), &cookie, "").await.into_body();
        next(&mut by_query).await;
        let all = next(&mut by_query).await;
        let mut other_run = open.get("thema=lage", &cookie, "000000000000-1.0").await.into_body();
        next(&mut other_run).await;
        let unknown = next(&mut other_run).await;
        let epoch = id_of(&hello).split('-').next().unwrap().to_owned();
        let story = [hello, first, greeting, rest, all, unknown].join("--\n").replace(&epoch, "run");
        expect![[r#"
            retry: 3000
            id: run-0.0
            event: hallo
            data: {}

            --
            id: run-1.0
            event: lage
            data: 1

            --
            retry: 3000
            id: run-1.0
            event: hallo
            data: {}

            --
            id: run-2.0
            event: lage
            data: 2

            id: run-3.0
            event: lage
            data: 3

            --
            id: run-1.0
            event: lage
            data: 1

            id: run-2.0
            event: lage
            data: 2

            id: run-3.0
            event: lage
            data: 3

            --
            id: run-3.0
            event: lagged
            data: {"thema":"lage","verpasst":null}

        "#]]
        .assert_eq(&story);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_costs_no_memory_and_is_told() {
        let open = Open::new();
        let (cookie, _) = open.front.enter(Role::Analyst);
        let mut body = open.get("thema=lage", &cookie, "").await.into_body();
        next(&mut body).await;
        for n in 0..20_000 {
            open.publish(n);
            if n % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        let (mut heard, mut missed) = (0u64, 0u64);
        while heard + missed < 20_000 {
            for line in next(&mut body).await.lines() {
                if let Some(told) = line.strip_prefix("data: {\"thema\":\"lage\",\"verpasst\":") {
                    missed += told.trim_end_matches('}').parse::<u64>().unwrap();
                } else if line.starts_with("data: ") {
                    heard += 1;
                }
            }
        }
        assert!(missed > 15_000 && heard + missed == 20_000, "{heard} heard, {missed} missed");
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_session_and_keeps_none_alive() {
        let open = Open::new();
        let (cookie, _) = open.front.enter(Role::Analyst);
        let mut body = open.get("thema=lage", &cookie, "").await.into_body();
        next(&mut body).await;
        // Asked again an hour later and never clicked: the session ends when it would have ended without the stream.
        open.app.clock.set(now().plus(Timestamp::HOUR));
        assert_eq!(open.get("thema=lage", &cookie, "").await.status(), StatusCode::OK);
        open.app.clock.set(now().plus(open.app.settings.session.idle_millis));
        assert_eq!(next(&mut body).await, "event: ende\ndata: {}\n\n");
        assert_eq!(next(&mut body).await, "");

        let (cookie, _) = open.front.enter(Role::Lead);
        let mut body = open.get("thema=lage", &cookie, "").await.into_body();
        next(&mut body).await;
        let token = Token::parse(cookie.split_once('=').unwrap().1).unwrap();
        open.app.db.write(move |tx| session::session_close(tx, &token)).unwrap();
        assert_eq!(next(&mut body).await, "event: ende\ndata: {}\n\n");
        open.publish(1);
        assert_eq!(next(&mut body).await, "", "nothing is heard after the end");
    }

    #[tokio::test]
    async fn who_may_listen_to_what() {
        let open = Open::new();
        let mut table = String::new();
        for role in [None].into_iter().chain(Role::ALL.map(Some)) {
            let cookie = role.map(|role| open.front.enter(role).0).unwrap_or_default();
            table += role.map_or("nobody", Role::as_str);
            for query in ["thema=lage", "thema=vorfaelle", "thema=lage&thema=vorfaelle", "thema=fremd", ""] {
                table += &format!(" {}", open.get(query, &cookie, "").await.status().as_u16());
            }
            table += "\n";
        }
        expect![[r#"
            nobody 303 303 303 303 303
            analyst 200 200 200 404 409
            lead 200 200 200 404 409
            municipality 403 200 403 404 409
            provider 403 200 403 404 409
            steering 403 403 403 403 403
            auditor 403 403 403 403 403
            admin 403 403 403 403 403
        "#]]
        .assert_eq(&table);
    }

    #[tokio::test]
    async fn a_body_hears_of_its_own_cases_only() {
        let open = Open::new();
        let (cookie, _) = open.front.enter(Role::Municipality);
        let mut body = open.get("thema=vorfaelle", &cookie, "").await.into_body();
        next(&mut body).await;
        for of in [open.front.other, open.front.body] {
            let whose = if of == open.front.body { "own" } else { "foreign" };
            open.app.live.publish(Topic::Cases, Audience::Body(Some(of)), &json!(whose));
        }
        let heard = next(&mut body).await;
        assert!(heard.contains("data: \"own\"") && !heard.contains("foreign"), "{heard}");
    }

    #[tokio::test]
    async fn streams_are_bounded_and_end_with_the_server() {
        let open = Open::new();
        let (cookie, _) = open.front.enter(Role::Analyst);
        let mut bodies = vec![];
        let refused = loop {
            let response = open.get("thema=lage", &cookie, "").await;
            if response.status() != StatusCode::OK {
                break response;
            }
            bodies.push(response.into_body());
        };
        assert_eq!((bodies.len(), refused.status()), (4, StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(refused.headers()[header::RETRY_AFTER], "60");
        open.stop.cancel();
        for body in &mut bodies {
            while !next(body).await.is_empty() {}
        }
    }
}
