//! What a rule says to this program alone, below `wartburg:`: its RSIT class, its playbook, whom its findings are about,
//! whether it alerts, whether it looks over all bodies.

use ingest::fields::{self, FieldId, Kind as FieldKind};

use super::names::FieldNames;
use super::yaml::{Node, Value};
use super::{CompileError, nearest};
use crate::correlate::Reach;

/// The reference incident classification, `category/type`; the names are those of its machine-readable form.
pub(crate) const RSIT: [&str; 39] = [
    "abusive-content/spam",
    "abusive-content/harmful-speech",
    "abusive-content/violence",
    "malicious-code/infected-system",
    "malicious-code/c2-server",
    "malicious-code/malware-distribution",
    "malicious-code/malware-configuration",
    "information-gathering/scanner",
    "information-gathering/sniffing",
    "information-gathering/social-engineering",
    "intrusion-attempts/ids-alert",
    "intrusion-attempts/brute-force",
    "intrusion-attempts/exploit",
    "intrusions/privileged-account-compromise",
    "intrusions/unprivileged-account-compromise",
    "intrusions/application-compromise",
    "intrusions/system-compromise",
    "intrusions/burglary",
    "availability/dos",
    "availability/ddos",
    "availability/misconfiguration",
    "availability/sabotage",
    "availability/outage",
    "information-content-security/unauthorised-information-access",
    "information-content-security/unauthorised-information-modification",
    "information-content-security/data-loss",
    "information-content-security/data-leak",
    "fraud/unauthorised-use-of-resources",
    "fraud/copyright",
    "fraud/masquerade",
    "fraud/phishing",
    "vulnerable/weak-crypto",
    "vulnerable/ddos-amplifier",
    "vulnerable/potentially-unwanted-accessible",
    "vulnerable/information-disclosure",
    "vulnerable/vulnerable-system",
    "other/uncategorised",
    "other/undetermined",
    "test/test",
];
/// The class of a rule that names none, such as a public one.
const RSIT_DEFAULT: &str = "other/undetermined";

const WARTBURG_KEYS: [&str; 5] = ["rsit", "playbook", "entity", "alert", "scope"];
const SCOPES: [&str; 2] = ["site", "state"];

/// Which field names the entity of a rule's findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntityField {
    Site,
    Field(FieldId),
}

/// Our own attributes, below `wartburg:`.
#[derive(Debug)]
pub(crate) struct Attributes {
    pub(crate) rsit: String,
    pub(crate) playbook: Option<String>,
    pub(crate) entity: EntityField,
    /// `false`: the rule only feeds correlations.
    pub(crate) alert: bool,
    pub(crate) reach: Reach,
    /// Where `scope` stands, if it does.
    pub(crate) reach_line: Option<u64>,
}

impl Attributes {
    pub(crate) fn read(node: &Node, names: FieldNames) -> Result<Self, CompileError> {
        let mut all = Self {
            rsit: RSIT_DEFAULT.into(),
            playbook: None,
            entity: EntityField::Field(fields::SOURCE_IP),
            alert: true,
            reach: Reach::default(),
            reach_line: None,
        };
        let Some(own) = node.get("wartburg") else { return Ok(all) };
        for entry in own.node.entries() {
            match (entry.key.as_str(), &entry.node.value) {
                ("rsit", Value::Str(class)) if RSIT.contains(&class.as_str()) => all.rsit.clone_from(class),
                ("rsit", Value::Str(class)) => {
                    return Err(CompileError::at(entry.line, format!("unknown RSIT class '{class}'{}", nearest(class, &RSIT))));
                }
                ("playbook", Value::Str(name)) => all.playbook = Some(name.clone()),
                ("entity", Value::Str(name)) => all.entity = entity(name, entry.line, names)?,
                ("alert", Value::Bool(alert)) => all.alert = *alert,
                ("scope", Value::Str(scope)) => {
                    all.reach_line = Some(entry.line);
                    all.reach = match scope.as_str() {
                        "site" => Reach::Site,
                        "state" => Reach::State,
                        _ => return Err(CompileError::at(entry.line, format!("unknown scope '{scope}'{}", nearest(scope, &SCOPES)))),
                    };
                }
                (key, _) if WARTBURG_KEYS.contains(&key) => {
                    return Err(CompileError::at(entry.line, format!("wartburg {key} cannot be {}", entry.node.kind())));
                }
                (key, _) => {
                    return Err(CompileError::at(entry.line, format!("unknown wartburg key '{key}'{}", nearest(key, &WARTBURG_KEYS))));
                }
            }
        }
        Ok(all)
    }
}

fn entity(name: &str, line: u64, names: FieldNames) -> Result<EntityField, CompileError> {
    if name == "site" {
        return Ok(EntityField::Site);
    }
    let field = names.field(name, line)?;
    let address = field.known().is_some_and(|known| known.kind == FieldKind::Ip);
    match address || EntityField::is_host(field) || EntityField::is_user(field) || EntityField::is_indicator(field) {
        true => Ok(EntityField::Field(field)),
        false => Err(CompileError::at(line, format!("'{name}' names no address, host, account or indicator, so it cannot be the entity"))),
    }
}

const ENTITY_HOSTS: [FieldId; 2] = [fields::HOST_NAME, fields::OBSERVER_NAME];
const ENTITY_USERS: [FieldId; 4] = [fields::USER_NAME, fields::USER_TARGET_NAME, fields::USER_EFFECTIVE_NAME, fields::SOURCE_USER_NAME];

const ENTITY_INDICATORS: [FieldId; 10] = [
    fields::THREAT_INDICATOR,
    fields::FILE_HASH_MD5,
    fields::FILE_HASH_SHA1,
    fields::FILE_HASH_SHA256,
    fields::PROCESS_HASH_MD5,
    fields::PROCESS_HASH_SHA1,
    fields::PROCESS_HASH_SHA256,
    fields::EMAIL_FROM,
    fields::URL_DOMAIN,
    fields::DNS_QUESTION_NAME,
];

impl EntityField {
    pub(crate) fn is_indicator(field: FieldId) -> bool {
        ENTITY_INDICATORS.contains(&field)
    }

    pub(crate) fn is_host(field: FieldId) -> bool {
        ENTITY_HOSTS.contains(&field)
    }

    pub(crate) fn is_user(field: FieldId) -> bool {
        ENTITY_USERS.contains(&field)
    }
}
