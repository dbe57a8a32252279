//! Answers that say what is wrong and what to do, in the words that the sender's protocol has for it.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::otlp::{self, Encoding};
use crate::listen::{JOURNAL_RETRY, Rejected};

/// What is counted, and what is answered.
pub(super) type Refusal = (Rejected, Problem);

/// Which protocol an answer is given in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// RFC 9457.
    Plain,
    /// Elastic's API.
    Elastic,
    /// google.rpc.Status, as OTLP asks for.
    Otlp(Encoding),
}

/// A request that is not taken.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    pub(super) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    /// For a journal that does not take frames at the moment; all clients repeat the request after it.
    pub(super) fn later() -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "nothing can be stored now: send it again later");
        problem.with(header::RETRY_AFTER, HeaderValue::from(JOURNAL_RETRY.as_secs().max(1) * 5))
    }

    pub(super) fn told(self, dialect: Dialect) -> Response {
        let (content_type, body) = match dialect {
            Dialect::Plain => ("application/problem+json", self.plain()),
            Dialect::Elastic => ("application/json", self.elastic()),
            Dialect::Otlp(encoding) => (encoding.content_type(), otlp::status(encoding, grpc_code(self.status), self.detail)),
        };
        let mut response = (self.status, [(header::CONTENT_TYPE, content_type)], body).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }

    fn plain(&self) -> Vec<u8> {
        let title = self.status.canonical_reason().unwrap_or_default();
        json!({ "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail }).to_string().into_bytes()
    }

    pub(super) fn elastic(&self) -> Vec<u8> {
        let error = match self.status {
            StatusCode::UNAUTHORIZED => "security_exception",
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
            _ => "illegal_argument_exception",
        };
        let cause = json!({ "type": error, "reason": self.detail });
        let answer = json!({
            "error": { "root_cause": [cause], "type": error, "reason": self.detail },
            "status": self.status.as_u16(),
        });
        answer.to_string().into_bytes()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.told(Dialect::Plain)
    }
}

/// The gRPC code that stands for an HTTP status (google.rpc.Code).
fn grpc_code(status: StatusCode) -> i32 {
    match status.as_u16() {
        400 | 415 => 3,
        401 => 16,
        408 => 4,
        413 | 429 => 8,
        503 => 14,
        _ => 2,
    }
}

pub(super) fn too_large(detail: String) -> Refusal {
    (Rejected::TooLarge, Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
}

pub(super) fn unreadable(detail: impl Into<String>) -> Refusal {
    (Rejected::Unreadable, Problem::new(StatusCode::BAD_REQUEST, detail))
}
