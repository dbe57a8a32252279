//! Events as files for other programs: CSV for spreadsheets, NDJSON with every field, Parquet for statistics. Written line
//! by line as they are read, so that a file of any size takes little memory. What is exported is `ingest::events::export`.

use std::io::{self, Write};
use std::sync::Arc;

use arrow_array::builder::{Int64Builder, StringBuilder};
use arrow_array::{ArrayRef, RecordBatch, TimestampMillisecondArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use ingest::body::SiteTable;
use ingest::event::Event;
use ingest::events::Exported;
use ingest::fields::{self, FIELDS, FieldId, Kind};
use ingest::record::{EventRecord, Record as _};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value, json};

use crate::csv;

/// Rows that are gathered before they are encoded.
const PARQUET_ROWS: usize = 512;
/// What is encoded and not yet written; a row group. With the rows above it bounds the memory of an export.
const PARQUET_BYTES: usize = 8 << 20;
/// The fields of a spreadsheet's row, between time and line; the whole event is in the other forms.
const CSV_FIELDS: [FieldId; 16] = [
    fields::SITE,
    fields::OBSERVER_IP,
    fields::HOST_NAME,
    fields::EVENT_MODULE,
    fields::EVENT_ACTION,
    fields::EVENT_OUTCOME,
    fields::EVENT_CODE,
    fields::USER_NAME,
    fields::SOURCE_IP,
    fields::SOURCE_PORT,
    fields::DESTINATION_IP,
    fields::DESTINATION_PORT,
    fields::NETWORK_TRANSPORT,
    fields::RULE_NAME,
    fields::PROCESS_NAME,
    fields::MESSAGE,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Csv,
    Ndjson,
    Parquet,
}

impl Format {
    /// By the end of a file's name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Csv, Self::Ndjson, Self::Parquet].into_iter().find(|format| name.rsplit('.').next() == Some(format.as_str()))
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Parquet => "parquet",
        }
    }

    pub fn mime(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Writes events to `out`.
pub struct EventWriter<W: Write + Send> {
    sites: Arc<SiteTable>,
    form: Form<W>,
}

enum Form<W: Write + Send> {
    Csv(W),
    Ndjson(W),
    Parquet(Box<Rows<W>>),
}

impl<W: Write + Send> EventWriter<W> {
    /// # Errors
    /// As writing to `out`.
    pub fn new(format: Format, mut out: W, sites: Arc<SiteTable>) -> io::Result<Self> {
        let form = match format {
            Format::Csv => {
                let mut head = String::from(csv::MARK);
                let names = CSV_FIELDS.iter().map(|field| field.name());
                let columns: Vec<&str> = ["timestamp", "event.sequence"].into_iter().chain(names).chain(["_raw"]).collect();
                csv::line(&mut head, &columns);
                out.write_all(head.as_bytes())?;
                Form::Csv(out)
            }
            Format::Ndjson => Form::Ndjson(out),
            Format::Parquet => Form::Parquet(Box::new(Rows::new(out).map_err(io::Error::other)?)),
        };
        Ok(Self { sites, form })
    }

    /// # Errors
    /// As writing to `out`.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match &mut self.form {
            Form::Csv(out) => {
                let record = EventRecord { event, sites: &self.sites };
                let values: Vec<String> = CSV_FIELDS.iter().map(|field| all_values(&record, *field)).collect();
                let (time, seq) = (event.timestamp.rfc3339(), event.seq.0.to_string());
                let mut cells = vec![time.as_str(), seq.as_str()];
                cells.extend(values.iter().map(String::as_str));
                cells.push(event.line());
                let mut line = String::new();
                csv::line(&mut line, &cells);
                out.write_all(line.as_bytes())
            }
            Form::Ndjson(out) => writeln!(out, "{}", Value::Object(event.json(self.sites.name(event.site)))),
            Form::Parquet(rows) => rows.event(event, &self.sites).map_err(io::Error::other),
        }
    }

    /// Ends the file; a form that can says what is missing in it.
    ///
    /// # Errors
    /// As writing to `out`.
    pub fn finish(self, done: &Exported) -> io::Result<()> {
        let missing = (!done.damaged.is_empty()).then(|| done.damaged.join(", "));
        match (self.form, missing) {
            (Form::Csv(mut out), missing) => {
                if let Some(missing) = missing {
                    let mut line = String::new();
                    csv::line(&mut line, &["", "", &format!("Nicht lesbar und hier nicht enthalten: {missing}")]);
                    out.write_all(line.as_bytes())?;
                }
                out.flush()
            }
            (Form::Ndjson(mut out), missing) => {
                if let Some(missing) = missing {
                    writeln!(out, "{}", json!({ "_missing": missing }))?;
                }
                out.flush()
            }
            (Form::Parquet(rows), missing) => rows.finish(missing).map_err(io::Error::other),
        }
    }
}

/// All values of a field in one cell.
fn all_values(record: &EventRecord<'_>, field: FieldId) -> String {
    let mut all = String::new();
    record.any_value(field, &mut |value| {
        if !all.is_empty() {
            all.push('\n');
        }
        all.push_str(&value.text());
        false
    });
    all
}

/// A Parquet file being written: the known fields as columns, what vendors call otherwise as one JSON text.
struct Rows<W: Write + Send> {
    writer: ArrowWriter<W>,
    schema: Arc<Schema>,
    times: Vec<i64>,
    ingested: Vec<i64>,
    seqs: Vec<u64>,
    columns: Vec<Column>,
    /// `_vendor`, `_defects`, `_raw`.
    rest: [StringBuilder; 3],
}

enum Column {
    Text(StringBuilder),
    Int(Int64Builder),
}

impl<W: Write + Send> Rows<W> {
    fn new(out: W) -> parquet::errors::Result<Self> {
        let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
        let mut columns = vec![
            Field::new("@timestamp", time.clone(), false),
            Field::new("event.ingested", time, false),
            Field::new("event.sequence", DataType::UInt64, false),
        ];
        let kind = |kind: Kind| if kind == Kind::Int { DataType::Int64 } else { DataType::Utf8 };
        columns.extend(known().map(|field| Field::new(field.1.name, kind(field.1.kind), true)));
        columns.extend(["_vendor", "_defects", "_raw"].map(|name| Field::new(name, DataType::Utf8, true)));
        let schema = Arc::new(Schema::new(columns));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
        let column = |(_, row): (FieldId, &fields::Field)| match row.kind {
            Kind::Int => Column::Int(Int64Builder::new()),
            Kind::Keyword | Kind::Ip | Kind::Bool => Column::Text(StringBuilder::new()),
        };
        Ok(Self {
            writer: ArrowWriter::try_new(out, schema.clone(), Some(properties))?,
            schema,
            times: vec![],
            ingested: vec![],
            seqs: vec![],
            columns: known().map(column).collect(),
            rest: Default::default(),
        })
    }

    fn event(&mut self, event: &Event, sites: &SiteTable) -> parquet::errors::Result<()> {
        let record = EventRecord { event, sites };
        self.times.push(event.timestamp.0);
        self.ingested.push(event.received_at.0);
        self.seqs.push(event.seq.0);
        for ((field, _), column) in known().zip(&mut self.columns) {
            match column {
                Column::Text(column) => {
                    let text = all_values(&record, field);
                    column.append_option((!text.is_empty()).then_some(text));
                }
                // What is no number there stands in the line.
                Column::Int(column) => column.append_option(event.get_all(field).find_map(|value| value.as_int())),
            }
        }
        let mut vendor = Map::new();
        for (field, value) in event.fields().filter(|(field, _)| field.known().is_none()) {
            vendor.insert(field.name().into(), value.json());
        }
        let defects: Vec<&str> = event.defects.iter().map(|defect| defect.name()).collect();
        let [vendors, flaws, raw] = &mut self.rest;
        vendors.append_option((!vendor.is_empty()).then(|| Value::Object(vendor).to_string()));
        flaws.append_option((!defects.is_empty()).then(|| defects.join(" ")));
        raw.append_value(event.line());
        if self.times.len() >= PARQUET_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> parquet::errors::Result<()> {
        let time =
            |times: &mut Vec<i64>| -> ArrayRef { Arc::new(TimestampMillisecondArray::from(std::mem::take(times)).with_timezone("UTC")) };
        let mut arrays: Vec<ArrayRef> = vec![time(&mut self.times), time(&mut self.ingested)];
        arrays.push(Arc::new(UInt64Array::from(std::mem::take(&mut self.seqs))));
        arrays.extend(self.columns.iter_mut().map(|column| -> ArrayRef {
            match column {
                Column::Text(column) => Arc::new(column.finish()),
                Column::Int(column) => Arc::new(column.finish()),
            }
        }));
        arrays.extend(self.rest.iter_mut().map(|column| -> ArrayRef { Arc::new(column.finish()) }));
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), arrays)?)?;
        if self.writer.memory_size() > PARQUET_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn finish(mut self, missing: Option<String>) -> parquet::errors::Result<()> {
        self.write()?;
        if let Some(missing) = missing {
            self.writer.append_key_value_metadata(KeyValue::new("missing".to_owned(), missing));
        }
        self.writer.close().map(drop)
    }
}

fn known() -> impl Iterator<Item = (FieldId, &'static fields::Field)> {
    (0u16..).map(FieldId).zip(FIELDS)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use arrow_array::cast::AsArray as _;
    use expect_test::expect;
    use ingest::body::SITE_UNKNOWN;
    use ingest::event::Defect;
    use ingest::frame::{Seq, Transport};
    use ingest::time::Timestamp;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn event(seq: u64, user: &str, line: &str) -> Event {
        let mut event = Event::new(
            Seq(seq),
            Timestamp(1_785_542_400_000),
            SITE_UNKNOWN,
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Transport::Udp,
            line.as_bytes(),
        );
        event.push_text(fields::USER_NAME, user);
        event.push_text(fields::USER_NAME, "zwei");
        event.push_int(fields::SOURCE_PORT, 22);
        event.push_text(FieldId::intern("vendor.policy").unwrap(), "x");
        event.defects.add(Defect::NoYear);
        event
    }

    fn written(format: Format, events: &[Event], done: &Exported) -> Vec<u8> {
        let mut out = vec![];
        let mut writer = EventWriter::new(format, &mut out, Arc::default()).unwrap();
        events.iter().for_each(|event| writer.event(event).unwrap());
        writer.finish(done).unwrap();
        out
    }

    #[test]
    fn a_spreadsheet_gets_no_formulas_and_every_reader_all_values() {
        let events = [event(1, "=HYPERLINK(\"http://x\")", "@SUM(1);2"), event(2, "anna", "a\0b")];
        let done = Exported { damaged: vec!["standard/2026-08-01".into()], ..Exported::default() };
        expect![[r#"
            ﻿timestamp;event.sequence;site;observer.ip;host.name;event.module;event.action;event.outcome;event.code;user.name;source.ip;source.port;destination.ip;destination.port;network.transport;rule.name;process.name;message;_raw
            2026-08-01T00:00:00.000Z;1;unbekannt;192.0.2.1;;;;;;"'=HYPERLINK(""http://x"")
            zwei";;22;;;;;;"'@SUM(1);2";"'@SUM(1);2"
            2026-08-01T00:00:00.000Z;2;unbekannt;192.0.2.1;;;;;;"anna
            zwei";;22;;;;;;a�b;a�b
            ;;Nicht lesbar und hier nicht enthalten: standard/2026-08-01
        "#]].assert_eq(&String::from_utf8(written(Format::Csv, &events, &done)).unwrap().replace('\r', ""));
        expect![[r#"
            {"@timestamp":"2026-08-01T00:00:00.000Z","event.ingested":"2026-08-01T00:00:00.000Z","event.sequence":1,"site":"unbekannt","observer.ip":"192.0.2.1","message":"@SUM(1);2","user.name":["=HYPERLINK(\"http://x\")","zwei"],"source.port":22,"vendor.policy":"x","_defects":["no_year"],"_raw":"@SUM(1);2"}
            {"@timestamp":"2026-08-01T00:00:00.000Z","event.ingested":"2026-08-01T00:00:00.000Z","event.sequence":2,"site":"unbekannt","observer.ip":"192.0.2.1","message":"a\u0000b","user.name":["anna","zwei"],"source.port":22,"vendor.policy":"x","_defects":["no_year"],"_raw":"a\u0000b"}
            {"_missing":"standard/2026-08-01"}
        "#]].assert_eq(&String::from_utf8(written(Format::Ndjson, &events, &done)).unwrap());
    }

    #[test]
    fn parquet_is_read_back_row_by_row() {
        let events: Vec<Event> = (1..=1_300).map(|seq| event(seq, &format!("u{seq}"), "eine Zeile")).collect();
        let file = axum::body::Bytes::from(written(Format::Parquet, &events, &Exported::default()));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let (mut seqs, mut users) = (vec![], vec![]);
        for batch in reader {
            let batch = batch.unwrap();
            seqs.extend(batch["event.sequence"].as_primitive::<arrow_array::types::UInt64Type>().values().iter().copied());
            users.extend(batch["user.name"].as_string::<i32>().iter().map(|text| text.unwrap().to_owned()));
        }
        assert_eq!(seqs, (1..=1_300).collect::<Vec<u64>>());
        assert_eq!(users[1_299], "u1300\nzwei");
    }
}
