//! `tail`: new lines in a terminal, as they are received. It reads the journal by sequence beside the running server and
//! decodes as the server does; it takes no lock, asks nobody and writes nothing. So it works where no page does, shows a line
//! before it is searchable, and every line once and in order. Persons are shown as the event store shows them.

use std::io::{ErrorKind, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ingest::body::{SharedSites, SiteTable};
use ingest::db::Db;
use ingest::decode::memory::SharedMemory;
use ingest::decode::{Options, Pairs, decode};
use ingest::enrich::{Enrichment, LeaseBook, lease_load};
use ingest::event::Event;
use ingest::events::{CLASS, Redecode};
use ingest::fields;
use ingest::frame::{Frame, FrameKind, Seq};
use ingest::journal::{JournalFollower, segments};
use ingest::pseudonym::Pseudonyms;
use ingest::query::Query;
use ingest::record::EventRecord;
use ingest::source::{Readings, SharedReadings, declaration_list};
use ingest::time::{Clock, Timestamp};

use super::journal::journal_dir;
use super::search::{query, span};
use super::{SOME_FAILED, eprint_line, print_event};
use crate::cli::TailArgs;
use crate::config::Config;
use crate::{node, show};

/// How often a quiet journal is looked at.
const POLL: Duration = Duration::from_millis(250);
/// Columns of the site's and the host's name in the terminal.
const NAME_CHARS: usize = 18;

pub(super) fn tail(args: &TailArgs, dir: &Path, config: &Config, clock: &Clock, out: &mut dyn Write) -> Result<ExitCode> {
    let journal = journal_dir(dir)?;
    let now = clock.now();
    let (from, to) = span(&args.span, now)?;
    let mut reader = Reader::open(dir, config)?;
    let asked = query(&args.query, now)?;
    // Who reads this directory reads its keys too.
    let query = reader.pseudonyms.asked(&asked);
    let after = match from {
        None => JournalFollower::last(&journal)?,
        Some(from) => before(&journal, from)?,
    };
    let mut follower = JournalFollower::open(&journal, after)?;
    let colours = colours();
    let mut left = args.limit.unwrap_or(usize::MAX);
    if node::held_by(dir).is_none() {
        eprint_line("Gerade schreibt niemand in dieses Verzeichnis; neue Zeilen kommen, sobald ein Server läuft. Ende mit Strg+C.");
    }
    loop {
        let Some(frames) = follower.read()? else {
            if flushed(out)? || to.is_some_and(|to| clock.now() >= to) {
                break;
            }
            std::thread::sleep(POLL);
            continue;
        };
        for frame in &frames {
            let received = frame.frame.received_at;
            if left == 0 || to.is_some_and(|to| received >= to) {
                flushed(out)?;
                return Ok(ended(&follower));
            }
            let Some(event) = reader.read(frame).filter(|_| from.is_none_or(|from| received >= from)) else { continue };
            if !matches(&query, &event, &reader.table()) {
                continue;
            }
            left -= 1;
            let site = reader.table().name(event.site).to_owned();
            let written = if args.json { print_event(&event, &site, out) } else { print_line(&event, &site, colours, out) };
            if closed(&written) {
                return Ok(ExitCode::SUCCESS);
            }
            written?;
        }
        if left == 0 {
            break;
        }
    }
    flushed(out)?;
    Ok(ended(&follower))
}

fn ended(follower: &JournalFollower) -> ExitCode {
    if follower.damaged() == 0 {
        return ExitCode::SUCCESS;
    }
    eprint_line("Beschädigte Stellen des Journals wurden übergangen; `wartburg journal verify` sagt, wo.");
    ExitCode::from(SOME_FAILED)
}

/// Shows what was written; whether nobody reads any more.
fn flushed(out: &mut dyn Write) -> Result<bool> {
    match out.flush() {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(true),
        done => Ok(done.map(|()| false)?),
    }
}

fn closed(written: &Result<()>) -> bool {
    let io = written.as_ref().err().and_then(|error| error.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn matches(query: &Query, event: &Event, sites: &SiteTable) -> bool {
    query.matches(&EventRecord { event, sites })
}

/// The sequence behind which the first frame received at or after `from` lies, by whole segments.
fn before(journal: &Path, from: Timestamp) -> Result<Seq> {
    let segments = segments(journal)?;
    let reaches = segments.iter().find(|info| info.span.is_some_and(|(_, last)| last >= from)).or(segments.last());
    Ok(Seq(reaches.map_or(0, |info| info.first.0.saturating_sub(1))))
}

/// Makes events of frames as the pipeline does, with what it has learned until now.
struct Reader {
    options: Options,
    enrichment: Enrichment,
    pseudonyms: Arc<Pseudonyms>,
    sites: SharedSites,
    pairs: Pairs,
    redecode: Redecode,
}

impl Reader {
    fn open(dir: &Path, config: &Config) -> Result<Self> {
        let path = dir.join("wartburg.db");
        if !path.exists() {
            bail!("{} ist kein Datenverzeichnis. Mit --data eines nennen.", dir.display());
        }
        let (sites, rules, declared, leases) = Db::peek(&path, |c| {
            Ok((SiteTable::load(c)?, Readings::load(c)?, declaration_list(c)?, lease_load(c).unwrap_or_else(|_| LeaseBook::default())))
        })
        .context("Datenbank lesen")?;
        let readings = SharedReadings::default();
        readings.set(rules);
        let options = Options { zone: config.zone, readings, memory: SharedMemory::restored(declared) };
        let enrichment = Enrichment::new(config.enrich.clone(), leases);
        let pseudonyms = node::pseudonyms(dir)?;
        let sites: SharedSites = Arc::new(RwLock::new(Arc::new(sites)));
        let redecode = Arc::new(node::redecode(options.clone(), &enrichment, &sites, &pseudonyms));
        Ok(Self { options, enrichment, pseudonyms, sites, pairs: Pairs::default(), redecode })
    }

    fn table(&self) -> Arc<SiteTable> {
        self.sites.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn read(&mut self, frame: &Frame) -> Option<Event> {
        if frame.frame.kind == FrameKind::Flow {
            return None;
        }
        let mut event = decode(frame, &self.options)?;
        self.pairs.join(&mut event);
        self.enrichment.learn(&event);
        self.enrichment.enrich(&mut event, &self.table());
        let again = |frame: &Frame| (self.redecode)(frame, event.context.clone());
        Some(self.pseudonyms.as_kept(CLASS, Some(frame), &event, &again))
    }
}

/// On a terminal, unless the user wants none (no-color.org).
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn print_line(event: &Event, site: &str, colours: bool, out: &mut dyn Write) -> Result<()> {
    let paint = |code: &str, text: &str| if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() };
    let column = |text: &str| format!("{:<NAME_CHARS$}", show::safe(text).chars().take(NAME_CHARS).collect::<String>());
    let host = event.get(fields::HOST_NAME).map(|value| value.text().into_owned()).unwrap_or_default();
    let failed = event.get(fields::EVENT_OUTCOME).is_some_and(|value| value.text() == "failure");
    let message = show::safe(event.message());
    let (time, site, host) = (paint("2", &event.timestamp.rfc3339()), paint("36", &column(site)), paint("1", &column(&host)));
    writeln!(out, "{time}  {site}  {host}  {}", if failed { paint("31", &message) } else { message })?;
    Ok(())
}
