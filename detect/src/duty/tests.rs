//! The clocks of duties, over a database with one grave case.

use std::sync::Arc;

use ingest::scope::Scope;

use super::*;
use crate::incident::fixture::{START, World, spec};
use crate::incident::{Change, IncidentFilter, State, incident_list};
use crate::rule::Level;

/// A world with one grave case of body A.
struct Case {
    world: World,
    duties: Arc<Duties>,
    incident: IncidentId,
}

const HOUR: i64 = Timestamp::HOUR;

impl Case {
    fn new() -> Self {
        let world = World::new();
        let mut finding = spec("203.0.113.7", 0, 0, [1, 2, 3]);
        finding.rule = "ssh_bruteforce_success";
        finding.level = Level::High;
        world.file(&finding);
        let incident = world.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap()[0].id;
        let case = Self { world, duties: Arc::new(Duties::embedded().unwrap()), incident };
        case.start(0);
        case
    }

    fn start(&self, hours: i64) -> usize {
        let duties = self.duties.clone();
        self.world.db.write(move |tx| clocks_start(tx, &duties, START.plus(hours * HOUR))).unwrap()
    }

    fn clock(&self, duty: &str) -> Clock {
        let all = self.world.db.read(|c| clocks_of(c, &Scope::All, self.incident)).unwrap();
        all.into_iter().find(|clock| clock.duty == duty).unwrap_or_else(|| panic!("no {duty}"))
    }

    fn act(&self, scope: &Scope, role: Role, duty: &str, act: Act, hours: i64) -> Result<Clock, CaseError> {
        let (clock, duties, scope) = (self.clock(duty), self.duties.clone(), scope.clone());
        let now = START.plus(hours * HOUR);
        self.world.db.write(move |tx| clock_act(tx, &duties, &scope, clock.id, clock.version, &act, "anna", role, now))
    }

    fn told(&self) -> Vec<String> {
        let events = self.world.db.read(|c| ingest::history::history_of(c, &self.incident.to_string())).unwrap();
        events.iter().filter(|event| event.kind.starts_with("duty.")).map(|event| event.kind.clone()).collect()
    }
}

fn sent(channel: &str) -> Act {
    Act::Send { at: None, channel: channel.into(), reference: String::new() }
}

#[test]
fn the_clocks_of_a_case_start_once_and_count_from_when_we_knew() {
    let case = Case::new();
    assert_eq!(case.start(1), 0, "the same again starts nothing");
    let detected = case.world.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap()[0].detected_at;
    let all = case.world.db.read(|c| clocks_of(c, &Scope::All, case.incident)).unwrap();
    let table: Vec<_> = all.iter().map(|clock| (clock.duty.as_str(), clock.due_at.since(detected) / HOUR, clock.state)).collect();
    assert_eq!(
        table,
        [("bsig_erstmeldung", 24, Asked), ("vcv_meldung", 24, Asked), ("bsig_meldung", 72, Asked), ("dsgvo_art33", 72, Asked),]
    );
}

#[test]
fn a_harmless_case_starts_none_until_its_severity_rises() {
    let world = World::new();
    world.file(&spec("203.0.113.7", 0, 0, [1, 2, 3]));
    let duties = Arc::new(Duties::embedded().unwrap());
    let book = duties.clone();
    let count = move |world: &World| {
        let duties = duties.clone();
        world.db.write(move |tx| clocks_start(tx, &duties, START)).unwrap()
    };
    assert_eq!(count(&world), 0);
    let incident = world.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap()[0].clone();
    world.change(incident.id, incident.version, Change::Severity(Level::Critical), Role::Analyst, START.plus(HOUR)).unwrap();
    // Attempts alone are no breach of personal data, whatever their severity.
    assert_eq!(count(&world), 3);
    let clocks = world.db.read(|c| clocks_of(c, &Scope::All, incident.id)).unwrap();
    assert!(clocks.iter().all(|clock| clock.started_at == incident.detected_at && book.get(&clock.duty).is_some()));
}

#[test]
fn one_that_waits_for_another_starts_when_that_is_sent() {
    let case = Case::new();
    assert!(!case.world.db.read(|c| clocks_of(c, &Scope::All, case.incident)).unwrap().iter().any(|clock| clock.duty == "bsig_abschluss"));
    case.act(&Scope::All, Role::Analyst, "bsig_meldung", sent("Portal"), 30).unwrap();
    let last = case.clock("bsig_abschluss");
    assert_eq!((last.state, last.started_at), (Running, START.plus(30 * HOUR)));
    assert_eq!(last.due_at, Within::Months(1).due(START.plus(30 * HOUR)));
    // It was a mistake: the clock that waited for it is gone, and starts anew with the true sending.
    case.act(&Scope::All, Role::Analyst, "bsig_meldung", Act::Reopen, 31).unwrap();
    assert!(!case.world.db.read(|c| clocks_of(c, &Scope::All, case.incident)).unwrap().iter().any(|clock| clock.duty == "bsig_abschluss"));
    case.act(&Scope::All, Role::Analyst, "bsig_meldung", sent("Portal"), 40).unwrap();
    assert_eq!(case.clock("bsig_abschluss").started_at, START.plus(40 * HOUR));
}

#[test]
fn steps_are_judged_and_told() {
    let case = Case::new();
    let act = |act, hours| case.act(&Scope::All, Role::Analyst, "dsgvo_art33", act, hours);
    assert!(matches!(act(Act::Confirm { at: None, reference: String::new() }, 1), Err(CaseError::Transition { .. })));
    assert!(matches!(act(Act::Waive { reason: " ".into() }, 1), Err(CaseError::Invalid { what: "reason", .. })));
    act(Act::Apply, 1).unwrap();
    act(Act::Fill([("folgen".to_owned(), "keine".to_owned())].into()), 2).unwrap();
    assert!(matches!(act(sent(""), 2), Err(CaseError::Invalid { what: "channel", .. })));
    let early = Act::Send { at: Some(START.plus(-5 * HOUR)), channel: "Portal".into(), reference: String::new() };
    assert!(matches!(act(early, 3), Err(CaseError::Invalid { what: "time", .. })));
    act(sent("Portal"), 80).unwrap();
    let waive = Act::Waive { reason: "zu spät".into() };
    assert!(matches!(act(waive, 80), Err(CaseError::Transition { from: "sent", to: "waived" })));
    let confirmed = act(Act::Confirm { at: None, reference: "TLfDI-7".into() }, 81).unwrap();
    assert_eq!((confirmed.state, confirmed.reference.as_deref()), (Received, Some("TLfDI-7")));
    assert!(matches!(confirmed.remaining(START.plus(100 * HOUR)), Remaining::Late { .. }));
    assert_eq!(case.told()[4..], ["duty.due", "duty.filled", "duty.sent", "duty.received"]);
    // Who looked at an older version is refused.
    let (duties, clock) = (case.duties.clone(), case.clock("dsgvo_art33"));
    let stale = case.world.db.write(move |tx| clock_act(tx, &duties, &Scope::All, clock.id, 1, &Act::Reopen, "anna", Role::Analyst, START));
    assert!(matches!(stale, Err(CaseError::Stale { expected: 1, found: 5, .. })));
}

#[test]
fn a_body_acts_on_its_own_duties_and_sees_no_others() {
    let case = Case::new();
    let own = Scope::Bodies(vec![case.world.bodies[0]]);
    let foreign = Scope::Bodies(vec![case.world.bodies[1]]);
    let names = |scope: &Scope| -> Vec<String> {
        case.world.db.read(|c| clocks_of(c, scope, case.incident)).unwrap().into_iter().map(|clock| clock.duty).collect()
    };
    assert_eq!(names(&own), ["bsig_erstmeldung", "bsig_meldung", "dsgvo_art33"]);
    assert!(names(&foreign).is_empty());
    assert!(case.world.db.read(|c| clock_list(c, &ClockFilter::open(foreign.clone()))).unwrap().is_empty());
    let not_found = |result: Result<Clock, CaseError>| matches!(result, Err(CaseError::NotFound { .. }));
    assert!(not_found(case.act(&foreign, Role::Municipality, "dsgvo_art33", Act::Apply, 1)));
    assert!(not_found(case.act(&own, Role::Municipality, "vcv_meldung", Act::Apply, 1)));
    case.act(&own, Role::Municipality, "dsgvo_art33", sent("Formular"), 1).unwrap();
    for role in Role::ALL {
        let scope = if matches!(role, Role::Municipality | Role::Provider) { &own } else { &Scope::All };
        let may = matches!(role, Role::Analyst | Role::Lead | Role::Municipality | Role::Provider);
        let result = case.act(scope, role, "bsig_meldung", Act::Fill([("x".to_owned(), "y".to_owned())].into()), 1);
        assert_eq!(result.is_ok(), may, "{role:?}: {result:?}");
    }
}

#[test]
fn how_much_time_is_left() {
    let case = Case::new();
    let clock = case.clock("dsgvo_art33");
    let at = |hours: i64| clock.remaining(clock.started_at.plus(hours * HOUR));
    assert_eq!(at(10), Remaining::Left { millis: 62 * HOUR, short: false });
    assert_eq!(at(60), Remaining::Left { millis: 12 * HOUR, short: true });
    assert_eq!(at(73), Remaining::Overdue { millis: HOUR });
    assert_eq!(Clock { state: Waived, ..clock.clone() }.remaining(START), Remaining::None);
}

#[test]
fn a_closed_case_starts_no_new_clock() {
    let world = World::new();
    let mut finding = spec("203.0.113.7", 2, 0, [1]);
    finding.level = Level::High;
    world.file(&finding);
    let incident = world.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap()[0].clone();
    for (version, change) in [
        (1, Change::Move { to: State::Triaged, at: None }),
        (2, Change::Close { disposition: crate::alert::Disposition::FalsePositive, at: None }),
    ] {
        world.change(incident.id, version, change, Role::Lead, START.plus(HOUR)).unwrap();
    }
    let duties = Duties::embedded().unwrap();
    assert_eq!(world.db.write(move |tx| clocks_start(tx, &duties, START.plus(HOUR))).unwrap(), 0);
}
