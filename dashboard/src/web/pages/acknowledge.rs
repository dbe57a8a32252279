//! The page behind a mail's link: read the warning and answer, without a login and without JavaScript. The token in
//! the path is the key; whoever has it may answer for that body and sees this one warning. The link travels in a mail that
//! is not encrypted: from TLP:AMBER on it opens the answer only, and the text stands behind a login.

use advisory::acknowledgement::{AckOutcome, AckView, Answer, ack_open, ack_record};
use askama::Template;

use super::advisories::{Body, body_of, severity_badge, tlp_badge};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf};

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
    /// Where the text stands that this link does not open.
    behind_login: Option<String>,
    sections: Vec<(&'static str, String)>,
    measures: Vec<(usize, String, String)>,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let token = ask.param("token");
    let view = ask.app.db.read(|c| ack_open(c, token))?.ok_or(PageError::NotFound)?;
    let AckView { advisory, body_name, answer, answered_at, .. } = view;
    let open = advisory.content.tlp.open_to_all_bodies();
    let Body { sections, measures } = if open { body_of(&advisory.content) } else { Body { sections: vec![], measures: vec![] } };
    let title =
        if open { advisory.content.title.clone() } else { tf("{kind} des ThüringenCERT", &[("kind", &t(advisory.content.kind.label()))]) };
    let done = answer.zip(answered_at).map(|(answer, at)| {
        tf("Danke. Ihre Antwort „{answer}“ vom {at} ist gespeichert.", &[("answer", &t(answer.label())), ("at", &show::stamp(at))])
    });
    let page = AckPage {
        frame: ask.frame(advisory.number_label(), Place::Elsewhere),
        token,
        number: advisory.number_label().to_owned(),
        dated: show::time(advisory.released_at.unwrap_or(advisory.updated_at), ask.now),
        title,
        body: body_name,
        severity: severity_badge(advisory.content.severity),
        tlp: tlp_badge(advisory.content.tlp),
        done,
        behind_login: (!open).then(|| format!("/meldung/{}", advisory.id)),
        sections,
        measures,
    };
    ask.page(&page)
}

pub(in crate::web) fn answer(ask: &mut Ask) -> Reply {
    let token = ask.param("token").to_owned();
    let Some(answer) = Answer::parse(ask.form("antwort")) else {
        return Err(PageError::Refused(
            t("Diese Antwort kennen wir nicht. Gehen Sie zurück und wählen Sie eine der Schaltflächen.").into(),
        ));
    };
    // In the log stands which warning and who, never the link's secret.
    let view = ask.app.db.read(|c| ack_open(c, &token))?.ok_or(PageError::NotFound)?;
    ask.about(view.advisory.id);
    ask.acts_as(format!("contact:{}", view.contact));
    ask.remark("body", view.body_name);
    let (now, key) = (ask.now, token.clone());
    match ask.write(move |tx| ack_record(tx, &key, answer, "", now))? {
        AckOutcome::Recorded | AckOutcome::Known => ask.redirect(&format!("/w/{}", show::query_encode(&token)), "answered"),
        AckOutcome::TooMany => Err(PageError::Refused(t("Ihre Antwort wurde schon oft geändert. Bitte rufen Sie uns an.").into())),
        AckOutcome::Unknown => Err(PageError::NotFound),
    }
}

#[cfg(test)]
mod tests {
    use crate::web::tests::{Front, now};

    /// The page behind the link that is mailed for a warning with this label.
    async fn behind_the_link(tlp: &str) -> String {
        let front = Front::new();
        front.contact();
        crate::web::matrix::try_publish(&front, "Luecke im Mailserver", tlp, front.body).unwrap();
        let claim = |tx: &ingest::rusqlite::Transaction<'_>| advisory::outbox::outbox_claim(tx, "example", 10, now());
        let mails = front.app.db.write(claim).unwrap();
        let secret = mails.iter().find_map(|row| row.mail.secret.clone()).expect("a mail with a link");
        front.get(&format!("/w/{secret}"), "").await.text
    }

    #[tokio::test]
    async fn a_link_in_an_open_mail_opens_no_text_that_may_not_stand_in_it() {
        for (tlp, open) in [("clear", true), ("green", true), ("amber", false), ("amber_strict", false), ("red", false)] {
            let page = behind_the_link(tlp).await;
            assert!(page.contains("Haben Sie die Warnung gelesen?"), "{tlp}: {page}");
            let tells = ["Luecke im Mailserver", "Angreifer kommen", "Version 7.2"].map(|word| page.contains(word));
            assert_eq!(tells, [open; 3], "{tlp}");
            assert_eq!(page.contains("Nach der Anmeldung lesen"), !open, "{tlp}");
        }
    }
}
