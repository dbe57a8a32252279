//! Reporting duties: which office must hear of a case, by when, and what its form asks. `book` holds them as data; here are
//! the clocks that run in a case, who may do what with them, and what each act leaves in the history.
//!
//! ```text
//! asked ──applies──► running ──sent──► sent ──received──► received
//!   │ ▲                │ ▲
//!   │ └─────reopen─────┼─┘
//!   └──waived──► waived ◄┘
//! ```

mod book;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::Transaction;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::incident::{CaseError, IncidentId, demand, filled, text_clean};
use crate::role::{Action, Role};

pub use book::{Applies, By, Duties, Duty, DutyError, Field, Recipient, Source, Trigger, Within, duty_parse};
pub(crate) use store::open_clocks;
pub use store::{ClockFilter, MIGRATIONS, clock_list, clocks_of, clocks_start};

use DutyState::{Asked, Received, Running, Sent, Waived};

ingest::id_type!(
    /// One duty in one case.
    ClockId
);

/// The longest answer of a form, reason or channel.
const TEXT_CHARS_MAX: usize = 10_000;
const LINE_CHARS_MAX: usize = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DutyState {
    /// Nobody has said yet whether it holds; the time runs all the same.
    Asked,
    Running,
    Sent,
    /// The recipient has confirmed it.
    Received,
    /// It does not hold, for a reason.
    Waived,
}

impl DutyState {
    pub const ALL: [Self; 5] = [Asked, Running, Sent, Received, Waived];

    pub fn as_str(self) -> &'static str {
        match self {
            Asked => "asked",
            Running => "running",
            Sent => "sent",
            Received => "received",
            Waived => "waived",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether somebody still has to do something before the deadline.
    pub fn is_open(self) -> bool {
        matches!(self, Asked | Running)
    }
}

/// Which state leads where; who may is `role::ALLOWED`'s.
const STEPS: &[(DutyState, DutyState)] = &[
    (Asked, Running),
    (Asked, Waived),
    (Asked, Sent), // reported at once: so it held
    (Running, Waived),
    (Running, Sent),
    (Sent, Received),
    (Waived, Running),
    (Sent, Running), // it was not sent after all
];

/// A duty's clock in a case. The duty's words are those of the time it started.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clock {
    pub id: ClockId,
    pub incident: IncidentId,
    /// Name of the duty.
    pub duty: String,
    pub title: String,
    pub basis: String,
    pub by: By,
    pub recipient: Recipient,
    pub question: Option<String>,
    pub state: DutyState,
    pub started_at: Timestamp,
    pub due_at: Timestamp,
    /// What was written into the form, by the field's key.
    pub answers: BTreeMap<String, String>,
    pub sent_at: Option<Timestamp>,
    /// How it was sent, and the recipient's reference where there is one.
    pub channel: Option<String>,
    pub reference: Option<String>,
    pub received_at: Option<Timestamp>,
    /// Why it does not hold.
    pub reason: Option<String>,
    pub version: i64,
}

/// How much time is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// Milliseconds to go, and whether less than a quarter of the time is left.
    Left {
        millis: i64,
        short: bool,
    },
    /// Milliseconds since the deadline passed with nothing sent.
    Overdue {
        millis: i64,
    },
    InTime,
    /// Sent so many milliseconds after the deadline.
    Late {
        millis: i64,
    },
    /// It does not hold.
    None,
}

impl Clock {
    pub fn remaining(&self, now: Timestamp) -> Remaining {
        match (self.state, self.sent_at) {
            (Waived, _) => Remaining::None,
            (Sent | Received, Some(at)) if at <= self.due_at => Remaining::InTime,
            (Sent | Received, Some(at)) => Remaining::Late { millis: at.since(self.due_at) },
            _ if now > self.due_at => Remaining::Overdue { millis: now.since(self.due_at) },
            _ => {
                let millis = self.due_at.since(now);
                Remaining::Left { millis, short: millis.saturating_mul(4) < self.due_at.since(self.started_at) }
            }
        }
    }
}

/// What somebody does with a clock.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// It holds.
    Apply,
    Waive {
        reason: String,
    },
    /// What the form says so far.
    Fill(BTreeMap<String, String>),
    Send {
        at: Option<Timestamp>,
        channel: String,
        reference: String,
    },
    Confirm {
        at: Option<Timestamp>,
        reference: String,
    },
    /// Taken back: not sent, or it holds after all.
    Reopen,
}

/// Applies an act that was made looking at `version`. A body's people act on the duties that are the body's own.
///
/// # Errors
/// `NotFound` also for a foreign body's; `Stale`, `Transition`, `Forbidden`, `Invalid`; the database's own.
#[expect(clippy::too_many_arguments, reason = "an act, on which version, and every change says who, as what and when")]
pub fn clock_act(
    tx: &Transaction<'_>,
    duties: &Duties,
    scope: &Scope,
    id: ClockId,
    version: i64,
    act: &Act,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Clock, CaseError> {
    let (clock, body) = store::find(tx, id)?.filter(|(_, body)| scope.body_allowed(*body)).ok_or_else(|| not_found(id))?;
    demand(if *scope == Scope::All { Action::DutyDecide } else { Action::DutyReport }, role)?;
    if *scope != Scope::All && clock.by != By::Body {
        return Err(not_found(id));
    }
    if clock.version != version {
        return Err(CaseError::Stale { expected: version, found: clock.version, since: Vec::new() });
    }
    let (next, kind, at) = acted(&clock, act, now)?;
    if !store::write(tx, &next, clock.version)? {
        return Err(CaseError::Stale { expected: version, found: clock.version, since: Vec::new() });
    }
    tell(tx, &next, body, kind, at, actor, now)?;
    match next.state {
        // One that waits for this one starts with it, and not where it was not sent after all.
        Sent => {
            store::clocks_start_of(tx, duties, clock.incident, now)?;
        }
        Running if clock.state == Sent => {
            let waiting = |other: &Clock| duties.get(&other.duty).is_some_and(|duty| duty.trigger == Trigger::Sent(clock.duty.clone()));
            for other in clocks_of(tx, &Scope::All, clock.incident)?.iter().filter(|other| other.state.is_open() && waiting(other)) {
                store::remove(tx, other.id)?;
                tell(tx, other, body, "duty.withdrawn", now, actor, now)?;
            }
        }
        _ => {}
    }
    Ok(next)
}

/// The clock after an act, the history's word for it, and when it happened. Pure.
fn acted(clock: &Clock, act: &Act, now: Timestamp) -> Result<(Clock, &'static str, Timestamp), CaseError> {
    let mut next = clock.clone();
    next.version += 1;
    let (kind, at) = match act {
        Act::Apply => {
            step(&mut next, Running)?;
            ("duty.due", now)
        }
        Act::Waive { reason } => {
            next.reason = Some(filled("reason", reason, TEXT_CHARS_MAX)?);
            step(&mut next, Waived)?;
            ("duty.waived", now)
        }
        Act::Fill(answers) => {
            if clock.state == Waived {
                return Err(CaseError::Transition { from: clock.state.as_str(), to: "filled" });
            }
            for (key, answer) in answers {
                next.answers.insert(text_clean(key, LINE_CHARS_MAX), text_clean(answer, TEXT_CHARS_MAX));
            }
            ("duty.filled", now)
        }
        Act::Send { at, channel, reference } => {
            let at = moment(clock.started_at, *at, now)?;
            next.channel = Some(filled("channel", channel, LINE_CHARS_MAX)?);
            next.reference = Some(text_clean(reference, LINE_CHARS_MAX)).filter(|text| !text.is_empty());
            next.sent_at = Some(at);
            step(&mut next, Sent)?;
            ("duty.sent", at)
        }
        Act::Confirm { at, reference } => {
            let at = moment(clock.sent_at.unwrap_or(clock.started_at), *at, now)?;
            next.reference = Some(text_clean(reference, LINE_CHARS_MAX)).filter(|text| !text.is_empty()).or(next.reference);
            next.received_at = Some(at);
            step(&mut next, Received)?;
            ("duty.received", at)
        }
        Act::Reopen => {
            (next.sent_at, next.channel, next.reference, next.reason) = (None, None, None, None);
            step(&mut next, Running)?;
            ("duty.reopened", now)
        }
    };
    Ok((next, kind, at))
}

fn step(clock: &mut Clock, to: DutyState) -> Result<(), CaseError> {
    if !STEPS.contains(&(clock.state, to)) {
        return Err(CaseError::Transition { from: clock.state.as_str(), to: to.as_str() });
    }
    clock.state = to;
    Ok(())
}

/// When it happened: now, or a moment since the clock could have seen it.
fn moment(earliest: Timestamp, at: Option<Timestamp>, now: Timestamp) -> Result<Timestamp, CaseError> {
    let at = at.unwrap_or(now);
    if at > now || at < earliest {
        return Err(CaseError::Invalid { what: "time", value: at.to_string(), wanted: "between the clock's start and now" });
    }
    Ok(at)
}

fn not_found(id: ClockId) -> CaseError {
    CaseError::NotFound { noun: "duty", id: id.to_string() }
}

/// Records what became of a clock; every event says the deadline, so that the figures need no other table.
fn tell(
    tx: &Transaction<'_>,
    clock: &Clock,
    body: Option<ingest::body::BodyId>,
    kind: &'static str,
    at: Timestamp,
    actor: &str,
    now: Timestamp,
) -> Result<(), CaseError> {
    let data: Value = json!({
        "clock": clock.id, "duty": clock.duty, "by": clock.by, "basis": clock.basis, "due_at": clock.due_at, "reason": clock.reason,
        "channel": clock.channel, "reference": clock.reference,
    });
    let subject = clock.incident.to_string();
    history_add(tx, now, &NewHistory { event_time: at, kind, subject, body, actor: actor.to_owned(), data, corrects: None })?;
    Ok(())
}
