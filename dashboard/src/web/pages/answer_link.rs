//! The page behind the link in a recommendation's mail: what is recommended, and the body's answer, without a login and
//! without JavaScript. The token in the path is the key. The link travels in a mail that is not encrypted: from TLP:AMBER on
//! it takes the answer only, and the text stands behind a login. Opening the page changes nothing, because mail filters do.

use advisory::answer_link::{Asked, Ended, LinkView, Outcome, link_answer, link_open};
use askama::Template;
use axum::http::StatusCode;
use detect::incident::Tlp;

use super::incidents::{Plan, plan_of, refused, word_of};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

#[derive(Template)]
#[template(path = "answer_link.html")]
struct AnswerPage {
    frame: Frame,
    number: String,
    body: String,
    tlp: Markup,
    readable: bool,
    /// Where the text stands that this link does not open; empty where no login opens it either.
    behind_login: String,
    plan: Plan,
    /// The case page's, where an analyst types in what came by phone.
    may_work: bool,
    /// What was answered last, once everything is.
    done: String,
    until: String,
    contact: String,
}

#[derive(Template)]
#[template(path = "answer_ended.html")]
struct EndedPage {
    frame: Frame,
    title: &'static str,
    text: &'static str,
    href: String,
    contact: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (token, now) = (ask.param("token").to_owned(), ask.now);
    match ask.app.db.read(|c| link_open(c, &token, now))? {
        Some(LinkView::Open(asked)) => page(ask, &token, &asked),
        Some(LinkView::Ended(why, number)) => ended(ask, Some((why, &number))),
        None => ended(ask, None),
    }
}

fn page(ask: &Ask, token: &str, asked: &Asked) -> Reply {
    let answered = asked.answered();
    let mut plan = plan_of(&asked.recommendation, ask.now);
    plan.answer_to = path(token);
    plan.may_answer = !answered;
    let done = if answered {
        tf("Danke. Ihre Antwort ist gespeichert: {state}.", &[("state", &words::recommendation(asked.recommendation.state))])
    } else if ask.query("ok") == "answered" {
        t("Danke, Ihre Antwort ist beim ThüringenCERT angekommen.").to_owned()
    } else {
        String::new()
    };
    let page = AnswerPage {
        number: asked.number.clone(),
        body: asked.body_name.clone(),
        tlp: words::tlp_badge(asked.tlp),
        readable: asked.readable(),
        // What is red no body reads in the portal either.
        behind_login: if asked.tlp == Tlp::Red { String::new() } else { case(&asked.number) },
        plan,
        may_work: false,
        done,
        until: show::stamp(asked.until),
        contact: ask.app.publisher.contact.clone(),
        frame: ask.frame(t("Handlungsempfehlung"), Place::Elsewhere),
    };
    ask.page(&page)
}

/// For who comes too late: that it is so, and what to do.
fn ended(ask: &Ask, link: Option<(Ended, &str)>) -> Reply {
    let (status, title, text) = match link {
        Some((Ended::Closed, _)) => (
            StatusCode::GONE,
            t("Der Vorfall ist abgeschlossen"),
            t("Zu dieser Handlungsempfehlung brauchen wir keine Antwort mehr. Vielen Dank."),
        ),
        Some((Ended::Expired, _)) => (
            StatusCode::GONE,
            t("Dieser Link gilt nicht mehr"),
            t("Er ist abgelaufen. Haben Sie eine neuere Mail zu diesem Vorfall, nehmen Sie den Link darin."),
        ),
        None => (
            StatusCode::NOT_FOUND,
            t("Diesen Link kennen wir nicht"),
            t(
                "Er ist nicht vollständig oder gehört nicht mehr zu Ihrer Stelle. Öffnen Sie ihn noch einmal aus der Mail, oder kopieren Sie ihn ganz.",
            ),
        ),
    };
    let page = EndedPage {
        href: link.map_or_else(|| "/".to_owned(), |(_, number)| case(number)),
        contact: ask.app.publisher.contact.clone(),
        frame: ask.frame(title, Place::Elsewhere),
        title,
        text,
    };
    ask.page_status(status, &page)
}

fn path(token: &str) -> String {
    format!("/empfehlung/{}", show::query_encode(token))
}

fn case(number: &str) -> String {
    format!("/vorfall/{number}")
}

pub(in crate::web) fn answer(ask: &mut Ask) -> Reply {
    let (token, now) = (ask.param("token").to_owned(), ask.now);
    let asked = match ask.app.db.read(|c| link_open(c, &token, now))? {
        Some(LinkView::Open(asked)) => asked,
        Some(LinkView::Ended(why, number)) => return ended(ask, Some((why, &number))),
        None => return ended(ask, None),
    };
    // Sent twice, or come back to: the page says that it is answered.
    if asked.answered() {
        return page(ask, &token, &asked);
    }
    let (word, step) = (word_of(ask)?, ask.form("schritt").parse().ok());
    // In the log stands which case and who, never the link's secret.
    ask.about(&asked.number);
    ask.acts_as(format!("contact:{}", asked.contact));
    ask.remark("body", asked.body_name);
    ask.remark("via", "link");
    let key = token.clone();
    match ask.write(move |tx| link_answer(tx, &key, step, word, now)).map_err(refused)? {
        Outcome::Recorded => ask.redirect(&path(&token), "answered"),
        Outcome::TooMany => Err(PageError::Refused(t("Ihre Antwort wurde schon oft geändert. Bitte rufen Sie uns an.").into())),
        Outcome::Ended => ended(ask, None),
    }
}

#[cfg(test)]
mod tests {
    use detect::incident::{Change, State, incident_by_number, incident_change, incident_get};
    use detect::recommendation::{RecommendationState, recommendation_add};
    use detect::role::Role;
    use ingest::audit::{AuditFilter, audit_find};
    use ingest::db::DbError;
    use ingest::scope::Scope;
    use ingest::time::Timestamp;

    use super::*;
    use crate::web::tests::{Front, now, open_case};

    struct World {
        front: Front,
        number: String,
        path: String,
    }

    /// A case with this label, and the link in the mail by which its recommendation was sent from the case's page.
    async fn world(tlp: &'static str) -> World {
        let front = Front::new();
        front.contact();
        let number = open_case(&front, front.body, "Etwas Geheimes");
        let (playbooks, named) = (front.app.playbooks.clone(), number.clone());
        let id = front
            .app
            .db
            .write(move |tx| {
                let incident = incident_by_number(tx, &Scope::All, &named)?.unwrap();
                tx.execute("UPDATE incident SET tlp = ?1", [tlp]).map_err(DbError::from)?;
                recommendation_add(tx, incident, playbooks.get("allgemein").unwrap(), Role::Analyst, now())
            })
            .unwrap()
            .to_string();
        let (cookie, csrf) = front.enter(Role::Analyst);
        let form = [("csrf", csrf.as_str()), ("empfehlung", &id), ("version", "1")];
        let sent = front.post(&format!("/vorfall/{number}/empfehlung"), &cookie, &form).await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text);
        let claim = |tx: &ingest::rusqlite::Transaction<'_>| advisory::outbox::outbox_claim(tx, "example", 10, now());
        let mails = front.app.db.write(claim).unwrap_or_else(|error: DbError| panic!("{error}"));
        assert_eq!(mails.len(), 1);
        let mail = &mails[0].mail;
        assert!(mail.text.contains("/empfehlung/"), "{}", mail.text);
        let path = format!("/empfehlung/{}", mail.secret.clone().expect("a link"));
        World { front, number, path }
    }

    impl World {
        async fn say(&self, fields: &[(&str, &str)]) -> crate::web::tests::Answer {
            self.front.post(&self.path, "", fields).await
        }

        fn view(&self) -> detect::incident::IncidentView {
            let read = |c: &ingest::rusqlite::Connection| {
                let id = incident_by_number(c, &Scope::All, &self.number)?.unwrap();
                Ok::<_, DbError>(incident_get(c, &Scope::All, id)?.unwrap())
            };
            self.front.app.db.read(read).unwrap()
        }

        fn state(&self) -> RecommendationState {
            self.view().recommendations[0].state
        }
    }

    #[tokio::test]
    async fn a_contact_reads_and_answers_by_the_link_alone() {
        let world = world("GREEN").await;
        for _ in 0..2 {
            let page = world.front.get(&world.path, "").await;
            assert_eq!(page.status, StatusCode::OK);
            assert!(page.text.contains("Stadtverwaltung Sömmerda") && page.text.contains("Geschafft, wenn"), "{}", page.text);
        }
        assert_eq!(world.state(), RecommendationState::Sent, "a mail filter that opens the link has read nothing");
        let said = world.say(&[("wort", "gelesen")]).await;
        assert_eq!((said.status, said.header("location")), (StatusCode::SEE_OTHER, format!("{}?ok=answered", world.path).as_str()));
        assert!(world.front.get(&format!("{}?ok=answered", world.path), "").await.text.contains("Ihre Antwort ist beim ThüringenCERT"));
        assert_eq!(world.state(), RecommendationState::Seen);
        for (fields, says) in [
            (vec![("wort", "abgelehnt")], "einen kurzen Grund"),
            (vec![("wort", "abgelehnt"), ("grund", " ")], "einen kurzen Grund"),
            (vec![("wort", "unsinn")], "Diese Antwort kennen wir nicht"),
            (vec![("wort", "erledigt"), ("schritt", "99")], "fehlt oder passt nicht"),
        ] {
            let refused = world.say(&fields).await;
            assert_eq!(refused.status, StatusCode::CONFLICT);
            assert!(refused.text.contains(says), "{says}: {}", refused.text);
        }
        world.say(&[("wort", "in-arbeit"), ("schritt", "0")]).await;
        assert_eq!(world.state(), RecommendationState::InWork);
        world.say(&[("wort", "erledigt"), ("wie", "Das Konto <b>ist</b> gesperrt")]).await;
        assert_eq!(world.state(), RecommendationState::Done);
        let page = world.front.get(&world.path, "").await.text;
        assert!(page.contains("Ihre Antwort ist gespeichert") && !page.contains("<button"), "{page}");
        let late = world.say(&[("wort", "abgelehnt"), ("grund", "doch nicht")]).await;
        assert_eq!((late.status, world.state()), (StatusCode::OK, RecommendationState::Done), "the last word stands");

        // The analyst sees who said what, and by which way.
        let (cookie, _) = world.front.enter(Role::Analyst);
        let case = world.front.get(&format!("/vorfall/{}", world.number), &cookie).await.text;
        for part in ["ISB Sömmerda", "über den Link in der Mail", "Das Konto &lt;b&gt;ist&lt;/b&gt; gesperrt"] {
            assert!(case.contains(part), "{part}: {case}");
        }
        let filter = AuditFilter { limit: 50, ..AuditFilter::default() };
        let rows = world.front.app.db.read(|c| audit_find(c, &filter)).unwrap().rows;
        let rows: Vec<_> = rows.iter().filter(|row| row.kind == "recommendation.answered").collect();
        assert_eq!(rows.len(), 3, "what was refused is no answer");
        let token = world.path.rsplit('/').next().unwrap();
        for row in rows {
            assert!(row.actor.starts_with("contact:") && row.object == format!("incident:{}", world.number), "{row:?}");
            assert!(!row.detail.to_string().contains(token) && row.detail["via"] == "link", "{row:?}");
        }
    }

    #[tokio::test]
    async fn a_link_opens_no_text_that_may_not_stand_in_its_mail() {
        for (tlp, open, login) in
            [("CLEAR", true, false), ("GREEN", true, false), ("AMBER", false, true), ("AMBER+STRICT", false, true), ("RED", false, false)]
        {
            let world = world(tlp).await;
            let page = world.front.get(&world.path, "").await.text;
            let step = &world.view().recommendations[0].steps[0].text;
            assert_eq!((page.contains(step.as_str()), page.contains("Der Text ist vertraulich")), (open, !open), "{tlp}: {page}");
            assert_eq!(page.contains("Nach der Anmeldung lesen"), login, "{tlp}");
            assert!(!page.contains("Etwas Geheimes"), "{tlp}: the case is not the recommendation");
            assert_eq!(world.say(&[("wort", "erledigt")]).await.status, StatusCode::SEE_OTHER, "{tlp}");
            assert_eq!(world.state(), RecommendationState::Done, "{tlp}: but everybody can answer");
        }
    }

    #[tokio::test]
    async fn links_that_do_not_work_say_what_to_do() {
        let world = world("GREEN").await;
        let unknown = format!("/empfehlung/{}", "0".repeat(64));
        for path in ["/empfehlung/fehlt", unknown.as_str()] {
            let (got, said) = (world.front.get(path, "").await, world.front.post(path, "", &[("wort", "erledigt")]).await);
            assert_eq!((got.status, said.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
            assert!(got.text.contains("Diesen Link kennen wir nicht") && got.text.contains("rufen Sie uns an"), "{}", got.text);
        }
        world.front.app.clock.set(now().plus(31 * Timestamp::DAY));
        let late = world.front.get(&world.path, "").await;
        assert!(late.status == StatusCode::GONE && late.text.contains("abgelaufen"), "{}", late.text);
        world.front.app.clock.set(now());
        let (id, version) = (world.view().incident.id, world.view().incident.version);
        world
            .front
            .app
            .db
            .write(move |tx| {
                incident_change(tx, id, version, &Change::Move { to: State::Triaged, at: None }, "anna", Role::Analyst, now())?;
                let close = Change::Close { disposition: detect::alert::Disposition::Benign, at: None };
                incident_change(tx, id, version + 1, &close, "anna", Role::Lead, now())
            })
            .unwrap();
        let over = world.front.get(&world.path, "").await;
        assert!(over.status == StatusCode::GONE && over.text.contains("Der Vorfall ist abgeschlossen"), "{}", over.text);
        assert_eq!(world.say(&[("wort", "erledigt")]).await.status, StatusCode::GONE);
        assert_eq!(world.state(), RecommendationState::Sent);
    }
}
