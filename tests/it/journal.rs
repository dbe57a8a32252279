//! The journal as an operator looks at it: `journal ls`, `journal cat`, `journal verify` and `verify`, without a server
//! and beside one.

use std::path::Path;

use expect_test::expect;
use regex::Regex;

use crate::program::{Server, json_lines, wartburg};

/// Standard output with what differs from run to run made equal.
fn shown(data: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = wartburg(data, args);
    let text = String::from_utf8(output.stdout).unwrap();
    let mut text = text.replace(&data.display().to_string(), "DATA");
    for (pattern, stand_in) in [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
        (r"[0-9a-f]{64}", "HASH"),
        (r"\d+(,\d)?.(B|kB)", "SIZE"),
        (r#""bytes":\d+"#, r#""bytes":N"#),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, stand_in).into_owned();
    }
    (output.status.code(), text)
}

fn imported(dir: &Path) -> std::path::PathBuf {
    let data = dir.join("data");
    let log = dir.join("a.log");
    std::fs::write(&log, b"<86>Nov 20 10:00:00 web-03 app: erste Zeile\n\x1b[31mrot\n\xff\\kein UTF-8\n").unwrap();
    json_lines(&data, &["import", &log.display().to_string(), "--json"]);
    data
}

#[test]
fn the_journal_is_listed_shown_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let data = imported(dir.path());
    let (code, text) = shown(&data, &["journal", "ls"]);
    assert_eq!(code, Some(0));
    expect![[r#"
        1 bis            4  TIME bis TIME       SIZE  offen"#]]
    .assert_eq(text.trim());
    let (_, text) = shown(&data, &["journal", "ls", "--json"]);
    expect![[r#"
        {"file":"00000000000000000001.wbj","first":1,"last":4,"from":"TIME","to":"TIME","bytes":N,"sealed":false,"sealed_late":false,"sha256":null}
    "#]].assert_eq(&text);
    let (code, text) = shown(&data, &["journal", "cat", "--to", "3"]);
    assert_eq!(code, Some(0));
    expect![[r#"
        1  TIME  unbekannt  127.0.0.1 import line  <86>Nov 20 10:00:00 web-03 app: erste Zeile
        2  TIME  unbekannt  127.0.0.1 import line  ␛[31mrot
        3  TIME  unbekannt  127.0.0.1 import line  \xff\\kein UTF-8
    "#]]
    .assert_eq(&text);
    let (_, text) = shown(&data, &["journal", "cat", "--from", "3", "--limit", "1", "--json"]);
    expect![[r#"
        {"seq":3,"received_at":"TIME","site":"unbekannt","peer":"127.0.0.1","transport":"import","kind":"line","marks":[],"payload":"\\xff\\\\kein UTF-8","payload_escaped":true}
    "#]].assert_eq(&text);
    let (code, text) = shown(&data, &["journal", "verify"]);
    assert_eq!(code, Some(0), "{text}");
    expect![[r#"
        1 Segment, davon 0 versiegelt; Einträge 1 bis 4, SIZE
        Kette endet mit HASH
        Das Journal ist in Ordnung.
    "#]]
    .assert_eq(&text);
    // The audit log comes after it.
    let (code, all) = shown(&data, &["verify"]);
    assert_eq!(code, Some(0), "{all}");
    assert!(all.starts_with(&text) && all.ends_with("Das Protokoll ist in Ordnung.\n"), "{all}");
    let (_, text) = shown(&data, &["verify", "--json"]);
    assert!(text.lines().nth(1).is_some_and(|line| line.starts_with(r#"{"part":"audit","sound":true,"#)), "{text}");
    let (_, text) = shown(&data, &["journal", "verify", "--json"]);
    expect![[r#"
        {"part":"journal","sound":true,"faults":0,"segments":1,"sealed":0,"sealed_late":0,"first":1,"last":4,"freed":0,"bytes":N,"unfinished_bytes":0,"lost_at_end":0,"chain":"HASH","chain_known":null}
    "#]].assert_eq(&text);
}

#[test]
fn what_somebody_changed_is_named_and_the_exit_code_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let data = imported(dir.path());
    // Nobody wrote this chain before, so a noted end that is not in it means that it was made anew.
    let noted = "ab".repeat(32);
    let (code, text) = shown(&data, &["journal", "verify", "--chain", &noted]);
    assert_eq!(code, Some(1));
    expect![[r#"
        Die Kette enthält den notierten Wert nicht: sie wurde neu geschrieben oder gehört zu einem anderen Journal.
        1 Segment, davon 0 versiegelt; Einträge 1 bis 4, SIZE
        Kette endet mit HASH
        Das Journal ist NICHT in Ordnung.
    "#]]
    .assert_eq(&text);
    assert_eq!(wartburg(&data, &["verify", "--chain", "xyz"]).status.code(), Some(2));
    let chain = data.join("journal/seals");
    let text = std::fs::read_to_string(&chain).unwrap();
    std::fs::write(&chain, text + "seal 1 4 100 0 0 00 00\n").unwrap();
    let (code, text) = shown(&data, &["journal", "verify"]);
    assert_eq!(code, Some(1));
    expect![[r#"
        seals, Zeile 2: die Kette der Siegel ist gebrochen (the line does not follow from the one before)
        1 Segment, davon 0 versiegelt; Einträge 1 bis 4, SIZE
        Kette endet mit HASH
        Das Journal ist NICHT in Ordnung.
    "#]]
    .assert_eq(&text);
}

#[test]
fn all_of_it_works_beside_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = imported(dir.path());
    let server = Server::start(&data);
    for args in [["journal", "ls"].as_slice(), &["journal", "cat"], &["verify"]] {
        let output = wartburg(&data, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(server.terminate());
    let missing = wartburg(&dir.path().join("nothing"), &["journal", "ls"]);
    assert_eq!(missing.status.code(), Some(2));
}
