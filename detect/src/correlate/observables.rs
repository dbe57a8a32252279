//! What a finding tells of the records behind it: field names to values, each bounded.

use std::collections::BTreeMap;

use ingest::fields::FieldId;
use ingest::record::Record;
use serde::{Deserialize, Serialize};

/// Values kept per observable and group.
const OBSERVABLE_VALUES_MAX: usize = 20;
/// A longer value is cut: observables are for reading and grouping.
const OBSERVABLE_BYTES_MAX: usize = 256;

/// Field names to values, each bounded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, Vec<String>>")]
pub(crate) struct Observables(pub(crate) BTreeMap<&'static str, Vec<String>>);

impl From<BTreeMap<String, Vec<String>>> for Observables {
    fn from(saved: BTreeMap<String, Vec<String>>) -> Self {
        Self(saved.into_iter().filter_map(|(name, values)| Some((FieldId::intern(&name)?.name(), values))).collect())
    }
}

impl Observables {
    /// Adds values that somebody has read already.
    pub(crate) fn merge(&mut self, field: &'static str, more: &[String]) {
        let values = self.0.entry(field).or_default();
        for value in more {
            if values.len() < OBSERVABLE_VALUES_MAX && !values.contains(value) {
                values.push(value.clone());
            }
        }
    }

    /// Adds what `record` says of `fields`.
    pub(crate) fn add(&mut self, record: &dyn Record, fields: impl Iterator<Item = FieldId>) {
        for field in fields {
            record.any_value(field, &mut |value| {
                let values = self.0.entry(field.name()).or_default();
                if values.len() >= OBSERVABLE_VALUES_MAX {
                    return true;
                }
                let text = value.text();
                let text = text.get(..text.floor_char_boundary(OBSERVABLE_BYTES_MAX)).unwrap_or_default();
                if !values.iter().any(|known| known == text) {
                    values.push(text.to_owned());
                }
                false
            });
        }
    }
}
