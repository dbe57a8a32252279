//! The demo's two years of warnings: written, approved by a second person, published and answered through the same
//! functions as the pages use. Products and vendors are invented, so that nobody is warned of anything real.

use advisory::acknowledgement::{Answer, ack_record_body};
use advisory::advisory::{Content, Kind, Measure, MeasureKind, Product, Severity, Source, ThreatLevel, Tlp};
use advisory::csaf::Publisher;
use advisory::publication::{Deliver, Order, advisory_publish};
use advisory::store::{AdvisoryError, advisory_approve, advisory_draft, advisory_submit};
use advisory::tree::tree_write;
use advisory::workflow::{Actor, Role};
use ingest::db::Db;
use ingest::rusqlite::Transaction;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::bodies::DemoBody;

const WARNINGS: i64 = 96;
const SPAN: i64 = 730 * Timestamp::DAY;

/// Vendor, product, affected versions, what can happen, what to do.
const SUBJECTS: [(&str, &str, &str, &str, &str); 12] = [
    (
        "Nordlicht",
        "Mailgateway",
        "< 8.4.2",
        "Angreifer können ohne Anmeldung Befehle auf dem Mailgateway ausführen",
        "Auf 8.4.2 aktualisieren",
    ),
    ("Aktenwerk", "DMS", "< 2026.2", "Angemeldete Benutzer können fremde Akten lesen", "Auf 2026.2 aktualisieren"),
    (
        "Brückenkopf",
        "VPN-Server",
        "< 5.1.7",
        "Die Anmeldung am VPN lässt sich umgehen",
        "Auf 5.1.7 aktualisieren und alle Sitzungen beenden",
    ),
    ("Rathaussoft", "Bürgerportal", "< 3.9", "Über Eingabefelder lässt sich die Datenbank auslesen", "Auf 3.9 aktualisieren"),
    (
        "Feldstein",
        "Firewall F-Serie",
        "< 12.0.3",
        "Die Verwaltungsoberfläche nimmt ungeprüfte Anfragen an",
        "Auf 12.0.3 aktualisieren, Verwaltung nur aus dem Adminnetz",
    ),
    (
        "Ilmwerk",
        "Datensicherung",
        "< 4.4",
        "Gesicherte Daten lassen sich ohne Kennwort herunterladen",
        "Auf 4.4 aktualisieren und Zugangsdaten tauschen",
    ),
    ("Saalebit", "Groupware", "< 11.8.1", "Beim Öffnen einer Einladung wird fremder Programmtext ausgeführt", "Auf 11.8.1 aktualisieren"),
    (
        "Wartberg",
        "Druckserver",
        "< 7.2",
        "Angreifer im lokalen Netz können Systemrechte erlangen",
        "Auf 7.2 aktualisieren oder den Dienst abschalten",
    ),
    ("Rennsteig", "Telefonanlage", "< 20.3", "Gespräche lassen sich umleiten", "Auf 20.3 aktualisieren, Fernzugang sperren"),
    ("Hainich", "Webserver", "< 2.6.1", "Eine überlange Anfrage bringt den Dienst zum Absturz", "Auf 2.6.1 aktualisieren"),
    (
        "Kyffsoft",
        "Fachverfahren Meldewesen",
        "< 6.0.5",
        "Protokolle enthalten Kennwörter im Klartext",
        "Auf 6.0.5 aktualisieren, alte Protokolle löschen",
    ),
    (
        "Unstrutnet",
        "Switch U48",
        "< 1.19",
        "Ein fest eingebautes Wartungskonto ist bekannt geworden",
        "Auf 1.19 aktualisieren, Wartungskonto abschalten",
    ),
];

/// Writes, publishes and answers them, and puts their CSAF documents into `folder`.
pub(super) fn warnings(
    db: &Db,
    folder: &std::path::Path,
    publisher: &Publisher,
    bodies: &[DemoBody],
    people: &[String],
    seed: u64,
    now: Timestamp,
) -> anyhow::Result<()> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut moments: Vec<Timestamp> = (0..WARNINGS).map(|_| office_hour(&mut rng, now)).collect();
    moments.sort_unstable();
    for part in moments.chunks(12) {
        let (publisher, bodies, people, part) = (publisher.clone(), bodies.to_vec(), people.to_vec(), part.to_vec());
        let mut rng = StdRng::seed_from_u64(rng.random());
        let files = db.write(move |tx| {
            let mut files = Vec::new();
            for at in part {
                files.push(warning(tx, &mut rng, &publisher, &bodies, &people, (at, now))?);
            }
            Ok::<_, AdvisoryError>(files)
        })?;
        for file in files {
            tree_write(folder, &file)?;
        }
    }
    Ok(())
}

fn office_hour(rng: &mut StdRng, now: Timestamp) -> Timestamp {
    let at = now.plus(-rng.random_range(3 * Timestamp::HOUR..SPAN));
    let day = at.0 - at.0.rem_euclid(Timestamp::DAY);
    Timestamp((day + rng.random_range(7 * Timestamp::HOUR..15 * Timestamp::HOUR)).min(now.0 - 2 * Timestamp::HOUR))
}

fn warning(
    tx: &Transaction<'_>,
    rng: &mut StdRng,
    publisher: &Publisher,
    bodies: &[DemoBody],
    people: &[String],
    (at, now): (Timestamp, Timestamp),
) -> Result<advisory::tree::CsafFile, AdvisoryError> {
    let author_index = rng.random_range(0..people.len().max(1));
    let person = |index: usize| people.get(index % people.len().max(1)).cloned().unwrap_or_default();
    let author = Actor::new(&person(author_index), &[Role::Author]);
    let reviewer = Actor::new(&person(author_index + 1), &[Role::Reviewer, Role::Publisher]);
    let content = content(rng, publisher, at);
    let (severity, threat_level) = (content.severity, content.threat_level);
    let draft = advisory_draft(tx, content, &author, at.plus(-70 * Timestamp::MINUTE))?;
    let draft = advisory_submit(tx, draft.id, draft.row_version, &author, at.plus(-30 * Timestamp::MINUTE))?;
    let approved = advisory_approve(tx, draft.id, draft.row_version, "", &reviewer, at.plus(-10 * Timestamp::MINUTE))?;
    let order = Order { actor: &reviewer, publisher, deliver: Deliver::Silently, note: "" };
    let published = advisory_publish(tx, approved.id, approved.row_version, &order, at)?;
    // The graver, the sooner and the more surely people answer.
    let sure = match (threat_level, severity) {
        (ThreatLevel::Rot, _) => 0.95,
        (_, Severity::Kritisch) => 0.88,
        (_, Severity::Hoch) => 0.76,
        _ => 0.58,
    };
    for body in bodies {
        if !rng.random_bool(sure) {
            continue;
        }
        let hours = rng.random::<f64>().powi(3) * if threat_level == ThreatLevel::Rot { 26.0 } else { 70.0 };
        #[expect(clippy::cast_possible_truncation, reason = "hours in milliseconds")]
        let answered = at.plus((hours * 3_600_000.0) as i64 + 4 * Timestamp::MINUTE);
        if answered >= now {
            continue;
        }
        let answer = match rng.random_range(0..10) {
            0..4 => Answer::NichtBetroffen,
            4..6 => Answer::Betroffen,
            6..8 => Answer::Behoben,
            _ => Answer::Gelesen,
        };
        let by = body.contacts.first().map(|contact| format!("contact:{}", contact.id)).unwrap_or_default();
        ack_record_body(tx, &Scope::All, published.advisory.id, body.body.id, &by, answer, "", answered)?;
    }
    Ok(published.file)
}

fn content(rng: &mut StdRng, publisher: &Publisher, at: Timestamp) -> Content {
    let (vendor, product, version, risk, action) = SUBJECTS.get(rng.random_range(0..SUBJECTS.len())).copied().unwrap_or_default();
    let (kind, severity, threat_level, days) = match rng.random_range(0..20) {
        0..3 => (Kind::Warnung, Severity::Kritisch, ThreatLevel::Rot, 1),
        3..8 => (Kind::Warnung, Severity::Kritisch, ThreatLevel::Orange, 3),
        8..15 => (Kind::Hinweis, Severity::Hoch, ThreatLevel::Gelb, 7),
        _ => (Kind::Information, Severity::Mittel, ThreatLevel::Grau, 30),
    };
    let tlp = if rng.random_bool(0.2) { Tlp::Green } else { Tlp::Clear };
    Content {
        kind,
        severity,
        threat_level,
        tlp,
        title: format!("{vendor} {product}: {risk}"),
        situation: format!("Der Hersteller {vendor} hat eine Schwachstelle in {product} ({version}) behoben. {risk}."),
        assessment: match threat_level {
            ThreatLevel::Rot => "Die Schwachstelle wird bereits breit ausgenutzt. Handeln Sie sofort.".to_owned(),
            ThreatLevel::Orange => "Ein Angriff ist einfach und ohne Anmeldung möglich. Handeln Sie zügig.".to_owned(),
            _ => "Uns ist keine Ausnutzung bekannt. Planen Sie die Aktualisierung ein.".to_owned(),
        },
        check: format!(
            "Betroffen ist, wer {product} von {vendor} in einer Version {version} betreibt. Die Version steht unter „Über dieses Produkt“."
        ),
        measures: vec![Measure { kind: MeasureKind::VendorFix, text: format!("{action}."), due_at: Some(at.plus(days * Timestamp::DAY)) }],
        sources: vec![Source {
            title: format!("Sicherheitshinweis von {vendor}"),
            url: format!("https://{}.example/sicherheit/{}", super::bodies::slug(vendor), at.0 / Timestamp::DAY),
        }],
        contact: publisher.contact.clone(),
        products: vec![Product { name: product.to_owned(), vendor: vendor.to_owned(), version: version.to_owned() }],
        source_published_at: Some(at.plus(-rng.random_range(1..30) * Timestamp::HOUR)),
        ..Content::empty()
    }
}
