//! The hits of a search as a file, however many: sent while they are read, and ended when nobody takes them any more.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use ingest::audit::NewAudit;
use ingest::events::{Cancel, EventStore, Order, SearchRequest, Table, Value};
use ingest::query::Pipeline;
use serde_json::{Map, Value as Json, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, sleep, timeout};

use super::protocol::Pieces;
use super::range::Range;
use super::search::{note_real_values, remark_pipe, request, table_request};
use crate::access::{CERT, Verdict, judge};
use crate::csv;
use crate::export::{EventWriter, Format};
use crate::session::Token;
use crate::user::UserId;
use crate::web::{App, Ask, PageError, Reply, stream};
use crate::words;

/// Exports under way: each takes a thread for as long as somebody takes to receive it.
const EXPORTS_MAX: usize = 3;
/// One piece of the file.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces that wait for the receiver's socket.
const PIECES_MAX: usize = 4;
/// For each of the file's leaves of some thousand hits.
const LEAF_TIME: Duration = Duration::from_secs(60);
/// For a whole file: some ten million lines. Who wants more asks for it in parts, or on the machine itself.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(60 * 60);
/// Whether the account may still have it.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Who waits for the receiver's socket looks so often whether it was ended.
const CANCEL_EVERY: Duration = Duration::from_secs(1);

pub(in crate::web) fn csv(ask: &mut Ask) -> Reply {
    send(ask, Format::Csv)
}

pub(in crate::web) fn ndjson(ask: &mut Ask) -> Reply {
    send(ask, Format::Ndjson)
}

pub(in crate::web) fn parquet(ask: &mut Ask) -> Reply {
    send(ask, Format::Parquet)
}

fn send(ask: &mut Ask, format: Format) -> Reply {
    let range = Range::of(ask, "24h");
    let asked = Pipeline::parse(ask.query("q").trim(), ask.now).map_err(|error| PageError::Refused(error.to_string()))?;
    let store = ask.app.events.clone().ok_or(PageError::NotFound)?;
    if asked.is_table() {
        return send_table(ask, &store, asked, &range, format);
    }
    let mut request = request(ask, asked.query, &range);
    note_real_values(ask, &request.query)?;
    // What the page's guard ends is only the page: the file goes on, and ends with its receiver.
    let cancel = Cancel::default();
    (request.cancel, request.time_max) = (cancel.clone(), LEAF_TIME);
    let oldest_first = ask.query("ordnung") == "alt";
    let order = if oldest_first { Order::OldestFirst } else { Order::NewestFirst };
    let place = PLACES.take(ask.viewer()?.user).map_err(|full| PageError::Refused(words::t(full).into()))?;
    ask.remark("format", format.as_str());
    ask.remark("query", ask.app.pseudonyms.masked(&request.query).as_ref().unwrap_or(&request.query).to_string());
    ask.remark("from", range.from.rfc3339());
    ask.remark("to", range.to.rfc3339());
    ask.remark("order", if oldest_first { "oldest_first" } else { "newest_first" });
    if let Some(body) = range.body {
        ask.remark("body", body.to_string());
    }
    let (pieces, body) = channel(PIECES_MAX);
    let body = Pieces::of(body, &cancel);
    tokio::spawn(watch(ask.app.clone(), ask.token.clone(), cancel.clone()));
    let (app, actor) = (ask.app.clone(), ask.viewer()?.user.to_string());
    let hand = Hand { pieces, cancel, runtime: Handle::current() };
    tokio::task::spawn_blocking(move || {
        let (events, done) = written(&store, &request, order, format, &hand);
        // Before the receiver knows that it is over: his next one finds its place free.
        drop(place);
        let detail = json!({ "format": format.as_str(), "events": events, "broken_off": done.is_err() });
        let ended = NewAudit { actor, kind: "search.export_ended", object: "search".into(), detail };
        if app.audit.add(app.clock.now(), ended).is_err() {
            tracing::error!(events, "the end of an export could not be noted in the audit log");
        }
        if let Err(error) = done {
            // The connection ends in the middle, so that nobody takes half for all.
            let _ = hand.over(Err(PageError::store(error)));
        }
    });
    Ok(attached(Body::new(body), format, "ereignisse"))
}

/// Writes the file; how many events are in it, and whether it is whole.
fn written(store: &EventStore, request: &SearchRequest, order: Order, format: Format, hand: &Hand) -> (u64, io::Result<()>) {
    let mut events = 0;
    let done = (|| {
        let out = Piecewise { hand: hand.clone(), bytes: Vec::with_capacity(PIECE_BYTES), begun: false };
        let mut writer = EventWriter::new(format, out, request.sites.clone())?;
        let mut failed = None;
        let done = store.export(request, order, &mut |event| match writer.event(event) {
            Ok(()) => {
                events += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        match (failed, done) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(io::Error::other(error)),
            (None, Ok(done)) if done.ended_early => Err(io::Error::other("the export was ended, or took too long")),
            (None, Ok(done)) => writer.finish(&done),
        }
    })();
    (events, done)
}

/// Ends an export that takes too long, and that of somebody who may not search any more.
async fn watch(app: App, token: Option<Token>, cancel: Cancel) {
    let end = Instant::now() + EXPORT_TIME_MAX;
    while !cancel.is_cancelled() && Instant::now() < end {
        sleep(LOOK_EVERY).await;
        let Some(token) = &token else { continue };
        if !cancel.is_cancelled() && stream::still(&app, token).await.is_none_or(|viewer| judge(CERT, Some(viewer.role)) != Verdict::Enter)
        {
            break;
        }
    }
    cancel.cancel();
}

fn attached(body: Body, format: Format, name: &str) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.mime()));
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}.{}\"", format.as_str())) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}

/// What a pipe makes of the matches, all rows of it. A table has its own bounds, so it is made before it is sent, and one
/// that is not whole is refused: a file cannot say so later.
fn send_table(ask: &mut Ask, store: &EventStore, asked: Pipeline, range: &Range, format: Format) -> Reply {
    if format == Format::Parquet {
        return Err(PageError::Refused(words::t("Eine Tabelle gibt es als CSV oder NDJSON.").into()));
    }
    note_real_values(ask, &asked.query)?;
    let request = table_request(ask, asked, range);
    ask.remark("format", format.as_str());
    let found = store.aggregate(&request).map_err(PageError::store)?;
    remark_pipe(ask, &request.pipeline, (range.from, range.to), found.total);
    if found.partial {
        let text = words::t("Die Tabelle wurde nicht fertig und ist keine Datei. Bitte grenzen Sie den Zeitraum oder die Anfrage ein.");
        return Err(PageError::Refused(text.into()));
    }
    Ok(attached(Body::from(table_text(&found.table, format)), format, "tabelle"))
}

fn table_text(table: &Table, format: Format) -> String {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let mut out = String::new();
    if format == Format::Csv {
        out.push_str(csv::MARK);
        csv::line(&mut out, &names);
    }
    for row in &table.rows {
        if format == Format::Csv {
            let cells: Vec<_> = row.iter().map(Value::text).collect();
            csv::line(&mut out, &cells.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        } else {
            let object: Map<String, Json> = names.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), cell.json())).collect();
            out.push_str(&Json::Object(object).to_string());
            out.push('\n');
        }
    }
    out
}

/// Who has an export under way.
struct Places(Mutex<Vec<UserId>>);

static PLACES: Places = Places(Mutex::new(vec![]));

/// One of the places for exports; free again when it is dropped.
struct Place(&'static Places, UserId);

impl Places {
    /// # Errors
    /// In German, why there is none.
    fn take(&'static self, user: UserId) -> Result<Place, &'static str> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains(&user) {
            return Err(words::de("Ein Export von Ihnen läuft noch. Bitte warten Sie, bis er fertig ist, oder brechen Sie ihn ab."));
        }
        if taken.len() >= EXPORTS_MAX {
            return Err(words::de("Es laufen schon mehrere Exporte. Bitte warten Sie, bis einer davon fertig ist."));
        }
        taken.push(user);
        Ok(Place(self, user))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|user| *user != self.1);
    }
}

/// Gives pieces to the response, from a thread that may wait.
#[derive(Clone)]
struct Hand {
    pieces: Sender<Result<Bytes, PageError>>,
    cancel: Cancel,
    runtime: Handle,
}

impl Hand {
    /// Waits for room, as long as somebody receives and nobody has ended it.
    fn over(&self, piece: Result<Bytes, PageError>) -> io::Result<()> {
        while !self.cancel.is_cancelled() {
            match self.runtime.block_on(async { timeout(CANCEL_EVERY, self.pieces.reserve()).await }) {
                Ok(Ok(place)) => {
                    place.send(piece);
                    return Ok(());
                }
                Ok(Err(_)) => break,
                Err(_) => {}
            }
        }
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

/// Hands what is written to the response, piece by piece; fails where nobody receives it any more.
struct Piecewise {
    hand: Hand,
    bytes: Vec<u8>,
    /// Something was handed over.
    begun: bool,
}

impl Write for Piecewise {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        // The head goes at once: who waits sees that it has begun.
        if self.bytes.len() >= PIECE_BYTES || !self.begun {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        self.begun = true;
        let piece = std::mem::replace(&mut self.bytes, Vec::with_capacity(PIECE_BYTES));
        self.hand.over(Ok(Bytes::from(piece)))
    }
}

impl Drop for Piecewise {
    fn drop(&mut self) {
        // Parquet ends its file without a flush of ours.
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use ingest::time::Timestamp;

    use super::*;

    #[test]
    fn one_account_has_one_place_and_all_have_three() {
        static PLACES: Places = Places(Mutex::new(vec![]));
        let people = [1, 2, 3, 4].map(|n| UserId::new(Timestamp(n)));
        let first = PLACES.take(people[0]).ok().unwrap();
        assert!(PLACES.take(people[0]).is_err_and(|why| why.contains("von Ihnen")));
        let _others = [people[1], people[2]].map(|user| PLACES.take(user).ok().unwrap());
        assert!(PLACES.take(people[3]).is_err_and(|why| why.contains("mehrere")));
        drop(first);
        assert!(PLACES.take(people[0]).is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_leaves_ends_it_and_what_was_ended_is_not_whole() {
        let (_sender, pieces) = channel(1);
        let cancel = Cancel::default();
        drop(Pieces::of(pieces, &cancel));
        assert!(cancel.is_cancelled());
        for ended in [false, true] {
            let (pieces, body) = channel(1);
            let cancel = Cancel::default();
            let body = Pieces::of(body, &cancel);
            let hand = Hand { pieces, cancel: cancel.clone(), runtime: Handle::current() };
            let given = tokio::task::spawn_blocking(move || {
                hand.over(Ok("eins".into())).unwrap();
                if ended {
                    hand.cancel.cancel();
                    // There is no room, and nobody waits for it.
                    assert!(hand.over(Ok("zwei".into())).is_err());
                }
            });
            given.await.unwrap();
            assert_eq!(axum::body::to_bytes(Body::new(body), 100).await.is_err(), ended);
        }
    }
}
