//! One line with all its fields, and what the same source said before and after it.

use askama::Template;
use ingest::event::Event;
use ingest::events::{CONTEXT_LINES_MAX, Context, ContextRequest};
use ingest::fields;
use ingest::frame::Seq;
use ingest::pseudonym::sort;
use ingest::time::Timestamp;

use super::evidence::term;
use super::range::Range;
use super::search::gist;
use super::value::{Value, Values};
use crate::show::{self, filters};
use crate::web::frame::{Frame, Place, may};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

/// Lines before and after that are shown where nobody chose, and what can be chosen.
const LINES: usize = 5;
const LINES_OFFERED: [usize; 4] = [LINES, 25, 100, CONTEXT_LINES_MAX];

struct HitField {
    name: String,
    label: &'static str,
    value: Value,
    /// Where to ask what a pseudonym stands for; empty for every other value.
    reveal: String,
}

/// A line of the same source.
struct Near {
    seq: u64,
    time: String,
    gist: String,
    message: String,
    href: String,
    /// The page's own.
    own: bool,
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    back: String,
    time: String,
    /// What the same machine, or site, said around it: (label, where it leads).
    around: Vec<(String, String)>,
    fields: Vec<HitField>,
    seq: u64,
    take: Option<super::timeline::Take>,
    near: Vec<Near>,
    /// Not all of these were found in time.
    near_partial: bool,
    /// Whose lines these are.
    source: String,
    /// (lines, where that leads, whether these are shown)
    more: Vec<(usize, String, bool)>,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "24h");
    let seq = ask.param("number").parse().map(Seq).map_err(|_| PageError::NotFound)?;
    let (store, sites) = (ask.app.events.as_ref().ok_or(PageError::NotFound)?, ask.app.sites());
    let wanted = ask.query("zeilen").parse().ok().filter(|lines| LINES_OFFERED.contains(lines)).unwrap_or(LINES);
    // Beside the list of hits only the fields are shown.
    let lines = if ask.fragment { 0 } else { wanted };
    if lines > LINES {
        // The lines of a whole day are another look than the one event.
        ask.about(format!("{}±{lines}", seq.0));
    }
    let scope = ask.scope();
    let request = ContextRequest { cancel: ask.cancel.clone(), ..ContextRequest::new(seq, (lines, lines), &scope, &sites) };
    let context = store.context(&request).ok_or(PageError::NotFound)?;
    let event = &context.event;
    let site = sites.name(event.site);
    let values = Values::new(ask, "/suche", text, &range, vec![]);
    let here = |lines: usize| range.link(&format!("/ereignis/{}", seq.0), &[("q", text), ("zeilen", &lines.to_string())]);
    let host = event.get(fields::HOST_NAME).map(|host| host.text().into_owned());
    ask.page(&EventPage {
        frame: ask.frame(&tf("Ereignis {n}", &[("n", &show::num(event.seq.0))]), Place::Search),
        back: range.link("/suche", &[("q", text)]),
        time: format!("{} · {}", show::precise(event.timestamp), site),
        around: around(event, site).into_iter().chain(flows_link(ask, event)).collect(),
        fields: all_fields(Some(ask), event, site, &values),
        seq: seq.0,
        // What is worth telling of it in a line, where that is known.
        take: super::timeline::take(ask, Some(gist(event)).filter(|gist| !gist.is_empty()).as_deref().unwrap_or(event.message()))?,
        near: near(&context, |other| range.link(&format!("/ereignis/{}", other.seq.0), &[("q", text), ("zeilen", &wanted.to_string())])),
        near_partial: context.partial,
        source: host.map_or_else(|| site.to_owned(), |host| format!("{host}, {site}")),
        more: LINES_OFFERED.into_iter().map(|lines| (lines, here(lines), lines == wanted)).collect(),
    })
}

/// The newest first, as everywhere.
fn near(context: &Context, href: impl Fn(&Event) -> String) -> Vec<Near> {
    let line = |event: &Event| Near {
        seq: event.seq.0,
        time: show::precise(event.timestamp),
        gist: gist(event),
        message: event.message().to_owned(),
        href: href(event),
        own: event.seq == context.event.seq,
    };
    let all = context.before.iter().chain([&context.event]).chain(&context.after);
    let mut lines: Vec<Near> = all.map(line).collect();
    lines.reverse();
    lines
}

/// Searches for what the same machine, where it has a name, or the site said around it.
fn around(event: &Event, site: &str) -> Vec<(String, String)> {
    let host = event.get(fields::HOST_NAME).map(|value| format!(" AND {}", term("host.name", &value.text())));
    let query = format!("{}{}", term("site", site), host.unwrap_or_default());
    let over = |before: i64, after: i64| {
        let (from, to) = (event.timestamp.plus(-before * Timestamp::MINUTE), event.timestamp.plus(after * Timestamp::MINUTE + 1));
        show::link("/suche", &[("q", &query), ("von", &from.rfc3339()), ("bis", &to.rfc3339())])
    };
    vec![
        (t("5 Minuten davor").into(), over(5, 0)),
        (t("5 Minuten danach").into(), over(0, 5)),
        (t("1 Minute davor und danach").into(), over(1, 1)),
        (t("1 Stunde davor und danach").into(), over(60, 60)),
    ]
}

/// The flows that the line tells of, for who may see them.
fn flows_link(ask: &Ask, event: &Event) -> Option<(String, String)> {
    let hidden = |address| ask.app.pseudonyms.is_hidden(address, event.seq);
    let href = super::flows::pivot::of_event(event, &hidden).filter(|_| may(ask.viewer.as_ref().map(|viewer| viewer.role), "/fluesse"))?;
    Some((t("Datenflüsse dazu").to_owned(), href))
}

fn all_fields(ask: Option<&Ask>, event: &Event, site: &str, values: &Values<'_>) -> Vec<HitField> {
    let filter = |name: &str, label: &'static str, value: String| HitField {
        name: name.to_owned(),
        label,
        value: values.of(name, &value),
        reveal: String::new(),
    };
    let plain = |name: &str, label: &'static str, value: String| HitField {
        name: name.to_owned(),
        label,
        value: Value::plain(value),
        reveal: String::new(),
    };
    let mut all = vec![filter("site", t("Standort"), site.to_owned()), filter("observer.ip", t("Gemeldet von"), event.peer.to_string())];
    all.extend(event.fields().map(|(field, value)| {
        let one = filter(field.name(), words::field(field), value.text().into_owned());
        let personal = sort(field).is_some();
        let reveal = ask.map(|ask| super::reveals::ask_href(ask, &one.value.text, personal, event.seq)).unwrap_or_default();
        HitField { reveal, ..one }
    }));
    all.extend(event.defects.iter().map(|defect| filter("_defect", t("Mangel"), defect.name().to_owned())));
    all.push(plain("@timestamp", t("Zeit"), event.timestamp.rfc3339()));
    all.push(plain("event.ingested", t("Empfangen"), event.received_at.rfc3339()));
    all.push(plain("event.sequence", t("Laufende Nummer"), event.seq.0.to_string()));
    all.push(plain("_raw", t("Ganze Zeile"), event.line().to_owned()));
    all
}

/// As evidence of a case shows a line: (name, label, value).
pub(super) fn evidence_fields(event: &Event, site: &str, values: &Values<'_>) -> Vec<(String, &'static str, Value)> {
    all_fields(None, event, site, values).into_iter().map(|field| (field.name, field.label, field.value)).collect()
}
