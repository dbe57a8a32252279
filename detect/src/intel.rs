//! Indicators: addresses, nets, names, URLs, hashes and mail addresses that somebody warned of, with their list, TLP,
//! confidence and expiry. An indicator alone raises nothing: rules ask for `threat.indicator.name` and `threat.feed.name`.
//!
//! `pattern` and `url` say what an indicator is, `read` takes it from the formats that feeds have, `feed` and `taxii` fetch
//! them, `store` keeps it, `warning` says what never matches, `set` (over `table` and `ranges`) finds it, `enriched` asks
//! for all of a record, and `sighting` counts what was met.

mod enriched;
mod export;
pub mod feed;
mod pattern;
mod ranges;
pub mod read;
mod set;
mod shared;
mod sighting;
mod store;
mod table;
pub mod taxii;
mod tlp;
mod url;
mod warning;

pub use enriched::{Enriched, LOOKED_UP, Role};
pub use export::{Flavour, sightings_export};
pub(crate) use export::{stix_marking, stix_pattern};
pub use pattern::{HashKind, KINDS, Pattern, PatternError};
pub(crate) use read::stix_label;
pub use set::{Attributes, Hit, INDICATORS_MAX, IndicatorSet};
pub use shared::SharedIndicators;
pub use sighting::{Seen, Sightings};
pub(crate) use store::indicator_load_of_hunts;
pub use store::{
    Indicator, IndicatorId, ListFilter, ListSummary, Listed, Loaded, MIGRATIONS, NewIndicator, Only, Put, VALUES_MAX, indicator_add,
    indicator_change, indicator_list, indicator_lists, indicator_load, indicator_refresh,
};
pub use tlp::Tlp;
pub use warning::{NewWarning, WarningList, Warnings, warning_house, warning_lists, warning_load, warning_replace};
