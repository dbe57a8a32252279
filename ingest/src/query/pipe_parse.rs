//! From text to a `Pipeline`: the query before the first bare `|` as ever, then stage by stage, each of words, commas and
//! parentheses. Errors say in German where to look and what to write instead, with the nearest name that there is.

use std::ops::Range;

use nom::branch::alt;
use nom::bytes::complete::take_while1;
use nom::character::complete::char;
use nom::combinator::{map, value};
use nom::{IResult, Parser};

use super::error::{Fault, Parsed, fail, nearest, shown, unknown_field};
use super::lex::query_end;
use super::parse::{self, bounded};
use super::pipe::{
    BY_MAX, COLUMNS_MAX, Column, Function, HEAD_MAX, MEASURES_MAX, Measure, Operand, Pipeline, RARE_ROWS, Rank, STAGES_MAX, SortKey, Stage,
    TOP_ROWS, may_be_numbers, row_column,
};
use super::time::{TIMESTAMP, Width};
use super::{Query, QueryError};
use crate::fields::{self, FieldId};
use crate::time::Timestamp;

/// The stages with an example each.
const STAGES: [(&str, &str); 10] = [
    ("count", "count by site, event.action"),
    ("top", "top 10 source.ip"),
    ("rare", "rare process.name"),
    ("distinct", "distinct source.ip by user.name"),
    ("stats", "stats p95(network.bytes) by site"),
    ("histogram", "histogram 1h by site"),
    ("patterns", "patterns"),
    ("sort", "sort -count"),
    ("head", "head 20"),
    ("fields", "fields site, user.name"),
];

/// The one way from a text to what it means; `now` is what relative times count from, without it they are refused.
pub(super) fn parse(text: &str, now: Option<Timestamp>) -> Result<Pipeline, QueryError> {
    pipeline(text, now).map_err(|fault| fault.of(text))
}

/// The same where only lines can be told: a table is refused.
pub(super) fn parse_lines(text: &str, now: Option<Timestamp>) -> Result<Query, QueryError> {
    let pipeline = parse(text, now)?;
    if !pipeline.is_table() {
        return Ok(pipeline.query);
    }
    let at = query_end(text);
    let end = text.get(..at).unwrap_or_default().trim_end().len();
    let fault = Fault::new(at, "Hier werden Zeilen gezeigt, keine Tabelle: Bitte lassen Sie weg, was ab „|“ steht.");
    Err(fault.instead(end..text.len(), "").of(text))
}

fn pipeline(text: &str, now: Option<Timestamp>) -> Parsed<Pipeline> {
    bounded(text)?;
    let end = query_end(text);
    let query = Query::of(parse::parse(text.get(..end).unwrap_or(text), now)?);
    let mut pipeline = Pipeline { query, stages: Vec::new() };
    let mut at = end;
    while at < text.len() {
        // Behind the stroke, up to the next one.
        let start = at + 1;
        let length = text.get(start..).unwrap_or_default().find('|');
        at = length.map_or(text.len(), |length| start + length);
        if pipeline.stages.len() == STAGES_MAX {
            return fail(start, format!("Mehr als {STAGES_MAX} Schritte. Bitte lassen Sie einige weg."));
        }
        let mut words = Words::lex(text, start, at)?;
        let stage = words.stage(&pipeline)?;
        if let Some((at, _)) = words.left() {
            return fail(at, format!("Das gehört nicht mehr zu „{}“. Vor dem nächsten Schritt steht „|“.", name_of(&stage)));
        }
        pipeline.stages.push(stage);
    }
    Ok(pipeline)
}

pub(super) fn split(text: &str) -> (&str, &str) {
    text.split_at_checked(query_end(text)).unwrap_or((text, ""))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Lexeme<'a> {
    Word(&'a str),
    Comma,
    Open,
    Close,
}

fn lexeme(input: &str) -> IResult<&str, Lexeme<'_>> {
    let word = take_while1(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '-'));
    alt((map(word, Lexeme::Word), value(Lexeme::Comma, char(',')), value(Lexeme::Open, char('(')), value(Lexeme::Close, char(')'))))
        .parse(input)
}

/// A stage's words, read from the front.
struct Words<'a> {
    tokens: Vec<(usize, Lexeme<'a>)>,
    next: usize,
    end: usize,
}

impl<'a> Words<'a> {
    fn lex(text: &'a str, start: usize, end: usize) -> Parsed<Self> {
        let mut tokens = Vec::new();
        let mut rest = text.get(start..end).unwrap_or_default().trim_start();
        while !rest.is_empty() {
            let at = end - rest.len();
            let Ok((behind, token)) = lexeme(rest) else {
                let c = rest.chars().next().unwrap_or(' ');
                return fail(
                    at,
                    format!("Das Zeichen „{c}“ gehört nicht in einen Schritt. Einen Text mit „|“ suchen Sie in Anführungszeichen."),
                );
            };
            tokens.push((at, token));
            rest = behind.trim_start();
        }
        Ok(Self { tokens, next: 0, end })
    }

    fn left(&self) -> Option<(usize, Lexeme<'a>)> {
        self.tokens.get(self.next).copied()
    }

    fn at(&self) -> usize {
        self.left().map_or(self.end, |(at, _)| at)
    }

    fn eat(&mut self, wanted: Lexeme<'_>) -> bool {
        let found = self.left().is_some_and(|(_, token)| token == wanted);
        self.next += usize::from(found);
        found
    }

    fn word(&mut self) -> Option<(usize, &'a str)> {
        let (at, Lexeme::Word(word)) = self.left()? else { return None };
        self.next += 1;
        Some((at, word))
    }

    fn stage(&mut self, before: &Pipeline) -> Parsed<Stage> {
        let Some((at, name)) = self.word() else {
            return fail(
                self.at(),
                "Nach „|“ fehlt ein Schritt, zum Beispiel count by site. Das Zeichen „|“ selbst suchen Sie in Anführungszeichen.",
            );
        };
        let lower = name.to_ascii_lowercase();
        let stage = match lower.as_str() {
            "count" => Stage::Count { by: self.by()? },
            "top" => self.top()?,
            "rare" => {
                let rows = self.number()?.unwrap_or(RARE_ROWS);
                Stage::Rare { rows, field: self.field("rare")? }
            }
            "distinct" => Stage::Distinct { fields: self.fields("distinct")?, by: self.by()? },
            "stats" => Stage::Stats { measures: self.measures()?, by: self.by()? },
            "histogram" => Stage::Histogram { width: self.width()?, by: self.by()? },
            "patterns" => Stage::Patterns,
            "sort" => self.sort(before)?,
            "head" => match self.number()? {
                Some(rows) => Stage::Head(rows),
                None => return fail(self.at(), "Nach „head“ fehlt die Zahl der Zeilen, zum Beispiel head 20."),
            },
            "fields" => self.columns(before)?,
            _ => return Err(unknown_stage(name, at)),
        };
        if stage.is_aggregation() && !before.stages.is_empty() {
            return fail(at, format!("„{lower}“ kann nur der erste Schritt sein. Auf eine Tabelle folgen sort, head und fields."));
        }
        Ok(stage)
    }

    fn top(&mut self) -> Parsed<Stage> {
        let rows = self.number()?.unwrap_or(TOP_ROWS);
        let field = self.field("top")?;
        if !self.eat_by() {
            return Ok(Stage::Top { rows, field, rank: Rank::Count });
        }
        let at = self.at();
        if let Some(rank) = self.amount() {
            return Ok(Stage::Top { rows, field, rank });
        }
        let measure = self.measure()?;
        let rank = match (measure.function, measure.operand) {
            (Function::Count, None) => Rank::Count,
            (Function::Sum, Some(operand)) => Rank::Sum(operand),
            _ => return fail(at, "„top“ ordnet nach count oder nach einer Summe, zum Beispiel top 10 source.ip by sum(network.bytes)."),
        };
        Ok(Stage::Top { rows, field, rank })
    }

    /// `bytes`, `packets`, `flows`: what flows are usually ranked by.
    fn amount(&mut self) -> Option<Rank> {
        let (_, Lexeme::Word(word)) = self.left()? else { return None };
        let rank = match word.to_ascii_lowercase().as_str() {
            "bytes" => Rank::Sum(Operand::Field(fields::NETWORK_BYTES)),
            "packets" => Rank::Sum(Operand::Field(fields::NETWORK_PACKETS)),
            "flows" => Rank::Count,
            _ => return None,
        };
        self.next += 1;
        Some(rank)
    }

    /// `by a, b`, or nothing.
    fn by(&mut self) -> Parsed<Vec<FieldId>> {
        if self.eat_by() {
            return self.fields("by");
        }
        match self.left() {
            Some((at, Lexeme::Word(name))) => {
                Err(Fault::new(at, format!("Vor „{}“ fehlt „by“ oder ein Komma.", shown(name))).instead(at..at, "by "))
            }
            _ => Ok(Vec::new()),
        }
    }

    fn eat_by(&mut self) -> bool {
        let found = self.left().is_some_and(|(_, token)| matches!(token, Lexeme::Word(word) if word.eq_ignore_ascii_case("by")));
        self.next += usize::from(found);
        found
    }

    /// At least one field, each once.
    fn fields(&mut self, behind: &str) -> Parsed<Vec<FieldId>> {
        let mut fields = Vec::new();
        loop {
            let at = self.at();
            let field = self.field(behind)?;
            if fields.contains(&field) {
                return fail(at, format!("Das Feld „{}“ steht hier schon.", field.name()));
            }
            if fields.len() == BY_MAX {
                return fail(at, format!("Mehr als {BY_MAX} Felder. Bitte lassen Sie einige weg."));
            }
            fields.push(field);
            if !self.eat(Lexeme::Comma) {
                return Ok(fields);
            }
        }
    }

    fn field(&mut self, behind: &str) -> Parsed<FieldId> {
        match self.word() {
            None if Function::parse(behind).is_some() => {
                fail(self.at(), format!("Nach „{behind}(“ fehlt ein Feld, zum Beispiel {behind}(network.bytes)."))
            }
            None => fail(self.at(), format!("Nach „{behind}“ fehlt ein Feld, zum Beispiel {}.", example(behind))),
            Some((at, TIMESTAMP)) => fail(at, "Nach der Zeit fasst „histogram“ zusammen, zum Beispiel histogram 1h."),
            Some((at, name)) => FieldId::find(name).ok_or_else(|| unknown_field(name, at, &[], "")),
        }
    }

    fn measures(&mut self) -> Parsed<Vec<Measure>> {
        let mut measures = Vec::new();
        loop {
            let at = self.at();
            let measure = self.measure()?;
            if measures.contains(&measure) {
                return fail(at, format!("„{measure}“ steht hier schon."));
            }
            if measures.len() == MEASURES_MAX {
                return fail(at, format!("Mehr als {MEASURES_MAX} Kennwerte. Bitte lassen Sie einige weg."));
            }
            measures.push(measure);
            if !self.eat(Lexeme::Comma) {
                return Ok(measures);
            }
        }
    }

    /// `count`, or `sum(network.bytes)`.
    fn measure(&mut self) -> Parsed<Measure> {
        let Some((at, name)) = self.word() else {
            return fail(
                self.at(),
                "Hier fehlt ein Kennwert, zum Beispiel count, sum(network.bytes), p95(network.bytes) oder dc(source.ip).",
            );
        };
        let lower = name.to_ascii_lowercase();
        let Some(function) = Function::parse(&lower) else {
            let known = Function::NAMED.iter().map(|(name, _)| *name).chain(["p95"]);
            let meant = nearest(&lower, known);
            let asked = meant.map(|meant| format!(" Meinten Sie „{meant}“?")).unwrap_or_default();
            let all = "Möglich sind count, sum, min, max, avg, median, p1 bis p99 und dc.";
            let fault = Fault::new(at, format!("Den Kennwert „{}“ gibt es nicht.{asked} {all}", shown(name)));
            return Err(match meant {
                Some(meant) => fault.instead(at..at + name.len(), meant),
                None => fault,
            });
        };
        if !self.eat(Lexeme::Open) {
            return match function {
                Function::Count => Ok(Measure { function, operand: None }),
                _ => fail(self.at(), format!("Nach „{lower}“ fehlt das Feld in Klammern, zum Beispiel {lower}(network.bytes).")),
            };
        }
        if function == Function::Count && self.eat(Lexeme::Close) {
            return Ok(Measure { function, operand: None });
        }
        let operand = self.operand(function, &lower)?;
        if !self.eat(Lexeme::Close) {
            return fail(self.at(), "Hier fehlt „)“.");
        }
        Ok(Measure { function, operand: Some(operand) })
    }

    fn operand(&mut self, function: Function, name: &str) -> Parsed<Operand> {
        if let Some((at, Lexeme::Word(TIMESTAMP))) = self.left() {
            self.next += 1;
            return if function.is_of_times() {
                Ok(Operand::Time)
            } else {
                fail(at, "Von @timestamp gibt es nur min (zuerst) und max (zuletzt).")
            };
        }
        let at = self.at();
        let field = self.field(name)?;
        if function.is_of_numbers() && !may_be_numbers(field) {
            return fail(
                at,
                format!(
                    "„{}“ hat keine Zahlen. {name} rechnet mit Zahlen, zum Beispiel {name}(network.bytes); verschiedene Werte zählt dc({}).",
                    field.name(),
                    field.name()
                ),
            );
        }
        Ok(Operand::Field(field))
    }

    fn width(&mut self) -> Parsed<Width> {
        const EXAMPLES: &str = "zum Beispiel 1m, 15m, 1h, 6h, 1d oder 1w";
        match self.word() {
            None => fail(self.at(), format!("Nach „histogram“ fehlt die Breite, {EXAMPLES}.")),
            Some((at, text)) => match Width::parse(text) {
                Some(width) => Ok(width),
                None => {
                    fail(at, format!("„{}“ ist keine Breite, {EXAMPLES}. Ab einem Tag sind es ganze Tage, höchstens 366.", shown(text)))
                }
            },
        }
    }

    /// A number of rows, if one stands here.
    fn number(&mut self) -> Parsed<Option<usize>> {
        let Some((at, Lexeme::Word(word))) = self.left() else { return Ok(None) };
        if !word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        self.next += 1;
        match word.parse() {
            Ok(rows) if (1..=HEAD_MAX).contains(&rows) => Ok(Some(rows)),
            _ => {
                let fault = Fault::new(at, format!("Die Zahl der Zeilen liegt zwischen 1 und {HEAD_MAX}."));
                let is_great = word.bytes().all(|byte| byte.is_ascii_digit()) && word.bytes().any(|byte| byte != b'0');
                Err(if is_great { fault.instead(at..at + word.len(), HEAD_MAX.to_string()) } else { fault })
            }
        }
    }

    fn sort(&mut self, before: &Pipeline) -> Parsed<Stage> {
        let mut keys: Vec<SortKey> = Vec::new();
        loop {
            let (Range { start: at, end }, name) = self.column("sort", "-count")?;
            let descending = name.starts_with('-');
            let name = name.trim_start_matches('-');
            let column = known_column(name, at, at + usize::from(descending)..end, before)?.name;
            if keys.len() == COLUMNS_MAX {
                return fail(at, format!("Mehr als {COLUMNS_MAX} Spalten. Bitte lassen Sie einige weg."));
            }
            keys.push(SortKey { column, descending });
            if !self.eat(Lexeme::Comma) {
                return Ok(Stage::Sort(keys));
            }
        }
    }

    fn columns(&mut self, before: &Pipeline) -> Parsed<Stage> {
        let mut names: Vec<String> = Vec::new();
        loop {
            let (place, name) = self.column("fields", "site, count")?;
            let at = place.start;
            let name = known_column(&name, at, place, before)?.name;
            if names.contains(&name) {
                return fail(at, format!("Die Spalte „{name}“ steht hier schon."));
            }
            if names.len() == COLUMNS_MAX {
                return fail(at, format!("Mehr als {COLUMNS_MAX} Spalten. Bitte lassen Sie einige weg."));
            }
            names.push(name);
            if !self.eat(Lexeme::Comma) {
                return Ok(Stage::Fields(names));
            }
        }
    }

    /// A column's name as it is written, and where: a word, with what stands in parentheses behind it.
    fn column(&mut self, behind: &str, example: &str) -> Parsed<(Range<usize>, String)> {
        let Some((at, word)) = self.word() else {
            return fail(self.at(), format!("Nach „{behind}“ fehlt eine Spalte, zum Beispiel {behind} {example}."));
        };
        if !self.eat(Lexeme::Open) {
            return Ok((at..at + word.len(), word.to_owned()));
        }
        let operand = self.word().map(|(_, operand)| operand).unwrap_or_default();
        let end = self.at() + 1;
        if !self.eat(Lexeme::Close) {
            return fail(self.at(), "Hier fehlt „)“.");
        }
        Ok((at..end, if operand.is_empty() { word.to_owned() } else { format!("{word}({operand})") }))
    }
}

/// The column of that name in the table so far; of lines, any field may be one. `place` is where it is written.
fn known_column(name: &str, at: usize, place: Range<usize>, before: &Pipeline) -> Parsed<Column> {
    let is_shaped = before.aggregation().is_some() || before.stages.iter().any(|stage| matches!(stage, Stage::Fields(_)));
    if !is_shaped {
        return row_column(name).ok_or_else(|| unknown_field(name, place.start, &[TIMESTAMP], ""));
    }
    let columns = before.columns();
    if let Some(column) = columns.iter().find(|column| column.name == name) {
        return Ok(column.clone());
    }
    let meant = nearest(name, columns.iter().map(|column| column.name.as_str()));
    let asked = meant.map(|meant| format!(" Meinten Sie „{meant}“?")).unwrap_or_default();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let fault = Fault::new(at, format!("Die Spalte „{}“ gibt es hier nicht.{asked} Möglich sind: {}.", shown(name), names.join(", ")));
    Err(match meant {
        Some(meant) => fault.instead(place, meant),
        None => fault,
    })
}

fn unknown_stage(name: &str, at: usize) -> Fault {
    let names = || STAGES.iter().map(|(name, _)| *name);
    let said = format!("Den Schritt „{}“ gibt es nicht.", shown(name));
    match nearest(name, names()) {
        Some(meant) => {
            let fault = Fault::new(at, format!("{said} Meinten Sie „{meant}“? Zum Beispiel: {}", example(meant)));
            fault.instead(at..at + name.len(), meant)
        }
        None => Fault::new(at, format!("{said} Möglich sind: {}.", names().collect::<Vec<_>>().join(", "))),
    }
}

fn example(stage: &str) -> &'static str {
    STAGES.iter().find(|(name, _)| *name == stage).map_or("by site", |(_, example)| example)
}

fn name_of(stage: &Stage) -> String {
    stage.to_string().split(' ').next().unwrap_or_default().to_owned()
}
