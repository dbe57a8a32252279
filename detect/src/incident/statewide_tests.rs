//! Cases of the state: which findings make one, who joins it, who sees it, and what becomes of the warning that it suggests.

use expect_test::expect;
use ingest::body::SITE_STATE;
use ingest::scope::Scope;

use super::fixture::{START, Spec, World, ip, spec};
use super::*;
use crate::finding::{Entity, Finding, Share};

const ADDRESS: &str = "203.0.113.9";

/// A finding over all bodies, with (body, records) each.
fn across(world: &World, rule: &'static str, entity: Entity, minute: i64, seq: u64, bodies: &[(usize, u64)]) -> Finding {
    let base = world.finding(&Spec { rule, level: Level::High, entity, ..spec(ADDRESS, 3, minute, [seq]) });
    let share = |(body, records): &(usize, u64)| Share { body: world.bodies[*body], records: *records, first: base.first, last: base.last };
    Finding { site: SITE_STATE, body: None, shares: bodies.iter().map(share).collect(), ..base }
}

fn file(world: &World, finding: Finding) -> Filed {
    let playbooks = world.playbooks.clone();
    world.write(move |tx| Ok(finding_file(tx, &playbooks, &finding, finding.detected_at)?)).unwrap()
}

fn opened(world: &World, finding: Finding) -> IncidentId {
    match file(world, finding) {
        Filed::Opened { incident, .. } => incident,
        other => panic!("{other:?}"),
    }
}

fn told(view: &IncidentView) -> String {
    let mut lines = vec![format!("{} {}", view.incident.number, view.incident.title), format!("  {}", view.summary)];
    for body in &view.bodies {
        let own: Vec<&str> = body.own.iter().flatten().map(|case| case.number.as_str()).collect();
        lines.push(format!("  {} {} ({})", body.name, body.records, own.join(" ")));
    }
    let event =
        |event: &HistoryEvent| format!("{}{}", event.kind, event.data.get("name").map(|name| format!(" {name}")).unwrap_or_default());
    lines.push(format!("  {}", view.history.iter().map(event).collect::<Vec<_>>().join(", ")));
    lines.push(format!("  {:?}, {} recommendations", view.warning.as_ref().map(|warning| warning.state), view.recommendations.len()));
    lines.join("\n")
}

#[test]
fn one_case_for_the_state_beside_the_bodies_own() {
    let world = World::new();
    let own = [world.open(&spec(ADDRESS, 0, 0, [1])), world.open(&spec(ADDRESS, 2, 1, [2]))];
    let state = opened(&world, across(&world, "state_login_attack", ip(ADDRESS), 2, 3, &[(0, 4)]));
    assert!(!own.contains(&state), "what is a body's does not become the state's");
    // The same rule goes on, at another body too; another rule about the same address; and the same finding again.
    let more = across(&world, "state_login_attack", ip(ADDRESS), 5, 4, &[(0, 2), (1, 7)]);
    assert!(matches!(file(&world, more.clone()), Filed::Extended { .. }));
    assert!(matches!(file(&world, more), Filed::Known { .. }));
    let scan = across(&world, "state_scan", ip(ADDRESS), 9, 5, &[(1, 1)]);
    assert!(matches!(file(&world, scan), Filed::Joined { incident, .. } if incident == state));
    // A list's entry that is this address is the same matter, a body's own alert about it is not.
    let listed = across(&world, "state_indicator", Entity::Indicator(ADDRESS.into()), 10, 6, &[(0, 1)]);
    assert!(matches!(file(&world, listed), Filed::Joined { incident, .. } if incident == state));
    assert!(matches!(world.file(&spec(ADDRESS, 1, 20, [7])), Filed::Joined { incident, .. } if incident == own[0]));
    let other = opened(&world, across(&world, "state_scan", ip("198.51.100.1"), 11, 8, &[(0, 1), (1, 1)]));
    expect![[r#"
        TC-2026-000003 Regel state_login_attack: 203.0.113.9 (landesweit)
          2 Stellen: Am 21.11.2026 zwischen 09:02 und 09:10 Uhr fielen 4 Ereignisse auf (Regeln „Regel state_login_attack“, „Regel state_scan“ und „Regel state_indicator“). Beteiligt: Adresse 203.0.113.9.
          Stadt Musterhausen 7 (TC-2026-000001)
          Landratsamt Beispielkreis 8 (TC-2026-000002)
          incident.first_activity, incident.aware, incident.opened, warning.suggested, incident.body_joined "Landratsamt Beispielkreis", incident.alert_joined, incident.alert_joined
          Some(Open), 0 recommendations"#]]
    .assert_eq(&told(&world.view(state)));
    assert_eq!(world.view(other).bodies.len(), 2);
    assert!(world.view(own[0]).bodies.is_empty() && world.view(own[0]).warning.is_none());
}

/// „None“ is said only where one would have been found.
#[test]
fn without_an_address_nobody_claims_that_there_is_no_own_case() {
    let world = World::new();
    let own = |entity: Entity, minute| {
        let id = opened(&world, across(&world, "state_indicator", entity, minute, 3, &[(0, 4)]));
        world.view(id).bodies[0].own.as_ref().map(Vec::len)
    };
    world.open(&spec(ADDRESS, 0, 0, [1]));
    assert_eq!(own(Entity::Indicator("boese.example".into()), 2), None);
    assert_eq!(own(Entity::Indicator("198.51.100.1".into()), 3), Some(0));
    assert_eq!(own(Entity::Indicator(ADDRESS.into()), 4), Some(1));
}

#[test]
fn nobody_but_the_cert_learns_of_a_case_of_the_state() {
    let world = World::new();
    let own = world.open(&spec(ADDRESS, 0, 0, [1]));
    let state = opened(&world, across(&world, "state_login_attack", ip(ADDRESS), 2, 3, &[(0, 4), (1, 9)]));
    let number = world.view(state).incident.number;
    // Role by scope: the CERT's own people have all; a body, a provider for both, and those who see no case.
    let scopes = [
        ("CERT", Scope::All),
        ("a body", Scope::Bodies(vec![world.bodies[0]])),
        ("a provider for all that are concerned", Scope::Bodies(world.bodies.to_vec())),
        ("the committee", Scope::Bodies(vec![])),
    ];
    let mut matrix = String::new();
    for (who, scope) in scopes {
        let seen = world.db.read(|c| {
            let seen = [
                incident_get(c, &scope, state)?.is_some(),
                incident_by_number(c, &scope, &number)?.is_some(),
                incident_list(c, &IncidentFilter::new(scope.clone()))?.iter().any(|incident| incident.id == state),
                !incident_labels(c, &scope, &[state])?.is_empty(),
                incident_counts(c, &scope)?.open
                    > incident_list(c, &IncidentFilter::new(scope.clone()))?.iter().filter(|i| i.body.is_some()).count() as u64,
                crate::alert::alert_list(c, &crate::alert::AlertFilter::new(scope.clone()))?.iter().any(|alert| alert.site == SITE_STATE),
                incident_list(c, &IncidentFilter { text: Some("landesweit".into()), ..IncidentFilter::new(scope.clone()) })?
                    .iter()
                    .any(|_| true),
            ];
            // The own case says nothing of it either.
            let own = incident_get(c, &scope, own)?.map(|view| format!("{view:?}")).unwrap_or_default();
            assert!(!own.contains("state_login_attack") && !own.contains("Beispielkreis"), "{own}");
            Ok::<_, DbError>(seen)
        });
        let marks: String = seen.unwrap().iter().map(|seen| if *seen { 'x' } else { '-' }).collect();
        matrix.push_str(&format!("{who}: {marks}\n"));
    }
    expect![[r#"
        CERT: xxxxxxx
        a body: -------
        a provider for all that are concerned: -------
        the committee: -------
    "#]]
    .assert_eq(&matrix);
}

#[test]
fn a_suggestion_stays_open_until_somebody_decides() {
    use Role::{Analyst, Auditor, Lead, Municipality};
    let world = World::new();
    let state = opened(&world, across(&world, "state_login_attack", ip(ADDRESS), 0, 1, &[(0, 4), (1, 9)]));
    let own = world.open(&spec(ADDRESS, 0, 0, [2]));
    let at = |hour| START.plus(hour * Timestamp::HOUR);
    let decline = |id, reason: &'static str, role| world.write(move |tx| warning_decline(tx, id, reason, "anna", role, at(1)));
    let draft = |id, role| world.write(move |tx| warning_draft(tx, id, "01ADVISORY", "bernd", role, at(2)));
    for role in [Municipality, Auditor] {
        assert!(matches!(decline(state, "Grund", role), Err(CaseError::Forbidden { .. })));
        assert!(matches!(draft(state, role), Err(CaseError::Forbidden { .. })));
    }
    assert!(matches!(decline(state, "  ", Analyst), Err(CaseError::Invalid { .. })));
    assert!(matches!(draft(own, Lead), Err(CaseError::NotFound { .. })), "a body's case suggests none");
    let now = |world: &World| {
        let Suggestion { state, advisory, reason, actor, .. } = world.view(state).warning.unwrap();
        format!("{} {} {reason:?} {actor}", state.as_str(), advisory.unwrap_or_default())
    };
    assert_eq!(now(&world), "open  \"\" system");
    decline(state, "Es war unser eigener Prüfdienst.", Analyst).unwrap();
    assert_eq!(now(&world), "declined  \"Es war unser eigener Prüfdienst.\" anna");
    assert!(matches!(decline(state, "Noch einmal", Analyst), Err(CaseError::Transition { .. })));
    draft(state, Lead).unwrap();
    assert!(matches!(draft(state, Lead), Err(CaseError::Transition { .. })));
    assert!(now(&world).starts_with("drafted 01ADVISORY"));
    let number = world.view(state).incident.number;
    let from = |scope| world.db.read(|c| incident_of_warning(c, &scope, "01ADVISORY")).unwrap();
    assert_eq!((from(Scope::All), from(Scope::Bodies(world.bodies.to_vec()))), (Some(number), None));
    let kinds: Vec<String> =
        world.view(state).history.into_iter().map(|event| event.kind).filter(|kind| kind.starts_with("warning.")).collect();
    assert_eq!(kinds, ["warning.suggested", "warning.declined", "warning.drafted"]);
}
