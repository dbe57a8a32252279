//! Processing pipelines: what changes rules before they are compiled, so that a rule that speaks of `CommandLine` is asked
//! of our records' `process.command_line`. They are written as pySigma has them, one file each in a folder `pipelines`;
//! the shipped ones map public rules to the fields that our decoders give.
//!
//! A pipeline is a list of transformations, each with conditions on the rule, on a line of its detection, or on the
//! line's field. Those of all pipelines go over a rule one after the other, by priority. What changes the rule as a whole
//! (its log source) is done here; what changes lines is done line by line while the detection is compiled (`Steps`).

mod condition;
mod read;
mod transform;

use std::borrow::Cow;

use super::CompileError;
use super::logsource::KEYS;
use super::yaml::{Entry, Node, Value};
use condition::{Conditions, FieldTest, ItemTest, RuleTest};
use transform::Change;

/// Pipelines in the order in which they are applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pipelines {
    all: Vec<Pipeline>,
}

/// One file's.
#[derive(Clone, Debug)]
struct Pipeline {
    /// Lower ones first; the file's name among equals.
    priority: i64,
    file: String,
    steps: Vec<Step>,
}

/// One transformation and where it applies.
#[derive(Clone, Debug)]
struct Step {
    id: Option<String>,
    change: Change,
    rule: Conditions<RuleTest>,
    item: Conditions<ItemTest>,
    field: Conditions<FieldTest>,
}

/// What is left to do at the lines of one rule's detection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps<'a> {
    all: Vec<&'a Step>,
    /// Where these stand among the steps of all pipelines.
    places: Vec<usize>,
    /// Added to what the condition demands: the lines that must hold too, or with `true` must not.
    added: Vec<(Vec<Entry>, bool)>,
}

/// What transformations know of the rule they are applied to.
struct Facts<'a> {
    document: &'a Node,
    /// Product, category and service as they stand now.
    logsource: [Option<String>; 3],
    applied: Vec<String>,
    state: Vec<(String, String)>,
}

/// A line on its way through the steps.
#[derive(Clone)]
struct Line {
    entry: Entry,
    applied: Vec<String>,
}

impl Pipelines {
    /// Adds a file's pipeline.
    ///
    /// # Errors
    /// What cannot be read or done, by line.
    pub(crate) fn add(&mut self, file: &str, text: &str) -> Result<Vec<(String, Vec<String>)>, CompileError> {
        let (pipeline, vars) = read::pipeline(file, text)?;
        self.all.push(pipeline);
        self.all.sort_by(|a, b| (a.priority, &a.file).cmp(&(b.priority, &b.file)));
        Ok(vars)
    }

    fn steps(&self) -> impl Iterator<Item = &Step> {
        self.all.iter().flat_map(|pipeline| &pipeline.steps)
    }

    /// What a field is called in the records of a rule that went through the steps at `places`; several names where any of
    /// them may have the value. For what correlations group by and count: these have names and no lines.
    ///
    /// # Errors
    /// Where a step refuses the field, or would rename it for some values only.
    pub(crate) fn names(&self, places: &[usize], field: &str) -> Result<Vec<String>, String> {
        let mut names = vec![(field.to_owned(), Vec::new())];
        for (_, step) in self.steps().enumerate().filter(|(place, _)| places.contains(place)) {
            let mut changed = Vec::with_capacity(names.len());
            for (name, mut applied) in names {
                let entry = Entry { key: name.clone(), line: 0, node: Node { line: 0, value: Value::Null } };
                let line = Line { entry, applied };
                let meant = step.field.hold(|test| test.holds(&line));
                applied = line.applied;
                let renamed = step.change.names(&name).filter(|renamed| meant && *renamed != [name.as_str()]);
                match (renamed, &step.change) {
                    (None, Change::RefuseLine(message)) if meant && !step.field.tests.is_empty() => return Err(message.clone()),
                    (None, _) => changed.push((name, applied)),
                    (Some(_), _) if !step.item.tests.is_empty() => {
                        return Err(format!("'{name}' is renamed for some values only, so that it cannot be counted or grouped by"));
                    }
                    (Some(renamed), _) => {
                        applied.extend(step.id.clone());
                        changed.extend(renamed.into_iter().map(|name| (name, applied.clone())));
                    }
                }
            }
            names = changed;
        }
        Ok(names.into_iter().map(|(name, _)| name).collect())
    }

    /// The rule with its log source changed, and what its lines are to go through.
    ///
    /// # Errors
    /// What a transformation refuses.
    pub(crate) fn apply<'d>(&self, document: &'d Node) -> Result<(Cow<'d, Node>, Steps<'_>), CompileError> {
        let mut steps = Steps::default();
        let mut facts = Facts { document, logsource: logsource_of(document), applied: Vec::new(), state: Vec::new() };
        let had = facts.logsource.clone();
        for (place, step) in self.steps().enumerate() {
            if !step.rule.hold(|test| test.holds(&facts, &steps)) {
                continue;
            }
            match &step.change {
                Change::Logsource(words) => {
                    // As pySigma: the new log source takes the old one's place.
                    facts.logsource.clone_from(words);
                }
                Change::State(key, value) => facts.state.push((key.clone(), value.clone())),
                Change::Condition { lines, negated } => {
                    let lines = lines.iter().map(|line| transform::filled(line, &facts.logsource)).collect();
                    steps.added.push((lines, *negated));
                }
                Change::RefuseRule(message) => return Err(CompileError::at(document.line, message.clone())),
                _ => {
                    steps.all.push(step);
                    steps.places.push(place);
                }
            }
            facts.applied.extend(step.id.clone());
        }
        if facts.logsource == had {
            return Ok((Cow::Borrowed(document), steps));
        }
        Ok((Cow::Owned(with_logsource(document, &facts.logsource)), steps))
    }
}

impl Steps<'_> {
    /// Where its steps stand, for `Pipelines::names`.
    pub(crate) fn places(&self) -> &[usize] {
        &self.places
    }

    /// What becomes of a line of a selection: nothing where it is dropped, several where any of them will do.
    pub(crate) fn of_line(&self, entry: &Entry) -> Result<Vec<Entry>, CompileError> {
        let mut lines = vec![Line { entry: entry.clone(), applied: Vec::new() }];
        for step in &self.all {
            let mut changed = Vec::with_capacity(lines.len());
            for line in lines {
                if step.field.hold(|test| test.holds(&line)) && step.item.hold(|test| test.holds(&line)) {
                    let before = line.entry.clone();
                    for entry in step.change.of_line(line.entry)? {
                        let mut applied = line.applied.clone();
                        if entry != before {
                            applied.extend(step.id.clone());
                        }
                        changed.push(Line { entry, applied });
                    }
                } else {
                    changed.push(line);
                }
            }
            lines = changed;
        }
        Ok(lines.into_iter().map(|line| line.entry).collect())
    }

    /// Further demands, each a set of lines that must hold, or must not.
    pub(crate) fn added(&self) -> &[(Vec<Entry>, bool)] {
        &self.added
    }
}

fn logsource_of(document: &Node) -> [Option<String>; 3] {
    let source = document.get("logsource").map(|entry| &entry.node);
    KEYS.map(|key| source?.get(key)?.node.as_str().map(str::to_ascii_lowercase))
}

fn with_logsource(document: &Node, words: &[Option<String>; 3]) -> Node {
    let mut document = document.clone();
    let Value::Map(entries) = &mut document.value else { return document };
    let Some(source) = entries.iter_mut().find(|entry| entry.key == "logsource") else { return document };
    let line = source.line;
    let word = |(key, word): (&str, &Option<String>)| {
        let node = Node { line, value: Value::Str(word.clone()?) };
        Some(Entry { key: key.to_owned(), line, node })
    };
    source.node.value = Value::Map(KEYS.into_iter().zip(words).filter_map(word).collect());
    document
}
