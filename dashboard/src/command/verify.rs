//! `verify`: is everything as it was written? The journal first, then the audit log with its chain, its signed roots and
//! their signatures, then the files of cases by their hashes. Takes no lock and writes nothing, so it may run beside the server.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use detect::exhibit::{Fault, Locker, exhibits_verify};
use ingest::audit::{AuditFault, Head, RootFault, audit_verify, roots_read, roots_verify};
use ingest::db::{Db, DbError};
use serde_json::json;

use super::SOME_FAILED;
use super::journal::verify_journal;
use crate::cli::VerifyAllArgs;
use crate::node::exhibits_dir;
use crate::show;

pub(super) fn verify(args: &VerifyAllArgs, dir: &Path, out: &mut dyn Write) -> Result<ExitCode> {
    let journal = verify_journal(&args.journal, dir, out)?;
    let audit = verify_audit(args, dir, out)?;
    let exhibits = verify_exhibits(args.journal.json, dir, out)?;
    Ok(if journal && audit && exhibits { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

/// Every file of every case, hashed anew.
fn verify_exhibits(json: bool, dir: &Path, out: &mut dyn Write) -> Result<bool> {
    let path = dir.join("wartburg.db");
    if !path.exists() {
        return Ok(true);
    }
    let locker = Locker::reader(&exhibits_dir(dir));
    let found = Db::peek(&path, |c| {
        // An older server's database has none, and whoever only looks changes no database.
        let known = c.query_row("SELECT COUNT(*) FROM sqlite_master WHERE name = 'exhibit'", [], |row| row.get::<_, i64>(0))?;
        Ok::<_, DbError>(if known == 1 { Some(exhibits_verify(c, &locker)) } else { None })
    });
    let Some(found) = found.context("Beweismittel prüfen")? else { return Ok(true) };
    let (count, faults) = found.context("Beweismittel prüfen")?;
    if json {
        let faults: Vec<_> = faults.iter().map(|(sha256, fault)| json!({ "sha256": sha256, "fault": fault_name(*fault) })).collect();
        writeln!(out, "{}", json!({ "part": "exhibits", "sound": faults.is_empty(), "files": count, "faults": faults }))?;
    } else if count > 0 {
        for (sha256, fault) in &faults {
            let what = if *fault == Fault::Missing { "fehlt" } else { "wurde verändert" };
            writeln!(out, "Beweismittel {sha256}: Die Datei {what}.")?;
        }
        let end = if faults.is_empty() { "sind unverändert" } else { "sind NICHT in Ordnung" };
        writeln!(out, "Beweismittel: {} Dateien, sie {end}.", show::num(count as u64))?;
    }
    Ok(faults.is_empty())
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Missing => "missing",
        Fault::Changed => "changed",
    }
}

/// What was found in the audit log.
struct Found {
    head: Result<Head, AuditFault>,
    /// How many there are; asked only where the chain is whole.
    roots: Option<Result<usize, RootFault>>,
}

fn verify_audit(args: &VerifyAllArgs, dir: &Path, out: &mut dyn Write) -> Result<bool> {
    let path = dir.join("wartburg.db");
    let roots = roots_read(dir).context("Unterschriebene Stände lesen")?;
    if !path.exists() {
        return without_database(args.journal.json, &roots, out);
    }
    let found = Db::peek(&path, |c| {
        // Chain and roots at the same moment: the server may be writing.
        c.execute_batch("BEGIN")?;
        let head = audit_verify(c, None)?;
        let roots = if head.is_ok() { Some(roots_verify(c, &roots, None, args.root.as_deref())?) } else { None };
        c.execute_batch("COMMIT")?;
        Ok::<_, DbError>(Found { head, roots })
    });
    let found = found.context("Protokoll prüfen")?;
    let sound = found.head.is_ok() && matches!(found.roots, Some(Ok(_)));
    if args.journal.json {
        writeln!(out, "{}", report_json(&found, sound))?;
    } else {
        for line in report_lines(&found, &roots) {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", if sound { "Das Protokoll ist in Ordnung." } else { "Das Protokoll ist NICHT in Ordnung." })?;
    }
    Ok(sound)
}

/// A journal alone, as `journal` commands are tried out on; but roots without a database are the trace of one.
fn without_database(json: bool, roots: &str, out: &mut dyn Write) -> Result<bool> {
    let sound = roots.is_empty();
    match (sound, json) {
        (_, true) => {
            writeln!(out, "{}", json!({ "part": "audit", "sound": sound, "rows": 0, "fault": (!sound).then_some("database missing") }))?
        }
        (false, false) => writeln!(out, "Es gibt unterschriebene Stände, aber die Datenbank mit dem Protokoll fehlt.")?,
        (true, false) => {}
    }
    Ok(sound)
}

fn report_json(found: &Found, sound: bool) -> serde_json::Value {
    let fault = match (&found.head, &found.roots) {
        (Err(fault), _) => Some(fault.to_string()),
        (_, Some(Err(fault))) => Some(fault.to_string()),
        _ => None,
    };
    json!({
        "part": "audit",
        "sound": sound,
        "rows": found.head.as_ref().map_or(0, |head| head.n),
        "chain": found.head.as_ref().map_or("", |head| head.hash.as_str()),
        "roots": found.roots.as_ref().and_then(|roots| roots.as_ref().ok()),
        "fault": fault,
    })
}

fn report_lines(found: &Found, roots: &str) -> Vec<String> {
    let head = match &found.head {
        Err(fault) => return vec![format!("Protokoll: {}", fault_words(fault))],
        Ok(head) => head,
    };
    let mut lines =
        vec![format!("Protokoll: {} Zeilen, die Kette endet mit {}", show::num(head.n), if head.n == 0 { "–" } else { &head.hash })];
    match &found.roots {
        Some(Ok(0)) => lines.push("Noch kein unterschriebener Stand; der erste kommt, sobald der Server eine Minute läuft.".into()),
        Some(Ok(count)) => {
            let last = roots.lines().last().unwrap_or_default();
            lines.push(format!(
                "{} unterschriebene Stände stimmen mit der Kette überein; der letzte:",
                show::num(i64::try_from(*count).unwrap_or(0))
            ));
            lines.push(format!("  {}", show::safe(last)));
        }
        Some(Err(fault)) => lines.push(format!("Protokoll: {}", root_fault_words(fault))),
        None => {}
    }
    lines
}

fn fault_words(fault: &AuditFault) -> String {
    match fault {
        AuditFault::Missing(n) => format!("Zeile {n} fehlt."),
        AuditFault::Changed(n) => format!("Zeile {n} wurde nachträglich geändert."),
        AuditFault::Unlinked(n) => format!("Zeile {n} folgt nicht auf die davor: Es wurde etwas entfernt, eingefügt oder vertauscht."),
        AuditFault::End(n) => format!("Das Ende ist nicht das vermerkte: Hinter Zeile {n} wurde etwas entfernt oder angehängt."),
        AuditFault::UnknownHead => "Die Kette enthält den notierten Stand nicht: Sie wurde neu geschrieben.".into(),
    }
}

fn root_fault_words(fault: &RootFault) -> String {
    match fault {
        RootFault::Line(line) => format!("Zeile {line} der unterschriebenen Stände ist keine, wie wir sie schreiben."),
        RootFault::Signature(line) => {
            format!("Die Unterschrift von Stand {line} stimmt nicht, oder ein Stand davor wurde entfernt.")
        }
        RootFault::Key(line) => format!("Stand {line} ist mit einem anderen Schlüssel unterschrieben als die davor."),
        RootFault::Order(line) => format!("Stand {line} ist älter als der davor."),
        RootFault::CutOff { line, n } => {
            format!("Stand {line} kennt Zeile {n}, die es nicht mehr gibt: Das Ende des Protokolls wurde abgeschnitten.")
        }
        RootFault::Rewritten { line, n } => {
            format!("Stand {line} kennt Zeile {n} anders: Das Protokoll wurde neu geschrieben.")
        }
        RootFault::NotInFile(n) => format!("Der Stand, von dem Zeile {n} erzählt, fehlt in der Datei."),
        RootFault::Unknown => "Der notierte Stand ist nicht unter den unterschriebenen.".into(),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use ingest::audit::{NewAudit, ROOTS_DIR, RootKey, audit_add, root_sign};
    use ingest::time::Timestamp;

    use super::*;
    use crate::cli::VerifyArgs;

    fn filled(dir: &Path) -> Db {
        let db = crate::node::database(dir).unwrap();
        let key = RootKey::open(&dir.join("keys")).unwrap();
        for n in 1..=4 {
            let new = NewAudit { actor: "u".into(), kind: "incident.seen", object: "incident:1".into(), detail: json!({ "n": n }) };
            db.write(move |tx| audit_add(tx, Timestamp(n), &new)).unwrap();
            if n == 3 {
                root_sign(&db, &key, dir, Timestamp(n)).unwrap();
            }
        }
        db
    }

    fn check(sql: &'static str, roots: impl Fn(String) -> String, noted: Option<&str>, expected: Expect) {
        let dir = tempfile::tempdir().unwrap();
        let db = filled(dir.path());
        db.write(move |tx| tx.execute_batch(sql).map_err(DbError::from)).unwrap();
        db.close();
        let file = dir.path().join(ROOTS_DIR).join("roots.txt");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, roots(text.clone())).unwrap();
        let args = |json: bool| VerifyAllArgs { journal: VerifyArgs { chain: None, json }, root: noted.map(str::to_owned) };
        let mut out = Vec::new();
        let sound = verify_audit(&args(false), dir.path(), &mut out).unwrap();
        let mut json = Vec::new();
        assert_eq!(verify_audit(&args(true), dir.path(), &mut json).unwrap(), sound);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((json["part"].as_str(), json["sound"].as_bool(), json["fault"].is_null()), (Some("audit"), Some(sound), sound));
        // Keys and hashes are others each time.
        let long = regex::Regex::new("[0-9a-f]{64,}").unwrap();
        expected.assert_eq(&long.replace_all(&String::from_utf8(out).unwrap(), "…"));
    }

    #[test]
    fn what_verify_says() {
        let same = |text: String| text;
        check(
            "",
            same,
            None,
            expect![[r#"
            Protokoll: 5 Zeilen, die Kette endet mit …
            1 unterschriebene Stände stimmen mit der Kette überein; der letzte:
              1970-01-01T00:00:00.000Z 3 … … …
            Das Protokoll ist in Ordnung.
        "#]],
        );
        check(
            "",
            same,
            Some("beef"),
            expect![[r#"
            Protokoll: 5 Zeilen, die Kette endet mit …
            Protokoll: Der notierte Stand ist nicht unter den unterschriebenen.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
        check(
            "UPDATE audit SET actor = 'x' WHERE n = 2",
            same,
            None,
            expect![[r#"
            Protokoll: Zeile 2 wurde nachträglich geändert.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
        check(
            "DELETE FROM audit WHERE n = 2",
            same,
            None,
            expect![[r#"
            Protokoll: Zeile 2 fehlt.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
        check(
            "DELETE FROM audit WHERE n = 5",
            same,
            None,
            expect![[r#"
            Protokoll: Das Ende ist nicht das vermerkte: Hinter Zeile 4 wurde etwas entfernt oder angehängt.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
        check(
            "DELETE FROM audit WHERE n > 2; UPDATE audit_head SET n = 2, hash = (SELECT hash FROM audit WHERE n = 2)",
            same,
            None,
            expect![[r#"
                Protokoll: 2 Zeilen, die Kette endet mit …
                Protokoll: Stand 1 kennt Zeile 3, die es nicht mehr gibt: Das Ende des Protokolls wurde abgeschnitten.
                Das Protokoll ist NICHT in Ordnung.
            "#]],
        );
        check(
            "",
            |_| String::new(),
            None,
            expect![[r#"
            Protokoll: 5 Zeilen, die Kette endet mit …
            Protokoll: Der Stand, von dem Zeile 4 erzählt, fehlt in der Datei.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
        check(
            "",
            |text| text.replace(" 3 ", " 2 "),
            None,
            expect![[r#"
            Protokoll: 5 Zeilen, die Kette endet mit …
            Protokoll: Die Unterschrift von Stand 1 stimmt nicht, oder ein Stand davor wurde entfernt.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
        check(
            "",
            |text| format!("x{text}"),
            None,
            expect![[r#"
            Protokoll: 5 Zeilen, die Kette endet mit …
            Protokoll: Zeile 1 der unterschriebenen Stände ist keine, wie wir sie schreiben.
            Das Protokoll ist NICHT in Ordnung.
        "#]],
        );
    }
}
