//! The page itself: one value asked for, the lists by kind, their sources, the warning lists, and the hunts.

use askama::Template;
use axum::http::StatusCode;
use detect::flow::retro::{RetroHunt, RetroHuntId, RetroState, retro_cancel, retro_list};
use detect::intel::feed::{FeedRow, feed_hurry, feed_list};
use detect::intel::{
    ListFilter, ListSummary, NewIndicator, Pattern, Tlp, WarningList, indicator_add, indicator_list, indicator_lists, warning_lists,
};
use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use ingest::time::Timestamp;
use serde_json::json;

use super::{EntryRow, entry_row};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf, tn};

/// Rows of lists and kinds that are shown; a house has some dozen lists of a few kinds.
const LISTS_MAX: usize = 2_000;
/// Entries of one form: a warning's appendix. Larger lists come by feeds or on the command line.
const ENTRIES_MAX: usize = 2_000;
const LIST_CHARS_MAX: usize = 80;
/// Until somebody says otherwise; the detectors' own threshold lies below.
const CONFIDENCE: u8 = 80;
/// Entries shown for one value that is asked for: every list may have it.
const FOUND_MAX: usize = 100;

/// A number that opens to its rows.
struct Number {
    text: String,
    href: String,
}

struct ListRow {
    name: String,
    entries: Number,
    kinds: Vec<Number>,
    expired: Number,
    warned: Number,
    sighted: Number,
}

struct FeedView {
    name: String,
    badge: Markup,
    source: String,
    when: String,
    brought: String,
    /// What to do, where it brings nothing, and what exactly was said.
    todo: &'static str,
    detail: String,
    refused: Vec<(String, String)>,
    examples: Vec<(String, String)>,
}

struct WarningRow {
    name: String,
    description: String,
    entries: String,
    updated: Markup,
}

struct HuntRow {
    id: String,
    name: String,
    badge: Markup,
    percent: u8,
    stretch: String,
    indicators: Number,
    flows: String,
    events: String,
    findings: Number,
    running: bool,
    ended: String,
}

#[derive(Template)]
#[template(path = "indicators.html")]
struct IndicatorsPage {
    frame: Frame,
    summary: String,
    problem: String,
    asked: String,
    /// What was understood of it, or why not.
    answer: String,
    found: Vec<EntryRow>,
    lists: Vec<ListRow>,
    feeds: Vec<FeedView>,
    warnings: Vec<WarningRow>,
    hunts: Vec<HuntRow>,
    list: String,
    entries: String,
    entries_max: String,
    confidence: String,
    tlp: Vec<(&'static str, &'static str)>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new())
}

fn page(ask: &Ask, status: StatusCode, problem: String) -> Reply {
    let now = ask.now;
    let (summaries, hunts, feeds, warnings) =
        ask.app.db.read(|c| Ok::<_, DbError>((indicator_lists(c, now, LISTS_MAX)?, retro_list(c)?, feed_list(c)?, warning_lists(c)?)))?;
    let lists = list_rows(&summaries);
    let all: i64 = summaries.iter().map(|list| list.entries).sum();
    let typed = |name: &str, otherwise: String| if problem.is_empty() { otherwise } else { ask.form(name).to_owned() };
    let asked = ask.query("wert").trim().to_owned();
    let (answer, found) = if asked.is_empty() { Default::default() } else { known(ask, &asked)? };
    let page = IndicatorsPage {
        frame: ask.frame(t("Indikatoren"), Place::Indicators),
        summary: tf(
            "{entries} in {lists}",
            &[
                ("entries", &tn("{n} Eintrag", "{n} Einträge", all.unsigned_abs())),
                ("lists", &tn("{n} Liste", "{n} Listen", lists.len() as u64)),
            ],
        ),
        asked,
        answer,
        found,
        lists,
        feeds: feeds.iter().map(|feed| feed_view(feed, now)).collect(),
        warnings: warnings.iter().map(|list| warning_row(list, now)).collect(),
        hunts: hunts.iter().map(hunt_row).collect(),
        list: typed("liste", String::new()),
        entries: typed("eintraege", String::new()),
        entries_max: show::num(i64::try_from(ENTRIES_MAX).unwrap_or(0)),
        confidence: typed("vertrauen", CONFIDENCE.to_string()),
        tlp: Tlp::ALL.iter().map(|tlp| (tlp.as_str(), tlp.as_str())).collect(),
        problem,
    };
    ask.page_status(status, &page)
}

/// Whether a value is known: read as lists read it, with everything around it that would match it too.
fn known(ask: &Ask, asked: &str) -> Result<(String, Vec<EntryRow>), PageError> {
    let Ok(pattern) = asked.parse::<Pattern>() else {
        let answer =
            t("Das ist keine Adresse, kein Netz, kein Domainname, keine URL, kein Hash (MD5, SHA-1, SHA-256) und keine E-Mail-Adresse.");
        return Ok((answer.to_owned(), vec![]));
    };
    let mut values = pattern.around();
    // Nets around an address are known to what is in force.
    let set = ask.app.indicators.get();
    values.extend(set.pattern(&pattern, ask.now).iter().map(|hit| hit.pattern.value()));
    values.sort();
    values.dedup();
    let filter = ListFilter { values, ..ListFilter::default() };
    let rows = ask.app.db.read(|c| indicator_list(c, &filter, ask.now, FOUND_MAX))?;
    let value = show::safe(&pattern.value());
    let answer = match rows.len() {
        0 => tf("{value} steht auf keiner Liste.", &[("value", &value)]),
        n => tf("{value}: {entries}", &[("value", &value), ("entries", &tn("{n} Eintrag", "{n} Einträge", n as u64))]),
    };
    Ok((answer, rows.iter().map(|row| entry_row(row, ask)).collect()))
}

fn list_rows(summaries: &[ListSummary]) -> Vec<ListRow> {
    let mut rows: Vec<ListRow> = Vec::new();
    for of in summaries.chunk_by(|a, b| a.list == b.list) {
        let Some(first) = of.first() else { continue };
        let sum = |count: fn(&ListSummary) -> i64| of.iter().map(count).sum::<i64>();
        let number = |count: i64, more: &[(&str, &str)]| {
            let mut pairs = vec![("liste", first.list.as_str())];
            pairs.extend_from_slice(more);
            let href = if count > 0 { show::link("/indikatoren/eintraege", &pairs) } else { String::new() };
            Number { text: show::num(count), href }
        };
        rows.push(ListRow {
            name: first.list.clone(),
            entries: number(sum(|row| row.entries), &[]),
            kinds: of
                .iter()
                .map(|row| Number {
                    text: words::indicator_count(&row.kind, row.entries.unsigned_abs()),
                    ..number(row.entries, &[("art", &row.kind)])
                })
                .collect(),
            expired: number(sum(|row| row.expired), &[("nur", "abgelaufen")]),
            warned: number(sum(|row| row.warned), &[("nur", "warnliste")]),
            sighted: number(sum(|row| row.sighted), &[("nur", "getroffen")]),
        });
    }
    rows
}

fn feed_view(feed: &FeedRow, now: Timestamp) -> FeedView {
    let state = &feed.state;
    let badge = match (&state.failure, feed.tried_at, feed.done_at) {
        (Some(_), ..) => show::badge(Tone::High, t("bringt nichts")),
        (None, None, _) => show::badge(Tone::Quiet, t("wartet")),
        (None, Some(_), _) => show::badge(Tone::Good, t("in Ordnung")),
    };
    let (todo, detail) =
        state.failure.as_ref().map_or(("", String::new()), |(failure, detail)| (words::feed_failure(*failure), detail.clone()));
    let host = state.url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
    let when = match feed.done_at {
        Some(at) if state.unchanged => tf("zuletzt {ago}, unverändert", &[("ago", &show::ago(at, now))]),
        Some(at) => tf("zuletzt {ago}", &[("ago", &show::ago(at, now))]),
        None => t("noch nie gelesen").to_owned(),
    };
    let report = &state.report;
    let brought = tf(
        "{taken} gelesen, davon {added} neu, {changed} geändert; {dropped} entfallen",
        &[
            ("taken", &show::num(report.taken)),
            ("added", &show::num(state.added)),
            ("changed", &show::num(state.changed)),
            ("dropped", &show::num(state.dropped)),
        ],
    );
    FeedView {
        name: feed.name.clone(),
        badge,
        source: tf(
            "{host}, alle {every}",
            &[("host", &show::safe(host)), ("every", &show::duration(i64::from(state.every_minutes) * Timestamp::MINUTE))],
        ),
        when,
        brought: if feed.done_at.is_some() { brought } else { String::new() },
        todo,
        detail,
        refused: report.refused.iter().map(|(reason, count)| (words::refusal(*reason).to_owned(), show::num(*count))).collect(),
        examples: report.examples.iter().map(|one| (one.place.clone(), format!("{}: {}", words::refusal(one.reason), one.what))).collect(),
    }
}

fn warning_row(list: &WarningList, now: Timestamp) -> WarningRow {
    WarningRow {
        name: list.list.clone(),
        description: list.description.clone(),
        entries: show::num(list.entries),
        updated: show::time(list.updated_at, now),
    }
}

fn hunt_row(hunt: &RetroHunt) -> HuntRow {
    let badge = match hunt.state {
        RetroState::Gathering => show::badge(Tone::Quiet, t("wird vorbereitet")),
        RetroState::Running => show::badge(Tone::Mid, t("läuft")),
        RetroState::Done => show::badge(Tone::Good, t("fertig")),
        RetroState::Cancelled => show::badge(Tone::Quiet, t("abgebrochen")),
    };
    let ended = match (hunt.ended_at, &hunt.ended_by) {
        (Some(at), Some(name)) => tf("{name} hat am {date} abgebrochen", &[("name", &show::safe(name)), ("date", &show::stamp(at))]),
        (Some(at), None) => tf("zu Ende {date}", &[("date", &show::stamp(at))]),
        (None, _) => String::new(),
    };
    let reached = hunt.event_reached.map_or(hunt.reached, |events| events.min(hunt.reached));
    let stretch = match hunt.state {
        RetroState::Gathering => String::new(),
        // The last of it is yet to come: a bar that stands still must say why.
        RetroState::Running => tf(
            "Empfang von {from} bis {to}, durchsucht bis {reached}",
            &[("from", &show::stamp(hunt.from)), ("to", &show::stamp(hunt.to)), ("reached", &show::stamp(reached))],
        ),
        _ => tf("Empfang von {from} bis {to}", &[("from", &show::stamp(hunt.from)), ("to", &show::stamp(hunt.to))]),
    };
    HuntRow {
        id: hunt.id.to_string(),
        name: tf("{list}, Fassung {n}", &[("list", &show::safe(&hunt.list)), ("n", &hunt.version.to_string())]),
        badge,
        percent: hunt.percent(),
        stretch,
        indicators: Number {
            text: show::num(hunt.indicators),
            href: show::link("/indikatoren/eintraege", &[("rueckschau", &hunt.id.to_string())]),
        },
        flows: show::num(hunt.hits),
        events: show::num(hunt.event_hits),
        findings: Number { text: show::num(hunt.findings), href: if hunt.findings > 0 { "/alarme".to_owned() } else { String::new() } },
        running: matches!(hunt.state, RetroState::Running | RetroState::Gathering),
        ended,
    }
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let new = match typed_entries(ask) {
        Ok(new) => new,
        Err(problem) => return page(ask, StatusCode::UNPROCESSABLE_ENTITY, problem),
    };
    let (now, list) = (ask.now, new.first().map(|one| one.list.clone()).unwrap_or_default());
    let detail = json!({ "entries": new.len() });
    let audit = NewAudit { actor: viewer.user.to_string(), kind: "indicator.added", object: list, detail };
    ask.app.db.write(move |tx| {
        new.iter().try_for_each(|one| indicator_add(tx, one, now).map(drop))?;
        audit_add(tx, now, &audit).map(drop)
    })?;
    ask.redirect("/indikatoren", "indicators-added")
}

/// The form's entries, or what is wrong with the first that is no indicator.
fn typed_entries(ask: &Ask) -> Result<Vec<NewIndicator>, String> {
    let list = ask.form("liste").trim().to_owned();
    if list.is_empty() || list.chars().count() > LIST_CHARS_MAX || list.chars().any(char::is_control) {
        return Err(tf("Bitte geben Sie der Liste einen Namen von höchstens {n} Zeichen.", &[("n", &LIST_CHARS_MAX.to_string())]));
    }
    let tlp = Tlp::parse(ask.form("tlp")).ok_or_else(|| t("Bitte wählen Sie, wer die Einträge sehen darf (TLP).").to_owned())?;
    let confidence = ask.form("vertrauen").trim().parse().ok().filter(|percent| *percent <= 100);
    let confidence = confidence.ok_or_else(|| t("Vertrauen: bitte eine ganze Zahl von 0 bis 100.").to_owned())?;
    let lines: Vec<&str> = ask.form("eintraege").lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    if lines.is_empty() || lines.len() > ENTRIES_MAX {
        return Err(tf("Bitte geben Sie 1 bis {n} Einträge an, einen je Zeile.", &[("n", &ENTRIES_MAX.to_string())]));
    }
    let one = |line: &&str| {
        let pattern: Pattern = line.parse().map_err(|_| {
            let shown = show::safe(&line.chars().take(60).collect::<String>());
            tf(
                "„{value}“ ist keine Adresse, kein Netz (mindestens /8, IPv6 /19), kein Domainname, keine URL, kein Hash und keine E-Mail-Adresse.",
                &[("value", &shown)],
            )
        })?;
        Ok(NewIndicator { pattern, list: list.clone(), tlp, confidence, valid_until: None })
    };
    lines.iter().map(one).collect()
}

pub(in crate::web) fn cancel(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let id: RetroHuntId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let hunt = ask.app.db.read(retro_list)?.into_iter().find(|hunt| hunt.id == id).ok_or(PageError::NotFound)?;
    let detail = json!({ "list": hunt.list, "version": hunt.version, "percent": hunt.percent() });
    let audit = NewAudit { actor: viewer.user.to_string(), kind: "retro_hunt.cancelled", object: id.to_string(), detail };
    let (now, name) = (ask.now, viewer.name.clone());
    ask.app.db.write(move |tx| retro_cancel(tx, id, &audit, &name, now))?;
    ask.redirect("/indikatoren", "retro-cancelled")
}

/// Has a feed asked at once.
pub(in crate::web) fn hurry(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let (now, name) = (ask.now, ask.form("feed").to_owned());
    let audit = NewAudit { actor: viewer.user.to_string(), kind: "indicator.feed_hurried", object: name.clone(), detail: json!({}) };
    let known = ask.app.db.write(move |tx| {
        let known = feed_hurry(tx, &name)?;
        if known {
            audit_add(tx, now, &audit)?;
        }
        Ok::<_, DbError>(known)
    })?;
    if known { ask.redirect("/indikatoren", "feed-hurried") } else { Err(PageError::NotFound) }
}
