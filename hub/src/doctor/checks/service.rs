//! The service as systemd sees it, and the timer of the backups.

use crate::doctor::finding::Findings;
use crate::doctor::scene::{SERVICE, Scene};
use crate::doctor::unit::Unit;

const TIMER: &str = "cityhub-backup.timer";
const BACKUP: &str = "cityhub-backup.service";

pub(super) fn service(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(unit) = &scene.service else {
        findings.say("untold", None, &[]);
        return;
    };
    let place = || Some(SERVICE.to_owned());
    let (result, status) = (unit.get("Result"), unit.get("ExecMainStatus"));
    match unit.get("ActiveState") {
        "failed" => findings.say(
            "failed",
            place(),
            &[("result", &result), ("status", &status)],
        ),
        "inactive" => findings.say("stopped", place(), &[]),
        "activating" => findings.say("activating", place(), &[]),
        _ => {}
    }
    if unit.get("UnitFileState") == "disabled" {
        findings.say("disabled", place(), &[]);
    }
    if let Some(restarts) = unit.number("NRestarts").filter(|count| *count > 0) {
        findings.say("restarted", place(), &[("restarts", &restarts)]);
    }
    let drop_ins = unit.get("DropInPaths");
    if !drop_ins.is_empty() {
        findings.say("drop-ins", None, &[("files", &drop_ins)]);
    }
}

pub(super) fn timer(scene: &Scene<'_>, findings: &mut Findings) {
    let place = || Some(TIMER.to_owned());
    if scene.service.is_none() {
        findings.leave_out();
        return;
    }
    match Unit::of(scene.machine, TIMER) {
        None => findings.leave_out(),
        Some(timer) if timer.get("ActiveState") != "active" => findings.say("off", place(), &[]),
        Some(_) => {
            let last = Unit::of(scene.machine, BACKUP);
            if last.is_some_and(|last| last.get("ActiveState") == "failed") {
                findings.say("failed", Some(BACKUP.to_owned()), &[]);
            }
        }
    }
}
