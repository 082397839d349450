//! Attacks the decoder of ThingsBoard gateway telemetry; the count of every child must balance.
#![no_main]

use codecs::Book;
use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey, Timestamp};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fuzz_target!(|payload: &[u8]| {
    let mut resolve = |name: &str| (name.len() % 3 != 0).then_some((DeviceKey(1), None));
    let at = (&*CATALOGUE, Timestamp::from_millis(1_772_323_500_000));
    let decoded =
        codecs::thingsboard::decode_gateway(&Book::default(), at, payload, &mut resolve);
    if let Ok(parts) = decoded {
        for part in parts {
            let counted = part.observations.len() + part.rejected.len();
            assert_eq!(part.received as usize, counted);
        }
    }
});
