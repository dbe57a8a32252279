//! Live mitlesen: the newest lines that a query fits, and with a script those that come (`web::tail`). Without one it is a
//! page to load again.

use askama::Template;
use ingest::body::SiteTable;
use ingest::event::Event;
use ingest::events::{EventStore, SearchRequest};
use ingest::fields;
use ingest::query::Query;
use ingest::time::Timestamp;

use super::range::Broken;
use super::search::{gist, note_real_values, real_values, remark};
use crate::show::{self, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::t;

/// Lines that stand on the page at first.
const FIRST_LINES: usize = 50;
/// Lines that the page holds; older ones go as new ones come.
const LINES_MAX: usize = 500;
/// How far back the first lines are looked for.
const FIRST_SPAN: i64 = Timestamp::HOUR;
/// Characters of a message; the whole line is on its page.
const MESSAGE_CHARS_MAX: usize = 1_000;

/// A line as the tail shows it.
pub(in crate::web) struct Line {
    pub(in crate::web) seq: u64,
    pub(in crate::web) time: String,
    pub(in crate::web) site: String,
    pub(in crate::web) host: String,
    pub(in crate::web) gist: String,
    pub(in crate::web) message: String,
}

impl Line {
    pub(in crate::web) fn of(event: &Event, sites: &SiteTable) -> Self {
        let same_day = show::day_start(event.timestamp) == show::day_start(event.received_at);
        Self {
            seq: event.seq.0,
            time: if same_day { show::clock_precise(event.timestamp) } else { show::precise(event.timestamp) },
            site: sites.name(event.site).to_owned(),
            host: event.get(fields::HOST_NAME).map(|value| value.text().into_owned()).unwrap_or_default(),
            gist: gist(event),
            message: event.message().chars().take(MESSAGE_CHARS_MAX).collect(),
        }
    }
}

#[derive(Template)]
#[template(path = "tail.html")]
struct TailPage<'a> {
    frame: Frame,
    query: &'a str,
    error: Option<Broken>,
    /// The query as it was probably meant, and where it leads.
    correction: Option<(String, String)>,
    /// The search with the same query.
    search: String,
    /// This page again.
    again: String,
    /// What follows a line's number in the address of its page.
    behind: String,
    lines: Vec<Line>,
    /// Where the stream comes from; empty where there is none.
    stream: String,
    since: u64,
    lines_max: usize,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let text = ask.query("q").trim();
    let mut page = TailPage {
        frame: ask.frame(t("Live mitlesen"), Place::Search),
        query: text,
        error: None,
        correction: None,
        search: show::link("/suche", &[("q", text)]),
        again: show::link("/suche/live", &[("q", text)]),
        behind: show::link("", &[("q", text)]),
        lines: vec![],
        stream: String::new(),
        since: 0,
        lines_max: LINES_MAX,
    };
    match (Query::parse_at(text, ask.now), &ask.app.events) {
        (Err(error), _) => {
            page.error = Some(Broken::new(text, &error));
            let fixed = error.suggestion.filter(|fixed| !fixed.is_empty());
            page.correction = fixed.map(|fixed| (fixed.clone(), show::link("/suche/live", &[("q", &fixed)])));
        }
        (Ok(_), None) => {}
        (Ok(query), Some(store)) => {
            note_real_values(ask, &query)?;
            (page.lines, page.since) = newest(ask, store, query)?;
            page.stream = show::link("/suche/strom", &[("q", text)]);
        }
    }
    ask.page(&page)
}

/// The newest lines, and up to where the stream need not tell any more.
fn newest(ask: &Ask, store: &EventStore, query: Query) -> Result<(Vec<Line>, u64), PageError> {
    // Before the search: what comes meanwhile is the stream's, and shown by it alone.
    let head = store.feed().head();
    let mut request = SearchRequest::new(query, ask.scope(), ask.app.sites());
    let (from, to) = (ask.now.plus(-FIRST_SPAN), ask.now.plus(Timestamp::MINUTE));
    (request.from, request.to, request.limit, request.summary) = (Some(from), Some(to), FIRST_LINES, false);
    request.cancel = ask.cancel.clone();
    request.real_values = real_values(ask);
    let found = store.search(&request).map_err(PageError::store)?;
    remark(ask, &request.query, (from, to), found.hits.len() as u64);
    let mut hits: Vec<&Event> = found.hits.iter().filter(|event| event.seq <= head).collect();
    // As they come, and so as the stream goes on.
    hits.sort_unstable_by_key(|event| std::cmp::Reverse(event.seq));
    Ok((hits.into_iter().map(|event| Line::of(event, &request.sites)).collect(), head.0))
}
