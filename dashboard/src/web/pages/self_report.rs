//! A body reports an incident: the public page on which somebody asks for a link, and the form and receipt behind the link.
//! All of it works without a login and without JavaScript. What is answered to a wish for a link is the same for everybody,
//! so that nobody learns here who is a contact of which body.

use advisory::self_report::{Link, LinkView, Receipt, link_open, link_request, report_submit};
use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use detect::incident::{ANSWER_CHARS_MAX, LINE_CHARS_MAX, Operation, Report, SERVICES};
use ingest::body::{self, BodyId};

use super::incidents::refused;
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf};

/// A field that came back with what is to be done about it.
pub(super) type Problem = (&'static str, String);

/// The questions with what was typed so far: the same for the form behind a link and for the analyst on the phone.
pub(super) struct Questions {
    pub(super) what: String,
    pub(super) since: String,
    pub(super) affected: String,
    pub(super) done: String,
    pub(super) person: String,
    pub(super) phone: String,
    /// (key, name, whether chosen)
    pub(super) services: Vec<(&'static str, &'static str, bool)>,
    pub(super) operation: Vec<(&'static str, &'static str, bool)>,
    pub(super) problems: Vec<Problem>,
}

impl Questions {
    pub(super) fn of(ask: &Ask, person: &str, problems: Vec<Problem>) -> Self {
        let text = |name: &str| ask.form(name).replace("\r\n", "\n");
        let named: Vec<&str> = ask.form.all("dienst").collect();
        let chosen = Operation::parse(ask.form("betrieb")).unwrap_or(Operation::Unknown);
        Self {
            what: text("was"),
            since: ask.form("seit").to_owned(),
            affected: text("betroffen"),
            done: text("getan"),
            person: if ask.form("name").is_empty() { person.to_owned() } else { ask.form("name").to_owned() },
            phone: ask.form("telefon").to_owned(),
            services: SERVICES.iter().map(|(key, name)| (*key, *name, named.contains(key))).collect(),
            operation: Operation::ALL.map(|one| (one.as_str(), operation(one), one == chosen)).into(),
            problems,
        }
    }

    /// What is to be done about a field; empty where all is well.
    pub(super) fn problem(&self, field: &str) -> String {
        self.problems.iter().find(|(known, _)| *known == field).map(|(_, text)| text.clone()).unwrap_or_default()
    }
}

fn operation(of: Operation) -> &'static str {
    match of {
        Operation::Normal => t("Ja, alles läuft"),
        Operation::Limited => t("Nur eingeschränkt"),
        Operation::Stopped => t("Nein, der Betrieb steht still"),
        Operation::Unknown => t("Weiß ich noch nicht"),
    }
}

/// Reads the answers; what is wrong with them, each with its field.
pub(super) fn report(ask: &Ask) -> Result<Report, Vec<Problem>> {
    let text = |name: &str| ask.form(name).replace("\r\n", "\n").trim().to_owned();
    let mut problems: Vec<Problem> = vec![];
    let since = match ask.form("seit").trim() {
        "" => None,
        typed => match show::local_parse(typed) {
            Some(at) if at <= ask.now => Some(at),
            Some(_) => {
                problems.push(("seit", t("Der Beginn liegt in der Zukunft. Prüfen Sie Tag und Uhrzeit.").into()));
                None
            }
            None => {
                problems.push((
                    "seit",
                    t("Diese Zeit verstehen wir nicht. Schreiben Sie sie wie 2026-11-21T08:30, oder lassen Sie das Feld leer.").into(),
                ));
                None
            }
        },
    };
    let report = Report {
        what: text("was"),
        since,
        operation: Operation::parse(ask.form("betrieb")),
        services: ask.form.all("dienst").take(SERVICES.len()).map(str::to_owned).collect(),
        affected: text("betroffen"),
        done: text("getan"),
        caller: text("name"),
        phone: text("telefon"),
    };
    if report.what.is_empty() {
        problems.push(("was", t("Bitte schreiben Sie in ein paar Worten, was geschehen ist.").into()));
    }
    for (field, text, max) in [
        ("was", &report.what, ANSWER_CHARS_MAX),
        ("betroffen", &report.affected, ANSWER_CHARS_MAX),
        ("getan", &report.done, ANSWER_CHARS_MAX),
        ("name", &report.caller, LINE_CHARS_MAX),
        ("telefon", &report.phone, LINE_CHARS_MAX),
    ] {
        if text.chars().count() > max {
            problems.push((field, tf("Das ist zu lang: Es gehen höchstens {max} Zeichen.", &[("max", &max)])));
        }
    }
    if problems.is_empty() { Ok(report) } else { Err(problems) }
}

#[derive(Template)]
#[template(path = "report_ask.html")]
struct AskPage {
    frame: Frame,
    bodies: Vec<(String, String, bool)>,
    email: String,
    contact: String,
    problems: Vec<Problem>,
}

pub(in crate::web) fn ask_show(ask: &mut Ask) -> Reply {
    ask_page(ask, StatusCode::OK, vec![])
}

fn ask_page(ask: &Ask, status: StatusCode, problems: Vec<Problem>) -> Reply {
    let page = AskPage {
        bodies: bodies(ask)?,
        email: ask.form("mail").to_owned(),
        contact: ask.app.publisher.contact.clone(),
        problems,
        frame: ask.frame(t("Vorfall melden"), Place::Elsewhere),
    };
    ask.page_status(status, &page)
}

/// All bodies to choose from; that they are administrations of the state is no secret.
pub(super) fn bodies(ask: &Ask) -> Result<Vec<(String, String, bool)>, PageError> {
    let chosen = ask.form("stelle");
    let all = ask.app.db.read(body::body_list)?;
    let first = (String::new(), t("bitte wählen").to_owned(), chosen.is_empty());
    Ok([first].into_iter().chain(all.into_iter().map(|body| (body.id.to_string(), body.name, body.id.to_string() == chosen))).collect())
}

pub(in crate::web) fn ask_do(ask: &mut Ask) -> Reply {
    let email = ask.form("mail").trim().to_lowercase();
    let body: Option<BodyId> = ask.form("stelle").parse().ok();
    let mut problems: Vec<Problem> = vec![];
    if body.is_none() {
        problems.push(("stelle", t("Bitte wählen Sie Ihre Stelle aus.").into()));
    }
    // An address by its shape only: whether it is known is not said.
    if email.chars().count() > LINE_CHARS_MAX || !email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && host.contains('.')) {
        problems.push(("mail", t("Das ist keine Mailadresse. Sie sieht aus wie isb@stadt.example.").into()));
    }
    let Some(body) = body.filter(|_| problems.is_empty()) else {
        return ask_page(ask, StatusCode::UNPROCESSABLE_ENTITY, problems);
    };
    // Only programs fill what nobody sees. They hear what everybody hears.
    if !ask.form("webseite").is_empty() {
        return ask.redirect("/melden", "report-asked");
    }
    let door = &ask.app.door;
    let waits = door.reports.enter(&format!("{body}|{email}"), &ask.address(), ask.now).is_err();
    if waits || door.reports_all.enter("", "", ask.now).is_err() {
        let text = t("Gerade kamen zu viele Anfragen. Bitte rufen Sie uns an, oder versuchen Sie es in einer Stunde noch einmal.");
        let mut response = ask_page(ask, StatusCode::TOO_MANY_REQUESTS, vec![("mail", text.into())])?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("3600"));
        return Ok(response);
    }
    let (publisher, now) = (ask.app.publisher.clone(), ask.now);
    ask.write(move |tx| link_request(tx, body, &email, &publisher, now))?;
    ask.redirect("/melden", "report-asked")
}

#[derive(Template)]
#[template(path = "report_form.html")]
struct FormPage {
    frame: Frame,
    token: String,
    body: String,
    until: String,
    questions: Questions,
    contact: String,
}

#[derive(Template)]
#[template(path = "report_receipt.html")]
struct ReceiptPage {
    frame: Frame,
    /// Number, when, and where the receipt was mailed to; `None` where the link does not work any more.
    receipt: Option<(String, Markup, String)>,
    contact: String,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (token, now) = (ask.param("token").to_owned(), ask.now);
    match ask.app.db.read(|c| link_open(c, &token, now))? {
        Some(LinkView::Open(link)) => form(ask, StatusCode::OK, &token, &link, vec![]),
        Some(LinkView::Used(receipt)) => done(ask, Some(&receipt)),
        None => done(ask, None),
    }
}

fn form(ask: &Ask, status: StatusCode, token: &str, link: &Link, problems: Vec<Problem>) -> Reply {
    let page = FormPage {
        token: show::query_encode(token),
        body: link.body_name.clone(),
        until: show::stamp(link.until),
        questions: Questions::of(ask, &link.contact_name, problems),
        contact: ask.app.publisher.contact.clone(),
        frame: ask.frame(t("Vorfall melden"), Place::Elsewhere),
    };
    ask.page_status(status, &page)
}

fn done(ask: &Ask, receipt: Option<&Receipt>) -> Reply {
    let page = ReceiptPage {
        receipt: receipt.map(|one| (one.number.clone(), show::time(one.at, ask.now), one.email.clone())),
        contact: ask.app.publisher.contact.clone(),
        frame: ask.frame(if receipt.is_some() { t("Meldung eingegangen") } else { t("Der Link gilt nicht mehr") }, Place::Elsewhere),
    };
    ask.page_status(if receipt.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND }, &page)
}

pub(in crate::web) fn submit(ask: &mut Ask) -> Reply {
    let (token, now) = (ask.param("token").to_owned(), ask.now);
    let link = match ask.app.db.read(|c| link_open(c, &token, now))? {
        Some(LinkView::Open(link)) => link,
        // Sent twice, or come back to: the receipt says that it is there.
        Some(LinkView::Used(receipt)) => return done(ask, Some(&receipt)),
        None => return done(ask, None),
    };
    let report = match report(ask) {
        Ok(report) => report,
        Err(problems) => return form(ask, StatusCode::UNPROCESSABLE_ENTITY, &token, &link, problems),
    };
    ask.acts_as(format!("contact:{}", link.contact));
    ask.remark("body", link.body_name);
    let (publisher, key) = (ask.app.publisher.clone(), token.clone());
    let taken = ask
        .write_about(move |tx| report_submit(tx, &key, &report, &publisher, now), |receipt| receipt.as_ref().map(|one| one.number.clone()));
    match taken.map_err(refused)? {
        Some(_) => Ok(crate::web::ask::see_other(&format!("/melden/{}", show::query_encode(&token)))),
        None => done(ask, None),
    }
}

#[cfg(test)]
mod tests {
    use advisory::outbox::outbox_claim;
    use ingest::audit::{AuditFilter, audit_find};
    use ingest::db::DbError;

    use super::*;
    use crate::web::tests::{Front, now};

    async fn ask_for(front: &Front, body: BodyId, mail: &str) -> (StatusCode, String) {
        let body = body.to_string();
        let answer = front.post("/melden", "", &[("stelle", &body), ("mail", mail)]).await;
        (answer.status, answer.header("location").to_owned())
    }

    fn token(front: &Front) -> Option<String> {
        let claim = |tx: &ingest::rusqlite::Transaction<'_>| outbox_claim(tx, "example", 10, now());
        let mails = front.app.db.write(claim).unwrap_or_else(|error: DbError| panic!("{error}"));
        mails.into_iter().find_map(|row| row.mail.secret)
    }

    #[tokio::test]
    async fn nobody_learns_who_is_a_contact() {
        let front = Front::new();
        front.contact();
        let unknown = ask_for(&front, front.body, "fremd@soemmerda.example").await;
        let other = ask_for(&front, front.other, "isb@soemmerda.example").await;
        assert!(token(&front).is_none());
        let known = ask_for(&front, front.body, "isb@soemmerda.example").await;
        assert_eq!((&known, &other), (&unknown, &unknown));
        assert_eq!(known, (StatusCode::SEE_OTHER, "/melden?ok=report-asked".into()));
        assert!(token(&front).is_some());
        let rows = front.app.db.read(|c| audit_find(c, &AuditFilter { limit: 50, ..AuditFilter::default() })).unwrap().rows;
        let asked: Vec<_> = rows.iter().filter(|row| row.kind == "report_link.asked").collect();
        assert_eq!(asked.len(), 3, "and each leaves the same row");
        assert!(asked.iter().all(|row| !row.detail.to_string().contains("soemmerda")), "without the address");
    }

    #[tokio::test]
    async fn programs_and_floods_get_nothing() {
        let front = Front::new();
        front.contact();
        let body = front.body.to_string();
        let filled = [("stelle", body.as_str()), ("mail", "isb@soemmerda.example"), ("webseite", "http://spam.example")];
        let answer = front.post("/melden", "", &filled).await;
        assert_eq!((answer.status, token(&front)), (StatusCode::SEE_OTHER, None), "the trap is silent");
        let mut seen = vec![];
        for _ in 0..5 {
            seen.push(ask_for(&front, front.body, "isb@soemmerda.example").await.0.as_u16());
        }
        assert_eq!(seen, [303, 303, 303, 429, 429]);
        let stranger = ask_for(&front, front.body, "x@y.example").await.0;
        assert_eq!(stranger, StatusCode::SEE_OTHER, "others are not kept waiting");
        for (stelle, mail) in [("", "isb@soemmerda.example"), (body.as_str(), "kein@punkt"), (body.as_str(), ""), ("unsinn", "a@b.example")]
        {
            assert_eq!(front.post("/melden", "", &[("stelle", stelle), ("mail", mail)]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let huge = "x".repeat(40 * 1024);
        assert_eq!(front.post("/melden", "", &[("mail", &huge)]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn a_report_by_link_becomes_a_case_with_a_receipt() {
        let front = Front::new();
        front.contact();
        ask_for(&front, front.body, "isb@soemmerda.example").await;
        let path = format!("/melden/{}", token(&front).unwrap());
        let page = front.get(&path, "").await;
        assert!(page.status == StatusCode::OK && page.text.contains("Stadtverwaltung Sömmerda"), "{}", page.text);
        for (fields, says) in [
            (vec![("was", " ")], "was geschehen ist"),
            (vec![("was", "x"), ("seit", "2030-01-01T00:00")], "liegt in der Zukunft"),
            (vec![("was", "x"), ("seit", "gestern")], "verstehen wir nicht"),
            (vec![("was", "x"), ("telefon", &*"1".repeat(300))], "zu lang"),
        ] {
            let wrong = front.post(&path, "", &fields).await;
            assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(wrong.text.contains(says), "{says}: {}", wrong.text);
            assert!(SERVICES.iter().all(|(_, name)| wrong.text.contains(&format!("<span>{name}</span>"))), "{}", wrong.text);
        }
        let form = [
            ("was", "Alle Dateien <b>verschlüsselt</b>"),
            ("seit", "2026-11-21T08:00"),
            ("dienst", "thavel"),
            ("dienst", "landesdatennetz"),
            ("betrieb", "stopped"),
            ("name", "Frau Beyer"),
            ("telefon", "03634 350"),
        ];
        let sent = front.post(&path, "", &form).await;
        assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, path.as_str()));
        let receipt = front.get(&path, "").await.text;
        assert!(receipt.contains("TC-2026-000001") && receipt.contains("isb@soemmerda.example"), "{receipt}");
        let again = front.post(&path, "", &form).await;
        assert!(again.status == StatusCode::OK && again.text.contains("TC-2026-000001"), "the same again is the same receipt");
        let (cookie, _) = front.enter(detect::role::Role::Analyst);
        let case = front.get("/vorfall/TC-2026-000001", &cookie).await.text;
        for part in
            ["&lt;b&gt;", "ThAVEL, Landesdatennetz", "steht still", "03634 350", "Meldung der Stelle", "kritisch", "21.11.2026, 08:00"]
        {
            assert!(case.contains(part) || case.replace("&#60;", "&lt;").replace("&#62;", "&gt;").contains(part), "{part}: {case}");
        }
        assert_eq!(front.get("/vorfall/TC-2026-000002", &cookie).await.status, StatusCode::NOT_FOUND, "one report, one case");
        let rows = front.app.db.read(|c| audit_find(c, &AuditFilter { limit: 50, ..AuditFilter::default() })).unwrap().rows;
        let row = rows.iter().find(|row| row.kind == "incident.reported").unwrap();
        assert!(row.actor.starts_with("contact:") && row.object == "incident:TC-2026-000001", "{row:?}");
    }
}
