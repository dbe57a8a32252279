//! Stylesheet, script and icon, embedded and served under a name with a hash of their content, so that browsers may
//! keep them for ever and still get a new one at once.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use crate::session::hex;

struct Asset {
    url: String,
    mime: &'static str,
    content: &'static [u8],
}

fn asset(stem: &str, extension: &str, mime: &'static str, content: &'static [u8]) -> Asset {
    let hash: String = hex(&Sha256::digest(content)).chars().take(12).collect();
    Asset { url: format!("/assets/{stem}-{hash}.{extension}"), mime, content }
}

static CSS: LazyLock<Asset> =
    LazyLock::new(|| asset("wartburg", "css", "text/css; charset=utf-8", include_bytes!("../../assets/wartburg.css")));
static JS: LazyLock<Asset> = LazyLock::new(|| asset("app", "js", "text/javascript; charset=utf-8", include_bytes!("../../assets/app.js")));
static ICON: LazyLock<Asset> = LazyLock::new(|| asset("wartburg", "svg", "image/svg+xml", include_bytes!("../../assets/wartburg.svg")));

pub(crate) fn css() -> &'static str {
    &CSS.url
}

pub(crate) fn js() -> &'static str {
    &JS.url
}

pub(crate) fn icon() -> &'static str {
    &ICON.url
}

pub(super) async fn serve(Path(file): Path<String>) -> Response {
    let found = [&*CSS, &*JS, &*ICON].into_iter().find(|asset| asset.url.strip_prefix("/assets/") == Some(&file));
    let Some(asset) = found else {
        return super::plain(StatusCode::NOT_FOUND, "Diese Datei gibt es nicht.");
    };
    let mut response = Response::new(Body::from(asset.content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.mime));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_view_stays_light() {
        assert!(CSS.content.len() <= 60 * 1024 && JS.content.len() <= 60 * 1024);
        assert!(css().starts_with("/assets/wartburg-") && css().ends_with(".css"));
    }
}
