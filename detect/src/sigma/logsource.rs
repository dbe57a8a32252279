//! What a rule's `logsource` means for our records: the one table. A logsource that is not in it is refused, for a
//! rule that waits for records which nobody decodes would look like a watch that is kept. With an event's own field
//! names it is other: there whoever gives the events says where they are from, and a logsource only rules out what an
//! event says itself.

use ingest::event::ValueRef;
use ingest::fields::{self, FieldId};
use ingest::record::Record;

use super::names::FieldNames;
use super::yaml::Entry;
use super::{CompileError, nearest, windows};

/// Where a rule's records come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logsource {
    /// In the order of `KEYS`, lower case.
    words: [Option<String>; 3],
    /// All must hold.
    tests: Vec<Test>,
}

pub(super) const KEYS: [&str; 3] = ["product", "category", "service"];
/// Words for people; they change nothing.
const NOTES: [&str; 2] = ["definition", "description"];

/// Categories without a product whose lines are in no Windows event log: their keywords would be found there by chance.
const NEVER_WINDOWS: [&str; 3] = ["database", "proxy", "webserver"];

/// A cheap question asked of a record before the rule's detection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    /// Every record qualifies: the logsource is told by the detection's own fields.
    Every,
    /// One of the fields has the value.
    Is(&'static [FieldId], &'static str),
    /// The field is present.
    Has(FieldId),
    /// As `Is`, but a record that has none of the fields qualifies too.
    IsIfTold(&'static [FieldId], &'static str),
    /// A record of a Windows event log must be of one of these; any other record qualifies.
    Windows(Vec<windows::Log>),
    /// The record must be of one of these Windows event logs.
    WindowsLog(Vec<windows::Log>),
}

const MODULE_OR_PROCESS: &[FieldId] = &[fields::EVENT_MODULE, fields::PROCESS_NAME];
const MODULE: &[FieldId] = &[fields::EVENT_MODULE];
const CATEGORY: &[FieldId] = &[fields::EVENT_CATEGORY];
const ACTION: &[FieldId] = &[fields::EVENT_ACTION];

const TABLE: &[(&str, &str, Test)] = &[
    ("product", "flow", Test::Is(ACTION, "network_flow")),
    // Syslog does not say which system a host runs; the service or the fields do.
    ("product", "linux", Test::Every),
    ("product", "windows", Test::Is(MODULE, "windows")),
    ("product", "fortinet", Test::Is(MODULE, "fortinet")),
    ("product", "cisco", Test::Is(MODULE, "cisco")),
    ("product", "netfilter", Test::Is(MODULE_OR_PROCESS, "iptables")),
    ("product", "paloalto", Test::Is(MODULE, "panos")),
    ("product", "zeek", Test::Is(MODULE, "zeek")),
    ("category", "network_connection", Test::Is(CATEGORY, "network")),
    ("category", "firewall", Test::Is(CATEGORY, "network")),
    ("category", "authentication", Test::Is(CATEGORY, "authentication")),
    ("category", "antivirus", Test::Is(CATEGORY, "malware")),
    // Whatever its maker builds: the product says what it is.
    ("category", "appliance", Test::Every),
    // What Sigma has no words for.
    ("category", "configuration", Test::Is(CATEGORY, "configuration")),
    ("category", "email", Test::Is(CATEGORY, "email")),
    ("category", "intrusion_detection", Test::Is(CATEGORY, "intrusion_detection")),
    ("category", "dns", Test::Has(fields::DNS_QUESTION_NAME)),
    ("category", "webserver", Test::Has(fields::HTTP_METHOD)),
    ("category", "proxy", Test::Has(fields::URL_FULL)),
    ("service", "auditd", Test::Is(MODULE, "auditd")),
    ("service", "apache", Test::Is(MODULE, "apache")),
    ("service", "nginx", Test::Is(MODULE, "nginx")),
    ("service", "sshd", Test::Is(MODULE_OR_PROCESS, "sshd")),
    ("service", "sudo", Test::Is(MODULE_OR_PROCESS, "sudo")),
    ("service", "cron", Test::Is(MODULE_OR_PROCESS, "cron")),
    // FortiGate's kinds of logs, Cisco's services: their rules name fields or words that no other has.
    ("service", "event", Test::Every),
    ("service", "globalprotect", Test::Every),
    ("service", "aaa", Test::Every),
    ("service", "bgp", Test::Every),
    ("service", "ldp", Test::Every),
    // Who writes to auth.log differs between distributions.
    ("service", "auth", Test::Every),
    ("service", "syslog", Test::Every),
];

const DATASET: &[FieldId] = &[fields::EVENT_DATASET];

/// Zeek's logs, each a service of its own; the names are other products' too.
const ZEEK: &[(&str, &str)] = &[
    ("conn", "zeek.connection"),
    ("dce_rpc", "zeek.dce_rpc"),
    ("dhcp", "zeek.dhcp"),
    ("dns", "zeek.dns"),
    ("files", "zeek.files"),
    ("http", "zeek.http"),
    ("kerberos", "zeek.kerberos"),
    ("notice", "zeek.notice"),
    ("ntlm", "zeek.ntlm"),
    ("rdp", "zeek.rdp"),
    ("smb_files", "zeek.smb_files"),
    ("smb_mapping", "zeek.smb_mapping"),
    ("smtp", "zeek.smtp"),
    ("ssh", "zeek.ssh"),
    ("ssl", "zeek.ssl"),
    ("weird", "zeek.weird"),
    ("x509", "zeek.x509"),
];

impl Test {
    fn holds(&self, record: &dyn Record) -> bool {
        match self {
            Self::Every => true,
            Self::Is(fields, wanted) => is_one_of(fields, wanted, record),
            Self::Has(field) => record.any_value(*field, &mut |_| true),
            Self::IsIfTold(fields, wanted) => {
                let told = fields.iter().any(|field| record.any_value(*field, &mut |_| true));
                !told || is_one_of(fields, wanted, record)
            }
            Self::Windows(logs) => !windows::is_event(record, FieldNames::Raw) || logs.iter().any(|log| log.wrote(record, FieldNames::Raw)),
            Self::WindowsLog(logs) => logs.iter().any(|log| log.wrote(record, FieldNames::Decoded)),
        }
    }
}

/// A category that only Windows' event logs have; the others may be of any system.
fn is_of_windows_alone(category: &str) -> bool {
    windows::logs_of_category(category).is_some() && !TABLE.iter().any(|(key, word, _)| *key == "category" && *word == category)
}

fn is_one_of(fields: &[FieldId], wanted: &str, record: &dyn Record) -> bool {
    let is = |value: ValueRef<'_>| matches!(value, ValueRef::Str(text) if text.eq_ignore_ascii_case(wanted));
    fields.iter().any(|field| record.any_value(*field, &mut |value| is(value)))
}

impl Logsource {
    pub(crate) fn compile(entry: &Entry, names: FieldNames) -> Result<Self, CompileError> {
        let mut source = Self::read(entry)?;
        source.tests = match names {
            FieldNames::Decoded => source.tests_of_decoded(entry)?,
            FieldNames::Raw => source.tests_of_raw(),
        };
        Ok(source)
    }

    /// The words alone, for a filter, which asks rules and not records for them.
    pub(crate) fn read(entry: &Entry) -> Result<Self, CompileError> {
        let mut source = Self::default();
        for part in entry.node.entries().iter().filter(|part| !NOTES.contains(&part.key.as_str())) {
            let place = KEYS.iter().position(|key| *key == part.key);
            let Some(word) = place.and_then(|place| source.words.get_mut(place)) else {
                return Err(CompileError::at(part.line, format!("unknown logsource key '{}'{}", part.key, nearest(&part.key, &KEYS))));
            };
            let Some(text) = part.node.as_str() else {
                return Err(CompileError::at(part.line, format!("logsource {} must be a text, not {}", part.key, part.node.kind())));
            };
            *word = Some(text.to_ascii_lowercase());
        }
        match source.words.iter().any(Option::is_some) {
            true => Ok(source),
            false => Err(CompileError::at(entry.line, "logsource needs a product, category or service")),
        }
    }

    pub(crate) fn holds(&self, record: &dyn Record) -> bool {
        self.tests.iter().all(|test| test.holds(record))
    }

    /// Fields and words of which a record must have one; `""` for any value. `None` where it may have none.
    pub(crate) fn alternatives(&self) -> Option<impl Iterator<Item = (FieldId, &'static str)>> {
        self.tests.iter().find_map(|test| match test {
            Test::Is(fields, wanted) => Some(fields.iter().map(|field| (*field, *wanted)).collect::<Vec<_>>().into_iter()),
            Test::Has(field) => Some(vec![(*field, "")].into_iter()),
            Test::WindowsLog(logs) => {
                let channel = windows::channel(FieldNames::Decoded)?;
                Some(logs.iter().map(|log| (channel, log.channel())).collect::<Vec<_>>().into_iter())
            }
            Test::Every | Test::IsIfTold(..) | Test::Windows(_) => None,
        })
    }

    /// Whether it contradicts none of these, in the order of `KEYS`: what either does not say may be anything.
    pub(crate) fn takes(&self, told: [Option<&str>; 3]) -> bool {
        self.words.iter().zip(told).all(|(own, told)| own.is_none() || told.is_none() || own.as_deref() == told)
    }

    /// Whether a filter for this logsource is meant for a rule of the other: what it names, the rule has too.
    pub(crate) fn covers(&self, rule: &Self) -> bool {
        self.words.iter().zip(&rule.words).all(|(own, its)| own.is_none() || own == its)
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        KEYS.into_iter().zip(&self.words).filter_map(|(key, word)| Some((key, word.as_deref()?)))
    }

    fn tests_of_decoded(&self, entry: &Entry) -> Result<Vec<Test>, CompileError> {
        let mut tests = Vec::new();
        let [product, category, _] = self.words.each_ref().map(Option::as_deref);
        let windows = product == Some("windows") || (product.is_none() && category.is_some_and(is_of_windows_alone));
        let logs_of = |(key, word): (&str, &str)| match key {
            "category" => windows::logs_of_category(word).filter(|_| windows),
            "service" => windows::logs_of_service(word).filter(|_| windows),
            _ => None,
        };
        for (key, word) in self.words() {
            if let Some(logs) = logs_of((key, word)) {
                tests.push(Test::WindowsLog(logs));
                continue;
            }
            let zeek = ZEEK.iter().filter(|_| key == "service" && product == Some("zeek"));
            if let Some((_, dataset)) = zeek.clone().find(|(log, _)| *log == word) {
                tests.push(Test::Is(DATASET, dataset));
                continue;
            }
            let Some((_, _, test)) = TABLE.iter().find(|(known, name, _)| *known == key && *name == word) else {
                let of_table = TABLE.iter().filter(|(known, ..)| *known == key).map(|(_, name, _)| *name);
                let names: Vec<&str> = of_table.chain(zeek.map(|(log, _)| *log)).collect();
                let line = entry.node.get(key).map_or(entry.line, |part| part.line);
                let written = entry.node.get(key).and_then(|part| part.node.as_str()).unwrap_or(word);
                let reason = format!("no records of logsource {key} '{written}' are decoded{}", nearest(word, &names));
                return Err(CompileError::at(line, reason));
            };
            tests.push(test.clone());
        }
        tests.retain(|test| *test != Test::Every);
        Ok(tests)
    }

    fn tests_of_raw(&self) -> Vec<Test> {
        let [product, category, service] = self.words.each_ref().map(Option::as_deref);
        let mut tests = Vec::new();
        let elsewhere = category.is_some_and(|category| NEVER_WINDOWS.contains(&category));
        if product.map_or(elsewhere, |product| product != "windows") {
            tests.push(Test::Windows(Vec::new()));
        } else {
            let logs = category.and_then(windows::logs_of_category);
            tests.extend(logs.map(Test::Windows));
            let logs = service.filter(|_| product.is_some()).and_then(windows::logs_of_service);
            tests.extend(logs.map(Test::Windows));
        }
        for (key, word) in self.words() {
            // What only we say of a record (that a field of ours is there) says nothing of a raw event.
            if let Some((_, _, Test::Is(fields, wanted))) = TABLE.iter().find(|(known, name, _)| *known == key && *name == word) {
                tests.push(Test::IsIfTold(fields, wanted));
            }
        }
        tests
    }
}
