//! The demo's live simulation: real syslog and NetFlow packets from the bodies' own loopback networks to the demo's
//! own sockets. Ordinary traffic all the time, and a scripted attack every few minutes. Seeded, so that a run repeats.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use chrono_tz::Europe::Berlin;
use ingest::time::{Clock, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio_util::sync::CancellationToken;

use super::bodies::DemoBody;

/// An ordinary working day's share of the load that one laptop shows comfortably: about 40 lines and 60 flows a second.
const LINES_PER_STEP: usize = 8;
const FLOWS_PER_STEP: usize = 12;
const STEP: Duration = Duration::from_millis(200);
/// From one attack's begin to the next one's; the first comes soon after the start.
const ATTACK_STEPS: u64 = 5 * 180;
const ATTACK_FIRST_STEP: u64 = 25;
/// The first attack and then each so-manieth goes on to other bodies, so many of them, three seconds apart.
const WAVE_EVERY: u8 = 5;
const WAVE_BODIES: usize = 3;
const WAVE_FIRST_STEP: u32 = 30;
const WAVE_STEPS: u32 = 15;
/// Failed log-ins at each.
const WAVE_TRIES: u32 = 12;
/// A v5 datagram holds at most 30 records; v9 is kept below one Ethernet frame likewise.
const RECORDS_PER_DATAGRAM: usize = 24;

/// The listed address that the scripted attack calls home to (TEST-NET-3, RFC 5737).
pub(super) const C2: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 66);
/// Where the attacks come from (TEST-NET-2); the last number changes with each attack.
const ATTACKERS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 0);

const USERS: [&str; 10] =
    ["m.lindner", "k.boettcher", "svc-backup", "a.franke", "h.schroeter", "i.koehler", "svc-fibu", "t.jahn", "r.moeller", "admin"];
const PORTS: [(u16, u16); 6] = [(443, 60), (80, 12), (53, 18), (993, 5), (445, 3), (587, 2)];

/// Where to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Targets {
    pub(super) syslog: SocketAddr,
    pub(super) netflow: SocketAddr,
}

/// Plays until `shutdown`; with `attacks` = 1 one attack only. `on_attack` is told each attack's source and body.
pub(super) async fn play(
    bodies: &[DemoBody],
    targets: Targets,
    clock: &Clock,
    seed: u64,
    shutdown: &CancellationToken,
    on_attack: impl Fn(IpAddr, &DemoBody),
) {
    let mut stage = Stage { rng: StdRng::seed_from_u64(seed), targets, clock: clock.clone(), sequences: HashMap::new() };
    let mut attack: Option<Attack> = None;
    for step in 0u64.. {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(STEP) => {}
        }
        stage.ordinary(bodies);
        if step % ATTACK_STEPS == ATTACK_FIRST_STEP
            && let Some(victim) = bodies.get(stage.victim(step, bodies.len()))
        {
            let number = u8::try_from(step / ATTACK_STEPS % 200).unwrap_or(0);
            let source = Ipv4Addr::from_bits(ATTACKERS.to_bits() + 23 + u32::from(number));
            on_attack(source.into(), victim);
            let next = if number.is_multiple_of(WAVE_EVERY) { neighbours(bodies, victim) } else { vec![] };
            attack = Some(Attack { source, step: 0, victim: victim.clone(), next });
        }
        if let Some(running) = &mut attack
            && !stage.attack(running)
        {
            attack = None;
        }
    }
}

struct Attack {
    source: Ipv4Addr,
    step: u32,
    victim: DemoBody,
    /// At whom the attacker tries the same passwords afterwards: each of them sees its part, the Land the whole.
    next: Vec<DemoBody>,
}

/// The bodies that stand behind a victim in the list: of the same part of the Land, where there are such.
fn neighbours(bodies: &[DemoBody], victim: &DemoBody) -> Vec<DemoBody> {
    let from = bodies.iter().position(|body| body.body.id == victim.body.id).map_or(0, |place| place + 1);
    bodies.iter().cycle().skip(from).take(WAVE_BODIES.min(bodies.len().saturating_sub(1))).cloned().collect()
}

struct Stage {
    rng: StdRng,
    targets: Targets,
    clock: Clock,
    /// What each exporter counted: v5 records, v9 datagrams.
    sequences: HashMap<Ipv4Addr, u32>,
}

impl Stage {
    /// The first attack always meets Sömmerda, so that the manual's walk fits; later ones anybody.
    fn victim(&mut self, step: u64, bodies: usize) -> usize {
        const SOEMMERDA: usize = 53;
        if step < ATTACK_STEPS { SOEMMERDA } else { self.rng.random_range(0..bodies) }
    }

    fn ordinary(&mut self, bodies: &[DemoBody]) {
        for _ in 0..LINES_PER_STEP {
            let Some(body) = self.pick(bodies) else { return };
            let (host, line) = self.ordinary_line(body);
            self.line(body, host, &line);
        }
        let Some(body) = self.pick(bodies) else { return };
        let flows: Vec<Flow> = (0..FLOWS_PER_STEP).map(|_| self.ordinary_flow(body)).collect();
        self.flows(body, &flows);
    }

    fn pick<'a>(&mut self, bodies: &'a [DemoBody]) -> Option<&'a DemoBody> {
        let index = self.rng.random_range(0..bodies.len().max(1));
        bodies.get(index)
    }

    fn ordinary_line(&mut self, body: &DemoBody) -> (u8, String) {
        let user = USERS.get(self.rng.random_range(0..USERS.len())).copied().unwrap_or_default();
        let client = body.inner(self.rng.random_range(20..200));
        let outside = self.outside();
        let port: u16 = self.rng.random_range(32_768..61_000);
        let pid: u16 = self.rng.random_range(400..32_000);
        match self.rng.random_range(0..10) {
            0 => (
                10,
                self.syslog(
                    86,
                    "srv-01",
                    &format!("sshd[{pid}]: Accepted publickey for {user} from {client} port {port} ssh2: ED25519 SHA256:q1"),
                ),
            ),
            1 => (10, self.syslog(78, "srv-01", &format!("CRON[{pid}]: (root) CMD (/usr/local/bin/sicherung --taeglich)"))),
            2 => (11, self.syslog(22, "mail-01", &format!("postfix/smtpd[{pid}]: connect from mx.{}[{outside}]", slug_domain(body)))),
            3..6 => (1, self.fortigate(body, client, outside, port, "accept")),
            6 => (1, self.fortigate(body, client, outside, port, "deny")),
            _ => {
                let probe = [22, 23, 445, 3389, 8080, 5060].get(self.rng.random_range(0..6)).copied().unwrap_or(23);
                let line = format!(
                    "kernel: [{pid}.101] FW-DROP IN=eth0 OUT= MAC=00:00:5e:00:53:01 SRC={outside} DST={} LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID={pid} DF PROTO=TCP SPT={port} DPT={probe} WINDOW=29200 RES=0x00 SYN URGP=0",
                    body.inner(1)
                );
                (2, self.syslog(4, "fw-02", &line))
            }
        }
    }

    fn fortigate(&mut self, body: &DemoBody, inside: Ipv4Addr, outside: Ipv4Addr, port: u16, action: &str) -> String {
        let now = self.clock.now();
        let local = now.utc().with_timezone(&Berlin);
        let service_port = self.service_port();
        let (sent, received) = (self.rng.random_range(400..90_000), self.rng.random_range(400..900_000));
        format!(
            "<189>date={} time={} devname=\"fw-01\" devid=\"FGT60F0000000000\" eventtime={}000000 tz=\"{}\" logid=\"0000000013\" type=\"traffic\" subtype=\"forward\" level=\"notice\" vd=\"root\" srcip={inside} srcport={port} srcintf=\"internal\" dstip={outside} dstport={service_port} dstintf=\"wan1\" policyid={} proto=6 action=\"{action}\" service=\"HTTPS\" sentbyte={sent} rcvdbyte={received} duration={} msg=\"{}\"",
            local.format("%Y-%m-%d"),
            local.format("%H:%M:%S"),
            now.0,
            local.format("%z"),
            self.rng.random_range(1..40),
            self.rng.random_range(1..600),
            body.site.name,
        )
    }

    fn ordinary_flow(&mut self, body: &DemoBody) -> Flow {
        let inside = body.inner(self.rng.random_range(20..200));
        let outside = self.outside();
        let port = self.service_port();
        let asks = self.rng.random_bool(0.5);
        // A name is asked for in a packet or two, and answered in as many.
        let (protocol, packets, sizes) = match port {
            53 => (17, self.rng.random_range(1..3u32), if asks { 60..90 } else { 90..420 }),
            _ => (6, self.rng.random_range(3..400u32), 60..1_400u32),
        };
        let (source, destination, source_port, destination_port) = if asks {
            (inside, outside, self.rng.random_range(32_768..61_000), port)
        } else {
            (outside, inside, port, self.rng.random_range(32_768..61_000))
        };
        let bytes = packets * self.rng.random_range(sizes);
        Flow { source, destination, source_port, destination_port, protocol, flags: 0x1b, packets, bytes, millis: packets * 11 }
    }

    /// The next fifth of a second of the script; false when it is over.
    fn attack(&mut self, attack: &mut Attack) -> bool {
        let (source, victim, step) = (attack.source, attack.victim.clone(), attack.step);
        attack.step += 1;
        let port: u16 = 40_000 + u16::try_from(step).unwrap_or(0);
        let target = victim.inner(80);
        match step {
            // A scan of 120 ports, seen by the router.
            0..5 => {
                let first = u16::try_from(step * 24).unwrap_or(0);
                let flows: Vec<Flow> = (1 + first..25 + first).map(|n| Flow::probe(source, target, 50_000 + n, n * 7)).collect();
                self.flows(&victim, &flows);
            }
            // 24 failed log-ins.
            5..17 => {
                for user in ["root", "svc-backup"] {
                    let line = format!("sshd[4121]: Failed password for {user} from {source} port {port} ssh2");
                    self.send_line(&victim, 10, 86, "web-03", &line);
                }
            }
            17 => {
                let line = format!("sshd[4127]: Accepted password for svc-backup from {source} port {port} ssh2");
                self.send_line(&victim, 10, 86, "web-03", &line);
            }
            20 => {
                self.send_line(
                    &victim,
                    10,
                    86,
                    "web-03",
                    "useradd[4201]: new user: name=supporrt, UID=1044, GID=1044, home=/home/supporrt, shell=/bin/bash, from=/dev/pts/0",
                );
                self.send_line(&victim, 10, 86, "web-03", "usermod[4207]: add 'supporrt' to group 'sudo'");
            }
            // Calling home, refused by the firewall.
            23 => {
                for _ in 0..3 {
                    let line = self.fortigate(&victim, target, C2, port, "deny");
                    self.line(&victim, 1, &line);
                }
                let flow = Flow {
                    source: target,
                    destination: C2,
                    source_port: port,
                    destination_port: 443,
                    ..Flow::probe(target, C2, port, 443)
                };
                self.flows(&victim, &[flow]);
            }
            _ => {}
        }
        let place = step.checked_sub(WAVE_FIRST_STEP).filter(|behind| behind.is_multiple_of(WAVE_STEPS)).map(|behind| behind / WAVE_STEPS);
        if let Some(body) = place.and_then(|place| attack.next.get(usize::try_from(place).ok()?)).cloned() {
            for number in 0..WAVE_TRIES {
                let line = format!("sshd[{}]: Failed password for svc-backup from {source} port {port} ssh2", 5_100 + number);
                self.send_line(&body, 10, 86, "srv-01", &line);
            }
        }
        let last = attack.next.len().checked_sub(1).and_then(|place| u32::try_from(place).ok());
        step < last.map_or(23, |place| WAVE_FIRST_STEP + place * WAVE_STEPS)
    }

    fn send_line(&mut self, body: &DemoBody, host: u8, priority: u8, name: &str, message: &str) {
        let line = self.syslog(priority, name, message);
        self.line(body, host, &line);
    }

    /// An RFC 3164 line with the device's local time, as most devices send it.
    fn syslog(&self, priority: u8, host: &str, message: &str) -> String {
        let local = self.clock.now().utc().with_timezone(&Berlin);
        format!("<{priority}>{} {host} {message}", local.format("%b %e %H:%M:%S"))
    }

    fn service_port(&mut self) -> u16 {
        let total: u16 = PORTS.iter().map(|(_, weight)| weight).sum();
        let mut place = self.rng.random_range(0..total);
        for (port, weight) in PORTS {
            if place < weight {
                return port;
            }
            place -= weight;
        }
        443
    }

    /// An address that stands for the internet: from 192.0.2.0/24 (TEST-NET-1) and the benchmark network 198.18.0.0/15.
    fn outside(&mut self) -> Ipv4Addr {
        if self.rng.random_bool(0.2) {
            Ipv4Addr::new(192, 0, 2, self.rng.random_range(1..255))
        } else {
            Ipv4Addr::new(198, 18, self.rng.random_range(0..40), self.rng.random_range(1..255))
        }
    }

    fn line(&self, body: &DemoBody, host: u8, line: &str) {
        send(body.sender(host), self.targets.syslog, line.as_bytes());
    }

    /// One exporter speaks v5, the next v9, as in real life.
    fn flows(&mut self, body: &DemoBody, flows: &[Flow]) {
        let exporter = body.sender(254);
        for part in flows.chunks(RECORDS_PER_DATAGRAM) {
            let now = self.clock.now();
            let sequence = self.sequences.entry(exporter).or_default();
            let (datagram, counted) =
                if exporter.octets()[2].is_multiple_of(2) { (v5(part, now, *sequence), part.len()) } else { (v9(part, now, *sequence), 1) };
            *sequence = sequence.wrapping_add(u32::try_from(counted).unwrap_or(0));
            send(exporter, self.targets.netflow, &datagram);
        }
    }
}

fn slug_domain(body: &DemoBody) -> String {
    format!("{}.example", body.site.name)
}

/// One datagram from the given address. A demo's packet that cannot be sent is only a packet less.
fn send(from: Ipv4Addr, to: SocketAddr, payload: &[u8]) {
    if let Ok(socket) = UdpSocket::bind((from, 0)) {
        let _ = socket.send_to(payload, to);
    }
}

#[derive(Clone, Copy, Debug)]
struct Flow {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
    flags: u8,
    packets: u32,
    bytes: u32,
    millis: u32,
}

impl Flow {
    /// A single SYN.
    fn probe(source: Ipv4Addr, destination: Ipv4Addr, source_port: u16, destination_port: u16) -> Self {
        Self { source, destination, source_port, destination_port, protocol: 6, flags: 2, packets: 1, bytes: 60, millis: 0 }
    }
}

/// The exporter's uptime in every datagram: an hour, so that no flow began before it.
const UPTIME_MILLIS: u32 = 3_600_000;

fn unix_secs(now: Timestamp) -> u32 {
    u32::try_from(now.0 / 1_000).unwrap_or(0)
}

/// NetFlow v5 (24 bytes of header, 48 a record).
fn v5(flows: &[Flow], now: Timestamp, sequence: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(24 + flows.len() * 48);
    out.extend_from_slice(&5u16.to_be_bytes());
    out.extend_from_slice(&u16::try_from(flows.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&UPTIME_MILLIS.to_be_bytes());
    out.extend_from_slice(&unix_secs(now).to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    for flow in flows {
        out.extend_from_slice(&flow.source.octets());
        out.extend_from_slice(&flow.destination.octets());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&[0, 1, 0, 2]);
        out.extend_from_slice(&flow.packets.to_be_bytes());
        out.extend_from_slice(&flow.bytes.to_be_bytes());
        out.extend_from_slice(&(UPTIME_MILLIS - flow.millis).to_be_bytes());
        out.extend_from_slice(&UPTIME_MILLIS.to_be_bytes());
        out.extend_from_slice(&flow.source_port.to_be_bytes());
        out.extend_from_slice(&flow.destination_port.to_be_bytes());
        out.extend_from_slice(&[0, flow.flags, flow.protocol, 0]);
        out.extend_from_slice(&[0; 8]);
    }
    out
}

/// NetFlow v9 (RFC 3954): the template and its data in one datagram, since the demo's receiver may start at any time.
fn v9(flows: &[Flow], now: Timestamp, sequence: u32) -> Vec<u8> {
    // Field type and length: addresses, ports, protocol, TCP flags, packets, bytes, first and last switched.
    const FIELDS: [(u16, u16); 10] = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (2, 4), (1, 4), (22, 4), (21, 4)];
    let mut out = Vec::new();
    out.extend_from_slice(&9u16.to_be_bytes());
    out.extend_from_slice(&u16::try_from(flows.len() + 1).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(&UPTIME_MILLIS.to_be_bytes());
    out.extend_from_slice(&unix_secs(now).to_be_bytes());
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&1u32.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 48, 1, 0, 0, 10]);
    for (field, length) in FIELDS {
        out.extend_from_slice(&field.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
    }
    let padding = (4 - flows.len() * 30 % 4) % 4;
    out.extend_from_slice(&256u16.to_be_bytes());
    out.extend_from_slice(&u16::try_from(4 + flows.len() * 30 + padding).unwrap_or(0).to_be_bytes());
    for flow in flows {
        out.extend_from_slice(&flow.source.octets());
        out.extend_from_slice(&flow.destination.octets());
        out.extend_from_slice(&flow.source_port.to_be_bytes());
        out.extend_from_slice(&flow.destination_port.to_be_bytes());
        out.extend_from_slice(&[flow.protocol, flow.flags]);
        out.extend_from_slice(&flow.packets.to_be_bytes());
        out.extend_from_slice(&flow.bytes.to_be_bytes());
        out.extend_from_slice(&(UPTIME_MILLIS - flow.millis).to_be_bytes());
        out.extend_from_slice(&UPTIME_MILLIS.to_be_bytes());
    }
    out.resize(out.len() + padding, 0);
    out
}
