//! Periods of the KPIs: half-years, quarters and months of the calendar in Germany.

use chrono::{Datelike, NaiveDate, TimeZone};
use chrono_tz::Europe::Berlin;
use ingest::time::Timestamp;
use serde::Serialize;

/// A stretch of time with its name; `to` is exclusive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Period {
    /// As in addresses and on the command line: `2026-H1`, `2026-Q3`, `2026-11`.
    pub key: String,
    /// As people read it: `1. Halbjahr 2026`.
    pub label: String,
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Period {
    pub fn contains(&self, moment: Timestamp) -> bool {
        self.from <= moment && moment < self.to
    }

    /// The one before, of the same length.
    pub fn previous(&self) -> Option<Self> {
        period_containing(self.length(), self.from.plus(-1))
    }

    /// The other quarter of a quarter's half-year.
    pub fn sibling(&self) -> Option<Self> {
        let (year, quarter) = self.key.split_once("-Q")?;
        let other = match quarter {
            "1" => 2,
            "2" => 1,
            "3" => 4,
            _ => 3,
        };
        period_parse(&format!("{year}-Q{other}"))
    }

    /// `H`, `Q` or `M`.
    pub fn length(&self) -> char {
        self.key.chars().nth(5).filter(char::is_ascii_alphabetic).unwrap_or('M')
    }
}

/// The half-year (`H`), quarter (`Q`) or month (`M`) that holds a moment.
pub fn period_containing(length: char, moment: Timestamp) -> Option<Period> {
    let local = moment.utc().with_timezone(&Berlin);
    let (year, month) = (local.year(), local.month0());
    match length {
        'H' => period_parse(&format!("{year}-H{}", month / 6 + 1)),
        'Q' => period_parse(&format!("{year}-Q{}", month / 3 + 1)),
        _ => period_parse(&format!("{year}-{:02}", month + 1)),
    }
}

/// Reads a period's key; `None` where it is none.
pub fn period_parse(key: &str) -> Option<Period> {
    const MONTHS: [&str; 12] =
        ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"];
    let (year, part) = key.split_once('-')?;
    let year: i32 = year.parse().ok().filter(|year| (2000..2200).contains(year))?;
    let (first, months, label) = if let Some(half) = part.strip_prefix('H') {
        let half: u32 = half.parse().ok().filter(|half| (1..=2).contains(half))?;
        (half * 6 - 5, 6, format!("{half}. Halbjahr {year}"))
    } else if let Some(quarter) = part.strip_prefix('Q') {
        let quarter: u32 = quarter.parse().ok().filter(|quarter| (1..=4).contains(quarter))?;
        (quarter * 3 - 2, 3, format!("{quarter}. Quartal {year}"))
    } else {
        let month: u32 = part.parse().ok().filter(|month| part.len() == 2 && (1..=12).contains(month))?;
        (month, 1, format!("{} {year}", MONTHS.get(month as usize - 1)?))
    };
    let end = first + months;
    let (end_year, end_month) = if end > 12 { (year + 1, end - 12) } else { (year, end) };
    Some(Period { key: key.to_owned(), label, from: midnight(year, first)?, to: midnight(end_year, end_month)? })
}

/// The first moment of a month in Germany.
fn midnight(year: i32, month: u32) -> Option<Timestamp> {
    let day = NaiveDate::from_ymd_opt(year, month, 1)?.and_hms_opt(0, 0, 0)?;
    Berlin.from_local_datetime(&day).earliest().map(|moment| Timestamp(moment.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_and_end_at_german_midnight() {
        for (key, label, from, to) in [
            ("2026-H1", "1. Halbjahr 2026", "2025-12-31T23:00:00.000Z", "2026-06-30T22:00:00.000Z"),
            ("2026-H2", "2. Halbjahr 2026", "2026-06-30T22:00:00.000Z", "2026-12-31T23:00:00.000Z"),
            ("2026-Q2", "2. Quartal 2026", "2026-03-31T22:00:00.000Z", "2026-06-30T22:00:00.000Z"),
            ("2026-03", "März 2026", "2026-02-28T23:00:00.000Z", "2026-03-31T22:00:00.000Z"),
        ] {
            let period = period_parse(key).unwrap();
            assert_eq!((period.label.as_str(), period.from.rfc3339(), period.to.rfc3339()), (label, from.into(), to.into()));
            assert!(period.contains(period.from) && !period.contains(period.to));
        }
        for bad in ["", "2026", "2026-H3", "2026-Q0", "2026-13", "2026-1", "1999-H1", "x-H1"] {
            assert_eq!(period_parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_previous_period_ends_where_this_begins() {
        for key in ["2026-H1", "2026-Q1", "2026-01"] {
            let period = period_parse(key).unwrap();
            let before = period.previous().unwrap();
            assert_eq!(before.to, period.from);
            assert_eq!(before.length(), period.length());
        }
    }

    #[test]
    fn a_quarter_and_its_sibling_make_a_half_year() {
        for (key, sibling) in [("2026-Q1", "2026-Q2"), ("2026-Q2", "2026-Q1"), ("2026-Q3", "2026-Q4"), ("2026-Q4", "2026-Q3")] {
            let (quarter, other) = (period_parse(key).unwrap(), period_parse(key).unwrap().sibling().unwrap());
            let half = period_containing('H', quarter.from).unwrap();
            assert_eq!((other.key.as_str(), half.from, half.to), (sibling, quarter.from.min(other.from), quarter.to.max(other.to)));
        }
        assert_eq!(period_parse("2026-H1").unwrap().sibling(), None);
    }
}
