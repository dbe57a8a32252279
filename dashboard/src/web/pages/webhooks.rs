//! Webhooks: which programs are told of cases and alerts. What signatures are checked with is shown once, on the answer to the
//! form that added one; what does not arrive is seen here.

use askama::Template;
use axum::http::StatusCode;

use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::webhook::{
    Event, NAME_CHARS_MAX, NewWebhook, URL_CHARS_MAX, WEBHOOKS_MAX, Webhook, WebhookError, WebhookId, webhook_add, webhook_again,
    webhook_end, webhook_list,
};
use crate::words::{Names, t, tf, tn};

struct Row {
    id: String,
    name: String,
    host: String,
    events: String,
    state: Markup,
    sent: String,
    waiting: String,
    error: String,
    alive: bool,
    may_again: bool,
    by: String,
}

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhooksPage {
    frame: Frame,
    rows: Vec<Row>,
    /// (value, label, chosen)
    events: Vec<(&'static str, &'static str, bool)>,
    /// The new secret, this once.
    secret: String,
    problem: String,
    name: String,
    url: String,
    name_max: usize,
    url_max: usize,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    page(ask, StatusCode::OK, String::new(), String::new())
}

fn page(ask: &Ask, status: StatusCode, secret: String, problem: String) -> Reply {
    let (webhooks, names) = ask.app.db.read(|c| Ok::<_, ingest::db::DbError>((webhook_list(c)?, Names::load(c)?)))?;
    let typed = !problem.is_empty();
    let given: Vec<&str> = ask.form.all("ereignis").collect();
    let page = WebhooksPage {
        frame: ask.frame(t("Webhooks"), Place::Accounts),
        rows: webhooks.iter().map(|one| row(one, &names)).collect(),
        events: Event::ALL.map(|event| (event.as_str(), label(event), typed && given.contains(&event.as_str()))).into(),
        secret,
        name: if typed { ask.form("name").to_owned() } else { String::new() },
        url: if typed { ask.form("adresse").to_owned() } else { String::new() },
        name_max: NAME_CHARS_MAX,
        url_max: URL_CHARS_MAX,
        problem,
    };
    ask.page_status(status, &page)
}

fn row(one: &Webhook, names: &Names) -> Row {
    let alive = one.ended_at.is_none();
    let state = match (alive, one.dead + one.dropped, &one.error) {
        (false, ..) => show::badge(Tone::Quiet, t("beendet")),
        (true, 0, None) => show::badge(Tone::Good, t("gilt")),
        (true, 0, Some(_)) => show::badge(Tone::Mid, t("gestört")),
        (true, ..) => show::badge(Tone::High, t("aufgegeben")),
    };
    let lost = one.dead + one.dropped;
    let waiting = match (one.queued, lost) {
        (0, 0) => String::new(),
        (queued, 0) => tn("eine Nachricht wartet", "{n} Nachrichten warten", queued.unsigned_abs()),
        (_, lost) => tn("eine Nachricht kam nicht an", "{n} Nachrichten kamen nicht an", lost.unsigned_abs()),
    };
    Row {
        id: one.id.to_string(),
        name: one.name.clone(),
        // Behind the name an address may hold a key.
        host: host(&one.url),
        events: one.events.iter().map(|event| label(*event)).collect::<Vec<_>>().join(", "),
        state,
        sent: one.sent_at.map_or_else(|| t("noch nie").into(), show::stamp),
        waiting,
        error: one.error.clone().filter(|_| alive).unwrap_or_default(),
        alive,
        may_again: alive && (one.error.is_some() || lost > 0),
        by: names.of(&one.created_by),
    }
}

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned()
}

fn label(event: Event) -> &'static str {
    match event {
        Event::Opened => t("Vorfall eröffnet"),
        Event::Changed => t("Vorfall geändert"),
        Event::Closed => t("Vorfall geschlossen"),
        Event::Filed => t("Alarm eingegangen"),
    }
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let events: Vec<Event> = Event::ALL.into_iter().filter(|event| ask.form.all("ereignis").any(|given| given == event.as_str())).collect();
    let new = NewWebhook { name: ask.form("name").to_owned(), url: ask.form("adresse").to_owned(), events };
    ask.remark("host", host(new.url.trim()));
    let (vault, actor, now) = (ask.app.door.vault.clone(), ask.viewer()?.user.to_string(), ask.now);
    let added = ask.write_about(move |tx| webhook_add(tx, &vault, &new, &actor, now), |(id, _)| Some(id.to_string()));
    let again = |ask: &Ask, text: String| page(ask, StatusCode::UNPROCESSABLE_ENTITY, String::new(), text);
    match added {
        Ok((_, secret)) => page(ask, StatusCode::OK, secret.reveal().to_owned(), String::new()),
        Err(WebhookError::Name) => again(
            ask,
            tf("Bitte geben Sie einen Namen von höchstens {n} Zeichen an, zum Beispiel „Ticketsystem“.", &[("n", &NAME_CHARS_MAX)]),
        ),
        Err(WebhookError::Url) => {
            again(ask, t("Die Adresse beginnt mit https:// (http:// nur auf diesem Rechner) und enthält keinen Anmeldenamen.").into())
        }
        Err(WebhookError::Events) => again(ask, t("Bitte wählen Sie mindestens ein Ereignis.").into()),
        Err(WebhookError::TooMany) => {
            again(ask, tf("Es gibt schon {n} Webhooks. Beenden Sie einen, den niemand mehr braucht.", &[("n", &WEBHOOKS_MAX)]))
        }
        Err(WebhookError::Db(error)) => Err(error.into()),
    }
}

pub(in crate::web) fn end(ask: &mut Ask) -> Reply {
    let id: WebhookId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let now = ask.now;
    ask.write(move |tx| there(webhook_end(tx, id, now)?))?;
    ask.redirect("/konten/webhooks", "webhook-ended")
}

pub(in crate::web) fn again(ask: &mut Ask) -> Reply {
    let id: WebhookId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let now = ask.now;
    ask.write(move |tx| there(webhook_again(tx, id, now)?))?;
    ask.redirect("/konten/webhooks", "webhook-again")
}

/// What is not there leaves no row in the log.
fn there(found: bool) -> Result<(), PageError> {
    if found { Ok(()) } else { Err(PageError::NotFound) }
}

#[cfg(test)]
mod tests {
    use detect::role::Role;

    use super::*;
    use crate::web::tests::Front;

    #[tokio::test]
    async fn an_administrator_adds_one_and_sees_its_secret_once() {
        let front = Front::new();
        let (cookie, csrf) = front.enter(Role::Admin);
        let post =
            async |fields: &[(&str, &str)]| front.post("/konten/webhooks", &cookie, &[&[("csrf", csrf.as_str())], fields].concat()).await;
        for (name, url, event, says) in [
            ("", "https://tickets.example/x", "incident.opened", "einen Namen"),
            ("T", "http://tickets.example/x", "incident.opened", "beginnt mit https"),
            ("T", "https://a:b@tickets.example/", "incident.opened", "beginnt mit https"),
            ("T", "https://tickets.example/x", "unsinn", "mindestens ein Ereignis"),
        ] {
            let wrong = post(&[("name", name), ("adresse", url), ("ereignis", event)]).await;
            assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(wrong.text.contains(says), "{says}: {}", wrong.text);
        }
        let made = post(&[("name", "Tickets"), ("adresse", "https://tickets.example/x?key=abc"), ("ereignis", "incident.opened")]).await;
        let secret = regex::Regex::new("value=\"([0-9a-f]{64})\" readonly").unwrap().captures(&made.text).map(|found| found[1].to_owned());
        let secret = secret.unwrap_or_else(|| panic!("{}", made.text));
        let page = front.get("/konten/webhooks", &cookie).await.text;
        assert!(page.contains("tickets.example") && !page.contains(&secret) && !page.contains("key=abc"), "{page}");
        let stored: String = front
            .app
            .db
            .read(|c| c.query_row("SELECT sealed FROM webhook", [], |row| row.get(0)).map_err(ingest::db::DbError::from))
            .unwrap();
        assert!(!stored.contains(&secret));
        let id = front.app.db.read(webhook_list).unwrap()[0].id;
        for (act, status) in [("erneut", 303), ("beenden", 303), ("beenden", 404), ("erneut", 404)] {
            let answer = front.post(&format!("/konten/webhooks/{id}/{act}"), &cookie, &[("csrf", &csrf)]).await;
            assert_eq!(answer.status.as_u16(), status, "{act}");
        }
    }
}
