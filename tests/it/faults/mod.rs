//! The fault suite: what can go wrong is made to go wrong, to the built program, under load by HTTP, RELP and TCP at once.
//!
//! | fault | how it is made | asserted besides (see below) | planted bug it was seen to catch |
//! |---|---|---|---|
//! | kill -9 (`kill`) | 200 times (`WARTBURG_KILLS`), at a random moment while it serves, starts or ends | recovery itself can be killed | answered before the block is written; the event store's cursor ahead of its commit; events already committed taken again |
//! | kill -9 of the event store's upkeep (`store`) | 12 times (`WARTBURG_STORE_KILLS`), as soon as the disk shows that it commits, merges, seals, mends, forgets or lets days go; days are broken by hand in between | every phase was hit; what went stands in the deletion log; what is held is there; a person is forgotten wholly or not at all; `store verify` is content | a rebuild ready before its siblings' events are on disk |
//! | kill -9 while the rules count (`rules`) | 8 times (`WARTBURG_RULE_KILLS`), over a journal of log-ins in bursts, late and early, with a correlation of each kind, two of them over all bodies | every alert, its span, records and evidence, is that of an undisturbed run over the same journal, and so is what a case of the state says of each body | the snapshot is written before the alerts |
//! | kill -9 while mails come in (`letters`) | 12 times (`WARTBURG_LETTER_KILLS`), at a random moment between the first byte of a letter and its answer | every letter is brought until it is acknowledged, and is there once, with its raw bytes; `verify` is content | (none planted yet) |
//! | disk full (`disk_full`) | a tmpfs of 8 MiB for journal, events, flows, quarantine, advisories and the directory itself, filled under load | senders are told 503 or wait; pages and command line answer, also on the full disk; all goes on without a restart | a consumer gives up at its first error |
//! | bit flip (`bits`) | 40 bits of a journal of six blocks, drawn anew each time | `journal verify` says so | a block's checksum is not compared |
//! | failing fsync, EIO (`fsync`) | libfiu, now and then and then always | nothing is acknowledged meanwhile; goes on without a restart | a failed fsync is overlooked |
//! | clock ± 10 days (`clock`) | libfaketime, between restarts and while it runs | the journal's order is that of sending | what was received before the latest receipt is taken for known |
//! | endless line (`hostile`) | 192 MiB without a newline over TCP | all of it kept in parts; memory stays below 180 MiB; others are served | the framer waits for the end of a line however long |
//! | slowloris, half-open, deaf peers (`hostile`) | 300 connections that dribble or stop, one that never reads | others are served while they hold on; memory stays bounded | a body that is not whole yet holds one of 32 places |
//!
//! The flow store has a kill -9 of its own, in `ingest` (`flows::kill_tests`, `WARTBURG_FLOW_KILLS`): while it writes, adds up,
//! compacts, lets days go and rebuilds.
//!
//! After each the same is asked (`accounted_for`): no line that was acknowledged is lost, none is found twice, none is found
//! that nobody sent, a TCP connection's lines have no hole, every frame of the journal is in the event store, and the
//! sources' counts add up to the journal; and of a server that still runs, that what it received is what it stored, rejected
//! and dropped (`conserved`, from its metrics). Torn writes, lost pages and every single bit flipped are the journal's own
//! tests, on a disk in memory. Seeds are printed; `WARTBURG_SEED=…` repeats one, `WARTBURG_LOG=1` shows what the server says.

mod bits;
mod clock;
mod disk_full;
mod fsync;
mod hostile;
mod kill;
mod letters;
mod load;
mod preload;
mod rules;
mod store;
mod store_phase;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use ingest::frame::{FrameKind, Seq};
use ingest::journal::Journal;
use ingest::time::{Clock, Timestamp};

use crate::program::{PATIENCE, Server, json_lines};
use load::Sent;

/// Holds a data directory that no server uses any more against what its senders know. Returns how many lines were found.
fn accounted_for(data: &Path, sent: &Sent) -> usize {
    let mut found: BTreeMap<u64, u32> = BTreeMap::new();
    // All of them say a moment before this; what has none of its own, such as an endless line's parts, is left out.
    for event in json_lines(data, &["search", "numbered", "--to", "2026-11-21T12:00:00Z", "--json", "--limit", "10000000"]) {
        for number in numbers_in(event["_raw"].as_str().unwrap_or_default()) {
            *found.entry(number).or_default() += 1;
        }
    }
    let lost: Vec<_> = sent.acknowledged.iter().filter(|number| !found.contains_key(number)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged lines are lost: {:?} …", lost.len(), sent.acknowledged.len(), first(&lost));
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{} found more than once: {:?} …", twice.len(), first(&twice));
    let strange: Vec<_> = found.keys().filter(|number| !sent.tried.contains(number)).collect();
    assert!(strange.is_empty(), "{} found, but nobody sent them: {:?} …", strange.len(), first(&strange));
    for stream in &sent.streams {
        let kept = stream.iter().take_while(|number| found.contains_key(number)).count();
        let behind: Vec<_> = stream.iter().skip(kept).filter(|number| found.contains_key(number)).collect();
        assert!(behind.is_empty(), "a TCP connection has a hole behind its {kept} lines: {behind:?}");
    }

    let lines = journal_lines(data);
    let journaled: BTreeSet<u64> = lines.iter().flat_map(|line| numbers_in(line)).collect();
    assert!(journaled.iter().eq(found.keys()), "{} lines in the journal, {} in the event store", journaled.len(), found.len());
    let sources = json_lines(data, &["sources", "--json"]);
    let counted: i64 = sources.iter().map(|source| source["frames"].as_i64().unwrap()).sum();
    assert_eq!(counted, i64::try_from(lines.len()).unwrap(), "frames counted for the sources and in the journal");
    found.len()
}

/// Enough to look for.
fn first<T>(all: &[T]) -> &[T] {
    all.get(..all.len().min(20)).unwrap_or_default()
}

/// The conservation law, as the running server itself counts: received = stored + rejected + dropped, and what is stored is in
/// the journal. Asked when the senders have stopped; what is in flight then arrives.
fn conserved(server: &Server) {
    let mut page_then = String::new();
    let total = |page: &str, name: &str| -> f64 {
        let samples = page.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    };
    for _ in 0..500 {
        let (status, page) = page(server, "/metrics");
        assert_eq!(status, 200, "{page}");
        let of = |name: &str| total(&page, &format!("wartburg_intake_{name}_total"));
        if of("received") > 0.0 && of("received") == of("stored") + of("rejected") + of("dropped") {
            return;
        }
        page_then = page;
        std::thread::sleep(Duration::from_millis(20));
    }
    let counters: Vec<_> = page_then.lines().filter(|line| line.starts_with("wartburg_intake_")).collect();
    panic!("received is not stored + rejected + dropped: {counters:#?}");
}

/// The payloads of all frames that a sender sent, in the order of the journal.
fn journal_lines(data: &Path) -> Vec<String> {
    let (mut journal, _) = Journal::open(&data.join("journal"), &data.join("quarantine"), Timestamp(1)).unwrap();
    let (mut reader, mut lines) = (journal.reader(Seq(0)), Vec::new());
    while let Some(frames) = reader.next(Duration::ZERO).unwrap() {
        let sent = frames.into_iter().filter(|frame| frame.frame.kind != FrameKind::ImportMark);
        lines.extend(sent.map(|frame| String::from_utf8_lossy(&frame.frame.payload).into_owned()));
    }
    journal.close();
    lines
}

/// Waits for something that takes as long as it takes.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let pause = Duration::from_millis(20);
    let tries = PATIENCE.as_millis() / pause.as_millis();
    assert!((0..tries).any(|_| is_so() || (std::thread::sleep(pause), false).1), "in vain: {what}");
}

/// What the intake's health check answers.
fn health(server: &Server) -> u16 {
    let answer = load::agent().get(format!("http://{}/healthz", server.http)).call();
    answer.map_or(0, |response| response.status().as_u16())
}

/// A page as somebody without a login gets it.
fn page(server: &Server, path: &str) -> (u16, String) {
    let mut answer = load::agent().get(format!("http://{}{path}", server.pages)).call().unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

/// The numbers of `load::line` in a text; one whose line was torn before the second hash is none.
fn numbers_in(text: &str) -> Vec<u64> {
    let parts: Vec<&str> = text.split('#').collect();
    parts.iter().skip(1).take(parts.len().saturating_sub(2)).step_by(2).filter_map(|number| number.parse().ok()).collect()
}

/// Random numbers whose seed is printed, so that a failure can be had again: `WARTBURG_SEED=…`.
struct Random(u64);

impl Random {
    fn seeded(test: &str) -> Self {
        let fresh = || u64::try_from(Clock::system().now().0).unwrap_or(1);
        let seed = std::env::var("WARTBURG_SEED").map_or_else(|_| fresh(), |seed| seed.parse().expect("WARTBURG_SEED is a number"));
        println!("{test}: WARTBURG_SEED={seed}");
        Self(seed)
    }

    /// SplitMix64: small, and good enough to choose moments.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}
