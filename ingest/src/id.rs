//! Identities: ULIDs in types of their own, made from a given moment and the system's randomness.

/// Declares an identity: a ULID that prints, parses and is stored as its 26 characters.
#[macro_export]
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $crate::id::Ulid);

        impl $name {
            /// A fresh identity whose leading part is `now`, so that rows sort by creation.
            pub fn new(now: $crate::time::Timestamp) -> Self {
                Self($crate::id::ulid_new(now))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::id::IdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $crate::id::ulid_parse(text).map(Self)
            }
        }

        impl $crate::rusqlite::ToSql for $name {
            fn to_sql(&self) -> $crate::rusqlite::Result<$crate::rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.to_string().into())
            }
        }

        impl $crate::rusqlite::types::FromSql for $name {
            fn column_result(value: $crate::rusqlite::types::ValueRef<'_>) -> $crate::rusqlite::types::FromSqlResult<Self> {
                value.as_str()?.parse().map_err($crate::rusqlite::types::FromSqlError::other)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

use std::cell::Cell;

pub use ulid::Ulid;

use crate::time::Timestamp;

/// A text that should have been a ULID.
#[derive(Debug, thiserror::Error)]
#[error("not an identity (26 letters and digits): {0:?}")]
pub struct IdError(String);

thread_local! {
    static LAST: Cell<Ulid> = const { Cell::new(Ulid(0)) };
}

/// A fresh ULID. Within one millisecond each is greater than the one before from the same thread, so that what the
/// database's one writer records at once keeps its order.
pub fn ulid_new(now: Timestamp) -> Ulid {
    let fresh = Ulid::from_parts(now.0.max(0).unsigned_abs(), u128::from_le_bytes(random_bytes()));
    let last = LAST.get();
    let next = if last.timestamp_ms() == fresh.timestamp_ms() { Ulid(last.0.wrapping_add(1)) } else { fresh };
    LAST.set(next);
    next
}

pub fn ulid_parse(text: &str) -> Result<Ulid, IdError> {
    Ulid::from_string(text).map_err(|_| IdError(text.chars().take(40).collect()))
}

/// Bytes from the operating system's generator, for tokens and identities.
///
/// # Panics
/// Where the system has no randomness to give: nothing that needs a secret may go on then.
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_of_one_moment_keep_their_order() {
        let all: Vec<Ulid> = (0..100).map(|_| ulid_new(Timestamp(5))).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ulid_new(Timestamp(7)) > ulid_new(Timestamp(6)));
    }
}
