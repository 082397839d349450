//! Replays the fuzzers' corpus of rule files (`tests/corpus/rule_file`) with an ordinary test run.

use super::{parse_json, parse_toml};
use std::path::PathBuf;

/// The kinds that have a file of their own name.
const NAMED: [&str; 10] = [
    "all",
    "any",
    "clock",
    "frozen",
    "geofence",
    "occupancy",
    "rate",
    "silence",
    "threshold",
    "window",
];

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/rule_file")
}

#[test]
fn every_accepted_rule_of_the_corpus_survives_the_way_to_json() {
    let files = std::fs::read_dir(folder()).expect("the corpus");
    for path in files.map(|file| file.expect("a file").path()) {
        let bytes = std::fs::read(&path).expect("readable");
        let text = String::from_utf8_lossy(&bytes);
        for (id, spec) in parse_toml("corpus.toml", &text).unwrap_or_default() {
            let again = parse_json(&id, &spec.to_json());
            assert_eq!(again.as_ref(), Ok(&spec), "{}", path.display());
        }
    }
}

#[test]
fn each_kind_has_a_good_file_in_the_corpus() {
    for kind in NAMED {
        let text = std::fs::read_to_string(folder().join(kind)).expect(kind);
        let rules = parse_toml(kind, &text).unwrap_or_else(|error| panic!("{error}"));
        let mut kinds = rules.iter().map(|(_, spec)| spec.condition.kind());
        assert!(kinds.any(|found| found == kind), "{kind}");
    }
}
