//! One connection's history: all flows between two ends, both ways, put together to sessions. Exporters cut what lasts
//! longer than their active time-out into many records; here they are one again.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use super::walk::Walk;
use super::{FlowQuestion, Sums};
use crate::fields::{self, FieldId};
use crate::flow::FlowRecord;
use crate::flows::column::ColumnSet;
use crate::flows::{FlowStore, FlowStoreError};
use crate::query::{Literal, Node, Query, Test};
use crate::time::Timestamp;

/// Records of one history: with an active time-out of a minute a week both ways.
pub const CONVERSATION_RECORDS_MAX: usize = 20_000;
/// Records with a longer pause between them are two sessions: exporters' idle time-outs are 15 to 60 seconds, and their
/// clocks and caches add some.
const PAUSE_MILLIS: i64 = 90 * Timestamp::SECOND;
/// After an active time-out the next record begins with the next packet, which may be long after: the longest usual active
/// time-out is half an hour.
const PAUSE_ACTIVE_MILLIS: i64 = 30 * Timestamp::MINUTE;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    pub client: IpAddr,
    pub client_port: u16,
    pub server: IpAddr,
    pub server_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

impl Tuple {
    /// Of a flow, with who asked first.
    pub fn of(flow: &FlowRecord) -> Self {
        let (src, dst) = ((flow.src_ip, flow.src_port), (flow.dst_ip, flow.dst_port));
        let from_client = crate::flows::value::sides(flow).is_none_or(|sides| (sides.server, sides.port) == dst);
        let (client, server) = if from_client { (src, dst) } else { (dst, src) };
        Self { client: client.0, client_port: client.1, server: server.0, server_port: server.1, protocol: flow.protocol }
    }

    /// The query for its flows, both ways.
    pub fn query(&self) -> Query {
        let field = |field: FieldId, literal: Literal| Node::Field(field, Test::Equals(literal));
        let number = |id: FieldId, number: i64| field(id, Literal { int: Some(number), ..Literal::new(number.to_string()) });
        let one = |src: (IpAddr, u16), dst: (IpAddr, u16)| {
            Node::And(vec![
                number(fields::NETWORK_IANA_NUMBER, self.protocol.into()),
                field(fields::SOURCE_IP, Literal::address(src.0.to_canonical())),
                number(fields::SOURCE_PORT, src.1.into()),
                field(fields::DESTINATION_IP, Literal::address(dst.0.to_canonical())),
                number(fields::DESTINATION_PORT, dst.1.into()),
            ])
        };
        let (client, server) = ((self.client, self.client_port), (self.server, self.server_port));
        Query::of(Node::Or(vec![one(client, server), one(server, client)]))
    }

    /// Whether a flow of it goes from client to server.
    pub fn is_request(&self, flow: &FlowRecord) -> bool {
        (flow.src_ip.to_canonical(), flow.src_port) == (self.client.to_canonical(), self.client_port)
    }
}

/// What belongs together.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    pub first: Timestamp,
    pub last: Timestamp,
    /// From client to server, and back.
    pub there: Sums,
    pub back: Sums,
    /// All TCP flags of both ways.
    pub flags: u8,
    /// In order of their start.
    pub flows: Vec<FlowRecord>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// The earliest first.
    pub sessions: Vec<Session>,
    pub there: Sums,
    pub back: Sums,
    pub took: Duration,
    /// The time was over, or there are more records than are held.
    pub partial: bool,
}

impl FlowStore {
    /// The history of one connection within the question's time; what else its query asks for is left aside.
    ///
    /// # Errors
    /// As `ask`.
    pub fn conversation(&self, question: &FlowQuestion<'_>, tuple: &Tuple) -> Result<Conversation, FlowStoreError> {
        let query = tuple.query();
        let question = FlowQuestion { query: &query, ..question.clone() };
        let mut walk = Walk::new(self, &question);
        let parts = walk.over((question.from, question.to), ColumnSet::ALL, Vec::new, |flows: &mut Vec<FlowRecord>, flow| {
            flows.push(*flow);
            if flows.len() > CONVERSATION_RECORDS_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        let mut flows: Vec<FlowRecord> = parts.into_iter().flatten().collect();
        let more = flows.len() > CONVERSATION_RECORDS_MAX;
        flows.truncate(CONVERSATION_RECORDS_MAX);
        let done = walk.done();
        Ok(Conversation { took: done.took, partial: more || done.ended_early, ..stitched(flows, tuple) })
    }
}

/// Puts records together to sessions.
pub(super) fn stitched(mut flows: Vec<FlowRecord>, tuple: &Tuple) -> Conversation {
    flows.sort_by_key(|flow| (flow.start, flow.end, flow.seq));
    let mut found = Conversation::default();
    for flow in flows {
        let request = tuple.is_request(&flow);
        if request {
            found.there.add(&flow)
        } else {
            found.back.add(&flow)
        }
        let goes_on = found.sessions.last().is_some_and(|session| goes_on(session, &flow));
        if !goes_on {
            let (first, last) = (flow.start, flow.end);
            found.sessions.push(Session { first, last, there: Sums::default(), back: Sums::default(), flags: 0, flows: vec![] });
        }
        if let Some(session) = found.sessions.last_mut() {
            if request {
                session.there.add(&flow)
            } else {
                session.back.add(&flow)
            }
            session.last = session.last.max(flow.end);
            session.flags |= flow.tcp_flags;
            session.flows.push(flow);
        }
    }
    found
}

fn goes_on(session: &Session, flow: &FlowRecord) -> bool {
    const TCP: u8 = 6;
    const SYN: u8 = 0x02;
    const FIN_RST: u8 = 0x05;
    const ACTIVE: u8 = 2;
    let pause = flow.start.since(session.last);
    // A new SYN after an end is a new connection from the same port, however soon it comes.
    if flow.protocol == TCP && pause > 0 && session.flags & FIN_RST != 0 && flow.tcp_flags & SYN != 0 {
        return false;
    }
    let cut = session.flows.iter().rev().take(4).any(|before| before.end_reason == ACTIVE);
    pause <= if cut { PAUSE_ACTIVE_MILLIS } else { PAUSE_MILLIS }
}
