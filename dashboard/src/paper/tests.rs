//! Documents: what stands on their pages, that hostile text is only text, and that they are the same each time.

use serde_json::json;
use typst::layout::{Frame, FrameItem};

use super::*;

const AT: Timestamp = Timestamp(1_795_248_000_000);

/// All strings of every kind of field are this.
fn case(text: &str) -> Value {
    let pair = json!([text, text]);
    json!({
        "number": "TC-2026-000001", "title": text, "label-rule": text, "facts": [pair, pair], "story": text,
        "bodies": [[text, text, text, text]], "services": [text], "timeline": [[text, text, text]],
        "plans": [{ "title": text, "intro": text, "state": text, "steps": [pair] }],
        "duties": [[text, text, text, text]], "observables": [[text, [text, text]]], "hidden": text,
        "exhibits": [{ "name": text, "sha256": "ab".repeat(32), "facts": [pair] }], "left-out": text,
        "history": [[text, text, text, text]],
    })
}

fn empty_case() -> Value {
    json!({
        "number": "TC-2026-000001", "title": "Leer", "label-rule": "", "facts": [], "story": "", "bodies": [], "services": [],
        "timeline": [], "plans": [], "duties": [], "observables": [], "hidden": "", "exhibits": [], "left-out": "", "history": [],
    })
}

fn duty(text: &str) -> Value {
    json!({
        "case": text, "label-rule": text, "facts": [[text, text]],
        "questions": [{ "label": text, "answer": text, "required": true }, { "label": text, "answer": "", "required": true }],
    })
}

fn paper(template: Template, title: &str, data: Value) -> Paper {
    let (author, tlp, mark) = ("ThüringenCERT".to_owned(), "AMBER".to_owned(), "TC-2026-000001".to_owned());
    Paper { template, title: title.to_owned(), author, tlp, mark, at: AT, data }
}

/// The text of each page, in the order in which it is set.
fn pages(paper: &Paper) -> Vec<String> {
    fn walk(frame: &Frame, out: &mut String) {
        for (_, item) in frame.items() {
            match item {
                FrameItem::Group(group) => walk(&group.frame, out),
                FrameItem::Text(text) => out.push_str(&text.text),
                _ => {}
            }
        }
    }
    let mut all = json!({
        "title": paper.title, "author": paper.author, "tlp": paper.tlp, "mark": paper.mark, "at": "heute", "data": paper.data,
    });
    readable(&mut all);
    let world = PaperWorld::new(paper.template.source(), all.to_string());
    let compiled = typst::compile(&world);
    assert!(compiled.warnings.is_empty(), "{:?}", compiled.warnings);
    let document = compiled.output.unwrap_or_else(|errors| panic!("{errors:?}"));
    typst_pdf::pdf(&document, &PdfOptions::default()).unwrap();
    let text = |frame: &Frame| {
        let mut out = String::new();
        walk(frame, &mut out);
        out
    };
    document.pages().iter().map(|page| text(&page.frame)).collect()
}

#[test]
fn a_document_is_tagged_german_labelled_and_the_same_each_time() {
    for paper in [
        paper(Template::Case, "Fall", case("Grüße")),
        paper(Template::Case, "Leer", empty_case()),
        paper(Template::Duty, "Meldung", duty("ja")),
    ] {
        let pdf = paper_print(&paper).unwrap();
        assert_eq!(pdf, paper_print(&paper).unwrap(), "the same bytes");
        let raw = String::from_utf8_lossy(&pdf);
        for part in ["%PDF-1.7", "/Lang", "de-DE", "/MarkInfo", "/StructTreeRoot", "pdfuaid:part>1<", "/DisplayDocTitle true", "2026-11-21"]
        {
            assert!(raw.contains(part), "{part} is missing in {}", paper.title);
        }
        let later = paper_print(&Paper { at: AT.plus(Timestamp::HOUR), ..paper }).unwrap();
        assert_ne!(pdf, later);
    }
}

#[test]
fn the_label_stands_on_every_page() {
    let long = "Ein Satz, der sich wiederholt. ".repeat(600);
    for label in ["CLEAR", "GREEN", "AMBER", "AMBER+STRICT", "RED"] {
        let paper = Paper { tlp: label.into(), ..paper(Template::Case, "Fall", case(&long)) };
        let pages = pages(&paper);
        assert!(pages.len() > 5);
        for (at, page) in pages.iter().enumerate() {
            let marks = page.matches(&format!("TLP:{label}")).count();
            assert!(
                marks >= 2 && page.contains("TC-2026-000001") && page.contains(&format!("Seite {} von {}", at + 1, pages.len())),
                "{page}"
            );
        }
    }
}

/// What is markup, code or a name to the typesetter stands there as it was written.
#[test]
fn hostile_text_is_only_text() {
    for text in [
        "#panic(1)",
        "#read(\"/etc/passwd\")",
        "#import \"base.typ\": *",
        "#include \"/etc/passwd\"",
        "$ x^2 $ *fett* _kursiv_ `roh` = Titel",
        "]} \" \\ #let x = 1",
        "<label> @label // Kommentar /* und */",
        "- Punkt + Zahl / Wort: ~ -- ---",
        "https://boese.example/#x",
        "{\"data\": 1}",
    ] {
        for (template, data) in [(Template::Case, case(text)), (Template::Duty, duty(text))] {
            let paper = paper(template, text, data);
            // Lines break at spaces, and long words get places to break at.
            let plain = |text: &str| text.chars().filter(|ch| !ch.is_whitespace() && *ch != '\u{200b}').collect::<String>();
            let seen = plain(&pages(&paper).concat());
            assert!(seen.matches(&plain(text)).count() >= 4, "{text}: {seen}");
            paper_print(&paper).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
    }
}

/// Writing of all the world, emoji, controls, and words without an end: a document comes of it, and what cannot be set is named.
#[test]
fn what_has_no_shape_is_named() {
    for (text, expected) in [
        ("漢字", "⟨U+6F22⟩⟨U+5B57⟩"),
        ("💣", "⟨U+1F4A3⟩"),
        ("a\u{202e}b\u{0}c\u{7}d\u{200b}e\u{ad}f\r\tg", "a⟨U+202E⟩b⟨U+0000⟩c⟨U+0007⟩d⟨U+200B⟩ef g"),
        ("äöüß „“ – €", "äöüß „“ – €"),
    ] {
        assert_eq!(shown(text, 100), expected);
        paper_print(&paper(Template::Case, text, case(text))).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!((shown("abc", 3).as_str(), shown("abcd", 3).as_str()), ("abc", "abc…"));
    let every: String = (0..0x3000).filter_map(char::from_u32).collect();
    for text in [every, "x".repeat(5_000), "ab ".repeat(3_000), "\n".repeat(5_000), " ".repeat(500)] {
        let pdf = paper_print(&paper(Template::Case, "Fall", case(&text)));
        assert!(matches!(pdf, Ok(_) | Err(PaperError::TooLong)), "{pdf:?}");
    }
}

#[test]
fn what_is_too_long_is_refused() {
    let rows: Vec<[String; 4]> = (0..300).map(|_| std::array::from_fn(|_| "x".repeat(1_000))).collect();
    let mut data = case("x");
    data["history"] = json!(rows);
    assert!(matches!(paper_print(&paper(Template::Case, "Fall", data)), Err(PaperError::TooLong)));
}

/// A template reaches nothing but its own data.
#[test]
fn a_template_reads_no_files_and_knows_no_time() {
    for source in
        ["#read(\"/etc/passwd\")", "#read(\"../data.json\")", "#import \"@preview/cetz:0.3.0\"", "#datetime.today()", "#image(\"x.png\")"]
    {
        let world = PaperWorld::new(source, "{}".into());
        let compiled = typst::compile(&world).output.map(|document| typst_pdf::pdf(&document, &PdfOptions::default()));
        assert!(compiled.is_err() || source.contains("../data"), "{source}");
    }
}
