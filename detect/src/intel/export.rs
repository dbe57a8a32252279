//! Sightings for those who gave us the indicators: as what MISP's interface takes, one request a line, and as a bundle of
//! STIX 2.1. Each says that and when, not where: no address or name of ours leaves the house.

use std::fmt::Write as _;

use ingest::db::DbError;
use ingest::rusqlite::Connection;
use ingest::time::Timestamp;
use serde_json::{Value, json};

use super::pattern::Pattern;
use super::store::{IndicatorId, ListFilter, Listed, Only, indicator_list};
use super::tlp::Tlp;

/// Sightings of one export.
const EXPORT_MAX: usize = 100_000;
/// STIX' own bound on `count`.
const COUNT_MAX: i64 = 999_999_999;
/// Who sighted, the same in every export.
const IDENTITY: &str = "identity--77617274-6275-8267-8074-686365727400";

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    Misp,
    Stix,
}

/// All sightings, of one list or of all, as text; and how many.
///
/// # Errors
/// The database's own.
pub fn sightings_export(connection: &Connection, list: Option<&str>, flavour: Flavour, now: Timestamp) -> Result<(String, usize), DbError> {
    let filter = ListFilter { list: list.map(str::to_owned), only: Only::Sighted, ..ListFilter::default() };
    let rows = indicator_list(connection, &filter, now, EXPORT_MAX)?;
    let text = match flavour {
        Flavour::Misp => rows.iter().fold(String::new(), |mut text, row| {
            let _ = writeln!(text, "{}", misp(row));
            text
        }),
        Flavour::Stix => {
            let mut objects = vec![json!({
                "type": "identity", "spec_version": "2.1", "id": IDENTITY, "created": "2026-01-01T00:00:00.000Z",
                "modified": "2026-01-01T00:00:00.000Z", "name": "ThüringenCERT", "identity_class": "organization",
            })];
            rows.iter().for_each(|row| objects.extend(stix(row, now)));
            let bundle =
                json!({ "type": "bundle", "id": format!("bundle--{}", uuid(u128::from(now.0.unsigned_abs()), 9)), "objects": objects });
            format!("{bundle}\n")
        }
    };
    Ok((text, rows.len()))
}

fn misp(row: &Listed) -> Value {
    let at = row.last_hit.map_or(0, |at| at.0 / 1_000);
    match row.reference.as_deref().filter(|reference| is_uuid(reference)) {
        Some(attribute) => json!({ "uuid": attribute, "timestamp": at, "type": "0", "source": "ThüringenCERT" }),
        None => json!({ "values": [row.indicator.pattern.value()], "timestamp": at, "type": "0", "source": "ThüringenCERT" }),
    }
}

/// The sighting, and the indicator too where it has no identity of STIX.
fn stix(row: &Listed, now: Timestamp) -> Vec<Value> {
    let indicator = &row.indicator;
    let marking = json!([stix_marking(indicator.tlp)]);
    let foreign = row.reference.clone().filter(|id| id.starts_with("indicator--"));
    let of = foreign.clone().unwrap_or_else(|| format!("indicator--{}", uuid_of(indicator.id, 1)));
    let mut objects = Vec::new();
    if foreign.is_none() {
        let created = indicator.created_at.rfc3339();
        objects.push(json!({
            "type": "indicator", "spec_version": "2.1", "id": of, "created_by_ref": IDENTITY, "created": created, "modified": created,
            "valid_from": created, "pattern_type": "stix", "pattern": stix_pattern(&indicator.pattern), "confidence": indicator.confidence,
            "object_marking_refs": marking,
        }));
    }
    objects.push(json!({
        "type": "sighting", "spec_version": "2.1", "id": format!("sighting--{}", uuid_of(indicator.id, 2)), "created_by_ref": IDENTITY,
        "created": row.first_hit.unwrap_or(now).rfc3339(), "modified": now.rfc3339(), "first_seen": row.first_hit.map(Timestamp::rfc3339),
        "last_seen": row.last_hit.map(Timestamp::rfc3339), "count": row.hits.min(COUNT_MAX), "sighting_of_ref": of,
        "where_sighted_refs": [IDENTITY], "object_marking_refs": marking,
    }));
    objects
}

/// A value as a pattern of STIX that matches it alone.
pub(crate) fn stix_pattern(pattern: &Pattern) -> String {
    let object = match pattern.kind() {
        "address" | "prefix" if pattern.value().contains(':') => "ipv6-addr:value",
        "address" | "prefix" => "ipv4-addr:value",
        "domain" => "domain-name:value",
        "url" => "url:value",
        "md5" => "file:hashes.MD5",
        "sha1" => "file:hashes.'SHA-1'",
        "sha256" => "file:hashes.'SHA-256'",
        _ => "email-addr:value",
    };
    format!("[{object} = '{}']", pattern.value().replace('\\', "\\\\").replace('\'', "\\'"))
}

/// OASIS' marking of a label of TLP 2.0.
pub(crate) fn stix_marking(tlp: Tlp) -> &'static str {
    match tlp {
        Tlp::Clear => "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
        Tlp::Green => "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
        Tlp::Amber => "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
        Tlp::AmberStrict => "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        Tlp::Red => "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn uuid_of(id: IndicatorId, salt: u8) -> String {
    uuid(id.0.0, salt)
}

/// A UUID made of our own number: version 8 of RFC 9562, the same in every export.
fn uuid(number: u128, salt: u8) -> String {
    let number = (number ^ u128::from(salt) << 100) & !(0xf << 76) & !(0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use ingest::db::Db;

    use super::super::read::{Defaults, Format, Item, read};
    use super::super::{MIGRATIONS, NewIndicator, indicator_add};
    use super::*;

    #[test]
    fn what_was_met_goes_back_to_who_warned() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let all = ["bad.example", "203.0.113.7", "http://bad.example/it's"].map(|pattern| NewIndicator {
            pattern: pattern.parse().unwrap(),
            list: "a".into(),
            tlp: Tlp::Amber,
            confidence: 80,
            valid_until: None,
        });
        db.write(move |tx| {
            all.iter().try_for_each(|one| indicator_add(tx, one, Timestamp(1)).map(drop))?;
            tx.execute("UPDATE indicator SET hits = 3, first_hit = 2000, last_hit = 9000 WHERE kind <> 'address'", [])?;
            tx.execute("UPDATE indicator SET reference = '0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21' WHERE kind = 'domain'", [])?;
            Ok::<_, DbError>(())
        })
        .unwrap();
        let (misp, count) = db.read(|c| sightings_export(c, Some("a"), Flavour::Misp, Timestamp(1))).unwrap();
        assert_eq!(count, 2);
        let expected = [
            json!({ "values": ["http://bad.example/it's"], "timestamp": 9, "type": "0", "source": "ThüringenCERT" }),
            json!({ "uuid": "0d9e6a3b-2f5c-4c58-9a57-7c0f4f0b1e21", "timestamp": 9, "type": "0", "source": "ThüringenCERT" }),
        ];
        let lines: Vec<Value> = misp.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(expected.iter().all(|one| lines.contains(one)), "{misp}");
        let (stix, _) = db.read(|c| sightings_export(c, None, Flavour::Stix, Timestamp(10_000))).unwrap();
        let bundle: Value = serde_json::from_str(&stix).unwrap();
        let kinds: Vec<&str> = bundle["objects"].as_array().unwrap().iter().map(|object| object["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["identity", "indicator", "sighting", "indicator", "sighting"]);
        for object in bundle["objects"].as_array().unwrap() {
            let (kind, id) = object["id"].as_str().unwrap().split_once("--").unwrap();
            assert!(kind == object["type"] && is_uuid(id) && id.len() == 36, "{object}");
        }
        // What we give we can read ourselves.
        let defaults = Defaults { list: "b".into(), tlp: Tlp::Clear, confidence: 1, valid_days: None, column: None };
        let mut back = Vec::new();
        let report = read(&mut stix.as_bytes(), Format::Stix, &defaults, Timestamp(10_000), &mut |item| {
            if let Item::Listed { new, .. } = item {
                back.push((new.pattern.value(), new.tlp));
            }
            Ok(())
        })
        .unwrap();
        back.sort();
        assert_eq!(back, [("bad.example".to_owned(), Tlp::Amber), ("http://bad.example/it's".to_owned(), Tlp::Amber)], "{report:?}");
        assert!(db.read(|c| sightings_export(c, Some("b"), Flavour::Misp, Timestamp(1))).unwrap().0.is_empty());
    }
}
