//! Postfach: the demo's mails, so that a warning can be followed to its reader. Only the demo has it.

use askama::Template;

use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};

struct Row {
    href: String,
    subject: String,
    to: String,
    time: Markup,
    current: bool,
}

/// Text, or a link into these pages.
struct Part {
    text: String,
    href: String,
}

struct Open {
    subject: String,
    from: String,
    to: String,
    time: Markup,
    parts: Vec<Part>,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxPage {
    frame: Frame,
    rows: Vec<Row>,
    mail: Option<Open>,
}

/// Mails on the page; the sink keeps more.
const ROWS_MAX: usize = 200;

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let Some(sink) = ask.app.settings.sink.clone() else { return Err(PageError::NotFound) };
    let wanted: Option<u64> = ask.query("mail").parse().ok();
    let row = |mail: &crate::demo::sink::SinkMail| Row {
        href: format!("/postfach?mail={}", mail.id),
        subject: words_decode(&mail.header("subject")),
        to: mail.to.join(", "),
        time: show::time(mail.received_at, ask.now),
        current: wanted == Some(mail.id),
    };
    let rows = sink.mails().iter().take(ROWS_MAX).map(row).collect();
    let open = wanted.and_then(|id| sink.mail(id)).map(|mail| {
        let text = body_decode(&mail.header("content-transfer-encoding"), mail.body());
        Open {
            subject: words_decode(&mail.header("subject")),
            from: mail.from.clone(),
            to: mail.to.join(", "),
            time: show::time(mail.received_at, ask.now),
            parts: parts(&text),
        }
    });
    ask.page(&MailboxPage { frame: ask.frame("Postfach", Place::Mailbox), rows, mail: open })
}

/// The text with its links to pages of ours made clickable, by their path: other links stay text.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = vec![];
    let mut plain = String::new();
    for (n, word) in text.split_inclusive(char::is_whitespace).enumerate() {
        let url = word.trim_end();
        let path = url.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https")).and_then(|(_, rest)| rest.find('/').and_then(|at| rest.get(at..)));
        let ours = path.filter(|path| ["/w/", "/vorfall/", "/meldung/", "/vorfaelle"].iter().any(|start| path.starts_with(start)));
        match ours {
            Some(path) => {
                parts.push(Part { text: std::mem::take(&mut plain), href: String::new() });
                parts.push(Part { text: url.to_owned(), href: path.to_owned() });
                plain.push_str(word.get(url.len()..).unwrap_or_default());
            }
            None => plain.push_str(word),
        }
        // A mail of a warning is a page or two.
        if n > 20_000 {
            break;
        }
    }
    parts.push(Part { text: plain, href: String::new() });
    parts
}

fn body_decode(encoding: &str, body: &str) -> String {
    match encoding.to_ascii_lowercase().as_str() {
        "quoted-printable" => String::from_utf8_lossy(&quoted_printable(&body.replace("=\r\n", "").replace("=\n", ""))).replace("\r\n", "\n"),
        "base64" => String::from_utf8_lossy(&base64(body)).replace("\r\n", "\n"),
        _ => body.replace("\r\n", "\n"),
    }
}

/// Encoded words (RFC 2047) of a header as text; what is none stays as it is.
fn words_decode(text: &str) -> String {
    let mut out = String::new();
    let mut bytes: Vec<u8> = vec![];
    for word in text.split_whitespace() {
        let inner = word.strip_prefix("=?").and_then(|rest| rest.strip_suffix("?="));
        let decoded = inner.and_then(|inner| {
            let mut parts = inner.splitn(3, '?');
            let (charset, coding, payload) = (parts.next()?, parts.next()?, parts.next()?);
            match (charset.to_ascii_lowercase().as_str(), coding) {
                ("utf-8", "b" | "B") => Some(base64(payload)),
                ("utf-8", "q" | "Q") => Some(quoted_printable(&payload.replace('_', " "))),
                _ => None,
            }
        });
        match decoded {
            // Neighbouring encoded words belong together, also where a letter is cut between them.
            Some(part) => bytes.extend(part),
            None => {
                flush(&mut out, &mut bytes);
                if !out.is_empty() {
                    out.push(' ');
                }
                out.push_str(word);
            }
        }
    }
    flush(&mut out, &mut bytes);
    out
}

fn flush(out: &mut String, bytes: &mut Vec<u8>) {
    if !bytes.is_empty() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(&String::from_utf8_lossy(bytes));
        bytes.clear();
    }
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let mut out = vec![];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let rest = bytes.as_slice();
        let pair = (byte == b'=').then(|| rest.get(..2)).flatten().and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(value) => {
                out.push(value);
                let _ = bytes.nth(1);
            }
            None => out.push(byte),
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut out, mut bits, mut held) = (vec![], 0u32, 0u8);
    for six in text.bytes().filter_map(value) {
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_bodies_are_decoded() {
        for (raw, expected) in [
            ("plain subject", "plain subject"),
            ("=?utf-8?b?S3JpdGlzY2hlIEzDvA==?= =?utf-8?b?Y2tl?=", "Kritische Lücke"),
            ("[TLP:GREEN] =?UTF-8?Q?L=C3=BCcke_hier?= 7", "[TLP:GREEN] Lücke hier 7"),
            ("=?x-odd?b?AAAA?=", "=?x-odd?b?AAAA?="),
        ] {
            assert_eq!(words_decode(raw), expected);
        }
        assert_eq!(body_decode("quoted-printable", "Gr=C3=BC=\r\n=C3=9Fe =ZZ ="), "Grüße =ZZ =");
        assert_eq!(body_decode("7bit", "a\r\nb"), "a\nb");
    }

    #[test]
    fn only_links_to_our_pages_are_links() {
        let shown: Vec<String> = parts("siehe http://127.0.0.1:8080/w/abc\nund https://evil.test/x javascript:/w/x").into_iter().filter(|part| !part.href.is_empty()).map(|part| part.href).collect();
        assert_eq!(shown, ["/w/abc"]);
    }
}
