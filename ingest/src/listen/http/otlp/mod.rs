//! `POST /v1/logs`: OpenTelemetry's logs over HTTP (OTLP 1.x), in protobuf or JSON. JSON is turned into protobuf first
//! (`json`), so that both are read alike; each record becomes one JSON frame with ECS names (`record`).
//!
//! A request is walked through, never built as a tree: an empty record takes two bytes of it and would take hundreds of
//! memory. A record that cannot be read is rejected alone and said so (partial success).

mod json;
mod record;

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::json;

use self::record::Around;
use super::batch::{Batch, FRAMES_MAX};
use super::door::{Door, NotKept, Parsed};
use super::problem::{Dialect, Problem, Refusal, too_large, unreadable};
use super::unpack::Packing;
use crate::body::Sender;
use crate::listen::{Rejected, Stamp};

/// A record's fields take up to forty times its bytes while it is read. The longest message that syslog senders are
/// configured for is as long.
const RECORD_BYTES_MAX: usize = 1_048_576;
/// What all records of a resource repeat; real ones have some hundred bytes.
const AROUND_BYTES_MAX: usize = 64 * 1024;

/// How a request is encoded, and so its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let given = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let given = given.split(';').next().unwrap_or_default().trim();
        [Self::Protobuf, Self::Json].into_iter().find(|encoding| given.eq_ignore_ascii_case(encoding.content_type()))
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

pub(super) async fn logs(State(door): State<Arc<Door>>, Extension(sender): Extension<Arc<Sender>>, request: Request) -> Response {
    let Some(encoding) = Encoding::of(request.headers()) else {
        door.counts(&sender).rejected(Rejected::Unreadable);
        let detail = "Content-Type may be application/x-protobuf or application/json";
        return Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).told(Dialect::Otlp(Encoding::Json));
    };
    match keep(&door, &sender, request, encoding).await {
        Ok(rejected) => {
            let content_type = HeaderValue::from_static(encoding.content_type());
            ([(header::CONTENT_TYPE, content_type)], taken(encoding, rejected)).into_response()
        }
        Err(problem) => problem.told(Dialect::Otlp(encoding)),
    }
}

/// Gives the number of records that were rejected.
async fn keep(door: &Door, sender: &Sender, request: Request, encoding: Encoding) -> Result<usize, Problem> {
    let parse = move |packing: Packing, body: &[u8], stamp: Stamp| read(encoding, packing, body, stamp);
    let Parsed { content, place: _place } = door.receive(sender, request, parse).await?;
    let counts = door.counts(sender);
    content.rejected.iter().for_each(|reason| counts.rejected(*reason));
    let frames = content.batch.into_frames();
    counts.received(frames.len());
    door.keep(&counts, frames).await.map_err(|NotKept { .. }| Problem::later())?;
    Ok(content.rejected.len())
}

/// What a request's records became.
pub(super) struct Logs {
    pub(super) batch: Batch,
    rejected: Vec<Rejected>,
}

pub(super) fn read(encoding: Encoding, packing: Packing, body: &[u8], stamp: Stamp) -> Result<Logs, Refusal> {
    let mut unpacked = Vec::new();
    if packing != Packing::Plain || encoding == Encoding::Json {
        packing.unpack(body, |piece| {
            unpacked.extend_from_slice(piece);
            Ok(())
        })?;
    }
    let mut logs = Logs { batch: Batch::new(stamp), rejected: Vec::new() };
    match encoding {
        Encoding::Protobuf if packing == Packing::Plain => logs.request(body)?,
        Encoding::Protobuf => logs.request(&unpacked)?,
        Encoding::Json => {
            let request = json::to_protobuf(&unpacked).map_err(|error| unreadable(format!("the JSON cannot be read: {error}")))?;
            drop(unpacked);
            logs.request(&request)?;
        }
    }
    Ok(logs)
}

impl Logs {
    /// An ExportLogsServiceRequest: 1 is a ResourceLogs.
    fn request(&mut self, message: &[u8]) -> Result<(), Refusal> {
        each(message, |tag, resource_logs| if tag == 1 { self.resource_logs(resource_logs) } else { Ok(()) })
    }

    /// 1 is the Resource, which may stand behind its records; 2 is a ScopeLogs.
    fn resource_logs(&mut self, message: &[u8]) -> Result<(), Refusal> {
        let mut around = Around::default();
        each(message, |tag, resource| if tag == 1 { around.resource(around_bytes(resource)?).map_err(broken) } else { Ok(()) })?;
        each(message, |tag, scope_logs| if tag == 2 { self.scope_logs(&around, scope_logs) } else { Ok(()) })
    }

    /// 1 is the InstrumentationScope, 2 a LogRecord.
    fn scope_logs(&mut self, around: &Around, message: &[u8]) -> Result<(), Refusal> {
        let mut around = around.clone();
        each(message, |tag, scope| if tag == 1 { around.scope(around_bytes(scope)?).map_err(broken) } else { Ok(()) })?;
        each(message, |tag, record| if tag == 2 { self.record(&around, record) } else { Ok(()) })
    }

    fn record(&mut self, around: &Around, record: &[u8]) -> Result<(), Refusal> {
        if self.batch.len() + self.rejected.len() >= FRAMES_MAX {
            return Err(too_large(format!("a request may have {FRAMES_MAX} records: send smaller batches")));
        }
        if record.len() > RECORD_BYTES_MAX {
            self.rejected.push(Rejected::TooLarge);
            return Ok(());
        }
        match around.event(record) {
            Ok(event) => self.batch.put(&event),
            Err(_) => {
                self.rejected.push(Rejected::Unreadable);
                Ok(())
            }
        }
    }
}

fn around_bytes(message: &[u8]) -> Result<&[u8], Refusal> {
    if message.len() > AROUND_BYTES_MAX {
        return Err(too_large(format!("a resource or scope may have {AROUND_BYTES_MAX} bytes")));
    }
    Ok(message)
}

/// Visits the length-delimited fields of a message: its tag and its bytes.
fn each<'m>(mut message: &'m [u8], mut visit: impl FnMut(u32, &'m [u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
    while !message.is_empty() {
        let (tag, wire) = decode_key(&mut message).map_err(broken)?;
        if wire != WireType::LengthDelimited {
            skip_field(wire, tag, &mut message, DecodeContext::default()).map_err(broken)?;
            continue;
        }
        let len = decode_varint(&mut message).map_err(broken)?;
        let parts = usize::try_from(len).ok().and_then(|len| message.split_at_checked(len));
        let (field, rest) = parts.ok_or_else(|| unreadable("the protobuf message breaks off"))?;
        visit(tag, field)?;
        message = rest;
    }
    Ok(())
}

fn broken(error: prost::DecodeError) -> Refusal {
    unreadable(format!("the protobuf message cannot be read: {error}"))
}

/// An ExportLogsServiceResponse.
#[derive(Clone, PartialEq, prost::Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

fn taken(encoding: Encoding, rejected: usize) -> Vec<u8> {
    let message = "these records could not be read or are longer than 1 MiB";
    match encoding {
        Encoding::Json if rejected == 0 => b"{}".to_vec(),
        // int64 is a text in protobuf's JSON.
        Encoding::Json => {
            json!({ "partialSuccess": { "rejectedLogRecords": rejected.to_string(), "errorMessage": message } }).to_string().into()
        }
        Encoding::Protobuf => {
            let rejected_log_records = i64::try_from(rejected).unwrap_or(i64::MAX);
            let partial = PartialSuccess { rejected_log_records, error_message: message.into() };
            Answer { partial_success: (rejected > 0).then_some(partial) }.encode_to_vec()
        }
    }
}

/// A google.rpc.Status.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

pub(super) fn status(encoding: Encoding, code: i32, message: String) -> Vec<u8> {
    match encoding {
        Encoding::Json => json!({ "code": code, "message": message }).to_string().into(),
        Encoding::Protobuf => Status { code, message }.encode_to_vec(),
    }
}

#[cfg(test)]
mod tests;
