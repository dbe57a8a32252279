//! The golden table of Linux' services: what a municipality's servers say about logins, mail, names, addresses and databases,
//! and what becomes of it.

use expect_test::expect;

use super::{check, event_of};
use crate::decode::unread;
use crate::frame::FrameKind;

#[test]
fn system_golden() {
    check(
        r#"Mar 14 07:59:58 srv CRON[811]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=CRON process.pid=811 event.module=cron event.category=process event.action=cron_command user.name=root process.command_line='cd / && run-parts --report /etc/cron.hourly'
        | (root) CMD (   cd / && run-parts --report /etc/cron.hourly)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv crontab[812]: (anna) REPLACE (anna)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=crontab process.pid=812 event.module=cron event.category=configuration event.action=crontab_replaced event.outcome=success user.name=anna user.target.name=anna
        | (anna) REPLACE (anna)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv crond[813]: (mallory) AUTH (crontab command not allowed)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=crond process.pid=813 event.module=cron event.category=configuration event.action=crontab_refused event.outcome=failure user.name=mallory event.reason='crontab command not allowed'
        | (mallory) AUTH (crontab command not allowed)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv anacron[814]: Job `cron.daily' terminated (exit status: 1) (mailing output)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=anacron process.pid=814 event.module=cron event.category=process event.action=cron_command_ended event.outcome=failure cron.job=cron.daily
        | Job `cron.daily' terminated (exit status: 1) (mailing output)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv systemd[1]: Started nginx.service - A high performance web server and a reverse proxy server."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=systemd process.pid=1 event.module=systemd event.category=process event.action=service_started event.outcome=success systemd.unit=nginx.service systemd.description='A high performance web server and a reverse proxy server'
            | Started nginx.service - A high performance web server and a reverse proxy server."#]],
    );
    check(
        r#"Mar 14 07:59:58 srv systemd[1]: nginx.service: Main process exited, code=exited, status=1/FAILURE"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=systemd process.pid=1 event.module=systemd event.category=process event.action=service_exited systemd.unit=nginx.service event.reason='Main process exited, code=exited, status=1/FAILURE' systemd.status=1/FAILURE
        | nginx.service: Main process exited, code=exited, status=1/FAILURE"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv systemd[1]: Failed to start nginx.service - A high performance web server."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=systemd process.pid=1 event.module=systemd event.category=process event.action=service_failed event.outcome=failure systemd.unit=nginx.service systemd.description='A high performance web server'
        | Failed to start nginx.service - A high performance web server."#]],
    );
    check(
        r#"Mar 14 07:59:58 srv systemd[1]: Started session-12.scope - Session 12 of User anna."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=systemd process.pid=1 event.module=systemd event.category=process event.action=service_started event.outcome=success systemd.unit=session-12.scope systemd.description='Session 12 of User anna' user.name=anna
        | Started session-12.scope - Session 12 of User anna."#]],
    );
    check(
        r#"Mar 14 07:59:58 srv systemd-logind[700]: New session 12 of user anna."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=systemd-logind process.pid=700 event.module=systemd event.category=session event.action=session_opened event.outcome=success systemd.session=12 user.name=anna
        | New session 12 of user anna."#]],
    );
    check(
        r#"Mar 14 07:59:58 srv systemd-logind[700]: New session '13' of user 'bert' with class 'user' and type 'tty'."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=systemd-logind process.pid=700 event.module=systemd event.category=session event.action=session_opened event.outcome=success systemd.session=13 user.name=bert
        | New session '13' of user 'bert' with class 'user' and type 'tty'."#]],
    );
    check(
        r#"Mar 14 07:59:58 srv polkitd[701]: Operator of unix-session:2 FAILED to authenticate to gain authorization for action org.freedesktop.policykit.exec for unix-process:42:77 [bash] (owned by unix-user:anna)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=polkitd process.pid=701 event.module=polkit event.category=authentication event.action=privilege_requested event.outcome=failure user.name=anna polkit.action=org.freedesktop.policykit.exec
            | Operator of unix-session:2 FAILED to authenticate to gain authorization for action org.freedesktop.policykit.exec for unix-process:42:77 [bash] (owned by unix-user:anna)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv pkexec[702]: anna: Executing command [USER=root] [TTY=/dev/pts/3] [CWD=/home/anna] [COMMAND=/usr/bin/id]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=pkexec process.pid=702 event.module=polkit event.category=process event.action=pkexec_command event.outcome=success user.name=anna user.effective.name=root user.target.name=root process.command_line=/usr/bin/id
            | anna: Executing command [USER=root] [TTY=/dev/pts/3] [CWD=/home/anna] [COMMAND=/usr/bin/id]"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: [  812.345678] Out of memory: Killed process 1234 (mysqld) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:112 pgtables:1kB oom_score_adj:0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=kernel event.category=process event.action=out_of_memory event.outcome=failure kernel.process.name=mysqld kernel.process.pid=1234 user.id=112 event.module=kernel
            | [  812.345678] Out of memory: Killed process 1234 (mysqld) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:112 pgtables:1kB oom_score_adj:0"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: nginx[4321]: segfault at 0 ip 00007f00 sp 00007ffc error 4 in libc.so.6[7f00+1000]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=kernel event.category=process event.action=process_crashed event.outcome=failure kernel.process.name=nginx kernel.process.pid=4321 event.reason='segfault at 0 ip 00007f00 sp 00007ffc error 4 in libc.so.6[7f00+1000]' event.module=kernel
            | nginx[4321]: segfault at 0 ip 00007f00 sp 00007ffc error 4 in libc.so.6[7f00+1000]"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: usb 1-1: New USB device found, idVendor=0781, idProduct=5583, bcdDevice= 1.00"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=kernel event.category=host event.action=usb_connected kernel.usb.port=1-1 kernel.usb.vendor_id=0781 kernel.usb.product_id=5583 event.module=kernel
        | usb 1-1: New USB device found, idVendor=0781, idProduct=5583, bcdDevice= 1.00"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=kernel event.category=network event.action=link_up observer.ingress.interface.name=eno1 event.module=kernel
            | e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: device eth0 entered promiscuous mode"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=kernel event.category=network event.action=promiscuous_mode_on observer.ingress.interface.name=eth0 event.module=kernel
        | device eth0 entered promiscuous mode"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: martian source 192.0.2.255 from 198.51.100.7, on dev eth0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=kernel event.category=network event.action=martian_source event.outcome=failure event.reason='martian source 192.0.2.255 from 198.51.100.7, on dev eth0' source.ip=198.51.100.7 destination.ip=192.0.2.255 observer.ingress.interface.name=eth0 event.module=kernel
        | martian source 192.0.2.255 from 198.51.100.7, on dev eth0"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv kernel: audit: type=1400 audit(1773471598.123:45): apparmor="DENIED" operation="open" profile="/usr/sbin/cupsd" name="/etc/shadow" pid=7 comm="cupsd" requested_mask="r" denied_mask="r" fsuid=0 ouid=0"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            host.name=srv event.module=auditd auditd.type=AVC auditd.sequence=45 event.outcome=failure auditd.apparmor=DENIED auditd.operation=open auditd.profile=/usr/sbin/cupsd file.path=/etc/shadow process.pid=7 process.name=cupsd auditd.requested_mask=r auditd.denied_mask=r event.category=process event.action=access_denied event.created=2026-03-14T06:59:58.000Z
            | audit: type=1400 audit(1773471598.123:45): apparmor="DENIED" operation="open" profile="/usr/sbin/cupsd" name="/etc/shadow" pid=7 comm="cupsd" requested_mask="r" denied_mask="r" fsuid=0 ouid=0"#]],
    );
}

#[test]
fn identity_golden() {
    check(
        r#"Mar 14 07:59:58 srv sudo: anna : problem with defaults entries ; TTY=pts/0 ; PWD=/home/anna ;"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=sudo event.module=sudo event.category=process event.action=sudo_command event.outcome=failure event.reason='problem with defaults entries' user.name=anna
        | anna : problem with defaults entries ; TTY=pts/0 ; PWD=/home/anna ;"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sudo: anna : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/anna ; USER=root ; TSID=00001A ; COMMAND=/bin/sh"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sudo event.module=sudo event.category=process event.action=sudo_command event.outcome=failure event.reason='3 incorrect password attempts' user.name=anna user.effective.name=root user.target.name=root process.command_line=/bin/sh
            | anna : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/anna ; USER=root ; TSID=00001A ; COMMAND=/bin/sh"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv su[9]: FAILED su for root by anna"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=su process.pid=9 event.module=su event.category=authentication event.action=su event.outcome=failure user.name=anna user.effective.name=root user.target.name=root
        | FAILED su for root by anna"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv su[9]: - /dev/pts/0 anna:root"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=su process.pid=9 event.module=su event.category=authentication event.action=su event.outcome=failure user.name=anna user.effective.name=root user.target.name=root
        | - /dev/pts/0 anna:root"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv su: BAD SU anna to root on /dev/pts/0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=su event.module=su event.category=authentication event.action=su event.outcome=failure user.name=anna user.effective.name=root user.target.name=root
        | BAD SU anna to root on /dev/pts/0"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv doas: command not permitted for anna: /bin/sh"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=doas event.module=doas event.category=process event.action=sudo_command event.outcome=failure event.reason='command not permitted' user.name=anna process.command_line=/bin/sh
        | command not permitted for anna: /bin/sh"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv login[10]: FAILED LOGIN (1) on '/dev/tty1' FOR 'anna', Authentication failure"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=login process.pid=10 event.module=login event.category=authentication event.action=login event.outcome=failure user.name=anna event.reason='Authentication failure'
        | FAILED LOGIN (1) on '/dev/tty1' FOR 'anna', Authentication failure"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: pam_sss(sshd:auth): received for user anna: 7 (Authentication failure)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=sshd process.pid=11 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_authentication event.outcome=failure event.reason='7 (Authentication failure)' user.name=anna
        | pam_sss(sshd:auth): received for user anna: 7 (Authentication failure)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: pam_faillock(sshd:auth): Consecutive login failures for user anna account temporarily locked"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sshd process.pid=11 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_account_locked event.outcome=failure event.reason='account temporarily locked' user.name=anna
            | pam_faillock(sshd:auth): Consecutive login failures for user anna account temporarily locked"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: pam_access(sshd:account): access denied for user `anna' from `203.0.113.9'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=sshd process.pid=11 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_access_denied event.outcome=failure user.name=anna source.ip=203.0.113.9
        | pam_access(sshd:account): access denied for user `anna' from `203.0.113.9'"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: pam_winbind(sshd:auth): user 'RATHAUS\anna' denied access (incorrect password or invalid membership)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sshd process.pid=11 event.module=sshd pam.service=sshd event.category=authentication event.action=pam_authentication event.outcome=failure event.reason='denied access (incorrect password or invalid membership)' user.name=RATHAUS\anna
            | pam_winbind(sshd:auth): user 'RATHAUS\anna' denied access (incorrect password or invalid membership)"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sudo: pam_unix(sudo:auth): auth could not identify password for [anna]"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=sudo event.module=pam pam.service=sudo event.category=authentication event.action=pam_authentication event.outcome=failure event.reason='no password given' user.name=anna
        | pam_unix(sudo:auth): auth could not identify password for [anna]"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv chage[12]: changed password expiry for anna"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=chage process.pid=12 event.module=accounts event.category=iam event.type=change event.action=password_expiry_changed event.outcome=success user.name=anna user.target.name=anna
        | changed password expiry for anna"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv useradd[12]: failed adding user 'mallory', exit code: 9"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=useradd process.pid=12 event.module=accounts event.category=iam event.type=creation event.action=user_added event.outcome=failure user.name=mallory user.target.name=mallory
        | failed adding user 'mallory', exit code: 9"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: drop connection #10 from [203.0.113.9]:4711 on [192.0.2.1]:22 past MaxStartups"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=srv process.name=sshd process.pid=11 event.module=sshd event.category=network event.action=ssh_connection_dropped event.outcome=failure event.reason='past MaxStartups' source.ip=203.0.113.9 source.port=4711
        | drop connection #10 from [203.0.113.9]:4711 on [192.0.2.1]:22 past MaxStartups"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd-session[11]: fatal: Timeout before authentication for connection from 203.0.113.9 to 192.0.2.1, pid = 12"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sshd-session process.pid=11 event.module=sshd event.category=authentication event.action=ssh_timeout event.outcome=failure source.ip=203.0.113.9
            | fatal: Timeout before authentication for connection from 203.0.113.9 to 192.0.2.1, pid = 12"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd-session[11]: ssh_dispatch_run_fatal: Connection from authenticating user root 203.0.113.9 port 51820: message authentication code incorrect [preauth]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sshd-session process.pid=11 event.module=sshd sshd.phase=preauth event.category=authentication event.action=ssh_protocol_error event.outcome=failure event.reason='message authentication code incorrect' user.name=root source.ip=203.0.113.9 source.port=51820
            | ssh_dispatch_run_fatal: Connection from authenticating user root 203.0.113.9 port 51820: message authentication code incorrect [preauth]"#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: error: kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sshd process.pid=11 event.module=sshd event.category=network event.action=ssh_protocol_error event.reason='client sent invalid protocol identifier "GET / HTTP/1.1"'
            | error: kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1""#]],
    );
    check(
        r#"Mar 14 07:59:58 srv sshd[11]: Authentication tried for root with correct key but not from a permitted host (host=mallory.example, ip=203.0.113.9, required=10.0.0.0/8)."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=srv process.name=sshd process.pid=11 event.module=sshd event.category=authentication event.action=ssh_user_denied event.outcome=failure event.reason='not from a permitted host' user.name=root source.ip=203.0.113.9
            | Authentication tried for root with correct key but not from a permitted host (host=mallory.example, ip=203.0.113.9, required=10.0.0.0/8)."#]],
    );
}

#[test]
fn audit_golden() {
    check(
        r#"type=USER_LOGIN msg=audit(1773471598.123:46): pid=7 uid=0 auid=4294967295 ses=4294967295 msg='op=login acct="anna" exe="/usr/sbin/sshd" hostname=? addr=203.0.113.9 terminal=sshd res=failed'"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=auditd auditd.type=USER_LOGIN auditd.sequence=46 process.pid=7 user.id=0 auditd.auid=4294967295 auditd.ses=4294967295 auditd.op=login user.name=anna process.executable=/usr/sbin/sshd source.ip=203.0.113.9 auditd.terminal=sshd event.outcome=failure event.category=authentication event.action=login"#]],
    );
    check(
        r#"type=EXECVE msg=audit(1773471598.123:47): argc=3 a0="sh" a1="-c" a2=6364202F3B206C73"#,
        expect![[r#"
        2026-03-14T06:59:58.123Z no_header
        event.module=auditd auditd.type=EXECVE auditd.sequence=47 auditd.a0=sh auditd.a1=-c auditd.a2='cd /; ls' process.command_line='sh -c cd /; ls' event.category=process event.action=process_started"#]],
    );
    check(
        r#"type=PATH msg=audit(1773471598.123:47): item=0 name=2F746D702F6120622E7368 inode=1 dev=08:02 mode=0100755 ouid=0 ogid=0 rdev=00:00 nametype=NORMAL"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=auditd auditd.type=PATH auditd.sequence=47 file.path='/tmp/a b.sh' auditd.dev=08:02 auditd.mode=0100755 auditd.nametype=NORMAL event.category=file event.action=file_accessed"#]],
    );
    check(
        r#"type=AVC msg=audit(1773471598.123:48): avc:  denied  { read } for  pid=7 comm="httpd" name="shadow" dev="dm-0" ino=1 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:shadow_t:s0 tclass=file permissive=0"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=auditd auditd.type=AVC auditd.sequence=48 event.outcome=failure auditd.permission=read process.pid=7 process.name=httpd file.path=shadow auditd.dev=dm-0 auditd.scontext=system_u:system_r:httpd_t:s0 auditd.tcontext=system_u:object_r:shadow_t:s0 auditd.tclass=file auditd.permissive=0 event.category=process event.action=access_denied"#]],
    );
    check(
        r#"type=USER_CMD msg=audit(1773471598.123:49): pid=7 uid=1000 auid=1000 ses=3 msg='cwd="/home/anna" cmd=2F62696E2F6C73202D6C exe="/usr/bin/sudo" terminal=pts/0 res=success'"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=auditd auditd.type=USER_CMD auditd.sequence=49 process.pid=7 user.id=1000 auditd.auid=1000 auditd.ses=3 auditd.cwd=/home/anna process.command_line='/bin/ls -l' process.executable=/usr/bin/sudo auditd.terminal=pts/0 event.outcome=success event.category=process event.action=sudo"#]],
    );
    check(
        r#"type=PROCTITLE msg=audit(1773471598.123:47): proctitle=6C73002D6C"#,
        expect![[r#"
        2026-03-14T06:59:58.123Z no_header
        event.module=auditd auditd.type=PROCTITLE auditd.sequence=47 process.command_line='ls -l' event.category=process event.action=process_title"#]],
    );
}

#[test]
fn mail_golden() {
    check(
        r#"Mar 14 07:59:58 mx postfix/smtpd[1]: NOQUEUE: milter-reject: END-OF-MESSAGE from unknown[203.0.113.9]: 5.7.1 Command rejected; from=<a@example.net> to=<b@example.org> proto=ESMTP helo=<x>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email postfix.queue_id=NOQUEUE event.action=smtp_reject event.type=denied event.outcome=failure postfix.stage=END-OF-MESSAGE source.ip=203.0.113.9 event.reason='5.7.1 Command rejected' email.from.address=a@example.net email.to.address=b@example.org postfix.helo=x
            | NOQUEUE: milter-reject: END-OF-MESSAGE from unknown[203.0.113.9]: 5.7.1 Command rejected; from=<a@example.net> to=<b@example.org> proto=ESMTP helo=<x>"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/smtpd[1]: Anonymous TLS connection established from unknown[203.0.113.9]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email event.action=tls_established event.outcome=success source.ip=203.0.113.9 tls.version_protocol=TLSv1.3 tls.cipher=TLS_AES_256_GCM_SHA384 postfix.tls_trust=Anonymous
            | Anonymous TLS connection established from unknown[203.0.113.9]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/smtp[1]: Untrusted TLS connection established to mx.example.net[198.51.100.7]:25: TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtp process.pid=1 event.module=postfix event.category=email event.action=tls_established event.outcome=success destination.domain=mx.example.net destination.ip=198.51.100.7 destination.port=25 tls.version_protocol=TLSv1.2 tls.cipher=ECDHE-RSA-AES256-GCM-SHA384 postfix.tls_trust=Untrusted
            | Untrusted TLS connection established to mx.example.net[198.51.100.7]:25: TLSv1.2 with cipher ECDHE-RSA-AES256-GCM-SHA384 (256/256 bits)"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/smtpd[1]: SSL_accept error from unknown[203.0.113.9]: -1"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email event.action=tls_failed event.outcome=failure source.ip=203.0.113.9 event.reason=-1
            | SSL_accept error from unknown[203.0.113.9]: -1"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/qmgr[1]: 4F12AB34CD: from=<a@example.net>, size=1234, nrcpt=2 (queue active)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=postfix/qmgr process.pid=1 event.module=postfix event.category=email postfix.queue_id=4F12AB34CD event.action=mail_queued email.from.address=a@example.net network.bytes=1234 postfix.recipients=2
        | 4F12AB34CD: from=<a@example.net>, size=1234, nrcpt=2 (queue active)"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/qmgr[1]: 4F12AB34CD: removed"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=postfix/qmgr process.pid=1 event.module=postfix event.category=email postfix.queue_id=4F12AB34CD event.action=mail_removed
        | 4F12AB34CD: removed"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/pickup[1]: 4F12AB34CD: uid=0 from=<root>"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=postfix/pickup process.pid=1 event.module=postfix event.category=email postfix.queue_id=4F12AB34CD event.action=mail_submitted user.id=0 email.from.address=root
        | 4F12AB34CD: uid=0 from=<root>"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/bounce[1]: 4F12AB34CD: sender non-delivery notification: 5A12AB34CD"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=postfix/bounce process.pid=1 event.module=postfix event.category=email postfix.queue_id=4F12AB34CD event.action=mail_notification event.reason='sender non-delivery' postfix.notification_queue_id=5A12AB34CD
        | 4F12AB34CD: sender non-delivery notification: 5A12AB34CD"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/anvil[1]: statistics: max connection rate 3/60s for (smtp:203.0.113.9) at Mar 14 07:58:00"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/anvil process.pid=1 event.module=postfix event.category=email event.action=smtp_statistics event.reason='max connection rate 3/60s' source.ip=203.0.113.9
            | statistics: max connection rate 3/60s for (smtp:203.0.113.9) at Mar 14 07:58:00"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/smtpd[1]: warning: Connection rate limit exceeded: 31 from unknown[203.0.113.9] for service smtp"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email event.action=smtp_limit event.outcome=failure event.reason='Connection rate limit exceeded: 31' source.ip=203.0.113.9
            | warning: Connection rate limit exceeded: 31 from unknown[203.0.113.9] for service smtp"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/postscreen[1]: COMMAND PIPELINING from [203.0.113.9]:4711 after EHLO: x"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=postfix/postscreen process.pid=1 event.module=postfix event.category=email event.action=smtp_pipelining event.outcome=failure source.ip=203.0.113.9 source.port=4711
        | COMMAND PIPELINING from [203.0.113.9]:4711 after EHLO: x"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/postscreen[1]: PASS NEW [203.0.113.9]:4711"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=postfix/postscreen process.pid=1 event.module=postfix event.category=email event.action=smtp_allowed event.outcome=success source.ip=203.0.113.9 source.port=4711
        | PASS NEW [203.0.113.9]:4711"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/smtp[1]: 4F12AB34CD: to=<b@example.org>, relay=mx.example.org[198.51.100.7]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=5.1.1, status=bounced (host mx.example.org[198.51.100.7] said: 550 5.1.1 unknown)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtp process.pid=1 event.module=postfix event.category=email postfix.queue_id=4F12AB34CD email.to.address=b@example.org event.action=mail_delivery postfix.status=bounced event.outcome=failure event.reason='host mx.example.org[198.51.100.7] said: 550 5.1.1 unknown' destination.domain=mx.example.org destination.ip=198.51.100.7
            | 4F12AB34CD: to=<b@example.org>, relay=mx.example.org[198.51.100.7]:25, delay=1.2, delays=0.1/0/0.5/0.6, dsn=5.1.1, status=bounced (host mx.example.org[198.51.100.7] said: 550 5.1.1 unknown)"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx postfix/smtpd[1]: warning: hostname evil.example does not resolve to address 203.0.113.9: Name or service not known"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=postfix/smtpd process.pid=1 event.module=postfix event.category=email event.action=smtp_hostname_mismatch source.domain=evil.example source.ip=203.0.113.9
            | warning: hostname evil.example does not resolve to address 203.0.113.9: Name or service not known"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx dovecot: imap-login: Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed): user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, TLS, session=<x>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap-login network.protocol=imap event.category=authentication event.action=mail_login event.outcome=failure event.reason='Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed)' user.name=anna source.ip=203.0.113.9 destination.ip=192.0.2.1 dovecot.method=PLAIN
            | imap-login: Login aborted: Logged out (auth failed, 1 attempts in 2 secs) (auth_failed): user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, TLS, session=<x>"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx dovecot: imap-login: Disconnected (no auth attempts in 0 secs): user=<>, rip=203.0.113.9, lip=192.0.2.1, session=<x>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap-login network.protocol=imap event.category=network event.action=mail_disconnect event.reason='Disconnected (no auth attempts in 0 secs)' source.ip=203.0.113.9 destination.ip=192.0.2.1
            | imap-login: Disconnected (no auth attempts in 0 secs): user=<>, rip=203.0.113.9, lip=192.0.2.1, session=<x>"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx dovecot: imap(anna)<1234><s3ss>: Disconnected: Logged out in=1 out=2"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap user.name=anna process.pid=1234 event.category=email event.action=mail_logout event.reason='Disconnected: Logged out in=1 out=2'
        | imap(anna)<1234><s3ss>: Disconnected: Logged out in=1 out=2"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx dovecot: lmtp(b@example.org)<12><x>: msgid=<m1@example.net>: saved mail to INBOX"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=dovecot event.module=dovecot dovecot.service=lmtp user.name=b@example.org process.pid=12 event.category=email event.action=mail_delivery event.outcome=success email.message_id=m1@example.net event.reason='msgid=<m1@example.net>: saved mail to INBOX'
        | lmtp(b@example.org)<12><x>: msgid=<m1@example.net>: saved mail to INBOX"#]],
    );
    check(
        r#"2026-03-14 07:59:58 1tXyZ1-000001-Ab <= a@example.net H=(x) [203.0.113.9]:4711 P=esmtpsa X=TLS1.3:TLS_AES_256_GCM_SHA384:256 CV=no A=dovecot_login:anna@example.org S=1234 id=m1@example.net"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=exim event.category=email event.action=smtp_receive exim.message_id=1tXyZ1-000001-Ab email.from.address=a@example.net source.ip=203.0.113.9 source.port=4711 exim.helo=x user.name=anna@example.org exim.authenticator=dovecot_login email.message_id=m1@example.net network.bytes=1234 exim.protocol=esmtpsa exim.tls=TLS1.3:TLS_AES_256_GCM_SHA384:256"#]],
    );
    check(
        r#"2026-03-14 07:59:58 1tXyZ1-00000000001-Abcd => b <b@example.org> R=dnslookup T=remote_smtp H=mx.example.org [198.51.100.7] X=TLS1.3 C="250 OK""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=exim event.category=email event.action=mail_delivery event.outcome=success exim.message_id=1tXyZ1-00000000001-Abcd email.to.address=b@example.org destination.domain=mx.example.org destination.ip=198.51.100.7 exim.tls=TLS1.3 event.reason='250 OK'"#]],
    );
    check(
        r#"2026-03-14 07:59:58 1tXyZ1-000001-Ab ** c@example.org R=dnslookup T=remote_smtp H=mx.example.org [198.51.100.7]: SMTP error from remote mail server after RCPT TO:<c@example.org>: 550 unknown"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=exim event.category=email event.action=mail_delivery event.outcome=failure exim.message_id=1tXyZ1-000001-Ab email.to.address=c@example.org destination.domain=mx.example.org destination.ip=198.51.100.7 event.reason='SMTP error from remote mail server after RCPT TO:<c@example.org>: 550 unknown'"#]],
    );
    check(
        r#"2026-03-14 07:59:58 1tXyZ1-000001-Ab Completed"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_header
        event.module=exim event.category=email event.action=mail_removed exim.message_id=1tXyZ1-000001-Ab"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx rspamd[1]: <abc123>; task; rspamd_task_write_log: id: <m1@example.net>, qid: <4F12AB34CD>, ip: 203.0.113.9, from: <a@example.net>, (default: T (reject): [18.40/15.00] [BAYES_SPAM(5.10){99.99%;}]), len: 1234, time: 120.1ms, dns req: 3, digest: <d>, rcpts: <b@example.org>, mime_rcpts: <b@example.org>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=rspamd process.pid=1 event.module=rspamd event.category=email event.action=blocked event.outcome=failure rspamd.action=reject rspamd.score=18.40 email.message_id=m1@example.net rspamd.queue_id=4F12AB34CD source.ip=203.0.113.9 email.from.address=a@example.net email.to.address=b@example.org
            | <abc123>; task; rspamd_task_write_log: id: <m1@example.net>, qid: <4F12AB34CD>, ip: 203.0.113.9, from: <a@example.net>, (default: T (reject): [18.40/15.00] [BAYES_SPAM(5.10){99.99%;}]), len: 1234, time: 120.1ms, dns req: 3, digest: <d>, rcpts: <b@example.org>, mime_rcpts: <b@example.org>"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx opendkim[1]: 4F12AB34CD: DKIM-Signature field added (s=mail, d=example.net)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=opendkim process.pid=1 event.module=opendkim event.category=email event.action=dkim_signed event.outcome=success opendkim.queue_id=4F12AB34CD opendkim.domain=example.net event.reason='DKIM-Signature field added (s=mail, d=example.net)'
        | 4F12AB34CD: DKIM-Signature field added (s=mail, d=example.net)"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx clamd[1]: /srv/share/eicar.com: Win.Test.EICAR_HDB-1 FOUND"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=clamd process.pid=1 event.module=clamav event.category=malware event.action=detected event.outcome=success threat.indicator.name=Win.Test.EICAR_HDB-1 file.path=/srv/share/eicar.com
        | /srv/share/eicar.com: Win.Test.EICAR_HDB-1 FOUND"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx freshclam[1]: daily.cvd updated (version: 27000, sigs: 2, f-level: 90, builder: x)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=freshclam process.pid=1 event.module=clamav event.category=configuration event.action=signatures_updated event.outcome=success clamav.signatures_version=27000
        | daily.cvd updated (version: 27000, sigs: 2, f-level: 90, builder: x)"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx spamd[1]: spamd: identified spam (15.2/5.0) for anna:1000 in 1.2 seconds, 1234 bytes."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=mx process.name=spamd process.pid=1 event.module=spamassassin event.category=email event.action=spam spamassassin.score=15.2 user.name=anna
        | identified spam (15.2/5.0) for anna:1000 in 1.2 seconds, 1234 bytes."#]],
    );
}

#[test]
fn web_golden() {
    check(
        r#"www.example.net 203.0.113.9 anna 95386da81aa1 - [14/Mar/2026:07:59:58 +0100] "GET / HTTP/2.0" 404 25 "-" "curl/8""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 user.name=anna url.domain=www.example.net http.request.method=GET http.version=2.0 url.original=/ url.path=/ http.response.status_code=404 event.outcome=failure http.response.body.bytes=25 user_agent.original=curl/8"#]],
    );
    check(
        r#"203.0.113.9 - - [03/14/2026:06:59:58 -0000] "GET /etc/shadow HTTP/1.1" 200 0 "-" "curl/8" "-" "-" 2083"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_header
        event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 http.request.method=GET http.version=1.1 url.original=/etc/shadow url.path=/etc/shadow http.response.status_code=200 event.outcome=success http.response.body.bytes=0 user_agent.original=curl/8"#]],
    );
    check(
        r#"[14/Mar/2026:07:59:58 +0100] www.example.net 203.0.113.9 0.227 "REPORT /dav/ HTTP/2.0" 207 125 440 - Mozilla/5.0 (X11)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=nginx event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 url.domain=www.example.net http.request.method=REPORT http.version=2.0 url.original=/dav/ url.path=/dav/ http.response.status_code=207 event.outcome=success http.response.body.bytes=125 user_agent.original='Mozilla/5.0 (X11)'"#]],
    );
    check(
        r#"INFO:     203.0.113.9:4711 - "POST /api/login HTTP/1.1" 401 Unauthorized"#,
        expect![[r#"
        2026-03-14T07:00:00.000Z no_header
        event.module=web event.category=web event.type=access event.action=http_request source.ip=203.0.113.9 source.port=4711 http.request.method=POST http.version=1.1 url.original=/api/login url.path=/api/login http.response.status_code=401 event.outcome=failure"#]],
    );
    check(
        r#"2026/03/14 07:59:58 [info] 8#8: *6631 client login failed: "AUTH not supported" while in http auth state, client: 203.0.113.9, server: 0.0.0.0:25, login: "anna@example.net""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=nginx log.level=info process.pid=8 source.ip=203.0.113.9 event.category=authentication event.action=mail_login event.outcome=failure user.name=anna@example.net event.reason='client login failed: "AUTH not supported" while in http auth state'"#]],
    );
    check(
        r#"[14/Mar/2026:07:59:58 +0100] YxYz@12 203.0.113.9 4711 192.0.2.1 443"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_header
        event.module=modsecurity event.category=intrusion_detection event.action=audit_record modsecurity.unique_id=YxYz@12 source.ip=203.0.113.9 source.port=4711 destination.ip=192.0.2.1 destination.port=443"#]],
    );
    check(
        r#"Message: Warning. Pattern match "x" at ARGS:a. [file "/etc/x.conf"] [line "97"] [id "930120"] [msg "OS File Access Attempt"] [severity "CRITICAL"]"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=modsecurity event.category=intrusion_detection event.dataset=modsecurity event.action=detected event.outcome=unknown modsecurity.file=/etc/x.conf modsecurity.line=97 rule.id=930120 rule.name='OS File Access Attempt' modsecurity.severity=CRITICAL"#]],
    );
    check(
        r#"{"transaction":{"client_ip":"203.0.113.9","time_stamp":"Sat Mar 14 07:59:58 2026","client_port":4711,"host_ip":"192.0.2.1","host_port":443,"unique_id":"u1","request":{"method":"GET","http_version":1.1,"uri":"/?a=../etc/passwd","headers":{"Host":"www.example.net"}},"response":{"http_code":403},"messages":[{"message":"OS File Access Attempt","details":{"ruleId":"930120"}}]}}"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            transaction.client_ip=203.0.113.9 transaction.client_port=4711 transaction.host_ip=192.0.2.1 transaction.host_port=443 transaction.unique_id=u1 transaction.request.method=GET transaction.request.http_version=1.1 transaction.request.uri=/?a=../etc/passwd transaction.request.headers.Host=www.example.net transaction.response.http_code=403 transaction.messages.message='OS File Access Attempt' transaction.messages.details.ruleId=930120 event.module=modsecurity source.ip=203.0.113.9 source.port=4711 destination.ip=192.0.2.1 destination.port=443 http.request.method=GET http.response.status_code=403 url.domain=www.example.net rule.id=930120 rule.name='OS File Access Attempt' url.original=/?a=../etc/passwd url.path=/ url.query=a=../etc/passwd event.dataset=modsecurity event.action=blocked event.outcome=failure event.category=intrusion_detection"#]],
    );
    check(
        r#"2026-03-14T07:59:58.493035218+01:00 stdout F {":authority":"www.example.net","bytes_sent":12,"downstream_remote_address":"203.0.113.9:4711","method":"GET","protocol":"HTTP/2","response_code":200,"start_time":"2026-03-14T06:59:58.479Z","upstream_host":"192.0.2.1:8080","user-agent":"curl/8","x-envoy-origin-path":"/a?b=c"}"#,
        expect![[r#"
            2026-03-14T06:59:58.479Z no_header
            :authority=www.example.net bytes_sent=12 downstream_remote_address=203.0.113.9:4711 method=GET protocol=HTTP/2 response_code=200 upstream_host=192.0.2.1:8080 user-agent=curl/8 x-envoy-origin-path=/a?b=c event.module=envoy url.domain=www.example.net http.request.method=GET http.response.status_code=200 http.response.body.bytes=12 user_agent.original=curl/8 source.ip=203.0.113.9 source.port=4711 destination.ip=192.0.2.1 destination.port=8080 url.original=/a?b=c url.path=/a url.query=b=c http.version=2 event.type=access event.category=web event.action=http_request event.outcome=success event.created=2026-03-14T06:59:58.493Z"#]],
    );
    check(
        r#"{"level":"warn","ts":1773471598.384,"logger":"http.handlers.waf","msg":"[client \"203.0.113.9\"] Coraza: Warning. SQL [file \"x.conf\"] [id \"942431\"] [msg \"SQL\"] [severity \"warning\"] [hostname \"\"] [uri \"/x\"] [unique_id \"u\"]\n"}"#,
        expect![[r#"
            2026-03-14T06:59:58.384Z
            log.level=warn logger=http.handlers.waf source.ip=203.0.113.9 event.module=caddy event.category=intrusion_detection event.dataset=modsecurity event.action=detected event.outcome=unknown modsecurity.file=x.conf rule.id=942431 rule.name=SQL modsecurity.severity=warning url.original=/x url.path=/x modsecurity.unique_id=u
            | [client "203.0.113.9"] Coraza: Warning. SQL [file "x.conf"] [id "942431"] [msg "SQL"] [severity "warning"] [hostname ""] [uri "/x"] [unique_id "u"]
        "#]],
    );
}

#[test]
fn the_latest_spellings_golden() {
    check(
        r#"Mar 14 07:59:58 mx dovecot: imap-login: Logged in: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, TLS, session=<x>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap-login network.protocol=imap event.category=authentication event.action=mail_login event.outcome=success user.name=anna source.ip=203.0.113.9 destination.ip=192.0.2.1 dovecot.method=PLAIN
            | imap-login: Logged in: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, TLS, session=<x>"#]],
    );
    check(
        r#"Mar 14 07:59:58 mx dovecot: imap-login: Login: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, mpid=7, TLS, session=<x>"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=mx process.name=dovecot event.module=dovecot dovecot.service=imap-login network.protocol=imap event.category=authentication event.action=mail_login event.outcome=success user.name=anna source.ip=203.0.113.9 destination.ip=192.0.2.1 dovecot.method=PLAIN
            | imap-login: Login: user=<anna>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, mpid=7, TLS, session=<x>"#]],
    );
    check(
        r#"Mar 14 07:59:58 lb haproxy[1]: Server back/web-1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=lb process.name=haproxy process.pid=1 event.module=haproxy event.category=host event.action=server_down event.outcome=failure haproxy.backend_name=back haproxy.server_name=web-1 event.reason='Layer4 connection problem, info: "Connection refused", check duration: 0ms.'
            | Server back/web-1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms."#]],
    );
    check(
        r#"2026-03-14T07:59:58.310000000+01:00 stdout F [2026-03-14T06:59:58.310Z] "POST /api?x=1 HTTP/2" 204 - 154 12 226 100 "203.0.113.9" "curl/8" "cc21d9b0" "www.example.net" "192.0.2.1:8080""#,
        expect![[r#"
            2026-03-14T06:59:58.310Z no_header
            event.module=envoy event.category=web event.type=access event.action=http_request http.request.method=POST http.version=2 url.original=/api?x=1 url.path=/api url.query=x=1 http.response.status_code=204 event.outcome=success http.response.body.bytes=12 source.ip=203.0.113.9 user_agent.original=curl/8 url.domain=www.example.net destination.ip=192.0.2.1 destination.port=8080"#]],
    );
    check(
        r#"[Sat Mar 14 07:59:58.1234 2026] [php:notice] [pid 83429] [client 203.0.113.9:23006] Failed login for anna@example.net, referer: http://www.example.net/login"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=apache log.level=notice process.pid=83429 source.ip=203.0.113.9 source.port=23006 http.request.referrer=http://www.example.net/login event.category=authentication event.action=http_login event.outcome=failure user.name=anna@example.net
            | [pid 83429] [client 203.0.113.9:23006] Failed login for anna@example.net, referer: http://www.example.net/login"#]],
    );
}

#[test]
fn network_golden() {
    check(
        r#"Mar 14 07:59:58 ns named[1]: client @0x7f00 203.0.113.9#3076/key rndc-key: updating zone 'example.net/IN': adding an RR at 'pc.example.net' A 192.0.2.9"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=named process.pid=1 event.module=bind source.ip=203.0.113.9 source.port=3076 event.category=network event.action=dns_update event.outcome=success dns.question.name=example.net event.reason='adding an RR at 'pc.example.net' A 192.0.2.9'
            | client @0x7f00 203.0.113.9#3076/key rndc-key: updating zone 'example.net/IN': adding an RR at 'pc.example.net' A 192.0.2.9"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns named[1]: client @0x7f00 203.0.113.9#3076 (example.net): query: example.net IN ANY +E(0) (192.0.2.53)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=named process.pid=1 event.module=bind source.ip=203.0.113.9 source.port=3076 event.category=network event.action=dns_query event.outcome=success network.protocol=dns dns.question.name=example.net dns.question.type=ANY destination.ip=192.0.2.53
            | client @0x7f00 203.0.113.9#3076 (example.net): query: example.net IN ANY +E(0) (192.0.2.53)"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns named[1]: client @0x7f00 203.0.113.9#3076 (example.net): rate limit drop all response to 203.0.113.0/24"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=named process.pid=1 event.module=bind source.ip=203.0.113.9 source.port=3076 event.category=network event.action=dns_rate_limited event.outcome=failure
            | client @0x7f00 203.0.113.9#3076 (example.net): rate limit drop all response to 203.0.113.0/24"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns named[1]: client @0x7f00 203.0.113.9#3076 (example.net): query failed (SERVFAIL) for example.net/IN/A at query.c:7094"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=named process.pid=1 event.module=bind source.ip=203.0.113.9 source.port=3076 event.category=network event.action=dns_query event.outcome=failure network.protocol=dns dns.question.name=example.net dns.question.type=A event.reason='query failed (SERVFAIL)'
            | client @0x7f00 203.0.113.9#3076 (example.net): query failed (SERVFAIL) for example.net/IN/A at query.c:7094"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns named[1]: validating example.com/A: no valid signature found"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=ns process.name=named process.pid=1 event.category=network event.action=dns_validation_failed event.outcome=failure network.protocol=dns dns.question.name=example.com dns.question.type=A event.reason='no valid signature found' event.module=bind
        | validating example.com/A: no valid signature found"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns named[1]: transfer of 'example.net/IN' from 192.0.2.53#53: Transfer completed: 1 messages, 9 records"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=named process.pid=1 event.category=network event.action=dns_zone_transfer event.outcome=success dns.question.name=example.net destination.ip=192.0.2.53 destination.port=53 event.reason='Transfer completed: 1 messages, 9 records' event.module=bind
            | transfer of 'example.net/IN' from 192.0.2.53#53: Transfer completed: 1 messages, 9 records"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns named[1]: timed out resolving 'example.com/A/IN': 198.51.100.7#53"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=ns process.name=named process.pid=1 event.category=network event.action=dns_resolution_failed event.outcome=failure event.reason='timed out' network.protocol=dns dns.question.name=example.com dns.question.type=A destination.ip=198.51.100.7 destination.port=53 event.module=bind
        | timed out resolving 'example.com/A/IN': 198.51.100.7#53"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns unbound[1]: [1:0] info: ads.example.com. always_nxdomain 10.1.1.7@4711 ads.example.com. A IN"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=unbound process.pid=1 event.module=unbound event.category=network event.action=dns_blocked event.outcome=failure network.protocol=dns dns.question.name=ads.example.com dns.question.type=A source.ip=10.1.1.7 source.port=4711 rule.name='ads.example.com. always_nxdomain'
            | [1:0] info: ads.example.com. always_nxdomain 10.1.1.7@4711 ads.example.com. A IN"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns unbound[1]: [1:0] reply: 10.1.1.7 example.net. A IN NOERROR 0.001 0 45"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=unbound process.pid=1 event.module=unbound event.category=network event.action=dns_query event.outcome=success network.protocol=dns dns.question.name=example.net dns.question.type=A source.ip=10.1.1.7
            | [1:0] reply: 10.1.1.7 example.net. A IN NOERROR 0.001 0 45"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns dnsmasq[1]: 42 10.1.1.7/4711 query[A] example.net from 10.1.1.7"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=ns process.name=dnsmasq process.pid=1 event.module=dnsmasq event.category=network event.action=dns_query network.protocol=dns dns.question.name=example.net dns.question.type=A source.ip=10.1.1.7 source.port=4711
        | 42 10.1.1.7/4711 query[A] example.net from 10.1.1.7"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns dnsmasq[1]: gravity blocked ads.example.com is 0.0.0.0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=ns process.name=dnsmasq process.pid=1 event.module=dnsmasq event.category=network event.action=dns_blocked event.outcome=failure network.protocol=dns dns.question.name=ads.example.com dns.answer=0.0.0.0
        | gravity blocked ads.example.com is 0.0.0.0"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns dnsmasq[1]: possible DNS-rebind attack detected: rebind.example.com"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=ns process.name=dnsmasq process.pid=1 event.module=dnsmasq event.category=network event.action=dns_rebind event.outcome=failure event.kind=alert network.protocol=dns dns.question.name=rebind.example.com
        | possible DNS-rebind attack detected: rebind.example.com"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns pdns_recursor[1]: 1 [1/1] question for 'example.net|AAAA' from 10.1.1.7:4711"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=ns process.name=pdns_recursor process.pid=1 event.module=powerdns event.category=network event.action=dns_query network.protocol=dns dns.question.name=example.net dns.question.type=AAAA source.ip=10.1.1.7 source.port=4711
        | 1 [1/1] question for 'example.net|AAAA' from 10.1.1.7:4711"#]],
    );
    check(
        r#"Mar 14 07:59:58 ns pdns_server[1]: Remote 10.1.1.7 wants 'example.net|A', do = 0, bufsize = 512: packetcache MISS"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ns process.name=pdns_server process.pid=1 event.module=powerdns event.category=network event.action=dns_query network.protocol=dns dns.question.name=example.net dns.question.type=A source.ip=10.1.1.7
            | Remote 10.1.1.7 wants 'example.net|A', do = 0, bufsize = 512: packetcache MISS"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw dhcpd[1]: DHCPACK on 10.1.1.7 to 00:11:22:33:44:55 (pc-7) via eth0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=gw process.name=dhcpd process.pid=1 event.module=dhcp event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp observer.ingress.interface.name=eth0 source.ip=10.1.1.7 source.mac=00:11:22:33:44:55 source.domain=pc-7
        | DHCPACK on 10.1.1.7 to 00:11:22:33:44:55 (pc-7) via eth0"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw dhcpd[1]: DHCPREQUEST for 10.1.1.7 (10.1.1.1) from 00:11:22:33:44:55 (pc (via) x) via eth0: unknown lease 10.1.1.7."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=gw process.name=dhcpd process.pid=1 event.module=dhcp event.category=network event.action=dhcp_request event.outcome=success network.protocol=dhcp observer.ingress.interface.name=eth0 event.reason='unknown lease 10.1.1.7.' source.ip=10.1.1.7 source.mac=00:11:22:33:44:55 source.domain='pc (via) x'
            | DHCPREQUEST for 10.1.1.7 (10.1.1.1) from 00:11:22:33:44:55 (pc (via) x) via eth0: unknown lease 10.1.1.7."#]],
    );
    check(
        r#"Mar 14 07:59:58 gw dhcpd[1]: DHCPDISCOVER from 00:11:22:33:44:55 via 10.1.9.1"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=gw process.name=dhcpd process.pid=1 event.module=dhcp event.category=network event.action=dhcp_discover event.outcome=success network.protocol=dhcp dhcp.relay=10.1.9.1 source.mac=00:11:22:33:44:55
        | DHCPDISCOVER from 00:11:22:33:44:55 via 10.1.9.1"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw dnsmasq-dhcp[1]: 4711 DHCPACK(eth0) 10.1.1.7 00:11:22:33:44:55 pc-7"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=gw process.name=dnsmasq-dhcp process.pid=1 event.module=dhcp event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp source.ip=10.1.1.7 source.mac=00:11:22:33:44:55 source.domain=pc-7 observer.ingress.interface.name=eth0
        | 4711 DHCPACK(eth0) 10.1.1.7 00:11:22:33:44:55 pc-7"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw dnsmasq-dhcp[1]: DHCPNAK(eth0) 10.1.9.7 00:11:22:33:44:55 wrong network"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=gw process.name=dnsmasq-dhcp process.pid=1 event.module=dhcp event.category=network event.action=dhcp_refused event.outcome=failure network.protocol=dhcp source.ip=10.1.9.7 source.mac=00:11:22:33:44:55 event.reason='wrong network' observer.ingress.interface.name=eth0
        | DHCPNAK(eth0) 10.1.9.7 00:11:22:33:44:55 wrong network"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw kea-dhcp4[1]: INFO  [kea-dhcp4.leases.0x7f00] DHCP4_LEASE_ALLOC [hwtype=1 00:11:22:33:44:55], cid=[01:00:11:22:33:44:55], tid=0xc288f9: lease 10.1.1.7 has been allocated for 3600 seconds"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=gw process.name=kea-dhcp4 process.pid=1 event.module=dhcp event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp event.code=DHCP4_LEASE_ALLOC source.mac=00:11:22:33:44:55 source.ip=10.1.1.7 dhcp.lease_seconds=3600
            | INFO  [kea-dhcp4.leases.0x7f00] DHCP4_LEASE_ALLOC [hwtype=1 00:11:22:33:44:55], cid=[01:00:11:22:33:44:55], tid=0xc288f9: lease 10.1.1.7 has been allocated for 3600 seconds"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw kea-dhcp6[1]: INFO  [kea-dhcp6.leases.0x7f00] DHCP6_LEASE_ALLOC duid=[00:01:00:01:2b:aa:bb:cc:00:11:22:33:44:55], [no hwaddr info], tid=0x1: lease for address 2001:db8::7 and iaid=1 has been allocated for 4000 seconds"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=gw process.name=kea-dhcp6 process.pid=1 event.module=dhcp event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp event.code=DHCP6_LEASE_ALLOC dhcp.duid=00:01:00:01:2b:aa:bb:cc:00:11:22:33:44:55 source.ip=2001:db8::7 dhcp.lease_seconds=4000
            | INFO  [kea-dhcp6.leases.0x7f00] DHCP6_LEASE_ALLOC duid=[00:01:00:01:2b:aa:bb:cc:00:11:22:33:44:55], [no hwaddr info], tid=0x1: lease for address 2001:db8::7 and iaid=1 has been allocated for 4000 seconds"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw ocserv[1]: main[anna]:203.0.113.9:4711 user logged in"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=gw process.name=ocserv process.pid=1 event.module=ocserv event.category=authentication event.action=vpn_login event.outcome=success user.name=anna source.ip=203.0.113.9 source.port=4711
        | main[anna]:203.0.113.9:4711 user logged in"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw ocserv[1]: worker: 203.0.113.9 failed authentication attempt for user 'anna'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=gw process.name=ocserv process.pid=1 event.module=ocserv event.category=authentication event.action=vpn_login event.outcome=failure event.reason='failed authentication attempt for user 'anna'' user.name=anna source.ip=203.0.113.9
        | worker: 203.0.113.9 failed authentication attempt for user 'anna'"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw kernel: wireguard: wg0: Handshake for peer 3 (203.0.113.9:51820) did not complete after 5 seconds, retrying (try 2)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=gw process.name=kernel event.module=wireguard observer.ingress.interface.name=wg0 event.category=network event.action=vpn_handshake_timeout source.ip=203.0.113.9 source.port=51820
            | wireguard: wg0: Handshake for peer 3 (203.0.113.9:51820) did not complete after 5 seconds, retrying (try 2)"#]],
    );
}

#[test]
fn databases_golden() {
    check(
        r#"2026-03-14T06:59:58.123456Z	   12 Connect	anna@203.0.113.9 on shop using TCP/IP"#,
        expect![[r#"
        2026-03-14T06:59:58.123Z no_header
        event.module=mysql event.category=authentication event.action=database_login event.outcome=success user.name=anna source.ip=203.0.113.9 mysql.database=shop"#]],
    );
    check(
        r#"20260314 07:59:58,db-1,anna,203.0.113.9,5,0,FAILED_CONNECT,,,1045"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_header
        event.module=mysql event.category=authentication event.action=database_login event.outcome=failure user.name=anna source.ip=203.0.113.9 mysql.operation=FAILED_CONNECT event.code=1045"#]],
    );
    check(
        r#"Mar 14 07:59:58 db mysql-server_auditing: db-1,anna,203.0.113.9,5,7,QUERY,shop,'SELECT 1, 2',0"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=db process.name=mysql-server_auditing event.module=mysql event.category=database event.action=database_query user.name=anna source.ip=203.0.113.9 mysql.operation=QUERY mysql.database=shop mysql.object='SELECT 1, 2' event.code=0
        | db-1,anna,203.0.113.9,5,7,QUERY,shop,'SELECT 1, 2',0"#]],
    );
    check(
        r#"2026-03-14  7:59:58 5 [Warning] Aborted connection 5 to db: 'shop' user: 'anna' host: '203.0.113.9' (Got an error reading communication packets)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=mysql event.category=network event.action=connection_aborted event.outcome=failure mysql.database=shop user.name=anna source.ip=203.0.113.9 event.reason='Got an error reading communication packets'"#]],
    );
    check(
        r#"2026-03-14 07:59:58.123 CET [4711] LOG:  connection authorized: user=anna database=shop application_name=psql"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=postgresql event.category=authentication event.action=database_login event.outcome=success user.name=anna postgresql.database=shop process.pid=4711"#]],
    );
    check(
        r#"2026-03-14 07:59:58.123 CET [4711] LOG:  connection received: host=203.0.113.9 port=4711"#,
        expect![[r#"
        2026-03-14T06:59:58.123Z no_header
        event.module=postgresql event.category=network event.action=connection source.ip=203.0.113.9 source.port=4711 process.pid=4711"#]],
    );
    check(
        r#"2026-03-14 07:59:58.123 CET [4711] anna@shop FATAL:  no pg_hba.conf entry for host "203.0.113.9", user "anna", database "shop", no encryption"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=postgresql event.category=authentication event.action=database_login event.outcome=failure user.name=anna event.reason='no pg_hba.conf entry for host "203.0.113.9", user "anna", database "shop", no encryption' source.ip=203.0.113.9 postgresql.database=shop process.pid=4711"#]],
    );
    check(
        r#"2026-03-14 07:59:58.123 CET,"anna","shop",4711,"203.0.113.9:4712",65f2a1b3.4d2,1,"authentication",2026-03-14 07:59:58 CET,3/2,0,FATAL,28P01,"password authentication failed for user ""anna""","Connection matched file",,,,,,,,"","client backend",,0"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_header
            event.module=postgresql event.category=authentication event.action=database_login event.outcome=failure event.reason='password authentication failed for user "anna"' user.name=anna postgresql.database=shop process.pid=4711 source.ip=203.0.113.9 source.port=4712 postgresql.command_tag=authentication event.code=28P01 log.level=FATAL"#]],
    );
    check(
        r#"{"timestamp":"2026-03-14 07:59:58.123 CET","user":"anna","dbname":"shop","pid":4711,"remote_host":"203.0.113.9","remote_port":4712,"session_id":"65f2a1b3.4d2","error_severity":"FATAL","state_code":"28P01","message":"password authentication failed for user \"anna\"","backend_type":"client backend"}"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            user.name=anna dbname=shop process.pid=4711 remote_host=203.0.113.9 remote_port=4712 session_id=65f2a1b3.4d2 error_severity=FATAL state_code=28P01 backend_type='client backend' event.module=postgresql source.ip=203.0.113.9 source.port=4712 event.code=28P01 log.level=FATAL event.category=authentication event.action=database_login event.outcome=failure event.reason='password authentication failed for user "anna"'
            | password authentication failed for user "anna""#]],
    );
    check(
        r#"{"t":{"$date":"2026-03-14T07:59:58.903+01:00"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn1","msg":"Authentication failed","attr":{"principalName":"anna","remote":"203.0.113.9:4711","error":"AuthenticationFailed: storedKey mismatch"}}"#,
        expect![[r#"
            2026-03-14T06:59:58.903Z
            s=I c=ACCESS id=20249 ctx=conn1 attr.principalName=anna attr.remote=203.0.113.9:4711 attr.error='AuthenticationFailed: storedKey mismatch' event.module=mongodb user.name=anna event.reason='AuthenticationFailed: storedKey mismatch' source.ip=203.0.113.9 source.port=4711 event.category=authentication event.action=database_login event.outcome=failure
            | Authentication failed"#]],
    );
}

#[test]
fn applications_golden() {
    check(
        r#"2026/03/14 07:59:58 ...ers/web/auth/auth.go:217:SignInPost() [W] Failed authentication attempt for x from 192.0.2.66:1: y from 203.0.113.9:48560: user does not exist [uid: 0, name: x]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=gitea event.category=authentication event.action=login event.outcome=failure user.name='x from 192.0.2.66:1: y' source.ip=203.0.113.9 source.port=48560 event.reason='user does not exist [uid: 0, name: x]'"#]],
    );
    check(
        r#"[2026-03-14 07:59:58,332] [INFO] [paperless.auth] Login failed for user `anna` from IP `203.0.113.9`."#,
        expect![[r#"
        2026-03-14T06:59:58.332Z no_header
        event.module=paperless-ngx event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=203.0.113.9"#]],
    );
    check(
        r#"[2026-03-14 07:59:58.219][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 2001:db8::9. Username: anna@example.net."#,
        expect![[r#"
            2026-03-14T06:59:58.219Z no_header
            event.module=vaultwarden event.category=authentication event.action=login event.outcome=failure user.name=anna@example.net source.ip=2001:db8::9"#]],
    );
    check(
        r#"time="2026-03-14T07:59:58+01:00" level=error msg="Unsuccessful 1FA authentication attempt by user 'anna': user not found" method=POST path=/api/firstfactor remote_ip=203.0.113.9"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            kv.time=2026-03-14T07:59:58+01:00 log.level=error kv.msg='Unsuccessful 1FA authentication attempt by user 'anna': user not found' kv.method=POST kv.path=/api/firstfactor source.ip=203.0.113.9 event.module=authelia event.category=authentication event.action=login event.outcome=failure user.name=anna"#]],
    );
    check(
        r#"{"level":"error","method":"POST","msg":"Unsuccessful TOTP authentication attempt by user 'anna'","path":"/api/secondfactor/totp","remote_ip":"203.0.113.9","time":"2026-03-14T07:59:58+01:00"}"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.level=error method=POST path=/api/secondfactor/totp remote_ip=203.0.113.9 event.module=authelia event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=203.0.113.9
            | Unsuccessful TOTP authentication attempt by user 'anna'"#]],
    );
    check(
        r#"logger=context userId=0 orgId=0 uname= t=2026-03-14T07:59:58.366875297+01:00 level=error msg="Invalid username or password" error="user not found" remote_addr=203.0.113.9 traceID="#,
        expect![[r#"
            2026-03-14T06:59:58.366Z no_header
            kv.logger=context kv.userId=0 kv.orgId=0 kv.t=2026-03-14T07:59:58.366875297+01:00 log.level=error kv.msg='Invalid username or password' kv.error='user not found' source.ip=203.0.113.9 event.module=grafana event.category=authentication event.action=login event.outcome=failure"#]],
    );
    check(
        r#"[Mar 14 07:59:58] SECURITY[77] res_security_log.c: SecurityEvent="InvalidPassword",EventTV="2026-03-14T07:59:58.151+0100",Severity="Error",Service="PJSIP",EventVersion="2",AccountID="6001",SessionID="0x7f",LocalAddress="IPV4/UDP/192.0.2.1/5060",RemoteAddress="IPV4/UDP/203.0.113.9/56433",Challenge="62790d2c""#,
        expect![[r#"
            2026-03-14T06:59:58.151Z no_header
            event.module=asterisk event.category=authentication event.action=login event.outcome=failure event.reason=InvalidPassword network.application=PJSIP user.name=6001 source.ip=203.0.113.9 source.port=56433 destination.ip=192.0.2.1 destination.port=5060"#]],
    );
    check(
        r#"2026-03-14 07:59:58,616 INFO  [qtp93314457-137:https://mail.example.net:7071/service/admin/soap/AuthRequest] [name=anna@example.net;oip=203.0.113.9;port=52016;ua=ZimbraWebClient;soapId=9fd8101;] SoapEngine - handler exception: authentication failed for [anna@example.net], invalid password"#,
        expect![[r#"
            2026-03-14T06:59:58.616Z no_header
            event.module=zimbra event.category=authentication event.action=login event.outcome=failure user.name=anna@example.net source.ip=203.0.113.9 event.reason='invalid password'"#]],
    );
    check(
        r#"logger=context userId=0 orgId=0 uname= t=2026-03-14T07:59:58Z level=info msg=Unauthorized error="[password-auth.failed] failed to authenticate identity: invalid password" remote_addr=203.0.113.9 traceID="#,
        expect![[r#"
            2026-03-14T07:59:58.000Z no_header
            kv.logger=context kv.userId=0 kv.orgId=0 kv.t=2026-03-14T07:59:58Z log.level=info kv.msg=Unauthorized kv.error='[password-auth.failed] failed to authenticate identity: invalid password' source.ip=203.0.113.9 event.module=grafana event.category=authentication event.action=login event.outcome=failure"#]],
    );
    check(
        r#"{"error":"user not found","level":"error","logger":"context","msg":"Invalid username or password","orgId":0,"remote_addr":"203.0.113.9","t":"2026-03-14T07:59:58Z","traceID":"","uname":"","userId":0}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z bad_timestamp
            error='user not found' log.level=error logger=context orgId=0 remote_addr=203.0.113.9 t=2026-03-14T07:59:58Z userId=0 event.module=grafana source.ip=203.0.113.9 event.reason='user not found'
            | Invalid username or password"#]],
    );
    check(
        r#"[2026-03-14 07:59:58.892][vaultwarden::api::core::two_factor::email][ERROR] Token is invalid! IP: 203.0.113.9"#,
        expect![[r#"
            2026-03-14T06:59:58.892Z no_header
            event.module=vaultwarden event.category=authentication event.action=login event.outcome=failure source.ip=203.0.113.9"#]],
    );
    check(
        r#"Sat Mar 14 07:59:58 2026 [pid 27244] [anna] FAIL LOGIN: Client "::ffff:203.0.113.9""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=vsftpd event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=203.0.113.9"#]],
    );
    check(
        r#"Mar 14 07:59:58 ftp proftpd[80686]: 192.0.2.1 (203.0.113.9[203.0.113.9]) - USER a[192.0.2.66] (Login failed): Incorrect password"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=ftp process.name=proftpd process.pid=80686 event.module=proftpd event.category=authentication event.action=login event.outcome=failure user.name=a[192.0.2.66] source.ip=203.0.113.9 event.reason='Incorrect password'
            | 192.0.2.1 (203.0.113.9[203.0.113.9]) - USER a[192.0.2.66] (Login failed): Incorrect password"#]],
    );
    check(
        r#"{"timestamp":"2026-03-14T07:59:58.123+01:00","sequence":1,"loggerName":"org.keycloak.events","level":"WARN","message":"type=\"LOGIN_ERROR\", realmId=\"rathaus\", clientId=\"portal\", userId=\"null\", ipAddress=\"203.0.113.9\", error=\"user_not_found\", username=\"anna\""}"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            sequence=1 loggerName=org.keycloak.events log.level=WARN event.module=keycloak keycloak.realmId=rathaus keycloak.clientId=portal source.ip=203.0.113.9 event.reason=user_not_found user.name=anna event.category=authentication event.action=login event.outcome=failure keycloak.type=LOGIN_ERROR
            | type="LOGIN_ERROR", realmId="rathaus", clientId="portal", userId="null", ipAddress="203.0.113.9", error="user_not_found", username="anna""#]],
    );
    check(
        r#"{"action": "login_failed", "auth_via": "unauthenticated", "client_ip": "203.0.113.9", "context": {"username": "anna"}, "event": "Created Event", "level": "info", "timestamp": "2026-03-14T07:59:58.598288", "user": {"username": "AnonymousUser"}}"#,
        expect![[r#"
            2026-03-14T06:59:58.598Z
            action=login_failed auth_via=unauthenticated client_ip=203.0.113.9 context.username=anna event='Created Event' log.level=info user.username=AnonymousUser event.module=authentik source.ip=203.0.113.9 user.name=anna event.category=authentication event.action=login event.outcome=failure"#]],
    );
    check(
        r#"{"method":"POST","path":"/users/sign_in","controller":"SessionsController","action":"create","status":200,"time":"2026-03-14T06:59:58.195Z","params":[{"key":"user","value":{"login":"anna","password":"[FILTERED]"}}],"correlation_id":"c","meta.caller_id":"SessionsController#create","remote_ip":"203.0.113.9","ua":"curl/8"}"#,
        expect![[r#"
            2026-03-14T06:59:58.195Z
            method=POST path=/users/sign_in controller=SessionsController action=create status=200 params.key=user params.value.login=anna params.value.password=[FILTERED] correlation_id=c meta.caller_id=SessionsController#create remote_ip=203.0.113.9 ua=curl/8 event.module=gitlab source.ip=203.0.113.9 http.request.method=POST user_agent.original=curl/8 http.response.status_code=200 url.original=/users/sign_in url.path=/users/sign_in user.name=anna event.category=authentication event.action=login event.outcome=failure"#]],
    );
}

#[test]
fn further_applications_golden() {
    check(
        r#"Mar 14 07:59:58 h dropbear[123]: Bad password attempt for 'root' from 192.0.2.7:4711"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=h process.name=dropbear process.pid=123 event.module=dropbear event.category=authentication event.action=login event.outcome=failure user.name=root source.ip=192.0.2.7 source.port=4711
        | Bad password attempt for 'root' from 192.0.2.7:4711"#]],
    );
    check(
        r#"Mar 14 07:59:58 h dropbear[123]: Login attempt for nonexistent user from 192.0.2.7:4711"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=h process.name=dropbear process.pid=123 event.module=dropbear event.category=authentication event.action=login event.outcome=failure source.ip=192.0.2.7 source.port=4711
        | Login attempt for nonexistent user from 192.0.2.7:4711"#]],
    );
    check(
        r#"Mar 14 07:59:58 h dropbear[123]: Password auth succeeded for 'anna' from 192.0.2.7:4711"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=h process.name=dropbear process.pid=123 event.module=dropbear event.category=authentication event.action=login event.outcome=success user.name=anna source.ip=192.0.2.7 source.port=4711
        | Password auth succeeded for 'anna' from 192.0.2.7:4711"#]],
    );
    check(
        r#"Mar 14 07:59:58 h pure-ftpd: (?@192.0.2.7) [WARNING] Authentication failed for user [anna]"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        host.name=h process.name=pure-ftpd event.module=pure-ftpd event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=192.0.2.7
        | (?@192.0.2.7) [WARNING] Authentication failed for user [anna]"#]],
    );
    check(
        r#"Mar 14 07:59:58 h smbd[123]:   Auth: [SMB2,(null)] user [DOM]\[anna] at [Sat, 14 Mar 2026 07:59:58.123456 CET] with [NTLMv2] status [NT_STATUS_WRONG_PASSWORD] workstation [PC] remote host [ipv4:192.0.2.7:4711] mapped to [DOM]\[anna]. local host [ipv4:198.51.100.1:445]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=h process.name=smbd process.pid=123 event.module=samba event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=192.0.2.7 source.port=4711
            |   Auth: [SMB2,(null)] user [DOM]\[anna] at [Sat, 14 Mar 2026 07:59:58.123456 CET] with [NTLMv2] status [NT_STATUS_WRONG_PASSWORD] workstation [PC] remote host [ipv4:192.0.2.7:4711] mapped to [DOM]\[anna]. local host [ipv4:198.51.100.1:445]"#]],
    );
    check(
        r#"2026-03-14 07:59:58.12 Logon       Login failed for user 'sa'. Reason: Password did not match that for the login provided. [CLIENT: 192.0.2.7]"#,
        expect![[r#"
            2026-03-14T06:59:58.120Z no_header
            event.module=mssql event.category=authentication event.action=login event.outcome=failure user.name=sa source.ip=192.0.2.7 event.reason='Password did not match that for the login provided.'"#]],
    );
    check(
        r#"Mar 14 07:59:58 nas synologydsm: User [anna] from [192.0.2.7] failed to log in via [DSM] due to authorization failure."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=nas process.name=synologydsm event.module=synology event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=192.0.2.7 event.reason='authorization failure.'
            | User [anna] from [192.0.2.7] failed to log in via [DSM] due to authorization failure."#]],
    );
    check(
        r#"Mar 14 07:59:58 h snort[123]: [1:2010935:3] ET SCAN Suspicious inbound to MSSQL port 1433 [Classification: Potentially Bad Traffic] [Priority: 2] {TCP} 192.0.2.7:4711 -> 198.51.100.1:1433"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=h process.name=snort process.pid=123 event.module=suricata event.kind=alert event.category=intrusion_detection event.action=detected rule.id=2010935 rule.name='ET SCAN Suspicious inbound to MSSQL port 1433' suricata.gid=1 suricata.rev=3 suricata.classification='Potentially Bad Traffic' event.severity=2 network.transport=tcp source.ip=192.0.2.7 source.port=4711 destination.ip=198.51.100.1 destination.port=1433
            | [1:2010935:3] ET SCAN Suspicious inbound to MSSQL port 1433 [Classification: Potentially Bad Traffic] [Priority: 2] {TCP} 192.0.2.7:4711 -> 198.51.100.1:1433"#]],
    );
    check(
        r#"Mar 14 07:59:58 gw suricata[123]: [Drop] [1:2010935:3] ET SCAN Suspicious inbound to MSSQL port 1433 [Classification: Potentially Bad Traffic] [Priority: 2] {TCP} 192.0.2.7:4711 -> 198.51.100.1:1433"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=gw process.name=suricata process.pid=123 event.module=suricata event.kind=alert event.category=intrusion_detection event.action=blocked rule.id=2010935 rule.name='ET SCAN Suspicious inbound to MSSQL port 1433' suricata.gid=1 suricata.rev=3 suricata.classification='Potentially Bad Traffic' event.severity=2 network.transport=tcp source.ip=192.0.2.7 source.port=4711 destination.ip=198.51.100.1 destination.port=1433
            | [Drop] [1:2010935:3] ET SCAN Suspicious inbound to MSSQL port 1433 [Classification: Potentially Bad Traffic] [Priority: 2] {TCP} 192.0.2.7:4711 -> 198.51.100.1:1433"#]],
    );
    check(
        r#"Mar 14 07:59:58 h webapp[123]: [1:2010935:3] ET SCAN of nobody [Classification: x] [Priority: 2] {TCP} 192.0.2.7:4711 -> 198.51.100.1:1433"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=h process.name=webapp process.pid=123
            | [1:2010935:3] ET SCAN of nobody [Classification: x] [Priority: 2] {TCP} 192.0.2.7:4711 -> 198.51.100.1:1433"#]],
    );
}

/// One line of each product; `hostile` cuts and changes them too.
const SAMPLES: &[&str] = &[
    r#"Mar 14 07:59:58 srv CRON[811]: (root) CMD (   cd / && run-parts --report /etc/cron.hourly)"#,
    r#"Mar 14 07:59:58 srv anacron[814]: Job `cron.daily' terminated (exit status: 1) (mailing output)"#,
    r#"Mar 14 07:59:58 srv systemd[1]: Failed to start nginx.service - A high performance web server."#,
    r#"Mar 14 07:59:58 srv systemd-logind[700]: New session '13' of user 'bert' with class 'user' and type 'tty'."#,
    r#"Mar 14 07:59:58 srv kernel: [  812.345678] Out of memory: Killed process 1234 (mysqld) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:112 pgtables:1kB oom_score_adj:0"#,
    r#"Mar 14 07:59:58 srv kernel: e1000e 0000:00:1f.6 eno1: NIC Link is Up 1000 Mbps Full Duplex, Flow Control: None"#,
    r#"Mar 14 07:59:58 srv kernel: audit: type=1400 audit(1773471598.123:45): apparmor="DENIED" operation="open" profile="/usr/sbin/cupsd" name="/etc/shadow" pid=7 comm="cupsd" requested_mask="r" denied_mask="r" fsuid=0 ouid=0"#,
    r#"Mar 14 07:59:58 srv su[9]: FAILED su for root by anna"#,
    r#"Mar 14 07:59:58 srv doas: command not permitted for anna: /bin/sh"#,
    r#"Mar 14 07:59:58 srv sshd[11]: pam_faillock(sshd:auth): Consecutive login failures for user anna account temporarily locked"#,
    r#"Mar 14 07:59:58 srv sudo: pam_unix(sudo:auth): auth could not identify password for [anna]"#,
    r#"Mar 14 07:59:58 srv sshd[11]: drop connection #10 from [203.0.113.9]:4711 on [192.0.2.1]:22 past MaxStartups"#,
    r#"Mar 14 07:59:58 srv sshd[11]: error: kex_exchange_identification: client sent invalid protocol identifier "GET / HTTP/1.1""#,
    r#"type=EXECVE msg=audit(1773471598.123:47): argc=3 a0="sh" a1="-c" a2=6364202F3B206C73"#,
    r#"type=USER_CMD msg=audit(1773471598.123:49): pid=7 uid=1000 auid=1000 ses=3 msg='cwd="/home/anna" cmd=2F62696E2F6C73202D6C exe="/usr/bin/sudo" terminal=pts/0 res=success'"#,
    r#"Mar 14 07:59:58 mx postfix/smtpd[1]: Anonymous TLS connection established from unknown[203.0.113.9]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"#,
    r#"Mar 14 07:59:58 mx postfix/qmgr[1]: 4F12AB34CD: from=<a@example.net>, size=1234, nrcpt=2 (queue active)"#,
    r#"Mar 14 07:59:58 mx postfix/bounce[1]: 4F12AB34CD: sender non-delivery notification: 5A12AB34CD"#,
    r#"Mar 14 07:59:58 mx postfix/postscreen[1]: COMMAND PIPELINING from [203.0.113.9]:4711 after EHLO: x"#,
    r#"Mar 14 07:59:58 mx postfix/smtpd[1]: warning: hostname evil.example does not resolve to address 203.0.113.9: Name or service not known"#,
    r#"Mar 14 07:59:58 mx dovecot: imap(anna)<1234><s3ss>: Disconnected: Logged out in=1 out=2"#,
    r#"2026-03-14 07:59:58 1tXyZ1-00000000001-Abcd => b <b@example.org> R=dnslookup T=remote_smtp H=mx.example.org [198.51.100.7] X=TLS1.3 C="250 OK""#,
    r#"Mar 14 07:59:58 mx rspamd[1]: <abc123>; task; rspamd_task_write_log: id: <m1@example.net>, qid: <4F12AB34CD>, ip: 203.0.113.9, from: <a@example.net>, (default: T (reject): [18.40/15.00] [BAYES_SPAM(5.10){99.99%;}]), len: 1234, time: 120.1ms, dns req: 3, digest: <d>, rcpts: <b@example.org>, mime_rcpts: <b@example.org>"#,
    r#"Mar 14 07:59:58 mx freshclam[1]: daily.cvd updated (version: 27000, sigs: 2, f-level: 90, builder: x)"#,
    r#"203.0.113.9 - - [03/14/2026:06:59:58 -0000] "GET /etc/shadow HTTP/1.1" 200 0 "-" "curl/8" "-" "-" 2083"#,
    r#"2026/03/14 07:59:58 [info] 8#8: *6631 client login failed: "AUTH not supported" while in http auth state, client: 203.0.113.9, server: 0.0.0.0:25, login: "anna@example.net""#,
    r#"{"transaction":{"client_ip":"203.0.113.9","time_stamp":"Sat Mar 14 07:59:58 2026","client_port":4711,"host_ip":"192.0.2.1","host_port":443,"unique_id":"u1","request":{"method":"GET","http_version":1.1,"uri":"/?a=../etc/passwd","headers":{"Host":"www.example.net"}},"response":{"http_code":403},"messages":[{"message":"OS File Access Attempt","details":{"ruleId":"930120"}}]}}"#,
    r#"Mar 14 07:59:58 ns named[1]: client @0x7f00 203.0.113.9#3076/key rndc-key: updating zone 'example.net/IN': adding an RR at 'pc.example.net' A 192.0.2.9"#,
    r#"Mar 14 07:59:58 ns named[1]: client @0x7f00 203.0.113.9#3076 (example.net): query failed (SERVFAIL) for example.net/IN/A at query.c:7094"#,
    r#"Mar 14 07:59:58 ns named[1]: timed out resolving 'example.com/A/IN': 198.51.100.7#53"#,
    r#"Mar 14 07:59:58 ns dnsmasq[1]: 42 10.1.1.7/4711 query[A] example.net from 10.1.1.7"#,
    r#"Mar 14 07:59:58 ns pdns_recursor[1]: 1 [1/1] question for 'example.net|AAAA' from 10.1.1.7:4711"#,
    r#"Mar 14 07:59:58 gw dhcpd[1]: DHCPREQUEST for 10.1.1.7 (10.1.1.1) from 00:11:22:33:44:55 (pc (via) x) via eth0: unknown lease 10.1.1.7."#,
    r#"Mar 14 07:59:58 gw dnsmasq-dhcp[1]: DHCPNAK(eth0) 10.1.9.7 00:11:22:33:44:55 wrong network"#,
    r#"Mar 14 07:59:58 gw ocserv[1]: main[anna]:203.0.113.9:4711 user logged in"#,
    r#"2026-03-14T06:59:58.123456Z	   12 Connect	anna@203.0.113.9 on shop using TCP/IP"#,
    r#"2026-03-14  7:59:58 5 [Warning] Aborted connection 5 to db: 'shop' user: 'anna' host: '203.0.113.9' (Got an error reading communication packets)"#,
    r#"2026-03-14 07:59:58.123 CET [4711] anna@shop FATAL:  no pg_hba.conf entry for host "203.0.113.9", user "anna", database "shop", no encryption"#,
    r#"{"t":{"$date":"2026-03-14T07:59:58.903+01:00"},"s":"I","c":"ACCESS","id":20249,"ctx":"conn1","msg":"Authentication failed","attr":{"principalName":"anna","remote":"203.0.113.9:4711","error":"AuthenticationFailed: storedKey mismatch"}}"#,
    r#"[2026-03-14 07:59:58.219][vaultwarden::api::identity][ERROR] Username or password is incorrect. Try again. IP: 2001:db8::9. Username: anna@example.net."#,
    r#"logger=context userId=0 orgId=0 uname= t=2026-03-14T07:59:58.366875297+01:00 level=error msg="Invalid username or password" error="user not found" remote_addr=203.0.113.9 traceID="#,
    r#"Sat Mar 14 07:59:58 2026 [pid 27244] [anna] FAIL LOGIN: Client "::ffff:203.0.113.9""#,
    r#"{"action": "login_failed", "auth_via": "unauthenticated", "client_ip": "203.0.113.9", "context": {"username": "anna"}, "event": "Created Event", "level": "info", "timestamp": "2026-03-14T07:59:58.598288", "user": {"username": "AnonymousUser"}}"#,
];

#[test]
fn every_sample_is_understood() {
    for sample in SAMPLES {
        let event = event_of(FrameKind::of_line(sample.as_bytes()), sample.as_bytes());
        assert_eq!(unread(&event), None, "{sample}");
    }
}
