//! How far searches go: bounds, ends from outside, exports, and the lines around one.

use std::ops::ControlFlow;

use expect_test::{Expect, expect};

use super::tests::{DAY0, Naive, batch, body, frame, open, request, seqs, site, sites};
use super::*;
use crate::pipeline::Consumer;

/// 300 lines of four days and three sites, many of one moment, some late; two thirds on disk in several segments, the
/// rest in memory.
fn filled(dir: &Path) -> (Arc<EventStore>, EventConsumer, Vec<Frame>) {
    let (store, mut consumer) = open(dir);
    let of = [1u128, 2, 9];
    let frames: Vec<Frame> = (1..=300u64)
        .map(|n| {
            let late = if n % 17 == 0 { 2 * Timestamp::DAY } else { 0 };
            let time = DAY0 + (n / 75) as i64 * Timestamp::DAY + (n as i64 % 75) / 10 - late;
            let host = ["dc", "web-1"][n as usize / 5 % 2];
            let text = ["failed login", "login failed", "all is well"][n as usize % 3];
            frame(n, of[n as usize % 3], &format!("t={time}\thost.name={host}\tuser.name=u{}\t{text} {n}", n % 4))
        })
        .collect();
    for chunk in frames.chunks(50) {
        consumer.apply(&batch(chunk)).unwrap();
        if chunk[0].seq.0 < 200 {
            consumer.flush().unwrap();
        }
    }
    (store, consumer, frames)
}

const QUERIES: [&str; 7] =
    ["*", "failed", "\"failed login\"", "NOT \"failed login\"", "user.name:u1 failed", "fail* OR user.name:u?", "message:nirgends"];

#[test]
fn an_export_gives_every_hit_once_in_either_order_and_goes_on_behind_its_last() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _consumer, frames) = filled(dir.path());
    for scope in [Scope::All, Scope::Bodies(vec![body(1)])] {
        for query in QUERIES {
            let request = SearchRequest { scope: scope.clone(), limit: 1, ..request(query) };
            let wanted = seqs(&Naive(&frames).found(&request));
            let reversed: Vec<u64> = wanted.iter().rev().copied().collect();
            for leaf in [1, 3, 40, 1_000] {
                for (order, wanted) in [(Order::NewestFirst, &wanted), (Order::OldestFirst, &reversed)] {
                    let mut got = vec![];
                    let done = store.export_by(&request, order, leaf, &mut |event| {
                        got.push(event.seq.0);
                        ControlFlow::Continue(())
                    });
                    let done = done.unwrap();
                    assert_eq!(&got, wanted, "{query} {order:?} {leaf}");
                    assert_eq!((done.events, done.partial), (wanted.len() as u64, false), "{query} {order:?} {leaf}");
                }
            }
            // Broken off and taken up again behind the last one.
            let (mut got, mut before) = (vec![], None);
            loop {
                let room = got.len() + 37;
                let mut each = |event: &Event| {
                    if got.len() == room {
                        return ControlFlow::Break(());
                    }
                    got.push(event.seq.0);
                    ControlFlow::Continue(())
                };
                let done = store.export_by(&SearchRequest { before, ..request.clone() }, Order::NewestFirst, 20, &mut each).unwrap();
                before = done.last.or(before);
                if !done.partial {
                    break;
                }
            }
            assert_eq!(got, wanted, "{query}");
        }
    }
}

#[test]
fn an_export_ends_when_nobody_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _consumer, _) = filled(dir.path());
    let request = request("*");
    let mut got = 0;
    let done = store.export_by(&request, Order::NewestFirst, 50, &mut |_| {
        got += 1;
        if got == 60 {
            request.cancel.cancel();
        }
        ControlFlow::Continue(())
    });
    let done = done.unwrap();
    assert_eq!((got, done.partial, done.ended_early), (60, true, true));
    let reversed = SearchRequest { from: Some(Timestamp(2)), to: Some(Timestamp(1)), ..request };
    assert!(matches!(store.export(&reversed, Order::OldestFirst, &mut |_| ControlFlow::Continue(())), Err(SearchError::Reversed)));
}

#[test]
fn the_lines_around_one_are_those_of_its_source_by_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _consumer, frames) = filled(dir.path());
    let host = |n: u64| n / 5 % 2;
    let all: Vec<u64> = frames.iter().map(|frame| frame.seq.0).collect();
    for seq in [1, 2, 17, 49, 50, 51, 150, 199, 201, 250, 300] {
        for (before, after) in [(0, 0), (1, 1), (3, 5), (40, 0), (0, 40), (1_000, 1_000)] {
            let same = |n: &u64| n % 3 == seq % 3 && host(*n) == host(seq);
            let mut wanted_before: Vec<u64> = all.iter().copied().filter(|n| *n < seq && same(n)).rev().take(before).collect();
            wanted_before.reverse();
            let wanted_after: Vec<u64> = all.iter().copied().filter(|n| *n > seq && same(n)).take(after).collect();
            let found = store.context(&ContextRequest::new(Seq(seq), (before, after), &Scope::All, &sites())).unwrap();
            assert!(!found.partial);
            let got = (seqs(&found.before), found.event.seq.0, seqs(&found.after));
            assert_eq!(got, (wanted_before, seq, wanted_after), "{seq} {before} {after}");
        }
    }
    // Another tenant's line has no surroundings, nor has one that does not exist.
    let foreign = frames.iter().find(|frame| frame.frame.site == site(2)).unwrap().seq;
    assert!(store.context(&ContextRequest::new(foreign, (3, 3), &Scope::Bodies(vec![body(1)]), &sites())).is_none());
    assert!(store.context(&ContextRequest::new(Seq(9_999), (3, 3), &Scope::All, &sites())).is_none());
    // Without time the event stands alone, and says so.
    let all = sites();
    let hurried = ContextRequest { time_max: Duration::ZERO, ..ContextRequest::new(Seq(150), (3, 3), &Scope::All, &all) };
    let alone = store.context(&hurried).unwrap();
    assert_eq!((alone.before.len(), alone.event.seq, alone.after.len(), alone.partial), (0, Seq(150), 0, true));
}

#[test]
fn a_search_tells_how_far_it_is_and_ends_when_nobody_waits_and_a_later_one_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, frames) = filled(dir.path());
    consumer.flush().unwrap();
    for query in QUERIES {
        let wanted = seqs(&Naive(&frames).found(&request(query)));
        for stop_at in [1, 2, 5] {
            let (mut got, mut before, mut looks) = (vec![], None, 0);
            loop {
                let request = SearchRequest { limit: 1_000, before, summary: false, ..request(query) };
                let (mut steps, mut last) = (0, None::<Progress>);
                let result = store.search_with(&request, &mut |progress| {
                    let earlier = last.replace(*progress);
                    assert!(earlier.is_none_or(|earlier| earlier.back_to >= progress.back_to && earlier.parts_done <= progress.parts_done));
                    assert!(progress.parts_done <= progress.parts_of);
                    steps += 1;
                    if steps == stop_at {
                        request.cancel.cancel();
                    }
                });
                let result = result.unwrap();
                got.extend(seqs(&result.hits));
                looks += 1;
                assert!(looks < 200, "{query}: makes no way");
                match result.next {
                    Some(next) => before = Some(next),
                    None => break,
                }
            }
            assert_eq!(got, wanted, "{query} {stop_at}");
            assert!(looks > 1, "{query}: was ended at least once");
        }
    }
}

#[test]
fn no_time_is_no_answer_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, _) = filled(dir.path());
    consumer.flush().unwrap();
    for query in QUERIES {
        for summary in [false, true] {
            let given_up = SearchRequest { time_max: Duration::ZERO, summary, ..request(query) };
            let result = store.search(&given_up).unwrap();
            assert!(result.partial && result.damaged.is_empty(), "{query}");
            // Asking again from where it ended does not go round in a circle.
            let again = result.next.map(|next| store.search(&SearchRequest { before: Some(next), ..given_up.clone() }).unwrap());
            assert!(again.is_none_or(|again| again.next.is_none()), "{query}");
        }
    }
}

/// What hostile questions are answered.
fn check(query: &str, range: (Option<i64>, Option<i64>), expected: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let (store, mut consumer, _) = filled(dir.path());
    consumer.flush().unwrap();
    let answer = match Query::parse_fixed(query) {
        Err(error) => error.to_string(),
        Ok(query) => {
            let all = SearchRequest::new(query, Scope::All, sites());
            match store.search(&SearchRequest { from: range.0.map(Timestamp), to: range.1.map(Timestamp), ..all }) {
                Ok(found) => format!("{} found, partial: {}", found.total, found.partial),
                Err(error) => error.to_string(),
            }
        }
    };
    expected.assert_eq(&answer);
}

#[test]
fn hostile_questions() {
    let open = (None, None);
    check(
        &"a ".repeat(500_000),
        open,
        expect!["Die Suche ist länger als 8192 Zeichen. Bitte teilen Sie sie in mehrere Suchen. (Stelle 8192)"],
    );
    check(
        &"a".repeat(1_000_000),
        open,
        expect!["Die Suche ist länger als 8192 Zeichen. Bitte teilen Sie sie in mehrere Suchen. (Stelle 8192)"],
    );
    check(
        &(0..10_000).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" OR "),
        open,
        expect!["Die Suche ist länger als 8192 Zeichen. Bitte teilen Sie sie in mehrere Suchen. (Stelle 8192)"],
    );
    check(&(0..250).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" OR "), open, expect!["0 found, partial: false"]);
    check(
        &(0..257).map(|n| format!("w{n}")).collect::<Vec<_>>().join(" OR "),
        open,
        expect!["Mehr als 256 Suchbegriffe. Bitte teilen Sie die Suche, oder nehmen Sie einen Bereich. (Stelle 1938)"],
    );
    check("*f*i*l*", open, expect!["200 found, partial: false"]);
    check(
        "*a*b*c*d*e*f*g*h*i*",
        open,
        expect!["Mehr als 8 Sternchen in einem Begriff. Bitte suchen Sie mit mehreren Begriffen. (Stelle 0)"],
    );
    check(&"*a* ".repeat(40), open, expect!["Mehr als 32 Sternchen. Bitte suchen Sie mit ganzen Wörtern. (Stelle 64)"]);
    check(
        "destination.port:[9 TO 1]",
        open,
        expect!["Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: [1 TO 9] (Stelle 17)"],
    );
    check(
        "source.ip:[10.0.0.9 TO 10.0.0.1]",
        open,
        expect!["Der Anfang des Bereichs liegt hinter seinem Ende. Bitte vertauschen Sie: [10.0.0.1 TO 10.0.0.9] (Stelle 10)"],
    );
    check(
        "gibt.es.nicht:1",
        open,
        expect![
            "Ein Feld „gibt.es.nicht“ hatte seit dem Start noch kein Ereignis. Stimmt der Name? Text mit einem Doppelpunkt suchen Sie in Anführungszeichen. (Stelle 0)"
        ],
    );
    check(
        &format!("{}a{}", "(".repeat(40), ")".repeat(40)),
        open,
        expect!["Mehr als 32 Ebenen von Klammern und NOT. Bitte vereinfachen Sie die Suche. (Stelle 33)"],
    );
    check("failed", (Some(0), Some(1)), expect!["0 found, partial: false"]);
    check("failed", (Some(4_291_747_200_000), None), expect!["0 found, partial: false"]);
    check("failed", (Some(i64::MIN), Some(i64::MAX)), expect!["200 found, partial: false"]);
    check("failed", (Some(2), Some(1)), expect!["the search's end lies before its beginning"]);
}

#[test]
fn a_time_in_a_query_is_exact_to_the_millisecond() {
    let dir = tempfile::tempdir().unwrap();
    // A day's last and first millisecond, and neighbours; on disk, then half of it in memory too.
    let times: Vec<i64> = [0, Timestamp::HOUR, Timestamp::DAY].into_iter().flat_map(|at| [-1, 0, 1].map(|off| DAY0 + at + off)).collect();
    let frames: Vec<Frame> = (1..).zip(times.iter().chain(&times)).map(|(seq, time)| frame(seq, 1, &format!("t={time}\tx"))).collect();
    let (store, mut consumer) = open(dir.path());
    for (n, chunk) in frames.chunks(times.len()).enumerate() {
        consumer.apply(&batch(chunk)).unwrap();
        if n == 0 {
            consumer.flush().unwrap();
        }
        let there = (n + 1) * times.len();
        for bound in &times {
            let text = Timestamp(*bound).rfc3339();
            let asks: [(String, &dyn Fn(i64) -> bool); 6] = [
                (format!("@timestamp:<={text}"), &|time| time <= *bound),
                (format!("@timestamp:<{text}"), &|time| time < *bound),
                (format!("@timestamp:>={text}"), &|time| time >= *bound),
                (format!("@timestamp:>{text}"), &|time| time > *bound),
                (format!("@timestamp:[{text} TO {text}]"), &|time| time == *bound),
                (format!("NOT @timestamp:[{text} TO {text}]"), &|time| time != *bound),
            ];
            for (query, holds) in asks {
                let wanted = times.iter().cycle().take(there).filter(|time| holds(**time)).count() as u64;
                assert_eq!(store.search(&request(&query)).unwrap().total, wanted, "{query}, {there} events");
            }
        }
    }
}
