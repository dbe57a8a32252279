//! The golden table of firewalls and network gear: their lines, and what becomes of them.

use expect_test::expect;

use super::check;

#[test]
fn sophos_utm_golden() {
    check(
        r#"<30>2026:03:14-07:59:58 utm ulogd[12511]: id="2021" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped (GEOIP)" action="drop" fwrule="60019" initf="eth6" srcmac="00:00:5e:00:53:5f" dstmac="00:00:5e:00:53:55" srcip="203.0.113.2" dstip="198.51.100.129" proto="6" length="88" tos="0x00" prec="0x00" ttl="227" srcport="443" dstport="42181" tcpflags="ACK PSH""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=ulogd process.pid=12511 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=2021 sophos.utm.sys=SecureNet sophos.utm.sub=packetfilter sophos.utm.name='Packet dropped (GEOIP)' sophos.utm.action=drop rule.id=60019 observer.ingress.interface.name=eth6 source.mac=00:00:5e:00:53:5f destination.mac=00:00:5e:00:53:55 source.ip=203.0.113.2 destination.ip=198.51.100.129 network.transport=tcp network.bytes=88 sophos.utm.tos=0x00 sophos.utm.prec=0x00 sophos.utm.ttl=227 source.port=443 destination.port=42181 sophos.utm.tcpflags='ACK PSH' event.category=network event.action=blocked event.type=denied event.outcome=failure
            | id="2021" severity="info" sys="SecureNet" sub="packetfilter" name="Packet dropped (GEOIP)" action="drop" fwrule="60019" initf="eth6" srcmac="00:00:5e:00:53:5f" dstmac="00:00:5e:00:53:55" srcip="203.0.113.2" dstip="198.51.100.129" proto="6" length="88" tos="0x00" prec="0x00" ttl="227" srcport="443" dstport="42181" tcpflags="ACK PSH""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 utm ulogd[12511]: id="2014" severity="info" sys="SecureNet" sub="packetfilter" name="DNS request" action="DNS request" fwrule="60011" initf="eth7" srcip="10.0.0.2" dstip="198.51.100.129" proto="17" length="75" srcport="34200" dstport="53" "#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=ulogd process.pid=12511 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=2014 sophos.utm.sys=SecureNet sophos.utm.sub=packetfilter sophos.utm.name='DNS request' sophos.utm.action='DNS request' rule.id=60011 observer.ingress.interface.name=eth7 source.ip=10.0.0.2 destination.ip=198.51.100.129 network.transport=udp network.bytes=75 source.port=34200 destination.port=53 event.category=network event.action=logged event.type=connection
            | id="2014" severity="info" sys="SecureNet" sub="packetfilter" name="DNS request" action="DNS request" fwrule="60011" initf="eth7" srcip="10.0.0.2" dstip="198.51.100.129" proto="17" length="75" srcport="34200" dstport="53" "#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 utm httpproxy[6267]: id="0001" severity="info" sys="SecureWeb" sub="http" name="http access" action="pass" method="CONNECT" srcip="10.0.0.7" dstip="198.51.100.129" user="anna" group="Verwaltung" ad_domain="example.org" statuscode="200" cached="0" size="311" request="0x7fad9e44ac00" url="https://www.example.net/path?source=mail&id=1" referer="https://ref.example.net/" error="" ua="Microsoft BITS/7.8" category="178" categoryname="Internet Services" application="googplay" app-id="816" country="United States""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=httpproxy process.pid=6267 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=0001 sophos.utm.sys=SecureWeb sophos.utm.sub=http sophos.utm.name='http access' sophos.utm.action=pass http.request.method=CONNECT source.ip=10.0.0.7 destination.ip=198.51.100.129 user.name=anna sophos.utm.ad_domain=example.org http.response.status_code=200 sophos.utm.cached=0 sophos.utm.request=0x7fad9e44ac00 http.request.referrer=https://ref.example.net/ user_agent.original='Microsoft BITS/7.8' sophos.utm.category=178 sophos.utm.categoryname='Internet Services' network.application=googplay sophos.utm.app-id=816 destination.geo.country_name='United States' group.name=Verwaltung http.response.body.bytes=311 url.full=https://www.example.net/path?source=mail&id=1 url.domain=www.example.net url.path=/path url.query=source=mail&id=1 event.type=access event.category=web event.action=http_request event.outcome=success
            | id="0001" severity="info" sys="SecureWeb" sub="http" name="http access" action="pass" method="CONNECT" srcip="10.0.0.7" dstip="198.51.100.129" user="anna" group="Verwaltung" ad_domain="example.org" statuscode="200" cached="0" size="311" request="0x7fad9e44ac00" url="https://www.example.net/path?source=mail&id=1" referer="https://ref.example.net/" error="" ua="Microsoft BITS/7.8" category="178" categoryname="Internet Services" application="googplay" app-id="816" country="United States""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 utm httpproxy[6267]: id="0060" severity="info" sys="SecureWeb" sub="http" name="web request blocked, forbidden category detected" action="block" method="GET" srcip="10.0.0.7" dstip="198.51.100.129" user="" statuscode="403" size="4764" url="https://bad.example.net/" ua="" reason="category""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=httpproxy process.pid=6267 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=0060 sophos.utm.sys=SecureWeb sophos.utm.sub=http sophos.utm.name='web request blocked, forbidden category detected' sophos.utm.action=block http.request.method=GET source.ip=10.0.0.7 destination.ip=198.51.100.129 http.response.status_code=403 event.reason=category http.response.body.bytes=4764 url.full=https://bad.example.net/ url.domain=bad.example.net url.path=/ event.type=access event.type=denied event.category=web event.action=blocked event.outcome=failure
            | id="0060" severity="info" sys="SecureWeb" sub="http" name="web request blocked, forbidden category detected" action="block" method="GET" srcip="10.0.0.7" dstip="198.51.100.129" user="" statuscode="403" size="4764" url="https://bad.example.net/" ua="" reason="category""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 utm httpproxy[6267]: id="0003" severity="info" sys="SecureWeb" sub="http" request="0x7fad90f7ed00" function="ssl_raw_read" file="ssl.c" line="1012" message="SSL_ERROR_SYSCALL: ret=-1 error=Broken pipe""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=httpproxy process.pid=6267 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=0003 sophos.utm.sys=SecureWeb sophos.utm.sub=http sophos.utm.request=0x7fad90f7ed00 sophos.utm.function=ssl_raw_read sophos.utm.file=ssl.c sophos.utm.line=1012 sophos.utm.message='SSL_ERROR_SYSCALL: ret=-1 error=Broken pipe'
            | id="0003" severity="info" sys="SecureWeb" sub="http" request="0x7fad90f7ed00" function="ssl_raw_read" file="ssl.c" line="1012" message="SSL_ERROR_SYSCALL: ret=-1 error=Broken pipe""#]],
    );
    check(
        r#"<28>Mar 14 07:59:58 utm aua[5441]: id="3005" severity="warn" sys="System" sub="auth" name="Authentication failed" srcip="203.0.113.9" host="" user="anna" caller="webadmin" reason="DENIED""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=warning host.name=utm process.name=aua process.pid=5441 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=3005 sophos.utm.sys=System sophos.utm.sub=auth sophos.utm.name='Authentication failed' source.ip=203.0.113.9 user.name=anna sophos.utm.caller=webadmin event.reason=DENIED event.category=authentication event.action=login event.outcome=failure
            | id="3005" severity="warn" sys="System" sub="auth" name="Authentication failed" srcip="203.0.113.9" host="" user="anna" caller="webadmin" reason="DENIED""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 utm aua[5441]: id="3004" severity="info" sys="System" sub="auth" name="Authentication successful" srcip="10.0.0.7" host="" user="anna" caller="portal" engine="local""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=aua process.pid=5441 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=3004 sophos.utm.sys=System sophos.utm.sub=auth sophos.utm.name='Authentication successful' source.ip=10.0.0.7 user.name=anna sophos.utm.caller=portal sophos.utm.engine=local event.category=authentication event.action=login event.outcome=success
            | id="3004" severity="info" sys="System" sub="auth" name="Authentication successful" srcip="10.0.0.7" host="" user="anna" caller="portal" engine="local""#]],
    );
    check(
        r#"<28>Mar 14 07:59:58 utm snort[5520]: id="2101" severity="warn" sys="SecureNet" sub="ips" name="Intrusion protection alert" action="drop" reason="SERVER-WEBAPP command injection attempt" group="500" srcip="203.0.113.9" dstip="10.0.0.20" proto="6" srcport="59476" dstport="80" sid="53589" class="Web Application Attack" priority="1" generator="1" msgid="0""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=warning host.name=utm process.name=snort process.pid=5520 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=2101 sophos.utm.sys=SecureNet sophos.utm.sub=ips sophos.utm.name='Intrusion protection alert' sophos.utm.action=drop source.ip=203.0.113.9 destination.ip=10.0.0.20 network.transport=tcp source.port=59476 destination.port=80 rule.id=53589 sophos.utm.class='Web Application Attack' sophos.utm.priority=1 sophos.utm.generator=1 sophos.utm.msgid=0 rule.name='SERVER-WEBAPP command injection attempt' sophos.utm.group=500 event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure
            | id="2101" severity="warn" sys="SecureNet" sub="ips" name="Intrusion protection alert" action="drop" reason="SERVER-WEBAPP command injection attempt" group="500" srcip="203.0.113.9" dstip="10.0.0.20" proto="6" srcport="59476" dstport="80" sid="53589" class="Web Application Attack" priority="1" generator="1" msgid="0""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 utm openvpn[5432]: id="2201" severity="info" sys="SecureNet" sub="vpn" event="Connection started" username="anna" variant="ssl" srcip="203.0.113.9" virtual_ip="10.242.2.6""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=utm process.name=openvpn process.pid=5432 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=2201 sophos.utm.sys=SecureNet sophos.utm.sub=vpn sophos.utm.event='Connection started' user.name=anna sophos.utm.variant=ssl source.ip=203.0.113.9 sophos.utm.virtual_ip=10.242.2.6 event.category=authentication event.action=vpn_login event.outcome=success
            | id="2201" severity="info" sys="SecureNet" sub="vpn" event="Connection started" username="anna" variant="ssl" srcip="203.0.113.9" virtual_ip="10.242.2.6""#]],
    );
    check(
        r#"<22>Mar 14 07:59:58 utm smtpd[14020]: SCANNER[14020]: id="1000" severity="info" sys="SecureMail" sub="smtp" name="email passed" srcip="203.0.113.25" from="a@example.net" to="b@example.org" subject="Haushalt" queueid="1abCdE-0a6b1f-A4" size="587538""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=utm process.name=smtpd process.pid=14020 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=1000 sophos.utm.sys=SecureMail sophos.utm.sub=smtp sophos.utm.name='email passed' source.ip=203.0.113.25 email.from.address=a@example.net email.to.address=b@example.org sophos.utm.subject=Haushalt sophos.utm.queueid=1abCdE-0a6b1f-A4 network.bytes=587538 event.category=email event.action=mail_passed event.outcome=success
            | SCANNER[14020]: id="1000" severity="info" sys="SecureMail" sub="smtp" name="email passed" srcip="203.0.113.25" from="a@example.net" to="b@example.org" subject="Haushalt" queueid="1abCdE-0a6b1f-A4" size="587538""#]],
    );
    check(
        r#"<22>Mar 14 07:59:58 utm exim-in[14020]: id="1003" severity="info" sys="SecureMail" sub="smtp" name="email rejected" srcip="203.0.113.25" from="a@example.net" to="b@example.org" size="-1" reason="rbl""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=mail log.level=informational host.name=utm process.name=exim-in process.pid=14020 event.module=sophos event.dataset=sophos.utm observer.vendor=Sophos observer.product=UTM event.code=1003 sophos.utm.sys=SecureMail sophos.utm.sub=smtp sophos.utm.name='email rejected' source.ip=203.0.113.25 email.from.address=a@example.net email.to.address=b@example.org event.reason=rbl event.type=denied event.category=email event.action=blocked event.outcome=failure
            | id="1003" severity="info" sys="SecureMail" sub="smtp" name="email rejected" srcip="203.0.113.25" from="a@example.net" to="b@example.org" size="-1" reason="rbl""#]],
    );
}

#[test]
fn sophos_xg_golden() {
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XGS2100" device_id=X12345678901234 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" status="Allow" priority=Information duration=11 fw_rule_id=21 policy_type=1 user_name="anna" user_gp="Verwaltung" iap=0 application="HTTP" in_interface="Port1" out_interface="Port2" src_mac=00:00:5e:00:53:01 src_ip=10.17.34.15 src_country_code=R1 dst_ip=198.51.100.86 dst_country_code=SVK protocol="TCP" src_port=62841 dst_port=80 sent_pkts=6  recv_pkts=5 sent_bytes=459 recv_bytes=606 tran_src_ip=203.0.113.66 tran_src_port=0 tran_dst_ip="" srczonetype="LAN" srczone="LAN" dstzone="WAN" connevent="Stop" connid="1617925280" hb_health="No Heartbeat" message="""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XGS2100 observer.serial_number=X12345678901234 event.code=010101600001 sophos.xg.log_type=Firewall sophos.xg.log_component='Firewall Rule' sophos.xg.log_subtype=Allowed sophos.xg.status=Allow sophos.xg.policy_type=1 user.name=anna group.name=Verwaltung sophos.xg.iap=0 network.application=HTTP observer.ingress.interface.name=Port1 observer.egress.interface.name=Port2 source.mac=00:00:5e:00:53:01 source.ip=10.17.34.15 destination.ip=198.51.100.86 destination.geo.country_name=SVK network.transport=tcp source.port=62841 destination.port=80 source.packets=6 destination.packets=5 source.bytes=459 destination.bytes=606 sophos.xg.tran_src_ip=203.0.113.66 sophos.xg.tran_src_port=0 sophos.xg.srczonetype=LAN sophos.xg.srczone=LAN sophos.xg.dstzone=WAN sophos.xg.connevent=Stop sophos.xg.connid=1617925280 sophos.xg.hb_health='No Heartbeat' rule.id=21 event.duration=11000000000 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XGS2100" device_id=X12345678901234 log_id=010101600001 log_type="Firewall" log_component="Firewall Rule" log_subtype="Allowed" status="Allow" priority=Information duration=11 fw_rule_id=21 policy_type=1 user_name="anna" user_gp="Verwaltung" iap=0 application="HTTP" in_interface="Port1" out_interface="Port2" src_mac=00:00:5e:00:53:01 src_ip=10.17.34.15 src_country_code=R1 dst_ip=198.51.100.86 dst_country_code=SVK protocol="TCP" src_port=62841 dst_port=80 sent_pkts=6  recv_pkts=5 sent_bytes=459 recv_bytes=606 tran_src_ip=203.0.113.66 tran_src_port=0 tran_dst_ip="" srczonetype="LAN" srczone="LAN" dstzone="WAN" connevent="Stop" connid="1617925280" hb_health="No Heartbeat" message="""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG125w" device_id=X1 log_id=010302602002 log_type="Firewall" log_component="Appliance Access" log_subtype="Denied" status="Deny" priority=Information duration=0 fw_rule_id=0 in_interface="Port2" out_interface="" src_ip=203.0.113.9 dst_ip=198.51.100.207 protocol="ICMP" icmp_type=8 icmp_code=0 tran_dst_port=0srczonetype="VPN" srczone="VPN" app_is_cloud=0""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG125w observer.serial_number=X1 event.code=010302602002 sophos.xg.log_type=Firewall sophos.xg.log_component='Appliance Access' sophos.xg.log_subtype=Denied sophos.xg.status=Deny observer.ingress.interface.name=Port2 source.ip=203.0.113.9 destination.ip=198.51.100.207 network.transport=icmp sophos.xg.icmp_type=8 sophos.xg.icmp_code=0 sophos.xg.tran_dst_port=0srczonetype="VPN" sophos.xg.srczone=VPN sophos.xg.app_is_cloud=0" event.duration=0 event.category=network event.action=blocked event.type=denied event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG125w" device_id=X1 log_id=010302602002 log_type="Firewall" log_component="Appliance Access" log_subtype="Denied" status="Deny" priority=Information duration=0 fw_rule_id=0 in_interface="Port2" out_interface="" src_ip=203.0.113.9 dst_ip=198.51.100.207 protocol="ICMP" icmp_type=8 icmp_code=0 tran_dst_port=0srczonetype="VPN" srczone="VPN" app_is_cloud=0""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 sophos device_name="SFW" timestamp="2026-03-14T07:59:58+0100" device_model="XGS2100" device_serial_id="X1" log_id="010102600002" log_type="Firewall" log_component="Firewall Rule" log_subtype="Denied" log_version=1 severity="Information" fw_rule_id="12" nat_rule_id="0" fw_rule_type="USER" ether_type="IPv4 (0x0800)" in_interface="Port1" src_mac="00:00:5e:00:53:20" src_ip="10.0.2.111" src_country="R1" dst_ip="198.51.100.156" dst_country="USA" protocol="UDP" src_port=61709 dst_port=443 hb_status="No Heartbeat" qualifier="New""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=daemon log.level=informational host.name=sophos event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=SFW sophos.xg.timestamp=2026-03-14T07:59:58+0100 sophos.xg.device_model=XGS2100 observer.serial_number=X1 event.code=010102600002 sophos.xg.log_type=Firewall sophos.xg.log_component='Firewall Rule' sophos.xg.log_subtype=Denied sophos.xg.log_version=1 sophos.xg.nat_rule_id=0 sophos.xg.fw_rule_type=USER sophos.xg.ether_type='IPv4 (0x0800)' observer.ingress.interface.name=Port1 source.mac=00:00:5e:00:53:20 source.ip=10.0.2.111 destination.ip=198.51.100.156 destination.geo.country_name=USA network.transport=udp source.port=61709 destination.port=443 sophos.xg.hb_status='No Heartbeat' sophos.xg.qualifier=New rule.id=12 event.category=network event.action=blocked event.type=denied event.outcome=failure
            | device_name="SFW" timestamp="2026-03-14T07:59:58+0100" device_model="XGS2100" device_serial_id="X1" log_id="010102600002" log_type="Firewall" log_component="Firewall Rule" log_subtype="Denied" log_version=1 severity="Information" fw_rule_id="12" nat_rule_id="0" fw_rule_type="USER" ether_type="IPv4 (0x0800)" in_interface="Port1" src_mac="00:00:5e:00:53:20" src_ip="10.0.2.111" src_country="R1" dst_ip="198.51.100.156" dst_country="USA" protocol="UDP" src_port=61709 dst_port=443 hb_status="No Heartbeat" qualifier="New""#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 sophos device_name="SFW" timestamp="2026-03-14T07:59:58+0100" device_model="XGS2100" device_serial_id="X1" log_id=050901616001 log_type="Content Filtering" log_component="HTTP" log_subtype="Allowed" log_version=1 severity="Information" fw_rule_id="12" http_category="IPAddress" url="http://198.51.100.156:8089/mind/m?type=get&source=x" content_type="application/json" src_ip="10.0.2.131" dst_ip="198.51.100.156" protocol="TCP" src_port=40230 dst_port=8089 bytes_sent=260 bytes_received=307 domain="198.51.100.156" http_user_agent="TvHttpClient" http_status="200" con_id=3159010752"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=daemon log.level=informational host.name=sophos event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=SFW sophos.xg.timestamp=2026-03-14T07:59:58+0100 sophos.xg.device_model=XGS2100 observer.serial_number=X1 event.code=050901616001 sophos.xg.log_type='Content Filtering' sophos.xg.log_component=HTTP sophos.xg.log_subtype=Allowed sophos.xg.log_version=1 sophos.xg.http_category=IPAddress url.full=http://198.51.100.156:8089/mind/m?type=get&source=x url.domain=198.51.100.156 url.path=/mind/m url.query=type=get&source=x sophos.xg.content_type=application/json source.ip=10.0.2.131 destination.ip=198.51.100.156 network.transport=tcp source.port=40230 destination.port=8089 source.bytes=260 destination.bytes=307 user_agent.original=TvHttpClient http.response.status_code=200 sophos.xg.con_id=3159010752 rule.id=12 event.type=access event.category=web event.action=http_request event.outcome=success
            | device_name="SFW" timestamp="2026-03-14T07:59:58+0100" device_model="XGS2100" device_serial_id="X1" log_id=050901616001 log_type="Content Filtering" log_component="HTTP" log_subtype="Allowed" log_version=1 severity="Information" fw_rule_id="12" http_category="IPAddress" url="http://198.51.100.156:8089/mind/m?type=get&source=x" content_type="application/json" src_ip="10.0.2.131" dst_ip="198.51.100.156" protocol="TCP" src_port=40230 dst_port=8089 bytes_sent=260 bytes_received=307 domain="198.51.100.156" http_user_agent="TvHttpClient" http_status="200" con_id=3159010752"#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="GMT" device_name="SF01V" device_id=X1 log_id=058420116010 log_type="Content Filtering" log_component="Web Content Policy" log_subtype="Alert" user="anna" src_ip=10.108.108.49 transaction_id="e4a1" dictionary_name="x" site_category=Information Technology website="www.example.org" direction="in" action="Deny""#,
        expect![[r#"
            2026-03-14T07:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=SF01V observer.serial_number=X1 event.code=058420116010 sophos.xg.log_type='Content Filtering' sophos.xg.log_component='Web Content Policy' sophos.xg.log_subtype=Alert source.ip=10.108.108.49 sophos.xg.transaction_id=e4a1 sophos.xg.dictionary_name=x sophos.xg.site_category='Information Technology' sophos.xg.website=www.example.org sophos.xg.direction=in sophos.xg.action=Deny user.name=anna event.type=access event.type=denied event.category=web event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="GMT" device_name="SF01V" device_id=X1 log_id=058420116010 log_type="Content Filtering" log_component="Web Content Policy" log_subtype="Alert" user="anna" src_ip=10.108.108.49 transaction_id="e4a1" dictionary_name="x" site_category=Information Technology website="www.example.org" direction="in" action="Deny""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=020804407002 log_type="IDP" log_component="Signatures" log_subtype="Drop" priority=Warning idp_policy_id=7 fw_rule_id=25 user_name="" signature_id=53589 signature_msg="SERVER-WEBAPP command injection attempt" classification="Web Application Attack" rule_priority=2 src_ip=203.0.113.101 src_country_code=NLD dst_ip=10.16.68.20 dst_country_code=R1 protocol="TCP" src_port=59476 dst_port=80 category="server-webapp" target="Server""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=020804407002 sophos.xg.log_type=IDP sophos.xg.log_component=Signatures sophos.xg.log_subtype=Drop sophos.xg.idp_policy_id=7 rule.name='SERVER-WEBAPP command injection attempt' sophos.xg.classification='Web Application Attack' sophos.xg.rule_priority=2 source.ip=203.0.113.101 source.geo.country_name=NLD destination.ip=10.16.68.20 network.transport=tcp source.port=59476 destination.port=80 sophos.xg.category=server-webapp sophos.xg.target=Server rule.id=53589 sophos.xg.fw_rule_id=25 event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=020804407002 log_type="IDP" log_component="Signatures" log_subtype="Drop" priority=Warning idp_policy_id=7 fw_rule_id=25 user_name="" signature_id=53589 signature_msg="SERVER-WEBAPP command injection attempt" classification="Web Application Attack" rule_priority=2 src_ip=203.0.113.101 src_country_code=NLD dst_ip=10.16.68.20 dst_country_code=R1 protocol="TCP" src_port=59476 dst_port=80 category="server-webapp" target="Server""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=086504418010 log_type="ATP" log_component="Web" log_subtype="Drop" priority=Warning user_name="" protocol="TCP" src_port=57579 dst_port=80 sourceip=10.16.34.24 destinationip=198.51.100.22 url=http://c2.example.net/callhome/index.html threatname=C2/Generic-A eventid=E91DAD80 eventtype="Standard" login_user="" execution_path="""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=086504418010 sophos.xg.log_type=ATP sophos.xg.log_component=Web sophos.xg.log_subtype=Drop network.transport=tcp source.port=57579 destination.port=80 source.ip=10.16.34.24 destination.ip=198.51.100.22 url.full=http://c2.example.net/callhome/index.html url.domain=c2.example.net url.path=/callhome/index.html threat.indicator.name=C2/Generic-A sophos.xg.eventid=E91DAD80 sophos.xg.eventtype=Standard event.kind=alert event.type=denied event.category=malware event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=086504418010 log_type="ATP" log_component="Web" log_subtype="Drop" priority=Warning user_name="" protocol="TCP" src_port=57579 dst_port=80 sourceip=10.16.34.24 destinationip=198.51.100.22 url=http://c2.example.net/callhome/index.html threatname=C2/Generic-A eventid=E91DAD80 eventtype="Standard" login_user="" execution_path="""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=030906208001 log_type="Anti-Virus" log_component="HTTP" log_subtype="Virus" status="" priority=Critical fw_rule_id=2 virus="EICAR-AV-Test" url="http://t.example.net/eicar.html" domainname="t.example.net" src_ip=10.16.34.24 dst_ip=198.51.100.18 protocol="TCP" src_port=57835 dst_port=80 sent_bytes=541 recv_bytes=553 user_agent="Mozilla/5.0 (Windows NT 10.0)" status_code=403"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=030906208001 sophos.xg.log_type=Anti-Virus sophos.xg.log_component=HTTP sophos.xg.log_subtype=Virus threat.indicator.name=EICAR-AV-Test url.full=http://t.example.net/eicar.html url.domain=t.example.net url.path=/eicar.html source.ip=10.16.34.24 destination.ip=198.51.100.18 network.transport=tcp source.port=57835 destination.port=80 source.bytes=541 destination.bytes=553 user_agent.original='Mozilla/5.0 (Windows NT 10.0)' http.response.status_code=403 rule.id=2 event.kind=alert event.type=denied event.category=malware event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=030906208001 log_type="Anti-Virus" log_component="HTTP" log_subtype="Virus" status="" priority=Critical fw_rule_id=2 virus="EICAR-AV-Test" url="http://t.example.net/eicar.html" domainname="t.example.net" src_ip=10.16.34.24 dst_ip=198.51.100.18 protocol="TCP" src_port=57835 dst_port=80 sent_bytes=541 recv_bytes=553 user_agent="Mozilla/5.0 (Windows NT 10.0)" status_code=403"#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=041107413001 log_type="Anti-Spam" log_component="SMTP" log_subtype="Spam" status="" priority=Warning fw_rule_id=22 av_policy_name="Spam" from_email_address="a@example.net" to_email_address="b@example.org" email_subject="dringend Geld" mailid="<oE6@example.net>" mailsize=2025 spamaction="Reject" reason="Mail detected as SPAM." src_domainname="example.net" src_ip=203.0.113.175 dst_ip=198.51.100.194 protocol="TCP" src_port=51789 dst_port=25 quarantine_reason="Spam""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=041107413001 sophos.xg.log_type=Anti-Spam sophos.xg.log_component=SMTP sophos.xg.log_subtype=Spam sophos.xg.av_policy_name=Spam email.from.address=a@example.net email.to.address=b@example.org sophos.xg.email_subject='dringend Geld' email.message_id=oE6@example.net sophos.xg.mailsize=2025 sophos.xg.spamaction=Reject event.reason='Mail detected as SPAM.' source.domain=example.net source.ip=203.0.113.175 destination.ip=198.51.100.194 network.transport=tcp source.port=51789 destination.port=25 sophos.xg.quarantine_reason=Spam rule.id=22 event.type=denied event.category=email event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=041107413001 log_type="Anti-Spam" log_component="SMTP" log_subtype="Spam" status="" priority=Warning fw_rule_id=22 av_policy_name="Spam" from_email_address="a@example.net" to_email_address="b@example.org" email_subject="dringend Geld" mailid="<oE6@example.net>" mailsize=2025 spamaction="Reject" reason="Mail detected as SPAM." src_domainname="example.net" src_ip=203.0.113.175 dst_ip=198.51.100.194 protocol="TCP" src_port=51789 dst_port=25 quarantine_reason="Spam""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=041105613003 log_type="Anti-Spam" log_component="SMTP" log_subtype="Clean" priority=Information fw_rule_id=22 from_email_address="a@example.net" to_email_address="b@example.org" mailid="<1@example.net>" spamaction="Accept" src_ip=203.0.113.63 src_port=52742 dst_port=25 protocol="TCP""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=041105613003 sophos.xg.log_type=Anti-Spam sophos.xg.log_component=SMTP sophos.xg.log_subtype=Clean email.from.address=a@example.net email.to.address=b@example.org email.message_id=1@example.net sophos.xg.spamaction=Accept source.ip=203.0.113.63 source.port=52742 destination.port=25 network.transport=tcp rule.id=22 event.category=email event.action=mail_passed event.outcome=success
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=041105613003 log_type="Anti-Spam" log_component="SMTP" log_subtype="Clean" priority=Information fw_rule_id=22 from_email_address="a@example.net" to_email_address="b@example.org" mailid="<1@example.net>" spamaction="Accept" src_ip=203.0.113.63 src_port=52742 dst_port=25 protocol="TCP""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=063010517708 log_type="Event" log_component="VPN Authentication" log_subtype="Authentication" status="Failed" priority=Notice user_name="anna" usergroupname="" auth_client="N/A" auth_mechanism="AD,Local" reason="wrong credentials" src_ip=203.0.113.4 message="User anna failed to login to VPN through AD,Local authentication mechanism because of wrong credentials" name="" src_mac="#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=063010517708 sophos.xg.log_type=Event sophos.xg.log_component='VPN Authentication' sophos.xg.log_subtype=Authentication sophos.xg.status=Failed user.name=anna sophos.xg.auth_mechanism=AD,Local event.reason='wrong credentials' source.ip=203.0.113.4 sophos.xg.message='User anna failed to login to VPN through AD,Local authentication mechanism because of wrong credentials' event.category=authentication event.action=vpn_login event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=063010517708 log_type="Event" log_component="VPN Authentication" log_subtype="Authentication" status="Failed" priority=Notice user_name="anna" usergroupname="" auth_client="N/A" auth_mechanism="AD,Local" reason="wrong credentials" src_ip=203.0.113.4 message="User anna failed to login to VPN through AD,Local authentication mechanism because of wrong credentials" name="" src_mac="#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062910617703 log_type="Event" log_component="Firewall Authentication" log_subtype="Authentication" status="Successful" priority=Information user_name="anna" usergroupname="VPN" auth_client="IPSec" reason="" src_ip=10.84.234.38 start_time=1591086575 message="User anna was logged out of firewall" name="anna" timestamp=1591086576"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=062910617703 sophos.xg.log_type=Event sophos.xg.log_component='Firewall Authentication' sophos.xg.log_subtype=Authentication sophos.xg.status=Successful user.name=anna group.name=VPN sophos.xg.auth_client=IPSec source.ip=10.84.234.38 sophos.xg.start_time=1591086575 sophos.xg.message='User anna was logged out of firewall' sophos.xg.name=anna sophos.xg.timestamp=1591086576 event.category=authentication event.action=logout event.outcome=success
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062910617703 log_type="Event" log_component="Firewall Authentication" log_subtype="Authentication" status="Successful" priority=Information user_name="anna" usergroupname="VPN" auth_client="IPSec" reason="" src_ip=10.84.234.38 start_time=1591086575 message="User anna was logged out of firewall" name="anna" timestamp=1591086576"#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062109517507 log_type="Event" log_component="CLI" log_subtype="Admin" status="Failed" priority=Notice user_name="root" src_ip=203.0.113.15 message="User 'root' failed to login from '203.0.113.15' using ssh because of wrong credentials""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=062109517507 sophos.xg.log_type=Event sophos.xg.log_component=CLI sophos.xg.log_subtype=Admin sophos.xg.status=Failed user.name=root source.ip=203.0.113.15 sophos.xg.message='User 'root' failed to login from '203.0.113.15' using ssh because of wrong credentials' event.category=authentication event.action=login event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062109517507 log_type="Event" log_component="CLI" log_subtype="Admin" status="Failed" priority=Notice user_name="root" src_ip=203.0.113.15 message="User 'root' failed to login from '203.0.113.15' using ssh because of wrong credentials""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062009617502 log_type="Event" log_component="GUI" log_subtype="Admin" status="Successful" priority=Information user_name="admin" src_ip=10.83.234.5 SysLog_SERVER_NAME='Log Server' message="SysLog Server 'Log Server' settings were changed by 'admin' from '10.83.234.5' using 'GUI'""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=062009617502 sophos.xg.log_type=Event sophos.xg.log_component=GUI sophos.xg.log_subtype=Admin sophos.xg.status=Successful user.name=admin source.ip=10.83.234.5 sophos.xg.SysLog_SERVER_NAME='Log Server' sophos.xg.message='SysLog Server 'Log Server' settings were changed by 'admin' from '10.83.234.5' using 'GUI'' event.category=configuration event.action=configuration_changed event.outcome=success
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062009617502 log_type="Event" log_component="GUI" log_subtype="Admin" status="Successful" priority=Information user_name="admin" src_ip=10.83.234.5 SysLog_SERVER_NAME='Log Server' message="SysLog Server 'Log Server' settings were changed by 'admin' from '10.83.234.5' using 'GUI'""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062811617824 log_type="Event" log_component="SSL VPN" log_subtype="System" priority=Information Mode="Remote Access" sessionid="" starttime=0 user_name="anna" ipaddress=10.82.234.5 sent_bytes=0 recv_bytes=0 status="Established" message="SSL VPN User 'anna' connected " timestamp=1589960866 connectionname="" remote_ip=203.0.113.12"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=062811617824 sophos.xg.log_type=Event sophos.xg.log_component='SSL VPN' sophos.xg.log_subtype=System sophos.xg.Mode='Remote Access' sophos.xg.starttime=0 user.name=anna source.bytes=0 destination.bytes=0 sophos.xg.status=Established sophos.xg.message='SSL VPN User 'anna' connected ' sophos.xg.timestamp=1589960866 sophos.xg.ipaddress=10.82.234.5 source.ip=203.0.113.12 event.category=network event.action=vpn_established event.outcome=success
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=062811617824 log_type="Event" log_component="SSL VPN" log_subtype="System" priority=Information Mode="Remote Access" sessionid="" starttime=0 user_name="anna" ipaddress=10.82.234.5 sent_bytes=0 recv_bytes=0 status="Established" message="SSL VPN User 'anna' connected " timestamp=1589960866 connectionname="" remote_ip=203.0.113.12"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 sophos device_name="SFW" timestamp="2026-03-14T07:59:58+0100" device_model="XGS2100" device_serial_id="X1" log_id=063411660020 log_type="Event" log_component="DHCP Server" log_subtype="System" log_version=1 status="Renew" severity="Information" reported_ip="10.0.2.131" src_mac="00:00:5e:00:53:11" reported_host="PC-7" message="Lease IP 10.0.2.131 renewed for MAC 00:00:5e:00:53:11" lease_time="345600""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=daemon log.level=informational host.name=sophos event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=SFW sophos.xg.timestamp=2026-03-14T07:59:58+0100 sophos.xg.device_model=XGS2100 observer.serial_number=X1 event.code=063411660020 sophos.xg.log_type=Event sophos.xg.log_component='DHCP Server' sophos.xg.log_subtype=System sophos.xg.log_version=1 sophos.xg.status=Renew source.ip=10.0.2.131 source.mac=00:00:5e:00:53:11 source.domain=PC-7 sophos.xg.message='Lease IP 10.0.2.131 renewed for MAC 00:00:5e:00:53:11' sophos.xg.lease_time=345600 network.protocol=dhcp event.category=network event.action=dhcp_lease event.outcome=success
            | device_name="SFW" timestamp="2026-03-14T07:59:58+0100" device_model="XGS2100" device_serial_id="X1" log_id=063411660020 log_type="Event" log_component="DHCP Server" log_subtype="System" log_version=1 status="Renew" severity="Information" reported_ip="10.0.2.131" src_mac="00:00:5e:00:53:11" reported_host="PC-7" message="Lease IP 10.0.2.131 renewed for MAC 00:00:5e:00:53:11" lease_time="345600""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG125w" device_id=X1 log_id=066811618014 log_type="Event" log_component="RED" log_subtype="System" priority=Information red_id=A350 status="Connected" eventtime="2026-03-14 07:59:58 CET" duration=164000 branch_name=Amt Nord recv_bytes=0 sent_bytes=0 message="A350/Amt Nord is now re-connected after 164000 ms""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG125w observer.serial_number=X1 event.code=066811618014 sophos.xg.log_type=Event sophos.xg.log_component=RED sophos.xg.log_subtype=System sophos.xg.red_id=A350 sophos.xg.status=Connected sophos.xg.eventtime='2026-03-14 07:59:58 CET' sophos.xg.branch_name='Amt Nord' destination.bytes=0 source.bytes=0 sophos.xg.message='A350/Amt Nord is now re-connected after 164000 ms' sophos.xg.duration=164000 event.category=network event.action=vpn_established event.outcome=success
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG125w" device_id=X1 log_id=066811618014 log_type="Event" log_component="RED" log_subtype="System" priority=Information red_id=A350 status="Connected" eventtime="2026-03-14 07:59:58 CET" duration=164000 branch_name=Amt Nord recv_bytes=0 sent_bytes=0 message="A350/Amt Nord is now re-connected after 164000 ms""#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=075000617071 log_type="WAF" log_component="Web Application Firewall" priority=Information user_name="-" server=www.example.org:8989 sourceip=203.0.113.254 localip=198.51.100.48 ws_protocol="HTTP/1.1" url=/download/x.zip querystring=?a=1 cookie="; PHPSESSID=jet" referer=- method=GET httpstatus=403 reason="Antivirus" extra="EICAR-AV-Test" contenttype="text/html" useragent="Mozilla/5.0" host=203.0.113.254 responsetime=403214 bytessent=739 bytesrcv=715 fw_rule_id=6"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=075000617071 sophos.xg.log_type=WAF sophos.xg.log_component='Web Application Firewall' url.domain=www.example.org source.ip=203.0.113.254 destination.ip=198.51.100.48 sophos.xg.ws_protocol=HTTP/1.1 url.original=/download/x.zip url.path=/download/x.zip url.query=a=1 sophos.xg.cookie='; PHPSESSID=jet' http.request.method=GET http.response.status_code=403 event.reason=Antivirus sophos.xg.extra=EICAR-AV-Test sophos.xg.contenttype=text/html user_agent.original=Mozilla/5.0 sophos.xg.host=203.0.113.254 sophos.xg.responsetime=403214 destination.bytes=739 source.bytes=715 rule.id=6 event.type=access event.type=denied event.category=web event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=075000617071 log_type="WAF" log_component="Web Application Firewall" priority=Information user_name="-" server=www.example.org:8989 sourceip=203.0.113.254 localip=198.51.100.48 ws_protocol="HTTP/1.1" url=/download/x.zip querystring=?a=1 cookie="; PHPSESSID=jet" referer=- method=GET httpstatus=403 reason="Antivirus" extra="EICAR-AV-Test" contenttype="text/html" useragent="Mozilla/5.0" host=203.0.113.254 responsetime=403214 bytessent=739 bytesrcv=715 fw_rule_id=6"#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=127626618031 log_type="System Health" log_component="CPU" log_subtype="Usage" priority=Information system=0.22% user=1.37% idle=98.41%"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=127626618031 sophos.xg.log_type='System Health' sophos.xg.log_component=CPU sophos.xg.log_subtype=Usage sophos.xg.system=0.22% sophos.xg.idle=98.41% sophos.xg.user=1.37% event.category=host event.action=system_health
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=127626618031 log_type="System Health" log_component="CPU" log_subtype="Usage" priority=Information system=0.22% user=1.37% idle=98.41%"#]],
    );
    check(
        r#"<30>device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=136502218042 log_type="Sandbox" log_component="Web" log_subtype="Denied" priority=Critical user_name="anna" src_ip=10.198.47.112 filename="19.exe" filetype="application/octet-stream" filesize=153010 sha1sum="3ce7" source="198.51.100.50" reason="cloud malicious" destination="" subject=""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host bad_key_value
            log.syslog.facility.name=daemon log.level=informational event.module=sophos event.dataset=sophos.xg observer.vendor=Sophos observer.product=XG sophos.xg.device_name=XG230 observer.serial_number=X1 event.code=136502218042 sophos.xg.log_type=Sandbox sophos.xg.log_component=Web sophos.xg.log_subtype=Denied user.name=anna source.ip=10.198.47.112 file.path=19.exe sophos.xg.filetype=application/octet-stream sophos.xg.filesize=153010 sophos.xg.sha1sum=3ce7 sophos.xg.source=198.51.100.50 event.reason='cloud malicious' event.kind=alert event.type=denied event.category=malware event.action=blocked event.outcome=failure
            | device="SFW" date=2026-03-14 time=07:59:58 timezone="CET" device_name="XG230" device_id=X1 log_id=136502218042 log_type="Sandbox" log_component="Web" log_subtype="Denied" priority=Critical user_name="anna" src_ip=10.198.47.112 filename="19.exe" filetype="application/octet-stream" filesize=153010 sha1sum="3ce7" source="198.51.100.50" reason="cloud malicious" destination="" subject=""#]],
    );
}

#[test]
fn checkpoint_golden() {
    check(
        r#"<134>1 2026-03-14T06:59:58Z gw-1 CheckPoint 1930 - [action:"Accept"; flags:"444676"; ifdir:"outbound"; ifname:"eth0"; logid:"0"; loguid:"{0x5e80a05a,0x0,0x60e0fe3b,0xda019994}"; origin:"10.0.1.100"; originsicname:"cn=cp_mgmt,o=gw-1..tmn8s8"; sequencenum:"1"; time:"1773471598"; version:"5"; __policy_id_tag:"product=VPN-1 & FireWall-1[db_tag={DF903A6D};mgmt=gw-1;date=1585487925;policy_name=Standard\]"; dst:"198.51.100.1"; inzone:"Local"; rule_action:"Accept"; rule_name:"DNS \"out\""; rule_uid:"1fde807b"; product:"VPN-1 & FireWall-1"; proto:"17"; s_port:"46915"; service:"53"; service_id:"domain-udp"; src:"10.0.1.100"]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 process.name=CheckPoint process.pid=1930 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.action=Accept checkpoint.flags=444676 checkpoint.logid=0 checkpoint.loguid={0x5e80a05a,0x0,0x60e0fe3b,0xda019994} checkpoint.origin=10.0.1.100 checkpoint.originsicname=cn=cp_mgmt,o=gw-1..tmn8s8 checkpoint.sequencenum=1 checkpoint.version=5 checkpoint.__policy_id_tag='product=VPN-1 & FireWall-1[db_tag={DF903A6D};mgmt=gw-1;date=1585487925;policy_name=Standard]' destination.ip=198.51.100.1 checkpoint.inzone=Local checkpoint.rule_action=Accept rule.id=1fde807b network.transport=udp source.port=46915 network.protocol=domain-udp source.ip=10.0.1.100 observer.product='VPN-1 & FireWall-1' network.direction=outbound observer.egress.interface.name=eth0 destination.port=53 rule.name='DNS "out"' event.category=network event.action=allowed event.type=allowed event.outcome=success
            | [action:"Accept"; flags:"444676"; ifdir:"outbound"; ifname:"eth0"; logid:"0"; loguid:"{0x5e80a05a,0x0,0x60e0fe3b,0xda019994}"; origin:"10.0.1.100"; originsicname:"cn=cp_mgmt,o=gw-1..tmn8s8"; sequencenum:"1"; time:"1773471598"; version:"5"; __policy_id_tag:"product=VPN-1 & FireWall-1[db_tag={DF903A6D};mgmt=gw-1;date=1585487925;policy_name=Standard\]"; dst:"198.51.100.1"; inzone:"Local"; rule_action:"Accept"; rule_name:"DNS \"out\""; rule_uid:"1fde807b"; product:"VPN-1 & FireWall-1"; proto:"17"; s_port:"46915"; service:"53"; service_id:"domain-udp"; src:"10.0.1.100"]"#]],
    );
    check(
        r#"<134>1 2026-03-14T06:59:58Z gw-1 CheckPoint 8363 - [action:"Drop"; flags:"425984"; ifdir:"inbound"; ifname:"bond1.3999"; loguid:"{0x0}"; origin:"10.0.1.100"; dst:"198.51.100.118"; product:"VPN-1 & FireWall-1"; proto:"6"; s_port:"65488"; service:"80"; src:"203.0.113.100"; tcp_flags:"FIN-ACK"; tcp_packet_out_of_state:"First packet isn't SYN"]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 process.name=CheckPoint process.pid=8363 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.action=Drop checkpoint.flags=425984 checkpoint.loguid={0x0} checkpoint.origin=10.0.1.100 destination.ip=198.51.100.118 network.transport=tcp source.port=65488 source.ip=203.0.113.100 checkpoint.tcp_flags=FIN-ACK checkpoint.tcp_packet_out_of_state='First packet isn't SYN' observer.product='VPN-1 & FireWall-1' network.direction=inbound observer.ingress.interface.name=bond1.3999 destination.port=80 event.category=network event.action=blocked event.type=denied event.outcome=failure
            | [action:"Drop"; flags:"425984"; ifdir:"inbound"; ifname:"bond1.3999"; loguid:"{0x0}"; origin:"10.0.1.100"; dst:"198.51.100.118"; product:"VPN-1 & FireWall-1"; proto:"6"; s_port:"65488"; service:"80"; src:"203.0.113.100"; tcp_flags:"FIN-ACK"; tcp_packet_out_of_state:"First packet isn't SYN"]"#]],
    );
    check(
        r#"<134>1 2026-03-14T06:59:58Z gw-1 CheckPoint 1930 - [flags:"133440"; ifdir:"inbound"; ifname:"daemon"; loguid:"{0x1}"; origin:"10.0.1.100"; product:"System Monitor"; sys_message::"installed Standard"]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 process.name=CheckPoint process.pid=1930 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.flags=133440 checkpoint.loguid={0x1} checkpoint.origin=10.0.1.100 checkpoint.sys_message='installed Standard' observer.product='System Monitor' network.direction=inbound observer.ingress.interface.name=daemon event.category=host event.action=system
            | [flags:"133440"; ifdir:"inbound"; ifname:"daemon"; loguid:"{0x1}"; origin:"10.0.1.100"; product:"System Monitor"; sys_message::"installed Standard"]"#]],
    );
    check(
        r#"<134>1 2026-03-14T06:59:58Z gw-1 CheckPoint 26045 - [action:"Prevent"; origin:"10.1.0.2"; time:"1773471598000"; dst:"10.1.0.44"; loguid:"{0x2}"; product:"IPS"; protection_name:"Apache Log4j Remote Code Execution"; protection_type:"IPS"; proto:"6"; rule_name:"Web"; service:"443"; severity:"Critical"; src:"198.51.100.23"]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 process.name=CheckPoint process.pid=26045 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.action=Prevent checkpoint.origin=10.1.0.2 destination.ip=10.1.0.44 checkpoint.loguid={0x2} checkpoint.protection_type=IPS network.transport=tcp checkpoint.severity=Critical source.ip=198.51.100.23 observer.product=IPS destination.port=443 rule.name='Apache Log4j Remote Code Execution' checkpoint.rule_name=Web event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure
            | [action:"Prevent"; origin:"10.1.0.2"; time:"1773471598000"; dst:"10.1.0.44"; loguid:"{0x2}"; product:"IPS"; protection_name:"Apache Log4j Remote Code Execution"; protection_type:"IPS"; proto:"6"; rule_name:"Web"; service:"443"; severity:"Critical"; src:"198.51.100.23"]"#]],
    );
    check(
        r#"<134>1 2026-03-14T06:59:58Z cp-mgmt CheckPoint 18215 - [action:"Accept"; origin:"10.1.0.3"; administrator:"anna"; client_ip:"10.1.0.5"; machine:"ADMIN-PC"; operation:"Log In"; operation_number:"10"; product:"SmartConsole"; subject:"Administrator Login"; status:"Success"]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=cp-mgmt process.name=CheckPoint process.pid=18215 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.action=Accept checkpoint.origin=10.1.0.3 user.name=anna source.ip=10.1.0.5 source.domain=ADMIN-PC checkpoint.operation='Log In' checkpoint.operation_number=10 checkpoint.subject='Administrator Login' checkpoint.status=Success observer.product=SmartConsole event.category=authentication event.action=login event.outcome=success
            | [action:"Accept"; origin:"10.1.0.3"; administrator:"anna"; client_ip:"10.1.0.5"; machine:"ADMIN-PC"; operation:"Log In"; operation_number:"10"; product:"SmartConsole"; subject:"Administrator Login"; status:"Success"]"#]],
    );
    check(
        r#"<134>1 2026-03-14T06:59:58Z gw-1 CheckPoint 45470 - [action:"Decrypt"; ifdir:"inbound"; ifname:"bond2.204"; loguid:"{0x3}"; community:"RemoteAccess"; dst:"10.0.1.153"; rule_action:"Accept"; methods::"ESP: AES-128 + SHA1"; peer_gateway:"203.0.113.213"; product:"VPN-1 & FireWall-1"; proto:"17"; s_port:"49129"; service:"53"; src:"10.9.1.153"; user:"anna "; src_user_name:"anna "]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 process.name=CheckPoint process.pid=45470 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.action=Decrypt checkpoint.loguid={0x3} checkpoint.community=RemoteAccess destination.ip=10.0.1.153 checkpoint.rule_action=Accept checkpoint.methods='ESP: AES-128 + SHA1' checkpoint.peer_gateway=203.0.113.213 network.transport=udp source.port=49129 source.ip=10.9.1.153 user.name=anna source.user.name=anna observer.product='VPN-1 & FireWall-1' network.direction=inbound observer.ingress.interface.name=bond2.204 destination.port=53 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | [action:"Decrypt"; ifdir:"inbound"; ifname:"bond2.204"; loguid:"{0x3}"; community:"RemoteAccess"; dst:"10.0.1.153"; rule_action:"Accept"; methods::"ESP: AES-128 + SHA1"; peer_gateway:"203.0.113.213"; product:"VPN-1 & FireWall-1"; proto:"17"; s_port:"49129"; service:"53"; src:"10.9.1.153"; user:"anna "; src_user_name:"anna "]"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw-1 time=1773471598|hostname=r80|product=Firewall|layer_name=Network|rule_action=Accept|rule_uid=4420bdc0|action=Accept|ifdir=inbound|ifname=eth0|logid=0|loguid={0x5cd9a64e,0x0,0x5060a8c0,0xc0000001}|origin=10.0.96.80|originsicname=cn\=cp_mgmt,o\=r80|sequencenum=1|version=5|dst=10.0.96.80|inzone=Internal|outzone=Local|proto=6|s_port=63945|service=443|service_id=https|src=10.0.96.27|"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.layer_name=Network checkpoint.rule_action=Accept rule.id=4420bdc0 checkpoint.action=Accept checkpoint.logid=0 checkpoint.loguid={0x5cd9a64e,0x0,0x5060a8c0,0xc0000001} checkpoint.origin=10.0.96.80 checkpoint.originsicname=cn=cp_mgmt,o=r80 checkpoint.sequencenum=1 checkpoint.version=5 destination.ip=10.0.96.80 checkpoint.inzone=Internal checkpoint.outzone=Local network.transport=tcp source.port=63945 network.protocol=https source.ip=10.0.96.27 observer.product=Firewall network.direction=inbound observer.ingress.interface.name=eth0 destination.port=443 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | time=1773471598|hostname=r80|product=Firewall|layer_name=Network|rule_action=Accept|rule_uid=4420bdc0|action=Accept|ifdir=inbound|ifname=eth0|logid=0|loguid={0x5cd9a64e,0x0,0x5060a8c0,0xc0000001}|origin=10.0.96.80|originsicname=cn\=cp_mgmt,o\=r80|sequencenum=1|version=5|dst=10.0.96.80|inzone=Internal|outzone=Local|proto=6|s_port=63945|service=443|service_id=https|src=10.0.96.27|"#]],
    );
    check(
        r#"<134>1 2026-03-14T06:59:58Z gw-1 CheckPoint 8363 - [action:"Drop"; src:"203.0.113.100"; user:"a\"; src:\"6.6.6.6"; dst:"10.0.0.1"; broken"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z bad_key_value
            log.syslog.facility.name=local0 log.level=informational host.name=gw-1 process.name=CheckPoint process.pid=8363 event.module=checkpoint event.dataset=checkpoint.firewall observer.vendor='Check Point' checkpoint.action=Drop source.ip=203.0.113.100 user.name='a"; src:"6.6.6.6' destination.ip=10.0.0.1 event.category=network event.action=blocked event.type=denied event.outcome=failure
            | [action:"Drop"; src:"203.0.113.100"; user:"a\"; src:\"6.6.6.6"; dst:"10.0.0.1"; broken"#]],
    );
}

#[test]
fn sonicwall_golden() {
    check(
        r#"<134>  id=firewall sn=0040103CE114 time="2026-03-14 06:59:58 UTC" fw=10.0.0.96 pri=6 c=1024 m=537 msg="Connection Closed" app=12 sess="Web" n=795 usr="anna" src=203.0.113.193:65055:X1 dst=10.0.0.96:443:X1 srcMac=00:00:5e:00:53:30 proto=tcp/https sent=1930 rcvd=1545 spkt=11 rpkt=7 dpi=0 cdur=2133 rule="Default Access Rule" fw_action="NA""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=informational event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=0040103CE114 sonicwall.firewall.fw=10.0.0.96 sonicwall.firewall.c=1024 sonicwall.firewall.msg='Connection Closed' sonicwall.firewall.app=12 sonicwall.firewall.sess=Web sonicwall.firewall.n=795 user.name=anna source.mac=00:00:5e:00:53:30 network.transport=tcp network.protocol=https source.bytes=1930 destination.bytes=1545 source.packets=11 destination.packets=7 sonicwall.firewall.dpi=0 event.duration=2133000000 sonicwall.firewall.fw_action=NA source.ip=203.0.113.193 source.port=65055 observer.ingress.interface.name=X1 destination.ip=10.0.0.96 destination.port=443 observer.egress.interface.name=X1 event.code=537 rule.name='Default Access Rule' event.type=end event.category=network event.action=connection_end event.outcome=success
            |   id=firewall sn=0040103CE114 time="2026-03-14 06:59:58 UTC" fw=10.0.0.96 pri=6 c=1024 m=537 msg="Connection Closed" app=12 sess="Web" n=795 usr="anna" src=203.0.113.193:65055:X1 dst=10.0.0.96:443:X1 srcMac=00:00:5e:00:53:30 proto=tcp/https sent=1930 rcvd=1545 spkt=11 rpkt=7 dpi=0 cdur=2133 rule="Default Access Rule" fw_action="NA""#]],
    );
    check(
        r#"<129>id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.1 pri=1 c=32 m=30 msg="Administrator login denied due to bad credentials" n=7 src=203.0.113.57:36701:WAN dst=10.0.0.1:50000:WAN"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=alert event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=0 sonicwall.firewall.fw=10.0.0.1 sonicwall.firewall.c=32 sonicwall.firewall.msg='Administrator login denied due to bad credentials' sonicwall.firewall.n=7 source.ip=203.0.113.57 source.port=36701 observer.ingress.interface.name=WAN destination.ip=10.0.0.1 destination.port=50000 observer.egress.interface.name=WAN event.code=30 event.category=authentication event.action=login event.outcome=failure
            | id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.1 pri=1 c=32 m=30 msg="Administrator login denied due to bad credentials" n=7 src=203.0.113.57:36701:WAN dst=10.0.0.1:50000:WAN"#]],
    );
    check(
        r#"<135>id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.96 pri=7 c=512 gcat=6 m=713 srcMac=00:00:5e:00:53:d4 src=10.0.0.96:443:X1 srcZone=Untrusted dst=203.0.113.193:64889:X1 dstZone=Untrusted usr="Unknown (SSO failed)" proto=tcp/https sent=46 rule="15 (WAN->WAN)" app=12 appName='General HTTPS' msg="" note="TCP Flag(s): RST" n=692 fw_action="drop""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=debug event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=0 sonicwall.firewall.fw=10.0.0.96 sonicwall.firewall.c=512 sonicwall.firewall.gcat=6 source.mac=00:00:5e:00:53:d4 sonicwall.firewall.srcZone=Untrusted sonicwall.firewall.dstZone=Untrusted network.transport=tcp network.protocol=https source.bytes=46 sonicwall.firewall.app=12 network.application='General HTTPS' sonicwall.firewall.note='TCP Flag(s): RST' sonicwall.firewall.n=692 sonicwall.firewall.fw_action=drop source.ip=10.0.0.96 source.port=443 observer.ingress.interface.name=X1 destination.ip=203.0.113.193 destination.port=64889 observer.egress.interface.name=X1 event.code=713 rule.name='15 (WAN->WAN)' event.category=network event.action=blocked event.type=denied event.outcome=failure
            | id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.96 pri=7 c=512 gcat=6 m=713 srcMac=00:00:5e:00:53:d4 src=10.0.0.96:443:X1 srcZone=Untrusted dst=203.0.113.193:64889:X1 dstZone=Untrusted usr="Unknown (SSO failed)" proto=tcp/https sent=46 rule="15 (WAN->WAN)" app=12 appName='General HTTPS' msg="" note="TCP Flag(s): RST" n=692 fw_action="drop""#]],
    );
    check(
        r#"<134>id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.2 pri=6 c=1024 gcat=2 m=97 msg="Web site hit" src=10.0.0.3:64828:X0:pc-7 natSrc=10.0.0.2:47621 dst=198.51.100.61:443:X1 proto=tcp/https sent=3523 rcvd=14226 dstname=www.example.net arg=/ code=29 Category="Search Engines and Portals" note="Policy: cfsZonePolicy0, Info: 6148 " n=1 fw_action="NA""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=informational event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=0 sonicwall.firewall.fw=10.0.0.2 sonicwall.firewall.c=1024 sonicwall.firewall.gcat=2 sonicwall.firewall.msg='Web site hit' sonicwall.firewall.natSrc=10.0.0.2:47621 network.transport=tcp network.protocol=https source.bytes=3523 destination.bytes=14226 url.domain=www.example.net sonicwall.firewall.arg=/ sonicwall.firewall.code=29 sonicwall.firewall.Category='Search Engines and Portals' sonicwall.firewall.note='Policy: cfsZonePolicy0, Info: 6148 ' sonicwall.firewall.n=1 sonicwall.firewall.fw_action=NA source.ip=10.0.0.3 source.port=64828 observer.ingress.interface.name=X0 source.domain=pc-7 destination.ip=198.51.100.61 destination.port=443 observer.egress.interface.name=X1 event.code=97 event.type=access event.category=web event.action=http_request event.outcome=success
            | id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.2 pri=6 c=1024 gcat=2 m=97 msg="Web site hit" src=10.0.0.3:64828:X0:pc-7 natSrc=10.0.0.2:47621 dst=198.51.100.61:443:X1 proto=tcp/https sent=3523 rcvd=14226 dstname=www.example.net arg=/ code=29 Category="Search Engines and Portals" note="Policy: cfsZonePolicy0, Info: 6148 " n=1 fw_action="NA""#]],
    );
    check(
        r#"<131>id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.1.1.1 pri=3 c=4 m=14 msg="Web site access denied" n=8 src=10.0.0.46:59668:X0:nb020.example.org dst=198.51.100.1:443:X1:example.com proto=tcp/https dstname=example.com arg=/ code=49 Category="Freeware/Software Downloads""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=error event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=0 sonicwall.firewall.fw=10.1.1.1 sonicwall.firewall.c=4 sonicwall.firewall.msg='Web site access denied' sonicwall.firewall.n=8 network.transport=tcp network.protocol=https url.domain=example.com sonicwall.firewall.arg=/ sonicwall.firewall.code=49 sonicwall.firewall.Category='Freeware/Software Downloads' source.ip=10.0.0.46 source.port=59668 observer.ingress.interface.name=X0 source.domain=nb020.example.org destination.ip=198.51.100.1 destination.port=443 observer.egress.interface.name=X1 destination.domain=example.com event.code=14 event.type=access event.type=denied event.category=web event.action=blocked event.outcome=failure
            | id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.1.1.1 pri=3 c=4 m=14 msg="Web site access denied" n=8 src=10.0.0.46:59668:X0:nb020.example.org dst=198.51.100.1:443:X1:example.com proto=tcp/https dstname=example.com arg=/ code=49 Category="Freeware/Software Downloads""#]],
    );
    check(
        r#"<129> id=firewall sn=Z time="2026-03-14 07:59:58" fw=10.0.33.1 pri=1 c=32 m=609 msg="IPS Prevention Alert: WEB-ATTACKS Apache Log4j2 JNDI" sid=2307 ipscat="WEB-ATTACKS Apache Log4j2 JNDI" ipspri=2 n=8158 src=203.0.113.61:54192:X20-V60 dst=:8080:X20-V68 dstV6=2001:db8::1 fw_action="drop""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=alert event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=Z sonicwall.firewall.fw=10.0.33.1 sonicwall.firewall.c=32 sonicwall.firewall.msg='IPS Prevention Alert: WEB-ATTACKS Apache Log4j2 JNDI' sonicwall.firewall.ipscat='WEB-ATTACKS Apache Log4j2 JNDI' sonicwall.firewall.ipspri=2 sonicwall.firewall.n=8158 destination.ip=2001:db8::1 sonicwall.firewall.fw_action=drop source.ip=203.0.113.61 source.port=54192 observer.ingress.interface.name=X20-V60 destination.port=8080 observer.egress.interface.name=X20-V68 event.code=609 rule.id=2307 rule.name='WEB-ATTACKS Apache Log4j2 JNDI' event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure
            |  id=firewall sn=Z time="2026-03-14 07:59:58" fw=10.0.33.1 pri=1 c=32 m=609 msg="IPS Prevention Alert: WEB-ATTACKS Apache Log4j2 JNDI" sid=2307 ipscat="WEB-ATTACKS Apache Log4j2 JNDI" ipspri=2 n=8158 src=203.0.113.61:54192:X20-V60 dst=:8080:X20-V68 dstV6=2001:db8::1 fw_action="drop""#]],
    );
    check(
        r#"<134>id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.96 pri=6 c=16 gcat=2 m=1382 src=10.2.69.193:64889 dst=10.0.0.96:443:X1 usr="admin" sess="API" msg="Configuration succeeded:  'Logging Level' , changed from [WARNING], changed to [DEBUG]" n=35 fw_action="NA" auditId=34"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_host
            log.syslog.facility.name=local0 log.level=informational event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall observer.serial_number=0 sonicwall.firewall.fw=10.0.0.96 sonicwall.firewall.c=16 sonicwall.firewall.gcat=2 user.name=admin sonicwall.firewall.sess=API sonicwall.firewall.msg='Configuration succeeded:  'Logging Level' , changed from [WARNING], changed to [DEBUG]' sonicwall.firewall.n=35 sonicwall.firewall.fw_action=NA sonicwall.firewall.auditId=34 source.ip=10.2.69.193 source.port=64889 destination.ip=10.0.0.96 destination.port=443 observer.egress.interface.name=X1 event.code=1382 event.category=configuration event.action=configuration_changed event.outcome=success
            | id=firewall sn=0 time="2026-03-14 07:59:58" fw=10.0.0.96 pri=6 c=16 gcat=2 m=1382 src=10.2.69.193:64889 dst=10.0.0.96:443:X1 usr="admin" sess="API" msg="Configuration succeeded:  'Logging Level' , changed from [WARNING], changed to [DEBUG]" n=35 fw_action="NA" auditId=34"#]],
    );
    check(
        r#"10.0.0.1 id=XYZ sn=X time="2026-03-14 06:59:58 UTC" fw=10.1.1.1 pri=5 c=0 m=1197 msg="NAT Mapping" n=4 src=10.12.14.9::X500 dst=198.51.100.144::X3 proto=icmp note="Source: 203.0.113.242, 63130, Destination: 198.51.100.36, 8, Protocol: 1" rule="17 (LAN->WAN)""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_header
            event.module=sonicwall event.dataset=sonicwall.firewall observer.vendor=SonicWall host.name=10.0.0.1 observer.name=XYZ observer.serial_number=X sonicwall.firewall.fw=10.1.1.1 log.level=notice sonicwall.firewall.c=0 sonicwall.firewall.msg='NAT Mapping' sonicwall.firewall.n=4 network.transport=icmp sonicwall.firewall.note='Source: 203.0.113.242, 63130, Destination: 198.51.100.36, 8, Protocol: 1' source.ip=10.12.14.9 observer.ingress.interface.name=X500 destination.ip=198.51.100.144 observer.egress.interface.name=X3 event.code=1197 rule.name='17 (LAN->WAN)' event.category=network event.action=logged event.type=connection"#]],
    );
}

#[test]
fn watchguard_golden() {
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) firewall[10]: msg_id="3000-0148" Allow 1-Trusted 0-External 52 tcp 20 127 10.0.1.2 198.51.100.192 62443 80 offset 8 S 832026162 win 8192 (HTTP-00)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=firewall process.pid=10 event.code=3000-0148 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox observer.ingress.interface.name=1-Trusted observer.egress.interface.name=0-External network.transport=tcp source.ip=10.0.1.2 destination.ip=198.51.100.192 source.port=62443 destination.port=80 network.bytes=52 rule.name=HTTP-00 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | FVE6035FD3AE3 (2026-03-14T06:59:58) firewall[10]: msg_id="3000-0148" Allow 1-Trusted 0-External 52 tcp 20 127 10.0.1.2 198.51.100.192 62443 80 offset 8 S 832026162 win 8192 (HTTP-00)"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) firewall: msg_id="3000-0173" Deny 0-External Firebox 52 tcp 20 127 203.0.113.192 10.0.0.1 62443 80 offset 8 S 832026162 win 8192 blocked sites (Internal Policy)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=firewall event.code=3000-0173 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox observer.ingress.interface.name=0-External observer.egress.interface.name=Firebox network.transport=tcp source.ip=203.0.113.192 destination.ip=10.0.0.1 source.port=62443 destination.port=80 network.bytes=52 rule.name='Internal Policy' event.category=network event.action=blocked event.type=denied event.outcome=failure
            | FVE6035FD3AE3 (2026-03-14T06:59:58) firewall: msg_id="3000-0173" Deny 0-External Firebox 52 tcp 20 127 203.0.113.192 10.0.0.1 62443 80 offset 8 S 832026162 win 8192 blocked sites (Internal Policy)"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) firewall: msg_id="3000-0150" Deny 1-Trusted 0-External 1440 tcp 20 61 10.0.1.2 198.51.100.126 55810 80 offset 5 A 447868619 win 54 signature_name="EXPLOIT FLIC buffer overflow" signature_cat="Misc" signature_id="1112464" severity="4" msg="IPS detected" (HTTP-00)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=firewall event.code=3000-0150 watchguard_firebox.log.signature_name='EXPLOIT FLIC buffer overflow' watchguard_firebox.log.signature_cat=Misc watchguard_firebox.log.signature_id=1112464 watchguard_firebox.log.severity=4 watchguard_firebox.log.msg='IPS detected' event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox observer.ingress.interface.name=1-Trusted observer.egress.interface.name=0-External network.transport=tcp source.ip=10.0.1.2 destination.ip=198.51.100.126 source.port=55810 destination.port=80 network.bytes=1440 watchguard_firebox.log.policy=HTTP-00 rule.name='EXPLOIT FLIC buffer overflow' rule.id=1112464 event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure
            | FVE6035FD3AE3 (2026-03-14T06:59:58) firewall: msg_id="3000-0150" Deny 1-Trusted 0-External 1440 tcp 20 61 10.0.1.2 198.51.100.126 55810 80 offset 5 A 447868619 win 54 signature_name="EXPLOIT FLIC buffer overflow" signature_cat="Misc" signature_id="1112464" severity="4" msg="IPS detected" (HTTP-00)"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) http-proxy[2010]: msg_id="1AFF-0028" Deny 2-Internal 4-External tcp 10.0.1.8 198.51.100.92 57525 80 msg="ProxyDrop: HTTP Virus found" proxy_act="HTTP-Client.1" virus="EICAR_Test" host="bad.example.net" path="/viruses/eicar.com" src_user="anna@Firebox-DB" (HTTP-proxy-00)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=http-proxy process.pid=2010 event.code=1AFF-0028 watchguard_firebox.log.msg='ProxyDrop: HTTP Virus found' watchguard_firebox.log.proxy_act=HTTP-Client.1 url.domain=bad.example.net url.original=/viruses/eicar.com url.path=/viruses/eicar.com user.name=anna@Firebox-DB event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox observer.ingress.interface.name=2-Internal observer.egress.interface.name=4-External network.transport=tcp source.ip=10.0.1.8 destination.ip=198.51.100.92 source.port=57525 destination.port=80 watchguard_firebox.log.policy=HTTP-proxy-00 threat.indicator.name=EICAR_Test event.kind=alert event.type=denied event.category=malware event.action=blocked event.outcome=failure
            | FVE6035FD3AE3 (2026-03-14T06:59:58) http-proxy[2010]: msg_id="1AFF-0028" Deny 2-Internal 4-External tcp 10.0.1.8 198.51.100.92 57525 80 msg="ProxyDrop: HTTP Virus found" proxy_act="HTTP-Client.1" virus="EICAR_Test" host="bad.example.net" path="/viruses/eicar.com" src_user="anna@Firebox-DB" (HTTP-proxy-00)"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) http-proxy: msg_id="1AFF-0024" Allow 1-Trusted 6-Ext tcp 10.0.1.2 198.51.100.92 64425 80 msg="HTTP request" proxy_act="HTTP-Client.1" op="GET" dstname="www.example.net" arg="/a?b=1" sent_bytes="339" rcvd_bytes="2" elapsed_time="5.037750 sec(s)" (HTTP-proxy-00)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=http-proxy event.code=1AFF-0024 watchguard_firebox.log.msg='HTTP request' watchguard_firebox.log.proxy_act=HTTP-Client.1 http.request.method=GET url.domain=www.example.net url.original=/a?b=1 url.path=/a url.query=b=1 source.bytes=339 destination.bytes=2 watchguard_firebox.log.elapsed_time='5.037750 sec(s)' event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox observer.ingress.interface.name=1-Trusted observer.egress.interface.name=6-Ext network.transport=tcp source.ip=10.0.1.2 destination.ip=198.51.100.92 source.port=64425 destination.port=80 rule.name=HTTP-proxy-00 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | FVE6035FD3AE3 (2026-03-14T06:59:58) http-proxy: msg_id="1AFF-0024" Allow 1-Trusted 6-Ext tcp 10.0.1.2 198.51.100.92 64425 80 msg="HTTP request" proxy_act="HTTP-Client.1" op="GET" dstname="www.example.net" arg="/a?b=1" sent_bytes="339" rcvd_bytes="2" elapsed_time="5.037750 sec(s)" (HTTP-proxy-00)"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW Deny 10.0.1.131 10.0.1.1 echo-request/icmp Trusted Firebox Denied 84 64 (Ping-00) proc_id="firewall" rc="101" msg_id="3000-0148" type="8" duration="0" sent_pkts="1" rcvd_pkts="0" sent_bytes="84" rcvd_bytes="0""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW watchguard_firebox.log.rc=101 event.code=3000-0148 watchguard_firebox.log.type=8 event.duration=0 source.packets=1 destination.packets=0 source.bytes=84 destination.bytes=0 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox process.name=firewall network.protocol=echo-request observer.ingress.interface.name=Trusted observer.egress.interface.name=Firebox network.transport=icmp source.ip=10.0.1.131 destination.ip=10.0.1.1 network.bytes=84 rule.name=Ping-00 event.category=network event.action=blocked event.type=denied event.outcome=failure
            | Deny 10.0.1.131 10.0.1.1 echo-request/icmp Trusted Firebox Denied 84 64 (Ping-00) proc_id="firewall" rc="101" msg_id="3000-0148" type="8" duration="0" sent_pkts="1" rcvd_pkts="0" sent_bytes="84" rcvd_bytes="0""#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW Allow 10.0.1.2 198.51.100.11 http/tcp 42017 80 Trusted External Allowed (HTTP-proxy.1-00) proc_id="firewall" rc="406" msg_id="3000-0176" src_ip_nat="203.0.113.10" duration="14" sent_pkts="10" rcvd_pkts="5" sent_bytes="564" rcvd_bytes="785""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW watchguard_firebox.log.rc=406 event.code=3000-0176 watchguard_firebox.log.src_ip_nat=203.0.113.10 event.duration=14000000000 source.packets=10 destination.packets=5 source.bytes=564 destination.bytes=785 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox process.name=firewall network.protocol=http observer.ingress.interface.name=Trusted observer.egress.interface.name=External network.transport=tcp source.ip=10.0.1.2 destination.ip=198.51.100.11 source.port=42017 destination.port=80 rule.name=HTTP-proxy.1-00 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | Allow 10.0.1.2 198.51.100.11 http/tcp 42017 80 Trusted External Allowed (HTTP-proxy.1-00) proc_id="firewall" rc="406" msg_id="3000-0176" src_ip_nat="203.0.113.10" duration="14" sent_pkts="10" rcvd_pkts="5" sent_bytes="564" rcvd_bytes="785""#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) admd[1987]: msg_id="1100-0005" Authentication of Firewall user [anna@RADIUS] from 10.0.1.2 was rejected, received an Access-Reject response from the RADIUS server"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=admd process.pid=1987 event.code=1100-0005 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox event.category=authentication event.action=login event.outcome=failure user.name=anna@RADIUS event.reason='received an Access-Reject response from the RADIUS server' source.ip=10.0.1.2
            | FVE6035FD3AE3 (2026-03-14T06:59:58) admd[1987]: msg_id="1100-0005" Authentication of Firewall user [anna@RADIUS] from 10.0.1.2 was rejected, received an Access-Reject response from the RADIUS server"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) wgagent[1987]: msg_id="3E00-0002" Management user admin from 10.0.1.2 logged in"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=wgagent process.pid=1987 event.code=3E00-0002 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox event.category=authentication event.action=login event.outcome=success user.name=admin source.ip=10.0.1.2
            | FVE6035FD3AE3 (2026-03-14T06:59:58) wgagent[1987]: msg_id="3E00-0002" Management user admin from 10.0.1.2 logged in"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 Rathaus-FW FVE6035FD3AE3 (2026-03-14T06:59:58) firewall[10]: msg_id="3001-1001" Temporarily blocking host 203.0.113.9 (reason = autoblock by policy)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=Rathaus-FW observer.serial_number=FVE6035FD3AE3 process.name=firewall process.pid=10 event.code=3001-1001 event.module=watchguard event.dataset=watchguard_firebox.log observer.vendor=WatchGuard observer.product=Firebox event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure source.ip=203.0.113.9 event.reason='autoblock by policy'
            | FVE6035FD3AE3 (2026-03-14T06:59:58) firewall[10]: msg_id="3001-1001" Temporarily blocking host 203.0.113.9 (reason = autoblock by policy)"#]],
    );
}

#[test]
fn zyxel_golden() {
    check(
        r#"<142>Mar 14 07:59:58 2026 usgflex src="203.0.113.33:11031" dst="198.51.100.145:23" msg="Match default rule DROP" note="ACCESS BLOCK" user="" devID="00005e005317" cat="Security Policy Control" action="Drop""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=usgflex event.module=zyxel event.dataset=zyxel observer.vendor=Zyxel source.ip=203.0.113.33 source.port=11031 destination.ip=198.51.100.145 destination.port=23 zyxel.msg='Match default rule DROP' zyxel.note='ACCESS BLOCK' zyxel.devID=00005e005317 zyxel.cat='Security Policy Control' zyxel.action=Drop event.category=network event.action=blocked event.type=denied event.outcome=failure
            | src="203.0.113.33:11031" dst="198.51.100.145:23" msg="Match default rule DROP" note="ACCESS BLOCK" user="" devID="00005e005317" cat="Security Policy Control" action="Drop""#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 2026 usgflex src="10.0.0.61:53090" dst="198.51.100.10:443" msg="Traffic Log" note="" user="anna" devID="00005e005317" cat="Traffic Log" action="" sourceTranslatedAddress=203.0.113.101 sourceTranslatedPort=53090 suser=anna sent=930790 rcvd=35808 dir=P5-Phones:P2-WAN protoID=6 proto=https mac=00:00:5e:00:53:2a"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local1 log.level=informational host.name=usgflex event.module=zyxel event.dataset=zyxel observer.vendor=Zyxel source.ip=10.0.0.61 source.port=53090 destination.ip=198.51.100.10 destination.port=443 zyxel.msg='Traffic Log' user.name=anna zyxel.devID=00005e005317 zyxel.cat='Traffic Log' zyxel.sourceTranslatedAddress=203.0.113.101 zyxel.sourceTranslatedPort=53090 zyxel.suser=anna source.bytes=930790 destination.bytes=35808 zyxel.dir=P5-Phones:P2-WAN network.transport=tcp network.protocol=https source.mac=00:00:5e:00:53:2a event.type=end event.category=network event.action=connection_end event.outcome=success
            | src="10.0.0.61:53090" dst="198.51.100.10:443" msg="Traffic Log" note="" user="anna" devID="00005e005317" cat="Traffic Log" action="" sourceTranslatedAddress=203.0.113.101 sourceTranslatedPort=53090 suser=anna sent=930790 rcvd=35808 dir=P5-Phones:P2-WAN protoID=6 proto=https mac=00:00:5e:00:53:2a"#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 zywall src="203.0.113.9:0" dst="198.51.100.1:0" msg="Failed login attempt to Device from ssh (incorrect password or inexistent username)" note="Account: anna" user="unknown" devID="00005e005317" cat="User""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local1 log.level=informational host.name=zywall event.module=zyxel event.dataset=zyxel observer.vendor=Zyxel source.ip=203.0.113.9 destination.ip=198.51.100.1 zyxel.msg='Failed login attempt to Device from ssh (incorrect password or inexistent username)' zyxel.note='Account: anna' zyxel.devID=00005e005317 zyxel.cat=User user.name=anna event.category=authentication event.action=login event.outcome=failure
            | src="203.0.113.9:0" dst="198.51.100.1:0" msg="Failed login attempt to Device from ssh (incorrect password or inexistent username)" note="Account: anna" user="unknown" devID="00005e005317" cat="User""#]],
    );
    check(
        r#"<142>Mar 14 07:59:58 zywall src="10.0.0.9:0" dst="10.0.0.1:0" msg="Administrator admin(MAC=00:00:5E:00:53:01) from http/https has logged in Device" note="Account: admin" user="admin" devID="00005e005317" cat="User""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local1 log.level=informational host.name=zywall event.module=zyxel event.dataset=zyxel observer.vendor=Zyxel source.ip=10.0.0.9 destination.ip=10.0.0.1 zyxel.msg='Administrator admin(MAC=00:00:5E:00:53:01) from http/https has logged in Device' zyxel.note='Account: admin' user.name=admin zyxel.devID=00005e005317 zyxel.cat=User event.category=authentication event.action=login event.outcome=success
            | src="10.0.0.9:0" dst="10.0.0.1:0" msg="Administrator admin(MAC=00:00:5E:00:53:01) from http/https has logged in Device" note="Account: admin" user="admin" devID="00005e005317" cat="User""#]],
    );
}

#[test]
fn pf_golden() {
    check(
        r#"<134>Mar 14 07:59:58 fw pf: rule 2/0(match): block in on em0: 192.0.2.1.4711 > 198.51.100.1.22: Flags [S], seq 1257158708, win 29200, options [mss 1460], length 0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=pf event.module=pf rule.id=2 pf.subrule=0 pf.action=block event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=em0 source.ip=192.0.2.1 source.port=4711 destination.ip=198.51.100.1 destination.port=22 network.transport=tcp pf.tcp_flags=S
            | rule 2/0(match): block in on em0: 192.0.2.1.4711 > 198.51.100.1.22: Flags [S], seq 1257158708, win 29200, options [mss 1460], length 0"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 fw pf: 000145 rule 141/0(match): block in on bge0: (tos 0x0, ttl 128, id 58078, offset 0, flags [none], proto UDP (17), length 1052) 192.0.2.254.1137 > 198.51.100.111.24460: UDP, length 1024"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=pf event.module=pf rule.id=141 pf.subrule=0 pf.action=block event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=bge0 source.ip=192.0.2.254 source.port=1137 destination.ip=198.51.100.111 destination.port=24460 network.transport=udp network.bytes=1052
            | 000145 rule 141/0(match): block in on bge0: (tos 0x0, ttl 128, id 58078, offset 0, flags [none], proto UDP (17), length 1052) 192.0.2.254.1137 > 198.51.100.111.24460: UDP, length 1024"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 fw pflogd[1042]: rule 81/(match) [uid 0, pid 812] pass out on em1: 2001:db8::1.53 > 2001:db8::2.4711: 4711 1/0/0 A 192.0.2.9 (50)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=pflogd process.pid=1042 event.module=pf rule.id=81 pf.action=pass event.category=network event.action=allowed event.type=allowed event.outcome=success network.direction=outbound observer.egress.interface.name=em1 source.ip=2001:db8::1 source.port=53 destination.ip=2001:db8::2 destination.port=4711
            | rule 81/(match) [uid 0, pid 812] pass out on em1: 2001:db8::1.53 > 2001:db8::2.4711: 4711 1/0/0 A 192.0.2.9 (50)"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 fw pf: 00:00:00.000185 rule 0/0(match): block in on em0: fe80::c4f:2e96:d24e:5364 > ff02::16: HBH ICMP6, multicast listener report v2, length 28"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=pf event.module=pf rule.id=0 pf.subrule=0 pf.action=block event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=em0 source.ip=fe80::c4f:2e96:d24e:5364 destination.ip=ff02::16 network.transport=ipv6-icmp
            | 00:00:00.000185 rule 0/0(match): block in on em0: fe80::c4f:2e96:d24e:5364 > ff02::16: HBH ICMP6, multicast listener report v2, length 28"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 fw pf: rule 55..16777216/0(match): block in on rl0: 192.0.2.11.80 > 198.51.100.12.123: NTPv2, Reserved, length 8"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=pf event.module=pf rule.id=55..16777216 pf.subrule=0 pf.action=block event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=rl0 source.ip=192.0.2.11 source.port=80 destination.ip=198.51.100.12 destination.port=123 network.transport=udp
            | rule 55..16777216/0(match): block in on rl0: 192.0.2.11.80 > 198.51.100.12.123: NTPv2, Reserved, length 8"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 fw app: the rule 7 (match): nothing to see"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=app
        | the rule 7 (match): nothing to see"#]],
    );
}

#[test]
fn lancom_golden() {
    check(
        r#"<189>Mar 14 07:59:58 router-1 PACKET_ALERT: Dst: 10.0.200.10:80 {}, Src: 203.0.113.37:4353 {} (TCP): port filter"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local7 log.level=notice host.name=router-1 process.name=PACKET_ALERT event.module=lancom event.dataset=lancom.firewall observer.vendor=LANCOM event.category=network event.action=logged event.type=connection source.ip=203.0.113.37 source.port=4353 destination.ip=10.0.200.10 destination.port=80 network.transport=tcp event.reason='port filter'
            | Dst: 10.0.200.10:80 {}, Src: 203.0.113.37:4353 {} (TCP): port filter"#]],
    );
    check(
        r#"<189>Mar 14 07:59:58 router-1 PACKET_ALERT: Dst: 10.0.200.10:80 {ntserver}, Src: 10.0.0.37:4353 {cs2} (TCP): intruder detection"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local7 log.level=notice host.name=router-1 process.name=PACKET_ALERT event.module=lancom event.dataset=lancom.firewall observer.vendor=LANCOM event.category=network event.action=logged event.type=connection source.ip=10.0.0.37 source.port=4353 source.domain=cs2 destination.ip=10.0.200.10 destination.port=80 destination.domain=ntserver network.transport=tcp event.reason='intruder detection'
            | Dst: 10.0.200.10:80 {ntserver}, Src: 10.0.0.37:4353 {cs2} (TCP): intruder detection"#]],
    );
    check(
        r#"<189>Mar 14 07:59:58 router-1 PACKET_ALERT: Dst: 10.0.200.10 {}, Src: 203.0.113.37 {} (ICMP): connection refused"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local7 log.level=notice host.name=router-1 process.name=PACKET_ALERT event.module=lancom event.dataset=lancom.firewall observer.vendor=LANCOM event.category=network event.action=logged event.type=connection source.ip=203.0.113.37 destination.ip=10.0.200.10 network.transport=icmp event.reason='connection refused'
            | Dst: 10.0.200.10 {}, Src: 203.0.113.37 {} (ICMP): connection refused"#]],
    );
    check(
        r#"<189>Mar 14 07:59:58 router-1 PACKET_INFO: matched filter: BLOCKHTTP exceeded limit: more than 0 packets transmitted or received on a connection actions: drop; block source address for 1 minutes; send syslog message;"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local7 log.level=notice host.name=router-1 process.name=PACKET_INFO event.module=lancom event.dataset=lancom.firewall observer.vendor=LANCOM rule.name=BLOCKHTTP lancom.limit='more than 0 packets transmitted or received on a connection' lancom.actions='drop; block source address for 1 minutes; send syslog message;' event.category=network event.action=blocked event.type=denied event.outcome=failure
            | matched filter: BLOCKHTTP exceeded limit: more than 0 packets transmitted or received on a connection actions: drop; block source address for 1 minutes; send syslog message;"#]],
    );
    check(
        r#"<189>Mar 14 07:59:58 router-1 PACKET_INFO: matched filter: LOG ALL actions: accept; send syslog message;"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local7 log.level=notice host.name=router-1 process.name=PACKET_INFO event.module=lancom event.dataset=lancom.firewall observer.vendor=LANCOM rule.name='LOG ALL' lancom.actions='accept; send syslog message;' event.category=network event.action=allowed event.type=allowed event.outcome=success
            | matched filter: LOG ALL actions: accept; send syslog message;"#]],
    );
    check(
        r#"<189>Mar 14 07:59:58 router-1 Dst: nothing, Src: of the kind (see below)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local7 log.level=notice host.name=router-1 process.name=Dst
        | nothing, Src: of the kind (see below)"#]],
    );
}

#[test]
fn unifi_golden() {
    check(
        r#"<4>Mar 14 07:59:58 UDM-SE kernel: [WAN_LOCAL-default-D]IN=eth8 OUT= MAC=00:00:5e:00:53:01:00:00:5e:00:53:02:08:00 SRC=203.0.113.221 DST=198.51.100.4 LEN=40 TOS=00 PREC=0x00 TTL=242 ID=55856 PROTO=TCP SPT=44761 DPT=47838 SEQ=2867950570 ACK=0 WINDOW=1024 SYN URGP=0 MARK=1a0000"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=UDM-SE process.name=kernel event.module=iptables event.category=network event.type=connection event.action=blocked event.type=denied event.outcome=failure rule.name=WAN_LOCAL-default-D destination.mac=00:00:5e:00:53:01 source.mac=00:00:5e:00:53:02 source.ip=203.0.113.221 destination.ip=198.51.100.4 network.bytes=40 iptables.ttl=242 network.transport=tcp source.port=44761 destination.port=47838 iptables.tcp_flags=SYN observer.ingress.interface.name=eth8 network.direction=inbound
            | [WAN_LOCAL-default-D]IN=eth8 OUT= MAC=00:00:5e:00:53:01:00:00:5e:00:53:02:08:00 SRC=203.0.113.221 DST=198.51.100.4 LEN=40 TOS=00 PREC=0x00 TTL=242 ID=55856 PROTO=TCP SPT=44761 DPT=47838 SEQ=2867950570 ACK=0 WINDOW=1024 SYN URGP=0 MARK=1a0000"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 UDM-SE [LAN_CUSTOM1-A-10000] DESCR="Drucker: erlaubt" IN=br4 OUT=br10 SRC=10.16.4.1 DST=10.16.10.1 LEN=60 PROTO=TCP SPT=12345 DPT=443"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=UDM-SE event.module=iptables event.category=network event.type=connection event.action=allowed event.type=allowed event.outcome=success rule.name='Drucker: erlaubt' rule.id=LAN_CUSTOM1-A-10000 source.ip=10.16.4.1 destination.ip=10.16.10.1 network.bytes=60 network.transport=tcp source.port=12345 destination.port=443 observer.ingress.interface.name=br4 observer.egress.interface.name=br10
            | [LAN_CUSTOM1-A-10000] DESCR="Drucker: erlaubt" IN=br4 OUT=br10 SRC=10.16.4.1 DST=10.16.10.1 LEN=60 PROTO=TCP SPT=12345 DPT=443"#]],
    );
    check(
        r#"<13>Mar 14 07:59:58 UDM-SE [LAN_LOCAL-RET-2147483647] DESCR="no rule description" IN=br10 OUT= SRC=10.0.10.151 DST=10.0.10.1 LEN=52 PROTO=TCP SPT=45132 DPT=443"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=notice host.name=UDM-SE event.module=iptables event.category=network event.type=connection event.action=logged rule.name=LAN_LOCAL-RET-2147483647 source.ip=10.0.10.151 destination.ip=10.0.10.1 network.bytes=52 network.transport=tcp source.port=45132 destination.port=443 observer.ingress.interface.name=br10 network.direction=inbound
            | [LAN_LOCAL-RET-2147483647] DESCR="no rule description" IN=br10 OUT= SRC=10.0.10.151 DST=10.0.10.1 LEN=52 PROTO=TCP SPT=45132 DPT=443"#]],
    );
    check(
        r#"Mar 14 07:59:58 UCG-Max CEF:0|Ubiquiti|UniFi Network|10.4.57|201|Threat Detected and Blocked|7|UNIFIcategory=Security UNIFIhost=UCG Max src=203.0.113.5 dst=198.51.100.10 proto=TCP spt=55000 dpt=443 act=blocked msg=ET SCAN x | y"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=UCG-Max event.module=cef observer.vendor=Ubiquiti observer.product='UniFi Network' event.code=201 rule.name='Threat Detected and Blocked' event.severity=7 event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure unifi.category=Security source.ip=203.0.113.5 destination.ip=198.51.100.10 network.transport=tcp source.port=55000 destination.port=443 unifi.act=blocked cef.msg='ET SCAN x | y'
            | CEF:0|Ubiquiti|UniFi Network|10.4.57|201|Threat Detected and Blocked|7|UNIFIcategory=Security UNIFIhost=UCG Max src=203.0.113.5 dst=198.51.100.10 proto=TCP spt=55000 dpt=443 act=blocked msg=ET SCAN x | y"#]],
    );
    check(
        r#"Mar 14 07:59:58 UDM-Pro CEF:0|Ubiquiti|UniFi Network|10.1.85|400|WiFi Client Connected|1|UNIFIcategory=Client Devices UNIFIconnectedToDeviceName=AP Buero UNIFIclientAlias=Handy von Anna UNIFIclientIp=10.0.1.100 UNIFIclientMac=00:00:5e:00:53:01 UNIFIwifiName=Rathaus UNIFIWiFiRssi=-45"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            host.name=UDM-Pro event.module=cef observer.vendor=Ubiquiti observer.product='UniFi Network' event.code=400 rule.name='WiFi Client Connected' event.severity=1 event.category=network event.action=wlan_connected event.outcome=success unifi.category='Client Devices' unifi.connectedToDeviceName='AP Buero' unifi.clientAlias='Handy von Anna' source.ip=10.0.1.100 source.mac=00:00:5e:00:53:01 unifi.wifiName=Rathaus unifi.WiFiRssi=-45
            | CEF:0|Ubiquiti|UniFi Network|10.1.85|400|WiFi Client Connected|1|UNIFIcategory=Client Devices UNIFIconnectedToDeviceName=AP Buero UNIFIclientAlias=Handy von Anna UNIFIclientIp=10.0.1.100 UNIFIclientMac=00:00:5e:00:53:01 UNIFIwifiName=Rathaus UNIFIWiFiRssi=-45"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 UDM-Pro CEF:0|Ubiquiti|UniFi Network|10.2.93|546|Config Modified|5|src=10.0.0.39 UNIFIcategory=Audit UNIFIsettingsSection=System UNIFIadmin=anna msg=anna made a change in System settings"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=UDM-Pro event.module=cef observer.vendor=Ubiquiti observer.product='UniFi Network' event.code=546 rule.name='Config Modified' event.severity=5 event.category=configuration event.action=configuration_changed event.outcome=success source.ip=10.0.0.39 unifi.category=Audit unifi.settingsSection=System user.name=anna cef.msg='anna made a change in System settings'
            | CEF:0|Ubiquiti|UniFi Network|10.2.93|546|Config Modified|5|src=10.0.0.39 UNIFIcategory=Audit UNIFIsettingsSection=System UNIFIadmin=anna msg=anna made a change in System settings"#]],
    );
    check(
        r#"Mar 14 07:59:58 UDM-Pro CEF:0|Ubiquiti|UniFi OS|4.3.6|admins|1|msg=anna accessed the UniFi OS via unifi.ui.com. Source IP: 203.0.113.4"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year bad_key_value
            host.name=UDM-Pro event.module=cef observer.vendor=Ubiquiti observer.product='UniFi OS' event.code=admins event.severity=1 event.category=authentication event.action=login event.outcome=success user.name=anna source.ip=203.0.113.4 cef.msg='anna accessed the UniFi OS via unifi.ui.com. Source IP: 203.0.113.4'
            | CEF:0|Ubiquiti|UniFi OS|4.3.6|admins|1|msg=anna accessed the UniFi OS via unifi.ui.com. Source IP: 203.0.113.4"#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 U7-Pro hostapd[1]: wifi2ap6: STA 00:00:5e:00:53:01 IEEE 802.11: associated (aid 1)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=informational host.name=U7-Pro process.name=hostapd process.pid=1 event.module=hostapd event.category=network event.action=wlan_associated event.outcome=success hostapd.interface=wifi2ap6 source.mac=00:00:5e:00:53:01
        | wifi2ap6: STA 00:00:5e:00:53:01 IEEE 802.11: associated (aid 1)"#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 U7-Pro hostapd[1]: wifi2ap6: STA 00:00:5e:00:53:01 IEEE 802.11: disassociated"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=informational host.name=U7-Pro process.name=hostapd process.pid=1 event.module=hostapd event.category=network event.action=wlan_disconnected hostapd.interface=wifi2ap6 source.mac=00:00:5e:00:53:01
        | wifi2ap6: STA 00:00:5e:00:53:01 IEEE 802.11: disassociated"#]],
    );
}

#[test]
fn netfilter_and_kv_golden() {
    check(
        r#"<4>Mar 14 07:59:58 gw kernel: nft drop input: IN=eth0 OUT= MAC=00:00:5e:00:53:01:00:00:5e:00:53:02:08:00 SRC=203.0.113.9 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=1 DF PROTO=TCP SPT=4711 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=kern log.level=warning host.name=gw process.name=kernel event.module=iptables event.category=network event.type=connection event.action=blocked event.type=denied event.outcome=failure rule.name='nft drop input' destination.mac=00:00:5e:00:53:01 source.mac=00:00:5e:00:53:02 source.ip=203.0.113.9 destination.ip=198.51.100.1 network.bytes=60 iptables.ttl=52 network.transport=tcp source.port=4711 destination.port=22 iptables.tcp_flags=SYN observer.ingress.interface.name=eth0 network.direction=inbound
            | nft drop input: IN=eth0 OUT= MAC=00:00:5e:00:53:01:00:00:5e:00:53:02:08:00 SRC=203.0.113.9 DST=198.51.100.1 LEN=60 TOS=0x00 PREC=0x00 TTL=52 ID=1 DF PROTO=TCP SPT=4711 DPT=22 WINDOW=64240 RES=0x00 SYN URGP=0"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 securepoint ulogd[811]: DROP: (DEFAULT DROP) IN=eth0 OUT=eth1 MAC= SRC=203.0.113.9 DST=10.0.0.1 LEN=40 TOS=00 PREC=0x00 TTL=52 ID=1 PROTO=UDP SPT=4711 DPT=53 LEN=20"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=securepoint process.name=ulogd process.pid=811 event.module=iptables event.category=network event.type=connection event.action=blocked event.type=denied event.outcome=failure rule.name='DROP: (DEFAULT DROP)' source.ip=203.0.113.9 destination.ip=10.0.0.1 network.bytes=40 iptables.ttl=52 network.transport=udp source.port=4711 destination.port=53 observer.ingress.interface.name=eth0 observer.egress.interface.name=eth1
            | DROP: (DEFAULT DROP) IN=eth0 OUT=eth1 MAC= SRC=203.0.113.9 DST=10.0.0.1 LEN=40 TOS=00 PREC=0x00 TTL=52 ID=1 PROTO=UDP SPT=4711 DPT=53 LEN=20"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 genugate relay[7]: source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 action=deny reason="kein Regelwerk""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=genugate process.name=relay process.pid=7 source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 kv.action=deny kv.reason='kein Regelwerk'
            | source.ip=203.0.113.9 source.port=4711 destination.ip=10.0.0.1 action=deny reason="kein Regelwerk""#]],
    );
}

#[test]
fn fortigate_golden() {
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598 tz="+0100" logid="0419016384" type="utm" subtype="ips" eventtype="signature" level="alert" vd="root" severity="critical" srcip=203.0.113.9 srccountry="Germany" dstip=10.1.100.11 srcintf="wan1" srcintfrole="wan" dstintf="port2" dstintfrole="lan" sessionid=901 action="dropped" proto=6 service="HTTPS" policyid=12 policyname="Web" attack="Apache.Log4j.Error.Log.Remote.Code.Execution" srcport=38698 dstport=443 hostname="www.example.org" url="/a?source=mail&srcip=6.6.6.6" direction="outgoing" attackid=51006 profile="protect" ref="http://www.fortinet.com/ids/VID51006" msg="applications3: Apache.Log4j""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0419016384 fortinet.firewall.eventtype=signature fortinet.firewall.vd=root fortinet.firewall.severity=critical source.ip=203.0.113.9 source.geo.country_name=Germany destination.ip=10.1.100.11 observer.ingress.interface.name=wan1 observer.egress.interface.name=port2 fortinet.firewall.sessionid=901 network.transport=tcp network.protocol=HTTPS source.port=38698 destination.port=443 url.domain=www.example.org url.original=/a?source=mail&srcip=6.6.6.6 url.path=/a url.query=source=mail&srcip=6.6.6.6 fortinet.firewall.profile=protect fortinet.firewall.ref=http://www.fortinet.com/ids/VID51006 fortinet.firewall.msg='applications3: Apache.Log4j' fortinet.firewall.type=utm fortinet.firewall.subtype=ips fortinet.firewall.action=dropped fortinet.firewall.srcintfrole=wan fortinet.firewall.dstintfrole=lan rule.id=51006 rule.name=Apache.Log4j.Error.Log.Remote.Code.Execution fortinet.firewall.policyid=12 fortinet.firewall.policyname=Web event.kind=alert event.category=intrusion_detection event.action=blocked event.type=denied event.outcome=failure network.direction=inbound
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598 tz="+0100" logid="0419016384" type="utm" subtype="ips" eventtype="signature" level="alert" vd="root" severity="critical" srcip=203.0.113.9 srccountry="Germany" dstip=10.1.100.11 srcintf="wan1" srcintfrole="wan" dstintf="port2" dstintfrole="lan" sessionid=901 action="dropped" proto=6 service="HTTPS" policyid=12 policyname="Web" attack="Apache.Log4j.Error.Log.Remote.Code.Execution" srcport=38698 dstport=443 hostname="www.example.org" url="/a?source=mail&srcip=6.6.6.6" direction="outgoing" attackid=51006 profile="protect" ref="http://www.fortinet.com/ids/VID51006" msg="applications3: Apache.Log4j""#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598123 tz="+0100" logid="0211008192" type="utm" subtype="virus" eventtype="infected" level="warning" vd="root" policyid=1 msg="File is infected." action="blocked" service="HTTP" sessionid=56633 srcip=10.1.100.11 dstip=198.51.100.6 srcport=47882 dstport=80 proto=6 direction="incoming" filename="eicar.com" virus="EICAR_TEST_FILE" dtype="Virus" url="http://198.51.100.6/virus/eicar.com" profile="g-default" agent="curl/8" analyticscksum="275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f""#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0211008192 fortinet.firewall.eventtype=infected fortinet.firewall.vd=root fortinet.firewall.msg='File is infected.' network.protocol=HTTP fortinet.firewall.sessionid=56633 source.ip=10.1.100.11 destination.ip=198.51.100.6 source.port=47882 destination.port=80 network.transport=tcp file.path=eicar.com threat.indicator.name=EICAR_TEST_FILE fortinet.firewall.dtype=Virus url.full=http://198.51.100.6/virus/eicar.com url.domain=198.51.100.6 url.path=/virus/eicar.com fortinet.firewall.profile=g-default user_agent.original=curl/8 file.hash.sha256=275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f fortinet.firewall.type=utm fortinet.firewall.subtype=virus fortinet.firewall.action=blocked rule.id=1 event.kind=alert event.category=malware event.action=blocked event.type=denied event.outcome=failure network.direction=inbound
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598123 tz="+0100" logid="0211008192" type="utm" subtype="virus" eventtype="infected" level="warning" vd="root" policyid=1 msg="File is infected." action="blocked" service="HTTP" sessionid=56633 srcip=10.1.100.11 dstip=198.51.100.6 srcport=47882 dstport=80 proto=6 direction="incoming" filename="eicar.com" virus="EICAR_TEST_FILE" dtype="Virus" url="http://198.51.100.6/virus/eicar.com" profile="g-default" agent="curl/8" analyticscksum="275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f""#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598123456 tz="+0100" logid="0316013056" type="utm" subtype="webfilter" eventtype="ftgd_blk" level="warning" policyid=1 user="anna" srcip=10.1.100.11 dstip=198.51.100.35 proto=6 service="HTTPS" hostname="bad.example.net" action="blocked" reqtype="direct" url="https://bad.example.net/a" sentbyte=84 rcvdbyte=1002 method="domain" catdesc="Malicious Websites""#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0316013056 fortinet.firewall.eventtype=ftgd_blk user.name=anna source.ip=10.1.100.11 destination.ip=198.51.100.35 network.transport=tcp network.protocol=HTTPS url.domain=bad.example.net fortinet.firewall.reqtype=direct url.full=https://bad.example.net/a url.path=/a source.bytes=84 destination.bytes=1002 fortinet.firewall.method=domain fortinet.firewall.catdesc='Malicious Websites' fortinet.firewall.type=utm fortinet.firewall.subtype=webfilter fortinet.firewall.action=blocked rule.id=1 event.category=web event.action=blocked event.type=denied event.outcome=failure
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598123456 tz="+0100" logid="0316013056" type="utm" subtype="webfilter" eventtype="ftgd_blk" level="warning" policyid=1 user="anna" srcip=10.1.100.11 dstip=198.51.100.35 proto=6 service="HTTPS" hostname="bad.example.net" action="blocked" reqtype="direct" url="https://bad.example.net/a" sentbyte=84 rcvdbyte=1002 method="domain" catdesc="Malicious Websites""#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598123456789 tz="+0100" logid="0101039424" type="event" subtype="vpn" level="information" logdesc="SSL VPN tunnel up" action="tunnel-up" tunneltype="ssl-tunnel" tunnelid=1 remip=203.0.113.9 tunnelip=10.212.134.200 user="anna" group="vpn" dst_host="N/A" reason="tunnel established" msg="SSL tunnel established""#,
        expect![[r#"
            2026-03-14T06:59:58.123Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0101039424 fortinet.firewall.logdesc='SSL VPN tunnel up' fortinet.firewall.tunneltype=ssl-tunnel fortinet.firewall.tunnelid=1 source.ip=203.0.113.9 fortinet.firewall.tunnelip=10.212.134.200 user.name=anna group.name=vpn event.reason='tunnel established' fortinet.firewall.msg='SSL tunnel established' fortinet.firewall.type=event fortinet.firewall.subtype=vpn fortinet.firewall.action=tunnel-up event.category=network event.action=tunnel-up event.outcome=success
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" eventtime=1773471598123456789 tz="+0100" logid="0101039424" type="event" subtype="vpn" level="information" logdesc="SSL VPN tunnel up" action="tunnel-up" tunneltype="ssl-tunnel" tunnelid=1 remip=203.0.113.9 tunnelip=10.212.134.200 user="anna" group="vpn" dst_host="N/A" reason="tunnel established" msg="SSL tunnel established""#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" tz="+0100" logid="0101037128" type="event" subtype="vpn" level="error" action="negotiate" remip=203.0.113.9 locip=198.51.100.1 remport=500 locport=500 outintf="wan1" cookies="x/y" user="N/A" xauthuser="N/A" status="negotiate_error" reason="peer SA proposal not match local policy" peer_notif="NOT-APPLICABLE""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0101037128 source.ip=203.0.113.9 destination.ip=198.51.100.1 source.port=500 destination.port=500 fortinet.firewall.outintf=wan1 fortinet.firewall.cookies=x/y event.reason='peer SA proposal not match local policy' fortinet.firewall.peer_notif=NOT-APPLICABLE fortinet.firewall.type=event fortinet.firewall.subtype=vpn fortinet.firewall.action=negotiate fortinet.firewall.status=negotiate_error event.category=network event.action=negotiate event.outcome=failure
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" tz="+0100" logid="0101037128" type="event" subtype="vpn" level="error" action="negotiate" remip=203.0.113.9 locip=198.51.100.1 remport=500 locport=500 outintf="wan1" cookies="x/y" user="N/A" xauthuser="N/A" status="negotiate_error" reason="peer SA proposal not match local policy" peer_notif="NOT-APPLICABLE""#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" tz="+0100" logid="1501054802" type="utm" subtype="dns" level="notice" policyid=1 srcip=10.1.100.11 srcport=54621 dstip=198.51.100.53 dstport=53 proto=17 xid=31 qname="www.example.net" qtype="A" qtypeval=1 qclass="IN" ipaddr="203.0.113.1" msg="Domain is monitored" action="pass""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=1501054802 source.ip=10.1.100.11 source.port=54621 destination.ip=198.51.100.53 destination.port=53 network.transport=udp fortinet.firewall.xid=31 dns.question.name=www.example.net dns.question.type=A fortinet.firewall.qtypeval=1 fortinet.firewall.qclass=IN fortinet.firewall.ipaddr=203.0.113.1 fortinet.firewall.msg='Domain is monitored' fortinet.firewall.type=utm fortinet.firewall.subtype=dns fortinet.firewall.action=pass rule.id=1 event.category=network event.action=allowed event.type=allowed event.outcome=success
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" tz="+0100" logid="1501054802" type="utm" subtype="dns" level="notice" policyid=1 srcip=10.1.100.11 srcport=54621 dstip=198.51.100.53 dstport=53 proto=17 xid=31 qname="www.example.net" qtype="A" qtypeval=1 qclass="IN" ipaddr="203.0.113.1" msg="Domain is monitored" action="pass""#]],
    );
    check(
        r#"<189>date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" tz="+0100" logid="0100044547" type="event" subtype="system" level="information" logdesc="Object attribute configured" user="anna" ui="GUI(10.0.0.9)" action="Edit" cfgtid=1 cfgpath="firewall.policy" cfgobj="12" cfgattr="action[deny->accept]" msg="Edit firewall.policy 12"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z bad_key_value
            log.syslog.facility.name=local7 log.level=notice event.module=fortinet event.dataset=fortinet.firewall observer.vendor=Fortinet observer.name=FG host.name=FG observer.serial_number=FG1 event.code=0100044547 fortinet.firewall.logdesc='Object attribute configured' user.name=anna fortinet.firewall.ui=GUI(10.0.0.9) fortinet.firewall.cfgtid=1 fortinet.firewall.cfgpath=firewall.policy fortinet.firewall.cfgobj=12 fortinet.firewall.cfgattr=action[deny->accept] fortinet.firewall.msg='Edit firewall.policy 12' fortinet.firewall.type=event fortinet.firewall.subtype=system fortinet.firewall.action=Edit event.category=configuration event.action=Edit
            | date=2026-03-14 time=07:59:58 devname="FG" devid="FG1" tz="+0100" logid="0100044547" type="event" subtype="system" level="information" logdesc="Object attribute configured" user="anna" ui="GUI(10.0.0.9)" action="Edit" cfgtid=1 cfgpath="firewall.policy" cfgobj="12" cfgattr="action[deny->accept]" msg="Edit firewall.policy 12"#]],
    );
}

#[test]
fn cisco_asa_golden() {
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-302020: Built outbound ICMP connection for faddr 198.51.100.10/0 gaddr 203.0.113.144/0 laddr 10.0.2.2/0 type 8 code 0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=302020 cisco.facility=ASA event.category=network event.action=allowed event.type=allowed event.outcome=success network.transport=icmp source.ip=10.0.2.2 destination.ip=198.51.100.10 network.direction=outbound
            | %ASA-6-302020: Built outbound ICMP connection for faddr 198.51.100.10/0 gaddr 203.0.113.144/0 laddr 10.0.2.2/0 type 8 code 0"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-302015: Built outbound UDP connection 17 for outside:198.51.100.53/53 (198.51.100.53/53)(LOCAL\ext) to inside:10.0.0.7/4711 (203.0.113.1/4711)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=302015 cisco.facility=ASA event.category=network event.action=allowed event.type=allowed event.outcome=success network.transport=udp observer.ingress.interface.name=inside source.ip=10.0.0.7 source.port=4711 observer.egress.interface.name=outside destination.ip=198.51.100.53 destination.port=53 network.direction=outbound
            | %ASA-6-302015: Built outbound UDP connection 17 for outside:198.51.100.53/53 (198.51.100.53/53)(LOCAL\ext) to inside:10.0.0.7/4711 (203.0.113.1/4711)"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-106023: Deny protocol 47 src outside:203.0.113.9(LOCAL\anna) dst inside:10.0.0.44 by access-group "inbound" [0x0, 0x0]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=106023 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=gre observer.ingress.interface.name=outside source.user.name=anna source.ip=203.0.113.9 observer.egress.interface.name=inside destination.ip=10.0.0.44 rule.name=inbound
            | %ASA-4-106023: Deny protocol 47 src outside:203.0.113.9(LOCAL\anna) dst inside:10.0.0.44 by access-group "inbound" [0x0, 0x0]"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-106023: Deny icmp src outside:2001:db8::9 dst inside:2001:db8::1 (type 128, code 0) by access-group "outside_in""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=106023 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=icmp observer.ingress.interface.name=outside source.ip=2001:db8::9 observer.egress.interface.name=inside destination.ip=2001:db8::1 rule.name=outside_in
            | %ASA-4-106023: Deny icmp src outside:2001:db8::9 dst inside:2001:db8::1 (type 128, code 0) by access-group "outside_in""#]],
    );
    check(
        r#"<163>Mar 14 2026 07:59:58 asa-1 : %ASA-3-106014: Deny inbound icmp src outside:203.0.113.9 dst inside:10.0.0.1(type 8, code 0)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=error host.name=asa-1 event.module=cisco event.code=106014 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=icmp observer.ingress.interface.name=outside source.ip=203.0.113.9 observer.egress.interface.name=inside destination.ip=10.0.0.1
            | %ASA-3-106014: Deny inbound icmp src outside:203.0.113.9 dst inside:10.0.0.1(type 8, code 0)"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-313005: No matching connection for ICMP error message: icmp src outside:203.0.113.9 dst inside:10.0.0.1 (type 3, code 3) on outside interface. Original IP payload: udp src 10.0.0.1/53 dst 203.0.113.9/10872."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=313005 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=icmp observer.ingress.interface.name=outside source.ip=203.0.113.9 observer.egress.interface.name=inside destination.ip=10.0.0.1
            | %ASA-4-313005: No matching connection for ICMP error message: icmp src outside:203.0.113.9 dst inside:10.0.0.1 (type 3, code 3) on outside interface. Original IP payload: udp src 10.0.0.1/53 dst 203.0.113.9/10872."#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-313004: Denied ICMP type=0, from laddr 10.0.0.10 on interface inside to 198.51.100.2: no matching session"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=313004 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=icmp source.ip=10.0.0.10 observer.ingress.interface.name=inside destination.ip=198.51.100.2
            | %ASA-4-313004: Denied ICMP type=0, from laddr 10.0.0.10 on interface inside to 198.51.100.2: no matching session"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-106015: Deny TCP (no connection) from 203.0.113.9/53089 to 198.51.100.1/443 flags FIN PSH ACK  on interface outside"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=106015 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=tcp source.ip=203.0.113.9 source.port=53089 destination.ip=198.51.100.1 destination.port=443 observer.ingress.interface.name=outside
            | %ASA-6-106015: Deny TCP (no connection) from 203.0.113.9/53089 to 198.51.100.1/443 flags FIN PSH ACK  on interface outside"#]],
    );
    check(
        r#"<163>Mar 14 2026 07:59:58 asa-1 : %ASA-3-710003: TCP access denied by ACL from 203.0.113.9/6370 to outside:198.51.100.61/23"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=error host.name=asa-1 event.module=cisco event.code=710003 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure network.transport=tcp source.ip=203.0.113.9 source.port=6370 observer.egress.interface.name=outside destination.ip=198.51.100.61 destination.port=23
            | %ASA-3-710003: TCP access denied by ACL from 203.0.113.9/6370 to outside:198.51.100.61/23"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-305011: Built dynamic TCP translation from inside:10.0.0.10/57006 to outside:198.51.100.2/57006"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=305011 cisco.facility=ASA event.category=network event.action=nat_built event.outcome=success network.transport=tcp observer.ingress.interface.name=inside source.ip=10.0.0.10 source.port=57006 cisco.mapped_source=outside:198.51.100.2/57006
            | %ASA-6-305011: Built dynamic TCP translation from inside:10.0.0.10/57006 to outside:198.51.100.2/57006"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-303002: FTP connection from inside:10.0.0.2/63656 to outside:198.51.100.4/21, user anna Stored file /export/home/tmp.log"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=303002 cisco.facility=ASA event.category=network event.action=ftp event.outcome=success network.protocol=ftp observer.ingress.interface.name=inside source.ip=10.0.0.2 source.port=63656 observer.egress.interface.name=outside destination.ip=198.51.100.4 destination.port=21 user.name=anna file.path=/export/home/tmp.log
            | %ASA-6-303002: FTP connection from inside:10.0.0.2/63656 to outside:198.51.100.4/21, user anna Stored file /export/home/tmp.log"#]],
    );
    check(
        r#"<165>Mar 14 2026 07:59:58 asa-1 : %ASA-5-304001: anna@10.0.0.40 Accessed URL 198.51.100.40:http://www.example.net/IOF[0]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=notice host.name=asa-1 event.module=cisco event.code=304001 cisco.facility=ASA event.type=access event.category=web event.action=http_request event.outcome=success user.name=anna source.ip=10.0.0.40 destination.ip=198.51.100.40 url.full=http://www.example.net/IOF[0] url.domain=www.example.net url.path=/IOF[0]
            | %ASA-5-304001: anna@10.0.0.40 Accessed URL 198.51.100.40:http://www.example.net/IOF[0]"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-733100: [   203.0.113.9] drop rate-1 exceeded. Current burst rate is 0 per second, max configured rate is 10"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=733100 cisco.facility=ASA event.kind=alert event.type=allowed event.category=intrusion_detection event.action=detected source.ip=203.0.113.9
            | %ASA-4-733100: [   203.0.113.9] drop rate-1 exceeded. Current burst rate is 0 per second, max configured rate is 10"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-400013: IPS:2003 ICMP redirect from 203.0.113.9 to 10.0.0.1 on interface outside"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=400013 cisco.facility=ASA event.kind=alert event.type=allowed event.category=intrusion_detection event.action=detected rule.id=2003 rule.name='ICMP redirect' source.ip=203.0.113.9 destination.ip=10.0.0.1
            | %ASA-4-400013: IPS:2003 ICMP redirect from 203.0.113.9 to 10.0.0.1 on interface outside"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-401004: Shunned packet: 203.0.113.9 ==> 10.0.0.1 on interface outside"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z
        log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=401004 cisco.facility=ASA event.category=network event.action=blocked event.type=denied event.outcome=failure source.ip=203.0.113.9 destination.ip=10.0.0.1
        | %ASA-4-401004: Shunned packet: 203.0.113.9 ==> 10.0.0.1 on interface outside"#]],
    );
    check(
        r#"<165>Mar 14 2026 07:59:58 asa-1 : %ASA-5-111010: User 'enable_15', running 'CLI' from IP 10.10.0.87, executed 'clear'"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=notice host.name=asa-1 event.module=cisco event.code=111010 cisco.facility=ASA event.category=configuration event.action=command event.outcome=success user.name=enable_15 source.ip=10.10.0.87 process.command_line=clear
            | %ASA-5-111010: User 'enable_15', running 'CLI' from IP 10.10.0.87, executed 'clear'"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-605004: Login denied from 10.10.1.212/51923 to inside:10.10.1.254/https for user "anna""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=605004 cisco.facility=ASA event.category=authentication event.action=login event.outcome=failure user.name=anna source.ip=10.10.1.212 source.port=51923 observer.egress.interface.name=inside destination.ip=10.10.1.254
            | %ASA-6-605004: Login denied from 10.10.1.212/51923 to inside:10.10.1.254/https for user "anna""#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-611101: User authentication succeeded: IP address: 10.10.0.87, Uname: admin"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=611101 cisco.facility=ASA event.category=authentication event.action=login event.outcome=success user.name=admin source.ip=10.10.0.87
            | %ASA-6-611101: User authentication succeeded: IP address: 10.10.0.87, Uname: admin"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-716039: Group <vpn> User <anna> IP <203.0.113.9> Authentication: rejected, Session Type: WebVPN."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=716039 cisco.facility=ASA event.category=authentication event.action=login event.outcome=failure user.name=anna group.name=vpn source.ip=203.0.113.9
            | %ASA-6-716039: Group <vpn> User <anna> IP <203.0.113.9> Authentication: rejected, Session Type: WebVPN."#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-113019: Group = vpn, Username = anna, IP = 203.0.113.9, Session disconnected. Session Type: SSL, Duration: 0h:32m:16s, Bytes xmt: 297103, Bytes rcv: 1216163, Reason: User Requested"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=113019 cisco.facility=ASA event.category=session event.action=vpn_logout event.outcome=success user.name=anna group.name=vpn source.ip=203.0.113.9 destination.bytes=297103 source.bytes=1216163 event.reason='User Requested'
            | %ASA-4-113019: Group = vpn, Username = anna, IP = 203.0.113.9, Session disconnected. Session Type: SSL, Duration: 0h:32m:16s, Bytes xmt: 297103, Bytes rcv: 1216163, Reason: User Requested"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-722051: Group <vpn> User <anna> IP <203.0.113.9> IPv4 Address <10.9.50.5> IPv6 address <::> assigned to session"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=722051 cisco.facility=ASA event.category=network event.action=vpn_address event.outcome=success user.name=anna group.name=vpn source.ip=203.0.113.9 cisco.assigned_ip=10.9.50.5
            | %ASA-4-722051: Group <vpn> User <anna> IP <203.0.113.9> IPv4 Address <10.9.50.5> IPv6 address <::> assigned to session"#]],
    );
    check(
        r#"<164>Mar 14 2026 07:59:58 asa-1 : %ASA-4-750003: Local:198.51.100.1:500 Remote:203.0.113.9:500 Username:anna IKEv2 Negotiation aborted due to ERROR: Failed to locate an item in the database"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=warning host.name=asa-1 event.module=cisco event.code=750003 cisco.facility=ASA event.category=network event.action=vpn event.outcome=failure user.name=anna source.ip=203.0.113.9 source.port=500 event.reason='Failed to locate an item in the database'
            | %ASA-4-750003: Local:198.51.100.1:500 Remote:203.0.113.9:500 Username:anna IKEv2 Negotiation aborted due to ERROR: Failed to locate an item in the database"#]],
    );
    check(
        r#"<166>Mar 14 2026 07:59:58 asa-1 : %ASA-6-602303: IPSEC: An outbound LAN-to-LAN SA (SPI= 0xF81283) between 203.0.113.144 and 198.51.100.2 (user= anna) has been created."#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=informational host.name=asa-1 event.module=cisco event.code=602303 cisco.facility=ASA event.category=network event.action=vpn_established event.outcome=success source.ip=203.0.113.144 destination.ip=198.51.100.2 user.name=anna
            | %ASA-6-602303: IPSEC: An outbound LAN-to-LAN SA (SPI= 0xF81283) between 203.0.113.144 and 198.51.100.2 (user= anna) has been created."#]],
    );
    check(
        r#"<165>Mar 14 2026 07:59:58 asa-1 : %ASA-5-713120: Group = 203.0.113.10, IP = 203.0.113.10, PHASE 2 COMPLETED (msgid=bbe383e88)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local4 log.level=notice host.name=asa-1 event.module=cisco event.code=713120 cisco.facility=ASA event.category=network event.action=vpn group.name=203.0.113.10 source.ip=203.0.113.10
            | %ASA-5-713120: Group = 203.0.113.10, IP = 203.0.113.10, PHASE 2 COMPLETED (msgid=bbe383e88)"#]],
    );
}

#[test]
fn cisco_ios_golden() {
    check(
        r#"<189>52: Mar 14 2026 07:59:58.123 CET: %SSH-5-SSH2_USERAUTH: User 'anna' authentication for SSH2 Session from 203.0.113.9 (tty = 0) using crypto cipher 'aes256-ctr', hmac 'hmac-sha2-256' Failed"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=notice event.module=cisco event.code=SSH2_USERAUTH cisco.facility=SSH event.category=authentication event.action=login event.outcome=failure network.protocol=ssh user.name=anna source.ip=203.0.113.9
            | %SSH-5-SSH2_USERAUTH: User 'anna' authentication for SSH2 Session from 203.0.113.9 (tty = 0) using crypto cipher 'aes256-ctr', hmac 'hmac-sha2-256' Failed"#]],
    );
    check(
        r#"<190>53: Mar 14 2026 07:59:58.123 CET: %SYS-6-LOGOUT: User anna has exited tty session 2(10.0.0.9)"#,
        expect![[r#"
        2026-03-14T06:59:58.123Z no_host
        log.syslog.facility.name=local7 log.level=informational event.module=cisco event.code=LOGOUT cisco.facility=SYS event.category=authentication event.action=logout event.outcome=success user.name=anna source.ip=10.0.0.9
        | %SYS-6-LOGOUT: User anna has exited tty session 2(10.0.0.9)"#]],
    );
    check(
        r#"<185>54: Mar 14 2026 07:59:58.123 CET: %SEC_LOGIN-1-QUIET_MODE_ON: Still timeleft for watching failures is 17 secs, [user: anna] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] [ACL: sl_def_acl] at 07:59:58 CET Sat Mar 14 2026"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=alert event.module=cisco event.code=QUIET_MODE_ON cisco.facility=SEC_LOGIN event.kind=alert event.type=denied event.category=intrusion_detection event.action=blocked event.outcome=failure user.name=anna source.ip=203.0.113.9
            | %SEC_LOGIN-1-QUIET_MODE_ON: Still timeleft for watching failures is 17 secs, [user: anna] [Source: 203.0.113.9] [localport: 22] [Reason: Login Authentication Failed] [ACL: sl_def_acl] at 07:59:58 CET Sat Mar 14 2026"#]],
    );
    check(
        r#"<189>55: Mar 14 2026 07:59:58.123 CET: %PARSER-5-CFGLOG_LOGGEDCMD: User:anna  logged command:no logging host 10.0.0.1"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=notice event.module=cisco event.code=CFGLOG_LOGGEDCMD cisco.facility=PARSER event.category=configuration event.action=command event.outcome=success user.name=anna process.command_line='no logging host 10.0.0.1'
            | %PARSER-5-CFGLOG_LOGGEDCMD: User:anna  logged command:no logging host 10.0.0.1"#]],
    );
    check(
        r#"<187>56: Mar 14 2026 07:59:58.123 CET: %SNMP-3-AUTHFAIL: Authentication failure for SNMP req from host 203.0.113.9"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=error event.module=cisco event.code=AUTHFAIL cisco.facility=SNMP event.category=authentication event.action=snmp_login event.outcome=failure network.protocol=snmp source.ip=203.0.113.9
            | %SNMP-3-AUTHFAIL: Authentication failure for SNMP req from host 203.0.113.9"#]],
    );
    check(
        r#"<186>57: Mar 14 2026 07:59:58.123 CET: %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0000.5e00.5301 on port GigabitEthernet1/0/1."#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=critical event.module=cisco event.code=PSECURE_VIOLATION cisco.facility=PORT_SECURITY event.category=network event.action=blocked event.type=denied event.outcome=failure source.mac=0000.5e00.5301 observer.ingress.interface.name=GigabitEthernet1/0/1
            | %PORT_SECURITY-2-PSECURE_VIOLATION: Security violation occurred, caused by MAC address 0000.5e00.5301 on port GigabitEthernet1/0/1."#]],
    );
    check(
        r#"<189>58: Mar 14 2026 07:59:58.123 CET: %DOT1X-5-FAIL: Authentication failed for client (0000.5e00.5301) on Interface Gi1/0/1 AuditSessionID 0A000001"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=notice event.module=cisco event.code=FAIL cisco.facility=DOT1X event.category=authentication event.action=network_access event.outcome=failure source.mac=0000.5e00.5301 observer.ingress.interface.name=Gi1/0/1
            | %DOT1X-5-FAIL: Authentication failed for client (0000.5e00.5301) on Interface Gi1/0/1 AuditSessionID 0A000001"#]],
    );
    check(
        r#"<188>59: Mar 14 2026 07:59:58.123 CET: %IP-4-DUPADDR: Duplicate address 10.0.0.1 on Vlan10, sourced by 0000.5e00.5301"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=warning event.module=cisco event.code=DUPADDR cisco.facility=IP event.category=network event.action=duplicate_address event.outcome=failure source.ip=10.0.0.1 source.mac=0000.5e00.5301
            | %IP-4-DUPADDR: Duplicate address 10.0.0.1 on Vlan10, sourced by 0000.5e00.5301"#]],
    );
    check(
        r#"<190>60: Mar 14 2026 07:59:58.123 CET: %FW-6-SESS_AUDIT_TRAIL: Stop tcp session: initiator (10.0.0.1:4711) sent 22 bytes -- responder (198.51.100.1:80) sent 0 bytes"#,
        expect![[r#"
            2026-03-14T06:59:58.123Z no_host
            log.syslog.facility.name=local7 log.level=informational event.module=cisco event.code=SESS_AUDIT_TRAIL cisco.facility=FW event.category=network event.action=connection_end event.outcome=success source.ip=10.0.0.1 source.port=4711 destination.ip=198.51.100.1 destination.port=80
            | %FW-6-SESS_AUDIT_TRAIL: Stop tcp session: initiator (10.0.0.1:4711) sent 22 bytes -- responder (198.51.100.1:80) sent 0 bytes"#]],
    );
}

#[test]
fn mikrotik_golden() {
    check(
        r#"<134>Mar 14 07:59:58 gw dhcp,info dhcp1 assigned 10.0.88.100 for 00:00:5E:00:53:01 PC-7"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=dhcp,info event.category=network event.action=dhcp_lease event.outcome=success network.protocol=dhcp mikrotik.server=dhcp1 source.ip=10.0.88.100 source.mac=00:00:5E:00:53:01 source.domain=PC-7
        | dhcp,info dhcp1 assigned 10.0.88.100 for 00:00:5E:00:53:01 PC-7"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw dhcp,info dhcp1 deassigned 10.0.88.101 from 00:00:5E:00:53:03"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=dhcp,info event.category=network event.action=dhcp_release event.outcome=success network.protocol=dhcp mikrotik.server=dhcp1 source.ip=10.0.88.101 source.mac=00:00:5E:00:53:03
        | dhcp,info dhcp1 deassigned 10.0.88.101 from 00:00:5E:00:53:03"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw pppoe,ppp,info <pppoe-anna>: terminating... - hungup"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=pppoe,ppp,info mikrotik.interface=<pppoe-anna> event.category=network event.action=vpn_terminated event.reason=hungup
        | pppoe,ppp,info <pppoe-anna>: terminating... - hungup"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw l2tp,ppp,info,account anna logged in, 10.9.0.10 from 203.0.113.9"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=l2tp,ppp,info,account event.category=authentication event.action=vpn_login event.outcome=success user.name=anna mikrotik.assigned_ip=10.9.0.10 source.ip=203.0.113.9
        | l2tp,ppp,info,account anna logged in, 10.9.0.10 from 203.0.113.9"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw ipsec,error phase1 negotiation failed due to time up 198.51.100.1[500]<=>203.0.113.9[500] 8a9c:0000"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=ipsec,error event.category=network event.action=ike_negotiation event.outcome=failure event.reason='phase1 negotiation failed due to time up 198.51.100.1[500]<=>203.0.113.9[500] 8a9c:0000' source.ip=203.0.113.9 source.port=500 destination.ip=198.51.100.1 destination.port=500
            | ipsec,error phase1 negotiation failed due to time up 198.51.100.1[500]<=>203.0.113.9[500] 8a9c:0000"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw ipsec,info new ike2 SA (R): peer1 198.51.100.1[4500]-203.0.113.9[4500] spi:ab:cd"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=ipsec,info event.category=network event.action=vpn_established source.ip=203.0.113.9 source.port=4500 destination.ip=198.51.100.1 destination.port=4500
        | ipsec,info new ike2 SA (R): peer1 198.51.100.1[4500]-203.0.113.9[4500] spi:ab:cd"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw interface,info ether5 link down"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=interface,info event.category=network event.action=interface_state mikrotik.interface=ether5
        | interface,info ether5 link down"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw wireless,info 00:00:5E:00:53:01@wlan1: disconnected, received deauth: sending station leaving (3)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=wireless,info event.category=network event.action=wlan_disconnected source.mac=00:00:5E:00:53:01 mikrotik.interface=wlan1
            | wireless,info 00:00:5E:00:53:01@wlan1: disconnected, received deauth: sending station leaving (3)"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw system,info filter rule changed by winbox:anna@10.0.0.9 (*1)"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=system,info event.category=configuration event.action=configuration_changed event.outcome=success mikrotik.object='filter rule' user.name=anna mikrotik.service=winbox source.ip=10.0.0.9
        | system,info filter rule changed by winbox:anna@10.0.0.9 (*1)"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw system,info,account user anna logged in from 10.0.0.9 via winbox"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw event.module=mikrotik mikrotik.topics=system,info,account event.category=authentication event.action=login event.outcome=success user.name=anna source.ip=10.0.0.9 mikrotik.service=winbox
        | system,info,account user anna logged in from 10.0.0.9 via winbox"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 gw script,info done, all well"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=local0 log.level=informational host.name=gw
        | script,info done, all well"#]],
    );
}

#[test]
fn palo_alto_golden() {
    check(
        r#"<14>Mar 14 07:59:58 pa-1 1,2026/03/14 07:59:58,001,TRAFFIC,end,2561,2026/03/14 07:59:58,10.0.0.7,198.51.100.9,203.0.113.1,198.51.100.9,Web,example\anna,,ssl,vsys1,trust,untrust,ae1.10,ae2,to-wartburg,2026/03/14 07:59:58,238810,1,47094,443,47094,443,0x400053,tcp,allow,5920,1800,4120,30,2026/03/14 07:59:40,15,business,,7204,0x8000000000000000,10.0.0.0-10.255.255.255,Germany,,14,16,tcp-fin,0,0,0,0,,pa-1,from-policy"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pa-1 event.module=panos observer.vendor='Palo Alto Networks' observer.product=PAN-OS panos.type=TRAFFIC panos.subtype=end observer.serial_number=001 source.ip=10.0.0.7 destination.ip=198.51.100.9 panos.nat_source_ip=203.0.113.1 panos.nat_destination_ip=198.51.100.9 panos.source_zone=trust panos.destination_zone=untrust panos.vsys=vsys1 panos.session_id=238810 rule.name=Web source.user.name=example\anna network.application=ssl observer.ingress.interface.name=ae1.10 observer.egress.interface.name=ae2 source.port=47094 destination.port=443 network.transport=tcp panos.action=allow event.category=network event.action=allowed event.type=allowed event.outcome=success network.bytes=5920 source.bytes=1800 destination.bytes=4120 network.packets=30 event.reason=tcp-fin
            | 1,2026/03/14 07:59:58,001,TRAFFIC,end,2561,2026/03/14 07:59:58,10.0.0.7,198.51.100.9,203.0.113.1,198.51.100.9,Web,example\anna,,ssl,vsys1,trust,untrust,ae1.10,ae2,to-wartburg,2026/03/14 07:59:58,238810,1,47094,443,47094,443,0x400053,tcp,allow,5920,1800,4120,30,2026/03/14 07:59:40,15,business,,7204,0x8000000000000000,10.0.0.0-10.255.255.255,Germany,,14,16,tcp-fin,0,0,0,0,,pa-1,from-policy"#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 pa-1 1,2026/03/14 07:59:58,001,SYSTEM,auth,2561,2026/03/14 07:59:58,,auth-fail,vpn,0,0,general,medium,"failed authentication for user 'anna'. Reason: Invalid username/password. auth profile 'LDAP', vsys 'vsys1', server profile 'DC', server address '10.0.0.5', From: 203.0.113.9.",7204,0x0,0,0,0,0,,pa-1,0,0,2026-03-14T07:59:58.440+01:00"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pa-1 event.module=panos observer.vendor='Palo Alto Networks' observer.product=PAN-OS panos.type=SYSTEM panos.subtype=auth observer.serial_number=001 event.code=auth-fail panos.object=vpn panos.module=general panos.severity=medium panos.description='failed authentication for user 'anna'. Reason: Invalid username/password. auth profile 'LDAP', vsys 'vsys1', server profile 'DC', server address '10.0.0.5', From: 203.0.113.9.' event.category=authentication event.action=login event.outcome=failure user.name=anna event.reason='Invalid username/password' source.ip=203.0.113.9
            | 1,2026/03/14 07:59:58,001,SYSTEM,auth,2561,2026/03/14 07:59:58,,auth-fail,vpn,0,0,general,medium,"failed authentication for user 'anna'. Reason: Invalid username/password. auth profile 'LDAP', vsys 'vsys1', server profile 'DC', server address '10.0.0.5', From: 203.0.113.9.",7204,0x0,0,0,0,0,,pa-1,0,0,2026-03-14T07:59:58.440+01:00"#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 pa-1 1,2026/03/14 07:59:58,001,SYSTEM,general,2561,2026/03/14 07:59:58,,general,,0,0,general,informational,"User admin logged in via Web from 10.0.0.9 using https",7204,0x0,0,0,0,0,,pa-1,0,0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pa-1 event.module=panos observer.vendor='Palo Alto Networks' observer.product=PAN-OS panos.type=SYSTEM panos.subtype=general observer.serial_number=001 event.code=general panos.module=general panos.severity=informational panos.description='User admin logged in via Web from 10.0.0.9 using https' event.category=authentication event.action=login event.outcome=success user.name=admin source.ip=10.0.0.9
            | 1,2026/03/14 07:59:58,001,SYSTEM,general,2561,2026/03/14 07:59:58,,general,,0,0,general,informational,"User admin logged in via Web from 10.0.0.9 using https",7204,0x0,0,0,0,0,,pa-1,0,0"#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 pa-1 1,2026/03/14 07:59:58,001,CONFIG,0,2561,2026/03/14 07:59:58,10.0.0.9,,set,anna,Web,Succeeded, vsys  vsys1 rulebase security rules  Web,7286,0x0,0,0,0,0,,pa-1,0,,0,2026-03-14T07:59:58.421+01:00,,"Web { action allow; comment ""a, b""; } ""#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pa-1 event.module=panos observer.vendor='Palo Alto Networks' observer.product=PAN-OS panos.type=CONFIG panos.subtype=0 observer.serial_number=001 event.category=configuration event.action=configuration_changed event.outcome=success source.ip=10.0.0.9 user.name=anna panos.command=set panos.client=Web panos.result=Succeeded panos.path='vsys  vsys1 rulebase security rules  Web'
            | 1,2026/03/14 07:59:58,001,CONFIG,0,2561,2026/03/14 07:59:58,10.0.0.9,,set,anna,Web,Succeeded, vsys  vsys1 rulebase security rules  Web,7286,0x0,0,0,0,0,,pa-1,0,,0,2026-03-14T07:59:58.421+01:00,,"Web { action allow; comment ""a, b""; } ""#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 pa-1 1,2026/03/14 07:59:58,001,GLOBALPROTECT,0,2305,2026/03/14 07:59:57,vsys1,gateway-auth,login,Other,,example\anna,DE,PC-7,203.0.113.9,0.0.0.0,0.0.0.0,0.0.0.0,985e865f,SERIALNR,5.1.1,Windows,"Microsoft Windows 11 Pro, 64-bit",1,,,"Authentication failed: Invalid username or password",failure,,0,pre-logon,0,GP GW,6894,0x8000000000000000"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=user log.level=informational host.name=pa-1 event.module=panos observer.vendor='Palo Alto Networks' observer.product=PAN-OS panos.type=GLOBALPROTECT panos.subtype=0 observer.serial_number=001 event.category=authentication event.action=vpn_login event.outcome=failure event.code=gateway-auth user.name=anna source.geo.country_name=DE source.domain=PC-7 source.ip=203.0.113.9 panos.stage=login panos.auth_method=Other panos.client_version=5.1.1 panos.portal='GP GW' event.reason='Authentication failed: Invalid username or password'
            | 1,2026/03/14 07:59:58,001,GLOBALPROTECT,0,2305,2026/03/14 07:59:57,vsys1,gateway-auth,login,Other,,example\anna,DE,PC-7,203.0.113.9,0.0.0.0,0.0.0.0,0.0.0.0,985e865f,SERIALNR,5.1.1,Windows,"Microsoft Windows 11 Pro, 64-bit",1,,,"Authentication failed: Invalid username or password",failure,,0,pre-logon,0,GP GW,6894,0x8000000000000000"#]],
    );
    check(
        r#"<14>Mar 14 07:59:58 app report,SYSTEM,x"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=user log.level=informational host.name=app
        | report,SYSTEM,x"#]],
    );
}

#[test]
fn opnsense_and_pfsense_golden() {
    check(
        r#"<134>1 2026-03-14T07:59:58+01:00 fw filterlog 698 - - 98,,,1000000103,re0,match,block,in,4,0x0,,64,1,0,none,1,icmp,84,203.0.113.9,198.51.100.1,request,7,1"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698 event.module=filterlog rule.id=1000000103 filterlog.rule=98 event.reason=match event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=re0 filterlog.ttl=64 network.transport=icmp network.bytes=84 source.ip=203.0.113.9 destination.ip=198.51.100.1 filterlog.icmp_type=request filterlog.icmp_id=7
            | 98,,,1000000103,re0,match,block,in,4,0x0,,64,1,0,none,1,icmp,84,203.0.113.9,198.51.100.1,request,7,1"#]],
    );
    check(
        r#"<134>1 2026-03-14T07:59:58+01:00 fw filterlog 698 - - 98,,,1000000103,re0,match,pass,out,4,0x0,,64,1,0,none,1,icmp,84,198.51.100.1,203.0.113.9,unreachport,10.0.0.7,17,53"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698 event.module=filterlog rule.id=1000000103 filterlog.rule=98 event.reason=match event.category=network event.action=allowed event.type=allowed event.outcome=success network.direction=outbound observer.egress.interface.name=re0 filterlog.ttl=64 network.transport=icmp network.bytes=84 source.ip=198.51.100.1 destination.ip=203.0.113.9 filterlog.icmp_type=unreachport filterlog.icmp_destination_ip=10.0.0.7
            | 98,,,1000000103,re0,match,pass,out,4,0x0,,64,1,0,none,1,icmp,84,198.51.100.1,203.0.113.9,unreachport,10.0.0.7,17,53"#]],
    );
    check(
        r#"<134>1 2026-03-14T07:59:58+01:00 fw filterlog 698 - - 12,,,1000000103,em1,match,pass,in,4,0xe0,,255,1,0,DF,112,carp,56,10.0.0.2,224.0.0.18,advertise,255,1,2,1,0"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698 event.module=filterlog rule.id=1000000103 filterlog.rule=12 event.reason=match event.category=network event.action=allowed event.type=allowed event.outcome=success network.direction=inbound observer.ingress.interface.name=em1 filterlog.ttl=255 network.transport=carp network.bytes=56 source.ip=10.0.0.2 destination.ip=224.0.0.18 filterlog.carp_type=advertise filterlog.carp_ttl=255 filterlog.carp_vhid=1 filterlog.carp_version=2 filterlog.carp_advbase=1 filterlog.carp_advskew=0
            | 12,,,1000000103,em1,match,pass,in,4,0xe0,,255,1,0,DF,112,carp,56,10.0.0.2,224.0.0.18,advertise,255,1,2,1,0"#]],
    );
    check(
        r#"<134>Mar 14 07:59:58 fw filterlog[15307]: 6,,,1000000105,igb1.27,match,block,in,6,0x00,0xf6279,1,UDP,17,32,fe80::208:9bff:fef3:652b,ff02::1:2,546,547,32"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=15307 event.module=filterlog rule.id=1000000105 filterlog.rule=6 event.reason=match event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=igb1.27 filterlog.ttl=1 network.transport=udp network.bytes=32 source.ip=fe80::208:9bff:fef3:652b destination.ip=ff02::1:2 source.port=546 destination.port=547
            | 6,,,1000000105,igb1.27,match,block,in,6,0x00,0xf6279,1,UDP,17,32,fe80::208:9bff:fef3:652b,ff02::1:2,546,547,32"#]],
    );
    check(
        r#"<134>1 2026-03-14T07:59:58+01:00 fw filterlog 698 - - 621,,,1644355515,vtnet0.10,match,block,in,6,0x00,0x07c63,64,TCP,6,44,2001:db8::69,2001:db8::6,65382,443,0,S,1927530165,,0,,mss"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=local0 log.level=informational host.name=fw process.name=filterlog process.pid=698 event.module=filterlog rule.id=1644355515 filterlog.rule=621 event.reason=match event.category=network event.action=blocked event.type=denied event.outcome=failure network.direction=inbound observer.ingress.interface.name=vtnet0.10 filterlog.ttl=64 network.transport=tcp network.bytes=44 source.ip=2001:db8::69 destination.ip=2001:db8::6 source.port=65382 destination.port=443 filterlog.tcp_flags=S
            | 621,,,1644355515,vtnet0.10,match,block,in,6,0x00,0x07c63,64,TCP,6,44,2001:db8::69,2001:db8::6,65382,443,0,S,1927530165,,0,,mss"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 fw unbound[75499]: [26931:0] info: 10.0.0.1 api.example.org. A IN"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=daemon log.level=informational host.name=fw process.name=unbound process.pid=75499 event.module=unbound event.category=network event.action=dns_query network.protocol=dns dns.question.name=api.example.org dns.question.type=A source.ip=10.0.0.1
        | [26931:0] info: 10.0.0.1 api.example.org. A IN"#]],
    );
    check(
        r#"<37>Mar 14 07:59:58 fw openvpn[19830]: user 'anna' authenticated"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=auth log.level=notice host.name=fw process.name=openvpn process.pid=19830 event.module=openvpn event.category=authentication event.action=vpn_login event.outcome=success user.name=anna
        | user 'anna' authenticated"#]],
    );
    check(
        r#"<36>1 2026-03-14T07:59:58+01:00 fw openvpn 68813 - - user 'anna' could not authenticate."#,
        expect![[r#"
        2026-03-14T06:59:58.000Z
        log.syslog.facility.name=auth log.level=warning host.name=fw process.name=openvpn process.pid=68813 event.module=openvpn event.category=authentication event.action=vpn_login event.outcome=failure user.name=anna
        | user 'anna' could not authenticate."#]],
    );
    check(
        r#"<27>1 2026-03-14T07:59:58+01:00 fw openvpn 66026 - - TLS Error: cannot locate HMAC in incoming packet from [AF_INET]203.0.113.1:34745"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z
            log.syslog.facility.name=daemon log.level=error host.name=fw process.name=openvpn process.pid=66026 event.module=openvpn event.category=authentication event.action=vpn_login event.outcome=failure event.reason='TLS Error: cannot locate HMAC in incoming packet from [AF_INET]203.0.113.1:34745' source.ip=203.0.113.1 source.port=34745
            | TLS Error: cannot locate HMAC in incoming packet from [AF_INET]203.0.113.1:34745"#]],
    );
    check(
        r#"<29>Mar 14 07:59:58 fw openvpn[66026]: anna/203.0.113.9:37849 MULTI_sva: pool returned IPv4=10.8.0.2, IPv6=(Not enabled)"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=notice host.name=fw process.name=openvpn process.pid=66026 event.module=openvpn source.ip=203.0.113.9 source.port=37849 event.category=network event.action=vpn_address event.outcome=success openvpn.assigned_ip=10.8.0.2 user.name=anna
            | anna/203.0.113.9:37849 MULTI_sva: pool returned IPv4=10.8.0.2, IPv6=(Not enabled)"#]],
    );
    check(
        r#"<29>Mar 14 07:59:58 fw openvpn[66026]: anna/203.0.113.9:37849 SIGTERM[soft,remote-exit] received, client-instance exiting"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=notice host.name=fw process.name=openvpn process.pid=66026 event.module=openvpn source.ip=203.0.113.9 source.port=37849 event.category=session event.action=vpn_logout user.name=anna
            | anna/203.0.113.9:37849 SIGTERM[soft,remote-exit] received, client-instance exiting"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 fw charon[158]: 06[IKE] <ra|83> IKE_SA ra[83] established between 198.51.100.1[gw.example.org]...203.0.113.9[anna@example.org]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=fw process.name=charon process.pid=158 event.module=strongswan event.category=network strongswan.subsystem=IKE strongswan.connection=ra|83 event.category=network event.action=vpn_established event.outcome=success source.ip=203.0.113.9 strongswan.peer_id=anna@example.org
            | 06[IKE] <ra|83> IKE_SA ra[83] established between 198.51.100.1[gw.example.org]...203.0.113.9[anna@example.org]"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 fw charon[158]: 06[IKE] <ra|83> assigning virtual IP 10.9.0.7 to peer 'anna'"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=daemon log.level=informational host.name=fw process.name=charon process.pid=158 event.module=strongswan event.category=network strongswan.subsystem=IKE strongswan.connection=ra|83 event.category=network event.action=vpn_address event.outcome=success strongswan.assigned_ip=10.9.0.7 user.name=anna
        | 06[IKE] <ra|83> assigning virtual IP 10.9.0.7 to peer 'anna'"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 fw charon[158]: 06[IKE] <ra|83> received AUTHENTICATION_FAILED notify error"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=daemon log.level=informational host.name=fw process.name=charon process.pid=158 event.module=strongswan event.category=network strongswan.subsystem=IKE strongswan.connection=ra|83 event.category=authentication event.action=vpn_login event.outcome=failure event.reason=AUTHENTICATION_FAILED
        | 06[IKE] <ra|83> received AUTHENTICATION_FAILED notify error"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 fw charon[158]: 06[CFG] <83> no matching peer config found"#,
        expect![[r#"
        2026-03-14T06:59:58.000Z no_year
        log.syslog.facility.name=daemon log.level=informational host.name=fw process.name=charon process.pid=158 event.module=strongswan event.category=network strongswan.subsystem=CFG strongswan.connection=83 event.category=network event.action=ike_negotiation event.outcome=failure event.reason='no matching peer config found'
        | 06[CFG] <83> no matching peer config found"#]],
    );
    check(
        r#"<30>Mar 14 07:59:58 fw charon[158]: 06[IKE] <ra|83> deleting IKE_SA ra[83] between 198.51.100.1[gw.example.org]...203.0.113.9[anna@example.org]"#,
        expect![[r#"
            2026-03-14T06:59:58.000Z no_year
            log.syslog.facility.name=daemon log.level=informational host.name=fw process.name=charon process.pid=158 event.module=strongswan event.category=network strongswan.subsystem=IKE strongswan.connection=ra|83 event.category=network event.action=vpn_terminated event.outcome=success source.ip=203.0.113.9 user.name=anna@example.org
            | 06[IKE] <ra|83> deleting IKE_SA ra[83] between 198.51.100.1[gw.example.org]...203.0.113.9[anna@example.org]"#]],
    );
}
