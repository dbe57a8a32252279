//! An app over a fresh database for the tests, with two bodies of which one is foreign to the municipality's user.

use std::path::Path;
use std::sync::{Arc, LazyLock, RwLock};

use detect::duty::Duties;
use detect::exhibit::Locker;
use detect::flow::{Board, Sheet};
use detect::playbook::Playbooks;
use detect::rulebook::{Rulebook, SharedRulebook};
use ingest::body::{self, Body, BodyId, BodyKind, SiteTable};
use ingest::db::DbError;
use ingest::disk::Watermark;
use ingest::frame::Seq;
use ingest::pseudonym::{Pseudonyms, Wanted};
use ingest::time::{Clock, Timestamp};

use super::{App, Door, Settings};
use crate::audit_queue::AuditQueue;
use crate::config;
use crate::node::database;
use crate::serve::publisher;

/// Compiled once for all tests.
static RULES: LazyLock<Rulebook> = LazyLock::new(|| Rulebook::shipped().unwrap());

pub(crate) fn app(dir: &Path, settings: Settings, now: Timestamp) -> (App, BodyId, BodyId) {
    let db = database(dir).unwrap();
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
    let pseudonyms = Pseudonyms::open(&dir.join("keys")).unwrap();
    let wanted = Wanted { enabled: Some(true), ..Wanted::default() };
    pseudonyms.begin(wanted, &[ingest::events::CLASS], &[], Seq(1), now).unwrap();
    let clock = Clock::manual(now);
    let audit = AuditQueue::start(db.clone(), clock.clone()).unwrap();
    let app = App {
        db,
        clock,
        audit,
        sites: Arc::new(RwLock::new(Arc::new(SiteTable::default()))),
        events: None,
        flows: None,
        counters: Arc::default(),
        flow_accounts: ingest::flow::FlowAccounts::default(),
        journal: None,
        watermark: Watermark::default(),
        pulse: None,
        pseudonyms: Arc::new(pseudonyms),
        readings: ingest::source::SharedReadings::default(),
        rules: SharedRulebook::new(RULES.clone()),
        backtests: Arc::default(),
        indicators: detect::intel::SharedIndicators::default(),
        board: Arc::new(Board::new(Arc::new(Sheet::shipped().unwrap()))),
        playbooks: Arc::new(Playbooks::embedded().unwrap()),
        duties: Arc::new(Duties::embedded().unwrap()),
        publisher: Arc::new(publisher(&config::defaults())),
        csaf_dir: dir.join("advisories"),
        settings: Arc::new(settings),
        door: Arc::new(Door::new(crate::proof::vault::Vault::default())),
        live: Arc::default(),
        locker: Locker::open(&dir.join("exhibits"), Watermark::default()).unwrap(),
        pgp: None,
    };
    (app, ids.0, ids.1)
}
