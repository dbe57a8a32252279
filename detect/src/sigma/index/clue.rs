//! The clue of a rule: texts and numbers of which one must be there for the rule to match. Which of a rule's lines serves
//! best is a guess at how seldom ordinary records have it; a wrong guess costs time, never a match.

use ingest::fields::FieldId;

use super::super::detection::{Item, Subject};
use super::super::expression;
use super::super::logsource::Logsource;
use super::super::pattern::Place;
use super::super::value::{Matcher, Number};
use super::program::{Node, Program};
use super::texts::Commonness;

/// Something in a record that makes a rule a candidate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Clue {
    pub(super) subject: Subject,
    pub(super) sign: Sign,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sign {
    /// A text in lower case and where it stands in the value.
    Text(Place, String),
    Number(i64),
    /// The line's own question is put to each value: what cannot be looked up. `(line, group, matcher)`.
    Asked(u32, usize, usize),
    /// Any value at all.
    Present,
}

/// Clues of which one must be there, and how often that is the case: 1 for every record.
#[derive(Clone, Debug)]
pub(super) struct Clues {
    pub(super) all: Vec<Clue>,
    share: f64,
}

/// `None` where the rule may match a record that has nothing in particular.
pub(super) fn of_rule(rule: u32, program: &Program, commonness: &Commonness) -> Option<Clues> {
    let rule = program.rules.get(rule as usize)?;
    let guess = Guess { program, commonness };
    let formulas = rule.formulas.iter().filter_map(|formula| guess.of_node(formula));
    let source = program.logsources.get(rule.logsource as usize).and_then(of_logsource);
    rarest(formulas.chain(source))
}

fn rarest(all: impl Iterator<Item = Clues>) -> Option<Clues> {
    all.min_by(|a, b| a.share.total_cmp(&b.share))
}

fn any_of(parts: impl Iterator<Item = Option<Clues>>) -> Option<Clues> {
    let mut sum = Clues { all: Vec::new(), share: 0.0 };
    for part in parts {
        let Clues { all, share } = part?;
        sum.all.extend(all);
        sum.share += share;
    }
    Some(sum)
}

/// What the guesses rest on.
struct Guess<'a> {
    program: &'a Program,
    commonness: &'a Commonness,
}

/// All that rules look for in values, as a measure of what is common there.
pub(super) fn commonness(program: &Program) -> Commonness {
    let mut commonness = Commonness::default();
    for matcher in program.lines.iter().flat_map(|line| line.item.groups.iter().flatten()) {
        if let Matcher::Text(pattern) = matcher
            && let Some((_, text)) = pattern.needs()
        {
            commonness.add(&text);
        }
    }
    commonness
}

/// How often each line of a program holds; `None` where that cannot be guessed.
pub(super) fn shares_of_lines(program: &Program, commonness: &Commonness) -> Vec<Option<f64>> {
    let guess = Guess { program, commonness };
    let lines = (0u32..).zip(&program.lines);
    lines.map(|(number, line)| guess.of_item(number, &line.item).map(|clues| clues.share)).collect()
}

impl Guess<'_> {
    fn of_node(&self, node: &Node) -> Option<Clues> {
        match node {
            Node::Line(number) => self.of_item(*number, &self.program.lines.get(*number as usize)?.item),
            Node::Selection(number) => self.of_node(self.program.selection(*number)?),
            // What must not be there tells nothing.
            Node::Not(_) => None,
            Node::All(parts) => rarest(parts.iter().filter_map(|part| self.of_node(part))),
            Node::Any(parts) => any_of(parts.iter().map(|part| self.of_node(part))),
        }
    }

    fn of_item(&self, number: u32, item: &Item) -> Option<Clues> {
        // The moment is not looked up: it is another one in each record.
        if item.neq || item.subject == Subject::Time {
            return None;
        }
        let groups = item.groups.iter().enumerate().filter_map(|(group, matchers)| {
            any_of(matchers.iter().enumerate().map(|(place, matcher)| self.of_matcher(item.subject, matcher, (number, group, place))))
        });
        rarest(groups)
    }

    fn of_matcher(&self, subject: Subject, matcher: &Matcher, asked: (u32, usize, usize)) -> Option<Clues> {
        let clue = |sign: Sign, share: f64| Some(Clues { all: vec![Clue { subject, sign }], share });
        let asked = |share: f64| clue(Sign::Asked(asked.0, asked.1, asked.2), share);
        match matcher {
            Matcher::Text(pattern) => match pattern.needs() {
                Some((place, text)) => clue(Sign::Text(place, text.clone().into_owned()), self.share(subject, place, &text)),
                None => clue(Sign::Present, 1.0),
            },
            Matcher::Number(Number::Int(number)) => clue(Sign::Number(*number), 0.03),
            Matcher::Number(Number::Float(_)) => asked(0.03),
            Matcher::Regex(regex) => match expression::needs(regex) {
                Some(texts) => {
                    let share = texts.iter().map(|text| self.share(subject, Place::Anywhere, text)).sum();
                    let sign = |text: &String| Clue { subject, sign: Sign::Text(Place::Anywhere, text.clone()) };
                    Some(Clues { all: texts.iter().map(sign).collect(), share })
                }
                None => asked(0.8),
            },
            Matcher::Cidr(_) => asked(0.1),
            Matcher::Bool(_) | Matcher::Compare(..) | Matcher::Part(..) | Matcher::Field { .. } => asked(0.4),
            Matcher::Exists(true) => clue(Sign::Present, 1.0),
            Matcher::Null | Matcher::Exists(false) => None,
        }
    }

    /// How often a value that has the field has the text: less with each letter, more the more rules speak of what is rarest
    /// in it.
    fn share(&self, subject: Subject, place: Place, text: &str) -> f64 {
        let length = text.chars().count().min(14);
        #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "at most 14")]
        let by_length = 0.6f64.powi(length as i32);
        let common = self.commonness.rarest(text).map_or(0.1, |(count, _)| f64::from(count) / 1_000.0);
        let share = (by_length + common).min(1.0);
        match (place, subject) {
            // A whole line has more texts in it than a field.
            (Place::Anywhere, Subject::Anything) => share * 4.0,
            (Place::Anywhere, _) => share * 2.0,
            (Place::Whole, _) => share.max(0.01),
            (Place::Start | Place::End, _) => share,
        }
    }
}

fn of_logsource(source: &Logsource) -> Option<Clues> {
    let alternatives = source.alternatives()?;
    let clue = |(field, wanted): (FieldId, &'static str)| Clue {
        subject: Subject::Field(field),
        sign: if wanted.is_empty() { Sign::Present } else { Sign::Text(Place::Whole, wanted.to_ascii_lowercase()) },
    };
    Some(Clues { all: alternatives.map(clue).collect(), share: 0.3 })
}
