//! Answers and deadlines as tables, and the way from draft to done with its history.

use expect_test::{Expect, expect};

use super::*;
use crate::incident::fixture::{START, World, spec};

fn made(state: RecommendationState) -> Recommendation {
    let step = |within_minutes| Step {
        text: "t".into(),
        confirm: "c".into(),
        within_minutes,
        state: StepState::Open,
        reason: None,
        changed_at: None,
    };
    Recommendation {
        id: RecommendationId::default(),
        incident: IncidentId::default(),
        playbook: "p".into(),
        title: "t".into(),
        intro: "i".into(),
        state,
        reason: None,
        created_at: START,
        sent_at: Some(START),
        steps: vec![step(60), step(240)],
        version: 1,
    }
}

fn no() -> Word {
    Word::Declined { reason: "kein Zugriff".into() }
}

/// Says the answers one after the other; prints the whole's and the steps' state after each.
#[expect(clippy::needless_pass_by_value, reason = "the usual shape of an expect table")]
fn check(from: RecommendationState, answers: &[(Option<usize>, Word)], expected: Expect) {
    let mut now = made(from);
    let mut lines = Vec::new();
    for (step, word) in answers {
        match answered(&now, &Answer { step: *step, word: word.clone(), via: Via::Portal }, START) {
            Ok(next) => now = next,
            Err(error) => lines.push(format!("refused: {error}")),
        }
        let steps: Vec<&str> = now.steps.iter().map(|step| step.state.as_str()).collect();
        lines.push(format!("{} [{}] {} v{}", now.state.as_str(), steps.join(" "), now.reason.as_deref().unwrap_or("-"), now.version));
    }
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn answers_of_steps_and_of_the_whole() {
    check(
        Sent,
        &[(None, Word::Seen), (None, Word::Seen), (Some(0), Word::InWork), (Some(0), Word::DONE), (Some(1), Word::DONE)],
        expect![[r#"
            seen [open open] - v2
            seen [open open] - v2
            in_work [in_work open] - v3
            in_work [done open] - v4
            done [done done] - v5"#]],
    );
    check(
        Sent,
        &[(Some(1), no()), (Some(0), Word::DONE)],
        expect![[r#"
        in_work [open declined] - v2
        done [done declined] - v3"#]],
    );
    check(
        Sent,
        &[(Some(1), no()), (Some(0), no()), (Some(0), Word::InWork)],
        expect![[r#"
        in_work [open declined] - v2
        declined [declined declined] kein Zugriff v3
        in_work [in_work declined] - v4"#]],
    );
    check(
        Sent,
        &[(None, Word::InWork), (None, Word::DONE), (None, Word::Seen), (None, Word::InWork)],
        expect![[r#"
        in_work [open open] - v2
        done [done done] - v3
        done [done done] - v3
        refused: no way from done to in_work
        done [done done] - v3"#]],
    );
    check(
        Sent,
        &[(Some(0), Word::DONE), (None, no()), (None, Word::DONE)],
        expect![[r#"
        in_work [done open] - v2
        declined [done declined] kein Zugriff v3
        done [done declined] - v4"#]],
    );
    check(
        Sent,
        &[(None, Word::Declined { reason: " \u{7}".into() }), (Some(7), Word::DONE), (Some(0), Word::Seen)],
        expect![[r#"
        refused: reason: "" is not accepted, it must not be empty
        sent [open open] - v1
        refused: step: "7" is not accepted, a step of this recommendation
        sent [open open] - v1
        refused: step: "seen" is not accepted, only the whole is seen
        sent [open open] - v1"#]],
    );
    check(
        Draft,
        &[(None, Word::Seen)],
        expect![[r#"
        refused: no way from draft to seen
        draft [open open] - v1"#]],
    );
}

#[test]
fn deadlines_run_from_sending_until_an_answer() {
    let at = |minutes: i64| START.plus(minutes * Timestamp::MINUTE);
    let done = |minutes: i64| Step { state: StepState::Done, changed_at: Some(at(minutes)), ..made(Sent).steps[0].clone() };
    let open = made(Sent).steps[0].clone();
    for (step, sent_at, now, expected) in [
        (&open, None, at(999), Deadline::NotRunning),
        (&open, Some(START), at(60), Deadline::Running { due_at: at(60) }),
        (&open, Some(START), at(61), Deadline::Missed { due_at: at(60) }),
        (&done(60), Some(START), at(999), Deadline::Answered { in_time: true }),
        (&done(61), Some(START), at(999), Deadline::Answered { in_time: false }),
    ] {
        assert_eq!(step.deadline(sent_at, now), expected);
    }
    let sent = made(Sent);
    assert_eq!((sent.due_at(), sent.due_next(at(61)), sent.missed(at(61))), (Some(at(240)), Some(at(60)), 1));
}

#[test]
fn from_the_rules_draft_to_the_bodys_answer() {
    let world = World::new();
    let incident = world.open(&spec("203.0.113.9", 0, 0, 1..=5));
    let draft = world.view(incident).recommendations.remove(0);
    assert_eq!((draft.playbook.as_str(), draft.state), ("ssh_bruteforce", Draft));
    let (id, own, foreign) = (draft.id, Scope::Bodies(vec![world.bodies[0]]), Scope::Bodies(vec![world.bodies[1]]));
    let hidden = world.db.read(|connection| recommendation_get(connection, &own, id)).unwrap();
    assert!(hidden.is_none(), "a body sees no drafts");
    let answer = |scope: &Scope, role: Role, word: Word| {
        let scope = scope.clone();
        let now = START.plus(Timestamp::HOUR);
        world.write(move |tx| recommendation_answer(tx, &scope, id, &Answer { step: None, word, via: Via::Portal }, "isb", role, now))
    };
    assert!(matches!(answer(&own, Role::Municipality, Word::DONE), Err(CaseError::NotFound { .. })));
    let send = |version| world.write(move |tx| recommendation_send(tx, id, version, "anna", Role::Analyst, START.plus(9_000)));
    assert!(matches!(send(7), Err(CaseError::Stale { .. })));
    assert_eq!(send(1).unwrap().state, Sent);
    assert!(matches!(send(2), Err(CaseError::Transition { .. })), "sent once");
    assert!(matches!(answer(&foreign, Role::Municipality, Word::DONE), Err(CaseError::NotFound { .. })));
    assert!(matches!(answer(&own, Role::Steering, Word::DONE), Err(CaseError::Forbidden { .. })));
    assert_eq!(answer(&own, Role::Municipality, Word::DONE).unwrap().state, Done);
    let kinds: Vec<String> = world.view(incident).history.iter().map(|event| event.kind.clone()).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).filter(|kind| kind.starts_with("recommendation.")).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    for kind in ["recommendation.drafted", "recommendation.sent", "recommendation.ack", "recommendation.done"] {
        assert!(kinds.contains(&kind), "{kind}");
    }
}

#[test]
fn an_answer_says_how_it_came_and_how_one_sees_that_it_is_done() {
    let world = World::new();
    let incident = world.open(&spec("203.0.113.9", 0, 0, 1..=5));
    let id = world.view(incident).recommendations[0].id;
    world.write(move |tx| recommendation_send(tx, id, 1, "anna", Role::Analyst, START)).unwrap();
    let (own, contact) = (Scope::Bodies(vec![world.bodies[0]]), ContactId(ingest::id::Ulid(9)));
    let word = Word::Done { how: " Das Konto ist gesperrt. ".into() };
    let answer = Answer { step: None, word, via: Via::Link(contact) };
    world.write(move |tx| recommendation_answer(tx, &own, id, &answer, "contact:9", Role::Municipality, START)).unwrap();
    let view = world.view(incident);
    let one = &view.recommendations[0];
    assert_eq!(
        (one.state, one.reason.as_deref(), one.steps[0].reason.as_deref()),
        (Done, one.steps[0].reason.as_deref(), Some("Das Konto ist gesperrt."))
    );
    for kind in ["recommendation.ack", "recommendation.done"] {
        let event = view.history.iter().find(|event| event.kind == kind).unwrap();
        assert_eq!((&event.data["via"], &event.data["contact"]), (&serde_json::json!("link"), &serde_json::json!(contact)), "{kind}");
    }
}

#[test]
fn a_draft_can_be_rewritten_until_it_is_sent() {
    let world = World::new();
    let incident = world.open(&spec("203.0.113.9", 0, 0, 1..=5));
    let id = world.view(incident).recommendations[0].id;
    let edit = |version, text: &'static str| {
        let steps = [PlaybookStep { text: text.into(), within_minutes: 30, confirm: "c".into() }];
        world.write(move |tx| recommendation_edit(tx, id, version, "Titel", "Text", &steps, "anna", Role::Analyst, START))
    };
    assert!(matches!(edit(1, " "), Err(CaseError::Invalid { .. })));
    assert_eq!(edit(1, "Anrufen").unwrap().steps.len(), 1);
    assert!(matches!(edit(1, "Anrufen"), Err(CaseError::Stale { .. })));
    world.write(move |tx| recommendation_send(tx, id, 2, "anna", Role::Lead, START)).unwrap();
    assert!(matches!(edit(3, "Anrufen"), Err(CaseError::Transition { .. })));
}
