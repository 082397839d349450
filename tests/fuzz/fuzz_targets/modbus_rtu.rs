//! Attacks the reader of Modbus RTU answers: whatever comes is bounded, and an answer is what was asked.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| driver_modbus::fuzzed::line(input));
