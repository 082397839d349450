//! The whole way from bytes to submissions without a socket, for fuzzers and benches.

use crate::talk::Conversation;
use crate::{Config, shared};
use model::Timestamp;
use sdk::Talk;
use sdk::testkit::Kit;
use sdk::testkit::rig::Rig;

/// One connection of a registered truck whose number is 112233445566.
pub fn rig() -> Rig<impl Talk> {
    let truck = r#"{"id":"truck","kind":"truck","identities":{"jt808":"112233445566"}}"#;
    let kit = Kit::new(&[truck]);
    let shared = shared(&config(), &kit.cx).expect("the tables fit the built-in catalogue");
    // 2018-07-15T10:10:11+08:00, a second after the frame of the vectors.
    let now = Timestamp::from_millis(1_531_620_611_000);
    Rig::new(Conversation::new(shared, None), now)
}

/// A configuration without a file.
pub(crate) fn config() -> Config {
    Config {
        kind: "jt808".to_owned(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        authentication: crate::Authentication::Phone,
        time_past_max_d: 30,
        time_ahead_max_s: 600,
    }
}

/// The location of the rig's truck in the vectors.
pub fn example() -> Vec<u8> {
    let hex = "0200001c1122334455660000000000010000000200ba7f0e07e4f11c0028003c0000180715101010";
    let digits = hex.as_bytes().chunks(2);
    let bytes = digits.filter_map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
    let mut plain: Vec<u8> = bytes.collect();
    plain.push(plain.iter().fold(0, |sum, byte| sum ^ byte));
    // None of these bytes has to be escaped.
    [&[0x7e], plain.as_slice(), &[0x7e]].concat()
}
