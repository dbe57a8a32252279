//! What search, tail and rules ask of a record, be it an event or a flow: values by field, the text, the time.
//! One view for both, so that one query language and one rule engine serve logs and flows.

use std::net::IpAddr;

use crate::body::SiteTable;
use crate::enrich;
use crate::event::{Defects, Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::flow::FlowRecord;
use crate::flows::value::{self, Get};
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
        let Some(get) = value::get(field) else { return false };
        let flow = self.flow;
        match get {
            Get::Number { .. } | Get::Nanos | Get::Reckoned(..) => get.number(flow).is_some_and(|number| visit(ValueRef::Int(number))),
            Get::Address { .. } | Get::ReckonedAddress(..) => get.address(flow).is_some_and(|address| visit(ValueRef::Ip(address))),
            Get::Code { .. } | Get::ReckonedCode { .. } | Get::Constant(_) => get.word(flow).is_some_and(|word| visit(ValueRef::Str(word))),
            Get::Flags => value::flag_names(flow.tcp_flags).any(|name| visit(ValueRef::Str(name))),
            Get::Mac(_) => get.mac(flow).is_some_and(|mac| visit(ValueRef::Str(&value::mac_text(mac)))),
            Get::Site => visit(ValueRef::Str(self.sites.name(flow.site))),
            Get::Direction => visit(ValueRef::Str(enrich::direction(flow.site, flow.src_ip, flow.dst_ip, self.sites))),
            // Worked out only for who asks: a hash a flow is too dear for everybody.
            Get::CommunityId => enrich::flow_community_id(flow).is_some_and(|id| visit(ValueRef::Str(&id))),
        }
    }
    fn any_field(&self, visit: &mut dyn FnMut(FieldId, ValueRef<'_>) -> bool) -> bool {
        value::flow_fields().any(|field| self.any_value(field, &mut |value| visit(field, value)))
    }
}
