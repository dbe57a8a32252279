//! The rules that run together, from folders or from the binary: children before the correlations that refer to them.
//! A rule that is refused leaves the others unharmed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ingest::query::Query;
use ingest::record::Record;

use super::RuleError;
use super::attributes::EntityField;
use super::builder::Builder;
use super::detection::Detection;
use super::files::{name_of, texts_of};
use super::metadata::Metadata;
use super::names::{Context, FieldNames};
use super::need;
use super::pipeline::Pipelines;
use super::placeholder::{self, Placeholders};
use crate::correlate::{Correlation, Reach, Source};
use crate::explanation::{RuleVersion, Verdict};
use crate::rule::Rule;

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The wording of a rule in the binary, by its file's name.
pub fn shipped_text(file: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// Whether a file is a pipeline: it stands in a folder of that name.
fn is_pipeline(file: &str) -> bool {
    Path::new(file).parent().and_then(Path::file_name).is_some_and(|folder| folder == "pipelines")
}

/// Compiled rules. A correlation stands behind the rules that it refers to.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) remarks: Vec<RuleError>,
}

/// A rule with its logic and where it came from.
#[derive(Clone, Debug)]
pub struct CompiledRule {
    pub rule: Arc<Rule>,
    pub file: String,
    pub line: u64,
    /// Whether its matches become findings, or only feed correlations.
    pub alerts: bool,
    /// What may set it off without harm, as its author says.
    pub falsepositives: Vec<String>,
    pub metadata: Metadata,
    /// Fingerprint of its wording.
    pub content: String,
    pub(crate) entity: EntityField,
    pub(crate) logic: Logic,
}

#[derive(Clone, Debug)]
pub(crate) enum Logic {
    Detection(Detection),
    Correlation(Correlation),
    /// Switched off: it keeps its place, because correlations refer to places, and never matches.
    Off,
}

impl CompiledRule {
    pub fn is_correlation(&self) -> bool {
        matches!(self.logic, Logic::Correlation(_))
    }

    /// Which wording this is, in a book of that number.
    pub fn version(&self, book: u64) -> RuleVersion {
        RuleVersion { content: self.content.clone(), modified: self.metadata.modified.clone().or_else(|| self.metadata.date.clone()), book }
    }

    /// What it says of a record by itself, and why; nothing for a correlation, and for what is off.
    pub fn verdict(&self, record: &dyn Record) -> Option<Verdict> {
        match &self.logic {
            Logic::Detection(detection) => Some(detection.verdict(record)),
            Logic::Correlation(_) | Logic::Off => None,
        }
    }

    /// Whether it looks over all bodies: then what it finds is the state's.
    pub fn is_state_wide(&self) -> bool {
        matches!(&self.logic, Logic::Correlation(correlation) if correlation.reach == Reach::State)
    }

    /// Where its records come from, as the rule's own words (`product`, `linux`); nothing for a correlation.
    pub fn logsource(&self) -> Vec<(&'static str, &str)> {
        match &self.logic {
            Logic::Detection(detection) => detection.logsource.words().collect(),
            Logic::Correlation(_) | Logic::Off => Vec::new(),
        }
    }

    /// The places of the rules that a correlation refers to.
    fn references(&self) -> impl Iterator<Item = usize> {
        let references = match &self.logic {
            Logic::Correlation(correlation) => correlation.references.as_slice(),
            Logic::Detection(_) | Logic::Off => &[],
        };
        references.iter().map(|reference| reference.place)
    }
}

impl RuleSet {
    /// The rules in the binary.
    ///
    /// # Errors
    /// All refusals; a test sees to it that a built program has none.
    pub fn shipped() -> Result<Self, Vec<RuleError>> {
        let texts = SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        let (set, errors) = Self::compile(texts, FieldNames::Decoded);
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// All `.yml` files below the folders (or files) given, and what was refused.
    pub fn load(dirs: &[PathBuf], names: FieldNames) -> (Self, Vec<RuleError>) {
        let (texts, mut errors) = texts_of(dirs);
        let (set, refused) = Self::compile(texts, names);
        errors.extend(refused);
        (set, errors)
    }

    /// Rules from (file name, text); the refusals by file and line. Files called `placeholders.yml` are the table that the
    /// others' placeholders are taken from; files in a folder `pipelines` are no rules but change these.
    pub fn compile(files: impl IntoIterator<Item = (String, String)>, names: FieldNames) -> (Self, Vec<RuleError>) {
        let is_table = |(file, _): &(String, String)| file == placeholder::FILE || file.ends_with(&format!("/{}", placeholder::FILE));
        let (tables, rules): (Vec<_>, Vec<_>) = files.into_iter().partition(is_table);
        let mut placeholders = Placeholders::default();
        let mut builder = Builder::default();
        for (file, text) in tables {
            if let Err(error) = placeholders.read(&text) {
                builder.refuse(&file, error.line, None, error.message);
            }
        }
        let (pipelines_of, rules): (Vec<_>, Vec<_>) = rules.into_iter().partition(|(file, _)| is_pipeline(file));
        let mut pipelines = Pipelines::default();
        for (file, text) in pipelines_of {
            let added = pipelines.add(&file, &text).and_then(|vars| placeholders.extend(vars));
            if let Err(error) = added {
                builder.refuse(&file, error.line, None, error.message);
            }
        }
        let context = Context { names, placeholders: &placeholders, pipelines: &pipelines };
        for (file, text) in rules {
            builder.read(&file, &name_of(&file), &text, &context);
        }
        builder.finish(&pipelines)
    }

    /// The shipped rules together with an operator's own, which may refer to them; a name or id that is taken is refused.
    pub fn shipped_with(dirs: &[PathBuf]) -> (Self, Vec<RuleError>) {
        let (texts, mut errors) = texts_of(dirs);
        let (set, refused) = Self::shipped_beside(texts);
        errors.extend(refused);
        (set, errors)
    }

    /// As `shipped_with`, of texts that were read before.
    pub fn shipped_beside(texts: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<RuleError>) {
        let shipped = SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        Self::compile(shipped.chain(texts), FieldNames::Decoded)
    }

    /// As `load`, beside the shipped rules, which an operator's filters and correlations may refer to; not beside those that
    /// the folders hold themselves, as the pack's own source does.
    pub fn load_beside_shipped(dirs: &[PathBuf]) -> (Self, Vec<RuleError>) {
        let (texts, mut errors) = texts_of(dirs);
        let inside = |file: &str| Path::new(file).strip_prefix("rules").map(Path::to_owned).unwrap_or_default();
        let held = |file: &str| texts.iter().any(|(own, _)| Path::new(own).ends_with(inside(file)));
        let shipped = SHIPPED.iter().filter(|(file, _)| !held(file)).map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        let shipped: Vec<(String, String)> = shipped.collect();
        let (set, refused) = Self::compile(shipped.into_iter().chain(texts), FieldNames::Decoded);
        errors.extend(refused);
        (set, errors)
    }

    /// Children before the correlations that refer to them.
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }

    pub fn find(&self, name: &str) -> Option<&CompiledRule> {
        self.rules.iter().find(|compiled| compiled.rule.name == name)
    }

    /// The rules that one counts, directly; none for what is no correlation.
    pub fn counted_by(&self, compiled: &CompiledRule) -> Vec<&CompiledRule> {
        compiled.references().filter_map(|place| self.rules.get(place)).collect()
    }

    /// A query that finds every stored record which one of these rules could match.
    pub fn query(&self) -> Query {
        need::query(self.detections())
    }

    /// Whether one of these rules is for flows, and whether one is for anything else.
    pub fn reads(&self) -> (bool, bool) {
        let each: Vec<(bool, bool)> = self.detections().map(need::flows).collect();
        (each.iter().any(|(_, too)| *too), each.iter().any(|(alone, _)| !alone))
    }

    /// The shortest time span of the correlations.
    pub(crate) fn timespan_min(&self) -> Option<i64> {
        let spans = self.rules.iter().filter_map(|compiled| match &compiled.logic {
            Logic::Correlation(correlation) => Some(correlation.timespan),
            Logic::Detection(_) | Logic::Off => None,
        });
        spans.min()
    }

    fn detections(&self) -> impl Iterator<Item = &Detection> {
        self.rules.iter().filter_map(|compiled| match &compiled.logic {
            Logic::Detection(detection) => Some(detection),
            Logic::Correlation(_) | Logic::Off => None,
        })
    }

    /// The correlations that count a rule, directly.
    pub fn counting(&self, name: &str) -> Vec<&CompiledRule> {
        let counts = |compiled: &&CompiledRule| self.counted_by(compiled).iter().any(|child| child.rule.name == name);
        self.rules.iter().filter(counts).collect()
    }

    /// The detections whose records a rule lives on: itself, or what it counts, down to the ground.
    pub fn grounds(&self, compiled: &CompiledRule) -> Vec<&CompiledRule> {
        let Some(start) = self.rules.iter().position(|known| known.rule.id == compiled.rule.id) else { return Vec::new() };
        let mut wanted = vec![false; self.rules.len()];
        self.reach(start, &mut wanted);
        let ground = |(compiled, wanted): (_, bool)| Some(compiled).filter(|rule: &&CompiledRule| wanted && !rule.is_correlation());
        self.rules.iter().zip(wanted).filter_map(ground).collect()
    }

    /// The same rules in the same places, of which those that `off` names never match.
    #[must_use]
    pub fn without(&self, off: impl Fn(&Rule) -> bool) -> Self {
        let mut set = self.clone();
        for compiled in set.rules.iter_mut().filter(|compiled| off(&compiled.rule)) {
            compiled.logic = Logic::Off;
        }
        set
    }

    /// The same rules in the same places, of which only those called `names` match, and what they refer to.
    #[must_use]
    pub fn only(&self, names: &[String]) -> Self {
        let mut wanted = vec![false; self.rules.len()];
        for (place, compiled) in self.rules.iter().enumerate() {
            if names.contains(&compiled.rule.name) {
                self.reach(place, &mut wanted);
            }
        }
        let kept = |(compiled, wanted): (&CompiledRule, bool)| CompiledRule {
            rule: compiled.rule.clone(),
            file: compiled.file.clone(),
            line: compiled.line,
            // What is only counted here tells nothing itself.
            alerts: compiled.alerts && names.contains(&compiled.rule.name),
            falsepositives: compiled.falsepositives.clone(),
            metadata: if wanted { compiled.metadata.clone() } else { Metadata::default() },
            content: compiled.content.clone(),
            entity: compiled.entity,
            logic: if wanted { compiled.logic.clone() } else { Logic::Off },
        };
        Self { rules: self.rules.iter().zip(wanted).map(kept).collect(), remarks: Vec::new() }
    }

    /// Marks a place and what it refers to; references only point to places before.
    fn reach(&self, place: usize, wanted: &mut [bool]) {
        let Some(slot) = wanted.get_mut(place).filter(|slot| !**slot) else { return };
        *slot = true;
        for child in self.rules.get(place).into_iter().flat_map(CompiledRule::references) {
            self.reach(child, wanted);
        }
    }

    /// The fields that a correlation needs of a record which one of its rules matches, and that the record lacks.
    pub fn lacks(&self, correlation: &CompiledRule, ground: &CompiledRule, record: &dyn Record) -> Vec<&'static str> {
        let Logic::Correlation(counts) = &correlation.logic else { return Vec::new() };
        let of = counts.references.iter().find(|reference| reference.id == ground.rule.id);
        let fields = of.into_iter().flat_map(|reference| reference.group.iter().chain(&reference.values));
        let missing = fields.filter_map(|source| match source {
            Source::Field(field) => (!record.any_value(*field, &mut |_| true)).then(|| field.name()),
            Source::Group(_) | Source::Body => None,
        });
        missing.collect()
    }

    /// What is accepted but may be meant otherwise, by file and line.
    pub fn remarks(&self) -> &[RuleError] {
        &self.remarks
    }
}
