//! What of a case may leave the house. Made once, for all formats alike, so that no format can forget what stays: notes,
//! drafts, who works on it and what the others of the house wrote about it are not in here at all.

use std::collections::BTreeSet;

use ingest::time::Timestamp;

use crate::alert::{Alert, Disposition, Observables};
use crate::incident::{IncidentView, Origin, State, Tlp};
use crate::recommendation::{RecommendationState, StepState};
use crate::rsit::Rsit;
use crate::rule::Level;

/// What stands in the place of a hidden value.
pub(crate) const HIDDEN: &str = "[verborgen]";

/// On whose behalf a case leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The CERT's: with the alerts behind it.
    Cert,
    /// The body's own, of its own case: without what the CERT knows for itself (rules, alerts, their figures).
    Body,
}

/// A case as it leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// The case's identity: what all others are made of.
    pub id: String,
    pub number: String,
    pub title: String,
    pub summary: String,
    pub state: State,
    pub severity: Level,
    pub rsit: Rsit,
    pub tlp: Tlp,
    pub origin: Origin,
    pub disposition: Option<Disposition>,
    /// The body's identity and name.
    pub body: Option<(String, String)>,
    pub site: Option<String>,
    pub first_activity: Timestamp,
    pub last_activity: Timestamp,
    pub detected_at: Timestamp,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    /// Its newest change: receivers tell by it which of two exports is newer.
    pub modified_at: Timestamp,
    pub alerts: u64,
    pub events: u64,
    pub observables: Observables,
    /// The oldest first; empty for a body.
    pub seen: Vec<Seen>,
    /// ATT&CK (`T1110.001`), of all its rules.
    pub techniques: BTreeSet<String>,
    /// Those that were sent.
    pub advice: Vec<Advice>,
    /// Values that are hidden here and were left out.
    pub hidden: usize,
}

/// One alert of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub id: String,
    pub title: String,
    pub rule_name: String,
    pub level: Level,
    pub rsit: String,
    pub first: Timestamp,
    pub last: Timestamp,
    pub records: u64,
    pub observables: Observables,
    pub techniques: BTreeSet<String>,
}

/// One recommendation of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    pub id: String,
    pub title: String,
    pub intro: String,
    pub sent_at: Timestamp,
    pub state: RecommendationState,
    /// The step and whether it is done.
    pub steps: Vec<(String, bool)>,
}

impl Advice {
    /// Introduction and steps as one text.
    pub(super) fn text(&self) -> String {
        let steps = self.steps.iter().enumerate().map(|(n, (step, done))| {
            let mark = if *done { " (erledigt)" } else { "" };
            format!("{}. {step}{mark}", n + 1)
        });
        [self.intro.clone()].into_iter().filter(|intro| !intro.is_empty()).chain(steps).collect::<Vec<_>>().join("\n")
    }
}

impl Package {
    /// `techniques` says what a rule of this short name watches for; `hides` whether a value of a field must not be seen
    /// here: then it is left out, and replaced where a text names it.
    pub fn of(
        view: &IncidentView,
        audience: Audience,
        techniques: &dyn Fn(&str) -> Vec<String>,
        hides: &dyn Fn(&str, &str) -> bool,
    ) -> Self {
        let incident = &view.incident;
        let secret = Secrets::of(view, hides);
        let seen: Vec<Seen> = view.alerts.iter().rev().map(|alert| seen(alert, techniques, &secret)).collect();
        let known = seen.iter().flat_map(|one| one.techniques.iter().cloned()).collect();
        let advice = view.recommendations.iter().filter_map(|one| {
            let sent_at = one.sent_at.filter(|_| one.state != RecommendationState::Draft)?;
            let steps = one.steps.iter().map(|step| (secret.text(&step.text), step.state == StepState::Done)).collect();
            let (title, intro) = (secret.text(&one.title), secret.text(&one.intro));
            Some(Advice { id: one.id.to_string(), title, intro, sent_at, state: one.state, steps })
        });
        let changed = view.history.iter().map(|event| event.recorded_at).max();
        Self {
            id: incident.id.to_string(),
            number: incident.number.clone(),
            title: secret.text(&incident.title),
            summary: secret.text(&view.summary),
            state: incident.state,
            severity: incident.severity,
            rsit: incident.rsit,
            tlp: incident.tlp,
            origin: incident.origin,
            disposition: incident.disposition,
            body: incident.body.map(|id| (id.to_string(), incident.body_name.clone().unwrap_or_default())),
            site: incident.site_name.clone(),
            first_activity: incident.first_activity,
            last_activity: incident.last_activity.max(incident.first_activity),
            detected_at: incident.detected_at,
            opened_at: incident.opened_at,
            closed_at: incident.closed_at,
            modified_at: changed.unwrap_or(incident.opened_at).max(incident.opened_at),
            alerts: incident.alerts,
            events: incident.events,
            observables: secret.observables(&view.observables),
            techniques: known,
            advice: advice.collect(),
            seen: if audience == Audience::Cert { seen } else { Vec::new() },
            hidden: secret.values.len(),
        }
    }

    /// Summary, and what is left out, in one text.
    pub(super) fn story(&self) -> String {
        match self.hidden {
            0 => self.summary.clone(),
            1 => format!("{}\n\n1 Angabe zu Personen ist verborgen.", self.summary),
            n => format!("{}\n\n{n} Angaben zu Personen sind verborgen.", self.summary),
        }
    }
}

fn seen(alert: &Alert, techniques: &dyn Fn(&str) -> Vec<String>, secret: &Secrets<'_>) -> Seen {
    Seen {
        id: alert.id.to_string(),
        title: secret.text(&alert.title),
        rule_name: alert.rule_name.clone(),
        level: alert.level,
        rsit: alert.rsit.clone(),
        first: alert.first,
        last: alert.last.max(alert.first),
        records: alert.records,
        observables: secret.observables(&alert.observables),
        techniques: techniques(&alert.rule_name).into_iter().collect(),
    }
}

/// The values of one case that must not be seen outside.
pub struct Secrets<'h> {
    hides: &'h dyn Fn(&str, &str) -> bool,
    /// The longest first: one may be a part of another.
    values: Vec<String>,
}

impl<'h> Secrets<'h> {
    /// `hides` as for `Package::of`.
    pub fn of(view: &IncidentView, hides: &'h dyn Fn(&str, &str) -> bool) -> Self {
        let mut values = BTreeSet::new();
        let fields = view.observables.iter().chain(view.alerts.iter().flat_map(|alert| &alert.observables));
        for (field, of_field) in fields {
            values.extend(of_field.iter().filter(|value| hides(field, value)).cloned());
        }
        for alert in &view.alerts {
            let (field, value) = match alert.entity.split_once(':') {
                Some(("user", name)) => ("user.name", name),
                Some(("ip", address)) => ("source.ip", address),
                _ => continue,
            };
            if hides(field, value) {
                values.insert(value.to_owned());
            }
        }
        let mut values: Vec<String> = values.into_iter().filter(|value| !value.is_empty()).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { hides, values }
    }

    /// How many values there are.
    pub fn count(&self) -> usize {
        self.values.len()
    }

    /// Those that may be seen: also what is hidden under one name and stands under another goes.
    pub fn observables(&self, all: &Observables) -> Observables {
        let kept = |(field, values): (&String, &Vec<String>)| {
            let values: Vec<String> =
                values.iter().filter(|value| !(self.hides)(field, value) && !self.values.contains(value)).cloned().collect();
            (!values.is_empty()).then(|| (field.clone(), values))
        };
        all.iter().filter_map(kept).collect()
    }

    /// The text with every hidden value replaced, however it is written; a value inside of a longer word is none.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in &self.values {
            text = replaced(&text, value);
        }
        text
    }
}

fn replaced(text: &str, value: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    while let Some(at) = find_folded(rest, value) {
        let (before, found) = rest.split_at(at);
        let (found, behind) = found.split_at_checked(value.len()).unwrap_or((found, ""));
        out.push_str(before);
        let inside = word(out.chars().next_back()) || word(behind.chars().next());
        out.push_str(if inside { found } else { HIDDEN });
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Where `value` stands in `text`, with ASCII letters in either case.
fn find_folded(text: &str, value: &str) -> Option<usize> {
    let same = |at: &usize| text.get(*at..at.saturating_add(value.len())).is_some_and(|part| part.eq_ignore_ascii_case(value));
    text.char_indices().map(|(at, _)| at).find(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_values_go_from_texts_too() {
        for (text, value, expected) in [
            ("Anmeldung: Konto m.mueller (Stadt)", "m.mueller", "Anmeldung: Konto [verborgen] (Stadt)"),
            ("M.Mueller und m.mueller", "m.mueller", "[verborgen] und [verborgen]"),
            ("administrator", "admin", "administrator"),
            ("10.1.1.50 10.1.1.5", "10.1.1.5", "10.1.1.50 [verborgen]"),
            ("müller", "müller", "[verborgen]"),
            ("ß", "x", "ß"),
        ] {
            assert_eq!(replaced(text, value), expected, "{text}");
        }
    }
}
