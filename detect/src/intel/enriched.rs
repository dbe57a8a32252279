//! A record with what the indicators say of it. Each of its values is looked up by what its field holds: an address, a
//! name, a URL, a hash, a mail address; fields are walked once.

use std::net::IpAddr;

use ingest::event::{Defects, ValueRef};
use ingest::fields::{self, FieldId};
use ingest::frame::Seq;
use ingest::record::Record;
use ingest::time::Timestamp;

use super::set::{Hit, IndicatorSet};
use super::url::{CanonicalUrl, URL_BYTES_MAX};

/// What a field's values are looked up as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Address,
    Domain,
    Url,
    /// What a server was asked for, without its name.
    Page,
    Hash,
    Mail,
}

/// Every field that is looked up. The retro-hunt asks the event store for the same ones.
pub const LOOKED_UP: [(FieldId, Role); 18] = [
    (fields::SOURCE_IP, Role::Address),
    (fields::DESTINATION_IP, Role::Address),
    (fields::DNS_RESOLVED_IP, Role::Address),
    (fields::NETWORK_FORWARDED_IP, Role::Address),
    (fields::DNS_QUESTION_NAME, Role::Domain),
    (fields::URL_DOMAIN, Role::Domain),
    (fields::DESTINATION_DOMAIN, Role::Domain),
    (fields::URL_FULL, Role::Url),
    (fields::HTTP_REFERRER, Role::Url),
    (fields::URL_ORIGINAL, Role::Page),
    (fields::FILE_HASH_MD5, Role::Hash),
    (fields::FILE_HASH_SHA1, Role::Hash),
    (fields::FILE_HASH_SHA256, Role::Hash),
    (fields::PROCESS_HASH_MD5, Role::Hash),
    (fields::PROCESS_HASH_SHA1, Role::Hash),
    (fields::PROCESS_HASH_SHA256, Role::Hash),
    (fields::EMAIL_FROM, Role::Mail),
    (fields::EMAIL_TO, Role::Mail),
];

/// The role of each field by its number; behind the end it has none.
const ROLES: [Option<Role>; 256] = {
    let mut roles = [None; 256];
    let mut n = 0;
    while n < LOOKED_UP.len() {
        #[expect(clippy::indexing_slicing, reason = "worked out by the compiler, which says where it is out of bounds")]
        {
            roles[LOOKED_UP[n].0.0 as usize] = Some(LOOKED_UP[n].1);
        }
        n += 1;
    }
    roles
};

/// Hits shown per record.
const HITS_MAX: usize = 8;

/// A record with what the indicators say of it.
pub struct Enriched<'a> {
    record: &'a dyn Record,
    /// Each indicator and list once.
    hits: Vec<Hit<'a>>,
    names: Vec<String>,
}

impl<'a> Enriched<'a> {
    pub fn new(record: &'a dyn Record, indicators: &'a IndicatorSet) -> Self {
        let mut look = Look { indicators, at: record.timestamp(), hits: Vec::new(), domain: String::new(), page: String::new() };
        if !indicators.is_empty() {
            // Of a flow every value is worked out when it is asked for: only what is needed.
            if record.text().is_empty() {
                for (field, role) in LOOKED_UP {
                    record.any_value(field, &mut |value| {
                        look.value(role, value);
                        false
                    });
                }
            } else {
                record.any_field(&mut |field, value| {
                    if let Some(role) = ROLES.get(usize::from(field.0)).copied().flatten() {
                        look.value(role, value);
                    }
                    false
                });
            }
            look.page();
        }
        let names = look.hits.iter().map(|hit| hit.pattern.value()).collect();
        Self { record, hits: look.hits, names }
    }

    pub fn hits(&self) -> &[Hit<'a>] {
        &self.hits
    }
}

/// An address, if it looks like one: names do not end in a digit.
fn address(text: &str) -> Option<IpAddr> {
    let looks = text.bytes().last().is_some_and(|byte| byte.is_ascii_digit()) || text.contains(':');
    if looks { text.parse().ok() } else { None }
}

/// The looking up of one record.
struct Look<'a> {
    indicators: &'a IndicatorSet,
    at: Timestamp,
    hits: Vec<Hit<'a>>,
    /// The server's name and what it was asked for, where the record has no whole URL.
    domain: String,
    page: String,
}

impl<'a> Look<'a> {
    fn value(&mut self, role: Role, value: ValueRef<'_>) {
        let (set, at) = (self.indicators, self.at);
        match (role, value) {
            (Role::Address, value) => {
                if let Some(address) = value.as_ip() {
                    set.address(address, at).for_each(|hit| self.hit(hit));
                }
            }
            (_, ValueRef::Ip(address)) => set.address(address, at).for_each(|hit| self.hit(hit)),
            (_, ValueRef::Str(text)) => self.text(role, text),
            (_, ValueRef::Int(_) | ValueRef::Bool(_)) => {}
        }
    }

    fn text(&mut self, role: Role, text: &str) {
        let (set, at) = (self.indicators, self.at);
        let found = match role {
            Role::Domain => {
                if self.domain.is_empty() && text.len() <= URL_BYTES_MAX {
                    self.domain.push_str(text);
                }
                // A server may be named by its address.
                match address(text) {
                    Some(address) => return set.address(address, at).for_each(|hit| self.hit(hit)),
                    None => set.domain(text, at),
                }
            }
            Role::Url => match CanonicalUrl::parse(text) {
                Some(url) => {
                    let mut found = set.canonical_url(&url, at);
                    match address(url.host().trim_matches(['[', ']'])) {
                        Some(address) => found.extend(set.address(address, at)),
                        // Nearly always it stands beside the URL too.
                        None if url.host() == self.domain => {}
                        None => found.extend(set.domain(url.host(), at)),
                    }
                    found
                }
                None => vec![],
            },
            Role::Page if text.contains("://") => return self.text(Role::Url, text),
            Role::Page => {
                if set.has_pages() && self.page.is_empty() && text.starts_with('/') && text.len() <= URL_BYTES_MAX {
                    self.page.push_str(text);
                }
                return;
            }
            Role::Hash => set.hash(text, at),
            Role::Mail => set.mail(text, at),
            Role::Address => return,
        };
        found.into_iter().for_each(|hit| self.hit(hit));
    }

    /// The URL of a record that has it only in two parts.
    fn page(&mut self) {
        if !self.page.is_empty() && !self.domain.is_empty() && self.indicators.has_pages() {
            let url = format!("http://{}{}", self.domain, self.page);
            self.indicators.url(&url, self.at).into_iter().for_each(|hit| self.hit(hit));
        }
    }

    fn hit(&mut self, new: Hit<'a>) {
        if self.hits.len() < HITS_MAX && !self.hits.contains(&new) {
            self.hits.push(new);
        }
    }
}

impl Record for Enriched<'_> {
    fn seq(&self) -> Seq {
        self.record.seq()
    }
    fn timestamp(&self) -> Timestamp {
        self.record.timestamp()
    }
    fn text(&self) -> &str {
        self.record.text()
    }
    fn defects(&self) -> Defects {
        self.record.defects()
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        self.record.any_value(field, visit)
            || match field {
                fields::THREAT_INDICATOR => self.names.iter().any(|name| visit(ValueRef::Str(name))),
                fields::THREAT_INDICATOR_LIST => self.hits.iter().any(|hit| visit(ValueRef::Str(&hit.attributes.list))),
                _ => false,
            }
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        self.record.any_field(visit)
            || self.names.iter().any(|name| visit(fields::THREAT_INDICATOR, ValueRef::Str(name)))
            || self.hits.iter().any(|hit| visit(fields::THREAT_INDICATOR_LIST, ValueRef::Str(&hit.attributes.list)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Indicator, IndicatorId, Tlp};
    use super::*;
    use crate::json_record::JsonRecord;

    fn set(all: &[&str]) -> IndicatorSet {
        let indicator = |pattern: &&str| Indicator {
            id: IndicatorId::default(),
            pattern: pattern.parse().unwrap(),
            list: "l".into(),
            tlp: Tlp::Amber,
            confidence: 80,
            valid_until: None,
            created_at: Timestamp(0),
            live_from: None,
        };
        IndicatorSet::new(all.iter().map(indicator).collect())
    }

    #[test]
    fn each_field_is_looked_up_as_what_it_holds() {
        let set = set(&[
            "203.0.113.7",
            "bad.example",
            "http://worse.example/drop.exe",
            "d41d8cd98f00b204e9800998ecf8427f",
            "rechnung@mail.example",
        ]);
        for (name, object, expected) in [
            ("an address", json!({ "destination.ip": "203.0.113.7" }), "203.0.113.7"),
            ("resolved to it", json!({ "dns.resolved_ip": ["192.0.2.1", "203.0.113.7"] }), "203.0.113.7"),
            ("a name that is asked for", json!({ "dns.question.name": "a.bad.example" }), "bad.example"),
            ("a server named by its address", json!({ "url.domain": "203.0.113.7" }), "203.0.113.7"),
            ("a URL", json!({ "url.full": "HTTP://worse.example:80/drop.exe" }), "http://worse.example/drop.exe"),
            ("a URL's host", json!({ "url.full": "https://x.bad.example/" }), "bad.example"),
            ("in two parts", json!({ "url.domain": "worse.example", "url.original": "/drop.exe?x" }), "http://worse.example/drop.exe"),
            ("asked of a proxy", json!({ "url.original": "http://worse.example/drop.exe" }), "http://worse.example/drop.exe"),
            ("where it came from", json!({ "http.request.referrer": "http://bad.example/" }), "bad.example"),
            ("a file", json!({ "file.hash.md5": "D41D8CD98F00B204E9800998ECF8427F" }), "d41d8cd98f00b204e9800998ecf8427f"),
            ("a sender", json!({ "email.from.address": "Rechnung@mail.example" }), "rechnung@mail.example"),
            ("a sender's domain", json!({ "email.from.address": "x@mx.bad.example" }), "bad.example"),
            ("nothing of it", json!({ "user.name": "bad.example", "url.path": "/drop.exe", "message": "203.0.113.7" }), ""),
        ] {
            // With a line and without: the two ways through the fields find the same.
            for line in ["a line", ""] {
                let mut object = object.as_object().unwrap().clone();
                object.insert("_raw".into(), line.into());
                let record = JsonRecord::new(&object, Seq(1), Timestamp(0));
                let enriched = Enriched::new(&record, &set);
                assert_eq!(enriched.first_text(fields::THREAT_INDICATOR).unwrap_or_default(), expected, "{name}");
                assert_eq!(enriched.first_text(fields::THREAT_INDICATOR_LIST).is_some(), !expected.is_empty(), "{name}");
            }
        }
    }
}
