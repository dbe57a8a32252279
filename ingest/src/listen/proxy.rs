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
