//! Many cases and many hands: whatever sequence of findings, changes, merges, splits, ties and bulk acts comes, and whoever tries
//! it, the invariants hold, a refusal changes nothing, and each history replays to what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use ingest::db::DbError;
use ingest::history::history_of;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::fixture::{START, Spec, World, spec};
use super::*;
use crate::alert::{AlertAct, AlertFilter, AlertId, AlertState, alert_list, alerts_bulk};
use crate::task::{NewTask, TaskFilter, Which, task_add, task_list};

const ADDRESSES: [&str; 4] = ["203.0.113.9", "203.0.113.10", "203.0.113.11", "203.0.113.12"];

/// A try; the numbers choose among what there is.
#[derive(Clone, Debug)]
enum Act {
    /// (address, site, level)
    Find(usize, usize, usize),
    Move(usize, State),
    /// By one of the ways that there are.
    Step(usize, usize),
    Close(usize),
    Label(usize, Tlp),
    Assign(usize),
    Merge(usize, usize),
    Split(usize, usize),
    Link(usize, usize),
    Unlink(usize, usize),
    Put(usize, usize),
    Task(usize),
    CloseMany,
    MergeMany(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let n = 0..6usize;
    // Mostly at body A's two sites: what may become one is of one body.
    let site = prop::sample::select(vec![0, 0, 0, 1, 1, 2, 3]);
    prop_oneof![
        6 => (0..4usize, site, 1..5usize).prop_map(|(address, site, level)| Act::Find(address, site, level)),
        2 => (n.clone(), prop::sample::select(State::ALL.to_vec())).prop_map(|(case, to)| Act::Move(case, to)),
        3 => (n.clone(), n.clone()).prop_map(|(case, way)| Act::Step(case, way)),
        2 => n.clone().prop_map(Act::Close),
        1 => (n.clone(), prop::sample::select(Tlp::ALL.to_vec())).prop_map(|(case, tlp)| Act::Label(case, tlp)),
        1 => n.clone().prop_map(Act::Assign),
        4 => (n.clone(), n.clone()).prop_map(|(one, other)| Act::Merge(one, other)),
        2 => (n.clone(), n.clone()).prop_map(|(case, alert)| Act::Split(case, alert)),
        2 => (0..3usize, 0..3usize).prop_map(|(one, other)| Act::Link(one, other)),
        2 => (0..3usize, 0..3usize).prop_map(|(one, other)| Act::Unlink(one, other)),
        2 => (n.clone(), n.clone()).prop_map(|(case, alert)| Act::Put(case, alert)),
        1 => n.clone().prop_map(Act::Task),
        1 => Just(Act::CloseMany),
        1 => n.prop_map(Act::MergeMany),
    ]
}

/// Mostly those who may; else everybody else would refuse all the way.
fn role() -> impl Strategy<Value = Role> {
    prop_oneof![6 => Just(Role::Lead), 2 => Just(Role::Analyst), 1 => prop::sample::select(Role::ALL.to_vec())]
}

/// Everything that must not change when something is refused, and that the invariants speak of.
#[derive(Debug, PartialEq)]
struct Snapshot {
    cases: BTreeMap<IncidentId, Incident>,
    alerts: BTreeMap<AlertId, (Option<IncidentId>, AlertState)>,
    told: usize,
    /// Open tasks by case.
    tasks: Vec<Option<IncidentId>>,
}

fn snapshot(world: &World) -> Snapshot {
    let cases: BTreeMap<_, _> = world.list(Scope::All).into_iter().map(|case| (case.id, case)).collect();
    let filter = TaskFilter { scope: Scope::All, which: Which::Team, now: START, limit: 500 };
    world
        .db
        .read(|c| {
            let mut told = 0;
            for id in cases.keys() {
                told += history_of(c, &id.to_string())?.len();
            }
            let alerts = alert_list(c, &AlertFilter { limit: 500, ..AlertFilter::new(Scope::All) })?;
            let tasks = task_list(c, &filter)?.into_iter().map(|task| task.incident).collect();
            Ok::<_, DbError>(Snapshot {
                cases,
                alerts: alerts.into_iter().map(|one| (one.id, (one.incident, one.state))).collect(),
                told,
                tasks,
            })
        })
        .unwrap()
}

/// Does it, or says that it was refused.
fn attempt(world: &World, now: Snapshot, act: &Act, role: Role, at: Timestamp) -> Result<(), CaseError> {
    let cases: Vec<Incident> = now.cases.into_values().collect();
    let alerts: Vec<AlertId> = now.alerts.keys().copied().collect();
    let Some(of) = (!cases.is_empty()).then_some(|n: usize| &cases[n % cases.len()]) else { return Ok(()) };
    let seen = |n: usize| Seen { id: of(n).id, version: of(n).version };
    let playbooks = world.playbooks.clone();
    match act.clone() {
        Act::Find(..) => Ok(()),
        Act::Move(n, to) => world.change(of(n).id, of(n).version, Change::Move { to, at: None }, role, at).map(drop),
        Act::Step(n, way) => {
            let ways: Vec<State> = moves(of(n).state, role).collect();
            let Some(to) = ways.get(way % ways.len().max(1)).copied() else { return Ok(()) };
            world.change(of(n).id, of(n).version, Change::Move { to, at: None }, role, at).map(drop)
        }
        Act::Close(n) => {
            let close = Change::Close { disposition: crate::alert::Disposition::Benign, at: None };
            world.change(of(n).id, of(n).version, close, role, at).map(drop)
        }
        Act::Label(n, tlp) => world.change(of(n).id, of(n).version, Change::Label(tlp), role, at).map(drop),
        Act::Assign(n) => world.change(of(n).id, of(n).version, Change::Assign(Some("bernd".into())), role, at).map(drop),
        Act::Merge(one, other) => {
            let (one, other) = (seen(one), seen(other));
            world.write(move |tx| incident_merge(tx, one, other, "anna", role, at))
        }
        Act::Split(n, alert) => {
            let (from, chosen) = (seen(n), alerts.get(alert % alerts.len().max(1)).copied().into_iter().collect::<Vec<_>>());
            world.write(move |tx| incident_split(tx, &playbooks, from, &chosen, "", "anna", role, at)).map(drop)
        }
        Act::Link(one, other) => {
            let (one, other) = (of(one).id, of(other).id);
            world.write(move |tx| incident_link(tx, one, other, "gleiche Adresse", "anna", role, at))
        }
        Act::Unlink(one, other) => {
            let (one, other) = (of(one).id, of(other).id);
            world.write(move |tx| incident_unlink(tx, one, other, "anna", role, at))
        }
        Act::Put(n, alert) => {
            let (into, chosen) = (of(n).id, alerts.get(alert % alerts.len().max(1)).copied().into_iter().collect::<Vec<_>>());
            world.write(move |tx| alerts_join(tx, into, &chosen, "anna", role, at)).map(drop)
        }
        Act::Task(n) => {
            let task = NewTask { title: "anrufen".into(), incident: Some(of(n).id), ..NewTask::default() };
            world.write(move |tx| task_add(tx, &task, "anna", role, at)).map(drop)
        }
        Act::CloseMany => {
            let act = AlertAct::Close(crate::alert::Disposition::Benign);
            world.write(move |tx| alerts_bulk(tx, &alerts, &act, "anna", role, at)).map(drop)
        }
        Act::MergeMany(n) => {
            let all: Vec<Seen> = (0..3).map(|more| seen(n + more)).collect();
            world.write(move |tx| incidents_bulk(tx, &all, &CaseAct::Merge, "anna", role, at)).map(drop)
        }
    }
}

/// The act's name without what it is done to.
fn kind(act: &Act) -> String {
    let text = format!("{act:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

#[test]
fn no_sequence_of_acts_breaks_a_case() {
    let done = Mutex::new(BTreeMap::<String, usize>::new());
    let mut runner = TestRunner::new(ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(40) });
    let outcome = runner.run(&prop::collection::vec((act(), role()), 20..50), |acts| holds(acts, &done));
    outcome.unwrap();
    let done = done.into_inner().unwrap();
    for kind in
        ["Find", "Move", "Step", "Close", "Label", "Assign", "Merge", "Split", "Link", "Unlink", "Put", "Task", "CloseMany", "MergeMany"]
    {
        assert!(done.get(kind).is_some_and(|n| *n >= 5), "hardly ever done: {kind}, of {done:?}");
    }
}

/// Does one act after the other and looks at all of it after each.
fn holds(acts: Vec<(Act, Role)>, done: &Mutex<BTreeMap<String, usize>>) -> Result<(), TestCaseError> {
    let world = World::new();
    let mut at = START.plus(Timestamp::HOUR);
    let mut seq = 0;
    for (act, role) in acts {
        at = at.plus(Timestamp::MINUTE);
        let before = snapshot(&world);
        if let Act::Find(address, site, level) = act {
            seq += 1;
            let level = crate::rule::Level::ALL[level];
            let rule = ["ssh_bruteforce", "portscan"][seq as usize % 2];
            world.file(&Spec { rule, level, ..spec(ADDRESSES[address], site, seq as i64 * 7, [seq]) });
        }
        let outcome = attempt(&world, snapshot(&world), &act, role, at);
        let after = snapshot(&world);
        if outcome.is_ok() && before != after {
            *done.lock().unwrap().entry(kind(&act)).or_default() += 1;
        }
        if outcome.is_err() {
            prop_assert_eq!(&after, &before, "refused, and yet changed: {:?}", act);
        }
        // Nothing is lost: neither a case, nor an alert, nor a word of what was told.
        prop_assert!(before.cases.keys().all(|id| after.cases.contains_key(id)));
        prop_assert!(before.alerts.keys().all(|id| after.alerts.contains_key(id)));
        prop_assert!(after.told >= before.told);
        for (id, case) in &after.cases {
            let old = before.cases.get(id);
            prop_assert_eq!(case.state == State::Closed, case.closed_at.is_some());
            // Closed with a verdict, or by a merge, never both.
            prop_assert_eq!(case.state == State::Closed, case.disposition.is_some() != case.merged_into.is_some());
            if let Some(into) = case.merged_into {
                let whole = &after.cases[&into];
                prop_assert_eq!(whole.body, case.body, "merged over a body's border");
                prop_assert!(!after.alerts.values().any(|(of, _)| *of == Some(*id)), "a merged case keeps no alert");
                prop_assert!(!after.tasks.contains(&Some(*id)), "nor an open task");
                if old.is_some_and(|old| old.merged_into.is_none()) {
                    prop_assert!(whole.tlp >= case.tlp, "the merge widens who may read");
                    prop_assert!(whole.severity >= case.severity);
                }
            }
            if old.is_some_and(|old| old.merged_into.is_some()) {
                prop_assert_eq!(case.merged_into, old.unwrap().merged_into, "merged is for good");
            }
            // The way of merges ends at a case that is none.
            let (mut end, mut way) = (*id, BTreeSet::new());
            while let Some(next) = after.cases[&end].merged_into {
                prop_assert!(way.insert(end), "merged in a circle");
                end = next;
            }
            prop_assert_eq!(world.db.read(|c| incident_root(c, *id)).unwrap(), end);
            let told = replay(&world.view(*id).history).unwrap();
            let stored = case.clone();
            let stored = Replayed {
                title: stored.title,
                state: stored.state,
                severity: stored.severity,
                rsit: stored.rsit,
                services: stored.services,
                tlp: stored.tlp,
                assignee: stored.assignee,
                disposition: stored.disposition,
                merged_into: stored.merged_into,
                version: stored.version,
            };
            prop_assert_eq!(told, stored);
            let relations = world.db.read(|c| incident_relations(c, &Scope::All, *id)).unwrap();
            for link in relations.links {
                let back = world.db.read(|c| incident_relations(c, &Scope::All, link.case.id)).unwrap();
                prop_assert!(back.links.iter().any(|one| one.case.id == *id), "a tie goes both ways");
            }
        }
        // An alert stands in a case of its own body.
        for alert in world.db.read(|c| alert_list(c, &AlertFilter { limit: 500, ..AlertFilter::new(Scope::All) })).unwrap() {
            if let Some(case) = alert.incident {
                prop_assert_eq!(after.cases[&case].body, alert.body);
            }
        }
    }
    Ok(())
}
