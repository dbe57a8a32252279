//! Whether a rule is on, on probation or off, who said so, when and why. A rule without a row is on.

use std::collections::BTreeMap;

use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;

use crate::incident::{CaseError, demand, line_clean};
use crate::role::{Action, Role};
use crate::watch::watch_renew;

/// A reason is a sentence or two.
const REASON_CHARS_MAX: usize = 500;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleState {
    #[default]
    On,
    /// It is evaluated and its hits can be seen, but nobody is alerted.
    Probe,
    Off,
}

impl RuleState {
    pub const ALL: [Self; 3] = [Self::On, Self::Probe, Self::Off];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Probe => "probe",
            Self::Off => "off",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// How a rule stands, and who decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleStand {
    pub state: RuleState,
    pub reason: String,
    pub actor: String,
    pub changed_at: Timestamp,
    /// Findings since it is on probation.
    pub hits: u64,
}

/// What is to become of a rule.
#[derive(Clone, Debug)]
pub struct StateChange {
    /// Its short name.
    pub rule: String,
    pub state: RuleState,
    pub reason: String,
}

/// The rules that somebody has ever switched.
///
/// # Errors
/// The database's own.
pub fn rule_states(connection: &Connection) -> Result<BTreeMap<String, RuleStand>, DbError> {
    let mut statement = connection.prepare_cached("SELECT rule, state, reason, actor, changed_at, hits FROM rule_state")?;
    let rows = statement.query_map([], |row| {
        let stand = RuleStand {
            state: RuleState::parse(&row.get::<_, String>(1)?).unwrap_or_default(),
            reason: row.get(2)?,
            actor: row.get(3)?,
            changed_at: Timestamp(row.get(4)?),
            hits: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(0),
        };
        Ok((row.get(0)?, stand))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Switches a rule. What is not simply on has a reason; a new probation begins without hits.
///
/// # Errors
/// `Forbidden`, `Invalid` without a reason; the database's own.
pub fn rule_state_set(tx: &Transaction<'_>, change: &StateChange, actor: &str, role: Role, now: Timestamp) -> Result<(), CaseError> {
    demand(Action::RuleSwitch, role)?;
    let reason = line_clean(&change.reason, REASON_CHARS_MAX);
    if reason.is_empty() && change.state != RuleState::On {
        return Err(CaseError::Invalid { what: "reason", value: reason, wanted: "why a rule does not simply run" });
    }
    tx.execute("DELETE FROM probe_hit WHERE rule = ?1", [&change.rule])?;
    watch_renew(tx, &change.rule)?;
    tx.execute(
        "INSERT INTO rule_state (rule, state, reason, actor, changed_at, hits) VALUES (?1, ?2, ?3, ?4, ?5, 0)
         ON CONFLICT (rule) DO UPDATE SET state = excluded.state, reason = excluded.reason, actor = excluded.actor,
             changed_at = excluded.changed_at, hits = 0",
        params![change.rule, change.state.as_str(), reason, actor, now.0],
    )?;
    Ok(())
}
