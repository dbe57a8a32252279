//! Rules in order: one link behind the other, the whole chain within the time span. A record is part of a match where the
//! tightest chain through it fits.
//!
//! For each link it is known when the latest chain up to it began; that only grows with time. So when a chain is complete,
//! the links that it takes along, and those that no later end can reach any more, stand first in their queues: each record is
//! queued once and taken once, whatever the window holds.

use std::collections::VecDeque;

use super::line::Order;

/// The open chains of one group.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    span: i64,
    /// One for each order that the rules may follow each other in.
    orders: Vec<Vec<Link>>,
}

#[derive(Clone, Debug, Default)]
struct Link {
    rule: u8,
    /// When the latest chain up to here began.
    began: Option<i64>,
    /// Records that wait for the rest of their chain, each with when the latest chain up to it began.
    waiting: VecDeque<(Order, i64)>,
    /// The newest of those that were part of a whole chain.
    taken: Option<(Order, i64)>,
}

impl Chains {
    pub(super) fn new(orders: &[Vec<u8>], span: i64) -> Self {
        let links = |order: &Vec<u8>| order.iter().map(|rule| Link { rule: *rule, ..Link::default() }).collect();
        Self { span, orders: orders.iter().map(links).collect() }
    }

    /// Takes the next record; gives the parts of the chains that it completes to `part`. Whether it did complete one.
    pub(super) fn step(&mut self, record: Order, part: &mut dyn FnMut(Order)) -> bool {
        let (span, mut complete) = (self.span, false);
        for links in &mut self.orders {
            complete |= step(links, record, span, part);
        }
        complete
    }
}

fn step(links: &mut [Link], record: Order, span: i64, part: &mut dyn FnMut(Order)) -> bool {
    let (time, _, rule) = record;
    let Some(at) = links.iter().position(|link| link.rule == rule) else { return false };
    let limit = time.saturating_sub(span);
    let began = match at.checked_sub(1) {
        None => Some(time),
        Some(before) => links.get(before).and_then(|link| link.began),
    };
    let Some(began) = began.filter(|began| *began >= limit) else { return false };
    let last = at + 1 == links.len();
    let Some((link, before)) = links.get_mut(..=at).and_then(<[Link]>::split_last_mut) else { return false };
    link.began = Some(began);
    if !last {
        while link.waiting.front().is_some_and(|(_, began)| *began < limit) {
            link.waiting.pop_front();
        }
        link.waiting.push_back((record, began));
        return false;
    }
    part(record);
    let mut next = record;
    for link in before.iter_mut().rev() {
        while let Some((order, began)) = link.waiting.pop_front_if(|(order, _)| *order < next) {
            if began >= limit {
                part(order);
                link.taken = Some((order, began));
            }
        }
        // The latest one that continues is the widest gate for those before it.
        let Some((order, _)) = link.taken.filter(|(_, began)| *began >= limit) else { break };
        next = order;
    }
    true
}
