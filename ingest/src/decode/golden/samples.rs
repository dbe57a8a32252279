//! The lines of the golden tables, read out of their source files, so that no list of them can be forgotten: every text
//! there that is not what a line is expected to become. The benches and the fuzzer's seeds use the same.

use std::fs;
use std::path::Path;

/// A shorter text is a word of the test, not a line.
const SAMPLE_BYTES_MIN: usize = 12;

/// The lines in all files of a folder, sorted by file, each once.
pub(crate) fn samples(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "rs")).collect();
    files.sort();
    let mut samples = Vec::new();
    for file in files.iter().filter(|file| file.file_name().is_some_and(|name| name != "samples.rs")) {
        for sample in texts(&fs::read_to_string(file).unwrap_or_default()) {
            if sample.len() >= SAMPLE_BYTES_MIN && !samples.contains(&sample) {
                samples.push(sample);
            }
        }
    }
    samples
}

/// The string literals of a Rust source, without those in comments and in `expect![…]`.
fn texts(source: &str) -> Vec<Vec<u8>> {
    let (mut texts, mut rest, mut before) = (Vec::new(), source, ' ');
    // How deep within the brackets of `expect![`; 0 is outside.
    let mut depth = 0;
    while let Some(char) = rest.chars().next() {
        let is_start = !before.is_alphanumeric() && before != '_';
        let literal = if is_start || char == '"' { raw(rest).or_else(|| cooked(rest)) } else { None };
        if let Some((text, after)) = literal {
            if depth == 0 {
                texts.push(text);
            }
            (rest, before) = (after, '"');
            continue;
        }
        let skipped = match char {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            // A character that would open or close a text.
            '\'' if rest.starts_with("'\"'") => 3,
            '\'' if rest.starts_with("'\\\"'") => 4,
            'e' if is_start && depth == 0 && rest.starts_with("expect![") => {
                depth = 1;
                "expect![".len()
            }
            '[' if depth > 0 => {
                depth += 1;
                1
            }
            ']' if depth > 0 => {
                depth -= 1;
                1
            }
            _ => char.len_utf8(),
        };
        let (gone, after) = rest.split_at(skipped.max(1));
        (rest, before) = (after, gone.chars().next_back().unwrap_or(' '));
    }
    texts
}

/// `r"…"`, `r#"…"#`, `br#"…"#` and what follows.
fn raw(source: &str) -> Option<(Vec<u8>, &str)> {
    let opened = source.strip_prefix('b').unwrap_or(source).strip_prefix('r')?;
    let inner = opened.trim_start_matches('#');
    let hashes = opened.get(..opened.len() - inner.len())?;
    let (text, after) = inner.strip_prefix('"')?.split_once(&format!("\"{hashes}"))?;
    Some((text.as_bytes().to_vec(), after))
}

/// `"…"`, `b"…"` with its escapes and what follows.
fn cooked(source: &str) -> Option<(Vec<u8>, &str)> {
    let inner = source.strip_prefix('b').unwrap_or(source).strip_prefix('"')?;
    let (mut text, mut chars) = (Vec::new(), inner.chars());
    loop {
        match chars.next()? {
            '"' => return Some((text, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => text.push(b'\n'),
                'r' => text.push(b'\r'),
                't' => text.push(b'\t'),
                '0' => text.push(0),
                'x' => text.push(u8::from_str_radix(&chars.by_ref().take(2).collect::<String>(), 16).ok()?),
                'u' => {
                    let digits: String = chars.by_ref().take_while(|char| *char != '}').filter(|char| *char != '{').collect();
                    let char = char::from_u32(u32::from_str_radix(&digits, 16).ok()?)?;
                    text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                }
                // The line goes on behind the indentation.
                '\n' => chars = chars.as_str().trim_start().chars(),
                other => text.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            },
            char => text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[test]
fn texts_are_found_as_rust_reads_them() {
    let source = r####"
        // "not this"
        check(r#"a "raw" line]"#, expect![[r#"not ] this"#]]);
        check("es\"c\x41ped\t\u{202e} \
               on", expect!["nor this"]);
        if c == '"' || c == '\"' {}
        event_of(b"Stra\xdfe"); br"bytes\n"; for"mat"
    "####;
    let found: Vec<_> = texts(source).into_iter().map(|text| String::from_utf8_lossy(&text).into_owned()).collect();
    assert_eq!(found, ["a \"raw\" line]", "es\"cAped\t\u{202e} on", "Stra\u{FFFD}e", "bytes\\n", "mat"]);
}
