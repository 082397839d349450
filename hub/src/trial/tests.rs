//! Streams of files: judged like live, and wrong ones named by their line.

use super::Trial;
use crate::config::Config;
use crate::grid::Grids;
use crate::rulebook;
use model::Catalogue;
use std::path::Path;
use std::sync::Arc;

const RULE: &str = "[rules.over]\ntitle='A'\nkind='threshold'\nselect={}\n\
                    metric='pressure_kpa'\nabove=400.0\non_delay_s=10\nseverity='major'\n";
/// A device that is over the limit from 10 s to 30 s.
const STREAM: [&str; 5] = [
    r#"{"received_at":0}"#,
    r#"{"received_at":10000,"device":"gas-1","ts":10000,"values":{"pressure_kpa":450}}"#,
    r#"{"received_at":10500,"device":"gas-1","ts":10000,"values":{"pressure_kpa":450}}"#,
    r#"{"received_at":30000,"device":"gas-1","ts":30000,"values":{"pressure_kpa":300}}"#,
    r#"{"received_at":60000}"#,
];

fn trial(folder: &Path) -> Trial {
    let catalogue = Catalogue::built_in();
    let rules = folder.join("rules.toml");
    std::fs::write(&rules, RULE).unwrap();
    std::fs::write(folder.join("devices.csv"), "id,kind\ngas-1,gas_pressure\n").unwrap();
    Trial {
        settings: Config::default().rule_settings(),
        grids: Grids::default(),
        devices: folder.join("devices.csv"),
        profiles: sdk::Profiles::default(),
        rules: rulebook::read_file(&rules, &catalogue).unwrap(),
        catalogue: Arc::new(catalogue),
    }
}

fn judged(lines: &[&str]) -> Result<super::Verdict, String> {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("stream.jsonl");
    std::fs::write(&input, lines.join("\n")).unwrap();
    let verdict = trial(folder.path()).run(&input);
    verdict.map_err(|error| format!("{error:#}"))
}

#[test]
fn a_stream_rings_as_live_and_a_reading_sent_twice_counts_once() {
    let verdict = judged(&STREAM).unwrap();
    assert_eq!(verdict.readings, 2);
    let [row] = verdict.rows.as_slice() else {
        panic!("{:?}", verdict.rows);
    };
    assert_eq!(row["device"], "gas-1");
    assert_eq!(row["raised_at"], "1970-01-01T00:00:20.000Z");
    assert_eq!(row["cleared_at"], "1970-01-01T00:00:30.000Z");
    assert_eq!(row["announced"], true);
}

#[test]
fn deadlines_fire_up_to_the_last_line_and_no_further() {
    let [begin, over, ..] = STREAM;
    let until = |line| judged(&[begin, over, line]).unwrap().rows.len();
    assert_eq!(until(r#"{"received_at":19999}"#), 0);
    assert_eq!(until(r#"{"received_at":20000}"#), 1);
}

#[test]
fn a_wrong_line_is_named() {
    let [begin, over, ..] = STREAM;
    for (line, word) in [
        (r#"{"received_at":5}"#, "order of receipt"),
        (
            r#"{"received_at":20000,"device":"gas-2","values":{}}"#,
            "gas-2",
        ),
        (r#"{"received_at":20000,"device":"gas-1"}"#, "`values`"),
        (
            r#"{"received_at":20000,"device":"gas-1","values":{"pressure_psi":1}}"#,
            "pressure_psi",
        ),
        ("nonsense", "it is no JSON: wrong at character"),
        (r#"{"received_at":2"#, "cut off after 16 characters"),
    ] {
        let error = judged(&[begin, over, line]).unwrap_err();
        assert!(error.contains("line 3") && error.contains(word), "{error}");
    }
    let error = judged(&[over]).unwrap_err();
    assert!(error.contains("line 1"), "{error}");
    assert!(judged(&[]).unwrap_err().contains("empty"));
}
