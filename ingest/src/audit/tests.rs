//! The chain as somebody meets it who wants to hide something: every single byte, every row, the order, the end, and the
//! end together with the note of where it was.

use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::db::Db;

fn filled(dir: &std::path::Path) -> Db {
    let db = Db::open(&dir.join("w.db"), &[MIGRATIONS]).unwrap();
    for n in 0..5 {
        let new = NewAudit { actor: format!("u{n}"), kind: "test.done", object: "o".into(), detail: json!({ "n": n }) };
        db.write(move |tx| audit_add(tx, Timestamp(n), &new)).unwrap();
    }
    db
}

fn verify(db: &Db) -> Result<Head, AuditFault> {
    db.read(|c| audit_verify(c, None)).unwrap()
}

#[test]
fn a_whole_chain_is_whole_and_contains_its_earlier_heads() {
    let dir = tempfile::tempdir().unwrap();
    let db = filled(dir.path());
    let rows = db.read(|c| audit_list(c, None, 10)).unwrap();
    assert_eq!(rows.iter().map(|row| row.n).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    assert_eq!(verify(&db).unwrap(), Head { n: 5, hash: rows[0].hash.clone() });
    let noted = |head: &str| db.read(|c| audit_verify(c, Some(head))).unwrap();
    assert!(noted(&rows[3].hash).is_ok());
    assert_eq!(noted("beef"), Err(AuditFault::UnknownHead));
    assert_eq!(db.read(|c| audit_of(c, "o")).unwrap().len(), 5);
}

#[test]
fn an_empty_chain_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("w.db"), &[MIGRATIONS]).unwrap();
    assert_eq!(verify(&db), Ok(Head::default()));
}

#[test]
fn any_change_removal_or_reorder_is_found() {
    for (what, sql, fault) in [
        ("the time", "UPDATE audit SET at = 7 WHERE n = 2", AuditFault::Changed(2)),
        ("who", "UPDATE audit SET actor = 'u9' WHERE n = 2", AuditFault::Changed(2)),
        ("what", "UPDATE audit SET kind = 'test.undone' WHERE n = 2", AuditFault::Changed(2)),
        ("to what", "UPDATE audit SET object = 'p' WHERE n = 2", AuditFault::Changed(2)),
        ("the detail", "UPDATE audit SET detail = '{}' WHERE n = 5", AuditFault::Changed(5)),
        ("between two parts", "UPDATE audit SET actor = 'u1t', kind = 'est.done' WHERE n = 2", AuditFault::Changed(2)),
        ("the link", "UPDATE audit SET prev = 'x' WHERE n = 3", AuditFault::Unlinked(3)),
        ("the hash", "UPDATE audit SET hash = 'x' WHERE n = 3", AuditFault::Changed(3)),
        ("the first taken out", "DELETE FROM audit WHERE n = 1", AuditFault::Missing(1)),
        ("one taken out", "DELETE FROM audit WHERE n = 3", AuditFault::Missing(3)),
        (
            "one taken out, the rest moved up",
            "DELETE FROM audit WHERE n = 3; UPDATE audit SET n = n - 1 WHERE n > 3",
            AuditFault::Unlinked(3),
        ),
        ("the last taken out", "DELETE FROM audit WHERE n = 5", AuditFault::End(4)),
        ("all taken out", "DELETE FROM audit", AuditFault::End(0)),
        (
            "two exchanged",
            "UPDATE audit SET n = 9 WHERE n = 2; UPDATE audit SET n = 2 WHERE n = 3; UPDATE audit SET n = 3 WHERE n = 9",
            AuditFault::Unlinked(2),
        ),
        (
            "one put in at the end",
            "INSERT INTO audit SELECT 6, at, actor, kind, object, detail, hash, 'x' FROM audit WHERE n = 5",
            AuditFault::Changed(6),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let db = filled(dir.path());
        db.write(move |tx| tx.execute_batch(sql).map_err(DbError::from)).unwrap();
        assert_eq!(verify(&db), Err(fault), "{what}");
    }
}

/// A database whose rows are like real ones, and which has a root after `signed` of them.
fn told(dir: &Path, count: i64, signed: i64) -> (Db, String) {
    let db = Db::open(&dir.join("w.db"), &[MIGRATIONS]).unwrap();
    let key = RootKey::open(&dir.join("keys")).unwrap();
    for n in 1..=count {
        let new = NewAudit {
            actor: format!("u{}", n % 3),
            kind: "incident.seen",
            object: format!("incident:TC-2026-{n:06}"),
            detail: json!({ "n": n, "wort": "Größe" }),
        };
        db.write(move |tx| audit_add(tx, Timestamp(n * 1_000), &new)).unwrap();
        if n == signed {
            root_sign(&db, &key, dir, Timestamp(n * 1_000)).unwrap().unwrap();
        }
    }
    let roots = roots_read(dir).unwrap();
    (db, roots)
}

/// Whether chain and roots are whole.
fn is_whole(db: &Db, roots: &str) -> bool {
    db.read(|c| Ok::<_, DbError>(audit_verify(c, None)?.is_ok() && roots_verify(c, roots, None, None)?.is_ok())).unwrap()
}

const COLUMNS: [&str; 8] = ["n", "at", "actor", "kind", "object", "detail", "prev", "hash"];

fn execute(db: &Db, sql: String) -> usize {
    db.write(move |tx| tx.execute(&sql, []).map_err(DbError::from)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn any_byte_of_any_column_of_any_row(row in 1i64..=9, column in 0usize..8, place in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let dir = tempfile::tempdir().unwrap();
        let (db, roots) = told(dir.path(), 8, 5);
        prop_assert!(is_whole(&db, &roots));
        let column = COLUMNS[column];
        if ["n", "at"].contains(&column) {
            // A number that another row has is refused by the key itself.
            let bit = if column == "n" { 4 + place.index(58) } else { place.index(62) };
            let changed = execute(&db, format!("UPDATE audit SET {column} = {column} + {} WHERE n = {row}", 1i64 << bit));
            prop_assert_eq!(changed, 1);
        } else {
            let hex: String = db
                .read(|c| c.query_row(&format!("SELECT hex({column}) FROM audit WHERE n = {row}"), [], |row| row.get(0)).map_err(DbError::from))
                .unwrap();
            // The first row follows nothing: there is no byte to change, but one can be put in.
            let hex = if hex.is_empty() { "00".to_owned() } else { hex };
            let at = place.index(hex.len() / 2) * 2;
            let byte = u8::from_str_radix(&hex[at..at + 2], 16).unwrap() ^ flip;
            let new = format!("{}{byte:02x}{}", &hex[..at], &hex[at + 2..]);
            prop_assert_eq!(execute(&db, format!("UPDATE audit SET {column} = CAST(x'{new}' AS TEXT) WHERE n = {row}")), 1);
        }
        prop_assert!(!is_whole(&db, &roots), "{column} of row {row}");
    }

    #[test]
    fn any_byte_of_the_roots(place in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let dir = tempfile::tempdir().unwrap();
        let (db, roots) = told(dir.path(), 4, 2);
        let mut bytes = roots.into_bytes();
        let at = place.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert!(!is_whole(&db, &String::from_utf8_lossy(&bytes)));
        bytes.truncate(at);
        prop_assert!(!is_whole(&db, &String::from_utf8_lossy(&bytes)), "cut at {at}");
    }

    #[test]
    fn any_rows_taken_out_or_exchanged(from in 1i64..=9, to in 1i64..=9) {
        let dir = tempfile::tempdir().unwrap();
        let (db, roots) = told(dir.path(), 8, 5);
        let (low, high) = (from.min(to), from.max(to));
        execute(&db, format!("DELETE FROM audit WHERE n BETWEEN {low} AND {high}"));
        prop_assert!(!is_whole(&db, &roots), "without {low} to {high}");
        let other = tempfile::tempdir().unwrap();
        let (db, roots) = told(other.path(), 8, 5);
        if from != to {
            for (a, b) in [(from, 100), (to, from), (100, to)] {
                execute(&db, format!("UPDATE audit SET n = {b} WHERE n = {a}"));
            }
            prop_assert!(!is_whole(&db, &roots), "{from} and {to} exchanged");
        }
    }

    /// Whoever cuts the end off and moves the head with it is found by the roots, if one stood behind the cut.
    #[test]
    fn the_end_together_with_the_head(keep in 0i64..=5) {
        let dir = tempfile::tempdir().unwrap();
        let (db, roots) = told(dir.path(), 8, 5);
        let cut = |keep: i64| {
            execute(&db, format!("DELETE FROM audit WHERE n > {keep}"));
            execute(&db, format!("UPDATE audit_head SET n = {keep}, hash = (SELECT hash FROM audit WHERE n = {keep}) WHERE n > 0 AND {keep} > 0"));
            execute(&db, format!("DELETE FROM audit_head WHERE {keep} = 0"));
        };
        cut(keep);
        prop_assert!(db.read(|c| audit_verify(c, None)).unwrap().is_ok(), "the chain alone does not tell");
        prop_assert!(!is_whole(&db, &roots), "the roots do: {keep}");
    }

    /// All rows made anew, with a head that fits, as somebody would who can write the database.
    #[test]
    fn a_chain_made_anew(changed in 1i64..=5) {
        let dir = tempfile::tempdir().unwrap();
        let (db, roots) = told(dir.path(), 8, 5);
        let rows = db.read(|c| audit_list(c, None, 100)).unwrap();
        execute(&db, "DELETE FROM audit".into());
        execute(&db, "DELETE FROM audit_head".into());
        for row in rows.into_iter().rev() {
            let kind = if row.n == changed { "incident.unseen" } else if row.kind == ROOT_KIND { ROOT_KIND } else { "incident.seen" };
            let new = NewAudit { actor: row.actor, kind, object: row.object, detail: row.detail };
            db.write(move |tx| audit_add(tx, row.at, &new)).unwrap();
        }
        prop_assert!(db.read(|c| audit_verify(c, None)).unwrap().is_ok(), "the chain alone does not tell");
        prop_assert!(!is_whole(&db, &roots));
    }
}

#[test]
fn a_root_is_signed_once_a_day_and_the_file_catches_up() {
    let dir = tempfile::tempdir().unwrap();
    let (db, first) = told(dir.path(), 3, 2);
    let key = RootKey::open(&dir.path().join("keys")).unwrap();
    let sign = |at: i64| root_sign(&db, &key, dir.path(), Timestamp(at)).unwrap().map(|root| root.n);
    assert_eq!(sign(5_000), None, "the same day");
    assert_eq!(sign(Timestamp::DAY), Some(4));
    assert_eq!(sign(3 * Timestamp::DAY), Some(5), "days on which nothing ran are not made up");
    let all = roots_read(dir.path()).unwrap();
    assert!(all.starts_with(&first) && all.lines().count() == 3);
    // After a crash between the row and the file.
    std::fs::write(dir.path().join(ROOTS_DIR).join("roots.txt"), &first).unwrap();
    let check = |text: &str, noted: Option<&str>| db.read(|c| roots_verify(c, text, Some(&key.public()), noted)).unwrap();
    assert_eq!(check(&first, None), Err(RootFault::NotInFile(5)));
    assert_eq!(sign(3 * Timestamp::DAY), None);
    assert_eq!(roots_read(dir.path()).unwrap(), all);
    assert_eq!(check(&all, None), Ok(3));
    assert_eq!(check(&all, all.lines().nth(1)), Ok(3));
    assert_eq!(check(&all, Some("beef")), Err(RootFault::Unknown));
    let without: String = all.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, line)| format!("{line}\n")).collect();
    assert_eq!(check(&without, None), Err(RootFault::Signature(2)));
    let other = RootKey::open(&dir.path().join("other")).unwrap();
    assert_eq!(db.read(|c| roots_verify(c, &all, Some(&other.public()), None)).unwrap(), Err(RootFault::Key(1)));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(dir.path().join("keys/audit-root.pk8")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn rows_are_found_by_who_what_when_and_a_word_page_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let (db, _) = told(dir.path(), 20, 20);
    let find = |filter: AuditFilter| {
        let page =
            db.read(|c| audit_find(c, &AuditFilter { limit: if filter.limit == 0 { 100 } else { filter.limit }, ..filter })).unwrap();
        (page.rows.iter().map(|row| row.n).collect::<Vec<_>>(), page.next)
    };
    let filter = AuditFilter::default;
    assert_eq!(find(filter()).0.len(), 21);
    assert_eq!(find(AuditFilter { limit: 4, ..filter() }), (vec![21, 20, 19, 18], Some(18)));
    assert_eq!(find(AuditFilter { limit: 4, before: Some(4), ..filter() }), (vec![3, 2, 1], None));
    assert_eq!(find(AuditFilter { actor: Some("u0".into()), ..filter() }).0, [18, 15, 12, 9, 6, 3]);
    assert_eq!(find(AuditFilter { kind: "audit.".into(), ..filter() }).0, [21]);
    assert_eq!(find(AuditFilter { kind: "incident.seen".into(), limit: 1, ..filter() }).0, [20]);
    assert_eq!(find(AuditFilter { object: "incident:TC-2026-00000".into(), ..filter() }).0.len(), 9);
    assert_eq!(find(AuditFilter { from: Some(Timestamp(3_000)), to: Some(Timestamp(5_000)), ..filter() }).0, [4, 3]);
    assert_eq!(find(AuditFilter { text: "\"N\":17".into(), ..filter() }).0, [17]);
    for nothing in ["%", "_____", "\\", "' OR 1=1 --"] {
        assert_eq!(find(AuditFilter { object: nothing.into(), ..filter() }).0.len(), 0, "{nothing}");
    }
}
