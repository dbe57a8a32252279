//! The contract of the event store's seam (DESIGN: tantivy now, another engine later): what any store must do with what it is
//! given, as one trait in our words, a naive implementation that is the definition, and sequences of steps, chosen and by
//! chance, after each of which the real store must answer as the naive one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{DAY0, batch, frame, open, redecode, request, sites};
use super::upkeep_tests::{hold, journal, ticking};
use super::*;
use crate::pipeline::Consumer;

const DAYS: i64 = 4;
const WORDS: u64 = 3;
/// Hits of one page.
const PAGE: usize = 3;

/// What happens to a store.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many events come, all of one day; what is behind the last day is of the future or too late, and filed by receipt.
    Take(u64, i64),
    /// The newest so many come again.
    Again(usize),
    Flush,
    /// Everything that is not durable is lost; the journal gives it again.
    Crash,
    Seal,
    /// What has this word is held from now on; `None`: nothing is.
    Hold(Option<u64>),
    /// So many days' time is over.
    Retain(i64),
    /// A day is made anew; before that its folder is deleted, where so said.
    Rebuild(i64, bool),
    /// What has this word is forgotten.
    Forget(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5u64, 0..DAYS + 2).prop_map(|(many, day)| Step::Take(many, day)),
        2 => (1..6usize).prop_map(Step::Again),
        3 => Just(Step::Flush),
        3 => Just(Step::Crash),
        1 => Just(Step::Seal),
        1 => prop::option::of(0..WORDS).prop_map(Step::Hold),
        1 => (0..3i64).prop_map(Step::Retain),
        2 => (0..DAYS, any::<bool>()).prop_map(|(day, gone)| Step::Rebuild(day, gone)),
        1 => (0..WORDS).prop_map(Step::Forget),
    ]
}

/// A store, as the seam has it.
trait Seam {
    fn take(&mut self, frames: &[Frame]);
    fn flush(&mut self);
    fn crash(&mut self, journal: &[Frame]);
    fn seal(&mut self, now: Timestamp);
    fn retain(&mut self, now: Timestamp, holds: &[Hold]);
    fn rebuild(&mut self, day: &str, gone: bool, journal: &[Frame]);
    /// Whether it was done.
    fn forget(&mut self, id: &str, word: &str, holds: &[Hold]) -> bool;
    /// All pages of a question, each hit as (time, sequence), newest first.
    fn pages(&self, query: &str) -> Vec<Vec<(i64, u64)>>;
    fn total(&self, query: &str) -> u64;
    fn by_seq(&self, seqs: &[Seq]) -> BTreeSet<u64>;
    /// The days that there are, those of what is held besides.
    fn days(&self) -> BTreeSet<String>;
}

struct Real {
    dir: tempfile::TempDir,
    open: Option<(Arc<EventStore>, EventConsumer)>,
}

impl Real {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = Some(open(dir.path()));
        Self { dir, open }
    }

    fn store(&self) -> &Arc<EventStore> {
        &self.open.as_ref().unwrap().0
    }

    fn with<T: Send>(&mut self, work: impl FnOnce(&EventStore) -> T + Send) -> T {
        let (store, consumer) = self.open.as_mut().unwrap();
        let store = store.clone();
        ticking(consumer, move || work(&store))
    }
}

impl Seam for Real {
    fn take(&mut self, frames: &[Frame]) {
        self.open.as_mut().unwrap().1.apply(&batch(frames)).unwrap();
    }

    fn flush(&mut self) {
        self.open.as_mut().unwrap().1.flush().unwrap();
    }

    fn crash(&mut self, journal: &[Frame]) {
        self.open = None;
        let (store, mut consumer) = open(self.dir.path());
        // From the cursor on, in other blocks than before.
        let behind: Vec<Frame> = journal.iter().filter(|frame| frame.seq > consumer.cursor()).cloned().collect();
        behind.chunks(3).for_each(|chunk| consumer.apply(&batch(chunk)).unwrap());
        self.open = Some((store, consumer));
    }

    fn seal(&mut self, now: Timestamp) {
        self.flush();
        self.with(|store| {
            for name in store.seal_due(now, 0) {
                assert!(store.seal(&name, now, &|| false).unwrap());
                assert_eq!(store.verify(&name).unwrap(), [""; 0]);
            }
        });
    }

    fn retain(&mut self, now: Timestamp, holds: &[Hold]) {
        self.with(|store| {
            store.holds_review(holds, &sites(), now, &|| false).unwrap();
            for due in store.retention_due(now) {
                // What is in memory comes to disk first, and then it is asked again.
                let again = (0..3).any(|_| store.retire(&due, &|| Ok(holds.to_vec()), &sites(), now, &|| false).is_ok());
                assert!(again, "{due:?}");
            }
        });
    }

    fn rebuild(&mut self, day: &str, gone: bool, frames: &[Frame]) {
        let name = format!("{CLASS}/{day}");
        if !self.store().snapshot().partitions.contains_key(&name) {
            return;
        }
        if gone {
            std::fs::remove_dir_all(self.dir.path().join(&name)).unwrap();
            self.store().look_for_missing();
            assert_eq!(self.store().stats().damaged, std::slice::from_ref(&name));
        }
        self.with(|store| store.rebuild(&name, &mut journal(frames), &|_| true)).unwrap();
        assert!(self.store().stats().damaged.is_empty());
    }

    fn forget(&mut self, id: &str, word: &str, holds: &[Hold]) -> bool {
        let query = Query::parse_fixed(word).unwrap();
        let order = ForgetOrder { id: id.into(), query, from: None, to: None, journal_days: 30 };
        match self.with(|store| store.forget(&order, holds, &sites(), &|| false)) {
            Ok(_) => true,
            Err(ForgetError::Held { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn pages(&self, query: &str) -> Vec<Vec<(i64, u64)>> {
        let (mut pages, mut before) = (vec![], None);
        loop {
            let page = SearchRequest { limit: PAGE, before, summary: false, ..request(query) };
            let found = self.store().search(&page).unwrap();
            assert!(!found.partial && found.damaged.is_empty());
            if !found.hits.is_empty() {
                pages.push(found.hits.iter().map(|event| (event.timestamp.0, event.seq.0)).collect());
            }
            match found.next {
                Some(next) => before = Some(next),
                None => return pages,
            }
        }
    }

    fn total(&self, query: &str) -> u64 {
        self.store().search(&request(query)).unwrap().total
    }

    fn by_seq(&self, seqs: &[Seq]) -> BTreeSet<u64> {
        self.store().by_seq(seqs, &Scope::All, &sites()).iter().map(|event| event.seq.0).collect()
    }

    fn days(&self) -> BTreeSet<String> {
        let parts = self.store().partitions();
        parts.into_iter().filter(|part| part.class != HOLD && part.documents + part.pending > 0).map(|part| part.day).collect()
    }
}

/// The definition: a map of what is there.
#[derive(Default)]
struct Naive {
    there: BTreeMap<u64, Event>,
    /// Held while their day is gone.
    held: BTreeSet<u64>,
    forgotten: BTreeSet<u64>,
    applied: u64,
}

impl Naive {
    fn matches(event: &Event, word: &str) -> bool {
        word == "*" || event.message().split(' ').any(|part| part == word)
    }

    fn is_held(event: &Event, holds: &[Hold]) -> bool {
        holds.iter().any(|hold| hold.query.as_ref().is_some_and(|query| Self::matches(event, &query.to_string())))
    }

    fn found(&self, word: &str) -> Vec<(i64, u64)> {
        let found = self.there.values().filter(|event| Self::matches(event, word));
        let mut found: Vec<_> = found.map(|event| (event.timestamp.0, event.seq.0)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found
    }

    fn day(event: &Event) -> String {
        consumer::day_of(event)
    }
}

impl Seam for Naive {
    fn take(&mut self, frames: &[Frame]) {
        for event in frames.iter().filter_map(redecode).filter(|event| event.seq.0 > self.applied) {
            self.there.insert(event.seq.0, event);
        }
        self.applied = self.applied.max(frames.last().map_or(0, |frame| frame.seq.0));
    }

    fn flush(&mut self) {}

    fn crash(&mut self, _: &[Frame]) {}

    fn seal(&mut self, _: Timestamp) {}

    fn retain(&mut self, now: Timestamp, holds: &[Hold]) {
        let over = |event: &Event| {
            let begin = Timestamp::parse_rfc3339(&format!("{}T00:00:00Z", Self::day(event))).unwrap();
            now.since(begin) >= i64::from(DAYS_DEFAULT + 1) * Timestamp::DAY
        };
        let held = &mut self.held;
        self.there.retain(|seq, event| {
            if held.contains(seq) || over(event) {
                let stays = Self::is_held(event, holds);
                if stays {
                    held.insert(*seq)
                } else {
                    held.remove(seq)
                };
                return stays;
            }
            true
        });
    }

    fn rebuild(&mut self, day: &str, _: bool, journal: &[Frame]) {
        if !self.days().contains(day) {
            return;
        }
        for event in journal.iter().filter_map(redecode).filter(|event| Self::day(event) == day && !self.forgotten.contains(&event.seq.0)) {
            self.there.entry(event.seq.0).or_insert(event);
        }
    }

    fn forget(&mut self, _: &str, word: &str, holds: &[Hold]) -> bool {
        let wanted: BTreeSet<u64> = self.found(word).into_iter().map(|(_, seq)| seq).collect();
        if wanted.iter().any(|seq| self.held.contains(seq) || Self::is_held(&self.there[seq], holds)) {
            return false;
        }
        self.there.retain(|seq, _| !wanted.contains(seq));
        self.forgotten.extend(wanted);
        true
    }

    fn pages(&self, query: &str) -> Vec<Vec<(i64, u64)>> {
        self.found(query).chunks(PAGE).map(<[_]>::to_vec).collect()
    }

    fn total(&self, query: &str) -> u64 {
        self.found(query).len() as u64
    }

    fn by_seq(&self, seqs: &[Seq]) -> BTreeSet<u64> {
        seqs.iter().map(|seq| seq.0).filter(|seq| self.there.contains_key(seq)).collect()
    }

    fn days(&self) -> BTreeSet<String> {
        self.there.iter().filter(|(seq, _)| !self.held.contains(seq)).map(|(_, event)| Self::day(event)).collect()
    }
}

/// What a day's number means: the days of the tests, then the future, then long ago.
fn time_of(day: i64, seq: u64) -> i64 {
    match day - DAYS {
        0 => DAY0 + 40 * Timestamp::DAY,
        1 => DAY0 - 500 * Timestamp::DAY,
        // Some at the same moment: then the sequence decides.
        _ => DAY0 + day * Timestamp::DAY + (seq / 2) as i64,
    }
}

fn day_text(day: i64) -> String {
    Timestamp(DAY0 + day * Timestamp::DAY).utc().format("%Y-%m-%d").to_string()
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut real, mut naive) = (Real::new(), Naive::default());
    let (mut frames, mut holds): (Vec<Frame>, Vec<Hold>) = (vec![], vec![]);
    for (n, step) in steps.iter().enumerate() {
        let both: [&mut dyn Seam; 2] = [&mut real, &mut naive];
        match *step {
            Step::Take(many, day) => {
                let first = frames.len() as u64 + 1;
                let line = |seq| format!("t={}\thello w{} n{seq}", time_of(day, seq), seq % WORDS);
                let new: Vec<Frame> = (first..first + many).map(|seq| frame(seq, 1, &line(seq))).collect();
                both.into_iter().for_each(|seam| seam.take(&new));
                frames.extend(new);
            }
            Step::Again(many) => {
                let again = &frames[frames.len().saturating_sub(many)..];
                both.into_iter().filter(|_| !again.is_empty()).for_each(|seam| seam.take(again));
            }
            Step::Flush => both.into_iter().for_each(|seam| seam.flush()),
            Step::Crash => both.into_iter().for_each(|seam| seam.crash(&frames)),
            Step::Seal => both.into_iter().for_each(|seam| seam.seal(Timestamp(DAY0 + 50 * Timestamp::DAY))),
            Step::Hold(word) => holds = word.into_iter().map(|word| hold(&format!("w{word}"))).collect(),
            Step::Retain(days) => {
                let now = Timestamp(DAY0 + (91 + days) * Timestamp::DAY);
                both.into_iter().for_each(|seam| seam.retain(now, &holds));
            }
            Step::Rebuild(day, gone) => both.into_iter().for_each(|seam| seam.rebuild(&day_text(day), gone, &frames)),
            Step::Forget(word) => {
                let done = both.map(|seam| seam.forget(&n.to_string(), &format!("w{word}"), &holds));
                prop_assert_eq!(done[0], done[1], "{:?} of {:?}", step, steps);
            }
        }
        let all: Vec<Seq> = frames.iter().map(|frame| frame.seq).collect();
        for query in ["*", "w1"] {
            prop_assert_eq!(real.pages(query), naive.pages(query), "{} after {}: {:?} of {:?}", query, n, step, steps);
            prop_assert_eq!(real.total(query), naive.total(query), "{} after {}: {:?} of {:?}", query, n, step, steps);
        }
        prop_assert_eq!(real.by_seq(&all), naive.by_seq(&all), "after {}: {:?} of {:?}", n, step, steps);
        prop_assert_eq!(real.days(), naive.days(), "after {}: {:?} of {:?}", n, step, steps);
    }
    Ok(())
}

#[test]
fn chosen_lives_of_a_store() {
    use Step::{Again, Crash, Flush, Forget, Hold, Rebuild, Retain, Seal, Take};
    let table: [&[Step]; 9] = [
        // Once, however often it comes; seen at once; newest first over pages; after a crash as before.
        &[Take(4, 1), Again(4), Take(4, 0), Again(3), Flush, Again(8), Crash, Take(2, 1), Crash, Crash],
        // Late ones to their own day, those of a wrong clock to the day of receipt.
        &[Take(2, 0), Take(2, 3), Flush, Take(2, 0), Take(2, 4), Take(2, 5), Crash],
        // A sealed day takes late ones in and is sealed again.
        &[Take(4, 0), Seal, Take(2, 0), Crash, Seal, Take(1, 1), Seal],
        // A day goes; what is held stays, once, until it is released.
        &[Take(4, 0), Take(4, 1), Flush, Hold(Some(1)), Retain(0), Crash, Retain(1), Hold(None), Retain(1)],
        // A held day takes late ones in, and goes again.
        &[Take(4, 0), Hold(Some(1)), Retain(0), Take(4, 0), Retain(0), Crash, Hold(None), Retain(0)],
        // What waits in memory when a day is made anew.
        &[Take(4, 0), Flush, Take(4, 0), Rebuild(0, false), Crash, Take(2, 0), Rebuild(0, true), Crash],
        // A deleted day whose events never came to disk.
        &[Take(4, 0), Rebuild(0, true), Take(2, 0), Flush, Crash],
        // Forgotten is forgotten: a crash, a rebuild, late ones.
        &[Take(4, 0), Take(4, 1), Flush, Forget(1), Crash, Rebuild(0, false), Rebuild(1, true), Take(4, 0), Crash],
        // What is held is not forgotten, neither in its day nor behind it.
        &[Take(4, 0), Take(4, 1), Hold(Some(1)), Forget(1), Retain(0), Forget(1), Forget(2), Hold(None), Forget(1), Retain(0), Forget(1)],
    ];
    for steps in table {
        run(steps).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 40, ..ProptestConfig::default() })]
    #[test]
    fn lives_by_chance(steps in prop::collection::vec(step(), 1..14)) {
        run(&steps)?;
    }
}
