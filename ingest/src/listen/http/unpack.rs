//! Unpacking bodies within a bound, piece by piece: what a body unpacks to is the sender's choice.

use std::io::{ErrorKind, Read};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use super::problem::{Problem, Refusal, too_large, unreadable};
use crate::listen::Rejected;

/// What a body may unpack to. Logs shrink to a tenth, but a body may also be made to unpack to anything.
pub(super) const UNPACKED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// zstd windows above 8 MiB are refused (RFC 8878, 3.1.1.1.2 advises decoders to support 8 MiB).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
const CHUNK_BYTES: usize = 64 * 1024;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    /// zlib's format, as RFC 9110, 8.4.1.2 says.
    Deflate,
    Zstd,
}

impl Packing {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let encoding = headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii();
        match encoding.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => Ok(Self::Plain),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"deflate" => Ok(Self::Deflate),
            b"zstd" => Ok(Self::Zstd),
            _ => {
                let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding may be gzip, deflate, zstd or identity");
                let accepted = HeaderValue::from_static("gzip, deflate, zstd");
                Err((Rejected::Unreadable, problem.with(header::ACCEPT_ENCODING, accepted)))
            }
        }
    }

    /// Gives what is in a body to `take`, piece by piece.
    pub(super) fn unpack(self, body: &[u8], mut take: impl FnMut(&[u8]) -> Result<(), Refusal>) -> Result<(), Refusal> {
        let broken = |error: std::io::Error| unreadable(format!("the body cannot be unpacked: {error}"));
        let mut reader = self.reader(body).map_err(broken)?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut bytes = 0;
        loop {
            let len = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error)),
            };
            bytes += len;
            if bytes > UNPACKED_BYTES_MAX {
                return Err(too_large(format!("a body may unpack to {UNPACKED_BYTES_MAX} bytes: send smaller batches")));
            }
            take(chunk.get(..len).unwrap_or_default())?;
        }
    }

    fn reader(self, body: &[u8]) -> std::io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Plain => Box::new(body),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(body)),
            Self::Deflate => Box::new(flate2::read::ZlibDecoder::new(body)),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(body)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Box::new(decoder)
            }
        })
    }
}
