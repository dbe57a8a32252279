//! One-time links' and tokens' secrets: 256 random bits in hexadecimal, of which only a hash is kept. The hash is what is
//! looked up, so that the time a lookup takes tells nothing of the secret.

use sha2::{Digest, Sha256};

use crate::session::hex;

/// What somebody is given to carry. Shown once, never stored, never in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// 256 random bits.
    pub fn random() -> Self {
        Self(hex(&ingest::id::random_bytes::<32>()))
    }

    /// From a file or a form, as it is.
    pub fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// For the one moment in which it is shown or sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    pub fn hash(&self) -> String {
        secret_hash(&self.0)
    }
}

/// SHA-256 suffices: what is hashed is 256 bits of randomness, not a password that could be guessed.
pub fn secret_hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_long_new_each_time_and_silent() {
        let (one, two) = (Secret::random(), Secret::random());
        assert!(one != two && one.reveal().len() == 64 && one.hash() != one.reveal());
        assert_eq!(format!("{one:?}"), "Secret(…)");
        assert_eq!(one.hash(), secret_hash(one.reveal()));
    }
}
