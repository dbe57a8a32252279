//! The demo.
mod bodies;
pub mod sink;
