//! Against logs that nobody here wrote: loghub's and crowdsec's, where they lie beside the workspace. Where they are
//! absent the tests say so and pass, unless `WARTBURG_CORPORA_REQUIRED=1`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Options, decode};
use crate::body::SITE_UNKNOWN;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use crate::time::Timestamp;

/// Of the lines, this share must agree with the corpus' own reading.
const AGREEMENT_MIN: f64 = 0.999;

pub(super) fn corpora() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|required| required != "1"), "no corpora at {}", folder.display());
    eprintln!("skipped: no corpora at {} (set WARTBURG_CORPORA)", folder.display());
    None
}

fn event(line: &str) -> Event {
    let received_at = Timestamp::parse_rfc3339("2026-03-14T08:00:00+01:00").unwrap();
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let payload = line.as_bytes().into();
    let frame = NewFrame {
        received_at,
        site: SITE_UNKNOWN,
        peer,
        transport: Transport::Import,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload,
    };
    decode(&Frame { seq: Seq(1), frame }, &Options::default()).unwrap()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn text(event: &Event, field: FieldId) -> String {
    event.get(field).map(|value| value.text().into_owned()).unwrap_or_default()
}

/// The columns of a CSV row; quotes as RFC 4180 has them.
fn columns(row: &str) -> Vec<String> {
    let (mut columns, mut quoted) = (vec![String::new()], false);
    for char in row.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => columns.push(String::new()),
            _ => columns.last_mut().unwrap().push(char),
        }
    }
    columns
}

/// Compares host, process, pid and message of each line with the structured CSV.
fn agrees(name: &str, wanted: [&str; 4]) {
    let Some(folder) = corpora().map(|corpora| corpora.join("loghub").join(name)) else { return };
    let lines = lines(&folder.join(format!("{name}_2k.log")));
    let rows = self::lines(&folder.join(format!("{name}_2k.log_structured.csv")));
    let header = columns(&rows[0]);
    let places = wanted.map(|wanted| header.iter().position(|column| column == wanted));
    let mut wrong = Vec::new();
    for (line, row) in lines.iter().zip(&rows[1..]) {
        let (event, row) = (event(line), columns(row));
        let read = [
            text(&event, fields::HOST_NAME),
            text(&event, fields::PROCESS_NAME),
            text(&event, fields::PROCESS_PID),
            event.message().trim().to_owned(),
        ];
        // A message with quotes of its own is not compared: the corpus' CSV has lost them.
        let same = places.iter().zip(&read).all(|(place, read)| place.is_none_or(|place| row[place].trim() == *read || read.contains('"')));
        if !same {
            wrong.push(format!("{line}\n   read {read:?}"));
        }
    }
    let agreement = 1.0 - wrong.len() as f64 / lines.len() as f64;
    assert!(agreement >= AGREEMENT_MIN, "{name}: {agreement}\n{}", wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n"));
}

#[test]
fn loghub_headers_are_read_as_loghub_reads_them() {
    // loghub's table of OpenSSH calls the host `Component` and leaves the program out; that of Linux calls it `Level`.
    agrees("OpenSSH", ["Component", "", "Pid", "Content"]);
    agrees("Linux", ["Level", "Component", "PID", "Content"]);
    agrees("Apache", ["", "", "", "Content"]);
}

#[test]
fn every_failed_password_names_who_and_whence() {
    let Some(corpora) = corpora() else { return };
    let mut counted = 0;
    for line in lines(&corpora.join("loghub/OpenSSH/OpenSSH_2k.log")).iter().filter(|line| line.contains(" Failed password for ")) {
        let event = event(line);
        assert_eq!(text(&event, fields::EVENT_ACTION), "ssh_login", "{line}");
        assert_eq!(text(&event, fields::EVENT_OUTCOME), "failure", "{line}");
        assert!(matches!(event.get(fields::SOURCE_IP), Some(ValueRef::Ip(_))), "{line}");
        assert!(event.has(fields::USER_NAME), "{line}");
        counted += 1;
    }
    assert!(counted > 400, "{counted}");
}

/// What sshd and PAM say of a login always names an action.
#[test]
fn no_line_about_a_login_is_left_unread() {
    let Some(corpora) = corpora() else { return };
    let mut unread: BTreeMap<String, usize> = BTreeMap::new();
    for file in ["loghub/OpenSSH/OpenSSH_2k.log", "loghub/Linux/Linux_2k.log"] {
        for line in lines(&corpora.join(file)) {
            let event = event(&line);
            if text(&event, fields::PROCESS_NAME).starts_with("sshd") && !event.has(fields::EVENT_ACTION) {
                *unread.entry(event.message().split(' ').take(3).collect::<Vec<_>>().join(" ")).or_default() += 1;
            }
        }
    }
    let total: usize = unread.values().sum();
    assert!(total <= 60, "{total} {unread:#?}");
}

/// One of crowdsec's `parser.assert` lines that speaks of a stage: which event, which field, what value.
fn assertion<'a>(line: &'a str, stage: &str) -> Option<(usize, &'a str, String)> {
    let (place, wanted) = line.strip_prefix("results[\"")?.strip_prefix(stage)?.split_once(" == ")?;
    let (number, field) = place.split_once("].Evt.")?;
    let n = number.rsplit('[').next()?.parse().ok()?;
    let wanted = wanted.strip_prefix('"')?.strip_suffix('"')?;
    Some((n, field, serde_json::from_str(&format!("\"{wanted}\"")).ok()?))
}

/// Each crowdsec case: its name, its log's lines as events, its assertions.
fn crowdsec_cases(corpora: &Path) -> Vec<(String, Vec<Event>, String)> {
    let mut cases = Vec::new();
    for case in fs::read_dir(corpora.join("crowdsec")).unwrap() {
        let case = case.unwrap().path();
        let log =
            fs::read_dir(&case).unwrap().map(|file| file.unwrap().path()).find(|path| path.extension().is_some_and(|end| end == "log"));
        let (Some(log), Ok(asserts)) = (log, fs::read_to_string(case.join("parser.assert"))) else { continue };
        let Ok(text) = fs::read_to_string(log) else { continue };
        let events = text.lines().filter(|line| !line.is_empty()).map(event).collect();
        cases.push((case.file_name().unwrap().to_string_lossy().into_owned(), events, asserts));
    }
    cases
}

/// The header of every product in crowdsec's collection that speaks syslog.
#[test]
fn crowdsec_headers_are_read_as_crowdsec_reads_them() {
    let Some(corpora) = corpora() else { return };
    let (mut compared, mut wrong) = (0, Vec::new());
    for (name, events, asserts) in crowdsec_cases(&corpora) {
        for line in asserts.lines() {
            let Some((n, field, wanted)) = assertion(line, "s00-raw\"][\"crowdsecurity/syslog-logs\"]") else { continue };
            let Some(event) = events.get(n) else { continue };
            let read = match field {
                "Parsed[\"program\"]" => text(event, fields::PROCESS_NAME),
                "Parsed[\"pid\"]" => text(event, fields::PROCESS_PID),
                "Parsed[\"message\"]" => event.message().to_owned(),
                "Meta[\"machine\"]" => text(event, fields::HOST_NAME),
                _ => continue,
            };
            compared += 1;
            if read.trim() != wanted.trim() {
                wrong.push(format!("{name} {field}: {read:?} instead of {wanted:?}\n   {}", event.line()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared}\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared >= 500, "only {compared} assertions compared");
}

/// crowdsec's assertions of the parts we decode too: its names, ours, and the folders.
#[test]
fn crowdsec_reads_the_same() {
    const NAMES: &[(&str, FieldId)] = &[
        ("Parsed[\"program\"]", fields::PROCESS_NAME),
        ("Parsed[\"pid\"]", fields::PROCESS_PID),
        ("Parsed[\"sshd_client_ip\"]", fields::SOURCE_IP),
        ("Parsed[\"sshd_invalid_user\"]", fields::USER_NAME),
        ("Parsed[\"sshd_auth_user\"]", fields::USER_NAME),
        ("Parsed[\"src_ip\"]", fields::SOURCE_IP),
        ("Parsed[\"dst_ip\"]", fields::DESTINATION_IP),
        ("Parsed[\"src_port\"]", fields::SOURCE_PORT),
        ("Parsed[\"dst_port\"]", fields::DESTINATION_PORT),
        ("Meta[\"source_ip\"]", fields::SOURCE_IP),
        ("Meta[\"target_user\"]", fields::USER_NAME),
        ("Meta[\"machine\"]", fields::HOST_NAME),
    ];
    let Some(corpora) = corpora() else { return };
    let mut compared = 0;
    for (name, events, asserts) in crowdsec_cases(&corpora) {
        if !["ssh-", "sshd-", "opnsense-sshd", "iptables-"].iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        for line in asserts.lines() {
            let Some((n, place, wanted)) = assertion(line, "s01-parse\"]") else { continue };
            let Some((_, field)) = NAMES.iter().find(|(name, _)| *name == place).filter(|_| !wanted.is_empty()) else { continue };
            assert_eq!(text(&events[n], *field), wanted, "{name} {line}\n{}", events[n].line());
            compared += 1;
        }
    }
    assert!(compared >= 40, "only {compared} assertions compared");
}

/// crowdsec's name of a field, and ours.
const CROWDSEC_NAMES: &[(&str, FieldId)] = &[
    ("Meta[\"source_ip\"]", fields::SOURCE_IP),
    ("Parsed[\"clientip\"]", fields::SOURCE_IP),
    ("Parsed[\"client\"]", fields::SOURCE_IP),
    ("Parsed[\"client_ip\"]", fields::SOURCE_IP),
    ("Parsed[\"remote_addr\"]", fields::SOURCE_IP),
    ("Parsed[\"remote_ip\"]", fields::SOURCE_IP),
    ("Parsed[\"src_ip\"]", fields::SOURCE_IP),
    ("Parsed[\"source_ip\"]", fields::SOURCE_IP),
    ("Parsed[\"dovecot_remote_ip\"]", fields::SOURCE_IP),
    ("Parsed[\"dovecot_local_ip\"]", fields::DESTINATION_IP),
    ("Parsed[\"dst_ip\"]", fields::DESTINATION_IP),
    ("Parsed[\"dest_ip\"]", fields::DESTINATION_IP),
    ("Parsed[\"target_ip\"]", fields::DESTINATION_IP),
    ("Parsed[\"src_port\"]", fields::SOURCE_PORT),
    ("Parsed[\"source_port\"]", fields::SOURCE_PORT),
    ("Parsed[\"clientport\"]", fields::SOURCE_PORT),
    ("Parsed[\"client_port\"]", fields::SOURCE_PORT),
    ("Parsed[\"remote_port\"]", fields::SOURCE_PORT),
    ("Parsed[\"dst_port\"]", fields::DESTINATION_PORT),
    ("Parsed[\"dest_port\"]", fields::DESTINATION_PORT),
    ("Parsed[\"target_port\"]", fields::DESTINATION_PORT),
    ("Parsed[\"verb\"]", fields::HTTP_METHOD),
    ("Meta[\"http_verb\"]", fields::HTTP_METHOD),
    ("Meta[\"http_status\"]", fields::HTTP_STATUS),
    ("Parsed[\"response\"]", fields::HTTP_STATUS),
    ("Parsed[\"status\"]", fields::HTTP_STATUS),
    ("Parsed[\"httpversion\"]", fields::HTTP_VERSION),
    ("Parsed[\"http_version\"]", fields::HTTP_VERSION),
    ("Parsed[\"http_user_agent\"]", fields::USER_AGENT),
    ("Meta[\"http_user_agent\"]", fields::USER_AGENT),
    ("Parsed[\"bytes\"]", fields::HTTP_RESPONSE_BYTES),
    ("Parsed[\"body_bytes_sent\"]", fields::HTTP_RESPONSE_BYTES),
    ("Parsed[\"referrer\"]", fields::HTTP_REFERRER),
    ("Parsed[\"http_referer\"]", fields::HTTP_REFERRER),
    ("Parsed[\"request\"]", fields::URL_ORIGINAL),
    ("Meta[\"http_path\"]", fields::URL_ORIGINAL),
    ("Parsed[\"target_fqdn\"]", fields::URL_DOMAIN),
    ("Parsed[\"user\"]", fields::USER_NAME),
    ("Parsed[\"username\"]", fields::USER_NAME),
    ("Parsed[\"dovecot_user\"]", fields::USER_NAME),
    ("Parsed[\"pgsql_user\"]", fields::USER_NAME),
    ("Parsed[\"invalid_user\"]", fields::USER_NAME),
    ("Meta[\"username\"]", fields::USER_NAME),
    ("Meta[\"user\"]", fields::USER_NAME),
    ("Meta[\"machine\"]", fields::HOST_NAME),
    ("Parsed[\"loglevel\"]", fields::LOG_LEVEL),
    ("Parsed[\"iface\"]", fields::OBSERVER_INGRESS_INTERFACE),
    ("Parsed[\"if_in\"]", fields::OBSERVER_INGRESS_INTERFACE),
    ("Parsed[\"src_mac\"]", fields::SOURCE_MAC),
    ("Parsed[\"length\"]", fields::NETWORK_BYTES),
    ("Parsed[\"rule_id\"]", fields::RULE_ID),
    ("Parsed[\"ruleid\"]", fields::RULE_ID),
    ("Parsed[\"suricata_alert_signature\"]", fields::RULE_NAME),
    ("Parsed[\"rulemessage\"]", fields::RULE_NAME),
    ("Meta[\"suricata_rule_severity\"]", fields::EVENT_SEVERITY),
    ("Meta[\"suricata_alert_signature_id\"]", fields::RULE_ID),
    ("Meta[\"exe\"]", fields::PROCESS_EXECUTABLE),
    ("Meta[\"comm\"]", fields::PROCESS_NAME),
    ("Meta[\"pid\"]", fields::PROCESS_PID),
    ("Meta[\"ppid\"]", fields::PROCESS_PARENT_PID),
    ("Meta[\"parent_progname\"]", fields::PROCESS_PARENT_EXECUTABLE),
    ("Meta[\"uid\"]", fields::USER_ID),
    ("Meta[\"target_fqdn\"]", fields::URL_DOMAIN),
];

/// The cases whose products have a decoder of ours. A difference that is meant stands in `DIFFERENT_ON_PURPOSE`.
const CROWDSEC_CASES: &[&str] = &[
    "apache2-logs",
    "apache2-malformed",
    "bind9-logs",
    "bind9-syslog",
    "caddy-logs",
    "charon-ipsec-logs",
    "dovecot-slow-bf",
    "haproxy-nextcloud-whitelist",
    "iis-xml-logs",
    "keycloak-logs",
    "laurel-logs",
    "mariadb-logs",
    "mikrotik-logs",
    "modsecurity-logs",
    "mysql-logs",
    "nginx-proxy-manager-logs",
    "pf-logs",
    "pfsense-rfc5424-nginx",
    "opnsense-gui-auth",
    "palo-alto-threat",
    "pgsql-user-enum",
    "suricata-logs-evelog",
    "suricata-logs-fastlog",
    "wireguard-logs",
];

/// Case, crowdsec's name and the reason.
const DIFFERENT_ON_PURPOSE: &[(&str, &str, &str)] = &[
    ("pf-logs", "Parsed[\"iface\"]", "an outgoing packet's interface is the egress"),
    ("iis-xml-logs", "Meta[\"http_path\"]", "the request with its query; the path alone is url.path"),
    ("iis-xml-logs", "Meta[\"target_fqdn\"]", "W3SVC1 is a site's name in IIS, not a domain"),
    ("iis-xml-logs", "Meta[\"http_user_agent\"]", "IIS writes blanks as +"),
];

/// Every line of rsyslog's Snare samples: its event, channel, computer and user.
#[test]
fn snare_lines_say_their_event_channel_computer_and_user() {
    let Some(corpora) = corpora() else { return };
    let mut counted = 0;
    for file in ["sample-custom-pattern.data", "sample-windows2022-security.data"] {
        for line in lines(&corpora.join("rsyslog/snare").join(file)).iter().filter(|line| line.contains("MSWinEventLog")) {
            let columns: Vec<&str> = line.split('\t').collect();
            let event = event(line);
            let vendor = |name: &str| FieldId::find(name).map(|field| text(&event, field)).unwrap_or_default();
            assert_eq!(text(&event, fields::EVENT_CODE), columns[5], "{line}");
            assert_eq!(vendor("winlog.channel"), columns[2], "{line}");
            assert_eq!(text(&event, fields::HOST_NAME), columns[10], "{line}");
            // The account that the event is about, where its text names one.
            if let Some((_, rest)) = columns[13].split_once("New Logon:") {
                let user = rest.split_once("Account Name:").unwrap().1.trim_start().split("  ").next().unwrap();
                assert_eq!(text(&event, fields::USER_NAME), user, "{line}");
            }
            if columns[13].contains("Subject:") && columns[13].contains("Account Name:  SYSTEM") {
                assert!(event.has(fields::USER_NAME) || vendor("winlog.event_data.SubjectUserName") == "SYSTEM", "{line}");
            }
            counted += 1;
        }
    }
    assert!(counted >= 270, "{counted}");
}

/// Of the asserted fields of a case, this share must be equal.
const FIELDS_EQUAL_MIN: f64 = 0.95;

#[test]
fn crowdsec_products_are_read_field_by_field() {
    let Some(corpora) = corpora() else { return };
    let mut report = String::new();
    let mut short = Vec::new();
    for (name, events, asserts) in crowdsec_cases(&corpora) {
        if !CROWDSEC_CASES.contains(&name.as_str()) {
            continue;
        }
        let (mut asserted, mut equal, mut differences) = (0, 0, Vec::new());
        for line in asserts.lines() {
            let Some((n, place, wanted)) = assertion(line, "s01-parse\"]") else { continue };
            let Some((_, field)) = CROWDSEC_NAMES.iter().find(|(name, _)| *name == place) else { continue };
            if wanted.is_empty() || wanted == "-" || DIFFERENT_ON_PURPOSE.iter().any(|(case, theirs, _)| *case == name && *theirs == place)
            {
                continue;
            }
            let Some(event) = events.get(n) else { continue };
            asserted += 1;
            let read = text(event, *field);
            // They name Apache's levels and BIND's as written.
            let same = read == wanted || (*field == fields::LOG_LEVEL && (read.starts_with(&wanted) || wanted.starts_with(&read)));
            if same {
                equal += 1;
            } else {
                differences.push(format!(
                    "   {place} {} {read:?} instead of {wanted:?}: {}",
                    field.name(),
                    event.line().chars().take(160).collect::<String>()
                ));
            }
        }
        report += &format!("{name}: {} lines, {asserted} fields asserted, {equal} equal\n", events.len());
        if f64::from(equal) < FIELDS_EQUAL_MIN * f64::from(asserted) || asserted == 0 {
            differences.truncate(12);
            short.push(format!("{name}: {equal} of {asserted}\n{}", differences.join("\n")));
        }
    }
    println!("{report}");
    assert!(short.is_empty(), "{}", short.join("\n"));
}
