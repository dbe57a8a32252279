//! Datenflüsse: who talks with whom, how much: the top of a field by a measure, over time, and single flows.

use askama::Template;
use ingest::flow::protocol_name;
use ingest::flows::{FlowRange, GroupBy, Measure, TopRequest};
use ingest::query::Query;
use ingest::record::Record;

use super::evidence::term;
use super::range::{Broken, Range};
use super::value::{Value, Values, with};
use crate::chart::{self, Brush, Caption, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{de, t, tf};

const TOP_ROWS: usize = 25;
const RECORD_ROWS: usize = 50;
const BARS: usize = 60;

/// (value in the link, label, grouping)
const FIELDS: [(&str, &str, GroupBy); 8] = [
    ("source.ip", de("Quelladresse"), GroupBy::SourceIp),
    ("destination.ip", de("Zieladresse"), GroupBy::DestinationIp),
    ("paar", de("Quelle und Ziel"), GroupBy::Pair),
    ("destination.port", de("Zielport"), GroupBy::DestinationPort),
    ("source.port", de("Quellport"), GroupBy::SourcePort),
    ("network.transport", de("Netz|Protokoll"), GroupBy::Transport),
    ("site", de("Standort"), GroupBy::Site),
    ("observer.ip", de("Gerät"), GroupBy::Exporter),
];

const MEASURES: [(&str, &str, Measure); 3] =
    [("bytes", de("Bytes"), Measure::Bytes), ("pakete", de("Paketen"), Measure::Packets), ("fluesse", de("Flüssen"), Measure::Flows)];

struct TopLine {
    value: Value,
    text: String,
    /// Width of the bar, the first row being 100.
    width: String,
    href: String,
    share: String,
    bytes: String,
    packets: String,
    flows: String,
}

struct FlowLine {
    time: String,
    site: Value,
    from: Value,
    from_port: String,
    to: Value,
    to_port: String,
    protocol: String,
    bytes: String,
    packets: String,
    duration: String,
}

#[derive(Template)]
#[template(path = "flows.html")]
struct FlowsPage<'a> {
    frame: Frame,
    query: &'a str,
    fields: Vec<(&'static str, &'static str, bool)>,
    measures: Vec<(&'static str, &'static str, bool)>,
    ranges: Vec<(&'static str, String, bool)>,
    error: Option<Broken>,
    summary: String,
    chart: Markup,
    top_title: String,
    field_label: &'static str,
    rows: Vec<TopLine>,
    records: Vec<FlowLine>,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "1h");
    let (field, field_label, by) = FIELDS.iter().find(|known| known.0 == ask.query("feld")).copied().unwrap_or(FIELDS[0]);
    let (measure, measure_label, ranking) = MEASURES.iter().find(|known| known.0 == ask.query("mass")).copied().unwrap_or(MEASURES[0]);
    let mut page = FlowsPage {
        frame: ask.frame(t("Datenflüsse"), Place::Flows),
        query: text,
        fields: FIELDS.map(|(value, label, _)| (value, t(label), value == field)).into(),
        measures: MEASURES.map(|(value, label, _)| (value, t(label), value == measure)).into(),
        ranges: vec![],
        error: None,
        summary: String::new(),
        chart: Markup::default(),
        top_title: tf(
            "Die {n} größten nach {field}, in {measure}",
            &[("n", &TOP_ROWS), ("field", &t(field_label)), ("measure", &t(measure_label))],
        ),
        field_label: t(field_label),
        rows: vec![],
        records: vec![],
    };
    match (Query::parse(text), &ask.app.flows) {
        (Err(error), _) => page.error = Some(Broken::new(text, &error)),
        (Ok(_), None) => page.summary = t("Der Flussspeicher läuft in diesem Programm nicht.").into(),
        (Ok(query), Some(store)) => {
            let (scope, sites) = (ask.scope(), ask.app.sites());
            let matches = |record: &dyn Record| query.matches(record);
            let filter: Option<ingest::flows::Filter<'_>> = if text.is_empty() { None } else { Some(&matches) };
            let wanted = FlowRange { from: range.from, to: range.to, filter, scope: &scope, sites: &sites };
            let top = store.top(&TopRequest { range: wanted, by, measure: ranking, limit: TOP_ROWS }).map_err(PageError::store)?;
            let buckets = store.histogram(&wanted, BARS).map_err(PageError::store)?;
            let records = store.list(&wanted, RECORD_ROWS).map_err(PageError::store)?;
            ask.remark("query", ask.app.pseudonyms.masked(&query).as_ref().unwrap_or(&query).to_string());
            ask.remark("from", range.from.rfc3339());
            ask.remark("to", range.to.rfc3339());
            ask.remark("hits", top.flows);
            page.summary = tf(
                "{flows} Flüsse · {bytes} · {packets} Pakete",
                &[("flows", &show::num(top.flows)), ("bytes", &show::bytes(top.bytes)), ("packets", &show::num(top.packets))],
            );
            let total = match ranking {
                Measure::Bytes => top.bytes,
                Measure::Packets => top.packets,
                Measure::Flows => top.flows,
            };
            let bars: Vec<TimeBar> = buckets
                .iter()
                .zip(buckets.iter().skip(1).map(|next| next.at).chain([range.to]))
                .map(|(bucket, end)| {
                    let value = match ranking {
                        Measure::Bytes => bucket.bytes,
                        Measure::Packets => bucket.packets,
                        Measure::Flows => bucket.flows,
                    };
                    let href = show::link(
                        "/fluesse",
                        &[("q", text), ("feld", field), ("mass", measure), ("von", &bucket.at.rfc3339()), ("bis", &end.rfc3339())],
                    );
                    TimeBar { at: bucket.at, values: vec![value as f64], href }
                })
                .collect();
            let unit = match ranking {
                Measure::Bytes => Unit::Bytes,
                Measure::Packets => Unit::Count(t("Pakete")),
                Measure::Flows => Unit::Count(t("Flüsse")),
            };
            page.chart = chart::over_time(OverTime {
                caption: Caption {
                    id: "fluss-zeit",
                    title: t("Datenverkehr über die Zeit"),
                    desc: t("Balken je gleich langem Abschnitt des Zeitraums."),
                },
                unit,
                series: &[Series { ink: Ink::Act, name: unit.name() }],
                bars: &bars,
                until: range.to,
                brush: Some(Brush { path: "/fluesse", pairs: &[("q", text), ("feld", field), ("mass", measure)] }),
            });
            let amount = |row: &ingest::flows::TopRow| match ranking {
                Measure::Bytes => row.bytes,
                Measure::Packets => row.packets,
                Measure::Flows => row.flows,
            };
            let values = Values::new(ask, "/fluesse", text, &range, vec![("feld", field), ("mass", measure)]);
            let most = top.rows.first().map_or(0, amount);
            page.rows = top
                .rows
                .iter()
                .map(|row| {
                    let value = amount(row);
                    TopLine {
                        // A pair is two values; its row narrows to both.
                        value: if field == "paar" { Value::plain(String::new()) } else { values.of(field, &row.key) },
                        text: row.key.replace(" > ", " → "),
                        href: range.link("/fluesse", &[("q", &narrowed(text, field, &row.key)), ("feld", field), ("mass", measure)]),
                        width: format!("{:.1}", value as f64 / (most.max(1) as f64) * 100.0),
                        share: format!("{}\u{a0}%", show::decimal(value as f64 / (total.max(1) as f64) * 100.0, 1)),
                        bytes: show::bytes(row.bytes),
                        packets: show::num(row.packets),
                        flows: show::num(row.flows),
                    }
                })
                .collect();
            page.records = records.iter().map(|flow| flow_line(flow, sites.name(flow.site), &values)).collect();
        }
    }
    page.ranges = range.choices;
    ask.page(&page)
}

/// The query with one row's value as a further condition.
fn narrowed(text: &str, field: &str, key: &str) -> String {
    let condition = match (field, key.split_once(" > ")) {
        ("paar", Some((source, destination))) => format!("{} AND {}", term("source.ip", source), term("destination.ip", destination)),
        (field, _) => term(field, key),
    };
    with(text, &condition)
}

fn flow_line(flow: &ingest::flow::FlowRecord, site: &str, values: &Values<'_>) -> FlowLine {
    let port = |port: u16| if port == 0 { String::new() } else { format!(":{port}") };
    FlowLine {
        time: show::precise(flow.start),
        site: values.of("site", site),
        from: values.of("source.ip", &flow.src_ip.to_string()),
        from_port: port(flow.src_port),
        to: values.of("destination.ip", &flow.dst_ip.to_string()),
        to_port: port(flow.dst_port),
        protocol: protocol_name(flow.protocol).map_or_else(|| flow.protocol.to_string(), str::to_owned),
        bytes: show::bytes(flow.bytes),
        packets: show::num(flow.packets),
        duration: show::duration(flow.end.since(flow.start)),
    }
}

fn endpoint(address: std::net::IpAddr, port: u16) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (address, port) => std::net::SocketAddr::new(address, port).to_string(),
    }
}

/// One flow in a sentence, as evidence of a case.
pub(super) fn sentence(flow: &ingest::flow::FlowRecord) -> String {
    let protocol = protocol_name(flow.protocol).map_or_else(|| flow.protocol.to_string(), str::to_uppercase);
    tf(
        "Fluss {from} → {to} · {protocol} · {bytes} in {packets} Paketen",
        &[
            ("from", &endpoint(flow.src_ip, flow.src_port)),
            ("to", &endpoint(flow.dst_ip, flow.dst_port)),
            ("protocol", &protocol),
            ("bytes", &show::bytes(flow.bytes)),
            ("packets", &show::num(flow.packets)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_narrows_the_query() {
        assert_eq!(narrowed("", "paar", "10.0.0.1 > 10.0.0.2"), "source.ip:\"10.0.0.1\" AND destination.ip:\"10.0.0.2\"");
        assert_eq!(narrowed("a OR b", "destination.port", "443"), "(a OR b) AND destination.port:\"443\"");
    }
}
