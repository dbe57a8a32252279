//! Indicators in the real program: read in from files of each form, found in any way of writing, met by what is imported,
//! and given back as sightings.

use serde_json::json;

use crate::program::{json_lines, wartburg};

#[test]
fn from_a_file_to_a_sighting() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let stix = file(
        "bundle.json",
        r#"{"type":"bundle","objects":[{"type":"indicator","id":"indicator--0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21","pattern_type":"stix",
            "pattern":"[domain-name:value = 'bad.example' OR ipv4-addr:value = '198.51.100.66']","confidence":90,
            "object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]},
            {"type":"indicator","id":"indicator--2","pattern_type":"stix","pattern":"[a:b = 'c' AND d:e = 'f']"}]}"#,
    );
    let imported = json_lines(&data, &["indicators", "import", &stix, "--list", "Partner", "--json"]);
    assert_eq!((&imported[0]["added"], &imported[0]["refused"]), (&json!(2), &json!({ "too_complex": 1 })), "{imported:#?}");
    let list = file("liste.txt", "203.0.113.0/24\nhttp://worse.example/drop.exe\n8.8.8.8\n");
    json_lines(&data, &["indicators", "import", &list, "--list", "Liste", "--tlp", "green", "--json"]);
    // The second time nothing changes; a whole list lets go what it does not have any more.
    let again = json_lines(&data, &["indicators", "import", &list, "--list", "Liste", "--tlp", "green", "--json"]);
    assert_eq!((&again[0]["added"], &again[0]["changed"]), (&json!(0), &json!(0)));

    // Two lines that meet them, and one that does not.
    let lines = "<4>Mar 14 07:59:58 fw kernel: DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=198.51.100.66 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40\n\
                 <4>Mar 14 07:59:59 fw kernel: DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=203.0.113.9 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40\n\
                 <4>Mar 14 07:59:59 fw kernel: DROP-OUT: IN= OUT=eth0 SRC=10.1.1.5 DST=192.0.2.9 LEN=60 TTL=63 PROTO=UDP SPT=5353 DPT=4444 LEN=40\n";
    json_lines(&data, &["import", &file("fw.log", lines), "--json"]);

    for (asked, found) in [
        ("hxxps://www[.]bad.example/x", 1),
        ("www.bad.example", 1),
        ("203.0.113.9", 1),
        ("https://worse.example:443/drop.exe?x", 1),
        ("8.8.8.8", 1),
        ("192.0.2.9", 0),
    ] {
        let output = wartburg(&data, &["indicators", "find", asked, "--json"]);
        let lines = String::from_utf8(output.stdout).unwrap();
        assert_eq!((lines.lines().count(), output.status.success()), (found, found > 0), "{asked}: {lines}");
    }
    let resolver = json_lines(&data, &["indicators", "find", "8.8.8.8", "--json"]);
    assert_eq!(resolver[0]["warned"], "Haus: öffentliche DNS-Server", "known to the house since the first start");
    // The address that the firewall dropped was met, and STIX' own indicator is what the sighting speaks of.
    let met = json_lines(&data, &["indicators", "find", "198.51.100.66", "--json"]);
    assert_eq!(met[0]["hits"], 1, "{met:#?}");
    let sightings = json_lines(&data, &["indicators", "sightings", "--format", "stix", "--list", "Partner"]);
    let of = &sightings[0]["objects"][1];
    assert_eq!((&of["type"], &of["sighting_of_ref"]), (&json!("sighting"), &json!("indicator--0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21")));
    let removed = wartburg(&data, &["indicators", "remove", "Liste"]);
    assert!(removed.status.success() && !wartburg(&data, &["indicators", "remove", "Liste"]).status.success());
    assert_eq!(json_lines(&data, &["indicators", "ls", "--json"]).iter().filter(|row| row["list"] == "Liste").count(), 0);
}
