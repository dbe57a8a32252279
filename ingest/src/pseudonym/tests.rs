//! The promise as a whole: nothing of a person is left in what is kept, what is kept can be found and given back, and
//! nothing is hidden by chance. Over every sample line that the decoders are tested with.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::rewrite::{Sort, sort};
use super::*;
use crate::body::{SITE_UNKNOWN, SiteTable};
use crate::decode::{Options, decode};
use crate::event::{Defect, ValueRef};
use crate::events::{CLASS, EventConsumer, EventStore, SearchRequest};
use crate::fields;
use crate::frame::{FrameKind, Marks, NewFrame, Transport};
use crate::pipeline::{Batch, Consumer as _};
use crate::record::EventRecord;
use crate::scope::Scope;

const NOW: Timestamp = Timestamp(1_773_471_600_000);

fn open(dir: &Path, addresses: Addresses) -> Pseudonyms {
    let pseudonyms = Pseudonyms::open(dir).unwrap();
    let wanted = Wanted { enabled: Some(true), addresses: Some(addresses), ..Wanted::default() };
    pseudonyms.begin(wanted, &[CLASS], &["10.20.0.0/16".parse().unwrap()], Seq(1), NOW).unwrap();
    pseudonyms
}

fn frame(seq: u64, line: &str) -> Frame {
    let frame = NewFrame {
        received_at: NOW,
        site: SITE_UNKNOWN,
        peer: Ipv4Addr::new(192, 0, 2, 250).into(),
        transport: Transport::Tcp,
        kind: FrameKind::of_line(line.as_bytes()),
        marks: Marks::default(),
        payload: line.as_bytes().into(),
    };
    Frame { seq: Seq(seq), frame }
}

fn redecode(frame: &Frame) -> Option<Event> {
    decode(frame, &Options::default())
}

fn stored(pseudonyms: &Pseudonyms, line: &str) -> Hidden {
    let frame = frame(7, line);
    pseudonyms.hide(CLASS, Some(&frame), &redecode(&frame).unwrap(), &redecode)
}

/// The stored line with its pseudonyms opened again, in angle brackets.
fn check(line: &str, expected: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let pseudonyms = open(dir.path(), Addresses::Internal);
    let (form, event) = match stored(&pseudonyms, line) {
        Hidden::Plain => ("plain", redecode(&frame(7, line)).unwrap()),
        Hidden::Line(event) => ("line", event),
        Hidden::Bare(event) => ("bare", event),
    };
    let token = regex::Regex::new(r"p[01][a-z2-7_]{20,}").unwrap();
    let opened = token.replace_all(event.line(), |found: &regex::Captures<'_>| match pseudonyms.open_token(&found[0]) {
        Ok(value) => format!("‹{value}›"),
        Err(error) => format!("‹{error}›"),
    });
    let address = regex::Regex::new(r"10\.\d+\.\d+\.\d+").unwrap();
    let opened = address.replace_all(&opened, |found: &regex::Captures<'_>| {
        let opened = pseudonyms.open_address(CLASS, found[0].parse().unwrap(), Seq(7)).unwrap();
        assert_ne!(opened.to_string(), found[0]);
        format!("‹{opened}›")
    });
    expected.assert_eq(&format!("{form}: {opened}"));
}

#[test]
fn lines_with_their_persons_hidden() {
    check(
        "<38>Nov 21 14:02:07 rathaus-a sshd[4711]: Failed password for invalid user anna from 10.20.30.40 port 50443 ssh2",
        expect![[
            r#"line: <38>Nov 21 14:02:07 rathaus-a sshd[4711]: Failed password for invalid user ‹anna› from ‹10.20.30.40› port 50443 ssh2"#
        ]],
    );
    check(
        "<38>Nov 21 14:02:07 rathaus-a sshd[4711]: Failed password for invalid user user from 198.51.100.7 port 50443 ssh2",
        expect![[
            r#"line: <38>Nov 21 14:02:07 rathaus-a sshd[4711]: Failed password for invalid user ‹user› from 198.51.100.7 port 50443 ssh2"#
        ]],
    );
    check(
        "<85>Nov 21 14:02:07 h sudo: anna : TTY=pts/0 ; PWD=/srv/anna ; USER=root ; COMMAND=/usr/bin/vi /srv/anna/brief.txt",
        expect![[
            r#"line: <85>Nov 21 14:02:07 h sudo: ‹anna› : TTY=pts/0 ; PWD=/srv/‹anna› ; USER=‹root› ; COMMAND=/usr/bin/vi ‹/srv/anna/brief.txt›"#
        ]],
    );
    check(
        r#"{"@timestamp":"2026-03-14T07:59:58Z","user":{"name":"KOMMUNE\\anna","id":1000},"source":{"ip":"10.20.30.40"},"message":"Anna war da"}"#,
        expect![[
            r#"line: {"@timestamp":"2026-03-14T07:59:58Z","user":{"name":"‹KOMMUNE\anna›","id":"‹1000›"},"source":{"ip":"‹10.20.30.40›"},"message":"‹Anna› war da"}"#
        ]],
    );
    check(
        "<22>Nov 21 14:02:07 mx postfix/qmgr[9]: 4F7A: from=<anna.mueller@soemmerda.example>, size=2301, nrcpt=1 (queue active)",
        expect![
            "line: <22>Nov 21 14:02:07 mx postfix/qmgr[9]: 4F7A: from=<‹anna.mueller@soemmerda.example›>, size=2301, nrcpt=‹1› (queue active)"
        ],
    );
    check(
        r#"10.20.30.40 - anna [21/Nov/2026:14:02:07 +0100] "GET /akte?name=mueller HTTP/1.1" 200 12 "-" "Mozilla/5.0""#,
        expect![[
            r#"line: ‹10.20.30.40› - ‹anna› [21/Nov/2026:14:02:07 +0100] "GET /akte?‹name=mueller› HTTP/1.1" 200 12 "-" "Mozilla/5.0""#
        ]],
    );
    check(
        "<4>Nov 21 14:02:07 gw kernel: DROP IN=eth0 OUT= MAC=00:11:22:33:44:55:66:77:88:99:aa:bb:08:00 SRC=10.20.30.40 DST=198.51.100.7 LEN=60 PROTO=TCP SPT=1 DPT=22",
        expect![[
            r#"bare: {"@timestamp":1763730127000,"_defects":["no_year"],"message":"iptables blocked ‹10.20.30.40› → 198.51.100.7:22","log.syslog.facility.name":["kern"],"log.level":["warning"],"host.name":["gw"],"process.name":["kernel"],"event.module":["iptables"],"event.category":["network"],"event.type":["connection","denied"],"event.action":["blocked"],"event.outcome":["failure"],"rule.name":["DROP"],"destination.mac":["‹00:11:22:33:44:55›"],"source.mac":["‹66:77:88:99:aa:bb›"],"source.ip":["‹10.20.30.40›"],"destination.ip":["198.51.100.7"],"network.bytes":[60],"network.transport":["tcp"],"source.port":[1],"destination.port":[22],"observer.ingress.interface.name":["eth0"],"network.direction":["inbound"]}"#
        ]],
    );
    check("<13>Nov 21 14:02:07 h app: nobody is named here", expect!["plain: <13>Nov 21 14:02:07 h app: nobody is named here"]);
    check("10.20.30.40 and a@b.example, somewhere", expect![[r#"line: ‹10.20.30.40› and ‹a@b.example›, somewhere"#]]);
}

/// Every raw string of the decoders' golden tables: lines as devices write them.
fn golden() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/decode/golden");
    let raw = regex::Regex::new(r##"(?s)r#"(.*?)"#"##).unwrap();
    let mut lines = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        lines.extend(raw.captures_iter(&text).map(|found| found[1].to_owned()).filter(|line| !line.contains('\n')));
    }
    assert!(lines.len() > 100, "the golden tables are where they were");
    lines
}

/// The corpora beside the workspace; none where they are not there.
fn crowdsec() -> Vec<String> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora");
    let folder = std::env::var_os("WARTBURG_CORPORA").map_or(beside, PathBuf::from).join("crowdsec");
    if !folder.is_dir() {
        assert!(std::env::var_os("WARTBURG_CORPORA_REQUIRED").is_none_or(|required| required != "1"), "no corpora");
        return Vec::new();
    }
    let mut lines = Vec::new();
    for case in fs::read_dir(folder).unwrap().filter_map(|case| fs::read_dir(case.unwrap().path()).ok()) {
        for file in case.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|ext| ext == "log")) {
            let bytes = fs::read(file).unwrap();
            lines.extend(String::from_utf8_lossy(&bytes).lines().filter(|line| line.len() < 20_000).take(50).map(str::to_owned));
        }
    }
    lines
}

/// Whether a text holds a value as a word, by other means than the code under test.
fn holds(text: &str, value: &str) -> bool {
    let pattern = format!(r"(?i)(^|[^\pL\pN]){}($|[^\pL\pN])", regex::escape(value));
    regex::Regex::new(&pattern).unwrap().is_match(text)
}

#[test]
fn no_person_of_any_sample_line_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let pseudonyms = open(dir.path(), Addresses::All);
    let (plan, zones) = (pseudonyms.plan().unwrap(), Zones::new(&["10.20.0.0/16".parse().unwrap()]));
    let (mut forms, mut bare) = (BTreeMap::<&str, usize>::new(), BTreeMap::<&str, usize>::new());
    for line in golden().into_iter().chain(crowdsec()) {
        let before = redecode(&frame(7, &line)).unwrap();
        let after = match stored(&pseudonyms, &line) {
            Hidden::Plain => {
                *forms.entry("plain").or_default() += 1;
                before.clone()
            }
            Hidden::Line(event) => {
                *forms.entry("line").or_default() += 1;
                event
            }
            Hidden::Bare(event) => {
                *forms.entry("bare").or_default() += 1;
                *bare.entry(before.decoder).or_default() += 1;
                assert!(event.defects.contains(Defect::PseudonymisedLine));
                event
            }
        };
        assert_eq!((after.timestamp, after.seq, after.site), (before.timestamp, before.seq, before.site), "{line}");
        let texts =
            || after.fields().map(|(_, value)| value.text().into_owned()).chain([after.line().to_owned(), after.message().to_owned()]);
        for (field, value) in before.fields() {
            let Some(sort) = sort(field) else { continue };
            let text = value.text();
            match value.as_ip().map(|ip| ip.to_canonical()) {
                Some(ip) if rewrite::is_personal(ip, &plan, &zones) => {
                    let hidden: Vec<IpAddr> = after.get_all(field).filter_map(ValueRef::as_ip).collect();
                    assert!(!hidden.contains(&ip), "{} shows {ip}: {line}", field.name());
                    assert!(!texts().any(|text| text == ip.to_string()), "{ip} in {line}");
                }
                Some(_) => {}
                None => {
                    // A value without its parts that stay: an URL's path, a command's program.
                    let whole = !matches!(sort, Sort::Content) && text.contains(char::is_alphanumeric);
                    let outside = field == fields::SOURCE_DOMAIN;
                    if whole && !outside {
                        assert!(!after.get_all(field).any(|left| left.text() == text), "{} shows {text}: {line}", field.name());
                    }
                    let distinct = text.chars().count() > 5 && text.contains(char::is_alphabetic) && !rewrite::is_common(&text);
                    if whole && !outside && distinct {
                        assert!(!texts().any(|left| holds(&left, &text)), "{text} is left of {line}\n as {}", after.line());
                    }
                }
            }
        }
        assert!(!texts().any(|text| text.contains("@") && rewrite::is_mail(&text)), "{line}");
    }
    println!("{forms:?}, only fields kept by decoder: {bare:?}");
    let all: usize = forms.values().sum();
    assert!(forms["bare"] * 100 <= all * 15, "too many lines are kept by their fields alone: {forms:?} {bare:?}");
}

#[test]
fn what_cannot_be_found_in_the_line_leaves_the_line_out() {
    let dir = tempfile::tempdir().unwrap();
    let pseudonyms = open(dir.path(), Addresses::Internal);
    // The account stands there in hexadecimal, as auditd writes what has a space in it.
    let line = r#"type=USER_LOGIN msg=audit(1773471598.250:812): pid=811 uid=0 auid=1000 ses=3 msg='op=login acct=616E6E61206D add=10.20.30.40 res=failed'"#;
    let before = redecode(&frame(7, line)).unwrap();
    let names: Vec<String> = before.get_all(fields::USER_NAME).map(|value| value.text().into_owned()).collect();
    let Hidden::Bare(event) = stored(&pseudonyms, line) else { panic!("{names:?} {:?}", stored(&pseudonyms, line)) };
    assert!(event.defects.contains(Defect::PseudonymisedLine));
    assert_eq!(event.timestamp, before.timestamp);
    assert!(!event.line().contains("616E6E61206D"));
    // A reader sees what happened, not our JSON.
    let said = [fields::EVENT_MODULE, fields::EVENT_ACTION, fields::USER_NAME].map(|field| event.get(field).unwrap().text().into_owned());
    assert!(event.message().starts_with(&said.join(" ")), "{}", event.message());
    let opened: Vec<String> = event.get_all(fields::USER_NAME).map(|value| pseudonyms.open_token(&value.text()).unwrap()).collect();
    assert_eq!(opened, names);
    let kept = |event: &Event, field| event.get(field).map(|value| value.text().into_owned());
    assert_eq!(kept(&event, fields::EVENT_OUTCOME), kept(&before, fields::EVENT_OUTCOME));
}

#[test]
fn off_is_off_and_a_plan_counts_from_its_moment_on() {
    let dir = tempfile::tempdir().unwrap();
    let line = "<38>Nov 21 14:02:07 h sshd[1]: Failed password for anna from 10.20.30.40 port 1 ssh2";
    let at = |pseudonyms: &Pseudonyms, seq| {
        let frame = frame(seq, line);
        matches!(pseudonyms.hide(CLASS, Some(&frame), &redecode(&frame).unwrap(), &redecode), Hidden::Plain)
    };
    let pseudonyms = Pseudonyms::open(dir.path()).unwrap();
    pseudonyms.begin(Wanted::default(), &[CLASS], &[], Seq(1), NOW).unwrap();
    assert!(at(&pseudonyms, 5) && !pseudonyms.any() && fs::read_dir(dir.path()).unwrap().next().is_none(), "nothing is made for nothing");
    let (on, off) = (Wanted { enabled: Some(true), ..Wanted::default() }, Wanted { enabled: Some(false), ..Wanted::default() });
    pseudonyms.begin(on, &[CLASS], &[], Seq(10), NOW).unwrap();
    assert_eq!([9, 10, 11].map(|seq| at(&pseudonyms, seq)), [true, false, false]);
    // Whoever starts it without a word on it changes nothing.
    pseudonyms.begin(Wanted::default(), &[CLASS], &[], Seq(20), NOW).unwrap();
    assert!(!at(&pseudonyms, 25));
    pseudonyms.begin(off, &[CLASS], &[], Seq(30), NOW).unwrap();
    let again = Pseudonyms::open(dir.path()).unwrap();
    for pseudonyms in [&pseudonyms, &again] {
        assert_eq!([9, 29, 30].map(|seq| at(pseudonyms, seq)), [true, false, true], "a replay does what was done");
        assert!(pseudonyms.any());
    }
}

#[test]
fn a_forgotten_key_opens_nothing_and_hides_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let pseudonyms = open(dir.path(), Addresses::Internal);
    let token = pseudonyms.tokens("anna").remove(0);
    assert_eq!(pseudonyms.open_token(&token).as_deref(), Ok("anna"));
    let hidden = IpAddr::from([10, 20, 1, 2]);
    assert!(pseudonyms.open_address(CLASS, hidden, Seq(5)).is_ok());
    let mut ring = Keyring::load(dir.path()).unwrap().unwrap();
    let old = ring.keys[0].id;
    ring.forget(old, NOW).unwrap();
    ring.save().unwrap();
    let pseudonyms = open(dir.path(), Addresses::Internal);
    assert_eq!(pseudonyms.open_token(&token), Err(TokenError::Forgotten));
    assert!(!pseudonyms.tokens("anna").contains(&token));
    // The new key is not taken for the one of that time: it would give a wrong address.
    assert!(matches!(stored(&pseudonyms, "user anna from 10.20.30.40"), Hidden::Line(_)));
    let ring = Keyring::load(dir.path()).unwrap().unwrap();
    assert_eq!(ring.keys.len(), 2);
    let foreign = tempfile::tempdir().unwrap();
    assert_eq!(open(foreign.path(), Addresses::Internal).open_token(&token), Err(TokenError::UnknownKey));
}

#[test]
fn classes_have_keys_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let pseudonyms = Pseudonyms::open(dir.path()).unwrap();
    let wanted = Wanted { enabled: Some(true), ..Wanted::default() };
    pseudonyms.begin(wanted, &["standard", "kurz"], &[], Seq(1), NOW).unwrap();
    let tokens = pseudonyms.tokens("anna");
    assert!(tokens.len() == 2 && tokens[0] != tokens[1]);
    assert!(tokens.iter().all(|token| pseudonyms.open_token(token).as_deref() == Ok("anna")));
}

fn store(dir: &Path, lines: &[&str], commit: bool) -> Arc<EventStore> {
    let pseudonyms = Arc::new(open(&dir.join("keys"), Addresses::Internal));
    let store = EventStore::open_with(&dir.join("events"), |frame, _| redecode(frame), Some(pseudonyms)).unwrap();
    let mut consumer = EventConsumer::new(store.clone()).unwrap();
    let frames: Vec<Frame> = (1u64..).zip(lines).map(|(seq, line)| frame(seq, line)).collect();
    let events = frames.iter().filter_map(redecode).collect();
    let last = frames.last().map_or(Seq(0), |frame| frame.seq);
    consumer.apply(&Batch { first: Seq(1), last, events, frames, ..Batch::default() }).unwrap();
    if commit {
        consumer.flush().unwrap();
    }
    store
}

#[test]
fn hidden_values_are_found_by_what_they_are_where_that_is_allowed() {
    let lines = [
        "<38>Nov 21 14:02:07 h sshd[1]: Failed password for anna from 10.20.30.40 port 1 ssh2",
        "<38>Nov 21 14:02:08 h sshd[1]: Failed password for Anna from 10.20.30.41 port 1 ssh2",
        "<38>Nov 21 14:02:09 h sshd[1]: Failed password for bernd from 198.51.100.7 port 1 ssh2",
        "<22>Nov 21 14:02:10 mx postfix/qmgr[9]: 4F7A: from=<anna@x.example>, size=2301, nrcpt=1 (queue active)",
    ];
    for commit in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path(), &lines, commit);
        let found = |query: &str, real_values: bool| {
            let query = Query::parse_fixed(query).unwrap();
            let request = SearchRequest { real_values, ..SearchRequest::new(query, Scope::All, Arc::new(SiteTable::default())) };
            let mut seqs: Vec<u64> = store.search(&request).unwrap().hits.iter().map(|event| event.seq.0).collect();
            seqs.sort_unstable();
            seqs
        };
        for (query, expected) in [
            ("user.name:anna", vec![1, 2]),
            ("user.name:ANNA", vec![1, 2]),
            ("NOT user.name:anna", vec![3, 4]),
            ("user.name:anna OR user.name:bernd", vec![1, 2, 3]),
            ("source.ip:10.20.30.40", vec![1]),
            ("source.ip:10.20.30.0/24", vec![1, 2]),
            ("source.ip:10.20.0.0/16", vec![1, 2]),
            // Of no network that pseudonyms of this site lie in.
            ("source.ip:10.99.0.0/16", vec![]),
            ("10.20.30.41", vec![2]),
            ("source.ip:198.51.100.7", vec![3]),
            ("email.from.address:anna@x.example", vec![4]),
            ("anna@x.example", vec![4]),
            ("event.outcome:failure", vec![1, 2, 3]),
        ] {
            assert_eq!(found(query, true), expected, "{query}, on disk: {commit}");
        }
        for query in ["user.name:anna", "source.ip:10.20.30.40", "anna@x.example", "anna"] {
            assert_eq!(found(query, false), Vec::<u64>::new(), "{query} without the right, on disk: {commit}");
        }
        let token = store.pseudonyms().unwrap().tokens("anna").remove(0);
        assert_eq!(found(&format!("user.name:{token}"), false), [1]);
        assert_eq!(found(&token, false), [1], "a token is a word of the line");
    }
}

#[test]
fn what_is_in_memory_is_what_comes_back_from_disk() {
    let mut lines = golden();
    lines.truncate(200);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let dir = tempfile::tempdir().unwrap();
    let all = |store: &EventStore| {
        let seqs: Vec<Seq> = (1..=lines.len() as u64).map(Seq).collect();
        store.by_seq(&seqs, &Scope::All, &SiteTable::default())
    };
    let memory = store(dir.path(), &lines, false);
    let mut fresh = all(&memory);
    drop(memory);
    let kept = store(dir.path(), &lines, true);
    let mut from_disk = all(&kept);
    fresh.iter_mut().chain(&mut from_disk).for_each(|event| event.decoder = "");
    assert_eq!(fresh.len(), lines.len());
    for (fresh, disk) in fresh.iter().zip(&from_disk) {
        assert_eq!(fresh.json("s"), disk.json("s"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_account_in_any_line_is_hidden_and_comes_back(name in "[a-zA-ZäÄ][a-zA-Z0-9ß._-]{0,20}", host in 0u8..=255, text in "\\PC{0,40}") {
        let dir = tempfile::tempdir().unwrap();
        let pseudonyms = open(dir.path(), Addresses::Internal);
        let line = format!("<38>Nov 21 14:02:07 h sshd[1]: Failed password for {name} from 10.20.30.{host} port 1 ssh2 {text}");
        let (Hidden::Line(event) | Hidden::Bare(event)) = stored(&pseudonyms, &line) else { panic!("{line} is kept as it is") };
        let sites = SiteTable::default();
        let before = redecode(&frame(7, &line)).unwrap();
        for (field, value) in before.fields().filter(|(field, _)| sort(*field) == Some(Sort::User)) {
            let opened: Vec<_> = event.get_all(field).map(|token| pseudonyms.open_token(&token.text())).collect();
            prop_assert!(opened.contains(&Ok(value.text().into_owned())), "{:?}", opened);
            let asked = format!("{}:\"{}\"", field.name(), value.text());
            let record = EventRecord { event: &event, sites: &sites };
            let is_found = pseudonyms.asked(&Query::parse_fixed(&asked).unwrap()).matches(&record);
            prop_assert!(is_found);
        }
        let own = before.get(fields::SOURCE_IP).and_then(ValueRef::as_ip);
        let opened = event.get(fields::SOURCE_IP).and_then(ValueRef::as_ip).map(|ip| pseudonyms.open_address(CLASS, ip, Seq(7)).unwrap());
        prop_assert_eq!(own, opened);
    }

    #[test]
    fn nothing_makes_it_panic(line in "\\PC{0,200}") {
        let dir = tempfile::tempdir().unwrap();
        stored(&open(dir.path(), Addresses::All), &line);
    }
}
