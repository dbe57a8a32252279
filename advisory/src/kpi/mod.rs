//! KPIs.
pub mod stats;
