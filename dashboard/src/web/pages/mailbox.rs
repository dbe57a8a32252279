//! Postfach: the demo's mails, so that a warning can be followed to its reader. Only a program with a sink has it. Mails
//! are shown as text; nothing in them becomes markup, and only links to pages of this house can be clicked.

use askama::Template;

use crate::demo::mime;
use crate::demo::sink::{Sink, SinkMail};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf, tn};

/// Mails on the page; the sink keeps more.
const ROWS_MAX: usize = 100;
/// Characters shown of a mail: ours are a page or two.
const TEXT_CHARS_MAX: usize = 50_000;

struct Row {
    href: String,
    subject: String,
    to: String,
    time: Markup,
    current: bool,
}

/// Text, or where `href` is not empty a link.
#[derive(Debug, PartialEq)]
struct Part {
    text: String,
    href: String,
}

struct Open {
    subject: String,
    from: String,
    to: String,
    time: Markup,
    parts: Vec<Part>,
    headers: String,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxPage {
    frame: Frame,
    summary: String,
    rows: Vec<Row>,
    mail: Option<Open>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let sink = sink(ask)?;
    page(ask, &sink, None)
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let sink = sink(ask)?;
    let mail = ask.param("id").parse().ok().and_then(|id| sink.mail(id)).ok_or(PageError::NotFound)?;
    page(ask, &sink, Some(&mail))
}

fn sink(ask: &Ask) -> Result<Sink, PageError> {
    ask.app.settings.sink.clone().filter(|_| ask.app.settings.demo).ok_or(PageError::NotFound)
}

fn page(ask: &Ask, sink: &Sink, open: Option<&SinkMail>) -> Reply {
    let mails = sink.mails();
    let row = |mail: &SinkMail| Row {
        href: format!("/postfach/{}", mail.id),
        subject: subject(mail),
        to: mail.to.join(", "),
        time: show::time(mail.received_at, ask.now),
        current: open.is_some_and(|open| open.id == mail.id),
    };
    let mail = open.map(|mail| Open {
        subject: subject(mail),
        from: mime::words(&mail.header("from")),
        to: mail.to.join(", "),
        time: show::time(mail.received_at, ask.now),
        parts: parts(&mime::text(&mail.header("content-transfer-encoding"), mail.body()), &ask.app.publisher.base_url),
        headers: mail.raw.split("\r\n\r\n").next().unwrap_or_default().chars().take(TEXT_CHARS_MAX).collect(),
    });
    let title = mail.as_ref().map_or(t("Postfach"), |mail| mail.subject.as_str());
    let summary = match mails.len() {
        0 => String::new(),
        n if n > ROWS_MAX => tf("{n} E-Mails, die neuesten {max} stehen hier.", &[("n", &show::num(n as i128)), ("max", &ROWS_MAX)]),
        n => tn("Eine E-Mail.", "{n} E-Mails, die neuesten zuerst.", n as u64),
    };
    ask.page(&MailboxPage { frame: ask.frame(title, Place::Mailbox), summary, rows: mails.iter().take(ROWS_MAX).map(row).collect(), mail })
}

fn subject(mail: &SinkMail) -> String {
    match mime::words(&mail.header("subject")) {
        none if none.trim().is_empty() => t("(ohne Betreff)").into(),
        subject => subject,
    }
}

/// The text with the links into this house made clickable, by their path, so that they work under any name that the
/// house is reached by. Other links stay text: nobody should learn to click them.
fn parts(text: &str, base_url: &str) -> Vec<Part> {
    let base = base_url.trim_end_matches('/');
    let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let mut parts = vec![];
    let mut plain = String::new();
    for piece in text.split_inclusive(char::is_whitespace) {
        // A link in angle brackets, or at a sentence's end.
        let (before, word) = piece.strip_prefix('<').map_or(("", piece), |rest| ("<", rest));
        let url = word.trim_end_matches(|ch: char| ch.is_whitespace() || matches!(ch, '>' | '.' | ',' | ')'));
        let path = url.strip_prefix(base).filter(|path| !base.is_empty() && path.starts_with('/') && !path.starts_with("//"));
        let strange = |ch: char| !ch.is_ascii_graphic() || matches!(ch, '\\' | '"' | '<');
        match path.filter(|path| !path.contains(strange)) {
            Some(path) => {
                plain.push_str(before);
                parts.push(Part { text: std::mem::take(&mut plain), href: String::new() });
                parts.push(Part { text: url.to_owned(), href: path.to_owned() });
                plain.push_str(word.get(url.len()..).unwrap_or_default());
            }
            None => plain.push_str(piece),
        }
    }
    parts.push(Part { text: plain, href: String::new() });
    parts.retain(|part| !part.text.is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use advisory::delivery::{Delivery, SmtpConfig, Tls};
    use advisory::mail::{Mail, SECRET_MARK, Topic};
    use advisory::outbox::outbox_add;
    use axum::http::StatusCode;
    use detect::role::Role;

    use super::*;
    use crate::web::Settings;
    use crate::web::tests::{Front, now};

    #[test]
    fn only_links_into_this_house_are_links() {
        let base = "http://127.0.0.1:8080";
        for (text, expected) in [
            ("siehe http://127.0.0.1:8080/w/abc\nund", "/w/abc"),
            ("<http://127.0.0.1:8080/meldung/1>.", "/meldung/1"),
            ("Klick: http://127.0.0.1:8080/vorfall/TC-2026-000001, bitte", "/vorfall/TC-2026-000001"),
            ("http://127.0.0.1:8080.evil.test/w/x", ""),
            ("http://127.0.0.1:80800/w/x", ""),
            ("http://127.0.0.1:8080//evil.test", ""),
            ("http://127.0.0.1:8080/\\evil.test", ""),
            ("https://evil.test/http://127.0.0.1:8080/w/x", ""),
            ("javascript:alert(1) /w/x", ""),
        ] {
            let parts = parts(text, base);
            let links: Vec<&str> = parts.iter().map(|part| part.href.as_str()).filter(|href| !href.is_empty()).collect();
            assert_eq!(links.join(" "), expected, "{text}");
            assert_eq!(parts.iter().map(|part| part.text.as_str()).collect::<String>(), text, "nothing is lost");
        }
        assert!(parts("/w/x http://a/w/x", "").iter().all(|part| part.href.is_empty()));
    }

    /// A real mail: out of the outbox, over SMTP, into the sink, onto the page.
    #[tokio::test]
    async fn a_mail_is_read_as_it_was_written() {
        let sink = Sink::default();
        let front = Front::with(Settings { demo: true, sink: Some(sink.clone()), ..Settings::default() });
        let port = sink.start(front.app.clock.clone()).await.unwrap().port();
        let base = front.app.publisher.base_url.clone();
        let mail = Mail {
            key: "k".into(),
            recipient: "isb@soemmerda.example".into(),
            subject: "[TLP:GREEN] Warnung: Kritische Lücke in der Öffentlichkeitsarbeit mit sehr langem Betreff, der gefaltet wird".into(),
            text: format!("Guten Tag,\n\n{base}/w/{SECRET_MARK}\n<b>fett</b> für Grüße: {}", "ä".repeat(100)),
            headers: vec![],
            secret: Some("geheim".into()),
            sealed: false,
            topic: Topic::Advisory,
            about: "a".into(),
            body: None,
            contact: None,
        };
        let subject = mail.subject.clone();
        front.app.db.write(move |tx| outbox_add(tx, &mail, now())).unwrap();
        let smtp = SmtpConfig {
            host: "127.0.0.1".into(),
            port,
            tls: Tls::None,
            login: None,
            from: "ThüringenCERT <wid@cert.example>".into(),
            timeout: Duration::from_secs(10),
        };
        let pass = Delivery::new(front.app.db.clone(), smtp, front.app.clock.clone()).unwrap().pass().await.unwrap();
        assert_eq!(pass.sent, 1);

        // Everybody in the demo may look, even who sees no case.
        let (cookie, _) = front.enter(Role::Steering);
        let list = front.get("/postfach", &cookie).await;
        assert!(list.text.contains(&subject) && list.text.contains("href=\"/postfach/1\""), "{}", list.text);
        let open = front.get("/postfach/1", &cookie).await;
        assert!(open.text.contains("<a href=\"/w/geheim\">"), "{}", open.text);
        assert!(open.text.contains("&lt;b&gt;fett") || open.text.contains("&#60;b&#62;fett"), "{}", open.text);
        assert!(open.text.contains(&"ä".repeat(100)) && open.text.contains("ThüringenCERT"), "{}", open.text);
        assert_eq!(front.get("/postfach/2", &cookie).await.status, StatusCode::NOT_FOUND);
        assert_eq!(front.get("/postfach/x", &cookie).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn outside_the_demo_there_is_no_mailbox() {
        let front = Front::new();
        let (cookie, _) = front.enter(Role::Analyst);
        for path in ["/postfach", "/postfach/1"] {
            assert_eq!(front.get(path, &cookie).await.status, StatusCode::NOT_FOUND);
        }
        assert!(!front.get("/", &cookie).await.text.contains("/postfach"));
    }
}
