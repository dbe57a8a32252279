//! A timeline from the event to the case: times are the event's own, what is wrong is struck, and no body learns of it.

use axum::http::StatusCode;
use detect::role::Role;

use crate::web::export_tests::filled;
use crate::web::tests::{Front, open_case};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_goes_from_its_page_into_the_case_and_can_be_struck() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path(), 20);
    let number = open_case(&front, front.body, "Anmeldung am VPN");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let event = front.get("/ereignis/10", &cookie).await.text;
    assert!(event.contains("In die Zeitleiste eines Vorfalls") && event.contains(&format!("<option value=\"{number}\">")), "{event}");
    let form = [("csrf", csrf.as_str()), ("ereignis", "10"), ("vorfall", &number.to_lowercase()), ("text", "")];
    let done = front.post("/zeitleiste", &cookie, &form).await;
    assert_eq!(done.header("location"), format!("/vorfall/{number}?ok=moment-added"), "{}", done.text);
    let own = [("csrf", csrf.as_str()), ("zeit", "2020-01-01T08:00:05"), ("text", "Der Anhang wird geöffnet")];
    assert_eq!(front.post(&format!("/vorfall/{number}/zeitleiste"), &cookie, &own).await.status, StatusCode::SEE_OTHER);
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    let card = page.split("id=\"zeitleiste\"").nth(1).unwrap().split("</section>").next().unwrap();
    let at = |what: &str| card.find(what).unwrap_or_else(|| panic!("{what}: {card}"));
    assert!(at("Der Anhang wird geöffnet") < at("line 10") && at("line 10") < at("Vorfall eröffnet"), "in order of time: {card}");
    assert!(card.contains("href=\"/ereignis/10\"") && card.contains("01.01.2020") && card.contains("08:00:05"), "{card}");
    let twice = front.post("/zeitleiste", &cookie, &form).await;
    assert!(twice.status.is_client_error() && twice.text.contains("steht schon in der Zeitleiste"), "{}", twice.text);
    let id = card.split("name=\"eintrag\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let strike = [("csrf", csrf.as_str()), ("eintrag", id.as_str())];
    let path = format!("/vorfall/{number}/zeitleiste/streichen");
    assert_eq!(front.post(&path, &cookie, &strike).await.status, StatusCode::SEE_OTHER);
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    assert!(page.contains("Aus der Zeitleiste gestrichen") && !page.contains("Eintrag von"), "{page}");
    assert!(front.post(&path, &cookie, &strike).await.text.contains("schon gestrichen"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_in_words() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let _consumer = filled(&mut front, dir.path(), 5);
    let number = open_case(&front, front.body, "Anmeldung am VPN");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let path = format!("/vorfall/{number}/zeitleiste");
    for (to, field, value, text, says) in [
        (path.as_str(), "zeit", "gestern", "x", "Den Zeitpunkt verstehen wir nicht"),
        (&path, "zeit", "2099-01-01T00:00", "x", "liegt in der Zukunft"),
        (&path, "zeit", "2020-01-01T00:00", " ", "Schreiben Sie dazu, was geschah"),
        ("/zeitleiste", "ereignis", "999", "x", "nicht mehr gespeichert"),
    ] {
        let form = [("csrf", csrf.as_str()), ("vorfall", &number), (field, value), ("text", text)];
        let answer = front.post(to, &cookie, &form).await;
        assert!(answer.status.is_client_error() && answer.text.contains(says), "{says}: {}", answer.text);
    }
    let unknown = [("csrf", csrf.as_str()), ("ereignis", "2"), ("vorfall", "TC-1999-000001"), ("text", "x")];
    assert!(front.post("/zeitleiste", &cookie, &unknown).await.text.contains("Einen Vorfall mit dieser Nummer gibt es nicht"));
}

#[tokio::test]
async fn a_body_learns_of_no_timeline() {
    let front = Front::new();
    let number = open_case(&front, front.body, "Eigener Fall");
    let (cookie, csrf) = front.enter(Role::Analyst);
    let form = [("csrf", csrf.as_str()), ("zeit", "2020-01-01T08:00"), ("text", "Nur eine Vermutung")];
    assert_eq!(front.post(&format!("/vorfall/{number}/zeitleiste"), &cookie, &form).await.status, StatusCode::SEE_OTHER);
    for role in [Role::Municipality, Role::Provider, Role::Steering, Role::Auditor, Role::Admin] {
        let (cookie, csrf) = front.enter(role);
        let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
        assert!(!page.contains("Nur eine Vermutung") && !page.contains("eitleiste"), "{role:?}: {page}");
        let form = [("csrf", csrf.as_str()), ("zeit", "2020-01-01T08:00"), ("text", "x")];
        assert_eq!(front.post(&format!("/vorfall/{number}/zeitleiste"), &cookie, &form).await.status, StatusCode::FORBIDDEN, "{role:?}");
    }
}
