//! When a certificate ends: the one thing that no library here tells. Reads just so much of its DER (X.690) as leads to
//! the validity (RFC 5280, 4.1); whether the certificate is sound, rustls says.

use chrono::NaiveDateTime;
use nom::bytes::streaming::take;
use nom::number::streaming::be_u8;
use nom::{IResult, Parser as _};

use crate::time::Timestamp;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, constructed: the version, which version 1 leaves out.
const VERSION: u8 = 0xA0;

/// The end of a certificate's validity, or `None` where the bytes are no certificate.
pub(super) fn not_after(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = element(der).ok()?;
    let (_, signed) = element(certificate.only(SEQUENCE)?).ok()?;
    let mut rest = signed.only(SEQUENCE)?;
    let (behind, first) = element(rest).ok()?;
    if first.tag == VERSION {
        rest = behind;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        (rest, _) = element(rest).ok()?;
    }
    let (_, validity) = element(rest).ok()?;
    let (behind, _not_before) = element(validity.only(SEQUENCE)?).ok()?;
    let (_, not_after) = element(behind).ok()?;
    moment(&not_after)
}

struct Element<'a> {
    tag: u8,
    content: &'a [u8],
}

impl<'a> Element<'a> {
    fn only(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.content)
    }
}

/// Tag, length, content. Lengths of more than four bytes are nobody's.
fn element(input: &[u8]) -> IResult<&[u8], Element<'_>> {
    let (input, (tag, short)) = (be_u8, be_u8).parse(input)?;
    let (input, len) = match short {
        0..=0x7F => (input, usize::from(short)),
        _ => {
            let (input, long) = take(usize::from(short & 0x7F).min(4)).parse(input)?;
            (input, long.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)))
        }
    };
    let (input, content) = take(len).parse(input)?;
    Ok((input, Element { tag, content }))
}

/// Years of two digits are 1950 to 2049 (RFC 5280, 4.1.2.5.1).
fn moment(time: &Element<'_>) -> Option<Timestamp> {
    let text = std::str::from_utf8(time.content).ok()?;
    let text = match time.tag {
        UTC_TIME if text >= "50" => format!("19{text}"),
        UTC_TIME => format!("20{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let moment = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(Timestamp::from_utc(moment.and_utc()))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[test]
    fn the_end_of_a_certificate() {
        let key = KeyPair::generate().unwrap();
        for (year, month, day, expected) in [
            (2031, 5, 7, "2031-05-07T00:00:00.000Z"),
            (1999, 12, 31, "1999-12-31T00:00:00.000Z"),
            (2050, 1, 1, "2050-01-01T00:00:00.000Z"),
            (4096, 1, 1, "4096-01-01T00:00:00.000Z"),
        ] {
            let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
            params.not_before = date_time_ymd(1990, 1, 1);
            params.not_after = date_time_ymd(year, month, day);
            let der = params.self_signed(&key).unwrap();
            assert_eq!(not_after(der.der()).unwrap().to_string(), expected);
            for len in 0..der.der().len().min(200) {
                // Cut off somewhere: no answer rather than a wrong one, and no panic.
                assert_eq!(not_after(&der.der()[..len]), None);
            }
        }
        assert_eq!(not_after(&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }
}
