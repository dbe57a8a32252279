//! Beweismittel of a case: putting files in, letting them out of quarantine, taking copies. What a file shows nobody sees here:
//! it is given out as bytes to keep, never as something to look at.

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use detect::exhibit::{
    Custody, Exhibit, ExhibitError, ExhibitId, NewExhibit, Source, exhibit_add, exhibit_custody, exhibit_list, exhibit_release,
    exhibit_taken,
};
use detect::incident::IncidentId;
use detect::role::{Action, allowed};
use ingest::db::DbError;

use super::incidents;
use crate::show::{self, Markup, Tone};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf};

/// The card on the page of a case.
pub(super) struct Exhibits {
    pub(super) rows: Vec<Row>,
    pub(super) may_add: bool,
}

pub(super) struct Row {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) size: String,
    pub(super) kind: String,
    pub(super) sha256: String,
    pub(super) warnings: Vec<&'static str>,
    pub(super) badge: Markup,
    pub(super) quarantined: bool,
    pub(super) custody: Vec<(String, String)>,
}

/// What the card shows; nothing for those who work for a body.
pub(super) fn load(ask: &Ask, incident: IncidentId, names: &Names) -> Result<Exhibits, DbError> {
    let scope = ask.scope();
    let rows = ask.app.db.read(|c| {
        let all = exhibit_list(c, &scope, incident)?;
        all.into_iter().map(|one| Ok::<_, DbError>((exhibit_custody(c, incident, one.id)?, one))).collect::<Result<Vec<_>, _>>()
    })?;
    let may_add = ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::ExhibitAdd, viewer.role));
    Ok(Exhibits { rows: rows.iter().map(|(custody, one)| row(one, custody, names)).collect(), may_add })
}

fn row(one: &Exhibit, custody: &[Custody], names: &Names) -> Row {
    let kind = if one.claimed.is_empty() || one.claimed == one.found {
        one.found.clone()
    } else {
        tf("{found} (genannt: {claimed})", &[("found", &one.found), ("claimed", &one.claimed)])
    };
    let link = |link: &Custody| {
        let who = names.of(&link.actor);
        let what = words::custody(&link.what);
        let line = if link.why.is_empty() { format!("{what}, {who}") } else { format!("{what}, {who}: {}", link.why) };
        (show::stamp_seconds(link.at), line)
    };
    Row {
        id: one.id.to_string(),
        name: one.name.clone(),
        size: show::bytes(one.bytes),
        kind,
        sha256: one.sha256.clone(),
        warnings: one.warnings.iter().map(|warning| words::exhibit_warning(*warning)).collect(),
        badge: if one.quarantined { show::badge(Tone::High, t("Quarantäne")) } else { Markup::default() },
        quarantined: one.quarantined,
        custody: custody.iter().map(link).collect(),
    }
}

pub(in crate::web) fn add(ask: &mut Ask) -> Reply {
    let (incident, view) = incidents::find(ask)?;
    let refused = |text: &str| Err(PageError::Refused(text.to_owned()));
    let Some(upload) = ask.upload.take() else {
        return refused(t("Es kam keine Datei an. Gehen Sie zurück und wählen Sie eine aus."));
    };
    if upload.draft.bytes() == 0 {
        return refused(t("Die Datei ist leer, oder es wurde keine ausgewählt. Gehen Sie zurück und wählen Sie eine aus."));
    }
    let sealed = ask.app.locker.seal(upload.draft).map_err(told)?;
    ask.remark("sha256", sealed.sha256.clone());
    let new =
        NewExhibit { incident: Some(incident), letter: None, source: Source::Upload, name: upload.name, claimed: upload.claimed, sealed };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| exhibit_add(tx, &new, &actor, Some(role), now)).map_err(told)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "exhibit-added")
}

fn id(ask: &Ask) -> Result<ExhibitId, PageError> {
    ask.param("id").parse().map_err(|_| PageError::NotFound)
}

pub(in crate::web) fn release(ask: &mut Ask) -> Reply {
    let (incident, view) = incidents::find(ask)?;
    let id = id(ask)?;
    ask.about(id);
    let why = ask.form("grund").trim().to_owned();
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| exhibit_release(tx, incident, id, &why, &actor, role, now)).map_err(told)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "exhibit-released")
}

pub(in crate::web) fn take(ask: &mut Ask) -> Reply {
    let (incident, _) = incidents::find(ask)?;
    let id = id(ask)?;
    ask.about(id);
    let why = ask.form("zweck").trim().to_owned();
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    // First the row of the chain of custody, then the bytes: nobody has a copy that nobody knows of.
    let exhibit = ask.write(move |tx| exhibit_taken(tx, incident, id, &why, &actor, role, now)).map_err(told)?;
    let content = ask.app.locker.read(&exhibit.sha256).map_err(told)?;
    Ok(as_file(&exhibit.name, content))
}

/// Bytes to keep: no type that a browser would open, and a sandbox around them should one do so all the same.
fn as_file(name: &str, content: Vec<u8>) -> Response {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    let coded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(crate::web::gate::CSP_FILE));
    let disposition = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{coded}");
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_str(&disposition).unwrap_or(HeaderValue::from_static("attachment")));
    response
}

/// What the store refuses, as a page says it.
fn told(error: ExhibitError) -> PageError {
    let text = match error {
        ExhibitError::Case(error) => return incidents::refused(error),
        ExhibitError::TooLarge { .. } => t("Die Datei ist zu groß: Es gehen höchstens 25 MB."),
        ExhibitError::CaseFull { .. } => {
            t("Der Vorfall hat genug Dateien: höchstens 500 mit zusammen 500 MB. Was größer ist, gehört auf einen Datenträger.")
        }
        ExhibitError::DiskFull => t("Die Platte ist zu voll für Dateien. Bitte sagen Sie dem Betrieb Bescheid."),
        ExhibitError::Quarantined => t("Die Datei ist in Quarantäne. Geben Sie sie zuerst frei."),
        ExhibitError::Damaged { .. } => t(
            "Die gespeicherte Datei ist nicht mehr die, die hereinkam. Sie wird nicht herausgegeben; bitte sagen Sie dem Betrieb Bescheid.",
        ),
        error @ ExhibitError::Io { .. } => return PageError::store(error),
    };
    PageError::Refused(text.to_owned())
}
