//! A linear scale with round ticks (1, 2, 5 and their tens). Whatever comes in, what goes out is finite.

/// Beyond this the difference of two values would not be a number any more.
const VALUE_MAX: f64 = 1e300;
/// Below this a value is drawn as zero: powers of ten of its size are no numbers any more.
const VALUE_MIN: f64 = 1e-290;

/// From the lowest tick to the highest, zero always among them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) step: f64,
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// About `wanted` steps over the values; `whole` for counts, which have no tick between 0 and 1.
    pub(super) fn over(values: impl IntoIterator<Item = f64>, wanted: usize, whole: bool) -> Self {
        let (mut low, mut high) = (0.0f64, 0.0f64);
        for value in values.into_iter().filter_map(sane) {
            (low, high) = (low.min(value), high.max(value));
        }
        if low == high {
            high = 1.0;
        }
        let mut step = nice((high - low) / wanted.max(1) as f64);
        if whole {
            step = step.max(1.0);
        }
        let (first, last) = ((low / step + 1e-9).floor(), (high / step - 1e-9).ceil());
        let count = (last - first).clamp(1.0, 64.0) as usize;
        let ticks = (0..=count).map(|n| (first + n as f64) * step).map(|tick| if tick == 0.0 { 0.0 } else { tick }).collect();
        Self { low: first * step, high: (first + count as f64) * step, step, ticks }
    }

    /// Where a value lies, 0 at the bottom and 1 at the top; what is no number lies at zero.
    pub(super) fn part(&self, value: f64) -> f64 {
        let value = sane(value).unwrap_or(0.0).clamp(self.low, self.high);
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Decimal places that tell the ticks apart.
    pub(super) fn places(&self) -> usize {
        (-self.step.log10().floor()).clamp(0.0, 6.0) as usize
    }
}

/// The value as it can be drawn; `None` if it is no number.
pub(super) fn sane(value: f64) -> Option<f64> {
    match value {
        value if value.is_nan() || value.is_infinite() => None,
        value if value.abs() < VALUE_MIN => Some(0.0),
        value => Some(value.clamp(-VALUE_MAX, VALUE_MAX)),
    }
}

/// The value of a count: what is negative or no number is none.
pub(super) fn positive(value: f64) -> f64 {
    sane(value).unwrap_or(0.0).max(0.0)
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `raw`.
fn nice(raw: f64) -> f64 {
    let magnitude = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * magnitude >= raw * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * magnitude
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out by hand.
    #[test]
    fn ticks_are_round() {
        let table: [(&[f64], bool, &[f64]); 10] = [
            (&[], true, &[0.0, 1.0]),
            (&[0.0, 0.0], true, &[0.0, 1.0]),
            (&[1.0], true, &[0.0, 1.0]),
            (&[4.0], true, &[0.0, 1.0, 2.0, 3.0, 4.0]),
            (&[17.0], true, &[0.0, 5.0, 10.0, 15.0, 20.0]),
            (&[3_912.0], true, &[0.0, 1_000.0, 2_000.0, 3_000.0, 4_000.0]),
            (&[-3.0, 7.0], true, &[-5.0, 0.0, 5.0, 10.0]),
            (&[-80.0], true, &[-80.0, -60.0, -40.0, -20.0, 0.0]),
            (&[0.25], false, &[0.0, 0.1, 0.2, 0.3]),
            (&[f64::NAN, f64::INFINITY, 2.0], true, &[0.0, 1.0, 2.0]),
        ];
        for (values, whole, expected) in table {
            let scale = Scale::over(values.iter().copied(), 4, whole);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
            assert!(scale.ticks.len() == expected.len() && scale.ticks.iter().zip(expected).all(close), "{values:?}: {:?}", scale.ticks);
        }
    }

    #[test]
    fn extremes_stay_numbers() {
        for values in [[f64::MAX, f64::MIN], [5e-324, 0.0], [1e-300, -1e-300], [f64::MAX, 1.0], [-0.0, 0.0]] {
            let scale = Scale::over(values, 4, false);
            assert!(scale.ticks.iter().all(|tick| tick.is_finite()) && scale.ticks.len() < 12, "{values:?}: {scale:?}");
            assert!(values.iter().all(|value| (0.0..=1.0).contains(&scale.part(*value))));
        }
    }
}
