//! The second stage: judges what `ingest` stored, and works the cases that come of it. Owns Rule, Indicator, Alert,
//! Incident, Playbook and Recommendation. Knows nothing of advisories or pages.

pub mod finding;
pub mod role;
pub mod rule;
