//! Warning lists: what must never match, be it listed by whom it may (public resolvers, own networks, special-purpose
//! addresses, names that everybody visits). An indicator on one of them is kept, shown as such, and does not match.
//! Written by operators or taken from MISP's warning lists (`read::warning`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ingest::body::Prefix;
use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;

use super::pattern::{DOMAIN_BYTES_MAX, Pattern, domain, is_name};
use super::set::{Builder, IndicatorSet};
use super::store::{indicator_changed, text};
use super::tlp::Tlp;

/// Entries of all warning lists that are in force: a list of the million most visited names, and room.
const WARNINGS_MAX: usize = 2_000_000;

/// An entry of a warning list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewWarning {
    /// An address, a URL, a hash, a mail address, or a net with all in it.
    Exact(Pattern),
    /// A net of any size.
    Net(Prefix),
    /// This name alone.
    Name(String),
    /// The name and all below it.
    Below(String),
}

impl NewWarning {
    /// A line: a name stands for itself, `*.name` or `.name` for it and all below it.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')) {
            return Self::below(name);
        }
        if let Ok(prefix) = text.parse::<Prefix>()
            && text.contains('/')
        {
            return Some(Self::Net(prefix));
        }
        match text.parse().ok()? {
            Pattern::Domain(name) => Some(Self::Name(name)),
            pattern => Some(Self::Exact(pattern)),
        }
    }

    /// A name with all below it, also one of a single label (`arpa`).
    pub fn below(name: &str) -> Option<Self> {
        let name = domain(name.trim());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let label = !name.is_empty() && name.len() <= DOMAIN_BYTES_MAX && name.bytes().all(plain);
        (is_name(&name) || label).then_some(Self::Below(name))
    }

    fn stored(&self) -> (&'static str, String) {
        match self {
            Self::Exact(pattern) => (pattern.kind(), pattern.value()),
            Self::Net(prefix) => ("prefix", prefix.to_string()),
            Self::Name(name) => ("name", name.clone()),
            Self::Below(name) => ("domain", name.clone()),
        }
    }
}

/// One warning list as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarningList {
    pub list: String,
    pub description: String,
    pub entries: i64,
    pub updated_at: Timestamp,
}

/// Entries that are written with one statement's worth of waiting; the list as a whole is one transaction, so that it is
/// never in force by half.
pub(super) const WARNINGS_PER_LIST_MAX: usize = 1_000_000;

/// Puts a list in the place of the one of that name; without entries it is gone.
///
/// # Errors
/// The database's own.
pub fn warning_replace(tx: &Transaction<'_>, list: &str, description: &str, entries: &[NewWarning], now: Timestamp) -> Result<(), DbError> {
    tx.execute("DELETE FROM warning_entry WHERE list = ?1", [list])?;
    tx.execute("DELETE FROM warning_list WHERE list = ?1", [list])?;
    let mut insert = tx.prepare_cached("INSERT INTO warning_entry (list, kind, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?;
    let mut count = 0;
    for entry in entries.iter().take(WARNINGS_PER_LIST_MAX) {
        let (kind, value) = entry.stored();
        count += insert.execute(params![list, kind, value])?;
    }
    if count > 0 {
        tx.execute(
            "INSERT INTO warning_list (list, description, entries, updated_at) VALUES (?1, ?2, ?3, ?4)",
            params![list, description, i64::try_from(count).unwrap_or(0), now.0],
        )?;
    }
    indicator_changed(tx)
}

/// All warning lists by name.
///
/// # Errors
/// The database's own.
pub fn warning_lists(connection: &Connection) -> Result<Vec<WarningList>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT list, description, entries, updated_at FROM warning_list ORDER BY list LIMIT 500")?;
    let rows = statement.query_map([], |row| {
        Ok(WarningList { list: row.get(0)?, description: row.get(1)?, entries: row.get(2)?, updated_at: Timestamp(row.get(3)?) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The lists that need no import: addresses for special purposes, public resolvers, the hashes of nothing, and the own
/// networks as the configuration has them.
///
/// # Errors
/// The database's own.
pub fn warning_house(tx: &Transaction<'_>, own: &[Prefix], now: Timestamp) -> Result<(), DbError> {
    let own: Vec<NewWarning> = own.iter().copied().map(NewWarning::Net).collect();
    let known: Vec<(String, String)> = {
        let mut known =
            tx.prepare_cached("SELECT list, kind || ' ' || value FROM warning_entry WHERE list LIKE 'Haus: %' ORDER BY 1, 2")?;
        let rows = known.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<Result<_, _>>()?
    };
    let house = HOUSE.iter().map(|(list, about, entries)| {
        (*list, *about, entries.iter().filter_map(|entry| NewWarning::parse(entry)).collect::<Vec<NewWarning>>())
    });
    for (list, about, entries) in house.chain([(OWN, "Aus der Konfiguration: flows.inside", own)]) {
        let mut wanted: Vec<String> = entries.iter().map(NewWarning::stored).map(|(kind, value)| format!("{kind} {value}")).collect();
        wanted.sort();
        wanted.dedup();
        // A start that changes nothing makes nobody read everything anew.
        if known.iter().filter(|(name, _)| name == list).map(|(_, entry)| entry).ne(wanted.iter()) {
            warning_replace(tx, list, about, &entries, now)?;
        }
    }
    Ok(())
}

const OWN: &str = "Haus: eigene Netze";
const HOUSE: [(&str, &str, &[&str]); 3] = [
    (
        "Haus: Sonderadressen",
        "Private und besondere Adressen (RFC 6890)",
        &[
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "224.0.0.0/3",
            "::/127",
            "fc00::/7",
            "fe80::/10",
            "ff00::/8",
        ],
    ),
    (
        "Haus: öffentliche DNS-Server",
        "Von Cloudflare, Google, Quad9, OpenDNS und dem digitalcourage",
        &[
            "1.1.1.1",
            "1.0.0.1",
            "2606:4700:4700::1111",
            "2606:4700:4700::1001",
            "8.8.8.8",
            "8.8.4.4",
            "2001:4860:4860::8888",
            "2001:4860:4860::8844",
            "9.9.9.9",
            "149.112.112.112",
            "2620:fe::fe",
            "2620:fe::9",
            "208.67.222.222",
            "208.67.220.220",
            "5.9.164.112",
            "*.dns.google",
            "*.one.one.one.one",
            "*.dns.quad9.net",
        ],
    ),
    (
        "Haus: leere Dateien",
        "Hashes von nichts, die jede leere Datei hat",
        &[
            "d41d8cd98f00b204e9800998ecf8427e",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        ],
    ),
];

/// All warning lists, for looking up.
#[derive(Debug, Default)]
pub struct Warnings {
    set: IndicatorSet,
    /// Names that stand for themselves alone.
    names: HashMap<Box<str>, Arc<str>>,
    /// Single labels with all below them, which a set does not look for.
    labels: HashMap<Box<str>, Arc<str>>,
}

impl Warnings {
    /// The warning list that keeps this indicator from matching.
    pub fn list_of(&self, pattern: &Pattern) -> Option<Arc<str>> {
        let first = |hits: Vec<super::Hit<'_>>| hits.first().map(|hit| hit.attributes.list.clone());
        match pattern {
            // A net only where a warned one has all of it: the rest of it is as bad as its list says.
            Pattern::Prefix(prefix) => {
                let (from, to) = prefix.range();
                let around = |hit: &super::Hit<'_>| matches!(hit.pattern, Pattern::Prefix(net) if net.contains(to));
                self.set.address(from, NEVER).find(around).map(|hit| hit.attributes.list.clone())
            }
            Pattern::Domain(name) => {
                let label = || self.labels.get(name.rsplit('.').next().unwrap_or_default());
                self.names.get(name.as_str()).or_else(label).cloned().or_else(|| first(self.set.domain(name, NEVER)))
            }
            // Its host may be everybody's; a page there is not. But nobody warns of a page in the own net.
            Pattern::Url(url) => first(self.set.url(url, NEVER)).or_else(|| self.host_of(url)),
            Pattern::Mail(mail) => first(self.set.mail(mail, NEVER).into_iter().filter(|hit| hit.pattern == *pattern).collect()),
            pattern => first(self.set.pattern(pattern, NEVER)),
        }
    }

    fn host_of(&self, url: &str) -> Option<Arc<str>> {
        let host = super::url::CanonicalUrl::parse(url)?;
        let address: IpAddr = host.host().trim_matches(['[', ']']).parse().ok()?;
        self.set.address(address, NEVER).next().map(|hit| hit.attributes.list.clone())
    }
}

/// Warnings do not expire; any moment will do.
const NEVER: Timestamp = Timestamp(0);

/// Reads all warning lists.
///
/// # Errors
/// The database's own.
pub fn warning_load(connection: &Connection) -> Result<Warnings, DbError> {
    let (mut builder, mut warnings) = (Builder::default(), Warnings::default());
    let mut statement = connection.prepare(&format!("SELECT list, kind, value FROM warning_entry LIMIT {WARNINGS_MAX}"))?;
    let mut rows = statement.query([])?;
    let mut lists: HashMap<String, Arc<str>> = HashMap::new();
    while let Some(row) = rows.next()? {
        let (list, kind, value) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let list = lists.entry(list.to_owned()).or_insert_with(|| list.into()).clone();
        let pattern = match kind {
            "name" => {
                warnings.names.insert(value.into(), list);
                continue;
            }
            "domain" if !value.contains('.') => {
                warnings.labels.insert(value.into(), list);
                continue;
            }
            // Of any size.
            "prefix" => value.parse().ok().map(Pattern::Prefix),
            "domain" => Some(Pattern::Domain(value.to_owned())),
            kind => Pattern::stored(kind, value),
        };
        if let Some(pattern) = pattern {
            builder.add(&pattern, &list, Tlp::Clear, 100, None, None);
        }
    }
    Ok(Warnings { set: builder.done(None), ..warnings })
}

#[cfg(test)]
mod tests {
    use ingest::db::Db;

    use super::super::MIGRATIONS;
    use super::*;

    fn house() -> Warnings {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
        let own = ["198.51.100.0/24".parse().unwrap()];
        db.write(move |tx| warning_house(tx, &own, Timestamp(1))).unwrap();
        let before = db.read(super::super::indicator_change).unwrap();
        db.write(move |tx| warning_house(tx, &own, Timestamp(2))).unwrap();
        assert_eq!(db.read(super::super::indicator_change).unwrap(), before, "a second start changes nothing");
        db.read(warning_load).unwrap()
    }

    #[test]
    fn what_the_house_never_matches() {
        let house = house();
        for (indicator, list) in [
            ("10.1.2.3", "Haus: Sonderadressen"),
            ("10.1.0.0/16", "Haus: Sonderadressen"),
            ("8.0.0.0/8", ""),
            ("8.8.8.8", "Haus: öffentliche DNS-Server"),
            ("8.8.8.0/24", ""),
            ("dns.google", "Haus: öffentliche DNS-Server"),
            ("x.dns.google", "Haus: öffentliche DNS-Server"),
            ("google.example", ""),
            ("198.51.100.9", "Haus: eigene Netze"),
            ("http://192.168.1.1/setup.cgi", "Haus: Sonderadressen"),
            ("https://dns.google/evil.exe", ""),
            ("d41d8cd98f00b204e9800998ecf8427e", "Haus: leere Dateien"),
            ("203.0.113.9", ""),
        ] {
            let found = house.list_of(&indicator.parse().unwrap());
            assert_eq!(found.as_deref().unwrap_or_default(), list, "{indicator}");
        }
    }

    #[test]
    fn lines_of_a_list() {
        let show = |text: &str| NewWarning::parse(text).map(|entry| entry.stored()).map(|(kind, value)| format!("{kind} {value}"));
        for (line, expected) in [
            ("Gut.Example", Some("name gut.example")),
            ("*.gut.example", Some("domain gut.example")),
            (".arpa", Some("domain arpa")),
            ("0.0.0.0/0", Some("prefix 0.0.0.0/0")),
            ("http://gut.example/x", Some("url http://gut.example/x")),
            ("wort", None),
            ("", None),
        ] {
            assert_eq!(show(line).as_deref(), expected, "{line}");
        }
    }
}
