//! Deliveries over the net: signed, bounded in time, following nobody. An address inside the house is refused unless the
//! configuration names its network: whoever may add a webhook must not be able to reach what only this machine reaches.
//! The name is looked up and judged at each connection, so that a name whose address changes helps nobody.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use ingest::body::Prefix;
use ingest::time::Timestamp;
use sha2::Sha256;
use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::session::hex;

/// Until somebody answers at all, and for the whole of it: a receiver takes what it is told and works on it later.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const WHOLE_TIMEOUT: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What a receiver said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// 2xx.
    Taken,
    /// 4xx: not this one.
    Refused(String),
    /// No answer, or an error of theirs: nothing now.
    Away(String),
}

/// How a delivery comes over the net.
pub trait Post: Send {
    fn post(&self, url: &str, id: &str, event: &str, content: &str, secret: &[u8], now: Timestamp) -> Said;
}

/// Over HTTPS, or over HTTP on this machine.
pub struct Net(Agent);

impl Net {
    /// `inside`: networks that are allowed although they are private.
    pub fn new(inside: Vec<Prefix>) -> Self {
        let config = Agent::config_builder()
            .tls_config(crate::feeds::tls())
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(WHOLE_TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_response_header_size(HEAD_BYTES_MAX)
            .max_idle_connections(0)
            .user_agent("wartburg")
            .build();
        Self(Agent::with_parts(config, DefaultConnector::default(), Guarded { inner: DefaultResolver::default(), inside: inside.into() }))
    }
}

impl Post for Net {
    fn post(&self, url: &str, id: &str, event: &str, content: &str, secret: &[u8], now: Timestamp) -> Said {
        // Kept long ago, and the rule may have become stricter since.
        if crate::oidc::secure(url).is_none() {
            return Said::Refused("the address is neither https nor on this machine".into());
        }
        let asked = self
            .0
            .post(url)
            .header("content-type", "application/json")
            .header("x-wartburg-id", id)
            .header("x-wartburg-event", event)
            .header("x-wartburg-signature", signature(secret, now, content))
            .send(content);
        match asked {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => Said::Taken,
                status @ (300..=407 | 409..=428 | 430..=499) => Said::Refused(format!("HTTP {status}")),
                status => Said::Away(format!("HTTP {status}")),
            },
            Err(error) => Said::Away(error.to_string()),
        }
    }
}

/// `t=<seconds>,v1=<hex>`: HMAC-SHA256 over `<seconds>.<content>`. The time is signed with it, so that a delivery that
/// somebody has kept is old when it comes again.
pub fn signature(secret: &[u8], now: Timestamp, content: &str) -> String {
    let seconds = now.0.div_euclid(1_000);
    // An HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return String::new() };
    mac.update(format!("{seconds}.{content}").as_bytes());
    format!("t={seconds},v1={}", hex(&mac.finalize().into_bytes()))
}

/// Looks names up and keeps what may be reached.
struct Guarded {
    inner: DefaultResolver,
    inside: Arc<[Prefix]>,
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Guarded")
    }
}

impl Resolver for Guarded {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let here = uri.host().is_some_and(|host| host == "localhost" || loopback(host));
        let mut kept = self.empty();
        for address in found.iter().filter(|address| reachable(address.ip(), here, &self.inside)) {
            kept.push(*address);
        }
        if kept.is_empty() {
            return Err(ureq::Error::Other("the address lies inside the house; webhook.inside allows networks".into()));
        }
        Ok(kept)
    }
}

fn loopback(host: &str) -> bool {
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether a delivery may go there. `here`: the address says that it is for this machine; no other name leads here.
fn reachable(address: IpAddr, here: bool, inside: &[Prefix]) -> bool {
    let address = address.to_canonical();
    if here || address.is_loopback() {
        return here && address.is_loopback();
    }
    inside.iter().any(|prefix| prefix.contains(address)) || !special(address)
}

/// Addresses that are nobody's on the internet (IANA's registries of special-purpose addresses).
fn special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_private()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || a == 0
                || a >= 240
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
        }
        IpAddr::V6(v6) => {
            let first = v6.segments().first().copied().unwrap_or_default();
            // All that is assigned to the internet is in 2000::/3; 64:ff9b::/96 and 2002::/16 lead to any IPv4 address.
            first & 0xe000 != 0x2000 || first == 0x2002 || v6 == Ipv6Addr::UNSPECIFIED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_every_language_computes() {
        // printf '1795248000.{"a":1}' | openssl dgst -sha256 -hmac geheim
        let made = signature(b"geheim", Timestamp(1_795_248_000_999), r#"{"a":1}"#);
        assert_eq!(made, "t=1795248000,v1=3d1114585a15cfae2ebb98617ed8b4f56ab35aa10b80bb7759a026cdfa9c92f6");
        assert_ne!(made, signature(b"anders", Timestamp(1_795_248_000_999), r#"{"a":1}"#));
    }

    #[test]
    fn nothing_inside_the_house_is_reached_unless_it_is_named() {
        let inside: Vec<Prefix> = vec!["10.20.0.0/16".parse().unwrap()];
        for (address, elsewhere, here) in [
            ("93.184.216.34", true, false),
            ("2606:2800:220:1::1", true, false),
            ("10.20.1.1", true, false),
            ("10.21.1.1", false, false),
            ("192.168.0.1", false, false),
            ("172.16.5.5", false, false),
            ("169.254.169.254", false, false),
            ("100.64.0.1", false, false),
            ("0.0.0.0", false, false),
            ("224.0.0.1", false, false),
            ("::", false, false),
            ("fd00::1", false, false),
            ("fe80::1", false, false),
            ("64:ff9b::a00:1", false, false),
            ("2002:a00:1::1", false, false),
            ("::ffff:10.0.0.1", false, false),
            ("127.0.0.1", false, true),
            ("::1", false, true),
            ("::ffff:127.0.0.1", false, true),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!((reachable(address, false, &inside), reachable(address, true, &inside)), (elsewhere, here), "{address}");
        }
    }

    #[test]
    fn a_name_that_leads_inside_is_refused_at_the_connection() {
        let net = Net::new(vec![]);
        for url in [
            "https://10.0.0.1/",
            "https://192.168.1.1:8443/",
            "https://169.254.169.254/latest",
            "https://[::ffff:10.0.0.1]/",
            "https://[fd00::1]/",
        ] {
            let Said::Away(why) = net.post(url, "1", "incident.opened", "{}", b"x", Timestamp(1)) else { panic!("{url}") };
            assert!(why.contains("inside the house"), "{url}: {why}");
        }
        for url in ["http://example.org/", "ftp://127.0.0.1/", "https://user:pass@example.org/"] {
            assert!(matches!(net.post(url, "1", "incident.opened", "{}", b"x", Timestamp(1)), Said::Refused(_)), "{url}");
        }
    }
}
