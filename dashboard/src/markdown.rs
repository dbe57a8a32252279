//! Notes in Markdown: a small subset, read into blocks and runs of text, and shown from those as markup. What was written is
//! stored as it is; here it only gets a shape.
//!
//! **Invariant**: nothing that was written becomes markup. Raw HTML and pictures stay text, a link goes to the web or to a mail
//! address and says to which host, and every letter goes through `show::shown`.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use crate::show::{Markup, escape, shown};

/// A part of a note.
#[derive(Clone, Debug, PartialEq)]
enum Block {
    Paragraph(Vec<Run>),
    Heading(Vec<Run>),
    Code(String),
    Quote(Vec<Block>),
    /// With the number of the first, where they are numbered.
    List(Option<u64>, Vec<Vec<Block>>),
    Rule,
}

/// A stretch of text of one look.
#[derive(Clone, Debug, Default, PartialEq)]
struct Run {
    text: String,
    strong: bool,
    emphasis: bool,
    code: bool,
    link: Option<String>,
}

/// Quotes and lists within each other; deeper ones are shown as the text that they are.
const DEPTH_MAX: usize = 8;
/// A browser's address line holds no more.
const LINK_CHARS_MAX: usize = 2_000;

/// Reads a note.
fn blocks(text: &str) -> Vec<Block> {
    let mut reader = Reader { open: vec![Open::default()], ..Reader::default() };
    for event in Parser::new_ext(text, Options::empty()) {
        reader.take(event);
    }
    reader.flush();
    while reader.open.len() > 1 {
        reader.close();
    }
    reader.open.pop().map(|open| open.blocks).unwrap_or_default()
}

/// A note as a page shows it.
pub(crate) fn markup(text: &str) -> Markup {
    let mut out = String::with_capacity(text.len() + 64);
    blocks(text).iter().for_each(|block| write_block(&mut out, block));
    Markup::trusted(out)
}

#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    runs: Vec<Run>,
    strong: usize,
    emphasis: usize,
    link: Option<String>,
    /// The text of a block of code.
    code: Option<String>,
    /// Quotes and lists that were too deep to be opened.
    ignored: usize,
}

/// A quote, a list's item, or the note itself.
#[derive(Default)]
struct Open {
    blocks: Vec<Block>,
    list: Option<(Option<u64>, Vec<Vec<Block>>)>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                match &mut self.code {
                    Some(code) => code.push_str(&text),
                    None => self.push(&text, false),
                }
            }
            Event::Code(text) => self.push(&text, true),
            Event::SoftBreak | Event::HardBreak => self.push("\n", false),
            Event::Rule => {
                self.flush();
                self.block(Block::Rule);
            }
            Event::FootnoteReference(text) => self.push(&text, false),
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Strong => self.strong += 1,
            Tag::Emphasis => self.emphasis += 1,
            Tag::Link { dest_url, .. } => self.link = web(dest_url),
            // A picture would be fetched by whoever reads the note: its words and where it lies are shown instead.
            Tag::Image { dest_url, .. } => self.push(&format!("[{dest_url}] "), false),
            Tag::CodeBlock(_) => {
                self.flush();
                self.code = Some(String::new());
            }
            Tag::List(first) => {
                self.flush();
                self.open(Some((*first, Vec::new())));
            }
            Tag::BlockQuote(_) => {
                self.flush();
                self.open(None);
            }
            _ => self.flush(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong => self.strong = self.strong.saturating_sub(1),
            TagEnd::Emphasis => self.emphasis = self.emphasis.saturating_sub(1),
            TagEnd::Link => {
                self.link = None;
            }
            TagEnd::Heading(_) => {
                let runs = std::mem::take(&mut self.runs);
                self.block(Block::Heading(runs));
            }
            TagEnd::CodeBlock => {
                if let Some(code) = self.code.take() {
                    self.block(Block::Code(code.trim_end_matches('\n').to_owned()));
                }
            }
            TagEnd::Item => {
                self.flush();
                if self.ignored == 0
                    && let Some(open) = self.open.last_mut()
                {
                    let blocks = std::mem::take(&mut open.blocks);
                    if let Some((_, items)) = &mut open.list {
                        items.push(blocks);
                    }
                }
            }
            TagEnd::List(_) | TagEnd::BlockQuote(_) => {
                self.flush();
                match self.ignored {
                    0 => self.close(),
                    _ => self.ignored -= 1,
                }
            }
            TagEnd::Image => {}
            _ => self.flush(),
        }
    }

    fn open(&mut self, list: Option<(Option<u64>, Vec<Vec<Block>>)>) {
        if self.open.len() > DEPTH_MAX {
            self.ignored += 1;
        } else {
            self.open.push(Open { blocks: Vec::new(), list });
        }
    }

    fn close(&mut self) {
        if self.open.len() < 2 {
            return;
        }
        let Some(open) = self.open.pop() else { return };
        self.block(match open.list {
            Some((first, mut items)) => {
                if !open.blocks.is_empty() {
                    items.push(open.blocks);
                }
                Block::List(first, items)
            }
            None => Block::Quote(open.blocks),
        });
    }

    fn push(&mut self, text: &str, code: bool) {
        let look = Run { text: String::new(), strong: self.strong > 0, emphasis: self.emphasis > 0, code, link: self.link.clone() };
        match self.runs.last_mut() {
            Some(last) if Run { text: String::new(), ..last.clone() } == look => last.text.push_str(text),
            _ => self.runs.push(Run { text: text.to_owned(), ..look }),
        }
    }

    /// What stands outside of a block of its own is a paragraph.
    fn flush(&mut self) {
        let runs = std::mem::take(&mut self.runs);
        if !runs.is_empty() {
            self.block(Block::Paragraph(runs));
        }
    }

    fn block(&mut self, block: Block) {
        if let Some(open) = self.open.last_mut() {
            open.blocks.push(block);
        }
    }
}

/// An address that a reader may follow.
fn web(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once(':')?;
    let known = ["http", "https"].iter().any(|one| scheme.eq_ignore_ascii_case(one)) && rest.starts_with("//");
    let mail = scheme.eq_ignore_ascii_case("mailto");
    let plain = address.chars().count() <= LINK_CHARS_MAX && !address.chars().any(|ch| ch.is_control() || ch.is_whitespace());
    ((known || mail) && plain).then(|| address.to_owned())
}

/// Where a link leads, for whoever reads it before following: a text may name another place.
fn host(address: &str) -> &str {
    let (_, rest) = address.split_once(':').unwrap_or_default();
    let rest = rest.trim_start_matches('/').split(['/', '?', '#']).next().unwrap_or_default();
    if address.len() >= 7 && address.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:")) {
        return rest;
    }
    rest.rsplit('@').next().unwrap_or_default()
}

fn write_block(out: &mut String, block: &Block) {
    match block {
        Block::Paragraph(runs) => wrap(out, "p", |out| write_runs(out, runs)),
        // A note's headings are no headings of the page.
        Block::Heading(runs) => wrap(out, "p", |out| wrap(out, "strong", |out| write_runs(out, runs))),
        Block::Code(text) => wrap(out, "pre", |out| {
            let lines: Vec<String> = text.split('\n').map(|line| shown(line).as_str().to_owned()).collect();
            out.push_str(&lines.join("\n"));
        }),
        Block::Quote(blocks) => wrap(out, "blockquote", |out| blocks.iter().for_each(|block| write_block(out, block))),
        Block::List(first, items) => {
            let open = match first {
                Some(first) => format!("<ol start=\"{first}\">"),
                None => "<ul>".to_owned(),
            };
            out.push_str(&open);
            for item in items {
                wrap(out, "li", |out| match item.as_slice() {
                    [Block::Paragraph(runs)] => write_runs(out, runs),
                    blocks => blocks.iter().for_each(|block| write_block(out, block)),
                });
            }
            out.push_str(if first.is_some() { "</ol>" } else { "</ul>" });
        }
        Block::Rule => out.push_str("<hr>"),
    }
}

fn wrap(out: &mut String, tag: &str, inside: impl FnOnce(&mut String)) {
    out.push_str(&format!("<{tag}>"));
    inside(out);
    out.push_str(&format!("</{tag}>"));
}

fn write_runs(out: &mut String, runs: &[Run]) {
    for run in runs {
        let tags: Vec<&str> = [(run.strong, "strong"), (run.emphasis, "em"), (run.code, "code")]
            .into_iter()
            .filter_map(|(on, tag)| on.then_some(tag))
            .collect();
        if let Some(address) = &run.link {
            out.push_str(&format!("<a href=\"{}\" rel=\"noopener noreferrer nofollow\">", escape(address)));
        }
        tags.iter().for_each(|tag| out.push_str(&format!("<{tag}>")));
        let lines: Vec<String> = run.text.split('\n').map(|line| shown(line).as_str().to_owned()).collect();
        out.push_str(&lines.join("<br>"));
        tags.iter().rev().for_each(|tag| out.push_str(&format!("</{tag}>")));
        if let Some(address) = &run.link {
            out.push_str("</a>");
            if !run.text.contains(host(address)) {
                out.push_str(&format!(" <span class=\"soft\">({})</span>", shown(host(address))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Expect) {
        expected.assert_eq(markup(text).as_str());
    }

    #[test]
    fn what_notes_are_written_in() {
        check("Eins\nzwei\n\ndrei", expect!["<p><bdi>Eins</bdi><br><bdi>zwei</bdi></p><p><bdi>drei</bdi></p>"]);
        check(
            "# Titel\n**fett** und *kursiv* und `code`",
            expect![
                "<p><strong><bdi>Titel</bdi></strong></p><p><strong><bdi>fett</bdi></strong><bdi> und </bdi><em><bdi>kursiv</bdi></em><bdi> und </bdi><code><bdi>code</bdi></code></p>"
            ],
        );
        check(
            "- a\n- b\n  1. c\n\n```\n<b>\n```\n> Zitat\n\n---",
            expect![[
                r#"<ul><li><bdi>a</bdi></li><li><p><bdi>b</bdi></p><ol start="1"><li><bdi>c</bdi></li></ol></li></ul><pre><bdi>&lt;b&gt;</bdi></pre><blockquote><p><bdi>Zitat</bdi></p></blockquote><hr>"#
            ]],
        );
        check(
            "[hier](https://bank.example@boese.example/x) <https://a.example/> [m](mailto:a@b.example)",
            expect![[
                r#"<p><a href="https://bank.example@boese.example/x" rel="noopener noreferrer nofollow"><bdi>hier</bdi></a> <span class="soft">(<bdi>boese.example</bdi>)</span><bdi> </bdi><a href="https://a.example/" rel="noopener noreferrer nofollow"><bdi>https://a.example/</bdi></a><bdi> </bdi><a href="mailto:a@b.example" rel="noopener noreferrer nofollow"><bdi>m</bdi></a> <span class="soft">(<bdi>a@b.example</bdi>)</span></p>"#
            ]],
        );
    }

    #[test]
    fn what_would_act_is_text() {
        check(
            "<script>alert(1)</script> <b onclick=x>b</b>",
            expect!["<p><bdi>&lt;script&gt;alert(1)&lt;/script&gt; &lt;b onclick=x&gt;b&lt;/b&gt;</bdi></p>"],
        );
        check("![bild](https://boese.example/x.png)", expect!["<p><bdi>[https://boese.example/x.png] bild</bdi></p>"]);
        check(
            "[a](javascript:alert(1)) [b](data:text/html,x) [c](//boese.example) [d](/konten) [e](vbscript:x)",
            expect!["<p><bdi>a b c d e</bdi></p>"],
        );
        check(
            "<img src=x onerror=alert(1)>\n\n<svg/onload=alert(1)>",
            expect!["<p><bdi>&lt;img src=x onerror=alert(1)&gt;</bdi><br><bdi></bdi></p><p><bdi>&lt;svg/onload=alert(1)&gt;</bdi></p>"],
        );
        check(
            "[x](https://a.example/\"onmouseover=alert(1)) \u{202e}um",
            expect![[
                r#"<p><a href="https://a.example/&quot;onmouseover=alert(1)" rel="noopener noreferrer nofollow"><bdi>x</bdi></a> <span class="soft">(<bdi>a.example</bdi>)</span><bdi> <span class="ctl" title="U+202E">⟨202E⟩</span>um</bdi></p>"#
            ]],
        );
    }

    /// Every tag is one of ours, and every attribute one that we write: whatever the text is.
    fn harmless(markup: &str) -> Result<(), String> {
        const TAGS: [&str; 14] = ["p", "strong", "em", "code", "pre", "blockquote", "ol", "ul", "li", "hr", "br", "a", "bdi", "span"];
        for part in markup.split('<').skip(1) {
            let Some((tag, _)) = part.split_once('>') else { return Err(format!("open: {part}")) };
            let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
            let rest = tag.trim_start_matches('/').strip_prefix(name).unwrap_or_default();
            let ours = match name {
                "a" => {
                    tag == "/a"
                        || ["http://", "https://", "mailto:"]
                            .iter()
                            .any(|scheme| rest.to_lowercase().starts_with(&format!(" href=\"{scheme}")))
                            && rest.ends_with("\" rel=\"noopener noreferrer nofollow\"")
                            && rest.matches('"').count() == 4
                }
                "ol" => rest.is_empty() || rest.strip_prefix(" start=\"").is_some_and(|n| n.trim_end_matches('"').parse::<u64>().is_ok()),
                "span" => rest.is_empty() || rest == " class=\"soft\"" || rest.starts_with(" class=\"ctl\" title=\""),
                name => TAGS.contains(&name) && rest.is_empty(),
            };
            if !ours {
                return Err(tag.to_owned());
            }
        }
        Ok(())
    }

    #[test]
    fn the_judge_of_markup_can_fail() {
        for bad in ["<script>", "<a href=\"javascript:x\" rel=\"noopener noreferrer nofollow\">", "<p onclick=\"x\">", "<b"] {
            assert!(harmless(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

        #[test]
        fn no_text_becomes_active(parts in proptest::collection::vec(prop_oneof![
            proptest::sample::select(vec![
                "<script>", "</script>", "<img src=x onerror=", "[", "](", ")", "![", "javascript:alert(1)", "https://a.example/", "mailto:",
                "\"", "'", "<", ">", "&", "&lt;", "`", "```\n", "\n", "\n\n", "> ", "- ", "1. ", "# ", "**", "*", "_", "<!--", "-->", "<a href=",
                "<https://x", "[x]: javascript:y\n", "[x]", "\\", "    ", "\u{0}", "\u{202e}", "style=", "onload=", "<svg/", "data:text/html,", "JaVaScRiPt:",
            ]).prop_map(str::to_owned),
            ".{0,6}",
        ], 0..40)) {
            let text = parts.concat();
            let out = markup(&text);
            prop_assert_eq!(harmless(out.as_str()), Ok(()), "{} -> {}", text, out);
        }
    }

    #[test]
    fn no_depth_and_no_length_brings_it_down() {
        for text in
            ["> ".repeat(5_000), "- ".repeat(5_000), "*".repeat(10_000), "[".repeat(10_000), "`".repeat(10_000), "<a ".repeat(3_000)]
        {
            let out = markup(&text);
            assert_eq!(harmless(out.as_str()), Ok(()));
            assert!(out.as_str().len() < 400_000);
        }
    }
}
