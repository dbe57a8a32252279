//! Judging a proof that came with a form: a code from the app, a recovery code, a passkey's answer, the password. Used by the
//! login's second step and by the step-up alike, so that both are slowed down by the same brakes and tell the auditor
//! the same things.

use ingest::audit::{NewAudit, audit_add};
use serde_json::{Value, json};

use super::{Ask, PageError};
use crate::proof::passkey::{PasskeyError, Proof, passkey_find, passkey_used};
use crate::proof::recovery::recovery_use;
use crate::proof::totp::totp_use;
use crate::session::How;
use crate::show;
use crate::user::{self, User, UserId};
use crate::words::{de, t, tf};

/// What was brought; of several the first that is not empty counts.
pub(super) struct Brought<'a> {
    pub(super) passkey: &'a str,
    pub(super) code: &'a str,
    pub(super) recovery: &'a str,
}

/// What it was worth; the text says what to do.
pub(super) enum Judged {
    Yes(How),
    No(String),
    Wait(String),
}

/// Judges a second factor. `purpose` is what a passkey's challenge was begun for.
pub(super) fn second_factor(ask: &Ask, user: &User, brought: &Brought<'_>, purpose: &str) -> Result<Judged, PageError> {
    let (door, now, id) = (ask.app.door.clone(), ask.now, user.id);
    if brought.passkey.is_empty() && brought.code.trim().is_empty() && brought.recovery.trim().is_empty() {
        return Ok(Judged::No(t("Bitte geben Sie einen Code ein.").to_owned()));
    }
    let key = id.to_string();
    // Asked first, so that what the one refuses does not count for the other.
    let braked = door.factors.wait(&key, "", now).map_or(Ok(()), Err);
    let braked = braked.and_then(|()| door.factors_day.enter(&key, "", now)).and_then(|()| door.factors.enter(&key, "", now));
    if let Err(wait) = braked {
        return Ok(Judged::Wait(tf(
            "Zu viele falsche Codes. Bitte warten Sie {wait} und versuchen Sie es dann noch einmal.",
            &[("wait", &show::duration(wait))],
        )));
    }
    let (how, proved, wrong) = if !brought.passkey.is_empty() {
        let proved = passkey(ask, brought.passkey, purpose)?.is_some_and(|user| user == id);
        (
            How::PasswordAndPasskey,
            proved,
            t("Dieser Passkey gehört nicht zu Ihrem Konto, oder es hat zu lange gedauert. Bitte versuchen Sie es noch einmal."),
        )
    } else if brought.code.trim().is_empty() {
        let typed = brought.recovery.to_owned();
        let proved = ask.app.db.write(move |tx| {
            let used = recovery_use(tx, id, &typed, now)?;
            if used {
                tell(tx, now, id, "recovery_code.used", json!({}))?;
            }
            Ok::<_, PageError>(used)
        })?;
        (How::PasswordAndRecovery, proved, t("Dieser Wiederherstellungscode stimmt nicht oder wurde schon benutzt. Jeder gilt nur einmal."))
    } else {
        let (vault, typed) = (door.vault.clone(), brought.code.to_owned());
        let proved = ask.app.db.write(move |tx| totp_use(tx, &vault, id, &typed, now))?;
        (
            How::PasswordAndCode,
            proved,
            t(
                "Der Code stimmt nicht oder wurde schon benutzt. Warten Sie auf den nächsten in Ihrer App, und prüfen Sie, ob die Uhr Ihres Telefons stimmt.",
            ),
        )
    };
    if proved {
        door.factors.succeeded(&key, "");
        door.factors_day.succeeded(&key, "");
        return Ok(Judged::Yes(how));
    }
    // Whoever comes so far knows the password or holds a session: each miss is worth a row, and the brakes bound them.
    let (kind, address) = (how.as_str(), ask.address());
    ask.app.db.write(move |tx| tell(tx, now, id, "login.factor_refused", json!({ "how": kind, "address": address })))?;
    Ok(Judged::No(wrong.to_owned()))
}

/// The account whose passkey answered, where the answer is right.
pub(super) fn passkey(ask: &Ask, json: &str, purpose: &str) -> Result<Option<UserId>, PageError> {
    let Some(relying) = &ask.app.settings.relying else { return Ok(None) };
    let find = |credential: &str| ask.app.db.read(|c| passkey_find(c, credential));
    let proof: Proof = match ask.app.door.ceremonies.prove_finish(relying, purpose, json, ask.now, find) {
        Ok(proof) => proof,
        Err(PasskeyError::Db(error)) => return Err(error.into()),
        Err(error) => {
            tracing::info!(%error, "a passkey's answer was refused");
            return Ok(None);
        }
    };
    let (user, now) = (proof.user, ask.now);
    ask.app.db.write(move |tx| {
        passkey_used(tx, &proof, now)?;
        if proof.regressed {
            // Perhaps there is a copy of the key. The person is let in; the auditor is told.
            tell(tx, now, proof.user, "passkey.counter_regressed", json!({ "passkey": proof.passkey }))?;
        }
        Ok::<_, PageError>(())
    })?;
    Ok(Some(user))
}

/// Judges the password of somebody who is known already.
pub(super) fn password(ask: &Ask, user: &User, typed: &str) -> Result<Judged, PageError> {
    let (door, address) = (ask.app.door.clone(), ask.address());
    if let Err(wait) = door.throttle.enter(&user.login, &address, ask.now) {
        return Ok(Judged::Wait(too_many(wait)));
    }
    let found = ask.app.db.read(|c| user::user_by_login(c, &user.login))?;
    let Some(fits) = door.hasher.verify(typed, found.as_ref().map(|(_, hash)| hash.as_str())) else {
        door.throttle.succeeded(&user.login, &address);
        return Ok(Judged::Wait(t(BUSY).to_owned()));
    };
    if fits {
        door.throttle.succeeded(&user.login, &address);
        return Ok(Judged::Yes(How::Password));
    }
    Ok(Judged::No(t("Das Kennwort stimmt nicht. Bitte prüfen Sie auch Groß- und Kleinschreibung.").to_owned()))
}

pub(super) const BUSY: &str = de("Gerade melden sich sehr viele an. Bitte versuchen Sie es in ein paar Sekunden noch einmal.");

pub(super) fn too_many(wait: i64) -> String {
    tf("Zu viele Versuche. Bitte warten Sie {wait} und versuchen Sie es dann noch einmal.", &[("wait", &show::duration(wait))])
}

/// A row of the audit log about an account, by its owner.
pub(super) fn tell(
    tx: &ingest::rusqlite::Transaction<'_>,
    now: ingest::time::Timestamp,
    user: UserId,
    kind: &'static str,
    detail: Value,
) -> Result<(), PageError> {
    audit_add(tx, now, &NewAudit { actor: user.to_string(), kind, object: format!("user:{user}"), detail })?;
    Ok(())
}
