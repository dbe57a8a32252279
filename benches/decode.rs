//! What decoding costs.
//!
//! Without more it measures with criterion: the mixed file, each decoder on its golden lines, our header beside
//! `syslog_loose`'s on the same lines, and hostile lines of 4 and 64 KiB, whose time per byte must be alike.
//! `cargo bench --bench decode -- table` counts events per CPU-second of the whole process over a million mixed lines and
//! per decoder, and looks for lines whose time grows faster than their length; it prints the tables of
//! `docs/messungen/decoder.md`.

#[path = "../ingest/src/decode/golden/samples.rs"]
mod samples;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use ingest::body::SITE_UNKNOWN;
use ingest::decode::{Options, decode};
use ingest::event::Defect;
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::syslog;
use ingest::time::{Stopwatch, Timestamp};
use nix::sys::resource::{UsageWho, getrusage};

/// Three firewall lines to two of sshd and one of each other kind.
const LINES: [&str; 10] = [
    r#"<189>date=2026-03-14 time=07:59:58 devname="FG-RATHAUS" devid="FGT60F0000000001" eventtime=1773471598123456789 tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.1.100.11 srcport=58012 srcintf="port12" srcintfrole="lan" dstip=198.51.100.35 dstport=443 dstintf="port11" dstintfrole="wan" sessionid=105048 proto=6 action="deny" policyid=1 service="HTTPS" duration=116 sentbyte=1188 rcvdbyte=1224"#,
    "<4>Mar 14 07:59:58 fw kernel: [19955416.516358] [UFW BLOCK] IN=ens2 OUT= MAC=de:1c:88:64:10:19:5e:e1:a4:3b:cf:f0:08:00 SRC=203.0.113.168 DST=10.73.140.49 LEN=44 TOS=0x00 PREC=0x00 TTL=43 ID=25313 PROTO=TCP SPT=52220 DPT=80 WINDOW=1024 RES=0x00 SYN URGP=0",
    "<4>Mar 14 07:59:58 fw kernel: DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=198.51.100.66 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40",
    "<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Failed password for invalid user admin from 203.0.113.5 port 4711 ssh2",
    "<38>1 2026-03-14T07:59:58.123456+01:00 rathaus-a sshd 24200 - - Accepted publickey for anna from 10.1.2.3 port 56296 ssh2: ED25519 SHA256:1M4RzhMyWuFS",
    "<85>Mar 14 07:59:58 srv sudo:     anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/apt update",
    "<22>2026-03-14T07:59:58.759590+01:00 mail postfix/smtpd[1938053]: connect from mail.example.net[198.51.100.9]",
    "<78>Mar 14 07:59:58 srv CRON[811]: (root) CMD (run-parts /etc/cron.hourly)",
    r#"{"@timestamp":"2026-03-14T06:59:58.5Z","host":{"name":"srv1"},"event":{"code":4625,"outcome":"failure"},"user":{"name":"anna"},"source":{"ip":"203.0.113.5","port":4711},"message":"An account failed to log on"}"#,
    "Dec 10 06:55:46 LabSZ sshd[24200]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=173.234.31.186  user=root",
];

/// 2026-03-14T08:00:00 in Germany.
const RECEIVED: Timestamp = Timestamp(1_773_471_600_000);

fn frame(line: &[u8]) -> Frame {
    let frame = NewFrame {
        received_at: RECEIVED,
        site: SITE_UNKNOWN,
        peer: Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Tcp,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload: line.into(),
    };
    Frame { seq: Seq(1), frame }
}

/// The golden lines by the decoder that understands them; those with a header only are called `header`.
fn by_decoder() -> BTreeMap<&'static str, Vec<Vec<u8>>> {
    let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in samples::samples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("ingest/src/decode/golden")) {
        let Some(event) = decode(&frame(&line), &Options::default()) else { continue };
        match event.decoder {
            "" if event.defects.contains(Defect::NoHeader) => {}
            "" => found.entry("header").or_default().push(line),
            decoder => found.entry(decoder).or_default().push(line),
        }
    }
    found
}

fn decoders(criterion: &mut Criterion) {
    let options = Options::default();
    let mut group = criterion.benchmark_group("decode");
    let mixed = ("mixed", LINES.map(|line| line.as_bytes().to_vec()).to_vec());
    for (name, lines) in std::iter::once(mixed).chain(by_decoder()) {
        let frames: Vec<_> = lines.iter().map(|line| frame(line)).collect();
        group.throughput(Throughput::Elements(frames.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    black_box(decode(black_box(frame), &options));
                }
            });
        });
    }
    group.finish();
}

/// Lines whose header both read alike: host, program, number and message. Ours is measured with what theirs does besides:
/// the moment, and the structured data's parts.
fn headers(criterion: &mut Criterion) {
    let lines = alike();
    let mut group = criterion.benchmark_group("header");
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function(BenchmarkId::new("wartburg", lines.len()), |bencher| {
        bencher.iter(|| lines.iter().for_each(|line| our_header(black_box(line))));
    });
    group.bench_function(BenchmarkId::new("syslog_loose", lines.len()), |bencher| {
        bencher.iter(|| lines.iter().for_each(|line| their_header(black_box(line))));
    });
    group.finish();
}

fn our_header(line: &str) {
    let header = syslog::parse(line);
    black_box(syslog::moment(header.stamp, RECEIVED, chrono_tz::UTC));
    black_box(syslog::params(header.structured).count());
    black_box(header);
}

fn their_header(line: &str) {
    black_box(theirs(line));
}

fn theirs(line: &str) -> syslog_loose::Message<&str> {
    syslog_loose::parse_message_with_year_tz(line, |_| 2026, Some(chrono::Utc), syslog_loose::Variant::Either)
}

/// The mixed lines and the golden ones that both understand.
fn alike() -> Vec<String> {
    let golden = by_decoder().into_values().flatten().filter_map(|line| String::from_utf8(line).ok());
    let all = LINES.iter().map(|line| (*line).to_owned()).chain(golden);
    all.filter(|line| {
        let (ours, theirs) = (syslog::parse(line), theirs(line));
        let pid = match theirs.procid {
            Some(syslog_loose::ProcId::PID(pid)) => pid.to_string(),
            Some(syslog_loose::ProcId::Name(name)) => name.to_owned(),
            None => String::new(),
        };
        theirs.timestamp.is_some()
            && theirs.hostname == Some(ours.host)
            && theirs.appname == Some(ours.app)
            && pid == ours.pid
            && theirs.msg.trim() == ours.message.trim()
    })
    .collect()
}

const SHORT: usize = 4 * 1024;
const LONG: usize = 64 * 1024;

/// Lines that an attacker would send: where a decoder has begun to read, the same over and over.
const HOSTILE: [(&str, &str, &str); 10] = [
    ("one letter", "", "a"),
    ("blanks", "<13>Mar 14 07:59:58 h a: ", " "),
    ("key=value", "<13>Mar 14 07:59:58 h a: ", "key=value "),
    ("open quotes", "<189>date=2026-03-14 time=07:59:58 devid=\"FG1\" type=\"event\" ", "a=\"b "),
    ("structured data", "<13>1 2026-03-14T07:59:58Z h a 1 - ", "[a b=\"c\"]"),
    ("cef", "<13>Mar 14 07:59:58 h CEF:0|V|P|1|1|n|5|", "a=b\\= "),
    ("json", "{\"a\":[", "{\"b\":1},"),
    ("sshd", "<38>Mar 14 07:59:58 h sshd[1]: Failed password for invalid user ", "x from 192.0.2.1 port 1 ssh2 "),
    ("access log", "192.0.2.1 - - [14/Mar/2026:07:59:58 +0100] \"GET ", "\\\" 200 1 "),
    ("windows text", "<14>Mar 14 07:59:58 PC MSWinEventLog\t1\tSecurity\t1\tx\t4625\tP\tN/A\tN/A\tx\tPC\tx\t\t", "Account Name:  x   "),
];

fn repeated(start: &[u8], again: &[u8], size: usize) -> Vec<u8> {
    let mut line = start.to_vec();
    line.extend(again.iter().copied().cycle().take(size.saturating_sub(start.len())));
    line
}

fn hostile(criterion: &mut Criterion) {
    let options = Options::default();
    let mut group = criterion.benchmark_group("hostile");
    for (name, start, again) in HOSTILE {
        for size in [SHORT, LONG] {
            let frame = frame(&repeated(start.as_bytes(), again.as_bytes(), size));
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| bencher.iter(|| black_box(decode(black_box(&frame), &options))));
        }
    }
    group.finish();
}

criterion_group!(benches, decoders, headers, hostile);

#[expect(clippy::print_stdout, reason = "a measurement's result is what it prints")]
fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "table") {
        let number = |name: &str, usual| {
            let at = arguments.iter().position(|argument| argument == name);
            at.and_then(|at| arguments.get(at + 1)).and_then(|number| number.parse().ok()).unwrap_or(usual)
        };
        println!("{}", table(number("--events", 1_000_000), number("--each", 300_000)));
        println!("{}", header_table(number("--each", 300_000)));
        println!("{}", growth());
        return;
    }
    benches();
    Criterion::default().configure_from_args().final_summary();
}

/// User and system time of this process so far.
fn cpu_seconds() -> f64 {
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let (user, system) = (usage.user_time(), usage.system_time());
        (user.tv_sec() + system.tv_sec()) as f64 + (user.tv_usec() + system.tv_usec()) as f64 / 1e6
    })
}

/// Lines per CPU-second of cutting `text` into lines, making each a frame and decoding it: what an import does.
fn rate(text: &[u8]) -> f64 {
    let options = Options::default();
    let since = cpu_seconds();
    let mut lines = 0.0;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        black_box(decode(&frame(line), &options));
        lines += 1.0;
    }
    lines / (cpu_seconds() - since).max(1e-9)
}

fn file_of(lines: &[Vec<u8>], events: usize) -> Vec<u8> {
    // A line that holds a line break would be two.
    let whole = lines.iter().filter(|line| !line.contains(&b'\n'));
    whole.cycle().take(events).flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            out.push('.');
        }
        out.push(digit);
    }
    out
}

fn table(events: usize, each: usize) -> String {
    let mixed = file_of(&LINES.map(|line| line.as_bytes().to_vec()), events);
    let mut out = String::from("| Decoder | Zeilen im Muster | Bytes je Zeile | Ereignisse je CPU-Sekunde |\n|---|---:|---:|---:|\n");
    let row = |name: &str, lines: usize, text: &[u8], events: usize| {
        format!("| {name} | {lines} | {} | {} |\n", text.len() / events.max(1), thousands(rate(text)))
    };
    out += &row("**gemischte Datei**", LINES.len(), &mixed, events);
    drop(mixed);
    for (name, lines) in by_decoder() {
        out += &row(name, lines.len(), &file_of(&lines, each), each);
    }
    out
}

fn header_table(each: usize) -> String {
    let lines = alike();
    let timed = |read: fn(&str)| {
        let since = cpu_seconds();
        lines.iter().cycle().take(each).for_each(|line| read(line));
        thousands(each as f64 / (cpu_seconds() - since).max(1e-9))
    };
    format!(
        "| Kopf | Zeilen im Muster | Köpfe je CPU-Sekunde |\n|---|---:|---:|\n| Wartburg | {0} | {1} |\n| syslog_loose | {0} | {2} |\n",
        lines.len(),
        timed(our_header),
        timed(their_header)
    )
}

/// How many times as long a line sixteen times as long may take before it is named: twice is what a cache costs.
const GROWTH_MAX: f64 = 32.0;
/// Shorter measurements say more about the machine than about us.
const NANOS_MIN: f64 = 2_000.0;

/// Nanoseconds for a line; the best of a few, since whatever disturbs only adds.
fn nanos(line: &[u8]) -> f64 {
    let (frame, options) = (frame(line), Options::default());
    let once = || {
        let watch = Stopwatch::start();
        black_box(decode(black_box(&frame), &options));
        watch.elapsed().as_nanos() as f64
    };
    (0..5).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// Every golden line cut at a few places and going on with one text over and over: those whose time grows faster than
/// their length, and the slowest.
fn growth() -> String {
    let mut found = Vec::new();
    for (decoder, lines) in by_decoder() {
        for line in lines.iter().take(12) {
            for cut in [line.len() / 3, line.len() / 2, line.len() * 3 / 4, line.len()] {
                for again in [
                    " ", "\"", "'", "=", "[", "]", "(", "{", "<", ",", ":", "\\", "\t", "a", "0", "a=", "a=\" ", "x: ", "a  ", ", ", "%",
                    ";",
                ] {
                    let start = line.get(..cut).unwrap_or_default();
                    let (short, long) = (nanos(&repeated(start, again.as_bytes(), SHORT)), nanos(&repeated(start, again.as_bytes(), LONG)));
                    let text = String::from_utf8_lossy(start).chars().take(70).collect::<String>();
                    found.push((long / short.max(NANOS_MIN), long / LONG as f64, decoder, again, text));
                }
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let grown = found.iter().filter(|row| row.0 > GROWTH_MAX).count();
    let mut out = format!(
        "{} Zeilen zu 4 und 64 KiB, {grown} davon brauchen bei sechzehnfacher Länge mehr als das {GROWTH_MAX}-Fache.\n\n\
         | Faktor | ns je Byte bei 64 KiB | Decoder | wiederholt | Anfang |\n|---:|---:|---|---|---|\n",
        found.len()
    );
    let row = |(factor, per_byte, decoder, again, text): &(f64, f64, &str, &str, String)| {
        format!("| {factor:.1} | {per_byte:.2} | {decoder} | `{again:?}` | `{}` |\n", text.replace('|', "¦"))
    };
    out += &found.iter().take(grown.clamp(5, 40)).map(row).collect::<String>();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    out += "\nDie langsamsten je Byte:\n\n| Faktor | ns je Byte bei 64 KiB | Decoder | wiederholt | Anfang |\n|---:|---:|---|---|---|\n";
    out + &found.iter().take(10).map(row).collect::<String>()
}
