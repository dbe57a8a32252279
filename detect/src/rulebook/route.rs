//! Where a finding goes whose rule stands in no file: detectors, the house's own watches, hunts through the past. They go on
//! learning and looking whatever their rule's state is; what they find is filed as it stands at that moment.

use ingest::db::DbError;
use ingest::rusqlite::{Connection, OptionalExtension, Transaction};
use ingest::time::Timestamp;

use super::{RuleState, probe_add};
use crate::finding::Finding;
use crate::incident::finding_file;
use crate::playbook::Playbooks;

/// How a rule stands, by its short name.
///
/// # Errors
/// The database's own.
pub(crate) fn rule_state(connection: &Connection, rule: &str) -> Result<RuleState, DbError> {
    let mut statement = connection.prepare_cached("SELECT state FROM rule_state WHERE rule = ?1")?;
    let state: Option<String> = statement.query_row([rule], |row| row.get(0)).optional()?;
    Ok(state.and_then(|state| RuleState::parse(&state)).unwrap_or_default())
}

/// Files a finding of a rule that is on, notes it of one on probation, and drops it of one that is off.
///
/// # Errors
/// The database's own.
pub(crate) fn finding_route(tx: &Transaction<'_>, playbooks: &Playbooks, finding: &Finding, now: Timestamp) -> Result<(), DbError> {
    match rule_state(tx, &finding.rule.name)? {
        RuleState::On => finding_file(tx, playbooks, finding, now).map(drop),
        RuleState::Probe => probe_add(tx, std::iter::once(finding), now),
        RuleState::Off => Ok(()),
    }
}
