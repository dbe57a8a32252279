//! Faults that a library before the C library makes: failing fsync (libfiu) and a clock of our own (libfaketime). Both
//! are switched while the server runs.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use ingest::time::Timestamp;

use crate::program::{Server, Setup, required};

/// Where a library stands, or why the test is skipped.
fn library(name: &str, package: &str) -> Option<PathBuf> {
    let folders = ["/usr/lib/fiu", "/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib64/faketime"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    if found.is_none() {
        assert!(!required(), "{name} is required here, but it is in none of {folders:?}: install {package}");
        eprintln!("skipped: {name} is not there (package {package})");
    }
    found
}

/// Failing system calls, by libfiu.
pub(crate) struct Faults {
    control: PathBuf,
}

impl Faults {
    /// The faults, and the setup that a server needs for them; `None`, said aloud, without libfiu.
    pub(crate) fn new(dir: &Path) -> Option<(Self, Setup)> {
        let [run, posix] = ["fiu_run_preload.so", "fiu_posix_preload.so"].map(|name| library(name, "fiu-utils"));
        let control = dir.join("fiu");
        let env =
            vec![("LD_PRELOAD", format!("{} {}", run?.display(), posix?.display())), ("FIU_CTRL_FIFO", control.display().to_string())];
        Some((Self { control }, Setup { env, ..Setup::default() }))
    }

    /// Says something to the library inside a server, in the words of `fiu-ctrl -c`.
    pub(crate) fn tell(&self, server: &Server, command: &str) {
        let pipe = |end: &str| format!("{}-{}.{end}", self.control.display(), server.pid());
        let mut to = std::fs::File::options().write(true).open(pipe("in")).unwrap();
        to.write_all(format!("{command}\n").as_bytes()).unwrap();
        drop(to);
        let mut answer = String::new();
        std::fs::File::open(pipe("out")).unwrap().read_to_string(&mut answer).unwrap();
        assert_eq!(answer.trim(), "0", "{command}");
    }
}

/// A clock that can be set, by libfaketime.
pub(crate) struct WrongClock {
    file: PathBuf,
}

impl WrongClock {
    /// The clock, and the setup that a server needs for it; `None`, said aloud, without libfaketime.
    pub(crate) fn new(dir: &Path) -> Option<(Self, Setup)> {
        // The variant for threads; both keep the monotonic clock as it is, as a set clock does.
        let library = library("libfaketimeMT.so.1", "libfaketime")?;
        let clock = Self { file: dir.join("clock") };
        clock.ahead(0);
        let env = vec![
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", clock.file.display().to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
        ];
        Some((clock, Setup { env, ..Setup::default() }))
    }

    /// Sets it so far before (or, negative, behind) the right time.
    pub(crate) fn ahead(&self, millis: i64) {
        let fresh = self.file.with_extension("new");
        std::fs::write(&fresh, format!("{:+}\n", millis / Timestamp::SECOND)).unwrap();
        std::fs::rename(fresh, &self.file).unwrap();
    }
}
