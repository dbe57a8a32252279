//! kill -9 while the event store indexes, merges, seals, mends, forgets and lets days go. Each kill waits until the disk shows
//! that what it is aimed at is under way, and what it left half done is counted: a suite that no longer hits says so.
//! Afterwards every event is there once, or its day went and the deletion log says so, or it is forgotten for good.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::load::{Load, Numbers, Sent};
use super::store_phase::{Before, Phase};
use super::{Random, accounted_for};
use crate::program::{Server, Setup, json_lines, wartburg};

/// Rounds on one data directory, as in `kill`.
const ROUNDS_PER_DIR: u64 = 12;
/// By hand each once; a hundred by `WARTBURG_STORE_KILLS=100`.
const ROUNDS: u64 = 12;
/// From so many kills on each phase must have been hit twice at least; with fewer it is up to chance.
const ROUNDS_TO_JUDGE: u64 = 60;
/// How long is waited for what a kill is aimed at; then it comes without.
const AIM: Duration = Duration::from_secs(4);

/// What a kill is aimed at, in turn.
const AIMS: [Phase; 12] = [
    Phase::Index,
    Phase::Merge,
    Phase::Retention,
    Phase::Rebuild,
    Phase::Start,
    Phase::Seal,
    Phase::Hold,
    Phase::Forget,
    Phase::Index,
    Phase::Rebuild,
    Phase::Merge,
    Phase::Forget,
];

#[test]
fn no_event_is_lost_or_doubled_by_kills_of_the_upkeep() {
    let rounds = std::env::var("WARTBURG_STORE_KILLS").map_or(ROUNDS, |rounds| rounds.parse().expect("WARTBURG_STORE_KILLS is a number"));
    let mut random = Random::seeded("no_event_is_lost_or_doubled_by_kills_of_the_upkeep");
    let (mut done, mut found, mut hit) = (0, 0, BTreeMap::<Phase, u64>::new());
    while done < rounds {
        let dir = tempfile::tempdir().unwrap();
        let mut case = Case::new(dir.path());
        for aim in AIMS.iter().take(usize::try_from(ROUNDS_PER_DIR.min(rounds - done)).unwrap()) {
            for phase in case.kill(*aim, &mut random) {
                *hit.entry(phase).or_default() += 1;
            }
            done += 1;
        }
        found += case.close();
        println!("{done} kills so far, half done were: {hit:?}");
    }
    println!("{done} kills, {found} lines of the load found, each once; half done were: {hit:?}");
    if rounds >= ROUNDS_TO_JUDGE {
        let missed: Vec<_> = Phase::ALL.into_iter().filter(|phase| !hit.contains_key(phase)).collect();
        assert!(missed.is_empty(), "no kill came while {missed:?} was under way");
    }
}

/// A data directory and what must be found in it at the end.
struct Case {
    data: PathBuf,
    old: Vec<Old>,
    numbers: Numbers,
    sent: Sent,
    /// How many retentions there were: each lets two days more go.
    retained: u64,
    /// The persons that were asked to be forgotten.
    forgotten: u64,
}

/// A line of a day that is over for long.
struct Old {
    mark: String,
    goes: bool,
    held: bool,
    person: Option<u64>,
}

/// Days are sealed as soon as they are over, and looked after each second. The load's own days are over for long.
fn setup(keep_days: u64) -> Setup {
    let config = format!("[retention]\nseal_days = 0\ncheck_seconds = 1\ndefault_days = {keep_days}\n");
    Setup { config, ..Setup::default() }
}

/// So much is kept that nothing goes.
const ALL_DAYS: u64 = 3_650;

impl Case {
    fn new(dir: &Path) -> Self {
        let data = dir.join("data");
        let old = old_days(&data, dir);
        let hold = wartburg(&data, &["store", "hold", "add", "heldmark", "--reason", "Test"]);
        assert!(hold.status.success(), "{}", String::from_utf8_lossy(&hold.stderr));
        let user = wartburg(&data, &["user", "invite", "leitung", "--name", "Leitung", "--role", "lead"]);
        assert!(user.status.success(), "{}", String::from_utf8_lossy(&user.stderr));
        Self { data, old, numbers: Numbers::default(), sent: Sent::default(), retained: 0, forgotten: 0 }
    }

    /// One kill; what it left half done.
    fn kill(&mut self, aim: Phase, random: &mut Random) -> BTreeSet<Phase> {
        match aim {
            Phase::Start => return self.kill_at_start(random),
            // New segments for days that were sealed, so that there is something to merge.
            Phase::Merge | Phase::Seal => {
                let server = Server::start_as(&self.data, &setup(ALL_DAYS));
                self.load(&server, Duration::from_millis(300));
                assert!(server.terminate(), "SIGTERM must end well");
            }
            Phase::Rebuild => break_a_day(&self.data, random),
            // Of a damaged day nobody knows what is in it: it must be mended before.
            Phase::Forget => self.mend(),
            _ => {}
        }
        if matches!(aim, Phase::Retention | Phase::Hold) {
            self.retained += 1;
        }
        let keep = if self.retained > 0 { 349 - 2 * self.retained } else { ALL_DAYS };
        let before = Before::look(&self.data);
        let server = Server::start_as(&self.data, &setup(keep));
        let mut asked = None;
        match aim {
            Phase::Index => {
                self.load(&server, Duration::from_millis(200 + random.below(500)));
                server.ask_to_end();
            }
            // All days, sound ones as well, while they take in events; or the one that is broken.
            Phase::Rebuild if random.below(2) == 0 => {
                asked = Some(ask(&self.data, &["store", "rebuild", "--class", "standard"]));
                self.load(&server, Duration::from_millis(100 + random.below(1_500)));
            }
            Phase::Rebuild => asked = Some(ask(&self.data, &["store", "rebuild"])),
            Phase::Forget => {
                let query = format!("\"person{:02}\"", self.forgotten);
                self.forgotten += 1;
                asked = Some(ask(&self.data, &["store", "forget", &query, "--by", "leitung", "--reason", "Az. 1", "--yes"]));
            }
            _ => {}
        }
        let pause = Duration::from_millis(1);
        let tries = AIM.as_millis() / pause.as_millis();
        let _ = (0..tries).any(|_| before.left(&self.data, aim).contains(&aim) || (std::thread::sleep(pause), false).1);
        // Half of them at once, the others a moment later: a step further on.
        if random.below(2) == 0 {
            std::thread::sleep(Duration::from_millis(random.below(1_200)));
        }
        server.kill();
        if let Some(mut asked) = asked {
            asked.kill().unwrap();
            asked.wait().unwrap();
        }
        before.left(&self.data, aim)
    }

    fn mend(&self) {
        let mended = wartburg(&self.data, &["store", "rebuild"]);
        assert!(mended.status.success(), "{}{}", String::from_utf8_lossy(&mended.stdout), String::from_utf8_lossy(&mended.stderr));
    }

    fn load(&mut self, server: &Server, time: Duration) {
        let load = Load::start(server, &self.numbers);
        std::thread::sleep(time);
        self.sent.add(load.stop());
    }

    /// What is killed here is what brings to its end what the kills before left.
    fn kill_at_start(&self, random: &mut Random) -> BTreeSet<Phase> {
        let mut child = Server::spawn(&self.data, &setup(ALL_DAYS));
        std::thread::sleep(Duration::from_millis(random.below(250)));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(!said.contains("panicked"), "{said}");
        if said.contains("serving") { BTreeSet::new() } else { BTreeSet::from([Phase::Start]) }
    }

    /// A start, so that what was killed is brought to its end; then everything that is broken is mended and held against what
    /// was sent. How many lines of the load were found.
    fn close(self) -> usize {
        let server = Server::start_as(&self.data, &setup(ALL_DAYS));
        let open = || json_lines(&self.data, &["store", "deletions", "--json"]).iter().filter(|row| row["state"] == "open").count();
        super::until("what is to be forgotten is forgotten", || open() == 0);
        assert!(server.terminate(), "SIGTERM must end well");
        self.mend();
        // And once more, where nothing is broken: what is forgotten or gone does not come back.
        let anew = wartburg(&self.data, &["store", "rebuild", "--class", "standard"]);
        assert!(anew.status.success(), "{}{}", String::from_utf8_lossy(&anew.stdout), String::from_utf8_lossy(&anew.stderr));
        let verified = wartburg(&self.data, &["store", "verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
        self.old_are_there_or_gone();
        if self.sent.acknowledged.is_empty() { 0 } else { accounted_for(&self.data, &self.sent) }
    }

    /// What may not go is there once; what may go is there once or not at all, and then the log knows how many went. Of a
    /// person whose events were forgotten there is nothing, unless the command was killed before it had asked.
    fn old_are_there_or_gone(&self) {
        let mut found: Vec<String> = Vec::new();
        for event in json_lines(&self.data, &["search", "oldmark*", "--json", "--limit", "1000000"]) {
            let text = event["_raw"].as_str().unwrap_or_default();
            let at = text.find("oldmark").unwrap_or_else(|| panic!("{event}"));
            found.push(text[at..at + "oldmark00000".len()].to_owned());
        }
        let once: BTreeSet<&String> = found.iter().collect();
        assert_eq!(once.len(), found.len(), "found more than once");
        let rows = json_lines(&self.data, &["store", "deletions", "--json"]);
        let number = |row: &serde_json::Value, key: &str| row[key].as_u64().unwrap_or_else(|| panic!("{key}: {row}"));
        let (forgotten, gone): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.get("digest").is_some());
        let mut said: Vec<u64> = forgotten.iter().filter(|row| row["state"] == "done").map(|row| number(row, "events")).collect();
        let mut missing: BTreeMap<u64, u64> = BTreeMap::new();
        let asked = |old: &&Old| old.person.is_some_and(|person| person < self.forgotten);
        for old in self.old.iter().filter(asked) {
            *missing.entry(old.person.unwrap()).or_default() += u64::from(!once.contains(&old.mark));
        }
        // Each person's are all there or all gone, and as many as a record says.
        let mut all: BTreeMap<u64, u64> = BTreeMap::new();
        self.old.iter().filter(asked).for_each(|old| *all.entry(old.person.unwrap()).or_default() += 1);
        for (person, missing) in missing.into_iter().filter(|(_, missing)| *missing > 0) {
            assert_eq!(missing, all[&person], "person {person} is half forgotten");
            let at = said.iter().position(|said| *said == missing);
            said.remove(at.unwrap_or_else(|| panic!("no record of {missing} events of person {person}: {rows:?}")));
        }
        let kept = |old: &&Old| !asked(old) && (!old.goes || old.held);
        let lost: Vec<_> = self.old.iter().filter(kept).filter(|old| !once.contains(&old.mark)).map(|old| &old.mark).collect();
        assert!(lost.is_empty(), "{} lost: {:?} …", lost.len(), super::first(&lost));
        let went = self.old.iter().filter(|old| old.goes && !once.contains(&old.mark)).count() as u64;
        let documents: u64 = gone.iter().map(|row| number(row, "documents") - number(row, "held")).sum();
        assert!(went <= documents, "{went} are gone, the deletion log knows of {documents}");
    }
}

/// Lines of ten days almost a year ago and of five after, imported in three parts so that each day has several segments: all
/// days are over and to be sealed; the first go one after another. In each some lines are held; in the latter some are of
/// persons that are forgotten later.
fn old_days(data: &Path, dir: &Path) -> Vec<Old> {
    let mut lines = Vec::new();
    let now = ingest::time::Clock::system().now();
    for part in 0..3u64 {
        let (file, mut text) = (dir.join(format!("old{part}.ndjson")), String::new());
        for n in (0..2_400).filter(|n| n % 3 == part) {
            let goes = n % 2 == 0;
            let days = if goes { 340 + n / 2 % 10 } else { 100 + n / 2 % 5 };
            let at = now.plus(-i64::try_from(days).unwrap() * ingest::time::Timestamp::DAY);
            let old = Old {
                mark: format!("oldmark{n:05}"),
                goes,
                held: goes && n % 26 == 0,
                // Each has another number of lines, by which its record is known.
                person: Some(n / 2 % 400)
                    .filter(|_| !goes)
                    .and_then(|at| (0..8).find(|person| (person * 20..person * 21 + 3).contains(&at))),
            };
            let person = old.person.map(|person| format!(" person{person:02}")).unwrap_or_default();
            let message = format!("{}{}{person}", old.mark, if old.held { " heldmark" } else { "" });
            text += &format!("{}\n", serde_json::json!({ "@timestamp": at.rfc3339(), "message": message }));
            lines.push(old);
        }
        std::fs::write(&file, text).unwrap();
        let imported = wartburg(data, &["import", file.to_str().unwrap()]);
        assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    }
    lines
}

/// A command that asks a running server for something; it is killed as well.
fn ask(data: &Path, args: &[&str]) -> std::process::Child {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wartburg"));
    command.env("RUST_LOG", "off").arg("--data").arg(data).args(args);
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
}

/// A file of some day disappears, or the whole day. Not of one that may go: nobody knows then how many were in it.
fn break_a_day(data: &Path, random: &mut Random) {
    let Ok(days) = std::fs::read_dir(data.join("events/standard")) else { return };
    let kept = ingest::time::Clock::system().now().plus(-200 * ingest::time::Timestamp::DAY).utc().format("%Y-%m-%d").to_string();
    let mut days: Vec<_> =
        days.map(|day| day.unwrap().path()).filter(|day| day.file_name().unwrap().to_str().unwrap() > kept.as_str()).collect();
    days.sort();
    let Some(day) = days.get(usize::try_from(random.below(days.len().max(1) as u64)).unwrap()) else { return };
    if random.below(2) == 0 {
        std::fs::remove_dir_all(day).unwrap();
        return;
    }
    let files = std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path());
    if let Some(file) = files.into_iter().find(|file| file.extension().is_some_and(|kind| kind == "store")) {
        std::fs::remove_file(file).unwrap();
    }
}
