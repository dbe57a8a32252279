//! The pages that merge, split and link: what people see, what is refused in which words, and what a body never learns.

use axum::http::StatusCode;
use detect::incident::{Change, IncidentFilter, Tlp, incident_by_number, incident_change, incident_get, incident_list};
use detect::role::Role;
use ingest::db::DbError;
use ingest::scope::Scope;

use crate::web::tests::{Front, now, open_case};

fn version(front: &Front, number: &str) -> i64 {
    let view = front.app.db.read(|c| {
        let id = incident_by_number(c, &Scope::All, number)?.unwrap();
        Ok::<_, DbError>(incident_get(c, &Scope::All, id)?.unwrap())
    });
    view.unwrap().incident.version
}

fn label(front: &Front, number: &str, tlp: Tlp) {
    let (number, seen) = (number.to_owned(), version(front, number));
    front
        .app
        .db
        .write(move |tx| {
            let id = incident_by_number(tx, &Scope::All, &number)?.unwrap();
            incident_change(tx, id, seen, &Change::Label(tlp), "anna", Role::Analyst, now())
        })
        .unwrap();
}

async fn merge(front: &Front, (cookie, csrf): &(String, String), part: &str, whole: &str) -> crate::web::tests::Answer {
    let (seen, other) = (version(front, part).to_string(), version(front, whole).to_string());
    let form = [("csrf", csrf.as_str()), ("mit", whole), ("version", &seen), ("version_mit", &other)];
    front.post(&format!("/vorfall/{part}/zusammenfuehren"), cookie, &form).await
}

#[tokio::test]
async fn merging_shows_first_what_it_does_and_leads_on_afterwards() {
    let front = Front::new();
    let (part, whole) = (open_case(&front, front.body, "Scan der Firewall"), open_case(&front, front.body, "Anmeldung am VPN"));
    let foreign = open_case(&front, front.other, "Fremder Fall");
    let analyst = front.enter(Role::Analyst);
    let page = front.get(&format!("/vorfall/{part}/zusammenfuehren"), &analyst.0).await.text;
    assert!(page.contains(&whole) && !page.contains(&foreign), "only cases of the same body are offered");
    let page = front.get(&format!("/vorfall/{part}/zusammenfuehren?mit={whole}"), &analyst.0).await.text;
    assert!(page.contains("Scan der Firewall") && page.contains("Anmeldung am VPN") && page.contains("Andersherum"));
    // Another body's is refused in words that say what to do instead; a number that there is not, too.
    let refused = merge(&front, &analyst, &part, &foreign).await;
    assert!(refused.status.is_client_error() && refused.text.contains("Verbinden Sie die beiden stattdessen"), "{}", refused.text);
    let unknown = front.get(&format!("/vorfall/{part}/zusammenfuehren?mit=TC-1999-000001"), &analyst.0).await;
    assert!(unknown.text.contains("Einen Vorfall mit dieser Nummer gibt es nicht"));
    // Who looked at an older one is told what has happened since.
    let (seen, other) = (version(&front, &part).to_string(), version(&front, &whole).to_string());
    label(&front, &whole, Tlp::AmberStrict);
    let form = [("csrf", analyst.1.as_str()), ("mit", whole.as_str()), ("version", &seen), ("version_mit", &other)];
    let late = front.post(&format!("/vorfall/{part}/zusammenfuehren"), &analyst.0, &form).await;
    assert!(late.text.contains("Jemand war schneller") && late.text.contains("Weitergabe geändert"), "{}", late.text);
    let done = merge(&front, &analyst, &part, &whole).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, format!("/vorfall/{whole}?ok=merged").as_str()));
    let old = front.get(&format!("/vorfall/{part}"), &analyst.0).await.text;
    assert!(old.contains("Dieser Vorfall wurde mit einem anderen zusammengeführt") && old.contains(&format!("href=\"/vorfall/{whole}\"")));
    assert!(!old.contains("Stand ändern") && !old.contains("/uebernehmen"), "nobody works on it any more");
    let new = front.get(&format!("/vorfall/{whole}"), &analyst.0).await.text;
    assert!(new.contains("Hierher zusammengeführt") && new.contains(&format!("href=\"/vorfall/{part}\"")));
    // Neither in the open list nor twice.
    let open = front.get("/vorfaelle", &analyst.0).await.text;
    assert!(open.contains(&whole) && !open.contains(&format!("/vorfall/{part}\"")));
}

/// The stricter label holds, and the part's page, which its body may still read, does not say where it went.
#[tokio::test]
async fn a_merge_shows_a_body_nothing_more() {
    let front = Front::new();
    let (part, whole) = (open_case(&front, front.body, "Scan der Firewall"), open_case(&front, front.body, "Geheime Spur"));
    label(&front, &whole, Tlp::Red);
    let analyst = front.enter(Role::Analyst);
    assert_eq!(merge(&front, &analyst, &part, &whole).await.status, StatusCode::SEE_OTHER);
    for role in [Role::Municipality, Role::Provider] {
        let (cookie, _) = front.enter(role);
        assert_eq!(front.get(&format!("/vorfall/{whole}"), &cookie).await.status, StatusCode::NOT_FOUND, "{role:?}");
        for path in [format!("/vorfall/{part}"), "/vorfaelle?stand=alle".into(), "/".into()] {
            let page = front.get(&path, &cookie).await.text;
            assert!(!page.contains(&whole) && !page.contains("Geheime Spur"), "{role:?} reads on {path}: {page}");
        }
    }
}

#[tokio::test]
async fn a_link_stands_on_both_pages_and_on_none_of_a_body() {
    let front = Front::new();
    let (own, foreign) = (open_case(&front, front.body, "Eigener Fall"), open_case(&front, front.other, "Fremder Fall"));
    let (cookie, csrf) = front.enter(Role::Analyst);
    let form = [("csrf", csrf.as_str()), ("mit", foreign.as_str()), ("grund", "gleiche Adresse")];
    assert_eq!(front.post(&format!("/vorfall/{own}/verbinden"), &cookie, &form).await.status, StatusCode::SEE_OTHER);
    let twice = front.post(&format!("/vorfall/{own}/verbinden"), &cookie, &form).await;
    assert!(twice.text.contains("schon verbunden"), "{}", twice.text);
    for (one, other) in [(&own, &foreign), (&foreign, &own)] {
        let page = front.get(&format!("/vorfall/{one}"), &cookie).await.text;
        assert!(page.contains(other.as_str()) && page.contains("gleiche Adresse"));
    }
    let (body, token) = front.enter(Role::Municipality);
    let page = front.get(&format!("/vorfall/{own}"), &body).await.text;
    assert!(!page.contains(&foreign) && !page.contains("gleiche Adresse") && !page.contains("verbunden"), "{page}");
    let form = [("csrf", token.as_str()), ("mit", foreign.as_str()), ("grund", "x")];
    assert_eq!(front.post(&format!("/vorfall/{own}/verbinden"), &body, &form).await.status, StatusCode::FORBIDDEN);
    let form = [("csrf", csrf.as_str()), ("mit", own.as_str())];
    assert_eq!(front.post(&format!("/vorfall/{foreign}/loesen"), &cookie, &form).await.status, StatusCode::SEE_OTHER);
    let page = front.get(&format!("/vorfall/{own}"), &cookie).await.text;
    assert!(!page.contains(&format!("href=\"/vorfall/{foreign}\"")));
}

/// Hidden by its label, a case makes no page of the list shorter and none go on that has nothing behind it.
#[tokio::test]
async fn paging_does_not_tell_that_there_is_a_hidden_case() {
    let front = Front::new();
    let numbers: Vec<String> = (0..51).map(|n| open_case(&front, front.body, &format!("Fall {n}"))).collect();
    label(&front, &numbers[50], Tlp::Red);
    let (cookie, _) = front.enter(Role::Municipality);
    let page = front.get("/vorfaelle", &cookie).await.text;
    assert!(numbers[..50].iter().all(|number| page.contains(number.as_str())), "a whole page");
    assert!(!page.contains("vor=") && !page.contains(&numbers[50]), "and nothing behind it");
    let all = front.app.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap();
    assert_eq!(all.len(), 51);
}
