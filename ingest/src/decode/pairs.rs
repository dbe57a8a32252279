//! Messages of two lines: a device's first line waits here, by who sent it, until its second comes, which names no address of
//! its own. What the second needed is kept with its event (`Event::context`) and is stored with its frame, so that the
//! stored line decoded again says the same, whether or not the first line is still there, and in whatever order.
//! Which lines belong together is their decoder's to say (`lancom`).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;

use super::lancom;
use crate::body::SiteId;
use crate::event::Event;
use crate::fields;
use crate::frame::{Frame, FrameKind, Marks, NewFrame};

/// Devices that have a first line waiting; a site has a handful of routers.
const WAITING_MAX: usize = 4_096;
/// The second line follows within the same second; a later one belongs to something else.
const WAIT_MAX_MILLIS: i64 = 5_000;
/// A first line is some 120 bytes; a longer one is not kept.
const CONTEXT_BYTES_MAX: usize = 1_024;

/// A device: two routers behind one relay have the relay's address but their own names.
type Sender = (SiteId, IpAddr, Box<str>);

/// First lines that wait for their second. It belongs to the one decoding thread: frames come in the journal's order.
#[derive(Default)]
pub struct Pairs {
    waiting: HashMap<Sender, Event>,
}

impl Pairs {
    /// To be shown each event in the journal's order; gives a second line what its first said.
    pub fn join(&mut self, event: &mut Event) {
        if lancom::is_first(event) {
            self.wait(event);
        } else if lancom::is_second(event)
            && let Some(first) = self.waiting.remove(&sender(event))
            && (0..=WAIT_MAX_MILLIS).contains(&event.received_at.since(first.received_at))
        {
            lancom::join(&first, event);
            event.context = Some(first.line().into());
        }
    }

    fn wait(&mut self, event: &Event) {
        if event.raw().len() > CONTEXT_BYTES_MAX {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            let oldest = event.received_at.plus(-WAIT_MAX_MILLIS);
            self.waiting.retain(|_, waiting| waiting.received_at >= oldest);
        }
        let full = self.waiting.len() >= WAITING_MAX;
        match self.waiting.entry(sender(event)) {
            Entry::Occupied(mut entry) => drop(entry.insert(event.clone())),
            Entry::Vacant(entry) if !full => drop(entry.insert(event.clone())),
            Entry::Vacant(_) => {}
        }
    }
}

/// Gives an event that was decoded again what the line before it had said; `decode` is how that line is read.
pub fn rejoin(event: &mut Event, context: Option<Box<str>>, decode: impl Fn(&Frame) -> Option<Event>) {
    let Some(context) = context else { return };
    let frame = NewFrame {
        received_at: event.received_at,
        site: event.site,
        peer: event.peer,
        transport: event.transport,
        kind: FrameKind::Line,
        marks: Marks::default(),
        payload: context.as_bytes().into(),
    };
    if let Some(first) = decode(&Frame { seq: event.seq, frame })
        && lancom::is_first(&first)
        && lancom::is_second(event)
    {
        lancom::join(&first, event);
        event.context = Some(context);
    }
}

fn sender(event: &Event) -> Sender {
    let host = event.get(fields::HOST_NAME).map(|name| name.text().into()).unwrap_or_default();
    (event.site, event.peer, host)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::decode::{Options, decode};
    use crate::event::ValueRef;
    use crate::frame::{Seq, Transport};
    use crate::time::Timestamp;

    const ALERT: &str = "<189>Mar 14 07:59:58 router-1 PACKET_ALERT: Dst: 10.0.200.10:80 {}, Src: 203.0.113.37:4353 {} (TCP): port filter";
    const INFO: &str =
        "<189>Mar 14 07:59:58 router-1 PACKET_INFO: matched filter: BLOCKHTTP exceeded limit: more than 0 packets actions: drop;";

    fn frame(line: &str, at: i64) -> Frame {
        let frame = NewFrame {
            received_at: Timestamp(1_773_471_600_000).plus(at),
            site: SITE_UNKNOWN,
            peer: Ipv4Addr::LOCALHOST.into(),
            transport: Transport::Udp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: line.as_bytes().into(),
        };
        Frame { seq: Seq(1), frame }
    }

    fn redecode(frame: &Frame) -> Option<Event> {
        decode(frame, &Options::default())
    }

    /// What the last of the lines became, each of which came `at` milliseconds.
    fn last(lines: &[(&str, i64)]) -> Event {
        let mut pairs = Pairs::default();
        let events = lines.iter().map(|(line, at)| {
            let mut event = redecode(&frame(line, *at)).unwrap();
            pairs.join(&mut event);
            event
        });
        events.last().unwrap()
    }

    fn source(event: &Event) -> Option<ValueRef<'_>> {
        event.get(fields::SOURCE_IP)
    }

    #[test]
    fn the_second_line_has_what_the_first_said() {
        let event = last(&[(ALERT, 0), (INFO, 3)]);
        assert_eq!(source(&event), Some(ValueRef::Ip(Ipv4Addr::new(203, 0, 113, 37).into())));
        assert_eq!(event.get(fields::DESTINATION_PORT), Some(ValueRef::Int(80)));
        assert_eq!(event.get(fields::EVENT_REASON), Some(ValueRef::Str("port filter")));
        assert_eq!(event.get(fields::EVENT_ACTION), Some(ValueRef::Str("blocked")));
        assert_eq!(event.context.as_deref(), Some(ALERT));
    }

    #[test]
    fn decoded_again_it_says_the_same() {
        let event = last(&[(ALERT, 0), (INFO, 3)]);
        let mut again = redecode(&frame(INFO, 3)).unwrap();
        assert_eq!(source(&again), None);
        rejoin(&mut again, Some(ALERT.into()), redecode);
        assert_eq!(again, event);
    }

    #[test]
    fn only_lines_that_belong_together_are_joined() {
        let other = ALERT.replace("router-1", "router-2");
        assert_eq!(source(&last(&[(INFO, 0)])), None, "there was no first line");
        assert_eq!(source(&last(&[(ALERT, 0), (INFO, WAIT_MAX_MILLIS + 1)])), None, "it came too late");
        assert_eq!(source(&last(&[(ALERT, 5), (INFO, 0)])), None, "the clock was set back");
        assert_eq!(source(&last(&[(&other, 0), (INFO, 1)])), None, "another router said it");
        assert_eq!(source(&last(&[(ALERT, 0), (INFO, 1), (INFO, 2)])), None, "a first line has one second line");
        let newest = ALERT.replace("203.0.113.37", "203.0.113.38");
        let event = last(&[(ALERT, 0), (&newest, 1), (INFO, 2)]);
        assert_eq!(source(&event), Some(ValueRef::Ip(Ipv4Addr::new(203, 0, 113, 38).into())), "the newest first line counts");
    }

    #[test]
    fn a_context_that_is_no_first_line_changes_nothing() {
        for context in ["", INFO, "<189>Mar 14 07:59:58 router-1 sshd[1]: Invalid user x from 6.6.6.6 port 9"] {
            let mut event = redecode(&frame(INFO, 0)).unwrap();
            rejoin(&mut event, Some(context.into()), redecode);
            assert_eq!(event, redecode(&frame(INFO, 0)).unwrap(), "{context}");
        }
    }

    #[test]
    fn senders_without_number_stop_at_the_bound() {
        let mut pairs = Pairs::default();
        for n in 0..WAITING_MAX + 100 {
            let line = ALERT.replace("router-1", &format!("router-{n}"));
            pairs.join(&mut redecode(&frame(&line, 0)).unwrap());
        }
        assert_eq!(pairs.waiting.len(), WAITING_MAX);
        pairs.join(&mut redecode(&frame(ALERT, WAIT_MAX_MILLIS + 1)).unwrap());
        assert_eq!(pairs.waiting.len(), 1, "who waited too long is forgotten");
    }
}
