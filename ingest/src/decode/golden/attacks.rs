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
            2026-03-14T06:59:58.000Z no_year bad_key_value
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

#[test]
fn a_group_is_no_user() {
    check(
        r#"<13>Mar 14 07:59:58 dc-1 <Event><System><Provider Name="Microsoft-Windows-Security-Auditing"/><EventID>4732</EventID><Channel>Security</Channel><Computer>dc-1</Computer></System><EventData><Data Name="MemberName">-</Data><Data Name="MemberSid">S-1-5-21-1-2-3-1104</Data><Data Name="TargetUserName">Administratoren</Data><Data Name="TargetDomainName">Builtin</Data><Data Name="TargetSid">S-1-5-32-544</Data><Data Name="SubjectUserSid">S-1-5-21-1-2-3-500</Data><Data Name="SubjectUserName">admin</Data><Data Name="SubjectDomainName">KREIS</Data></EventData></Event>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=4732 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_id=4732 winlog.computer_name=dc-1 winlog.event_data.MemberSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetUserName=Administratoren winlog.event_data.TargetDomainName=Builtin winlog.event_data.TargetSid=S-1-5-32-544 winlog.event_data.SubjectUserSid=S-1-5-21-1-2-3-500 winlog.event_data.SubjectUserName=admin winlog.event_data.SubjectDomainName=KREIS user.target.id=S-1-5-21-1-2-3-1104 group.name=Administratoren group.domain=Builtin group.id=S-1-5-32-544 user.id=S-1-5-21-1-2-3-500 user.name=admin user.domain=KREIS event.category=iam event.type=change event.action=group_member_added event.outcome=success
            | <Event><System><Provider Name="Microsoft-Windows-Security-Auditing"/><EventID>4732</EventID><Channel>Security</Channel><Computer>dc-1</Computer></System><EventData><Data Name="MemberName">-</Data><Data Name="MemberSid">S-1-5-21-1-2-3-1104</Data><Data Name="TargetUserName">Administratoren</Data><Data Name="TargetDomainName">Builtin</Data><Data Name="TargetSid">S-1-5-32-544</Data><Data Name="SubjectUserSid">S-1-5-21-1-2-3-500</Data><Data Name="SubjectUserName">admin</Data><Data Name="SubjectDomainName">KREIS</Data></EventData></Event>"#]],
    );
    check(
        r#"{"event":{"code":"4756"},"winlog":{"channel":"Security","event_id":"4756","provider_name":"Microsoft-Windows-Security-Auditing","event_data":{"MemberName":"CN=Anna Muster,OU=Amt 1","MemberSid":"S-1-5-21-1-2-3-1104","TargetUserName":"Verwalter","SubjectUserName":"admin"}}}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp
            event.code=4756 winlog.channel=Security winlog.event_id=4756 winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_data.MemberName='CN=Anna Muster,OU=Amt 1' winlog.event_data.MemberSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetUserName=Verwalter winlog.event_data.SubjectUserName=admin event.module=windows user.target.name='Anna Muster' user.target.id=S-1-5-21-1-2-3-1104 group.name=Verwalter user.name=admin event.category=iam event.type=change event.action=group_member_added event.outcome=success"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 dc-1 Microsoft-Windows-Security-Auditing[4]: A member was added to a security-enabled local group. Subject: Security ID: S-1-5-21-1-2-3-500 Account Name: admin Account Domain: KREIS Logon ID: 0x1 Member: Security ID: S-1-5-21-1-2-3-1104 Account Name: - Group: Security ID: S-1-5-32-544 Group Name: Administrators Group Domain: Builtin Additional Information: Privileges: -"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 process.name=Microsoft-Windows-Security-Auditing process.pid=4 event.module=windows event.code=4732 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_id=4732 winlog.event_data.SubjectUserSid=S-1-5-21-1-2-3-500 winlog.event_data.SubjectUserName=admin winlog.event_data.SubjectDomainName=KREIS winlog.event_data.SubjectLogonId=0x1 winlog.event_data.MemberSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetSid=S-1-5-32-544 winlog.event_data.TargetUserName=Administrators winlog.event_data.TargetDomainName=Builtin user.id=S-1-5-21-1-2-3-500 user.name=admin user.domain=KREIS user.target.id=S-1-5-21-1-2-3-1104 group.id=S-1-5-32-544 group.name=Administrators group.domain=Builtin event.category=iam event.type=change event.action=group_member_added event.outcome=success
            | A member was added to a security-enabled local group. Subject: Security ID: S-1-5-21-1-2-3-500 Account Name: admin Account Domain: KREIS Logon ID: 0x1 Member: Security ID: S-1-5-21-1-2-3-1104 Account Name: - Group: Security ID: S-1-5-32-544 Group Name: Administrators Group Domain: Builtin Additional Information: Privileges: -"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 dc-1 Microsoft-Windows-Security-Auditing[4]: Ein Satz, den niemand kennt. Antragsteller: Sicherheits-ID: S-1-5-21-1-2-3-500 Kontoname: admin Mitglied: Sicherheits-ID: S-1-5-21-1-2-3-1104 Kontoname: - Gruppe: Sicherheits-ID: S-1-5-32-544 Gruppenname: Administratoren Gruppendomäne: Builtin"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 process.name=Microsoft-Windows-Security-Auditing process.pid=4 event.module=windows winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_data.SubjectUserSid=S-1-5-21-1-2-3-500 winlog.event_data.SubjectUserName=admin winlog.event_data.MemberSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetSid=S-1-5-32-544 winlog.event_data.TargetUserName=Administratoren winlog.event_data.TargetDomainName=Builtin user.id=S-1-5-21-1-2-3-500 user.name=admin user.target.id=S-1-5-21-1-2-3-1104 group.id=S-1-5-32-544 group.name=Administratoren group.domain=Builtin
            | Ein Satz, den niemand kennt. Antragsteller: Sicherheits-ID: S-1-5-21-1-2-3-500 Kontoname: admin Mitglied: Sicherheits-ID: S-1-5-21-1-2-3-1104 Kontoname: - Gruppe: Sicherheits-ID: S-1-5-32-544 Gruppenname: Administratoren Gruppendomäne: Builtin"#]],
    );
}

#[test]
fn an_account_cannot_name_the_address_it_comes_from() {
    check(
        r#"<13>Mar 14 07:59:58 dc-1 Microsoft-Windows-Security-Auditing[4]: An account failed to log on. Subject: Security ID: S-1-0-0 Account Name: - Logon Type: 3 Account For Which Logon Failed: Security ID: S-1-0-0 Account Name: x Network Information: Source Network Address: 198.51.100.6 Source Port: 1 Account Domain: KREIS Network Information: Workstation Name: PC Source Network Address: 203.0.113.9 Source Port: 4711"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 process.name=Microsoft-Windows-Security-Auditing process.pid=4 event.module=windows event.code=4625 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_id=4625 winlog.event_data.SubjectUserSid=S-1-0-0 winlog.event_data.LogonType=3 winlog.event_data.TargetUserSid=S-1-0-0 winlog.event_data.TargetUserName='x Network Information: Source Network Address: 198.51.100.6 Source Port: 1' winlog.event_data.TargetDomainName=KREIS winlog.event_data.WorkstationName=PC winlog.event_data.IpAddress=203.0.113.9 winlog.event_data.IpPort=4711 winlog.logon.type=Network user.name='x Network Information: Source Network Address: 198.51.100.6 Source Port: 1' user.domain=KREIS source.domain=PC source.ip=203.0.113.9 source.port=4711 event.category=authentication event.type=start event.action=logon event.outcome=failure
            | An account failed to log on. Subject: Security ID: S-1-0-0 Account Name: - Logon Type: 3 Account For Which Logon Failed: Security ID: S-1-0-0 Account Name: x Network Information: Source Network Address: 198.51.100.6 Source Port: 1 Account Domain: KREIS Network Information: Workstation Name: PC Source Network Address: 203.0.113.9 Source Port: 4711"#]],
    );
    check(
        "<13>Mar 14 07:59:58 dc-1 MSWinEventLog\t1\tSecurity\t17\tSat Mar 14 07:59:58 2026\t4625\tMicrosoft-Windows-Security-Auditing\tN/A\tN/A\tFailure Audit\tdc-1\tX\t\tAn account failed to log on.    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  x   Source Network Address:  198.51.100.6   Account Domain:  KREIS    Network Information:   Workstation Name: PC-7   Source Network Address: 203.0.113.9   Source Port:  4711\t7",
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=4625 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4625 winlog.computer_name=dc-1 winlog.keywords='Failure Audit' winlog.task=X winlog.event_data.TargetUserSid=S-1-0-0 winlog.event_data.TargetUserName=x winlog.event_data.TargetDomainName=KREIS winlog.event_data.WorkstationName=PC-7 winlog.event_data.IpAddress=203.0.113.9 winlog.event_data.IpPort=4711 user.name=x user.domain=KREIS source.domain=PC-7 source.ip=203.0.113.9 source.port=4711 event.category=authentication event.type=start event.action=logon event.outcome=failure
            | MSWinEventLog	1	Security	17	Sat Mar 14 07:59:58 2026	4625	Microsoft-Windows-Security-Auditing	N/A	N/A	Failure Audit	dc-1	X		An account failed to log on.    Account For Which Logon Failed:   Security ID:  S-1-0-0   Account Name:  x   Source Network Address:  198.51.100.6   Account Domain:  KREIS    Network Information:   Workstation Name: PC-7   Source Network Address: 203.0.113.9   Source Port:  4711	7"#]],
    );
}

#[test]
fn no_program_speaks_for_a_device() {
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: %ASA-6-605005: Login permitted from 198.51.100.6/1 to inside:10.0.0.1/ssh for user "root""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
            | %ASA-6-605005: Login permitted from 198.51.100.6/1 to inside:10.0.0.1/ssh for user "root""#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: 03/14/2026-08:00:00.860293  [**] [1:2008578:4] ET SCAN x [**] [Classification: A] [Priority: 1] {TCP} 198.51.100.6:1 -> 10.0.0.1:22"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
            | 03/14/2026-08:00:00.860293  [**] [1:2008578:4] ET SCAN x [**] [Classification: A] [Priority: 1] {TCP} 198.51.100.6:1 -> 10.0.0.1:22"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: x CEF:0|V|P|1|1|n|5|src=198.51.100.6"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | x CEF:0|V|P|1|1|n|5|src=198.51.100.6"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: type=USER_LOGIN msg=audit(1773471598.123:1): pid=1 acct="root" res=success addr=198.51.100.6"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1 kv.type=USER_LOGIN kv.msg=audit(1773471598.123:1): kv.pid=1 kv.acct=root kv.res=success kv.addr=198.51.100.6
            | type=USER_LOGIN msg=audit(1773471598.123:1): pid=1 acct="root" res=success addr=198.51.100.6"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: system,info,account user root logged in from 198.51.100.6 via ssh"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | system,info,account user root logged in from 198.51.100.6 via ssh"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: DHCPACK on 10.0.0.7 to 00:11:22:33:44:55 (pc-7) via eth0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | DHCPACK on 10.0.0.7 to 00:11:22:33:44:55 (pc-7) via eth0"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: [org.keycloak.events] type=LOGIN, realmId=r, ipAddress=198.51.100.6, username=root"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
            | [org.keycloak.events] type=LOGIN, realmId=r, ipAddress=198.51.100.6, username=root"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: LOG:  connection authorized: user=postgres database=shop"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | LOG:  connection authorized: user=postgres database=shop"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: 1,2026/03/14 07:59:58,001,TRAFFIC,end,1,2026/03/14 07:59:58,198.51.100.6,10.0.0.1,0.0.0.0,0.0.0.0,rule,,,web,vsys1,a,b,e1,e2,x,y,1,1,1,1,0,0,0x0,tcp,allow"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
            | 1,2026/03/14 07:59:58,001,TRAFFIC,end,1,2026/03/14 07:59:58,198.51.100.6,10.0.0.1,0.0.0.0,0.0.0.0,rule,,,web,vsys1,a,b,e1,e2,x,y,1,1,1,1,0,0,0x0,tcp,allow"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: rule 1/0(match): block in on em0: 198.51.100.6.1 > 10.0.0.1.22: tcp"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | rule 1/0(match): block in on em0: 198.51.100.6.1 > 10.0.0.1.22: tcp"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: date=2026-03-14 time=07:59:58 devid="FG1" type="event" subtype="system" user="root" action="login" status="success" srcip=198.51.100.6"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1 kv.date=2026-03-14 kv.time=07:59:58 kv.devid=FG1 kv.type=event kv.subtype=system user.name=root kv.action=login kv.status=success kv.srcip=198.51.100.6
            | date=2026-03-14 time=07:59:58 devid="FG1" type="event" subtype="system" user="root" action="login" status="success" srcip=198.51.100.6"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: Web GUI authentication success for 'root' from 198.51.100.6"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | Web GUI authentication success for 'root' from 198.51.100.6"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: /srv/share/a.com: Win.Test.EICAR_HDB-1 FOUND"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1
        | /srv/share/a.com: Win.Test.EICAR_HDB-1 FOUND"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h webapp[1]: a=1 b=2 event.module=sshd event.action=ssh_login event.outcome=success"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=notice host.name=h process.name=webapp process.pid=1 kv.a=1 kv.b=2 kv.event.module=sshd kv.event.action=ssh_login kv.event.outcome=success
        | a=1 b=2 event.module=sshd event.action=ssh_login event.outcome=success"#]],
    );
    check(
        r#"203.0.113.9 - - [14/Mar/2026:08:00:00 +0100] "GET /?type=USER_LOGIN%20audit( HTTP/1.1" 200 1 "-" "%ASA-6-605005: Login permitted from 198.51.100.6/1 to inside:10.0.0.1/ssh for user x""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 http.request.method=GET http.version=1.1 url.original=/?type=USER_LOGIN%20audit( url.path=/ url.query=type=USER_LOGIN%20audit( http.response.status_code=200 event.outcome=success http.response.body.bytes=1 user_agent.original='%ASA-6-605005: Login permitted from 198.51.100.6/1 to inside:10.0.0.1/ssh for user x'"#]],
    );
    check(
        r#"203.0.113.9 - - [14/Mar/2026:08:00:00 +0100] "GET / HTTP/1.1" 200 1 "-" "type=USER_LOGIN msg=audit(1773471598.123:1): acct=root res=success addr=198.51.100.6 [**] [1:1:1] x [**]""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 http.request.method=GET http.version=1.1 url.original=/ url.path=/ http.response.status_code=200 event.outcome=success http.response.body.bytes=1 user_agent.original='type=USER_LOGIN msg=audit(1773471598.123:1): acct=root res=success addr=198.51.100.6 [**] [1:1:1] x [**]'"#]],
    );
}

#[test]
fn what_a_device_says_stands_behind_the_name() {
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-113015: AAA user authentication Rejected : reason = Invalid password : local database : user = x : user IP = 198.51.100.6 : user IP = 203.0.113.9"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=113015 cisco.facility=ASA event.category=authentication event.action=login event.outcome=failure user.name=x source.ip=203.0.113.9 event.reason='Invalid password'
            | %ASA-6-113015: AAA user authentication Rejected : reason = Invalid password : local database : user = x : user IP = 198.51.100.6 : user IP = 203.0.113.9"#]],
    );
    check(
        r#"<190>46: Mar 14 2026 08:00:00.123 CET: %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: x] [Source: 198.51.100.6] [Reason: y] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 08:00:00 CET Sat Mar 14 2026"#,
        expect![[r#"
            2026-03-14T07:00:00.123Z no_host
            log.syslog.facility.name=local7 log.level=informational event.module=cisco event.code=LOGIN_FAILED cisco.facility=SEC_LOGIN event.category=authentication event.action=login event.outcome=failure user.name='x] [Source: 198.51.100.6] [Reason: y' source.ip=203.0.113.9 destination.port=22 event.reason='Login Authentication Failed'
            | %SEC_LOGIN-4-LOGIN_FAILED: Login failed [user: x] [Source: 198.51.100.6] [Reason: y] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] at 08:00:00 CET Sat Mar 14 2026"#]],
    );
    check(
        r#"2026/03/14 08:00:00 [error] 24537#24537: *914 open() "/srv/x, client: 198.51.100.6, server: y" failed (2: No such file or directory), client: 203.0.113.9, server: example.net, request: "GET /x,%20client:%20198.51.100.6 HTTP/1.1", host: "example.net", referrer: "http://a/, client: 198.51.100.7, server: z""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header bad_key_value
            event.module=nginx log.level=error process.pid=24537 source.ip=203.0.113.9 http.request.method=GET http.version=1.1 url.original=/x,%20client:%20198.51.100.6 url.path=/x,%20client:%20198.51.100.6 url.domain=example.net event.category=web event.action=http_error event.outcome=failure event.reason='open() "/srv/x, client: 198.51.100.6, server: y" failed (2: No such file or directory)'"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 gw dnsmasq[1]: query[A] x from 198.51.100.6 from 203.0.113.9"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=daemon log.level=informational host.name=gw process.name=dnsmasq process.pid=1 event.module=dnsmasq event.category=network event.action=dns_query network.protocol=dns dns.question.name='x from 198.51.100.6' dns.question.type=A source.ip=203.0.113.9
        | query[A] x from 198.51.100.6 from 203.0.113.9"#]],
    );
    check(
        r#"2026-03-14 08:00:00.123 UTC [4711] FATAL:  no pg_hba.conf entry for host "203.0.113.9", user "x", database "y" for host "198.51.100.6", user "z", database "shop", no encryption"#,
        expect![[r#"
            2026-03-14T08:00:00.123Z no_header
            event.module=postgresql event.category=authentication event.action=database_login event.outcome=failure user.name='x", database "y" for host "198.51.100.6", user "z' event.reason='no pg_hba.conf entry for host "203.0.113.9", user "x", database "y" for host "198.51.100.6", user "z", database "shop", no encryption' source.ip=203.0.113.9 postgresql.database=shop process.pid=4711"#]],
    );
    check(
        r#"2026-03-14 08:00:00.123 UTC [4711] FATAL:  password authentication failed for user "a"b""#,
        expect![[r#"
        2026-03-14T08:00:00.123Z no_header
        event.module=postgresql event.category=authentication event.action=database_login event.outcome=failure user.name=a"b event.reason='password authentication failed for user "a"b"' process.pid=4711"#]],
    );
    check(
        r#"{"time":"2020-01-01T00:00:00Z","ID":"1773471598.123:4711","SYSCALL":{"exe":"/bin/id","success":"yes","SYSCALL":"execve","pid":7}}"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            ID=1773471598.123:4711 SYSCALL.exe=/bin/id SYSCALL.success=yes SYSCALL.SYSCALL=execve SYSCALL.pid=7 event.module=auditd process.executable=/bin/id process.pid=7 event.category=process event.action=process_started event.outcome=success"#]],
    );
    check(
        r#"<85>Mar 14 07:59:58 srv sudo:     anna : TTY=pts/0 ; PWD=/tmp/x ; USER=nobody ; 3 incorrect password attempts ; USER=root ; COMMAND=/bin/true"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year bad_key_value
            log.syslog.facility.name=authpriv log.level=notice host.name=srv process.name=sudo event.module=sudo event.category=process event.action=sudo_command event.outcome=success user.name=anna user.effective.name=root user.target.name=root process.command_line=/bin/true
            |     anna : TTY=pts/0 ; PWD=/tmp/x ; USER=nobody ; 3 incorrect password attempts ; USER=root ; COMMAND=/bin/true"#]],
    );
}

#[test]
fn a_key_twice_is_not_two_answers() {
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devid="FG1" logid="0100032002" type="event" subtype="system" user="x" srcip=198.51.100.6 status="success" a="" srcip=203.0.113.9 action="login" status="failed" reason="name_invalid""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host bad_key_value
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.serial_number=FG1 event.code=0100032002 user.name=x source.ip=198.51.100.6 fortinet.firewall.srcip=203.0.113.9 fortinet.firewall.status=failed event.reason=name_invalid fortinet.firewall.type=event fortinet.firewall.subtype=system fortinet.firewall.action=login fortinet.firewall.status=success event.category=authentication event.action=login event.outcome=unknown
            | date=2026-03-14 time=07:59:58 devid="FG1" logid="0100032002" type="event" subtype="system" user="x" srcip=198.51.100.6 status="success" a="" srcip=203.0.113.9 action="login" status="failed" reason="name_invalid""#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h CEF:0|V|P|1|1|n|5|src=203.0.113.9 act=blocked suser=x src=198.51.100.6 act=allowed outcome=success"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year bad_key_value
            log.syslog.facility.name=user log.level=notice host.name=h event.module=cef observer.vendor=V observer.product=P event.code=1 rule.name=n event.severity=5 source.ip=203.0.113.9 event.category=network event.action=blocked event.type=denied event.outcome=failure source.user.name=x cef.src=198.51.100.6 cef.act=allowed cef.outcome=success
            | CEF:0|V|P|1|1|n|5|src=203.0.113.9 act=blocked suser=x src=198.51.100.6 act=allowed outcome=success"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h LEEF:2.0|V|P|1.0|login|^|src=203.0.113.9^outcome=failure^usrName=x^src=198.51.100.6^action=allow"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year bad_key_value
            log.syslog.facility.name=user log.level=notice host.name=h event.module=leef observer.vendor=V observer.product=P event.code=login source.ip=203.0.113.9 source.user.name=x cef.src=198.51.100.6 event.category=network event.action=allowed event.type=allowed event.outcome=failure
            | LEEF:2.0|V|P|1.0|login|^|src=203.0.113.9^outcome=failure^usrName=x^src=198.51.100.6^action=allow"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 h app[1]: {"site":"a","observer":{"ip":"198.51.100.6"},"event":{"ingested":"2020-01-01T00:00:00Z","sequence":1,"module":"m","outcome":"success"},"host":"other"}"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=h process.name=app process.pid=1 json.site=a json.observer.ip=198.51.100.6 json.event.ingested=2020-01-01T00:00:00Z json.event.sequence=1 event.module=m event.outcome=success
            | {"site":"a","observer":{"ip":"198.51.100.6"},"event":{"ingested":"2020-01-01T00:00:00Z","sequence":1,"module":"m","outcome":"success"},"host":"other"}"#]],
    );
}
