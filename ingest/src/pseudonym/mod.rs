//! Pseudonyms (Art. 4 Nr. 5, Art. 25 DSGVO): what the event store keeps in the place of accounts, mail addresses and
//! internal addresses, where the operator says so. The journal keeps what was received for its own keep time, and rules
//! read the real values before; both are decided and explained in docs/decisions/005-pseudonyms-in-the-store.md.
//!
//! This module hides, finds and opens values. Who may have one opened is the dashboard's affair, by two persons.

mod address;
mod asked;
mod bare;
mod keyring;
mod rewrite;
mod token;

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use crate::body::Prefix;
use crate::event::Event;
use crate::frame::{Frame, Seq};
use crate::query::Query;
use crate::time::Timestamp;

pub use keyring::{Addresses, KEY_FILE, KeyId, KeyIdError, KeyRow, Keyring, KeyringError, Plan};
pub use rewrite::{Sort, sort};
pub use token::{TokenError, VALUE_BYTES_MAX, is_token};

pub(crate) use bare::bare_event;

use address::Zones;
use keyring::ClassKey;
use rewrite::Rewriter;

/// What the configuration says; what it does not say stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub enabled: Option<bool>,
    pub users: Option<bool>,
    pub mails: Option<bool>,
    pub addresses: Option<Addresses>,
}

/// The keys and plans of one data directory, in use.
pub struct Pseudonyms {
    dir: PathBuf,
    state: RwLock<Arc<State>>,
}

#[derive(Default)]
struct State {
    keys: Vec<ClassKey>,
    /// Keys that are no more.
    forgotten: Vec<KeyId>,
    plans: Vec<(Plan, Zones)>,
}

impl State {
    fn of(ring: &Keyring) -> Self {
        let zones = |plan: &Plan| Zones::new(&plan.prefixes.iter().filter_map(|text| text.parse().ok()).collect::<Vec<Prefix>>());
        Self {
            keys: ring.derive(),
            forgotten: ring.keys.iter().filter(|row| row.is_forgotten()).map(|row| row.id).collect(),
            plans: ring.plans.iter().map(|plan| (plan.clone(), zones(plan))).collect(),
        }
    }

    /// What is in force for a sequence.
    fn plan(&self, seq: Seq) -> Option<&(Plan, Zones)> {
        self.plans.iter().rev().find(|(plan, _)| plan.since <= seq)
    }

    /// The key with which a class hides what comes at a sequence. Where that one was destroyed, the next.
    fn key(&self, class: &str, seq: Seq) -> Option<&ClassKey> {
        let of_class = || self.keys.iter().filter(|key| &*key.text.class == class);
        of_class().rfind(|key| key.since <= seq).or_else(|| of_class().next())
    }
}

impl Pseudonyms {
    /// What is in the folder `keys` of a data directory; where there is nothing, nothing is hidden and nothing is made.
    ///
    /// # Errors
    /// A key file that cannot be used.
    pub fn open(dir: &Path) -> Result<Self, KeyringError> {
        let state = Keyring::load(dir)?.map(|ring| State::of(&ring)).unwrap_or_default();
        Ok(Self { dir: dir.to_owned(), state: RwLock::new(Arc::new(state)) })
    }

    /// Applies the configuration to what comes from `since` on. Makes the keys at first use; what was hidden or not before
    /// stays as it is.
    ///
    /// # Errors
    /// A key file that cannot be used or written.
    pub fn begin(&self, wanted: Wanted, classes: &[&str], prefixes: &[Prefix], since: Seq, now: Timestamp) -> Result<(), KeyringError> {
        let ring = Keyring::load(&self.dir)?;
        if ring.is_none() && wanted.enabled != Some(true) {
            return Ok(());
        }
        let mut ring = ring.unwrap_or_else(|| Keyring::new(&self.dir));
        let before = ring.plans.last();
        let mut prefixes: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let plan = Plan {
            since,
            at: now,
            on: wanted.enabled.or(before.map(|plan| plan.on)).unwrap_or(false),
            users: wanted.users.or(before.map(|plan| plan.users)).unwrap_or(true),
            mails: wanted.mails.or(before.map(|plan| plan.mails)).unwrap_or(true),
            addresses: wanted.addresses.or(before.map(|plan| plan.addresses)).unwrap_or_default(),
            prefixes,
        };
        let mut changed = false;
        if !before.is_some_and(|before| before.is_as(&plan)) {
            ring.plans.push(plan.clone());
            changed = true;
        }
        for class in classes.iter().filter(|_| plan.on) {
            if !ring.keys.iter().any(|row| row.class == *class && !row.is_forgotten()) {
                ring.add(class, since, now);
                changed = true;
            }
        }
        if changed {
            ring.save()?;
        }
        self.set(&ring);
        Ok(())
    }

    fn set(&self, ring: &Keyring) {
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(State::of(ring));
    }

    fn state(&self) -> Arc<State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is in force for what comes now; `None` where nothing ever was hidden.
    pub fn plan(&self) -> Option<Plan> {
        self.state().plans.last().map(|(plan, _)| plan.clone())
    }

    /// Whether the store may hold pseudonyms: now or from an earlier time.
    pub fn any(&self) -> bool {
        self.state().plans.iter().any(|(plan, _)| plan.on)
    }

    /// The event as the store keeps it, and whether only its fields could be kept. `redecode` decodes a frame again.
    pub(crate) fn hide(&self, class: &str, frame: Option<&Frame>, event: &Event, redecode: &dyn Fn(&Frame) -> Option<Event>) -> Hidden {
        let state = self.state();
        let Some((plan, zones)) = state.plan(event.seq).filter(|(plan, _)| plan.on) else { return Hidden::Plain };
        // A plan that is on without a key would be a store that shows what it must not: only the fields without persons.
        Rewriter { plan, zones, key: state.key(class, event.seq) }.hide(frame, event, redecode)
    }

    /// The event as the store of `class` keeps it: what may be shown of it. `redecode` decodes a frame again.
    pub fn as_kept(&self, class: &str, frame: Option<&Frame>, event: &Event, redecode: &dyn Fn(&Frame) -> Option<Event>) -> Event {
        match self.hide(class, frame, event, redecode) {
            Hidden::Plain => event.clone(),
            Hidden::Line(event) | Hidden::Bare(event) => event,
        }
    }

    /// The tokens of a value under every key that is in force or was: how a value is found again.
    pub fn tokens(&self, value: &str) -> Vec<String> {
        let state = self.state();
        state.keys.iter().map(|key| key.text.token(value)).collect()
    }

    /// What stands behind a token.
    ///
    /// # Errors
    /// A text that is no token, or one that does not open.
    pub fn open_token(&self, token: &str) -> Result<String, TokenError> {
        let parts = token::parts(token)?;
        let state = self.state();
        match state.keys.iter().find(|key| key.text.id == parts.id) {
            Some(key) => key.text.open(&parts.body),
            None if state.forgotten.contains(&parts.id) => Err(TokenError::Forgotten),
            None => Err(TokenError::UnknownKey),
        }
    }

    /// Whose addresses are hidden in stored events of this sequence.
    pub fn hidden_addresses(&self, seq: Seq) -> Addresses {
        self.state().plan(seq).filter(|(plan, _)| plan.on).map_or(Addresses::None, |(plan, _)| plan.addresses)
    }

    /// Whether an address of a stored event is a pseudonym.
    pub fn is_hidden(&self, address: IpAddr, seq: Seq) -> bool {
        self.state().plan(seq).is_some_and(|(plan, zones)| plan.on && rewrite::is_personal(address.to_canonical(), plan, zones))
    }

    /// The address behind one that a stored event of `class` with this sequence shows.
    ///
    /// # Errors
    /// Where it is no pseudonym, or its key is no more.
    pub fn open_address(&self, class: &str, address: IpAddr, seq: Seq) -> Result<IpAddr, TokenError> {
        let (address, state) = (address.to_canonical(), self.state());
        let (plan, zones) = state.plan(seq).ok_or(TokenError::NotAToken)?;
        if !plan.on || !rewrite::is_personal(address, plan, zones) {
            return Err(TokenError::NotAToken);
        }
        // The address itself does not say which key hid it: only the one of that time is right.
        let key = state.keys.iter().rfind(|key| &*key.text.class == class && key.since <= seq).ok_or(TokenError::Forgotten)?;
        Ok(key.pan.show(address, zones))
    }

    /// A query that also finds what is hidden: each value of a personal field is asked for as its tokens too.
    pub fn asked(&self, query: &Query) -> Query {
        asked::asked(&self.state(), query)
    }

    /// The query with pseudonyms in the place of the real values that it asks for; `None` where it asks for none.
    pub fn masked(&self, query: &Query) -> Option<Query> {
        let masked = asked::masked(&self.state(), query);
        (masked != *query).then_some(masked)
    }
}

/// What became of an event on its way into the store.
#[derive(Debug)]
pub(crate) enum Hidden {
    /// Nothing in it was to be hidden.
    Plain,
    /// The line with pseudonyms in it, decoded again.
    Line(Event),
    /// Only the fields (`Defect::PseudonymisedLine`).
    Bare(Event),
}
