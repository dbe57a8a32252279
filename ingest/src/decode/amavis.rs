//! Amavis: what became of a mail. `(id) Blocked INFECTED (Name) {…}, [192.0.2.1]:1434 [192.0.2.1] <a> -> <b>, …`

use super::Look;
use super::draft::Draft;
use super::part::{between, bracketed};
use crate::fields;

pub(super) fn first_look(look: &Look<'_>) -> bool {
    look.app.starts_with("amavis")
}

pub(super) fn decode(look: &Look<'_>, draft: &mut Draft<'_>) -> bool {
    let Some((_, text)) = look.text.split_once(") ") else { return false };
    let Some((verdict, rest)) = text.split_once(' ') else { return false };
    let blocked = match verdict {
        "Blocked" => true,
        "Passed" => false,
        _ => return false,
    };
    draft.name(fields::EVENT_MODULE, "amavis");
    let (class, _) = rest.split_once([' ', '(', '{', ',']).unwrap_or((rest, ""));
    draft.name(fields::EVENT_CATEGORY, if class == "INFECTED" { "malware" } else { "email" });
    draft.name(fields::EVENT_ACTION, if blocked { "blocked" } else { "passed" });
    draft.name(fields::EVENT_OUTCOME, if blocked { "failure" } else { "success" });
    draft.vendor("amavis", "class", class);
    if let Some((name, _)) = rest.split_once(" (").filter(|(before, _)| *before == class).and_then(|(_, rest)| rest.split_once(')')) {
        draft.str(fields::THREAT_INDICATOR, name);
    }
    // Behind the actions in braces: the client, then the mail's origin.
    let peers = rest.find(", [").and_then(|at| rest.get(at + 2..)).unwrap_or_default();
    if let Some((client, behind)) = bracketed(peers) {
        draft.source(client);
        if let Some(port) = behind.strip_prefix(':') {
            draft.optional(fields::SOURCE_PORT, port.split(' ').next().unwrap_or_default());
        }
    }
    if let Some((from, behind)) = between(peers, "<", "> -> ") {
        draft.str(fields::EMAIL_FROM, from);
        for to in behind.split(',').map_while(|part| part.strip_prefix('<')).take(RECIPIENTS_MAX) {
            draft.str(fields::EMAIL_TO, to.trim_end_matches('>'));
        }
    }
    if let Some((id, _)) = between(rest, "Message-ID: <", ">") {
        draft.str(fields::EMAIL_MESSAGE_ID, id);
    }
    if let Some((id, _)) = between(rest, "Queue-ID: ", ",") {
        draft.vendor("amavis", "queue_id", id);
    }
    true
}

/// The rest stays in the raw line.
const RECIPIENTS_MAX: usize = 50;
