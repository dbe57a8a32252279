//! The grid with a hundred thousand invented rows: shown beside the other components, and what its speed is measured on.
//! A row follows from its number alone, so that none of them has to be kept.

use askama::Template;
use ingest::time::Timestamp;

use super::range::Range;
use super::value::{Value, Values};
use crate::show::{self, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::tf;

const ROWS: u64 = 100_000;
/// Rows of one page, and the most that one request gets.
const PAGE_ROWS: u64 = 100;
const SEARCH_CHARS_MAX: usize = 200;

struct Row {
    n: u64,
    time: String,
    host: Value,
    user: Value,
    message: String,
    href: String,
}

/// A page of rows, and how it hangs together with the others.
struct Rows {
    rows: Vec<Row>,
    total: u64,
    page: u64,
    /// The number of the row that a search found.
    found: String,
    before: String,
    after: String,
}

#[derive(Template)]
#[template(path = "raster.html")]
struct RasterPage {
    frame: Frame,
    rows: Rows,
}

#[derive(Template)]
#[template(path = "raster_rows.html")]
struct RasterRows {
    rows: Rows,
}

#[derive(Template)]
#[template(path = "raster_row.html")]
struct RasterRow {
    frame: Frame,
    row: Row,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let from = number(ask, "ab").unwrap_or(0).min(ROWS - 1);
    let frame = ask.frame(&tf("Raster mit {n} Zeilen", &[("n", &show::num(ROWS))]), Place::Elsewhere);
    ask.page(&RasterPage { frame, rows: page(ask, from, PAGE_ROWS) })
}

pub(in crate::web) fn rows(ask: &mut Ask) -> Reply {
    let from = number(ask, "ab").unwrap_or(0);
    let wanted: String = ask.query("finden").trim().to_lowercase().chars().take(SEARCH_CHARS_MAX).collect();
    if !wanted.is_empty() {
        let found = find(&wanted, from, ask.query("schritt") == "-1");
        let found = found.map(|n| n.to_string()).unwrap_or_default();
        return ask.page(&RasterRows { rows: Rows { found, ..page(ask, from, 0) } });
    }
    ask.page(&RasterRows { rows: page(ask, from, number(ask, "n").unwrap_or(PAGE_ROWS).min(PAGE_ROWS)) })
}

pub(in crate::web) fn row(ask: &mut Ask) -> Reply {
    let n = ask.param("n").parse().ok().filter(|n| *n < ROWS).ok_or(PageError::NotFound)?;
    let (frame, range) = (ask.frame(&tf("Zeile {n}", &[("n", &show::num(n))]), Place::Elsewhere), Range::of(ask, "24h"));
    ask.page(&RasterRow { frame, row: made(&Values::new(ask, "/suche", "", &range, vec![]), n) })
}

fn number(ask: &Ask, name: &str) -> Option<u64> {
    ask.query(name).parse().ok()
}

fn page(ask: &Ask, from: u64, count: u64) -> Rows {
    let range = Range::of(ask, "24h");
    let values = Values::new(ask, "/suche", "", &range, vec![]);
    let to = from.saturating_add(count).min(ROWS);
    let link = |from: u64| show::link("/bausteine/raster", &[("ab", &from.to_string())]);
    Rows {
        rows: (from..to).map(|n| made(&values, n)).collect(),
        total: ROWS,
        page: PAGE_ROWS,
        found: String::new(),
        before: if from > 0 { link(from.saturating_sub(PAGE_ROWS)) } else { String::new() },
        after: if to < ROWS { link(to) } else { String::new() },
    }
}

/// The next row behind `from` (or before it) that holds `wanted` in any of its columns.
fn find(wanted: &str, from: u64, back: bool) -> Option<u64> {
    let holds = |n: &u64| {
        let (time, host, user, message) = written(*n);
        [n.to_string(), time, host, user, message].iter().any(|text| text.to_lowercase().contains(wanted))
    };
    if back { (0..from.min(ROWS)).rev().find(holds) } else { (from.saturating_add(1)..ROWS).find(holds) }
}

fn made(values: &Values<'_>, n: u64) -> Row {
    let (time, host, user, message) = written(n);
    Row {
        n,
        time,
        host: values.of("host.name", &host),
        user: values.of("user.name", &user),
        message,
        href: format!("/bausteine/raster/{n}"),
    }
}

/// Time, host, account and message of a row.
fn written(n: u64) -> (String, String, String, String) {
    /// 2026-11-21, 14:00 in Erfurt; the rows go back from there.
    const NEWEST: Timestamp = Timestamp(1_795_266_000_000);
    const HOSTS: [&str; 5] = ["rathaus-mail", "rathaus-dc1", "stadtwerke-fw", "schule-web", "bauhof-nas"];
    const USERS: [&str; 4] = ["root", "m.beispiel", "backup", "svc-web"];
    const WORDS: [&str; 4] = ["Failed password for", "Accepted publickey for", "session opened for user", "Connection closed by"];
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
    let pick = |words: &[&'static str], shift: u32| {
        let at = usize::try_from((mixed >> shift) % words.len().max(1) as u64).unwrap_or(0);
        words.get(at).copied().unwrap_or_default()
    };
    let at = NEWEST.plus(-i64::try_from(n).unwrap_or(0) * 377);
    let (host, user) = (pick(&HOSTS, 3), pick(&USERS, 23));
    let message = format!("{} {user} from 203.0.113.{} port {} ssh2", pick(&WORDS, 41), mixed % 254 + 1, 1_024 + mixed % 60_000);
    (show::precise(at), host.to_owned(), user.to_owned(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_found_from_anywhere_in_both_directions() {
        for (wanted, from, back, expected) in [
            ("99999", 0, false, Some(99_999)),
            ("99999", 99_999, false, None),
            ("rathaus-mail 99999", 0, false, None),
            ("rathaus", u64::MAX, false, None),
        ] {
            assert_eq!(find(wanted, from, back), expected, "{wanted} from {from}");
        }
        let next = find("bauhof", 50, false).unwrap();
        assert_eq!(find("bauhof", next + 1, true), Some(next));
        assert_eq!(written(7), written(7));
    }
}
