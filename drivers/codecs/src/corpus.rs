//! Replays the fuzzers' corpus (`tests/corpus`) with an ordinary test run.

use crate::sparkplug::{Birth, Payload};
use crate::{Book, Decoded, Profile, Sender, canonical, pressure_frame, thingsboard};
use model::{Catalogue, DeviceKey, Timestamp};
use std::path::PathBuf;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/corpus")
        .join(target);
    let files = std::fs::read_dir(&folder).unwrap();
    let files: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

#[test]
fn every_canonical_payload_of_the_corpus_is_counted() {
    let catalogue = Catalogue::built_in();
    for (path, payload) in corpus("canonical") {
        let (decoded, _) = canonical::decode(&catalogue, DeviceKey(1), &payload);
        let counted = decoded.observations.len() + decoded.rejected.len();
        assert_eq!(decoded.received as usize, counted, "{}", path.display());
        assert!(counted > 0, "{}", path.display());
    }
}

#[test]
fn every_gateway_payload_of_the_corpus_is_counted() {
    let catalogue = Catalogue::built_in();
    for (path, payload) in corpus("gateway") {
        let mut resolve = |_: &str| Some((DeviceKey(1), None));
        let at = (&catalogue, Timestamp::from_millis(0));
        let book = Book::default();
        let parts = thingsboard::decode_gateway(&book, at, &payload, &mut resolve);
        for part in parts.unwrap_or_default() {
            let counted = part.observations.len() + part.rejected.len();
            assert_eq!(part.received as usize, counted, "{}", path.display());
        }
    }
}

#[test]
fn every_payload_of_a_profile_in_the_corpus_is_counted() {
    let catalogue = Catalogue::built_in();
    let profiles = include_str!("../../../tests/corpus/payload_profiles.json");
    let profiles: Vec<(String, Profile)> = serde_json::from_str(profiles).unwrap();
    let named = profiles
        .iter()
        .map(|(name, profile)| (name.as_str(), profile));
    let book = Book::new(&catalogue, named).unwrap();
    for (path, input) in corpus("payload") {
        let (profile, payload) = input.split_first().unwrap();
        let profile = char::from(*profile).to_string();
        let sender = Sender {
            profile: Some(&profile),
            arrival: Timestamp::from_millis(1_772_323_500_000),
        };
        let mut out = Decoded::new(DeviceKey(1));
        let done = book.decode_into(&catalogue, sender, payload, &mut out);
        let counted = out.observations.len() + out.rejected.len();
        assert_eq!(out.received as usize, counted, "{}", path.display());
        assert!(done.is_ok() || counted == 1, "{}", path.display());
    }
}

#[test]
fn every_pressure_frame_of_the_corpus_is_counted_or_refused() {
    let catalogue = Catalogue::built_in();
    for (path, payload) in corpus("pressure_frame") {
        let bytes = pressure_frame::bytes_of(&payload);
        if let Ok(frame) = pressure_frame::parse(&bytes) {
            let now = Timestamp::from_millis(1_772_323_500_000);
            let decoded = pressure_frame::decode(&catalogue, DeviceKey(1), &frame, now);
            let counted = decoded.observations.len() + decoded.rejected.len();
            assert_eq!(decoded.received as usize, counted, "{}", path.display());
            assert!(counted > 0, "{}", path.display());
        }
    }
}

#[test]
fn every_sparkplug_message_of_the_corpus_is_counted() {
    let catalogue = Catalogue::built_in();
    let profile = include_str!("../../../tests/corpus/sparkplug_profile.json");
    let profile: Profile = serde_json::from_str(profile).unwrap();
    let book = Book::new(&catalogue, [("p", &profile)]).unwrap();
    for (path, input) in corpus("sparkplug") {
        let (length, rest) = input.split_first_chunk::<2>().unwrap();
        let (birth, data) = rest.split_at(usize::from(u16::from_be_bytes(*length)));
        let birth = Payload::read(birth).ok().map(|birth| Birth::of(&birth));
        let message = Payload::read(data).unwrap();
        for profile in [None, Some("p")] {
            let mut out = Decoded::new(DeviceKey(1));
            book.take_sparkplug(&catalogue, profile, (&message, birth.as_ref()), &mut out);
            let counted = out.observations.len() + out.rejected.len();
            assert_eq!(out.received as usize, counted, "{}", path.display());
        }
    }
}
