//! What runs out, over all cases: recommendations that nobody answered although everybody was reminded, and the clocks of
//! duties to report, those due first at the top.

use askama::Template;
use detect::duty::{ClockFilter, clock_list};
use detect::incident::{IncidentId, IncidentLabel, incident_labels};
use detect::reminder::overdue_list;
use ingest::db::DbError;
use ingest::scope::Scope;

use super::duties::badge;
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{t, tf};

/// Lines of each list; whoever has more first does those.
const ROWS_MAX: usize = 200;

/// A recommendation about which somebody has to ring up.
pub(super) struct Overdue {
    pub(super) badge: Markup,
    pub(super) number: String,
    pub(super) title: String,
    pub(super) body: String,
}

/// What is overdue and this viewer is to ring up about: of one case, or of all. Bodies see it as theirs to do on their own
/// pages.
pub(super) fn overdue(ask: &Ask, incident: Option<IncidentId>, limit: usize) -> Result<Vec<Overdue>, PageError> {
    let (scope, now) = (ask.scope(), ask.now);
    if scope != Scope::All {
        return Ok(vec![]);
    }
    let (found, labels) = ask.app.db.read(|c| {
        let found = overdue_list(c, &scope, incident, limit, now)?;
        let labels = incident_labels(c, &scope, &found.iter().map(|one| one.incident).collect::<Vec<_>>())?;
        Ok::<_, DbError>((found, labels))
    })?;
    let row = |one: detect::reminder::Overdue| {
        let label = labels.get(&one.incident).filter(|label| readable(ask, label))?;
        let since = show::duration(now.since(one.due_at));
        Some(Overdue {
            badge: show::badge(Tone::Crit, &tf("überfällig seit {time}", &[("time", &since)])),
            number: label.number.clone(),
            title: one.title,
            body: one.body_name,
        })
    };
    Ok(found.into_iter().filter_map(row).collect())
}

fn readable(ask: &Ask, label: &IncidentLabel) -> bool {
    ask.viewer.as_ref().is_some_and(|viewer| viewer.may_read(label.tlp.as_str()))
}

struct ClockRow {
    href: String,
    title: String,
    basis: String,
    badge: Markup,
    due: String,
    number: String,
    case: String,
}

#[derive(Template)]
#[template(path = "deadlines.html")]
struct DeadlinesPage {
    frame: Frame,
    overdue: Vec<Overdue>,
    clocks: Vec<ClockRow>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let scope = ask.scope();
    let (clocks, labels) = ask.app.db.read(|c| {
        let clocks = clock_list(c, &ClockFilter { limit: ROWS_MAX, ..ClockFilter::open(scope.clone()) })?;
        let labels = incident_labels(c, &scope, &clocks.iter().map(|clock| clock.incident).collect::<Vec<_>>())?;
        Ok::<_, DbError>((clocks, labels))
    })?;
    let rows = clocks.into_iter().filter_map(|clock| {
        let label = labels.get(&clock.incident).filter(|label| readable(ask, label))?;
        Some(ClockRow {
            href: format!("/vorfall/{}/pflicht/{}", label.number, clock.duty),
            badge: badge(&clock, ask.now),
            due: show::stamp(clock.due_at),
            number: label.number.clone(),
            case: label.title.clone(),
            title: clock.title,
            basis: clock.basis,
        })
    });
    let page =
        DeadlinesPage { clocks: rows.collect(), overdue: overdue(ask, None, ROWS_MAX)?, frame: ask.frame(t("Fristen"), Place::Incidents) };
    ask.page(&page)
}

#[cfg(test)]
mod tests {
    use advisory::reminder::reminders_look;
    use axum::http::StatusCode;
    use detect::duty::clocks_start;
    use detect::recommendation::{recommendation_add, recommendation_send};
    use detect::role::Role;
    use ingest::time::Timestamp;

    use super::*;
    use crate::web::tests::{Front, now, open_case};

    #[tokio::test]
    async fn what_nobody_answers_stands_on_the_start_page_the_case_and_the_list() {
        let front = Front::new();
        let number = open_case(&front, front.body, "Eigener Fall");
        let (playbooks, duties) = (front.app.playbooks.clone(), front.app.duties.clone());
        let sent = now().plus(-Timestamp::DAY);
        let (own, books) = (number.clone(), playbooks.clone());
        let title = front.app.db.write(move |tx| {
            let id = detect::incident::incident_by_number(tx, &Scope::All, &own)?.unwrap();
            let id = recommendation_add(tx, id, books.get("allgemein").unwrap(), Role::Analyst, sent)?;
            recommendation_send(tx, id, 1, "anna", Role::Analyst, sent).map(|one| one.title)
        });
        let title = title.unwrap_or_else(|error: detect::incident::CaseError| panic!("{error}"));
        let book = duties.clone();
        front.app.db.write(move |tx| clocks_start(tx, &book, sent)).unwrap();
        let (cookie, _) = front.enter(Role::Analyst);
        for path in ["/", "/fristen"] {
            assert!(!front.get(path, &cookie).await.text.contains("Bitte anrufen"), "{path}: nobody was reminded yet");
        }
        for hour in [20, 22, 24] {
            let at = sent.plus(hour * Timestamp::HOUR);
            reminders_look(&front.app.db, &playbooks, &duties, &front.app.publisher, at).unwrap();
        }
        for path in ["/", "/lage/live", "/fristen", &format!("/vorfall/{number}")] {
            let page = front.get(path, &cookie).await.text;
            assert!(page.contains("Bitte anrufen") && page.contains(&title), "{path}: {page}");
        }
        let list = front.get("/fristen", &cookie).await;
        assert!(list.status == StatusCode::OK && list.text.contains(&format!("/vorfall/{number}/pflicht/")), "{}", list.text);
        let (theirs, _) = front.enter(Role::Municipality);
        let list = front.get("/fristen", &theirs).await.text;
        assert!(!list.contains("Bitte anrufen") && list.contains(&format!("/vorfall/{number}/pflicht/")), "{list}");
    }
}
