//! Recovery codes: ten on paper for the day the phone is gone, each good once. A code has 80 random bits, which nobody
//! tries out even with the hashes in hand: so a plain SHA-256 will do, where passwords need argon2. The salt makes
//! equal codes of two accounts different rows, and a table of hashes made beforehand worthless.

use ingest::db::DbError;
use ingest::rusqlite::{Transaction, params};
use ingest::time::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::session::hex;
use crate::user::UserId;

pub const CODES: usize = 10;
/// From here on down the owner is reminded to make new ones.
pub const FEW: usize = 3;
/// Five bits each: 80 bits.
const CHARS: usize = 16;
/// No letter that is read as another: without I, L, O and U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

ingest::id_type!(
    /// A code's row.
    RecoveryId
);

/// Makes ten codes in the place of those before; they are given out here and never again.
///
/// # Errors
/// The database's own.
pub fn recovery_make(tx: &Transaction<'_>, user: UserId, now: Timestamp) -> Result<Vec<String>, DbError> {
    tx.execute("DELETE FROM recovery_code WHERE user_id = ?1", [user])?;
    let codes: Vec<String> = (0..CODES).map(|_| code()).collect();
    for code in &codes {
        let salt = hex(&ingest::id::random_bytes::<16>());
        let hash = hash(&salt, &normal(code));
        tx.execute(
            "INSERT INTO recovery_code (id, user_id, salt, hash) VALUES (?1, ?2, ?3, ?4)",
            params![RecoveryId::new(now), user, salt, hash],
        )?;
    }
    Ok(codes)
}

/// Uses a code up. Whether it fitted and had not been used.
///
/// # Errors
/// The database's own.
pub fn recovery_use(tx: &Transaction<'_>, user: UserId, typed: &str, now: Timestamp) -> Result<bool, DbError> {
    let typed = normal(typed);
    let mut statement = tx.prepare_cached("SELECT id, salt, hash FROM recovery_code WHERE user_id = ?1 AND used_at IS NULL ORDER BY id")?;
    let rows = statement.query_map([user], |row| Ok((row.get::<_, RecoveryId>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?)))?;
    // All rows are compared, so that the time does not tell which one fitted.
    let mut found = None;
    for row in rows {
        let (id, salt, stored) = row?;
        if bool::from(hash(&salt, &typed).as_bytes().ct_eq(stored.as_bytes())) {
            found = Some(id);
        }
    }
    let Some(id) = found else { return Ok(false) };
    Ok(tx.execute("UPDATE recovery_code SET used_at = ?2 WHERE id = ?1 AND used_at IS NULL", params![id, now.0])? == 1)
}

fn code() -> String {
    let letter = |byte: u8| ALPHABET.get(usize::from(byte & 31)).copied().map_or('0', char::from);
    let letters: Vec<char> = ingest::id::random_bytes::<CHARS>().map(letter).to_vec();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// As people type it: any case, with or without dashes, O for 0, I and L for 1.
fn normal(typed: &str) -> String {
    let letters = typed.chars().filter(char::is_ascii_alphanumeric).map(|ch| match ch.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    });
    letters.take(CHARS + 1).collect()
}

fn hash(salt: &str, code: &str) -> String {
    let mut sha = Sha256::new();
    sha.update(b"wartburg recovery 1\0");
    sha.update(salt.as_bytes());
    sha.update(code.as_bytes());
    hex(&sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proof::standing;
    use crate::proof::tests::db;

    #[test]
    fn ten_codes_each_good_once_and_for_one_account() {
        let (_dir, db, user) = db();
        let codes = db.write(move |tx| recovery_make(tx, user, Timestamp(1))).unwrap();
        assert_eq!(codes.iter().collect::<std::collections::HashSet<_>>().len(), CODES);
        assert!(codes.iter().all(|code| code.len() == CHARS + 3 && normal(code).len() == CHARS));
        let take = |user: UserId, typed: &str| {
            let typed = typed.to_owned();
            db.write(move |tx| recovery_use(tx, user, &typed, Timestamp(2))).unwrap()
        };
        let left = || db.read(|c| standing(c, user)).unwrap().recovery_left;
        assert!(!take(UserId::new(Timestamp(9)), &codes[0]), "somebody else's");
        assert!(!take(user, "") && !take(user, "0000-0000-0000-0000") && !take(user, &format!("{}0", codes[0])));
        assert!(take(user, &codes[0].to_lowercase().replace('-', " ").replace('1', "l").replace('0', "o")));
        assert!(!take(user, &codes[0]), "used");
        assert_eq!(left(), 9);
        let fresh = db.write(move |tx| recovery_make(tx, user, Timestamp(3))).unwrap();
        assert!(!take(user, &codes[1]) && take(user, &fresh[1]), "new ones end the old");
        assert_eq!(left(), 9);
    }

    #[test]
    fn the_database_holds_no_code() {
        let (_dir, db, user) = db();
        let codes = db.write(move |tx| recovery_make(tx, user, Timestamp(1))).unwrap();
        let all: String = db
            .read(|c| c.query_row("SELECT group_concat(salt || hash) FROM recovery_code", [], |row| row.get(0)).map_err(DbError::from))
            .unwrap();
        assert!(codes.iter().all(|code| !all.to_uppercase().contains(&normal(code))));
    }
}
