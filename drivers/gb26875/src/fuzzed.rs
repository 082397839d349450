//! The whole way from bytes to submissions without a socket, for fuzzers and benches.

use crate::frame::{Address, Head, Stamp, command, write};
use crate::talk::Conversation;
use crate::{Config, shared};
use model::Timestamp;
use sdk::Talk;
use sdk::testkit::Kit;
use sdk::testkit::rig::Rig;

/// One connection of a registered device whose address is 00 00 00 0c 38 f6, and of what is behind
/// it.
pub fn rig() -> Rig<impl Talk> {
    let kit = Kit::new(&[
        r#"{"id":"panel","kind":"gateway","identities":{"gb26875":"0000000c38f6"}}"#,
        r#"{"id":"room","kind":"smoke",
            "identities":{"gb26875":"0000000c38f6/1.0.0.fb8a0100"}}"#,
    ]);
    let config = r#"{"kind":"gb26875","listen":"127.0.0.1:0"}"#;
    let config: Config = serde_json::from_str(config).expect("the configuration is valid");
    let shared = shared(&config, &kit.cx).expect("the tables fit the built-in catalogue");
    // 2021-10-28T10:35:45+08:00, a second after the frame of a real fire.
    let now = Timestamp::from_millis(1_635_388_545_000);
    Rig::new(Conversation::new(shared, None), now)
}

/// A frame of the rig's device with the states of so many components.
pub fn example(components: u8) -> Vec<u8> {
    let now = Stamp([45, 35, 10, 28, 10, 21]);
    let mut unit = Vec::new();
    if components > 0 {
        unit.extend([2, components]);
    }
    for number in 0..components {
        unit.extend([1, 0, 40, number, 0, 0, 0, 1, 0]);
        unit.extend([0; 31]);
        unit.extend(now.0);
    }
    let head = Head {
        serial: 1,
        version: [1, 1],
        time: now,
        source: Address([0xf6, 0x38, 0x0c, 0, 0, 0]),
        destination: Address([0; 6]),
        command: command::SEND,
        unit_bytes: unit.len(),
    };
    write(&head, &unit).to_vec()
}
