//! GELF 1.1 over UDP: messages of one datagram or in numbered parts, plain or packed by gzip or zlib. Parts are kept for
//! the five seconds that GELF gives them, within bounds for each sender and in all; a message of which some never came
//! is counted as one, and nothing of it is stored. Pure: the time is a parameter. What a message says is the decoder's
//! affair: one that is no JSON is a line.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::Read;
use std::net::IpAddr;
use std::time::Duration;

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use super::Rejected;
use super::framing::{cut_at, trim_end};
use crate::frame::{FrameKind, Marks, PAYLOAD_BYTES_MAX};

/// How a datagram begins that is a part of a message: magic, the message's id, its number and how many there are.
const MAGIC: [u8; 2] = [0x1e, 0x0f];
const HEADER_BYTES: usize = 12;
/// GELF's own bound.
const PARTS_MAX: u8 = 128;
/// GELF's own time: "all chunks must arrive within 5 seconds".
const PATIENCE: Duration = Duration::from_secs(5);
/// A message, packed or unpacked: sixteen frames. Longer ones are attacks on the memory, or dumps that nobody reads.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Open messages of one sender: a busy one sends its parts at once, so that few are ever open.
const OPEN_PER_PEER_MAX: usize = 64;
/// Open messages in all. A sender's address can be forged.
const OPEN_MAX: usize = 1_024;
/// What the parts of all open messages may hold, each counted with its bookkeeping.
const OPEN_BYTES_MAX: usize = 32 << 20;
const PART_OVERHEAD_BYTES: usize = 64;
/// Ends that are remembered, so that a part that comes late or twice does not open its message again.
const CLOSED_MAX: usize = 8_192;

/// A message: who sends it, and what he calls it.
type Key = (IpAddr, [u8; 8]);

/// Puts messages together from their parts.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    open: HashMap<Key, Open>,
    /// Oldest first.
    order: BTreeMap<u64, Key>,
    next: u64,
    peers: HashMap<IpAddr, Load>,
    bytes: usize,
    closed: VecDeque<(Duration, Key)>,
    closed_keys: HashSet<Key>,
    lost: Vec<IpAddr>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    since: Duration,
    parts: Vec<Option<Box<[u8]>>>,
    missing: usize,
    /// Content only.
    bytes: usize,
}

impl Open {
    fn held(&self) -> usize {
        self.bytes + (self.parts.len() - self.missing) * PART_OVERHEAD_BYTES
    }
}

/// What one sender has open.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    messages: usize,
    bytes: usize,
}

impl Assembly {
    /// Takes a datagram: gives the message that is whole with it, unpacked, or `None` where parts are missing. A part
    /// that has come before, or too late, belongs to a message that is counted already.
    ///
    /// # Errors
    /// Why the datagram, or the message that it would have ended, is not taken.
    pub(super) fn put<'d>(&mut self, peer: IpAddr, datagram: &'d [u8], now: Duration) -> Result<Option<Cow<'d, [u8]>>, Rejected> {
        self.expire(now);
        if !datagram.starts_with(&MAGIC) {
            return unpack(Cow::Borrowed(datagram)).map(Some);
        }
        let part = Part::read(datagram).ok_or(Rejected::Protocol)?;
        let key = (peer, part.id);
        if self.closed_keys.contains(&key) {
            return Ok(None);
        }
        if !self.open.contains_key(&key) {
            self.make_room(peer);
            self.begin(key, part.count, now);
        }
        let open = self.open.get_mut(&key).filter(|open| open.parts.len() == part.count).ok_or(Rejected::Protocol)?;
        let place = open.parts.get_mut(part.number).ok_or(Rejected::Protocol)?;
        if place.is_some() {
            return Ok(None);
        }
        *place = Some(part.content.into());
        open.missing -= 1;
        open.bytes += part.content.len();
        let (is_whole, is_too_large) = (open.missing == 0, open.bytes > MESSAGE_BYTES_MAX);
        let held = part.content.len() + PART_OVERHEAD_BYTES;
        self.bytes += held;
        self.peers.entry(peer).or_default().bytes += held;
        if is_too_large || is_whole {
            let open = self.close(key, now);
            let whole = open.filter(|_| is_whole && !is_too_large).ok_or(Rejected::TooLarge)?;
            return unpack(Cow::Owned(whole.parts.into_iter().flatten().flatten().collect())).map(Some);
        }
        while self.bytes > OPEN_BYTES_MAX && self.lose_of_loudest() {}
        Ok(None)
    }

    /// Gives up messages whose time is over.
    pub(super) fn expire(&mut self, now: Duration) {
        let is_over = |since: Duration| now.saturating_sub(since) >= PATIENCE;
        while let Some((_, key)) = self.order.first_key_value()
            && self.open.get(key).is_none_or(|open| is_over(open.since))
        {
            self.lose(*key, now);
        }
        while let Some((since, key)) = self.closed.front()
            && (is_over(*since) || self.closed.len() > CLOSED_MAX)
        {
            self.closed_keys.remove(key);
            self.closed.pop_front();
        }
    }

    /// Gives up all that is open.
    pub(super) fn end(&mut self) {
        while let Some((_, key)) = self.order.first_key_value() {
            self.lose(*key, Duration::ZERO);
        }
    }

    /// The senders of messages that were given up since this was asked last, one entry a message.
    pub(super) fn lost(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.lost)
    }

    fn begin(&mut self, key: Key, count: usize, now: Duration) {
        let open = Open { number: self.next, since: now, parts: vec![None; count], missing: count, bytes: 0 };
        self.order.insert(self.next, key);
        self.next += 1;
        self.open.insert(key, open);
        self.peers.entry(key.0).or_default().messages += 1;
    }

    /// Room for one more message of `peer`: he pays with his own oldest one, or the loudest does.
    fn make_room(&mut self, peer: IpAddr) {
        if self.peers.get(&peer).is_some_and(|load| load.messages >= OPEN_PER_PEER_MAX) {
            self.lose_oldest_of(peer);
        }
        if self.open.len() >= OPEN_MAX {
            self.lose_of_loudest();
        }
    }

    fn lose_of_loudest(&mut self) -> bool {
        let loudest = self.peers.iter().max_by_key(|(peer, load)| (load.bytes, load.messages, **peer)).map(|(peer, _)| *peer);
        loudest.is_some_and(|peer| self.lose_oldest_of(peer))
    }

    fn lose_oldest_of(&mut self, peer: IpAddr) -> bool {
        let oldest = self.order.values().find(|(of, _)| *of == peer).copied();
        let since = oldest.and_then(|key| self.open.get(&key)).map(|open| open.since);
        oldest.zip(since).is_some_and(|(key, since)| {
            self.lose(key, since);
            true
        })
    }

    fn lose(&mut self, key: Key, now: Duration) {
        if self.close(key, now).is_some() {
            self.lost.push(key.0);
        }
    }

    fn close(&mut self, key: Key, now: Duration) -> Option<Open> {
        let open = self.open.remove(&key)?;
        self.order.remove(&open.number);
        self.bytes -= open.held();
        if let Some(load) = self.peers.get_mut(&key.0) {
            load.messages -= 1;
            load.bytes -= open.held();
            if load.messages == 0 {
                self.peers.remove(&key.0);
            }
        }
        if self.closed_keys.insert(key) {
            self.closed.push_back((now, key));
        }
        Some(open)
    }
}

/// A datagram that is one part of a message.
struct Part<'d> {
    id: [u8; 8],
    number: usize,
    count: usize,
    content: &'d [u8],
}

impl<'d> Part<'d> {
    fn read(datagram: &'d [u8]) -> Option<Self> {
        let (header, content) = datagram.split_at_checked(HEADER_BYTES)?;
        let (id, numbers) = header.strip_prefix(&MAGIC)?.split_first_chunk()?;
        let [number, count] = *<&[u8; 2]>::try_from(numbers).ok()?;
        let is_sound = !content.is_empty() && number < count && count <= PARTS_MAX;
        is_sound.then(|| Self { id: *id, number: number.into(), count: count.into(), content })
    }
}

/// Unpacks what begins as gzip or zlib does.
fn unpack(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, Rejected> {
    let unpacked = match bytes.as_ref() {
        [0x1f, 0x8b, ..] => bounded(MultiGzDecoder::new(bytes.as_ref())),
        // RFC 1950, 2.2: deflate, and a check of the two bytes.
        [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0 => {
            bounded(ZlibDecoder::new(bytes.as_ref()))
        }
        _ if bytes.len() > MESSAGE_BYTES_MAX => Err(Rejected::TooLarge),
        _ => return Ok(bytes),
    };
    match unpacked {
        Ok(unpacked) => Ok(Cow::Owned(unpacked)),
        // A text that only begins like zlib.
        Err(Rejected::Unreadable) if std::str::from_utf8(&bytes).is_ok() => Ok(bytes),
        Err(reason) => Err(reason),
    }
}

fn bounded(packed: impl Read) -> Result<Vec<u8>, Rejected> {
    let mut unpacked = Vec::new();
    let read = packed.take(MESSAGE_BYTES_MAX as u64 + 1).read_to_end(&mut unpacked);
    match read {
        Ok(len) if len > MESSAGE_BYTES_MAX => Err(Rejected::TooLarge),
        Ok(_) => Ok(unpacked),
        Err(_) => Err(Rejected::Unreadable),
    }
}

/// A message as frames: one, or where it is longer than a frame may be, several with their marks. An empty message is one
/// empty part.
pub(super) fn parts(message: &[u8]) -> impl Iterator<Item = (FrameKind, Marks, &[u8])> {
    let message = trim_end(message);
    let mut kind = FrameKind::of_line(message);
    let (mut rest, mut mark) = (Some(message), Marks::default());
    std::iter::from_fn(move || {
        let (part, behind) = split(rest?);
        rest = behind;
        let marks = if rest.is_some() { mark.and(Marks::CUT) } else { mark };
        mark = Marks::REST;
        // What follows is no object by itself.
        Some((std::mem::replace(&mut kind, FrameKind::Line), marks, part))
    })
}

/// What fits a frame, and what is behind it.
fn split(message: &[u8]) -> (&[u8], Option<&[u8]>) {
    if message.len() <= PAYLOAD_BYTES_MAX {
        return (message, None);
    }
    let (part, behind) = message.split_at_checked(cut_at(message, PAYLOAD_BYTES_MAX)).unwrap_or((message, &[]));
    (part, Some(behind))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn peer(number: u8) -> IpAddr {
        [192, 0, 2, number].into()
    }

    fn part(id: u64, number: u8, count: u8, content: &[u8]) -> Vec<u8> {
        [&MAGIC[..], &id.to_be_bytes(), &[number, count], content].concat()
    }

    fn cut(id: u64, message: &[u8], count: u8) -> Vec<Vec<u8>> {
        let size = message.len().div_ceil(count.into());
        message.chunks(size).enumerate().map(|(number, content)| part(id, u8::try_from(number).unwrap(), count, content)).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(bytes).unwrap();
        zlib.finish().unwrap()
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn nothing_is_held(assembly: &Assembly) -> bool {
        assembly.open.is_empty() && assembly.order.is_empty() && assembly.peers.is_empty() && assembly.bytes == 0
    }

    const MESSAGE: &[u8] = br#"{"version":"1.1","host":"srv","short_message":"Gr\u00fc\u00dfe"}"#;

    #[test]
    fn plain_and_packed_whole_and_in_parts() {
        for bytes in [MESSAGE.to_vec(), gzip(MESSAGE), zlib(MESSAGE)] {
            let mut assembly = Assembly::default();
            assert_eq!(assembly.put(peer(1), &bytes, at(0)).unwrap().unwrap(), MESSAGE);
            let mut parts = cut(7, &bytes, 3);
            parts.reverse();
            let last = parts.pop().unwrap();
            for part in &parts {
                assert_eq!(assembly.put(peer(1), part, at(0)), Ok(None));
            }
            assert_eq!(assembly.put(peer(1), &last, at(4_999)).unwrap().unwrap(), MESSAGE);
            assert!(nothing_is_held(&assembly) && assembly.lost().is_empty());
        }
    }

    #[test]
    fn a_text_that_begins_like_a_packed_one_is_a_text() {
        let mut assembly = Assembly::default();
        for text in [&b"x^ is what zlib begins with"[..], b"H\x7f", b"", b"{"] {
            assert_eq!(assembly.put(peer(1), text, at(0)).unwrap().unwrap(), text);
        }
        assert_eq!(assembly.put(peer(1), &gzip(MESSAGE)[..30], at(0)), Err(Rejected::Unreadable));
        assert_eq!(assembly.put(peer(1), b"\x1f\x8b", at(0)), Err(Rejected::Unreadable));
    }

    #[test]
    fn malformed_parts() {
        let cases: [(&str, Vec<u8>); 9] = [
            ("magic only", MAGIC.to_vec()),
            ("no count", part(1, 0, 2, b"")[..11].to_vec()),
            ("no content", part(1, 0, 2, b"")),
            ("of none", part(1, 0, 0, b"x")),
            ("behind the last", part(1, 2, 2, b"x")),
            ("far behind", part(1, 255, 2, b"x")),
            ("too many", part(1, 0, 129, b"x")),
            ("most", part(1, 0, 255, b"x")),
            ("another count than before", part(9, 1, 3, b"x")),
        ];
        let mut assembly = Assembly::default();
        assert_eq!(assembly.put(peer(1), &part(9, 0, 2, b"{}"), at(0)), Ok(None));
        for (what, datagram) in cases {
            assert_eq!(assembly.put(peer(1), &datagram, at(0)), Err(Rejected::Protocol), "{what}");
        }
        assert_eq!(assembly.put(peer(1), &part(9, 1, 2, b" "), at(0)).unwrap().unwrap(), &b"{} "[..], "the open one is unharmed");
        let one = assembly.put(peer(1), &part(10, 0, 1, b"{}"), at(0)).unwrap().unwrap().into_owned();
        assert_eq!(one, b"{}", "a message in one part");
        assert!(nothing_is_held(&assembly));
    }

    #[test]
    fn what_is_not_whole_in_time_is_lost_once() {
        let mut assembly = Assembly::default();
        let parts = cut(1, MESSAGE, 2);
        assert_eq!(assembly.put(peer(1), &parts[0], at(0)), Ok(None));
        assembly.expire(at(4_999));
        assert!(assembly.lost().is_empty());
        // The late part opens nothing anew: its message has been counted.
        assert_eq!(assembly.put(peer(1), &parts[1], at(5_000)), Ok(None));
        assert_eq!(assembly.lost(), [peer(1)]);
        assert!(nothing_is_held(&assembly));
        // Another sender's message of the same name is another message.
        assert_eq!(assembly.put(peer(2), &parts[1], at(5_000)), Ok(None));
        assert_eq!(assembly.put(peer(2), &parts[0], at(5_000)).unwrap().unwrap(), MESSAGE);
        assert_eq!(assembly.put(peer(2), &parts[0], at(5_001)), Ok(None), "a part that comes twice after the end");
        assembly.end();
        assert!(assembly.lost().is_empty());
        // Names may be used again when their time is over.
        assert_eq!(assembly.put(peer(2), &parts[0], at(10_001)), Ok(None));
        assembly.end();
        assert_eq!(assembly.lost(), [peer(2)]);
    }

    #[test]
    fn a_flood_costs_its_sender_first_and_memory_has_a_bound() {
        let mut assembly = Assembly::default();
        let quiet = cut(1, MESSAGE, 2);
        assert_eq!(assembly.put(peer(1), &quiet[0], at(0)), Ok(None));
        for id in 0..500 {
            assert_eq!(assembly.put(peer(2), &part(id, 0, 2, &[b'x'; 1_000]), at(1)), Ok(None));
        }
        assert_eq!(assembly.peers[&peer(2)].messages, OPEN_PER_PEER_MAX);
        assert_eq!(assembly.lost(), vec![peer(2); 500 - OPEN_PER_PEER_MAX]);
        // Of many senders, with large parts: the bytes are the bound.
        for round in 0..100_u8 {
            for sender in 3..40 {
                let datagram = part(round.into(), 0, 128, &[b'x'; 60_000]);
                assert_eq!(assembly.put(peer(sender), &datagram, at(2)), Ok(None));
                assert!(assembly.bytes <= OPEN_BYTES_MAX && assembly.open.len() <= OPEN_MAX);
            }
        }
        // And with small ones: their number.
        for sender in 40..=255 {
            for id in 0..10 {
                let _ = assembly.put(peer(sender), &part(id, 0, 2, b"x"), at(3));
                assert!(assembly.open.len() <= OPEN_MAX);
            }
        }
        assert!(assembly.lost().iter().all(|lost| *lost != peer(1)));
        assert_eq!(assembly.put(peer(1), &quiet[1], at(4)).unwrap().unwrap(), MESSAGE);
        assembly.expire(at(6_000));
        assert!(nothing_is_held(&assembly));
    }

    #[test]
    fn a_bomb_and_an_endless_message_are_refused() {
        let mut assembly = Assembly::default();
        let zeros = vec![b'0'; MESSAGE_BYTES_MAX + 1];
        for bomb in [gzip(&zeros), zlib(&zeros), gzip(&vec![0; 64 << 20])] {
            assert_eq!(assembly.put(peer(1), &bomb[..], at(0)), Err(Rejected::TooLarge));
        }
        assert_eq!(assembly.put(peer(1), &gzip(&zeros[1..]), at(0)).unwrap().unwrap().len(), MESSAGE_BYTES_MAX);
        let parts: Vec<_> = (0..128).map(|number| part(1, number, 128, &zeros[..60_000])).collect();
        let answers: Vec<_> = parts.iter().map(|part| assembly.put(peer(1), part, at(0))).collect();
        assert_eq!(answers.iter().filter(|answer| **answer == Err(Rejected::TooLarge)).count(), 1, "one message, one refusal");
        assert!(answers.iter().all(|answer| *answer == Ok(None) || *answer == Err(Rejected::TooLarge)));
        assert!(nothing_is_held(&assembly));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let message = format!("{{\"a\":\"{}\"}}\n\0", "ü".repeat(80_000));
        let parts: Vec<_> = parts(message.as_bytes()).collect();
        let shape: Vec<_> = parts.iter().map(|(kind, marks, part)| (*kind, *marks, part.len())).collect();
        let both = Marks::REST.and(Marks::CUT);
        assert_eq!(shape, [(FrameKind::Json, Marks::CUT, 65_534), (FrameKind::Line, both, 65_534), (FrameKind::Line, Marks::REST, 28_940)]);
        assert!(parts.iter().all(|(_, _, part)| std::str::from_utf8(part).is_ok()));
        let bytes: Vec<u8> = parts.iter().flat_map(|(_, _, part)| part.iter().copied()).collect();
        assert_eq!(bytes, message.trim_end_matches(['\n', '\0']).as_bytes());
        assert_eq!(super::parts(b"\0").collect::<Vec<_>>(), [(FrameKind::Line, Marks::default(), &b""[..])]);
    }

    proptest! {
        /// Messages of several senders under the same few names, in parts that come in any order, twice, or not at all:
        /// those of which all came are whole, the others are lost once each, and nothing is held.
        #[test]
        fn whole_or_lost(
            messages in proptest::collection::vec((0_u8..3, 0_u64..4, 1_u8..9, proptest::collection::vec(b' '..b'z', 8..300)), 1..12),
            order in any::<u64>(),
            missing in proptest::collection::vec(any::<prop::sample::Index>(), 0..4),
            doubled in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut messages = messages;
            messages.sort();
            messages.dedup_by_key(|(peer, id, ..)| (*peer, *id));
            let mut datagrams: Vec<(usize, Vec<u8>)> = Vec::new();
            for (place, (_, id, count, text)) in messages.iter_mut().enumerate() {
                // A first byte that neither gzip nor zlib has.
                text[0] = b'{';
                // So many as `cut` really makes of it.
                let count = u8::try_from(text.len().div_ceil(text.len().div_ceil(usize::from(*count)))).unwrap();
                datagrams.extend(cut(*id, text, count).into_iter().map(|part| (place, part)));
            }
            let mut broken = HashSet::new();
            for index in missing {
                if !datagrams.is_empty() {
                    broken.insert(datagrams.remove(index.index(datagrams.len())).0);
                }
            }
            for index in doubled {
                if !datagrams.is_empty() {
                    let again = datagrams[index.index(datagrams.len())].clone();
                    datagrams.push(again);
                }
            }
            let mut state = order | 1;
            for place in (1..datagrams.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                datagrams.swap(place, (state >> 33) as usize % (place + 1));
            }
            let begun: HashSet<usize> = datagrams.iter().map(|(place, _)| *place).collect();
            let mut assembly = Assembly::default();
            let mut whole = HashSet::new();
            for (place, datagram) in &datagrams {
                let (sender, _, _, text) = &messages[*place];
                if let Some(message) = assembly.put(peer(*sender), datagram, at(0)).unwrap() {
                    prop_assert_eq!(message.as_ref(), text.as_slice());
                    prop_assert!(whole.insert(*place), "each once");
                }
            }
            assembly.expire(PATIENCE);
            prop_assert!(nothing_is_held(&assembly));
            prop_assert!(whole.iter().all(|place| !broken.contains(place)));
            prop_assert_eq!(whole.len() + broken.intersection(&begun).count(), begun.len());
            prop_assert_eq!(assembly.lost().len(), broken.intersection(&begun).count());
        }

        /// Any bytes at all: no panic, bounds kept, and nothing is held at the end.
        #[test]
        fn any_datagrams(datagrams in proptest::collection::vec((0_u8..3, 0_u8..3, proptest::collection::vec(any::<u8>(), 0..40)), 0..60)) {
            let mut assembly = Assembly::default();
            for (time, (sender, shape, mut bytes)) in datagrams.into_iter().enumerate() {
                match shape {
                    0 => {}
                    1 => bytes.splice(0..0, MAGIC).for_each(drop),
                    _ => bytes.splice(0..0, [0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0]).for_each(drop),
                }
                let _ = assembly.put(peer(sender), &bytes, at(time as u64 * 300));
            }
            assembly.end();
            prop_assert!(nothing_is_held(&assembly));
        }
    }
}
