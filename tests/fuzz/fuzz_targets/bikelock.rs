//! Attacks lines of bike locks: whatever comes is taken to its end, and every value is
//! counted once. The first byte says where the stream is cut.
#![no_main]

use bytes::BytesMut;
use driver_bikelock::fuzzed::Rig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, stream)) = input.split_first() else {
        return;
    };
    let (first, rest) = stream.split_at(usize::from(*cut).min(stream.len()));
    let (mut rig, mut received) = (Rig::default(), BytesMut::new());
    for piece in [first, rest] {
        received.extend_from_slice(piece);
        rig.take(&mut received);
    }
});
