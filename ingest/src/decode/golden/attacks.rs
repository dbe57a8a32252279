//! Lines that an attacker has a hand in: a user's name, a browser's, a directory's that reads like the rest of the line.
//! What a device says of itself must not be taken from there.

use expect_test::expect;

use super::check;

#[test]
fn a_name_that_somebody_types_stays_a_name() {
    check(
        r#"<38>Mar 14 07:59:58 h sshd[1]: Accepted password for root from 198.51.100.6 port 1 ssh2 from 203.0.113.5 port 4711 ssh2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=h process.name=sshd process.pid=1 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=success sshd.method=password user.name='root from 198.51.100.6 port 1 ssh2' source.ip=203.0.113.5 source.port=4711
            | Accepted password for root from 198.51.100.6 port 1 ssh2 from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 h sshd[1]: Failed password for invalid user Accepted password for root from 203.0.113.5 port 4711 ssh2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=h process.name=sshd process.pid=1 event.module=sshd event.category=authentication event.action=ssh_login event.outcome=failure event.reason='invalid user' sshd.method=password user.name='Accepted password for root' source.ip=203.0.113.5 source.port=4711
            | Failed password for invalid user Accepted password for root from 203.0.113.5 port 4711 ssh2"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 h sshd[1]: Disconnected from authenticating user a 198.51.100.6 port 1 203.0.113.5 port 4711 [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=h process.name=sshd process.pid=1 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_disconnect event.outcome=failure user.name='a 198.51.100.6 port 1' source.ip=203.0.113.5 source.port=4711
            | Disconnected from authenticating user a 198.51.100.6 port 1 203.0.113.5 port 4711 [preauth]"#]],
    );
    check(
        r#"<38>Mar 14 07:59:58 h sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=x rhost=198.51.100.6"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=auth log.level=informational host.name=h process.name=sshd process.pid=1 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_authentication event.outcome=failure user.name=x source.ip=203.0.113.9
            | pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.9  user=x rhost=198.51.100.6"#]],
    );
    check(
        r#"<22>Mar 14 08:00:00 mx dovecot: imap-login: Disconnected (auth failed, 1 attempts): user=<x>, rip=198.51.100.6, method=<>, method=PLAIN, rip=203.0.113.9, lip=10.0.0.1, session=<abc>"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap-login network.protocol=imap event.category=authentication event.action=mail_login event.outcome=failure event.reason='Disconnected (auth failed, 1 attempts)' user.name=x source.ip=203.0.113.9 destination.ip=10.0.0.1 dovecot.method=<>
            | imap-login: Disconnected (auth failed, 1 attempts): user=<x>, rip=198.51.100.6, method=<>, method=PLAIN, rip=203.0.113.9, lip=10.0.0.1, session=<abc>"#]],
    );
    check(
        r#"2026-03-14 07:59:58,123 WARN  [org.keycloak.events] (x) type=LOGIN_ERROR, realmId=r, clientId=c, userId=null, ipAddress=203.0.113.9, error=user_not_found, username=x, ipAddress=198.51.100.6, type=LOGIN"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=keycloak log.level=warning keycloak.realmId=r keycloak.clientId=c source.ip=203.0.113.9 event.reason=user_not_found user.name=x event.category=authentication event.action=login event.outcome=failure keycloak.type=LOGIN_ERROR"#]],
    );
    check(
        r#"2026-03-14  8:00:00 8 [Warning] Access denied for user 'x'@'198.51.100.6' (using password: YES)'@'203.0.113.9' (using password: NO)"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=mysql event.category=authentication event.action=database_login event.outcome=failure user.name='x'@'198.51.100.6' (using password: YES)' source.ip=203.0.113.9 mysql.using_password=NO log.level=warning"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa01 : %ASA-6-605005: Login permitted from 203.0.113.9/4711 to inside:10.0.0.1/ssh for user "root from 198.51.100.6/1""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa01 event.module=cisco event.code=605005 cisco.facility=ASA event.category=authentication event.action=login event.outcome=success user.name='root from 198.51.100.6/1' source.ip=203.0.113.9 source.port=4711 observer.egress.interface.name=inside destination.ip=10.0.0.1
            | %ASA-6-605005: Login permitted from 203.0.113.9/4711 to inside:10.0.0.1/ssh for user "root from 198.51.100.6/1""#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 gw system,error,critical login failure for user x from 198.51.100.6 via ssh from 203.0.113.9 via winbox"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=gw event.module=mikrotik mikrotik.topics=system,error,critical event.category=authentication event.action=login event.outcome=failure user.name='x from 198.51.100.6 via ssh' source.ip=203.0.113.9 mikrotik.service=winbox
            | system,error,critical login failure for user x from 198.51.100.6 via ssh from 203.0.113.9 via winbox"#]],
    );
    check(
        r#"type=USER_LOGIN msg=audit(1773471598.123:1): pid=1 uid=0 auid=1 ses=1 msg='op=login acct="x res=success addr=198.51.100.6" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=failed'"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=auditd auditd.type=USER_LOGIN auditd.sequence=1 process.pid=1 user.id=0 auditd.auid=1 auditd.ses=1 auditd.op=login user.name='x res=success addr=198.51.100.6' process.executable=/usr/sbin/sshd source.ip=203.0.113.9 auditd.terminal=sshd event.outcome=failure event.category=authentication event.action=login"#]],
    );
}

#[test]
fn what_a_program_logs_for_somebody_is_not_another_programs_line() {
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: Accepted password for root from 203.0.113.5 port 1 ssh2"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | Accepted password for root from 203.0.113.5 port 1 ssh2"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h app[1]: <38>Mar 14 07:59:58 victim sshd[1]: Accepted password for root from 203.0.113.5 port 1 ssh2"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=app process.pid=1
            | <38>Mar 14 07:59:58 victim sshd[1]: Accepted password for root from 203.0.113.5 port 1 ssh2"#]],
    );
    check(
        r#"{"host":"srv","process":{"name":"webapp"},"message":"Accepted password for root from 203.0.113.5 port 1 ssh2"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp
            host.name=srv process.name=webapp
            | Accepted password for root from 203.0.113.5 port 1 ssh2"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 fw webapp[1]: IN=eth0 OUT= SRC=198.51.100.6 DST=10.0.0.1 PROTO=TCP SPT=1 DPT=22"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=fw process.name=webapp process.pid=1 kv.IN=eth0 kv.SRC=198.51.100.6 kv.DST=10.0.0.1 kv.PROTO=TCP kv.SPT=1 kv.DPT=22
        | IN=eth0 OUT= SRC=198.51.100.6 DST=10.0.0.1 PROTO=TCP SPT=1 DPT=22"#]],
    );
    check(
        "<14>Mar 14 07:59:58 web app[1]: GET /?MSWinEventLog\t1\tSecurity\t1\tx\t1102\tp\troot\tN/A\tSuccess Audit\tDC01\tx\t\tThe audit log was cleared.\t7",
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=web process.name=app process.pid=1
            | GET /?MSWinEventLog	1	Security	1	x	1102	p	root	N/A	Success Audit	DC01	x		The audit log was cleared.	7"#]],
    );
}

#[test]
fn what_is_quoted_stays_within_its_quotes() {
    check(
        r#"203.0.113.9 - - [14/Mar/2026:08:00:00 +0100] "GET / HTTP/1.1" 200 1 "-" "x\" 198.51.100.6 - root [14/Mar/2026:08:00:00 +0100] \"GET""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 http.request.method=GET http.version=1.1 url.original=/ url.path=/ http.response.status_code=200 event.outcome=success http.response.body.bytes=1 user_agent.original='x\" 198.51.100.6 - root [14/Mar/2026:08:00:00 +0100] \"GET'"#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devid="FG1" type="utm" subtype="webfilter" srcip=10.0.0.1 url="/?srcip=198.51.100.6 dstip=198.51.100.7" dstip=203.0.113.9 action="blocked""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.serial_number=FG1 source.ip=10.0.0.1 url.original='/?srcip=198.51.100.6 dstip=198.51.100.7' url.path=/ url.query='srcip=198.51.100.6 dstip=198.51.100.7' destination.ip=203.0.113.9 fortinet.firewall.type=utm fortinet.firewall.subtype=webfilter fortinet.firewall.action=blocked event.category=web event.action=blocked event.type=denied event.outcome=failure
            | date=2026-03-14 time=07:59:58 devid="FG1" type="utm" subtype="webfilter" srcip=10.0.0.1 url="/?srcip=198.51.100.6 dstip=198.51.100.7" dstip=203.0.113.9 action="blocked""#]],
    );
    check(
        r#"<85>Mar 14 07:59:58 srv sudo:     anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo ; USER=nobody ; COMMAND=/bin/true"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=authpriv log.level=notice host.name=srv process.name=sudo event.module=sudo event.category=process event.action=sudo_command event.outcome=success user.name=anna user.effective.name=root user.target.name=root process.command_line='/bin/echo ; USER=nobody ; COMMAND=/bin/true'
            |     anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/echo ; USER=nobody ; COMMAND=/bin/true"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h CEF:0|V|P|1|1|n\|src=198.51.100.6|5|src=203.0.113.9"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h event.module=cef observer.vendor=V observer.product=P event.code=1 rule.name=n|src=198.51.100.6 event.severity=5 source.ip=203.0.113.9
        | CEF:0|V|P|1|1|n\|src=198.51.100.6|5|src=203.0.113.9"#]],
    );
    check(
        r#"{"site":"other","observer.ip":"198.51.100.6","event.sequence":7,"_raw":"x","_defects":[],"event.ingested":"2020-01-01T00:00:00Z","message":"x"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp
            json.site=other json.observer.ip=198.51.100.6 json.event.sequence=7 json._raw=x json.event.ingested=2020-01-01T00:00:00Z
            | x"#]],
    );
}
