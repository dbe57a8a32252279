//! How feeds of indicators come over the net: `ureq` with the system's certificates, bounded in time and size. What is read
//! of them and when, `detect::intel::feed` decides.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use detect::intel::feed::{Credentials, Fetch, Request, Response};
use detect::intel::read::TEXT_BYTES_MAX;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

/// Until somebody answers at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest public lists take some minutes over a slow line.
const WHOLE_TIMEOUT: Duration = Duration::from_secs(10 * 60);
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Lists move; whoever has credentials follows nobody.
const REDIRECTS_MAX: u32 = 3;

/// Asks over HTTPS, or over HTTP on this machine: the configuration lets nothing else in.
pub struct Net {
    follows: Agent,
    stays: Agent,
}

impl Net {
    pub fn new() -> Self {
        let tls = tls();
        let agent = |redirects: u32| -> Agent {
            Agent::config_builder()
                .tls_config(tls.clone())
                .timeout_connect(Some(CONNECT_TIMEOUT))
                .timeout_recv_response(Some(CONNECT_TIMEOUT * 2))
                .timeout_global(Some(WHOLE_TIMEOUT))
                .max_redirects(redirects)
                .max_redirects_will_error(false)
                .http_status_as_error(false)
                .max_response_header_size(HEAD_BYTES_MAX)
                .max_idle_connections(0)
                .user_agent("wartburg")
                .build()
                .new_agent()
        };
        Self { follows: agent(REDIRECTS_MAX), stays: agent(0) }
    }
}

/// With the system's certificates.
pub(crate) fn tls() -> TlsConfig {
    let native = rustls_native_certs::load_native_certs();
    let roots: Vec<Certificate<'static>> = native.certs.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetch for Net {
    fn get(&self, request: &Request<'_>) -> Result<Response, String> {
        let agent = if *request.credentials == Credentials::None { &self.follows } else { &self.stays };
        let mut asked = agent.get(&request.url).header("accept", request.accept);
        match request.credentials {
            Credentials::None => {}
            Credentials::Header(value) => asked = asked.header("authorization", value),
            Credentials::Basic { user, password } => {
                let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
                asked = asked.header("authorization", format!("Basic {pair}"));
            }
        }
        for (name, value) in [("if-none-match", request.etag), ("if-modified-since", request.modified)] {
            if let Some(value) = value {
                asked = asked.header(name, value);
            }
        }
        let answer = asked.call().map_err(|error| error.to_string())?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (status, etag, modified) = (answer.status().as_u16(), header("etag"), header("last-modified"));
        let added_last = header("x-taxii-date-added-last");
        let reader = answer.into_body().into_with_config().limit(TEXT_BYTES_MAX + 1).reader();
        let body: Box<dyn BufRead> = Box::new(BufReader::with_capacity(64 * 1024, Box::new(reader) as Box<dyn Read>));
        Ok(Response { status, etag, modified, added_last, body })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    /// Answers each connection with the next text and gives back what was asked.
    fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/list", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = String::new();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                while !head.ends_with("\r\n\r\n") {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap() == 0 {
                        break;
                    }
                    head.push_str(&line);
                }
                asked.push(head.to_lowercase());
                stream.write_all(answer.as_bytes()).unwrap();
            }
            asked
        });
        (url, thread)
    }

    #[test]
    fn conditions_and_credentials_go_along_and_nowhere_else() {
        let (url, thread) = server(vec![
            "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Length: 12\r\n\r\nbad.example\n".into(),
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n".into(),
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/x\r\nContent-Length: 0\r\n\r\n".into(),
        ]);
        let net = Net::new();
        let basic = Credentials::Basic { user: "u".into(), password: "p".into() };
        let mut request = Request { url, accept: "*/*", credentials: &basic, etag: None, modified: None };
        let mut answer = net.get(&request).unwrap();
        let mut text = String::new();
        answer.body.read_to_string(&mut text).unwrap();
        assert_eq!((answer.status, answer.etag.as_deref(), text.as_str()), (200, Some("\"7\""), "bad.example\n"));
        request.etag = answer.etag.as_deref();
        assert_eq!(net.get(&request).unwrap().status, 304);
        assert_eq!(net.get(&request).unwrap().status, 302, "with credentials nobody is followed");
        let asked = thread.join().unwrap();
        assert!(asked[0].contains("authorization: basic dtpw\r\n") && !asked[0].contains("if-none-match"), "{asked:?}");
        assert!(asked[1].contains("if-none-match: \"7\"\r\n"), "{asked:?}");
        let gone =
            Request { url: "http://127.0.0.1:1/".into(), accept: "*/*", credentials: &Credentials::None, etag: None, modified: None };
        assert!(net.get(&gone).is_err());
    }
}
