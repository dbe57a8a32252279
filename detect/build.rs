//! Writes the list of the shipped rules (`rules/<logsource>/<name>/rule.yml`) and pipelines (`rules/pipelines`) as Rust, so that the binary holds them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../rules");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut code = String::from("/// The shipped rules: file name and text.\npub(crate) const SHIPPED: &[(&str, &str)] = &[\n");
    let pipelines = root.join("pipelines");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&pipelines)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    for file in files {
        let shown = format!("rules/pipelines/{}", file.file_name().unwrap_or_default().to_string_lossy());
        let _ = writeln!(code, "    ({shown:?}, include_str!({:?})),", file.canonicalize()?.display().to_string());
    }
    for logsource in folders(&root)? {
        for rule in folders(&logsource)? {
            let file = rule.join("rule.yml");
            let (Some(source), Some(name)) = (logsource.file_name(), rule.file_name()) else { continue };
            if file.is_file() {
                let shown = format!("rules/{}/{}/rule.yml", source.to_string_lossy(), name.to_string_lossy());
                let _ = writeln!(code, "    ({shown:?}, include_str!({:?})),", file.canonicalize()?.display().to_string());
            }
        }
    }
    code.push_str("];\n");
    std::fs::write(PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()).join("shipped.rs"), code)
}

fn folders(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
