//! The golden table: lines as devices write them, honest and hostile, and what becomes of them. What holds for every
//! line, however damaged, is in `hostile`, which takes the lines of these tables.

mod attacks;
mod devices;
mod headers;
mod linux;
mod products;
pub(super) mod samples;
mod windows;

use expect_test::{Expect, expect};

use super::{Options, decode};
use crate::body::SITE_UNKNOWN;
use crate::event::{Defect, Event};
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use crate::time::Timestamp;

/// 2026-03-14T08:00:00 in Germany.
pub(super) const RECEIVED: Timestamp = Timestamp(1_773_471_600_000);

fn frame(kind: FrameKind, payload: &[u8]) -> Frame {
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let frame = NewFrame {
        received_at: RECEIVED,
        site: SITE_UNKNOWN,
        peer,
        transport: Transport::Tcp,
        kind,
        marks: Marks::default(),
        payload: payload.into(),
    };
    Frame { seq: Seq(1), frame }
}

pub(super) fn event_of(kind: FrameKind, payload: &[u8]) -> Event {
    decode(&frame(kind, payload), &Options::default()).unwrap()
}

/// Time and defects, then the fields, then the message where it is not the whole line.
fn rendered(event: &Event) -> String {
    let defects: Vec<_> = event.defects.iter().map(Defect::name).collect();
    let mut out = format!("{} {}\n", event.timestamp, defects.join(" ")).replace(" \n", "\n");
    for (field, value) in event.fields() {
        let text = value.text();
        let quote = if text.contains(' ') { "'" } else { "" };
        out += &format!("{}={quote}{text}{quote} ", field.name());
    }
    out.truncate(out.trim_end().len());
    if event.message() != event.line() {
        out += &format!("\n| {}", event.message());
    }
    out
}

fn check(line: &str, expected: Expect) {
    expected.assert_eq(&rendered(&event_of(FrameKind::Line, line.as_bytes())));
}

#[test]
fn headers_golden() {
    check(
        r#"<34>1 2026-03-14T07:59:58.123456+01:00 rathaus-a su 4711 ID47 - FAILED SU (to root) anna on pts/0"#,
        expect![[r#"
        2026-03-14T06:59:58.123Z
        log.syslog.facility.name=auth log.level=critical host.name=rathaus-a process.name=su process.pid=4711 log.syslog.msgid=ID47 event.module=su event.category=authentication event.action=su event.outcome=failure user.name=anna user.effective.name=root user.target.name=root
        | FAILED SU (to root) anna on pts/0"#]],
    );
    check(
        r#"<165>1 2026-03-14T06:59:58Z 192.0.2.7 app - - [exampleSDID@32473 iut="3" eventSource="App \"x\"" eventID="1011"][meta sequenceId="29"] ﻿Anwendung läuft"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=notice host.ip=192.0.2.7 host.name=192.0.2.7 process.name=app syslog.sd.exampleSDID@32473.iut=3 syslog.sd.exampleSDID@32473.eventSource='App "x"' syslog.sd.exampleSDID@32473.eventID=1011 syslog.sd.meta.sequenceId=29
            | Anwendung läuft"#]],
    );
    check(
        r#"<38>1 2026-03-14T07:59:58+01:00 gw sshd 44255 - [meta sequenceId="1"] sshd[44255]: Invalid user tutu from 203.0.113.4 port 33166"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=auth log.level=informational host.name=gw process.name=sshd process.pid=44255 syslog.sd.meta.sequenceId=1 event.module=sshd event.category=authentication event.action=ssh_invalid_user event.outcome=failure event.reason='invalid user' user.name=tutu source.ip=203.0.113.4 source.port=33166
            | Invalid user tutu from 203.0.113.4 port 33166"#]],
    );
    check(
        r#"<34>1 - - - - - -"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z bad_timestamp no_host
        log.syslog.facility.name=auth log.level=critical
        | "#]],
    );
    check(
        r#"<34>1 2026-03-14T07:59:58Z host app 1 - [broken x="1" Rest der Zeile"#,
        expect![[r#"
        2026-03-14T07:59:58.000Z bad_structured_data
        log.syslog.facility.name=auth log.level=critical host.name=host process.name=app process.pid=1
        | [broken x="1" Rest der Zeile"#]],
    );
    check(
        r#"<34>1 1773471598.250 MX84 flows src=10.0.0.1"#,
        expect![[r#"
        2026-03-14T06:59:58.250Z bad_structured_data
        log.syslog.facility.name=auth log.level=critical host.name=MX84
        | flows src=10.0.0.1"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 rathaus-a cron[811]: (root) CMD (run-parts /etc/cron.hourly)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=rathaus-a process.name=cron process.pid=811 event.module=cron event.category=process event.action=cron_command user.name=root process.command_line='run-parts /etc/cron.hourly'
            | (root) CMD (run-parts /etc/cron.hourly)"#]],
    );
    check(
        r#"<13>Mar  4 07:59:58 rathaus-a postfix/smtpd[26897]: connect from mail.example.net[198.51.100.9]"#,
        expect![[r#"
            2026-03-04T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=rathaus-a process.name=postfix/smtpd process.pid=26897 event.module=postfix event.category=email event.action=smtp_connect source.ip=198.51.100.9 source.domain=mail.example.net
            | connect from mail.example.net[198.51.100.9]"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 cron: ohne Rechner"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year no_host
        log.syslog.facility.name=user log.level=notice process.name=cron
        | ohne Rechner"#]],
    );
    check(
        r#"<30>dnsmasq[22]: query[A] example.net from 10.1.1.1"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp no_host
            log.syslog.facility.name=daemon log.level=informational process.name=dnsmasq process.pid=22 event.module=dnsmasq event.category=network event.action=dns_query network.protocol=dns dns.question.name=example.net dns.question.type=A source.ip=10.1.1.1
            | query[A] example.net from 10.1.1.1"#]],
    );
    check(
        r#"<189>29: *Mar 14 2026 07:59:58.483 UTC: %SYS-5-CONFIG_I: Configured from console"#,
        expect![[r#"
            2026-03-14T07:59:58.483Z no_host unsure_clock
            log.syslog.facility.name=local7 log.level=notice event.module=cisco event.code=CONFIG_I cisco.facility=SYS event.category=configuration event.action=configuration_changed event.outcome=success
            | %SYS-5-CONFIG_I: Configured from console"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa01 : %ASA-6-302013: Built outbound TCP connection"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa01 event.module=cisco event.code=302013 cisco.facility=ASA event.category=network event.action=allowed event.type=allowed event.outcome=success network.transport=tcp network.direction=outbound
            | %ASA-6-302013: Built outbound TCP connection"#]],
    );
    check(
        r#"<13>2026-03-14T06:59:58.759590+00:00 machine postfix/smtpd[1938053]: NOQUEUE: reject"#,
        expect![[r#"
            2026-03-14T06:59:58.759Z
            log.syslog.facility.name=user log.level=notice host.name=machine process.name=postfix/smtpd process.pid=1938053 event.module=postfix event.category=email postfix.queue_id=NOQUEUE
            | NOQUEUE: reject"#]],
    );
    check(
        r#"2026-03-14T07:59:58+01:00 subuina jellyfin[742]: [07:59:58] [INF] denied"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z
        host.name=subuina process.name=jellyfin process.pid=742
        | [07:59:58] [INF] denied"#]],
    );
    check(
        r#"Mar 14 07:59:58 combo syslogd 1.4.1: restart."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=combo process.name='syslogd 1.4.1'
        | restart."#]],
    );
    check(
        r#"Mar 14 07:59:58 combo  -- root[2421]: ROOT LOGIN ON tty2"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=combo process.name='-- root' process.pid=2421
        | ROOT LOGIN ON tty2"#]],
    );
    check(
        r#"Mar 14 07:59:58 combo last message repeated 3 times"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=combo
        | last message repeated 3 times"#]],
    );
    check(
        r#"Dec 31 23:59:59 altjahr app: im vorigen Jahr"#,
        expect![[r#"
        2025-12-31T22:59:59.000Z no_year
        host.name=altjahr process.name=app
        | im vorigen Jahr"#]],
    );
    check(
        r#"Mar 15 06:00:00 vorne app: weniger als einen Tag voraus"#,
        expect![[r#"
        2026-03-15T05:00:00.000Z no_year
        host.name=vorne process.name=app
        | weniger als einen Tag voraus"#]],
    );
    check(
        r#"Feb 29 12:00:00 schalttag app: nur 2024"#,
        expect![[r#"
        2024-02-29T11:00:00.000Z no_year
        host.name=schalttag process.name=app
        | nur 2024"#]],
    );
    check(
        r#"Mar 32 25:00:00 kaputt app[1]: keine Zeit"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z bad_timestamp
        host.name=kaputt process.name=app process.pid=1
        | keine Zeit"#]],
    );
    check(
        r#"<13>2026-03-20T00:00:00Z zukunft app: Uhr geht vor"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z future_time
            log.syslog.facility.name=user log.level=notice host.name=zukunft process.name=app event.created=2026-03-20T00:00:00.000Z
            | Uhr geht vor"#]],
    );
    check(
        r#"<13>1970-01-01T00:00:10Z frisch app: Uhr verloren"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp
            log.syslog.facility.name=user log.level=notice host.name=frisch process.name=app event.created=1970-01-01T00:00:10.000Z
            | Uhr verloren"#]],
    );
    check(
        r#"<13>Mar 30 02:30:00 2025 sommerzeit app: diese Stunde gab es nicht"#,
        expect![[r#"
        2025-03-30T01:30:00.000Z
        log.syslog.facility.name=user log.level=notice host.name=sommerzeit process.name=app
        | diese Stunde gab es nicht"#]],
    );
    check(
        r#"<13>2025-10-26 02:30:00 winterzeit app: diese Stunde gab es zweimal"#,
        expect![[r#"
        2025-10-26T00:30:00.000Z
        log.syslog.facility.name=user log.level=notice host.name=winterzeit process.name=app
        | diese Stunde gab es zweimal"#]],
    );
    check(
        r#"<999>Mar 14 07:59:58 host app: Priorität zu groß"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z bad_priority no_year
        host.name=host process.name=app
        | Priorität zu groß"#]],
    );
    check(
        r#"<13>nur Text ohne Kopf"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z bad_timestamp no_host
        log.syslog.facility.name=user log.level=notice
        | nur Text ohne Kopf"#]],
    );
    check(
        r#"2026/03/14 04:53:57 [203.0.113.67:58629] [channel 106] closed"#,
        expect![[r#"
            2026-03-14T03:53:57.000Z no_header
            event.module=sshesame event.category=network event.action=honeypot_channel source.ip=203.0.113.67 source.port=58629 event.reason=closed"#]],
    );
    check(
        r#"2026-03-14 07:59:58, Info                  CBS    Ending TrustedInstaller initialization."#,
        expect!["2026-03-14T06:59:58.000Z no_header"],
    );
    check(r#"2026-03-14 07:59:58 ERROR db: no connection"#, expect!["2026-03-14T06:59:58.000Z no_header"]);
    check(r#"irgendein Text"#, expect!["2026-03-14T07:00:00.000Z no_header"]);
    check(
        r#"<13>Mar 14 07:59:58 relay Mar 14 07:59:57 innen sshd[7]: Invalid user x from 203.0.113.9"#,
        expect![[r#"
            2026-03-14T06:59:57.000Z no_year
            observer.name=relay log.syslog.facility.name=user log.level=notice host.name=innen process.name=sshd process.pid=7 event.module=sshd event.category=authentication event.action=ssh_invalid_user event.outcome=failure event.reason='invalid user' user.name=x source.ip=203.0.113.9 event.created=2026-03-14T06:59:58.000Z
            | Invalid user x from 203.0.113.9"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 relay <86>Mar 14 07:59:57 innen sshd[7]: Connection closed by 203.0.113.9 port 5 [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:57.000Z no_year
            observer.name=relay log.syslog.facility.name=authpriv log.level=informational host.name=innen process.name=sshd process.pid=7 event.module=sshd sshd.phase=preauth event.category=network event.action=ssh_connection_closed source.ip=203.0.113.9 source.port=5 event.created=2026-03-14T06:59:58.000Z
            | Connection closed by 203.0.113.9 port 5 [preauth]"#]],
    );
}

#[test]
fn sshd_golden() {
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Failed password for root from 203.0.113.5 port 4711 ssh2"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure sshd.method=password user.name=root source.ip=203.0.113.5 source.port=4711
        | Failed password for root from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Failed password for invalid user admin from 2001:db8::5 port 4711 ssh2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure event.reason='invalid user' sshd.method=password user.name=admin source.ip=2001:db8::5 source.port=4711
            | Failed password for invalid user admin from 2001:db8::5 port 4711 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Failed password for invalid user root from 6.6.6.6 port 1 ssh2 from 203.0.113.5 port 4711 ssh2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure event.reason='invalid user' sshd.method=password user.name='root from 6.6.6.6 port 1 ssh2' source.ip=203.0.113.5 source.port=4711
            | Failed password for invalid user root from 6.6.6.6 port 1 ssh2 from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Failed password for invalid user  from 203.0.113.5 port 4711 ssh2"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure event.reason='invalid user' sshd.method=password source.ip=203.0.113.5 source.port=4711
        | Failed password for invalid user  from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd-session[24200]: Accepted publickey for anna from 10.1.2.3 port 56296 ssh2: ED25519 SHA256:1M4RzhMyWuFS/86uPY/ce2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd-session process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=success sshd.method=publickey user.name=anna source.ip=10.1.2.3 source.port=56296
            | Accepted publickey for anna from 10.1.2.3 port 56296 ssh2: ED25519 SHA256:1M4RzhMyWuFS/86uPY/ce2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Accepted keyboard-interactive/pam for anna from 10.1.2.3 port 56296 ssh2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=success sshd.method=keyboard-interactive/pam user.name=anna source.ip=10.1.2.3 source.port=56296
            | Accepted keyboard-interactive/pam for anna from 10.1.2.3 port 56296 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: message repeated 5 times: [ Failed password for root from 203.0.113.5 port 4711 ssh2]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 log.syslog.repeated=5 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure sshd.method=password user.name=root source.ip=203.0.113.5 source.port=4711
            | message repeated 5 times: [ Failed password for root from 203.0.113.5 port 4711 ssh2]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Invalid user webmaster from 203.0.113.5"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_invalid_user event.outcome=failure event.reason='invalid user' user.name=webmaster source.ip=203.0.113.5
        | Invalid user webmaster from 203.0.113.5"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Connection reset by authenticating user root 203.0.113.5 port 22 [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_connection_reset event.outcome=failure user.name=root source.ip=203.0.113.5 source.port=22
            | Connection reset by authenticating user root 203.0.113.5 port 22 [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Disconnected from invalid user a b c 203.0.113.5 port 22 [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_disconnect event.outcome=failure event.reason='invalid user' user.name='a b c' source.ip=203.0.113.5 source.port=22
            | Disconnected from invalid user a b c 203.0.113.5 port 22 [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: error: Received disconnect from 203.0.113.5: 3: com.jcraft.jsch.JSchException: Auth fail [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=network event.action=ssh_disconnect event.reason='3: com.jcraft.jsch.JSchException: Auth fail' source.ip=203.0.113.5
            | error: Received disconnect from 203.0.113.5: 3: com.jcraft.jsch.JSchException: Auth fail [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Received disconnect from 2001:db8::7 port 8: 11: Bye Bye [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=network event.action=ssh_disconnect event.reason='11: Bye Bye' source.ip=2001:db8::7 source.port=8
            | Received disconnect from 2001:db8::7 port 8: 11: Bye Bye [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: error: maximum authentication attempts exceeded for invalid user x from 203.0.113.5 port 80 ssh2 [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_max_attempts event.outcome=failure event.reason='too many attempts' user.name=x source.ip=203.0.113.5 source.port=80
            | error: maximum authentication attempts exceeded for invalid user x from 203.0.113.5 port 80 ssh2 [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Disconnecting: Too many authentication failures for root [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_max_attempts event.outcome=failure event.reason='Too many authentication failures for root' user.name=root
            | Disconnecting: Too many authentication failures for root [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Disconnecting authenticating user root 203.0.113.5 port 99: Too many authentication failures [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_max_attempts event.outcome=failure event.reason='Too many authentication failures' user.name=root source.ip=203.0.113.5 source.port=99
            | Disconnecting authenticating user root 203.0.113.5 port 99: Too many authentication failures [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: reverse mapping checking getaddrinfo for ns.example.net [203.0.113.5] failed - POSSIBLE BREAK-IN ATTEMPT!"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=network event.action=ssh_reverse_mapping_failed event.outcome=failure source.ip=203.0.113.5 source.domain=ns.example.net
            | reverse mapping checking getaddrinfo for ns.example.net [203.0.113.5] failed - POSSIBLE BREAK-IN ATTEMPT!"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Address 203.0.113.5 maps to ns.example.net, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=network event.action=ssh_reverse_mapping_failed event.outcome=failure source.ip=203.0.113.5 source.domain=ns.example.net
            | Address 203.0.113.5 maps to ns.example.net, but this does not map back to the address - POSSIBLE BREAK-IN ATTEMPT!"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.5  user=root"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_authentication event.outcome=failure user.name=root source.ip=203.0.113.5
            | pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.5  user=root"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.5  user=root"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_authentication event.outcome=failure user.name=root source.ip=203.0.113.5 pam.repeated=5
            | PAM 5 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.5  user=root"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: pam_unix(sshd:session): session opened for user anna(uid=1000) by (uid=0)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd pam.service=sshd event.category=session event.action=session_opened event.outcome=success user.name=anna user.id=1000
            | pam_unix(sshd:session): session opened for user anna(uid=1000) by (uid=0)"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: User svc from 203.0.113.5 not allowed because not listed in AllowUsers"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_user_denied event.outcome=failure event.reason='not listed in AllowUsers' user.name=svc source.ip=203.0.113.5
            | User svc from 203.0.113.5 not allowed because not listed in AllowUsers"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Unable to negotiate with 203.0.113.5 port 45626: no matching key exchange method found. Their offer: x [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd sshd.phase=preauth event.category=network event.action=ssh_negotiation_failed event.outcome=failure event.reason='no matching key exchange method found. Their offer: x' source.ip=203.0.113.5 source.port=45626
            | Unable to negotiate with 203.0.113.5 port 45626: no matching key exchange method found. Their offer: x [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: fatal: Timeout before authentication for 203.0.113.5 port 47056"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=authentication event.action=ssh_timeout event.outcome=failure source.ip=203.0.113.5 source.port=47056
        | fatal: Timeout before authentication for 203.0.113.5 port 47056"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 rathaus-a sshd[24200]: Bad protocol version identification 'GET / from 6.6.6.6' from 203.0.113.5 port 3"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=rathaus-a process.name=sshd process.pid=24200 event.module=sshd event.category=network event.action=ssh_bad_protocol event.reason=''GET / from 6.6.6.6'' source.ip=203.0.113.5 source.port=3
            | Bad protocol version identification 'GET / from 6.6.6.6' from 203.0.113.5 port 3"#]],
    );
    check(
        r#"Mar 14 07:59:58 combo sshd(pam_unix)[19939]: authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=host.example.net  user=root"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=combo process.name=sshd(pam_unix) process.pid=19939 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_authentication event.outcome=failure user.name=root source.domain=host.example.net
            | authentication failure; logname= uid=0 euid=0 tty=NODEVssh ruser= rhost=host.example.net  user=root"#]],
    );
}

#[test]
fn accounts_golden() {
    check(
        r#"<86>Mar 14 07:59:58 srv useradd[900]: new user: name=backdoor, UID=0, GID=0, home=/root, shell=/bin/bash, from=/dev/pts/0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=useradd process.pid=900 event.module=accounts event.category=iam event.type=creation event.action=user_added event.outcome=success user.name=backdoor user.target.name=backdoor user.id=0 group.id=0
            | new user: name=backdoor, UID=0, GID=0, home=/root, shell=/bin/bash, from=/dev/pts/0"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv usermod[901]: add 'mallory' to group 'sudo'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=usermod process.pid=901 event.module=accounts event.category=iam event.type=change event.action=user_added_to_group event.outcome=success user.name=mallory user.target.name=mallory group.name=sudo
        | add 'mallory' to group 'sudo'"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv usermod[901]: add 'mallory' to shadow group 'sudo'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=usermod process.pid=901 event.module=accounts event.category=iam event.type=change event.action=user_added_to_shadow_group event.outcome=success user.name=mallory user.target.name=mallory group.name=sudo
        | add 'mallory' to shadow group 'sudo'"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv gpasswd[902]: user mallory added by root to group wheel"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=gpasswd process.pid=902 event.module=accounts event.category=iam event.type=change event.action=user_added_to_group event.outcome=success user.name=mallory user.target.name=mallory group.name=wheel source.user.name=root
        | user mallory added by root to group wheel"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv groupadd[903]: new group: name=stab, GID=1005"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=groupadd process.pid=903 event.module=accounts event.category=iam event.type=creation event.action=group_added event.outcome=success group.name=stab group.id=1005
        | new group: name=stab, GID=1005"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv usermod[904]: change user 'x' UID from '1000' to '0'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=usermod process.pid=904 event.module=accounts event.category=iam event.type=change event.action=user_changed event.outcome=success user.name=x user.target.name=x user.id=0
        | change user 'x' UID from '1000' to '0'"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv userdel[905]: delete user 'mallory'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=userdel process.pid=905 event.module=accounts event.category=iam event.type=deletion event.action=user_deleted event.outcome=success user.name=mallory user.target.name=mallory
        | delete user 'mallory'"#]],
    );
    check(
        r#"<86>Mar 14 07:59:58 srv passwd[906]: pam_unix(passwd:chauthtok): password changed for anna"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=informational host.name=srv process.name=passwd process.pid=906 event.module=pam pam.service=passwd event.category=iam event.action=password_changed event.outcome=success user.name=anna
        | pam_unix(passwd:chauthtok): password changed for anna"#]],
    );
    check(
        r#"<85>Mar 14 07:59:58 srv sudo:     anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/env A=b ; USER=nobody"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=authpriv log.level=notice host.name=srv process.name=sudo event.module=sudo event.category=process event.action=sudo_command event.outcome=success user.name=anna user.effective.name=root user.target.name=root process.command_line='/usr/bin/env A=b ; USER=nobody'
            |     anna : TTY=pts/0 ; PWD=/home/anna ; USER=root ; COMMAND=/usr/bin/env A=b ; USER=nobody"#]],
    );
    check(
        r#"<85>Mar 14 07:59:58 srv sudo[12]:     bert : user NOT in sudoers ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=authpriv log.level=notice host.name=srv process.name=sudo process.pid=12 event.module=sudo event.category=process event.action=sudo_command event.outcome=failure event.reason='user NOT in sudoers' user.name=bert user.effective.name=root user.target.name=root process.command_line=/bin/sh
            |     bert : user NOT in sudoers ; TTY=pts/1 ; PWD=/tmp ; USER=root ; COMMAND=/bin/sh"#]],
    );
    check(
        r#"<85>Mar 14 07:59:58 srv su[13]: (to root) anna on pts/0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=authpriv log.level=notice host.name=srv process.name=su process.pid=13 event.module=su event.category=authentication event.action=su event.outcome=success user.name=anna user.effective.name=root user.target.name=root
        | (to root) anna on pts/0"#]],
    );
}

#[test]
fn netfilter_golden() {
    check(
        r#"<4>Mar 14 07:59:58 fw kernel: [19955416.516358] [UFW BLOCK] IN=ens2 OUT= MAC=de:1c:88:64:10:19:5e:e1:a4:3b:cf:f0:08:00 SRC=203.0.113.168 DST=10.73.140.49 LEN=44 TOS=0x00 PREC=0x00 TTL=43 ID=25313 PROTO=TCP SPT=52220 DPT=80 WINDOW=1024 RES=0x00 SYN URGP=0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=fw process.name=kernel event.module=iptables event.category=network event.type=connection event.action=blocked event.type=denied event.outcome=failure rule.name='UFW BLOCK' destination.mac=de:1c:88:64:10:19 source.mac=5e:e1:a4:3b:cf:f0 source.ip=203.0.113.168 destination.ip=10.73.140.49 network.bytes=44 iptables.ttl=43 network.transport=tcp source.port=52220 destination.port=80 iptables.tcp_flags=SYN observer.ingress.interface.name=ens2 network.direction=inbound
            | [19955416.516358] [UFW BLOCK] IN=ens2 OUT= MAC=de:1c:88:64:10:19:5e:e1:a4:3b:cf:f0:08:00 SRC=203.0.113.168 DST=10.73.140.49 LEN=44 TOS=0x00 PREC=0x00 TTL=43 ID=25313 PROTO=TCP SPT=52220 DPT=80 WINDOW=1024 RES=0x00 SYN URGP=0"#]],
    );
    check(
        r#"<4>Mar 14 07:59:58 fw kernel: DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=198.51.100.66 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=fw process.name=kernel event.module=iptables event.category=network event.type=connection event.action=blocked event.type=denied event.outcome=failure rule.name=DROP-OUT source.ip=10.1.1.5 destination.ip=198.51.100.66 network.bytes=60 iptables.ttl=63 network.transport=udp source.port=5353 destination.port=4444 observer.egress.interface.name=eth0 network.direction=outbound
            | DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=198.51.100.66 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40"#]],
    );
    check(
        r#"<4>Mar 14 07:59:58 fw kernel: IN=eth1 OUT=eth0 SRC=2001:0db8:0000:0000:0000:0000:0000:0001 DST=2001:db8::2 LEN=60 HOPLIMIT=63 PROTO=ICMPv6 TYPE=128 CODE=0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=fw process.name=kernel event.module=iptables event.category=network event.type=connection event.action=logged source.ip=2001:db8::1 destination.ip=2001:db8::2 network.bytes=60 iptables.ttl=63 network.transport=ipv6-icmp iptables.icmp_type=128 iptables.icmp_code=0 observer.ingress.interface.name=eth1 observer.egress.interface.name=eth0
            | IN=eth1 OUT=eth0 SRC=2001:0db8:0000:0000:0000:0000:0000:0001 DST=2001:db8::2 LEN=60 HOPLIMIT=63 PROTO=ICMPv6 TYPE=128 CODE=0"#]],
    );
    check(
        r#"<4>Mar 14 07:59:58 fw kernel: ACCEPT IN=eth0 OUT= SRC=10.0.0.300 DST=10.0.0.1 LEN=x PROTO=47"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year bad_field
        log.syslog.facility.name=kern log.level=warning host.name=fw process.name=kernel event.module=iptables event.category=network event.type=connection event.action=allowed event.type=allowed event.outcome=success rule.name=ACCEPT source.ip.text=10.0.0.300 destination.ip=10.0.0.1 network.bytes.text=x network.transport=gre observer.ingress.interface.name=eth0 network.direction=inbound
        | ACCEPT IN=eth0 OUT= SRC=10.0.0.300 DST=10.0.0.1 LEN=x PROTO=47"#]],
    );
    check(
        r#"<4>Mar 14 07:59:58 fw kernel: REJECT IN=eth0 OUT= SRC=10.0.0.3 DST=10.0.0.1 PROTO=ICMP TYPE=3 CODE=1 [SRC=6.6.6.6 DST=7.7.7.7 PROTO=TCP SPT=1 DPT=2 ]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=fw process.name=kernel event.module=iptables event.category=network event.type=connection event.action=blocked event.type=denied event.outcome=failure rule.name=REJECT source.ip=10.0.0.3 destination.ip=10.0.0.1 network.transport=icmp iptables.icmp_type=3 iptables.icmp_code=1 observer.ingress.interface.name=eth0 network.direction=inbound
            | REJECT IN=eth0 OUT= SRC=10.0.0.3 DST=10.0.0.1 PROTO=ICMP TYPE=3 CODE=1 [SRC=6.6.6.6 DST=7.7.7.7 PROTO=TCP SPT=1 DPT=2 ]"#]],
    );
    check(
        r#"<4>Mar 14 07:59:58 fw kernel: usb 1-1: CHAIN=1 DOMAIN=nothing to see"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=kern log.level=warning host.name=fw process.name=kernel
        | usb 1-1: CHAIN=1 DOMAIN=nothing to see"#]],
    );
}

#[test]
fn fortigate_golden() {
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG-RATHAUS" devid="FGT60F0000000001" eventtime=1773471598123456789 tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.1.100.11 srcport=58012 srcintf="port12" srcintfrole="lan" dstip=198.51.100.35 dstport=443 dstintf="port11" dstintfrole="wan" srccountry="Reserved" dstcountry="Germany" sessionid=105048 proto=6 action="deny" policyid=1 policytype="policy" service="HTTPS" duration=116 sentbyte=1188 rcvdbyte=1224 app="HTTPS.BROWSER""#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG-RATHAUS host.name=FG-RATHAUS observer.serial_number=FGT60F0000000001 event.code=0000000013 fortinet.firewall.vd=root source.ip=10.1.100.11 source.port=58012 observer.ingress.interface.name=port12 destination.ip=198.51.100.35 destination.port=443 observer.egress.interface.name=port11 source.geo.country_name=Reserved destination.geo.country_name=Germany fortinet.firewall.sessionid=105048 network.transport=tcp fortinet.firewall.policytype=policy network.protocol=HTTPS event.duration=116000000000 source.bytes=1188 destination.bytes=1224 network.application=HTTPS.BROWSER fortinet.firewall.type=traffic fortinet.firewall.subtype=forward fortinet.firewall.action=deny fortinet.firewall.srcintfrole=lan fortinet.firewall.dstintfrole=wan rule.id=1 event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=outbound
            | date=2026-03-14 time=07:59:58 devname="FG-RATHAUS" devid="FGT60F0000000001" eventtime=1773471598123456789 tz="+0100" logid="0000000013" type="traffic" subtype="forward" level="notice" vd="root" srcip=10.1.100.11 srcport=58012 srcintf="port12" srcintfrole="lan" dstip=198.51.100.35 dstport=443 dstintf="port11" dstintfrole="wan" srccountry="Reserved" dstcountry="Germany" sessionid=105048 proto=6 action="deny" policyid=1 policytype="policy" service="HTTPS" duration=116 sentbyte=1188 rcvdbyte=1224 app="HTTPS.BROWSER""#]],
    );
    check(
        r#"date=2026-03-14 time=07:59:58 tz="+0200" devname=FG devid=FG1 logid=0000000013 type=traffic subtype=forward srcip=10.0.0.1 dstip=192.0.2.1 proto=17 action=close user="A. \"Toni\" Müller" sentbyte=1 rcvdbyte=2"#,
        expect![[r#"
            2026-03-14T05:59:58.000Z no_header
            event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0000000013 source.ip=10.0.0.1 destination.ip=192.0.2.1 network.transport=udp user.name='A. "Toni" Müller' source.bytes=1 destination.bytes=2 fortinet.firewall.type=traffic fortinet.firewall.subtype=forward fortinet.firewall.action=close event.category=network event.action=allowed event.type=allowed event.outcome=success"#]],
    );
    check(
        r#"date=2026-03-14 time=07:59:58 devname=FG devid=FG1 logid="0100032002" type="event" subtype="system" level="alert" logdesc="Admin login failed" user="admin" ui="ssh(203.0.113.9)" method="ssh" srcip=203.0.113.9 dstip=192.0.2.1 action="login" status="failed" reason="passwd_invalid" msg="Administrator admin login failed"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header bad_key_value
            event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0100032002 log.level=alert fortinet.firewall.logdesc='Admin login failed' user.name=admin fortinet.firewall.ui=ssh(203.0.113.9) fortinet.firewall.method=ssh source.ip=203.0.113.9 destination.ip=192.0.2.1 event.reason=passwd_invalid fortinet.firewall.msg='Administrator admin login failed' fortinet.firewall.type=event fortinet.firewall.subtype=system fortinet.firewall.action=login fortinet.firewall.status=failed event.category=authentication event.action=login event.outcome=failure"#]],
    );
    check(
        r#"date=2026-03-14 time=07:59:58 devname=FG devid=FG1 logid="0101039426" type="event" subtype="vpn" action="ssl-login-fail" tunneltype="ssl-web" remip=203.0.113.44 user="anna" reason="sslvpn_login_permission_denied" srcip=kaputt stray"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header bad_key_value
            event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0101039426 fortinet.firewall.tunneltype=ssl-web source.ip=203.0.113.44 user.name=anna event.reason=sslvpn_login_permission_denied fortinet.firewall.srcip=kaputt fortinet.firewall.type=event fortinet.firewall.subtype=vpn fortinet.firewall.action=ssl-login-fail event.category=authentication event.action=ssl-login-fail event.outcome=failure"#]],
    );
}

#[test]
fn json_golden() {
    check(
        r#"{"@timestamp":"2026-03-14T06:59:58.5Z","host":{"name":"srv1","ip":["10.0.0.1","fe80::1"]},"event":{"code":4625,"outcome":"failure","action":"logon-failed"},"user.name":"anna","source":{"ip":"203.0.113.5","port":"4711"},"message":"An account failed to log on","winlog":{"event_id":4625,"keep":true,"gone":null,"x":1.5}}"#,
        expect![[r#"
            2026-03-14T06:59:58.500Z
            host.name=srv1 host.ip=10.0.0.1 host.ip=fe80::1 event.code=4625 event.outcome=failure event.action=logon-failed user.name=anna source.ip=203.0.113.5 source.port=4711 winlog.event_id=4625 winlog.keep=true winlog.x=1.5
            | An account failed to log on"#]],
    );
    check(
        r#"{"timestamp":1773471598,"host":"srv2","process":{"name":"sshd","pid":7},"message":"Failed password for root from 203.0.113.5 port 4711 ssh2"}"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            host.name=srv2 process.name=sshd process.pid=7 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure sshd.method=password user.name=root source.ip=203.0.113.5 source.port=4711
            | Failed password for root from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"{"__REALTIME_TIMESTAMP":"1773471598123456","_HOSTNAME":"srv3","SYSLOG_IDENTIFIER":"sshd","_PID":"77","PRIORITY":"6","MESSAGE":"Invalid user \"x\" from 203.0.113.5 port 9"}"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            host.name=srv3 process.name=sshd process.pid=77 log.level=informational event.module=sshd event.category=authentication event.action=ssh_invalid_user event.outcome=failure event.reason='invalid user' user.name="x" source.ip=203.0.113.5 source.port=9
            | Invalid user "x" from 203.0.113.5 port 9"#]],
    );
    check(
        r#"{"version":"1.1","host":"srv4","short_message":"Hallo","timestamp":1773471598.25,"level":4,"_facility":"x"}"#,
        expect![[r#"
        2026-03-14T06:59:58.250Z
        version=1.1 host.name=srv4 log.level=warning gelf._facility=x
        | Hallo"#]],
    );
    check(
        r#"{"time":"0.003","source.ip":"nirgends","source.port":"viele","site":"fremd","observer.ip":"6.6.6.6","_raw":"x","message":"m"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp bad_field
            time=0.003 source.ip.text=nirgends source.port.text=viele json.site=fremd json.observer.ip=6.6.6.6 json._raw=x
            | m"#]],
    );
    check(
        r#"{"message":"abgeschnitten","user":{"name":"anna"},"host":{"na"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z bad_timestamp bad_json
        user.name=anna
        | abgeschnitten"#]],
    );
    check(
        r#"{"a":{"b":{"c":{"d":{"e":{"f":{"g":{"h":{"i":{"j":1}}}}}}}}}}"#,
        expect!["2026-03-14T07:00:00.000Z bad_timestamp too_many_fields"],
    );
    check(
        r#"<13>Mar 14 07:59:58 srv app[3]: @cee: {"user":{"name":"anna"},"host":"other","message":"innen"}"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=srv process.name=app process.pid=3 user.name=anna
        | innen"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 srv app[3]: {not json}"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=srv process.name=app process.pid=3
        | {not json}"#]],
    );
    check(r#"{}"#, expect!["2026-03-14T07:00:00.000Z bad_timestamp"]);
}

#[test]
fn gelf_golden() {
    let check = |payload: &str, expected: Expect| {
        let mut frame = frame(FrameKind::of_line(payload.as_bytes()), payload.as_bytes());
        frame.frame.transport = Transport::Gelf;
        expected.assert_eq(&rendered(&decode(&frame, &Options::default()).unwrap()));
    };
    // The example of the specification, with what the container engines and logging libraries add.
    check(
        r#"{"version":"1.1","host":"example.org","short_message":"A short message that helps you identify what is going on","full_message":"Backtrace here\n\nmore stuff","timestamp":1773471598.3072,"level":1,"_user_id":9001,"_some_info":"foo","_some_env_var":"bar"}"#,
        expect![[r#"
            2026-03-14T06:59:58.307Z
            version=1.1 host.name=example.org full_message='Backtrace here

            more stuff' log.level=alert user_id=9001 some_info=foo some_env_var=bar
            | A short message that helps you identify what is going on"#]],
    );
    check(
        r#"{"version":"1.1","host":"10.0.0.7","short_message":"Failed password for root from 203.0.113.5 port 4711 ssh2","timestamp":"1773471598.5","level":6,"facility":"authpriv","_program":"sshd","_pid":7,"_container_name":"web","_image_name":"nginx:1","_logger_name":"a.b","_line":12,"_src_ip":"203.0.113.5","_username":"root"}"#,
        expect![[r#"
            2026-03-14T06:59:58.500Z
            version=1.1 host.ip=10.0.0.7 host.name=10.0.0.7 log.level=informational log.syslog.facility.name=authpriv process.name=sshd process.pid=7 container.name=web container.image.name=nginx:1 log.logger=a.b log.origin.file.line=12 source.ip=203.0.113.5 user.name=root event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure sshd.method=password user.name=root source.ip=203.0.113.5 source.port=4711
            | Failed password for root from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"{"host":"a","short_message":"m","facility":4,"timestamp":1773471598}"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z
        host.name=a log.syslog.facility.name=auth
        | m"#]],
    );
    check(
        r#"{"host":"a","short_message":"m","facility":"gelf-rb","file":"x.rb","line":3}"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z bad_timestamp
        host.name=a gelf.facility=gelf-rb file=x.rb line=3
        | m"#]],
    );
    // Nobody writes what is ours, or GELF's own, by an additional field.
    check(
        r#"{"version":"1.1","short_message":"m","_site":"fremd","_observer.ip":"6.6.6.6","_@timestamp":"x","_level":0,"_host":"other","_":1,"__raw":"x","_source.ip":"nirgends"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp no_host bad_field
            version=1.1 gelf.site=fremd gelf.observer.ip=6.6.6.6 gelf._@timestamp=x gelf._level=0 gelf._host=other gelf._=1 gelf.__raw=x source.ip.text=nirgends
            | m"#]],
    );
    check(
        r#"{"version":"1.1","host":"a","short_message":"abge"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z bad_timestamp bad_json
        version=1.1 host.name=a"#]],
    );
    check(
        "<13>Mar 14 07:59:58 srv app[3]: no json at all",
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=srv process.name=app process.pid=3
        | no json at all"#]],
    );
    check("no json at all", expect!["2026-03-14T07:00:00.000Z no_header"]);
}

#[test]
fn others_golden() {
    check(
        r#"[Sat Mar 14 07:59:58.123456 2026] [core:error] [pid 12:tid 34] [client 203.0.113.5:4711] AH00037: Symbolic link not allowed"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=apache log.level=error process.pid=12 source.ip=203.0.113.5 source.port=4711 event.category=web event.code=AH00037
            | [pid 12:tid 34] [client 203.0.113.5:4711] AH00037: Symbolic link not allowed"#]],
    );
    check(
        r#"[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties"#,
        expect![[r#"
            2005-12-04T03:47:44.000Z no_header
            event.module=apache log.level=notice event.category=web
            | workerEnv.init() ok /etc/httpd/conf/workers2.properties"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 srv app[3]: level=warn source.ip=203.0.113.5 took=3ms msg="a b""#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=srv process.name=app process.pid=3 kv.level=warn source.ip=203.0.113.5 kv.took=3ms kv.msg='a b'
        | level=warn source.ip=203.0.113.5 took=3ms msg="a b""#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 srv app[3]: a=1 and then prose b=2 c=3"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=srv process.name=app process.pid=3
        | a=1 and then prose b=2 c=3"#]],
    );
}

#[test]
fn flows_and_marks_are_no_events() {
    for kind in [FrameKind::Flow, FrameKind::ImportMark] {
        assert!(decode(&frame(kind, b"{}"), &Options::default()).is_none());
    }
}

#[test]
fn a_flood_of_fields_stops_at_the_bound() {
    let names: Vec<_> = (0..400).map(|n| format!("\"flood.f{}\":{n}", n % 20)).collect();
    let event = event_of(FrameKind::Json, format!("{{{}}}", names.join(",")).as_bytes());
    assert_eq!(event.fields().count(), super::draft::FIELDS_MAX);
    assert!(event.defects.contains(Defect::TooManyFields));
}

#[test]
fn what_the_receiver_noticed_is_a_defect() {
    for (mark, defect) in super::MARKS {
        let mut frame = frame(FrameKind::Line, b"<13>Nov 21 10:00:00 h a: x");
        frame.frame.marks = mark;
        let event = decode(&frame, &Options::default()).unwrap();
        assert_eq!(event.defects.iter().filter(|defect| *defect != Defect::NoYear).collect::<Vec<_>>(), [defect]);
    }
}

#[test]
fn latin_1_is_read_and_its_bytes_are_kept() {
    let line = b"<13>Mar 14 07:59:58 srv app[3]: Stra\xdfe gesperrt";
    let event = event_of(FrameKind::Line, line);
    assert_eq!(event.message(), "Straße gesperrt");
    assert_eq!(event.raw(), line);
    assert!(event.defects.contains(Defect::NotUtf8));
}

#[test]
fn an_array_is_no_event_object() {
    let event = event_of(FrameKind::Json, b"[1,2]");
    assert!(event.defects.contains(Defect::BadJson));
    assert_eq!(event.message(), "[1,2]");
}
