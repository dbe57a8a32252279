//! What every request meets before anything of it is read: is it meant for this house, how long is its address, whose is
//! it when a proxy brings it; and the headers that every answer carries.

use std::net::IpAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use ingest::body::Prefix;
use ingest::listen::Peer;

use super::{App, plain};

/// Who asks: the peer, or whom a trusted proxy names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client(pub(super) IpAddr);

/// A search with its filters is a few hundred characters, a query at the language's bound eight thousand.
const URI_CHARS_MAX: usize = 8 * 1024;
/// Hops of `X-Forwarded-For` that are looked at: a proxy in front of a proxy is usual, more is somebody's invention.
const HOPS_MAX: usize = 10;

pub(super) const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// For what others made: nothing in it may do anything, should a browser show it in spite of everything.
pub(super) const CSP_FILE: &str = "default-src 'none'; sandbox; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The headers that every answer carries, pages, errors and assets alike.
const HEADERS: [(&str, &str); 12] = [
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // Paths hold case numbers and query strings hold names: no other site learns them.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-dns-prefetch-control", "off"),
    // The demo and the tools of today look here; no search engine has any business in this house.
    ("x-robots-tag", "noindex, nofollow"),
    (
        "permissions-policy",
        "accelerometer=(), autoplay=(), bluetooth=(), camera=(), display-capture=(), encrypted-media=(), fullscreen=(), geolocation=(), \
         gyroscope=(), hid=(), magnetometer=(), microphone=(), midi=(), payment=(), picture-in-picture=(), \
         publickey-credentials-create=(self), publickey-credentials-get=(self), screen-wake-lock=(), serial=(), usb=(), web-share=(), \
         xr-spatial-tracking=()",
    ),
];

pub(super) async fn gate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let mut response = match refused(&app, &request) {
        Some(response) => response,
        None => {
            let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|info| info.0.0);
            if let Some(peer) = peer {
                let client = client(peer, request.headers(), &app.settings.trusted_proxies);
                request.extensions_mut().insert(Client(client));
            }
            next.run(request).await
        }
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        // Files of cases come in a stricter sandbox of their own.
        if name == "content-security-policy" && headers.get(name).is_some_and(|own| own == CSP_FILE) {
            continue;
        }
        headers.insert(name, HeaderValue::from_static(value));
    }
    if app.settings.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn refused(app: &App, request: &Request) -> Option<Response> {
    if request.uri().path_and_query().is_some_and(|text| text.as_str().len() > URI_CHARS_MAX) {
        return Some(plain(StatusCode::URI_TOO_LONG, "Diese Adresse ist zu lang. Bitte kürzen Sie die Anfrage."));
    }
    // Monitoring asks by whatever address it has, and gets no page.
    if request.uri().path() != "/metrics" && !host_known(request.uri(), request.headers(), &app.settings.hosts) {
        return Some(plain(
            StatusCode::MISDIRECTED_REQUEST,
            "Unter diesem Namen gibt es Wartburg nicht. Bitte benutzen Sie die Adresse, die Ihnen genannt wurde.",
        ));
    }
    None
}

/// Whether the request is for one of our names. Links, redirects and the check of a form's origin rest on it, and a name
/// of somebody else's that leads here (DNS rebinding) gets nothing. Without names (tests, the demo) all are ours.
fn host_known(uri: &Uri, headers: &HeaderMap, names: &[String]) -> bool {
    if names.is_empty() {
        return true;
    }
    let mut given = headers.get_all(header::HOST).iter();
    let host = match (uri.host(), given.next(), given.next()) {
        // Two hosts are one too many: whoever stands between may believe the other.
        (_, _, Some(_)) => return false,
        (Some(host), _, None) => host,
        (None, Some(host), None) => match host.to_str() {
            Ok(host) => host_of(host),
            Err(_) => return false,
        },
        (None, None, None) => return false,
    };
    names.iter().any(|name| name.eq_ignore_ascii_case(host))
}

/// A host without its port.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => authority,
    }
}

/// Whose a request is: the peer's, unless he is a trusted proxy. Then the right-most address of `X-Forwarded-For` that is
/// no trusted proxy: what stands further left was written by whoever asked, and may say anything.
fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Prefix]) -> IpAddr {
    let trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    let peer = peer.to_canonical();
    let lines: Vec<&str> = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok()).collect();
    let hops = lines.iter().rev().flat_map(|line| line.rsplit(',')).take(HOPS_MAX);
    let mut last = peer;
    for hop in hops {
        if !trusted(last) {
            break;
        }
        match address(hop.trim()) {
            Some(address) => last = address.to_canonical(),
            // A trusted proxy writes addresses; what is none is not believed, nor anything left of it.
            None => break,
        }
    }
    last
}

/// An address, in brackets or with a port as some proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || host_of(text).trim_start_matches('[').trim_end_matches(']').parse().ok();
    text.parse().ok().or_else(bare)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Method;

    use super::*;
    use crate::web::Settings;
    use crate::web::tests::Front;

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let proxies: Vec<Prefix> = vec!["10.0.0.0/24".parse().unwrap(), "2001:db8::/64".parse().unwrap()];
        for (peer, forwarded, expected) in [
            ("192.0.2.9", vec![], "192.0.2.9"),
            ("192.0.2.9", vec!["203.0.113.5"], "192.0.2.9"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec!["203.0.113.5"], "203.0.113.5"),
            // What the client invented stands left of what the proxy saw.
            ("10.0.0.1", vec!["127.0.0.1, 203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", vec!["127.0.0.1", "203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", vec!["203.0.113.5, 10.0.0.2"], "203.0.113.5"),
            ("10.0.0.1", vec!["198.51.100.1, 203.0.113.5, 10.0.0.2, 10.0.0.3"], "203.0.113.5"),
            ("10.0.0.1", vec!["10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", vec!["<script>"], "10.0.0.1"),
            ("10.0.0.1", vec!["203.0.113.5, unknown"], "10.0.0.1"),
            ("10.0.0.1", vec![""], "10.0.0.1"),
            ("::ffff:10.0.0.1", vec!["::ffff:203.0.113.5"], "203.0.113.5"),
            ("2001:db8::1", vec!["[2001:db8:1::7]:4711"], "2001:db8:1::7"),
            ("10.0.0.1", vec!["203.0.113.5:4711"], "203.0.113.5"),
        ] {
            let mut headers = HeaderMap::new();
            for line in &forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            assert_eq!(client(peer.parse().unwrap(), &headers, &proxies).to_string(), expected, "{peer} {forwarded:?}");
        }
        let many: String = "10.0.0.9, ".repeat(500) + "10.0.0.8";
        let headers = HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), many.parse().unwrap())]);
        assert_eq!(client("10.0.0.1".parse().unwrap(), &headers, &proxies).to_string(), "10.0.0.9");
    }

    #[tokio::test]
    async fn only_our_names_are_answered() {
        let hosts = vec!["wartburg.test".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        let front = Front::with(Settings { hosts, ..Settings::default() });
        let status = async |path: &str, hosts: &[&str]| {
            let mut request = Request::builder().method(Method::GET).uri(path);
            for host in hosts {
                request = request.header("host", *host);
            }
            front.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
        };
        for (host, expected) in [
            (&["wartburg.test"] as &[&str], 200),
            (&["WARTBURG.test:8080"], 200),
            (&["127.0.0.1:8080"], 200),
            (&["[::1]:8080"], 200),
            (&["evil.test"], 421),
            (&["wartburg.test.evil.test"], 421),
            (&["wartburg.test:80@evil.test"], 421),
            (&["evil.test:wartburg.test"], 421),
            (&["wartburg.test", "evil.test"], 421),
            (&[""], 421),
            (&[], 421),
        ] {
            assert_eq!(status("/login", host).await, expected, "{host:?}");
        }
        assert_eq!(status("http://evil.test/login", &["wartburg.test"]).await, 421, "the address before the header");
        assert_eq!(status("/metrics", &["10.0.0.1"]).await, 401, "monitoring shows its token instead");
    }

    #[tokio::test]
    async fn an_address_that_is_too_long_is_refused() {
        let front = Front::new();
        let long = format!("/suche?q={}", "a".repeat(URI_CHARS_MAX));
        assert_eq!(front.get(&long, "").await.status, StatusCode::URI_TOO_LONG);
    }

    /// A body that begins and never ends.
    struct Dribble(bool);

    impl axum::body::HttpBody for Dribble {
        type Data = axum::body::Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
            if std::mem::replace(&mut self.0, true) {
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data("text=a".into()))))
        }
    }

    #[tokio::test]
    async fn forms_have_a_time_a_size_and_a_kind() {
        let front = Front::new();
        let form = || Request::post("/login").header("host", "wartburg.test").header("content-type", "application/x-www-form-urlencoded");
        let slow = front.send(form().body(Body::new(Dribble(false))).unwrap()).await;
        assert_eq!((slow.status, slow.header("connection")), (StatusCode::REQUEST_TIMEOUT, "close"));
        for (what, request, expected) in [
            ("announced too long", form().header("content-length", "999999").body(Body::empty()), 413),
            ("too long", form().body(Body::from(format!("konto={}", "a".repeat(40_000)))), 413),
            ("no form", Request::post("/login").header("content-type", "application/json").body(Body::from("{}")), 415),
            ("nothing said", Request::post("/login").body(Body::from("a")), 415),
        ] {
            let answer = front.send(request.unwrap()).await;
            assert_eq!(answer.status.as_u16(), expected, "{what}");
            assert_eq!(answer.header("content-security-policy"), CSP, "{what}");
        }
    }
}
