//! Rule files on disk: which ones there are below some folders, and their texts.

use std::path::{Path, PathBuf};

use super::RuleError;
use super::yaml::FILE_BYTES_MAX;

/// Rule files read from all folders together.
const FILES_MAX: usize = 20_000;
/// Folders below a given one; `rules/<logsource>/<name>` is two.
const FOLDERS_DEPTH_MAX: usize = 12;

/// The rule files below the folders, and what could not be read.
pub(crate) fn texts_of(dirs: &[PathBuf]) -> (Vec<(String, String)>, Vec<RuleError>) {
    let (mut files, mut errors) = (Vec::new(), Vec::new());
    dirs.iter().for_each(|dir| collect(dir, 0, &mut files, &mut errors));
    let mut texts = Vec::new();
    for path in files {
        match read(&path) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(message) => errors.push(RuleError { file: path.display().to_string(), line: 1, rule: None, message }),
        }
    }
    (texts, errors)
}

/// What tells that a file has changed: its path, length and modification time in nanoseconds.
pub(crate) type Stamp = (PathBuf, u64, u128);

/// The stamps of all rule files below the folders; what cannot be read has none.
pub(crate) fn stamps_of(dirs: &[PathBuf]) -> Vec<Stamp> {
    let (mut files, mut unread) = (Vec::new(), Vec::new());
    dirs.iter().for_each(|dir| collect(dir, 0, &mut files, &mut unread));
    let stamp = |path: PathBuf| {
        let about = std::fs::metadata(&path).ok()?;
        let modified = about.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        Some((path, about.len(), modified.as_nanos()))
    };
    files.into_iter().filter_map(stamp).collect()
}

/// Folders of these names hold playbooks and duties to report, not rules.
const NO_RULES: [&str; 2] = ["playbooks", "duties"];

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>, errors: &mut Vec<RuleError>) {
    let mut error = |message: String| errors.push(RuleError { file: path.display().to_string(), line: 1, rule: None, message });
    if path.is_file() {
        return files.push(path.to_owned());
    }
    let listed =
        std::fs::read_dir(path).and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>());
    let mut inside = match listed {
        Ok(inside) => inside,
        Err(source) => return error(format!("cannot read the folder: {source}")),
    };
    inside.sort_unstable();
    for child in inside {
        let is_rule = child.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if child.is_dir() && child.file_name().is_some_and(|name| NO_RULES.iter().any(|other| name == *other)) {
            // What to do when a rule fires stands beside the rules and is read by `playbook`, whom to tell by `duty`.
            continue;
        }
        if child.is_dir() && !child.is_symlink() {
            match depth < FOLDERS_DEPTH_MAX {
                true => collect(&child, depth + 1, files, errors),
                false => errors.push(RuleError {
                    file: child.display().to_string(),
                    line: 1,
                    rule: None,
                    message: "the folder is nested too deep".into(),
                }),
            }
        } else if is_rule && files.len() >= FILES_MAX {
            errors.push(RuleError {
                file: child.display().to_string(),
                line: 1,
                rule: None,
                message: format!("there are more than {FILES_MAX} rule files"),
            });
            return;
        } else if is_rule {
            files.push(child);
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let length = std::fs::metadata(path).map_err(|error| format!("cannot read the file: {error}"))?.len();
    if length > FILE_BYTES_MAX as u64 {
        return Err(format!("the file has {length} bytes, a rule file may have {FILE_BYTES_MAX}"));
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot read the file: {error}"))
}

/// The name a file's rules have where they give themselves none: the folder of a `rule.yml`, else the file's own.
pub(crate) fn name_of(file: &str) -> String {
    let path = Path::new(file);
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).map(|folder| folder.to_string_lossy().into_owned());
    if stem == "rule" { folder.unwrap_or(stem) } else { stem }
}
