//! How things are shown to people: German numbers, dates in Europe/Berlin, durations, badges, and data from logs
//! made harmless. The only place that makes markup outside the templates, apart from the charts.

use std::fmt::{self, Write as _};

use chrono::{Datelike, TimeZone};
use ingest::time::Timestamp;

use crate::words::{self, Language, t};

/// The zone of everybody who reads these pages.
pub const ZONE: chrono_tz::Tz = chrono_tz::Europe::Berlin;

/// Finished markup that the templates do not escape again. Only `show`, `chart` and nothing else make it, and
/// every piece of data goes through `escape` on the way in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Markup(String);

impl Markup {
    pub(crate) fn trusted(markup: String) -> Self {
        Self(markup)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Markup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// Text for element content and quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for ch in text.chars() {
        match ch {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(ch),
        }
    }
    out
}

/// Longer values are cut on the page; the whole one is in the download and the API.
const SHOWN_CHARS_MAX: usize = 4_096;

/// A value from a log, a mail or a form, as a reader may see it: isolated in its direction, with control, bidi and
/// invisible characters as marked symbols, so that nothing can pose as something else.
pub fn shown(text: &str) -> Markup {
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str("<bdi>");
    for (n, ch) in text.chars().enumerate() {
        if n == SHOWN_CHARS_MAX {
            let _ = write!(out, "<span class=\"ctl\" title=\"{}\">…</span>", escape(t("gekürzt")));
            break;
        }
        match (ch, symbol(ch)) {
            (_, Some(symbol)) => {
                let _ = write!(out, "<span class=\"ctl\" title=\"U+{:04X}\">{symbol}</span>", u32::from(ch));
            }
            ('&', None) => out.push_str("&amp;"),
            ('<', None) => out.push_str("&lt;"),
            ('>', None) => out.push_str("&gt;"),
            ('"', None) => out.push_str("&quot;"),
            ('\'', None) => out.push_str("&#39;"),
            (ch, None) => out.push(ch),
        }
    }
    out.push_str("</bdi>");
    Markup(out)
}

/// The same for a terminal: plain text in which nothing can move the cursor, ring, or turn the line around.
pub fn safe(text: &str) -> String {
    text.chars().map(|ch| if ch == '\t' { " ".into() } else { symbol(ch).unwrap_or_else(|| ch.into()) }).collect()
}

/// The visible stand-in of a character that is invisible or changes how its neighbours are read.
fn symbol(ch: char) -> Option<String> {
    let code = u32::from(ch);
    match code {
        // Unicode has pictures for the C0 controls and for DEL.
        0..=0x1F => char::from_u32(0x2400 + code).map(String::from),
        0x7F => Some('\u{2421}'.into()),
        0x80..=0x9F
        | 0xAD
        | 0x034F
        | 0x061C
        | 0x115F..=0x1160
        | 0x17B4..=0x17B5
        | 0x180B..=0x180F
        | 0x200B..=0x200F
        | 0x2028..=0x202E
        | 0x2060..=0x206F
        // Braille's blank: a letter to programs, nothing to the eye.
        | 0x2800
        | 0x3164
        | 0xFE00..=0xFE0F
        | 0xFEFF
        | 0xFFA0
        | 0xFFF0..=0xFFFB
        // Egyptian and shorthand formatting, music, tags and the second set of variation selectors.
        | 0x13430..=0x1343F
        | 0x1BCA0..=0x1BCA3
        | 0x1D173..=0x1D17A
        | 0xE0000..=0xE0FFF => Some(format!("⟨{code:04X}⟩")),
        _ => None,
    }
}

/// Text for a URL's query: everything but the unreserved characters in percent form.
pub fn query_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// A link with its query; pairs with an empty value are left out.
pub fn link(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(if out.contains('?') { '&' } else { '?' });
        let _ = write!(out, "{key}={}", query_encode(value));
    }
    out
}

/// What groups thousands and what begins a fraction, in the reader's form.
fn marks() -> (char, char) {
    match words::language() {
        Language::German => ('.', ','),
        Language::English => (',', '.'),
    }
}

/// `1.184`
pub fn num(number: impl Into<i128>) -> String {
    let number: i128 = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push(marks().0);
        }
        out.push(digit);
    }
    if number < 0 { format!("−{out}") } else { out }
}

/// `1.184,5` with the given places.
pub fn decimal(number: f64, places: usize) -> String {
    if !number.is_finite() {
        return "–".into();
    }
    let text = format!("{:.places$}", number.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = num(whole.parse::<i128>().unwrap_or(0));
    let sign = if number < 0.0 && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) { "−" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}{}{fraction}", marks().1) }
}

/// `96 %`; the share is between 0 and 1.
pub fn percent(share: f64) -> String {
    format!("{}\u{a0}%", decimal(share * 100.0, 0))
}

/// `1,2 MB`, in powers of ten as network people count.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1_000 {
        return format!("{count}\u{a0}B");
    }
    let mut value = count as f64;
    let mut unit = "B";
    for next in UNITS {
        // 999 950 would read "1.000,0 kB".
        if value < 999.95 {
            break;
        }
        value /= 1_000.0;
        unit = next;
    }
    format!("{}\u{a0}{unit}", decimal(value, if value < 10.0 { 1 } else { 0 }))
}

/// `1 h 52 min`: the two greatest units that say something.
pub fn duration(millis: i64) -> String {
    let sign = if millis < 0 { "−" } else { "" };
    let seconds = millis.unsigned_abs() / 1_000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |big: u64, big_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{sign}{big}\u{a0}{big_unit}"),
        _ => format!("{sign}{big}\u{a0}{big_unit} {small}\u{a0}{small_unit}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{seconds}\u{a0}s"),
        (0, 0, _) => format!("{sign}{minutes}\u{a0}min"),
        (0, ..) => two(hours, "h", minutes, "min"),
        (1, hours, _) => two(24 + hours, "h", minutes, "min"),
        _ => two(days, "d", hours, "h"),
    }
}

const WEEKDAYS: [&str; 7] = ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"];
const MONTHS: [&str; 12] =
    ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"];

/// A moment in the reader's form.
fn written(at: Timestamp, german: &str, english: &str) -> String {
    let format = match words::language() {
        Language::German => german,
        Language::English => english,
    };
    berlin(at).format(format).to_string()
}

fn berlin(at: Timestamp) -> chrono::DateTime<chrono_tz::Tz> {
    at.utc().with_timezone(&ZONE)
}

/// `21.11.2026`
pub fn date(at: Timestamp) -> String {
    written(at, "%d.%m.%Y", "%-d %b %Y")
}

/// `Samstag, 21. November 2026`
pub fn date_long(at: Timestamp) -> String {
    if words::language() == Language::English {
        return berlin(at).format("%A, %-d %B %Y").to_string();
    }
    let at = berlin(at);
    let weekday = WEEKDAYS.get(at.weekday().num_days_from_monday() as usize).unwrap_or(&"");
    let month = MONTHS.get(at.month0() as usize).unwrap_or(&"");
    format!("{weekday}, {}. {month} {}", at.day(), at.year())
}

/// `14:02`
pub fn clock(at: Timestamp) -> String {
    berlin(at).format("%H:%M").to_string()
}

/// `21.11.2026, 14:02`
pub fn stamp(at: Timestamp) -> String {
    written(at, "%d.%m.%Y, %H:%M", "%-d %b %Y, %H:%M")
}

/// `21.11.2026, 14:02:07`
pub fn stamp_seconds(at: Timestamp) -> String {
    written(at, "%d.%m.%Y, %H:%M:%S", "%-d %b %Y, %H:%M:%S")
}

/// `21.11. 14:02:59.635`: a log line's time.
pub fn precise(at: Timestamp) -> String {
    written(at, "%d.%m. %H:%M:%S%.3f", "%-d %b %H:%M:%S%.3f")
}

/// `21.11. 14:02:59`: a log line's time where there is little room.
pub fn stamp_short(at: Timestamp) -> String {
    written(at, "%d.%m. %H:%M:%S", "%-d %b %H:%M:%S")
}

/// `14:02:59.635`: a log line's time where the day is known.
pub fn clock_precise(at: Timestamp) -> String {
    berlin(at).format("%H:%M:%S%.3f").to_string()
}

/// `vor 4 min`, `gestern, 14:02`, `12.03.2026`; what is ahead reads `in 5 h`.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    let passed = now.since(at);
    let (then, today) = (berlin(at), berlin(now));
    let whole = |millis: i64, unit: i64| millis / unit;
    match passed {
        ..0 => {
            let ahead = passed.saturating_neg();
            if ahead < Timestamp::MINUTE { t("gleich").into() } else { words::tf("in {time}", &[("time", &duration(ahead))]) }
        }
        0..60_000 => words::tf("vor {n}\u{a0}s", &[("n", &whole(passed, Timestamp::SECOND))]),
        60_000..3_600_000 => words::tf("vor {n}\u{a0}min", &[("n", &whole(passed, Timestamp::MINUTE))]),
        _ if then.date_naive() == today.date_naive() => words::tf("vor {n}\u{a0}h", &[("n", &whole(passed, Timestamp::HOUR))]),
        _ if Some(then.date_naive()) == today.date_naive().pred_opt() => words::tf("gestern, {time}", &[("time", &clock(at))]),
        _ => date(at),
    }
}

/// A moment as people read it, exact on demand and kept fresh by the script: `<time>`.
pub fn time(at: Timestamp, now: Timestamp) -> Markup {
    Markup(format!("<time datetime=\"{}\" title=\"{}\" data-ago>{}</time>", at.rfc3339(), stamp_seconds(at), ago(at, now)))
}

/// The start of the local day that holds `at`.
pub fn day_start(at: Timestamp) -> Timestamp {
    let day = berlin(at).date_naive().and_time(chrono::NaiveTime::MIN);
    ZONE.from_local_datetime(&day).earliest().map_or(at, |start| Timestamp::from_utc(start.to_utc()))
}

/// What a form's date field says (`2026-11-21`): when that local day begins, and when the next one does.
pub fn day_parse(text: &str) -> Option<(Timestamp, Timestamp)> {
    let day = chrono::NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok()?;
    let begins = |day: chrono::NaiveDate| {
        let start = ZONE.from_local_datetime(&day.and_time(chrono::NaiveTime::MIN)).earliest()?;
        Some(Timestamp::from_utc(start.to_utc()))
    };
    Some((begins(day)?, begins(day.succ_opt()?)?))
}

/// What a form's date field holds for the local day of `at`.
pub fn day_input(at: Timestamp) -> String {
    berlin(at).format("%Y-%m-%d").to_string()
}

/// What a form's `datetime-local` field holds: `2026-11-21T14:02`, local time.
pub fn local_input(at: Timestamp) -> String {
    berlin(at).format("%Y-%m-%dT%H:%M").to_string()
}

/// Reads a `datetime-local` field or a plain date as local time.
pub fn local_parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let naive = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"].iter().find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok());
    let naive = naive.or_else(|| chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| day.and_time(chrono::NaiveTime::MIN)));
    ZONE.from_local_datetime(&naive?).earliest().map(|at| Timestamp::from_utc(at.to_utc()))
}

/// The shape of a badge: never colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Crit,
    High,
    Mid,
    Low,
    Good,
    Quiet,
}

impl Tone {
    pub fn class(self) -> &'static str {
        match self {
            Self::Crit => "crit",
            Self::High => "high",
            Self::Mid => "mid",
            Self::Low => "low",
            Self::Good => "good",
            Self::Quiet => "quiet",
        }
    }

    fn shape(self) -> &'static str {
        match self {
            Self::Crit => "<path d=\"M3.500 0h5L12 3.500v5L8.500 12h-5L0 8.500v-5z\"/>",
            Self::High => "<path d=\"M6 0l6 11H0z\"/>",
            Self::Mid => "<path d=\"M6 0l6 6-6 6-6-6z\"/>",
            Self::Low => "<circle cx=\"6\" cy=\"6\" r=\"5\"/>",
            Self::Good => "<path d=\"M1 6l3.500 3.500L11 2\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"2.200\"/>",
            Self::Quiet => "<circle cx=\"6\" cy=\"6\" r=\"4.200\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.800\"/>",
        }
    }
}

/// A badge: colour, shape and word.
pub fn badge(tone: Tone, word: &str) -> Markup {
    let (class, shape) = (tone.class(), tone.shape());
    Markup(format!(
        "<span class=\"sev {class}\"><svg viewBox=\"0 0 12 12\" aria-hidden=\"true\" focusable=\"false\">{shape}</svg>{}</span>",
        escape(word)
    ))
}

/// A TLP label as FIRST wants it: the label's colour on black. `label` is `AMBER+STRICT` and the like.
pub fn tlp(label: &str) -> Markup {
    let class = match label {
        "RED" => "red",
        "AMBER" | "AMBER+STRICT" => "amber",
        "GREEN" => "green",
        _ => "clear",
    };
    Markup(format!("<span class=\"tlp {class}\">TLP:{}</span>", escape(label)))
}

/// The filters that templates use.
pub mod filters {
    use askama::{Result, Values};

    use super::Markup;
    use crate::words;

    /// A value from outside; see `show::shown`.
    #[askama::filter_fn]
    pub fn shown(value: impl std::fmt::Display, _: &dyn Values) -> Result<Markup> {
        Ok(super::shown(&value.to_string()))
    }

    /// The words in the reader's language; stands behind a German literal.
    #[askama::filter_fn]
    pub fn t(text: &'static str, _: &dyn Values) -> Result<&'static str> {
        Ok(words::t(text))
    }

    /// Behind `t`: what stands for `{name}`. For more than one place, `tf` in the page's code.
    #[askama::filter_fn]
    pub fn with<V: std::fmt::Display>(text: impl std::fmt::Display, _: &dyn Values, name: &str, value: V) -> Result<String> {
        Ok(words::filled(&text.to_string(), &[(name, &value)]))
    }

    /// Behind the words for one: those for many, and how many there are.
    #[askama::filter_fn]
    pub fn tn(one: &'static str, _: &dyn Values, many: &'static str, n: u64) -> Result<String> {
        Ok(words::tn(one, many, n))
    }

    /// A count with thousands separators.
    #[askama::filter_fn]
    pub fn num(value: impl std::fmt::Display, _: &dyn Values) -> Result<String> {
        let text = value.to_string();
        Ok(text.parse::<i128>().map_or(text, super::num))
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(input: &str, expected: Expect) {
        expected.assert_eq(shown(input).as_str());
    }

    #[test]
    fn what_comes_from_outside_stays_text() {
        check("Failed password for root", expect!["<bdi>Failed password for root</bdi>"]);
        check("<script>alert(1)</script>", expect!["<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>"]);
        check("\" onmouseover='x' &amp;", expect!["<bdi>&quot; onmouseover=&#39;x&#39; &amp;amp;</bdi>"]);
        check("a\u{202E}txt.exe", expect![[r#"<bdi>a<span class="ctl" title="U+202E">⟨202E⟩</span>txt.exe</bdi>"#]]);
        check(
            "\u{1b}[31mrot\0\r\n",
            expect![[
                r#"<bdi><span class="ctl" title="U+001B">␛</span>[31mrot<span class="ctl" title="U+0000">␀</span><span class="ctl" title="U+000D">␍</span><span class="ctl" title="U+000A">␊</span></bdi>"#
            ]],
        );
        check("zero\u{200B}width", expect![[r#"<bdi>zero<span class="ctl" title="U+200B">⟨200B⟩</span>width</bdi>"#]]);
        for hidden in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{85}\u{9f}\u{ad}\u{34f}\u{115f}\u{180e}\u{200b}\u{200d}\u{2028}\u{2060}\u{2064}\u{2800}\u{3164}\u{fe0f}\u{feff}\u{ffa0}\u{fffb}\u{13430}\u{1bca0}\u{1d173}\u{e0001}\u{e007f}\u{e0100}".chars() {
            let page = shown(&hidden.to_string());
            assert!(page.as_str().contains("class=\"ctl\"") && !page.as_str().contains(hidden), "{hidden:?}");
        }
        check("Straße שלום", expect!["<bdi>Straße שלום</bdi>"]);
    }

    #[test]
    fn a_long_value_is_cut() {
        let long = shown(&"ä".repeat(1_000_000));
        assert!(long.as_str().len() < 9_000 && long.as_str().ends_with("…</span></bdi>"));
    }

    #[test]
    fn numbers_read_german() {
        let table = [
            (num(0), "0"),
            (num(1_184), "1.184"),
            (num(-77_931_000), "−77.931.000"),
            (decimal(1_234.56, 1), "1.234,6"),
            (decimal(-0.04, 1), "0,0"),
            (decimal(f64::NAN, 1), "–"),
            (percent(0.955), "96\u{a0}%"),
            (bytes(999), "999\u{a0}B"),
            (bytes(1_234_567), "1,2\u{a0}MB"),
            (bytes(999_960), "1,0\u{a0}MB"),
            (bytes(52_300_000_000), "52\u{a0}GB"),
            (duration(6_720_000), "1\u{a0}h 52\u{a0}min"),
            (duration(42_000), "42\u{a0}s"),
            (duration(26 * 3_600_000), "26\u{a0}h"),
            (duration(75 * 3_600_000), "3\u{a0}d 3\u{a0}h"),
        ];
        for (got, expected) in table {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn who_reads_english_gets_its_numbers_and_dates() {
        let now = Timestamp::parse_rfc3339("2026-11-21T13:02:09Z").unwrap();
        words::with_language(Language::English, || {
            let table = [
                (decimal(1_234.56, 1), "1,234.6"),
                (date_long(now), "Saturday, 21 November 2026"),
                (stamp(now), "21 Nov 2026, 14:02"),
                (ago(now.plus(-4_000), now), "4\u{a0}s ago"),
                (ago(now.plus(-20 * 3_600_000), now), "yesterday, 18:02"),
            ];
            for (got, expected) in table {
                assert_eq!(got, expected);
            }
        });
    }

    #[test]
    fn times_read_as_in_thuringia() {
        let now = Timestamp::parse_rfc3339("2026-11-21T13:02:09Z").unwrap();
        assert_eq!(date_long(now), "Samstag, 21. November 2026");
        assert_eq!(precise(now), "21.11. 14:02:09.000");
        for (earlier, expected) in [
            (4_000, "vor 4\u{a0}s"),
            (4 * 60_000, "vor 4\u{a0}min"),
            (2 * 3_600_000, "vor 2\u{a0}h"),
            (20 * 3_600_000, "gestern, 18:02"),
            (60 * 3_600_000, "19.11.2026"),
            (-5 * 3_600_000, "in 5\u{a0}h"),
        ] {
            assert_eq!(ago(now.plus(-earlier), now), expected);
        }
        assert_eq!(local_parse(&local_input(now)), Some(now.plus(-9_000)));
        assert_eq!(day_start(now).rfc3339(), "2026-11-20T23:00:00.000Z");
        // The day on which summer time ends has 25 hours.
        let (from, to) = day_parse("2026-10-25").unwrap();
        assert_eq!((from.rfc3339().as_str(), to.since(from)), ("2026-10-24T22:00:00.000Z", 25 * Timestamp::HOUR));
        assert!(day_parse("25.10.2026").is_none() && day_parse("").is_none() && day_parse("2026-02-30").is_none());
        assert_eq!(day_input(from), "2026-10-25");
        // The hour that the clocks skip in spring still is some moment or none, never a panic.
        assert_eq!(local_parse("2026-03-29T02:30"), None);
    }

    #[test]
    fn links_encode_their_values() {
        assert_eq!(link("/suche", &[("q", "user.name:\"a&b=c\" ü"), ("r", "")]), "/suche?q=user.name%3A%22a%26b%3Dc%22%20%C3%BC");
    }
}
