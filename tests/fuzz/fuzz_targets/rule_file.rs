//! Attacks the reader of rule files; what it accepts must survive the way to JSON and back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(rules) = rules::parse_toml("fuzz.toml", text) {
        for (id, spec) in rules {
            let again = rules::parse_json(&id, &spec.to_json());
            assert_eq!(again.as_ref(), Ok(&spec));
        }
    }
});
