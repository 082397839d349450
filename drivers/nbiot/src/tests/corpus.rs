//! Replays the fuzzer's corpus (`tests/corpus/push`) with an ordinary test run.

use crate::{Subject, fuzzed};
use codecs::{Book, Profile};
use model::{Catalogue, DeviceKey, Timestamp};
use std::path::PathBuf;

#[test]
fn every_push_of_the_corpus_is_counted() {
    let catalogue = Catalogue::built_in();
    let profiles = include_str!("../../../../tests/corpus/payload_profiles.json");
    let profiles: Vec<(String, Profile)> = serde_json::from_str(profiles).unwrap();
    let named = profiles
        .iter()
        .map(|(name, profile)| (name.as_str(), profile));
    let book = Book::new(&catalogue, named).unwrap();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/push");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let (choice, body) = input.split_first().unwrap();
        let profile = char::from(b'0' + choice / 4 % 10).to_string();
        for report in fuzzed::read(*choice, body).unwrap_or_default() {
            let subject = Subject {
                key: DeviceKey(1),
                profile: Some(&profile),
                terminal: None,
            };
            let now = Timestamp::from_millis(1_772_323_500_000);
            let decoded = report.take(&catalogue, &book, subject, now);
            let counted = decoded.observations.len() + decoded.rejected.len();
            assert_eq!(decoded.received as usize, counted, "{}", path.display());
            read += 1;
        }
    }
    assert!(read > 10, "{read} reports");
}
