//! What the machine is, and what a process costs it.

use std::fs::read_to_string;

/// Clock ticks a second in `/proc/PID/stat`; 100 on every Linux that Rust runs on.
const TICKS_PER_S: f64 = 100.0;

/// Describes the machine in one line.
pub(crate) fn describe() -> String {
    let cpu = read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpu, "model name").unwrap_or_else(|| "unknown CPU".to_owned());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = read_to_string("/proc/meminfo").unwrap_or_default();
    let total = field(&memory, "MemTotal").unwrap_or_default();
    format!("{cores} cores of {model}, memory {total}; the load runs on the same machine")
}

fn field(text: &str, name: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// Memory of a process in MB: now, and at its greatest.
pub(crate) fn memory_mb(pid: u32) -> (f64, f64) {
    let status = read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let mb = |name: &str| {
        let text = field(&status, name).unwrap_or_default();
        let kb = text.split(' ').next().and_then(|kb| kb.parse::<f64>().ok());
        kb.unwrap_or(f64::NAN) / 1024.0
    };
    (mb("VmRSS"), mb("VmHWM"))
}

/// CPU seconds that a process has used.
pub(crate) fn cpu_s(pid: u32) -> f64 {
    let stat = read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name of the program may hold spaces; fields count from the bracket that ends it.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = |index: usize| {
        let field = rest.split_whitespace().nth(index);
        field
            .and_then(|ticks| ticks.parse::<f64>().ok())
            .unwrap_or(f64::NAN)
    };
    (ticks(11) + ticks(12)) / TICKS_PER_S
}

/// Bytes of all files in a folder.
pub(crate) fn bytes_in(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some(if about.is_dir() {
                bytes_in(&entry.path())
            } else {
                about.len()
            })
        })
        .sum()
}
