//! Addresses stay addresses: Crypto-PAn's scheme (Xu, Fan, Ammar, Moon 2002) on AES-128. Each bit is flipped or not by
//! the bits before it, so two addresses share as long a prefix afterwards as before, and the key takes it back.
//!
//! In addition the bits of known prefixes are left alone: an address of a site stays one of that site, a private one
//! private, an outer one outside. For that a bit is not flipped while the bits before it can still become such a
//! prefix; which is again a function of the bits before it, so that nothing of the scheme is lost.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Block};

use crate::body::Prefix;

/// Addresses that belong to no single house and tell of a device within one.
const PRIVATE: [&str; 7] = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"];
/// Addresses that name nobody; they are never changed.
const SPECIAL: [&str; 7] = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "::1/128", "ff00::/8"];

/// The two keys of the scheme.
pub(super) struct Pan {
    cipher: Aes128,
    pad: u128,
}

impl Pan {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let (cipher_key, pad) = key.split_at(16);
        let array = |half: &[u8]| <[u8; 16]>::try_from(half).unwrap_or_default();
        let cipher = Aes128::new(&array(cipher_key).into());
        let mut block: Block = array(pad).into();
        cipher.encrypt_block(&mut block);
        Self { cipher, pad: u128::from_be_bytes(block.into()) }
    }

    /// Whether the bit behind the first `count` bits is flipped. The scheme takes the cipher text's first bit; but where
    /// the pad goes on as the address does, two neighbouring bits have the same cipher text, and their flips would be one:
    /// one address in some hundreds stayed what it was. So each bit has a bit of its own of the cipher text.
    fn flips(&self, bits: u128, count: u32) -> bool {
        self.cipher_text(bits, count) << count >> 127 == 1
    }

    /// The cipher text that the first `count` bits have.
    fn cipher_text(&self, bits: u128, count: u32) -> u128 {
        let mask = mask(count);
        let mut block: Block = (bits & mask | self.pad & !mask).to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    }

    pub(super) fn hide(&self, address: IpAddr, zones: &Zones) -> IpAddr {
        let (bits, width, family) = bits_of(address, zones);
        let hidden = (0..width).fold(bits, |hidden, at| {
            let flip = !family.leads(bits, at) && self.flips(bits, at);
            hidden ^ (u128::from(flip) << (127 - at))
        });
        address_of(hidden, width)
    }

    pub(super) fn show(&self, address: IpAddr, zones: &Zones) -> IpAddr {
        let (bits, width, family) = bits_of(address, zones);
        let shown = (0..width).fold(bits, |shown, at| {
            let flip = !family.leads(shown, at) && self.flips(shown, at);
            shown ^ (u128::from(flip) << (127 - at))
        });
        address_of(shown, width)
    }
}

/// Prefixes that keep their bits, and which of them count as inside.
#[derive(Default)]
pub(super) struct Zones {
    v4: Family,
    v6: Family,
}

/// One family's prefixes as places in the tree of all addresses; addresses stand at the left of 128 bits.
#[derive(Default)]
struct Family {
    /// Places from which one of the prefixes can still be reached.
    leading: HashSet<(u32, u128)>,
    inside: HashSet<(u32, u128)>,
    special: HashSet<(u32, u128)>,
}

impl Family {
    fn leads(&self, bits: u128, count: u32) -> bool {
        self.leading.contains(&(count, bits & mask(count)))
    }
}

impl Zones {
    pub(super) fn new(sites: &[Prefix]) -> Self {
        let mut zones = Self::default();
        let known = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<Prefix>>();
        // A site that is said to be everywhere tells nothing, and would make everything inside.
        for prefix in sites.iter().filter(|prefix| prefix.bits() > 0).chain(&known(&PRIVATE)) {
            let (bits, family) = zones.lead(*prefix);
            family.inside.insert((u32::from(prefix.bits()), bits));
        }
        for prefix in known(&SPECIAL) {
            let (bits, family) = zones.lead(prefix);
            family.special.insert((u32::from(prefix.bits()), bits));
        }
        zones
    }

    fn lead(&mut self, prefix: Prefix) -> (u128, &mut Family) {
        let (bits, family) = match prefix.range().0 {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, &mut self.v4),
            IpAddr::V6(v6) => (v6.to_bits(), &mut self.v6),
        };
        family.leading.extend((0..u32::from(prefix.bits())).map(|count| (count, bits & mask(count))));
        (bits, family)
    }

    pub(super) fn is_inside(&self, address: IpAddr) -> bool {
        let (bits, width, family) = bits_of(address, self);
        (0..=width).any(|count| family.inside.contains(&(count, bits & mask(count))))
    }

    pub(super) fn is_special(&self, address: IpAddr) -> bool {
        let (bits, width, family) = bits_of(address, self);
        (0..=width).any(|count| family.special.contains(&(count, bits & mask(count))))
    }
}

fn mask(count: u32) -> u128 {
    !u128::MAX.checked_shr(count).unwrap_or(0)
}

fn bits_of(address: IpAddr, zones: &Zones) -> (u128, u32, &Family) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32, &zones.v4),
        IpAddr::V6(v6) => (v6.to_bits(), 128, &zones.v6),
    }
}

fn address_of(bits: u128, width: u32) -> IpAddr {
    if width == 32 { Ipv4Addr::from_bits((bits >> 96) as u32).into() } else { Ipv6Addr::from_bits(bits).into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The key of the scheme's published sample.
    const SAMPLE: [u8; 32] = [
        21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16, 216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42,
        132, 34, 2,
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The published sample trace, and the values for IPv6 on which the implementations agree.
    #[test]
    fn the_published_vectors() {
        let pan = Pan::new(&SAMPLE);
        for (address, expected) in [
            ("128.11.68.132", "135.242.180.132"),
            ("129.118.74.4", "134.136.186.123"),
            ("130.132.252.244", "133.68.164.234"),
            ("141.223.7.43", "141.167.8.160"),
            ("141.233.145.108", "141.129.237.235"),
            ("152.163.225.39", "151.140.114.167"),
            ("156.29.3.236", "147.225.12.42"),
            ("165.247.96.84", "162.9.99.234"),
            ("166.107.77.190", "160.132.178.185"),
            ("192.102.249.13", "252.138.62.131"),
            ("192.41.57.43", "252.222.221.184"),
            ("24.0.250.221", "100.15.198.226"),
            ("64.39.15.238", "0.219.7.41"),
            ("10.185.25.118", "117.161.29.118"),
            ("::1", "78ff:f001:9fc0:20df:8380:b1f1:704:ed"),
            ("::2", "78ff:f001:9fc0:20df:8380:b1f1:704:ef"),
            ("::ffff", "78ff:f001:9fc0:20df:8380:b1f1:704:f838"),
            ("2001:db8::1", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e"),
            ("2001:db8::2", "4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c"),
        ] {
            let none = Zones::default();
            let (bits, width, _) = bits_of(ip(address), &none);
            let published = (0..width).fold(bits, |hidden, at| hidden ^ (pan.cipher_text(bits, at) >> 127 << (127 - at)));
            assert_eq!(address_of(published, width), ip(expected), "{address}");
            assert_eq!(pan.show(pan.hide(ip(address), &none), &none), ip(address), "{address}");
        }
    }

    fn zones() -> Zones {
        let sites = ["10.20.0.0/16", "10.20.30.0/24", "203.0.113.0/24", "2001:db8:7::/48", "0.0.0.0/0"];
        Zones::new(&sites.map(|text| text.parse().unwrap()))
    }

    fn shared(a: IpAddr, b: IpAddr) -> u32 {
        let none = Zones::default();
        (bits_of(a, &none).0 ^ bits_of(b, &none).0).leading_zeros()
    }

    #[test]
    fn what_is_inside() {
        let zones = zones();
        for (address, inside, special) in [
            ("10.1.2.3", true, false),
            ("172.31.0.1", true, false),
            ("172.32.0.1", false, false),
            ("203.0.113.9", true, false),
            ("198.51.100.1", false, false),
            ("fd00:1::1", true, false),
            ("2001:db8:7::5", true, false),
            ("2001:db8:8::5", false, false),
            ("127.0.0.1", false, true),
            ("255.255.255.255", false, true),
            ("::1", false, true),
        ] {
            assert_eq!((zones.is_inside(ip(address)), zones.is_special(ip(address))), (inside, special), "{address}");
        }
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            (0u32..1 << 24).prop_map(|bits| IpAddr::V4((10 << 24 | bits).into())),
            (0u32..1 << 16).prop_map(|bits| IpAddr::V4((10 << 24 | 20 << 16 | bits).into())),
            any::<u128>().prop_map(|bits| IpAddr::V6(bits.into())),
            any::<u64>().prop_map(|bits| IpAddr::V6((0x2001_0db8_0007_u128 << 80 | u128::from(bits)).into())),
        ]
    }

    proptest! {
        #[test]
        fn it_comes_back_keeps_prefixes_and_stays_in_its_zone(a in address(), b in address()) {
            let (pan, zones) = (Pan::new(&SAMPLE), zones());
            let (hidden_a, hidden_b) = (pan.hide(a, &zones), pan.hide(b, &zones));
            prop_assert_eq!(pan.show(hidden_a, &zones), a);
            if a.is_ipv4() == b.is_ipv4() {
                prop_assert_eq!(shared(a, b), shared(hidden_a, hidden_b));
            }
            prop_assert_eq!(zones.is_inside(a), zones.is_inside(hidden_a));
            prop_assert_eq!(zones.is_special(a), zones.is_special(hidden_a));
            for site in ["10.20.0.0/16", "10.20.30.0/24", "203.0.113.0/24", "2001:db8:7::/48", "10.0.0.0/8"] {
                let site: Prefix = site.parse().unwrap();
                prop_assert_eq!(site.contains(a), site.contains(hidden_a));
            }
        }
    }

    /// With 16 free bits one of 65,536 stays by chance, under one key or another.
    #[test]
    fn hardly_any_address_stays_what_it_was() {
        let zones = zones();
        let mut same = 0;
        for key in 0..32 {
            let pan = Pan::new(&std::array::from_fn(|n| SAMPLE[n] ^ key));
            same +=
                (0u32..2_048).map(|n| IpAddr::V4((10 << 24 | 77 << 16 | n << 5).into())).filter(|ip| pan.hide(*ip, &zones) == *ip).count();
        }
        assert!(same <= 8, "{same} of 65,536");
    }
}
