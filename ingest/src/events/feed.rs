//! The newest events for those who look on (the live tail): a bounded ring of what the consumer has just taken in, read by
//! sequence. Whoever publishes never waits and copies nothing, the ring holds the chunks that memory holds too. A listener
//! keeps only its place; one that falls behind the ring is told where it stands and asks the store for the rest
//! (`EventStore::by_seq`), or leaves it out. While nobody listens nothing is held.
//!
//! It does not filter and knows no tenants: listeners do (`Query::matches`, `Scope`).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Pending;
use crate::event::Event;
use crate::frame::Seq;

/// Events that are held for listeners: five seconds of a working peak of B1.
const RING_EVENTS_MAX: usize = 20_000;
/// And no more than this together; long lines fill it before.
const RING_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Each listener judges every event by a query of its own: thirty of them are a core at a working peak of B1.
pub const LISTENERS_MAX: usize = 30;

/// What just came; belongs to the store.
#[derive(Debug)]
pub struct Feed {
    ring: Mutex<Ring>,
    /// Tells the listeners up to where everything has come.
    bell: watch::Sender<Seq>,
}

/// Everything in (`floor`, `head`] that became an event is in the batches; what is at or below `floor` only the store has.
#[derive(Debug, Default)]
struct Ring {
    floor: Seq,
    head: Seq,
    batches: VecDeque<Came>,
    events: usize,
    bytes: usize,
}

/// One batch of the pipeline, in the chunks in which the partitions hold it.
#[derive(Debug)]
struct Came {
    last: Seq,
    chunks: Vec<Arc<Vec<Pending>>>,
    events: usize,
    bytes: usize,
}

impl Feed {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { ring: Mutex::default(), bell: watch::Sender::new(Seq(0)) })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to `seq` lies in the store already: a consumer begins behind it.
    pub(super) fn begin(&self, seq: Seq) {
        let mut ring = self.ring();
        *ring = Ring { floor: seq, head: seq, ..Ring::default() };
        self.bell.send_replace(seq);
    }

    /// Everything up to `last` is visible in the store now; `chunks` is what of it is new there.
    pub(super) fn publish(&self, last: Seq, chunks: Vec<Arc<Vec<Pending>>>) {
        // Freed behind the lock.
        let mut forgotten = Vec::new();
        {
            let mut ring = self.ring();
            if last <= ring.head {
                return;
            }
            ring.head = last;
            let events: usize = chunks.iter().map(|chunk| chunk.len()).sum();
            if self.bell.receiver_count() == 0 {
                forgotten.extend(std::mem::take(&mut ring.batches));
                (ring.floor, ring.events, ring.bytes) = (last, 0, 0);
            } else if events > 0 {
                let bytes = chunks.iter().flat_map(|chunk| chunk.iter()).map(|pending| pending.event.raw().len()).sum();
                ring.batches.push_back(Came { last, chunks, events, bytes });
                (ring.events, ring.bytes) = (ring.events + events, ring.bytes + bytes);
            }
            // The newest batch stays, however large: it is one block of the journal.
            while ring.batches.len() > 1 && (ring.events > RING_EVENTS_MAX || ring.bytes > RING_BYTES_MAX) {
                let Some(oldest) = ring.batches.pop_front() else { break };
                (ring.events, ring.bytes) = (ring.events - oldest.events, ring.bytes - oldest.bytes);
                ring.floor = oldest.last;
                forgotten.push(oldest);
            }
        }
        self.bell.send_replace(last);
    }

    /// Up to where everything is in the store.
    pub fn head(&self) -> Seq {
        self.ring().head
    }

    /// Listens from now on; `None` where `LISTENERS_MAX` do already.
    pub fn listen(self: &Arc<Self>) -> Option<Listener> {
        // Under the lock, so that two do not take the last place.
        let ring = self.ring();
        let listener = (self.bell.receiver_count() < LISTENERS_MAX).then(|| self.bell.subscribe());
        drop(ring);
        Some(Listener { feed: Arc::clone(self), bell: listener? })
    }
}

/// Somebody who looks on. Dropping it ends that.
#[derive(Debug)]
pub struct Listener {
    feed: Arc<Feed>,
    bell: watch::Receiver<Seq>,
}

/// What a listener gets from the ring.
#[derive(Debug)]
pub struct Heard {
    chunks: Vec<Arc<Vec<Pending>>>,
    after: Seq,
    /// The ring begins behind this: what lies between the listener's place and here only the store has.
    pub forgotten: Option<Seq>,
    /// The listener's next place: everything up to here is in `events`, or forgotten.
    pub reached: Seq,
}

impl Heard {
    /// In journal order.
    pub fn events(&self) -> Vec<&Event> {
        let all = self.chunks.iter().flat_map(|chunk| chunk.iter()).map(|pending| &pending.event);
        let mut events: Vec<&Event> = all.filter(|event| event.seq > self.after).collect();
        events.sort_unstable_by_key(|event| event.seq);
        events
    }
}

impl Listener {
    /// What came behind `after`, in whole batches until they hold `events_max` events. Where the ring does not reach back
    /// that far it gives nothing but `forgotten`: what is older comes first.
    pub fn take(&self, after: Seq, events_max: usize) -> Heard {
        let ring = self.feed.ring();
        if after < ring.floor {
            return Heard { chunks: vec![], after, forgotten: Some(ring.floor), reached: after };
        }
        let (mut chunks, mut events, mut reached) = (Vec::new(), 0, ring.head.max(after));
        let first = ring.batches.partition_point(|batch| batch.last <= after);
        for batch in ring.batches.range(first..) {
            if events >= events_max {
                break;
            }
            chunks.extend(batch.chunks.iter().cloned());
            (events, reached) = (events + batch.events, batch.last);
        }
        // Behind the last batch nothing became an event.
        if ring.batches.back().is_none_or(|last| last.last <= reached) {
            reached = ring.head.max(after);
        }
        Heard { chunks, after, forgotten: None, reached }
    }

    /// Waits until something comes that this listener has not been woken for.
    pub async fn changed(&mut self) {
        // The sender lives as long as the feed that this holds.
        let _ = self.bell.changed().await;
    }

    /// What has come until now wakes nobody any more: for before a `take`.
    pub fn mark_unchanged(&mut self) {
        self.bell.mark_unchanged();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::body::SITE_UNKNOWN;
    use crate::frame::Transport;
    use crate::time::Timestamp;

    fn chunk(seqs: &[u64], bytes: usize) -> Arc<Vec<Pending>> {
        let line = vec![b'x'; bytes];
        let event = |seq: &u64| Event::new(Seq(*seq), Timestamp(0), SITE_UNKNOWN, Ipv4Addr::LOCALHOST.into(), Transport::Udp, &line);
        Arc::new(seqs.iter().map(|seq| Pending { event: event(seq), kind: 0 }).collect())
    }

    fn seqs(heard: &Heard) -> Vec<u64> {
        heard.events().iter().map(|event| event.seq.0).collect()
    }

    #[test]
    fn nobody_listens_and_nothing_is_held() {
        let feed = Feed::new();
        feed.publish(Seq(3), vec![chunk(&[1, 2, 3], 10)]);
        assert_eq!(feed.ring().batches.len(), 0);
        assert_eq!(feed.head(), Seq(3));
        let listener = feed.listen().unwrap();
        feed.publish(Seq(5), vec![chunk(&[5], 10), chunk(&[4], 10)]);
        let heard = listener.take(Seq(3), 100);
        assert_eq!((seqs(&heard), heard.reached, heard.forgotten), (vec![4, 5], Seq(5), None), "two partitions, one order");
        assert_eq!(listener.take(Seq(1), 100).forgotten, Some(Seq(3)));
        drop(listener);
        feed.publish(Seq(6), vec![chunk(&[6], 10)]);
        assert_eq!(feed.ring().batches.len(), 0);
    }

    #[test]
    fn however_much_comes_the_ring_stays_small_and_the_newest_batch_whole() {
        let feed = Feed::new();
        let listener = feed.listen().unwrap();
        for n in 1..=200u64 {
            feed.publish(Seq(n * 1_000), vec![chunk(&(n * 1_000 - 999..=n * 1_000).collect::<Vec<_>>(), 10)]);
        }
        assert!(feed.ring().events <= RING_EVENTS_MAX);
        let floor = listener.take(Seq(0), 1).forgotten.unwrap();
        assert_eq!(floor, Seq(180_000));
        assert_eq!(listener.take(floor, usize::MAX).events().len(), 20_000);
        feed.publish(Seq(200_001), vec![chunk(&[200_001], RING_BYTES_MAX + 1)]);
        assert_eq!(seqs(&listener.take(Seq(200_000), 1)), [200_001]);
        assert_eq!(feed.ring().batches.len(), 1);
    }

    #[test]
    fn there_are_only_so_many_places() {
        let feed = Feed::new();
        let all: Vec<_> = (0..LISTENERS_MAX).map(|_| feed.listen().unwrap()).collect();
        assert!(feed.listen().is_none());
        drop(all);
        assert!(feed.listen().is_some());
    }

    proptest! {
        /// Listeners that take in pieces, whenever they like, get each event once and in order, or are told from where on.
        #[test]
        fn every_event_comes_once_in_order(
            steps in prop::collection::vec((prop::collection::vec(0u8..4, 0..6), any::<bool>(), 1usize..4), 1..40),
        ) {
            let feed = Feed::new();
            let listener = feed.listen().unwrap();
            let (mut seq, mut after, mut published, mut heard) = (0u64, Seq(0), Vec::new(), Vec::new());
            for (kinds, takes, at_most) in steps {
                // 0: a frame that becomes no event; 1 to 3: one of a partition.
                let mut parts = vec![Vec::new(); 3];
                for kind in kinds {
                    seq += 1;
                    if let Some(part) = usize::from(kind).checked_sub(1) {
                        parts[part].push(seq);
                        published.push(seq);
                    }
                }
                feed.publish(Seq(seq), parts.iter().filter(|part| !part.is_empty()).map(|part| chunk(part, 1)).collect());
                if takes {
                    let taken = listener.take(after, at_most);
                    heard.extend(seqs(&taken));
                    after = taken.reached;
                }
            }
            while after < feed.head() {
                let taken = listener.take(after, 1);
                heard.extend(seqs(&taken));
                prop_assert!(taken.reached > after);
                after = taken.reached;
            }
            prop_assert_eq!(heard, published);
        }
    }
}
