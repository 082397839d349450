//! Attacks register maps and what they make of registers: every reading is a value or a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| driver_modbus::fuzzed::map(input));
