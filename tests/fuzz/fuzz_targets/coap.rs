//! Attacks messages, options, blocks and payloads of CoAP: sessions of datagrams from four ports, with
//! time between them. What is submitted is counted, and no datagram makes more than two.
#![no_main]

use driver_coap::fuzzed::Rig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    Rig::default().session(input);
});
