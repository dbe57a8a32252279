//! From bytes to a `Letter`. mail-parser cuts the mail into parts without recursion; what is taken of them is bounded here.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ingest::time::Timestamp;
use mail_parser::decoders::html::html_to_text;
use mail_parser::{HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};

use super::report::report_read;
use super::{Attachment, Automatic, Defect, Letter, Protection, proof};
use crate::advisory::{is_unprintable, tidy_text};
use crate::mail::header_text;

/// Of a text this much is shown; the rest is in the raw mail.
const TEXT_CHARS_MAX: usize = 50_000;
/// HTML is cut before it is read: markup around a page of text is at most this.
const HTML_BYTES_MAX: usize = 2 << 20;
/// Files that are taken out of one mail; with more the mail itself is the exhibit.
const FILES_MAX: usize = 50;
const SUBJECT_CHARS_MAX: usize = 250;
const ID_CHARS_MAX: usize = 250;
/// A thread's length that is looked through; programs keep the nearest ones at the end.
const ANSWERS_MAX: usize = 50;
const ADDRESSES_MAX: usize = 50;

/// Parts and mails within mails of one letter. The parser goes into them without recursion, but what it made is dropped with
/// one step of the stack for each mail within a mail; and nobody writes letters of so many parts.
const PARTS_MAX: usize = 1_000;

/// Reads a mail. `authserv` is the name by which our own mail server signs what it found out (RFC 8601).
pub fn letter_read(raw: &[u8], authserv: Option<&str>) -> Letter {
    // Each part that holds others names its type.
    if names_of_types(raw) > PARTS_MAX {
        return Letter { defects: vec![Defect::Unreadable], ..Letter::default() };
    }
    // A parser of other people's bytes may have a mistake left: then the mail is kept and shown as unreadable, not lost.
    let read = catch_unwind(AssertUnwindSafe(|| MessageParser::default().parse(raw).map(|message| of_message(&message, authserv))));
    read.ok().flatten().unwrap_or_else(|| Letter { defects: vec![Defect::Unreadable], ..Letter::default() })
}

/// How often a mail says `Content-Type`, in whatever case.
fn names_of_types(raw: &[u8]) -> usize {
    const NAME: &[u8] = b"content-type";
    raw.windows(NAME.len()).filter(|window| window.eq_ignore_ascii_case(NAME)).count()
}

fn of_message(message: &Message<'_>, authserv: Option<&str>) -> Letter {
    let mut letter = Letter::default();
    sender(message, &mut letter);
    letter.to = message.all_to().flat_map(|list| list.iter()).filter_map(|addr| addr.address()).take(ADDRESSES_MAX).map(address).collect();
    letter.subject = header_text(message.subject().unwrap_or_default(), SUBJECT_CHARS_MAX);
    letter.date = message.date().map(|date| Timestamp(date.to_timestamp().saturating_mul(1_000)));
    letter.message_id = id(message.message_id().unwrap_or_default());
    letter.answers = answers(message);
    letter.automatic = automatic(message);
    letter.proof = proof(message.headers_raw(), authserv, domain(&letter.from));
    letter.protection = protection(message);
    letter.report = report_read(message);
    text(message, &mut letter);
    files(message, &mut letter);
    letter.defects.sort_unstable();
    letter.defects.dedup();
    letter
}

fn sender(message: &Message<'_>, letter: &mut Letter) {
    let fields = message.headers().iter().filter(|header| header.name().eq_ignore_ascii_case("from")).count();
    let mut all = message.from().into_iter().flat_map(|from| from.iter());
    match (fields, all.next(), all.next()) {
        (1, Some(one), None) if one.address().is_some_and(|text| text.contains('@')) => {
            letter.from = address(one.address().unwrap_or_default());
            letter.from_name = header_text(one.name().unwrap_or_default(), 100);
        }
        // Of two senders one would be believed by us and the other by whoever checked it.
        _ => letter.defects.push(Defect::Sender),
    }
}

fn address(text: &str) -> String {
    header_text(&text.to_lowercase(), 254)
}

pub(super) fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn id(text: &str) -> String {
    header_text(text.trim().trim_matches(['<', '>']), ID_CHARS_MAX)
}

fn answers(message: &Message<'_>) -> Vec<String> {
    let list = |value: &HeaderValue<'_>| match value {
        HeaderValue::Text(one) => vec![id(one)],
        HeaderValue::TextList(all) => all.iter().map(|one| id(one)).collect(),
        _ => Vec::new(),
    };
    let mut all = list(message.in_reply_to());
    all.extend(list(message.references()).into_iter().rev());
    let mut seen = std::collections::HashSet::new();
    all.retain(|id| !id.is_empty() && seen.insert(id.clone()));
    all.truncate(ANSWERS_MAX);
    all
}

fn automatic(message: &Message<'_>) -> Option<Automatic> {
    let value = |wanted: &str| {
        let found = message.headers_raw().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let submitted = value("auto-submitted").is_some_and(|value| !value.starts_with("no") && !value.is_empty());
    let precedence = value("precedence").unwrap_or_default();
    // An empty return path is how a machine says: do not answer (RFC 5321, 6.1).
    let nobody = value("return-path").is_some_and(|value| value == "<>");
    if value("list-id").is_some() || precedence == "list" {
        Some(Automatic::List)
    } else if submitted || nobody || precedence == "auto_reply" || value("x-autoreply").is_some() || value("x-autorespond").is_some() {
        Some(Automatic::Reply)
    } else if ["bulk", "junk"].contains(&precedence.as_str()) {
        Some(Automatic::Bulk)
    } else {
        None
    }
}

fn text(message: &Message<'_>, letter: &mut Letter) {
    let parts: Vec<&MessagePart<'_>> = message.text_body.iter().filter_map(|id| message.part(*id)).collect();
    let mut text = String::new();
    let plain = parts.iter().any(|part| matches!(part.body, PartType::Text(_)));
    for part in parts {
        if part.is_encoding_problem {
            letter.defects.push(Defect::Charset);
        }
        let one = match &part.body {
            PartType::Text(one) => clean(one),
            PartType::Html(_) if plain => continue,
            PartType::Html(one) => {
                letter.defects.push(Defect::OnlyHtml);
                clean(&html_to_text(cut(one, HTML_BYTES_MAX)))
            }
            _ => continue,
        };
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&one);
        // Ten thousand parts of text are no text.
        if text.len() > TEXT_CHARS_MAX * 4 {
            break;
        }
    }
    if text.contains('\u{fffd}') {
        letter.defects.push(Defect::Charset);
    }
    if let Some((end, _)) = text.char_indices().nth(TEXT_CHARS_MAX) {
        text.truncate(end);
        letter.defects.push(Defect::LongText);
    }
    letter.text = text;
}

/// As people may read it: without what moves the cursor or turns the direction, and without deserts of empty lines.
fn clean(text: &str) -> String {
    let text = tidy_text(cut(text, TEXT_CHARS_MAX * 8));
    let mut out = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 3 {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.trim().to_owned()
}

fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

fn files(message: &Message<'_>, letter: &mut Letter) {
    for (n, part) in message.attachments().enumerate() {
        if n >= FILES_MAX {
            letter.defects.push(Defect::ManyFiles);
            return;
        }
        let kind = part.content_type();
        let claimed = kind.map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("octet-stream"))).unwrap_or_default();
        // The envelopes of OpenPGP are no files of anybody's.
        if claimed.eq_ignore_ascii_case("application/pgp-signature") || claimed.eq_ignore_ascii_case("application/pgp-encrypted") {
            continue;
        }
        let content = part.contents();
        if content.is_empty() {
            continue;
        }
        let name = part.attachment_name().map(|name| name.chars().filter(|c| !is_unprintable(*c)).collect());
        let name: String = name.filter(|name: &String| !name.trim().is_empty()).unwrap_or_else(|| match &part.body {
            PartType::Message(_) => format!("nachricht-{}.eml", n + 1),
            _ => format!("anhang-{}", n + 1),
        });
        letter.attachments.push(Attachment { name, claimed, content: content.to_vec() });
    }
}

fn protection(message: &Message<'_>) -> Protection {
    let root = message.root_part();
    let Some(parts) = root.sub_parts() else { return Protection::None };
    let part = |n: usize| parts.get(n).and_then(|id| message.part(*id));
    let protocol = root.content_type().and_then(|kind| kind.attribute("protocol")).unwrap_or_default().to_ascii_lowercase();
    match (part(0), part(1)) {
        // A third part would stand unsigned under the signature's word.
        (Some(first), Some(second))
            if parts.len() == 2 && root.is_content_type("multipart", "signed") && protocol == "application/pgp-signature" =>
        {
            let (start, end) = (first.offset_header as usize, first.offset_end as usize);
            let signed = message.raw_message.get(start..end).unwrap_or_default();
            Protection::Signed { part: canonical(signed), signature: second.contents().to_vec() }
        }
        (Some(_), Some(second)) if root.is_content_type("multipart", "encrypted") && protocol == "application/pgp-encrypted" => {
            Protection::Encrypted { message: second.contents().to_vec() }
        }
        _ => Protection::None,
    }
}

/// Lines end in CRLF when they are signed (RFC 3156, 5), and the last one belongs to the boundary.
fn canonical(part: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(part.len());
    let mut before = 0;
    for byte in part {
        if *byte == b'\n' && before != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        before = *byte;
    }
    out
}

/// Numbers of cases in a subject (`TC-2026-000123`), in their order, each once.
pub fn case_numbers(subject: &str) -> Vec<String> {
    /// More than a subject that somebody wrote names.
    const NUMBERS_MAX: usize = 5;
    let upper = subject.to_ascii_uppercase();
    let mut found: Vec<String> = Vec::new();
    for (at, _) in upper.match_indices("TC-") {
        let number = upper.get(at..at + 14).unwrap_or_default();
        let shape = number.bytes().enumerate().all(|(n, byte)| match n {
            0..=2 => true,
            7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let alone = |c: Option<char>| !c.is_some_and(|c| c.is_ascii_alphanumeric());
        let whole = alone(upper.get(..at).and_then(|text| text.chars().next_back()))
            && alone(upper.get(at + 14..).and_then(|text| text.chars().next()));
        if number.len() == 14 && shape && whole && !found.contains(&number.to_owned()) && found.len() < NUMBERS_MAX {
            found.push(number.to_owned());
        }
    }
    found
}
