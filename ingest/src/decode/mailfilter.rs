//! What filters mail before it is delivered: Rspamd, SpamAssassin, OpenDKIM, OpenDMARC, SPF's policy daemon, ClamAV and its
//! updater. Amavis has a file of its own.

use super::Look;
use super::draft::Draft;
use super::part::between;
use crate::fields;
use crate::syslog::{self, Stamp};

pub(super) fn first_look(look: &Look<'_>) -> bool {
    matches!(
        look.app,
        "rspamd" | "spamd" | "opendkim" | "opendmarc" | "policyd-spf" | "clamd" | "clamav-milter" | "freshclam" | "clamav-daemon"
    ) || look.text.ends_with(" FOUND") && look.is_of(&["clam"])
        || look.app.is_empty() && look.text.contains("rspamd_task_write_log")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let text = look.text.trim_end();
    match look.app {
        "spamd" => spamd(text, draft),
        "opendkim" | "opendmarc" => signature(look.app == "opendmarc", text, draft),
        "policyd-spf" => spf(text, draft),
        "freshclam" => freshclam(text, draft),
        "rspamd" | "" if text.contains("rspamd_task_write_log: ") => rspamd(text, draft),
        _ => clamav(text, draft),
    }
}

/// `<tag>; task; rspamd_task_write_log: id: <a@b>, qid: <4F12>, ip: 192.0.2.1, from: <a@b>, (default: F (no action): [3.40/15.00] [SYMBOL(2.5){…}]),
/// len: 1234, …, rcpts: <c@d>, …`
fn rspamd(text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((_, rest)) = text.split_once("rspamd_task_write_log: ") else { return false };
    let value = |name: &str| between(rest, name, ",").map_or("", |(value, _)| value.trim_matches(['<', '>']));
    draft.name(fields::EVENT_MODULE, "rspamd");
    let (action, score) = between(rest, "(default: ", "]").map_or(("", ""), |(verdict, _)| {
        let action = between(verdict, " (", ")").map_or("", |(action, _)| action);
        (action, verdict.rsplit('[').next().unwrap_or_default())
    });
    let refused = matches!(action, "reject" | "soft reject" | "greylist" | "discard");
    draft.event("email", if refused { "blocked" } else { "passed" }, if refused { "failure" } else { "success" });
    draft.vendor("rspamd", "action", action);
    draft.vendor("rspamd", "score", score.split('/').next().unwrap_or_default());
    draft.str(fields::EMAIL_MESSAGE_ID, value("id: "));
    draft.vendor("rspamd", "queue_id", value("qid: "));
    let from = value(" ip: ");
    if !from.is_empty() {
        draft.source(from);
    }
    draft.str(fields::USER_NAME, value(" user: "));
    draft.str(fields::EMAIL_FROM, value(" from: "));
    if let Some((recipients, _)) = between(rest, " rcpts: <", ">") {
        recipients.split(',').take(RECIPIENTS_MAX).for_each(|to| draft.str(fields::EMAIL_TO, to));
    }
    true
}

/// The rest stays in the raw line.
const RECIPIENTS_MAX: usize = 50;

/// `spamd: identified spam (15.2/5.0) for anna:1000 in 1.2 seconds, 1234 bytes.`, `spamd: result: Y 15 - A,B scantime=1.2,…,mid=<a@b>,…`
fn spamd(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.strip_prefix("spamd: ").unwrap_or(text);
    let spam = text.starts_with("identified spam") || text.starts_with("result: Y");
    if !spam && !text.starts_with("clean message") && !text.starts_with("result: .") {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "spamassassin");
    draft.event("email", if spam { "spam" } else { "passed" }, "");
    if let Some((score, _)) =
        between(text, "(", "/").or_else(|| between(text, "result: Y ", " ")).or_else(|| between(text, "result: . ", " "))
    {
        draft.vendor("spamassassin", "score", score);
    }
    if let Some((user, _)) = between(text, ") for ", ":").or_else(|| between(text, ",user=", ",")) {
        draft.str(fields::USER_NAME, user);
    }
    if let Some((id, _)) = between(text, "mid=<", ">") {
        draft.str(fields::EMAIL_MESSAGE_ID, id);
    }
    true
}

/// `4F12: DKIM-Signature field added (s=mail, d=example.net)`, `4F12: bad signature data`, `4F12: mx.example.net [192.0.2.1] not internal`,
/// OpenDMARC's `4F12: example.net fail`
fn signature(is_dmarc: bool, text: &str, draft: &mut Draft<'_>) -> bool {
    let Some((queue_id, what)) = text.split_once(": ").filter(|(id, _)| id.bytes().all(|byte| byte.is_ascii_alphanumeric())) else {
        return false;
    };
    let module = if is_dmarc { "opendmarc" } else { "opendkim" };
    let read = match what {
        _ if is_dmarc => what.rsplit_once(' ').and_then(|(domain, verdict)| match verdict {
            "pass" | "none" => Some(("dmarc_checked", "success", domain)),
            "fail" => Some(("dmarc_checked", "failure", domain)),
            _ => None,
        }),
        _ if what.starts_with("DKIM-Signature field added") => Some(("dkim_signed", "success", "")),
        _ if what.starts_with("DKIM verification successful") => Some(("dkim_checked", "success", "")),
        _ if what.starts_with("no signature data") => Some(("dkim_checked", "unknown", "")),
        _ if what.starts_with("bad signature data") || what.contains("SSL error") || what.contains("key retrieval failed") => {
            Some(("dkim_checked", "failure", ""))
        }
        _ if what.ends_with("not internal") || what.ends_with("not authenticated") => Some(("dkim_skipped", "", "")),
        _ => None,
    };
    let Some((action, outcome, domain)) = read else { return false };
    draft.name(fields::EVENT_MODULE, module);
    draft.event("email", action, outcome);
    draft.vendor(module, "queue_id", queue_id);
    let domain = between(what, "d=", ")").map_or(domain, |(domain, _)| domain.split([' ', ',']).next().unwrap_or_default());
    draft.vendor(module, "domain", domain);
    if let Some((address, _)) = between(what, "[", "]") {
        draft.source(address);
    }
    draft.str(fields::EVENT_REASON, what);
    true
}

/// `prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=mx; envelope-from=a@b; receiver=c`, `550 5.7.23 Message rejected
/// due to: SPF fail - not authorized. …`
fn spf(text: &str, draft: &mut Draft<'_>) -> bool {
    let verdict = between(text, "Received-SPF: ", " ").map_or("", |(verdict, _)| verdict);
    let refused = text.contains("ejected due to: SPF fail");
    if verdict.is_empty() && !refused {
        return false;
    }
    draft.name(fields::EVENT_MODULE, "policyd-spf");
    draft.event(
        "email",
        "spf_checked",
        if refused || matches!(verdict, "Fail" | "Softfail" | "Permerror") { "failure" } else { "success" },
    );
    draft.str(fields::EVENT_REASON, if refused { text } else { verdict });
    let value = |name: &str| text.split_once(name).and_then(|(_, rest)| rest.split([';', ' ']).next()).unwrap_or_default();
    if !value("client-ip=").is_empty() {
        draft.source(value("client-ip="));
    }
    draft.str(fields::EMAIL_FROM, value("envelope-from=").trim_matches(['"', '<', '>']));
    draft.vendor("policyd-spf", "helo", value("helo="));
    true
}

/// `/srv/x/eicar.com: Eicar-Test-Signature FOUND`, behind `Sat Mar 14 08:00:00 2026 -> ` or not; `instream(192.0.2.1@4711): X FOUND`;
/// the milter's `Message 4F12 from <a@b> to <c@d> infected by X`
fn clamav(text: &str, draft: &mut Draft<'_>) -> bool {
    let (stamp, text) = text.split_once(" -> ").map_or((None, text), |(stamp, text)| (syslog::weekday_stamp(stamp), text));
    if let Some((what, name)) = text.split_once(" infected by ") {
        found(name, draft);
        for (mark, field) in [(" from <", fields::EMAIL_FROM), (" to <", fields::EMAIL_TO)] {
            draft.str(field, between(what, mark, ">").map_or("", |(value, _)| value));
        }
        return true;
    }
    let Some((what, name)) = text.strip_suffix(" FOUND").and_then(|text| text.rsplit_once(": ")) else { return false };
    if name.contains(' ') {
        return false;
    }
    if let (Some(stamp), Stamp::Absent) = (stamp, draft.stamp) {
        draft.stamp = stamp;
    }
    found(name.split('(').next().unwrap_or(name), draft);
    match what.strip_prefix("instream(").and_then(|rest| rest.split_once(')')) {
        Some((peer, _)) => {
            let (address, port) = peer.split_once('@').unwrap_or((peer, ""));
            if super::draft::address(address).is_some() {
                draft.source(address);
                draft.optional(fields::SOURCE_PORT, port);
            }
        }
        None => draft.str(fields::FILE_PATH, what),
    }
    true
}

fn found(name: &str, draft: &mut Draft<'_>) {
    draft.name(fields::EVENT_MODULE, "clamav");
    draft.event("malware", "detected", "success");
    draft.str(fields::THREAT_INDICATOR, name);
}

/// `daily.cvd updated (version: 27000, …)`, `daily.cld database is up-to-date (version: …)`, `ERROR: …`
fn freshclam(text: &str, draft: &mut Draft<'_>) -> bool {
    let text = text.split_once(" -> ").map_or(text, |(_, text)| text);
    let (action, outcome) = match text {
        _ if text.starts_with("ERROR: ") || text.starts_with("WARNING: ") => ("signatures_update", "failure"),
        _ if text.contains(" updated (version: ") || text.starts_with("Database updated") => ("signatures_updated", "success"),
        _ if text.contains(" is up-to-date ") || text.contains(" is up to date ") => ("signatures_current", "success"),
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "clamav");
    draft.event("configuration", action, outcome);
    if outcome == "failure" {
        draft.str(fields::EVENT_REASON, text);
    }
    if let Some((version, _)) = between(text, "version: ", ",") {
        draft.vendor("clamav", "signatures_version", version.trim_end_matches(')'));
    }
    true
}
