//! Country and network operator of public addresses, from MMDB files that the operator brings (GeoLite2, DB-IP, IPinfo).
//! The files are read into memory whole, checked, and read again when they change, by a thread of their own. A file that
//! is missing or damaged is reported and left out; the last good one of that path goes on serving.
//!
//! Towns and coordinates are left alone on purpose: they are guesses, and no rule here needs them.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use maxminddb::Reader;
use serde::Deserialize;

use super::Enrichment;
use super::recent::Recent;
use crate::time::Timestamp;

/// The largest free file has 0.15 GB; what is far larger is no such file, and memory is short.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Addresses remembered with what is known of them.
const RECENT: usize = 16_384;
/// How often the files are looked at: they are replaced once a week.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Longer names are no names.
const NAME_BYTES_MAX: usize = 256;

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GeoError {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("has {0} bytes, more than {FILE_BYTES_MAX}")]
    TooLarge(u64),
    #[error("is no sound MMDB file: {0}")]
    Damaged(String),
}

/// One file, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeoFile {
    pub path: PathBuf,
    /// What it calls itself, such as `GeoLite2-Country`, and when it was made; of the one in use.
    pub kind: String,
    pub built: Option<Timestamp>,
    /// What is wrong with the file that is there now.
    pub error: Option<GeoError>,
}

/// What is known of an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub iso_code: Option<Arc<str>>,
    /// German where the file has it, else English.
    pub country: Option<Arc<str>>,
    pub as_number: Option<i64>,
    pub as_organization: Option<Arc<str>>,
}

impl Place {
    fn complete(&mut self, other: Self) {
        self.iso_code = self.iso_code.take().or(other.iso_code);
        self.country = self.country.take().or(other.country);
        self.as_number = self.as_number.or(other.as_number);
        self.as_organization = self.as_organization.take().or(other.as_organization);
    }
}

/// The files in use.
pub struct Geo {
    paths: Vec<PathBuf>,
    loaded: RwLock<Arc<Loaded>>,
}

struct Loaded {
    slots: Vec<Slot>,
    /// Belongs to these files: with new ones it begins anew.
    recent: Mutex<Recent<IpAddr, Option<Arc<Place>>>>,
}

#[derive(Clone)]
struct Slot {
    file: GeoFile,
    /// By what a change of the file is seen.
    mark: Option<(SystemTime, u64)>,
    reader: Option<Arc<Reader<Vec<u8>>>>,
}

impl Geo {
    /// Reads the files; what is wrong with one stands in `files`.
    pub fn open(paths: &[PathBuf]) -> Self {
        let slots = paths.iter().map(|path| Slot::load(path, None)).collect();
        Self { paths: paths.to_vec(), loaded: RwLock::new(Arc::new(Loaded::new(slots))) }
    }

    pub fn files(&self) -> Vec<GeoFile> {
        self.loaded().slots.iter().map(|slot| slot.file.clone()).collect()
    }

    /// Reads again what has changed since; says whether something had.
    pub fn refresh(&self) -> bool {
        let now = self.loaded();
        if now.slots.iter().all(|slot| slot.mark == mark(&slot.file.path)) {
            return false;
        }
        let known = self.paths.iter().zip(&now.slots);
        let slots = known.map(|(path, slot)| if slot.mark == mark(path) { slot.clone() } else { Slot::load(path, Some(slot)) }).collect();
        *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Loaded::new(slots));
        true
    }

    /// What is known of a public address; `None` where nothing is.
    pub fn place(&self, address: IpAddr) -> Option<Arc<Place>> {
        let loaded = self.loaded();
        let recent = || loaded.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent().get(&address) {
            return known;
        }
        let place = loaded.look_up(address).map(Arc::new);
        recent().put(address, place.clone());
        place
    }

    fn loaded(&self) -> Arc<Loaded> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Loaded {
    fn new(slots: Vec<Slot>) -> Self {
        Self { slots, recent: Mutex::new(Recent::new(RECENT)) }
    }

    fn look_up(&self, address: IpAddr) -> Option<Place> {
        let mut place = Place::default();
        for reader in self.slots.iter().filter_map(|slot| slot.reader.as_ref()) {
            // A record that cannot be read is as good as none: the file as a whole was checked when it was loaded.
            let row: Option<Row<'_>> = reader.lookup(address).ok().and_then(|found| found.decode().ok()).flatten();
            if let Some(row) = row {
                place.complete(row.place());
            }
        }
        (place != Place::default()).then_some(place)
    }
}

impl Slot {
    fn load(path: &Path, before: Option<&Self>) -> Self {
        let mark = mark(path);
        // Damage that the checks do not see must not take the server with it.
        let loaded = std::panic::catch_unwind(|| read(path)).unwrap_or_else(|_| Err(GeoError::Damaged("its structure".into())));
        match loaded {
            Ok(reader) => {
                let metadata = reader.metadata();
                let built = i64::try_from(metadata.build_epoch).ok().and_then(|secs| secs.checked_mul(Timestamp::SECOND));
                let kind: String = metadata.database_type.chars().take(80).collect();
                let file = GeoFile { path: path.into(), kind, built: built.map(Timestamp), error: None };
                tracing::info!(path = %path.display(), kind = file.kind, "geo file loaded");
                Self { file, mark, reader: Some(Arc::new(reader)) }
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "geo file cannot be used; events go without what it would add");
                let empty = GeoFile { path: path.into(), kind: String::new(), built: None, error: None };
                let file = GeoFile { error: Some(error), ..before.map_or(empty, |before| before.file.clone()) };
                Self { file, mark, reader: before.and_then(|before| before.reader.clone()) }
            }
        }
    }
}

fn mark(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read(path: &Path) -> Result<Reader<Vec<u8>>, GeoError> {
    let unreadable = |error: std::io::Error| GeoError::Unreadable(error.to_string());
    let file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(GeoError::TooLarge(size));
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(unreadable)?;
    let damaged = |error: maxminddb::MaxMindDbError| GeoError::Damaged(error.to_string().chars().take(200).collect());
    let reader = Reader::from_source(bytes).map_err(damaged)?;
    reader.verify().map_err(damaged)?;
    Ok(reader)
}

/// A record of any of the three schemas. IPinfo's are flat, and its country is a text: a code in the older files, a name
/// in the newer ones, which have the code beside it.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    country: Option<Country<'a>>,
    country_code: Option<&'a str>,
    country_name: Option<&'a str>,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
    asn: Option<&'a str>,
    as_name: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Country<'a> {
    Text(&'a str),
    Record {
        iso_code: Option<&'a str>,
        #[serde(borrow)]
        names: Option<Names<'a>>,
    },
}

#[derive(Clone, Copy, Deserialize)]
struct Names<'a> {
    de: Option<&'a str>,
    en: Option<&'a str>,
}

impl Row<'_> {
    fn place(&self) -> Place {
        let is_code = |text: &&str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let (code, name) = match &self.country {
            Some(Country::Record { iso_code, names }) => (*iso_code, names.and_then(|names| names.de.or(names.en))),
            Some(Country::Text(text)) if is_code(text) => (Some(*text), None),
            Some(Country::Text(text)) => (None, Some(*text)),
            None => (None, None),
        };
        let named = |text: &str| (!text.is_empty() && text.len() <= NAME_BYTES_MAX).then(|| Arc::from(text));
        let numbered = self.asn.and_then(|text| text.strip_prefix("AS").unwrap_or(text).parse::<u32>().ok());
        Place {
            iso_code: code.or(self.country_code).filter(is_code).and_then(named),
            country: name.or(self.country_name).and_then(named),
            as_number: self.autonomous_system_number.or(numbered).filter(|number| *number > 0).map(i64::from),
            as_organization: self.autonomous_system_organization.or(self.as_name).and_then(named),
        }
    }
}

/// The thread that reads changed files again; it ends when this is dropped.
pub struct GeoWatch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl GeoWatch {
    /// # Errors
    /// Where the thread cannot be started.
    pub fn start(enrichment: Enrichment) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let work = move || {
            while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                if let Some(geo) = enrichment.geo() {
                    geo.refresh();
                }
            }
        };
        let thread = std::thread::Builder::new().name("geo".into()).spawn(work)?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for GeoWatch {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{Data, asn, country, mmdb, text};
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn countries() -> Vec<u8> {
        let rows = [
            (ip("203.0.113.0"), 24, country("AT", "Austria", "Österreich")),
            (ip("198.51.100.0"), 25, country("XK", "Kosovo", "")),
            (ip("2001:db8::"), 32, country("DE", "Germany", "Deutschland")),
        ];
        mmdb("Test-Country", &rows)
    }

    #[test]
    fn the_three_schemas_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("country"), countries()).unwrap();
        std::fs::write(path("asn"), mmdb("Test-ASN", &[(ip("203.0.113.0"), 24, asn(64_496, "Beispielnetz GmbH"))])).unwrap();
        let map = |entries: &[(&'static str, &str)]| Data::Map(entries.iter().map(|(name, value)| (*name, text(value))).collect());
        let lite = map(&[("asn", "AS64497"), ("as_name", "Example"), ("country", "Austria"), ("country_code", "AT")]);
        let old = map(&[("asn", ""), ("country", "CH"), ("country_name", "Switzerland"), ("as_name", "")]);
        std::fs::write(path("ipinfo"), mmdb("ipinfo lite", &[(ip("192.0.2.0"), 25, lite), (ip("192.0.2.128"), 25, old)])).unwrap();
        let geo = Geo::open(&[path("country"), path("asn"), path("ipinfo")]);
        assert!(geo.files().iter().all(|file| file.error.is_none()), "{:?}", geo.files());
        assert_eq!(geo.files()[0].built, Timestamp::parse_rfc3339("2026-03-01T00:00:00Z"));
        let shown = |address: &str| {
            // Twice: the second answer is a remembered one.
            assert_eq!(geo.place(ip(address)), geo.place(ip(address)));
            geo.place(ip(address)).map_or("-".into(), |place| {
                let Place { iso_code, country, as_number, as_organization } = Place::clone(&place);
                let text = |text: Option<Arc<str>>| text.unwrap_or("-".into());
                format!("{} {} {} {}", text(iso_code), text(country), as_number.unwrap_or(0), text(as_organization))
            })
        };
        for (address, expected) in [
            ("203.0.113.9", "AT Österreich 64496 Beispielnetz GmbH"),
            ("198.51.100.1", "XK - 0 -"),
            ("198.51.100.200", "-"),
            ("2001:db8::7", "DE Deutschland 0 -"),
            ("192.0.2.1", "AT Austria 64497 Example"),
            ("192.0.2.200", "CH Switzerland 0 -"),
        ] {
            assert_eq!(shown(address), expected, "{address}");
        }
    }

    #[test]
    fn a_damaged_file_is_named_and_the_last_good_one_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("country.mmdb");
        let geo = Geo::open(std::slice::from_ref(&path));
        assert!(matches!(geo.files()[0].error, Some(GeoError::Unreadable(_))), "{:?}", geo.files());
        assert_eq!(geo.place(ip("203.0.113.9")), None);
        assert!(!geo.refresh(), "nothing has changed");

        let good = countries();
        std::fs::write(&path, &good).unwrap();
        assert!(geo.refresh());
        assert_eq!((geo.files()[0].error.clone(), geo.files()[0].kind.as_str()), (None, "Test-Country"));
        assert!(geo.place(ip("203.0.113.9")).is_some());

        std::fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(geo.refresh());
        assert!(matches!(geo.files()[0].error, Some(GeoError::Damaged(_))), "{:?}", geo.files());
        assert!(geo.place(ip("203.0.113.9")).is_some(), "the one before");
        // One byte of one record, which nobody may ask for for years.
        let mut bad = good.clone();
        let record = good.windows(7).position(|bytes| bytes == b"Austria").unwrap();
        bad[record - 1] = 0x3F;
        std::fs::write(&path, &bad).unwrap();
        assert!(geo.refresh());
        assert!(matches!(geo.files()[0].error, Some(GeoError::Damaged(_))), "{:?}", geo.files());
        std::fs::remove_file(&path).unwrap();
        assert!(geo.refresh());
        assert!(geo.place(ip("203.0.113.9")).is_some(), "still");
    }

    #[test]
    fn no_broken_byte_stops_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mmdb");
        let good = countries();
        for at in 0..good.len() {
            for byte in [0, 0xFF, good[at] ^ 1] {
                let mut bad = good.clone();
                bad[at] = byte;
                std::fs::write(&path, &bad).unwrap();
                let geo = Geo::open(std::slice::from_ref(&path));
                for address in ["203.0.113.9", "2001:db8::7", "192.0.2.1"] {
                    let _ = geo.place(ip(address));
                }
            }
        }
    }
}
