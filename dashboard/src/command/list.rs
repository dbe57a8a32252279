//! `alerts`: what there is, as a list.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use detect::alert::{AlertFilter, alert_list};
use ingest::scope::Scope;
use serde_json::json;

use crate::node::View;
use crate::{show, words};

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
