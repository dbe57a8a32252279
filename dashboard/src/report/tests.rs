//! The report: what it tells whom, that nothing hidden is in it, and that it leaves as a page and noted.

use axum::http::StatusCode;
use detect::duty::clocks_start;
use detect::incident::{Change, Tlp, incident_by_number, incident_change, incident_get};
use detect::role::Role;
use detect::timeline::{NewMoment, moment_add};
use ingest::db::DbError;
use ingest::frame::Seq;
use ingest::pseudonym::Wanted;

use super::*;
use crate::web::tests::{Front, now, open_case};

/// A case with a note, a moment of its timeline that says the same, and running duties.
fn case(front: &Front, note: &str) -> String {
    let number = open_case(front, front.body, "Daten abgeflossen");
    let (duties, find, text) = (front.app.duties.clone(), number.clone(), note.to_owned());
    let write = move |tx: &ingest::rusqlite::Transaction<'_>| {
        let id = incident_by_number(tx, &Scope::All, &find)?.unwrap();
        let moment = NewMoment { at: now(), text: format!("Zeitleiste: {text}"), event: None };
        moment_add(tx, id, &moment, "system", Role::Analyst, now())?;
        incident_change(tx, id, 1, &Change::Note(text), "system", Role::Analyst, now())?;
        Ok::<_, detect::incident::CaseError>(())
    };
    front.app.db.write(write).unwrap();
    front.app.db.write(move |tx| clocks_start(tx, &duties, now())).unwrap();
    number
}

/// What the document says, for a scope.
fn told(front: &Front, scope: &Scope, number: &str, pseudonyms: &Pseudonyms) -> Value {
    let file = front.app.db.read(|c| {
        let id = incident_by_number(c, scope, number)?.unwrap();
        let view = incident_get(c, scope, id)?.unwrap();
        CaseFile::load(c, scope, view)
    });
    words::with_language(Language::German, || file.unwrap().paper("CERT", pseudonyms, SIZES[0]).data)
}

#[test]
fn a_body_is_told_what_its_page_tells_it() {
    let front = Front::new();
    let number = case(&front, "nur für uns");
    let pseudonyms = &front.app.pseudonyms;
    let ours = told(&front, &Scope::All, &number, pseudonyms).to_string();
    let theirs = told(&front, &Scope::Bodies(vec![front.body]), &number, pseudonyms).to_string();
    for (part, to_us, to_them) in [
        ("Daten abgeflossen", true, true),
        ("§ 32 Abs. 1 Nr. 1 BSIG (NIS-2)", true, true),
        ("nur für uns", true, false),
        ("Zeitleiste: nur für uns", true, false),
        ("Bearbeitung", true, false),
        ("Meldestandard", true, false),
    ] {
        assert_eq!((ours.contains(part), theirs.contains(part)), (to_us, to_them), "{part}: {theirs}");
    }
}

#[test]
fn what_the_store_hides_stays_hidden_in_it() {
    let front = Front::new();
    let number = case(&front, "m.mueller hat sich gemeldet, Muellers Rechner auch");
    let sql = r#"UPDATE incident SET observables = '{"user.name":["m.mueller"],"source.ip":["203.0.113.9"]}'"#;
    front.app.db.write(|tx| Ok::<_, DbError>(tx.execute(sql, [])?)).unwrap();
    let keys = tempfile::tempdir().unwrap();
    let pseudonyms = Pseudonyms::open(keys.path()).unwrap();
    assert!(told(&front, &Scope::All, &number, &pseudonyms).to_string().contains("m.mueller"));
    pseudonyms.begin(Wanted { enabled: Some(true), ..Wanted::default() }, &[ingest::events::CLASS], &[], Seq(1), now()).unwrap();
    let hidden = told(&front, &Scope::All, &number, &pseudonyms);
    let text = hidden.to_string();
    assert!(!text.contains("m.mueller") && text.contains("203.0.113.9") && text.contains("hat sich gemeldet"), "{text}");
    assert_eq!(hidden["hidden"], "1 Angabe zu Personen ist verborgen.");
}

/// A case of ten years still becomes a document: the oldest entries are left out, and it says so.
#[test]
fn a_long_history_is_cut_and_says_so() {
    let front = Front::new();
    let number = case(&front, "erste Notiz");
    let file = front.app.db.read(|c| {
        let id = incident_by_number(c, &Scope::All, &number)?.unwrap();
        CaseFile::load(c, &Scope::All, incident_get(c, &Scope::All, id)?.unwrap())
    });
    let mut file = file.unwrap();
    let all = file.view.history.len();
    let last = file.view.history.last().unwrap().clone();
    file.view.history.extend(std::iter::repeat_n(last, 2_000));
    let data = words::with_language(Language::German, || file.paper("CERT", &front.app.pseudonyms, SIZES[0]).data);
    assert_eq!(data["history"].as_array().unwrap().len(), SIZES[0].0);
    assert_eq!(data["left-out"], format!("Die ersten {} Einträge stehen auf der Seite des Vorfalls.", show::num((all + 1_000) as u64)));
}

#[tokio::test]
async fn a_report_leaves_as_the_same_file_each_time_and_is_noted() {
    let front = Front::new();
    let number = case(&front, "#panic(1) ]} $x$");
    let (cookie, _) = front.enter(Role::Analyst);
    let path = format!("/vorfall/{number}/bericht.pdf");
    let file = front.get(&path, &cookie).await;
    assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, "application/pdf"));
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"{number}-bericht.pdf\""));
    assert!(file.text.starts_with("%PDF-1.7"));
    assert_eq!(front.get(&path, &cookie).await.text, file.text);
    let form = front.get(&format!("/vorfall/{number}/pflicht/bsig_meldung/formular.pdf"), &cookie).await;
    assert_eq!((form.status, form.header("content-type")), (StatusCode::OK, "application/pdf"));
    assert!(form.text.starts_with("%PDF-1.7") && form.header("content-disposition").contains("-bsig_meldung.pdf"));
    let page = front.get(&format!("/vorfall/{number}"), &cookie).await.text;
    assert!(page.contains(&format!("formaction=\"{path}\"")), "{page}");
    // A red case leaves on purpose.
    let red = Tlp::Red.as_str();
    front.app.db.write(move |tx| Ok::<_, DbError>(tx.execute("UPDATE incident SET tlp = ?1", [red])?)).unwrap();
    assert_eq!(front.get(&path, &cookie).await.status, StatusCode::CONFLICT);
    assert_eq!(front.get(&format!("{path}?bestaetigt=ja"), &cookie).await.status, StatusCode::OK);
    front.app.audit.flush();
    let sql = "SELECT COUNT(*) FROM audit WHERE kind = 'incident.exported' AND detail LIKE '%\"format\":\"pdf\"%'";
    let noted: i64 = front.app.db.read(|c| Ok::<_, DbError>(c.query_row(sql, [], |row| row.get(0))?)).unwrap();
    assert_eq!(noted, 3);
}
