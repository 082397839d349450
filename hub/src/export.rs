//! `cityhub export`: readings or events of a time range as CSV or Parquet, for other programs.

use crate::{EXIT_CONFIG, complain};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use hub::judge::Archive;
use model::{Device, DeviceKey, Event, MetricKey, Quality, Reading, Timestamp, Value};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::{ColumnKind, EventFilter, Field, Sheet, StoreError};

/// Events that are read at once.
const EVENTS_AT_ONCE: usize = 1_000;

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    what: What,
    /// Begin of the range of device time, included: RFC 3339 or milliseconds.
    #[arg(long, value_parser = Timestamp::parse)]
    from: Option<Timestamp>,
    /// End of the range, not included.
    #[arg(long, value_parser = Timestamp::parse)]
    to: Option<Timestamp>,
    #[arg(long, default_value = "csv")]
    format: Format,
    /// A new file, or `-` for stdout.
    #[arg(long, default_value = "-", value_name = "FILE")]
    out: PathBuf,
    /// Only of this device; may be given more than once, as may be the others.
    #[arg(long = "device", value_name = "ID")]
    devices: Vec<String>,
    /// Only of devices of this kind.
    #[arg(long = "kind", value_name = "KIND")]
    kinds: Vec<String>,
    /// Only this metric.
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,
}

#[derive(Copy, Clone, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// What was measured: one row a value.
    Readings,
    /// The numbered facts: one row an event, with its CloudEvents JSON.
    Events,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum Format {
    /// RFC 4180, UTF-8, times in RFC 3339 (UTC).
    Csv,
    /// With typed columns; times are UTC in milliseconds.
    Parquet,
}

const READINGS: [(&str, ColumnKind); 12] = [
    ("time", ColumnKind::Time),
    ("device", ColumnKind::Text),
    ("kind", ColumnKind::Text),
    ("metric", ColumnKind::Text),
    ("value", ColumnKind::Number),
    ("unit", ColumnKind::Text),
    ("quality", ColumnKind::Text),
    ("received", ColumnKind::Time),
    ("lon", ColumnKind::Number),
    ("lat", ColumnKind::Number),
    ("accuracy_m", ColumnKind::Number),
    ("locked", ColumnKind::Flag),
];

const EVENTS: [(&str, ColumnKind); 7] = [
    ("sequence", ColumnKind::Whole),
    ("time", ColumnKind::Time),
    ("type", ColumnKind::Text),
    ("subject", ColumnKind::Text),
    ("severity", ColumnKind::Text),
    ("grid", ColumnKind::Text),
    ("event", ColumnKind::Text),
];

type Sink = Box<dyn Write + Send>;

/// Where rows go.
enum Table {
    Csv(Box<csv::Writer<Sink>>),
    Parquet(Box<Sheet<Sink>>),
}

impl Table {
    fn create(format: Format, to: Sink, columns: &[(&str, ColumnKind)]) -> Result<Self> {
        Ok(match format {
            Format::Parquet => Self::Parquet(Box::new(Sheet::create(to, columns)?)),
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new()
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(to);
                writer.write_record(columns.iter().map(|(name, _)| name))?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    fn push(&mut self, row: &[Field<'_>]) -> Result<()> {
        match self {
            Self::Parquet(sheet) => Ok(sheet.push(row)?),
            Self::Csv(writer) => {
                for field in row {
                    writer.write_field(shown(field).as_bytes())?;
                }
                Ok(writer.write_record(None::<&[u8]>)?)
            }
        }
    }

    /// Ends the table; whatever was written is on its way to the system.
    fn finish(self) -> Result<()> {
        let mut to = match self {
            Self::Parquet(sheet) => sheet.finish()?,
            Self::Csv(writer) => match writer.into_inner() {
                Ok(to) => to,
                Err(error) => bail!("{}", error.error()),
            },
        };
        Ok(to.flush()?)
    }
}

fn shown<'a>(field: &Field<'a>) -> Cow<'a, str> {
    match field {
        Field::Time(at) => at.to_string().into(),
        Field::Whole(whole) => whole.to_string().into(),
        Field::Number(number) => number.to_string().into(),
        Field::Flag(flag) => flag.to_string().into(),
        Field::Text(text) => (*text).into(),
        Field::Nothing => "".into(),
    }
}

pub(crate) fn carry_out(archive: &Archive, args: &ExportArgs) -> Result<ExitCode> {
    let range = (
        args.from.unwrap_or(Timestamp::MIN),
        args.to.unwrap_or(Timestamp::MAX),
    );
    let devices = archive.reader.every_device()?;
    if let Some(reason) = refusal(archive, args, range, &devices) {
        complain(&format!("cityhub: {reason}"));
        return Ok(ExitCode::from(EXIT_CONFIG));
    }
    let columns: &[_] = match args.what {
        What::Readings => &READINGS,
        What::Events => &EVENTS,
    };
    let write = |to: Sink| -> Result<u64> {
        let mut table = Table::create(args.format, to, columns)?;
        let rows = match args.what {
            What::Readings => write_readings(archive, args, range, &devices, &mut table)?,
            What::Events => write_events(archive, args, range, &mut table)?,
        };
        table.finish()?;
        Ok(rows)
    };
    let rows = match args.out.to_str() {
        Some("-") => match write(Box::new(BufWriter::new(std::io::stdout()))) {
            // Whoever reads has enough.
            Err(error) if is_broken_pipe(&error) => return Ok(ExitCode::SUCCESS),
            rows => rows?,
        },
        _ => into_file(&args.out, write)?,
    };
    complain(&format!("{rows} rows"));
    Ok(ExitCode::SUCCESS)
}

/// Writes beside the file and gives it its name when it is whole.
fn into_file(path: &Path, write: impl FnOnce(Sink) -> Result<u64>) -> Result<u64> {
    let name = path.file_name().context("--out names no file")?;
    let partial = path.with_file_name(format!("{}.partial", name.to_string_lossy()));
    let file = File::create(&partial).with_context(|| format!("make {}", partial.display()))?;
    let written = write(Box::new(BufWriter::new(file.try_clone()?)))
        .and_then(|rows| file.sync_all().map(|()| rows).map_err(Into::into))
        .and_then(|rows| {
            std::fs::rename(&partial, path)
                .map(|()| rows)
                .map_err(Into::into)
        });
    if written.is_err() {
        // What is half is of no use to anybody.
        drop(std::fs::remove_file(&partial));
    }
    written.with_context(|| format!("write {}", path.display()))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(StoreError::Io { source, .. }) = cause.downcast_ref() {
            return Some(source.kind());
        }
        if let Some(error) = cause.downcast_ref::<csv::Error>()
            && let csv::ErrorKind::Io(error) = error.kind()
        {
            return Some(error.kind());
        }
        cause.downcast_ref().map(std::io::Error::kind)
    };
    let mut kinds = error.chain().filter_map(kind);
    kinds.any(|kind| kind == std::io::ErrorKind::BrokenPipe)
}

/// Names what nobody can have meant.
fn refusal(
    archive: &Archive,
    args: &ExportArgs,
    (from, to): (Timestamp, Timestamp),
    devices: &BTreeMap<DeviceKey, Device>,
) -> Option<String> {
    if from > to {
        return Some("--from must not be after --to".to_owned());
    }
    let of_id = |id: &&String| !devices.values().any(|device| device.id.as_str() == **id);
    if let Some(id) = args.devices.iter().find(of_id) {
        return Some(format!("there was never a device `{id}`"));
    }
    let of_kind = |kind: &&String| {
        !archive.catalogue.has_kind(kind) && !devices.values().any(|device| device.kind == **kind)
    };
    if let Some(kind) = args.kinds.iter().find(of_kind) {
        return Some(format!("there is no kind `{kind}`"));
    }
    let of_name = |name: &&String| !archive.recovered.metrics.contains(name);
    let name = args.metrics.iter().find(of_name)?;
    Some(format!("there was never a metric `{name}`"))
}

/// Tells whether a list of names lets one pass; an empty one lets all pass.
fn lets_pass(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|known| known == name)
}

fn write_readings(
    archive: &Archive,
    args: &ExportArgs,
    range: (Timestamp, Timestamp),
    devices: &BTreeMap<DeviceKey, Device>,
    table: &mut Table,
) -> Result<u64> {
    let devices: HashMap<DeviceKey, &Device> = devices
        .iter()
        .filter(|(_, device)| {
            let is_wanted = |device: &Device| {
                lets_pass(&args.devices, device.id.as_str()) && lets_pass(&args.kinds, &device.kind)
            };
            is_wanted(device) && (!device.id.is_own() || !args.devices.is_empty())
        })
        .map(|(key, device)| (*key, device))
        .collect();
    let metrics: HashMap<MetricKey, (&str, &str)> = archive
        .recovered
        .metrics
        .iter()
        .zip(0u16..)
        .filter(|(name, _)| lets_pass(&args.metrics, name))
        .map(|(name, key)| {
            let def = archive.catalogue.def(MetricKey(key));
            (
                MetricKey(key),
                (name.as_str(), def.map_or("", |def| &def.unit)),
            )
        })
        .collect();
    let qualities: Vec<String> = (0..=u8::MAX)
        .map(|code| Quality::from_code(code).to_string())
        .collect();
    let mut rows = 0;
    let mut failed = Ok(());
    archive.reader.scan(range, &mut |readings| {
        for reading in readings {
            let device = devices.get(&reading.series.device);
            let Some((device, metric)) = device.zip(metrics.get(&reading.series.metric)) else {
                continue;
            };
            let quality = qualities.get(usize::from(reading.quality.code()));
            let quality = quality.map_or("", String::as_str);
            failed = table.push(&row_of(reading, device, *metric, quality));
            if failed.is_err() {
                return Ok(false);
            }
            rows += 1;
        }
        Ok(true)
    })?;
    failed.map(|()| rows)
}

fn row_of<'a>(
    reading: &Reading,
    device: &'a Device,
    (metric, unit): (&'a str, &'a str),
    quality: &'a str,
) -> [Field<'a>; 12] {
    let number = |number: Option<f64>| number.map_or(Field::Nothing, Field::Number);
    let (value, place) = match reading.value {
        Value::Number(value) => (Some(value), None),
        Value::Position(place) => (None, Some(place)),
    };
    [
        Field::Time(reading.observed_at),
        Field::Text(device.id.as_str()),
        Field::Text(&device.kind),
        Field::Text(metric),
        number(value),
        match unit {
            "" => Field::Nothing,
            unit => Field::Text(unit),
        },
        Field::Text(quality),
        Field::Time(reading.received_at),
        number(place.map(|place| place.lon)),
        number(place.map(|place| place.lat)),
        number(place.and_then(|place| place.accuracy_m)),
        place
            .and_then(|place| place.locked)
            .map_or(Field::Nothing, Field::Flag),
    ]
}

/// What the filters look at in an event.
#[derive(Deserialize)]
struct Told<'a> {
    time: Timestamp,
    #[serde(borrow, default)]
    data: About<'a>,
}

#[derive(Deserialize, Default)]
struct About<'a> {
    #[serde(borrow, default)]
    device: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    metric: Option<Cow<'a, str>>,
}

fn write_events(
    archive: &Archive,
    args: &ExportArgs,
    (from, to): (Timestamp, Timestamp),
    table: &mut Table,
) -> Result<u64> {
    let Some((oldest, _)) = archive.reader.event_range()? else {
        return Ok(0);
    };
    let (mut after, mut rows) = (oldest - 1, 0);
    loop {
        let filter = EventFilter::default();
        let page = archive.reader.events(after, EVENTS_AT_ONCE, &filter)?;
        let Some(last) = page.last() else {
            return Ok(rows);
        };
        after = last.seq;
        for event in &page {
            let told: Told<'_> = serde_json::from_str(&event.json)
                .with_context(|| format!("event {}", event.seq))?;
            if told.time < from || told.time >= to || !concerns(event, &told.data, args) {
                continue;
            }
            let text = |text: Option<&'static str>| text.map_or(Field::Nothing, Field::Text);
            table.push(&[
                Field::Whole(i64::try_from(event.seq).unwrap_or(i64::MAX)),
                Field::Time(told.time),
                Field::Text(&event.kind),
                Field::Text(&event.subject),
                text(event.severity.map(model::Severity::name)),
                event.grid.as_deref().map_or(Field::Nothing, Field::Text),
                Field::Text(&event.json),
            ])?;
            rows += 1;
        }
    }
}

/// Tells whether an event is about what was asked for.
fn concerns(event: &Event, about: &About<'_>, args: &ExportArgs) -> bool {
    let fits = |names: &[String], name: Option<&str>| match name {
        Some(name) => lets_pass(names, name),
        None => names.is_empty(),
    };
    fits(
        &args.devices,
        about.device.as_deref().or(Some(&event.subject)),
    ) && fits(&args.kinds, about.kind.as_deref())
        && fits(&args.metrics, about.metric.as_deref())
}
