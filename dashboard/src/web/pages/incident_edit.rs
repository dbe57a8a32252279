//! Angaben eines Vorfalls: title, story, severity, class, label and base services on one page. What differs from what the form was
//! made of is changed, each with its own line in the history, all of it or nothing; who was slower sees what the other one did.

use askama::Template;
use detect::incident::{Change, Incident, SERVICES, Tlp, incident_change};
use detect::rsit::{CATEGORIES, Rsit};
use detect::rule::Level;

use super::incidents::{find, refused};
use crate::show::filters;
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t};

/// What a form offers: (value, label, whether chosen).
type Choices = Vec<(String, String, bool)>;

#[derive(Template)]
#[template(path = "incident_edit.html")]
struct EditPage {
    frame: Frame,
    path: String,
    number: String,
    version: i64,
    title: String,
    /// The analyst's own text; empty while it is made of the facts, which stand beside it then.
    summary: String,
    made: String,
    levels: Choices,
    classes: Choices,
    labels: Choices,
    services: Vec<(&'static str, &'static str, bool)>,
    /// A closed case is history: only its label can be made stricter.
    closed: bool,
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let (_, view) = find(ask)?;
    let incident = &view.incident;
    let page = EditPage {
        path: format!("/vorfall/{}", incident.number),
        number: incident.number.clone(),
        version: incident.version,
        title: incident.title.clone(),
        made: if incident.summary.is_none() { view.summary.clone() } else { String::new() },
        summary: incident.summary.clone().unwrap_or_default(),
        levels: levels(incident.severity),
        classes: classes(incident.rsit),
        labels: Tlp::ALL.map(|one| (one.as_str().to_owned(), label(one), one == incident.tlp)).into(),
        services: SERVICES.map(|(key, name)| (key, name, incident.services.iter().any(|one| one == key))).into(),
        closed: incident.closed_at.is_some(),
        frame: ask.frame(t("Angaben ändern"), Place::Incidents),
    };
    ask.page(&page)
}

fn levels(chosen: Level) -> Choices {
    let all = [Level::Low, Level::Medium, Level::High, Level::Critical];
    all.map(|one| (one.as_str().to_owned(), words::level(one).to_owned(), one == chosen)).into()
}

/// All classes with their types; a category that is chosen without a type stays what it is.
fn classes(chosen: Rsit) -> Choices {
    let kinds = CATEGORIES.iter().flat_map(|category| category.types.iter().map(move |(kind, _)| format!("{}/{kind}", category.name)));
    let mut all: Vec<Rsit> = kinds.filter_map(|name| name.parse().ok()).collect();
    if !all.contains(&chosen) {
        all.insert(0, chosen);
    }
    all.into_iter().map(|one| (one.to_string(), words::rsit(one), one == chosen)).collect()
}

fn label(tlp: Tlp) -> String {
    format!("TLP:{} – {}", tlp.as_str(), words::tlp_rule(tlp))
}

pub(in crate::web) fn save(ask: &mut Ask) -> Reply {
    let (id, view) = find(ask)?;
    let incident = &view.incident;
    let unread = || PageError::Refused(t("Das Formular ist unvollständig. Öffnen Sie die Seite neu.").into());
    let version: i64 = ask.form("version").parse().map_err(|_| unread())?;
    let changes = wishes(ask, incident).ok_or_else(unread)?;
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    let write = move |tx: &ingest::rusqlite::Transaction<'_>| {
        let mut version = version;
        for change in &changes {
            version = incident_change(tx, id, version, change, &actor, role, now)?;
        }
        Ok(version)
    };
    ask.write(write).map_err(refused)?;
    ask.redirect(&format!("/vorfall/{}", incident.number), "edited")
}

/// What the form wants otherwise than it is; `None` for what no form of ours sends. The label comes first: who makes a case
/// stricter wants that whatever becomes of the rest.
fn wishes(ask: &Ask, incident: &Incident) -> Option<Vec<Change>> {
    let text = |field: &str| ask.form(field).replace("\r\n", "\n").trim().to_owned();
    let (level, rsit, tlp) = (Level::parse(ask.form("schwere"))?, ask.form("klasse").parse::<Rsit>().ok()?, Tlp::parse(ask.form("tlp"))?);
    let (title, summary) = (text("titel"), Some(text("was")).filter(|text| !text.is_empty()));
    let services: Vec<String> = ask.form.all("dienst").take(SERVICES.len()).map(str::to_owned).collect();
    let mut changes = vec![];
    changes.extend((tlp != incident.tlp).then_some(Change::Label(tlp)));
    changes.extend((title != incident.title).then_some(Change::Title(title)));
    changes.extend((summary != incident.summary).then_some(Change::Summary(summary)));
    changes.extend((level != incident.severity).then_some(Change::Severity(level)));
    changes.extend((rsit != incident.rsit).then_some(Change::Classify(rsit)));
    changes.extend((services != incident.services).then_some(Change::Services(services)));
    Some(changes)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use detect::incident::{incident_by_number, incident_get};
    use detect::role::Role;
    use ingest::db::DbError;
    use ingest::scope::Scope;

    use super::*;
    use crate::web::tests::{Front, open_case};

    fn stored(front: &Front, number: &str) -> Incident {
        let view = front.app.db.read(|c| {
            let id = incident_by_number(c, &Scope::All, number)?.unwrap();
            Ok::<_, DbError>(incident_get(c, &Scope::All, id)?.unwrap())
        });
        view.unwrap().incident
    }

    #[tokio::test]
    async fn what_differs_is_changed_and_the_slower_one_overwrites_nothing() {
        let front = Front::new();
        let number = open_case(&front, front.body, "Anmeldung am VPN");
        let path = format!("/vorfall/{number}/angaben");
        let (cookie, csrf) = front.enter(Role::Analyst);
        let page = front.get(&path, &cookie).await.text;
        assert!(page.contains("value=\"Anmeldung am VPN\"") && page.contains("TLP:AMBER – darf an die betroffene Stelle"), "{page}");
        assert!(SERVICES.iter().all(|(_, name)| page.contains(&format!("<span>{name}</span>"))), "{page}");
        let form = [
            ("csrf", csrf.as_str()),
            ("version", "1"),
            ("titel", "Anmeldung am VPN: Konto übernommen"),
            ("was", "Ein Konto wurde übernommen.\r\nEs ist gesperrt."),
            ("schwere", "critical"),
            ("klasse", "intrusions/unprivileged-account-compromise"),
            ("tlp", "GREEN"),
            ("dienst", "servicekonto"),
            ("dienst", "thavel"),
        ];
        let done = front.post(&path, &cookie, &form).await;
        assert_eq!(done.header("location"), format!("/vorfall/{number}?ok=edited"), "{}", done.text);
        let case = stored(&front, &number);
        assert_eq!(
            (case.title.as_str(), case.severity, case.tlp, case.services.join(" ").as_str(), case.version),
            ("Anmeldung am VPN: Konto übernommen", Level::Critical, Tlp::Green, "servicekonto thavel", 7)
        );
        let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
        assert!(page.contains("Servicekonto, ThAVEL") && page.contains("AMBER → TLP:GREEN"), "{page}");
        // Who still had the old page is told what was done, and changes nothing.
        let late = front
            .post(&path, &cookie, &form[..7].iter().map(|(k, v)| (*k, if *k == "schwere" { "low" } else { *v })).collect::<Vec<_>>())
            .await;
        assert!(late.text.contains("Jemand war schneller") && late.text.contains("Schwere geändert"), "{}", late.text);
        assert_eq!(stored(&front, &number), case);
        // The same again changes nothing either, and is no error.
        let again: Vec<_> = form.iter().map(|(k, v)| (*k, if *k == "version" { "7" } else { *v })).collect();
        assert_eq!(front.post(&path, &cookie, &again).await.status, StatusCode::SEE_OTHER);
        assert_eq!(stored(&front, &number).version, 7);
    }

    #[tokio::test]
    async fn what_is_no_choice_is_refused_and_nothing_is_half_done() {
        let front = Front::new();
        let number = open_case(&front, front.body, "Anmeldung am VPN");
        let path = format!("/vorfall/{number}/angaben");
        let (cookie, csrf) = front.enter(Role::Lead);
        let case = stored(&front, &number);
        for (field, value) in [
            ("schwere", "informational"),
            ("schwere", "x"),
            ("klasse", "x"),
            ("tlp", "x"),
            ("titel", " "),
            ("dienst", "x"),
            ("version", ""),
        ] {
            let mut form = vec![
                ("csrf", csrf.as_str()),
                ("version", "1"),
                ("titel", "Neu"),
                ("was", ""),
                ("schwere", "high"),
                ("klasse", "other/other"),
                ("tlp", "RED"),
            ];
            form.retain(|(name, _)| *name != field);
            form.push((field, value));
            let answer = front.post(&path, &cookie, &form).await;
            assert!(answer.status.is_client_error(), "{field}={value}: {}", answer.status);
            assert_eq!(stored(&front, &number), case, "{field}={value}");
        }
    }

    #[tokio::test]
    async fn a_body_reads_the_services_and_changes_nothing() {
        let front = Front::new();
        let number = open_case(&front, front.body, "Anmeldung am VPN");
        for role in [Role::Municipality, Role::Provider, Role::Steering, Role::Auditor, Role::Admin] {
            let (cookie, csrf) = front.enter(role);
            let path = format!("/vorfall/{number}/angaben");
            assert_eq!(front.get(&path, &cookie).await.status, StatusCode::FORBIDDEN, "{role:?}");
            assert_eq!(
                front.post(&path, &cookie, &[("csrf", csrf.as_str()), ("version", "1")]).await.status,
                StatusCode::FORBIDDEN,
                "{role:?}"
            );
        }
    }
}
