//! The events of the measurement: lines as devices write them, half of firewalls, half of hosts, of 600 sites, with values
//! that repeat as real ones do (few that are frequent, many that are rare). The n-th line is a function of n alone.

use std::net::Ipv4Addr;

use chrono::{DateTime, Utc};
use ingest::body::{BodyId, Site, SiteId, SiteTable};
use ingest::frame::{FrameKind, Marks, NewFrame, Transport};
use ingest::id::Ulid;
use ingest::time::Timestamp;

pub(crate) const SITES: u64 = 600;
/// 2026-08-01T00:00:00Z.
pub(crate) const START: i64 = 1_785_542_400_000;
/// One in so many firewall lines names this address: what an analyst asks 90 days for.
const RARE: u64 = 20_011;
pub(crate) const RARE_ADDRESS: &str = "203.0.113.77";

/// So many events, evenly over so many days from `start` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines {
    pub(crate) events: u64,
    pub(crate) days: u64,
    pub(crate) start: i64,
}

pub(crate) fn sites() -> SiteTable {
    let site = |n: u64| Site {
        id: SiteId(Ulid(u128::from(n) + 1)),
        name: format!("ort-{n:03}"),
        body: Some(BodyId(Ulid(u128::from(n) + 10_000))),
        prefixes: vec![],
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new((0..SITES).map(site).collect())
}

impl Lines {
    pub(crate) fn span(self) -> (Timestamp, Timestamp) {
        (Timestamp(self.start), Timestamp(self.start + self.days as i64 * Timestamp::DAY))
    }

    pub(crate) fn frame(self, n: u64) -> NewFrame {
        let at = self.start + (u128::from(n) * u128::from(self.days) * Timestamp::DAY as u128 / u128::from(self.events)) as i64;
        let mut dice = Dice(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D);
        let site = dice.below(SITES);
        let line = line(n, Timestamp(at).utc(), site, &mut dice);
        NewFrame {
            received_at: Timestamp(at).plus(700),
            site: SiteId(Ulid(u128::from(site) + 1)),
            peer: Ipv4Addr::new(10, (site / 250) as u8, (site % 250) as u8, 1 + (n % 2) as u8).into(),
            transport: Transport::Tcp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: line.into_bytes().into(),
        }
    }
}

/// `SplitMix64`: a figure must not depend on a crate's generator.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Below `end`, small ones far more often.
    fn skewed(&mut self, end: u64) -> u64 {
        let x = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (x * x * x * end as f64) as u64
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        let at = self.below(all.len() as u64) as usize;
        all.get(at).copied().unwrap_or_default()
    }
}

fn outside(dice: &mut Dice) -> String {
    let n = dice.skewed(60_000);
    let first = [45, 91, 185, 193, 212].get((n % 5) as usize).copied().unwrap_or(45);
    format!("{first}.{}.{}.{}", n / 5 % 97 + 2, n / 485 % 251 + 1, n % 253 + 1)
}

fn inside(site: u64, dice: &mut Dice) -> String {
    format!("10.{}.{}.{}", 100 + site / 250, site % 250, dice.skewed(220) + 10)
}

fn host(site: u64, dice: &mut Dice) -> String {
    format!("{}-{site:03}", dice.of(&["srv", "mail", "dc", "web", "db"]))
}

const FIRST: [&str; 20] = [
    "anna", "bernd", "claudia", "dieter", "elke", "frank", "gisela", "heiko", "ines", "jens", "karin", "lutz", "maria", "norbert", "olga",
    "peter", "rita", "stefan", "ute", "volker",
];
const LAST: [&str; 25] = [
    "abel", "bauer", "conrad", "daehne", "ebert", "fischer", "gross", "hartung", "illgen", "jahn", "koch", "lorenz", "meyer", "naumann",
    "otto", "pohl", "quast", "richter", "schulz", "thiel", "ullrich", "vogel", "weber", "xander", "zimmer",
];

fn user(dice: &mut Dice) -> String {
    format!("{}.{}", dice.of(&FIRST), dice.of(&LAST))
}

fn line(n: u64, at: DateTime<Utc>, site: u64, dice: &mut Dice) -> String {
    if n.is_multiple_of(2) { firewall(n, at, site, dice) } else { of_host(at, site, dice) }
}

fn firewall(n: u64, at: DateTime<Utc>, site: u64, dice: &mut Dice) -> String {
    let far = if n / 2 % RARE == 7 { RARE_ADDRESS.to_owned() } else { outside(dice) };
    let near = inside(site, dice);
    let near_port = 1_024 + dice.below(60_000);
    let port = dice.of(&["443", "443", "443", "80", "53", "53", "22", "25", "123", "445", "3389", "8443"]);
    let classic = at.format("%b %e %H:%M:%S");
    match dice.below(10) {
        0..4 => {
            let (day, time, nanos) = (at.format("%Y-%m-%d"), at.format("%H:%M:%S"), at.timestamp_nanos_opt().unwrap_or(0));
            let action = dice.of(&["accept", "accept", "close", "close", "close", "deny", "timeout"]);
            let (policy, session, duration) = (dice.below(40), dice.below(9_000_000), dice.skewed(4_000));
            let (sent, received) = (dice.skewed(400_000), dice.skewed(9_000_000));
            format!(
                r#"<189>date={day} time={time} devname="FG-{site:03}" devid="FGT60F{site:010}" eventtime={nanos} tz="+0000" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip={near} srcport={near_port} srcintf="lan" srcintfrole="lan" dstip={far} dstport={port} dstintf="wan1" dstintfrole="wan" sessionid={session} proto=6 action="{action}" policyid={policy} service="HTTPS" duration={duration} sentbyte={sent} rcvdbyte={received}"#
            )
        }
        4..7 => {
            let (up, id, length) = (dice.below(90_000_000), dice.below(65_536), 40 + dice.below(1_400));
            let protocol = dice.of(&["TCP", "TCP", "UDP"]);
            format!(
                "<4>{classic} fw-{site:03} kernel: [{up}.{id:06}] [UFW BLOCK] IN=eth0 OUT= MAC=de:1c:88:64:10:19:5e:e1:a4:3b:cf:f0:08:00 SRC={far} DST={near} LEN={length} TOS=0x00 PREC=0x00 TTL=43 ID={id} PROTO={protocol} SPT={near_port} DPT={port} LEN={length}"
            )
        }
        7..9 => {
            let connection = dice.below(9_000_000);
            format!(
                "<166>{classic} asa-{site:03} : %ASA-6-302013: Built outbound TCP connection {connection} for outside:{far}/{port} ({far}/{port}) to inside:{near}/{near_port} ({near}/{near_port})"
            )
        }
        _ => format!(
            "<164>{classic} asa-{site:03} : %ASA-4-106023: Deny tcp src outside:{far}/{near_port} dst inside:{near}/{port} by access-group \"outside_in\" [0x0, 0x0]"
        ),
    }
}

fn of_host(at: DateTime<Utc>, site: u64, dice: &mut Dice) -> String {
    let (host, pid, port) = (host(site, dice), dice.below(32_000), 1_024 + dice.below(60_000));
    let stamp = at.format("%Y-%m-%dT%H:%M:%S%.3fZ");
    let classic = at.format("%b %e %H:%M:%S");
    match dice.below(20) {
        0..3 => {
            let name = dice.of(&["admin", "root", "test", "oracle", "postgres", "ubuntu", "guest", "ftp"]);
            format!("<38>{classic} {host} sshd[{pid}]: Failed password for invalid user {name} from {} port {port} ssh2", outside(dice))
        }
        3..5 => {
            let (user, from) = (user(dice), inside(site, dice));
            format!(
                "<38>1 {stamp} {host} sshd {pid} - - Accepted publickey for {user} from {from} port {port} ssh2: ED25519 SHA256:1M4RzhMyWuFS"
            )
        }
        5..7 => {
            let (user, command) =
                (user(dice), dice.of(&["/usr/bin/apt update", "/bin/systemctl restart nginx", "/usr/bin/cat /etc/shadow"]));
            format!("<85>{classic} {host} sudo:     {user} : TTY=pts/0 ; PWD=/home/{user} ; USER=root ; COMMAND={command}")
        }
        7..10 => {
            let job = dice.of(&["run-parts /etc/cron.hourly", "/usr/lib/sa/sa1 1 1", "test -x /usr/sbin/anacron"]);
            format!("<78>{classic} {host} CRON[{pid}]: (root) CMD ({job})")
        }
        10..13 => {
            let from = outside(dice);
            format!("<22>{stamp} {host} postfix/smtpd[{pid}]: connect from mail{}.example.net[{from}]", dice.below(3_000))
        }
        13..17 => {
            let (user, from) = (user(dice), inside(site, dice));
            let (code, action, outcome) = [
                (4624, "logged-in", "success"),
                (4624, "logged-in", "success"),
                (4625, "logon-failed", "failure"),
                (4634, "logged-out", "success"),
            ]
            .get(dice.below(4) as usize)
            .copied()
            .unwrap_or((4624, "logged-in", "success"));
            format!(
                r#"{{"@timestamp":"{stamp}","host":{{"name":"{host}"}},"event":{{"code":"{code}","action":"{action}","outcome":"{outcome}","provider":"Microsoft-Windows-Security-Auditing"}},"user":{{"name":"{user}"}},"source":{{"ip":"{from}","port":{port}}},"message":"An account was handled by the local security authority, logon type {}"}}"#,
                dice.below(11)
            )
        }
        _ => {
            let (from, size) = (outside(dice), dice.skewed(90_000));
            let path = dice.of(&["/", "/index.html", "/wp-login.php", "/aktuelles", "/formulare/antrag.pdf", "/.env", "/api/v1/status"]);
            let status = dice.of(&["200", "200", "200", "304", "404", "404", "403", "500"]);
            let stamp = at.format("%d/%b/%Y:%H:%M:%S +0000");
            format!(
                r#"<134>{classic} {host} apache2[{pid}]: {from} - - [{stamp}] "GET {path} HTTP/1.1" {status} {size} "-" "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0""#
            )
        }
    }
}
