//! The house rules that a machine can check. Each check is a function from text to complaints, so that its own test can
//! show it something wrong; what takes judgement is left to people.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The stages in the direction of the data, and which of them each may know.
const STAGES: [(&str, &[&str]); 4] =
    [("ingest", &[]), ("detect", &["ingest"]), ("advisory", &["detect", "ingest"]), ("dashboard", &["advisory", "detect", "ingest"])];

#[test]
fn every_file_says_what_it_is_for() {
    complain(
        &[],
        sources(),
        |_, text| {
            if text.starts_with("//! ") { Vec::new() } else { vec!["does not open with `//!` and its purpose".into()] }
        },
    );
}

#[test]
fn dependencies_go_with_the_data() {
    for (stage, may_know) in STAGES {
        let manifest = read(&root().join(stage).join("Cargo.toml"));
        assert_eq!(upstream_only(&manifest, may_know), Vec::<String>::new(), "{stage}/Cargo.toml");
    }
}

fn upstream_only(manifest: &str, may_know: &[&str]) -> Vec<String> {
    let known = dependencies(manifest);
    let stages = STAGES.iter().map(|(stage, _)| *stage);
    stages.filter(|stage| known.contains(*stage) && !may_know.contains(stage)).map(|stage| format!("knows {stage}")).collect()
}

/// The names on the left in all `[…dependencies]` tables.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let (mut inside, mut names) = (false, BTreeSet::new());
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            // [dependencies.name]
            names.extend(line.trim_matches(['[', ']']).split_once("dependencies.").map(|(_, name)| name.to_owned()));
        } else if inside && !line.starts_with('#') {
            names.extend(line.split_once(['.', '=', ' ']).map(|(name, _)| name.to_owned()));
        }
    }
    names.remove("");
    names
}

#[test]
fn no_folder_for_leftovers() {
    for folder in folders(&root()) {
        let name = file_name(&folder);
        assert!(!["common", "core", "utils", "util", "misc", "helpers"].contains(&name.as_str()), "{name}/ says nothing");
    }
}

#[test]
fn pages_keep_to_the_content_security_policy() {
    complain(&[], files(&["dashboard", "advisory"], &["html"]), |_, text| inline_in(text));
}

/// Scripts and styles inside a page, which our Content-Security-Policy refuses, and values that askama would not escape.
fn inline_in(page: &str) -> Vec<String> {
    // What stands in a template comment reaches no browser.
    let page = regex::Regex::new(r"(?s)\{#.*?#\}").unwrap().replace_all(page, "").into_owned();
    // A component's further attributes: `web::tests` sees that they are literals of our own templates.
    let page = page.replace("{{ attrs|safe }}", "");
    [
        (r"(?i)<style\b", "an inline style sheet"),
        (r#"(?i)<[^>]*\sstyle\s*="#, "a style attribute"),
        (r"(?i)<script\b[^>]*>", "an inline script"),
        (r#"(?i)<[^>]*\son[a-z]+\s*=\s*["']"#, "an event attribute"),
        (r"(?i)javascript:", "a script as an address"),
        (r"\|\s*safe\b", "an unescaped value"),
    ]
    .into_iter()
    .flat_map(|(pattern, what)| {
        let found: Vec<_> = regex::Regex::new(pattern).unwrap().find_iter(&page).map(|found| found.as_str().to_owned()).collect();
        let external = |tag: &String| tag.contains(" src=");
        found.into_iter().filter(move |tag| !external(tag) || what != "an inline script").map(move |tag| format!("{what}: {tag}"))
    })
    .collect()
}

#[test]
fn a_rule_never_travels_without_its_evidence() {
    let logsources = folders(&root().join("rules"));
    for rule in logsources.iter().flat_map(|logsource| folders(logsource)) {
        let names: Vec<String> = entries(&rule).iter().map(|path| file_name(path)).collect();
        assert_eq!(missing_evidence(&names), Vec::<&str>::new(), "{}", rule.display());
    }
}

fn missing_evidence(names: &[String]) -> Vec<&'static str> {
    let has = |needed: &str| names.iter().any(|name| name == needed || needed.ends_with('.') && name.starts_with(needed));
    ["rule.yml", "hit.", "miss."].into_iter().filter(|needed| !has(needed)).collect()
}

#[test]
fn each_dependency_is_justified() {
    let Ok(map) = std::fs::read_to_string(root().join("ARCHITECTURE.md")) else {
        eprintln!("skipped: there is no ARCHITECTURE.md yet");
        return;
    };
    assert_eq!(unjustified(&read(&root().join("Cargo.toml")), &map), Vec::<String>::new(), "not mentioned in ARCHITECTURE.md");
}

fn unjustified(manifest: &str, map: &str) -> Vec<String> {
    let ours: Vec<&str> = STAGES.iter().map(|(stage, _)| *stage).collect();
    let words: BTreeSet<&str> = map.split(|letter: char| !letter.is_alphanumeric() && !"-_".contains(letter)).collect();
    let table = manifest.split("\n[").find(|table| table.starts_with("workspace.dependencies]")).unwrap_or_default();
    let names = dependencies(&format!("[{table}"));
    names.into_iter().filter(|name| !ours.contains(&name.as_str()) && !words.contains(name.as_str())).collect()
}

#[test]
fn names_and_places_that_do_not_belong_here() {
    let code = sources().into_iter().chain(files(&["."], &["md", "toml", "yml", "html", "css", "js"]));
    // Anna lives in the samples of logs, on no machine of ours.
    complain(&["tests/it/tidy.rs"], code, |_, text| misplaced_in(&text.replace("/home/anna", "~")));
}

fn misplaced_in(text: &str) -> Vec<String> {
    let patterns = [
        (r"(?i)\b(fn|struct|enum|mod|trait|type|const|static|let|let mut)\s+\w*meldung\w*", "Meldung means three things: say which"),
        (r"(?:^|[\s\x22'`(])/(work|root|home)/", "a path of one machine"),
        (r"#\[ignore\]", "a test ignored without a reason"),
    ];
    let complaints = patterns.into_iter().flat_map(|(pattern, what)| {
        let found: Vec<_> = regex::Regex::new(pattern).unwrap().find_iter(text).map(|found| found.as_str().trim().to_owned()).collect();
        found.into_iter().map(move |found| format!("{what}: {found}"))
    });
    complaints.collect()
}

#[test]
fn these_checks_can_fail() {
    assert_eq!(upstream_only("[dependencies]\ningest.workspace = true\nadvisory.workspace = true\n", &["ingest"]), ["knows advisory"]);
    assert_eq!(upstream_only("[dev-dependencies]\ndashboard = { path = \"..\" }\n", &["ingest"]), ["knows dashboard"]);
    assert_eq!(upstream_only("[dependencies.detect]\npath = \"..\"\n", &[]), ["knows detect"]);
    for wrong in [
        "<p style=\"color: red\">",
        "<STYLE>p {}</STYLE>",
        "<script>alert(1)</script>",
        "<a onclick='go()'>",
        "<a href=\"javascript:go()\">",
        "<p>{{ line|safe }}</p>",
    ] {
        assert_eq!(inline_in(wrong).len(), 1, "{wrong}");
    }
    assert_eq!(
        inline_in("<link rel=stylesheet href=a.css><script type=\"module\" src=\"/a.js\"></script>{# <style> #}<p>{{ line }}"),
        [""; 0]
    );
    assert_eq!(missing_evidence(&["rule.yml".into(), "hit.ndjson".into()]), ["miss."]);
    assert_eq!(missing_evidence(&["rule.yml".into(), "hit.log".into(), "miss.1.log".into()]), [""; 0]);
    assert_eq!(
        unjustified("a = 1\n[workspace.dependencies]\nnom = \"8\"\nserde-saphyr = \"2\"\n[x]\ny = 1", "nom (parses)"),
        ["serde-saphyr"]
    );
    assert_eq!(misplaced_in("fn meldung_add() {} // see /root/x\n#[ignore]").len(), 3);
    assert_eq!(misplaced_in("a \"Meldung\", the Meldepflicht, #[ignore = \"slow\"], target/work/x"), [""; 0]);
}

/// Fails with all complaints about all files but the excepted.
fn complain(except: &[&str], files: impl IntoIterator<Item = PathBuf>, check: impl Fn(&Path, &str) -> Vec<String>) {
    let mut complaints = Vec::new();
    for path in files {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        if !except.contains(&name.as_str()) {
            complaints.extend(check(&path, &read(&path)).into_iter().map(|what| format!("{name}: {what}")));
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn sources() -> Vec<PathBuf> {
    let sources = files(&["ingest", "detect", "advisory", "dashboard", "tests", "benches"], &["rs"]);
    assert!(sources.len() > 20, "the sources are where they were");
    sources
}

/// All files below the folders with one of the extensions, but for what is built or fetched.
fn files(folders_below_root: &[&str], extensions: &[&str]) -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = folders_below_root.iter().map(|folder| root().join(folder)).filter(|folder| folder.is_dir()).collect();
    let mut files = BTreeSet::new();
    while let Some(folder) = open.pop() {
        for path in entries(&folder) {
            let name = file_name(&path);
            let is_ours = !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str());
            if path.is_dir() && is_ours {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
                files.insert(path);
            }
        }
    }
    files.into_iter().collect()
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.is_dir()).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
