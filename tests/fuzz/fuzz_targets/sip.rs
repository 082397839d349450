//! Attacks SIP and its XML bodies, as a stream and as a datagram: whatever comes is taken to its end, and
//! every value is counted once.
#![no_main]

use bytes::BytesMut;
use driver_gb28181::fuzzed::Rig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    for is_stream in [true, false] {
        let (mut rig, mut received) = (Rig::new(is_stream), BytesMut::from(input));
        rig.take(&mut received);
        rig.give_up(&mut received);
    }
});
