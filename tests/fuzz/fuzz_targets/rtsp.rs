//! Attacks answers of RTSP and calls of WS-Discovery: more bytes do not change an answer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| driver_camera::fuzzed::take(input));
