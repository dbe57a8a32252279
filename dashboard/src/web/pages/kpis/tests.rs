//! The figures' pages over a real history: who sees which case, what neighbours do not see, what a moment knew.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::http::StatusCode;
use detect::finding::{Entity, Finding};
use detect::incident::{CaseError, Change, Filed, State, finding_file, incident_change};
use detect::role::Role;
use detect::rule::Rule;
use ingest::body::{Body, BodyId, BodyKind, Site, SiteId, body_add, site_add};
use ingest::db::DbError;

use super::*;
use crate::web::tests::{Front, now};

/// A title that a spreadsheet would run.
const FORMULA: &str = "=HYPERLINK(\"http://evil.test\")";

/// Four bodies beside the front's two; returns all six, the municipality user's own first.
fn bodies(front: &Front) -> Vec<BodyId> {
    let mut all = vec![front.body, front.other];
    for n in 1..=4 {
        let body = Body {
            id: BodyId::new(now()),
            name: format!("Gemeinde Nummer {n}"),
            kind: BodyKind::Gemeinde,
            ags: None,
            kreis: "16068".into(),
            population: 1_000,
        };
        all.push(body.id);
        front.app.db.write(move |tx| body_add(tx, &body, now())).unwrap_or_else(|error: DbError| panic!("{error}"));
    }
    all
}

/// The n-th case, of a body, opened some days ago and contained some hours later.
fn case(front: &Front, n: u32, body: BodyId, (days, hours): (i64, i64), title: &str) {
    let rules = front.app.rules.get();
    let base = rules.set.find("ssh_bruteforce").unwrap();
    let rule = Arc::new(Rule { title: title.into(), ..(*base.rule).clone() });
    let at = now().plus(-days * Timestamp::DAY);
    let site = Site {
        id: SiteId::new(at),
        name: SiteId::new(at).to_string(),
        body: Some(body),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    let finding = Finding {
        rule,
        site: site.id,
        body: Some(body),
        entity: Entity::Ip(Ipv4Addr::from_bits(0xC612_0000 + n).into()),
        observables: Default::default(),
        first: at,
        last: at,
        detected_at: at,
        evidence: vec![],
        records: 12,
        reasons: vec![],
        explanation: None,
        shares: vec![],
    };
    let playbooks = front.app.playbooks.clone();
    let work = front.app.db.write(move |tx| {
        site_add(tx, &site)?;
        let Filed::Opened { incident, .. } = finding_file(tx, &playbooks, &finding, at)? else { panic!("not opened") };
        let mut version = 1;
        for to in [State::Triaged, State::Contained] {
            let view = detect::incident::incident_get(tx, &Scope::All, incident)?.unwrap();
            version = view.incident.version.max(version);
            let when = at.plus(hours * Timestamp::HOUR);
            incident_change(tx, incident, version, &Change::Move { to, at: None }, "x", Role::Analyst, when)?;
        }
        Ok::<_, CaseError>(())
    });
    work.unwrap();
}

/// Twelve cases, two of each body, of the last twelve days.
fn filled() -> Front {
    let front = Front::new();
    for (n, body) in (0..).zip(bodies(&front).into_iter().cycle().take(12)) {
        case(&front, n, body, (i64::from(n) + 1, i64::from(n) + 1), if n == 0 { FORMULA } else { "Anmeldeversuche" });
    }
    front
}

const CONTAINMENT: &str = "/kennzahl/eindaemmungszeit";

#[tokio::test]
async fn the_certs_people_get_from_a_figure_to_its_cases() {
    let front = filled();
    let (cookie, _) = front.enter(Role::Analyst);
    let list = front.get("/kennzahlen", &cookie).await.text;
    for part in
        ["2. Halbjahr 2026 (läuft noch)", "Ziel erreicht", "6\u{a0}h", "n\u{a0}=\u{a0}12", "kaplan-meier", "Q4 26", "zu wenige Fälle"]
    {
        assert!(list.contains(part), "{part} is missing in {list}");
    }
    let page = front.get(CONTAINMENT, &cookie).await.text;
    for n in 1..=12 {
        assert!(page.contains(&format!("href=\"/vorfall/TC-2026-{n:06}\"")), "{n}: {page}");
    }
    assert!(page.contains("Landratsamt Gotha") && page.contains("Aus 24 Einträgen"), "{page}");

    let csv = front.get("/kennzahl/eindaemmungszeit.csv", &cookie).await;
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"eindaemmungszeit-2026-H2.csv\"");
    assert_eq!(csv.text.lines().count(), 13, "{}", csv.text);
    assert!(csv.text.contains(";\"'=HYPERLINK(\"\"http://evil.test\"\"): 198.18.0.0"), "{}", csv.text);
    assert!(!page.contains("<script>") && page.contains("=HYPERLINK(&quot;"), "{page}");
}

#[tokio::test]
async fn a_body_gets_its_own_cases_only() {
    let front = filled();
    let (cookie, _) = front.enter(Role::Municipality);
    for path in [CONTAINMENT, "/kennzahl/eindaemmungszeit.csv"] {
        let page = front.get(path, &cookie).await.text;
        let numbers = (1..=12).filter(|n| page.contains(&format!("TC-2026-{n:06}"))).count();
        assert_eq!((numbers, page.contains("Gotha"), page.contains("Gemeinde Nummer")), (2, false, false), "{page}");
    }
    let list = front.get("/kennzahlen", &cookie).await.text;
    assert!(list.contains("Ihre Kennzahlen") && list.contains("n\u{a0}=\u{a0}2") && !list.contains("n\u{a0}=\u{a0}12"), "{list}");
}

#[tokio::test]
async fn the_committee_gets_figures_and_neither_case_nor_body() {
    let front = filled();
    for role in [Role::Steering, Role::Auditor] {
        let (cookie, _) = front.enter(role);
        let mut paths = vec!["/kennzahlen".to_owned()];
        for def in &KPIS {
            paths.extend([format!("/kennzahl/{}", def.key), format!("/kennzahl/{}.csv", def.key)]);
        }
        for path in paths {
            let page = front.get(&path, &cookie).await;
            assert_eq!(page.status, StatusCode::OK);
            for secret in ["TC-2026-", "Gotha", "Sömmerda", "Gemeinde Nummer", "Anmeldeversuche", "HYPERLINK"] {
                assert!(!page.text.contains(secret), "{path} tells {role:?} of {secret}: {}", page.text);
            }
        }
        let page = front.get(CONTAINMENT, &cookie).await.text;
        assert!(page.contains("Die Fälle stammen von 6 Stellen.") && page.contains("n\u{a0}=\u{a0}12"), "{page}");
        let csv = front.get("/kennzahl/eindaemmungszeit.csv", &cookie).await.text;
        assert_eq!(
            csv,
            "\u{feff}Klasse;Anzahl\r\nunter 1\u{a0}h;0\r\n1\u{a0}h bis unter 4\u{a0}h;3\r\n4\u{a0}h bis unter 8\u{a0}h;4\r\n8\u{a0}h bis unter 24\u{a0}h;5\r\n"
        );
        // Periods of any length could be cut so that two differ by one case.
        assert_eq!(front.get("/kennzahlen?zeitraum=2026-11", &cookie).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn a_figure_of_few_bodies_is_withheld_from_neighbours() {
    let front = Front::new();
    let bodies = bodies(&front);
    // Six bodies in the half-year, but only two of them in the running quarter: the third quarter's figure would say the
    // fourth's.
    for (n, (days, body)) in (0..).zip([(60, 0), (61, 1), (62, 2), (63, 3), (64, 4), (65, 5), (2, 0), (3, 1)]) {
        case(&front, n, bodies[body], (days, 2), "Anmeldeversuche");
    }
    let (steering, _) = front.enter(Role::Steering);
    let (analyst, _) = front.enter(Role::Analyst);
    let withheld = async |cookie: &str, period: &str| {
        let page = front.get(&format!("{CONTAINMENT}?zeitraum={period}"), cookie).await.text;
        let csv = front.get(&format!("{CONTAINMENT}.csv?zeitraum={period}"), cookie).await.text;
        let hidden = page.contains("Sie bleibt verborgen");
        assert_eq!(hidden, csv.lines().count() == 1, "{csv}");
        assert!(!hidden || !page.contains("2\u{a0}h"), "{page}");
        hidden
    };
    assert!(!withheld(&steering, "2026-H2").await);
    assert!(withheld(&steering, "2026-Q4").await && withheld(&steering, "2026-Q3").await);
    assert!(!withheld(&analyst, "2026-Q4").await);
    let list = front.get("/kennzahlen?zeitraum=2026-Q4", &steering).await.text;
    assert!(list.contains("verborgen, zu wenige Stellen") && !list.contains("2\u{a0}h"), "{list}");
}

#[tokio::test]
async fn an_old_moment_knows_what_was_known_then() {
    let front = filled();
    let (cookie, _) = front.enter(Role::Lead);
    let early = front.get(&format!("{CONTAINMENT}?stand=2026-11-10T12:00"), &cookie).await.text;
    // Opened on 9 and 10 November; contained by then only the first of them, in no time at all the second.
    assert!(early.contains("TC-2026-000012") && !early.contains("TC-2026-000001\""), "{early}");
    assert!(early.contains("stand=2026-11-10T12%3A00"), "the moment goes on into the links: {early}");
    for path in ["/kennzahl/fehlt", "/kennzahlen?zeitraum=2026-H3", "/kennzahl/eindaemmungszeit.csv.csv"] {
        assert_eq!(front.get(path, &cookie).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let later = front.get("/kennzahlen?stand=2030-01-01T00:00&zeitraum=2026-Q1", &cookie).await;
    assert_eq!(later.status, StatusCode::OK);
    assert!(later.text.contains("wie bekannt am 21.11.2026, 14:02") && later.text.contains("keine Fälle"), "{}", later.text);
}

#[tokio::test]
async fn a_long_list_has_pages() {
    let front = Front::new();
    let body = front.body;
    for n in 0..=u32::try_from(PAGE_ROWS).unwrap() {
        case(&front, n, body, (1 + i64::from(n % 20), 1), "Anmeldeversuche");
    }
    let (cookie, _) = front.enter(Role::Lead);
    let (first, second, none) = (
        front.get(CONTAINMENT, &cookie).await.text,
        front.get(&format!("{CONTAINMENT}?seite=2"), &cookie).await.text,
        front.get(&format!("{CONTAINMENT}?seite=99999999999999999999"), &cookie).await.text,
    );
    assert!(first.contains("1 bis 100 von 101") && first.contains("seite=2\">Ältere") && !first.contains("Neuere"), "{first}");
    assert!(second.contains("101 bis 101 von 101") && second.contains("seite=1\">Neuere") && !second.contains("Ältere"), "{second}");
    assert!(none.contains("1 bis 100 von 101"));
}

#[test]
fn the_columns_end_with_the_quarter_asked_for() {
    for (key, last) in [("2026-H2", "2026-Q4"), ("2026-H1", "2026-Q2"), ("2026-Q3", "2026-Q3"), ("2026-02", "2026-Q1")] {
        let quarters = quarters(&period_parse(key).unwrap(), now());
        assert_eq!((quarters.len(), quarters.last().map(|quarter| quarter.key.as_str())), (TREND_QUARTERS, Some(last)), "{key}");
    }
    // In the first quarter of a half-year the second has not begun.
    let january = Timestamp::parse_rfc3339("2026-07-15T12:00:00Z").unwrap();
    assert_eq!(quarters(&period_parse("2026-H2").unwrap(), january).last().unwrap().key, "2026-Q3");
}
