//! A provider for the tests: real HTTP on loopback, real signatures. It hands out codes by a function instead of a log-in
//! page, and each of them once.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use openidconnect::url::{Url, form_urlencoded};
use openidconnect::{PkceCodeChallenge, PkceCodeVerifier};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

pub(crate) const SECRET: &str = "geheim:&%";

/// What the discovery does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Well,
    Huge,
    Slow,
    Redirects,
    OtherIssuer,
    PlainHttp,
    NotJson,
    Broken,
}

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    Es256,
    EdDsa,
    /// Without any signature, and saying so.
    None,
    /// With a good one, and saying that there is none.
    Denied,
    /// With the public key as if it were a shared secret.
    Hs256Public,
    /// With the client's secret.
    Hs256Secret,
    /// With a key that the provider never had, under the name of one that it has.
    Foreign,
    /// As ES256, with one bit turned.
    Bent,
}

#[derive(Clone)]
struct Code {
    challenge: String,
    redirect_uri: String,
    claims: Value,
    signed: Signed,
}

struct State {
    mood: Mood,
    kid: String,
    key: Vec<u8>,
    codes: HashMap<String, Code>,
    /// Paths that were asked.
    asked: Vec<String>,
    logout: bool,
}

/// The provider; its thread ends with the process of the tests.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) issuer: String,
    state: Arc<Mutex<State>>,
    edwards: Arc<Ed25519KeyPair>,
}

fn pkcs8() -> Vec<u8> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap().as_ref().to_vec()
}

fn b64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Fake {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}/realms/cert", listener.local_addr().unwrap());
        let edwards = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let state = State { mood: Mood::Well, kid: "k1".into(), key: pkcs8(), codes: HashMap::new(), asked: vec![], logout: true };
        let fake =
            Self { issuer, state: Arc::new(Mutex::new(state)), edwards: Arc::new(Ed25519KeyPair::from_pkcs8(edwards.as_ref()).unwrap()) };
        let server = fake.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        fake
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// From now on another key under another name.
    pub(crate) fn rotate(&self) {
        let mut state = self.state();
        (state.kid, state.key) = ("k2".into(), pkcs8());
    }

    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state().asked.iter().filter(|asked| asked.ends_with(path)).count()
    }

    /// What a person does at the provider's page: takes the address, signs in, and comes back with code and state.
    pub(crate) fn consent(&self, url: &str, signed: Signed, change: impl FnOnce(&mut Value), at: i64) -> (String, String) {
        let url = Url::parse(url).unwrap();
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
        let mut claims = json!({
            "iss": self.issuer, "aud": query["client_id"], "sub": "4711", "nonce": query["nonce"],
            "iat": at, "exp": at + 300, "name": "Anna Müller", "preferred_username": "Anna.Mueller",
            "email": "chef@thueringen.example", "email_verified": false,
            "groups": ["cert-analyse"],
        });
        change(&mut claims);
        let code = format!("code-{}", crate::secret::Secret::random().reveal());
        let entry = Code { challenge: query["code_challenge"].clone(), redirect_uri: query["redirect_uri"].clone(), claims, signed };
        self.state().codes.insert(code.clone(), entry);
        (code, query["state"].clone())
    }

    fn serve(&self, mut stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
        let (mut bytes, mut part) = (vec![], [0; 4_096]);
        let (head, body) = loop {
            let Ok(n @ 1..) = stream.read(&mut part) else { return };
            bytes.extend_from_slice(&part[..n]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap()));
            if body.len() >= length.unwrap_or(0) {
                break (head.to_owned(), body.to_owned());
            }
        };
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        self.state().asked.push(path.clone());
        let answer = if path.ends_with("/openid-configuration") {
            self.discovery(&stream)
        } else if path.ends_with("/certs") {
            json(200, &self.keys())
        } else if path.ends_with("/token") {
            self.token(&head, &body)
        } else {
            json(404, &json!({}))
        };
        let _ = stream.write_all(answer.as_bytes());
    }

    fn discovery(&self, stream: &TcpStream) -> String {
        let (mood, logout) = {
            let state = self.state();
            (state.mood, state.logout)
        };
        let mut meta = json!({
            "issuer": self.issuer,
            "authorization_endpoint": format!("{}/auth?kc=1", self.issuer),
            "token_endpoint": format!("{}/token", self.issuer),
            "jwks_uri": format!("{}/certs", self.issuer),
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        if logout {
            meta["end_session_endpoint"] = json!(format!("{}/logout", self.issuer));
        }
        match mood {
            Mood::Well => {}
            Mood::Huge => meta["padding"] = json!("x".repeat(2 << 20)),
            Mood::Slow => {
                // Says a little and then nothing, until the other side has had enough.
                let mut stream = stream.try_clone().unwrap();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{");
                let _ = stream.read(&mut [0; 16]);
            }
            Mood::Redirects => {
                return format!(
                    "HTTP/1.1 302 Found\r\nlocation: {}/elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
                    self.issuer
                );
            }
            Mood::OtherIssuer => meta["issuer"] = json!("https://evil.example"),
            Mood::PlainHttp => meta["token_endpoint"] = json!("http://idp.example/token"),
            Mood::NotJson => {
                return "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}".into();
            }
            Mood::Broken => return json(500, &json!({})),
        }
        json(200, &meta)
    }

    fn keys(&self) -> Value {
        let state = self.state();
        let public = public(&state.key);
        let edwards = json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "ed", "x": b64(self.edwards.public_key()) });
        json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "use": "sig", "kid": state.kid, "x": b64(&public[1..33]), "y": b64(&public[33..]) },
            edwards,
            // One that nobody knows what to do with must not spoil the others.
            { "kty": "XYZ", "kid": "strange" },
        ]})
    }

    fn token(&self, head: &str, body: &str) -> String {
        let form: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        let encoded: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let basic = format!("authorization: Basic {}", BASE64_STANDARD.encode(format!("wartburg:{encoded}")));
        let known = head.lines().any(|line| line.eq_ignore_ascii_case(&basic));
        // A code counts once, whatever comes of it.
        let code = self.state().codes.remove(form.get("code").map_or("", String::as_str));
        let Some(code) = code.filter(|_| known) else { return json(400, &json!({ "error": "invalid_grant" })) };
        let verifier = PkceCodeVerifier::new(form["code_verifier"].clone());
        let fits = PkceCodeChallenge::from_code_verifier_sha256(&verifier).as_str() == code.challenge;
        if !fits || form["redirect_uri"] != code.redirect_uri {
            return json(400, &json!({ "error": "invalid_grant" }));
        }
        json(200, &json!({ "access_token": "at", "token_type": "Bearer", "id_token": self.sign(&code.claims, code.signed) }))
    }

    fn sign(&self, claims: &Value, signed: Signed) -> String {
        let (kid, key) = {
            let state = self.state();
            (state.kid.clone(), state.key.clone())
        };
        let random = SystemRandom::new();
        let (alg, kid) = match signed {
            Signed::Es256 | Signed::Foreign | Signed::Bent => ("ES256", kid),
            Signed::EdDsa => ("EdDSA", "ed".into()),
            Signed::None | Signed::Denied => ("none", kid),
            Signed::Hs256Public | Signed::Hs256Secret => ("HS256", kid),
        };
        let text = format!("{}.{}", b64(json!({ "alg": alg, "typ": "JWT", "kid": kid }).to_string()), b64(claims.to_string()));
        let ecdsa = |key: &[u8]| {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &random).unwrap();
            pair.sign(&random, text.as_bytes()).unwrap().as_ref().to_vec()
        };
        let hmac = |key: &[u8]| ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
        let signature = match signed {
            Signed::Es256 | Signed::Denied => ecdsa(&key),
            Signed::Foreign => ecdsa(&pkcs8()),
            Signed::Bent => ecdsa(&key).into_iter().enumerate().map(|(n, byte)| if n == 40 { byte ^ 1 } else { byte }).collect(),
            Signed::EdDsa => self.edwards.sign(text.as_bytes()).as_ref().to_vec(),
            Signed::None => vec![],
            Signed::Hs256Public => hmac(&public(&key)),
            Signed::Hs256Secret => hmac(SECRET.as_bytes()),
        };
        format!("{text}.{}", b64(signature))
    }
}

fn public(key: &[u8]) -> Vec<u8> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key, &SystemRandom::new()).unwrap();
    pair.public_key().as_ref().to_vec()
}

fn json(status: u16, value: &Value) -> String {
    let text = value.to_string();
    let length = text.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json;charset=UTF-8\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}"
    )
}
