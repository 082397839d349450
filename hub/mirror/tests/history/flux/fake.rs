//! A server that takes exactly the questions that are ours.

use crate::kit::{METRICS, device_id};
use mirror::MirrorConfig;
use mirror::history::ServerSetup;
use mirror::shape::parts_of;
use model::{Reading, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use tokio_util::task::TaskTracker;

/// What it does with a question.
#[derive(Copy, Clone, Debug)]
pub(super) enum Mode {
    Answer,
    Status(u16),
    /// Answers 200 with this.
    Text(&'static str),
}

#[derive(Debug)]
struct Shared {
    readings: Vec<Reading>,
    mode: Mutex<Mode>,
    refused: Mutex<Vec<String>>,
}

pub(super) struct Fake {
    url: String,
    shared: Arc<Shared>,
}

/// One series of a field: time and number in order.
type Series = BTreeMap<i64, f64>;

impl Fake {
    pub(super) fn start(readings: Vec<Reading>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            readings,
            mode: Mutex::new(Mode::Answer),
            refused: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(stream.unwrap()));
            }
        });
        Self { url, shared }
    }

    pub(super) fn setup(&self) -> ServerSetup {
        let config = MirrorConfig::new(&self.url, "city", "telemetry", "secret-token");
        ServerSetup::influxdb("long_term", &config, &TaskTracker::new()).unwrap()
    }

    pub(super) fn answer(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    pub(super) fn refused(&self) -> Vec<String> {
        self.shared.refused.lock().unwrap().clone()
    }
}

impl Shared {
    /// Serves a connection to its end.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if line == "\r\n" {
                    break;
                }
                head.push(line.trim_end().to_owned());
            }
            let field = |name: &str| {
                let lower = head.iter().map(|line| line.to_lowercase());
                let mut values =
                    lower.filter_map(|line| line.strip_prefix(name).map(str::to_owned));
                values.next()
            };
            let length = field("content-length: ").map_or(0, |length| length.parse().unwrap());
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let is_ours = head[0] == "POST /api/v2/query?org=city HTTP/1.1"
                && field("authorization: ").as_deref() == Some("token secret-token")
                && field("content-type: ").as_deref() == Some("application/json");
            let (status, text) = if is_ours {
                self.reply(&body)
            } else {
                self.refuse(head.join("\n"))
            };
            let answer = format!(
                "HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            );
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn refuse(&self, what: String) -> (u16, String) {
        self.refused.lock().unwrap().push(what);
        let error = r#"{"code":"invalid","message":"compilation failed"}"#;
        (400, error.to_owned())
    }

    fn reply(&self, body: &[u8]) -> (u16, String) {
        match *self.mode.lock().unwrap() {
            Mode::Answer => {}
            Mode::Status(401) => {
                let error = r#"{"code":"unauthorized","message":"unauthorized access"}"#;
                return (401, error.to_owned());
            }
            Mode::Status(status) => return (status, String::new()),
            Mode::Text(text) => return (200, text.to_owned()),
        }
        let question: serde_json::Value = serde_json::from_slice(body).unwrap();
        let flux = question["query"].as_str().unwrap();
        match self.evaluate(flux) {
            Some(answer) => (200, answer),
            None => self.refuse(flux.to_owned()),
        }
    }

    /// Does what a question says; nothing if it is not one of ours to the letter.
    fn evaluate(&self, flux: &str) -> Option<String> {
        let mut lines = flux.split("\n  |> ");
        if lines.next()? != "from(bucket: \"telemetry\")" {
            return None;
        }
        let range = lines
            .next()?
            .strip_prefix("range(start: ")?
            .strip_suffix(')')?;
        let (start, stop) = range.split_once(", stop: ")?;
        let span = Timestamp::parse(start).ok()?.millis()..Timestamp::parse(stop).ok()?.millis();
        let device = lines
            .next()?
            .strip_prefix(
                "filter(fn: (r) => r[\"_measurement\"] == \"cityhub\" and r[\"device\"] == \"",
            )?
            .strip_suffix("\")")?
            .replace("\\\"", "\"");
        let fields = lines
            .next()?
            .strip_prefix("filter(fn: (r) => ")?
            .strip_suffix(')')?;
        let field = |test: &str| {
            let name = test
                .strip_prefix("r[\"_field\"] == \"")?
                .strip_suffix('"')?;
            Some(name.to_owned())
        };
        let fields: Option<Vec<String>> = fields.split(" or ").map(field).collect();
        let series = fields?.into_iter().map(|field| {
            let numbers = self.series(&device, &field);
            let within = numbers.range(span.clone());
            (field, within.map(|(at, number)| (*at, *number)).collect())
        });
        let mut series: Vec<(String, Series)> = series.collect();
        const DROP: &str = "drop(columns: [\"_start\", \"_stop\", \"_measurement\"])";
        let last = match (lines.next()?, lines.next()?) {
            (DROP, limit) => {
                let limit: usize = limit
                    .strip_prefix("limit(n: ")?
                    .strip_suffix(')')?
                    .parse()
                    .ok()?;
                for (_, numbers) in &mut series {
                    *numbers = std::mem::take(numbers).into_iter().take(limit).collect();
                }
                lines.next()
            }
            (window, DROP) => {
                let window = window.strip_prefix("aggregateWindow(every: ")?;
                let (step, rest) = window.split_once("ms, fn: ")?;
                let function = rest.strip_suffix(", createEmpty: false, timeSrc: \"_start\")")?;
                for (_, numbers) in &mut series {
                    *numbers = windows(numbers, step.parse().ok()?, function)?;
                }
                lines.next()
            }
            _ => return None,
        };
        last.is_none().then(|| csv(&device, &series))
    }

    fn series(&self, device: &str, field: &str) -> Series {
        let of_device = |reading: &&Reading| device_id(reading.series.device.0).as_str() == device;
        let mut series = Series::new();
        for reading in self.readings.iter().filter(of_device) {
            let (metric, _) = METRICS[usize::from(reading.series.metric.0)];
            let mut parts = parts_of(reading);
            if let Some((_, number)) = parts.find(|(part, _)| part.field(metric) == field) {
                series.insert(reading.observed_at.millis(), number);
            }
        }
        series
    }
}

#[expect(clippy::cast_precision_loss, reason = "few values")]
fn windows(series: &Series, step_ms: i64, function: &str) -> Option<Series> {
    let mut windows = BTreeMap::<i64, Vec<f64>>::new();
    for (at, number) in series {
        let start = at.div_euclid(step_ms) * step_ms;
        windows.entry(start).or_default().push(*number);
    }
    let made = windows.into_iter().map(|(start, numbers)| {
        let number = match function {
            "mean" => numbers.iter().sum::<f64>() / numbers.len() as f64,
            "min" => numbers.iter().copied().reduce(f64::min)?,
            "max" => numbers.iter().copied().reduce(f64::max)?,
            "last" => numbers.last().copied()?,
            _ => return None,
        };
        Some((start, number))
    });
    made.collect()
}

/// Writes one table for each field that has rows, as `InfluxDB` does.
fn csv(device: &str, series: &[(String, Series)]) -> String {
    let device = format!("\"{}\"", device.replace('"', "\"\""));
    let with_rows = series.iter().filter(|(_, numbers)| !numbers.is_empty());
    let mut text = String::new();
    for (table, (field, numbers)) in with_rows.enumerate() {
        if table == 0 {
            text.push_str("#datatype,string,long,dateTime:RFC3339,double,string,string\r\n");
            text.push_str("#group,false,false,false,false,true,true\r\n");
            text.push_str("#default,_result,,,,,\r\n,result,table,_time,_value,_field,device\r\n");
        }
        for (at_ms, number) in numbers {
            let at = Timestamp::from_millis(*at_ms);
            write!(text, ",,{table},{at},{number},{field},{device}\r\n").unwrap();
        }
    }
    text + "\r\n"
}
