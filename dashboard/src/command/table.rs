//! Tables in a terminal: columns as wide as their cells, numbers to the right, and colours only where somebody looks.

use std::io::{IsTerminal as _, Write};

use anyhow::Result;

use crate::show;

/// A wider cell sticks out instead of pushing the whole column away: nothing is cut off.
const CELL_CHARS_MAX: usize = 40;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint(bool);

impl Paint {
    /// None, whatever the terminal.
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self(false);

    /// Colours for a terminal, unless the user's environment says otherwise (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self(std::io::stdout().is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"))
    }

    fn start(self, tone: Tone) -> &'static str {
        match tone {
            _ if !self.0 => "",
            Tone::Plain => "",
            Tone::Head => "\x1b[1m",
            Tone::Quiet => "\x1b[2m",
            Tone::Place => "\x1b[36m",
            Tone::Alarming => "\x1b[31m",
        }
    }

    fn end(self, tone: Tone) -> &'static str {
        if self.0 && tone != Tone::Plain { "\x1b[0m" } else { "" }
    }
}

/// What a cell is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Head,
    Quiet,
    Place,
    Alarming,
}

/// A cell as it is shown. Its text comes from logs: nothing in it moves the cursor.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    text: String,
    tone: Tone,
    right: bool,
}

impl Cell {
    pub(super) fn new(text: &str, tone: Tone) -> Self {
        Self { text: show::safe(text), tone, right: false }
    }

    pub(super) fn right(self) -> Self {
        Self { right: true, ..self }
    }
}

/// Writes the rows; each column is as wide as its widest cell, within a bound, and the last one is not filled up.
pub(super) fn print_rows(rows: &[Vec<Cell>], paint: Paint, out: &mut dyn Write) -> Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let chars = |cell: &Cell| cell.text.chars().count();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(chars).max().unwrap_or(0).min(CELL_CHARS_MAX);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width.saturating_sub(chars(cell)));
            let (start, end) = (paint.start(cell.tone), paint.end(cell.tone));
            let between = if n > 0 { "  " } else { "" };
            match (cell.right, n + 1 == row.len()) {
                (true, _) => write!(out, "{between}{space}{start}{}{end}", cell.text)?,
                (false, true) => write!(out, "{between}{start}{}{end}", cell.text)?,
                (false, false) => write!(out, "{between}{start}{}{end}{space}", cell.text)?,
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn printed(paint: Paint) -> String {
        let rows = [
            vec![Cell::new("site", Tone::Head), Cell::new("count", Tone::Head).right()],
            vec![Cell::new("rathaus-ä", Tone::Place), Cell::new("1.184", Tone::Plain).right()],
            vec![Cell::new("\x1b[31mx", Tone::Alarming), Cell::new("7", Tone::Plain).right()],
            vec![Cell::new(&"y".repeat(50), Tone::Plain), Cell::new("12", Tone::Plain).right()],
        ];
        let mut out = Vec::new();
        print_rows(&rows, paint, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_cursor() {
        expect![[r#"
            site                                      count
            rathaus-ä                                 1.184
            ␛[31mx                                        7
            yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy     12
        "#]]
        .assert_eq(&printed(Paint(false)));
        expect![[r#"
            ␛ESC[1msite␛ESC[0m                                      ␛ESC[1mcount␛ESC[0m
            ␛ESC[36mrathaus-ä␛ESC[0m                                 1.184
            ␛ESC[31m␛[31mx␛ESC[0m                                        7
            yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy     12
        "#]]
        .assert_eq(&printed(Paint(true)).replace('\x1b', "␛ESC"));
    }
}
