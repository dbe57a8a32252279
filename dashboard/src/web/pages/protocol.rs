//! Protokoll: who did, saw, searched and revealed what, for those who read it; and whether it is as it was written.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use askama::Template;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame as Piece;
use ingest::audit::{Audit, AuditFilter, Root, audit_find, audit_head, root_last};
use ingest::db::{Db, DbError};
use ingest::events::{Cancel, CancelGuard};
use ingest::time::Timestamp;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::audit_check::AuditCheck;
use crate::csv;
use crate::show::{self, Markup, filters, link};
use crate::user::user_list;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, de, t, tf};

const PAGE_ROWS: usize = 50;
/// Rows of one download. Who needs more takes a shorter period at a time.
const CSV_ROWS_MAX: usize = 200_000;
/// Rows read and sent at a time.
const CSV_BATCH: usize = 500;
/// Pieces that wait for a slow reader; then reading waits too.
const PIECES_MAX: usize = 4;

struct Row {
    n: i64,
    when: Markup,
    exact: String,
    who: String,
    did: String,
    kind: String,
    object: String,
    details: Vec<(String, String)>,
    hash: String,
}

type Choices = Vec<(String, String, bool)>;

#[derive(Template)]
#[template(path = "protocol.html")]
struct ProtocolPage<'a> {
    frame: Frame,
    summary: String,
    fault: String,
    state: Vec<(&'static str, String)>,
    people: Choices,
    kinds: Choices,
    object: &'a str,
    word: &'a str,
    from: String,
    to: String,
    filtered: bool,
    rows: Vec<Row>,
    /// Says where reading ended before the page was full.
    cut: bool,
    older: String,
    first: String,
    csv: String,
}

/// The filter's fields in the address, in their order.
const FIELDS: [&str; 6] = ["wer", "art", "worum", "von", "bis", "wort"];

fn filter(ask: &Ask) -> AuditFilter {
    let moment = |name: &str| show::local_parse(ask.query(name)).or_else(|| Timestamp::parse_rfc3339(ask.query(name)));
    AuditFilter {
        actor: Some(ask.query("wer").to_owned()).filter(|who| !who.is_empty()),
        kind: ask.query("art").to_owned(),
        object: ask.query("worum").trim().to_owned(),
        from: moment("von"),
        to: moment("bis"),
        text: ask.query("wort").trim().to_owned(),
        before: ask.query("vor").parse().ok(),
        limit: PAGE_ROWS,
    }
}

fn address(ask: &Ask, path: &str, before: Option<i64>) -> String {
    let before = before.map(|before| before.to_string()).unwrap_or_default();
    let kept = FIELDS.map(|name| (name, ask.query(name)));
    link(path, &kept.into_iter().chain([("vor", before.as_str())]).collect::<Vec<_>>())
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let filter = filter(ask);
    let (page, users, names, head, root, check) = ask.app.db.read(|c| {
        Ok::<_, DbError>((audit_find(c, &filter)?, user_list(c)?, Names::load(c)?, audit_head(c)?, root_last(c)?, AuditCheck::load(c)?))
    })?;
    let chosen = |value: &str, name: &str| ask.query(name) == value;
    let mut people: Choices = vec![(String::new(), t("alle").into(), chosen("", "wer"))];
    people.extend(users.iter().map(|user| {
        let id = user.id.to_string();
        let on = chosen(&id, "wer");
        (id, user.name.clone(), on)
    }));
    people.extend(
        [("system", t("Wartburg selbst")), ("unknown", t("Unbekannte"))].map(|(id, label)| (id.into(), label.into(), chosen(id, "wer"))),
    );
    let mut kinds: Choices = vec![(String::new(), t("alles").into(), chosen("", "art"))];
    kinds.extend(words::audit::GROUPS.iter().map(|(kind, label)| ((*kind).to_owned(), t(label).to_owned(), chosen(kind, "art"))));
    let view = ProtocolPage {
        frame: ask.frame(t("Protokoll"), Place::Protocol),
        summary: tf("Wer was getan, gesehen, gesucht und aufgedeckt hat. {n} Zeilen.", &[("n", &show::num(head.n))]),
        fault: check.as_ref().and_then(|check| check.fault.clone()).map(|_| t(FAULT).to_owned()).unwrap_or_default(),
        state: state(root.as_ref(), check.as_ref(), ask.now),
        people,
        kinds,
        object: ask.query("worum"),
        word: ask.query("wort"),
        from: filter.from.map(show::local_input).unwrap_or_default(),
        to: filter.to.map(show::local_input).unwrap_or_default(),
        filtered: FIELDS.iter().any(|name| !ask.query(name).is_empty()),
        rows: page.rows.iter().map(|row| shown(row, &names, ask.now)).collect(),
        cut: page.cut,
        older: page.next.map(|next| address(ask, "/protokoll", Some(next))).unwrap_or_default(),
        first: if filter.before.is_some() { address(ask, "/protokoll", None) } else { String::new() },
        csv: address(ask, "/protokoll.csv", None),
    };
    ask.page(&view)
}

const FAULT: &str = de(
    "Das Protokoll ist nicht so, wie es geschrieben wurde. Auf dem Server sagt „wartburg verify“, wo. Sichern Sie das Datenverzeichnis, bevor jemand etwas daran ändert.",
);

fn state(root: Option<&Root>, check: Option<&AuditCheck>, now: Timestamp) -> Vec<(&'static str, String)> {
    let signed = match root {
        Some(root) => tf("{at}, bis Zeile {n}", &[("at", &show::stamp(root.at)), ("n", &show::num(root.n))]),
        None => t("noch keiner; der erste kommt, sobald der Server eine Minute läuft").into(),
    };
    let checked = match check {
        Some(AuditCheck { at, rows, fault: None }) => tf(
            "{at} ({ago}): {n} Zeilen unverändert",
            &[("at", &show::stamp(*at)), ("ago", &show::ago(*at, now)), ("n", &show::num(*rows))],
        ),
        Some(AuditCheck { at, .. }) => tf("{at}: nicht in Ordnung", &[("at", &show::stamp(*at))]),
        None => t("noch nicht").into(),
    };
    let mut state = vec![(t("Letzter unterschriebener Stand"), signed), (t("Zuletzt geprüft"), checked)];
    if let Some(root) = root {
        state.push((t("Prüfsumme dazu"), root.hash.clone()));
        state.push((t("Öffentlicher Schlüssel"), root.key.clone()));
    }
    state
}

fn shown(row: &Audit, names: &Names, now: Timestamp) -> Row {
    Row {
        n: row.n,
        when: show::time(row.at, now),
        exact: show::stamp_seconds(row.at),
        who: words::audit::who(row, names),
        did: words::audit::did(row, names),
        kind: row.kind.clone(),
        object: row.object.clone(),
        details: words::audit::details(row),
        hash: row.hash.clone(),
    }
}

/// The same rows as a file, sent while they are read. German for everybody: it is kept and compared.
pub(in crate::web) fn download(ask: &mut Ask) -> Reply {
    let filter = AuditFilter { before: None, limit: CSV_BATCH, ..filter(ask) };
    for name in FIELDS.iter().filter(|name| !ask.query(name).is_empty()) {
        ask.remark(name, ask.query(name));
    }
    let names = ask.app.db.read(Names::load)?;
    let (pieces, rows) = channel(PIECES_MAX);
    let db = ask.app.db.clone();
    tokio::task::spawn_blocking(move || send(&db, filter, &names, &pieces));
    let mut response = Response::new(Body::new(Pieces::new(rows)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"protokoll.csv\""));
    Ok(response)
}

fn send(db: &Db, mut filter: AuditFilter, names: &Names, pieces: &Sender<Result<Bytes, PageError>>) {
    let mut text = String::from(csv::MARK);
    csv::line(&mut text, &["Zeile", "Zeit", "Wer", "Was", "Art", "Worum", "Einzelheiten", "Prüfsumme"]);
    let mut left = CSV_ROWS_MAX;
    loop {
        let page = match db.read(|c| audit_find(c, &filter)) {
            Ok(page) => page,
            // The connection ends in the middle, so that nobody takes half for all.
            Err(error) => return drop(pieces.blocking_send(Err(error.into()))),
        };
        for row in page.rows.iter().take(left) {
            let (n, who, did) = (row.n.to_string(), words::audit::who(row, names), words::audit::did(row, names));
            csv::line(&mut text, &[&n, &row.at.rfc3339(), &who, &did, &row.kind, &row.object, &row.detail.to_string(), &row.hash]);
        }
        left = left.saturating_sub(page.rows.len());
        let next = page.next.filter(|_| left > 0);
        if left == 0 && page.next.is_some() {
            csv::line(&mut text, &["", "", "", "Hier endet die Datei; wählen Sie einen kürzeren Zeitraum für den Rest."]);
        }
        // Nobody reads any more: then nothing more is read.
        if pieces.blocking_send(Ok(Bytes::from(std::mem::take(&mut text)))).is_err() {
            return;
        }
        match next {
            Some(next) => filter.before = Some(next),
            None => return,
        }
    }
}

/// A body that comes in pieces.
pub(super) struct Pieces {
    pieces: Receiver<Result<Bytes, PageError>>,
    /// What makes the pieces: it is ended with the body, and where it was ended the body is not whole.
    work: Option<(Cancel, CancelGuard)>,
}

impl Pieces {
    pub(super) fn new(pieces: Receiver<Result<Bytes, PageError>>) -> Self {
        Self { pieces, work: None }
    }

    /// Whose work ends when nobody takes them any more.
    pub(super) fn of(pieces: Receiver<Result<Bytes, PageError>>, work: &Cancel) -> Self {
        Self { pieces, work: Some((work.clone(), work.guard())) }
    }
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = PageError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Piece<Bytes>, PageError>>> {
        let piece = ready!(self.pieces.poll_recv(context));
        // The connection ends in the middle, so that nobody takes half for all.
        let ended = piece.is_none() && self.work.as_ref().is_some_and(|(work, _)| work.is_cancelled());
        if ended {
            return Poll::Ready(Some(Err(PageError::store(std::io::Error::other("ended before all was sent")))));
        }
        Poll::Ready(piece.map(|piece| piece.map(Piece::data)))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use detect::role::Role;
    use ingest::audit::NewAudit;
    use serde_json::json;

    use crate::web::tests::{Front, now};

    fn fill(front: &Front, count: usize) {
        for n in 0..count {
            let new = NewAudit {
                actor: "system".into(),
                kind: "incident.seen",
                object: format!("incident:TC-2026-{n:06}"),
                detail: json!({ "note": "=cmd|' /C calc'!A0", "b": "<b>\u{202e}" }),
            };
            front.app.audit.add(now(), new).unwrap();
        }
        front.app.audit.flush();
    }

    #[tokio::test]
    async fn the_auditor_reads_pages_and_takes_a_file() {
        let front = Front::new();
        fill(&front, 1_200);
        let (cookie, _) = front.enter(Role::Auditor);
        let page = front.get("/protokoll", &cookie).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.contains("hat den Vorfall TC-2026-001199 angesehen"), "{}", page.text);
        assert!(!page.text.contains("<b>") && !page.text.contains('\u{202e}'));
        let older = page.text.split("href=\"").find(|part| part.starts_with("/protokoll?") && part.contains("vor=")).unwrap();
        let older = older.split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&");
        let second = front.get(&older, &cookie).await;
        assert!(second.text.contains("TC-2026-001149") && !second.text.contains("TC-2026-001150"));
        let one = front.get("/protokoll?worum=incident%3ATC-2026-000007", &cookie).await;
        assert!(one.text.contains("TC-2026-000007") && !one.text.contains("TC-2026-000008"));

        let file = front.get("/protokoll.csv?art=incident.", &cookie).await;
        assert_eq!(file.header("content-disposition"), "attachment; filename=\"protokoll.csv\"");
        assert_eq!(file.text.lines().count(), 1_201);
        front.app.audit.flush();
        let kinds = front.get("/protokoll?art=audit.", &cookie).await.text;
        assert!(
            kinds.contains("hat das Protokoll angesehen") && kinds.contains("hat das Protokoll heruntergeladen"),
            "reading is noted too"
        );
        for role in Role::ALL.into_iter().filter(|role| *role != Role::Auditor) {
            let (cookie, _) = front.enter(role);
            assert_eq!(front.get("/protokoll", &cookie).await.status, StatusCode::FORBIDDEN, "{role:?}");
            assert_eq!(front.get("/protokoll.csv", &cookie).await.status, StatusCode::FORBIDDEN, "{role:?}");
        }
    }
}
