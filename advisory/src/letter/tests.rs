//! Reading other people's mail: what is taken out of it, what is said of it, and where it belongs.

use std::fmt::Write as _;

use detect::incident::IncidentId;
use expect_test::expect;
use ingest::body::{BodyId, ContactId};
use ingest::id::Ulid;
use proptest::prelude::*;

use super::*;

#[test]
fn hostile_shapes_have_an_end() {
    // A thousand parts in each other, a hundred thousand beside each other, and a boundary that is everywhere.
    let mut deep = String::from("From: a@b.example\r\nSubject: tief\r\n");
    for n in 0..1_000 {
        write!(deep, "Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n").unwrap();
    }
    deep.push_str("Content-Type: text/plain\r\n\r\nunten\r\n");
    let letter = letter_read(deep.as_bytes(), None);
    assert_eq!(letter.subject, "tief");
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(1_000);
    letter_read(format!("From: a@b.example\r\n{messages}Subject: innen\r\n\r\nx").as_bytes(), None);
    let wide = format!(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n".repeat(100_000)
    );
    let letter = letter_read(wide.as_bytes(), None);
    assert!(letter.attachments.len() <= 50 && letter.defects.contains(&Defect::ManyFiles));
    let references = format!("From: a@b.example\r\nReferences: {}\r\n\r\nx", "<a@b> ".repeat(50_000));
    assert_eq!(letter_read(references.as_bytes(), None).answers.len(), 1);
}

#[test]
fn a_file_of_25_megabytes_comes_out_whole() {
    use base64::Engine as _;
    let file: Vec<u8> = (0..25_u32 << 20).map(|n| (n % 251) as u8).collect();
    let coded = base64::engine::general_purpose::STANDARD.encode(&file);
    let mut raw = b"From: a@b.example\r\nContent-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n".to_vec();
    for line in coded.as_bytes().chunks(76) {
        raw.extend_from_slice(line);
        raw.extend_from_slice(b"\r\n");
    }
    assert!((raw.len() as u64) < detect::exhibit::MAIL_BYTES_MAX);
    let letter = letter_read(&raw, None);
    assert_eq!(letter.attachments.len(), 1);
    assert!(letter.attachments[0].content == file);
}

#[test]
fn who_is_believed_about_a_sender() {
    let mut table = String::new();
    for fields in [
        "",
        "mx.cert.example; dmarc=pass header.from=b.example",
        "mx.cert.example; dmarc=fail header.from=b.example",
        "mx.cert.example; dmarc=pass header.from=evil.example",
        "mx.cert.example 1; dkim=pass header.d=b.example",
        "mx.cert.example; dkim=pass header.d=evil.example; spf=pass smtp.mailfrom=x@evil.example",
        "mx.cert.example; dkim=fail header.d=b.example; spf=pass smtp.mailfrom=b.example",
        "mx.cert.example; spf=softfail smtp.mailfrom=b.example",
        "mx.cert.example; spf=none; dkim=none",
        "mx.cert.example; dkim=pass header.d=example",
        "mx.evil.example; dmarc=pass header.from=b.example",
        "mx.cert.example (; dmarc=pass header.from=b.example); dmarc=fail",
        "mx.cert.example; dkim=none reason=\"; dmarc=pass header.from=b.example\"",
        "mx.cert.example; none|mx.cert.example; dmarc=pass header.from=b.example",
    ] {
        let headers = fields.split('|').map(|value| ("Authentication-Results", value));
        writeln!(table, "{fields}: {:?}", proof(headers, Some("mx.cert.example"), "b.example")).unwrap();
    }
    expect![[r#"
        : None
        mx.cert.example; dmarc=pass header.from=b.example: Passed
        mx.cert.example; dmarc=fail header.from=b.example: Failed
        mx.cert.example; dmarc=pass header.from=evil.example: Failed
        mx.cert.example 1; dkim=pass header.d=b.example: Passed
        mx.cert.example; dkim=pass header.d=evil.example; spf=pass smtp.mailfrom=x@evil.example: Failed
        mx.cert.example; dkim=fail header.d=b.example; spf=pass smtp.mailfrom=b.example: Passed
        mx.cert.example; spf=softfail smtp.mailfrom=b.example: Failed
        mx.cert.example; spf=none; dkim=none: None
        mx.cert.example; dkim=pass header.d=example: Failed
        mx.evil.example; dmarc=pass header.from=b.example: None
        mx.cert.example (; dmarc=pass header.from=b.example); dmarc=fail: Failed
        mx.cert.example; dkim=none reason="; dmarc=pass header.from=b.example": None
        mx.cert.example; none|mx.cert.example; dmarc=pass header.from=b.example: None
    "#]]
    .assert_eq(&table);
    assert_eq!(
        proof([("Authentication-Results", "mx; dmarc=pass")].into_iter(), None, "b.example"),
        Proof::None,
        "nobody is trusted unasked"
    );
}

#[test]
fn numbers_in_subjects() {
    for (subject, numbers) in [
        ("AW: [TLP:AMBER] TC-2026-000123 Rückfrage", vec!["TC-2026-000123"]),
        ("tc-2026-000123/tc-2025-000001", vec!["TC-2026-000123", "TC-2025-000001"]),
        ("TC-2026-000123 TC-2026-000123", vec!["TC-2026-000123"]),
        ("XTC-2026-000123 TC-2026-0001234 TC-2026-00012 TC-ÄÄÄÄ-000123 TC-", vec![]),
    ] {
        assert_eq!(case_numbers(subject), numbers, "{subject}");
    }
}

/// A letter and what is known of it, in words.
fn case(words: &str) -> (Letter, Known) {
    let (mut letter, mut known) = (Letter::default(), Known::default());
    let (body, other) = (BodyId(Ulid(1)), BodyId(Ulid(2)));
    for word in words.split_whitespace() {
        match word {
            "contact" => known.contact = Some((body, ContactId(Ulid(3)))),
            "passed" => letter.proof = Proof::Passed,
            "failed" => letter.proof = Proof::Failed,
            "signed" => known.signed = true,
            "answer" => known.thread = Some(IncidentId(Ulid(7))),
            "number" => known.named = Some((IncidentId(Ulid(8)), Some(body))),
            "foreign" => known.named = Some((IncidentId(Ulid(9)), Some(other))),
            "nobodys" => known.named = Some((IncidentId(Ulid(9)), None)),
            "auto" => letter.automatic = Some(Automatic::Reply),
            "ours" => known.ours = true,
            "report" => letter.report = Some(Report::default()),
            "flood" => known.opened = 5,
            _ => panic!("{word}"),
        }
    }
    (letter, known)
}

const CASES: [&str; 24] = [
    "",
    "passed",
    "contact",
    "contact failed",
    "contact passed",
    "contact signed",
    "contact failed signed",
    "contact passed number",
    "contact number",
    "contact failed number",
    "contact passed foreign",
    "contact passed nobodys",
    "number",
    "passed number",
    "answer",
    "contact passed answer",
    "contact failed answer",
    "contact passed answer foreign",
    "contact passed flood",
    "auto contact passed",
    "auto answer",
    "ours contact passed answer",
    "report answer ours",
    "report",
];

#[test]
fn where_a_letter_belongs() {
    let mut table = String::new();
    for words in CASES {
        let (letter, known) = case(words);
        let Judgement { place, why, sender } = judge(&letter, &known);
        let place = match place {
            Place::Case(IncidentId(Ulid(7))) => "the case it answers",
            Place::Case(IncidentId(Ulid(8))) => "the case it names",
            Place::Case(_) => "A FOREIGN CASE",
            Place::Open(BodyId(Ulid(1))) => "a new case",
            Place::Open(_) => "A FOREIGN BODY'S CASE",
            Place::Tray => "tray",
            Place::Aside => "aside",
        };
        writeln!(table, "{words:<30} {place} ({}), {}", why.as_str(), sender.as_str()).unwrap();
    }
    expect![[r#"
                                       tray (stranger), stranger
        passed                         tray (stranger), stranger
        contact                        tray (unproved), unproved
        contact failed                 tray (forged), forged
        contact passed                 a new case (contact), proved
        contact signed                 a new case (contact), proved
        contact failed signed          a new case (contact), proved
        contact passed number          the case it names (number), proved
        contact number                 tray (unproved), unproved
        contact failed number          tray (forged), forged
        contact passed foreign         tray (foreign_number), proved
        contact passed nobodys         tray (foreign_number), proved
        number                         tray (stranger), stranger
        passed number                  tray (stranger), stranger
        answer                         the case it answers (answer), stranger
        contact passed answer          the case it answers (answer), proved
        contact failed answer          tray (forged), forged
        contact passed answer foreign  the case it answers (answer), proved
        contact passed flood           tray (flood), proved
        auto contact passed            aside (automatic), proved
        auto answer                    the case it answers (automatic), stranger
        ours contact passed answer     aside (loop), proved
        report answer ours             the case it answers (report), stranger
        report                         aside (report), stranger
    "#]]
    .assert_eq(&table);
}

proptest! {
    #[test]
    fn nobody_gets_into_a_case_by_claiming(words in proptest::sample::subsequence(vec!["contact", "number", "foreign", "nobodys", "auto", "flood", "failed"], 0..7)) {
        // Without proof and without a mail of ours that it answers: no case is opened and none is entered.
        let (letter, known) = case(&words.join(" "));
        let place = judge(&letter, &known).place;
        prop_assert!(matches!(place, Place::Tray | Place::Aside), "{words:?}: {place:?}");
    }

    #[test]
    fn any_bytes_are_a_letter(raw in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let letter = letter_read(&raw, Some("mx"));
        let bell = letter.text.contains('\u{7}');
        prop_assert!(!bell && !letter.subject.contains(['\r', '\n']));
    }

    #[test]
    fn any_pieces_of_mail_are_a_letter(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "From: a@b.example\r\n", "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n",
        "--b\r\n", "--b--\r\n", "\r\n", "Content-Type: text/html\r\n", "<script>", "&#x1F600;", "&#xFFFFFFFF;", "<!--", "-->", "ä", "=?utf-8?B?w6Q=?=",
        "Content-Transfer-Encoding: base64\r\n", "Content-Type: message/delivery-status\r\n", "Content-Type: message/rfc822\r\n", "Subject: x\r\n",
        "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n", "\u{202e}", "\0", "References: <a@b>\r\n <c@d>\r\n",
    ]), 0..40)) {
        letter_read(pieces.concat().as_bytes(), Some("mx"));
    }
}
