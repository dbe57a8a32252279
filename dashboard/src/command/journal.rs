//! `journal ls|cat|verify` and `verify`: looking at the journal and checking it, beside a running server or without one.
//! They take no lock and write nothing.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ingest::body::SiteTable;
use ingest::db::Db;
use ingest::frame::{Frame, FrameKind, Marks, Seq};
use ingest::journal::{Fault, FaultKind, SegmentInfo, Sum, VerifyReport, peek, segments, verify};
use ingest::source::source_cursor;
use serde_json::{Value, json};

use super::{SOME_FAILED, eprint_line, plural};
use crate::cli::{CatArgs, JournalCommand, VerifyArgs};
use crate::show;

pub(super) fn journal(command: &JournalCommand, dir: &Path, out: &mut dyn Write) -> Result<ExitCode> {
    match command {
        JournalCommand::Ls(args) => ls(args.json, dir, out),
        JournalCommand::Cat(args) => cat(args, dir, out),
        JournalCommand::Verify(args) => {
            let sound = verify_journal(args, dir, out)?;
            Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
        }
    }
}

pub(super) fn journal_dir(dir: &Path) -> Result<PathBuf> {
    let journal = dir.join("journal");
    if !journal.is_dir() {
        bail!("{} ist kein Datenverzeichnis mit einem Journal. Mit --data eines nennen.", dir.display());
    }
    Ok(journal)
}

fn ls(json: bool, dir: &Path, out: &mut dyn Write) -> Result<ExitCode> {
    let segments = segments(&journal_dir(dir)?)?;
    for info in &segments {
        if json {
            writeln!(out, "{}", segment_json(info))?;
            continue;
        }
        let span = info.span.map_or_else(|| "leer".into(), |(from, to)| format!("{} bis {}", from.rfc3339(), to.rfc3339()));
        let seal = match &info.seal {
            None => "offen".to_owned(),
            Some(seal) => {
                let late = if seal.late { ", nachträglich" } else { "" };
                format!("versiegelt {}{late}", seal.sum.to_string().get(..12).unwrap_or_default())
            }
        };
        writeln!(
            out,
            "{:>12} bis {:>12}  {span}  {:>10}  {seal}",
            show::num(info.first.0),
            show::num(info.last.0),
            show::bytes(info.bytes)
        )?;
    }
    if !json {
        let bytes = segments.iter().map(|info| info.bytes).sum();
        eprint_line(&format!("{}, {}", plural(segments.len(), "Segment", "Segmente"), show::bytes(bytes)));
    }
    Ok(ExitCode::SUCCESS)
}

fn segment_json(info: &SegmentInfo) -> Value {
    json!({
        "file": info.path.file_name().map(|name| name.to_string_lossy()),
        "first": info.first.0,
        "last": info.last.0,
        "from": info.span.map(|(from, _)| from.rfc3339()),
        "to": info.span.map(|(_, to)| to.rfc3339()),
        "bytes": info.bytes,
        "sealed": info.seal.is_some(),
        "sealed_late": info.seal.as_ref().is_some_and(|seal| seal.late),
        "sha256": info.seal.as_ref().map(|seal| seal.sum.to_string()),
    })
}

fn cat(args: &CatArgs, dir: &Path, out: &mut dyn Write) -> Result<ExitCode> {
    let journal = journal_dir(dir)?;
    let sites = sites(dir)?;
    let mut reader = peek(&journal, Seq(args.from.unwrap_or(1).saturating_sub(1)))?;
    let (mut left, last) = (args.limit.unwrap_or(usize::MAX), args.to.unwrap_or(u64::MAX));
    'blocks: while let Some(frames) = reader.next(Duration::ZERO)? {
        for frame in &frames {
            if left == 0 || frame.seq.0 > last {
                break 'blocks;
            }
            left -= 1;
            if args.json { writeln!(out, "{}", frame_json(frame, &sites))? } else { writeln!(out, "{}", frame_line(frame, &sites))? }
        }
    }
    if reader.damaged() == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let stretches = plural(usize::try_from(reader.damaged()).unwrap_or(usize::MAX), "beschädigte Stelle", "beschädigte Stellen");
    eprint_line(&format!("{stretches} übergangen; `wartburg journal verify` sagt, wo."));
    Ok(ExitCode::from(SOME_FAILED))
}

/// The sites' names; none where the data have no database (yet).
fn sites(dir: &Path) -> Result<SiteTable> {
    if !dir.join("wartburg.db").exists() {
        return Ok(SiteTable::default());
    }
    let db = crate::node::database(dir)?;
    let sites = db.read(SiteTable::load)?;
    db.close();
    Ok(sites)
}

fn frame_line(Frame { seq, frame }: &Frame, sites: &SiteTable) -> String {
    let marks = marks(frame.marks);
    let marks = if marks.is_empty() { String::new() } else { format!(" [{}]", marks.join(",")) };
    let (payload, _) = payload(&frame.payload);
    format!(
        "{}  {}  {}  {} {} {}{marks}  {}",
        seq.0,
        frame.received_at.rfc3339(),
        sites.name(frame.site),
        frame.peer,
        frame.transport.as_str(),
        kind(frame.kind),
        show::safe(&payload)
    )
}

fn frame_json(Frame { seq, frame }: &Frame, sites: &SiteTable) -> Value {
    let (payload, escaped) = payload(&frame.payload);
    let mut object = json!({
        "seq": seq.0,
        "received_at": frame.received_at.rfc3339(),
        "site": sites.name(frame.site),
        "peer": frame.peer.to_string(),
        "transport": frame.transport.as_str(),
        "kind": kind(frame.kind),
        "marks": marks(frame.marks),
        "payload": payload,
    });
    if let (true, Some(object)) = (escaped, object.as_object_mut()) {
        object.insert("payload_escaped".into(), true.into());
    }
    object
}

/// The payload as text; one that is no UTF-8 with `\x..` for what is not ASCII, and then also `\\` for a backslash.
fn payload(bytes: &[u8]) -> (String, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), false),
        Err(_) => (bytes.escape_ascii().to_string(), true),
    }
}

fn kind(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Line => "line",
        FrameKind::Json => "json",
        FrameKind::Flow => "flow",
        FrameKind::ImportMark => "import_mark",
    }
}

fn marks(marks: Marks) -> Vec<&'static str> {
    let all = [(Marks::CUT, "cut"), (Marks::REST, "rest"), (Marks::COUNT, "count"), (Marks::TORN, "torn")];
    all.into_iter().filter(|(mark, _)| marks.has(*mark)).map(|(_, name)| name).collect()
}

/// Whether the journal is as it was written.
pub(super) fn verify_journal(args: &VerifyArgs, dir: &Path, out: &mut dyn Write) -> Result<bool> {
    let noted = match &args.chain {
        None => None,
        Some(text) => Some(Sum::parse(text).with_context(|| format!("„{text}“ ist kein Wert einer Kette (64 Hexziffern)."))?),
    };
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} noch {eta}") {
        bar.set_style(style);
    }
    bar.set_message("Journal");
    // Asked first: what is written meanwhile must not look lost. A database that cannot be read has its own check.
    let seen = Db::peek(&dir.join("wartburg.db"), source_cursor).unwrap_or_default();
    let report = verify(&journal_dir(dir)?, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    let rewritten = noted.is_some_and(|noted| !report.knows(noted));
    let lost = seen.0.saturating_sub(report.last.0);
    let sound = report.is_sound() && !rewritten && lost == 0;
    if args.json {
        report.faults.iter().try_for_each(|fault| writeln!(out, "{}", fault_json(fault)))?;
        writeln!(out, "{}", report_json(&report, noted.map(|_| !rewritten), lost, sound))?;
    } else {
        report.faults.iter().try_for_each(|fault| writeln!(out, "{}", fault_line(fault)))?;
        if lost > 0 {
            writeln!(out, "Am Ende fehlen {}: die Speicher haben sie gesehen, das Journal hat sie nicht mehr.", plural_frames(lost))?;
        }
        report_lines(&report, rewritten, out)?;
        writeln!(out, "{}", if sound { "Das Journal ist in Ordnung." } else { "Das Journal ist NICHT in Ordnung." })?;
    }
    Ok(sound)
}

fn plural_frames(count: u64) -> String {
    if count == 1 { "1 Eintrag".into() } else { format!("{} Einträge", show::num(count)) }
}

fn report_lines(report: &VerifyReport, rewritten: bool, out: &mut dyn Write) -> Result<()> {
    let more = report.faults_total.saturating_sub(report.faults.len());
    if more > 0 {
        writeln!(out, "… und {} weitere Fehler", show::num(more as u64))?;
    }
    if rewritten {
        writeln!(out, "Die Kette enthält den notierten Wert nicht: sie wurde neu geschrieben oder gehört zu einem anderen Journal.")?;
    }
    writeln!(
        out,
        "{}, davon {} versiegelt; Einträge {} bis {}, {}",
        plural(report.segments, "Segment", "Segmente"),
        report.sealed,
        show::num(report.first.0),
        show::num(report.last.0),
        show::bytes(report.bytes)
    )?;
    if report.sealed_late > 0 {
        writeln!(out, "{} erst nachträglich versiegelt: älter als die Siegel, oder ihre Siegel waren verloren", report.sealed_late)?;
    }
    if report.freed > Seq(0) {
        writeln!(out, "bis Eintrag {} nach Ablauf der Aufbewahrung freigegeben", show::num(report.freed.0))?;
    }
    writeln!(out, "Kette endet mit {}", report.head)?;
    Ok(())
}

fn fault_words(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Header => "der Kopf des Segments ist nicht der geschriebene",
        FaultKind::Block => "ein Block ist beschädigt",
        FaultKind::Sequence => "die Nummern setzen sich nicht fort",
        FaultKind::Seal => "der Inhalt ist nicht der versiegelte",
        FaultKind::Size => "die Länge ist nicht die versiegelte",
        FaultKind::Missing => "das Segment fehlt",
        FaultKind::Unsealed => "dem Segment fehlt sein Siegel",
        FaultKind::Chain => "die Kette der Siegel ist gebrochen",
        FaultKind::Unreadable => "nicht lesbar",
    }
}

fn fault_line(fault: &Fault) -> String {
    let place = match (fault.offset, fault.kind) {
        (None, _) => String::new(),
        (Some(line), FaultKind::Chain) => format!(", Zeile {line}"),
        (Some(offset), _) => format!(", Byte {offset}"),
    };
    format!("{}{place}: {} ({})", fault.file, fault_words(fault.kind), fault.detail)
}

fn fault_json(fault: &Fault) -> Value {
    json!({ "file": fault.file, "offset": fault.offset, "fault": fault.kind.as_str(), "detail": fault.detail })
}

fn report_json(report: &VerifyReport, chain_known: Option<bool>, lost: u64, sound: bool) -> Value {
    json!({
        "part": "journal",
        "sound": sound,
        "faults": report.faults_total,
        "segments": report.segments,
        "sealed": report.sealed,
        "sealed_late": report.sealed_late,
        "first": report.first.0,
        "last": report.last.0,
        "freed": report.freed.0,
        "bytes": report.bytes,
        "unfinished_bytes": report.unfinished_bytes,
        "lost_at_end": lost,
        "chain": report.head.to_string(),
        "chain_known": chain_known,
    })
}
