//! `/metrics` for a monitoring system: no login, but its own token; without one only this machine is answered, and not
//! what a proxy on it passes on from elsewhere.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ingest::listen::token_hash;

use crate::metrics;
use crate::web::{Ask, Reply};

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (status, kind, text) = if allowed(ask) {
        (StatusCode::OK, metrics::CONTENT_TYPE, metrics::page(&ask.app, ask.now))
    } else {
        let text = "Nur mit Token: web.metrics_token_file in der Konfiguration, dann „Authorization: Bearer …“ beim Abruf.\n";
        (StatusCode::UNAUTHORIZED, "text/plain; charset=utf-8", text.to_owned())
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    Ok(response)
}

fn allowed(ask: &Ask) -> bool {
    match &ask.app.settings.metrics_token {
        Some(wanted) => {
            let given = ask.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
            // Hashes are compared, so that the time it takes tells nothing of the token.
            given.and_then(|given| given.strip_prefix("Bearer ")).is_some_and(|token| token_hash(token.trim()) == *wanted)
        }
        None => {
            let passed_on = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| ask.headers.contains_key(*name));
            !passed_on && ask.peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::ConnectInfo;
    use axum::http::Request;
    use ingest::listen::Peer;

    use super::*;
    use crate::web::Settings;
    use crate::web::tests::Front;

    async fn ask(front: &Front, peer: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = Request::get("/metrics");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(ConnectInfo(Peer(peer.parse().unwrap())));
        front.send(request).await.status.as_u16()
    }

    #[tokio::test]
    async fn who_may_scrape() {
        let open = Front::new();
        assert_eq!(ask(&open, "127.0.0.1", &[]).await, 200);
        assert_eq!(ask(&open, "192.0.2.1", &[]).await, 401);
        assert_eq!(ask(&open, "127.0.0.1", &[("x-forwarded-for", "192.0.2.1")]).await, 401, "a proxy's guest is no local");
        let closed = Front::with(Settings { metrics_token: Some(token_hash("geheim")), ..Settings::default() });
        assert_eq!(ask(&closed, "127.0.0.1", &[]).await, 401);
        assert_eq!(ask(&closed, "192.0.2.1", &[("authorization", "Bearer falsch")]).await, 401);
        assert_eq!(ask(&closed, "192.0.2.1", &[("authorization", "Bearer geheim")]).await, 200);
    }
}
