//! Subscriptions: which body wants which messages. The judging is a pure function; the store is below it. A body that never
//! chose has the default, so that nobody is left out by not knowing of this page.

use std::collections::HashMap;

use ingest::body::BodyId;
use ingest::db::{DbError, Migrations};
use ingest::rusqlite::{Connection, Row, Transaction, params};
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde::Serialize;

use crate::advisory::{Content, Kind, Severity};

ingest::id_type!(
    /// One subscription of one body.
    SubscriptionId
);

pub const MIGRATIONS: Migrations = Migrations {
    owner: "subscription",
    steps: &["
        CREATE TABLE subscription (
            id TEXT PRIMARY KEY,
            body TEXT NOT NULL,
            severity_min TEXT NOT NULL,
            kinds TEXT NOT NULL,
            keywords TEXT NOT NULL,
            enabled BIGINT NOT NULL,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        );
        CREATE INDEX subscription_body ON subscription (body);
    "],
};

/// What one body wants; a message is for it when any of its enabled subscriptions matches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subscription {
    pub id: SubscriptionId,
    pub body: BodyId,
    pub severity_min: Severity,
    /// Empty: all kinds.
    pub kinds: Vec<Kind>,
    /// Product, vendor or any word of the title; empty: everything. One of them must occur.
    pub keywords: Vec<String>,
    pub enabled: bool,
}

impl Subscription {
    /// From mittel upward, all kinds.
    pub fn default_for(body: BodyId) -> Self {
        Self { id: SubscriptionId::default(), body, severity_min: Severity::Mittel, kinds: Vec::new(), keywords: Vec::new(), enabled: true }
    }

    /// Within the bounds, keywords trimmed and once each.
    fn tidied(&self) -> Self {
        let mut keywords: Vec<String> = Vec::new();
        for keyword in &self.keywords {
            let keyword: String = crate::mail::header_text(keyword, KEYWORD_CHARS_MAX);
            if !keyword.is_empty() && !keywords.contains(&keyword) && keywords.len() < KEYWORDS_MAX {
                keywords.push(keyword);
            }
        }
        Self { keywords, ..self.clone() }
    }
}

const KEYWORD_CHARS_MAX: usize = 100;
/// A list of products with versions is an inventory and comes later; this many words are a wish list.
const KEYWORDS_MAX: usize = 200;
/// Per body; more cannot be overlooked by those who keep them.
const SUBSCRIPTIONS_MAX: usize = 50;

/// Why a message goes to a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    Severity(Severity),
    Keyword {
        keyword: String,
        found_in: &'static str,
    },
    /// They got an earlier revision.
    Earlier,
}

impl Reason {
    /// The half-sentence after "weil".
    pub fn german(&self) -> String {
        match self {
            Self::Severity(severity) => format!("der Schweregrad mindestens „{}“ ist", severity.label()),
            Self::Keyword { keyword, found_in } => format!("Ihr Stichwort „{keyword}“ {found_in} vorkommt"),
            Self::Earlier => "Sie eine frühere Fassung erhalten haben".to_owned(),
        }
    }
}

/// Whether the message is wanted, and why.
pub fn subscription_matches(subscription: &Subscription, content: &Content) -> Option<Reason> {
    let kind_wanted = subscription.kinds.is_empty() || subscription.kinds.contains(&content.kind);
    if !subscription.enabled || !kind_wanted || content.severity < subscription.severity_min {
        return None;
    }
    if subscription.keywords.is_empty() {
        return Some(Reason::Severity(subscription.severity_min));
    }
    let found = |keyword: &String| keyword_found(keyword, content).map(|found_in| Reason::Keyword { keyword: keyword.clone(), found_in });
    subscription.keywords.iter().find_map(found)
}

fn keyword_found(keyword: &str, content: &Content) -> Option<&'static str> {
    let keyword = keyword.to_lowercase();
    let product = |product: &crate::advisory::Product| contains_word(&product.to_string(), &keyword);
    if content.products.iter().any(product) {
        Some("unter den Produkten")
    } else if contains_word(&content.title, &keyword) {
        Some("im Titel")
    } else if content.cves.iter().any(|cve| cve.as_str().eq_ignore_ascii_case(&keyword)) {
        Some("unter den CVE")
    } else {
        None
    }
}

/// Whole words only: `SAP` is not in `Sapling`, but `Beispiel VPN` is in `beispiel vpn 7`. `word` is lower case.
fn contains_word(text: &str, word: &str) -> bool {
    let text = text.to_lowercase();
    let boundary = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    !word.is_empty()
        && text.match_indices(word).any(|(at, found)| {
            let before = text.get(..at).and_then(|head| head.chars().next_back());
            let after = text.get(at + found.len()..).and_then(|tail| tail.chars().next());
            boundary(before) && boundary(after)
        })
}

/// A body's subscriptions: those it chose, else the default (with the zero id).
///
/// # Errors
/// The database's own.
pub fn subscription_list(connection: &Connection, scope: &Scope, body: BodyId) -> Result<Vec<Subscription>, DbError> {
    if !scope.body_allowed(Some(body)) {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(&format!("{SELECT} WHERE body = ?1 ORDER BY id"))?;
    let chosen = statement.query_map([body], from_row)?.collect::<Result<Vec<_>, _>>()?;
    Ok(if chosen.is_empty() { vec![Subscription::default_for(body)] } else { chosen })
}

/// Those of all bodies that chose, for a publication; a body that is missing has the default.
pub(crate) fn subscription_all(connection: &Connection) -> Result<HashMap<BodyId, Vec<Subscription>>, DbError> {
    let mut statement = connection.prepare_cached(&format!("{SELECT} ORDER BY id"))?;
    let mut all: HashMap<BodyId, Vec<Subscription>> = HashMap::new();
    for subscription in statement.query_map([], from_row)? {
        let subscription = subscription?;
        all.entry(subscription.body).or_default().push(subscription);
    }
    Ok(all)
}

/// Adds one; its `id` is given here. The first one replaces the default. `None` where the caller may not, or the body has
/// as many as it can.
///
/// # Errors
/// The database's own.
pub fn subscription_add(
    tx: &Transaction<'_>,
    scope: &Scope,
    subscription: &Subscription,
    now: Timestamp,
) -> Result<Option<SubscriptionId>, DbError> {
    let count: i64 = tx.query_row("SELECT COUNT(*) FROM subscription WHERE body = ?1", [subscription.body], |row| row.get(0))?;
    if !scope.body_allowed(Some(subscription.body)) || count >= i64::try_from(SUBSCRIPTIONS_MAX).unwrap_or(i64::MAX) {
        return Ok(None);
    }
    let id = SubscriptionId::new(now);
    let Subscription { body, severity_min, kinds, keywords, enabled, .. } = subscription.tidied();
    tx.execute(
        "INSERT INTO subscription (id, body, severity_min, kinds, keywords, enabled, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
        params![id, body, severity_min, json(&kinds), json(&keywords), i64::from(enabled), now.0],
    )?;
    Ok(Some(id))
}

/// Changes one of the caller's bodies; `false` where there is no such subscription for them. It never moves to another body.
///
/// # Errors
/// The database's own.
pub fn subscription_change(tx: &Transaction<'_>, scope: &Scope, subscription: &Subscription, now: Timestamp) -> Result<bool, DbError> {
    if !scope.body_allowed(Some(subscription.body)) {
        return Ok(false);
    }
    let Subscription { id, body, severity_min, kinds, keywords, enabled } = subscription.tidied();
    let changed = tx.execute(
        "UPDATE subscription SET severity_min = ?3, kinds = ?4, keywords = ?5, enabled = ?6, updated_at = ?7 WHERE id = ?1 AND body = ?2",
        params![id, body, severity_min, json(&kinds), json(&keywords), i64::from(enabled), now.0],
    )?;
    Ok(changed == 1)
}

const SELECT: &str = "SELECT id, body, severity_min, kinds, keywords, enabled FROM subscription";

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn from_row(row: &Row<'_>) -> ingest::rusqlite::Result<Subscription> {
    let kinds: String = row.get(3)?;
    let keywords: String = row.get(4)?;
    let enabled: i64 = row.get(5)?;
    Ok(Subscription {
        id: row.get(0)?,
        body: row.get(1)?,
        severity_min: row.get(2)?,
        kinds: serde_json::from_str(&kinds).unwrap_or_default(),
        keywords: serde_json::from_str(&keywords).unwrap_or_default(),
        enabled: enabled != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::tests::sample;
    use crate::store::tests::Fixture;

    fn wish(severity_min: Severity, kinds: &[Kind], keywords: &[&str]) -> Subscription {
        let keywords = keywords.iter().map(|&keyword| keyword.to_owned()).collect();
        Subscription { severity_min, kinds: kinds.to_vec(), keywords, ..Subscription::default_for(BodyId::default()) }
    }

    /// The sample is a Warnung, kritisch, about "Beispiel AG Beispiel-VPN < 7.2", CVE-2026-12345.
    #[test]
    fn who_wants_the_sample() {
        use Severity::{Kritisch, Mittel, Niedrig};
        let cases: &[(Subscription, Option<&str>)] = &[
            (wish(Mittel, &[], &[]), Some("der Schweregrad mindestens „mittel“ ist")),
            (wish(Kritisch, &[Kind::Warnung], &[]), Some("der Schweregrad mindestens „kritisch“ ist")),
            (wish(Niedrig, &[Kind::Hinweis, Kind::Information], &[]), None),
            (wish(Niedrig, &[], &["fremd", "beispiel-vpn"]), Some("Ihr Stichwort „beispiel-vpn“ unter den Produkten vorkommt")),
            (wish(Niedrig, &[], &["BEISPIEL AG"]), Some("Ihr Stichwort „BEISPIEL AG“ unter den Produkten vorkommt")),
            (wish(Niedrig, &[], &["Lücke"]), Some("Ihr Stichwort „Lücke“ im Titel vorkommt")),
            (wish(Niedrig, &[], &["cve-2026-12345"]), Some("Ihr Stichwort „cve-2026-12345“ unter den CVE vorkommt")),
            (wish(Niedrig, &[], &["Beispie", "PN", "", "CVE-2026-1234"]), None),
            (Subscription { enabled: false, ..wish(Niedrig, &[], &[]) }, None),
        ];
        for (subscription, expected) in cases {
            let reason = subscription_matches(subscription, &sample()).map(|reason| reason.german());
            assert_eq!(reason.as_deref(), *expected, "{subscription:?}");
        }
        let mut low = sample();
        low.severity = Niedrig;
        assert_eq!(subscription_matches(&Subscription::default_for(BodyId::default()), &low), None);
    }

    #[test]
    fn a_body_has_the_default_until_it_chooses_and_touches_only_its_own() {
        let fixture = Fixture::new();
        let (own, other) = (fixture.bodies[0], fixture.bodies[1]);
        let scope = Scope::Bodies(vec![own]);
        let list = |scope: &Scope, body| fixture.db.read(|c| subscription_list(c, scope, body)).unwrap();
        assert_eq!(list(&scope, own), [Subscription::default_for(own)]);
        assert_eq!(list(&scope, other), []);

        let foreign = Subscription::default_for(other);
        let refused = {
            let scope = scope.clone();
            fixture.db.write(move |tx| subscription_add(tx, &scope, &foreign, Timestamp(1)))
        };
        assert_eq!(refused.unwrap_or_else(|error: DbError| panic!("{error}")), None);

        let chosen = Subscription { body: own, ..wish(Severity::Hoch, &[Kind::Warnung], &[" VPN\r\n", "VPN", ""]) };
        let id = {
            let (scope, chosen) = (scope.clone(), chosen.clone());
            fixture.db.write(move |tx| subscription_add(tx, &scope, &chosen, Timestamp(1)))
        };
        let id = id.unwrap_or_else(|error: DbError| panic!("{error}")).unwrap();
        let stored = Subscription { id, keywords: vec!["VPN".into()], ..chosen };
        assert_eq!(list(&scope, own), std::slice::from_ref(&stored));

        let change = |scope: Scope, subscription: Subscription| {
            fixture
                .db
                .write(move |tx| subscription_change(tx, &scope, &subscription, Timestamp(2)))
                .unwrap_or_else(|error: DbError| panic!("{error}"))
        };
        assert!(!change(Scope::Bodies(vec![other]), Subscription { enabled: false, ..stored.clone() }));
        assert!(!change(Scope::Bodies(vec![other]), Subscription { enabled: false, body: other, ..stored.clone() }));
        assert!(change(scope.clone(), Subscription { enabled: false, ..stored.clone() }));
        assert_eq!(list(&scope, own), [Subscription { enabled: false, ..stored }]);
    }
}
