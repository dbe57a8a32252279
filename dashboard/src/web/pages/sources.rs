//! Quellen und Standorte: who sends, when last, what of it was broken, and whether everything received is accounted for.

use std::collections::HashMap;

use askama::Template;
use ingest::body;
use ingest::db::DbError;

use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};

struct SourceRow {
    state: Markup,
    name: String,
    site: String,
    body: String,
    received: String,
    defects: String,
    rejected: String,
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

pub(super) fn silent_tile(_ask: &Ask) -> Result<SilentTile, PageError> {
    Ok(SilentTile { value: "–".into(), of: String::new(), why: "Noch keine Quelle bekannt.".into(), badge: None })
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
    let page = SourcesPage {
        frame: ask.frame(title, Place::Sources),
        summary: format!("{} Standorte", show::num(rows.len() as i64)),
        totals: vec![],
        sources: vec![],
        sites: rows,
    };
    ask.page(&page)
}
