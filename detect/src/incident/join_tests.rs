//! Merging, splitting and linking, as a specification: what moves, what stays, what is refused, and that nobody sees more.

use expect_test::expect;
use ingest::db::DbError;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::fixture::{START, Spec, World, spec};
use super::*;
use crate::alert::{AlertAct, AlertFilter, AlertsDone, NotDone, alert_list, alerts_bulk};
use crate::role::Role;
use crate::task::{NewTask, TaskFilter, Which, task_add, task_list};

const NOW: Timestamp = Timestamp(START.0 + Timestamp::HOUR);

fn seen(world: &World, id: IncidentId) -> Seen {
    Seen { id, version: world.view(id).incident.version }
}

fn merge(world: &World, from: IncidentId, into: IncidentId, role: Role) -> Result<(), CaseError> {
    let (from, into) = (seen(world, from), seen(world, into));
    world.write(move |tx| incident_merge(tx, from, into, "anna", role, NOW))
}

fn split(world: &World, from: IncidentId, alerts: Vec<crate::alert::AlertId>) -> Result<IncidentId, CaseError> {
    let (from, playbooks) = (seen(world, from), world.playbooks.clone());
    world.write(move |tx| incident_split(tx, &playbooks, from, &alerts, "", "anna", Role::Analyst, NOW))
}

fn told(world: &World, id: IncidentId) -> String {
    let kinds = world.view(id).history.into_iter().map(|event| event.kind);
    kinds.filter(|kind| kind.starts_with("incident.") || kind.starts_with("task.")).collect::<Vec<_>>().join(" ")
}

#[test]
fn who_must_not_know_of_a_case_does_not_read_of_it_in_what_was_merged_into_it() {
    let world = World::new();
    let whole = world.open(&spec("203.0.113.9", 0, 10, [1]));
    let part = world.open(&spec("203.0.113.10", 0, 5, [2]));
    world.change(whole, 1, Change::Label(Tlp::Red), Role::Analyst, NOW).unwrap();
    merge(&world, part, whole, Role::Analyst).unwrap();
    let view = world.view(part);
    assert_eq!((view.incident.state, view.incident.tlp), (State::Closed, Tlp::Red));
    let replayed = replay(&view.history).unwrap();
    assert_eq!((replayed.state, replayed.tlp, replayed.version), (view.incident.state, view.incident.tlp, view.incident.version));
}

#[test]
fn a_merged_case_leads_to_the_other_and_leaves_nothing_open() {
    let world = World::new();
    let whole = world.open(&spec("203.0.113.9", 0, 10, [1]));
    let part = world.open(&Spec { level: crate::rule::Level::High, ..spec("203.0.113.10", 0, 5, [2]) });
    world.change(part, 1, Change::Label(Tlp::Red), Role::Analyst, NOW).unwrap();
    let task = NewTask { title: "anrufen".into(), incident: Some(part), ..NewTask::default() };
    world.write(move |tx| task_add(tx, &task, "anna", Role::Analyst, NOW)).unwrap();
    merge(&world, part, whole, Role::Analyst).unwrap();
    let (old, new) = (world.view(part), world.view(whole));
    assert_eq!((old.incident.state, old.incident.disposition, old.incident.merged_into), (State::Closed, None, Some(whole)));
    assert_eq!((old.alerts.len(), new.alerts.len()), (0, 2));
    assert_eq!((new.incident.tlp, new.incident.severity), (Tlp::Red, crate::rule::Level::High), "the stricter and the graver hold");
    assert_eq!(new.incident.first_activity, START.plus(5 * Timestamp::MINUTE));
    assert_eq!(old.recommendations.len(), 1, "what began there stays readable there");
    let filter = TaskFilter { scope: Scope::All, which: Which::Case(whole), now: NOW, limit: 9 };
    assert_eq!(world.db.read(|c| task_list(c, &filter)).unwrap().len(), 1);
    expect!["incident.first_activity incident.aware incident.opened incident.labelled task.added incident.merged"]
        .assert_eq(&told(&world, part));
    expect!["incident.first_activity incident.first_activity incident.aware incident.opened incident.labelled incident.severity incident.took_in task.moved"]
        .assert_eq(&told(&world, whole));
    for view in [&old, &new] {
        let replayed = replay(&view.history).unwrap();
        assert_eq!((replayed.state, replayed.tlp, replayed.version), (view.incident.state, view.incident.tlp, view.incident.version));
        assert_eq!(replayed.merged_into, view.incident.merged_into);
    }
    // What comes later about the same goes to the one that is left.
    let filed = world.file(&Spec { rule: "portscan", ..spec("203.0.113.10", 1, 20, [3]) });
    assert!(matches!(filed, Filed::Joined { incident, .. } if incident == whole), "{filed:?}");
    // By its number the case is found that it went into.
    let found = |text: &str| {
        let filter = IncidentFilter { states: State::OPEN.to_vec(), text: Some(text.into()), ..IncidentFilter::new(Scope::All) };
        world.db.read(|c| incident_list(c, &filter)).unwrap().iter().map(|case| case.id).collect::<Vec<_>>()
    };
    assert_eq!(found(&old.incident.number), [whole]);
    assert_eq!(world.db.read(|c| incident_root(c, part)).unwrap(), whole);
    let relations = world.db.read(|c| incident_relations(c, &Scope::All, whole)).unwrap();
    assert_eq!(relations.parts.iter().map(|one| one.id).collect::<Vec<_>>(), [part]);
}

#[test]
fn merges_that_cannot_be_change_nothing() {
    let world = World::new();
    let own = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let other = world.open(&spec("203.0.113.10", 1, 0, [2]));
    let foreign = world.open(&spec("203.0.113.11", 2, 0, [3]));
    let nobodys = world.open(&spec("203.0.113.12", 3, 0, [4]));
    let before = world.dump();
    let mut said = Vec::new();
    for (from, into, role) in [
        (own, own, Role::Lead),
        (own, foreign, Role::Lead),
        (nobodys, own, Role::Lead),
        (own, other, Role::Municipality),
        (own, other, Role::Steering),
    ] {
        said.push(merge(&world, from, into, role).unwrap_err().to_string());
    }
    let (old, into) = (Seen { id: own, version: 0 }, seen(&world, other));
    said.push(world.write(move |tx| incident_merge(tx, old, into, "anna", Role::Lead, NOW)).unwrap_err().to_string());
    assert_eq!(world.dump(), before);
    merge(&world, own, other, Role::Lead).unwrap();
    said.push(merge(&world, own, other, Role::Lead).unwrap_err().to_string());
    said.push(merge(&world, other, own, Role::Lead).unwrap_err().to_string());
    // Nothing brings it back: what belongs elsewhere is split off again.
    let version = world.view(own).incident.version;
    said.push(world.change(own, version, Change::Move { to: State::Triaged, at: None }, Role::Lead, NOW).unwrap_err().to_string());
    expect![[r#"
        case: "TC-2026-000001" is not accepted, two different cases
        owner: "TC-2026-000001" is not accepted, a case of the same body; others are linked
        owner: "TC-2026-000004" is not accepted, a case of the same body; others are linked
        role municipality may not do IncidentJoin
        role steering may not do IncidentJoin
        version 0 is stale, the stored one is 1
        no way from closed to merged
        no way from closed to merged
        no way from merged to triaged"#]]
    .assert_eq(&said.join("\n"));
    world.change(own, version, Change::Note("bleibt lesbar".into()), Role::Analyst, NOW).unwrap();
}

#[test]
fn a_split_takes_alerts_and_their_ways_along() {
    let world = World::new();
    let case = world.open(&Spec { hosts: &["web01"], ..spec("203.0.113.9", 0, 0, [1]) });
    world.file(&Spec { hosts: &["web01"], rule: "portscan", level: crate::rule::Level::High, ..spec("203.0.113.10", 0, 5, [2]) });
    world.change(case, world.view(case).incident.version, Change::Label(Tlp::AmberStrict), Role::Analyst, NOW).unwrap();
    let alerts = world.view(case).alerts;
    let scan = alerts.iter().find(|alert| alert.rule_name == "portscan").unwrap().id;
    let all: Vec<_> = alerts.iter().map(|alert| alert.id).collect();
    let no = [split(&world, case, vec![]), split(&world, case, all), split(&world, case, vec![Default::default()])];
    let no: Vec<String> = no.into_iter().map(|one| one.unwrap_err().to_string()).collect();
    expect![[r#"
        alerts: "0" is not accepted, at least one
        alerts: "2" is not accepted, not all of them: the case would be left without any
        alert 00000000000000000000000000 not found"#]]
    .assert_eq(&no.join("\n"));
    let made = split(&world, case, vec![scan]).unwrap();
    let (old, new) = (world.view(case), world.view(made));
    assert_eq!((old.alerts.len(), new.alerts.len(), new.incident.tlp), (1, 1, Tlp::AmberStrict));
    assert_eq!(new.incident.title, "Regel portscan: 203.0.113.10 (Stadt Musterhausen)");
    assert_eq!(new.recommendations.len(), 1);
    assert_eq!(replay(&old.history).unwrap().version, old.incident.version);
    assert_eq!(replay(&new.history).unwrap().version, new.incident.version);
    let filed = world.file(&Spec { rule: "beacon", ..spec("203.0.113.10", 1, 20, [3]) });
    assert!(matches!(filed, Filed::Joined { incident, .. } if incident == made), "{filed:?}");
    let filed = world.file(&Spec { rule: "beacon", ..spec("203.0.113.9", 1, 20, [4]) });
    assert!(matches!(filed, Filed::Joined { incident, .. } if incident == case), "{filed:?}");
}

#[test]
fn ties_go_both_ways_and_no_body_sees_them() {
    let world = World::new();
    let own = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let foreign = world.open(&spec("203.0.113.9", 2, 0, [2]));
    let link = |one, other, reason: &str| {
        let reason = reason.to_owned();
        world.write(move |tx| incident_link(tx, one, other, &reason, "anna", Role::Analyst, NOW))
    };
    link(own, foreign, "gleiche Adresse").unwrap();
    let no = [link(foreign, own, "noch einmal"), link(own, own, "x"), link(own, foreign, " ")];
    assert!(no.iter().all(|one| matches!(one, Err(CaseError::Invalid { .. }))), "{no:?}");
    let links = |scope: &Scope, id| world.db.read(|c| incident_relations(c, scope, id)).unwrap().links;
    assert_eq!(links(&Scope::All, own)[0].case.id, foreign);
    assert_eq!((links(&Scope::All, foreign)[0].case.id, links(&Scope::All, foreign)[0].reason.as_str()), (own, "gleiche Adresse"));
    let scope = Scope::Bodies(vec![world.bodies[0]]);
    assert!(links(&scope, own).is_empty());
    let view = world.db.read(|c| incident_get(c, &scope, own)).unwrap().unwrap();
    assert!(view.history.iter().all(|event| !event.kind.contains("link")));
    world.write(move |tx| incident_unlink(tx, foreign, own, "anna", Role::Analyst, NOW)).unwrap();
    assert!(links(&Scope::All, own).is_empty());
    assert!(told(&world, own).ends_with("incident.linked incident.unlinked"));
}

#[test]
fn alerts_go_into_a_case_of_their_owner_and_take_their_label_along() {
    let world = World::new();
    let into = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let red = world.open(&spec("203.0.113.10", 0, 1, [2]));
    world.file(&Spec { rule: "portscan", ..spec("203.0.113.10", 0, 2, [3]) });
    world.change(red, 1, Change::Label(Tlp::Red), Role::Analyst, NOW).unwrap();
    let foreign = world.open(&spec("203.0.113.11", 2, 3, [4]));
    let only = world.open(&spec("203.0.113.12", 0, 4, [5]));
    let of = |id| world.view(id).alerts[0].id;
    let ids = vec![of(red), of(foreign), of(only), of(into), Default::default()];
    let done = world.write(move |tx| alerts_bulk(tx, &ids, &AlertAct::Join(into), "anna", Role::Analyst, NOW)).unwrap();
    let refused = [NotJoined::Missing, NotJoined::Already, NotJoined::OtherOwner, NotJoined::Last].map(|why| (NotDone::Join(why), 1));
    assert_eq!(done, AlertsDone { done: 1, cases: 0, refused: refused.into() });
    let view = world.view(into);
    assert_eq!((view.alerts.len(), view.incident.tlp), (2, Tlp::Red));
    assert_eq!(replay(&view.history).unwrap().version, view.incident.version);
}

#[test]
fn many_at_once_do_what_one_does() {
    let world = World::new();
    let cases: Vec<IncidentId> = (0..3).map(|n| world.open(&spec(&format!("203.0.113.{n}"), 0, n, [n as u64 + 1]))).collect();
    let ids: Vec<_> = cases.iter().map(|id| world.view(*id).alerts[0].id).collect();
    let act = |act: AlertAct, role: Role| {
        let ids = ids.clone();
        world.write(move |tx| alerts_bulk(tx, &ids, &act, "anna", role, NOW))
    };
    assert!(matches!(act(AlertAct::Acknowledge, Role::Municipality), Err(CaseError::Forbidden { .. })));
    let done = act(AlertAct::Assign("bernd".into()), Role::Analyst).unwrap();
    assert_eq!((done.done, done.cases), (3, 3));
    assert_eq!(world.view(cases[0]).incident.assignee.as_deref(), Some("bernd"));
    let done = act(AlertAct::Close(crate::alert::Disposition::Benign), Role::Analyst).unwrap();
    assert_eq!((done.done, done.refused.len()), (3, 0));
    let done = act(AlertAct::Acknowledge, Role::Analyst).unwrap();
    assert_eq!((done.done, done.refused[&NotDone::State]), (0, 3));
    // Cases: one that somebody has changed meanwhile stays, and is named.
    let mut all: Vec<Seen> = cases.iter().map(|id| seen(&world, *id)).collect();
    all[2].version = 1;
    let stale = all.clone();
    let close = CaseAct::Close(crate::alert::Disposition::FalsePositive);
    let done = world.write(move |tx| incidents_bulk(tx, &stale, &close, "anna", Role::Lead, NOW)).unwrap();
    assert_eq!((done.done.len(), done.refused.len()), (2, 1));
    assert!(matches!(done.refused[0].1, CaseError::Stale { .. }));
    let more: Vec<Seen> = [
        world.open(&spec("203.0.113.50", 0, 1, [50])),
        world.open(&spec("203.0.113.51", 0, 2, [51])),
        world.open(&spec("203.0.113.52", 2, 3, [52])),
    ]
    .map(|id| seen(&world, id))
    .into();
    let (first, foreign) = (more[0].id, more[2].id);
    let done = world.write(move |tx| incidents_bulk(tx, &more, &CaseAct::Merge, "anna", Role::Analyst, NOW)).unwrap();
    assert_eq!((done.into, done.done.len()), (Some(first), 1));
    assert_eq!(done.refused.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [foreign]);
}

#[test]
fn a_label_that_hides_a_case_hides_it_from_every_page_of_the_list() {
    let world = World::new();
    let ids: Vec<IncidentId> = (0..4).map(|n| world.open(&spec(&format!("203.0.113.{n}"), 0, n, [n as u64 + 1]))).collect();
    world.change(ids[2], 1, Change::Label(Tlp::Red), Role::Analyst, NOW).unwrap();
    world.change(ids[1], 1, Change::Assign(Some("bernd".into())), Role::Analyst, NOW).unwrap();
    let readable = Some(vec![Tlp::Clear, Tlp::Green, Tlp::Amber, Tlp::AmberStrict]);
    let own = IncidentFilter { limit: 2, readable, ..IncidentFilter::new(Scope::Bodies(vec![world.bodies[0]])) };
    let page = |filter: &IncidentFilter| -> Vec<IncidentId> {
        world.db.read(|c| Ok::<_, DbError>(incident_list(c, filter)?.into_iter().map(|case| case.id).collect())).unwrap()
    };
    // A whole page, not one that is shorter by what is hidden.
    assert_eq!(page(&own), [ids[3], ids[1]]);
    let changed = world.db.read(|c| incident_changed(c, &own, None, None)).unwrap();
    assert_eq!(changed.len(), 2);
    assert!(changed.iter().all(|(_, case)| case.id != ids[2]));
    // Who works on a case is not found out by asking for it.
    let asked = |scope: Scope| page(&IncidentFilter { assignee: Some("bernd".into()), ..IncidentFilter::new(scope) }).len();
    assert_eq!((asked(Scope::All), asked(Scope::Bodies(vec![world.bodies[0]]))), (1, 4));
    let alerts = world.db.read(|c| alert_list(c, &AlertFilter::new(Scope::All))).unwrap();
    assert_eq!(alerts.len(), 4);
}
