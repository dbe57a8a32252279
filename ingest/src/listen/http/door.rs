//! What every request meets: who may send, how much is read of it and how long that may take, and the way into the
//! journal. What the bodies mean is not known here.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::problem::{Problem, Refusal, too_large, unreadable};
use super::unpack::Packing;
use crate::body::Sender;
use crate::frame::NewFrame;
use crate::journal::Refused;
use crate::listen::{Admission, Dropped, Intake, Listener, PeerCounts, Rejected, Stamp, token_hash};

/// What a request may carry; shippers send 1-10 MiB.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// All bodies that are held at a time, in units: 512 MiB. A body takes its units as it comes in, not when it is
/// announced, so that those who announce much and send slowly hold up nobody.
const HELD_UNITS: usize = 8_192;
const UNIT_BYTES: usize = 64 * 1024;
/// Bodies being unpacked and written at a time: there are two cores, and each may hold `UNPACKED_BYTES_MAX`.
const UNPACKING_MAX: usize = 4;
/// Appended at once: the journal's commit size.
const APPEND_BYTES_MAX: usize = 1_048_576;

/// The memory for requests, shared by all HTTP listeners.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    held: Arc<Semaphore>,
    unpacking: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        Self { held: Arc::new(Semaphore::new(HELD_UNITS)), unpacking: Arc::new(Semaphore::new(UNPACKING_MAX)) }
    }
}

/// What a request meets.
pub(super) struct Door {
    pub(super) intake: Intake,
    pub(super) listener: Listener,
    /// The global token's hash: hashes are of one length, so that comparing them tells nothing of the token's.
    token_hash: Option<String>,
    body_time: Duration,
    room: Room,
}

/// What a body was read as, with the place that bounds how many are held.
pub(super) struct Parsed<T> {
    pub(super) content: T,
    pub(super) place: Option<OwnedSemaphorePermit>,
}

/// The journal took the first so many frames and not the others, which have been counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotKept {
    pub(super) stored: usize,
}

impl Door {
    pub(super) fn new(intake: Intake, listener: Listener, token: Option<&str>, body_time: Duration, room: Room) -> Self {
        Self { intake, listener, token_hash: token.map(token_hash), body_time, room }
    }

    pub(super) fn counts(&self, sender: &Sender) -> Arc<PeerCounts> {
        self.intake.counters.peer(sender.peer, self.listener)
    }

    /// Reads a body and takes it apart. A refusal is counted as one.
    pub(super) async fn receive<T: Send + 'static>(
        &self,
        sender: &Sender,
        request: Request,
        parse: impl FnOnce(Packing, &[u8], Stamp) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Parsed<T>, Problem> {
        self.parsed(sender, request, parse).await.map_err(|(reason, problem)| {
            self.counts(sender).rejected(reason);
            problem
        })
    }

    async fn parsed<T: Send + 'static>(
        &self,
        sender: &Sender,
        request: Request,
        parse: impl FnOnce(Packing, &[u8], Stamp) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Parsed<T>, Refusal> {
        let sender = self.known(sender, request.headers())?;
        self.admitted(&sender)?;
        let packing = Packing::of(request.headers())?;
        if content_length(request.headers()).is_some_and(|bytes| bytes > BODY_BYTES_MAX as u64) {
            return Err(body_too_large());
        }
        let body = timeout(self.body_time, self.read(request.into_body())).await.unwrap_or_else(|_| {
            let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, "the body took too long: send smaller batches");
            Err((Rejected::Unreadable, problem))
        })?;
        let place = Arc::clone(&self.room.unpacking).acquire_owned().await.ok();
        let stamp = self.intake.stamp(&sender, self.listener);
        // Unpacking 64 MiB takes a while; other senders' sockets must not wait for it.
        let parsed = tokio::task::spawn_blocking(move || parse(packing, &body.bytes, stamp));
        let content = parsed.await.unwrap_or_else(|_| Err(unreadable("the body could not be taken apart")))?;
        Ok(Parsed { content, place })
    }

    /// The sender with the token that its request shows.
    ///
    /// # Errors
    /// For one without a token where one is asked for, and for one with a token that nobody knows: whoever shows a
    /// wrong token would otherwise be taken for another site without noticing it.
    pub(super) fn known(&self, sender: &Sender, headers: &HeaderMap) -> Result<Sender, Refusal> {
        match headers.get(header::AUTHORIZATION) {
            None if self.token_hash.is_none() => return Ok(sender.clone()),
            None => {}
            Some(given) => {
                let sites = Arc::clone(&self.intake.sites.read().unwrap_or_else(PoisonError::into_inner));
                for hash in tokens(given.as_bytes()).iter().map(|token| token_hash(token)) {
                    if sites.knows_token(&hash) {
                        return Ok(Sender { token: Some(hash), ..sender.clone() });
                    }
                    if self.token_hash.as_ref().is_some_and(|ours| ours.as_bytes().ct_eq(hash.as_bytes()).into()) {
                        return Ok(sender.clone());
                    }
                }
            }
        }
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "send the collector's token: Authorization: Bearer …");
        Err((Rejected::Unauthorized, problem.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))))
    }

    /// # Errors
    /// For one whose site has sent more than it may, before anything of the body is read.
    fn admitted(&self, sender: &Sender) -> Result<(), Refusal> {
        let (pause, why) = match self.intake.admit(sender) {
            Admission::Take => return Ok(()),
            Admission::Wait(pause) => (pause, "your site has sent more than it may: send it again later"),
            Admission::Shed(pause) => (pause, "the disk is nearly full and your site is of low priority: send it again later"),
        };
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, why);
        Err((Rejected::Later, problem.with(header::RETRY_AFTER, HeaderValue::from(pause.as_secs() + 1))))
    }

    async fn read(&self, mut body: Body) -> Result<Held, Refusal> {
        let mut held = Held { bytes: Vec::new(), units: 0, room: None };
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(data) = frame.map_err(|_| unreadable("the body broke off"))?.into_data() else { continue };
            if held.bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(body_too_large());
            }
            held.make_room(data.len(), &self.room.held).await;
            held.bytes.extend_from_slice(&data);
        }
        Ok(held)
    }

    /// Brings frames that were counted as received to disk.
    pub(super) async fn keep(&self, counts: &PeerCounts, frames: Vec<NewFrame>) -> Result<(), NotKept> {
        let all = frames.len();
        let mut stored = 0;
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            let batch = next_batch(&mut frames);
            let number = batch.len();
            if let Err(Refused { error, .. }) = self.intake.append(counts, batch).await {
                tracing::error!(%error, frames = all - stored, "the journal does not take a request: its sender is told to repeat it");
                counts.dropped(Dropped::by(&error), all - stored);
                return Err(NotKept { stored });
            }
            stored += number;
        }
        Ok(())
    }
}

/// A body with the room that it takes.
struct Held {
    bytes: Vec<u8>,
    units: usize,
    room: Option<OwnedSemaphorePermit>,
}

impl Held {
    async fn make_room(&mut self, more: usize, room: &Arc<Semaphore>) {
        let units = (self.bytes.len() + more).div_ceil(UNIT_BYTES);
        let needed = u32::try_from(units - self.units.min(units)).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        if needed > 0
            && let Ok(taken) = Arc::clone(room).acquire_many_owned(needed).await
        {
            self.units = units;
            match &mut self.room {
                Some(room) => room.merge(taken),
                None => self.room = Some(taken),
            }
        }
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

/// What may be the token in an `Authorization`: after `Bearer`; the password of `Basic`; and of Elastic's `ApiKey`
/// either all of it or, as its shippers write it, the key in base64 of `id:key`.
fn tokens(authorization: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(authorization);
    let (scheme, given) = text.trim().split_once(' ').unwrap_or_default();
    let given = given.trim();
    let behind_colon = || {
        let decoded = String::from_utf8(BASE64.decode(given).ok()?).ok()?;
        decoded.split_once(':').map(|(_, secret)| secret.to_owned())
    };
    let mut tokens = Vec::new();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => tokens.push(given.to_owned()),
        "basic" => tokens.extend(behind_colon()),
        "apikey" => {
            tokens.push(given.to_owned());
            tokens.extend(behind_colon());
        }
        _ => {}
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn body_too_large() -> Refusal {
    too_large(format!("a body may have {BODY_BYTES_MAX} bytes: send smaller batches"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(authorization: &str, expected: Expect) {
        expected.assert_eq(&tokens(authorization.as_bytes()).join(" | "));
    }

    #[test]
    fn tokens_of_all_schemes() {
        check("Bearer geheim", expect!["geheim"]);
        check("bearer   geheim ", expect!["geheim"]);
        check("Basic ZWxhc3RpYzpnZWhlaW0=", expect!["geheim"]);
        check("Basic ZWxhc3RpYzphOmI=", expect!["a:b"]);
        check("ApiKey aWQ6Z2VoZWlt", expect!["aWQ6Z2VoZWlt | geheim"]);
        check("ApiKey geheim", expect!["geheim"]);
        for nothing in
            ["", "Bearer", "Bearer ", "Basic ZWxhc3RpYzo=", "Basic ZWxhc3RpYw==", "Basic %%%", "Splunk geheim", "geheim", "\u{fffd}"]
        {
            check(nothing, expect![""]);
        }
    }
}
