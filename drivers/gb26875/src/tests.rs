//! The driver as all drivers are examined, and on real sockets.

use crate::frame::tests::{hex, vector};
use crate::fuzzed::rig;
use crate::talk::Conversation;
use crate::{Config, Gb26875, IDLE_TIMEOUT, RECEIVED_BYTES_MAX, shared};
use sdk::testkit::Kit;
use sdk::testkit::conformance::{Subject, check_config};
use sdk::testkit::rig::{hold, replay};
use sdk::{Driver, Listening, Registration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

const DEVICE: &str = r#"{"id":"box","kind":"gateway","identities":{"gb26875":"000000000379"}}"#;

const EXAMPLE: &str = r#"
kind = "gb26875"
listen = "127.0.0.1:0"
udp = true
"#;

fn with_sum(mut frame: Vec<u8>) -> Vec<u8> {
    let end = frame.len() - 3;
    frame[end] = frame[2..end]
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    frame
}

/// 上传传输装置主电源故障, with serials and seconds that differ.
fn good(number: usize) -> Vec<u8> {
    let mut frame = hex(
        "4040 0000 0101 203a091a090c 790300000000 385b01000000 0900 02 \
         15 01 08 023a091a090c 00 2323",
    );
    frame[2..4].copy_from_slice(&u16::try_from(number).unwrap().to_le_bytes());
    with_sum(frame)
}

/// 中心确认, with the time of the hub, which stands still: 2026-03-01T08:00:00 in Beijing.
fn ack(number: usize) -> Vec<u8> {
    let mut frame = hex("4040 0000 0101 00000801031a 385b01000000 790300000000 0000 03 00 2323");
    frame[2..4].copy_from_slice(&u16::try_from(number).unwrap().to_le_bytes());
    with_sum(frame)
}

fn config() -> Listening<Config> {
    serde_json::from_str(r#"{"kind":"gb26875","listen":"127.0.0.1:0"}"#).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_driver_keeps_all_that_drivers_promise() {
    let mut bad = vector("real_checksum_wrong_component");
    bad.splice(0..0, *b"@@ noise");
    let subject = Subject {
        devices: vec![DEVICE],
        serve: |stream, mut cx| {
            // 2026-03-01T00:00:00Z, and it does not move.
            let at = model::Timestamp::from_millis(1_772_323_200_000);
            cx.clock = sdk::Clock::starting_at(at);
            let shared = shared(&config().own, &cx).unwrap();
            let limits = config()
                .limits
                .conversation(IDLE_TIMEOUT, RECEIVED_BYTES_MAX);
            hold(stream, cx, limits, |line| {
                Conversation::new(shared, Some(line))
            })
        },
        greeting: None,
        good,
        ack,
        bad,
        bad_answer: {
            // 中心否认.
            let denial =
                hex("4040 6e01 0101 00000801031a 000000000001 010000000000 0000 06 00 2323");
            with_sum(denial)
        },
    };
    subject.check().await;
    check_config(&Registration::of::<Gb26875>(), EXAMPLE);
}

async fn open(kit: &Kit) -> (Gb26875, std::net::SocketAddr) {
    let driver = Gb26875::open(config(), kit.cx.clone()).await.unwrap();
    let addresses = driver.addresses();
    let [("listen", tcp), ("listen_udp", udp)] = addresses.as_slice() else {
        panic!("{addresses:?}");
    };
    assert_eq!(tcp, udp);
    (driver, *tcp)
}

#[tokio::test]
async fn tcp_and_udp_are_served_on_the_same_port_and_confirmed_after_the_commit() {
    let mut kit = Kit::new(&[DEVICE]);
    let (driver, address) = open(&kit).await;
    let stop = kit.cx.stop.clone();
    let peer = async {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(&good(1)).await.unwrap();
        assert!(kit.store_next().await.is_some());
        let mut heard = [0; 30];
        tcp.read_exact(&mut heard).await.unwrap();
        assert_eq!((heard[2..4].to_vec(), heard[26]), (vec![1, 0], 3));
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        udp.send_to(&good(2), address).await.unwrap();
        assert!(kit.store_next().await.is_some());
        let (len, from) = udp.recv_from(&mut heard).await.unwrap();
        assert_eq!((len, from), (30, address));
        assert_eq!((heard[2..4].to_vec(), heard[26]), (vec![2, 0], 3));
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(driver.run(), peer);
    ended.unwrap();
}

#[tokio::test]
async fn a_thousand_connections_are_served_at_once() {
    let mut kit = Kit::new(&[DEVICE]);
    let (driver, address) = open(&kit).await;
    let stop = kit.cx.stop.clone();
    let peers = async {
        let mut open = Vec::new();
        for _ in 0..1_000 {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        for (number, stream) in open.iter_mut().enumerate() {
            stream.write_all(&good(number)).await.unwrap();
            assert!(kit.store_next().await.is_some());
            let mut heard = [0; 30];
            stream.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard[26], 3);
        }
        // One more of the same address than may be is hung up at once.
        for _ in 0..1_048 {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        let mut over = TcpStream::connect(address).await.unwrap();
        assert!(matches!(over.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(driver.run(), peers);
    ended.unwrap();
}

#[test]
fn the_fuzzers_corpus_is_counted_however_it_is_cut() {
    replay("gb26875", rig);
}
