//! Nobody sees what is another's: whatever a municipality asks is answered as if the others did not exist. Each store here
//! is built twice, with the others' events and without them, and asked the same; only how long it took may differ.

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::tests::{batch, body, frames, open, requests, site};
use super::*;
use crate::pipeline::Consumer as _;
use crate::query::Pipeline;

/// The municipality that asks, and its site.
fn own() -> (Scope, crate::body::SiteId) {
    (Scope::Bodies(vec![body(1)]), site(1))
}

/// Half on disk, half in memory; the same events of ours at the same places, with or without the others'.
fn built(dir: &Path, frames: &[Frame], with_others: bool) -> (Arc<EventStore>, EventConsumer) {
    let (store, mut consumer) = open(dir);
    let (disk, memory) = frames.split_at(frames.len() / 2);
    for (part, is_flushed) in [(disk, true), (memory, false)] {
        let seen: Vec<Frame> = part.iter().filter(|frame| with_others || frame.frame.site == own().1).cloned().collect();
        if !seen.is_empty() {
            consumer.apply(&batch(&seen)).unwrap();
        }
        if is_flushed {
            consumer.flush().unwrap();
        }
    }
    (store, consumer)
}

/// All that a search tells, but the time that it took. Of its progress what it says of the events.
fn told(store: &EventStore, request: &SearchRequest) -> String {
    let mut hits = 0;
    let result = store.search_with(request, &mut |progress| hits = progress.hits);
    let SearchResult { hits: found, total, histogram, top, took: _, next, partial, ended_early, damaged } = result.unwrap();
    assert!(hits <= total.max(found.len() as u64 + 1), "the progress tells more than the answer");
    format!("{found:?} {total} {histogram:?} {top:?} {next:?} {partial} {ended_early} {damaged:?}")
}

fn exported(store: &EventStore, request: &SearchRequest, order: Order) -> String {
    let mut all = Vec::new();
    let done = store.export_by(request, order, 7, &mut |event| {
        all.push(format!("{event:?}"));
        ControlFlow::Continue(())
    });
    format!("{:?} {all:?}", done.unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, max_shrink_iters: 0, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_tells_nothing_of_another_tenant(frames in frames(150), requests in requests()) {
        let (all_dir, own_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ((all, _all), (alone, _alone)) = (built(all_dir.path(), &frames, true), built(own_dir.path(), &frames, false));
        for request in requests {
            let mine = SearchRequest { scope: own().0, ..request };
            prop_assert_eq!(told(&all, &mine), told(&alone, &mine), "{}", &mine.query);
            let page = SearchRequest { summary: false, limit: 5, ..mine.clone() };
            prop_assert_eq!(told(&all, &page), told(&alone, &page), "{}", &mine.query);
            for order in [Order::NewestFirst, Order::OldestFirst] {
                prop_assert_eq!(exported(&all, &mine, order), exported(&alone, &mine, order), "{}", &mine.query);
            }
            for pipe in ["count by site, user.name", "fields user.name, source.ip, message | sort user.name", "patterns", "histogram 1d"] {
                let pipeline = Pipeline::parse(&format!("* | {pipe}"), Timestamp(0)).unwrap();
                let pipeline = Pipeline { query: mine.query.clone(), ..pipeline };
                let asked = AggregateRequest { from: mine.from, to: mine.to, ..AggregateRequest::new(pipeline, own().0, mine.sites.clone()) };
                let (seen, expected) = (all.aggregate(&asked).unwrap(), alone.aggregate(&asked).unwrap());
                prop_assert_eq!((seen.table, seen.total, seen.partial), (expected.table, expected.total, expected.partial), "{}", pipe);
            }
        }
        let sites = super::tests::sites();
        for frame in &frames {
            let seq = frame.seq;
            let found = format!("{:?}", all.by_seq(&[seq], &own().0, &sites));
            prop_assert_eq!(&found, &format!("{:?}", alone.by_seq(&[seq], &own().0, &sites)));
            prop_assert_eq!(found == "[]", frame.frame.site != own().1);
            let around = |store: &EventStore| format!("{:?}", store.context(&ContextRequest::new(seq, (3, 3), &own().0, &sites)));
            prop_assert_eq!(around(&all), around(&alone), "{:?}", seq);
        }
    }
}
