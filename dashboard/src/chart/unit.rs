//! What a chart counts, and how its numbers are written: in the reader's form, with the unit where a number stands alone.

use super::scale::Scale;
use crate::show;
use crate::words::{Language, de, language, t};

/// The unit of a chart's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit<'a> {
    /// Whole things by their noun in the plural: "Ereignisse".
    Count(&'a str),
    Bytes,
    /// 0 to 100.
    Percent,
    Hours,
    /// Anything else by its sign: "ms".
    Sign(&'a str),
}

/// From here on a number is written with a power of ten; its digits would mean nothing.
const PLAIN_MAX: f64 = 1e15;

impl<'a> Unit<'a> {
    pub fn name(self) -> &'a str {
        match self {
            Self::Count(noun) => noun,
            Self::Bytes => "Bytes",
            Self::Percent => t("Prozent"),
            Self::Hours => t("Stunden"),
            Self::Sign(sign) => sign,
        }
    }

    /// Whether adding values up says something.
    pub(super) fn adds_up(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Bytes)
    }

    pub(super) fn whole(&self) -> bool {
        matches!(self, Self::Count(_) | Self::Bytes)
    }

    /// As a table's cell says it.
    pub(super) fn value(&self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "–".into(),
            Self::Count(_) => number(value, if value.fract() == 0.0 { 0 } else { 1 }),
            Self::Bytes if (0.0..PLAIN_MAX).contains(&value) => show::bytes(value as u64),
            Self::Bytes => format!("{}\u{a0}B", number(value, 0)),
            Self::Percent => format!("{}\u{a0}%", number(value, if value.abs() < 10.0 && value.fract() != 0.0 { 1 } else { 0 })),
            Self::Hours if value.abs() < 1e9 => show::duration((value * 3_600_000.0) as i64),
            Self::Hours => format!("{}\u{a0}h", number(value, 0)),
            Self::Sign(sign) => format!("{}\u{a0}{sign}", number(value, if value.abs() < 10.0 && value.fract() != 0.0 { 1 } else { 0 })),
        }
    }

    /// As a sentence says it.
    pub(super) fn full(&self, value: f64) -> String {
        match self {
            Self::Count(noun) => format!("{}\u{a0}{}", self.value(value), within(noun)),
            _ => self.value(value),
        }
    }

    /// As an axis says it: short, for the unit stands above.
    pub(super) fn tick(&self, value: f64, scale: &Scale) -> String {
        const SHORT: [(f64, &str); 3] = [(1e12, de("Bio.")), (1e9, de("Mrd.")), (1e6, de("Mio."))];
        if *self == Self::Bytes && value.abs() < PLAIN_MAX {
            let text = show::bytes(value.abs() as u64).replace(",0", "");
            return if value < 0.0 { format!("−{text}") } else { text };
        }
        match SHORT.into_iter().find(|(size, _)| value.abs() >= *size && value.abs() < PLAIN_MAX) {
            Some((size, word)) => {
                let short = value / size;
                format!("{}\u{a0}{}", number(short, if short.fract().abs() < 0.001 { 0 } else { 1 }), t(word))
            }
            None => number(value, scale.places()),
        }
    }
}

/// A noun inside a sentence: English writes it small there, unless it is an abbreviation.
fn within(noun: &str) -> String {
    let mut letters = noun.chars();
    match (language(), letters.next(), letters.next()) {
        (Language::English, Some(first), Some(second)) if second.is_lowercase() => {
            format!("{}{second}{}", first.to_lowercase(), letters.as_str())
        }
        _ => noun.to_owned(),
    }
}

/// A number of any size in the reader's form.
pub(super) fn number(value: f64, places: usize) -> String {
    if !value.is_finite() || value.abs() < PLAIN_MAX {
        return show::decimal(value, places);
    }
    let exponent = value.abs().log10().floor();
    let digits = (value / 10f64.powf(exponent) * 10.0).round() / 10.0;
    let raised: String = format!("{exponent:.0}").chars().filter_map(|ch| "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(ch.to_digit(10)? as usize)).collect();
    format!("{}\u{a0}·\u{a0}10{raised}", show::decimal(digits, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_read_german() {
        let scale = Scale::over([3.0], 4, true);
        let fine = Scale::over([0.3], 4, false);
        let table = [
            (Unit::Count("Fälle").full(1_234.0), "1.234\u{a0}Fälle"),
            (Unit::Count("Fälle").value(f64::NAN), "–"),
            (Unit::Count("Fälle").value(-3.0), "−3"),
            (Unit::Count("Fälle").value(f64::MAX), "1,8\u{a0}·\u{a0}10³⁰⁸"),
            (Unit::Bytes.value(1_234_567.0), "1,2\u{a0}MB"),
            (Unit::Bytes.value(-5.0), "−5\u{a0}B"),
            (Unit::Percent.value(95.5), "96\u{a0}%"),
            (Unit::Percent.value(0.5), "0,5\u{a0}%"),
            (Unit::Hours.value(1.75), "1\u{a0}h 45\u{a0}min"),
            (Unit::Sign("ms").value(12.0), "12\u{a0}ms"),
            (Unit::Count("").tick(2_500_000.0, &scale), "2,5\u{a0}Mio."),
            (Unit::Count("").tick(2_000_000_000.0, &scale), "2\u{a0}Mrd."),
            (Unit::Bytes.tick(2_000_000.0, &scale), "2\u{a0}MB"),
            (Unit::Percent.tick(0.2, &fine), "0,2"),
            (Unit::Count("").tick(-5.0, &scale), "−5"),
        ];
        for (got, expected) in table {
            assert_eq!(got, expected);
        }
        crate::words::with_language(Language::English, || {
            assert_eq!(Unit::Count("Alerts").full(1_234.0), "1,234\u{a0}alerts");
            assert_eq!(Unit::Count("KPIs").full(3.0), "3\u{a0}KPIs");
            assert_eq!(Unit::Count("").tick(2_500_000.0, &scale), "2.5\u{a0}m");
        });
    }
}
