//! How long acknowledgements took: counts in buckets of a sixteenth of each power of two, so that a second of a hundred
//! thousand costs no memory and the percentiles are right within 6 %.

use std::time::Duration;

use serde_json::{Value, json};

const STEPS: usize = 16;
/// Up to 2^40 µs, twelve days.
const BUCKETS: usize = 40 * STEPS;

#[derive(Debug)]
pub struct Latency {
    counts: Vec<u64>,
    max_micros: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], max_micros: 0 }
    }
}

impl Latency {
    pub fn record(&mut self, took: Duration, number: u64) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.max_micros = self.max_micros.max(micros);
        if let Some(count) = self.counts.get_mut(bucket(micros)) {
            *count += number;
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.max_micros = self.max_micros.max(other.max_micros);
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
    }

    /// Below this many milliseconds so many of a hundred were.
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let wanted = (total as f64 * percent / 100.0).ceil() as u64;
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted.max(1)
        })?;
        Some(upper(at).min(self.max_micros) as f64 / 1000.0)
    }

    pub fn json(&self) -> Value {
        let at = |percent| self.percentile(percent);
        at(50.0).map_or(
            Value::Null,
            |median| json!({ "p50": median, "p90": at(90.0), "p99": at(99.0), "p999": at(99.9), "max": self.max_micros as f64 / 1000.0 }),
        )
    }
}

fn bucket(micros: u64) -> usize {
    let micros = micros.max(1);
    let power = micros.ilog2() as usize;
    let step = if power >= 4 { (micros >> (power - 4)) as usize - STEPS } else { ((micros as usize * STEPS) >> power) - STEPS };
    (power * STEPS + step).min(BUCKETS - 1)
}

fn upper(bucket: usize) -> u64 {
    let (power, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    ((STEPS as u64 + step + 1) << power) / STEPS as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_most_a_sixteenth_too_high_and_never_too_low() {
        for micros in (1..5_000).chain([1_000_000, 123_456_789]) {
            let mut latency = Latency::default();
            latency.record(Duration::from_micros(micros), 1);
            // The largest one is known exactly, so another is put above it.
            latency.record(Duration::from_secs(1_000), 1);
            let half = latency.percentile(50.0).unwrap() * 1000.0;
            assert!(half >= micros as f64 && half <= micros as f64 * 1.0625 + 1.0, "{micros}: {half}");
        }
        assert_eq!(Latency::default().percentile(50.0), None);
    }

    #[test]
    fn counts_add_up() {
        let mut latency = Latency::default();
        latency.record(Duration::from_millis(1), 98);
        let mut other = Latency::default();
        other.record(Duration::from_millis(500), 2);
        latency.add(&other);
        assert!(latency.percentile(98.0).unwrap() < 1.1);
        assert_eq!(latency.percentile(99.0), Some(500.0));
    }
}
