//! Meldungen: the list by state, the form of a draft, one advisory with its workflow and its board, the CSAF file.

use std::str::FromStr;

use advisory::acknowledgement::{self as ack, AckOutcome, BoardRow, ack_board, ack_record_body};
use advisory::advisory::{
    Advisory, AdvisoryId, Content, Cve, Cvss, Kind, Measure, MeasureKind, Product, Severity, Source, State, ThreatLevel, Tlp,
};
use advisory::csaf::csaf_file_name;
use advisory::publication::{Deliver, Order, advisory_audience, advisory_preview, advisory_publish, advisory_withdraw};
use advisory::store::{
    AdvisoryError, AdvisoryFilter, advisory_approve, advisory_draft, advisory_edit, advisory_get, advisory_list, advisory_return,
    advisory_revise, advisory_submit,
};
use advisory::tree::tree_write;
use advisory::workflow::{Actor, Refusal, Role as WidRole, transitions_open};
use askama::Template;
use detect::incident::incident_of_warning;
use detect::role::Role;
use ingest::db::DbError;
use ingest::history::history_of;
use ingest::rusqlite::Transaction;
use ingest::scope::Scope;

use crate::show::{self, Markup, Tone, filters, link};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, Names, t, tf};

const PAGE_ROWS: usize = 50;

pub(super) struct Row {
    pub(super) href: String,
    pub(super) number: String,
    pub(super) title: String,
    pub(super) severity: Markup,
    pub(super) tlp: Markup,
    pub(super) state: Markup,
    pub(super) acks: String,
    pub(super) time: Markup,
}

pub(super) fn severity_badge(severity: Severity) -> Markup {
    let tone = match severity {
        Severity::Kritisch => Tone::Crit,
        Severity::Hoch => Tone::High,
        Severity::Mittel => Tone::Mid,
        Severity::Niedrig => Tone::Low,
    };
    show::badge(tone, t(severity.label()))
}

/// The label as FIRST writes it, without the prefix that `Tlp::label` has.
fn tlp_word(tlp: Tlp) -> &'static str {
    tlp.label().trim_start_matches("TLP:")
}

pub(super) fn tlp_badge(tlp: Tlp) -> Markup {
    show::tlp(tlp_word(tlp))
}

fn state_badge(state: State) -> Markup {
    let tone = match state {
        State::Published => Tone::Good,
        State::InReview => Tone::Low,
        State::Draft | State::Approved | State::Withdrawn => Tone::Quiet,
    };
    show::badge(tone, t(state.label()))
}

fn row(ask: &Ask, advisory: &Advisory, acks: String) -> Row {
    Row {
        href: format!("/meldung/{}", advisory.id),
        number: advisory.number_label().to_owned(),
        title: if advisory.content.title.is_empty() { t("Ohne Titel").into() } else { advisory.content.title.clone() },
        severity: severity_badge(advisory.content.severity),
        tlp: tlp_badge(advisory.content.tlp),
        state: state_badge(advisory.state),
        acks,
        time: show::time(advisory.released_at.unwrap_or(advisory.updated_at), ask.now),
    }
}

/// Whether the label allows this viewer the advisory; the store has decided about the body already.
fn visible(ask: &Ask, advisory: &Advisory) -> bool {
    ask.viewer.as_ref().is_some_and(|viewer| viewer.may_read(advisory.content.tlp.label()))
}

fn internal(ask: &Ask) -> bool {
    ask.scope() == Scope::All
}

/// Who acts in the WID's workflow: analysts write and review, the lead publishes too. That nobody approves the own
/// text is the workflow's affair.
pub(super) fn actor(ask: &Ask) -> Result<Actor, PageError> {
    let viewer = ask.viewer()?;
    let roles: &[WidRole] = match viewer.role {
        Role::Analyst | Role::Lead => &[WidRole::Author, WidRole::Reviewer, WidRole::Publisher],
        _ => &[],
    };
    Ok(Actor::new(&viewer.user.to_string(), roles))
}

#[derive(Template)]
#[template(path = "advisories.html")]
struct ListPage {
    frame: Frame,
    summary: String,
    may_write: bool,
    tabs: Vec<(String, &'static str, bool)>,
    rows: Vec<Row>,
    older: String,
}

pub(in crate::web) fn list(ask: &mut Ask) -> Reply {
    let (scope, internal) = (ask.scope(), internal(ask));
    let wanted = ask.query("stand");
    let state = State::parse(wanted);
    let offset: usize = ask.query("ab").parse().unwrap_or(0).min(100_000);
    let filter = AdvisoryFilter { state, text: String::new(), offset, limit: PAGE_ROWS + 1 };
    let (mut found, boards) = ask.app.db.read(|c| {
        let found = advisory_list(c, &scope, &filter)?;
        let mut boards = vec![];
        for advisory in found.iter().take(PAGE_ROWS) {
            boards.push(if internal && advisory.revision > 0 { Some(ack_board(c, &scope, advisory.id)?) } else { None });
        }
        Ok::<_, DbError>((found, boards))
    })?;
    let more = found.len() > PAGE_ROWS;
    found.truncate(PAGE_ROWS);
    let acks = |board: &Option<Vec<BoardRow>>| match board {
        Some(board) => answered(board),
        None => "–".to_owned(),
    };
    let rows: Vec<Row> =
        found.iter().zip(&boards).filter(|(one, _)| visible(ask, one)).map(|(one, board)| row(ask, one, acks(board))).collect();
    let mut tabs = vec![];
    if internal {
        tabs.push(("/meldungen".to_owned(), t("Alle"), state.is_none()));
        tabs.extend(
            State::ALL.iter().map(|known| (link("/meldungen", &[("stand", known.as_str())]), t(known.label()), state == Some(*known))),
        );
    }
    let next = (offset + PAGE_ROWS).to_string();
    let page = ListPage {
        frame: ask.frame(if internal { t("Meldungen") } else { t("Warnungen") }, Place::Advisories),
        summary: if internal {
            t("Warnungen und Hinweise an die Stellen, die neuesten zuerst").into()
        } else {
            t("Was das ThüringenCERT veröffentlicht hat, das Neueste zuerst").into()
        },
        may_write: internal,
        tabs,
        rows,
        older: if more { link("/meldungen", &[("stand", wanted), ("ab", &next)]) } else { String::new() },
    };
    ask.page(&page)
}

/// A draft as the form holds it: text, so that what was typed survives a mistake.
#[derive(Default)]
struct Draft {
    title: String,
    situation: String,
    assessment: String,
    check: String,
    measures: String,
    products: String,
    cves: String,
    cvss: String,
    sources: String,
    source_published_at: String,
}

type Choices = Vec<(&'static str, &'static str, bool)>;

#[derive(Template)]
#[template(path = "advisory_edit.html")]
struct EditPage {
    frame: Frame,
    action: String,
    version: i64,
    problems: Vec<(&'static str, String)>,
    draft: Draft,
    kinds: Choices,
    severities: Choices,
    threat_levels: Choices,
    tlps: Choices,
}

fn edit_page(ask: &Ask, action: String, version: i64, content: &Content, draft: Draft, problems: Vec<(&'static str, String)>) -> Reply {
    let status = if problems.is_empty() { axum::http::StatusCode::OK } else { axum::http::StatusCode::UNPROCESSABLE_ENTITY };
    let page = EditPage {
        frame: ask.frame(if version == 0 { t("Neue Meldung") } else { t("Meldung bearbeiten") }, Place::Advisories),
        action,
        version,
        problems,
        draft,
        kinds: Kind::ALL.iter().map(|one| (one.as_str(), t(one.label()), *one == content.kind)).collect(),
        severities: Severity::ALL.iter().map(|one| (one.as_str(), t(one.label()), *one == content.severity)).collect(),
        threat_levels: ThreatLevel::ALL.iter().map(|one| (one.as_str(), t(one.label()), *one == content.threat_level)).collect(),
        tlps: Tlp::ALL.iter().map(|one| (one.as_str(), one.label(), *one == content.tlp)).collect(),
    };
    ask.page_status(status, &page)
}

fn draft_of(content: &Content) -> Draft {
    let lines = |lines: Vec<String>| lines.join("\n");
    let cells = |cells: &[&str]| cells.iter().copied().filter(|cell| !cell.is_empty()).collect::<Vec<_>>().join(" | ");
    Draft {
        title: content.title.clone(),
        situation: content.situation.clone(),
        assessment: content.assessment.clone(),
        check: content.check.clone(),
        measures: lines(content.measures.iter().map(|one| one.text.replace('\n', " ")).collect()),
        products: lines(content.products.iter().map(|one| cells(&[&one.vendor, &one.name, &one.version])).collect()),
        cves: lines(content.cves.iter().map(|one| one.as_str().to_owned()).collect()),
        cvss: content.cvss.as_ref().map(|one| one.vector().to_owned()).unwrap_or_default(),
        sources: lines(content.sources.iter().map(|one| cells(&[&one.title, &one.url])).collect()),
        source_published_at: content.source_published_at.map(show::local_input).unwrap_or_default(),
    }
}

/// Reads the form over `base`, so that fields the form has not are kept; what could not be read becomes a problem.
fn content_of(ask: &Ask, base: Content) -> (Content, Draft, Vec<(&'static str, String)>) {
    let text = |name: &str| ask.form(name).replace("\r\n", "\n");
    let draft = Draft {
        title: text("title"),
        situation: text("situation"),
        assessment: text("assessment"),
        check: text("check"),
        measures: text("measures"),
        products: text("products"),
        cves: text("cves"),
        cvss: text("cvss"),
        sources: text("sources"),
        source_published_at: text("source_published_at"),
    };
    let mut problems = vec![];
    let mut content = base;
    content.kind = Kind::parse(ask.form("kind")).unwrap_or(content.kind);
    content.severity = Severity::parse(ask.form("severity")).unwrap_or(content.severity);
    content.threat_level = ThreatLevel::parse(ask.form("threat_level")).unwrap_or(content.threat_level);
    content.tlp = Tlp::parse(ask.form("tlp")).unwrap_or(content.tlp);
    content.title.clone_from(&draft.title);
    content.situation.clone_from(&draft.situation);
    content.assessment.clone_from(&draft.assessment);
    content.check.clone_from(&draft.check);
    if content.title.trim().is_empty() {
        problems.push(("title", t("Der Titel fehlt.").to_owned()));
    }
    let kept = content.measures;
    content.measures = lines(&draft.measures)
        .map(|line| {
            // A measure that stays keeps its kind and its date.
            let known = kept.iter().find(|measure| measure.text.replace('\n', " ") == line);
            known.cloned().unwrap_or_else(|| Measure { kind: MeasureKind::Mitigation, text: line.to_owned(), due_at: None })
        })
        .collect();
    content.products = lines(&draft.products).map(product).collect();
    content.cves = vec![];
    for word in draft.cves.split([',', '\n', ' ']).map(str::trim).filter(|word| !word.is_empty()) {
        match Cve::from_str(word) {
            Ok(cve) => content.cves.push(cve),
            Err(_) => problems.push((
                "cves",
                tf(
                    "„{word}“ ist keine CVE-Nummer. So sieht eine aus: CVE-2026-12345.",
                    &[("word", &word.chars().take(40).collect::<String>())],
                ),
            )),
        }
    }
    content.cvss = match draft.cvss.trim() {
        "" => None,
        vector => Cvss::from_str(vector)
            .map_err(|_| {
                problems
                    .push(("cvss", t("Das ist kein Basisvektor nach CVSS 3.1. Kopieren Sie ihn ganz, beginnend mit CVSS:3.1/.").to_owned()))
            })
            .ok(),
    };
    content.sources = vec![];
    for line in lines(&draft.sources) {
        let (title, url) = line.rsplit_once('|').map_or(("", line), |(title, url)| (title.trim(), url.trim()));
        let title = if title.is_empty() { url } else { title };
        content.sources.push(Source { title: title.to_owned(), url: url.to_owned() });
    }
    content.source_published_at = show::local_parse(&draft.source_published_at);
    (content, draft, problems)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// `Hersteller | Produkt | Versionen`; one cell alone is the product.
fn product(line: &str) -> Product {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let (vendor, name, version) = match cells.as_slice() {
        [name] => ("", *name, ""),
        [vendor, name] => (*vendor, *name, ""),
        [vendor, name, version, ..] => (*vendor, *name, *version),
        [] => ("", "", ""),
    };
    Product { name: name.to_owned(), vendor: vendor.to_owned(), version: version.to_owned() }
}

pub(in crate::web) fn new_show(ask: &mut Ask) -> Reply {
    edit_page(ask, "/meldung/neu".into(), 0, &Content::empty(), Draft::default(), vec![])
}

pub(in crate::web) fn new_do(ask: &mut Ask) -> Reply {
    let (content, draft, problems) = content_of(ask, Content::empty());
    if !problems.is_empty() {
        return edit_page(ask, "/meldung/neu".into(), 0, &content, draft, problems);
    }
    let (actor, now) = (actor(ask)?, ask.now);
    let draft = move |tx: &Transaction<'_>| advisory_draft(tx, content, &actor, now);
    let made = ask.write_about(draft, |made| Some(made.id.to_string())).map_err(refused)?;
    ask.redirect(&format!("/meldung/{}", made.id), "saved")
}

fn find(ask: &Ask) -> Result<Advisory, PageError> {
    let id: AdvisoryId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let scope = ask.scope();
    let found = ask.app.db.read(|c| advisory_get(c, &scope, id))?;
    found.filter(|advisory| visible(ask, advisory)).ok_or(PageError::NotFound)
}

pub(in crate::web) fn edit_show(ask: &mut Ask) -> Reply {
    let advisory = find(ask)?;
    if advisory.state != State::Draft {
        return Err(PageError::Refused(t("Nur ein Entwurf lässt sich ändern. Holen Sie die Meldung erst in den Entwurf zurück.").into()));
    }
    edit_page(
        ask,
        format!("/meldung/{}/bearbeiten", advisory.id),
        advisory.row_version,
        &advisory.content,
        draft_of(&advisory.content),
        vec![],
    )
}

pub(in crate::web) fn edit_do(ask: &mut Ask) -> Reply {
    let advisory = find(ask)?;
    let version = ask.form("version").parse().unwrap_or(advisory.row_version);
    let (content, draft, problems) = content_of(ask, advisory.content.clone());
    if !problems.is_empty() {
        return edit_page(ask, format!("/meldung/{}/bearbeiten", advisory.id), version, &content, draft, problems);
    }
    let (actor, now, id) = (actor(ask)?, ask.now, advisory.id);
    ask.write(move |tx| advisory_edit(tx, id, version, content, &actor, now)).map_err(refused)?;
    ask.redirect(&format!("/meldung/{id}"), "saved")
}

struct Board {
    acked: usize,
    total: usize,
    /// Both in words.
    count: String,
    rows: Vec<BoardLine>,
}

struct BoardLine {
    body: String,
    state: Markup,
    time: String,
}

struct Own {
    done: bool,
    text: String,
}

struct Entry {
    what: String,
    when: Markup,
    who: String,
}

/// (heading, text) and (number, text, kind): what a reader of the warning sees, here and behind a mail's link.
pub(super) struct Body {
    pub(super) sections: Vec<(&'static str, String)>,
    pub(super) measures: Vec<(usize, String, String)>,
}

pub(super) fn body_of(content: &Content) -> Body {
    let sections =
        [(t("Sachverhalt"), &content.situation), (t("Bewertung"), &content.assessment), (t("Bin ich betroffen?"), &content.check)];
    let measure = |(n, measure): (usize, &Measure)| {
        let due = measure.due_at.map(|at| tf("bis {day}", &[("day", &show::date(at))]));
        (n + 1, measure.text.clone(), due.unwrap_or_default())
    };
    Body {
        sections: sections.into_iter().filter(|(_, text)| !text.is_empty()).map(|(heading, text)| (heading, text.clone())).collect(),
        measures: content.measures.iter().enumerate().map(measure).collect(),
    }
}

#[derive(Template)]
#[template(path = "advisory.html")]
struct DetailPage {
    frame: Frame,
    path: String,
    number: String,
    dated: Markup,
    title: String,
    severity: Markup,
    tlp: Markup,
    state: Markup,
    threat: &'static str,
    version: i64,
    may_edit: bool,
    csaf: String,
    actions: Vec<(&'static str, &'static str, bool)>,
    hint: String,
    sections: Vec<(&'static str, String)>,
    measures: Vec<(usize, String, String)>,
    facts: Vec<(&'static str, String)>,
    /// The number of the case that it was made of; empty where there is none, or none for this viewer.
    incident: String,
    own_ack: Option<Own>,
    board: Option<Board>,
    history: Vec<Entry>,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let advisory = find(ask)?;
    let (scope, internal, actor) = (ask.scope(), internal(ask), actor(ask)?);
    let (board, audience, names, history, incident) = ask.app.db.read(|c| {
        let audience = if internal && advisory.revision == 0 { advisory_audience(c, &advisory)?.len() } else { 0 };
        let history = if internal { history_of(c, &advisory.id.to_string())? } else { vec![] };
        let incident = incident_of_warning(c, &scope, &advisory.id.to_string())?;
        Ok::<_, DbError>((ack_board(c, &scope, advisory.id)?, audience, Names::load(c)?, history, incident))
    })?;
    let content = &advisory.content;
    let open = transitions_open(advisory.state, &actor, &advisory.editors);
    let actions = if internal { actions(advisory.state, &open) } else { vec![] };
    let hint = match advisory.state {
        State::InReview if internal && !open.contains(&State::Approved) => {
            t("Sie haben an diesem Text geschrieben. Freigeben muss ihn jemand anderes: Vier Augen sehen mehr.").to_owned()
        }
        State::Draft | State::InReview | State::Approved if internal && advisory.revision == 0 => {
            tf("Ginge jetzt an {n} Stellen.", &[("n", &show::num(i64::try_from(audience).unwrap_or(0)))])
        }
        State::Withdrawn => t("Diese Meldung ist zurückgezogen. Sie bleibt lesbar, gilt aber nicht mehr.").to_owned(),
        _ => String::new(),
    };
    let Body { sections, measures } = body_of(content);
    let own_ack = if internal { None } else { board.first().map(own) };
    let page = DetailPage {
        path: format!("/meldung/{}", advisory.id),
        number: advisory.number_label().to_owned(),
        dated: show::time(advisory.released_at.unwrap_or(advisory.updated_at), ask.now),
        title: if content.title.is_empty() { t("Ohne Titel").into() } else { content.title.clone() },
        severity: severity_badge(content.severity),
        tlp: tlp_badge(content.tlp),
        state: state_badge(advisory.state),
        threat: t(content.threat_level.label()),
        version: advisory.row_version,
        may_edit: internal && advisory.state == State::Draft,
        csaf: if internal || advisory.revision > 0 { format!("/meldung/{}/csaf", advisory.id) } else { String::new() },
        actions,
        hint,
        sections,
        measures,
        facts: facts(content),
        incident: incident.unwrap_or_default(),
        own_ack,
        board: (internal && !board.is_empty()).then(|| board_of(&board, ask)),
        history: history
            .iter()
            .rev()
            .map(|event| Entry {
                what: words::told(event, &names).what,
                when: show::time(event.event_time, ask.now),
                who: names.of(&event.actor),
            })
            .collect(),
        frame: ask.frame(advisory.number_label(), Place::Advisories),
    };
    ask.page(&page)
}

/// The buttons for the steps that this actor may take: (word in the path, label, the one that leads on).
fn actions(from: State, open: &[State]) -> Vec<(&'static str, &'static str, bool)> {
    open.iter()
        .filter_map(|to| match (from, to) {
            (State::Draft, State::InReview) => Some(("pruefen", t("Zur Prüfung geben"), true)),
            (State::InReview, State::Approved) => Some(("freigeben", t("Freigeben"), true)),
            (State::InReview | State::Approved, State::Draft) => Some(("zurueck", t("Zurück an den Entwurf"), false)),
            (State::Approved, State::Published) => Some(("veroeffentlichen", t("Veröffentlichen"), true)),
            (State::Published, State::Draft) => Some(("ueberarbeiten", t("Überarbeiten"), false)),
            (State::Published, State::Withdrawn) => Some(("zurueckziehen", t("Zurückziehen"), false)),
            _ => None,
        })
        .collect()
}

fn facts(content: &Content) -> Vec<(&'static str, String)> {
    let mut facts = vec![(t("Art"), t(content.kind.label()).to_owned())];
    if !content.products.is_empty() {
        facts.push((t("Produkte"), content.products.iter().map(ToString::to_string).collect::<Vec<_>>().join(" · ")));
    }
    if !content.cves.is_empty() {
        facts.push(("CVE", content.cves.iter().map(|cve| cve.as_str()).collect::<Vec<_>>().join(", ")));
    }
    if let Some(cvss) = &content.cvss {
        facts.push(("CVSS", format!("{} ({})", show::decimal(cvss.score(), 1), cvss.vector())));
    }
    facts.extend(content.sources.iter().map(|source| {
        (t("Quelle"), if source.title == source.url { source.url.clone() } else { format!("{}: {}", source.title, source.url) })
    }));
    facts
}

fn own(row: &BoardRow) -> Own {
    match (row.answer, row.answered_at) {
        (Some(answer), Some(at)) => {
            Own { done: true, text: tf("{answer} am {at}.", &[("answer", &t(answer.label())), ("at", &show::stamp(at))]) }
        }
        _ => Own {
            done: false,
            // The reason stands in the mail too, and is kept in its words.
            text: tf("Wir schreiben Ihnen, weil {reason}. Bitte sagen Sie uns kurz, ob Sie betroffen sind.", &[("reason", &row.reason)]),
        },
    }
}

/// How many of the addressed have answered.
fn answered(rows: &[BoardRow]) -> String {
    let acked = rows.iter().filter(|row| row.answer.is_some()).count();
    tf("{n} von {total}", &[("n", &acked), ("total", &rows.len())])
}

fn board_of(rows: &[BoardRow], ask: &Ask) -> Board {
    let acked = rows.iter().filter(|row| row.answer.is_some()).count();
    let line = |row: &BoardRow| {
        let (state, time) = match row.answer {
            Some(answer) => {
                let tone = if answer == ack::Answer::Betroffen { Tone::High } else { Tone::Good };
                (show::badge(tone, t(answer.label())), row.answered_at.map(|at| show::ago(at, ask.now)).unwrap_or_default())
            }
            None if row.contacts == 0 => (show::badge(Tone::High, t("kein Ansprechpartner")), String::new()),
            None if row.mails_failed > 0 && row.mails_sent == 0 => (show::badge(Tone::High, t("nicht zustellbar")), String::new()),
            None if row.mails_open > 0 => (show::badge(Tone::Quiet, t("wird zugestellt")), String::new()),
            None => (
                show::badge(Tone::Quiet, t("noch keine Antwort")),
                tf("angeschrieben {ago}", &[("ago", &show::ago(row.addressed_at, ask.now))]),
            ),
        };
        BoardLine { body: row.body_name.clone(), state, time }
    };
    Board { acked, total: rows.len(), count: answered(rows), rows: rows.iter().map(line).collect() }
}

/// What the stage refuses, as a page says it.
fn refused(error: AdvisoryError) -> PageError {
    match error {
        AdvisoryError::NotFound(_) => PageError::NotFound,
        AdvisoryError::Conflict { .. } => PageError::Refused(t("Jemand war schneller: Die Meldung hat sich geändert, seit Sie sie geöffnet haben. Öffnen Sie sie neu; Ihren Text finden Sie mit der Zurück-Taste wieder.").into()),
        AdvisoryError::Refused(Refusal::OwnText) => PageError::Refused(t("Den eigenen Text kann niemand freigeben. Bitten Sie eine Kollegin oder einen Kollegen.").into()),
        AdvisoryError::Refused(Refusal::Role { .. }) => PageError::Forbidden,
        AdvisoryError::Refused(_) => PageError::Refused(t("Von diesem Stand aus geht das nicht. Öffnen Sie die Meldung neu, dann sehen Sie, was möglich ist.").into()),
        AdvisoryError::Problems(problems) => {
            let all: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            PageError::Refused(tf("Bitte ergänzen Sie den Entwurf zuerst: {what}", &[("what", &all.join(" "))]))
        }
        AdvisoryError::Csaf(findings) => {
            let first: Vec<&str> = findings.iter().take(3).map(|finding| finding.message.as_str()).collect();
            PageError::Refused(tf("Das CSAF-Dokument besteht die Prüfung nicht: {what}", &[("what", &first.join(" · "))]))
        }
        AdvisoryError::Db(error) => PageError::Db(error),
    }
}

/// One step of the workflow; which, says the path's last word.
pub(in crate::web) fn step(ask: &mut Ask) -> Reply {
    let advisory = find(ask)?;
    let version = ask.form("version").parse().unwrap_or(advisory.row_version);
    let (actor, now, id, note) = (actor(ask)?, ask.now, advisory.id, ask.form("notiz").to_owned());
    let publisher = ask.app.publisher.clone();
    let word = ask.path.rsplit('/').next().unwrap_or_default().to_owned();
    let notice = match word.as_str() {
        "pruefen" => "submitted",
        "freigeben" => "approved",
        "zurueck" | "ueberarbeiten" => "returned",
        "veroeffentlichen" => "published",
        _ => "saved",
    };
    let file = ask
        .write(move |tx| {
            let order = Order { actor: &actor, publisher: &publisher, deliver: Deliver::Mail, note: &note };
            match word.as_str() {
                "pruefen" => advisory_submit(tx, id, version, &actor, now).map(|_| None),
                "freigeben" => advisory_approve(tx, id, version, &note, &actor, now).map(|_| None),
                "zurueck" => advisory_return(tx, id, version, &note, &actor, now).map(|_| None),
                "ueberarbeiten" => advisory_revise(tx, id, version, &actor, now).map(|_| None),
                "veroeffentlichen" => advisory_publish(tx, id, version, &order, now).map(|done| Some(done.file)),
                "zurueckziehen" => advisory_withdraw(tx, id, version, &order, now).map(|done| Some(done.file)),
                _ => Err(AdvisoryError::NotFound(id)),
            }
        })
        .map_err(refused)?;
    // After the commit: the database is the truth, and a folder that was full is brought up to date at the next start.
    if let Some(file) = file
        && let Err(error) = tree_write(&ask.app.csaf_dir, &file)
    {
        tracing::error!(%error, "the CSAF folder was not written");
    }
    ask.redirect(&format!("/meldung/{id}"), notice)
}

/// The CSAF 2.0 document of the text that this viewer sees.
pub(in crate::web) fn csaf(ask: &mut Ask) -> Reply {
    let advisory = find(ask)?;
    let (document, _) = ask.app.db.read(|c| advisory_preview(c, &advisory, &ask.app.publisher, ask.now)).map_err(refused)?;
    let name = csaf_file_name(advisory.number.as_deref().unwrap_or("entwurf"));
    let text = serde_json::to_vec_pretty(&document).map_err(PageError::store)?;
    ask.download(&name, "application/json", text)
}

/// A body's answer from the portal.
pub(in crate::web) fn acknowledge(ask: &mut Ask) -> Reply {
    let advisory = find(ask)?;
    let viewer = ask.viewer()?.clone();
    // Who acts for several bodies says for which; the scope has the last word.
    let body = ask.form("stelle").parse().ok().or(viewer.body);
    let (Some(body), Some(answer)) = (body, ack::Answer::parse(ask.form("antwort"))) else {
        return Err(PageError::Refused(
            t("Diese Antwort kennen wir nicht. Gehen Sie zurück und wählen Sie eine der Schaltflächen.").into(),
        ));
    };
    let (scope, user, now, id) = (viewer.scope, viewer.user.to_string(), ask.now, advisory.id);
    let outcome = ask.write(move |tx| ack_record_body(tx, &scope, id, body, &user, answer, "", now))?;
    match outcome {
        AckOutcome::Recorded | AckOutcome::Known => ask.redirect(&format!("/meldung/{id}"), "answered"),
        AckOutcome::TooMany => Err(PageError::Refused(t("Ihre Antwort wurde schon oft geändert. Bitte rufen Sie uns an.").into())),
        AckOutcome::Unknown => Err(PageError::NotFound),
    }
}

/// For a body's start page: what waits for its answer, and the newest warnings.
pub(super) fn for_portal(ask: &Ask) -> Result<(Vec<Row>, Vec<Row>), PageError> {
    let scope = ask.scope();
    let (found, boards) = ask.app.db.read(|c| {
        let found = advisory_list(c, &scope, &AdvisoryFilter { state: Some(State::Published), limit: 8, ..AdvisoryFilter::default() })?;
        let mut boards = vec![];
        for advisory in &found {
            boards.push(ack_board(c, &scope, advisory.id)?);
        }
        Ok::<_, DbError>((found, boards))
    })?;
    let shown: Vec<(&Advisory, &Vec<BoardRow>)> = found.iter().zip(&boards).filter(|(one, _)| visible(ask, one)).collect();
    let waits = shown.iter().filter(|(_, board)| board.iter().any(|row| row.answer.is_none()));
    Ok((waits.map(|(one, _)| row(ask, one, String::new())).collect(), shown.iter().map(|(one, _)| row(ask, one, String::new())).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_a_product() {
        for (line, expected) in
            [("Beispiel-VPN", " / Beispiel-VPN / "), ("Beispiel AG | VPN", "Beispiel AG / VPN / "), ("A | B | < 7.2 | x", "A / B / < 7.2")]
        {
            let product = product(line);
            assert_eq!(format!("{} / {} / {}", product.vendor, product.name, product.version), expected);
        }
    }
}
