//! `flows`: asking the flow store from a terminal, in our language or in nfdump's.

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use ingest::events;
use ingest::fields::{self, FieldId};
use ingest::flow::{FlowRecord, protocol_name};
use ingest::flows::ask::{FlowQuestion, FlowTable, Sums, nfdump_parse};
use ingest::flows::value;
use ingest::query::{Column, ColumnKind, Operand, Pipeline, Rank, Stage};
use ingest::record::FlowView;
use ingest::scope::Scope;
use ingest::time::Timestamp;
use serde_json::{Map, Value};

use super::search::{TIME_MAX, record_json, span};
use super::table::{Cell, Paint, Tone, print_rows};
use super::{SOME_FAILED, eprint_line, plural, progress_bar};
use crate::cli::FlowsArgs;
use crate::node::View;
use crate::show;

/// Flows of one step: a page of them is a walk of its own.
const PAGE_ROWS: usize = 10_000;
/// Flows and groups shown where nobody says how many.
const ROWS: usize = 20;

pub(super) fn flows(args: &FlowsArgs, view: &View, now: Timestamp, out: &mut dyn Write) -> Result<ExitCode> {
    let parsed = if args.nfdump { nfdump_parse(&args.query, now) } else { Pipeline::parse(&args.query, now) };
    let mut pipeline = parsed.map_err(|error| anyhow::anyhow!("Anfrage: {error}"))?;
    if let Some(name) = &args.top {
        if pipeline.is_table() {
            anyhow::bail!("--top und ein Schritt in der Anfrage gehen nicht zusammen. Bitte nur eines davon.");
        }
        let field = FieldId::find(name).filter(|field| value::flow_fields().any(|known| known == *field));
        let Some(field) = field else {
            anyhow::bail!(
                "Das Feld „{name}“ haben Flüsse nicht. Zum Beispiel: source.ip, destination.port, server.port, network.transport, site"
            );
        };
        let rank = Rank::Sum(Operand::Field(fields::NETWORK_BYTES));
        pipeline.stages.push(Stage::Top { rows: args.limit.unwrap_or(ROWS), field, rank });
    }
    let (from, to) = span(&args.span, now)?;
    let mut question = FlowQuestion::new(&pipeline.query, &Scope::All, &view.sites);
    (question.from, question.to) = (from.unwrap_or(Timestamp(i64::MIN)), to.unwrap_or(Timestamp(i64::MAX)));
    question.time_max = TIME_MAX;
    let seen = Watched::new(&question, view.flows.stats().records);
    if pipeline.is_table() {
        let found = view.flows.ask(&question, &pipeline);
        drop(seen);
        return table(args, &found?, &pipeline, out);
    }
    let (mut left, mut cursor, mut shown) = (args.limit.unwrap_or(ROWS), None, 0usize);
    let paint = Paint::of_stdout();
    let partial = loop {
        let page = view.flows.page(&question, cursor, left.clamp(1, PAGE_ROWS))?;
        let flows = page.flows.get(..left.min(page.flows.len())).unwrap_or(&page.flows);
        if args.json {
            for flow in flows {
                writeln!(out, "{}", Value::Object(record_json(&FlowView { flow, sites: &view.sites })))?;
            }
        } else {
            let head = (shown == 0 && !flows.is_empty()).then(head);
            let rows: Vec<Vec<Cell>> = head.into_iter().chain(flows.iter().map(|flow| line(flow, view.sites.name(flow.site)))).collect();
            print_rows(&rows, paint, out)?;
        }
        (shown, left) = (shown + flows.len(), left.saturating_sub(flows.len()));
        cursor = page.next;
        if page.partial || cursor.is_none() || left == 0 {
            break page.partial;
        }
    };
    drop(seen);
    out.flush()?;
    if !args.json {
        let more = if cursor.is_some() { ", weitere mit --limit" } else { "" };
        eprint_line(&format!("{}{more}", plural(shown, "Fluss", "Flüsse")));
    }
    Ok(ended(partial))
}

fn ended(partial: bool) -> ExitCode {
    if !partial {
        return ExitCode::SUCCESS;
    }
    eprint_line("Das ist nicht alles. Die Anfrage oder den Zeitraum mit --from und --to einengen.");
    ExitCode::from(SOME_FAILED)
}

/// What a pipe makes of the flows.
fn table(args: &FlowsArgs, found: &FlowTable, pipeline: &Pipeline, out: &mut dyn Write) -> Result<ExitCode> {
    let (columns, all) = (&found.table.columns, &found.table.rows);
    let rows = all.get(..args.limit.unwrap_or(usize::MAX)).unwrap_or(all.as_slice());
    // A ranking says of each row all that is known of it, whatever it is ranked by.
    let ranked = matches!(pipeline.stages.as_slice(), [Stage::Top { .. }]) && found.sums.len() == all.len();
    let columns = if ranked { columns.get(..1).unwrap_or(columns) } else { columns };
    let sampled = found.total.is_sampled();
    if args.json {
        for (place, row) in rows.iter().enumerate() {
            let mut object: Map<String, Value> = columns.iter().zip(row).map(|(column, cell)| (column.name.clone(), cell.json())).collect();
            if let Some(sums) = found.sums.get(place).filter(|_| ranked)
                && let Ok(Value::Object(more)) = serde_json::to_value(sums)
            {
                object.extend(more);
            }
            writeln!(out, "{}", Value::Object(object))?;
        }
    } else {
        let is_number = |column: &Column| column.kind == ColumnKind::Number;
        let aligned = |cell: Cell, column: &Column| if is_number(column) { cell.right() } else { cell };
        let mut head: Vec<Cell> = columns.iter().map(|column| aligned(Cell::new(&column.name, Tone::Head), column)).collect();
        if ranked {
            head.extend(sums_head(sampled));
        }
        let row = |(place, row): (usize, &Vec<events::Value>)| {
            let cells = columns.iter().zip(row).map(|(column, cell)| aligned(super::search::shown(cell, column), column));
            let sums = found.sums.get(place).filter(|_| ranked).map(|sums| sums_cells(sums, sampled)).unwrap_or_default();
            cells.chain(sums).collect()
        };
        let lines: Vec<Vec<Cell>> = std::iter::once(head).chain(rows.iter().enumerate().map(row)).collect();
        print_rows(&lines, Paint::of_stdout(), out)?;
    }
    out.flush()?;
    if !args.json {
        let cut = if all.len() > rows.len() {
            format!(", {} weitere mit --limit", show::num((all.len() - rows.len()) as u64))
        } else {
            String::new()
        };
        let flows = plural(usize::try_from(found.total.flows).unwrap_or(usize::MAX), "Fluss", "Flüssen");
        let (bytes, millis) = (show::bytes(found.total.bytes), found.took.as_millis());
        eprint_line(&format!("{} aus {flows} mit {bytes} in {millis} ms{cut}", plural(rows.len(), "Zeile", "Zeilen")));
    }
    if found.table.other > 0 {
        eprint_line(&format!("Weitere {} Flüsse gehören zu Gruppen, für die kein Platz war.", show::num(found.table.other)));
    }
    Ok(ended(found.partial))
}

fn sums_head(sampled: bool) -> Vec<Cell> {
    let scaled: &[&str] = if sampled { &["Bytes hochger.", "Pakete hochger."] } else { &[] };
    ["Bytes", "Pakete", "Flüsse"].iter().chain(scaled).map(|name| Cell::new(name, Tone::Head).right()).collect()
}

fn sums_cells(sums: &Sums, sampled: bool) -> Vec<Cell> {
    let mut cells = vec![show::bytes(sums.bytes), show::num(sums.packets), show::num(sums.flows)];
    if sampled {
        cells.extend([show::bytes(sums.bytes_scaled), show::num(sums.packets_scaled)]);
    }
    cells.iter().map(|text| Cell::new(text, Tone::Plain).right()).collect()
}

fn head() -> Vec<Cell> {
    let left = |name: &str| Cell::new(name, Tone::Head);
    vec![
        left("Beginn"),
        left("Dauer").right(),
        left("Standort"),
        left("Proto"),
        left("Quelle").right(),
        left(""),
        left("Ziel"),
        left("Flags"),
        left("Pakete").right(),
        left("Bytes").right(),
    ]
}

/// A flow: when, how long, where, who with whom, how much.
fn line(flow: &FlowRecord, site: &str) -> Vec<Cell> {
    const DROPPED: u8 = 2;
    const DENIED: u8 = 3;
    let protocol = protocol_name(flow.protocol).map_or_else(|| flow.protocol.to_string(), str::to_owned);
    let refused = flow.forwarding >> 6 == DROPPED || flow.firewall_event == DENIED;
    let tone = if refused { Tone::Alarming } else { Tone::Plain };
    vec![
        Cell::new(&flow.start.rfc3339(), Tone::Quiet),
        Cell::new(&lasted(flow.end.since(flow.start)), Tone::Quiet).right(),
        Cell::new(site, Tone::Place),
        Cell::new(&protocol, Tone::Quiet),
        Cell::new(&end(flow.src_ip, flow.src_port), tone).right(),
        Cell::new("→", Tone::Quiet),
        Cell::new(&end(flow.dst_ip, flow.dst_port), tone),
        Cell::new(&flags(flow), Tone::Quiet),
        Cell::new(&show::num(flow.packets), Tone::Plain).right(),
        Cell::new(&show::bytes(flow.bytes), Tone::Plain).right(),
    ]
}

fn end(address: std::net::IpAddr, port: u16) -> String {
    if port == 0 { address.to_string() } else { std::net::SocketAddr::new(address, port).to_string() }
}

/// Most flows are shorter than a second.
fn lasted(millis: i64) -> String {
    if (0..1_000).contains(&millis) { format!("{millis} ms") } else { show::duration(millis) }
}

/// As nfdump shows them: `.AP.SF`.
fn flags(flow: &FlowRecord) -> String {
    const TCP: u8 = 6;
    if flow.protocol != TCP {
        return String::new();
    }
    [(5, 'U'), (4, 'A'), (3, 'P'), (2, 'R'), (1, 'S'), (0, 'F')]
        .map(|(bit, letter)| if flow.tcp_flags >> bit & 1 == 1 { letter } else { '.' })
        .iter()
        .collect()
}

/// Shows how far a question is while it runs, where somebody watches.
struct Watched {
    done: Arc<AtomicBool>,
    watcher: Option<std::thread::JoinHandle<()>>,
}

impl Watched {
    fn new(question: &FlowQuestion<'_>, records: u64) -> Self {
        /// Quick answers show nothing that flickers.
        const STEP: Duration = Duration::from_millis(250);
        let (done, read) = (Arc::new(AtomicBool::new(false)), Arc::clone(&question.read));
        let over = Arc::clone(&done);
        let watcher = std::thread::spawn(move || {
            let bar = progress_bar(records, "Flüsse");
            while !over.load(Ordering::Relaxed) {
                std::thread::park_timeout(STEP);
                if !over.load(Ordering::Relaxed) {
                    bar.set_position(read.load(Ordering::Relaxed));
                }
            }
            bar.finish_and_clear();
        });
        Self { done, watcher: Some(watcher) }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            watcher.thread().unpark();
            // A watcher that failed has shown nothing; the answer stands all the same.
            drop(watcher.join());
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_flow_is_a_line() {
        let flow = FlowRecord {
            start: Timestamp(1_795_262_400_000),
            end: Timestamp(1_795_262_401_500),
            src_ip: [10, 0, 0, 1].into(),
            dst_ip: "2001:db8::1".parse().unwrap(),
            src_port: 50_000,
            dst_port: 443,
            protocol: 6,
            tcp_flags: 0x1b,
            bytes: 1_234,
            packets: 7,
            ..FlowRecord::NONE
        };
        let mut out = Vec::new();
        print_rows(&[head(), line(&flow, "rathaus\u{1b}")], Paint::PLAIN, &mut out).unwrap();
        expect![[r#"
            Beginn                    Dauer  Standort  Proto          Quelle     Ziel               Flags   Pakete   Bytes
            2026-11-21T12:00:00.000Z    1 s  rathaus␛  tcp    10.0.0.1:50000  →  [2001:db8::1]:443  .AP.SF       7  1,2 kB
        "#]]
        .assert_eq(&String::from_utf8(out).unwrap());
        assert_eq!(flags(&FlowRecord { protocol: 17, ..flow }), "");
    }
}
