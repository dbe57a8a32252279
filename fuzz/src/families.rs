//! The decoders by family. The first byte chooses what stands before the fuzzer's bytes, so that they reach a decoder and
//! are not all spent on being taken for a header; 0 is nothing, which is how the kept seeds (whole lines) begin. How an
//! event is shown is the business of `line`: here it would only cost inputs.

use ingest::frame::{FrameKind, PAYLOAD_BYTES_MAX};

use super::becomes_an_event;

fn family(starts: &[&str], data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else { return };
    let start = usize::from(*choice).checked_sub(1).and_then(|n| starts.get(n % starts.len())).copied().unwrap_or_default();
    let line = [start.as_bytes(), rest].concat();
    becomes_an_event(FrameKind::Line, line.get(..PAYLOAD_BYTES_MAX).unwrap_or(&line));
}

pub fn header(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<34>1 ",
        "<34>1 2026-03-14T07:59:58Z h a 1 - [",
        "<34>1 2026-03-14T07:59:58Z h a 1 ID [x@1 k=\"",
        "<13>Mar 14 ",
        "<13>Mar 14 07:59:58 ",
        "<13>Mar 14 2026 07:59:58",
        "<13>Mar 14 07:59:58 relay Mar 14 07:59:58 ",
        "<189>29: *Mar 14 2026 07:59:58.483 ",
        "<189>29: ",
        "<30>device=\"x\" date=",
        "<30>2026:03:14-07:59:58 ",
        "2026-03-14T07:59:58",
        "2026-03-14 07:59:58",
        "[14/Mar/2026:07:59:58 +0100] ",
        "Mar 14 07:59:58 h a[1]: ",
        "<",
        "<13>",
        "17735",
    ];
    family(STARTS, data);
}

pub fn firewall(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<189>date=2026-03-14 time=07:59:58 devname=\"a\" devid=\"FG1\" type=\"traffic\" subtype=\"forward\" ",
        "<189>date=2026-03-14 time=07:59:58 devid=\"FG1\" eventtime=",
        "<30>device=\"SFW\" date=2026-03-14 time=07:59:58 timezone=\"CET\" device_name=\"XGS\" log_type=\"Firewall\" ",
        "<30>2026:03:14-07:59:58 utm ulogd[1]: id=\"2001\" severity=\"info\" sys=\"SecureNet\" ",
        "<134>Mar 14 07:59:58 gw filterlog[1]: ",
        "<134>Mar 14 07:59:58 gw filterlog[1]: 53,,,1000000301,em0,match,block,in,4,0x0,,64,420,0,none,6,tcp,",
        "<134>Mar 14 07:59:58 gw filterlog[1]: 53,,,1,em0,match,block,in,6,0x00,",
        "<134>Mar 14 07:59:58 gw pf: rule 1/0(match): block in on em0: ",
        "<4>Mar 14 07:59:58 fw kernel: [1.5] [UFW BLOCK] IN=eth0 OUT= ",
        "<4>Mar 14 07:59:58 fw kernel: DROP IN= OUT=eth0 SRC=",
        "<166>Mar 14 2026 07:59:58 asa01 : %ASA-6-",
        "<166>Mar 14 2026 07:59:58 asa01 : %ASA-6-302013: Built outbound TCP connection ",
        "<166>Mar 14 2026 07:59:58 asa01 : %ASA-4-106023: Deny tcp src ",
        "<189>29: *Mar 14 2026 07:59:58.483 UTC: %SEC-6-IPACCESSLOGP: list ",
        "<13>Mar 14 07:59:58 lancom PACKET_ALERT: ",
        "<13>Mar 14 07:59:58 gw firewall,info drop-in input: in:",
        "<13>Mar 14 07:59:58 gw system,error,critical login failure for user ",
        "<14>Mar 14 07:59:58 pa 1,2026/03/14 07:59:58,0,TRAFFIC,",
        "<14>Mar 14 07:59:58 pa 1,2026/03/14 07:59:58,0,THREAT,",
        "<14>Mar 14 07:59:58 cp CheckPoint 1 - [action:\"",
        "<134>id=firewall sn=0 time=\"2026-03-14 07:59:58\" fw=192.0.2.1 pri=",
        "<134>Mar 14 07:59:58 wg WG firewall: msg_id=\"3000-0148\" ",
        "<13>Mar 14 07:59:58 usg CEF:0|Zyxel|",
        "03/14/2026-07:59:58.860293  [**] [1:2200074:2] ",
    ];
    family(STARTS, data);
}

pub fn windows(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<14>Mar 14 07:59:58 PC-1 MSWinEventLog\t1\tSecurity\t7\tSat Mar 14 07:59:58 2026\t4625\t",
        "<14>Mar 14 07:59:58 PC-1 MSWinEventLog#0111#011",
        "<14>Mar 14 07:59:58 PC-1 MSWinEventLog\t1\tSecurity\t7\tSat Mar 14 07:59:58 2026\t4625\tP\tN/A\tN/A\tFailure Audit\tPC-1\tLogon\t\tSubject:   ",
        "<Event xmlns=\"http://schemas.microsoft.com/win/2004/08/events/event\"><System>",
        "<Event><System><Provider Name=\"Microsoft-Windows-Sysmon\"/><EventID>1</EventID></System><EventData><Data Name=\"",
        "{\"EventID\":4625,\"Channel\":\"Security\",",
        "{\"winlog\":{\"channel\":\"Security\",\"event_id\":4625,\"event_data\":{\"",
        "<13>Mar 14 07:59:58 PC-1 Microsoft-Windows-Security-Auditing[1]: An account failed to log on.  ",
        "EventID=4625 Channel=Security ",
    ];
    family(STARTS, data);
}

pub fn mail(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<22>Mar 14 07:59:58 mx postfix/smtpd[1]: ",
        "<22>Mar 14 07:59:58 mx postfix/smtpd[1]: NOQUEUE: reject: RCPT from ",
        "<22>Mar 14 07:59:58 mx postfix/smtp[1]: 4bsM5k4xJmz4rT6: to=<",
        "<22>Mar 14 07:59:58 mx postfix/smtpd[1]: warning: ",
        "<22>Mar 14 07:59:58 mx dovecot: imap-login: ",
        "<22>Mar 14 07:59:58 mx dovecot: imap-login: Login: user=<",
        "<22>Mar 14 07:59:58 mx dovecot: auth: ",
        "<22>Mar 14 07:59:58 mx exim[1]: 2026-03-14 07:59:58 ",
        "2026-03-14 07:59:58 1abcDE-000001-AB <= ",
        "2026-03-14 07:59:58 login authenticator failed for ",
        "<22>Mar 14 07:59:58 mx amavis[1]: (1-1) Blocked ",
        "2026-03-14T07:59:58.000Z,MX\\Default,08D9,1,192.0.2.1:25,",
        "2026-03-14T07:59:58.000Z,0000001,1,192.0.2.1:143,203.0.113.9:1,",
    ];
    family(STARTS, data);
}

pub fn web(data: &[u8]) {
    const STARTS: &[&str] = &[
        "203.0.113.9 - - [14/Mar/2026:07:59:58 +0100] \"",
        "203.0.113.9 - anna [14/Mar/2026:07:59:58 +0100] \"GET / HTTP/1.1\" 200 1 \"",
        "example.net:443 203.0.113.9 - - [14/Mar/2026:07:59:58 +0100] \"",
        "<134>Mar 14 07:59:58 web nginx: ",
        "2026/03/14 07:59:58 [error] 1#1: *1 ",
        "2026/03/14 07:59:58 [error] 1#1: *1 open() failed, client: ",
        "[Sat Mar 14 07:59:58.000000 2026] [core:error] [pid 1:tid 2] [client ",
        "[Sat Mar 14 07:59:58.000000 2026] [security2:error] [pid 1:tid 2] [client 203.0.113.9:1] ModSecurity: ",
        "[14/Mar/2026:07:59:58 +0100] - 404 404 - GET http ",
        "<134>Mar 14 07:59:58 lb haproxy[1]: ",
        "<134>Mar 14 07:59:58 lb haproxy[1]: 203.0.113.9:1 [14/Mar/2026:07:59:58.885] front back/web ",
        "{\"logger\":\"http.log.access\",\"request\":{",
        "{\"ClientAddr\":\"203.0.113.9:1\",\"RequestMethod\":\"",
        "1773471598.123    7 203.0.113.9 TCP_MISS/200 1 ",
        "2026-03-14 07:59:58,123 WARN  [org.keycloak.events] (x) type=LOGIN_ERROR, ",
        "{\"reqId\":\"x\",\"level\":2,\"time\":\"2026-03-14T07:59:58+01:00\",\"remoteAddr\":\"",
    ];
    family(STARTS, data);
}

pub fn structured(data: &[u8]) {
    const STARTS: &[&str] = &[
        "{",
        "{\"@timestamp\":\"2026-03-14T07:59:58Z\",",
        "{\"message\":\"",
        "{\"timestamp\":\"2026-03-14T07:59:58.000000+0100\",\"event_type\":\"",
        "{\"ID\":\"1773471598.843:1\",\"SYSCALL\":{",
        "<13>Mar 14 07:59:58 h a[1]: {",
        "<13>Mar 14 07:59:58 h a[1]: @cee: {",
        "<13>Mar 14 07:59:58 h CEF:0|",
        "<13>Mar 14 07:59:58 h CEF:0|V|P|1|1|n|5|",
        "<13>Mar 14 07:59:58 h LEEF:1.0|V|P|1|1|",
        "<13>Mar 14 07:59:58 h LEEF:2.0|V|P|1|1|^|",
        "time=2026-03-14T07:59:58Z level=info ",
        "<13>Mar 14 07:59:58 h a[1]: user=",
        "time=\"2026-03-14T07:59:58Z\" level=error msg=\"",
    ];
    family(STARTS, data);
}

pub fn columns(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<14>Mar 14 07:59:58 pa 1,2026/03/14 07:59:58,0,",
        "2026-03-14T07:59:58.000Z,",
        "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status\n",
        "#Fields: ",
        "2026-03-14 07:59:58 192.0.2.1 GET /",
        "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\n",
        "#fields\t",
        "1773471598.123456\tCx\t203.0.113.9\t1\t192.0.2.1\t53\tudp\t",
    ];
    family(STARTS, data);
}

pub fn linux(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<38>Mar 14 07:59:58 h sshd[1]: ",
        "<38>Mar 14 07:59:58 h sshd[1]: Failed password for ",
        "<38>Mar 14 07:59:58 h sshd[1]: Accepted publickey for ",
        "<38>Mar 14 07:59:58 h sshd[1]: pam_unix(sshd:auth): authentication failure; ",
        "<85>Mar 14 07:59:58 h sudo:     anna : ",
        "<85>Mar 14 07:59:58 h sudo:     anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=",
        "<85>Mar 14 07:59:58 h su[1]: ",
        "<86>Mar 14 07:59:58 h useradd[1]: new user: name=",
        "<86>Mar 14 07:59:58 h usermod[1]: ",
        "<78>Mar 14 07:59:58 h CRON[1]: (root) CMD (",
        "<30>Mar 14 07:59:58 h systemd[1]: ",
        "<30>Mar 14 07:59:58 h systemd-logind[1]: New session 1 of user ",
        "type=USER_LOGIN msg=audit(1773471598.123:1): ",
        "type=EXECVE msg=audit(1773471598.123:1): argc=2 a0=",
        "type=PROCTITLE msg=audit(1773471598.123:1): proctitle=",
        "<4>Mar 14 07:59:58 h kernel: [1.5] ",
    ];
    family(STARTS, data);
}

pub fn services(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<30>Mar 14 07:59:58 ns named[1]: client @0x7f 203.0.113.9#1 (example.net): ",
        "14-Mar-2026 07:59:58.425 client @0x7f 203.0.113.9#1 (example.net): query",
        "<30>Mar 14 07:59:58 ns unbound[1]: [1:0] info: ",
        "<30>Mar 14 07:59:58 ns dnsmasq[1]: ",
        "<30>Mar 14 07:59:58 ns dnsmasq-dhcp[1]: DHCPACK(eth0) ",
        "<30>Mar 14 07:59:58 ns dhcpd[1]: DHCPACK on ",
        "2026-03-14 07:59:58.123 INFO  [kea-dhcp4.leases/1] DHCP4_LEASE_ALLOC ",
        "<30>Mar 14 07:59:58 gw charon[1]: 06[IKE] <con|1> ",
        "<30>Mar 14 07:59:58 gw ovpn-server[1]: ",
        "<30>Mar 14 07:59:58 gw openvpn[1]: 203.0.113.9:1 ",
        "<4>Mar 14 07:59:58 gw kernel: [1.5] wireguard: wg0: ",
        "2026-03-14  7:59:58 8 [Warning] Access denied for user '",
        "2026-03-14T07:59:58.861934Z 344 [Note] ",
        "2026-03-14 07:59:58.425 UTC [1] anna@db FATAL:  ",
    ];
    family(STARTS, data);
}

pub fn generic(data: &[u8]) {
    const STARTS: &[&str] = &[
        "<13>Mar 14 07:59:58 h app[1]: ",
        "<13>Mar 14 07:59:58 h app: a=1 b=\"",
        "<13>1 2026-03-14T07:59:58Z h app 1 - - ",
        "2026-03-14 07:59:58,123 INFO ",
        "[2026-03-14 07:59:58] app.WARNING: ",
        "<13>",
    ];
    family(STARTS, data);
}
