//! The page behind a mail's link: read the warning and answer, without a login and without JavaScript. The token in
//! the path is the key; whoever has it may answer for that body and sees this one warning.

use advisory::acknowledgement::{AckOutcome, AckView, Answer, ack_open, ack_record};
use askama::Template;

use super::advisories::{Body, body_of, severity_badge, tlp_badge};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};

#[derive(Template)]
#[template(path = "acknowledge.html")]
struct AckPage<'a> {
    frame: Frame,
    token: &'a str,
    number: String,
    dated: Markup,
    title: String,
    body: String,
    severity: Markup,
    tlp: Markup,
    done: Option<String>,
    sections: Vec<(&'static str, String)>,
    measures: Vec<(usize, String, String)>,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let token = ask.param("token");
    let view = ask.app.db.read(|c| ack_open(c, token))?.ok_or(PageError::NotFound)?;
    let AckView { advisory, body_name, answer, answered_at, .. } = view;
    let Body { sections, measures } = body_of(&advisory.content);
    let done = answer
        .zip(answered_at)
        .map(|(answer, at)| format!("Danke. Ihre Antwort „{}“ vom {} ist gespeichert.", answer.label(), show::stamp(at)));
    let page = AckPage {
        frame: ask.frame(advisory.number_label(), Place::Elsewhere),
        token,
        number: advisory.number_label().to_owned(),
        dated: show::time(advisory.released_at.unwrap_or(advisory.updated_at), ask.now),
        title: advisory.content.title.clone(),
        body: body_name,
        severity: severity_badge(advisory.content.severity),
        tlp: tlp_badge(advisory.content.tlp),
        done,
        sections,
        measures,
    };
    ask.page(&page)
}

pub(in crate::web) fn answer(ask: &mut Ask) -> Reply {
    let token = ask.param("token").to_owned();
    let Some(answer) = Answer::parse(ask.form("antwort")) else {
        return Err(PageError::Refused("Diese Antwort kennen wir nicht. Gehen Sie zurück und wählen Sie eine der Schaltflächen.".into()));
    };
    // In the log stands which warning and who, never the link's secret.
    let view = ask.app.db.read(|c| ack_open(c, &token))?.ok_or(PageError::NotFound)?;
    ask.about(view.advisory.id);
    ask.acts_as(format!("contact:{}", view.contact));
    ask.remark("body", view.body_name);
    let (now, key) = (ask.now, token.clone());
    match ask.write(move |tx| ack_record(tx, &key, answer, "", now))? {
        AckOutcome::Recorded | AckOutcome::Known => ask.redirect(&format!("/w/{}", show::query_encode(&token)), "answered"),
        AckOutcome::TooMany => Err(PageError::Refused("Ihre Antwort wurde schon oft geändert. Bitte rufen Sie uns an.".into())),
        AckOutcome::Unknown => Err(PageError::NotFound),
    }
}
