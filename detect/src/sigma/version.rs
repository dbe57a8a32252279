//! Which wording of a rule it is: a fingerprint of what the document says, whatever its layout.

use sha2::{Digest as _, Sha256};

use super::yaml::{Node, Value};

/// Bytes of the fingerprint that are kept: 16 signs, so that two wordings of one rule never share one.
const BYTES: usize = 8;

/// The fingerprint of a document, in hexadecimal.
pub(super) fn content_of(node: &Node) -> String {
    let mut hash = Sha256::new();
    take(node, &mut hash);
    hash.finalize().iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect()
}

/// Each value with its kind and length, so that no two documents read alike.
fn take(node: &Node, hash: &mut Sha256) {
    let mut text = |kind: &str, text: &str| {
        hash.update(format!("{kind}{}:", text.len()));
        hash.update(text);
    };
    match &node.value {
        Value::Null => text("n", ""),
        Value::Bool(truth) => text("b", if *truth { "1" } else { "0" }),
        Value::Int(number) => text("i", &number.to_string()),
        Value::Float(number) => text("f", &number.to_string()),
        Value::Str(value) => text("s", value),
        Value::List(items) => {
            text("l", &items.len().to_string());
            items.iter().for_each(|item| take(item, hash));
        }
        Value::Map(entries) => {
            text("m", &entries.len().to_string());
            for entry in entries {
                hash.update(format!("k{}:{}", entry.key.len(), entry.key));
                take(&entry.node, hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigma::yaml;

    fn content(text: &str) -> String {
        content_of(&yaml::parse(text).unwrap().remove(0))
    }

    #[test]
    fn layout_changes_nothing_and_every_word_does() {
        let rule = "title: T\ndetection: {a: {b: [1, 2]}, condition: a}\n";
        let same = "# since 2024\ntitle: 'T'\n\ndetection:\n  a:\n    b: [1, 2]  # two\n  condition: a\n";
        assert_eq!(content(rule), content(same));
        assert_eq!(content(rule).len(), 16);
        for other in ["title: t\ndetection: {a: {b: [1, 2]}, condition: a}\n", "title: T\ndetection: {a: {b: [1, '2']}, condition: a}\n"] {
            assert_ne!(content(rule), content(other), "{other}");
        }
    }
}
