//! The golden table of products: what their lines become, honest ones and an attacker's.

use expect_test::expect;

use super::check;

#[test]
fn web_golden() {
    check(
        r#"203.0.113.9 - anna [14/Mar/2026:08:00:00 +0100] "GET /index.php?id=1%27 HTTP/1.1" 404 512 "https://example.net/" "Mozilla/5.0""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 user.name=anna http.request.method=GET http.version=1.1 url.original=/index.php?id=1%27 url.path=/index.php url.query=id=1%27 http.response.status_code=404 event.outcome=failure http.response.body.bytes=512 http.request.referrer=https://example.net/ user_agent.original=Mozilla/5.0"#]],
    );
    check(
        r#"www.example.net:443 203.0.113.9 - - [14/Mar/2026:08:00:00 +0100] "\x16\x03\x01" 400 226 "-" "-""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header bad_field
            event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 url.domain=www.example.net destination.port=443 url.original=\x16\x03\x01 http.response.status_code=400 event.outcome=failure http.response.body.bytes=226"#]],
    );
    check(
        r#"<134>Mar 14 08:00:00 web-1 nginx: 203.0.113.9 - - [14/Mar/2026:08:00:00 +0100] "GET / HTTP/1.1\" 200 1 \"-\" \"x" 200 7 "-" "curl/8""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=web-1 process.name=nginx event.module=nginx event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 http.request.method=GET http.version='1.1\" 200 1 \"-\" \"x' url.original=/ url.path=/ http.response.status_code=200 event.outcome=success http.response.body.bytes=7 user_agent.original=curl/8
            | 203.0.113.9 - - [14/Mar/2026:08:00:00 +0100] "GET / HTTP/1.1\" 200 1 \"-\" \"x" 200 7 "-" "curl/8""#]],
    );
    check(
        r#"<134>Mar 14 08:00:00 lb-1 haproxy[812]: 203.0.113.9:4711 [14/Mar/2026:08:00:00.885] front~ back/web-1 0/0/0/16/16 404 1541 - - ---- 1/1/1/1/0 0/0 "GET /x HTTP/1.1""#,
        expect![[r#"
            2026-03-14T07:00:00.885Z
            log.syslog.facility.name=local0 log.level=informational host.name=lb-1 process.name=haproxy process.pid=812 event.module=haproxy source.ip=203.0.113.9 source.port=4711 haproxy.frontend_name=front haproxy.backend_name=back haproxy.server_name=web-1 haproxy.timers=0/0/0/16/16 event.category=web event.type=access event.action=http_request http.response.status_code=404 event.outcome=failure http.response.body.bytes=1541 haproxy.termination_state=---- http.request.method=GET http.version=1.1 url.original=/x url.path=/x event.created=2026-03-14T07:00:00.000Z
            | 203.0.113.9:4711 [14/Mar/2026:08:00:00.885] front~ back/web-1 0/0/0/16/16 404 1541 - - ---- 1/1/1/1/0 0/0 "GET /x HTTP/1.1""#]],
    );
    check(
        r#"<134>Mar 14 08:00:00 lb-1 haproxy[812]: 203.0.113.9:4711 [14/Mar/2026:08:00:00.885] front/1: SSL handshake failure"#,
        expect![[r#"
            2026-03-14T07:00:00.885Z
            log.syslog.facility.name=local0 log.level=informational host.name=lb-1 process.name=haproxy process.pid=812 event.module=haproxy source.ip=203.0.113.9 source.port=4711 haproxy.frontend_name=front/1 event.category=network event.action=connection_error event.outcome=failure event.reason='SSL handshake failure' event.created=2026-03-14T07:00:00.000Z
            | 203.0.113.9:4711 [14/Mar/2026:08:00:00.885] front/1: SSL handshake failure"#]],
    );
    check(
        r#"2026/03/14 08:00:00 [error] 24537#230441: *914 user "anna": password mismatch, client: 203.0.113.9, server: x, request: "GET /intern HTTP/2.0", host: "intern.example.net""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=nginx log.level=error process.pid=24537 source.ip=203.0.113.9 http.request.method=GET http.version=2.0 url.original=/intern url.path=/intern url.domain=intern.example.net event.category=authentication event.action=http_login event.outcome=failure user.name=anna event.reason='password mismatch'"#]],
    );
    check(
        r#"[Sat Mar 14 08:00:00.000000 2026] [security2:error] [pid 1:tid 2] [client 203.0.113.9:4711] [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). Matched phrase "etc/passwd" at ARGS:a. [file "/etc/x.conf"] [line "97"] [id "930120"] [msg "OS File Access Attempt"] [data "found [id \"1\"] within"] [severity "CRITICAL"] [tag "attack-lfi"] [hostname "example.net"] [uri "/?a=../etc/passwd"] [unique_id "x"]"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=apache log.level=error process.pid=1 source.ip=203.0.113.9 source.port=4711 event.category=intrusion_detection event.dataset=modsecurity event.action=blocked event.outcome=failure modsecurity.file=/etc/x.conf modsecurity.line=97 rule.id=930120 rule.name='OS File Access Attempt' modsecurity.data='found [id \"1\"] within' modsecurity.severity=CRITICAL modsecurity.tag=attack-lfi url.domain=example.net url.original=/?a=../etc/passwd url.path=/ url.query=a=../etc/passwd modsecurity.unique_id=x http.response.status_code=403
            | [pid 1:tid 2] [client 203.0.113.9:4711] [client 203.0.113.9] ModSecurity: Access denied with code 403 (phase 2). Matched phrase "etc/passwd" at ARGS:a. [file "/etc/x.conf"] [line "97"] [id "930120"] [msg "OS File Access Attempt"] [data "found [id \"1\"] within"] [severity "CRITICAL"] [tag "attack-lfi"] [hostname "example.net"] [uri "/?a=../etc/passwd"] [unique_id "x"]"#]],
    );
}

#[test]
fn firewalls_golden() {
    check(
        r#"<134>1 2026-03-14T08:00:00+01:00 fw filterlog 698 - [meta sequenceId="1"] 10,,,02f4bab0,re0,match,block,in,4,0x0,,118,28579,0,none,6,tcp,132,203.0.113.9,192.0.2.1,49838,22,112,S,1,,2,,mss"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698 syslog.sd.meta.sequenceId=1 event.module=filterlog rule.id=02f4bab0 filterlog.rule=10 event.reason=match event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=re0 filterlog.ttl=118 network.transport=tcp network.bytes=132 source.ip=203.0.113.9 destination.ip=192.0.2.1 source.port=49838 destination.port=22 filterlog.tcp_flags=S
            | 10,,,02f4bab0,re0,match,block,in,4,0x0,,118,28579,0,none,6,tcp,132,203.0.113.9,192.0.2.1,49838,22,112,S,1,,2,,mss"#]],
    );
    check(
        r#"<134>1 2026-03-14T08:00:00+01:00 fw filterlog 698 - - 98,,,0,re0,match,pass,out,6,0x00,0x0ea87,51,udp,17,73,2001:db8::1,2001:db8::2,6881,53,73"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698 event.module=filterlog rule.id=98 filterlog.rule=98 event.reason=match event.category=network event.action=allowed event.type=allowed event.outcome=success network.direction=outbound observer.egress.interface.name=re0 filterlog.ttl=51 network.transport=udp network.bytes=73 source.ip=2001:db8::1 destination.ip=2001:db8::2 source.port=6881 destination.port=53
            | 98,,,0,re0,match,pass,out,6,0x00,0x0ea87,51,udp,17,73,2001:db8::1,2001:db8::2,6881,53,73"#]],
    );
    check(
        r#"<134>1 2026-03-14T08:00:00+01:00 fw filterlog 698 - - 98,,,0,re0,match"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698
            | 98,,,0,re0,match"#]],
    );
    check(
        r#"<134>Mar 14 08:00:00 gw firewall,info drop-in input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:17:10:88:bc:02, proto TCP (SYN), [2001:db8::1]:4711->[2001:db8::2]:22, len 40"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=firewall,info event.category=network event.action=blocked event.type=denied event.outcome=failure rule.name=drop-in mikrotik.chain=input observer.ingress.interface.name=ether1 source.mac=00:17:10:88:bc:02 mikrotik.connection_state=new network.transport=tcp mikrotik.flags=SYN source.ip=2001:db8::1 source.port=4711 destination.ip=2001:db8::2 destination.port=22 network.bytes=40
            | firewall,info drop-in input: in:ether1 out:(unknown 0), connection-state:new src-mac 00:17:10:88:bc:02, proto TCP (SYN), [2001:db8::1]:4711->[2001:db8::2]:22, len 40"#]],
    );
    check(
        r#"<134>Mar 14 08:00:00 gw system,error,critical login failure for user anna from 10.0.0.1 from 203.0.113.9 via winbox"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=system,error,critical event.category=authentication event.action=login event.outcome=failure user.name='anna from 10.0.0.1' source.ip=203.0.113.9 mikrotik.service=winbox
            | system,error,critical login failure for user anna from 10.0.0.1 from 203.0.113.9 via winbox"#]],
    );
    check(
        r#"<166>Mar 14 2026 08:00:00 asa-1 : %ASA-6-302013: Built inbound TCP connection 17 for outside:203.0.113.9/4711 (203.0.113.9/4711) to inside:10.0.0.1/443 (192.0.2.1/443)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=302013 cisco.facility=ASA event.category=network event.action=allowed event.type=allowed event.outcome=success network.transport=tcp observer.ingress.interface.name=outside source.ip=203.0.113.9 source.port=4711 observer.egress.interface.name=inside destination.ip=10.0.0.1 destination.port=443 network.direction=inbound
            | %ASA-6-302013: Built inbound TCP connection 17 for outside:203.0.113.9/4711 (203.0.113.9/4711) to inside:10.0.0.1/443 (192.0.2.1/443)"#]],
    );
    check(
        r#"<166>Mar 14 2026 08:00:30 asa-1 : %ASA-6-302014: Teardown TCP connection 17 for outside:203.0.113.9/4711 to inside:10.0.0.1/443 duration 0:00:30 bytes 1234 TCP FINs"#,
        expect![[r#"
            2026-03-14T07:00:30.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=302014 cisco.facility=ASA event.category=network event.type=end event.action=connection_end network.transport=tcp observer.ingress.interface.name=outside source.ip=203.0.113.9 source.port=4711 observer.egress.interface.name=inside destination.ip=10.0.0.1 destination.port=443 network.bytes=1234 event.reason='TCP FINs' event.duration=30000000000
            | %ASA-6-302014: Teardown TCP connection 17 for outside:203.0.113.9/4711 to inside:10.0.0.1/443 duration 0:00:30 bytes 1234 TCP FINs"#]],
    );
    check(
        r#"<164>Mar 14 2026 08:00:00: %ASA-4-106023: Deny tcp src outside:203.0.113.9/4711 dst inside:10.0.0.1/23 by access-group "outside_in" [0x0, 0x0]"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_host
            log.syslog.facility.name=local4 log.level=warning event.module=cisco event.code=106023 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=tcp observer.ingress.interface.name=outside source.ip=203.0.113.9 source.port=4711 observer.egress.interface.name=inside destination.ip=10.0.0.1 destination.port=23 rule.name=outside_in
            | %ASA-4-106023: Deny tcp src outside:203.0.113.9/4711 dst inside:10.0.0.1/23 by access-group "outside_in" [0x0, 0x0]"#]],
    );
    check(
        r#"<166>Mar 14 2026 08:00:00 asa-1 : %ASA-6-113005: AAA user authentication Rejected : reason = AAA failure : server = 10.0.0.5 : user = anna : user IP = 203.0.113.9"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=113005 cisco.facility=ASA event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=203.0.113.9 event.reason='AAA failure'
            | %ASA-6-113005: AAA user authentication Rejected : reason = AAA failure : server = 10.0.0.5 : user = anna : user IP = 203.0.113.9"#]],
    );
    check(
        r#"<190>45: *Mar 14 08:00:00.123: %SEC-6-IPACCESSLOGP: list 102 denied tcp 203.0.113.9(4711) -> 10.0.0.1(23), 1 packet"#,
        expect![[r#"
            2026-03-14T07:00:00.123Z no_year no_host unsure_clock
            log.syslog.facility.name=local7 log.level=informational event.module=cisco event.code=IPACCESSLOGP cisco.facility=SEC event.category=network event.action=blocked event.type=denied event.outcome=failure rule.name=102 network.transport=tcp source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 destination.port=23
            | %SEC-6-IPACCESSLOGP: list 102 denied tcp 203.0.113.9(4711) -> 10.0.0.1(23), 1 packet"#]],
    );
    check(
        r#"<190>46: Mar 14 2026 08:00:00.123 CET: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: anna] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 08:00:00 CET Sat Mar 14 2026"#,
        expect![[r#"
            2026-03-14T07:00:00.123Z no_host
            log.syslog.facility.name=local7 log.level=informational event.module=cisco event.code=LOGIN_FAILED cisco.facility=SEC_LOGIN event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=203.0.113.9 destination.port=22 event.reason='Login Authentication Failed'
            | %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: anna] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 08:00:00 CET Sat Mar 14 2026"#]],
    );
    check(
        r#"<13>Mar 14 08:00:00 h app: 100% done: nothing to see"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=app
            | 100% done: nothing to see"#]],
    );
}

#[test]
fn mail_golden() {
    check(
        r#"<22>Mar 14 08:00:00 mx postfix/smtpd[1]: warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=anna@example.net"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email event.category=authentication event.action=smtp_login event.outcome=failure source.ip=203.0.113.9 postfix.sasl_method=LOGIN event.reason=UGFzc3dvcmQ6 user.name=anna@example.net
            | warning: unknown[203.0.113.9]: SASL LOGIN authentication failed: UGFzc3dvcmQ6, sasl_username=anna@example.net"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from mail.example.net[203.0.113.9]: 554 5.7.1 <b@example.org>: Relay access denied; from=<a@example.net> to=<b@example.org> proto=ESMTP helo=<mail>"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email postfix.queue_id=NOQUEUE event.action=smtp_reject event.type=denied event.outcome=failure postfix.stage=RCPT source.ip=203.0.113.9 source.domain=mail.example.net postfix.reply_code=554 event.reason='554 5.7.1 <b@example.org>: Relay access denied' email.from.address=a@example.net email.to.address=b@example.org postfix.helo=mail
            | NOQUEUE: reject: RCPT from mail.example.net[203.0.113.9]: 554 5.7.1 <b@example.org>: Relay access denied; from=<a@example.net> to=<b@example.org> proto=ESMTP helo=<mail>"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx postfix/smtp[1]: 83B741009CD35: to=<b@example.org>, relay=mx.example.org[198.51.100.7]:25, delay=0.5, delays=0/0/0/0.5, dsn=2.0.0, status=sent (250 ok)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=postfix/smtp process.pid=1 event.module=postfix event.category=email postfix.queue_id=83B741009CD35 email.to.address=b@example.org event.action=mail_delivery postfix.status=sent event.outcome=success event.reason='250 ok' destination.domain=mx.example.org destination.ip=198.51.100.7
            | 83B741009CD35: to=<b@example.org>, relay=mx.example.org[198.51.100.7]:25, delay=0.5, delays=0/0/0/0.5, dsn=2.0.0, status=sent (250 ok)"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx postfix/postscreen[1]: PREGREET 11 after 0.1 from [203.0.113.9]:4711: EHLO User\r\n"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=postfix/postscreen process.pid=1 event.module=postfix event.category=email event.action=smtp_pregreet source.ip=203.0.113.9
            | PREGREET 11 after 0.1 from [203.0.113.9]:4711: EHLO User\r\n"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx dovecot: imap-login: Login: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=10.0.0.1, mpid=7, TLS, session=<x>"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap-login network.protocol=imap event.category=authentication event.action=mail_login event.outcome=success user.name=anna source.ip=203.0.113.9 destination.ip=10.0.0.1 dovecot.method=PLAIN
            | imap-login: Login: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=10.0.0.1, mpid=7, TLS, session=<x>"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx dovecot: auth-worker(1): conn unix:auth-worker (pid=1,uid=2): auth-worker<4>: pam(anna,203.0.113.9): unknown user"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=dovecot event.module=dovecot dovecot.service=auth-worker event.category=authentication event.action=mail_login event.outcome=failure user.name=anna source.ip=203.0.113.9 event.reason='unknown user'
            | auth-worker(1): conn unix:auth-worker (pid=1,uid=2): auth-worker<4>: pam(anna,203.0.113.9): unknown user"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx exim[1]: login authenticator failed for (User) [203.0.113.9]:4711: 535 Incorrect authentication data (set_id=anna)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=exim process.pid=1 event.module=exim event.category=authentication event.action=smtp_login event.outcome=failure exim.authenticator=login source.ip=203.0.113.9 source.port=4711 exim.helo=User user.name=anna event.reason='535 Incorrect authentication data'
            | login authenticator failed for (User) [203.0.113.9]:4711: 535 Incorrect authentication data (set_id=anna)"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx amavis[1]: (1-09) Blocked INFECTED (Eicar-Test) {DiscardedInbound,Quarantined}, [203.0.113.9]:1434 [203.0.113.9] <a@example.net> -> <b@example.org>,<c@example.org>, Queue-ID: 83B7, Message-ID: <1@x>, Hits: -"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=amavis process.pid=1 event.module=amavis event.category=malware event.action=blocked event.outcome=failure amavis.class=INFECTED threat.indicator.name=Eicar-Test source.ip=203.0.113.9 source.port=1434 email.from.address=a@example.net email.to.address=b@example.org email.to.address=c@example.org email.message_id=1@x amavis.queue_id=83B7
            | (1-09) Blocked INFECTED (Eicar-Test) {DiscardedInbound,Quarantined}, [203.0.113.9]:1434 [203.0.113.9] <a@example.net> -> <b@example.org>,<c@example.org>, Queue-ID: 83B7, Message-ID: <1@x>, Hits: -"#]],
    );
}

#[test]
fn names_and_tunnels_golden() {
    check(
        r#"<30>Mar 14 08:00:00 ns named[1]: client @0x7f6 203.0.113.9#3076 (example.com): query (cache) 'example.com/ANY/IN' denied"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=ns process.name=named process.pid=1 event.module=bind source.ip=203.0.113.9 source.port=3076 event.category=network event.action=dns_query event.outcome=failure event.type=denied network.protocol=dns dns.question.name=example.com dns.question.type=ANY event.reason=denied
            | client @0x7f6 203.0.113.9#3076 (example.com): query (cache) 'example.com/ANY/IN' denied"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 ns named[1]: client @0x7f6 203.0.113.9#3076 (example.com): view intern: query: example.com IN A +E(0)K (10.0.0.53)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=ns process.name=named process.pid=1 event.module=bind source.ip=203.0.113.9 source.port=3076 event.category=network event.action=dns_query event.outcome=success network.protocol=dns dns.question.name=example.com dns.question.type=A destination.ip=10.0.0.53
            | client @0x7f6 203.0.113.9#3076 (example.com): view intern: query: example.com IN A +E(0)K (10.0.0.53)"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 ns unbound[1]: [1:0] info: 10.0.0.7 example.com. A IN NXDOMAIN 0.1 0 40"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=ns process.name=unbound process.pid=1 event.module=unbound event.category=network event.action=dns_query event.outcome=failure network.protocol=dns dns.question.name=example.com dns.question.type=A source.ip=10.0.0.7
            | [1:0] info: 10.0.0.7 example.com. A IN NXDOMAIN 0.1 0 40"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 ns dnsmasq[1]: query[AAAA] example.com from 10.0.0.7"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=ns process.name=dnsmasq process.pid=1 event.module=dnsmasq event.category=network event.action=dns_query network.protocol=dns dns.question.name=example.com dns.question.type=AAAA source.ip=10.0.0.7
            | query[AAAA] example.com from 10.0.0.7"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 vpn charon: 06[NET] <c|83> sending packet: from 192.0.2.1[4500] to 203.0.113.9[28808] (1172 bytes)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=vpn process.name=charon event.module=strongswan event.category=network strongswan.subsystem=NET strongswan.connection=c|83 event.action=ike_packet_sent source.ip=203.0.113.9 source.port=28808 destination.ip=192.0.2.1 destination.port=4500
            | 06[NET] <c|83> sending packet: from 192.0.2.1[4500] to 203.0.113.9[28808] (1172 bytes)"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 vpn charon: 06[IKE] <c|83> EAP-MS-CHAPv2 verification failed, retry (1)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=vpn process.name=charon event.module=strongswan event.category=network strongswan.subsystem=IKE strongswan.connection=c|83 event.category=authentication event.action=vpn_login event.outcome=failure event.reason='EAP-MS-CHAPv2 verification failed, retry (1)'
            | 06[IKE] <c|83> EAP-MS-CHAPv2 verification failed, retry (1)"#]],
    );
    check(
        r#"<4>Mar 14 08:00:00 vpn kernel: [82508.1] wireguard: wg0: Invalid handshake initiation from 203.0.113.9:51820"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=vpn process.name=kernel event.module=wireguard observer.ingress.interface.name=wg0 event.category=authentication event.action=vpn_handshake event.outcome=failure event.reason='Invalid handshake initiation' source.ip=203.0.113.9 source.port=51820
            | [82508.1] wireguard: wg0: Invalid handshake initiation from 203.0.113.9:51820"#]],
    );
    check(
        r#"<29>Mar 14 08:00:00 vpn openvpn[1]: 203.0.113.9:4711 TLS Auth Error: Auth Username/Password verification failed for peer"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=notice host.name=vpn process.name=openvpn process.pid=1 event.module=openvpn source.ip=203.0.113.9 source.port=4711 event.category=authentication event.action=vpn_login event.outcome=failure event.reason='TLS Auth Error: Auth Username/Password verification failed for peer'
            | 203.0.113.9:4711 TLS Auth Error: Auth Username/Password verification failed for peer"#]],
    );
    check(
        r#"<29>Mar 14 08:00:00 vpn openvpn[1]: 203.0.113.9:4711 [anna] Peer Connection Initiated with [AF_INET]203.0.113.9:4711"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=notice host.name=vpn process.name=openvpn process.pid=1 event.module=openvpn source.ip=203.0.113.9 source.port=4711 event.category=authentication event.action=vpn_login event.outcome=success user.name=anna
            | 203.0.113.9:4711 [anna] Peer Connection Initiated with [AF_INET]203.0.113.9:4711"#]],
    );
}

#[test]
fn applications_golden() {
    check(
        r#"2026-03-14  8:00:00 8 [Warning] Access denied for user 'a'@'b'@'203.0.113.9' (using password: YES)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=mysql event.category=authentication event.action=database_login event.outcome=failure user.name=a'@'b source.ip=203.0.113.9 mysql.using_password=YES log.level=warning"#]],
    );
    check(
        r#"2026-03-14 08:00:00.425 UTC [53962] anna@db FATAL:  password authentication failed for user "anna""#,
        expect![[r#"
            2026-03-14T08:00:00.425Z no_header
            event.module=postgresql event.category=authentication event.action=database_login event.outcome=failure user.name=anna event.reason='password authentication failed for user "anna"' process.pid=53962 postgresql.database=db"#]],
    );
    check(
        r#"03/14/2026-08:00:00.860293  [**] [1:2008578:4] ET SCAN Sipvicious Scan [**] [Classification: Attempted Information Leak] [Priority: 2] {UDP} 2001:db8::1:5116 -> 10.0.0.1:5060"#,
        expect![[r#"
            2026-03-14T07:00:00.860Z no_header
            event.module=suricata event.kind=alert event.category=intrusion_detection event.action=detected rule.id=2008578 rule.name='ET SCAN Sipvicious Scan' suricata.gid=1 suricata.rev=4 suricata.classification='Attempted Information Leak' event.severity=2 network.transport=udp source.ip=2001:db8::1 source.port=5116 destination.ip=10.0.0.1 destination.port=5060"#]],
    );
    check(
        r#"2026-03-14 08:00:00,357 WARN  [org.keycloak.events] (executor-thread-1) type="LOGIN_ERROR", realmId="r", clientId="c", userId="null", ipAddress="203.0.113.9", error="user_not_found", username="anna""#,
        expect![[r#"
            2026-03-14T07:00:00.357Z no_header
            event.module=keycloak log.level=warning keycloak.realmId=r keycloak.clientId=c source.ip=203.0.113.9 event.reason=user_not_found user.name=anna event.category=authentication event.action=login event.outcome=failure keycloak.type=LOGIN_ERROR"#]],
    );
}

#[test]
fn windows_golden() {
    check(
        "<13>Mar 14 08:00:00 pc-7 MSWinEventLog\t1\tSecurity\t17\tSat Mar 14 08:00:00 2026\t4625\tMicrosoft-Windows-Security-Auditing\tN/A\tN/A\tFailure Audit\tpc-7\tLogon\t\tAn account failed to log on.    Subject:   Account Name:  -    Logon Type:   3    Account For Which Logon Failed:   Account Name:  anna   Account Domain:  KREIS    Failure Information:   Failure Reason:  Unknown user name or bad password.   Status:   0xC000006D    Network Information:   Workstation Name: PC-9   Source Network Address: 203.0.113.9   Source Port:  4711\t17",
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=pc-7 event.module=windows event.code=4625 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4625 winlog.computer_name=pc-7 winlog.keywords='Failure Audit' winlog.task=Logon winlog.event_data.LogonType=3 winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=KREIS winlog.event_data.FailureReason='Unknown user name or bad password.' winlog.event_data.Status=0xC000006D winlog.event_data.WorkstationName=PC-9 winlog.event_data.IpAddress=203.0.113.9 winlog.event_data.IpPort=4711 winlog.logon.type=Network user.name=anna user.domain=KREIS event.reason='wrong user name or password' source.domain=PC-9 source.ip=203.0.113.9 source.port=4711 event.category=authentication event.type=start event.action=logon event.outcome=failure
            | MSWinEventLog	1	Security	17	Sat Mar 14 08:00:00 2026	4625	Microsoft-Windows-Security-Auditing	N/A	N/A	Failure Audit	pc-7	Logon		An account failed to log on.    Subject:   Account Name:  -    Logon Type:   3    Account For Which Logon Failed:   Account Name:  anna   Account Domain:  KREIS    Failure Information:   Failure Reason:  Unknown user name or bad password.   Status:   0xC000006D    Network Information:   Workstation Name: PC-9   Source Network Address: 203.0.113.9   Source Port:  4711	17"#]],
    );
    check(
        r#"<14>Mar 14 08:00:00 pc-7 x: <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name='Microsoft-Windows-Sysmon' Guid="{1}"/><EventID>1</EventID><TimeCreated SystemTime="2026-03-14T07:00:00.6206890Z"/><EventRecordID>9</EventRecordID><Channel>Microsoft-Windows-Sysmon/Operational</Channel><Computer>pc-7</Computer></System><EventData><Data Name="Image">C:\Windows\System32\cmd.exe</Data><Data Name="CommandLine">cmd /c echo &lt;a&gt; &amp;&amp; whoami</Data><Data Name="ParentImage">C:\x.exe</Data><Data Name="User">KREIS\anna</Data><Data/></EventData></Event>"#,
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational host.name=pc-7 event.module=windows event.code=1 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.record_id=9 winlog.event_id=1 winlog.computer_name=pc-7 winlog.provider_guid={1} winlog.event_data.Image=C:\Windows\System32\cmd.exe winlog.event_data.CommandLine='cmd /c echo <a> && whoami' winlog.event_data.ParentImage=C:\x.exe winlog.event_data.User=KREIS\anna process.executable=C:\Windows\System32\cmd.exe process.name=cmd.exe process.command_line='cmd /c echo <a> && whoami' process.parent.executable=C:\x.exe process.parent.name=x.exe user.name=anna user.domain=KREIS event.category=process event.type=start event.action=process_started event.outcome=success event.created=2026-03-14T07:00:00.000Z
            | <Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System><Provider Name='Microsoft-Windows-Sysmon' Guid="{1}"/><EventID>1</EventID><TimeCreated SystemTime="2026-03-14T07:00:00.6206890Z"/><EventRecordID>9</EventRecordID><Channel>Microsoft-Windows-Sysmon/Operational</Channel><Computer>pc-7</Computer></System><EventData><Data Name="Image">C:\Windows\System32\cmd.exe</Data><Data Name="CommandLine">cmd /c echo &lt;a&gt; &amp;&amp; whoami</Data><Data Name="ParentImage">C:\x.exe</Data><Data Name="User">KREIS\anna</Data><Data/></EventData></Event>"#]],
    );
    check(
        r#"<14>Mar 14 08:00:00 pc-7 x: <Event><System><EventID>4624</EventID><Channel>Security"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z no_year
        log.syslog.facility.name=user log.level=informational host.name=pc-7 process.name=x event.module=windows event.code=4624 winlog.event_id=4624
        | <Event><System><EventID>4624</EventID><Channel>Security"#]],
    );
}

#[test]
fn exports_golden() {
    check(
        r#"<13>Mar 14 08:00:00 gw CEF:0|Check Point|VPN-1|1.0|drop|Drop\|ped|5|act=Drop src=203.0.113.9 spt=4711 dst=10.0.0.1 dpt=23 proto=TCP msg=a b\=c d cs1Label=Rule Name cs1=clean up"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=gw event.module=cef observer.vendor='Check Point' observer.product=VPN-1 event.code=drop rule.name=Drop|ped event.severity=5 event.category=network event.action=blocked event.type=denied event.outcome=failure source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 destination.port=23 network.transport=tcp cef.msg='a b=c d' cef.cs1Label='Rule Name' cef.cs1='clean up'
            | CEF:0|Check Point|VPN-1|1.0|drop|Drop\|ped|5|act=Drop src=203.0.113.9 spt=4711 dst=10.0.0.1 dpt=23 proto=TCP msg=a b\=c d cs1Label=Rule Name cs1=clean up"#]],
    );
    check(
        r#"<13>Mar 14 08:00:00 gw LEEF:2.0|Vendor|Product|1.0|login|^|src=203.0.113.9^usrName=anna^action=deny"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=gw event.module=leef observer.vendor=Vendor observer.product=Product event.code=login source.ip=203.0.113.9 source.user.name=anna event.category=network event.action=blocked event.type=denied event.outcome=failure
        | LEEF:2.0|Vendor|Product|1.0|login|^|src=203.0.113.9^usrName=anna^action=deny"#]],
    );
    check(
        r#"<14>Mar 14 08:00:00 pa-1 1,2026/03/14 08:00:00,0164,THREAT,vulnerability,2561,2026/03/14 08:00:00,203.0.113.9,10.0.0.1,203.0.113.9,10.0.0.1,rule0,,,ssh,vsys1,Untrust,DMZ,vlan.1,aaa.1,fwd,2026/03/14 08:00:00,238810,23,4711,22,4711,22,0x402400,tcp,reset-both,,SSH Brute Force(40015),any,high,client-to-server,72,0x8,Germany,France"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pa-1 event.module=panos observer.vendor='Palo Alto Networks' observer.product=PAN-OS panos.type=THREAT panos.subtype=vulnerability observer.serial_number=0164 source.ip=203.0.113.9 destination.ip=10.0.0.1 panos.nat_source_ip=203.0.113.9 panos.nat_destination_ip=10.0.0.1 panos.source_zone=Untrust panos.destination_zone=DMZ panos.vsys=vsys1 panos.session_id=238810 rule.name=rule0 network.application=ssh observer.ingress.interface.name=vlan.1 observer.egress.interface.name=aaa.1 source.port=4711 destination.port=22 network.transport=tcp panos.action=reset-both event.category=network event.action=blocked event.type=denied event.outcome=failure event.kind=alert event.category=intrusion_detection threat.indicator.name='SSH Brute Force' event.code=40015 panos.severity=high panos.direction=client-to-server source.geo.country_name=Germany destination.geo.country_name=France
            | 1,2026/03/14 08:00:00,0164,THREAT,vulnerability,2561,2026/03/14 08:00:00,203.0.113.9,10.0.0.1,203.0.113.9,10.0.0.1,rule0,,,ssh,vsys1,Untrust,DMZ,vlan.1,aaa.1,fwd,2026/03/14 08:00:00,238810,23,4711,22,4711,22,0x402400,tcp,reset-both,,SSH Brute Force(40015),any,high,client-to-server,72,0x8,Germany,France"#]],
    );
    check(
        r#"2026-03-14T07:00:00.530Z,000E,2,10.0.0.1:143,203.0.113.9:35070,anna,168,31,31,authenticate,PLAIN,"R=""2 NO AUTHENTICATE failed."";ErrMsg=AuthFailed:LogonDenied","#,
        expect![[r#"
            2026-03-14T07:00:00.530Z no_header
            exchange.sessionId=000E exchange.seqNumber=2 user.name=anna exchange.rqsize=31 exchange.rpsize=31 exchange.command=authenticate exchange.parameters=PLAIN exchange.context='R=""2 NO AUTHENTICATE failed."";ErrMsg=AuthFailed:LogonDenied' event.module=exchange event.dataset=exchange.mailbox destination.ip=10.0.0.1 destination.port=143 source.ip=203.0.113.9 source.port=35070 event.duration=168000000 network.protocol=imap event.category=authentication event.action=mail_login event.outcome=failure event.reason=AuthFailed:LogonDenied"#]],
    );
    check(
        r#"type=EXECVE msg=audit(1773471600.037:8272): argc=3 a0="bash" a1="-c" a2=6563686F204869"#,
        expect![[r#"
        2026-03-14T07:00:00.037Z no_header
        event.module=auditd auditd.type=EXECVE auditd.sequence=8272 auditd.a0=bash auditd.a1=-c auditd.a2='echo Hi' process.command_line='bash -c echo Hi' event.category=process event.action=process_started"#]],
    );
    check(
        r#"<13>Mar 14 08:00:00 h audispd: type=USER_LOGIN msg=audit(1773471600.037:9): pid=7 uid=0 auid=1000 ses=1 msg='op=login acct="anna" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=failed'"#,
        expect![[r#"
            2026-03-14T07:00:00.037Z
            log.syslog.facility.name=user log.level=notice host.name=h process.name=audispd event.module=auditd auditd.type=USER_LOGIN auditd.sequence=9 process.pid=7 user.id=0 auditd.auid=1000 auditd.ses=1 auditd.op=login user.name=anna process.executable=/usr/sbin/sshd source.ip=203.0.113.9 auditd.terminal=sshd event.outcome=failure event.category=authentication event.action=login event.created=2026-03-14T07:00:00.000Z
            | type=USER_LOGIN msg=audit(1773471600.037:9): pid=7 uid=0 auid=1000 ses=1 msg='op=login acct="anna" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=failed'"#]],
    );
    check(
        r#"1773471600.123     45 10.0.0.7 TCP_DENIED/403 1234 CONNECT example.net:443 anna HIER_NONE/- text/html"#,
        expect![[r#"
        2026-03-14T07:00:00.123Z no_header
        event.module=squid event.type=access event.category=web event.action=blocked event.outcome=failure source.ip=10.0.0.7 squid.result=TCP_DENIED http.response.status_code=403 http.response.body.bytes=1234 http.request.method=CONNECT url.domain=example.net destination.port=443 user.name=anna"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 gw dhcpd[1]: DHCPACK on 10.0.0.7 to 00:11:22:33:44:55 (pc-7) via eth0"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=gw process.name=dhcpd process.pid=1 event.module=dhcp event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp observer.ingress.interface.name=eth0 source.ip=10.0.0.7 source.mac=00:11:22:33:44:55 source.domain=pc-7
            | DHCPACK on 10.0.0.7 to 00:11:22:33:44:55 (pc-7) via eth0"#]],
    );
    check(
        r#"<30>Mar 14 08:00:00 gw dnsmasq-dhcp[1]: DHCPACK(eth0) 10.0.0.7 00:11:22:33:44:55 pc-7"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=gw process.name=dnsmasq-dhcp process.pid=1 event.module=dhcp event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp source.ip=10.0.0.7 source.mac=00:11:22:33:44:55 source.domain=pc-7 observer.ingress.interface.name=eth0
            | DHCPACK(eth0) 10.0.0.7 00:11:22:33:44:55 pc-7"#]],
    );
}

#[test]
fn products_in_json_golden() {
    check(
        r#"{"timestamp":"2026-03-14T08:00:00.5+0100","event_type":"alert","src_ip":"203.0.113.9","src_port":4711,"dest_ip":"10.0.0.1","dest_port":80,"proto":"TCP","alert":{"action":"blocked","signature_id":2024468,"signature":"ET X","severity":1},"http":{"hostname":"example.net","url":"/a?b=1","http_method":"POST"}}"#,
        expect![[r#"
            2026-03-14T07:00:00.500Z
            event_type=alert source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 destination.port=80 proto=TCP alert.action=blocked alert.signature_id=2024468 alert.signature='ET X' alert.severity=1 http.hostname=example.net http.url=/a?b=1 http.http_method=POST event.module=suricata rule.id=2024468 rule.name='ET X' event.severity=1 url.domain=example.net http.request.method=POST network.transport=tcp url.original=/a?b=1 url.path=/a url.query=b=1 event.kind=alert event.category=intrusion_detection event.action=blocked event.outcome=failure"#]],
    );
    check(
        r#"{"EventTime":"2026-03-14 08:00:00","Hostname":"pc-7","EventID":4625,"Channel":"Security","SourceName":"Microsoft-Windows-Security-Auditing","TargetUserName":"anna","IpAddress":"203.0.113.9","LogonType":"3","Message":"An account failed to log on."}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            host.name=pc-7 winlog.event_id=4625 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_data.TargetUserName=anna winlog.event_data.IpAddress=203.0.113.9 winlog.event_data.LogonType=3 event.module=windows event.code=4625 winlog.computer_name=pc-7 user.name=anna source.ip=203.0.113.9 winlog.logon.type=Network event.category=authentication event.type=start event.action=logon event.outcome=failure
            | An account failed to log on."#]],
    );
    check(
        r#"{"@timestamp":"2026-03-14T07:00:00Z","winlog":{"event_id":1,"channel":"Microsoft-Windows-Sysmon/Operational","provider_name":"Microsoft-Windows-Sysmon","computer_name":"pc-7","event_data":{"Image":"C:\\x.exe","CommandLine":"x /c"}},"message":"Process Create"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            winlog.event_id=1 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.computer_name=pc-7 winlog.event_data.Image=C:\x.exe winlog.event_data.CommandLine='x /c' event.module=windows event.code=1 host.name=pc-7 process.executable=C:\x.exe process.name=x.exe process.command_line='x /c' event.category=process event.type=start event.action=process_started event.outcome=success
            | Process Create"#]],
    );
    check(
        r#"{"reqId":"1","level":2,"time":"2026-03-14T08:00:00+01:00","remoteAddr":"203.0.113.9","user":"--","app":"core","method":"POST","url":"/login","message":"Login failed: anna (Remote IP: 203.0.113.9)","userAgent":"curl/8"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            reqId=1 log.level=critical remoteAddr=203.0.113.9 app=core method=POST url=/login userAgent=curl/8 event.module=nextcloud source.ip=203.0.113.9 http.request.method=POST user_agent.original=curl/8 network.application=core url.original=/login url.path=/login event.category=authentication event.action=login event.outcome=failure user.name=anna
            | Login failed: anna (Remote IP: 203.0.113.9)"#]],
    );
}
