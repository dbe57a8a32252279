//! GET /suche/strom: the lines that come, as they come, as far as the query fits them and the viewer may see them. Let in,
//! looked at again and ended as `stream` is; it has a route of its own because each carries its own query.
//!
//! A line's number in the journal is the event's id. Who comes back with one gets first what the store has behind it, in
//! order and each once; then what comes. Who reads too slowly, or asks for more than anybody can read, is told how many
//! lines were left out: nothing is queued for him, and the intake never waits.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use ingest::audit::NewAudit;
use ingest::event::Event;
use ingest::events::{EventStore, Listener};
use ingest::frame::Seq;
use ingest::query::Query;
use ingest::record::EventRecord;
use ingest::scope::Scope;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::pages::{search, tail::Line};
use super::stream::{self, RETRY};
use super::{App, Ask, PageError, Reply};
use crate::access::{self, CERT, Verdict};
use crate::live::Seat;
use crate::session::{Token, hex};
use crate::show;

/// Pieces that wait for a client's socket.
const QUEUE_MAX: usize = 4;
/// A page is put anew at most so often.
const ROUND: Duration = Duration::from_millis(250);
/// Lines that one round sends, so 400 a second: more than anybody reads, and less than a browser minds.
const LINES_PER_ROUND_MAX: usize = 100;
/// Events that one round judges: 80 ms of one core, so that a round is over before the next begins.
const EVENTS_PER_ROUND_MAX: usize = 5_000;
/// What somebody who comes back gets at once, from the ring or by numbers from the store.
const PIECE: usize = 2_000;
/// How far back somebody is brought up to date: half a minute at B1. Who was away for longer searches.
const GAP_MAX: u64 = 50_000;

pub(super) fn open(ask: &mut Ask) -> Reply {
    let Some(token) = ask.token.clone() else { return Err(PageError::Gone) };
    let store = ask.app.events.clone().ok_or(PageError::NotFound)?;
    let query = Query::parse_at(ask.query("q").trim(), ask.now).map_err(|error| PageError::Refused(error.message))?;
    note(ask, &query)?;
    let viewer = ask.viewer()?;
    let scope = viewer.scope.clone();
    let query = store.asked(&query, search::real_values(ask)).unwrap_or(query);
    // The token for forms is made from the session's own: it names the session and opens nothing.
    let Some(seat) = ask.app.live.enter(&token.csrf()) else { return Ok(stream::full()) };
    let Some(listener) = store.feed().listen() else { return Ok(stream::full()) };
    let head = store.feed().head();
    let after = stream::last_seen(ask).parse().map(Seq).unwrap_or(head);
    let (sender, chunks) = mpsc::channel(QUEUE_MAX);
    let look = Look { app: ask.app.clone(), store, query: Arc::new(query), scope };
    tokio::spawn(Tail { look, token, seat, listener, sender, place: Place { after, until: head } }.run());
    Ok(stream::answer(chunks))
}

/// Who looked on at what: once an hour, since a browser comes back by itself whenever the connection breaks.
fn note(ask: &Ask, query: &Query) -> Result<(), PageError> {
    search::note_real_values(ask, query)?;
    let query = ask.app.pseudonyms.masked(query).as_ref().unwrap_or(query).to_string();
    let digest = hex(&Sha256::digest(&query));
    let object = format!("tail:{}", digest.get(..16).unwrap_or_default());
    let query: String = query.chars().take(super::note::QUERY_CHARS_MAX).collect();
    let new = NewAudit { actor: ask.viewer()?.user.to_string(), kind: "search.tailed", object, detail: json!({ "query": query }) };
    ask.app.audit.look(ask.now, new).map_err(|_| PageError::Unnoted)
}

/// What is looked at, and as whom.
#[derive(Clone)]
struct Look {
    app: App,
    store: Arc<EventStore>,
    query: Arc<Query>,
    scope: Scope,
}

/// Where a listener stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Everything up to here was judged, or told as left out.
    after: Seq,
    /// What had come when he did: up to here he gets every line. Who has caught up once and then falls behind leaves out.
    until: Seq,
}

impl Place {
    fn resumes(self) -> bool {
        self.after < self.until
    }
}

/// What a round has to tell.
#[derive(Debug, Default, PartialEq)]
struct Round {
    /// The lines to show, oldest first.
    lines: Vec<Value>,
    /// Lines that fit, shown or not.
    fits: usize,
    /// Lines that fit and are not shown, because more came than a page takes.
    left_out: usize,
    /// Numbers of the journal that nobody has looked at.
    unseen: u64,
}

impl Look {
    /// What follows `place`, and the next place.
    fn round(&self, listener: &Listener, place: Place) -> (Round, Place) {
        let resumes = place.resumes();
        let heard = listener.take(place.after, if resumes { PIECE } else { EVENTS_PER_ROUND_MAX });
        let Some(floor) = heard.forgotten else {
            let mut round = Round::default();
            let fits = self.fitting(heard.events());
            (round.fits, round.left_out) = (fits.len(), if resumes { 0 } else { fits.len().saturating_sub(LINES_PER_ROUND_MAX) });
            round.lines = fits.iter().skip(round.left_out).map(|event| self.line(event)).collect();
            return (round, Place { after: heard.reached, ..place });
        };
        // As far back as is worth it; without resuming, not at all.
        let back = if resumes { GAP_MAX } else { 0 };
        let from = place.after.0.max(floor.0.saturating_sub(back));
        let unseen = from - place.after.0;
        if !resumes {
            return (Round { unseen, ..Round::default() }, Place { after: Seq(from), ..place });
        }
        let until = floor.0.min(from + PIECE as u64);
        let seqs: Vec<Seq> = (from + 1..=until).map(Seq).collect();
        let events = self.store.by_seq(&seqs, &self.scope, &self.app.sites());
        let fits = self.fitting(events.iter().collect());
        let lines = fits.iter().map(|event| self.line(event)).collect();
        (Round { fits: fits.len(), lines, left_out: 0, unseen }, Place { after: Seq(until), ..place })
    }

    fn fitting<'e>(&self, events: Vec<&'e Event>) -> Vec<&'e Event> {
        let sites = self.app.sites();
        let fits =
            |event: &&Event| self.scope.site_allowed(event.site, &sites) && self.query.matches(&EventRecord { event, sites: &sites });
        events.into_iter().filter(fits).collect()
    }

    fn line(&self, event: &Event) -> Value {
        let line = Line::of(event, &self.app.sites());
        json!([event.seq.0, line.time, show::safe(&line.site), show::safe(&line.host), show::safe(&line.gist), show::safe(&line.message)])
    }
}

/// One open stream.
struct Tail {
    look: Look,
    token: Token,
    seat: Seat,
    listener: Listener,
    sender: mpsc::Sender<Bytes>,
    place: Place,
}

/// The client has gone, or the server stops.
struct Over;

impl Tail {
    async fn run(self) {
        // Why it is over does not matter here: the places are free again.
        let _ = self.serve().await;
    }

    async fn serve(mut self) -> Result<(), Over> {
        let beat = self.seat.hub.beat();
        let mut next_beat = Instant::now() + beat;
        self.send(format!("retry: {}\nid: {}\nevent: hallo\ndata: {{}}\n\n", RETRY.as_millis(), self.place.after.0)).await?;
        loop {
            if Instant::now() >= next_beat {
                next_beat = Instant::now() + beat;
                let viewer = stream::still(&self.look.app, &self.token).await;
                let Some(viewer) = viewer.filter(|viewer| access::judge(CERT, Some(viewer.role)) == Verdict::Enter) else {
                    return self.send("event: ende\ndata: {}\n\n".into()).await;
                };
                self.look.scope = viewer.scope;
                // With the place, so that who comes back does not have all looked through again that did not fit.
                self.send(format!("id: {}\nevent: stand\ndata: {{}}\n\n", self.place.after.0)).await?;
            }
            self.listener.mark_unchanged();
            let before = self.place;
            let (look, listener) = (self.look.clone(), self.listener);
            // Judging takes its time: not on a thread that serves connections.
            let work = tokio::task::spawn_blocking(move || {
                let done = look.round(&listener, before);
                (done, listener)
            });
            let Ok(((round, place), listener)) = work.await else { return Err(Over) };
            (self.listener, self.place) = (listener, place);
            if round != Round::default() {
                let text = written(&round, place, self.look.scope == Scope::All);
                self.send(text).await?;
            }
            let waits = async {
                // Who is being brought up to date waits for nothing.
                if before.resumes() && place != before {
                    return;
                }
                if place == before {
                    self.listener.changed().await;
                }
                sleep(ROUND).await;
            };
            tokio::select! {
                () = self.sender.closed() => return Err(Over),
                () = self.seat.hub.stopped().cancelled() => return Err(Over),
                () = waits => {}
                () = sleep_until(next_beat) => {}
            }
        }
    }

    /// Waits for room in the client's queue, not for ever: a client that has gone and a server that stops end it.
    async fn send(&self, text: String) -> Result<(), Over> {
        tokio::select! {
            sent = self.sender.send(text.into()) => sent.map_err(|_| Over),
            () = self.seat.hub.stopped().cancelled() => Err(Over),
        }
    }
}

/// In the stream's own form. How many numbers nobody looked at is told to those only who see everything: it counts what
/// is other bodies' too.
fn written(round: &Round, place: Place, all: bool) -> String {
    let data = json!({
        "zeilen": round.lines,
        "treffer": round.fits,
        "ausgelassen": round.left_out,
        "ungesehen": if all { json!(round.unseen) } else if round.unseen > 0 { Value::Null } else { json!(0) },
    });
    format!("id: {}\nevent: zeilen\ndata: {data}\n\n", place.after.0)
}

#[cfg(test)]
mod tests;
