//! The second stage: judges what `ingest` stored, and works the cases that come of it. Owns Rule, Indicator, Alert,
//! Incident, Playbook and Recommendation. Knows nothing of advisories or pages.

pub mod alert;
pub mod attack;
pub mod consumer;
mod correlate;
pub mod duty;
pub mod engine;
pub mod exchange;
pub mod exhibit;
pub mod explanation;
mod feed;
pub mod finding;
pub mod flow;
pub mod incident;
pub mod intel;
pub mod json_record;
pub mod pack;
pub mod playbook;
pub mod recommendation;
pub mod reminder;
pub mod role;
pub mod rsit;
pub mod rule;
pub mod rulebook;
mod say;
pub mod sigma;
pub mod snapshot;
pub mod task;
pub mod timeline;
pub mod watch;
