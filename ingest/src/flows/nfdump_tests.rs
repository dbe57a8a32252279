//! What nfdump's filters become in our language, and what is said of those that are none.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_795_262_527_000);

fn table(filters: &[&str], expected: &Expect) {
    let mut out = String::new();
    for filter in filters {
        let printed = match nfdump_parse(filter, NOW) {
            Ok(pipeline) => {
                // What is printed means the same.
                let text = pipeline.to_string();
                assert_eq!(Pipeline::parse(&text, NOW).unwrap().to_string(), text, "{filter}");
                text
            }
            Err(error) => error.to_string(),
        };
        out += &format!("{filter}\n    {printed}\n");
    }
    expected.assert_eq(&out);
}

#[test]
fn filters_become_queries() {
    table(
        &[
            "",
            "any",
            "src ip 10.0.0.0/8 and dst port 3389 and bytes > 1M and proto tcp and flags S and not flags A",
            "ip 192.0.2.7",
            "host 2001:db8::1",
            "src and dst net 10.0/16",
            "src or dst ip 192.0.2.7",
            "dst net 172.16.0.0 255.240.0.0",
            "ip in [192.0.2.7 10.0.0.0/8, 2001:db8::/32]",
            "src ip in [ 192.0.2.7 ] and not dst port in [80 443 8080]",
            "port 53",
            "dst port > 1023",
            "src port <= 1023 or dst port != 22",
            "proto udp or proto 47 or proto icmp6",
            "tcp && (port 80 || port 443)",
            "proto in [tcp udp]",
            "bytes >= 64k and packets < 10 and bpp = 40",
            "bps > 10m and pps gt 100 and duration > 1000",
            "duration = 5",
            "duration <= 5",
            "flags SF and not flags R",
            "flags X",
            "flags 2",
            "tos 184",
            "in if 3 and out if 4",
            "if 3",
            "src as 64496 or dst as in [64497 64498]",
            "src mask 24",
            "vlan 100 and in vlan 7",
            "src mac 00:00:5e:00:53:23",
            "in src mac 0-0-5e-0-53-1",
            "icmp-type 8 and icmp-code 0",
            "next ip 10.0.0.1 and router ip 192.0.2.1",
            "src xip 198.51.100.1 and dst xport 443",
            "ipv6 and not icmp6",
            "not (ipv4 or port 53) # nur IPv6",
            "SRC IP 10.0.0.1 AND NOT DST PORT 80",
            "src ip 10.0.0.0/8 | top 20 source.ip by bytes",
            "tcp || udp | count by network.transport",
        ],
        &expect![[r#"

                *
            any
                *
            src ip 10.0.0.0/8 and dst port 3389 and bytes > 1M and proto tcp and flags S and not flags A
                source.ip:10.0.0.0/8 AND destination.port:3389 AND network.bytes:>=1000001 AND network.transport:tcp AND flow.tcp_flags:SYN AND NOT flow.tcp_flags:ACK
            ip 192.0.2.7
                source.ip:192.0.2.7 OR destination.ip:192.0.2.7
            host 2001:db8::1
                source.ip:2001:db8::1 OR destination.ip:2001:db8::1
            src and dst net 10.0/16
                source.ip:10.0.0.0/16 AND destination.ip:10.0.0.0/16
            src or dst ip 192.0.2.7
                source.ip:192.0.2.7 OR destination.ip:192.0.2.7
            dst net 172.16.0.0 255.240.0.0
                destination.ip:172.16.0.0/12
            ip in [192.0.2.7 10.0.0.0/8, 2001:db8::/32]
                source.ip:192.0.2.7 OR source.ip:10.0.0.0/8 OR source.ip:2001:db8::/32 OR destination.ip:192.0.2.7 OR destination.ip:10.0.0.0/8 OR destination.ip:2001:db8::/32
            src ip in [ 192.0.2.7 ] and not dst port in [80 443 8080]
                source.ip:192.0.2.7 AND NOT (destination.port:80 OR destination.port:443 OR destination.port:8080)
            port 53
                source.port:53 OR destination.port:53
            dst port > 1023
                destination.port:>=1024
            src port <= 1023 or dst port != 22
                source.port:<=1023 OR NOT destination.port:22
            proto udp or proto 47 or proto icmp6
                network.transport:udp OR network.iana_number:47 OR network.transport:ipv6-icmp
            tcp && (port 80 || port 443)
                network.transport:tcp AND (source.port:80 OR destination.port:80 OR source.port:443 OR destination.port:443)
            proto in [tcp udp]
                network.transport:tcp OR network.transport:udp
            bytes >= 64k and packets < 10 and bpp = 40
                network.bytes:>=64000 AND network.packets:<=9 AND flow.bpp:40
            bps > 10m and pps gt 100 and duration > 1000
                flow.bps:>=10000001 AND flow.pps:>=101 AND event.duration:>=1001000000
            duration = 5
                event.duration:[5000000 TO 5999999]
            duration <= 5
                event.duration:<=5999999
            flags SF and not flags R
                flow.tcp_flags:SYN AND flow.tcp_flags:FIN AND NOT flow.tcp_flags:RST
            flags X
                flow.tcp_flags:FIN AND flow.tcp_flags:SYN AND flow.tcp_flags:RST AND flow.tcp_flags:PSH AND flow.tcp_flags:ACK AND flow.tcp_flags:URG
            flags 2
                flow.tcp_flags:SYN
            tos 184
                flow.tos:184
            in if 3 and out if 4
                observer.ingress.interface.id:3 AND observer.egress.interface.id:4
            if 3
                observer.ingress.interface.id:3 OR observer.egress.interface.id:3
            src as 64496 or dst as in [64497 64498]
                source.as.number:64496 OR destination.as.number:64497 OR destination.as.number:64498
            src mask 24
                flow.src_mask:24
            vlan 100 and in vlan 7
                (network.vlan.id:100 OR observer.egress.vlan.id:100) AND network.vlan.id:7
            src mac 00:00:5e:00:53:23
                source.mac:00-00-5E-00-53-23
            in src mac 0-0-5e-0-53-1
                source.mac:00-00-5E-00-53-01
            icmp-type 8 and icmp-code 0
                flow.icmp_type:8 AND flow.icmp_code:0
            next ip 10.0.0.1 and router ip 192.0.2.1
                flow.next_hop:10.0.0.1 AND observer.ip:192.0.2.1
            src xip 198.51.100.1 and dst xport 443
                source.nat.ip:198.51.100.1 AND destination.nat.port:443
            ipv6 and not icmp6
                network.type:ipv6 AND NOT network.transport:ipv6-icmp
            not (ipv4 or port 53) # nur IPv6
                NOT (network.type:ipv4 OR source.port:53 OR destination.port:53)
            SRC IP 10.0.0.1 AND NOT DST PORT 80
                source.ip:10.0.0.1 AND NOT destination.port:80
            src ip 10.0.0.0/8 | top 20 source.ip by bytes
                source.ip:10.0.0.0/8 | top 20 source.ip by sum(network.bytes)
            tcp || udp | count by network.transport
                network.transport:tcp OR network.transport:udp | count by network.transport
        "#]],
    );
}

#[test]
fn errors_say_where_and_what_to_do() {
    table(
        &[
            "src",
            "src bytes > 5",
            "ip www.example.org",
            "ip 10.0.0.300",
            "ip 10.0.0.0/33",
            "net 10.0.0.0 255.0.255.0",
            "port http",
            "port",
            "port > 1Q",
            "bytes > 99999999T",
            "duration > 9999999999999",
            "flags Z",
            "flags",
            "proto quic",
            "ip in 10.0.0.1",
            "ip in [10.0.0.1",
            "ip in []",
            "tcp udp",
            "tcp and",
            "and tcp",
            "(tcp",
            "tcp)",
            "flows > 10",
            "source.ip:10.0.0.1",
            "mac 00:11",
            "tcp ; udp",
            "wibble 3",
        ],
        &expect![[r#"
            src
                Hier fehlt eine Bedingung, zum Beispiel „src ip 10.0.0.0/8“, „dst port 443“, „bytes > 1M“, „proto tcp“ oder „flags S“. (Stelle 3)
            src bytes > 5
                Nach „src“, „dst“, „in“ und „out“ steht etwas, das jede Seite hat: ip, net, port, as, mask, mac, if oder vlan; „bytes“ ist das nicht. (Stelle 4)
            ip www.example.org
                „www.example.org“ ist ein Name. Bitte nennen Sie die Adresse, zum Beispiel 10.20.30.40, 10.0.0.0/8 oder 2001:db8::/32. (Stelle 3)
            ip 10.0.0.300
                „10.0.0.300“ ist keine Adresse und kein Netz, zum Beispiel 10.20.30.40, 10.0.0.0/8 oder 2001:db8::/32. (Stelle 3)
            ip 10.0.0.0/33
                „10.0.0.0/33“ ist keine Adresse und kein Netz, zum Beispiel 10.20.30.40, 10.0.0.0/8 oder 2001:db8::/32. (Stelle 3)
            net 10.0.0.0 255.0.255.0
                Diese Netzmaske hat Lücken. Bitte schreiben Sie das Netz als 10.0.0.0/8. (Stelle 13)
            port http
                „http“ ist keine Zahl, zum Beispiel 443, 64k oder 1M. (Stelle 5)
            port
                Hier fehlt eine Zahl, zum Beispiel 443, 64k oder 1M. (Stelle 4)
            port > 1Q
                „1Q“ ist keine Zahl, zum Beispiel 443, 64k oder 1M. (Stelle 7)
            bytes > 99999999T
                Diese Zahl ist zu groß. (Stelle 8)
            duration > 9999999999999
                Diese Zahl ist zu groß. (Stelle 11)
            flags Z
                TCP-Flags sind die Buchstaben A, S, F, R, P, U, E, C oder X für alle, zum Beispiel flags S oder flags SA. (Stelle 6)
            flags
                Nach „flags“ fehlen die Buchstaben, zum Beispiel flags S. (Stelle 5)
            proto quic
                Das Protokoll „quic“ ist nicht bekannt. Zum Beispiel tcp, udp, icmp, icmp6 oder eine Nummer. (Stelle 6)
            ip in 10.0.0.1
                Nach „in“ steht eine Liste in eckigen Klammern, zum Beispiel port in [ 80 443 ]. (Stelle 6)
            ip in [10.0.0.1
                Diese Liste wird nicht geschlossen. Bitte ergänzen Sie „]“. (Stelle 6)
            ip in []
                Die Liste ist leer. Bitte nennen Sie mindestens einen Wert. (Stelle 6)
            tcp udp
                Vor „udp“ fehlt „and“ oder „or“. (Stelle 4)
            tcp and
                Hier fehlt eine Bedingung, zum Beispiel „src ip 10.0.0.0/8“, „dst port 443“, „bytes > 1M“, „proto tcp“ oder „flags S“. (Stelle 7)
            and tcp
                Vor „and“ fehlt eine Bedingung, zum Beispiel „src ip 10.0.0.0/8“, „dst port 443“, „bytes > 1M“, „proto tcp“ oder „flags S“. (Stelle 0)
            (tcp
                Diese Klammer wird nicht geschlossen. Bitte ergänzen Sie „)“. (Stelle 0)
            tcp)
                Diese schließende Klammer hat keine öffnende. Bitte entfernen Sie sie. (Stelle 3)
            flows > 10
                „flows“ zählt zusammengefasste Flüsse. Bitte zählen Sie mit „| count by source.ip“. (Stelle 0)
            source.ip:10.0.0.1
                Das ist die Anfragesprache, kein nfdump-Filter. Bitte schalten Sie um, oder schreiben Sie zum Beispiel „src ip 10.0.0.0/8“. (Stelle 0)
            mac 00:11
                Eine Hardwareadresse hat die Form 00:11:22:aa:bb:cc. (Stelle 4)
            tcp ; udp
                Das Zeichen „;“ kennt der Filter nicht. (Stelle 4)
            wibble 3
                „wibble“ kennt der Filter nicht. Möglich ist zum Beispiel „src ip 10.0.0.0/8“, „dst port 443“, „bytes > 1M“, „proto tcp“ oder „flags S“. (Stelle 0)
        "#]],
    );
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(text in "((src|dst|in|ip|port|bytes|[0-9]{1,3}|flags|S|and|or|not|[(\\[\\])><=!&|]|10\\.0\\.0\\.0/8|net|if|proto|tcp) ?){0,12}|.{0,30}") {
        if let Ok(pipeline) = nfdump_parse(&text, NOW) {
            let printed = pipeline.to_string();
            prop_assert_eq!(Pipeline::parse(&printed, NOW).unwrap().to_string(), printed);
        }
    }

    /// What a filter means by the words of its manual page, without our query language between.
    #[test]
    fn a_filter_finds_what_its_words_say(
        ends in (0u8..4, 0u8..4), ports in (prop::sample::select(vec![22u16, 80, 3_389]), prop::sample::select(vec![22u16, 80, 3_389])),
        bytes in 0u64..3_000, flags in 0u8..64, millis in 0i64..20, wanted in (0u8..4, prop::sample::select(vec![22u16, 80, 3_389]), 0u64..3, 0i64..20),
    ) {
        use crate::flow::FlowRecord;
        let (start, end) = (Timestamp(0), Timestamp(millis));
        let host = |n: u8| IpAddr::from([10, 0, 0, n]);
        let flow = FlowRecord {
            src_ip: host(ends.0), dst_ip: host(ends.1), src_port: ports.0, dst_port: ports.1, bytes, tcp_flags: flags, start, end, protocol: 6, ..FlowRecord::NONE
        };
        let (n, port, kilo, length) = wanted;
        let sites = crate::body::SiteTable::default();
        let check = |filter: String, expected: bool| {
            let query = nfdump_parse(&filter, NOW).unwrap().query;
            assert_eq!(super::super::filter::FlowFilter::new(&query, &sites).matches(&flow), expected, "{filter}: {query}");
        };
        let either = ends.0 == n || ends.1 == n;
        check(format!("ip 10.0.0.{n}"), either);
        check(format!("not ip 10.0.0.{n}"), !either);
        check(format!("src and dst ip 10.0.0.{n}"), ends.0 == n && ends.1 == n);
        check(format!("src ip 10.0.0.{n} or dst port {port}"), ends.0 == n || ports.1 == port);
        check(format!("port {port} and bytes > {kilo}k"), (ports.0 == port || ports.1 == port) && bytes > kilo * 1_000);
        check("flags S and not flags A".into(), flags & 0x02 != 0 && flags & 0x10 == 0);
        check("flags SA".into(), flags & 0x12 == 0x12);
        check(format!("duration = {length}"), millis == length);
        check(format!("duration < {length} or duration > {length}"), millis != length);
        check(format!("src port in [22 {port}] and not dst port != {port}"), (ports.0 == 22 || ports.0 == port) && ports.1 == port);
    }
}
