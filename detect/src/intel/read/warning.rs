//! Warning lists: lines, and the lists of MISP (`list.json`), whose `type` says how an entry covers a value.

use std::io::{BufRead, Read as _};

use serde_json::Value;

use super::text::{Line, next_line};
use super::{ReadError, Reading, Reason, TEXT_BYTES_MAX};
use crate::intel::warning::{NewWarning, WARNINGS_PER_LIST_MAX};

pub(super) fn looks_so(document: &Value) -> bool {
    document.get("list").is_some_and(Value::is_array) && document.get("name").is_some()
}

pub(super) fn read(reading: &mut Reading<'_>, document: &Value) -> Result<(), ReadError> {
    let text = |key: &str| document.get(key).and_then(Value::as_str).unwrap_or_default();
    reading.report.name = text("name").chars().take(200).collect();
    reading.report.description = text("description").chars().take(500).collect();
    let Some(list) = document.get("list").and_then(Value::as_array) else {
        return Err(ReadError::Unknown("no `list`".into()));
    };
    let kind = text("type");
    for (number, entry) in list.iter().enumerate() {
        let place = number.to_string();
        let Some(entry) = entry.as_str() else {
            reading.refuse(&place, Reason::Malformed, "not a text");
            continue;
        };
        let warning = match kind {
            // The whole host, with what is below it.
            "hostname" => NewWarning::parse(entry)
                .map(|parsed| match parsed {
                    NewWarning::Name(name) => NewWarning::Below(name),
                    other => other,
                })
                .or_else(|| NewWarning::below(entry.trim_start_matches('.'))),
            "string" | "cidr" | "" => NewWarning::parse(entry),
            _ => {
                reading.refuse(&place, Reason::InexactWarning, &format!("{kind}: {entry}"));
                continue;
            }
        };
        take(reading, &place, entry, warning)?;
    }
    Ok(())
}

pub(super) fn read_lines(reading: &mut Reading<'_>, source: &mut dyn BufRead) -> Result<(), ReadError> {
    let mut source = source.take(TEXT_BYTES_MAX);
    let (mut line, mut number) = (Vec::new(), 0u64);
    loop {
        number += 1;
        match next_line(&mut source, &mut line)? {
            Line::End => return Ok(()),
            Line::TooLong(_) => reading.refuse(&number.to_string(), Reason::Malformed, "line too long"),
            Line::Read(_) => {
                let text = String::from_utf8_lossy(&line);
                let text = text.trim_start_matches('\u{feff}').split('#').next().unwrap_or_default().trim();
                // Lists of visited names have their rank in front.
                let entry = match text.split_once(',') {
                    Some((rank, name)) if rank.bytes().all(|byte| byte.is_ascii_digit()) => name,
                    _ => text,
                };
                if !entry.is_empty() {
                    take(reading, &number.to_string(), entry, NewWarning::parse(entry))?;
                }
            }
        }
    }
}

fn take(reading: &mut Reading<'_>, place: &str, entry: &str, warning: Option<NewWarning>) -> Result<(), ReadError> {
    match warning {
        Some(_) if reading.report.taken >= WARNINGS_PER_LIST_MAX as u64 => reading.refuse(place, Reason::TooMany, entry),
        Some(warning) => reading.warning(warning)?,
        None => reading.refuse(place, Reason::NotAnIndicator, entry),
    }
    Ok(())
}
