//! An app over a fresh database for the tests, with two bodies of which one is foreign to the municipality's user.

use std::path::Path;
use std::sync::{Arc, RwLock};

use advisory::csaf::Publisher;
use ingest::body::{self, Body, BodyId, BodyKind, SiteTable};
use ingest::db::{Db, DbError};
use ingest::history;
use ingest::time::{Clock, Timestamp};

use super::{App, Door, Settings};
use crate::user;

pub(crate) fn app(dir: &Path, settings: Settings, now: Timestamp) -> (App, BodyId, BodyId) {
    let db = Db::open(
        &dir.join("wartburg.db"),
        &[
            body::MIGRATIONS,
            history::MIGRATIONS,
            detect::incident::MIGRATIONS,
            detect::alert::MIGRATIONS,
            detect::recommendation::MIGRATIONS,
            ingest::source::MIGRATIONS,
        advisory::store::MIGRATIONS,
        advisory::subscription::MIGRATIONS,
        advisory::outbox::MIGRATIONS,
        advisory::acknowledgement::MIGRATIONS,
        user::MIGRATIONS,
        ],
    )
    .unwrap();
    let make = |name: &str, kind, ags: &str| {
        let ags: ingest::body::Ags = ags.parse().unwrap();
        Body { id: BodyId::new(now), name: name.into(), kind, ags: Some(ags), kreis: ags.kreis_key(), population: 19_000 }
    };
    let own = make("Stadtverwaltung Sömmerda", BodyKind::Gemeinde, "16068051");
    let other = make("Landratsamt Gotha", BodyKind::Landratsamt, "16067000");
    let ids = (own.id, other.id);
    db.write(move |tx| {
        body::body_add(tx, &own, now)?;
        body::body_add(tx, &other, now)
    })
    .unwrap_or_else(|error: DbError| panic!("{error}"));
    let app = App {
        db,
        clock: Clock::manual(now),
        sites: Arc::new(RwLock::new(Arc::new(SiteTable::default()))),
        events: None,
        flows: None,
        counters: Arc::default(),
        publisher: Publisher {
            name: "ThüringenCERT".into(),
            namespace: "https://cert.example/csaf".into(),
            contact: "ThüringenCERT, cert@cert.example".into(),
            mail: "cert@cert.example".into(),
            base_url: "http://wartburg.test".into(),
        },
        settings: Arc::new(settings),
        door: Arc::new(Door::default()),
    };
    (app, ids.0, ids.1)
}
