//! How many lines a second become events: a mix as a town hall's firewall, servers and shippers send it.

use std::hint::black_box;
use std::net::Ipv4Addr;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::body::SITE_UNKNOWN;
use ingest::decode::{Options, decode};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::time::Timestamp;

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

fn frame(line: &str) -> Frame {
    let frame = NewFrame {
        // 2026-03-14T08:00:00 in Germany.
        received_at: Timestamp(1_773_471_600_000),
        site: SITE_UNKNOWN,
        peer: Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Tcp,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload: line.as_bytes().into(),
    };
    Frame { seq: Seq(1), frame }
}

fn bench(criterion: &mut Criterion) {
    let (frames, options) = (LINES.map(frame), Options::default());
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Elements(LINES.len() as u64));
    group.bench_function("mixed", |bencher| {
        bencher.iter(|| {
            for frame in &frames {
                black_box(decode(black_box(frame), &options));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
