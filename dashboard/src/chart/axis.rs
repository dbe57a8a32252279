//! Labels along the lower edge: which of them fit at which width, and where a stretch of time has its ticks. Times are
//! those of Europe/Berlin; in the night in which an hour comes twice each of the two says which it is.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};
use ingest::time::Timestamp;

use crate::show::{self, ZONE};
use crate::words::{Language, language};

/// The widths in pixels for which labels are chosen: the least of a phone (320 px less the page's and the card's
/// edges), of half a page, of a whole one. The container rules in chart.css switch between them.
pub(super) const WIDTHS: [f64; 3] = [250.0, 400.0, 700.0];
/// A digit's width at the 11 px that labels have, in the widest of the fonts that may come up.
pub(super) const CHAR_PX: f64 = 7.0;
/// Least distance of two labels.
const GAP_PX: f64 = 10.0;

/// A text at a share of the width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    pub(super) at: f64,
    pub(super) text: String,
}

/// A label that is shown at some of the widths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) at: f64,
    pub(super) text: String,
    pub(super) anchor: &'static str,
    /// `w0 w2`
    pub(super) classes: String,
}

pub(super) fn text_px(text: &str) -> f64 {
    text.chars().count() as f64 * CHAR_PX
}

/// The text, or its beginning, in at most so many pixels.
pub(super) fn cut(text: &str, px: f64) -> String {
    let max = (px / CHAR_PX).floor().max(2.0) as usize;
    match text.chars().count() {
        count if count <= max => text.to_owned(),
        _ => text.chars().take(max - 1).chain(['…']).collect(),
    }
}

/// Of each width's labels those that do not run into each other or over the edges. `gutter` is what the drawing leaves
/// free on its left.
pub(super) fn place(sets: &[Vec<Label>; 3], gutter: f64) -> Vec<Placed> {
    let mut placed: Vec<Placed> = vec![];
    for (n, (set, width)) in sets.iter().zip(WIDTHS).enumerate() {
        let (width, mut free) = (width - gutter, f64::NEG_INFINITY);
        for label in set {
            let (x, long) = (label.at * width, text_px(&label.text));
            let (left, anchor) = match x {
                x if x - long / 2.0 < -gutter => (x, "start"),
                x if x + long / 2.0 > width => (x - long, "end"),
                x => (x - long / 2.0, "middle"),
            };
            if left < free || left < -gutter || left + long > width + 1.0 {
                continue;
            }
            free = left + long + GAP_PX;
            let same = |old: &&mut Placed| old.at == label.at && old.text == label.text && old.anchor == anchor;
            match placed.iter_mut().find(same) {
                Some(old) => old.classes.push_str(&format!(" w{n}")),
                None => placed.push(Placed { at: label.at, text: label.text.clone(), anchor, classes: format!("w{n}") }),
            }
        }
    }
    placed.sort_by(|a, b| a.at.total_cmp(&b.at));
    placed
}

/// Evenly spread categories: every one, every second, third … as fits. `at` says where the n-th stands.
pub(super) fn categories(names: &[String], gutter: f64, at: impl Fn(usize) -> f64) -> [Vec<Label>; 3] {
    WIDTHS.map(|width| {
        let (width, count) = (width - gutter, names.len().max(1));
        let longest = names.iter().map(|name| text_px(name)).fold(0.0, f64::max).min(width / 2.0);
        let slot = width / count as f64;
        let stride = ((longest + GAP_PX) / slot).ceil().max(1.0) as usize;
        let kept = names.iter().enumerate().step_by(stride);
        kept.map(|(n, name)| Label { at: at(n), text: cut(name, (slot * stride as f64 - GAP_PX).max(width / 4.0).min(width / 2.0)) })
            .collect()
    })
}

/// The round moments between two, as many as fit.
pub(super) fn times(from: Timestamp, to: Timestamp, gutter: f64) -> [Vec<Label>; 3] {
    let (from, to) = span(from, to);
    WIDTHS.map(|width| {
        let step = Step::of(to.since(from), ((width - gutter) / 60.0) as i64);
        let at = |moment: Timestamp| moment.since(from) as f64 / to.since(from) as f64;
        step.between(from, to).into_iter().map(|moment| Label { at: at(moment), text: step.text(moment) }).collect()
    })
}

/// Years outside of these are drawn at their edge: nothing that a page shows lies there, and calendars end somewhere.
const YEARS: [Timestamp; 2] = [Timestamp(-2_208_988_800_000), Timestamp(7_258_118_400_000)];

fn sane(at: Timestamp) -> Timestamp {
    let [first, last] = YEARS;
    at.clamp(first, last)
}

/// A stretch of time that has a length and lies within the calendar.
pub(super) fn span(from: Timestamp, to: Timestamp) -> (Timestamp, Timestamp) {
    let from = sane(from);
    (from, sane(to).max(from.plus(1)))
}

/// A moment as rows and sentences name it: `21.11.2026, 14:02`; with the seconds where they are told apart by them.
pub(super) fn moment(at: Timestamp, seconds: bool) -> String {
    let at = sane(at);
    let text = if seconds { show::stamp_seconds(at) } else { show::stamp(at) };
    format!("{text}{}", season(at))
}

/// ` MESZ` or ` MEZ` for a time that comes twice, else nothing.
fn season(at: Timestamp) -> &'static str {
    let local = local(at);
    match ZONE.from_local_datetime(&local) {
        chrono::LocalResult::Ambiguous(first, _) if first.timestamp_millis() == at.0 => " MESZ",
        chrono::LocalResult::Ambiguous(..) => " MEZ",
        _ => "",
    }
}

fn local(at: Timestamp) -> NaiveDateTime {
    at.utc().with_timezone(&ZONE).naive_local()
}

/// The distance of two ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Seconds(i64),
    Hours(i64),
    Days(i64),
    Months(i64),
    Years(i64),
}

const STEPS: [Step; 24] = [
    Step::Seconds(1),
    Step::Seconds(5),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(60),
    Step::Seconds(120),
    Step::Seconds(300),
    Step::Seconds(600),
    Step::Seconds(1_800),
    Step::Hours(1),
    Step::Hours(2),
    Step::Hours(3),
    Step::Hours(6),
    Step::Hours(12),
    Step::Days(1),
    Step::Days(2),
    Step::Days(7),
    Step::Days(14),
    Step::Months(1),
    Step::Months(3),
    Step::Months(6),
    Step::Years(1),
    Step::Years(5),
    Step::Years(50),
];

impl Step {
    /// The shortest of which no more than `max` fit into the length.
    fn of(millis: i64, max: i64) -> Self {
        STEPS.into_iter().find(|step| millis / step.millis() <= max.max(2)).unwrap_or(Self::Years(100))
    }

    fn millis(self) -> i64 {
        match self {
            Self::Seconds(count) => count * Timestamp::SECOND,
            Self::Hours(count) => count * Timestamp::HOUR,
            Self::Days(count) => count * Timestamp::DAY,
            Self::Months(count) => count * 30 * Timestamp::DAY,
            Self::Years(count) => count * 365 * Timestamp::DAY,
        }
    }

    /// Round by the clock on the wall, not by that of the computer.
    fn between(self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let all: Vec<Timestamp> = match self {
            Self::Seconds(count) => stride(from, to, count * Timestamp::SECOND),
            Self::Hours(count) => {
                let hours = stride(from, to, Timestamp::HOUR).into_iter();
                hours.filter(|at| i64::from(local(*at).hour()) % count == 0).collect()
            }
            Self::Days(count) => {
                let days = local(from).date().iter_days().take_while(|day| *day <= local(to).date());
                let round = |day: &NaiveDate| match count {
                    // Mondays, for weeks.
                    7 | 14 => i64::from(day.num_days_from_ce() - 1) % count == 0,
                    count => i64::from(day.day0()) % count == 0,
                };
                days.filter(round).filter_map(midnight).collect()
            }
            Self::Months(count) => months(from, to).filter(|day| i64::from(day.month0()) % count == 0).filter_map(midnight).collect(),
            Self::Years(count) => {
                months(from, to).filter(|day| day.month0() == 0 && i64::from(day.year()) % count == 0).filter_map(midnight).collect()
            }
        };
        all.into_iter().filter(|at| *at >= from && *at <= to).collect()
    }

    fn text(self, at: Timestamp) -> String {
        let local = local(at);
        let english = language() == Language::English;
        let text = match self {
            Self::Seconds(count) if count < 60 => local.format("%H:%M:%S"),
            Self::Seconds(_) | Self::Hours(_) if (local.hour(), local.minute()) != (0, 0) => local.format("%H:%M"),
            Self::Seconds(_) | Self::Hours(_) | Self::Days(_) => local.format(if english { "%-d %b" } else { "%d.%m." }),
            Self::Months(_) => local.format(if english { "%b %Y" } else { "%m/%Y" }),
            Self::Years(_) => local.format("%Y"),
        };
        format!("{text}{}", season(at))
    }
}

fn stride(from: Timestamp, to: Timestamp, millis: i64) -> Vec<Timestamp> {
    let first = from.0.div_euclid(millis) * millis;
    (0..).map(|n| Timestamp(first + n * millis)).take_while(|at| *at <= to).collect()
}

fn midnight(day: NaiveDate) -> Option<Timestamp> {
    ZONE.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest().map(|at| Timestamp::from_utc(at.to_utc()))
}

/// The first days of the months from that of `from` on.
fn months(from: Timestamp, to: Timestamp) -> impl Iterator<Item = NaiveDate> {
    let first = local(from).date().with_day(1);
    let last = local(to).date();
    std::iter::successors(first, |day| day.checked_add_months(chrono::Months::new(1))).take_while(move |day| *day <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        show::local_parse(text).unwrap()
    }

    fn check(from: Timestamp, to: Timestamp, expected: [&str; 3]) {
        let placed = place(&times(from, to, 40.0), 40.0);
        for (n, expected) in expected.iter().enumerate() {
            let shown = |label: &&Placed| label.classes.split(' ').any(|class| class == format!("w{n}"));
            let texts: Vec<&str> = placed.iter().filter(shown).map(|label| label.text.as_str()).collect();
            assert_eq!(texts.join(" "), *expected, "{from} {to} w{n}");
        }
    }

    /// Worked out by hand.
    #[test]
    fn ticks_stand_at_round_times_of_the_wall_clock() {
        check(
            at("2026-11-21T08:00"),
            at("2026-11-22T08:00"),
            ["12:00 22.11.", "12:00 18:00 22.11. 06:00", "09:00 12:00 15:00 18:00 21:00 22.11. 03:00 06:00"],
        );
        check(
            at("2026-11-14T00:00"),
            at("2026-11-21T00:00"),
            ["15.11. 17.11. 19.11.", "15.11. 17.11. 19.11. 21.11.", "14.11. 15.11. 16.11. 17.11. 18.11. 19.11. 20.11. 21.11."],
        );
    }

    #[test]
    fn the_hour_that_comes_twice_says_which_it_is() {
        let from = Timestamp::parse_rfc3339("2026-10-24T23:00:00Z").unwrap();
        assert_eq!(moment(from.plus(Timestamp::HOUR), false), "25.10.2026, 02:00 MESZ");
        assert_eq!(moment(from.plus(2 * Timestamp::HOUR), false), "25.10.2026, 02:00 MEZ");
        assert_eq!(moment(from.plus(3 * Timestamp::HOUR), false), "25.10.2026, 03:00");
        check(
            from,
            from.plus(4 * Timestamp::HOUR),
            [
                "02:00 MESZ 04:00",
                "01:00 02:00 MESZ 02:00 MEZ 03:00 04:00",
                "01:00 01:30 02:00 MESZ 02:30 MESZ 02:00 MEZ 02:30 MEZ 03:00 03:30 04:00",
            ],
        );
    }

    #[test]
    fn labels_never_meet() {
        let names: Vec<String> = (0..40).map(|n| format!("Abschnitt {n}")).collect();
        for placed in [
            place(&categories(&names, 20.0, |n| (n as f64 + 0.5) / 40.0), 20.0),
            place(&times(Timestamp(0), Timestamp(i64::MAX), 20.0), 20.0),
        ] {
            assert!(!placed.is_empty());
            for (n, width) in WIDTHS.iter().enumerate() {
                let mut free = f64::NEG_INFINITY;
                for label in placed.iter().filter(|label| label.classes.contains(&format!("w{n}"))) {
                    let (x, long) = (label.at * (width - 20.0), text_px(&label.text));
                    let left = match label.anchor {
                        "start" => x,
                        "end" => x - long,
                        _ => x - long / 2.0,
                    };
                    assert!(left >= free, "{label:?} at {width}");
                    free = left + long;
                }
            }
        }
    }
}
