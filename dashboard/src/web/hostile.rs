//! The kept list of hostile strings (`tests/hostile/strings.json`), sent through every field of every form, every parameter
//! of every page, and the fields of log lines: nothing fails, nothing becomes markup, nothing leaves the header, the cell
//! or the line that it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use detect::role::Role;
use ingest::body::SiteId;
use ingest::db::DbError;
use ingest::event::Event;
use ingest::events::{EventConsumer, EventStore};
use ingest::fields::{self, FieldId};
use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
use ingest::pipeline::{Batch, Consumer as _};
use serde_json::Value;

use super::tests::{Answer, Front, now, open_case};
use super::*;

/// Strings of one request together: as one they show the same as each for itself where it is about escaping.
const JOINED: usize = 25;

fn list() -> Vec<Value> {
    let list: Vec<Value> = serde_json::from_str(include_str!("../../../tests/hostile/strings.json")).unwrap();
    assert!(list.len() >= 500, "the list only grows");
    list
}

fn texts() -> Vec<String> {
    list().iter().filter_map(|one| one["text"].as_str().map(str::to_owned)).collect()
}

/// The names of all fields that any page reads, from the pages' own sources, so that none is forgotten.
fn field_names() -> BTreeSet<String> {
    let reads = regex::Regex::new(r#"\.(?:form|query|form\.all|query\.all)\(\s*"([a-z_]+)"\s*\)"#).unwrap();
    let mut names = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).unwrap();
                names.extend(reads.captures_iter(&text).map(|found| found[1].to_owned()));
            }
        }
    }
    // Read by names that stand elsewhere: the advisory's form, the period, the filter of the log.
    let others = "title situation assessment check measures products cves cvss sources source_published_at von bis wer art worum vor";
    names.extend(others.split(' ').map(str::to_owned));
    assert!(names.len() > 40, "{names:?}");
    names.remove("csrf");
    names
}

/// A page's elements with their attributes' names: what a string must never add to.
fn skeleton(page: &str) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        let (mut end, mut quote) = (None, None);
        for (at, ch) in rest.char_indices() {
            match (quote, ch) {
                (None, '"' | '\'') => quote = Some(ch),
                (Some(open), ch) if open == ch => quote = None,
                (None, '>') => {
                    end = Some(at);
                    break;
                }
                (None, '<') => return Err(format!("a tag in a tag: <{}", rest.chars().take(80).collect::<String>())),
                _ => {}
            }
        }
        let end = end.ok_or_else(|| format!("a tag without an end: <{}", rest.chars().take(80).collect::<String>()))?;
        found.insert(tag(&rest[..end])?);
        rest = &rest[end + 1..];
    }
    Ok(found)
}

/// One tag as `name attribute attribute`, sorted.
fn tag(text: &str) -> Result<String, String> {
    static ATTRIBUTE: LazyLock<regex::Regex> = LazyLock::new(|| regex::Regex::new(r#"([^\s"'=/>]+)(?:\s*=\s*"([^"]*)")?"#).unwrap());
    let mut words: Vec<String> = vec![];
    let mut name = String::new();
    for found in ATTRIBUTE.captures_iter(text) {
        let word = found[1].to_lowercase();
        if name.is_empty() {
            name = word;
            continue;
        }
        let value = found.get(2).map_or("", |value| value.as_str());
        // What a note's Markdown may link to, told apart by how it is marked.
        let marked = name == "a" && text.contains(r#"rel="noopener noreferrer nofollow""#);
        let note = marked && ["https://", "http://", "mailto:"].iter().any(|scheme| value.starts_with(scheme));
        let leads = ["href", "src", "action", "formaction"].contains(&word.as_str());
        let ours = value.starts_with('#') || value.starts_with('?') || value.starts_with('/') && !value.starts_with("//");
        if leads && !ours && !note && !value.is_empty() {
            return Err(format!("leads elsewhere: {text}"));
        }
        words.push(word);
    }
    words.sort();
    Ok(format!("{name} {}", words.join(" ")))
}

/// Text between the tags and what stands in fields, apart: only fields give back letter for letter what was typed.
fn reading(page: &str) -> String {
    static FIELDS: LazyLock<regex::Regex> =
        LazyLock::new(|| regex::Regex::new(r#"(?s)(?:value|content)="[^"]*"|<textarea.*?</textarea>"#).unwrap());
    FIELDS.replace_all(page, "").into_owned()
}

fn encoded(fields: &[(String, String)]) -> String {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", crate::show::query_encode(value))).collect();
    pairs.join("&")
}

/// A real identity for each path, so that pages and not only their refusals are seen.
fn path(route: &Route, case: &str, text: &str) -> String {
    let id = match route.tenant {
        Tenant::Own(Object::Incident) => case.to_owned(),
        Tenant::Own(_) => "00000000000000000000000001".into(),
        Tenant::Any(Object::Kpi) => advisory::kpi::KPIS[0].key.to_owned(),
        _ => crate::show::query_encode(if text.is_empty() || text == "." || text == ".." { "x" } else { text }),
    };
    let (start, end) = (route.path.find('{').unwrap_or(route.path.len()), route.path.find('}').map_or(route.path.len(), |end| end + 1));
    format!("{}{}{}", &route.path[..start], if start == end { "" } else { &id }, &route.path[end..])
}

async fn send(front: &Front, route: &Route, path: &str, cookie: &str, csrf: &str, fields: &[(String, String)]) -> Answer {
    match route.verb {
        Verb::Get => {
            let query: String = encoded(fields).chars().take(7_000).collect();
            front.get(&format!("{path}?{query}"), cookie).await
        }
        Verb::Post => {
            let body = format!("csrf={csrf}&{}", encoded(fields));
            let request = Request::post(path)
                .header(header::COOKIE, cookie)
                .header(header::HOST, "wartburg.test")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            front.send(request.body(Body::from(body)).unwrap()).await
        }
    }
}

/// Complaints, each once per route and kind, so that one mistake does not hide another.
#[derive(Default)]
struct Complaints(BTreeMap<(String, &'static str), String>);

impl Complaints {
    fn add(&mut self, route: &str, kind: &'static str, text: impl Into<String>) {
        self.0.entry((route.to_owned(), kind)).or_insert_with(|| text.into().chars().take(300).collect());
    }

    fn check(&mut self, name: &str, answer: &Answer, known: &BTreeSet<String>) {
        if answer.status.is_server_error() && answer.status != StatusCode::SERVICE_UNAVAILABLE {
            self.add(name, "fails", answer.status.to_string());
        }
        let to = answer.header("location");
        if !to.is_empty() && (!to.starts_with('/') || to.starts_with("//")) {
            self.add(name, "leads elsewhere", to);
        }
        if answer.headers.get_all(header::SET_COOKIE).iter().count() > 2 {
            self.add(name, "cookies", "too many");
        }
        if !answer.header("content-type").starts_with("text/html") {
            return;
        }
        match skeleton(&answer.text) {
            Err(why) => self.add(name, "markup", why),
            Ok(found) => {
                if let Some(new) = found.iter().find(|tag| !known.contains(*tag)) {
                    self.add(name, "new element", new.clone());
                }
            }
        }
        let strange = |ch: char| matches!(ch, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{1b}' | '\0' | '\u{7}' | '\u{8}' | '\u{feff}');
        let read = reading(&answer.text);
        if let Some(at) = read.find(strange) {
            let around: String = read.get(at.saturating_sub(60)..).unwrap_or_else(|| &read[at..]).chars().take(120).collect();
            self.add(name, "invisible characters", around.escape_debug().to_string());
        }
    }

    fn none(self) {
        let all: Vec<String> = self.0.into_iter().map(|((route, kind), text)| format!("{route}: {kind}: {text}")).collect();
        assert!(all.is_empty(), "{}", all.join("\n"));
    }
}

/// The element by which what cannot be seen is shown as a symbol.
fn symbols() -> BTreeSet<String> {
    skeleton(&crate::show::shown("a\u{202e}b\0").to_string()).unwrap()
}

/// The elements of all pages when people type harmless things.
async fn harmless(front: &Front, names: &BTreeSet<String>, case: &str) -> BTreeSet<String> {
    let long = "wort ".repeat(20);
    // Longer than a line of a form may be, in no more bytes than a form: how a refused field looks.
    let longer = "wort".repeat(52);
    let mut known = symbols();
    let words = [
        "",
        "Portscan",
        "a:b",
        "a AND b",
        "(",
        "user.name:x",
        "1",
        "0",
        "7d",
        "system",
        "10.0.0.1",
        "10.0.0.1 5",
        "hell",
        "kritisch",
        "gelesen",
        "alle",
        "2026-H1",
        "2026-11-01T10:00",
        "published",
        "erledigt",
        "abgelehnt",
        "genehmigen",
        "closed",
        "CVE-2026-12345",
        &long,
        &longer,
    ];
    for role in [Role::Analyst, Role::Lead, Role::Municipality, Role::Auditor, Role::Admin] {
        let (cookie, csrf) = front.enter(role);
        for route in ROUTES.iter().filter(|route| route.path != "/logout") {
            // The analyst types all of them; how the others' pages look is seen with a few.
            for word in words.iter().take(if role == Role::Analyst { words.len() } else { 3 }) {
                let fields: Vec<(String, String)> = names.iter().map(|name| (name.clone(), (*word).to_owned())).collect();
                let answer = send(front, route, &path(route, case, "wort"), &cookie, &csrf, &fields).await;
                if answer.header("content-type").starts_with("text/html") {
                    known.extend(skeleton(&answer.text).unwrap());
                }
            }
            let answer = send(front, route, &path(route, case, "wort"), &cookie, &csrf, &[]).await;
            if answer.header("content-type").starts_with("text/html") {
                known.extend(skeleton(&answer.text).unwrap());
            }
        }
    }
    known
}

#[tokio::test]
async fn no_field_of_any_page_lets_a_string_become_more_than_text() {
    let front = Front::new();
    let case = open_case(&front, front.body, "Eigener Fall");
    let names = field_names();
    let known = harmless(&front, &names, &case).await;
    let texts = texts();
    let mut complaints = Complaints::default();
    let (analyst, csrf) = front.enter(Role::Analyst);
    let people: Vec<(Role, (String, String))> =
        [Role::Lead, Role::Municipality, Role::Auditor, Role::Admin].into_iter().map(|role| (role, front.enter(role))).collect();
    for route in ROUTES.iter().filter(|route| route.path != "/logout") {
        let name = format!("{:?} {}", route.verb, route.path);
        let person = people.iter().find(|(role, _)| {
            access::judge(route.who, Some(*role)) == Verdict::Enter && access::judge(route.who, Some(Role::Analyst)) != Verdict::Enter
        });
        let (cookie, csrf) = person.map_or((&analyst, &csrf), |(_, (cookie, csrf))| (cookie, csrf));
        // Each string once, in one field or another.
        let mut requests: Vec<Vec<(String, String)>> =
            texts.chunks(names.len()).map(|chunk| names.iter().cloned().zip(chunk.iter().cloned()).collect()).collect();
        // Each string in each field, many at a time. Of long ones only so much that it is still read.
        for joined in texts.chunks(JOINED).map(|chunk| chunk.concat().chars().take(350).collect::<String>()) {
            requests.push(names.iter().map(|name| (name.clone(), joined.clone())).collect());
        }
        for (n, mut fields) in requests.into_iter().enumerate() {
            let path = path(route, &case, &texts[n * 17 % texts.len()].chars().take(60).collect::<String>());
            if route.verb == Verb::Get {
                // An address has a bound: the first fields of the rotated list, so that each has its turn.
                let by = n * 5 % fields.len().max(1);
                fields.rotate_left(by);
                while encoded(&fields).len() > 6_000 {
                    fields.pop();
                }
            } else {
                while encoded(&fields).len() > 30_000 {
                    fields.pop();
                }
            }
            let answer = send(&front, route, &path, cookie, csrf, &fields).await;
            complaints.check(&name, &answer, &known);
        }
    }
    complaints.none();
}

#[tokio::test]
async fn bytes_that_are_no_text_and_words_of_a_megabyte() {
    let front = Front::new();
    let case = open_case(&front, front.body, "Eigener Fall");
    let (cookie, csrf) = front.enter(Role::Analyst);
    for one in list() {
        let value = match (one["hex"].as_str(), one["repeat"].as_str(), one["times"].as_u64()) {
            (Some(hex), ..) => hex.as_bytes().chunks(2).map(|pair| format!("%{}", std::str::from_utf8(pair).unwrap())).collect::<String>(),
            (_, Some(word), Some(times)) => crate::show::query_encode(&word.repeat(usize::try_from(times).unwrap())),
            _ => continue,
        };
        let long = value.len() > 100_000;
        // What is no request at all the test's own client refuses to build.
        if !long {
            for path in ["/suche?q=", "/vorfaelle?wort=", "/login?weiter=", "/regel/", "/w/", "/empfehlung/", "/vorfall/", "/"] {
                let answer = front.get(&format!("{path}{value}"), &cookie).await;
                assert!(answer.status.as_u16() < 500, "{path}{value}: {}", answer.status);
            }
        }
        for (path, field) in [(format!("/vorfall/{case}/notiz"), "text"), ("/meldung/neu".into(), "title"), ("/login".into(), "konto")] {
            let request = Request::post(&path)
                .header(header::COOKIE, &cookie)
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(format!("csrf={csrf}&{field}={value}")))
                .unwrap();
            let answer = front.send(request).await;
            assert!(answer.status.as_u16() < 500, "{path} {field}: {}", answer.status);
            assert_eq!(answer.status == StatusCode::PAYLOAD_TOO_LARGE, long, "{path} {field}: {}", answer.status);
        }
    }
}

/// Log lines whose fields are hostile: found by a search, shown as text.
#[tokio::test]
async fn no_log_line_becomes_more_than_text() {
    let mut front = Front::new();
    let dir = tempfile::tempdir().unwrap();
    let store = EventStore::open(dir.path(), |_, _| None).unwrap();
    front.app.events = Some(store.clone());
    front.router = router(front.app.clone());
    let (cookie, _) = front.enter(Role::Analyst);
    let mut known = front_skeleton(&front, &cookie).await;
    let texts = texts();
    let mut consumer = EventConsumer::new(store).unwrap();
    let peer = "192.0.2.1".parse().unwrap();
    let fill = |seq: u64, text: &str| {
        let site = SiteId(ingest::id::Ulid(1));
        let frame = NewFrame {
            received_at: now(),
            site,
            peer,
            transport: Transport::Udp,
            kind: FrameKind::Line,
            marks: Marks::default(),
            payload: text.as_bytes().into(),
        };
        let mut event = Event::new(Seq(seq), now().plus(-i64::try_from(seq).unwrap()), site, peer, Transport::Udp, text.as_bytes());
        for field in [fields::HOST_NAME, FieldId::find("user.name").unwrap(), FieldId::find("event.action").unwrap()] {
            event.push_text(field, text);
        }
        (event, Frame { seq: Seq(seq), frame })
    };
    // More harmless ones than a page holds: with them comes the way to older ones.
    let lines: Vec<(u64, String)> = (1..).zip((0..180).map(|_| "harmlos".to_owned()).chain(texts)).collect();
    let mut complaints = Complaints::default();
    for chunk in lines.chunks(90) {
        let (events, frames): (Vec<Event>, Vec<Frame>) = chunk.iter().map(|(seq, text)| fill(*seq, text)).unzip();
        let batch = Batch {
            first: frames[0].seq,
            last: frames[frames.len() - 1].seq,
            events,
            frames,
            sites: front.app.sites(),
            ..Batch::default()
        };
        consumer.apply(&batch).unwrap();
        let answer = front.get("/suche?zeit=24h", &cookie).await;
        assert_eq!(answer.status, StatusCode::OK);
        if chunk.iter().all(|(_, text)| text == "harmlos") {
            // The first pages with hits show which elements hits have; the rest adds none.
            known.extend(skeleton(&front.get("/suche?q=host.name:harmlos", &cookie).await.text).unwrap());
            // Beyond a page's worth of them there is a way to the older ones.
            known.extend(skeleton("<nav class=\"pager\" aria-label=\"Seiten\"><a class=\"btn\" rel=\"next\" href=\"/suche\">").unwrap());
        }
        complaints.check("GET /suche", &answer, &known);
    }
    complaints.none();
}

async fn front_skeleton(front: &Front, cookie: &str) -> BTreeSet<String> {
    let mut known = symbols();
    for path in ["/suche", "/suche?q=x&zeit=7d", "/suche?q=a%20AND%20b"] {
        known.extend(skeleton(&front.get(path, cookie).await.text).unwrap());
    }
    known
}

/// Mails, cells and cases with hostile titles.
#[tokio::test]
async fn no_title_leaves_its_line_or_its_cell() {
    let front = Front::new();
    front.contact();
    let texts = texts();
    for joined in texts.chunks(JOINED) {
        let title: String = joined.concat().chars().take(150).collect();
        // What a draft may not be called is refused before anybody gets a mail.
        drop(super::matrix::try_publish(&front, &format!("{title} Ende"), "green", front.body));
        open_case(&front, front.body, &title);
    }
    for text in texts.iter().filter(|text| text.contains(['\r', '\n'])) {
        drop(super::matrix::try_publish(&front, &format!("Warnung {text} Ende"), "green", front.body));
    }
    let mails: Vec<(String, String)> = front
        .app
        .db
        .read(|c| {
            let mut statement = c.prepare("SELECT subject, recipient FROM outbox")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok::<_, DbError>(rows.collect::<Result<_, _>>()?)
        })
        .unwrap();
    assert!(mails.len() > 10, "{} mails", mails.len());
    for (subject, recipient) in &mails {
        assert!(!subject.contains(|ch: char| ch.is_control()), "{subject:?}");
        assert_eq!(recipient, "isb@soemmerda.example");
    }
    let (auditor, _) = front.enter(Role::Auditor);
    let (analyst, _) = front.enter(Role::Analyst);
    for text in texts.iter().take(200) {
        front.get(&format!("/suche?q={}", crate::show::query_encode(text)), &analyst).await;
    }
    front.app.audit.flush();
    for (path, cookie) in [("/protokoll.csv".to_owned(), &auditor), (format!("/kennzahl/{}.csv", advisory::kpi::KPIS[0].key), &analyst)] {
        let file = front.get(&path, cookie).await;
        assert_eq!(file.status, StatusCode::OK, "{path}");
        for cell in cells(&file.text) {
            let first = cell.trim_start().chars().next().unwrap_or(' ');
            assert!(!['=', '+', '-', '@'].contains(&first), "{path}: {cell:?}");
        }
    }
}

/// The cells of a file as a spreadsheet reads them.
fn cells(text: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(ch) = chars.next() {
        match ch {
            // Two in a quoted cell are one that belongs to it.
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ';' | '\r' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
            ch => cell.push(ch),
        }
    }
    cells
}

#[test]
fn these_checks_can_fail() {
    let page = |text: &str| format!("<p>{text}</p><input value=\"{text}\">");
    let known = skeleton(&page("x")).unwrap();
    assert_eq!(known.into_iter().collect::<Vec<_>>(), ["input value", "p "]);
    let known = skeleton(&page("x")).unwrap();
    for text in ["<script>1</script>", "\" onclick=1 x=\"", "<img src=x>", "</p><b>"] {
        let found = skeleton(&page(text));
        assert!(found.is_err() || !found.unwrap().is_subset(&known), "{text}");
    }
    assert!(skeleton("<a href=\"javascript:alert(1)\">x</a>").is_err());
    assert!(skeleton("<a href=\"//evil.example\">x</a>").is_err());
    assert_eq!(cells("a;\"b;\n\"\"c\"\r\n=1"), ["a", "b;\n\"c", ""]);
}
