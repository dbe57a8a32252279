//! Integration tests: one binary with a module per topic, because each binary more links everything again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr, reason = "a test that panics has done its work")]

mod real_clients;
mod tidy;
