//! What five million indicators cost: bytes of the set in memory, reading it from the store, and looking up an event's
//! values, with hits and without. Own measurement, as it is one large thing and a few figures:
//! `cargo bench --bench indicators [-- --count 5000000]`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a measurement fails loudly and prints"
)]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::Instant;

use detect::intel::{Enriched, IndicatorSet, MIGRATIONS};
use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::db::{Db, DbError};
use ingest::event::Event;
use ingest::fields;
use ingest::frame::{Seq, Transport};
use ingest::record::EventRecord;
use ingest::time::Timestamp;

const LISTS: u64 = 12;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let wanted = args.iter().position(|arg| arg == "--count").and_then(|at| args.get(at + 1)).and_then(|count| count.parse().ok());
    // `cargo test --benches` runs it too: then it only shows that it works.
    let count: u64 = wanted.unwrap_or(if args.iter().any(|arg| arg == "--bench") { 5_000_000 } else { 20_000 });
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
    let watch = Instant::now();
    fill(&db, count);
    println!("{count} indicators written into the store in {:.1} s", watch.elapsed().as_secs_f64());

    let before = resident();
    let watch = Instant::now();
    let set = db.read(IndicatorSet::load).unwrap();
    let loading = watch.elapsed();
    let mib = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
    println!(
        "loaded {} in {:.1} s: {:.1} MiB by their own count ({:.1} bytes each), {:.1} MiB more resident, {:.1} MiB at most while loading",
        set.len(),
        loading.as_secs_f64(),
        mib(set.bytes() as u64),
        set.bytes() as f64 / set.len() as f64,
        mib(resident().0.saturating_sub(before.0)),
        mib(resident().1.saturating_sub(before.0)),
    );

    let events = |hit: bool| -> Vec<Event> { (0..20_000).map(|n| event(n, count, hit)).collect() };
    for (name, events) in [("without hits", events(false)), ("with hits", events(true))] {
        let empty = IndicatorSet::default();
        let (bare, _) = measure(&events, &empty);
        let (nanos, hits) = measure(&events, &set);
        println!("{name}: {nanos:.0} ns an event, of which {bare:.0} ns without any indicator; {hits:.2} hits an event");
    }
}

/// Nanoseconds an event and hits an event; the best of several rounds, events in an order that no cache likes.
fn measure(events: &[Event], set: &IndicatorSet) -> (f64, f64) {
    let (mut best, mut hits) = (f64::MAX, 0);
    let sites = SiteTable::default();
    for _ in 0..7 {
        let watch = Instant::now();
        hits = 0;
        for n in 0..events.len() {
            let record = EventRecord { event: &events[n * 7_919 % events.len()], sites: &sites };
            hits += black_box(Enriched::new(black_box(&record), set)).hits().len();
        }
        best = best.min(watch.elapsed().as_nanos() as f64 / events.len() as f64);
    }
    (best, hits as f64 / events.len() as f64)
}

/// A number that looks like chance and is the same in each run.
fn mixed(n: u64) -> u64 {
    let n = (n ^ n >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ n >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ n >> 31
}

/// The n-th indicator: four in ten addresses, three names, one URL, one SHA-256, one of nets, MD5 and mail addresses. Most
/// begin with what rises, so that writing them does not take longer than what is measured.
fn indicator(n: u64) -> (&'static str, String) {
    let chance = mixed(n);
    match n % 10 {
        0..=3 => ("address", Ipv4Addr::from_bits(0x2000_0000 + (n as u32).wrapping_mul(53)).to_string()),
        4..=6 => ("domain", format!("h{n:08x}{:x}.d{:x}.example", chance as u16, chance % 100_000)),
        7 => ("url", format!("http://h{n:08x}.example/p/{chance:x}.exe")),
        8 => ("sha256", format!("{n:08x}{:08x}{:016x}{:016x}{:016x}", chance as u32, mixed(chance), mixed(chance ^ 1), mixed(chance ^ 2))),
        _ if n % 1_000 == 9 => ("prefix", format!("2001:db8:{:x}:{:x}::/64", (n >> 16) as u16, n as u16)),
        _ if n % 20 == 9 => ("md5", format!("{chance:016x}{:016x}", mixed(chance))),
        _ => ("mail", format!("u{n:08x}@m{:x}.example", chance % 10_000)),
    }
}

/// An event as the decoder leaves it of a proxy's line: two addresses, a name, a URL, a hash.
fn event(n: u64, count: u64, hit: bool) -> Event {
    let of = |kind: u64| indicator((mixed(n * 31 + kind) % (count / 10)) * 10 + kind).1;
    let other = mixed(n + 77);
    let name = if hit && n.is_multiple_of(2) { format!("www.{}", of(4)) } else { format!("www{}.site{other:x}.example.net", n % 9) };
    let address = if hit && n % 2 == 1 { of(0).parse().unwrap() } else { Ipv4Addr::from_bits(0xc000_0000 | other as u32) };
    let at = Timestamp(1_780_308_000_000);
    let line = format!("ein Zugriff über den Proxy auf https://{name}/a/b/c?id={n}");
    let mut event = Event::new(Seq(n), at, SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Tcp, line.as_bytes());
    event.push_name(fields::EVENT_MODULE, "squid");
    event.push_name(fields::EVENT_ACTION, "http_request");
    event.push_ip(fields::SOURCE_IP, Ipv4Addr::new(10, (n % 200) as u8, (n % 250) as u8, (n % 240) as u8).into());
    event.push_int(fields::SOURCE_PORT, 51_234);
    event.push_ip(fields::DESTINATION_IP, address.into());
    event.push_int(fields::DESTINATION_PORT, 443);
    event.push_text(fields::URL_DOMAIN, name.as_str());
    event.push_text(fields::URL_FULL, format!("https://{name}/a/b/c?id={n}"));
    event.push_text(fields::USER_NAME, "anna");
    event.push_text(fields::FILE_HASH_SHA256, format!("{other:016x}{n:016x}{other:016x}{n:016x}"));
    event.push_text(fields::HOST_NAME, "proxy-a");
    event
}

fn fill(db: &Db, count: u64) {
    for from in (0..count).step_by(100_000) {
        db.write(move |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO indicator (id, kind, value, list, tlp, confidence, valid_until, created_at, hunt)
                 VALUES (?1, ?2, ?3, ?4, 'TLP:GREEN', ?5, ?6, 1, '') ON CONFLICT DO NOTHING",
            )?;
            for n in from..count.min(from + 100_000) {
                let (kind, value) = indicator(n);
                let until = n.is_multiple_of(3).then_some(1_790_000_000_000i64 + n as i64);
                insert.execute(rusqlite::params![
                    format!("{n:026}"),
                    kind,
                    value,
                    format!("Liste {}", n % LISTS),
                    (n % 5) as i64 * 20,
                    until
                ])?;
            }
            Ok::<_, DbError>(())
        })
        .unwrap();
    }
}

/// Bytes of this process that are resident now, and at most so far.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    (of("VmRSS:").unwrap_or(0) * 1024, of("VmHWM:").unwrap_or(0) * 1024)
}
