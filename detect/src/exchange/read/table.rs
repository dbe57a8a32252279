//! Tables as text: a line of names, then a record a line, in the way of RFC 4180, separated by comma, semicolon or tab. A
//! quotation mark that nothing closes costs its own line, not the rest of the file.

use std::collections::VecDeque;
use std::io::BufRead;

use super::{ReadError, Taking, Why};

/// A record's bytes; the longest real one, with a web page's head in it, has some 20 KiB.
const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Lines that one record may go over: a quoted text with line breaks.
const RECORD_LINES_MAX: usize = 256;
/// Quotation marks without an end for which the lines behind them are looked at. A file with more of them is broken
/// everywhere, and looking ahead at each line would make reading it quadratic.
const OPEN_QUOTES_MAX: usize = 100;
const CELLS_MAX: usize = 1_024;

/// A record with the names of its cells.
pub(super) struct Record<'r> {
    /// The line on which it begins, counted from one, with the line of names.
    pub(super) line: String,
    names: &'r [String],
    cells: &'r [String],
}

impl Record<'_> {
    /// A cell by its name, trimmed; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let at = self.names.iter().position(|known| known == name);
        at.and_then(|at| self.cells.get(at)).map_or("", |cell| cell.trim())
    }

    /// The first of several names under which there is something.
    pub(super) fn first_of<'n>(&self, names: &[&'n str]) -> (&'n str, &str) {
        let found = names.iter().find(|name| !self.get(name).is_empty());
        found.map_or((names.first().copied().unwrap_or_default(), ""), |name| (*name, self.get(name)))
    }
}

/// Gives each record to `row`.
pub(super) fn each(
    taking: &mut Taking<'_>,
    mut records: Records<'_>,
    names: &[String],
    row: &mut dyn FnMut(&mut Taking<'_>, &Record<'_>),
) -> Result<(), ReadError> {
    loop {
        match records.next()? {
            None => break,
            Some((_, Ok(cells))) if cells.iter().all(String::is_empty) => {}
            Some((line, Ok(cells))) => row(taking, &Record { line: line.to_string(), names, cells: &cells }),
            Some((line, Err((why, text)))) => taking.fault(&line.to_string(), "", &text, why),
        }
    }
    taking.report.mended = records.mended;
    Ok(())
}

/// The records of a text, one after the other.
pub(in crate::exchange) struct Records<'s> {
    source: &'s mut dyn BufRead,
    bytes_left: u64,
    bytes_max: u64,
    separator: char,
    /// Lines that were read for a record and turned out not to belong to it.
    back: VecDeque<(u64, String)>,
    lines: u64,
    mended: u64,
    open_quotes: usize,
}

type Cells = Result<Vec<String>, (Why, String)>;

impl<'s> Records<'s> {
    pub(in crate::exchange) fn new(source: &'s mut dyn BufRead, bytes_max: u64) -> Self {
        Self { source, bytes_left: bytes_max, bytes_max, separator: ',', back: VecDeque::new(), lines: 0, mended: 0, open_quotes: 0 }
    }

    /// The first line's names, in lower case; they also say what separates the cells.
    pub(in crate::exchange) fn names(&mut self) -> Result<Option<Vec<String>>, ReadError> {
        let Some((_, line)) = self.line()? else { return Ok(None) };
        let line = line.trim_start_matches('\u{feff}');
        let count = |separator: char| line.matches(separator).count();
        self.separator = [',', ';', '\t'].into_iter().max_by_key(|separator| (count(*separator), *separator == ',')).unwrap_or(',');
        let (cells, _) = split(line, self.separator).unwrap_or_default();
        Ok(Some(cells.iter().map(|name| name.trim().to_lowercase()).collect()))
    }

    /// The next record and the number of the line on which it begins.
    pub(in crate::exchange) fn next(&mut self) -> Result<Option<(u64, Cells)>, ReadError> {
        let Some((number, first)) = self.line()? else { return Ok(None) };
        let short = |text: &str| text.lines().next().unwrap_or_default().chars().take(80).collect::<String>();
        let mut text = first;
        let mut more = Vec::new();
        loop {
            if text.len() > RECORD_BYTES_MAX && more.is_empty() {
                return Ok(Some((number, Err((Why::TooLong, short(&text))))));
            }
            match split(&text, self.separator) {
                None => return Ok(Some((number, Err((Why::TooLong, short(&text)))))),
                Some((cells, false)) => return Ok(Some((number, Ok(cells)))),
                Some((_, true)) => {}
            }
            let room = self.open_quotes < OPEN_QUOTES_MAX && more.len() + 1 < RECORD_LINES_MAX && text.len() <= RECORD_BYTES_MAX;
            let Some((at, line)) = (if room { self.line()? } else { None }) else {
                // Only the line that opened it is lost; what was read behind it is read again.
                self.open_quotes += 1;
                for line in more.into_iter().rev() {
                    self.back.push_front(line);
                }
                return Ok(Some((number, Err((Why::OpenQuote, short(&text))))));
            };
            text.push('\n');
            text.push_str(&line);
            more.push((at, line));
        }
    }

    fn line(&mut self) -> Result<Option<(u64, String)>, ReadError> {
        if let Some(line) = self.back.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        // One byte more than a record may have: whether it is too long is told by its length.
        let mut limited = std::io::Read::take(&mut *self.source, RECORD_BYTES_MAX as u64 + 1);
        let read = limited.read_until(b'\n', &mut bytes)? as u64;
        if read == 0 {
            return Ok(None);
        }
        if bytes.len() > RECORD_BYTES_MAX {
            // The rest of the line is passed over, in parts.
            while bytes.last() != Some(&b'\n') {
                let mut rest = Vec::new();
                let mut limited = std::io::Read::take(&mut *self.source, RECORD_BYTES_MAX as u64);
                let more = limited.read_until(b'\n', &mut rest)? as u64;
                self.spend(more)?;
                if more == 0 || rest.last() == Some(&b'\n') {
                    break;
                }
            }
        }
        self.spend(read)?;
        self.lines += 1;
        while matches!(bytes.last(), Some(b'\n' | b'\r')) {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            self.mended += 1;
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        });
        Ok(Some((self.lines, text)))
    }

    fn spend(&mut self, bytes: u64) -> Result<(), ReadError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(ReadError::TooLarge(self.bytes_max))?;
        Ok(())
    }
}

/// The cells of a text, and whether a quotation mark is open at its end; `None` where there are too many.
fn split(text: &str, separator: char) -> Option<(Vec<String>, bool)> {
    let mut cells = Vec::new();
    let mut cell = String::new();
    let mut letters = text.chars().peekable();
    // A quotation mark in the middle of a bare cell is a letter like any other.
    let (mut quoted, mut begins) = (false, true);
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if begins => quoted = true,
            c if c == separator && !quoted => {
                cells.push(std::mem::take(&mut cell));
                begins = true;
                if cells.len() >= CELLS_MAX {
                    return None;
                }
                continue;
            }
            c => cell.push(c),
        }
        begins = false;
    }
    cells.push(cell);
    Some((cells, quoted))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<String> {
        let mut source = text.as_bytes();
        let mut records = Records::new(&mut source, 1 << 20);
        let names = records.names().unwrap().unwrap();
        let mut all = vec![names.join("|")];
        while let Some((line, cells)) = records.next().unwrap() {
            all.push(match cells {
                Ok(cells) => format!("{line}: {}", cells.join("|")),
                Err((why, text)) => format!("{line}: {why:?} {text}"),
            });
        }
        all
    }

    #[test]
    fn records_as_rfc_4180_has_them() {
        assert_eq!(records("A,B\r\n1,\"x, \"\"y\"\"\r\nz\"\r\n2,b\r\n"), ["a|b", "2: 1|x, \"y\"\nz", "4: 2|b"]);
        assert_eq!(records("\u{feff}a;b\n1;2"), ["a|b", "2: 1|2"]);
        assert_eq!(records("a\tb\nx\"y\tz"), ["a|b", "2: x\"y|z"]);
        assert_eq!(records("a,b\n\"\",\"\"\"\"\n"), ["a|b", "2: |\""]);
    }

    #[test]
    fn an_open_quote_costs_one_line() {
        assert_eq!(records("a,b\n1,\"oops\n2,b\n3,c\n"), ["a|b", "2: OpenQuote 1,\"oops", "3: 2|b", "4: 3|c"]);
        // Also where the record's bound is met before the file ends.
        let many: String = (0..400).map(|n| format!("{n},x\n")).collect();
        let all = records(&format!("a,b\n\"{many}"));
        assert_eq!((all.len(), all[1].as_str(), all[2].as_str()), (401, "2: OpenQuote \"0,x", "3: 1|x"));
        // A file of nothing else is read in one go all the same.
        let broken = format!("a,b\n{}", "\"x\",\"\n".repeat(100_000));
        assert_eq!(records(&broken).len(), 100_001);
    }

    #[test]
    fn a_line_without_end_is_one_fault() {
        let long = "x".repeat(RECORD_BYTES_MAX * 2);
        let all = records(&format!("a,b\n{long}\n1,2\n"));
        assert!(all[1].starts_with("2: TooLong xxx"), "{}", &all[1][..40]);
        assert_eq!(all[2], "3: 1|2");
        let mut source = long.as_bytes();
        assert!(matches!(Records::new(&mut source, 1_000).names(), Err(ReadError::TooLarge(1_000))));
    }
}
