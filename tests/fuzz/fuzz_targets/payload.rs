//! Attacks every payload format that a profile can choose; what a payload holds must balance.
#![no_main]

use codecs::{Book, Decoded, Format, Profile, Sender};
use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey, Timestamp};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);
static BOOK: LazyLock<Book> = LazyLock::new(|| book(&CATALOGUE));

/// One profile of each format, by the byte that chooses it.
fn book(catalogue: &Catalogue) -> Book {
    let profiles = include_str!("../../corpus/payload_profiles.json");
    let profiles: Vec<(String, Profile)> = serde_json::from_str(profiles).expect("they are read");
    let named = profiles.iter().map(|(name, profile)| (name.as_str(), profile));
    Book::new(catalogue, named).expect("they are right")
}

// The first byte chooses the profile.
fuzz_target!(|input: &[u8]| {
    let Some((profile, payload)) = input.split_first() else {
        return;
    };
    let profile = char::from(*profile).to_string();
    let sender = Sender {
        profile: Some(&profile),
        arrival: Timestamp::from_millis(1_772_323_500_000),
    };
    let named = [Format::Json, Format::Cbor, Format::Senml, Format::guess(payload)];
    for format in named.map(Some).into_iter().chain([None]) {
        let mut out = Decoded::new(DeviceKey(1));
        let done = match format {
            Some(format) => BOOK.decode_as(&CATALOGUE, (sender, format), payload, &mut out),
            None => BOOK.decode_into(&CATALOGUE, sender, payload, &mut out),
        };
        let counted = out.observations.len() + out.rejected.len();
        assert_eq!(out.received as usize, counted);
        assert!(done.is_ok() || counted == 1);
    }
});
