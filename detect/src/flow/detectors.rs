//! All detectors together: made from the sheet, given each record once with what was worked out of it, saved and restored
//! as one. It reads no clock, no file and no database.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ingest::body::{BodyId, Prefix, SiteId, SiteTable};
use ingest::flow::FlowRecord;
use ingest::time::Timestamp;

use super::networks::Networks;
use super::wire::{Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, RestoreError, Sheet};
use crate::finding::{EVIDENCE_MAX, Finding};
use crate::intel::SharedIndicators;
use crate::rule::Rule;

/// Makes a detector from its parameters.
type Make = fn(&Parameters) -> Result<Box<dyn Detector>, ParameterError>;

/// Every detector by its section. A new one is a row here and a section in rules/flow/detectors.toml.
const DETECTORS: &[(&str, Make)] = &[
    ("portscan", |parameters| Ok(Box::new(super::scan::Scan::new(super::scan::Kind::Ports, parameters)?))),
    ("hostscan", |parameters| Ok(Box::new(super::scan::Scan::new(super::scan::Kind::Hosts, parameters)?))),
    ("flow_bruteforce", |parameters| Ok(Box::new(super::brute::Brute::new(parameters)?))),
    ("lateral_movement", |parameters| Ok(Box::new(super::lateral::Lateral::new(parameters)?))),
    ("volumetric", |parameters| Ok(Box::new(super::volume::Volume::new(parameters)?))),
    ("first_seen_service", |parameters| Ok(Box::new(super::first::First::new(super::first::Kind::Service, parameters)?))),
    ("first_seen_peer", |parameters| Ok(Box::new(super::first::First::new(super::first::Kind::Peer, parameters)?))),
    ("beaconing", |parameters| Ok(Box::new(super::beacon::Beaconing::new(parameters)?))),
    ("exfiltration", |parameters| Ok(Box::new(super::exfiltration::Exfiltration::new(parameters)?))),
    ("dns_tunnel", |parameters| Ok(Box::new(super::dns_tunnel::DnsTunnel::new(parameters)?))),
    ("flow_indicator", |parameters| Ok(Box::new(super::indicator::IndicatorTraffic::new(parameters)?))),
    ("attack_across_bodies", |parameters| Ok(Box::new(super::across::Across::new(parameters)?))),
];

/// The state's format.
const VERSION: u8 = 1;
/// How often, by receipt, detectors look after what is old.
const SETTLE_INTERVAL: i64 = Timestamp::MINUTE;
/// Sampled exporters that are told apart; there are some hundred routers in a whole Land.
const EXPORTERS_MAX: usize = 1_000;

/// The detectors that run, with what they share.
pub struct Detectors {
    sheet: Arc<Sheet>,
    running: Vec<Running>,
    networks: Networks,
    settled_at: Option<Timestamp>,
    /// The site of the last record and whose it is: a datagram's records are of one.
    site: (SiteId, Option<BodyId>),
    sites: Arc<SiteTable>,
    /// Records of exporters that sample, which some detectors leave out.
    sampled: BTreeMap<IpAddr, u64>,
    sampled_records: u64,
    scratch: Vec<Detection>,
}

struct Running {
    detector: Box<dyn Detector>,
    fingerprint: String,
}

/// How one detector stands, for the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetectorHealth {
    pub name: String,
    pub footprint: Footprint,
    /// Records of sampled exporters that it did not judge.
    pub left_out: u64,
}

/// How all stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    pub at: Timestamp,
    pub detectors: Vec<DetectorHealth>,
    /// Exporters that sample, with their records.
    pub sampled: Vec<(IpAddr, u64)>,
}

/// What pages see of the detectors: their sheet, and how they stood about a minute ago.
#[derive(Debug, Default)]
pub struct Board {
    pub sheet: Arc<Sheet>,
    health: Mutex<Health>,
}

impl Board {
    pub fn new(sheet: Arc<Sheet>) -> Self {
        Self { sheet, health: Mutex::default() }
    }

    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, health: Health) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }
}

impl std::fmt::Debug for Detectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Detectors({})", self.running.len())
    }
}

impl Detectors {
    /// Those that the sheet lets run; `own` are the configured networks (none: the private ones).
    ///
    /// # Errors
    /// The first parameter that is out of its range.
    pub fn new(sheet: Arc<Sheet>, own: &[Prefix]) -> Result<Self, ParameterError> {
        let mut running = Vec::new();
        for (name, make) in DETECTORS {
            let Some(section) = sheet.get(name) else { continue };
            // Made even where it does not run: a wrong value is a mistake now, not on the day somebody switches it on.
            let detector = make(&section.parameters)?;
            if section.enabled {
                running.push(Running { detector, fingerprint: section.parameters.fingerprint() });
            }
        }
        Ok(Self::of(sheet, running, own))
    }

    /// One detector alone, for tests and measurements.
    #[cfg(test)]
    pub(crate) fn single(sheet: Arc<Sheet>, detector: Box<dyn Detector>) -> Self {
        Self::of(sheet, vec![Running { detector, fingerprint: String::new() }], &[])
    }

    fn of(sheet: Arc<Sheet>, running: Vec<Running>, own: &[Prefix]) -> Self {
        Self {
            sheet,
            running,
            networks: Networks::new(own),
            settled_at: None,
            site: (ingest::body::SITE_UNKNOWN, None),
            sites: Arc::default(),
            sampled: BTreeMap::new(),
            sampled_records: 0,
            scratch: Vec::new(),
        }
    }

    /// The lists in force, for those that ask them.
    #[must_use]
    pub fn with_indicators(mut self, shared: &SharedIndicators) -> Self {
        self.running.iter_mut().for_each(|running| running.detector.indicators(shared));
        self
    }

    /// The sites as they are for the records that follow.
    pub fn follow(&mut self, sites: &Arc<SiteTable>) {
        self.networks.follow(sites);
        self.site = (ingest::body::SITE_UNKNOWN, sites.body(ingest::body::SITE_UNKNOWN));
        self.sites = sites.clone();
    }

    /// Receipt has come to `now`: about once a minute what is old is closed and forgotten. Records and frames say so in
    /// journal order, so that a replay settles at the same places.
    pub fn advance(&mut self, now: Timestamp, findings: &mut Vec<Finding>) {
        let due = self.settled_at.is_none_or(|at| now.since(at).saturating_abs() >= SETTLE_INTERVAL);
        if due {
            self.settle(now, findings);
        }
    }

    /// Closes what waits for quiet, as of `now`.
    pub fn settle(&mut self, now: Timestamp, findings: &mut Vec<Finding>) {
        self.settled_at = Some(now);
        for running in &mut self.running {
            running.detector.settle(now, &mut self.scratch);
        }
        self.found(findings);
    }

    /// Judges one record. Records come in journal order.
    pub fn apply(&mut self, flow: &FlowRecord, findings: &mut Vec<Finding>) {
        if self.site.0 != flow.site {
            self.site = (flow.site, self.sites.body(flow.site));
        }
        let seen = self.networks.seen(flow, self.site.1);
        let sampled = flow.sampling > 1;
        if sampled {
            self.sampled_records += 1;
            if self.sampled.len() < EXPORTERS_MAX || self.sampled.contains_key(&flow.exporter) {
                *self.sampled.entry(flow.exporter).or_default() += 1;
            }
        }
        for running in &mut self.running {
            if !sampled || running.detector.allows_sampling() {
                running.detector.observe(flow, &seen, &mut self.scratch);
            }
        }
        if !self.scratch.is_empty() {
            self.found(findings);
        }
    }

    /// The state of all, and going on from it.
    pub fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        out.put(&self.settled_at).put(&self.sampled_records).put(&(self.running.len() as u64));
        for running in &self.running {
            out.bytes(running.detector.name().as_bytes()).bytes(running.fingerprint.as_bytes()).bytes(&running.detector.save());
        }
        out.put(&(self.sampled.len() as u64));
        for (exporter, records) in &self.sampled {
            out.bytes(exporter.to_string().as_bytes()).put(records);
        }
        out.done()
    }

    /// Goes on from a saved state. A detector that is new, whose parameters have changed or whose state cannot be read
    /// begins anew, and says so.
    ///
    /// # Errors
    /// Where the whole cannot be read; all begin anew then.
    pub fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        let (settled_at, sampled_records) = (from.take()?, from.take()?);
        let mut saved: BTreeMap<&[u8], (&[u8], &[u8])> = BTreeMap::new();
        for _ in 0..from.count()? {
            saved.insert(from.bytes()?, (from.bytes()?, from.bytes()?));
        }
        let mut sampled = BTreeMap::new();
        for _ in 0..from.count()? {
            let exporter = std::str::from_utf8(from.bytes()?).ok().and_then(|text| text.parse().ok());
            sampled.insert(exporter.ok_or(RestoreError::Damaged("an exporter that is no address"))?, from.take()?);
        }
        from.done()?;
        for running in &mut self.running {
            let name = running.detector.name();
            match saved.get(name.as_bytes()) {
                Some((fingerprint, state)) if *fingerprint == running.fingerprint.as_bytes() => {
                    if let Err(error) = running.detector.restore(state) {
                        tracing::error!(detector = name, %error, "a detector begins anew");
                    }
                }
                Some(_) => tracing::warn!(detector = name, "a detector's parameters have changed: it begins anew"),
                None => tracing::info!(detector = name, "a detector begins"),
            }
        }
        (self.settled_at, self.sampled_records, self.sampled) = (settled_at, sampled_records, sampled);
        Ok(())
    }

    pub fn health(&self, at: Timestamp) -> Health {
        let of = |running: &Running| DetectorHealth {
            name: running.detector.name().to_owned(),
            footprint: running.detector.footprint(),
            left_out: if running.detector.allows_sampling() { 0 } else { self.sampled_records },
        };
        let sampled = self.sampled.iter().map(|(exporter, records)| (*exporter, *records)).collect();
        Health { at, detectors: self.running.iter().map(of).collect(), sampled }
    }

    /// Receipt of about the last record.
    pub fn settled_at(&self) -> Option<Timestamp> {
        self.settled_at
    }

    pub fn sheet(&self) -> &Arc<Sheet> {
        &self.sheet
    }

    fn found(&mut self, findings: &mut Vec<Finding>) {
        let mut heard = Vec::new();
        for detection in std::mem::take(&mut self.scratch) {
            let body = self.body_of(&detection);
            if let Some(body) = body
                && self.rule_of(&detection).is_some()
            {
                self.running.iter_mut().for_each(|running| running.detector.hear(&detection, body, &mut heard));
            }
            self.tell(detection, findings);
        }
        heard.into_iter().for_each(|detection| self.tell(detection, findings));
    }

    fn body_of(&self, detection: &Detection) -> Option<BodyId> {
        detection.body.or_else(|| self.sites.body(detection.site))
    }

    /// Its rule, where that is on: a second rule (the success after attempts) may be switched off alone.
    fn rule_of(&self, detection: &Detection) -> Option<&Arc<Rule>> {
        self.sheet.get(detection.rule).filter(|section| section.enabled).map(|section| &section.rule)
    }

    fn tell(&self, detection: Detection, findings: &mut Vec<Finding>) {
        if let Some(rule) = self.rule_of(&detection).cloned() {
            let body = self.body_of(&detection);
            findings.push(finding(rule, detection, body));
        }
    }
}

pub(super) fn finding(rule: Arc<Rule>, detection: Detection, body: Option<BodyId>) -> Finding {
    let mut evidence = detection.evidence;
    evidence.sort_unstable();
    evidence.dedup();
    evidence.truncate(EVIDENCE_MAX);
    Finding {
        rule,
        site: detection.site,
        body,
        entity: detection.entity,
        observables: detection.observables,
        first: detection.first,
        last: detection.last,
        detected_at: detection.detected_at,
        records: detection.records.max(evidence.len() as u64),
        evidence,
        reasons: detection.reasons,
        explanation: None,
        shares: detection.shares,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::expect;

    use super::*;
    use crate::playbook::Playbooks;
    use crate::rsit::Rsit;
    use crate::sigma::RuleSet;

    #[test]
    fn the_shipped_sheet_is_whole() {
        let sheet = Arc::new(Sheet::shipped().unwrap());
        Detectors::new(sheet.clone(), &[]).unwrap();
        let made: BTreeSet<&str> = DETECTORS.iter().map(|(name, _)| *name).collect();
        let playbooks = Playbooks::embedded().unwrap();
        let rules = RuleSet::shipped().unwrap();
        let mut ids: BTreeSet<String> = rules.rules().iter().map(|compiled| compiled.rule.id.clone()).collect();
        let names: BTreeSet<&str> = rules.rules().iter().map(|compiled| compiled.rule.name.as_str()).collect();
        let mut shown = String::new();
        for (name, section) in sheet.iter() {
            let rule = &section.rule;
            assert!(ids.insert(rule.id.clone()), "{name}: the id is another rule's");
            assert!(!names.contains(name), "{name} is a Sigma rule's name");
            assert_eq!(rule.id.len(), 36, "{name}: the id is a UUID");
            rule.rsit.parse::<Rsit>().unwrap();
            assert!(!section.falsepositives.is_empty(), "{name}: falsepositives are missing");
            match &section.of {
                Some(of) => assert!(made.contains(of.as_str()), "{name} is of {of}, which is no detector"),
                None => assert!(made.contains(name), "{name} has no detector"),
            }
            let playbook = rule.playbook.as_deref().unwrap_or("-");
            assert!(playbooks.get(playbook).is_some(), "{name}: no playbook {playbook}");
            assert!(Sheet::shipped_text(name).is_some_and(|text| text.contains(&rule.id)), "{name}");
            shown.push_str(&format!("{name} {} {} {} {playbook}\n", rule.level.as_str(), rule.rsit, rule.attack.join("+")));
        }
        assert!(made.iter().all(|name| sheet.get(name).is_some()));
        expect![[r#"
            attack_across_bodies medium intrusion-attempts/brute-force T1595+T1110 landesweit_angriff
            beaconing medium malicious-code/infected-system T1071+T1571+T1029 beaconing
            dns_tunnel medium malicious-code/infected-system T1071.004+T1572+T1048 dns_tunnel
            event_indicator_retro high malicious-code/c2-server T1071+T1105 flow_indicator
            exfiltration medium information-content-security/data-leak T1041+T1048+T1567 exfiltration
            first_seen_peer informational other/undetermined T1021+T1219 allgemein
            first_seen_service informational other/undetermined T1133 allgemein
            flow_bruteforce medium intrusion-attempts/brute-force T1110 ssh_bruteforce
            flow_bruteforce_success high intrusions/unprivileged-account-compromise T1110+T1078 ssh_bruteforce_success
            flow_indicator high malicious-code/c2-server T1071+T1105 flow_indicator
            flow_indicator_retro high malicious-code/c2-server T1071+T1105 flow_indicator
            hostscan medium information-gathering/scanner T1046+T1018 portscan
            lateral_movement high intrusions/system-compromise T1021+T1570 lateral_movement
            portscan medium information-gathering/scanner T1046 portscan
            volumetric high availability/ddos T1498 volumetric_attack
            volumetric_out high availability/ddos T1498 volumetric_attack
        "#]]
        .assert_eq(&shown);
    }

    #[test]
    fn a_wrong_value_says_where_it_stands_and_what_would_do() {
        let refuse = |text: &str| {
            let sheet = Sheet::shipped().unwrap().overridden("own.toml", text);
            let error = sheet.and_then(|sheet| Detectors::new(Arc::new(sheet), &[])).unwrap_err();
            format!("{error}\n")
        };
        let all = [
            "\n[portscan.parameters]\ntheta0 = 3",
            "[portscan.parameters]\nports_min = \"viele\"",
            "[portscan.parameters]\nports_mni = 3",
            "[portscam]\nenabled = false",
            "[portscan]\ntitle = \"x\"",
            "[portscan]\nenabled = \"nein\"",
            "[portscan]\nlevel = \"hoch\"",
            "[flow_bruteforce.parameters]\nssh_ports = [70000]",
            "portscan = 3",
            "[portscan",
        ];
        expect![[r#"
            own.toml, Zeile 3: [portscan.parameters] theta0: erwartet wird eine Zahl von 0.5 bis 0.99, zum Beispiel theta0 = 0.8
            own.toml, Zeile 2: [portscan.parameters] ports_min: erwartet wird eine ganze Zahl von 3 bis 400, zum Beispiel ports_min = 15
            own.toml, Zeile 2: „ports_mni“ ist kein Parameter. Gemeint ist vielleicht ports_min. Bekannt sind: alpha, beta, ports_min, ports_min_outside, sources_max, theta0, theta1, udp_ignored_ports, window_hours
            own.toml, Zeile 1: „portscam“ ist kein Detektor. Gemeint ist vielleicht portscan. Bekannt sind: attack_across_bodies, beaconing, dns_tunnel, event_indicator_retro, exfiltration, first_seen_peer, first_seen_service, flow_bruteforce, flow_bruteforce_success, flow_indicator, flow_indicator_retro, hostscan, lateral_movement, portscan, volumetric, volumetric_out
            own.toml, Zeile 2: „title“ ist kein Schlüssel in [portscan]. Bekannt sind: enabled, level, parameters
            own.toml, Zeile 2: [portscan] enabled: erwartet wird true oder false, zum Beispiel enabled = false
            own.toml, Zeile 2: [portscan] level: erwartet wird eines von informational, low, medium, high, critical, zum Beispiel level = "medium"
            own.toml, Zeile 2: [flow_bruteforce.parameters] ssh_ports: erwartet wird eine Liste von Ports von 1 bis 65535, zum Beispiel ssh_ports = [22, 2222]
            own.toml, Zeile 1: portscan: erwartet wird ein Abschnitt, zum Beispiel [portscan.parameters]
            own.toml, Zeile 1: kein gültiges TOML: unclosed table, expected `]`
        "#]].assert_eq(&all.map(refuse).concat());
        let sheet = Sheet::shipped()
            .unwrap()
            .overridden("own.toml", "[portscan]\nenabled = false\n[hostscan.parameters]\nhosts_min = 40\n")
            .unwrap();
        let detectors = Detectors::new(Arc::new(sheet), &[]).unwrap();
        assert_eq!(detectors.running.len(), DETECTORS.len() - 1);
    }
}
