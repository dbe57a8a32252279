//! Serves pages to browsers, of which some are hostile: so many connections in all and from one address, heads that must
//! end within a time and a size, a bound on the requests of one connection. The same accepting as the intake's, so that a
//! flood at the front never takes the descriptors that the intake needs. What the pages are is not known here.
//!
//! A request's body and the time that a page takes are the router's affair: it knows how long its forms are.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::accept::{Accepting, Connection, IdleStream, Room};
use crate::body::Prefix;

/// What one who asks for pages may take.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// 300 portal users with a few connections each are served within seconds all the same.
    pub connections_max: usize,
    /// Ten browsers behind one address, with six connections each and a stream, have room.
    pub per_address_max: usize,
    /// How long a head may take, and a connection may rest between two requests: hyper counts both as one.
    pub head_time: Duration,
    /// How long a connection may say nothing while something is expected of it, and leave an answer unread.
    pub idle: Duration,
    /// A head of ours has 2 KiB; cookies of others on the same host come on top.
    pub head_bytes_max: usize,
    pub headers_max: usize,
    /// A connection is closed after so many requests, so that none lives for ever.
    pub requests_max: usize,
    /// How long open requests may take at the end.
    pub grace: Duration,
}

impl Default for PageLimits {
    fn default() -> Self {
        Self {
            connections_max: 400,
            per_address_max: 100,
            head_time: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            requests_max: 1_000,
            grace: Duration::from_secs(10),
        }
    }
}

/// What hyper reads ahead: a head, or a piece of a body.
const BUFFER_BYTES_MAX: usize = 32 * 1024;
/// How long the last word to somebody too slow may take.
const LAST_WORD: Duration = Duration::from_secs(1);
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// A sender's address: pages find it as `ConnectInfo<Peer>` among a request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A listener for pages.
pub struct Pages {
    accepting: Accepting,
    limits: PageLimits,
}

impl Pages {
    /// `proxies` may have as many connections as there are, since many stand behind them.
    pub fn new(listener: TcpListener, limits: PageLimits, proxies: &[Prefix]) -> Self {
        let room = Room::with_exempt(limits.connections_max, limits.per_address_max, proxies);
        Self { accepting: Accepting::uncounted(listener, room), limits }
    }

    /// Serves until `shutdown`; then what is being answered may finish.
    pub async fn run(self, router: Router, shutdown: CancellationToken) {
        let (limits, stop) = (self.limits, shutdown.clone());
        self.accepting.serve(limits.grace, shutdown, move |connection| serve(connection, router.clone(), limits, stop.clone())).await;
    }
}

async fn serve(connection: Connection, router: Router, limits: PageLimits, shutdown: CancellationToken) {
    // Who never reads his answers is cut by the system.
    if let Err(error) = connection.socket().set_tcp_user_timeout(Some(limits.idle)) {
        tracing::debug!(%error, "no time-out for unread answers");
    }
    let peer = Peer(connection.sender.peer);
    // One request after the other: what is true of the answer is true of the connection.
    let ours = Arc::new(AtomicBool::new(false));
    let stream = IdleStream::new(connection, limits.idle).while_ours(ours.clone());
    let router = TowerToHyperService::new(router);
    let served = AtomicUsize::new(0);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let last = served.fetch_add(1, Ordering::Relaxed) + 1 >= limits.requests_max;
        let (answer, ours) = (router.call(request), ours.clone());
        Box::pin(async move {
            let mut response = answer.await?;
            if last {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            ours.store(true, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(response.map(|body| Answering { body, ours }))
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_buf_size(BUFFER_BYTES_MAX)
        .max_header_size(limits.head_bytes_max)
        .max_headers(limits.headers_max)
        .serve_connection(TokioIo::new(stream), service);
    let mut stopping = false;
    let ended = loop {
        tokio::select! {
            ended = poll_fn(|context| connection.poll_without_shutdown(context)) => break ended,
            () = shutdown.cancelled(), if !stopping => {
                stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    if let Err(error) = &ended {
        tracing::debug!(%error, "a page's connection ended early");
        // A connection that rested is closed without a word; a head that dribbles in is told.
        if error.is_timeout() && !parts.read_buf.is_empty() {
            let _ = timeout(LAST_WORD, stream.write_all(TOO_SLOW)).await;
        }
    }
    let _ = timeout(LAST_WORD, stream.shutdown()).await;
}

/// An answer's body, known to be under way until it is dropped: an export can look for its next line for a while.
struct Answering {
    body: Body,
    ours: Arc<AtomicBool>,
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.ours.store(false, Ordering::Relaxed);
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    use super::*;

    /// A server with small bounds, and what it says to somebody who writes these pieces one after another.
    async fn talk(limits: PageLimits, pieces: &[&str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/", get(async || "da"))
            .route("/strom", get(async || ticks(8, Duration::from_millis(250))))
            .route("/still", get(async || ticks(2, Duration::from_millis(1_500))))
            .route("/wer", get(async |ConnectInfo(peer): ConnectInfo<Peer>| peer.0.to_string()));
        let server = tokio::spawn(Pages::new(listener, limits, &[]).run(router, stop.clone()));
        let mut stream = TcpStream::connect(address).await.unwrap();
        for piece in pieces {
            // Who has been cut off already cannot write any more.
            if stream.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        let mut said = Vec::new();
        let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await;
        stop.cancel();
        server.await.unwrap();
        String::from_utf8(said).unwrap()
    }

    struct Ticks(mpsc::Receiver<Bytes>);

    impl HttpBody for Ticks {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
            self.0.poll_recv(context).map(|tick| tick.map(|tick| Ok(Frame::data(tick))))
        }
    }

    /// An answer of so many words, one each time.
    fn ticks(count: usize, every: Duration) -> Body {
        let (sender, ticks) = mpsc::channel(1);
        tokio::spawn(async move {
            for n in 0..count {
                tokio::time::sleep(every).await;
                if sender.send(format!("tick{n};").into()).await.is_err() {
                    break;
                }
            }
        });
        Body::new(Ticks(ticks))
    }

    fn small() -> PageLimits {
        PageLimits {
            head_time: Duration::from_millis(400),
            idle: Duration::from_secs(5),
            grace: Duration::from_secs(1),
            ..PageLimits::default()
        }
    }

    fn statuses(said: &str) -> Vec<&str> {
        said.match_indices("HTTP/1.1 ").filter_map(|(at, _)| said.get(at + 9..at + 12)).collect()
    }

    #[tokio::test]
    async fn a_head_that_dribbles_in_is_told_and_cut() {
        let dribble: Vec<&str> = ["GET / HTTP/1.1\r\nhost: x\r\n"].into_iter().chain(std::iter::repeat_n("x-a: b\r\n", 40)).collect();
        let said = talk(small(), &dribble).await;
        assert_eq!(statuses(&said), ["408"], "{said}");
    }

    #[tokio::test]
    async fn a_connection_that_rests_is_closed_without_a_word() {
        let said = talk(small(), &["GET / HTTP/1.1\r\nhost: x\r\n\r\n"]).await;
        assert_eq!(statuses(&said), ["200"], "{said}");
        assert!(!said.to_lowercase().contains("server:"));
        assert_eq!(talk(small(), &[]).await, "");
    }

    #[tokio::test]
    async fn an_answer_that_goes_on_is_not_cut_while_it_says_something() {
        let limits = PageLimits { head_time: Duration::from_millis(500), idle: Duration::from_secs(1), ..small() };
        let said = talk(limits, &["GET /strom HTTP/1.1\r\nhost: x\r\n\r\n"]).await;
        assert!(said.contains("tick7;") && said.ends_with("0\r\n\r\n"), "{said}");
    }

    #[tokio::test]
    async fn an_answer_that_we_are_slow_to_make_is_not_cut() {
        let limits = PageLimits { head_time: Duration::from_millis(500), idle: Duration::from_millis(300), ..small() };
        let said = talk(limits, &["GET /still HTTP/1.1\r\nhost: x\r\n\r\n"]).await;
        assert!(said.contains("tick1;") && said.ends_with("0\r\n\r\n"), "{said}");
    }

    #[tokio::test]
    async fn heads_have_a_size_and_a_number_of_headers() {
        let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-a: {}\r\n\r\n", "a".repeat(17 * 1024));
        assert_eq!(statuses(&talk(small(), &[&long]).await), ["431"]);
        let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: b\r\n".repeat(65));
        assert_eq!(statuses(&talk(small(), &[&many]).await), ["431"]);
        let endless: Vec<String> = (0..40).map(|n| format!("x-{n}: {}\r\n", "a".repeat(2_000))).collect();
        let endless: Vec<&str> = ["GET / HTTP/1.1\r\n"].into_iter().chain(endless.iter().map(String::as_str)).collect();
        let said = talk(PageLimits { head_time: Duration::from_secs(10), ..small() }, &endless).await;
        assert!(["431", ""].contains(&statuses(&said).first().copied().unwrap_or_default()), "{said}");
    }

    #[tokio::test]
    async fn requests_in_one_piece_are_answered_in_order_and_up_to_a_number() {
        let one = "GET /wer HTTP/1.1\r\nhost: x\r\n\r\n";
        let other = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let said = talk(small(), &[&format!("{one}{other}{one}")]).await;
        assert_eq!(statuses(&said), ["200", "200", "200"]);
        let (first, second) = (said.find("127.0.0.1").unwrap(), said.find("\r\n\r\nda").unwrap());
        assert!(first < second && said.ends_with("127.0.0.1"), "{said}");
        let said = talk(PageLimits { requests_max: 2, ..small() }, &[&one.repeat(4)]).await;
        assert_eq!(statuses(&said).len(), 2, "{said}");
        assert!(said.contains("connection: close"));
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused() {
        for text in ["\u{16}\u{3}\u{1}\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "G\0T / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\na b: c\r\n\r\n"] {
            assert_eq!(statuses(&talk(small(), &[text]).await), ["400"], "{text:?}");
        }
        let smuggled = "GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /wer HTTP/1.1\r\nhost: x\r\n\r\n";
        let said = talk(small(), &[smuggled]).await;
        assert!(!said.contains("127.0.0.1") || statuses(&said).len() == 2, "one reading only: {said}");
    }

    #[tokio::test]
    async fn who_finds_no_place_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "da"));
        let server = tokio::spawn(Pages::new(listener, PageLimits { connections_max: 1, ..small() }, &[]).run(router, stop.clone()));
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut some = [0; 8];
        first.read_exact(&mut some).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        let mut said = Vec::new();
        let _ = second.read_to_end(&mut said).await;
        assert!(said.is_empty());
        drop(first);
        stop.cancel();
        server.await.unwrap();
    }
}
