//! Many cases at once: who may what, and a case that changed since the list was made is named and left alone.

use axum::http::StatusCode;
use detect::incident::{Change, Incident, IncidentFilter, State, Tlp, incident_change, incident_list};
use detect::role::Role;
use ingest::scope::Scope;

use crate::web::tests::{Answer, Front, now, open_case};

fn cases(front: &Front) -> Vec<Incident> {
    let mut all = front.app.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap();
    all.reverse();
    all
}

fn seen(case: &Incident) -> String {
    format!("{}.{}", case.id, case.version)
}

async fn send(front: &Front, (cookie, csrf): &(String, String), act: &str, chosen: &[String], extra: &[(&str, &str)]) -> Answer {
    let mut form = vec![("csrf", csrf.as_str()), ("tat", act)];
    form.extend(chosen.iter().map(|one| ("fall", one.as_str())));
    form.extend_from_slice(extra);
    front.post("/vorfaelle", cookie, &form).await
}

fn label(front: &Front, case: &Incident) {
    let (id, version) = (case.id, case.version);
    let change = Change::Label(Tlp::AmberStrict);
    front.app.db.write(move |tx| incident_change(tx, id, version, &change, "anna", Role::Analyst, now())).unwrap();
}

#[tokio::test]
async fn the_chosen_cases_are_given_and_closed_and_a_changed_one_is_named() {
    let front = Front::new();
    for title in ["Scan der Firewall", "Anmeldung am VPN", "Post mit Anhang"] {
        open_case(&front, front.body, title);
    }
    let (analyst, lead) = (front.enter(Role::Analyst), front.enter(Role::Lead));
    let list = front.get("/vorfaelle", &analyst.0).await.text;
    let all = cases(&front);
    assert!(all.iter().all(|case| list.contains(&format!("name=\"fall\" value=\"{}\"", seen(case)))), "{list}");
    assert!(!list.contains("schließen: Fehlalarm"), "closing is the lead's");
    assert!(front.get("/vorfaelle", &lead.0).await.text.contains("schließen: Fehlalarm"));
    let user = front.app.db.read(|c| crate::user::user_by_login(c, "lead")).unwrap().unwrap().0.id.to_string();
    let chosen: Vec<String> = all.iter().map(seen).collect();
    let given = send(&front, &analyst, "zuweisen", &chosen, &[("wer", &user), ("schwere", "high")]).await;
    assert_eq!((given.status, given.header("location")), (StatusCode::SEE_OTHER, "/vorfaelle?schwere=high&getan=3"), "{}", given.text);
    assert!(cases(&front).iter().all(|case| case.assignee.as_ref() == Some(&user)));
    // An analyst closes none, however the form was made.
    let current: Vec<String> = cases(&front).iter().map(seen).collect();
    let kept = send(&front, &analyst, "benign", &current, &[]).await;
    assert_eq!(kept.status, StatusCode::FORBIDDEN);
    // One of them changes while the list is looked at.
    label(&front, &cases(&front)[1]);
    let done = send(&front, &lead, "benign", &current, &[]).await;
    let number = &all[1].number;
    assert!(
        done.text.contains("Erledigt: 2 Vorfälle sind bearbeitet.") && done.text.contains(&format!("href=\"/vorfall/{number}\"")),
        "{}",
        done.text
    );
    assert!(done.text.contains("Jemand war schneller") && done.text.contains("Weitergabe geändert"), "{}", done.text);
    let states: Vec<State> = cases(&front).iter().map(|case| case.state).collect();
    assert_eq!(states, [State::Closed, State::New, State::Closed]);
}

#[tokio::test]
async fn merging_says_first_what_stays() {
    let front = Front::new();
    for title in ["Scan der Firewall", "Anmeldung am VPN"] {
        open_case(&front, front.body, title);
    }
    let analyst = front.enter(Role::Analyst);
    let all = cases(&front);
    let chosen: Vec<String> = all.iter().map(seen).collect();
    let one = send(&front, &analyst, "zusammenfuehren", &chosen[..1], &[]).await;
    assert!(one.status == StatusCode::CONFLICT && one.text.contains("mindestens zwei Vorfälle"), "{}", one.text);
    open_case(&front, front.other, "Fremder Fall");
    let mixed: Vec<String> = cases(&front).iter().map(seen).collect();
    let mixed = send(&front, &analyst, "zusammenfuehren", &mixed, &[]).await;
    assert!(mixed.status == StatusCode::CONFLICT && mixed.text.contains("nur Vorfälle derselben Stelle"), "{}", mixed.text);
    let ask = send(&front, &analyst, "zusammenfuehren", &chosen, &[]).await.text;
    let (stays, goes) = ask.split_once("Gehen darin auf").unwrap();
    assert!(stays.contains(&all[0].number) && goes.contains(&all[1].number) && !stays.contains(&all[1].number), "{ask}");
    assert!(cases(&front).iter().all(|case| case.merged_into.is_none()));
    let done = send(&front, &analyst, "zusammenfuehren", &chosen, &[("sicher", "ja")]).await;
    assert_eq!(done.header("location"), format!("/vorfall/{}?ok=merged", all[0].number), "{}", done.text);
    assert_eq!(cases(&front)[1].merged_into, Some(all[0].id));
}

/// Whoever is no analyst gets no boxes, and nothing is done for him.
#[tokio::test]
async fn a_body_chooses_nothing() {
    let front = Front::new();
    open_case(&front, front.body, "Eigener Fall");
    let body = front.enter(Role::Municipality);
    let list = front.get("/vorfaelle", &body.0).await.text;
    assert!(list.contains("Eigener Fall") && !list.contains("name=\"fall\"") && !list.contains("id=\"auswahl\""), "{list}");
    let refused = send(&front, &body, "zuweisen", &[seen(&cases(&front)[0])], &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}
