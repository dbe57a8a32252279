//! The same act on many alerts: in one transaction, so that all of it happens or nothing, and read in bounded parts. What cannot
//! be done to one of them is counted by its reason and does not hold up the others.

use std::collections::BTreeMap;

use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction};
use ingest::time::Timestamp;

use super::{AlertFilter, AlertId, AlertState, Disposition, alert_move, alerts_find, condition};
use crate::incident::{CaseError, Change, IncidentId, NotJoined, State, alerts_join, demand, incident_change, incident_find};
use crate::role::{Action, Role};

/// Alerts of one act: a storm's. More come in a second round, and the page says so.
pub const ALERTS_BULK_MAX: usize = 10_000;
/// Alerts that are read at once.
const PART: usize = 500;

/// What is to be done to all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlertAct {
    Acknowledge,
    /// Acknowledges them and gives the open cases that they stand in to this account.
    Assign(String),
    Close(Disposition),
    Join(IncidentId),
}

/// Why one was left as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotDone {
    /// Acknowledged or closed already.
    State,
    Join(NotJoined),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertsDone {
    pub done: usize,
    /// Cases that changed hands.
    pub cases: usize,
    pub refused: BTreeMap<NotDone, usize>,
}

/// Does `act` to each of `ids`.
///
/// # Errors
/// `Forbidden`; `Invalid` for too many; `Transition` and `NotFound` for the case that they shall go into; the database's own.
/// Nothing was done then.
pub fn alerts_bulk(
    tx: &Transaction<'_>,
    ids: &[AlertId],
    act: &AlertAct,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<AlertsDone, CaseError> {
    if ids.len() > ALERTS_BULK_MAX {
        return Err(CaseError::Invalid { what: "alerts", value: ids.len().to_string(), wanted: "at most 10,000 at once" });
    }
    let (to, disposition, user) = match act {
        AlertAct::Join(into) => {
            let joined = alerts_join(tx, *into, ids, actor, role, now)?;
            let refused = joined.refused.into_iter().map(|(why, n)| (NotDone::Join(why), n)).collect();
            return Ok(AlertsDone { done: joined.done, cases: 0, refused });
        }
        AlertAct::Close(disposition) => {
            demand(Action::AlertClose, role)?;
            (AlertState::Closed, Some(*disposition), None)
        }
        AlertAct::Acknowledge => {
            demand(Action::AlertAcknowledge, role)?;
            (AlertState::Acknowledged, None, None)
        }
        AlertAct::Assign(user) => {
            demand(Action::AlertAcknowledge, role)?;
            demand(Action::IncidentAssign, role)?;
            (AlertState::Acknowledged, None, Some(user))
        }
    };
    let mut outcome = AlertsDone::default();
    let mut cases: BTreeMap<IncidentId, ()> = BTreeMap::new();
    for part in ids.chunks(PART) {
        let found = alerts_find(tx, part)?;
        let missing = part.len() - found.len();
        if missing > 0 {
            *outcome.refused.entry(NotDone::Join(NotJoined::Missing)).or_default() += missing;
        }
        for alert in found {
            // Who takes over what somebody else has confirmed already still takes over its case.
            if user.is_some() && alert.state != AlertState::Closed {
                cases.extend(alert.incident.map(|id| (id, ())));
            }
            if alert.state < to {
                alert_move(tx, &alert, to, disposition, actor, now, now)?;
                outcome.done += 1;
            } else if user.is_none() || alert.state == AlertState::Closed {
                *outcome.refused.entry(NotDone::State).or_default() += 1;
            } else {
                outcome.done += 1;
            }
        }
    }
    if let Some(user) = user {
        for id in cases.into_keys() {
            let Some(case) = incident_find(tx, id)?.filter(|case| case.state != State::Closed) else { continue };
            if case.assignee.as_ref() != Some(user) {
                incident_change(tx, id, case.version, &Change::Assign(Some(user.clone())), actor, role, now)?;
                outcome.cases += 1;
            }
        }
    }
    Ok(outcome)
}

/// The identities of all that a list shows on its pages, the newest first, and whether there are more than `ALERTS_BULK_MAX`.
///
/// # Errors
/// The database's own.
pub fn alert_ids(connection: &Connection, filter: &AlertFilter) -> Result<(Vec<AlertId>, bool), DbError> {
    let condition = condition(filter)?;
    let sql = format!("SELECT a.id FROM alert a WHERE {} ORDER BY a.id DESC LIMIT {}", condition.sql(), ALERTS_BULK_MAX + 1);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut ids: Vec<AlertId> =
        statement.query_map(condition.into_values(), |row| row.get(0))?.collect::<Result<_, ingest::rusqlite::Error>>()?;
    let more = ids.len() > ALERTS_BULK_MAX;
    ids.truncate(ALERTS_BULK_MAX);
    Ok((ids, more))
}
