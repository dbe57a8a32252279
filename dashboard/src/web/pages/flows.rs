//! Datenflüsse: who talks with whom, how much: the top of a field by an amount beside the time before, how that went over
//! time, the ways from client over service to server, and single flows. With a pipe, what it makes of them.

mod connection;
mod lines;
pub(super) mod pivot;
mod top;

use askama::Template;
use ingest::fields::{self, FieldId};
use ingest::flow::protocol_name;
use ingest::flows::FlowStore;
use ingest::flows::ask::{Amount, FlowCursor, FlowQuestion, FlowTable, OverviewRequest, nfdump_parse};
use ingest::flows::value;
use ingest::query::{Pipeline, QueryError};

use super::range::{Broken, Range};
use super::search::pipe;
use super::value::Values;
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, de, t, tf};

pub(in crate::web) use connection::show as connection;
use lines::Lines;
use top::Top;

const TOP_ROWS: usize = 25;
const PAGE_ROWS: usize = 50;
const BARS: usize = 60;
/// Series that can be told apart; the others are one together.
const SERIES: usize = 5;

/// (value in the link, label, fields)
const GROUPINGS: [(&str, &str, &[FieldId]); 12] = [
    ("source.ip", de("Quelladresse"), &[fields::SOURCE_IP]),
    ("destination.ip", de("Zieladresse"), &[fields::DESTINATION_IP]),
    ("paar", de("Quelle und Ziel"), &[fields::SOURCE_IP, fields::DESTINATION_IP]),
    ("client.ip", de("Client"), &[fields::CLIENT_IP]),
    ("server.ip", de("Server"), &[fields::SERVER_IP]),
    ("server.port", de("Dienst"), &[fields::SERVER_PORT]),
    ("destination.port", de("Zielport"), &[fields::DESTINATION_PORT]),
    ("source.port", de("Quellport"), &[fields::SOURCE_PORT]),
    ("network.transport", de("Netz|Protokoll"), &[fields::NETWORK_TRANSPORT]),
    ("network.direction", de("Richtung"), &[fields::NETWORK_DIRECTION]),
    ("site", de("Standort"), &[fields::SITE]),
    ("observer.ip", de("Gerät"), &[fields::OBSERVER_IP]),
];

const AMOUNTS: [(&str, &str, Amount); 5] = [
    ("bytes", de("Bytes"), Amount::Bytes),
    ("pakete", de("Paketen"), Amount::Packets),
    ("fluesse", de("Flüssen"), Amount::Flows),
    ("bytes-hoch", de("Bytes, hochgerechnet"), Amount::BytesScaled),
    ("pakete-hoch", de("Paketen, hochgerechnet"), Amount::PacketsScaled),
];

/// How the filter is written: (value in the link, label)
const WRITINGS: [(&str, &str); 2] = [("", de("Anfragesprache")), (NFDUMP, de("nfdump-Filter"))];
const NFDUMP: &str = "nfdump";

#[derive(Template)]
#[template(path = "flows.html")]
struct FlowsPage<'a> {
    frame: Frame,
    query: &'a str,
    example: &'static str,
    groupings: Vec<(&'static str, &'static str, bool)>,
    amounts: Vec<(&'static str, &'static str, bool)>,
    writings: Vec<(&'static str, &'static str, bool)>,
    ranges: Vec<(&'static str, String, bool)>,
    carried: Vec<(&'static str, String)>,
    error: Option<Broken>,
    /// The query as it was probably meant, and where it leads.
    correction: Option<(String, String)>,
    /// A filter of nfdump's in our language, and where that leads.
    translated: Option<(String, String)>,
    summary: String,
    /// Beside the time before.
    compared: String,
    /// That this is not all.
    part: String,
    chart: Markup,
    top: Option<Top>,
    ways: Markup,
    lines: Option<Lines>,
    /// What a pipe makes of the flows; nothing else stands here then.
    view: Option<pipe::View>,
    /// This page with its time as from and to, so that it shows the same tomorrow.
    exact: String,
    /// Names and labels of the fields, to be suggested.
    fields: Vec<(&'static str, &'static str)>,
    seconds_max: u64,
}

/// What this page's address says.
struct Asked<'a> {
    /// As it was typed.
    typed: &'a str,
    nfdump: bool,
    /// In our language: what links narrow further.
    text: String,
    grouping: (&'static str, &'static str, &'static [FieldId]),
    amount: (&'static str, &'static str, Amount),
    range: &'a Range,
}

impl Asked<'_> {
    /// What links carry on besides query and time.
    fn more(&self) -> [(&'static str, &'static str); 2] {
        [("feld", self.grouping.0), ("mass", self.amount.0)]
    }

    /// This page with another query.
    fn link(&self, query: &str) -> String {
        self.range.link("/fluesse", &[&[("q", query)], self.more().as_slice()].concat())
    }

    /// This page over another time.
    fn over(&self, from: &str, to: &str) -> String {
        self.range.over("/fluesse", &self.text, &[&[("von", from), ("bis", to)], self.more().as_slice()].concat())
    }
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let typed = ask.query("q").trim();
    let range = Range::of(ask, "1h");
    let nfdump = ask.query("art") == NFDUMP;
    let parsed = if nfdump { nfdump_parse(typed, ask.now) } else { Pipeline::parse(typed, ask.now) };
    let text = match &parsed {
        Ok(pipeline) if nfdump => {
            if typed.is_empty() {
                String::new()
            } else {
                pipeline.to_string()
            }
        }
        _ => typed.to_owned(),
    };
    let amount = AMOUNTS.iter().find(|known| known.0 == ask.query("mass")).copied().unwrap_or(AMOUNTS[0]);
    let asked = Asked { typed, nfdump, text, grouping: grouping(ask.query("feld")), amount, range: &range };
    let mut page = blank(ask, &asked);
    match (parsed, &ask.app.flows) {
        (Err(error), _) => put_error(&mut page, &asked, error),
        (Ok(_), None) => page.summary = t("Der Flussspeicher läuft in diesem Programm nicht.").into(),
        (Ok(pipeline), Some(store)) if pipeline.is_table() => put_table(&mut page, ask, store, &asked, &pipeline)?,
        (Ok(pipeline), Some(store)) => put_overview(&mut page, ask, store, &asked, &pipeline)?,
    }
    page.ranges = range.choices.clone();
    ask.page(&page)
}

/// One of the usual groupings, or any other field that flows have.
fn grouping(value: &str) -> (&'static str, &'static str, &'static [FieldId]) {
    if let Some(known) = GROUPINGS.iter().find(|known| known.0 == value) {
        return *known;
    }
    GROUPINGS[0]
}

fn blank<'a>(ask: &Ask, asked: &Asked<'a>) -> FlowsPage<'a> {
    let (from, to) = (asked.range.from.rfc3339(), asked.range.to.rfc3339());
    let translated = (asked.nfdump && !asked.typed.is_empty()).then(|| (asked.text.clone(), asked.link(&asked.text)));
    FlowsPage {
        frame: ask.frame(t("Datenflüsse"), Place::Flows),
        query: asked.typed,
        example: if asked.nfdump { "dst port 443 and bytes > 1M" } else { "destination.port:443" },
        groupings: GROUPINGS.map(|(value, label, _)| (value, t(label), value == asked.grouping.0)).into(),
        amounts: AMOUNTS.map(|(value, label, _)| (value, t(label), value == asked.amount.0)).into(),
        writings: WRITINGS.map(|(value, label)| (value, t(label), (value == NFDUMP) == asked.nfdump)).into(),
        ranges: vec![],
        carried: asked.range.carried(),
        error: None,
        correction: None,
        translated,
        summary: String::new(),
        compared: String::new(),
        part: String::new(),
        chart: Markup::default(),
        top: None,
        ways: Markup::default(),
        lines: None,
        view: None,
        exact: asked.over(&from, &to),
        fields: value::flow_fields().map(|field| (field.name(), words::field(field))).collect(),
        seconds_max: ingest::events::SEARCH_TIME_MAX.as_secs(),
    }
}

fn put_error(page: &mut FlowsPage<'_>, asked: &Asked<'_>, error: QueryError) {
    page.error = Some(Broken::new(asked.typed, &error));
    page.translated = None;
    page.correction = error.suggestion.map(|fixed| (fixed.clone(), asked.link(&fixed)));
}

fn put_overview(page: &mut FlowsPage<'_>, ask: &Ask, store: &FlowStore, asked: &Asked<'_>, pipeline: &Pipeline) -> Result<(), PageError> {
    let (scope, sites) = (asked.range.scope(ask), ask.app.sites());
    let mut question = FlowQuestion::new(&pipeline.query, &scope, &sites);
    (question.from, question.to, question.cancel) = (asked.range.from, asked.range.to, ask.cancel.clone());
    let request = OverviewRequest {
        question: question.clone(),
        by: asked.grouping.2,
        amount: asked.amount.2,
        rows: TOP_ROWS,
        series: SERIES,
        bars: BARS,
        paths: true,
    };
    let before: Option<FlowCursor> = ask.query("vor").parse().ok();
    let found = store.overview(&request).map_err(PageError::store)?;
    let flows = store.page(&question, before, PAGE_ROWS).map_err(PageError::store)?;
    super::search::remark(ask, &pipeline.query, (asked.range.from, asked.range.to), found.total.flows);
    let total = &found.total;
    page.summary = tf(
        "{flows} Flüsse · {bytes} · {packets} Pakete",
        &[("flows", &show::num(total.flows)), ("bytes", &show::bytes(total.bytes)), ("packets", &show::num(total.packets))],
    );
    if total.is_sampled() {
        let pairs: [(&str, &dyn std::fmt::Display); 2] =
            [("bytes", &show::bytes(total.bytes_scaled)), ("packets", &show::num(total.packets_scaled))];
        page.summary += &format!(" · {}", tf("hochgerechnet {bytes}, {packets} Pakete", &pairs));
    }
    page.compared = top::compared(&found, asked);
    page.part = top::part(&found, flows.partial);
    let values = Values::new(ask, "/fluesse", &asked.text, asked.range, asked.more().into());
    page.chart = top::over_time(&found, asked);
    page.top = Some(top::top(&found, asked, &values));
    page.ways = top::ways(&found, asked);
    page.lines = Some(lines::lines(&flows, before.is_some(), asked, &sites, &values));
    Ok(())
}

fn put_table(page: &mut FlowsPage<'_>, ask: &Ask, store: &FlowStore, asked: &Asked<'_>, pipeline: &Pipeline) -> Result<(), PageError> {
    let (scope, sites) = (asked.range.scope(ask), ask.app.sites());
    let mut question = FlowQuestion::new(&pipeline.query, &scope, &sites);
    (question.from, question.to, question.cancel) = (asked.range.from, asked.range.to, ask.cancel.clone());
    let FlowTable { table, total, took, partial, ended_early, .. } = store.ask(&question, pipeline).map_err(PageError::store)?;
    super::search::remark_pipe(ask, pipeline, (asked.range.from, asked.range.to), total.flows);
    let rows = words::tn("{n} Zeile", "{n} Zeilen", table.rows.len() as u64);
    let of = words::tn("aus {n} Fluss", "aus {n} Flüssen", total.flows);
    let millis = show::num(i64::try_from(took.as_millis()).unwrap_or(i64::MAX));
    page.summary = tf("{rows} {of} in {millis} ms", &[("rows", &rows), ("of", &of), ("millis", &millis)]);
    if partial {
        page.part =
            t("Nicht alles ist gezählt: Die Zeit war um, oder es sind zu viele Gruppen. Grenzen Sie den Zeitraum oder die Anfrage ein.")
                .into();
    }
    let (values, more) = (Values::new(ask, "/fluesse", &asked.text, asked.range, asked.more().into()), asked.more());
    let found = ingest::events::AggregateResult { table, total: total.flows, took, partial, ended_early, damaged: vec![] };
    let view =
        pipe::Asked { path: "/fluesse", more: &more, noun: t("Flüsse"), pipeline, text: &asked.text, range: asked.range, values: &values };
    page.view = Some(pipe::view(&view, &found));
    Ok(())
}

fn endpoint(address: std::net::IpAddr, port: u16) -> String {
    match (address, port) {
        (address, 0) => address.to_string(),
        (address, port) => std::net::SocketAddr::new(address, port).to_string(),
    }
}

/// How long something lasted; most flows are shorter than a second.
fn lasted(millis: i64) -> String {
    if (0..1_000).contains(&millis) { format!("{millis}\u{a0}ms") } else { show::duration(millis) }
}

fn protocol(number: u8) -> String {
    protocol_name(number).map_or_else(|| number.to_string(), str::to_owned)
}

/// One flow in a sentence, as evidence of a case.
pub(super) fn sentence(flow: &ingest::flow::FlowRecord) -> String {
    tf(
        "Fluss {from} → {to} · {protocol} · {bytes} in {packets} Paketen",
        &[
            ("from", &endpoint(flow.src_ip, flow.src_port)),
            ("to", &endpoint(flow.dst_ip, flow.dst_port)),
            ("protocol", &protocol(flow.protocol).to_uppercase()),
            ("bytes", &show::bytes(flow.bytes)),
            ("packets", &show::num(flow.packets)),
        ],
    )
}
