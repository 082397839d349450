//! The data directory: owner, format, lock, journal, segments, backups.

use crate::doctor::finding::Findings;
use crate::doctor::hub_process::Holder;
use crate::doctor::scene::Scene;
use std::os::unix::fs::MetadataExt;
use store::{DatabaseVerdict, StoreError};

/// A nightly backup that did not come, and the night after it.
const BACKUP_AGE_MAX_H: i64 = 50;
const HOUR_MS: i64 = 3_600_000;

pub(super) fn folder(scene: &Scene<'_>, findings: &mut Findings) {
    let dir = &scene.data_dir;
    let path = dir.display();
    let place = || scene.place_of("data_dir");
    let metadata = match std::fs::metadata(dir) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            findings.say("missing", place(), &[("dir", &path)]);
            return;
        }
        Err(error) => {
            findings.say("unreadable", place(), &[("dir", &path), ("reason", &error)]);
            return;
        }
    };
    if !metadata.is_dir() {
        findings.say("no-folder", place(), &[("dir", &path)]);
        return;
    }
    if metadata.mode() & 0o077 != 0 {
        findings.say("open", place(), &[("dir", &path)]);
    }
    let Some(user) = scene.service_user() else {
        return;
    };
    let Some(id) = scene.machine.user_id(user) else {
        findings.say("no-user", place(), &[("user", &user)]);
        return;
    };
    let names = [
        "",
        "main.db",
        "main.db-wal",
        "main.db-shm",
        "lock",
        "access.json",
        "segments",
    ];
    let foreign = names.iter().find_map(|name| {
        let path = dir.join(name);
        let owner = std::fs::metadata(&path).ok()?.uid();
        (owner != id).then_some((path, owner))
    });
    if let Some((file, owner)) = foreign {
        let owner = scene.machine.user_name(owner);
        findings.say(
            "owner",
            place(),
            &[
                ("file", &file.display()),
                ("owner", &owner),
                ("user", &user),
                ("dir", &path),
            ],
        );
    }
}

pub(super) fn format(scene: &Scene<'_>, findings: &mut Findings) {
    let dir = scene.data_dir.display();
    let Some(survey) = scene.surveyed() else {
        findings.leave_out();
        return;
    };
    let (found, known) = (survey.format, survey.known_format);
    let words: [(&str, &dyn std::fmt::Display); 3] =
        [("found", &found), ("known", &known), ("dir", &dir)];
    match () {
        () if found > known => findings.say("newer", Some(dir.to_string()), &words),
        () if found < known && found > 0 => findings.say("older", Some(dir.to_string()), &words),
        () => {}
    }
}

pub(super) fn lock(scene: &Scene<'_>, findings: &mut Findings) {
    let dir = &scene.data_dir;
    let place = Some(dir.join("lock").display().to_string());
    match &scene.holder {
        Some(holder) if holder.is_hub() => findings.say("ok", None, &[("pid", &holder.pid)]),
        Some(Holder { pid, name, .. }) => {
            findings.say("other", place, &[("pid", pid), ("name", name)]);
        }
        None => {
            let wal = std::fs::metadata(dir.join("main.db-wal"));
            if wal.is_ok_and(|wal| wal.len() > 0) {
                let flag = scene.config_flag();
                findings.say("unclean", place, &[("flag", &flag)]);
            } else {
                findings.say("free", None, &[]);
            }
        }
    }
}

pub(super) fn journal(scene: &Scene<'_>, findings: &mut Findings) {
    let place = Some(scene.data_dir.join("main.db").display().to_string());
    let flag = scene.config_flag();
    match &scene.survey {
        None => findings.say("none", None, &[]),
        Some(Ok(survey)) => match &survey.database {
            DatabaseVerdict::Whole => {}
            DatabaseVerdict::Faulty(reason) => {
                findings.say("damaged", place, &[("reason", reason), ("flag", &flag)]);
            }
            DatabaseVerdict::Unfinished => findings.say("unfinished", place, &[("flag", &flag)]),
        },
        Some(Err(error @ (StoreError::Damaged(_) | StoreError::Refused(_)))) => {
            findings.say("damaged", place, &[("reason", error), ("flag", &flag)]);
        }
        Some(Err(error)) => findings.say("unreadable", place, &[("reason", error)]),
    }
}

pub(super) fn segments(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(survey) = scene.surveyed() else {
        findings.leave_out();
        return;
    };
    let flag = scene.config_flag();
    let place = scene.data_dir.join("segments").display().to_string();
    for fault in &survey.faulty_segments {
        findings.say(
            "faulty",
            Some(place.clone()),
            &[("fault", fault), ("flag", &flag)],
        );
    }
    if survey.faulty_segments.is_empty() {
        findings.say("ok", None, &[("count", &survey.segments)]);
    }
}

pub(super) fn backup(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(survey) = scene.surveyed() else {
        findings.leave_out();
        return;
    };
    // A hub that has not run for a day has nothing to lose yet.
    if survey.devices.is_empty() {
        findings.leave_out();
        return;
    }
    let flag = scene.config_flag();
    match survey.last_backup {
        None => findings.say("never", None, &[("flag", &flag)]),
        Some(at) => {
            let hours = scene.machine.now.since_ms(at) / HOUR_MS;
            let outcome = if hours > BACKUP_AGE_MAX_H {
                "old"
            } else {
                "ok"
            };
            findings.say(
                outcome,
                None,
                &[("hours", &hours), ("at", &at), ("flag", &flag)],
            );
        }
    }
}
