//! A vendor's key=value line, read in one pass by a table: which key is which field, which the vendor's decoder puts
//! together itself, and what the vendor writes for nothing. Everything without a row is kept below the vendor's name.

use super::draft::{Draft, unescaped};
use super::kv::{self, Item, Pair};
use crate::event::Defect;
use crate::fields::{self, FieldId};
use crate::flow::protocol_name;
use crate::syslog::{self, Stamp};

/// What becomes of a key's value.
#[derive(Clone, Copy)]
pub(super) enum Put {
    /// The field, as the field table wants it.
    Ecs(FieldId),
    /// As `Ecs`, but 0 says that there is none: ports of ICMP, the status of a request that was never answered.
    Positive(FieldId),
    /// Seconds; ECS counts `event.duration` in nanoseconds.
    Seconds,
    /// A transport by name in whatever case, or by number.
    Transport,
    /// Not a field yet: the decoder asks for it by this number.
    Keep(usize),
    /// As `Keep`, and below the vendor's name too.
    Both(usize),
    /// What takes more than a field.
    Call(fn(&str, &mut Draft<'_>)),
}

/// Numbers of `Keep` and `Both` lie below it.
pub(super) const KEPT_MAX: usize = 16;

/// The values that a decoder puts together itself, as slices of the line; empty where the line has none.
#[derive(Default)]
pub(super) struct Kept<'t> {
    values: [&'t str; KEPT_MAX],
    /// Numbers that had another value later on, one bit each.
    disputed: u16,
    /// Rows of the table that were seen, one bit each.
    seen: [u64; ROWS_MAX / 64],
}

/// No vendor's table has more rows.
const ROWS_MAX: usize = 512;

impl<'t> Kept<'t> {
    pub(super) fn get(&self, number: usize) -> &'t str {
        self.values.get(number).copied().unwrap_or_default()
    }

    /// Whether a key came twice with different values: one of them is somebody's text.
    pub(super) fn is_disputed(&self, number: usize) -> bool {
        1u16.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).is_some_and(|bit| self.disputed & bit != 0)
    }

    /// Notes a row and says whether it was seen before.
    fn again(&mut self, row: usize) -> bool {
        let Some(word) = self.seen.get_mut(row / 64) else { return false };
        let bit = 1 << (row % 64);
        let again = *word & bit != 0;
        *word |= bit;
        again
    }

    /// The first value counts; false where there was one already.
    fn keep(&mut self, number: usize, value: &'t str) -> bool {
        match self.values.get_mut(number) {
            Some(place) if place.is_empty() => {
                *place = value;
                true
            }
            Some(place) => {
                if *place != value {
                    self.disputed |= 1u16.checked_shl(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(0);
                }
                false
            }
            None => false,
        }
    }
}

/// What a backslash may stand before where a vendor does not say otherwise.
pub(super) const ESCAPABLE: &[char] = &['"', '\\'];

/// How a vendor speaks key=value.
pub(super) struct Dialect {
    /// What its own names stand below.
    pub(super) prefix: &'static str,
    /// What it writes for nothing.
    pub(super) nothing: &'static [&'static str],
    /// Sorted by key, so that a key is found by halving.
    pub(super) keys: &'static [(&'static str, Put)],
    /// What a backslash may stand before within a value.
    pub(super) escapable: &'static [char],
    /// It forgets the quotes around values with blanks, or writes single ones: words belong to the value before them.
    pub(super) runs_on: bool,
}

impl Dialect {
    /// Reads a whole text. Words that belong to no value are a defect.
    pub(super) fn walk<'t>(&self, text: &'t str, draft: &mut Draft<'_>) -> Kept<'t> {
        let mut kept = Kept::default();
        let mut waiting: Option<Pair<'t>> = None;
        for item in kv::items(text) {
            match item {
                Item::Pair(pair) => {
                    if let Some(before) = waiting.replace(pair) {
                        self.put(before, &mut kept, draft);
                    }
                }
                Item::Word(word) => match waiting.as_mut().filter(|_| self.runs_on) {
                    Some(pair) => pair.value = joined(text, pair.value, word).unwrap_or(pair.value),
                    None => draft.defects.add(Defect::BadKeyValue),
                },
            }
        }
        if let Some(last) = waiting {
            self.put(last, &mut kept, draft);
        }
        kept
    }

    /// Gives a value to `take`, its escapes resolved where it has any.
    fn with_value(&self, pair: &Pair<'_>, take: impl FnOnce(&str)) {
        if pair.escaped {
            take(&unescaped(pair.value, self.escapable));
        } else {
            take(pair.value);
        }
    }

    /// A kept value, which still has its escapes.
    pub(super) fn put_kept(&self, field: FieldId, value: &str, draft: &mut Draft<'_>) {
        let pair = Pair { key: "", value, escaped: value.contains('\\'), unterminated: false };
        self.with_value(&pair, |value| draft.str(field, value));
    }

    /// One pair.
    pub(super) fn put<'t>(&self, pair: Pair<'t>, kept: &mut Kept<'t>, draft: &mut Draft<'_>) {
        if pair.unterminated {
            draft.defects.add(Defect::BadKeyValue);
        }
        let pair = Pair { value: without_single_quotes(pair.value, self.runs_on), ..pair };
        if pair.value.is_empty() || self.nothing.contains(&pair.value) {
            return;
        }
        let at = self.keys.binary_search_by(|(key, _)| (*key).cmp(pair.key)).ok();
        let row = at.and_then(|at| self.keys.get(at)).map(|(_, put)| *put);
        // One ECS field, one value: the first. A device writes a key once, and what it wrote before a name that somebody typed
        // cannot be forged by it. The later value is kept below the vendor's name; the same key twice is a defect, for then
        // one of them is not the device's, and where the name came first (FortiOS' logins) it may be the one that counts.
        if !matches!(row, None | Some(Put::Keep(_) | Put::Both(_))) {
            let again = at.is_some_and(|at| kept.again(at));
            if again {
                draft.defects.add(Defect::BadKeyValue);
            }
            let taken = matches!(row, Some(Put::Ecs(field) | Put::Positive(field)) if draft.has(field));
            if again || taken {
                return self.with_value(&pair, |value| draft.vendor(self.prefix, pair.key, value));
            }
        }
        match row {
            Some(Put::Keep(number)) if kept.keep(number, pair.value) => {}
            Some(Put::Both(number)) => {
                kept.keep(number, pair.value);
                self.with_value(&pair, |value| draft.vendor(self.prefix, pair.key, value));
            }
            Some(Put::Ecs(field)) => self.with_value(&pair, |value| draft.typed(field, value)),
            Some(Put::Positive(field)) if pair.value != "0" => draft.typed(field, pair.value),
            Some(Put::Positive(_)) => {}
            Some(Put::Seconds) => seconds(pair.value, draft),
            Some(Put::Transport) => draft.transport(pair.value),
            Some(Put::Call(call)) => self.with_value(&pair, |value| call(value, draft)),
            // A key twice: the second is kept too, under its own name.
            Some(Put::Keep(_)) | None => self.with_value(&pair, |value| draft.vendor(self.prefix, pair.key, value)),
        }
    }
}

/// Both parts of the text, with what stands between them.
fn joined<'t>(text: &'t str, first: &str, last: &str) -> Option<&'t str> {
    let start = first.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
    let end = last.as_ptr().addr().checked_sub(text.as_ptr().addr())?.checked_add(last.len())?;
    text.get(start..end)
}

fn without_single_quotes(value: &str, runs_on: bool) -> &str {
    let inner = value.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
    inner.filter(|_| runs_on).unwrap_or(value)
}

fn seconds(value: &str, draft: &mut Draft<'_>) {
    match value.parse::<i64>() {
        Ok(seconds) => draft.int(fields::EVENT_DURATION, seconds.saturating_mul(1_000_000_000)),
        Err(_) => draft.misfit(fields::EVENT_DURATION, value),
    }
}

/// The stamp of a date, a time and perhaps a zone that come one by one; put together without allocating.
pub(super) fn stamp(date: &str, time: &str, zone: &str) -> Option<Stamp> {
    /// The longest is `2026-03-14 08:00:00.123456789 +01:00`.
    const BYTES_MAX: usize = 48;
    if date.is_empty() || time.is_empty() {
        return None;
    }
    let mut buffer = [0; BYTES_MAX];
    let mut length = 0;
    for (part, before) in [(date, ""), (time, " "), (zone, " ")].into_iter().filter(|(part, _)| !part.is_empty()) {
        for text in [before, part] {
            buffer.get_mut(length..length + text.len())?.copy_from_slice(text.as_bytes());
            length += text.len();
        }
    }
    let whole = std::str::from_utf8(buffer.get(..length)?).ok()?;
    // A zone that nobody knows for certain (IST is India's, Israel's and Ireland's) leaves the wall clock.
    let clock = buffer.get(..date.len() + 1 + time.len()).and_then(|bytes| std::str::from_utf8(bytes).ok())?;
    Some(syslog::whole_stamp(whole).or_else(|| syslog::whole_stamp(clock)).unwrap_or(Stamp::Bad))
}

impl Draft<'_> {
    /// A transport by its name in whatever case, or by its number.
    pub(super) fn transport(&mut self, value: &str) {
        const NAMES: [(&str, &str); 12] = [
            ("tcp", "tcp"),
            ("udp", "udp"),
            ("icmp", "icmp"),
            ("icmp6", "ipv6-icmp"),
            ("icmpv6", "ipv6-icmp"),
            ("ipv6-icmp", "ipv6-icmp"),
            ("gre", "gre"),
            ("esp", "esp"),
            ("ah", "ah"),
            ("igmp", "igmp"),
            ("sctp", "sctp"),
            ("ospf", "ospf"),
        ];
        let by_number = || value.parse().ok().and_then(protocol_name);
        let found = NAMES.into_iter().find(|(name, _)| value.eq_ignore_ascii_case(name)).map(|(_, name)| name).or_else(by_number);
        match found {
            Some(name) => self.name(fields::NETWORK_TRANSPORT, name),
            None => self.str(fields::NETWORK_TRANSPORT, value),
        }
    }

    /// A URL, or only its path: its whole, its host, its path and what is asked of it.
    pub(super) fn url(&mut self, text: &str) {
        let Some((_, rest)) = text.split_once("://") else {
            let (path, query) = text.split_once('?').unwrap_or((text, ""));
            self.str(fields::URL_ORIGINAL, text);
            self.str(fields::URL_PATH, path);
            self.str(fields::URL_QUERY, query);
            return;
        };
        self.str(fields::URL_FULL, text);
        let (authority, _) = rest.split_at_checked(rest.find(['/', '?', '#']).unwrap_or(rest.len())).unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        self.once(fields::URL_DOMAIN, super::part::host_port(host).0);
        let path = rest.get(authority.len()..).unwrap_or_default();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        self.str(fields::URL_PATH, path);
        self.str(fields::URL_QUERY, query);
    }

    /// A text where the field has none yet.
    pub(super) fn once(&mut self, field: FieldId, part: &str) {
        if !self.has(field) {
            self.str(field, part);
        }
    }

    /// A device's word for its severity, where the header had none.
    pub(super) fn level(&mut self, word: &str) {
        if self.has(fields::LOG_LEVEL) {
            return;
        }
        const NAMES: [(&str, &str); 14] = [
            ("emergency", "emergency"),
            ("emerg", "emergency"),
            ("alert", "alert"),
            ("critical", "critical"),
            ("crit", "critical"),
            ("error", "error"),
            ("err", "error"),
            ("warning", "warning"),
            ("warn", "warning"),
            ("notice", "notice"),
            ("notification", "notice"),
            ("information", "informational"),
            ("informational", "informational"),
            ("info", "informational"),
        ];
        match NAMES.into_iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
            Some((_, name)) => self.name(fields::LOG_LEVEL, name),
            None => self.str(fields::LOG_LEVEL, word),
        }
    }

    /// Who makes the device, which product it is, and below which name its own fields stand.
    pub(super) fn product(&mut self, module: &'static str, dataset: &'static str, vendor: &'static str, product: &'static str) {
        self.name(fields::EVENT_MODULE, module);
        self.name(fields::EVENT_DATASET, dataset);
        self.name(fields::OBSERVER_VENDOR, vendor);
        if !product.is_empty() {
            self.name(fields::OBSERVER_PRODUCT, product);
        }
    }

    /// What an intrusion prevention or a virus scanner found, and whether it was stopped.
    pub(super) fn found(&mut self, category: &'static str, stopped: bool) {
        self.name(fields::EVENT_KIND, "alert");
        self.name(fields::EVENT_TYPE, if stopped { "denied" } else { "allowed" });
        self.event(category, if stopped { "blocked" } else { "detected" }, if stopped { "failure" } else { "" });
    }

    /// A request that a web filter saw.
    pub(super) fn web(&mut self, allowed: bool) {
        self.name(fields::EVENT_TYPE, "access");
        if !allowed {
            self.name(fields::EVENT_TYPE, "denied");
        }
        self.event("web", if allowed { "http_request" } else { "blocked" }, if allowed { "success" } else { "failure" });
    }
}

/// Whether a text says one of these words, in whatever case. Both are short: a message and a handful of words.
pub(super) fn says(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.as_bytes().windows(word.len().max(1)).any(|part| part.eq_ignore_ascii_case(word.as_bytes())))
}

/// What these words of devices mean for a packet or a request: let through, stopped, or neither.
pub(super) fn verdict_of(word: &str) -> Option<bool> {
    const STOPPED: [&str; 14] = [
        "deny",
        "denied",
        "drop",
        "dropped",
        "block",
        "blocked",
        "reject",
        "rejected",
        "prevent",
        "prevented",
        "reset",
        "tmpreject",
        "quarantine",
        "discard",
    ];
    const LET_THROUGH: [&str; 11] =
        ["accept", "accepted", "allow", "allowed", "pass", "passed", "permit", "permitted", "forward", "bypass", "queued"];
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    if is(&STOPPED) {
        Some(false)
    } else if is(&LET_THROUGH) {
        Some(true)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::{checkpoint, fortigate, sonicwall, sophos, watchguard, zyxel};
    use super::*;

    #[test]
    fn tables_are_sorted_and_keep_within_their_places() {
        let dialects = [
            &fortigate::DIALECT,
            &sophos::UTM,
            &sophos::XG,
            &checkpoint::DIALECT,
            &sonicwall::DIALECT,
            &watchguard::DIALECT,
            &zyxel::DIALECT,
        ];
        for dialect in dialects {
            assert!(dialect.keys.is_sorted_by(|(one, _), (next, _)| one < next), "{}: {:?}", dialect.prefix, {
                dialect.keys.windows(2).filter(|two| two[0].0 >= two[1].0).map(|two| two[1].0).collect::<Vec<_>>()
            });
            assert!(dialect.keys.len() <= ROWS_MAX, "{}", dialect.prefix);
            for (key, put) in dialect.keys {
                if let Put::Keep(number) | Put::Both(number) = put {
                    assert!(*number < KEPT_MAX, "{} {key}", dialect.prefix);
                }
            }
        }
    }

    #[test]
    fn a_stamp_in_parts() {
        let at = |date, time, zone| match stamp(date, time, zone) {
            Some(Stamp::Moment(at)) => at.to_string(),
            Some(Stamp::Civil(_)) => "wall clock".to_owned(),
            other => format!("{other:?}"),
        };
        assert_eq!(at("2026-03-14", "08:00:00", "CEST"), "2026-03-14T06:00:00.000Z");
        assert_eq!(at("2026-03-14", "08:00:00", "+0100"), "2026-03-14T07:00:00.000Z");
        assert_eq!(at("2026-03-14", "08:00:00", "IST"), "wall clock");
        assert_eq!(at("2026-03-14", "08:00:00", ""), "wall clock");
        assert_eq!(at("2026-03-14", "", "CEST"), "None");
        assert_eq!(at("gestern", "früh", ""), "Some(Bad)");
        assert_eq!(at(&"9".repeat(60), "1", ""), "None");
    }
}
