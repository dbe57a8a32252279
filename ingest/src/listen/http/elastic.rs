//! The rest of Elastic's API, as far as its shippers ask before they send: who we are, a licence, and setting up what we
//! do not have (templates, policies, pipelines), which is acknowledged and has no effect. Nothing can be searched here.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use axum::{Extension, Json, Router, middleware};
use serde_json::{Value, json};

use super::bulk::bulk;
use super::door::Door;
use super::problem::{Dialect, Problem};
use crate::body::Sender;

/// Elastic's own clients refuse to talk to a server that does not say this.
const PRODUCT: (HeaderName, HeaderValue) = (HeaderName::from_static("x-elastic-product"), HeaderValue::from_static("Elasticsearch"));

/// Beats want a server of their own version or newer, and Logstash's templates know major versions: the last of 8.
/// Beats 9 check it too unless `output.elasticsearch.allow_older_versions` is set; not tried with a real one.
const VERSION: &str = "8.99.0";

const ABOUT: [&str; 5] = ["/", "/_license", "/_xpack", "/_cluster/health", "/_nodes/{*rest}"];

/// What shippers set up.
const SETUP: [&str; 9] = [
    "/_index_template",
    "/_component_template",
    "/_template",
    "/_ilm/policy",
    "/_data_stream",
    "/_ingest/pipeline",
    "/_alias",
    "/_lifecycle",
    "/_cluster/settings",
];

pub(super) fn routes() -> Router<Arc<Door>> {
    let bulk = post(bulk).put(bulk);
    let mut router = Router::new().route("/_bulk", bulk.clone()).route("/{index}/_bulk", bulk);
    for path in ABOUT {
        router = router.route(path, any(about));
    }
    for path in SETUP {
        router = router.route(path, any(about)).route(&format!("{path}/{{*rest}}"), any(about));
    }
    router.layer(middleware::map_response(async |mut response: Response| {
        let (name, value) = PRODUCT;
        response.headers_mut().insert(name, value);
        response
    }))
}

async fn about(State(door): State<Arc<Door>>, Extension(sender): Extension<Arc<Sender>>, request: Request) -> Response {
    if let Err((reason, problem)) = door.known(&sender, request.headers()) {
        door.counts(&sender).rejected(reason);
        return problem.told(Dialect::Elastic);
    }
    let is_setup = |path: &str| SETUP.iter().any(|prefix| path.starts_with(prefix));
    match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, path) => Json(said(path)).into_response(),
        (&Method::PUT | &Method::POST, path) if is_setup(path) => Json(json!({ "acknowledged": true })).into_response(),
        _ => Problem::new(StatusCode::METHOD_NOT_ALLOWED, "only _bulk is taken here").told(Dialect::Elastic),
    }
}

fn said(path: &str) -> Value {
    let licence = json!({ "status": "active", "type": "basic", "mode": "basic", "uid": "00000000-0000-0000-0000-000000000000" });
    match path {
        "/" => json!({
            "name": "wartburg",
            "cluster_name": "wartburg",
            "cluster_uuid": "wartburg",
            "version": {
                "number": VERSION,
                "build_flavor": "default",
                "build_type": "tar",
                "build_snapshot": false,
                "lucene_version": "9.12.0",
                "minimum_wire_compatibility_version": "7.17.0",
                "minimum_index_compatibility_version": "7.0.0",
            },
            "tagline": "You Know, for Search",
        }),
        "/_license" => json!({ "license": licence }),
        "/_xpack" => json!({ "license": licence, "features": { "ilm": { "available": true, "enabled": true } } }),
        "/_cluster/health" => json!({
            "cluster_name": "wartburg",
            "status": "green",
            "timed_out": false,
            "number_of_nodes": 1,
            "number_of_data_nodes": 1,
        }),
        path if path.starts_with("/_nodes") => json!({ "cluster_name": "wartburg", "nodes": {} }),
        // What is asked for is there, as far as a shipper's set-up needs to know.
        _ => json!({}),
    }
}
