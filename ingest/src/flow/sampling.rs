//! What the operator knows of exporters' sampling that they do not say themselves. Many switches sample 1 of n and export as
//! if they had seen everything: then only who configured them knows n.

use std::net::IpAddr;

use crate::body::Prefix;

/// Of these exporters, where they say nothing themselves, 1 of `rate` packets was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SamplingRule {
    pub exporters: Vec<Prefix>,
    /// Only of this observation domain (v5 engine, v9 source id, IPFIX domain); `None` of all.
    pub domain: Option<u32>,
    /// 1 is unsampled.
    pub rate: u32,
}

/// The operator's table; the first rule that fits counts.
#[derive(Clone, Debug, Default)]
pub struct SamplingTable(Vec<SamplingRule>);

impl SamplingTable {
    pub fn new(rules: Vec<SamplingRule>) -> Self {
        Self(rules)
    }

    /// 1 where no rule fits.
    pub(super) fn rate(&self, exporter: IpAddr, domain: u32) -> u32 {
        let fits = |rule: &&SamplingRule| {
            rule.domain.is_none_or(|of| of == domain) && rule.exporters.iter().any(|prefix| prefix.contains(exporter))
        };
        self.0.iter().find(fits).map_or(1, |rule| rule.rate.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rule = |exporter: &str, domain, rate| SamplingRule { exporters: vec![exporter.parse().unwrap()], domain, rate };
        let rules = [rule("192.0.2.1/32", Some(7), 10), rule("192.0.2.0/24", None, 100), rule("2001:db8::/32", None, 0)];
        let table = SamplingTable::new(rules.to_vec());
        let rate = |exporter: &str, domain| table.rate(exporter.parse().unwrap(), domain);
        assert_eq!([rate("192.0.2.1", 7), rate("192.0.2.1", 8), rate("192.0.2.9", 7), rate("198.51.100.1", 7)], [10, 100, 100, 1]);
        assert_eq!(rate("2001:db8::1", 0), 1, "no rate is none of 0");
    }
}
