//! A data directory, opened: database, journal, stores, rules and the pipeline between them. `serve`, `demo` and
//! `import` are thin users of it. One process at a time holds a directory; who only reads may look beside it (`View`).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use detect::consumer::DetectConsumer;
use detect::duty::Duties;
use detect::engine::Engine;
use detect::explanation::Hiding;
use detect::flow::consumer::{FOLDER as DETECTORS_FOLDER, FlowDetectConsumer};
use detect::flow::retro::{Retro, RetroHunter};
use detect::flow::{Board, Detectors, Sheet};
use detect::intel::{SharedIndicators, indicator_change, indicator_refresh, warning_house};
use detect::playbook::Playbooks;
use detect::rulebook::{RuleKeeper, Rulekeeping, SharedRulebook};
use ingest::audit::{NewAudit, audit_add};
use ingest::body::{SharedSites, Site, SiteId, SiteTable, body_list, site_add, site_put};
use ingest::db::{Db, DbError, Migrations};
use ingest::decode::memory::SharedMemory;
use ingest::decode::{Options, Pairs, decode, rejoin};
use ingest::disk::{DiskWatch, Watermark};
use ingest::enrich::{Enrichment, GeoWatch, LeaseBook, LeaseConsumer, lease_load};
use ingest::event::Event;
use ingest::events::{self, Class, EventConsumer, EventStore, Upkeep};
use ingest::flow::{FlowAccounts, FlowMemory, SamplingTable};
use ingest::flows::{FlowConsumer, FlowSettings, FlowStore, FlowUpkeep, replay};
use ingest::frame::{Frame, FrameKind, Seq};
use ingest::journal::{Journal, JournalOptions, Keeper};
use ingest::pipeline::{Batch, Consumer, Decode, Pipeline, PipelineWatch};
use ingest::pseudonym::{Addresses, Pseudonyms};
use ingest::source::{ReadingRule, Readings, SharedReadings, SourceConsumer, Year, declaration_add, declaration_list, reading_put};
use ingest::time::{Clock, Timestamp};

use crate::config::{Config, SiteConfig};

/// Every owner's tables, in the order in which they refer to each other.
const MIGRATIONS: &[Migrations] = &[
    ingest::audit::MIGRATIONS,
    ingest::body::MIGRATIONS,
    ingest::history::MIGRATIONS,
    ingest::source::MIGRATIONS,
    ingest::state::MIGRATIONS,
    ingest::flow::MIGRATIONS,
    ingest::enrich::MIGRATIONS,
    ingest::events::MIGRATIONS,
    ingest::flows::MIGRATIONS,
    detect::intel::MIGRATIONS,
    detect::alert::MIGRATIONS,
    detect::incident::MIGRATIONS,
    detect::recommendation::MIGRATIONS,
    detect::duty::MIGRATIONS,
    detect::reminder::MIGRATIONS,
    detect::exhibit::MIGRATIONS,
    detect::consumer::MIGRATIONS,
    detect::watch::MIGRATIONS,
    detect::rulebook::MIGRATIONS,
    advisory::store::MIGRATIONS,
    advisory::subscription::MIGRATIONS,
    advisory::outbox::MIGRATIONS,
    advisory::acknowledgement::MIGRATIONS,
    advisory::mailroom::MIGRATIONS,
    advisory::openpgp::MIGRATIONS,
    advisory::self_report::MIGRATIONS,
    advisory::answer_link::MIGRATIONS,
    crate::user::MIGRATIONS,
    crate::session::MIGRATIONS,
    crate::login::MIGRATIONS,
    crate::proof::MIGRATIONS,
    crate::reveal::MIGRATIONS,
    crate::account::MIGRATIONS,
    crate::identity::MIGRATIONS,
    crate::invitation::MIGRATIONS,
    crate::api_token::MIGRATIONS,
    crate::api_request::MIGRATIONS,
    crate::mandate::MIGRATIONS,
    crate::saved_search::MIGRATIONS,
    crate::webhook::MIGRATIONS,
];

/// An open data directory with its running pipeline.
pub struct Node {
    pub dir: PathBuf,
    pub clock: Clock,
    pub db: Db,
    pub sites: SharedSites,
    pub readings: SharedReadings,
    pub enrichment: Enrichment,
    pub pseudonyms: Arc<Pseudonyms>,
    pub events: Arc<EventStore>,
    pub flows: Arc<FlowStore>,
    /// What came from the exporters and what did not.
    pub flow_accounts: FlowAccounts,
    /// The rules in force; they change while the program runs.
    pub rules: SharedRulebook,
    /// The lists in force.
    pub indicators: SharedIndicators,
    /// The flow detectors' sheet, and how they stand.
    pub board: Arc<Board>,
    pub playbooks: Arc<Playbooks>,
    /// Which cases must be reported to whom.
    pub duties: Arc<Duties>,
    pub journal: Journal,
    /// How full the disk with the data is.
    pub watermark: Watermark,
    pub pipeline: Pipeline,
    _disk: DiskWatch,
    _keeping: Keeping,
    upkeep: Option<Upkeep>,
    flow_upkeep: Option<FlowUpkeep>,
    _geo: GeoWatch,
    /// Searches what is stored for what lists bring.
    retro: Option<Retro>,
    /// Looks whether the rules have changed.
    keeper: Option<RuleKeeper>,
    _lock: File,
}

impl Node {
    /// Opens or creates `dir` and starts the pipeline behind the stores' cursors.
    ///
    /// # Errors
    /// Where another process holds the directory, or a store cannot be opened. A rule of the operator's that does not compile
    /// is left out and said: nobody must stop receiving for it.
    pub fn open(dir: &Path, config: &Config, clock: &Clock) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("Datenverzeichnis {} anlegen", dir.display()))?;
        let lock = lock(dir)?;
        let db = database(dir)?;
        sites_apply(&db, &config.sites, clock.now())?;
        let disk = DiskWatch::start(dir, config.disk).context("Platte beobachten")?;
        readings_apply(&db, config, clock.now())?;
        let sites: SharedSites = Arc::new(RwLock::new(Arc::new(db.read(SiteTable::load)?)));
        let readings = readings(&db)?;
        let options = Options { zone: config.zone, readings: readings.clone(), memory: memory(&db)? };
        let enrichment = Enrichment::new(config.enrich.clone(), db.read(lease_load)?);
        let pseudonyms = pseudonyms(dir)?;
        let (events, flows) = stores(dir, options.clone(), &enrichment, &sites, &pseudonyms, false)?;
        let rulekeeping = Rulekeeping::open(db.clone(), config.rule_dirs.clone(), clock.clone())?;
        let rules = rulekeeping.shared.clone();
        let (own, now) = (config.flow_inside.clone(), clock.now());
        db.write(move |tx| warning_house(tx, &own, now))?;
        let listed_change = db.read(indicator_change)?;
        let indicators = Arc::new(indicator_refresh(&db)?);
        let listed = SharedIndicators::new(indicators.clone());
        let engine = Engine::new(rules.get().running().clone(), indicators).with_indicators(&listed).with_rulebook(&rules);
        let (playbooks, duties) = (playbooks(dir)?, duties(dir)?);
        let detectors = detectors(dir, config)?.with_indicators(&listed);
        let board = Arc::new(Board::new(detectors.sheet().clone()));
        let end = Arc::new(OnceLock::new());
        let hiding = hiding(&pseudonyms, redecode(options.clone(), &enrichment, &sites, &pseudonyms));
        let detect = DetectConsumer::new(db.clone(), engine, clock.clone(), playbooks.clone())?.until(end.clone()).hiding(hiding);
        let mut consumers: Vec<Box<dyn Consumer>> = vec![
            Box::new(EventConsumer::new(events.clone())?),
            Box::new(FlowConsumer::new(flows.clone())),
            Box::new(SourceConsumer::new(db.clone())?),
            Box::new(detect),
        ];
        // Where leases were never kept it begins where the others are: the journal is not read anew for them.
        let start = consumers.iter().map(|consumer| consumer.cursor()).min().unwrap_or_default();
        consumers.push(Box::new(LeaseConsumer::new(db.clone(), enrichment.clone(), start)?));
        let folder = dir.join(DETECTORS_FOLDER);
        let found = FlowDetectConsumer::new(db.clone(), &folder, detectors, board.clone(), clock.clone(), playbooks.clone(), start);
        consumers.push(Box::new(found.map_err(|error| anyhow::anyhow!("Detektoren: {error}"))?));
        let durable = consumers.iter().map(|consumer| consumer.cursor()).min().unwrap_or_default();
        let mut memory = FlowMemory::open(db.clone(), durable).context("Gedächtnis der Flussdaten lesen")?;
        memory.sampling_set(SamplingTable::new(config.flows.sampling.clone()));
        let flow_accounts = memory.accounts();
        let decoder = NodeDecoder {
            db: db.clone(),
            options: options.clone(),
            enrichment: enrichment.clone(),
            flows: memory,
            pairs: Pairs::default(),
        };
        let seen = consumers.iter().map(|consumer| consumer.cursor()).max().unwrap_or_default();
        let journal_options = JournalOptions { floor: seen, watermark: disk.watermark() };
        let journal = open_journal(dir, clock.now(), &journal_options)?;
        end.set(journal.watch()).ok();
        pseudonyms_apply(&pseudonyms, &db, config, &sites, journal.last().next(), clock.now())?;
        let pipeline = Pipeline::start(&journal, Box::new(decoder), consumers, sites.clone(), clock)?;
        let keeping = Keeping::start(journal.keeper(), pipeline.watch(), config.journal_keep_days, clock.clone())?;
        let upkeep = upkeep(dir, &events, &db, &sites, clock, config, Lines::new(options, enrichment.clone(), sites.clone()))?;
        let flow_upkeep = flow_upkeep(dir, &flows, &db, clock, config)?;
        let geo = GeoWatch::start(enrichment.clone()).context("Thread starten")?;
        let sheet = board.sheet.clone();
        let hunter =
            RetroHunter::new(db.clone(), flows.clone(), sites.clone(), playbooks.clone(), listed.clone(), &sheet, &config.flow_inside)?;
        let hunter = hunter.map(|hunter| hunter.with_loaded(listed_change).with_events(events.clone(), &sheet)).transpose()?;
        let (watch, received) = (pipeline.watch(), journal.keeper());
        let stored = move || {
            let received = received.last();
            watch.states().iter().all(|state| !["flows", "events"].contains(&state.name) || state.applied >= received)
        };
        let keeper = RuleKeeper::start(rulekeeping).context("Thread starten")?;
        let retro = hunter.map(|hunter| Retro::start(hunter, clock.clone(), stored)).transpose().context("Thread starten")?;
        Ok(Self {
            dir: dir.to_owned(),
            clock: clock.clone(),
            db,
            sites,
            readings,
            enrichment,
            pseudonyms,
            events,
            flows,
            flow_accounts,
            rules,
            indicators: listed,
            board,
            playbooks,
            duties,
            journal,
            watermark: disk.watermark(),
            pipeline,
            _disk: disk,
            _keeping: keeping,
            upkeep: Some(upkeep),
            flow_upkeep: Some(flow_upkeep),
            _geo: geo,
            retro,
            keeper: Some(keeper),
            _lock: lock,
        })
    }

    /// Applies the configuration's retention classes to what is received from now on, and lets days go whose time is over.
    /// For who serves, before the listeners are open; a command that runs beside its configuration must not delete.
    ///
    /// # Errors
    /// Where a class names a site that is not there, or the plan cannot be written down.
    pub fn retention_begin(&self, config: &Config) -> Result<()> {
        classes_apply(&self.events, config, &self.sites, self.journal.last().next())?;
        self.upkeep.iter().for_each(Upkeep::retain);
        self.flow_upkeep.iter().for_each(FlowUpkeep::retain);
        Ok(())
    }

    /// Waits until everything in the journal is searchable and judged; says who cannot go on.
    ///
    /// # Errors
    /// Where a consumer fails.
    pub fn catch_up(&self) -> Result<()> {
        let last = self.journal.last();
        loop {
            let done = self.pipeline.wait_applied(last, Duration::from_secs(1));
            // One that fails may hold up the others, so it is looked for each time.
            if let Some((name, error)) = self.pipeline.states().into_iter().find_map(|state| Some((state.name, state.error?))) {
                bail!("{name} kommt nicht weiter: {error}. Das Journal behält alles; ist die Ursache behoben, geht es von selbst weiter.");
            }
            if done {
                return Ok(());
            }
        }
    }

    /// Reads the sites anew after a change.
    ///
    /// # Errors
    /// The database's own.
    pub fn sites_reload(&self) -> Result<()> {
        let table = Arc::new(self.db.read(SiteTable::load)?);
        *self.sites.write().unwrap_or_else(PoisonError::into_inner) = table;
        Ok(())
    }

    pub fn site_table(&self) -> Arc<SiteTable> {
        self.sites.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes everything out and ends, in the order of the data.
    pub fn close(mut self) {
        // First what writes of its own accord.
        self.retro.take();
        self.keeper.take();
        // Then what asks the event store's consumer for something.
        self.upkeep.take();
        self.flow_upkeep.take();
        self.journal.close();
        self.pipeline.stop();
        // What the last records met.
        if let Err(error) = self.indicators.sightings().flush(&self.db) {
            tracing::error!(%error, "the last sightings of indicators could not be noted");
        }
        self.db.close();
    }
}

/// How often the journal is looked through for what may be freed: a segment more or less for minutes costs nothing.
const KEEP_EVERY: Duration = Duration::from_secs(5 * 60);

/// The thread that frees journal segments when their keep time is over; it ends when this is dropped.
struct Keeping {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeping {
    fn start(keeper: Keeper, progress: PipelineWatch, keep_days: u32, clock: Clock) -> Result<Self> {
        let (stop, stopped) = channel::<()>();
        let keep = move || {
            let now = clock.now();
            let keep_from = now.plus(-i64::from(keep_days).saturating_mul(Timestamp::DAY));
            match keeper.retain(keep_from, progress.consumed(), now) {
                Ok(freed) if freed.segments > 0 => {
                    tracing::info!(segments = freed.segments, bytes = freed.bytes, last = freed.last.0, "journal segments freed");
                }
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the journal's old segments cannot be freed; trying again"),
            }
        };
        let work = move || {
            keep();
            while stopped.recv_timeout(KEEP_EVERY) == Err(RecvTimeoutError::Timeout) {
                keep();
            }
        };
        let thread = std::thread::Builder::new().name("keep".into()).spawn(work).context("Thread starten")?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A data directory, looked at beside a running server: what is committed, not the last seconds.
pub struct View {
    pub db: Db,
    pub sites: Arc<SiteTable>,
    pub events: Arc<EventStore>,
    pub flows: Arc<FlowStore>,
    /// Held where no server runs: then the view is complete.
    node: Option<Node>,
}

impl View {
    /// Opens `dir` for reading. Where no server holds it, what is only in the journal yet is worked in first; where that
    /// cannot be done, be the disk full, it says so and shows what there is.
    ///
    /// # Errors
    /// Where there is no data directory, or it cannot be read.
    pub fn open(dir: &Path, config: &Config, clock: &Clock) -> Result<Self> {
        let path = dir.join("wartburg.db");
        if !path.exists() {
            bail!("{} ist kein Datenverzeichnis. Mit --data eines nennen, oder mit `wartburg import DATEI` eines anlegen.", dir.display());
        }
        let db = if lock(dir).is_ok() {
            match Self::complete(dir, config, clock) {
                Ok(view) => return Ok(view),
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "only what is worked in already is shown: the directory cannot be written to"
                ),
            }
            Db::open_for_reading(&path).context("Datenbank lesen")?
        } else {
            tracing::info!("a server holds the directory: the last seconds before its commit are not shown here");
            database(dir)?
        };
        let sites = Arc::new(db.read(SiteTable::load)?);
        // What the events say must be what they said when they came, so the leases are needed here too.
        let leases = db.read(lease_load).unwrap_or_else(|error| {
            tracing::warn!(%error, "events are shown without the names of machines");
            LeaseBook::default()
        });
        let enrichment = Enrichment::new(config.enrich.clone(), leases);
        let shared: SharedSites = Arc::new(RwLock::new(sites.clone()));
        let (events, flows) = stores(
            dir,
            Options { zone: config.zone, readings: readings(&db)?, memory: memory(&db)? },
            &enrichment,
            &shared,
            &pseudonyms(dir)?,
            true,
        )?;
        Ok(Self { db, sites, events, flows, node: None })
    }

    /// With everything that is in the journal.
    fn complete(dir: &Path, config: &Config, clock: &Clock) -> Result<Self> {
        let mut node = Node::open(dir, config, clock)?;
        let caught_up = node.catch_up();
        // What was applied is written out before anybody looks: the sources' counts are read from the database.
        node.pipeline.stop();
        if let Err(error) = caught_up {
            tracing::warn!(error = format!("{error:#}"), "not everything in the journal is shown");
        }
        let sites = node.site_table();
        Ok(Self { db: node.db.clone(), sites, events: node.events.clone(), flows: node.flows.clone(), node: Some(node) })
    }

    pub fn close(self) {
        match self.node {
            Some(node) => node.close(),
            None => self.db.close(),
        }
    }
}

/// Opens the journal above everything that the stores have seen, and says what it found.
fn open_journal(dir: &Path, now: Timestamp, options: &JournalOptions) -> Result<Journal> {
    let (journal, report) = Journal::open_with(&dir.join("journal"), &dir.join("quarantine"), now, options).context("Journal öffnen")?;
    tracing::info!(last = report.last.0, segments = report.segments, torn_bytes = report.torn_bytes, "journal opened");
    if report.damaged > 0 {
        tracing::error!(stretches = report.damaged, "the journal's last segment is damaged; readers set the stretches aside");
    }
    if report.lost > 0 {
        tracing::error!(frames = report.lost, "the journal ends before what the stores have seen: its end was lost; going on behind it");
    }
    if report.sealed_late > 0 {
        tracing::warn!(segments = report.sealed_late, "closed segments of the journal had no seal and were sealed now");
    }
    if report.chain_broken > 0 {
        tracing::error!(lines = report.chain_broken, "the journal's chain of seals is broken: `wartburg journal verify` says where");
    }
    Ok(journal)
}

fn stores(
    dir: &Path,
    options: Options,
    enrichment: &Enrichment,
    sites: &SharedSites,
    pseudonyms: &Arc<Pseudonyms>,
    beside: bool,
) -> Result<(Arc<EventStore>, Arc<FlowStore>)> {
    let redecode = redecode(options, enrichment, sites, pseudonyms);
    let events = EventStore::open_with(&dir.join("events"), redecode, Some(pseudonyms.clone())).context("Ereignisspeicher öffnen")?;
    let path = dir.join("flows");
    // Beside a server nothing is changed: what looks left over there is just being written.
    let flows = if beside { FlowStore::open_beside(&path) } else { FlowStore::open(&path) }.context("Flussspeicher öffnen")?;
    Ok((events, flows))
}

/// An event as it is kept where persons are hidden: an explanation quotes what the event store shows.
fn hiding(pseudonyms: &Arc<Pseudonyms>, redecode: impl Fn(&Frame, Option<Box<str>>) -> Option<Event> + Send + Sync + 'static) -> Hiding {
    let pseudonyms = pseudonyms.clone();
    Arc::new(move |event, frame| {
        let again = |frame: &Frame| redecode(frame, event.context.clone());
        pseudonyms.any().then(|| pseudonyms.as_kept(ingest::events::CLASS, frame, event, &again))
    })
}

/// Makes the event of a stored frame again, with the earlier line that it needs, if any.
pub(crate) fn redecode(
    options: Options,
    enrichment: &Enrichment,
    sites: &SharedSites,
    pseudonyms: &Arc<Pseudonyms>,
) -> impl Fn(&Frame, Option<Box<str>>) -> Option<Event> + Send + Sync + 'static {
    let (enrichment, sites, hidden) = (enrichment.clone(), sites.clone(), pseudonyms.clone());
    move |frame: &Frame, context: Option<Box<str>>| -> Option<Event> {
        let mut event = decode(frame, &options)?;
        rejoin(&mut event, context, |frame| decode(frame, &options));
        let table = sites.read().unwrap_or_else(PoisonError::into_inner).clone();
        match hidden.hidden_addresses(frame.seq) {
            Addresses::None => enrichment.enrich(&mut event, &table),
            // A hidden address is another machine's: its name would be a wrong one, and a person's.
            Addresses::Internal => enrichment.enrich_hidden(&mut event, &table, true),
            Addresses::All => enrichment.enrich_hidden(&mut event, &table, false),
        }
        Some(event)
    }
}

/// The retention classes of the configuration, for what is received from now on.
fn classes_apply(store: &EventStore, config: &Config, sites: &SharedSites, since: Seq) -> Result<()> {
    let table = sites.read().unwrap_or_else(PoisonError::into_inner).clone();
    let mut rows = Vec::new();
    for class in &config.retention.classes {
        let mut ids = Vec::new();
        for name in &class.sites {
            let site = table.by_name(name);
            ids.push(site.with_context(|| format!("retention.classes: einen Standort „{name}“ gibt es nicht"))?.id);
        }
        let sources = class.sources.iter().map(ToString::to_string).collect();
        rows.push(Class { name: class.name.clone(), days: class.days, sites: ids, sources });
    }
    rows.push(Class { name: events::CLASS.into(), days: config.retention.default_days, sites: Vec::new(), sources: Vec::new() });
    store.classes_begin(&rows, since).context("Aufbewahrungsklassen aus der Konfiguration übernehmen")
}

/// The thread that seals days, lets them go and mends them.
fn upkeep(
    dir: &Path,
    store: &Arc<EventStore>,
    db: &Db,
    sites: &SharedSites,
    clock: &Clock,
    config: &Config,
    lines: Lines,
) -> Result<Upkeep> {
    let settings = events::Settings {
        every: Duration::from_secs(config.retention.check_seconds),
        seal_days: config.retention.seal_days,
        journal_days: config.journal_keep_days,
    };
    let journal = dir.join("journal");
    let again = move |day: Timestamp| -> Result<events::Again, Box<dyn std::error::Error + Send + Sync>> {
        // Of a day is what was received from the day before on: clocks that run ahead by more are not believed.
        let from = day.plus(-Timestamp::DAY);
        let segments = ingest::journal::segments(&journal)?;
        let first = segments.iter().find(|segment| segment.span.is_none_or(|(_, to)| to >= from)).map_or(Seq(1), |segment| segment.first);
        let mut reader = ingest::journal::peek(&journal, Seq(first.0.saturating_sub(1)))?;
        let (mut lines, journal) = (lines.again(), journal.clone());
        Ok(Box::new(move |behind| {
            if let Some(behind) = behind {
                reader = ingest::journal::peek(&journal, behind)?;
            }
            Ok(reader.next(Duration::ZERO)?.map(|frames| lines.batch(frames)))
        }))
    };
    Upkeep::start(store.clone(), db.clone(), sites.clone(), clock.clone(), settings, again).context("Thread starten")
}

/// The thread that sums up, compacts, mends and lets go flows.
fn flow_upkeep(dir: &Path, store: &Arc<FlowStore>, db: &Db, clock: &Clock, config: &Config) -> Result<FlowUpkeep> {
    let settings = FlowSettings { every: Duration::from_secs(config.retention.check_seconds), days: config.retention.flow_days };
    let (journal, sampling) = (dir.join("journal"), config.flows.sampling.clone());
    let again = move |gap: Seq| replay(&journal, gap, SamplingTable::new(sampling.clone()));
    FlowUpkeep::start(store.clone(), db.clone(), clock.clone(), settings, Box::new(again)).context("Thread starten")
}

/// Decodes lines that were decoded before: it declares nothing, learns nothing, and says the same.
struct Lines {
    options: Options,
    enrichment: Enrichment,
    sites: SharedSites,
    pairs: Pairs,
}

impl Lines {
    fn new(options: Options, enrichment: Enrichment, sites: SharedSites) -> Self {
        Self { options, enrichment, sites, pairs: Pairs::default() }
    }

    fn again(&self) -> Self {
        Self::new(self.options.clone(), self.enrichment.clone(), self.sites.clone())
    }

    fn batch(&mut self, frames: Vec<Frame>) -> Batch {
        let at = |frame: Option<&Frame>| frame.map_or(Seq(0), |frame| frame.seq);
        let sites = self.sites.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut batch = Batch { first: at(frames.first()), last: at(frames.last()), sites, ..Batch::default() };
        for frame in frames.iter().filter(|frame| frame.frame.kind != FrameKind::Flow) {
            if let Some(mut event) = decode(frame, &self.options) {
                self.pairs.join(&mut event);
                self.enrichment.enrich(&mut event, &batch.sites);
                batch.events.push(event);
            }
        }
        batch.frames = frames;
        batch
    }
}

/// The flow detectors with the operator's parameters.
///
/// # Errors
/// Where a value is not accepted: file, line and an example.
pub(crate) fn detectors(dir: &Path, config: &Config) -> Result<Detectors> {
    let mut sheet = Sheet::shipped()?;
    let file = config.detectors_file.clone().or_else(|| Some(dir.join("detectors.toml")).filter(|file| file.exists()));
    if let Some(file) = file {
        let text = std::fs::read_to_string(&file).with_context(|| format!("Parameter der Detektoren {} lesen", file.display()))?;
        sheet = sheet.overridden(&file.display().to_string(), &text)?;
    }
    Ok(Detectors::new(Arc::new(sheet), &config.flow_inside)?)
}

/// The shipped playbooks, and over them those of the folder `playbooks` in the data directory.
///
/// # Errors
/// Where one of them is wrong, by file and key.
pub fn playbooks(dir: &Path) -> Result<Arc<Playbooks>> {
    let own = dir.join("playbooks");
    let playbooks = if own.is_dir() { Playbooks::with_folder(&own) } else { Playbooks::embedded() };
    let said = |errors: Vec<detect::playbook::PlaybookError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    playbooks.map(Arc::new).map_err(|errors| anyhow::anyhow!("Playbooks in {}:\n{}", own.display(), said(errors)))
}

/// The duties to report: the shipped ones, and over them those of the folder `duties` in the data directory.
///
/// # Errors
/// Where one of them is wrong, by file and key.
pub fn duties(dir: &Path) -> Result<Arc<Duties>> {
    let own = dir.join("duties");
    let duties = if own.is_dir() { Duties::with_folder(&own) } else { Duties::embedded() };
    let said = |errors: Vec<detect::duty::DutyError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    duties.map(Arc::new).map_err(|errors| anyhow::anyhow!("Meldepflichten in {}:\n{}", own.display(), said(errors)))
}

/// The database alone, for what needs no journal.
///
/// # Errors
/// Where it cannot be opened or is from a newer program.
pub fn database(dir: &Path) -> Result<Db> {
    Db::open(&dir.join("wartburg.db"), MIGRATIONS).context("Datenbank öffnen")
}

/// Brings the sites of the configuration into the database; sites that are there keep their identity, and are known by
/// what the configuration says now.
pub(crate) fn sites_apply(db: &Db, sites: &[SiteConfig], now: Timestamp) -> Result<()> {
    let sites = sites.to_vec();
    db.write(move |tx| {
        let known = SiteTable::load(tx)?;
        let bodies = body_list(tx)?;
        for site in &sites {
            let body = bodies.iter().find(|body| Some(&body.name) == site.body.as_ref()).map(|body| body.id);
            let known = known.by_name(&site.name);
            let changed = Site {
                id: known.map_or_else(|| SiteId::new(now), |known| known.id),
                name: site.name.clone(),
                body,
                prefixes: site.prefixes.clone(),
                certificates: site.certificates.iter().map(|name| name.to_lowercase()).collect(),
                tokens: site.tokens.iter().map(|token| ingest::listen::token_hash(token)).collect(),
            };
            match known {
                // Nothing is written for it, so that a full disk does not keep the program from starting.
                Some(known) if *known == changed => {}
                Some(_) => site_put(tx, &changed)?,
                None => site_add(tx, &changed)?,
            }
        }
        Ok::<_, DbError>(())
    })
    .context("Standorte aus der Konfiguration übernehmen")
}

/// Brings the zones of the configuration into the database. A zone that was changed counts for what is received from now
/// on: what is stored keeps the time that it was read with.
fn readings_apply(db: &Db, config: &Config, now: Timestamp) -> Result<()> {
    let (zone, sites) = (config.zone, config.sites.clone());
    db.write(move |tx| {
        let rule = |site, zone, since| ReadingRule { site, peer: None, host: String::new(), zone, year: Year::Nearest, since };
        let first = ingest::source::reading_list(tx)?.iter().all(|rule| rule.site.is_some());
        reading_put(tx, &rule(None, Some(zone), if first { Timestamp(0) } else { now }), "system", now)?;
        let known = SiteTable::load(tx)?;
        for site in &sites {
            if let Some(known) = known.by_name(&site.name) {
                reading_put(tx, &rule(Some(known.id), site.zone, now), "system", now)?;
            }
        }
        Ok::<_, DbError>(())
    })
    .context("Zeitzonen aus der Konfiguration übernehmen")
}

/// Where the keys of the pseudonyms are.
/// Where the files of cases are.
pub(crate) fn exhibits_dir(dir: &Path) -> PathBuf {
    dir.join("exhibits")
}

pub(crate) fn keys_dir(dir: &Path) -> PathBuf {
    dir.join("keys")
}

pub(crate) fn pseudonyms(dir: &Path) -> Result<Arc<Pseudonyms>> {
    Ok(Arc::new(Pseudonyms::open(&keys_dir(dir)).context("Schlüssel der Pseudonyme öffnen")?))
}

/// Applies the configuration to what is received from now on, and notes a change in the audit log.
fn pseudonyms_apply(pseudonyms: &Pseudonyms, db: &Db, config: &Config, sites: &SharedSites, since: Seq, now: Timestamp) -> Result<()> {
    let sites = sites.read().unwrap_or_else(PoisonError::into_inner).clone();
    let prefixes: Vec<_> = sites.iter().flat_map(|site| site.prefixes.iter().copied()).collect();
    let before = pseudonyms.plan();
    // One table of classes: each has keys of its own, which can be destroyed with it.
    let classes: Vec<&str> =
        std::iter::once(events::CLASS).chain(config.retention.classes.iter().map(|class| class.name.as_str())).collect();
    let begun = pseudonyms.begin(config.pseudonymise, &classes, &prefixes, since, now);
    begun.context("Pseudonymisierung aus der Konfiguration übernehmen")?;
    let Some(plan) = pseudonyms.plan().filter(|plan| before.as_ref() != Some(plan)) else { return Ok(()) };
    let detail = serde_json::json!({
        "on": plan.on, "users": plan.users, "mails": plan.mails, "addresses": plan.addresses, "since": plan.since, "prefixes": plan.prefixes.len(),
    });
    let new = NewAudit { actor: "system".into(), kind: "pseudonym.plan_changed", object: "pseudonyms".into(), detail };
    db.write(move |tx| audit_add(tx, now, &new).map(drop)).map_err(|error: DbError| error.into())
}

/// The rules by which stamps are read.
/// How this directory's senders write the time.
pub(crate) fn readings(db: &Db) -> Result<SharedReadings> {
    let readings = SharedReadings::default();
    readings.set(db.read(Readings::load)?);
    Ok(readings)
}

/// The columns that sources have declared.
pub(crate) fn memory(db: &Db) -> Result<SharedMemory> {
    Ok(SharedMemory::restored(db.read(declaration_list)?))
}

/// Takes the directory for this process. The lock ends with the process, however it ends.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.as_mut().map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
    if file.try_lock().is_err() {
        let mut pid = String::new();
        let _ = file.read_to_string(&mut pid);
        bail!(
            "{} wird schon von einem anderen Prozess benutzt ({}). Ihn beenden, oder mit --data ein anderes Verzeichnis nennen.",
            dir.display(),
            pid.trim()
        );
    }
    // Who holds it is a help for people and nothing more: on a full disk the file stays empty.
    let _ = file
        .set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| writeln!(file, "wartburg, Prozess {}", std::process::id()));
    Ok(file.try_clone()?)
}

/// The process that holds the directory, where one does.
pub(crate) fn held_by(dir: &Path) -> Option<String> {
    let mut file = File::open(dir.join("lock")).ok()?;
    if file.try_lock_shared().is_ok() {
        return None;
    }
    let mut text = String::new();
    let _ = file.read_to_string(&mut text);
    Some(text.split_whitespace().next_back().unwrap_or_default().to_owned())
}

/// Decodes lines and flows. NetFlow templates and declared columns are kept in the database, so that a restart loses none.
struct NodeDecoder {
    db: Db,
    options: Options,
    enrichment: Enrichment,
    flows: FlowMemory,
    pairs: Pairs,
}

impl Decode for NodeDecoder {
    fn decode(&mut self, frames: Vec<Frame>, sites: Arc<SiteTable>) -> Batch {
        let first = frames.first().map_or(Seq(0), |frame| frame.seq);
        let last = frames.last().map_or(Seq(0), |frame| frame.seq);
        let mut batch = Batch { first, last, sites, ..Batch::default() };
        for frame in &frames {
            if frame.frame.kind == FrameKind::Flow {
                self.flows.decode(frame, &mut batch.flows);
            } else if let Some(mut event) = decode(frame, &self.options) {
                self.pairs.join(&mut event);
                self.enrichment.learn(&event);
                self.enrichment.enrich(&mut event, &batch.sites);
                batch.events.push(event);
            }
        }
        // Before anything that was read by them is stored: a restart goes on reading as it did.
        let declared = self.options.memory.take_unsaved();
        if !declared.is_empty() {
            let stored = declared.clone();
            if let Err(error) = self.db.write(move |tx| declaration_add(tx, &stored)) {
                self.options.memory.put_back(declared);
                tracing::error!(%error, "the columns that sources have declared could not be kept; trying again with the next lines");
            }
        }
        self.flows.passed(last);
        batch.frames = frames;
        batch
    }

    fn position(&self) -> Option<Seq> {
        Some(self.flows.position())
    }

    fn keep(&mut self, durable: Seq, ending: bool) -> Option<Seq> {
        let kept = self.flows.keep(durable, ending);
        kept.inspect_err(|error| tracing::error!(%error, "what is known of the exporters could not be kept; trying again")).ok()
    }
}

#[cfg(test)]
mod tests;
