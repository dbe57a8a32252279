//! What a value must have for a line of a rule to be true of it: nearly all that candidates ask is answered no, and a hint
//! says most of these in a few instructions where the matcher would walk through the value.

use super::super::expression;
use super::super::pattern::Place;
use super::super::value::Matcher;
use super::edges::Edge;
use super::texts::Commonness;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Hint {
    /// Nothing is known: the matcher must be asked.
    None,
    Start(Edge),
    End(Edge),
    /// Four bytes that must stand somewhere in the value in lower case.
    Gram(u32),
    /// One of these.
    Grams(Box<[u32]>),
}

/// More of them would be dearer than the expression.
const GRAMS_MAX: usize = 16;

impl Hint {
    /// Each text that a matcher needs is rarest at one of its four bytes: these are what is asked for.
    pub(super) fn of(matcher: &Matcher, commonness: &Commonness) -> Self {
        match matcher {
            Matcher::Text(pattern) => match pattern.needs() {
                Some((Place::Start, text)) => Self::Start(Edge::start(&text)),
                // Of whole values it is the ends that differ: paths begin alike.
                Some((Place::End | Place::Whole, text)) => Self::End(Edge::end(&text)),
                Some((Place::Anywhere, text)) => commonness.rarest_gram(&text).map_or(Self::None, Self::Gram),
                None => Self::None,
            },
            Matcher::Regex(regex) => {
                let texts = expression::needs(regex).filter(|texts| texts.len() <= GRAMS_MAX).unwrap_or_default();
                let grams: Option<Box<[u32]>> = texts.iter().map(|text| commonness.rarest_gram(text)).collect();
                grams.filter(|grams| !grams.is_empty()).map_or(Self::None, Self::Grams)
            }
            _ => Self::None,
        }
    }
}
