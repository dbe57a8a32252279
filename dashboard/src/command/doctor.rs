//! `doctor`: what is wrong with a data directory and its server, and what to do about it. Looks from outside: at the
//! database, the disk, the system's limits, and at the last word that a running server left there. Changes nothing.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use advisory::mailroom::letter_counts;
use advisory::openpgp::{ContactKey, OwnKey, PgpError, contact_key_list};
use anyhow::{Result, bail};
use ingest::audit::{AuditFault, Head, audit_verify};
use ingest::body::{SITE_UNKNOWN, SiteTable};
use ingest::disk::Space;
use ingest::enrich::{Geo, GeoFile, Settings};
use ingest::events::PartitionInfo;
use ingest::flow::{Account, StreamKey, accounts_saved};
use ingest::frame::Transport;
use ingest::listen::{Listener, certificate_end};
use ingest::pseudonym::Keyring;
use ingest::scope::Scope;
use ingest::source::{Source, source_list};
use ingest::time::Timestamp;
use serde::Serialize;

use super::SOME_FAILED;
use crate::config::Config;
use crate::node;
use crate::vitals::{self, Vitals};
use crate::{show, words};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    /// Worth knowing; needs nobody.
    Note,
    /// Needs hands.
    Act,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    text: String,
    /// What to do; empty where nothing is to be done.
    action: String,
}

fn fine(check: &'static str, text: impl Into<String>) -> Finding {
    Finding { check, state: State::Ok, text: text.into(), action: String::new() }
}

fn note(check: &'static str, text: impl Into<String>, action: &str) -> Finding {
    Finding { check, state: State::Note, text: text.into(), action: action.into() }
}

fn act(check: &'static str, text: impl Into<String>, action: impl Into<String>) -> Finding {
    Finding { check, state: State::Act, text: text.into(), action: action.into() }
}

/// The server's word is a minute old at most; after three it hangs.
const WORD_AGE_MAX: i64 = 3 * Timestamp::MINUTE;
/// Frames that a consumer may be behind: a minute of the highest load of one machine (DOMAIN.md, B2).
const LAG_FRAMES_MAX: u64 = 500_000;
/// A certificate is renewed in time for this.
const CERTIFICATE_MILLIS_MIN: i64 = 21 * Timestamp::DAY;
/// A connection each for the intake's bounds, and what the stores keep open.
const FILES_MIN: u64 = 16_384;
/// A clock that is off by more makes the order of events misleading.
const SKEW_MILLIS_MAX: i64 = 5 * Timestamp::MINUTE;
/// Items named in one sentence.
const NAMED_MAX: usize = 5;

pub(super) fn doctor(json: bool, dir: &Path, config: &Config, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    if !dir.join("wartburg.db").exists() {
        bail!("{} ist kein Datenverzeichnis. Mit --data eines nennen.", dir.display());
    }
    let pid = node::held_by(dir);
    let db = node::database(dir)?;
    let (sites, word) = (db.read(SiteTable::load)?, Vitals::load(&db)?);
    let sources = db.read(|connection| source_list(connection, &Scope::All, &sites, now))?;
    let audit = db.read(|connection| audit_verify(connection, None))?;
    let exporters = db.read(accounts_saved)?;
    let (waiting, keys) = (db.read(letter_counts)?, db.read(contact_key_list)?);
    db.close();

    let mut findings = vec![server(pid.as_deref(), word.as_ref(), now)];
    findings.push(disk(Space::of(dir).ok(), config));
    findings.extend(damage(&dir.join("quarantine")));
    findings.push(days(super::store::look(dir).map(|store| store.partitions())));
    findings.extend(word.iter().flat_map(|word| books(word, pid.is_some())));
    findings.extend(word.iter().filter(|_| pid.is_some()).flat_map(consumers));
    findings.push(audited(&audit));
    findings.extend(pseudonyms(dir));
    findings.extend(senders(&sources, &sites, now));
    findings.extend(clocks(&sources, now));
    findings.extend(flows(&exporters, config.flows.loss.percent, now));
    findings.extend(certificate(config, now));
    findings.extend(letters(config, waiting, now));
    findings.extend(openpgp(OwnKey::load(&node::keys_dir(dir)), &keys, now));
    findings.extend(enrichment(&config.enrich, &Geo::open(&config.enrich.geo_files).files(), now));
    findings.extend(receive_buffer(config, std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok().as_deref()));
    findings.extend(files(pid.as_deref().unwrap_or("self")));
    print(&findings, json, out)
}

fn print(findings: &[Finding], json: bool, out: &mut dyn Write) -> Result<ExitCode> {
    for finding in findings {
        if json {
            writeln!(out, "{}", serde_json::to_string(finding)?)?;
            continue;
        }
        let sign = match finding.state {
            State::Ok => "gut    ",
            State::Note => "Hinweis",
            State::Act => "ZU TUN ",
        };
        writeln!(out, "{sign}  {}", show::safe(&finding.text))?;
        if !finding.action.is_empty() {
            writeln!(out, "         → {}", show::safe(&finding.action))?;
        }
    }
    let hands = findings.iter().filter(|finding| finding.state == State::Act).count();
    if !json {
        let all = if hands == 0 { "Alles in Ordnung.".to_owned() } else { format!("{hands} zu tun.") };
        writeln!(out, "{all}")?;
    }
    Ok(if hands == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

/// A mail that nobody has looked at for so long may be a call for help.
const LETTER_WAIT_MAX: i64 = 4 * Timestamp::HOUR;

fn letters(config: &Config, (waiting, oldest): (u64, Option<Timestamp>), now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "letters";
    let mut findings = Vec::new();
    if config.mailroom.is_open() && config.mailroom.authserv.is_none() {
        findings.push(act(
            CHECK,
            "Mails kommen herein, aber kein Absender gilt als belegt: mailroom.authserv fehlt.",
            "Den Namen eintragen, mit dem der eigene Mailserver Authentication-Results schreibt (Handbuch, Mail-Eingang).",
        ));
    }
    if let Some(oldest) = oldest.filter(|oldest| now.since(*oldest) > LETTER_WAIT_MAX) {
        let text = format!("{} Mails warten im Posteingang, die älteste seit {}.", show::num(waiting), show::duration(now.since(oldest)));
        findings.push(act(CHECK, text, "Den Posteingang durchsehen (Arbeit, Posteingang)."));
    }
    findings
}

fn openpgp(own: Result<Option<OwnKey>, PgpError>, keys: &[ContactKey], now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "openpgp";
    let mut findings = Vec::new();
    match own {
        Err(error) => findings.push(act(
            CHECK,
            format!("Der eigene OpenPGP-Schlüssel ist nicht brauchbar: {error}."),
            "keys/openpgp.key aus der Sicherung wiederherstellen; ohne ihn startet der Dienst nicht.",
        )),
        Ok(None) if !keys.is_empty() => findings.push(act(
            CHECK,
            "Ansprechpersonen haben OpenPGP-Schlüssel hinterlegt, aber es gibt keinen eigenen: Nichts wird signiert oder verschlüsselt.",
            "Einen erzeugen: wartburg openpgp generate",
        )),
        Ok(_) => {}
    }
    let over: Vec<&str> = keys.iter().filter(|key| !key.usable(now)).map(|key| key.email.as_str()).take(NAMED_MAX).collect();
    if !over.is_empty() {
        let text = format!("OpenPGP-Schlüssel, die nicht mehr gelten: {}.", over.join(", "));
        findings.push(act(CHECK, text, "Neue erbitten und hinterlegen: wartburg openpgp add"));
    }
    findings
}

fn server(pid: Option<&str>, word: Option<&Vitals>, now: Timestamp) -> Finding {
    const CHECK: &str = "server";
    match (pid, word) {
        (Some(_), Some(word)) if !word.ended && now.since(word.at) > WORD_AGE_MAX => act(
            CHECK,
            format!("Der Dienst läuft, hat sich aber zuletzt vor {} gemeldet.", show::duration(now.since(word.at))),
            "Sein Protokoll ansehen und ihn neu starten.",
        ),
        (Some(_), _) if word.is_some_and(|word| !word.journal_healthy) => act(
            CHECK,
            "Das Journal konnte zuletzt nicht schreiben; es wird nichts mehr bestätigt.",
            "Platz und Platte prüfen; steht der Dienst danach noch, ihn neu starten.",
        ),
        (Some(_), Some(word)) if !word.ended => fine(CHECK, format!("Der Dienst läuft seit {}.", show::stamp(word.started))),
        (Some(_), _) => note(CHECK, "Ein Prozess hält das Verzeichnis und hat sich noch nicht gemeldet.", ""),
        (None, Some(word)) if !word.ended => act(
            CHECK,
            format!("Der Dienst läuft nicht; er endete unerwartet nach {}.", show::stamp(word.at)),
            "Sein Protokoll ansehen und ihn starten: wartburg serve",
        ),
        (None, _) => note(CHECK, "Der Dienst läuft nicht: Es wird nichts empfangen.", "Starten mit: wartburg serve"),
    }
}

fn disk(space: Option<Space>, config: &Config) -> Finding {
    const CHECK: &str = "disk";
    let Some(space) = space.filter(|space| space.total > 0) else {
        return act(CHECK, "Die Platte lässt sich nicht messen.", "Prüfen, ob das Datenverzeichnis eingehängt ist.");
    };
    let percent = (space.total - space.free.min(space.total)) as f64 * 100.0 / space.total as f64;
    let text = format!("Die Platte ist zu {}\u{a0}% belegt, {} sind frei", show::decimal(percent, 1), show::bytes(space.free));
    let over = |threshold: u8| percent >= f64::from(threshold);
    let room = "Platz schaffen: die Platte vergrößern oder journal.keep_days verkürzen.";
    match () {
        () if over(config.disk.stop_percent) => act(CHECK, format!("{text}: Es wird nichts mehr bestätigt."), room),
        () if over(config.disk.shed_percent) => act(CHECK, format!("{text}: Quellen niedriger Priorität werden verworfen."), room),
        () if over(config.disk.warn_percent) => act(CHECK, format!("{text}."), room),
        () => fine(CHECK, format!("{text}.")),
    }
}

fn damage(quarantine: &Path) -> Option<Finding> {
    let count = std::fs::read_dir(quarantine).map_or(0, Iterator::count);
    (count > 0).then(|| {
        act(
            "damage",
            format!("{count} beschädigte Stellen des Journals liegen in quarantine/."),
            "Die Platte prüfen (SMART, Speicher); die Stellen sind beiseitegelegt, nichts davon ist gelöscht.",
        )
    })
}

/// The days of the event store that cannot be read, as far as is seen without reading all of them.
fn days(partitions: Result<Vec<PartitionInfo>>) -> Finding {
    const CHECK: &str = "events";
    let partitions = match partitions {
        Ok(partitions) => partitions,
        Err(error) => {
            return act(CHECK, format!("Der Ereignisspeicher lässt sich nicht lesen: {error:#}."), "Platte und Rechte von events/ prüfen.");
        }
    };
    let damaged: Vec<&str> = partitions.iter().filter(|part| part.damaged).map(|part| part.name.as_str()).collect();
    if damaged.is_empty() {
        return fine(CHECK, format!("Der Ereignisspeicher ist lesbar: {}.", super::plural(partitions.len(), "Tag", "Tage")));
    }
    let more = damaged.len().saturating_sub(NAMED_MAX);
    let named = damaged.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    let named = if more > 0 { format!("{named} und {more} weitere") } else { named };
    act(
        CHECK,
        format!("Im Ereignisspeicher beschädigt: {named}. Was dort liegt, findet keine Suche."),
        "Aus dem Journal neu aufbauen: wartburg store rebuild",
    )
}

/// Whether the audit log is whole.
fn audited(audit: &Result<Head, AuditFault>) -> Finding {
    const CHECK: &str = "audit";
    match audit {
        Ok(Head { n: 0, .. }) => fine(CHECK, "Das Prüfprotokoll ist noch leer."),
        Ok(head) => {
            let count = show::num(head.n);
            fine(CHECK, format!("Das Prüfprotokoll ist lückenlos: {count} Einträge, Ende {}.", head.hash.get(..16).unwrap_or_default()))
        }
        Err(fault) => {
            let text = format!("Das Prüfprotokoll wurde verändert: {fault}.");
            act(CHECK, text, "Die Datenbank sichern, mit der letzten Sicherung vergleichen und klären, wer sie ändern konnte.")
        }
    }
}

/// What is hidden, since when, and whether the keys are there for it. Nothing where nothing ever was.
fn pseudonyms(dir: &Path) -> Option<Finding> {
    const CHECK: &str = "pseudonyms";
    let ring = match Keyring::load(&node::keys_dir(dir)) {
        Ok(ring) => ring?,
        Err(error) => {
            let todo =
                "Ohne die Schlüssel startet der Dienst nicht, und kein Pseudonym lässt sich aufdecken: die Datei aus der Sicherung holen.";
            return Some(act(CHECK, format!("Die Schlüssel der Pseudonyme sind nicht brauchbar: {error}"), todo));
        }
    };
    let plan = ring.plans.last()?;
    let what = super::pseudonyms::what(plan);
    let since = show::stamp(plan.at);
    Some(if plan.on {
        let text = format!("Pseudonymisiert wird seit {since}: {what}. Was vorher gespeichert wurde, bleibt, wie es ist.");
        note(CHECK, text, "Die Datei keys/pseudonym.json getrennt von den Daten sichern.")
    } else {
        note(CHECK, format!("Seit {since} wird nicht mehr pseudonymisiert; was vorher gespeichert wurde, bleibt pseudonymisiert."), "")
    })
}

/// Whether everything received is accounted for, and what was lost.
fn books(word: &Vitals, running: bool) -> Vec<Finding> {
    const CHECK: &str = "conservation";
    let mut findings = Vec::new();
    let (mut received, mut stored) = (0, 0);
    for (name, tally) in &word.listeners {
        let label = vitals::listener(name).map_or(name.as_str(), |listener| words::listener(listener));
        received += tally.received;
        stored += tally.stored;
        let missing = if running { tally.excess() } else { tally.excess() + if word.ended { tally.open() } else { 0 } };
        if missing > 0 {
            let sum = format!("{label}: Die Rechnung geht nicht auf, {} sind nicht erklärt.", show::num(missing));
            findings.push(act(CHECK, sum, "Das ist ein Fehler von Wartburg: bitte mit dem Protokoll des Dienstes melden."));
        }
        for (reason, count) in &tally.dropped {
            let (what, todo) =
                vitals::dropped(reason).map_or((reason.as_str(), ""), |reason| (words::dropped(reason), words::dropped_todo(reason)));
            findings.push(act("loss", format!("{label}: {} verloren ({what}).", show::num(*count)), todo));
        }
    }
    for (name, count) in &word.kernel_dropped {
        let label = vitals::listener(name).map_or(name.as_str(), |listener| words::listener(listener));
        let text = format!("{label}: {} Datagramme verlor schon der Netzwerkpuffer des Systems.", show::num(*count));
        findings.push(act("loss", text, "intake.udp_receive_buffer_bytes und net.core.rmem_max erhöhen, oder auf TCP umstellen."));
    }
    if findings.is_empty() {
        let text = format!("Seit dem Start {} empfangen, {} gespeichert, nichts verloren.", show::num(received), show::num(stored));
        findings.push(fine(CHECK, text));
    }
    findings
}

fn consumers(word: &Vitals) -> Vec<Finding> {
    const CHECK: &str = "consumer";
    let mut findings = Vec::new();
    for reach in &word.consumers {
        let name = words::consumer(&reach.name);
        let lag = word.journal_last.saturating_sub(reach.applied);
        if let Some(error) = &reach.error {
            let todo = "Die Ursache beheben; dann geht es von selbst weiter: Das Journal behält, was fehlt.";
            findings.push(act(CHECK, format!("{name} ist stehen geblieben: {error}"), todo));
        } else if lag > LAG_FRAMES_MAX {
            let text = format!("{name}: {} Pakete im Rückstand.", show::num(lag));
            findings.push(act(CHECK, text, "Läuft der Rückstand nicht ab, ist die Maschine zu klein oder die Platte zu langsam."));
        }
    }
    if findings.is_empty() {
        findings.push(fine(CHECK, "Speicher und Regeln sind auf dem Stand des Journals."));
    }
    findings
}

fn named(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    let shown = all.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    if all.len() > NAMED_MAX { format!("{shown} und {} weitere", all.len() - NAMED_MAX) } else { shown }
}

fn senders(sources: &[Source], sites: &SiteTable, now: Timestamp) -> Vec<Finding> {
    let live = || sources.iter().filter(|source| source.transport != Transport::Import.as_str());
    let mut findings = Vec::new();
    let silent: Vec<&Source> =
        live().filter(|source| source.site != SITE_UNKNOWN && source.is_regular() && source.is_silent(now)).collect();
    if silent.is_empty() {
        findings.push(fine("silence", format!("{} Quellen bekannt, keine ist verstummt.", show::num(live().count() as u64))));
    } else {
        let names = named(silent.iter().map(|source| format!("{} ({})", source.name(), sites.name(source.site))));
        let text = format!("{} Quellen sind verstummt: {names}.", show::num(silent.len() as u64));
        findings.push(act("silence", text, "Auf der Seite „Quellen und Standorte“ stehen Dauer und Grund; die Stelle anrufen."));
    }
    let strangers: Vec<&Source> =
        live().filter(|source| source.site == SITE_UNKNOWN && now.since(source.last_seen) < Timestamp::DAY).collect();
    if !strangers.is_empty() {
        let text =
            format!("Von unbekannten Absendern kam in den letzten 24\u{a0}h etwas: {}.", named(strangers.iter().map(|s| s.peer.clone())));
        findings.push(act(
            "stranger",
            text,
            "Ihre Netze, Zertifikate oder Tokens unter [[sites]] eintragen, oder sie an der Firewall sperren.",
        ));
    }
    let mut mute: Vec<String> = sites
        .iter()
        .filter(|site| site.id != SITE_UNKNOWN && !sources.iter().any(|source| source.site == site.id))
        .map(|site| site.name.clone())
        .collect();
    mute.sort();
    if !mute.is_empty() {
        let text = format!("{} Standorte haben noch nie gesendet: {}.", mute.len(), named(mute.into_iter()));
        findings.push(note("site", text, "Dort ein Gerät einstellen, oder die Netze unter [[sites]] prüfen."));
    }
    findings
}

fn clocks(sources: &[Source], now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "clock";
    let ahead = sources.iter().map(|source| source.last_seen.since(now)).max().unwrap_or(0);
    if ahead > Timestamp::MINUTE {
        let text = format!("Die Uhr dieses Rechners geht nach: Zuletzt wurde um {} später empfangen.", show::duration(ahead));
        return vec![act(CHECK, text, "Die Uhr stellen und NTP einrichten.")];
    }
    let live = sources.iter().filter(|source| now.since(source.last_seen) < Timestamp::DAY);
    let wrong: Vec<String> = live
        .filter_map(|source| {
            let skew = source.skew.filter(|skew| skew.abs() > SKEW_MILLIS_MAX)?;
            let way = if skew > 0 { "nach" } else { "vor" };
            Some(format!("{} ({} {way})", source.name(), show::duration(skew.abs())))
        })
        .collect();
    if wrong.is_empty() {
        return vec![fine(CHECK, "Die Uhren gehen richtig.")];
    }
    let text = format!("Bei {} Quellen geht die Uhr falsch: {}.", wrong.len(), named(wrong.into_iter()));
    vec![note(
        CHECK,
        text,
        "Dort NTP einrichten. Sind es ganze Stunden, stimmt die Zeitzone nicht: Sie ist auf der Seite der Quelle einstellbar.",
    )]
}

/// What exporters of flows numbered and what of it came, since each was first heard.
fn flows(accounts: &[(StreamKey, Account)], loss_percent: u32, now: Timestamp) -> Vec<Finding> {
    const CHECK: &str = "flow_loss";
    let live: Vec<_> = accounts.iter().filter(|(_, account)| now.since(account.last) < Timestamp::DAY).collect();
    if live.is_empty() {
        return vec![];
    }
    let mut findings = Vec::new();
    let share = |(_, account): &(StreamKey, Account)| account.loss().unwrap_or_default() * 100.0;
    let mut losing: Vec<_> = live.iter().filter(|stream| share(stream) > f64::from(loss_percent)).collect();
    losing.sort_by(|a, b| share(b).total_cmp(&share(a)));
    if loss_percent > 0 && !losing.is_empty() {
        let names = named(losing.iter().map(|stream| format!("{} ({}\u{a0}%)", stream.0.exporter, show::decimal(share(stream), 1))));
        let text = format!("Flussdaten kamen nicht vollständig an, seit dem ersten Empfang von: {names}.");
        let todo = "Auf der Seite „Quellen und Standorte“ steht, was fehlt. Das Netz dorthin prüfen, oder das Gerät nur Stichproben senden lassen (ohne sein Wort dazu: [[flows.sampling]]).";
        findings.push(note(CHECK, text, todo));
    }
    let wrong: Vec<String> = live
        .iter()
        .filter(|(_, account)| account.skew_ms.abs() > SKEW_MILLIS_MAX)
        .map(|(key, account)| {
            let way = if account.skew_ms > 0 { "vor" } else { "nach" };
            format!("{} ({} {way})", key.exporter, show::duration(account.skew_ms.abs()))
        })
        .collect();
    if !wrong.is_empty() {
        let text = format!("Bei {} Exporteuren von Flussdaten geht die Uhr falsch: {}.", wrong.len(), named(wrong.into_iter()));
        findings.push(note("clock", text, "Dort NTP einrichten: Ihre Flüsse stehen sonst zur falschen Zeit."));
    }
    if findings.is_empty() {
        let sum = |of: fn(&Account) -> u64| show::num(live.iter().map(|(_, account)| of(account)).sum::<u64>());
        let exporters = live.iter().map(|(key, _)| key.exporter).collect::<BTreeSet<_>>().len();
        let text = format!("Exporteure von Flussdaten: {exporters}; {} Flüsse, {} verloren.", sum(|a| a.records), sum(|a| a.lost));
        findings.push(fine(CHECK, text));
    }
    findings
}

fn certificate(config: &Config, now: Timestamp) -> Option<Finding> {
    const CHECK: &str = "certificate";
    let path = config.intake.tls_certificate.as_ref()?;
    Some(match certificate_end(path) {
        Err(error) => act(CHECK, format!("Das TLS-Zertifikat ist nicht lesbar: {error}"), "intake.tls_certificate prüfen."),
        Ok(end) if end <= now => act(
            CHECK,
            format!("Das TLS-Zertifikat ist abgelaufen ({}).", show::stamp(end)),
            "Ein neues einspielen; ein Neustart ist nicht nötig.",
        ),
        Ok(end) if end.since(now) < CERTIFICATE_MILLIS_MIN => {
            let text = format!("Das TLS-Zertifikat läuft in {} ab ({}).", show::duration(end.since(now)), show::stamp(end));
            act(CHECK, text, "Ein neues einspielen; ein Neustart ist nicht nötig.")
        }
        Ok(end) => fine(CHECK, format!("Das TLS-Zertifikat gilt bis {}.", show::stamp(end))),
    })
}

/// What is added to events, and how the files for it are: read here as a start would read them.
fn enrichment(settings: &Settings, files: &[GeoFile], now: Timestamp) -> Vec<Finding> {
    let on = words::enrichments(settings);
    let mut findings = vec![if on.is_empty() {
        note(
            "enrichment",
            "Ereignisse werden nicht angereichert.",
            "Was es gibt und was es kostet, steht im Handbuch unter „Anreicherung“.",
        )
    } else {
        fine("enrichment", format!("Ereignisse werden angereichert: {}.", on.join(", ")))
    }];
    for file in files {
        findings.push(match &file.error {
            Some(error) => act("geo", format!("{} {}.", file.path.display(), words::geo_fault(error)), words::geo_todo(error)),
            None if words::is_geo_old(file, now) => note(
                "geo",
                format!("Veraltet: {}.", words::geo_file(file, now)),
                "Eine neue Fassung an ihre Stelle legen; sie wird von selbst gelesen.",
            ),
            None => fine("geo", format!("{}.", words::geo_file(file, now))),
        });
    }
    findings
}

fn receive_buffer(config: &Config, rmem_max: Option<&str>) -> Option<Finding> {
    const CHECK: &str = "receive_buffer";
    let wanted = config.intake.udp_receive_buffer_bytes as u64;
    let listens = Listener::ALL.into_iter().any(|listener| listener.is_udp() && config.intake.addresses[listener].is_some());
    let limit: u64 = rmem_max?.trim().parse().ok()?;
    let short = listens && limit < wanted;
    Some(if short {
        note(
            CHECK,
            format!("UDP: Gewünscht sind {} Empfangspuffer, das System erlaubt {}.", show::bytes(wanted), show::bytes(limit)),
            &format!("sysctl -w net.core.rmem_max={wanted}, oder dem Dienst CAP_NET_ADMIN geben."),
        )
    } else {
        fine(CHECK, "Das System erlaubt den gewünschten Empfangspuffer.")
    })
}

/// The open files that a process may have.
fn files(pid: &str) -> Option<Finding> {
    const CHECK: &str = "files";
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse::<u64>().ok())?;
    Some(if limit < FILES_MIN {
        let text = format!("Der Dienst darf nur {} Dateien öffnen; jede Verbindung braucht eine.", show::num(limit));
        note(CHECK, text, "LimitNOFILE=65536 in der Dienstdatei setzen (oder ulimit -n).")
    } else {
        fine(CHECK, format!("Der Dienst darf {} Dateien öffnen.", show::num(limit)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;
    use ingest::enrich::GeoError;
    use ingest::flow::FlowDecoder;
    use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq};

    use super::*;
    use crate::config;
    use crate::vitals::{Reach, Tally};

    const NOW: Timestamp = Timestamp(1_795_248_000_000);

    fn shown(findings: &[Finding]) -> String {
        let mut out = Vec::new();
        print(findings, false, &mut out).unwrap();
        String::from_utf8(out).unwrap().replace('\u{a0}', " ")
    }

    fn word() -> Vitals {
        let tally = Tally { received: 100, stored: 90, rejected: BTreeMap::from([("empty".into(), 4)]), dropped: BTreeMap::new() };
        Vitals {
            at: NOW.plus(-30_000),
            started: NOW.plus(-Timestamp::DAY),
            journal_last: 2_000_000,
            listeners: BTreeMap::from([("syslog_udp".into(), tally)]),
            consumers: vec![Reach { name: "events".into(), applied: 1_999_990, error: None }],
            journal_healthy: true,
            ..Vitals::default()
        }
    }

    #[test]
    fn days_that_cannot_be_read_are_named() {
        let part = |day: u32, damaged: bool| PartitionInfo {
            name: format!("standard/2026-11-{day:02}"),
            class: "standard".into(),
            day: format!("2026-11-{day:02}"),
            documents: 1,
            pending: 0,
            bytes: 1,
            segments: 1,
            sealed: false,
            damaged,
            held: 0,
            first: None,
            last: None,
        };
        let sound = days(Ok(vec![part(1, false)]));
        let some = days(Ok((1..=9).map(|day| part(day, day > 2)).collect()));
        let unreadable = days(Err(anyhow::anyhow!("Ereignisspeicher öffnen")));
        expect![[r#"
            gut      Der Ereignisspeicher ist lesbar: 1 Tag.
            ZU TUN   Im Ereignisspeicher beschädigt: standard/2026-11-03, standard/2026-11-04, standard/2026-11-05, standard/2026-11-06, standard/2026-11-07 und 2 weitere. Was dort liegt, findet keine Suche.
                     → Aus dem Journal neu aufbauen: wartburg store rebuild
            ZU TUN   Der Ereignisspeicher lässt sich nicht lesen: Ereignisspeicher öffnen.
                     → Platte und Rechte von events/ prüfen.
            2 zu tun.
        "#]]
        .assert_eq(&shown(&[sound, some, unreadable]));
    }

    /// An exporter's account after a hundred datagrams, of which some in the middle never came; the last one at that time.
    fn heard(last: u8, lost: u32, skew_seconds: i64, at: Timestamp) -> (StreamKey, Account) {
        let mut decoder = FlowDecoder::default();
        for n in (0..100).filter(|n| !(40..40 + lost).contains(n)) {
            let received_at = at.plus((i64::from(n) - 99) * Timestamp::SECOND);
            let clock = u32::try_from(received_at.0 / 1_000 + skew_seconds).unwrap();
            let mut payload: Vec<u8> = [5u16, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
            payload.extend([3_600_000 + n * 1_000, clock, 0, n, 0].iter().flat_map(|n: &u32| n.to_be_bytes()));
            payload.extend([0; 48]);
            let frame = NewFrame {
                received_at,
                site: SITE_UNKNOWN,
                peer: [192, 0, 2, last].into(),
                transport: Transport::Udp,
                kind: FrameKind::Flow,
                marks: Marks::default(),
                payload: payload.into(),
            };
            decoder.decode(&Frame { seq: Seq(1 + u64::from(n)), frame }, &mut Vec::new());
        }
        decoder.accounts().list().pop().unwrap()
    }

    #[test]
    fn exporters_that_lose_or_run_wrong() {
        let stream = |last: u8, lost: u32, skew_seconds: i64| heard(last, lost, skew_seconds, NOW);
        let gone = || heard(9, 50, 0, NOW.plus(-2 * Timestamp::DAY));
        let mut findings = flows(&[stream(1, 0, 0), gone()], 5, NOW);
        findings.extend(flows(&[stream(1, 10, 0), stream(2, 20, -3_600), stream(3, 0, 600), gone()], 5, NOW));
        findings.extend(flows(&[gone()], 5, NOW));
        expect![[r#"
            gut      Exporteure von Flussdaten: 1; 100 Flüsse, 0 verloren.
            Hinweis  Flussdaten kamen nicht vollständig an, seit dem ersten Empfang von: 192.0.2.2 (20,0 %), 192.0.2.1 (10,0 %).
                     → Auf der Seite „Quellen und Standorte“ steht, was fehlt. Das Netz dorthin prüfen, oder das Gerät nur Stichproben senden lassen (ohne sein Wort dazu: [[flows.sampling]]).
            Hinweis  Bei 2 Exporteuren von Flussdaten geht die Uhr falsch: 192.0.2.2 (1 h nach), 192.0.2.3 (10 min vor).
                     → Dort NTP einrichten: Ihre Flüsse stehen sonst zur falschen Zeit.
            Alles in Ordnung.
        "#]].assert_eq(&shown(&findings));
    }

    #[test]
    fn a_sound_server() {
        let word = word();
        let mut findings = vec![server(Some("7"), Some(&word), NOW)];
        findings.extend(books(&word, true));
        findings.extend(consumers(&word));
        findings.push(disk(Some(Space { total: 1_000_000_000_000, free: 400_000_000_000 }), &config::defaults()));
        expect![[r#"
            gut      Der Dienst läuft seit 20.11.2026, 09:00.
            gut      Seit dem Start 100 empfangen, 90 gespeichert, nichts verloren.
            gut      Speicher und Regeln sind auf dem Stand des Journals.
            gut      Die Platte ist zu 60,0 % belegt, 400 GB sind frei.
            Alles in Ordnung.
        "#]]
        .assert_eq(&shown(&findings));
    }

    #[test]
    fn what_is_added_to_events() {
        let file = |kind: &str, age: i64, error| GeoFile {
            path: format!("/geo/{kind}.mmdb").into(),
            kind: kind.into(),
            built: Some(NOW.plus(-age * Timestamp::DAY)),
            error,
        };
        let gone = GeoFile {
            path: "/geo/x.mmdb".into(),
            kind: String::new(),
            built: None,
            error: Some(GeoError::Unreadable("No such file".into())),
        };
        let files =
            [file("Test-Country", 3, None), file("Test-ASN", 100, None), file("Test-City", 9, Some(GeoError::Damaged("x".into()))), gone];
        let settings = Settings { geo_files: vec!["/geo/x.mmdb".into()], ..config::defaults().enrich };
        let mut findings = enrichment(&settings, &files, NOW);
        findings.extend(enrichment(&Settings::default(), &[], NOW));
        expect![[r#"
            gut      Ereignisse werden angereichert: Community-ID, Richtung, Browserkennung, Rechnernamen aus DHCP, Land und Netzbetreiber.
            gut      Test-Country vom 18.11.2026 (vor 3 d).
            Hinweis  Veraltet: Test-ASN vom 13.08.2026 (vor 100 d).
                     → Eine neue Fassung an ihre Stelle legen; sie wird von selbst gelesen.
            ZU TUN   /geo/Test-City.mmdb ist keine heile MMDB-Datei (x).
                     → Die Datei neu herunterladen und entpackt an ihre Stelle legen; sie wird von selbst gelesen. Empfangen und gespeichert wird auch ohne sie.
            ZU TUN   /geo/x.mmdb kann nicht gelesen werden (No such file).
                     → Den Pfad in enrich.geo_files und die Leserechte prüfen. Empfangen und gespeichert wird auch ohne sie; es fehlen nur Land und Netzbetreiber.
            Hinweis  Ereignisse werden nicht angereichert.
                     → Was es gibt und was es kostet, steht im Handbuch unter „Anreicherung“.
            2 zu tun.
        "#]].assert_eq(&shown(&findings));
    }

    #[test]
    fn what_needs_hands() {
        let mut word = word();
        word.ended = true;
        word.kernel_dropped.insert("netflow_udp".into(), 12);
        word.consumers = vec![
            Reach { name: "flows".into(), applied: 5, error: None },
            Reach { name: "detect".into(), applied: 5, error: Some("disk full".into()) },
        ];
        if let Some(tally) = word.listeners.get_mut("syslog_udp") {
            tally.dropped.insert("queue_full".into(), 2);
        }
        let mut findings = vec![server(Some("7"), Some(&Vitals { at: NOW.plus(-Timestamp::HOUR), ended: false, ..word.clone() }), NOW)];
        findings.extend(books(&word, false));
        findings.extend(consumers(&word));
        findings.push(disk(Some(Space { total: 1_000_000_000_000, free: 20_000_000_000 }), &config::defaults()));
        findings.extend(receive_buffer(&config::defaults(), Some("212992\n")));
        expect![[r#"
            ZU TUN   Der Dienst läuft, hat sich aber zuletzt vor 1 h gemeldet.
                     → Sein Protokoll ansehen und ihn neu starten.
            ZU TUN   Syslog über UDP: Die Rechnung geht nicht auf, 4 sind nicht erklärt.
                     → Das ist ein Fehler von Wartburg: bitte mit dem Protokoll des Dienstes melden.
            ZU TUN   Syslog über UDP: 2 verloren (Warteschlange voll).
                     → Die Platte war zu langsam: eine schnellere nehmen, oder laute Absender begrenzen oder auf TCP umstellen.
            ZU TUN   Flussdaten (NetFlow): 12 Datagramme verlor schon der Netzwerkpuffer des Systems.
                     → intake.udp_receive_buffer_bytes und net.core.rmem_max erhöhen, oder auf TCP umstellen.
            ZU TUN   Flussspeicher: 1.999.995 Pakete im Rückstand.
                     → Läuft der Rückstand nicht ab, ist die Maschine zu klein oder die Platte zu langsam.
            ZU TUN   Regelwerk ist stehen geblieben: disk full
                     → Die Ursache beheben; dann geht es von selbst weiter: Das Journal behält, was fehlt.
            ZU TUN   Die Platte ist zu 98,0 % belegt, 20 GB sind frei: Es wird nichts mehr bestätigt.
                     → Platz schaffen: die Platte vergrößern oder journal.keep_days verkürzen.
            Hinweis  UDP: Gewünscht sind 8,4 MB Empfangspuffer, das System erlaubt 213 kB.
                     → sysctl -w net.core.rmem_max=8388608, oder dem Dienst CAP_NET_ADMIN geben.
            7 zu tun.
        "#]]
        .assert_eq(&shown(&findings));
    }
}
