//! Comma-separated values as a spreadsheet in German settings reads them: semicolons, and no cell that it would take for
//! a formula (`detect::exchange` says what that is), because titles and names come from outside.

/// The mark by which spreadsheets know UTF-8.
pub const MARK: &str = "\u{feff}";

/// Adds a line.
pub fn line(out: &mut String, cells: &[&str]) {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    out.push_str(&cells.join(";"));
    out.push_str("\r\n");
}

/// One cell.
pub fn cell(text: &str) -> String {
    detect::exchange::csv_cell(text, ';')
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
