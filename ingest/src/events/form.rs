//! The form of a line: its folded text with the words that vary left out. Most of a line is what its program writes into
//! each such line; held once a segment with the list of the lines that have it, instead of a list for each of its words, it
//! takes a fifth of the index away (decision 008), and a phrase of such words is answered without reading a line.
//!
//! Any choice of what to leave out is true, as long as what is left out is indexed beside it. So nothing depends on the
//! choice but bytes and time.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use foldhash::fast::RandomState;
use memchr::memmem::Finder;
use tantivy::SegmentReader;
use tantivy::index::SegmentId;
use tantivy::postings::TermInfo;

use super::schema::{FORM, WORD_BYTES_MAX};
use crate::event::Event;
use crate::fields::{Class, FieldId};
use crate::query::{Pat, TextPattern, covers, words};

/// Stands in a form for a word that is left out. A line that has it itself gets no form.
const LEFT_OUT: char = '\u{1}';
/// The form of lines that have none.
pub(super) const NONE: &str = "";
/// Longer forms would fill the dictionary with lines.
const FORM_BYTES_MAX: usize = 2_048;
/// So often must a form have come before it is used: its text takes some 250 bytes of a segment and saves
/// 14 of each line. In tests seldom, to have several.
const USUAL_MIN: u32 = if cfg!(test) { 1 } else { 16 };
/// A word that varies is taken for a part of the form as soon as it was the same in so many lines of it without a break:
/// a facility, a date, a version. Each that then changes makes a new form.
const CONSTANT_MIN: u32 = if cfg!(test) { 2 } else { 256 };
/// After so many lines what came is counted half, so that forms that do not come any more are forgotten.
const COUNTED_LINES: u32 = 65_536;
/// Forms counted at the same time; a flood of others starts the count anew.
const COUNTED_MAX: usize = 65_536;
/// Segments whose forms are kept for the next search, as many as stay open; each takes some 10 KiB.
const KEPT_SEGMENTS_MAX: usize = 1_000;

/// A line, cut in two.
#[derive(Debug)]
pub(super) struct Cut {
    pub(super) text: String,
    /// The words left out, with blanks between them.
    pub(super) rest: String,
}

/// Where values stand that are many: in order, and apart.
fn places(event: &Event, folded: &str) -> Vec<Range<usize>> {
    // Folding may change a text's length; then they stand elsewhere, and the form is a rarer one.
    if folded.len() != event.line().len() {
        return Vec::new();
    }
    let many = event.fields_placed().filter(|(field, ..)| is_many(*field));
    let mut places: Vec<Range<usize>> = many.filter_map(|(_, _, place)| place).collect();
    places.sort_unstable_by_key(|place| place.start);
    places.dedup_by(|next, before| {
        let over = next.start < before.end;
        if over {
            before.end = before.end.max(next.end);
        }
        over
    });
    places
}

/// Whether a field has many values without a digit in them. Wrong for one, its forms are rare and are not used.
fn is_many(field: FieldId) -> bool {
    let prefixes = ["host.", "user", "url.", "file.", "dns.", "email.", "group.", "source.", "destination.", "observer.name", "registry."];
    let Some(row) = field.known() else { return false };
    row.class == Class::Personal || prefixes.iter().any(|prefix| row.name.starts_with(prefix))
}

/// Cuts lines; counts forms, to use only what comes often.
#[derive(Default)]
pub(super) struct Forms {
    seen: HashMap<u64, Seen, RandomState>,
    hasher: RandomState,
    lines: u32,
    /// Places of the words left out of the line in hand.
    holes: Vec<Range<usize>>,
}

/// A form that came, before it is known which of its words stay the same.
#[derive(Default)]
struct Seen {
    count: u32,
    /// For each word left out what it was, and how often it was so without a break.
    holes: Vec<(u64, u32)>,
}

impl Forms {
    /// Cuts a line: left out are words with digits and those of values that name somebody or something, unless they have
    /// been the same for long. `None` where it is not worth it.
    pub(super) fn cut(&mut self, event: &Event, folded: &str) -> Option<Cut> {
        if folded.contains(LEFT_OUT) {
            return None;
        }
        self.find_holes(event, folded);
        let text = without(folded, self.holes.iter())?;
        let usual = self.count(&text)?;
        let seen = self.seen.get_mut(&usual)?;
        seen.holes.resize(self.holes.len(), (0, 0));
        let mut constant = false;
        for (place, (last, times)) in self.holes.iter().zip(&mut seen.holes) {
            let hash = self.hasher.hash_one(folded.get(place.clone())?);
            *times = if *last == hash { times.saturating_add(1) } else { 0 };
            *last = hash;
            constant |= *times >= CONSTANT_MIN;
        }
        let varies = |hole: usize, place: &Range<usize>| {
            place.len() > WORD_BYTES_MAX || seen.holes.get(hole).is_none_or(|(_, times)| *times < CONSTANT_MIN)
        };
        let holes: Vec<&Range<usize>> =
            self.holes.iter().enumerate().filter(|(hole, place)| varies(*hole, place)).map(|(_, place)| place).collect();
        let mut rest = String::with_capacity(folded.len() / 2);
        for word in holes.iter().filter_map(|place| folded.get((*place).clone())) {
            rest.push_str(word);
            rest.push(' ');
        }
        let text = if constant { without(folded, holes.into_iter())? } else { text };
        (text.len() <= FORM_BYTES_MAX).then_some(Cut { text, rest })
    }

    fn find_holes(&mut self, event: &Event, folded: &str) {
        let mut values = places(event, folded).into_iter().peekable();
        self.holes.clear();
        for (at, word) in words(folded) {
            let end = at + word.len();
            while values.next_if(|value| value.end <= at).is_some() {}
            let of_value = values.peek().is_some_and(|value| value.start < end);
            if of_value || word.len() > WORD_BYTES_MAX || word.bytes().any(|byte| byte.is_ascii_digit()) {
                self.holes.push(at..end);
            }
        }
    }

    /// Counts one more line of this form; its key where it is usual.
    fn count(&mut self, form: &str) -> Option<u64> {
        self.lines += 1;
        if self.lines >= COUNTED_LINES {
            self.lines = 0;
            self.seen.retain(|_, seen| {
                seen.count /= 2;
                seen.count > 0
            });
        }
        if self.seen.len() >= COUNTED_MAX {
            self.seen.clear();
        }
        let key = self.hasher.hash_one(form);
        let seen = self.seen.entry(key).or_default();
        seen.count = seen.count.saturating_add(1);
        (seen.count > USUAL_MIN).then_some(key)
    }
}

/// The text with the mark in the place of some of its words.
fn without<'a>(folded: &str, holes: impl Iterator<Item = &'a Range<usize>>) -> Option<String> {
    let (mut text, mut done) = (String::with_capacity(folded.len()), 0);
    for place in holes {
        text.push_str(folded.get(done..place.start)?);
        text.push(LEFT_OUT);
        done = place.end;
    }
    text.push_str(folded.get(done..)?);
    Some(text)
}

/// The forms of a segment's lines.
pub(super) struct Known {
    /// Each with the place of its list of lines.
    pub(super) forms: Vec<(Arc<str>, TermInfo)>,
    /// The list of the lines without a form.
    pub(super) none: Option<TermInfo>,
}

/// The forms of a segment; `None` in one from before there were forms.
///
/// # Errors
/// Where the dictionary is damaged.
pub(super) fn known(reader: &SegmentReader) -> tantivy::Result<Option<Arc<Known>>> {
    static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);
    let Ok(field) = reader.schema().get_field(FORM) else { return Ok(None) };
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let id = reader.segment_id();
    if let Some(known) = kept().segments.get(&id) {
        return Ok(Some(known.clone()));
    }
    let mut known = Known { forms: Vec::new(), none: None };
    let inverted = reader.inverted_index(field)?;
    let mut terms = inverted.terms().stream()?;
    while terms.advance() {
        match std::str::from_utf8(terms.key()) {
            Ok(NONE) => known.none = Some(terms.value().clone()),
            Ok(text) => known.forms.push((kept().text(text), terms.value().clone())),
            Err(_) => return Err(tantivy::TantivyError::InternalError("a form that is no text".into())),
        }
    }
    let known = Arc::new(known);
    kept().put(id, known.clone());
    Ok(Some(known))
}

/// Forms of the segments that were asked last; most have the same ones, so each text is held once.
#[derive(Default)]
struct Kept {
    segments: HashMap<SegmentId, Arc<Known>>,
    texts: HashMap<Arc<str>, (), RandomState>,
}

impl Kept {
    fn text(&mut self, text: &str) -> Arc<str> {
        if let Some((known, ())) = self.texts.get_key_value(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone(), ());
        new
    }

    fn put(&mut self, id: SegmentId, known: Arc<Known>) {
        if self.segments.len() >= KEPT_SEGMENTS_MAX {
            self.segments.clear();
            self.texts.clear();
        }
        self.segments.insert(id, known);
    }
}

/// What a form says of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Every line of the form has it.
    Always,
    /// Where the words left out are the right ones.
    Perhaps,
    Never,
}

/// Whether lines of a form have what is looked for.
pub(super) fn fit(pattern: &TextPattern, form: &str) -> Fit {
    // A query with the mark in it is asked of the lines.
    if pattern.lead.contains(LEFT_OUT) || pattern.trail.contains(LEFT_OUT) || pattern.gaps.iter().any(|gap| gap.contains(LEFT_OUT)) {
        Fit::Perhaps
    } else if pattern.found_in(form) {
        Fit::Always
    } else if pattern.may_stand_in(form, LEFT_OUT) {
        Fit::Perhaps
    } else {
        Fit::Never
    }
}

/// A word that is looked for in forms.
pub(super) struct Word<'a> {
    pattern: &'a [Pat],
    /// The longest stretch without a wildcard: few forms have it, and only those are cut into words.
    stretch: Finder<'static>,
}

impl<'a> Word<'a> {
    pub(super) fn new(pattern: &'a [Pat]) -> Self {
        let char_of = |pat: &Pat| if let Pat::Char(c) = pat { Some(*c) } else { None };
        let stretches = pattern.split(|pat| char_of(pat).is_none()).map(|stretch| stretch.iter().filter_map(char_of).collect());
        let longest: String = stretches.max_by_key(String::len).unwrap_or_default();
        Self { pattern, stretch: Finder::new(longest.as_bytes()).into_owned() }
    }

    pub(super) fn is_in(&self, form: &str) -> bool {
        self.stretch.find(form.as_bytes()).is_some() && words(form).any(|(_, word)| covers(self.pattern, word))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::Ipv4Addr;

    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::fields;
    use crate::frame::{Seq, Transport};
    use crate::query::fold;
    use crate::time::Timestamp;

    fn event(line: &str) -> Event {
        Event::new(Seq(1), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::new(192, 0, 2, 1).into(), Transport::Udp, line.as_bytes())
    }

    fn check(line: &str, values: &[(FieldId, &str)], expected: Expect) {
        let mut event = event(line);
        for (field, value) in values {
            let at = line.find(value).unwrap();
            event.push_slice(*field, at..at + value.len());
        }
        let mut forms = Forms::default();
        let cut = (0..=USUAL_MIN).filter_map(|_| forms.cut(&event, &fold(line))).last();
        let shown = cut.map_or("none".to_owned(), |cut| format!("{}\n{}", cut.text.replace(LEFT_OUT, "…"), cut.rest.trim_end()));
        expected.assert_eq(&shown);
    }

    #[test]
    fn what_varies_is_left_out() {
        let ssh = "<38>Nov 21 14:02:07 rathaus-a sshd[4711]: Failed password for root from 10.0.0.7 port 22";
        let values = [(fields::HOST_NAME, "rathaus-a"), (fields::USER_NAME, "root"), (fields::SOURCE_IP, "10.0.0.7")];
        check(
            ssh,
            &values,
            expect![[r#"
            <…>nov … …:…:… …-… sshd[…]: failed password for … from ….….….… port …
            38 21 14 02 07 rathaus a 4711 root 10 0 0 7 22"#]],
        );
        // What a device does is a part of its forms: there are few of it.
        check(
            "action=\"Deny\" user=\"Müller\"",
            &[(fields::EVENT_ACTION, "Deny"), (fields::USER_NAME, "Müller")],
            expect![[r#"
            action="deny" user="…"
            müller"#]],
        );
        check("a \u{1} b", &[], expect!["none"]);
    }

    #[test]
    fn a_phrase_is_held_against_the_form() {
        let form = "sshd[\u{1}]: failed password for \u{1} from \u{1}.\u{1}";
        for (phrase, expected) in [
            ("failed password", Fit::Always),
            ("sshd[", Fit::Always),
            ("]: failed", Fit::Always),
            ("password for root", Fit::Perhaps),
            ("for root from 10.0", Fit::Perhaps),
            ("sshd[47]: failed", Fit::Perhaps),
            ("password failed", Fit::Never),
            ("failed  password", Fit::Never),
            ("ailed password", Fit::Never),
            ("from 10:0", Fit::Never),
            ("failed \u{1}", Fit::Perhaps),
        ] {
            assert_eq!(fit(&TextPattern::of(&fold(phrase)), form), expected, "{phrase}");
        }
    }

    #[test]
    fn only_what_comes_often_is_usual() {
        let mut forms = Forms::default();
        let mut usual = |line: &str| forms.cut(&event(line), line).is_some();
        assert_eq!((0..100).filter(|_| usual("a")).count(), 100 - USUAL_MIN as usize);
        let name = |n: u32| (0..5).map(|place| char::from(b'a' + (n >> (4 * place) & 15) as u8)).collect::<String>();
        assert!(!(0..1_000).any(|n| usual(&format!("form {}", name(n)))));
        for n in 0..4 * COUNTED_LINES {
            usual(&name(n));
        }
        assert!(!usual("a"), "what does not come any more is forgotten");
    }

    #[test]
    fn a_word_that_stays_the_same_belongs_to_the_form() {
        let mut forms = Forms::default();
        let lines = ["<7> n 1", "<7> n 2", "<7> n 3", "<7> n 4", "<7> n 5", "<8> n 6", "<8> n 7", "<8> n 8"];
        let cuts: Vec<String> = lines.iter().filter_map(|line| forms.cut(&event(line), line)).map(|cut| cut.text).collect();
        let shown = cuts.join("\n").replace(LEFT_OUT, "…");
        expect![[r#"
            <…> n …
            <…> n …
            <7> n …
            <7> n …
            <…> n …
            <…> n …
            <8> n …"#]]
        .assert_eq(&shown);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            line in "([ab1Ü]{1,2}[ .:\\[\\-]{1,2}){0,8}[a1]{0,1}",
            places in prop::collection::vec((0usize..20, 1usize..4), 0..3),
            times in 1usize..5,
            phrase in "[ .\\[]{0,1}([ab1ü*?]{1,2}[ .:\\-]{1,2}){0,3}[ab1*?]{0,1}[ .]{0,1}",
        ) {
            let mut event = event(&line);
            for (at, length) in places {
                event.push_slice(fields::USER_NAME, at..at + length);
            }
            let folded = fold(&line);
            let mut forms = Forms::default();
            // The more often it comes, the more of it is taken for its form.
            for _ in 0..times {
                forms.cut(&event, &folded);
            }
            let Some(cut) = forms.cut(&event, &folded) else { return Ok(()) };
            let all: BTreeSet<&str> = words(&folded).map(|(_, word)| word).collect();
            let both: BTreeSet<&str> = words(&cut.text).chain(words(&cut.rest)).map(|(_, word)| word).collect();
            prop_assert_eq!(all, both);
            let pattern = phrase.chars().map(|c| match c { '*' => Pat::Many, '?' => Pat::One, c => Pat::Char(c) });
            let pattern = TextPattern::new(pattern.collect());
            match fit(&pattern, &cut.text) {
                Fit::Always => prop_assert!(pattern.found_in(&folded), "{cut:?}"),
                Fit::Never => prop_assert!(!pattern.found_in(&folded), "{cut:?}"),
                Fit::Perhaps => {}
            }
        }
    }
}
