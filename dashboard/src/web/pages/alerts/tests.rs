//! The queue: one alert after the other by a script's requests, many by the form, and what each says of what it left alone.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use detect::alert::{Alert, AlertFilter, AlertState, Disposition, alert_list};
use detect::finding::{Entity, Finding};
use detect::incident::{IncidentFilter, finding_file, incident_list};
use detect::role::Role;
use ingest::body::{BodyId, Site, SiteId, site_add};
use ingest::frame::Seq;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use crate::web::tests::{Answer, Front, now, open_case};

/// Alerts of as many addresses at one site; the first is the oldest.
fn alerts(front: &Front, body: BodyId, from: u8, n: u8) -> Vec<Alert> {
    let rule = front.app.rules.get().set.find("ssh_bruteforce").unwrap().rule.clone();
    let playbooks = front.app.playbooks.clone();
    front
        .app
        .db
        .write(move |tx| {
            let id = SiteId(body.0);
            tx.execute("DELETE FROM site WHERE id = ?1", [id])?;
            site_add(
                tx,
                &Site { id, name: format!("rathaus-{from}"), body: Some(body), prefixes: vec![], certificates: vec![], tokens: vec![] },
            )?;
            for number in from..from + n {
                let address = format!("203.0.113.{number}");
                let at = now().plus(i64::from(number) * Timestamp::MINUTE - 10 * Timestamp::HOUR);
                let finding = Finding {
                    rule: rule.clone(),
                    site: id,
                    body: Some(body),
                    entity: Entity::Ip(address.parse().unwrap()),
                    observables: [("source.ip", vec![address])].into(),
                    first: at,
                    last: at,
                    detected_at: at,
                    evidence: vec![Seq(u64::from(number))],
                    records: 12,
                    reasons: vec![],
                    explanation: None,
                    shares: vec![],
                };
                finding_file(tx, &playbooks, &finding, at)?;
            }
            Ok::<_, ingest::db::DbError>(())
        })
        .unwrap();
    let mut all = stored(front);
    all.retain(|alert| alert.body == Some(body));
    all
}

/// The oldest first.
fn stored(front: &Front) -> Vec<Alert> {
    let mut all = front.app.db.read(|c| alert_list(c, &AlertFilter { limit: 500, ..AlertFilter::new(Scope::All) })).unwrap();
    all.reverse();
    all
}

fn states(front: &Front) -> Vec<(AlertState, Option<Disposition>)> {
    stored(front).iter().map(|alert| (alert.state, alert.disposition)).collect()
}

/// As a script sends it.
async fn key(front: &Front, (cookie, csrf): &(String, String), alert: &Alert, act: &str, form: &str) -> Answer {
    let request = Request::post(format!("/alarm/{}/{act}", alert.id))
        .header(header::COOKIE, cookie)
        .header(header::HOST, "wartburg.test")
        .header("x-fragment", "swap")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    front.send(request.body(Body::from(format!("csrf={csrf}&{form}"))).unwrap()).await
}

async fn send(front: &Front, (cookie, csrf): &(String, String), form: &[(&str, &str)]) -> Answer {
    let form: Vec<(&str, &str)> = form.iter().copied().chain([("csrf", csrf.as_str())]).collect();
    front.post("/alarme", cookie, &form).await
}

#[tokio::test]
async fn a_key_changes_one_alert_and_brings_its_row() {
    let front = Front::new();
    let all = alerts(&front, front.body, 1, 2);
    let analyst = front.enter(Role::Analyst);
    let row = key(&front, &analyst, &all[0], "bestaetigen", "").await;
    assert_eq!(row.status, StatusCode::OK);
    assert!(row.text.contains(&format!("<tr id=\"{}\"", all[0].id)) && row.text.contains("203.0.113.1: bestätigt\""), "{}", row.text);
    assert!(!row.text.contains("<html") && !row.text.contains(&all[1].id.to_string()), "its row alone: {}", row.text);
    let row = key(&front, &analyst, &all[0], "schliessen", "urteil=false_positive").await;
    assert!(row.text.contains("geschlossen: Fehlalarm") && row.text.contains("settled"), "{}", row.text);
    // Too late, without a verdict, without an alert: in words that fit into a line.
    let again = key(&front, &analyst, &all[0], "schliessen", "urteil=benign").await;
    assert_eq!((again.status, again.text.contains("schon jemand bearbeitet")), (StatusCode::CONFLICT, true), "{}", again.text);
    let without = key(&front, &analyst, &all[1], "schliessen", "urteil=vielleicht").await;
    assert_eq!((without.status, without.text.as_str()), (StatusCode::CONFLICT, "Zum Schließen gehört ein Urteil. Wählen Sie eines."));
    assert_eq!(states(&front), [(AlertState::Closed, Some(Disposition::FalsePositive)), (AlertState::New, None)]);
    // As a form it leads back to the list.
    let (cookie, csrf) = &analyst;
    let form = [("csrf", csrf.as_str()), ("urteil", "benign")];
    let done = front.post(&format!("/alarm/{}/schliessen", all[1].id), cookie, &form).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/alarme?ok=closed"));
}

#[tokio::test]
async fn the_chosen_are_closed_assigned_and_joined() {
    let front = Front::new();
    let all = alerts(&front, front.body, 1, 4);
    let ids: Vec<String> = all.iter().map(|alert| alert.id.to_string()).collect();
    let analyst = front.enter(Role::Analyst);
    let page = front.get("/alarme", &analyst.0).await.text;
    assert!(page.contains("id=\"auswahl\"") && ids.iter().all(|id| page.contains(&format!("name=\"alarm\" value=\"{id}\""))), "{page}");
    for (form, says) in [
        (vec![("tat", "bestaetigen")], "Wählen Sie zuerst mindestens einen Alarm"),
        (vec![("tat", "vernichten"), ("alarm", &ids[0])], "Wählen Sie, was mit den Alarmen geschehen soll"),
        (vec![("tat", "vorfall"), ("alarm", &ids[0])], "In welchen Vorfall?"),
        (vec![("tat", "vorfall"), ("nummer", "TC-1999-000001"), ("alarm", &ids[0])], "Einen Vorfall mit dieser Nummer gibt es nicht"),
        (vec![("tat", "zuweisen"), ("wer", "niemand"), ("alarm", &ids[0])], "Dieses Konto bearbeitet keine Vorfälle"),
    ] {
        let refused = send(&front, &analyst, &form).await;
        assert_eq!((refused.status, refused.text.contains(says)), (StatusCode::CONFLICT, true), "{says}: {}", refused.text);
    }
    let done =
        send(&front, &analyst, &[("tat", "benign"), ("stand", ""), ("alarm", &ids[0]), ("alarm", &ids[1]), ("alarm", &ids[1])]).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/alarme?getan=2"));
    assert!(front.get("/alarme?getan=2", &analyst.0).await.text.contains("Erledigt: 2 Alarme sind bearbeitet."));
    let (closed, open) = ((AlertState::Closed, Some(Disposition::Benign)), (AlertState::New, None));
    assert_eq!(states(&front), [closed, closed, open, open]);
    // What is further already is left as it is, and that is said.
    let late = send(&front, &analyst, &[("tat", "bestaetigen"), ("alarm", &ids[1]), ("alarm", &ids[2])]).await;
    assert!(
        late.text.contains("Erledigt: Ein Alarm ist bearbeitet.") && late.text.contains("schon bestätigt oder geschlossen"),
        "{}",
        late.text
    );
    // Who takes them over gets their case, too.
    let lead = crate::user::user_by_login;
    let lead = front.app.db.read(|c| lead(c, "lead")).unwrap().unwrap().0.id.to_string();
    let given = send(&front, &analyst, &[("tat", "zuweisen"), ("wer", &lead), ("alarm", &ids[3])]).await;
    assert_eq!(given.status, StatusCode::SEE_OTHER, "{}", given.text);
    let cases = front.app.db.read(|c| incident_list(c, &IncidentFilter::new(Scope::All))).unwrap();
    assert_eq!(cases.iter().map(|case| case.assignee.clone()).filter(|user| user.as_ref() == Some(&lead)).count(), 1);
    // Into a case of the same body; another's is refused.
    let (own, foreign) = (open_case(&front, front.body, "Sammelfall"), open_case(&front, front.other, "Fremder Fall"));
    let joined = send(&front, &analyst, &[("tat", "vorfall"), ("nummer", &foreign), ("alarm", &ids[2])]).await;
    assert!(joined.text.contains("Kein Alarm ist geändert.") && joined.text.contains("gehört einer anderen Stelle"), "{}", joined.text);
    let joined = send(&front, &analyst, &[("tat", "vorfall"), ("nummer", &own), ("alarm", &ids[2])]).await;
    assert!(joined.status == StatusCode::SEE_OTHER || joined.text.contains("der letzte seines Vorfalls"), "{}", joined.text);
    let (auditor, _) = front.enter(Role::Auditor);
    let log = front.get("/protokoll?art=alert.", &auditor).await.text;
    assert!(log.contains("hat viele Alarme auf einmal bearbeitet"), "{log}");
}

#[tokio::test]
async fn all_of_a_filter_are_asked_for_first_and_none_comes_in_unseen() {
    let front = Front::new();
    alerts(&front, front.body, 1, 60);
    let analyst = front.enter(Role::Analyst);
    assert!(front.get("/alarme", &analyst.0).await.text.contains("name=\"umfang\" value=\"alle\""));
    let form = [("tat", "false_positive"), ("umfang", "alle"), ("regel", "ssh_bruteforce")];
    let ask = send(&front, &analyst, &form).await.text;
    assert!(ask.contains("Wirklich 60 Alarme bearbeiten?") && ask.contains("schließen: Fehlalarm"), "{ask}");
    assert!(states(&front).iter().all(|(state, _)| *state == AlertState::New), "nothing has happened yet");
    let hidden =
        |name: &str| regex::Regex::new(&format!("name=\"{name}\" value=\"(\\w+)\"")).unwrap().captures(&ask).unwrap()[1].to_owned();
    let (newest, which) = (hidden("bis"), hidden("welche"));
    let sure: Vec<_> = form.iter().copied().chain([("welche", which.as_str()), ("bis", newest.as_str())]).collect();
    // Another does something to one of them meanwhile: asked again.
    let one = stored(&front)[7].clone();
    assert_eq!(key(&front, &analyst, &one, "bestaetigen", "").await.status, StatusCode::OK);
    let again = send(&front, &analyst, &sure).await.text;
    assert!(
        again.contains("Wirklich 59 Alarme bearbeiten?") && states(&front).iter().all(|(state, _)| *state < AlertState::Closed),
        "{again}"
    );
    let which = regex::Regex::new("name=\"welche\" value=\"(\\w+)\"").unwrap().captures(&again).unwrap()[1].to_owned();
    // What came meanwhile is not in it.
    alerts(&front, front.other, 100, 1);
    let sure: Vec<_> = form.iter().copied().chain([("welche", which.as_str()), ("bis", newest.as_str())]).collect();
    let done = send(&front, &analyst, &sure).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/alarme?regel=ssh_bruteforce&getan=59"), "{}", done.text);
    let counted = states(&front);
    assert_eq!(counted.iter().filter(|one| **one == (AlertState::Closed, Some(Disposition::FalsePositive))).count(), 59);
    assert_eq!(counted.iter().filter(|one| **one == (AlertState::New, None)).count(), 1);
}
