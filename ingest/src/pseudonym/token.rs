//! Tokens: what stands in the store in a personal text's place. AES-SIV (RFC 5297) under the class' key, so that equal
//! values are equal tokens, nobody can make one, and a changed one does not open. Written as `p1` and base32 in lower
//! case, cut by `_` into words that the index keeps; nothing in it means anything to a decoder or to the query language.

use aes_siv::KeyInit as _;
use aes_siv::siv::Aes256Siv;
use zeroize::Zeroizing;

use super::keyring::KeyId;

/// What a token begins with: reversible, first form.
const OPENS: &str = "p1";
/// The same for a value too long to be carried along: equal values are still equal, but nothing comes back.
const CLOSED: &str = "p0";
/// Longer values have a closed token: a reversible one would be longer than a column keeps (`VALUE_BYTES_MAX`, 1 KiB).
pub const VALUE_BYTES_MAX: usize = 512;
/// Characters between two `_`: with the sign in front the words stay below the 64 bytes that the index keeps.
const PART_CHARS: usize = 48;
/// The longest text that can be a token.
const TOKEN_CHARS_MAX: usize = 1_000;
const ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Why a token does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("no token")]
    NotAToken,
    #[error("the value was too long to be kept in its token")]
    Closed,
    #[error("a key that is not here")]
    UnknownKey,
    #[error("its key was destroyed")]
    Forgotten,
    #[error("changed or cut off")]
    Broken,
}

/// A class' key for texts.
pub(super) struct TextKey {
    pub(super) id: KeyId,
    pub(super) class: Box<str>,
    pub(super) key: Zeroizing<[u8; 64]>,
}

impl TextKey {
    pub(super) fn token(&self, value: &str) -> String {
        if value.len() > VALUE_BYTES_MAX {
            // The synthetic IV alone: a keyed hash of the whole value.
            let sealed = self.sealed("long", value);
            return written(CLOSED, self.id, sealed.get(..TAG_BYTES).unwrap_or_default());
        }
        written(OPENS, self.id, &self.sealed("value", value))
    }

    /// The value of a token's body, where this key made it.
    pub(super) fn open(&self, body: &[u8]) -> Result<String, TokenError> {
        let opened = self.cipher().decrypt([b"value", self.class.as_bytes()], body).map_err(|_| TokenError::Broken)?;
        String::from_utf8(opened).map_err(|_| TokenError::Broken)
    }

    fn sealed(&self, what: &str, value: &str) -> Vec<u8> {
        let sealed = self.cipher().encrypt([what.as_bytes(), self.class.as_bytes()], value.as_bytes());
        // Fails for more than 126 headers only.
        sealed.unwrap_or_default()
    }

    fn cipher(&self) -> Aes256Siv {
        Aes256Siv::new(&(*self.key).into())
    }
}

/// A token taken apart.
pub(super) struct Parts {
    pub(super) id: KeyId,
    pub(super) body: Vec<u8>,
}

/// Takes a token apart. Only the one spelling that `token` writes is one.
pub(super) fn parts(text: &str) -> Result<Parts, TokenError> {
    let text = text.trim();
    if text.len() > TOKEN_CHARS_MAX {
        return Err(TokenError::NotAToken);
    }
    let (sign, rest) = text.split_at_checked(OPENS.len()).ok_or(TokenError::NotAToken)?;
    if sign != OPENS && sign != CLOSED {
        return Err(TokenError::NotAToken);
    }
    let bytes = unwritten(rest).ok_or(TokenError::NotAToken)?;
    let (id, body) = bytes.split_first_chunk::<ID_BYTES>().filter(|(_, body)| body.len() >= TAG_BYTES).ok_or(TokenError::NotAToken)?;
    let id = KeyId(u32::from_be_bytes(*id));
    if written(sign, id, body) != text {
        return Err(TokenError::NotAToken);
    }
    if sign == CLOSED {
        return Err(TokenError::Closed);
    }
    Ok(Parts { id, body: body.to_vec() })
}

/// Whether a text looks like a token; whether it opens is another thing.
pub fn is_token(text: &str) -> bool {
    matches!(parts(text), Ok(_) | Err(TokenError::Closed))
}

fn written(sign: &str, id: KeyId, body: &[u8]) -> String {
    let bits = (ID_BYTES + body.len()) * 8;
    let mut text = String::with_capacity(sign.len() + bits.div_ceil(5) + bits / 5 / PART_CHARS);
    text.push_str(sign);
    let (mut held, mut bits, mut count) = (0u32, 0u32, 0);
    let mut push = |held: u32| {
        if count > 0 && count % PART_CHARS == 0 {
            text.push('_');
        }
        count += 1;
        text.push(char::from(ALPHABET.get((held & 31) as usize).copied().unwrap_or(b'a')));
    };
    for byte in id.0.to_be_bytes().iter().chain(body) {
        held = (held << 8 | u32::from(*byte)) & 0xFFFF;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(held >> bits);
        }
    }
    if bits > 0 {
        push(held << (5 - bits));
    }
    text
}

fn unwritten(text: &str) -> Option<Vec<u8>> {
    let (mut held, mut bits, mut bytes) = (0u32, 0u32, Vec::with_capacity(text.len() * 5 / 8));
    for byte in text.bytes().filter(|byte| *byte != b'_') {
        let digit = match byte {
            b'a'..=b'z' => byte - b'a',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        held = (held << 5 | u32::from(digit)) & 0xFFFF;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(id: u32, class: &str, byte: u8) -> TextKey {
        TextKey { id: KeyId(id), class: class.into(), key: Zeroizing::new([byte; 64]) }
    }

    fn open(key: &TextKey, token: &str) -> Result<String, TokenError> {
        let parts = parts(token)?;
        if parts.id != key.id {
            return Err(TokenError::UnknownKey);
        }
        key.open(&parts.body)
    }

    /// RFC 5297, A.1, for the 128-bit variant: the library under the tokens is what it says.
    #[test]
    fn the_rfcs_vector() {
        let hex =
            |text: &str| -> Vec<u8> { (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect() };
        let key: [u8; 32] = hex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff").try_into().unwrap();
        let header = hex("101112131415161718191a1b1c1d1e1f2021222324252627");
        let sealed = aes_siv::siv::Aes128Siv::new(&key.into()).encrypt([&header], &hex("112233445566778899aabbccddee")).unwrap();
        assert_eq!(sealed, hex("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c"));
    }

    #[test]
    fn what_a_token_looks_like() {
        let key = key(7, "standard", 1);
        for value in ["a", "anna", "anna.mueller@soemmerda.example", "S-1-5-21-1004336348-1177238915-682003330-512"] {
            let token = key.token(value);
            assert!(token.starts_with("p1") && is_token(&token), "{token}");
            assert!(token.split('_').all(|word| word.len() <= 64), "{token}: the index keeps no longer words");
            assert!(token.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'), "{token}");
        }
        assert_eq!(key.token("anna").len(), 2 + 39);
    }

    #[test]
    fn a_value_too_long_is_closed_but_equal_to_itself() {
        let key = key(7, "standard", 1);
        let long = "ä".repeat(VALUE_BYTES_MAX);
        let token = key.token(&long);
        assert_eq!(open(&key, &token), Err(TokenError::Closed));
        assert_eq!(token, key.token(&long));
        assert_ne!(token, key.token(&long.replacen('ä', "b", 1)));
        let longest = "x".repeat(VALUE_BYTES_MAX);
        assert!(key.token(&longest).len() <= TOKEN_CHARS_MAX, "{}", key.token(&longest).len());
        assert_eq!(open(&key, &key.token(&longest)), Ok(longest));
    }

    #[test]
    fn what_is_no_token() {
        for text in ["", "p1", "p", "p1aaaa", "passwort", "p2aaaaabyx7ggyqv7smmtk5m7b2ym5rasu6nxgo", "p1äöü", &"p1".repeat(2_000)] {
            assert!(!is_token(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn it_opens_with_its_key_and_with_no_other(value in "\\PC{0,80}", other in "\\PC{0,80}") {
            let (mine, foreign, other_class) = (key(7, "standard", 1), key(7, "standard", 2), key(7, "kurz", 1));
            let token = mine.token(&value);
            prop_assert_eq!(open(&mine, &token), Ok(value.clone()));
            prop_assert_eq!(open(&foreign, &token), Err(TokenError::Broken));
            prop_assert_eq!(open(&other_class, &token), Err(TokenError::Broken));
            prop_assert_eq!(open(&key(8, "standard", 1), &token), Err(TokenError::UnknownKey));
            prop_assert_eq!(value == other, token == mine.token(&other));
        }

        #[test]
        fn a_changed_token_is_refused(value in "[a-z.@]{1,60}", place in any::<prop::sample::Index>(), digit in 0usize..32, cut in any::<bool>()) {
            let key = key(7, "standard", 1);
            let token = key.token(&value);
            let mut changed: Vec<u8> = token.bytes().collect();
            let at = 2 + place.index(changed.len() - 2);
            if cut { changed.truncate(at) } else { changed[at] = ALPHABET[digit] }
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(open(&key, &changed).is_ok(), changed == token);
        }
    }
}
