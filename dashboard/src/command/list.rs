//! `incidents` and `alerts`: what there is, as a list.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use detect::alert::{AlertFilter, alert_list};
use detect::incident::{IncidentFilter, State, incident_json};
use detect::rule::Level;
use ingest::scope::Scope;
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
