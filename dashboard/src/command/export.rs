//! `search --export`: all hits into a file, which bears its name only when it is whole.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use ingest::events::{Order, SearchRequest};

use super::{SOME_FAILED, eprint_line, progress_bar};
use crate::export::{EventWriter, Format};
use crate::node::View;
use crate::show;

pub(super) fn export(file: &Path, oldest_first: bool, request: &SearchRequest, view: &View) -> Result<ExitCode> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(format) = Format::of(name) else {
        bail!("„{}“: der Name endet auf .csv, .ndjson oder .parquet, und danach richtet sich die Form", file.display());
    };
    let writing = || format!("{} schreiben", file.display());
    let part = file.with_file_name(format!("{name}.part"));
    let out = BufWriter::new(File::create(&part).with_context(writing)?);
    let order = if oldest_first { Order::OldestFirst } else { Order::NewestFirst };
    let mut writer = EventWriter::new(format, out, view.sites.clone()).with_context(writing)?;
    let bar = progress_bar(0, "Ereignisse");
    let mut failed = None;
    let done = view.events.export(request, order, &mut |event| {
        bar.inc(1);
        match writer.event(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error).with_context(writing);
    }
    writer.finish(&done).with_context(writing)?;
    if done.ended_early {
        bail!("abgebrochen: in {} fehlen Treffer. Den Zeitraum mit --from und --to einengen.", part.display());
    }
    std::fs::rename(&part, file).with_context(writing)?;
    eprint_line(&format!("{} Ereignisse in {}", show::num(done.events), file.display()));
    std::io::stderr().flush()?;
    if !done.damaged.is_empty() {
        eprint_line(&format!("Nicht lesbar und nicht enthalten: {}", done.damaged.join(", ")));
        return Ok(ExitCode::from(SOME_FAILED));
    }
    Ok(ExitCode::SUCCESS)
}
