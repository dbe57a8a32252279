//! What is known of the provider: its discovery document and its keys, for an hour. A key that is not known yet makes the
//! keys be fetched anew, at most once a minute, so that made-up tokens cannot make us hammer the provider.

use std::sync::{Arc, Mutex, PoisonError};

use ingest::time::Timestamp;
use openidconnect::core::CoreJsonWebKeySet;
use serde::Deserialize;

use super::http::{Http, secure};
use super::{OidcError, told};

/// After this all is fetched again; a withdrawn key counts no longer than that.
const KEEP_MILLIS: i64 = 60 * Timestamp::MINUTE;
const ROTATE_MILLIS_MIN: i64 = Timestamp::MINUTE;
/// After a failure nobody asks for so long: the door must not wait for the time-out each time.
const REST_MILLIS: i64 = 10_000;

/// The part of the discovery document that is used.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Meta {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    pub(super) end_session_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

impl Meta {
    /// Whether the client's secret goes into the form: only where the provider takes it nowhere else.
    pub(super) fn secret_in_form(&self) -> bool {
        let offers = |method: &str| self.token_endpoint_auth_methods_supported.iter().flatten().any(|one| one == method);
        offers("client_secret_post") && !offers("client_secret_basic")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Provider {
    pub(super) meta: Meta,
    pub(super) keys: CoreJsonWebKeySet,
}

#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    provider: Option<Arc<Provider>>,
    fetched_at: Timestamp,
    keys_at: Timestamp,
    failed_at: Option<Timestamp>,
}

impl Cache {
    /// What is known already.
    pub(super) fn known(&self, now: Timestamp) -> Option<Arc<Provider>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.provider.clone().filter(|_| (0..KEEP_MILLIS).contains(&now.since(known.fetched_at)))
    }

    /// The provider, asked where what is known is too old. Who comes while another asks waits for its answer.
    pub(super) fn provider(&self, issuer: &str, http: &Http, now: Timestamp) -> Result<Arc<Provider>, OidcError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(provider) = known.provider.clone().filter(|_| (0..KEEP_MILLIS).contains(&now.since(known.fetched_at))) {
            return Ok(provider);
        }
        known.rested(now)?;
        let asked = discover(issuer, http);
        let provider = known.noted(asked, now)?;
        (known.fetched_at, known.keys_at) = (now, now);
        Ok(provider)
    }

    /// The provider with its keys as they are now, if they were not fetched within the last minute.
    pub(super) fn rotated(&self, issuer: &str, http: &Http, now: Timestamp) -> Result<Arc<Provider>, OidcError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(provider) = known.provider.clone() else {
            drop(known);
            return self.provider(issuer, http, now);
        };
        if now.since(known.keys_at) < ROTATE_MILLIS_MIN {
            return Ok(provider);
        }
        known.rested(now)?;
        known.keys_at = now;
        let asked = keys(&provider.meta, http).map(|keys| Provider { meta: provider.meta.clone(), keys });
        known.noted(asked, now)
    }
}

impl Known {
    fn rested(&self, now: Timestamp) -> Result<(), OidcError> {
        match self.failed_at {
            Some(at) if (0..REST_MILLIS).contains(&now.since(at)) => Err(OidcError::Down("it failed just now".into())),
            _ => Ok(()),
        }
    }

    fn noted(&mut self, asked: Result<Provider, OidcError>, now: Timestamp) -> Result<Arc<Provider>, OidcError> {
        let asked = asked.map(Arc::new);
        match &asked {
            Ok(provider) => (self.provider, self.failed_at) = (Some(provider.clone()), None),
            Err(_) => self.failed_at = Some(now),
        }
        asked
    }
}

fn discover(issuer: &str, http: &Http) -> Result<Provider, OidcError> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let bytes = http.get(&url).map_err(|error| OidcError::Down(told(&error)))?;
    let meta: Meta = serde_json::from_slice(&bytes).map_err(|error| OidcError::Down(format!("its description is none: {error}")))?;
    if meta.issuer != issuer {
        return Err(OidcError::Down("its description is another issuer's".into()));
    }
    let ends = [&meta.authorization_endpoint, &meta.token_endpoint, &meta.jwks_uri];
    if ends.into_iter().chain(meta.end_session_endpoint.as_ref()).any(|url| secure(url).is_none()) {
        return Err(OidcError::Down("its description names an address without https".into()));
    }
    let keys = keys(&meta, http)?;
    Ok(Provider { meta, keys })
}

fn keys(meta: &Meta, http: &Http) -> Result<CoreJsonWebKeySet, OidcError> {
    let bytes = http.get(&meta.jwks_uri).map_err(|error| OidcError::Down(told(&error)))?;
    serde_json::from_slice(&bytes).map_err(|error| OidcError::Down(format!("its keys are none: {error}")))
}
