//! The mails that a form's transaction puts into the outbox: gathered before it, because a transaction does nothing
//! but write.

use std::sync::Arc;

use advisory::advisory::Tlp;
use advisory::answer_link::{LINK_MILLIS, link_add};
use advisory::csaf::Publisher;
use advisory::mail::{self, RecommendedStep};
use advisory::outbox::outbox_add;
use detect::incident::{CaseError, IncidentView};
use detect::recommendation::{Recommendation, Step};
use ingest::body::{self, BodyId, Contact};
use ingest::db::DbError;
use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;

use crate::web::{Ask, PageError};

/// What `put` needs.
pub(super) struct RecommendationMails {
    incident: String,
    number: String,
    title: String,
    tlp: Tlp,
    observation: String,
    to: Option<(BodyId, String)>,
    contacts: Vec<Contact>,
    publisher: Arc<Publisher>,
}

pub(super) fn recommendation(ask: &Ask, view: &IncidentView) -> Result<RecommendationMails, PageError> {
    let incident = &view.incident;
    let contacts = match incident.body {
        Some(body) => ask.app.db.read(|c| body::contact_list(c, body))?,
        None => vec![],
    };
    Ok(RecommendationMails {
        incident: incident.id.to_string(),
        number: incident.number.clone(),
        title: incident.title.clone(),
        tlp: Tlp::ALL.iter().copied().find(|tlp| tlp.label() == format!("TLP:{}", incident.tlp.as_str())).unwrap_or(Tlp::Red),
        observation: view.summary.clone(),
        to: incident.body.zip(incident.body_name.clone()),
        contacts,
        publisher: ask.app.publisher.clone(),
    })
}

impl RecommendationMails {
    /// One mail per contact of the body, in the transaction that marks the recommendation as sent.
    pub(super) fn put(&self, tx: &Transaction<'_>, sent: &Recommendation, now: Timestamp) -> Result<(), CaseError> {
        let Some((body, body_name)) = &self.to else { return Ok(()) };
        let due = |step: &Step| sent.sent_at.map(|at| at.plus(step.within_minutes.saturating_mul(Timestamp::MINUTE)));
        let steps: Vec<RecommendedStep<'_>> =
            sent.steps.iter().map(|step| RecommendedStep { title: &step.text, text: &step.confirm, due_at: due(step) }).collect();
        for contact in &self.contacts {
            let mail = mail::recommendation_mail(
                &mail::Recommendation {
                    key: format!("recommendation:{}:{}", sent.id, contact.id),
                    incident: self.incident.clone(),
                    number: &self.number,
                    title: &self.title,
                    tlp: self.tlp,
                    body: *body,
                    body_name,
                    contact: contact.id,
                    contact_name: &contact.name,
                    email: &contact.email,
                    observation: &self.observation,
                    steps: &steps,
                    token: link_add(tx, sent.id, contact.id, now)?,
                    until: now.plus(LINK_MILLIS),
                },
                &self.publisher,
            );
            outbox_add(tx, &mail, now).map_err(|error: DbError| CaseError::Db(error))?;
        }
        Ok(())
    }
}
