//! Meine Aufgaben: what is to be done over all cases, by whom and until when; the page of one task, and the card on a case's page.
//! Only the CERT has tasks: the routes let in nobody else, and the store gives nothing to any but the whole scope.

use askama::Template;
use detect::incident::{CaseError, Incident};
use detect::role::{Action, Role, allowed};
use detect::task::{
    NewTask, Task, TaskChange, TaskCounts, TaskFilter, TaskId, Which, task_add, task_change, task_counts, task_get, task_list,
};
use ingest::db::DbError;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::incident_join::named;
use super::incidents::refused;
use crate::show::{self, Markup, Tone, filters};
use crate::user::user_list;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{Names, t, tf, tn};

/// Tasks on a page: more than a team does in a week.
const ROWS_MAX: usize = 200;
/// Where a form was filled in, so that people come back there.
const FROM_CASE: &str = "vorfall";

/// A task as lists show it.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) version: i64,
    pub(super) title: String,
    pub(super) case: String,
    pub(super) case_title: String,
    pub(super) who: String,
    pub(super) due: Markup,
    /// When and by whom it was done; empty while it is open.
    pub(super) done: String,
}

/// (account, name, whether chosen); the first is nobody.
type People = Vec<(String, String, bool)>;

/// The list, on the page of tasks and as the card on a case's.
pub(super) struct Card {
    pub(super) shown: bool,
    pub(super) may_add: bool,
    /// Where its forms come back to: `FROM_CASE` or empty.
    pub(super) from: &'static str,
    pub(super) lines: Vec<Line>,
    pub(super) people: People,
}

pub(super) fn card(ask: &Ask, incident: &Incident, names: &Names) -> Result<Card, PageError> {
    let viewer = ask.viewer()?;
    let scope = ask.scope();
    let shown = scope == Scope::All && allowed(Action::TaskEdit, viewer.role);
    if !shown {
        return Ok(Card { shown, may_add: false, from: FROM_CASE, lines: vec![], people: vec![] });
    }
    let filter = TaskFilter { scope, which: Which::Case(incident.id), now: ask.now, limit: ROWS_MAX };
    let tasks = ask.app.db.read(|c| task_list(c, &filter))?;
    let lines = tasks.iter().map(|task| line(task, names, ask.now)).collect();
    Ok(Card { shown, may_add: incident.merged_into.is_none(), from: FROM_CASE, lines, people: people(ask, &viewer.user.to_string())? })
}

/// What the start page and the navigation say.
pub(super) fn counts(ask: &Ask) -> Result<TaskCounts, PageError> {
    let (scope, user) = (ask.scope(), ask.viewer()?.user.to_string());
    Ok(ask.app.db.read(|c| task_counts(c, &scope, &user, ask.now))?)
}

/// One sentence about the own tasks.
pub(super) fn sentence(counts: TaskCounts) -> String {
    match (counts.mine, counts.mine_overdue) {
        (0, _) => t("Keine offene Aufgabe.").into(),
        (open, 0) => tn("Eine offene Aufgabe.", "{n} offene Aufgaben.", open),
        (open, late) => {
            let late = tn("eine davon überfällig", "{n} davon überfällig", late);
            format!("{}: {late}.", tn("Eine offene Aufgabe", "{n} offene Aufgaben", open))
        }
    }
}

fn line(task: &Task, names: &Names, now: Timestamp) -> Line {
    let due = match task.due_at {
        Some(due) if task.is_overdue(now) => {
            show::badge(Tone::High, &tf("überfällig seit {time}", &[("time", &show::duration(now.since(due)))]))
        }
        Some(due) if task.done_at.is_none() => show::badge(Tone::Quiet, &tf("bis {at}", &[("at", &show::stamp(due))])),
        _ => Markup::default(),
    };
    let done = task.done_at.map(|at| {
        let who = names.of(task.done_by.as_deref().unwrap_or_default());
        tf("{name}, {at}", &[("name", &who), ("at", &show::stamp(at))])
    });
    Line {
        id: task.id.to_string(),
        version: task.version,
        title: task.title.clone(),
        case: task.case_number.clone().unwrap_or_default(),
        case_title: task.case_title.clone().unwrap_or_default(),
        who: task.assignee.as_deref().map_or_else(|| t("Team").into(), |user| names.of(user)),
        due,
        done: done.unwrap_or_default(),
    }
}

/// Who works on a task, and that anybody may.
fn people(ask: &Ask, chosen: &str) -> Result<People, PageError> {
    let mut all = vec![(String::new(), t("Team, wer Zeit hat").to_owned(), chosen.is_empty())];
    all.extend(workers(ask)?.into_iter().map(|(id, name)| (id.clone(), name, id == chosen)));
    Ok(all)
}

/// Who works on cases: account and name.
pub(super) fn workers(ask: &Ask) -> Result<Vec<(String, String)>, PageError> {
    let users = ask.app.db.read(user_list)?;
    let works = |role: Role| allowed(Action::TaskEdit, role);
    Ok(users.into_iter().filter(|user| works(user.role) && !user.disabled).map(|user| (user.id.to_string(), user.name)).collect())
}

#[derive(Template)]
#[template(path = "tasks.html")]
struct ListPage {
    frame: Frame,
    summary: String,
    tabs: Vec<(String, String, bool)>,
    tasks: Card,
    none: &'static str,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let me = ask.viewer()?.user.to_string();
    let view = ask.query("sicht");
    let (which, none) = match view {
        "team" => (Which::Team, t("Es gibt keine offene Aufgabe.")),
        "ueberfaellig" => (Which::Overdue, t("Nichts ist überfällig.")),
        "erledigt" => (Which::Done, t("In den letzten sieben Tagen wurde keine Aufgabe erledigt.")),
        _ => (Which::Mine(me.clone()), t("Sie haben keine offene Aufgabe.")),
    };
    let filter = TaskFilter { scope: ask.scope(), which, now: ask.now, limit: ROWS_MAX };
    let (tasks, names) = ask.app.db.read(|c| Ok::<_, DbError>((task_list(c, &filter)?, Names::load(c)?)))?;
    let counts = counts(ask)?;
    let tab = |key: &str, text: String| (show::link("/aufgaben", &[("sicht", key)]), text, view == key);
    let page = ListPage {
        summary: sentence(counts),
        tabs: vec![
            tab("", tf("Meine ({n})", &[("n", &counts.mine)])),
            tab("team", tf("Alle offenen ({n})", &[("n", &counts.team)])),
            tab("ueberfaellig", tf("Überfällig ({n})", &[("n", &counts.overdue)])),
            tab("erledigt", t("Zuletzt erledigt").into()),
        ],
        tasks: Card {
            shown: true,
            may_add: true,
            from: "",
            lines: tasks.iter().map(|task| line(task, &names, ask.now)).collect(),
            people: people(ask, &me)?,
        },
        none,
        frame: ask.frame(t("Meine Aufgaben"), Place::Tasks),
    };
    ask.page(&page)
}

/// What the fields that both forms have say: title, account, time.
fn given(ask: &Ask) -> Result<(String, Option<String>, Option<Timestamp>), PageError> {
    let user = ask.form("wer");
    if !people(ask, user)?.iter().any(|(id, _, _)| id == user) {
        return Err(PageError::Refused(t("Dieses Konto bearbeitet keine Vorfälle. Wählen Sie ein anderes.").into()));
    }
    let until = ask.form("bis");
    let due_at = show::local_parse(until);
    if due_at.is_none() && !until.trim().is_empty() {
        return Err(PageError::Refused(t("Den Zeitpunkt verstehen wir nicht. Wählen Sie Tag und Uhrzeit.").into()));
    }
    Ok((ask.form("titel").trim().to_owned(), Some(user.to_owned()).filter(|user| !user.is_empty()), due_at))
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let (title, assignee, due_at) = given(ask)?;
    let number = ask.form("vorfall").trim().to_uppercase();
    let case = if number.is_empty() { None } else { Some(named(ask, &number)?) };
    let new = NewTask { title, incident: case.map(|(id, _)| id), assignee, due_at };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write_about(move |tx| task_add(tx, &new, &actor, role, now), |id| Some(id.to_string())).map_err(not_done)?;
    back(ask, Some(number).filter(|number| !number.is_empty()), "task-added")
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    frame: Frame,
    task: Line,
    open: bool,
    until: String,
    people: People,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let task = find(ask)?;
    let names = ask.app.db.read(Names::load)?;
    let page = TaskPage {
        task: line(&task, &names, ask.now),
        open: task.done_at.is_none(),
        until: task.due_at.map(show::local_input).unwrap_or_default(),
        people: people(ask, task.assignee.as_deref().unwrap_or_default())?,
        frame: ask.frame(t("Aufgabe"), Place::Tasks),
    };
    ask.page(&page)
}

pub(in crate::web) fn edit(ask: &mut Ask) -> Reply {
    let task = find(ask)?;
    let (title, assignee, due_at) = given(ask)?;
    change(ask, &task, TaskChange::Edit { title, assignee, due_at }, "task-changed")
}

pub(in crate::web) fn move_to(ask: &mut Ask) -> Reply {
    let task = find(ask)?;
    match ask.form("nach") {
        "erledigt" => change(ask, &task, TaskChange::Done, "task-done"),
        _ => change(ask, &task, TaskChange::Reopen, "task-open"),
    }
}

fn find(ask: &Ask) -> Result<Task, PageError> {
    let id: TaskId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let scope = ask.scope();
    ask.app.db.read(|c| task_get(c, &scope, id))?.ok_or(PageError::NotFound)
}

fn change(ask: &Ask, task: &Task, wish: TaskChange, notice: &str) -> Reply {
    let unread = || PageError::Refused(t("Das Formular ist unvollständig. Öffnen Sie die Seite neu.").into());
    let version: i64 = ask.form("version").parse().map_err(|_| unread())?;
    let viewer = ask.viewer()?;
    let (id, actor, role, now) = (task.id, viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| task_change(tx, id, version, &wish, &actor, role, now)).map_err(not_done)?;
    back(ask, task.case_number.clone(), notice)
}

/// To the case where the form stood on its page, else to the list.
fn back(ask: &Ask, case: Option<String>, notice: &str) -> Reply {
    match case.filter(|_| ask.form("von") == FROM_CASE) {
        Some(number) => ask.redirect(&format!("/vorfall/{number}"), notice),
        None => ask.redirect("/aufgaben", notice),
    }
}

/// A refusal in the words of tasks; what others say is said as for a case.
fn not_done(error: CaseError) -> PageError {
    match error {
        CaseError::Transition { from: "merged", .. } => {
            PageError::Refused(t("Dieser Vorfall wurde mit einem anderen zusammengeführt. Legen Sie die Aufgabe dort an.").into())
        }
        CaseError::Transition { .. } => PageError::Refused(
            t("Jemand war schneller: Die Aufgabe ist inzwischen erledigt oder wieder offen. Öffnen Sie die Seite neu.").into(),
        ),
        CaseError::Invalid { what: "title", .. } => {
            PageError::Refused(t("Eine Aufgabe braucht einen Titel. Gehen Sie zurück und schreiben Sie, was zu tun ist.").into())
        }
        CaseError::Invalid { what: "tasks", .. } => {
            PageError::Refused(t("Dieser Vorfall hat schon 200 offene Aufgaben. Erledigen Sie erst welche davon.").into())
        }
        error => refused(error),
    }
}

#[cfg(test)]
mod tests;
