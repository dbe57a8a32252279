//! Abdeckung: which ATT&CK techniques the rules in force watch for, as a matrix, and as a layer for the Navigator.

use std::collections::BTreeMap;

use askama::Template;
use detect::alert::rule_records;
use detect::attack::{ATTACK_VERSION, Coverage, Covered, Tactic, technique_name};
use detect::rule::Rule;
use ingest::db::DbError;

use super::{QUALITY_DAYS, WEEKS};
use crate::show::{self, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, Reply};
use crate::words::{t, tf, tn};

/// A technique in a column.
struct Cell {
    id: String,
    name: &'static str,
    href: String,
    rules: String,
    /// Empty without any.
    hits: String,
    hits_href: String,
    /// 1 to 4: the more rules, the fuller.
    step: usize,
    parts: Vec<String>,
}

struct ColumnView {
    label: &'static str,
    /// How many of its techniques, in words.
    text: String,
    /// Its width in per cent for the bar.
    share: String,
    cells: Vec<Cell>,
}

#[derive(Template)]
#[template(path = "coverage.html")]
struct CoveragePage {
    frame: Frame,
    summary: String,
    version: &'static str,
    days: i64,
    columns: Vec<ColumnView>,
    /// Tactics that no rule watches.
    gaps: Vec<&'static str>,
    unplaced: Vec<Cell>,
}

pub(crate) fn tactic_label(tactic: Tactic) -> &'static str {
    match tactic {
        Tactic::Reconnaissance => t("Aufklärung"),
        Tactic::ResourceDevelopment => t("Vorbereitung"),
        Tactic::InitialAccess => t("Erster Zugang"),
        Tactic::Execution => t("Ausführung"),
        Tactic::Persistence => t("Festsetzen"),
        Tactic::PrivilegeEscalation => t("Rechteausweitung"),
        Tactic::Stealth => t("Tarnung"),
        Tactic::DefenseImpairment => t("Abwehr schwächen"),
        Tactic::CredentialAccess => t("Zugangsdaten"),
        Tactic::Discovery => t("Auskundschaften"),
        Tactic::LateralMovement => t("Ausbreitung"),
        Tactic::Collection => t("Sammeln"),
        Tactic::CommandAndControl => t("Fernsteuerung"),
        Tactic::Exfiltration => t("Abfluss"),
        Tactic::Impact => t("Schaden"),
    }
}

/// Of the rules in force: those that alert, on or on probation, with the detectors and the house's own.
fn computed(ask: &Ask) -> Result<Coverage, DbError> {
    let (scope, now, book) = (ask.scope(), ask.now, ask.app.rules.get());
    let records = ask.app.db.read(|c| rule_records(c, &scope, WEEKS, now))?;
    let hits: BTreeMap<&str, u64> = records.iter().map(|(rule, record)| (rule.as_str(), record.quality.alerts)).collect();
    let house = detect::watch::house_rules();
    let sheet = ask.app.board.sheet.iter().filter(|(_, section)| section.enabled).map(|(_, section)| &*section.rule);
    let rules = book.in_force().filter(|compiled| compiled.alerts).map(|compiled| &*compiled.rule);
    let all: Vec<&Rule> = rules.chain(sheet).chain(house.iter().map(|rule| &**rule)).collect();
    Ok(Coverage::of(all.into_iter(), |rule| hits.get(rule).copied().unwrap_or(0)))
}

fn cell(one: &Covered) -> Cell {
    let rules = one.rules.len();
    // With one rule its alerts are the technique's; with several each rule's page has its own.
    let hits_href = match one.rules.iter().next().filter(|_| rules == 1) {
        Some(rule) => super::quality::alerts_href(rule, None),
        None => link("/regeln", &[("technik", &one.id), ("nach", "alarme")]),
    };
    Cell {
        id: one.id.clone(),
        name: one.name,
        href: link("/regeln", &[("technik", &one.id)]),
        rules: tn("{n} Regel", "{n} Regeln", rules as u64),
        hits: if one.hits > 0 { tn("{n} Alarm", "{n} Alarme", one.hits) } else { String::new() },
        hits_href,
        step: match rules {
            0 | 1 => 1,
            2 => 2,
            3..=5 => 3,
            _ => 4,
        },
        parts: one.parts.keys().map(|part| format!("{part} {}", technique_name(part).unwrap_or_default()).trim_end().to_owned()).collect(),
    }
}

pub(in crate::web) fn show(ask: &mut Ask) -> Reply {
    let coverage = computed(ask)?;
    let column = |tactic: Tactic| {
        let cells: Vec<Cell> = coverage.column(tactic).into_iter().map(cell).collect();
        let known = tactic.known();
        ColumnView {
            label: tactic_label(tactic),
            text: tf("{n} von {all} Techniken", &[("n", &cells.len()), ("all", &known)]),
            share: format!("{:.1}", cells.len() as f64 / known.max(1) as f64 * 100.0),
            cells,
        }
    };
    let columns: Vec<(Tactic, ColumnView)> = Tactic::ALL.map(|tactic| (tactic, column(tactic))).into();
    let (columns, gaps): (Vec<_>, Vec<_>) = columns.into_iter().partition(|(_, column)| !column.cells.is_empty());
    let page = CoveragePage {
        frame: ask.frame(t("Abdeckung"), Place::Rules),
        summary: tf(
            "{techniques} Techniken in {tactics} von {all} Taktiken, berechnet aus den Regeln in Kraft",
            &[("techniques", &show::num(coverage.techniques.len() as i128)), ("tactics", &columns.len()), ("all", &Tactic::ALL.len())],
        ),
        version: ATTACK_VERSION,
        days: QUALITY_DAYS,
        columns: columns.into_iter().map(|(_, column)| column).collect(),
        gaps: gaps.into_iter().map(|(tactic, _)| tactic_label(tactic)).collect(),
        unplaced: coverage.unplaced().into_iter().map(cell).collect(),
    };
    ask.page(&page)
}

/// The layer for the ATT&CK Navigator.
pub(in crate::web) fn layer(ask: &mut Ask) -> Reply {
    let book = ask.app.rules.get();
    let description = format!("Regelsatz {}, {}", book.number, show::stamp(ask.now));
    let layer = computed(ask)?.layer("Wartburg", &description);
    ask.download("wartburg-attack-layer.json", "application/json", format!("{layer:#}").into_bytes())
}
