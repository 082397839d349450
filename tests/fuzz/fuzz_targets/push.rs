//! Attacks the pushes of NB-IoT platforms; the first byte chooses the platform, and what a push holds must balance.
#![no_main]

use codecs::{Book, Profile};
use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey, Timestamp};
use nbiot::Subject;
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);
static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let profiles = include_str!("../../corpus/payload_profiles.json");
    let profiles: Vec<(String, Profile)> = serde_json::from_str(profiles).expect("they are read");
    let named = profiles.iter().map(|(name, profile)| (name.as_str(), profile));
    Book::new(&CATALOGUE, named).expect("they are right")
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, body)) = input.split_first() else {
        return;
    };
    // The profile is chosen too: none, or one of the table by its digit.
    let profile = char::from(b'0' + choice / 4 % 10).to_string();
    let Some(reports) = nbiot::fuzzed::read(*choice, body) else {
        return;
    };
    for report in reports {
        let subject = Subject {
            key: DeviceKey(1),
            profile: Some(&profile),
            terminal: None,
        };
        let now = Timestamp::from_millis(1_772_323_500_000);
        let decoded = report.take(&CATALOGUE, &BOOK, subject, now);
        let counted = decoded.observations.len() + decoded.rejected.len();
        assert_eq!(decoded.received as usize, counted);
        report.raw();
    }
});
