//! What the measurement says: on the terminal, and with `--docs` in place of the same tables in `docs/messungen/suche.md`, so
//! that a table there is never of another run than it says.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

/// Lines by table: `(name, lines)`.
static SAID: Mutex<Vec<(String, Vec<String>)>> = Mutex::new(Vec::new());

/// Begins a table; its place in the document stands between `<!-- name -->` and `<!-- /name -->`.
pub(crate) fn table(name: &str, head: &str) -> anyhow::Result<()> {
    SAID.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), Vec::new()));
    writeln!(std::io::stdout()).context("write to the terminal")?;
    say(head)
}

pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    if let Some((_, lines)) = SAID.lock().unwrap_or_else(PoisonError::into_inner).last_mut() {
        lines.push(line.to_owned());
    }
    writeln!(std::io::stdout(), "{line}").context("write to the terminal")
}

/// Puts the tables into the document; those that it has no place for are left out.
pub(crate) fn write(path: &Path) -> anyhow::Result<()> {
    let mut text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    for (name, lines) in SAID.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
        let Some((before, rest)) = text.split_once(&begin) else { continue };
        let Some((_, behind)) = rest.split_once(&end) else { continue };
        text = format!("{before}{begin}\n{}\n{end}{behind}", lines.join("\n"));
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

/// With a decimal comma and points between thousands, as the document has them.
pub(crate) fn number(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let digits = whole.len();
    let mut grouped = String::new();
    for (n, digit) in whole.chars().enumerate() {
        if n > 0 && (digits - n).is_multiple_of(3) && digit.is_ascii_digit() && !grouped.ends_with('-') {
            grouped.push('.');
        }
        grouped.push(digit);
    }
    if rest.is_empty() { grouped } else { format!("{grouped},{rest}") }
}
