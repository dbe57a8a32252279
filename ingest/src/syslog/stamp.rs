//! Times as devices write them: from a text to a `Stamp`, and from a stamp to the moment it means, which needs the time of
//! receipt and the reading of its source.

use chrono::{DateTime, MappedLocalTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::{digits, token};
use crate::event::{Defect, Defects};
use crate::source::{Reading, Year};
use crate::time::Timestamp;

/// A device's time as it wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// There is none.
    #[default]
    Absent,
    /// It has the shape of a time but is none, such as 25:00:00.
    Bad,
    /// With a zone: a moment.
    Moment(Timestamp),
    /// Without a zone, perhaps without a year.
    Civil(Civil),
}

/// A reading of calendar and clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub year: Option<i32>,
    pub month: u32,
    pub day: u32,
    pub hour: u32,
    pub minute: u32,
    pub second: u32,
    pub millis: u32,
    /// How far the clock is ahead of UTC, where the stamp says so but not its year: `Mar  1 18:48:50 CET`.
    pub offset_minutes: Option<i64>,
}

/// A device may be this far ahead of us; beyond it the clock is wrong, not the year.
const AHEAD_MAX_MILLIS: i64 = Timestamp::DAY;
/// 1990-01-01: older stamps come from devices that lost their clock, not from logs.
const OLDEST: Timestamp = Timestamp(631_152_000_000);
/// February 29th may lie this many years back (1896 to 1904, 2096 to 2104).
const LEAP_YEARS_BACK: i32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Bsd,
    IsoT,
    IsoSpace,
}

pub(super) struct FoundStamp<'a> {
    pub(super) stamp: Stamp,
    pub(super) shape: Shape,
    pub(super) rest: &'a str,
}

/// The stamp at the start of `text`; `None` where nothing has the shape of one.
pub(super) fn stamp(text: &str) -> Option<FoundStamp<'_>> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let (stamp, shape) = if text.as_bytes().first()?.is_ascii_digit() {
        match iso(&mut scan) {
            Some(found) => found,
            None => {
                scan.at = 0;
                numbers_first(&mut scan)?
            }
        }
    } else {
        words_first(&mut scan)?
    };
    let rest = text.get(scan.at..)?;
    // A stamp ends at a blank, a colon (Cisco) or a comma (Windows' CBS.log); `10:00:00abc` is none.
    (rest.is_empty() || rest.starts_with([' ', ':', ',', '\t'])).then_some(FoundStamp { stamp, shape, rest })
}

/// A text that is a stamp and nothing else: RFC 3339, its relatives without a zone, or `Mmm dd …`.
pub fn whole_stamp(text: &str) -> Option<Stamp> {
    stamp(text).filter(|found| found.rest.is_empty()).map(|found| found.stamp)
}

/// The stamp of Apache's error log, inside its brackets: `Sun Dec 04 04:47:44.123456 2005`.
pub fn weekday_stamp(text: &str) -> Option<Stamp> {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let (day, rest) = token(text);
    whole_stamp(rest).filter(|_| DAYS.contains(&day))
}

/// The day before the month: `14/Mar/2026:08:00:00 +0100` (web servers), `14/Mar/2026:08:00:00.123` (HAProxy),
/// `14-Mar-2026 08:00:00.123` (BIND).
pub fn day_first_stamp(text: &str) -> Option<Stamp> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    let day = scan.number(2)?;
    let dash = scan.any(b"/-")?;
    let month = scan.month()?;
    scan.any(&[dash])?;
    let year = scan.number(4)?;
    scan.any(b": ")?;
    let civil = clock(&mut scan, Civil::day(Some(year), month, day))?;
    let offset = scan.behind_blank(zone);
    (scan.at == text.len()).then(|| civil.stamp(offset))
}

/// Seconds, milli-, micro- or nanoseconds since 1970, told apart by their size; `None` for numbers that are
/// no time between 1985 and 2100.
pub fn epoch(number: i64) -> Option<Timestamp> {
    const SECONDS: std::ops::Range<i64> = 500_000_000..4_102_444_800;
    let unit = [1, 1_000, 1_000_000, 1_000_000_000].into_iter().find(|unit| SECONDS.contains(&(number / unit)))?;
    Some(Timestamp(if unit == 1 { number * 1_000 } else { number / (unit / 1_000) }))
}

/// `epoch` of a text, with a fraction of seconds or without.
pub fn epoch_text(text: &str) -> Option<Timestamp> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut scan = Scan { bytes: fraction.as_bytes(), at: 0 };
    let millis = scan.millis();
    let clean = scan.at == fraction.len() && digits(whole.as_bytes()) == whole.len();
    let at = epoch(whole.parse().ok().filter(|_| clean)?)?;
    Some(if whole.len() <= 10 { at.plus(i64::from(millis)) } else { at })
}

/// `2026-03-01T10:00:00.123+01:00` and its relatives: blank or T, `/` or `-`, comma or point, with a zone or without.
fn iso(scan: &mut Scan<'_>) -> Option<(Stamp, Shape)> {
    let year = scan.number(4)?;
    let dash = scan.any(b"-/")?;
    let month = scan.number(2)?;
    scan.any(&[dash])?;
    let day = scan.number(2)?;
    let shape = if scan.any(b"Tt ")? == b' ' { Shape::IsoSpace } else { Shape::IsoT };
    let civil = clock(scan, Civil::day(Some(year), month, day))?;
    let offset = zone(scan).or_else(|| scan.behind_blank(|scan| scan.zone_name().or_else(|| zone(scan))));
    Some((civil.stamp(offset), shape))
}

/// The other stamps that begin with a digit: `2026:03:14-07:59:58` (Sophos UTM), `2026 Mar 14 07:59:58` (year first),
/// `14 Mar 2026 07:59:58` and `14.03.2026 07:59:58` (day first). Slashes are left alone: nobody can tell their day from
/// their month.
fn numbers_first(scan: &mut Scan<'_>) -> Option<(Stamp, Shape)> {
    if let Some(year) = scan.number(4) {
        if scan.any(b":").is_some() {
            let month = scan.number(2)?;
            scan.any(b":")?;
            let day = scan.number(2)?;
            scan.any(b"-")?;
            let civil = clock(scan, Civil::day(Some(year), month, day))?;
            return Some((civil.stamp(None), Shape::IsoT));
        }
        scan.any(b" ")?;
        let (stamp, _) = month_first(scan, Some(year))?;
        return Some((stamp, Shape::Bsd));
    }
    let day = scan.number(2).or_else(|| scan.number(1))?;
    if scan.any(b".").is_some() {
        let month = scan.number(2)?;
        scan.any(b".")?;
        let year = scan.number(4)?;
        scan.any(b" ")?;
        let civil = clock(scan, Civil::day(Some(year), month, day))?;
        return Some((civil.stamp(None), Shape::IsoSpace));
    }
    scan.any(b" ")?;
    let month = scan.month()?;
    scan.any(b" ")?;
    let year = scan.number(4)?;
    scan.any(b" ")?;
    let civil = clock(scan, Civil::day(Some(year), month, day))?;
    let offset = scan.behind_blank(|scan| scan.zone_name().or_else(|| zone(scan)));
    Some((civil.stamp(offset), Shape::IsoSpace))
}

/// A stamp that begins with a word: a month, or the name of a day before it.
fn words_first(scan: &mut Scan<'_>) -> Option<(Stamp, Shape)> {
    const DAYS: [&[u8]; 14] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun", b"Mo", b"Di", b"Mi", b"Do", b"Fr", b"Sa", b"So"];
    if scan.month_ahead() {
        return month_first(scan, None);
    }
    let word = scan.bytes.get(..scan.bytes.iter().take(4).position(|byte| !byte.is_ascii_alphabetic())?)?;
    if !DAYS.contains(&word) {
        return None;
    }
    scan.at = word.len();
    scan.any(b",.");
    scan.blanks()?;
    let (stamp, shape) = if scan.month_ahead() { month_first(scan, None)? } else { numbers_first(scan)? };
    // `Sat Mar 14 …` without a year is a program's own, seldom a header's: believed like an ISO stamp.
    Some((stamp, if shape == Shape::Bsd { Shape::IsoT } else { shape }))
}

/// `Mmm dd [yyyy] hh:mm:ss[.fraction] [yyyy] [zone]`.
fn month_first(scan: &mut Scan<'_>, before: Option<u32>) -> Option<(Stamp, Shape)> {
    let month = scan.month()?;
    scan.blanks()?;
    let day = scan.number(2).or_else(|| scan.number(1))?;
    scan.blanks()?;
    let year = if before.is_some() { None } else { scan.year() };
    let mut civil = clock(scan, Civil::day(before, month, day))?;
    civil.year = civil.year.or(year).or_else(|| scan.behind_blank(Scan::year_end));
    let offset = scan.behind_blank(Scan::zone_name);
    // `Mar 14 07:59:58 CET 2026`, as `date` writes it.
    civil.year = civil.year.or_else(|| scan.behind_blank(Scan::year_end));
    Some((civil.stamp(offset), Shape::Bsd))
}

fn clock(scan: &mut Scan<'_>, mut civil: Civil) -> Option<Civil> {
    civil.hour = scan.number(2)?;
    scan.any(b":")?;
    civil.minute = scan.number(2)?;
    scan.any(b":")?;
    civil.second = scan.number(2)?;
    if matches!(scan.peek(), Some(b'.' | b',')) && scan.bytes.get(scan.at + 1).is_some_and(u8::is_ascii_digit) {
        scan.at += 1;
        civil.millis = scan.millis();
    }
    Some(civil)
}

/// The offset in minutes: `Z`, `+01:00`, `+0100` or `+01`.
fn zone(scan: &mut Scan<'_>) -> Option<i64> {
    let sign = match scan.any(b"Zz+-")? {
        b'+' => 1,
        b'-' => -1,
        _ => return Some(0),
    };
    let hours = scan.number(2)?;
    scan.any(b":");
    let minutes = scan.number(2).unwrap_or(0);
    Some(sign * i64::from(hours * 60 + minutes))
}

/// `+0100` and the like, as FortiGate's `tz` has it: the offset in minutes.
pub fn zone_offset(text: &str) -> Option<i64> {
    let mut scan = Scan { bytes: text.as_bytes(), at: 0 };
    zone(&mut scan).filter(|_| scan.at == text.len())
}

impl Civil {
    /// Midnight of a day.
    fn day(year: Option<u32>, month: u32, day: u32) -> Self {
        let year = year.and_then(|year| i32::try_from(year).ok());
        Self { year, month, day, hour: 0, minute: 0, second: 0, millis: 0, offset_minutes: None }
    }

    /// The stamp that it makes: a moment where zone and year are known; `Bad` where there is no such day or hour.
    fn stamp(self, offset_minutes: Option<i64>) -> Stamp {
        let stamp = match offset_minutes {
            Some(offset) if self.year.is_some() => self.moment(offset).map(Stamp::Moment),
            _ => self.valid().then_some(Stamp::Civil(Self { offset_minutes, ..self })),
        };
        stamp.unwrap_or(Stamp::Bad)
    }

    fn valid(self) -> bool {
        // Without a year, February may have 29 days.
        let leap = self.year.is_none_or(|year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
        let days = match self.month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let day = (1..=12).contains(&self.month) && (1..=days).contains(&self.day);
        // 60 is a leap second.
        day && self.hour < 24 && self.minute < 60 && self.second <= 60
    }

    /// The moment where the clock is `offset_minutes` ahead of UTC; `None` without a valid date and year.
    pub fn moment(self, offset_minutes: i64) -> Option<Timestamp> {
        let year = i64::from(self.year.filter(|_| self.valid())?);
        // Days since 1970 in the proleptic Gregorian calendar, years beginning in March.
        let (year, month) = if self.month <= 2 { (year - 1, i64::from(self.month) + 9) } else { (year, i64::from(self.month) - 3) };
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
        let seconds = (days * 24 + i64::from(self.hour)) * 3600 + (i64::from(self.minute) - offset_minutes) * 60 + i64::from(self.second);
        Some(Timestamp(seconds * 1000 + i64::from(self.millis)))
    }

    fn in_zone(self, zone: Tz) -> Option<Timestamp> {
        if let Some(offset_minutes) = self.offset_minutes {
            return self.moment(offset_minutes);
        }
        let as_utc = self.moment(0)?;
        let naive = DateTime::from_timestamp_millis(as_utc.0)?.naive_utc();
        let offset_secs = match zone.offset_from_local_datetime(&naive) {
            // An hour that the clocks show twice is taken as the first of the two.
            MappedLocalTime::Single(offset) | MappedLocalTime::Ambiguous(offset, _) => offset.fix().local_minus_utc(),
            // An hour that the clocks leave out is reckoned as if they had not been moved yet.
            MappedLocalTime::None => {
                let before = naive.checked_sub_signed(chrono::TimeDelta::hours(3))?;
                zone.offset_from_local_datetime(&before).earliest()?.fix().local_minus_utc()
            }
        };
        Some(as_utc.plus(-i64::from(offset_secs) * 1000))
    }
}

/// When it happened: the device's time where it can be believed, else the time of receipt and a defect.
pub fn moment(stamp: Stamp, received_at: Timestamp, reading: impl Into<Reading>) -> (Timestamp, Defects) {
    let mut defects = Defects::default();
    if matches!(stamp, Stamp::Civil(Civil { year: None, .. })) {
        defects.add(Defect::NoYear);
    }
    match as_written(stamp, received_at, reading) {
        Some(at) if at.since(received_at) > AHEAD_MAX_MILLIS => defects.add(Defect::FutureTime),
        Some(at) if at >= OLDEST => return (at, defects),
        _ => defects.add(Defect::BadTimestamp),
    }
    (received_at, defects)
}

/// The moment that a stamp says, believable or not.
pub fn as_written(stamp: Stamp, received_at: Timestamp, reading: impl Into<Reading>) -> Option<Timestamp> {
    let Reading { zone, year } = reading.into();
    match stamp {
        Stamp::Absent | Stamp::Bad => None,
        Stamp::Moment(at) => Some(at),
        Stamp::Civil(civil) if civil.year.is_some() => civil.in_zone(zone),
        Stamp::Civil(civil) => match year {
            Year::Nearest => nearest_year(civil, received_at, zone),
            Year::Fixed(year) => Civil { year: Some(year), ..civil }.in_zone(zone),
        },
    }
}

/// The year that puts the stamp nearest to the time of receipt, but at most a day ahead of it.
fn nearest_year(civil: Civil, received_at: Timestamp, zone: Tz) -> Option<Timestamp> {
    let year = chrono::Datelike::year(&received_at.utc());
    (year - LEAP_YEARS_BACK..=year + 1).rev().find_map(|year| {
        let civil = Civil { year: Some(year), ..civil };
        // A zone is at most 14 hours off: most wrong years fall here, without asking the zone's table.
        civil.moment(0).filter(|rough| rough.since(received_at) <= 2 * AHEAD_MAX_MILLIS)?;
        civil.in_zone(zone).filter(|at| at.since(received_at) <= AHEAD_MAX_MILLIS)
    })
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn any(&mut self, of: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|byte| of.contains(byte))?;
        self.at += 1;
        Some(byte)
    }

    fn blanks(&mut self) -> Option<()> {
        self.any(b" ")?;
        // `Dec  1`; more blanks than two are no stamp.
        self.any(b" ");
        Some(())
    }

    /// Exactly `digits` digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let mut number = 0;
        for byte in self.bytes.get(self.at..self.at + digits)? {
            if !byte.is_ascii_digit() {
                return None;
            }
            number = number * 10 + u32::from(byte - b'0');
        }
        self.at += digits;
        Some(number)
    }

    /// The digits of a fraction, of which the first three count.
    fn millis(&mut self) -> u32 {
        let (mut millis, mut weight) = (0, 100);
        while let Some(byte) = self.peek().filter(u8::is_ascii_digit) {
            millis += u32::from(byte - b'0') * weight;
            weight /= 10;
            self.at += 1;
        }
        millis
    }

    fn month_ahead(&self) -> bool {
        Scan { bytes: self.bytes, at: self.at }.month().is_some()
    }

    /// A month's short name in English or German, in whatever case.
    fn month(&mut self) -> Option<u32> {
        const MARCH: &[u8] = "Mär".as_bytes();
        if self.bytes.get(self.at..)?.starts_with(MARCH) {
            self.at += MARCH.len();
            return Some(3);
        }
        let mut name: [u8; 3] = self.bytes.get(self.at..self.at + 3)?.try_into().ok()?;
        name.make_ascii_lowercase();
        let month = match &name {
            b"jan" => 1,
            b"feb" => 2,
            b"mar" | b"mrz" => 3,
            b"apr" => 4,
            b"may" | b"mai" => 5,
            b"jun" => 6,
            b"jul" => 7,
            b"aug" => 8,
            b"sep" => 9,
            b"oct" | b"okt" => 10,
            b"nov" => 11,
            b"dec" | b"dez" => 12,
            _ => return None,
        };
        self.at += 3;
        Some(month)
    }

    /// `2026 ` before the time.
    fn year(&mut self) -> Option<i32> {
        let start = self.at;
        let year = self.number(4).filter(|year| (1970..2100).contains(year));
        match year.and_then(|year| self.any(b" ").map(|_| year)) {
            Some(year) => i32::try_from(year).ok(),
            None => {
                self.at = start;
                None
            }
        }
    }

    /// `2026` behind the time, if the word ends there: a host may begin with digits.
    fn year_end(&mut self) -> Option<i32> {
        let year = self.number(4).filter(|year| (1970..2100).contains(year))?;
        matches!(self.peek(), None | Some(b' ' | b':')).then_some(())?;
        i32::try_from(year).ok()
    }

    /// The zones' names that devices in Germany write, in minutes.
    fn zone_name(&mut self) -> Option<i64> {
        let rest = self.bytes.get(self.at..)?;
        let end = rest.iter().position(|byte| !byte.is_ascii_uppercase()).unwrap_or(rest.len());
        let offset = match rest.get(..end)? {
            b"UTC" | b"GMT" | b"WET" => 0,
            b"CET" | b"MEZ" | b"WEST" => 60,
            b"CEST" | b"MESZ" | b"EET" => 120,
            b"EEST" | b"MSK" => 180,
            _ => return None,
        };
        self.at += end;
        matches!(self.peek(), None | Some(b' ' | b':')).then_some(offset)
    }

    /// Reads something behind one blank, or nothing at all.
    fn behind_blank<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let found = self.any(b" ").and_then(|_| read(self));
        if found.is_none() {
            self.at = start;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;
    use proptest::prelude::*;

    use super::*;

    const RECEIVED: Timestamp = Timestamp(1_773_471_600_000);

    #[test]
    fn calendar_arithmetic_agrees_with_rfc3339() {
        for text in ["1990-01-01T00:00:00Z", "2000-02-29T23:59:59.999Z", "2024-12-31T12:00:00+14:00", "2099-03-01T00:00:00-11:30"] {
            let expected = Timestamp::parse_rfc3339(text).unwrap();
            assert_eq!(whole_stamp(text), Some(Stamp::Moment(expected)), "{text}");
        }
    }

    #[test]
    fn times_that_are_none_are_bad_and_other_words_are_no_times() {
        for text in ["2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "Feb 30 00:00:00", "Jan 0 00:00:00"] {
            assert_eq!(whole_stamp(text), Some(Stamp::Bad), "{text}");
        }
        for text in
            ["", "2026", "2026-01-01", "2026-01-01T00:00", "2026-01-01T00:00:00Zx", "Jan 1", "Foo 1 00:00:00", "2026-01/01 00:00:00"]
        {
            assert_eq!(whole_stamp(text), None, "{text}");
        }
    }

    #[test]
    fn an_epoch_is_told_by_its_size() {
        let at = Timestamp(1_773_471_598_000);
        for number in [1_773_471_598, 1_773_471_598_000, 1_773_471_598_000_000, 1_773_471_598_000_000_000] {
            assert_eq!(epoch(number), Some(at), "{number}");
        }
        for number in [0, 7, -1_773_471_598, i64::MAX, i64::MIN] {
            assert_eq!(epoch(number), None, "{number}");
        }
        assert_eq!(epoch_text("1773471598.25"), Some(at.plus(250)));
        assert_eq!(epoch_text("1773471598.x"), None);
    }

    proptest! {
        /// A stamp without its year comes back to the moment it was taken from, for any moment of the year past.
        #[test]
        fn the_nearest_year_is_found(age_secs in -86_000i64..31_000_000) {
            let at = RECEIVED.plus(-age_secs * 1000);
            let local = at.utc().with_timezone(&Berlin);
            let text = local.format("%b %e %H:%M:%S").to_string();
            let (read, defects) = moment(whole_stamp(&text).unwrap(), RECEIVED, Berlin);
            prop_assert!(defects.contains(Defect::NoYear));
            // The hour that the clocks show twice is read as its first.
            prop_assert!(read == at || at.since(read) == Timestamp::HOUR, "{text}: {read} for {at}");
        }
    }
}
