//! `cityhub`: the commands of the hub.

mod admin;
mod examine;
mod export;
mod keep;

use admin::AdminCommand;
use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use hub::config::{ConfigError, Loaded, LogConfig};
use hub::gauge::{Gauge, coverage_line, summary};
use hub::judge::{self, Archive, Backtest};
use hub::log::Log;
use hub::probe::{self, Finding, Scheme};
use hub::stages::{self, End};
use hub::trial::{self, Trial};
use hub::{inventory, rulebook, schema};
use model::Timestamp;
use sdk::{Devices, Profiles, SecretSalt};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use store::{AuditVerdict, StoreError};
use tokio::signal::unix::{SignalKind, signal};

/// Bad usage or bad configuration.
const EXIT_CONFIG: u8 = 2;
/// The journal failed (EX_IOERR of sysexits.h).
const EXIT_JOURNAL: u8 = 74;

/// An IoT sensing hub for a city's infrastructure.
#[derive(Debug, Parser)]
#[command(name = "cityhub", version)]
struct Cli {
    /// Configuration file; `hub.toml` if it exists, else built-in defaults.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of everything that the hub keeps; wins over the configuration.
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the hub until SIGTERM or SIGINT.
    Run,
    /// Validates configuration, devices and rules, without opening a port or the data directory.
    Check,
    /// Prints the JSON Schema of the configuration.
    Schema,
    /// Prints the list of the figures of `GET /metrics` as Markdown.
    #[command(hide = true)]
    Metrics(MetricsArgs),
    /// Asks a running hub whether it takes telemetry; exit 1 if it does not.
    Health(HealthArgs),
    /// Finds what is wrong with an installation and says what to do; changes nothing.
    Doctor(examine::DoctorArgs),
    /// Acts as a fleet of sensors against a running hub.
    Simulate(Box<sim::Args>),
    /// Runs a rule set over stored history and prints the alarms as JSON lines.
    Backtest(BacktestArgs),
    /// Replays history and demands the same alarms; checks every checksum, sequence and count.
    Verify(VerifyArgs),
    /// Writes readings or events of a time range as CSV or Parquet, beside a running hub or alone.
    Export(export::ExportArgs),
    /// Copies the data of a hub, running or not, into a new folder.
    Backup(keep::BackupArgs),
    /// Makes an empty data directory of a backup, after every file of it was checked.
    Restore(keep::RestoreArgs),
    /// Manages who may sign in.
    Admin {
        #[command(subcommand)]
        command: AdminCommand,
    },
}

#[derive(Debug, Args)]
struct MetricsArgs {
    /// The language of the page.
    #[arg(long, default_value = "en", value_parser = ["en", "zh"])]
    language: String,
}

#[derive(Debug, Args)]
struct HealthArgs {
    /// Where it listens, such as 127.0.0.1:8080 or https://127.0.0.1:8443; otherwise as the configuration
    /// says. Whatever certificate it shows will do.
    #[arg(long, value_name = "HOST:PORT")]
    at: Option<String>,
    /// Ask only whether it answers at all.
    #[arg(long)]
    alive: bool,
}

#[derive(Debug, Args)]
struct BacktestArgs {
    /// Begin of the period: RFC 3339 or milliseconds.
    #[arg(long, value_parser = Timestamp::parse, required_unless_present = "input")]
    from: Option<Timestamp>,
    /// End of the period: RFC 3339 or milliseconds.
    #[arg(long, value_parser = Timestamp::parse, required_unless_present = "input")]
    to: Option<Timestamp>,
    /// A folder of rule files, or one file; without it the rules in force.
    #[arg(long, value_name = "PATH")]
    rules: Option<PathBuf>,
    /// Compare with the rules in force; the last line is the summary. A folder is compared with
    /// all of them, a file with those of the same ids.
    #[arg(long, conflicts_with = "input")]
    diff: bool,
    /// Show how far it is, on stderr, even where that is no terminal.
    #[arg(long)]
    progress: bool,
    /// A stream of JSON lines instead of stored history, as `simulate --print` writes one.
    #[arg(long, value_name = "FILE", requires = "devices", conflicts_with_all = ["from", "to"])]
    input: Option<PathBuf>,
    /// The device file of the stream: CSV or JSON.
    #[arg(long, value_name = "FILE", requires = "input")]
    devices: Option<PathBuf>,
    /// Built-in rule packs beside the rules given, such as `gas,fire`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "input")]
    packs: Vec<String>,
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// Walk the audit chain alone, and look at nothing else.
    #[arg(long)]
    audit: bool,
    /// The hash of an audit record that was noted elsewhere: it must still be in the chain.
    #[arg(long, value_name = "HASH", requires = "audit", value_parser = parse_hash)]
    head: Option<[u8; 32]>,
}

impl MetricsArgs {
    fn language(&self) -> web::Language {
        match self.language.as_str() {
            "zh" => web::Language::Zh,
            _ => web::Language::En,
        }
    }
}

fn main() -> ExitCode {
    match carry_out(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain(&format!("cityhub: {error:#}"));
            ExitCode::from(code_of(&error))
        }
    }
}

fn carry_out(cli: Cli) -> Result<ExitCode> {
    let load = || hub::config::load(cli.config.as_deref(), cli.data_dir.as_deref());
    match cli.command {
        Command::Run => run(load()?),
        Command::Check => check(&load()?),
        Command::Health(HealthArgs {
            at: Some(at),
            alive,
        }) => {
            let (by, at) = Scheme::split(&at);
            ask_health(at, by, alive)
        }
        Command::Health(args) => {
            let http = load()?.config.http;
            let by = http.tls.map_or(Scheme::Http, |_| Scheme::Https);
            ask_health(&probe::authority_of(http.listen), by, args.alive)
        }
        Command::Doctor(args) => examine::carry_out(cli.config, cli.data_dir, &args),
        Command::Schema => say(&serde_json::to_string_pretty(&schema::schema())?),
        Command::Metrics(args) => say(web::list_of_figures(args.language()).trim_end()),
        Command::Simulate(args) => simulate(*args),
        Command::Backtest(args) => backtest(&load()?, &args),
        Command::Verify(args) if args.audit => verify_audit(&load()?, args.head),
        Command::Verify(_) => verify(&load()?),
        Command::Export(args) => export::carry_out(&open_archive(&load()?)?, &args),
        Command::Backup(args) => keep::backup(&load()?, &args),
        Command::Restore(args) => keep::restore(&load()?, &args),
        Command::Admin { command } => admin::carry_out(&load()?.config, command),
    }
}

/// Bad usage is 2, a journal that cannot be used is 74, anything else 1.
fn code_of(error: &anyhow::Error) -> u8 {
    let config = error.chain().any(|cause| {
        cause.is::<ConfigError>()
            || cause.is::<rules::RuleError>()
            || cause.is::<model::CatalogueError>()
            || cause.is::<trial::InputError>()
    });
    let usage = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(sim::SimError::Usage(_)))
    };
    if config || error.chain().any(usage) {
        return EXIT_CONFIG;
    }
    match error
        .chain()
        .find_map(|cause| cause.downcast_ref::<StoreError>())
    {
        Some(StoreError::Locked(_) | StoreError::NewerFormat { .. } | StoreError::Refused(_)) => {
            EXIT_CONFIG
        }
        Some(_) => EXIT_JOURNAL,
        None => 1,
    }
}

fn say(text: &str) -> Result<ExitCode> {
    match writeln!(std::io::stdout(), "{text}") {
        // Whoever reads has enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        written => {
            written.context("write to stdout")?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn complain(text: &str) {
    // If stderr is closed there is nobody to tell.
    drop(writeln!(std::io::stderr(), "{text}"));
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .thread_name("cityhub")
        .build()
        .context("start the runtime")
}

fn run(loaded: Loaded) -> Result<ExitCode> {
    let log = Log::start(&loaded.config.log)?;
    let runtime = runtime()?;
    let end = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let asked = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        stages::run(loaded, log, asked).await
    })?;
    match end {
        End::Stopped => Ok(ExitCode::SUCCESS),
        End::JournalFailed(error) => {
            tracing::error!(%error, "the journal failed; exiting so that a restart can recover");
            // Not the runtime's own shutdown: nothing may be acknowledged any more.
            runtime.shutdown_background();
            Ok(ExitCode::from(EXIT_JOURNAL))
        }
    }
}

fn check(loaded: &Loaded) -> Result<ExitCode> {
    let standing = stages::read_standing(loaded)?;
    let unknown = standing.rules.unknown_categories(&standing.codes);
    if let Some((last, others)) = unknown.split_last() {
        for error in others {
            complain(&error.to_string());
        }
        return Err(last.clone().into());
    }
    let mut count = 0;
    if let Some(path) = &loaded.config.devices {
        let register = Devices::new(SecretSalt([0; 16]));
        register.know(&Profiles::new(loaded.config.profiles.clone()));
        let files = inventory::files(path)
            .map_err(|error| loaded.error("devices", format!("{error:#}")))?;
        for file in files {
            let rows = inventory::read(&file, &standing.catalogue, &register)
                .map_err(|error| loaded.error("devices", format!("{error:#}")))?;
            for row in rows {
                count += 1;
                register.put([sdk::DeviceEntry {
                    key: model::DeviceKey(count),
                    device: row.device,
                    secret: None,
                    grid: None,
                }]);
            }
        }
    }
    let rules = standing.rules.rules.len();
    let drivers = loaded.config.drivers.len();
    say(&format!(
        "fine: {drivers} drivers, {count} devices, {rules} rules{}",
        standing.rules.summary()
    ))
}

fn ask_health(at: &str, by: Scheme, only_alive: bool) -> Result<ExitCode> {
    match probe::ask(at, by, only_alive) {
        Finding::Well if only_alive => say("alive"),
        Finding::Well => say("ready"),
        Finding::Empty => say("alive; nobody can sign in yet"),
        Finding::Unwell(reason) => {
            complain(&format!("cityhub: {reason}"));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn simulate(args: sim::Args) -> Result<ExitCode> {
    Log::start(&LogConfig::default())?;
    runtime()?.block_on(sim::run(args)).context("simulate")?;
    Ok(ExitCode::SUCCESS)
}

fn open_archive(loaded: &Loaded) -> Result<Archive> {
    let data_dir = &loaded.config.data_dir;
    if !data_dir.is_dir() {
        return Err(loaded
            .error(
                "data_dir",
                format!("there is no data directory {}", data_dir.display()),
            )
            .into());
    }
    let standing = stages::read_standing(loaded)?;
    Archive::open(
        &loaded.config.data_dir,
        &standing.catalogue,
        loaded.config.rule_settings(),
    )
}

fn backtest(loaded: &Loaded, args: &BacktestArgs) -> Result<ExitCode> {
    if let (Some(input), Some(devices)) = (&args.input, &args.devices) {
        return rehearse(loaded, args, input, devices);
    }
    let (Some(from), Some(to)) = (args.from, args.to) else {
        complain("cityhub: give --from and --to, or --input and --devices");
        return Ok(ExitCode::from(EXIT_CONFIG));
    };
    if from > to {
        complain("cityhub: --from must not be after --to");
        return Ok(ExitCode::from(EXIT_CONFIG));
    }
    let archive = open_archive(loaded)?;
    let rules = match &args.rules {
        Some(path) if path.is_dir() => rulebook::read(path, &archive.catalogue)?,
        Some(file) => rulebook::read_file(file, &archive.catalogue)?,
        None => archive.rules_in_force()?,
    };
    let trial = Backtest {
        rules,
        span: (from, to),
        compared: args.diff,
        whole: args.rules.as_ref().is_some_and(|path| path.is_dir()),
    };
    let mut gauge = Gauge::new(args.progress);
    let started = tokio::time::Instant::now();
    let outcome = archive.backtest(trial, &mut |progress| gauge.show(progress))?;
    let seconds = started.elapsed().as_secs_f64();
    gauge.end();
    complain(&coverage_line(&outcome.coverage));
    for alarm in &outcome.alarms {
        say(&serde_json::to_string(alarm)?)?;
    }
    if let Some(diff) = &outcome.diff {
        say(&summary(&outcome, diff))?;
    }
    complain(&format!(
        "{} alarms from {} readings in {seconds:.2} s",
        outcome.alarms.len(),
        outcome.coverage.readings
    ));
    Ok(ExitCode::SUCCESS)
}

/// Runs rules over a stream of a file; nothing of the data directory is opened.
fn rehearse(
    loaded: &Loaded,
    args: &BacktestArgs,
    input: &Path,
    devices: &Path,
) -> Result<ExitCode> {
    let standing = stages::read_standing(loaded)?;
    let rules = match &args.rules {
        None if args.packs.is_empty() => standing.rules.rules,
        path => trial::read_rules(&args.packs, path.as_deref(), &standing.catalogue)?,
    };
    let trial = Trial {
        settings: loaded.config.rule_settings(),
        catalogue: Arc::new(standing.catalogue),
        grids: standing.grids,
        devices: devices.to_owned(),
        profiles: Profiles::new(loaded.config.profiles.clone()),
        rules,
    };
    let started = tokio::time::Instant::now();
    let verdict = trial.run(input)?;
    for row in &verdict.rows {
        say(&row.to_string())?;
    }
    let seconds = started.elapsed().as_secs_f64();
    complain(&format!(
        "{} alarms in {} floods from {} readings in {seconds:.2} s",
        verdict.rows.len(),
        verdict.floods,
        verdict.readings
    ));
    Ok(ExitCode::SUCCESS)
}

fn verify(loaded: &Loaded) -> Result<ExitCode> {
    let verdict = match open_archive(loaded).and_then(|archive| judge::verify(&archive)) {
        Ok(verdict) => verdict,
        // Damage so deep that nothing can be replayed is a finding like any other.
        Err(error) if is_damage(&error) => {
            complain(&format!("{error:#}\n1 problem"));
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error),
    };
    let report = &verdict.report;
    for problem in &verdict.problems {
        complain(problem);
    }
    let ledger = serde_json::to_string(&report.ledger)?;
    say(&format!(
        "{} log rows, {} segments, {} readings, {} events, {} audit links, {} alarms; ledger {ledger}",
        report.log_rows,
        report.segments,
        report.readings,
        report.events,
        report.audit_links,
        verdict.alarms
    ))?;
    if let Some((alarms, from)) = verdict.unjudged {
        say(&format!(
            "readings before {from} are past retention in part or whole; {alarms} alarms rest on them and are not judged"
        ))?;
    }
    if verdict.problems.is_empty() {
        return say("verified: checksums, sequence, ledger and alarm history agree");
    }
    complain(&format!("{} problems", verdict.problems.len()));
    Ok(ExitCode::FAILURE)
}

fn parse_hash(text: &str) -> Result<[u8; 32], String> {
    let mut hash = [0; 32];
    let digits: Vec<u32> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    if digits.len() != 64 || text.chars().count() != 64 {
        return Err("a hash has 64 digits of base 16".to_owned());
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        let value = pair.iter().fold(0, |sum, digit| sum * 16 + digit);
        *byte = u8::try_from(value).map_err(|error| error.to_string())?;
    }
    Ok(hash)
}

fn verify_audit(loaded: &Loaded, noted: Option<[u8; 32]>) -> Result<ExitCode> {
    let data_dir = &loaded.config.data_dir;
    let broken = match store::verify_audit(data_dir, noted.as_ref()) {
        Ok(AuditVerdict::Whole { links, head, noted }) => {
            let head: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
            if let Some(number) = noted {
                say(&format!(
                    "the hash that was noted is that of record {number}"
                ))?;
            }
            return say(&format!("verified: {links} audit records, head {head}"));
        }
        Ok(AuditVerdict::Broken(broken)) => broken.to_string(),
        // A table that cannot be walked to its end is a finding like any other.
        Err(error @ (StoreError::Sqlite { .. } | StoreError::Damaged(_))) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    complain(&broken);
    Ok(ExitCode::FAILURE)
}

fn is_damage(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Damaged(_))))
}
