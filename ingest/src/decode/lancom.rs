//! LANCOM's firewall, as the LCOS reference manual shows it: `PACKET_ALERT: Dst: 192.0.2.10:80 {}, Src: 10.0.0.37:4353 {} (TCP): port filter`, and
//! where the rule asks for it a second message `PACKET_INFO: matched filter: … exceeded limit: … actions: …`. The second names
//! no address: `pairs` gives it the first's. LCOS' other messages are prose that the manual does not list; they stay as they are.

use super::Look;
use super::draft::{Draft, address};
use super::part::{between, host_port};
use crate::event::{Event, Value};
use crate::fields::{self, FieldId};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(look.app, "PACKET_ALERT" | "PACKET_INFO")
        || look.app.is_empty()
            && ["PACKET_ALERT:", "PACKET_INFO:", "Dst: ", "matched filter: "].iter().any(|start| look.text.starts_with(start))
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let text = look.text.strip_prefix("PACKET_ALERT:").or_else(|| look.text.strip_prefix("PACKET_INFO:")).unwrap_or(look.text).trim_start();
    alert(text, draft) || info(text, draft)
}

/// What filtered a packet: the event says `logged`, for whether the packet went on is the second message's to say.
fn alert(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((destination, rest)) = text.strip_prefix("Dst: ").and_then(|rest| rest.split_once(", Src: ")) else { return false };
    let Some((source, rest)) = rest.split_once(" (") else { return false };
    let Some((transport, reason)) = rest.split_once(')') else { return false };
    if address(host_port(word(destination)).0).is_none() {
        return false;
    }
    draft.product("lancom", "lancom.firewall", "LANCOM", "");
    draft.verdict(None);
    station(source, true, draft);
    station(destination, false, draft);
    draft.transport(transport);
    draft.str(fields::EVENT_REASON, reason.trim_start_matches([':', ' ']));
    true
}

/// `10.0.0.37:4353 {cs2}`: the name only where the router knows it without asking.
fn station(text: &str, is_source: bool, draft: &mut Draft<'_>) {
    let endpoint = word(text);
    let name = between(text, "{", "}").map_or("", |(name, _)| name.trim());
    if is_source {
        draft.source_endpoint(endpoint);
        draft.str(fields::SOURCE_DOMAIN, name);
    } else {
        draft.destination_endpoint(endpoint);
        draft.str(fields::DESTINATION_DOMAIN, name);
    }
}

fn word(text: &str) -> &str {
    text.split(' ').next().unwrap_or(text)
}

fn info(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some(rest) = text.strip_prefix("matched filter: ") else { return false };
    let (rest, actions) = cut(rest, "actions:");
    let (rule, limit) = cut(rest, "exceeded limit:");
    draft.product("lancom", "lancom.firewall", "LANCOM", "");
    draft.str(fields::RULE_NAME, rule.trim_end_matches(';'));
    draft.vendor("lancom", "limit", limit.trim_end_matches(';'));
    draft.vendor("lancom", "actions", actions);
    let is = |word: &str| actions.split(';').any(|action| action.trim() == word);
    draft.verdict(match () {
        () if is("drop") || is("reject") => Some(false),
        () if is("accept") => Some(true),
        () => None,
    });
    true
}

/// What stands before a mark and behind it, without the blanks between.
fn cut<'t>(text: &'t str, mark: &str) -> (&'t str, &'t str) {
    let (before, behind) = text.split_once(mark).unwrap_or((text, ""));
    (before.trim(), behind.trim())
}

/// What the second message takes over from the first.
const JOINED: [FieldId; 8] = [
    fields::SOURCE_IP,
    fields::SOURCE_PORT,
    fields::SOURCE_DOMAIN,
    fields::DESTINATION_IP,
    fields::DESTINATION_PORT,
    fields::DESTINATION_DOMAIN,
    fields::NETWORK_TRANSPORT,
    fields::EVENT_REASON,
];

/// The first message of two: it has the addresses.
pub(super) fn is_first(event: &Event) -> bool {
    event.decoder == "lancom" && event.has(fields::DESTINATION_IP)
}

/// The second, which has none.
pub(super) fn is_second(event: &Event) -> bool {
    event.decoder == "lancom" && !event.has(fields::DESTINATION_IP) && event.has(fields::RULE_NAME)
}

/// Gives the second message the packet that the first is about.
pub(super) fn join(first: &Event, second: &mut Event) {
    for field in JOINED {
        if let (false, Some(value)) = (second.has(field), first.get(field)) {
            let value = value.owned();
            second.push(field, value);
        }
    }
}

/// Of a value read from one event, what another can keep.
trait Owned {
    fn owned(self) -> Value;
}

impl Owned for crate::event::ValueRef<'_> {
    fn owned(self) -> Value {
        match self {
            Self::Str(text) => Value::Text(text.into()),
            Self::Int(number) => Value::Int(number),
            Self::Ip(address) => Value::Ip(address),
            Self::Bool(truth) => Value::Bool(truth),
        }
    }
}
