//! What may be done with a task, by whom, and what is told of it.

use expect_test::expect;
use ingest::scope::Scope;

use super::*;
use crate::incident::Change;
use crate::incident::fixture::{START, World, spec};

const HOUR: i64 = Timestamp::HOUR;

fn add(world: &World, title: &str, incident: Option<IncidentId>, assignee: Option<&str>, due: Option<i64>) -> TaskId {
    let new =
        NewTask { title: title.into(), incident, assignee: assignee.map(str::to_owned), due_at: due.map(|hours| START.plus(hours * HOUR)) };
    world.write(move |tx| task_add(tx, &new, "anna", Role::Analyst, START.plus(HOUR))).unwrap()
}

fn change(world: &World, id: TaskId, version: i64, change: TaskChange, role: Role) -> Result<Task, CaseError> {
    world.write(move |tx| task_change(tx, id, version, &change, "bernd", role, START.plus(2 * HOUR)))
}

fn titles(world: &World, which: Which) -> Vec<String> {
    let filter = TaskFilter { scope: Scope::All, which, now: START.plus(5 * HOUR), limit: 100 };
    world.db.read(|c| task_list(c, &filter)).unwrap().into_iter().map(|task| task.title).collect()
}

#[test]
fn the_most_urgent_comes_first_and_everybody_finds_the_own() {
    let world = World::new();
    let case = world.open(&spec("203.0.113.9", 0, 0, [1]));
    add(&world, "irgendwann", None, None, None);
    let late = add(&world, "längst fällig", Some(case), Some("anna"), Some(3));
    add(&world, "bald", Some(case), Some("bernd"), Some(9));
    assert_eq!(titles(&world, Which::Team), ["längst fällig", "bald", "irgendwann"]);
    assert_eq!(titles(&world, Which::Mine("anna".into())), ["längst fällig"]);
    assert_eq!(titles(&world, Which::Overdue), ["längst fällig"]);
    assert_eq!(titles(&world, Which::Case(case)), ["längst fällig", "bald"]);
    let counts = world.db.read(|c| task_counts(c, &Scope::All, "anna", START.plus(5 * HOUR))).unwrap();
    assert_eq!(counts, TaskCounts { mine: 1, mine_overdue: 1, team: 3, overdue: 1 });
    change(&world, late, 1, TaskChange::Done, Role::Analyst).unwrap();
    assert_eq!((titles(&world, Which::Overdue), titles(&world, Which::Done)), (vec![], vec!["längst fällig".to_owned()]));
    assert_eq!(titles(&world, Which::Case(case)), ["bald", "längst fällig"]);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_overwritten() {
    let world = World::new();
    let id = add(&world, "anrufen", None, None, None);
    let edit = |title: &str| TaskChange::Edit { title: title.into(), assignee: Some("carla".into()), due_at: None };
    change(&world, id, 1, edit("zurückrufen"), Role::Lead).unwrap();
    let mut said = Vec::new();
    for (version, wish, role) in [
        (1, edit("überschreiben"), Role::Analyst),
        (2, edit("  "), Role::Analyst),
        (2, TaskChange::Reopen, Role::Analyst),
        (2, TaskChange::Done, Role::Municipality),
    ] {
        said.push(change(&world, id, version, wish, role).unwrap_err().to_string());
    }
    change(&world, id, 2, TaskChange::Done, Role::Analyst).unwrap();
    said.push(change(&world, id, 3, edit("noch einmal"), Role::Analyst).unwrap_err().to_string());
    change(&world, id, 3, TaskChange::Reopen, Role::Analyst).unwrap();
    expect![[r#"
        version 1 is stale, the stored one is 2
        title: "" is not accepted, it must not be empty
        no way from open to open
        role municipality may not do TaskEdit
        no way from done to edited"#]]
    .assert_eq(&said.join("\n"));
    let Err(CaseError::Stale { since, .. }) = change(&world, id, 1, TaskChange::Done, Role::Analyst) else { panic!("not refused") };
    assert_eq!(since.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["task.changed", "task.done", "task.reopened"]);
    assert_eq!(since[0].data["before"]["title"], "anrufen");
}

#[test]
fn a_body_learns_of_no_task() {
    let world = World::new();
    let case = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let id = add(&world, "geheim", Some(case), None, None);
    let own = Scope::Bodies(vec![world.bodies[0]]);
    let filter = TaskFilter { scope: own.clone(), which: Which::Team, now: START, limit: 10 };
    assert!(world.db.read(|c| task_list(c, &filter)).unwrap().is_empty());
    assert!(world.db.read(|c| task_get(c, &own, id)).unwrap().is_none());
    let view = |scope: &Scope| world.db.read(|c| crate::incident::incident_get(c, scope, case)).unwrap().unwrap();
    let told = |scope: &Scope| view(scope).history.iter().filter(|event| event.kind.starts_with("task.")).count();
    assert_eq!((told(&own), told(&Scope::All)), (0, 1));
    // Nor by the time at which the case changed.
    let changed = |scope: &Scope| {
        let filter = crate::incident::IncidentFilter::new(scope.clone());
        world.db.read(|c| crate::incident::incident_changed(c, &filter, None, None)).unwrap()[0].0.0
    };
    assert!(changed(&own) < changed(&Scope::All));
    // The case's own version is another: who edits the case is not held up by a task.
    world.change(case, 1, Change::Severity(crate::rule::Level::High), Role::Analyst, START.plus(3 * HOUR)).unwrap();
}
