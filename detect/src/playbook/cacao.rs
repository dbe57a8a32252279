//! CACAO Security Playbooks 2.0 (OASIS, Committee Specification 01) as playbooks of ours: the actions in the order of the
//! workflow, with the condition under which each is to be done. Ours recommend to people and run nothing, so a condition
//! becomes words, a command a note, and what has no place here is named; nothing is dropped in silence. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Playbook, PlaybookStep, Reminding, STEPS_MAX, TEXT_CHARS_MAX, WITHIN_MINUTES_MAX};
use crate::incident::{line_clean, text_clean};

/// The largest published ones have some 100 KiB; a file beyond this is none that people read.
pub const CACAO_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Steps of a workflow, ends and conditions among them.
const WORKFLOW_STEPS_MAX: usize = 500;
/// Conditions within conditions: deeper, nobody knows any more when a step is to be done.
const DEPTH_MAX: usize = 16;
/// Notes of one import; a file that needs more is not worth importing.
const NOTES_MAX: usize = 300;
/// What a name or condition shows within a step.
const NAME_CHARS_MAX: usize = 200;
/// The limit of a step that names none.
const WITHIN_DEFAULT_MINUTES: i64 = 24 * 60;

/// Why a file was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CacaoError {
    #[error("the file has more than {CACAO_BYTES_MAX} bytes")]
    TooLarge,
    #[error("not JSON: {0}")]
    Json(String),
    #[error("{key}: {value:?} is not accepted, {wanted}")]
    Key { key: &'static str, value: String, wanted: &'static str },
    #[error("the workflow has {0} steps, at most {WORKFLOW_STEPS_MAX} are read")]
    Steps(usize),
    #[error("conditions stand within more than {DEPTH_MAX} others")]
    Depth,
    #[error("the workflow has no step that somebody could do")]
    Empty,
}

/// For which cases the playbook is to be chosen; the format does not say it in our terms.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Instead of one made of the title.
    pub name: Option<String>,
    pub rules: Vec<String>,
    pub rsit: Vec<String>,
}

/// A playbook, and what of the file is not in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub playbook: Playbook,
    /// In German, for whoever imports: what could not be taken over and what to look at.
    pub notes: Vec<String>,
    /// The file's own identity.
    pub id: String,
}

/// Reads one playbook.
///
/// # Errors
/// Where the file is none, or beyond the bounds.
pub fn cacao_read(text: &str, choice: &Choice) -> Result<Imported, CacaoError> {
    if text.len() as u64 > CACAO_BYTES_MAX {
        return Err(CacaoError::TooLarge);
    }
    let value: Value = serde_json::from_str(text).map_err(|error| CacaoError::Json(error.to_string()))?;
    let root = value.as_object().ok_or_else(|| CacaoError::Json("a playbook is an object".into()))?;
    demand(root, "type", "type", |text| text == "playbook", "\"playbook\"")?;
    demand(root, "spec_version", "spec_version", |text| text == "cacao-2.0", "\"cacao-2.0\"")?;
    let none = Map::new();
    let workflow = root.get("workflow").and_then(Value::as_object).unwrap_or(&none);
    if workflow.len() > WORKFLOW_STEPS_MAX {
        return Err(CacaoError::Steps(workflow.len()));
    }
    let start =
        demand(root, "workflow_start", "workflow_start", |text| workflow.contains_key(text), "the identity of a step of the workflow")?;
    let mut reading =
        Reading { root, workflow, steps: Vec::new(), notes: Vec::new(), path: Vec::new(), seen: BTreeSet::new(), left_out: 0 };
    reading.root_notes();
    reading.walk(start, "", 0)?;
    if let Some(handler) = text_of(root, "workflow_exception").filter(|id| workflow.contains_key(*id)) {
        reading.walk(handler, "Wenn ein Schritt nicht gelingt: ", 0)?;
    }
    reading.unreached();
    let Reading { steps, mut notes, left_out, .. } = reading;
    if steps.is_empty() {
        return Err(CacaoError::Empty);
    }
    if left_out > 0 {
        notes.push(format!("{left_out} weitere Schritte wurden nicht übernommen: Eine Empfehlung hat höchstens {STEPS_MAX}."));
    }
    notes.push("Woran die Stelle erkennt, dass ein Schritt erledigt ist (confirm), und die Prüfung davor (check) kennt CACAO nicht; bitte nachtragen.".into());
    notes.truncate(NOTES_MAX);
    let title = line_clean(text_of(root, "name").unwrap_or_default(), NAME_CHARS_MAX);
    let title = if title.is_empty() { "Playbook ohne Namen".to_owned() } else { title };
    let meaning = text_clean(text_of(root, "description").unwrap_or_default(), TEXT_CHARS_MAX);
    let playbook = Playbook {
        name: choice.name.clone().unwrap_or_else(|| slug(&title)),
        meaning: if meaning.is_empty() { title.clone() } else { meaning },
        check: vec![format!("Passt der Ablauf „{title}“ zu dem, was geschehen ist?")],
        title,
        rules: choice.rules.clone(),
        rsit: choice.rsit.clone(),
        steps,
        reminders: Reminding::default(),
    };
    let id = line_clean(text_of(root, "id").unwrap_or_default(), NAME_CHARS_MAX);
    Ok(Imported { playbook, notes, id })
}

/// The playbook as a file of ours, the notes as comments above it.
pub fn cacao_yaml(imported: &Imported) -> String {
    let Imported { playbook, notes, id } = imported;
    let mut text = format!("# Aus CACAO 2.0 übernommen: {id}\n");
    for note in notes {
        let _ = writeln!(text, "# - {}", line_clean(note, TEXT_CHARS_MAX));
    }
    let list = |all: &[String]| format!("[{}]", all.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(", "));
    let _ = writeln!(text, "name: {}\ntitle: {}\napplies_to:", quoted(&playbook.name), quoted(&playbook.title));
    let _ = writeln!(text, "  rules: {}\n  rsit: {}", list(&playbook.rules), list(&playbook.rsit));
    let _ = writeln!(text, "meaning: {}\ncheck:", quoted(&playbook.meaning));
    for check in &playbook.check {
        let _ = writeln!(text, "  - {}", quoted(check));
    }
    text.push_str("steps:\n");
    for step in &playbook.steps {
        let _ =
            writeln!(text, "  - text: {}\n    within: {}\n    confirm: {}", quoted(&step.text), step.within_minutes, quoted(&step.confirm));
    }
    text
}

/// A text in YAML's double quotes; what is neither letter, number nor plain sign is escaped, so that no sign can end a line.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_ascii_graphic() || c == ' ' || c.is_alphanumeric() || "„“–…§".contains(c) => out.push(c),
            c => {
                let _ = write!(out, "\\U{:08x}", u32::from(c));
            }
        }
    }
    out.push('"');
    out
}

struct Reading<'a> {
    root: &'a Map<String, Value>,
    workflow: &'a Map<String, Value>,
    steps: Vec<PlaybookStep>,
    notes: Vec<String>,
    /// The steps that lead to this one: one of them again is a circle.
    path: Vec<String>,
    seen: BTreeSet<String>,
    left_out: usize,
}

impl<'a> Reading<'a> {
    fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What stands beside the workflow.
    fn root_notes(&mut self) {
        let parts = [
            ("playbook_variables", "Variablen"),
            ("authentication_info_definitions", "Zugangsdaten"),
            ("extension_definitions", "Erweiterungen"),
            ("data_marking_definitions", "Kennzeichnungen zur Weitergabe"),
            ("signatures", "Unterschriften"),
            ("external_references", "Verweise"),
        ];
        for (key, label) in parts {
            let count =
                self.root.get(key).map_or(0, |value| value.as_object().map_or_else(|| value.as_array().map_or(0, Vec::len), Map::len));
            if count > 0 {
                self.note(format!("Nicht übernommen: {label} ({key}, {count})."));
            }
        }
        if self.root.get("revoked").and_then(Value::as_bool) == Some(true) {
            self.note("Der Herausgeber hat dieses Playbook zurückgezogen (revoked).".into());
        }
        if let Some(until) = text_of(self.root, "valid_until") {
            self.note(format!("Der Herausgeber nennt ein Ende der Gültigkeit: {}.", line_clean(until, NAME_CHARS_MAX)));
        }
    }

    /// Goes through a branch until its end. `when` is the condition under which its steps are to be done.
    fn walk(&mut self, start: &str, when: &str, depth: usize) -> Result<(), CacaoError> {
        if depth > DEPTH_MAX {
            return Err(CacaoError::Depth);
        }
        let entered = self.path.len();
        let mut at = Some(start.to_owned());
        while let Some(id) = at {
            let workflow = self.workflow;
            let Some(step) = workflow.get(&id).and_then(Value::as_object) else {
                self.note(format!("Ein Schritt verweist auf „{}“, den es im Ablauf nicht gibt.", line_clean(&id, NAME_CHARS_MAX)));
                break;
            };
            let name = name_of(step, &id);
            if self.path.contains(&id) {
                self.note(format!("Der Ablauf kehrt zu „{name}“ zurück; die Wiederholung wurde nicht übernommen."));
                break;
            }
            if !self.seen.insert(id.clone()) {
                // Branches that come together again.
                break;
            }
            self.path.push(id.clone());
            at = self.step(step, &name, when, depth)?.map(str::to_owned);
        }
        self.path.truncate(entered);
        Ok(())
    }

    /// One step; says which comes next.
    fn step(&mut self, step: &'a Map<String, Value>, name: &str, when: &str, depth: usize) -> Result<Option<&'a str>, CacaoError> {
        let condition = || line_clean(text_of(step, "condition").unwrap_or(name), NAME_CHARS_MAX);
        let kind = text_of(step, "type").unwrap_or_default();
        let mut branches: Vec<(&'a str, String)> = Vec::new();
        match kind {
            "start" | "end" => {}
            "action" => self.action(step, name, when),
            "playbook-action" => {
                let other = line_clean(text_of(step, "playbook_id").unwrap_or_default(), NAME_CHARS_MAX);
                self.put(step, &format!("{when}{name} (eigener Ablauf {other})"), name);
                self.note(format!("„{name}“ ruft das Playbook {other} auf; dessen Schritte wurden nicht übernommen."));
            }
            "parallel" => {
                self.note(format!("„{name}“ lässt Schritte gleichzeitig laufen; hier stehen sie nacheinander."));
                branches.extend(ids(step.get("next_steps")).map(|id| (id, when.to_owned())));
            }
            "if-condition" => {
                branches.extend(ids(step.get("on_true")).map(|id| (id, format!("{when}Wenn {}: ", condition()))));
                branches.extend(ids(step.get("on_false")).map(|id| (id, format!("{when}Wenn nicht {}: ", condition()))));
                self.note(format!("„{name}“ ist eine Bedingung; sie steht als Text vor ihren Schritten."));
            }
            "while-condition" => {
                branches.extend(ids(step.get("on_true")).map(|id| (id, format!("{when}Solange {}: ", condition()))));
                branches.extend(ids(step.get("on_false")).map(|id| (id, when.to_owned())));
                self.note(format!("„{name}“ ist eine Wiederholung; sie steht als Text vor ihren Schritten."));
            }
            "switch-condition" => {
                let switch = line_clean(text_of(step, "switch").unwrap_or(name), NAME_CHARS_MAX);
                for (case, id) in step.get("cases").and_then(Value::as_object).into_iter().flatten() {
                    let case = line_clean(case, NAME_CHARS_MAX);
                    let words = if case == "default" { format!("{when}Sonst: ") } else { format!("{when}Falls {switch} = {case}: ") };
                    branches.extend(ids(Some(id)).map(|id| (id, words.clone())));
                }
                self.note(format!("„{name}“ ist eine Verzweigung; sie steht als Text vor ihren Schritten."));
            }
            other => {
                let other = line_clean(other, NAME_CHARS_MAX);
                self.put(step, &format!("{when}{name}"), name);
                self.note(format!("„{name}“ hat die unbekannte Art „{other}“; der Name steht als Schritt da."));
            }
        }
        for (id, words) in branches {
            self.walk(id, &words, depth + 1)?;
        }
        if let Some(failed) = text_of(step, "on_failure") {
            self.walk(failed, &format!("{when}Wenn „{name}“ nicht gelingt: "), depth + 1)?;
        }
        for (key, label) in [("delay", "eine Wartezeit"), ("step_extensions", "Erweiterungen"), ("step_variables", "Variablen")] {
            if step.contains_key(key) {
                self.note(format!("„{name}“: {label} ({key}) nicht übernommen."));
            }
        }
        Ok(text_of(step, "on_completion").or_else(|| text_of(step, "on_success")))
    }

    fn action(&mut self, step: &'a Map<String, Value>, name: &str, when: &str) {
        let mut text = format!("{when}{name}");
        let description = text_clean(text_of(step, "description").unwrap_or_default(), TEXT_CHARS_MAX);
        if !description.is_empty() && description != name {
            let _ = write!(text, "\n{description}");
        }
        for command in step.get("commands").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
            let kind = line_clean(text_of(command, "type").unwrap_or_default(), NAME_CHARS_MAX);
            // What is for people is an instruction; what is for machines is none.
            match text_of(command, "command").filter(|_| kind == "manual") {
                Some(words) if words.trim() != description && words.trim() != name => {
                    let _ = write!(text, "\n{}", text_clean(words, TEXT_CHARS_MAX));
                }
                Some(_) => {}
                None => self.note(format!("„{name}“: ein Befehl ({kind}) wurde nicht übernommen; Wartburg führt nichts aus.")),
            }
        }
        let by = ids(step.get("agent")).map(|id| self.party("agent_definitions", id)).collect::<Vec<_>>();
        let at = ids(step.get("targets")).map(|id| self.party("target_definitions", id)).collect::<Vec<_>>();
        for (label, names) in [("Durch", by), ("An", at)] {
            if !names.is_empty() {
                let _ = write!(text, "\n{label}: {}", names.join(", "));
            }
        }
        self.put(step, &text, name);
    }

    /// An agent or target by the name that people know it by.
    fn party(&self, place: &str, id: &str) -> String {
        let found = self.root.get(place).and_then(Value::as_object).and_then(|all| all.get(id)).and_then(Value::as_object);
        line_clean(found.and_then(|one| text_of(one, "name")).unwrap_or(id), NAME_CHARS_MAX)
    }

    fn put(&mut self, step: &Map<String, Value>, text: &str, name: &str) {
        if self.steps.len() >= STEPS_MAX {
            self.left_out += 1;
            self.note(format!("Nicht übernommen: „{name}“."));
            return;
        }
        if text.chars().count() > TEXT_CHARS_MAX {
            self.note(format!("„{name}“: Der Text ist gekürzt."));
        }
        let within_minutes = match step.get("timeout").and_then(Value::as_i64).filter(|millis| *millis > 0) {
            Some(millis) => {
                let minutes = millis.saturating_add(59_999) / 60_000;
                if minutes > WITHIN_MINUTES_MAX {
                    self.note(format!("„{name}“: Die Frist ist auf {} Tage gekürzt.", WITHIN_MINUTES_MAX / 1_440));
                }
                minutes.clamp(1, WITHIN_MINUTES_MAX)
            }
            None => {
                self.note(format!("„{name}“ nennt keine Frist (timeout); es gilt ein Tag."));
                WITHIN_DEFAULT_MINUTES
            }
        };
        let confirm = text_clean(&format!("„{name}“ ist erledigt."), TEXT_CHARS_MAX);
        self.steps.push(PlaybookStep { text: text_clean(text, TEXT_CHARS_MAX), within_minutes, confirm });
    }

    /// What no way leads to.
    fn unreached(&mut self) {
        let workflow = self.workflow;
        for (id, step) in workflow {
            let Some(step) = step.as_object().filter(|_| !self.seen.contains(id)) else { continue };
            if text_of(step, "type") != Some("end") {
                self.note(format!("Nicht übernommen, weil kein Weg dorthin führt: „{}“.", name_of(step, id)));
            }
        }
    }
}

fn text_of<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    map.get(key).and_then(Value::as_str)
}

/// An identity, or a list of them (CACAO 1.x wrote lists where 2.0 has one).
fn ids(value: Option<&Value>) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Some(Value::String(id)) => (Some(id.as_str()), None),
        Some(Value::Array(all)) => (None, Some(all)),
        _ => (None, None),
    };
    one.into_iter().chain(many.into_iter().flatten().filter_map(Value::as_str))
}

fn name_of(step: &Map<String, Value>, id: &str) -> String {
    let named = text_of(step, "name").or_else(|| text_of(step, "description")).unwrap_or(id);
    let name = line_clean(named, NAME_CHARS_MAX);
    let name = if name.is_empty() { line_clean(id, NAME_CHARS_MAX) } else { name };
    if name.is_empty() { "Schritt ohne Namen".to_owned() } else { name }
}

fn demand<'a>(
    map: &'a Map<String, Value>,
    name: &str,
    key: &'static str,
    fits: impl Fn(&str) -> bool,
    wanted: &'static str,
) -> Result<&'a str, CacaoError> {
    let given = map.get(name);
    let shown = given.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).unwrap_or_default();
    let value = shown.chars().take(80).collect();
    given.and_then(Value::as_str).filter(|text| fits(text)).ok_or(CacaoError::Key { key, value, wanted })
}

/// A name of ours from a title: `Phishing: Konto sperren` becomes `phishing_konto_sperren`.
fn slug(title: &str) -> String {
    let folded = title.to_lowercase().replace('ä', "ae").replace('ö', "oe").replace('ü', "ue").replace('ß', "ss");
    let words: Vec<&str> = folded.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let name: String = words.join("_").chars().take(60).collect();
    if name.is_empty() { "cacao".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::playbook_parse;
    use super::*;

    fn choice() -> Choice {
        Choice { name: None, rules: vec!["konto_uebernommen".into()], rsit: vec!["fraud/phishing".into()] }
    }

    fn id(kind: &str, n: u8) -> String {
        format!("{kind}--00000000-0000-4000-8000-0000000000{n:02}")
    }

    /// Every kind of step.
    fn whole() -> Value {
        json!({
            "type": "playbook", "spec_version": "cacao-2.0", "id": id("playbook", 1), "name": "Phishing: Konto übernommen",
            "description": "Was nach einem übernommenen Konto zu tun ist.",
            "playbook_variables": { "__konto__": { "type": "string" } },
            "workflow_start": id("start", 1),
            "workflow": {
                id("start", 1): { "type": "start", "on_completion": id("action", 1) },
                id("action", 1): {
                    "type": "action", "name": "Konto sperren", "description": "Im Verzeichnisdienst.", "timeout": 14_400_000,
                    "commands": [{ "type": "manual", "command": "Rufen Sie den Betrieb an." }, { "type": "bash", "command": "usermod -L x" }],
                    "agent": id("individual", 1), "targets": [id("linux", 1)], "on_success": id("if-condition", 1), "on_failure": id("action", 9),
                },
                id("action", 9): { "type": "action", "name": "Kennwort ändern", "timeout": 1, "commands": [], "agent": "x", "on_completion": id("end", 1) },
                id("if-condition", 1): {
                    "type": "if-condition", "name": "Mails gelesen?", "condition": "__gelesen__:value = true",
                    "on_true": id("action", 2), "on_false": id("end", 2), "on_completion": id("parallel", 1),
                },
                id("action", 2): { "type": "action", "name": "Datenschutz einbeziehen", "commands": [], "agent": "x", "on_completion": id("end", 2) },
                id("parallel", 1): { "type": "parallel", "name": "Beides", "next_steps": [id("action", 3), id("while-condition", 1)], "on_completion": id("switch-condition", 1) },
                id("action", 3): { "type": "action", "name": "Sitzungen beenden", "commands": [], "agent": "x", "on_completion": id("end", 1) },
                id("while-condition", 1): { "type": "while-condition", "name": "Noch Anmeldungen", "condition": "neue > 0", "on_true": id("action", 4) },
                id("action", 4): { "type": "action", "name": "Adresse sperren", "commands": [], "agent": "x", "on_completion": id("while-condition", 1) },
                id("switch-condition", 1): {
                    "type": "switch-condition", "name": "Art", "switch": "__art__", "cases": { "extern": id("playbook-action", 1), "default": id("end", 1) },
                    "on_completion": id("magic", 1),
                },
                id("playbook-action", 1): { "type": "playbook-action", "name": "Dienstleister", "playbook_id": id("playbook", 7) },
                id("magic", 1): { "type": "magic", "name": "Zauber", "on_completion": id("end", 3) },
                id("end", 1): { "type": "end" }, id("end", 2): { "type": "end" }, id("end", 3): { "type": "end" },
                id("action", 8): { "type": "action", "name": "Insel", "commands": [], "agent": "x" },
            },
            "agent_definitions": { id("individual", 1): { "type": "individual", "name": "IT der Stelle" } },
            "target_definitions": { id("linux", 1): { "type": "linux", "name": "Anmeldeserver" } },
        })
    }

    #[test]
    fn steps_come_in_the_workflow_order_and_what_is_left_out_is_named() {
        let imported = cacao_read(&whole().to_string(), &choice()).unwrap();
        let yaml = cacao_yaml(&imported);
        let again = playbook_parse("x.yml", &yaml).unwrap_or_else(|errors| panic!("{errors:?}\n{yaml}"));
        assert_eq!(again, imported.playbook, "what is written is what is read");
        expect![[r##"
            # Aus CACAO 2.0 übernommen: playbook--00000000-0000-4000-8000-000000000001
            # - Nicht übernommen: Variablen (playbook_variables, 1).
            # - „Konto sperren“: ein Befehl (bash) wurde nicht übernommen; Wartburg führt nichts aus.
            # - „Mails gelesen?“ ist eine Bedingung; sie steht als Text vor ihren Schritten.
            # - „Datenschutz einbeziehen“ nennt keine Frist (timeout); es gilt ein Tag.
            # - „Beides“ lässt Schritte gleichzeitig laufen; hier stehen sie nacheinander.
            # - „Sitzungen beenden“ nennt keine Frist (timeout); es gilt ein Tag.
            # - „Noch Anmeldungen“ ist eine Wiederholung; sie steht als Text vor ihren Schritten.
            # - „Adresse sperren“ nennt keine Frist (timeout); es gilt ein Tag.
            # - Der Ablauf kehrt zu „Noch Anmeldungen“ zurück; die Wiederholung wurde nicht übernommen.
            # - „Art“ ist eine Verzweigung; sie steht als Text vor ihren Schritten.
            # - „Dienstleister“ nennt keine Frist (timeout); es gilt ein Tag.
            # - „Dienstleister“ ruft das Playbook playbook--00000000-0000-4000-8000-000000000007 auf; dessen Schritte wurden nicht übernommen.
            # - „Zauber“ nennt keine Frist (timeout); es gilt ein Tag.
            # - „Zauber“ hat die unbekannte Art „magic“; der Name steht als Schritt da.
            # - Nicht übernommen, weil kein Weg dorthin führt: „Insel“.
            # - Woran die Stelle erkennt, dass ein Schritt erledigt ist (confirm), und die Prüfung davor (check) kennt CACAO nicht; bitte nachtragen.
            name: "phishing_konto_uebernommen"
            title: "Phishing: Konto übernommen"
            applies_to:
              rules: ["konto_uebernommen"]
              rsit: ["fraud/phishing"]
            meaning: "Was nach einem übernommenen Konto zu tun ist."
            check:
              - "Passt der Ablauf „Phishing: Konto übernommen“ zu dem, was geschehen ist?"
            steps:
              - text: "Konto sperren\nIm Verzeichnisdienst.\nRufen Sie den Betrieb an.\nDurch: IT der Stelle\nAn: Anmeldeserver"
                within: 240
                confirm: "„Konto sperren“ ist erledigt."
              - text: "Wenn „Konto sperren“ nicht gelingt: Kennwort ändern\nDurch: x"
                within: 1
                confirm: "„Kennwort ändern“ ist erledigt."
              - text: "Wenn __gelesen__:value = true: Datenschutz einbeziehen\nDurch: x"
                within: 1440
                confirm: "„Datenschutz einbeziehen“ ist erledigt."
              - text: "Sitzungen beenden\nDurch: x"
                within: 1440
                confirm: "„Sitzungen beenden“ ist erledigt."
              - text: "Solange neue > 0: Adresse sperren\nDurch: x"
                within: 1440
                confirm: "„Adresse sperren“ ist erledigt."
              - text: "Falls __art__ = extern: Dienstleister (eigener Ablauf playbook--00000000-0000-4000-8000-000000000007)"
                within: 1440
                confirm: "„Dienstleister“ ist erledigt."
              - text: "Zauber"
                within: 1440
                confirm: "„Zauber“ ist erledigt."
        "##]].assert_eq(&yaml);
    }

    #[test]
    fn what_is_no_playbook_is_refused_by_key_and_value() {
        let with = |key: &str, value: Value| {
            let mut playbook = whole();
            playbook[key] = value;
            cacao_read(&playbook.to_string(), &Choice::default()).map(|_| ()).unwrap_err().to_string()
        };
        let mut table = vec![
            with("type", json!("bundle")),
            with("spec_version", json!("1.1")),
            with("workflow_start", json!("start--x")),
            with("workflow", json!({ id("start", 1): { "type": "start" } })),
        ];
        for text in ["", "[]", "{", "null"] {
            table.push(cacao_read(text, &Choice::default()).unwrap_err().to_string());
        }
        expect![[r#"
            type: "bundle" is not accepted, "playbook"
            spec_version: "1.1" is not accepted, "cacao-2.0"
            workflow_start: "start--x" is not accepted, the identity of a step of the workflow
            the workflow has no step that somebody could do
            not JSON: EOF while parsing a value at line 1 column 0
            not JSON: a playbook is an object
            not JSON: EOF while parsing an object at line 1 column 1
            not JSON: a playbook is an object"#]]
        .assert_eq(&table.join("\n"));
    }

    #[test]
    fn size_depth_and_circles_are_bounded() {
        let mut many = whole();
        for n in 0..=WORKFLOW_STEPS_MAX {
            many["workflow"][format!("action--{n}")] = json!({ "type": "action" });
        }
        assert!(matches!(cacao_read(&many.to_string(), &choice()), Err(CacaoError::Steps(_))));
        let mut deep = whole();
        for n in 0..40 {
            deep["workflow"][format!("if-condition--{n}")] =
                json!({ "type": "if-condition", "condition": "c", "on_true": format!("if-condition--{}", n + 1) });
        }
        deep["workflow_start"] = json!("if-condition--0");
        assert!(matches!(cacao_read(&deep.to_string(), &choice()), Err(CacaoError::Depth)));
        assert!(matches!(cacao_read(&" ".repeat(usize::try_from(CACAO_BYTES_MAX).unwrap() + 1), &choice()), Err(CacaoError::TooLarge)));
        let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(cacao_read(&nested, &choice()), Err(CacaoError::Json(_))));
        let mut long = whole();
        long["workflow"] = json!({});
        for n in 0..30 {
            long["workflow"][format!("action--{n}")] =
                json!({ "type": "action", "name": format!("Schritt {n}"), "on_completion": format!("action--{}", (n + 1) % 30) });
        }
        long["workflow_start"] = json!("action--0");
        let imported = cacao_read(&long.to_string(), &choice()).unwrap();
        assert_eq!(imported.playbook.steps.len(), STEPS_MAX);
        let notes = imported.notes.join("\n");
        assert!(notes.contains("kehrt zu „Schritt 0“ zurück") && notes.contains("Nicht übernommen: „Schritt 29“"), "{notes}");
    }

    proptest! {
        /// Whatever names and links a workflow has, it is read in bounded time, and what is written is one of ours again.
        #[test]
        fn any_workflow_is_read_or_refused(
            kinds in proptest::collection::vec(0usize..8, 1..12), links in proptest::collection::vec((0usize..14, 0usize..14), 12), name in "[^\u{0}]{0,40}",
        ) {
            const KINDS: [&str; 8] = ["start", "end", "action", "playbook-action", "parallel", "if-condition", "while-condition", "switch-condition"];
            let mut workflow = Map::new();
            for (n, (kind, (next, other))) in kinds.iter().zip(&links).enumerate() {
                let step = json!({
                    "type": KINDS[*kind], "name": name, "condition": name, "switch": name, "timeout": n,
                    "on_completion": next.to_string(), "on_true": other.to_string(), "on_false": next.to_string(),
                    "next_steps": [next.to_string(), other.to_string()], "cases": { "a": other.to_string() },
                });
                workflow.insert(n.to_string(), step);
            }
            let text = json!({ "type": "playbook", "spec_version": "cacao-2.0", "name": name, "workflow_start": "0", "workflow": workflow }).to_string();
            if let Ok(imported) = cacao_read(&text, &choice()) {
                let again = playbook_parse("x.yml", &cacao_yaml(&imported));
                prop_assert_eq!(again.as_ref().ok(), Some(&imported.playbook), "{:?}", again);
            }
        }
    }
}
