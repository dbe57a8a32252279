//! Sigma's time modifiers: the minute, hour, day, week, month or year of a time that a record writes down. The time is
//! read as it stands there; as the specification says, no time zone is reckoned with.

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};
use ingest::event::ValueRef;

/// Numbers from here on are milliseconds since 1970, smaller ones seconds: the bound is the year 5138 in seconds and
/// March 1973 in milliseconds.
const MILLIS_FROM: i64 = 100_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Minute,
    Hour,
    Day,
    /// ISO 8601's week of the year.
    Week,
    Month,
    Year,
}

impl Part {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The numbers that can ever match.
    pub(crate) fn range(self) -> std::ops::RangeInclusive<i64> {
        match self {
            Self::Minute => 0..=59,
            Self::Hour => 0..=23,
            Self::Day => 1..=31,
            Self::Week => 1..=53,
            Self::Month => 1..=12,
            Self::Year => 0..=9999,
        }
    }

    /// This part of the time in `value`; `None` where it is no time, or a date without a time of day is asked for one.
    pub(crate) fn of(self, value: ValueRef<'_>) -> Option<i64> {
        let (date, time) = match value {
            ValueRef::Str(text) => read(text)?,
            ValueRef::Int(number) => {
                let millis = if number.abs() < MILLIS_FROM { number.checked_mul(1_000)? } else { number };
                let moment = chrono::DateTime::from_timestamp_millis(millis)?;
                (moment.date_naive(), Some(moment.time()))
            }
            ValueRef::Ip(_) | ValueRef::Bool(_) => return None,
        };
        Some(match self {
            Self::Minute => i64::from(time?.minute()),
            Self::Hour => i64::from(time?.hour()),
            Self::Day => i64::from(date.day()),
            Self::Week => i64::from(date.iso_week().week()),
            Self::Month => i64::from(date.month()),
            Self::Year => i64::from(date.year()),
        })
    }
}

/// `2026-04-17`, `2026-04-17 05:24:53.079`, `2026/04/17T05:24Z`: year, month and day, then perhaps hour and minute.
fn read(text: &str) -> Option<(NaiveDate, Option<NaiveTime>)> {
    let number = |from: usize, to: usize| -> Option<u32> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let sign = |at: usize, signs: &[u8]| text.as_bytes().get(at).is_some_and(|byte| signs.contains(byte));
    if !(sign(4, b"-/") && sign(7, b"-/")) {
        return None;
    }
    let date = NaiveDate::from_ymd_opt(i32::try_from(number(0, 4)?).ok()?, number(5, 7)?, number(8, 10)?)?;
    if text.len() == 10 {
        return Some((date, None));
    }
    if !(sign(10, b"Tt ") && sign(13, b":")) {
        return None;
    }
    Some((date, Some(NaiveTime::from_hms_opt(number(11, 13)?, number(14, 16)?, 0)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// value; minute, hour, day, week, month, year.
    #[test]
    fn times_are_read_as_they_stand() {
        let parts = [Part::Minute, Part::Hour, Part::Day, Part::Week, Part::Month, Part::Year];
        let table: &[(ValueRef<'_>, [Option<i64>; 6])] = &[
            (ValueRef::Str("2026-04-17 05:24:53.079"), [24, 5, 17, 16, 4, 2026].map(Some)),
            (ValueRef::Str("2026-04-17T23:59:00+02:00"), [59, 23, 17, 16, 4, 2026].map(Some)),
            (ValueRef::Str("2027/01/01T00:00Z"), [0, 0, 1, 53, 1, 2027].map(Some)),
            (ValueRef::Str("2026-04-17"), [None, None, Some(17), Some(16), Some(4), Some(2026)]),
            (ValueRef::Int(1_776_403_493), [24, 5, 17, 16, 4, 2026].map(Some)),
            (ValueRef::Int(1_776_403_493_079), [24, 5, 17, 16, 4, 2026].map(Some)),
            (ValueRef::Str("17.04.2026"), [None; 6]),
            (ValueRef::Str("2026-13-01"), [None; 6]),
            (ValueRef::Str("2026-04-17 25:00"), [None; 6]),
            (ValueRef::Str("2026-04-1ä"), [None; 6]),
            (ValueRef::Bool(true), [None; 6]),
        ];
        for (value, expected) in table {
            assert_eq!(parts.map(|part| part.of(*value)), *expected, "{value:?}");
        }
    }
}
