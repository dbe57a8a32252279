//! Indikatoren: which lists of addresses and names are in force, entries of one's own, and the retro-hunts, which search
//! what is stored for what lists bring.

use askama::Template;
use detect::flow::retro::{RetroHunt, RetroHuntId, RetroState, retro_cancel, retro_list};
use detect::intel::{ListSummary, NewIndicator, Pattern, Tlp, indicator_add, indicator_lists};
use ingest::audit::{NewAudit, audit_add};
use ingest::db::DbError;
use serde_json::json;

use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf, tn};

/// Lists that are shown; a house has some dozen.
const LISTS_MAX: usize = 500;
/// Entries of one form: a warning's appendix. Larger lists come by feeds.
const ENTRIES_MAX: usize = 2_000;
const LIST_CHARS_MAX: usize = 80;
/// Until somebody says otherwise; the detectors' own threshold lies below.
const CONFIDENCE: u8 = 80;

struct ListRow {
    name: String,
    addresses: String,
    prefixes: String,
    domains: String,
    newest: Markup,
}

struct HuntRow {
    id: String,
    name: String,
    badge: Markup,
    percent: u8,
    stretch: String,
    indicators: String,
    hits: String,
    findings: String,
    running: bool,
    ended: String,
}

#[derive(Template)]
#[template(path = "indicators.html")]
struct IndicatorsPage {
    frame: Frame,
    summary: String,
    problem: String,
    lists: Vec<ListRow>,
    hunts: Vec<HuntRow>,
    list: String,
    entries: String,
    entries_max: String,
    confidence: String,
    tlp: Vec<(&'static str, &'static str)>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    page(ask, axum::http::StatusCode::OK, String::new())
}

fn page(ask: &Ask, status: axum::http::StatusCode, problem: String) -> Reply {
    let (lists, hunts) = ask.app.db.read(|c| Ok::<_, DbError>((indicator_lists(c, LISTS_MAX)?, retro_list(c)?)))?;
    let all: i64 = lists.iter().map(|list| list.addresses + list.prefixes + list.domains).sum();
    let typed = |name: &str, otherwise: String| if problem.is_empty() { otherwise } else { ask.form(name).to_owned() };
    let page = IndicatorsPage {
        frame: ask.frame(t("Indikatoren"), Place::Indicators),
        summary: tf(
            "{entries} in {lists}",
            &[
                ("entries", &tn("{n} Eintrag", "{n} Einträge", all.unsigned_abs())),
                ("lists", &tn("{n} Liste", "{n} Listen", lists.len() as u64)),
            ],
        ),
        lists: lists.iter().map(|list| list_row(list, ask)).collect(),
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

fn list_row(list: &ListSummary, ask: &Ask) -> ListRow {
    ListRow {
        name: list.list.clone(),
        addresses: show::num(list.addresses),
        prefixes: show::num(list.prefixes),
        domains: show::num(list.domains),
        newest: show::time(list.newest, ask.now),
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
    let stretch = match hunt.state {
        RetroState::Gathering => String::new(),
        // The last of it is yet to come: a bar that stands still must say why.
        RetroState::Running => tf(
            "Empfang von {from} bis {to}, durchsucht bis {reached}",
            &[("from", &show::stamp(hunt.from)), ("to", &show::stamp(hunt.to)), ("reached", &show::stamp(hunt.reached))],
        ),
        _ => tf("Empfang von {from} bis {to}", &[("from", &show::stamp(hunt.from)), ("to", &show::stamp(hunt.to))]),
    };
    HuntRow {
        id: hunt.id.to_string(),
        name: tf("{list}, Fassung {n}", &[("list", &show::safe(&hunt.list)), ("n", &hunt.version.to_string())]),
        badge,
        percent: hunt.percent(),
        stretch,
        indicators: show::num(hunt.indicators),
        hits: show::num(hunt.hits),
        findings: show::num(hunt.findings),
        running: matches!(hunt.state, RetroState::Running | RetroState::Gathering),
        ended,
    }
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let new = match entries(ask) {
        Ok(new) => new,
        Err(problem) => return page(ask, axum::http::StatusCode::UNPROCESSABLE_ENTITY, problem),
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
fn entries(ask: &Ask) -> Result<Vec<NewIndicator>, String> {
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
            tf("„{value}“ ist keine Adresse, kein Netz (mindestens /8, IPv6 /19) und kein Domainname.", &[("value", &shown)])
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
