//! Attacks the decoder of raw pressure frames; the count of what a frame holds must balance.
#![no_main]

use codecs::pressure_frame;
use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey, Timestamp};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fuzz_target!(|payload: &[u8]| {
    let bytes = pressure_frame::bytes_of(payload);
    if let Ok(frame) = pressure_frame::parse(&bytes) {
        let now = Timestamp::from_millis(1_772_323_500_000);
        let decoded = pressure_frame::decode(&CATALOGUE, DeviceKey(1), &frame, now);
        let counted = decoded.observations.len() + decoded.rejected.len();
        assert_eq!(decoded.received as usize, counted);
        assert!(counted > 0);
    }
});
