//! Lines and JSON objects over HTTP: `POST /v1/ingest`, answered with 200 only when everything in it is on disk, and
//! `GET /healthz`. A body is taken as a whole or not at all (apart from a journal that fails midway: then the answer
//! is 503 and the sender repeats). It does not look into the JSON: a line that is none is kept as a line.

use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::IncomingStream;
use axum::{Json, Router};
use serde_json::json;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::framing::Framer;
use super::{Dropped, Intake, JOURNAL_RETRY, Limits, Listener, PeerCounts, Rejected, Stamp, tcp};
use crate::body::Sender;
use crate::frame::{FrameKind, Marks, NewFrame};
use crate::journal::Refused;

/// What a request may carry; shippers send 1-10 MiB.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What it may unpack to. Logs shrink to a tenth, but a body may also be made to unpack to anything.
const UNPACKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A frame costs a hundred bytes besides its own; this bounds them at 20 MiB a request.
const LINES_MAX: usize = 200_000;
/// Bodies being received at a time: 512 MiB at the very worst.
const BODIES_MAX: usize = 32;
/// Bodies being unpacked and written at a time: there are two cores, and each may hold `UNPACKED_BYTES_MAX`.
const UNPACKING_MAX: usize = 4;
/// Appended at once: the journal's commit size.
const APPEND_BYTES_MAX: usize = 1_048_576;
/// zstd windows above 8 MiB are refused (RFC 8878, 3.1.1.1.2 advises decoders to support 8 MiB).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

pub(super) async fn run(listener: TcpListener, token: Option<String>, intake: Intake, limits: Limits, shutdown: CancellationToken) {
    let listener =
        Accepting { listener, room: Arc::new(Semaphore::new(limits.http_connections)), intake: intake.clone(), idle: limits.http_idle };
    let door = Arc::new(Door {
        token,
        intake,
        body_time: limits.http_body,
        bodies: Semaphore::new(BODIES_MAX),
        unpacking: Arc::new(Semaphore::new(UNPACKING_MAX)),
    });
    let router = Router::new()
        .route("/v1/ingest", post(ingest))
        .route("/healthz", get(healthz))
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "there is POST /v1/ingest and GET /healthz here".into()))
        .method_not_allowed_fallback(async || Problem::new(StatusCode::METHOD_NOT_ALLOWED, "POST to /v1/ingest, GET from /healthz".into()))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(door);
    let stopping = shutdown.clone();
    let server = axum::serve(listener, router.into_make_service_with_connect_info::<Peer>())
        .with_graceful_shutdown(async move { stopping.cancelled().await });
    let cut = async {
        shutdown.cancelled().await;
        sleep(limits.grace).await;
    };
    tokio::select! {
        ended = server => if let Err(error) = ended {
            tracing::error!(%error, "the http listener ended by itself");
        },
        () = cut => tracing::warn!("http requests cut at shutdown: they were not answered"),
    }
}

/// What a request meets.
struct Door {
    token: Option<String>,
    intake: Intake,
    body_time: Duration,
    bodies: Semaphore,
    unpacking: Arc<Semaphore>,
}

async fn healthz(State(door): State<Arc<Door>>) -> Response {
    if door.intake.counters.journal_healthy() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "the journal could not write" }))).into_response()
}

async fn ingest(State(door): State<Arc<Door>>, ConnectInfo(Peer(peer)): ConnectInfo<Peer>, request: Request) -> Result<Response, Problem> {
    let counts = door.intake.counters.peer(peer, Listener::Http);
    let frames = match door.receive(peer, request).await {
        Ok(frames) => frames,
        Err((reason, problem)) => {
            counts.rejected(reason);
            return Err(problem);
        }
    };
    let (accepted, cut) = (frames.frames.len(), frames.cut);
    counts.received(accepted);
    door.keep(&counts, frames.frames).await?;
    // `cut` tells a sender that some of its lines were kept in more than one frame.
    Ok(Json(if cut == 0 { json!({ "accepted": accepted }) } else { json!({ "accepted": accepted, "cut": cut }) }).into_response())
}

type Refusal = (Rejected, Problem);

impl Door {
    async fn receive(&self, peer: IpAddr, request: Request) -> Result<Frames, Refusal> {
        if !self.authorized(request.headers()) {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "send the collector's token: Authorization: Bearer …".into());
            return Err((Rejected::Unauthorized, problem.with(header::WWW_AUTHENTICATE, "Bearer")));
        }
        let packing = Packing::of(request.headers())?;
        if content_length(request.headers()).is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
            return Err(too_large(format!("a body may have {BODY_BYTES_MAX} bytes: send smaller batches")));
        }
        let body = self.body(request).await?;
        let permit = Arc::clone(&self.unpacking).acquire_owned().await;
        let stamp = self.intake.stamp(&Sender::of(peer), Listener::Http);
        // Unpacking 64 MiB takes a while; other senders' sockets must not wait for it.
        let unpacked = tokio::task::spawn_blocking(move || {
            let frames = frames_of(packing, &body, stamp)?;
            Ok(Frames { _permit: permit.ok(), ..frames })
        });
        unpacked.await.unwrap_or_else(|_| Err(unreadable("the body could not be taken apart".into())))
    }

    fn authorized(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else { return true };
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let given = match given.split_at_checked(7) {
            Some((scheme, given)) if scheme.eq_ignore_ascii_case(b"Bearer ") => given.trim_ascii(),
            _ => return false,
        };
        // In the same time for every wrong token of the right length.
        given.ct_eq(token.as_bytes()).into()
    }

    async fn body(&self, request: Request) -> Result<Bytes, Refusal> {
        let _place = self.bodies.acquire().await;
        match timeout(self.body_time, Bytes::from_request(request, &())).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(rejection)) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(too_large(format!("a body may have {BODY_BYTES_MAX} bytes: send smaller batches")))
            }
            Ok(Err(_)) => Err(unreadable("the body broke off".into())),
            Err(_) => {
                let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long: send smaller batches".into());
                Err((Rejected::Unreadable, problem))
            }
        }
    }

    async fn keep(&self, counts: &PeerCounts, frames: Vec<NewFrame>) -> Result<(), Problem> {
        let mut left = frames.len();
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            let batch = next_batch(&mut frames);
            let number = batch.len();
            if let Err(Refused { error, .. }) = self.intake.append(counts, batch).await {
                tracing::error!(%error, frames = left, "the journal does not take a request: its sender is told to repeat it");
                counts.dropped(Dropped::by(&error), left);
                let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "nothing can be stored now: send it again later".into());
                return Err(problem.with(header::RETRY_AFTER, HeaderValue::from(JOURNAL_RETRY.as_secs().max(1) * 5)));
            }
            left -= number;
        }
        Ok(())
    }
}

fn next_batch(frames: &mut impl Iterator<Item = NewFrame>) -> Vec<NewFrame> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    for frame in frames {
        bytes += frame.payload.len();
        batch.push(frame);
        if bytes >= APPEND_BYTES_MAX {
            break;
        }
    }
    batch
}

/// What came of a body.
#[derive(Debug)]
struct Frames {
    frames: Vec<NewFrame>,
    /// Lines that were too long for one frame.
    cut: usize,
    /// Held until the frames are written: they are what it bounds.
    _permit: Option<OwnedSemaphorePermit>,
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii();
        match encoding.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Plain),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"zstd" => Ok(Self::Zstd),
            _ => {
                let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding may be gzip, zstd or identity".into());
                Err((Rejected::Unreadable, problem.with(header::ACCEPT_ENCODING, "gzip, zstd")))
            }
        }
    }

    fn reader(self, body: &[u8]) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Plain => Box::new(body),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(body)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}

/// Unpacks a body into frames, within the bounds.
fn frames_of(packing: Packing, body: &[u8], stamp: Stamp) -> Result<Frames, Refusal> {
    let broken = |error: std::io::Error| unreadable(format!("the body cannot be unpacked: {error}"));
    let mut reader = packing.reader(body).map_err(broken)?;
    let mut lines = Lines { framer: Framer::lines(), stamp, frames: Vec::new(), cut: 0, in_long: false };
    let mut chunk = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let len = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(broken(error)),
        };
        bytes += len;
        if bytes > UNPACKED_BYTES_MAX {
            return Err(too_large(format!("a body may unpack to {UNPACKED_BYTES_MAX} bytes: send smaller batches")));
        }
        lines.framer.push(chunk.get(..len).unwrap_or_default());
        lines.take()?;
    }
    lines.framer.close();
    lines.take()?;
    Ok(Frames { frames: lines.frames, cut: lines.cut, _permit: None })
}

struct Lines {
    framer: Framer,
    stamp: Stamp,
    frames: Vec<NewFrame>,
    cut: usize,
    /// The next frame goes on with a line that was cut.
    in_long: bool,
}

impl Lines {
    fn take(&mut self) -> Result<(), Refusal> {
        while let Some(frame) = self.framer.next() {
            let goes_on = std::mem::replace(&mut self.in_long, frame.cut);
            self.cut += usize::from(frame.cut && !goes_on);
            if !goes_on && !frame.cut && frame.bytes.trim_ascii().is_empty() {
                continue;
            }
            if self.frames.len() == LINES_MAX {
                return Err(too_large(format!("a body may have {LINES_MAX} lines: send smaller batches")));
            }
            let kind = if goes_on || frame.cut { FrameKind::Line } else { FrameKind::of_line(&frame.bytes) };
            self.frames.push(self.stamp.frame(kind, Marks::default(), frame.bytes));
        }
        Ok(())
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(detail: String) -> Refusal {
    (Rejected::TooLarge, Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}

fn unreadable(detail: String) -> Refusal {
    (Rejected::Unreadable, Problem::new(StatusCode::BAD_REQUEST, detail))
}

/// An answer that says what is wrong and what to do (RFC 9457).
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(status: StatusCode, detail: String) -> Self {
        Self { status, detail, header: None }
    }

    fn with(self, name: HeaderName, value: impl Into<Header>) -> Self {
        Self { header: Some((name, value.into().0)), ..self }
    }
}

struct Header(HeaderValue);

impl From<&'static str> for Header {
    fn from(text: &'static str) -> Self {
        Self(HeaderValue::from_static(text))
    }
}

impl From<HeaderValue> for Header {
    fn from(value: HeaderValue) -> Self {
        Self(value)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or_default();
        let body = json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail });
        let mut response = (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Accepts connections within the bound; axum itself has none, and no idle time-out either.
struct Accepting {
    listener: TcpListener,
    room: Arc<Semaphore>,
    intake: Intake,
    idle: Duration,
}

/// A sender's address.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// A listener with a bound on its connections and on their silence, for whoever else serves HTTP in this process: a
/// flood there must not take the descriptors that the intake needs. Connections beyond the bound are closed at once.
pub struct Bounded {
    listener: TcpListener,
    room: Arc<Semaphore>,
    idle: Duration,
}

impl Bounded {
    pub fn new(listener: TcpListener, connections_max: usize, idle: Duration) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(connections_max)), idle }
    }
}

impl axum::serve::Listener for Bounded {
    type Io = IdleStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (IdleStream, SocketAddr) {
        loop {
            let (stream, peer) = tcp::accept(&self.listener, Listener::Http).await;
            if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
                return (IdleStream::new(stream, self.idle, place), peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Bounded>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Bounded>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

impl Connected<IncomingStream<'_, Accepting>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Accepting>) -> Self {
        Self(stream.remote_addr().ip())
    }
}

impl axum::serve::Listener for Accepting {
    type Io = IdleStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (IdleStream, SocketAddr) {
        loop {
            let (stream, peer) = tcp::accept(&self.listener, Listener::Http).await;
            if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
                return (IdleStream::new(stream, self.idle, place), peer);
            }
            self.intake.counters.peer(peer.ip(), Listener::Http).rejected(Rejected::TooManyConnections);
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection whose reads fail when nothing comes for too long.
pub struct IdleStream {
    stream: TcpStream,
    idle: Duration,
    alarm: Pin<Box<Sleep>>,
    /// The alarm counts from when reading began to wait.
    waiting: bool,
    _place: OwnedSemaphorePermit,
}

impl IdleStream {
    fn new(stream: TcpStream, idle: Duration, place: OwnedSemaphorePermit) -> Self {
        Self { stream, idle, alarm: Box::pin(sleep(idle)), waiting: false, _place: place }
    }
}

impl AsyncRead for IdleStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.waiting = false;
            return Poll::Ready(read);
        }
        if !self.waiting {
            let idle = self.idle;
            self.alarm.set(sleep(idle));
            self.waiting = true;
        }
        ready!(self.alarm.as_mut().poll(context));
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for IdleStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
