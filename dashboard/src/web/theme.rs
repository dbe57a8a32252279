//! The operator's copy of the original KERN theme, served beside our stylesheet. Its files are read once at the start and
//! served from memory by their names, so no request ever becomes a path. It is linked through a small stylesheet of ours
//! that puts KERN into a cascade layer: its tokens count, its rules for elements never beat a component's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::{App, plain};
use crate::session::hex;

/// A theme as it was when the server started.
#[derive(Clone, Debug)]
pub struct Theme {
    files: Arc<BTreeMap<String, File>>,
    /// Names the folder that browsers may keep for ever; changes with any byte of any file.
    version: String,
}

#[derive(Clone)]
struct File {
    mime: &'static str,
    content: Bytes,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} bytes)", self.mime, self.content.len())
    }
}

/// Why a theme is not served.
#[derive(Debug, thiserror::Error)]
pub enum ThemeError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error("{} ist größer als {FILE_BYTES_MAX} Bytes", .0.display())]
    FileTooBig(PathBuf),
    #[error("mehr als {FILES_MAX} Dateien oder {TOTAL_BYTES_MAX} Bytes; nennen Sie den Ordner dist des Pakets @kern-ux/native")]
    TooMuch,
    #[error("darin liegt weder kern.min.css noch kern.css noch wartburg.css; nennen Sie den Ordner dist des Pakets @kern-ux/native")]
    NoStylesheet,
}

/// KERN 2.7 has 50 style and font files of 6 MB in all, the largest 400 KB; it may double.
const FILES_MAX: usize = 128;
const FILE_BYTES_MAX: u64 = 1 << 20;
const TOTAL_BYTES_MAX: usize = 12 << 20;
/// `fonts/fira-sans/FiraSans-Bold.woff2` is the deepest.
const DEPTH_MAX: usize = 3;

/// What is served, and as what; every other file is left alone.
const TYPES: &[(&str, &str)] = &[("css", "text/css; charset=utf-8"), ("woff2", "font/woff2"), ("woff", "font/woff")];

/// The stylesheet that pages link.
const ENTRY: &str = "theme.css";

impl Theme {
    /// Reads a theme's folder.
    ///
    /// # Errors
    /// A folder that cannot be read, that holds too much, or nothing to link.
    pub fn read(dir: &Path) -> Result<Self, ThemeError> {
        let mut files = BTreeMap::new();
        let mut total = 0;
        read_into(dir, "", DEPTH_MAX, &mut files, &mut total)?;
        // A file of that name would stand in the way of ours.
        files.remove(ENTRY);
        let entry = entry(&files).ok_or(ThemeError::NoStylesheet)?;
        files.insert(ENTRY.to_owned(), File { mime: "text/css; charset=utf-8", content: entry.into() });
        let mut sha = Sha256::new();
        for (name, file) in &files {
            sha.update((name.len() as u64).to_be_bytes());
            sha.update(name);
            sha.update((file.content.len() as u64).to_be_bytes());
            sha.update(&file.content);
        }
        let version = hex(&sha.finalize()).chars().take(12).collect();
        Ok(Self { files: Arc::new(files), version })
    }

    /// Where pages find it.
    pub(super) fn url(&self) -> String {
        format!("/theme/{}/{ENTRY}", self.version)
    }
}

fn read_into(dir: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, File>, total: &mut usize) -> Result<(), ThemeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| ThemeError::Io { path, error }
    };
    for (seen, entry) in std::fs::read_dir(dir).map_err(failed(dir))?.enumerate() {
        // A folder with thousands of other files is not a theme's.
        if seen >= FILES_MAX {
            return Err(ThemeError::TooMuch);
        }
        let entry = entry.map_err(failed(dir))?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().filter(|name| plain_name(name)).map(str::to_owned) else {
            continue;
        };
        // Of the entry itself: what a link leads to is not part of the folder.
        let kind = entry.file_type().map_err(failed(&path))?;
        if kind.is_dir() && depth > 1 {
            read_into(&path, &format!("{prefix}{name}/"), depth - 1, files, total)?;
        }
        let mime = TYPES.iter().find(|(ending, _)| name.rsplit_once('.').is_some_and(|(_, is)| is == *ending)).map(|(_, mime)| *mime);
        let (true, Some(mime)) = (kind.is_file(), mime) else { continue };
        if entry.metadata().map_err(failed(&path))?.len() > FILE_BYTES_MAX {
            return Err(ThemeError::FileTooBig(path));
        }
        let content = std::fs::read(&path).map_err(failed(&path))?;
        *total += content.len();
        files.insert(format!("{prefix}{name}"), File { mime, content: content.into() });
        if files.len() > FILES_MAX || *total > TOTAL_BYTES_MAX {
            return Err(ThemeError::TooMuch);
        }
    }
    Ok(())
}

/// Letters, digits, dash, underscore and dots that lead nowhere.
fn plain_name(name: &str) -> bool {
    !name.starts_with('.') && name.chars().all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-' | '_'))
}

/// Our stylesheet around theirs; `None` where there is nothing to link.
fn entry(files: &BTreeMap<String, File>) -> Option<String> {
    let kern = ["kern.min.css", "kern.css"].into_iter().find(|name| files.contains_key(*name));
    let own = files.contains_key("wartburg.css").then_some("wartburg.css");
    kern.or(own)?;
    let mut out = String::new();
    let fonts = files.keys().map(String::as_str).filter(|name| name.starts_with("fonts/") && name.ends_with(".css"));
    for name in kern.into_iter().chain(fonts) {
        out.push_str(&format!("@import url(\"{name}\") layer(kern);\n"));
    }
    // The house's own file comes last and may set everything.
    if let Some(name) = own {
        out.push_str(&format!("@import url(\"{name}\");\n"));
    }
    // KERN names the font of every element; with us it is inherited, so that what is set in mono stays so.
    out.push_str("* {\n  font-family: inherit;\n}\n");
    Some(out)
}

pub(super) async fn serve(State(app): State<App>, axum::extract::Path((version, name)): axum::extract::Path<(String, String)>) -> Response {
    let theme = app.settings.theme.as_ref().filter(|theme| theme.version == version);
    let Some(file) = theme.and_then(|theme| theme.files.get(&name)) else {
        return plain(StatusCode::NOT_FOUND, "Diese Datei gibt es nicht.");
    };
    let mut response = Response::new(Body::from(file.content.clone()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(file.mime));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Settings;
    use crate::web::tests::Front;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        dir
    }

    #[tokio::test]
    async fn a_theme_is_linked_and_served_and_nothing_beside_it() {
        let dir = folder(&[
            ("kern.css", ":root{}"),
            ("kern.min.css", ":root{--kern-x:1}"),
            ("fonts/fira-sans.css", "@font-face{}"),
            ("fonts/fira-sans/FiraSans-Bold.woff2", "font"),
            ("js/kern.js", "alert(1)"),
            (".geheim.css", "x"),
            ("a b.css", "x"),
            ("theme.css", "theirs"),
        ]);
        let outside = folder(&[("kennwort.css", "geheim")]);
        std::os::unix::fs::symlink(outside.path().join("kennwort.css"), dir.path().join("link.css")).unwrap();
        let theme = Theme::read(dir.path()).unwrap();
        let base = theme.url().trim_end_matches(ENTRY).to_owned();
        let front = Front::with(Settings { theme: Some(theme), ..Settings::default() });
        let page = front.get("/login", "").await.text;
        let (ours, theirs) = (page.find("/assets/").unwrap(), page.find(&base).unwrap());
        assert!(ours < theirs, "the theme stands behind our stylesheet");
        let mut table = String::new();
        for name in [
            "theme.css",
            "kern.min.css",
            "fonts/fira-sans/FiraSans-Bold.woff2",
            "js/kern.js",
            ".geheim.css",
            "a%20b.css",
            "link.css",
            "../kern.css",
            "..%2f..%2fetc%2fpasswd",
            "fonts/../kern.css",
            "fonts//fira-sans.css",
        ] {
            let answer = front.get(&format!("{base}{name}"), "").await;
            assert_eq!(answer.header("content-security-policy"), crate::web::gate::CSP);
            table.push_str(&format!("{name}: {} {}\n", answer.status.as_u16(), answer.header("content-type")));
        }
        expect_test::expect![[r#"
            theme.css: 200 text/css; charset=utf-8
            kern.min.css: 200 text/css; charset=utf-8
            fonts/fira-sans/FiraSans-Bold.woff2: 200 font/woff2
            js/kern.js: 404 text/plain; charset=utf-8
            .geheim.css: 404 text/plain; charset=utf-8
            a%20b.css: 404 text/plain; charset=utf-8
            link.css: 404 text/plain; charset=utf-8
            ../kern.css: 404 text/plain; charset=utf-8
            ..%2f..%2fetc%2fpasswd: 404 text/plain; charset=utf-8
            fonts/../kern.css: 404 text/plain; charset=utf-8
            fonts//fira-sans.css: 404 text/plain; charset=utf-8
        "#]]
        .assert_eq(&table);
        let entry = front.get(&format!("{base}theme.css"), "").await.text;
        assert!(entry.starts_with("@import url(\"kern.min.css\") layer(kern);\n@import url(\"fonts/fira-sans.css\") layer(kern);\n*"));
        assert!(!Front::new().get("/login", "").await.text.contains("/theme/"));
    }

    #[test]
    fn what_is_no_theme_is_said_at_the_start() {
        assert!(matches!(Theme::read(Path::new("/gibt/es/nicht")), Err(ThemeError::Io { .. })));
        assert!(matches!(Theme::read(folder(&[("fonts/x.css", "")]).path()), Err(ThemeError::NoStylesheet)));
        assert!(Theme::read(folder(&[("wartburg.css", "")]).path()).is_ok());
        let big = "x".repeat(FILE_BYTES_MAX as usize + 1);
        assert!(matches!(Theme::read(folder(&[("kern.css", &big)]).path()), Err(ThemeError::FileTooBig(_))));
        let names: Vec<String> = (0..=FILES_MAX).map(|n| format!("{n}.css")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert!(matches!(Theme::read(folder(&many).path()), Err(ThemeError::TooMuch)));
    }
}
