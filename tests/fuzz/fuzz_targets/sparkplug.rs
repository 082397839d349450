//! Attacks Sparkplug B: a birth, then data that may use its aliases; what a message holds must balance.
#![no_main]

use codecs::sparkplug::{Birth, Payload};
use codecs::{Book, Decoded, Profile};
use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);
static BOOK: LazyLock<Book> = LazyLock::new(|| {
    let profile = include_str!("../../corpus/sparkplug_profile.json");
    let profile: Profile = serde_json::from_str(profile).expect("it is read");
    Book::new(&CATALOGUE, [("p", &profile)]).expect("it is right")
});

// Two bytes give the length of the birth.
fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else {
        return;
    };
    let Some((birth, data)) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
    else {
        return;
    };
    let birth = Payload::read(birth).ok().map(|birth| Birth::of(&birth));
    let Ok(message) = Payload::read(data) else {
        return;
    };
    for profile in [None, Some("p")] {
        let mut out = Decoded::new(DeviceKey(1));
        let said = (&message, birth.as_ref());
        BOOK.take_sparkplug(&CATALOGUE, profile, said, &mut out);
        let counted = out.observations.len() + out.rejected.len();
        assert_eq!(out.received as usize, counted);
    }
});
