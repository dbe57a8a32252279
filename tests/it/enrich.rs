//! What is added to events, from the command line: the machine behind an address at its time, what is said of a damaged
//! MMDB file, and that neither stops an import.

use serde_json::Value;

use crate::program::{json_lines, wartburg};

const LOG: &str = "\
<30>Nov 20 08:00:00 gw dhcpd[1]: DHCPACK on 10.20.1.3 to 00:11:22:33:44:55 (pc-kasse) via eth0
<4>Nov 20 14:00:00 fw kernel: FORWARD: IN=eth1 OUT=eth0 SRC=10.20.1.3 DST=203.0.113.66 LEN=60 TTL=63 PROTO=TCP SPT=50353 DPT=443
<30>Nov 20 15:00:00 gw dhcpd[1]: DHCPRELEASE of 10.20.1.3 from 00:11:22:33:44:55 (pc-kasse) via eth0 (found)
<30>Nov 20 16:00:00 gw dhcpd[1]: DHCPACK on 10.20.1.3 to 00:11:22:33:44:66 (laptop-bauamt) via eth0
<4>Nov 20 17:00:00 fw kernel: FORWARD: IN=eth1 OUT=eth0 SRC=10.20.1.3 DST=203.0.113.66 LEN=60 TTL=63 PROTO=TCP SPT=50399 DPT=443
<4>Nov 20 17:00:01 fw kernel: FORWARD: IN=eth0 OUT=eth1 SRC=203.0.113.66 DST=10.20.1.3 LEN=60 TTL=63 PROTO=TCP SPT=443 DPT=50399
";

#[test]
fn the_machine_behind_an_address_is_found_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log) = (dir.path().join("data"), dir.path().join("gw.log"));
    std::fs::write(&log, LOG).unwrap();
    json_lines(&data, &["import", &log.display().to_string(), "--json"]);
    let search = |query: &str| json_lines(&data, &["search", query, "--json"]);
    let ports = |query: &str| search(query).iter().map(|event| event["source.port"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(ports("source.domain:pc-kasse AND event.category:network AND process.name:kernel"), [50_353]);
    assert_eq!(ports("source.domain:laptop-bauamt AND process.name:kernel"), [50_399]);
    assert_eq!(ports("destination.domain:laptop-bauamt"), [443], "the answer to it");
    let there = search("source.port:50399");
    assert_eq!((there[0]["network.direction"].as_str(), there[0]["source.domain"].as_str()), (Some("outbound"), Some("laptop-bauamt")));
    let id = there[0]["network.community_id"].as_str().unwrap();
    assert_eq!(search(&format!("network.community_id:\"{id}\"")).len(), 2, "both directions of one connection");

    // What was learnt outlives the process: lines that come later are told the name too.
    let later = dir.path().join("later.log");
    std::fs::write(&later, "<38>Nov 20 17:30:00 srv sshd[2]: Failed password for root from 10.20.1.3 port 4711 ssh2\n").unwrap();
    json_lines(&data, &["import", &later.display().to_string(), "--json"]);
    assert_eq!(ports("source.domain:laptop-bauamt AND process.name:sshd"), [4_711]);
}

#[test]
fn a_damaged_geo_file_is_named_and_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (data, log, geo) = (dir.path().join("data"), dir.path().join("gw.log"), dir.path().join("land.mmdb"));
    std::fs::write(&log, LOG).unwrap();
    std::fs::write(&geo, "<html>Bitte anmelden</html>").unwrap();
    let config = dir.path().join("w.toml");
    std::fs::write(&config, format!("[enrich]\ngeo_files = [\"{}\"]\n", geo.display())).unwrap();
    let config = config.display().to_string();
    let run = |args: &[&str]| wartburg(&data, &[&["--config", &config], args].concat());
    let checked = run(&["check-config"]);
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    assert_eq!(checked.status.code(), Some(2), "{said}");
    assert!(
        said.contains("enrich.geo_files") && said.contains("ist keine heile MMDB-Datei") && said.contains("neu herunterladen"),
        "{said}"
    );
    let imported = run(&["import", &log.display().to_string(), "--json"]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(String::from_utf8_lossy(&imported.stderr).contains("land.mmdb"));
    let doctor = run(&["doctor", "--json"]);
    let findings: Vec<Value> = String::from_utf8_lossy(&doctor.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let geo = findings.iter().find(|finding| finding["check"] == "geo").unwrap();
    assert_eq!(geo["state"], "act");
    assert!(findings.iter().any(|finding| finding["check"] == "enrichment" && finding["state"] == "ok"), "{findings:?}");
}
