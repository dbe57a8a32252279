//! Which way a connection goes, seen from the site that reports it, in ECS' words for a network's edge: inbound,
//! outbound, internal, external.
//!
//! A device's own word is never replaced (`Enrichment` asks only where there is none): it knows its interfaces, its
//! translated addresses and its zones, of which a prefix knows nothing. What is worked out here fills the gap of those
//! that say nothing.

use std::net::IpAddr;

use super::is_public;
use crate::body::{SITE_UNKNOWN, SiteId, SiteTable};

/// The direction of what goes from one address to another, as `site` sees it.
pub fn direction(site: SiteId, source: IpAddr, destination: IpAddr, sites: &SiteTable) -> &'static str {
    match (is_inside(site, source, sites), is_inside(site, destination, sites)) {
        (true, true) => "internal",
        (true, false) => "outbound",
        (false, true) => "inbound",
        (false, false) => "external",
    }
}

/// Whether an address is the site's own: in one of its prefixes, or private and no other site's. The prefixes say from
/// where a site sends, which may be its firewall alone; behind that its private networks are its own all the same. For
/// who belongs to no site, every site is inside. What is sent to all neighbours stays inside.
fn is_inside(site: SiteId, address: IpAddr, sites: &SiteTable) -> bool {
    match sites.site_of(address) {
        SITE_UNKNOWN => !is_public(address),
        owner => owner == site || site == SITE_UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Site;

    #[test]
    fn the_matrix_of_directions() {
        let site = |n: u128, prefixes: &[&str]| Site {
            id: SiteId(crate::id::Ulid(n)),
            name: format!("s{n}"),
            body: None,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            certificates: vec![],
            tokens: vec![],
        };
        let sites = SiteTable::new(vec![site(1, &["10.20.0.0/16", "198.51.100.0/28", "2001:db8:20::/48"]), site(2, &["10.30.0.0/16"])]);
        let ends = ["10.20.1.1", "198.51.100.3", "192.168.7.7", "2001:db8:20::1", "10.30.1.1", "203.0.113.9", "2001:db8:99::1"];
        let others = ["10.20.1.2", "10.30.1.2", "203.0.113.10", "ff02::fb", "255.255.255.255"];
        let shown = |site: u128| {
            let row = |from: &str| {
                let word = |to: &&str| {
                    let word = direction(SiteId(crate::id::Ulid(site)), from.parse().unwrap(), to.parse().unwrap(), &sites);
                    word.to_owned()
                };
                format!("{from:15} {}\n", others.iter().map(word).collect::<Vec<_>>().join(" "))
            };
            ends.iter().map(|from| row(from)).collect::<String>()
        };
        expect_test::expect![[r#"
            10.20.1.1       internal outbound outbound internal internal
            198.51.100.3    internal outbound outbound internal internal
            192.168.7.7     internal outbound outbound internal internal
            2001:db8:20::1  internal outbound outbound internal internal
            10.30.1.1       inbound external external inbound inbound
            203.0.113.9     inbound external external inbound inbound
            2001:db8:99::1  inbound external external inbound inbound
        "#]]
        .assert_eq(&shown(1));
        expect_test::expect![[r#"
            10.20.1.1       internal internal outbound internal internal
            198.51.100.3    internal internal outbound internal internal
            192.168.7.7     internal internal outbound internal internal
            2001:db8:20::1  internal internal outbound internal internal
            10.30.1.1       internal internal outbound internal internal
            203.0.113.9     inbound inbound external inbound inbound
            2001:db8:99::1  inbound inbound external inbound inbound
        "#]]
        .assert_eq(&shown(0));
    }
}
