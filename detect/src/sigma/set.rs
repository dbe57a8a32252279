//! The rules that run together: read from folders or from the binary, their references resolved, children before the
//! correlations that refer to them. A rule that is refused leaves the others unharmed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::detection::Detection;
use super::document::{Body, CorrelationBody, Document, EntityField};
use super::yaml::{self, FILE_BYTES_MAX};
use super::{RuleError, nearest};
use crate::correlate::{Correlation, Measure};
use crate::rule::Rule;

/// Rule files read from all folders together.
const FILES_MAX: usize = 20_000;
/// Folders below a given one; `rules/<logsource>/<name>` is two.
const FOLDERS_DEPTH_MAX: usize = 12;

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// The wording of a rule in the binary, by its file's name.
pub fn shipped_text(file: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(name, _)| *name == file).map(|(_, text)| *text)
}

/// Compiled rules. A correlation stands behind the rules that it refers to.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub(crate) rules: Vec<CompiledRule>,
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
        let (set, errors) = Self::compile(SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())));
        if errors.is_empty() { Ok(set) } else { Err(errors) }
    }

    /// All `.yml` files below the folders (or files) given, and what was refused.
    pub fn load(dirs: &[PathBuf]) -> (Self, Vec<RuleError>) {
        let (texts, mut errors) = texts_of(dirs);
        let (set, refused) = Self::compile(texts);
        errors.extend(refused);
        (set, errors)
    }

    /// Rules from (file name, text); the refusals by file and line.
    pub fn compile(files: impl IntoIterator<Item = (String, String)>) -> (Self, Vec<RuleError>) {
        let mut builder = Builder::default();
        for (file, text) in files {
            builder.read(&file, &text);
        }
        builder.finish()
    }

    /// The shipped rules together with an operator's own, which may refer to them; a name or id that is taken is refused.
    pub fn shipped_with(dirs: &[PathBuf]) -> (Self, Vec<RuleError>) {
        let (texts, mut errors) = texts_of(dirs);
        let (set, refused) = Self::compile(SHIPPED.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).chain(texts));
        errors.extend(refused);
        (set, errors)
    }

    /// Children before the correlations that refer to them.
    pub fn rules(&self) -> &[CompiledRule] {
        &self.rules
    }
}

/// The rule files below the folders, and what could not be read.
fn texts_of(dirs: &[PathBuf]) -> (Vec<(String, String)>, Vec<RuleError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    dirs.iter().for_each(|dir| collect(dir, 0, &mut files, &mut errors));
    let mut texts = Vec::new();
    for path in files {
        match read(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(message) => errors.push(RuleError { file: path.display().to_string(), line: 1, rule: None, message }),
        }
    }
    (texts, errors)
}

/// A folder of this name holds playbooks, not rules.
const PLAYBOOKS: &str = "playbooks";

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, errors: &mut Vec<RuleError>) {
    let mut error = |message: String| errors.push(RuleError { file: path.display().to_string(), line: 1, rule: None, message });
    if path.is_file() {
        return files.push(path.to_owned());
    }
    let listed =
        std::fs::read_dir(path).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
    let mut inside = match listed {
        Ok(inside) => inside,
        Err(source) => return error(format!("cannot read the folder: {source}")),
    };
    inside.sort_unstable();
    for child in inside {
        let is_rule = child.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if child.is_dir() && child.file_name().is_some_and(|name| name == PLAYBOOKS) {
            // What to do when a rule fires stands beside the rules and is read by `playbook`.
            continue;
        }
        if child.is_dir() && !child.is_symlink() {
            match depth < FOLDERS_DEPTH_MAX {
                true => collect(&child, depth + 1, files, errors),
                false => errors.push(RuleError {
                    file: child.display().to_string(),
                    line: 1,
                    rule: None,
                    message: "the folder is nested too deep".into(),
                }),
            }
        } else if is_rule && files.len() >= FILES_MAX {
            errors.push(RuleError {
                file: child.display().to_string(),
                line: 1,
                rule: None,
                message: format!("there are more than {FILES_MAX} rule files"),
            });
            return;
        } else if is_rule {
            files.push(child);
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot read the file: {error}"))?.len();
    if length > FILE_BYTES_MAX as u64 {
        return Err(format!("the file has {length} bytes, a rule file may have {FILE_BYTES_MAX}"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot read the file: {error}"))
}

/// The name a file's rules have where they give themselves none: the folder of a `rule.yml`, else the file's own.
fn name_of(file: &str) -> String {
    let path = Path::new(file);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).map(|folder| folder.to_string_lossy().into_owned());
    if stem == "rule" { folder.unwrap_or(stem) } else { stem }
}

#[derive(Default)]
struct Builder {
    documents: Vec<(String, Document)>,
    /// By name and by id.
    places: HashMap<String, usize>,
    errors: Vec<RuleError>,
}

impl Builder {
    fn refuse(&mut self, file: &str, line: u64, rule: Option<&str>, message: String) {
        self.errors.push(RuleError { file: file.to_owned(), line, rule: rule.map(str::to_owned), message });
    }

    fn read(&mut self, file: &str, text: &str) {
        let name = name_of(file);
        let nodes = match yaml::parse(text) {
            Ok(nodes) => nodes,
            Err(error) => return self.refuse(file, error.line, None, error.message),
        };
        if nodes.is_empty() {
            return self.refuse(file, 1, None, "the file holds no rule".into());
        }
        for node in nodes {
            match Document::compile(&node, &name) {
                Ok(document) => self.add(file, document),
                Err(error) => {
                    let rule = node.get("name").and_then(|entry| entry.node.scalar_text()).unwrap_or_else(|| name.clone());
                    self.refuse(file, error.line, Some(&rule), error.message);
                }
            }
        }
    }

    fn add(&mut self, file: &str, document: Document) {
        let (id, name) = (document.rule.id.clone(), document.rule.name.clone());
        for (key, what) in [(&name, "name"), (&id, "id")] {
            if let Some((other, taken)) = self.places.get(key).and_then(|place| self.documents.get(*place)) {
                let message = format!("the {what} '{key}' is taken by {other}:{}", taken.line);
                return self.refuse(file, document.line, Some(&name), message);
            }
        }
        let place = self.documents.len();
        self.places.insert(name, place);
        self.places.insert(id, place);
        self.documents.push((file.to_owned(), document));
    }

    fn finish(mut self) -> (RuleSet, Vec<RuleError>) {
        let documents = std::mem::take(&mut self.documents);
        let references = self.resolve(&documents);
        let order = self.order(&documents, &references);
        // A referenced rule is silent, unless the correlation says otherwise.
        let mut silent: Vec<bool> = documents.iter().map(|(_, document)| document.silent).collect();
        for ((_, document), places) in documents.iter().zip(&references) {
            let (Body::Correlation(body), Some(places)) = (&document.body, places) else { continue };
            for place in places.iter().filter(|_| !body.generate) {
                if let Some(slot) = silent.get_mut(*place) {
                    *slot = true;
                }
            }
        }
        let mut waiting: Vec<Option<(String, Document)>> = documents.into_iter().map(Some).collect();
        let mut new_places: HashMap<usize, usize> = HashMap::new();
        let mut set = RuleSet::default();
        for place in order {
            let Some((file, document)) = waiting.get_mut(place).and_then(Option::take) else { continue };
            let places = references.get(place).cloned().flatten().unwrap_or_default();
            let logic = match document.body {
                Body::Detection(detection) => Logic::Detection(detection),
                Body::Correlation(body) => {
                    let rules: Vec<usize> = places.iter().filter_map(|old| new_places.get(old).copied()).collect();
                    if let Some(message) = ungrouped(&body, &rules, &set) {
                        self.refuse(&file, body.line, Some(&document.rule.name), message);
                        continue;
                    }
                    if rules.len() != places.len() {
                        self.refuse(
                            &file,
                            body.line,
                            Some(&document.rule.name),
                            "a rule that the correlation refers to was refused".into(),
                        );
                        continue;
                    }
                    let CorrelationBody { measure, threshold, group_by, timespan, .. } = body;
                    Logic::Correlation(Correlation { measure, threshold, rules, group_by, timespan })
                }
            };
            new_places.insert(place, set.rules.len());
            set.rules.push(CompiledRule {
                rule: Arc::new(document.rule),
                file,
                line: document.line,
                alerts: !silent.get(place).copied().unwrap_or_default(),
                falsepositives: document.falsepositives,
                entity: document.entity,
                logic,
            });
        }
        self.errors.sort();
        (set, self.errors)
    }

    /// The places each correlation refers to; `None` for one that names an unknown rule.
    fn resolve(&mut self, documents: &[(String, Document)]) -> Vec<Option<Vec<usize>>> {
        let mut all = Vec::new();
        for (file, document) in documents {
            let Body::Correlation(body) = &document.body else {
                all.push(Some(Vec::new()));
                continue;
            };
            let mut places = Some(Vec::new());
            for (line, name) in &body.references {
                let found = self.places.get(name).or_else(|| self.places.get(&name.to_ascii_lowercase())).copied();
                match found {
                    Some(place) => places.iter_mut().for_each(|places| places.push(place)),
                    None => {
                        places = None;
                        let names: Vec<&str> = documents.iter().map(|(_, document)| document.rule.name.as_str()).collect();
                        let message = format!("the correlation refers to an unknown or refused rule '{name}'{}", nearest(name, &names));
                        self.refuse(file, *line, Some(&document.rule.name), message);
                        break;
                    }
                }
            }
            all.push(places);
        }
        all
    }

    /// Detections and correlations so that each stands behind what it refers to; circles are refused.
    fn order(&mut self, documents: &[(String, Document)], references: &[Option<Vec<usize>>]) -> Vec<usize> {
        let mut order = Vec::new();
        let mut done = vec![false; documents.len()];
        // What refers to a refused rule falls with it and is named for that, not as a circle.
        let mut lost: Vec<bool> = references.iter().map(Option::is_none).collect();
        loop {
            let mut progress = false;
            for (place, places) in (0..).zip(references) {
                if done.get(place).copied().unwrap_or(true) || lost.get(place).copied().unwrap_or(true) {
                    continue;
                }
                let is = |flags: &[bool], place: &usize| flags.get(*place).copied().unwrap_or_default();
                let places = places.as_deref().unwrap_or_default();
                let fails = places.iter().any(|place| is(&lost, place));
                let ready = places.iter().all(|place| is(&done, place));
                if fails && let Some(slot) = lost.get_mut(place) {
                    *slot = true;
                    progress = true;
                    if let Some((file, document)) = documents.get(place) {
                        let message = "a rule that the correlation refers to was refused".into();
                        self.refuse(file, document.line, Some(&document.rule.name), message);
                    }
                } else if ready && let Some(slot) = done.get_mut(place) {
                    *slot = true;
                    progress = true;
                    order.push(place);
                }
            }
            if !progress {
                break;
            }
        }
        for ((place, (file, document)), done) in (0..).zip(documents).zip(&done) {
            if !done && !lost.get(place).copied().unwrap_or_default() {
                self.refuse(file, document.line, Some(&document.rule.name), "the correlations refer to each other in a circle".into());
            }
        }
        order
    }
}

/// What a correlation asks of the correlations it refers to beyond what those group by.
fn ungrouped(body: &CorrelationBody, rules: &[usize], set: &RuleSet) -> Option<String> {
    let value = match body.measure {
        Measure::Values(field) => Some(field),
        _ => None,
    };
    for child in rules.iter().filter_map(|place| set.rules.get(*place)) {
        let Logic::Correlation(correlation) = &child.logic else { continue };
        let missing = body.group_by.iter().copied().chain(value).find(|field| !correlation.group_by.contains(field));
        if let Some(field) = missing {
            return Some(format!("'{}' is needed here, but '{}' does not group by it", field.name(), child.rule.name));
        }
    }
    None
}
