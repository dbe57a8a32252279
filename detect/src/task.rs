//! Tasks: what is to be done, by whom and until when; of a case or of none. The CERT's own: bodies neither see them nor learn that
//! there are any. A case's task is told in the case's history, one of no case in its own.

mod store;

use ingest::body::BodyId;
use ingest::db::DbError;
use ingest::history::{NewHistory, history_add, history_of};
use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::incident::{CaseError, Incident, IncidentId, demand, incident_find, line_clean};
use crate::role::{Action, Role};

pub(crate) use store::MIGRATION;
pub use store::{TaskCounts, TaskFilter, Which, task_counts, task_get, task_list};

ingest::id_type!(
    /// One thing to do.
    TaskId
);

/// A task is one line of a list.
pub const TITLE_CHARS_MAX: usize = 200;
/// Open tasks of one case: more is a plan, and that is a playbook's.
const OPEN_MAX: usize = 200;

/// A task as stored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Task {
    pub id: TaskId,
    pub title: String,
    pub incident: Option<IncidentId>,
    /// That case's number and title, for lists.
    pub case_number: Option<String>,
    pub case_title: Option<String>,
    /// `None`: the team's, whoever finds the time.
    pub assignee: Option<String>,
    pub due_at: Option<Timestamp>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub done_at: Option<Timestamp>,
    pub done_by: Option<String>,
    pub version: i64,
}

impl Task {
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.done_at.is_none() && self.due_at.is_some_and(|due| due < now)
    }
}

/// What somebody writes down.
#[derive(Clone, Debug, Default)]
pub struct NewTask {
    pub title: String,
    pub incident: Option<IncidentId>,
    pub assignee: Option<String>,
    pub due_at: Option<Timestamp>,
}

/// A wish about one task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskChange {
    Done,
    Reopen,
    /// Its words, who does it, and until when.
    Edit {
        title: String,
        assignee: Option<String>,
        due_at: Option<Timestamp>,
    },
}

/// Writes a task down.
///
/// # Errors
/// `Forbidden`; `NotFound` for an unknown case, `Transition` for a merged one; `Invalid` without a title or with too many open ones;
/// the database's own.
pub fn task_add(tx: &Transaction<'_>, new: &NewTask, actor: &str, role: Role, now: Timestamp) -> Result<TaskId, CaseError> {
    demand(Action::TaskEdit, role)?;
    let case = match new.incident {
        Some(id) => Some(incident_find(tx, id)?.ok_or_else(|| CaseError::NotFound { noun: "incident", id: id.to_string() })?),
        None => None,
    };
    if let Some(case) = &case {
        if case.merged_into.is_some() {
            return Err(CaseError::Transition { from: "merged", to: "task" });
        }
        if store::open_of(tx, case.id)?.len() >= OPEN_MAX {
            return Err(CaseError::Invalid { what: "tasks", value: case.number.clone(), wanted: "fewer than 200 open ones" });
        }
    }
    let task = Task {
        id: TaskId::new(now),
        title: titled(&new.title)?,
        incident: new.incident,
        case_number: case.as_ref().map(|case| case.number.clone()),
        case_title: None,
        assignee: named(new.assignee.as_deref()),
        due_at: new.due_at,
        created_by: actor.to_owned(),
        created_at: now,
        done_at: None,
        done_by: None,
        version: 1,
    };
    store::insert(tx, &task)?;
    let data = json!({ "assignee": task.assignee, "due_at": task.due_at });
    tell(tx, &task, case.and_then(|case| case.body), "task.added", actor, data, now)?;
    Ok(task.id)
}

/// Applies a change that was made looking at `version`.
///
/// # Errors
/// `Stale` with what happened since; `Transition` where it is done (or open) already; `Forbidden`, `NotFound`, `Invalid`; the
/// database's own.
pub fn task_change(
    tx: &Transaction<'_>,
    id: TaskId,
    version: i64,
    change: &TaskChange,
    actor: &str,
    role: Role,
    now: Timestamp,
) -> Result<Task, CaseError> {
    demand(Action::TaskEdit, role)?;
    let old = task_get(tx, &ingest::scope::Scope::All, id)?.ok_or_else(|| CaseError::NotFound { noun: "task", id: id.to_string() })?;
    if old.version != version {
        return Err(stale(tx, &old, version)?);
    }
    let (kind, next) = changed(&old, change, actor, now)?;
    store::write(tx, &next)?;
    let body = next.incident.map(|id| incident_find(tx, id)).transpose()?.flatten().and_then(|case| case.body);
    let mut data = json!({ "assignee": next.assignee, "due_at": next.due_at });
    if let (TaskChange::Edit { .. }, Some(data)) = (change, data.as_object_mut()) {
        data.insert("before".into(), json!({ "title": old.title, "assignee": old.assignee, "due_at": old.due_at }));
    }
    tell(tx, &next, body, kind, actor, data, now)?;
    Ok(next)
}

/// The task after a wish. Pure.
fn changed(old: &Task, change: &TaskChange, actor: &str, now: Timestamp) -> Result<(&'static str, Task), CaseError> {
    let mut next = Task { version: old.version + 1, ..old.clone() };
    let is_done = old.done_at.is_some();
    let no_way = |to| Err(CaseError::Transition { from: if is_done { "done" } else { "open" }, to });
    let kind = match change {
        TaskChange::Done if is_done => return no_way("done"),
        TaskChange::Reopen if !is_done => return no_way("open"),
        TaskChange::Edit { .. } if is_done => return no_way("edited"),
        TaskChange::Done => {
            (next.done_at, next.done_by) = (Some(now), Some(actor.to_owned()));
            "task.done"
        }
        TaskChange::Reopen => {
            (next.done_at, next.done_by) = (None, None);
            "task.reopened"
        }
        TaskChange::Edit { title, assignee, due_at } => {
            next.title = titled(title)?;
            next.assignee = named(assignee.as_deref());
            next.due_at = *due_at;
            "task.changed"
        }
    };
    Ok((kind, next))
}

/// The open tasks of a case that is merged go with it; done ones stay in its story.
pub(crate) fn tasks_move(tx: &Transaction<'_>, from: IncidentId, into: &Incident, actor: &str, now: Timestamp) -> Result<(), DbError> {
    for task in store::open_of(tx, from)? {
        let next = Task { incident: Some(into.id), version: task.version + 1, ..task };
        store::write(tx, &next)?;
        tell(tx, &next, into.body, "task.moved", actor, json!({ "from": from }), now)?;
    }
    Ok(())
}

fn stale(tx: &Transaction<'_>, task: &Task, expected: i64) -> Result<CaseError, DbError> {
    let of = |data: &Value, key: &str| data.get(key).and_then(Value::as_i64);
    let mut since = history_of(tx, &subject(task))?;
    since.retain(|event| {
        event.data.get("task").and_then(Value::as_str) == Some(task.id.to_string().as_str())
            && of(&event.data, "task_version").is_some_and(|version| version > expected)
    });
    Ok(CaseError::Stale { expected, found: task.version, since })
}

fn subject(task: &Task) -> String {
    task.incident.map_or_else(|| task.id.to_string(), |case| case.to_string())
}

/// `task_version` and not `version`: that word is the case's (`incident::replay`).
fn tell(
    tx: &Transaction<'_>,
    task: &Task,
    body: Option<BodyId>,
    kind: &'static str,
    actor: &str,
    mut data: Value,
    now: Timestamp,
) -> Result<(), DbError> {
    if let Some(data) = data.as_object_mut() {
        data.insert("task".into(), json!(task.id));
        data.insert("title".into(), json!(task.title));
        data.insert("task_version".into(), json!(task.version));
    }
    let event = NewHistory { event_time: now, kind, subject: subject(task), body, actor: actor.to_owned(), data, corrects: None };
    history_add(tx, now, &event).map(|_| ())
}

fn titled(title: &str) -> Result<String, CaseError> {
    crate::incident::filled("title", &line_clean(title, TITLE_CHARS_MAX), TITLE_CHARS_MAX)
}

fn named(user: Option<&str>) -> Option<String> {
    user.map(|user| line_clean(user, TITLE_CHARS_MAX)).filter(|user| !user.is_empty())
}

#[cfg(test)]
mod tests;
