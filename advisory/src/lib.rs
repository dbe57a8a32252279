//! The third stage: warns and counts.

pub mod acknowledgement;
pub mod advisory;
pub mod answer_link;
pub mod csaf;
pub mod delivery;
pub mod gate;
pub mod imap;
pub mod kpi;
pub mod letter;
pub mod lmtp;
pub mod mail;
pub mod mailroom;
pub mod openpgp;
pub mod outbox;
pub mod proposal;
pub mod publication;
pub mod reminder;
pub mod self_report;
pub mod store;
pub mod subscription;
mod token;
pub mod tree;
pub mod workflow;
