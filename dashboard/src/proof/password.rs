//! Which passwords are taken. Length beats rules about characters (BSI, NIST SP 800-63B): at least ten characters, nothing
//! that stands on the lists by which everybody tries first, nothing made of the own name or the house's. Each refusal
//! says what to do instead.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use crate::user::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN, User};
use crate::words::{de, tf};

/// The most used of leaked passwords (zxcvbn's list, MIT: all of ten characters and more, and the 10,000 most used of five
/// and more as what longer ones are made from), with some German ones.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| include_str!("common.txt").lines().collect());

/// What everybody here would try.
const HOUSE: &[&str] = &["wartburg", "thueringencert", "thueringen", "thuringia", "cert", "passwort", "kennwort", "password", "erfurt"];
/// So much put around a common word does not make it uncommon: digits, a year, a sign.
const AROUND_MAX: usize = 8;
/// With fewer different characters it is one key held down.
const DISTINCT_MIN: usize = 5;
/// Letters that must be left when the own and the house's names are taken out.
const LETTERS_LEFT_MIN: usize = 6;
/// Rows of a keyboard and other ways to go on by one.
const ROWS: &[&str] =
    &["1234567890", "qwertzuiop", "qwertyuiop", "asdfghjkl", "yxcvbnm", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz", "1qaz2wsx3edc4rfv5tgb"];

/// Why a password is not taken; the sentence says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    Short,
    Long,
    Common,
    Name,
    Pattern,
}

impl std::error::Error for Weak {}

impl fmt::Display for Weak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, n) = match self {
            Self::Short => (
                de(
                    "Das Kennwort ist zu kurz. Nehmen Sie mindestens {n} Zeichen, am besten vier Wörter, die nichts miteinander zu tun haben.",
                ),
                PASSWORD_CHARS_MIN,
            ),
            Self::Long => (de("Das Kennwort ist zu lang. Höchstens {n} Zeichen sind möglich."), PASSWORD_BYTES_MAX),
            Self::Common => (
                de(
                    "Dieses Kennwort steht auf den Listen, die Angreifer zuerst probieren. Nehmen Sie vier Wörter, die nichts miteinander zu tun haben.",
                ),
                0,
            ),
            Self::Name => (de("Das Kennwort besteht fast nur aus Ihrem Namen oder dem Namen des Hauses. Nehmen Sie andere Wörter."), 0),
            Self::Pattern => {
                (de("Das Kennwort wiederholt sich oder folgt den Tasten. Nehmen Sie vier Wörter, die nichts miteinander zu tun haben."), 0)
            }
        };
        f.write_str(&tf(text, &[("n", &n)]))
    }
}

/// Whether a password may be somebody's. Its hash costs more than all of this: check first.
///
/// # Errors
/// Why not, with what to do.
pub fn check(password: &str, user: &User) -> Result<(), Weak> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(Weak::Short);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Weak::Long);
    }
    let plain = folded(password);
    if is_common(&plain) {
        return Err(Weak::Common);
    }
    if is_pattern(&plain) {
        return Err(Weak::Pattern);
    }
    if is_name(&plain, user) { Err(Weak::Name) } else { Ok(()) }
}

/// Lower case, umlauts written out.
fn folded(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for ch in text.chars().flat_map(char::to_lowercase) {
        match ch {
            'ä' => plain.push_str("ae"),
            'ö' => plain.push_str("oe"),
            'ü' => plain.push_str("ue"),
            'ß' => plain.push_str("ss"),
            other => plain.push(other),
        }
    }
    plain
}

/// Letters for the signs that stand for them.
fn spelled(plain: &str) -> String {
    let letter = |ch| match ch {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    plain.chars().map(letter).collect()
}

fn is_common(plain: &str) -> bool {
    let core = |text: &str| {
        let core = text.trim_matches(|ch: char| !ch.is_alphabetic()).to_owned();
        (plain.chars().count().saturating_sub(core.chars().count()) <= AROUND_MAX).then_some(core)
    };
    // The signs in the middle are spelled, those around are not part of the word: `P@ssw0rt2026!`.
    let inner = core(plain).map(|core| spelled(&core));
    [Some(plain.to_owned()), Some(spelled(plain)), core(plain), inner].into_iter().flatten().any(|text| COMMON.contains(text.as_str()))
}

fn is_pattern(plain: &str) -> bool {
    let chars: Vec<char> = plain.chars().collect();
    if chars.iter().collect::<HashSet<_>>().len() < DISTINCT_MIN {
        return true;
    }
    let repeats = (1..=chars.len() / 2).any(|period| chars.iter().zip(chars.iter().skip(period)).all(|(a, b)| a == b));
    let next_to = |a: char, b: char| {
        ROWS.iter().any(|row| {
            let at = |ch| row.chars().position(|known| known == ch);
            at(a).zip(at(b)).is_some_and(|(a, b)| a.abs_diff(b) <= 1)
        })
    };
    let steps = chars.iter().zip(chars.iter().skip(1)).filter(|(a, b)| next_to(**a, **b)).count();
    // Three steps in four along a row.
    repeats || steps * 4 >= (chars.len() - 1) * 3
}

/// Whether little is left without the own and the house's names.
fn is_name(plain: &str, user: &User) -> bool {
    let own = folded(&format!("{} {}", user.login, user.name));
    let mut words: Vec<&str> = own.split(|ch: char| !ch.is_alphanumeric()).filter(|word| word.chars().count() >= 3).collect();
    words.extend(HOUSE);
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let (spelled, mut named) = (spelled(plain), false);
    let left = [plain, spelled.as_str()].map(|text| {
        let mut text = text.to_owned();
        for word in &words {
            named |= text.contains(word);
            text = text.replace(word, "");
        }
        text.chars().filter(|ch| ch.is_alphabetic()).count()
    });
    named && left.into_iter().any(|left| left < LETTERS_LEFT_MIN)
}

#[cfg(test)]
mod tests {
    use detect::role::Role;
    use expect_test::expect;

    use super::*;
    use crate::user::UserId;

    #[test]
    fn which_passwords_are_taken() {
        let user = User {
            id: UserId::default(),
            login: "m.lindner".into(),
            name: "Margarete Lindner".into(),
            role: Role::Lead,
            body: None,
            disabled: false,
        };
        let long = "x".repeat(257);
        let mut table = String::new();
        for password in [
            "kurz",
            "neunzeich",
            long.as_str(),
            "qwertyuiop",
            "Password123!",
            "P@ssw0rt2026!",
            "Passwort-2026",
            "Sommer2026!",
            "1234567890",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "hallohallo",
            "asdfghjklö",
            "Wartburg-2026",
            "Thüringen2026!",
            "Thueringen#1",
            "ThüringenCERT!",
            "Lindner1984!",
            "margarete.l1",
            "m.lindner.12",
            "Wartburg ueber dem Nebel",
            "vier Pferde essen Kuchen",
            "correct horse battery staple",
            "xK7#mQ9$vL2p",
            "Дверь-открыта-вчера",
            "Kohlmeise-Dachrinne",
        ] {
            let verdict = check(password, &user).map_or_else(|weak| format!("{weak:?}"), |()| "taken".into());
            table += &format!("{}: {verdict}\n", password.chars().take(30).collect::<String>());
        }
        expect![[r#"
            kurz: Short
            neunzeich: Short
            xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: Long
            qwertyuiop: Common
            Password123!: Common
            P@ssw0rt2026!: Common
            Passwort-2026: Common
            Sommer2026!: Common
            1234567890: Common
            aaaaaaaaaaaa: Pattern
            abcabcabcabc: Pattern
            hallohallo: Pattern
            asdfghjklö: Pattern
            Wartburg-2026: Name
            Thüringen2026!: Name
            Thueringen#1: Name
            ThüringenCERT!: Name
            Lindner1984!: Name
            margarete.l1: Name
            m.lindner.12: Name
            Wartburg ueber dem Nebel: taken
            vier Pferde essen Kuchen: taken
            correct horse battery staple: taken
            xK7#mQ9$vL2p: taken
            Дверь-открыта-вчера: taken
            Kohlmeise-Dachrinne: taken
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn the_list_is_there_and_each_word_of_it_is_found() {
        assert!(COMMON.len() > 10_000);
        assert!(COMMON.iter().filter(|word| word.chars().count() >= 10).all(|word| is_common(word)));
        assert!(COMMON.iter().all(|word| folded(word) == **word), "what is compared in lower case stands in lower case");
    }
}
