//! Regular expressions of rules. They are written for PCRE and run by an engine whose time is linear in the text and whose
//! size is bounded, so that no rule can stall the others; what such an engine cannot do (looking around, referring back)
//! is refused with its own words.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind};

use super::pattern::{Anchor, fold};

/// Compiled size of one regular expression. The engine is linear, so that size is all an expression can cost.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// `flags` are Sigma's `i`, `m` and `s`. Without an anchor the expression is searched for; one can tie it to an end of
/// the text.
pub(crate) fn compile(text: &str, flags: &[char], anchor: Anchor) -> Result<Regex, String> {
    let text = from_pcre(text);
    let text = match anchor {
        Anchor::Whole | Anchor::Contains => text,
        Anchor::Start => format!(r"\A(?:{text})"),
        Anchor::End => format!(r"(?:{text})\z"),
    };
    // The flags stand in the text, so that it says by itself what it matches (`needs`).
    let flags: String = ['i', 'm', 's'].into_iter().filter(|flag| flags.contains(flag)).collect();
    let text = if flags.is_empty() { text } else { format!("(?{flags}){text}") };
    RegexBuilder::new(&text).size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX).build().map_err(|error| {
        // The crate draws the place over several lines; its last one says what is wrong.
        let message = error.to_string();
        format!("regular expression: {}", message.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })
}

/// Texts in lower case of which one must stand in every text that the expression finds something in; `None` where there are
/// no such texts, or too many of them.
pub(crate) fn needs(regex: &Regex) -> Option<Vec<String>> {
    // An expression that was compiled can be read again.
    let parsed = regex_syntax::parse(regex.as_str()).ok()?;
    match required(&parsed) {
        Required::Exactly(texts) | Required::Within(texts) => texts.iter().all(|text| !text.is_empty()).then_some(texts),
        Required::Nothing => None,
    }
}

/// What a part of an expression asks of the text, folded.
enum Required {
    /// The part is one of these texts and nothing else.
    Exactly(Vec<String>),
    /// One of these stands in whatever the part matches.
    Within(Vec<String>),
    Nothing,
}

/// Alternatives that are followed; more of them would be found everywhere.
const ALTERNATIVES_MAX: usize = 64;

fn required(hir: &Hir) -> Required {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Required::Exactly(vec![String::new()]),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => Required::Exactly(vec![fold(text).into_owned()]),
            Err(_) => Required::Nothing,
        },
        HirKind::Class(Class::Unicode(class)) => of_class(class),
        HirKind::Class(Class::Bytes(_)) => Required::Nothing,
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max, required(&repetition.sub)) {
            (0, ..) => Required::Nothing,
            (1, Some(1), same) => same,
            (_, _, Required::Exactly(texts) | Required::Within(texts)) => Required::Within(texts),
            (_, _, Required::Nothing) => Required::Nothing,
        },
        HirKind::Alternation(parts) => {
            let (mut all, mut exactly) = (Vec::new(), true);
            for part in parts {
                match required(part) {
                    Required::Exactly(texts) => all.extend(texts),
                    Required::Within(texts) => {
                        exactly = false;
                        all.extend(texts);
                    }
                    Required::Nothing => return Required::Nothing,
                }
            }
            match all.len() {
                0..=ALTERNATIVES_MAX if exactly => Required::Exactly(all),
                0..=ALTERNATIVES_MAX => Required::Within(all),
                _ => Required::Nothing,
            }
        }
        HirKind::Concat(parts) => of_sequence(parts),
    }
}

/// A class of one letter in both cases is that letter; one of a few signs is these.
fn of_class(class: &ClassUnicode) -> Required {
    let mut texts: Vec<String> = Vec::new();
    for range in class.ranges() {
        for c in range.start()..=range.end() {
            let folded: String = c.to_lowercase().collect();
            if !texts.contains(&folded) {
                texts.push(folded);
            }
            if texts.len() > 4 {
                return Required::Nothing;
            }
        }
    }
    if texts.is_empty() { Required::Nothing } else { Required::Exactly(texts) }
}

/// Neighbours whose texts are known grow together; the best of what came out stands for all.
fn of_sequence(parts: &[Hir]) -> Required {
    let (mut run, mut whole) = (vec![String::new()], true);
    let mut best: Option<Vec<String>> = None;
    let shortest = |texts: &[String]| texts.iter().map(String::len).min().unwrap_or(0);
    let offer = |best: &mut Option<Vec<String>>, texts: Vec<String>| {
        let worth = |texts: &[String]| (shortest(texts), std::cmp::Reverse(texts.len()));
        if shortest(&texts) > 0 && best.as_ref().is_none_or(|best| worth(&texts) > worth(best)) {
            *best = Some(texts);
        }
    };
    for part in parts {
        match required(part) {
            Required::Exactly(texts) if run.len() * texts.len() <= ALTERNATIVES_MAX => {
                run = run.iter().flat_map(|before| texts.iter().map(move |text| format!("{before}{text}"))).collect();
            }
            other => {
                whole = false;
                offer(&mut best, std::mem::replace(&mut run, vec![String::new()]));
                if let Required::Exactly(texts) | Required::Within(texts) = other {
                    offer(&mut best, texts);
                }
            }
        }
    }
    if whole {
        return Required::Exactly(run);
    }
    offer(&mut best, run);
    best.map_or(Required::Nothing, Required::Within)
}

/// The same expression in the engine's own words, where PCRE reads a sign differently: `\<` and `\>` are plain signs, a
/// `{` that begins no repetition is one, and within `[…]` so are `[`, `&&`, `--` and `~~`. Letters, digits and spaces are
/// ASCII's, as they are there; all of Unicode's would make `\w{1,64}` a machine of megabytes.
fn from_pcre(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |n: usize| chars.get(n).copied();
    let mut out = String::with_capacity(text.len() + 8);
    let (mut n, mut in_class) = (0, false);
    while let Some(c) = at(n) {
        let next = at(n + 1);
        let mut taken = 1;
        match (c, next) {
            ('\\', Some(sign @ ('<' | '>'))) => {
                out.push(sign);
                taken = 2;
            }
            ('\\', Some('p' | 'P' | 'x' | 'u')) if at(n + 2) == Some('{') => {
                // A name or number in braces belongs to the escape.
                taken = chars.iter().skip(n).position(|c| *c == '}').map_or(2, |end| end + 1);
                out.extend(chars.iter().skip(n).take(taken));
            }
            ('\\', Some(class)) if ascii_class(class).is_some() => {
                out.push_str(ascii_class(class).unwrap_or_default());
                taken = 2;
            }
            ('\\', Some('b')) if !in_class => {
                out.push_str(r"(?-u:\b)");
                taken = 2;
            }
            ('\\', Some(sign)) => {
                out.extend(['\\', sign]);
                taken = 2;
            }
            ('{', _) if !in_class && !is_repetition(chars.get(n..).unwrap_or_default()) => out.push_str(r"\{"),
            ('[', _) if !in_class => {
                in_class = true;
                out.push('[');
                if at(n + taken) == Some('^') {
                    out.push('^');
                    taken += 1;
                }
                if at(n + taken) == Some(']') {
                    out.push_str(r"\]");
                    taken += 1;
                }
            }
            ('[', Some(':')) if named_class(chars.get(n..).unwrap_or_default()).is_some() => {
                taken = named_class(chars.get(n..).unwrap_or_default()).unwrap_or(1);
                out.extend(chars.iter().skip(n).take(taken));
            }
            ('[', _) => out.push_str(r"\["),
            (']', _) if in_class => {
                in_class = false;
                out.push(']');
            }
            ('&', Some('&')) | ('-', Some('-')) | ('~', Some('~')) if in_class => out.extend(['\\', c]),
            _ => out.push(c),
        }
        n += taken;
    }
    out
}

fn ascii_class(letter: char) -> Option<&'static str> {
    Some(match letter {
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => r"[\t\n\x0B\f\r ]",
        'S' => r"[^\t\n\x0B\f\r ]",
        _ => return None,
    })
}

/// The length of a `[:digit:]` that stands here.
fn named_class(from_bracket: &[char]) -> Option<usize> {
    let letters = from_bracket.iter().skip(2).take_while(|c| c.is_ascii_lowercase()).count();
    (from_bracket.get(2 + letters..4 + letters)? == [':', ']']).then_some(letters + 4)
}

/// `{3}`, `{3,}` or `{3,5}`.
fn is_repetition(from_brace: &[char]) -> bool {
    let inside: String = from_brace.iter().skip(1).take_while(|c| **c != '}').collect();
    let closed = from_brace.len() > inside.chars().count() + 1;
    let (least, most) = inside.split_once(',').unwrap_or((&inside, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    closed && !least.is_empty() && digits(least) && digits(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// expression, matching texts, other texts.
    #[test]
    fn signs_that_pcre_reads_otherwise() {
        let table: &[(&str, &[&str], &[&str])] = &[
            (r"\<script\>", &["<script>"], &["script"]),
            (r"\${jndi:", &["${jndi:ldap"], &["$jndi:"]),
            (r"a{2}", &["aa"], &["a{2}"]),
            (r"a{2,}b{1,3}", &["aab"], &["ab"]),
            (r"a{,5}", &["a{,5}"], &["aaa"]),
            (r"\{\d\}{2}", &["{1}}"], &["{1}"]),
            (r"[[{]x", &["[x", "{x"], &["x"]),
            (r"[]x]y", &["]y", "xy"], &["y"]),
            (r"[^]x]y", &["ay"], &["]y", "xy"]),
            (r"[a&&b]+z", &["&z", "az"], &["cz"]),
            (r"^[[:digit:]]+$", &["123"], &["12a", ":"]),
            (r"\x{41}\p{L}", &["AB"], &["A1"]),
            (r"^[\w-.]+$", &["a-b.c_1"], &["a b", "ä"]),
            (r"^\S\s\D\d\W$", &["a b1-", "ä b1-"], &["a bb-"]),
            (r"\bab\b", &["x ab y", "äab"], &["xab"]),
            (r"-k\s\w{1,64}(?:\s?(?:-p|-s))?", &["-k netsvcs -p"], &["-k"]),
            (r"[^\s\\]+\\", &[r"a\"], &[r" \"]),
            ("(?i)\"é", &["\"É"], &["É"]),
            (r"C:\\Windows\\[^\\]+$", &[r"C:\Windows\x"], &[r"C:\Windows\x\y"]),
        ];
        for (text, hits, misses) in table {
            let regex = compile(text, &[], Anchor::Whole).unwrap_or_else(|error| panic!("{text}: {error}"));
            hits.iter().for_each(|hit| assert!(regex.is_match(hit), "{text} {hit} {regex}"));
            misses.iter().for_each(|miss| assert!(!regex.is_match(miss), "{text} {miss} {regex}"));
        }
    }

    #[test]
    fn anchors_hold_for_every_alternative() {
        let table = [(Anchor::Start, "a|b", "bx", "xb"), (Anchor::End, "a|b", "xa", "ax"), (Anchor::Contains, "a|b", "xbx", "x")];
        for (anchor, text, hit, miss) in table {
            let regex = compile(text, &['m'], anchor).unwrap();
            assert!(regex.is_match(hit) && !regex.is_match(miss), "{anchor:?}");
        }
        assert!(!compile("b", &['m'], Anchor::Start).unwrap().is_match("a\nb"), "an anchor is the text's, not a line's");
    }

    #[test]
    fn what_a_linear_engine_cannot_do_is_refused() {
        for text in [r"(?=x)", r"(?<!x)y", r"(a)\1", r"(", "a{1000}{1000}"] {
            assert!(compile(text, &[], Anchor::Whole).is_err(), "{text}");
        }
        // Exponential where an engine goes back; here a moment.
        let regex = compile("(a+)+$", &[], Anchor::Whole).unwrap();
        assert!(!regex.is_match(&("a".repeat(100_000) + "!")));
    }
}
