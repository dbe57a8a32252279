//! Hand-computed cases of each KPI: ends, censoring, corrections, verdicts that change, what is not due yet.

use expect_test::{Expect, expect};
use ingest::db::Db;
use ingest::history::{self, HistoryId, NewHistory, history_add};
use serde_json::{Value, json};

use super::*;

const HOUR: i64 = Timestamp::HOUR;

fn body(n: u128) -> BodyId {
    BodyId(ingest::id::Ulid(n))
}

struct Bench {
    _dir: tempfile::TempDir,
    db: Db,
    start: Timestamp,
    period: Period,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[history::MIGRATIONS]).unwrap();
        let period = period_parse("2026-H1").unwrap();
        Self { _dir: dir, db, start: period.from.plus(24 * HOUR), period }
    }

    /// Records an event `hours` after the bench's start, known at once.
    fn add(&self, kind: &'static str, subject: &str, hours: f64, data: Value) -> HistoryId {
        self.add_known(kind, subject, hours, hours, data, None)
    }

    fn add_known(&self, kind: &'static str, subject: &str, hours: f64, known: f64, data: Value, corrects: Option<HistoryId>) -> HistoryId {
        #[expect(clippy::cast_possible_truncation, reason = "a test's hours")]
        let at = |hours: f64| self.start.plus((hours * HOUR as f64) as i64);
        let body = data.get("body").and_then(Value::as_u64).map(|n| body(n.into()));
        let new = NewHistory { event_time: at(hours), kind, subject: subject.into(), body, actor: "t".into(), data, corrects };
        let recorded = at(known);
        self.db.write(move |tx| history_add(tx, recorded, &new)).unwrap()
    }

    fn value(&self, number: u8, as_of_hours: i64) -> KpiValue {
        let all = self.db.read(|c| kpi_list(c, &self.period, self.start.plus(as_of_hours * HOUR), &Scope::All)).unwrap();
        all.into_iter().find(|value| value.def.number == number).unwrap()
    }

    fn check(&self, number: u8, as_of_hours: i64, expected: Expect) {
        let value = self.value(number, as_of_hours);
        let mut text = format!("{:?} n={} {:?}\n", value.figure.value(), value.figure.n(), value.light);
        for row in &value.rows {
            text += &format!("{} {:?} ended={} rated={} {}\n", row.subject, row.value, row.to.is_some(), row.rated, row.note);
        }
        expected.assert_eq(&text);
    }
}

#[test]
fn time_to_recommendation_is_the_median_of_those_that_got_one() {
    let bench = Bench::new();
    for (name, severity, sent) in [("a", "high", Some(1.0)), ("b", "critical", Some(3.0)), ("c", "low", None), ("d", "high", Some(8.0))] {
        bench.add("incident.opened", name, 0.0, json!({ "severity": severity }));
        if let Some(hours) = sent {
            bench.add("recommendation.sent", name, hours, json!({ "recommendation": name }));
            bench.add("recommendation.sent", name, hours + 50.0, json!({ "recommendation": "second" }));
        }
    }
    bench.add("incident.severity", "d", 0.5, json!({ "from": "high", "to": "critical" }));
    // A case of the state never gets one: its way is the warning.
    bench.add("incident.opened", "e", 0.0, json!({ "severity": "high", "site": ingest::body::SITE_STATE }));
    bench.check(
        3,
        100,
        expect![[r#"
            Some(3.0) n=3 Unrated
            a Some(1.0) ended=true rated=false 
            b Some(3.0) ended=true rated=true 
            c None ended=false rated=false noch ohne Empfehlung
            d Some(8.0) ended=true rated=true 
        "#]],
    );
}

#[test]
fn containment_is_censored_at_the_last_look() {
    let bench = Bench::new();
    for name in ["a", "b", "c", "d", "e"] {
        bench.add("incident.opened", name, 0.0, json!({}));
    }
    bench.add("incident.contained", "a", 5.0, json!({}));
    bench.add("incident.contained", "b", 10.0, json!({}));
    bench.add("incident.closed", "d", 7.0, json!({ "disposition": "false_positive" }));
    bench.add("incident.closed", "e", 8.0, json!({ "disposition": "true_positive" }));
    bench.check(
        4,
        48,
        expect![[r#"
            Some(10.0) n=4 Unrated
            a Some(5.0) ended=true rated=true 
            b Some(10.0) ended=true rated=true 
            c Some(48.0) ended=false rated=true noch nicht eingedämmt
            e Some(8.0) ended=false rated=true noch nicht eingedämmt
        "#]],
    );
}

#[test]
fn as_known_at_a_moment_a_correction_does_not_count_before_it_is_known() {
    let bench = Bench::new();
    bench.add("incident.opened", "a", 0.0, json!({}));
    let first = bench.add("incident.contained", "a", 5.0, json!({}));
    bench.add_known("incident.contained", "a", 9.0, 200.0, json!({}), Some(first));
    assert_eq!(bench.value(4, 100).figure.value(), Some(5.0));
    assert_eq!(bench.value(4, 200).figure.value(), Some(9.0));
    assert_eq!(bench.value(4, 100).figure.value(), Some(5.0));
}

#[test]
fn only_the_last_verdict_counts_and_benign_is_no_false_alarm() {
    let bench = Bench::new();
    for (name, verdicts) in
        [("a", vec!["false_positive"]), ("b", vec!["benign"]), ("c", vec!["false_positive", "true_positive"]), ("d", vec![])]
    {
        bench.add("alert.created", name, 0.0, json!({}));
        for (hours, verdict) in (1u8..).zip(verdicts) {
            bench.add("alert.closed", name, f64::from(hours), json!({ "disposition": verdict }));
        }
    }
    bench.check(
        9,
        48,
        expect![[r#"
            Some(33.33333333333333) n=3 Unrated
            a Some(1.0) ended=true rated=true Fehlalarm
            b Some(0.0) ended=true rated=true gutartig
            c Some(0.0) ended=true rated=true zutreffend
        "#]],
    );
}

#[test]
fn no_reply_counts_as_open_once_it_is_due() {
    let bench = Bench::new();
    let due = |hours: i64| bench.start.plus(hours * HOUR).0;
    // One after the other: what is recorded in one millisecond has no order while other tests record as well.
    for (sent, name, due_hours) in [(0.0, "in-time", 10), (0.1, "late", 10), (0.2, "silent", 10), (0.3, "not-due", 100)] {
        bench.add("recommendation.sent", name, sent, json!({ "recommendation": name, "due_at": due(due_hours) }));
    }
    bench.add("recommendation.done", "in-time", 10.0, json!({ "recommendation": "in-time" }));
    bench.add("recommendation.done", "late", 10.1, json!({ "recommendation": "late" }));
    bench.check(
        14,
        48,
        expect![[r#"
            Some(33.33333333333333) n=3 Unrated
            in-time Some(1.0) ended=true rated=true fristgerecht
            late Some(0.0) ended=true rated=true verspätet
            silent Some(0.0) ended=false rated=true ohne Bestätigung
        "#]],
    );
}

#[test]
fn an_acknowledgement_counts_within_a_day_and_rates_only_red() {
    let bench = Bench::new();
    for (name, level) in [("red", ThreatLevel::Rot), ("grey", ThreatLevel::Grau)] {
        bench.add("advisory.published", name, 0.0, json!({ "threat_level": level }));
        for n in 1..=12 {
            bench.add("advisory.sent", name, 0.0, json!({ "body": n }));
        }
    }
    for n in 1..=11 {
        bench.add("advisory.ack", "red", 23.0, json!({ "body": n }));
        bench.add("advisory.not_affected", "grey", 25.0, json!({ "body": n }));
    }
    bench.add("advisory.sent", "fresh", 40.0, json!({ "body": 1 }));
    let value = bench.value(21, 48);
    assert_eq!((value.figure.n(), value.rows.iter().filter(|row| row.value == Some(1.0)).count()), (24, 11));
    // 11 of 12 red ones are 91.7 %.
    assert_eq!(value.light, Light::Good);
    assert_eq!(bench.value(21, 23).rows.len(), 0);
}

#[test]
fn lights_follow_target_direction_and_distance() {
    let share = |hits, of| Figure::Share { proportion: wilson(hits, of) };
    let [_, _, lower, higher, _] = &KPIS;
    for (def, figure, expected) in [
        (lower, share(3, 10), Light::Good),
        (lower, share(37, 100), Light::Endangered),
        (lower, share(38, 100), Light::Missed),
        (lower, share(1, 9), Light::Unrated),
        (higher, share(8, 10), Light::Good),
        (higher, share(6, 10), Light::Endangered),
        (higher, share(59, 100), Light::Missed),
    ] {
        assert_eq!(light(def, &figure), expected, "{} {:?}", def.key, figure.value());
    }
}

#[test]
fn a_body_sees_only_its_own_cases() {
    let bench = Bench::new();
    bench.add("incident.opened", "a", 0.0, json!({ "body": 1 }));
    bench.add("incident.opened", "b", 0.0, json!({ "body": 2 }));
    let scope = Scope::Bodies(vec![body(1)]);
    let all = bench.db.read(|c| kpi_list(c, &bench.period, bench.start.plus(HOUR), &scope)).unwrap();
    assert!(all.iter().flat_map(|value| &value.rows).all(|row| row.subject == "a"));
}

#[test]
fn a_body_learns_which_of_its_answers_were_to_red_warnings() {
    let bench = Bench::new();
    bench.add("advisory.published", "red", 0.0, json!({ "threat_level": ThreatLevel::Rot }));
    for n in 1..=2 {
        bench.add("advisory.sent", "red", 0.0, json!({ "body": n }));
    }
    let scope = Scope::Bodies(vec![body(1)]);
    let all = bench.db.read(|c| kpi_list(c, &bench.period, bench.start.plus(48 * HOUR), &scope)).unwrap();
    let rows: Vec<_> = all.iter().flat_map(|value| &value.rows).map(|row| (row.body, row.rated)).collect();
    assert_eq!(rows, [(Some(body(1)), true)]);
}

#[test]
fn several_periods_from_one_reading_are_the_same_figures() {
    let bench = Bench::new();
    for (name, hours) in [("a", 0.0), ("b", 24.0 * 100.0)] {
        bench.add("incident.opened", name, hours, json!({}));
        bench.add("incident.contained", name, hours + 5.0, json!({}));
    }
    let as_of = bench.start.plus(24 * 120 * HOUR);
    let periods = ["2026-Q1", "2026-Q2", "2026-H1"].map(|key| period_parse(key).unwrap());
    let lists = bench.db.read(|c| kpi_lists(c, &periods, as_of, &Scope::All)).unwrap();
    let counts: Vec<usize> = lists.iter().map(|all| all[1].figure.n()).collect();
    assert_eq!(counts, [1, 1, 2]);
    for (period, together) in periods.iter().zip(&lists) {
        let alone = bench.db.read(|c| kpi_list(c, period, as_of, &Scope::All)).unwrap();
        assert_eq!(
            alone.iter().map(|value| &value.figure).collect::<Vec<_>>(),
            together.iter().map(|value| &value.figure).collect::<Vec<_>>()
        );
    }
}

#[test]
fn late_and_corrected_entries_are_counted() {
    let bench = Bench::new();
    bench.add("incident.opened", "a", 0.0, json!({}));
    let first = bench.add("incident.contained", "a", 5.0, json!({}));
    bench.add_known("incident.contained", "a", 9.0, 200.0, json!({}), Some(first));
    bench.add("incident.noted", "a", 9.0, json!({}));
    assert_eq!(bench.value(4, 100).quality, Quality { events: 2, late: 0, corrected: 0 });
    assert_eq!(bench.value(4, 300).quality, Quality { events: 2, late: 1, corrected: 1 });
}

/// Merged cases are one: from the earliest opening, in that one's period, with the first recommendation of either.
#[test]
fn merged_cases_count_once_and_from_the_earliest() {
    let bench = Bench::new();
    let at = |hours: i64| bench.start.plus(hours * HOUR).0;
    bench.add("incident.opened", "whole", 10.0, json!({ "severity": "high" }));
    bench.add("incident.opened", "part", 4.0, json!({ "severity": "critical" }));
    bench.add("recommendation.sent", "part", 6.0, json!({ "recommendation": "r" }));
    bench.add("incident.contained", "part", 7.0, json!({}));
    bench.add("incident.took_in", "whole", 12.0, json!({ "opened_at": at(4) }));
    bench.add("incident.merged", "part", 12.0, json!({ "into": "whole", "to": "closed", "opened_at": at(4) }));
    bench.add("incident.contained", "whole", 20.0, json!({}));
    bench.check(
        3,
        100,
        expect![[r#"
        Some(2.0) n=1 Unrated
        whole Some(2.0) ended=true rated=true 
    "#]],
    );
    bench.check(
        4,
        100,
        expect![[r#"
        Some(16.0) n=1 Unrated
        whole Some(16.0) ended=true rated=true 
    "#]],
    );
    // Before anybody knew that they are one they were two.
    assert_eq!(bench.value(3, 11).rows.len(), 2);
    // Opened before the period, as the merge tells: it counted there.
    let bench = Bench::new();
    bench.add("incident.opened", "late", 1.0, json!({ "severity": "high" }));
    bench.add("incident.merged", "late", 2.0, json!({ "into": "early", "to": "closed", "opened_at": bench.period.from.0 - HOUR }));
    assert_eq!(bench.value(3, 100).rows.len(), 0);
    assert_eq!(bench.value(4, 100).rows.len(), 0);
}
