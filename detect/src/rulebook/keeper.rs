//! The next rule book: looks every few seconds whether a rule file, a rule's state or a filter has changed, puts the rules
//! together anew, numbers the book, and notes in the audit log that it came into force. A file that is still being written
//! is waited for: it counts when it has stood still from one look to the next.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ingest::audit::{NewAudit, audit_add};
use ingest::db::{Db, DbError};
use ingest::state::{state_load, state_save};
use ingest::time::{Clock, Timestamp};
use serde_json::{Value, json};

use super::evidence::evidence_run;
use super::state::rule_states;
use super::tuning::{Tuning, tuning_in_force};
use super::{FailedBook, RuleState, Rulebook, SharedRulebook};
use crate::sigma::{RuleSet, Stamp, stamps_of, texts_of};

/// How often the files' times are looked at: what somebody saves is in force before he has opened the page.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The name under which the number of the book in force is kept.
const STATE: &str = "rulebook";
/// Refusals that the audit log names; the page shows all.
const REFUSED_NOTED_MAX: usize = 20;

/// What the database says of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wishes {
    states: BTreeMap<String, RuleState>,
    tunings: Vec<Tuning>,
}

impl Wishes {
    fn load(db: &Db, now: Timestamp) -> Result<Self, DbError> {
        let (stands, tunings) = db.read(|c| Ok::<_, DbError>((rule_states(c)?, tuning_in_force(c, now)?)))?;
        let states = stands.into_iter().filter(|(_, stand)| stand.state != RuleState::On).map(|(rule, stand)| (rule, stand.state));
        Ok(Self { states: states.collect(), tunings })
    }
}

/// A book without its number, and by what the same one is known again.
struct Composed {
    book: Rulebook,
    fingerprint: u64,
    /// Rules that are not shipped.
    own: usize,
}

fn compose(dirs: &[PathBuf], wishes: &Wishes) -> Composed {
    let (mut texts, mut refused) = texts_of(dirs);
    texts.extend(wishes.tunings.iter().map(|tuning| (tuning.file(), tuning.text.clone())));
    let mut hasher = DefaultHasher::new();
    (&texts, wishes.states.iter().map(|(rule, state)| (rule, state.as_str())).collect::<Vec<_>>()).hash(&mut hasher);
    let (set, errors) = RuleSet::shipped_beside(texts.iter().cloned());
    // An update of the program brings other shipped rules: that is another book.
    set.rules().iter().for_each(|compiled| (&compiled.rule.id, &compiled.rule.title, compiled.line).hash(&mut hasher));
    refused.extend(errors);
    refused.sort();
    let texts: BTreeMap<String, String> = texts.into_iter().collect();
    let evidence = evidence_run(&set, |compiled| texts.contains_key(&compiled.file));
    let own = set.rules().iter().filter(|compiled| texts.contains_key(&compiled.file)).count();
    let mut book = Rulebook::new(set, refused, wishes.states.clone(), texts);
    book.evidence = evidence;
    Composed { book, fingerprint: hasher.finish(), own }
}

/// Puts the rules of these folders together, without a database: for commands.
pub fn rulebook_compose(dirs: &[PathBuf]) -> Rulebook {
    compose(dirs, &Wishes::default()).book
}

/// The book to begin with; what is refused in it is logged.
///
/// # Errors
/// The database's own.
fn rulebook_open(db: &Db, dirs: &[PathBuf], now: Timestamp) -> Result<Rulebook, DbError> {
    let Composed { mut book, fingerprint, .. } = compose(dirs, &Wishes::load(db, now)?);
    book.set.remarks().iter().for_each(|remark| tracing::warn!(%remark, "a rule may be meant otherwise"));
    book.refused.iter().for_each(|error| tracing::error!(%error, "a rule is refused and left out"));
    // On a full disk the program starts all the same, with a number that it has to find again.
    if let Err(error) = number(db, &mut book, fingerprint, now) {
        tracing::error!(%error, "the rule book's number could not be kept");
    }
    Ok(book)
}

/// Gives the book the number and the time that it had, or the next ones, and notes those.
fn number(db: &Db, book: &mut Rulebook, fingerprint: u64, now: Timestamp) -> Result<(), DbError> {
    let known = db.read(|c| state_load(c, STATE))?;
    let of = |key: &str| known.as_ref().and_then(|known| known.get(key)).and_then(Value::as_i64);
    let (last, since) = (of("number").unwrap_or(0), of("since").unwrap_or(now.0));
    if known.as_ref().and_then(|known| known.get("fingerprint")).and_then(Value::as_u64) == Some(fingerprint) {
        (book.number, book.since) = (u64::try_from(last).unwrap_or(0), Timestamp(since));
        return Ok(());
    }
    (book.number, book.since) = (u64::try_from(last + 1).unwrap_or(1), now);
    let state = json!({ "number": book.number, "since": now.0, "fingerprint": fingerprint });
    let refused: Vec<String> = book.refused.iter().take(REFUSED_NOTED_MAX).map(ToString::to_string).collect();
    let detail = json!({ "rules": book.set.rules().len(), "refused": book.refused.len(), "why": refused });
    let audit = NewAudit { actor: "system".into(), kind: "rulebook.loaded", object: format!("rulebook:{}", book.number), detail };
    // The first one of a new house is no change.
    let first = known.is_none();
    db.write(move |tx| {
        state_save(tx, STATE, &state)?;
        if first { Ok(()) } else { audit_add(tx, now, &audit).map(drop) }
    })
}

/// What the keeper needs.
pub struct Rulekeeping {
    pub db: Db,
    pub dirs: Vec<PathBuf>,
    pub clock: Clock,
    pub shared: SharedRulebook,
    seen: Seen,
}

/// What the book in force was made of.
#[derive(Default)]
struct Seen {
    stamps: Vec<Stamp>,
    wishes: Wishes,
    /// Changed files that are waited for.
    moving: Option<Vec<Stamp>>,
}

impl Rulekeeping {
    /// With the book to begin with, in `shared`.
    ///
    /// # Errors
    /// The database's own.
    pub fn open(db: Db, dirs: Vec<PathBuf>, clock: Clock) -> Result<Self, DbError> {
        let now = clock.now();
        // Before the rules are read: what changes meanwhile is seen at the next look.
        let seen = Seen { stamps: stamps_of(&dirs), wishes: Wishes::load(&db, now)?, moving: None };
        let shared = SharedRulebook::new(rulebook_open(&db, &dirs, now)?);
        Ok(Self { db, dirs, clock, shared, seen })
    }

    /// For a book that is there already: the next look takes everything anew.
    pub fn beside(db: Db, dirs: Vec<PathBuf>, clock: Clock, shared: SharedRulebook) -> Self {
        // No file is called so; whatever there is differs from it.
        let seen = Seen { stamps: vec![(PathBuf::new(), 0, 0)], ..Seen::default() };
        Self { db, dirs, clock, shared, seen }
    }

    /// Takes what has changed; says whether there is another book now. Who was `asked` does not wait for files to stand still.
    ///
    /// # Errors
    /// The database's own; the book in force stays then.
    pub fn look(&mut self, asked: bool) -> Result<bool, DbError> {
        let now = self.clock.now();
        let (stamps, wishes) = (stamps_of(&self.dirs), Wishes::load(&self.db, now)?);
        let touched = stamps != self.seen.stamps;
        if !touched && wishes == self.seen.wishes {
            self.seen.moving = None;
            return Ok(false);
        }
        if touched && !asked && self.seen.moving.as_ref() != Some(&stamps) {
            self.seen.moving = Some(stamps);
            return Ok(false);
        }
        let before = self.shared.get();
        let own_before = before.set.rules().iter().filter(|compiled| !before.is_shipped(compiled)).count();
        let Composed { mut book, fingerprint, own } = compose(&self.dirs, &wishes);
        self.seen = Seen { stamps, wishes, moving: None };
        if own == 0 && own_before > 0 && !book.refused.is_empty() {
            tracing::error!(refused = book.refused.len(), "of the own rules none compiles any more: the rules in force stay");
            self.shared.failed_set(FailedBook { at: now, refused: book.refused });
            return Ok(false);
        }
        number(&self.db, &mut book, fingerprint, now)?;
        book.refused.iter().for_each(|error| tracing::error!(%error, "a rule is refused and left out"));
        tracing::info!(number = book.number, rules = book.set.rules().len(), refused = book.refused.len(), "rules in force");
        self.shared.set(book);
        Ok(true)
    }
}

/// The thread that looks; it ends when this is dropped.
pub struct RuleKeeper {
    shared: SharedRulebook,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl RuleKeeper {
    /// # Errors
    /// Where no thread can be had.
    pub fn start(mut keeping: Rulekeeping) -> std::io::Result<Self> {
        let (shared, stop) = (keeping.shared.clone(), Arc::new(AtomicBool::new(false)));
        let ended = stop.clone();
        let work = move || {
            loop {
                let asked = keeping.shared.wait(LOOK_EVERY);
                if ended.load(Ordering::Acquire) {
                    return;
                }
                if let Err(error) = keeping.look(asked) {
                    tracing::error!(%error, "the rules could not be looked after; trying again");
                }
            }
        };
        let thread = std::thread::Builder::new().name("rules".into()).spawn(work)?;
        Ok(Self { shared, stop, thread: Some(thread) })
    }
}

impl Drop for RuleKeeper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use ingest::audit::{AuditFilter, audit_find};

    use super::*;
    use crate::role::Role;
    use crate::rulebook::{NewTuning, StateChange, Term, rule_state_set, tuning_add};

    const START: Timestamp = Timestamp(1_795_248_000_000);

    struct House {
        db: Db,
        clock: Clock,
        shared: SharedRulebook,
        keeping: Rulekeeping,
        dir: tempfile::TempDir,
    }

    impl House {
        fn new(files: &[(&str, &str)]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let owners = [ingest::audit::MIGRATIONS, ingest::state::MIGRATIONS, crate::rulebook::MIGRATIONS, crate::watch::MIGRATIONS];
            let db = Db::open(&dir.path().join("w.db"), &owners).unwrap();
            let rules = dir.path().join("rules");
            std::fs::create_dir_all(&rules).unwrap();
            files.iter().for_each(|(name, text)| std::fs::write(rules.join(name), text).unwrap());
            let clock = Clock::manual(START);
            let keeping = Rulekeeping::open(db.clone(), vec![rules], clock.clone()).unwrap();
            Self { db, clock, shared: keeping.shared.clone(), keeping, dir }
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.dir.path().join("rules").join(name), text).unwrap();
        }

        /// The book's number, the own rules in force, and what is refused.
        fn stands(&self) -> String {
            let book = self.shared.get();
            let own: Vec<&str> = book.in_force().filter(|one| !book.is_shipped(one)).map(|one| one.rule.name.as_str()).collect();
            let place = |error: &crate::sigma::RuleError| format!("{}:{}", error.file.rsplit('/').next().unwrap_or_default(), error.line);
            format!("{} {own:?} {:?}", book.number, book.refused.iter().map(place).collect::<Vec<_>>())
        }
    }

    fn rule(name: &str, user: &str) -> String {
        format!("title: T\nname: {name}\nlogsource: {{product: linux}}\ndetection: {{s: {{user.name: {user}}}, condition: s}}\n")
    }

    #[test]
    fn a_change_comes_into_force_when_the_file_stands_still() {
        let mut house = House::new(&[("a.yml", &rule("a", "x"))]);
        assert_eq!(house.stands(), r#"1 ["a"] []"#);
        assert!(!house.keeping.look(false).unwrap(), "nothing has changed");
        house.write("b.yml", &rule("b", "y"));
        assert!(!house.keeping.look(false).unwrap(), "it may still be being written");
        house.write("b.yml", &rule("b", "longer"));
        assert!(!house.keeping.look(false).unwrap(), "and indeed");
        assert!(house.keeping.look(false).unwrap());
        assert_eq!(house.stands(), r#"2 ["a", "b"] []"#);
        house.write("b.yml", &rule("b", "nobody waits for it"));
        assert!(house.keeping.look(true).unwrap(), "who asks gets it at once");
        assert_eq!(house.stands(), r#"3 ["a", "b"] []"#);
    }

    #[test]
    fn a_refused_rule_is_left_out_and_named_and_none_at_all_changes_nothing() {
        let mut house = House::new(&[("a.yml", &rule("a", "x")), ("b.yml", &rule("b", "y"))]);
        house.write("b.yml", "title: T\nname: b\nlogsource: {product: linux}\ndetection: {s: {user.nam: x}, condition: s}\n");
        assert!(house.keeping.look(true).unwrap());
        assert_eq!(house.stands(), r#"2 ["a"] ["b.yml:4"]"#);
        house.write("a.yml", "title: [");
        assert!(!house.keeping.look(true).unwrap());
        assert_eq!(house.stands(), r#"2 ["a"] ["b.yml:4"]"#, "the book in force stays");
        assert_eq!(house.shared.failed().unwrap().refused.len(), 2, "and says why");
        house.write("a.yml", &rule("a", "z"));
        assert!(house.keeping.look(true).unwrap());
        assert_eq!((house.stands().as_str(), house.shared.failed()), (r#"3 ["a"] ["b.yml:4"]"#, None));
    }

    #[test]
    fn states_and_filters_come_into_force_and_filters_end() {
        let mut house = House::new(&[("a.yml", &rule("a", "x"))]);
        let set = |house: &House, state| {
            let change = StateChange { rule: "a".into(), state, reason: "zu laut".into() };
            house.db.write(move |tx| rule_state_set(tx, &change, "u", Role::Lead, START)).unwrap();
        };
        set(&house, RuleState::Off);
        assert!(house.keeping.look(false).unwrap(), "no file has to stand still for it");
        assert_eq!(house.stands(), "2 [] []");
        set(&house, RuleState::Probe);
        assert!(house.keeping.look(false).unwrap());
        assert!(house.shared.get().probes("a") && house.stands() == r#"3 ["a"] []"#);
        let term = Term { field: "source.ip".into(), values: vec!["10.0.0.9".into()] };
        let expires_at = START.plus(Timestamp::DAY);
        let new = NewTuning { rule: "a".into(), terms: vec![term], reason: "Prüfer".into(), expires_at };
        let book = house.shared.get();
        house.db.write(move |tx| tuning_add(tx, &book.set, &new, "u", Role::Analyst, START)).unwrap();
        assert!(house.keeping.look(false).unwrap());
        assert_eq!(house.stands(), r#"4 ["a"] []"#);
        house.clock.set(expires_at);
        assert!(house.keeping.look(false).unwrap(), "its time is over");
        assert_eq!(house.stands(), r#"5 ["a"] []"#);
    }

    #[test]
    fn the_number_goes_on_over_a_restart_and_each_change_is_noted() {
        let mut house = House::new(&[("a.yml", &rule("a", "x"))]);
        house.write("a.yml", &rule("a", "yy"));
        assert!(house.keeping.look(true).unwrap());
        let dirs = house.keeping.dirs.clone();
        let again = |at: Timestamp| {
            let book = rulebook_open(&house.db, &dirs, at).unwrap();
            (book.number, book.since)
        };
        assert_eq!(again(START.plus(5)), (2, START), "the same rules are the same book");
        house.write("a.yml", &rule("a", "zzz"));
        assert_eq!(again(START.plus(7)), (3, START.plus(7)), "changed while the program was off");
        let noted = house.db.read(|c| audit_find(c, &AuditFilter { limit: 10, ..AuditFilter::default() })).unwrap();
        let objects: Vec<&str> = noted.rows.iter().map(|row| row.object.as_str()).collect();
        assert_eq!(objects, ["rulebook:3", "rulebook:2"]);
    }
}
