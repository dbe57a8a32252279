//! `incidents`, `alerts` and `sources`: what there is, as a list.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use detect::alert::{AlertFilter, alert_list};
use detect::incident::{IncidentFilter, State, incident_json};
use detect::rule::Level;
use ingest::scope::Scope;
use ingest::source::source_list;
use ingest::time::Timestamp;
use serde_json::json;

use crate::node::View;
use crate::{show, words};

pub(super) fn incidents(json: bool, view: &View, out: &mut dyn Write) -> Result<ExitCode> {
    for incident in view.db.read(|connection| incident_json(connection, &IncidentFilter::new(Scope::All)))? {
        if json {
            writeln!(out, "{}", json!(incident))?;
        } else {
            let place = incident.body.as_deref().or(incident.site.as_deref()).unwrap_or("ohne Stelle");
            writeln!(
                out,
                "{}  {:<13} {:<10} {}  ({place}, {} Ereignisse)",
                incident.number,
                Level::parse(incident.severity).map_or(incident.severity, words::level),
                State::parse(incident.state).map_or(incident.state, words::state),
                show::safe(&incident.title),
                incident.events
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn alerts(json: bool, view: &View, out: &mut dyn Write) -> Result<ExitCode> {
    for alert in view.db.read(|connection| alert_list(connection, &AlertFilter::new(Scope::All)))? {
        if json {
            writeln!(out, "{}", json!(alert))?;
        } else {
            writeln!(
                out,
                "{}  {:<13} {:<12} {}  {}",
                alert.first.rfc3339(),
                words::level(alert.level),
                words::alert_state(alert.state),
                show::safe(&alert.title),
                show::safe(&alert.entity)
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn sources(json: bool, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    for source in view.db.read(|connection| source_list(connection, &Scope::All, &view.sites, now))? {
        let site = view.sites.name(source.site);
        if json {
            let mut object = serde_json::to_value(&source)?;
            if let Some(object) = object.as_object_mut() {
                object.insert("site".into(), site.into());
                object.insert("silent".into(), source.is_silent(now).into());
                object.insert("patience_millis".into(), source.patience_millis(now).into());
                object.insert("usual_gap_millis".into(), source.usual_gap_millis(now).into());
                object.insert("rate_per_hour".into(), source.rate(now).into());
                object.insert("format".into(), source.format().map(|(name, _)| name).into());
            }
            writeln!(out, "{object}")?;
        } else {
            let silent = if source.is_silent(now) { "  STILL" } else { "" };
            writeln!(
                out,
                "{}  {:<28} {:<16} {:<20} {:<6} {:>9} Pakete{silent}",
                source.last_seen.rfc3339(),
                site,
                source.peer,
                show::safe(&source.host),
                source.transport,
                source.frames
            )?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
