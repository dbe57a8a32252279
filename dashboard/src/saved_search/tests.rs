//! Whose searches are whose, and that every change leaves its row.

use expect_test::expect;
use ingest::audit::audit_list;
use ingest::db::Db;
use ingest::scope::Scope;

use super::*;
use crate::access::TlpRank;
use crate::user::{User, user_add};

const NOW: Timestamp = Timestamp(1_795_000_000_000);

struct House {
    db: Db,
    _dir: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { db: crate::node::database(dir.path()).unwrap(), _dir: dir }
    }

    fn viewer(&self, login: &str, role: Role) -> Viewer {
        let id = UserId::new(NOW);
        let user = User { id, login: login.into(), name: login.into(), role, body: None, disabled: false };
        self.db.write(move |tx| user_add(tx, &user, "h", NOW)).unwrap();
        Viewer { user: id, name: login.into(), role, scope: Scope::All, tlp_max: TlpRank::Red, body: None }
    }

    fn add(&self, viewer: &Viewer, name: &str, query: &str, roles: &[Role]) -> Result<SavedSearchId, SavedError> {
        let (viewer, name, roles) = (viewer.clone(), name.to_owned(), roles.to_vec());
        let asked = Asked { query: query.into(), span: "24h".into(), ..Asked::default() };
        self.db.write(move |tx| saved_search_add(tx, &viewer, &name, &asked, "verdeckt", &roles, NOW))
    }

    fn names(&self, viewer: &Viewer) -> Vec<String> {
        self.db.read(|c| saved_search_list(c, viewer)).unwrap().into_iter().map(|search| search.name).collect()
    }

    fn schedule(&self, viewer: &Viewer, id: SavedSearchId, new: Option<NewSchedule>) -> Result<(), SavedError> {
        let viewer = viewer.clone();
        self.db.write(move |tx| schedule_set(tx, &viewer, id, new.as_ref(), NOW))
    }
}

fn count(n: u64) -> NewSchedule {
    NewSchedule { every_minutes: 5, threshold: Threshold::Count(n), level: Level::Low, cool_down_minutes: 60 }
}

#[test]
fn a_search_is_its_owners_and_of_the_roles_it_is_shared_with() {
    let house = House::new();
    let (anna, bert, lead) = (house.viewer("anna", Role::Analyst), house.viewer("bert", Role::Analyst), house.viewer("lea", Role::Lead));
    let own = house.add(&anna, " Nur meine ", "failed", &[]).unwrap();
    let shared = house.add(&anna, "Für alle", "source.ip:10.0.0.0/8", &[Role::Analyst, Role::Lead, Role::Steering]).unwrap();
    assert_eq!((house.names(&anna), house.names(&bert)), (vec!["Für alle".into(), "Nur meine".into()], vec!["Für alle".to_owned()]));
    let found = house.db.read(|c| saved_search_find(c, shared)).unwrap().unwrap();
    assert_eq!(found.roles, [Role::Analyst, Role::Lead], "who may not search finds nothing by it");
    let change = |viewer: &Viewer, id| {
        let viewer = viewer.clone();
        house.db.write(move |tx| saved_search_change(tx, &viewer, id, "Neu", &[Role::Lead], NOW))
    };
    assert!(matches!(change(&bert, shared), Err(SavedError::NotFound)), "shared is not his");
    assert!(matches!(change(&lead, own), Err(SavedError::NotFound)), "what is not shared does not exist for the lead");
    change(&lead, shared).unwrap();
    assert_eq!(house.names(&bert), Vec::<String>::new());
    // About a body that somebody may not see it is not in his list, whoever shares it.
    let body = BodyId::new(NOW);
    let (owner, asked) = (anna.clone(), Asked { body: Some(body), ..Asked::default() });
    house.db.write(move |tx| saved_search_add(tx, &owner, "Eine Stelle", &asked, "", &[Role::Analyst], NOW)).unwrap();
    let bound = Viewer { scope: Scope::Bodies(vec![]), ..bert.clone() };
    assert_eq!((house.names(&bert), house.names(&bound)), (vec!["Eine Stelle".to_owned()], vec![]));
}

#[test]
fn what_makes_no_sense_is_not_kept() {
    let house = House::new();
    let anna = house.viewer("anna", Role::Analyst);
    assert!(matches!(house.add(&anna, "  ", "x", &[]), Err(SavedError::Name)));
    assert!(matches!(house.add(&anna, &"x".repeat(NAME_CHARS_MAX + 1), "x", &[]), Err(SavedError::Name)));
    assert!(matches!(house.add(&anna, "a\nb", "x", &[]), Err(SavedError::Name)));
    assert!(matches!(house.add(&anna, "kaputt", "(", &[]), Err(SavedError::Query(_))));
    let id = house.add(&anna, "gut", "x", &[]).unwrap();
    let field = |name: &str| NewSchedule { threshold: Threshold::NewGroup(name.into()), ..count(1) };
    for wrong in [
        count(0),
        field(""),
        field("gibt.es.nicht"),
        NewSchedule { every_minutes: 1, ..count(1) },
        NewSchedule { cool_down_minutes: -1, ..count(1) },
        NewSchedule { cool_down_minutes: COOL_DOWN_MINUTES_MAX + 1, ..count(1) },
    ] {
        assert!(matches!(house.schedule(&anna, id, Some(wrong.clone())), Err(SavedError::Schedule)), "{wrong:?}");
    }
    house.schedule(&anna, id, Some(field("source.ip"))).unwrap();
    for n in 1..SCHEDULED_PER_OWNER_MAX {
        let id = house.add(&anna, &format!("{n}"), "x", &[]).unwrap();
        house.schedule(&anna, id, Some(count(1))).unwrap();
    }
    let more = house.add(&anna, "eine zu viel", "x", &[]).unwrap();
    assert!(matches!(house.schedule(&anna, more, Some(count(1))), Err(SavedError::TooMany)));
    house.schedule(&anna, id, Some(count(3))).unwrap();
    for n in SCHEDULED_PER_OWNER_MAX..SCHEDULED_MAX {
        let other = house.viewer(&format!("v{n}"), Role::Analyst);
        let id = house.add(&other, "eine", "x", &[]).unwrap();
        house.schedule(&other, id, Some(count(1))).unwrap();
    }
    let late = house.viewer("zu-spaet", Role::Analyst);
    let more = house.add(&late, "eine zu viel", "x", &[]).unwrap();
    assert!(matches!(house.schedule(&late, more, Some(count(1))), Err(SavedError::TooMany)));
    for n in SCHEDULED_PER_OWNER_MAX + 1..PER_OWNER_MAX {
        house.add(&anna, &format!("{n}"), "x", &[]).unwrap();
    }
    assert!(matches!(house.add(&anna, "hundertundeins", "x", &[]), Err(SavedError::TooMany)));
}

#[test]
fn it_runs_as_its_owner_so_nobody_else_lets_it_run() {
    let house = House::new();
    let (anna, lead) = (house.viewer("anna", Role::Analyst), house.viewer("lea", Role::Lead));
    let id = house.add(&anna, "geteilt", "x", &[Role::Lead]).unwrap();
    assert!(matches!(house.schedule(&lead, id, Some(count(1))), Err(SavedError::NotFound)));
    house.schedule(&anna, id, Some(count(1))).unwrap();
    house.schedule(&lead, id, None).unwrap();
    assert_eq!(house.db.read(|c| schedule_get(c, id)).unwrap(), None);
}

#[test]
fn every_change_is_in_the_audit_log() {
    let house = House::new();
    let anna = house.viewer("anna", Role::Analyst);
    let id = house.add(&anna, "Fehlanmeldungen", "failed", &[Role::Lead]).unwrap();
    house.schedule(&anna, id, Some(count(5))).unwrap();
    house.schedule(&anna, id, None).unwrap();
    let viewer = anna.clone();
    house.db.write(move |tx| saved_search_change(tx, &viewer, id, "Anmeldungen", &[], NOW)).unwrap();
    let viewer = anna.clone();
    house.db.write(move |tx| saved_search_delete(tx, &viewer, id, NOW)).unwrap();
    let rows = house.db.read(|c| audit_list(c, None, 10)).unwrap();
    let told: String = rows.iter().rev().map(|row| format!("{} {}\n", row.kind, row.detail)).collect();
    expect![[r#"
        saved_search.added {"name":"Fehlanmeldungen","query":"verdeckt","roles":"lead"}
        saved_search.scheduled {"name":"Fehlanmeldungen","every_minutes":5,"count_min":5,"field":"","level":"low","cool_down_minutes":60}
        saved_search.unscheduled {"name":"Fehlanmeldungen"}
        saved_search.changed {"before":{"name":"Fehlanmeldungen","roles":"lead"},"after":{"name":"Anmeldungen","roles":""}}
        saved_search.deleted {"name":"Anmeldungen"}
    "#]]
    .assert_eq(&told);
    assert!(rows.iter().all(|row| row.actor == anna.user.to_string() && row.object == format!("saved_search:{id}")));
}

#[test]
fn the_lead_sees_and_ends_whatever_runs() {
    let house = House::new();
    let (anna, bert, lead) = (house.viewer("anna", Role::Analyst), house.viewer("bert", Role::Analyst), house.viewer("lea", Role::Lead));
    let id = house.add(&anna, "nur meine", "x", &[]).unwrap();
    assert_eq!(house.names(&lead), Vec::<String>::new());
    house.schedule(&anna, id, Some(count(1))).unwrap();
    assert_eq!((house.names(&lead), house.names(&bert)), (vec!["nur meine".to_owned()], vec![]));
    let viewer = lead.clone();
    let renamed = house.db.write(move |tx| saved_search_change(tx, &viewer, id, "Neu", &[], NOW));
    assert!(matches!(renamed, Err(SavedError::NotFound)), "it stays the owner's");
    assert!(matches!(house.schedule(&bert, id, None), Err(SavedError::NotFound)));
    assert!(matches!(house.schedule(&lead, id, Some(count(2))), Err(SavedError::NotFound)));
    house.schedule(&lead, id, None).unwrap();
    assert_eq!(house.names(&lead), Vec::<String>::new());
}

#[test]
fn known_values_are_kept_as_digests_and_not_for_ever() {
    let house = House::new();
    let anna = house.viewer("anna", Role::Analyst);
    let [id, other] = ["a", "b"].map(|name| house.add(&anna, name, "x", &[]).unwrap());
    let learn = |id: SavedSearchId, values: &[&str], day: i64| {
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        house.db.write(move |tx| groups_learn(tx, id, &values, NOW.plus(day * Timestamp::DAY))).unwrap()
    };
    assert_eq!(learn(id, &["e.muster", "root"], 0), ["e.muster", "root"]);
    assert_eq!(learn(other, &["e.muster"], 0), ["e.muster"]);
    let kept = |c: &Connection| {
        let mut rows = c.prepare("SELECT value FROM search_group")?;
        Ok::<_, DbError>(rows.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?)
    };
    let mut kept = house.db.read(kept).unwrap();
    assert!(kept.iter().all(|value| value.len() == 64), "{kept:?}");
    kept.sort_unstable();
    kept.dedup();
    assert_eq!(kept.len(), 3, "the same value of two searches cannot be told to be the same");
    assert_eq!(learn(id, &["root"], GROUP_DAYS - 1), Vec::<String>::new());
    assert_eq!(learn(id, &["e.muster", "root"], GROUP_DAYS + 1), ["e.muster"]);
}
