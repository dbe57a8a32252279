//! Why a rule was refused, in the reader's language. The compiler speaks English everywhere (`refusals` has its German); what the
//! shipped pipelines say is German in their files, and has its English in the catalogue.

use super::refusals::{FILLED, REFUSALS};
use super::{Language, de, language, t};

/// What `rules/pipelines` refuses with; a test reads the files.
const SHIPPED: [&str; 2] = [
    de("Argumente vom elften an stehen nur zusammen in process.command_line"),
    de("die Dateiendung steht in keinem eigenen Feld; url.path|endswith leistet dasselbe"),
];
/// Messages within messages: a field, an alias, and what is wrong with it.
const NESTED_MAX: usize = 4;

/// A refusal's message as somebody reads it.
pub fn refused(message: &str) -> String {
    if language() == Language::German {
        return german(message, NESTED_MAX);
    }
    // Before it may stand which field of a correlation it is about.
    let known = SHIPPED.iter().find_map(|german| Some((message.strip_suffix(german)?, t(german))));
    known.map_or_else(|| message.to_owned(), |(before, english)| format!("{before}{english}"))
}

/// A message that has no German stays as it is: what a library said, or a pipeline of the operator's own.
fn german(message: &str, depth: usize) -> String {
    let (message, nearest) = match message.strip_suffix("'?").and_then(|rest| rest.rsplit_once(", did you mean '")) {
        Some((rest, name)) => (rest, format!(" – meinten Sie „{name}“?")),
        None => (message, String::new()),
    };
    let fits = |(english, german)| Some((english, german, filled(english, message)?));
    // The one that says the most itself.
    let known = REFUSALS.iter().copied().filter_map(fits).max_by_key(|(english, ..)| english.len());
    let text = match (known, message.split_once("': ")) {
        (Some((_, german, fills)), _) => put_in(german, &fills),
        (None, Some((what, within))) if depth > 0 && what.starts_with('\'') => {
            format!("„{}“: {}", what.trim_start_matches('\''), german(within, depth - 1))
        }
        (None, _) => message.to_owned(),
    };
    format!("{text}{nearest}")
}

/// What stands in the places of `template`, if the message is one of it.
fn filled<'m>(template: &str, message: &'m str) -> Option<Vec<&'m str>> {
    let mut parts = template.split("{}");
    let mut rest = message.strip_prefix(parts.next()?)?;
    let mut fills = vec![];
    let parts: Vec<&str> = parts.collect();
    for (n, part) in parts.iter().enumerate() {
        let end = match (n + 1 == parts.len(), part.is_empty()) {
            (true, true) => rest.len(),
            (true, false) => rest.len() - rest.strip_suffix(part).map(|_| part.len())?,
            (false, _) => rest.find(part)?,
        };
        fills.push(rest.get(..end)?);
        rest = rest.get(end + part.len()..)?;
    }
    rest.is_empty().then_some(fills)
}

fn put_in(german: &str, fills: &[&str]) -> String {
    let mut text = String::new();
    let mut rest = german;
    while let Some((before, behind)) = rest.split_once('{') {
        text.push_str(before);
        let fill = behind.split_once('}').and_then(|(n, rest)| Some((fills.get(n.parse::<usize>().ok()?.checked_sub(1)?)?, rest)));
        let Some((fill, behind)) = fill else {
            text.push('{');
            rest = behind;
            continue;
        };
        text.push_str(FILLED.iter().find(|(english, _)| english == fill).map_or(fill, |(_, german)| german));
        rest = behind;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use regex::Regex;

    use super::*;
    use crate::words::with_language;

    #[test]
    fn what_shipped_pipelines_say_is_read_in_both_languages() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/pipelines");
        let mut said = BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            said.extend(text.lines().filter_map(|line| Some(line.trim().strip_prefix("message: ")?.to_owned())));
        }
        assert_eq!(said, SHIPPED.iter().map(|text| (*text).to_owned()).collect());
        let english = |text: &str| with_language(Language::English, || refused(text));
        for german in SHIPPED {
            assert_eq!(refused(german), german);
            assert_ne!(english(german), german, "no English");
        }
        assert_eq!(
            english(&format!("'a12': {}", SHIPPED[0])),
            "'a12': arguments from the eleventh on stand only together in process.command_line"
        );
        assert_eq!(english("unknown field 'x'"), "unknown field 'x'");
    }

    #[test]
    fn a_refusal_reads_german() {
        let said = [
            ("unknown field 'user.nam', did you mean 'user.name'?", "unbekanntes Feld „user.nam“ – meinten Sie „user.name“?"),
            ("unknown key 'x' in the correlation", "unbekannter Schlüssel „x“ in der Korrelation"),
            ("unknown key 'x' in the transformation", "unbekannter Schlüssel „x“ in der Umformung"),
            ("level 'grim' is not valid: expected low, high", "level „grim“ gilt nicht, erwartet wird low, high"),
            ("'a': unknown field 'b'", "„a“: unbekanntes Feld „b“"),
            (
                "the condition must be a map such as 'gte: 10', not a list",
                "die Bedingung muss eine Abbildung wie „gte: 10“ sein, nicht eine Liste",
            ),
            ("the id 'x' is taken by a.yml:3", "die Kennung „x“ ist schon vergeben: a.yml, Zeile 3"),
            ("there is no hour 24", "eine Stunde 24 gibt es nicht"),
            ("duplicate mapping key: a", "duplicate mapping key: a"),
            ("'{1}' of' is odd: {2}", "'{1}' of' is odd: {2}"),
        ];
        for (english, german) in said {
            assert_eq!(refused(english), german);
        }
    }

    /// Each message that the compiler can make has its German.
    #[test]
    fn every_refusal_of_the_compiler_has_its_german() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../detect/src/sigma");
        let literal = Regex::new(
            r#"(?:CompileError::at\([^"]*|Err\(|error\(|format!\(|needs\(|message = |or_else\(\|\| |Error::custom\()"((?:[^"\\]|\\.)*)""#,
        )
        .unwrap();
        let place = Regex::new(r"\{\{|\}\}|\{[^{}]*\}").unwrap();
        let mut folders = vec![folder];
        let (mut read, mut missing) = (0, BTreeSet::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.extend((path.file_name().unwrap() != "tests").then_some(path));
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for found in literal.captures_iter(code) {
                    // What is filled in, without the name that is meant perhaps.
                    let template = place.replace_all(&found[1], |what: &regex::Captures<'_>| {
                        match &what[0] {
                            "{{" => "{",
                            "}}" => "}",
                            _ => "{}",
                        }
                        .to_owned()
                    });
                    // Behind it stands which name is meant perhaps; and a modifier's message goes on with what was found.
                    let bare = template.strip_suffix("{}").unwrap_or(&template);
                    let ways = [template.to_string(), bare.to_owned(), format!("{template}, not {{}}")];
                    if !template.contains(' ') || NO_REFUSALS.contains(&template.as_ref()) {
                        continue;
                    }
                    read += 1;
                    let sample = |text: &str| text.replace("{}", "x");
                    let known = ways.iter().any(|way| german(&sample(way), NESTED_MAX) != sample(way));
                    if !known {
                        missing.insert(format!("{}: {template}", path.file_name().unwrap().to_string_lossy()));
                    }
                }
            }
        }
        assert!(read > 150, "only {read} found: they are written otherwise now");
        assert!(missing.is_empty(), "no German in refusals.rs:\n{}", missing.into_iter().collect::<Vec<_>>().join("\n"));
    }

    /// Parts of messages, and words for others than who writes rules.
    const NO_REFUSALS: &[&str] = &["alias '{}'", "{} {}", "{}:{}: {}", "{}, not {}"];
}
