//! The flow store's part of `store ls|verify|rebuild|deletions`: its days, under the class `flows`.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use ingest::db::Db;
use ingest::flows::{FlowDay, FlowStore, PART, flow_deletion_list};
use serde_json::json;

use crate::cli::StoreDayArgs;
use crate::show;

/// The store, looked at beside whoever writes it.
pub(super) fn look(dir: &Path) -> Result<Arc<FlowStore>> {
    FlowStore::open_beside(&dir.join("flows")).context("Flussspeicher öffnen")
}

pub(super) fn ls(json: bool, store: &FlowStore, out: &mut dyn Write) -> Result<()> {
    for day in store.days() {
        let name = name(&day);
        if json {
            let mut object = json!(day);
            if let Some(object) = object.as_object_mut() {
                object.insert("name".into(), json!(name));
                object.insert("class".into(), json!(PART));
                object.insert("bytes_per_flow".into(), json!(day.bytes.checked_div(day.records)));
            }
            writeln!(out, "{object}")?;
            continue;
        }
        let per_flow = day.bytes.checked_div(day.records).map_or_else(|| "–".into(), |bytes| format!("{bytes} B/Fluss"));
        writeln!(
            out,
            "{name:<28}  {:>12} {:<10}  {:>10}  {per_flow:>15}  {:>3} Dateien   {} bis {}  {}",
            show::num(day.records),
            "Flüsse",
            show::bytes(day.bytes),
            day.files,
            show::num(day.first.0),
            show::num(day.last.0),
            if day.compacted == day.files { "zusammengefasst" } else { "offen" }
        )?;
    }
    for (place, why) in store.unread() {
        match json {
            true => writeln!(out, "{}", json!({ "name": format!("{PART}/{place}"), "class": PART, "damaged": true, "why": why }))?,
            false => writeln!(out, "{:<28}  NICHT LESBAR: {}", format!("{PART}/{}", show::safe(&place)), show::safe(&why))?,
        }
    }
    for file in store.quarantined() {
        match json {
            true => writeln!(out, "{}", json!({ "name": format!("{PART}/quarantine/{file}"), "class": PART, "damaged": true }))?,
            false => writeln!(out, "{:<28}  BESCHÄDIGT, beiseitegelegt", format!("{PART}/quarantine/{}", show::safe(&file)))?,
        }
    }
    Ok(())
}

fn name(day: &FlowDay) -> String {
    format!("{PART}/{}", day.day)
}

/// Whether there is something of what the arguments mean, be it broken.
pub(super) fn is_chosen(args: &StoreDayArgs, store: &FlowStore) -> bool {
    !chosen(args, store).is_empty() || !unread(args, store).is_empty()
}

/// What cannot be read of it, by its place, and why: it is not in the store, so that no day knows of it.
fn unread(args: &StoreDayArgs, store: &FlowStore) -> Vec<(String, String)> {
    let day = args.day.as_deref().unwrap_or_default();
    let mut unread = store.unread();
    unread.retain(|(place, _)| args.class.as_ref().is_none_or(|class| class == PART) && place.starts_with(day));
    unread
}

/// The days that the arguments mean.
fn chosen(args: &StoreDayArgs, store: &FlowStore) -> Vec<FlowDay> {
    let mut days = store.days();
    days.retain(|day| args.class.as_ref().is_none_or(|class| class == PART) && args.day.as_ref().is_none_or(|wanted| *wanted == day.day));
    days
}

/// Reads everything of the chosen days; how many were looked at, and how many are not sound. What was set aside counts, and
/// what cannot be read.
pub(super) fn verify(args: &StoreDayArgs, store: &FlowStore, out: &mut dyn Write) -> Result<(usize, usize)> {
    let days = chosen(args, store);
    let mut bad = 0;
    for day in &days {
        let faults = store.verify_day(&day.day);
        bad += usize::from(!faults.is_empty());
        said(args.json, &name(day), &faults, out)?;
    }
    for (place, why) in unread(args, store) {
        bad += 1;
        said(args.json, &format!("{PART}/{place}"), &[why], out)?;
    }
    if args.class.as_ref().is_none_or(|class| class == PART) {
        let prefix = args.day.clone().unwrap_or_default();
        for file in store.quarantined().into_iter().filter(|file| file.starts_with(&prefix)) {
            bad += 1;
            said(args.json, &format!("{PART}/quarantine/{file}"), &["beschädigt und beiseitegelegt".to_owned()], out)?;
        }
    }
    Ok((days.len(), bad))
}

fn said(json: bool, name: &str, faults: &[String], out: &mut dyn Write) -> Result<()> {
    if json {
        writeln!(out, "{}", json!({ "name": name, "sound": faults.is_empty(), "faults": faults }))?;
    } else {
        for fault in faults {
            writeln!(out, "{}: {}", show::safe(name), show::safe(fault))?;
        }
    }
    Ok(())
}

/// Whether something of the flows is to be rebuilt where nothing is named.
pub(super) fn faulty(store: &FlowStore) -> bool {
    !store.quarantined().is_empty() || !store.unread().is_empty() || store.days().iter().any(|day| !store.verify_day(&day.day).is_empty())
}

pub(super) fn deletions(json: bool, db: &Db, out: &mut dyn Write) -> Result<()> {
    for row in db.read(flow_deletion_list)? {
        if json {
            let mut object = json!(row);
            if let Some(object) = object.as_object_mut() {
                object.insert("class".into(), json!(PART));
            }
            writeln!(out, "{object}")?;
            continue;
        }
        let why = match row.why.as_str() {
            "retention" => "Aufbewahrung abgelaufen",
            "retention, damaged" => "Aufbewahrung abgelaufen (war beschädigt)",
            other => other,
        };
        writeln!(
            out,
            "{}  {PART}/{}  {} Flüsse, {}  {why}",
            row.at.rfc3339(),
            show::safe(&row.file),
            show::num(row.records),
            show::bytes(row.bytes)
        )?;
    }
    Ok(())
}
