//! The PROXY protocol, versions 1 and 2: a load balancer says in front of a connection whose it is. It is believed
//! only from the addresses of the configuration, and demanded there: who asks for a header where none must be would
//! take a sender's first line for one, and who takes one from anybody lets everybody choose his address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nom::number::complete::{be_u16, be_u32, be_u128};
use nom::{IResult, Parser as _};
use tokio::io::{AsyncRead, AsyncReadExt};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const V2_FIXED_BYTES: usize = 16;
/// What may follow, of 65,535 that the protocol knows: addresses take 36 bytes, and a TLS proxy adds the client's
/// certificate names.
const V2_REST_BYTES_MAX: usize = 4_096;
/// The longest header of version 1 with its end.
const V1_BYTES_MAX: usize = 107;

/// What a proxy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `None` where the connection is the proxy's own (its health check), or it does not know whose it is.
    pub(super) client: Option<IpAddr>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the proxy sent no header")]
    Missing,
    #[error("the proxy's header is broken")]
    Broken,
    #[error("the proxy's header announces {0} bytes")]
    TooLong(usize),
    #[error("the proxy's header broke off")]
    Io(#[from] std::io::Error),
}

/// Reads a header and not a byte more. `None` where the connection is closed before its first byte.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<Header>, ProxyError> {
    let mut head = [0; SIGNATURE.len()];
    // No header of version 1 is shorter than 15 bytes.
    let (first, others) = head.split_at_mut(1);
    if stream.read(first).await? == 0 {
        return Ok(None);
    }
    if !SIGNATURE.starts_with(first) && !b"PROXY".starts_with(first) {
        return Err(ProxyError::Missing);
    }
    stream.read_exact(others).await?;
    if head == *SIGNATURE {
        return v2(stream).await.map(Some);
    }
    if head.starts_with(b"PROXY ") {
        return v1(stream, &head).await.map(Some);
    }
    Err(ProxyError::Missing)
}

async fn v2(stream: &mut (impl AsyncRead + Unpin)) -> Result<Header, ProxyError> {
    let mut fixed = [0; V2_FIXED_BYTES - SIGNATURE.len()];
    stream.read_exact(&mut fixed).await?;
    let [command, family, high, low] = fixed;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if len > V2_REST_BYTES_MAX {
        return Err(ProxyError::TooLong(len));
    }
    let mut rest = vec![0; len];
    stream.read_exact(&mut rest).await?;
    // What lies behind the addresses (TLVs) is read and not used.
    match (command, family >> 4) {
        (0x20, _) | (0x21, 0 | 3) => Ok(Header { client: None }),
        (0x21, 1) => v4_addresses(&rest).map(found).map_err(|_| ProxyError::Broken),
        (0x21, 2) => v6_addresses(&rest).map(found).map_err(|_| ProxyError::Broken),
        _ => Err(ProxyError::Broken),
    }
}

fn found((_, client): (&[u8], IpAddr)) -> Header {
    Header { client: Some(client.to_canonical()) }
}

/// Source, destination and their ports.
fn v4_addresses(input: &[u8]) -> IResult<&[u8], IpAddr> {
    let (rest, (client, _, _, _)) = (be_u32, be_u32, be_u16, be_u16).parse(input)?;
    Ok((rest, Ipv4Addr::from_bits(client).into()))
}

fn v6_addresses(input: &[u8]) -> IResult<&[u8], IpAddr> {
    let (rest, (client, _, _, _)) = (be_u128, be_u128, be_u16, be_u16).parse(input)?;
    Ok((rest, Ipv6Addr::from_bits(client).into()))
}

/// Byte by byte, since the header ends where it ends and what follows is not ours to read.
async fn v1(stream: &mut (impl AsyncRead + Unpin), head: &[u8]) -> Result<Header, ProxyError> {
    let mut line = head.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == V1_BYTES_MAX {
            return Err(ProxyError::TooLong(line.len() + 1));
        }
        line.push(stream.read_u8().await?);
    }
    let text = std::str::from_utf8(&line).map_err(|_| ProxyError::Broken)?;
    let mut words = text.trim_end_matches("\r\n").split(' ').skip(1);
    let (family, client) = (words.next(), words.next());
    // Destination and both ports.
    let complete = words.count() == 3;
    let client = client.and_then(|client| client.parse::<IpAddr>().ok());
    match (family, client) {
        (Some("UNKNOWN"), _) => Ok(Header { client: None }),
        (Some("TCP4"), Some(client)) if complete && client.is_ipv4() => Ok(Header { client: Some(client) }),
        (Some("TCP6"), Some(client)) if complete && client.is_ipv6() => Ok(Header { client: Some(client.to_canonical()) }),
        _ => Err(ProxyError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// What a stream's beginning says, and what is left of it for the listener.
    async fn check(stream: &[u8], expected: Expect) {
        let mut rest = stream;
        let said = match read(&mut rest).await {
            Ok(None) => "closed".to_owned(),
            Ok(Some(Header { client })) => {
                let client = client.map_or("its own".to_owned(), |client| client.to_string());
                format!("{client}, then {:?}", rest.escape_ascii().to_string())
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&said);
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE.as_slice(), &[command, family], &len, rest, b"<13>"].concat()
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x80, 0, 2, 2];

    #[tokio::test]
    async fn version_2() {
        check(&v2(0x21, 0x11, &V4), expect![[r#"192.0.2.7, then "<13>""#]]).await;
        let v6 = [&Ipv6Addr::LOCALHOST.octets()[..], &[0; 16], &[0; 4]].concat();
        check(&v2(0x21, 0x21, &v6), expect![[r#"::1, then "<13>""#]]).await;
        let mapped = [&"::ffff:192.0.2.8".parse::<Ipv6Addr>().unwrap().octets()[..], &[0; 20]].concat();
        check(&v2(0x21, 0x21, &mapped), expect![[r#"192.0.2.8, then "<13>""#]]).await;
        // With what a proxy adds (a checksum, a name), as a health check, over a socket of its machine.
        check(&v2(0x21, 0x11, &[&V4[..], &[3, 0, 4, 1, 2, 3, 4, 2, 0, 1, b'x']].concat()), expect![[r#"192.0.2.7, then "<13>""#]]).await;
        check(&v2(0x20, 0x00, &[]), expect![[r#"its own, then "<13>""#]]).await;
        check(&v2(0x21, 0x00, &[]), expect![[r#"its own, then "<13>""#]]).await;
        check(&v2(0x21, 0x31, &[0; 216]), expect![[r#"its own, then "<13>""#]]).await;
    }

    #[tokio::test]
    async fn version_1() {
        check(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 514\r\n<13>", expect![[r#"192.0.2.7, then "<13>""#]]).await;
        check(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 514\r\n<13>", expect![[r#"2001:db8::7, then "<13>""#]]).await;
        check(b"PROXY UNKNOWN\r\n<13>", expect![[r#"its own, then "<13>""#]]).await;
        check(b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n", expect![[r#"its own, then """#]]).await;
    }

    #[tokio::test]
    async fn what_is_no_header() {
        check(b"", expect!["closed"]).await;
        check(b"<13>a line without any header\n", expect!["the proxy sent no header"]).await;
        check(b"PROXIED TCP4 192.0.2.7\r\n", expect!["the proxy sent no header"]).await;
        check(b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 514\r\n", expect!["the proxy's header is broken"]).await;
        check(b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n", expect!["the proxy's header is broken"]).await;
        check(b"PROXY TCP4 host 10.0.0.1 4711 514\r\n", expect!["the proxy's header is broken"]).await;
        check(&[&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(), expect!["the proxy's header announces 108 bytes"]).await;
        check(&v2(0x21, 0x11, &V4[..11]), expect!["the proxy's header is broken"]).await;
        check(&v2(0x21, 0x41, &V4), expect!["the proxy's header is broken"]).await;
        check(&v2(0x11, 0x11, &V4), expect!["the proxy's header is broken"]).await;
        check(&v2(0x22, 0x11, &V4), expect!["the proxy's header is broken"]).await;
        check(&v2(0x21, 0x11, &[0; 4_097]), expect!["the proxy's header announces 4097 bytes"]).await;
        check(&v2(0x21, 0x11, &V4)[..20], expect!["the proxy's header broke off"]).await;
        check(&SIGNATURE[..5], expect!["the proxy's header broke off"]).await;
    }
}
