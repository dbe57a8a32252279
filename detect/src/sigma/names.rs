//! The names that rules call fields by, and what else is known while a rule is compiled. Whose names they are is decided
//! where rules are loaded: our own records', so that a typing error is one, or an event's own, whatever they are.

use ingest::fields::{FIELDS, FieldId};

use super::pipeline::Pipelines;
use super::placeholder::Placeholders;
use super::{CompileError, nearest};

/// Whose names a rule set's fields and log sources have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldNames {
    /// Those of decoded records: ECS and what vendors add below their prefix. Any other name is a typing error.
    #[default]
    Decoded,
    /// Those of the events themselves, as public rules have them (`CommandLine`): any name may be right.
    Raw,
}

/// What compiling a rule takes from outside the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) names: FieldNames,
    pub(crate) placeholders: &'a Placeholders,
    pub(crate) pipelines: &'a Pipelines,
}

/// Where vendors' own fields live (`ingest::decode` writes them below these); their names are not checked further.
const VENDOR_PREFIXES: [&str; 26] = [
    "fortinet.",
    "iptables.",
    "sshd.",
    "pam.",
    "kv.",
    "log.syslog.",
    "gelf.",
    "cisco.",
    "panw.",
    "sophos.",
    "checkpoint.",
    "zeek.",
    "suricata.",
    "winlog.",
    "powershell.",
    "iis.",
    "exchange.",
    "microsoft.",
    "windows.",
    "w3c.",
    "panos.",
    "auditd.",
    "systemd.",
    "kernel.",
    "unifi.",
    "strongswan.",
];

impl FieldNames {
    pub(crate) fn field(self, name: &str, line: u64) -> Result<FieldId, CompileError> {
        if let Some(field) = FieldId::find(name).filter(|field| field.known().is_some()) {
            return Ok(field);
        }
        if self == Self::Raw || VENDOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return FieldId::intern(name).ok_or_else(|| CompileError::at(line, format!("no room for another vendor field: '{name}'")));
        }
        let names: Vec<&str> = FIELDS.iter().map(|field| field.name).collect();
        Err(CompileError::at(line, format!("unknown field '{name}'{}", nearest(name, &names))))
    }
}
