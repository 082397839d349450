//! Layers, and errors that name file, line and key.

use super::locate::variable_of;
use super::{ConfigError, load};
use std::path::Path;

fn load_text(text: &str) -> Result<super::Loaded, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, text).unwrap();
    load(Some(&file), None)
}

fn check(text: &str, line: usize, key: &str, reason: &str) {
    let error = load_text(text).unwrap_err();
    assert_eq!(error.line, Some(line), "{error}");
    assert_eq!(error.key.as_deref(), Some(key), "{error}");
    assert!(error.reason.contains(reason), "{error}");
    assert!(error.to_string().contains("hub.toml"), "{error}");
}

#[test]
fn a_mistake_is_named_with_file_line_and_key() {
    check(
        "data_dir = \"x\"\ncolour = 1\n",
        2,
        "colour",
        "unknown field `colour`",
    );
    check(
        "[city]\nname = \"x\"\ncode = 7\n",
        3,
        "city.code",
        "invalid type",
    );
    check("[city]\ncode = \"12\"\n", 2, "city.code", "6-digit");
    check(
        "[packs]\ngas = true\ngaz = true\n",
        3,
        "packs.gaz",
        "known: ",
    );
    check("packs.gas = 3\n", 1, "packs.gas", "expected a boolean");
    check(
        "[city]\n\ntime_zone = \"Mars/Base\"\n",
        3,
        "city.time_zone",
        "time zone",
    );
    check(
        "[drivers.a]\nkind = \"carrier_pigeon\"\n",
        2,
        "drivers.a.kind",
        "carrier_pigeon",
    );
    check(
        "[drivers.a]\nlisten = \"127.0.0.1:0\"\n",
        1,
        "drivers.a.kind",
        "missing",
    );
    check(
        "[drivers.a]\nkind = \"http\"\nlisten = \"127.0.0.1:0\"\nspeed = 3\n",
        4,
        "drivers.a.speed",
        "unknown field `speed`",
    );
    check(
        "[auth.tokens.a]\ntoken = \"x\"\nrole = \"admin\"\n",
        2,
        "auth.tokens.a.token",
        "8 char",
    );
    check(
        "[sinks.p]\nkind = \"webhook\"\n",
        1,
        "sinks.p",
        "missing configuration field \"url\"",
    );
    check(
        "[sinks.p]\nkind = \"webhook\"\nurl = \"https://x/\"\nsecret = \"x\"\n",
        4,
        "sinks.p.secret",
        "whsec_",
    );
}

#[test]
fn a_syntax_error_names_its_line() {
    let error = load_text("data_dir = \"x\"\n[city\n").unwrap_err();
    assert_eq!(error.line, Some(2), "{error}");
}

#[test]
fn a_missing_file_is_named() {
    let error = load(Some(Path::new("no/such/hub.toml")), None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no/such/hub.toml: cannot be read"),
        "{error}"
    );
}

#[test]
fn paths_are_relative_to_the_file_and_the_flag_wins() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.toml");
    std::fs::write(&file, "data_dir = \"d\"\nrules = \"rules.d\"\n").unwrap();
    let loaded = load(Some(&file), None).unwrap();
    assert_eq!(loaded.config.data_dir, folder.path().join("d"));
    assert_eq!(loaded.config.rules, Some(folder.path().join("rules.d")));
    let flagged = load(Some(&file), Some(Path::new("elsewhere"))).unwrap();
    assert_eq!(flagged.config.data_dir, Path::new("elsewhere"));
}

#[test]
fn a_drivers_files_are_relative_to_the_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.toml");
    let text = "[drivers.m]\nkind = \"mqtt\"\ntls_listen = \"127.0.0.1:0\"\ntls_cert = \"a.crt\"\n\
        tls_key = \"/etc/a.key\"\n";
    std::fs::write(&file, text).unwrap();
    let loaded = load(Some(&file), None).unwrap();
    let driver = loaded.config.drivers["m"].clone().into_table().unwrap();
    let path = |key: &str| driver[key].clone().into_string().unwrap();
    assert_eq!(
        path("tls_cert"),
        folder.path().join("a.crt").to_str().unwrap()
    );
    assert_eq!(path("tls_key"), "/etc/a.key");
}

#[test]
fn names_that_a_variable_cannot_reach_are_refused() {
    check(
        "[drivers.MQTT]\nkind = \"mqtt\"\nlisten = \"127.0.0.1:0\"\n",
        1,
        "drivers.MQTT",
        "lower-case",
    );
    check(
        "[auth.tokens.\"a b\"]\ntoken = \"long enough\"\nrole = \"admin\"\n",
        1,
        "auth.tokens.a b",
        "lower-case",
    );
}

#[test]
fn a_value_that_cannot_work_is_refused() {
    check(
        "[auth.tokens.a]\ntoken = \"long enough\"\nrole = \"admin\"\n\
         [auth.tokens.b]\ntoken = \"long enough\"\nrole = \"viewer\"\n",
        5,
        "auth.tokens.b.token",
        "`a` has the same token",
    );
    check(
        "[http]\nstreams_max = 0\n",
        2,
        "http.streams_max",
        "1 or more",
    );
    check(
        "[cases]\ndistance_m = 501.0\n",
        2,
        "cases.distance_m",
        "500",
    );
    check(
        "[cases]\nwithin_s = 604801\n",
        2,
        "cases.within_s",
        "604800",
    );
    check(
        "[cases]\ncamera_distance_m = -1.0\n",
        2,
        "cases.camera_distance_m",
        "0 to",
    );
    check("[log]\nlevel = \"loud\"\n", 2, "log.level", "`loud`");
    check("[log]\nlevel = \"hub=loud\"\n", 2, "log.level", "hub=loud");
    check("[log]\nlevel = \"\"\n", 2, "log.level", "known: error");
    load_text("[log]\nlevel = \"hub=debug,info\"\n").unwrap();
}

#[test]
fn a_collector_that_cannot_be_reached_as_written_is_refused_with_its_line() {
    let otlp =
        |more: &str| format!("[telemetry.otlp]\nendpoint = \"http://127.0.0.1:4318\"\n{more}\n");
    load_text(&otlp("headers = { authorization = \"Bearer x\" }")).unwrap();
    let endpoint = "telemetry.otlp.endpoint";
    check(
        "[telemetry.otlp]\nendpoint = \"ftp://x\"\n",
        2,
        endpoint,
        "https://",
    );
    check(
        &otlp("trace_ratio = 1.5"),
        3,
        "telemetry.otlp.trace_ratio",
        "0 to 1",
    );
    check(
        &otlp("metrics_every_s = 9999"),
        3,
        "telemetry.otlp.metrics_every_s",
        "3600",
    );
    let wrong = otlp("headers.\"a b\" = \"x\"");
    check(
        &wrong,
        3,
        "telemetry.otlp.headers.a b",
        "no name of a header",
    );
}

#[test]
fn a_value_of_a_variable_is_looked_for_there() {
    let names = ["CITYHUB__LOG", "PATH", "CITYHUB__LOG__LEVEL"].map(str::to_owned);
    let found = variable_of("log.level", names.clone());
    assert_eq!(found.as_deref(), Some("CITYHUB__LOG__LEVEL"));
    assert_eq!(variable_of("log.format", names), None);
    let error = ConfigError {
        variable: found,
        key: Some("log.level".to_owned()),
        reason: "is no level".to_owned(),
        ..ConfigError::default()
    };
    assert_eq!(
        error.to_string(),
        "variable CITYHUB__LOG__LEVEL: `log.level`: is no level"
    );
}
