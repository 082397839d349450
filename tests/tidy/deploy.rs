//! Holds what lies under `deploy/` against the program and the sources: configurations, commands, paths.

use std::path::{Path, PathBuf};
use tests::hub::{Place, root, words};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn configurations(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            configurations(&path, found);
        } else if name.starts_with("hub.") && name.ends_with(".toml") {
            found.push(path);
        }
    }
}

#[test]
fn every_configuration_that_is_shipped_is_fine() {
    let mut found = Vec::new();
    configurations(&root().join("deploy"), &mut found);
    assert!(found.len() >= 4, "{found:?}");
    for path in found {
        let file = path.to_str().unwrap();
        let output = Place::default().run(&["check", "--config", file]);
        assert!(output.status.success(), "{file}: {}", words(&output));
    }
}

/// Demands that the program knows the command and every option of it.
#[track_caller]
fn is_known(command: &[&str]) {
    let (name, options) = command.split_first().expect("a command");
    let help = words(&Place::default().run(&["help", name]));
    assert!(help.contains(&format!("{name} [OPTIONS]")), "{help}");
    for option in options.iter().filter(|word| word.starts_with("--")) {
        assert!(
            help.split_whitespace().any(|word| word == *option),
            "cityhub {name} knows no {option}"
        );
    }
}

/// The words of a line behind `start`, up to the end of the line; quotes, commas and brackets apart.
#[track_caller]
fn line(text: &str, start: &str) -> String {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix(start));
    let line = line.unwrap_or_else(|| panic!("no line `{start}`"));
    line.replace(['"', ',', '[', ']', '{', '}'], " ")
}

#[test]
fn service_image_and_pod_run_commands_that_the_program_has() {
    let unit = read("deploy/systemd/cityhub.service");
    let image = read("deploy/container/Containerfile");
    let pod = read("deploy/kubernetes/stateful-set.yaml");
    for (text, start) in [
        (&unit, "ExecStart=/usr/bin/cityhub"),
        (&image, "CMD "),
        (&pod, "args:"),
    ] {
        let words = line(text, start);
        let words: Vec<&str> = words.split_whitespace().collect();
        assert_eq!(words, ["run", "--config", "/etc/cityhub/hub.toml"]);
        is_known(&words);
    }
    is_known(&["backup", "--config"]);
    for (text, start) in [
        (&image, "HEALTHCHECK "),
        (&pod, "exec: {command: [/usr/bin/cityhub"),
    ] {
        let words = line(text, start);
        let words = words.split_whitespace();
        let words: Vec<&str> = words.skip_while(|word| *word != "health").collect();
        is_known(&words);
    }
}

/// Paths of the sources that a script or a description names, with the folder that they are of.
fn named<'a>(text: &'a str, start: &'a str, folder: &'a str) -> impl Iterator<Item = PathBuf> + 'a {
    let lines = text.lines().map(str::trim);
    let found = lines.filter_map(move |line| line.strip_prefix(start)?.split([' ', ':']).next());
    // Variables are for the run, and the program itself is put there by whoever builds.
    let found = found.filter(|path| !path.contains('$') && *path != "container/cityhub");
    found.map(move |path| root().join(folder).join(path.trim_matches('"')))
}

#[test]
fn every_file_that_is_put_into_packages_and_images_is_there() {
    let build = read("deploy/debian/build.sh").replace("\"$top/", "");
    let make = read("deploy/bundle/make.sh");
    let image = read("deploy/container/Containerfile");
    let compose = read("deploy/container/compose.yaml");
    let mut paths = Vec::new();
    for mode in ["put 644 ", "put 640 ", "put 755 "] {
        paths.extend(named(&build, mode, ""));
        paths.extend(named(&make, mode, ""));
    }
    paths.extend(named(&image, "COPY ", "deploy").filter(|path| !path.ends_with("--from=system")));
    paths.extend(named(&compose, "- ./", "deploy/container"));
    paths.extend(named(&compose, "- ../", "deploy/container/.."));
    assert!(paths.len() >= 15, "{paths:?}");
    for path in paths {
        assert!(path.exists(), "{} is not there", path.display());
    }
}

#[test]
fn the_service_restarts_on_what_the_contract_names_and_outwaits_the_hub() {
    let unit = read("deploy/systemd/cityhub.service");
    for line in [
        "Type=notify",
        "User=cityhub",
        "Restart=on-failure",
        "RestartForceExitStatus=74",
        "RestartPreventExitStatus=2",
        "TimeoutStopSec=30",
    ] {
        assert!(unit.lines().any(|have| have == line), "no {line}");
    }
}
