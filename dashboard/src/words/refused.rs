//! Why a rule was refused, in the reader's language. The compiler speaks English everywhere; what the shipped pipelines say
//! is German in their files, and has its English in the catalogue.

use super::{Language, de, language, t};

/// What `rules/pipelines` refuses with; a test reads the files.
const SHIPPED: [&str; 2] = [
    de("Argumente vom elften an stehen nur zusammen in process.command_line"),
    de("die Dateiendung steht in keinem eigenen Feld; url.path|endswith leistet dasselbe"),
];

/// A refusal's message as somebody reads it.
pub fn refused(message: &str) -> String {
    if language() == Language::German {
        return message.to_owned();
    }
    // Before it may stand which field of a correlation it is about.
    let known = SHIPPED.iter().find_map(|german| Some((message.strip_suffix(german)?, t(german))));
    known.map_or_else(|| message.to_owned(), |(before, english)| format!("{before}{english}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

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
}
