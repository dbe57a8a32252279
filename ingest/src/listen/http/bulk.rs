//! `POST /_bulk`: pairs of an action and a document, one a line, as Elastic's shippers send them. Every action has its
//! item in the answer, in order; `index` and `create` keep their document as it is, `update` and `delete` are refused:
//! what a collector has taken is not changed. A body with a broken action is refused as a whole.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::batch::{Batch, FRAMES_MAX};
use super::door::{Door, NotKept, Parsed};
use super::problem::{Dialect, Problem, Refusal, too_large, unreadable};
use super::unpack::Packing;
use crate::body::Sender;
use crate::listen::{Rejected, Stamp};

/// The limits of Elasticsearch itself; what is longer would only be echoed.
const INDEX_BYTES_MAX: usize = 255;
const ID_BYTES_MAX: usize = 512;

pub(super) async fn bulk(State(door): State<Arc<Door>>, Extension(sender): Extension<Arc<Sender>>, request: Request) -> Response {
    let began = door.intake.clock.now();
    let kept = keep(&door, &sender, request).await;
    let (items, stored) = match kept {
        Ok(kept) => kept,
        Err(problem) => return problem.told(Dialect::Elastic),
    };
    let took = door.intake.clock.now().since(began).max(0);
    ([(header::CONTENT_TYPE, "application/json")], answer(&items, stored, took)).into_response()
}

/// The items, and how many frames of theirs are on disk.
async fn keep(door: &Door, sender: &Sender, request: Request) -> Result<(Vec<Item>, usize), Problem> {
    let index = index_of(request.uri().path()).map(Box::from);
    let Parsed { content, place: _place } =
        door.receive(sender, request, move |packing, body, stamp| read(packing, body, stamp, index)).await?;
    let Bulk { batch, items, .. } = content;
    let counts = door.counts(sender);
    let refused = items.iter().filter_map(|item| item.outcome.err());
    refused.for_each(|refused| counts.rejected(refused.reason));
    let frames = batch.into_frames();
    let all = frames.len();
    counts.received(all);
    match door.keep(&counts, frames).await {
        Ok(()) => Ok((items, all)),
        Err(NotKept { stored: 0 }) => Err(Problem::later()),
        Err(NotKept { stored }) => Ok((items, stored)),
    }
}

/// The index in the path of `/INDEX/_bulk`.
fn index_of(path: &str) -> Option<&str> {
    let index = path.strip_suffix("/_bulk")?.trim_start_matches('/');
    (!index.is_empty() && index.len() <= INDEX_BYTES_MAX).then_some(index)
}

pub(super) fn read(packing: Packing, body: &[u8], stamp: Stamp, index: Option<Box<str>>) -> Result<Bulk, Refusal> {
    let mut bulk = Bulk { batch: Batch::new(stamp), items: Vec::new(), pending: None, begun: Vec::new(), index };
    packing.unpack(body, |piece| bulk.push(piece))?;
    bulk.finish()?;
    Ok(bulk)
}

/// Takes a body apart as it comes.
pub(super) struct Bulk {
    pub(super) batch: Batch,
    items: Vec<Item>,
    /// An action whose document comes next.
    pending: Option<Item>,
    /// A line that goes on in the next piece.
    begun: Vec<u8>,
    /// Of actions that name none.
    index: Option<Box<str>>,
}

/// What became of an action.
#[derive(Debug)]
struct Item {
    verb: Verb,
    index: Option<Box<str>>,
    id: Option<Box<str>>,
    /// Where it is kept: the number of frames up to and with its last.
    outcome: Result<usize, Refused>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Index,
    Create,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    reason: Rejected,
    why: &'static str,
}

const NO_CHANGES: Refused = Refused { reason: Rejected::Protocol, why: "events are not changed here: only index and create are taken" };
const NO_DOCUMENT: Refused = Refused { reason: Rejected::Empty, why: "the document is missing" };
const TOO_LONG: Refused = Refused { reason: Rejected::Protocol, why: "the index may have 255 bytes and the id 512" };

/// An action's line.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Action {
    Index(Target),
    Create(Target),
    Update(Target),
    Delete(Target),
}

#[derive(Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<Box<str>>,
    #[serde(rename = "_id")]
    id: Option<Value>,
}

impl Bulk {
    fn push(&mut self, mut piece: &[u8]) -> Result<(), Refusal> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end);
            piece = rest.get(1..).unwrap_or_default();
            if self.begun.is_empty() {
                self.line(line)?;
            } else {
                let mut begun = std::mem::take(&mut self.begun);
                begun.extend_from_slice(line);
                self.line(&begun)?;
            }
        }
        self.begun.extend_from_slice(piece);
        Ok(())
    }

    /// The last line may lack its newline; a last action may lack its document.
    fn finish(&mut self) -> Result<(), Refusal> {
        let begun = std::mem::take(&mut self.begun);
        if !begun.is_empty() {
            self.line(&begun)?;
        }
        if let Some(item) = self.pending.take() {
            self.items.push(Item { outcome: Err(NO_DOCUMENT), ..item });
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_blank = line.trim_ascii().is_empty();
        match self.pending.take() {
            None if is_blank => {}
            None => self.action(line)?,
            Some(item) => {
                let outcome = match item.outcome {
                    Err(refused) => Err(refused),
                    Ok(_) if is_blank => Err(NO_DOCUMENT),
                    Ok(_) => {
                        self.batch.put(line)?;
                        Ok(self.batch.len())
                    }
                };
                self.items.push(Item { outcome, ..item });
            }
        }
        Ok(())
    }

    fn action(&mut self, line: &[u8]) -> Result<(), Refusal> {
        let number = self.items.len() + 1;
        if number > FRAMES_MAX {
            return Err(too_large(format!("a body may have {FRAMES_MAX} actions: send smaller batches")));
        }
        let broken = |error| unreadable(format!("action {number} is malformed: {error}"));
        let (verb, target) = match serde_json::from_slice(line).map_err(broken)? {
            Action::Index(target) => (Verb::Index, target),
            Action::Create(target) => (Verb::Create, target),
            Action::Update(target) => (Verb::Update, target),
            Action::Delete(target) => (Verb::Delete, target),
        };
        let id: Option<Box<str>> = match target.id {
            Some(Value::String(id)) => Some(id.into()),
            Some(Value::Number(id)) => Some(id.to_string().into()),
            _ => None,
        };
        let index = target.index.or_else(|| self.index.clone());
        let is_long = |text: &Option<Box<str>>, max| text.as_ref().is_some_and(|text| text.len() > max);
        let item = if is_long(&index, INDEX_BYTES_MAX) || is_long(&id, ID_BYTES_MAX) {
            Item { verb, index: None, id: None, outcome: Err(TOO_LONG) }
        } else {
            let outcome = if matches!(verb, Verb::Index | Verb::Create) { Ok(0) } else { Err(NO_CHANGES) };
            Item { verb, index, id, outcome }
        };
        if verb == Verb::Delete {
            self.items.push(item)
        } else {
            self.pending = Some(item)
        }
        Ok(())
    }
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// The answer's members stand in Elasticsearch's order: some shippers look for `"errors":false,"items":[` as a text.
fn answer(items: &[Item], stored: usize, took: i64) -> Vec<u8> {
    let is_stored = |item: &Item| item.outcome.is_ok_and(|end| end <= stored);
    let errors = !items.iter().all(is_stored);
    let mut answer = format!(r#"{{"took":{took},"errors":{errors},"items":["#).into_bytes();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            answer.push(b',');
        }
        answer.extend_from_slice(item.answer(stored).to_string().as_bytes());
    }
    answer.extend_from_slice(b"]}");
    answer
}

impl Item {
    fn answer(&self, stored: usize) -> Value {
        let mut said = Map::new();
        for (name, value) in [("_index", &self.index), ("_id", &self.id)] {
            if let Some(value) = value {
                said.insert(name.into(), value.as_ref().into());
            }
        }
        let (status, error) = match self.outcome {
            Ok(end) if end <= stored => (201, None),
            // 429 is what every client repeats an item for.
            Ok(_) => (429, Some(("es_rejected_execution_exception", "this could not be stored now: send it again later"))),
            Err(Refused { why, .. }) => (400, Some(("illegal_argument_exception", why))),
        };
        said.insert("status".into(), status.into());
        match error {
            None => said.insert("result".into(), "created".into()),
            Some((kind, reason)) => said.insert("error".into(), json!({ "type": kind, "reason": reason })),
        };
        let mut item = Map::new();
        item.insert(self.verb.as_str().into(), said.into());
        item.into()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::frame::{Marks, PAYLOAD_BYTES_MAX, Transport};
    use crate::time::Timestamp;

    fn bulk(pieces: &[&[u8]]) -> Result<Bulk, Refusal> {
        let stamp = Stamp { received_at: Timestamp(1), site: SITE_UNKNOWN, peer: Ipv4Addr::LOCALHOST.into(), transport: Transport::Http };
        let mut bulk = Bulk { batch: Batch::new(stamp), items: Vec::new(), pending: None, begun: Vec::new(), index: Some("path".into()) };
        pieces.iter().try_for_each(|piece| bulk.push(piece))?;
        bulk.finish()?;
        Ok(bulk)
    }

    fn check(body: &str, expected: Expect) {
        let text = match bulk(&[body.as_bytes()]) {
            Err((reason, problem)) => format!("{reason:?} {problem:?}"),
            Ok(bulk) => {
                let answer = String::from_utf8(answer(&bulk.items, bulk.batch.len(), 0)).unwrap();
                let frames = bulk.batch.into_frames();
                let frames = frames.iter().map(|frame| format!("\n{:?} {}", frame.kind, frame.payload.escape_ascii()));
                answer.replace("},{", "},\n{") + &frames.collect::<String>()
            }
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn items_follow_their_actions() {
        check(
            "{\"index\":{\"_index\":\"logs\",\"_id\":\"a\"}}\n{\"message\":\"1\"}\n{\"create\":{}}\r\n{\"message\":\"2\"}\r\n",
            expect![[r#"
                {"took":0,"errors":false,"items":[{"index":{"_index":"logs","_id":"a","status":201,"result":"created"}},
                {"create":{"_index":"path","status":201,"result":"created"}}]}
                Json {\"message\":\"1\"}
                Json {\"message\":\"2\"}"#]],
        );
        check("", expect![[r#"{"took":0,"errors":false,"items":[]}"#]]);
        check(
            "\n{\"delete\":{\"_id\":7}}\n\n{\"update\":{\"_id\":\"8\"}}\n{\"doc\":{}}\n{\"create\":{\"_type\":\"_doc\"}}\n{\"a\":1}",
            expect![[r#"
                {"took":0,"errors":true,"items":[{"delete":{"_index":"path","_id":"7","status":400,"error":{"type":"illegal_argument_exception","reason":"events are not changed here: only index and create are taken"}}},
                {"update":{"_index":"path","_id":"8","status":400,"error":{"type":"illegal_argument_exception","reason":"events are not changed here: only index and create are taken"}}},
                {"create":{"_index":"path","status":201,"result":"created"}}]}
                Json {\"a\":1}"#]],
        );
        check(
            "{\"index\":{}}\n\n{\"index\":{}}\nno object\n{\"index\":{}}\n",
            expect![[r#"
                {"took":0,"errors":true,"items":[{"index":{"_index":"path","status":400,"error":{"type":"illegal_argument_exception","reason":"the document is missing"}}},
                {"index":{"_index":"path","status":201,"result":"created"}},
                {"index":{"_index":"path","status":400,"error":{"type":"illegal_argument_exception","reason":"the document is missing"}}}]}
                Line no object"#]],
        );
    }

    #[test]
    fn a_broken_action_refuses_the_body() {
        for (body, expected) in [
            (
                "{\"message\":\"1\"}\n",
                expect![
                    "action 1 is malformed: unknown variant `message`, expected one of `index`, `create`, `update`, `delete` at line 1 column 10"
                ],
            ),
            ("{\"index\":{}}\n{}\n{\"index\":", expect!["action 2 is malformed: EOF while parsing a value at line 1 column 9"]),
            ("{\"index\":{},\"create\":{}}\n{}\n", expect!["action 1 is malformed: expected value at line 1 column 11"]),
            ("[]\n", expect!["action 1 is malformed: expected value at line 1 column 1"]),
        ] {
            let (reason, problem) = bulk(&[body.as_bytes()]).map(|bulk| bulk.items).unwrap_err();
            assert_eq!(reason, Rejected::Unreadable);
            let said: Value = serde_json::from_slice(&problem.elastic()).unwrap();
            expected.assert_eq(said["error"]["reason"].as_str().unwrap());
        }
    }

    #[test]
    fn what_is_not_on_disk_is_to_be_sent_again() {
        let body = "{\"create\":{}}\n{\"n\":1}\n".repeat(3);
        let bulk = bulk(&[body.as_bytes()]).unwrap();
        let statuses: Value = serde_json::from_slice(&answer(&bulk.items, 2, 0)).unwrap();
        let statuses: Vec<_> = (0..3).map(|at| statuses["items"][at]["create"]["status"].as_u64().unwrap()).collect();
        assert_eq!(statuses, [201, 201, 429]);
    }

    #[test]
    fn bounds() {
        let long = format!("{{\"index\":{{\"_id\":\"{}\"}}}}\n{{}}\n{{\"index\":{{}}}}\n{{}}\n", "x".repeat(513));
        let outcomes: Vec<_> = bulk(&[long.as_bytes()]).unwrap().items.iter().map(|item| item.outcome.is_ok()).collect();
        assert_eq!(outcomes, [false, true], "its document is not taken for an action");
        let many = "{\"delete\":{}}\n".repeat(FRAMES_MAX + 1);
        assert_eq!(bulk(&[many.as_bytes()]).map(|bulk| bulk.items).unwrap_err().0, Rejected::TooLarge);
        let wide = format!("{{\"index\":{{}}}}\n{{\"a\":\"{}\"}}\n{{\"index\":{{}}}}\n{{}}\n", "ü".repeat(PAYLOAD_BYTES_MAX));
        let bulk = bulk(&[wide.as_bytes()]).unwrap();
        let ends: Vec<_> = bulk.items.iter().map(|item| item.outcome.unwrap()).collect();
        assert_eq!(ends, [3, 4]);
        let marks: Vec<_> = bulk.batch.into_frames().iter().map(|frame| frame.marks).collect();
        assert_eq!(marks, [Marks::CUT, Marks::CUT.and(Marks::REST), Marks::REST, Marks::default()]);
    }

    #[test]
    fn the_index_of_a_path() {
        for (path, index) in
            [("/_bulk", None), ("/logs/_bulk", Some("logs")), ("/%3Clogs-%7Bnow%7D%3E/_bulk", Some("%3Clogs-%7Bnow%7D%3E"))]
        {
            assert_eq!(index_of(path), index);
        }
    }

    fn a_line() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "{\"index\":{}}",
                "{\"create\":{\"_index\":\"a\"}}",
                "{\"update\":{\"_id\":1}}",
                "{\"delete\":{}}",
                "{\"message\":\"x\"}",
                "",
                " ",
                "\r",
                "{}",
            ])
            .prop_map(str::to_owned),
            "[ -~äöü]{0,30}",
        ]
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(lines in prop::collection::vec(a_line(), 0..20), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
            let body = lines.join("\n").into_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(body.len() + 1)).chain([0, body.len()]).collect();
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|pair| &body[pair[0]..pair[1]]).collect();
            match (bulk(&[&body]), bulk(&pieces)) {
                (Ok(whole), Ok(split)) => {
                    prop_assert_eq!(answer(&whole.items, 9, 0), answer(&split.items, 9, 0));
                    prop_assert_eq!(whole.batch.into_frames(), split.batch.into_frames());
                }
                (whole, split) => prop_assert!(whole.is_err() && split.is_err()),
            }
        }

        #[test]
        fn every_action_has_its_item(actions in prop::collection::vec((0..4usize, "[ -~]{0,20}"), 0..30)) {
            let mut body = String::new();
            let mut expected = Vec::new();
            for (verb, document) in &actions {
                let verb = [Verb::Index, Verb::Create, Verb::Update, Verb::Delete][*verb];
                body.push_str(&format!("{{\"{}\":{{}}}}\n", verb.as_str()));
                if verb != Verb::Delete {
                    body.push_str(&format!("{document}\n"));
                }
                expected.push((verb, matches!(verb, Verb::Index | Verb::Create) && !document.trim().is_empty()));
            }
            let bulk = bulk(&[body.as_bytes()]).unwrap();
            let items: Vec<_> = bulk.items.iter().map(|item| (item.verb, item.outcome.is_ok())).collect();
            prop_assert_eq!(bulk.batch.len(), items.iter().filter(|(_, kept)| *kept).count());
            prop_assert_eq!(items, expected);
        }

        #[test]
        fn no_bytes_break_it(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = bulk(&[b"{\"index\":{}}\n", &body]);
        }
    }
}
