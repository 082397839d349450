//! What the system says of this process; nothing where it does not say it in `/proc`.

use super::page::Page;
use std::fs;

/// Ticks of `/proc/self/stat` in a second: USER_HZ, which is 100 wherever Linux runs (proc(5)).
const TICKS_PER_S: f64 = 100.0;

pub(super) fn put(page: &mut Page) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, field) in [
        ("process_resident_memory_bytes", "VmRSS:"),
        ("process_virtual_memory_bytes", "VmSize:"),
    ] {
        if let Some(kib) = field_of(&status, field) {
            page.put(name, &[], kib.saturating_mul(1024));
        }
    }
    if let Some(threads) = field_of(&status, "Threads:") {
        page.put("process_threads", &[], threads);
    }
    if let Some(ticks) = fs::read_to_string("/proc/self/stat")
        .ok()
        .and_then(|stat| cpu_ticks(&stat))
    {
        page.put("process_cpu_seconds_total", &[], ticks as f64 / TICKS_PER_S);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The folder itself is open while it is read.
        page.put("process_open_fds", &[], open.count().saturating_sub(1));
    }
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    if let Some(most) = field_of(&limits, "Max open files") {
        page.put("process_max_fds", &[], most);
    }
}

/// The number after a name at the begin of a line.
fn field_of(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time: the fields 14 and 15, counted behind the name, which may hold anything.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::{cpu_ticks, field_of};

    #[test]
    fn the_fields_of_proc_are_found() {
        // A line as proc(5) describes it, with a name that tries to lead astray.
        let stat =
            "42 (a) R 1 (b)) S 1 42 42 0 -1 4194304 100 0 0 0 250 17 0 0 20 0 9 0 12345 1 2 3";
        assert_eq!(cpu_ticks(stat), Some(267));
        assert_eq!(cpu_ticks("42 (a"), None);
        let status = "Name:\tcityhub\nVmRSS:\t  20480 kB\nThreads:\t9\n";
        assert_eq!(field_of(status, "VmRSS:"), Some(20_480));
        assert_eq!(field_of(status, "VmSize:"), None);
        let limits = "Max open files            1024                 524288               files\n";
        assert_eq!(field_of(limits, "Max open files"), Some(1_024));
    }
}
