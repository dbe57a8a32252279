//! Regeln: the book in force, and all rules in a list that can be narrowed, sorted and turned over: what each is called, how
//! it stands, where its records come from, how often it fired. `rule` shows one, and how well it judges; `tuning`, `backtest` and `coverage` are what is done with them.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use detect::alert::{RuleRecord, rule_records, rules_fired};
use detect::flow::Section;
use detect::role::{Action, allowed};
use detect::rsit::Rsit;
use detect::rule::{Level, Rule};
use detect::rulebook::{RuleState, Rulebook, rule_states};
use detect::sigma::{CompiledRule, RuleError};
use ingest::db::DbError;
use ingest::time::Timestamp;

use crate::show::{self, Markup, Tone, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};
use crate::words::{self, t, tf, tn};

pub(in crate::web) mod backtest;
pub(in crate::web) mod coverage;
mod quality;
pub(in crate::web) mod rule;
pub(in crate::web) mod tuning;

/// How far back a rule's quality looks: 13 weeks, which people call 90 days.
const WEEKS: usize = 13;
const QUALITY_DAYS: i64 = 90;
/// Rules on one page.
const PAGE_ROWS: usize = 100;
/// Refusals on the page; `wartburg rules check` shows all.
const REFUSED_SHOWN: usize = 100;
/// Characters of a description in the list; the rule's page has all of it.
const DESCRIPTION_SHOWN: usize = 110;
/// What counts as lately.
const FIRED_DAYS: i64 = 30;
/// Log sources named of what a correlation counts.
const SOURCES_SHOWN: usize = 2;
/// Sampling exporters named on the page.
const EXPORTERS_SHOWN: usize = 20;

/// Where a rule comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Shipped,
    Own,
    Detector,
    House,
    /// It alerts nobody by itself; other rules count it.
    Part,
}

impl Origin {
    const ALL: [Self; 5] = [Self::Shipped, Self::Own, Self::Detector, Self::House, Self::Part];

    fn as_str(self) -> &'static str {
        match self {
            Self::Shipped => "mitgeliefert",
            Self::Own => "eigen",
            Self::Detector => "detektor",
            Self::House => "haus",
            Self::Part => "baustein",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Shipped => t("mitgeliefert"),
            Self::Own => t("eigene"),
            Self::Detector => t("Detektoren"),
            Self::House => t("Beobachtungen des Hauses"),
            Self::Part => t("Bausteine"),
        }
    }
}

/// A rule of whatever kind, as the list narrows and sorts it.
struct Item {
    name: String,
    title: String,
    description: String,
    level: Level,
    origin: Origin,
    kind: &'static str,
    /// Where its records come from.
    source: String,
    rsit: String,
    attack: Vec<String>,
    state: RuleState,
    record: RuleRecord,
    /// Alerts lately.
    fired: u64,
    /// Something about it needs a look: its evidence fails, its memory is full.
    alarm: &'static str,
}

impl Item {
    fn new(rule: &Rule, origin: Origin, kind: &'static str, source: String) -> Self {
        Self {
            name: rule.name.clone(),
            title: rule.title.clone(),
            description: rule.description.clone(),
            level: rule.level,
            origin,
            kind,
            source,
            rsit: rsit(rule),
            attack: rule.attack.clone(),
            state: RuleState::On,
            record: RuleRecord::default(),
            fired: 0,
            alarm: "",
        }
    }
}

struct Row {
    path: String,
    level: Markup,
    title: String,
    description: String,
    kind: &'static str,
    source: String,
    state: &'static str,
    /// It does not simply run.
    stands_out: bool,
    alarm: &'static str,
    fired: String,
    fired_href: String,
    last: Markup,
}

/// A detector's memory.
struct Memory {
    path: String,
    title: String,
    runs: bool,
    bytes: String,
    bytes_max: String,
    entries: String,
    dropped: String,
    left_out: String,
}

/// A heading that sorts.
struct Head {
    label: &'static str,
    href: String,
    direction: &'static str,
}

type Choice = (&'static str, &'static str, bool);

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage<'a> {
    frame: Frame,
    /// Which book, since when, how many.
    book: String,
    /// Why the last change did not come into force.
    failed: String,
    refused: Vec<RuleError>,
    refused_title: String,
    /// Correlations whose memory is full: (title, path).
    full: Vec<(String, String)>,
    summary: String,
    word: &'a str,
    technique: &'a str,
    levels: Vec<Choice>,
    states: Vec<Choice>,
    origins: Vec<Choice>,
    filtered: bool,
    may_try: bool,
    heads: Vec<Head>,
    rows: Vec<Row>,
    before: String,
    after: String,
    place: String,
    memories: Vec<Memory>,
    /// What is to be said of exporters that sample; empty where none does.
    sampled: String,
}

/// Where a rule's page is; an operator may call a rule whatever he likes.
pub(super) fn rule_path(name: &str) -> String {
    format!("/regel/{}", show::query_encode(name))
}

fn kind(rule: &CompiledRule) -> &'static str {
    match (rule.alerts, rule.is_correlation()) {
        (false, _) => t("Baustein"),
        (true, true) => t("Zusammenhang"),
        (true, false) => t("Einzelereignis"),
    }
}

fn detector_kind(section: &Section) -> &'static str {
    if section.enabled { t("Detektor über Datenflüssen") } else { t("Detektor, abgeschaltet") }
}

fn rsit(rule: &Rule) -> String {
    words::rsit(rule.rsit.parse().unwrap_or(Rsit::UNDETERMINED))
}

fn state_word(state: RuleState) -> &'static str {
    match state {
        RuleState::On => t("an"),
        RuleState::Probe => t("Probe"),
        RuleState::Off => t("aus"),
    }
}

fn state_badge(state: RuleState) -> Markup {
    match state {
        RuleState::On => Markup::default(),
        RuleState::Probe => show::badge(Tone::Mid, state_word(state)),
        RuleState::Off => show::badge(Tone::Quiet, state_word(state)),
    }
}

/// All that there is, with how it stands.
fn items(ask: &Ask) -> Result<Vec<Item>, DbError> {
    let (scope, now, book) = (ask.scope(), ask.now, ask.app.rules.get());
    let since = now.plus(-FIRED_DAYS * Timestamp::DAY);
    let (mut records, states, fired) =
        ask.app.db.read(|c| Ok::<_, DbError>((rule_records(c, &scope, WEEKS, now)?, rule_states(c)?, rules_fired(c, &scope, since)?)))?;
    let of = |compiled: &CompiledRule| {
        let shipped = if book.is_shipped(compiled) { Origin::Shipped } else { Origin::Own };
        let origin = if compiled.alerts { shipped } else { Origin::Part };
        let mut item = Item::new(&compiled.rule, origin, kind(compiled), source(&book, compiled));
        let failing = book.evidence.get(&compiled.rule.name).is_some_and(|evidence| !evidence.failures.is_empty());
        item.alarm = if failing { t("Belege halten nicht") } else { "" };
        item
    };
    let mut items: Vec<Item> = book.set.rules().iter().map(of).collect();
    items.extend(
        ask.app
            .board
            .sheet
            .iter()
            .map(|(_, section)| Item::new(&section.rule, Origin::Detector, detector_kind(section), t("Datenflüsse").into())),
    );
    items.extend(
        detect::watch::house_rules().iter().map(|rule| Item::new(rule, Origin::House, t("Eigene Beobachtung"), t("dieses Haus").into())),
    );
    let health = ask.app.rules.health();
    for item in &mut items {
        item.state = states.get(&item.name).map_or(RuleState::On, |stand| stand.state);
        item.record = records.remove(&item.name).unwrap_or_default();
        item.fired = fired.get(&item.name).copied().unwrap_or(0);
        if health.iter().any(|one| one.overflowed > 0 && one.rule.name == item.name) {
            item.alarm = t("Speicher voll");
        }
    }
    Ok(items)
}

/// `linux, sshd`; of a correlation what the rules that it counts are for.
fn source(book: &Rulebook, compiled: &CompiledRule) -> String {
    let words = |rule: &CompiledRule| rule.logsource().into_iter().map(|(_, word)| word.to_owned()).collect::<Vec<_>>().join(", ");
    let all: BTreeSet<String> = book.set.grounds(compiled).into_iter().map(words).collect();
    match all.len() {
        0..=SOURCES_SHOWN => all.into_iter().collect::<Vec<_>>().join("; "),
        n => tf("{n} Quellen", &[("n", &n)]),
    }
}

/// By which column the list is sorted: its name in the address, its heading, and whether the largest comes first.
const COLUMNS: [(&str, bool); 6] =
    [("stufe", true), ("regel", false), ("stand", true), ("quelle", false), ("alarme", true), ("zuletzt", true)];

fn column_label(name: &str) -> &'static str {
    match name {
        "stufe" => t("Stufe"),
        "regel" => t("Regel"),
        "stand" => t("Stand"),
        "quelle" => t("Quelle"),
        "alarme" => t("In 30 Tagen"),
        _ => t("Zuletzt"),
    }
}

fn compare(a: &Item, b: &Item, by: &str) -> Ordering {
    match by {
        "regel" => a.title.to_lowercase().cmp(&b.title.to_lowercase()),
        "stand" => a.state.cmp(&b.state),
        "quelle" => a.source.cmp(&b.source),
        "alarme" => a.fired.cmp(&b.fired),
        "zuletzt" => a.record.last.cmp(&b.record.last),
        _ => a.level.cmp(&b.level),
    }
}

/// What the address asks for.
struct Wish<'a> {
    word: &'a str,
    technique: &'a str,
    level: &'a str,
    state: &'a str,
    origin: &'a str,
    by: &'a str,
    down: bool,
}

impl<'a> Wish<'a> {
    fn of(ask: &'a Ask) -> Self {
        let (by, first_down) = COLUMNS.into_iter().find(|(name, _)| *name == ask.query("nach")).unwrap_or(COLUMNS[0]);
        let down = match ask.query("richtung") {
            "auf" => false,
            "ab" => true,
            _ => first_down,
        };
        Self {
            word: ask.query("wort").trim(),
            technique: ask.query("technik").trim(),
            level: ask.query("stufe"),
            state: ask.query("stand"),
            origin: ask.query("art"),
            by,
            down,
        }
    }

    fn fits(&self, item: &Item) -> bool {
        let origin = match Origin::ALL.into_iter().find(|origin| origin.as_str() == self.origin) {
            Some(origin) => item.origin == origin,
            // Parts alert nobody; who looks for one by a word finds it.
            None => item.origin != Origin::Part || !self.word.is_empty(),
        };
        let word = self.word.to_lowercase();
        let text = |text: &str| text.to_lowercase().contains(&word);
        origin
            && Level::parse(self.level).is_none_or(|level| item.level >= level)
            && RuleState::parse(self.state).is_none_or(|state| item.state == state)
            && (self.technique.is_empty() || item.attack.iter().any(|id| id.to_lowercase().starts_with(&self.technique.to_lowercase())))
            && (word.is_empty() || text(&item.title) || text(&item.description) || text(&item.name) || text(&item.rsit))
    }

    /// The same list elsewhere.
    fn href(&self, by: &str, down: bool, page: usize) -> String {
        let page = page.to_string();
        let mut pairs =
            vec![("wort", self.word), ("technik", self.technique), ("stufe", self.level), ("stand", self.state), ("art", self.origin)];
        pairs.push(("nach", by));
        pairs.push(("richtung", if down { "ab" } else { "auf" }));
        if page != "1" {
            pairs.push(("seite", &page));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        link("/regeln", &pairs)
    }

    fn heads(&self) -> Vec<Head> {
        let head = |(name, first_down): (&'static str, bool)| {
            let own = name == self.by;
            Head {
                label: column_label(name),
                href: self.href(name, if own { !self.down } else { first_down }, 1),
                direction: match (own, self.down) {
                    (false, _) => "",
                    (true, true) => "descending",
                    (true, false) => "ascending",
                },
            }
        };
        COLUMNS.into_iter().map(head).collect()
    }
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let wish = Wish::of(ask);
    let all = items(ask)?;
    let count = |origin: fn(Origin) -> bool| all.iter().filter(|item| origin(item.origin)).count() as u64;
    let totals = (count(|origin| origin != Origin::Part), count(|origin| origin == Origin::Part));
    let mut found: Vec<Item> = all.into_iter().filter(|item| wish.fits(item)).collect();
    found.sort_by(|a, b| {
        let order = compare(a, b, wish.by);
        (if wish.down { order.reverse() } else { order }).then_with(|| (Reverse(a.level), &a.title).cmp(&(Reverse(b.level), &b.title)))
    });
    let pages = found.len().div_ceil(PAGE_ROWS).max(1);
    let page = ask.query("seite").parse::<usize>().unwrap_or(1).clamp(1, pages);
    let rows: Vec<Row> = found.iter().skip((page - 1) * PAGE_ROWS).take(PAGE_ROWS).map(|item| row(ask, item)).collect();
    let (memories, sampled) = memories(ask);
    let choices = |none: &'static str, chosen: &str, all: Vec<(&'static str, &'static str)>| {
        let mut choices: Vec<Choice> = vec![("", none, chosen.is_empty())];
        choices.extend(all.into_iter().map(|(value, label)| (value, label, value == chosen)));
        choices
    };
    let book = ask.app.rules.get();
    let failed = ask.app.rules.failed();
    let refused: Vec<RuleError> = failed.as_ref().map_or(&book.refused, |failed| &failed.refused).clone();
    let viewer = ask.viewer()?;
    let page = RulesPage {
        book: book_words(ask),
        failed: failed.map_or_else(String::new, |failed| {
            tf("Die Änderung von {time} gilt nicht: Von Ihren eigenen Regeln ließ sich keine mehr übersetzen. Der bisherige Regelsatz bleibt in Kraft, bis sich das ändert.", &[("time", &show::clock(failed.at))])
        }),
        refused_title: tn("{n} Regel ist abgelehnt und wirkt nicht", "{n} Regeln sind abgelehnt und wirken nicht", refused.len() as u64),
        refused: refused.into_iter().take(REFUSED_SHOWN).map(|error| RuleError { message: words::refused(&error.message), ..error }).collect(),
        full: full(ask),
        summary: tf(
            "{found} von {n} Regeln, dazu {parts} Bausteine",
            &[("found", &show::num(found.len() as i128)), ("n", &show::num(totals.0)), ("parts", &show::num(totals.1))],
        ),
        word: wish.word,
        technique: wish.technique,
        levels: choices(t("alle"), wish.level, [Level::Low, Level::Medium, Level::High, Level::Critical].map(|level| (level.as_str(), words::level(level))).into()),
        states: choices(t("alle"), wish.state, RuleState::ALL.map(|state| (state.as_str(), state_word(state))).into()),
        origins: choices(t("alle"), wish.origin, Origin::ALL.map(|origin| (origin.as_str(), origin.label())).into()),
        filtered: !(wish.word.is_empty() && wish.technique.is_empty() && wish.level.is_empty() && wish.state.is_empty() && wish.origin.is_empty()),
        may_try: allowed(Action::RuleBacktest, viewer.role),
        heads: wish.heads(),
        before: if page > 1 { wish.href(wish.by, wish.down, page - 1) } else { String::new() },
        after: if page < pages { wish.href(wish.by, wish.down, page + 1) } else { String::new() },
        place: tf("Seite {page} von {pages}", &[("page", &page), ("pages", &pages)]),
        rows,
        memories,
        sampled,
        frame: ask.frame(t("Regeln"), Place::Rules),
    };
    ask.page(&page)
}

/// `Regelsatz 7 seit 14:03, 131 Regeln, 2 abgelehnt`
fn book_words(ask: &Ask) -> String {
    let book = ask.app.rules.get();
    let since = if show::day_start(book.since) == show::day_start(ask.now) { show::clock(book.since) } else { show::stamp(book.since) };
    let rules = tn("{n} Regel", "{n} Regeln", book.set.rules().len() as u64);
    let mut words = tf("Regelsatz {number} seit {since}, {rules}", &[("number", &book.number), ("since", &since), ("rules", &rules)]);
    if !book.refused.is_empty() {
        words = format!("{words}, {}", tn("{n} abgelehnt", "{n} abgelehnt|Mehrzahl", book.refused.len() as u64));
    }
    words
}

/// Correlations that had to give something up.
fn full(ask: &Ask) -> Vec<(String, String)> {
    let health = ask.app.rules.health();
    let one = |one: &detect::engine::RuleHealth| {
        let text = tf("{title}: {n} Gruppen aufgegeben", &[("title", &one.rule.title), ("n", &show::num(one.overflowed))]);
        (text, rule_path(&one.rule.name))
    };
    health.iter().filter(|one| one.overflowed > 0).map(one).collect()
}

fn row(ask: &Ask, item: &Item) -> Row {
    let days = FIRED_DAYS.to_string();
    let fired_href = match item.fired {
        0 => String::new(),
        _ => link("/alarme", &[("stand", "alle"), ("regel", &item.name), ("tage", &days)]),
    };
    Row {
        path: rule_path(&item.name),
        level: words::level_badge(item.level),
        title: item.title.clone(),
        description: cut(&item.description),
        kind: item.kind,
        source: item.source.clone(),
        state: state_word(item.state),
        stands_out: item.state != RuleState::On,
        alarm: item.alarm,
        fired: show::num(item.fired),
        fired_href,
        last: item.record.last.map(|at| show::time(at, ask.now)).unwrap_or_default(),
    }
}

/// The beginning of a description, up to a word's end.
fn cut(text: &str) -> String {
    let Some((at, _)) = text.char_indices().nth(DESCRIPTION_SHOWN) else { return text.to_owned() };
    let start = text.get(..at).unwrap_or(text);
    let end = start.rfind(' ').unwrap_or(at);
    format!("{} …", start.get(..end).unwrap_or(start).trim_end_matches([',', ';', ':', '.']))
}

/// How the detectors stood about a minute ago, and whose records some of them leave out.
fn memories(ask: &Ask) -> (Vec<Memory>, String) {
    let health = ask.app.board.health();
    let of = |(name, section): (&str, &Section)| {
        let stands = health.detectors.iter().find(|one| one.name == name);
        let of = stands.map(|one| one.footprint).unwrap_or_default();
        Memory {
            path: rule_path(name),
            title: section.rule.title.clone(),
            runs: section.enabled && stands.is_some(),
            bytes: show::bytes(of.bytes as u64),
            bytes_max: show::bytes(of.bytes_max as u64),
            entries: show::num(of.entries as i128),
            dropped: show::num(of.dropped),
            left_out: show::num(stands.map_or(0, |one| one.left_out)),
        }
    };
    let memories = ask.app.board.sheet.iter().filter(|(_, section)| section.of.is_none()).map(of).collect();
    let exporters: Vec<String> =
        health.sampled.iter().take(EXPORTERS_SHOWN).map(|(exporter, records)| format!("{exporter} ({})", show::num(*records))).collect();
    let sampled = match health.sampled.len() {
        0 => String::new(),
        n => tf("{n} Exporter melden nur Stichproben: {list}", &[("n", &show::num(n as i128)), ("list", &exporters.join(", "))]),
    };
    (memories, sampled)
}

/// Rules by their short names, whatever their kind, with their titles.
fn titles(ask: &Ask) -> BTreeMap<String, String> {
    let book = ask.app.rules.get();
    let compiled = book.set.rules().iter().map(|compiled| (compiled.rule.name.clone(), compiled.rule.title.clone()));
    let detectors = ask.app.board.sheet.iter().map(|(name, section)| (name.to_owned(), section.rule.title.clone()));
    compiled.chain(detectors).collect()
}

#[cfg(test)]
mod tests;
