//! The whole way from bytes to submissions without a socket, for fuzzers and benches.

use crate::talk;
use codecs::pressure_frame::crc;
use model::Timestamp;
use sdk::Talk;
use sdk::testkit::Kit;
use sdk::testkit::rig::Rig;

/// One connection of the registered terminal SHGS26030001.
pub fn rig() -> Rig<impl Talk> {
    let terminal = r#"{"id":"gas-7","kind":"gas_pressure",
        "identities":{"pressure_frame":"SHGS26030001"}}"#;
    let kit = Kit::new(&[terminal]);
    // 2026-03-01T00:00:01Z, a second after the last record of the example.
    let now = Timestamp::from_millis(1_772_323_201_000);
    Rig::new(talk(&kit.cx, talk::Answer::Frame, None), now)
}

/// A report of the rig's terminal: ten records five minutes apart, up to 2026-03-01T00:00:00Z.
pub fn example() -> Vec<u8> {
    let mut bytes = b"\xa5\x5a\x00\x00\x3bSHGS26030001\x8a\xba\x01\x2c\x00\x0a\x00\x00".to_vec();
    bytes.extend([0, 0x14, 0, 0x23, 0, 0x12]);
    bytes.extend(1_772_323_200_u32.to_be_bytes());
    for record in 0..10 {
        bytes.extend([0, 0x12 + record]);
    }
    let sum = crc(&bytes).to_be_bytes();
    bytes.extend(sum);
    bytes.extend([0x55, 0xaa]);
    bytes
}
