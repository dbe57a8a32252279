//! Stub: flows.
