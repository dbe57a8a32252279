//! Reads back what a mail's transport encoded: quoted-printable, base64 and the encoded words of headers (RFC 2045,
//! RFC 2047), as far as our own mails use them: one part of plain UTF-8 text. What does not decode stays readable as it
//! came. The output is never longer than the input, so the sink's bound on a mail bounds this too.

/// A body as text with plain line ends; `encoding` is its `Content-Transfer-Encoding`.
pub fn text(encoding: &str, body: &str) -> String {
    let bytes = match encoding.trim().to_ascii_lowercase().as_str() {
        "quoted-printable" => quoted_printable(body.as_bytes(), false),
        "base64" => match base64(body) {
            Some(bytes) => bytes,
            None => return body.replace("\r\n", "\n"),
        },
        _ => return body.replace("\r\n", "\n"),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

/// A header's value with its encoded words read. Neighbouring ones belong together, even where a letter is cut
/// between them; the space between them is only there to fold the line.
pub fn words(header: &str) -> String {
    let mut out = String::with_capacity(header.len());
    let mut held: Vec<u8> = Vec::new();
    for word in header.split(' ') {
        match encoded_word(word) {
            Some(bytes) => {
                if held.is_empty() && !out.is_empty() {
                    out.push(' ');
                }
                held.extend(bytes);
            }
            None => {
                flush(&mut out, &mut held);
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
    }
    flush(&mut out, &mut held);
    out
}

fn flush(out: &mut String, held: &mut Vec<u8>) {
    out.push_str(&String::from_utf8_lossy(held));
    held.clear();
}

/// The bytes of `=?utf-8?b?…?=`; other character sets are not ours and stay as they are.
fn encoded_word(word: &str) -> Option<Vec<u8>> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    let (charset, encoding, payload) = (parts.next()?, parts.next()?, parts.next()?);
    match (charset.eq_ignore_ascii_case("utf-8"), encoding) {
        (true, "b" | "B") => base64(payload),
        (true, "q" | "Q") => Some(quoted_printable(payload.as_bytes(), true)),
        _ => None,
    }
}

/// `header` is the Q encoding of RFC 2047, in which a blank is written as an underscore.
fn quoted_printable(input: &[u8], header: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some((first, tail)) = rest.split_first() {
        rest = match (first, tail) {
            // A soft line break.
            (b'=', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => after,
            (b'=', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(hex(*high) << 4 | hex(*low));
                after
            }
            (b'_', after) if header => {
                out.push(b' ');
                after
            }
            (byte, after) => {
                out.push(*byte);
                after
            }
        };
    }
    out
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.saturating_sub(b'A') + 10,
    }
}

/// Line breaks are skipped; `None` for anything else that is not of the alphabet.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in text.trim_end().trim_end_matches('=').bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xFF).unwrap_or_default());
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_read() {
        for (raw, expected) in [
            ("plain subject", "plain subject"),
            ("", ""),
            ("=?utf-8?b?S3JpdGlzY2hlIEzDvA==?= =?utf-8?b?Y2tl?=", "Kritische Lücke"),
            // The ü is cut between the words.
            ("=?utf-8?b?S3JpdGlzY2hlIEzD?= =?utf-8?b?vGNrZQ==?=", "Kritische Lücke"),
            ("[TLP:GREEN] =?UTF-8?Q?L=C3=BCcke_hier?= 7", "[TLP:GREEN] Lücke hier 7"),
            ("=?iso-8859-1?q?L=FCcke?=", "=?iso-8859-1?q?L=FCcke?="),
            ("=?utf-8?b?Kein*Base64?=", "=?utf-8?b?Kein*Base64?="),
            ("=?utf-8?b?", "=?utf-8?b?"),
        ] {
            assert_eq!(words(raw), expected);
        }
    }

    #[test]
    fn bodies_are_read() {
        for (encoding, raw, expected) in [
            ("7bit", "a\r\nb", "a\nb"),
            ("", "a=C3=BC", "a=C3=BC"),
            ("Quoted-Printable", "Gr=C3=BC=\r\n=c3=9Fe_ =ZZ =", "Grüße_ =ZZ ="),
            ("quoted-printable", "=FF=3C", "\u{fffd}<"),
            ("base64", "R3LDvMOf\r\nZQ0KIQ==\r\n", "Grüße\n!"),
            ("base64", "not base64!", "not base64!"),
        ] {
            assert_eq!(text(encoding, raw), expected, "{raw}");
        }
    }

    /// As RFC 4648 writes it, for the way back.
    fn encode(bytes: &[u8]) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let six = |chunk: &[u8], n: usize| {
            let bits = chunk.iter().chain([0, 0].iter()).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
            char::from(ALPHABET[bits >> (18 - 6 * n) & 63])
        };
        bytes.chunks(3).map(|chunk| (0..4).map(|n| if n <= chunk.len() { six(chunk, n) } else { '=' }).collect::<String>()).collect()
    }

    proptest! {
        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(base64(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn quoted_printable_comes_back(input in "\\PC{0,80}") {
            let encoded: String = input.bytes().map(|byte| format!("={byte:02X}")).collect::<Vec<_>>().join("=\r\n");
            prop_assert_eq!(text("quoted-printable", &encoded), input);
        }

        #[test]
        fn nothing_panics_and_nothing_grows(input in "\\PC{0,200}|(=|[?]|utf-8|b|q|[A-F0-9]|\r\n| ){0,60}") {
            // A stray byte becomes the replacement character, which has three.
            prop_assert!(words(&input).len() <= input.len() * 3);
            for encoding in ["quoted-printable", "base64", "8bit"] {
                prop_assert!(text(encoding, &input).len() <= input.len() * 3);
            }
        }
    }
}
