//! The rows behind the numbers: indicators of a list, a kind, or what became of them, newest first, page by page.

use askama::Template;
use detect::intel::{IndicatorId, KINDS, ListFilter, Only, indicator_list};

use super::{EntryRow, entry_row};
use crate::show::{self, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};
use crate::words::{self, t};

const PAGE: usize = 100;

/// Of which: the word in the address, and what it says.
const ONLY: [(&str, Only); 4] = [("", Only::All), ("getroffen", Only::Sighted), ("abgelaufen", Only::Expired), ("warnliste", Only::Warned)];

#[derive(Template)]
#[template(path = "indicator_entries.html")]
struct EntriesPage {
    frame: Frame,
    list: String,
    kinds: Vec<(&'static str, &'static str, bool)>,
    only: Vec<(&'static str, &'static str, bool)>,
    rows: Vec<EntryRow>,
    first: String,
    next: String,
}

pub(in crate::web) fn entries(ask: &mut Ask) -> Reply {
    let (list, kind, only) = (ask.query("liste").to_owned(), ask.query("art").to_owned(), ask.query("nur").to_owned());
    let hunt = ask.query("rueckschau").to_owned();
    let before: Option<IndicatorId> = ask.query("vor").parse().ok();
    let filter = ListFilter {
        list: Some(list.clone()).filter(|list| !list.is_empty()),
        kind: Some(kind.clone()).filter(|kind| KINDS.contains(&kind.as_str())),
        only: ONLY.into_iter().find(|(name, _)| *name == only).map(|(_, only)| only).unwrap_or_default(),
        hunt: Some(hunt.clone()).filter(|hunt| !hunt.is_empty()),
        before,
        values: vec![],
    };
    let found = ask.app.db.read(|c| indicator_list(c, &filter, ask.now, PAGE + 1))?;
    let here = |more: &[(&str, &str)]| {
        let mut pairs = vec![("liste", list.as_str()), ("art", kind.as_str()), ("nur", only.as_str()), ("rueckschau", hunt.as_str())];
        pairs.retain(|(_, value)| !value.is_empty());
        pairs.extend_from_slice(more);
        show::link("/indikatoren/eintraege", &pairs)
    };
    let last = found.get(PAGE - 1).filter(|_| found.len() > PAGE).map(|row| row.indicator.id.to_string());
    let page = EntriesPage {
        frame: ask.frame(t("Einträge"), Place::Indicators),
        kinds: std::iter::once(("", t("alle Arten"), kind.is_empty()))
            .chain(KINDS.iter().map(|name| (*name, words::indicator_kind(name), *name == kind)))
            .collect(),
        only: ONLY
            .iter()
            .map(|(name, of)| {
                let label = match of {
                    Only::All => t("alle Einträge"),
                    Only::Sighted => t("getroffen"),
                    Only::Expired => t("abgelaufen"),
                    Only::Warned => t("auf einer Warnliste"),
                };
                (*name, label, *name == only)
            })
            .collect(),
        rows: found.iter().take(PAGE).map(|row| entry_row(row, ask)).collect(),
        first: if before.is_some() { here(&[]) } else { String::new() },
        next: last.map(|id| here(&[("vor", &id)])).unwrap_or_default(),
        list: list.clone(),
    };
    ask.page(&page)
}
