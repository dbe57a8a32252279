//! The pages: each a view model, a template and a function that loads it with the viewer's scope.

pub(super) mod error;
pub(super) mod start;

use super::Ask;
use super::frame::{Count, Place};

/// The number beside a navigation item: what waits there.
pub(super) fn count(_ask: &Ask, _place: Place) -> Option<Count> {
    None
}
