//! Empfänger und Abos: who gets which warnings.

use std::collections::HashMap;

use advisory::advisory::{Kind, Severity};
use advisory::subscription::{Subscription, SubscriptionId, subscription_add, subscription_change, subscription_list};
use askama::Template;
use ingest::body::{self, BodyId, KREISE};
use ingest::db::DbError;
use ingest::scope::Scope;

use crate::show::{self, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{de, t, tf};

struct Row {
    id: String,
    body: String,
    kreis: &'static str,
    what: String,
    keywords: String,
    contacts: Vec<(String, String)>,
    may_end: bool,
    toggle: &'static str,
}

#[derive(Template)]
#[template(path = "subscriptions.html")]
struct SubscriptionsPage {
    frame: Frame,
    summary: String,
    rows: Vec<Row>,
    bodies: Vec<(String, String)>,
    severities: Vec<(&'static str, &'static str)>,
    kinds: Vec<(&'static str, &'static str)>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let scope = ask.scope();
    let (bodies, subscriptions, contacts) = ask.app.db.read(|c| {
        let bodies: Vec<_> = body::body_list(c)?.into_iter().filter(|body| scope.body_allowed(Some(body.id))).collect();
        let (mut subscriptions, mut contacts) = (vec![], HashMap::new());
        for body in &bodies {
            subscriptions.extend(subscription_list(c, &scope, body.id)?);
            contacts.insert(body.id, body::contact_list(c, body.id)?);
        }
        Ok::<_, DbError>((bodies, subscriptions, contacts))
    })?;
    let by_id: HashMap<BodyId, &body::Body> = bodies.iter().map(|body| (body.id, body)).collect();
    let row = |one: &Subscription| {
        let body = by_id.get(&one.body)?;
        let own = one.id != SubscriptionId::default();
        Some(Row {
            id: one.id.to_string(),
            body: body.name.clone(),
            kreis: KREISE.iter().find(|kreis| kreis.key == body.kreis).map_or("", |kreis| kreis.name),
            what: what(one, own),
            keywords: one.keywords.join(", "),
            contacts: contacts.get(&one.body).into_iter().flatten().map(|contact| (contact.name.clone(), contact.email.clone())).collect(),
            may_end: own,
            toggle: if one.enabled { t("Anhalten") } else { t("Fortsetzen") },
        })
    };
    let internal = scope == Scope::All;
    let people: usize = contacts.values().map(Vec::len).sum();
    let page = SubscriptionsPage {
        frame: ask.frame(if internal { t("Empfänger und Abos") } else { t("Abos") }, Place::Subscriptions),
        summary: tf(
            "{bodies} Stellen, {people} Ansprechpersonen",
            &[("bodies", &show::num(count(bodies.len()))), ("people", &show::num(count(people)))],
        ),
        rows: subscriptions.iter().filter_map(row).collect(),
        bodies: bodies.iter().map(|body| (body.id.to_string(), body.name.clone())).collect(),
        severities: Severity::ALL.iter().map(|one| (one.as_str(), t(one.label()))).collect(),
        kinds: Kind::ALL.iter().map(|one| (one.as_str(), t(one.label()))).collect(),
    };
    ask.page(&page)
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn what(one: &Subscription, own: bool) -> String {
    let kinds = if one.kinds.is_empty() {
        t("alle Arten").to_owned()
    } else {
        one.kinds.iter().map(|kind| t(kind.label())).collect::<Vec<_>>().join(", ")
    };
    let text = match (own, one.enabled) {
        (false, _) => de("ab „{severity}“, {kinds} (Vorgabe)"),
        (true, false) => de("ab „{severity}“, {kinds} (angehalten)"),
        (true, true) => de("ab „{severity}“, {kinds}"),
    };
    tf(text, &[("severity", &t(one.severity_min.label())), ("kinds", &kinds)])
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let body: BodyId = ask.form("stelle").parse().map_err(|_| PageError::NotFound)?;
    let chosen: Vec<Kind> = ask.form.all("art").filter_map(Kind::parse).collect();
    let one = Subscription {
        severity_min: Severity::parse(ask.form("schwere")).unwrap_or(Severity::Mittel),
        // All of them ticked is the same as none: then kinds that come later are wanted too.
        kinds: if chosen.len() == Kind::ALL.len() { vec![] } else { chosen },
        keywords: ask.form("worte").split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect(),
        ..Subscription::default_for(body)
    };
    let (scope, now) = (ask.scope(), ask.now);
    // A foreign body does not exist for this caller; that its list is full is another thing.
    if !scope.body_allowed(Some(body)) || ask.app.db.read(|c| body::body_get(c, body))?.is_none() {
        return Err(PageError::NotFound);
    }
    match ask.write(move |tx| subscription_add(tx, &scope, &one, now))? {
        Some(_) => ask.redirect("/abos", "subscribed"),
        None => Err(PageError::Refused(
            t("Diese Stelle hat schon so viele Abos, wie möglich sind. Halten Sie eines an oder ändern Sie es.").into(),
        )),
    }
}

/// Stops a subscription, or starts a stopped one again.
pub(in crate::web) fn toggle(ask: &mut Ask) -> Reply {
    let id: SubscriptionId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let scope = ask.scope();
    let found = ask.app.db.read(|c| {
        for body in body::body_list(c)?.into_iter().filter(|body| scope.body_allowed(Some(body.id))) {
            let found = subscription_list(c, &scope, body.id)?.into_iter().find(|one| one.id == id);
            if found.is_some() {
                return Ok::<_, DbError>(found);
            }
        }
        Ok(None)
    })?;
    let mut one = found.filter(|one| one.id != SubscriptionId::default()).ok_or(PageError::NotFound)?;
    one.enabled = !one.enabled;
    let (now, notice) = (ask.now, if one.enabled { "subscribed" } else { "unsubscribed" });
    ask.write(move |tx| subscription_change(tx, &scope, &one, now))?;
    ask.redirect("/abos", notice)
}
