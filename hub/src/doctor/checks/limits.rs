//! What the system lets the hub have: open files, memory, connections that wait, cores.

use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;

/// Segments, readers, consoles.
const FILES_BESIDE: u64 = 2_048;
/// 12 MB idle, 208 MB with 100,000 devices and 10,000 connections, and the cache of the journal;
/// docs/en/install.md, section 1.
const MEMORY_MIN: u64 = 512 << 20;
/// Connections of devices that come back at once after a power cut; as many as the hub asks for.
const BACKLOG_MIN: u64 = 1_024;

pub(super) fn files(scene: &Scene<'_>, findings: &mut Findings) {
    let of_hub = scene.holder.as_ref().and_then(|holder| {
        let text = scene
            .machine
            .text(&format!("/proc/{}/limits", holder.pid))?;
        let line = text
            .lines()
            .find(|line| line.starts_with("Max open files"))?;
        line.split_whitespace().nth(3)?.parse().ok()
    });
    let of_unit = scene
        .service
        .as_ref()
        .and_then(|unit| unit.number("LimitNOFILE"));
    let Some(limit) = of_hub.or(of_unit) else {
        findings.leave_out();
        return;
    };
    let devices = scene.surveyed().map_or(0, |survey| survey.devices.len());
    let needed = u64::try_from(devices)
        .unwrap_or(u64::MAX)
        .saturating_add(FILES_BESIDE);
    let outcome = if limit < needed { "few" } else { "ok" };
    findings.say(outcome, None, &[("limit", &limit), ("needed", &needed)]);
}

pub(super) fn memory(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(limit) = memory_of(scene) else {
        findings.say("untold", None, &[]);
        return;
    };
    let (limit_mb, least) = (limit >> 20, MEMORY_MIN >> 20);
    let outcome = if limit < MEMORY_MIN { "little" } else { "ok" };
    findings.say(outcome, None, &[("limit", &limit_mb), ("least", &least)]);
}

/// The limit of the hub's control group, or of this one where no hub runs; else what there is.
fn memory_of(scene: &Scene<'_>) -> Option<u64> {
    let machine = scene.machine;
    let pid = scene
        .holder
        .as_ref()
        .map_or_else(|| "self".to_owned(), |holder| holder.pid.to_string());
    let groups = machine
        .text(&format!("/proc/{pid}/cgroup"))
        .unwrap_or_default();
    let group = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let of_group = machine.number(&format!("/sys/fs/cgroup{group}/memory.max"));
    let text = machine.text("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("MemTotal:"));
    let total = line
        .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map(|kib| kib << 10);
    [of_group, total].into_iter().flatten().min()
}

pub(super) fn backlog(scene: &Scene<'_>, findings: &mut Findings) {
    match scene.machine.number("/proc/sys/net/core/somaxconn") {
        None => findings.say("untold", None, &[]),
        Some(found) if found < BACKLOG_MIN => {
            findings.say("small", None, &[("found", &found), ("least", &BACKLOG_MIN)]);
        }
        Some(found) => findings.say("ok", None, &[("found", &found)]),
    }
}

pub(super) fn cores(scene: &Scene<'_>, findings: &mut Findings) {
    let text = scene.machine.text("/proc/cpuinfo").unwrap_or_default();
    match text
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count()
    {
        0 => findings.say("untold", None, &[]),
        1 => findings.say("one", None, &[]),
        count => findings.say("ok", None, &[("count", &count)]),
    }
}
