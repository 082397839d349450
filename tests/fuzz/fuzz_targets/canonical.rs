//! Attacks the decoder of canonical telemetry; whatever comes, the count must balance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use model::{Catalogue, DeviceKey};
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);

fuzz_target!(|payload: &[u8]| {
    let (decoded, _) = codecs::canonical::decode(&CATALOGUE, DeviceKey(1), payload);
    let counted = decoded.observations.len() + decoded.rejected.len();
    assert_eq!(decoded.received as usize, counted);
    assert!(counted > 0);
});
