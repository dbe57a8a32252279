//! The duties of a case as a browser meets them.

use axum::http::StatusCode;
use detect::duty::clocks_start;
use detect::role::Role;

use crate::web::tests::{Front, now, open_case};

fn case(front: &Front) -> String {
    let number = open_case(front, front.body, "Daten abgeflossen");
    let duties = front.app.duties.clone();
    front.app.db.write(move |tx| clocks_start(tx, &duties, now())).unwrap();
    number
}

#[tokio::test]
async fn a_duty_is_judged_filled_in_and_reported() {
    let front = Front::new();
    let number = case(&front);
    let (cookie, csrf) = front.enter(Role::Analyst);
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await;
    for part in ["Meldepflichten", "§ 32 Abs. 1 Nr. 1 BSIG (NIS-2)", "zu prüfen, noch 24\u{a0}h", "/pflicht/vcv_meldung\""] {
        assert!(page.text.contains(part), "{part}");
    }
    let path = format!("/vorfall/{number}/pflicht/bsig_meldung");
    let page = front.get(&path, &cookie).await;
    for part in ["Gilt diese Pflicht hier?", "Es fehlt noch: Angaben der Erstmeldung bestätigt oder berichtigt", "Frist endet"] {
        assert!(page.text.contains(part), "{part}");
    }
    // A form of an older version is refused, and nothing is half done.
    let act = |version: &'static str, more: Vec<(&'static str, &'static str)>| {
        let (front, path, cookie, csrf) = (&front, path.clone(), cookie.clone(), csrf.clone());
        async move {
            let mut form = vec![("csrf", csrf.as_str()), ("version", version)];
            form.extend(more);
            front.post(&path, &cookie, &form).await.status
        }
    };
    assert_eq!(act("1", vec![("tat", "gilt")]).await, StatusCode::SEE_OTHER);
    assert_eq!(act("1", vec![("tat", "gilt-nicht"), ("grund", "doch nicht")]).await, StatusCode::CONFLICT);
    assert_eq!(act("2", vec![("tat", "speichern"), ("f-erstmeldung", "bestätigt")]).await, StatusCode::SEE_OTHER);
    assert_eq!(act("3", vec![("tat", "gemeldet"), ("weg", "")]).await, StatusCode::CONFLICT);
    assert_eq!(act("3", vec![("tat", "gemeldet"), ("weg", "Portal"), ("zeit", "gestern")]).await, StatusCode::CONFLICT);
    assert_eq!(act("3", vec![("tat", "gemeldet"), ("weg", "Portal"), ("zeichen", "BSI-4711")]).await, StatusCode::SEE_OTHER);
    let page = front.get(&path, &cookie).await;
    for part in ["fristgerecht gemeldet", "BSI-4711", "bestätigt"] {
        assert!(page.text.contains(part), "{part}");
    }
    // What waits for it has started, and the history tells of all.
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await;
    for part in ["Abschlussmeldung", "Gemeldet", "§ 32 Abs. 1 Nr. 2 BSIG (NIS-2): Portal"] {
        assert!(page.text.contains(part), "{part}");
    }
    let form: serde_json::Value = serde_json::from_str(&front.get(&format!("{path}/formular.json"), &cookie).await.text).unwrap();
    assert_eq!((&form["state"], &form["answers"][1]["answer"]), (&"sent".into(), &"bestätigt".into()));
}

#[tokio::test]
async fn a_body_reports_what_is_its_own_and_learns_of_nothing_else() {
    let front = Front::new();
    let number = case(&front);
    let foreign = open_case(&front, front.other, "Fremder Fall");
    let duties = front.app.duties.clone();
    front.app.db.write(move |tx| clocks_start(tx, &duties, now())).unwrap();
    let (cookie, csrf) = front.enter(Role::Municipality);
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    assert!(page.contains("bsig_meldung") && !page.contains("vcv_meldung") && !page.contains("Meldestandard"), "{page}");
    let status = |path: String| {
        let (front, cookie) = (&front, cookie.clone());
        async move { front.get(&path, &cookie).await.status }
    };
    assert_eq!(status(format!("/vorfall/{number}/pflicht/bsig_meldung")).await, StatusCode::OK);
    assert_eq!(status(format!("/vorfall/{number}/pflicht/vcv_meldung")).await, StatusCode::NOT_FOUND);
    assert_eq!(status(format!("/vorfall/{foreign}/pflicht/bsig_meldung")).await, StatusCode::NOT_FOUND);
    assert_eq!(status(format!("/vorfall/{foreign}/pflicht/bsig_meldung/formular.json")).await, StatusCode::NOT_FOUND);
    let form = [("csrf", csrf.as_str()), ("tat", "gemeldet"), ("weg", "Formular"), ("version", "1")];
    assert_eq!(front.post(&format!("/vorfall/{foreign}/pflicht/bsig_meldung"), &cookie, &form).await.status, StatusCode::NOT_FOUND);
    assert_eq!(front.post(&format!("/vorfall/{number}/pflicht/bsig_meldung"), &cookie, &form).await.status, StatusCode::SEE_OTHER);
}
