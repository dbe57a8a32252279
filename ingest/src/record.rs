//! What search, tail and rules ask of a record, be it an event or a flow: values by field, the text, the time.
//! One view for both, so that one query language and one rule engine serve logs and flows.

use std::net::IpAddr;

use crate::body::SiteTable;
use crate::enrich;
use crate::event::{Defects, Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::flow::{self, FlowRecord};
use crate::frame::Seq;
use crate::time::Timestamp;

/// A record that can be matched.
pub trait Record {
    fn seq(&self) -> Seq;
    fn timestamp(&self) -> Timestamp;
    /// The line as text; empty for flows.
    fn text(&self) -> &str;
    fn defects(&self) -> Defects;
    /// Gives each value of `field` to `visit` until it returns true; says whether it did.
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool;
    /// Gives every (field, value) to `visit` until it returns true; says whether it did.
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool;

    /// The first value of a field as text.
    fn first_text(&self, field: FieldId) -> Option<String> {
        let mut found = None;
        self.any_value(field, &mut |value| {
            found = Some(value.text().into_owned());
            true
        });
        found
    }

    /// The first value of a field as an address.
    fn first_ip(&self, field: FieldId) -> Option<IpAddr> {
        let mut found = None;
        self.any_value(field, &mut |value| {
            found = value.as_ip();
            found.is_some()
        });
        found
    }
}

/// An event together with its site's name.
#[derive(Clone, Copy, Debug)]
pub struct EventRecord<'a> {
    pub event: &'a Event,
    pub sites: &'a SiteTable,
}

impl Record for EventRecord<'_> {
    fn seq(&self) -> Seq {
        self.event.seq
    }
    fn timestamp(&self) -> Timestamp {
        self.event.timestamp
    }
    fn text(&self) -> &str {
        self.event.line()
    }
    fn defects(&self) -> Defects {
        self.event.defects
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        match field {
            fields::SITE => visit(ValueRef::Str(self.sites.name(self.event.site))),
            fields::OBSERVER_IP => visit(ValueRef::Ip(self.event.peer)),
            fields::MESSAGE => visit(ValueRef::Str(self.event.message())),
            _ => self.event.get_all(field).any(visit),
        }
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        visit(fields::SITE, ValueRef::Str(self.sites.name(self.event.site)))
            || visit(fields::OBSERVER_IP, ValueRef::Ip(self.event.peer))
            || self.event.fields().any(|(field, value)| visit(field, value))
            || visit(fields::MESSAGE, ValueRef::Str(self.event.message()))
    }
}

/// A flow together with its site's name.
#[derive(Clone, Copy, Debug)]
pub struct FlowView<'a> {
    pub flow: &'a FlowRecord,
    pub sites: &'a SiteTable,
}

impl FlowView<'_> {
    /// The fields that a flow has.
    pub const FIELDS: [FieldId; 15] = [
        fields::SITE,
        fields::OBSERVER_IP,
        fields::SOURCE_IP,
        fields::DESTINATION_IP,
        fields::SOURCE_PORT,
        fields::DESTINATION_PORT,
        fields::NETWORK_TRANSPORT,
        fields::NETWORK_DIRECTION,
        fields::NETWORK_COMMUNITY_ID,
        fields::NETWORK_BYTES,
        fields::NETWORK_PACKETS,
        fields::EVENT_KIND,
        fields::EVENT_CATEGORY,
        fields::EVENT_ACTION,
        fields::EVENT_DURATION,
    ];

    fn value(&self, field: FieldId) -> Option<ValueRef<'_>> {
        let flow = self.flow;
        let int = |number: u64| Some(ValueRef::Int(i64::try_from(number).unwrap_or(i64::MAX)));
        match field {
            fields::SITE => Some(ValueRef::Str(self.sites.name(flow.site))),
            fields::OBSERVER_IP => Some(ValueRef::Ip(flow.exporter)),
            fields::SOURCE_IP => Some(ValueRef::Ip(flow.src_ip)),
            fields::DESTINATION_IP => Some(ValueRef::Ip(flow.dst_ip)),
            fields::SOURCE_PORT => int(flow.src_port.into()),
            fields::DESTINATION_PORT => int(flow.dst_port.into()),
            fields::NETWORK_TRANSPORT => flow::protocol_name(flow.protocol).map(ValueRef::Str),
            fields::NETWORK_DIRECTION => Some(ValueRef::Str(enrich::direction(flow.site, flow.src_ip, flow.dst_ip, self.sites))),
            fields::NETWORK_BYTES => int(flow.bytes),
            fields::NETWORK_PACKETS => int(flow.packets),
            fields::EVENT_KIND => Some(ValueRef::Str("event")),
            fields::EVENT_CATEGORY => Some(ValueRef::Str("network")),
            fields::EVENT_ACTION => Some(ValueRef::Str("network_flow")),
            // ECS gives event.duration in nanoseconds.
            fields::EVENT_DURATION => Some(ValueRef::Int(flow.end.since(flow.start).saturating_mul(1_000_000))),
            _ => None,
        }
    }
}

impl Record for FlowView<'_> {
    fn seq(&self) -> Seq {
        self.flow.seq
    }
    fn timestamp(&self) -> Timestamp {
        self.flow.start
    }
    fn text(&self) -> &str {
        ""
    }
    fn defects(&self) -> Defects {
        Defects::default()
    }
    fn any_value(&self, field: FieldId, visit: &mut dyn FnMut(ValueRef<'_>) -> bool) -> bool {
        match field {
            // Worked out only for who asks: a hash a flow is too dear for everybody.
            fields::NETWORK_COMMUNITY_ID => enrich::flow_community_id(self.flow).is_some_and(|id| visit(ValueRef::Str(&id))),
            _ => self.value(field).is_some_and(visit),
        }
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        Self::FIELDS.into_iter().any(|field| self.any_value(field, &mut |value| visit(field, value)))
    }
}
