//! The duties as data: each a YAML file that says on what legal basis whom a case must be reported to, by when, and what the
//! form asks. The shipped ones are examples; an operator's folder replaces or adds by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chrono::{Days, Months, NaiveDate, TimeZone as _};
use chrono_tz::Europe::Berlin;
use ingest::time::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::incident::Incident;
use crate::playbook::duration_minutes;
use crate::rsit::Rsit;
use crate::rule::Level;

include!(concat!(env!("OUT_DIR"), "/duties.rs"));

/// A file longer than this is no duty.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Questions of one form; the longest shipped one has a dozen.
const FIELDS_MAX: usize = 40;
/// A deadline beyond a year is no reporting duty.
const MINUTES_MAX: i64 = 366 * 24 * 60;
const MONTHS_MAX: u32 = 12;
/// More reminders of one limit are not read any more.
const REMINDERS_MAX: usize = 5;

/// One duty to report.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// Lower-case letters, digits and `_`; the file's name.
    pub name: String,
    pub title: String,
    /// The legal basis, as one cites it.
    pub basis: String,
    /// Who has to report.
    pub by: By,
    pub recipient: Recipient,
    /// What starts the clock.
    pub trigger: Trigger,
    pub within: Within,
    /// How long before the limit somebody is reminded; empty for when a quarter of the time is left.
    #[serde(default)]
    pub remind_before: Vec<Within>,
    /// What a person must answer before it is clear that the duty holds; without it, it holds for every case it applies to.
    #[serde(default)]
    pub question: Option<String>,
    #[serde(default)]
    pub applies_to: Applies,
    #[serde(default)]
    pub valid_from: Option<NaiveDate>,
    /// The last day.
    #[serde(default)]
    pub valid_to: Option<NaiveDate>,
    /// What the form asks, in its order.
    pub form: Vec<Field>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The body that the case happened to.
    Body,
    Cert,
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Recipient {
    pub name: String,
    /// How it is reached: address, portal, telephone.
    pub channel: String,
}

/// What starts a clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// When we knew of the case.
    Aware,
    Opened,
    /// When another duty of the same case was fulfilled.
    Sent(String),
}

/// How long a clock runs: calendar hours, or months of the calendar in Thuringia.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    Minutes(i64),
    Months(u32),
}

/// Which cases it may hold for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Applies {
    /// From this severity up.
    #[serde(default)]
    pub severity: Option<Level>,
    /// RSIT categories or classes; none for all.
    #[serde(default)]
    pub rsit: Vec<String>,
}

/// One question of a form.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    pub key: String,
    pub label: String,
    #[serde(default)]
    pub hint: String,
    /// What of the case answers it, until a person writes something else.
    #[serde(default)]
    pub from: Option<Source>,
    #[serde(default)]
    pub required: bool,
}

/// What a case can answer by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Number,
    Title,
    Body,
    Summary,
    Severity,
    Class,
    FirstActivity,
    Aware,
    Contained,
    Observables,
    Measures,
}

/// What is wrong with a duty's file.
#[derive(Debug, thiserror::Error)]
pub enum DutyError {
    #[error("read duty {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{file}: {message}")]
    Yaml { file: String, message: String },
    #[error("{file}: {key}: {value:?} is not accepted, {wanted}")]
    Key { file: String, key: &'static str, value: String, wanted: &'static str },
    #[error("{file}: trigger: the duty {name:?} that it waits for does not exist")]
    Unknown { file: String, name: String },
}

/// All duties by name.
#[derive(Clone, Debug, Default)]
pub struct Duties(BTreeMap<String, Duty>);

impl Duties {
    /// The shipped ones.
    ///
    /// # Errors
    /// Never in a released program: a test parses them all.
    pub fn embedded() -> Result<Self, Vec<DutyError>> {
        let mut all = Self::default();
        all.add(EMBEDDED.iter().map(|(file, text)| ((*file).to_owned(), duty_parse(file, text))))?;
        Ok(all)
    }

    /// The shipped ones, and over them those of an operator's folder: the same name replaces.
    ///
    /// # Errors
    /// All that is wrong in the folder; nothing of it is used then.
    pub fn with_folder(folder: &Path) -> Result<Self, Vec<DutyError>> {
        let mut all = Self::embedded()?;
        let read = |path: &Path, source| vec![DutyError::Read { path: path.to_owned(), source }];
        let entries = std::fs::read_dir(folder).map_err(|error| read(folder, error))?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(|error| read(folder, error))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
        paths.sort();
        all.add(paths.iter().map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), duty_read(path))))?;
        Ok(all)
    }

    fn add(&mut self, parsed: impl Iterator<Item = (String, Result<Duty, DutyError>)>) -> Result<(), Vec<DutyError>> {
        let mut errors = Vec::new();
        let mut added = Vec::new();
        for (file, duty) in parsed {
            match duty {
                Ok(duty) => {
                    added.push((file, duty.trigger.clone()));
                    self.0.insert(duty.name.clone(), duty);
                }
                Err(error) => errors.push(error),
            }
        }
        for (file, trigger) in added {
            if let Trigger::Sent(name) = trigger
                && !self.0.contains_key(&name)
            {
                errors.push(DutyError::Unknown { file, name });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    pub fn get(&self, name: &str) -> Option<&Duty> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Duty> {
        self.0.values()
    }
}

impl Duty {
    /// Whether it may hold for this case, as the case stands. Triggers are the clocks' affair.
    pub fn fits(&self, incident: &Incident) -> bool {
        let day = incident.detected_at.utc().with_timezone(&Berlin).date_naive();
        let class = incident.rsit.to_string();
        let classes = &self.applies_to.rsit;
        self.valid_from.is_none_or(|from| from <= day)
            && self.valid_to.is_none_or(|to| day <= to)
            && self.applies_to.severity.is_none_or(|least| incident.severity >= least)
            && (classes.is_empty() || classes.iter().any(|known| *known == class || known == incident.rsit.category()))
            && (self.by == By::Cert || incident.body.is_some())
    }
}

impl Within {
    /// The deadline of a clock that started at `from`. A month ends on the same day of the next one, or on its last.
    pub fn due(self, from: Timestamp) -> Timestamp {
        match self {
            Self::Minutes(minutes) => from.plus(minutes * Timestamp::MINUTE),
            Self::Months(months) => {
                let local = from.utc().with_timezone(&Berlin).naive_local();
                let then = local.checked_add_months(Months::new(months)).unwrap_or(local);
                // In the hour that spring leaves out, the hour after it.
                let moment = Berlin.from_local_datetime(&then).latest().or_else(|| {
                    let next = then.checked_add_days(Days::new(0))? + chrono::TimeDelta::hours(1);
                    Berlin.from_local_datetime(&next).latest()
                });
                moment.map_or(from, |moment| Timestamp(moment.timestamp_millis()))
            }
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(minutes) = duration_minutes(text) {
            return (1..=MINUTES_MAX).contains(&minutes).then_some(Self::Minutes(minutes));
        }
        let months = text.strip_prefix('P')?.strip_suffix('M')?.parse().ok()?;
        (1..=MONTHS_MAX).contains(&months).then_some(Self::Months(months))
    }
}

impl std::fmt::Display for Within {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Minutes(minutes) if minutes % 60 == 0 => write!(f, "PT{}H", minutes / 60),
            Self::Minutes(minutes) => write!(f, "PT{minutes}M"),
            Self::Months(months) => write!(f, "P{months}M"),
        }
    }
}

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("{text:?} is no deadline: hours (PT72H), days (P7D) or months (P1M)")))
    }
}

impl Serialize for Within {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Trigger {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "aware" => Ok(Self::Aware),
            "opened" => Ok(Self::Opened),
            other => match other.strip_prefix("sent:") {
                Some(name) if !name.is_empty() => Ok(Self::Sent(name.to_owned())),
                _ => Err(D::Error::custom(format!("{text:?} starts no clock: aware, opened, or sent:NAME of another duty"))),
            },
        }
    }
}

impl Serialize for Trigger {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Aware => serializer.serialize_str("aware"),
            Self::Opened => serializer.serialize_str("opened"),
            Self::Sent(name) => serializer.collect_str(&format_args!("sent:{name}")),
        }
    }
}

fn duty_read(path: &Path) -> Result<Duty, DutyError> {
    let read = |source| DutyError::Read { path: path.to_owned(), source };
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > FILE_BYTES_MAX {
        return Err(DutyError::Key { file, key: "(file)", value: format!("{size} bytes"), wanted: "at most 64 KiB" });
    }
    duty_parse(&file, &std::fs::read_to_string(path).map_err(read)?)
}

/// Parses one duty; `file` is only for the messages.
///
/// # Errors
/// What is wrong with it, with file and line or key.
pub fn duty_parse(file: &str, text: &str) -> Result<Duty, DutyError> {
    let yaml = |error: serde_saphyr::Error| DutyError::Yaml {
        file: file.to_owned(),
        message: error.to_string().lines().next().unwrap_or_default().to_owned(),
    };
    let duty: Duty = serde_saphyr::from_str(text).map_err(yaml)?;
    let wrong = |key, value: &str, wanted| Err(DutyError::Key { file: file.to_owned(), key, value: value.to_owned(), wanted });
    let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !plain(&duty.name) {
        return wrong("name", &duty.name, "lower-case letters, digits and _");
    }
    if let Some(class) = duty.applies_to.rsit.iter().find(|class| class.parse::<Rsit>().is_err()) {
        return wrong("applies_to.rsit", class, "an RSIT class such as information-content-security/data-leak");
    }
    if let Some(month) = duty.remind_before.iter().find(|one| matches!(one, Within::Months(_))) {
        return wrong("remind_before", &month.to_string(), "hours (PT6H) or days (P1D) before the limit");
    }
    if duty.remind_before.len() > REMINDERS_MAX {
        return wrong("remind_before", &format!("{} times", duty.remind_before.len()), "at most 5");
    }
    if duty.form.is_empty() || duty.form.len() > FIELDS_MAX {
        return wrong("form", &format!("{} questions", duty.form.len()), "1 to 40");
    }
    let mut keys: Vec<&str> = duty.form.iter().map(|field| field.key.as_str()).collect();
    keys.sort_unstable();
    if let Some(twice) = keys.windows(2).find_map(|pair| (pair.first() == pair.last()).then(|| pair.first().copied()).flatten()) {
        return wrong("form", twice, "each key once");
    }
    if let Some(bad) = keys.iter().find(|key| !plain(key)) {
        return wrong("form", bad, "keys of lower-case letters, digits and _");
    }
    if matches!(&duty.trigger, Trigger::Sent(name) if *name == duty.name) {
        return wrong("trigger", &duty.name, "another duty than itself");
    }
    if let (Some(from), Some(to)) = (duty.valid_from, duty.valid_to)
        && to < from
    {
        return wrong("valid_to", &to.to_string(), "a day not before valid_from");
    }
    Ok(duty)
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const GOOD: &str = "
name: probe
title: Probe
basis: § 1
by: body
recipient: {name: Amt, channel: Portal}
trigger: aware
within: PT72H
applies_to: {severity: high, rsit: [intrusions]}
valid_from: 2026-01-01
form:
  - {key: what, label: Was, from: summary, required: true}
";

    #[expect(clippy::needless_pass_by_value, reason = "the usual shape of an expect table")]
    fn check(replace: &str, with: &str, expected: Expect) {
        assert!(GOOD.contains(replace), "{replace}");
        let result = duty_parse("probe.yml", &GOOD.replace(replace, with));
        expected.assert_eq(&result.map_or_else(|error| error.to_string(), |duty| format!("ok {}", duty.within)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        check("PT72H", "PT72H", expect!["ok PT72H"]);
        check("PT72H", "P1M", expect!["ok P1M"]);
        check("PT72H", "PT72H\nremind_before: [P1D, PT6H]", expect!["ok PT72H"]);
        check(
            "PT72H",
            "PT72H\nremind_before: [P1M]",
            expect![[r#"probe.yml: remind_before: "P1M" is not accepted, hours (PT6H) or days (P1D) before the limit"#]],
        );
        check("PT72H", "P7D", expect!["ok PT168H"]);
        check(
            "PT72H",
            "drei Tage",
            expect![[r#"probe.yml: error: line 8 column 9: "drei Tage" is no deadline: hours (PT72H), days (P7D) or months (P1M)"#]],
        );
        check(
            "aware",
            "sent:",
            expect![[r#"probe.yml: error: line 7 column 10: "sent" starts no clock: aware, opened, or sent:NAME of another duty"#]],
        );
        check("by: body", "by: mayor", expect!["probe.yml: error: line 5 column 5: unknown variant `mayor`, expected one of body, cert"]);
        check(
            "title: Probe",
            "titel: Probe",
            expect![
                "probe.yml: error: line 3 column 1: unknown field `titel`, expected one of name, title, basis, by, recipient, trigger, within, remind_before, question, applies_to, valid_from, valid_to, form"
            ],
        );
        check(
            "[intrusions]",
            "[Einbruch]",
            expect![[
                r#"probe.yml: applies_to.rsit: "Einbruch" is not accepted, an RSIT class such as information-content-security/data-leak"#
            ]],
        );
        check("name: probe", "name: Pröbe", expect![[r#"probe.yml: name: "Pröbe" is not accepted, lower-case letters, digits and _"#]]);
        check("aware", "sent:probe", expect![[r#"probe.yml: trigger: "probe" is not accepted, another duty than itself"#]]);
        check(
            "valid_from: 2026-01-01",
            "valid_from: 2026-01-01\nvalid_to: 2025-01-01",
            expect![[r#"probe.yml: valid_to: "2025-01-01" is not accepted, a day not before valid_from"#]],
        );
        check(
            "form:\n",
            "form:\n  - {key: what, label: Nochmal}\n",
            expect![[r#"probe.yml: form: "what" is not accepted, each key once"#]],
        );
        check(
            "form:\n  - {key: what, label: Was, from: summary, required: true}\n",
            "form: []\n",
            expect![[r#"probe.yml: form: "0 questions" is not accepted, 1 to 40"#]],
        );
    }

    #[test]
    fn deadlines_are_calendar_hours_and_calendar_months() {
        let due = |within: &str, from: &str| {
            let from = Timestamp::parse_rfc3339(from).unwrap();
            Within::parse(within).unwrap().due(from).utc().with_timezone(&Berlin).to_rfc3339()
        };
        // Hours are hours, also over the night in which the clock is set back.
        assert_eq!(due("PT24H", "2026-10-24T12:00:00+02:00"), "2026-10-25T11:00:00+01:00");
        assert_eq!(due("P1M", "2026-01-31T09:30:00+01:00"), "2026-02-28T09:30:00+01:00");
        assert_eq!(due("P1M", "2026-03-10T08:00:00+01:00"), "2026-04-10T08:00:00+02:00");
        // Half past two did not exist on the day the clock is set forward.
        assert_eq!(due("P1M", "2026-02-28T02:30:00+01:00"), "2026-03-28T02:30:00+01:00");
        assert_eq!(due("P1M", "2027-02-28T02:30:00+01:00"), "2027-03-28T03:30:00+02:00");
        for wrong in ["P0M", "P13M", "PT0H", "P400D", "P1Y", "PM", ""] {
            assert!(Within::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_shipped_ones_are_read_and_named_as_their_files() {
        let all = Duties::embedded().unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(all.iter().count(), EMBEDDED.len());
        for duty in all.iter() {
            assert!(EMBEDDED.iter().any(|(file, _)| *file == format!("{}.yml", duty.name)), "{}", duty.name);
        }
    }

    #[test]
    fn a_duty_that_waits_for_one_that_there_is_not_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yml"), GOOD.replace("aware", "sent:nowhere")).unwrap();
        let errors = Duties::with_folder(folder.path()).unwrap_err();
        assert_eq!(
            errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["a.yml: trigger: the duty \"nowhere\" that it waits for does not exist"]
        );
        std::fs::write(folder.path().join("b.yml"), GOOD.replace("name: probe", "name: nowhere")).unwrap();
        assert!(Duties::with_folder(folder.path()).unwrap().get("nowhere").is_some());
    }
}
