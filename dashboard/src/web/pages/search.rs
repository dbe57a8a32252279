//! Suche: a query over the events. Without a pipe its lines, their histogram and their most frequent values as filters; with
//! one the table or the chart that it makes of them.

pub(super) mod facets;
mod help;
pub(in crate::web::pages) mod pipe;

use askama::Template;
use detect::role::{Action, allowed};
use ingest::audit::{NewAudit, audit_add};
use ingest::body::body_get;
use ingest::db::DbError;
use ingest::event::{Defect, Event};
use ingest::events::{AggregateRequest, Cursor, EventStore, SearchRequest, SearchResult};
use ingest::fields;
use ingest::query::{Pipeline, Query, Stage};
use ingest::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::columns::{Column, Columns};
use super::range::{Broken, Range};
use super::value::{Value, Values};
use crate::chart::{self, Brush, Caption, Ink, OverTime, Series, TimeBar, Unit};
use crate::session::hex;
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::note::QUERY_CHARS_MAX;
use crate::web::{Ask, PageError, Reply};
use crate::words::{de, t, tf};
use facets::Facet;
use help::{Hint, Said};

const PAGE_ROWS: usize = 100;
const BARS: usize = 60;
/// Saved searches shown above the lines; the others are on their own page.
const SAVED_SHOWN: usize = 6;
/// Below the search where persons are hidden.
const PSEUDONYMS_HINT: &str = de(
    "Konten, E-Mail-Adressen und interne Adressen stehen hier als Pseudonyme. Mit einem Feld gefragt (user.name:…, source.ip:…) werden sie auch über den Klarwert gefunden; solche Anfragen werden protokolliert.",
);

struct Hit {
    seq: u64,
    time: String,
    /// To the millisecond.
    exact: String,
    cells: Vec<Value>,
    /// What a firewall's line says, which itself begins with dates and serial numbers; else empty.
    gist: String,
    message: String,
    /// To the line with all its fields.
    href: String,
}

/// A page of lines, and where the grid gets the next one.
#[derive(Default)]
struct Rows {
    grid: String,
    columns: Vec<Column>,
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
#[template(path = "search.html")]
struct SearchPage<'a> {
    frame: Frame,
    query: &'a str,
    ranges: Vec<(&'static str, String, bool)>,
    error: Option<Broken>,
    /// The query as it was probably meant, and where it leads.
    correction: Option<(String, String)>,
    chips: Vec<(String, String)>,
    summary: String,
    /// That not everything was found, and the ways to the rest.
    said: Option<Said>,
    /// What is to be known of searching for what is hidden; empty where nothing is.
    hint: &'static str,
    chart: Markup,
    facets: Vec<Facet>,
    rows: Rows,
    older: String,
    first: String,
    /// What a pipe makes of the matches; `rows` are none then.
    view: Option<pipe::View>,
    live: String,
    /// Some of the saved searches, and how many there are.
    saved: Vec<(String, String)>,
    saved_count: usize,
    /// What the forms of this page carry on: (name, value).
    save: Vec<(&'static str, String)>,
    /// The same with the columns.
    kept: Vec<(&'static str, String)>,
    roles: Vec<(String, String, bool)>,
    name_max: usize,
    /// The body that all of it is narrowed to, and the page without that.
    body: Option<(String, String)>,
    /// What the form of the query carries on beside it.
    carried: Vec<(&'static str, String)>,
    columns: Vec<(&'static str, &'static str, bool)>,
    facets_shown: bool,
    /// The page with the most frequent values, or without.
    facets_href: String,
    /// This page with its time as from and to, so that it shows the same tomorrow.
    exact: String,
    /// What a file of what is found here carries: (name, value); and how much that is.
    file: Vec<(&'static str, String)>,
    file_size: String,
    /// What to try where nothing was found: (label, where it leads).
    helps: Vec<(String, String)>,
    sheet: Vec<Hint>,
    /// Names and labels of the fields, to be suggested.
    fields: Vec<(&'static str, &'static str)>,
    /// How long a search may take, in seconds.
    seconds_max: u64,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "24h");
    let mut page = blank(ask, text, &range)?;
    match (Pipeline::parse(text, ask.now), &ask.app.events) {
        (Err(error), _) => {
            let broken = Broken::new(text, &error);
            page.correction = error.suggestion.map(|fixed| (fixed.clone(), range.link("/suche", &[("q", &fixed)])));
            (page.error, page.chips) = (Some(broken), vec![]);
        }
        (Ok(_), None) => page.summary = t("Der Ereignisspeicher läuft in diesem Programm nicht.").into(),
        (Ok(asked), Some(store)) if asked.is_table() => put_table(&mut page, ask, store, asked, &range)?,
        (Ok(asked), Some(store)) => put_lines(&mut page, ask, store, asked.query, &range)?,
    }
    page.ranges = range.choices;
    ask.page(&page)
}

/// The page before anything is searched for.
fn blank<'a>(ask: &Ask, text: &'a str, range: &Range) -> Result<SearchPage<'a>, PageError> {
    let (saved, saved_count) = super::saved::some(ask, ask.viewer()?, SAVED_SHOWN)?;
    let body = match range.body {
        Some(id) if ask.scope().body_allowed(Some(id)) => ask.app.db.read(|c| body_get(c, id))?,
        _ => None,
    };
    // All that this page's address says.
    let mut words = vec![("q", text.to_owned())];
    words.extend(range.words.iter().filter(|(_, value)| !value.is_empty()).cloned());
    let exact = [("von", range.from.rfc3339()), ("bis", range.to.rfc3339())];
    let mut file = vec![("q", text.to_owned())];
    file.extend(exact.iter().cloned());
    file.extend(range.body.map(|body| ("stelle", body.to_string())));
    let facets_shown = ask.query("werte") != "aus";
    Ok(SearchPage {
        frame: ask.frame(t("Suche"), Place::Search),
        query: text,
        ranges: vec![],
        error: None,
        correction: None,
        chips: chips(text, range),
        summary: String::new(),
        said: None,
        hint: if ask.app.pseudonyms.any() { t(PSEUDONYMS_HINT) } else { "" },
        chart: Markup::default(),
        facets: vec![],
        rows: Rows::default(),
        older: String::new(),
        first: String::new(),
        view: None,
        live: show::link("/suche/live", &[("q", Pipeline::split(text).0.trim())]),
        saved,
        saved_count,
        roles: super::saved::roles(&[]),
        name_max: crate::saved_search::NAME_CHARS_MAX,
        body: body.map(|body| (body.name, range.changed("/suche", text, "stelle", ""))),
        carried: range.carried(),
        columns: Columns::of(ask).choices(),
        facets_shown,
        facets_href: range.changed("/suche", text, "werte", if facets_shown { "aus" } else { "" }),
        exact: range.over("/suche", text, &exact.each_ref().map(|(name, value)| (*name, value.as_str()))),
        file,
        file_size: String::new(),
        helps: vec![],
        sheet: help::sheet(range),
        fields: help::fields(),
        kept: words.clone(),
        save: words.into_iter().filter(|(name, _)| *name != "spalten").collect(),
        seconds_max: ingest::events::SEARCH_TIME_MAX.as_secs(),
    })
}

fn put_lines(page: &mut SearchPage<'_>, ask: &Ask, store: &EventStore, query: Query, range: &Range) -> Result<(), PageError> {
    let text = page.query;
    let request = request(ask, query, range);
    note_real_values(ask, &request.query)?;
    let before = request.before;
    if before.is_some() {
        note_further(ask, &request.query, range)?;
    }
    let mut reached = None;
    let found = store.search_with(&request, &mut |progress| reached = Some(*progress)).map_err(PageError::store)?;
    if before.is_none() {
        remark_search(ask, &request.query, range, found.total);
    }
    page.summary = summary(&found);
    page.said = help::lines(&found, reached, request.time_max, range, text);
    page.file_size = crate::words::tn("{n} Ereignis", "{n} Ereignisse", found.total);
    if found.hits.is_empty() && found.total == 0 {
        page.helps = help::empty(text, range, &page.chips);
        return Ok(());
    }
    page.chart = histogram(&found, range, text);
    if page.facets_shown {
        page.facets = facets::of(ask, store, &request, &found, range, text)?;
    }
    page.rows = rows_of(ask, &found, range, text);
    page.older = found.next.map(|next| range.link("/suche", &[("q", text), ("vor", &next.to_string())])).unwrap_or_default();
    page.first = if before.is_some() { range.link("/suche", &[("q", text)]) } else { String::new() };
    Ok(())
}

fn put_table(page: &mut SearchPage<'_>, ask: &Ask, store: &EventStore, asked: Pipeline, range: &Range) -> Result<(), PageError> {
    let text = page.query;
    note_real_values(ask, &asked.query)?;
    let request = table_request(ask, asked, range);
    let found = store.aggregate(&request).map_err(PageError::store)?;
    remark_pipe(ask, &request.pipeline, (range.from, range.to), found.total);
    page.summary = pipe::summary(&found);
    page.said = help::table(&found, request.time_max, range, text);
    page.file_size = crate::words::tn("{n} Zeile", "{n} Zeilen", found.table.rows.len() as u64);
    let values = Values::new(ask, "/suche", text, range, vec![]);
    let view = pipe::view(
        &pipe::Asked { path: "/suche", more: &[], noun: t("Ereignisse"), pipeline: &request.pipeline, text, range, values: &values },
        &found,
    );
    if found.total == 0 {
        page.helps = help::empty(text, range, &page.chips);
    }
    page.view = Some(view);
    Ok(())
}

/// What a pipe is to be evaluated on.
pub(super) fn table_request(ask: &Ask, asked: Pipeline, range: &Range) -> AggregateRequest {
    let mut request = AggregateRequest::new(asked, range.scope(ask), ask.app.sites());
    (request.from, request.to) = (Some(range.from), Some(range.to));
    (request.real_values, request.cancel) = (real_values(ask), ask.cancel.clone());
    request
}

/// The next lines alone, for the grid.
pub(in crate::web) fn rows(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let range = Range::of(ask, "24h");
    let mut rows = Rows::default();
    if let (Ok(asked), Some(store)) = (Pipeline::parse(text, ask.now), &ask.app.events) {
        let request = request(ask, asked.query, &range);
        note_real_values(ask, &request.query)?;
        if request.before.is_some() {
            note_further(ask, &request.query, &range)?;
        }
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
pub(super) fn request(ask: &Ask, query: Query, range: &Range) -> SearchRequest {
    let before: Option<Cursor> = ask.query("vor").parse().ok();
    let mut request = SearchRequest::new(query, range.scope(ask), ask.app.sites());
    (request.from, request.to) = (Some(range.from), Some(range.to));
    (request.limit, request.before, request.buckets) = (PAGE_ROWS, before, BARS);
    request.cancel = ask.cancel.clone();
    request.real_values = real_values(ask);
    request
}

/// Whether somebody may ask for hidden values by what they are.
pub(in crate::web) fn real_values(ask: &Ask) -> bool {
    ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::SearchRealValues, viewer.role))
}

fn rows_of(ask: &Ask, found: &SearchResult, range: &Range, text: &str) -> Rows {
    let (sites, values, columns) = (ask.app.sites(), Values::new(ask, "/suche", text, range, vec![]), Columns::of(ask));
    Rows {
        grid: columns.grid(),
        columns: columns.heads(),
        hits: found.hits.iter().map(|event| hit(event, sites.name(event.site), &columns, &values, range, text)).collect(),
        source: range.link("/suche/zeilen", &[("q", text), ("summe", &found.total.to_string())]),
        page: PAGE_ROWS,
        total: found.total,
        next: found.next.map(|next| next.to_string()).unwrap_or_default(),
        from_start: ask.query("vor").is_empty(),
    }
}

/// Who asks for somebody by a real value is noted before he sees a line, and for each page of lines: no cursor that
/// somebody made up leads past it. In the log stand the pseudonyms that he asked for by it.
pub(in crate::web) fn note_real_values(ask: &Ask, query: &Query) -> Result<(), PageError> {
    let Some(masked) = ask.app.pseudonyms.masked(query) else { return Ok(()) };
    let (actor, now) = (ask.viewer()?.user.to_string(), ask.now);
    let detail = serde_json::json!({ "query": masked.to_string() });
    let new = NewAudit { actor, kind: "pseudonym.searched", object: "search".into(), detail };
    ask.app.db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}

/// Who goes on behind a cursor has searched before, as a rule; but cursors can be made up. So each different search leaves
/// its row once an hour, however many pages of it are turned.
fn note_further(ask: &Ask, query: &Query, range: &Range) -> Result<(), PageError> {
    let query = ask.app.pseudonyms.masked(query).as_ref().unwrap_or(query).to_string();
    let mut digest = Sha256::new();
    digest.update(&query);
    // As the link says it: a span that ends now is the same one on the next page.
    for (name, value) in range.words.iter().filter(|(name, _)| matches!(*name, "zeit" | "von" | "bis")) {
        digest.update(format!("\0{name}={value}"));
    }
    digest.update(range.body.map(|body| format!("\0{body}")).unwrap_or_default());
    let object = format!("search:{}", hex(&digest.finalize()).get(..16).unwrap_or_default());
    let query: String = query.chars().take(QUERY_CHARS_MAX).collect();
    let detail = serde_json::json!({ "query": query, "from": range.from.rfc3339(), "to": range.to.rfc3339() });
    let new = NewAudit { actor: ask.viewer()?.user.to_string(), kind: "search.paged", object, detail };
    ask.app.audit.look(ask.now, new).map_err(|_| PageError::Unnoted)
}

/// The same with what is made of the matches.
pub(super) fn remark_pipe(ask: &Ask, asked: &Pipeline, (from, to): (Timestamp, Timestamp), hits: u64) {
    remark(ask, &asked.query, (from, to), hits);
    ask.remark("stages", asked.stages.iter().map(Stage::to_string).collect::<Vec<_>>().join(" | "));
}

fn remark_search(ask: &Ask, query: &Query, range: &Range, hits: u64) {
    remark(ask, query, (range.from, range.to), hits);
}

/// For the audit log: what was asked, with pseudonyms for the persons that it names, for which time, and how much it found.
pub(super) fn remark(ask: &Ask, query: &Query, (from, to): (Timestamp, Timestamp), hits: u64) {
    ask.remark("query", ask.app.pseudonyms.masked(query).as_ref().unwrap_or(query).to_string());
    ask.remark("from", from.rfc3339());
    ask.remark("to", to.rfc3339());
    ask.remark("hits", hits);
}

fn summary(found: &SearchResult) -> String {
    let said = match found.total {
        _ if found.partial => de("mindestens {n} Ereignisse in {millis} ms"),
        1 => de("{n} Ereignis in {millis} ms"),
        _ => de("{n} Ereignisse in {millis} ms"),
    };
    let millis = show::num(i64::try_from(found.took.as_millis()).unwrap_or(i64::MAX));
    tf(said, &[("n", &show::num(found.total)), ("millis", &millis)])
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
            let href = range.over("/suche", text, &[("von", &at.rfc3339()), ("bis", &to.rfc3339())]);
            TimeBar { at, values: vec![*count as f64], href }
        })
        .collect();
    let carried = range.carried();
    let pairs: Vec<(&str, &str)> = [("q", text)].into_iter().chain(carried.iter().map(|(name, value)| (*name, value.as_str()))).collect();
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
        before: None,
        brush: Some(Brush { path: "/suche", pairs: &pairs }),
    })
}

/// The conditions of a plain AND query and what is made of its matches, each with the link that takes it away. A query with
/// parentheses or OR has no such parts.
fn chips(text: &str, range: &Range) -> Vec<(String, String)> {
    let (query, stages) = Pipeline::split(text);
    let query = query.trim();
    let to = |kept: &str, stages: &str| {
        let kept = if kept.is_empty() && !stages.is_empty() { "*" } else { kept };
        range.link("/suche", &[("q", format!("{kept} {stages}").trim())])
    };
    let parts: Vec<&str> = query.split(" AND ").map(str::trim).collect();
    // A quoted value may hold " AND " itself; then the parts are none.
    let whole = |part: &str| part.matches('"').count().is_multiple_of(2);
    let plain = !query.contains(" OR ") && !query.contains('(') && parts.iter().all(|part| whole(part));
    let mut chips = vec![];
    if plain && (parts.len() > 1 || !stages.is_empty()) && !matches!(query, "" | "*") {
        let without = |skip: usize| {
            let kept: Vec<&str> = parts.iter().enumerate().filter(|(n, _)| *n != skip).map(|(_, part)| *part).collect();
            to(&kept.join(" AND "), stages)
        };
        chips = parts.iter().enumerate().map(|(n, part)| ((*part).to_owned(), without(n))).collect();
    }
    if !stages.is_empty() {
        chips.push((stages.to_owned(), to(query, "")));
    }
    chips
}

fn hit(event: &Event, site: &str, columns: &Columns, values: &Values<'_>, range: &Range, text: &str) -> Hit {
    Hit {
        seq: event.seq.0,
        time: show::stamp_short(event.timestamp),
        exact: show::precise(event.timestamp),
        cells: columns.cells(event, site, values),
        gist: gist(event),
        message: event.message().to_owned(),
        href: range.link(&format!("/ereignis/{}", event.seq.0), &[("q", text)]),
    }
}

pub(super) fn gist(event: &Event) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_take_one_condition_away() {
        let range = Range {
            from: Timestamp(0),
            to: Timestamp(1),
            words: vec![("zeit", "1h".into()), ("von", String::new()), ("bis", String::new())],
            body: None,
            choices: vec![],
        };
        let chip = |text: &str| chips(text, &range).into_iter().map(|(text, href)| format!("{text} -> {href}")).collect::<Vec<_>>();
        assert_eq!(chip("a:1 AND b:\"2\""), ["a:1 -> /suche?q=b%3A%222%22&zeit=1h", "b:\"2\" -> /suche?q=a%3A1&zeit=1h"]);
        assert_eq!(
            chip("a:1 | top site | head 2"),
            ["a:1 -> /suche?q=%2A%20%7C%20top%20site%20%7C%20head%202&zeit=1h", "| top site | head 2 -> /suche?q=a%3A1&zeit=1h"]
        );
        assert_eq!(chip("(a OR b) | count"), ["| count -> /suche?q=%28a%20OR%20b%29&zeit=1h"]);
        for none in ["a:1", "a OR b AND c", "(a AND b)", "a:\"x AND y\" AND b"] {
            assert!(chip(none).is_empty(), "{none}");
        }
    }
}
