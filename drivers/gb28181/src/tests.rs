//! The driver as all drivers are examined, and on real sockets.

use crate::fuzzed::{Rig, heartbeat, with_metrics};
use crate::{Config, Gb28181, IDLE_TIMEOUT, RECEIVED_BYTES_MAX, serve, shared};
use bytes::BytesMut;
use proptest::prelude::{Strategy, any, proptest};
use sdk::testkit::Kit;
use sdk::testkit::conformance::{Subject, check_config};
use sdk::{Driver, Listening, Registration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const DEVICE: &str =
    r#"{"id":"cam","kind":"camera","identities":{"gb28181":"34020000001320000001"}}"#;

const EXAMPLE: &str = r#"
kind = "gb28181"
listen = "127.0.0.1:0"
password = "12345678"
"#;

fn config() -> Listening<Config> {
    serde_json::from_str(r#"{"kind":"gb28181","listen":"127.0.0.1:0"}"#).unwrap()
}

/// The answer to a heartbeat.
fn ack(number: usize, tag: &str) -> Vec<u8> {
    format!(
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/TCP 192.168.1.20:5060;rport=5060;branch=z9hG4bK{number};received=192.168.1.20\r\n\
         From: <sip:34020000001320000001@3402000000>;tag=m{number}\r\n\
         To: <sip:34020000002000000001@3402000000>;tag={tag}\r\n\
         Call-ID: {number}@192.168.1.20\r\nCSeq: 20 MESSAGE\r\nServer: cityhub\r\n\
         Content-Length: 0\r\n\r\n"
    )
    .into_bytes()
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_drivers_promise() {
    let subject = Subject {
        devices: vec![DEVICE],
        serve: |stream, cx| {
            Box::pin(async move {
                let mut kit = Kit::new(&[DEVICE]);
                with_metrics(&mut kit);
                let mut cx = cx;
                cx.catalogue = kit.cx.catalogue;
                let shared = shared(&config().own, &cx, &[7; 32]).unwrap();
                let peer = "192.168.1.20:5060".parse().unwrap();
                let limits = config().limits;
                let limits = limits.conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
                serve(stream, peer, shared, limits, cx).await;
            })
        },
        greeting: Some((b"\r\n\r\n".to_vec(), b"\r\n".to_vec())),
        good: heartbeat,
        // The tag of the first: HMAC-SHA-256 under 32 bytes of 7 of branch, Call-ID, CSeq and From,
        // with zeros between them, and the peer's address; computed apart.
        ack: |number| ack(number, "7a0ed7e27331d54a0e7e8cea"),
        bad: b"GET / HTTP/1.1\r\n".to_vec(),
        bad_answer: Vec::new(),
    };
    subject.check().await;
    check_config(&Registration::of::<Gb28181>(), EXAMPLE);
}

async fn open(kit: &mut Kit) -> (Gb28181, std::net::SocketAddr) {
    with_metrics(kit);
    let driver = Gb28181::open(config(), kit.cx.clone()).await.unwrap();
    let addresses = driver.addresses();
    let [("listen", tcp), ("listen_udp", udp)] = addresses.as_slice() else {
        panic!("{addresses:?}");
    };
    assert_eq!(tcp, udp);
    (driver, *tcp)
}

#[tokio::test]
async fn heartbeats_are_answered_after_the_commit_over_tcp_and_udp() {
    let mut kit = Kit::new(&[DEVICE]);
    let (driver, address) = open(&mut kit).await;
    let stop = kit.cx.stop.clone();
    let peer = async {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(&heartbeat(1)).await.unwrap();
        assert!(kit.store_next().await.is_some());
        let mut heard = [0; 14];
        tcp.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"SIP/2.0 200 OK");
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.send_to(&heartbeat(2), address).await.unwrap();
        assert!(kit.store_next().await.is_some());
        let mut heard = [0; 1_500];
        let (len, _) = udp.recv_from(&mut heard).await.unwrap();
        assert!(heard[..len].starts_with(b"SIP/2.0 200 OK"));
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(driver.run(), peer);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_device_that_falls_silent_is_told_to_be_down() {
    let mut kit = Kit::new(&[DEVICE]);
    kit.cx.clock = sdk::Clock::starting_at(model::Timestamp::from_millis(1_772_323_200_000));
    with_metrics(&mut kit);
    let shared = shared(&config().own, &kit.cx, &[7; 32]).unwrap();
    let cx = kit.cx.clone();
    let device = async {
        let entry = cx.devices.find("cam").unwrap();
        let heard = crate::registrar::Effect::Registered { expires_s: 60 };
        let from = "192.168.1.20".parse().unwrap();
        shared.conclude(&entry, heard, (from, cx.clock.now()));
        let told = kit.store_next().await.unwrap();
        assert_eq!(told.parts[0].observations[0].value.as_number(), Some(0.0));
        cx.stop.cancel();
    };
    tokio::join!(crate::watch(&shared, &cx), device);
}

#[test]
fn settings_that_cannot_be_are_refused_with_their_key() {
    let kit = {
        let mut kit = Kit::new(&[]);
        with_metrics(&mut kit);
        kit
    };
    for (more, word) in [
        (r#""heartbeat_s":0"#, "heartbeat_s"),
        (r#""server_id":"340""#, "server_id"),
        (r#""realm":"a\"b""#, "realm"),
    ] {
        let text = format!(r#"{{"kind":"gb28181","listen":"127.0.0.1:0",{more}}}"#);
        let config: Config = serde_json::from_str(&text).unwrap();
        let error = shared(&config, &kit.cx, &[7; 32]).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    // The code of the city, and the type of a server.
    let shared = shared(&config().own, &kit.cx, &[7; 32]).unwrap();
    assert_eq!(shared.settings.realm, "3502000000");
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::prop_oneof![
        (0usize..4).prop_map(heartbeat),
        proptest::collection::vec(any::<u8>(), 0..30),
        proptest::strategy::Just(b"\r\n\r\n".to_vec()),
        proptest::strategy::Just(b"MESSAGE sip:x SIP/2.0\r\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_stream_means_the_same_however_it_is_cut(stream in stream(), size in 1usize..40) {
        let whole = Rig::new(true).take(&mut BytesMut::from(stream.as_slice()));
        let (mut rig, mut received, mut values) = (Rig::new(true), BytesMut::new(), 0);
        for piece in stream.chunks(size) {
            received.extend_from_slice(piece);
            values += rig.take(&mut received);
        }
        assert_eq!(values, whole);
    }
}

#[test]
fn the_fuzzers_corpus_holds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/sip");
    let mut files = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let input = std::fs::read(file.unwrap().path()).unwrap();
        for is_stream in [true, false] {
            let (mut rig, mut received) = (Rig::new(is_stream), BytesMut::from(input.as_slice()));
            rig.take(&mut received);
            rig.give_up(&mut received);
        }
        files += 1;
    }
    assert!(files > 5);
}
