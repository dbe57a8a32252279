//! The stretch of time that a search or a flow page looks at: one of a few, or from and to as links carry them.

use ingest::body::BodyId;
use ingest::query::QueryError;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::columns::Columns;
use super::search::facets;
use crate::show;
use crate::web::Ask;
use crate::words::{de, t, tf};

/// (value in the link, label, stretch)
const RANGES: [(&str, &str, Stretch); 10] = [
    ("15m", de("letzte 15 Minuten"), Stretch::Back(15 * Timestamp::MINUTE)),
    ("1h", de("letzte Stunde"), Stretch::Back(Timestamp::HOUR)),
    ("6h", de("letzte 6 Stunden"), Stretch::Back(6 * Timestamp::HOUR)),
    ("24h", de("letzte 24 Stunden"), Stretch::Back(Timestamp::DAY)),
    ("heute", de("heute"), Stretch::Today),
    ("gestern", de("gestern"), Stretch::Yesterday),
    ("nacht", de("letzte Nacht, 20 bis 6 Uhr"), Stretch::Night),
    ("7d", de("letzte 7 Tage"), Stretch::Back(7 * Timestamp::DAY)),
    ("30d", de("letzte 30 Tage"), Stretch::Back(30 * Timestamp::DAY)),
    ("90d", de("letzte 90 Tage"), Stretch::Back(90 * Timestamp::DAY)),
];

/// A stretch of time that is called by a name.
#[derive(Clone, Copy)]
enum Stretch {
    Back(i64),
    Today,
    Yesterday,
    /// While nobody was in the house: the evening before today until this morning.
    Night,
}

impl Stretch {
    /// From and to; days and nights are Germany's.
    fn of(self, now: Timestamp) -> (Timestamp, Timestamp) {
        let today = show::day_start(now);
        let yesterday = show::day_start(today.plus(-1));
        // A record stamped a little ahead of our clock still belongs to "now".
        let end = now.plus(Timestamp::MINUTE);
        let clock = |day, hour: &str| show::local_parse(&format!("{}T{hour}", show::day_input(day))).unwrap_or(day);
        match self {
            Self::Back(length) => (now.plus(-length), end),
            Self::Today => (today, end),
            Self::Yesterday => (yesterday, today),
            Self::Night => (clock(yesterday, "20:00"), clock(today, "06:00")),
        }
    }
}

/// What a span is called; empty where there is none of that name.
pub(super) fn span_label(value: &str) -> &'static str {
    RANGES.iter().find(|(known, ..)| *known == value).map_or("", |(_, label, _)| t(label))
}

pub(super) struct Range {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The link's own words, to be carried on: `zeit`, `von`, `bis`, and what else says how it is shown: `stelle`, of which
    /// only what belongs to it, `spalten`, `werte=aus`, and `nach`, the fields whose most frequent values are wanted too.
    pub(super) words: Vec<(&'static str, String)>,
    pub(super) body: Option<BodyId>,
    pub(super) choices: Vec<(&'static str, String, bool)>,
}

impl Range {
    /// `fallback` is the range of a page that nobody chose one for.
    pub(super) fn of(ask: &Ask, fallback: &str) -> Self {
        let moment = |name: &str| {
            let text = ask.query(name);
            Timestamp::parse_rfc3339(text).or_else(|| show::local_parse(text))
        };
        let chosen = ask.query("zeit");
        let body: Option<BodyId> = ask.query("stelle").parse().ok();
        let without_values = if ask.query("werte") == "aus" { "aus" } else { "" };
        let carried = [
            ("stelle", body.map(|body| body.to_string()).unwrap_or_default()),
            ("spalten", Columns::of(ask).word()),
            ("werte", without_values.to_owned()),
            ("nach", facets::chosen(ask).iter().map(|field| field.name()).collect::<Vec<_>>().join(",")),
        ];
        let with = |time: [(&'static str, String); 3]| time.into_iter().chain(carried.clone()).collect::<Vec<_>>();
        if let (true, Some(from)) = (chosen.is_empty() || chosen == "von-bis", moment("von")) {
            let to = moment("bis").unwrap_or(ask.now).max(from.plus(1));
            let label = tf("{from} bis {to}", &[("from", &show::stamp(from)), ("to", &show::stamp(to))]);
            let mut choices = vec![("von-bis", label, true)];
            choices.extend(RANGES.iter().map(|(value, label, _)| (*value, t(label).to_owned(), false)));
            let words = with([("zeit", String::new()), ("von", from.rfc3339()), ("bis", to.rfc3339())]);
            return Self { from, to, words, body, choices };
        }
        let find = |wanted: &str| RANGES.iter().find(|(value, ..)| *value == wanted);
        let (value, _, stretch) = find(chosen).or_else(|| find(fallback)).copied().unwrap_or(("24h", "", Stretch::Back(Timestamp::DAY)));
        let choices = RANGES.iter().map(|(known, label, _)| (*known, t(label).to_owned(), *known == value)).collect();
        let (from, to) = stretch.of(ask.now);
        let words = with([("zeit", value.to_owned()), ("von", String::new()), ("bis", String::new())]);
        Self { from, to, words, body, choices }
    }

    /// What the viewer may see of what is asked for.
    pub(super) fn scope(&self, ask: &Ask) -> Scope {
        self.body.map_or_else(|| ask.scope(), |body| ask.scope().within(body))
    }

    /// What says how it is shown, without the time.
    pub(super) fn carried(&self) -> Vec<(&'static str, String)> {
        let time = |name: &str| matches!(name, "zeit" | "von" | "bis");
        self.words.iter().filter(|(name, value)| !time(name) && !value.is_empty()).cloned().collect()
    }

    /// A link to `path` as this one is, over another time: a span, or from and to.
    pub(super) fn over(&self, path: &str, text: &str, time: &[(&str, &str)]) -> String {
        let carried = self.carried();
        let own = carried.iter().map(|(name, value)| (*name, value.as_str()));
        show::link(path, &[("q", text)].into_iter().chain(time.iter().copied()).chain(own).collect::<Vec<_>>())
    }

    /// A link to `path` as this one is, with another value of one of its words; without it where that is empty.
    pub(super) fn changed(&self, path: &str, text: &str, name: &str, value: &str) -> String {
        let others = self.words.iter().filter(|(known, _)| *known != name).map(|(known, value)| (*known, value.as_str()));
        show::link(path, &[("q", text)].into_iter().chain(others).chain([(name, value)]).collect::<Vec<_>>())
    }

    /// A link to `path` with this range and these pairs.
    pub(super) fn link(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let own = self.words.iter().map(|(key, value)| (*key, value.as_str()));
        show::link(path, &pairs.iter().copied().chain(own).collect::<Vec<_>>())
    }
}

/// A query that could not be read: the sentence, and the query split where it broke.
pub(super) struct Broken {
    pub(super) message: String,
    pub(super) before: String,
    pub(super) rest: String,
}

impl Broken {
    pub(super) fn new(query: &str, error: &QueryError) -> Self {
        let at = (0..=error.at.min(query.len())).rev().find(|at| query.is_char_boundary(*at)).unwrap_or(0);
        let (before, rest) = query.split_at(at);
        Self { message: error.message.clone(), before: before.to_owned(), rest: rest.to_owned() }
    }

    /// What the sentence is about: the word at that place, or the steps from there on.
    pub(super) fn wrong(&self) -> &str {
        match self.word_len() {
            0 => "…",
            len => self.rest.get(..len).unwrap_or(&self.rest),
        }
    }

    pub(super) fn behind(&self) -> &str {
        self.rest.get(self.word_len()..).unwrap_or_default()
    }

    fn word_len(&self) -> usize {
        let end = if self.rest.starts_with('|') { None } else { self.rest.find(char::is_whitespace) };
        end.unwrap_or(self.rest.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_with_a_name_end_where_people_think() {
        let check = |now: &str, stretch: Stretch, expected: &str| {
            let (from, to) = stretch.of(Timestamp::parse_rfc3339(now).unwrap());
            assert_eq!(format!("{} {}", show::stamp(from), show::stamp(to)), expected, "{now}");
        };
        check("2026-11-21T13:02:00Z", Stretch::Back(Timestamp::HOUR), "21.11.2026, 13:02 21.11.2026, 14:03");
        check("2026-11-21T13:02:00Z", Stretch::Today, "21.11.2026, 00:00 21.11.2026, 14:03");
        check("2026-11-21T13:02:00Z", Stretch::Yesterday, "20.11.2026, 00:00 21.11.2026, 00:00");
        check("2026-11-21T13:02:00Z", Stretch::Night, "20.11.2026, 20:00 21.11.2026, 06:00");
        // The night in which the clocks went back, and the day before the one after.
        check("2026-10-25T09:00:00Z", Stretch::Night, "24.10.2026, 20:00 25.10.2026, 06:00");
        check("2026-10-26T09:00:00Z", Stretch::Yesterday, "25.10.2026, 00:00 26.10.2026, 00:00");
    }

    #[test]
    fn the_mistake_is_a_word_or_all_steps() {
        let parts = |before: &str, rest: &str| {
            let broken = Broken { message: String::new(), before: before.into(), rest: rest.into() };
            format!("{}[{}]{}", broken.before, broken.wrong(), broken.behind())
        };
        assert_eq!(parts("a ", "sorce.ip:1 AND b"), "a [sorce.ip:1] AND b");
        assert_eq!((parts("(a", ""), parts("a ", "| count by x")), ("(a[…]".into(), "a [| count by x]".into()));
    }
}
