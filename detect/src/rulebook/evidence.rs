//! The evidence beside the operator's own rules, run whenever the rules are read: what must set a rule off, and what must
//! not. The shipped rules' evidence is run where the program is built.

use std::collections::BTreeMap;
use std::path::Path;

use crate::pack::folder_test;
use crate::sigma::{CompiledRule, RuleSet};

/// Rules whose evidence is run at each reading: milliseconds each.
const RULES_MAX: usize = 1_000;

/// How a rule stood up to its evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// What is wrong; empty where all is well.
    pub failures: Vec<String>,
}

/// Runs what there is, for the rules that are not shipped.
pub(super) fn evidence_run(set: &RuleSet, own: impl Fn(&CompiledRule) -> bool) -> BTreeMap<String, Evidence> {
    let folder_of = |compiled: &CompiledRule| {
        let folder = Path::new(&compiled.file).parent()?;
        let named = folder.file_name().is_some_and(|name| *name == *compiled.rule.name);
        (named && ["hit.ndjson", "hit.log"].iter().any(|file| folder.join(file).is_file())).then(|| folder.to_owned())
    };
    let mut all = BTreeMap::new();
    for compiled in set.rules().iter().filter(|compiled| own(compiled)) {
        let Some(folder) = folder_of(compiled) else { continue };
        if all.len() >= RULES_MAX {
            break;
        }
        // Of thousands of rules only this one has to be asked.
        let test = folder_test(&set.only(std::slice::from_ref(&compiled.rule.name)), &folder, &[compiled]);
        all.insert(compiled.rule.name.clone(), Evidence { failures: test.failures });
    }
    all
}
