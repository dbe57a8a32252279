//! `search` and `flows`: asking the stores from a terminal.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ingest::events::SearchRequest;
use ingest::fields::FieldId;
use ingest::flows::{FlowRange, GroupBy, Measure, TopRequest};
use ingest::query::Query;
use ingest::record::{FlowView, Record};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Map, Value, json};

use super::{SOME_FAILED, eprint_line, print_event, print_object};
use crate::cli::{FlowsArgs, SearchArgs, Span};
use crate::node::View;
use crate::show;

pub(super) fn search(args: &SearchArgs, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let (from, to) = span(&args.span, now)?;
    let mut request = SearchRequest::new(query(&args.query)?, Scope::All, view.sites.clone());
    (request.from, request.to, request.buckets, request.time_max) = (from, to, 1, TIME_MAX);
    request.summary = !args.json;
    // Who reads this directory reads its keys too.
    request.real_values = true;
    let (mut left, mut total) = (args.limit, None);
    let missing;
    loop {
        request.limit = left.min(1_000);
        let result = view.events.search(&request).map_err(|error| anyhow::anyhow!("{error}"))?;
        total.get_or_insert((result.total, result.took, result.partial));
        for event in &result.hits {
            print_event(args.json, event, view.sites.name(event.site), out)?;
        }
        left = left.saturating_sub(result.hits.len());
        match result.next {
            Some(next) if left > 0 && (result.partial || !result.hits.is_empty()) => {
                request.before = Some(next);
                request.summary = false;
            }
            _ => {
                // With a summary, `partial` may speak of its counts alone.
                missing = result.partial && !request.summary;
                break;
            }
        }
    }
    out.flush()?;
    if let (false, Some((total, took, partial))) = (args.json, total) {
        let more = if partial { "mindestens " } else { "" };
        eprint_line(&format!("{more}{} Treffer in {} ms", show::num(total), took.as_millis()));
    }
    if missing {
        let minutes = TIME_MAX.as_secs() / 60;
        eprint_line(&format!("Nach {minutes} Minuten abgebrochen: es fehlen Treffer. Den Zeitraum mit --from und --to einengen."));
        return Ok(ExitCode::from(SOME_FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

/// Who searches from a terminal can end it himself, and an export must be whole or say that it is not.
const TIME_MAX: Duration = Duration::from_secs(10 * 60);

pub(super) fn flows(args: &FlowsArgs, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let (from, to) = span(&args.span, now)?;
    let query = query(&args.query)?;
    let filter = |record: &dyn Record| query.matches(record);
    let range = FlowRange {
        from: from.unwrap_or(Timestamp(0)),
        to: to.unwrap_or(Timestamp(i64::MAX)),
        filter: Some(&filter),
        scope: &Scope::All,
        sites: &view.sites,
    };
    match &args.top {
        None => {
            for flow in view.flows.list(&range, args.limit)? {
                print_object(args.json, record_json(&FlowView { flow: &flow, sites: &view.sites }), out)?;
            }
        }
        Some(field) => {
            let by = FieldId::find(field).and_then(GroupBy::from_field);
            let by = by.with_context(|| format!("Nach „{field}“ lassen sich Flüsse nicht zusammenfassen. Möglich: source.ip, destination.ip, destination.port, network.transport, site"))?;
            let result = view.flows.top(&TopRequest { range, by, measure: Measure::Bytes, limit: args.limit })?;
            for row in result.rows {
                if args.json {
                    writeln!(out, "{}", json!(row))?;
                } else {
                    writeln!(out, "{:<40} {:>14} Bytes {:>10} Pakete {:>8} Flüsse", row.key, row.bytes, row.packets, row.flows)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn query(text: &str) -> Result<Query> {
    if text.trim() == "*" {
        return Ok(Query::all());
    }
    Query::parse(text).map_err(|error| anyhow::anyhow!("Anfrage: {error}"))
}

pub(super) fn span(span: &Span, now: Timestamp) -> Result<(Option<Timestamp>, Option<Timestamp>)> {
    let read = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => moment(text, now)
            .map(Some)
            .with_context(|| format!("„{text}“ ist keine Zeit. Zum Beispiel: 2026-11-21, 2026-11-21T14:00:00Z, 15m, 2h, 7d")),
    };
    Ok((read(&span.from)?, read(&span.to)?))
}

/// A moment as people write it: RFC 3339, a day (in Germany), or how long ago.
fn moment(text: &str, now: Timestamp) -> Option<Timestamp> {
    use chrono::TimeZone as _;
    if let Some(moment) = Timestamp::parse_rfc3339(text) {
        return Some(moment);
    }
    if let Ok(day) = text.parse::<chrono::NaiveDate>() {
        let midnight = chrono_tz::Europe::Berlin.from_local_datetime(&day.and_hms_opt(0, 0, 0)?).earliest()?;
        return Some(Timestamp(midnight.timestamp_millis()));
    }
    let unit = match text.chars().last()? {
        's' => Timestamp::SECOND,
        'm' => Timestamp::MINUTE,
        'h' => Timestamp::HOUR,
        'd' => Timestamp::DAY,
        _ => return None,
    };
    let number: u32 = text.get(..text.len() - 1)?.parse().ok()?;
    Some(now.plus(-i64::from(number).saturating_mul(unit)))
}

pub(super) fn record_json(record: &dyn Record) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("@timestamp".into(), record.timestamp().rfc3339().into());
    record.any_field(&mut |field, value| {
        object.insert(field.name().into(), value.json());
        false
    });
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_people_write_them() {
        let now = Timestamp::parse_rfc3339("2026-11-21T12:00:00Z").unwrap();
        for (text, expected) in [
            ("2026-11-21T14:00:00+01:00", Some("2026-11-21T13:00:00.000Z")),
            ("2026-11-21", Some("2026-11-20T23:00:00.000Z")),
            ("15m", Some("2026-11-21T11:45:00.000Z")),
            ("7d", Some("2026-11-14T12:00:00.000Z")),
            ("", None),
            ("m", None),
            ("7x", None),
            ("-7d", None),
            ("gestern", None),
            ("7ä", None),
        ] {
            assert_eq!(moment(text, now).map(Timestamp::rfc3339).as_deref(), expected, "{text}");
        }
    }
}
