//! The headers that devices write, and a few that only look like one.

use expect_test::expect;

use super::event_of;
use crate::event::{Defect, Event};
use crate::fields::{self, FieldId};
use crate::frame::FrameKind;

const LINES: &[&str] = &[
    "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on /dev/pts/8",
    "<34>Oct 11 22:14:15.123 mymachine su[12]: text",
    "<34>Oct 11 2025 22:14:15 mymachine su[12]: text",
    "<34>Oct  1 22:14:15 2025 mymachine su[12]: text",
    "<34>2026-03-14T07:59:58+01:00 mymachine su[12]: text",
    "<34>2026-03-14T07:59:58.123456Z mymachine su: text",
    "<34>2026-03-14 07:59:58 mymachine su[12]: text",
    "<34>su[12]: text without stamp",
    "<34>text without anything",
    "<34>Oct 11 22:14:15 su[12]: no host",
    "<189>29: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured from console by vty2 (10.34.195.36)",
    "<189>31: sw1: .Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured",
    "<189>31: sw1: Mar  1 2026 18:48:50.483 CET: %SYS-5-CONFIG_I: Configured",
    "<189>000031: 000029: *Mar  1 18:48:50.483: %SYS-5-CONFIG_I: Configured",
    "<189>Mar 14 2026 07:59:58: %ASA-6-302013: Built outbound TCP connection",
    "<189>Mar 14 2026 07:59:58 asa01 : %ASA-6-302013: Built outbound TCP connection",
    "<189>:Mar 14 07:59:58 CET: %ASA-session-6-302013: Built outbound",
    "<189>%ASA-6-302013: Built outbound TCP",
    "<30>2026:03:14-07:59:58 utm-rathaus ulogd[4711]: id=\"2001\" severity=\"info\" sys=\"SecureNet\"",
    "2026:03:14-07:59:58 utm-rathaus httpproxy[4711]: id=\"0001\"",
    "<14>Mar 14 07:59:58 LANCOM-1781 PACKET_ALERT: Dst: 10.0.0.1:80",
    "<1>2026-03-14T07:59:58.000+01:00 lancom - - - - text",
    "<189>Mar 14 07:59:58 fe80::1 app: ipv6 host",
    "<189>Mar 14 07:59:58 [2001:db8::1] app[3]: bracketed ipv6 host",
    "<189>Mar 14 07:59:58 host.example.de/10.1.2.3 app[3]: syslog-ng chain",
    "<189>Mar 14 07:59:58 src@host.example.de app[3]: syslog-ng chain",
    "<013>Mar 14 07:59:58 h app: octal-ish priority",
    "< 34>Mar 14 07:59:58 h app: blank priority",
    "<>Mar 14 07:59:58 h app: empty priority",
    "<999>Mar 14 07:59:58 h app: big priority",
    "<34>1 2026-03-14T07:59:58Z h app 12 ID47 [ex@32473 iut=\"3\"] msg",
    "<34>1 2026-03-14T07:59:58Z h app 12 ID47 [ex@32473 iut=\"3\"]msg",
    "<34>1 2026-03-14T07:59:58 h app 12 ID47 - no zone",
    "<34>1 Mar 14 07:59:58 h app[1]: bsd stamp in 5424",
    "<34>1 - - - - - - nothing",
    "<34>1 2026-03-14T07:59:58Z h app - - -",
    "Mar 14 07:59:58 h app[3]: file line",
    "2026-03-14T07:59:58.123456+01:00 h app[3]: file line iso",
    "14.03.2026 07:59:58 h app[3]: german date",
    "<134>14/03/2026 07:59:58 h app[3]: slash date",
    "<134>14 Mar 2026 07:59:58 h app[3]: day first",
    "<134>Sat Mar 14 07:59:58 2026 h app[3]: weekday",
    "<134>Sat, 14 Mar 2026 07:59:58 +0100 h app[3]: rfc2822",
    "<134>1773471598 h app[3]: epoch seconds",
    "<134>1773471598.123 h app[3]: epoch",
    "<134>Mrz 14 07:59:58 h app[3]: german month",
    "<134>Mär 14 07:59:58 h app[3]: german month",
    "<134>Mar 14 07:59:58 h app[3] no colon",
    "<134>Mar 14 07:59:58 h message repeated 3 times: [ app[3]: x]",
    "<134>Mar 14 07:59:58 h last message repeated 3 times",
    "<134>Mar 14 07:59:58 MSG: h app",
    "<134>Mar 14 07:59:58 h 1 2026-03-14T07:59:58Z h2 app - - - twice",
    "<134>Mar 14 07:59:58 10.1.2.3 <30>Mar 14 07:59:58 h app: nested priority",
    "<134>Mar 14 08:00:00 collector Mar 14 07:59:58 h app[1]: relay",
    "<134>2026-03-14T07:59:58+0100 h app: t",
    "<134>2026-03-14T07:59:58,123+01:00 h app: t",
    "<134>2026 Mar 14 07:59:58 h app: year first",
    "<134>2026 Mar 14 07:59:58.123 CET h app: year first zone",
    "<134>Mar 14 07:59:58 CET h app: zone",
    "<134>Mar 14 07:59:58 h app[3][4]: two brackets",
    "<134>Mar 14 07:59:58 h /usr/sbin/cron[3]: path",
    "<134>Mar 14 07:59:58 h app(pam_unix)[3]: parens",
    "<134>Mar 14 07:59:58 h app: #011tab octal #303#274",
    "<134>Mar 14 07:59:58 h CRON[811]: (root) CMD",
    "<134>Mar 14 07:59:58 h docker/nginx/abc123[811]: m",
    "<134>Mar 14 07:59:58  h  app: two blanks",
    "<134>Mar 14 07:59:58 h app [3]: blank before pid",
    "<134>mar 14 07:59:58 h app[3]: lower month",
    "<134>Jan 01 1970 00:00:05 h app: dead clock",
    "<134>2026-03-14T07:59:58.123456789Z h app: nanos",
    "<134>2026-03-14T07:59:58.123Z: h app: colon after stamp",
    "<13> Mar 14 07:59:58 10.0.0.1 00435 ports: port 1 is now on-line",
    "<4>Mar 14 07:59:58 UDM-Pro UDM-Pro kernel: [WAN_IN-B-4000000003]IN=eth8 OUT=br0",
    "<30>Mar 14 07:59:58 (\"U7PG2,18e829000000,v4.0.66.10832\") hostapd: ath1: STA 02:00:00:00:00:01 IEEE 802.11: associated",
    "<30>Mar 14 07:59:58 U7PG2,18e829000000,v4.0.66.10832: hostapd: ath1: STA 02:00:00:00:00:01 IEEE 802.11: associated",
    "#001#002<34>Mar 14 07:59:58 h app[3]: octal junk before the priority",
    "\u{1}\u{1}<34>Mar 14 07:59:58 h app[3]: control characters before the priority",
    "#100 things happened",
    "<34>Mar 14 07:59:58 CET 2026 h app: zone, then year",
    "<34>Nov 22 23:30:00 UTC h app: a zone without a year",
    "<134>Mär 14 07:59:58 h app[3]: ",
    "<38>Mar 14 07:59:58 h sshd[7]: message repeated 2 times: [ Failed password for root from 203.0.113.5 port 4711 ssh2]",
    "GET/POST something is no host",
    "1773471598.123 5 192.0.2.1 TCP_MISS/200 is no header",
];

/// `time | host | app | pid | defects | message`.
fn row(event: &Event) -> String {
    let text = |field: FieldId| event.get(field).map(|value| value.text().into_owned()).unwrap_or_default();
    let defects: Vec<_> = event.defects.iter().map(Defect::name).collect();
    let message: String = event.message().chars().take(48).collect();
    let created = text(fields::EVENT_CREATED);
    let created = if created.is_empty() { created } else { format!(" (written {created})") };
    format!(
        "   {}{created} | {} | {} | {} | {} | {message}\n",
        event.timestamp,
        text(fields::HOST_NAME),
        text(fields::PROCESS_NAME),
        text(fields::PROCESS_PID),
        defects.join(" ")
    )
}

#[test]
fn every_header_is_read() {
    let table: String =
        LINES.iter().map(|line| format!("{}\n{}", line.escape_debug(), row(&event_of(FrameKind::Line, line.as_bytes())))).collect();
    expect![[r#"
        <34>Oct 11 22:14:15 mymachine su: \'su root\' failed for lonvick on /dev/pts/8
           2025-10-11T20:14:15.000Z | mymachine | su |  | no_year | 'su root' failed for lonvick on /dev/pts/8
        <34>Oct 11 22:14:15.123 mymachine su[12]: text
           2025-10-11T20:14:15.123Z | mymachine | su | 12 | no_year | text
        <34>Oct 11 2025 22:14:15 mymachine su[12]: text
           2025-10-11T20:14:15.000Z | mymachine | su | 12 |  | text
        <34>Oct  1 22:14:15 2025 mymachine su[12]: text
           2025-10-01T20:14:15.000Z | mymachine | su | 12 |  | text
        <34>2026-03-14T07:59:58+01:00 mymachine su[12]: text
           2026-03-14T06:59:58.000Z | mymachine | su | 12 |  | text
        <34>2026-03-14T07:59:58.123456Z mymachine su: text
           2026-03-14T07:59:58.123Z | mymachine | su |  |  | text
        <34>2026-03-14 07:59:58 mymachine su[12]: text
           2026-03-14T06:59:58.000Z | mymachine | su | 12 |  | text
        <34>su[12]: text without stamp
           2026-03-14T07:00:00.000Z |  | su | 12 | bad_timestamp no_host | text without stamp
        <34>text without anything
           2026-03-14T07:00:00.000Z |  |  |  | bad_timestamp no_host | text without anything
        <34>Oct 11 22:14:15 su[12]: no host
           2025-10-11T20:14:15.000Z |  | su | 12 | no_year no_host | no host
        <189>29: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured from console by vty2 (10.34.195.36)
           2026-03-14T07:00:00.000Z |  |  |  | bad_timestamp no_host unsure_clock | %SYS-5-CONFIG_I: Configured from console by vty2
        <189>31: sw1: .Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured
           2026-03-01T18:48:50.483Z | sw1 |  |  | no_year | %SYS-5-CONFIG_I: Configured
        <189>31: sw1: Mar  1 2026 18:48:50.483 CET: %SYS-5-CONFIG_I: Configured
           2026-03-01T17:48:50.483Z | sw1 |  |  |  | %SYS-5-CONFIG_I: Configured
        <189>000031: 000029: *Mar  1 18:48:50.483: %SYS-5-CONFIG_I: Configured
           2026-03-14T07:00:00.000Z |  |  |  | bad_timestamp no_host unsure_clock | %SYS-5-CONFIG_I: Configured
        <189>Mar 14 2026 07:59:58: %ASA-6-302013: Built outbound TCP connection
           2026-03-14T06:59:58.000Z |  |  |  | no_host | %ASA-6-302013: Built outbound TCP connection
        <189>Mar 14 2026 07:59:58 asa01 : %ASA-6-302013: Built outbound TCP connection
           2026-03-14T06:59:58.000Z | asa01 |  |  |  | %ASA-6-302013: Built outbound TCP connection
        <189>:Mar 14 07:59:58 CET: %ASA-session-6-302013: Built outbound
           2026-03-14T06:59:58.000Z |  |  |  | no_year no_host | %ASA-session-6-302013: Built outbound
        <189>%ASA-6-302013: Built outbound TCP
           2026-03-14T07:00:00.000Z |  |  |  | bad_timestamp no_host | %ASA-6-302013: Built outbound TCP
        <30>2026:03:14-07:59:58 utm-rathaus ulogd[4711]: id=\"2001\" severity=\"info\" sys=\"SecureNet\"
           2026-03-14T06:59:58.000Z | utm-rathaus | ulogd | 4711 |  | id="2001" severity="info" sys="SecureNet"
        2026:03:14-07:59:58 utm-rathaus httpproxy[4711]: id=\"0001\"
           2026-03-14T06:59:58.000Z | utm-rathaus | httpproxy | 4711 |  | id="0001"
        <14>Mar 14 07:59:58 LANCOM-1781 PACKET_ALERT: Dst: 10.0.0.1:80
           2026-03-14T06:59:58.000Z | LANCOM-1781 | PACKET_ALERT |  | no_year | Dst: 10.0.0.1:80
        <1>2026-03-14T07:59:58.000+01:00 lancom - - - - text
           2026-03-14T06:59:58.000Z | lancom |  |  |  | - - - - text
        <189>Mar 14 07:59:58 fe80::1 app: ipv6 host
           2026-03-14T06:59:58.000Z | fe80::1 | app |  | no_year | ipv6 host
        <189>Mar 14 07:59:58 [2001:db8::1] app[3]: bracketed ipv6 host
           2026-03-14T06:59:58.000Z | 2001:db8::1 | app | 3 | no_year | bracketed ipv6 host
        <189>Mar 14 07:59:58 host.example.de/10.1.2.3 app[3]: syslog-ng chain
           2026-03-14T06:59:58.000Z | host.example.de | app | 3 | no_year | syslog-ng chain
        <189>Mar 14 07:59:58 src@host.example.de app[3]: syslog-ng chain
           2026-03-14T06:59:58.000Z | host.example.de | app | 3 | no_year | syslog-ng chain
        <013>Mar 14 07:59:58 h app: octal-ish priority
           2026-03-14T06:59:58.000Z | h | app |  | no_year | octal-ish priority
        < 34>Mar 14 07:59:58 h app: blank priority
           2026-03-14T07:00:00.000Z |  |  |  | no_header | < 34>Mar 14 07:59:58 h app: blank priority
        <>Mar 14 07:59:58 h app: empty priority
           2026-03-14T06:59:58.000Z | h | app |  | bad_priority no_year | empty priority
        <999>Mar 14 07:59:58 h app: big priority
           2026-03-14T06:59:58.000Z | h | app |  | bad_priority no_year | big priority
        <34>1 2026-03-14T07:59:58Z h app 12 ID47 [ex@32473 iut=\"3\"] msg
           2026-03-14T07:59:58.000Z | h | app | 12 |  | msg
        <34>1 2026-03-14T07:59:58Z h app 12 ID47 [ex@32473 iut=\"3\"]msg
           2026-03-14T07:59:58.000Z | h | app | 12 |  | msg
        <34>1 2026-03-14T07:59:58 h app 12 ID47 - no zone
           2026-03-14T06:59:58.000Z | h | app | 12 |  | no zone
        <34>1 Mar 14 07:59:58 h app[1]: bsd stamp in 5424
           2026-03-14T06:59:58.000Z | h | app | 1 | no_year | bsd stamp in 5424
        <34>1 - - - - - - nothing
           2026-03-14T07:00:00.000Z |  |  |  | bad_timestamp no_host | nothing
        <34>1 2026-03-14T07:59:58Z h app - - -
           2026-03-14T07:59:58.000Z | h | app |  |  | 
        Mar 14 07:59:58 h app[3]: file line
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | file line
        2026-03-14T07:59:58.123456+01:00 h app[3]: file line iso
           2026-03-14T06:59:58.123Z | h | app | 3 |  | file line iso
        14.03.2026 07:59:58 h app[3]: german date
           2026-03-14T06:59:58.000Z | h | app | 3 |  | german date
        <134>14/03/2026 07:59:58 h app[3]: slash date
           2026-03-14T07:00:00.000Z |  |  |  | bad_timestamp no_host | 14/03/2026 07:59:58 h app[3]: slash date
        <134>14 Mar 2026 07:59:58 h app[3]: day first
           2026-03-14T06:59:58.000Z | h | app | 3 |  | day first
        <134>Sat Mar 14 07:59:58 2026 h app[3]: weekday
           2026-03-14T06:59:58.000Z | h | app | 3 |  | weekday
        <134>Sat, 14 Mar 2026 07:59:58 +0100 h app[3]: rfc2822
           2026-03-14T06:59:58.000Z | h | app | 3 |  | rfc2822
        <134>1773471598 h app[3]: epoch seconds
           2026-03-14T06:59:58.000Z | h | app | 3 |  | epoch seconds
        <134>1773471598.123 h app[3]: epoch
           2026-03-14T06:59:58.123Z | h | app | 3 |  | epoch
        <134>Mrz 14 07:59:58 h app[3]: german month
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | german month
        <134>Mär 14 07:59:58 h app[3]: german month
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | german month
        <134>Mar 14 07:59:58 h app[3] no colon
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | no colon
        <134>Mar 14 07:59:58 h message repeated 3 times: [ app[3]: x]
           2026-03-14T06:59:58.000Z | h |  |  | no_year | message repeated 3 times: [ app[3]: x]
        <134>Mar 14 07:59:58 h last message repeated 3 times
           2026-03-14T06:59:58.000Z | h |  |  | no_year | last message repeated 3 times
        <134>Mar 14 07:59:58 MSG: h app
           2026-03-14T06:59:58.000Z |  | MSG |  | no_year no_host | h app
        <134>Mar 14 07:59:58 h 1 2026-03-14T07:59:58Z h2 app - - - twice
           2026-03-14T06:59:58.000Z | h |  |  | no_year | 1 2026-03-14T07:59:58Z h2 app - - - twice
        <134>Mar 14 07:59:58 10.1.2.3 <30>Mar 14 07:59:58 h app: nested priority
           2026-03-14T06:59:58.000Z | h | app |  | no_year | nested priority
        <134>Mar 14 08:00:00 collector Mar 14 07:59:58 h app[1]: relay
           2026-03-14T06:59:58.000Z (written 2026-03-14T07:00:00.000Z) | h | app | 1 | no_year | relay
        <134>2026-03-14T07:59:58+0100 h app: t
           2026-03-14T06:59:58.000Z | h | app |  |  | t
        <134>2026-03-14T07:59:58,123+01:00 h app: t
           2026-03-14T06:59:58.123Z | h | app |  |  | t
        <134>2026 Mar 14 07:59:58 h app: year first
           2026-03-14T06:59:58.000Z | h | app |  |  | year first
        <134>2026 Mar 14 07:59:58.123 CET h app: year first zone
           2026-03-14T06:59:58.123Z | h | app |  |  | year first zone
        <134>Mar 14 07:59:58 CET h app: zone
           2026-03-14T06:59:58.000Z | h | app |  | no_year | zone
        <134>Mar 14 07:59:58 h app[3][4]: two brackets
           2026-03-14T06:59:58.000Z | h |  |  | no_year | app[3][4]: two brackets
        <134>Mar 14 07:59:58 h /usr/sbin/cron[3]: path
           2026-03-14T06:59:58.000Z | h | /usr/sbin/cron | 3 | no_year | path
        <134>Mar 14 07:59:58 h app(pam_unix)[3]: parens
           2026-03-14T06:59:58.000Z | h | app(pam_unix) | 3 | no_year | parens
        <134>Mar 14 07:59:58 h app: #011tab octal #303#274
           2026-03-14T06:59:58.000Z | h | app |  | no_year | #011tab octal #303#274
        <134>Mar 14 07:59:58 h CRON[811]: (root) CMD
           2026-03-14T06:59:58.000Z | h | CRON | 811 | no_year | (root) CMD
        <134>Mar 14 07:59:58 h docker/nginx/abc123[811]: m
           2026-03-14T06:59:58.000Z | h | docker/nginx/abc123 | 811 | no_year | m
        <134>Mar 14 07:59:58  h  app: two blanks
           2026-03-14T06:59:58.000Z | h | app |  | no_year | two blanks
        <134>Mar 14 07:59:58 h app [3]: blank before pid
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | blank before pid
        <134>mar 14 07:59:58 h app[3]: lower month
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | lower month
        <134>Jan 01 1970 00:00:05 h app: dead clock
           2026-03-14T07:00:00.000Z (written 1969-12-31T23:00:05.000Z) | h | app |  | bad_timestamp | dead clock
        <134>2026-03-14T07:59:58.123456789Z h app: nanos
           2026-03-14T07:59:58.123Z | h | app |  |  | nanos
        <134>2026-03-14T07:59:58.123Z: h app: colon after stamp
           2026-03-14T07:59:58.123Z | h | app |  |  | colon after stamp
        <13> Mar 14 07:59:58 10.0.0.1 00435 ports: port 1 is now on-line
           2026-03-14T06:59:58.000Z | 10.0.0.1 |  |  | no_year | 00435 ports: port 1 is now on-line
        <4>Mar 14 07:59:58 UDM-Pro UDM-Pro kernel: [WAN_IN-B-4000000003]IN=eth8 OUT=br0
           2026-03-14T06:59:58.000Z | UDM-Pro | kernel |  | no_year | [WAN_IN-B-4000000003]IN=eth8 OUT=br0
        <30>Mar 14 07:59:58 (\"U7PG2,18e829000000,v4.0.66.10832\") hostapd: ath1: STA 02:00:00:00:00:01 IEEE 802.11: associated
           2026-03-14T06:59:58.000Z | U7PG2 | hostapd |  | no_year | ath1: STA 02:00:00:00:00:01 IEEE 802.11: associa
        <30>Mar 14 07:59:58 U7PG2,18e829000000,v4.0.66.10832: hostapd: ath1: STA 02:00:00:00:00:01 IEEE 802.11: associated
           2026-03-14T06:59:58.000Z | U7PG2 | hostapd |  | no_year | ath1: STA 02:00:00:00:00:01 IEEE 802.11: associa
        #001#002<34>Mar 14 07:59:58 h app[3]: octal junk before the priority
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | octal junk before the priority
        \u{1}\u{1}<34>Mar 14 07:59:58 h app[3]: control characters before the priority
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | control characters before the priority
        #100 things happened
           2026-03-14T07:00:00.000Z |  |  |  | no_header | #100 things happened
        <34>Mar 14 07:59:58 CET 2026 h app: zone, then year
           2026-03-14T06:59:58.000Z | h | app |  |  | zone, then year
        <34>Nov 22 23:30:00 UTC h app: a zone without a year
           2025-11-22T23:30:00.000Z | h | app |  | no_year | a zone without a year
        <134>Mär 14 07:59:58 h app[3]: 
           2026-03-14T06:59:58.000Z | h | app | 3 | no_year | 
        <38>Mar 14 07:59:58 h sshd[7]: message repeated 2 times: [ Failed password for root from 203.0.113.5 port 4711 ssh2]
           2026-03-14T06:59:58.000Z | h | sshd | 7 | no_year | message repeated 2 times: [ Failed password for 
        GET/POST something is no host
           2026-03-14T07:00:00.000Z |  |  |  | no_header | GET/POST something is no host
        1773471598.123 5 192.0.2.1 TCP_MISS/200 is no header
           2026-03-14T07:00:00.000Z |  |  |  | no_header | 1773471598.123 5 192.0.2.1 TCP_MISS/200 is no he
    "#]]
    .assert_eq(&table);
}
