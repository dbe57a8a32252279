//! Encodings that a rule's value may be looked for in: UTF-16 and Base64, at the start of the encoded text or anywhere in
//! it. Only what stands in rules is encoded, never what a record holds.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf16Le,
    Utf16Be,
    /// Little endian behind a byte order mark.
    Utf16,
    Base64,
    /// Wherever the value stands in what was encoded: one variant per shift by 0 to 2 bytes.
    Base64Offset,
}

impl Encoding {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "utf16le" | "wide" => Self::Utf16Le,
            "utf16be" => Self::Utf16Be,
            "utf16" => Self::Utf16,
            "base64" => Self::Base64,
            "base64offset" => Self::Base64Offset,
            _ => return None,
        })
    }

    /// The variants of `bytes` in this encoding, any of which is to be found.
    pub(crate) fn apply(self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        match self {
            Self::Utf16Le => Ok(vec![utf16(bytes, u16::to_le_bytes)?]),
            Self::Utf16Be => Ok(vec![utf16(bytes, u16::to_be_bytes)?]),
            Self::Utf16 => Ok(vec![[vec![0xFF, 0xFE], utf16(bytes, u16::to_le_bytes)?].concat()]),
            Self::Base64 => Ok(vec![base64(bytes)]),
            Self::Base64Offset => {
                let variants: Vec<Vec<u8>> = (0..3).map(|shift| base64_at(bytes, shift)).collect();
                match variants.iter().any(Vec::is_empty) {
                    // What is left of it would be found in every text.
                    true => Err("the value is too short to be recognised within base64".into()),
                    false => Ok(variants),
                }
            }
        }
    }
}

fn utf16(bytes: &[u8], order: fn(u16) -> [u8; 2]) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "utf16 encodes texts, not the bytes of another utf16")?;
    Ok(text.encode_utf16().flat_map(order).collect())
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for n in 0..4 {
            let six = usize::try_from((bits >> (18 - 6 * n)) & 63).unwrap_or_default();
            // One byte makes two signs, two make three, three make four.
            text.push(if n <= three.len() { ALPHABET.get(six).copied().unwrap_or(b'=') } else { b'=' });
        }
    }
    text
}

/// The signs that only `bytes` decide when `shift` bytes stand before them.
fn base64_at(bytes: &[u8], shift: usize) -> Vec<u8> {
    let shifted = [vec![b' '; shift], bytes.to_vec()].concat();
    // The first 8 or 16 bits are another's: two or three signs.
    let first = [0, 2, 3].get(shift).copied().unwrap_or_default();
    // Padding, and before it the sign that shares bits with what follows.
    let last = [0, 3, 2].get(shifted.len() % 3).copied().unwrap_or_default();
    let text = base64(&shifted);
    text.get(first..text.len().saturating_sub(last)).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(encodings: &[Encoding], text: &str) -> Vec<String> {
        let mut all = vec![text.as_bytes().to_vec()];
        for encoding in encodings {
            all = all.iter().flat_map(|bytes| encoding.apply(bytes).unwrap()).collect();
        }
        all.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
    }

    #[test]
    fn known_encodings() {
        use Encoding::{Base64, Base64Offset, Utf16, Utf16Be, Utf16Le};
        let table: &[(&[Encoding], &str, &[&str])] = &[
            (&[Base64], "foobar", &["Zm9vYmFy"]),
            (&[Base64], "fooba", &["Zm9vYmE="]),
            (&[Base64], "foob", &["Zm9vYg=="]),
            (&[Base64], "", &[""]),
            (&[Base64Offset], "foobar", &["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]),
            (&[Base64Offset], "fooba", &["Zm9vYm", "Zvb2Jh", "mb29iY"]),
            (&[Base64], "übung", &["w7xidW5n"]),
            (&[Utf16Le], "cmd", &["c\0m\0d\0"]),
            (&[Utf16Be], "cmd", &["\0c\0m\0d"]),
            (&[Utf16Le, Base64], "ping", &["cABpAG4AZwA="]),
            (&[Utf16Be, Base64], "ping", &["AHAAaQBuAGc="]),
            (&[Utf16, Base64], "ping", &["//5wAGkAbgBnAA=="]),
            (&[Utf16Le, Base64], "ä", &["5AA="]),
        ];
        for (encodings, text, expected) in table {
            assert_eq!(shown(encodings, text), *expected, "{encodings:?} {text}");
        }
        assert!(Base64Offset.apply(b"a").is_err());
        assert!(Utf16Le.apply(b"\xE4\x00").is_err());
    }

    proptest! {
        /// Whatever stands around it, one of the variants is in the encoded text: the one of its shift.
        #[test]
        fn a_shifted_value_is_found(before in ".{0,9}", value in "[a-zäß ]{3,12}", behind in ".{0,9}") {
            let whole = String::from_utf8(base64(format!("{before}{value}{behind}").as_bytes())).unwrap();
            let variant = String::from_utf8(base64_at(value.as_bytes(), before.len() % 3)).unwrap();
            prop_assert!(whole.contains(&variant), "{} in {}", variant, whole);
        }
    }
}
