//! One address outside that attacks several bodies: it hears what the other detectors find at each, and tells of it once for
//! the state. It sees no record itself; how it counts is a correlation's (`crate::correlate`), over all bodies.

use std::net::IpAddr;

use ingest::body::{BodyId, SITE_STATE};
use ingest::fields;
use ingest::flow::FlowRecord;
use ingest::frame::Seq;
use ingest::time::Timestamp;

use super::wire::{Reader, Writer};
use super::{Detection, Detector, Footprint, ParameterError, Parameters, Reason, RestoreError, Seen};
use crate::correlate::{Column, Correlation, Input, Limits, Measure, Outcome, Reach, State, value_hash};
use crate::finding::Entity;
use crate::say::duration;

const NAME: &str = "attack_across_bodies";
const VERSION: u8 = 1;
/// What is heard: attacks whose entity is who attacks.
const HEARD: [&str; 4] = ["portscan", "hostscan", "flow_bruteforce", "flow_bruteforce_success"];
/// Estimates of what one finding and one address with its names take.
const FINDING_BYTES: usize = 64;
const ADDRESS_BYTES: usize = 1_024;
/// Addresses whose findings are remembered: a hundred times what a bad day brings. More are refused and counted.
const ADDRESSES_MAX: usize = 10_000;
/// Findings of all of them.
const FINDINGS_MAX: usize = 200_000;

pub(super) struct Across {
    correlation: Correlation,
    bodies_min: u64,
    state: State,
    dropped: u64,
}

impl Across {
    pub(super) fn new(parameters: &Parameters) -> Result<Self, ParameterError> {
        let bodies_min = parameters.count("bodies_min", 2..=100)?;
        let correlation = Correlation {
            measure: Measure::Values,
            limits: Limits::at_least(usize::try_from(bodies_min).unwrap_or(3)),
            references: Vec::new(),
            group_by: vec![Column { name: fields::SOURCE_IP.name().to_owned(), fields: vec![fields::SOURCE_IP] }],
            timespan: parameters.millis("window_minutes", 5.0..=1_440.0)?,
            reach: Reach::State,
        };
        Ok(Self { correlation, bodies_min, state: State::default(), dropped: 0 })
    }

    fn tell(&self, outcome: Outcome, now: Timestamp, found: &mut Vec<Detection>) {
        for mut report in outcome.reports {
            let Some(address) = report.key.values.first().and_then(|value| value.parse::<IpAddr>().ok()) else { continue };
            report.observables.0.insert(fields::SOURCE_IP.name(), vec![address.to_string()]);
            let bodies = report.shares.len() as u64;
            let reasons = match bodies >= self.bodies_min {
                true => vec![
                    Reason::new("Betroffene Stellen", bodies, format!("ab {}", self.bodies_min)),
                    Reason::new(
                        "Zeitraum",
                        duration(report.last.since(report.first)),
                        format!("höchstens {}", duration(self.correlation.timespan)),
                    ),
                ],
                // News of an attack that has been told with its figures.
                false => vec![],
            };
            found.push(Detection {
                rule: NAME,
                site: SITE_STATE,
                body: None,
                entity: Entity::Ip(address),
                observables: report.observables.0,
                first: report.first,
                last: report.last,
                detected_at: now,
                evidence: report.evidence,
                records: report.records,
                reasons,
                shares: report.shares,
            });
        }
    }
}

impl Detector for Across {
    fn name(&self) -> &'static str {
        NAME
    }

    fn observe(&mut self, _flow: &FlowRecord, _seen: &Seen, _found: &mut Vec<Detection>) {}

    fn hear(&mut self, detection: &Detection, body: BodyId, found: &mut Vec<Detection>) {
        let Entity::Ip(address) = detection.entity else { return };
        if !HEARD.contains(&detection.rule) {
            return;
        }
        let Some(key) = self.correlation.group_of(vec![address.to_string()], SITE_STATE, Some(body)) else { return };
        if (self.state.groups() >= ADDRESSES_MAX && !self.state.knows(&key)) || self.state.cells() >= FINDINGS_MAX {
            self.dropped += 1;
            return;
        }
        let input = Input {
            time: detection.last,
            seq: detection.evidence.last().copied().unwrap_or(Seq(0)),
            rule: 0,
            value: value_hash([body.to_string().as_str()]).into(),
        };
        let outcome = self.state.insert(&self.correlation, &key, input, Some(body), detection.detected_at, &mut |observables| {
            for (field, values) in &detection.observables {
                observables.merge(field, values);
            }
        });
        self.tell(outcome, detection.detected_at, found);
    }

    fn settle(&mut self, now: Timestamp, found: &mut Vec<Detection>) {
        let outcome = self.state.settle(&self.correlation, now);
        self.tell(outcome, now, found);
    }

    fn save(&self) -> Vec<u8> {
        let mut out = Writer::new(VERSION);
        // Plain types of our own cannot fail to be written; were they to, the detector would begin anew.
        out.put(&self.dropped).bytes(&serde_json::to_vec(&self.state.snapshot()).unwrap_or_default());
        out.done()
    }

    fn restore(&mut self, state: &[u8]) -> Result<(), RestoreError> {
        let mut from = Reader::new(state, VERSION)?;
        let dropped = from.take()?;
        let saved = serde_json::from_slice(from.bytes()?).map_err(|_| RestoreError::Damaged("what was heard of bodies"))?;
        from.done()?;
        (self.dropped, self.state) = (dropped, State::restore(saved));
        Ok(())
    }

    fn footprint(&self) -> Footprint {
        let bytes = |findings: usize, addresses: usize| findings * FINDING_BYTES + addresses * ADDRESS_BYTES;
        Footprint {
            bytes: bytes(self.state.cells(), self.state.groups()),
            bytes_max: bytes(FINDINGS_MAX, ADDRESSES_MAX),
            entries: self.state.groups(),
            dropped: self.dropped + self.state.overflowed,
        }
    }

    fn allows_sampling(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ingest::body::SiteId;
    use ingest::id::Ulid;

    use super::*;
    use crate::flow::Sheet;

    fn across() -> Across {
        Across::new(&Sheet::shipped().unwrap().get(NAME).unwrap().parameters).unwrap()
    }

    /// `minute rule address body`, a line each; what is told of it: address, bodies, findings.
    fn told(story: &str, restart: bool) -> String {
        let (mut across, mut found) = (across(), Vec::new());
        for (line, seq) in story.lines().map(str::trim).filter(|line| !line.is_empty()).zip(1..) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let at = Timestamp(words[0].parse::<i64>().unwrap() * Timestamp::MINUTE);
            let body: u128 = words[3].parse().unwrap();
            let rule = HEARD.iter().chain(&["volumetric"]).find(|rule| **rule == words[1]).unwrap();
            let detection = Detection {
                rule,
                site: SiteId(Ulid(body)),
                body: None,
                entity: Entity::Ip(words[2].parse().unwrap()),
                observables: BTreeMap::new(),
                first: at,
                last: at,
                detected_at: at,
                evidence: vec![Seq(seq)],
                records: 9,
                reasons: vec![],
                shares: vec![],
            };
            across.hear(&detection, BodyId(Ulid(body)), &mut found);
            if restart {
                let saved = across.save();
                across = self::across();
                across.restore(&saved).unwrap();
            }
        }
        across.settle(Timestamp(i64::MAX / 2), &mut found);
        let line = |one: &Detection| {
            let shares: Vec<String> = one.shares.iter().map(|share| format!("{}×{}", share.body.0.0, share.records)).collect();
            format!("{} [{}]", one.entity.key(), shares.join(" "))
        };
        found.iter().map(line).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn an_address_that_attacks_several_bodies_is_told_once_for_the_state() {
        for restart in [false, true] {
            let told = |story: &str| told(story, restart);
            let three = "0 portscan 198.51.100.7 1\n10 hostscan 198.51.100.7 2\n59 flow_bruteforce 198.51.100.7 3";
            assert_eq!(told(three), "ip:198.51.100.7 [1×1 2×1 3×1]");
            assert_eq!(told("0 portscan 198.51.100.7 1\n10 hostscan 198.51.100.7 2\n20 portscan 198.51.100.7 1"), "", "two bodies");
            assert_eq!(told("0 portscan 198.51.100.7 1\n10 portscan 198.51.100.7 2\n75 portscan 198.51.100.7 3"), "", "too slow");
            assert_eq!(told("0 portscan 10.0.0.7 1\n1 portscan 10.0.0.7 2\n2 portscan 10.0.0.7 3"), "", "three machines of one name");
            assert_eq!(told("0 portscan 198.51.100.7 1\n1 portscan 198.51.100.8 2\n2 portscan 198.51.100.9 3"), "", "three addresses");
            assert_eq!(told(&three.replace("flow_bruteforce", "volumetric")), "", "the entity of a flood is who suffers it");
            let four = format!("{three}\n60 portscan 198.51.100.7 4");
            assert_eq!(told(&four), "ip:198.51.100.7 [1×1 2×1 3×1]; ip:198.51.100.7 [4×1]");
        }
    }
}
