//! Reminders: what a body was asked to do and did not answer by its limit, and duties to report that run out. Which reminder
//! is due is judged here from what is stored and the times of playbook and duty; each happens once, in the transaction that
//! puts its mail into the outbox (`advisory::reminder`). Closed cases are never reminded of.
//!
//! ```text
//! recommendation: limit ──► remind ──► escalate ──► overdue
//! duty:           before the limit ──► breached
//! ```

use std::collections::HashMap;

use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::history::{NewHistory, history_add};
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::json;

use crate::duty::{Clock, Duties, Within, open_clocks};
use crate::incident::{IncidentId, ROWS_MAX, Where, word_known};
use crate::playbook::{Playbooks, Reminding};
use crate::recommendation::{Recommendation, RecommendationId, RecommendationState, recommendation_waiting};

pub const MIGRATIONS: Migrations = Migrations {
    owner: "reminder",
    steps: &["
        CREATE TABLE reminder (
            subject TEXT NOT NULL,
            cause TEXT NOT NULL,
            stage TEXT NOT NULL,
            incident TEXT NOT NULL,
            due_at BIGINT NOT NULL,
            at BIGINT NOT NULL,
            PRIMARY KEY (subject, cause, stage)
        );
        CREATE INDEX reminder_incident ON reminder (incident);
        CREATE INDEX reminder_stage ON reminder (stage);
    "],
};

/// Reminders of one look: one transaction stays short, and the rest comes with the next minute's.
const LOOK_MAX: usize = 100;

/// What waits for somebody, with its case's number, the body and the body's name.
pub(crate) type Waiting<T> = (T, String, Option<BodyId>, String);

/// Why somebody is reminded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing was said about the recommendation at all.
    Seen,
    /// It was read, and a step's limit passed without an answer.
    Answer,
    Duty,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Answer => "answer",
            Self::Duty => "duty",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Seen, Self::Answer, Self::Duty].into_iter().find(|cause| cause.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// To the ISB.
    Remind,
    /// To the deputy and the provider.
    Escalate,
    /// To the analyst, who rings up.
    Overdue,
    /// A duty's limit comes near: so many minutes before it.
    Before(i64),
    /// A duty's limit has passed.
    Breached,
}

impl Stage {
    fn stored(self) -> String {
        match self {
            Self::Remind => "remind".into(),
            Self::Escalate => "escalate".into(),
            Self::Overdue => "overdue".into(),
            Self::Before(minutes) => format!("before-{minutes}"),
            Self::Breached => "breached".into(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "remind" => Some(Self::Remind),
            "escalate" => Some(Self::Escalate),
            "overdue" => Some(Self::Overdue),
            "breached" => Some(Self::Breached),
            other => other.strip_prefix("before-")?.parse().ok().map(Self::Before),
        }
    }

    /// What the history calls it.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Remind => "recommendation.reminded",
            Self::Escalate => "recommendation.escalated",
            Self::Overdue => "recommendation.overdue",
            Self::Before(_) => "duty.reminded",
            Self::Breached => "duty.breached",
        }
    }
}

/// One reminder that is due.
#[derive(Clone, Debug)]
pub struct Reminder {
    /// Identity of the recommendation or the clock.
    pub subject: String,
    pub cause: Cause,
    pub stage: Stage,
    pub incident: IncidentId,
    pub number: String,
    pub body: Option<BodyId>,
    pub body_name: String,
    /// When it should have been answered, or must be reported.
    pub due_at: Timestamp,
    /// The duty, where it is one.
    pub clock: Option<Clock>,
}

impl Reminder {
    /// With the recipient unique for ever.
    pub fn key(&self) -> String {
        format!("reminder/{}/{}/{}", self.subject, self.cause.as_str(), self.stage.stored())
    }
}

/// What was done about a subject, and when.
type Past = (Cause, Stage, Timestamp);

/// What is due now, at most a look's worth.
///
/// # Errors
/// The database's own.
pub fn reminders_due(connection: &Connection, playbooks: &Playbooks, duties: &Duties, now: Timestamp) -> Result<Vec<Reminder>, DbError> {
    let done = done(connection)?;
    let of = |subject: &str| done.get(subject).map(Vec::as_slice).unwrap_or_default();
    let mut due = Vec::new();
    for (one, number, body, body_name) in recommendation_waiting(connection)? {
        let times = playbooks.get(&one.playbook).map(|playbook| playbook.reminders).unwrap_or_default();
        let subject = one.id.to_string();
        if let Some((cause, stage, due_at)) = recommendation_stage(&one, times, of(&subject), now) {
            due.push(Reminder { subject, cause, stage, incident: one.incident, number, body, body_name, due_at, clock: None });
        }
    }
    for (clock, number, body, body_name) in open_clocks(connection)? {
        let subject = clock.id.to_string();
        let before = duties.get(&clock.duty).map(|duty| minutes(&duty.remind_before)).unwrap_or_default();
        if let Some(stage) = duty_stage(&clock, &before, of(&subject), now) {
            let (incident, due_at) = (clock.incident, clock.due_at);
            due.push(Reminder { subject, cause: Cause::Duty, stage, incident, number, body, body_name, due_at, clock: Some(clock) });
        }
    }
    due.sort_by_key(|reminder| reminder.due_at);
    due.truncate(LOOK_MAX);
    Ok(due)
}

/// Notes a reminder with its history event; `false` where it was noted before. `told` is how many people got a mail.
///
/// # Errors
/// The database's own.
pub fn reminder_record(tx: &Transaction<'_>, reminder: &Reminder, told: usize, now: Timestamp) -> Result<bool, DbError> {
    let added = tx
        .prepare_cached(
            "INSERT INTO reminder (subject, cause, stage, incident, due_at, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (subject, cause, stage) DO NOTHING",
        )?
        .execute(params![
            reminder.subject,
            reminder.cause.as_str(),
            reminder.stage.stored(),
            reminder.incident,
            reminder.due_at.0,
            now.0
        ])?;
    if added == 0 {
        return Ok(false);
    }
    let data = match &reminder.clock {
        Some(clock) => json!({
            "clock": clock.id, "duty": clock.duty, "by": clock.by, "basis": clock.basis, "due_at": reminder.due_at, "told": told,
        }),
        None => json!({ "recommendation": reminder.subject, "cause": reminder.cause.as_str(), "due_at": reminder.due_at, "told": told }),
    };
    let event = NewHistory {
        event_time: now,
        kind: reminder.stage.kind(),
        subject: reminder.incident.to_string(),
        body: reminder.body,
        actor: "system".into(),
        data,
        corrects: None,
    };
    history_add(tx, now, &event)?;
    Ok(true)
}

/// A recommendation that nobody answered although everybody was reminded: somebody has to ring up.
#[derive(Clone, Debug)]
pub struct Overdue {
    pub recommendation: RecommendationId,
    pub title: String,
    pub incident: IncidentId,
    pub body_name: String,
    pub cause: Cause,
    /// When it should have been answered.
    pub due_at: Timestamp,
}

/// All that is overdue now, the longest first: of one case, or of all that `scope` sees.
///
/// # Errors
/// The database's own.
pub fn overdue_list(
    connection: &Connection,
    scope: &Scope,
    incident: Option<IncidentId>,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<Overdue>, DbError> {
    let mut condition = Where::default();
    condition.and("m.stage = 'overdue' AND i.state <> 'closed'", &[])?;
    condition.scope("i.body", scope)?;
    if let Some(incident) = incident {
        condition.and("m.incident = ?", &[&incident])?;
    }
    // What was answered since is not overdue any more.
    condition.and(
        "((m.cause = 'seen' AND r.state = 'sent') OR (m.cause = 'answer' AND r.state IN ('seen', 'in_work') AND EXISTS (
            SELECT 1 FROM recommendation_step s WHERE s.recommendation = r.id AND s.state IN ('open', 'in_work')
            AND r.sent_at + s.within_minutes * 60000 < ?)))",
        &[&now.0],
    )?;
    let limit = limit.min(ROWS_MAX);
    let mut statement = connection.prepare(&format!(
        "SELECT r.id, r.title, i.id, b.name, m.cause, m.due_at FROM reminder m JOIN recommendation r ON r.id = m.subject
         JOIN incident i ON i.id = r.incident LEFT JOIN body b ON b.id = i.body
         WHERE {} ORDER BY m.due_at, r.id LIMIT {limit}",
        condition.sql()
    ))?;
    let rows = statement.query_map(condition.into_values(), |row| {
        Ok(Overdue {
            recommendation: row.get(0)?,
            title: row.get(1)?,
            incident: row.get(2)?,
            body_name: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
            cause: word_known(4, Cause::parse(&row.get::<_, String>(4)?))?,
            due_at: Timestamp(row.get(5)?),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What is due about a recommendation, and its limit. Pure. Each stage counts from the one before it, so that after a long
/// night without this program nobody is reminded and passed over within a minute.
fn recommendation_stage(one: &Recommendation, times: Reminding, done: &[Past], now: Timestamp) -> Option<(Cause, Stage, Timestamp)> {
    let sent_at = one.sent_at?;
    let (cause, limit) = match one.state {
        RecommendationState::Sent => {
            let seen = sent_at.plus(minutes_millis(times.seen));
            (Cause::Seen, one.due_next(now).map_or(seen, |due| due.min(seen)))
        }
        RecommendationState::Seen | RecommendationState::InWork => (Cause::Answer, one.due_next(now)?),
        RecommendationState::Draft | RecommendationState::Done | RecommendationState::Declined => return None,
    };
    let at = |stage: Stage| done.iter().find(|(known, is, _)| *known == cause && *is == stage).map(|(_, _, at)| *at);
    let (stage, from) = match (at(Stage::Remind), at(Stage::Escalate), at(Stage::Overdue)) {
        (_, _, Some(_)) => return None,
        (_, Some(at), None) => (Stage::Overdue, at.plus(minutes_millis(times.overdue))),
        (Some(at), None, None) => (Stage::Escalate, at.plus(minutes_millis(times.escalate))),
        (None, None, None) => (Stage::Remind, limit),
    };
    (now >= from).then_some((cause, stage, limit))
}

/// What is due about a duty. Pure. Of several reminders that were missed only the last one is made good.
fn duty_stage(clock: &Clock, before: &[i64], done: &[Past], now: Timestamp) -> Option<Stage> {
    if !clock.state.is_open() {
        return None;
    }
    let was = |stage: Stage| done.iter().any(|(_, is, _)| *is == stage);
    if now > clock.due_at {
        return (!was(Stage::Breached)).then_some(Stage::Breached);
    }
    // Without a time of its own: when a quarter of it is left.
    let quarter = [clock.due_at.since(clock.started_at) / 4 / Timestamp::MINUTE];
    let before: &[i64] = if before.is_empty() { &quarter } else { before };
    let passed = before.iter().copied().filter(|minutes| now >= clock.due_at.plus(-minutes_millis(*minutes)));
    // One that comes nearer to the limit than any before it.
    let next = passed.min()?;
    let nearest = done.iter().filter_map(|(_, stage, _)| if let Stage::Before(minutes) = stage { Some(*minutes) } else { None }).min();
    nearest.is_none_or(|nearest| next < nearest).then_some(Stage::Before(next))
}

fn minutes_millis(minutes: i64) -> i64 {
    minutes.saturating_mul(Timestamp::MINUTE)
}

fn minutes(before: &[Within]) -> Vec<i64> {
    let whole = |one: &Within| if let Within::Minutes(minutes) = one { Some(*minutes) } else { None };
    before.iter().filter_map(whole).collect()
}

/// What was done in open cases.
fn done(connection: &Connection) -> Result<HashMap<String, Vec<Past>>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT m.subject, m.cause, m.stage, m.at FROM reminder m JOIN incident i ON i.id = m.incident WHERE i.state <> 'closed'",
    )?;
    let rows = statement.query_map([], |row| {
        let cause = word_known(1, Cause::parse(&row.get::<_, String>(1)?))?;
        let stage = word_known(2, Stage::parse(&row.get::<_, String>(2)?))?;
        Ok((row.get::<_, String>(0)?, (cause, stage, Timestamp(row.get(3)?))))
    })?;
    let mut all: HashMap<String, Vec<Past>> = HashMap::new();
    for row in rows {
        let (subject, one) = row?;
        all.entry(subject).or_default().push(one);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::duty::{By, ClockId, DutyState, Recipient};
    use crate::incident::fixture::START;
    use crate::recommendation::{Step, StepState};

    fn recommendation(state: RecommendationState, steps: &[(i64, StepState)]) -> Recommendation {
        let step = |(within_minutes, state): &(i64, StepState)| Step {
            text: "t".into(),
            confirm: "c".into(),
            within_minutes: *within_minutes,
            state: *state,
            reason: None,
            changed_at: (*state != StepState::Open).then_some(START),
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
            steps: steps.iter().map(step).collect(),
            version: 1,
        }
    }

    /// Looks every ten minutes for two days, and says what happened when.
    fn days(one: &Recommendation, times: Reminding) -> String {
        let mut done = Vec::<Past>::new();
        let mut lines = String::new();
        for minute in (0..2_880).step_by(10) {
            let now = START.plus(minute * Timestamp::MINUTE);
            if let Some((cause, stage, limit)) = recommendation_stage(one, times, &done, now) {
                lines.push_str(&format!(
                    "{minute} {} {} (limit {})\n",
                    cause.as_str(),
                    stage.stored(),
                    limit.since(START) / Timestamp::MINUTE
                ));
                done.push((cause, stage, now));
            }
        }
        lines
    }

    #[test]
    fn a_recommendation_walks_its_stages_once() {
        use RecommendationState::{Declined, Done, Draft, InWork, Seen, Sent};
        let open = [(480, StepState::Open), (1_440, StepState::Open)];
        let times = Reminding::default();
        expect![[r#"
            240 seen remind (limit 240)
            360 seen escalate (limit 240)
            480 seen overdue (limit 240)
        "#]]
        .assert_eq(&days(&recommendation(Sent, &open), times));
        expect![[r#"
            60 seen remind (limit 60)
            180 seen escalate (limit 60)
            300 seen overdue (limit 60)
        "#]]
        .assert_eq(&days(&recommendation(Sent, &[(60, StepState::Open)]), times));
        expect![[r#"
            480 answer remind (limit 480)
            600 answer escalate (limit 480)
            720 answer overdue (limit 480)
        "#]]
        .assert_eq(&days(&recommendation(Seen, &open), times));
        expect![[r#"
            1440 answer remind (limit 1440)
            1470 answer escalate (limit 1440)
            1480 answer overdue (limit 1440)
        "#]]
        .assert_eq(&days(
            &recommendation(InWork, &[(480, StepState::Done), (1_440, StepState::InWork)]),
            Reminding { seen: 5, escalate: 30, overdue: 10 },
        ));
        for state in [Draft, Done, Declined] {
            assert_eq!(days(&recommendation(state, &open), times), "", "{state:?}");
        }
    }

    #[test]
    fn a_night_without_the_program_passes_nobody_over() {
        let one = recommendation(RecommendationState::Sent, &[(60, StepState::Open)]);
        let late = START.plus(Timestamp::DAY);
        let times = Reminding::default();
        let mut done = Vec::<Past>::new();
        assert!(matches!(recommendation_stage(&one, times, &done, late), Some((_, Stage::Remind, _))));
        done.push((Cause::Seen, Stage::Remind, late));
        assert_eq!(recommendation_stage(&one, times, &done, late.plus(Timestamp::MINUTE)), None);
        assert!(matches!(recommendation_stage(&one, times, &done, late.plus(minutes_millis(120))), Some((_, Stage::Escalate, _))));
    }

    fn clock(state: DutyState) -> Clock {
        Clock {
            id: ClockId::default(),
            incident: IncidentId::default(),
            duty: "d".into(),
            title: "t".into(),
            basis: "b".into(),
            by: By::Body,
            recipient: Recipient { name: "r".into(), channel: "c".into() },
            question: None,
            state,
            started_at: START,
            due_at: START.plus(72 * Timestamp::HOUR),
            answers: std::collections::BTreeMap::new(),
            sent_at: None,
            channel: None,
            reference: None,
            received_at: None,
            reason: None,
            version: 1,
        }
    }

    fn hours(clock: &Clock, before: &[i64], look_every: i64) -> String {
        let mut done = Vec::<Past>::new();
        let mut lines = String::new();
        for hour in (0..100).step_by(usize::try_from(look_every).unwrap()) {
            if let Some(stage) = duty_stage(clock, before, &done, START.plus(hour * Timestamp::HOUR)) {
                lines.push_str(&format!("{hour} h {}\n", stage.stored()));
                done.push((Cause::Duty, stage, START));
            }
        }
        lines
    }

    #[test]
    fn a_duty_is_told_of_before_and_when_it_is_breached() {
        use DutyState::{Asked, Received, Running, Sent, Waived};
        expect!["54 h before-1080\n73 h breached\n"].assert_eq(&hours(&clock(Running), &[], 1));
        expect!["48 h before-1440\n66 h before-360\n73 h breached\n"].assert_eq(&hours(&clock(Asked), &[1_440, 360], 1));
        expect!["70 h before-360\n"].assert_eq(hours(&clock(Running), &[1_440, 360], 70).as_str());
        for state in [Sent, Received, Waived] {
            assert_eq!(hours(&clock(state), &[], 1), "", "{state:?}");
        }
    }
}
