//! The statistics behind the KPIs, as pure functions over values: quantiles, Wilson's interval for proportions and
//! the Kaplan-Meier estimator for times of which some have not ended yet. Which values go in is `kpi`'s.

use serde::Serialize;

/// The standard normal's 97.5 % point: two-sided 95 %.
const Z95: f64 = 1.959_963_984_540_054;

/// The `q` quantile (0 to 1) by linear interpolation between order statistics (type 7, as R and NumPy default to).
/// `None` for no values.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "case counts are far below 2^52")]
    let place = q.clamp(0.0, 1.0) * last as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and last")]
    let below = place.floor() as usize;
    let low = *sorted.get(below)?;
    let high = sorted.get(below + 1).copied().unwrap_or(low);
    Some(low + (high - low) * place.fract())
}

/// A proportion with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Proportion {
    pub hits: u64,
    pub of: u64,
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// Wilson's score interval (Wilson 1927), without continuity correction; `None` where there is nothing to divide by.
pub fn wilson(hits: u64, of: u64) -> Option<Proportion> {
    if of == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "case counts are far below 2^52")]
    let (hits_f, n) = (hits.min(of) as f64, of as f64);
    let share = hits_f / n;
    let z2 = Z95 * Z95;
    let denominator = 1.0 + z2 / n;
    let middle = (share + z2 / (2.0 * n)) / denominator;
    let half = Z95 / denominator * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    Some(Proportion { hits, of, share, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

/// One observed time: ended (`event`) or still running when it was last looked at (censored).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Observed {
    pub time: f64,
    pub event: bool,
}

/// One step of the survival curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Step {
    pub time: f64,
    /// Share that has not ended by `time`, with its 95 % band.
    pub survival: f64,
    pub low: f64,
    pub high: f64,
    pub at_risk: u64,
    pub events: u64,
}

/// A Kaplan-Meier estimate.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct KaplanMeier {
    /// One step per time at which something ended, by time.
    pub steps: Vec<Step>,
    pub n: u64,
    pub censored: u64,
}

impl KaplanMeier {
    /// The product-limit estimate with Greenwood's variance; the band is exponential (log-minus-log), which keeps it
    /// within 0 and 1. Ties: what ends at a time is counted before what is censored at it.
    pub fn estimate(observed: &[Observed]) -> Self {
        let mut sorted: Vec<Observed> = observed.iter().copied().filter(|o| o.time.is_finite()).collect();
        sorted.sort_by(|a, b| a.time.total_cmp(&b.time).then(b.event.cmp(&a.event)));
        let mut at_risk = sorted.len() as u64;
        let mut estimate = Self { n: at_risk, ..Self::default() };
        let (mut survival, mut greenwood) = (1.0, 0.0);
        for group in sorted.chunk_by(|a, b| a.time.total_cmp(&b.time).is_eq()) {
            let events = group.iter().filter(|o| o.event).count() as u64;
            estimate.censored += group.len() as u64 - events;
            if let (Some(first), 1..) = (group.first(), events) {
                #[expect(clippy::cast_precision_loss, reason = "case counts are far below 2^52")]
                let (n, d) = (at_risk as f64, events as f64);
                survival *= 1.0 - d / n;
                greenwood += d / (n * (n - d));
                let (low, high) = band(survival, greenwood);
                estimate.steps.push(Step { time: first.time, survival, low, high, at_risk, events });
            }
            at_risk -= group.len() as u64;
        }
        estimate
    }

    /// The time by which half has ended; `None`: not reached.
    pub fn median(&self) -> Option<f64> {
        self.reaches(0.5)
    }

    /// The first time at which at most `survival` has not ended; `None`: not reached.
    pub fn reaches(&self, survival: f64) -> Option<f64> {
        self.steps.iter().find(|step| step.survival <= survival + 1e-12).map(|step| step.time)
    }

    /// The 95 % interval of the median: where the band's edges cross one half.
    pub fn median_interval(&self) -> (Option<f64>, Option<f64>) {
        let crosses = |edge: fn(&Step) -> f64| self.steps.iter().find(|step| edge(step) <= 0.5).map(|step| step.time);
        (crosses(|step| step.low), crosses(|step| step.high))
    }
}

fn band(survival: f64, greenwood: f64) -> (f64, f64) {
    if survival <= 0.0 || survival >= 1.0 {
        return (survival, survival);
    }
    let log = survival.ln();
    let width = Z95 * greenwood.sqrt() / log;
    (survival.powf((-width).exp()), survival.powf(width.exp()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn observed(values: &[(f64, bool)]) -> Vec<Observed> {
        values.iter().map(|(time, event)| Observed { time: *time, event: *event }).collect()
    }

    #[test]
    fn quantiles_interpolate() {
        for (values, q, expected) in [
            (vec![], 0.5, None),
            (vec![3.0], 0.9, Some(3.0)),
            (vec![4.0, 1.0, 3.0, 2.0], 0.5, Some(2.5)),
            // numpy.quantile([1..10], 0.9) = 9.1
            ((1..=10).map(f64::from).collect(), 0.9, Some(9.1)),
        ] {
            assert_eq!(quantile(&values, q).map(|v| (v * 1e9).round() / 1e9), expected);
        }
    }

    #[test]
    fn wilson_as_tabulated() {
        // Newcombe 1998, table I: 81/263 -> 0.2553..0.3662; 15/148 -> 0.0624..0.1605; 0/20 -> 0..0.1611; 1/29 -> 0.0061..0.1718.
        for (hits, of, low, high) in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)] {
            let interval = wilson(hits, of).unwrap();
            assert!((interval.low - low).abs() < 5e-5 && (interval.high - high).abs() < 5e-5, "{interval:?}");
        }
        assert_eq!(wilson(0, 0), None);
    }

    /// Remission times of the 6-MP group (Freireich 1963), the textbook example, with its published estimates.
    #[test]
    fn kaplan_meier_of_the_textbook() {
        let ended = [6., 6., 6., 7., 10., 13., 16., 22., 23.].map(|time| (time, true));
        let censored = [6., 9., 10., 11., 17., 19., 20., 25., 32., 32., 34., 35.].map(|time| (time, false));
        let km = KaplanMeier::estimate(&observed(&[ended.as_slice(), &censored].concat()));
        let survival: Vec<(f64, f64)> = km.steps.iter().map(|s| (s.time, (s.survival * 1e4).round() / 1e4)).collect();
        assert_eq!(survival, [(6., 0.8571), (7., 0.8067), (10., 0.7529), (13., 0.6902), (16., 0.6275), (22., 0.5378), (23., 0.4482)]);
        assert_eq!((km.n, km.censored, km.median()), (21, 12, Some(23.0)));
        // R's survfit(conf.type = "log-log") gives 0.620 .. 0.952 at t = 6.
        let first = km.steps[0];
        assert!((first.low - 0.620).abs() < 1e-3 && (first.high - 0.952).abs() < 1e-3, "{first:?}");
        assert_eq!(km.median_interval(), (Some(13.0), None));
    }

    #[test]
    fn nothing_ended_means_not_reached() {
        let km = KaplanMeier::estimate(&observed(&[(1.0, false), (2.0, false)]));
        assert_eq!((km.steps.len(), km.median(), km.censored), (0, None, 2));
        assert_eq!(KaplanMeier::estimate(&[]), KaplanMeier::default());
    }

    proptest! {
        #[test]
        fn without_censoring_it_is_the_share_still_running(times in proptest::collection::vec(1u32..50, 1..60)) {
            let all: Vec<(f64, bool)> = times.iter().map(|t| (f64::from(*t), true)).collect();
            let km = KaplanMeier::estimate(&observed(&all));
            for step in &km.steps {
                let running = times.iter().filter(|t| f64::from(**t) > step.time).count();
                prop_assert!((step.survival - running as f64 / times.len() as f64).abs() < 1e-9);
            }
        }

        #[test]
        fn survival_falls_and_stays_in_its_band(values in proptest::collection::vec((0.0f64..100.0, any::<bool>()), 0..80)) {
            let km = KaplanMeier::estimate(&observed(&values));
            let mut before = 1.0;
            for step in &km.steps {
                prop_assert!(step.survival <= before && step.survival >= 0.0);
                prop_assert!(step.low <= step.survival + 1e-12 && step.high >= step.survival - 1e-12 && step.high <= 1.0 && step.low >= 0.0);
                before = step.survival;
            }
        }

        #[test]
        fn wilson_holds_the_share(of in 1u64..500, hits in 0u64..500) {
            let hits = hits.min(of);
            let interval = wilson(hits, of).unwrap();
            prop_assert!(interval.low <= interval.share + 1e-12 && interval.share <= interval.high + 1e-12);
        }
    }
}
