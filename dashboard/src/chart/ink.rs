//! What a surface is drawn with: a colour and a pattern that belong together, so that a series is told apart without
//! its colour (WCAG 1.4.1), in forced colours and on a black-and-white printer.

use std::fmt::Write as _;

use detect::rule::Level;

/// A colour with its pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// One series alone: the colour of action.
    Act,
    Crit,
    High,
    Mid,
    Low,
    Quiet,
    Good,
    /// Six for what has no meaning of its own.
    One,
    Two,
    Three,
    Four,
    Five,
    Six,
    /// A tone from 0 (nothing) to 4 (most) of what is more or less.
    Tone(u8),
}

impl Ink {
    pub const NAMED: [Self; 6] = [Self::One, Self::Two, Self::Three, Self::Four, Self::Five, Self::Six];
    pub(super) const TONES: [Self; 5] = [Self::Tone(0), Self::Tone(1), Self::Tone(2), Self::Tone(3), Self::Tone(4)];

    pub fn level(level: Level) -> Self {
        match level {
            Level::Critical => Self::Crit,
            Level::High => Self::High,
            Level::Medium => Self::Mid,
            Level::Low => Self::Low,
            Level::Informational => Self::Quiet,
        }
    }

    /// The class of the colour, and the name of the pattern.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Crit => "crit",
            Self::High => "high",
            Self::Mid => "mid",
            Self::Low => "low",
            Self::Quiet => "quiet",
            Self::Good => "good",
            Self::One => "c1",
            Self::Two => "c2",
            Self::Three => "c3",
            Self::Four => "c4",
            Self::Five => "c5",
            Self::Six => "c6",
            Self::Tone(0) => "t0",
            Self::Tone(1) => "t1",
            Self::Tone(2) => "t2",
            Self::Tone(3) => "t3",
            Self::Tone(_) => "t4",
        }
    }

    /// The strokes on an 8 × 8 tile; empty for a plain surface. Tones get denser. Drawn beyond the edges, so that
    /// neighbouring tiles join.
    fn strokes(self) -> &'static str {
        const RISING: &str = "M-2 2 2 -2M-2 10 10 -2M6 10 10 6";
        const FALLING: &str = "M-2 6 2 10M-2 -2 10 10M6 -2 10 2";
        const DOTS: &str = "M1 2h2M5 6h2";
        const LEVEL: &str = "M0 2h8M0 6h8";
        const UPRIGHT: &str = "M2 0v8M6 0v8";
        const GRID: &str = "M0 4h8M4 0v8";
        const NET: &str = "M-2 2 2 -2M-2 10 10 -2M6 10 10 6M-2 6 2 10M-2 -2 10 10M6 -2 10 2";
        match self {
            Self::Act | Self::Crit | Self::One | Self::Tone(4..) => "",
            Self::High | Self::Two => RISING,
            Self::Mid | Self::Three | Self::Tone(1) => DOTS,
            Self::Low | Self::Four => LEVEL,
            Self::Good | Self::Five => UPRIGHT,
            Self::Quiet => FALLING,
            Self::Six => GRID,
            Self::Tone(2) => RISING,
            Self::Tone(3) => NET,
            Self::Tone(0) => "",
        }
    }

    /// What a shape's `fill` refers to.
    pub(super) fn fill(self, id: &str) -> String {
        format!("url(#{id}-{})", self.name())
    }

    pub(super) fn define(self, id: &str, out: &mut String) {
        let name = self.name();
        // A plain surface stays plain where colours are forced: it is the fullest of the patterns.
        let plain = if self.strokes().is_empty() && self != Self::Tone(0) { " full" } else { "" };
        let _ = write!(
            out,
            "<pattern id=\"{id}-{name}\" class=\"ink k-{name}{plain}\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\"><rect width=\"8\" height=\"8\"/>"
        );
        if !self.strokes().is_empty() {
            let _ = write!(out, "<path d=\"{}\"/>", self.strokes());
        }
        out.push_str("</pattern>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_differ_by_pattern_alone() {
        let levels = [Ink::Crit, Ink::High, Ink::Mid, Ink::Low, Ink::Quiet];
        for family in [&Ink::NAMED[..], &levels[..], &Ink::TONES[1..]] {
            let mut strokes: Vec<&str> = family.iter().map(|ink| ink.strokes()).collect();
            strokes.sort_unstable();
            strokes.dedup();
            assert_eq!(strokes.len(), family.len(), "{family:?}");
        }
    }
}
