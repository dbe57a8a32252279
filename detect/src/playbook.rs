//! Playbooks: what a kind of incident means, how to check it, and which containment is recommended, in German, as
//! YAML that an operator can read and replace. Parsing says which file, key and value it did not like.

pub mod cacao;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

/// The playbook of whatever has none of its own.
pub const GENERAL: &str = "allgemein";

include!(concat!(env!("OUT_DIR"), "/playbooks.rs"));

/// A file longer than this is no playbook: people have to read it at two in the morning.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const TEXT_CHARS_MAX: usize = 2_000;
/// A recommendation of more steps is not followed.
pub(crate) const STEPS_MAX: usize = 20;
/// A step that takes longer than a quarter of a year is a project.
const WITHIN_MINUTES_MAX: i64 = 90 * 24 * 60;

/// One playbook.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Playbook {
    pub name: String,
    pub title: String,
    /// Short names of rules, and RSIT classes or categories, that it is for.
    pub rules: Vec<String>,
    pub rsit: Vec<String>,
    /// What it means when this happens: for people who do not read logs every day.
    pub meaning: String,
    /// How an analyst finds out whether it is true.
    pub check: Vec<String>,
    /// What the body is asked to do.
    pub steps: Vec<PlaybookStep>,
    /// When who is reminded of a recommendation that nobody answers.
    pub reminders: Reminding,
}

/// Minutes: until nothing heard of a recommendation at all is too long, and from each reminder to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reminding {
    /// From sending to the first reminder, where no step's limit comes earlier.
    pub seen: i64,
    /// From the reminder until the deputy and the provider are told.
    pub escalate: i64,
    /// From there until the analyst rings up.
    pub overdue: i64,
}

impl Default for Reminding {
    /// Half a working day, and a quarter of one for each further person.
    fn default() -> Self {
        Self { seen: 4 * 60, escalate: 2 * 60, overdue: 2 * 60 }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaybookStep {
    pub text: String,
    /// Counted from the moment the recommendation is sent.
    pub within_minutes: i64,
    /// How the body can tell that it worked.
    pub confirm: String,
}

/// What is wrong with a playbook. A folder gives all of them at once.
#[derive(Debug, thiserror::Error)]
pub enum PlaybookError {
    #[error("read playbook {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{file}: not YAML: {message}")]
    Yaml { file: String, message: String },
    #[error("{file}: {key}: {value} is not accepted, {wanted}")]
    Key { file: String, key: String, value: String, wanted: String },
}

/// All playbooks by name.
#[derive(Clone, Debug, Default)]
pub struct Playbooks(BTreeMap<String, Playbook>);

impl Playbooks {
    /// The shipped ones.
    ///
    /// # Errors
    /// Never in a released program: a test parses them all.
    pub fn embedded() -> Result<Self, Vec<PlaybookError>> {
        let mut all = Self::default();
        all.add(EMBEDDED.iter().map(|(file, text)| playbook_parse(file, text)))?;
        Ok(all)
    }

    /// The shipped ones, and over them those of an operator's folder: the same name replaces.
    ///
    /// # Errors
    /// All that is wrong in the folder; nothing of it is used then.
    pub fn with_folder(folder: &Path) -> Result<Self, Vec<PlaybookError>> {
        let mut all = Self::embedded()?;
        let read = |path: &Path, source| vec![PlaybookError::Read { path: path.to_owned(), source }];
        let entries = std::fs::read_dir(folder).map_err(|error| read(folder, error))?;
        let mut paths: Vec<PathBuf> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(|error| read(folder, error))?;
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml"));
        paths.sort();
        all.add(paths.iter().map(|path| playbook_read(path)))?;
        Ok(all)
    }

    fn add(&mut self, parsed: impl Iterator<Item = Result<Playbook, Vec<PlaybookError>>>) -> Result<(), Vec<PlaybookError>> {
        let mut errors = Vec::new();
        for playbook in parsed {
            match playbook {
                Ok(playbook) => {
                    self.0.insert(playbook.name.clone(), playbook);
                }
                Err(wrong) => errors.extend(wrong),
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    pub fn get(&self, name: &str) -> Option<&Playbook> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Playbook> {
        self.0.values()
    }

    /// The playbook for a rule: the one it names, else one that names it, else one for its class, its category, else
    /// the general one.
    pub fn choose(&self, rule_name: &str, named: Option<&str>, rsit: &str) -> Option<&Playbook> {
        let category = rsit.split('/').next().unwrap_or_default();
        let for_class = |class: &str| self.iter().find(|playbook| playbook.rsit.iter().any(|known| known == class));
        named
            .and_then(|name| self.get(name))
            .or_else(|| self.iter().find(|playbook| playbook.rules.iter().any(|known| known == rule_name)))
            .or_else(|| for_class(rsit))
            .or_else(|| for_class(category))
            .or_else(|| self.get(GENERAL))
    }
}

fn playbook_read(path: &Path) -> Result<Playbook, Vec<PlaybookError>> {
    let read = |source| vec![PlaybookError::Read { path: path.to_owned(), source }];
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let size = std::fs::metadata(path).map_err(read)?.len();
    if size > FILE_BYTES_MAX {
        let wanted = format!("at most {FILE_BYTES_MAX} bytes");
        return Err(vec![PlaybookError::Key { file: file.into_owned(), key: "(file)".into(), value: format!("{size} bytes"), wanted }]);
    }
    playbook_parse(&file, &std::fs::read_to_string(path).map_err(read)?)
}

/// Parses one playbook; `file` is only for the messages.
///
/// # Errors
/// Everything that is wrong with it, each with file, key, value and what is accepted.
pub fn playbook_parse(file: &str, text: &str) -> Result<Playbook, Vec<PlaybookError>> {
    let yaml = |message: String| vec![PlaybookError::Yaml { file: file.to_owned(), message }];
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| yaml(error.to_string().lines().next().unwrap_or_default().to_owned()))?;
    let Value::Object(map) = value else { return Err(yaml("a playbook is a map of keys".into())) };
    let mut reader = Reader { file, errors: Vec::new() };
    reader.known("", &map, &["name", "title", "applies_to", "meaning", "check", "steps", "reminders"]);
    let applies = reader.map(&map, "applies_to");
    reader.known("applies_to.", &applies, &["rules", "rsit"]);
    let playbook = Playbook {
        name: reader.text("", &map, "name"),
        title: reader.text("", &map, "title"),
        rules: reader.texts("applies_to.", &applies, "rules", false),
        rsit: reader.texts("applies_to.", &applies, "rsit", false),
        meaning: reader.text("", &map, "meaning"),
        check: reader.texts("", &map, "check", true),
        steps: reader.steps(&map),
        reminders: reader.reminders(&map),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !playbook.name.chars().all(plain) {
        reader.wrong("name", playbook.name.clone(), "lower-case letters, digits and _ (such as ssh_bruteforce)");
    }
    for (n, class) in playbook.rsit.iter().enumerate() {
        if class.parse::<crate::rsit::Rsit>().is_err() {
            reader.wrong(&format!("applies_to.rsit[{n}]"), class.clone(), "an RSIT class such as intrusion-attempts/brute-force");
        }
    }
    if reader.errors.is_empty() { Ok(playbook) } else { Err(reader.errors) }
}

/// Reads keys of the YAML's map and collects what is wrong with them.
struct Reader<'a> {
    file: &'a str,
    errors: Vec<PlaybookError>,
}

impl Reader<'_> {
    fn wrong(&mut self, key: &str, value: String, wanted: &str) {
        let value = if value.is_empty() { "nothing".into() } else { format!("{:?}", value.chars().take(80).collect::<String>()) };
        self.errors.push(PlaybookError::Key { file: self.file.to_owned(), key: key.to_owned(), value, wanted: wanted.to_owned() });
    }

    fn known(&mut self, prefix: &str, map: &Map<String, Value>, known: &[&str]) {
        for key in map.keys().filter(|key| !known.contains(&key.as_str())) {
            let nearest = known.iter().min_by_key(|known| distance(known, key)).copied().unwrap_or_default();
            let wanted = format!("there is no such key, did you mean {nearest:?}? Known: {}", known.join(", "));
            self.wrong(&format!("{prefix}{key}"), map.get(key).map(shown).unwrap_or_default(), &wanted);
        }
    }

    fn map(&mut self, map: &Map<String, Value>, key: &str) -> Map<String, Value> {
        match map.get(key) {
            None => Map::new(),
            Some(Value::Object(inner)) => inner.clone(),
            Some(other) => {
                self.wrong(key, shown(other), "a map of keys");
                Map::new()
            }
        }
    }

    fn text(&mut self, prefix: &str, map: &Map<String, Value>, key: &str) -> String {
        self.text_of(&format!("{prefix}{key}"), map.get(key))
    }

    fn text_of(&mut self, key: &str, value: Option<&Value>) -> String {
        let text = value.and_then(Value::as_str).map(str::trim).unwrap_or_default();
        if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
            let shown = value.filter(|value| !value.is_null()).map(shown).unwrap_or_default();
            self.wrong(key, shown, &format!("a text of at most {TEXT_CHARS_MAX} characters"));
        }
        text.to_owned()
    }

    fn texts(&mut self, prefix: &str, map: &Map<String, Value>, key: &str, required: bool) -> Vec<String> {
        let path = format!("{prefix}{key}");
        match map.get(key) {
            None if !required => Vec::new(),
            Some(Value::Array(all)) if !(required && all.is_empty()) => {
                all.iter().enumerate().map(|(n, value)| self.text_of(&format!("{path}[{n}]"), Some(value))).collect()
            }
            other => {
                self.wrong(&path, other.map(shown).unwrap_or_default(), "a list of texts");
                Vec::new()
            }
        }
    }

    fn reminders(&mut self, map: &Map<String, Value>) -> Reminding {
        let given = self.map(map, "reminders");
        self.known("reminders.", &given, &["seen", "escalate", "overdue"]);
        let usual = Reminding::default();
        Reminding {
            seen: self.within("reminders.", &given, "seen", Some(usual.seen)),
            escalate: self.within("reminders.", &given, "escalate", Some(usual.escalate)),
            overdue: self.within("reminders.", &given, "overdue", Some(usual.overdue)),
        }
    }

    /// A time in minutes; `usual` where the key may be missing.
    fn within(&mut self, prefix: &str, map: &Map<String, Value>, key: &str, usual: Option<i64>) -> i64 {
        let given = map.get(key);
        let read = if given.is_none() { usual } else { given.and_then(minutes) };
        read.unwrap_or_else(|| {
            let shown = given.map(shown).unwrap_or_default();
            self.wrong(&format!("{prefix}{key}"), shown, "minutes or an ISO 8601 duration such as PT4H, PT30M or P1D");
            0
        })
    }

    fn steps(&mut self, map: &Map<String, Value>) -> Vec<PlaybookStep> {
        let steps = map.get("steps").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if steps.is_empty() || steps.len() > STEPS_MAX {
            self.wrong(
                "steps",
                format!("{} steps", steps.len()),
                &format!("a list of 1 to {STEPS_MAX}, each with text, within and confirm"),
            );
        }
        let mut read = Vec::new();
        for (n, step) in steps.iter().take(STEPS_MAX).enumerate() {
            let prefix = format!("steps[{n}].");
            let Some(step) = step.as_object() else {
                self.wrong(&format!("steps[{n}]"), shown(step), "a map with text, within and confirm");
                continue;
            };
            self.known(&prefix, step, &["text", "within", "confirm"]);
            read.push(PlaybookStep {
                within_minutes: self.within(&prefix, step, "within", None),
                text: self.text(&prefix, step, "text"),
                confirm: self.text(&prefix, step, "confirm"),
            });
        }
        read
    }
}

/// A value as the file has it, without JSON's quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn minutes(value: &Value) -> Option<i64> {
    let minutes = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => duration_minutes(text)?,
        _ => return None,
    };
    (1..=WITHIN_MINUTES_MAX).contains(&minutes).then_some(minutes)
}

/// The days, hours and minutes of an ISO 8601 duration (`P1DT12H`, `P2W`); months and seconds are not for deadlines.
pub(crate) fn duration_minutes(text: &str) -> Option<i64> {
    let (date, time) = text.strip_prefix('P')?.split_once('T').map_or((text.strip_prefix('P')?, None), |(date, time)| (date, Some(time)));
    let mut total: i64 = 0;
    let mut parts = 0;
    for (mut rest, units) in [(date, &[('W', 7 * 24 * 60), ('D', 24 * 60)][..]), (time.unwrap_or_default(), &[('H', 60), ('M', 1)][..])] {
        let mut units = units.iter();
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit())?;
            let (number, tail) = (rest.get(..end)?, rest.get(end..)?);
            let unit = tail.chars().next()?;
            // Each unit once and in order: the iterator is used up as far as it was found.
            let (_, factor) = units.find(|(name, _)| *name == unit)?;
            total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(*factor)?)?;
            rest = tail.get(unit.len_utf8()..)?;
            parts += 1;
        }
    }
    (parts > 0 && time != Some("")).then_some(total)
}

/// Levenshtein's distance, for naming the key that was probably meant.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (above, y) in row.iter().skip(1).zip(b.bytes()) {
            left = (left + 1).min(above + 1).min(diagonal + usize::from(x != y));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const GOOD: &str = "
name: probe
title: Probe
applies_to:
  rules: [a_rule]
  rsit: [intrusions]
meaning: Bedeutung
check:
  - Prüfen
steps:
  - text: Sperren
    within: PT4H
    confirm: Gesperrt
";

    #[expect(clippy::needless_pass_by_value, reason = "the usual shape of an expect table")]
    fn check(replace: &str, with: &str, expected: Expect) {
        assert!(GOOD.contains(replace), "{replace}");
        let result = playbook_parse("probe.yml", &GOOD.replace(replace, with));
        let text = match result {
            Ok(playbook) => format!("ok, {} minutes", playbook.steps[0].within_minutes),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        };
        expected.assert_eq(&text);
    }

    #[test]
    fn errors_name_file_key_and_value() {
        check("PT4H", "PT4H", expect!["ok, 240 minutes"]);
        check("PT4H", "90", expect!["ok, 90 minutes"]);
        check("meaning: Bedeutung", "meaning: Bedeutung\nreminders: {seen: PT1H}", expect!["ok, 240 minutes"]);
        check(
            "meaning: Bedeutung",
            "meaning: Bedeutung\nreminders: {seen: bald}",
            expect![[r#"probe.yml: reminders.seen: "bald" is not accepted, minutes or an ISO 8601 duration such as PT4H, PT30M or P1D"#]],
        );
        check(
            "PT4H",
            "4 Stunden",
            expect![[
                r#"probe.yml: steps[0].within: "4 Stunden" is not accepted, minutes or an ISO 8601 duration such as PT4H, PT30M or P1D"#
            ]],
        );
        check(
            "PT4H",
            "-5",
            expect![[r#"probe.yml: steps[0].within: "-5" is not accepted, minutes or an ISO 8601 duration such as PT4H, PT30M or P1D"#]],
        );
        check(
            "PT4H",
            "P900D",
            expect![[r#"probe.yml: steps[0].within: "P900D" is not accepted, minutes or an ISO 8601 duration such as PT4H, PT30M or P1D"#]],
        );
        check(
            "intrusions",
            "Einbruch",
            expect![[r#"probe.yml: applies_to.rsit[0]: "Einbruch" is not accepted, an RSIT class such as intrusion-attempts/brute-force"#]],
        );
        check(
            "name: probe",
            "name: Pröbe",
            expect![[r#"probe.yml: name: "Pröbe" is not accepted, lower-case letters, digits and _ (such as ssh_bruteforce)"#]],
        );
        check(
            "title: Probe",
            "titel: Probe",
            expect![[r#"
                probe.yml: titel: "Probe" is not accepted, there is no such key, did you mean "title"? Known: name, title, applies_to, meaning, check, steps, reminders
                probe.yml: title: nothing is not accepted, a text of at most 2000 characters"#]],
        );
        check(
            "    confirm: Gesperrt",
            "    confirmed: Gesperrt",
            expect![[r#"
                probe.yml: steps[0].confirmed: "Gesperrt" is not accepted, there is no such key, did you mean "confirm"? Known: text, within, confirm
                probe.yml: steps[0].confirm: nothing is not accepted, a text of at most 2000 characters"#]],
        );
        check("  - Prüfen", "  - [1]", expect![[r#"probe.yml: check[0]: "[1]" is not accepted, a text of at most 2000 characters"#]]);
        check(
            "  - text: Sperren\n    within: PT4H\n    confirm: Gesperrt",
            "  []",
            expect![[r#"probe.yml: steps: "0 steps" is not accepted, a list of 1 to 20, each with text, within and confirm"#]],
        );
        check(
            "meaning: Bedeutung",
            "meaning: [",
            expect![[r#"probe.yml: not YAML: error: line 9 column 3: "-" is only valid inside a block"#]],
        );
        check(GOOD, "nur Text", expect!["probe.yml: not YAML: a playbook is a map of keys"]);
    }

    #[test]
    fn durations() {
        for (text, minutes) in [
            ("PT30M", Some(30)),
            ("PT4H", Some(240)),
            ("P1D", Some(1440)),
            ("P1DT12H30M", Some(2190)),
            ("P2W", Some(20160)),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("PT4", None),
            ("PT1M1H", None),
            ("P1M", None),
            ("4H", None),
            ("PTH", None),
            ("PT99999999999999999999H", None),
            ("PT4ü", None),
        ] {
            assert_eq!(duration_minutes(text), minutes, "{text}");
        }
    }

    #[test]
    fn the_shipped_ones_parse_and_are_chosen_by_rule_class_or_generally() {
        let all = Playbooks::embedded().unwrap_or_else(|errors| panic!("{errors:?}"));
        assert_eq!(all.iter().count(), EMBEDDED.len());
        for playbook in all.iter() {
            assert!(EMBEDDED.iter().any(|(file, _)| *file == format!("{}.yml", playbook.name)), "{}", playbook.name);
        }
        let chosen = |rule, named, rsit| all.choose(rule, named, rsit).unwrap().name.clone();
        assert_eq!(chosen("x", Some("portscan"), "intrusions"), "portscan");
        assert_eq!(chosen("ssh_bruteforce", Some("nicht_da"), ""), "ssh_bruteforce");
        assert_eq!(chosen("x", None, "information-gathering/scanner"), "portscan");
        assert_eq!(chosen("x", None, "intrusions/unprivileged-account-compromise"), "ssh_bruteforce_success");
        assert_eq!(chosen("x", None, "fraud/phishing"), "allgemein");
    }

    #[test]
    fn an_operators_file_replaces_the_shipped_one_or_is_refused_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yml"), GOOD.replace("name: probe", "name: portscan")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no playbook").unwrap();
        assert_eq!(Playbooks::with_folder(folder.path()).unwrap().get("portscan").unwrap().title, "Probe");
        std::fs::write(folder.path().join("b.yml"), "name: [").unwrap();
        std::fs::write(folder.path().join("c.yml"), GOOD.replace("title: Probe", "")).unwrap();
        let errors = Playbooks::with_folder(folder.path()).unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
    }
}
