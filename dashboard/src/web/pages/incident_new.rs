//! What an analyst takes down: a case that somebody told on the phone or in person, with when it happened beside when we heard
//! of it; and the one-time links by which a body's contact reports in his own words.

use advisory::self_report::{ListedLink, link_issue, link_list};
use askama::Template;
use axum::http::StatusCode;
use detect::incident::{CaseError, Origin, incident_labels, incident_open_manual};
use detect::rsit::{CATEGORIES, Rsit};
use detect::rule::Level;
use ingest::body::{self, BodyId, ContactId};
use ingest::db::DbError;
use ingest::scope::Scope;

use super::incidents::refused;
use super::self_report::{Problem, Questions, bodies, report};
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};
use crate::words::{self, Names, t};

#[derive(Template)]
#[template(path = "incident_new.html")]
struct NewPage {
    frame: Frame,
    bodies: Vec<(String, String, bool)>,
    ways: Vec<(&'static str, &'static str, bool)>,
    levels: Vec<(&'static str, &'static str, bool)>,
    classes: Vec<(String, String, bool)>,
    heard: String,
    questions: Questions,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, vec![])
}

fn page(ask: &Ask, status: StatusCode, problems: Vec<Problem>) -> Reply {
    let (way, level, class) = (ask.form("weg"), ask.form("schwere"), ask.form("klasse"));
    let mut classes = vec![(String::new(), t("noch offen").to_owned(), class.is_empty())];
    for category in CATEGORIES {
        for (kind, _) in category.types {
            let name = format!("{}/{kind}", category.name);
            let label = name.parse::<Rsit>().map(words::rsit).unwrap_or_default();
            classes.push((name.clone(), label, name == class));
        }
    }
    let mut levels = vec![("", t("wie der Betrieb läuft"), level.is_empty())];
    levels.extend(
        [Level::Low, Level::Medium, Level::High, Level::Critical].map(|one| (one.as_str(), words::level(one), level == one.as_str())),
    );
    let page = NewPage {
        bodies: bodies(ask)?,
        ways: [Origin::Phone, Origin::Mail].map(|one| (one.as_str(), words::origin(one), way == one.as_str())).into(),
        levels,
        classes,
        heard: if ask.form("gehoert").is_empty() { show::local_input(ask.now) } else { ask.form("gehoert").to_owned() },
        questions: Questions::of(ask, "", problems),
        frame: ask.frame(t("Vorfall aufnehmen"), Place::Incidents),
    };
    ask.page_status(status, &page)
}

pub(in crate::web) fn open(ask: &mut Ask) -> Reply {
    let mut problems: Vec<Problem> = vec![];
    let read = report(ask).map_err(|wrong| problems.extend(wrong)).ok();
    let heard = match ask.form("gehoert").trim() {
        "" => Some(ask.now),
        typed => show::local_parse(typed).filter(|at| *at <= ask.now),
    };
    if heard.is_none() {
        problems.push(("gehoert", t("Wann wir davon hörten, ist keine Zeit bis jetzt. Prüfen Sie Tag und Uhrzeit.").into()));
    }
    if let (Some(since), Some(heard)) = (read.as_ref().and_then(|report| report.since), heard)
        && since > heard
    {
        problems.push(("seit", t("Der Beginn liegt nach der Meldung. Prüfen Sie beide Zeiten.").into()));
    }
    let chosen = ask.form("stelle");
    let body: Option<BodyId> = chosen.parse().ok();
    if body.is_none() && !chosen.is_empty() {
        problems.push(("stelle", t("Bitte wählen Sie Ihre Stelle aus.").into()));
    }
    let (Some(report), Some(heard), true) = (read, heard, problems.is_empty()) else {
        return page(ask, StatusCode::UNPROCESSABLE_ENTITY, problems);
    };
    let origin = if ask.form("weg") == Origin::Mail.as_str() { Origin::Mail } else { Origin::Phone };
    let mut new = report.incident(origin, body, heard);
    new.severity = Level::parse(ask.form("schwere")).unwrap_or(new.severity);
    new.rsit = ask.form("klasse").parse().unwrap_or(Rsit::UNDETERMINED);
    let viewer = ask.viewer()?;
    let (actor, role, now, scope) = (viewer.user.to_string(), viewer.role, ask.now, viewer.scope.clone());
    let opened = ask.write_about(
        move |tx| {
            let id = incident_open_manual(tx, &scope, &new, &actor, role, now)?;
            let number = incident_labels(tx, &Scope::All, &[id])?.remove(&id).map(|label| label.number);
            Ok::<_, CaseError>(number.unwrap_or_default())
        },
        |number| Some(number.clone()),
    );
    ask.redirect(&format!("/vorfall/{}", opened.map_err(refused)?), "opened")
}

struct LinkRow {
    body: String,
    contact: String,
    by: String,
    made: Markup,
    until: Markup,
    badge: Markup,
    number: String,
}

#[derive(Template)]
#[template(path = "report_links.html")]
struct LinksPage {
    frame: Frame,
    /// Shown this once.
    link: String,
    problem: String,
    contacts: Vec<(String, String, bool)>,
    rows: Vec<LinkRow>,
}

pub(in crate::web) fn links(ask: &mut Ask) -> Reply {
    links_page(ask, StatusCode::OK, String::new(), String::new())
}

fn links_page(ask: &Ask, status: StatusCode, link: String, problem: String) -> Reply {
    let (links, names, known) = ask.app.db.read(|c| {
        let mut known = vec![];
        for body in body::body_list(c)? {
            let name = body.name;
            known.extend(
                body::contact_list(c, body.id)?
                    .into_iter()
                    .map(|one| (format!("{}/{}", one.body, one.id), format!("{name}: {} ({})", one.name, one.email))),
            );
        }
        Ok::<_, DbError>((link_list(c)?, Names::load(c)?, known))
    })?;
    let row = |one: &ListedLink| LinkRow {
        body: one.body_name.clone(),
        contact: one.contact_name.clone(),
        by: if one.created_by == "contact" { t("selbst angefordert").into() } else { names.of(&one.created_by) },
        made: show::time(one.created_at, ask.now),
        until: show::time(one.until, ask.now),
        badge: match one.used_at {
            Some(_) => show::badge(Tone::Good, t("benutzt")),
            None if one.until <= ask.now => show::badge(Tone::Quiet, t("abgelaufen")),
            None => show::badge(Tone::Low, t("offen")),
        },
        number: one.number.clone().unwrap_or_default(),
    };
    let mut contacts = vec![(String::new(), t("bitte wählen").to_owned(), true)];
    contacts.extend(known.into_iter().map(|(id, label)| (id, label, false)));
    let page =
        LinksPage { link, problem, contacts, rows: links.iter().map(row).collect(), frame: ask.frame(t("Meldelinks"), Place::Incidents) };
    ask.page_status(status, &page)
}

pub(in crate::web) fn issue(ask: &mut Ask) -> Reply {
    let chosen: Option<(BodyId, ContactId)> =
        ask.form("an").split_once('/').and_then(|(body, contact)| Some((body.parse().ok()?, contact.parse().ok()?)));
    let Some((body, contact)) = chosen else {
        let text = t("Bitte wählen Sie aus, an wen der Link geht.");
        return links_page(ask, StatusCode::UNPROCESSABLE_ENTITY, String::new(), text.into());
    };
    let viewer = ask.viewer()?;
    let (actor, role, now, publisher) = (viewer.user.to_string(), viewer.role, ask.now, ask.app.publisher.clone());
    let mailed = ask.form("weg") != "zeigen";
    let made = ask.write(move |tx| link_issue(tx, body, contact, mailed.then_some(&*publisher), &actor, role, now));
    match made {
        Ok(Some(token)) => links_page(ask, StatusCode::OK, format!("{}/melden/{token}", ask.app.publisher.base_url), String::new()),
        Ok(None) => ask.redirect("/vorfaelle/meldelinks", "link-mailed"),
        Err(CaseError::Invalid { what: "links", .. }) => {
            let text = t("Für diese Person oder Stelle wurden heute schon viele Links gemacht. Nehmen Sie die Meldung am Telefon auf.");
            links_page(ask, StatusCode::TOO_MANY_REQUESTS, String::new(), text.into())
        }
        Err(error) => Err(refused(error)),
    }
}

#[cfg(test)]
mod tests {
    use detect::role::Role;

    use super::*;
    use crate::web::tests::Front;

    #[tokio::test]
    async fn a_call_is_a_case_with_both_times() {
        let front = Front::new();
        let (cookie, csrf) = front.enter(Role::Analyst);
        assert_eq!(front.get("/vorfaelle/neu", &cookie).await.status, StatusCode::OK);
        let body = front.body.to_string();
        let form = |seit: &'static str, gehoert: &'static str| {
            vec![
                ("csrf", csrf.as_str()),
                ("stelle", body.as_str()),
                ("was", "Telefonanlage ruft nachts im Ausland an"),
                ("seit", seit),
                ("gehoert", gehoert),
                ("name", "Herr Vogt"),
                ("telefon", "0361 1"),
                ("schwere", "high"),
                ("klasse", "fraud/unauthorised-use-of-resources"),
            ]
        };
        for (seit, gehoert, says) in [
            ("2026-11-21T09:00", "2026-11-21T08:00", "Der Beginn liegt nach der Meldung"),
            ("", "2027-01-01T00:00", "keine Zeit bis jetzt"),
            ("nie", "", "verstehen wir nicht"),
        ] {
            let wrong = front.post("/vorfaelle/neu", &cookie, &form(seit, gehoert)).await;
            assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains(says), "{says}: {}", wrong.text);
            assert!(wrong.text.contains("Telefonanlage ruft nachts"), "what was typed is kept");
        }
        let opened = front.post("/vorfaelle/neu", &cookie, &form("2026-11-20T22:00", "2026-11-21T07:45")).await;
        assert_eq!((opened.status, opened.header("location")), (StatusCode::SEE_OTHER, "/vorfall/TC-2026-000001?ok=opened"));
        let view = front.app.db.read(|c| {
            let id = detect::incident::incident_by_number(c, &Scope::All, "TC-2026-000001")?.unwrap();
            Ok::<_, DbError>(detect::incident::incident_get(c, &Scope::All, id)?.unwrap())
        });
        let view = view.unwrap();
        let times: Vec<String> =
            view.history.iter().map(|event| format!("{} {} {}", event.kind, event.event_time, event.recorded_at)).collect();
        expect_test::expect![[r#"
            incident.first_activity 2026-11-20T21:00:00.000Z 2026-11-21T13:02:09.000Z
            incident.aware 2026-11-21T06:45:00.000Z 2026-11-21T13:02:09.000Z
            incident.opened 2026-11-21T13:02:09.000Z 2026-11-21T13:02:09.000Z"#]]
        .assert_eq(&times.join("\n"));
        assert_eq!(
            (view.incident.origin, view.incident.severity, view.incident.rsit.to_string().as_str()),
            (Origin::Phone, Level::High, "fraud/unauthorised-use-of-resources")
        );
    }

    #[tokio::test]
    async fn a_link_is_mailed_or_shown_once() {
        let front = Front::new();
        front.contact();
        let (cookie, csrf) = front.enter(Role::Analyst);
        let contact = front.app.db.read(|c| body::contact_list(c, front.body)).unwrap().remove(0);
        let to = format!("{}/{}", contact.body, contact.id);
        let shown = front.post("/vorfaelle/meldelinks", &cookie, &[("csrf", &csrf), ("an", &to), ("weg", "zeigen")]).await;
        let start = shown.text.find("/melden/").unwrap();
        let path: String = shown.text[start..].chars().take_while(|ch| *ch != '"').collect();
        assert_eq!(front.get(&path, "").await.status, StatusCode::OK, "{path}");
        let mailed = front.post("/vorfaelle/meldelinks", &cookie, &[("csrf", &csrf), ("an", &to), ("weg", "mail")]).await;
        assert_eq!(mailed.header("location"), "/vorfaelle/meldelinks?ok=link-mailed");
        let list = front.get("/vorfaelle/meldelinks", &cookie).await.text;
        assert!(!list.contains(&path) && list.contains("ISB Sömmerda"), "what opens it is not shown again");
        for to in ["", "x/y", &format!("{}/{}", front.other, contact.id)] {
            let answer = front.post("/vorfaelle/meldelinks", &cookie, &[("csrf", &csrf), ("an", to)]).await;
            assert!(answer.status.is_client_error(), "{to}: {}", answer.status);
        }
    }
}
