//! Deduplication as a table, and the promise that the same finding again changes nothing.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::incident::Filed;
use crate::incident::fixture::{START, Spec, World, spec};

const HOUR: i64 = 60;

/// Files the findings one after the other and prints the alerts, the earliest window first.
#[expect(clippy::needless_pass_by_value, reason = "the usual shape of an expect table")]
fn check(findings: &[Spec], expected: Expect) {
    let world = World::new();
    for finding in findings {
        world.file(finding);
    }
    expected.assert_eq(&render(&world));
}

fn render(world: &World) -> String {
    let mut alerts = world.db.read(|connection| alert_list(connection, &AlertFilter::new(Scope::All))).unwrap();
    alerts.sort_by_key(|alert| (alert.anchor, alert.seq_last));
    let hours = |at: Timestamp| at.since(crate::incident::fixture::START) as f64 / Timestamp::HOUR as f64;
    let line = |alert: &Alert| {
        let evidence = world.db.read(|connection| alert_evidence(connection, &Scope::All, alert.id)).unwrap().len();
        let (first, last) = (hours(alert.first), hours(alert.last));
        format!(
            "{} {} {first:.1}h-{last:.1}h n={} evidence={evidence} {}",
            alert.rule_name,
            alert.entity,
            alert.records,
            alert.state.as_str()
        )
    };
    alerts.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn findings_of_a_day_about_one_entity_at_one_site_are_one_alert() {
    let (a, b) = ("203.0.113.9", "203.0.113.10");
    // A window that slides: the second finding holds four known records and one new one.
    check(&[spec(a, 0, 0, 1..=5), spec(a, 0, 1, 2..=6)], expect!["ssh_bruteforce ip:203.0.113.9 0.0h-0.0h n=6 evidence=6 new"]);
    // New records only: both counts add up.
    check(&[spec(a, 0, 0, 1..=5), spec(a, 0, 30, 6..=8)], expect!["ssh_bruteforce ip:203.0.113.9 0.0h-0.5h n=8 evidence=8 new"]);
    // The same again.
    check(&[spec(a, 0, 0, 1..=5), spec(a, 0, 0, 1..=5)], expect!["ssh_bruteforce ip:203.0.113.9 0.0h-0.0h n=5 evidence=5 new"]);
    // Another entity, another site, another rule, another day.
    check(
        &[spec(a, 0, 0, [1]), spec(b, 0, 1, [2]), spec(a, 1, 2, [3])],
        expect![[r#"
        ssh_bruteforce ip:203.0.113.9 0.0h-0.0h n=1 evidence=1 new
        ssh_bruteforce ip:203.0.113.10 0.0h-0.0h n=1 evidence=1 new
        ssh_bruteforce ip:203.0.113.9 0.0h-0.0h n=1 evidence=1 new"#]],
    );
    check(
        &[spec(a, 0, 0, [1]), Spec { rule: "portscan", ..spec(a, 0, 1, [2]) }],
        expect![[r#"
        ssh_bruteforce ip:203.0.113.9 0.0h-0.0h n=1 evidence=1 new
        portscan ip:203.0.113.9 0.0h-0.0h n=1 evidence=1 new"#]],
    );
    check(
        &[spec(a, 0, 0, [1]), spec(a, 0, 24 * HOUR - 1, [2]), spec(a, 0, 24 * HOUR, [3])],
        expect![[r#"
        ssh_bruteforce ip:203.0.113.9 0.0h-24.0h n=2 evidence=2 new
        ssh_bruteforce ip:203.0.113.9 24.0h-24.0h n=1 evidence=1 new"#]],
    );
    // Late, and a file imported backwards: no alert for each line.
    check(&[spec(a, 0, 0, [1]), spec(a, 0, -5, [2])], expect!["ssh_bruteforce ip:203.0.113.9 -0.1h-0.0h n=2 evidence=2 new"]);
    check(
        &[spec(a, 0, 30 * HOUR, [1]), spec(a, 0, 20 * HOUR, [2]), spec(a, 0, 5 * HOUR, [3]), spec(a, 0, HOUR, [4])],
        expect![[r#"
        ssh_bruteforce ip:203.0.113.9 1.0h-5.0h n=2 evidence=2 new
        ssh_bruteforce ip:203.0.113.9 20.0h-30.0h n=2 evidence=2 new"#]],
    );
    // A storm: the evidence stays bounded, the count goes on.
    check(
        &[spec(a, 0, 0, 1..=250), spec(a, 0, 1, 251..=400), spec(a, 0, 2, 401..=402), spec(a, 0, 1, 251..=400)],
        expect!["ssh_bruteforce ip:203.0.113.9 0.0h-0.1h n=402 evidence=100 new"],
    );
}

#[test]
fn a_verdict_decides_whether_more_of_it_comes_up_again() {
    for (disposition, alerts) in [(Disposition::TruePositive, 2), (Disposition::Benign, 1), (Disposition::FalsePositive, 1)] {
        let world = World::new();
        let finding = spec("203.0.113.9", 0, 0, 1..=5);
        let Filed::Opened { alert, .. } = world.file(&finding) else { panic!("not opened") };
        world.write(move |tx| alert_close(tx, alert, disposition, "anna", Role::Analyst, finding_time())).unwrap();
        assert!(matches!(world.file(&finding), Filed::Known { .. }), "{disposition:?}: a replay is no new activity");
        world.file(&spec("203.0.113.9", 0, 9, 6..=8));
        world.file(&spec("203.0.113.9", 0, 10, 9..=9));
        assert_eq!(render(&world).lines().count(), alerts, "{disposition:?}:\n{}", render(&world));
    }
}

fn finding_time() -> Timestamp {
    crate::incident::fixture::START.plus(Timestamp::HOUR)
}

#[test]
fn an_alert_moves_forward_only_and_only_by_analysts() {
    let world = World::new();
    let Filed::Opened { alert, .. } = world.file(&spec("203.0.113.9", 0, 0, 1..=5)) else { panic!("not opened") };
    let ack = |role| world.write(move |tx| alert_ack(tx, alert, "anna", role, finding_time()));
    let close = |role| world.write(move |tx| alert_close(tx, alert, Disposition::Benign, "anna", role, finding_time().plus(1)));
    assert!(matches!(ack(Role::Municipality), Err(CaseError::Forbidden { .. })));
    ack(Role::Analyst).unwrap();
    assert!(matches!(ack(Role::Analyst), Err(CaseError::Transition { .. })));
    close(Role::Analyst).unwrap();
    assert!(matches!(close(Role::Lead), Err(CaseError::Transition { .. })));
    let kinds = world.db.read(|connection| ingest::history::history_of(connection, &alert.to_string())).unwrap();
    assert_eq!(kinds.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(), ["alert.created", "alert.acked", "alert.closed"]);
}

#[test]
fn hostile_observables_stay_within_their_bounds() {
    let mut kept = Observables::new();
    let many: Vec<String> = (0..200).map(|n| format!("{n}{}", "x".repeat(1_000))).collect();
    let names: Vec<String> = (0..100).map(|n| format!("f{n}")).collect();
    observables_merge(&mut kept, names.iter().map(|name| (name.as_str(), many.as_slice())));
    assert_eq!(kept.len(), FIELDS_MAX);
    assert!(kept.values().all(|values| values.len() == VALUES_MAX && values.iter().all(|value| value.len() <= VALUE_CHARS_MAX)));
}

/// Findings as an engine gives them: in journal order, overlapping backwards, at any event time.
fn findings() -> impl Strategy<Value = Vec<Spec>> {
    let one = (0..2usize, 0..4usize, 0..4_000i64, 1..6u64, 0..4u64, any::<bool>());
    proptest::collection::vec(one, 1..25).prop_map(|all| {
        let mut seq: u64 = 0;
        let make = |(entity, site, minute, fresh, overlap, portscan): (usize, usize, i64, u64, u64, bool)| {
            let from = (seq + 1).saturating_sub(overlap).max(1);
            seq += fresh;
            let rule = if portscan { "portscan" } else { "ssh_bruteforce" };
            Spec { rule, ..spec(["203.0.113.9", "203.0.113.10"][entity], site, minute, from..=seq) }
        };
        all.into_iter().map(make).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn replaying_findings_changes_nothing(findings in findings(), from in 0..25usize) {
        let world = World::new();
        for finding in &findings {
            world.file(finding);
        }
        let before = world.dump();
        for finding in findings.iter().skip(from) {
            let filed = world.file(finding);
            prop_assert!(matches!(filed, Filed::Known { .. }), "{filed:?}");
        }
        prop_assert_eq!(before, world.dump());
    }
}

#[test]
fn a_record_that_two_alerts_hold_is_known_to_the_earlier() {
    let world = World::new();
    let findings = [spec("203.0.113.10", 1, 1_840, [1]), spec("203.0.113.10", 1, 2_338, [2]), spec("203.0.113.10", 1, 3_280, [2, 3])];
    for finding in &findings {
        world.file(finding);
    }
    let before = world.dump();
    for finding in &findings {
        assert!(matches!(world.file(finding), Filed::Known { .. }));
    }
    assert_eq!(before, world.dump());
}

#[test]
fn a_rules_quality_counts_its_verdicts_since_a_moment() {
    let world = World::new();
    let verdicts = [Some(Disposition::TruePositive), Some(Disposition::FalsePositive), Some(Disposition::Benign), None];
    for (n, verdict) in (1u64..).zip(verdicts) {
        let Filed::Opened { alert, .. } = world.file(&spec(&format!("203.0.113.{n}"), 0, 0, [n])) else { panic!("not opened") };
        if let Some(verdict) = verdict {
            world.write(move |tx| alert_close(tx, alert, verdict, "anna", Role::Analyst, finding_time())).unwrap();
        }
    }
    let quality = |scope: &Scope, now: Timestamp| world.db.read(|c| rule_records(c, scope, 1, now)).unwrap();
    let (soon, late) = (START.plus(Timestamp::DAY), START.plus(8 * Timestamp::DAY));
    let expected = RuleQuality { alerts: 4, true_positive: 1, benign: 1, false_positive: 1 };
    assert_eq!(quality(&Scope::All, soon)["ssh_bruteforce"].quality, expected);
    assert_eq!(expected.judged(), 3);
    assert!(quality(&Scope::All, late).is_empty() && quality(&Scope::Bodies(vec![]), soon).is_empty());
}

#[test]
fn labels_are_given_to_those_who_may_see_them() {
    let world = World::new();
    let Filed::Opened { alert, incident } = world.file(&spec("203.0.113.9", 0, 0, [1])) else { panic!("not opened") };
    let labels = |scope: &Scope| world.db.read(|c| alert_labels(c, scope, &[alert])).unwrap();
    assert_eq!(labels(&Scope::All)[&alert].incident, Some(incident));
    assert!(labels(&Scope::Bodies(vec![])).is_empty());
    let cases = |scope: &Scope| world.db.read(|c| crate::incident::incident_labels(c, scope, &[incident])).unwrap();
    assert!(cases(&Scope::All)[&incident].number.starts_with("TC-") && cases(&Scope::Bodies(vec![])).is_empty());
}

/// Of single records the first few are explained, once each; of what is counted the newest.
#[test]
fn why_an_alert_came_is_kept_beside_its_evidence() {
    use crate::explanation::{Because, Counted, Explanation, RuleVersion};

    let record = |seq: u64| Because::Record { seq: Seq(seq), parts: vec![] };
    let counted = |reached: &str| {
        Because::Count(Counted {
            kind: "event_count".into(),
            fields: vec![],
            reached: Some(reached.into()),
            limits: vec![],
            timespan_millis: 1,
            group: vec![],
            values: vec![],
            rules: vec![],
            first: START,
            last: START,
            firsts: vec![],
        })
    };
    let kept = |findings: Vec<(u64, i64, Because)>| {
        let world = World::new();
        let mut alert = None;
        for (seq, minute, because) in findings {
            let mut finding = world.finding(&spec("203.0.113.9", 0, minute, [seq]));
            finding.explanation = Some(Box::new(Explanation { version: RuleVersion::default(), because }));
            let applied = world.db.write(move |tx| alert_apply(tx, &finding, START)).unwrap();
            let (Applied::Opened(one) | Applied::Extended(one) | Applied::Known(one)) = applied;
            alert = Some(one.id);
        }
        let all = world.db.read(|c| alert_explanations(c, &Scope::All, &[alert.unwrap()])).unwrap();
        let shown = |one: &Explanation| match &one.because {
            Because::Record { seq, .. } => seq.0.to_string(),
            Because::Count(counted) => counted.reached.clone().unwrap(),
        };
        all[&alert.unwrap()].iter().map(shown).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kept((1..=9).map(|seq| (seq, 0, record(seq))).collect()), "1 2 3");
    assert_eq!(kept(vec![(1, 0, record(1)), (1, 0, record(1)), (2, 0, record(2))]), "1 2");
    assert_eq!(kept(vec![(1, 0, counted("5")), (2, 5, counted("8"))]), "8");
    assert_eq!(kept(vec![(2, 5, counted("8")), (1, 0, counted("5"))]), "8", "what comes late takes nothing back");
}
