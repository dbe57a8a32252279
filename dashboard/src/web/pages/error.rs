//! What is said when there is no page: in the same frame, in plain words, with what to do next.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::show::filters;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, plain};
use crate::words::t;

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    code: u16,
    title: &'a str,
    text: &'a str,
}

pub(in crate::web) fn respond(ask: &Ask, error: PageError) -> Response {
    let refused;
    // Sending it again helps where only the session changed, not where another person's version stands in the way.
    let kept = match error {
        PageError::ForeignForm => Some(true),
        PageError::Refused(_) => Some(false),
        _ => None,
    };
    let (status, title, text) = match error {
        PageError::NotFound => (
            StatusCode::NOT_FOUND,
            t("Das gibt es hier nicht"),
            t(
                "Unter dieser Adresse liegt nichts, oder es gehört nicht zu Ihrem Bereich. Prüfen Sie die Adresse, oder beginnen Sie auf der Startseite.",
            ),
        ),
        PageError::Forbidden => (
            StatusCode::FORBIDDEN,
            t("Dafür reicht Ihre Rolle nicht"),
            t(
                "Diese Seite gehört zu einer anderen Aufgabe. Wenn Sie sie brauchen, bitten Sie die Leitung des ThüringenCERT um die passende Rolle.",
            ),
        ),
        PageError::ForeignForm => (
            StatusCode::FORBIDDEN,
            t("Das Formular ist nicht mehr gültig"),
            t(
                "Vielleicht waren Sie inzwischen abgemeldet, oder es kam von einer anderen Seite. Laden Sie die Seite neu, und senden Sie das Formular noch einmal.",
            ),
        ),
        PageError::Gone => (StatusCode::UNAUTHORIZED, t("Die Sitzung ist zu Ende"), t("Bitte melden Sie sich neu an.")),
        PageError::Refused(why) => {
            refused = why;
            (StatusCode::CONFLICT, t("Das ging nicht"), refused.as_str())
        }
        PageError::Unnoted => {
            tracing::error!(path = %ask.path, "page withheld: the audit log takes nothing");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                t("Das geht gerade nicht"),
                t(
                    "Was hier geschieht, muss protokolliert werden, und das Protokoll nimmt gerade nichts an. Bitte versuchen Sie es gleich noch einmal, und sagen Sie der Verwaltung Bescheid, wenn es so bleibt.",
                ),
            )
        }
        PageError::Db(_) | PageError::Render(_) | PageError::Store(_) => {
            // The chain of causes names tables and files, never what a log line held.
            tracing::error!(path = %ask.path, error = %chain(&error), "page failed");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                t("Das hat nicht geklappt"),
                t("Der Fehler liegt bei uns und ist vermerkt. Bitte versuchen Sie es gleich noch einmal."),
            )
        }
    };
    // A script shows it in a line: what can be done about a refusal stands in its sentence, all else in the heading.
    if ask.fragment {
        return plain(status, if status == StatusCode::CONFLICT { text } else { title });
    }
    if let Some(page) = kept.and_then(|again| super::kept::respond(ask, status, title, text, again)) {
        return page;
    }
    let page = ErrorPage { frame: ask.frame(title, Place::Elsewhere), code: status.as_u16(), title, text };
    ask.page_status(status, &page).unwrap_or_else(|_| plain(status, title))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
