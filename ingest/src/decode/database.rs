//! Databases: who came and who was denied. MySQL and MariaDB (error log, general log, the audit plugin's lines), PostgreSQL
//! (standard error and `csvlog`), behind whatever prefix the operator configured. What is asked of them is not read.

use super::Look;
use super::draft::Draft;
use super::part::{between, bracketed, is_number, word};
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.text.contains("Access denied for user ")
        || look.text.contains("authentication failed for user ")
        || look.text.contains("pg_hba.conf ")
        || look.text.contains("onnection")
        || look.text.contains("Connect\t")
        || look.text.contains("CONNECT,")
        || look.text.contains(",QUERY,")
        || look.app == "mysql-server_auditing"
        || look.text.contains("FATAL: ")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    // Whoever talks to a database logs that it was refused, in the database's words; that somebody got in, only the
    // database itself says.
    let is_database = || look.is_of(&["mysql", "maria", "percona", "galera", "postgre", "pg", "docker"]);
    mysql(look.text, draft)
        || postgresql(look.text, draft)
        || is_database()
            && (mysql_connection(look.text, draft)
                || audit_plugin(look.text, draft)
                || csvlog(look.text, draft)
                || postgresql_connection(look.text, draft))
}

/// The general log: `2026-03-14T08:00:00.123456Z\t   12 Connect\tanna@192.0.2.1 on shop using TCP/IP`; the error log: `Aborted connection 5
/// to db: 'shop' user: 'anna' host: '192.0.2.1' (Got an error …)`, `Host '192.0.2.1' is blocked because of many connection errors`
fn mysql_connection(text: &str, draft: &mut Draft<'_>) -> bool {
    if let Some((before, rest)) = text.split_once("Connect\t") {
        let Some((user, rest)) = rest.split_once('@') else { return false };
        draft.name(fields::EVENT_MODULE, "mysql");
        draft.event("authentication", "database_login", "success");
        draft.str(fields::USER_NAME, user);
        let (host, rest) = rest.split_once(" on ").unwrap_or((rest, ""));
        draft.source(host);
        draft.vendor("mysql", "database", rest.split(" using ").next().unwrap_or_default());
        if let (Stamp::Absent, Some(stamp)) = (draft.stamp, before.split('\t').next().and_then(syslog::whole_stamp)) {
            draft.stamp = stamp;
        }
        return true;
    }
    if let Some((before, rest)) = text.split_once("Aborted connection ").filter(|(_, rest)| rest.contains(" to db: '")) {
        if draft.stamp == Stamp::Absent {
            draft.stamp = old_stamp(before).unwrap_or_default();
        }
        draft.name(fields::EVENT_MODULE, "mysql");
        draft.event("network", "connection_aborted", "failure");
        let value = |name: &str| between(rest, name, "'").map_or("", |(value, _)| value);
        draft.vendor("mysql", "database", value(" db: '"));
        draft.str(fields::USER_NAME, if value(" user: '") == "unauthenticated" { "" } else { value(" user: '") });
        draft.source(value(" host: '"));
        draft.str(fields::EVENT_REASON, rest.rsplit_once('(').map_or("", |(_, reason)| reason.trim_end_matches(')')));
        return true;
    }
    let Some((host, _)) = between(text, "Host '", "' is blocked because of many connection errors") else { return false };
    draft.name(fields::EVENT_MODULE, "mysql");
    draft.event("network", "blocked", "failure");
    draft.source(host);
    true
}

/// MariaDB's `server_audit`: `20260314 08:00:00,db-1,anna,192.0.2.1,5,0,FAILED_CONNECT,,,1045`; in syslog without the time.
fn audit_plugin(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.trim_start();
    let has_time = text.get(8..9) == Some(" ");
    let mut columns = text.splitn(if has_time { 8 } else { 7 }, ',');
    let first = columns.next().unwrap_or_default();
    let stamp = first
        .split_once(' ')
        .filter(|(day, _)| day.len() == 8 && is_number(day))
        .and_then(|(day, clock)| syslog::whole_stamp(&format!("{}-{}-{} {clock}", day.get(..4)?, day.get(4..6)?, day.get(6..)?)));
    let host = if stamp.is_some() { columns.next().unwrap_or_default() } else { first };
    let [user, from, connection, query] = std::array::from_fn(|_| columns.next().unwrap_or_default());
    let operation = columns.next().unwrap_or_default();
    let rest = columns.next().unwrap_or_default();
    if host.is_empty() || !is_number(connection) || !is_number(query) {
        return false;
    }
    let (category, action, outcome) = match operation {
        "CONNECT" => ("authentication", "database_login", "success"),
        "FAILED_CONNECT" => ("authentication", "database_login", "failure"),
        "DISCONNECT" => ("session", "database_logout", "success"),
        "QUERY" | "QUERY_DDL" | "QUERY_DML" | "QUERY_DCL" => ("database", "database_query", ""),
        "TABLE" | "READ" | "WRITE" | "CREATE" | "ALTER" | "RENAME" | "DROP" => ("database", "database_access", ""),
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "mysql");
    draft.event(category, action, outcome);
    draft.str(fields::USER_NAME, user);
    if from != "localhost" {
        draft.source(from);
    }
    draft.vendor("mysql", "operation", operation);
    let mut rest = rest.splitn(2, ',');
    draft.vendor("mysql", "database", rest.next().unwrap_or_default());
    let object = rest.next().unwrap_or_default();
    let (object, code) = object.rsplit_once(',').unwrap_or((object, ""));
    draft.vendor("mysql", "object", object.trim_matches('\''));
    draft.optional(fields::EVENT_CODE, code);
    if let (Some(stamp), Stamp::Absent) = (stamp, draft.stamp) {
        draft.stamp = stamp;
    }
    true
}

/// `2026-03-14 08:00:00.123 CET,"anna","shop",1234,"192.0.2.1:4711",65f2a1b3.4d2,1,"authentication",…,FATAL,28P01,"password authentication failed …"`
fn csvlog(text: &str, draft: &mut Draft<'_>) -> bool {
    // 23 columns and more; the text is the 14th. A quoted one may hold commas.
    let mut columns = [""; 14];
    let mut rest = text;
    for column in &mut columns {
        let end = match rest.strip_prefix('"') {
            Some(inner) => {
                let mut end = 0;
                loop {
                    let Some(found) = inner.get(end..).and_then(|rest| rest.find('"')) else { return false };
                    end += found + 1;
                    if inner.as_bytes().get(end) != Some(&b'"') {
                        break end + 1;
                    }
                    end += 1;
                }
            }
            None => rest.find(',').unwrap_or(rest.len()),
        };
        let Some((value, behind)) = rest.split_at_checked(end) else { return false };
        *column = value;
        let Some(behind) = behind.strip_prefix(',') else { return false };
        rest = behind;
    }
    let [time, user, database, pid, peer, session, _, tag, _, _, _, level, code, message] = columns.map(|column| {
        let inner = column.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
        inner.unwrap_or(column)
    });
    if !is_number(pid) || !session.contains('.') || code.len() != 5 {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "postgresql");
    let failed = matches!(code, "28P01" | "28000");
    if failed {
        draft.event("authentication", "database_login", "failure");
        draft.str(fields::EVENT_REASON, &message.replace("\"\"", "\""));
    } else if message.starts_with("connection authorized: ") {
        draft.event("authentication", "database_login", "success");
    } else {
        draft.name(fields::EVENT_CATEGORY, "database");
    }
    draft.str(fields::USER_NAME, user);
    draft.vendor("postgresql", "database", database);
    if !draft.has(fields::PROCESS_PID) {
        draft.number(fields::PROCESS_PID, pid);
    }
    if peer.contains(':') {
        draft.source_endpoint(peer);
    }
    draft.vendor("postgresql", "command_tag", tag);
    draft.str(fields::EVENT_CODE, code);
    if !draft.has(fields::LOG_LEVEL) {
        draft.str(fields::LOG_LEVEL, level);
    }
    if draft.stamp == Stamp::Absent {
        draft.stamp = time.rsplit_once(' ').and_then(|(civil, _)| syslog::whole_stamp(civil)).unwrap_or_default();
    }
    true
}

/// `LOG:  connection received: host=192.0.2.1 port=4711`, `connection authorized: user=anna database=shop …`, `connection authenticated:
/// identity="anna" method=…`, `disconnection: session time: 0:00:01 user=anna database=shop host=192.0.2.1 port=4711`
fn postgresql_connection(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((before, what)) = text.split_once("LOG:  ").or_else(|| text.split_once("LOG: ")) else { return false };
    let (category, action, outcome) = match what {
        _ if what.starts_with("connection received: ") => ("network", "connection", ""),
        _ if what.starts_with("connection authorized: ") => ("authentication", "database_login", "success"),
        _ if what.starts_with("connection authenticated: ") => ("authentication", "database_identified", "success"),
        _ if what.starts_with("disconnection: ") => ("session", "database_logout", "success"),
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "postgresql");
    draft.event(category, action, outcome);
    let value = |name: &str| what.split_once(name).map_or("", |(_, rest)| rest.split([' ', ',']).next().unwrap_or_default());
    // Behind names that somebody chose: the last is the server's. Where somebody got in, no host is named at all.
    let last = |name: &str| match action {
        "database_login" | "database_identified" => "",
        _ => what.rsplit_once(name).map_or("", |(_, rest)| rest.split([' ', ',']).next().unwrap_or_default()),
    };
    let user =
        if action == "database_identified" { between(what, "identity=\"", "\"").map_or("", |(user, _)| user) } else { value("user=") };
    draft.str(fields::USER_NAME, user);
    draft.vendor("postgresql", "database", value("database="));
    if !matches!(last("host="), "" | "[local]") {
        draft.source(last("host="));
    }
    draft.optional(fields::SOURCE_PORT, last("port="));
    put_prefix(before, draft);
    true
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
    let marks = [
        "authentication failed for user ",
        "pg_hba.conf ",
        "role \"",
        "database \"",
        "permission denied for database ",
        "too many connections",
    ];
    if !marks.iter().any(|mark| what.contains(mark)) {
        return false;
    }
    // PostgreSQL escapes no quote within a name: a user's ends where the database is named, or at the last quote.
    let (head, named) = what.split_once("user \"").unwrap_or((what, ""));
    let (user, rest) = named.rsplit_once("\", database \"").or_else(|| named.rsplit_once('"')).unwrap_or_default();
    draft.name(fields::EVENT_MODULE, "postgresql");
    draft.event("authentication", "database_login", "failure");
    draft.str(fields::USER_NAME, user);
    draft.str(fields::EVENT_REASON, what);
    // The host stands before the name, and only there is it the server's word.
    if let Some((host, _)) = between(head, "for host \"", "\"") {
        draft.source(host);
    }
    let database = if named.is_empty() {
        between(head, "database \"", "\"").map(|(name, _)| name)
    } else {
        rest.rsplit_once('"').map(|(name, _)| name)
    };
    draft.vendor("postgresql", "database", database.unwrap_or_default());
    put_prefix(before, draft);
    true
}

/// The usual prefixes: `%h %t [%p] %u@%d`, `%m [%p]`, `%t [%p]: user=…,db=…,client=…`.
fn put_prefix(before: &str, draft: &mut Draft<'_>) {
    if let Some((pid, _)) = before.find('[').and_then(|at| before.get(at..)).and_then(bracketed)
        && !draft.has(fields::PROCESS_PID)
        && is_number(pid)
    {
        draft.number(fields::PROCESS_PID, pid);
    }
    let database = before.trim_end().rsplit_once('@').filter(|(_, database)| !database.contains(' '));
    if let Some((_, database)) = database.filter(|_| !draft.has_named("postgresql.database")) {
        draft.vendor("postgresql", "database", database);
    }
    // Behind the user's and the database's names, which may hold the mark.
    if let Some(client) =
        before.rsplit_once("client=").and_then(|(_, rest)| rest.split([' ', ',']).next()).filter(|client| !client.is_empty())
    {
        draft.source(client);
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
}
