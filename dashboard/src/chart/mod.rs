//! Charts as pure functions from values to accessible SVG: `role="img"` with a title and a sentence that says the gist,
//! patterns as well as colours, classes and attributes instead of styles (the CSP allows none), and the same data as a
//! table below, whose rows carry the links. One file a kind; `frame` is what they share. No clock, no database, no
//! knowledge of pages: `brush` writes links that it is given.
//!
//! A drawing is as wide as its place and has a fixed height: horizontal positions are shares of the width, vertical ones
//! pixels. So texts and patterns keep their size at 320 px, and which labels are shown is decided for three widths
//! (`axis::WIDTHS`) by container rules.

mod axis;
mod bars;
mod distribution;
mod frame;
mod gallery;
mod gist;
mod heat;
mod ink;
mod kaplan_meier;
mod lines;
mod matrix;
mod sankey;
mod scale;
mod sparkline;
mod stacked;
#[cfg(test)]
mod tests;
mod tile_map;
mod unit;

pub use bars::{Column, Rank, columns, ranked};
pub use distribution::{Case, distribution};
pub use frame::Caption;
pub use gallery::examples;
pub use heat::{Cell, week};
pub use ink::Ink;
pub use kaplan_meier::{Curve, Step, kaplan_meier};
pub use lines::{Along, Line, Lines, lines};
pub use matrix::{Cover, Coverage, matrix};
pub use sankey::{Flow, sankey};
pub use sparkline::sparkline;
pub use stacked::{Before, Brush, OverTime, Series, TimeBar, over_time};
pub use tile_map::tile_map;
pub use unit::Unit;
