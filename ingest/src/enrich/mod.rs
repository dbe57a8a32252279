//! What is added to an event after decoding: the Community ID, the direction, country and operator of public addresses,
//! the machine's name from DHCP, and what a browser's word of itself means. Each can be switched off. Nothing here
//! replaces what a device said; what it says of itself stays, and only gaps are filled.
//!
//! It runs on the decoding thread, and again where a stored event is decoded again, so everything is memory and
//! arithmetic: files and the database are read by others, off that way.

mod community_id;
mod direction;
mod geo;
mod lease_store;
mod leases;
mod recent;
#[cfg(test)]
mod sample;
mod user_agent;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

pub use community_id::{community_id, flow_community_id};
pub use direction::direction;
pub use geo::{Geo, GeoError, GeoFile, GeoWatch, Place};
pub use lease_store::{LeaseConsumer, MIGRATIONS, lease_load};
pub use leases::{Lease, LeaseBook, LeaseChanges, LeaseKey, Observation, Said};
pub use user_agent::{Agent, classify};

use crate::body::SiteTable;
use crate::event::{Event, ValueRef};
use crate::fields::{self, FieldId};
use crate::time::Timestamp;

/// What is switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    pub community_id: bool,
    pub direction: bool,
    pub user_agent: bool,
    pub leases: bool,
    /// How long a lease lasts whose line does not say it.
    pub lease_term_hours: u32,
    /// How long leases are kept behind their end.
    pub lease_days: u32,
    /// MMDB files, the first that knows something first; none switches it off.
    pub geo_files: Vec<PathBuf>,
}

/// All of it, shared by the decoder, the store and the pages.
#[derive(Clone, Default)]
pub struct Enrichment(Arc<Parts>);

#[derive(Default)]
struct Parts {
    settings: Settings,
    geo: Option<Geo>,
    agents: user_agent::Agents,
    leases: RwLock<LeaseBook>,
}

impl Enrichment {
    /// Reads the files that the settings name. A bad one stops nothing: `Geo::files` says what is wrong with it.
    pub fn new(settings: Settings, leases: LeaseBook) -> Self {
        let geo = (!settings.geo_files.is_empty()).then(|| Geo::open(&settings.geo_files));
        Self(Arc::new(Parts { settings, geo, agents: user_agent::Agents::default(), leases: RwLock::new(leases) }))
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub fn geo(&self) -> Option<&Geo> {
        self.0.geo.as_ref()
    }

    /// How many leases are known.
    pub fn leases_len(&self) -> usize {
        self.read_leases().len()
    }

    /// Takes in what an event says of leases. Called once for each, in the journal's order, before those behind it are
    /// enriched; not where an event is decoded again.
    pub fn learn(&self, event: &Event) {
        if !self.0.settings.leases {
            return;
        }
        if let Some(observation) = Observation::of(event) {
            let term = i64::from(self.0.settings.lease_term_hours.max(1)).saturating_mul(Timestamp::HOUR);
            self.0.leases.write().unwrap_or_else(PoisonError::into_inner).learn(&observation, term);
        }
    }

    /// Adds what is known to an event.
    pub fn enrich(&self, event: &mut Event, sites: &SiteTable) {
        self.enrich_with(event, sites, (true, true));
    }

    /// As `enrich`, for an event in which addresses are pseudonyms: they are other machines' addresses, and what is known of
    /// those would be wrong. `places` where only internal ones are hidden: of those no country is known anyway.
    pub fn enrich_hidden(&self, event: &mut Event, sites: &SiteTable, places: bool) {
        self.enrich_with(event, sites, (false, places));
    }

    fn enrich_with(&self, event: &mut Event, sites: &SiteTable, (names, places): (bool, bool)) {
        let settings = &self.0.settings;
        let seen = Seen::of(event);
        let agent = seen.agent.filter(|_| settings.user_agent).map(|text| self.0.agents.get(text));
        let id = if settings.community_id && !seen.has_id { seen.community_id(event) } else { None };
        let (has_source_name, has_destination_name, has_host) = (seen.has_source_name, seen.has_destination_name, seen.has_host);
        let (has_source_place, has_destination_place) = (seen.has_source_place, seen.has_destination_place);
        let (has_direction, has_agent_name) = (seen.has_direction, seen.has_agent_name);
        let (source, destination, host) = (seen.source, seen.destination, seen.host);
        if let Some(id) = id {
            event.push_text(fields::NETWORK_COMMUNITY_ID, id);
        }
        if let (true, false, Some(source), Some(destination)) = (settings.direction, has_direction, source, destination) {
            event.push_name(fields::NETWORK_DIRECTION, direction(event.site, source, destination, sites));
        }
        if settings.leases && names {
            self.name(event, source.filter(|_| !has_source_name), fields::SOURCE_DOMAIN);
            self.name(event, destination.filter(|_| !has_destination_name), fields::DESTINATION_DOMAIN);
            self.name(event, host.filter(|_| !has_host), fields::HOST_NAME);
        }
        if let Some(geo) = self.0.geo.as_ref().filter(|_| places) {
            place(geo, event, source.filter(|_| !has_source_place), &SOURCE);
            place(geo, event, destination.filter(|_| !has_destination_place), &DESTINATION);
        }
        if let Some(Agent { name, os, class }) = agent {
            let name = name.filter(|_| !has_agent_name);
            for (field, word) in [(fields::USER_AGENT_NAME, name), (fields::USER_AGENT_OS_NAME, os), (fields::USER_AGENT_CLASS, class)] {
                if let Some(word) = word {
                    event.push_name(field, word);
                }
            }
        }
    }

    /// ECS lets `….domain` be a host's name, qualified or not, and decoders put names there that devices say.
    fn name(&self, event: &mut Event, address: Option<IpAddr>, field: FieldId) {
        let Some(address) = address else { return };
        let leases = self.read_leases();
        if let Some(host) = leases.host(event.site, address, event.timestamp, event.seq) {
            event.push_shared(field, host);
        }
    }

    fn read_leases(&self) -> std::sync::RwLockReadGuard<'_, LeaseBook> {
        self.0.leases.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn leases_changed(&self) -> bool {
        self.read_leases().has_changes()
    }

    fn leases_changes(&self) -> LeaseChanges {
        self.0.leases.write().unwrap_or_else(PoisonError::into_inner).changes()
    }

    fn leases_unwritten(&self, changes: &LeaseChanges) {
        self.0.leases.write().unwrap_or_else(PoisonError::into_inner).unwritten(changes);
    }

    fn leases_forget(&self, now: Timestamp) {
        let days = i64::from(self.0.settings.lease_days.max(1));
        let oldest = now.plus(-days.saturating_mul(Timestamp::DAY));
        self.0.leases.write().unwrap_or_else(PoisonError::into_inner).forget(oldest);
    }
}

/// Where what is known of an address goes.
struct Side {
    iso_code: FieldId,
    country: FieldId,
    as_number: FieldId,
    as_organization: FieldId,
}

const SOURCE: Side = Side {
    iso_code: fields::SOURCE_GEO_ISO_CODE,
    country: fields::SOURCE_GEO_COUNTRY,
    as_number: fields::SOURCE_AS_NUMBER,
    as_organization: fields::SOURCE_AS_ORGANIZATION,
};

const DESTINATION: Side = Side {
    iso_code: fields::DESTINATION_GEO_ISO_CODE,
    country: fields::DESTINATION_GEO_COUNTRY,
    as_number: fields::DESTINATION_AS_NUMBER,
    as_organization: fields::DESTINATION_AS_ORGANIZATION,
};

fn place(geo: &Geo, event: &mut Event, address: Option<IpAddr>, side: &Side) {
    let Some(place) = address.filter(|address| is_public(*address)).and_then(|address| geo.place(address.to_canonical())) else { return };
    for (field, text) in [(side.iso_code, &place.iso_code), (side.country, &place.country), (side.as_organization, &place.as_organization)]
    {
        // A firewall may have said the country itself.
        if let Some(text) = text.as_ref().filter(|_| !event.has(field)) {
            event.push_shared(field, text.clone());
        }
    }
    if let Some(number) = place.as_number.filter(|_| !event.has(side.as_number)) {
        event.push_int(side.as_number, number);
    }
}

/// Whether an address is one of the internet's. The ranges for documentation count: nothing knows them, so nothing is
/// said of them.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let shared = v4.octets().first() == Some(&100) && v4.octets().get(1).is_some_and(|second| (64..128).contains(second));
            let local = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared;
            !local && !v4.is_multicast() && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => {
            !(v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_loopback() || v6.is_unspecified() || v6.is_multicast())
        }
    }
}

/// What of an event matters here, found in one pass over its fields.
#[derive(Default)]
struct Seen<'e> {
    source: Option<IpAddr>,
    destination: Option<IpAddr>,
    host: Option<IpAddr>,
    source_port: Option<i64>,
    destination_port: Option<i64>,
    transport: Option<&'e str>,
    agent: Option<&'e str>,
    has_id: bool,
    has_direction: bool,
    has_source_name: bool,
    has_destination_name: bool,
    has_host: bool,
    has_source_place: bool,
    has_destination_place: bool,
    has_agent_name: bool,
}

impl<'e> Seen<'e> {
    fn of(event: &'e Event) -> Self {
        let mut seen = Self::default();
        let text = |value| if let ValueRef::Str(text) = value { Some(text) } else { None };
        for (field, value) in event.fields() {
            match field {
                fields::SOURCE_IP => seen.source = seen.source.or_else(|| value.as_ip()),
                fields::DESTINATION_IP => seen.destination = seen.destination.or_else(|| value.as_ip()),
                fields::HOST_IP => seen.host = seen.host.or_else(|| value.as_ip()),
                fields::SOURCE_PORT => seen.source_port = seen.source_port.or_else(|| value.as_int()),
                fields::DESTINATION_PORT => seen.destination_port = seen.destination_port.or_else(|| value.as_int()),
                fields::NETWORK_TRANSPORT => seen.transport = seen.transport.or_else(|| text(value)),
                fields::USER_AGENT => seen.agent = seen.agent.or_else(|| text(value)),
                fields::NETWORK_COMMUNITY_ID => seen.has_id = true,
                fields::NETWORK_DIRECTION => seen.has_direction = true,
                fields::SOURCE_DOMAIN => seen.has_source_name = true,
                fields::DESTINATION_DOMAIN => seen.has_destination_name = true,
                fields::HOST_NAME => seen.has_host = true,
                fields::SOURCE_GEO_ISO_CODE => seen.has_source_place = true,
                fields::DESTINATION_GEO_ISO_CODE => seen.has_destination_place = true,
                fields::USER_AGENT_NAME => seen.has_agent_name = true,
                _ => {}
            }
        }
        seen
    }

    fn community_id(&self, event: &Event) -> Option<Box<str>> {
        let (source, destination) = (self.source?, self.destination?);
        let protocol = community_id::protocol(self.transport?, source)?;
        let ports = if community_id::is_icmp(protocol) {
            community_id::icmp_ports(event)
        } else {
            community_id::ports(self.source_port, self.destination_port)
        };
        community_id(source, destination, protocol, ports)
    }
}

#[cfg(test)]
mod tests;
