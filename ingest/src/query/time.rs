//! Times in a query: moments as people write them (`now-24h`, `2026-11-21`, `21.11.2026`, `2026-11-21T14:00`, with or
//! without a zone), tests on `@timestamp` made of them, and the widths of a histogram's bars. Who gives no zone means
//! Germany's. What "now" is comes in as a parameter; there is no clock here.

use std::fmt;

use chrono::{DateTime, Datelike as _, NaiveDate, TimeDelta, TimeZone as _};
use chrono_tz::Europe::Berlin;

use crate::time::Timestamp;

/// The name under which ECS has an event's time.
pub const TIMESTAMP: &str = "@timestamp";

/// A moment as it was written: a stretch of time as wide as its precision. `2026-11-21` is a whole day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    shown: Shown,
    first: i64,
    /// Included.
    last: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    /// This many milliseconds from now.
    Now(i64),
    Day(NaiveDate),
    Minute,
    Second,
    Milli,
}

/// Why a text is no moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum MomentError {
    /// It is relative, and nobody said what time it is.
    NoNow,
    Unknown,
}

impl Moment {
    pub(super) fn parse(text: &str, now: Option<Timestamp>) -> Result<Self, MomentError> {
        if let Some(rest) = text.strip_prefix("now") {
            let offset = offset(rest).ok_or(MomentError::Unknown)?;
            let at = now.ok_or(MomentError::NoNow)?.0.saturating_add(offset);
            return Ok(Self { shown: Shown::Now(offset), first: at, last: at });
        }
        day(text).or_else(|| zoned(text)).or_else(|| local(text)).ok_or(MomentError::Unknown)
    }

    fn at(moment: Timestamp, shown: Shown) -> Self {
        let width = match shown {
            Shown::Minute => Timestamp::MINUTE,
            Shown::Second => Timestamp::SECOND,
            Shown::Now(_) | Shown::Day(_) | Shown::Milli => 1,
        };
        Self { shown, first: moment.0, last: moment.0.saturating_add(width - 1) }
    }
}

/// `-24h`, `+5m`, or nothing.
fn offset(text: &str) -> Option<i64> {
    if text.is_empty() {
        return Some(0);
    }
    let (sign, rest) = if let Some(rest) = text.strip_prefix('-') { (-1, rest) } else { (1, text.strip_prefix('+')?) };
    let (number, unit) = rest.split_at_checked(rest.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok().filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some(sign * i64::from(number) * unit_millis(unit)?)
}

fn unit_millis(unit: &str) -> Option<i64> {
    Some(match unit {
        "s" => Timestamp::SECOND,
        "m" => Timestamp::MINUTE,
        "h" => Timestamp::HOUR,
        "d" => Timestamp::DAY,
        "w" => 7 * Timestamp::DAY,
        _ => return None,
    })
}

fn day(text: &str) -> Option<Moment> {
    let date = ["%Y-%m-%d", "%d.%m.%Y"].iter().find_map(|form| NaiveDate::parse_from_str(text, form).ok())?;
    Some(Moment { shown: Shown::Day(date), first: midnight(date), last: midnight(date.succ_opt()?) - 1 })
}

/// When a day begins in Germany, where no clock was ever put forward at midnight.
fn midnight(date: NaiveDate) -> i64 {
    let naive = date.and_time(chrono::NaiveTime::MIN);
    Berlin.from_local_datetime(&naive).earliest().map_or_else(|| naive.and_utc().timestamp_millis(), |moment| moment.timestamp_millis())
}

fn zoned(text: &str) -> Option<Moment> {
    let text = text.strip_suffix('Z').map_or_else(|| text.to_owned(), |text| format!("{text}+00:00"));
    let (date, time) = text.split_once(['T', ' '])?;
    let text = format!("{date}T{time}");
    let (moment, shown) = ["%Y-%m-%dT%H:%M%:z", "%Y-%m-%dT%H:%M:%S%:z", "%Y-%m-%dT%H:%M:%S%.f%:z"]
        .iter()
        .zip([Shown::Minute, Shown::Second, Shown::Milli])
        .find_map(|(form, shown)| Some((DateTime::parse_from_str(&text, form).ok()?, shown)))?;
    Some(Moment::at(Timestamp(moment.timestamp_millis()), shown))
}

fn local(text: &str) -> Option<Moment> {
    let (date, time) = text.split_once(['T', ' '])?;
    let date = ["%Y-%m-%d", "%d.%m.%Y"].iter().find_map(|form| NaiveDate::parse_from_str(date, form).ok())?;
    let (time, shown) = ["%H:%M", "%H:%M:%S", "%H:%M:%S%.f"]
        .iter()
        .zip([Shown::Minute, Shown::Second, Shown::Milli])
        .find_map(|(form, shown)| Some((chrono::NaiveTime::parse_from_str(time, form).ok()?, shown)))?;
    let naive = date.and_time(time);
    // The hour that is left out in March is taken as the one behind it; of the two in October the first.
    let moment = Berlin.from_local_datetime(&naive).earliest();
    let moment = moment.or_else(|| Berlin.from_local_datetime(&naive.checked_add_signed(TimeDelta::hours(1))?).earliest())?;
    Some(Moment::at(Timestamp(moment.timestamp_millis()), shown))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let berlin = || Timestamp(self.first).utc().with_timezone(&Berlin);
        match self.shown {
            Shown::Now(0) => f.write_str("now"),
            Shown::Now(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "now{sign}{}", Length(offset.abs()))
            }
            Shown::Day(date) => write!(f, "{}", date.format("%Y-%m-%d")),
            Shown::Minute => write!(f, "{}", berlin().format("%Y-%m-%dT%H:%M%:z")),
            Shown::Second => write!(f, "{}", berlin().format("%Y-%m-%dT%H:%M:%S%:z")),
            Shown::Milli => write!(f, "{}", berlin().format("%Y-%m-%dT%H:%M:%S%.3f%:z")),
        }
    }
}

/// A length of time in the greatest unit that divides it; weeks are told in days.
struct Length(i64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, millis) in [("d", Timestamp::DAY), ("h", Timestamp::HOUR), ("m", Timestamp::MINUTE)] {
            if self.0 % millis == 0 && self.0 > 0 {
                return write!(f, "{}{unit}", self.0 / millis);
            }
        }
        write!(f, "{}s", self.0 / Timestamp::SECOND)
    }
}

/// What is asked of `@timestamp`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum TimeTest {
    In(Moment),
    Above(Moment),
    AtLeast(Moment),
    Below(Moment),
    AtMost(Moment),
    Between(Moment, Moment),
}

impl TimeTest {
    /// The first and the last millisecond that pass. "Behind a day" begins with the next one.
    pub(crate) fn bounds(&self) -> (i64, i64) {
        match self {
            Self::In(moment) => (moment.first, moment.last),
            Self::Above(moment) => (moment.last.saturating_add(1), i64::MAX),
            Self::AtLeast(moment) => (moment.first, i64::MAX),
            Self::Below(moment) => (i64::MIN, moment.first.saturating_sub(1)),
            Self::AtMost(moment) => (i64::MIN, moment.last),
            Self::Between(first, last) => (first.first, last.last),
        }
    }

    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        let (first, last) = self.bounds();
        (first..=last).contains(&at.0)
    }
}

impl fmt::Display for TimeTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In(moment) => write!(f, "{moment}"),
            Self::Above(moment) => write!(f, ">{moment}"),
            Self::AtLeast(moment) => write!(f, ">={moment}"),
            Self::Below(moment) => write!(f, "<{moment}"),
            Self::AtMost(moment) => write!(f, "<={moment}"),
            Self::Between(first, last) => write!(f, "[{first} TO {last}]"),
        }
    }
}

/// The width of a histogram's bars. Below a day it is counted from each German midnight on, so that `6h` begins at
/// midnight in winter and summer alike; from a day on it is whole German days, weeks from Monday on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Milliseconds, a whole number of seconds, less than a day.
    Millis(i64),
    Days(u32),
}

/// A year's bars: wider ones tell nothing.
const WIDTH_DAYS_MAX: u32 = 366;

impl Width {
    /// `30s`, `15m`, `1h`, `1d`, `2w`; `None` for anything else, nothing, or more than a year.
    pub fn parse(text: &str) -> Option<Self> {
        let millis = offset(&format!("+{text}")).filter(|millis| *millis > 0 && !text.is_empty())?;
        if millis < Timestamp::DAY {
            return Some(Self::Millis(millis));
        }
        let days = u32::try_from(millis / Timestamp::DAY).ok().filter(|days| *days <= WIDTH_DAYS_MAX)?;
        (millis % Timestamp::DAY == 0).then_some(Self::Days(days))
    }

    /// Its usual length in milliseconds; a bar over a change of the clock is an hour shorter or longer.
    pub fn millis(self) -> i64 {
        match self {
            Self::Millis(millis) => millis,
            Self::Days(days) => i64::from(days) * Timestamp::DAY,
        }
    }

    /// The bar in which a moment lies: its first millisecond and the next bar's.
    pub fn bar(self, at: Timestamp) -> (Timestamp, Timestamp) {
        let day = at.utc().with_timezone(&Berlin).date_naive();
        match self {
            Self::Millis(millis) => {
                let first = midnight(day);
                let start = first + at.0.saturating_sub(first).div_euclid(millis).saturating_mul(millis);
                let next = day.succ_opt().map_or(i64::MAX, midnight);
                (Timestamp(start), Timestamp(start.saturating_add(millis).min(next)))
            }
            Self::Days(days) => {
                // Day 1 of chrono's count is the Monday 0001-01-01.
                let number = day.num_days_from_ce();
                let first = number - (number - 1).rem_euclid(i32::try_from(days).unwrap_or(1).max(1));
                let start = |number: i32| NaiveDate::from_num_days_from_ce_opt(number).map_or(at.0, midnight);
                (Timestamp(start(first)), Timestamp(start(first.saturating_add(i32::try_from(days).unwrap_or(1)))))
            }
        }
    }
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Length(self.millis()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").unwrap()
    }

    #[test]
    fn moments_as_people_write_them() {
        for (text, first, last, printed) in [
            ("now", "2026-11-21T12:00:00.000Z", "2026-11-21T12:00:00.000Z", "now"),
            ("now-24h", "2026-11-20T12:00:00.000Z", "2026-11-20T12:00:00.000Z", "now-1d"),
            ("now+90s", "2026-11-21T12:01:30.000Z", "2026-11-21T12:01:30.000Z", "now+90s"),
            ("now-2w", "2026-11-07T12:00:00.000Z", "2026-11-07T12:00:00.000Z", "now-14d"),
            ("2026-11-21", "2026-11-20T23:00:00.000Z", "2026-11-21T22:59:59.999Z", "2026-11-21"),
            ("21.11.2026", "2026-11-20T23:00:00.000Z", "2026-11-21T22:59:59.999Z", "2026-11-21"),
            // A day of 23 hours and one of 25.
            ("2026-03-29", "2026-03-28T23:00:00.000Z", "2026-03-29T21:59:59.999Z", "2026-03-29"),
            ("2026-10-25", "2026-10-24T22:00:00.000Z", "2026-10-25T22:59:59.999Z", "2026-10-25"),
            ("2026-11-21T14:00", "2026-11-21T13:00:00.000Z", "2026-11-21T13:00:59.999Z", "2026-11-21T14:00+01:00"),
            ("21.11.2026 14:00:05", "2026-11-21T13:00:05.000Z", "2026-11-21T13:00:05.999Z", "2026-11-21T14:00:05+01:00"),
            ("2026-07-01T14:00Z", "2026-07-01T14:00:00.000Z", "2026-07-01T14:00:59.999Z", "2026-07-01T16:00+02:00"),
            ("2026-07-01T14:00:00.250-05:00", "2026-07-01T19:00:00.250Z", "2026-07-01T19:00:00.250Z", "2026-07-01T21:00:00.250+02:00"),
            // There is no half past two on this day, and two of them on the other.
            ("2026-03-29T02:30", "2026-03-29T01:30:00.000Z", "2026-03-29T01:30:59.999Z", "2026-03-29T03:30+02:00"),
            ("2026-10-25T02:30", "2026-10-25T00:30:00.000Z", "2026-10-25T00:30:59.999Z", "2026-10-25T02:30+02:00"),
            ("1970-01-01T00:00Z", "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:59.999Z", "1970-01-01T01:00+01:00"),
            ("2106-02-07", "2106-02-06T23:00:00.000Z", "2106-02-07T22:59:59.999Z", "2106-02-07"),
        ] {
            let moment = Moment::parse(text, Some(now())).unwrap_or_else(|_| panic!("{text}"));
            assert_eq!((Timestamp(moment.first).rfc3339(), Timestamp(moment.last).rfc3339()), (first.into(), last.into()), "{text}");
            assert_eq!(moment.to_string(), printed, "{text}");
            assert_eq!(Moment::parse(printed, Some(now())), Ok(moment), "{text}");
        }
        for text in ["", "now-", "now-1", "now-1x", "now1h", "now--1h", "gestern", "2026", "2026-13-01", "2026-11-21T", "14:00", "now-+1h"]
        {
            assert_eq!(Moment::parse(text, Some(now())), Err(MomentError::Unknown), "{text}");
        }
        assert_eq!(Moment::parse("now-1h", None), Err(MomentError::NoNow));
    }

    #[test]
    fn widths_as_people_write_them() {
        for (text, printed) in [
            ("1m", Some("1m")),
            ("60m", Some("1h")),
            ("90m", Some("90m")),
            ("24h", Some("1d")),
            ("2w", Some("14d")),
            ("366d", Some("366d")),
            ("367d", None),
            ("36h", None),
            ("0h", None),
            ("h", None),
            ("", None),
            ("-1h", None),
            ("1y", None),
        ] {
            assert_eq!(Width::parse(text).map(|width| width.to_string()).as_deref(), printed, "{text}");
        }
    }

    #[test]
    fn bars_begin_at_german_midnights() {
        for (width, at, start, next) in [
            ("1h", "2026-11-21T12:34:56Z", "2026-11-21T12:00:00Z", "2026-11-21T13:00:00Z"),
            ("6h", "2026-07-01T12:00:00Z", "2026-07-01T10:00:00Z", "2026-07-01T16:00:00Z"),
            ("1d", "2026-11-20T23:00:00Z", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"),
            ("1d", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            // The last bar of a day of 23 hours is cut short.
            ("6h", "2026-03-29T21:00:00Z", "2026-03-29T17:00:00Z", "2026-03-29T22:00:00Z"),
            // 2026-11-21 is a Saturday.
            ("1w", "2026-11-21T12:00:00Z", "2026-11-15T23:00:00Z", "2026-11-22T23:00:00Z"),
        ] {
            let stamp = |text: &str| Timestamp::parse_rfc3339(text).unwrap();
            let bar = Width::parse(width).unwrap().bar(stamp(at));
            assert_eq!((bar.0.rfc3339(), bar.1.rfc3339()), (stamp(start).rfc3339(), stamp(next).rfc3339()), "{width} {at}");
        }
    }

    proptest! {
        #[test]
        fn bars_join_without_gaps(at in -4_000_000_000_000i64..8_000_000_000_000, width in prop::sample::select(vec!["7s", "1m", "1h", "5h", "1d", "3d", "1w"])) {
            let width = Width::parse(width).unwrap();
            let (start, next) = width.bar(Timestamp(at));
            prop_assert!(start.0 <= at && at < next.0);
            prop_assert_eq!(width.bar(start), (start, next));
            prop_assert_eq!(width.bar(next.plus(-1)), (start, next));
            prop_assert_eq!(width.bar(next).0, next);
        }

        #[test]
        fn nothing_makes_it_panic(text in "(now)?[-+0-9.:TZ smhdw]{0,25}|.{0,12}") {
            if let Ok(moment) = Moment::parse(&text, Some(now())) {
                prop_assert_eq!(Moment::parse(&moment.to_string(), Some(now())), Ok(moment));
            }
            let _ = Width::parse(&text).map(|width| width.bar(now()));
        }
    }
}
