//! How full the disk with the data is, measured once a second and shared by all who must act on it: the listeners shed
//! what is of low priority, the journal stops acknowledging before the stores have no room left to work off what it
//! holds. Measuring only: what each level means for somebody is his own decision.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the disk is asked. At 100 MB/s a second is a tenth of a percent of a TB; on small disks the write that finds
/// no room says so itself.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// A level is left only this far below its threshold, so that a disk on the edge does not change it every second.
const HYSTERESIS_PERMILLE: u64 = 10;
/// Whatever the thresholds say, the stores and the database keep this much for their own work; of a smaller disk 3 %.
const FLOOR_BYTES: u64 = 64 << 20;

/// What a full disk asks of the intake, from little to much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    #[default]
    Ok,
    /// Somebody should make room.
    Warn,
    /// Sources of low priority are dropped, and counted.
    Shed,
    /// Nothing is acknowledged any more.
    Stop,
}

impl Level {
    const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Shed, Self::Stop];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Shed => "shed",
            Self::Stop => "stop",
        }
    }
}

/// From which share of the disk on each level holds, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    pub warn_percent: u8,
    pub shed_percent: u8,
    pub stop_percent: u8,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { warn_percent: 85, shed_percent: 92, stop_percent: 97 }
    }
}

impl Thresholds {
    /// The level of a disk, coming from `before`.
    fn level(self, space: Space, before: Level) -> Level {
        let floor = FLOOR_BYTES.min(space.total / 100 * 3);
        let reached = |level: Level| {
            let percent = match level {
                Level::Ok => return true,
                Level::Warn => self.warn_percent,
                Level::Shed => self.shed_percent,
                Level::Stop => self.stop_percent,
            };
            let held = if before >= level { HYSTERESIS_PERMILLE } else { 0 };
            let floor_held = if before >= level { floor + space.total / 1_000 * HYSTERESIS_PERMILLE } else { floor };
            space.used_permille() >= (u64::from(percent) * 10).saturating_sub(held) || (level == Level::Stop && space.free < floor_held)
        };
        Level::ALL.into_iter().rev().find(|level| reached(*level)).unwrap_or_default()
    }
}

/// A disk's size and what of it this process may still use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    pub free: u64,
}

impl Space {
    /// Of the disk that holds `path`. What is kept for root counts neither as used nor as free, as `df` does it.
    ///
    /// # Errors
    /// The system's own.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let disk = nix::sys::statvfs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.fragment_size());
        let used = disk.blocks().saturating_sub(disk.blocks_free());
        let free = disk.blocks_available();
        Ok(Self { total: bytes(used + free), free: bytes(free) })
    }

    fn used_permille(self) -> u64 {
        let used = u128::from(self.total.saturating_sub(self.free)) * 1_000;
        u64::try_from(used / u128::from(self.total.max(1))).unwrap_or(1_000)
    }
}

/// The last measurement; clones share it, and reading it costs nothing. Without a `DiskWatch` behind it, it stays at `Ok`.
#[derive(Clone, Debug, Default)]
pub struct Watermark(Arc<Gauge>);

#[derive(Debug, Default)]
struct Gauge {
    level: AtomicU8,
    total: AtomicU64,
    free: AtomicU64,
}

impl Watermark {
    pub fn level(&self) -> Level {
        Level::ALL.get(usize::from(self.0.level.load(Ordering::Relaxed))).copied().unwrap_or_default()
    }

    /// The used share in percent, with one decimal.
    pub fn used(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 1000")]
        let permille = self.space().used_permille() as f64;
        permille / 10.0
    }

    /// Size and free bytes; zeros before the first measurement.
    pub fn space(&self) -> Space {
        Space { total: self.0.total.load(Ordering::Relaxed), free: self.0.free.load(Ordering::Relaxed) }
    }

    /// Takes a measurement over; a change of the level is logged, once.
    pub fn update(&self, space: Space, thresholds: Thresholds) {
        let before = self.level();
        let level = thresholds.level(space, before);
        self.0.total.store(space.total, Ordering::Relaxed);
        self.0.free.store(space.free, Ordering::Relaxed);
        self.0.level.store(level as u8, Ordering::Relaxed);
        if level == before {
            return;
        }
        let (used_percent, free_bytes, from, to) = (self.used(), space.free, before.as_str(), level.as_str());
        match level {
            Level::Ok => tracing::info!(used_percent, free_bytes, from, "the disk has room again"),
            Level::Warn | Level::Shed => tracing::warn!(used_percent, free_bytes, from, to, "the disk is filling up"),
            Level::Stop => tracing::error!(used_percent, free_bytes, from, "the disk is full: nothing is acknowledged until there is room"),
        }
    }
}

/// Asks how full the disk is.
pub type Measure = Box<dyn FnMut() -> std::io::Result<Space> + Send>;

/// The thread that measures; it ends when this is dropped.
#[derive(Debug)]
pub struct DiskWatch {
    watermark: Watermark,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl DiskWatch {
    /// Measures the disk that holds `dir`, at once and then every second.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn start(dir: &Path, thresholds: Thresholds) -> std::io::Result<Self> {
        // The journal may have a disk of its own; the fuller of the two decides.
        let (dir, journal) = (dir.to_owned(), dir.join("journal"));
        let measure = move || {
            let whole = Space::of(&dir)?;
            let fuller = Space::of(&journal).ok().filter(|journal| journal.used_permille() > whole.used_permille());
            Ok(fuller.unwrap_or(whole))
        };
        Self::start_with(thresholds, Box::new(measure), MEASURE_EVERY)
    }

    /// As `start`, with another way to measure.
    ///
    /// # Errors
    /// As `start`.
    pub fn start_with(thresholds: Thresholds, mut measure: Measure, every: Duration) -> std::io::Result<Self> {
        let watermark = Watermark::default();
        let (stop, stopped) = channel::<()>();
        let mut failed = false;
        let shared = watermark.clone();
        let mut once = move || match measure() {
            Ok(space) => {
                failed = false;
                shared.update(space, thresholds);
            }
            // The last level stays: a disk that cannot be asked is no reason to stop, nor to go on.
            Err(error) if !failed => {
                failed = true;
                tracing::error!(%error, "the disk's room cannot be measured");
            }
            Err(_) => {}
        };
        once();
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                once();
            }
        })?;
        Ok(Self { watermark, stop: Some(stop), thread: Some(thread) })
    }

    pub fn watermark(&self) -> Watermark {
        self.watermark.clone()
    }
}

impl Drop for DiskWatch {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn levels_by_size_and_share() {
        let check = |total_mib: u64, free_permille: u64, before: Level, expected: Level| {
            let total = total_mib * MIB;
            let space = Space { total, free: total / 1_000 * free_permille };
            assert_eq!(Thresholds::default().level(space, before), expected, "{total_mib} MiB, {free_permille} ‰ free, from {before:?}");
        };
        for total_mib in [8, 1_000, 1_000_000] {
            check(total_mib, 500, Level::Ok, Level::Ok);
            check(total_mib, 151, Level::Ok, Level::Ok);
            check(total_mib, 149, Level::Ok, Level::Warn);
            check(total_mib, 79, Level::Ok, Level::Shed);
            check(total_mib, 29, Level::Ok, Level::Stop);
            check(total_mib, 0, Level::Ok, Level::Stop);
            // Left only with a point of room more.
            check(total_mib, 35, Level::Stop, Level::Stop);
            check(total_mib, 42, Level::Stop, Level::Shed);
            check(total_mib, 155, Level::Warn, Level::Warn);
            check(total_mib, 162, Level::Warn, Level::Ok);
        }
    }

    #[test]
    fn the_floor_holds_whatever_the_thresholds_say() {
        let never = Thresholds { warn_percent: 100, shed_percent: 100, stop_percent: 100 };
        let terabyte = |free| Space { total: 1 << 40, free };
        assert_eq!(never.level(terabyte(65 * MIB), Level::Ok), Level::Ok);
        assert_eq!(never.level(terabyte(63 * MIB), Level::Ok), Level::Stop);
        let tiny = |free| Space { total: 8 * MIB, free };
        assert_eq!(never.level(tiny(MIB), Level::Ok), Level::Ok);
        assert_eq!(never.level(tiny(200_000), Level::Ok), Level::Stop);
    }

    #[test]
    fn the_real_disk_can_be_asked() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::of(dir.path()).unwrap();
        assert!(space.total > 0 && space.free <= space.total, "{space:?}");
        assert!(Space::of(Path::new("/nonexistent/x")).is_err());
    }

    #[test]
    fn the_watch_follows_the_disk_and_survives_a_failing_question() {
        let (tell, told) = channel();
        let measure = move || told.recv().unwrap_or(Ok(Space { total: 1_000, free: 1_000 }));
        tell.send(Ok(Space { total: 1_000, free: 100 })).unwrap();
        let watch = DiskWatch::start_with(Thresholds::default(), Box::new(measure), Duration::from_millis(1)).unwrap();
        let mark = watch.watermark();
        assert_eq!((mark.level(), mark.used()), (Level::Warn, 90.0));
        tell.send(Err(std::io::Error::other("gone"))).unwrap();
        tell.send(Ok(Space { total: 1_000, free: 0 })).unwrap();
        while mark.level() == Level::Warn {
            std::thread::yield_now();
        }
        assert_eq!((mark.level(), mark.used()), (Level::Stop, 100.0));
        drop(tell);
        while mark.level() != Level::Ok {
            std::thread::yield_now();
        }
        drop(watch);
    }
}
