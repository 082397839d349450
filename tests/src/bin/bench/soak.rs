//! A city of many devices for some minutes: does the memory stay where it is?

use crate::{city, machine};
use serde_json::json;
use sim::load::{Credentials, LoadArgs};
use std::time::Duration;
use tests::audit;

/// Seconds between two messages of a device.
const CADENCE_S: f64 = 60.0;

/// Registers `devices`, connects some of them for `minutes`, and prints the memory each minute.
pub(crate) fn run(devices: usize, connected: usize, minutes: usize) {
    let place = city::place();
    let hub = place.start();
    let pid = hub.pid();
    println!("{}", machine::describe());
    println!("idle: {:.1} MB", machine::memory_mb(pid).0);
    city::put_rules(&hub);
    let load = LoadArgs {
        addr: hub.mqtt(),
        connections: connected,
        window: 8,
        seconds: minutes as f64 * 60.0,
        credentials: Credentials::Device {
            secret_prefix: "secret-of-".to_owned(),
        },
        rate: Some(connected as f64 / CADENCE_S),
        ..LoadArgs::default()
    };
    city::register(&hub, &load);
    let others: Vec<_> = (connected..devices)
        .map(|index| {
            json!({"id": format!("still-{index}"), "kind": "gas_pressure",
                            "cadence_s": 60, "secret": format!("secret-of-still-{index}")})
        })
        .collect();
    city::put(&hub, &others);
    println!(
        "{devices} devices registered: {:.1} MB",
        machine::memory_mb(pid).0
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = runtime.block_on(async {
        let load = sim::load::run(load);
        tokio::pin!(load);
        let mut minute = 0;
        let mut ticks = tokio::time::interval(Duration::from_secs(60));
        loop {
            tokio::select! {
                report = &mut load => return report.expect("the load runs"),
                _ = ticks.tick() => {
                    let (now, greatest) = machine::memory_mb(pid);
                    let cpu = machine::cpu_s(pid);
                    println!("minute {minute}: {now:.1} MB, at most {greatest:.1} MB, CPU {cpu:.1} s");
                    minute += 1;
                }
            }
        }
    });
    println!(
        "{} connections: {} messages acknowledged, {} connections lost, p50 {} µs, p99 {} µs",
        report.connections, report.messages, report.connections_lost, report.p50_us, report.p99_us
    );
    let total = audit::ledger(&hub.api()).total;
    println!(
        "ledger: received {} = stored {} + duplicate {} + rejected {}",
        total.received,
        total.stored,
        total.duplicate,
        total.rejected_total()
    );
    assert_eq!(report.connections_lost, 0, "every device stayed connected");
    assert_eq!(
        total.stored, report.readings,
        "what was acknowledged is stored"
    );
    let (now, greatest) = machine::memory_mb(pid);
    println!("end: {now:.1} MB, at most {greatest:.1} MB");
}
