//! The detectors' sheet, `rules/flow/detectors.toml`: what each detector is called and does, as a Sigma rule says it, and
//! its parameters. An operator's file of the same form changes parameters, level and whether a detector runs; a wrong
//! value is refused with file, line and an accepted example. Reads text, never a file.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use ingest::time::Timestamp;
use toml::de::{DeTable, DeValue};

use crate::rule::{Level, Rule};

/// The sheet in the binary.
const SHIPPED: &str = include_str!("../../../rules/flow/detectors.toml");
/// Its name in the source tree, as messages and pages say it.
pub const SHIPPED_FILE: &str = "rules/flow/detectors.toml";
/// Items of a list parameter: ports of a service, not a blocklist.
const LIST_MAX: usize = 256;
/// Characters of one text: a description, not a book.
const TEXT_CHARS_MAX: usize = 2_000;

/// The longest name that is compared with the known ones.
const KEY_BYTES_MAX: usize = 64;

/// What an operator's file may say of a section besides its parameters.
const OVERRIDABLE: [&str; 3] = ["enabled", "level", "parameters"];
const KEYS: [&str; 11] =
    ["id", "title", "description", "falsepositives", "level", "rsit", "attack", "playbook", "of", "enabled", "parameters"];

/// A value that is not accepted, for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, Zeile {line}: {message}")]
pub struct ParameterError {
    pub file: String,
    pub line: usize,
    pub message: String,
}

/// All sections, the shipped ones with an operator's changes.
#[derive(Clone, Debug, Default)]
pub struct Sheet {
    sections: BTreeMap<String, Section>,
}

/// One rule of the sheet.
#[derive(Clone, Debug)]
pub struct Section {
    pub rule: Arc<Rule>,
    pub falsepositives: Vec<String>,
    /// The detector whose second rule this is (a success after attempts).
    pub of: Option<String>,
    pub enabled: bool,
    pub parameters: Parameters,
    /// Where it begins in the shipped file.
    pub line: usize,
}

impl Sheet {
    /// The sheet in the binary.
    ///
    /// # Errors
    /// A test sees to it that a built program has none.
    pub fn shipped() -> Result<Self, ParameterError> {
        Self::parse(SHIPPED_FILE, SHIPPED)
    }

    /// A whole sheet from text.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, ParameterError> {
        let reader = Reader { file, text };
        let mut sections = BTreeMap::new();
        for (name, table, line) in reader.sections()? {
            let section = reader.section(&name, &table, line)?;
            sections.insert(name, section);
        }
        Ok(Self { sections })
    }

    /// Changes what an operator's file says.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line; nothing is changed then. Ranges are checked when detectors are made.
    pub fn overridden(mut self, file: &str, text: &str) -> Result<Self, ParameterError> {
        let reader = Reader { file, text };
        for (name, table, line) in reader.sections()? {
            let names: Vec<&str> = self.sections.keys().map(String::as_str).collect();
            let unknown = || reader.unknown(line, "Detektor", &name, &names);
            let Some(section) = self.sections.get(&name).cloned() else { return Err(unknown()) };
            let changed = reader.changed(&name, section, &table)?;
            self.sections.insert(name, changed);
        }
        Ok(self)
    }

    /// The shipped wording of one section, for the page that shows a rule.
    pub fn shipped_text(name: &str) -> Option<String> {
        let mut lines = SHIPPED.lines().skip_while(|line| *line != format!("[{name}]")).peekable();
        lines.peek()?;
        let own = |line: &&str| !line.starts_with('[') || *line == format!("[{name}]") || *line == format!("[{name}.parameters]");
        Some(lines.take_while(own).collect::<Vec<_>>().join("\n").trim_end().to_owned())
    }

    pub fn get(&self, name: &str) -> Option<&Section> {
        self.sections.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.sections.iter().map(|(name, section)| (name.as_str(), section))
    }
}

/// The parameters of one detector. A getter's name says the kind, its arguments the range.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parameters {
    section: String,
    values: BTreeMap<String, Setting>,
}

#[derive(Clone, Debug, PartialEq)]
struct Setting {
    value: Value,
    file: Arc<str>,
    line: usize,
    /// What the shipped sheet says: the example in a message.
    shipped: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Truth(bool),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
    /// What no getter takes: each refuses it with its own words.
    Other,
}

impl Parameters {
    /// A whole number.
    ///
    /// # Errors
    /// Where it is none or out of `range`.
    pub fn count(&self, key: &str, range: RangeInclusive<u64>) -> Result<u64, ParameterError> {
        let wanted = || format!("eine ganze Zahl von {} bis {}", range.start(), range.end());
        match self.get(key, &wanted)?.value {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within the range")]
            Value::Number(number) if number.fract() == 0.0 && number >= 0.0 && range.contains(&(number as u64)) => Ok(number as u64),
            _ => Err(self.refused(key, &wanted())),
        }
    }

    /// A number with a fraction.
    ///
    /// # Errors
    /// Where it is none or out of `range`.
    pub fn number(&self, key: &str, range: RangeInclusive<f64>) -> Result<f64, ParameterError> {
        let wanted = || format!("eine Zahl von {} bis {}", range.start(), range.end());
        match self.get(key, &wanted)?.value {
            Value::Number(number) if range.contains(&number) => Ok(number),
            _ => Err(self.refused(key, &wanted())),
        }
    }

    /// A stretch of time in milliseconds; the key's last word is its unit (`window_minutes`), which the range is in too.
    ///
    /// # Errors
    /// Where it is no number or out of `range`.
    pub fn millis(&self, key: &str, range: RangeInclusive<f64>) -> Result<i64, ParameterError> {
        let unit = match key.rsplit('_').next() {
            Some("seconds") => Timestamp::SECOND,
            Some("minutes") => Timestamp::MINUTE,
            Some("hours") => Timestamp::HOUR,
            Some("days") => Timestamp::DAY,
            _ => return Err(self.refused(key, "ein Name, der auf _seconds, _minutes, _hours oder _days endet")),
        };
        let number = self.number(key, range)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "ranges are days at most")]
        Ok((number * unit as f64) as i64)
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn truth(&self, key: &str) -> Result<bool, ParameterError> {
        match self.get(key, &|| "true oder false".into())?.value {
            Value::Truth(truth) => Ok(truth),
            _ => Err(self.refused(key, "true oder false")),
        }
    }

    /// A list of ports, sorted and each once.
    ///
    /// # Errors
    /// Where one is no port.
    pub fn ports(&self, key: &str) -> Result<Vec<u16>, ParameterError> {
        const WANTED: &str = "eine Liste von Ports von 1 bis 65535";
        let Value::Numbers(numbers) = &self.get(key, &|| WANTED.into())?.value else { return Err(self.refused(key, WANTED)) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within the range")]
        let port = |number: &f64| (number.fract() == 0.0 && (1.0..=65_535.0).contains(number)).then_some(*number as u16);
        let mut ports = numbers.iter().map(port).collect::<Option<Vec<u16>>>().ok_or_else(|| self.refused(key, WANTED))?;
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Where it is none.
    pub fn texts(&self, key: &str) -> Result<Vec<String>, ParameterError> {
        const WANTED: &str = "eine Liste von Texten";
        match &self.get(key, &|| WANTED.into())?.value {
            Value::Texts(texts) => Ok(texts.clone()),
            Value::Numbers(numbers) if numbers.is_empty() => Ok(Vec::new()),
            _ => Err(self.refused(key, WANTED)),
        }
    }

    /// A complaint about a value that its getter took, where values contradict each other.
    pub fn refused(&self, key: &str, wanted: &str) -> ParameterError {
        let (file, line, shipped) = self
            .values
            .get(key)
            .map_or((SHIPPED_FILE.into(), 1, String::new()), |setting| (setting.file.to_string(), setting.line, setting.shipped.clone()));
        let message = format!("[{}.parameters] {key}: erwartet wird {wanted}, zum Beispiel {key} = {shipped}", self.section);
        ParameterError { file, line, message }
    }

    /// What a saved state was counted by: states of other values begin anew.
    pub fn fingerprint(&self) -> String {
        self.values.iter().map(|(key, setting)| format!("{key}={:?};", setting.value)).collect()
    }

    /// Key, value and the shipped value, for people.
    pub fn shown(&self) -> Vec<(String, String, String)> {
        self.values.iter().map(|(key, setting)| (key.clone(), setting.value.shown(), setting.shipped.clone())).collect()
    }

    fn get(&self, key: &str, wanted: &dyn Fn() -> String) -> Result<&Setting, ParameterError> {
        self.values.get(key).ok_or_else(|| self.refused(key, &wanted()))
    }
}

impl Value {
    fn read(value: &DeValue<'_>) -> Self {
        match value {
            DeValue::Integer(_) | DeValue::Float(_) => number(value).map_or(Self::Other, Self::Number),
            DeValue::Boolean(truth) => Self::Truth(*truth),
            DeValue::Array(items) if items.len() <= LIST_MAX => {
                let numbers: Option<Vec<f64>> = items.iter().map(|item| number(item.get_ref())).collect();
                let texts = || items.iter().map(|item| text(item.get_ref())).collect::<Option<_>>();
                numbers.map(Self::Numbers).or_else(|| texts().map(Self::Texts)).unwrap_or(Self::Other)
            }
            _ => Self::Other,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Truth(truth) => truth.to_string(),
            Self::Other => String::new(),
            Self::Numbers(numbers) => format!("[{}]", numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")),
            Self::Texts(texts) => format!("[{}]", texts.iter().map(|text| format!("{text:?}")).collect::<Vec<_>>().join(", ")),
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(integer) => i32::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok().map(f64::from),
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.chars().take(TEXT_CHARS_MAX).collect()),
        _ => None,
    }
}

/// A file while it is read.
struct Reader<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn sections(&self) -> Result<Vec<(String, DeTable<'a>, usize)>, ParameterError> {
        let parsed = DeTable::parse(self.text).map_err(|error| {
            let line = error.span().map_or(1, |span| self.line(span.start));
            self.wrong(line, format!("kein gültiges TOML: {}", error.message()))
        })?;
        let mut sections = Vec::new();
        for (name, value) in parsed.into_inner() {
            let line = self.line(name.span().start);
            let DeValue::Table(table) = value.into_inner() else {
                return Err(
                    self.wrong(line, format!("{}: erwartet wird ein Abschnitt, zum Beispiel [portscan.parameters]", name.get_ref()))
                );
            };
            sections.push((name.get_ref().to_string(), table, line));
        }
        Ok(sections)
    }

    fn section(&self, name: &str, table: &DeTable<'_>, line: usize) -> Result<Section, ParameterError> {
        self.keys_known(name, table, &KEYS)?;
        let missing = |key: &str| self.wrong(line, format!("[{name}] braucht {key}"));
        let get = |key: &str| table.get(key).and_then(|value| text(value.get_ref()));
        let list = |key: &str| match table.get(key).map(|value| Value::read(value.get_ref())) {
            Some(Value::Texts(texts)) => texts,
            _ => Vec::new(),
        };
        let demand = |key: &str| get(key).filter(|text| !text.trim().is_empty()).ok_or_else(|| missing(key));
        let rule = Rule {
            id: demand("id")?,
            name: name.to_owned(),
            title: demand("title")?,
            description: demand("description")?,
            level: Level::parse(&demand("level")?).ok_or_else(|| missing("level = \"low|medium|high|critical\""))?,
            rsit: demand("rsit")?,
            attack: list("attack"),
            playbook: get("playbook"),
        };
        let enabled = !matches!(table.get("enabled").map(|value| value.get_ref()), Some(DeValue::Boolean(false)));
        let mut parameters = Parameters { section: name.to_owned(), values: BTreeMap::new() };
        for (key, value, line) in self.parameters(name, table)? {
            let shipped = value.shown();
            parameters.values.insert(key, Setting { value, file: self.file.into(), line, shipped });
        }
        Ok(Section { rule: Arc::new(rule), falsepositives: list("falsepositives"), of: get("of"), enabled, parameters, line })
    }

    /// A section with what the operator's file says of it.
    fn changed(&self, name: &str, mut section: Section, table: &DeTable<'_>) -> Result<Section, ParameterError> {
        self.keys_known(name, table, &OVERRIDABLE)?;
        if let Some(value) = table.get("enabled") {
            let line = self.line(value.span().start);
            let DeValue::Boolean(enabled) = value.get_ref() else {
                return Err(self.wrong(line, format!("[{name}] enabled: erwartet wird true oder false, zum Beispiel enabled = false")));
            };
            section.enabled = *enabled;
        }
        if let Some(value) = table.get("level") {
            let line = self.line(value.span().start);
            let words = Level::ALL.map(Level::as_str).join(", ");
            let level = text(value.get_ref()).and_then(|text| Level::parse(&text));
            let level = level.ok_or_else(|| {
                self.wrong(line, format!("[{name}] level: erwartet wird eines von {words}, zum Beispiel level = \"medium\""))
            })?;
            section.rule = Arc::new(Rule { level, ..Rule::clone(&section.rule) });
        }
        for (key, value, line) in self.parameters(name, table)? {
            let names: Vec<&str> = section.parameters.values.keys().map(String::as_str).collect();
            let unknown = self.unknown(line, "Parameter", &key, &names);
            let setting = section.parameters.values.get_mut(&key).ok_or(unknown)?;
            (setting.value, setting.file, setting.line) = (value, self.file.into(), line);
        }
        Ok(section)
    }

    fn parameters(&self, name: &str, table: &DeTable<'_>) -> Result<Vec<(String, Value, usize)>, ParameterError> {
        let Some(given) = table.get("parameters") else { return Ok(Vec::new()) };
        let line = self.line(given.span().start);
        let DeValue::Table(given) = given.get_ref() else {
            return Err(self.wrong(line, format!("parameters: erwartet wird ein Abschnitt [{name}.parameters]")));
        };
        let mut parameters = Vec::new();
        for (key, value) in given {
            let line = self.line(key.span().start);
            parameters.push((key.get_ref().to_string(), Value::read(value.get_ref()), line));
        }
        Ok(parameters)
    }

    fn keys_known(&self, name: &str, table: &DeTable<'_>, known: &[&str]) -> Result<(), ParameterError> {
        let unknown = table.iter().find(|(key, _)| !known.contains(&key.get_ref().as_ref()));
        unknown.map_or(Ok(()), |(key, _)| {
            let line = self.line(key.span().start);
            Err(self.unknown(line, &format!("Schlüssel in [{name}]"), key.get_ref(), known))
        })
    }

    fn unknown(&self, line: usize, what: &str, key: &str, known: &[&str]) -> ParameterError {
        // A typing mistake is a letter or two, as with the rules' keys.
        let distance = |name: &&str| crate::sigma::distance(key, name);
        let near = known.iter().copied().filter(|name| key.len() <= KEY_BYTES_MAX && distance(name) <= 1 + key.len() / 5);
        let near = near.min_by_key(&distance);
        let near = near.map(|near| format!(" Gemeint ist vielleicht {near}.")).unwrap_or_default();
        let key: String = key.chars().take(KEY_BYTES_MAX).collect();
        let message = format!("„{key}“ ist kein {what}.{near} Bekannt sind: {}", known.join(", "));
        self.wrong(line, message)
    }

    fn wrong(&self, line: usize, message: String) -> ParameterError {
        ParameterError { file: self.file.to_owned(), line, message }
    }

    fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}
