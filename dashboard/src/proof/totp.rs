//! Codes from an app: TOTP (RFC 6238) with SHA-1, six digits and thirty seconds, because that is what every app can. A
//! code counts once: the last step that was used is kept, and only a later one is taken. Checking and noting happen in
//! one transaction on the database's one writer, so of two who bring the same code at once one is refused.

use hmac::{Hmac, KeyInit as _, Mac as _};
use ingest::db::DbError;
use ingest::rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use ingest::time::Timestamp;
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::vault::Vault;
use crate::user::UserId;

const STEP_MILLIS: i64 = 30_000;
/// Clocks of phones are off by some seconds, and people type slowly: one step before and after.
const WINDOW: i64 = 1;
const DIGITS: usize = 6;
/// As long as the hash, as RFC 4226 advises.
const SECRET_BYTES: usize = 20;
/// A secret that nobody has confirmed by then is forgotten.
pub const PENDING_MILLIS: i64 = 15 * Timestamp::MINUTE;
const PURPOSE: &str = "totp";

/// What the app and we share.
pub struct Secret(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Secret {
    /// 160 random bits.
    pub fn new() -> Self {
        Self(Zeroizing::new(ingest::id::random_bytes::<SECRET_BYTES>().to_vec()))
    }

    /// The code of a step.
    fn code(&self, step: i64) -> String {
        // A key of any length will do for HMAC.
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else { return String::new() };
        mac.update(&step.to_be_bytes());
        let hash = mac.finalize().into_bytes();
        let at = usize::from(hash.last().copied().unwrap_or(0) & 0x0f);
        let word = hash.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
        format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
    }

    /// The step of the window that a typed code belongs to, where it is later than the last one used.
    fn step_of(&self, typed: &str, last_step: i64, now: Timestamp) -> Option<i64> {
        let typed: String = typed.chars().filter(|ch| !ch.is_whitespace()).collect();
        let current = now.0.div_euclid(STEP_MILLIS);
        // All steps are compared, so that the time does not tell which one was near.
        let fits = |step: i64| typed.len() == DIGITS && bool::from(self.code(step).as_bytes().ct_eq(typed.as_bytes()));
        let steps: Vec<i64> = (current - WINDOW..=current + WINDOW).filter(|step| fits(*step)).collect();
        steps.into_iter().find(|step| *step > last_step)
    }

    /// In base32, in groups of four, to be typed into an app.
    pub fn text(&self) -> String {
        let plain: Vec<char> = base32(&self.0).chars().collect();
        plain.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
    }

    /// What the picture says to an app.
    pub fn uri(&self, login: &str) -> String {
        let (login, secret) = (crate::show::query_encode(login), base32(&self.0));
        format!("otpauth://totp/Wartburg:{login}?secret={secret}&issuer=Wartburg&algorithm=SHA1&digits=6&period=30")
    }

    #[cfg(test)]
    pub(crate) fn code_at(&self, now: Timestamp) -> String {
        self.code(now.0.div_euclid(STEP_MILLIS))
    }
}

impl Default for Secret {
    fn default() -> Self {
        Self::new()
    }
}

/// RFC 4648, without padding; 20 bytes come out even.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut text, mut held, mut bits) = (String::new(), 0u32, 0);
    for byte in bytes {
        held = (held << 8 | u32::from(*byte)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET.get((held >> bits & 31) as usize).copied().unwrap_or(b'A')));
        }
    }
    text
}

/// The picture of a text as SVG: always dark on white, because phones read nothing else. One path, no script, no style.
pub fn picture(text: &str, label: &str) -> Option<crate::show::Markup> {
    /// The white rim that the standard demands, in modules.
    const RIM: usize = 4;
    let code = qrcode::QrCode::new(text).ok()?;
    let (width, size) = (code.width(), code.width() + 2 * RIM);
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == qrcode::Color::Dark {
            path.push_str(&format!("M{} {}h1v1h-1z", at % width + RIM, at / width + RIM));
        }
    }
    Some(crate::show::Markup::trusted(format!(
        "<svg class=\"qr\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/><path fill=\"#000\" d=\"{path}\"/></svg>",
        crate::show::escape(label)
    )))
}

/// Makes a secret that counts once a code of it was typed; an earlier one counts until then.
///
/// # Errors
/// The database's own.
pub fn totp_begin(tx: &Transaction<'_>, vault: &Vault, user: UserId, now: Timestamp) -> Result<(), DbError> {
    let sealed = vault.seal(PURPOSE, &user.to_string(), &Secret::new().0);
    tx.execute(
        "INSERT INTO totp (user_id, sealed, last_step, pending, pending_at) VALUES (?1, '', 0, ?2, ?3)
         ON CONFLICT (user_id) DO UPDATE SET pending = excluded.pending, pending_at = excluded.pending_at",
        params![user, sealed, now.0],
    )?;
    Ok(())
}

/// The secret that waits for its first code.
///
/// # Errors
/// The database's own.
pub fn totp_pending(connection: &Connection, vault: &Vault, user: UserId, now: Timestamp) -> Result<Option<Secret>, DbError> {
    let mut statement = connection.prepare_cached("SELECT pending FROM totp WHERE user_id = ?1 AND pending <> '' AND pending_at > ?2")?;
    let sealed: Option<String> = statement.query_row(params![user, now.0 - PENDING_MILLIS], |row| row.get(0)).optional()?;
    Ok(sealed.and_then(|sealed| vault.unseal(PURPOSE, &user.to_string(), &sealed)).map(Secret))
}

/// The first code of a new secret: from now on it counts. Whether it fitted.
///
/// # Errors
/// The database's own.
pub fn totp_confirm(tx: &Transaction<'_>, vault: &Vault, user: UserId, typed: &str, now: Timestamp) -> Result<bool, DbError> {
    let Some(step) = totp_pending(tx, vault, user, now)?.and_then(|secret| secret.step_of(typed, 0, now)) else { return Ok(false) };
    let changed = tx.execute(
        "UPDATE totp SET sealed = pending, last_step = ?2, confirmed_at = ?3, pending = '' WHERE user_id = ?1 AND pending <> ''",
        params![user, step, now.0],
    )?;
    Ok(changed == 1)
}

/// Uses a code up. Whether it fitted and had not been used.
///
/// # Errors
/// The database's own.
pub fn totp_use(tx: &Transaction<'_>, vault: &Vault, user: UserId, typed: &str, now: Timestamp) -> Result<bool, DbError> {
    let mut statement = tx.prepare_cached("SELECT sealed, last_step FROM totp WHERE user_id = ?1 AND confirmed_at IS NOT NULL")?;
    let found: Option<(String, i64)> = statement.query_row([user], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let step = found.and_then(|(sealed, last_step)| {
        let secret = vault.unseal(PURPOSE, &user.to_string(), &sealed).map(Secret)?;
        secret.step_of(typed, last_step, now)
    });
    let Some(step) = step else { return Ok(false) };
    Ok(tx.execute("UPDATE totp SET last_step = ?2 WHERE user_id = ?1 AND last_step < ?2", params![user, step])? == 1)
}

/// # Errors
/// The database's own.
pub fn totp_remove(tx: &Transaction<'_>, user: UserId) -> Result<(), DbError> {
    tx.execute("DELETE FROM totp WHERE user_id = ?1", [user])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use expect_test::expect;

    use super::*;
    use crate::proof::tests::db;

    const NOW: Timestamp = Timestamp(1_795_248_000_000);

    fn secret(bytes: &[u8]) -> Secret {
        Secret(Zeroizing::new(bytes.to_vec()))
    }

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn the_vectors_of_the_rfc() {
        let secret = secret(b"12345678901234567890");
        for (secs, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code_at(Timestamp(secs * 1_000)), code, "{secs}");
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn the_vectors_of_hotp() {
        let secret = secret(b"12345678901234567890");
        let codes: Vec<String> = (0..10).map(|step| secret.code(step)).collect();
        assert_eq!(codes, ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]);
        assert_eq!(base32(b"12345678901234567890"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn which_codes_fit() {
        let secret = secret(b"12345678901234567890");
        let step = NOW.0 / STEP_MILLIS;
        let code = |offset: i64| secret.code(step + offset);
        let spaced = format!(" {} {}", &code(0)[..3], &code(0)[3..]);
        let mut table = String::new();
        for (what, typed, last) in [
            ("now", code(0), 0),
            ("now, with blanks", spaced, 0),
            ("one step ago", code(-1), 0),
            ("one step ahead", code(1), 0),
            ("two steps ago", code(-2), 0),
            ("two steps ahead", code(2), 0),
            ("used", code(0), step),
            ("older than the one used", code(-1), step),
            ("newer than the one used", code(1), step),
            ("five digits", code(0)[1..].to_owned(), 0),
            ("seven digits", format!("0{}", code(0)), 0),
            ("nothing", String::new(), 0),
            ("other digits", code(0).chars().map(|ch| char::from_u32(ch as u32 - 0x30 + 0x660).unwrap()).collect(), 0),
        ] {
            let found = secret.step_of(&typed, last, NOW).map(|found| found - step);
            table += &format!("{what}: {found:?}\n");
        }
        expect![[r#"
            now: Some(0)
            now, with blanks: Some(0)
            one step ago: Some(-1)
            one step ahead: Some(1)
            two steps ago: None
            two steps ahead: None
            used: None
            older than the one used: None
            newer than the one used: Some(1)
            five digits: None
            seven digits: None
            nothing: None
            other digits: None
        "#]]
        .assert_eq(&table);
    }

    fn enrolled() -> (tempfile::TempDir, ingest::db::Db, UserId, Arc<Vault>, Secret) {
        let (dir, db, user) = db();
        let vault = Arc::new(Vault::default());
        let key = vault.clone();
        db.write(move |tx| totp_begin(tx, &key, user, NOW)).unwrap();
        let secret = db.read(|c| totp_pending(c, &vault, user, NOW)).unwrap().unwrap();
        let (key, code) = (vault.clone(), secret.code_at(NOW));
        assert!(db.write(move |tx| totp_confirm(tx, &key, user, &code, NOW)).unwrap());
        (dir, db, user, vault, secret)
    }

    #[test]
    fn a_secret_counts_from_its_first_code_and_waits_for_it_a_quarter_of_an_hour() {
        let (_dir, db, user) = db();
        let vault = Arc::new(Vault::default());
        let key = vault.clone();
        db.write(move |tx| totp_begin(tx, &key, user, NOW)).unwrap();
        let secret = db.read(|c| totp_pending(c, &vault, user, NOW)).unwrap().unwrap();
        let key = vault.clone();
        let (early, code) = (secret.code_at(NOW), secret.code_at(NOW));
        assert!(!db.write(move |tx| totp_use(tx, &key, user, &early, NOW)).unwrap(), "not confirmed");
        assert!(!db.read(|c| crate::proof::standing(c, user)).unwrap().totp);
        let late = NOW.plus(PENDING_MILLIS);
        assert!(db.read(|c| totp_pending(c, &vault, user, late)).unwrap().is_none());
        let key = vault.clone();
        assert!(!db.write(move |tx| totp_confirm(tx, &key, user, "000000", NOW)).unwrap());
        let key = vault.clone();
        assert!(db.write(move |tx| totp_confirm(tx, &key, user, &code, NOW)).unwrap());
        assert!(db.read(|c| crate::proof::standing(c, user)).unwrap().totp);
        assert!(db.read(|c| totp_pending(c, &vault, user, NOW)).unwrap().is_none());
        let stored: String = db.read(|c| c.query_row("SELECT sealed FROM totp", [], |row| row.get(0)).map_err(DbError::from)).unwrap();
        assert!(!stored.contains(&crate::session::hex(&secret.0)), "sealed at rest");
    }

    #[test]
    fn a_code_counts_once_even_for_many_at_once() {
        let (_dir, db, user, vault, secret) = enrolled();
        let again = secret.code_at(NOW);
        let key = vault.clone();
        assert!(!db.write(move |tx| totp_use(tx, &key, user, &again, NOW)).unwrap(), "the code that confirmed is used up");
        let later = NOW.plus(STEP_MILLIS);
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let (db, vault, code) = (db.clone(), vault.clone(), secret.code_at(later));
                std::thread::spawn(move || db.write(move |tx| totp_use(tx, &vault, user, &code, later)).unwrap())
            })
            .collect();
        let taken = threads.into_iter().map(|thread| thread.join().unwrap()).filter(|taken| *taken).count();
        assert_eq!(taken, 1);
    }

    #[test]
    fn the_picture_is_one_path_and_escapes_its_label() {
        let picture = picture(&Secret::new().uri("a\"<b>"), "Code für \"<b>\"").unwrap();
        assert!(
            picture.as_str().starts_with("<svg class=\"qr\" role=\"img\" aria-label=\"Code für &quot;&lt;b&gt;&quot;\""),
            "{}",
            &picture.as_str()[..120]
        );
        assert!(!picture.as_str().contains("style") && picture.as_str().matches("<path").count() == 1);
    }
}
