//! What is done to many alerts at once: to those that somebody chose, or to all that a filter shows. Of all it is asked first, with
//! their number, because closing an alert is for good. What was left as it was is said, with the reason.

use askama::Template;
use detect::alert::{ALERTS_BULK_MAX, AlertAct, AlertId, AlertState, AlertsDone, Disposition, NotDone, alert_ids, alerts_bulk};
use detect::incident::NotJoined;
use sha2::{Digest, Sha256};

use super::{Wanted, told};
use crate::show::{self, filters};
use crate::web::frame::{Frame, Place};
use crate::web::pages::incident_join;
use crate::web::pages::incidents::refused;
use crate::web::pages::tasks::workers;
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, t, tf, tn};

/// The form below the list.
pub(super) struct Form<'a> {
    pub(super) filter: [(&'static str, &'a str); 4],
    pub(super) acts: Vec<(&'static str, String)>,
    pub(super) people: Vec<(String, String)>,
    /// There are more than this page shows.
    pub(super) paged: bool,
}

impl<'a> Form<'a> {
    pub(super) fn of(ask: &Ask, wanted: Wanted<'a>, paged: bool) -> Result<Self, PageError> {
        let mut acts: Vec<(&'static str, String)> = vec![];
        if matches!(wanted.state(), Some(AlertState::New) | None) {
            acts.push((ACKNOWLEDGE, t("bestätigen").into()));
        }
        // What is closed is judged for good.
        if wanted.state() != Some(AlertState::Closed) {
            let close = |verdict| tf("schließen: {urteil}", &[("urteil", &words::disposition(verdict))]);
            acts.extend(Disposition::ALL.map(|verdict| (verdict.as_str(), close(verdict))));
            acts.push((ASSIGN, t("bestätigen und ihre Vorfälle jemandem geben").into()));
        }
        acts.push((JOIN, t("in einen Vorfall legen").into()));
        Ok(Self { filter: wanted.pairs(), acts, people: workers(ask)?, paged })
    }
}

const ACKNOWLEDGE: &str = "bestaetigen";
const ASSIGN: &str = "zuweisen";
const JOIN: &str = "vorfall";

/// What the form asks for, and in words what that is.
struct Wish {
    act: AlertAct,
    said: String,
}

fn wish(ask: &Ask) -> Result<Wish, PageError> {
    let refuse = |text: &str| PageError::Refused(text.to_owned());
    match ask.form("tat") {
        ACKNOWLEDGE => Ok(Wish { act: AlertAct::Acknowledge, said: t("bestätigen").into() }),
        ASSIGN => {
            let user = ask.form("wer");
            let people = workers(ask)?;
            let known = people.into_iter().find(|(id, _)| id == user);
            let (id, name) = known.ok_or_else(|| refuse(t("Dieses Konto bearbeitet keine Vorfälle. Wählen Sie ein anderes.")))?;
            let said = tf("bestätigen, und ihre offenen Vorfälle gehen an {name}", &[("name", &name)]);
            Ok(Wish { act: AlertAct::Assign(id), said })
        }
        JOIN => {
            let number = ask.form("nummer").trim().to_uppercase();
            if number.is_empty() {
                return Err(refuse(t("In welchen Vorfall? Gehen Sie zurück und tragen Sie seine Nummer ein.")));
            }
            let (id, view) = incident_join::named(ask, &number)?;
            let said = tf("in den Vorfall {number} legen: {title}", &[("number", &number), ("title", &view.incident.title)]);
            Ok(Wish { act: AlertAct::Join(id), said })
        }
        verdict => {
            let verdict = Disposition::parse(verdict).ok_or_else(|| refuse(t("Wählen Sie, was mit den Alarmen geschehen soll.")))?;
            let said = tf("schließen: {urteil}", &[("urteil", &words::disposition(verdict))]);
            Ok(Wish { act: AlertAct::Close(verdict), said })
        }
    }
}

pub(in crate::web) fn act(ask: &mut Ask) -> Reply {
    let Wish { act, said } = wish(ask)?;
    let wanted = Wanted::of(&ask.form);
    let ids = if ask.form("umfang") == "alle" {
        let (ids, more) = filtered(ask, wanted)?;
        // Others than were asked about are not touched unseen: closing is for good.
        if ids.is_empty() || ask.form("welche") != fingerprint(&ids) {
            return confirm(ask, wanted, &ids, more, said);
        }
        ids
    } else {
        let mut ids: Vec<AlertId> = ask.form.all("alarm").filter_map(|id| id.parse().ok()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    if ids.is_empty() {
        return Err(PageError::Refused(t("Wählen Sie zuerst mindestens einen Alarm: das Kästchen am Anfang seiner Zeile.").into()));
    }
    let viewer = ask.viewer()?;
    let (actor, role, now) = (viewer.user.to_string(), viewer.role, ask.now);
    ask.remark("alerts", ids.len());
    let done = ask.write(move |tx| alerts_bulk(tx, &ids, &act, &actor, role, now)).map_err(refused)?;
    outcome(ask, wanted, &done, said)
}

/// All that the filter shows, up to the newest that there was when it was asked.
fn filtered(ask: &Ask, wanted: Wanted<'_>) -> Result<(Vec<AlertId>, bool), PageError> {
    let filter = wanted.filter(ask);
    let (mut ids, more) = ask.app.db.read(|c| alert_ids(c, &filter))?;
    if let Ok(newest) = ask.form("bis").parse::<AlertId>() {
        ids.retain(|id| *id <= newest);
    }
    Ok((ids, more))
}

/// Tells whether these are the very ones that somebody was asked about.
fn fingerprint(ids: &[AlertId]) -> String {
    let sum = ids.iter().fold(Sha256::new(), |sum, id| sum.chain_update(id.to_string()));
    crate::session::hex(&sum.finalize())
}

#[derive(Template)]
#[template(path = "alerts_confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    question: String,
    what: String,
    chips: Vec<(String, String)>,
    fields: Vec<(&'static str, &'a str)>,
    which: String,
    newest: String,
    /// Said where there are more than one act takes.
    more: String,
    back: String,
}

fn confirm(ask: &Ask, wanted: Wanted<'_>, ids: &[AlertId], more: bool, what: String) -> Reply {
    let Some(newest) = ids.first() else {
        return Err(PageError::Refused(t("Zu diesem Filter gibt es keinen Alarm mehr.").into()));
    };
    let of = |name: &'static str| (name, ask.form(name));
    let mut chips = wanted.chips(ask);
    let state = wanted.state().map_or_else(|| t("alle"), words::alert_state);
    chips.insert(0, (tf("Stand: {stand}", &[("stand", &state)]), String::new()));
    let page = ConfirmPage {
        question: tn("Wirklich einen Alarm bearbeiten?", "Wirklich {n} Alarme bearbeiten?", ids.len() as u64),
        what,
        chips,
        fields: wanted.pairs().into_iter().chain([of("tat"), of("wer"), of("nummer")]).filter(|(_, value)| !value.is_empty()).collect(),
        which: fingerprint(ids),
        newest: newest.to_string(),
        more: if more {
            tf(
                "Es sind noch mehr: Auf einmal gehen {n}, die neuesten zuerst. Danach können Sie es wiederholen.",
                &[("n", &show::num(ALERTS_BULK_MAX as u64))],
            )
        } else {
            String::new()
        },
        back: wanted.href(&[], ""),
        frame: ask.frame(t("Alarme bearbeiten"), Place::Alerts),
    };
    ask.page(&page)
}

#[derive(Template)]
#[template(path = "bulk_outcome.html")]
struct OutcomePage {
    frame: Frame,
    done: String,
    what: String,
    /// (where, what it is called, why it was left as it was); without a way for what is only counted.
    refused: Vec<(String, String, String)>,
    back: String,
}

fn outcome(ask: &Ask, wanted: Wanted<'_>, done: &AlertsDone, what: String) -> Reply {
    if done.refused.is_empty() {
        return Ok(crate::web::ask::see_other(&wanted.href(&[("getan", &done.done.to_string())], "")));
    }
    let line = |(why, n): (&NotDone, &usize)| {
        let count = tn("ein Alarm", "{n} Alarme", *n as u64);
        (String::new(), count, reason(*why).to_owned())
    };
    let page = OutcomePage {
        done: if done.done == 0 { t("Kein Alarm ist geändert.").into() } else { told(done.done as u64) },
        what,
        refused: done.refused.iter().map(line).collect(),
        back: wanted.href(&[], ""),
        frame: ask.frame(t("Alarme bearbeiten"), Place::Alerts),
    };
    ask.page(&page)
}

fn reason(why: NotDone) -> &'static str {
    match why {
        NotDone::State => t("schon bestätigt oder geschlossen"),
        NotDone::Join(NotJoined::Missing) => t("nicht mehr vorhanden"),
        NotDone::Join(NotJoined::Already) => t("steht schon in diesem Vorfall"),
        NotDone::Join(NotJoined::OtherOwner) => t("gehört einer anderen Stelle"),
        NotDone::Join(NotJoined::CaseClosed) => t("steht in einem geschlossenen Vorfall, und der bleibt, wie er ist"),
        NotDone::Join(NotJoined::Last) => t("ist der letzte seines Vorfalls; führen Sie die beiden Vorfälle stattdessen zusammen"),
    }
}
