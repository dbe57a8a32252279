//! Databases: who was denied. MySQL and MariaDB (`Access denied for user 'a'@'192.0.2.1'`), PostgreSQL
//! (`FATAL: password authentication failed for user "a"`), behind whatever prefix the operator configured.

use super::Look;
use super::draft::Draft;
use super::part::{between, bracketed, is_number, word};
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.contains("Access denied for user ")
        || look.text.contains("authentication failed for user ")
        || look.text.contains("no pg_hba.conf entry for ")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    mysql(look.text, draft) || postgresql(look.text, draft)
}

fn mysql(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((before, rest)) = text.split_once("Access denied for user '") else { return false };
    // The name is the attacker's and may hold quotes: the address stands behind the last `'@'`.
    let Some((user, rest)) = rest.rsplit_once("'@'") else { return false };
    let (host, rest) = rest.split_once('\'').unwrap_or((rest, ""));
    draft.name(fields::EVENT_MODULE, "mysql");
    draft.event("authentication", "database_login", "failure");
    draft.str(fields::USER_NAME, user);
    draft.source(host);
    if let Some((password, _)) = between(rest, "using password: ", ")") {
        draft.vendor("mysql", "using_password", password);
    }
    if let Some((code, _)) = between(before, "[MY-", "]") {
        draft.str(fields::EVENT_CODE, code);
    }
    if let Some((level, _)) = between(before, "[", "]").filter(|(level, _)| !level.starts_with("MY-"))
        && !draft.has(fields::LOG_LEVEL)
    {
        match level {
            "Warning" => draft.name(fields::LOG_LEVEL, "warning"),
            "Note" => draft.name(fields::LOG_LEVEL, "notice"),
            "ERROR" | "Error" => draft.name(fields::LOG_LEVEL, "error"),
            other => draft.str(fields::LOG_LEVEL, other),
        }
    }
    if draft.stamp == Stamp::Absent {
        draft.stamp = old_stamp(before).unwrap_or_default();
    }
    true
}

/// `2021-11-09  5:13:12` and `221128 14:49:17` of older MariaDBs.
fn old_stamp(text: &str) -> Option<Stamp> {
    let (day, rest) = word(text)?;
    let (clock, _) = word(rest)?;
    let day = match day.as_bytes() {
        [_, _, _, _, _, _] if is_number(day) => format!("20{}-{}-{}", day.get(..2)?, day.get(2..4)?, day.get(4..)?),
        _ => day.to_owned(),
    };
    let clock = if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.to_owned() };
    syslog::whole_stamp(&format!("{day} {clock}"))
}

fn postgresql(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((before, what)) = text.split_once("FATAL: ") else { return false };
    let what = what.trim_start();
    let user = between(what, "user \"", "\"").map(|(user, _)| user);
    draft.name(fields::EVENT_MODULE, "postgresql");
    draft.event("authentication", "database_login", "failure");
    draft.str(fields::USER_NAME, user.unwrap_or_default());
    draft.str(fields::EVENT_REASON, what);
    if let Some((host, _)) = between(what, "for host \"", "\"") {
        draft.source(host);
    }
    if let Some((database, _)) = between(what, "database \"", "\"") {
        draft.vendor("postgresql", "database", database);
    }
    // The usual prefixes: `%h %t [%p] %u@%d`, `%m [%p]`, `%t [%p]: user=…,db=…,client=…`.
    if let Some((pid, _)) = before.find('[').and_then(|at| before.get(at..)).and_then(bracketed)
        && !draft.has(fields::PROCESS_PID)
        && is_number(pid)
    {
        draft.number(fields::PROCESS_PID, pid);
    }
    if let Some((_, database)) = before.trim_end().rsplit_once('@').filter(|(_, database)| !database.contains(' ')) {
        draft.vendor("postgresql", "database", database);
    }
    if let Some((client, _)) = between(before, "client=", " ").or_else(|| between(before, "client=", ",")) {
        draft.source(client.trim_end_matches(','));
    }
    let mut words = before.split(' ');
    let first = words.next().unwrap_or_default();
    let stamp = if super::draft::address(first.split('(').next().unwrap_or_default()).is_some() {
        draft.source(first.split('(').next().unwrap_or_default());
        before.get(first.len()..).unwrap_or_default().trim_start()
    } else {
        before
    };
    if draft.stamp == Stamp::Absent {
        let mut words = stamp.split(' ');
        let (day, clock, zone) = (words.next().unwrap_or_default(), words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let end = day.len() + 1 + clock.len();
        let civil = stamp.get(..end).and_then(syslog::whole_stamp);
        draft.stamp = match (civil, zone) {
            (Some(Stamp::Civil(civil)), "UTC" | "GMT") => civil.moment(0).map_or(Stamp::Bad, Stamp::Moment),
            (Some(stamp), _) => stamp,
            (None, _) => Stamp::Absent,
        };
    }
    true
}
