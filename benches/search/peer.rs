//! The same events for the peer, as Parquet, straight from the decoder: what the stores count is compared with what was
//! decoded, not with each other's mistakes.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use ingest::body::SiteTable;
use ingest::event::Event;
use ingest::fields::FieldId;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const TEXTS: [&str; 9] = [
    "source.ip",
    "destination.ip",
    "user.name",
    "host.name",
    "event.action",
    "event.code",
    "event.outcome",
    "event.module",
    "network.transport",
];
const NUMBERS: [&str; 2] = ["source.port", "destination.port"];
const ROWS: usize = 65_536;

pub(crate) struct Peer {
    writer: ArrowWriter<File>,
    schema: Arc<Schema>,
    fields: Vec<FieldId>,
    times: Vec<i64>,
    sites: Vec<String>,
    lines: Vec<String>,
    texts: Vec<Vec<String>>,
    numbers: Vec<Vec<Option<i64>>>,
}

impl Peer {
    pub(crate) fn create(path: &Path) -> anyhow::Result<Self> {
        let column = |name: &&str| Field::new(name.replace('.', "_"), DataType::Utf8, false);
        let mut columns = vec![Field::new("ts", DataType::Int64, false)];
        columns.extend(["site", "line"].iter().map(column));
        columns.extend(TEXTS.iter().map(column));
        columns.extend(NUMBERS.iter().map(|name| Field::new(name.replace('.', "_"), DataType::Int64, true)));
        let schema = Arc::new(Schema::new(columns));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))?;
        let fields = TEXTS.iter().chain(&NUMBERS).map(|name| FieldId::find(name).with_context(|| (*name).to_owned()));
        Ok(Self {
            writer,
            schema,
            fields: fields.collect::<anyhow::Result<_>>()?,
            times: vec![],
            sites: vec![],
            lines: vec![],
            texts: vec![vec![]; TEXTS.len()],
            numbers: vec![vec![]; NUMBERS.len()],
        })
    }

    pub(crate) fn add(&mut self, event: &Event, sites: &SiteTable) -> anyhow::Result<()> {
        self.times.push(event.timestamp.0);
        self.sites.push(sites.name(event.site).to_owned());
        self.lines.push(event.line().to_owned());
        let (texts, numbers) = self.fields.split_at(TEXTS.len());
        for (field, column) in texts.iter().zip(&mut self.texts) {
            let mut values = event.get_all(*field);
            column.push(values.next().map(|value| value.text().into_owned()).unwrap_or_default());
            // The peer's table has one value a field; so must the lines.
            anyhow::ensure!(values.next().is_none(), "{} twice in {}", field.name(), event.line());
        }
        for (field, column) in numbers.iter().zip(&mut self.numbers) {
            column.push(event.get(*field).and_then(|value| value.as_int()));
        }
        if self.times.len() >= ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        let texts = |column: &mut Vec<String>| -> ArrayRef { Arc::new(StringArray::from(std::mem::take(column))) };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(std::mem::take(&mut self.times)))];
        columns.extend([&mut self.sites, &mut self.lines].map(texts));
        columns.extend(self.texts.iter_mut().map(texts));
        columns.extend(self.numbers.iter_mut().map(|column| -> ArrayRef { Arc::new(Int64Array::from(std::mem::take(column))) }));
        Ok(self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)?)
    }

    pub(crate) fn close(mut self) -> anyhow::Result<()> {
        self.write()?;
        self.writer.close()?;
        Ok(())
    }
}
