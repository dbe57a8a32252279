//! Signed roots: once a day the chain's end is signed with a key of this house and written to a text file. The chain alone
//! shows every change that leaves its end in place; whoever makes all of it anew, or cuts off the end together with the
//! note of where it was, is found by the roots, which he cannot sign. Each root signs the one before too, so that none
//! can be taken out of the file.
//!
//! The file may and should be kept elsewhere as well: whoever has the key and both places could write everything anew.
//! What was added since the last root and cut off again is not found by anything; that is why there is one each day.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use rusqlite::{Connection, OptionalExtension as _};
use serde_json::{Value, json};

use super::{Head, NewAudit, audit_add, audit_head};
use crate::db::{Db, DbError};
use crate::time::Timestamp;

/// The file with the roots, in a folder of its own below the data directory.
pub const ROOTS_DIR: &str = "audit-roots";
const ROOTS_FILE: &str = "roots.txt";
/// The private key, below `DATA/keys`.
const KEY_FILE: &str = "audit-root.pk8";
/// The kind of the row that tells of a root.
pub const ROOT_KIND: &str = "audit.root_signed";
/// A line has 290 bytes, so this is the roots of three hundred years.
const FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What the first root follows.
const FIRST: &str = "-";

#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{doing} {path}")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} holds no signing key: restore it from the backup, or move it away so that a new one is made")]
    Key { path: PathBuf },
    #[error("no signing key could be made")]
    Random,
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The key that signs.
pub struct RootKey(Ed25519KeyPair);

impl std::fmt::Debug for RootKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RootKey({})", self.public())
    }
}

impl RootKey {
    /// Reads the key, or makes one where there is none.
    ///
    /// # Errors
    /// Where the file cannot be read or written, or is none of ours.
    pub fn open(keys: &Path) -> Result<Self, RootError> {
        let path = keys.join(KEY_FILE);
        match fs::read(&path) {
            Ok(bytes) => Ed25519KeyPair::from_pkcs8(&bytes).map(Self).map_err(|_| RootError::Key { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(keys, path),
            Err(source) => Err(RootError::Io { doing: "read", path, source }),
        }
    }

    fn make(keys: &Path, path: PathBuf) -> Result<Self, RootError> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| RootError::Random)?;
        let write = || {
            fs::create_dir_all(keys)?;
            let fresh = path.with_extension("new");
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(document.as_ref())?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(keys)?.sync_all()
        };
        write().map_err(|source| RootError::Io { doing: "write", path: path.clone(), source })?;
        Ed25519KeyPair::from_pkcs8(document.as_ref()).map(Self).map_err(|_| RootError::Key { path })
    }

    /// By which its signatures are checked, in hexadecimal digits.
    pub fn public(&self) -> String {
        hex(self.0.public_key().as_ref())
    }
}

/// One root: a line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// When it was signed.
    pub at: Timestamp,
    /// The row that the chain ended with.
    pub n: i64,
    pub hash: String,
    pub key: String,
    pub signature: String,
}

impl Root {
    /// What is signed: everything, and the signature of the root before.
    fn message(at: Timestamp, n: i64, hash: &str, before: &str) -> Vec<u8> {
        format!("wartburg audit root 1\n{}\n{n}\n{hash}\n{before}\n", at.rfc3339()).into_bytes()
    }

    fn line(&self) -> String {
        format!("{} {} {} {} {}\n", self.at.rfc3339(), self.n, self.hash, self.key, self.signature)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let root = Self {
            at: Timestamp::parse_rfc3339(words.next()?)?,
            n: words.next()?.parse().ok()?,
            hash: words.next()?.to_owned(),
            key: words.next()?.to_owned(),
            signature: words.next()?.to_owned(),
        };
        // Only the way in which we write it, so that no byte can be changed without its being seen.
        (words.next().is_none() && root.line().trim_end() == line).then_some(root)
    }

    fn json(&self) -> Value {
        json!({ "at": self.at.rfc3339(), "n": self.n, "hash": self.hash, "key": self.key, "signature": self.signature })
    }

    fn from_json(detail: &Value) -> Option<Self> {
        let text = |name| detail.get(name).and_then(Value::as_str).map(str::to_owned);
        let at = Timestamp::parse_rfc3339(&text("at")?)?;
        Some(Self { at, n: detail.get("n")?.as_i64()?, hash: text("hash")?, key: text("key")?, signature: text("signature")? })
    }

    fn is_signed(&self, before: &str) -> bool {
        let (Some(key), Some(signature)) = (unhex(&self.key), unhex(&self.signature)) else { return false };
        let message = Self::message(self.at, self.n, &self.hash, before);
        UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature).is_ok()
    }
}

/// The newest root of the chain.
///
/// # Errors
/// The database's own.
pub fn root_last(connection: &Connection) -> Result<Option<Root>, DbError> {
    let mut statement = connection.prepare_cached("SELECT detail FROM audit WHERE kind = ?1 ORDER BY n DESC LIMIT 1")?;
    let detail: Option<String> = statement.query_row([ROOT_KIND], |row| row.get(0)).optional()?;
    Ok(detail.and_then(|text| Root::from_json(&serde_json::from_str(&text).ok()?)))
}

/// Signs the chain's end where a UTC midnight has passed since the last root, and brings the file up to date. The row in
/// the chain comes first; what the file lacks after a crash is added the next time.
///
/// # Errors
/// Where the database or the file cannot be written.
pub fn root_sign(db: &Db, key: &RootKey, dir: &Path, now: Timestamp) -> Result<Option<Root>, RootError> {
    let day = |at: Timestamp| at.0.div_euclid(Timestamp::DAY);
    let (last, head) = db.read(|c| Ok::<_, DbError>((root_last(c)?, audit_head(c)?)))?;
    let due = head.n > 0 && last.as_ref().is_none_or(|last| day(last.at) < day(now));
    let made = if due { Some(sign(db, key, last, now)?) } else { None };
    file_complete(db, dir)?;
    Ok(made)
}

fn sign(db: &Db, key: &RootKey, last: Option<Root>, now: Timestamp) -> Result<Root, RootError> {
    // The row's own words have whole seconds.
    let at = Timestamp(now.0.div_euclid(1_000).saturating_mul(1_000));
    let before = last.map_or_else(|| FIRST.to_owned(), |last| last.signature);
    let Head { n, hash } = db.read(audit_head)?;
    let signature = hex(key.0.sign(&Root::message(at, n, &hash, &before)).as_ref());
    let root = Root { at, n, hash, key: key.public(), signature };
    let row = NewAudit { actor: "system".into(), kind: ROOT_KIND, object: "audit".into(), detail: root.json() };
    db.write(move |tx| audit_add(tx, now, &row).map(drop))?;
    Ok(root)
}

/// Adds to the file what the chain has and the file has not.
fn file_complete(db: &Db, dir: &Path) -> Result<(), RootError> {
    let path = dir.join(ROOTS_DIR).join(ROOTS_FILE);
    let io = |doing, source| RootError::Io { doing, path: path.clone(), source };
    let known = roots_read(dir)?;
    let last = known.lines().last().and_then(Root::parse).map_or(0, |root| root.n);
    let missing = db.read(|c| roots_after(c, last))?;
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(dir.join(ROOTS_DIR)).map_err(|source| io("create", source))?;
    let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(|source| io("open", source))?;
    // A torn line at the end stays, so that nothing that stood there is lost; it is reported when it is looked at.
    let torn = if known.is_empty() || known.ends_with('\n') { "" } else { "\n" };
    let text = missing.iter().fold(torn.to_owned(), |text, root| text + &root.line());
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|source| io("write", source))
}

fn roots_after(connection: &Connection, n: i64) -> Result<Vec<Root>, DbError> {
    let mut statement = connection.prepare_cached("SELECT detail FROM audit WHERE kind = ?1 AND n > ?2 ORDER BY n")?;
    let rows = statement.query_map((ROOT_KIND, n), |row| row.get::<_, String>(0))?;
    let texts = rows.collect::<Result<Vec<_>, _>>()?;
    let parsed = texts.iter().filter_map(|text| Root::from_json(&serde_json::from_str(text).ok()?));
    Ok(parsed.filter(|root| root.n > n).collect())
}

/// The text of the roots' file; empty where there is none yet.
///
/// # Errors
/// Where it cannot be read.
pub fn roots_read(dir: &Path) -> Result<String, RootError> {
    let path = dir.join(ROOTS_DIR).join(ROOTS_FILE);
    let io = |source| RootError::Io { doing: "read", path: path.clone(), source };
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Ok(meta) if meta.len() > FILE_BYTES_MAX => return Err(io(io::ErrorKind::FileTooLarge.into())),
        _ => {}
    }
    // Bytes that are no text are a change like any other, and found as such.
    fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(io)
}

/// What is wrong with the roots.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootFault {
    #[error("line {0} of the roots is none")]
    Line(usize),
    #[error("line {0} of the roots is not signed, or one before it was taken out")]
    Signature(usize),
    #[error("line {0} of the roots was signed with another key")]
    Key(usize),
    #[error("line {0} of the roots is older than the one before")]
    Order(usize),
    #[error("line {line} of the roots knows row {n}, which the chain has not: its end was cut off")]
    CutOff { line: usize, n: i64 },
    #[error("line {line} of the roots knows another row {n}: the chain was made anew")]
    Rewritten { line: usize, n: i64 },
    #[error("the root that row {0} tells of is not in the file")]
    NotInFile(i64),
    #[error("the given root is not in the file")]
    Unknown,
}

/// Checks the file's roots against each other, their signatures and the chain; how many there are, or the first fault.
/// `key` is the public key that must have signed them; `noted` a line or signature that was kept elsewhere.
///
/// # Errors
/// The database's own; the inner error is the first fault.
pub fn roots_verify(
    connection: &Connection,
    text: &str,
    key: Option<&str>,
    noted: Option<&str>,
) -> Result<Result<usize, RootFault>, DbError> {
    let (mut roots, mut before): (Vec<Root>, String) = (Vec::new(), FIRST.to_owned());
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        let Some(root) = line.strip_suffix('\n').and_then(Root::parse) else { return Ok(Err(RootFault::Line(number))) };
        if !root.is_signed(&before) {
            return Ok(Err(RootFault::Signature(number)));
        }
        if key.or(roots.first().map(|first: &Root| first.key.as_str())).is_some_and(|key| key != root.key) {
            return Ok(Err(RootFault::Key(number)));
        }
        if roots.last().is_some_and(|last: &Root| last.n >= root.n || last.at >= root.at) {
            return Ok(Err(RootFault::Order(number)));
        }
        let mut statement = connection.prepare_cached("SELECT hash FROM audit WHERE n = ?1")?;
        match statement.query_row([root.n], |row| row.get::<_, String>(0)).optional()? {
            None => return Ok(Err(RootFault::CutOff { line: number, n: root.n })),
            Some(hash) if hash != root.hash => return Ok(Err(RootFault::Rewritten { line: number, n: root.n })),
            Some(_) => {}
        }
        before.clone_from(&root.signature);
        roots.push(root);
    }
    if let Some(fault) = root_rows(connection, &roots)? {
        return Ok(Err(fault));
    }
    let known = |noted: &str| text.lines().any(|line| line == noted.trim()) || roots.iter().any(|root| root.signature == noted.trim());
    Ok(if noted.is_none_or(known) { Ok(roots.len()) } else { Err(RootFault::Unknown) })
}

/// Whether the chain tells of the file's roots, of each and of no other. The row comes before the line, so a line without
/// a row was written by us and its row was cut off.
fn root_rows(connection: &Connection, roots: &[Root]) -> Result<Option<RootFault>, DbError> {
    let mut statement = connection.prepare_cached("SELECT n, detail FROM audit WHERE kind = ?1 ORDER BY n")?;
    let mut rows = statement.query([ROOT_KIND])?;
    let mut left = roots.iter().zip(1..);
    while let Some(row) = rows.next()? {
        let (n, detail): (i64, String) = (row.get(0)?, row.get(1)?);
        let told = serde_json::from_str(&detail).ok().as_ref().and_then(Root::from_json);
        if told.is_none() || told.as_ref() != left.next().map(|(root, _)| root) {
            return Ok(Some(RootFault::NotInFile(n)));
        }
    }
    Ok(left.next().map(|(root, line)| RootFault::CutOff { line, n: root.n.saturating_add(1) }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let lower = text.len().is_multiple_of(2) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    if lower { (0..text.len()).step_by(2).map(byte).collect() } else { None }
}
