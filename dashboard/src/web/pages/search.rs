//! Suche: a query over the events, its histogram, the most frequent values as filters, the lines, and one with its fields.

use askama::Template;
use detect::role::{Action, allowed};
use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use ingest::event::{Defect, Event};
use ingest::events::{Cursor, SearchRequest, SearchResult};
use ingest::fields::{self, FieldId};
use ingest::frame::Seq;
use ingest::pseudonym::sort;
use ingest::query::Query;

use super::evidence::term;
use super::range::{Broken, Range};
use super::value::{Value, Values, with};
use crate::chart::{self, Brush, Caption, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, de, t, tf};

const PAGE_ROWS: usize = 100;
const BARS: usize = 60;
/// Below the search where persons are hidden.
const PSEUDONYMS_HINT: &str = de(
    "Konten, E-Mail-Adressen und interne Adressen stehen hier als Pseudonyme. Mit einem Feld gefragt (user.name:…, source.ip:…) werden sie auch über den Klarwert gefunden; solche Anfragen werden protokolliert.",
);
/// Values shown per facet.
const FACET_VALUES: usize = 6;

struct FacetValue {
    text: String,
    count: String,
    href: String,
}

struct Facet {
    label: &'static str,
    field: &'static str,
    values: Vec<FacetValue>,
}

struct HitField {
    name: String,
    label: &'static str,
    value: Value,
    /// Where to ask what a pseudonym stands for; empty for every other value.
    reveal: String,
}

struct Hit {
    seq: u64,
    time: String,
    site: Value,
    host: Value,
    /// What a firewall's line says, which itself begins with dates and serial numbers; else empty.
    gist: String,
    message: String,
    /// To the line with all its fields.
    href: String,
}

/// A page of lines, and where the grid gets the next one.
#[derive(Default)]
struct Rows {
    hits: Vec<Hit>,
    source: String,
    page: usize,
    total: u64,
    next: String,
    /// A later page stays the plain table that somebody leafed to.
    from_start: bool,
}

#[derive(Template)]
#[template(path = "search_rows.html")]
struct SearchRows {
    rows: Rows,
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    frame: Frame,
    back: String,
    time: String,
    fields: Vec<HitField>,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage<'a> {
    frame: Frame,
    query: &'a str,
    ranges: Vec<(&'static str, String, bool)>,
    error: Option<Broken>,
    chips: Vec<(String, String)>,
    summary: String,
    /// What is to be known of searching for what is hidden; empty where nothing is.
    hint: &'static str,
    chart: Markup,
    facets: Vec<Facet>,
    rows: Rows,
    older: String,
    first: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "24h");
    let mut page = SearchPage {
        frame: ask.frame(t("Suche"), Place::Search),
        query: text,
        ranges: vec![],
        error: None,
        chips: vec![],
        summary: String::new(),
        hint: if ask.app.pseudonyms.any() { t(PSEUDONYMS_HINT) } else { "" },
        chart: Markup::default(),
        facets: vec![],
        rows: Rows::default(),
        older: String::new(),
        first: String::new(),
    };
    match (Query::parse(text), &ask.app.events) {
        (Err(error), _) => page.error = Some(Broken::new(text, &error)),
        (Ok(_), None) => page.summary = t("Der Ereignisspeicher läuft in diesem Programm nicht.").into(),
        (Ok(query), Some(store)) => {
            let request = request(ask, query, &range);
            note_real_values(ask, &request.query)?;
            let before = request.before;
            let found = store.search(&request).map_err(PageError::store)?;
            if before.is_none() {
                remark_search(ask, &request.query, &range, found.total);
            }
            page.summary = summary(&found);
            page.chart = histogram(&found, &range, text);
            page.chips = chips(text, &range);
            page.facets = facets(&found, &range, text);
            page.rows = rows_of(ask, &found, &range, text);
            page.older = found.next.map(|next| range.link("/suche", &[("q", text), ("vor", &next.to_string())])).unwrap_or_default();
            page.first = if before.is_some() { range.link("/suche", &[("q", text)]) } else { String::new() };
        }
    }
    page.ranges = range.choices;
    ask.page(&page)
}

/// The next lines alone, for the grid.
pub(in crate::web) fn rows(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "24h");
    let mut rows = Rows::default();
    if let (Ok(query), Some(store)) = (Query::parse(text), &ask.app.events) {
        let request = request(ask, query, &range);
        note_real_values(ask, &request.query)?;
        // What the whole range holds has been said by the page.
        let request = SearchRequest { summary: request.before.is_none(), ..request };
        let found = store.search(&request).map_err(PageError::store)?;
        if request.before.is_none() {
            remark_search(ask, &request.query, &range, found.total);
        }
        rows = rows_of(ask, &found, &range, text);
        rows.total = ask.query("summe").parse().unwrap_or(0);
    }
    ask.page(&SearchRows { rows })
}

/// A page of what `query` asks for.
fn request(ask: &Ask, query: Query, range: &Range) -> SearchRequest {
    let before: Option<Cursor> = ask.query("vor").parse().ok();
    let mut request = SearchRequest::new(query, ask.scope(), ask.app.sites());
    (request.from, request.to) = (Some(range.from), Some(range.to));
    (request.limit, request.before, request.buckets) = (PAGE_ROWS, before, BARS);
    request.real_values = ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::SearchRealValues, viewer.role));
    request
}

fn rows_of(ask: &Ask, found: &SearchResult, range: &Range, text: &str) -> Rows {
    let (sites, values) = (ask.app.sites(), Values::new(ask, "/suche", text, range, vec![]));
    Rows {
        hits: found.hits.iter().map(|event| hit(event, sites.name(event.site), &values, range, text)).collect(),
        source: range.link("/suche/zeilen", &[("q", text), ("summe", &found.total.to_string())]),
        page: PAGE_ROWS,
        total: found.total,
        next: found.next.map(|next| next.to_string()).unwrap_or_default(),
        from_start: ask.query("vor").is_empty(),
    }
}

/// One line with all its fields.
pub(in crate::web) fn event(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "24h");
    let seq = ask.param("number").parse().map(Seq).map_err(|_| PageError::NotFound)?;
    let (store, sites) = (ask.app.events.as_ref().ok_or(PageError::NotFound)?, ask.app.sites());
    let found = store.by_seq(&[seq], &ask.scope(), &sites);
    let event = found.first().ok_or(PageError::NotFound)?;
    let values = Values::new(ask, "/suche", text, &range, vec![]);
    ask.page(&EventPage {
        frame: ask.frame(&tf("Ereignis {n}", &[("n", &show::num(event.seq.0))]), Place::Search),
        back: range.link("/suche", &[("q", text)]),
        time: format!("{} · {}", show::precise(event.timestamp), sites.name(event.site)),
        fields: hit_fields(Some(ask), event, sites.name(event.site), &values),
    })
}

/// Who asks for somebody by a real value is noted before he sees a line, and for each page of lines: no cursor that
/// somebody made up leads past it. In the log stand the pseudonyms that he asked for by it.
fn note_real_values(ask: &Ask, query: &Query) -> Result<(), PageError> {
    let Some(masked) = ask.app.pseudonyms.masked(query) else { return Ok(()) };
    let (actor, now) = (ask.viewer()?.user.to_string(), ask.now);
    let detail = serde_json::json!({ "query": masked.to_string() });
    let new = NewAudit { actor, kind: "pseudonym.searched", object: "search".into(), detail };
    ask.app.db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}

/// For the audit log: what was asked, with pseudonyms for the persons that it names, for which time, and how much it found.
fn remark_search(ask: &Ask, query: &Query, range: &Range, hits: u64) {
    ask.remark("query", ask.app.pseudonyms.masked(query).as_ref().unwrap_or(query).to_string());
    ask.remark("from", range.from.rfc3339());
    ask.remark("to", range.to.rfc3339());
    ask.remark("hits", hits);
}

fn summary(found: &SearchResult) -> String {
    let said = match found.total {
        _ if found.partial => de("mindestens {n} Ereignisse in {millis} ms"),
        1 => de("{n} Ereignis in {millis} ms"),
        _ => de("{n} Ereignisse in {millis} ms"),
    };
    let millis = show::num(i64::try_from(found.took.as_millis()).unwrap_or(i64::MAX));
    let mut parts = vec![tf(said, &[("n", &show::num(found.total)), ("millis", &millis)])];
    if found.partial {
        parts.push(t("Es gibt mehr, als eine Suche liest: Grenzen Sie den Zeitraum ein.").into());
    }
    if !found.damaged.is_empty() {
        parts.push(tf("{n} Tage waren nicht lesbar und fehlen hier.", &[("n", &found.damaged.len())]));
    }
    parts.join(" · ")
}

fn histogram(found: &SearchResult, range: &Range, text: &str) -> Markup {
    let histogram = &found.histogram;
    let bars: Vec<TimeBar> = histogram
        .counts
        .iter()
        .zip(0i64..)
        .map(|(count, n)| {
            let at = histogram.start.plus(n.saturating_mul(histogram.width_millis));
            let to = at.plus(histogram.width_millis);
            let href = show::link("/suche", &[("q", text), ("von", &at.rfc3339()), ("bis", &to.rfc3339())]);
            TimeBar { at, values: vec![*count as f64], href }
        })
        .collect();
    let desc = tf(
        "Balken je {width} von {from} bis {to}.",
        &[("width", &show::duration(histogram.width_millis)), ("from", &show::stamp(range.from)), ("to", &show::stamp(range.to))],
    );
    chart::over_time(OverTime {
        caption: Caption { id: "treffer", title: t("Ereignisse über die Zeit"), desc: &desc },
        unit: Unit::Count(t("Ereignisse")),
        series: &[Series { ink: Ink::Act, name: t("Ereignisse") }],
        until: bars.last().map_or(range.to, |bar| bar.at.plus(histogram.width_millis)),
        bars: &bars,
        brush: Some(Brush { path: "/suche", pairs: &[("q", text)] }),
    })
}

/// The conditions of a plain AND query, each with the link that takes it away. A query with parentheses or OR has
/// no such parts.
fn chips(text: &str, range: &Range) -> Vec<(String, String)> {
    let parts: Vec<&str> = text.split(" AND ").map(str::trim).collect();
    if parts.len() < 2 || text.contains(" OR ") || text.contains('(') || text.matches('"').count() % 2 == 1 {
        return vec![];
    }
    // A quoted value may hold " AND " itself; then the parts are none.
    if parts.iter().any(|part| part.matches('"').count() % 2 == 1) {
        return vec![];
    }
    let without = |skip: usize| {
        let kept: Vec<&str> = parts.iter().enumerate().filter(|(n, _)| *n != skip).map(|(_, part)| *part).collect();
        range.link("/suche", &[("q", &kept.join(" AND "))])
    };
    parts.iter().enumerate().map(|(n, part)| ((*part).to_owned(), without(n))).collect()
}

fn facets(found: &SearchResult, range: &Range, text: &str) -> Vec<Facet> {
    let facet = |(field, values): &(FieldId, Vec<(String, u64)>)| Facet {
        label: words::field(*field),
        field: field.name(),
        values: values
            .iter()
            .take(FACET_VALUES)
            .map(|(value, count)| FacetValue {
                text: value.clone(),
                count: show::num(*count),
                href: range.link("/suche", &[("q", &with(text, &term(field.name(), value)))]),
            })
            .collect(),
    };
    found.top.iter().filter(|(_, values)| !values.is_empty()).map(facet).collect()
}

fn hit(event: &Event, site: &str, values: &Values<'_>, range: &Range, text: &str) -> Hit {
    let host = event.get(fields::HOST_NAME).map(|value| value.text().into_owned());
    Hit {
        seq: event.seq.0,
        time: show::precise(event.timestamp),
        site: values.of("site", site),
        host: host.map_or_else(|| Value::plain(String::new()), |host| values.of("host.name", &host)),
        gist: gist(event),
        message: event.message().to_owned(),
        href: range.link(&format!("/ereignis/{}", event.seq.0), &[("q", text)]),
    }
}

fn gist(event: &Event) -> String {
    let text = |field| event.get(field).map(|value| value.text().into_owned());
    let (Some(from), Some(to)) = (text(fields::SOURCE_IP), text(fields::DESTINATION_IP)) else { return String::new() };
    // Such an event's message says it already.
    if event.defects.contains(Defect::PseudonymisedLine) {
        return String::new();
    }
    let to = match text(fields::DESTINATION_PORT) {
        Some(port) if to.contains(':') => format!("[{to}]:{port}"),
        Some(port) => format!("{to}:{port}"),
        None => to,
    };
    let action = text(fields::EVENT_ACTION).map(|action| format!("{action} ")).unwrap_or_default();
    format!("{action}{from} → {to}")
}

fn hit_fields(ask: Option<&Ask>, event: &Event, site: &str, values: &Values<'_>) -> Vec<HitField> {
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
    hit_fields(None, event, site, values).into_iter().map(|field| (field.name, field.label, field.value)).collect()
}

#[cfg(test)]
mod tests {
    use ingest::time::Timestamp;

    use super::*;

    #[test]
    fn chips_take_one_condition_away() {
        let range = Range {
            from: Timestamp(0),
            to: Timestamp(1),
            words: [("zeit", "1h".into()), ("von", String::new()), ("bis", String::new())],
            choices: vec![],
        };
        let chip = |text: &str| chips(text, &range).into_iter().map(|(text, href)| format!("{text} -> {href}")).collect::<Vec<_>>();
        assert_eq!(chip("a:1 AND b:\"2\""), ["a:1 -> /suche?q=b%3A%222%22&zeit=1h", "b:\"2\" -> /suche?q=a%3A1&zeit=1h"]);
        for none in ["a:1", "a OR b AND c", "(a AND b)", "a:\"x AND y\" AND b"] {
            assert!(chip(none).is_empty(), "{none}");
        }
    }
}
