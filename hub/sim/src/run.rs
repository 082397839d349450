//! Runs a simulation: plan, links, progress and the final account.

use crate::api::Base;
use crate::args::{Args, PrintFormat};
use crate::demo::{self, Officer, Platform};
use crate::error::SimError;
use crate::fleet::{self, Fleet, FleetPlan};
use crate::link::{Router, Shared};
use crate::plan::{DEVICE_RATE_MAX, Message, Plan, PlanSpec};
use crate::print::write_stream;
use crate::register::{put_rules, register};
use crate::scenario::{self, Stage};
use crate::tally::{Counts, Summary, Tally};
use crate::way::{Addresses, Way};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// How long unanswered messages are waited for at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);
/// In a demo, whose hub is stopped by the same Ctrl-C and answers nothing more.
const DEMO_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// A link that is stuck in an exchange after the drain is cut off so much later.
const CUT_OFF: Duration = Duration::from_secs(1);
/// Ordinary messages take the even seconds and late ones the odd ones.
const WHOLE_SECONDS_S: f64 = 2.0;
/// A plan that is behind lets the links run after so many messages.
const TURN_MESSAGES: u32 = 64;

/// Runs until the time is over or a signal comes; prints progress on stderr and the account as
/// one JSON object on stdout.
pub async fn run(args: Args) -> Result<(), SimError> {
    check(&args)?;
    if let Some(name) = &args.scenario {
        return play(&args, name).await;
    }
    let fleet = if args.demo {
        demo::fleet()?
    } else if let Some(file) = &args.fleet {
        listed(file)?
    } else {
        Fleet::new(&FleetPlan {
            devices: args.devices,
            prefix: &args.prefix,
            secret_seed: &args.secret_seed,
            cadence_s: args.cadence_s,
        })
    };
    check_pace(&fleet, args.rate)?;
    if let Some(format) = args.print_devices {
        return print(&listing(&fleet, format)?);
    }
    if args.print {
        let start_ms = args.start_ms.unwrap_or_else(crate::clock::wall_ms);
        let lasts_ms = i64::try_from(args.duration_s * 1000).unwrap_or(i64::MAX);
        let source = Source::Plan(ordinary(&args, &fleet, start_ms));
        return write(source, &fleet, (start_ms, start_ms + lasts_ms));
    }
    if let (Some(api), Some(token)) = (&args.api, &args.token) {
        register(&Base::parse(api)?, token, &fleet).await?;
    }
    if addresses(&args)?.is_empty() && args.platform.is_none() {
        return Ok(());
    }
    let start_ms = args.start_ms.unwrap_or_else(crate::clock::wall_ms);
    let source = Source::Plan(ordinary(&args, &fleet, start_ms));
    perform(&args, fleet, source, args.duration_s).await
}

/// Plans an ordinary city.
fn ordinary(args: &Args, fleet: &Fleet, start_ms: i64) -> Plan {
    let spec = PlanSpec {
        seed: args.seed,
        start_ms,
        demo: args.demo,
        rate: args.rate,
        faults: args.fault.clone(),
    };
    Plan::new(fleet, spec)
}

/// Plays a scenario, or writes it.
async fn play(args: &Args, name: &str) -> Result<(), SimError> {
    if name == "list" {
        return print(&scenario::listing()?);
    }
    let (entry, script) = scenario::find(name)?;
    let wrong = |reason| SimError::Usage(format!("scenario `{name}`: {reason}"));
    let (fleet, parts) = scenario::cast(&script, &args.secret_seed).map_err(wrong)?;
    if let Some(format) = args.print_devices {
        return print(&listing(&fleet, format)?);
    }
    if args.print {
        let start_ms = args.start_ms.unwrap_or(script.start.ms);
        let source = Source::Stage(Stage::new(&script, &parts, start_ms));
        return write(source, &fleet, (start_ms, start_ms + script.duration.0));
    }
    if let (Some(api), Some(token)) = (&args.api, &args.token) {
        let base = Base::parse(api)?;
        register(&base, token, &fleet).await?;
        put_rules(&base, token, &entry.rules(&script.packs)?).await?;
    }
    if addresses(args)?.is_empty() {
        return Ok(());
    }
    let start_ms = args.start_ms.unwrap_or_else(crate::clock::wall_ms);
    let stage = Stage::new(&script, &parts, start_ms);
    let whole_s = script.duration.0.unsigned_abs().div_ceil(1000);
    let duration_s = match args.duration_s {
        0 => whole_s,
        asked => asked.min(whole_s),
    };
    perform(args, fleet, Source::Stage(stage), duration_s).await
}

/// Acts until the time is over or a signal comes, and prints the account.
async fn perform(
    args: &Args,
    fleet: Fleet,
    source: Source<'_>,
    duration_s: u64,
) -> Result<(), SimError> {
    let stop = CancellationToken::new();
    let tracker = TaskTracker::new();
    tracker.spawn(interrupted(stop.clone()));
    if let (Some(url), Some(token)) = (&args.platform, &args.platform_token) {
        let platform = Platform::new(Base::parse(url)?, token.clone());
        tracker.spawn(platform.run(stop.clone()));
    }
    if let (Some(url), Some(token)) = (&args.platform, &args.officer_token) {
        let officer = Officer::new(Base::parse(url)?, token.clone());
        tracker.spawn(officer.run(stop.clone()));
    }
    let summary = simulate(args, fleet, (source, duration_s), &stop).await?;
    // Ends the task that waits for a signal.
    stop.cancel();
    tracker.close();
    tracker.wait().await;
    let text = serde_json::to_string(&summary).map_err(|error| SimError::Output {
        what: "summary".to_owned(),
        source: error.into(),
    })?;
    print(&format!("{text}\n"))
}

fn check(args: &Args) -> Result<(), SimError> {
    if let Some(name) = args.scenario.as_deref().filter(|name| *name != "list") {
        // A wrong name is the first thing to say.
        scenario::find(name)?;
    }
    let usage = |text: &str| Err(SimError::Usage(text.to_owned()));
    let idle = addresses(args)?.is_empty() && args.api.is_none() && args.platform.is_none();
    let shows = args.print || args.scenario.as_deref() == Some("list");
    if args.print_devices.is_none() && !shows && idle {
        return usage(
            "nothing to do: give --mqtt, --http, --address, --api, --platform, --print or \
             --print-devices",
        );
    }
    if args.print && args.scenario.is_none() && args.duration_s == 0 {
        return usage("--print without a scenario needs --duration-s");
    }
    if args.devices == 0 {
        return usage("--devices must be at least 1");
    }
    if args.cadence_s == Some(0) {
        return usage("--cadence-s must be at least 1");
    }
    let odd = |c: char| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.');
    if args.prefix.contains(odd) || args.prefix.len() > 64 {
        return usage("--prefix takes up to 64 letters, digits, `-`, `_` and `.`");
    }
    if let Some(rate) = args.rate {
        let most = DEVICE_RATE_MAX * args.devices as f64;
        if !(rate > 0.0 && rate <= most) {
            return usage(&format!(
                "--rate must be above 0 and at most {most} for {} devices: a device has one \
                 message per device time",
                args.devices
            ));
        }
    }
    Ok(())
}

/// Gathers where every protocol is spoken.
fn addresses(args: &Args) -> Result<Addresses, SimError> {
    let gather = || {
        let mut addresses = Addresses::read(args.address.iter().map(String::as_str))?;
        for (name, addr) in [("mqtt", &args.mqtt), ("http", &args.http)] {
            if let Some(addr) = addr {
                addresses.put(name, addr)?;
            }
        }
        Ok(addresses)
    };
    gather().map_err(SimError::Usage)
}

/// Refuses a fleet of which somebody would measure twice in what its protocol calls one moment.
fn check_pace(fleet: &Fleet, rate: Option<f64>) -> Result<(), SimError> {
    let every_s = rate.map(|rate| fleet.devices.len() as f64 / rate);
    for (index, device) in fleet.devices.iter().enumerate() {
        let cadence_s = every_s.unwrap_or_else(|| f64::from(device.cadence_s));
        let way = fleet.way_of(index);
        if way.is_some_and(Way::has_whole_seconds) && cadence_s < WHOLE_SECONDS_S {
            return Err(SimError::Usage(format!(
                "`{}` would measure every {cadence_s} s: its protocol has whole seconds, and needs \
                 {WHOLE_SECONDS_S} or more",
                device.id
            )));
        }
    }
    Ok(())
}

/// Reads the fleet of a file.
fn listed(file: &Path) -> Result<Fleet, SimError> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string());
    let fleet = text.and_then(|text| fleet::read(&text));
    fleet.map_err(|reason| SimError::Usage(format!("{}: {reason}", file.display())))
}

fn listing(fleet: &Fleet, format: PrintFormat) -> Result<String, SimError> {
    match format {
        PrintFormat::Csv => Ok(fleet.csv()),
        PrintFormat::Json => serde_json::to_string_pretty(&fleet.rows())
            .map(|text| text + "\n")
            .map_err(|error| SimError::Output {
                what: "fleet".to_owned(),
                source: error.into(),
            }),
    }
}

fn print(text: &str) -> Result<(), SimError> {
    let mut out = std::io::stdout().lock();
    printed(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Writes a stream to standard output.
fn write(mut source: Source<'_>, fleet: &Fleet, span_ms: (i64, i64)) -> Result<(), SimError> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    printed(write_stream(&mut out, &mut source, fleet, span_ms).and_then(|()| out.flush()))
}

/// Takes a reader that has read enough for no failure.
fn printed(written: std::io::Result<()>) -> Result<(), SimError> {
    match written {
        Err(source) if source.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|source| SimError::Output {
            what: "standard output".to_owned(),
            source,
        }),
    }
}

/// Cancels on SIGINT or SIGTERM; ends when the simulation has.
async fn interrupted(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    // Without handlers the signals end the process, which is a stop as well.
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
}

/// Acts as the fleet until the time is over or `stop` is cancelled.
pub(crate) async fn simulate(
    args: &Args,
    fleet: Fleet,
    (source, duration_s): (Source<'_>, u64),
    stop: &CancellationToken,
) -> Result<Summary, SimError> {
    let started = Instant::now();
    let tally = Tally::new(args.ack_log.as_deref()).map_err(|source| SimError::Output {
        what: "ack log".to_owned(),
        source,
    })?;
    let shared = Arc::new(Shared::new(fleet, tally));
    let tracker = TaskTracker::new();
    let mut addresses = addresses(args)?;
    if args.demo {
        demo::complete(&mut addresses, &shared.fleet).map_err(SimError::Usage)?;
    }
    let router = Router::open(args, &addresses, &shared, &tracker);
    for name in router.missing() {
        let line = format!("simulate: no --address {name}=…, so its devices say nothing\n");
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }
    let finished = stop.child_token();
    tracker.spawn(progress(Arc::clone(&shared), finished.clone(), started));
    let span = Span {
        started,
        duration_s,
    };
    dispatch(source, &router, &shared, span, stop).await;
    finished.cancel();
    let patience = match args.demo {
        true => DEMO_DRAIN_TIMEOUT,
        false => DRAIN_TIMEOUT,
    };
    shared.drain(Instant::now() + patience);
    drop(router);
    tracker.close();
    if timeout(patience + CUT_OFF, tracker.wait()).await.is_err() {
        shared.cut_off.cancel();
        tracker.wait().await;
        shared.tally.count(Counts::abandon_the_rest);
    }
    if let Some(source) = shared.tally.take_log_error() {
        return Err(SimError::Output {
            what: "ack log".to_owned(),
            source,
        });
    }
    Ok(shared
        .tally
        .summary(shared.fleet.devices.len(), started.elapsed().as_secs_f64()))
}

/// When the simulation runs.
#[derive(Copy, Clone, Debug)]
struct Span {
    started: Instant,
    /// 0 runs until it is stopped.
    duration_s: u64,
}

/// Where the messages come from.
#[derive(Debug)]
pub(crate) enum Source<'a> {
    Plan(Plan),
    Stage(Stage<'a>),
}

impl Source<'_> {
    /// Gives the next message and when it is sent, in microseconds after the start.
    pub(crate) fn next(&mut self) -> Option<(i64, Message)> {
        match self {
            Self::Plan(plan) => plan.next(),
            Self::Stage(stage) => {
                let (due_ms, message) = stage.next()?;
                Some((due_ms * 1000, message))
            }
        }
    }
}

/// Sends every message when it is due.
async fn dispatch(
    mut source: Source<'_>,
    router: &Router,
    shared: &Shared,
    span: Span,
    stop: &CancellationToken,
) {
    let until = match span.duration_s {
        0 => None,
        seconds => Some(span.started + Duration::from_secs(seconds)),
    };
    let mut turn = 0u32;
    while let Some((due_us, message)) = source.next() {
        let due = span.started + Duration::from_micros(due_us.unsigned_abs());
        if until.is_some_and(|until| due >= until) {
            break;
        }
        if due > Instant::now() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
        } else {
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(TURN_MESSAGES) {
                if stop.is_cancelled() || until.is_some_and(|until| Instant::now() >= until) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        router.send(message, shared);
    }
    if let Some(until) = until {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

/// Prints a line every ten seconds.
async fn progress(shared: Arc<Shared>, stop: CancellationToken, started: Instant) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PROGRESS_EVERY) => {}
        }
        let seconds = started.elapsed().as_secs_f64();
        let summary = shared.tally.summary(shared.fleet.devices.len(), seconds);
        let counts = &summary.counts;
        let line = format!(
            "simulate: {seconds:.0} s, sent {}, acked {}, resent {}, refused {}, partly {}, \
             unconfirmed {}, skipped {}, connected {}, ack p50 {} µs, p99 {} µs\n",
            counts.sent,
            counts.acked,
            counts.resent,
            counts.refused,
            counts.partly_stored,
            counts.unconfirmed,
            counts.skipped,
            counts.connected,
            summary.ack_p50_us,
            summary.ack_p99_us,
        );
        // Progress that nobody can read is no reason to stop.
        drop(std::io::stderr().lock().write_all(line.as_bytes()));
    }
}

#[cfg(test)]
mod tests;
