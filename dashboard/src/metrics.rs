//! `/metrics`: the server's figures in Prometheus' text format 0.0.4. Counted per listener and site, never per sender:
//! whoever forges addresses must not be able to fill the monitoring. Exporters of flows are few and worth a line each: those of
//! known sites, within a bound.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use detect::rulebook::RuleState;
use ingest::body::SITE_UNKNOWN;
use ingest::disk::Level;
use ingest::flow::{Account, SFLOW};
use ingest::listen::{Listener, certificate_end};
use ingest::scope::Scope;
use ingest::source::source_list;
use ingest::time::Timestamp;

use crate::vitals::{self, Tally};
use crate::web::App;

/// The content type that a scraper expects.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The text as it grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (n, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if n == 0 { '{' } else { ',' });
        }
        let _ = writeln!(self.0, "{} {value}", if labels.is_empty() { "" } else { "}" });
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

/// The page as of now. What cannot be had is left out: a scrape must not fail for one figure.
pub fn page(app: &App, now: Timestamp) -> String {
    let mut page = Page::default();
    page.family("wartburg_info", "gauge", "Version of the program.");
    page.sample("wartburg_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    intake(&mut page, app);
    journal(&mut page, app);
    disk(&mut page, app);
    flows(&mut page, app);
    sources(&mut page, app, now);
    rules(&mut page, app);
    page.0
}

fn rules(page: &mut Page, app: &App) {
    let book = app.rules.get();
    page.gauge("wartburg_rulebook_number", "The rule set in force; it counts up with each change.", book.number as f64);
    page.family("wartburg_rules", "gauge", "Rules by how they stand.");
    for state in RuleState::ALL {
        let count = book.set.rules().iter().filter(|compiled| book.state(&compiled.rule.name) == state).count();
        page.sample("wartburg_rules", &[("state", state.as_str())], count as f64);
    }
    let refused = app.rules.failed().map_or(book.refused.len(), |failed| failed.refused.len());
    page.gauge("wartburg_rules_refused", "Rules that do not compile and have no effect.", refused as f64);
    let name = "wartburg_correlation_given_up_total";
    page.family(
        name,
        "counter",
        "Groups and stretches of time that a correlation gave up for want of room; above 0 it may have missed something.",
    );
    for one in app.rules.health() {
        page.sample(name, &[("rule", &one.rule.name)], one.overflowed as f64);
    }
}

/// Name, help, and which part of a tally it shows.
type Family<T> = (&'static str, &'static str, fn(&Tally) -> &T);

fn intake(page: &mut Page, app: &App) {
    let tallies = vitals::tallies_by_site(&app.counters, &app.sites());
    let families: [Family<u64>; 2] = [
        ("wartburg_intake_received_total", "Frames received, and requests or connections refused.", |tally| &tally.received),
        ("wartburg_intake_stored_total", "Frames that are in the journal, on disk.", |tally| &tally.stored),
    ];
    for (name, help, of) in families {
        page.family(name, "counter", help);
        for ((listener, site), tally) in &tallies {
            page.sample(name, &[("listener", listener.as_str()), ("site", site)], *of(tally) as f64);
        }
    }
    let reasons: [Family<BTreeMap<String, u64>>; 2] = [
        ("wartburg_intake_rejected_total", "Received and not taken, by reason.", |tally| &tally.rejected),
        ("wartburg_intake_dropped_total", "Received and lost, by reason.", |tally| &tally.dropped),
    ];
    for (name, help, of) in reasons {
        page.family(name, "counter", help);
        for ((listener, site), tally) in &tallies {
            for (reason, count) in of(tally) {
                page.sample(name, &[("listener", listener.as_str()), ("site", site), ("reason", reason)], *count as f64);
            }
        }
    }
    page.family("wartburg_intake_open", "gauge", "Frames received and not yet stored, rejected or dropped: in flight.");
    for (listener, tally) in vitals::tallies(&app.counters) {
        page.sample("wartburg_intake_open", &[("listener", listener.as_str())], tally.open() as f64);
    }
    let name = "wartburg_intake_kernel_dropped_total";
    page.family(name, "counter", "Datagrams that the kernel dropped before they were read.");
    for listener in Listener::ALL.into_iter().filter(|listener| listener.is_udp()) {
        page.sample(name, &[("listener", listener.as_str())], app.counters.kernel_dropped(listener) as f64);
    }
    let name = "wartburg_intake_receive_buffer_bytes";
    page.family(name, "gauge", "Receive buffer of each socket: what was asked for, and what the kernel gave.");
    for listener in Listener::ALL {
        if let Some(buffer) = app.counters.receive_buffer(listener) {
            page.sample(name, &[("listener", listener.as_str()), ("what", "asked")], buffer.asked_bytes as f64);
            page.sample(name, &[("listener", listener.as_str()), ("what", "given")], buffer.given_bytes as f64);
        }
    }
}

fn journal(page: &mut Page, app: &App) {
    let healthy = f64::from(u8::from(app.counters.journal_healthy()));
    page.gauge("wartburg_journal_healthy", "1 where the journal took what was given to it last.", healthy);
    if let Some(journal) = &app.journal {
        page.family("wartburg_journal_damaged_total", "counter", "Damaged stretches that readers set aside since the start.");
        page.sample("wartburg_journal_damaged_total", &[], journal.damaged() as f64);
    }
    let Some(pulse) = &app.pulse else { return };
    page.gauge("wartburg_start_time_seconds", "When the listeners were opened, in Unix time.", pulse.started.0 as f64 / 1_000.0);
    // The consumers before the journal's end, so that none seems to be ahead of it.
    let reaches = vitals::reaches(pulse);
    let last = pulse.journal.last().0;
    page.family("wartburg_journal_frames_total", "counter", "The last frame's sequence: frames ever stored.");
    page.sample("wartburg_journal_frames_total", &[], last as f64);
    page.gauge("wartburg_journal_bytes", "Size of the journal on disk.", vitals::journal_bytes(&pulse.journal_dir) as f64);
    page.family("wartburg_consumer_lag_frames", "gauge", "Frames in the journal that a consumer has not worked in.");
    for reach in &reaches {
        page.sample("wartburg_consumer_lag_frames", &[("consumer", &reach.name)], last.saturating_sub(reach.applied) as f64);
    }
    page.family("wartburg_consumer_stopped", "gauge", "1 where a consumer has stopped with an error.");
    for reach in &reaches {
        page.sample("wartburg_consumer_stopped", &[("consumer", &reach.name)], f64::from(u8::from(reach.error.is_some())));
    }
    let end = pulse.certificate.as_ref().and_then(|path| certificate_end(path).ok());
    if let Some(end) = end {
        page.gauge("wartburg_tls_certificate_end_seconds", "When the listeners' certificate ends, in Unix time.", end.0 as f64 / 1_000.0);
    }
}

fn disk(page: &mut Page, app: &App) {
    let space = app.watermark.space();
    page.family("wartburg_disk_bytes", "gauge", "The disk with the data.");
    page.sample("wartburg_disk_bytes", &[("state", "total")], space.total as f64);
    page.sample("wartburg_disk_bytes", &[("state", "free")], space.free as f64);
    page.family("wartburg_disk_level", "gauge", "1 for the level that holds.");
    for level in [Level::Ok, Level::Warn, Level::Shed, Level::Stop] {
        let holds = f64::from(u8::from(app.watermark.level() == level));
        page.sample("wartburg_disk_level", &[("level", level.as_str())], holds);
    }
}

/// Streams with lines of their own: two domains for each of the 600 sites. Those that sent most; the others are left out and
/// counted.
const STREAMS_MAX: usize = 1_200;

/// Name, help, whether it is a counter, and what it shows of an account.
type FlowFamily = (&'static str, &'static str, &'static str, fn(&Account) -> f64);

const FLOW_FAMILIES: [FlowFamily; 16] = [
    ("wartburg_flow_datagrams_total", "counter", "Datagrams of flows that were decoded.", |a| a.datagrams as f64),
    ("wartburg_flow_records_total", "counter", "Flows that they held.", |a| a.records as f64),
    ("wartburg_flow_options_total", "counter", "Records about the exporter itself.", |a| a.options as f64),
    (
        "wartburg_flow_missed_total",
        "counter",
        "Units that were missing by the sequence numbers: records, of NetFlow v9 and sFlow datagrams. Less the late ones they are lost.",
        |a| (a.lost + a.late) as f64,
    ),
    ("wartburg_flow_late_total", "counter", "Of these, the ones that came after all.", |a| a.late as f64),
    ("wartburg_flow_doubled_total", "counter", "Datagrams that came twice.", |a| a.doubled as f64),
    ("wartburg_flow_strays", "gauge", "Datagrams whose number belongs to another count: forged, or another exporter's.", |a| {
        a.strays as f64
    }),
    ("wartburg_flow_restarts_total", "counter", "Times that the exporter began to count anew.", |a| a.restarts as f64),
    ("wartburg_flow_unsure_total", "counter", "Gaps of which nothing can be said, because data waits for its template.", |a| {
        a.unsure as f64
    }),
    ("wartburg_flow_sets_waited_total", "counter", "Sets of data whose template was not known yet.", |a| a.sets_waited as f64),
    ("wartburg_flow_sets_lost_total", "counter", "Sets of data that were given up because their template never came.", |a| {
        a.sets_lost as f64
    }),
    ("wartburg_flow_defective_total", "counter", "Datagrams with a defect.", |a| a.defective as f64),
    ("wartburg_flow_dropped_by_exporter", "gauge", "Packets that the exporter could not sample, by its own count.", |a| {
        a.dropped_by_exporter as f64
    }),
    ("wartburg_flow_clock_skew_seconds", "gauge", "The exporter's clock ahead of ours.", |a| a.skew_ms as f64 / 1_000.0),
    ("wartburg_flow_export_delay_seconds", "gauge", "From a flow's end to its export, in the last datagram.", |a| {
        a.delay_ms as f64 / 1_000.0
    }),
    ("wartburg_flow_sampling", "gauge", "1 of so many packets is looked at; 0 where no flow came yet.", |a| f64::from(a.sampling)),
];

fn flows(page: &mut Page, app: &App) {
    let sites = app.sites();
    let (mut shown, unknown): (Vec<_>, Vec<_>) =
        app.flow_accounts.list().into_iter().partition(|(_, account)| account.site != SITE_UNKNOWN);
    shown.sort_by_key(|(key, account)| (Reverse(account.datagrams), *key));
    let hidden = unknown.len() + shown.len().saturating_sub(STREAMS_MAX);
    shown.truncate(STREAMS_MAX);
    shown.sort_by_key(|(key, _)| *key);
    let labels: Vec<[String; 4]> = shown
        .iter()
        .map(|(key, account)| {
            let version = if key.version == SFLOW { "sflow".to_owned() } else { key.version.to_string() };
            [sites.name(account.site).to_owned(), key.exporter.to_string(), version, key.domain_name()]
        })
        .collect();
    for (name, kind, help, of) in FLOW_FAMILIES {
        page.family(name, kind, help);
        for ((_, account), [site, exporter, version, domain]) in shown.iter().zip(&labels) {
            page.sample(name, &[("site", site), ("exporter", exporter), ("version", version), ("domain", domain)], of(account));
        }
    }
    let forgotten = app.flow_accounts.forgotten();
    page.gauge("wartburg_flow_streams_forgotten", "Streams whose counts had to go for others: somebody floods us.", forgotten as f64);
    page.gauge("wartburg_flow_streams_hidden", "Streams without lines here: of no known site, or beyond the bound.", hidden as f64);
}

fn sources(page: &mut Page, app: &App, now: Timestamp) {
    let sites = app.sites();
    let Ok(sources) = app.db.read(|connection| source_list(connection, &Scope::All, &sites, now)) else { return };
    let regular = sources.iter().filter(|source| source.is_regular());
    let silent = regular.clone().filter(|source| source.is_silent(now)).count();
    page.family("wartburg_sources", "gauge", "Sources that send regularly, and those of them that are silent.");
    page.sample("wartburg_sources", &[("state", "regular")], regular.count() as f64);
    page.sample("wartburg_sources", &[("state", "silent")], silent as f64);
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::web::tests::{Front, now};

    /// What is wrong with a page, as `promtool check metrics` would say: each line parses, each family has its help and
    /// type once and in front of its samples, no sample comes twice, counters end in `_total`.
    fn complaints(text: &str) -> Vec<String> {
        let sample = regex::Regex::new(
            r#"^([a-z_][a-z0-9_]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[0-9.]+(?:e[0-9]+)?|NaN)$"#,
        )
        .unwrap();
        let (mut wrong, mut families, mut seen) = (vec![], HashSet::new(), HashSet::new());
        let mut current = (String::new(), String::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let name = help.split(' ').next().unwrap().to_owned();
                if !families.insert(name.clone()) || !help.ends_with('.') {
                    wrong.push(format!("family: {line}"));
                }
                current = (name, String::new());
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                let fits = name == current.0 && ["counter", "gauge"].contains(&kind);
                if !fits || (kind == "counter") != name.ends_with("_total") {
                    wrong.push(format!("type: {line}"));
                }
                current.1 = kind.to_owned();
            } else {
                let name = sample.captures(line).map(|found| found[1].to_owned());
                let key = line.rsplit_once(' ').map_or(line, |(key, _)| key);
                if name.as_ref() != Some(&current.0) || current.1.is_empty() || !seen.insert(key.to_owned()) {
                    wrong.push(format!("sample: {line}"));
                }
            }
        }
        if !text.ends_with('\n') {
            wrong.push("no newline at the end".into());
        }
        wrong
    }

    #[tokio::test]
    async fn the_page_stands_up_to_a_scraper() {
        let front = Front::new();
        let text = page(&front.app, now());
        assert_eq!(complaints(&text), Vec::<String>::new(), "{text}");
        assert!(text.contains("wartburg_intake_kernel_dropped_total{listener=\"syslog_udp\"} 0\n"), "{text}");
        assert!(text.contains("wartburg_disk_level{level=\"ok\"} 1\n"), "{text}");
    }

    #[test]
    fn labels_are_escaped_and_the_check_can_fail() {
        let mut page = Page::default();
        page.family("a_total", "counter", "Help.");
        page.sample("a_total", &[("site", "a\"b\\c\nd"), ("x", "")], 3.0);
        assert_eq!(complaints(&page.0), [""; 0], "{}", page.0);
        page.sample("a_total", &[("site", "a\"b\\c\nd"), ("x", "")], 4.0);
        page.sample("b", &[], 1.0);
        page.family("a_total", "gauge", "Again");
        assert_eq!(complaints(&page.0).len(), 4, "{}", page.0);
    }
}
