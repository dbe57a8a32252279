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

/// Wrong codes of a second factor. Who tries them knows the password already; six digits with three steps valid at a time
/// are met by one try in 333,333, so twenty a day are met once in forty-five years.
const CODES_MAX: u32 = 5;
const CODES_DAY_MAX: u32 = 20;

/// Wishes for a link to report by, of one body and mail address, in an hour; and of everybody together. Beyond that people
/// ring up, which they are told; each wish leaves a row in the audit log, and a flood must not fill it.
const REPORTS_MAX: u32 = 3;
const REPORTS_ALL_MAX: u32 = 300;
const REPORTS_MILLIS: i64 = Timestamp::HOUR;

/// Counts failures; shared by all requests.
#[derive(Debug)]
pub struct Throttle {
    keys: Mutex<HashMap<String, Failures>>,
    account_max: u32,
    window_millis: i64,
    /// Whether a success forgets the account's failures, or only takes its own try back.
    forgets: bool,
}

impl Default for Throttle {
    /// For passwords at the door.
    fn default() -> Self {
        Self { keys: Mutex::default(), account_max: ACCOUNT_FAILURES_MAX, window_millis: WINDOW_MILLIS, forgets: true }
    }
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    first: Timestamp,
}

impl Throttle {
    /// For codes of a second factor.
    pub fn codes() -> Self {
        Self { account_max: CODES_MAX, ..Self::default() }
    }

    /// For codes of a second factor, over a day: a login by the owner must not give somebody who knows the password a
    /// fresh start.
    pub fn codes_day() -> Self {
        Self { account_max: CODES_DAY_MAX, window_millis: Timestamp::DAY, forgets: false, ..Self::default() }
    }

    /// For the public wish for a link, by body and mail address.
    pub fn reports() -> Self {
        Self { account_max: REPORTS_MAX, window_millis: REPORTS_MILLIS, forgets: false, ..Self::default() }
    }

    /// The same for everybody together.
    pub fn reports_all() -> Self {
        Self { account_max: REPORTS_ALL_MAX, ..Self::reports() }
    }

    /// Counts a try as failed before it is judged, and lets it be judged; or says how long to wait. In one step, so that
    /// of a hundred at once only as many get through as may. `succeeded` takes it back.
    ///
    /// # Errors
    /// The milliseconds to wait.
    pub fn enter(&self, login: &str, address: &str, now: Timestamp) -> Result<(), i64> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(wait) = self.wait_in(&keys, login, address, now) {
            return Err(wait);
        }
        self.count_in(&mut keys, login, address, now);
        Ok(())
    }

    /// How long somebody has to wait before the next try; `None` where he may try now.
    pub fn wait(&self, login: &str, address: &str, now: Timestamp) -> Option<i64> {
        self.wait_in(&self.keys.lock().unwrap_or_else(PoisonError::into_inner), login, address, now)
    }

    fn wait_in(&self, keys: &HashMap<String, Failures>, login: &str, address: &str, now: Timestamp) -> Option<i64> {
        let waits = [(key_login(login), self.account_max), (key_address(address), ADDRESS_FAILURES_MAX)].map(|(key, max)| {
            let failures = keys.get(&key).filter(|failures| failures.count >= max)?;
            let left = self.window_millis - now.since(failures.first);
            (left > 0).then_some(left)
        });
        waits.into_iter().flatten().max()
    }

    /// Counts a failure.
    pub fn tried(&self, login: &str, address: &str, now: Timestamp) {
        self.count_in(&mut self.keys.lock().unwrap_or_else(PoisonError::into_inner), login, address, now);
    }

    fn count_in(&self, keys: &mut HashMap<String, Failures>, login: &str, address: &str, now: Timestamp) {
        if keys.len() >= KEYS_MAX {
            keys.retain(|_, failures| now.since(failures.first) < self.window_millis);
        }
        if keys.len() >= KEYS_MAX {
            let mut times: Vec<i64> = keys.values().map(|failures| failures.first.0).collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(i64::MAX);
            keys.retain(|_, failures| failures.first.0 > middle);
        }
        for key in [key_login(login), key_address(address)].into_iter().filter(|key| key != NO_ADDRESS) {
            let failures = keys.entry(key).or_insert(Failures { count: 0, first: now });
            if now.since(failures.first) >= self.window_millis {
                *failures = Failures { count: 0, first: now };
            }
            failures.count = failures.count.saturating_add(1);
        }
    }

    /// A success clears the account and takes its own try back from the address, nothing more: who guesses ten
    /// accounts and owns one gets no fresh start.
    pub fn succeeded(&self, login: &str, address: &str) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut back = vec![key_address(address)];
        if self.forgets {
            keys.remove(&key_login(login));
        } else {
            back.push(key_login(login));
        }
        for key in back {
            if let Some(failures) = keys.get_mut(&key) {
                failures.count = failures.count.saturating_sub(1);
            }
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
        assert!(throttle.keys.lock().unwrap().len() <= KEYS_MAX + 2);
    }

    #[test]
    fn of_a_hundred_at_once_five_get_through() {
        let throttle = std::sync::Arc::new(Throttle::codes());
        let threads: Vec<_> = (0..100)
            .map(|_| {
                let throttle = throttle.clone();
                std::thread::spawn(move || throttle.enter("a", "", Timestamp(5)).is_ok())
            })
            .collect();
        assert_eq!(threads.into_iter().map(|thread| thread.join().unwrap()).filter(|entered| *entered).count(), 5);
    }

    #[test]
    fn the_days_brake_is_not_loosened_by_the_owner() {
        let throttle = Throttle::codes_day();
        for n in 0..19 {
            assert!(throttle.enter("a", "", Timestamp(n)).is_ok());
        }
        throttle.enter("a", "", Timestamp(20)).unwrap();
        throttle.succeeded("a", "");
        assert!(throttle.enter("a", "", Timestamp(21)).is_ok() && throttle.enter("a", "", Timestamp(22)).is_err());
        assert!(throttle.enter("a", "", Timestamp(Timestamp::DAY)).is_ok());
    }
}
