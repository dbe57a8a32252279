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
    include_str!("../../assets/css/chart.css"),
    include_str!("../../assets/css/door.css"),
    include_str!("../../assets/css/gallery.css"),
    include_str!("../../assets/css/account.css"),
    include_str!("../../assets/css/room.css"),
    include_str!("../../assets/css/modes.css"),
];

/// The modules by name; `app.js` is the one that pages load, and it imports what the page needs.
const MODULES: &[(&str, &str)] = &[
    ("app.js", include_str!("../../assets/app.js")),
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
    let modules = MODULES.iter().map(|(name, content)| Asset { name, mime: "text/javascript; charset=utf-8", content: (*content).into() });
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
        let bytes = |mime: &str| ASSETS.iter().filter(|asset| asset.mime.starts_with(mime)).map(|asset| asset.content.len()).sum::<usize>();
        assert!(bytes("text/css") <= 60 * 1024 && bytes("text/javascript") <= 60 * 1024);
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
