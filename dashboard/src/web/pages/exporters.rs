//! The part of „Quellen und Standorte“ on exporters of flows: what came from each, and what its sequence numbers say is missing.

use std::cmp::Reverse;

use ingest::body::{SiteId, SiteTable};
use ingest::flow::{Account, StreamKey};
use ingest::scope::Scope;
use ingest::time::Timestamp;

use crate::show::{self, Markup};
use crate::words::{self, t, tf, tn};

/// Those shown: the ones that lose most, then the busiest. Who looks for another one filters the page.
const ROWS_MAX: usize = 25;
/// A clock that is off by more is worth a word.
const SKEW_MILLIS_MAX: i64 = 2 * Timestamp::MINUTE;
/// Below this a sign of milliseconds is noise of the network.
const SKEW_MILLIS_MIN: i64 = 2 * Timestamp::SECOND;

/// One stream: an observation domain of an exporter.
pub(super) struct ExporterRow {
    pub(super) exporter: String,
    pub(super) detail: String,
    pub(super) site: String,
    pub(super) records: String,
    pub(super) lost: String,
    pub(super) loses: bool,
    /// What else there is to say about what is missing.
    pub(super) notes: Vec<String>,
    pub(super) clock: String,
    pub(super) delay: String,
    pub(super) sampling: String,
    pub(super) last: Markup,
}

/// The rows that somebody may see, and how many streams there are of those `wanted` by site and exporter.
pub(super) fn rows(
    accounts: Vec<(StreamKey, Account)>,
    scope: &Scope,
    wanted: &dyn Fn(SiteId, &str) -> bool,
    sites: &SiteTable,
    now: Timestamp,
) -> (Vec<ExporterRow>, usize) {
    let mut all: Vec<_> = accounts.into_iter().filter(|(_, account)| scope.body_allowed(sites.body(account.site))).collect();
    all.retain(|(key, account)| wanted(account.site, &key.exporter.to_string()));
    let loss = |(_, account): &(StreamKey, Account)| account.loss().unwrap_or_default();
    all.sort_by(|a, b| loss(b).total_cmp(&loss(a)).then_with(|| (Reverse(a.1.records), a.0).cmp(&(Reverse(b.1.records), b.0))));
    let rows = all.iter().take(ROWS_MAX).map(|(key, account)| row(key, account, sites, now)).collect();
    (rows, all.len())
}

fn row(key: &StreamKey, account: &Account, sites: &SiteTable, now: Timestamp) -> ExporterRow {
    let loss = account.loss().unwrap_or_default();
    let lost = match (account.lost, key.version) {
        (0, 0) => "–".to_owned(),
        (0, _) => t("nichts").to_owned(),
        (lost, _) => format!("{} ({}\u{a0}%)", show::num(lost), share(loss)),
    };
    ExporterRow {
        exporter: key.exporter.to_string(),
        detail: tf("{protocol} · Domäne {n}", &[("protocol", &words::flow_version(key.version)), ("n", &key.domain_name())]),
        site: sites.name(account.site).to_owned(),
        records: show::num(account.records),
        lost,
        loses: account.lost > 0,
        notes: notes(key, account),
        clock: clock(account.skew_ms),
        delay: if account.records == 0 {
            String::new()
        } else {
            tf("Verzug {time}", &[("time", &show::duration(account.delay_ms.max(0)))])
        },
        sampling: match account.sampling {
            0 => "–".into(),
            n => format!("1 : {}", show::num(n)),
        },
        last: show::time(account.last, now),
    }
}

/// A share in percent, with as many digits as tell it from nothing.
fn share(of: f64) -> String {
    show::decimal(of * 100.0, if of < 0.001 { 3 } else { 1 })
}

fn clock(skew: i64) -> String {
    let off = show::duration(skew.saturating_abs());
    let much = skew.saturating_abs() > SKEW_MILLIS_MAX;
    match (skew.saturating_abs() <= SKEW_MILLIS_MIN, skew > 0) {
        (true, _) => t("geht richtig").to_owned(),
        (_, true) if much => tf("geht {time} vor: bitte stellen", &[("time", &off)]),
        (_, true) => tf("geht {time} vor", &[("time", &off)]),
        (..) if much => tf("geht {time} nach: bitte stellen", &[("time", &off)]),
        (..) => tf("geht {time} nach", &[("time", &off)]),
    }
}

fn notes(key: &StreamKey, account: &Account) -> Vec<String> {
    let n = |count: u64| show::num(count);
    let mut notes = Vec::new();
    let mut note = |count: u64, text: String| {
        if count > 0 {
            notes.push(text);
        }
    };
    note(account.lost, if key.counts_records() { t("Flüsse") } else { t("Datagramme") }.to_owned());
    note(account.sets_lost, tf("{n} Datenblöcke ohne Vorlage aufgegeben", &[("n", &n(account.sets_lost))]));
    let waited = account.sets_waited.saturating_sub(account.sets_lost);
    note(waited, tf("{n} Datenblöcke warteten auf ihre Vorlage", &[("n", &n(waited))]));
    note(account.unsure, tn("1 Lücke ohne Zahl", "{n} Lücken ohne Zahl", account.unsure));
    note(account.late, tf("{n} kamen verspätet", &[("n", &n(account.late))]));
    note(account.doubled, tf("{n} kamen doppelt", &[("n", &n(account.doubled))]));
    note(account.strays, tf("{n} mit Nummern von anderswo", &[("n", &n(account.strays))]));
    note(account.restarts, tn("1 Neustart", "{n} Neustarts", account.restarts));
    note(account.defective, tf("{n} Datagramme mit Mängeln", &[("n", &n(account.defective))]));
    note(account.dropped_by_exporter, tf("{n} Pakete sah das Gerät selbst nicht", &[("n", &n(account.dropped_by_exporter))]));
    notes
}

#[cfg(test)]
mod tests {
    use detect::role::Role;
    use ingest::body::{Site, SiteId};
    use ingest::flow::FlowDecoder;
    use ingest::frame::{Frame, FrameKind, Marks, NewFrame, Seq, Transport};

    use crate::web::tests::{Front, now};

    /// A front whose decoder heard two exporters: one of the own body that loses, one of a stranger.
    fn front() -> (Front, FlowDecoder) {
        let mut front = Front::new();
        let site = Site {
            id: SiteId(ingest::id::Ulid(7)),
            name: "rathaus".into(),
            body: Some(front.body),
            prefixes: vec!["192.0.2.0/24".parse().unwrap()],
            certificates: vec![],
            tokens: vec![],
        };
        let table = std::sync::Arc::new(ingest::body::SiteTable::new(vec![site]));
        *front.app.sites.write().unwrap() = table.clone();
        let mut decoder = FlowDecoder::default();
        for (seq, (peer, sequence)) in (1..).zip([("192.0.2.9", 0u32), ("192.0.2.9", 1), ("192.0.2.9", 4), ("203.0.113.9", 0)]) {
            let secs = u32::try_from(now().0 / 1_000).unwrap() + 600;
            let mut payload: Vec<u8> = [5u16, 1].iter().flat_map(|n| n.to_be_bytes()).collect();
            payload.extend([1_000u32, secs, 0, sequence, 0].iter().flat_map(|n| n.to_be_bytes()));
            payload.extend([0; 48]);
            let peer = peer.parse().unwrap();
            let frame = NewFrame {
                received_at: now(),
                site: table.site_of(peer),
                peer,
                transport: Transport::Udp,
                kind: FrameKind::Flow,
                marks: Marks::default(),
                payload: payload.into(),
            };
            decoder.decode(&Frame { seq: Seq(seq), frame }, &mut Vec::new());
        }
        front.app.flow_accounts = decoder.accounts();
        front.router = crate::web::router(front.app.clone());
        (front, decoder)
    }

    #[tokio::test]
    async fn what_is_missing_stands_on_the_page_and_in_the_metrics() {
        let (front, _decoder) = front();
        let text = front.get("/quellen", &front.enter(Role::Analyst).0).await.text;
        for word in ["192.0.2.9", "NetFlow v5 · Domäne 0", "2 (40,0\u{a0}%)", "vor: bitte stellen", "203.0.113.9"] {
            assert!(text.contains(word), "{word}: {text}");
        }
        let metrics = crate::metrics::page(&front.app, now());
        let of = "{site=\"rathaus\",exporter=\"192.0.2.9\",version=\"5\",domain=\"0\"}";
        for line in [format!("wartburg_flow_missed_total{of} 2\n"), format!("wartburg_flow_records_total{of} 3\n")] {
            assert!(metrics.contains(&line), "{line}: {metrics}");
        }
        assert!(metrics.contains("wartburg_flow_streams_hidden 1\n") && !metrics.contains("203.0.113.9"), "{metrics}");
    }

    #[tokio::test]
    async fn a_body_sees_its_own_exporters() {
        let (front, _decoder) = front();
        let text = front.get("/quellen", &front.enter(Role::Municipality).0).await.text;
        assert!(text.contains("192.0.2.9") && !text.contains("203.0.113.9"), "{text}");
    }
}
