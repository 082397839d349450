//! Serial lines of Modbus: whether they are there, and whether the hub may use them.

use super::configuration::text_of;
use crate::doctor::finding::Findings;
use crate::doctor::scene::Scene;
use std::os::unix::fs::MetadataExt;

pub(super) fn lines(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let mut count = 0;
    for (name, driver) in &loaded.config.drivers {
        let Some(connect) = text_of(driver, "connect") else {
            continue;
        };
        let Some(path) = connect.strip_prefix("rtu://") else {
            continue;
        };
        let path = path.split('?').next().unwrap_or_default();
        count += 1;
        let place = scene.place_of(&format!("drivers.{name}.connect"));
        look(scene, path, place, findings);
    }
    if count == 0 {
        findings.leave_out();
    }
}

fn look(scene: &Scene<'_>, path: &str, place: Option<String>, findings: &mut Findings) {
    let Ok(metadata) = std::fs::metadata(scene.machine.path(path)) else {
        findings.say("absent", place, &[("path", &path)]);
        return;
    };
    let Some(service) = &scene.service else {
        return;
    };
    if service.get("PrivateDevices") == "yes" || !is_allowed(service.get("DeviceAllow"), path) {
        findings.say("shut-in", place, &[("path", &path)]);
        return;
    }
    let Some(user) = scene.service_user() else {
        return;
    };
    let mut groups = scene.machine.groups_of(user);
    let extra = service.get("SupplementaryGroups").split_whitespace();
    groups.extend(extra.filter_map(|name| scene.machine.group_id(name)));
    let id = scene.machine.user_id(user);
    let mode = metadata.mode();
    let may = id == Some(0)
        || id == Some(metadata.uid()) && mode & 0o600 == 0o600
        || groups.contains(&metadata.gid()) && mode & 0o060 == 0o060
        || mode & 0o006 == 0o006;
    if !may {
        findings.say("forbidden", place, &[("path", &path), ("user", &user)]);
    }
}

/// Tells whether the unit lets its service use a device: by its path, or by the class of it.
fn is_allowed(allowed: &str, path: &str) -> bool {
    if allowed.is_empty() {
        return false;
    }
    allowed.split(' ').any(|word| {
        let class = word.strip_prefix("char-").unwrap_or("/");
        word == path
            || path
                .rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(class))
    })
}
