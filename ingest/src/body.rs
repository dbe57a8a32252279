//! Bodies (öffentliche Stellen), their contacts, and their sites on the Landesdatennetz. A body is the tenant;
//! a Gemeinde is a territory. The official list and its import come later; here stand the nouns and their store.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use rusqlite::{Connection, Row, Transaction, params};
use serde::{Deserialize, Serialize};

use crate::db::{DbError, Migrations};
use crate::time::Timestamp;

crate::id_type!(
    /// An administration that answers the phone: the tenant.
    BodyId
);
crate::id_type!(
    /// A place on the Landesdatennetz from which logs and flows come.
    SiteId
);
crate::id_type!(
    /// A person at a body who receives warnings and recommendations.
    ContactId
);

/// The site of everything whose sender is attributed to no other; it always exists and belongs to no body.
pub const SITE_UNKNOWN: SiteId = SiteId(crate::id::Ulid(0));
/// Stands for all sites at once, where something is found that no single body could see. It is in no table and belongs to no
/// body, so that a tenant's filter never lets it through.
pub const SITE_STATE: SiteId = SiteId(crate::id::Ulid(u128::MAX));
pub const SITE_UNKNOWN_NAME: &str = "unbekannt";

pub const MIGRATIONS: Migrations = Migrations {
    owner: "body",
    steps: &[
        "
        CREATE TABLE body (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            kind TEXT NOT NULL,
            ags TEXT,
            kreis TEXT NOT NULL,
            population BIGINT NOT NULL DEFAULT 0,
            created_at BIGINT NOT NULL
        );
        CREATE TABLE contact (
            id TEXT PRIMARY KEY,
            body TEXT NOT NULL REFERENCES body (id),
            name TEXT NOT NULL,
            email TEXT NOT NULL,
            role TEXT NOT NULL,
            confirmed_at BIGINT,
            UNIQUE (body, email)
        );
        CREATE TABLE site (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            body TEXT REFERENCES body (id)
        );
        CREATE TABLE site_prefix (
            prefix TEXT PRIMARY KEY,
            site TEXT NOT NULL REFERENCES site (id)
        );
        INSERT INTO site (id, name, body) VALUES ('00000000000000000000000000', 'unbekannt', NULL);
    ",
        "
        CREATE TABLE site_credential (
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            site TEXT NOT NULL REFERENCES site (id),
            PRIMARY KEY (kind, value)
        );
    ",
    ],
};

/// Amtlicher Gemeindeschlüssel: eight digits, the first two the Land (16 Thuringia), the first five the Kreis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ags(u32);

/// A text that is no Amtlicher Gemeindeschlüssel.
#[derive(Debug, thiserror::Error)]
#[error("not an Amtlicher Gemeindeschlüssel (eight digits, such as 16051000): {0:?}")]
pub struct AgsError(String);

impl FromStr for Ags {
    type Err = AgsError;
    fn from_str(text: &str) -> Result<Self, AgsError> {
        let digits = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.map(Self).ok_or_else(|| AgsError(text.chars().take(20).collect()))
    }
}

impl fmt::Display for Ags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.0)
    }
}

impl Ags {
    /// The Kreis' five digits (`16051` for Erfurt).
    pub fn kreis_key(self) -> String {
        format!("{:05}", self.0 / 1000)
    }
}

/// One of the 22 Landkreise and kreisfreie Städte of Thuringia.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kreis {
    /// Five digits of the official key.
    pub key: &'static str,
    /// The car plate's letters, which people read faster than the key.
    pub sign: &'static str,
    pub name: &'static str,
    pub kreisfrei: bool,
}

/// The Kreise since 2021-07-01, when Eisenach joined the Wartburgkreis, by official key.
pub const KREISE: [Kreis; 22] = [
    kreis("16051", "EF", "Erfurt", true),
    kreis("16052", "G", "Gera", true),
    kreis("16053", "J", "Jena", true),
    kreis("16054", "SHL", "Suhl", true),
    kreis("16055", "WE", "Weimar", true),
    kreis("16061", "EIC", "Landkreis Eichsfeld", false),
    kreis("16062", "NDH", "Landkreis Nordhausen", false),
    kreis("16063", "WAK", "Wartburgkreis", false),
    kreis("16064", "UH", "Unstrut-Hainich-Kreis", false),
    kreis("16065", "KYF", "Kyffhäuserkreis", false),
    kreis("16066", "SM", "Landkreis Schmalkalden-Meiningen", false),
    kreis("16067", "GTH", "Landkreis Gotha", false),
    kreis("16068", "SÖM", "Landkreis Sömmerda", false),
    kreis("16069", "HBN", "Landkreis Hildburghausen", false),
    kreis("16070", "IK", "Ilm-Kreis", false),
    kreis("16071", "AP", "Landkreis Weimarer Land", false),
    kreis("16072", "SON", "Landkreis Sonneberg", false),
    kreis("16073", "SLF", "Landkreis Saalfeld-Rudolstadt", false),
    kreis("16074", "SHK", "Saale-Holzland-Kreis", false),
    kreis("16075", "SOK", "Saale-Orla-Kreis", false),
    kreis("16076", "GRZ", "Landkreis Greiz", false),
    kreis("16077", "ABG", "Landkreis Altenburger Land", false),
];

const fn kreis(key: &'static str, sign: &'static str, name: &'static str, kreisfrei: bool) -> Kreis {
    Kreis { key, sign, name, kreisfrei }
}

/// What kind of administration a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    KreisfreieStadt,
    Landratsamt,
    Gemeinde,
    Verwaltungsgemeinschaft,
    /// An office of the Land itself.
    Land,
}

impl BodyKind {
    pub const ALL: [Self; 5] = [Self::KreisfreieStadt, Self::Landratsamt, Self::Gemeinde, Self::Verwaltungsgemeinschaft, Self::Land];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::KreisfreieStadt => "kreisfreie_stadt",
            Self::Landratsamt => "landratsamt",
            Self::Gemeinde => "gemeinde",
            Self::Verwaltungsgemeinschaft => "verwaltungsgemeinschaft",
            Self::Land => "land",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// An administration as stored.
#[derive(Clone, Debug, Serialize)]
pub struct Body {
    pub id: BodyId,
    pub name: String,
    pub kind: BodyKind,
    #[serde(serialize_with = "serialize_ags")]
    pub ags: Option<Ags>,
    /// Key of its Kreis (`16051`).
    pub kreis: String,
    /// Inhabitants it administers; 0 where unknown.
    pub population: i64,
}

fn serialize_ags<S: serde::Serializer>(ags: &Option<Ags>, serializer: S) -> Result<S::Ok, S::Error> {
    match ags {
        Some(ags) => serializer.collect_str(ags),
        None => serializer.serialize_none(),
    }
}

/// A person at a body: its Informationssicherheitsbeauftragte/r (ISB) or the deputy.
#[derive(Clone, Debug, Serialize)]
pub struct Contact {
    pub id: ContactId,
    pub body: BodyId,
    pub name: String,
    pub email: String,
    /// `isb` or `deputy`.
    pub role: String,
    pub confirmed_at: Option<Timestamp>,
}

/// # Errors
/// The database's own, such as a name that exists.
pub fn body_add(tx: &Transaction<'_>, body: &Body, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO body (id, name, kind, ags, kreis, population, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![body.id, body.name, body.kind.as_str(), body.ags.map(|ags| ags.to_string()), body.kreis, body.population, now.0],
    )?;
    Ok(())
}

/// All bodies by name.
///
/// # Errors
/// The database's own.
pub fn body_list(connection: &Connection) -> Result<Vec<Body>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, name, kind, ags, kreis, population FROM body ORDER BY name")?;
    let rows = statement.query_map([], body_from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// # Errors
/// The database's own.
pub fn body_get(connection: &Connection, id: BodyId) -> Result<Option<Body>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, name, kind, ags, kreis, population FROM body WHERE id = ?1")?;
    let mut rows = statement.query_map([id], body_from_row)?;
    Ok(rows.next().transpose()?)
}

fn body_from_row(row: &Row<'_>) -> rusqlite::Result<Body> {
    let kind: String = row.get(2)?;
    let ags: Option<String> = row.get(3)?;
    Ok(Body {
        id: row.get(0)?,
        name: row.get(1)?,
        kind: BodyKind::parse(&kind).unwrap_or(BodyKind::Gemeinde),
        ags: ags.and_then(|text| text.parse().ok()),
        kreis: row.get(4)?,
        population: row.get(5)?,
    })
}

/// # Errors
/// The database's own.
pub fn contact_add(tx: &Transaction<'_>, contact: &Contact) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO contact (id, body, name, email, role, confirmed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![contact.id, contact.body, contact.name, contact.email, contact.role, contact.confirmed_at.map(|at| at.0)],
    )?;
    Ok(())
}

/// Who all contacts are, by name.
///
/// # Errors
/// The database's own.
pub fn contact_names(connection: &Connection) -> Result<Vec<(ContactId, String)>, DbError> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM contact")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The contacts of one body, the ISB before the deputy.
///
/// # Errors
/// The database's own.
pub fn contact_list(connection: &Connection, body: BodyId) -> Result<Vec<Contact>, DbError> {
    let mut statement = connection
        .prepare_cached("SELECT id, body, name, email, role, confirmed_at FROM contact WHERE body = ?1 ORDER BY role DESC, name")?;
    let rows = statement.query_map([body], |row| {
        let confirmed_at: Option<i64> = row.get(5)?;
        Ok(Contact {
            id: row.get(0)?,
            body: row.get(1)?,
            name: row.get(2)?,
            email: row.get(3)?,
            role: row.get(4)?,
            confirmed_at: confirmed_at.map(Timestamp),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// An address prefix in CIDR form; IPv4 is kept in its own family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    base: IpAddr,
    bits: u8,
}

/// A text that is no prefix.
#[derive(Debug, thiserror::Error)]
#[error("not an address prefix (such as 10.20.0.0/16 or fd00:1::/48): {0:?}")]
pub struct PrefixError(String);

impl FromStr for Prefix {
    type Err = PrefixError;
    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let error = || PrefixError(text.chars().take(60).collect());
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits.parse::<u8>().map_err(|_| error())?)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| error())?;
        let bits_max = family_bits(base);
        let bits = bits.unwrap_or(bits_max);
        if bits > bits_max {
            return Err(error());
        }
        Ok(Self { base: masked(base, bits), bits })
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl Prefix {
    pub fn contains(self, address: IpAddr) -> bool {
        family_bits(address) == family_bits(self.base) && masked(address, self.bits) == self.base
    }

    /// How many bits are fixed.
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// The first and the last address.
    pub fn range(self) -> (IpAddr, IpAddr) {
        let last = match self.base {
            IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() | u32::MAX.checked_shr(self.bits.into()).unwrap_or(0)).into()),
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() | u128::MAX.checked_shr(self.bits.into()).unwrap_or(0)).into()),
        };
        (self.base, last)
    }
}

fn family_bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V4((v4.to_bits() & !u32::MAX.checked_shr(bits.into()).unwrap_or(0)).into()),
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::MAX.checked_shr(bits.into()).unwrap_or(0)).into()),
    }
}

/// Who sent something, as far as the network and the transport prove it; never what a line says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub peer: IpAddr,
    /// The names of the verified client certificate: `sha256:` and its fingerprint in hex, and its DNS names in lower case.
    pub certificate: Vec<String>,
    /// SHA-256 of the token in hex.
    pub token: Option<String>,
}

impl Sender {
    /// A sender of whom only the address is known.
    pub fn of(peer: IpAddr) -> Self {
        Self { peer, certificate: Vec::new(), token: None }
    }
}

/// A site with what its senders are known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub id: SiteId,
    /// Short, unique and never changed: the events carry it (`rathaus-soemmerda`).
    pub name: String,
    pub body: Option<BodyId>,
    pub prefixes: Vec<Prefix>,
    /// Names of client certificates, as in `Sender`.
    pub certificates: Vec<String>,
    /// Tokens, as in `Sender`: their SHA-256 in hex.
    pub tokens: Vec<String>,
}

/// # Errors
/// The database's own, such as a name or a prefix that is taken.
pub fn site_add(tx: &Transaction<'_>, site: &Site) -> Result<(), DbError> {
    tx.execute("INSERT INTO site (id, name, body) VALUES (?1, ?2, ?3)", params![site.id, site.name, site.body])?;
    known_by_put(tx, site)
}

/// Changes what a site's senders are known by, and whose it is where that is said. Its identity and name stay.
///
/// # Errors
/// The database's own, such as a prefix that is another site's.
pub fn site_put(tx: &Transaction<'_>, site: &Site) -> Result<(), DbError> {
    tx.execute("UPDATE site SET body = COALESCE(?2, body) WHERE id = ?1", params![site.id, site.body])?;
    tx.execute("DELETE FROM site_prefix WHERE site = ?1", params![site.id])?;
    tx.execute("DELETE FROM site_credential WHERE site = ?1", params![site.id])?;
    known_by_put(tx, site)
}

fn known_by_put(tx: &Transaction<'_>, site: &Site) -> Result<(), DbError> {
    for prefix in &site.prefixes {
        tx.execute("INSERT INTO site_prefix (prefix, site) VALUES (?1, ?2)", params![prefix.to_string(), site.id])?;
    }
    for (kind, values) in [("certificate", &site.certificates), ("token", &site.tokens)] {
        for value in values {
            tx.execute(
                "INSERT INTO site_credential (kind, value, site) VALUES (?1, ?2, ?3)",
                params![kind, value.to_lowercase(), site.id],
            )?;
        }
    }
    Ok(())
}

/// All sites by name, "unbekannt" among them.
///
/// # Errors
/// The database's own.
pub fn site_list(connection: &Connection) -> Result<Vec<Site>, DbError> {
    let mut prefixes: BTreeMap<SiteId, Vec<Prefix>> = BTreeMap::new();
    let mut statement = connection.prepare_cached("SELECT site, prefix FROM site_prefix ORDER BY prefix")?;
    for row in statement.query_map([], |row| Ok((row.get::<_, SiteId>(0)?, row.get::<_, String>(1)?)))? {
        let (site, prefix) = row?;
        if let Ok(prefix) = prefix.parse() {
            prefixes.entry(site).or_default().push(prefix);
        }
    }
    let mut credentials: BTreeMap<SiteId, (Vec<String>, Vec<String>)> = BTreeMap::new();
    let mut statement = connection.prepare_cached("SELECT site, kind, value FROM site_credential ORDER BY kind, value")?;
    for row in statement.query_map([], |row| Ok((row.get::<_, SiteId>(0)?, row.get::<_, String>(1)?, row.get(2)?)))? {
        let (site, kind, value) = row?;
        let (certificates, tokens) = credentials.entry(site).or_default();
        if kind == "token" { tokens.push(value) } else { certificates.push(value) }
    }
    let mut statement = connection.prepare_cached("SELECT id, name, body FROM site ORDER BY name")?;
    let rows = statement.query_map([], |row| {
        let id: SiteId = row.get(0)?;
        let prefixes = prefixes.get(&id).cloned().unwrap_or_default();
        let (certificates, tokens) = credentials.get(&id).cloned().unwrap_or_default();
        Ok(Site { id, name: row.get(1)?, body: row.get(2)?, prefixes, certificates, tokens })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The current `SiteTable`, replaced as a whole when an operator changes the sites.
pub type SharedSites = std::sync::Arc<std::sync::RwLock<std::sync::Arc<SiteTable>>>;

/// Which site a sender belongs to, and what a site is called: a snapshot for the hot path.
#[derive(Clone, Debug, Default)]
pub struct SiteTable {
    sites: HashMap<SiteId, Site>,
    by_certificate: HashMap<String, SiteId>,
    by_token: HashMap<String, SiteId>,
    by_prefix: HashMap<Prefix, SiteId>,
    /// The prefix lengths in use, longest first.
    lengths: Vec<u8>,
}

impl SiteTable {
    pub fn new(sites: Vec<Site>) -> Self {
        let by_prefix: HashMap<_, _> = sites.iter().flat_map(|site| site.prefixes.iter().map(|prefix| (*prefix, site.id))).collect();
        let mut lengths: Vec<u8> = by_prefix.keys().map(|prefix| prefix.bits).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        let by_certificate = sites.iter().flat_map(|site| site.certificates.iter().map(|name| (name.clone(), site.id))).collect();
        let by_token = sites.iter().flat_map(|site| site.tokens.iter().map(|hash| (hash.clone(), site.id))).collect();
        Self { by_certificate, by_token, sites: sites.into_iter().map(|site| (site.id, site)).collect(), by_prefix, lengths }
    }

    /// # Errors
    /// The database's own.
    pub fn load(connection: &Connection) -> Result<Self, DbError> {
        site_list(connection).map(Self::new)
    }

    /// The site that knows the sender's certificate, else its token, else the site with the longest prefix that holds
    /// its address, else "unbekannt".
    pub fn attribute(&self, sender: &Sender) -> SiteId {
        let by_certificate = sender.certificate.iter().find_map(|name| self.by_certificate.get(name));
        let by_token = || sender.token.as_ref().and_then(|hash| self.by_token.get(hash));
        by_certificate.or_else(by_token).copied().unwrap_or_else(|| self.site_of(sender.peer))
    }

    /// Whether a token is a site's.
    pub fn knows_token(&self, hash: &str) -> bool {
        self.by_token.contains_key(hash)
    }

    /// The site with the longest prefix that holds an address, else "unbekannt".
    pub fn site_of(&self, address: IpAddr) -> SiteId {
        let address = address.to_canonical();
        let family = family_bits(address);
        let find = |bits: &u8| self.by_prefix.get(&Prefix { base: masked(address, *bits), bits: *bits });
        self.lengths.iter().filter(|bits| **bits <= family).find_map(find).copied().unwrap_or(SITE_UNKNOWN)
    }

    pub fn name(&self, site: SiteId) -> &str {
        self.sites.get(&site).map_or(SITE_UNKNOWN_NAME, |site| site.name.as_str())
    }

    pub fn body(&self, site: SiteId) -> Option<BodyId> {
        self.sites.get(&site).and_then(|site| site.body)
    }

    pub fn by_name(&self, name: &str) -> Option<&Site> {
        self.sites.values().find(|site| site.name == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Site> {
        self.sites.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_a_stranger_is_unknown() {
        let site = |n: u128, prefixes: &[&str]| Site {
            id: SiteId(crate::id::Ulid(n)),
            name: format!("s{n}"),
            body: None,
            prefixes: prefixes.iter().map(|text| text.parse().unwrap()).collect(),
            certificates: vec![format!("collector-{n}.example")],
            tokens: vec![format!("hash-{n}")],
        };
        let table = SiteTable::new(vec![site(1, &["10.0.0.0/8", "fd00::/16"]), site(2, &["10.20.0.0/16"]), site(3, &["10.20.30.40"])]);
        for (address, expected) in [
            ("10.1.2.3", "s1"),
            ("10.20.1.1", "s2"),
            ("10.20.30.40", "s3"),
            ("::ffff:10.20.1.1", "s2"),
            ("fd00::1", "s1"),
            ("192.0.2.1", "unbekannt"),
            ("2001:db8::1", "unbekannt"),
        ] {
            assert_eq!(table.name(table.attribute(&Sender::of(address.parse().unwrap()))), expected, "{address}");
        }
        let mut sender = Sender { token: Some("hash-2".into()), ..Sender::of("10.1.2.3".parse().unwrap()) };
        assert_eq!(table.name(table.attribute(&sender)), "s2", "the token before the address");
        sender.certificate = vec!["sha256:00".into(), "collector-3.example".into()];
        assert_eq!(table.name(table.attribute(&sender)), "s3", "the certificate before the token");
        sender = Sender { token: Some("other".into()), certificate: vec!["other".into()], ..sender };
        assert_eq!(table.name(table.attribute(&sender)), "s1", "what nobody knows says nothing");
    }

    #[test]
    fn prefixes_parse_mask_and_refuse() {
        let parsed: Prefix = "10.20.30.40/16".parse().unwrap();
        assert_eq!(parsed.to_string(), "10.20.0.0/16");
        assert_eq!(parsed.range().1.to_string(), "10.20.255.255");
        assert_eq!("0.0.0.0/0".parse::<Prefix>().unwrap().range().1.to_string(), "255.255.255.255");
        for bad in ["", "10.0.0.0/33", "::/129", "host/8", "10.0.0.0/", "10.0.0.0/-1"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_ags_has_eight_digits() {
        assert_eq!("16051000".parse::<Ags>().unwrap().kreis_key(), "16051");
        for bad in ["", "1605100", "160510000", "1605100x", "+6051000"] {
            assert!(bad.parse::<Ags>().is_err(), "{bad}");
        }
    }
}
