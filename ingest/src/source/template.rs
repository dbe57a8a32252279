//! Lines that nobody understood, grouped into templates: what stays the same in them, and how many there are of each.
//! In the manner of Drain (He et al., ICWS 2017): lines of one program with as many words and the same first word are
//! compared word by word, and where enough agree they are one template whose other words are left open.

use std::collections::HashMap;

use crate::time::Timestamp;

/// A word that differs from line to line.
pub const OPEN: &str = "<*>";
/// Words looked at; what follows is one open word. Longer lines differ in their beginnings already.
const WORDS_MAX: usize = 48;
/// Templates told apart; what comes beyond is counted under `OPEN` of its program.
const TEMPLATES_MAX: usize = 20_000;
/// Templates compared with one line: a stream that invents words ends here.
const COMPARED_MAX: usize = 200;
/// A stored example's characters.
const EXAMPLE_CHARS_MAX: usize = 512;
/// A program's name's.
const APP_CHARS_MAX: usize = 128;
/// A longer word is a value.
const WORD_BYTES_MAX: usize = 64;
/// All templates together; as a table they stand in memory a second time.
const BYTES_MAX: usize = 16 << 20;
/// What a template takes besides its texts, its place in the map included.
const TEMPLATE_BYTES: usize = 256;
/// Programs whose rest is counted apart.
const RESTS_MAX: usize = 1_000;
/// Of the words that are not open by themselves, this share must agree.
const ALIKE_MIN: f64 = 0.6;

/// Lines that differ only in their open words.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// The program, as the header names it; empty for none.
    pub app: Box<str>,
    /// The words, `OPEN` for those that differ.
    words: Vec<Box<str>>,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The first line that was seen of it, cut at 512 characters.
    pub example: Box<str>,
}

impl Template {
    fn take(&mut self, (count, first, last): (u64, Timestamp, Timestamp)) {
        self.count += count;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }

    /// The template as one text.
    pub fn text(&self) -> String {
        self.words.join(" ")
    }
}

/// The templates of all lines given so far.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    /// By program, first word and number of words.
    groups: HashMap<(Box<str>, Box<str>, usize), Vec<Template>>,
    len: usize,
    /// What they take, without those that count the rest.
    bytes: usize,
    rests: usize,
    lines: u64,
}

impl Templates {
    /// Counts a line of the program `app`; `text` is its message.
    pub fn add(&mut self, app: &str, text: &str, at: Timestamp) {
        self.put(app, text, text, (1, at, at));
    }

    /// Takes over what others have counted.
    pub fn merge(&mut self, other: Self) {
        for template in other.ranked() {
            self.put(&template.app, &template.text(), &template.example, (template.count, template.first, template.last));
        }
    }

    fn put(&mut self, app: &str, text: &str, example: &str, (count, first_at, last_at): (u64, Timestamp, Timestamp)) {
        self.lines += count;
        let words = words(text);
        let (app, first) = (cut(app, APP_CHARS_MAX), words.first().copied().unwrap_or_default());
        let key = (Box::from(app), Box::from(first), words.len());
        let group = self.groups.get_mut(&key);
        let compared = group.as_ref().map_or(0, |group| group.len());
        let found = group.and_then(|group| group.iter_mut().find(|template| alike(&template.words, &words)));
        if let Some(template) = found {
            template.take((count, first_at, last_at));
            for (mine, word) in template.words.iter_mut().zip(&words) {
                if mine.as_ref() != *word {
                    *mine = OPEN.into();
                }
            }
            return;
        }
        let example = cut(example, EXAMPLE_CHARS_MAX);
        let bytes = TEMPLATE_BYTES + app.len() + example.len() + words.iter().map(|word| size_of::<Box<str>>() + word.len()).sum::<usize>();
        let template = Template { app: app.into(), words: vec![], count, first: first_at, last: last_at, example: example.into() };
        if self.len < TEMPLATES_MAX && self.bytes + bytes <= BYTES_MAX && compared < COMPARED_MAX {
            (self.len, self.bytes) = (self.len + 1, self.bytes + bytes);
            self.groups.entry(key).or_default().push(Template { words: words.into_iter().map(Box::from).collect(), ..template });
            return;
        }
        // The last one takes what finds no place; of programs that are invented as fast as words, together.
        let is_new = |app: &str| !self.groups.contains_key(&(app.into(), OPEN.into(), 0));
        let app = if is_new(app) && self.rests >= RESTS_MAX { "" } else { app };
        self.rests += usize::from(is_new(app));
        let rest = self.groups.entry((app.into(), OPEN.into(), 0)).or_default();
        match rest.first_mut() {
            Some(rest) => rest.take((count, first_at, last_at)),
            None => rest.push(Template { app: app.into(), words: vec![OPEN.into()], ..template }),
        }
    }

    /// Lines counted.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The templates, the most frequent first; equal ones in the order of their texts.
    pub fn ranked(self) -> Vec<Template> {
        let mut all: Vec<_> = self.groups.into_values().flatten().map(|template| (template.text(), template)).collect();
        all.sort_by(|(a_text, a), (b_text, b)| b.count.cmp(&a.count).then_with(|| a.app.cmp(&b.app)).then_with(|| a_text.cmp(b_text)));
        all.into_iter().map(|(_, template)| template).collect()
    }
}

/// The words of a text: those that say what it is stand as they are, those that hold a value are open.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split_whitespace().take(WORDS_MAX + 1).map(masked).collect();
    if words.len() > WORDS_MAX {
        words.truncate(WORDS_MAX);
        words.push(OPEN);
    }
    words
}

fn cut(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

/// `OPEN` for a value: a word with a digit, a quoted one, or the value of a key.
fn masked(word: &str) -> &str {
    if let Some((key, value)) = word.split_once('=')
        && !key.is_empty()
        && !value.is_empty()
        && key.len() < WORD_BYTES_MAX
        && !key.bytes().any(|byte| byte.is_ascii_digit())
    {
        // The key stays with its sign; its value is anything.
        return word.get(..=key.len()).unwrap_or(OPEN);
    }
    let value = word.len() > WORD_BYTES_MAX
        || word.bytes().any(|byte| byte.is_ascii_digit())
        || word.starts_with(['"', '\'', '/'])
        || word.contains(['@', '\\']);
    if value { OPEN } else { word }
}

fn alike(template: &[Box<str>], words: &[&str]) -> bool {
    let (mut told, mut equal) = (0u32, 0u32);
    for (mine, word) in template.iter().zip(words) {
        if mine.as_ref() == OPEN && *word == OPEN {
            continue;
        }
        told += 1;
        equal += u32::from(mine.as_ref() == *word);
    }
    f64::from(equal) >= ALIKE_MIN * f64::from(told)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    fn grouped(lines: &[&str]) -> String {
        let mut templates = Templates::default();
        for (line, n) in lines.iter().zip(0..) {
            let (app, text) = line.split_once(": ").unwrap_or(("", line));
            templates.add(app, text, Timestamp(n));
        }
        let row = |template: &Template| {
            format!("{} {}: {} [{}..{}]\n", template.count, template.app, template.text(), template.first.0, template.last.0)
        };
        templates.ranked().iter().map(row).collect()
    }

    #[test]
    fn lines_that_differ_in_their_values_are_one_template() {
        expect![[r#"
            2 backupd: job <*> of host <*> failed: volume is full [1..4]
            2 backupd: job <*> of host <*> finished in <*> seconds [0..3]
            2 door: user= door= opened [5..6]
            1 backupd: started [2..2]
            1 door: user= door= refused again [7..7]
        "#]]
        .assert_eq(&grouped(&[
            "backupd: job 4711 of host alpha finished in 12 seconds",
            "backupd: job 4713 of host srv2 failed: volume is full",
            "backupd: started",
            "backupd: job 4712 of host beta finished in 7 seconds",
            "backupd: job 4714 of host srv3 failed: volume is full",
            "door: user=anna door=7 opened",
            "door: user=otto door=9 opened",
            "door: user=otto door=9 refused again",
        ]));
    }

    #[test]
    fn a_stream_that_invents_words_is_bounded_and_counted_whole() {
        let mut templates = Templates::default();
        let name = |n: u32| -> String { n.to_string().bytes().map(|byte| char::from(byte - b'0' + b'a')).collect() };
        let lines: u64 = 30_000;
        for n in 0..30_000 {
            templates.add("", &format!("{} {}", name(n), name(n * 7)), Timestamp(0));
        }
        let ranked = templates.ranked();
        assert!(ranked.len() <= TEMPLATES_MAX + 1, "{}", ranked.len());
        assert_eq!(ranked.iter().map(|template| template.count).sum::<u64>(), lines);
    }

    /// Before, each first word that came once nothing more was taken in left an empty group behind.
    #[test]
    fn invented_programs_and_long_words_fill_no_more_than_their_room() {
        let mut templates = Templates::default();
        let name = |n: u32| -> String { n.to_string().bytes().map(|byte| char::from(byte - b'0' + b'a')).collect() };
        let text = "wortundwort ".repeat(40);
        for n in 0..30_000 {
            templates.add(&name(n), &format!("{} {text}", name(n)), Timestamp(0));
            templates.add("", &name(n).repeat(1_000), Timestamp(0));
        }
        assert!(templates.bytes <= BYTES_MAX && templates.len < 20_000, "{} {}", templates.bytes, templates.len);
        assert!(templates.groups.len() <= templates.len + RESTS_MAX + 1, "{}", templates.groups.len());
        assert_eq!(templates.ranked().iter().map(|template| template.count).sum::<u64>(), 60_000);
    }

    proptest! {
        /// Whatever comes, each line is counted once.
        #[test]
        fn every_line_is_counted_once(lines in prop::collection::vec(("[a-c]{0,2}", "([a-z0-9= ]{0,30}|.{0,40})"), 0..60)) {
            let mut templates = Templates::default();
            for (app, text) in &lines {
                templates.add(app, text, Timestamp(0));
            }
            prop_assert_eq!(templates.lines(), lines.len() as u64);
            prop_assert_eq!(templates.ranked().iter().map(|template| template.count).sum::<u64>(), lines.len() as u64);
        }
    }
}
