//! What went wrong, for a program: `application/problem+json` (RFC 9457). `error` is the stable word that programs decide
//! by, `detail` the German sentence for whoever reads their logs.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

pub(super) fn problem(status: StatusCode, error: &str, detail: &str) -> Response {
    problem_with(status, error, detail, &Value::Null)
}

/// With further members that only this kind of problem has.
pub(super) fn problem_with(status: StatusCode, error: &str, detail: &str, more: &Value) -> Response {
    let mut told = json!({
        "type": "about:blank", "title": status.canonical_reason().unwrap_or_default(), "status": status.as_u16(), "error": error,
        "detail": detail,
    });
    if let (Some(told), Some(more)) = (told.as_object_mut(), more.as_object()) {
        told.extend(more.clone());
    }
    let mut response = Response::new(Body::from(format!("{told}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
