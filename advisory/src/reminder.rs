//! The mails of reminders: what `detect::reminder` says is due goes to the ISB, then to the deputy and the provider, and
//! stands in the history, all in one transaction. A look that is killed in the middle has done all of it or nothing, and the
//! same look again does nothing. The mails say that something waits, never what: they travel in the open. Those about a
//! recommendation bring a link to answer by (`answer_link`).

use std::sync::Arc;

use detect::duty::{By, Duties};
use detect::playbook::Playbooks;
use detect::reminder::{Cause, Reminder, Stage, reminder_record, reminders_due};
use ingest::body::{Contact, contact_list};
use ingest::db::{Db, DbError};
use ingest::rusqlite::Transaction;
use ingest::time::Timestamp;

use crate::answer_link::{LINK_MILLIS, link_add};
use crate::csaf::Publisher;
use crate::mail::{Mail, Paragraphs, Topic, answer_link_text, german_time};
use crate::outbox::outbox_add;

/// Looks what is due and does it; says how many reminders that were.
///
/// # Errors
/// The database's own; nothing of the look is done then.
pub fn reminders_look(
    db: &Db,
    playbooks: &Arc<Playbooks>,
    duties: &Arc<Duties>,
    publisher: &Arc<Publisher>,
    now: Timestamp,
) -> Result<usize, DbError> {
    // Most minutes nothing is due, and then nothing is written.
    if db.read(|c| reminders_due(c, playbooks, duties, now))?.is_empty() {
        return Ok(0);
    }
    let (playbooks, duties, publisher) = (playbooks.clone(), duties.clone(), publisher.clone());
    db.write(move |tx| {
        let due = reminders_due(tx, &playbooks, &duties, now)?;
        for reminder in &due {
            remind(tx, reminder, &publisher, now)?;
        }
        Ok(due.len())
    })
}

fn remind(tx: &Transaction<'_>, reminder: &Reminder, publisher: &Publisher, now: Timestamp) -> Result<(), DbError> {
    let contacts = match reminder.body {
        Some(body) => contact_list(tx, body)?,
        None => Vec::new(),
    };
    let to: Vec<&Contact> = contacts.iter().filter(|contact| wants(reminder, contact, &contacts)).collect();
    if !reminder_record(tx, reminder, to.len(), now)? {
        return Ok(());
    }
    for contact in to {
        // Of a recommendation the subject is its identity.
        let recommendation = reminder.subject.parse().ok().filter(|_| reminder.clock.is_none());
        let token = recommendation.map(|id| link_add(tx, id, contact.id, now)).transpose()?;
        outbox_add(tx, &mail(reminder, contact, token, publisher, now), now)?;
    }
    Ok(())
}

/// Whether this contact gets it: first the ISB, then those who stand in.
fn wants(reminder: &Reminder, contact: &Contact, all: &[Contact]) -> bool {
    let isb = contact.role == "isb";
    // A body whose only contact is a deputy is reminded through the deputy.
    let first = isb || !all.iter().any(|one| one.role == "isb");
    let bodys = reminder.clock.as_ref().is_none_or(|clock| clock.by == By::Body);
    match reminder.stage {
        Stage::Remind => first,
        Stage::Escalate => !isb,
        // The analyst sees it.
        Stage::Overdue => false,
        Stage::Before(_) => bodys && first,
        Stage::Breached => bodys,
    }
}

/// `token` is that of a link, where one can answer by one.
fn mail(reminder: &Reminder, contact: &Contact, token: Option<String>, publisher: &Publisher, now: Timestamp) -> Mail {
    let Reminder { number, body_name, due_at, .. } = reminder;
    let due = german_time(*due_at);
    let (subject, what, path) = match (reminder.stage, reminder.cause, &reminder.clock) {
        (Stage::Before(_), _, Some(clock)) => (
            "Erinnerung: Meldefrist läuft ab".to_owned(),
            format!("zum Vorfall {number} bei {body_name} endet am {due} eine Meldefrist ({}).", clock.basis),
            format!("/vorfall/{number}/pflicht/{}", clock.duty),
        ),
        (_, _, Some(clock)) => (
            "Meldefrist abgelaufen".to_owned(),
            format!(
                "zum Vorfall {number} bei {body_name} ist am {due} eine Meldefrist abgelaufen ({}), ohne dass eine Meldung vermerkt ist.",
                clock.basis
            ),
            format!("/vorfall/{number}/pflicht/{}", clock.duty),
        ),
        (Stage::Escalate, ..) => (
            "Handlungsempfehlung ohne Antwort".to_owned(),
            format!(
                "zum Vorfall {number} bei {body_name} haben wir eine Handlungsempfehlung geschickt. Bis {due} hätten wir eine Antwort gebraucht; auch auf eine Erinnerung kam keine. Bitte kümmern Sie sich in Vertretung darum."
            ),
            format!("/vorfall/{number}"),
        ),
        (_, Cause::Seen, _) => (
            "Erinnerung: Handlungsempfehlung noch nicht gelesen".to_owned(),
            format!(
                "zum Vorfall {number} bei {body_name} haben wir Ihnen eine Handlungsempfehlung geschickt und bis {due} nichts von Ihnen gehört."
            ),
            format!("/vorfall/{number}"),
        ),
        _ => (
            "Erinnerung: Handlungsempfehlung noch offen".to_owned(),
            format!("zum Vorfall {number} bei {body_name} ist ein Schritt unserer Handlungsempfehlung seit {due} fällig."),
            format!("/vorfall/{number}"),
        ),
    };
    let mut text = Paragraphs::default();
    text.add(&format!("Guten Tag {},", contact.name));
    text.add(&what);
    match token {
        Some(_) => text
            .add(&format!("Hier lesen und antworten Sie, ohne Anmeldung:\n{}", answer_link_text(publisher, number, now.plus(LINK_MILLIS)))),
        None => text.add(&format!("Hier lesen und antworten:\n{}{path}", publisher.base_url)),
    }
    text.add("Brauchen Sie Hilfe oder geht etwas nicht, rufen Sie uns bitte an.");
    text.section("Kontakt", &publisher.contact);
    Mail {
        key: reminder.key(),
        recipient: contact.email.clone(),
        subject: format!("{number} {subject}"),
        text: text.end(publisher),
        headers: Vec::new(),
        secret: token,
        sealed: false,
        topic: Topic::Reminder,
        about: reminder.incident.to_string(),
        body: reminder.body,
        contact: Some(contact.id),
    }
}

#[cfg(test)]
mod tests {
    use detect::alert::Disposition;
    use detect::duty::clocks_start;
    use detect::incident::{Change, IncidentId, Operation, Origin, Report, State, incident_change, incident_open_manual};
    use detect::recommendation::{
        Answer, RecommendationId, Via, Word, recommendation_add, recommendation_answer, recommendation_get, recommendation_send,
    };
    use detect::reminder::overdue_list;
    use detect::role::Role;
    use expect_test::expect;
    use ingest::rusqlite::params;
    use ingest::scope::Scope;

    use super::*;
    use crate::csaf::tests::publisher;
    use crate::store::tests::Fixture;

    const START: Timestamp = Timestamp(1_795_248_000_000);

    struct World {
        fixture: Fixture,
        playbooks: Arc<Playbooks>,
        duties: Arc<Duties>,
        incident: IncidentId,
        recommendation: RecommendationId,
    }

    /// A case of Sömmerda (an ISB, a deputy) with a recommendation that was sent at `START`.
    fn world() -> World {
        let fixture = Fixture::new();
        let (playbooks, duties) = (Arc::new(Playbooks::embedded().unwrap()), Arc::new(Duties::embedded().unwrap()));
        let (body, all) = (fixture.bodies[0], playbooks.clone());
        let (incident, recommendation) = fixture
            .db
            .write(move |tx| {
                let report = Report { what: "Etwas geschah".into(), operation: Some(Operation::Stopped), ..Report::default() };
                let new = report.incident(Origin::Phone, Some(body), START);
                let incident = incident_open_manual(tx, &Scope::All, &new, "anna", Role::Analyst, START)?;
                let id = recommendation_add(tx, incident, all.get("allgemein").unwrap(), Role::Analyst, START)?;
                recommendation_send(tx, id, 1, "anna", Role::Analyst, START)?;
                Ok::<_, detect::incident::CaseError>((incident, id))
            })
            .unwrap();
        World { fixture, playbooks, duties, incident, recommendation }
    }

    impl World {
        fn look(&self, minute: i64) -> usize {
            let now = START.plus(minute * Timestamp::MINUTE);
            reminders_look(&self.fixture.db, &self.playbooks, &self.duties, &Arc::new(publisher()), now).unwrap()
        }

        /// Every reminder's event and mail.
        fn said(&self) -> String {
            let mut lines: Vec<String> = Vec::new();
            for event in self.fixture.history(&self.incident.to_string()) {
                if ["reminded", "escalated", "overdue", "breached"].iter().any(|end| event.kind.ends_with(end)) {
                    lines.push(format!("{} {} to {}", event.event_time.since(START) / Timestamp::MINUTE, event.kind, event.data["told"]));
                }
            }
            let mails: Vec<String> = self
                .fixture
                .db
                .read(|c| {
                    let mut statement = c.prepare("SELECT recipient, subject FROM outbox ORDER BY id")?;
                    let rows =
                        statement.query_map(params![], |row| Ok(format!("{}: {}", row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
                    Ok::<_, DbError>(rows.collect::<Result<_, _>>()?)
                })
                .unwrap();
            lines.extend(mails);
            lines.join("\n")
        }

        fn answer(&self, word: Word) {
            let id = self.recommendation;
            let answer = Answer { step: None, word, via: Via::Portal };
            self.fixture
                .db
                .write(move |tx| {
                    recommendation_answer(tx, &Scope::All, id, &answer, "isb", Role::Municipality, START.plus(Timestamp::HOUR))
                })
                .unwrap();
        }

        fn overdue(&self, minute: i64) -> usize {
            let now = START.plus(minute * Timestamp::MINUTE);
            self.fixture.db.read(|c| overdue_list(c, &Scope::All, None, 10, now)).unwrap().len()
        }
    }

    #[test]
    fn nobody_answers_and_each_is_told_once() {
        let world = world();
        for minute in (0..1_000).step_by(20) {
            world.look(minute);
            assert_eq!(world.look(minute), 0, "the same look again does nothing");
        }
        expect![[r#"
            240 recommendation.reminded to 1
            360 recommendation.escalated to 1
            480 recommendation.overdue to 0
            isb@stadt-soemmerda.example: TC-2026-000001 Erinnerung: Handlungsempfehlung noch nicht gelesen
            deputy@stadt-soemmerda.example: TC-2026-000001 Handlungsempfehlung ohne Antwort"#]]
        .assert_eq(&world.said());
        assert_eq!(world.overdue(1_000), 1);
        world.answer(Word::DONE);
        assert_eq!((world.look(2_000), world.overdue(2_000)), (0, 0), "what was answered is not overdue");
    }

    #[test]
    fn an_answer_in_time_needs_no_reminder_and_a_step_that_is_late_does() {
        let world = world();
        world.answer(Word::Seen);
        for minute in (0..20_000).step_by(100) {
            world.look(minute);
        }
        expect![[r#"
            300 recommendation.reminded to 1
            500 recommendation.escalated to 1
            700 recommendation.overdue to 0
            isb@stadt-soemmerda.example: TC-2026-000001 Erinnerung: Handlungsempfehlung noch offen
            deputy@stadt-soemmerda.example: TC-2026-000001 Handlungsempfehlung ohne Antwort"#]]
        .assert_eq(&world.said());
    }

    #[test]
    fn a_closed_case_is_never_reminded_of() {
        let world = world();
        let (incident, duties) = (world.incident, world.duties.clone());
        world
            .fixture
            .db
            .write(move |tx| {
                clocks_start(tx, &duties, START)?;
                incident_change(tx, incident, 1, &Change::Move { to: State::Triaged, at: None }, "anna", Role::Analyst, START)?;
                let close = Change::Close { disposition: Disposition::FalsePositive, at: None };
                incident_change(tx, incident, 2, &close, "anna", Role::Lead, START)
            })
            .unwrap();
        for minute in (0..10_000).step_by(100) {
            assert_eq!(world.look(minute), 0);
        }
        assert_eq!((world.said().as_str(), world.overdue(10_000)), ("", 0));
    }

    #[test]
    fn a_duty_is_told_of_before_its_limit_and_when_it_has_passed() {
        let world = world();
        world.answer(Word::DONE);
        let duties = world.duties.clone();
        world.fixture.db.write(move |tx| clocks_start(tx, &duties, START)).unwrap();
        for hour in 0..100 {
            world.look(hour * 60);
        }
        let said = world.said();
        assert!(said.contains("duty.reminded") && said.contains("duty.breached"), "{said}");
        assert!(said.contains("isb@stadt-soemmerda.example: TC-2026-000001 Erinnerung: Meldefrist läuft ab"), "{said}");
        assert!(said.contains("deputy@stadt-soemmerda.example: TC-2026-000001 Meldefrist abgelaufen"), "{said}");
        let texts: Vec<String> = world
            .fixture
            .db
            .read(|c| {
                let mut statement = c.prepare("SELECT body_text FROM outbox")?;
                let rows = statement.query_map(params![], |row| row.get(0))?;
                Ok::<_, DbError>(rows.collect::<Result<_, _>>()?)
            })
            .unwrap();
        assert!(texts.iter().all(|text| !text.contains("Etwas geschah")), "no mail says what happened");
    }

    #[test]
    fn a_kill_in_the_middle_leaves_all_or_nothing() {
        let world = world();
        let (playbooks, duties) = (world.playbooks.clone(), world.duties.clone());
        let now = START.plus(5 * Timestamp::HOUR);
        let killed: Result<(), DbError> = world.fixture.db.write(move |tx| {
            for reminder in reminders_due(tx, &playbooks, &duties, now)? {
                remind(tx, &reminder, &publisher(), now)?;
            }
            Err(DbError::from(ingest::rusqlite::Error::QueryReturnedNoRows))
        });
        assert!(killed.is_err());
        assert_eq!(world.said(), "", "neither event nor mail");
        assert_eq!(world.look(300), 1, "and the next look does it");
        let id = world.recommendation;
        assert!(world.fixture.db.read(|c| recommendation_get(c, &Scope::All, id)).unwrap().is_some());
    }
}
