//! What may enter a timeline, in which order it reads, and who sees it.

use expect_test::expect;

use super::*;
use crate::incident::fixture::{START, World, spec};
use crate::incident::{Seen, incident_get, incident_merge};

const MINUTE: i64 = Timestamp::MINUTE;

fn add(world: &World, case: IncidentId, minute: i64, text: &str, event: Option<u64>, role: Role) -> Result<MomentId, CaseError> {
    let new = NewMoment { at: START.plus(minute * MINUTE), text: text.into(), event: event.map(Seq) };
    world.write(move |tx| moment_add(tx, case, &new, "anna", role, START.plus(60 * MINUTE)))
}

fn told(world: &World, case: IncidentId) -> Vec<String> {
    let all = world.db.read(|c| moment_list(c, &Scope::All, case)).unwrap();
    all.into_iter().map(|one| format!("{} {}", one.at.since(START) / MINUTE, one.text)).collect()
}

#[test]
fn moments_read_in_the_order_in_which_they_happened() {
    let world = World::new();
    let case = world.open(&spec("203.0.113.9", 0, 0, [1]));
    add(&world, case, 30, "Konto gesperrt", None, Role::Analyst).unwrap();
    let wrong = add(&world, case, -90, "erste Anmeldung", Some(7), Role::Lead).unwrap();
    add(&world, case, 5, "Datei abgelegt\u{202E}\n", Some(9), Role::Analyst).unwrap();
    assert_eq!(told(&world, case), ["-90 erste Anmeldung", "5 Datei abgelegt", "30 Konto gesperrt"]);
    world.write(move |tx| moment_strike(tx, case, wrong, "bernd", Role::Analyst, START.plus(61 * MINUTE))).unwrap();
    assert_eq!(told(&world, case), ["5 Datei abgelegt", "30 Konto gesperrt"]);
    // What is struck is known from the history, with the one who wrote it and the one who struck it.
    let history = world.view(case).history;
    let of = |kind: &str| history.iter().filter(|event| event.kind == kind).map(|event| event.data["text"].clone()).collect::<Vec<_>>();
    assert_eq!(of("timeline.added"), ["Konto gesperrt", "erste Anmeldung", "Datei abgelegt"]);
    assert_eq!(of("timeline.struck"), ["erste Anmeldung"]);
}

#[test]
fn what_cannot_be_is_refused_and_nothing_is_written() {
    let world = World::new();
    let case = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let other = world.open(&spec("203.0.113.10", 0, 0, [2]));
    let kept = add(&world, case, 1, "gesehen", Some(7), Role::Analyst).unwrap();
    let mut said = Vec::new();
    let mut refused = |outcome: Result<(), CaseError>| said.push(outcome.unwrap_err().to_string());
    refused(add(&world, case, 1, "noch einmal", Some(7), Role::Analyst).map(drop));
    refused(add(&world, case, 61, "morgen", None, Role::Analyst).map(drop));
    refused(add(&world, case, 1, " \u{202E} ", None, Role::Analyst).map(drop));
    for role in [Role::Municipality, Role::Provider, Role::Steering, Role::Auditor, Role::Admin] {
        refused(add(&world, case, 1, "fremd", None, role).map(drop));
        refused(world.write(move |tx| moment_strike(tx, case, kept, "x", role, START)));
    }
    // Another case's moment is none of this one's.
    assert!(matches!(
        world.write(move |tx| moment_strike(tx, other, kept, "x", Role::Lead, START)),
        Err(CaseError::NotFound { noun: "moment", .. })
    ));
    expect![[r#"
        moment_event: "TC-2026-000001" is not accepted, an event that is not in it yet
        moment_time: "2026-11-21T09:01:00.000Z" is not accepted, a time that has passed
        moment: "" is not accepted, it must not be empty
        role municipality may not do IncidentNote
        role municipality may not do IncidentNote
        role provider may not do IncidentNote
        role provider may not do IncidentNote
        role steering may not do IncidentNote
        role steering may not do IncidentNote
        role auditor may not do IncidentNote
        role auditor may not do IncidentNote
        role admin may not do IncidentNote
        role admin may not do IncidentNote"#]]
    .assert_eq(&said.join("\n"));
    assert_eq!(told(&world, case), ["1 gesehen"]);
    let seen = |id| Seen { id, version: world.view(id).incident.version };
    let (from, into) = (seen(case), seen(other));
    world.write(move |tx| incident_merge(tx, from, into, "anna", Role::Lead, START.plus(60 * MINUTE))).unwrap();
    assert!(matches!(add(&world, case, 2, "zu spät", None, Role::Analyst), Err(CaseError::Transition { from: "merged", .. })));
}

#[test]
fn a_body_learns_of_no_moment() {
    let world = World::new();
    let case = world.open(&spec("203.0.113.9", 0, 0, [1]));
    add(&world, case, 1, "geheim", None, Role::Analyst).unwrap();
    let own = Scope::Bodies(vec![world.bodies[0]]);
    assert!(world.db.read(|c| moment_list(c, &own, case)).unwrap().is_empty());
    let view = world.db.read(|c| incident_get(c, &own, case)).unwrap().unwrap();
    assert!(view.history.iter().all(|event| !event.kind.starts_with("timeline.")), "{:?}", view.history);
}
