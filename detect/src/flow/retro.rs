//! The retro-hunt: when a list brings new addresses, what is stored of the last days is searched for them, in the
//! background and from the oldest on. What is found becomes findings of a rule of its own, so that everybody sees that it
//! is in hindsight.
//!
//! **Exactly once.** An indicator belongs to the one hunt (list and version) with which it came. The hunt has all flows
//! received before a moment `to_at`, the detector all from then on; that moment lies a little after the lists in force
//! were exchanged. What a stretch of time brought and how far the hunt has come are one transaction.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::audit::{NewAudit, audit_add};
use ingest::body::{Prefix, SharedSites, SiteTable};
use ingest::db::{Db, DbError};
use ingest::flow::FlowRecord;
use ingest::flows::column::{Column, ColumnSet, address_octets, octets_address};
use ingest::flows::{AskedAddress, Chunk, End, FlowRange, FlowStore, FlowStoreError, Mask, Predicate, Prune};
use ingest::rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::{Clock, Stopwatch, Timestamp};

use super::detectors::finding;
use super::indicator::{Contact, NAME_RETRO, Settings};
use super::networks::Networks;
use super::wire::Host;
use super::{ParameterError, Sheet};
use crate::finding::Finding;
use crate::incident::finding_file;
use crate::intel::{INDICATORS_MAX, IndicatorSet, SharedIndicators, indicator_list_of_hunt};
use crate::playbook::Playbooks;
use crate::rule::Rule;

ingest::id_type!(
    /// One search in hindsight for what one list brought at once.
    RetroHuntId
);

/// Indicators that are tied to their hunt in one transaction: some tens of milliseconds of the one writer.
const TIED_PER_WRITE: usize = 20_000;
/// The lists in force are exchanged so long before the detector takes over: what is on its way is judged by one of both.
const LEAD: i64 = Timestamp::MINUTE;
/// What was received is in the store after so long.
const LAG: i64 = 30 * Timestamp::SECOND;
/// A stretch of receipt that is read at once: what the store keeps in a file.
const STEP: i64 = 5 * Timestamp::MINUTE;
/// Stretches without anything that are read before it is written down: a cancelling waits no longer.
const STEPS_TOGETHER: usize = 12;
/// The shortest stretch that a stretch with too many hits is cut down to.
const STEP_MIN: i64 = 10 * Timestamp::SECOND;
/// Hits that are read of one stretch; with more it is cut, and of the shortest the rest is left out.
const HITS_MAX: usize = 10_000;
/// Findings of one transaction.
const FINDINGS_MAX: usize = 200;
/// Hunts that people see, the newest.
const LISTED_MAX: usize = 200;

/// How a hunt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetroState {
    /// Indicators are still being tied to it.
    Gathering,
    Running,
    Done,
    Cancelled,
}

impl RetroState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gathering => "gathering",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn parse(text: &str) -> Self {
        [Self::Gathering, Self::Running, Self::Done].into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Cancelled)
    }
}

/// A hunt as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetroHunt {
    pub id: RetroHuntId,
    pub list: String,
    /// Counts the times that the list brought something new.
    pub version: i64,
    pub state: RetroState,
    pub indicators: i64,
    /// Receipt: from where, to where (exclusive), and how far it has come.
    pub from: Timestamp,
    pub to: Timestamp,
    pub reached: Timestamp,
    /// Flows that met an indicator, and what was told of them.
    pub hits: i64,
    pub findings: i64,
    pub begun_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Who cancelled it.
    pub ended_by: Option<String>,
}

impl RetroHunt {
    /// Percent of the time to be searched.
    pub fn percent(&self) -> u8 {
        let (done, all) = (self.reached.since(self.from).max(0), self.to.since(self.from).max(1));
        match self.state {
            RetroState::Done => 100,
            _ => u8::try_from(done.saturating_mul(100) / all).unwrap_or(100).min(99),
        }
    }
}

const COLUMNS: &str = "id, list, version, state, indicators, from_at, to_at, reached, hits, findings, begun_at, ended_at, ended_by";

fn hunt_from_row(row: &Row<'_>) -> ingest::rusqlite::Result<RetroHunt> {
    let state: String = row.get(3)?;
    let ended_at: Option<i64> = row.get(11)?;
    Ok(RetroHunt {
        id: row.get(0)?,
        list: row.get(1)?,
        version: row.get(2)?,
        state: RetroState::parse(&state),
        indicators: row.get(4)?,
        from: Timestamp(row.get(5)?),
        to: Timestamp(row.get(6)?),
        reached: Timestamp(row.get(7)?),
        hits: row.get(8)?,
        findings: row.get(9)?,
        begun_at: Timestamp(row.get(10)?),
        ended_at: ended_at.map(Timestamp),
        ended_by: row.get(12)?,
    })
}

/// The newest hunts.
///
/// # Errors
/// The database's own.
pub fn retro_list(connection: &Connection) -> Result<Vec<RetroHunt>, DbError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM retro_hunt ORDER BY begun_at DESC, id DESC LIMIT {LISTED_MAX}"))?;
    let rows = statement.query_map([], hunt_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn retro_running(connection: &Connection) -> Result<Vec<RetroHunt>, DbError> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM retro_hunt WHERE state = 'running' ORDER BY reached, to_at, id"))?;
    let rows = statement.query_map([], hunt_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Ends a hunt that runs; says whether there was one.
///
/// # Errors
/// The database's own.
pub fn retro_cancel(tx: &Transaction<'_>, id: RetroHuntId, audit: &NewAudit, name: &str, now: Timestamp) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE retro_hunt SET state = 'cancelled', ended_at = ?2, ended_by = ?3 WHERE id = ?1 AND state IN ('running', 'gathering')",
        params![id, now.0, name],
    )?;
    if changed > 0 {
        audit_add(tx, now, audit)?;
    }
    Ok(changed > 0)
}

/// Ties new indicators to hunts, so many at once; returns whether there are more.
fn retro_gather(tx: &Transaction<'_>, now: Timestamp) -> Result<bool, DbError> {
    let list: Option<String> =
        tx.prepare_cached("SELECT list FROM indicator WHERE hunt IS NULL LIMIT 1")?.query_row([], |row| row.get(0)).optional()?;
    let Some(list) = list else { return Ok(false) };
    let mut gathering = tx.prepare_cached("SELECT id FROM retro_hunt WHERE list = ?1 AND state = 'gathering'")?;
    let hunt: Option<RetroHuntId> = gathering.query_row([&list], |row| row.get(0)).optional()?;
    let hunt = match hunt {
        Some(hunt) => hunt,
        None => {
            let id = RetroHuntId::new(now);
            // Until all are tied, none of them is judged as flows come.
            tx.execute(
                "INSERT INTO retro_hunt (id, list, version, state, indicators, from_at, to_at, reached, hits, findings, begun_at)
                 VALUES (?1, ?2, (SELECT COALESCE(MAX(version), 0) + 1 FROM retro_hunt WHERE list = ?2), 'gathering', 0, 0, ?3, 0, 0, 0, ?4)",
                params![id, list, i64::MAX, now.0],
            )?;
            id
        }
    };
    let tied = tx.execute(
        "UPDATE indicator SET hunt = ?1 WHERE id IN (SELECT id FROM indicator WHERE hunt IS NULL AND list = ?2 LIMIT ?3)",
        params![hunt, list, i64::try_from(TIED_PER_WRITE).unwrap_or(i64::MAX)],
    )?;
    tx.execute("UPDATE retro_hunt SET indicators = indicators + ?2 WHERE id = ?1", params![hunt, i64::try_from(tied).unwrap_or(0)])?;
    Ok(true)
}

/// Sends what has been gathered on its way: from here on the detector takes over at `to_at`. A list that brought names
/// alone has nothing that flows could tell.
fn retro_begin(tx: &Transaction<'_>, millis: i64, enabled: bool, now: Timestamp) -> Result<usize, DbError> {
    let (from, to) = (now.plus(-millis), now.plus(LEAD));
    tx.execute(
        "UPDATE retro_hunt SET state = 'done', from_at = ?1, reached = ?2, to_at = ?2, ended_at = ?2 WHERE state = 'gathering'
         AND NOT EXISTS (SELECT 1 FROM indicator WHERE indicator.hunt = retro_hunt.id AND indicator.kind <> 'domain')",
        params![from.0, now.0],
    )?;
    Ok(tx.execute(
        "UPDATE retro_hunt SET state = ?3, from_at = ?1, reached = ?1, to_at = ?2 WHERE state = 'gathering'",
        params![from.0, to.0, if enabled { RetroState::Running } else { RetroState::Cancelled }.as_str()],
    )?)
}

/// Why a look could not be finished; it is taken up again with the next.
#[derive(Debug, thiserror::Error)]
pub enum RetroError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Store(#[from] FlowStoreError),
}

/// What one look did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetroLooked {
    /// New hunts, and stretches of time that were read.
    pub begun: usize,
    pub steps: usize,
    pub findings: usize,
    /// There is more to do at once.
    pub more: bool,
}

/// The hunter and what it needs.
pub struct RetroHunter {
    db: Db,
    flows: Arc<FlowStore>,
    sites: SharedSites,
    playbooks: Arc<Playbooks>,
    shared: SharedIndicators,
    rule: Arc<Rule>,
    settings: Settings,
    networks: Networks,
    /// How far back, milliseconds.
    back: i64,
    enabled: bool,
    /// What the hunts that run are after, and which those are.
    sought: (Vec<RetroHuntId>, Arc<IndicatorSet>),
}

impl RetroHunter {
    /// # Errors
    /// Where the sheet has a wrong value.
    pub fn new(
        db: Db,
        flows: Arc<FlowStore>,
        sites: SharedSites,
        playbooks: Arc<Playbooks>,
        shared: SharedIndicators,
        sheet: &Sheet,
        own: &[Prefix],
    ) -> Result<Option<Self>, ParameterError> {
        let (Some(section), Some(live)) = (sheet.get(NAME_RETRO), sheet.get(super::indicator::NAME)) else { return Ok(None) };
        Ok(Some(Self {
            db,
            flows,
            sites,
            playbooks,
            shared,
            rule: section.rule.clone(),
            settings: Settings::read(&live.parameters)?,
            networks: Networks::new(own),
            back: section.parameters.millis("back_days", 1.0..=400.0)?,
            enabled: section.enabled,
            sought: Default::default(),
        }))
    }

    /// Takes in what lists brought since the last look, and searches one stretch. `caught_up` says whether everything
    /// received is in the store.
    ///
    /// # Errors
    /// The database's and the store's own; nothing is lost or done twice then.
    pub fn look(&mut self, now: Timestamp, caught_up: bool) -> Result<RetroLooked, RetroError> {
        let begun = self.take_in(now)?;
        let running = self.db.read(retro_running)?;
        let Some(first) = running.first().filter(|_| self.enabled) else { return Ok(RetroLooked { begun, ..RetroLooked::default() }) };
        // Hunts that began together go together: one reading serves all lists of a morning.
        let (from, to) = (first.reached, first.to);
        let hunts: Vec<RetroHunt> = running.iter().filter(|hunt| (hunt.reached, hunt.to) == (from, to)).cloned().collect();
        let mut until = to.min(Timestamp(from.0.saturating_sub(from.0.rem_euclid(STEP)).saturating_add(STEP)));
        let settled = until.plus(LAG) <= now && (caught_up || until.plus(Timestamp::HOUR) <= now);
        if !settled {
            return Ok(RetroLooked { begun, ..RetroLooked::default() });
        }
        let set = self.sought(&hunts)?;
        let sites: Arc<SiteTable> = self.sites.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let mut met = self.read(&set, &sites, from, until)?;
        while met.len() >= HITS_MAX && until.since(from) > STEP_MIN {
            until = from.plus((until.since(from) / 2).max(STEP_MIN));
            met = self.read(&set, &sites, from, until)?;
        }
        // Where there is nothing, it goes on at once: each writing down costs a sync.
        for _ in 1..STEPS_TOGETHER {
            let next = to.min(until.plus(STEP));
            if !met.is_empty() || next <= until || next.plus(Timestamp::HOUR) > now {
                break;
            }
            met = self.read(&set, &sites, until, next)?;
            // Too many for one reading: they are read again, in shorter stretches.
            if met.len() >= HITS_MAX {
                met.clear();
                break;
            }
            until = next;
        }
        let (findings, hits) = self.judge(&set, &sites, &met, now);
        let told = findings.len();
        self.file(&hunts, findings, &hits, until, now)?;
        Ok(RetroLooked { begun, steps: 1, findings: told, more: true })
    }

    fn take_in(&mut self, now: Timestamp) -> Result<usize, DbError> {
        let mut any = false;
        while self.db.write(move |tx| retro_gather(tx, now))? {
            any = true;
        }
        if !any && self.db.read(retro_gathering)? == 0 {
            return Ok(0);
        }
        let (back, enabled) = (self.back, self.enabled);
        let begun = self.db.write(move |tx| retro_begin(tx, back, enabled, now))?;
        let set = Arc::new(self.db.read(IndicatorSet::load)?);
        tracing::info!(hunts = begun, indicators = set.len(), "new indicators are in force and hunted for in what is stored");
        self.shared.set(set);
        Ok(begun)
    }

    fn sought(&mut self, hunts: &[RetroHunt]) -> Result<Arc<IndicatorSet>, DbError> {
        let ids: Vec<RetroHuntId> = hunts.iter().map(|hunt| hunt.id).collect();
        if self.sought.0 != ids {
            let mut all = Vec::new();
            for id in &ids {
                let left = INDICATORS_MAX.saturating_sub(all.len());
                all.extend(self.db.read(|connection| indicator_list_of_hunt(connection, &id.to_string(), left))?);
            }
            self.sought = (ids, Arc::new(IndicatorSet::new(all)));
        }
        Ok(self.sought.1.clone())
    }

    /// The stored flows of a stretch whose destination is sought.
    fn read(&self, set: &IndicatorSet, sites: &SiteTable, from: Timestamp, to: Timestamp) -> Result<Vec<FlowRecord>, FlowStoreError> {
        let sought = Sought(set);
        let range = FlowRange { from, to, filter: Some(&sought), scope: &Scope::All, sites };
        let mut met = self.flows.list(&range, HITS_MAX)?;
        met.reverse();
        Ok(met)
    }

    /// What the flows tell, by host and indicator, and how many met each list.
    fn judge(
        &mut self,
        set: &IndicatorSet,
        sites: &Arc<SiteTable>,
        met: &[FlowRecord],
        now: Timestamp,
    ) -> (Vec<Finding>, BTreeMap<String, (i64, i64)>) {
        self.networks.follow(sites);
        let mut contacts: BTreeMap<(Host, String), (Contact, Vec<String>, u8)> = BTreeMap::new();
        let mut lists_hit: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for flow in met {
            let seen = self.networks.seen(flow, sites.body(flow.site));
            let Some(indicator) = self.settings.meets(set, flow).filter(|_| self.settings.worth(flow, &seen)) else { continue };
            let name = indicator.pattern.value();
            let entry = contacts.entry((Host::new(flow.site, flow.src_ip), name)).or_default();
            entry.0.add(flow, &seen);
            entry.2 = entry.2.max(indicator.confidence);
            let same = set.address(flow.dst_ip, flow.received_at).filter(|other| other.pattern == indicator.pattern);
            for list in same.map(|other| other.list.to_string()) {
                lists_hit.entry(list.clone()).or_default().0 += 1;
                if !entry.1.contains(&list) {
                    entry.1.push(list);
                }
            }
        }
        let mut findings = Vec::new();
        for ((host, name), (mut contact, lists, confidence)) in contacts {
            for list in &lists {
                lists_hit.entry(list.clone()).or_default().1 += 1;
            }
            let mut detection = contact.tell(host, &name, &lists, confidence, &self.settings);
            detection.detected_at = now;
            findings.push(finding(self.rule.clone(), detection, sites.body(host.site)));
        }
        (findings, lists_hit)
    }

    /// Files what was found and moves the hunts on, in one transaction; of a hunt that was cancelled meanwhile nothing.
    fn file(
        &self,
        hunts: &[RetroHunt],
        findings: Vec<Finding>,
        hits: &BTreeMap<String, (i64, i64)>,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<(), DbError> {
        // Of very many the first transactions only file: filing is the same twice, moving on comes last.
        let mut chunks: Vec<Vec<Finding>> = Vec::new();
        for finding in findings {
            match chunks.last_mut() {
                Some(chunk) if chunk.len() < FINDINGS_MAX => chunk.push(finding),
                _ => chunks.push(vec![finding]),
            }
        }
        let last = chunks.pop().unwrap_or_default();
        for chunk in chunks {
            let playbooks = self.playbooks.clone();
            self.db.write(move |tx| chunk.iter().try_for_each(|finding| finding_file(tx, &playbooks, finding, now).map(drop)))?;
        }
        let moves: Vec<(RetroHuntId, i64, i64)> = hunts
            .iter()
            .map(|hunt| {
                let (hits, findings) = hits.get(&hunt.list).copied().unwrap_or_default();
                (hunt.id, hits, findings)
            })
            .collect();
        let (playbooks, done) = (self.playbooks.clone(), hunts.first().is_some_and(|hunt| until >= hunt.to));
        self.db.write(move |tx| {
            let mut moved = 0;
            for (id, hits, findings) in &moves {
                moved += tx
                    .prepare_cached(
                        "UPDATE retro_hunt SET reached = ?2, hits = hits + ?3, findings = findings + ?4,
                         state = CASE WHEN ?5 THEN 'done' ELSE state END, ended_at = CASE WHEN ?5 THEN ?6 ELSE ended_at END
                         WHERE id = ?1 AND state = 'running'",
                    )?
                    .execute(params![id, until.0, hits, findings, done, now.0])?;
            }
            if moved > 0 {
                last.iter().try_for_each(|finding| finding_file(tx, &playbooks, finding, now).map(drop))?;
            }
            Ok::<_, DbError>(())
        })
    }
}

/// Few enough for a look at each file's bounds and Bloom filters to cost less than reading it.
const RANGES_MAX: usize = 256;

/// Flows whose destination an indicator names, valid or not any more: only the one column is read of what has none.
struct Sought<'a>(&'a IndicatorSet);

impl Predicate for Sought<'_> {
    fn needed(&self) -> ColumnSet {
        ColumnSet::of(&[Column::DstIp])
    }

    fn prune(&self) -> Prune {
        let bits = |address: IpAddr| u128::from_be_bytes(address_octets(address));
        let ranges: Vec<(u128, u128)> =
            self.0.address_ranges(RANGES_MAX).into_iter().map(|(first, last)| (bits(first), bits(last))).collect();
        let asked = (!ranges.is_empty()).then_some(AskedAddress { end: End::Destination, ranges });
        Prune { addresses: asked.into_iter().collect(), ..Prune::default() }
    }

    fn narrow(&self, chunk: &Chunk<'_>, _sites: &SiteTable, mask: &mut Mask) {
        let addresses = chunk.addresses(Column::DstIp);
        mask.narrow_rows(|row| {
            let address = addresses.get(row).map(|octets| octets_address(*octets));
            address.is_some_and(|address| self.0.address(address, Timestamp(i64::MIN)).next().is_some())
        });
    }
}

/// How often lists are looked at that have not changed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The thread that hunts; it ends when this is dropped.
pub struct Retro {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Retro {
    /// `caught_up` says whether everything that was received is in the flow store.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start(mut hunter: RetroHunter, clock: Clock, caught_up: impl Fn() -> bool + Send + 'static) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let work = move || {
            loop {
                let watch = Stopwatch::start();
                let more = match hunter.look(clock.now(), caught_up()) {
                    Ok(looked) => looked.more,
                    Err(error) => {
                        tracing::error!(%error, "the retro-hunt cannot go on; trying again");
                        false
                    }
                };
                // It takes at most half of one core: who asks questions comes first.
                let pause = if more { watch.elapsed() } else { LOOK_EVERY };
                if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("retro".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Retro {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn retro_gathering(connection: &Connection) -> Result<i64, DbError> {
    Ok(connection.query_row("SELECT COUNT(*) FROM retro_hunt WHERE state = 'gathering'", [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests;
