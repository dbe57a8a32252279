//! Cases that leave are held against the field's own programs (stix2-validator, PyMISP, a schema of RFC 7970), as they come
//! out of the real program and with hostile text in every place; and reports of others go in by the real program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use detect::exchange::{Advice, Format, Package, Seen, Sender, export};
use detect::incident::{Origin, State, Tlp};
use detect::recommendation::RecommendationState;
use detect::rule::Level;
use ingest::time::Timestamp;
use serde_json::json;

use crate::program::{json_lines, wartburg};
use crate::real_clients::python;

/// Holds files of one format against their reader.
fn check(format: &str, files: &[PathBuf]) {
    let module = match format {
        "stix" => "stix2validator",
        "misp" => "pymisp",
        "iodef" => "xmlschema",
        _ => "csv",
    };
    let Some(python) = python(module) else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/check_case.py");
    let output = Command::new(python).arg(script).arg(format).args(files).output().unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{format}: {told}");
}

/// What breaks documents that are put together carelessly.
const HOSTILE: [&str; 12] = [
    "\"quoted\" and 'single'",
    "<script>&amp;]]></Incident>",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1),+1;-1",
    "zwei\nZeilen\r\nund\tmehr",
    "\u{0}\u{1}\u{b}\u{7f}\u{fffe}",
    "\u{202e}dlrow\u{2066}",
    "ß𝕏\u{1f600}",
    "[ipv4-addr:value = '1.2.3.4']",
    "\\u0000\\\"}",
    "../../etc/passwd%00",
    " ",
];

fn case(text: &str, tlp: Tlp, n: u8) -> Package {
    let at = |minute: i64| Timestamp(1_795_248_000_000 + minute * Timestamp::MINUTE);
    let fields =
        ["host.name", "user.name", "url.full", "dns.question.name", "threat.indicator.name", "email.from.address", "file.hash.md5"];
    let mut observables: BTreeMap<String, Vec<String>> = fields.map(|field| (field.to_owned(), vec![text.to_owned()])).into();
    observables.insert("source.ip".into(), vec!["203.0.113.9".into(), "2001:db8::7".into(), text.into()]);
    observables.insert("source.mac".into(), vec!["00-50-56-AB-CD-EF".into()]);
    observables.insert("file.hash.sha256".into(), vec!["a".repeat(64)]);
    observables
        .get_mut("threat.indicator.name")
        .unwrap()
        .extend(["bad.example", "203.0.113.0/24", "https://bad.example/a'b"].map(str::to_owned));
    Package {
        id: format!("01KBBBBBBBBBBBBBBBBBBBBBB{n}"),
        number: format!("TC-2026-00012{n}"),
        title: text.into(),
        summary: text.into(),
        state: State::Contained,
        severity: Level::Critical,
        rsit: "malicious-code/c2-server".parse().unwrap(),
        tlp,
        origin: Origin::Rule,
        disposition: None,
        body: Some(("01KCCCCCCCCCCCCCCCCCCCCCCC".into(), text.into())),
        site: Some("rathaus".into()),
        first_activity: at(0),
        last_activity: at(9),
        detected_at: at(2),
        opened_at: at(2),
        closed_at: None,
        modified_at: at(60),
        alerts: 1,
        events: 5_000_000_000,
        observables: observables.clone(),
        seen: vec![Seen {
            id: "01KAAAAAAAAAAAAAAAAAAAAAA1".into(),
            title: text.into(),
            rule_name: "regel".into(),
            level: Level::High,
            rsit: "malicious-code/c2-server".into(),
            first: at(1),
            last: at(1),
            records: 5_000_000_000,
            observables,
            techniques: ["T1071.004".to_owned()].into(),
        }],
        techniques: ["T1071.004".to_owned(), "T9999".to_owned()].into(),
        advice: vec![Advice {
            id: "01KDDDDDDDDDDDDDDDDDDDDDDD".into(),
            title: format!("Sperren {text}"),
            intro: text.into(),
            sent_at: at(10),
            state: RecommendationState::Sent,
            steps: vec![(text.into(), true)],
        }],
        hidden: 2,
    }
}

#[test]
fn hostile_text_gives_documents_that_the_fields_programs_read() {
    let dir = tempfile::tempdir().unwrap();
    let sender = Sender { name: "ThüringenCERT".into(), domain: "cert.example".into() };
    for format in Format::ALL {
        let mut files = Vec::new();
        for (n, text) in HOSTILE.iter().enumerate() {
            let tlp = Tlp::ALL[n % Tlp::ALL.len()];
            let mut package = case(text, tlp, u8::try_from(n % 10).unwrap());
            // Also one that says next to nothing.
            if n == 0 {
                package.observables.clear();
                (package.seen, package.advice, package.body) = (vec![], vec![], None);
                package.techniques.clear();
            }
            let path = dir.path().join(format!("{n}{}", format.ending()));
            std::fs::write(&path, export(&package, format, &sender, Timestamp(1_795_300_000_000))).unwrap();
            files.push(path);
        }
        check(format.as_str(), &files);
    }
}

/// A file in a folder, by its name.
fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn a_detected_case_leaves_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let attempt = |n: usize, word: &str| {
        format!("<38>Nov 21 08:00:{n:02} rathaus sshd[7]: {word} password for root from 203.0.113.9 port 4{n:04} ssh2\n")
    };
    let lines: String = (0..40).map(|n| attempt(n, "Failed")).chain([attempt(41, "Accepted")]).collect();
    json_lines(&data, &["import", &file(dir.path(), "auth.log", &lines), "--json"]);
    let cases = json_lines(&data, &["incidents", "--json"]);
    assert_eq!(cases.len(), 1, "{cases:#?}");
    let number = cases[0]["number"].as_str().unwrap();
    for format in Format::ALL {
        let output = wartburg(&data, &["incidents", "export", number, "--format", format.as_str()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(number) && text.contains("203.0.113.9"), "{text}");
        check(format.as_str(), &[PathBuf::from(file(dir.path(), &format!("fall{}", format.ending()), &text))]);
    }
    let missing = wartburg(&data, &["incidents", "export", "TC-1999-000001", "--format", "stix"]);
    assert!(!missing.status.success() && String::from_utf8_lossy(&missing.stderr).contains("gibt es nicht"));

    // Our own file, read in at another house, is an alert there; of no site, so it calls for nobody.
    let other = dir.path().join("other");
    json_lines(&other, &["import", &file(dir.path(), "leer.log", "<38>Nov 21 08:00:00 a b: c\n"), "--json"]);
    let bundle = dir.path().join("fall.stix.json").display().to_string();
    let outcome = json_lines(&other, &["incidents", "import", &bundle, "--json"]);
    assert_eq!((&outcome[0]["report"]["form"], &outcome[0]["outcome"]["strangers"]), (&json!("stix"), &json!(1)), "{outcome:#?}");
    assert_eq!(json_lines(&other, &["incidents", "--json"]).len(), 0);
    assert_eq!(json_lines(&other, &["alerts", "--json"]).len(), 1);
}

#[test]
fn reports_of_others_become_cases_of_those_they_are_about() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let config = file(
        dir.path(),
        "wartburg.toml",
        "[[sites]]\nname = \"rathaus-a\"\nprefixes = [\"198.51.100.0/25\"]\n[[sites]]\nname = \"bauhof-b\"\nprefixes = [\"198.51.100.128/25\"]\n",
    );
    let run = |args: &[&str]| {
        let all: Vec<&str> = ["--config", config.as_str()].into_iter().chain(args.iter().copied()).collect();
        wartburg(&data, &all)
    };
    let lines = |output: &std::process::Output| -> Vec<serde_json::Value> {
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = run(&["import", &file(dir.path(), "leer.log", "<38>Nov 21 08:00:00 a b: c\n"), "--json"]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let report = file(
        dir.path(),
        "2026-11-20-scan_rdp-thueringen-geo.csv",
        "\"timestamp\",\"ip\",\"port\",\"hostname\",\"tag\"\n\
         \"2026-11-20 01:00:00\",\"198.51.100.7\",3389,\"\",\"rdp\"\n\
         \"2026-11-20 02:00:00\",\"198.51.100.200\",3389,\"\",\"rdp\"\n\
         \"2026-11-20 02:00:00\",\"192.0.2.1\",3389,\"\",\"rdp\"\n\
         \"2026-11-20 02:00:00\",\"keine\",3389,\"\",\"rdp\"\n",
    );
    let preview = run(&["incidents", "import", &report, "--preview", "--json"]);
    // Nobody owns these sites, so the preview, which is by body, is one line.
    assert_eq!(lines(&preview)[0]["would"][0]["alerts"], 3, "{:#?}", lines(&preview));
    assert_eq!(lines(&run(&["incidents", "--json"])).len(), 0, "a preview does nothing");
    let done = run(&["incidents", "import", &report, "--json"]);
    // One line was not read: said with line, column and value, and by the exit code.
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && told.contains(":5: ip „keine“: keine Adresse"), "{told}");
    assert_eq!(lines(&done)[0]["outcome"]["opened"], 2, "{:#?}", lines(&done));
    assert_eq!(lines(&done)[0]["outcome"]["strangers"], 1);
    let cases = lines(&run(&["incidents", "--json"]));
    let mut sites: Vec<&str> = cases.iter().map(|case| case["site"].as_str().unwrap()).collect();
    sites.sort_unstable();
    assert_eq!(sites, ["bauhof-b", "rathaus-a"]);
    assert!(cases.iter().all(|case| case["rsit"] == "vulnerable/potentially-unwanted-accessible"));
    let again = lines(&run(&["incidents", "import", &report, "--json"]));
    assert_eq!((&again[0]["outcome"]["known"], &again[0]["outcome"]["opened"]), (&json!(3), &json!(0)));
    assert_eq!(lines(&run(&["alerts", "--json"])).len(), 3);
    // A report whose kind nobody knows names those that are known.
    let unknown = file(dir.path(), "bericht.csv", "timestamp,ip\n2026-11-20 01:00:00,198.51.100.7\n");
    let refused = run(&["incidents", "import", &unknown]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("--report") && told.contains("scan_rdp"), "{told}");
    assert!(run(&["incidents", "import", &unknown, "--report", "scan_rdp"]).status.success());
}
