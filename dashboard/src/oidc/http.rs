//! The little HTTP that signing in at a provider takes: few requests, each with a bound on time and size, over TLS
//! except on this machine, and never to where an answer points.
//!
//! `ureq`, because it blocks as pages do, reads bodies up to a limit and was in the tree for the tests already; with
//! `rustls-no-provider` it uses the TLS and the ring that the listeners use, and builds nothing new besides.

use std::sync::Arc;
use std::time::Duration;

use openidconnect::url::{Host, Url};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// A provider that takes longer lets people wait at a door that has another handle.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Discovery documents have some 5 KiB, key sets and token answers rarely 20.
const BODY_BYTES_MAX: u64 = 256 * 1024;
const HEAD_BYTES_MAX: usize = 32 * 1024;

#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("not an https address (http only to this machine): {0}")]
    Insecure(String),
    #[error("request {0}")]
    Request(String, #[source] Box<ureq::Error>),
    #[error("{0} answered {1}")]
    Status(String, u16),
    #[error("{0} answered something else than JSON")]
    Json(String),
}

#[derive(Debug)]
pub(super) struct Http {
    agent: Agent,
}

impl Http {
    pub(super) fn new(timeout: Duration) -> Self {
        let native = rustls_native_certs::load_native_certs();
        if !native.errors.is_empty() {
            tracing::warn!(errors = native.errors.len(), "some of the system's certificates cannot be read");
        }
        let roots: Vec<Certificate<'static>> = native.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(timeout))
            // An answer that points elsewhere is not followed: what was asked is what the configuration names.
            .max_redirects(0)
            .http_status_as_error(false)
            .max_response_header_size(HEAD_BYTES_MAX)
            // Whoever holds this program's environment is no provider of ours.
            .proxy(None)
            // Log-ins are rare; a kept connection would only be found closed.
            .max_idle_connections(0)
            .user_agent("wartburg")
            .build();
        Self { agent: config.new_agent() }
    }

    /// # Errors
    /// What kept the answer from being JSON with status 200.
    pub(super) fn get(&self, url: &str) -> Result<Vec<u8>, HttpError> {
        let named = named(url)?;
        let answer = self.agent.get(url).header("accept", "application/json").call();
        body(&named, answer)
    }

    /// # Errors
    /// What kept the answer from being JSON with status 200.
    pub(super) fn post(&self, url: &str, authorization: Option<&str>, form: &[(&str, &str)]) -> Result<Vec<u8>, HttpError> {
        let named = named(url)?;
        let mut request = self.agent.post(url).header("accept", "application/json");
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        body(&named, request.send_form(form.iter().copied()))
    }
}

/// Host and path, for the log: queries hold secrets.
fn named(url: &str) -> Result<String, HttpError> {
    let shown = || url.chars().take(200).collect::<String>();
    let parsed = secure(url).ok_or_else(|| HttpError::Insecure(shown()))?;
    Ok(format!("{}{}", parsed.host_str().unwrap_or_default(), parsed.path()))
}

/// An address that may be asked: https, or http on this machine, without a password in it.
pub fn secure(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let loopback = match url.host()? {
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
        Host::Domain(name) => name == "localhost",
    };
    let fits = url.scheme() == "https" || (url.scheme() == "http" && loopback);
    (fits && url.username().is_empty() && url.password().is_none()).then_some(url)
}

fn body(named: &str, answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Vec<u8>, HttpError> {
    let failed = |error| HttpError::Request(named.to_owned(), Box::new(error));
    let mut answer = answer.map_err(failed)?;
    if answer.status().as_u16() != 200 {
        return Err(HttpError::Status(named.to_owned(), answer.status().as_u16()));
    }
    let kind = answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") && !kind.eq_ignore_ascii_case("application/jwk-set+json") {
        return Err(HttpError::Json(named.to_owned()));
    }
    answer.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_safe_addresses_are_asked() {
        for (url, expected) in [
            ("https://idp.example/realms/x", true),
            ("http://127.0.0.1:8080/", true),
            ("http://[::1]/", true),
            ("http://localhost/", true),
            ("http://idp.example/", false),
            ("http://localhost.evil.example/", false),
            ("http://127.0.0.1.evil.example/", false),
            ("https://user:pass@idp.example/", false),
            ("file:///etc/passwd", false),
            ("//idp.example", false),
            ("", false),
        ] {
            assert_eq!(secure(url).is_some(), expected, "{url}");
        }
    }
}
