//! Writes small MMDB files for tests and measurements: the format's search tree, data and metadata, as its public
//! description has them, without pointers. No product's data is in here or needed.

use std::net::IpAddr;

/// What an address has.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Text(String),
    Number(u32),
    Map(Vec<(&'static str, Data)>),
}

pub(super) fn text(text: &str) -> Data {
    Data::Text(text.into())
}

/// As GeoLite2-Country and DB-IP have it.
pub(super) fn country(iso: &str, english: &str, german: &str) -> Data {
    let names = Data::Map(vec![("de", text(german)), ("en", text(english))]);
    Data::Map(vec![("country", Data::Map(vec![("iso_code", text(iso)), ("names", names)]))])
}

/// As GeoLite2-ASN and DB-IP have it.
pub(super) fn asn(number: u32, organization: &str) -> Data {
    Data::Map(vec![("autonomous_system_number", Data::Number(number)), ("autonomous_system_organization", text(organization))])
}

/// A whole file, of networks that do not overlap.
pub(super) fn mmdb(kind: &str, networks: &[(IpAddr, u8, Data)]) -> Vec<u8> {
    let mut data = Vec::new();
    let mut nodes = vec![[Record::Empty; 2]];
    for (base, bits, value) in networks {
        let at = data.len();
        put(&mut data, value);
        let (address, bits) = match base {
            IpAddr::V4(v4) => (u128::from(v4.to_bits()), bits + 96),
            IpAddr::V6(v6) => (v6.to_bits(), *bits),
        };
        let mut node = 0;
        for depth in 0..bits {
            let side = usize::from(address >> (127 - depth) & 1 == 1);
            if depth + 1 == bits {
                nodes[node][side] = Record::Data(at);
            } else if let Record::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Record::Empty; 2]);
                nodes[node][side] = Record::Node(nodes.len() - 1);
                node = nodes.len() - 1;
            }
        }
    }
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match record {
            Record::Empty => nodes.len(),
            Record::Node(node) => *node,
            Record::Data(at) => nodes.len() + 16 + at,
        };
        file.extend_from_slice(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
    }
    file.extend_from_slice(&[0; 16]);
    file.extend_from_slice(&data);
    file.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    file.push(7 << 5 | 9);
    let mut key = |name: &str, value: &[u8]| {
        put(&mut file, &text(name));
        file.extend_from_slice(value);
    };
    key("binary_format_major_version", &[5 << 5 | 1, 2]);
    key("binary_format_minor_version", &[5 << 5]);
    // 2026-03-01T00:00:00Z
    key("build_epoch", &[4, 2, 0x69, 0xA3, 0x81, 0x80]);
    let mut name = Vec::new();
    put(&mut name, &text(kind));
    key("database_type", &name);
    let mut description = Vec::new();
    put(&mut description, &Data::Map(vec![("en", text("made for a test"))]));
    key("description", &description);
    key("ip_version", &[5 << 5 | 1, 6]);
    let mut languages = vec![1, 4];
    put(&mut languages, &text("en"));
    key("languages", &languages);
    let count = u32::try_from(nodes.len()).unwrap().to_be_bytes();
    key("node_count", &[&[6 << 5 | 4][..], &count].concat());
    key("record_size", &[5 << 5 | 1, 24]);
    file
}

#[derive(Clone, Copy)]
enum Record {
    Empty,
    Node(usize),
    Data(usize),
}

fn put(out: &mut Vec<u8>, data: &Data) {
    match data {
        Data::Text(text) => {
            head(out, 2, text.len());
            out.extend_from_slice(text.as_bytes());
        }
        Data::Number(number) => {
            out.push(6 << 5 | 4);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Data::Map(entries) => {
            head(out, 7, entries.len());
            for (name, value) in entries {
                put(out, &text(name));
                put(out, value);
            }
        }
    }
}

fn head(out: &mut Vec<u8>, kind: u8, size: usize) {
    match u8::try_from(size).unwrap() {
        size @ ..29 => out.push(kind << 5 | size),
        size => out.extend_from_slice(&[kind << 5 | 29, size - 29]),
    }
}
