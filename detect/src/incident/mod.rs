//! The incident: its states and who may move it, as tables and pure functions. `store` keeps it, `change` applies
//! what people do to it, `intake` makes it of findings, `report` of what people say, `join` merges and splits, `link` ties
//! two together, `statewide` is what only a case of the state has, `words` tells it in German, `json` prints it.

mod bulk;
mod change;
mod intake;
mod join;
mod json;
mod link;
mod report;
mod service;
mod statewide;
mod store;
mod words;

use ingest::body::{BodyId, SiteId};
use ingest::db::DbError;
use ingest::history::HistoryEvent;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::alert::{Disposition, Observables};
use crate::role::{Action, Role};
use crate::rsit::Rsit;
use crate::rule::Level;

pub use bulk::{CASES_BULK_MAX, CaseAct, CasesDone, incidents_bulk};
pub(crate) use change::filled;
pub use change::{Change, incident_change};
pub use intake::{Filed, NewIncident, finding_file, incident_open_manual};
pub use join::{AlertsJoined, NotJoined, Seen, alerts_join, incident_merge, incident_split};
pub use json::{IncidentJson, incident_json};
pub use link::{CaseRef, Linked, Relations, incident_link, incident_relations, incident_root, incident_unlink};
pub use report::{ANSWER_CHARS_MAX, LINE_CHARS_MAX, Operation, Report};
pub use service::{SERVICES, service_name, services_known};
pub use statewide::{AffectedBody, OwnCase, Suggestion, SuggestionState, incident_of_warning, warning_decline, warning_draft};
pub use store::{
    Changed, IncidentCounts, IncidentFilter, IncidentLabel, IncidentView, MIGRATIONS, Note, incident_by_number, incident_changed,
    incident_counts, incident_get, incident_labels, incident_list, incident_marks,
};
pub(crate) use store::{ROWS_MAX, Where, incident_find, word_known};
pub(crate) use words::{line_clean, text_clean};

use Role::{Analyst, Lead};
use State::{Closed, Contained, InWork, New, Recovered, Triaged};

/// What belongs to a case is at most this far from its activity, in event time.
const GROUP_WINDOW: i64 = 14 * Timestamp::DAY;

ingest::id_type!(
    /// A case: what people call by its number.
    IncidentId
);

/// Where a case stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    New,
    Triaged,
    InWork,
    Contained,
    Recovered,
    Closed,
}

/// Who may move an incident. The diagram in the manual is drawn from this table. Merging is no way of it: it says nothing about
/// what happened, so that any open case may be merged by those who may (`Action::IncidentJoin`), and none comes back from it.
pub const TRANSITIONS: &[(State, State, &[Role])] = &[
    (New, Triaged, &[Analyst, Lead]),
    (Triaged, InWork, &[Analyst, Lead]),
    (Triaged, Contained, &[Analyst, Lead]),
    (Triaged, Closed, &[Lead]), // a false alarm, or nothing to do
    (InWork, Contained, &[Analyst, Lead]),
    (InWork, Closed, &[Lead]),
    (Contained, InWork, &[Analyst, Lead]), // it was not contained after all
    (Contained, Recovered, &[Analyst, Lead]),
    (Contained, Closed, &[Lead]),
    (Recovered, InWork, &[Analyst, Lead]),
    (Recovered, Closed, &[Lead]),
    (Closed, Triaged, &[Lead]), // reopened: still one incident in the KPIs
];

/// The states that `role` may move an incident to from `from`: the buttons of a page.
pub fn moves(from: State, role: Role) -> impl Iterator<Item = State> {
    let may = move |(start, _, roles): &&(State, State, &[Role])| *start == from && roles.contains(&role);
    TRANSITIONS.iter().filter(may).map(|(_, to, _)| *to)
}

impl State {
    pub const ALL: [Self; 6] = [New, Triaged, InWork, Contained, Recovered, Closed];
    pub const OPEN: [Self; 5] = [New, Triaged, InWork, Contained, Recovered];

    pub fn as_str(self) -> &'static str {
        match self {
            New => "new",
            Triaged => "triaged",
            InWork => "in_work",
            Contained => "contained",
            Recovered => "recovered",
            Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Traffic Light Protocol 2.0: who may receive a thing. Unlabelled does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Default)]
pub enum Tlp {
    #[serde(rename = "CLEAR")]
    Clear,
    #[serde(rename = "GREEN")]
    Green,
    #[default]
    #[serde(rename = "AMBER")]
    Amber,
    #[serde(rename = "AMBER+STRICT")]
    AmberStrict,
    #[serde(rename = "RED")]
    Red,
}

impl Tlp {
    pub const ALL: [Self; 5] = [Self::Clear, Self::Green, Self::Amber, Self::AmberStrict, Self::Red];

    /// As the standard writes it behind `TLP:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "CLEAR",
            Self::Green => "GREEN",
            Self::Amber => "AMBER",
            Self::AmberStrict => "AMBER+STRICT",
            Self::Red => "RED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|label| label.as_str() == text)
    }
}

/// Where the first word of an incident came from (the self-reported share is a KPI).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    Rule,
    Phone,
    Mail,
    SelfReport,
}

impl Origin {
    pub const ALL: [Self; 4] = [Self::Rule, Self::Phone, Self::Mail, Self::SelfReport];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Phone => "phone",
            Self::Mail => "mail",
            Self::SelfReport => "self_report",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.as_str() == text)
    }
}

/// A case as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Incident {
    pub id: IncidentId,
    /// `TC-2026-000123`: per year of opening, without gaps.
    pub number: String,
    pub title: String,
    pub state: State,
    pub severity: Level,
    pub rsit: Rsit,
    pub tlp: Tlp,
    pub origin: Origin,
    pub body: Option<BodyId>,
    pub body_name: Option<String>,
    pub site: Option<SiteId>,
    pub site_name: Option<String>,
    pub assignee: Option<String>,
    /// An analyst's own text; `None` while `IncidentView::summary` is made of the facts.
    pub summary: Option<String>,
    /// What a person typed in; the alerts' own observables come on top of it in `IncidentView`.
    pub observables: Observables,
    /// The base services that it concerns: keys of `SERVICES`, in that order.
    pub services: Vec<String>,
    pub first_activity: Timestamp,
    pub last_activity: Timestamp,
    pub detected_at: Timestamp,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
    pub disposition: Option<Disposition>,
    /// The case that it was merged into. It is then closed for good, without a verdict of its own.
    pub merged_into: Option<IncidentId>,
    /// Counts the changes by which two people could overwrite each other.
    pub version: i64,
    pub alerts: u64,
    /// Records behind all its alerts.
    pub events: u64,
}

/// Why something could not be done in a case. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("database: {0}")]
    Db(#[from] DbError),
    /// It does not exist, or this caller may not know that it does.
    #[error("{noun} {id} not found")]
    NotFound { noun: &'static str, id: String },
    #[error("role {} may not do {action}", role.as_str())]
    Forbidden { action: String, role: Role },
    #[error("no way from {from} to {to}")]
    Transition { from: &'static str, to: &'static str },
    /// Somebody else was faster; `since` says what they did.
    #[error("version {expected} is stale, the stored one is {found}")]
    Stale { expected: i64, found: i64, since: Vec<HistoryEvent> },
    #[error("{what}: {value:?} is not accepted, {wanted}")]
    Invalid { what: &'static str, value: String, wanted: &'static str },
}

impl From<ingest::rusqlite::Error> for CaseError {
    fn from(error: ingest::rusqlite::Error) -> Self {
        Self::Db(error.into())
    }
}

/// # Errors
/// `Forbidden` where the role may not.
pub fn demand(action: Action, role: Role) -> Result<(), CaseError> {
    if crate::role::allowed(action, role) { Ok(()) } else { Err(CaseError::Forbidden { action: format!("{action:?}"), role }) }
}

/// The decided part of a case as its history alone tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    pub title: String,
    pub state: State,
    pub severity: Level,
    pub rsit: Rsit,
    pub tlp: Tlp,
    pub services: Vec<String>,
    pub assignee: Option<String>,
    pub disposition: Option<Disposition>,
    pub merged_into: Option<IncidentId>,
    pub version: i64,
}

/// Replays an incident's history up to its newest version; `None` where it was never opened.
/// The order is that of the versions: an event time may be earlier than that of an earlier change.
pub fn replay(history: &[HistoryEvent]) -> Option<Replayed> {
    let version = |event: &HistoryEvent| event.data.get("version").and_then(serde_json::Value::as_i64);
    let mut versioned: Vec<(i64, &HistoryEvent)> = history.iter().filter_map(|event| Some((version(event)?, event))).collect();
    versioned.sort_by_key(|(version, _)| *version);
    let mut replayed: Option<Replayed> = None;
    for (version, event) in versioned {
        let text = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
        let words = |key: &str| {
            let all = event.data.get(key).and_then(serde_json::Value::as_array).into_iter().flatten();
            all.filter_map(|word| Some(word.as_str()?.to_owned())).collect::<Vec<String>>()
        };
        if event.kind == "incident.opened" {
            replayed = Some(Replayed {
                title: text("title").to_owned(),
                state: New,
                severity: Level::parse(text("severity"))?,
                rsit: text("rsit").parse().ok()?,
                tlp: Tlp::parse(text("tlp"))?,
                services: words("services"),
                assignee: None,
                disposition: None,
                merged_into: None,
                version,
            });
            continue;
        }
        let current = replayed.as_mut()?;
        current.version = version;
        let to = text("to");
        match event.kind.as_str() {
            "incident.severity" => current.severity = Level::parse(to)?,
            "incident.classified" => current.rsit = to.parse().ok()?,
            "incident.labelled" => current.tlp = Tlp::parse(to)?,
            "incident.services" => current.services = words("to"),
            "incident.titled" => current.title = to.to_owned(),
            "incident.assigned" => current.assignee = Some(to.to_owned()).filter(|user| !user.is_empty()),
            "incident.summarised" | "incident.took_in" | "incident.split" => {}
            "incident.merged" => {
                current.state = Closed;
                current.merged_into = Some(text("into").parse().ok()?);
            }
            _ => {
                current.state = State::parse(to)?;
                current.disposition = Disposition::parse(text("disposition"));
            }
        }
    }
    replayed
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod join_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod statewide_tests;
#[cfg(test)]
mod tests;
