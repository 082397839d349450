//! Prints the figures of the hub beside those of a bare broker fed by the same load.
#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench prints, stops at the first thing that is wrong, and rounds"
)]

mod broker;
mod cases;
mod city;
mod delivery;
mod figures;
mod health;
mod machine;
mod soak;

use std::process::ExitCode;

const USAGE: &str =
    "usage: bench figures | bench soak DEVICES CONNECTED MINUTES | bench health DEVICES | bench cases CASES | bench delivery
The hub is CITYHUB_BIN, or built in the profile CITYHUB_PROFILE. SECONDS is the length of a run.";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["figures"] => figures::print(),
        ["soak", devices, connected, minutes] => {
            let number = |text: &str| text.parse().expect("DEVICES CONNECTED MINUTES are numbers");
            soak::run(number(devices), number(connected), number(minutes));
        }
        ["health", devices] => health::run(devices.parse().expect("DEVICES is a number")),
        ["cases", cases] => cases::run(cases.parse().expect("CASES is a number")),
        ["delivery"] => delivery::run(),
        ["bare-broker", addr] => broker::serve(addr.parse().expect("an address")),
        _ => {
            println!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
