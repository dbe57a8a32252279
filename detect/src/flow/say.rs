//! Figures as people read them, in German: for the reasons of detections.

/// With a decimal comma.
pub(super) fn decimal(value: f64, places: usize) -> String {
    format!("{value:.places$}").replace('.', ",")
}

/// With a point between thousands.
pub(super) fn count(value: u64) -> String {
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
pub(super) fn size(bytes: u64) -> String {
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
pub(super) fn seconds(value: f64) -> String {
    match value {
        value if value < 120.0 => format!("{} s", decimal(value, if value.fract() > 0.0 { 1 } else { 0 })),
        value if value < 7_200.0 => format!("{} min", decimal(value / 60.0, 1)),
        value => format!("{} h", decimal(value / 3_600.0, 1)),
    }
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
    }
}
