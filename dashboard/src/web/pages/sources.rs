//! Quellen und Standorte: who sends, when last, what of it was broken, and whether everything received is accounted for.
//! The page of one source is `source`'s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use askama::Template;
use ingest::body::{self, BodyId, SiteTable};
use ingest::db::DbError;
use ingest::listen::Listener;
use ingest::scope::Scope;
use ingest::source::{Source, source_last_seen, source_list};
use ingest::time::Timestamp;

use super::exporters::{self, ExporterRow};
use crate::access::sources_scope;
use crate::show::{self, Markup, Tone, filters, link};
use crate::vitals::{self, Tally};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, de, t, tf};

struct SourceRow {
    state: Markup,
    href: String,
    name: String,
    site: String,
    body: String,
    detail: String,
    format: &'static str,
    rate: String,
    defects: String,
    last: Markup,
}

struct SiteRow {
    name: String,
    body: String,
    prefixes: String,
    sources: String,
}

/// One line of the books.
#[derive(Default)]
struct BookRow {
    label: &'static str,
    sum: bool,
    received: String,
    stored: String,
    rejected: String,
    rejected_why: Vec<String>,
    dropped: String,
    dropped_why: Vec<String>,
    open: String,
    kernel: String,
}

type Choices<V> = Vec<(V, String, bool)>;

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    frame: Frame,
    summary: String,
    states: Choices<&'static str>,
    bodies: Choices<String>,
    orders: Choices<&'static str>,
    word: String,
    filtered: bool,
    found: String,
    sources: Vec<SourceRow>,
    earlier: String,
    later: String,
    place: String,
    balance: String,
    books: Vec<BookRow>,
    /// What is added to events: what, how it is, and whether that is a fault.
    enrichment: Vec<(String, String, bool)>,
    exporters: Vec<ExporterRow>,
    exporters_found: String,
    sites: Vec<SiteRow>,
    sites_found: String,
}

/// The Lage's word on sources.
pub(super) struct SilentTile {
    pub(super) value: String,
    pub(super) of: String,
    pub(super) why: String,
    pub(super) badge: Option<Markup>,
}

/// Sources on one page, and sites below them.
const PAGE_ROWS: usize = 50;
const SITE_ROWS: usize = 100;
/// Sources named on the Lage.
const NAMED_MAX: usize = 2;

const STATES: [(&str, &str); 4] =
    [("", de("alle")), ("verstummt", de("verstummt")), ("sendet", de("meldet sich")), ("import", de("Import"))];
const ORDERS: [(&str, &str); 4] =
    [("", de("verstummte")), ("viel", de("die lautesten")), ("maengel", de("die mit den meisten Mängeln")), ("neu", de("die neuesten"))];

pub(super) fn silent_tile(ask: &Ask) -> Result<SilentTile, PageError> {
    let (scope, sites) = (ask.scope(), ask.app.sites());
    let sources = ask.app.db.read(|c| source_list(c, &scope, &sites, ask.now))?;
    let silent: Vec<&Source> = sources.iter().filter(|source| source.is_silent(ask.now)).collect();
    let named = silent
        .iter()
        .take(NAMED_MAX)
        .map(|source| tf("{name} seit {time}", &[("name", &source.name()), ("time", &show::duration(ask.now.since(source.last_seen)))]));
    let why = match (sources.len(), silent.len()) {
        (0, _) => t("Noch keine Quelle bekannt.").to_owned(),
        (_, 0) => t("Alle Quellen melden sich.").to_owned(),
        _ => named.collect::<Vec<_>>().join(", "),
    };
    let of = if sources.is_empty() { String::new() } else { tf("von {n}", &[("n", &show::num(count(sources.len())))]) };
    Ok(SilentTile { value: show::num(count(silent.len())), of, why, badge: None })
}

/// When the last frame came, for the bar.
pub(super) fn last_seen(ask: &Ask) -> Option<Timestamp> {
    let (scope, sites) = (ask.scope(), ask.app.sites());
    ask.app.db.read(|c| source_last_seen(c, &scope, &sites)).ok()?
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

pub(super) fn state(source: &Source, now: Timestamp) -> Markup {
    match (source.transport.as_str(), source.expected, source.is_silent(now)) {
        ("import", ..) => show::badge(Tone::Quiet, t("Import")),
        (_, Some(0), _) => show::badge(Tone::Quiet, t("nicht mehr erwartet")),
        (_, _, true) => show::badge(Tone::High, t("verstummt")),
        _ => show::badge(Tone::Good, t("meldet sich")),
    }
}

/// The word of the decoder that understood most.
pub(super) fn format(source: &Source) -> &'static str {
    words::format(source.format().map_or("", |(name, _)| name))
}

pub(super) fn kind(source: &Source) -> &'static str {
    if source.kind == "flow" { t("Datenflüsse") } else { t("Protokolle") }
}

/// The names of all bodies.
pub(super) fn body_names(ask: &Ask) -> Result<HashMap<BodyId, String>, PageError> {
    let names = ask.app.db.read(|c| Ok::<_, DbError>(body::body_list(c)?.into_iter().map(|body| (body.id, body.name)).collect()))?;
    Ok(names)
}

fn source_row(source: &Source, sites: &SiteTable, body: String, now: Timestamp) -> SourceRow {
    let most = source.defects.iter().max_by_key(|(name, count)| (**count, Reverse((*name).clone())));
    let most = most.filter(|_| source.defective > 0).map(|(name, _)| format!(" ({})", words::defect(name).0)).unwrap_or_default();
    SourceRow {
        state: state(source, now),
        href: format!("/quelle/{}", source.id),
        name: source.name().to_owned(),
        detail: format!("{} · {} · {}", source.peer, words::transport(&source.transport), kind(source)),
        site: sites.name(source.site).to_owned(),
        body,
        format: format(source),
        rate: show::decimal(source.rate(now), if source.rate(now) < 10.0 { 1 } else { 0 }),
        defects: format!("{}{most}", show::num(source.defective)),
        last: show::time(source.last_seen, now),
    }
}

/// Received = stored + rejected + dropped + in flight, by listener, and the sum where there are several.
fn books(ask: &Ask) -> (Vec<BookRow>, String) {
    let tallies = vitals::tallies(&ask.app.counters);
    let kernel = |listener: Listener| ask.app.counters.kernel_dropped(listener);
    let mut rows: Vec<BookRow> =
        tallies.iter().map(|(listener, tally)| book(words::listener(*listener), tally, kernel(*listener))).collect();
    let mut sum = Tally::default();
    for tally in tallies.values() {
        sum.received += tally.received;
        sum.stored += tally.stored;
        for (into, from) in [(&mut sum.rejected, &tally.rejected), (&mut sum.dropped, &tally.dropped)] {
            from.iter().for_each(|(reason, count)| *into.entry(reason.clone()).or_default() += count);
        }
    }
    if rows.len() > 1 {
        let all = Listener::ALL.into_iter().map(kernel).sum();
        rows.push(BookRow { sum: true, rejected_why: vec![], dropped_why: vec![], ..book(t("Alle"), &sum, all) });
    }
    let balance = match (sum.open(), sum.excess()) {
        (0, 0) => t("seit dem Start; die Rechnung geht auf").to_owned(),
        (open, 0) => tf("seit dem Start; {n} sind gerade unterwegs", &[("n", &show::num(open))]),
        (_, excess) => tf("die Rechnung geht nicht auf: {n} zu viel verbucht", &[("n", &show::num(excess))]),
    };
    (rows, balance)
}

fn book(label: &'static str, tally: &Tally, kernel: u64) -> BookRow {
    let why = |reasons: &BTreeMap<String, u64>, word: &dyn Fn(&str) -> Option<&'static str>| {
        reasons.iter().map(|(reason, count)| format!("{} {}", show::num(*count), word(reason).unwrap_or(t("aus anderem Grund")))).collect()
    };
    BookRow {
        label,
        sum: false,
        received: show::num(tally.received),
        stored: show::num(tally.stored),
        rejected: show::num(tally.rejected.values().sum::<u64>()),
        rejected_why: why(&tally.rejected, &|reason| vitals::rejected(reason).map(words::rejected)),
        dropped: show::num(tally.dropped.values().sum::<u64>()),
        dropped_why: why(&tally.dropped, &|reason| vitals::dropped(reason).map(words::dropped)),
        open: show::num(tally.open()),
        kernel: show::num(kernel),
    }
}

/// What the address bar asks for.
struct Filter<'a> {
    state: &'a str,
    body: Option<BodyId>,
    order: &'a str,
    word: String,
}

impl<'a> Filter<'a> {
    fn of(ask: &'a Ask) -> Self {
        let word = ask.query("wort").trim().to_lowercase();
        Self { state: ask.query("stand"), body: ask.query("stelle").parse().ok(), order: ask.query("nach"), word }
    }

    fn has_any(&self) -> bool {
        !(self.state.is_empty() && self.body.is_none() && self.word.is_empty())
    }

    fn shows(&self, source: &Source, sites: &SiteTable, body: &str, now: Timestamp) -> bool {
        let import = source.transport == "import";
        let state = match self.state {
            "verstummt" => source.is_silent(now),
            "sendet" => !import && !source.is_silent(now),
            "import" => import,
            _ => true,
        };
        let texts = [source.host.as_str(), &source.peer, sites.name(source.site), body, format(source)];
        let word = self.word.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&self.word));
        state && word && (self.body.is_none() || self.body == sites.body(source.site))
    }

    fn sort(&self, sources: &mut [&Source], now: Timestamp) {
        match self.order {
            "viel" => sources.sort_by(|a, b| b.rate(now).total_cmp(&a.rate(now))),
            "maengel" => sources.sort_by_key(|source| Reverse(source.defective)),
            "neu" => sources.sort_by_key(|source| Reverse(source.first_seen)),
            _ => sources.sort_by_key(|source| (!source.is_silent(now), Reverse(source.last_seen))),
        }
    }
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let (wide, sites, bodies) = (sources_scope(ask.viewer()?), ask.app.sites(), body_names(ask)?);
    let filter = Filter::of(ask);
    let sources = ask.app.db.read(|c| source_list(c, &wide, &sites, ask.now))?;
    let body_of = |source: &Source| sites.body(source.site).and_then(|body| bodies.get(&body).cloned()).unwrap_or_default();
    let silent = sources.iter().filter(|source| source.is_silent(ask.now)).count();
    let mut found: Vec<&Source> = sources.iter().filter(|source| filter.shows(source, &sites, &body_of(source), ask.now)).collect();
    filter.sort(&mut found, ask.now);
    let pages = found.len().div_ceil(PAGE_ROWS).max(1);
    let page = ask.query("seite").parse().unwrap_or(1usize).clamp(1, pages);
    let to = |page: usize| {
        let number = page.to_string();
        let keep = ["stand", "stelle", "nach", "wort"].map(|name| (name, ask.query(name)));
        link("/quellen", &keep.into_iter().chain([("seite", number.as_str())]).collect::<Vec<_>>())
    };
    let wanted = |site, exporter: &str| {
        let texts = [exporter, sites.name(site)];
        let word = filter.word.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&filter.word));
        word && (filter.body.is_none() || filter.body == sites.body(site))
    };
    let (exporter_rows, exporters_all) = exporters::rows(ask.app.flow_accounts.list(), &wide, &wanted, &sites, ask.now);
    let (site_rows, sites_all) = site_rows(&filter, &wide, &sites, &bodies, &sources);
    let mut named: Vec<(String, BodyId)> = sites
        .iter()
        .filter_map(|site| site.body)
        .filter(|body| wide.body_allowed(Some(*body)))
        .filter_map(|body| Some((bodies.get(&body)?.clone(), body)))
        .collect();
    named.sort();
    named.dedup();
    let mut body_choices = vec![(String::new(), t("alle").to_owned(), filter.body.is_none())];
    body_choices.extend(named.into_iter().map(|(name, body)| (body.to_string(), name, filter.body == Some(body))));
    let (books, balance) = if wide == Scope::All { books(ask) } else { (vec![], String::new()) };
    let choices = |all: &[(&'static str, &'static str)], now: &str| {
        all.iter().map(|(value, label)| (*value, t(label).to_owned(), *value == now)).collect()
    };
    let title = if wide == Scope::All { t("Quellen und Standorte") } else { t("Ihre Quellen") };
    let view = SourcesPage {
        frame: ask.frame(title, Place::Sources),
        summary: tf(
            "{n} Quellen, {silent} verstummt · {sites} Standorte",
            &[("n", &show::num(count(sources.len()))), ("silent", &show::num(count(silent))), ("sites", &show::num(count(sites_all)))],
        ),
        states: choices(&STATES, filter.state),
        bodies: body_choices,
        orders: choices(&ORDERS, filter.order),
        word: ask.query("wort").trim().to_owned(),
        filtered: filter.has_any(),
        found: show::num(count(found.len())),
        sources: found
            .iter()
            .skip((page - 1) * PAGE_ROWS)
            .take(PAGE_ROWS)
            .map(|source| source_row(source, &sites, body_of(source), ask.now))
            .collect(),
        earlier: if page > 1 { to(page - 1) } else { String::new() },
        later: if page < pages { to(page + 1) } else { String::new() },
        place: tf("Seite {page} von {pages}", &[("page", &page), ("pages", &pages)]),
        balance,
        books,
        enrichment: if wide == Scope::All { enrichment(ask) } else { vec![] },
        exporters_found: some_of(exporter_rows.len(), exporters_all),
        exporters: exporter_rows,
        sites_found: some_of(site_rows.len(), sites_all),
        sites: site_rows,
    };
    ask.page(&view)
}

/// How many are shown of how many.
fn some_of(shown: usize, all: usize) -> String {
    let (n, total) = (show::num(count(shown)), show::num(count(all)));
    if shown < all { tf("{n} von {total}", &[("n", &n), ("total", &total)]) } else { total }
}

/// What is added to events, for those who look after all sources.
fn enrichment(ask: &Ask) -> Vec<(String, String, bool)> {
    let Some(enrichment) = ask.app.pulse.as_ref().map(|pulse| &pulse.enrichment) else { return vec![] };
    let settings = enrichment.settings();
    let on = words::enrichments(settings);
    let mut rows = vec![(t("Eingeschaltet").to_owned(), if on.is_empty() { t("nichts").to_owned() } else { on.join(", ") }, false)];
    if settings.leases {
        rows.push((
            t("Rechnernamen aus DHCP").to_owned(),
            tf("{n} Zuordnungen bekannt", &[("n", &show::num(count(enrichment.leases_len())))]),
            false,
        ));
    }
    for file in enrichment.geo().map(ingest::enrich::Geo::files).unwrap_or_default() {
        let state = words::geo_file(&file, ask.now);
        rows.push(match &file.error {
            Some(error) => (t("Geo-Datei").to_owned(), format!("{} {}", file.path.display(), words::geo_fault(error)), true),
            None => (t("Geo-Datei").to_owned(), state, words::is_geo_old(&file, ask.now)),
        });
    }
    rows
}

/// The sites that the filter shows, by name, and how many somebody may see at all.
fn site_rows(
    filter: &Filter<'_>,
    wide: &Scope,
    sites: &SiteTable,
    bodies: &HashMap<BodyId, String>,
    sources: &[Source],
) -> (Vec<SiteRow>, usize) {
    let mut of_site: HashMap<_, i64> = HashMap::new();
    sources.iter().for_each(|source| *of_site.entry(source.site).or_default() += 1);
    let mut rows: Vec<SiteRow> = Vec::new();
    let mut all = 0;
    for site in sites.iter().filter(|site| wide.body_allowed(site.body)) {
        all += 1;
        let body = site.body.and_then(|body| bodies.get(&body).cloned()).unwrap_or_else(|| t("keine").into());
        let word = filter.word.is_empty() || site.name.to_lowercase().contains(&filter.word) || body.to_lowercase().contains(&filter.word);
        if word && (filter.body.is_none() || filter.body == site.body) {
            let prefixes = site.prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let sources = show::num(of_site.get(&site.id).copied().unwrap_or(0));
            rows.push(SiteRow { name: site.name.clone(), body, prefixes, sources });
        }
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    rows.truncate(SITE_ROWS);
    (rows, all)
}
