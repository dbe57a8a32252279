//! Gespeicherte Suchen: the own ones and those that others share, what runs by itself and how that went; and one of them to
//! rename, share, schedule and delete.

use askama::Template;
use axum::http::StatusCode;
use detect::role::Role;
use detect::rule::Level;
use ingest::body::{body_get, body_list};
use ingest::db::DbError;
use ingest::fields;
use ingest::query::Pipeline;
use ingest::time::Timestamp;

use super::range::span_label;
use crate::access::{Viewer, role_label};
use crate::saved_search::{
    Asked, COOL_DOWN_MINUTES_MAX, INTERVALS, NAME_CHARS_MAX, NewSchedule, PER_OWNER_MAX, SCHEDULED_MAX, SCHEDULED_PER_OWNER_MAX,
    SavedError, SavedSearch, SavedSearchId, Schedule, Threshold, roles_to_share, saved_search_add, saved_search_change,
    saved_search_delete, saved_search_get, saved_search_list, schedule_get, schedule_list, schedule_set,
};
use crate::show::{self, Markup, Tone, filters};
use crate::user::user_list;
use crate::web::frame::{Frame, Place};
use crate::web::note::QUERY_CHARS_MAX;
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

/// Fields that new values are looked for in; the others a rule can watch.
const GROUP_FIELDS: [ingest::fields::FieldId; 8] = [
    fields::SOURCE_IP,
    fields::DESTINATION_IP,
    fields::HOST_NAME,
    fields::USER_NAME,
    fields::SITE,
    fields::EVENT_ACTION,
    fields::EVENT_CODE,
    fields::PROCESS_NAME,
];

/// Where a saved search leads.
pub(super) fn href(asked: &Asked) -> String {
    let body = asked.body.map(|body| body.to_string()).unwrap_or_default();
    show::link("/suche", &[("q", &asked.query), ("zeit", &asked.span), ("von", &asked.from), ("bis", &asked.to), ("stelle", &body)])
}

struct Row {
    id: String,
    name: String,
    href: String,
    query: String,
    when: String,
    whose: String,
    shared: String,
    schedule: String,
    state: Option<Markup>,
    fault: String,
}

#[derive(Template)]
#[template(path = "saved_list.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let viewer = ask.viewer()?.clone();
    let (searches, schedules, people) =
        ask.app.db.read(|c| Ok::<_, DbError>((saved_search_list(c, &viewer)?, schedule_list(c)?, user_list(c)?)))?;
    let bodies = ask.app.db.read(body_list)?;
    let row = |search: &SavedSearch| {
        let schedule = schedules.iter().find(|schedule| schedule.search == search.id);
        let person = people.iter().find(|user| user.id == search.owner).map(|user| user.name.clone()).unwrap_or_default();
        let body = search.asked.body.and_then(|id| bodies.iter().find(|body| body.id == id)).map(|body| body.name.clone());
        Row {
            id: search.id.to_string(),
            name: search.name.clone(),
            href: href(&search.asked),
            query: if search.asked.query.is_empty() { "*".into() } else { search.asked.query.clone() },
            when: [Some(when(&search.asked)), body].into_iter().flatten().collect::<Vec<_>>().join(" · "),
            whose: if search.owner == viewer.user { t("Ihnen").to_owned() } else { person },
            shared: shared(search),
            schedule: schedule.map(|schedule| rhythm(schedule, search.asked.is_table())).unwrap_or_default(),
            state: schedule.map(state),
            fault: schedule.map(|schedule| schedule.last.fault.clone()).unwrap_or_default(),
        }
    };
    ask.page(&ListPage { rows: searches.iter().map(row).collect(), frame: ask.frame(t("Gespeicherte Suchen"), Place::Search) })
}

fn when(asked: &Asked) -> String {
    if asked.span.is_empty() {
        let moment = |text: &str| Timestamp::parse_rfc3339(text).map(show::stamp).unwrap_or_default();
        return tf("{from} bis {to}", &[("from", &moment(&asked.from)), ("to", &moment(&asked.to))]);
    }
    span_label(&asked.span).to_owned()
}

fn shared(search: &SavedSearch) -> String {
    let roles: Vec<&str> = search.roles.iter().map(|role| role_label(*role)).collect();
    if roles.is_empty() { t("nicht geteilt").to_owned() } else { roles.join(", ") }
}

fn interval(minutes: i64) -> String {
    match minutes {
        60 => t("stündlich").to_owned(),
        1_440 => t("täglich").to_owned(),
        n => tf("alle {n} Minuten", &[("n", &n)]),
    }
}

fn rhythm(schedule: &Schedule, table: bool) -> String {
    let what = match &schedule.threshold {
        Threshold::Count(n) if table => tf("ab {n} in einer Zeile der Tabelle", &[("n", &show::num(*n))]),
        Threshold::Count(n) => tf("ab {n} Ereignissen", &[("n", &show::num(*n))]),
        Threshold::NewGroup(field) => tf("bei neuem Wert in {field}", &[("field", field)]),
    };
    format!("{}, {what}", interval(schedule.every_minutes))
}

fn state(schedule: &Schedule) -> Markup {
    match (&schedule.last.fault, schedule.last.at) {
        (fault, _) if !fault.is_empty() => show::badge(Tone::High, t("gestört")),
        (_, None) => show::badge(Tone::Quiet, t("wartet auf den ersten Lauf")),
        _ => show::badge(Tone::Good, t("läuft")),
    }
}

/// A name and the roles as a form shows them: (value, label, whether chosen).
type Choice = (String, String, bool);

#[derive(Template)]
#[template(path = "saved.html")]
struct SavedPage {
    frame: Frame,
    id: String,
    name: String,
    name_max: usize,
    query: String,
    href: String,
    when: String,
    body: String,
    whose: String,
    roles: Vec<Choice>,
    editable: bool,
    endable: bool,
    own: bool,
    problem: String,
    scheduled: bool,
    facts: Vec<(&'static str, String)>,
    fault: String,
    intervals: Vec<Choice>,
    kinds: Vec<Choice>,
    count: u64,
    fields: Vec<Choice>,
    levels: Vec<Choice>,
    cool_down: i64,
    cool_down_max: i64,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new())
}

fn page(ask: &Ask, status: StatusCode, problem: String) -> Reply {
    let viewer = ask.viewer()?;
    let id = id_of(ask)?;
    let (search, schedule, people) =
        ask.app.db.read(|c| Ok::<_, DbError>((saved_search_get(c, viewer, id)?, schedule_get(c, id)?, user_list(c)?)))?;
    let search = search.ok_or(PageError::NotFound)?;
    let body = search.asked.body.map(|body| ask.app.db.read(|c| body_get(c, body))).transpose()?.flatten();
    let own = search.owner == viewer.user;
    let of = |schedule: &Schedule| match &schedule.threshold {
        Threshold::Count(n) => (*n, String::new()),
        Threshold::NewGroup(field) => (1, field.clone()),
    };
    let (count, field) = schedule.as_ref().map_or((1, String::new()), of);
    let every = schedule.as_ref().map_or(60, |schedule| schedule.every_minutes);
    let level = schedule.as_ref().map_or(Level::Informational, |schedule| schedule.level);
    let page = SavedPage {
        frame: ask.frame(&search.name, Place::Search),
        id: search.id.to_string(),
        name: search.name.clone(),
        name_max: NAME_CHARS_MAX,
        query: if search.asked.query.is_empty() { "*".into() } else { search.asked.query.clone() },
        href: href(&search.asked),
        when: when(&search.asked),
        body: body.map(|body| body.name).unwrap_or_default(),
        whose: people.iter().find(|user| user.id == search.owner).map(|user| user.name.clone()).unwrap_or_default(),
        roles: roles(&search.roles),
        editable: search.editable(viewer),
        endable: search.endable(viewer),
        own,
        problem,
        scheduled: schedule.is_some(),
        facts: schedule.as_ref().map(|schedule| facts(schedule, search.asked.is_table(), ask.now)).unwrap_or_default(),
        fault: schedule.as_ref().map(|schedule| schedule.last.fault.clone()).unwrap_or_default(),
        intervals: INTERVALS.iter().map(|n| (n.to_string(), interval(*n), *n == every)).collect(),
        kinds: vec![
            (
                "anzahl".into(),
                if search.asked.is_table() {
                    t("wenn die erste Zahl einer Zeile der Tabelle die Anzahl erreicht")
                } else {
                    t("ab einer Anzahl von Ereignissen je Takt")
                }
                .into(),
                field.is_empty(),
            ),
            ("neu".into(), t("bei einem Wert, den es in diesem Feld noch nicht gab").into(), !field.is_empty()),
        ],
        count,
        fields: GROUP_FIELDS
            .iter()
            .map(|one| (one.name().into(), format!("{} ({})", words::field(*one), one.name()), one.name() == field))
            .collect(),
        levels: Level::ALL.iter().map(|one| (one.as_str().into(), words::level(*one).into(), *one == level)).collect(),
        cool_down: schedule.as_ref().map_or(60, |schedule| schedule.cool_down_minutes),
        cool_down_max: COOL_DOWN_MINUTES_MAX,
    };
    ask.page_status(status, &page)
}

fn facts(schedule: &Schedule, table: bool, now: Timestamp) -> Vec<(&'static str, String)> {
    let last = &schedule.last;
    let never = || t("noch nie").to_owned();
    vec![
        (t("Takt"), rhythm(schedule, table)),
        (t("Letzter Lauf"), last.at.map_or_else(never, |at| show::ago(at, now))),
        (t("Durchgesehen bis"), show::stamp(schedule.done_until)),
        (
            match schedule.threshold {
                Threshold::Count(_) if table => t("Höchster Wert im letzten Takt"),
                _ => t("Treffer im letzten Takt"),
            },
            show::num(last.hits),
        ),
        (t("Dauer"), format!("{} ms", show::num(last.took_millis))),
        (t("Letzter Alarm"), last.alerted_at.map_or_else(never, show::stamp)),
    ]
}

/// The roles that it can be shared with.
pub(super) fn roles(chosen: &[Role]) -> Vec<Choice> {
    roles_to_share().map(|role| (role.as_str().into(), role_label(role).into(), chosen.contains(&role))).collect()
}

fn id_of(ask: &Ask) -> Result<SavedSearchId, PageError> {
    ask.param("id").parse().map_err(|_| PageError::NotFound)
}

fn given_roles(ask: &Ask) -> Vec<Role> {
    ask.form.all("rolle").take(Role::ALL.len()).filter_map(Role::parse).collect()
}

fn place(id: SavedSearchId) -> String {
    format!("/suche/gespeichert/{id}")
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let (viewer, roles, now) = (ask.viewer()?.clone(), given_roles(ask), ask.now);
    let moment = |name: &str| Timestamp::parse_rfc3339(ask.form(name)).map(Timestamp::rfc3339).unwrap_or_default();
    let span = ask.form("zeit");
    let known = !span_label(span).is_empty();
    let asked = Asked {
        query: ask.form("q").trim().to_owned(),
        span: if known { span.to_owned() } else { String::new() },
        from: if known { String::new() } else { moment("von") },
        to: if known { String::new() } else { moment("bis") },
        body: ask.form("stelle").parse().ok(),
    };
    let name = ask.form("name").to_owned();
    let told = match Pipeline::parse(&asked.query, now) {
        Ok(parsed) => masked(ask, &parsed),
        // It is refused, with the reason.
        Err(_) => String::new(),
    };
    match ask.app.db.write(move |tx| saved_search_add(tx, &viewer, &name, &asked, &told, &roles, now)) {
        Ok(id) => ask.redirect(&place(id), "search-saved"),
        Err(error) => Err(refused(error)),
    }
}

/// As the audit log has it: with pseudonyms for the persons that it names.
fn masked(ask: &Ask, asked: &Pipeline) -> String {
    let query = ask.app.pseudonyms.masked(&asked.query).as_ref().unwrap_or(&asked.query).to_string();
    let stages = asked.stages.iter().map(|stage| format!(" | {stage}"));
    format!("{query}{}", stages.collect::<String>()).chars().take(QUERY_CHARS_MAX).collect()
}

pub(in crate::web) fn change(ask: &mut Ask) -> Reply {
    let (id, viewer, roles, now) = (id_of(ask)?, ask.viewer()?.clone(), given_roles(ask), ask.now);
    let name = ask.form("name").to_owned();
    done(ask, id, ask.app.db.write(move |tx| saved_search_change(tx, &viewer, id, &name, &roles, now)), "saved")
}

pub(in crate::web) fn delete(ask: &mut Ask) -> Reply {
    let (id, viewer, now) = (id_of(ask)?, ask.viewer()?.clone(), ask.now);
    ask.app.db.write(move |tx| saved_search_delete(tx, &viewer, id, now)).map_err(refused)?;
    ask.redirect("/suche/gespeichert", "search-deleted")
}

pub(in crate::web) fn schedule(ask: &mut Ask) -> Reply {
    let (id, viewer, now) = (id_of(ask)?, ask.viewer()?.clone(), ask.now);
    let new = if ask.form("was") == "beenden" { None } else { Some(wanted(ask)) };
    let notice = if new.is_some() { "search-scheduled" } else { "search-unscheduled" };
    let again = viewer.clone();
    let result = ask.app.db.write(move |tx| schedule_set(tx, &viewer, id, new.as_ref(), now));
    // The lead has ended what is not shared with him: there is nothing more to see.
    if result.is_ok() && ask.app.db.read(|c| saved_search_get(c, &again, id))?.is_none() {
        return ask.redirect("/suche/gespeichert", notice);
    }
    done(ask, id, result, notice)
}

fn wanted(ask: &Ask) -> NewSchedule {
    let number = |name: &str| ask.form(name).trim().parse::<i64>().unwrap_or(-1);
    let threshold = if ask.form("wann") == "neu" {
        Threshold::NewGroup(ask.form("feld").to_owned())
    } else {
        Threshold::Count(u64::try_from(number("anzahl")).unwrap_or(0))
    };
    let level = Level::parse(ask.form("schwere")).unwrap_or(Level::Informational);
    NewSchedule { every_minutes: number("takt"), threshold, level, cool_down_minutes: number("ruhe") }
}

fn done(ask: &Ask, id: SavedSearchId, result: Result<(), SavedError>, notice: &str) -> Reply {
    match result {
        Ok(()) => ask.redirect(&place(id), notice),
        Err(error @ (SavedError::Name | SavedError::Schedule | SavedError::TooMany)) => {
            page(ask, StatusCode::UNPROCESSABLE_ENTITY, problem(&error))
        }
        Err(error) => Err(refused(error)),
    }
}

fn problem(error: &SavedError) -> String {
    match error {
        SavedError::Name => tf("Bitte geben Sie einen Namen von höchstens {n} Zeichen an.", &[("n", &NAME_CHARS_MAX)]),
        SavedError::Schedule => {
            t("Bitte prüfen Sie die Angaben: eine Anzahl ab 1 oder ein Feld, und eine Ruhezeit von höchstens einer Woche.").into()
        }
        SavedError::TooMany => tf(
            "Mehr geht nicht: {own} gespeicherte Suchen je Konto, davon {timed} mit Takt, und {all} mit Takt insgesamt. Löschen Sie eine, die niemand mehr braucht.",
            &[("own", &PER_OWNER_MAX), ("timed", &SCHEDULED_PER_OWNER_MAX), ("all", &SCHEDULED_MAX)],
        ),
        SavedError::Query(message) => message.clone(),
        SavedError::NotFound | SavedError::Db(_) => String::new(),
    }
}

fn refused(error: SavedError) -> PageError {
    match error {
        SavedError::NotFound => PageError::NotFound,
        SavedError::Db(error) => error.into(),
        other => PageError::Refused(problem(&other)),
    }
}

/// A few of somebody's saved searches for the search page: (name, where it leads, whether it has a schedule that fails).
pub(super) fn some(ask: &Ask, viewer: &Viewer, limit: usize) -> Result<(Vec<(String, String)>, usize), PageError> {
    let mut all = ask.app.db.read(|c| saved_search_list(c, viewer))?;
    all.retain(|search| search.offered(viewer));
    let count = all.len();
    // The own ones first.
    all.sort_by_key(|search| (search.owner != viewer.user, search.name.to_lowercase()));
    Ok((all.iter().take(limit).map(|search| (search.name.clone(), href(&search.asked))).collect(), count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::tests::Front;

    #[tokio::test]
    async fn a_search_is_saved_shared_scheduled_and_deleted() {
        let front = Front::new();
        let (cookie, csrf) = front.enter(Role::Analyst);
        let (lead, _) = front.enter(Role::Lead);
        let form = [("csrf", csrf.as_str()), ("name", "Fehl<b>"), ("q", "event.outcome:failure"), ("zeit", "7d"), ("rolle", "lead")];
        let saved = front.post("/suche/gespeichert", &cookie, &form).await;
        let place = saved.header("location").split('?').next().unwrap().to_owned();
        assert!(saved.status == StatusCode::SEE_OTHER && place.starts_with("/suche/gespeichert/"), "{place}");
        for who in [&cookie, &lead] {
            let list = front.get("/suche/gespeichert", who).await.text;
            assert!(list.contains("Fehl&lt;b&gt;") && list.contains("/suche?q=event.outcome%3Afailure&#38;zeit=7d"), "{list}");
            assert!(front.get("/suche", who).await.text.contains("Fehl&lt;b&gt;"), "it stands above the lines too");
        }
        let plan = format!("{place}/plan");
        let wrong =
            front.post(&plan, &cookie, &[("csrf", csrf.as_str()), ("takt", "5"), ("wann", "anzahl"), ("anzahl", "0"), ("ruhe", "0")]).await;
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
        let right = [("csrf", csrf.as_str()), ("takt", "5"), ("wann", "neu"), ("feld", "source.ip"), ("schwere", "medium"), ("ruhe", "60")];
        assert_eq!(front.post(&plan, &cookie, &right).await.status, StatusCode::SEE_OTHER);
        let page = front.get(&place, &lead).await.text;
        assert!(page.contains("alle 5 Minuten, bei neuem Wert in source.ip") && page.contains("noch nie"), "{page}");
        assert!(!page.contains("name=\"takt\""), "it runs with its owner's rights, so only he sets it");
        // An alert of it leads here.
        let id = place.rsplit('/').next().unwrap();
        let rule = front.get(&format!("/regel/{}{id}", crate::saved_run::RULE_PREFIX), &cookie).await;
        assert_eq!(rule.header("location"), place);
        let gone = front.post(&format!("{place}/loeschen"), &cookie, &[("csrf", csrf.as_str())]).await;
        assert_eq!(gone.header("location"), "/suche/gespeichert?ok=search-deleted");
        assert_eq!(front.get(&place, &cookie).await.status, StatusCode::NOT_FOUND);
    }
}
