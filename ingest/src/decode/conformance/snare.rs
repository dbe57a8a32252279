//! rsyslog's Snare samples: every line of them says its event, channel, computer and user. What is expected is read here
//! by column and by the text's own words, not with the decoder's tables.

use std::path::Path;

use super::{corpora, event, lines, text};
use crate::event::Event;
use crate::fields::{self, FieldId};

const FILES: [&str; 2] = ["sample-custom-pattern.data", "sample-windows2022-security.data"];

fn samples(corpora: &Path) -> Vec<String> {
    let all = FILES.iter().flat_map(|file| lines(&corpora.join("rsyslog/snare").join(file)));
    all.filter(|line| !line.trim().is_empty()).collect()
}

/// Snare's columns, counted behind its mark.
fn columns(line: &str) -> Vec<&str> {
    line.split_once("MSWinEventLog\t").map(|(_, columns)| columns.split('\t').collect()).unwrap_or_default()
}

/// The accounts that a rendered text names; `-` is nobody.
fn accounts(rendered: &str) -> Vec<&str> {
    let label = "Account Name:";
    let found = rendered.match_indices(label).filter(|(at, _)| {
        let before = &rendered[..*at];
        // Old, new and SAM names are of attributes, not of who acts or is acted on.
        ["Old ", "New ", "SAM "].iter().all(|word| !before.ends_with(word))
    });
    let names = found.map(|(at, _)| rendered[at + label.len()..].trim_start().split("  ").next().unwrap_or_default().trim());
    names.filter(|name| !matches!(*name, "" | "-") && !name.ends_with(':')).collect()
}

/// All that an event says of accounts.
fn users(event: &Event) -> Vec<String> {
    let is_user =
        |field: FieldId| field.name().contains("user") || field.name().ends_with("UserName") || field.name().ends_with("MemberName");
    event.fields().filter(|(field, _)| is_user(*field)).map(|(_, value)| value.text().into_owned()).collect()
}

/// What is wrong with a line's event; empty for nothing.
fn wrong(line: &str) -> String {
    let (columns, event) = (columns(line), event(line));
    let [_, channel, _, _, id, _, user, _, _, computer, _, _, rendered, ..] = columns[..] else {
        return format!("{} columns", columns.len());
    };
    let mut out = String::new();
    let named = |name: &str| FieldId::find(name).map(|field| text(&event, field)).unwrap_or_default();
    for (what, read, wanted) in [
        ("event.code", text(&event, fields::EVENT_CODE), id),
        ("winlog.channel", named("winlog.channel"), channel),
        ("winlog.computer_name", named("winlog.computer_name"), computer),
        ("host.name", text(&event, fields::HOST_NAME), computer),
    ] {
        if read != wanted {
            out += &format!(" {what}={read:?} instead of {wanted:?}");
        }
    }
    let users = users(&event);
    let own = Some(user).filter(|user| *user != "N/A");
    for account in accounts(rendered).into_iter().chain(own) {
        if !users.iter().any(|user| user == account) {
            out += &format!(" no {account:?} among {users:?}");
        }
    }
    out
}

/// Lines, those with accounts in them, and those that we read otherwise.
fn compare(corpora: &Path) -> (usize, usize, Vec<String>) {
    let samples = samples(corpora);
    let with_accounts = samples.iter().filter(|line| columns(line).get(12).is_some_and(|text| !accounts(text).is_empty())).count();
    let wrong = samples.iter().map(|line| (line, wrong(line))).filter(|(_, wrong)| !wrong.is_empty());
    (samples.len(), with_accounts, wrong.map(|(line, wrong)| format!("{wrong}\n   {line}")).collect())
}

/// The sentence in the documentation.
pub(super) fn sentence(corpora: &Path) -> String {
    let (lines, with_accounts, wrong) = compare(corpora);
    format!(
        "{lines} Zeilen, in {with_accounts} davon mindestens ein Konto im Text; Ereigniskennung, Protokoll, Rechner und jedes genannte Konto stimmen in {} Zeilen.\n",
        lines - wrong.len()
    )
}

#[test]
fn every_line_says_its_event_channel_computer_and_users() {
    let Some(corpora) = corpora() else { return };
    let (lines, with_accounts, wrong) = compare(&corpora);
    assert!(wrong.is_empty(), "{} of {lines}\n{}", wrong.len(), wrong.iter().take(12).cloned().collect::<Vec<_>>().join("\n"));
    assert!(lines >= 270 && with_accounts >= 190, "{lines} lines, {with_accounts} with accounts");
}

#[test]
fn this_check_can_fail() {
    let line = "<14>Sep 17 16:37:25 PC-1 MSWinEventLog\t1\tSecurity\t1\tFri Sep 17 16:37:25 2021\t4647\tP\tN/A\tN/A\tSuccess Audit\tPC-2\tL\t\t\
                User initiated logoff:    Subject:   Account Name:  anna   Account Domain:  X\t1";
    // The event's computer is its host, whoever passed it on.
    assert_eq!(wrong(line), "");
    // Another program's line with the mark in it is no event of Windows, and none of this stands in it.
    let other = line.replace("MSWinEventLog", "nginx: GET /MSWinEventLog");
    assert!(wrong(&other).starts_with(r#" event.code="" instead of "4647""#), "{}", wrong(&other));
    assert_eq!(
        accounts("Subject:   Account Name:  -   New Logon:   Account Name:  LOCAL SERVICE   SAM Account Name: x"),
        ["LOCAL SERVICE"]
    );
}
