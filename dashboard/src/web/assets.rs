//! Stylesheet, scripts and icon, embedded and served below a folder whose name is a hash of them all: browsers may keep
//! them for ever and still get new ones at once, and the modules import each other by their plain names.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::session::hex;

/// The stylesheet's parts, in the order in which they override each other.
const STYLES: &[&str] = &[include_str!("../../assets/wartburg.css"), include_str!("../../assets/css/room.css")];

/// The modules by name; `app.js` is the one that pages load, and it imports what the page needs.
const MODULES: &[(&str, &str)] = &[("app.js", include_str!("../../assets/app.js"))];

const ICON: &str = include_str!("../../assets/wartburg.svg");

struct Asset {
    name: &'static str,
    mime: &'static str,
    content: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let modules = MODULES.iter().map(|(name, content)| Asset { name, mime: "text/javascript; charset=utf-8", content: (*content).into() });
    [
        Asset { name: "wartburg.css", mime: "text/css; charset=utf-8", content: STYLES.concat() },
        Asset { name: "wartburg.svg", mime: "image/svg+xml", content: ICON.into() },
    ]
    .into_iter()
    .chain(modules)
    .collect()
});

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
