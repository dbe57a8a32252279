//! The last stage: pages, command line, configuration and the wiring of it all.
pub mod config;
pub mod demo;
