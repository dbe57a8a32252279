//! The demo's two years of invented history: incidents from first sign to closed, alerts with verdicts, recommendations
//! with answers. It is written through the same store functions that the pages use, with past moments, so that every
//! figure and page is true to its form. The events behind old cases are past their keep time, as they would be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use detect::alert::{AlertFilter, Disposition, alert_ack, alert_close, alert_list};
use detect::finding::{Entity, Finding};
use detect::incident::{CaseError, Change, Filed, IncidentId, State, finding_file, incident_change, incident_get};
use detect::playbook::Playbooks;
use detect::recommendation::{Answer, Via, Word, recommendation_answer, recommendation_send};
use detect::role::Role;
use detect::rule::{Level, Rule};
use ingest::db::{Db, DbError};
use ingest::rusqlite::Transaction;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::bodies::DemoBody;

/// DOMAIN.md: 10 to 25 incidents a month.
const INCIDENTS: i64 = 430;
const SPAN: i64 = 730 * Timestamp::DAY;
/// Cases of the last days are left as they would be found on a Monday: open, in all states.
const OPEN_DAYS: i64 = 4;

/// Who works the cases.
#[derive(Clone, Debug)]
pub(super) struct Staff {
    /// User ids of the analysts.
    pub(super) analysts: Vec<String>,
    pub(super) lead: String,
}

/// How often which rule speaks, out of a hundred, and how often it is right.
const MIX: [(&str, u32, f64); 5] = [
    ("ssh_bruteforce", 42, 0.82),
    ("portscan", 30, 0.70),
    ("blocked_outbound_indicator", 13, 0.85),
    ("new_admin_account", 10, 0.35),
    ("ssh_bruteforce_success", 5, 0.9),
];

/// Writes the history up to `now`.
pub(super) fn incidents(
    db: &Db,
    rules: &[Arc<Rule>],
    playbooks: &Arc<Playbooks>,
    bodies: &[DemoBody],
    staff: &Staff,
    seed: u64,
    now: Timestamp,
) -> Result<(), CaseError> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut moments: Vec<Timestamp> = (0..INCIDENTS).map(|_| moment(&mut rng, now)).collect();
    moments.sort_unstable();
    // A hundred cases a transaction: short enough to leave the writer free, long enough to save fsyncs.
    for part in moments.chunks(100) {
        let (rules, playbooks, bodies, staff, part) = (rules.to_vec(), playbooks.clone(), bodies.to_vec(), staff.clone(), part.to_vec());
        let mut rng = StdRng::seed_from_u64(rng.random());
        db.write(move |tx| {
            for at in part {
                let Some(body) = bodies.get(rng.random_range(0..bodies.len())) else { continue };
                case(tx, &mut rng, &rules, &playbooks, body, &staff, (at, now))?;
            }
            Ok::<_, CaseError>(())
        })?;
    }
    Ok(())
}

/// A moment of the two years, three of four within office hours: that is when somebody looks.
fn moment(rng: &mut StdRng, now: Timestamp) -> Timestamp {
    let at = now.plus(-rng.random_range(Timestamp::HOUR..SPAN));
    if rng.random_bool(0.25) {
        return at;
    }
    let day = at.0 - at.0.rem_euclid(Timestamp::DAY);
    Timestamp((day + rng.random_range(7 * Timestamp::HOUR..16 * Timestamp::HOUR)).min(now.0 - Timestamp::HOUR))
}

fn case(
    tx: &Transaction<'_>,
    rng: &mut StdRng,
    rules: &[Arc<Rule>],
    playbooks: &Playbooks,
    body: &DemoBody,
    staff: &Staff,
    (at, now): (Timestamp, Timestamp),
) -> Result<(), CaseError> {
    let mut place = rng.random_range(0..100);
    let picked = MIX.iter().find(|(_, weight, _)| {
        let here = place < *weight;
        place = place.saturating_sub(*weight);
        here
    });
    let Some((name, _, right)) = picked else { return Ok(()) };
    let Some(rule) = rules.iter().find(|rule| rule.name == *name) else { return Ok(()) };
    let true_positive = rng.random_bool(*right);
    let finding = finding(rng, rule, body, at);
    let Filed::Opened { alert, incident } = finding_file(tx, playbooks, &finding, at)? else { return Ok(()) };
    let analyst = staff.analysts.get(rng.random_range(0..staff.analysts.len().max(1))).cloned().unwrap_or_default();
    let mut desk = Desk { tx, incident, staff, analyst, at, now };

    if !desk.later(minutes(rng, 14.0)) {
        return Ok(());
    }
    alert_ack(tx, alert, &desk.analyst, Role::Analyst, desk.at)?;
    desk.change(&Change::Assign(Some(desk.analyst.clone())), Role::Analyst)?;
    desk.change(&Change::Move { to: State::Triaged, at: None }, Role::Analyst)?;
    if !true_positive {
        if !desk.later(minutes(rng, 90.0)) {
            return Ok(());
        }
        let disposition = if rng.random_bool(0.6) { Disposition::FalsePositive } else { Disposition::Benign };
        return desk.change(&Change::Close { disposition, at: None }, Role::Lead);
    }
    let pace = if rule.level >= Level::High { 0.6 } else { 1.0 };
    if !desk.later(minutes(rng, 105.0 * pace)) {
        return Ok(());
    }
    desk.change(&Change::Move { to: State::InWork, at: None }, Role::Analyst)?;
    let drafts = incident_get(tx, &Scope::All, incident)?.map(|view| view.recommendations).unwrap_or_default();
    let Some(draft) = drafts.first() else { return Ok(()) };
    recommendation_send(tx, draft.id, draft.version, &desk.analyst, Role::Analyst, desk.at)?;
    let answers = rng.random_bool(0.86);
    let isb = body.contacts.first().map(|contact| contact.email.clone()).unwrap_or_default();
    for (share, median, word) in [(1.0, 70.0, Word::Seen), (0.95, 60.0, Word::InWork), (0.93, 100.0, Word::DONE)] {
        if !answers || !rng.random_bool(share) {
            break;
        }
        if !desk.later(minutes(rng, median * pace)) {
            return Ok(());
        }
        let scope = Scope::Bodies(vec![body.body.id]);
        recommendation_answer(tx, &scope, draft.id, &Answer { step: None, word, via: Via::Portal }, &isb, Role::Municipality, desk.at)?;
    }
    if !desk.later(minutes(rng, 260.0 * pace)) {
        return Ok(());
    }
    desk.change(&Change::Move { to: State::Contained, at: None }, Role::Analyst)?;
    if !desk.later(minutes(rng, 1_900.0)) {
        return Ok(());
    }
    desk.change(&Change::Move { to: State::Recovered, at: None }, Role::Analyst)?;
    if !desk.later(minutes(rng, 1_400.0)) {
        return Ok(());
    }
    desk.change(&Change::Close { disposition: Disposition::TruePositive, at: None }, Role::Lead)
}

/// Verdicts on alerts that the cases above left open for long; nobody leaves an alert for months.
pub(super) fn old_alerts_close(db: &Db, staff: &Staff, now: Timestamp) -> Result<(), CaseError> {
    let lead = staff.lead.clone();
    db.write(move |tx| {
        let old = alert_list(tx, &AlertFilter::new(Scope::All))?;
        for alert in old.iter().filter(|alert| alert.state != detect::alert::AlertState::Closed) {
            let at = alert.detected_at.plus(3 * Timestamp::DAY);
            if at < now.plus(-OPEN_DAYS * Timestamp::DAY) {
                alert_close(tx, alert.id, Disposition::TruePositive, &lead, Role::Lead, at)?;
            }
        }
        Ok::<_, CaseError>(())
    })
}

/// One case as its analyst goes through it: time passes with each step, and ends where the present begins.
struct Desk<'a> {
    tx: &'a Transaction<'a>,
    incident: IncidentId,
    staff: &'a Staff,
    analyst: String,
    at: Timestamp,
    now: Timestamp,
}

impl Desk<'_> {
    /// Lets time pass; false where that would lie in the future.
    fn later(&mut self, millis: i64) -> bool {
        self.at = self.at.plus(millis);
        self.at < self.now
    }

    fn change(&self, change: &Change, role: Role) -> Result<(), CaseError> {
        let actor = if role == Role::Lead { &self.staff.lead } else { &self.analyst };
        let view = incident_get(self.tx, &Scope::All, self.incident)?;
        let Some(view) = view else { return Err(DbError::Stopped.into()) };
        incident_change(self.tx, self.incident, view.incident.version, change, actor, role, self.at).map(|_| ())
    }
}

/// A lognormal duration with this median: most are quick, a few take very long.
fn minutes(rng: &mut StdRng, median: f64) -> i64 {
    // The sum of twelve uniforms less six is close to normal; the tails do not matter here.
    let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
    #[expect(clippy::cast_possible_truncation, reason = "minutes to days in milliseconds")]
    let millis = (median * (0.75 * normal).exp() * 60_000.0) as i64;
    millis.max(30_000)
}

fn finding(rng: &mut StdRng, rule: &Arc<Rule>, body: &DemoBody, detected_at: Timestamp) -> Finding {
    let outside = Ipv4Addr::new(198, 18, rng.random_range(40..250), rng.random_range(1..255));
    let target = body.inner(rng.random_range(5..250));
    let host = format!("srv-{:02}", rng.random_range(1..60));
    let mut observables: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let (entity, lasting, records) = match rule.name.as_str() {
        "blocked_outbound_indicator" => {
            observables.insert("destination.ip", vec![outside.to_string()]);
            (IpAddr::V4(target), 20, rng.random_range(1..40))
        }
        "new_admin_account" => {
            observables.insert("host.name", vec![host]);
            observables.insert("user.target.name", vec![format!("svc-{:03}", rng.random_range(1..400))]);
            (IpAddr::V4(target), 1, 1)
        }
        "portscan" => (IpAddr::V4(outside), 4, rng.random_range(60..2_000)),
        _ => {
            observables.insert("host.name", vec![host]);
            observables.insert("user.name", vec!["root".into(), "admin".into()]);
            (IpAddr::V4(outside), 30, rng.random_range(20..900))
        }
    };
    observables.insert("source.ip", vec![entity.to_string()]);
    let last = detected_at.plus(-rng.random_range(1_000..90_000));
    Finding {
        rule: rule.clone(),
        site: body.site.id,
        body: Some(body.body.id),
        entity: Entity::Ip(entity),
        observables,
        first: last.plus(-rng.random_range(1..lasting + 1) * Timestamp::MINUTE),
        last,
        detected_at,
        evidence: Vec::new(),
        records,
        reasons: vec![],
        explanation: None,
        shares: vec![],
    }
}
