//! From a line of a log to its flows, and from flows to the lines that tell of them: queries by what both know, around the
//! time of the one.

use std::net::IpAddr;

use ingest::event::Event;
use ingest::fields;
use ingest::flows::ask::Tuple;
use ingest::time::Timestamp;

use crate::show;
use crate::terms::term;

/// Devices' clocks differ by this, and a flow is reported when it is over.
const AROUND_MILLIS: i64 = 15 * Timestamp::MINUTE;

/// The search for a line's flows; `None` where it names nothing that flows know. Flows have real addresses: an end that is
/// hidden in the line is left aside.
pub(in crate::web::pages) fn of_event(event: &Event, hidden: &dyn Fn(IpAddr) -> bool) -> Option<String> {
    let text = |field| event.get(field).map(|value| value.text().into_owned());
    let address = |field| text(field).filter(|text| text.parse().is_ok_and(|address| !hidden(address)));
    let query = match (address(fields::SOURCE_IP), address(fields::DESTINATION_IP), text(fields::NETWORK_COMMUNITY_ID)) {
        (Some(source), Some(destination), _) => {
            let (from_port, to_port) = (text(fields::SOURCE_PORT), text(fields::DESTINATION_PORT));
            // Both ways: what was asked, and what was answered.
            let one = |src: &str, src_port: Option<&String>, dst: &str, dst_port: Option<&String>| {
                let mut terms = vec![term("source.ip", src), term("destination.ip", dst)];
                terms.extend(src_port.map(|port| term("source.port", port)));
                terms.extend(dst_port.map(|port| term("destination.port", port)));
                format!("({})", terms.join(" AND "))
            };
            let there = one(&source, from_port.as_ref(), &destination, to_port.as_ref());
            format!("{there} OR {}", one(&destination, to_port.as_ref(), &source, from_port.as_ref()))
        }
        (_, _, Some(id)) => term("network.community_id", &id),
        (Some(one), None, None) | (None, Some(one), None) => either(&one),
        (None, None, None) => either(&address(fields::HOST_IP)?),
    };
    let (from, to) = (event.timestamp.plus(-AROUND_MILLIS), event.timestamp.plus(AROUND_MILLIS));
    Some(show::link("/fluesse", &[("q", &query), ("von", &from.rfc3339()), ("bis", &to.rfc3339())]))
}

fn either(address: &str) -> String {
    format!("{} OR {}", term("source.ip", address), term("destination.ip", address))
}

/// The search for the lines that tell of a connection.
pub(super) fn events_of(tuple: &Tuple, first: Timestamp, last: Timestamp) -> String {
    let (client, server) = (tuple.client.to_string(), tuple.server.to_string());
    let one = |src: &str, dst: &str| format!("({} AND {})", term("source.ip", src), term("destination.ip", dst));
    let query = format!("{} OR {}", one(&client, &server), one(&server, &client));
    let (from, to) = (first.plus(-AROUND_MILLIS), last.plus(AROUND_MILLIS));
    show::link("/suche", &[("q", &query), ("von", &from.rfc3339()), ("bis", &to.rfc3339())])
}

/// A connection as its page's address says it.
pub(super) fn tuple_pairs(tuple: &Tuple) -> [(&'static str, String); 5] {
    [
        ("a", tuple.client.to_string()),
        ("ap", tuple.client_port.to_string()),
        ("b", tuple.server.to_string()),
        ("bp", tuple.server_port.to_string()),
        ("p", tuple.protocol.to_string()),
    ]
}

/// The connection that an address names; `None` where it names none.
pub(super) fn tuple_of(query: impl Fn(&str) -> String) -> Option<Tuple> {
    Some(Tuple {
        client: query("a").parse().ok()?,
        client_port: query("ap").parse().ok()?,
        server: query("b").parse().ok()?,
        server_port: query("bp").parse().ok()?,
        protocol: query("p").parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::body::SITE_UNKNOWN;
    use ingest::frame::{Seq, Transport};

    use super::*;

    #[test]
    fn a_line_leads_to_its_flows_by_what_it_knows() {
        let mut table = String::new();
        for given in [
            &[][..],
            &[(fields::USER_NAME, "root")],
            &[(fields::SOURCE_IP, "10.0.0.1")],
            &[(fields::SOURCE_IP, "10.0.0.1"), (fields::DESTINATION_IP, "192.0.2.7")],
            &[
                (fields::SOURCE_IP, "10.0.0.1"),
                (fields::SOURCE_PORT, "50000"),
                (fields::DESTINATION_IP, "192.0.2.7"),
                (fields::DESTINATION_PORT, "443"),
            ],
            &[(fields::NETWORK_COMMUNITY_ID, "1:x=")],
            &[(fields::HOST_IP, "10.0.0.9")],
            // An end that is hidden.
            &[(fields::SOURCE_IP, "10.99.0.1"), (fields::DESTINATION_IP, "192.0.2.7")],
            &[(fields::SOURCE_IP, "10.99.0.1")],
        ] {
            let peer = std::net::IpAddr::from([192, 0, 2, 1]);
            let mut event = Event::new(Seq(1), Timestamp(0), SITE_UNKNOWN, peer, Transport::Udp, b"x");
            event.timestamp = Timestamp(1_795_262_400_000);
            given.iter().for_each(|(field, value)| event.push_text(*field, *value));
            table += &format!(
                "{}\n",
                of_event(&event, &|address| address == IpAddr::from([10, 99, 0, 1]))
                    .map_or("–".into(), |href| href.replace("%22", "\"").replace("%20", " ").replace("%3A", ":"))
            );
        }
        expect![[r#"
            –
            –
            /fluesse?q=source.ip:"10.0.0.1" OR destination.ip:"10.0.0.1"&von=2026-11-21T11:45:00.000Z&bis=2026-11-21T12:15:00.000Z
            /fluesse?q=%28source.ip:"10.0.0.1" AND destination.ip:"192.0.2.7"%29 OR %28source.ip:"192.0.2.7" AND destination.ip:"10.0.0.1"%29&von=2026-11-21T11:45:00.000Z&bis=2026-11-21T12:15:00.000Z
            /fluesse?q=%28source.ip:"10.0.0.1" AND destination.ip:"192.0.2.7" AND source.port:"50000" AND destination.port:"443"%29 OR %28source.ip:"192.0.2.7" AND destination.ip:"10.0.0.1" AND source.port:"443" AND destination.port:"50000"%29&von=2026-11-21T11:45:00.000Z&bis=2026-11-21T12:15:00.000Z
            /fluesse?q=network.community_id:"1:x%3D"&von=2026-11-21T11:45:00.000Z&bis=2026-11-21T12:15:00.000Z
            /fluesse?q=source.ip:"10.0.0.9" OR destination.ip:"10.0.0.9"&von=2026-11-21T11:45:00.000Z&bis=2026-11-21T12:15:00.000Z
            /fluesse?q=source.ip:"192.0.2.7" OR destination.ip:"192.0.2.7"&von=2026-11-21T11:45:00.000Z&bis=2026-11-21T12:15:00.000Z
            –
        "#]].assert_eq(&table);
    }

    #[test]
    fn a_connection_is_in_its_address() {
        let tuple =
            Tuple { client: [10, 0, 0, 1].into(), client_port: 1, server: "2001:db8::1".parse().unwrap(), server_port: 443, protocol: 6 };
        let pairs = tuple_pairs(&tuple);
        let of = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()).unwrap_or_default();
        assert_eq!(tuple_of(of), Some(tuple));
        assert_eq!(tuple_of(|_| "x".into()), None);
    }
}
