//! Events over HTTP, each answered only when it is on disk: lines and JSON objects (`ndjson`), Elastic's bulk API for the
//! shippers that speak it (`bulk`, `elastic`), and OpenTelemetry's logs (`otlp`). Nothing is parsed beyond what framing
//! needs; what the objects mean is the decoder's to say.

mod batch;
mod bulk;
mod door;
mod elastic;
pub(super) mod fuzzing;
mod ndjson;
mod otlp;
mod problem;
mod serve;
mod unpack;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::door::Door;
pub(super) use self::door::Room;
use self::problem::Problem;
use super::accept::Accepting;
use super::{Intake, Limits, Listener};

/// What all HTTP listeners have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) token: Option<String>,
    pub(super) room: Room,
}

pub(super) async fn run(
    accepting: Accepting,
    which: Listener,
    shared: Shared,
    intake: Intake,
    limits: Limits,
    shutdown: CancellationToken,
) {
    let door = Door::new(intake, which, shared.token.as_deref(), limits.http_body, shared.room);
    serve::run(accepting, router(Arc::new(door)), limits, shutdown).await;
}

fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/v1/ingest", post(ndjson::ingest))
        .route("/v1/logs", post(otlp::logs))
        .route("/healthz", get(healthz))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "POST to /v1/ingest, /v1/logs and /_bulk, GET from /healthz")
        })
        .merge(elastic::routes())
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "there is POST /v1/ingest, POST /v1/logs, POST /_bulk and GET /healthz here")
        })
        .with_state(door)
}

async fn healthz(State(door): State<Arc<Door>>) -> Response {
    if door.intake.counters.journal_healthy() {
        return Json(json!({ "status": "ok" })).into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "the journal could not write" }))).into_response()
}
