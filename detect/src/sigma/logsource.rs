//! What a rule's `logsource` means for our records: the one table. A logsource that is not in it is refused, for a
//! rule that waits for records which nobody decodes would look like a watch that is kept.

use ingest::event::ValueRef;
use ingest::fields::{self, FieldId};
use ingest::record::Record;

use super::yaml::Entry;
use super::{CompileError, nearest};

/// A cheap question asked of a record before the rule's detection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Test {
    /// Every record qualifies: the logsource is told by the detection's own fields.
    Every,
    /// One of the fields has the value.
    Is(&'static [FieldId], &'static str),
    /// The field is present.
    Has(FieldId),
}

const MODULE_OR_PROCESS: &[FieldId] = &[fields::EVENT_MODULE, fields::PROCESS_NAME];
const MODULE: &[FieldId] = &[fields::EVENT_MODULE];
const CATEGORY: &[FieldId] = &[fields::EVENT_CATEGORY];
const ACTION: &[FieldId] = &[fields::EVENT_ACTION];

const TABLE: &[(&str, &str, Test)] = &[
    ("product", "flow", Test::Is(ACTION, "network_flow")),
    // Syslog does not say which system a host runs; the service or the fields do.
    ("product", "linux", Test::Every),
    ("product", "fortinet", Test::Is(MODULE, "fortinet")),
    ("product", "netfilter", Test::Is(MODULE_OR_PROCESS, "iptables")),
    ("category", "network_connection", Test::Is(CATEGORY, "network")),
    ("category", "firewall", Test::Is(CATEGORY, "network")),
    ("category", "authentication", Test::Is(CATEGORY, "authentication")),
    ("category", "dns", Test::Has(fields::DNS_QUESTION_NAME)),
    ("category", "webserver", Test::Has(fields::HTTP_METHOD)),
    ("category", "proxy", Test::Has(fields::URL_FULL)),
    ("service", "sshd", Test::Is(MODULE_OR_PROCESS, "sshd")),
    ("service", "sudo", Test::Is(MODULE_OR_PROCESS, "sudo")),
    ("service", "cron", Test::Is(MODULE_OR_PROCESS, "cron")),
    // Who writes to auth.log differs between distributions.
    ("service", "auth", Test::Every),
    ("service", "syslog", Test::Every),
];

impl Test {
    pub(crate) fn holds(self, record: &dyn Record) -> bool {
        match self {
            Self::Every => true,
            Self::Is(fields, wanted) => {
                let is = |value: ValueRef<'_>| matches!(value, ValueRef::Str(text) if text.eq_ignore_ascii_case(wanted));
                fields.iter().any(|field| record.any_value(*field, &mut |value| is(value)))
            }
            Self::Has(field) => record.any_value(field, &mut |_| true),
        }
    }
}

/// The tests of a `logsource` map, all of which must hold.
pub(crate) fn compile(logsource: &Entry) -> Result<Vec<Test>, CompileError> {
    let mut tests = Vec::new();
    for entry in logsource.node.entries() {
        if entry.key == "definition" {
            continue;
        }
        let Some(value) = entry.node.as_str() else {
            return Err(CompileError::at(entry.line, format!("logsource {} must be a text, not {}", entry.key, entry.node.kind())));
        };
        let found = TABLE.iter().find(|(key, name, _)| *key == entry.key && *name == value.to_ascii_lowercase());
        let Some((_, _, test)) = found else {
            let names: Vec<&str> = TABLE.iter().filter(|(key, ..)| *key == entry.key).map(|(_, name, _)| *name).collect();
            let reason = match names.is_empty() {
                true => format!("unknown logsource key '{}'{}", entry.key, nearest(&entry.key, &["product", "category", "service"])),
                false => format!("no records of logsource {} '{value}' are decoded{}", entry.key, nearest(value, &names)),
            };
            return Err(CompileError::at(entry.line, reason));
        };
        if *test != Test::Every {
            tests.push(*test);
        }
    }
    match logsource.node.entries().iter().any(|entry| entry.key != "definition") {
        true => Ok(tests),
        false => Err(CompileError::at(logsource.line, "logsource needs a product, category or service")),
    }
}
