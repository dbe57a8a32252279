//! Writes the lists of the shipped rules (`rules/<logsource>/<name>/rule.yml`) with the pipelines (`rules/pipelines/<name>.yml`)
//! and of the playbooks (`rules/playbooks/<name>.yml`) and reporting duties (`rules/duties/<name>.yml`) as Rust, so that the binary holds them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../rules");
    println!("cargo::rerun-if-changed={}", root.display());
    let pipelines = entries(&root.join("pipelines"))?;
    let mut rules: Vec<(String, PathBuf)> = pipelines.into_iter().map(|path| (format!("rules/pipelines/{}", name(&path)), path)).collect();
    for logsource in entries(&root)? {
        for rule in entries(&logsource)? {
            let file = rule.join("rule.yml");
            if file.is_file() {
                rules.push((format!("rules/{}/{}/rule.yml", name(&logsource), name(&rule)), file));
            }
        }
    }
    write("shipped.rs", "/// The shipped rules: file name and text.\npub(crate) const SHIPPED", rules)?;
    write("playbooks.rs", "/// The shipped playbooks: file name and text.\nconst EMBEDDED", yaml_files(&root.join("playbooks"))?)?;
    write("duties.rs", "/// The shipped duties: file name and text.\nconst EMBEDDED", yaml_files(&root.join("duties"))?)
}

fn yaml_files(folder: &Path) -> std::io::Result<Vec<(String, PathBuf)>> {
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yml");
    Ok(entries(folder)?.into_iter().filter(is_yaml).map(|path| (name(&path), path)).collect())
}

fn write(file: &str, head: &str, texts: Vec<(String, PathBuf)>) -> std::io::Result<()> {
    let mut code = format!("{head}: &[(&str, &str)] = &[\n");
    for (shown, path) in texts {
        let _ = writeln!(code, "    ({shown:?}, include_str!({:?})),", path.canonicalize()?.display().to_string());
    }
    code.push_str("];\n");
    std::fs::write(PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join(file), code)
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What lies in a folder, sorted; nothing where it is a file.
fn entries(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            found.push(entry?.path());
        }
    }
    found.sort();
    Ok(found)
}
