//! The brake at the door: failed logins per account and per address, in memory and bounded. It slows guessing
//! down; it never locks an account for good, which would hand everybody a way to lock others out.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ingest::time::Timestamp;

/// Failures within the window before the door waits.
const ACCOUNT_FAILURES_MAX: u32 = 5;
/// A whole town hall may sit behind one address.
const ADDRESS_FAILURES_MAX: u32 = 30;
const WINDOW_MILLIS: i64 = 5 * Timestamp::MINUTE;
/// Keys remembered. A flood of invented names beyond it makes the map forget the oldest half, never grow.
const KEYS_MAX: usize = 20_000;

/// Counts failures; shared by all requests.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<String, Failures>>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    first: Timestamp,
}

impl Throttle {
    /// How long somebody has to wait before the next try; `None` where he may try now.
    pub fn wait(&self, login: &str, address: &str, now: Timestamp) -> Option<i64> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = [(key_login(login), ACCOUNT_FAILURES_MAX), (key_address(address), ADDRESS_FAILURES_MAX)].map(|(key, max)| {
            let failures = map.get(&key).filter(|failures| failures.count >= max)?;
            let left = WINDOW_MILLIS - now.since(failures.first);
            (left > 0).then_some(left)
        });
        waits.into_iter().flatten().max()
    }

    /// Counts a try as failed before it is judged, so that a hundred at once do not all slip through; `succeeded` takes it back.
    pub fn tried(&self, login: &str, address: &str, now: Timestamp) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= KEYS_MAX {
            map.retain(|_, failures| now.since(failures.first) < WINDOW_MILLIS);
        }
        if map.len() >= KEYS_MAX {
            let mut times: Vec<i64> = map.values().map(|failures| failures.first.0).collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(i64::MAX);
            map.retain(|_, failures| failures.first.0 > middle);
        }
        for key in [key_login(login), key_address(address)].into_iter().filter(|key| key != NO_ADDRESS) {
            let failures = map.entry(key).or_insert(Failures { count: 0, first: now });
            if now.since(failures.first) >= WINDOW_MILLIS {
                *failures = Failures { count: 0, first: now };
            }
            failures.count = failures.count.saturating_add(1);
        }
    }

    /// A success clears the account and takes its own try back from the address, nothing more: who guesses ten
    /// accounts and owns one gets no fresh start.
    pub fn succeeded(&self, login: &str, address: &str) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.remove(&key_login(login));
        if let Some(failures) = map.get_mut(&key_address(address)) {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

fn key_login(login: &str) -> String {
    format!("login:{login}")
}

/// The key of an address that is not to be counted.
const NO_ADDRESS: &str = "address:";

fn key_address(address: &str) -> String {
    format!("address:{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_wait_and_the_window_ends() {
        let throttle = Throttle::default();
        let now = Timestamp(1_000_000);
        for n in 0..5 {
            assert_eq!(throttle.wait("a", "10.0.0.1", now), None, "{n}");
            throttle.tried("a", "10.0.0.1", now);
        }
        assert_eq!(throttle.wait("a", "10.0.0.2", now), Some(WINDOW_MILLIS));
        assert_eq!(throttle.wait("b", "10.0.0.1", now), None);
        assert_eq!(throttle.wait("a", "10.0.0.2", now.plus(WINDOW_MILLIS)), None);
        throttle.succeeded("a", "10.0.0.1");
        assert_eq!(throttle.wait("a", "10.0.0.1", now), None);
    }

    #[test]
    fn an_address_that_tries_many_accounts_waits_too() {
        let throttle = Throttle::default();
        for n in 0..30 {
            throttle.tried(&format!("user{n}"), "10.0.0.1", Timestamp(5));
        }
        throttle.tried("user3", "10.0.0.1", Timestamp(6));
        throttle.succeeded("user3", "10.0.0.1");
        assert!(throttle.wait("new", "10.0.0.1", Timestamp(6)).is_some());
        assert!(throttle.wait("new", "10.0.0.2", Timestamp(6)).is_none());
    }

    #[test]
    fn invented_names_do_not_fill_the_memory() {
        let throttle = Throttle::default();
        for n in 0..50_000 {
            throttle.tried(&format!("user{n}"), &format!("address{n}"), Timestamp(n));
        }
        assert!(throttle.0.lock().unwrap().len() <= KEYS_MAX + 2);
    }
}
