//! Quellen und Standorte: who sends, when last, what of it was broken, and whether everything received is accounted for.

use std::collections::HashMap;

use askama::Template;
use ingest::body;
use ingest::db::DbError;
use ingest::listen::Listener;
use ingest::source::{Source, source_last_seen, source_list};
use ingest::time::Timestamp;

use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};

struct SourceRow {
    state: Markup,
    name: String,
    site: String,
    body: String,
    detail: String,
    received: String,
    defects: String,
    volume: String,
    last: Markup,
}

struct SiteRow {
    name: String,
    body: String,
    prefixes: String,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    summary: String,
    totals: Vec<(&'static str, String, String)>,
    sources: Vec<SourceRow>,
    sites: Vec<SiteRow>,
}

/// The Lage's word on sources.
pub(super) struct SilentTile {
    pub(super) value: String,
    pub(super) of: String,
    pub(super) why: String,
    pub(super) badge: Option<Markup>,
}

/// Sources on the page, the silent ones first.
const ROWS_MAX: usize = 500;
/// Sources named on the Lage.
const NAMED_MAX: usize = 2;

pub(super) fn silent_tile(ask: &Ask) -> Result<SilentTile, PageError> {
    let (scope, sites) = (ask.scope(), ask.app.sites());
    let sources = ask.app.db.read(|c| source_list(c, &scope, &sites, ask.now))?;
    let silent: Vec<&Source> = sources.iter().filter(|source| source.is_silent(ask.now)).collect();
    let named =
        silent.iter().take(NAMED_MAX).map(|source| format!("{} seit {}", name(source), show::duration(ask.now.since(source.last_seen))));
    let why = match (sources.len(), silent.len()) {
        (0, _) => "Noch keine Quelle bekannt.".to_owned(),
        (_, 0) => "Alle Quellen melden sich.".to_owned(),
        _ => named.collect::<Vec<_>>().join(", "),
    };
    let of = if sources.is_empty() { String::new() } else { format!("von {}", show::num(count(sources.len()))) };
    Ok(SilentTile { value: show::num(count(silent.len())), of, why, badge: None })
}

/// When the last frame came, for the bar.
pub(super) fn last_seen(ask: &Ask) -> Option<Timestamp> {
    let (scope, sites) = (ask.scope(), ask.app.sites());
    ask.app.db.read(|c| source_last_seen(c, &scope, &sites)).ok()?
}

fn name(source: &Source) -> &str {
    if source.host.is_empty() { &source.peer } else { &source.host }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Received = stored + rejected + dropped since the start, and what the kernel dropped before us.
fn totals(ask: &Ask) -> Vec<(&'static str, String, String)> {
    let rows = ask.app.counters.snapshot();
    let (mut received, mut stored, mut rejected, mut dropped) = (0u64, 0u64, 0u64, 0u64);
    for row in &rows {
        received += row.received;
        stored += row.stored;
        rejected += row.rejected.iter().map(|(_, n)| n).sum::<u64>();
        dropped += row.dropped.iter().map(|(_, n)| n).sum::<u64>();
    }
    let kernel: u64 = Listener::ALL.into_iter().map(|listener| ask.app.counters.kernel_dropped(listener)).sum();
    let open = received.saturating_sub(stored + rejected + dropped);
    let balance = if open == 0 { "Die Rechnung geht auf.".to_owned() } else { format!("{} sind gerade unterwegs.", show::num(open)) };
    vec![
        ("Empfangen", show::num(received), format!("seit dem Start. {balance}")),
        ("Gespeichert", show::num(stored), "im Journal, auf der Platte".into()),
        ("Abgewiesen", show::num(rejected), "leer, zu groß, unlesbar oder ohne Berechtigung".into()),
        ("Verloren", show::num(dropped + kernel), format!("{} bei uns, {} schon im Netzwerkpuffer", show::num(dropped), show::num(kernel))),
    ]
}

fn source_row(ask: &Ask, source: &Source, site: &str, body: String) -> SourceRow {
    let state = match (source.transport.as_str(), source.is_silent(ask.now)) {
        ("import", _) => show::badge(Tone::Quiet, "Import"),
        (_, true) => show::badge(Tone::High, "verstummt"),
        (_, false) => show::badge(Tone::Good, "meldet sich"),
    };
    let mut defects: Vec<(&String, &i64)> = source.defects.iter().collect();
    defects.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let most = defects.first().map(|(name, _)| format!(" ({name})")).unwrap_or_default();
    SourceRow {
        state,
        name: name(source).to_owned(),
        detail: format!("{} · {} · {}", source.peer, source.transport, if source.kind == "flow" { "Datenflüsse" } else { "Protokolle" }),
        site: site.to_owned(),
        body,
        received: show::num(source.records),
        defects: format!("{}{most}", show::num(source.defective)),
        volume: show::bytes(source.bytes.max(0).unsigned_abs()),
        last: show::time(source.last_seen, ask.now),
    }
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let (scope, sites) = (ask.scope(), ask.app.sites());
    let bodies: HashMap<_, _> =
        ask.app.db.read(|c| Ok::<_, DbError>(body::body_list(c)?.into_iter().map(|body| (body.id, body.name)).collect()))?;
    // The administrator looks after sites, though no case of any body is his.
    let all_sites = ask.viewer()?.role == detect::role::Role::Admin;
    let mut rows: Vec<SiteRow> = sites
        .iter()
        .filter(|site| all_sites || scope.body_allowed(site.body))
        .map(|site| SiteRow {
            name: site.name.clone(),
            body: site.body.and_then(|body| bodies.get(&body).cloned()).unwrap_or_else(|| "keine".into()),
            prefixes: site.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        })
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    let title = if scope == ingest::scope::Scope::All || all_sites { "Quellen und Standorte" } else { "Ihre Quellen" };
    let wide = if all_sites { ingest::scope::Scope::All } else { scope.clone() };
    let sources = ask.app.db.read(|c| source_list(c, &wide, &sites, ask.now))?;
    let body_name = |source: &Source| sites.body(source.site).and_then(|body| bodies.get(&body).cloned()).unwrap_or_default();
    let silent = sources.iter().filter(|source| source.is_silent(ask.now)).count();
    let mut ordered: Vec<&Source> = sources.iter().collect();
    ordered.sort_by_key(|source| (!source.is_silent(ask.now), std::cmp::Reverse(source.last_seen)));
    let page = SourcesPage {
        frame: ask.frame(title, Place::Sources),
        summary: format!(
            "{} Quellen, {} verstummt · {} Standorte",
            show::num(count(sources.len())),
            show::num(count(silent)),
            show::num(count(rows.len()))
        ),
        totals: if wide == ingest::scope::Scope::All { totals(ask) } else { vec![] },
        sources: ordered
            .into_iter()
            .take(ROWS_MAX)
            .map(|source| source_row(ask, source, sites.name(source.site), body_name(source)))
            .collect(),
        sites: rows,
    };
    ask.page(&page)
}
