//! Publishing, updating and withdrawing: the gate, the number, the version, the addressees and their mails, all in the
//! caller's one transaction. The document's copy in the folder is written afterwards (`tree_write`, mended by `tree_sync`).

use std::collections::HashMap;

use ingest::body::{BodyId, ContactId, body_list, contact_list};
use ingest::db::DbError;
use ingest::rusqlite::{Connection, Transaction, params};
use ingest::time::Timestamp;
use serde_json::{Value, json};

use crate::acknowledgement::{addressee_add, addressee_reasons, token_add};
use crate::advisory::{Advisory, AdvisoryId, AdvisoryNumber, Content, State, content_problems, tidy_text};
use crate::csaf::{Publisher, Revision, csaf_document, csaf_path};
use crate::gate::{Finding, csaf_validate};
use crate::mail::{Addressee, Occasion, header_text, warning_mail};
use crate::outbox::outbox_add;
use crate::store::{AdvisoryError, COMMENT_CHARS_MAX, advisory_expect, advisory_save, number_peek, number_take, record, to_json};
use crate::subscription::{Reason, Subscription, subscription_all, subscription_matches};
use crate::tree::CsafFile;
use crate::workflow::{Actor, transition_check};

/// Whether mails go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    Mail,
    /// Addressees and history as always, but nothing is queued: for demonstrations and imports of the past.
    Silently,
}

/// Who releases, how and with which words.
#[derive(Clone, Debug)]
pub struct Order<'a> {
    pub actor: &'a Actor,
    pub publisher: &'a Publisher,
    pub deliver: Deliver,
    /// What changed in an update, why in a withdrawal; may be empty the first time.
    pub note: &'a str,
}

/// What a publication did.
#[derive(Clone, Debug)]
pub struct Published {
    pub advisory: Advisory,
    /// To be written by `tree_write` after the commit.
    pub file: CsafFile,
    /// What the gate remarked without forbidding it.
    pub findings: Vec<Finding>,
    /// Bodies addressed, and mails queued now.
    pub addressed: usize,
    pub mails: usize,
}

/// Publishes an approved text: the first time with a new number, later as the next revision.
///
/// # Errors
/// A refusal, a conflict, remaining problems, or what the gate forbids.
pub fn advisory_publish(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    order: &Order<'_>,
    now: Timestamp,
) -> Result<Published, AdvisoryError> {
    let advisory = advisory_expect(tx, id, expected)?;
    transition_check(advisory.state, State::Published, order.actor, &advisory.editors)?;
    let problems = content_problems(&advisory.content);
    if !problems.is_empty() {
        return Err(AdvisoryError::Problems(problems));
    }
    release(tx, advisory, State::Published, order, now)
}

/// Withdraws a published text: it stays readable, marked, with the reason.
///
/// # Errors
/// A refusal, a conflict, or what the gate forbids.
pub fn advisory_withdraw(
    tx: &Transaction<'_>,
    id: AdvisoryId,
    expected: i64,
    order: &Order<'_>,
    now: Timestamp,
) -> Result<Published, AdvisoryError> {
    let advisory = advisory_expect(tx, id, expected)?;
    transition_check(advisory.state, State::Withdrawn, order.actor, &advisory.editors)?;
    release(tx, advisory, State::Withdrawn, order, now)
}

/// The document as it would be published now, and everything the gate says of it: for the reviewer.
///
/// # Errors
/// The database's own, or that there is no such advisory.
pub fn advisory_preview(
    connection: &Connection,
    advisory: &Advisory,
    publisher: &Publisher,
    now: Timestamp,
) -> Result<(Value, Vec<Finding>), AdvisoryError> {
    let number = match number_of(advisory) {
        Some(number) => number,
        None => number_peek(connection, now)?,
    };
    let revisions = revisions_with(connection, advisory, "", now)?;
    let document = csaf_document(number, &advisory.content, &revisions, None, publisher);
    let findings = csaf_validate(document.clone());
    Ok((document, findings))
}

/// The bodies that would be addressed now, with the reason: the live count beside the draft.
///
/// # Errors
/// The database's own.
pub fn advisory_audience(connection: &Connection, advisory: &Advisory) -> Result<Vec<(BodyId, String, String)>, DbError> {
    let chosen = subscription_all(connection)?;
    let earlier = addressee_reasons(connection, advisory.id)?;
    let audience = body_list(connection)?.into_iter().filter_map(|body| {
        let reason = wanted(&chosen, body.id, &advisory.content).or_else(|| earlier.get(&body.id).map(|_| Reason::Earlier));
        reason.map(|reason| (body.id, body.name, reason.german()))
    });
    Ok(audience.collect())
}

/// The revisions published so far, oldest first.
///
/// # Errors
/// The database's own.
pub fn advisory_revisions(connection: &Connection, id: AdvisoryId) -> Result<Vec<Revision>, DbError> {
    let mut statement =
        connection.prepare_cached("SELECT revision, at, summary FROM advisory_version WHERE advisory = ?1 ORDER BY revision")?;
    let rows = statement.query_map([id], |row| Ok(Revision { number: row.get(0)?, at: Timestamp(row.get(1)?), summary: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest document of every advisory, as the folder should hold them.
pub(crate) fn csaf_files(connection: &Connection) -> Result<Vec<CsafFile>, DbError> {
    let mut statement = connection.prepare_cached(
        "SELECT v.csaf_path, v.csaf FROM advisory a JOIN advisory_version v ON v.advisory = a.id AND v.revision = a.revision ORDER BY a.number",
    )?;
    let rows = statement.query_map([], |row| Ok(CsafFile { path: row.get(0)?, text: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn release(tx: &Transaction<'_>, mut advisory: Advisory, to: State, order: &Order<'_>, now: Timestamp) -> Result<Published, AdvisoryError> {
    let Order { actor, publisher, deliver, note } = *order;
    let summary: &str = &tidy_text(note).chars().take(COMMENT_CHARS_MAX).collect::<String>();
    let first = advisory.revision == 0;
    let withdrawn = (to == State::Withdrawn).then_some(summary);
    let number = match number_of(&advisory) {
        Some(number) => number,
        None => number_take(tx, now)?,
    };
    let summary_shown = if to == State::Withdrawn { format!("Zurückgezogen. {summary}") } else { summary.to_owned() };
    let revisions = revisions_with(tx, &advisory, summary_shown.trim(), now)?;
    let document = csaf_document(number, &advisory.content, &revisions, withdrawn, publisher);
    let findings = csaf_validate(document.clone());
    if findings.iter().any(Finding::blocks) {
        return Err(AdvisoryError::Csaf(findings.into_iter().filter(Finding::blocks).collect()));
    }
    let initial = revisions.first().map_or(now, |revision| revision.at);
    let file = CsafFile {
        path: csaf_path(number, advisory.content.tlp, initial),
        text: serde_json::to_string_pretty(&document).unwrap_or_default() + "\n",
    };

    advisory.number = Some(number.to_string());
    advisory.state = to;
    advisory.revision += 1;
    advisory.published_at = advisory.published_at.or(Some(now));
    advisory.released_at = Some(now);
    advisory.editors = Vec::new();
    version_add(tx, &advisory, summary_shown.trim(), withdrawn, actor, &file, now)?;
    let advisory = advisory_save(tx, advisory, now)?;

    let occasion = match to {
        State::Withdrawn => Occasion::Withdrawal(summary),
        _ if first => Occasion::First,
        _ => Occasion::Update(summary),
    };
    let (addressed, mails) = address(tx, &advisory, occasion, publisher, deliver, now)?;
    let kind = match occasion {
        Occasion::First => "advisory.published",
        Occasion::Update(_) => "advisory.updated",
        Occasion::Withdrawal(_) => "advisory.withdrawn",
    };
    release_record(tx, &advisory, kind, summary, addressed, actor, now)?;
    Ok(Published { advisory, file, findings, addressed, mails })
}

fn number_of(advisory: &Advisory) -> Option<AdvisoryNumber> {
    advisory.number.as_ref().and_then(|number| number.parse().ok())
}

fn revisions_with(connection: &Connection, advisory: &Advisory, summary: &str, now: Timestamp) -> Result<Vec<Revision>, DbError> {
    let mut revisions = advisory_revisions(connection, advisory.id)?;
    let summary = match (summary, advisory.revision) {
        ("", 0) => "Erste Fassung",
        ("", _) => "Aktualisierung",
        (summary, _) => summary,
    };
    revisions.push(Revision { number: advisory.revision + 1, at: now, summary: summary.to_owned() });
    Ok(revisions)
}

fn version_add(
    tx: &Transaction<'_>,
    advisory: &Advisory,
    summary: &str,
    withdrawn: Option<&str>,
    actor: &Actor,
    file: &CsafFile,
    now: Timestamp,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO advisory_version (advisory, revision, at, tlp, title, summary, withdrawal, content, approver, publisher, csaf_path, csaf)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            advisory.id,
            advisory.revision,
            now.0,
            advisory.content.tlp,
            advisory.content.title,
            summary,
            withdrawn,
            to_json(&advisory.content),
            advisory.approver,
            actor.user,
            file.path,
            file.text,
        ],
    )?;
    Ok(())
}

fn release_record(
    tx: &Transaction<'_>,
    advisory: &Advisory,
    kind: &'static str,
    summary: &str,
    addressed: usize,
    actor: &Actor,
    now: Timestamp,
) -> Result<(), DbError> {
    let content = &advisory.content;
    if let Some(at) = content.source_published_at.filter(|_| kind == "advisory.published") {
        record(tx, advisory.id, None, "advisory.source_published", &actor.user, json!({ "at": at }), at.min(now))?;
    }
    let data = json!({
        "number": advisory.number, "severity": content.severity, "threat_level": content.threat_level, "kind": content.kind, "tlp": content.tlp,
        "revision": advisory.revision, "addressed": addressed, "summary": summary,
    });
    record(tx, advisory.id, None, kind, &actor.user, data, now)
}

fn wanted(chosen: &HashMap<BodyId, Vec<Subscription>>, body: BodyId, content: &Content) -> Option<Reason> {
    match chosen.get(&body) {
        Some(subscriptions) => subscriptions.iter().find_map(|subscription| subscription_matches(subscription, content)),
        None => subscription_matches(&Subscription::default_for(body), content),
    }
}

/// Addresses every body that wants it or got an earlier revision, and queues one mail per contact. A withdrawal goes to
/// those who got something before, and to nobody else.
fn address(
    tx: &Transaction<'_>,
    advisory: &Advisory,
    occasion: Occasion<'_>,
    publisher: &Publisher,
    deliver: Deliver,
    now: Timestamp,
) -> Result<(usize, usize), DbError> {
    let earlier = addressee_reasons(tx, advisory.id)?;
    let (mut addressed, mut mails) = (0, 0);
    for (body, body_name, reason) in advisory_audience(tx, advisory)? {
        if matches!(occasion, Occasion::Withdrawal(_)) && !earlier.contains_key(&body) {
            continue;
        }
        addressed += 1;
        addressee_add(tx, advisory.id, body, &reason, now)?;
        for contact in contact_list(tx, body)? {
            sent_record(tx, advisory, body, contact.id, now)?;
            if deliver == Deliver::Silently {
                continue;
            }
            let token = token_add(tx, advisory.id, body, contact.id, now)?;
            let to = Addressee {
                body,
                body_name: &body_name,
                contact: contact.id,
                contact_name: &header_text(&contact.name, 200),
                email: &contact.email,
                reason: &reason,
                token,
            };
            mails += usize::from(outbox_add(tx, &warning_mail(advisory, occasion, to, publisher), now)?);
        }
    }
    Ok((addressed, mails))
}

fn sent_record(tx: &Transaction<'_>, advisory: &Advisory, body: BodyId, contact: ContactId, now: Timestamp) -> Result<(), DbError> {
    let data = json!({ "revision": advisory.revision, "contact": contact, "severity": advisory.content.severity });
    record(tx, advisory.id, Some(body), "advisory.sent", "system", data, now)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use ingest::scope::Scope;

    use super::*;
    use crate::advisory::Tlp;
    use crate::advisory::tests::sample;
    use crate::csaf::tests::publisher;
    use crate::outbox::outbox_list;
    use crate::store::tests::{Fixture, author, reviewer};
    use crate::store::{AdvisoryFilter, advisory_approve, advisory_edit, advisory_get, advisory_list, advisory_revise, advisory_submit};
    use crate::subscription::subscription_add;
    use crate::tree::{tree_sync, tree_write};
    use crate::workflow::{Refusal, Role};

    /// Releases as `author`, or whoever is named.
    fn order<'a>(actor: &'a Actor, publisher: &'a Publisher, deliver: Deliver, note: &'a str) -> Order<'a> {
        Order { actor, publisher, deliver, note }
    }

    fn publish(fixture: &Fixture, advisory: &Advisory, now: i64) -> Result<Published, AdvisoryError> {
        let (id, version) = (advisory.id, advisory.row_version);
        fixture.write(move |tx| advisory_publish(tx, id, version, &order(&author(), &publisher(), Deliver::Mail, ""), Timestamp(now)))
    }

    fn kinds(fixture: &Fixture, advisory: &Advisory) -> Vec<String> {
        fixture.history(&advisory.id.to_string()).into_iter().map(|event| event.kind).collect()
    }

    #[test]
    fn a_publication_numbers_addresses_and_queues_in_one_go() {
        let fixture = Fixture::new();
        let now = 1_795_000_000_000;
        let mut content = sample();
        content.source_published_at = Some(Timestamp(now - 1000));
        let published = publish(&fixture, &fixture.approved(content, Timestamp(now)), now).unwrap();
        assert_eq!((published.addressed, published.mails), (3, 3), "three bodies; two contacts, one and none");
        assert_eq!(published.advisory.number.as_deref(), Some("WID-TH-2026-0001"));
        assert_eq!(published.file.path, "green/2026/wid-th-2026-0001.json");
        // Events of one millisecond have no order of their own.
        let mut steps = kinds(&fixture, &published.advisory);
        steps.sort();
        expect![[r#"
            advisory.approved
            advisory.drafted
            advisory.published
            advisory.sent
            advisory.sent
            advisory.sent
            advisory.source_published
            advisory.submitted"#]]
        .assert_eq(&steps.join("\n"));
        let again = publish(&fixture, &published.advisory, now);
        assert!(matches!(again, Err(AdvisoryError::Refused(Refusal::NoSuchStep { .. }))));
    }

    #[test]
    fn a_refused_publication_leaves_no_number_no_mail_and_no_history() {
        let fixture = Fixture::new();
        let approved = fixture.approved(sample(), Timestamp(5));
        let before = kinds(&fixture, &approved);
        let bad = Publisher { namespace: "no uri".into(), ..publisher() };
        let (id, version) = (approved.id, approved.row_version);
        let refused = fixture.write(move |tx| advisory_publish(tx, id, version, &order(&author(), &bad, Deliver::Mail, ""), Timestamp(6)));
        assert!(
            matches!(refused, Err(AdvisoryError::Csaf(findings)) if findings.iter().all(Finding::blocks) && findings[0].path.contains("namespace"))
        );
        let nobody = Actor::new("x", &[Role::Author, Role::Reviewer]);
        let refused =
            fixture.write(move |tx| advisory_publish(tx, id, version, &order(&nobody, &publisher(), Deliver::Mail, ""), Timestamp(6)));
        assert!(matches!(refused, Err(AdvisoryError::Refused(Refusal::Role { .. }))));
        assert_eq!(kinds(&fixture, &approved), before);
        assert!(fixture.db.read(|c| outbox_list(c, &Scope::All, None, 9)).unwrap().is_empty());
        assert_eq!(publish(&fixture, &approved, 7).unwrap().advisory.number.as_deref(), Some("WID-TH-1970-0001"));
    }

    #[test]
    fn an_update_stays_hidden_until_published_and_its_own_editors_are_barred() {
        let fixture = Fixture::new();
        let first = publish(&fixture, &fixture.approved(sample(), Timestamp(5)), 5).unwrap().advisory;
        let scope = Scope::Bodies(vec![fixture.bodies[2]]);
        let seen = || fixture.db.read(|c| advisory_get(c, &scope, first.id)).unwrap().unwrap();
        let second = fixture
            .write(move |tx| {
                let draft = advisory_revise(tx, first.id, first.row_version, &reviewer(), Timestamp(6))?;
                let content = Content { title: "Neuer Titel".into(), interim: true, ..sample() };
                let draft = advisory_edit(tx, draft.id, draft.row_version, content, &reviewer(), Timestamp(7))?;
                let submitted = advisory_submit(tx, draft.id, draft.row_version, &reviewer(), Timestamp(8))?;
                assert!(advisory_approve(tx, draft.id, submitted.row_version, "", &reviewer(), Timestamp(8)).is_err());
                advisory_approve(tx, draft.id, submitted.row_version, "", &author(), Timestamp(8))
            })
            .unwrap();
        assert_eq!((seen().content.title.as_str(), seen().state), ("Kritische Lücke in Beispiel-VPN", State::Published));
        let published = publish(&fixture, &second, 9).unwrap();
        assert_eq!((seen().content.title.as_str(), seen().revision, published.mails), ("Neuer Titel", 2, 3));
        assert!(published.file.text.contains("\"status\": \"interim\"") && published.file.text.contains("\"version\": \"2\""));
        assert_eq!(published.advisory.number.as_deref(), Some("WID-TH-1970-0001"));
    }

    #[test]
    fn a_body_sees_what_is_addressed_to_it_or_open_to_all() {
        let fixture = Fixture::new();
        let (reader, other) = (fixture.bodies[0], fixture.bodies[1]);
        // `other` wants nothing of this kind.
        let refusing = Subscription { enabled: false, ..Subscription::default_for(other) };
        fixture.write(move |tx| Ok(subscription_add(tx, &Scope::All, &refusing, Timestamp(1))?)).unwrap();
        for (tlp, addressed_sees, other_sees) in [
            (Tlp::Clear, true, true),
            (Tlp::Green, true, true),
            (Tlp::Amber, true, false),
            (Tlp::AmberStrict, true, false),
            (Tlp::Red, true, false),
        ] {
            let published = publish(&fixture, &fixture.approved(Content { tlp, ..sample() }, Timestamp(5)), 5).unwrap().advisory;
            let sees = |body| fixture.db.read(|c| advisory_get(c, &Scope::Bodies(vec![body]), published.id)).unwrap().is_some();
            assert_eq!((sees(reader), sees(other)), (addressed_sees, other_sees), "{tlp:?}");
        }
        let list = |scope: Scope| {
            fixture.db.read(|c| advisory_list(c, &scope, &AdvisoryFilter { limit: 99, ..AdvisoryFilter::default() })).unwrap().len()
        };
        assert_eq!(
            (list(Scope::All), list(Scope::Bodies(vec![reader])), list(Scope::Bodies(vec![other])), list(Scope::Bodies(vec![]))),
            (5, 5, 2, 0)
        );
    }

    #[test]
    fn a_withdrawal_reaches_those_who_got_it_and_the_folder_can_be_mended() {
        let fixture = Fixture::new();
        let published = publish(&fixture, &fixture.approved(sample(), Timestamp(5)), 5).unwrap();
        let folder = fixture.dir.path().join("advisories");
        tree_write(&folder, &published.file).unwrap();
        let (id, version) = (published.advisory.id, published.advisory.row_version);
        let withdrawn = fixture
            .write(move |tx| {
                advisory_withdraw(tx, id, version, &order(&author(), &publisher(), Deliver::Mail, "Der Hersteller irrte."), Timestamp(9))
            })
            .unwrap();
        assert_eq!((withdrawn.advisory.state, withdrawn.mails, withdrawn.advisory.revision), (State::Withdrawn, 3, 2));
        assert!(withdrawn.file.text.contains("Diese Meldung ist zurückgezogen. Der Hersteller irrte."));
        let seen = fixture.db.read(|c| advisory_get(c, &Scope::Bodies(vec![fixture.bodies[0]]), id)).unwrap().unwrap();
        assert_eq!(seen.state, State::Withdrawn);
        // The crash between commit and file: the folder still has revision 1.
        assert_eq!(fixture.db.read(|c| tree_sync(c, &folder)).unwrap(), 1);
        assert_eq!(fixture.db.read(|c| tree_sync(c, &folder)).unwrap(), 0);
        assert_eq!(std::fs::read_to_string(folder.join(&withdrawn.file.path)).unwrap(), withdrawn.file.text);
    }

    #[test]
    fn silently_means_addressed_but_not_mailed() {
        let fixture = Fixture::new();
        let approved = fixture.approved(sample(), Timestamp(5));
        let published = fixture
            .write(move |tx| {
                advisory_publish(
                    tx,
                    approved.id,
                    approved.row_version,
                    &order(&author(), &publisher(), Deliver::Silently, ""),
                    Timestamp(6),
                )
            })
            .unwrap();
        assert_eq!((published.addressed, published.mails), (3, 0));
        assert!(fixture.db.read(|c| outbox_list(c, &Scope::All, None, 9)).unwrap().is_empty());
        assert_eq!(kinds(&fixture, &published.advisory).iter().filter(|kind| *kind == "advisory.sent").count(), 3);
    }
}
