//! Windows and its servers: events in every carrier, in English and German, and the logs whose columns a line of their
//! own declares. Samples are Microsoft's, NXLog's and Zeek's documentation, with other names and addresses.

use expect_test::{Expect, expect};

use super::super::conformance::corpora;
use super::{Options, SITE_UNKNOWN, decode, event_of, frame, rendered};
use crate::body::SiteId;
use crate::decode::memory::SharedMemory;
use crate::event::Event;
use crate::fields::FieldId;
use crate::frame::{Frame, FrameKind, Seq};

/// Lines of one source, one after the other.
fn session(options: &Options, from: u64, lines: &[&str]) -> Vec<Event> {
    let numbered = lines.iter().zip(from..);
    numbered.map(|(line, seq)| decode(&Frame { seq: Seq(seq), ..frame(FrameKind::Line, line.as_bytes()) }, options).unwrap()).collect()
}

/// Cut anywhere, also within a character, a line is still an event with all its bytes.
fn cut(kind: FrameKind, line: &str) {
    for at in (0..line.len()).step_by(7) {
        let bytes = &line.as_bytes()[..at];
        assert_eq!(event_of(kind, bytes).raw(), bytes);
    }
}

/// What the last of a source's lines becomes, without its message.
fn check_after(lines: &[&str], expected: Expect) {
    let events = session(&Options::default(), 1, lines);
    lines.iter().for_each(|line| cut(FrameKind::Line, line));
    expected.assert_eq(rendered(events.last().unwrap()).split("\n| ").next().unwrap());
}

fn check_brief(line: &str, expected: Expect) {
    check_after(&[line], expected);
}

fn check_json(line: &str, expected: Expect) {
    cut(FrameKind::Json, line);
    expected.assert_eq(rendered(&event_of(FrameKind::Json, line.as_bytes())).split("\n| ").next().unwrap());
}

const IIS: &str = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken X-Forwarded-For";

#[test]
fn iis_golden() {
    check_after(
        &[
            "#Software: Microsoft Internet Information Services 10.0",
            IIS,
            r"2026-03-14 07:00:00 10.0.0.1 POST /owa/auth.owa a=1&b=2 443 KREIS\anna 10.0.0.9 Mozilla/5.0+(X11;+Linux+x86_64) https://mail.example.net/ 401 1 2148074254 15 203.0.113.9:4711,+198.51.100.7",
        ],
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            destination.ip=10.0.0.1 http.request.method=POST destination.port=443 source.ip=10.0.0.9 http.request.referrer=https://mail.example.net/ http.response.status_code=401 iis.access.sub_status=1 iis.access.win32_status=2148074254 event.module=iis event.dataset=iis.access event.type=access event.category=web event.action=http_request event.outcome=failure url.original=/owa/auth.owa?a=1&b=2 url.path=/owa/auth.owa url.query=a=1&b=2 user.domain=KREIS user.name=anna user_agent.original='Mozilla/5.0 (X11; Linux x86_64)' event.duration=15000000 network.forwarded_ip=203.0.113.9 network.forwarded_ip=198.51.100.7"#]],
    );
    check_brief(
        IIS,
        expect![[r#"
        2026-03-14T07:00:00.000Z no_header
        event.module=iis event.kind=metric event.action=columns_declared"#]],
    );
    // Behind a header, and without any declaration: IIS' usual columns.
    check_brief(
        "<13>Mar 14 08:00:01 web-1 2026-03-14 07:00:00 10.0.0.1 GET / - 443 - 203.0.113.9 curl/8.5 - 200 0 0 3",
        expect![[r#"
        2026-03-14T07:00:00.000Z
        log.syslog.facility.name=user log.level=notice host.name=web-1 destination.ip=10.0.0.1 http.request.method=GET destination.port=443 source.ip=203.0.113.9 http.response.status_code=200 iis.access.sub_status=0 iis.access.win32_status=0 event.module=iis event.dataset=iis.access event.type=access event.category=web event.action=http_request event.outcome=success url.original=/ url.path=/ user_agent.original=curl/8.5 event.duration=3000000 event.created=2026-03-14T07:00:01.000Z"#]],
    );
    // Nothing of it may be anybody's default.
    check_brief("2026-03-14 07:00:00 hello world, this is no table", expect!["2026-03-14T06:00:00.000Z no_header"]);
    check_after(
        &[
            "<13>Mar 14 08:00:00 web-1 #Fields: date time c-ip cs-method cs-uri-stem sc-status",
            "<13>Mar 14 08:00:01 web-1 2026-03-14 07:00:00 203.0.113.9 GET /a 404",
        ],
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=user log.level=notice host.name=web-1 source.ip=203.0.113.9 http.request.method=GET http.response.status_code=404 event.module=iis event.dataset=iis.access event.type=access event.category=web event.action=http_request event.outcome=failure url.original=/a url.path=/a event.created=2026-03-14T07:00:01.000Z"#]],
    );
    check_json(
        r#"{"@timestamp":"2026-03-14T07:00:05Z","log":{"file":{"path":"C:\\inetpub\\logs\\LogFiles\\W3SVC1\\u_ex260314.log"}},"host":{"name":"web-1"},"message":"2026-03-14 07:00:00 10.0.0.1 GET / - 443 - 203.0.113.9 curl/8.5 - 200 0 0 3"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.file.path=C:\inetpub\logs\LogFiles\W3SVC1\u_ex260314.log host.name=web-1 destination.ip=10.0.0.1 http.request.method=GET destination.port=443 source.ip=203.0.113.9 http.response.status_code=200 iis.access.sub_status=0 iis.access.win32_status=0 event.module=iis event.dataset=iis.access event.type=access event.category=web event.action=http_request event.outcome=success url.original=/ url.path=/ user_agent.original=curl/8.5 event.duration=3000000"#]],
    );
}

#[test]
fn exchange_golden() {
    check_brief(
        r"2026-03-14T07:00:00.123Z,MAIL\Default Frontend MAIL,08DF0001,4,10.0.0.1:25,203.0.113.9:4711,*,,Inbound authentication failed",
        expect![[r#"
            2026-03-14T07:00:00.123Z no_header
            exchange.connector-id='MAIL\Default Frontend MAIL' exchange.session-id=08DF0001 exchange.sequence-number=4 exchange.context='Inbound authentication failed' event.module=exchange event.dataset=exchange.smtp network.protocol=smtp source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 destination.port=25 event.reason='Inbound authentication failed' event.category=authentication event.action=smtp_login event.outcome=failure"#]],
    );
    check_brief(
        r"2026-03-14T07:00:00.123Z,MAIL\Client Frontend MAIL,08DF0001,7,10.0.0.1:587,203.0.113.9:4711,>,535 5.7.3 Authentication unsuccessful,",
        expect![[r#"
            2026-03-14T07:00:00.123Z no_header
            exchange.connector-id='MAIL\Client Frontend MAIL' exchange.session-id=08DF0001 exchange.sequence-number=7 exchange.data='535 5.7.3 Authentication unsuccessful' event.module=exchange event.dataset=exchange.smtp network.protocol=smtp source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 destination.port=587 event.reason='535 5.7.3 Authentication unsuccessful' event.category=authentication event.action=smtp_login event.outcome=failure"#]],
    );
    check_brief(
        r"2026-03-14T07:00:00.123Z,Internet,08DF0001,3,10.0.0.1:41001,198.51.100.25:25,>,MAIL FROM:<anna@kreis.example> SIZE=2048,",
        expect![[r#"
            2026-03-14T07:00:00.123Z no_header
            exchange.connector-id=Internet exchange.session-id=08DF0001 exchange.sequence-number=3 exchange.data='MAIL FROM:<anna@kreis.example> SIZE=2048' event.module=exchange event.dataset=exchange.smtp network.protocol=smtp source.ip=10.0.0.1 source.port=41001 destination.ip=198.51.100.25 destination.port=25 email.from.address=anna@kreis.example event.category=email event.action=smtp_mail"#]],
    );
    check_brief(
        r#"2026-03-14T07:00:00.530Z,000E,2,10.0.0.1:143,203.0.113.9:35070,anna,168,31,31,authenticate,PLAIN,"R=""2 NO AUTHENTICATE failed."";Msg=""AuthFailed:LogonDenied,User: anna"";ErrMsg=AuthFailed:LogonDenied","#,
        expect![[r#"
            2026-03-14T07:00:00.530Z no_header
            exchange.sessionId=000E exchange.seqNumber=2 user.name=anna exchange.rqsize=31 exchange.rpsize=31 exchange.command=authenticate exchange.parameters=PLAIN exchange.context='R=""2 NO AUTHENTICATE failed."";Msg=""AuthFailed:LogonDenied,User: anna"";ErrMsg=AuthFailed:LogonDenied' event.module=exchange event.dataset=exchange.mailbox destination.ip=10.0.0.1 destination.port=143 source.ip=203.0.113.9 source.port=35070 event.duration=168000000 network.protocol=imap event.category=authentication event.action=mail_login event.outcome=failure event.reason=AuthFailed:LogonDenied"#]],
    );
    check_brief(
        r#"2026-03-14T07:00:00.339Z,10.0.0.9,pc-7.kreis.example,10.0.0.1,MAIL,08DF;2026-03-14T07:00:00.000Z;0,MAIL\Default MAIL,SMTP,RECEIVE,1001,<m1@kreis.example>,net-1,"otto@example.net;bert@example.net",250 2.1.5 OK,2048,2,,,"Haushalt, ""Entwurf""",anna@kreis.example,anna@kreis.example,,Originating,,203.0.113.9,10.0.0.1,S:AccountForest=kreis.example,Email,0001,15.02.1544.004"#,
        expect![[r#"
            2026-03-14T07:00:00.339Z no_header
            source.domain=pc-7.kreis.example destination.domain=MAIL exchange.source-context=08DF;2026-03-14T07:00:00.000Z;0 exchange.connector-id='MAIL\Default MAIL' exchange.source=SMTP exchange.event-id=RECEIVE exchange.internal-message-id=1001 exchange.network-message-id=net-1 event.reason='250 2.1.5 OK' network.bytes=2048 exchange.recipient-count=2 email.subject='Haushalt, "Entwurf"' email.from.address=anna@kreis.example exchange.return-path=anna@kreis.example exchange.original-server-ip=10.0.0.1 exchange.custom-data=S:AccountForest=kreis.example exchange.transport-traffic-type=Email exchange.log-id=0001 exchange.schema-version=15.02.1544.004 event.module=exchange event.dataset=exchange.messagetracking source.ip=203.0.113.9 destination.ip=10.0.0.1 email.message_id=m1@kreis.example email.to.address=otto@example.net email.to.address=bert@example.net network.direction=outbound event.category=email event.action=mail_received event.outcome=success"#]],
    );
    check_after(
        &[
            "#Software: Microsoft Exchange Server",
            "#Log-type: HttpProxy Logs",
            "#Fields: DateTime,RequestId,Protocol,UrlHost,UrlStem,AuthenticationType,IsAuthenticated,AuthenticatedUser,UserAgent,ClientIpAddress,ServerHostName,HttpStatus,BackEndStatus,ErrorCode,Method,RequestBytes,ResponseBytes,TotalRequestTime,UrlQuery",
            r"2026-03-14T07:00:00.130Z,r-1,Owa,mail.example.net,/owa/,FBA,true,KREIS\anna,Mozilla/5.0,203.0.113.9,MAIL,200,200,,GET,100,2048,15,?bO=1",
        ],
        expect![[r#"
            2026-03-14T07:00:00.130Z no_header
            exchange.RequestId=r-1 exchange.Protocol=Owa url.domain=mail.example.net exchange.AuthenticationType=FBA exchange.IsAuthenticated=true user_agent.original=Mozilla/5.0 source.ip=203.0.113.9 http.response.status_code=200 exchange.BackEndStatus=200 http.request.method=GET http.request.body.bytes=100 http.response.body.bytes=2048 event.module=exchange event.dataset=exchange.httpproxy event.type=access event.category=web event.action=http_request event.outcome=success user.domain=KREIS user.name=anna url.original=/owa/?bO=1 url.path=/owa/ url.query=bO=1 host.name=MAIL event.duration=15000000"#]],
    );
}

#[test]
fn windows_firewall_and_dhcp_golden() {
    check_brief(
        "2026-03-14 08:00:00 DROP UDP fe80::1 ff02::fb 5353 5353 89 - - - - - - - RECEIVE",
        expect![[r#"
        2026-03-14T07:00:00.000Z no_header
        source.ip=fe80::1 destination.ip=ff02::fb source.port=5353 destination.port=5353 network.bytes=89 event.module=windows event.dataset=windows.firewall event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=udp network.direction=ingress"#]],
    );
    check_after(
        &[
            "#Version: 1.5",
            "#Time Format: Local",
            "#Fields: date time action protocol src-ip dst-ip src-port dst-port size tcpflags tcpsyn tcpack tcpwin icmptype icmpcode info path pid",
            "2026-03-14 08:00:00 ALLOW TCP 10.0.0.7 203.0.113.9 54001 443 60 S 1 0 8192 - - - SEND 880",
        ],
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            source.ip=10.0.0.7 destination.ip=203.0.113.9 source.port=54001 destination.port=443 network.bytes=60 windows.firewall.tcpflags=S windows.firewall.tcpsyn=1 windows.firewall.tcpack=0 windows.firewall.tcpwin=8192 process.pid=880 event.module=windows event.dataset=windows.firewall event.category=network event.action=allowed event.type=allowed event.outcome=success network.transport=tcp network.direction=egress"#]],
    );
    check_brief(
        "10,03/14/26,08:00:00,Zuweisen,10.0.0.7,pc-7.kreis.example,001122AABBCC,,4172766725,0,,,,0x4D53465420352E30,MSFT 5.0,,,,0",
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.code=10 microsoft.dhcp.Description=Zuweisen source.ip=10.0.0.7 microsoft.dhcp.TransactionID=4172766725 microsoft.dhcp.QResult=0 microsoft.dhcp.VendorClass_Hex=0x4D53465420352E30 microsoft.dhcp.VendorClass_ASCII='MSFT 5.0' microsoft.dhcp.DnsRegError=0 event.module=microsoft event.dataset=microsoft.dhcp network.protocol=dhcp source.domain=pc-7.kreis.example source.mac=00:11:22:aa:bb:cc event.category=network event.action=dhcp_lease event.outcome=success"#]],
    );
    check_brief(
        "55,03/14/26,03:14:55,Authorized(servicing),,kreis.example,,,0,6,,,,,,,,,0",
        expect![[r#"
        2026-03-14T02:14:55.000Z no_header
        event.code=55 microsoft.dhcp.Description=Authorized(servicing) microsoft.dhcp.TransactionID=0 microsoft.dhcp.QResult=6 microsoft.dhcp.DnsRegError=0 event.module=microsoft event.dataset=microsoft.dhcp network.protocol=dhcp source.domain=kreis.example event.category=network"#]],
    );
    check_after(
        &[
            "ID,Date,Time,Description,IPv6 Address,Host Name,Error Code, Duid Length, Duid Bytes(Hex),User Name,Dhcid,Subnet Prefix.",
            "11010,03/14/26,03:14:55,DHCPV6 Started,,,,,,,,",
        ],
        expect![[r#"
            2026-03-14T02:14:55.000Z no_header
            event.code=11010 microsoft.dhcp.Description='DHCPV6 Started' event.module=microsoft event.dataset=microsoft.dhcp network.protocol=dhcp event.category=network event.action=log_started event.outcome=success"#]],
    );
}

#[test]
fn zeek_golden() {
    check_after(
        &[
            r"#separator \x09",
            "#path\tconn",
            "#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents\tip_proto",
            "#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount\tset[string]\tcount",
            "1773471600.123456\tCHhAvVGS1DHFjwGM9\t10.0.0.7\t51234\t203.0.113.9\t443\ttcp\tssl\t0.250013\t517\t3021\tSF\tT\tF\t0\tShADadFf\t9\t893\t8\t3445\t-\t6",
        ],
        expect![[r#"
            2026-03-14T07:00:00.123Z no_header
            zeek.conn.uid=CHhAvVGS1DHFjwGM9 source.ip=10.0.0.7 source.port=51234 destination.ip=203.0.113.9 destination.port=443 network.transport=tcp network.protocol=ssl zeek.conn.duration=0.250013 source.bytes=517 destination.bytes=3021 zeek.conn.conn_state=SF zeek.conn.local_orig=T zeek.conn.local_resp=F zeek.conn.missed_bytes=0 zeek.conn.history=ShADadFf source.packets=9 zeek.conn.orig_ip_bytes=893 destination.packets=8 zeek.conn.resp_ip_bytes=3445 zeek.conn.ip_proto=6 event.module=zeek event.dataset=zeek.connection zeek.session_id=CHhAvVGS1DHFjwGM9 event.category=network event.type=connection event.action=connection event.duration=250013000"#]],
    );
    // Two logs of one stream without a tag, told apart by their columns; behind rsyslog, which masks tabs.
    check_after(
        &[
            "<13>Mar 14 08:00:00 sensor #fields#011ts#011uid#011id.orig_h#011id.orig_p#011id.resp_h#011id.resp_p#011version#011auth_success#011auth_attempts#011client#011server",
            "<13>Mar 14 08:00:00 sensor #fields#011ts#011uid#011id.orig_h#011id.orig_p#011id.resp_h#011id.resp_p#011name#011addl#011notice#011peer",
            "<13>Mar 14 08:00:00 sensor 1773471600.5#011CAB1#011203.0.113.9#0114711#01110.0.0.1#01122#0112#011F#0113#011SSH-2.0-Go#011SSH-2.0-OpenSSH_9.6",
        ],
        expect![[r#"
            2026-03-14T07:00:00.500Z
            log.syslog.facility.name=user log.level=notice host.name=sensor zeek.ssh.uid=CAB1 source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 destination.port=22 zeek.ssh.version=2 zeek.ssh.auth_success=F zeek.ssh.auth_attempts=3 zeek.ssh.client=SSH-2.0-Go zeek.ssh.server=SSH-2.0-OpenSSH_9.6 event.module=zeek event.dataset=zeek.ssh zeek.session_id=CAB1 event.category=authentication event.type=start event.action=login event.outcome=failure event.created=2026-03-14T07:00:00.000Z"#]],
    );
    check_json(
        r#"{"ts":1773471600.5,"uid":"CAB2","id.orig_h":"10.0.0.7","id.orig_p":51234,"id.resp_h":"203.0.113.9","id.resp_p":80,"trans_depth":1,"method":"GET","host":"example.net","uri":"/a?b=1","version":"1.1","user_agent":"curl/8.5","request_body_len":0,"response_body_len":1256,"status_code":404,"status_msg":"Not Found","tags":[]}"#,
        expect![[r#"
            2026-03-14T07:00:00.500Z
            zeek.http.uid=CAB2 source.ip=10.0.0.7 source.port=51234 destination.ip=203.0.113.9 destination.port=80 zeek.http.trans_depth=1 http.request.method=GET zeek.http.uri=/a?b=1 http.version=1.1 user_agent.original=curl/8.5 http.request.body.bytes=0 http.response.body.bytes=1256 http.response.status_code=404 zeek.http.status_msg='Not Found' event.module=zeek url.domain=example.net event.dataset=zeek.http zeek.session_id=CAB2 event.category=web event.type=access event.action=http_request event.outcome=failure url.original=/a?b=1 url.path=/a url.query=b=1"#]],
    );
    check_json(
        r#"{"ts":1773471600.5,"uid":"CAB3","id.orig_h":"10.0.0.7","id.orig_p":5353,"id.resp_h":"10.0.0.1","id.resp_p":53,"proto":"udp","trans_id":7,"query":"example.net","qclass_name":"C_INTERNET","qtype_name":"A","rcode":0,"rcode_name":"NOERROR","AA":false,"answers":["www.example.net","203.0.113.80"],"TTLs":[60.0],"rejected":false}"#,
        expect![[r#"
            2026-03-14T07:00:00.500Z
            zeek.dns.uid=CAB3 source.ip=10.0.0.7 source.port=5353 destination.ip=10.0.0.1 destination.port=53 network.transport=udp zeek.dns.trans_id=7 dns.question.name=example.net zeek.dns.qclass_name=C_INTERNET dns.question.type=A zeek.dns.rcode=0 dns.response_code=NOERROR zeek.dns.AA=false zeek.dns.answers=www.example.net zeek.dns.answers=203.0.113.80 zeek.dns.TTLs=60 zeek.dns.rejected=false event.module=zeek event.dataset=zeek.dns zeek.session_id=CAB3 event.category=network event.type=protocol event.action=dns_query dns.resolved_ip=203.0.113.80"#]],
    );
    check_json(
        r#"{"ts":1773471600.5,"fuid":"F1","uid":"CAB4","tx_hosts":["203.0.113.9"],"rx_hosts":["10.0.0.7"],"source":"HTTP","mime_type":"application/x-dosexec","filename":"x.exe","seen_bytes":100,"md5":"d41d8cd98f00b204e9800998ecf8427e"}"#,
        expect![[r#"
            2026-03-14T07:00:00.500Z
            zeek.files.fuid=F1 zeek.files.uid=CAB4 zeek.files.tx_hosts=203.0.113.9 zeek.files.rx_hosts=10.0.0.7 zeek.files.source=HTTP zeek.files.mime_type=application/x-dosexec file.path=x.exe zeek.files.seen_bytes=100 file.hash.md5=d41d8cd98f00b204e9800998ecf8427e event.module=zeek event.dataset=zeek.files zeek.session_id=CAB4 event.category=file event.type=info event.action=file_seen source.ip=203.0.113.9 destination.ip=10.0.0.7"#]],
    );
    check_json(
        r#"{"ts":1773471600.5,"uid":"CAB5","id.orig_h":"10.0.0.7","id.orig_p":51234,"id.resp_h":"10.0.0.1","id.resp_p":88,"request_type":"AS","client":"anna/KREIS.EXAMPLE","service":"krbtgt/KREIS.EXAMPLE","success":false,"error_msg":"KDC_ERR_PREAUTH_FAILED"}"#,
        expect![[r#"
            2026-03-14T07:00:00.500Z
            zeek.kerberos.uid=CAB5 source.ip=10.0.0.7 source.port=51234 destination.ip=10.0.0.1 destination.port=88 zeek.kerberos.request_type=AS zeek.kerberos.client=anna/KREIS.EXAMPLE zeek.kerberos.service=krbtgt/KREIS.EXAMPLE zeek.kerberos.success=false event.reason=KDC_ERR_PREAUTH_FAILED event.module=zeek event.dataset=zeek.kerberos zeek.session_id=CAB5 event.category=authentication event.type=start event.action=login event.outcome=failure user.name=anna user.domain=KREIS.EXAMPLE"#]],
    );
}

#[test]
fn what_a_source_declared_counts_from_then_on_and_for_good() {
    let options = Options::default();
    let turned = IIS.replace("s-ip", "x-ip").replace("c-ip", "s-ip").replace("x-ip", "c-ip");
    let line = "2026-03-14 07:00:00 10.0.0.1 GET / - 443 - 203.0.113.9 curl/8.5 - 200 0 0 3 -";
    let lines = [IIS, line, &turned, line, IIS, line];
    let first: Vec<String> = session(&options, 10, &lines).iter().map(rendered).collect();
    assert!(first[1].contains("source.ip=203.0.113.9") && first[3].contains("source.ip=10.0.0.1") && first[5] == first[1]);
    let again = |options: &Options| session(options, 10, &lines).iter().map(rendered).collect::<Vec<_>>();
    assert_eq!(again(&options), first, "decoded again");
    let learned = options.memory.take_unsaved();
    assert_eq!(learned.len(), 3, "decoding again learns nothing");
    assert_eq!(again(&Options { memory: SharedMemory::restored(learned), ..Options::default() }), first, "after a restart");
    // Another sender is another source: it has declared nothing, and the columns are none of the usual ones.
    let mut other = Frame { seq: Seq(99), ..frame(FrameKind::Line, b"2026-03-14 07:00:00 203.0.113.9 GET /a 404") };
    session(&options, 50, &["#Fields: date time c-ip cs-method cs-uri-stem sc-status"]);
    assert_eq!(decode(&other, &options).unwrap().decoder, "iis");
    assert_eq!(other.frame.site, SITE_UNKNOWN);
    other.frame.site = SiteId(crate::id::Ulid(5));
    assert_eq!(decode(&other, &options).unwrap().decoder, "");
}

const SUBJECT: &str = "Subject:   Security ID:  S-1-5-18   Account Name:  DC1$   Account Domain:  KREIS   Logon ID:  0x3E7";

fn snare(id: &str, audit: &str, text: &str) -> String {
    format!(
        "<13>Mar 14 08:00:00 dc-1 MSWinEventLog\t1\tSecurity\t17\tSat Mar 14 08:00:00 2026\t{id}\tMicrosoft-Windows-Security-Auditing\tN/A\tN/A\t{audit}\tdc-1\tX\t\t{text}\t17"
    )
}

#[test]
fn snare_golden() {
    check_brief(
        &snare(
            "4624",
            "Success Audit",
            &format!(
                "An account was successfully logged on.    {SUBJECT}    Logon Information:   Logon Type:  10   Restricted Admin Mode: No    New Logon:   Security ID:  S-1-5-21-1-2-3-1104   Account Name:  anna   Account Domain:  KREIS   Logon ID:  0x5A2F    Network Information:   Workstation Name: PC-7   Source Network Address: ::ffff:10.0.0.7   Source Port:  4711"
            ),
        ),
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=4624 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4624 winlog.computer_name=dc-1 winlog.keywords='Success Audit' winlog.task=X winlog.event_data.SubjectUserSid=S-1-5-18 winlog.event_data.SubjectUserName=DC1$ winlog.event_data.SubjectDomainName=KREIS winlog.event_data.SubjectLogonId=0x3E7 winlog.event_data.LogonType=10 winlog.event_data.TargetUserSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=KREIS winlog.event_data.TargetLogonId=0x5A2F winlog.event_data.WorkstationName=PC-7 winlog.event_data.IpAddress=::ffff:10.0.0.7 winlog.event_data.IpPort=4711 winlog.logon.type=RemoteInteractive user.id=S-1-5-21-1-2-3-1104 user.name=anna user.domain=KREIS source.domain=PC-7 source.ip=10.0.0.7 source.port=4711 event.category=authentication event.type=start event.action=logon event.outcome=success"#]],
    );
    check_brief(
        &snare(
            "4728",
            "Success Audit",
            "A member was added to a security-enabled global group.    Subject:   Security ID:  S-1-5-21-1-2-3-500   Account Name:  admin   Account Domain:  KREIS   Logon ID:  0x1    Member:   Security ID:  S-1-5-21-1-2-3-1104   Account Name:  CN=Anna Muster,OU=Amt 1,DC=kreis,DC=example    Group:   Security ID:  S-1-5-21-1-2-3-512   Group Name:  Domänen-Admins   Group Domain:  KREIS    Additional Information:   Privileges:  -",
        ),
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=4728 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4728 winlog.computer_name=dc-1 winlog.keywords='Success Audit' winlog.task=X winlog.event_data.SubjectUserSid=S-1-5-21-1-2-3-500 winlog.event_data.SubjectUserName=admin winlog.event_data.SubjectDomainName=KREIS winlog.event_data.SubjectLogonId=0x1 winlog.event_data.MemberSid=S-1-5-21-1-2-3-1104 winlog.event_data.MemberName='CN=Anna Muster,OU=Amt 1,DC=kreis,DC=example' winlog.event_data.TargetSid=S-1-5-21-1-2-3-512 winlog.event_data.TargetUserName=Domänen-Admins winlog.event_data.TargetDomainName=KREIS user.id=S-1-5-21-1-2-3-500 user.name=admin user.domain=KREIS user.target.id=S-1-5-21-1-2-3-1104 user.target.name='Anna Muster' group.id=S-1-5-21-1-2-3-512 group.name=Domänen-Admins group.domain=KREIS event.category=iam event.type=change event.action=group_member_added event.outcome=success"#]],
    );
    check_brief(
        &snare(
            "4740",
            "Success Audit",
            &format!(
                "A user account was locked out.    {SUBJECT}    Account That Was Locked Out:   Security ID:  S-1-5-21-1-2-3-1104   Account Name:  anna    Additional Information:   Caller Computer Name: PC-9"
            ),
        ),
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=4740 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4740 winlog.computer_name=dc-1 winlog.keywords='Success Audit' winlog.task=X winlog.event_data.SubjectUserSid=S-1-5-18 winlog.event_data.SubjectUserName=DC1$ winlog.event_data.SubjectDomainName=KREIS winlog.event_data.SubjectLogonId=0x3E7 winlog.event_data.TargetSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=PC-9 user.id=S-1-5-18 user.name=DC1$ user.domain=KREIS user.target.id=S-1-5-21-1-2-3-1104 user.target.name=anna source.domain=PC-9 event.category=iam event.type=change event.action=user_locked_out event.outcome=success"#]],
    );
    check_brief(
        &snare(
            "4771",
            "Failure Audit",
            "Kerberos pre-authentication failed.    Account Information:   Security ID:  S-1-5-21-1-2-3-1104   Account Name:  anna    Service Information:   Service Name:  krbtgt/KREIS    Network Information:   Client Address:  ::ffff:10.0.0.7   Client Port:  4711    Additional Information:   Ticket Options:  0x40810010   Failure Code:  0x18   Pre-Authentication Type: 2",
        ),
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=4771 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4771 winlog.computer_name=dc-1 winlog.keywords='Failure Audit' winlog.task=X winlog.event_data.TargetSid=S-1-5-21-1-2-3-1104 winlog.event_data.TargetUserName=anna winlog.event_data.ServiceName=krbtgt/KREIS winlog.event_data.IpAddress=::ffff:10.0.0.7 winlog.event_data.IpPort=4711 winlog.event_data.TicketOptions=0x40810010 winlog.event_data.Status=0x18 winlog.event_data.PreAuthType=2 user.id=S-1-5-21-1-2-3-1104 user.name=anna service.name=krbtgt/KREIS source.ip=10.0.0.7 source.port=4711 event.reason='wrong password' event.category=authentication event.type=start event.action=kerberos_preauthentication event.outcome=failure"#]],
    );
    // German, and the log passed on by a collector whose name stands in the header.
    check_brief(
        &snare("4625", "Fehlerüberwachung", "Fehler beim Anmelden eines Kontos.    Antragsteller:   Sicherheits-ID:  S-1-0-0   Kontoname:  -   Kontodomäne:  -   Anmelde-ID:  0x0    Anmeldetyp:   3    Konto, für das die Anmeldung fehlgeschlagen ist:   Sicherheits-ID:  S-1-0-0   Kontoname:  anna   Kontodomäne:  KREIS    Fehlerinformationen:   Fehlerursache:  Unbekannter Benutzername oder ungültiges Kennwort.   Status:   0xC000006D   Unterstatus::  0xC0000064    Netzwerkinformationen:   Arbeitsstationsname: PC-9   Quellnetzwerkadresse: 203.0.113.9   Quellport:  4711").replace(" dc-1 MS", " wec MS"),
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice event.module=windows event.code=4625 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=17 winlog.event_id=4625 winlog.computer_name=dc-1 host.name=dc-1 observer.name=wec winlog.keywords=Fehlerüberwachung winlog.task=X winlog.event_data.SubjectUserSid=S-1-0-0 winlog.event_data.SubjectLogonId=0x0 winlog.event_data.LogonType=3 winlog.event_data.TargetUserSid=S-1-0-0 winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=KREIS winlog.event_data.FailureReason='Unbekannter Benutzername oder ungültiges Kennwort.' winlog.event_data.Status=0xC000006D winlog.event_data.SubStatus=0xC0000064 winlog.event_data.WorkstationName=PC-9 winlog.event_data.IpAddress=203.0.113.9 winlog.event_data.IpPort=4711 winlog.logon.type=Network user.name=anna user.domain=KREIS event.reason='unknown user' source.domain=PC-9 source.ip=203.0.113.9 source.port=4711 event.category=authentication event.type=start event.action=logon event.outcome=failure"#]],
    );
    check_brief(
        &snare("1", "Success Audit", r#"Process Create:  RuleName: -  UtcTime: 2026-03-14 07:00:00.000  ProcessGuid: {1}  ProcessId: 4711  Image: C:\Windows\System32\cmd.exe  CommandLine: cmd /c whoami  User: KREIS\anna  Hashes: MD5=AB,SHA256=CD  ParentImage: C:\x.exe"#)
            .replace("\tSecurity\t", "\tMicrosoft-Windows-Sysmon/Operational\t")
            .replace("Security-Auditing", "Sysmon"),
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=dc-1 event.module=windows event.code=1 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.record_id=17 winlog.event_id=1 winlog.computer_name=dc-1 winlog.keywords='Success Audit' winlog.task=X winlog.event_data.UtcTime='2026-03-14 07:00:00.000' winlog.event_data.ProcessGuid={1} winlog.event_data.ProcessId=4711 winlog.event_data.Image=C:\Windows\System32\cmd.exe winlog.event_data.CommandLine='cmd /c whoami' winlog.event_data.User=KREIS\anna winlog.event_data.Hashes=MD5=AB,SHA256=CD winlog.event_data.ParentImage=C:\x.exe process.entity_id={1} process.pid=4711 process.executable=C:\Windows\System32\cmd.exe process.name=cmd.exe process.command_line='cmd /c whoami' user.name=anna user.domain=KREIS process.hash.md5=ab process.hash.sha256=cd process.parent.executable=C:\x.exe process.parent.name=x.exe event.category=process event.type=start event.action=process_started event.outcome=success"#]],
    );
}

fn event_xml(channel: &str, provider: &str, id: u32, data: &str) -> String {
    format!(
        "<14>Mar 14 08:00:05 wec x: <Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System><Provider Name='{provider}' Guid='{{1}}'/><EventID Qualifiers='0'>{id}</EventID><Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='2026-03-14T07:00:00.6206890Z'/><EventRecordID>9</EventRecordID><Execution ProcessID='516' ThreadID='3240'/><Channel>{channel}</Channel><Computer>pc-7.kreis.example</Computer><Security UserID='S-1-5-18'/></System>{data}</Event>"
    )
}

#[test]
fn xml_golden() {
    let sysmon = |id, data: &str| event_xml("Microsoft-Windows-Sysmon/Operational", "Microsoft-Windows-Sysmon", id, data);
    let security = |id, data: &str| event_xml("Security", "Microsoft-Windows-Security-Auditing", id, data);
    check_brief(
        &sysmon(
            1,
            r#"<EventData><Data Name="ProcessGuid">{A}</Data><Data Name="ProcessId">4711</Data><Data Name="Image">C:\Windows\System32\cmd.exe</Data><Data Name="CommandLine">cmd /c "echo &lt;a&gt; &amp;&amp; whoami"</Data><Data Name="CurrentDirectory">C:\</Data><Data Name="User">KREIS\anna</Data><Data Name="Hashes">SHA1=AA,MD5=BB,SHA256=CC,IMPHASH=DD</Data><Data Name="ParentProcessGuid">{B}</Data><Data Name="ParentProcessId">7</Data><Data Name="ParentImage">C:\x.exe</Data><Data Name="ParentCommandLine">x</Data><Data/></EventData>"#,
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=1 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.record_id=9 winlog.event_id=1 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.ProcessGuid={A} winlog.event_data.ProcessId=4711 winlog.event_data.Image=C:\Windows\System32\cmd.exe winlog.event_data.CommandLine='cmd /c "echo <a> && whoami"' winlog.event_data.CurrentDirectory=C:\ winlog.event_data.User=KREIS\anna winlog.event_data.Hashes=SHA1=AA,MD5=BB,SHA256=CC,IMPHASH=DD winlog.event_data.ParentProcessGuid={B} winlog.event_data.ParentProcessId=7 winlog.event_data.ParentImage=C:\x.exe winlog.event_data.ParentCommandLine=x process.entity_id={A} process.pid=4711 process.executable=C:\Windows\System32\cmd.exe process.name=cmd.exe process.command_line='cmd /c "echo <a> && whoami"' process.working_directory=C:\ user.name=anna user.domain=KREIS process.hash.sha1=aa process.hash.md5=bb process.hash.sha256=cc process.pe.imphash=dd process.parent.entity_id={B} process.parent.pid=7 process.parent.executable=C:\x.exe process.parent.name=x.exe process.parent.command_line=x event.category=process event.type=start event.action=process_started event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &sysmon(
            13,
            r#"<EventData><Data Name='EventType'>SetValue</Data><Data Name='Image'>C:\x.exe</Data><Data Name='TargetObject'>HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\x</Data><Data Name='Details'>C:\x.exe</Data></EventData>"#,
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=13 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.record_id=9 winlog.event_id=13 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.EventType=SetValue winlog.event_data.Image=C:\x.exe winlog.event_data.TargetObject=HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\x winlog.event_data.Details=C:\x.exe process.executable=C:\x.exe process.name=x.exe registry.path=HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Run\x registry.hive=HKLM registry.key=SOFTWARE\Microsoft\Windows\CurrentVersion\Run\x registry.data.strings=C:\x.exe event.category=registry event.type=change event.action=registry_changed event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &sysmon(
            22,
            r#"<EventData><Data Name='QueryName'>example.net</Data><Data Name='QueryStatus'>0</Data><Data Name='QueryResults'>type:  5 www.example.net;::ffff:203.0.113.80;</Data><Data Name='Image'>C:\x.exe</Data></EventData>"#,
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=22 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.record_id=9 winlog.event_id=22 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.QueryName=example.net winlog.event_data.QueryStatus=0 winlog.event_data.QueryResults='type:  5 www.example.net;::ffff:203.0.113.80;' winlog.event_data.Image=C:\x.exe dns.question.name=example.net dns.resolved_ip=203.0.113.80 process.executable=C:\x.exe process.name=x.exe event.category=network event.type=protocol event.action=dns_query event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &security(
            4688,
            r#"<EventData><Data Name="SubjectUserSid">S-1-5-18</Data><Data Name="SubjectUserName">anna</Data><Data Name="SubjectDomainName">KREIS</Data><Data Name="NewProcessId">0x7c</Data><Data Name="NewProcessName">C:\Windows\System32\cmd.exe</Data><Data Name="ProcessId">0x4</Data><Data Name="CommandLine"><![CDATA[cmd /c a<b]]></Data><Data Name="TargetUserSid">S-1-0-0</Data><Data Name="TargetUserName">-</Data><Data Name="ParentProcessName">C:\Windows\explorer.exe</Data></EventData>"#,
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=4688 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=9 winlog.event_id=4688 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.SubjectUserSid=S-1-5-18 winlog.event_data.SubjectUserName=anna winlog.event_data.SubjectDomainName=KREIS winlog.event_data.NewProcessId=0x7c winlog.event_data.NewProcessName=C:\Windows\System32\cmd.exe winlog.event_data.ProcessId=0x4 winlog.event_data.CommandLine='cmd /c a<b' winlog.event_data.TargetUserSid=S-1-0-0 winlog.event_data.ParentProcessName=C:\Windows\explorer.exe user.id=S-1-5-18 user.name=anna user.domain=KREIS process.pid=124 process.executable=C:\Windows\System32\cmd.exe process.name=cmd.exe process.parent.pid=4 process.command_line='cmd /c a<b' process.parent.executable=C:\Windows\explorer.exe process.parent.name=explorer.exe event.category=process event.type=start event.action=process_started event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &security(
            4663,
            r#"<EventData><Data Name="SubjectUserName">anna</Data><Data Name="ObjectType">Key</Data><Data Name="ObjectName">\REGISTRY\MACHINE\SAM</Data><Data Name="ProcessId">0x10</Data><Data Name="ProcessName">C:\x.exe</Data></EventData>"#,
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=4663 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=9 winlog.event_id=4663 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.SubjectUserName=anna winlog.event_data.ObjectType=Key winlog.event_data.ObjectName=\REGISTRY\MACHINE\SAM winlog.event_data.ProcessId=0x10 winlog.event_data.ProcessName=C:\x.exe user.name=anna registry.path=\REGISTRY\MACHINE\SAM registry.hive=REGISTRY registry.key=MACHINE\SAM process.pid=16 process.executable=C:\x.exe process.name=x.exe event.category=file event.type=access event.action=object_accessed event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &security(
            5156,
            r#"<EventData><Data Name="ProcessID">4</Data><Data Name="Application">System</Data><Data Name="Direction">%%14592</Data><Data Name="SourceAddress">10.0.0.7</Data><Data Name="SourcePort">137</Data><Data Name="DestAddress">10.0.0.255</Data><Data Name="DestPort">137</Data><Data Name="Protocol">17</Data></EventData>"#,
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=5156 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=9 winlog.event_id=5156 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.ProcessID=4 winlog.event_data.Application=System winlog.event_data.Direction=%%14592 winlog.event_data.SourceAddress=10.0.0.7 winlog.event_data.SourcePort=137 winlog.event_data.DestAddress=10.0.0.255 winlog.event_data.DestPort=137 winlog.event_data.Protocol=17 process.pid=4 process.executable=System process.name=System network.direction=ingress source.ip=10.0.0.7 source.port=137 destination.ip=10.0.0.255 destination.port=137 network.transport=udp event.category=network event.type=allowed event.action=allowed event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &event_xml(
            "Security",
            "Microsoft-Windows-Eventlog",
            1102,
            "<UserData><LogFileCleared xmlns='http://manifests.microsoft.com/win/2004/08/windows/eventlog'><SubjectUserSid>S-1-5-21-1</SubjectUserSid><SubjectUserName>anna</SubjectUserName><SubjectDomainName>KREIS</SubjectDomainName></LogFileCleared></UserData>",
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational process.name=x event.module=windows event.code=1102 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Eventlog winlog.record_id=9 winlog.event_id=1102 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.SubjectUserSid=S-1-5-21-1 winlog.event_data.SubjectUserName=anna winlog.event_data.SubjectDomainName=KREIS user.id=S-1-5-21-1 user.name=anna user.domain=KREIS event.category=iam event.type=deletion event.action=log_cleared event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &event_xml(
            "Microsoft-Windows-PowerShell/Operational",
            "Microsoft-Windows-PowerShell",
            4104,
            "<EventData><Data Name='MessageNumber'>1</Data><Data Name='MessageTotal'>2</Data><Data Name='ScriptBlockText'>Write-Host 'a'\n# b</Data><Data Name='ScriptBlockId'>id-1</Data><Data Name='Path'>C:\\a.ps1</Data></EventData>",
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational process.name=x event.module=windows event.code=4104 winlog.channel=Microsoft-Windows-PowerShell/Operational winlog.provider_name=Microsoft-Windows-PowerShell winlog.record_id=9 winlog.event_id=4104 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.MessageNumber=1 winlog.event_data.MessageTotal=2 winlog.event_data.ScriptBlockText='Write-Host 'a'
            # b' winlog.event_data.ScriptBlockId=id-1 winlog.event_data.Path=C:\a.ps1 powershell.sequence=1 powershell.total=2 powershell.file.script_block_id=id-1 file.path=C:\a.ps1 file.name=a.ps1 event.category=process event.type=info event.action=powershell_script event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &event_xml(
            "Windows PowerShell",
            "PowerShell",
            400,
            "<EventData><Data>Available</Data><Data>None</Data><Data>\tNewEngineState=Available\n\tHostName=ConsoleHost\n\tHostApplication=powershell.exe -enc AAAA\n\tEngineVersion=5.1</Data></EventData>",
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational process.name=x event.module=windows event.code=400 winlog.channel='Windows PowerShell' winlog.provider_name=PowerShell winlog.record_id=9 winlog.event_id=400 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.Data=Available winlog.event_data.Data=None winlog.event_data.Data='NewEngineState=Available
            	HostName=ConsoleHost
            	HostApplication=powershell.exe -enc AAAA
            	EngineVersion=5.1' process.command_line='powershell.exe -enc AAAA' powershell.engine.version=5.1 event.category=process event.type=start event.action=powershell_started event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &event_xml(
            "Microsoft-Windows-Windows Defender/Operational",
            "Microsoft-Windows-Windows Defender",
            1116,
            r"<EventData><Data Name='Threat ID'>2147</Data><Data Name='Threat Name'>Virus:DOS/EICAR_Test_File</Data><Data Name='Detection User'>KREIS\anna</Data><Data Name='Process Name'>C:\x.exe</Data><Data Name='Path'>file:_C:\e.com; containerfile:_C:\e.zip</Data></EventData>",
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational event.module=windows event.code=1116 winlog.channel='Microsoft-Windows-Windows Defender/Operational' winlog.provider_name='Microsoft-Windows-Windows Defender' winlog.record_id=9 winlog.event_id=1116 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.Threat_ID=2147 winlog.event_data.Threat_Name=Virus:DOS/EICAR_Test_File winlog.event_data.Detection_User=KREIS\anna winlog.event_data.Process_Name=C:\x.exe winlog.event_data.Path='file:_C:\e.com; containerfile:_C:\e.zip' rule.id=2147 rule.name=Virus:DOS/EICAR_Test_File user.name=anna user.domain=KREIS process.executable=C:\x.exe process.name=x.exe file.path=C:\e.com file.name=e.com event.category=malware event.type=info event.action=malware_detected event.kind=alert event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &event_xml(
            "Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational",
            "Microsoft-Windows-TerminalServices-RemoteConnectionManager",
            1149,
            "<UserData><EventXML xmlns='Event_NS'><Param1>anna</Param1><Param2>KREIS</Param2><Param3>203.0.113.9</Param3></EventXML></UserData>",
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational process.name=x event.module=windows event.code=1149 winlog.channel=Microsoft-Windows-TerminalServices-RemoteConnectionManager/Operational winlog.provider_name=Microsoft-Windows-TerminalServices-RemoteConnectionManager winlog.record_id=9 winlog.event_id=1149 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.Param1=anna winlog.event_data.Param2=KREIS winlog.event_data.Param3=203.0.113.9 user.name=anna user.domain=KREIS source.ip=203.0.113.9 event.category=authentication event.type=start event.action=rdp_connection event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    check_brief(
        &event_xml(
            "System",
            "Service Control Manager",
            7045,
            r"<EventData><Data Name='ServiceName'>x</Data><Data Name='ImagePath'>C:\x.exe</Data><Data Name='ServiceType'>user mode service</Data><Data Name='StartType'>auto start</Data><Data Name='AccountName'>LocalSystem</Data></EventData><RenderingInfo Culture='de-DE'><Message>Ein Dienst wurde im System installiert.</Message></RenderingInfo>",
        ),
        expect![[r#"
            2026-03-14T07:00:00.620Z
            log.syslog.facility.name=user log.level=informational process.name=x event.module=windows event.code=7045 winlog.channel=System winlog.provider_name='Service Control Manager' winlog.record_id=9 winlog.event_id=7045 winlog.computer_name=pc-7.kreis.example host.name=pc-7.kreis.example observer.name=wec winlog.provider_guid={1} winlog.keywords=0x8020000000000000 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.user.identifier=S-1-5-18 winlog.event_data.ServiceName=x winlog.event_data.ImagePath=C:\x.exe winlog.event_data.ServiceType='user mode service' winlog.event_data.StartType='auto start' winlog.event_data.AccountName=LocalSystem service.name=x event.category=configuration event.type=installation event.action=service_installed event.outcome=success event.created=2026-03-14T07:00:05.000Z"#]],
    );
    // Cut within the data: what was whole is kept.
    check_brief(
        "<Event><System><Provider Name='a'/><EventID>4624</EventID><Channel>Security</Channel></System><EventData><Data Name='TargetUserName'>anna</Data><Data Name='IpAddress'>203.0.",
        expect![[r#"
            2026-03-14T07:00:00.000Z no_header
            event.module=windows event.code=4624 winlog.channel=Security winlog.provider_name=a winlog.event_id=4624 winlog.event_data.TargetUserName=anna user.name=anna event.category=authentication event.type=start event.action=logon event.outcome=success"#]],
    );
}

#[test]
fn shippers_golden() {
    check_json(
        r#"{"EventTime":"2026-03-14 08:00:00","Hostname":"pc-7.kreis.example","Keywords":-9218868437227405312,"EventType":"AUDIT_FAILURE","SeverityValue":4,"Severity":"ERROR","EventID":4625,"SourceName":"Microsoft-Windows-Security-Auditing","ProviderGuid":"{1}","Version":0,"Task":12544,"OpcodeValue":0,"RecordNumber":229977,"ProcessID":516,"ThreadID":3240,"Channel":"Security","Message":"Fehler beim Anmelden eines Kontos.","Category":"Anmelden","SubjectUserName":"-","TargetUserName":"anna","TargetDomainName":"KREIS","Status":"0xc000006d","SubStatus":"0xc000006a","LogonType":"3","WorkstationName":"PC-9","ProcessId":"0x0","ProcessName":"-","IpAddress":"203.0.113.9","IpPort":"4711","EventReceivedTime":"2026-03-14 08:00:02","SourceModuleName":"eventlog","SourceModuleType":"im_msvistalog"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            host.name=pc-7.kreis.example winlog.keywords=-9218868437227405312 winlog.keywords=AUDIT_FAILURE nxlog.SeverityValue=4 nxlog.Severity=ERROR winlog.event_id=4625 winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.provider_guid={1} winlog.version=0 nxlog.Task=12544 nxlog.OpcodeValue=0 winlog.record_id=229977 winlog.process.pid=516 winlog.process.thread.id=3240 winlog.channel=Security winlog.task=Anmelden winlog.event_data.SubjectUserName=- winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=KREIS winlog.event_data.Status=0xc000006d winlog.event_data.SubStatus=0xc000006a winlog.event_data.LogonType=3 winlog.event_data.WorkstationName=PC-9 winlog.event_data.ProcessId=0x0 winlog.event_data.ProcessName=- winlog.event_data.IpAddress=203.0.113.9 winlog.event_data.IpPort=4711 nxlog.EventReceivedTime='2026-03-14 08:00:02' nxlog.SourceModuleName=eventlog nxlog.SourceModuleType=im_msvistalog event.module=windows event.code=4625 winlog.computer_name=pc-7.kreis.example user.name=anna user.domain=KREIS event.reason='wrong password' winlog.logon.type=Network source.domain=PC-9 process.pid=0 source.ip=203.0.113.9 source.port=4711 event.category=authentication event.type=start event.action=logon event.outcome=failure"#]],
    );
    check_brief(
        r#"<14>Mar 14 08:00:00 pc-7 EventTime="2026-03-14 08:00:00" Hostname="pc-7" EventType="AUDIT_SUCCESS" EventID=4720 SourceName="Microsoft-Windows-Security-Auditing" Channel="Security" RecordNumber=7 TargetUserName="otto" TargetDomainName="KREIS" SubjectUserName="anna" SubjectDomainName="KREIS" Message="A user account was created.""#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=user log.level=informational host.name=pc-7 event.module=windows event.code=4720 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.record_id=7 winlog.event_id=4720 winlog.computer_name=pc-7 winlog.keywords=AUDIT_SUCCESS winlog.event_data.TargetUserName=otto winlog.event_data.TargetDomainName=KREIS winlog.event_data.SubjectUserName=anna winlog.event_data.SubjectDomainName=KREIS user.target.name=otto user.target.domain=KREIS user.name=anna user.domain=KREIS event.category=iam event.type=creation event.action=user_created event.outcome=success"#]],
    );
    check_brief(
        r#"<14>1 2026-03-14T08:00:00.000000+01:00 pc-7 Microsoft-Windows-Security-Auditing 516 - [NXLOG@14506 EventType="AUDIT_SUCCESS" EventID="4634" Channel="Security" TargetUserName="anna" TargetDomainName="KREIS" LogonType="3"] Ein Konto wurde abgemeldet."#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            log.syslog.facility.name=user log.level=informational host.name=pc-7 process.name=Microsoft-Windows-Security-Auditing process.pid=516 winlog.keywords=AUDIT_SUCCESS winlog.event_id=4634 winlog.channel=Security winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=KREIS winlog.event_data.LogonType=3 event.module=windows event.code=4634 winlog.provider_name=Microsoft-Windows-Security-Auditing user.name=anna user.domain=KREIS winlog.logon.type=Network event.category=authentication event.type=end event.action=logoff event.outcome=success"#]],
    );
    check_brief(
        "<14>Mar 14 08:00:00 pc-7 Microsoft-Windows-Security-Auditing[516]: Ein Konto wurde erfolgreich angemeldet.    Antragsteller:   Sicherheits-ID:  S-1-5-18   Kontoname:  PC-7$   Kontodomäne:  KREIS   Anmelde-ID:  0x3E7    Anmeldetyp:   2    Neue Anmeldung:   Sicherheits-ID:  S-1-5-21-1   Kontoname:  anna   Kontodomäne:  KREIS   Anmelde-ID:  0x5    Netzwerkinformationen:   Arbeitsstationsname: PC-7   Quellnetzwerkadresse: 127.0.0.1   Quellport:  0",
        expect![[r#"
            2026-03-14T07:00:00.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pc-7 process.name=Microsoft-Windows-Security-Auditing process.pid=516 event.module=windows event.code=4624 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.event_id=4624 winlog.event_data.SubjectUserSid=S-1-5-18 winlog.event_data.SubjectUserName=PC-7$ winlog.event_data.SubjectDomainName=KREIS winlog.event_data.SubjectLogonId=0x3E7 winlog.event_data.LogonType=2 winlog.event_data.TargetUserSid=S-1-5-21-1 winlog.event_data.TargetUserName=anna winlog.event_data.TargetDomainName=KREIS winlog.event_data.TargetLogonId=0x5 winlog.event_data.WorkstationName=PC-7 winlog.event_data.IpAddress=127.0.0.1 winlog.event_data.IpPort=0 winlog.logon.type=Interactive user.id=S-1-5-21-1 user.name=anna user.domain=KREIS source.domain=PC-7 source.ip=127.0.0.1 event.category=authentication event.type=start event.action=logon event.outcome=success"#]],
    );
    check_json(
        r#"{"@timestamp":"2026-03-14T07:00:00Z","event":{"code":"4648","provider":"Microsoft-Windows-Security-Auditing"},"host":{"name":"pc-7"},"winlog":{"event_id":4648,"channel":"Security","provider_name":"Microsoft-Windows-Security-Auditing","computer_name":"pc-7.kreis.example","keywords":["Überwachung erfolgreich"],"event_data":{"SubjectUserName":"anna","TargetUserName":"admin","TargetDomainName":"KREIS","TargetServerName":"srv-1","IpAddress":"-"}},"message":"x"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            event.code=4648 event.provider=Microsoft-Windows-Security-Auditing host.name=pc-7 winlog.event_id=4648 winlog.channel=Security winlog.provider_name=Microsoft-Windows-Security-Auditing winlog.computer_name=pc-7.kreis.example winlog.keywords='Überwachung erfolgreich' winlog.event_data.SubjectUserName=anna winlog.event_data.TargetUserName=admin winlog.event_data.TargetDomainName=KREIS winlog.event_data.TargetServerName=srv-1 winlog.event_data.IpAddress=- event.module=windows user.name=anna user.effective.name=admin user.effective.domain=KREIS destination.domain=srv-1 event.category=authentication event.type=start event.action=logon_explicit_credentials event.outcome=success"#]],
    );
    check_json(
        r#"{"@timestamp":"2026-03-14T07:00:00Z","beat":{"hostname":"pc-7"},"computer_name":"pc-7","event_id":11,"log_name":"Microsoft-Windows-Sysmon/Operational","source_name":"Microsoft-Windows-Sysmon","record_number":"9","event_data":{"Image":"C:\\x.exe","TargetFilename":"C:\\Users\\anna\\a.exe","ProcessId":"7"},"message":"File created"}"#,
        expect![[r#"
            2026-03-14T07:00:00.000Z
            beat.hostname=pc-7 winlog.computer_name=pc-7 winlog.event_id=11 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.provider_name=Microsoft-Windows-Sysmon winlog.record_id=9 winlog.event_data.Image=C:\x.exe winlog.event_data.TargetFilename=C:\Users\anna\a.exe winlog.event_data.ProcessId=7 event.module=windows event.code=11 host.name=pc-7 process.executable=C:\x.exe process.name=x.exe file.path=C:\Users\anna\a.exe file.name=a.exe process.pid=7 event.category=file event.type=creation event.action=file_created event.outcome=success"#]],
    );
    check_json(
        r##"{"Event":{"System":{"Provider":{"#attributes":{"Name":"Microsoft-Windows-Sysmon"}},"EventID":3,"TimeCreated":{"#attributes":{"SystemTime":"2026-03-14T07:00:00.088849Z"}},"EventRecordID":9,"Channel":"Microsoft-Windows-Sysmon/Operational","Computer":"pc-7"},"EventData":{"ProcessId":7,"Image":"C:\\x.exe","User":"KREIS\\anna","Protocol":"tcp","Initiated":true,"SourceIp":"10.0.0.7","SourcePort":51234,"DestinationIp":"203.0.113.9","DestinationPort":443}}}"##,
        expect![[r#"
            2026-03-14T07:00:00.088Z
            winlog.provider_name=Microsoft-Windows-Sysmon winlog.event_id=3 winlog.time_created=2026-03-14T07:00:00.088849Z winlog.record_id=9 winlog.channel=Microsoft-Windows-Sysmon/Operational winlog.computer_name=pc-7 winlog.event_data.ProcessId=7 winlog.event_data.Image=C:\x.exe winlog.event_data.User=KREIS\anna winlog.event_data.Protocol=tcp winlog.event_data.Initiated=true winlog.event_data.SourceIp=10.0.0.7 winlog.event_data.SourcePort=51234 winlog.event_data.DestinationIp=203.0.113.9 winlog.event_data.DestinationPort=443 event.module=windows event.code=3 host.name=pc-7 process.pid=7 process.executable=C:\x.exe process.name=x.exe user.name=anna user.domain=KREIS network.transport=tcp network.direction=egress source.ip=10.0.0.7 source.port=51234 destination.ip=203.0.113.9 destination.port=443 event.category=network event.type=connection event.action=connection event.outcome=success"#]],
    );
}

/// Every event of Sigma's own regression data: its rules find number, channel, provider and each datum where they look.
#[test]
fn sigmas_events_have_what_its_rules_ask_for() {
    fn files(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                files(&entry, found);
            } else if entry.extension().is_some_and(|end| end == "json") {
                found.push(entry);
            }
        }
    }
    let Some(corpora) = corpora() else { return };
    let mut found = Vec::new();
    files(&corpora.join("sigma/regression"), &mut found);
    let (mut events, mut data, mut meant) = (0, 0, 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let Ok(wanted) = serde_json::from_str::<serde_json::Value>(&text) else { continue };
        let Some(system) = wanted.pointer("/Event/System") else { continue };
        let line = wanted.to_string();
        let event = event_of(FrameKind::Json, line.as_bytes());
        let read =
            |name: &str| FieldId::find(name).and_then(|field| event.get(field)).map(|value| value.text().into_owned()).unwrap_or_default();
        let id = system["EventID"].as_i64().or_else(|| system["EventID"]["#text"].as_i64()).unwrap();
        assert_eq!(read("event.code"), id.to_string(), "{}", path.display());
        assert_eq!(read("winlog.channel"), system["Channel"].as_str().unwrap(), "{}", path.display());
        assert_eq!(read("winlog.provider_name"), system["Provider"]["#attributes"]["Name"].as_str().unwrap(), "{}", path.display());
        for (name, value) in wanted["Event"]["EventData"].as_object().into_iter().flatten().filter(|(name, _)| !name.starts_with('#')) {
            let Some(value) = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|value| value.to_string())) else { continue };
            assert_eq!(read(&format!("winlog.event_data.{name}")), value, "{} {name}", path.display());
            data += 1;
        }
        meant += usize::from(!read("event.action").is_empty());
        events += 1;
    }
    println!("{events} events, {data} data, {meant} with a meaning");
    assert!(events >= 90 && data >= 900 && meant * 100 >= events * 90, "{events} {data} {meant}");
}
