//! What leaves, written out once for each format; what must never leave; and that hostile text breaks no document.

use std::collections::{BTreeMap, HashSet};

use expect_test::expect_file;
use ingest::scope::Scope;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::alert::Disposition;
use crate::incident::fixture::{START, Spec, World, spec};
use crate::incident::{Change, State, Tlp, incident_get};
use crate::recommendation::{RecommendationState, recommendation_send};
use crate::role::Role;
use crate::rule::Level;

pub(super) fn sender() -> Sender {
    Sender { name: "ThüringenCERT".into(), domain: "cert.example".into() }
}

fn at(minute: i64) -> Timestamp {
    START.plus(minute * Timestamp::MINUTE)
}

/// A case with something of everything.
pub(super) fn case() -> Package {
    let observables = |pairs: &[(&str, &[&str])]| -> crate::alert::Observables {
        pairs.iter().map(|(field, values)| ((*field).to_owned(), values.iter().map(|value| (*value).to_owned()).collect())).collect()
    };
    let seen = |n: u8, title: &str, rule: &str, technique: &str, all: &[(&str, &[&str])]| Seen {
        id: format!("01KAAAAAAAAAAAAAAAAAAAAAA{n}"),
        title: title.into(),
        rule_name: rule.into(),
        level: Level::High,
        rsit: "intrusions/unprivileged-account-compromise".into(),
        first: at(i64::from(n)),
        last: at(i64::from(n) + 1),
        records: 40 + u64::from(n),
        observables: observables(all),
        techniques: [technique.to_owned()].into(),
    };
    let first: &[(&str, &[&str])] = &[("source.ip", &["203.0.113.9"]), ("host.name", &["rathaus-dc1"]), ("user.name", &["m.mueller"])];
    let second: &[(&str, &[&str])] =
        &[("destination.ip", &["2001:db8::66"]), ("dns.question.name", &["bad.example"]), ("threat.indicator.name", &["bad.example"])];
    let mut all = observables(first);
    all.extend(observables(second));
    Package {
        id: "01KBBBBBBBBBBBBBBBBBBBBBBB".into(),
        number: "TC-2026-000123".into(),
        title: "Konto übernommen: 203.0.113.9 (Stadt Musterhausen)".into(),
        summary: "Nach 40 Versuchen gelang eine Anmeldung & es folgte ein Aufruf von <bad.example>.".into(),
        state: State::Contained,
        severity: Level::High,
        rsit: "intrusions/unprivileged-account-compromise".parse().unwrap(),
        tlp: Tlp::Amber,
        origin: crate::incident::Origin::Rule,
        disposition: None,
        body: Some(("01KCCCCCCCCCCCCCCCCCCCCCCC".into(), "Stadt Musterhausen".into())),
        site: Some("rathaus-a".into()),
        first_activity: at(0),
        last_activity: at(9),
        detected_at: at(2),
        opened_at: at(2),
        closed_at: None,
        modified_at: at(60),
        alerts: 2,
        events: 83,
        observables: all,
        seen: vec![
            seen(1, "SSH-Anmeldung nach Versuchen", "ssh_bruteforce_success", "T1110.001", first),
            seen(2, "Verbindung zu gelistetem Namen", "listed_name", "T1071.004", second),
        ],
        techniques: ["T1071.004".to_owned(), "T1110.001".to_owned()].into(),
        advice: vec![Advice {
            id: "01KDDDDDDDDDDDDDDDDDDDDDDD".into(),
            title: "Konto sperren".into(),
            intro: "Ein Konto wurde übernommen.".into(),
            sent_at: at(10),
            state: RecommendationState::InWork,
            steps: vec![("Kennwort zurücksetzen".into(), true), ("Sitzungen beenden".into(), false)],
        }],
        hidden: 0,
    }
}

#[test]
fn a_case_in_each_format() {
    let write = |format| export(&case(), format, &sender(), at(120));
    expect_file!["snapshots/case.stix.json"].assert_eq(&write(Format::Stix));
    expect_file!["snapshots/case.misp.json"].assert_eq(&write(Format::Misp));
    expect_file!["snapshots/case.iodef.xml"].assert_eq(&write(Format::Iodef));
    // Line ends are part of the format, and some tools change them.
    expect_file!["snapshots/case.csv"].assert_eq(&write(Format::Csv).replace("\r\n", "␍\n"));
}

/// The identities of a bundle's objects.
fn ids(bundle: &str) -> Vec<String> {
    let bundle: Value = serde_json::from_str(bundle).unwrap();
    bundle["objects"].as_array().unwrap().iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_second_export_updates_the_first() {
    let first = case();
    let mut later = case();
    (later.state, later.modified_at, later.title) = (State::Recovered, at(90), "Anders genannt".into());
    let write = |package: &Package| export(package, Format::Stix, &sender(), at(200));
    assert_eq!(write(&first), write(&first));
    assert_eq!(ids(&write(&first)), ids(&write(&later)));
    assert_eq!(ids(&write(&first)).iter().collect::<HashSet<_>>().len(), ids(&write(&first)).len(), "each object stands once");
    let mut other = case();
    other.id = "01KEEEEEEEEEEEEEEEEEEEEEEE".into();
    let own = |package: &Package| -> HashSet<String> {
        ids(&write(package))
            .into_iter()
            .filter(|id| id.starts_with("incident") || id.starts_with("indicator") || id.starts_with("sighting"))
            .collect()
    };
    assert!(own(&first).is_disjoint(&own(&other)), "another case's objects are others");
}

#[test]
fn every_reference_leads_to_an_object() {
    let reference = regex::Regex::new(r#""([a-z0-9-]+--[0-9a-f-]{36})""#).unwrap();
    for tlp in Tlp::ALL {
        let bundle = export(&Package { tlp, ..case() }, Format::Stix, &sender(), at(0));
        let known: HashSet<String> = ids(&bundle).into_iter().collect();
        for found in reference.captures_iter(&bundle) {
            let id = &found[1];
            assert!(known.contains(id) || id.starts_with("bundle--") || id.starts_with("extension-definition--"), "{id}");
        }
    }
}

/// A worked case in the database, with everything that must not leave.
fn worked() -> (World, crate::incident::IncidentId) {
    let world = World::new();
    let id = world.open(&Spec { hosts: &["zentralrechner"], ..spec("203.0.113.9", 0, 0, 1..=9) });
    world.file(&Spec { rule: "ssh_bruteforce_success", level: Level::Critical, ..spec("203.0.113.9", 0, 5, [20]) });
    let version = world.view(id).incident.version;
    world.change(id, version, Change::Note("NUR-INTERN".into()), Role::Analyst, at(20)).unwrap();
    let version = world.view(id).incident.version;
    world.change(id, version, Change::Assign(Some("BEARBEITERIN".into())), Role::Analyst, at(21)).unwrap();
    (world, id)
}

fn package(
    world: &World,
    id: crate::incident::IncidentId,
    scope: &Scope,
    audience: Audience,
    hides: &dyn Fn(&str, &str) -> bool,
) -> Package {
    let view = world.db.read(|c| incident_get(c, scope, id)).unwrap().unwrap();
    Package::of(&view, audience, &|rule| vec![if rule == "ssh_bruteforce" { "T1110" } else { "T1078" }.to_owned()], hides)
}

#[test]
fn what_is_internal_never_leaves() {
    let (world, id) = worked();
    let drafts: Vec<_> = world.view(id).recommendations;
    assert!(drafts.len() >= 2, "the playbooks propose: {drafts:?}");
    // Of two drafts one is sent.
    let (sent, kept) = (drafts[0].clone(), drafts[1].clone());
    let copy = sent.clone();
    world.write(move |tx| recommendation_send(tx, copy.id, copy.version, "anna", Role::Analyst, at(30))).unwrap();
    let write = |audience, scope: &Scope| {
        let package = package(&world, id, scope, audience, &|_, _| false);
        Format::ALL.map(|format| export(&package, format, &sender(), at(40))).join("\n")
    };
    let own = Scope::Bodies(vec![world.bodies[0]]);
    for text in [write(Audience::Cert, &Scope::All), write(Audience::Body, &own), write(Audience::Body, &Scope::All)] {
        assert!(!text.contains("NUR-INTERN") && !text.contains("BEARBEITERIN") && !text.contains(&kept.title), "{text}");
        assert!(text.contains(&sent.title) && text.contains("203.0.113.9") && text.contains("T1110"));
    }
    // A body's file says nothing of the rules; the summary, which it may read, names their titles.
    let body = write(Audience::Body, &own);
    assert!(!body.contains("ssh_bruteforce)") && !body.contains("Regel ssh_bruteforce ("), "{body}");
    assert!(write(Audience::Cert, &Scope::All).contains("(ssh_bruteforce, "));
}

#[test]
fn hidden_values_stay_hidden() {
    let (world, id) = worked();
    let hides = |field: &str, value: &str| field == "source.ip" && value == "203.0.113.9" || field == "host.name";
    let package = package(&world, id, &Scope::All, Audience::Cert, &hides);
    assert_eq!(package.hidden, 2, "the address and the host");
    for format in Format::ALL {
        let text = export(&package, format, &sender(), at(40));
        assert!(!text.contains("203.0.113.9") && !text.contains("zentralrechner"), "{text}");
        assert!(text.contains("[verborgen]") && text.contains("2 Angaben zu Personen sind verborgen"), "{text}");
    }
}

#[test]
fn closed_cases_say_how_they_ended() {
    let (world, id) = worked();
    let version = world.view(id).incident.version;
    world.change(id, version, Change::Move { to: State::Triaged, at: None }, Role::Lead, at(50)).unwrap();
    let close = Change::Close { disposition: Disposition::FalsePositive, at: None };
    world.change(id, version + 1, close, Role::Lead, at(51)).unwrap();
    let package = package(&world, id, &Scope::All, Audience::Cert, &|_, _| false);
    assert_eq!((package.state, package.modified_at), (State::Closed, at(51)));
    let iodef = export(&package, Format::Iodef, &sender(), at(60));
    assert!(iodef.contains("status=\"resolved\"") && iodef.contains("occurrence=\"potential\""), "{iodef}");
}

/// Names and depth of all tags, where the document is well formed as far as tags, entities and characters go.
fn well_formed(xml: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>").ok_or("no declaration")?;
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    if let Some(bad) = xml.chars().find(|c| !allowed(*c)) {
        return Err(format!("{bad:?}"));
    }
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        for part in text.split('&').skip(1) {
            let entity = part.split(';').next().unwrap_or_default();
            if !["amp", "lt", "gt", "quot", "#13"].contains(&entity) || !part.contains(';') {
                return Err(format!("&{entity}"));
            }
        }
        let end = tag.find('>').ok_or("no >")?;
        let inner = &tag[1..end];
        if inner.matches('"').count() % 2 == 1 || inner.contains('<') {
            return Err(inner.to_owned());
        }
        match inner.strip_prefix('/') {
            Some(name) if open.pop() == Some(name) => {}
            Some(name) => return Err(format!("/{name}")),
            None if inner.ends_with('/') => {}
            None => open.push(inner.split(' ').next().unwrap_or_default()),
        }
        rest = &tag[end + 1..];
    }
    if open.is_empty() { Ok(()) } else { Err(format!("open: {open:?}")) }
}

/// The cells of our own CSV, read by the reader of others'.
fn cells(text: &str) -> Vec<Vec<String>> {
    let mut source = text.as_bytes();
    let mut records = read::table::Records::new(&mut source, 1 << 24);
    let mut all = vec![records.names().unwrap().unwrap()];
    while let Some((_, record)) = records.next().unwrap() {
        all.push(record.unwrap());
    }
    all
}

fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "\"",
        "'",
        "<",
        ">",
        "&",
        "]]>",
        "<!--",
        "&#0;",
        "\r",
        "\n",
        "\t",
        ",",
        ";",
        "=cmd|' /C calc'!A0",
        "+1",
        "-1",
        "@SUM(1)",
        "\0",
        "\u{1}",
        "\u{7f}",
        "\u{fffe}",
        "\u{feff}",
        "\u{202e}",
        "\u{2028}",
        "\\",
        "\\u0000",
        "{",
        "}",
        "[",
        "%",
        "ä",
        "𝕏",
        "../",
        "a",
        " ",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_text_gives_a_document(title in hostile(), summary in hostile(), value in hostile(), name in hostile()) {
        let mut package = case();
        package.title = title.clone();
        package.summary = summary;
        package.advice[0].title = name.clone();
        package.advice[0].steps[0].0 = value.clone();
        package.body = Some(("01KCCCCCCCCCCCCCCCCCCCCCCC".into(), name));
        let fields = ["source.ip", "host.name", "user.name", "url.full", "dns.question.name", "threat.indicator.name", "file.hash.md5", "source.mac"];
        let values: BTreeMap<String, Vec<String>> = fields.map(|field| (field.to_owned(), vec![value.clone()])).into();
        package.seen[0].observables = values.clone();
        package.observables.extend(values);
        for format in [Format::Stix, Format::Misp] {
            let text = export(&package, format, &sender(), at(1));
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert!(read.is_object());
            if format == Format::Stix {
                prop_assert_eq!(read["objects"].as_array().unwrap().iter().find(|o| o["type"] == "incident").unwrap()["name"].as_str(), Some(title.as_str()));
            }
        }
        prop_assert_eq!(well_formed(&export(&package, Format::Iodef, &sender(), at(1))), Ok(()));
        let table = cells(&export(&package, Format::Csv, &sender(), at(1)));
        prop_assert_eq!(table.len(), 2);
        prop_assert_eq!(table[0].len(), table[1].len());
        for cell in &table[1] {
            prop_assert!(!cell.trim_start().starts_with(['=', '+', '-', '@']), "{:?}", cell);
        }
    }
}
