//! From documents to a rule set: names and ids are told apart, filters go to the rules that they are for, correlations
//! find what they refer to, and what cannot be is refused by name.

use std::collections::HashMap;
use std::sync::Arc;

use super::collection::Collection;
use super::correlation::Renaming;
use super::document::{Body, Document, RuleDocument};
use super::filter::{Filter, Targets};
use super::names::Context;
use super::pipeline::Pipelines;
use super::set::{CompiledRule, Logic, RuleSet};
use super::{RuleError, nearest, yaml};

#[derive(Default)]
pub(crate) struct Builder {
    documents: Vec<(String, RuleDocument)>,
    filters: Vec<(String, Filter)>,
    /// Rules by name and by id.
    places: HashMap<String, usize>,
    /// Names and ids of rules and filters, with the file and line that has them.
    taken: HashMap<String, (String, u64)>,
    errors: Vec<RuleError>,
    remarks: Vec<RuleError>,
}

impl Builder {
    fn remark(&mut self, file: &str, line: u64, rule: &str, message: String) {
        self.remarks.push(RuleError { file: file.to_owned(), line, rule: Some(rule.to_owned()), message });
    }

    pub(crate) fn refuse(&mut self, file: &str, line: u64, rule: Option<&str>, message: String) {
        self.errors.push(RuleError { file: file.to_owned(), line, rule: rule.map(str::to_owned), message });
    }

    /// Reads a file's documents; `name` is for those that give themselves none.
    pub(crate) fn read(&mut self, file: &str, name: &str, text: &str, context: &Context<'_>) {
        let nodes = match yaml::parse(text) {
            Ok(nodes) => nodes,
            Err(error) => return self.refuse(file, error.line, None, error.message),
        };
        let mut collection = Collection::default();
        let (mut unnamed, mut empty) = (0, true);
        for node in nodes {
            let own_name = node.get("name").and_then(|entry| entry.node.scalar_text());
            let merged = match collection.next(node) {
                Ok(None) => continue,
                Ok(Some(merged)) => merged,
                Err(error) => {
                    empty = false;
                    self.refuse(file, error.line, own_name.as_deref(), error.message);
                    continue;
                }
            };
            empty = false;
            let own_name = merged.node.get("name").and_then(|entry| entry.node.scalar_text());
            unnamed += u32::from(own_name.is_none());
            let name = own_name.unwrap_or_else(|| if unnamed == 1 { name.to_owned() } else { format!("{name}_{unnamed}") });
            for (line, key) in merged.overridden {
                self.remark(file, line, &name, format!("the global document's '{key}' takes the place of this one"));
            }
            match Document::compile(&merged.node, &name, context) {
                Ok(Document::Rule(rule)) => self.add(file, *rule),
                Ok(Document::Filter(filter)) => self.add_filter(file, filter),
                Err(error) => self.refuse(file, error.line, Some(&name), error.message),
            }
        }
        if empty {
            self.refuse(file, 1, None, "the file holds no rule".into());
        }
    }

    fn add(&mut self, file: &str, document: RuleDocument) {
        let (id, name) = (document.rule.id.clone(), document.rule.name.clone());
        if !self.take(file, document.line, &name, &id) {
            return;
        }
        let place = self.documents.len();
        self.places.insert(name, place);
        self.places.insert(id, place);
        self.documents.push((file.to_owned(), document));
    }

    fn add_filter(&mut self, file: &str, filter: Filter) {
        let name = filter.names.name.clone();
        if self.take(file, filter.line, &name, filter.names.id.as_deref().unwrap_or(&name)) {
            self.filters.push((file.to_owned(), filter));
        }
    }

    /// Whether name and id are free; from now on they are not.
    fn take(&mut self, file: &str, line: u64, name: &str, id: &str) -> bool {
        for (key, what) in [(name, "name"), (id, "id")] {
            if let Some((other, taken)) = self.taken.get(key) {
                let message = format!("the {what} '{key}' is taken by {other}:{taken}");
                self.refuse(file, line, Some(name), message);
                return false;
            }
        }
        for key in [name, id] {
            self.taken.insert(key.to_owned(), (file.to_owned(), line));
        }
        true
    }

    fn place_of(&self, reference: &str) -> Option<usize> {
        self.places.get(reference).or_else(|| self.places.get(&reference.to_ascii_lowercase())).copied()
    }

    fn unknown(&self, who: &str, reference: &str) -> String {
        let names: Vec<&str> = self.documents.iter().map(|(_, document)| document.rule.name.as_str()).collect();
        format!("the {who} refers to an unknown or refused rule '{reference}'{}", nearest(reference, &names))
    }

    fn apply_filters(&mut self) {
        for (file, filter) in std::mem::take(&mut self.filters) {
            let name = filter.names.name.clone();
            if let Some(message) = filter.remark() {
                self.remark(&file, filter.line, &name, message);
            }
            match &filter.rules {
                Targets::Any => {
                    let applied = (0..self.documents.len()).filter(|place| self.apply(&filter, *place).is_ok()).count();
                    if applied == 0 {
                        self.remark(&file, filter.line, &name, "the filter's logsource covers no rule".into());
                    }
                }
                Targets::Named(references) => {
                    for (line, reference) in references {
                        let applied = match self.place_of(reference) {
                            Some(place) => self.apply(&filter, place),
                            None => Err(self.unknown("filter", reference)),
                        };
                        if let Err(message) = applied {
                            self.refuse(&file, *line, Some(&name), message);
                        }
                    }
                }
            }
        }
    }

    fn apply(&mut self, filter: &Filter, place: usize) -> Result<(), String> {
        let Some((_, document)) = self.documents.get_mut(place) else { return Err("no such rule".into()) };
        let name = &document.rule.name;
        let Body::Detection(detection) = &mut document.body else {
            return Err(format!("'{name}' is a correlation; a filter applies to the rules that it refers to"));
        };
        if !filter.logsource.covers(&detection.logsource) {
            return Err(format!("the filter is for another logsource than '{name}', so it would never apply to it"));
        }
        detection.filters.push(filter.formula.clone());
        Ok(())
    }

    pub(crate) fn finish(mut self, pipelines: &Pipelines) -> (RuleSet, Vec<RuleError>) {
        self.apply_filters();
        let references = self.resolve();
        let documents = std::mem::take(&mut self.documents);
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
        let mut waiting: Vec<Option<(String, RuleDocument)>> = documents.into_iter().map(Some).collect();
        let mut new_places: HashMap<usize, usize> = HashMap::new();
        let mut set = RuleSet::default();
        // By place in the set: the pipelines' steps that the rule went through.
        let mut steps: Vec<Vec<usize>> = Vec::new();
        for place in order {
            let Some((file, document)) = waiting.get_mut(place).and_then(Option::take) else { continue };
            let places = references.get(place).cloned().flatten().unwrap_or_default();
            let logic = match document.body {
                Body::Detection(detection) => Logic::Detection(detection),
                Body::Correlation(body) => {
                    let rules: Vec<usize> = places.iter().filter_map(|old| new_places.get(old).copied()).collect();
                    if rules.len() != places.len() {
                        let message = "a rule that the correlation refers to was refused".into();
                        self.refuse(&file, body.line, Some(&document.rule.name), message);
                        continue;
                    }
                    match body.resolve(&rules, &set, &Renaming { pipelines, steps: &steps, own: &document.steps }) {
                        Ok(correlation) if correlation.is_about(document.entity) => Logic::Correlation(correlation),
                        Ok(_) => {
                            let message =
                                "the entity of a rule over all bodies must be one of its group-by fields: it is what they have in common";
                            self.refuse(&file, body.line, Some(&document.rule.name), message.into());
                            continue;
                        }
                        Err(error) => {
                            self.refuse(&file, error.line, Some(&document.rule.name), error.message);
                            continue;
                        }
                    }
                }
            };
            new_places.insert(place, set.rules.len());
            steps.push(document.steps);
            set.rules.push(CompiledRule {
                rule: Arc::new(document.rule),
                file,
                line: document.line,
                alerts: !silent.get(place).copied().unwrap_or_default(),
                falsepositives: document.falsepositives,
                metadata: document.metadata,
                content: document.content,
                entity: document.entity,
                logic,
            });
        }
        self.errors.sort();
        self.remarks.sort();
        set.remarks = self.remarks;
        (set, self.errors)
    }

    /// The places each correlation refers to; `None` for one that names an unknown rule.
    fn resolve(&mut self) -> Vec<Option<Vec<usize>>> {
        let (mut all, mut refused) = (Vec::new(), Vec::new());
        for (file, document) in &self.documents {
            let Body::Correlation(body) = &document.body else {
                all.push(Some(Vec::new()));
                continue;
            };
            let places: Option<Vec<usize>> = body.references.iter().map(|(_, name)| self.place_of(name)).collect();
            if let Some((line, name)) = body.references.iter().find(|(_, name)| self.place_of(name).is_none()) {
                refused.push((file.clone(), *line, document.rule.name.clone(), self.unknown("correlation", name)));
            }
            all.push(places);
        }
        for (file, line, rule, message) in refused {
            self.refuse(&file, line, Some(&rule), message);
        }
        all
    }

    /// Detections and correlations so that each stands behind what it refers to; circles are refused.
    fn order(&mut self, documents: &[(String, RuleDocument)], references: &[Option<Vec<usize>>]) -> Vec<usize> {
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
