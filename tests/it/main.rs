//! The one integration binary: each further one would link everything again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests fail loudly and say what they skip"
)]

mod blast;
mod browser;
mod commands;
mod demo;
mod detectors;
mod end_to_end;
mod enrich;
mod exchange;
mod faults;
mod flow_parity;
mod flows;
mod fuzz;
mod indicators;
mod intake;
mod journal;
mod program;
mod pseudonyms;
mod real_clients;
mod rules;
mod rules_peer;
mod statewide;
mod tidy;
mod webhooks;
