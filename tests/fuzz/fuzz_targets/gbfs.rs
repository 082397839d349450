//! Attacks the feeds of GBFS: each vehicle counts once, and zones can be asked at any place.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| driver_gbfs::fuzzed::take(input));
