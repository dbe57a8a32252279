//! The retro-hunt: when a list brings something new, what is stored of the last days is searched for it, in the background
//! and from the oldest on: flows for addresses, and events (`events`) for everything. What is found becomes findings of
//! rules of their own, so that everybody sees that it is in hindsight.
//!
//! **Exactly once.** An indicator belongs to the one hunt (list and version) with which it came. The hunt has all flows
//! received before a moment `to_at`, the detector all from then on; that moment lies a little after the lists in force
//! were exchanged. What a stretch of time brought and how far the hunt has come are one transaction. Of events the rules
//! know what a list brings from the exchange on: what is received between that and `to_at`, a minute, both may tell of.

mod events;
mod store;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::body::{Prefix, SharedSites, SiteTable};
use ingest::db::{Db, DbError};
use ingest::events::EventStore;
use ingest::flow::FlowRecord;
use ingest::flows::column::{Column, ColumnSet, address_octets, octets_address};
use ingest::flows::{AskedAddress, Chunk, End, FlowRange, FlowStore, FlowStoreError, Mask, Predicate, Prune};
use ingest::scope::Scope;
use ingest::time::{Clock, Stopwatch, Timestamp};

use super::detectors::finding;
use super::indicator::{Contact, NAME_RETRO, Settings};
use super::networks::Networks;
use super::wire::Host;
use super::{ParameterError, Sheet};
use crate::finding::Finding;
use crate::intel::{IndicatorSet, SharedIndicators, indicator_change, indicator_load_of_hunts, indicator_refresh};
use crate::playbook::Playbooks;
use crate::rule::Rule;
use crate::rulebook::finding_route;

use events::EventHunt;
pub use store::{RetroHunt, RetroHuntId, RetroState, retro_cancel, retro_list};
use store::{Stage, retro_begin, retro_gather, retro_gathering, retro_move, retro_running};

/// What was received is in the store after so long.
const LAG: i64 = 30 * Timestamp::SECOND;
/// A list that is being read is waited for so long.
const MOVING_MAX: i64 = Timestamp::MINUTE;
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
    /// Where events are searched too.
    events: Option<EventHunt>,
    /// The change of the lists that the set in force is of; 0 before the first look.
    change: i64,
    /// The same as who opened the store read it.
    loaded: Option<i64>,
    /// The change that was seen last while lists are being read, and since when.
    moving: Option<(i64, Timestamp)>,
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
            events: None,
            change: 0,
            loaded: None,
            moving: None,
        }))
    }

    /// The set in force is of this change already: it need not be read again at the start.
    #[must_use]
    pub fn with_loaded(self, change: i64) -> Self {
        Self { loaded: Some(change), ..self }
    }

    /// Searches events too.
    ///
    /// # Errors
    /// Where the sheet has a wrong value.
    pub fn with_events(mut self, store: Arc<EventStore>, sheet: &Sheet) -> Result<Self, ParameterError> {
        self.events = EventHunt::new(store, sheet)?;
        Ok(self)
    }

    /// Takes in what lists brought since the last look, and searches one stretch. `caught_up` says whether everything
    /// received is in the store.
    ///
    /// # Errors
    /// The database's and the store's own; nothing is lost or done twice then.
    pub fn look(&mut self, now: Timestamp, caught_up: bool) -> Result<RetroLooked, RetroError> {
        let begun = self.take_in(now)?;
        self.shared.sightings().flush(&self.db)?;
        let idle = RetroLooked { begun, ..RetroLooked::default() };
        if !self.enabled {
            return Ok(idle);
        }
        match self.look_at_flows(now, caught_up)? {
            Some(looked) => Ok(RetroLooked { begun, ..looked }),
            None => Ok(self.look_at_events(now, caught_up)?.map_or(idle, |looked| RetroLooked { begun, ..looked })),
        }
    }

    /// The hunts that are furthest behind: those that began together go together, so that one reading serves all lists of a
    /// morning.
    fn furthest_behind(&self, stage: Stage) -> Result<Option<(Vec<RetroHunt>, Timestamp, Timestamp)>, DbError> {
        let at = |hunt: &RetroHunt| match stage {
            Stage::Flows => (hunt.reached, hunt.to),
            Stage::Events => (hunt.event_reached.unwrap_or(hunt.to), hunt.to),
        };
        let running = self.db.read(|connection| retro_running(connection, stage))?;
        let Some((from, to)) = running.first().map(at) else { return Ok(None) };
        Ok(Some((running.into_iter().filter(|hunt| at(hunt) == (from, to)).collect(), from, to)))
    }

    /// One stretch of the events; `None` where there is nothing to do now.
    fn look_at_events(&mut self, now: Timestamp, caught_up: bool) -> Result<Option<RetroLooked>, RetroError> {
        let Some((hunts, from, to)) = self.furthest_behind(Stage::Events)? else { return Ok(None) };
        let until = to.min(events::next_day(from));
        if !settled(until, now, caught_up) {
            return Ok(None);
        }
        let set = self.sought(&hunts)?;
        let sites: Arc<SiteTable> = self.sites.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let Some(hunt) = &self.events else { return Ok(None) };
        let (findings, hits) = hunt.search(&set, &sites, (from, until), to, self.shared.sightings(), now);
        let told = findings.len();
        self.file(Stage::Events, &hunts, findings, &hits, until, now)?;
        Ok(Some(RetroLooked { begun: 0, steps: 1, findings: told, more: true }))
    }

    /// One stretch of the flows, or several without anything; `None` where there is nothing to do now.
    fn look_at_flows(&mut self, now: Timestamp, caught_up: bool) -> Result<Option<RetroLooked>, RetroError> {
        let Some((hunts, from, to)) = self.furthest_behind(Stage::Flows)? else { return Ok(None) };
        let mut until = to.min(Timestamp(from.0.saturating_sub(from.0.rem_euclid(STEP)).saturating_add(STEP)));
        if !settled(until, now, caught_up) {
            return Ok(None);
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
        self.file(Stage::Flows, &hunts, findings, &hits, until, now)?;
        Ok(Some(RetroLooked { begun: 0, steps: 1, findings: told, more: true }))
    }

    fn take_in(&mut self, now: Timestamp) -> Result<usize, DbError> {
        let change = self.db.read(indicator_change)?;
        if self.is_moving(change, now) {
            return Ok(0);
        }
        let mut any = false;
        if change != self.change {
            while self.db.write(move |tx| retro_gather(tx, now))? {
                any = true;
            }
        }
        let known = change == self.change || self.loaded == Some(change);
        if !any && known && self.db.read(retro_gathering)? == 0 {
            self.change = change;
            return Ok(0);
        }
        let (back, enabled, events) = (self.back, self.enabled, self.events.is_some());
        let begun = self.db.write(move |tx| retro_begin(tx, back, enabled, events, now))?;
        let set = Arc::new(indicator_refresh(&self.db)?);
        tracing::info!(hunts = begun, indicators = set.len(), bytes = set.bytes(), "changed indicators are in force");
        self.shared.set(set);
        self.change = change;
        Ok(begun)
    }

    /// Whether a list is just being read: as a whole it is one hunt and one set. But not for ever.
    fn is_moving(&mut self, change: i64, now: Timestamp) -> bool {
        if change == self.change || self.change == 0 {
            self.moving = None;
            return false;
        }
        let (seen, since) = self.moving.unwrap_or((self.change, now));
        let moving = seen != change && now.since(since) < MOVING_MAX;
        self.moving = moving.then_some((change, since));
        moving
    }

    fn sought(&mut self, hunts: &[RetroHunt]) -> Result<Arc<IndicatorSet>, DbError> {
        let ids: Vec<RetroHuntId> = hunts.iter().map(|hunt| hunt.id).collect();
        if self.sought.0 != ids {
            let names: Vec<String> = ids.iter().map(RetroHuntId::to_string).collect();
            let set = self.db.read(|connection| indicator_load_of_hunts(connection, &names))?;
            self.sought = (ids, Arc::new(set));
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
            let Some(hit) = self.settings.meets(set, flow).filter(|_| self.settings.worth(flow, &seen)) else { continue };
            self.shared.sightings().note(&hit, flow.start);
            let name = hit.pattern.value();
            let entry = contacts.entry((Host::new(flow.site, flow.src_ip), name)).or_default();
            entry.0.add(flow, &seen);
            entry.2 = entry.2.max(hit.attributes.confidence);
            let same = set.address(flow.dst_ip, flow.received_at).filter(|other| other.pattern == hit.pattern);
            for list in same.map(|other| other.attributes.list.to_string()) {
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
        stage: Stage,
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
            self.db.write(move |tx| chunk.iter().try_for_each(|finding| finding_route(tx, &playbooks, finding, now)))?;
        }
        let moves: Vec<(RetroHuntId, i64, i64)> = hunts
            .iter()
            .map(|hunt| {
                let (hits, findings) = hits.get(&hunt.list).copied().unwrap_or_default();
                (hunt.id, hits, findings)
            })
            .collect();
        let playbooks = self.playbooks.clone();
        self.db.write(move |tx| {
            let moved = retro_move(tx, stage, &moves, until, now)?;
            if moved > 0 {
                last.iter().try_for_each(|finding| finding_route(tx, &playbooks, finding, now))?;
            }
            Ok::<_, DbError>(())
        })
    }
}

/// Whether everything that was received before a moment is in the stores.
fn settled(until: Timestamp, now: Timestamp, caught_up: bool) -> bool {
    until.plus(LAG) <= now && (caught_up || until.plus(Timestamp::HOUR) <= now)
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

#[cfg(test)]
mod event_tests;
#[cfg(test)]
mod tests;
