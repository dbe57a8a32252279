//! Verbindung: one connection's history, both ways, put together to sessions.

use askama::Template;
use ingest::flow::FlowRecord;
use ingest::flows::ask::{Conversation, FlowQuestion, Session, Tuple};
use ingest::time::Timestamp;

use super::super::range::Range;
use super::lines::{flag_letters, flags};
use super::{endpoint, lasted, pivot, protocol};
use crate::chart::{self, Caption, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup, filters};
use crate::terms::term;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf, tn};

const BARS: usize = 60;
/// Sessions and records that a page holds, the newest.
const SESSIONS_SHOWN: usize = 100;
const RECORDS_SHOWN: usize = 200;

struct SessionLine {
    first: String,
    duration: String,
    there: String,
    there_packets: String,
    back: String,
    back_packets: String,
    flags: String,
    records: String,
    /// The log's lines of its time.
    events: String,
}

struct RecordLine {
    time: String,
    duration: String,
    way: String,
    flags: String,
    bytes: String,
    packets: String,
    exporter: String,
}

#[derive(Template)]
#[template(path = "connection.html")]
struct ConnectionPage {
    frame: Frame,
    back: String,
    client: String,
    server: String,
    protocol: String,
    summary: String,
    part: String,
    ranges: Vec<(&'static str, String, bool)>,
    /// What the form of the time carries on.
    carried: Vec<(&'static str, String)>,
    links: Vec<(String, String)>,
    chart: Markup,
    sessions: Vec<SessionLine>,
    records: Vec<RecordLine>,
    note: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let range = Range::of(ask, "24h");
    let tuple = pivot::tuple_of(|name| ask.query(name).to_owned()).ok_or(PageError::NotFound)?;
    let store = ask.app.flows.as_ref().ok_or(PageError::NotFound)?;
    let (scope, sites, query) = (range.scope(ask), ask.app.sites(), tuple.query());
    let mut question = FlowQuestion::new(&query, &scope, &sites);
    (question.from, question.to, question.cancel) = (range.from, range.to, ask.cancel.clone());
    let found = store.conversation(&question, &tuple).map_err(PageError::store)?;
    let count = found.there.flows + found.back.flows;
    super::super::search::remark(ask, &query, (range.from, range.to), count);
    let mut records: Vec<&FlowRecord> = found.sessions.iter().rev().flat_map(|session| session.flows.iter().rev()).collect();
    records.truncate(RECORDS_SHOWN);
    let pairs = pivot::tuple_pairs(&tuple);
    let carried = pairs.iter().cloned().chain(range.carried()).collect();
    let sessions = found.sessions.iter().rev().take(SESSIONS_SHOWN).map(|session| session_line(session, &tuple)).collect();
    let page = ConnectionPage {
        frame: ask.frame(t("Verbindung"), Place::Flows),
        back: range.link("/fluesse", &[]),
        client: endpoint(tuple.client, tuple.client_port),
        server: endpoint(tuple.server, tuple.server_port),
        protocol: protocol(tuple.protocol),
        summary: summary(&found),
        part: if found.partial {
            t("Das ist nicht die ganze Geschichte: Die Zeit war um, oder es sind zu viele Datensätze. Grenzen Sie den Zeitraum ein.").into()
        } else {
            String::new()
        },
        links: links(&tuple, &range),
        chart: course(&found, &tuple),
        sessions,
        note: tf("die neuesten {n} von {all}", &[("n", &records.len()), ("all", &show::num(count))]),
        records: records.into_iter().map(|flow| record_line(flow, &tuple)).collect(),
        carried,
        ranges: range.choices,
    };
    ask.page(&page)
}

fn summary(found: &Conversation) -> String {
    if found.sessions.is_empty() {
        return String::new();
    }
    let sessions = tn("{n} Sitzung", "{n} Sitzungen", found.sessions.len() as u64);
    let pairs: [(&str, &dyn std::fmt::Display); 3] =
        [("sessions", &sessions), ("there", &show::bytes(found.there.bytes)), ("back", &show::bytes(found.back.bytes))];
    tf("{sessions} · {there} zum Server, {back} zum Client", &pairs)
}

/// Where one can go on from here: (label, where it leads).
fn links(tuple: &Tuple, range: &Range) -> Vec<(String, String)> {
    let (client, server) = (tuple.client.to_string(), tuple.server.to_string());
    let one = |from: &str, to: &str| format!("({} AND {})", term("source.ip", from), term("destination.ip", to));
    let both = format!("{} OR {}", one(&client, &server), one(&server, &client));
    let either = |address: &str| format!("{} OR {}", term("source.ip", address), term("destination.ip", address));
    vec![
        (t("Ereignisse dazu").into(), pivot::events_of(tuple, range.from, range.to)),
        (t("Alle Flüsse zwischen beiden").into(), range.link("/fluesse", &[("q", &both)])),
        (tf("Flüsse von {address}", &[("address", &client)]), range.link("/fluesse", &[("q", &either(&client))])),
        (tf("Flüsse von {address}", &[("address", &server)]), range.link("/fluesse", &[("q", &either(&server))])),
    ]
}

fn session_line(session: &Session, tuple: &Tuple) -> SessionLine {
    SessionLine {
        first: show::precise(session.first),
        duration: lasted(session.last.since(session.first)),
        there: show::bytes(session.there.bytes),
        there_packets: show::num(session.there.packets),
        back: show::bytes(session.back.bytes),
        back_packets: show::num(session.back.packets),
        flags: flag_letters(session.flags),
        records: show::num(session.flows.len() as u64),
        events: pivot::events_of(tuple, session.first, session.last),
    }
}

fn record_line(flow: &FlowRecord, tuple: &Tuple) -> RecordLine {
    RecordLine {
        time: show::precise(flow.start),
        duration: lasted(flow.end.since(flow.start)),
        way: if tuple.is_request(flow) { t("zum Server").into() } else { t("zum Client").into() },
        flags: flags(flow),
        bytes: show::bytes(flow.bytes),
        packets: show::num(flow.packets),
        exporter: flow.exporter.to_string(),
    }
}

/// Both ways over time; what lasted longer than a bar is spread evenly over those that it lasted.
fn course(found: &Conversation, tuple: &Tuple) -> Markup {
    let span =
        found.sessions.iter().fold((i64::MAX, i64::MIN), |(first, last), session| (first.min(session.first.0), last.max(session.last.0)));
    let (from, to) = (Timestamp(span.0), Timestamp(span.1.max(span.0.saturating_add(Timestamp::SECOND))));
    if found.sessions.is_empty() {
        return Markup::default();
    }
    let width = (to.since(from) / BARS as i64).max(1) + 1;
    let mut sums = vec![[0.0f64; 2]; BARS];
    for flow in found.sessions.iter().flat_map(|session| &session.flows) {
        let way = usize::from(!tuple.is_request(flow));
        let bar = |at: Timestamp| usize::try_from(at.since(from) / width).unwrap_or(0).min(BARS - 1);
        let (first, last) = (bar(flow.start), bar(flow.end).max(bar(flow.start)));
        let part = flow.bytes as f64 / (last - first + 1) as f64;
        for cell in sums.iter_mut().skip(first).take(last - first + 1).filter_map(|bar| bar.get_mut(way)) {
            *cell += part;
        }
    }
    let bars: Vec<TimeBar> = sums
        .iter()
        .zip(0i64..)
        .map(|(values, n)| TimeBar { at: from.plus(n * width), values: values.to_vec(), href: String::new() })
        .collect();
    chart::over_time(OverTime {
        caption: Caption {
            id: "verbindung-zeit",
            title: t("Verlauf der Verbindung"),
            desc: t("Bytes je Abschnitt, nach Richtung gestapelt."),
        },
        unit: Unit::Bytes,
        series: &[Series { ink: Ink::One, name: t("zum Server") }, Series { ink: Ink::Two, name: t("zum Client") }],
        bars: &bars,
        until: from.plus(BARS as i64 * width),
        before: None,
        brush: None,
    })
}
