//! loghub's samples: 2,000 lines of each system with its own reading of them as CSV.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::{corpora, event, lines, names, text};
use crate::event::{Event, ValueRef};
use crate::fields::{self, FieldId};

/// Of the lines, this share must agree with the corpus' own reading.
const AGREEMENT_MIN: f64 = 0.999;

/// What the columns of a system's CSV are.
struct System {
    name: &'static str,
    /// The columns that are the stamp, joined by blanks, and how ours is written to be compared.
    stamp: (&'static [&'static str], &'static str),
    columns: &'static [(&'static str, FieldId)],
    /// The message is the end of the line: loghub also takes parts off its front that are nobody's header.
    message_is_end: bool,
}

/// loghub's table of OpenSSH calls the host `Component` and leaves the program out; that of Linux calls it `Level`.
const SYSTEMS: &[System] = &[
    System { name: "Apache", stamp: (&["Time"], "%a %b %d %H:%M:%S %Y"), columns: &[("Level", fields::LOG_LEVEL)], message_is_end: false },
    System {
        name: "Linux",
        stamp: (&["Month", "Date", "Time"], "%b %-d %H:%M:%S"),
        columns: &[("Level", fields::HOST_NAME), ("Component", fields::PROCESS_NAME), ("PID", fields::PROCESS_PID)],
        message_is_end: false,
    },
    System {
        name: "OpenSSH",
        stamp: (&["Date", "Day", "Time"], "%b %-d %H:%M:%S"),
        columns: &[("Component", fields::HOST_NAME), ("Pid", fields::PROCESS_PID)],
        message_is_end: false,
    },
    // Windows' servicing log (CBS.log), a file of its own form: level and component are columns of its text.
    System { name: "Windows", stamp: (&["Date", "Time"], "%Y-%m-%d %H:%M:%S"), columns: &[], message_is_end: true },
];

/// The columns of a CSV row; quotes as RFC 4180 has them.
fn columns(row: &str) -> Vec<String> {
    let (mut columns, mut quoted) = (vec![String::new()], false);
    for char in row.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' if !quoted => columns.push(String::new()),
            _ => columns.last_mut().unwrap().push(char),
        }
    }
    columns
}

/// What we read of a line otherwise than the corpus.
fn differences(system: &System, event: &Event, row: &BTreeMap<&str, String>) -> String {
    let mut out = String::new();
    let stamp = system.stamp.0.iter().map(|name| row[name].trim()).collect::<Vec<_>>().join(" ");
    let read = event.timestamp.utc().format(system.stamp.1).to_string();
    if read != stamp {
        write!(out, " time {read:?} instead of {stamp:?}").unwrap();
    }
    for (name, field) in system.columns {
        let read = text(event, *field);
        if read != row[name].trim() {
            write!(out, " {} {read:?} instead of {:?}", field.name(), row[name]).unwrap();
        }
    }
    let (read, wanted) = (event.message().trim(), row["Content"].trim());
    // A message with quotes of its own is not compared: the corpus' CSV has lost them.
    let same = read.contains('"') || read == wanted || system.message_is_end && read.ends_with(wanted);
    if !same {
        write!(out, " message {read:?} instead of {wanted:?}").unwrap();
    }
    out
}

/// A system's lines and those that we read otherwise.
fn compare(folder: &Path, system: &System) -> (usize, Vec<String>) {
    let name = system.name;
    let lines = lines(&folder.join(name).join(format!("{name}_2k.log")));
    let rows = self::lines(&folder.join(name).join(format!("{name}_2k.log_structured.csv")));
    let header = columns(&rows[0]);
    let mut wrong = Vec::new();
    for (line, row) in lines.iter().zip(&rows[1..]) {
        let row = header.iter().map(String::as_str).zip(columns(row)).collect();
        let differences = differences(system, &event(line), &row);
        if !differences.is_empty() {
            wrong.push(format!("{line}\n  {differences}"));
        }
    }
    (lines.len(), wrong)
}

/// The rows of the table in the documentation.
pub(super) fn table(corpora: &Path) -> String {
    let mut out = String::from("| System | Zeilen | wie loghub gelesen |\n|---|---:|---:|\n");
    for system in SYSTEMS {
        let (lines, wrong) = compare(&corpora.join("loghub"), system);
        writeln!(out, "| {} | {lines} | {} |", system.name, lines - wrong.len()).unwrap();
    }
    out
}

#[test]
fn headers_are_read_as_loghub_reads_them() {
    let Some(folder) = corpora().map(|corpora| corpora.join("loghub")) else { return };
    assert_eq!(names(&folder), SYSTEMS.iter().map(|system| system.name).collect::<Vec<_>>(), "a system without a row in SYSTEMS");
    for system in SYSTEMS {
        let (lines, wrong) = compare(&folder, system);
        let agreement = 1.0 - wrong.len() as f64 / lines as f64;
        let first = wrong.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
        assert!(lines >= 1_900 && agreement >= AGREEMENT_MIN, "{}: {agreement} of {lines}\n{first}", system.name);
    }
}

#[test]
fn every_failed_password_names_who_and_whence() {
    let Some(corpora) = corpora() else { return };
    let mut counted = 0;
    for line in lines(&corpora.join("loghub/OpenSSH/OpenSSH_2k.log")).iter().filter(|line| line.contains(" Failed password for ")) {
        let event = event(line);
        assert_eq!(text(&event, fields::EVENT_ACTION), "ssh_login", "{line}");
        assert_eq!(text(&event, fields::EVENT_OUTCOME), "failure", "{line}");
        assert!(matches!(event.get(fields::SOURCE_IP), Some(ValueRef::Ip(_))), "{line}");
        assert!(event.has(fields::USER_NAME), "{line}");
        counted += 1;
    }
    assert!(counted > 400, "{counted}");
}

/// What sshd and PAM say of a login always names an action.
#[test]
fn no_line_about_a_login_is_left_unread() {
    let Some(corpora) = corpora() else { return };
    let mut unread: BTreeMap<String, usize> = BTreeMap::new();
    for file in ["loghub/OpenSSH/OpenSSH_2k.log", "loghub/Linux/Linux_2k.log"] {
        for line in lines(&corpora.join(file)) {
            let event = event(&line);
            if text(&event, fields::PROCESS_NAME).starts_with("sshd") && !event.has(fields::EVENT_ACTION) {
                *unread.entry(event.message().split(' ').take(3).collect::<Vec<_>>().join(" ")).or_default() += 1;
            }
        }
    }
    let total: usize = unread.values().sum();
    assert!(total <= 60, "{total} {unread:#?}");
}
