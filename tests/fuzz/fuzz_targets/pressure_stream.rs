//! Attacks the stream of pressure terminals: whatever comes is taken to its end, and every value is
//! counted once. The first byte says where the stream is cut.
#![no_main]

use driver_pressure::fuzzed::rig;
use libfuzzer_sys::fuzz_target;
use sdk::testkit::rig::attack;

fuzz_target!(|input: &[u8]| attack(rig, input));
