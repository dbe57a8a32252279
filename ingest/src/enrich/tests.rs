//! What becomes of whole lines: decoded and enriched as the pipeline does it, and once more as the store does it.

use std::net::Ipv4Addr;

use expect_test::{Expect, expect};

use super::sample::{asn, country, mmdb};
use super::*;
use crate::body::{Site, SiteId};
use crate::db::Db;
use crate::decode::{Options, decode};
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use crate::pipeline::{Batch, Consumer as _};

const SITE: SiteId = SiteId(crate::id::Ulid(7));

fn all() -> Settings {
    let (lease_term_hours, lease_days) = (24, 90);
    Settings { community_id: true, direction: true, user_agent: true, leases: true, lease_term_hours, lease_days, geo_files: vec![] }
}

fn sites() -> SiteTable {
    let site = Site {
        id: SITE,
        name: "rathaus".into(),
        body: None,
        prefixes: vec!["10.20.0.0/16".parse().unwrap()],
        certificates: vec![],
        tokens: vec![],
    };
    SiteTable::new(vec![site])
}

fn frame(seq: u64, line: &str) -> Frame {
    let frame = NewFrame {
        // 2026-03-14T20:00:00Z
        received_at: Timestamp(1_773_518_400_000),
        site: SITE,
        peer: Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Tcp,
        kind: FrameKind::of_line(line.as_bytes()),
        marks: Marks::default(),
        payload: line.as_bytes().into(),
    };
    Frame { seq: Seq(seq), frame }
}

fn event(seq: u64, line: &str) -> Event {
    decode(&frame(seq, line), &Options::in_zone(chrono_tz::UTC)).unwrap()
}

/// What the lines have more than before, one a line.
fn check(enrichment: &Enrichment, lines: &[&str], expected: Expect) {
    let (sites, mut shown) = (sites(), String::new());
    let mut first = Vec::new();
    for (line, seq) in lines.iter().zip(1..) {
        let mut enriched = event(seq, line);
        let before = enriched.fields().count();
        enrichment.learn(&enriched);
        enrichment.enrich(&mut enriched, &sites);
        let added: Vec<String> =
            enriched.fields().skip(before).map(|(field, value)| format!("{}={}", field.name(), value.text())).collect();
        shown += &format!("{}\n", if added.is_empty() { "-".into() } else { added.join(" ") });
        first.push(enriched);
    }
    for ((line, seq), first) in lines.iter().zip(1..).zip(first) {
        let mut again = event(seq, line);
        enrichment.enrich(&mut again, &sites);
        assert_eq!(again, first, "decoded again");
    }
    expected.assert_eq(&shown);
}

#[test]
fn what_is_added_to_lines() {
    let dir = tempfile::tempdir().unwrap();
    let (countries, asns) = (dir.path().join("c.mmdb"), dir.path().join("a.mmdb"));
    let net = "203.0.113.0".parse().unwrap();
    std::fs::write(&countries, mmdb("Test-Country", &[(net, 24, country("AT", "Austria", "Österreich"))])).unwrap();
    std::fs::write(&asns, mmdb("Test-ASN", &[(net, 24, asn(64_496, "Beispielnetz"))])).unwrap();
    let enrichment = Enrichment::new(Settings { geo_files: vec![countries, asns], ..all() }, LeaseBook::default());
    check(
        &enrichment,
        &[
            "<4>Mar 14 07:59:58 fw kernel: FW: IN=eth1 OUT=eth0 SRC=10.20.1.5 DST=203.0.113.66 LEN=60 TTL=63 PROTO=TCP SPT=51353 DPT=443",
            "<4>Mar 14 07:59:58 fw kernel: FW: IN=eth0 OUT=eth1 SRC=203.0.113.66 DST=10.20.1.5 LEN=60 TTL=63 PROTO=TCP SPT=443 DPT=51353",
            "<4>Mar 14 07:59:58 fw kernel: FW: IN=eth0 OUT=eth1 SRC=203.0.113.66 DST=10.20.1.5 LEN=84 TTL=63 PROTO=ICMP TYPE=8 CODE=0 ID=1 SEQ=1",
            "<4>Mar 14 07:59:58 fw kernel: FW: IN=eth0 OUT= SRC=10.20.9.9 DST=10.20.1.5 LEN=60 TTL=63 PROTO=TCP SPT=1 DPT=2",
            r#"{"@timestamp":"2026-03-14T07:59:58Z","message":"x","network":{"community_id":"1:their=","direction":"ingress","transport":"tcp"},"source":{"ip":"203.0.113.5","port":1,"geo":{"country_iso_code":"DE"}},"destination":{"ip":"10.20.1.1","port":2}}"#,
            r#"<30>Mar 14 07:59:58 www apache: 203.0.113.9 - - [14/Mar/2026:07:59:58 +0000] "GET /x HTTP/1.1" 200 12 "-" "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)""#,
            "<38>Mar 14 07:59:58 srv sshd[2]: Failed password for root from 198.51.100.5 port 4711 ssh2",
            "no syslog at all",
        ],
        expect![[r#"
            network.community_id=1:rkFM19QBggOHwr6NX4Ng1cczKs8= network.direction=outbound destination.geo.country_iso_code=AT destination.geo.country_name=Österreich destination.as.organization.name=Beispielnetz destination.as.number=64496
            network.community_id=1:rkFM19QBggOHwr6NX4Ng1cczKs8= network.direction=inbound source.geo.country_iso_code=AT source.geo.country_name=Österreich source.as.organization.name=Beispielnetz source.as.number=64496
            network.community_id=1:iDHQPKP3KC2lEYsHYxF7eVrsEiU= network.direction=inbound source.geo.country_iso_code=AT source.geo.country_name=Österreich source.as.organization.name=Beispielnetz source.as.number=64496
            network.community_id=1:qfT9o05czRLg6xB9z+p/G1UyG1Y=
            -
            source.geo.country_iso_code=AT source.geo.country_name=Österreich source.as.organization.name=Beispielnetz source.as.number=64496 user_agent.name=Googlebot user_agent.class=bot
            -
            -
        "#]],
    );
    let off = Enrichment::default();
    check(
        &off,
        &["<4>Mar 14 07:59:58 fw kernel: FW: IN=eth1 OUT=eth0 SRC=10.20.1.5 DST=203.0.113.66 PROTO=TCP SPT=51353 DPT=443"],
        expect![[r#"
        -
    "#]],
    );
}

#[test]
fn a_machines_name_is_that_of_the_time() {
    let enrichment = Enrichment::new(Settings { community_id: false, direction: false, ..all() }, LeaseBook::default());
    let ssh = |time: &str| format!("<38>Mar 14 {time} srv sshd[2]: Failed password for root from 10.20.1.3 port 4711 ssh2");
    let (early, first, between, second) = (ssh("08:00:00"), ssh("14:00:00"), ssh("15:30:00"), ssh("17:00:00"));
    check(
        &enrichment,
        &[
            &early,
            "<30>Mar 14 09:00:00 gw dhcpd[1]: DHCPACK on 10.20.1.3 to 00:11:22:33:44:55 (pc-7) via eth0",
            &first,
            "<30>Mar 14 15:00:00 gw dhcpd[1]: DHCPRELEASE of 10.20.1.3 from 00:11:22:33:44:55 (pc-7) via eth0 (found)",
            &between,
            "<30>Mar 14 16:00:00 gw dnsmasq-dhcp[1]: DHCPACK(eth0) 10.20.1.3 00:11:22:33:44:66 laptop-4",
            &second,
            "<30>Mar 14 16:10:00 gw kea-dhcp4[1]: DHCP4_LEASE_ALLOC [hwtype=1 00:11:22:33:44:77], cid=[no info], tid=0x1: lease 10.20.1.3 has been allocated for 600 seconds",
            &ssh("16:15:00"),
            &ssh("17:00:01"),
            "<4>Mar 14 16:05:00 fw kernel: FW: IN=eth1 OUT=eth0 SRC=10.20.1.9 DST=10.20.1.3 PROTO=TCP SPT=1 DPT=2",
        ],
        expect![[r#"
            -
            -
            source.domain=pc-7
            -
            -
            -
            source.domain=laptop-4
            -
            -
            -
            destination.domain=laptop-4
        "#]],
    );
}

#[test]
fn the_store_keeps_leases_and_their_place() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
    let enrichment = Enrichment::new(all(), LeaseBook::default());
    let mut consumer = LeaseConsumer::new(db.clone(), enrichment.clone(), Seq(5)).unwrap();
    assert_eq!(consumer.cursor(), Seq(5), "as said, where it never ran");
    enrichment.learn(&event(6, "<30>Mar 14 09:00:00 gw dhcpd[1]: DHCPACK on 10.20.1.3 to 00:11:22:33:44:55 (pc-7) via eth0"));
    enrichment.learn(&event(7, "<30>Mar 14 15:00:00 gw dhcpd[1]: DHCPRELEASE of 10.20.1.3 from 00:11:22:33:44:55 (pc-7) via eth0"));
    consumer.apply(&Batch { first: Seq(6), last: Seq(9), ..Batch::default() }).unwrap();
    assert_eq!(consumer.cursor(), Seq(5));
    let now = Timestamp(1_773_518_400_000);
    consumer.tick(now).unwrap();
    assert_eq!(consumer.cursor(), Seq(9));
    let book = db.read(lease_load).unwrap();
    let host = |at: i64, seq| book.host(SITE, [10, 20, 1, 3].into(), Timestamp(at), Seq(seq)).map(|host| host.to_string());
    // 14:00 and 15:30 of that day.
    assert_eq!(host(1_773_496_800_000, 8), Some("pc-7".into()));
    assert_eq!(host(1_773_502_200_000, 8), None);
    assert_eq!(host(1_773_502_200_000, 6), Some("pc-7".into()));
    assert_eq!(LeaseConsumer::new(db.clone(), enrichment.clone(), Seq(0)).unwrap().cursor(), Seq(9));

    consumer.tick(now.plus(92 * Timestamp::DAY)).unwrap();
    assert!(db.read(lease_load).unwrap().is_empty(), "too old");
    assert_eq!(enrichment.leases_len(), 0);
}
