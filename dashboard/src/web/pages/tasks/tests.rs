//! The pages of tasks: everybody finds the own, forms lead back to where they stood, and a body learns of none.

use axum::http::StatusCode;
use detect::role::Role;
use detect::task::{TaskFilter, Which, task_list};
use ingest::scope::Scope;

use crate::user::user_by_login;
use crate::web::tests::{Front, now, open_case};

fn account(front: &Front, login: &'static str) -> String {
    front.app.db.read(|c| user_by_login(c, login)).unwrap().unwrap().0.id.to_string()
}

/// (identity, version) of the one open task.
fn only(front: &Front) -> (String, String) {
    let filter = TaskFilter { scope: Scope::All, which: Which::Team, now: now(), limit: 9 };
    let tasks = front.app.db.read(|c| task_list(c, &filter)).unwrap();
    assert_eq!(tasks.len(), 1);
    (tasks[0].id.to_string(), tasks[0].version.to_string())
}

#[tokio::test]
async fn a_task_goes_from_the_case_to_the_one_who_does_it_and_back() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Anmeldung am VPN");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let (other, token) = front.enter(Role::Lead);
    let lead = account(&front, "lead");
    let form = [
        ("csrf", csrf.as_str()),
        ("titel", "Betreiber anrufen"),
        ("wer", &lead),
        ("bis", "2026-11-21T09:00"),
        ("vorfall", &number),
        ("von", "vorfall"),
    ];
    let done = front.post("/aufgaben", &cookie, &form).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, format!("/vorfall/{number}?ok=task-added").as_str()));
    let case = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    assert!(case.contains("Betreiber anrufen") && case.contains("überfällig seit") && case.contains("Aufgabe angelegt"), "{case}");
    assert!(!front.get("/aufgaben", &cookie).await.text.contains("Betreiber anrufen"), "it is another's");
    for path in ["/aufgaben", "/aufgaben?sicht=team", "/aufgaben?sicht=ueberfaellig"] {
        let page = front.get(path, &other).await.text;
        assert!(page.contains("Betreiber anrufen") && page.contains(&number), "{path}: {page}");
    }
    assert!(front.get("/", &other).await.text.contains("Eine offene Aufgabe: eine davon überfällig."));
    let (id, version) = only(&front);
    let edit = [("csrf", token.as_str()), ("version", &version), ("titel", "Betreiber erreichen"), ("wer", ""), ("bis", "")];
    assert_eq!(front.post(&format!("/aufgabe/{id}"), &other, &edit).await.status, StatusCode::SEE_OTHER);
    // Who still saw the old one overwrites nothing, and is told what was done.
    let late = front.post(&format!("/aufgabe/{id}"), &cookie, &[("csrf", &csrf), ("version", &version), ("titel", "x"), ("wer", "")]).await;
    assert!(late.text.contains("Jemand war schneller") && late.text.contains("Aufgabe geändert"), "{}", late.text);
    let page = front.get(&format!("/aufgabe/{id}"), &cookie).await.text;
    assert!(page.contains("Betreiber erreichen") && page.contains("Team"), "{page}");
    let (_, version) = only(&front);
    let finish = [("csrf", token.as_str()), ("version", &version), ("nach", "erledigt")];
    let finished = front.post(&format!("/aufgabe/{id}/stand"), &other, &finish).await;
    assert_eq!(finished.header("location"), "/aufgaben?ok=task-done");
    assert!(front.get("/aufgaben?sicht=erledigt", &cookie).await.text.contains("Betreiber erreichen"));
    let version = (version.parse::<i64>().unwrap() + 1).to_string();
    let again = [("csrf", csrf.as_str()), ("version", &version), ("nach", "offen")];
    assert_eq!(front.post(&format!("/aufgabe/{id}/stand"), &cookie, &again).await.status, StatusCode::SEE_OTHER);
    only(&front);
}

#[tokio::test]
async fn what_cannot_be_is_refused_in_words() {
    let front = Front::new();
    let (cookie, csrf) = front.enter(Role::Analyst);
    let body = account(&front, "municipality");
    for (title, who, until, number, says) in [
        (" ", "", "", "", "braucht einen Titel"),
        ("x", body.as_str(), "", "", "Dieses Konto bearbeitet keine Vorfälle"),
        ("x", "", "morgen", "", "Den Zeitpunkt verstehen wir nicht"),
        ("x", "", "", "TC-1999-000001", "Einen Vorfall mit dieser Nummer gibt es nicht"),
    ] {
        let form = [("csrf", csrf.as_str()), ("titel", title), ("wer", who), ("bis", until), ("vorfall", number)];
        let answer = front.post("/aufgaben", &cookie, &form).await;
        assert!(answer.status.is_client_error() && answer.text.contains(says), "{says}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_body_learns_of_no_task() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Eigener Fall");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let form = [("csrf", csrf.as_str()), ("titel", "Betreiber anrufen"), ("wer", ""), ("vorfall", &number)];
    assert_eq!(front.post("/aufgaben", &cookie, &form).await.status, StatusCode::SEE_OTHER);
    for role in [Role::Municipality, Role::Provider, Role::Steering, Role::Auditor, Role::Admin] {
        let (cookie, _) = front.enter(role);
        assert_eq!(front.get("/aufgaben", &cookie).await.status, StatusCode::FORBIDDEN, "{role:?}");
        for path in [format!("/vorfall/{number}"), "/".into(), "/vorfaelle".into()] {
            let page = front.get(&path, &cookie).await.text;
            assert!(
                !page.contains("Betreiber anrufen") && !page.contains("Aufgabe angelegt") && !page.contains("/aufgabe"),
                "{role:?} on {path}: {page}"
            );
        }
    }
}
