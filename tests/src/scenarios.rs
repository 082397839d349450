//! The labelled scenarios: what each must ring, and how what rang is compared with that.

use crate::hub::{program, root};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a scenario must ring; everything else is a false alarm.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    /// How many alarms are announced to people, in all.
    pub announced: usize,
    #[serde(default)]
    pub must: Vec<Must>,
}

/// Alarms that must be there. Times are counted from the start of the scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Must {
    rule: String,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    devices: Option<Vec<String>>,
    #[serde(default = "one")]
    count: usize,
    /// The worst that it came to.
    #[serde(default)]
    severity: Option<String>,
    raised: [String; 2],
    #[serde(default)]
    cleared: Option<Cleared>,
    announced: bool,
    /// When people are told of it.
    #[serde(default)]
    told: Option<[String; 2]>,
    /// The rule or the device of the alarm that it is a consequence of.
    #[serde(default)]
    suppressed_by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Cleared {
    Within([String; 2]),
    Word(String),
}

fn one() -> usize {
    1
}

/// What a comparison came to.
#[derive(Debug, Default)]
pub struct Score {
    pub expected: usize,
    pub found: usize,
    pub false_alarms: usize,
    pub announced: usize,
    /// In words, each with what it is about.
    pub faults: Vec<String>,
}

/// Gives the folder of the scenarios.
pub fn folder() -> PathBuf {
    root().join("tests").join("scenarios")
}

/// Lists the scenarios by name.
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of the scenarios");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry of the folder"))
        .filter(|entry| entry.path().join("scenario.toml").exists())
        .map(|entry| entry.file_name().into_string().expect("a plain name"))
        .collect();
    names.sort();
    names
}

/// Reads what a scenario must ring.
pub fn labels(name: &str) -> Labels {
    let text = read(&folder().join(name).join("expect.toml"));
    toml::from_str(&text).unwrap_or_else(|error| panic!("{name}/expect.toml: {error}"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Lists the rule packs that a scenario is judged by.
pub fn packs(name: &str) -> Vec<String> {
    let text = read(&folder().join(name).join("scenario.toml"));
    let script: toml::Table = text.parse().expect("a script is TOML");
    let packs = script.get("packs").and_then(toml::Value::as_array);
    let packs = packs.into_iter().flatten();
    packs
        .map(|pack| pack.as_str().expect("a name").to_owned())
        .collect()
}

/// Plays a scenario into a file and gives what the live engine and the alarm book made of it, with
/// the instant at which it began.
pub fn rehearse(name: &str, work: &Path) -> Result<(i64, Vec<Value>), String> {
    let stream = work.join("stream.jsonl");
    let devices = work.join("devices.json");
    let file = |path: &Path| Stdio::from(std::fs::File::create(path).expect("a file of the test"));
    run(Command::new(program())
        .args(["simulate", "--scenario", name, "--print"])
        .stdout(file(&stream)))?;
    run(Command::new(program())
        .args(["simulate", "--scenario", name, "--print-devices", "json"])
        .stdout(file(&devices)))?;
    let mut command = Command::new(program());
    command
        .current_dir(work)
        .args(["backtest", "--input", "stream.jsonl"])
        .args(["--devices", "devices.json", "--rules"])
        .arg(folder().join(name).join("rules.toml"));
    let packs = packs(name);
    if !packs.is_empty() {
        command.arg("--packs").arg(packs.join(","));
    }
    let printed = run(command.stdout(Stdio::piped()))?;
    let rows = printed.lines().map(|line| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"))
    });
    Ok((begin(&stream), rows.collect()))
}

fn begin(stream: &Path) -> i64 {
    use std::io::BufRead;
    let file = std::fs::File::open(stream).expect("the stream");
    let first = std::io::BufReader::new(file).lines().next();
    let line = first.expect("a first line").expect("a text");
    let line: Value = serde_json::from_str(&line).expect("JSON");
    line["received_at"].as_i64().expect("milliseconds")
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

/// Reads `1h30m` as milliseconds.
fn span_ms(text: &str) -> i64 {
    let mut total = 0.0;
    let mut number = String::new();
    for c in text.chars() {
        let unit = match c {
            'h' => 3_600_000.0,
            'm' => 60_000.0,
            's' => 1000.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        let amount: f64 = number
            .parse()
            .unwrap_or_else(|_| panic!("`{text}` is no time"));
        total += amount * unit;
        number.clear();
    }
    assert!(number.is_empty(), "`{text}` is no time");
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast stops at the ends of the range"
    )]
    let thousandths = (total * 1000.0).round() as i64;
    thousandths / 1000
}

/// A row with its times counted from the start of the scenario.
struct Seen<'a> {
    row: &'a Value,
    raised_ms: i64,
    cleared_ms: Option<i64>,
    told_ms: Option<i64>,
    claimed: bool,
}

impl Seen<'_> {
    fn text(&self, field: &str) -> &str {
        self.row[field].as_str().unwrap_or_default()
    }

    fn announced(&self) -> bool {
        self.row["announced"] == true
    }

    fn shown(&self) -> String {
        let minutes = |ms: i64| format!("{:.2} min", ms as f64 / 60_000.0);
        format!(
            "{} of {} on {}, raised at {}, cleared {}, {}, suppressed by {}",
            self.text("worst"),
            self.text("rule"),
            self.text("device"),
            minutes(self.raised_ms),
            self.cleared_ms
                .map_or("never".to_owned(), |ms| format!("at {}", minutes(ms))),
            if self.announced() {
                "announced"
            } else {
                "not announced"
            },
            self.row["suppressed_by"],
        )
    }
}

/// Compares the alarm rows of a scenario with its labels.
pub fn compare(labels: &Labels, start_ms: i64, rows: &[Value]) -> Score {
    let at = |value: &Value| {
        let text = value.as_str()?;
        let at = model::Timestamp::parse(text).expect("a time of the hub");
        Some(at.millis() - start_ms)
    };
    let mut seen: Vec<Seen<'_>> = rows
        .iter()
        .map(|row| Seen {
            row,
            raised_ms: at(&row["raised_at"]).expect("an alarm begins"),
            cleared_ms: at(&row["cleared_at"]),
            told_ms: at(&row["announced_at"]),
            claimed: false,
        })
        .collect();
    let mut score = Score {
        announced: seen.iter().filter(|seen| seen.announced()).count(),
        ..Score::default()
    };
    for must in &labels.must {
        let mut matched: Vec<&mut Seen<'_>> = seen
            .iter_mut()
            .filter(|seen| !seen.claimed && must.means(seen))
            .take(must.count)
            .collect();
        score.expected += must.count;
        score.found += matched.len();
        if matched.len() < must.count {
            score.faults.push(format!(
                "missing: {} of {} alarms of {} between {} and {}",
                must.count - matched.len(),
                must.count,
                must.rule,
                must.raised[0],
                must.raised[1]
            ));
        }
        for seen in &mut matched {
            seen.claimed = true;
            for wrong in must.judge(seen, rows) {
                score.faults.push(format!("{wrong}: {}", seen.shown()));
            }
        }
    }
    for seen in seen.iter().filter(|seen| !seen.claimed) {
        score.false_alarms += 1;
        score.faults.push(format!("false alarm: {}", seen.shown()));
    }
    if score.announced != labels.announced {
        score.faults.push(format!(
            "{} alarms were announced, not {}",
            score.announced, labels.announced
        ));
    }
    score
}

fn within(ms: i64, [from, to]: &[String; 2]) -> bool {
    (span_ms(from)..=span_ms(to)).contains(&ms)
}

impl Must {
    /// Tells whether this row is what the label speaks of.
    fn means(&self, seen: &Seen<'_>) -> bool {
        let device = seen.text("device");
        seen.text("rule") == self.rule
            && self.device.as_deref().is_none_or(|own| own == device)
            && self
                .devices
                .as_ref()
                .is_none_or(|devices| devices.iter().any(|own| own == device))
            && within(seen.raised_ms, &self.raised)
    }

    fn judge(&self, seen: &Seen<'_>, rows: &[Value]) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(severity) = &self.severity
            && seen.text("worst") != severity
        {
            wrong.push(format!("is not {severity}"));
        }
        match (&self.cleared, seen.cleared_ms) {
            (Some(Cleared::Within(window)), Some(ms)) if within(ms, window) => {}
            (Some(Cleared::Within([from, to])), _) => {
                wrong.push(format!("is not cleared between {from} and {to}"));
            }
            (Some(Cleared::Word(word)), None) if word == "never" => {}
            (Some(Cleared::Word(word)), _) => wrong.push(format!("is not cleared {word}")),
            (None, _) => {}
        }
        if seen.announced() != self.announced {
            wrong.push("is announced, or not, against its label".to_owned());
        }
        if let Some(told) = &self.told
            && !seen.told_ms.is_some_and(|ms| within(ms, told))
        {
            wrong.push(format!("is not told between {} and {}", told[0], told[1]));
        }
        if let Some(cause) = &self.suppressed_by {
            let by = &seen.row["suppressed_by"];
            let found = rows.iter().any(|row| {
                row["id"] == *by
                    && [&row["rule"], &row["device"]].contains(&&Value::from(cause.as_str()))
            });
            if !found {
                wrong.push(format!("does not name {cause} as its cause"));
            }
        }
        wrong
    }
}
