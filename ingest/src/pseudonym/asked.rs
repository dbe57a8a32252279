//! Asking for what is hidden: beside each value of a personal field stand its pseudonyms, in one place for all searches.
//! Equal to a value, within a network, or an address or mail address as free text can be asked so. A wildcard, a range of
//! addresses or a name as free text cannot: what is hidden has no beginning and no order.

use std::net::IpAddr;

use super::State;
use super::keyring::Addresses;
use super::rewrite::{Sort, is_mail, sort};
use crate::body::Prefix;
use crate::fields::{FieldId, Kind};
use crate::query::{Literal, Node, Query, Test, TextPattern};

/// Pseudonyms that stand for one value: of the newest keys and plans first. More would make every search slow.
const ALTERNATIVES_MAX: usize = 32;

pub(super) fn asked(state: &State, query: &Query) -> Query {
    if !state.plans.iter().any(|(plan, _)| plan.on) {
        return query.clone();
    }
    Query::of(node(state, query.root(), either))
}

/// The query as a log may keep it: with the newest pseudonym in each real value's place.
pub(super) fn masked(state: &State, query: &Query) -> Query {
    let instead = |first: &Node, others: Vec<Node>| others.into_iter().next().unwrap_or_else(|| first.clone());
    Query::of(node(state, query.root(), instead))
}

fn node(state: &State, from: &Node, join: fn(&Node, Vec<Node>) -> Node) -> Node {
    match from {
        Node::And(nodes) => Node::And(nodes.iter().map(|one| node(state, one, join)).collect()),
        Node::Or(nodes) => {
            // Flat, as the tree wants it.
            let mut all = Vec::with_capacity(nodes.len());
            for one in nodes {
                match node(state, one, join) {
                    Node::Or(inner) => all.extend(inner),
                    other => all.push(other),
                }
            }
            Node::Or(all)
        }
        Node::Not(inner) => Node::Not(Box::new(node(state, inner, join))),
        Node::Field(field, test) => join(from, tests(state, *field, test).into_iter().map(|test| Node::Field(*field, test)).collect()),
        Node::Text(pattern) => join(from, texts(state, pattern).into_iter().map(|text| Node::Text(TextPattern::of(&text))).collect()),
        Node::All | Node::Defect(_) | Node::Time(_) => from.clone(),
    }
}

fn either(first: &Node, others: Vec<Node>) -> Node {
    let mut all = vec![first.clone()];
    for other in others.into_iter().take(ALTERNATIVES_MAX) {
        if !all.contains(&other) {
            all.push(other);
        }
    }
    if all.len() == 1 { first.clone() } else { Node::Or(all) }
}

fn tests(state: &State, field: FieldId, test: &Test) -> Vec<Test> {
    let is_address = field.known().is_some_and(|row| row.kind == Kind::Ip);
    match (sort(field), test) {
        (Some(Sort::Address), Test::Equals(literal)) => {
            literal.ip.map(|ip| addresses(state, ip)).unwrap_or_default().into_iter().map(|ip| Test::Equals(Literal::address(ip))).collect()
        }
        (Some(Sort::Address), Test::Prefix(prefix, _)) => {
            prefixes(state, *prefix).into_iter().map(|prefix| Test::Prefix(prefix, Literal::new(prefix.to_string()))).collect()
        }
        (Some(_), Test::Equals(literal)) if !is_address => {
            tokens(state, &literal.text).into_iter().map(|token| Test::Equals(Literal::new(token))).collect()
        }
        // A vendor's own field with an address in it.
        (None, Test::Equals(literal)) if field.known().is_none() => {
            literal.ip.map(|ip| addresses(state, ip)).unwrap_or_default().into_iter().map(|ip| Test::Equals(Literal::address(ip))).collect()
        }
        _ => Vec::new(),
    }
}

/// A value may stand in a line in another case than it is asked for; its tokens are of how it stood there.
fn tokens(state: &State, value: &str) -> Vec<String> {
    let mut spellings = vec![value.to_owned(), value.to_lowercase(), value.to_uppercase(), capitalised(value)];
    spellings.dedup();
    state.keys.iter().rev().flat_map(|key| spellings.iter().map(|value| key.text.token(value))).collect()
}

fn capitalised(value: &str) -> String {
    let lower = value.to_lowercase();
    let mut chars = lower.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn addresses(state: &State, address: IpAddr) -> Vec<IpAddr> {
    let address = address.to_canonical();
    let plans = state.plans.iter().rev().filter(|(plan, _)| plan.on && plan.addresses != Addresses::None);
    let all = plans.flat_map(|(plan, zones)| {
        let personal = super::rewrite::is_personal(address, plan, zones);
        state.keys.iter().rev().filter(move |_| personal).map(move |key| key.pan.hide(address, zones))
    });
    all.collect()
}

/// A network stays a network: its hidden addresses share a prefix of the same length.
fn prefixes(state: &State, prefix: Prefix) -> Vec<Prefix> {
    let first = prefix.range().0;
    let hidden = |address: IpAddr| format!("{address}/{}", prefix.bits()).parse().ok();
    addresses(state, first).into_iter().filter_map(hidden).collect()
}

/// Free text is asked for as a pseudonym only where it is plainly an address or a mail address.
fn texts(state: &State, pattern: &TextPattern) -> Vec<String> {
    let Some(text) = pattern.literal() else { return Vec::new() };
    if let Ok(address) = text.parse::<IpAddr>() {
        return addresses(state, address).iter().map(ToString::to_string).collect();
    }
    if is_mail(&text) { tokens(state, &text) } else { Vec::new() }
}
