//! Reading other people's mail: what is taken out of it, what is said of it, and where it belongs.

use std::fmt::Write as _;

use detect::incident::IncidentId;
use expect_test::{Expect, expect};
use ingest::body::{BodyId, ContactId};
use ingest::id::Ulid;
use proptest::prelude::*;

use super::*;

fn mail(head: &str, body: &str) -> Vec<u8> {
    format!("{}\n\n{body}", head.trim()).replace('\n', "\r\n").into_bytes()
}

fn shown(raw: &[u8]) -> String {
    let letter = letter_read(raw, Some("mx.cert.example"));
    let mut out = format!("from {:?} {:?}\n", letter.from_name, letter.from);
    writeln!(out, "subject {:?}\nid {:?} answers {:?}", letter.subject, letter.message_id, letter.answers).unwrap();
    writeln!(out, "proof {:?} automatic {:?} defects {:?}", letter.proof, letter.automatic, letter.defects).unwrap();
    for file in &letter.attachments {
        writeln!(out, "file {:?} {} {} bytes", file.name, file.claimed, file.content.len()).unwrap();
    }
    if let Some(report) = &letter.report {
        writeln!(out, "report {report:?}").unwrap();
    }
    out + letter.text.as_str() + "\n"
}

fn check(raw: &[u8], expected: Expect) {
    expected.assert_eq(&shown(raw));
}

#[test]
fn a_letter_with_files() {
    check(
        &mail(
            "From: =?utf-8?Q?Erika_M=C3=BCller?= <ISB@Soemmerda.example>\nTo: cert@cert.example\n\
             Subject: =?utf-8?B?UsO8Y2tmcmFnZSB6dQ==?= TC-2026-000123\nDate: Mon, 23 Nov 2026 09:00:00 +0100\nMessage-ID: <m1@soemmerda.example>\n\
             In-Reply-To: <ours@cert.example>\nReferences: <first@cert.example> <ours@cert.example>\nMIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=b",
            "--b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe\n\
             --b\nContent-Type: application/pdf; name=\"../../etc/rechnung.pdf\"\nContent-Disposition: attachment\n\
             Content-Transfer-Encoding: base64\n\nJVBERi0xLjc=\n\
             --b\nContent-Type: message/rfc822\n\nFrom: x@y.example\nSubject: innen\n\ntext\n--b--",
        ),
        expect![[r#"
            from "Erika Müller" "isb@soemmerda.example"
            subject "Rückfrage zu TC-2026-000123"
            id "m1@soemmerda.example" answers ["ours@cert.example", "first@cert.example"]
            proof None automatic None defects []
            file "../../etc/rechnung.pdf" application/pdf 8 bytes
            file "nachricht-2.eml" message/rfc822 41 bytes
            Grüße
        "#]],
    );
}

#[test]
fn html_becomes_text_and_runs_nothing() {
    check(
        &mail(
            "From: a@b.example\nSubject: x\nContent-Type: text/html; charset=utf-8",
            "<html><head><title>t</title><style>p{}</style></head><body><script>alert(1)</script><p onclick=\"x()\">Hallo &amp; guten \
             Tag</p><img src=\"http://tracker.example/p.gif\"><a href=\"javascript:alert(2)\">hier</a><template>weg</template></body></html>",
        ),
        expect![[r#"
            from "" "a@b.example"
            subject "x"
            id "" answers []
            proof None automatic None defects [OnlyHtml]
            Hallo & guten Tag
            hier
        "#]],
    );
}

#[test]
fn what_is_strange_is_said() {
    for (raw, expected) in [
        (
            b"".to_vec(),
            expect![[r#"
            from "" ""
            subject ""
            id "" answers []
            proof None automatic None defects [Unreadable]

        "#]],
        ),
        (
            b"\0\xff\xfe".to_vec(),
            expect![[r#"
            from "" ""
            subject ""
            id "" answers []
            proof None automatic None defects [Sender]

        "#]],
        ),
        (
            mail("From: a@b.example, c@d.example\nSubject: zwei", "x"),
            expect![[r#"
            from "" ""
            subject "zwei"
            id "" answers []
            proof None automatic None defects [Sender]
            x
        "#]],
        ),
        (
            mail("From: a@b.example\nFrom: c@d.example\nSubject: zwei Felder", "x"),
            expect![[r#"
            from "" ""
            subject "zwei Felder"
            id "" answers []
            proof None automatic None defects [Sender]
            x
        "#]],
        ),
        (
            mail("From: a@b.example\nSubject: a\n Bcc: d@e.example\nContent-Type: text/plain; charset=klingonisch", "x\u{202e}y\u{7}z"),
            expect![[r#"
                from "" "a@b.example"
                subject "a Bcc: d@e.example"
                id "" answers []
                proof None automatic None defects []
                xyz
            "#]],
        ),
        (
            mail("From: =?utf-8?Q?a=0D=0ABcc:_x@y.example?= <a@b.example>\nSubject: =?utf-8?Q?b=0D=0ABcc:_x?=", "x"),
            expect![[r#"
            from "a Bcc: x@y.example" "a@b.example"
            subject "b Bcc: x"
            id "" answers []
            proof None automatic None defects []
            x
        "#]],
        ),
        (
            mail("From: a@b.example\nAuto-Submitted: auto-replied\nSubject: Abwesend", "x"),
            expect![[r#"
            from "" "a@b.example"
            subject "Abwesend"
            id "" answers []
            proof None automatic Some(Reply) defects []
            x
        "#]],
        ),
        (
            mail("From: a@b.example\nList-Id: <l.example>\nSubject: Liste", "x"),
            expect![[r#"
            from "" "a@b.example"
            subject "Liste"
            id "" answers []
            proof None automatic Some(List) defects []
            x
        "#]],
        ),
        (
            mail("Return-Path: <>\nFrom: a@b.example\nSubject: niemand", "x"),
            expect![[r#"
            from "" "a@b.example"
            subject "niemand"
            id "" answers []
            proof None automatic Some(Reply) defects []
            x
        "#]],
        ),
        (
            mail("From: a@b.example\nPrecedence: bulk\nSubject: Werbung", "x"),
            expect![[r#"
            from "" "a@b.example"
            subject "Werbung"
            id "" answers []
            proof None automatic Some(Bulk) defects []
            x
        "#]],
        ),
        (
            mail("From: a@b.example\nAuto-Submitted: no\nSubject: Mensch", "x"),
            expect![[r#"
            from "" "a@b.example"
            subject "Mensch"
            id "" answers []
            proof None automatic None defects []
            x
        "#]],
        ),
    ] {
        check(&raw, expected);
    }
}

#[test]
fn a_report_tells_what_became_of_a_mail_of_ours() {
    check(
        &mail(
            "From: MAILER-DAEMON@mx.example\nSubject: Undelivered\nContent-Type: multipart/report; report-type=delivery-status; boundary=b",
            "--b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n\
             Final-Recipient: rfc822; isb@soemmerda.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1\n  no such user\n\n\
             --b\nContent-Type: text/rfc822-headers\n\nSubject: x\nMessage-ID: <ours@cert.example>\n--b--",
        ),
        expect![[r#"
            from "" "mailer-daemon@mx.example"
            subject "Undelivered"
            id "" answers []
            proof None automatic None defects []
            file "anhang-1" message/delivery-status 163 bytes
            file "anhang-2" text/rfc822-headers 43 bytes
            report Report { action: "failed", recipient: "isb@soemmerda.example", why: "5.1.1 550 5.1.1 no such user", about: "ours@cert.example" }
            Sorry.
        "#]],
    );
}

#[test]
fn hostile_shapes_have_an_end() {
    // A thousand parts in each other, a hundred thousand beside each other, and a boundary that is everywhere.
    let mut deep = String::from("From: a@b.example\r\nSubject: tief\r\n");
    for n in 0..900 {
        write!(deep, "Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n").unwrap();
    }
    deep.push_str("Content-Type: text/plain\r\n\r\nunten\r\n");
    let letter = letter_read(deep.as_bytes(), None);
    assert_eq!(letter.subject, "tief");
    // More than that is not taken apart: what would be made of it could not even be dropped on a small stack.
    for levels in [900, 1_100, 200_000] {
        let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(levels);
        let letter = letter_read(format!("From: a@b.example\r\n{messages}Subject: innen\r\n\r\nx").as_bytes(), None);
        assert_eq!(letter.defects.contains(&Defect::Unreadable), levels > 1_000, "{levels}");
    }
    let wide = format!(
        "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n".repeat(100_000)
    );
    let letter = letter_read(wide.as_bytes(), None);
    assert!(letter.attachments.len() <= 50 && letter.defects.contains(&Defect::ManyFiles));
    let references = format!("From: a@b.example\r\nReferences: {}\r\n\r\nx", "<a@b> ".repeat(50_000));
    assert_eq!(letter_read(references.as_bytes(), None).answers.len(), 1);
}

/// What stands behind the signature is signed by nobody, and would stand on the page under its word.
#[test]
fn a_signature_covers_the_whole_letter_or_nothing() {
    let mail = |more: &str| {
        let head = "From: a@b.example\r\nContent-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n";
        let signed = "--b\r\nContent-Type: text/plain\r\n\r\nhallo\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n";
        letter_read(format!("{head}{signed}{more}--b--\r\n").as_bytes(), None).protection
    };
    assert!(matches!(mail(""), Protection::Signed { .. }));
    assert_eq!(mail("--b\r\nContent-Type: text/plain\r\n\r\nuntergeschoben\r\n"), Protection::None);
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
        contact failed signed          tray (forged), forged
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
