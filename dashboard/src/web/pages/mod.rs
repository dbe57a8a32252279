//! The pages: each a view model, a template and a function that loads it with the viewer's scope.

pub(super) mod account;
pub(super) mod account_edit;
pub(super) mod accounts;
pub(super) mod acknowledge;
pub(super) mod advisories;
pub(super) mod alerts;
pub(super) mod answer_link;
pub(super) mod api;
mod columns;
pub(super) mod deadlines;
pub(super) mod duties;
pub(super) mod error;
pub(super) mod event;
pub(super) mod evidence;
pub(super) mod exhibits;
pub(super) mod export;
mod exporters;
pub(super) mod flows;
pub(super) mod gallery;
pub(super) mod incident_edit;
pub(super) mod incident_export;
pub(super) mod incident_join;
pub(super) mod incident_new;
pub(super) mod incidents;
pub(super) mod indicators;
pub(super) mod invitation;
pub(super) mod kept;
pub(super) mod kpis;
pub(super) mod letters;
pub(super) mod mailbox;
mod mails;
pub(super) mod mandates;
pub(super) mod metrics;
pub(super) mod oidc;
pub(super) mod protocol;
mod range;
pub(super) mod raster;
pub(super) mod reveals;
pub(super) mod rules;
pub(super) mod saved;
pub(super) mod search;
pub(super) mod self_report;
pub(super) mod source;
pub(super) mod sources;
pub(super) mod start;
pub(super) mod subscriptions;
pub(super) mod tail;
pub(super) mod tasks;
pub(super) mod timeline;
pub(super) mod tokens;
mod value;
pub(super) mod webhooks;
mod why;

use detect::incident::{IncidentFilter, State, incident_list};

use super::Ask;
use super::frame::{Count, Fresh, Place};
use crate::words::t;

/// How fresh the data are; nothing for those who see none.
pub(super) fn fresh(ask: &Ask) -> Option<Fresh> {
    /// A house without a line for so long has a broken wire, not a quiet hour.
    const LATE_MILLIS: i64 = 5 * ingest::time::Timestamp::MINUTE;
    let last = sources::last_seen(ask)?;
    Some(Fresh { last: crate::show::time(last, ask.now), late: ask.now.since(last) > LATE_MILLIS })
}

/// Open cases of one body that are counted; more than a hundred have never been open at once.
const OPEN_COUNTED_MAX: usize = 200;

/// The number beside a navigation item: what waits there. A figure that cannot be had is left out; the page itself
/// says what is wrong.
pub(super) fn count(ask: &Ask, place: Place) -> Option<Count> {
    let scope = ask.scope();
    match place {
        Place::Alerts => {
            let n = ask.app.db.read(|c| detect::alert::alert_counts(c, &scope)).ok()?.new;
            Some(Count { n, what: t("neue Alarme"), urgent: true })
        }
        Place::Incidents if scope == ingest::scope::Scope::All => {
            let n = ask.app.db.read(|c| detect::incident::incident_counts(c, &scope)).ok()?;
            Some(Count { n: n.new, what: t("noch nicht gesichtet"), urgent: true })
        }
        Place::Incidents => {
            // A case that its label hides from somebody must not show as a number either.
            let open = IncidentFilter { states: State::OPEN.to_vec(), limit: OPEN_COUNTED_MAX, ..incidents::readable(ask) };
            let n = ask.app.db.read(|c| incident_list(c, &open)).ok()?.len();
            Some(Count { n: n as u64, what: t("offen"), urgent: false })
        }
        Place::Tasks => {
            let counts = tasks::counts(ask).ok()?;
            Some(Count { n: counts.mine, what: t("offene Aufgaben von Ihnen"), urgent: counts.mine_overdue > 0 })
        }
        Place::Post => {
            let (n, _) = ask.app.db.read(advisory::mailroom::letter_counts).ok()?;
            Some(Count { n, what: t("Mails zu sortieren"), urgent: true })
        }
        Place::Reveals => {
            let viewer = ask.viewer.as_ref()?;
            let n = ask.app.db.read(|c| crate::reveal::reveal_waiting(c, viewer.user, viewer.role, ask.now)).ok()?;
            Some(Count { n, what: t("warten auf Ihre Entscheidung"), urgent: true })
        }
        _ => None,
    }
}
