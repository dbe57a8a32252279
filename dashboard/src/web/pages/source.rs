//! One source: what it sends and when, when it is usually quiet, what is wrong with its lines and its clock, and the
//! settings that an operator makes for it.

use askama::Template;
use chrono_tz::Tz;
use detect::role::Role;
use ingest::db::DbError;
use ingest::source::{HOURS, ReadingRule, Readings, Source, SourceId, Year, reading_put, source_expect, source_find, source_hours};
use ingest::time::Timestamp;

use super::sources::{body_names, format, kind, state};
use crate::access::sources_scope;
use crate::chart::{self, Caption, Cell, Ink, OverTime, Series, TimeBar, Unit};
use crate::show::{self, Markup, filters};
use crate::web::frame::{Frame, Place};
use crate::web::{Ask, PageError, Reply};
use crate::words::{self, de, t, tf};

/// What an operator may expect: value of the form, label, milliseconds.
const EXPECTED: [(&str, &str, Option<i64>); 8] = [
    ("", de("wenn es unüblich wird"), None),
    ("15", de("nach 15 min"), Some(15 * Timestamp::MINUTE)),
    ("60", de("nach 1 h"), Some(Timestamp::HOUR)),
    ("240", de("nach 4 h"), Some(4 * Timestamp::HOUR)),
    ("1500", de("nach 25 h (täglich)"), Some(25 * Timestamp::HOUR)),
    ("4380", de("nach 73 h (Wochenende)"), Some(73 * Timestamp::HOUR)),
    ("11520", de("nach 8 Tagen (wöchentlich)"), Some(8 * Timestamp::DAY)),
    ("0", de("nie: sie wird nicht mehr erwartet"), Some(0)),
];
/// Years that a stamp may be told to be of: logs are not older.
const YEARS: std::ops::RangeInclusive<i32> = 1990..=2100;
/// A clock that is off by more is worth a word.
const SKEW_MILLIS_MAX: i64 = 2 * Timestamp::MINUTE;
const DAYS: [&str; 7] = [de("Mo"), de("Di"), de("Mi"), de("Do"), de("Fr"), de("Sa"), de("So")];

struct DefectRow {
    word: String,
    help: &'static str,
    count: String,
    href: String,
}

#[derive(Template)]
#[template(path = "source.html")]
struct SourcePage {
    frame: Frame,
    name: String,
    site: String,
    state: Markup,
    transport: String,
    format: &'static str,
    problem: String,
    advice: Vec<String>,
    hours: Markup,
    gaps: Markup,
    gap_text: String,
    defects: Vec<DefectRow>,
    facts: Vec<(&'static str, String)>,
    search: String,
    may_edit: bool,
    action: String,
    expected: Vec<(&'static str, &'static str, bool)>,
    zone: String,
    zone_else: String,
    year: String,
}

pub(in crate::web) fn detail(ask: &mut Ask) -> Reply {
    let source = find(ask)?;
    page(ask, &source, String::new())
}

/// Takes the settings over. What is wrong with them is said on the page, which keeps what was typed.
pub(in crate::web) fn edit(ask: &mut Ask) -> Reply {
    let source = find(ask)?;
    let Some((.., expected)) = EXPECTED.iter().find(|(value, ..)| *value == ask.form("erwartet")) else {
        return page(ask, &source, t("Bitte wählen Sie, wann die Quelle als verstummt gilt.").into());
    };
    let (zone, year) = (ask.form("zone").trim(), ask.form("jahr").trim());
    let zone: Option<Tz> = match zone.parse() {
        Ok(zone) => Some(zone),
        Err(_) if zone.is_empty() => None,
        Err(_) => return page(ask, &source, t("Diese Zeitzone gibt es nicht. Gemeint ist etwas wie UTC oder Europe/Berlin.").into()),
    };
    let year = match year.parse() {
        Ok(year) if YEARS.contains(&year) => Year::Fixed(year),
        _ if year.is_empty() => Year::Nearest,
        _ => return page(ask, &source, t("Das Jahr hat vier Ziffern, etwa 2019, oder bleibt leer.").into()),
    };
    let (sites, now, expected) = (ask.app.sites(), ask.now, *expected);
    let actor = ask.viewer()?.user.to_string();
    let peer = source.peer.parse().map_err(|_| PageError::NotFound)?;
    let rule = ReadingRule { site: Some(source.site), peer: Some(peer), host: source.host.clone(), zone, year, since: now };
    let path = format!("/quelle/{}", source.id);
    let readings = ask.write(move |tx| {
        source_expect(tx, &source, &sites, expected, &actor, now)?;
        reading_put(tx, &rule, &actor, now)?;
        Readings::load(tx)
    })?;
    ask.app.readings.set(readings);
    ask.redirect(&path, "saved")
}

fn find(ask: &Ask) -> Result<Source, PageError> {
    let id: SourceId = ask.param("id").parse().map_err(|_| PageError::NotFound)?;
    let (wide, sites) = (sources_scope(ask.viewer()?), ask.app.sites());
    ask.app.db.read(|c| source_find(c, &wide, &sites, id, ask.now))?.ok_or(PageError::NotFound)
}

fn page(ask: &Ask, source: &Source, problem: String) -> Reply {
    let now = ask.now;
    let role = ask.viewer()?.role;
    let sites = ask.app.sites();
    let rules = ask.app.db.read(|c| Ok::<_, DbError>((source_hours(c, source.id, now)?, ingest::source::reading_list(c)?)))?;
    let (hours, rules) = rules;
    let body = sites.body(source.site).and_then(|body| body_names(ask).ok()?.remove(&body)).unwrap_or_else(|| t("keine").into());
    let peer = source.peer.parse().ok();
    let own = rules.iter().rev().find(|rule| rule.site == Some(source.site) && rule.peer == peer && rule.host == source.host);
    let fallback = rules.iter().rev().filter(|rule| rule.peer.is_none() && rule.site.is_none_or(|site| site == source.site));
    let zone_else = fallback.max_by_key(|rule| (rule.site.is_some() && rule.zone.is_some(), rule.since)).and_then(|rule| rule.zone);
    let year = match own.map(|rule| rule.year) {
        Some(Year::Fixed(year)) => year.to_string(),
        _ => String::new(),
    };
    let typed = |name: &str, stored: String| if problem.is_empty() { stored } else { ask.form(name).to_owned() };
    let term = format!("{}{}", super::evidence::term("site", sites.name(source.site)), host_term(source));
    let may_search = matches!(role, Role::Analyst | Role::Lead) && source.kind == "log";
    let link = |query: &str| {
        if may_search { super::evidence::href(query, source.last_seen.plus(-Timestamp::DAY), source.last_seen) } else { String::new() }
    };
    let mut defects: Vec<(&String, &i64)> = source.defects.iter().collect();
    defects.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let view = SourcePage {
        frame: ask.frame(source.name(), Place::Sources),
        name: source.name().to_owned(),
        site: sites.name(source.site).to_owned(),
        state: state(source, now),
        transport: words::transport(&source.transport).to_owned(),
        format: format(source),
        advice: advice(source, now),
        hours: hours_chart(&hours),
        gaps: chart::week(
            Caption {
                id: "pausen",
                title: t("Übliche Pause je Stunde der Woche"),
                desc: t("Je kräftiger, desto länger schweigt die Quelle um diese Stunde."),
            },
            t("Uhrzeit"),
            &DAYS.map(t),
            &source
                .gaps
                .table()
                .into_iter()
                .map(|gap| gap.map(|gap| Cell { value: gap as f64, text: show::duration(gap) }))
                .collect::<Vec<_>>(),
            GAP_TONES.map(|gap| gap as f64),
            [t("unter 1 min"), t("unter 10 min"), t("unter 1 h"), t("unter 6 h"), t("länger")],
        ),
        gap_text: gap_text(source, now),
        defects: defects
            .into_iter()
            .map(|(name, count)| {
                let (word, help) = words::defect(name);
                DefectRow { word: word.to_owned(), help, count: show::num(*count), href: link(&format!("_defect:{name} AND {term}")) }
            })
            .collect(),
        facts: facts(source, body, now),
        search: link(&term),
        may_edit: matches!(role, Role::Analyst | Role::Lead | Role::Admin) && source.transport != "import",
        action: format!("/quelle/{}", source.id),
        expected: EXPECTED.iter().map(|(value, label, expected)| (*value, t(label), *expected == source.expected)).collect(),
        zone: typed("zone", own.and_then(|rule| rule.zone).map(|zone| zone.name().to_owned()).unwrap_or_default()),
        zone_else: zone_else.map_or("Europe/Berlin", Tz::name).to_owned(),
        year: typed("jahr", year),
        problem,
    };
    let status = if view.problem.is_empty() { axum::http::StatusCode::OK } else { axum::http::StatusCode::UNPROCESSABLE_ENTITY };
    ask.page_status(status, &view)
}

fn host_term(source: &Source) -> String {
    let (field, value) = if source.host.is_empty() { ("observer.ip", &source.peer) } else { ("host.name", &source.host) };
    format!(" AND {}", super::evidence::term(field, value))
}

fn facts(source: &Source, body: String, now: Timestamp) -> Vec<(&'static str, String)> {
    let rate = source.rate(now);
    let format = match source.format() {
        Some((_, share)) => {
            tf("{format} ({share} der Zeilen verstanden)", &[("format", &format(source)), ("share", &show::percent(share))])
        }
        None => format(source).to_owned(),
    };
    let clock = match source.skew {
        None => t("sagt nichts").to_owned(),
        Some(skew) if skew.abs() <= SKEW_MILLIS_MAX => tf("geht richtig (auf {time})", &[("time", &show::duration(skew.abs()))]),
        Some(skew) => {
            let text = if skew > 0 { de("geht {time} nach") } else { de("geht {time} vor") };
            tf(text, &[("time", &show::duration(skew.abs()))])
        }
    };
    vec![
        (t("Stelle"), body),
        (t("Adresse"), source.peer.clone()),
        (t("Gerätename"), if source.host.is_empty() { t("nennt keinen").into() } else { source.host.clone() }),
        (t("Art"), kind(source).to_owned()),
        (t("Format"), format),
        (t("Zuerst gehört"), show::stamp(source.first_seen)),
        (t("Zuletzt gehört"), show::stamp_seconds(source.last_seen)),
        (
            t("Letzte 24 Stunden"),
            tf(
                "{n} Pakete, {rate} je Stunde",
                &[("n", &show::num(source.day)), ("rate", &show::decimal(rate, if rate < 10.0 { 1 } else { 0 }))],
            ),
        ),
        (
            t("Insgesamt"),
            tf("{n} Pakete, {size}", &[("n", &show::num(source.frames)), ("size", &show::bytes(source.bytes.unsigned_abs()))]),
        ),
        (t("Uhr"), clock),
    ]
}

fn advice(source: &Source, now: Timestamp) -> Vec<String> {
    let mut advice = Vec::new();
    if source.is_silent(now) {
        let since = show::duration(now.since(source.last_seen));
        advice.push(tf(
            "Sie schweigt seit {since}. Rufen Sie die Stelle an: Läuft das Gerät, und sendet es noch hierher?",
            &[("since", &since)],
        ));
    }
    if let Some(skew) = source.skew.filter(|skew| skew.abs() > SKEW_MILLIS_MAX) {
        let hours = (skew as f64 / Timestamp::HOUR as f64).round();
        let whole = hours != 0.0 && (skew - (hours as i64) * Timestamp::HOUR).abs() < SKEW_MILLIS_MAX;
        advice.push(if whole {
            t("Ihre Uhr ist um ganze Stunden verschoben: Wahrscheinlich stimmt die Zeitzone nicht. Stellen Sie sie hier oder am Gerät ein.")
                .into()
        } else {
            t("Ihre Uhr geht falsch. Lassen Sie am Gerät NTP einrichten.").into()
        });
    }
    if source.format().is_none() && source.kind == "log" && source.records > 0 {
        advice.push(t("Ihr Format versteht Wartburg noch nicht: Die Zeilen sind im Wortlaut auffindbar, aber nicht nach Feldern.").into());
    }
    advice
}

fn gap_text(source: &Source, now: Timestamp) -> String {
    let usual = show::duration(source.usual_gap_millis(now));
    match source.expected {
        Some(0) => t("Sie wird nicht mehr erwartet.").into(),
        Some(expected) => tf(
            "Eingestellt: verstummt nach {expected}. Üblich sind um diese Stunde {usual}.",
            &[("expected", &show::duration(expected)), ("usual", &usual)],
        ),
        None => tf(
            "Um diese Stunde sind {usual} üblich; als verstummt gilt sie nach {patience}.",
            &[("usual", &usual), ("patience", &show::duration(source.patience_millis(now)))],
        ),
    }
}

/// Where a longer gap gets a stronger tone.
const GAP_TONES: [i64; 4] = [Timestamp::MINUTE, 10 * Timestamp::MINUTE, Timestamp::HOUR, 6 * Timestamp::HOUR];

fn hours_chart(hours: &[(Timestamp, i64)]) -> Markup {
    let bars: Vec<TimeBar> =
        hours.iter().map(|(at, frames)| TimeBar { at: *at, values: vec![*frames as f64], href: String::new() }).collect();
    let total: i64 = hours.iter().map(|(_, frames)| frames).sum();
    let desc = tf("Pakete je Stunde in den letzten {hours} Stunden, zusammen {n}.", &[("hours", &HOURS), ("n", &show::num(total))]);
    chart::over_time(OverTime {
        caption: Caption { id: "stunden", title: t("Pakete je Stunde"), desc: &desc },
        unit: Unit::Count(t("Pakete")),
        series: &[Series { ink: Ink::Act, name: t("Pakete") }],
        until: bars.last().map_or(Timestamp(0), |bar| bar.at.plus(Timestamp::HOUR)),
        bars: &bars,
        before: None,
        brush: None,
    })
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use ingest::body::{Site, SiteId, SiteTable, site_add};
    use ingest::event::Event;
    use ingest::fields;
    use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};
    use ingest::pipeline::{Batch, Consumer as _};
    use ingest::scope::Scope;
    use ingest::source::{SourceConsumer, source_list};

    use super::*;
    use crate::web::tests::{Front, now};

    /// Two sources, one of each body; one has a hostile name and a clock that is an hour behind.
    fn house(front: &Front) -> Vec<Source> {
        let site = |name: &str, n, body| Site {
            id: SiteId(ingest::id::Ulid(n)),
            name: name.into(),
            body: Some(body),
            prefixes: vec![],
            certificates: vec![],
            tokens: vec![],
        };
        let all = [site("rathaus", 1, front.body), site("kreishaus", 2, front.other)];
        let copies = all.clone();
        front.app.db.write(move |tx| copies.iter().try_for_each(|site| site_add(tx, site))).unwrap();
        *front.app.sites.write().unwrap() = std::sync::Arc::new(SiteTable::new(all.to_vec()));
        let mut consumer = SourceConsumer::new(front.app.db.clone()).unwrap();
        for seq in 1..=60u64 {
            let (site, host) = if seq % 2 == 0 { (all[0].id, "<b>fw</b>") } else { (all[1].id, "geheim") };
            let at = now().plus(-3 * Timestamp::HOUR + i64::try_from(seq).unwrap() * Timestamp::MINUTE);
            let peer = "192.0.2.1".parse().unwrap();
            let payload = Box::from(&b"x"[..]);
            let frame = NewFrame {
                received_at: at,
                site,
                peer,
                transport: Transport::Udp,
                kind: FrameKind::Line,
                marks: Marks::default(),
                payload,
            };
            let mut event = Event::new(Seq(seq), at, site, peer, Transport::Udp, b"x");
            event.push_text(fields::HOST_NAME, host);
            event.timestamp = at.plus(-Timestamp::HOUR);
            event.decoder = "sshd";
            if seq % 10 == 0 {
                event.defects.add(ingest::event::Defect::NotUtf8);
            }
            let frames = vec![Frame { seq: Seq(seq), frame }];
            consumer.apply(&Batch { first: Seq(seq), last: Seq(seq), events: vec![event], frames, ..Batch::default() }).unwrap();
        }
        consumer.flush().unwrap();
        let sites = front.app.sites();
        front.app.db.read(|c| source_list(c, &Scope::All, &sites, now())).unwrap()
    }

    #[tokio::test]
    async fn a_source_shows_what_is_known_of_it() {
        let front = Front::new();
        let sources = house(&front);
        let own = sources.iter().find(|source| source.host.contains("fw")).unwrap();
        let (cookie, _) = front.enter(Role::Analyst);
        let page = front.get(&format!("/quelle/{}", own.id), &cookie).await.text.replace('\u{a0}', " ");
        for part in [
            "&lt;b&gt;fw&lt;/b&gt;",
            "OpenSSH",
            "verstummt",
            "kein UTF-8",
            "_defect%3Anot_utf8",
            "geht 1 h nach",
            "ganze Stunden",
            "Übliche Pause",
            "30 Pakete",
        ] {
            assert!(page.contains(part), "{part} is missing in {page}");
        }
        let list = front.get("/quellen", &cookie).await.text;
        assert!(list.contains(&format!("/quelle/{}", own.id)) && list.contains("geheim"));
        for (query, there) in [("wort=fw", false), ("wort=geheim", true), ("stand=sendet", false), ("stand=verstummt&nach=viel", true)] {
            let text = front.get(&format!("/quellen?{query}"), &cookie).await.text;
            assert_eq!(text.contains("<bdi>geheim</bdi>"), there, "{query}");
        }
    }

    #[tokio::test]
    async fn a_body_sees_its_own_sources_and_changes_none() {
        let front = Front::new();
        let sources = house(&front);
        let (own, foreign) =
            (sources.iter().find(|s| s.host.contains("fw")).unwrap(), sources.iter().find(|s| s.host == "geheim").unwrap());
        for role in [Role::Municipality, Role::Provider] {
            let (cookie, csrf) = front.enter(role);
            assert_eq!(front.get(&format!("/quelle/{}", own.id), &cookie).await.status, StatusCode::OK);
            assert_eq!(front.get(&format!("/quelle/{}", foreign.id), &cookie).await.status, StatusCode::NOT_FOUND);
            let list = front.get("/quellen?stand=verstummt", &cookie).await.text;
            assert!(
                list.contains("fw") && !list.contains("geheim") && !list.contains("kreishaus") && !list.contains("Was aus dem Empfangenen")
            );
            let post = front.post(&format!("/quelle/{}", own.id), &cookie, &[("csrf", &csrf), ("erwartet", "0")]).await;
            assert_eq!(post.status, StatusCode::FORBIDDEN);
        }
    }

    #[tokio::test]
    async fn settings_are_checked_kept_and_used() {
        let front = Front::new();
        let source = house(&front).remove(0);
        let path = format!("/quelle/{}", source.id);
        let (cookie, csrf) = front.enter(Role::Admin);
        let send = async |expected: &str, zone: &str, year: &str| {
            let form = [("csrf", csrf.as_str()), ("erwartet", expected), ("zone", zone), ("jahr", year)];
            front.post(&path, &cookie, &form).await
        };
        for (expected, zone, year) in [("7", "", ""), ("60", "Berlin", ""), ("60", "", "19"), ("60", "", "3019")] {
            let answer = send(expected, zone, year).await;
            assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{expected} {zone} {year}");
        }
        assert!(send("60", "Berlin<", "").await.text.contains("value=\"Berlin&#60;\""), "what was typed is kept");
        assert_eq!(send("60", "UTC", "2019").await.status, StatusCode::SEE_OTHER);
        let page = front.get(&path, &cookie).await.text;
        assert!(page.contains("value=\"UTC\"") && page.contains("value=\"2019\"") && page.contains("value=\"60\" selected"), "{page}");
        let reading =
            |at| front.app.readings.get().reading(source.site, source.peer.parse().unwrap(), &source.host, at, Tz::Europe__Berlin);
        assert_eq!((reading(now()).zone, reading(now()).year), (Tz::UTC, Year::Fixed(2019)));
        assert_eq!(reading(now().plus(-1)).zone, Tz::Europe__Berlin, "what came before keeps its time");
    }
}
