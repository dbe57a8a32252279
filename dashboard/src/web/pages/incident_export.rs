//! A case as a file for others: the menu on its page, the downloads behind it, and the list as a table. What may leave is
//! `detect::exchange::Package`'s affair; here is who asks, and that a red case leaves only on purpose.

use detect::exchange::{Audience, Format, csv_list, export};
use detect::incident::{Incident, IncidentFilter, IncidentView, State, Tlp, incident_list};
use detect::rule::Level;
use ingest::scope::Scope;

use crate::outside::{package, sender};
use crate::report::{CaseFile, refused};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t};

/// Cases of one file: ten years of them.
const LIST_MAX: usize = 10_000;
/// Cases read at once.
const PART: usize = 1_000;

/// The menu on the case's page.
pub(in crate::web) struct Menu {
    pub(in crate::web) path: String,
    /// Where the case is a document.
    pub(in crate::web) report: String,
    pub(in crate::web) formats: Vec<(&'static str, &'static str)>,
    pub(in crate::web) label: &'static str,
    pub(in crate::web) rule: &'static str,
    /// It has to be said that one means it.
    pub(in crate::web) confirm: bool,
    /// What a body gets is less.
    pub(in crate::web) own: bool,
}

pub(super) fn menu(view: &IncidentView, internal: bool) -> Menu {
    let incident = &view.incident;
    Menu {
        path: format!("/vorfall/{}/export", incident.number),
        report: format!("/vorfall/{}/bericht.pdf", incident.number),
        formats: Format::ALL.map(|format| (format.as_str(), format.label())).into(),
        label: incident.tlp.as_str(),
        rule: words::tlp_rule(incident.tlp),
        confirm: incident.tlp == Tlp::Red,
        own: !internal,
    }
}

pub(in crate::web) fn download(ask: &mut Ask) -> Reply {
    let (_, view) = super::incidents::find(ask)?;
    let wanted = ask.query("form");
    let format = if wanted.is_empty() { Some(Format::Stix) } else { Format::parse(wanted) };
    let Some(format) = format else {
        return Err(PageError::Refused(t("Diese Form gibt es nicht. Wählen Sie STIX, MISP, IODEF oder CSV.").into()));
    };
    confirmed(ask, &view)?;
    let audience = if ask.scope() == Scope::All { Audience::Cert } else { Audience::Body };
    let package = package(&view, audience, &ask.app.rules.get(), &ask.app.pseudonyms);
    ask.remark("format", format.as_str());
    ask.remark("tlp", view.incident.tlp.as_str());
    ask.remark("hidden", package.hidden as u64);
    let text = export(&package, format, &sender(&ask.app.publisher), ask.now);
    ask.download(&format!("{}{}", view.incident.number, format.ending()), format.mime(), text.into_bytes())
}

/// The case as a document, with what its page shows.
pub(in crate::web) fn report(ask: &mut Ask) -> Reply {
    let (_, view) = super::incidents::find(ask)?;
    confirmed(ask, &view)?;
    let (scope, number, tlp) = (ask.scope(), view.incident.number.clone(), view.incident.tlp);
    let case = ask.app.db.read(|c| CaseFile::load(c, &scope, view))?;
    let pdf = case.print(&ask.app.publisher.name, &ask.app.pseudonyms).map_err(|error| PageError::Refused(refused(&error)))?;
    ask.remark("format", "pdf");
    ask.remark("tlp", tlp.as_str());
    ask.download(&format!("{number}-bericht.pdf"), "application/pdf", pdf)
}

/// A red case leaves where somebody says that it is meant.
fn confirmed(ask: &Ask, view: &IncidentView) -> Result<(), PageError> {
    if view.incident.tlp != Tlp::Red || ask.query("bestaetigt") == "ja" {
        return Ok(());
    }
    let text = t(
        "Dieser Vorfall trägt TLP:RED. Bestätigen Sie auf seiner Seite, dass die Datei nur an die Personen geht, für die sie bestimmt ist.",
    );
    Err(PageError::Refused(text.into()))
}

/// The list, filtered as on its page. Red cases are left out: each of them leaves alone and on purpose.
pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let states = match ask.query("stand") {
        "alle" => vec![],
        state => State::parse(state).map_or_else(|| State::OPEN.to_vec(), |state| vec![state]),
    };
    let word = ask.query("wort").trim();
    let mut filter = IncidentFilter {
        states,
        severity_min: Level::parse(ask.query("schwere")),
        text: Some(word.to_owned()).filter(|word| !word.is_empty()),
        limit: PART,
        ..super::incidents::readable(ask)
    };
    let mut cases: Vec<Incident> = Vec::new();
    let mut red: u64 = 0;
    while cases.len() < LIST_MAX {
        let part = ask.app.db.read(|c| incident_list(c, &filter))?;
        let whole = part.len() == PART;
        filter.before = part.last().map(|last| last.id);
        let (closed, open): (Vec<Incident>, Vec<Incident>) = part.into_iter().partition(|incident| incident.tlp == Tlp::Red);
        red += closed.len() as u64;
        cases.extend(open);
        if !whole {
            break;
        }
    }
    cases.truncate(LIST_MAX);
    ask.remark("format", "csv");
    ask.remark("count", cases.len() as u64);
    ask.remark("red_left_out", red);
    // Titles are made of what rules saw, and name accounts: where those are hidden, the class says what it is.
    let hidden = ask.app.pseudonyms.plan().is_some_and(|plan| plan.on);
    let title = |incident: &Incident| if hidden { incident.rsit.label() } else { incident.title.clone() };
    ask.download("vorfaelle.csv", Format::Csv.mime(), csv_list(&cases, &title).into_bytes())
}
