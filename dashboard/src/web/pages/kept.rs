//! A form that was not taken, with all that was typed into it: the session ended meanwhile, it carries the token of an
//! earlier one, or somebody else saved first. Nobody types twice. It keeps nothing on the server: the answer holds it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::show::filters;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, surely_same_origin};
use crate::words::t;

/// Longer than what lists and hidden fields hold: somebody typed it.
const TYPED_CHARS_MIN: usize = 12;
/// Lines of a field on the page; it scrolls beyond.
const ROWS_MAX: usize = 12;

#[derive(Template)]
#[template(path = "kept.html")]
struct KeptPage<'a> {
    frame: Frame,
    title: &'a str,
    text: &'a str,
    /// Whether sending it again can help; it does not where another person's version stands in the way.
    again: bool,
    action: &'a str,
    fields: Vec<Field<'a>>,
}

struct Field<'a> {
    name: &'a str,
    value: &'a str,
    typed: bool,
    number: usize,
    rows: usize,
}

/// The page, where the request is a form of ours with something typed into it. One that came from another site is never
/// offered to be sent again, and one with a password in it is not repeated.
pub(in crate::web) fn respond(ask: &Ask, status: StatusCode, title: &str, text: &str, again: bool) -> Option<Response> {
    let secret = ["kennwort", "password", "code", "token"];
    let fields = fields(&ask.form.0);
    let ours = !ask.fragment && surely_same_origin(&ask.headers);
    let quiet = fields.iter().all(|field| !secret.iter().any(|word| field.name.contains(word)));
    if !ours || !quiet || !fields.iter().any(|field| field.typed) {
        return None;
    }
    let page = KeptPage { frame: ask.frame(title, Place::Elsewhere), title, text, again, action: &ask.path, fields };
    ask.page_status(status, &page).ok()
}

/// As `respond`, for a form that came when its session had ended.
pub(in crate::web) fn signed_out(ask: &Ask) -> Option<Response> {
    let text = t("Sie waren zu lange nicht aktiv oder haben sich in einem anderen Fenster abgemeldet. Gesendet wurde noch nichts.");
    respond(ask, StatusCode::UNAUTHORIZED, t("Die Sitzung ist zu Ende"), text, true)
}

fn fields(form: &[(String, String)]) -> Vec<Field<'_>> {
    let mut fields = vec![];
    let mut number = 0;
    for (name, value) in form.iter().filter(|(name, _)| name != "csrf") {
        let typed = value.contains(char::is_whitespace) || value.chars().count() >= TYPED_CHARS_MIN && !is_key(value);
        number += usize::from(typed);
        fields.push(Field { name, value, typed, number, rows: value.lines().count().clamp(2, ROWS_MAX) });
    }
    fields
}

/// An identity as our own forms carry it (ULID).
fn is_key(value: &str) -> bool {
    value.len() == 26 && value.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::{Request, header};
    use detect::role::Role;

    use super::*;
    use crate::web::tests::{Answer, Front};

    async fn note(front: &Front, cookie: &str, from: &str, form: &str) -> Answer {
        let request = Request::post("/vorfall/TC-2026-000001/notiz")
            .header(header::COOKIE, cookie)
            .header(header::HOST, "wartburg.test")
            .header("sec-fetch-site", from)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        front.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    #[tokio::test]
    async fn a_form_of_a_session_that_ended_keeps_what_was_typed() {
        let front = Front::new();
        let typed = "text=%3Cb%3EDie+Stelle%3C%2Fb%3E+ruft+an";
        let ended = note(&front, "", "same-origin", typed).await;
        assert_eq!(ended.status, StatusCode::UNAUTHORIZED);
        assert!(ended.text.contains("&#60;b&#62;Die Stelle&#60;/b&#62; ruft an</textarea>"), "{}", ended.text);
        // Signed in again, the old token does not fit; the new one stands in the form that is offered.
        let (cookie, csrf) = front.enter(Role::Analyst);
        let again = note(&front, &cookie, "same-origin", &format!("{typed}&csrf=alt")).await;
        assert_eq!(again.status, StatusCode::FORBIDDEN);
        assert!(again.text.contains("ruft an</textarea>") && again.text.contains(&csrf));
    }

    #[tokio::test]
    async fn another_sites_words_and_passwords_are_never_offered() {
        let front = Front::new();
        let (cookie, _) = front.enter(Role::Analyst);
        for (cookie, from, form) in [
            ("", "cross-site", "text=fremde+Worte"),
            (cookie.as_str(), "cross-site", "text=fremde+Worte"),
            (cookie.as_str(), "same-origin", "text=fremde+Worte&kennwort=geheim+geheim"),
        ] {
            let answer = note(&front, cookie, from, form).await;
            assert!(!answer.text.contains("fremde") && !answer.text.contains("geheim"), "{from} {form}");
        }
    }

    #[tokio::test]
    async fn a_button_alone_leads_to_the_door() {
        let front = Front::new();
        assert_eq!(note(&front, "", "same-origin", "version=3&csrf=x").await.status, StatusCode::SEE_OTHER);
    }

    #[test]
    fn what_was_typed_is_told_from_what_the_form_carried() {
        let form = [
            ("csrf", "0123456789abcdef0123456789abcdef"),
            ("version", "3"),
            ("empfehlung", "01M6DX52V0WPTA0N6VQ596GEQ3"),
            ("nach", "closed"),
            ("text", "zwei Worte"),
            ("title", "Sicherheitslücke"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let told: Vec<_> = fields(&form).iter().map(|field| (field.name, field.typed, field.number)).collect();
        let expected = [("version", false, 0), ("empfehlung", false, 0), ("nach", false, 0), ("text", true, 1), ("title", true, 2)];
        assert_eq!(told, expected);
    }
}
