//! logger, rsyslog and syslog-ng: plain, over TLS with a client's certificate, and over RELP.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use ingest::listen::Listener;

use super::{Certificates, Receiver, Running, SERVER_NAME, program, rsyslog, run, wait_for};
use crate::program::{Server, json_lines};

const LINES: usize = 500;

#[test]
fn logger_speaks_every_dialect() {
    let Some(logger) = program("logger", None) else { return };
    let mut receiver = Receiver::start();
    let (udp, tcp) = (receiver.at[Listener::SyslogUdp].unwrap(), receiver.at[Listener::SyslogTcp].unwrap());
    for (number, (at, flags)) in [
        (udp, &["--udp", "--rfc3164"][..]),
        (udp, &["--udp", "--rfc5424"]),
        (tcp, &["--tcp", "--rfc3164"]),
        (tcp, &["--tcp", "--rfc5424"]),
        (tcp, &["--tcp", "--rfc3164", "--octet-count"]),
        (tcp, &["--tcp", "--rfc5424", "--octet-count"]),
    ]
    .into_iter()
    .enumerate()
    {
        let message = format!("Anmeldung {number} für müller");
        let mut command = Command::new(&logger);
        command.args(["--server", "127.0.0.1", "--port", &at.port().to_string(), "--priority", "auth.warning", "--tag", "wartburg"]);
        run(command.args(flags).arg(&message));
        let line = receiver.lines(1).remove(0);
        // <36> is auth.warning; after it RFC 5424 has a version, RFC 3164 a month.
        let start = if flags.contains(&"--rfc5424") { "<36>1 " } else { "<36>" };
        assert!(line.starts_with(start) && line.ends_with(&message), "{flags:?}: {line}");
        assert_eq!(line.contains("<36>1 "), flags.contains(&"--rfc5424"), "{flags:?}: {line}");
    }
}

#[test]
fn rsyslog_forwards_in_both_framings() {
    for framing in ["traditional", "octet-counted"] {
        let mut receiver = Receiver::start();
        let dir = tempfile::tempdir().unwrap();
        let port = receiver.at[Listener::SyslogTcp].unwrap().port();
        let action = format!(
            r#"action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="{framing}"
                      template="RSYSLOG_SyslogProtocol23Format")"#
        );
        let Some(_rsyslogd) = start_rsyslog(dir.path(), "", &action) else { return };
        forward_lines(&dir.path().join("log"));
        expect_forwarded(&receiver.lines(LINES), framing);
    }
}

#[test]
fn rsyslog_forwards_over_tls() {
    let certificates = Certificates::new();
    let mut receiver = Receiver::start_with(Some(certificates.files()));
    let dir = tempfile::tempdir().unwrap();
    let port = receiver.at[Listener::SyslogTls].unwrap().port();
    let [ca, certificate, key] = certificates.of_client();
    let global = format!(
        r#"DefaultNetstreamDriver="ossl" DefaultNetstreamDriverCAFile="{ca}" DefaultNetstreamDriverCertFile="{certificate}"
           DefaultNetstreamDriverKeyFile="{key}""#
    );
    let action = format!(
        r#"action(type="omfwd" target="127.0.0.1" port="{port}" protocol="tcp" TCP_Framing="octet-counted"
                  StreamDriver="ossl" StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="{SERVER_NAME}"
                  template="RSYSLOG_SyslogProtocol23Format")"#
    );
    let Some(_rsyslogd) = start_rsyslog(dir.path(), &global, &action) else { return };
    forward_lines(&dir.path().join("log"));
    expect_forwarded(&receiver.lines(LINES), "TLS");
}

#[test]
fn rsyslog_forwards_over_relp() {
    let certificates = Certificates::new();
    for listener in [Listener::Relp, Listener::RelpTls] {
        let mut receiver = Receiver::start_with(Some(certificates.files()));
        let dir = tempfile::tempdir().unwrap();
        let port = receiver.at[listener].expect("RELP listens").port();
        let [ca, certificate, key] = certificates.of_client();
        let tls = match listener {
            Listener::RelpTls => format!(
                r#"tls="on" tls.caCert="{ca}" tls.myCert="{certificate}" tls.myPrivKey="{key}" tls.authMode="name"
                   tls.permittedPeer=["{SERVER_NAME}"]"#
            ),
            _ => String::new(),
        };
        let action = format!(
            r#"module(load="omrelp" tls.tlslib="openssl")
               action(type="omrelp" target="127.0.0.1" port="{port}" {tls} template="RSYSLOG_SyslogProtocol23Format")"#
        );
        let Some(_rsyslogd) = start_rsyslog(dir.path(), "", &action) else { return };
        forward_lines(&dir.path().join("log"));
        expect_forwarded(&receiver.lines(LINES), listener.as_str());
    }
}

/// The whole way: a real client, an acknowledgement after fsync, the decoder, the store, a search by fields.
#[test]
fn what_rsyslog_sends_over_relp_is_found_by_its_fields() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data);
    let port = server.address(Listener::Relp).expect("RELP listens").port();
    let action = format!(
        r#"module(load="omrelp")
           action(type="omrelp" target="127.0.0.1" port="{port}" template="RSYSLOG_SyslogProtocol23Format")"#
    );
    let Some(rsyslogd) = start_rsyslog(dir.path(), "", &action) else { return };
    let sender = UnixDatagram::unbound().unwrap();
    // To its local socket, where a line names no host.
    let line = "<86>Nov 21 10:00:00 sshd[77]: Accepted password for müller from 192.0.2.7 port 50022 ssh2";
    wait_for("rsyslog takes the line", || sender.send_to(line.as_bytes(), dir.path().join("log")).is_ok());
    let query = "source.ip:192.0.2.7 user.name:müller process.name:sshd";
    // The server shows it after its commit; ended, it has committed.
    wait_for("the line is counted", || {
        json_lines(&data, &["sources", "--json"]).iter().any(|source| source["transport"] == "relp" && source["frames"] == 1)
    });
    drop(rsyslogd);
    assert!(server.terminate());
    let found = json_lines(&data, &["search", query, "--json"]);
    assert_eq!(found.len(), 1, "of {:#?}", json_lines(&data, &["search", "*", "--json"]));
    assert_eq!((&found[0]["event.action"], &found[0]["event.outcome"]), (&"ssh_login".into(), &"success".into()), "{found:#?}");
}

/// rsyslog with a local socket `log` in `dir` and this action; `None`, said aloud, where there is none.
fn start_rsyslog(dir: &Path, global: &str, action: &str) -> Option<Running> {
    let (rsyslogd, modules) = rsyslog()?;
    let config = format!(
        r#"global(workDirectory="{dir}" {global})
           module(load="imuxsock" SysSock.Use="off")
           input(type="imuxsock" Socket="{dir}/log" RateLimit.Interval="0" UseSpecialParser="off")
           {action}"#,
        dir = dir.display()
    );
    std::fs::write(dir.join("rsyslog.conf"), config).unwrap();
    let mut command = Command::new(&rsyslogd);
    command.args(["-n", "-iNONE", "-f"]).arg(dir.join("rsyslog.conf"));
    if let Some(modules) = &modules {
        command.arg("-M").arg(modules);
    }
    Some(Running::start(&mut command, dir))
}

#[test]
fn syslog_ng_forwards_in_both_framings() {
    for driver in ["network", "syslog"] {
        let mut receiver = Receiver::start();
        let port = receiver.at[Listener::SyslogTcp].unwrap().port();
        // The newline-framed driver sends RFC 3164, the counted one RFC 5424.
        let destination = format!(r#"{driver}("127.0.0.1" port({port}) transport("tcp"));"#);
        let dir = tempfile::tempdir().unwrap();
        let Some(_syslog_ng) = start_syslog_ng(dir.path(), &destination) else { return };
        forward_lines(&dir.path().join("log"));
        expect_forwarded(&receiver.lines(LINES), driver);
    }
}

#[test]
fn syslog_ng_forwards_over_tls() {
    let certificates = Certificates::new();
    let mut receiver = Receiver::start_with(Some(certificates.files()));
    let port = receiver.at[Listener::SyslogTls].unwrap().port();
    let [ca, certificate, key] = certificates.of_client();
    let destination = format!(
        r#"syslog("127.0.0.1" port({port}) transport("tls")
               tls(ca-file("{ca}") cert-file("{certificate}") key-file("{key}") peer-verify(required-trusted)));"#
    );
    let dir = tempfile::tempdir().unwrap();
    let Some(_syslog_ng) = start_syslog_ng(dir.path(), &destination) else { return };
    forward_lines(&dir.path().join("log"));
    expect_forwarded(&receiver.lines(LINES), "TLS");
}

/// syslog-ng with a local socket `log` in `dir` and this destination; `None`, said aloud, where there is none.
fn start_syslog_ng(dir: &Path, destination: &str) -> Option<Running> {
    let syslog_ng = program("syslog-ng", None)?;
    let config = format!(
        r#"@version: current
           options {{ keep-hostname(yes); stats-freq(0); }};
           source in {{ unix-dgram("{dir}/log"); }};
           destination out {{ {destination} }};
           log {{ source(in); destination(out); }};"#,
        dir = dir.display()
    );
    std::fs::write(dir.join("syslog-ng.conf"), config).unwrap();
    let mut command = Command::new(&syslog_ng);
    command.args(["--foreground", "--no-caps"]);
    for (flag, file) in [("--cfgfile", "syslog-ng.conf"), ("--persist-file", "persist"), ("--control", "control"), ("--pidfile", "pid")] {
        command.arg(flag).arg(dir.join(file));
    }
    Some(Running::start(&mut command, dir))
}

/// Gives the lines to a forwarder's local socket, once it is there.
fn forward_lines(socket: &Path) {
    let sender = UnixDatagram::unbound().unwrap();
    for number in 0..LINES {
        let line = format!("<38>Nov 21 10:00:00 rathaus sshd[77]: Accepted password {number} für müller");
        wait_for(&format!("{} takes line {number}", socket.display()), || sender.send_to(line.as_bytes(), socket).is_ok());
    }
}

fn expect_forwarded(lines: &[String], how: &str) {
    for (number, line) in lines.iter().enumerate() {
        let has = line.starts_with("<38>") && line.contains("rathaus") && line.contains("sshd");
        assert!(has && line.trim_end().ends_with(&format!("Accepted password {number} für müller")), "{how}, line {number}: {line}");
    }
}
