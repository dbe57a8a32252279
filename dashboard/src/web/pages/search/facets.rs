//! The most frequent values beside the lines: of the usual fields, which a search counts anyway, and of any other that
//! somebody chooses. Each narrows the search to itself or leaves it out.

use std::time::Duration;

use ingest::events::{AggregateRequest, EventStore, SearchRequest, SearchResult, Value as Cell};
use ingest::fields::FieldId;
use ingest::query::{Pipeline, Rank, Stage};

use super::super::evidence::term;
use super::super::range::Range;
use super::super::value::with;
use crate::show;
use crate::web::{Ask, PageError};
use crate::words;

/// Fields that somebody can choose at once: each is counted anew.
const CHOSEN_MAX: usize = 4;
/// Values shown of a usual field, and of one that somebody asked for.
const VALUES: usize = 6;
const VALUES_CHOSEN: usize = 15;
/// Values of the table behind a facet's heading.
const ALL: usize = 100;
/// What is left of a search's time is never so little that a chosen field is not begun.
const TIME_MIN: Duration = Duration::from_millis(500);

pub(in crate::web) struct Facet {
    pub(in crate::web) label: &'static str,
    pub(in crate::web) field: &'static str,
    pub(in crate::web) values: Vec<FacetValue>,
    /// The table of all its values.
    pub(in crate::web) all: String,
    /// The page without it, where somebody chose it.
    pub(in crate::web) without: String,
    /// Time was over before everything was counted.
    pub(in crate::web) partial: bool,
}

pub(in crate::web) struct FacetValue {
    pub(in crate::web) text: String,
    pub(in crate::web) count: String,
    pub(in crate::web) only: String,
    pub(in crate::web) without: String,
}

/// The fields that somebody asks for beside the usual ones: from the form (`nach`, once each) or the address.
pub(in crate::web::pages) fn chosen(ask: &Ask) -> Vec<FieldId> {
    // The page of flows knows no such thing.
    let mut fields: Vec<FieldId> = Vec::new();
    for field in ask.query.all("nach").flat_map(|names| names.split(',')).filter_map(|name| FieldId::find(name.trim())) {
        if fields.len() < CHOSEN_MAX && !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
}

/// The chosen ones first.
pub(super) fn of(
    ask: &Ask,
    store: &EventStore,
    request: &SearchRequest,
    found: &SearchResult,
    range: &Range,
    text: &str,
) -> Result<Vec<Facet>, PageError> {
    let mut facets = vec![];
    let fields = chosen(ask);
    let mut left = request.time_max.saturating_sub(found.took);
    for field in &fields {
        let stage = Stage::Top { rows: VALUES_CHOSEN, field: *field, rank: Rank::Count };
        let pipeline = Pipeline { query: request.query.clone(), stages: vec![stage] };
        let mut top = AggregateRequest::new(pipeline, request.scope.clone(), request.sites.clone());
        (top.from, top.to, top.time_max) = (request.from, request.to, left.max(TIME_MIN));
        (top.real_values, top.cancel) = (request.real_values, request.cancel.clone());
        let counted = store.aggregate(&top).map_err(PageError::store)?;
        left = left.saturating_sub(counted.took);
        let value = |row: &Vec<Cell>| match row.as_slice() {
            [value, Cell::Int(count)] => Some((value.text().into_owned(), u64::try_from(*count).unwrap_or(0))),
            _ => None,
        };
        let values: Vec<(String, u64)> = counted.table.rows.iter().filter_map(value).collect();
        let others: Vec<&str> = fields.iter().filter(|other| *other != field).map(|other| other.name()).collect();
        let without = range.changed("/suche", text, "nach", &others.join(","));
        facets.push(Facet { without, partial: counted.partial, ..facet(*field, &values, VALUES_CHOSEN, range, text) });
    }
    let usual = found.top.iter().filter(|(field, values)| !values.is_empty() && !fields.contains(field));
    facets.extend(usual.map(|(field, values)| facet(*field, values, VALUES, range, text)));
    Ok(facets)
}

fn facet(field: FieldId, values: &[(String, u64)], most: usize, range: &Range, text: &str) -> Facet {
    let narrowed = |condition: &str| range.link("/suche", &[("q", &with(text, condition))]);
    let value = |(value, count): &(String, u64)| {
        let one = term(field.name(), value);
        FacetValue { text: value.clone(), count: show::num(*count), only: narrowed(&one), without: narrowed(&format!("NOT {one}")) }
    };
    let asked = if text.is_empty() { "*" } else { text };
    Facet {
        label: words::field(field),
        field: field.name(),
        values: values.iter().take(most).map(value).collect(),
        all: range.link("/suche", &[("q", &format!("{asked} | top {ALL} {}", field.name()))]),
        without: String::new(),
        partial: false,
    }
}
