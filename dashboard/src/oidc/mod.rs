//! Signing in at an outside provider (OpenID Connect): authorization code with PKCE, state and nonce. Whom the provider
//! names is checked here; which account that is, `identity` knows, and what the groups give, `groups`.
//!
//! Nothing is kept on the server between the way out and the way back: the browser carries a random seed in a cookie, and
//! state, nonce and PKCE verifier are made from it and a key that lives as long as this process. So nobody can fill a
//! table of ours with log-ins that never come back, and an answer counts only in the browser that asked for it.
//!
//! Signatures are checked by `openidconnect`. Only asymmetric algorithms are let in, and the verifier does not know the
//! client's secret, so that no token signed with something shared can fit. The mail address is not used for anything: it
//! may be unverified, and can be given to somebody else.

mod cache;
#[cfg(test)]
pub(crate) mod fake;
pub mod groups;
mod http;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ingest::time::Timestamp;
use openidconnect::core::{CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm};
use openidconnect::url::form_urlencoded;
use openidconnect::{
    AdditionalClaims, ClaimsVerificationError, ClientId, IdTokenVerifier, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    SignatureVerificationError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use self::cache::{Cache, Provider};
use self::groups::{GROUPS_MAX, GroupRow};
use self::http::Http;
use crate::identity::Person;
use crate::secret::{Secret, secret_hash};

pub use self::http::{TIMEOUT, secure};

/// What the configuration says; without an issuer there is no provider.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    pub scopes: Vec<String>,
    /// The claim with the groups; a dot leads into an object (`realm_access.roles`).
    pub groups_claim: String,
    pub groups: Vec<GroupRow>,
    /// What the button at the door calls the provider.
    pub label: String,
    /// Passwords count only for the emergency accounts.
    pub only: bool,
    /// Logins that may use a password all the same.
    pub emergency: Vec<String>,
}

/// From the click to the way back, with a second factor at the provider and a phone to be found.
pub const ROUND_MILLIS_MAX: i64 = 10 * Timestamp::MINUTE;
/// Clocks of two houses.
const SKEW_MILLIS: i64 = Timestamp::MINUTE;
/// Log-ins that wait for the provider's answer at once: each holds a thread.
const EXCHANGES_MAX: usize = 16;
/// Answers that came back within `ROUND_MILLIS_MAX`; the oldest is forgotten first, and the provider refuses it too.
const USED_MAX: usize = 4_096;
const CODE_BYTES_MAX: usize = 4_096;
/// OpenID Connect Core, 2: a subject has at most 255 characters.
const SUBJECT_BYTES_MAX: usize = 255;
const NAME_CHARS_MAX: usize = 120;
const GROUP_BYTES_MAX: usize = 256;
/// A path to come back to; longer ones lead home.
const NEXT_BYTES_MAX: usize = 1_000;

/// The provider, as the door uses it.
#[derive(Debug)]
pub struct Oidc {
    pub settings: Settings,
    back_url: String,
    home_url: String,
    http: Http,
    cache: Cache,
    /// Makes states of this process only.
    key: Secret,
    used: Mutex<BTreeMap<String, Timestamp>>,
    exchanging: AtomicUsize,
}

/// The way out.
#[derive(Debug)]
pub struct Start {
    pub url: String,
    /// What the browser carries until it comes back.
    pub cookie: String,
}

/// What the browser brings back in the query.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer<'a> {
    pub code: &'a str,
    pub state: &'a str,
    pub issuer: &'a str,
    pub error: &'a str,
}

/// Whom the provider vouches for.
#[derive(Debug)]
pub struct Vouched {
    pub person: Person,
    pub groups: Vec<String>,
    /// Where somebody wanted to go.
    pub next: String,
}

#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider cannot be reached, or answers something that is no answer.
    #[error("the provider does not answer: {0}")]
    Down(String),
    #[error("too many log-ins wait for the provider")]
    Busy,
    /// Another browser, too late, twice, or after a restart of ours.
    #[error("the answer belongs to no log-in of this browser: {0}")]
    Stray(&'static str),
    /// The provider says no, or the person does.
    #[error("the provider refused: {0}")]
    Denied(String),
    /// The answer is not to be believed.
    #[error("the provider's answer is refused: {0}")]
    Untrusted(String),
}

/// The claims beyond the standard ones.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Extra {
    nbf: Option<i64>,
    #[serde(flatten)]
    rest: serde_json::Map<String, Value>,
}

impl AdditionalClaims for Extra {}

type IdToken = openidconnect::IdToken<Extra, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Claims = openidconnect::IdTokenClaims<Extra, CoreGenderClaim>;

#[derive(Deserialize)]
struct TokenAnswer {
    id_token: IdToken,
}

impl Oidc {
    /// `base_url` is the house's own address, to which the provider sends people back.
    pub fn new(settings: Settings, base_url: &str, timeout: Duration) -> Self {
        Self {
            back_url: format!("{base_url}/login/oidc/zurueck"),
            home_url: format!("{base_url}/login?ok=signed-out"),
            http: Http::new(timeout),
            cache: Cache::default(),
            key: Secret::random(),
            used: Mutex::default(),
            exchanging: AtomicUsize::new(0),
            settings,
        }
    }

    /// Whether this account may sign in with a password.
    pub fn password_allowed(&self, login: &str) -> bool {
        !self.settings.only || self.settings.emergency.iter().any(|known| known == login)
    }

    /// Where to send the browser, and what it is to carry.
    ///
    /// # Errors
    /// Where the provider cannot be reached.
    pub fn start(&self, next: &str, now: Timestamp) -> Result<Start, OidcError> {
        let provider = self.cache.provider(&self.settings.issuer, &self.http, now)?;
        let next = if next.len() <= NEXT_BYTES_MAX { next } else { "/" };
        let round = Round { at: now.0, seed: Secret::random(), next: next.to_owned() };
        let verifier = PkceCodeVerifier::new(self.made("pkce", &round));
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let mut url = secure(&provider.meta.authorization_endpoint).ok_or_else(|| OidcError::Down("no address to sign in at".into()))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.back_url)
            .append_pair("scope", &self.settings.scopes.join(" "))
            .append_pair("state", &self.made("state", &round))
            .append_pair("nonce", &self.made("nonce", &round))
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", challenge.method().as_str());
        Ok(Start { url: url.into(), cookie: round.cookie() })
    }

    /// Checks what came back, fetches the token for it and checks that.
    ///
    /// # Errors
    /// What is refused, see `OidcError`.
    pub fn finish(&self, answer: Answer<'_>, cookie: Option<&str>, now: Timestamp) -> Result<Vouched, OidcError> {
        let round = cookie.and_then(Round::parse).ok_or(OidcError::Stray("no cookie"))?;
        let age = now.0.saturating_sub(round.at);
        if !(0..=ROUND_MILLIS_MAX).contains(&age) {
            return Err(OidcError::Stray("too late"));
        }
        let state = self.made("state", &round);
        if !bool::from(state.as_bytes().ct_eq(answer.state.as_bytes())) {
            return Err(OidcError::Stray("wrong state"));
        }
        self.use_up(state, now)?;
        if !answer.error.is_empty() {
            return Err(OidcError::Denied(answer.error.chars().filter(|ch| ch.is_ascii_graphic()).take(60).collect()));
        }
        let provider = self.cache.provider(&self.settings.issuer, &self.http, now)?;
        // RFC 9207: an answer of another provider must not be taken for this one's.
        let unnamed = answer.issuer.is_empty() && !provider.meta.authorization_response_iss_parameter_supported;
        if !unnamed && answer.issuer != self.settings.issuer {
            return Err(OidcError::Untrusted("another issuer answered".into()));
        }
        if answer.code.is_empty() || answer.code.len() > CODE_BYTES_MAX {
            return Err(OidcError::Untrusted("no code".into()));
        }
        let token = self.exchange(&provider, answer.code, &self.made("pkce", &round))?;
        let claims = self.verify(&provider, &token, Nonce::new(self.made("nonce", &round)), now)?;
        Ok(Vouched { person: self.person(&claims)?, groups: self.groups(&claims.additional_claims().rest), next: round.next })
    }

    /// Where to end the session at the provider too; `None` where it offers that not, or is not known yet.
    pub fn logout_url(&self, now: Timestamp) -> Option<String> {
        let provider = self.cache.known(now)?;
        let mut url = secure(provider.meta.end_session_endpoint.as_deref()?)?;
        url.query_pairs_mut().append_pair("client_id", &self.settings.client_id).append_pair("post_logout_redirect_uri", &self.home_url);
        Some(url.into())
    }

    /// A value for one purpose in one round. Hashed twice, so that nothing can be appended to what was hashed.
    fn made(&self, purpose: &str, round: &Round) -> String {
        let text = format!("{}\0{purpose}\0{}\0{}\0{}", self.key.reveal(), round.at, round.seed.reveal(), round.next);
        secret_hash(&secret_hash(&text))
    }

    /// Each answer counts once.
    fn use_up(&self, state: String, now: Timestamp) -> Result<(), OidcError> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, at| now.since(*at) <= ROUND_MILLIS_MAX);
        if used.len() >= USED_MAX
            && let Some(oldest) = used.iter().min_by_key(|(_, at)| **at).map(|(state, _)| state.clone())
        {
            used.remove(&oldest);
        }
        match used.insert(state, now) {
            None => Ok(()),
            Some(_) => Err(OidcError::Stray("used twice")),
        }
    }

    fn exchange(&self, provider: &Provider, code: &str, verifier: &str) -> Result<IdToken, OidcError> {
        let _place = Place::take(&self.exchanging)?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.back_url),
            ("code_verifier", verifier),
            ("client_id", &self.settings.client_id),
        ];
        let mut authorization = None;
        if let Some(secret) = &self.settings.client_secret {
            if provider.meta.secret_in_form() {
                form.push(("client_secret", secret.reveal()));
            } else {
                // RFC 6749, 2.3.1: both are form-encoded before they are joined.
                let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", encoded(&self.settings.client_id), encoded(secret.reveal()));
                authorization = Some(format!("Basic {}", BASE64_STANDARD.encode(pair)));
            }
        }
        let bytes = self.http.post(&provider.meta.token_endpoint, authorization.as_deref(), &form).map_err(|error| match error {
            // A code that was used or is made up; the provider is well.
            http::HttpError::Status(_, 400..=403) => OidcError::Untrusted(error.to_string()),
            other => OidcError::Down(told(&other)),
        })?;
        let answer: TokenAnswer =
            serde_json::from_slice(&bytes).map_err(|error| OidcError::Untrusted(format!("no readable ID token: {error}")))?;
        Ok(answer.id_token)
    }

    fn verify(&self, provider: &Provider, token: &IdToken, nonce: Nonce, now: Timestamp) -> Result<Claims, OidcError> {
        let unknown = |error: &ClaimsVerificationError| {
            matches!(error, ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey))
        };
        let claims = match token.claims(&self.verifier(provider, now)?, &nonce) {
            Err(error) if unknown(&error) => {
                let fresh = self.cache.rotated(&self.settings.issuer, &self.http, now)?;
                token.claims(&self.verifier(&fresh, now)?, &nonce).cloned()
            }
            other => other.cloned(),
        };
        let claims = claims.map_err(|error| OidcError::Untrusted(told(&error)))?;
        if claims.authorized_party().is_some_and(|party| party.as_str() != self.settings.client_id) {
            return Err(OidcError::Untrusted("issued to another client (azp)".into()));
        }
        if claims.additional_claims().nbf.is_some_and(|nbf| nbf.saturating_mul(1_000) > now.0 + SKEW_MILLIS) {
            return Err(OidcError::Untrusted("not valid yet (nbf)".into()));
        }
        Ok(claims)
    }

    fn verifier(&self, provider: &Provider, now: Timestamp) -> Result<IdTokenVerifier<'static, CoreJsonWebKey>, OidcError> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|_| OidcError::Down("the issuer is no address".into()))?;
        let keys = provider.keys.clone();
        // "Public": without the client's secret, so that a token signed with it (HS256) cannot fit.
        let verifier = IdTokenVerifier::new_public_client(ClientId::new(self.settings.client_id.clone()), issuer, keys);
        Ok(verifier
            .set_allowed_algs([
                CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
                CoreJwsSigningAlgorithm::RsaSsaPssSha256,
                CoreJwsSigningAlgorithm::EcdsaP256Sha256,
                CoreJwsSigningAlgorithm::EdDsa,
            ])
            .set_time_fn(move || now.utc())
            .set_issue_time_verifier_fn(move |issued| {
                let age = now.0.saturating_sub(issued.timestamp_millis());
                if age < -SKEW_MILLIS {
                    Err("issued in the future".into())
                } else if age > ROUND_MILLIS_MAX + SKEW_MILLIS {
                    Err("issued before this log-in began".into())
                } else {
                    Ok(())
                }
            }))
    }

    fn person(&self, claims: &Claims) -> Result<Person, OidcError> {
        let subject = claims.subject().as_str();
        if subject.is_empty() || subject.len() > SUBJECT_BYTES_MAX {
            return Err(OidcError::Untrusted("no subject".into()));
        }
        let login = claims.preferred_username().map(|name| name.as_str().to_owned()).unwrap_or_default();
        let name = claims.name().and_then(|names| names.iter().next()).map(|(_, name)| name.as_str().to_owned());
        let name = name.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| login.clone());
        let name: String = name.chars().filter(|ch| !ch.is_control()).take(NAME_CHARS_MAX).collect();
        Ok(Person {
            issuer: self.settings.issuer.clone(),
            subject: subject.to_owned(),
            login,
            name: if name.trim().is_empty() { "ohne Namen".to_owned() } else { name.trim().to_owned() },
        })
    }

    fn groups(&self, claims: &serde_json::Map<String, Value>) -> Vec<String> {
        let path = &self.settings.groups_claim;
        let nested = || {
            let mut parts = path.split('.');
            let first = claims.get(parts.next()?)?;
            parts.try_fold(first, |value, part| value.get(part))
        };
        let all = match claims.get(path).or_else(nested) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one.as_str()],
            _ => vec![],
        };
        all.into_iter().filter(|group| group.len() <= GROUP_BYTES_MAX).take(GROUPS_MAX).map(str::to_owned).collect()
    }
}

/// An error with its causes, for the log.
fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source()).map(|cause| format!(": {cause}"));
    std::iter::once(error.to_string()).chain(causes).collect()
}

/// One of the places for log-ins that wait for the provider.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(count: &'a AtomicUsize) -> Result<Self, OidcError> {
        if count.fetch_add(1, Ordering::Relaxed) >= EXCHANGES_MAX {
            count.fetch_sub(1, Ordering::Relaxed);
            return Err(OidcError::Busy);
        }
        Ok(Self(count))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What the browser carries between the way out and the way back.
#[derive(Debug, PartialEq)]
struct Round {
    at: i64,
    seed: Secret,
    next: String,
}

impl Round {
    fn cookie(&self) -> String {
        format!("{}.{}.{}", self.at, self.seed.reveal(), crate::show::query_encode(&self.next))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let (at, seed, next) = (parts.next()?, parts.next()?, parts.next()?);
        let known = seed.len() == 64 && seed.bytes().all(|byte| byte.is_ascii_hexdigit()) && next.len() <= 3 * NEXT_BYTES_MAX;
        let next = form_urlencoded::parse(format!("n={next}").as_bytes()).next()?.1.into_owned();
        Some(Self { at: at.parse().ok().filter(|_| known)?, seed: Secret::given(seed), next })
    }
}
