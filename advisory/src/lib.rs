//! The third stage: warns and counts.

pub mod kpi;
