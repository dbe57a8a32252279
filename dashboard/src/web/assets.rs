//! Stylesheet, scripts and icon, embedded and served below a folder whose name is a hash of them all: browsers may keep
//! them for ever and still get new ones at once, and the modules import each other by their plain names.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::session::hex;

/// The stylesheet's parts, in the order in which they override each other: `modes` comes last.
const STYLES: &[&str] = &[
    include_str!("../../assets/css/tokens.css"),
    include_str!("../../assets/css/base.css"),
    include_str!("../../assets/css/frame.css"),
    include_str!("../../assets/css/layout.css"),
    include_str!("../../assets/css/controls.css"),
    include_str!("../../assets/css/forms.css"),
    include_str!("../../assets/css/feedback.css"),
    include_str!("../../assets/css/badges.css"),
    include_str!("../../assets/css/table.css"),
    include_str!("../../assets/css/lists.css"),
    include_str!("../../assets/css/overlay.css"),
    include_str!("../../assets/css/menu.css"),
    include_str!("../../assets/css/grid.css"),
    include_str!("../../assets/css/search.css"),
    include_str!("../../assets/css/chart.css"),
    include_str!("../../assets/css/door.css"),
    include_str!("../../assets/css/gallery.css"),
    include_str!("../../assets/css/account.css"),
    include_str!("../../assets/css/rules.css"),
    include_str!("../../assets/css/room.css"),
    include_str!("../../assets/css/modes.css"),
];

/// The modules by name; `app.js` is the one that pages load, and it imports what the page needs.
const MODULES: &[(&str, &str)] = &[
    ("app.js", include_str!("../../assets/js/app.js")),
    ("words.js", include_str!("../../assets/js/words.js")),
    ("times.js", include_str!("../../assets/js/times.js")),
    ("keys.js", include_str!("../../assets/js/keys.js")),
    ("dialog.js", include_str!("../../assets/js/dialog.js")),
    ("toast.js", include_str!("../../assets/js/toast.js")),
    ("fragment.js", include_str!("../../assets/js/fragment.js")),
    ("forms.js", include_str!("../../assets/js/forms.js")),
    ("tabs.js", include_str!("../../assets/js/tabs.js")),
    ("live.js", include_str!("../../assets/js/live.js")),
    ("tail.js", include_str!("../../assets/js/tail.js")),
    ("menu.js", include_str!("../../assets/js/menu.js")),
    ("grid.js", include_str!("../../assets/js/grid.js")),
    ("search.js", include_str!("../../assets/js/search.js")),
    ("triage.js", include_str!("../../assets/js/triage.js")),
    ("brush.js", include_str!("../../assets/js/brush.js")),
    ("passkey.js", include_str!("../../assets/js/passkey.js")),
];

const ICON: &str = include_str!("../../assets/wartburg.svg");

struct Asset {
    name: &'static str,
    mime: &'static str,
    content: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let modules = MODULES.iter().map(|(name, content)| Asset { name, mime: "text/javascript; charset=utf-8", content: lean(content) });
    [
        Asset { name: "wartburg.css", mime: "text/css; charset=utf-8", content: squeezed(&STYLES.concat()) },
        Asset { name: "wartburg.svg", mime: "image/svg+xml", content: ICON.into() },
    ]
    .into_iter()
    .chain(modules)
    .collect()
});

/// A stylesheet as it is sent: without comments, and with each run of blanks as one. Strings stay as they are, and no
/// blank that could mean something goes.
fn squeezed(css: &str) -> String {
    let mut out = String::with_capacity(css.len());
    let mut rest = css;
    while let Some(ch) = rest.chars().next() {
        let taken = if rest.starts_with("/*") {
            // A comment separates what stands around it, as a blank does.
            blank(&mut out);
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if ch == '"' || ch == '\'' {
            let string = string_len(rest, ch);
            out.push_str(rest.get(..string).unwrap_or(rest));
            string
        } else if ch.is_ascii_whitespace() {
            blank(&mut out);
            ch.len_utf8()
        } else {
            // Blanks before these never mean anything, nor behind them (see `blank`).
            if matches!(ch, '{' | '}' | ';') && out.ends_with(' ') {
                out.pop();
            }
            out.push(ch);
            ch.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

fn blank(out: &mut String) {
    if !out.is_empty() && !out.ends_with([' ', '{', '}', ';']) {
        out.push(' ');
    }
}

/// The length of the string that `text` begins with, quotes included; without an end it is all the rest.
fn string_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, ch)| {
        let ends = *ch == quote && !escaped;
        escaped = *ch == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + quote.len_utf8())
}

/// A module without indentation and without lines that are only a comment: the sources are written to be read, and what is sent is
/// still what stands in them, line by line. `/*` must not open a comment behind which something else stands in its line.
fn lean(source: &str) -> String {
    let (mut out, mut inside) = (String::with_capacity(source.len()), false);
    for line in source.lines().map(str::trim) {
        let opens = line.starts_with("/*");
        inside |= opens;
        let comment = inside || line.is_empty() || line.starts_with("//");
        inside &= !line.ends_with("*/");
        if !comment {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// Changes with any byte of any asset.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut sha = Sha256::new();
    for asset in ASSETS.iter() {
        sha.update(asset.name);
        sha.update((asset.content.len() as u64).to_be_bytes());
        sha.update(&asset.content);
    }
    hex(&sha.finalize()).chars().take(12).collect()
});

static URLS: LazyLock<[String; 3]> =
    LazyLock::new(|| ["wartburg.css", "app.js", "wartburg.svg"].map(|name| format!("/assets/{}/{name}", *VERSION)));

pub(crate) fn css() -> &'static str {
    let [css, ..] = &*URLS;
    css
}

pub(crate) fn js() -> &'static str {
    let [_, js, _] = &*URLS;
    js
}

pub(crate) fn icon() -> &'static str {
    let [.., icon] = &*URLS;
    icon
}

pub(super) async fn serve(Path((version, name)): Path<(String, String)>) -> Response {
    let found = ASSETS.iter().find(|asset| version == *VERSION && asset.name == name);
    let Some(asset) = found else {
        return super::plain(StatusCode::NOT_FOUND, "Diese Datei gibt es nicht.");
    };
    let mut response = Response::new(Body::from(asset.content.as_str()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.mime));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_view_stays_light() {
        const MAX: usize = 60 * 1024;
        let bytes = |wanted: &dyn Fn(&Asset) -> bool| ASSETS.iter().filter(|one| wanted(one)).map(|one| one.content.len()).sum::<usize>();
        assert!(bytes(&|one| one.mime.starts_with("text/css")) <= MAX);
        // Pages of one kind have these, and not what stands beside them; everything else may meet on one page.
        const ALONE: [(&str, &[&str]); 4] = [
            ("passkey.js", &["grid.js", "brush.js"]),
            ("tail.js", &["grid.js", "brush.js"]),
            ("triage.js", &["grid.js", "brush.js"]),
            ("search.js", &["tabs.js", "live.js"]),
        ];
        let script = |one: &Asset| one.mime.starts_with("text/javascript");
        let alone = |one: &Asset| ALONE.iter().any(|(name, _)| *name == one.name);
        assert!(bytes(&|one| script(one) && !alone(one)) <= MAX);
        for (name, never) in ALONE {
            let sum = bytes(&|one| script(one) && !never.contains(&one.name) && (one.name == name || !alone(one)));
            assert!(sum <= MAX, "{name}: {sum}");
        }
    }

    #[test]
    fn squeezing_keeps_the_meaning() {
        for (css, expected) in [
            ("a {\n  color: red;\n}\n", "a{color: red;}"),
            ("/* one; } */ a  b ,\n c > d{}", "a b , c > d{}"),
            ("a/**/b :hover { }", "a b :hover{}"),
            ("x { content: \"/* ;  } \\\" { \"; }", "x{content: \"/* ;  } \\\" { \";}"),
            ("x { content: '  '; width: calc(1px + 2px) }", "x{content: '  ';width: calc(1px + 2px)}"),
            ("open /* comment", "open "),
            ("open \"string", "open \"string"),
            ("ü { content: \"→\" }", "ü{content: \"→\"}"),
        ] {
            assert_eq!(squeezed(css), expected, "{css}");
        }
        let all = STYLES.concat();
        assert_eq!(squeezed(&squeezed(&all)), squeezed(&all));
        assert_eq!(all.matches('{').count(), squeezed(&all).matches('{').count(), "no brace stands in a comment or string of ours");
    }

    #[test]
    fn what_is_sent_is_what_was_written_without_its_comments() {
        let source = "// a\nlet x = 1; // b\n\n  /**\n   * c\n   */\n  /* d */\n  f(\"/*\");\n";
        assert_eq!(lean(source), "let x = 1; // b\nf(\"/*\");\n");
        for (name, content) in MODULES {
            for line in content.lines() {
                // Inside of one, indentation would be text.
                assert!(line.matches('`').count() % 2 == 0, "{name}: a template of several lines: {line}");
            }
        }
        for (_, content) in MODULES {
            let behind = content.lines().map(str::trim).find(|line| line.starts_with("/*") && line.contains("*/") && !line.ends_with("*/"));
            assert_eq!(behind, None, "something stands behind a comment");
        }
    }

    #[test]
    fn modules_hold_no_inline_code_and_say_everything_in_both_languages() {
        let (_, words) = MODULES.iter().find(|(name, _)| *name == "words.js").unwrap();
        let said = regex::Regex::new(r#"\bt\(\s*"([^"]+)"|text: "([^"]+)", group: "([^"]+)""#).unwrap();
        for (name, content) in MODULES {
            for banned in ["eval(", "new Function", "innerHTML =", "insertAdjacentHTML", "document.write", "setAttribute(\"style\""] {
                assert!(!content.contains(banned), "{name} has {banned}");
            }
            for found in
                said.captures_iter(content).flat_map(|found| found.iter().skip(1).flatten().map(|one| one.as_str()).collect::<Vec<_>>())
            {
                assert!(words.contains(&format!("\"{found}\":")), "{name}: no English for {found}");
            }
        }
    }

    #[test]
    fn modules_import_only_what_is_there() {
        let import = regex::Regex::new(r#"(?m)(?:from|import|import\()\s*"([^"]+)""#).unwrap();
        for (name, content) in MODULES {
            for found in import.captures_iter(content) {
                let known = found[1].strip_prefix("./").is_some_and(|file| MODULES.iter().any(|(other, _)| *other == file));
                assert!(known, "{name} imports {}", &found[1]);
            }
        }
    }
}
