//! Why an alert's rule fired, as pages show it: what matched, marked, or what was counted.

use std::collections::HashMap;

use detect::alert::{AlertId, alert_explanations};
use detect::explanation::{Because, Explanation};
use ingest::db::DbError;

use crate::web::Ask;
use crate::words::explain::{self, Told};

/// One explanation.
pub(super) struct Why {
    pub(super) told: Vec<Told>,
    pub(super) counted: Vec<(&'static str, String)>,
    /// The records that it speaks of: number and where they are shown.
    pub(super) events: Vec<(u64, String)>,
    pub(super) version: String,
}

impl Why {
    fn new(explanation: &Explanation) -> Self {
        let event = |seq: u64| (seq, format!("/ereignis/{seq}"));
        let (counted, events) = match &explanation.because {
            Because::Record { seq, .. } => (Vec::new(), vec![event(seq.0)]),
            Because::Count(counted) => (explain::counted(counted), counted.firsts.iter().map(|seq| event(seq.0)).collect()),
        };
        Self { told: explain::explained(explanation), counted, events, version: explain::version(&explanation.version) }
    }
}

/// Those that read the same once, with all the records that they speak of.
fn folded(all: impl Iterator<Item = Why>) -> Vec<Why> {
    let mut kept: Vec<Why> = Vec::new();
    for why in all {
        let same = |known: &&mut Why| (&known.told, &known.counted, &known.version) == (&why.told, &why.counted, &why.version);
        match kept.iter_mut().find(same) {
            Some(known) => known.events.extend(why.events),
            None => kept.push(why),
        }
    }
    kept
}

/// Why these alerts came, as far as the viewer may see them.
pub(super) fn load(ask: &Ask, ids: &[AlertId]) -> Result<HashMap<AlertId, Vec<Why>>, DbError> {
    let scope = ask.scope();
    let all = ask.app.db.read(|c| alert_explanations(c, &scope, ids))?;
    Ok(all.into_iter().map(|(id, explanations)| (id, folded(explanations.iter().map(Why::new)))).collect())
}
