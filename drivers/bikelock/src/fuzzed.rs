//! The whole way from bytes to submissions without a socket, for fuzzers and benches.

use crate::talk::Conversation;
use crate::{Config, shared};
use model::Timestamp;
use sdk::Talk;
use sdk::testkit::Kit;
use sdk::testkit::rig::Rig;

/// One connection of a registered bike whose lock is 863725031194523.
pub fn rig() -> Rig<impl Talk> {
    let bike = r#"{"id":"bike","kind":"bike","identities":{"bikelock":"863725031194523"}}"#;
    let kit = Kit::new(&[bike]);
    let shared = shared(&config(), &kit.cx);
    // 2021-01-18T14:05:17Z, a second after a line of the vectors.
    let now = Timestamp::from_millis(1_610_978_717_000);
    Rig::new(Conversation::new(shared, None), now)
}

/// A configuration without a file.
pub(crate) fn config() -> Config {
    Config {
        kind: "bikelock".to_owned(),
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        reply: crate::Reply::Command,
        time_past_max_d: 30,
        time_ahead_max_s: 600,
    }
}

/// The place of the rig's bike, a second before the rig's time.
pub fn example() -> Vec<u8> {
    b"*CMDR,OM,863725031194523,210118140516,D0,0,140516.00,A,2237.7514,N,11408.6214,E,6,0.21,180121,10,M,A#\n".to_vec()
}
