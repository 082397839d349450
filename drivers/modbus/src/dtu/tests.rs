//! DTUs that dial in: known, unknown, slow, twice, and a thousand at once.

use super::serve;
use crate::Shared;
use crate::frame::crc;
use crate::tests::shared;
use model::Value;
use sdk::testkit::Kit;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const DTU: &str = r#"{"id":"dtu-1","kind":"gateway","identities":{"dtu":"ZC1000"}}"#;
const NOISE: &str =
    r#"{"id":"n","kind":"noise","parent":"dtu-1","identities":{"modbus":"dtu-1/1"}}"#;
const SETTINGS: &str =
    "connect = 'rtu+tcp-listen://127.0.0.1:0'\nmap = 'rs485-noise'\nperiod_s = 2";

/// Longer than any pause of these tests, and gone at once where time is paused.
const A_WHILE: Duration = Duration::from_secs(20);

fn framed(plain: &[u8]) -> Vec<u8> {
    [plain, &crc(plain).to_le_bytes()].concat()
}

fn dial(shared: &Arc<Shared>) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = duplex(4096);
    let served = serve(Arc::clone(shared), ours, "peer".to_owned());
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(served);
    (theirs, served)
}

async fn asked(peer: &mut DuplexStream) -> Option<[u8; 8]> {
    let mut asked = [0; 8];
    let read = timeout(A_WHILE, peer.read_exact(&mut asked)).await;
    read.ok()?.ok().map(|_| asked)
}

fn refused(kit: &Kit) -> Vec<(String, Option<String>)> {
    let samples = kit.refusals.drain().samples.into_iter();
    samples
        .map(|(_, refusal, _)| (refusal.reason.into_owned(), refusal.claimed))
        .collect()
}

async fn read_58_db(kit: &mut Kit, peer: &mut DuplexStream) {
    assert_eq!(asked(peer).await, Some([1, 3, 0, 0, 0, 1, 0x84, 0x0a]));
    peer.write_all(&framed(&[1, 3, 2, 2, 0x44])).await.unwrap();
    let submission = kit.store_next().await.unwrap();
    let first = &submission.parts[0].observations[0];
    assert_eq!(first.value, Value::Number(58.0));
}

#[tokio::test(start_paused = true)]
async fn a_dtu_registers_whole_in_bytes_glued_or_wrapped_and_is_polled() {
    for (registration, size) in [
        (b"ZC1000".as_slice(), 6),
        (b"ZC1000", 1),
        (b"ZC1000www.usr.cn", 16),
        (b"\x00\xffID:ZC1000;", 3),
    ] {
        let mut kit = Kit::new(&[DTU, NOISE]);
        let shared = shared(&kit, SETTINGS);
        let (mut peer, _served) = dial(&shared);
        for piece in registration.chunks(size) {
            peer.write_all(piece).await.unwrap();
            sleep(Duration::from_millis(50)).await;
        }
        read_58_db(&mut kit, &mut peer).await;
        assert_eq!(refused(&kit), []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_the_registration_before_each_packet_and_heartbeats_is_read() {
    let mut kit = Kit::new(&[DTU, NOISE]);
    let shared = shared(&kit, SETTINGS);
    let (mut peer, _served) = dial(&shared);
    peer.write_all(b"ZC1000").await.unwrap();
    asked(&mut peer).await.unwrap();
    let answer = framed(&[1, 3, 2, 2, 0x44]);
    let (head, rest) = answer.split_at(3);
    let sent = [b"www.usr.cn", b"ZC1000".as_slice(), head, b"ZC1000", rest].concat();
    for byte in sent {
        peer.write_all(&[byte]).await.unwrap();
    }
    let submission = kit.store_next().await.unwrap();
    assert_eq!(
        submission.parts[0].observations[0].value,
        Value::Number(58.0)
    );
    sleep(Duration::from_millis(10)).await;
    assert_eq!(refused(&kit), []);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_dtu_is_shown_and_not_polled_until_it_is_registered() {
    let mut kit = Kit::new(&[DTU, NOISE]);
    let known = kit.cx.devices.get(model::DeviceKey(1)).unwrap();
    kit.cx.devices.remove(known.key);
    let shared = shared(&kit, SETTINGS);
    let (mut peer, served) = dial(&shared);
    peer.write_all(b"ZC1000").await.unwrap();
    assert_eq!(asked(&mut peer).await, None);
    let shown = ("unknown_device".to_owned(), Some("ZC1000".to_owned()));
    assert_eq!(refused(&kit), [shown]);
    timeout(Duration::from_secs(11), served)
        .await
        .unwrap()
        .unwrap();
    kit.cx.devices.put([(*known).clone()]);
    let (mut peer, _served) = dial(&shared);
    peer.write_all(b"ZC1000").await.unwrap();
    read_58_db(&mut kit, &mut peer).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_says_nothing_or_says_it_forever_is_hung_up() {
    let kit = Kit::new(&[DTU]);
    let shared = shared(&kit, SETTINGS);
    let start = Instant::now();
    let (_peer, silent) = dial(&shared);
    let (mut peer, slow) = dial(&shared);
    let drip = async {
        while peer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (ended, slow, ()) = tokio::join!(silent, slow, drip);
    ended.unwrap();
    slow.unwrap();
    assert!(
        start.elapsed() < Duration::from_secs(40),
        "{:?}",
        start.elapsed()
    );
    let reasons: Vec<String> = refused(&kit)
        .into_iter()
        .map(|(reason, _)| reason)
        .collect();
    assert!(
        reasons.contains(&"no_registration".to_owned()),
        "{reasons:?}"
    );
    let (mut peer, flooded) = dial(&shared);
    peer.write_all(&[b'x'; 600]).await.unwrap();
    flooded.await.unwrap();
    let (reason, claimed) = refused(&kit).remove(0);
    assert_eq!(
        (reason.as_str(), claimed.unwrap().len()),
        ("unknown_device", 64)
    );
}

#[tokio::test(start_paused = true)]
async fn a_dtu_that_dials_in_again_takes_its_own_place() {
    let mut kit = Kit::new(&[DTU, NOISE]);
    let shared = shared(&kit, SETTINGS);
    let (mut old, old_served) = dial(&shared);
    old.write_all(b"ZC1000").await.unwrap();
    read_58_db(&mut kit, &mut old).await;
    let (mut new, _served) = dial(&shared);
    new.write_all(b"ZC1000").await.unwrap();
    read_58_db(&mut kit, &mut new).await;
    old_served.await.unwrap();
    read_58_db(&mut kit, &mut new).await;
}

#[tokio::test(start_paused = true)]
async fn a_dtu_whose_device_is_removed_is_hung_up() {
    let mut kit = Kit::new(&[DTU, NOISE]);
    let shared = shared(&kit, SETTINGS);
    let (mut peer, served) = dial(&shared);
    peer.write_all(b"ZC1000").await.unwrap();
    read_58_db(&mut kit, &mut peer).await;
    kit.cx.devices.remove(model::DeviceKey(1));
    served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_dtus_are_each_polled_and_each_answer_is_its_own() {
    const COUNT: u16 = 1000;
    let devices: Vec<String> = (0..COUNT)
        .map(|n| {
            format!(
                r#"{{"id":"d{n}","kind":"noise","identities":{{"dtu":"DTU{n:04}","modbus":"d{n}/1"}}}}"#
            )
        })
        .collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    let mut kit = Kit::new(&devices);
    let shared = shared(&kit, SETTINGS);
    let mut peers = Vec::new();
    for n in 0..COUNT {
        let (mut peer, _served) = dial(&shared);
        peer.write_all(format!("DTU{n:04}").as_bytes())
            .await
            .unwrap();
        peers.push(peer);
    }
    for (n, peer) in (0..COUNT).zip(&mut peers) {
        asked(peer).await.unwrap();
        let [high, low] = n.to_be_bytes();
        peer.write_all(&framed(&[1, 3, 2, high, low]))
            .await
            .unwrap();
    }
    let mut seen = vec![0; usize::from(COUNT)];
    for _ in 0..COUNT {
        let submission = kit.store_next().await.unwrap();
        let part = &submission.parts[0];
        let Value::Number(value) = part.observations[0].value else {
            panic!("{part:?}");
        };
        let key = part.device.0 - 1;
        assert!(
            (value * 10.0 - f64::from(key)).abs() < 0.01,
            "{key}: {value}"
        );
        seen[usize::try_from(key).unwrap()] += 1;
    }
    assert!(seen.iter().all(|count| *count == 1));
}

/// What every driver must do. The peer of a driver that polls is asked for its next reading when
/// the last one is on disk: that is its acknowledgement.
mod conformance {
    use super::{DTU, NOISE, SETTINGS, framed, serve, shared};
    use sdk::testkit::Kit;
    use sdk::testkit::conformance::Subject;

    const POLL: [u8; 8] = [1, 3, 0, 0, 0, 1, 0x84, 0x0a];

    fn answer(number: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(number % 1000).unwrap().to_be_bytes();
        framed(&[1, 3, 2, high, low])
    }

    #[tokio::test(start_paused = true)]
    async fn the_driver_does_what_every_driver_must() {
        Subject {
            devices: vec![DTU, NOISE],
            serve: |stream, cx| {
                let kit = Kit {
                    cx,
                    ..Kit::new(&[])
                };
                let shared = shared(&kit, SETTINGS);
                Box::pin(serve(shared, stream, "peer".to_owned()))
            },
            greeting: Some((b"ZC1000".to_vec(), POLL.to_vec())),
            good: answer,
            ack: |_| POLL.to_vec(),
            bad: vec![1, 3, 2, 2, 0x44, 0, 0],
            bad_answer: Vec::new(),
        }
        .check_poller()
        .await;
    }
}
