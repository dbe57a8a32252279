//! Templates: an exporter says once how its records look, and that is compiled once to copy operations (place, length,
//! target) on the fixed record. Elements that the record does not keep cost nothing later: they are skipped by length. Where
//! all lengths are fixed the places are known; IPFIX may leave some to each record, then each record is walked once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::defect::FlowDefect;
use super::elements::{self, Form, Slot};
use super::{FlowRecord, NO_ADDRESS};
use crate::body::SiteId;
use crate::frame::Seq;
use crate::time::Timestamp;

/// More fields than this in one template is no template: the longest seen in the field have about 100.
pub(super) const FIELDS_MAX: usize = 256;
/// A record cannot be longer than a datagram.
const RECORD_BYTES_MAX: usize = 65_535;
/// The length that says: each record tells (RFC 7011 section 7).
pub(super) const VARIABLE: u16 = 65_535;
/// What a template costs beside its fields (maps, allocations), roughly.
const ENTRY_BYTES: usize = 160;

/// A clock that is ahead of ours by more than this is wrong: nothing is told of what has not been.
const CLOCK_AHEAD_MILLIS: i64 = Timestamp::DAY;
/// Some exporters (FortiOS, pmacct) give flows an uptime up to a day ahead of the header's. What is further ahead began a turn
/// of the uptime's counter (49.7 days) before.
const UPTIME_AHEAD_MILLIS: u32 = 7 * 24 * 3_600_000;

/// One field of a template as announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateField {
    pub element: u16,
    pub len: u16,
    /// 0 for IANA's own elements.
    pub enterprise: u32,
}

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pub(super) fields: Box<[TemplateField]>,
    /// For an options template how many of the leading fields are its scope; `None` for flows.
    pub(super) scope: Option<usize>,
    /// The length of a record, or the shortest where `variable`.
    pub(super) record_len: usize,
    pub(super) variable: bool,
    ops: Box<[Op]>,
    /// Some known element came with a length that it cannot have, and is skipped.
    pub(super) odd_length: bool,
    /// It tells of both ways.
    biflow: bool,
    /// Which data set of all it served last; 0 where it served none.
    pub(super) used: u64,
}

/// Copies `len` bytes at `at`, read as `form`, to `slot`. In a variable template `at` is the field's index and `len` 0.
#[derive(Clone, Copy, Debug)]
struct Op {
    slot: Slot,
    rank: u8,
    form: Form,
    len: u8,
    at: u16,
}

/// Where a record comes from and the two clocks its times are relative to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    pub(super) seq: Seq,
    pub(super) received_at: Timestamp,
    pub(super) site: SiteId,
    pub(super) exporter: IpAddr,
    pub(super) domain: u32,
    pub(super) version: u8,
    /// The exporter's clock when it sent the datagram; ours, where that cannot be.
    pub(super) export_at: Timestamp,
    /// Its uptime then, in milliseconds; wraps every 49.7 days. IPFIX does not say it.
    pub(super) uptime: Option<u32>,
    /// 1 in so many packets, as the operator says; it counts where the exporter says nothing.
    pub(super) sampling: u32,
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
            domain: self.domain,
            version: self.version,
            ..FlowRecord::NONE
        }
    }

    /// The header's time where it can be one: an exporter without a clock says 0, a wrong or forged one what is to come. The
    /// moments of flows that are told relative to it are then told relative to ours.
    pub(super) fn believed(export_at: Timestamp, received_at: Timestamp) -> Option<Timestamp> {
        Some(export_at).filter(|at| at.0 >= Timestamp::SECOND && at.since(received_at) <= CLOCK_AHEAD_MILLIS)
    }

    /// The moment at which the uptime was `uptime`. A counter that wrapped between the flow and the export counts as before, and
    /// one a little ahead as after.
    pub(super) fn at_uptime(&self, now: u32, uptime: u32) -> Timestamp {
        let ahead = uptime.wrapping_sub(now);
        let off = if ahead <= UPTIME_AHEAD_MILLIS { i64::from(ahead) } else { -i64::from(now.wrapping_sub(uptime)) };
        self.export_at.plus(off)
    }

    /// `None` for what cannot be a moment: 0, or what is to come.
    fn moment(&self, form: Form, value: u64) -> Option<Timestamp> {
        let moment = match form {
            Form::Seconds => i64::try_from(value).ok()?.checked_mul(1_000)?,
            Form::Ntp => {
                let fraction = i64::try_from(value & u64::from(u32::MAX)).ok()?;
                i64::try_from(value >> 32).ok()? * 1_000 - 2_208_988_800_000 + ((fraction * 1_000) >> 32)
            }
            Form::AgoMicros => self.export_at.0 - i64::try_from(value / 1_000).ok()?,
            _ => i64::try_from(value).ok()?,
        };
        (1..=self.received_at.0.saturating_add(CLOCK_AHEAD_MILLIS)).contains(&moment).then_some(Timestamp(moment))
    }
}

/// What a record says beside the record's own fields.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    pub(super) sampler: Option<u64>,
    /// 1 in this many; `None` where the record does not say.
    pub(super) sampling: Option<u32>,
    pub(super) bad_time: bool,
    pub(super) back: Option<Back>,
}

/// The way back of a record that tells of both.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Back {
    bytes: u64,
    packets: u64,
    tcp_flags: u8,
    tos: Option<u8>,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
}

impl Back {
    pub(super) fn record(&self, forth: &FlowRecord) -> FlowRecord {
        let start = self.start.unwrap_or(forth.start);
        FlowRecord {
            bytes: self.bytes,
            packets: self.packets,
            tcp_flags: self.tcp_flags,
            tos: self.tos.unwrap_or(forth.tos),
            start,
            end: self.end.unwrap_or(forth.end).max(start),
            biflow: 2,
            ..forth.turned()
        }
    }
}

/// The times of one record while its fields are read.
#[derive(Default)]
struct Times {
    /// The exporter's start, where the record says it.
    system_start: Option<Timestamp>,
    start: Moment,
    end: Moment,
    duration: Option<u64>,
    back_start: Moment,
    back_end: Moment,
    back_delay: Option<u64>,
}

#[derive(Clone, Copy, Default)]
enum Moment {
    #[default]
    None,
    At(Timestamp),
    Uptime(u32),
    Bad,
}

impl Moment {
    fn read(form: Form, value: u64, origin: &Origin) -> Self {
        match form {
            Form::Uptime => Self::Uptime(u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX)),
            form => origin.moment(form, value).map_or(Self::Bad, Self::At),
        }
    }
}

impl Template {
    /// `variable_known` where a length of 65,535 means that each record tells (IPFIX).
    ///
    /// # Errors
    /// The defect that makes it unusable.
    pub(super) fn compile(fields: Vec<TemplateField>, scope: Option<usize>, variable_known: bool) -> Result<Self, FlowDefect> {
        if fields.len() > FIELDS_MAX {
            return Err(FlowDefect::TemplateTooLong);
        }
        let variable = variable_known && fields.iter().any(|field| field.len == VARIABLE);
        let mut ops = Vec::new();
        let mut record_len = 0usize;
        let mut odd_length = false;
        for (index, field) in fields.iter().enumerate() {
            let varies = variable && field.len == VARIABLE;
            let at = if variable { index } else { record_len };
            record_len += if varies { 1 } else { usize::from(field.len) };
            // An element of length 0 says nothing; NetFlow's scope fields have numbers of their own.
            if field.len == 0 || (!variable_known && scope.is_some_and(|scope| index < scope)) {
                continue;
            }
            let Some(element) = elements::find(field.enterprise, field.element) else { continue };
            let len = if variable { Ok(0) } else { u8::try_from(field.len) };
            match (u16::try_from(at), len) {
                (Ok(at), Ok(len)) if varies || element.form.takes(field.len) => {
                    ops.push(Op { slot: element.slot, rank: element.rank, form: element.form, len, at });
                }
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
        let biflow = ops.iter().any(|op| matches!(op.slot, Slot::BackBytes | Slot::BackPackets));
        Ok(Self { fields: fields.into(), scope, record_len, variable, ops: ops.into(), odd_length, biflow, used: 0 })
    }

    /// Whether its records tell of traffic: an address or a counter.
    pub(super) fn tells_of_traffic(&self) -> bool {
        use Slot::{Bytes, Dst4, Dst6, Packets, Src4, Src6};
        self.ops.iter().any(|op| matches!(op.slot, Src4 | Src6 | Dst4 | Dst6 | Bytes | Packets))
    }

    /// The first record of `bytes` and what is behind it; `None` where no whole record is left. `places` is room that the
    /// caller lends: a kibibyte that moved with every record cost more than reading it.
    #[inline]
    pub(super) fn split<'a, 'p>(&self, bytes: &'a [u8], places: &'p mut Places) -> Option<(RecordBytes<'a, 'p>, &'a [u8])> {
        if !self.variable {
            let (record, rest) = bytes.split_at_checked(self.record_len)?;
            return Some((RecordBytes { bytes: record, places: None }, rest));
        }
        let mut at = 0usize;
        for (field, place) in self.fields.iter().zip(places.iter_mut()) {
            let mut len = usize::from(field.len);
            if field.len == VARIABLE {
                len = usize::from(*bytes.get(at)?);
                at += 1;
                if len == 255 {
                    len = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
                    at += 2;
                }
            }
            *place = (u16::try_from(at).ok()?, u16::try_from(len).ok()?);
            at += len;
        }
        let (record, rest) = bytes.split_at_checked(at)?;
        Some((RecordBytes { bytes: record, places: Some(places) }, rest))
    }

    /// Reads one record into `record`, which knows its origin already.
    pub(super) fn read(&self, bytes: &RecordBytes<'_, '_>, origin: &Origin, record: &mut FlowRecord) -> Extra {
        let mut extra = Extra::default();
        let mut times = Times::default();
        let mut back = Back::default();
        let (mut icmp, mut sampling, mut space, mut sampled, mut population) = (0u64, 0u64, 0u64, 0u64, 0u64);
        for op in &self.ops {
            let Some(field) = bytes.field(op) else { continue };
            match op.slot {
                Slot::Src4 => record.src_ip = address4(field),
                Slot::Dst4 => record.dst_ip = address4(field),
                Slot::Src6 => record.src_ip = address6(field, record.src_ip),
                Slot::Dst6 => record.dst_ip = address6(field, record.dst_ip),
                Slot::NextHop4 => record.next_hop = address4(field),
                Slot::NextHop6 => record.next_hop = address6(field, record.next_hop),
                Slot::NatSrc4 => record.nat_src_ip = address4(field),
                Slot::NatDst4 => record.nat_dst_ip = address4(field),
                Slot::NatSrc6 => record.nat_src_ip = address6(field, record.nat_src_ip),
                Slot::NatDst6 => record.nat_dst_ip = address6(field, record.nat_dst_ip),
                Slot::SrcPort => record.src_port = low(number(field)),
                Slot::DstPort => record.dst_port = low(number(field)),
                Slot::NatSrcPort => record.nat_src_port = low(number(field)),
                Slot::NatDstPort => record.nat_dst_port = low(number(field)),
                Slot::Icmp => icmp = number(field),
                Slot::IcmpType => icmp |= number(field) << 8,
                Slot::IcmpCode => icmp |= number(field),
                Slot::Protocol => record.protocol = low(number(field)),
                // The flags may come in two bytes, the upper with bits that are no flags (RFC 9565).
                Slot::TcpFlags | Slot::FirstTcpFlags => record.tcp_flags |= low::<u8>(number(field) & 0xff),
                Slot::Tos => record.tos = low(number(field)),
                Slot::Dscp if record.tos == 0 => record.tos = low(number(field) << 2),
                Slot::Dscp => {}
                Slot::Bytes => record.bytes = number(field),
                Slot::Packets => record.packets = number(field),
                Slot::InIf => record.in_if = low(number(field)),
                Slot::OutIf => record.out_if = low(number(field)),
                Slot::SrcAs => record.src_as = low(number(field)),
                Slot::DstAs => record.dst_as = low(number(field)),
                Slot::SrcMask => record.src_mask = low(number(field)),
                Slot::DstMask => record.dst_mask = low(number(field)),
                Slot::Direction => record.direction = low(number(field)),
                Slot::EndReason => record.end_reason = low(number(field)),
                Slot::FirewallEvent => record.firewall_event = low(number(field)),
                Slot::NatEvent => record.nat_event = low(number(field)),
                // One byte; where four come, the status is the lowest.
                Slot::Forwarding => record.forwarding = low(number(field) & 0xff),
                Slot::Biflow => record.biflow = low(number(field)),
                Slot::SrcMac => record.src_mac = field.try_into().unwrap_or_default(),
                Slot::DstMac => record.dst_mac = field.try_into().unwrap_or_default(),
                Slot::InVlan => record.in_vlan = low(number(field)),
                Slot::OutVlan => record.out_vlan = low(number(field)),
                // 20 bits of label, then 3 and the bottom of the stack.
                Slot::MplsLabel => record.mpls_label = low(number(field) >> 4),
                Slot::InVrf => record.in_vrf = low(number(field)),
                Slot::OutVrf => record.out_vrf = low(number(field)),
                Slot::MinTtl => record.min_ttl = low(number(field)),
                Slot::MaxTtl => record.max_ttl = low(number(field)),
                Slot::Ttl => {
                    record.min_ttl = low(number(field));
                    record.max_ttl = record.min_ttl;
                }
                Slot::MinLength => record.min_length = low(number(field)),
                Slot::MaxLength => record.max_length = low(number(field)),
                Slot::FlowLabel => record.flow_label = low(number(field)),
                Slot::FlowId => record.flow_id = number(field),
                Slot::Application => record.application = number(field),
                Slot::DroppedBytes => record.dropped_bytes = number(field),
                Slot::DroppedPackets => record.dropped_packets = number(field),
                Slot::Sampling => sampling = number(field),
                Slot::SamplingSpace => space = number(field),
                Slot::SampleSize => sampled = number(field),
                Slot::SamplePopulation => population = number(field),
                Slot::Sampler => extra.sampler = Some(number(field)),
                Slot::SystemStart => times.system_start = origin.moment(op.form, number(field)),
                Slot::Start => times.start = Moment::read(op.form, number(field), origin),
                Slot::End => times.end = Moment::read(op.form, number(field), origin),
                Slot::Duration => times.duration = Some(number(field)),
                Slot::DurationMicros => times.duration = times.duration.or(Some(number(field) / 1_000)),
                Slot::BackBytes => back.bytes = number(field),
                Slot::BackPackets => back.packets = number(field),
                Slot::BackTcpFlags | Slot::BackFirstTcpFlags => back.tcp_flags |= low::<u8>(number(field) & 0xff),
                Slot::BackTos => back.tos = Some(low(number(field))),
                Slot::BackDelay => times.back_delay = Some(number(field)),
                Slot::BackStart => times.back_start = Moment::read(op.form, number(field), origin),
                Slot::BackEnd => times.back_end = Moment::read(op.form, number(field), origin),
            }
        }
        extra.bad_time = times.settle(origin, record, &mut back);
        if matches!(record.protocol, 1 | 58) && record.dst_port == 0 {
            record.dst_port = low(icmp);
        }
        // 1 of n; x packets taken and y left out (RFC 5476): 1 of (x + y) / x; or n of a population.
        let taken = sampling.checked_add(space).and_then(|all| all.checked_div(if space == 0 { 1 } else { sampling }));
        let rate = taken.filter(|rate| *rate > 0).or_else(|| population.checked_div(sampled));
        extra.sampling = rate.filter(|rate| *rate > 0).map(low::<u32>);
        if self.biflow && (back.bytes > 0 || back.packets > 0) {
            record.biflow = 1;
            extra.back = Some(back);
        }
        extra
    }

    /// Every field of a record with its bytes, the elements that are not kept included.
    pub(super) fn each_field<'a>(&self, record: &RecordBytes<'a, '_>, visit: &mut dyn FnMut(TemplateField, &'a [u8])) {
        let mut at = 0usize;
        for (index, field) in self.fields.iter().enumerate() {
            let (from, len) = match record.places {
                Some(places) => places.get(index).map_or((0, 0), |(at, len)| (usize::from(*at), usize::from(*len))),
                None => (at, usize::from(field.len)),
            };
            at += len;
            visit(*field, record.bytes.get(from..from + len).unwrap_or_default());
        }
    }

    pub(super) fn size_bytes(&self) -> usize {
        ENTRY_BYTES + self.fields.len() * size_of::<TemplateField>() + self.ops.len() * size_of::<Op>()
    }
}

/// Where the fields of a record begin and how long they are.
pub(super) type Places = [(u16, u16); FIELDS_MAX];

/// One record, and in a variable template where its fields are.
pub(super) struct RecordBytes<'a, 'p> {
    bytes: &'a [u8],
    places: Option<&'p Places>,
}

impl<'a> RecordBytes<'a, '_> {
    fn field(&self, op: &Op) -> Option<&'a [u8]> {
        let Some(places) = self.places else {
            let at = usize::from(op.at);
            return self.bytes.get(at..at + usize::from(op.len));
        };
        let (at, len) = *places.get(usize::from(op.at))?;
        // The length is only known now.
        op.form.takes(len).then(|| self.bytes.get(usize::from(at)..usize::from(at) + usize::from(len)))?
    }
}

impl Times {
    /// Puts the moments in; says whether some of them cannot be.
    fn settle(&self, origin: &Origin, record: &mut FlowRecord, back: &mut Back) -> bool {
        let uptime_now = origin.uptime.or_else(|| {
            let up = origin.export_at.since(self.system_start?);
            u32::try_from(up.rem_euclid(1 << 32)).ok()
        });
        let at = |moment: Moment| match moment {
            Moment::At(at) => Some(at),
            Moment::Uptime(uptime) => uptime_now.map(|now| origin.at_uptime(now, uptime)),
            Moment::None | Moment::Bad => None,
        };
        let mut bad = [self.start, self.end, self.back_start, self.back_end].iter().any(|moment| matches!(moment, Moment::Bad));
        let duration = match (self.start, self.end) {
            // Of an exporter whose start nobody knows at least the span is known.
            (Moment::Uptime(start), Moment::Uptime(end)) if uptime_now.is_none() => Some(u64::from(end.wrapping_sub(start))),
            _ => self.duration,
        };
        let duration = duration.and_then(|millis| i64::try_from(millis).ok()).filter(|millis| *millis <= u32::MAX.into());
        let (start, end) = match (at(self.start), at(self.end), duration) {
            (Some(start), Some(end), _) => (start, end),
            (Some(start), None, duration) => (start, start.plus(duration.unwrap_or(0))),
            (None, end, duration) => {
                let end = end.unwrap_or(origin.export_at);
                (end.plus(-duration.unwrap_or(0)), end)
            }
        };
        bad |= start > end;
        (record.start, record.end) = (start.min(end), end);
        let delay = self.back_delay.and_then(|millis| i64::try_from(millis).ok()).filter(|millis| *millis <= u32::MAX.into());
        back.start = at(self.back_start).or_else(|| delay.map(|millis| record.start.plus(millis)));
        back.end = at(self.back_end);
        bad
    }
}

/// A big-endian number of 1 to 8 bytes.
pub(super) fn number(bytes: &[u8]) -> u64 {
    match *bytes {
        [a] => u64::from(a),
        [a, b] => u64::from(u16::from_be_bytes([a, b])),
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        _ => bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)),
    }
}

/// The number in a narrower type; one that does not fit becomes the largest, which stands out.
pub(super) fn low<T: TryFrom<u64> + Bounded>(number: u64) -> T {
    T::try_from(number).unwrap_or(T::MAX)
}

pub(super) trait Bounded {
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
    <[u8; 4]>::try_from(bytes).map_or(NO_ADDRESS, |octets| Ipv4Addr::from(octets).into())
}

/// The IPv6 address, unless it is unspecified and `known` is not: some templates carry both families. IPv4 in
/// IPv6's clothes becomes IPv4, as everywhere.
fn address6(bytes: &[u8], known: IpAddr) -> IpAddr {
    let address = <[u8; 16]>::try_from(bytes).map_or(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from);
    if address.is_unspecified() && !known.is_unspecified() { known } else { IpAddr::V6(address).to_canonical() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_that_cannot_be_are_refused() {
        let compile = |fields: Vec<TemplateField>| Template::compile(fields, None, false).map(|template| template.record_len);
        assert_eq!(compile(vec![]), Err(FlowDefect::TemplateEmpty));
        assert_eq!(compile(vec![TemplateField { element: 1, len: 0, enterprise: 0 }]), Err(FlowDefect::TemplateEmpty));
        assert_eq!(compile(vec![TemplateField { element: 1, len: 1, enterprise: 0 }; FIELDS_MAX + 1]), Err(FlowDefect::TemplateTooLong));
        assert_eq!(compile(vec![TemplateField { element: 9_999, len: 65_535, enterprise: 0 }; 2]), Err(FlowDefect::TemplateTooLong));
        assert_eq!(compile(vec![TemplateField { element: 9_999, len: 65_535, enterprise: 0 }]), Ok(65_535));
    }
}
