//! The stretch of time that a search or a flow page looks at: one of a few, or from and to as links carry them.

use ingest::query::QueryError;
use ingest::time::Timestamp;

use crate::show;
use crate::web::Ask;
use crate::words::{de, t, tf};

/// (value in the link, label, length)
const RANGES: [(&str, &str, i64); 7] = [
    ("15m", de("letzte 15 Minuten"), 15 * Timestamp::MINUTE),
    ("1h", de("letzte Stunde"), Timestamp::HOUR),
    ("6h", de("letzte 6 Stunden"), 6 * Timestamp::HOUR),
    ("24h", de("letzte 24 Stunden"), Timestamp::DAY),
    ("7d", de("letzte 7 Tage"), 7 * Timestamp::DAY),
    ("30d", de("letzte 30 Tage"), 30 * Timestamp::DAY),
    ("90d", de("letzte 90 Tage"), 90 * Timestamp::DAY),
];

pub(super) struct Range {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    /// The link's own words, to be carried on: (`zeit`, `von`, `bis`).
    pub(super) words: [(&'static str, String); 3],
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
        if let (true, Some(from)) = (chosen.is_empty() || chosen == "von-bis", moment("von")) {
            let to = moment("bis").unwrap_or(ask.now).max(from.plus(1));
            let label = tf("{from} bis {to}", &[("from", &show::stamp(from)), ("to", &show::stamp(to))]);
            let mut choices = vec![("von-bis", label, true)];
            choices.extend(RANGES.iter().map(|(value, label, _)| (*value, t(label).to_owned(), false)));
            return Self { from, to, words: [("zeit", String::new()), ("von", from.rfc3339()), ("bis", to.rfc3339())], choices };
        }
        let find = |wanted: &str| RANGES.iter().find(|(value, ..)| *value == wanted);
        let (value, _, length) = find(chosen).or_else(|| find(fallback)).copied().unwrap_or(("24h", "", Timestamp::DAY));
        let choices = RANGES.iter().map(|(known, label, _)| (*known, t(label).to_owned(), *known == value)).collect();
        // A record stamped a little ahead of our clock still belongs to "now".
        let to = ask.now.plus(Timestamp::MINUTE);
        Self {
            from: ask.now.plus(-length),
            to,
            words: [("zeit", value.to_owned()), ("von", String::new()), ("bis", String::new())],
            choices,
        }
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
}
