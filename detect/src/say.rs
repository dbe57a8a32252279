//! Figures as people read them, in German: for the reasons of findings.

use ingest::time::Timestamp;

/// With a decimal comma.
pub(crate) fn decimal(value: f64, places: usize) -> String {
    format!("{value:.places$}").replace('.', ",")
}

/// With a point between thousands.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves something in front of the comma (powers of 1,000).
pub(crate) fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = "Byte";
    for next in ["kB", "MB", "GB", "TB", "PB"] {
        if value < 1_000.0 {
            break;
        }
        (value, unit) = (value / 1_000.0, next);
    }
    if unit == "Byte" { format!("{bytes} Byte") } else { format!("{} {unit}", decimal(value, 1)) }
}

/// A stretch of time.
pub(crate) fn seconds(value: f64) -> String {
    match value {
        value if value < 120.0 => format!("{} s", decimal(value, if value.fract() > 0.0 { 1 } else { 0 })),
        value if value < 7_200.0 => format!("{} min", decimal(value / 60.0, 1)),
        value => format!("{} h", decimal(value / 3_600.0, 1)),
    }
}

/// A stretch of time as a person reads it: `90 s`, `4 min`, `26 h`, `12 Tage`.
pub(crate) fn duration(millis: i64) -> String {
    match millis.max(0) {
        millis if millis < 2 * Timestamp::MINUTE => format!("{} s", (millis + 500) / Timestamp::SECOND),
        millis if millis < 2 * Timestamp::HOUR => format!("{} min", millis / Timestamp::MINUTE),
        millis if millis < 3 * Timestamp::DAY => format!("{} h", millis / Timestamp::HOUR),
        millis => format!("{} Tage", millis / Timestamp::DAY),
    }
}

/// An amount with its unit in thousands, as Germans write it: `4,2 GB`, `1,3 Mio.`.
pub(crate) fn amount(value: f64, unit: &str) -> String {
    let steps = if unit.is_empty() { ["", "Tsd.", "Mio.", "Mrd."] } else { ["", "k", "M", "G"] };
    let mut value = value;
    let mut step = "";
    for next in steps {
        step = next;
        if value < 1_000.0 || next == steps.last().copied().unwrap_or_default() {
            break;
        }
        value /= 1_000.0;
    }
    let number = if value < 10.0 && !step.is_empty() { format!("{value:.1}").replace('.', ",") } else { format!("{value:.0}") };
    let shown = format!("{step}{unit}");
    if shown.is_empty() { number } else { format!("{number} {shown}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1.000", "1.234.567"]);
        assert_eq!([0, 999, 1_000, 4_200_000_000].map(size), ["0 Byte", "999 Byte", "1,0 kB", "4,2 GB"]);
        assert_eq!([0.5, 60.0, 300.0, 86_400.0].map(seconds), ["0,5 s", "60 s", "5,0 min", "24,0 h"]);
        assert_eq!(decimal(0.98, 3), "0,980");
        assert_eq!(
            [-1, 1_400, 119_000, 7_100_000, 100_000_000, 400_000_000].map(duration),
            ["0 s", "1 s", "119 s", "118 min", "27 h", "4 Tage"]
        );
        assert_eq!([4_200_000.0, 42_000.0, 12.0].map(|value| amount(value, "B")), ["4,2 MB", "42 kB", "12 B"]);
        assert_eq!([1_300_000.0, 999.0].map(|value| amount(value, "")), ["1,3 Mio.", "999"]);
    }
}
