//! Identities made of names (UUID version 5, RFC 9562): the same name has the same identity in every export.

use sha1::{Digest as _, Sha1};

/// Ours, drawn once.
const HOUSE: u128 = 0x6f1d_7c52_0c1b_4b7e_9a43_52d0_8e6c_31f4;
/// The one in which STIX 2.1 (section 2.9) makes the identities of cyber-observable objects.
const STIX_OBSERVABLE: u128 = 0x00ab_edb4_aa42_466c_9c01_fed2_3315_a9b7;

/// Of one of our own things: `kind` and `name` together are unique.
pub(super) fn of(kind: &str, name: &str) -> String {
    version_5(HOUSE, &format!("{kind}:{name}"))
}

/// Of a cyber-observable object, by the canonical JSON of what identifies it.
pub(super) fn of_observable(contributing: &str) -> String {
    version_5(STIX_OBSERVABLE, contributing)
}

fn version_5(namespace: u128, name: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(namespace.to_be_bytes());
    hash.update(name.as_bytes());
    let number = hash.finalize().iter().take(16).fold(0u128, |number, byte| number << 8 | u128::from(*byte));
    let number = number & !(0xf << 76) & !(0x3 << 62) | 0x5 << 76 | 0x2 << 62;
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standards_make_them() {
        // RFC 9562, appendix A.4: www.example.com in the name space of the DNS.
        assert_eq!(version_5(0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8, "www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
        // As OASIS' library for Python makes that of an ipv4-addr.
        assert_eq!(of_observable(r#"{"value":"198.51.100.3"}"#), "28bb3599-77cd-5a82-a950-b5bc3caf07c4");
        assert_ne!(of("incident", "TC-2026-000001"), of("grouping", "TC-2026-000001"));
    }
}
