//! The rules that run together, from folders or from the binary: children before the correlations that refer to them.
//! A rule that is refused leaves the others unharmed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::RuleError;
use super::attributes::EntityField;
use super::builder::Builder;
use super::detection::Detection;
use super::files::{name_of, texts_of};
use super::metadata::Metadata;
use super::names::{Context, FieldNames};
use super::pipeline::Pipelines;
use super::placeholder::{self, Placeholders};
use crate::correlate::Correlation;
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
    pub(crate) entity: EntityField,
    pub(crate) logic: Logic,
}

#[derive(Clone, Debug)]
pub(crate) enum Logic {
    Detection(Detection),
    Correlation(Correlation),
}

impl CompiledRule {
    pub fn is_correlation(&self) -> bool {
        matches!(self.logic, Logic::Correlation(_))
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
        builder.finish()
    }

    /// The shipped rules together with an operator's own, which may refer to them; a name or id that is taken is refused.
    pub fn shipped_with(dirs: &[PathBuf]) -> (Self, Vec<RuleError>) {
        let (texts, mut errors) = texts_of(dirs);
        let shipped = SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned()));
        let (set, refused) = Self::compile(shipped.chain(texts), FieldNames::Decoded);
        errors.extend(refused);
        (set, errors)
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

    /// What is accepted but may be meant otherwise, by file and line.
    pub fn remarks(&self) -> &[RuleError] {
        &self.remarks
    }
}
