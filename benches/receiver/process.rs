//! What a process used, as Linux counts it (proc(5)).

use anyhow::Context as _;

/// Linux gives user and system time in these, whatever the kernel's own tick is.
pub(crate) const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of all its threads, also of those that have ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // The name in brackets may hold blanks; utime and stime are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit_once(')').context("a process without a name")?.1.split_ascii_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("a process's times");
        Ok(Self { user: ticks(11)? / TICKS_PER_SECOND, system: ticks(12)? / TICKS_PER_SECOND })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }
}

/// The most memory it ever held, in MiB.
pub(crate) fn memory_peak_mib(pid: u32) -> anyhow::Result<f64> {
    status(pid, "VmHWM:").map(|kib| kib / 1024.0)
}

/// What it holds now, in MiB.
pub(crate) fn memory_mib(pid: u32) -> anyhow::Result<f64> {
    status(pid, "VmRSS:").map(|kib| kib / 1024.0)
}

fn status(pid: u32, row: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let value = status.lines().find_map(|line| line.strip_prefix(row)).and_then(|rest| rest.split_ascii_whitespace().next());
    value.and_then(|value| value.parse().ok()).with_context(|| format!("{row} in {path}"))
}
