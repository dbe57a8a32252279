//! The columns that sources have declared, over restarts: rows are only ever added, each from a frame on, so that a line
//! decoded again is read by what was declared when it came. What they mean is `decode`'s.

use rusqlite::{Connection, Transaction, params};

use crate::db::DbError;
use crate::decode::memory::Declaration;
use crate::frame::{Seq, Transport};

/// All declarations in the order of their frames; one that this program cannot read is left out.
///
/// # Errors
/// The database's own.
pub fn declaration_list(connection: &Connection) -> Result<Vec<Declaration>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT site, peer, transport, host, tag, since, columns FROM source_columns ORDER BY since, tag")?;
    let rows = statement.query_map([], |row| {
        let (site, peer, transport): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let transport = u8::try_from(transport).ok().and_then(Transport::from_u8);
        let (host, tag, since, columns): (String, String, i64, String) = (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
        Ok((|| {
            Some(Declaration {
                site: site.parse().ok()?,
                peer: peer.parse().ok()?,
                transport: transport?,
                host,
                tag,
                since: Seq(u64::try_from(since).ok()?),
                columns,
            })
        })())
    })?;
    let all: Vec<Option<Declaration>> = rows.collect::<Result<_, _>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// Adds declarations; one that is there already stays as it is.
///
/// # Errors
/// The database's own.
pub fn declaration_add(tx: &Transaction<'_>, declarations: &[Declaration]) -> Result<(), DbError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO source_columns (site, peer, transport, host, tag, since, columns) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (site, peer, transport, host, tag, since) DO NOTHING",
    )?;
    for one in declarations {
        let since = i64::try_from(one.since.0).unwrap_or(i64::MAX);
        statement.execute(params![
            one.site.to_string(),
            one.peer.to_string(),
            i64::from(one.transport as u8),
            one.host,
            one.tag,
            since,
            one.columns
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::SiteId;
    use crate::db::Db;
    use crate::decode::memory::SharedMemory;

    #[test]
    fn declarations_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("w.db"), &[super::super::MIGRATIONS]).unwrap();
        let declared: Vec<Declaration> = [(20, "#Fields: date time s-ip c-ip"), (7, "#Fields: date time c-ip s-ip")]
            .map(|(since, columns)| Declaration {
                site: SiteId(crate::id::Ulid(1)),
                peer: "2001:db8::1".parse().unwrap(),
                transport: Transport::Relp,
                host: "web".into(),
                tag: "iis".into(),
                since: Seq(since),
                columns: columns.into(),
            })
            .into();
        for _ in 0..2 {
            let declared = declared.clone();
            db.write(move |tx| declaration_add(tx, &declared)).unwrap();
        }
        let loaded = db.read(declaration_list).unwrap();
        assert_eq!(loaded, [declared[1].clone(), declared[0].clone()]);
        assert!(SharedMemory::restored(loaded).take_unsaved().is_empty());
    }
}
