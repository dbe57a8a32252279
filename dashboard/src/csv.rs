//! Comma-separated values as a spreadsheet in German settings reads them: semicolons, and no cell that it would take for
//! a formula, because titles and names come from outside.

/// The mark by which spreadsheets know UTF-8.
pub const MARK: &str = "\u{feff}";

/// Adds a line.
pub fn line(out: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    out.push_str(&cells.join(";"));
    out.push_str("\r\n");
}

/// One cell. What a spreadsheet would take for a formula gets an apostrophe in front, also where something invisible
/// stands before it, and in the wide forms that some of them fold.
pub fn cell(text: &str) -> String {
    let invisible = |ch: char| ch.is_whitespace() || ch.is_control() || matches!(ch, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2060}');
    let first = text.trim_start_matches(invisible);
    let formula = first.starts_with(['=', '+', '-', '@', '|', '＝', '＋', '－', '＠']) || text.starts_with(['\t', '\r', '\n']);
    let text = format!("{}{}", if formula { "'" } else { "" }, text.replace('\0', "\u{fffd}"));
    if text.contains([';', '"', '\n', '\r', ',', '\t']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (text, expected) in [
            ("Portscan", "Portscan"),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+49", "'+49"),
            ("-1", "'-1"),
            ("@SUM", "'@SUM"),
            (" =1+1", "' =1+1"),
            ("\u{200b}=1+1", "'\u{200b}=1+1"),
            ("＝1+1", "'＝1+1"),
            ("\tx", "\"'\tx\""),
            ("a;b\n\"c\"", "\"a;b\n\"\"c\"\"\""),
            ("1,50", "\"1,50\""),
            ("a\0b", "a\u{fffd}b"),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
