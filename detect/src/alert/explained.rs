//! Why an alert's rule fired, kept beside its evidence: of single records the first few, of what is counted the newest.

use std::collections::HashMap;

use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::scope::Scope;

use super::{AlertId, seq_sql};
use crate::explanation::{Because, Explanation};
use crate::finding::Finding;
use crate::incident::{ROWS_MAX, Where};

/// Records explained of one alert: the first tell the story, and what comes after reads the same.
const EXPLAINED_MAX: i64 = 3;
/// The place of what counts over records, which no record has.
const COUNTED: i64 = -1;

/// Keeps a finding's explanation with its alert. `newest`: nothing later is known of the alert.
pub(super) fn explanation_add(tx: &Transaction<'_>, alert: AlertId, finding: &Finding, newest: bool) -> Result<(), DbError> {
    let Some(explanation) = &finding.explanation else { return Ok(()) };
    let text = serde_json::to_string(explanation).unwrap_or_default();
    match &explanation.because {
        Because::Count(_) if newest => {
            tx.prepare_cached(
                "INSERT INTO alert_explanation (alert, seq, explanation) VALUES (?1, ?2, ?3)
                 ON CONFLICT (alert, seq) DO UPDATE SET explanation = excluded.explanation",
            )?
            .execute(params![alert, COUNTED, text])?;
        }
        Because::Count(_) => {}
        Because::Record { seq, .. } => {
            tx.prepare_cached(&format!(
                "INSERT INTO alert_explanation (alert, seq, explanation)
                 SELECT ?1, ?2, ?3 WHERE (SELECT COUNT(*) FROM alert_explanation WHERE alert = ?1) < {EXPLAINED_MAX}
                 ON CONFLICT (alert, seq) DO NOTHING"
            ))?
            .execute(params![alert, seq_sql(*seq), text])?;
        }
    }
    Ok(())
}

/// Why each of these alerts came, as far as the caller may see them; in journal order.
///
/// # Errors
/// The database's own.
pub fn alert_explanations(connection: &Connection, scope: &Scope, ids: &[AlertId]) -> Result<HashMap<AlertId, Vec<Explanation>>, DbError> {
    let mut all: HashMap<AlertId, Vec<Explanation>> = HashMap::new();
    for part in ids.chunks(ROWS_MAX) {
        let mut condition = Where::default();
        condition.any_of("e.alert", part)?;
        condition.scope("a.body", scope)?;
        let sql = format!(
            "SELECT e.alert, e.explanation FROM alert_explanation e JOIN alert a ON a.id = e.alert WHERE {} ORDER BY e.alert, e.seq",
            condition.sql()
        );
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query(condition.into_values())?;
        while let Some(row) = rows.next()? {
            // One of a later program, after a step back, is left out.
            let explanation = serde_json::from_str(&row.get::<_, String>(1)?).ok();
            all.entry(row.get(0)?).or_default().extend(explanation);
        }
    }
    Ok(all)
}
