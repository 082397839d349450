//! The driver as a whole: what every driver promises, its configuration, the fuzzer's corpus, and a
//! real socket.

use crate::endpoint::{Endpoint, Limits};
use crate::fuzzed::{Rig, example};
use crate::peer::{Heard, Peer};
use crate::resource::Resources;
use crate::serve::{Carrier, serve};
use crate::wire::{ACK, CON, NON, POST, RST, Wire};
use crate::{Coap, Config};
use bytes::Bytes;
use codecs::Book;
use proptest::prelude::*;
use sdk::testkit::Kit;
use sdk::testkit::conformance::{Subject, check_config};
use sdk::{Context, Driver, Registration};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::UdpSocket;

const EXAMPLE: &str = r#"
kind = "coap"
listen = "127.0.0.1:5683"
requests_max = 1024
body_bytes_max = 65536
bodies_bytes_max = 16777216
exchanges_max = 65536
observers_max = 16384
command_answer_s = 10
raw_without_secret = false
"#;

const DEVICE: &str = r#"{"id":"gas-1","kind":"gas_pressure"}"#;

/// A pipe; each read of it is a datagram.
struct Pipe(DuplexStream);

impl Carrier for Pipe {
    async fn receive(&mut self) -> io::Result<Heard> {
        let mut buffer = [0; 4_096];
        let len = self.0.read(&mut buffer).await?;
        if len == 0 {
            return std::future::pending().await;
        }
        Ok(Heard {
            peer: Peer {
                address: ([127, 0, 0, 1], 1).into(),
                session: 0,
            },
            identity: None,
            bytes: Bytes::copy_from_slice(&buffer[..len]),
        })
    }

    async fn send(&mut self, _: Peer, bytes: &Bytes) -> io::Result<()> {
        self.0.write_all(bytes).await
    }
}

/// Commits under way at once.
const REQUESTS_MAX: usize = 4;

async fn serve_pipe(stream: DuplexStream, cx: Context) {
    let resources = Resources {
        cx: cx.clone(),
        book: Book::default(),
        raw_without_secret: false,
    };
    let limits = Limits {
        exchanges_max: 1_000,
        body_bytes_max: 4_096,
        bodies_bytes_max: 4_096,
        observers_max: 4,
        command_answer: Duration::from_secs(10),
    };
    let endpoint = Endpoint::new(resources, limits, Some(0x1000));
    serve(Pipe(stream), endpoint, REQUESTS_MAX, cx).await;
}

/// A request that wants to hear of success only (RFC 7967): 5.03 is another test.
fn good(number: usize) -> Vec<u8> {
    let mid = u16::try_from(number % 65_536).unwrap();
    let payload = format!(
        "{{\"ts\":{},\"pressure_kpa\":1}}",
        1_763_700_000_000 + number
    );
    Wire::to(NON, POST, mid, "devices/gas-1/telemetry?k=s-gas-1")
        .with(12, &[50])
        .with(258, &[24])
        .payload(payload.as_bytes())
        .bytes()
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_drivers_promise() {
    let subject = Subject {
        devices: vec![DEVICE],
        serve: |stream, cx| Box::pin(serve_pipe(stream, cx)),
        greeting: None,
        good,
        ack: |_| Wire::new(NON, 0x44, 0x1000).bytes(),
        // The vector err_truncated_option.
        bad: b"\x40\x01\x00\x01\xb4\x74\x65\x73".to_vec(),
        bad_answer: b"\x70\x00\x00\x01".to_vec(),
    };
    subject.check().await;
    check_config(&Registration::of::<Coap>(), EXAMPLE);
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_at_the_stop_is_acknowledged_in_time() {
    let mut kit = Kit::new(&[DEVICE]);
    let (mut peer, ours) = tokio::io::duplex(4_096);
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(serve_pipe(ours, kit.cx.clone()));
    let request = Wire::to(CON, POST, 7, "devices/gas-1/telemetry?k=s-gas-1");
    let request = request.payload(br#"{"pressure_kpa":1}"#);
    peer.write_all(&request.bytes()).await.unwrap();
    let pending = kit.next().await.unwrap();
    kit.cx.stop.cancel();
    let mut heard = [0; 64];
    // 1.5 s later: an acknowledgement that says nothing yet.
    let len = peer.read(&mut heard).await.unwrap();
    assert_eq!(heard[..len], [0x60, 0, 0, 7]);
    pending.confirm(sdk::Receipt {
        seq: 1,
        stored: 1,
        ..sdk::Receipt::default()
    });
    let len = peer.read(&mut heard).await.unwrap();
    let answer = Wire::read(&heard[..len]);
    assert_eq!((answer.kind, answer.code_text().as_str()), (CON, "2.04"));
    served.await.unwrap();
}

#[test]
fn limits_of_nothing_are_refused() {
    for wrong in [
        r#"{"kind":"coap","listen":"127.0.0.1:0","requests_max":0}"#,
        r#"{"kind":"coap","listen":"127.0.0.1:0","command_answer_s":31}"#,
        r#"{"kind":"coap","listen":"127.0.0.1:0","command_answer_s":0}"#,
    ] {
        let config: Config = serde_json::from_str(wrong).unwrap();
        assert!(crate::check(&config).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_thousand_endpoints_at_once_are_all_answered() {
    const ENDPOINTS: usize = 1_000;
    let mut kit = Kit::new(&[DEVICE]);
    let config = r#"{"kind":"coap","listen":"127.0.0.1:0"}"#;
    let driver = Coap::open(serde_json::from_str(config).unwrap(), kit.cx.clone());
    let driver = driver.await.unwrap();
    let [("listen", address)] = driver.addresses()[..] else {
        panic!("one listener");
    };
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(driver.run());
    let mut sockets = Vec::new();
    for _ in 0..ENDPOINTS {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(address).await.unwrap();
        sockets.push(socket);
    }
    let asked = async {
        for socket in &sockets {
            // The same message ID from every endpoint.
            let sent = socket.send(&example(1, 50, br#"{"pressure_kpa":1}"#)).await;
            sent.unwrap();
        }
        for socket in &sockets {
            let mut heard = [0; 64];
            let len = socket.recv(&mut heard).await.unwrap();
            let answer = Wire::read(&heard[..len]);
            assert_eq!((answer.kind, answer.code_text().as_str()), (ACK, "2.04"));
        }
    };
    let stored = async {
        for _ in 0..ENDPOINTS {
            kit.store_next().await.unwrap();
        }
    };
    tokio::join!(asked, stored);
    kit.cx.stop.cancel();
    served.await.unwrap().unwrap();
}

#[test]
fn the_fuzzers_corpus_is_taken_to_its_end() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/coap");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let input = std::fs::read(file.unwrap().path()).unwrap();
        Rig::default().session(&input);
        count += 1;
    }
    assert!(count > 10);
}

#[test]
fn the_example_of_the_bench_is_a_request_that_is_taken() {
    let mut rig = Rig::default();
    let outcome = rig.take(0, &example(1, 50, br#"{"pressure_kpa":1}"#));
    assert_eq!((outcome.sent, outcome.values), (1, 1));
    let ping = Wire::new(CON, 0, 1).token(&[]).bytes();
    assert_eq!(rig.take(0, &ping).sent_bytes, 4);
    assert_eq!(RST, 3);
}

proptest! {
    #[test]
    fn no_session_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        Rig::default().session(&input);
    }

    #[test]
    fn no_change_of_a_good_request_makes_it_panic(
        format in any::<u8>(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        payload in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut bytes = example(1, format, &payload);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        Rig::default().take(0, &bytes);
    }
}
