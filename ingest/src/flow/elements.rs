//! The information elements that the record keeps: number, name and form after the IANA registry "IPFIX Information
//! Elements" (whose first 127 are NetFlow v9's, RFC 3954 section 8), and those of vendors that say the same in their own
//! number space. Other elements are skipped by their length, and shown as bytes where somebody asks (`decode --flow`).

use Form::{Address4, Address6, AgoMicros, Mac, Millis, Ntp, Number, Seconds, Uptime};

/// RFC 5103: an element of this number space is IANA's of the same number, for the way back.
pub const REVERSE: u32 = 29_305;
/// CERT/NetSA, whose YAF exports TCP flags in two parts; the upper bits of its own numbers mean the way back.
const NETSA: u32 = 6_871;
const NETSA_REVERSE: u16 = 0x4000;

/// An element that the record keeps.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    /// 0 for IANA's own.
    pub enterprise: u32,
    pub number: u16,
    /// As the registry spells it.
    pub name: &'static str,
    pub form: Form,
    pub(super) slot: Slot,
    /// Of several elements for one slot the lowest wins.
    pub(super) rank: u8,
}

/// How its bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Address4,
    Address6,
    Mac,
    /// Big-endian, shortened as the exporter likes (RFC 7011 section 6.2).
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
    /// Whether a value of so many bytes can be read.
    pub(super) fn takes(self, len: u16) -> bool {
        match self {
            Address4 => len == 4,
            Address6 => len == 16,
            Mac => len == 6,
            Ntp => len == 8,
            Number | Uptime | Seconds | Millis | AgoMicros => (1..=8).contains(&len),
        }
    }
}

/// The places of the record, in the order in which they are filled: IPv6 may stand beside an unset IPv4, and times need to
/// know the exporter's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Slot {
    Src4,
    Src6,
    Dst4,
    Dst6,
    NextHop4,
    NextHop6,
    NatSrc4,
    NatSrc6,
    NatDst4,
    NatDst6,
    SrcPort,
    DstPort,
    NatSrcPort,
    NatDstPort,
    Icmp,
    IcmpType,
    IcmpCode,
    Protocol,
    TcpFlags,
    FirstTcpFlags,
    Tos,
    Dscp,
    Bytes,
    Packets,
    InIf,
    OutIf,
    SrcAs,
    DstAs,
    SrcMask,
    DstMask,
    Direction,
    EndReason,
    FirewallEvent,
    NatEvent,
    Forwarding,
    Biflow,
    SrcMac,
    DstMac,
    InVlan,
    OutVlan,
    MplsLabel,
    InVrf,
    OutVrf,
    MinTtl,
    MaxTtl,
    Ttl,
    MinLength,
    MaxLength,
    FlowLabel,
    FlowId,
    Application,
    DroppedBytes,
    DroppedPackets,
    Sampling,
    SamplingSpace,
    SampleSize,
    SamplePopulation,
    Sampler,
    SystemStart,
    Start,
    End,
    Duration,
    DurationMicros,
    BackBytes,
    BackPackets,
    BackTcpFlags,
    BackFirstTcpFlags,
    BackTos,
    BackDelay,
    BackStart,
    BackEnd,
}

impl Slot {
    /// The place of the same, for the way back.
    fn back(self) -> Option<Self> {
        Some(match self {
            Self::Bytes => Self::BackBytes,
            Self::Packets => Self::BackPackets,
            Self::TcpFlags => Self::BackTcpFlags,
            Self::FirstTcpFlags => Self::BackFirstTcpFlags,
            Self::Tos => Self::BackTos,
            Self::Start => Self::BackStart,
            Self::End => Self::BackEnd,
            _ => return None,
        })
    }
}

/// The element if the record keeps it.
pub fn find(enterprise: u32, number: u16) -> Option<Element> {
    if enterprise == REVERSE {
        let forth = find(0, number)?;
        return Some(Element { enterprise, slot: forth.slot.back()?, ..forth });
    }
    if enterprise == NETSA && number & NETSA_REVERSE != 0 {
        let forth = find(enterprise, number & !NETSA_REVERSE)?;
        return Some(Element { number, slot: forth.slot.back()?, ..forth });
    }
    let at = ELEMENTS.binary_search_by_key(&(enterprise, number), |element| (element.enterprise, element.number)).ok()?;
    ELEMENTS.get(at).copied()
}

const fn iana(number: u16, name: &'static str, form: Form, slot: Slot, rank: u8) -> Element {
    Element { enterprise: 0, number, name, form, slot, rank }
}

const fn netsa(number: u16, name: &'static str, form: Form, slot: Slot, rank: u8) -> Element {
    Element { enterprise: NETSA, number, name, form, slot, rank }
}

/// By enterprise and number.
pub static ELEMENTS: &[Element] = &[
    iana(1, "octetDeltaCount", Number, Slot::Bytes, 0),
    iana(2, "packetDeltaCount", Number, Slot::Packets, 0),
    iana(4, "protocolIdentifier", Number, Slot::Protocol, 0),
    iana(5, "ipClassOfService", Number, Slot::Tos, 0),
    iana(6, "tcpControlBits", Number, Slot::TcpFlags, 0),
    iana(7, "sourceTransportPort", Number, Slot::SrcPort, 0),
    iana(8, "sourceIPv4Address", Address4, Slot::Src4, 0),
    iana(9, "sourceIPv4PrefixLength", Number, Slot::SrcMask, 0),
    iana(10, "ingressInterface", Number, Slot::InIf, 0),
    iana(11, "destinationTransportPort", Number, Slot::DstPort, 0),
    iana(12, "destinationIPv4Address", Address4, Slot::Dst4, 0),
    iana(13, "destinationIPv4PrefixLength", Number, Slot::DstMask, 0),
    iana(14, "egressInterface", Number, Slot::OutIf, 0),
    iana(15, "ipNextHopIPv4Address", Address4, Slot::NextHop4, 0),
    iana(16, "bgpSourceAsNumber", Number, Slot::SrcAs, 0),
    iana(17, "bgpDestinationAsNumber", Number, Slot::DstAs, 0),
    iana(18, "bgpNextHopIPv4Address", Address4, Slot::NextHop4, 1),
    iana(21, "flowEndSysUpTime", Uptime, Slot::End, 2),
    iana(22, "flowStartSysUpTime", Uptime, Slot::Start, 2),
    iana(23, "postOctetDeltaCount", Number, Slot::Bytes, 2),
    iana(24, "postPacketDeltaCount", Number, Slot::Packets, 2),
    iana(25, "minimumIpTotalLength", Number, Slot::MinLength, 0),
    iana(26, "maximumIpTotalLength", Number, Slot::MaxLength, 0),
    iana(27, "sourceIPv6Address", Address6, Slot::Src6, 0),
    iana(28, "destinationIPv6Address", Address6, Slot::Dst6, 0),
    iana(29, "sourceIPv6PrefixLength", Number, Slot::SrcMask, 1),
    iana(30, "destinationIPv6PrefixLength", Number, Slot::DstMask, 1),
    iana(31, "flowLabelIPv6", Number, Slot::FlowLabel, 0),
    iana(32, "icmpTypeCodeIPv4", Number, Slot::Icmp, 0),
    iana(34, "samplingInterval", Number, Slot::Sampling, 0),
    iana(48, "samplerId", Number, Slot::Sampler, 0),
    iana(50, "samplerRandomInterval", Number, Slot::Sampling, 1),
    iana(52, "minimumTTL", Number, Slot::MinTtl, 0),
    iana(53, "maximumTTL", Number, Slot::MaxTtl, 0),
    iana(56, "sourceMacAddress", Mac, Slot::SrcMac, 0),
    iana(57, "postDestinationMacAddress", Mac, Slot::DstMac, 1),
    iana(58, "vlanId", Number, Slot::InVlan, 0),
    iana(59, "postVlanId", Number, Slot::OutVlan, 0),
    iana(61, "flowDirection", Number, Slot::Direction, 0),
    iana(62, "ipNextHopIPv6Address", Address6, Slot::NextHop6, 0),
    iana(63, "bgpNextHopIPv6Address", Address6, Slot::NextHop6, 1),
    iana(70, "mplsTopLabelStackSection", Number, Slot::MplsLabel, 0),
    iana(80, "destinationMacAddress", Mac, Slot::DstMac, 0),
    iana(81, "postSourceMacAddress", Mac, Slot::SrcMac, 1),
    iana(85, "octetTotalCount", Number, Slot::Bytes, 1),
    iana(86, "packetTotalCount", Number, Slot::Packets, 1),
    iana(89, "forwardingStatus", Number, Slot::Forwarding, 0),
    iana(95, "applicationId", Number, Slot::Application, 0),
    iana(132, "droppedOctetDeltaCount", Number, Slot::DroppedBytes, 0),
    iana(133, "droppedPacketDeltaCount", Number, Slot::DroppedPackets, 0),
    iana(134, "droppedOctetTotalCount", Number, Slot::DroppedBytes, 1),
    iana(135, "droppedPacketTotalCount", Number, Slot::DroppedPackets, 1),
    iana(136, "flowEndReason", Number, Slot::EndReason, 0),
    iana(139, "icmpTypeCodeIPv6", Number, Slot::Icmp, 1),
    iana(148, "flowId", Number, Slot::FlowId, 0),
    iana(150, "flowStartSeconds", Seconds, Slot::Start, 4),
    iana(151, "flowEndSeconds", Seconds, Slot::End, 4),
    iana(152, "flowStartMilliseconds", Millis, Slot::Start, 0),
    iana(153, "flowEndMilliseconds", Millis, Slot::End, 0),
    iana(154, "flowStartMicroseconds", Ntp, Slot::Start, 1),
    iana(155, "flowEndMicroseconds", Ntp, Slot::End, 1),
    iana(156, "flowStartNanoseconds", Ntp, Slot::Start, 1),
    iana(157, "flowEndNanoseconds", Ntp, Slot::End, 1),
    iana(158, "flowStartDeltaMicroseconds", AgoMicros, Slot::Start, 3),
    iana(159, "flowEndDeltaMicroseconds", AgoMicros, Slot::End, 3),
    iana(160, "systemInitTimeMilliseconds", Millis, Slot::SystemStart, 0),
    iana(161, "flowDurationMilliseconds", Number, Slot::Duration, 0),
    iana(162, "flowDurationMicroseconds", Number, Slot::DurationMicros, 0),
    iana(176, "icmpTypeIPv4", Number, Slot::IcmpType, 0),
    iana(177, "icmpCodeIPv4", Number, Slot::IcmpCode, 0),
    iana(178, "icmpTypeIPv6", Number, Slot::IcmpType, 1),
    iana(179, "icmpCodeIPv6", Number, Slot::IcmpCode, 1),
    iana(180, "udpSourcePort", Number, Slot::SrcPort, 1),
    iana(181, "udpDestinationPort", Number, Slot::DstPort, 1),
    iana(182, "tcpSourcePort", Number, Slot::SrcPort, 2),
    iana(183, "tcpDestinationPort", Number, Slot::DstPort, 2),
    iana(192, "ipTTL", Number, Slot::Ttl, 0),
    iana(195, "ipDiffServCodePoint", Number, Slot::Dscp, 0),
    iana(225, "postNATSourceIPv4Address", Address4, Slot::NatSrc4, 0),
    iana(226, "postNATDestinationIPv4Address", Address4, Slot::NatDst4, 0),
    iana(227, "postNAPTSourceTransportPort", Number, Slot::NatSrcPort, 0),
    iana(228, "postNAPTDestinationTransportPort", Number, Slot::NatDstPort, 0),
    iana(230, "natEvent", Number, Slot::NatEvent, 0),
    iana(231, "initiatorOctets", Number, Slot::Bytes, 3),
    iana(232, "responderOctets", Number, Slot::BackBytes, 3),
    iana(233, "firewallEvent", Number, Slot::FirewallEvent, 0),
    iana(234, "ingressVRFID", Number, Slot::InVrf, 0),
    iana(235, "egressVRFID", Number, Slot::OutVrf, 0),
    iana(239, "biflowDirection", Number, Slot::Biflow, 0),
    iana(243, "dot1qVlanId", Number, Slot::InVlan, 1),
    iana(245, "dot1qCustomerVlanId", Number, Slot::InVlan, 2),
    iana(254, "postDot1qVlanId", Number, Slot::OutVlan, 1),
    iana(281, "postNATSourceIPv6Address", Address6, Slot::NatSrc6, 0),
    iana(282, "postNATDestinationIPv6Address", Address6, Slot::NatDst6, 0),
    iana(298, "initiatorPackets", Number, Slot::Packets, 3),
    iana(299, "responderPackets", Number, Slot::BackPackets, 3),
    iana(302, "selectorId", Number, Slot::Sampler, 1),
    iana(305, "samplingPacketInterval", Number, Slot::Sampling, 2),
    iana(306, "samplingPacketSpace", Number, Slot::SamplingSpace, 0),
    iana(309, "samplingSize", Number, Slot::SampleSize, 0),
    iana(310, "samplingPopulation", Number, Slot::SamplePopulation, 0),
    // Of firewalls, which tell of an event and no span.
    iana(322, "observationTimeSeconds", Seconds, Slot::End, 8),
    iana(323, "observationTimeMilliseconds", Millis, Slot::End, 5),
    iana(324, "observationTimeMicroseconds", Ntp, Slot::End, 6),
    iana(325, "observationTimeNanoseconds", Ntp, Slot::End, 7),
    iana(352, "layer2OctetDeltaCount", Number, Slot::Bytes, 4),
    iana(353, "layer2OctetTotalCount", Number, Slot::Bytes, 5),
    // Cisco ASA before IANA had numbers for translated addresses and firewall events.
    iana(40_001, "NF_F_XLATE_SRC_ADDR_IPV4", Address4, Slot::NatSrc4, 1),
    iana(40_002, "NF_F_XLATE_DST_ADDR_IPV4", Address4, Slot::NatDst4, 1),
    iana(40_003, "NF_F_XLATE_SRC_PORT", Number, Slot::NatSrcPort, 1),
    iana(40_004, "NF_F_XLATE_DST_PORT", Number, Slot::NatDstPort, 1),
    iana(40_005, "NF_F_FW_EVENT", Number, Slot::FirewallEvent, 1),
    netsa(14, "initialTCPFlags", Number, Slot::FirstTcpFlags, 0),
    netsa(15, "unionTCPFlags", Number, Slot::TcpFlags, 1),
    netsa(21, "reverseFlowDeltaMilliseconds", Number, Slot::BackDelay, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_element_is_found_by_its_number() {
        for element in ELEMENTS {
            assert_eq!(find(element.enterprise, element.number).unwrap().name, element.name, "the table is in order");
        }
        let numbers = |(enterprise, number)| find(enterprise, number).map(|element| (element.name, element.slot));
        assert_eq!(numbers((REVERSE, 86)), Some(("packetTotalCount", Slot::BackPackets)));
        assert_eq!(numbers((NETSA, NETSA_REVERSE | 15)), Some(("unionTCPFlags", Slot::BackTcpFlags)));
        assert_eq!([(REVERSE, 8), (REVERSE, 3), (NETSA, NETSA_REVERSE | 40), (0, 3), (9, 1)].map(numbers), [None; 5]);
    }
}
