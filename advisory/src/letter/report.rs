//! What became of a mail of ours, as the mail servers on the way say it (RFC 3464).

use mail_parser::{Message, MimeHeaders as _, PartType};

use crate::mail::header_text;

/// A delivery status notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// `failed`, `delayed`, `delivered`, `relayed` or `expanded`.
    pub action: String,
    pub recipient: String,
    /// `5.1.1` and what the server said.
    pub why: String,
    /// The Message-ID of the mail that it is about, without angle brackets.
    pub about: String,
}

/// Parts of a report that are looked at: there are three.
const PARTS_MAX: usize = 10;
const FIELD_CHARS_MAX: usize = 300;

pub(super) fn report_read(message: &Message<'_>) -> Option<Report> {
    let root = message.root_part();
    let kind = root.content_type()?;
    let delivery = kind.attribute("report-type").is_some_and(|kind| kind.eq_ignore_ascii_case("delivery-status"));
    if !(root.is_content_type("multipart", "report") && delivery) {
        return None;
    }
    let mut report = Report::default();
    for part in message.parts.iter().take(PARTS_MAX) {
        let status = part.is_content_type("message", "delivery-status") || part.is_content_type("message", "global-delivery-status");
        if status {
            let text = String::from_utf8_lossy(part.contents()).into_owned();
            let field = |name: &str| field(&text, name).unwrap_or_default();
            let typed = |text: String| text.split_once(';').map_or(text.clone(), |(_, rest)| rest.trim().to_owned());
            report.action = field("action").to_ascii_lowercase();
            report.recipient = typed(field("final-recipient"));
            report.why = header_text(&format!("{} {}", field("status"), typed(field("diagnostic-code"))), FIELD_CHARS_MAX);
        } else if part.is_content_type("text", "rfc822-headers") {
            report.about = message_id(&String::from_utf8_lossy(part.contents()));
        } else if let PartType::Message(inner) = &part.body {
            report.about = inner.message_id().unwrap_or_default().to_owned();
        } else if part.is_content_type("message", "rfc822") {
            report.about = message_id(&String::from_utf8_lossy(part.contents()));
        }
    }
    Some(report)
}

fn message_id(head: &str) -> String {
    field(head, "message-id").unwrap_or_default().trim_matches(['<', '>']).to_owned()
}

/// The first field of that name; a folded line is one.
fn field(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((found, value)) = line.split_once(':') else { continue };
        if !found.trim().eq_ignore_ascii_case(name) {
            continue;
        }
        let mut value = value.trim().to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            value.push(' ');
            value.push_str(more.trim());
        }
        return Some(header_text(&value, FIELD_CHARS_MAX));
    }
    None
}
