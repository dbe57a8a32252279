//! Grouping, the state machine as a model, roles, staleness, tenants and numbers.

use std::collections::BTreeSet;

use expect_test::{Expect, expect};
use ingest::scope::Scope;
use proptest::prelude::*;

use super::fixture::{START, Spec, World, ip, spec};
use super::*;
use crate::alert::{AlertCounts, AlertFilter, AlertState, alert_counts, alert_evidence, alert_list};
use crate::finding::Entity;

const DAY: i64 = 24 * 60;

/// Files the findings and prints each incident with its alerts and why they are there.
#[expect(clippy::needless_pass_by_value, reason = "the usual shape of an expect table")]
fn check(findings: &[Spec], expected: Expect) {
    let world = World::new();
    for finding in findings {
        world.file(finding);
    }
    let mut lines = Vec::new();
    for incident in world.list(Scope::All).iter().rev() {
        let view = world.view(incident.id);
        lines.push(format!("{} {} {} {}", incident.number, incident.severity.as_str(), incident.rsit, incident.title));
        for alert in view.alerts.iter().rev() {
            lines.push(format!("  {} {}: {}", alert.rule_name, alert.entity, alert.grouped.split(':').next().unwrap_or_default()));
        }
        lines.push(format!("  {}", view.recommendations.iter().map(|each| each.playbook.as_str()).collect::<Vec<_>>().join(", ")));
    }
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn alerts_join_a_case_of_the_same_body_by_entity_host_or_address() {
    let (a, b) = ("203.0.113.9", "203.0.113.10");
    let success = |site, minute, seq| Spec { rule: "ssh_bruteforce_success", level: Level::High, ..spec(a, site, minute, [seq]) };
    // The same address at the body's other site; it was worse than thought.
    check(
        &[spec(a, 0, 0, [1]), success(1, 5, 2)],
        expect![[r#"
        TC-2026-000001 high intrusions/unprivileged-account-compromise Regel ssh_bruteforce_success: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce_success ip:203.0.113.9: gleiche Adresse 203.0.113.9 wie im offenen Vorfall derselben Stelle, zuletzt aktiv am 21.11.2026, 09
          ssh_bruteforce, ssh_bruteforce_success"#]],
    );
    // Another address, the same host, whatever its case.
    check(
        &[Spec { hosts: &["WEB01"], ..spec(a, 0, 0, [1]) }, Spec { hosts: &["web01"], ..spec(b, 0, 1, [2]) }],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce ip:203.0.113.10: gleicher Host web01 wie im offenen Vorfall derselben Stelle, zuletzt aktiv am 21.11.2026, 09
          ssh_bruteforce"#]],
    );
    // Nothing in common.
    check(
        &[Spec { hosts: &["web01"], ..spec(a, 0, 0, [1]) }, Spec { hosts: &["web02"], ..spec(b, 0, 1, [2]) }],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce
        TC-2026-000002 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.10 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.10: Neuer Vorfall
          ssh_bruteforce"#]],
    );
    // The same address at another body is another case: a body must not see the neighbour's.
    check(
        &[spec(a, 0, 0, [1]), spec(a, 2, 1, [2])],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce
        TC-2026-000002 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Landratsamt Beispielkreis)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce"#]],
    );
    // Nobody's site is a tenant of its own.
    check(
        &[spec(a, 3, 0, [1]), spec(a, 3, 2 * DAY, [2]), spec(a, 0, 2 * DAY, [3])],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Standort unbekannt)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce ip:203.0.113.9: gleiche Adresse 203.0.113.9 wie im offenen Vorfall desselben Standorts, zuletzt aktiv am 21.11.2026, 09
          ssh_bruteforce
        TC-2026-000002 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce"#]],
    );
    // Fourteen days of event time, and one minute more.
    check(
        &[spec(a, 0, 0, [1]), spec(a, 0, 14 * DAY, [2])],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce ip:203.0.113.9: gleiche Adresse 203.0.113.9 wie im offenen Vorfall derselben Stelle, zuletzt aktiv am 21.11.2026, 09
          ssh_bruteforce"#]],
    );
    check(
        &[spec(a, 0, 0, [1]), spec(a, 0, 14 * DAY + 2, [2])],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce
        TC-2026-000002 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 203.0.113.9 (Stadt Musterhausen)
          ssh_bruteforce ip:203.0.113.9: Neuer Vorfall
          ssh_bruteforce"#]],
    );
    // Loopback ties nothing together; a site as entity only itself.
    check(
        &[Spec { entity: ip("127.0.0.1"), ..spec(a, 0, 0, [1]) }, Spec { entity: Entity::Site, ..spec(a, 0, 1, [2]) }],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce: 127.0.0.1 (Stadt Musterhausen)
          ssh_bruteforce ip:127.0.0.1: Neuer Vorfall
          ssh_bruteforce
        TC-2026-000002 medium intrusion-attempts/brute-force Regel ssh_bruteforce (Stadt Musterhausen)
          ssh_bruteforce site: Neuer Vorfall
          ssh_bruteforce"#]],
    );
    check(
        &[Spec { entity: Entity::Site, ..spec(a, 0, 0, [1]) }, Spec { entity: Entity::Site, ..spec(a, 1, 1, [2]) }],
        expect![[r#"
        TC-2026-000001 medium intrusion-attempts/brute-force Regel ssh_bruteforce (Stadt Musterhausen)
          ssh_bruteforce site: Neuer Vorfall
          ssh_bruteforce
        TC-2026-000002 medium intrusion-attempts/brute-force Regel ssh_bruteforce (Stadt Musterhausen)
          ssh_bruteforce site: Neuer Vorfall
          ssh_bruteforce"#]],
    );
    // Informational alerts call for nobody.
    check(&[Spec { level: Level::Informational, ..spec(a, 0, 0, [1]) }], expect![[""]]);
}

#[test]
fn a_case_that_was_looked_at_keeps_its_name() {
    let world = World::new();
    let id = world.open(&spec("203.0.113.9", 0, 0, [1]));
    world.change(id, 1, Change::Move { to: State::Triaged, at: None }, Role::Analyst, START.plus(Timestamp::HOUR)).unwrap();
    world.file(&Spec { rule: "ssh_bruteforce_success", level: Level::Critical, ..spec("203.0.113.9", 0, 5, [2]) });
    let incident = world.view(id).incident;
    assert_eq!((incident.severity, incident.rsit.to_string().as_str()), (Level::Critical, "intrusion-attempts/brute-force"));
    assert_eq!(replay(&world.view(id).history).unwrap().version, incident.version);
}

#[test]
fn a_closed_case_is_not_joined_and_an_earlier_beginning_corrects_the_first() {
    let world = World::new();
    let id = world.open(&spec("203.0.113.9", 0, 0, [1]));
    world.file(&spec("203.0.113.9", 0, -3 * DAY, [2]));
    let view = world.view(id);
    assert_eq!(view.incident.first_activity, START.plus(-3 * DAY * Timestamp::MINUTE));
    let first: Vec<bool> =
        view.history.iter().filter(|event| event.kind == "incident.first_activity").map(|event| event.corrects.is_some()).collect();
    assert_eq!(first, [true, false], "in the order of event time");
    let now = START.plus(Timestamp::DAY);
    world.change(id, 1, Change::Move { to: State::Triaged, at: None }, Role::Lead, now).unwrap();
    world.change(id, 2, Change::Close { disposition: Disposition::TruePositive, at: None }, Role::Lead, now).unwrap();
    assert!(world.view(id).alerts.iter().all(|alert| alert.state == AlertState::Closed));
    assert!(matches!(world.file(&spec("203.0.113.9", 0, 5, [3])), Filed::Opened { .. }), "it goes on: a case of its own");
}

#[test]
fn the_matrix_of_moves_and_roles() {
    let mut matrix = String::new();
    for from in State::ALL {
        for role in [Role::Analyst, Role::Lead] {
            let to: Vec<&str> = moves(from, role).map(State::as_str).collect();
            matrix.push_str(&format!("{} {}: {}\n", from.as_str(), role.as_str(), to.join(" ")));
        }
        for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::Analyst | Role::Lead)) {
            assert_eq!(moves(from, role).count(), 0, "{role:?}");
        }
    }
    expect![[r#"
        new analyst: triaged
        new lead: triaged
        triaged analyst: in_work contained
        triaged lead: in_work contained closed
        in_work analyst: contained
        in_work lead: contained closed
        contained analyst: in_work recovered
        contained lead: in_work recovered closed
        recovered analyst: in_work
        recovered lead: in_work closed
        closed analyst: 
        closed lead: triaged
    "#]]
    .assert_eq(&matrix);
}

/// Every role tries everything on a fresh case: what the tables allow succeeds, the rest is `Forbidden`.
#[test]
fn every_role_tries_every_change() {
    let mut matrix = String::new();
    for role in Role::ALL {
        let changes = [
            Change::Move { to: State::Triaged, at: None },
            Change::Assign(Some("anna".into())),
            Change::Severity(Level::High),
            Change::Classify(Rsit::UNDETERMINED),
            Change::Label(Tlp::Red),
            Change::Title("T".into()),
            Change::Summary(Some("S".into())),
            Change::Note("N".into()),
        ];
        let world = World::new();
        let id = world.open(&spec("203.0.113.9", 0, 0, [1]));
        let outcome = |change: Change| {
            let version = world.view(id).incident.version;
            match world.change(id, version, change, role, START.plus(Timestamp::HOUR)) {
                Ok(_) => "+",
                Err(CaseError::Forbidden { .. }) => "-",
                Err(other) => panic!("{other}"),
            }
        };
        let row: Vec<&str> = changes.into_iter().map(outcome).collect();
        matrix.push_str(&format!("{} {}\n", row.join(""), role.as_str()));
    }
    expect![[r#"
        ++++++++ analyst
        ++++++++ lead
        -------- municipality
        -------- provider
        -------- steering
        -------- auditor
        -------- admin
    "#]]
    .assert_eq(&matrix);
}

#[test]
fn a_stale_change_is_refused_and_says_what_happened_since() {
    let world = World::new();
    let id = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let now = START.plus(Timestamp::HOUR);
    world.change(id, 1, Change::Severity(Level::High), Role::Analyst, now).unwrap();
    world.change(id, 2, Change::Assign(Some("bernd".into())), Role::Analyst, now).unwrap();
    let before = world.dump();
    let Err(CaseError::Stale { expected, found, since }) = world.change(id, 1, Change::Severity(Level::Low), Role::Lead, now) else {
        panic!("not refused")
    };
    let since: Vec<String> = since.iter().map(|event| format!("{} {} {}", event.kind, event.data["from"], event.data["to"])).collect();
    assert_eq!((expected, found), (1, 3));
    assert_eq!(since, [r#"incident.severity "medium" "high""#, r#"incident.assigned null "bernd""#]);
    assert_eq!(world.dump(), before);
    // A note overwrites nothing, and new records of an alert are no decision.
    world.change(id, 1, Change::Note("angerufen".into()), Role::Analyst, now).unwrap();
    world.file(&spec("203.0.113.9", 0, 1, [2]));
    assert_eq!(world.view(id).incident.version, 3);
}

#[test]
fn impossible_wishes_are_named_and_change_nothing() {
    let world = World::new();
    let id = world.open(&spec("203.0.113.9", 0, 0, [1]));
    let now = START.plus(Timestamp::HOUR);
    let before = world.dump();
    let refused = |change: Change| world.change(id, 1, change, Role::Lead, now).unwrap_err().to_string();
    let messages = [
        refused(Change::Move { to: State::Recovered, at: None }),
        refused(Change::Move { to: State::Closed, at: None }),
        refused(Change::Move { to: State::Triaged, at: Some(now.plus(1)) }),
        refused(Change::Move { to: State::Triaged, at: Some(START.plus(-1)) }),
        refused(Change::Severity(Level::Informational)),
        refused(Change::Title("\u{202E} ".into())),
    ];
    expect![[r#"
        no way from new to recovered
        disposition: "" is not accepted, closing needs one
        time: "2026-11-21T09:00:00.001Z" is not accepted, between the first activity and now
        time: "2026-11-21T07:59:59.999Z" is not accepted, between the first activity and now
        severity: "informational" is not accepted, low is the least
        title: "" is not accepted, it must not be empty"#]]
    .assert_eq(&messages.join("\n"));
    assert_eq!(world.dump(), before);
}

#[test]
fn a_body_never_learns_of_a_foreign_case() {
    let world = World::new();
    let foreign = world.open(&spec("203.0.113.9", 2, 0, [1]));
    let own = world.open(&spec("203.0.113.9", 0, 1, [2]));
    let nobodys = world.open(&spec("203.0.113.9", 3, 2, [3]));
    let now = START.plus(Timestamp::HOUR);
    world.change(own, 1, Change::Note("intern".into()), Role::Analyst, now).unwrap();
    let scope = Scope::Bodies(vec![world.bodies[0]]);
    let ids = |scope: &Scope| world.list(scope.clone()).iter().map(|incident| incident.id).collect::<Vec<_>>();
    assert_eq!(ids(&scope), [own]);
    assert_eq!(ids(&Scope::Bodies(Vec::new())), []);
    world
        .db
        .read(|connection| {
            let numbers: Vec<String> = world.list(Scope::All).into_iter().map(|incident| incident.number).collect();
            for (id, visible) in [(foreign, false), (own, true), (nobodys, false)] {
                assert_eq!(incident_get(connection, &scope, id)?.is_some(), visible);
                let alert = world.view(id).alerts[0].id;
                assert_eq!(!alert_evidence(connection, &scope, alert)?.is_empty(), visible);
                // Asking by a foreign incident's identity gives nothing either.
                let filter = AlertFilter { incident: Some(id), ..AlertFilter::new(scope.clone()) };
                assert_eq!(alert_list(connection, &filter)?.len(), usize::from(visible));
                let recommendation = world.view(id).recommendations[0].id;
                assert!(crate::recommendation::recommendation_get(connection, &scope, recommendation)?.is_none());
            }
            let found: Vec<_> = numbers.iter().map(|number| incident_by_number(connection, &scope, number)).collect::<Result<_, _>>()?;
            assert_eq!(found.into_iter().flatten().collect::<Vec<_>>(), [own]);
            let counts = incident_counts(connection, &scope)?;
            assert_eq!((counts.open, counts.new, counts.open_by_severity[&Level::Medium]), (1, 1, 1));
            assert_eq!(incident_counts(connection, &Scope::All)?.open, 3);
            let alerts = AlertCounts { new: 1, acknowledged: 0, oldest_new: Some(world.view(own).incident.detected_at) };
            assert_eq!(alert_counts(connection, &scope)?, alerts);
            assert_eq!(incident_json(connection, &IncidentFilter::new(scope.clone()))?.len(), 1);
            let view = incident_get(connection, &scope, own)?.unwrap();
            assert!(view.notes.is_empty() && view.recommendations.is_empty(), "notes and drafts are the CERT's own");
            assert!(view.history.iter().all(|event| event.kind != "incident.noted" && event.kind != "recommendation.drafted"));
            Ok::<_, DbError>(())
        })
        .unwrap();
}

#[test]
fn numbers_have_no_gaps_over_the_turn_of_the_year() {
    let world = World::new();
    let eve = Timestamp::parse_rfc3339("2026-12-31T22:30:00Z").unwrap();
    let mut numbers = Vec::new();
    for n in 0..100i64 {
        let mut finding = world.finding(&spec(&format!("203.0.113.{n}"), 3, 0, [n as u64 + 1]));
        finding.detected_at = eve.plus(n * Timestamp::MINUTE);
        let playbooks = world.playbooks.clone();
        // Every seventh is rolled back once, as a crash would: it must leave no gap.
        if n % 7 == 0 {
            let (finding, playbooks) = (finding.clone(), playbooks.clone());
            let failed: Result<(), CaseError> = world.write(move |tx| {
                finding_file(tx, &playbooks, &finding, finding.detected_at)?;
                Err(CaseError::NotFound { noun: "x", id: String::new() })
            });
            assert!(failed.is_err());
        }
        world.write(move |tx| Ok(finding_file(tx, &playbooks, &finding, finding.detected_at)?)).unwrap();
    }
    for incident in world.list(Scope::All).iter().rev() {
        numbers.push(incident.number.clone());
    }
    let expected: Vec<String> = (1..=30).map(|n| format!("TC-2026-{n:06}")).chain((1..=70).map(|n| format!("TC-2027-{n:06}"))).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn lists_page_and_filter() {
    let world = World::new();
    for n in 0..5 {
        world.open(&Spec { level: [Level::Low, Level::High][n % 2], ..spec(&format!("203.0.113.{n}"), 0, n as i64, [n as u64 + 1]) });
    }
    let find = |filter: IncidentFilter| -> Vec<String> {
        let list = world.db.read(|connection| incident_list(connection, &filter)).unwrap();
        list.iter().map(|incident| incident.number[12..].to_owned()).collect()
    };
    let all = IncidentFilter::new(Scope::All);
    let first = IncidentFilter { limit: 2, ..all.clone() };
    assert_eq!(find(first.clone()), ["05", "04"]);
    let before = world.list(Scope::All).get(1).map(|incident| incident.id);
    assert_eq!(find(IncidentFilter { before, ..first }), ["03", "02"]);
    assert_eq!(find(IncidentFilter { severity_min: Some(Level::Medium), ..all.clone() }), ["04", "02"]);
    assert_eq!(find(IncidentFilter { states: vec![State::Closed], ..all.clone() }), [""; 0]);
    let text = |text: &str| find(IncidentFilter { text: Some(text.into()), ..all.clone() });
    assert_eq!(text("MUSTERhausen 203.0.113.3"), ["04"]);
    assert_eq!(text("tc-2026-000002"), ["02"]);
    assert_eq!(text("203.0.113._"), [""; 0], "no wildcards from people");
    assert_eq!(text("' OR 1=1 --"), [""; 0]);
}

#[test]
fn a_report_by_phone_and_a_bodys_own() {
    let world = World::new();
    let now = START.plus(Timestamp::HOUR);
    let new = NewIncident {
        title: "Verdächtige E-Mail\ngeöffnet".into(),
        summary: "Frau M. hat einen Anhang geöffnet.".into(),
        severity: Level::High,
        rsit: "fraud/phishing".parse().unwrap(),
        services: vec![],
        tlp: Tlp::Amber,
        origin: Origin::Phone,
        body: Some(world.bodies[0]),
        site: None,
        first_activity: Some(START),
        aware_at: START.plus(Timestamp::MINUTE),
        observables: [("host.name".to_owned(), vec!["PC-12".to_owned()])].into(),
    };
    let open = |new: NewIncident, scope: Scope, role: Role| {
        world.write(move |tx| incident_open_manual(tx, &scope, &new, "anna", role, now)).map(|id| world.view(id).incident)
    };
    let incident = open(new.clone(), Scope::All, Role::Analyst).unwrap();
    assert_eq!((incident.title.as_str(), incident.origin), ("Verdächtige E-Mail geöffnet", Origin::Phone));
    let own = Scope::Bodies(vec![world.bodies[0]]);
    assert_eq!(open(new.clone(), own.clone(), Role::Municipality).unwrap().origin, Origin::SelfReport);
    let foreign = NewIncident { body: Some(world.bodies[1]), ..new.clone() };
    assert!(matches!(open(foreign, own, Role::Municipality), Err(CaseError::NotFound { .. })));
    assert!(matches!(open(new.clone(), Scope::All, Role::Auditor), Err(CaseError::Forbidden { .. })));
    let future = NewIncident { aware_at: now.plus(1), ..new.clone() };
    assert!(matches!(open(future, Scope::All, Role::Lead), Err(CaseError::Invalid { .. })));
    // What a rule finds at that host later joins the reported case.
    let filed = world.file(&Spec { hosts: &["pc-12"], ..spec("203.0.113.9", 1, 90, [1]) });
    assert!(matches!(filed, Filed::Joined { .. }), "{filed:?}");
    let filed = world.file(&spec("203.0.113.10", 1, 90, [2]));
    assert!(matches!(filed, Filed::Opened { .. }), "a report about a site does not swallow its alerts: {filed:?}");
}

#[test]
fn the_printed_case() {
    let world = World::new();
    let finding = Spec { hosts: &["web01"], ..spec("203.0.113.9", 0, 0, 1..=214) };
    let id = world.open(&finding);
    world.file(&Spec { rule: "ssh_bruteforce_success", level: Level::High, hosts: &["web01"], ..spec("203.0.113.9", 1, 5, [300]) });
    let mut printed = world.db.read(|connection| incident_json(connection, &IncidentFilter::new(Scope::All))).unwrap();
    printed[0].id = IncidentId::default();
    expect![[r#"
        [
          {
            "id": "00000000000000000000000000",
            "number": "TC-2026-000001",
            "title": "Regel ssh_bruteforce_success: 203.0.113.9 (Stadt Musterhausen)",
            "severity": "high",
            "state": "new",
            "rsit": "intrusions/unprivileged-account-compromise",
            "tlp": "AMBER",
            "services": [],
            "body": "Stadt Musterhausen",
            "site": "rathaus-a",
            "bodies": [],
            "rules": [
              "ssh_bruteforce",
              "ssh_bruteforce_success"
            ],
            "source.ip": [
              "203.0.113.9"
            ],
            "destination.ip": [],
            "host.name": [
              "web01"
            ],
            "user.name": [],
            "first_activity": "2026-11-21T08:00:00.000Z",
            "last_activity": "2026-11-21T08:05:01.000Z",
            "detected_at": "2026-11-21T08:03:35.000Z",
            "opened_at": "2026-11-21T08:03:35.000Z",
            "closed_at": null,
            "alerts": 2,
            "events": 215,
            "evidence_query": "source.ip:203.0.113.9 AND (site:rathaus-a OR site:bauhof-a)"
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&printed).unwrap());
    let view = world.view(id);
    expect!["Stadt Musterhausen: Am 21.11.2026 zwischen 09:00 und 09:05 Uhr fielen 215 Ereignisse auf (Regeln „Regel ssh_bruteforce“ und „Regel ssh_bruteforce_success“). Beteiligt: Adresse 203.0.113.9; Host web01."].assert_eq(&view.summary);
    assert_eq!(view.evidence.len(), 101);
}

/// One thing that somebody does in the model test.
fn actions() -> impl Strategy<Value = Vec<(u8, u8, i64)>> {
    proptest::collection::vec((0..14u8, 0..7u8, 0..3i64), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever anybody tries in whatever order: the state only moves along the table, a refusal changes nothing,
    /// and the history alone tells the same case as the tables.
    #[test]
    fn no_sequence_of_actions_breaks_the_case(actions in actions()) {
        let world = World::new();
        let id = world.open(&spec("203.0.113.9", 0, 0, [1]));
        let ways: BTreeSet<(State, State)> = TRANSITIONS.iter().map(|(from, to, _)| (*from, *to)).collect();
        let mut now = START.plus(Timestamp::HOUR);
        let mut seq = 1;
        for (what, who, behind) in actions {
            now = now.plus(Timestamp::MINUTE);
            let role = Role::ALL[usize::from(who)];
            let before = world.view(id);
            let version = before.incident.version - behind.min(1) * i64::from(what % 2);
            let change = match what {
                0..=5 => Change::Move { to: State::ALL[usize::from(what)], at: None },
                6 | 7 => Change::Close { disposition: Disposition::Benign, at: None },
                8 => Change::Assign((behind > 0).then(|| format!("u{who}"))),
                9 => Change::Severity(Level::ALL[usize::from(who) % 5]),
                10 => Change::Label(Tlp::ALL[usize::from(who) % 5]),
                11 => Change::Note("n".into()),
                12 => Change::Classify("fraud".parse().unwrap()),
                _ => {
                    seq += 1;
                    let level = Level::ALL[usize::from(who) % 5];
                    world.file(&Spec { rule: "portscan", level, ..spec("203.0.113.9", 0, seq as i64 * 9, [seq]) });
                    continue;
                }
            };
            let outcome = world.change(id, version, change.clone(), role, now);
            let after = world.view(id);
            let (from, to) = (before.incident.state, after.incident.state);
            match outcome {
                Ok(version) => {
                    prop_assert!(from == to || ways.contains(&(from, to)), "{from:?} -> {to:?}");
                    prop_assert!(matches!(role, Role::Analyst | Role::Lead));
                    prop_assert_eq!(version, after.incident.version);
                    prop_assert_eq!(after.history.len(), before.history.len() + 1);
                }
                Err(_) => {
                    prop_assert_eq!(&after.incident, &before.incident);
                    prop_assert_eq!(after.history.len(), before.history.len());
                }
            }
            let closed = after.incident.state == State::Closed;
            prop_assert_eq!(closed, after.incident.closed_at.is_some());
            prop_assert_eq!(closed, after.incident.disposition.is_some());
            let told = replay(&after.history).unwrap();
            let stored = after.incident;
            let stored = Replayed {
                title: stored.title, state: stored.state, severity: stored.severity, rsit: stored.rsit, services: stored.services, tlp: stored.tlp,
                assignee: stored.assignee, disposition: stored.disposition, merged_into: stored.merged_into, version: stored.version,
            };
            prop_assert_eq!(told, stored);
        }
    }
}
