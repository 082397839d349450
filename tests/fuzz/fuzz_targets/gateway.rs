//! Attacks the decoder of ThingsBoard gateway telemetry; the count of every child must balance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fuzz_target!(|payload: &[u8]| {
    let mut resolve = |name: &str| (name.len() % 3 != 0).then_some(DeviceKey(1));
    if let Ok(parts) = codecs::thingsboard::decode_gateway(&CATALOGUE, payload, &mut resolve) {
        for part in parts {
            let counted = part.observations.len() + part.rejected.len();
            assert_eq!(part.received as usize, counted);
        }
    }
});
