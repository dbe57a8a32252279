//! What has just changed, for pages that are open: a few topics, each with a bounded ring of its last events. Whoever
//! publishes never waits and never knows who listens; whoever listens holds only a position in each ring, so a slow one
//! costs no memory and is told how much it missed. Nothing here is kept: the truth stands in the database, an event says
//! that it is worth a look.
//!
//! The live tail of events will be one more topic, whose events carry what its subscribers' filters judge.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ingest::body::BodyId;
use ingest::db::{Db, DbError};
use ingest::scope::Scope;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::access::{CASES, CERT, Who};
use crate::session::hex;

/// What can be listened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// Something on the start page of the CERT has changed.
    Overview,
    /// A case has changed: told to those who may see it.
    Cases,
}

impl Topic {
    pub const ALL: [Self; 2] = [Self::Overview, Self::Cases];

    /// As pages and addresses name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overview => "lage",
            Self::Cases => "vorfaelle",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == name)
    }

    /// Who may listen; what each then hears is up to his scope.
    pub fn who(self) -> Who {
        match self {
            Self::Overview => CERT,
            Self::Cases => CASES,
        }
    }
}

/// Events of a topic that are kept for those who come back: some minutes of a busy day.
const RING_EVENTS_MAX: usize = 1_024;
/// And no more than this together, whatever they say.
const RING_BYTES_MAX: usize = 1 << 20;
/// Events that one look takes: a returning client gets its backlog in pieces.
const TAKE_MAX: usize = 64;
/// Streams of one session: one per browser, and a few that are just being replaced.
const PER_SESSION_MAX: usize = 4;
/// Streams in all: half of the connections that the pages have.
const STREAMS_MAX: usize = 200;
/// How often an open stream says that it is there, and looks whether its session is.
const BEAT: Duration = Duration::from_secs(15);

/// Whose an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody whom the topic lets in.
    Topic,
    /// Those who may see this body, or what has none.
    Body(Option<BodyId>),
}

/// Something that a listener gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub topic: Topic,
    pub what: What,
    /// Where the listener stands behind it.
    pub id: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// JSON in one line.
    Event(Arc<str>),
    /// So many were forgotten before they were taken; unknown after a restart, and not told to those who see a part only.
    Missed(Option<u64>),
}

/// A listener's place in each topic: the number of the event that it wants next; `None` where that is not known.
pub type Position = [Option<u64>; Topic::ALL.len()];

#[derive(Debug)]
struct Event {
    audience: Audience,
    data: Arc<str>,
}

/// The last events of a topic; the newest has the number `next - 1`.
#[derive(Debug, Default)]
struct Ring {
    next: u64,
    events: VecDeque<Event>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    rings: [Ring; Topic::ALL.len()],
    /// Open streams by session.
    seats: HashMap<String, usize>,
    seated: usize,
}

/// The rings, and who may sit down beside them.
#[derive(Debug)]
pub struct Hub {
    inner: Mutex<Inner>,
    /// Wakes the listeners; its value means nothing.
    bell: watch::Sender<()>,
    stop: CancellationToken,
    /// Positions of another run of the program mean nothing here.
    epoch: String,
    beat: Duration,
}

impl Default for Hub {
    fn default() -> Self {
        Self::new(CancellationToken::new(), BEAT)
    }
}

impl Hub {
    /// Ends its streams with `stop`.
    pub fn until(stop: CancellationToken) -> Self {
        Self::new(stop, BEAT)
    }

    pub(crate) fn new(stop: CancellationToken, beat: Duration) -> Self {
        let epoch = hex(&ingest::id::random_bytes::<6>());
        Self { inner: Mutex::default(), bell: watch::Sender::new(()), stop, epoch, beat }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who listen. What is larger than a ring is told without its data: that something happened counts.
    pub fn publish(&self, topic: Topic, audience: Audience, data: &Value) {
        let text = data.to_string();
        let data: Arc<str> = if text.len() > RING_BYTES_MAX / 16 { "null".into() } else { text.into() };
        if let Some(ring) = self.inner().rings.get_mut(topic as usize) {
            ring.bytes += data.len();
            ring.next += 1;
            ring.events.push_back(Event { audience, data });
            while ring.events.len() > RING_EVENTS_MAX || ring.bytes > RING_BYTES_MAX {
                ring.bytes -= ring.events.pop_front().map_or(0, |event| event.data.len());
            }
        }
        self.bell.send_replace(());
    }

    /// A place for a stream of this session; `None` where there is none left.
    pub fn enter(self: &Arc<Self>, session: &str) -> Option<Seat> {
        let mut inner = self.inner();
        let own = inner.seats.get(session).copied().unwrap_or(0);
        if own >= PER_SESSION_MAX || inner.seated >= STREAMS_MAX {
            return None;
        }
        inner.seats.insert(session.to_owned(), own + 1);
        inner.seated += 1;
        Some(Seat { hub: Arc::clone(self), session: session.to_owned() })
    }

    /// Where a listener stands who has heard everything until now.
    pub fn now(&self) -> String {
        let position: Position = self.inner().rings.each_ref().map(|ring| Some(ring.next));
        self.id(&position)
    }

    /// A position as a client keeps it.
    pub fn id(&self, position: &Position) -> String {
        let numbers: Vec<String> = position.iter().map(|number| number.unwrap_or(0).to_string()).collect();
        format!("{}-{}", self.epoch, numbers.join("."))
    }

    /// The position that an id names. Without one everything begins now; one of another run, or none of ours, has missed
    /// an unknown number.
    pub fn position(&self, id: &str) -> Position {
        let inner = self.inner();
        if id.is_empty() {
            return inner.rings.each_ref().map(|ring| Some(ring.next));
        }
        let numbers = id.split_once('-').filter(|(epoch, _)| *epoch == self.epoch).map(|(_, numbers)| numbers);
        let mut numbers = numbers.into_iter().flat_map(|numbers| numbers.split('.'));
        inner.rings.each_ref().map(|ring| numbers.next()?.parse().ok().filter(|number| *number <= ring.next))
    }

    /// The next news of `topics` for somebody with this scope, at most `TAKE_MAX`; moves his position behind them.
    pub fn take(&self, position: &mut Position, topics: &[Topic], scope: &Scope) -> Vec<News> {
        let inner = self.inner();
        let mut news = vec![];
        for topic in Topic::ALL {
            let (Some(ring), Some(place)) = (inner.rings.get(topic as usize), position.get_mut(topic as usize)) else { continue };
            if !topics.contains(&topic) {
                *place = Some(ring.next);
                continue;
            }
            let first = ring.next - ring.events.len() as u64;
            let missed = match *place {
                None => Some(None),
                Some(at) if at < first => Some((*scope == Scope::All).then_some(first - at)),
                Some(_) => None,
            };
            let at = place.map_or(ring.next, |at| at.max(first));
            *place = Some(at);
            if let Some(missed) = missed {
                news.push(News { topic, what: What::Missed(missed), id: self.id(position) });
            }
            let skip = usize::try_from(at - first).unwrap_or(usize::MAX);
            for event in ring.events.iter().skip(skip) {
                if news.len() >= TAKE_MAX {
                    return news;
                }
                if let Some(Some(place)) = position.get_mut(topic as usize) {
                    *place += 1;
                }
                let theirs = match event.audience {
                    Audience::Topic => true,
                    Audience::Body(body) => scope.body_allowed(body),
                };
                if theirs {
                    news.push(News { topic, what: What::Event(Arc::clone(&event.data)), id: self.id(position) });
                }
            }
        }
        news
    }

    /// Rings with each event from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }

    pub fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    pub fn beat(&self) -> Duration {
        self.beat
    }
}

/// The right to one open stream; dropping it gives it back.
#[derive(Debug)]
pub struct Seat {
    pub hub: Arc<Hub>,
    session: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut inner = self.hub.inner();
        inner.seated = inner.seated.saturating_sub(1);
        if let Some(own) = inner.seats.get_mut(&self.session) {
            *own -= 1;
            if *own == 0 {
                inner.seats.remove(&self.session);
            }
        }
    }
}

/// How often the database is asked whether something changed; a page is hardly read quicker.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a look at the database compares: open alerts, and open cases by body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    alerts: String,
    cases: BTreeMap<Option<BodyId>, String>,
}

/// Publishes what changes in the database, whoever changed it: the rules, a person's form or another program.
pub async fn watch(hub: Arc<Hub>, db: Db) {
    let mut before: Option<Seen> = None;
    loop {
        tokio::select! {
            () = hub.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let asked = db.clone();
        // The database may have to wait for its disk: not on a thread that serves connections.
        match tokio::task::spawn_blocking(move || look(&asked)).await {
            Ok(Ok(now)) => {
                if let Some(before) = before.replace(now.clone()) {
                    tell(&hub, &before, &now);
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "open pages are not told what changes"),
            Err(_) => return,
        }
    }
}

fn look(db: &Db) -> Result<Seen, DbError> {
    db.read(|c| {
        let cases = detect::incident::incident_marks(c)?.into_iter().collect();
        Ok(Seen { alerts: detect::alert::alert_mark(c)?, cases })
    })
}

fn tell(hub: &Hub, before: &Seen, now: &Seen) {
    let bodies: std::collections::BTreeSet<Option<BodyId>> = before.cases.keys().chain(now.cases.keys()).copied().collect();
    for body in bodies.into_iter().filter(|body| before.cases.get(body) != now.cases.get(body)) {
        hub.publish(Topic::Cases, Audience::Body(body), &json!({}));
    }
    if before != now {
        hub.publish(Topic::Overview, Audience::Topic, &json!({}));
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub { epoch: "e".into(), ..Hub::default() })
    }

    fn told(news: &[News]) -> String {
        let words = news.iter().map(|one| {
            let what = match &one.what {
                What::Event(data) => data.to_string(),
                What::Missed(n) => format!("missed {n:?}"),
            };
            format!("{} {what} @{}\n", one.topic.as_str(), one.id)
        });
        words.collect()
    }

    #[test]
    fn who_comes_back_gets_what_came_meanwhile() {
        let hub = hub();
        let mut at = hub.position("");
        assert!(hub.take(&mut at, &Topic::ALL, &Scope::All).is_empty());
        for n in 1..=3 {
            hub.publish(Topic::Overview, Audience::Topic, &json!(n));
        }
        hub.publish(Topic::Cases, Audience::Topic, &json!("a"));
        let first = hub.take(&mut at, &Topic::ALL, &Scope::All);
        let mut back = hub.position(&first[1].id);
        let later = hub.take(&mut back, &Topic::ALL, &Scope::All);
        let mut other = hub.position(&first[1].id);
        let one_topic = hub.take(&mut other, &[Topic::Overview], &Scope::All);
        let mut stranger = hub.position("another-7.9");
        let strange = hub.take(&mut stranger, &Topic::ALL, &Scope::All);
        let mut future = hub.position("e-99.x");
        let never = hub.take(&mut future, &[Topic::Cases], &Scope::All);
        expect![[r#"
            lage 1 @e-1.0
            lage 2 @e-2.0
            lage 3 @e-3.0
            vorfaelle "a" @e-3.1
            --
            lage 3 @e-3.0
            vorfaelle "a" @e-3.1
            --
            lage 3 @e-3.0
            --
            lage missed None @e-3.0
            vorfaelle missed None @e-3.1
            --
            vorfaelle missed None @e-3.1
        "#]]
        .assert_eq(&[told(&first), told(&later), told(&one_topic), told(&strange), told(&never)].join("--\n"));
    }

    #[test]
    fn who_is_slow_is_told_how_much_he_missed_and_goes_on() {
        let hub = hub();
        let mut at = hub.position("");
        let more = 10;
        for n in 0..RING_EVENTS_MAX + more {
            hub.publish(Topic::Overview, Audience::Topic, &json!(n));
        }
        let first = hub.take(&mut at, &[Topic::Overview], &Scope::All);
        assert_eq!((first.len(), &first[0].what), (TAKE_MAX, &What::Missed(Some(more as u64))));
        assert_eq!(first[1].what, What::Event(more.to_string().into()));
        let mut events = first.len() - 1;
        loop {
            let next = hub.take(&mut at, &[Topic::Overview], &Scope::All);
            if next.is_empty() {
                break;
            }
            events += next.len();
        }
        assert_eq!(events, RING_EVENTS_MAX);
        // However large they are, the ring stays small.
        for _ in 0..200 {
            hub.publish(Topic::Overview, Audience::Topic, &json!("x".repeat(60_000)));
        }
        assert!(hub.inner().rings[0].bytes <= RING_BYTES_MAX);
    }

    #[test]
    fn what_is_foreign_is_not_told() {
        let hub = hub();
        let (own, other) = (BodyId::new(Timestamp(1)), BodyId::new(Timestamp(2)));
        let (mut at, mut all) = (hub.position(""), hub.position(""));
        for (name, body) in [("own", Some(own)), ("other", Some(other)), ("nobody's", None)] {
            hub.publish(Topic::Cases, Audience::Body(body), &json!(name));
        }
        let scope = Scope::Bodies(vec![own]);
        expect![[r#"
            vorfaelle "own" @e-0.1
        "#]]
        .assert_eq(&told(&hub.take(&mut at, &Topic::ALL, &scope)));
        assert_eq!(hub.take(&mut all, &Topic::ALL, &Scope::All).len(), 3);
        // How many foreign ones were forgotten is no business of his either.
        for _ in 0..RING_EVENTS_MAX + 5 {
            hub.publish(Topic::Cases, Audience::Body(Some(other)), &json!(0));
        }
        assert_eq!(hub.take(&mut at, &Topic::ALL, &scope).first().map(|one| one.what.clone()), Some(What::Missed(None)));
    }

    #[test]
    fn seats_are_counted_and_given_back() {
        let hub = hub();
        let own: Vec<Seat> = (0..PER_SESSION_MAX).map_while(|_| hub.enter("a")).collect();
        assert_eq!((own.len(), hub.enter("a").is_none(), hub.enter("b").is_some()), (PER_SESSION_MAX, true, true));
        drop(own);
        assert!(hub.enter("a").is_some());
        let all: Vec<Seat> = (0..STREAMS_MAX + 5).map_while(|n| hub.enter(&n.to_string())).collect();
        assert_eq!(all.len(), STREAMS_MAX);
        drop(all);
        let inner = hub.inner();
        assert_eq!((inner.seated, inner.seats.len()), (0, 0));
    }

    #[test]
    fn a_change_is_told_to_those_whose_it_is() {
        let hub = hub();
        let body = BodyId::new(Timestamp(1));
        let before = Seen { alerts: "1".into(), cases: [(Some(body), "1".into()), (None, "1".into())].into() };
        let mut at = hub.position("");
        tell(&hub, &before, &before);
        assert!(hub.take(&mut at, &Topic::ALL, &Scope::All).is_empty());
        tell(&hub, &before, &Seen { alerts: "2".into(), ..before.clone() });
        assert_eq!(told(&hub.take(&mut at, &Topic::ALL, &Scope::All)), "lage {} @e-1.0\n");
        tell(&hub, &before, &Seen { cases: [(None, "1".into())].into(), ..before.clone() });
        assert_eq!(told(&hub.take(&mut at, &[Topic::Cases], &Scope::Bodies(vec![body]))), "vorfaelle {} @e-2.1\n");
    }

    proptest! {
        /// Whatever is published and however it is read, each event of the topic is either heard once, in order, or counted as missed.
        #[test]
        fn heard_and_missed_are_all(steps in proptest::collection::vec((0usize..700, 0usize..4), 1..12)) {
            let hub = hub();
            let (mut at, mut published, mut heard, mut missed, mut last) = (hub.position(""), 0u64, 0u64, 0u64, None);
            for (publish, reads) in steps {
                for _ in 0..publish {
                    hub.publish(Topic::Overview, Audience::Topic, &json!(published));
                    published += 1;
                }
                for _ in 0..reads {
                    for one in hub.take(&mut at, &[Topic::Overview], &Scope::All) {
                        match one.what {
                            What::Missed(n) => missed += n.unwrap(),
                            What::Event(data) => {
                                let n: u64 = data.parse().unwrap();
                                prop_assert!(last.is_none_or(|last| n > last));
                                last = Some(n);
                                heard += 1;
                            }
                        }
                    }
                    // Through the id, as a client that comes back.
                    let id = hub.id(&at);
                    at = hub.position(&id);
                }
            }
            while let news @ [_, ..] = &hub.take(&mut at, &[Topic::Overview], &Scope::All)[..] {
                for one in news {
                    match one.what { What::Missed(n) => missed += n.unwrap(), What::Event(_) => heard += 1 }
                }
            }
            prop_assert_eq!(heard + missed, published);
        }
    }
}
