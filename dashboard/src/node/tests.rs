//! What the node hands its consumers: how an event is kept, as explanations may quote it.

use ingest::body::SITE_UNKNOWN;
use ingest::frame::{Marks, NewFrame, Transport};
use ingest::pseudonym::Wanted;

use super::*;

const NOW: Timestamp = Timestamp(1_795_248_000_000);

/// A rule that asks for a word anywhere is explained by the line: by the one that the store keeps, not by a list of fields,
/// and without what was added to the event by its real address.
#[test]
fn an_explanation_quotes_the_line_that_the_store_keeps() {
    let dir = tempfile::tempdir().unwrap();
    let pseudonyms = Arc::new(Pseudonyms::open(dir.path()).unwrap());
    pseudonyms.begin(Wanted { enabled: Some(true), ..Wanted::default() }, &[ingest::events::CLASS], &[], Seq(1), NOW).unwrap();
    let again = |frame: &Frame, _: Option<Box<str>>| decode(frame, &Options::default());
    let line = "<38>Nov 21 12:00:00 rathaus-dc sshd[7]: Failed password for erika.mustermann from 10.1.2.3 port 4711 ssh2";
    let frame = NewFrame {
        received_at: NOW,
        site: SITE_UNKNOWN,
        peer: std::net::Ipv4Addr::LOCALHOST.into(),
        transport: Transport::Tcp,
        kind: FrameKind::of_line(line.as_bytes()),
        marks: Marks::default(),
        payload: line.as_bytes().into(),
    };
    let frame = Frame { seq: Seq(7), frame };
    let mut event = decode(&frame, &Options::default()).unwrap();
    event.push_text(ingest::fields::HOST_NAME, "pc-mustermann");
    let kept = hiding(&pseudonyms, again)(&event, Some(&frame)).unwrap();
    let stored = pseudonyms.as_kept(ingest::events::CLASS, Some(&frame), &event, &|frame| again(frame, None));
    assert_eq!(kept.line(), stored.line());
    assert!(kept.line().contains("sshd[7]: Failed password for ") && !kept.line().contains("mustermann"), "{}", kept.line());
    assert!(kept.fields().all(|(_, value)| !value.text().contains("mustermann")), "{kept:?}");
}
