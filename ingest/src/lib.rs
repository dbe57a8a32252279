//! The first stage: receives, journals, decodes and stores what the municipal sites send. Owns Event, Flow, Body,
//! Site, Source, the journal, the stores, the history and the database handle. Knows nothing of rules, incidents,
//! advisories or pages: those read from here by cursor.

pub mod audit;
pub mod body;
pub mod db;
pub mod decode;
pub mod disk;
pub mod enrich;
pub mod event;
pub mod events;
pub mod fields;
pub mod flow;
pub mod flows;
pub mod frame;
pub mod history;
pub mod id;
pub mod import;
pub mod journal;
pub mod listen;
pub mod pipeline;
pub mod pseudonym;
pub mod query;
pub mod record;
pub mod scope;
pub mod source;
pub mod state;
pub mod syslog;
pub mod time;

/// The SQLite binding that the handle speaks, so that every owner's store uses the same one.
pub use rusqlite;
