//! Kennzahlen: the figures of a period beside those of the periods before, and the way down to definition, distribution
//! and cases. Those who may see no case get counts only, and those by the rules for neighbours (`advisory::kpi::peers`).

mod rows;
mod written;

use std::collections::HashMap;

use advisory::kpi::{Figure, KPIS, KpiValue, Period, Unit, kpi_lists, peers, period_containing, period_parse};
use askama::Template;
use ingest::scope::Scope;
use ingest::time::Timestamp;

use self::rows::Case;
use crate::access;
use crate::chart::{self, Caption, Column, Curve, Step};
use crate::show::{self, Markup, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{de, t, tf};

/// Quarters that a figure's columns show, the one of the chosen period last.
const TREND_QUARTERS: usize = 8;
/// Half-years and quarters to choose from: the running ones and those of two years before.
const CHOICES: [(&str, char, usize); 2] = [(de("Halbjahre"), 'H', 5), (de("Quartale"), 'Q', 9)];
/// Cases on one page; the download has all.
const PAGE_ROWS: usize = 100;

/// What a request asks for, and what its viewer may see of it.
struct Choice {
    period: Period,
    as_of: Timestamp,
    /// The moment as the link carries it; empty for now.
    stand: String,
    scope: Scope,
    /// Whether the single cases may be seen. Without them the rules for neighbours hold.
    cases: bool,
}

impl Choice {
    fn of(ask: &Ask) -> Result<Self, PageError> {
        let viewer = ask.viewer()?;
        let cases = access::cases_visible(viewer);
        let period = match ask.query("zeitraum") {
            "" => period_containing('H', ask.now),
            key => period_parse(key),
        };
        let period = period.filter(|period| cases || peers::fixed(period)).ok_or(PageError::NotFound)?;
        let stand = show::local_parse(ask.query("stand")).filter(|at| *at < ask.now);
        Ok(Self {
            period,
            as_of: stand.unwrap_or(ask.now),
            stand: stand.map(show::local_input).unwrap_or_default(),
            scope: access::figures_scope(viewer),
            cases,
        })
    }

    /// A link to `path` about a period, as known at the same moment.
    fn link(&self, path: &str, period: &Period) -> String {
        link(path, &[("zeitraum", &period.key), ("stand", &self.stand)])
    }

    /// The figures of these periods.
    fn load(&self, ask: &Ask, wanted: &[Period]) -> Result<Figures, PageError> {
        let mut periods = wanted.to_vec();
        if !self.cases {
            // Whether a quarter may be shown depends on its half-year's other one.
            periods.extend(wanted.iter().filter_map(Period::sibling));
        }
        periods.sort_by_key(|period| (period.from, period.to));
        periods.dedup();
        let values = ask.app.db.read(|c| kpi_lists(c, &periods, self.as_of, &self.scope))?;
        Ok(Figures { by_period: periods.into_iter().map(|period| period.key).zip(values).collect(), cases: self.cases })
    }
}

/// Figures by period, of which some may be withheld from this viewer.
struct Figures {
    by_period: HashMap<String, Vec<KpiValue>>,
    cases: bool,
}

impl Figures {
    fn value(&self, period: &Period, key: &str) -> Option<&KpiValue> {
        self.by_period.get(&period.key)?.iter().find(|value| value.def.key == key)
    }

    /// The figure; `None` where it would give a body away.
    fn shown(&self, period: &Period, key: &str) -> Option<&KpiValue> {
        let publishable = |period: &Period| self.value(period, key).is_some_and(|value| peers::publishable(&value.rows));
        let allowed = self.cases || (publishable(period) && period.sibling().is_none_or(|sibling| publishable(&sibling)));
        self.value(period, key).filter(|_| allowed)
    }
}

/// The quarters up to the one in which the period ends, or in which we are; the oldest first.
fn quarters(period: &Period, now: Timestamp) -> Vec<Period> {
    let mut next = period_containing('Q', period.to.plus(-1).min(now.max(period.from)));
    let mut all = vec![];
    while let Some(quarter) = next.filter(|_| all.len() < TREND_QUARTERS) {
        next = quarter.previous();
        all.push(quarter);
    }
    all.reverse();
    all
}

/// (group, [(value, label, chosen)])
type Choices = Vec<(&'static str, Vec<(String, String, bool)>)>;

/// What can be chosen; a period that came by a link is among it.
fn choices(now: Timestamp, chosen: &Period) -> Choices {
    let option = |period: Period| {
        let on = period.key == chosen.key;
        let label = written::period(&period);
        (period.key, label, on)
    };
    let mut groups: Choices = vec![];
    for (group, length, count) in CHOICES {
        let periods = std::iter::successors(period_containing(length, now), Period::previous).take(count);
        groups.push((t(group), periods.map(option).collect()));
    }
    if !groups.iter().flat_map(|group| &group.1).any(|choice| choice.2) {
        groups.push((t("Gewählt"), vec![option(chosen.clone())]));
    }
    groups
}

/// A figure on its card.
struct Tile {
    title: &'static str,
    href: String,
    width: &'static str,
    light: Markup,
    value: String,
    facts: Vec<(&'static str, String)>,
    spark: Markup,
}

/// A drawing with its heading and the words below it.
struct Drawing {
    title: String,
    chart: Markup,
    note: String,
}

#[derive(Template)]
#[template(path = "kpis.html")]
struct KpisPage {
    frame: Frame,
    summary: String,
    whose: String,
    periods: Choices,
    stand: String,
    tiles: Vec<Tile>,
    drawings: Vec<Drawing>,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let choice = Choice::of(ask)?;
    let quarters = quarters(&choice.period, ask.now);
    let before = choice.period.previous();
    let wanted: Vec<Period> = [choice.period.clone()].into_iter().chain(before.clone()).chain(quarters.iter().cloned()).collect();
    let figures = choice.load(ask, &wanted)?;
    let (mut tiles, mut drawings) = (vec![], vec![]);
    for (place, def) in KPIS.iter().enumerate() {
        let now = figures.shown(&choice.period, def.key);
        let mut facts = now.map_or_else(|| vec![(t("Fälle"), t(written::WITHHELD).into())], |value| written::facts(value, choice.cases));
        if let Some(before) = &before {
            let value = figures.shown(before, def.key).map_or_else(|| t(written::WITHHELD).into(), written::value);
            facts.push((t("Davor"), format!("{value} ({})", written::period(before))));
        }
        let past = |quarter: &Period| (written::quarter(quarter), figures.shown(quarter, def.key).and_then(|value| value.figure.value()));
        let trend: Vec<_> = quarters.iter().map(past).collect();
        let spark = format!("funke-{}", def.key);
        let caption = Caption { id: &spark, title: t(def.name), desc: t("Verlauf über die Quartale.") };
        tiles.push(Tile {
            title: t(def.name),
            href: choice.link(&format!("/kennzahl/{}", def.key), &choice.period),
            width: if place < 3 { "c4" } else { "c6" },
            light: now.map_or_else(written::light_withheld, written::light),
            value: now.map_or_else(|| "–".into(), written::value),
            facts,
            // Two points make no trend.
            spark: match trend.iter().filter(|point| point.1.is_some()).count() {
                0..=2 => Markup::default(),
                _ => chart::sparkline(caption, unit(def), &trend),
            },
        });
        drawings.push(columns(&choice, &figures, &quarters, def));
        drawings.extend(now.and_then(|value| curve(value, choice.cases)));
    }
    let page = KpisPage {
        frame: ask.frame(heading(&choice), Place::Kpis),
        summary: summary(&choice, ask.now),
        whose: whose(&choice).into(),
        periods: choices(ask.now, &choice.period),
        stand: choice.stand,
        tiles,
        drawings,
    };
    ask.page(&page)
}

fn heading(choice: &Choice) -> &'static str {
    if choice.scope == Scope::All { t("Kennzahlen") } else { t("Ihre Kennzahlen") }
}

fn whose(choice: &Choice) -> &'static str {
    match (&choice.scope, choice.cases) {
        (Scope::Bodies(_), _) => t("Gezählt sind nur die Vorfälle, Alarme und Warnungen Ihrer Stelle."),
        (Scope::All, true) => t("Über alle Stellen."),
        (Scope::All, false) => t(
            "Über alle Stellen. Was auf weniger als fünf Stellen beruht oder zur Hälfte aus einer, bleibt verborgen, damit niemand erkennbar wird.",
        ),
    }
}

fn summary(choice: &Choice, now: Timestamp) -> String {
    let text = match choice.period.contains(now) {
        true => de("{period} (läuft noch), wie bekannt am {at}\u{a0}Uhr"),
        false => de("{period}, wie bekannt am {at}\u{a0}Uhr"),
    };
    tf(text, &[("period", &written::period(&choice.period)), ("at", &show::stamp(choice.as_of))])
}

/// The figure over the quarters.
fn columns(choice: &Choice, figures: &Figures, quarters: &[Period], def: &advisory::kpi::KpiDef) -> Drawing {
    let column = |quarter: &Period| {
        let value = figures.shown(quarter, def.key);
        Column {
            label: written::quarter(quarter),
            value: value.and_then(|value| value.figure.value()),
            text: value.map_or_else(|| t(written::WITHHELD).into(), written::value_with_n),
            href: value.map(|_| choice.link(&format!("/kennzahl/{}", def.key), quarter)).unwrap_or_default(),
        }
    };
    let id = format!("verlauf-{}", def.key);
    let title = tf("{kpi} je Quartal", &[("kpi", &t(def.name))]);
    let desc = tf("Säulen über {n} Quartale.", &[("n", &quarters.len())]);
    let target = tf("Ziel {target}", &[("target", &written::target(def))]);
    let columns: Vec<Column> = quarters.iter().map(column).collect();
    let gap = match (columns.iter().any(|column| column.value.is_none()), choice.cases) {
        (false, _) => "",
        (true, true) => t("Lücke: kein Wert, weil es keine Fälle gab oder noch keiner beendet ist."),
        (true, false) => t("Lücke: kein Wert, oder er bleibt verborgen."),
    };
    Drawing {
        chart: chart::columns(
            Caption { id: &id, title: &title, desc: &desc },
            t(def.name),
            unit(def),
            &columns,
            Some((def.target, &target)),
        ),
        title,
        note: gap.into(),
    }
}

fn unit(def: &advisory::kpi::KpiDef) -> chart::Unit<'static> {
    match def.unit {
        Unit::Hours => chart::Unit::Hours,
        Unit::Percent => chart::Unit::Percent,
    }
}

/// The share that has not ended yet over time, for figures whose cases may still run.
fn curve(value: &KpiValue, cases: bool) -> Option<Drawing> {
    /// Ends of the time axis in hours: its quarters are round numbers as well.
    const AXES: [f64; 7] = [24.0, 48.0, 72.0, 96.0, 168.0, 336.0, 720.0];
    let Figure::Survival { p90, curve, .. } = &value.figure else { return None };
    let steps: Vec<Step> = written::steps(curve, cases);
    let end = p90.or(curve.steps.last().map(|step| step.time)).unwrap_or(0.0);
    let until = AXES.into_iter().find(|axis| *axis >= end * 1.02).unwrap_or(720.0);
    let caption = Caption {
        id: "kaplan-meier",
        title: t("Anteil noch nicht eingedämmter Vorfälle"),
        desc: t("Stufenkurve nach Kaplan-Meier über die Stunden seit der Eröffnung."),
    };
    // Who may not see cases sees neither their times nor how few are left.
    let seen = || value.rows.iter().filter(|_| cases).filter_map(|row| Some((row.value?, row.to.is_some())));
    let times: Vec<f64> = seen().map(|(time, _)| time).collect();
    let censored: Vec<f64> = seen().filter(|(_, ended)| !ended).map(|(time, _)| time).collect();
    Some(Drawing {
        title: t("Wie lange Vorfälle offen bleiben").into(),
        chart: chart::kaplan_meier(Curve {
            caption,
            unit: chart::Unit::Hours,
            steps: &steps,
            n: curve.n,
            times: &times,
            censored: &censored,
            until,
        }),
        note: tf(
            "Anteil der Vorfälle, die so viele Stunden nach der Eröffnung noch nicht eingedämmt waren. {spread}",
            &[("spread", &written::survival(value))],
        ),
    })
}

/// One class of the distribution: how many ended and how many did not, with the bars' widths in per cent.
struct Class {
    label: String,
    count: String,
    share: String,
    ended: String,
    width: String,
    open: String,
}

#[derive(Template)]
#[template(path = "kpi.html")]
struct KpiPage {
    frame: Frame,
    back: String,
    heading: &'static str,
    summary: String,
    light: Markup,
    value: String,
    facts: Vec<(&'static str, String)>,
    definition: Vec<(&'static str, String)>,
    withheld: bool,
    classes: Vec<Class>,
    classes_note: &'static str,
    curve: Option<Drawing>,
    csv: String,
    may_cases: bool,
    bodies: String,
    cases: Vec<Case>,
    cases_total: String,
    newer: String,
    older: String,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let choice = Choice::of(ask)?;
    let name = ask.param("name").to_owned();
    let (key, csv) = name.strip_suffix(".csv").map_or((name.as_str(), false), |key| (key, true));
    let def = KPIS.iter().find(|def| def.key == key).ok_or(PageError::NotFound)?;
    let figures = choice.load(ask, std::slice::from_ref(&choice.period))?;
    let shown = figures.shown(&choice.period, def.key);
    let distribution = shown.map(|value| rows::distribution(value, choice.cases)).unwrap_or_default();
    let ordered = rows::newest_first(shown.filter(|_| choice.cases));
    if csv {
        ask.remark("period", choice.period.key.clone());
        ask.note_taken("kpi.downloaded", format!("kpi:{}", def.key))?;
        let text = match choice.cases {
            true => rows::csv_cases(&rows::cases(ask, def, &ordered)?),
            false => rows::csv_distribution(&distribution),
        };
        return ask.download(&format!("{}-{}.csv", def.key, choice.period.key), "text/csv; charset=utf-8", text.into_bytes());
    }
    let page: usize = ask.query("seite").parse().ok().filter(|page| *page > 0).unwrap_or(1);
    let start = (page - 1).saturating_mul(PAGE_ROWS);
    let on_page = ordered.get(start..).unwrap_or_default();
    let on_page = on_page.get(..on_page.len().min(PAGE_ROWS)).unwrap_or_default();
    let path = format!("/kennzahl/{}", def.key);
    let turn = |page: usize| format!("{}&seite={page}", choice.link(&path, &choice.period));
    let (total, last) = (ordered.len(), start + on_page.len());
    let top = distribution.iter().map(rows::ClassCount::total).max().unwrap_or(0).max(1);
    let all: u64 = distribution.iter().map(rows::ClassCount::total).sum();
    let percent = |part: u64, of: u64| part as f64 / of.max(1) as f64;
    let class = |class: &rows::ClassCount| Class {
        label: class.label.clone(),
        count: show::num(class.total()),
        share: show::percent(percent(class.total(), all)),
        ended: format!("{:.1}", percent(class.ended, top) * 100.0),
        width: format!("{:.1}", percent(class.open, top) * 100.0),
        open: if class.open > 0 { show::num(class.open) } else { String::new() },
    };
    let view = KpiPage {
        frame: ask.frame(t(def.name), Place::Kpis),
        back: choice.link("/kennzahlen", &choice.period),
        heading: heading(&choice),
        summary: summary(&choice, ask.now),
        light: shown.map_or_else(written::light_withheld, written::light),
        value: shown.map_or_else(|| "–".into(), written::value),
        facts: shown.map(|value| written::facts(value, choice.cases)).unwrap_or_default(),
        definition: written::definition(def, shown),
        withheld: shown.is_none(),
        classes: distribution.iter().map(class).collect(),
        classes_note: if distribution.iter().any(|class| class.open > 0) {
            t("Kräftig: beendet. Blass: läuft noch, gezählt nach der Zeit bis heute.")
        } else {
            ""
        },
        curve: shown.and_then(|value| curve(value, choice.cases)),
        csv: choice.link(&format!("{path}.csv"), &choice.period),
        may_cases: choice.cases,
        bodies: shown.map(|value| show::num(peers::bodies(&value.rows) as i128)).unwrap_or_default(),
        cases: rows::cases(ask, def, on_page)?,
        cases_total: match (total, on_page.len()) {
            (_, 0) => String::new(),
            (total, _) if total <= PAGE_ROWS => show::num(total as i128),
            _ => tf(
                "{first} bis {last} von {total}",
                &[("first", &show::num(start as i128 + 1)), ("last", &show::num(last as i128)), ("total", &show::num(total as i128))],
            ),
        },
        newer: if page > 1 { turn(page - 1) } else { String::new() },
        older: if last < total { turn(page + 1) } else { String::new() },
    };
    ask.page(&view)
}

#[cfg(test)]
mod tests;
