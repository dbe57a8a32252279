//! The clock goes ten days ahead and ten days back, between restarts and while the server runs. Order is the journal's
//! sequence, not the clock: nothing is lost, nothing comes twice, and what was sent later stands behind.

use ingest::time::Timestamp;

use super::load::{Numbers, Posted, Sent, agent, post};
use super::preload::WrongClock;
use super::{accounted_for, journal_lines, numbers_in};
use crate::program::Server;

const TEN_DAYS: i64 = 10 * Timestamp::DAY;

#[test]
fn ten_days_ahead_and_back_lose_nothing_and_keep_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let Some((clock, setup)) = WrongClock::new(dir.path()) else { return };
    let data = dir.path().join("data");
    let (numbers, agent, mut sent) = (Numbers::default(), agent(), Sent::default());
    let mut post_some = |server: &Server| {
        for _ in 0..20 {
            let number = numbers.next();
            sent.tried.insert(number);
            assert!(matches!(post(&agent, server.http, std::iter::once(number)), Posted::Accepted), "line {number}");
            sent.acknowledged.insert(number);
        }
    };
    for (round, (at_start, while_running)) in
        [(0, TEN_DAYS), (TEN_DAYS, 0), (-TEN_DAYS, TEN_DAYS), (0, -TEN_DAYS), (0, 0)].into_iter().enumerate()
    {
        clock.ahead(at_start);
        let server = Server::start_as(&data, &setup);
        post_some(&server);
        clock.ahead(while_running);
        post_some(&server);
        // Half of them are killed: then the stores have to do it again, by another clock.
        if round % 2 == 0 { server.kill() } else { assert!(server.terminate(), "SIGTERM must end well") }
    }
    assert!(Server::start(&data).terminate(), "SIGTERM must end well");
    accounted_for(&data, &sent);
    let journaled: Vec<u64> = journal_lines(&data).iter().flat_map(|line| numbers_in(line)).collect();
    assert!(journaled.is_sorted(), "the journal's order is not that of sending: {journaled:?}");
    assert_eq!(journaled.len(), 200);
}
