//! Templates: an exporter says once how its records look, and that is compiled once to copy operations
//! (offset, length, target) on the fixed record. Elements that the record has no place for cost nothing later:
//! they are skipped by length. Also here: the bounded memory of all exporters' templates and sampling rates.
//! Numbers of the elements: RFC 3954 section 8 and the IANA registry "IPFIX Information Elements".

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::FlowRecord;
use super::netflow::FlowDefect;
use crate::body::SiteId;
use crate::frame::Seq;
use crate::time::Timestamp;

/// More fields than this in one template is no template: the longest seen in the field have about 60.
const FIELDS_MAX: usize = 256;
/// A record cannot be longer than a datagram.
const RECORD_BYTES_MAX: usize = 65_535;
/// Routers with many flow monitors define some hundreds. An exporter beyond is taken as restarted: its
/// templates are dropped and come again within minutes. So no exporter can crowd out the others.
const TEMPLATES_PER_EXPORTER_MAX: usize = 1_024;
/// Line cards each may have their own rate; beyond, the rates are learnt afresh.
const SAMPLERS_PER_EXPORTER_MAX: usize = 256;
/// All templates of all exporters together: 40,000 usual ones, 60 for each of the 600 sites. The exporter that
/// was silent the longest goes first.
const CACHE_BYTES_MAX: usize = 16 << 20;
/// What an entry costs beside its fields (maps, allocations), roughly.
const ENTRY_BYTES: usize = 160;
const SAMPLER_BYTES: usize = 64;

/// One field of a template as announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TemplateField {
    pub(super) element: u16,
    pub(super) len: u16,
}

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) fields: Box<[TemplateField]>,
    /// For an options template how many of the leading fields are its scope; `None` for flows.
    pub(super) scope: Option<usize>,
    pub(super) record_len: usize,
    ops: Box<[Op]>,
    /// Some known element came with a length that it cannot have, and is skipped.
    pub(super) odd_length: bool,
}

/// Copies `len` bytes at `offset`, read as `form`, to `slot`.
#[derive(Clone, Copy, Debug)]
struct Op {
    slot: Slot,
    rank: u8,
    form: Form,
    len: u8,
    offset: u16,
}

/// The places of the record. IPv4 stands before IPv6, so that the latter is applied second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Src4,
    Src6,
    Dst4,
    Dst6,
    SrcPort,
    DstPort,
    Icmp,
    IcmpType,
    IcmpCode,
    Protocol,
    TcpFlags,
    Tos,
    Bytes,
    Packets,
    InIf,
    OutIf,
    SrcAs,
    DstAs,
    Sampling,
    SamplingSpace,
    Sampler,
    Start,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Address4,
    Address6,
    Number,
    /// Milliseconds of the exporter's uptime.
    Uptime,
    Seconds,
    Millis,
    /// 64 bits: seconds since 1900 and their fraction (RFC 7011 section 6.1.9).
    Ntp,
    /// Microseconds before the export.
    AgoMicros,
}

impl Form {
    fn takes(self, len: u16) -> bool {
        match self {
            Self::Address4 => len == 4,
            Self::Address6 => len == 16,
            Self::Ntp => len == 8,
            // Exporters may shorten any number (RFC 7011 section 6.2).
            _ => (1..=8).contains(&len),
        }
    }
}

/// Where an element goes; of several for one slot the lowest rank wins.
fn element(number: u16) -> Option<(Slot, Form, u8)> {
    use Form::*;
    Some(match number {
        1 => (Slot::Bytes, Number, 0),
        85 => (Slot::Bytes, Number, 1),
        23 => (Slot::Bytes, Number, 2),
        231 => (Slot::Bytes, Number, 3), // initiatorOctets: firewalls count both ways; the record is one way
        2 => (Slot::Packets, Number, 0),
        86 => (Slot::Packets, Number, 1),
        24 => (Slot::Packets, Number, 2),
        298 => (Slot::Packets, Number, 3),
        4 => (Slot::Protocol, Number, 0),
        5 => (Slot::Tos, Number, 0),
        6 => (Slot::TcpFlags, Number, 0),
        7 => (Slot::SrcPort, Number, 0),
        180 | 182 => (Slot::SrcPort, Number, 1),
        11 => (Slot::DstPort, Number, 0),
        181 | 183 => (Slot::DstPort, Number, 1),
        8 => (Slot::Src4, Address4, 0),
        12 => (Slot::Dst4, Address4, 0),
        27 => (Slot::Src6, Address6, 0),
        28 => (Slot::Dst6, Address6, 0),
        10 => (Slot::InIf, Number, 0),
        14 => (Slot::OutIf, Number, 0),
        16 => (Slot::SrcAs, Number, 0),
        17 => (Slot::DstAs, Number, 0),
        32 | 139 => (Slot::Icmp, Number, 0),
        176 | 178 => (Slot::IcmpType, Number, 0),
        177 | 179 => (Slot::IcmpCode, Number, 0),
        34 => (Slot::Sampling, Number, 0),
        50 => (Slot::Sampling, Number, 1),
        305 => (Slot::Sampling, Number, 2),
        306 => (Slot::SamplingSpace, Number, 0),
        48 => (Slot::Sampler, Number, 0),
        302 => (Slot::Sampler, Number, 1),
        152 => (Slot::Start, Millis, 0),
        154 | 156 => (Slot::Start, Ntp, 1),
        22 => (Slot::Start, Uptime, 2),
        158 => (Slot::Start, AgoMicros, 3),
        150 => (Slot::Start, Seconds, 4),
        153 => (Slot::End, Millis, 0),
        155 | 157 => (Slot::End, Ntp, 1),
        21 => (Slot::End, Uptime, 2),
        159 => (Slot::End, AgoMicros, 3),
        151 => (Slot::End, Seconds, 4),
        323 => (Slot::End, Millis, 5), // a firewall event's time
        _ => return None,
    })
}

/// Where a record comes from and the two clocks its times are relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) seq: Seq,
    pub(super) received_at: Timestamp,
    pub(super) site: SiteId,
    pub(super) exporter: IpAddr,
    pub(super) version: u8,
    /// The exporter's clock when it sent the datagram.
    pub(super) export_at: Timestamp,
    /// Its uptime then, in milliseconds; wraps every 49.7 days.
    pub(super) uptime: u32,
}

impl Origin {
    /// A record of which nothing is known yet.
    pub(super) fn record(&self) -> FlowRecord {
        FlowRecord {
            seq: self.seq,
            received_at: self.received_at,
            start: self.export_at,
            end: self.export_at,
            site: self.site,
            exporter: self.exporter,
            src_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            dst_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            src_port: 0,
            dst_port: 0,
            protocol: 0,
            tcp_flags: 0,
            tos: 0,
            version: self.version,
            bytes: 0,
            packets: 0,
            sampling: 1,
            in_if: 0,
            out_if: 0,
            src_as: 0,
            dst_as: 0,
        }
    }

    /// The moment at which the uptime was `uptime`. The difference is signed, so that a counter that wrapped
    /// between the flow and the export counts as before, and one slightly ahead as after.
    pub(super) fn at_uptime(&self, uptime: u32) -> Timestamp {
        self.export_at.plus(-i64::from(self.uptime.wrapping_sub(uptime).cast_signed()))
    }

    /// `None` for what cannot be a moment: 0, or later than a header could say (2106).
    fn moment(&self, form: Form, value: u64) -> Option<Timestamp> {
        const MILLIS_MAX: i64 = u32::MAX as i64 * 1_000;
        let low = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        let moment = match form {
            Form::Uptime => return Some(self.at_uptime(low)),
            Form::Seconds => i64::try_from(value).ok()?.checked_mul(1_000)?,
            Form::Ntp => i64::try_from(value >> 32).ok()? * 1_000 - 2_208_988_800_000 + ((i64::from(low) * 1_000) >> 32),
            Form::AgoMicros => self.export_at.0 - i64::try_from(value / 1_000).ok()?,
            Form::Millis | Form::Number | Form::Address4 | Form::Address6 => i64::try_from(value).ok()?,
        };
        (1..=MILLIS_MAX).contains(&moment).then_some(Timestamp(moment))
    }
}

/// What a record says beside the record's own fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    pub(super) sampler: Option<u64>,
    /// 1 in this many; `None` where the record does not say.
    pub(super) sampling: Option<u32>,
    pub(super) bad_time: bool,
}

impl Template {
    /// # Errors
    /// The defect that makes it unusable.
    pub(super) fn compile(fields: Vec<TemplateField>, scope: Option<usize>) -> Result<Self, FlowDefect> {
        if fields.len() > FIELDS_MAX {
            return Err(FlowDefect::TemplateTooLong);
        }
        let mut ops = Vec::new();
        let mut record_len = 0usize;
        let mut odd_length = false;
        for (index, field) in fields.iter().enumerate() {
            let offset = record_len;
            record_len += usize::from(field.len);
            // An element of length 0 says nothing; scope fields have numbers of their own.
            if field.len == 0 || scope.is_some_and(|scope| index < scope) {
                continue;
            }
            let Some((slot, form, rank)) = element(field.element) else { continue };
            match (u16::try_from(offset), u8::try_from(field.len)) {
                (Ok(offset), Ok(len)) if form.takes(field.len) => ops.push(Op { slot, rank, form, len, offset }),
                _ => odd_length = true,
            }
        }
        if record_len == 0 {
            return Err(FlowDefect::TemplateEmpty);
        }
        if record_len > RECORD_BYTES_MAX {
            return Err(FlowDefect::TemplateTooLong);
        }
        ops.sort_by_key(|op| (op.slot, op.rank));
        ops.dedup_by_key(|op| op.slot);
        Ok(Self { fields: fields.into(), scope, record_len, ops: ops.into(), odd_length })
    }

    /// Whether its records tell of traffic: an address or a counter.
    pub(super) fn tells_of_traffic(&self) -> bool {
        use Slot::{Bytes, Dst4, Dst6, Packets, Src4, Src6};
        self.ops.iter().any(|op| matches!(op.slot, Src4 | Src6 | Dst4 | Dst6 | Bytes | Packets))
    }

    /// Reads one record of `record_len` bytes.
    pub(super) fn read(&self, bytes: &[u8], origin: &Origin) -> (FlowRecord, Extra) {
        let mut record = origin.record();
        let mut extra = Extra::default();
        let (mut start, mut end) = (None, None);
        let (mut icmp, mut sampling, mut space) = (0u64, 0u64, 0u64);
        for op in &self.ops {
            let offset = usize::from(op.offset);
            let Some(field) = bytes.get(offset..offset + usize::from(op.len)) else { continue };
            match op.slot {
                Slot::Src4 => record.src_ip = address4(field),
                Slot::Dst4 => record.dst_ip = address4(field),
                Slot::Src6 => record.src_ip = address6(field, record.src_ip),
                Slot::Dst6 => record.dst_ip = address6(field, record.dst_ip),
                Slot::SrcPort => record.src_port = low(number(field)),
                Slot::DstPort => record.dst_port = low(number(field)),
                Slot::Icmp => icmp = number(field),
                Slot::IcmpType => icmp |= number(field) << 8,
                Slot::IcmpCode => icmp |= number(field),
                Slot::Protocol => record.protocol = low(number(field)),
                // The flags may come in two bytes, the upper with bits that are no flags (RFC 9565).
                Slot::TcpFlags => record.tcp_flags = low(number(field) & 0xff),
                Slot::Tos => record.tos = low(number(field)),
                Slot::Bytes => record.bytes = number(field),
                Slot::Packets => record.packets = number(field),
                Slot::InIf => record.in_if = low(number(field)),
                Slot::OutIf => record.out_if = low(number(field)),
                Slot::SrcAs => record.src_as = low(number(field)),
                Slot::DstAs => record.dst_as = low(number(field)),
                Slot::Sampling => sampling = number(field),
                Slot::SamplingSpace => space = number(field),
                Slot::Sampler => extra.sampler = Some(number(field)),
                Slot::Start => {
                    start = origin.moment(op.form, number(field));
                    extra.bad_time |= start.is_none();
                }
                Slot::End => {
                    end = origin.moment(op.form, number(field));
                    extra.bad_time |= end.is_none();
                }
            }
        }
        record.end = end.or(start).unwrap_or(origin.export_at);
        record.start = start.unwrap_or(record.end);
        extra.bad_time |= record.start > record.end;
        record.start = record.start.min(record.end);
        if matches!(record.protocol, 1 | 58) && record.dst_port == 0 {
            record.dst_port = low(icmp);
        }
        // 1 of n, or x packets taken and y left out (RFC 5476): 1 of (x + y) / x.
        extra.sampling = sampling.checked_add(space).and_then(|all| all.checked_div(if space == 0 { 1 } else { sampling })).map(low::<u32>);
        extra.sampling = extra.sampling.filter(|rate| *rate > 0);
        (record, extra)
    }

    fn size_bytes(&self) -> usize {
        ENTRY_BYTES + self.fields.len() * size_of::<TemplateField>() + self.ops.len() * size_of::<Op>()
    }
}

/// A big-endian number of 1 to 8 bytes.
fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)),
    }
}

/// The number in a narrower type; one that does not fit becomes the largest, which stands out.
fn low<T: TryFrom<u64> + Bounded>(number: u64) -> T {
    T::try_from(number).unwrap_or(T::MAX)
}

trait Bounded {
    const MAX: Self;
}
impl Bounded for u8 {
    const MAX: Self = Self::MAX;
}
impl Bounded for u16 {
    const MAX: Self = Self::MAX;
}
impl Bounded for u32 {
    const MAX: Self = Self::MAX;
}

fn address4(bytes: &[u8]) -> IpAddr {
    <[u8; 4]>::try_from(bytes).map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |octets| Ipv4Addr::from(octets).into())
}

/// The IPv6 address, unless it is unspecified and `known` is not: some templates carry both families. IPv4 in
/// IPv6's clothes becomes IPv4, as everywhere.
fn address6(bytes: &[u8], known: IpAddr) -> IpAddr {
    let address = <[u8; 16]>::try_from(bytes).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
    if address.is_unspecified() && !known.is_unspecified() { known } else { IpAddr::V6(address).to_canonical() }
}

/// What one exporter told: its templates by (source id, template id), its sampling rates by (source id, sampler).
#[derive(Debug, Default)]
pub(super) struct Exporter {
    pub(super) templates: BTreeMap<(u32, u16), Template>,
    /// The rate without sampler number is the source's own.
    pub(super) samplers: BTreeMap<(u32, Option<u64>), u32>,
    used: u64,
}

impl Exporter {
    /// The rate of a record that does not say it itself.
    pub(super) fn sampling(&self, source: u32, sampler: Option<u64>) -> u32 {
        let find = |sampler| self.samplers.get(&(source, sampler)).copied();
        find(sampler).or_else(|| find(None)).unwrap_or(1)
    }

    fn size_bytes(&self) -> usize {
        self.templates.values().map(Template::size_bytes).sum::<usize>() + self.samplers.len() * SAMPLER_BYTES
    }
}

/// All exporters' templates within one budget.
#[derive(Debug, Default)]
pub(super) struct Exporters {
    exporters: HashMap<IpAddr, Exporter>,
    /// The exporters by last use, the longest unused first.
    order: BTreeMap<u64, IpAddr>,
    tick: u64,
    bytes: usize,
}

impl Exporters {
    /// The exporter if it is known; counts as use.
    pub(super) fn get(&mut self, address: IpAddr) -> Option<&mut Exporter> {
        let exporter = self.exporters.get_mut(&address)?;
        if exporter.used != self.tick {
            self.order.remove(&exporter.used);
            self.tick += 1;
            exporter.used = self.tick;
            self.order.insert(self.tick, address);
        }
        Some(exporter)
    }

    /// Keeps a template; says whether it was new or changed.
    pub(super) fn template_set(&mut self, address: IpAddr, key: (u32, u16), template: Template) -> bool {
        if !self.exporters.contains_key(&address) {
            self.tick += 1;
            self.exporters.insert(address, Exporter { used: self.tick, ..Exporter::default() });
            self.order.insert(self.tick, address);
        }
        let Some(exporter) = self.get(address) else { return false };
        let known = exporter.templates.get(&key);
        if known.is_some_and(|known| known.fields == template.fields && known.scope == template.scope) {
            return false;
        }
        let mut freed = known.map_or(0, Template::size_bytes);
        if known.is_none() && exporter.templates.len() >= TEMPLATES_PER_EXPORTER_MAX {
            freed = exporter.size_bytes();
            exporter.templates.clear();
            exporter.samplers.clear();
        }
        let added = template.size_bytes();
        exporter.templates.insert(key, template);
        self.bytes = self.bytes.saturating_sub(freed) + added;
        self.shrink();
        true
    }

    /// Keeps the sampling rate of a known exporter's source or of one of its samplers.
    pub(super) fn sampler_set(&mut self, address: IpAddr, key: (u32, Option<u64>), rate: u32) {
        let Some(exporter) = self.get(address) else { return };
        let before = exporter.samplers.len();
        if before >= SAMPLERS_PER_EXPORTER_MAX && !exporter.samplers.contains_key(&key) {
            exporter.samplers.clear();
        }
        exporter.samplers.insert(key, rate);
        let after = exporter.samplers.len();
        self.bytes = (self.bytes + after * SAMPLER_BYTES).saturating_sub(before * SAMPLER_BYTES);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.bytes > CACHE_BYTES_MAX && self.exporters.len() > 1 {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            let freed = self.exporters.remove(&oldest).map_or(0, |exporter| exporter.size_bytes());
            self.bytes = self.bytes.saturating_sub(freed);
        }
    }

    /// All exporters by address, for the snapshot.
    pub(super) fn sorted(&self) -> Vec<(IpAddr, &Exporter)> {
        let mut all: Vec<_> = self.exporters.iter().map(|(address, exporter)| (*address, exporter)).collect();
        all.sort_by_key(|(address, _)| *address);
        all
    }

    #[cfg(test)]
    pub(super) fn size_bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(len: u16, fields: usize) -> Template {
        Template::compile(vec![TemplateField { element: 1, len }; fields], None).unwrap()
    }

    #[test]
    fn the_cache_keeps_its_budget_and_its_busy_exporters() {
        let mut cache = Exporters::default();
        let busy: IpAddr = "10.0.0.1".parse().unwrap();
        cache.template_set(busy, (0, 256), template(4, 1));
        for stranger in 0..24u32 {
            let address = IpAddr::V4(Ipv4Addr::from(0x0b00_0000 + stranger));
            for id in 0..1_100u16 {
                cache.template_set(address, (0, 256 + id), template(4, FIELDS_MAX));
                cache.sampler_set(address, (0, Some(id.into())), 100);
            }
            assert!(cache.get(busy).is_some(), "a used exporter stays");
            assert!(cache.size_bytes() <= CACHE_BYTES_MAX);
        }
        let counted: usize = cache.exporters.values().map(Exporter::size_bytes).sum();
        assert_eq!(counted, cache.size_bytes());
        assert_eq!(cache.order.len(), cache.exporters.len());
        assert!(cache.exporters.values().all(|exporter| exporter.templates.len() <= TEMPLATES_PER_EXPORTER_MAX));
    }

    #[test]
    fn the_same_template_again_is_no_news() {
        let mut cache = Exporters::default();
        let address: IpAddr = "10.0.0.1".parse().unwrap();
        assert!(cache.template_set(address, (0, 256), template(4, 2)));
        assert!(!cache.template_set(address, (0, 256), template(4, 2)));
        assert!(cache.template_set(address, (0, 256), template(8, 2)));
    }

    #[test]
    fn templates_that_cannot_be_are_refused() {
        let compile = |fields: Vec<TemplateField>| Template::compile(fields, None).map(|template| template.record_len);
        assert_eq!(compile(vec![]), Err(FlowDefect::TemplateEmpty));
        assert_eq!(compile(vec![TemplateField { element: 1, len: 0 }]), Err(FlowDefect::TemplateEmpty));
        assert_eq!(compile(vec![TemplateField { element: 1, len: 1 }; FIELDS_MAX + 1]), Err(FlowDefect::TemplateTooLong));
        assert_eq!(compile(vec![TemplateField { element: 9_999, len: 65_535 }; 2]), Err(FlowDefect::TemplateTooLong));
        assert_eq!(compile(vec![TemplateField { element: 9_999, len: 65_535 }]), Ok(65_535));
    }
}
