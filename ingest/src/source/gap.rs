//! How long a source is usually quiet, by hour of the week: of the last weeks the longest gap that reached into each
//! hour. A source that sends at night is quiet by day, an office at the weekend, and neither is silent then. A few
//! hundred bytes a source; one odd week (an outage, a holiday) does not change what is usual.

use chrono::{Offset as _, TimeZone as _};
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Hours of a week.
pub const HOURS: usize = 168;
/// Weeks remembered: the middle one of four bears one holiday and follows a change within a fortnight.
const WEEKS_MAX: usize = 4;
/// Of a gap longer than this, only the last week is drawn in: it covers every hour as it is.
const GAP_HOURS_MAX: i64 = HOURS as i64;

/// The longest gaps of the last weeks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The number of the week in the first row.
    week: i64,
    /// The newest week first; a row has a gap on a logarithmic scale for each hour (`packed`), 0 where nothing is known.
    weeks: Vec<[u8; HOURS]>,
}

/// As stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    week: i64,
    rows: Vec<String>,
}

impl Gaps {
    /// Notes that nothing came between two frames. True where that changed what is known.
    pub fn add(&mut self, from: Timestamp, to: Timestamp) -> bool {
        if to < from {
            // A clock was set back; nothing can be said of it.
            return false;
        }
        let size = packed(to.since(from));
        let last = hour(to);
        let mut changed = false;
        for hour in hour(from).max(last - GAP_HOURS_MAX + 1)..=last {
            if let Some(known) = self.slot(hour).filter(|known| **known < size) {
                *known = size;
                changed = true;
            }
        }
        changed
    }

    /// The place of an hour; `None` for one of the past weeks, which are closed.
    fn slot(&mut self, hour: i64) -> Option<&mut u8> {
        let week = hour.div_euclid(GAP_HOURS_MAX);
        if self.weeks.is_empty() || week > self.week {
            self.weeks.insert(0, [0; HOURS]);
            self.weeks.truncate(WEEKS_MAX);
            self.week = week;
        }
        let place = usize::try_from(hour.rem_euclid(GAP_HOURS_MAX)).unwrap_or(0);
        self.weeks.first_mut().filter(|_| week == self.week)?.get_mut(place)
    }

    /// The usual gap in the hour of the week that holds `at`, in milliseconds. Where the hour is not known yet: that of
    /// the same hour on other days, else the longest gap there was; `None` where nothing is known at all.
    pub fn usual(&self, at: Timestamp) -> Option<i64> {
        let place = hour_of_week(at);
        let other_days = || (0..7).filter_map(|day| self.of_hour(day * 24 + place % 24)).max();
        self.of_hour(place).or_else(other_days).or_else(|| self.weeks.iter().flatten().copied().max().filter(|one| *one > 0).map(unpacked))
    }

    /// The usual gap of each hour of the week, Monday 0 o'clock first.
    pub fn table(&self) -> Vec<Option<i64>> {
        (0..HOURS).map(|place| self.of_hour(place)).collect()
    }

    /// The middle of what the weeks say; of two the longer one.
    fn of_hour(&self, place: usize) -> Option<i64> {
        let mut known: Vec<u8> = self.weeks.iter().filter_map(|week| week.get(place).copied()).filter(|gap| *gap > 0).collect();
        known.sort_unstable();
        known.get(known.len() / 2).copied().map(unpacked)
    }

    pub(super) fn to_text(&self) -> String {
        let hex = |row: &[u8; HOURS]| row.iter().map(|gap| format!("{gap:02x}")).collect();
        serde_json::to_string(&Stored { week: self.week, rows: self.weeks.iter().map(hex).collect() }).unwrap_or_default()
    }

    /// What is stored; nothing where it cannot be read, for it comes again within a week.
    pub(super) fn of_text(text: &str) -> Self {
        let Ok(stored) = serde_json::from_str::<Stored>(text) else { return Self::default() };
        let row = |text: &String| -> Option<[u8; HOURS]> {
            let pairs: Option<Vec<u8>> =
                (0..HOURS).map(|n| u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()).collect::<Option<_>>();
            pairs?.try_into().ok()
        };
        Self { week: stored.week, weeks: stored.rows.iter().take(WEEKS_MAX).filter_map(row).collect() }
    }
}

/// The hour of the week of a moment in Thuringia, Monday 0 o'clock being 0.
pub fn hour_of_week(at: Timestamp) -> usize {
    usize::try_from(hour(at).rem_euclid(GAP_HOURS_MAX)).unwrap_or(0)
}

/// Hours since a Monday, by the clocks in Thuringia: people's hours make the rhythm. In autumn one counts twice.
fn hour(at: Timestamp) -> i64 {
    /// 1970-01-01 was a Thursday.
    const MONDAY: i64 = 3 * 24;
    let offset_secs = chrono_tz::Europe::Berlin.offset_from_utc_datetime(&at.utc().naive_utc()).fix().local_minus_utc();
    at.plus(i64::from(offset_secs) * Timestamp::SECOND).0.div_euclid(Timestamp::HOUR) + MONDAY
}

/// A length in one byte, to a twelfth: eight steps for each doubling of its seconds, from 1; a month is 172.
fn packed(millis: i64) -> u8 {
    let seconds = millis.max(0) as f64 / 1_000.0;
    ((seconds + 1.0).log2() * 8.0).round().clamp(0.0, 254.0) as u8 + 1
}

fn unpacked(size: u8) -> i64 {
    let seconds = 2f64.powf(f64::from(size.saturating_sub(1)) / 8.0) - 1.0;
    (seconds * 1_000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse_rfc3339(&format!("{text}+01:00")).unwrap()
    }

    /// The gaps of a source that sends every `minutes` in the hours (of the week) that `sends` says, for some weeks.
    fn learned(weeks: i64, minutes: i64, sends: impl Fn(usize) -> bool) -> Gaps {
        let (mut gaps, mut last) = (Gaps::default(), None);
        let begin = at("2026-11-02T00:00:00");
        for n in 0..weeks * 7 * 24 * 60 / minutes {
            let now = begin.plus(n * minutes * Timestamp::MINUTE);
            if sends(hour_of_week(now)) {
                last.inspect(|last| {
                    gaps.add(*last, now);
                });
                last = Some(now);
            }
        }
        gaps
    }

    fn minutes(gap: Option<i64>) -> String {
        gap.map_or("?".into(), |millis| format!("{:.0}", millis as f64 / 60_000.0))
    }

    #[test]
    fn a_source_of_the_night_is_quiet_by_day() {
        let gaps = learned(2, 5, |hour| !(6..22).contains(&(hour % 24)));
        let usual = |text| minutes(gaps.usual(at(text)));
        expect!["5 1002 1002 1002 5"].assert_eq(
            &["2026-11-17T03:30:00", "2026-11-17T06:10:00", "2026-11-17T12:00:00", "2026-11-17T22:00:00", "2026-11-17T23:00:00"]
                .map(usual)
                .join(" "),
        );
    }

    #[test]
    fn an_office_is_quiet_at_the_weekend() {
        let gaps = learned(2, 10, |hour| hour < 5 * 24 && (7..17).contains(&(hour % 24)));
        let usual = |text| minutes(gaps.usual(at(text)));
        // Friday noon, Friday night, Saturday, Monday at seven (the weekend's gap ends in it) and at eight, Tuesday night.
        expect!["10 3674 3674 3674 10 842"].assert_eq(
            &[
                "2026-11-20T12:00:00",
                "2026-11-20T23:00:00",
                "2026-11-21T12:00:00",
                "2026-11-23T07:00:00",
                "2026-11-23T08:00:00",
                "2026-11-24T23:00:00",
            ]
            .map(usual)
            .join(" "),
        );
    }

    #[test]
    fn one_outage_is_not_usual_and_a_new_source_knows_little() {
        let mut gaps = learned(3, 1, |_| true);
        gaps.add(at("2026-11-24T08:00:00"), at("2026-11-24T20:00:00"));
        assert_eq!(minutes(gaps.usual(at("2026-12-01T12:00:00"))), "1");
        let mut new = Gaps::default();
        assert_eq!(new.usual(at("2026-11-24T08:00:00")), None);
        new.add(at("2026-11-24T08:00:00"), at("2026-11-24T08:20:00"));
        assert_eq!(minutes(new.usual(at("2026-11-26T08:10:00"))), "20", "the same hour on another day");
        assert_eq!(minutes(new.usual(at("2026-11-26T13:10:00"))), "20", "the longest gap there was");
    }

    #[test]
    fn a_gap_of_months_and_a_clock_set_back_cost_nothing() {
        let mut gaps = learned(1, 60, |_| true);
        assert!(gaps.add(at("2026-11-09T00:00:00"), at("2027-11-09T00:00:00")));
        assert!(gaps.weeks.len() <= WEEKS_MAX && gaps.to_text().len() < 1_500);
        assert!(!gaps.add(at("2027-11-09T00:00:00"), at("2026-01-01T00:00:00")));
        assert_eq!(Gaps::of_text("{\"week\":1,\"rows\":[\"zz\"]}").weeks.len(), 0);
    }

    proptest! {
        #[test]
        fn what_is_stored_comes_back(spans in prop::collection::vec((0i64..60_000_000_000, 0i64..2_000_000_000), 0..40)) {
            let mut gaps = Gaps::default();
            for (from, length) in spans {
                gaps.add(Timestamp(from), Timestamp(from + length));
            }
            prop_assert_eq!(Gaps::of_text(&gaps.to_text()), gaps);
        }

        #[test]
        fn a_length_is_kept_to_a_twelfth(millis in 0i64..3_000_000_000) {
            let back = unpacked(packed(millis));
            prop_assert!((back - millis).abs() <= millis / 12 + 100, "{} {}", millis, back);
        }
    }
}
