//! In which language somebody is answered. German is written where it is shown, as the key of its own translation:
//! `t("Anmelden")`, `{{ "Anmelden"|t }}`. English comes from the catalogue `dashboard/words/en.toml`; what it lacks stays
//! German, and a test lists it.
//!
//! The language belongs to the thread that answers one request: a page is a plain function on a blocking thread, so that
//! no page has to hand a language down to every word. Only `with_language` sets it, and it puts back what was before.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::LazyLock;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    German,
    English,
}

impl Language {
    /// As cookies, accounts and the `lang` of pages name it.
    pub fn code(self) -> &'static str {
        match self {
            Self::German => "de",
            Self::English => "en",
        }
    }

    /// Anything but `en` is German, the users' language.
    pub fn of(code: &str) -> Self {
        if code == "en" { Self::English } else { Self::German }
    }
}

thread_local! {
    static CURRENT: Cell<Language> = const { Cell::new(Language::German) };
}

/// Answers in `language` what `work` says on this thread.
pub fn with_language<T>(language: Language, work: impl FnOnce() -> T) -> T {
    struct Back(Language);
    // Also where `work` panics: the thread serves others after it.
    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _back = Back(CURRENT.replace(language));
    work()
}

/// The language of this thread's answer.
pub fn language() -> Language {
    CURRENT.get()
}

const CATALOGUE: &str = include_str!("../../words/en.toml");

static ENGLISH: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
    // The test below reads the same text, so that a broken catalogue never gets as far as a user.
    let entries: HashMap<String, String> = toml::from_str(CATALOGUE).unwrap_or_default();
    let leaked = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    entries.into_iter().filter(|(_, english)| !english.is_empty()).map(|(german, english)| (leaked(german), leaked(english))).collect()
});

/// The words in the language of this answer. `text` is German and stands as a literal here or where `de` marks it.
/// Where a German word has two meanings, the one that is meant stands before a bar, as one word: `t("Netz|Protokoll")`.
pub fn t(text: &'static str) -> &'static str {
    let german = text.split_once('|').filter(|(meaning, _)| !meaning.contains(' ')).map_or(text, |(_, german)| german);
    match language() {
        Language::German => german,
        Language::English => ENGLISH.get(text).copied().unwrap_or(german),
    }
}

/// As `t`, with what stands for each `{name}` in it.
pub fn tf(text: &'static str, values: &[(&str, &dyn Display)]) -> String {
    filled(t(text), values)
}

/// As `t`, for a count: `{n}` stands for it, written in the reader's form.
pub fn tn(one: &'static str, many: &'static str, n: u64) -> String {
    filled(t(if n == 1 { one } else { many }), &[("n", &crate::show::num(n))])
}

/// Marks German words in a constant table for the catalogue; `t` is called where they are shown.
pub const fn de(text: &'static str) -> &'static str {
    text
}

/// `text` with what stands for each `{name}`. Read once from left to right: what is put in fills no other's place.
pub(crate) fn filled(text: &str, values: &[(&str, &dyn Display)]) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len() + 16), text);
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        let known = behind.split_once('}').and_then(|(name, behind)| {
            let (_, value) = values.iter().find(|(known, _)| *known == name)?;
            Some((value, behind))
        });
        rest = match known {
            Some((value, behind)) => {
                out.push_str(&value.to_string());
                behind
            }
            None => {
                out.push('{');
                behind
            }
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;

    use regex::Regex;

    use super::*;

    #[test]
    fn an_answer_has_one_language_and_the_thread_gets_its_own_back() {
        assert_eq!(t("Anmelden"), "Anmelden");
        with_language(Language::English, || {
            assert_eq!(t("Anmelden"), "Sign in");
            assert_eq!(t("Was kein Katalog kennt"), "Was kein Katalog kennt");
            with_language(Language::German, || assert_eq!(t("Anmelden"), "Anmelden"));
        });
        let panicked = std::panic::catch_unwind(|| with_language(Language::English, || panic!("planted")));
        assert!(panicked.is_err() && language() == Language::German);
    }

    #[test]
    fn a_word_of_two_meanings_says_which() {
        assert_eq!((t("Protokoll"), t("Netz|Protokoll")), ("Protokoll", "Protokoll"));
        with_language(Language::English, || {
            assert_eq!((t("Protokoll"), t("Netz|Protokoll")), ("Audit log", "Protocol"));
            assert_eq!(t("Katalog|Unbekannt"), "Unbekannt");
        });
        assert_eq!(t("Je Zeile: Name | Fassung"), "Je Zeile: Name | Fassung");
    }

    #[test]
    fn what_is_put_in_fills_no_other_place() {
        let hostile = "{b}";
        assert_eq!(tf("{a} und {b}", &[("a", &hostile), ("b", &1)]), "{b} und 1");
        assert_eq!(
            (tn("eine Zeile", "{n} Zeilen", 1), tn("eine Zeile", "{n} Zeilen", 1_200)),
            ("eine Zeile".into(), "1.200 Zeilen".into())
        );
    }

    /// Every text that somebody marked for translation, as it stands in the code and the templates.
    fn marked() -> BTreeSet<String> {
        // The first literals of t(, tf(, de(, and both of tn(; in templates those before |t and |tn.
        let literal = r#""((?:[^"\\]|\\.)*)""#;
        let rust = Regex::new(&format!(r"\b(?:t|tf|de)\(\s*{literal}")).unwrap();
        let counts = Regex::new(&format!(r"\btn\(\s*{literal},\s*{literal}")).unwrap();
        let template = Regex::new(&format!(r"{literal}\s*\|\s*t\b")).unwrap();
        let template_counts = Regex::new(&format!(r"{literal}\s*\|\s*tn\(\s*{literal}")).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut texts = BTreeSet::new();
        let mut folders = vec![root.join("src"), root.join("templates")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let is_rust = path.extension().is_some_and(|extension| extension == "rs");
                // A file's tests say things that nobody reads.
                let text = if is_rust { text.split("#[cfg(test)]\nmod tests {").next().unwrap() } else { &text };
                let patterns = if is_rust { [&rust, &counts] } else { [&template, &template_counts] };
                for found in patterns.into_iter().flat_map(|pattern| pattern.captures_iter(text)) {
                    texts.extend(found.iter().skip(1).flatten().map(|text| unescaped(text.as_str())));
                }
            }
        }
        texts
    }

    /// What a literal of the source stands for; a line that goes on behind a backslash is one line.
    fn unescaped(literal: &str) -> String {
        let joined = Regex::new(r"\\\n\s*").unwrap().replace_all(literal, "").into_owned();
        let hex = Regex::new(r"\\u\{([0-9a-fA-F]+)\}").unwrap();
        let plain = hex.replace_all(&joined, |found: &regex::Captures<'_>| {
            char::from_u32(u32::from_str_radix(&found[1], 16).unwrap()).unwrap().to_string()
        });
        plain.replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\")
    }

    /// The catalogue has each marked text and no other, each with its English and the same places to fill.
    /// `UPDATE_EXPECT=1` adds what is new (with nothing as English) and takes out what is no longer marked.
    #[test]
    fn everything_marked_has_its_english() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("words/en.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let known: BTreeMap<String, String> = toml::from_str(&text).unwrap();
        let wanted: BTreeMap<String, String> = marked()
            .into_iter()
            .map(|german| {
                let english = known.get(&german).cloned().unwrap_or_default();
                (german, english)
            })
            .collect();
        if std::env::var_os("UPDATE_EXPECT").is_some() && wanted != known {
            std::fs::write(&path, written(&text, &wanted)).unwrap();
        }
        let places = |text: &str| -> BTreeSet<String> {
            Regex::new(r"\{\w+\}").unwrap().find_iter(text).map(|found| found.as_str().into()).collect()
        };
        let missing: Vec<&String> = wanted.iter().filter(|(_, english)| english.is_empty()).map(|(german, _)| german).collect();
        let orphans: Vec<&String> = known.keys().filter(|german| !wanted.contains_key(*german)).collect();
        // "One line" may leave the count out.
        let odd: Vec<&String> = wanted
            .iter()
            .filter(|(german, english)| !english.is_empty() && !places(english).is_subset(&places(german)))
            .map(|(german, _)| german)
            .collect();
        assert!(
            missing.is_empty() && orphans.is_empty() && odd.is_empty(),
            "without English: {missing:#?}\nno longer marked: {orphans:#?}\nother places: {odd:#?}"
        );
    }

    /// The file's opening comment, then one line an entry in the order of the German.
    fn written(old: &str, entries: &BTreeMap<String, String>) -> String {
        let head: String = old.lines().take_while(|line| line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let lines = entries.iter().map(|(german, english)| format!("{} = {}\n", basic(german), quoted(english)));
        head + "\n" + lines.collect::<String>().as_str()
    }

    /// A quoted key.
    fn basic(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    }
}
