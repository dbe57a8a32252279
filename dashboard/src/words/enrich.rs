//! What is added to events, and how its files are, in the reader's words.

use ingest::enrich::{GeoError, GeoFile, Settings};
use ingest::time::Timestamp;

use super::{t, tf};
use crate::show;

/// The free files come anew every week or month; one that is older than this was forgotten.
const GEO_AGE_MAX: i64 = 45 * Timestamp::DAY;

/// What is switched on.
pub fn enrichments(settings: &Settings) -> Vec<&'static str> {
    let all = [
        (settings.community_id, t("Community-ID")),
        (settings.direction, t("Richtung")),
        (settings.user_agent, t("Browserkennung")),
        (settings.leases, t("Rechnernamen aus DHCP")),
        (!settings.geo_files.is_empty(), t("Land und Netzbetreiber")),
    ];
    all.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect()
}

/// `GeoLite2-Country vom 18.11.2026 (vor 3 d)`
pub fn geo_file(file: &GeoFile, now: Timestamp) -> String {
    let name = if file.kind.is_empty() { file.path.display().to_string() } else { file.kind.clone() };
    match file.built {
        Some(built) => tf(
            "{name} vom {date} (vor {age})",
            &[("name", &name), ("date", &show::date(built)), ("age", &show::duration(now.since(built).max(0)))],
        ),
        None => name,
    }
}

pub fn is_geo_old(file: &GeoFile, now: Timestamp) -> bool {
    file.built.is_some_and(|built| now.since(built) > GEO_AGE_MAX)
}

/// What is wrong with a file.
pub fn geo_fault(error: &GeoError) -> String {
    match error {
        GeoError::Unreadable(why) => tf("kann nicht gelesen werden ({why})", &[("why", why)]),
        GeoError::TooLarge(bytes) => tf("ist mit {size} zu groß für eine MMDB-Datei", &[("size", &show::bytes(*bytes))]),
        GeoError::Damaged(why) => tf("ist keine heile MMDB-Datei ({why})", &[("why", why)]),
    }
}

pub fn geo_todo(error: &GeoError) -> &'static str {
    match error {
        GeoError::Unreadable(_) => t(
            "Den Pfad in enrich.geo_files und die Leserechte prüfen. Empfangen und gespeichert wird auch ohne sie; es fehlen nur Land und Netzbetreiber.",
        ),
        GeoError::TooLarge(_) | GeoError::Damaged(_) => t(
            "Die Datei neu herunterladen und entpackt an ihre Stelle legen; sie wird von selbst gelesen. Empfangen und gespeichert wird auch ohne sie.",
        ),
    }
}
