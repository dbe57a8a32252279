//! `POST /v1/ingest`: lines and JSON objects, one a line. A body is taken as a whole or not at all (apart from a journal
//! that fails midway: then the answer is 503 and the sender repeats). It does not look into the JSON: a line that is
//! none is kept as a line.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;

use super::batch::Batch;
use super::door::{Door, NotKept};
use super::problem::{Problem, Refusal};
use super::unpack::Packing;
use crate::body::Sender;
use crate::listen::Stamp;
use crate::listen::framing::Framer;

pub(super) async fn ingest(
    State(door): State<Arc<Door>>,
    Extension(sender): Extension<Arc<Sender>>,
    request: Request,
) -> Result<Response, Problem> {
    let parsed = door.receive(&sender, request, batch_of).await?;
    let (accepted, cut) = (parsed.content.len(), parsed.content.cut());
    let counts = door.counts(&sender);
    counts.received(accepted);
    door.keep(&counts, parsed.content.into_frames()).await.map_err(|NotKept { .. }| Problem::later())?;
    // `cut` tells a sender that some of its lines were kept in more than one frame.
    Ok(Json(if cut == 0 { json!({ "accepted": accepted }) } else { json!({ "accepted": accepted, "cut": cut }) }).into_response())
}

pub(super) fn batch_of(packing: Packing, body: &[u8], stamp: Stamp) -> Result<Batch, Refusal> {
    let (mut batch, mut framer) = (Batch::new(stamp), Framer::lines());
    packing.unpack(body, |piece| {
        framer.push(piece);
        batch.take(&mut framer)
    })?;
    framer.close();
    batch.take(&mut framer)?;
    Ok(batch)
}
