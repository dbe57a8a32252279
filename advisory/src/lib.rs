//! The third stage.
pub mod kpi;
