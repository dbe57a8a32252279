//! CSAF 2.0 generated from our record. Pure: the same input gives the same document, byte for byte. What CSAF cannot say
//! (threat level, AMBER+STRICT, deadlines) goes into its notes and texts, so that nothing is lost on the way.
//! Whether the result is right is judged by `gate`; where it lies is `tree`'s business.

use std::collections::BTreeMap;

use ingest::time::Timestamp;
use serde_json::{Value, json};

use crate::advisory::{AdvisoryNumber, Content, Product, Tlp};
use crate::mail::german_time;

/// Who publishes, from the configuration.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// `ThüringenCERT`.
    pub name: String,
    /// A URL under our control that names us in every CSAF document.
    pub namespace: String,
    /// How to reach us, in a sentence: phone, mail, hours.
    pub contact: String,
    /// The address to which people write.
    pub mail: String,
    /// Where readers open the dashboard, without a slash at the end (`https://wartburg.example`).
    pub base_url: String,
}

/// One publication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    pub number: u32,
    pub at: Timestamp,
    /// What changed.
    pub summary: String,
}

/// The document for the newest of `revisions` (oldest first); `withdrawn` carries the reason of a withdrawal.
pub fn csaf_document(
    number: AdvisoryNumber,
    content: &Content,
    revisions: &[Revision],
    withdrawn: Option<&str>,
    publisher: &Publisher,
) -> Value {
    let released = revisions.last().map_or(Timestamp(0), |revision| revision.at);
    let initial = revisions.first().map_or(Timestamp(0), |revision| revision.at);
    let category = category(content);
    let mut document = json!({
        "document": {
            "aggregate_severity": { "text": content.severity.label() },
            "category": category,
            "csaf_version": "2.0",
            "distribution": {
                "text": distribution_text(content.tlp),
                "tlp": { "label": csaf_tlp(content.tlp), "url": "https://www.first.org/tlp/" },
            },
            "lang": "de-DE",
            "notes": notes(content, withdrawn),
            "publisher": {
                "category": "coordinator",
                "contact_details": non_empty(&publisher.contact).unwrap_or(&publisher.mail),
                "name": publisher.name,
                "namespace": publisher.namespace,
            },
            "references": references(number, content, initial, publisher),
            "title": content.title,
            "tracking": {
                "current_release_date": released.rfc3339(),
                "id": number.to_string(),
                "initial_release_date": initial.rfc3339(),
                "revision_history": revisions.iter().map(|revision| json!({
                    "date": revision.at.rfc3339(),
                    "number": revision.number.to_string(),
                    "summary": non_empty(&revision.summary).unwrap_or("Erste Fassung"),
                })).collect::<Vec<_>>(),
                "status": if content.interim && withdrawn.is_none() { "interim" } else { "final" },
                "version": revisions.last().map_or(1, |revision| revision.number).to_string(),
            },
        },
    });
    let products = product_ids(&content.products);
    if let Some(root) = document.as_object_mut() {
        if !products.is_empty() {
            root.insert("product_tree".into(), json!({ "branches": branches(&products) }));
        }
        // The profile of informational advisories forbids the element; without a CVE there is nothing to put into it either.
        if !content.cves.is_empty() {
            root.insert("vulnerabilities".into(), vulnerabilities(content, &products));
        }
    }
    // Test 6.2.13 wants the keys in order.
    document.sort_all_objects();
    document
}

/// The richest profile whose demands the text meets: products and vulnerabilities; or a reference to read on; else the base.
fn category(content: &Content) -> &'static str {
    match (content.cves.is_empty(), content.products.is_empty(), content.sources.is_empty()) {
        (false, false, _) => "csaf_security_advisory",
        (true, _, false) => "csaf_informational_advisory",
        _ => "csaf_base",
    }
}

/// CSAF 2.0 speaks TLP 1: CLEAR was WHITE, and AMBER+STRICT has no name, so that the stricter one stands for it.
pub fn csaf_tlp(tlp: Tlp) -> &'static str {
    match tlp {
        Tlp::Clear => "WHITE",
        Tlp::Green => "GREEN",
        Tlp::Amber => "AMBER",
        Tlp::AmberStrict | Tlp::Red => "RED",
    }
}

fn distribution_text(tlp: Tlp) -> &'static str {
    match tlp {
        Tlp::Clear => "TLP:CLEAR: Weitergabe ohne Einschränkung.",
        Tlp::Green => "TLP:GREEN: Weitergabe innerhalb der Verwaltungen und ihrer Partner, nicht öffentlich.",
        Tlp::Amber => "TLP:AMBER: Weitergabe nur in der eigenen Organisation und an deren Dienstleister, soweit für den Schutz nötig.",
        Tlp::AmberStrict => "TLP:AMBER+STRICT: Weitergabe nur in der eigenen Organisation, soweit für den Schutz nötig.",
        Tlp::Red => "TLP:RED: Nur für die persönlich Angesprochenen.",
    }
}

fn notes(content: &Content, withdrawn: Option<&str>) -> Vec<Value> {
    let grading =
        format!("{}, Schweregrad {}, Bedrohungsstufe {}", content.kind.label(), content.severity.label(), content.threat_level.label());
    let measures = measures_text(content);
    let withdrawal = withdrawn.map(|reason| format!("Diese Meldung ist zurückgezogen. {reason}")).unwrap_or_default();
    [
        ("general", "Zurückgezogen", withdrawal.as_str()),
        ("summary", "Sachverhalt", &content.situation),
        ("general", "Einstufung", &grading),
        ("details", "Bewertung", &content.assessment),
        ("details", "Betroffen?", &content.check),
        ("details", "Maßnahmen", &measures),
        ("other", "Kontakt", &content.contact),
    ]
    .into_iter()
    .filter(|(_, _, text)| !text.trim().is_empty())
    .map(|(category, title, text)| json!({ "category": category, "text": text, "title": title }))
    .collect()
}

/// The measures as numbered lines with their deadlines; also used by the mail.
pub(crate) fn measures_text(content: &Content) -> String {
    let line = |(index, measure): (usize, &crate::advisory::Measure)| format!("{}. {}", index + 1, measure_text(measure));
    content.measures.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

fn measure_text(measure: &crate::advisory::Measure) -> String {
    match measure.due_at {
        Some(due) => format!("{} (bis {})", measure.text, german_time(due)),
        None => measure.text.clone(),
    }
}

fn references(number: AdvisoryNumber, content: &Content, initial: Timestamp, publisher: &Publisher) -> Vec<Value> {
    let path = csaf_path(number, content.tlp, initial);
    let own = format!("{}/.well-known/csaf/{path}", publisher.base_url);
    let own = json!({ "category": "self", "summary": format!("{number} als CSAF-Dokument"), "url": own });
    let foreign = content.sources.iter().map(|source| json!({ "category": "external", "summary": source.title, "url": source.url }));
    std::iter::once(own).chain(foreign).collect()
}

/// `green/2026/wid-th-2026-0001.json`: label, year of the first release (UTC, as its date is written), file name.
pub fn csaf_path(number: AdvisoryNumber, tlp: Tlp, initial: Timestamp) -> String {
    let year = initial.utc().format("%Y");
    format!("{}/{year}/{}", csaf_tlp(tlp).to_lowercase(), csaf_file_name(&number.to_string()))
}

/// The standard's rule (5.1): lower case, and one `_` for each run of anything but `+ - a-z 0-9`. It also makes a
/// path traversal in a foreign id harmless.
pub fn csaf_file_name(tracking_id: &str) -> String {
    let mut name = String::with_capacity(tracking_id.len() + 5);
    for c in tracking_id.to_lowercase().chars() {
        match c {
            '+' | '-' | 'a'..='z' | '0'..='9' => name.push(c),
            _ if !name.ends_with('_') => name.push('_'),
            _ => {}
        }
    }
    name + ".json"
}

fn product_ids(products: &[Product]) -> Vec<(String, &Product)> {
    let unique: std::collections::BTreeSet<&Product> = products.iter().collect();
    unique.into_iter().enumerate().map(|(index, product)| (format!("CSAFPID-{:04}", index + 1), product)).collect()
}

/// Vendor, product, version; levels that the author left out are left out here too.
fn branches(products: &[(String, &Product)]) -> Vec<Value> {
    let mut vendors: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
    let mut whole: Vec<Value> = Vec::new();
    let mut whole_by_vendor: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for (id, product) in products {
        let leaf = json!({ "name": product.to_string(), "product_id": id });
        if product.version.is_empty() {
            let branch = json!({ "category": "product_name", "name": product.name, "product": leaf });
            match product.vendor.as_str() {
                "" => whole.push(branch),
                vendor => whole_by_vendor.entry(vendor).or_default().push(branch),
            }
        } else {
            let branch = json!({ "category": version_category(&product.version), "name": product.version, "product": leaf });
            vendors.entry(&product.vendor).or_default().entry(&product.name).or_default().push(branch);
        }
    }
    let mut tree = whole;
    let names: std::collections::BTreeSet<&str> = vendors.keys().chain(whole_by_vendor.keys()).copied().collect();
    for vendor in names {
        let versioned = vendors.remove(vendor).unwrap_or_default();
        let versioned =
            versioned.into_iter().map(|(name, branches)| json!({ "branches": branches, "category": "product_name", "name": name }));
        let children: Vec<Value> = whole_by_vendor.remove(vendor).unwrap_or_default().into_iter().chain(versioned).collect();
        match vendor {
            "" => tree.extend(children),
            vendor => tree.push(json!({ "branches": children, "category": "vendor", "name": vendor })),
        }
    }
    tree
}

/// Only what is plainly one version is called one: test 6.1.31 forbids words and signs of ranges there.
fn version_category(version: &str) -> &'static str {
    let plain = version.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    if plain { "product_version" } else { "product_version_range" }
}

fn vulnerabilities(content: &Content, products: &[(String, &Product)]) -> Value {
    let ids: Vec<&str> = products.iter().map(|(id, _)| id.as_str()).collect();
    let unique = {
        let mut seen = std::collections::BTreeSet::new();
        content.cves.iter().filter(move |cve| seen.insert(*cve))
    };
    let one = |(index, cve): (usize, &crate::advisory::Cve)| {
        let mut vulnerability = json!({
            "cve": cve.as_str(),
            "notes": [{ "category": "summary", "text": content.situation, "title": "Sachverhalt" }],
            "title": format!("{}: {}", cve.as_str(), content.title),
        });
        let Some(object) = vulnerability.as_object_mut() else { return vulnerability };
        // Status, remediations and scores must name products (6.1.29); without any they stand in the notes only.
        if !ids.is_empty() {
            object.insert("product_status".into(), json!({ "known_affected": ids }));
            let remediations: Vec<Value> = content
                .measures
                .iter()
                .map(|measure| json!({ "category": measure.kind.as_str(), "details": measure_text(measure), "product_ids": ids }))
                .collect();
            if !remediations.is_empty() {
                object.insert("remediations".into(), remediations.into());
            }
            // The record's one score is that of the gravest vulnerability, which stands first.
            if let Some(cvss) = content.cvss.as_ref().filter(|_| index == 0) {
                let score = json!({
                    "baseScore": cvss.score(), "baseSeverity": cvss.severity(), "vectorString": cvss.vector(), "version": "3.1",
                });
                object.insert("scores".into(), json!([{ "cvss_v3": score, "products": ids }]));
            }
        }
        vulnerability
    };
    unique.enumerate().map(one).collect()
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

#[cfg(test)]
pub(crate) mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;
    use crate::advisory::tests::sample;
    use crate::advisory::{Kind, Measure, MeasureKind, Severity, Source, ThreatLevel, content_problems};
    use crate::gate::csaf_validate;

    pub(crate) fn publisher() -> Publisher {
        Publisher {
            name: "ThüringenCERT".into(),
            namespace: "https://cert.example".into(),
            contact: "Telefon 0361 000000, Mo-Fr 8-16 Uhr".into(),
            mail: "wid@cert.example".into(),
            base_url: "https://wartburg.example".into(),
        }
    }

    const NUMBER: AdvisoryNumber = AdvisoryNumber { year: 2026, serial: 1 };

    fn revisions(count: u32) -> Vec<Revision> {
        (1..=count).map(|n| Revision { number: n, at: Timestamp(1_795_000_000_000 + i64::from(n)), summary: String::new() }).collect()
    }

    #[test]
    fn the_sample_as_csaf_passes_everything_that_blocks() {
        let document = csaf_document(NUMBER, &sample(), &revisions(2), None, &publisher());
        expect![[r#"
            {
              "document": {
                "aggregate_severity": {
                  "text": "kritisch"
                },
                "category": "csaf_security_advisory",
                "csaf_version": "2.0",
                "distribution": {
                  "text": "TLP:GREEN: Weitergabe innerhalb der Verwaltungen und ihrer Partner, nicht öffentlich.",
                  "tlp": {
                    "label": "GREEN",
                    "url": "https://www.first.org/tlp/"
                  }
                },
                "lang": "de-DE",
                "notes": [
                  {
                    "category": "summary",
                    "text": "Angreifer können ohne Anmeldung beliebige Befehle ausführen.",
                    "title": "Sachverhalt"
                  },
                  {
                    "category": "general",
                    "text": "Sicherheitswarnung, Schweregrad kritisch, Bedrohungsstufe 3 (orange)",
                    "title": "Einstufung"
                  },
                  {
                    "category": "details",
                    "text": "Die Lücke wird bereits ausgenutzt.",
                    "title": "Bewertung"
                  },
                  {
                    "category": "details",
                    "text": "Öffnen Sie die Verwaltung, Seite „Über“. Steht dort eine Version vor 7.2, sind Sie betroffen.",
                    "title": "Betroffen?"
                  },
                  {
                    "category": "details",
                    "text": "1. Version 7.2 einspielen. (bis 23.11.2026, 12:00 Uhr)\n2. Verwaltung aus dem Internet nehmen.",
                    "title": "Maßnahmen"
                  }
                ],
                "publisher": {
                  "category": "coordinator",
                  "contact_details": "Telefon 0361 000000, Mo-Fr 8-16 Uhr",
                  "name": "ThüringenCERT",
                  "namespace": "https://cert.example"
                },
                "references": [
                  {
                    "category": "self",
                    "summary": "WID-TH-2026-0001 als CSAF-Dokument",
                    "url": "https://wartburg.example/.well-known/csaf/green/2026/wid-th-2026-0001.json"
                  },
                  {
                    "category": "external",
                    "summary": "Hersteller",
                    "url": "https://vendor.example/a?b=1"
                  }
                ],
                "title": "Kritische Lücke in Beispiel-VPN",
                "tracking": {
                  "current_release_date": "2026-11-18T11:06:40.002Z",
                  "id": "WID-TH-2026-0001",
                  "initial_release_date": "2026-11-18T11:06:40.001Z",
                  "revision_history": [
                    {
                      "date": "2026-11-18T11:06:40.001Z",
                      "number": "1",
                      "summary": "Erste Fassung"
                    },
                    {
                      "date": "2026-11-18T11:06:40.002Z",
                      "number": "2",
                      "summary": "Erste Fassung"
                    }
                  ],
                  "status": "final",
                  "version": "2"
                }
              },
              "product_tree": {
                "branches": [
                  {
                    "branches": [
                      {
                        "branches": [
                          {
                            "category": "product_version_range",
                            "name": "< 7.2",
                            "product": {
                              "name": "Beispiel AG Beispiel-VPN < 7.2",
                              "product_id": "CSAFPID-0001"
                            }
                          }
                        ],
                        "category": "product_name",
                        "name": "Beispiel-VPN"
                      }
                    ],
                    "category": "vendor",
                    "name": "Beispiel AG"
                  }
                ]
              },
              "vulnerabilities": [
                {
                  "cve": "CVE-2026-12345",
                  "notes": [
                    {
                      "category": "summary",
                      "text": "Angreifer können ohne Anmeldung beliebige Befehle ausführen.",
                      "title": "Sachverhalt"
                    }
                  ],
                  "product_status": {
                    "known_affected": [
                      "CSAFPID-0001"
                    ]
                  },
                  "remediations": [
                    {
                      "category": "vendor_fix",
                      "details": "Version 7.2 einspielen. (bis 23.11.2026, 12:00 Uhr)",
                      "product_ids": [
                        "CSAFPID-0001"
                      ]
                    },
                    {
                      "category": "mitigation",
                      "details": "Verwaltung aus dem Internet nehmen.",
                      "product_ids": [
                        "CSAFPID-0001"
                      ]
                    }
                  ],
                  "scores": [
                    {
                      "cvss_v3": {
                        "baseScore": 9.8,
                        "baseSeverity": "CRITICAL",
                        "vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
                        "version": "3.1"
                      },
                      "products": [
                        "CSAFPID-0001"
                      ]
                    }
                  ],
                  "title": "CVE-2026-12345: Kritische Lücke in Beispiel-VPN"
                }
              ]
            }
        "#]]
        .assert_eq(&(serde_json::to_string_pretty(&document).unwrap() + "\n"));
        let findings: Vec<String> = csaf_validate(document).iter().map(ToString::to_string).collect();
        expect![[r#"
            6.2.16 warning /product_tree/branches/0/branches/0/branches/0/product: Product is missing 'product_identification_helper' property
            6.2.18 warning /product_tree/branches/0/branches/0/branches/0/name: Product version range < 7.2 does not match VERS syntax. If possible, use VERS syntax for version ranges as VLS is just provided as a fallback solution and in the future CSAF might deprecate the use of VLS
            6.3.4 info /vulnerabilities/0: Vulnerability is missing 'cwe' property
            6.3.9 info /product_tree/branches/0/branches/0/branches/0/product: The recommended branch category sequence is: `vendor` -> `product_name` -> `product_version`, irrespective of other branch categories. Some of the categories are missing: `product_version`. Full path: `vendor` -> `product_name` -> `product_version_range`
            6.3.10 info /product_tree/branches/0/branches/0/branches/0: Usage of 'product_version_range' branch category is not recommended"#]].assert_eq(&findings.join("\n"));
    }

    #[test]
    fn file_names_follow_the_standard() {
        for (id, name) in [
            ("WID-TH-2026-0001", "wid-th-2026-0001.json"),
            ("Example Company - 2019-YH3234", "example_company_-_2019-yh3234.json"),
            ("RHBA-2019:0024", "rhba-2019_0024.json"),
            ("../../etc/passwd", "_etc_passwd.json"),
            ("ÄÖ", "_.json"),
        ] {
            assert_eq!(csaf_file_name(id), name, "{id}");
        }
        assert_eq!(csaf_path(NUMBER, Tlp::AmberStrict, Timestamp(1_795_000_000_000)), "red/2026/wid-th-2026-0001.json");
    }

    #[test]
    fn the_profile_follows_from_what_is_known() {
        let category_of = |change: fn(&mut Content)| {
            let mut content = sample();
            change(&mut content);
            let document = csaf_document(NUMBER, &content, &revisions(1), None, &publisher());
            assert!(csaf_validate(document).iter().all(|finding| !finding.blocks()));
            category(&content)
        };
        assert_eq!(category_of(|_| {}), "csaf_security_advisory");
        assert_eq!(category_of(|c| c.cves.clear()), "csaf_informational_advisory");
        assert_eq!(category_of(|c| c.products.clear()), "csaf_base");
        assert_eq!(category_of(|c| (c.cves.clear(), c.sources.clear()).1), "csaf_base");
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![3 => "[ -~äöüß„“\n]{0,80}", 1 => "\\PC{0,40}", 1 => any::<String>()]
    }

    fn product() -> impl Strategy<Value = Product> {
        let version = prop_oneof![Just(String::new()), "[0-9.]{1,6}", "(<|<=|>=|before|all versions|vor) ?[0-9.]{0,5}", text()];
        (text(), prop_oneof![Just("Beispiel AG".to_owned()), text()], version).prop_map(|(name, vendor, version)| Product {
            name,
            vendor,
            version,
        })
    }

    fn measure() -> impl Strategy<Value = Measure> {
        (any::<bool>(), text(), proptest::option::of(0_i64..4_000_000_000_000)).prop_map(|(fix, text, due)| Measure {
            kind: if fix { MeasureKind::VendorFix } else { MeasureKind::Mitigation },
            text,
            due_at: due.map(Timestamp),
        })
    }

    prop_compose! {
        fn cvss()(av in "[NALP]", ac in "[LH]", pr in "[NLH]", ui in "[NR]", s in "[UC]", cia in "[NLH]{3}") -> crate::advisory::Cvss {
            let mut cia = cia.chars();
            let (c, i, a) = (cia.next().unwrap(), cia.next().unwrap(), cia.next().unwrap());
            format!("CVSS:3.1/AV:{av}/AC:{ac}/PR:{pr}/UI:{ui}/S:{s}/C:{c}/I:{i}/A:{a}").parse().unwrap()
        }
    }

    prop_compose! {
        pub(crate) fn content()(
            axes in (0..3_usize, 0..4_usize, 0..4_usize, 0..5_usize, any::<bool>()),
            texts in (text(), text(), text(), text(), text()),
            cves in proptest::collection::vec("CVE-20[0-9]{2}-[0-9]{4,7}", 0..4),
            cvss in proptest::option::of(cvss()),
            products in proptest::collection::vec(product(), 0..5),
            measures in proptest::collection::vec(measure(), 0..3),
            urls in proptest::collection::vec((text(), "https?://[a-z0-9.-]{1,12}(:[0-9]{1,6})?(/[ -~]{0,20})?"), 0..3),
        ) -> Content {
            Content {
                kind: Kind::ALL[axes.0], severity: Severity::ALL[axes.1], threat_level: ThreatLevel::ALL[axes.2], tlp: Tlp::ALL[axes.3],
                interim: axes.4,
                title: texts.0, situation: texts.1, assessment: texts.2, check: texts.3, contact: texts.4,
                measures, sources: urls.into_iter().map(|(title, url)| Source { title, url }).collect(),
                cves: cves.iter().map(|cve| cve.parse().unwrap()).collect(),
                cvss, products, source_published_at: None,
            }.tidied()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 20_000, ..ProptestConfig::default() })]

        /// Our own rules imply the standard's: whatever we let into review passes every test that would block it.
        #[test]
        fn a_text_without_problems_passes_the_mandatory_tests(content in content(), count in 1_u32..4, withdrawn in proptest::option::of("[a-z ]{0,9}")) {
            prop_assume!(content_problems(&content).is_empty());
            let document = csaf_document(NUMBER, &content, &revisions(count), withdrawn.as_deref(), &publisher());
            let blocking: Vec<String> = csaf_validate(document).iter().filter(|finding| finding.blocks()).map(ToString::to_string).collect();
            prop_assert!(blocking.is_empty(), "{blocking:?}");
        }
    }
}
