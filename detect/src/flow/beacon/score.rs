//! How much a series of contacts looks like a beacon: the four-part score of RITA (version 5, as its public source computes
//! it), on plain numbers. Each part is between 0 and 1, the total is their mean, rounded to thousandths.
//!
//! - **timestamps**: are the intervals between contacts even? Mean of 1 - |Bowley skewness| and 1 - MAD/median.
//! - **sizes**: the same of the bytes sent per contact.
//! - **histogram**: are the contacts per hour even (1 - coefficient of variation), or do nearly all hours share at most two
//!   heights (bimodal fit)? The better of the two.
//! - **duration**: how much of the window is covered, or how long the longest run of hours is; the better of the two.

/// Hours of the histogram: RITA looks at one day.
pub(super) const HOURS: usize = 24;
/// Below this quartile distance (seconds, bytes) skewness says nothing: it is the resolution of the data.
const QUARTILE_DISTANCE_MIN: f64 = 10.0;
/// Hours with contacts from which the duration counts.
const DURATION_HOURS_MIN: u32 = 6;
/// A run of this many hours is as good as a covered day.
const RUN_HOURS_IDEAL: f64 = 12.0;
/// Heights of hours that differ by less than this share of the highest are one height.
const HEIGHT_SHARE: f64 = 0.05;
/// Hours with contacts from which two heights mean something.
const BIMODAL_HOURS_MIN: u32 = 11;
/// Hours that may fall out of line.
const BIMODAL_OUTLIERS: u32 = 1;

/// What is to be judged: one source's contacts with one destination within 24 hours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Series<'a> {
    /// Beginnings of the contacts in seconds, sorted; the newest ones where there are too many.
    pub(super) times: &'a [u32],
    /// Bytes sent per contact.
    pub(super) sizes: &'a [u32],
    /// All contacts by hour, the oldest hour first.
    pub(super) hours: &'a [u32; HOURS],
    /// The first and the last contact, and the window's length, in seconds.
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) window: u32,
}

/// The parts, and what people want to see of how they came about.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Score {
    pub(super) total: f64,
    pub(super) timestamps: f64,
    pub(super) sizes: f64,
    pub(super) histogram: f64,
    pub(super) duration: f64,
    /// Median of the intervals in seconds, and how far half of them are from it at most.
    pub(super) interval: f64,
    pub(super) interval_spread: f64,
    /// Median of the sizes in bytes.
    pub(super) size: f64,
    /// Hours with contacts, and the longest run of such hours (over the window's end).
    pub(super) hours: u32,
    pub(super) run: u32,
}

/// The score of a series; `None` for fewer than three intervals or three sizes.
pub(super) fn score(series: &Series<'_>) -> Option<Score> {
    let mut intervals: Vec<f64> =
        series.times.windows(2).filter_map(|pair| pair.last()?.checked_sub(*pair.first()?)).map(f64::from).collect();
    // Contacts of the same second are one for the rhythm.
    intervals.retain(|interval| *interval > 0.0);
    let mut sizes: Vec<f64> = series.sizes.iter().copied().map(f64::from).collect();
    if intervals.len() < 3 || sizes.len() < 3 {
        return None;
    }
    let (timestamps, interval, interval_spread) = evenness(&mut intervals, 1.0);
    let (size_score, size, _) = evenness(&mut sizes, 0.0);
    let bars = u32::try_from(series.hours.iter().filter(|count| **count > 0).count()).unwrap_or(0);
    let run = longest_run(series.hours);
    let histogram = flatness(series.hours).max(bimodal_fit(series.hours, bars));
    let duration = coverage(series, bars, run);
    let total = thousandths((timestamps + size_score + histogram + duration) / 4.0);
    Some(Score { total, timestamps, sizes: size_score, histogram, duration, interval, interval_spread, size, hours: bars, run })
}

/// Score, median and median absolute deviation; `without_median` is the score's second half where the median is below one.
fn evenness(values: &mut [f64], without_median: f64) -> (f64, f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let middle = median(values);
    let mut distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    let spread = median(&distances);
    let even = if middle >= 1.0 { ((middle - spread) / middle).max(0.0) } else { without_median };
    (thousandths((1.0 - skewness(values).abs() + even) / 2.0), middle, spread)
}

/// Bowley's: (Q3 + Q1 - 2 Q2) / (Q3 - Q1), and 0 where the quartiles lie too close together. `values` are sorted.
fn skewness(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    let (lower, upper) = (values.get(..half).unwrap_or_default(), values.get(values.len() - half..).unwrap_or_default());
    let (q1, q2, q3) = (median(lower), median(values), median(upper));
    #[expect(clippy::float_cmp, reason = "quartiles of whole numbers: the same or not")]
    let degenerate = q3 - q1 < QUARTILE_DISTANCE_MIN || q2 == q1 || q2 == q3;
    if degenerate { 0.0 } else { (q3 + q1 - 2.0 * q2) / (q3 - q1) }
}

/// Of sorted values; of none it is 0.
fn median(sorted: &[f64]) -> f64 {
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) }
}

/// 1 - standard deviation / mean of the hours' counts, 0 at worst.
fn flatness(hours: &[u32; HOURS]) -> f64 {
    let count = f64::from(u32::try_from(HOURS).unwrap_or(1));
    let mean = hours.iter().copied().map(f64::from).sum::<f64>() / count;
    if mean <= 0.0 {
        return 0.0;
    }
    let variance = hours.iter().map(|hour| (f64::from(*hour) - mean).powi(2)).sum::<f64>() / count;
    thousandths((1.0 - variance.sqrt() / mean).max(0.0))
}

/// Which share of the hours with contacts has one of the two most frequent heights.
fn bimodal_fit(hours: &[u32; HOURS], bars: u32) -> f64 {
    if bars < BIMODAL_HOURS_MIN {
        return 0.0;
    }
    let highest = hours.iter().copied().max().unwrap_or(0);
    let step = (f64::from(highest) * HEIGHT_SHARE).ceil().max(1.0);
    let mut heights: Vec<f64> = hours.iter().filter(|hour| **hour > 0).map(|hour| (f64::from(*hour) / step).floor()).collect();
    heights.sort_unstable_by(f64::total_cmp);
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    let mut shared: Vec<usize> = heights.chunk_by(|a, b| a == b).map(<[f64]>::len).collect();
    shared.sort_unstable_by_key(|count| std::cmp::Reverse(*count));
    let two = shared.iter().take(2).sum::<usize>();
    let fit = f64::from(u32::try_from(two).unwrap_or(0)) / f64::from(bars.saturating_sub(BIMODAL_OUTLIERS).max(1));
    thousandths(fit).min(1.0)
}

/// The longest run of hours with contacts; the day is a ring.
fn longest_run(hours: &[u32; HOURS]) -> u32 {
    let (mut longest, mut run) = (0u32, 0u32);
    for hour in hours.iter().chain(hours) {
        run = if *hour > 0 { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest.min(u32::try_from(HOURS).unwrap_or(u32::MAX))
}

fn coverage(series: &Series<'_>, bars: u32, run: u32) -> f64 {
    if bars < DURATION_HOURS_MIN {
        return 0.0;
    }
    let up = |share: f64| ((share * 1_000.0).ceil() / 1_000.0).min(1.0);
    let covered = up(f64::from(series.last.saturating_sub(series.first)) / f64::from(series.window.max(1)));
    covered.max(up(f64::from(run) / RUN_HOURS_IDEAL))
}

fn thousandths(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}
