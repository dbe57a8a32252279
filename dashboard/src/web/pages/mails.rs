//! The mails that a form's transaction puts into the outbox.

use detect::incident::{CaseError, IncidentView};
use detect::recommendation::Recommendation;
use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;

use crate::web::{Ask, PageError};

/// What `put` needs, gathered before the transaction.
pub(super) struct RecommendationMails;

pub(super) fn recommendation(_ask: &Ask, _view: &IncidentView) -> Result<RecommendationMails, PageError> {
    Ok(RecommendationMails)
}

impl RecommendationMails {
    pub(super) fn put(&self, _tx: &Transaction<'_>, _sent: &Recommendation, _now: Timestamp) -> Result<(), CaseError> {
        Ok(())
    }
}
