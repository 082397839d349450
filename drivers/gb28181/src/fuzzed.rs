//! The whole way from bytes to submissions without a socket, for fuzzers, benches and tests.

use crate::registrar::Shared;
use crate::talk::Conversation;
use crate::{Config, Gb28181, shared};
use bytes::BytesMut;
use model::{Catalogue, Timestamp};
use sdk::testkit::Kit;
use sdk::{Driver, Step, Talk};
use std::net::SocketAddr;
use std::sync::Arc;

/// Where the device is.
const PEER: SocketAddr = SocketAddr::new(
    std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 20)),
    5060,
);

/// 2026-03-01T00:00:00Z
const NOW: Timestamp = Timestamp::from_millis(1_772_323_200_000);

/// Gives a kit the metrics of this driver.
pub(crate) fn with_metrics(kit: &mut Kit) {
    let mut catalogue = Catalogue::built_in();
    let extended = catalogue.extend(&Gb28181::metrics());
    extended.expect("the driver's metrics fit the catalogue");
    kit.cx.catalogue = Arc::new(catalogue);
}

/// A registrar without a password that knows a camera and a recorder with a channel.
#[derive(Debug)]
pub struct Rig {
    talk: Conversation,
    now: Timestamp,
}

impl Rig {
    /// Speaks as on a connection, or as with datagrams.
    pub fn new(is_stream: bool) -> Self {
        let mut kit = Kit::new(&[
            r#"{"id":"cam","kind":"camera","identities":{"gb28181":"34020000001320000001"}}"#,
            r#"{"id":"nvr","kind":"camera","identities":{"gb28181":"34020000001110000001"}}"#,
            r#"{"id":"ch2","kind":"camera","parent":"nvr",
                "identities":{"gb28181":"34020000001320000002"}}"#,
        ]);
        with_metrics(&mut kit);
        let config = r#"{"kind":"gb28181","listen":"127.0.0.1:0"}"#;
        let config: Config = serde_json::from_str(config).expect("the configuration is valid");
        let shared: Arc<Shared> = shared(&config, &kit.cx, &[7; 32]).expect("it fits");
        Self {
            talk: Conversation::new(shared, PEER, is_stream),
            now: NOW,
        }
    }

    /// Takes all that is whole and gives how many values it had; each is counted once.
    pub fn take(&mut self, received: &mut BytesMut) -> usize {
        let mut values = 0;
        loop {
            let before = received.len();
            let Some(step) = self.talk.next(received, self.now) else {
                return values;
            };
            let is_spoken = matches!(step, Step::Say(_) | Step::Refused { .. });
            assert!(
                is_spoken || received.len() < before,
                "a step takes something"
            );
            if let Step::Commit { submission, .. } = step {
                for part in submission.parts {
                    let counted = part.observations.len() + part.rejected.len();
                    assert_eq!(part.received as usize, counted);
                    values += counted;
                }
            }
        }
    }

    /// Takes what can be taken when nothing more comes.
    pub fn give_up(&mut self, received: &mut BytesMut) {
        let _step = self.talk.stalled(received, self.now);
    }
}

/// A heartbeat of the rig's camera, by its number.
pub fn heartbeat(number: usize) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n\
         <SN>{number}</SN>\r\n<DeviceID>34020000001320000001</DeviceID>\r\n<Status>OK</Status>\r\n\
         </Notify>\r\n"
    );
    format!(
        "MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\n\
         Via: SIP/2.0/TCP 192.168.1.20:5060;rport;branch=z9hG4bK{number}\r\n\
         From: <sip:34020000001320000001@3402000000>;tag=m{number}\r\n\
         To: <sip:34020000002000000001@3402000000>\r\n\
         Call-ID: {number}@192.168.1.20\r\nCSeq: 20 MESSAGE\r\nMax-Forwards: 70\r\n\
         Content-Type: Application/MANSCDP+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
