//! What enriching costs: the same lines decoded alone, with each part, and with all of it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement fails loudly")]

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::body::{Site, SiteId, SiteTable};
use ingest::decode::{Options, decode};
use ingest::enrich::{Enrichment, LeaseBook, Settings};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::id::Ulid;
use ingest::time::Timestamp;

#[path = "../ingest/src/enrich/sample.rs"]
mod sample;

/// As `decode`'s mix has it, with the web server's line in place of cron's: five of ten have two addresses.
const LINES: [&str; 10] = [
    r#"<189>date=2026-03-14 time=07:59:58 devname="FG-RATHAUS" devid="FGT60F0000000001" eventtime=1773471598123456789 tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.1.100.11 srcport=58012 srcintf="port12" srcintfrole="lan" dstip=198.51.100.35 dstport=443 dstintf="port11" dstintfrole="wan" sessionid=105048 proto=6 action="deny" policyid=1 service="HTTPS" duration=116 sentbyte=1188 rcvdbyte=1224"#,
    "<4>Mar 14 07:59:58 fw kernel: [19955416.516358] [UFW BLOCK] IN=ens2 OUT= MAC=de:1c:88:64:10:19:5e:e1:a4:3b:cf:f0:08:00 SRC=203.0.113.168 DST=10.1.140.49 LEN=44 TOS=0x00 PREC=0x00 TTL=43 ID=25313 PROTO=TCP SPT=52220 DPT=80 WINDOW=1024 RES=0x00 SYN URGP=0",
    "<4>Mar 14 07:59:58 fw kernel: DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=198.51.100.66 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40",
    "<4>Mar 14 07:59:58 fw kernel: FORWARD: IN=eth1 OUT=eth0 SRC=10.1.1.6 DST=203.0.113.66 LEN=60 TTL=63 PROTO=TCP SPT=50353 DPT=443",
    "<4>Mar 14 07:59:58 fw kernel: FORWARD: IN=eth1 OUT=eth2 SRC=10.1.1.6 DST=10.1.2.7 LEN=60 TTL=63 PROTO=TCP SPT=50354 DPT=445",
    "<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Failed password for invalid user admin from 203.0.113.5 port 4711 ssh2",
    "<38>1 2026-03-14T07:59:58.123456+01:00 rathaus-a sshd 24200 - - Accepted publickey for anna from 10.1.2.3 port 56296 ssh2: ED25519 SHA256:1M4RzhMyWuFS",
    "<85>Mar 14 07:59:58 srv sudo:     anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/apt update",
    "<22>2026-03-14T07:59:58.759590+01:00 mail postfix/smtpd[1938053]: connect from mail.example.net[198.51.100.9]",
    r#"<30>Mar 14 07:59:58 www apache: 203.0.113.9 - - [14/Mar/2026:07:59:58 +0100] "GET /x HTTP/1.1" 200 12 "-" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36""#,
];

const SITE: SiteId = SiteId(Ulid(7));

fn frame(line: &str) -> Frame {
    let frame = NewFrame {
        // 2026-03-14T08:00:00 in Germany.
        received_at: Timestamp(1_773_471_600_000),
        site: SITE,
        peer: Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Tcp,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload: line.as_bytes().into(),
    };
    Frame { seq: Seq(1_000_000), frame }
}

/// 600 sites with a network each, and a second one with another length.
fn sites() -> SiteTable {
    let site = |n: u128| Site {
        id: SiteId(Ulid(n + 7)),
        name: format!("s{n}"),
        body: None,
        prefixes: vec![format!("10.{}.{}.0/24", n / 256 + 1, n % 256).parse().unwrap(), format!("10.{}.0.0/16", n + 1).parse().unwrap()],
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new((0..200).map(site).collect())
}

/// 50,000 leases, those of the lines among them.
fn with_leases(settings: Settings, options: &Options) -> Enrichment {
    let enrichment = Enrichment::new(settings, LeaseBook::default());
    for n in 0..50_000u32 {
        let line = format!(
            "<30>Mar 14 06:{:02}:{:02} gw dhcpd[1]: DHCPACK on 10.1.{}.{} to 00:11:22:33:{:02x}:{:02x} (pc-{n}) via eth0",
            n / 60 % 60,
            n % 60,
            n / 250 % 200,
            n % 250,
            n / 256 % 256,
            n % 256
        );
        let mut frame = frame(&line);
        frame.seq = Seq(u64::from(n));
        if let Some(event) = decode(&frame, options) {
            enrichment.learn(&event);
        }
    }
    enrichment
}

fn bench(criterion: &mut Criterion) {
    let (frames, options, sites) = (LINES.map(frame), Options::default(), sites());
    let dir = tempfile::tempdir().unwrap();
    let (countries, asns) = (dir.path().join("c.mmdb"), dir.path().join("a.mmdb"));
    let nets = ["203.0.113.0", "198.51.100.0"].map(|net| net.parse().unwrap());
    std::fs::write(&countries, sample::mmdb("Country", &nets.map(|net| (net, 24, sample::country("AT", "Austria", "Österreich")))))
        .unwrap();
    std::fs::write(&asns, sample::mmdb("ASN", &nets.map(|net| (net, 24, sample::asn(64_496, "Beispielnetz"))))).unwrap();
    let none = Settings::default();
    let geo_files = vec![countries, asns];
    let alone = |settings: Settings| Enrichment::new(settings, LeaseBook::default());
    let all = Settings {
        community_id: true,
        direction: true,
        user_agent: true,
        leases: true,
        lease_term_hours: 24,
        lease_days: 90,
        geo_files: geo_files.clone(),
    };
    let cases = [
        ("decoded alone", None),
        ("community id", Some(alone(Settings { community_id: true, ..none.clone() }))),
        ("direction", Some(alone(Settings { direction: true, ..none.clone() }))),
        ("user agent", Some(alone(Settings { user_agent: true, ..none.clone() }))),
        ("leases", Some(with_leases(Settings { leases: true, lease_term_hours: 24, ..none.clone() }, &options))),
        ("country and operator", Some(alone(Settings { geo_files, ..none }))),
        ("all", Some(with_leases(all, &options))),
    ];
    let mut group = criterion.benchmark_group("enrich");
    group.throughput(Throughput::Elements(LINES.len() as u64));
    for (name, enrichment) in &cases {
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                for frame in &frames {
                    let mut event = decode(black_box(frame), &options);
                    if let (Some(event), Some(enrichment)) = (&mut event, enrichment) {
                        enrichment.learn(event);
                        enrichment.enrich(event, &sites);
                    }
                    black_box(&event);
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
