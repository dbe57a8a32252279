//! What a rule says when it fires: the one value that passes from judging (`sigma`, `correlate`, `intel`) to
//! case work (`alert`, `incident`). It holds facts only; what becomes of them is decided there.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;

use ingest::body::{BodyId, SiteId};
use ingest::frame::Seq;
use ingest::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::explanation::Explanation;
use crate::rule::Rule;

/// One firing of one rule about one entity at one site.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: Arc<Rule>,
    pub site: SiteId,
    pub body: Option<BodyId>,
    /// The main entity: for most rules the source address. Alerts are deduplicated and grouped by it.
    pub entity: Entity,
    /// Everything worth showing and grouping by: field name to values (`source.ip`, `user.name`, `host.name` …).
    pub observables: BTreeMap<&'static str, Vec<String>>,
    /// Event time of the first and the last record that took part.
    pub first: Timestamp,
    pub last: Timestamp,
    /// Receipt of the record that completed it: what "detected at" means.
    pub detected_at: Timestamp,
    /// Journal sequences of the records that took part, in order, at most `EVIDENCE_MAX`.
    pub evidence: Vec<Seq>,
    /// How many records took part, also those beyond the bound.
    pub records: u64,
    /// The figures that decided; only detectors and watches have them, a rule's wording says it all.
    pub reasons: Vec<Reason>,
    /// Why a rule said so, and in which wording; detectors and watches have reasons instead.
    pub explanation: Option<Box<Explanation>>,
    /// What took part at which body, of a finding that is the state's (`SITE_STATE`); empty for one of a single site.
    pub shares: Vec<Share>,
}

/// What took part at one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub body: BodyId,
    pub records: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

/// A figure that decided, with the threshold it passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// German, as a rule's title is (`Verschiedene Ziele`).
    pub name: Cow<'static, str>,
    /// With their unit, as a person reads them (`312`, `4,2 GB`).
    pub value: String,
    /// With its direction (`ab 50`, `höchstens 3`); empty for what only explains.
    pub threshold: String,
}

impl Reason {
    pub fn new(name: &'static str, value: impl Display, threshold: impl Display) -> Self {
        Self { name: Cow::Borrowed(name), value: value.to_string(), threshold: threshold.to_string() }
    }
}

impl Finding {
    /// The middle of the time in which findings of the same belong to one alert: its beginning. What others report comes by
    /// the day, so a report's alerts are those of a calendar day (UTC), from its midnight on.
    pub(crate) fn anchor(&self) -> Timestamp {
        if self.rule.id.starts_with(REPORT_PREFIX) { self.first.plus(-self.first.0.rem_euclid(Timestamp::DAY)) } else { self.first }
    }
}

/// How the identities of those rules begin that stand for reports of others (`exchange::import`).
pub const REPORT_PREFIX: &str = "report:";

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Entity {
    Ip(IpAddr),
    Host(String),
    User(String),
    /// What warnings are about, and several bodies can have in common: a listed pattern, a file's hash, a sender of mail.
    Indicator(String),
    /// The site as a whole, where a rule has no better entity.
    Site,
}

impl Entity {
    /// The stable text under which it is stored and grouped (`ip:192.0.2.1`).
    pub fn key(&self) -> String {
        match self {
            Self::Ip(address) => format!("ip:{address}"),
            Self::Host(name) => format!("host:{}", name.to_lowercase()),
            Self::User(name) => format!("user:{}", name.to_lowercase()),
            Self::Indicator(value) => format!("indicator:{}", value.to_lowercase()),
            Self::Site => "site".into(),
        }
    }
}

/// Evidence kept per alert: enough to read the story; the search shows all of it.
pub const EVIDENCE_MAX: usize = 100;
