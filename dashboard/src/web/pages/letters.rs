//! Schriftwechsel: the mails of a case on its page, the answer out of it, and the tray of mails that belong to no case yet.
//! A mail's text is shown as text and nothing of it is fetched.

use std::collections::HashMap;

use advisory::letter::Sender;
use advisory::mailroom::{
    Direction, LetterFilter, LetterId, LetterState, MailroomError, Reply as Answer, Signature, StoredLetter, letter_file, letter_get,
    letter_list, letter_open_case, letter_send, letter_set_aside, letters_of_case, sealed_needed,
};
use advisory::openpgp::contact_keys;
use advisory::outbox::OutboxState;
use askama::Template;
use detect::exhibit::exhibit_of_letter;
use detect::incident::{IncidentView, incident_by_number};
use detect::role::{Action, allowed};
use ingest::body::{self, Contact};
use ingest::db::DbError;

use super::incidents;
use crate::show::{self, Markup, Tone, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf};

/// The card on the page of a case.
pub(super) struct Letters {
    pub(super) rows: Vec<Row>,
    /// Whether the viewer may write, and to whom.
    pub(super) may_write: bool,
    pub(super) to: Vec<(String, String)>,
    pub(super) once: String,
    pub(super) answers: String,
    pub(super) subject: String,
    pub(super) hint: &'static str,
}

/// A letter as it is shown.
pub(super) struct Row {
    pub(super) href: String,
    pub(super) out: bool,
    pub(super) party: String,
    pub(super) subject: String,
    pub(super) text: String,
    pub(super) when: Markup,
    pub(super) badges: Vec<Markup>,
    pub(super) notes: Vec<String>,
}

pub(super) fn load(ask: &Ask, view: &IncidentView, contacts: &[Contact]) -> Result<Letters, DbError> {
    let (scope, incident) = (ask.scope(), &view.incident);
    let internal = scope == ingest::scope::Scope::All;
    let (letters, keys) = ask.app.db.read(|c| {
        let mut keys = HashMap::new();
        for contact in contacts.iter().filter(|_| internal) {
            keys.insert(contact.id, contact_keys(c, &contact.email)?.iter().any(|key| key.usable(ask.now)));
        }
        Ok::<_, DbError>((letters_of_case(c, &scope, incident.id)?, keys))
    })?;
    let may_write = internal && ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::LetterSend, viewer.role));
    let sealed = |contact: &Contact| keys.get(&contact.id).copied().unwrap_or(false) && ask.app.pgp.is_some();
    let to = contacts.iter().filter(|_| may_write).map(|contact| {
        let how = if sealed(contact) { t("verschlüsselt") } else { t("unverschlüsselt") };
        (contact.id.to_string(), format!("{} <{}>, {how}", contact.name, contact.email))
    });
    let last = letters.iter().rev().find(|letter| letter.direction == Direction::In && !letter.automatic && !letter.message_id.is_empty());
    Ok(Letters {
        rows: letters.iter().map(|letter| row(ask, letter, internal)).collect(),
        may_write,
        to: to.collect(),
        once: LetterId::new(ask.now).to_string(),
        answers: last.map(|letter| letter.message_id.clone()).unwrap_or_default(),
        subject: last.map_or_else(|| incident.title.clone(), |letter| bare(&letter.subject, &incident.number)),
        hint: if sealed_needed(incident.tlp) {
            t(
                "Der Vorfall ist mindestens TLP:AMBER: Wer keinen OpenPGP-Schlüssel hinterlegt hat, bekommt nur einen Hinweis und liest den Text im Portal.",
            )
        } else {
            t("Die Mail trägt Nummer und Einstufung im Betreff. Antworten finden von selbst hierher zurück.")
        },
    })
}

/// A subject without what is put in front of it anyway.
fn bare(subject: &str, number: &str) -> String {
    let mut rest = subject.trim();
    loop {
        let before = rest;
        for word in ["AW:", "WG:", "RE:", "Re:", "FW:", "Fwd:", number] {
            rest = rest.strip_prefix(word).unwrap_or(rest).trim_start();
        }
        if let Some((_, tail)) = rest.strip_prefix("[TLP:").and_then(|tail| tail.split_once(']')) {
            rest = tail.trim_start();
        }
        if rest == before {
            return rest.to_owned();
        }
    }
}

fn row(ask: &Ask, letter: &StoredLetter, internal: bool) -> Row {
    let out = letter.direction == Direction::Out;
    let party = if letter.party_name.is_empty() { letter.party.clone() } else { format!("{} <{}>", letter.party_name, letter.party) };
    let mut badges = Vec::new();
    if letter.encrypted {
        badges.push(show::badge(Tone::Good, t("verschlüsselt")));
    }
    badges.extend(signature(&letter.signature));
    if internal {
        badges.extend(letter.sender.map(sender));
    }
    if letter.automatic {
        badges.push(show::badge(Tone::Quiet, t("automatisch")));
    }
    let mut notes: Vec<String> = letter.defects.iter().map(|defect| words::letter_defect(*defect).to_owned()).collect();
    if let Some((state, error)) = &letter.sent {
        let tone = if matches!(state, OutboxState::Failed | OutboxState::Bounced) { Tone::High } else { Tone::Quiet };
        badges.push(show::badge(tone, words::outbox_state(*state)));
        notes.extend(error.clone());
    }
    if let Some(report) = &letter.report {
        notes.push(tf(
            "Bericht über {recipient}: {action} {why}",
            &[("recipient", &report.recipient), ("action", &report.action), ("why", &report.why)],
        ));
    }
    if letter.encrypted && letter.text.is_empty() && !out {
        notes.push(t("Die Mail ließ sich nicht entschlüsseln; sie liegt unter den Beweismitteln.").to_owned());
    }
    Row {
        href: if internal { format!("/post/{}", letter.id) } else { String::new() },
        out,
        party,
        subject: letter.subject.clone(),
        text: letter.text.clone(),
        when: show::time(letter.received_at, ask.now),
        badges,
        notes,
    }
}

fn signature(signature: &Signature) -> Option<Markup> {
    Some(match signature {
        Signature::None => return None,
        Signature::Good { .. } => show::badge(Tone::Good, t("Signatur gültig")),
        Signature::Bad => show::badge(Tone::Crit, t("Signatur falsch")),
        Signature::UnknownKey => show::badge(Tone::Quiet, t("Signatur mit unbekanntem Schlüssel")),
        Signature::ExpiredKey => show::badge(Tone::Mid, t("Signatur mit abgelaufenem Schlüssel")),
    })
}

fn sender(sender: Sender) -> Markup {
    match sender {
        Sender::Proved => show::badge(Tone::Good, t("Absender belegt")),
        Sender::Unproved => show::badge(Tone::Mid, t("Absender nicht geprüft")),
        Sender::Forged => show::badge(Tone::Crit, t("Absender nicht belegt")),
        Sender::Stranger => show::badge(Tone::Quiet, t("Absender unbekannt")),
    }
}

pub(in crate::web) fn send(ask: &mut Ask) -> Reply {
    let (_, view) = incidents::find(ask)?;
    let incident = &view.incident;
    let (Some(body), Some(body_name)) = (incident.body, incident.body_name.clone()) else {
        return Err(PageError::Refused(t("Der Vorfall gehört zu keiner Stelle; ein Schreiben hätte keinen Empfänger.").into()));
    };
    let contacts = ask.app.db.read(|c| body::contact_list(c, body))?;
    let Some(contact) = contacts.into_iter().find(|contact| contact.id.to_string() == ask.form("an")) else {
        return Err(PageError::Refused(t("Bitte wählen Sie aus, an wen das Schreiben geht.").into()));
    };
    let text = ask.form("text").trim().to_owned();
    if text.is_empty() {
        return Err(PageError::Refused(t("Das Schreiben ist leer. Gehen Sie zurück und schreiben Sie, worum es geht.").into()));
    }
    let answer = Answer {
        once: ask.form("einmal").parse().map_err(|_| PageError::NotFound)?,
        incident: incident.id,
        number: incident.number.clone(),
        tlp: incident.tlp,
        body,
        body_name,
        contact: contact.id,
        contact_name: contact.name,
        email: contact.email,
        subject: ask.form("betreff").trim().to_owned(),
        text,
        answers: Some(ask.form("zu").trim().to_owned()).filter(|id| !id.is_empty()),
    };
    let viewer = ask.viewer()?;
    let (actor, role, now, publisher) = (viewer.user.to_string(), viewer.role, ask.now, ask.app.publisher.clone());
    // Without a key of our own nothing is encrypted, whatever the contact has.
    let sealing = ask.app.pgp.is_some();
    ask.write(move |tx| letter_send(tx, &answer, &publisher, sealing, &actor, role, now)).map_err(told)?;
    ask.redirect(&format!("/vorfall/{}", view.incident.number), "letter-sent")
}

/// Letters on one page of the tray.
const PAGE_ROWS: usize = 50;

struct TrayRow {
    href: String,
    subject: String,
    party: String,
    why: &'static str,
    badges: Vec<Markup>,
    when: Markup,
}

#[derive(Template)]
#[template(path = "post.html")]
struct TrayPage {
    frame: Frame,
    summary: String,
    aside: bool,
    rows: Vec<TrayRow>,
    older: String,
}

pub(in crate::web) fn tray(ask: &mut Ask) -> Reply {
    let aside = ask.query("stand") == "abgelegt";
    let state = if aside { LetterState::Aside } else { LetterState::Tray };
    let filter = LetterFilter { state, before: ask.query("vor").parse().ok(), limit: PAGE_ROWS + 1 };
    let scope = ask.scope();
    let mut letters = ask.app.db.read(|c| letter_list(c, &scope, filter))?;
    let more = letters.len() > PAGE_ROWS;
    letters.truncate(PAGE_ROWS);
    let older =
        letters.last().filter(|_| more).map(|last| show::link("/post", &[("stand", ask.query("stand")), ("vor", &last.id.to_string())]));
    let row = |letter: &StoredLetter| {
        let shown = row(ask, letter, true);
        TrayRow {
            href: shown.href,
            subject: if letter.subject.is_empty() { t("ohne Betreff").to_owned() } else { letter.subject.clone() },
            party: shown.party,
            why: letter.why.map(words::letter_why).unwrap_or_default(),
            badges: shown.badges,
            when: shown.when,
        }
    };
    let page = TrayPage {
        summary: if aside {
            t("Was von Programmen kam, zu uns zurücklief oder abgelegt wurde").to_owned()
        } else {
            t("Mails, bei denen nicht feststeht, zu welchem Vorfall sie gehören").to_owned()
        },
        aside,
        rows: letters.iter().map(row).collect(),
        older: older.unwrap_or_default(),
        frame: ask.frame(t("Posteingang"), Place::Post),
    };
    ask.page(&page)
}

#[derive(Template)]
#[template(path = "post_letter.html")]
struct LetterPage {
    frame: Frame,
    id: String,
    letter: Row,
    why: &'static str,
    /// The case that it belongs to: (number, path).
    case: Option<(String, String)>,
    waits: bool,
    named: String,
    files: Vec<(String, String, String)>,
    bodies: Vec<(String, String, bool)>,
}

fn find(ask: &Ask) -> Result<StoredLetter, PageError> {
    let id: LetterId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let scope = ask.scope();
    ask.app.db.read(|c| letter_get(c, &scope, id))?.ok_or(PageError::NotFound)
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let letter = find(ask)?;
    let (files, bodies, case) = ask.app.db.read(|c| {
        let case = match letter.incident {
            Some(id) => detect::incident::incident_get(c, &ingest::scope::Scope::All, id)?,
            None => None,
        };
        Ok::<_, DbError>((exhibit_of_letter(c, &letter.id.to_string())?, body::body_list(c)?, case))
    })?;
    // What the case's label hides, its letters do not show.
    if case.as_ref().is_some_and(|case| !incidents::visible(ask, &case.incident)) {
        return Err(PageError::NotFound);
    }
    let own = letter.contact.and_then(|contact| {
        let found = ask.app.db.read(|c| {
            let mut own = None;
            for one in &bodies {
                if body::contact_list(c, one.id)?.iter().any(|known| known.id == contact) {
                    own = Some(one.id);
                }
            }
            Ok::<_, DbError>(own)
        });
        found.ok().flatten()
    });
    let mut choices = vec![(String::new(), t("noch offen").to_owned(), own.is_none())];
    choices.extend(bodies.iter().map(|body| (body.id.to_string(), body.name.clone(), own == Some(body.id))));
    let page = LetterPage {
        id: letter.id.to_string(),
        why: letter.why.map_or("", words::letter_why_long),
        case: case.map(|case| (case.incident.number.clone(), format!("/vorfall/{}", case.incident.number))),
        waits: letter.state != LetterState::Filed && ask.viewer.as_ref().is_some_and(|viewer| allowed(Action::LetterSort, viewer.role)),
        named: letter.named.clone().unwrap_or_default(),
        files: files.iter().map(|file| (file.name.clone(), show::bytes(file.bytes), file.found.clone())).collect(),
        bodies: choices,
        letter: row(ask, &letter, true),
        frame: ask.frame(if letter.subject.is_empty() { t("Mail ohne Betreff") } else { &letter.subject }, Place::Post),
    };
    ask.page(&page)
}

pub(in crate::web) fn file(ask: &mut Ask) -> Reply {
    let letter = find(ask)?;
    let (scope, number) = (ask.scope(), ask.form("nummer").trim().to_uppercase());
    let Some(incident) = ask.app.db.read(|c| incident_by_number(c, &scope, &number))? else {
        return Err(PageError::Refused(t("Diesen Vorfall gibt es nicht. Gehen Sie zurück und prüfen Sie die Nummer.").into()));
    };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.write(move |tx| letter_file(tx, letter.id, incident, &actor, role, now)).map_err(told)?;
    ask.redirect(&format!("/vorfall/{number}"), "letter-filed")
}

pub(in crate::web) fn open_case(ask: &mut Ask) -> Reply {
    let letter = find(ask)?;
    let body = match ask.form("stelle") {
        "" => None,
        id => Some(id.parse().map_err(|_| PageError::NotFound)?),
    };
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    let incident = ask.write(move |tx| letter_open_case(tx, letter.id, body, &actor, role, now)).map_err(told)?;
    let scope = ask.scope();
    let number = ask.app.db.read(|c| detect::incident::incident_get(c, &scope, incident))?.map(|view| view.incident.number);
    ask.redirect(&format!("/vorfall/{}", number.unwrap_or_default()), "letter-opened")
}

pub(in crate::web) fn set_aside(ask: &mut Ask) -> Reply {
    let letter = find(ask)?;
    let role = ask.viewer()?.role;
    ask.write(move |tx| letter_set_aside(tx, letter.id, role)).map_err(told)?;
    ask.redirect("/post", "letter-aside")
}

fn told(error: MailroomError) -> PageError {
    match error {
        MailroomError::Case(detect::incident::CaseError::Transition { .. }) => {
            PageError::Refused(t("Diese Mail gehört schon zu einem Vorfall. Öffnen Sie sie neu.").into())
        }
        MailroomError::Case(error) => incidents::refused(error),
        MailroomError::Missing(_) => PageError::NotFound,
        MailroomError::Db(error) => PageError::Db(error),
        error => PageError::store(error),
    }
}
