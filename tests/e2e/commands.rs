//! The command line: exit codes, messages that name file, line and key, and what runs without a hub.

use serde_json::{Value, json};
use std::net::TcpListener;
use tests::hub::{Place, plain_config, token, words};
use tests::mqtt::{Client, Identity, Version};

#[test]
fn a_bad_configuration_ends_with_2_and_names_file_line_and_key() {
    let cases = [
        (
            format!("colour = \"red\"\n{}", plain_config()),
            "hub.toml:1",
            "colour",
        ),
        (
            plain_config().replace("code = \"350200\"", "code = \"35\""),
            "hub.toml:4",
            "code",
        ),
        (
            plain_config().replace("kind = \"http\"", "kind = \"pigeon\""),
            "hub.toml:12",
            "kind",
        ),
        (
            plain_config().replace("kind = \"mqtt\"", "kind = \"mqtt\"\nspeed = 9"),
            "hub.toml:10",
            "speed",
        ),
    ];
    for (text, place_name, key) in cases {
        let place = Place::with_config(&text);
        for command in ["run", "check"] {
            let output = place.run(&[command, "--config", "hub.toml"]);
            assert_eq!(
                output.status.code(),
                Some(2),
                "{command} {key}: {}",
                words(&output)
            );
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                said.contains(place_name) && said.contains(key),
                "{command} {key}: {said}"
            );
        }
        assert!(
            !place.data().exists(),
            "nothing is made by a hub that cannot run"
        );
    }
}

#[test]
fn a_bad_rule_or_device_file_ends_with_2_and_names_its_line() {
    let text = format!(
        "rules = \"rules.d\"\ndevices = \"devices.csv\"\n{}",
        plain_config()
    );
    let place = Place::with_config(&text);
    let rules = place.path().join("rules.d");
    std::fs::create_dir(&rules).unwrap();
    let rule = "[rules.hot]\ntitle = \"hot\"\nkind = \"threshold\"\nselect = {}\n\
                metric = \"temperature_c\"\nabove = 60.0\nseverity = \"major\"\n";
    let devices = "id,kind,secret\nsmoke-1,smoke,secret-1234\n";
    std::fs::write(rules.join("fire.toml"), rule).unwrap();
    std::fs::write(place.path().join("devices.csv"), devices).unwrap();
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));

    let wrong = rule.replace("temperature_c", "heat");
    std::fs::write(rules.join("fire.toml"), wrong).unwrap();
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("fire.toml:5") && said.contains("metric"),
        "{said}"
    );

    std::fs::write(rules.join("fire.toml"), rule).unwrap();
    std::fs::write(
        place.path().join("devices.csv"),
        devices.replace(",smoke,", ",fog,"),
    )
    .unwrap();
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("devices.csv: line 2") && said.contains("fog"),
        "{said}"
    );
}

#[test]
fn check_opens_no_port_and_no_data() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let place = Place::with_config(&plain_config().replace("127.0.0.1:0", &addr));
    let output = place.run(&["check", "--config", "hub.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(!place.data().exists());
    // To run is another matter: the address is taken.
    let (status, log) = place.try_start().expect_err("no hub");
    assert!(!status.success());
    assert!(log.contains(&addr), "names the address: {log}");
}

#[test]
fn bad_usage_ends_with_2() {
    let place = Place::default();
    for args in [
        &["dance"][..],
        &["run", "--colour", "red"],
        &[],
        &["run", "--config", "none.toml"],
    ] {
        let output = place.run(args);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{args:?}: {}",
            words(&output)
        );
    }
}

#[test]
fn the_environment_overrides_the_file() {
    let mut place = Place::default();
    place.set("CITYHUB__CITY__CODE", "310100");
    place.set("CITYHUB__DATA_DIR", place.path().join("elsewhere"));
    let hub = place.start();
    assert!(place.path().join("elsewhere").exists());
    assert!(!place.data().exists());
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    hub.rule("r", &tests::fleet::overpressure());
    let platform = Identity::named("p", &token("platform"));
    let mut client = Client::connect(hub.mqtt(), Version::V3, &platform);
    assert!(client.subscribe("events/310100/cityhub.alarm.raised", 1) < 0x80);
    hub.store("gas-1", &json!({"pressure_kpa": 450}));
    assert_eq!(client.message().topic, "events/310100/cityhub.alarm.raised");
    drop(hub);
    place.set("CITYHUB__CITY__CODE", "31");
    let (status, log) = place.try_start().expect_err("no hub");
    assert_eq!(status.code(), Some(2), "{log}");
}

#[test]
fn rules_and_devices_of_files_are_there_at_the_start() {
    let text = format!(
        "rules = \"rules.d\"\ndevices = \"devices.csv\"\n{}",
        plain_config()
    );
    let place = Place::with_config(&text);
    let rules = place.path().join("rules.d");
    std::fs::create_dir(&rules).unwrap();
    let rule = "[rules.hot]\ntitle = \"hot\"\nkind = \"threshold\"\nselect = { kind = \"smoke\" }\n\
                metric = \"temperature_c\"\nabove = 60.0\nseverity = \"major\"\n";
    std::fs::write(rules.join("fire.toml"), rule).unwrap();
    let secret = tests::hub::secret("smoke-1");
    let devices = format!("id,kind,secret\nsmoke-1,smoke,{secret}\n");
    std::fs::write(place.path().join("devices.csv"), devices).unwrap();
    for _ in 0..2 {
        let hub = place.start();
        hub.store("smoke-1", &json!({"temperature_c": 80}));
        let alarms = hub.api().get("/api/v1/alarms");
        assert_eq!(alarms["items"].as_array().unwrap().len(), 1, "{alarms}");
        assert_eq!(alarms["items"][0]["rule"], "hot");
        hub.kill();
        place.verify();
    }
}

#[test]
fn one_folder_of_data_has_one_hub() {
    let place = Place::default();
    let hub = place.start();
    let (status, log) = place.try_start().expect_err("no second hub");
    assert!(!status.success());
    assert!(log.contains("data"), "says what is in use: {log}");
    let (status, _) = hub.stop();
    assert!(status.success());
    place.start();
}

#[test]
fn a_token_that_is_added_opens_the_api_of_the_running_hub() {
    let place = Place::default();
    let hub = place.start();
    let args = [
        "admin",
        "token",
        "add",
        "night-shift",
        "--role",
        "viewer",
        "--config",
        "hub.toml",
    ];
    let output = place.run(&args);
    assert!(output.status.success(), "{}", words(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    let mut api = hub.api();
    api.token = printed.split_whitespace().last().unwrap().to_owned();
    assert_eq!(
        api.send("GET", "/api/v1/devices", None).status,
        200,
        "{printed}"
    );
    api.put("/api/v1/devices", &json!([])).problem(403);
}

#[test]
fn a_backtest_on_the_command_line_prints_the_alarms_as_lines() {
    let text = format!("rules = \"rules.d\"\n{}", plain_config());
    let place = Place::with_config(&text);
    std::fs::create_dir(place.path().join("rules.d")).unwrap();
    let hub = place.start();
    hub.register(&json!([{"id": "gas-1", "kind": "gas_pressure"}]));
    let start = tests::time::now_s_in_ms() - 60_000;
    for (offset, kpa) in [(0, 450), (5_000, 470), (9_000, 300), (20_000, 420)] {
        hub.store(
            "gas-1",
            &json!({"ts": start + offset, "values": {"pressure_kpa": kpa}}),
        );
    }
    hub.kill();
    let rule = "[rules.what_if]\ntitle = \"what if\"\nkind = \"threshold\"\nselect = {}\n\
                metric = \"pressure_kpa\"\nabove = 400.0\nseverity = \"major\"\n";
    std::fs::write(place.path().join("what-if.toml"), rule).unwrap();
    let (from, to) = (
        (start - 1_000).to_string(),
        tests::time::now_ms().to_string(),
    );
    let period = ["--from", &from, "--to", &to, "--rules", "what-if.toml"];
    let output = place.run(&[&["backtest", "--config", "hub.toml"][..], &period].concat());
    assert!(output.status.success(), "{}", words(&output));
    let said = words(&output);
    assert!(
        said.contains("coverage: ") && said.contains("4 readings, 1 devices"),
        "{said}"
    );
    let lines = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let times = |key: &str| {
        let of = |row: &Value| (!row[key].is_null()).then(|| tests::time::ms(&row[key]) - start);
        rows.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(times("raised_at"), [Some(0), Some(20_000)], "{lines}");
    assert_eq!(times("cleared_at"), [Some(9_000), None], "{lines}");
    assert_eq!(rows[0]["peak"], 470.0);
}

#[test]
fn a_stream_a_folder_or_a_scenario_that_is_not_there_ends_with_2_and_is_named() {
    let place = Place::default();
    let written = "{\"received_at\":1000}\n{\"received_at\":2";
    std::fs::write(place.path().join("cut.jsonl"), written).unwrap();
    std::fs::write(place.path().join("devices.json"), "[]").unwrap();
    let trial = ["backtest", "--input", "cut.jsonl"];
    let devices = ["--devices", "devices.json"];
    let cases = [
        (
            [&trial[..], &devices[..]].concat(),
            "cut.jsonl: line 2: the JSON object is cut off after 16 characters",
        ),
        (
            vec!["verify", "--data-dir", "nowhere"],
            "`data_dir`: there is no data directory nowhere",
        ),
        (
            vec!["simulate", "--scenario", "sunshine"],
            "there is no scenario `sunshine`; known: bike-pile,",
        ),
    ];
    for (command, complaint) in cases {
        let output = place.run(&command);
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(complaint), "{said}");
    }
}
