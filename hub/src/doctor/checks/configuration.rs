//! The configuration, the files that it names, and who may read its secrets.

use crate::config::Loaded;
use crate::doctor::finding::Findings;
use crate::doctor::scene::{Scene, place};
use config::{Value, ValueKind};
use rules::RuleError;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Where the service of the package takes secrets from.
const SECRETS: &str = "/etc/cityhub/secrets";

/// What is secret in tables of drivers and sinks, by the end of its key.
const SECRET_KEYS: [&str; 6] = [
    "secret", "token", "password", "aes_key", "sm4_key", "header",
];

pub(super) fn read(scene: &Scene<'_>, findings: &mut Findings) {
    if let Some(mistake) = scene.mistake {
        let hint = nearest(&mistake.reason);
        let hint = hint.map_or_else(String::new, |(_, known)| format!(" → `{known}`"));
        let flag = scene.config_flag();
        findings.say(
            "mistake",
            Some(place(mistake)),
            &[
                ("reason", &mistake.reason),
                ("hint", &hint),
                ("flag", &flag),
            ],
        );
        return;
    }
    match scene.loaded.and_then(Loaded::file) {
        None => findings.say("none", None, &[]),
        Some(file) => findings.say("ok", None, &[("file", &file.display())]),
    }
}

/// Finds in `unknown field \`x\`, expected one of \`a\`, \`b\`` what was meant.
pub(super) fn nearest(reason: &str) -> Option<(&str, &str)> {
    let (wrong, known) = reason.split_once("expected")?;
    let wrong = wrong.split('`').nth(1)?;
    let known = known.split('`').skip(1).step_by(2);
    let near = known.map(|known| (distance(wrong, known), known)).min()?;
    // Farther than that it is no slip of the fingers.
    (near.0 <= 1 + wrong.chars().count() / 3).then_some((wrong, near.1))
}

/// The edit distance of Levenshtein.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (b, above) in other.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(a != *b);
            left = cost.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

pub(super) fn files(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(Err(error)) = &scene.standing else {
        return;
    };
    // Rules have a check of their own.
    if error.chain().any(|cause| cause.is::<RuleError>()) {
        findings.leave_out();
        return;
    }
    let mistake = error.downcast_ref::<crate::config::ConfigError>();
    let reason = mistake.map_or_else(|| format!("{error:#}"), |mistake| mistake.reason.clone());
    let flag = scene.config_flag();
    findings.say(
        "wrong",
        mistake.map(place),
        &[("reason", &reason), ("flag", &flag)],
    );
}

pub(super) fn mode(scene: &Scene<'_>, findings: &mut Findings) {
    let Some(loaded) = scene.loaded else { return };
    let Some(file) = loaded.file() else {
        findings.leave_out();
        return;
    };
    let Ok(metadata) = std::fs::metadata(file) else {
        return;
    };
    let place = || Some(file.display().to_string());
    let path = file.display();
    let secrets = secrets_in(loaded);
    if metadata.mode() & 0o004 != 0 && !secrets.is_empty() {
        let keys = secrets.join(", ");
        let group = group_of(scene);
        findings.say(
            "open",
            place(),
            &[("keys", &keys), ("file", &path), ("group", &group)],
        );
    }
    if let Some(user) = scene.service_user()
        && !may_read(scene, user, &metadata)
    {
        findings.say("closed", place(), &[("user", &user), ("file", &path)]);
    }
}

fn group_of(scene: &Scene<'_>) -> String {
    scene.service_user().unwrap_or("cityhub").to_owned()
}

/// Names the keys of the file whose values are secrets; the values stay where they are.
fn secrets_in(loaded: &Loaded) -> Vec<String> {
    let Ok(table) = loaded.text().parse::<toml::Table>() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut left: Vec<(String, toml::Value)> = table.into_iter().collect();
    while let Some((path, value)) = left.pop() {
        match value {
            toml::Value::Table(table) => {
                left.extend(
                    table
                        .into_iter()
                        .map(|(key, value)| (format!("{path}.{key}"), value)),
                );
            }
            toml::Value::String(text) => {
                let key = path.rsplit('.').next().unwrap_or_default();
                if SECRET_KEYS.iter().any(|end| key.ends_with(end)) && !text.is_empty() {
                    found.push(path);
                }
            }
            _ => {}
        }
    }
    found.sort();
    found
}

/// Tells whether a user may read a file, by its owner, group and mode.
pub(super) fn may_read(scene: &Scene<'_>, user: &str, metadata: &Metadata) -> bool {
    let Some(id) = scene.machine.user_id(user) else {
        return true;
    };
    let mode = metadata.mode();
    match () {
        () if id == 0 => true,
        () if metadata.uid() == id => mode & 0o400 != 0,
        () if scene.machine.groups_of(user).contains(&metadata.gid()) => mode & 0o040 != 0,
        () => mode & 0o004 != 0,
    }
}

pub(super) fn credentials(scene: &Scene<'_>, findings: &mut Findings) {
    let folder = scene.machine.path(SECRETS);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        findings.leave_out();
        return;
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    for file in files {
        look_at_secret(&file, findings);
    }
}

fn look_at_secret(file: &Path, findings: &mut Findings) {
    let Ok(metadata) = std::fs::metadata(file) else {
        return;
    };
    let place = || Some(file.display().to_string());
    let path = file.display();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains("CITYHUB__") {
        findings.say("no-key", place(), &[("name", &name), ("file", &path)]);
    }
    if metadata.mode() & 0o077 != 0 {
        findings.say("open", place(), &[("file", &path)]);
    }
    if metadata.len() == 0 {
        findings.say("empty", place(), &[("file", &path)]);
    }
}

/// The text of a key in the table of a driver or sink.
pub(super) fn text_of<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    let ValueKind::Table(table) = &value.kind else {
        return None;
    };
    match &table.get(key)?.kind {
        ValueKind::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn the_key_that_was_meant_is_the_nearest_of_those_that_are_known() {
        let reason = "unknown field `lisen`, expected one of `listen`, `streams_max`";
        assert_eq!(nearest(reason), Some(("lisen", "listen")));
        let reason = "unknown field `colour`, expected `listen` or `streams_max`";
        assert_eq!(nearest(reason), None);
        assert_eq!(nearest("invalid type: integer `8`"), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
