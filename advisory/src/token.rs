//! The secrets of one-time links: 256 random bits that stand in a mail. The database keeps the SHA-256 only, so that a copy
//! of it opens nothing. A link is looked up by its hash, so that the time it takes says nothing of a token.

use ingest::id::random_bytes;
use sha2::{Digest, Sha256};

use crate::tree::hex;

const TOKEN_BYTES: usize = 32;

pub(crate) fn token_new() -> String {
    hex(&random_bytes::<TOKEN_BYTES>())
}

pub(crate) fn token_hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// Whether a text can be one of our tokens at all; what cannot is not even hashed.
pub(crate) fn is_token(text: &str) -> bool {
    text.len() == TOKEN_BYTES * 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_make_is_a_token() {
        let token = token_new();
        assert!(is_token(&token) && token != token_new() && token != token_hash(&token));
        for strange in ["", "fehlt", &"A".repeat(64), &"g".repeat(64), &format!("{token}0"), &token[1..]] {
            assert!(!is_token(strange), "{strange}");
        }
    }
}
