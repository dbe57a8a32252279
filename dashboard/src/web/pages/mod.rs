//! The pages: each a view model, a template and a function that loads it with the viewer's scope.

pub(super) mod advisories;
pub(super) mod alerts;
pub(super) mod error;
pub(super) mod evidence;
pub(super) mod flows;
pub(super) mod incidents;
mod mails;
mod range;
pub(super) mod search;
pub(super) mod sources;
pub(super) mod start;

use super::Ask;
use super::frame::{Count, Place};

/// The number beside a navigation item: what waits there. A figure that cannot be had is left out; the page itself
/// says what is wrong.
pub(super) fn count(ask: &Ask, place: Place) -> Option<Count> {
    let scope = ask.scope();
    match place {
        Place::Alerts => {
            let n = ask.app.db.read(|c| detect::alert::alert_counts(c, &scope)).ok()?.new;
            Some(Count { n, what: "neue Alarme", urgent: true })
        }
        Place::Incidents => {
            let n = ask.app.db.read(|c| detect::incident::incident_counts(c, &scope)).ok()?;
            let internal = scope == ingest::scope::Scope::All;
            Some(if internal {
                Count { n: n.new, what: "noch nicht gesichtet", urgent: true }
            } else {
                Count { n: n.open, what: "offen", urgent: false }
            })
        }
        _ => None,
    }
}
