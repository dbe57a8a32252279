//! For the tests of case work: a database with two bodies, findings in one line, and a dump without identities.

use std::collections::BTreeMap;
use std::sync::Arc;

use ingest::body::{Body, BodyId, BodyKind, Site, SiteId, body_add, site_add};
use ingest::db::{Db, DbError};
use ingest::frame::Seq;
use ingest::rusqlite::Transaction;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use super::{CaseError, Change, Filed, Incident, IncidentFilter, IncidentId, IncidentView, finding_file, incident_change, incident_get};
use crate::finding::{Entity, Finding};
use crate::playbook::Playbooks;
use crate::role::Role;
use crate::rule::{Level, Rule};

/// 2026-11-21 09:00 in Thuringia.
pub(crate) const START: Timestamp = Timestamp(1_795_248_000_000);

pub(crate) struct World {
    pub(crate) db: Db,
    pub(crate) playbooks: Arc<Playbooks>,
    /// Of body A: two sites; of body B: one.
    pub(crate) sites: [SiteId; 3],
    pub(crate) bodies: [BodyId; 2],
    _folder: tempfile::TempDir,
}

/// A finding at `minute` after `START`, of the records `seqs`, one a second.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) rule: &'static str,
    pub(crate) level: Level,
    pub(crate) entity: Entity,
    /// 0 and 1 are body A's, 2 is body B's, 3 nobody's.
    pub(crate) site: usize,
    pub(crate) minute: i64,
    pub(crate) seqs: Vec<u64>,
    pub(crate) hosts: &'static [&'static str],
}

pub(crate) fn ip(text: &str) -> Entity {
    Entity::Ip(text.parse().unwrap())
}

pub(crate) fn spec(entity: &str, site: usize, minute: i64, seqs: impl IntoIterator<Item = u64>) -> Spec {
    Spec { rule: "ssh_bruteforce", level: Level::Medium, entity: ip(entity), site, minute, seqs: seqs.into_iter().collect(), hosts: &[] }
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let owners = [
            ingest::body::MIGRATIONS,
            ingest::history::MIGRATIONS,
            super::MIGRATIONS,
            crate::alert::MIGRATIONS,
            crate::recommendation::MIGRATIONS,
            crate::duty::MIGRATIONS,
            crate::consumer::MIGRATIONS,
            crate::rulebook::MIGRATIONS,
            crate::watch::MIGRATIONS,
            crate::exhibit::MIGRATIONS,
        ];
        let db = Db::open(&folder.path().join("w.db"), &owners).unwrap();
        let id = |n: u128| ingest::id::Ulid(n);
        let bodies = [BodyId(id(1)), BodyId(id(2))];
        let sites = [SiteId(id(11)), SiteId(id(12)), SiteId(id(21))];
        db.write(move |tx| {
            for (body, name) in bodies.iter().zip(["Stadt Musterhausen", "Landratsamt Beispielkreis"]) {
                let body = Body { id: *body, name: name.into(), kind: BodyKind::Gemeinde, ags: None, kreis: "16068".into(), population: 0 };
                body_add(tx, &body, START)?;
            }
            for ((site, name), body) in sites.iter().zip(["rathaus-a", "bauhof-a", "landratsamt-b"]).zip([0, 0, 1]) {
                site_add(
                    tx,
                    &Site {
                        id: *site,
                        name: name.into(),
                        body: Some(bodies[body]),
                        prefixes: vec![],
                        certificates: vec![],
                        tokens: vec![],
                    },
                )?;
            }
            Ok::<_, DbError>(())
        })
        .unwrap();
        Self { db, playbooks: Arc::new(Playbooks::embedded().unwrap()), sites, bodies, _folder: folder }
    }

    pub(crate) fn finding(&self, spec: &Spec) -> Finding {
        let rsit = match spec.rule {
            "ssh_bruteforce" => "intrusion-attempts/brute-force",
            "ssh_bruteforce_success" => "intrusions/unprivileged-account-compromise",
            _ => "information-gathering/scanner",
        };
        let rule = Rule {
            id: format!("id-{}", spec.rule),
            name: spec.rule.into(),
            title: format!("Regel {}", spec.rule),
            description: String::new(),
            level: spec.level,
            rsit: rsit.into(),
            attack: Vec::new(),
            playbook: None,
        };
        let mut observables: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        if let Entity::Ip(address) = spec.entity {
            observables.insert("source.ip", vec![address.to_string()]);
        }
        observables.insert("host.name", spec.hosts.iter().map(|host| (*host).to_owned()).collect());
        let first = START.plus(spec.minute * Timestamp::MINUTE);
        let last = first.plus(spec.seqs.len() as i64 * Timestamp::SECOND);
        Finding {
            rule: Arc::new(rule),
            site: self.sites.get(spec.site).copied().unwrap_or(ingest::body::SITE_UNKNOWN),
            body: [Some(self.bodies[0]), Some(self.bodies[0]), Some(self.bodies[1])].get(spec.site).copied().flatten(),
            entity: spec.entity.clone(),
            observables,
            first,
            last,
            detected_at: last.plus(Timestamp::SECOND),
            evidence: spec.seqs.iter().take(crate::finding::EVIDENCE_MAX).map(|seq| Seq(*seq)).collect(),
            records: spec.seqs.len() as u64,
            reasons: vec![],
            explanation: None,
            shares: vec![],
        }
    }

    pub(crate) fn file(&self, spec: &Spec) -> Filed {
        let (finding, playbooks) = (self.finding(spec), self.playbooks.clone());
        self.write(move |tx| Ok(finding_file(tx, &playbooks, &finding, finding.detected_at)?)).unwrap()
    }

    /// Files a finding that opens an incident.
    pub(crate) fn open(&self, spec: &Spec) -> IncidentId {
        match self.file(spec) {
            Filed::Opened { incident, .. } => incident,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, CaseError> + Send + 'static,
    ) -> Result<T, CaseError> {
        self.db.write(work)
    }

    pub(crate) fn change(&self, id: IncidentId, version: i64, change: Change, role: Role, now: Timestamp) -> Result<i64, CaseError> {
        self.write(move |tx| incident_change(tx, id, version, &change, "anna", role, now))
    }

    pub(crate) fn view(&self, id: IncidentId) -> IncidentView {
        self.db.read(|connection| incident_get(connection, &Scope::All, id)).unwrap().unwrap()
    }

    pub(crate) fn list(&self, scope: Scope) -> Vec<Incident> {
        self.db.read(|connection| super::incident_list(connection, &IncidentFilter::new(scope))).unwrap()
    }

    /// Everything that findings leave behind, without identities and times of recording: for comparing two ways.
    pub(crate) fn dump(&self) -> String {
        let queries = [
            "SELECT i.number || ' ' || i.state || ' ' || i.severity || ' ' || i.first_activity || ' ' || i.last_activity || ' v' || i.version
             FROM incident i ORDER BY i.number",
            "SELECT a.rule_name || ' ' || a.entity || ' ' || a.site || ' ' || a.first || ' ' || a.last || ' n' || a.records || ' ' || a.state
                || ' ' || COALESCE(i.number, '-') || ' [' || COALESCE((SELECT GROUP_CONCAT(e.seq, ',') FROM alert_evidence e WHERE e.alert = a.id), '')
                || ']' FROM alert a LEFT JOIN incident i ON i.id = a.incident ORDER BY a.rule_name, a.entity, a.site, a.anchor, a.seq_last",
            "SELECT playbook || ' ' || state FROM recommendation ORDER BY playbook, created_at",
            "SELECT kind || ' ' || COUNT(*) FROM history GROUP BY kind ORDER BY kind",
        ];
        let lines = self.db.read(|connection| {
            let mut lines = Vec::new();
            for query in queries {
                let mut statement = connection.prepare(query)?;
                let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
                lines.extend(rows.collect::<Result<Vec<_>, _>>()?);
            }
            Ok::<_, DbError>(lines)
        });
        lines.unwrap().join("\n")
    }
}
