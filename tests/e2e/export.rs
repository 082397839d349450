//! What others read: CSV and Parquet of a range, beside a running hub, whole or not there.

use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use tests::audit;
use tests::fleet::overpressure;
use tests::hub::{Hub, Place, plain_config, words};

/// 2026-03-01T00:00:00Z; long ago, so that nothing else is in the range.
const START: i64 = 1_772_323_200_000;

fn sealing() -> Place {
    Place::with_config(&format!("{}[store]\nseal_cells = 1000\n", plain_config()))
}

fn export(place: &Place, args: &[&str]) -> Output {
    place.run(&[&["export"], args, &["--config", "hub.toml"]].concat())
}

#[track_caller]
fn table(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", words(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// 1,500 pressures of a day, of which 1,000 or more are sealed, and one place of a bike.
fn filled(place: &Place) -> Hub {
    let hub = place.start();
    hub.register(&json!([
        {"id": "gas-1", "kind": "gas_pressure"},
        {"id": "bike-1", "kind": "bike"},
    ]));
    hub.rule("gas_overpressure", &overpressure());
    let readings: Vec<Value> = (0..1500)
        .map(|index| json!({"ts": START + index * 1000, "values": {"pressure_kpa": 300.25}}))
        .collect();
    for chunk in readings.chunks(250) {
        hub.store("gas-1", &Value::Array(chunk.to_vec()));
    }
    let place = json!({"lon": 118.0894, "lat": 24.4798, "accuracy_m": 5, "locked": true});
    hub.store(
        "bike-1",
        &json!({"ts": START + 500, "values": {"position": place}}),
    );
    // Out of its range, so that its quality is bad.
    hub.store(
        "gas-1",
        &json!({"ts": START + 86_400_000, "values": {"pressure_kpa": 99999}}),
    );
    hub
}

const HEADER: &str =
    "time,device,kind,metric,value,unit,quality,received,lon,lat,accuracy_m,locked\r\n";

#[test]
fn readings_of_a_range_are_exported_as_csv_with_times_in_utc() {
    let place = sealing();
    let hub = filled(&place);
    let range = [
        "--from",
        "2026-03-01T00:00:00Z",
        "--to",
        "2026-03-02T00:00:00Z",
    ];
    let all = table(&export(&place, &[&["readings"], &range[..]].concat()));
    assert!(all.starts_with(HEADER), "{all:.200}");
    let rows: Vec<&str> = all.split_terminator("\r\n").skip(1).collect();
    assert_eq!(rows.len(), 1501);
    let of_gas = rows
        .iter()
        .filter(|row| row.contains(",gas-1,gas_pressure,pressure_kpa,300.25,kPa,good,"));
    assert_eq!(of_gas.count(), 1500);
    let first = "2026-03-01T00:00:00.000Z,gas-1,gas_pressure,pressure_kpa,300.25,kPa,good,20";
    assert!(rows.iter().any(|row| row.starts_with(first)), "{}", rows[0]);
    let bike: Vec<_> = rows.iter().filter(|row| row.contains(",bike-1,")).collect();
    let [bike] = bike[..] else { panic!("{bike:?}") };
    assert!(
        bike.starts_with("2026-03-01T00:00:00.500Z,bike-1,bike,position,,°,good,"),
        "{bike}"
    );
    assert!(bike.ends_with(",118.0894,24.4798,5,true"), "{bike}");

    // From the first included to the last not included, and only what was asked for.
    let narrow = ["--from", "2026-03-01T00:00:10Z", "--to", "1772323220000"];
    let some = [
        "--device",
        "gas-1",
        "--kind",
        "gas_pressure",
        "--metric",
        "pressure_kpa",
    ];
    let narrow = table(&export(
        &place,
        &[&["readings"], &narrow[..], &some[..]].concat(),
    ));
    assert_eq!(narrow.matches("\r\n").count(), 11);
    let bad = [
        "--from",
        "2026-03-02T00:00:00Z",
        "--to",
        "2026-03-03T00:00:00Z",
    ];
    let bad = table(&export(&place, &[&["readings"], &bad[..]].concat()));
    assert!(bad.contains(",99999,kPa,bad:range,"), "{bad}");

    // A hub that does not run has the same to say.
    let (status, log) = hub.stop();
    assert!(status.success(), "{log}");
    let stopped = table(&export(&place, &[&["readings"], &range[..]].concat()));
    let sorted = |table: &str| {
        let mut rows: Vec<String> = table.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&stopped), sorted(&all));
}

#[test]
fn events_are_exported_with_their_json_as_a_reader_of_rfc_4180_takes_them() {
    let place = sealing();
    let hub = filled(&place);
    let events = audit::events(&hub.api());
    let csv = table(&export(&place, &["events"]));
    let script = "import csv, json, sys\n\
        rows = list(csv.DictReader(sys.stdin, strict=True))\n\
        print(json.dumps([[int(row['sequence']), row['type'], json.loads(row['event'])] for row in rows]))";
    let mut python = Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut stdin = python.stdin.take().unwrap();
    stdin.write_all(csv.as_bytes()).unwrap();
    drop(stdin);
    let output = python.wait_with_output().unwrap();
    let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected: Vec<Value> = events
        .iter()
        .map(|event| json!([audit::sequence(event), event["type"], event]))
        .collect();
    assert_eq!(rows, Value::Array(expected));
    let of_bike = table(&export(&place, &["events", "--device", "bike-1"]));
    assert_eq!(
        of_bike.matches("cityhub.device.online").count(),
        2,
        "type and JSON: {of_bike}"
    );
    assert!(!of_bike.contains("gas-1"));
}

#[test]
fn a_file_is_there_when_it_is_whole_and_what_nobody_can_mean_is_refused() {
    let place = sealing();
    let _hub = filled(&place);
    let args = [
        "readings",
        "--format",
        "parquet",
        "--out",
        "readings.parquet",
    ];
    table(&export(&place, &args));
    let bytes = std::fs::read(place.path().join("readings.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    assert!(!place.path().join("readings.parquet.partial").exists());
    for (args, word) in [
        (vec!["readings", "--device", "gas-9"], "gas-9"),
        (vec!["readings", "--kind", "submarine"], "submarine"),
        (vec!["readings", "--metric", "depth_m"], "depth_m"),
        (
            vec![
                "readings",
                "--from",
                "2026-03-02T00:00:00Z",
                "--to",
                "2026-03-01T00:00:00Z",
            ],
            "--from",
        ),
        (vec!["readings", "--from", "yesterday"], "yesterday"),
    ] {
        let output = export(&place, &args);
        assert_eq!(output.status.code(), Some(2), "{}", words(&output));
        assert!(words(&output).contains(word), "{}", words(&output));
    }
}
