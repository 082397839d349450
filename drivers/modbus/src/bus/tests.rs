//! A line from question to commit, with the device and the commit in the test's hand.

use super::{Bus, Ended};
use crate::frame::{Request, crc};
use crate::link::{Link, RtuLink};
use crate::plan::Plan;
use crate::tests::shared;
use model::{DeviceKey, Value};
use sdk::testkit::Kit;
use sdk::{Receipt, Submission};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const NOISE: &str = r#"{"id":"n","kind":"noise","identities":{"modbus":"test/1"}}"#;
const OTHER: &str = r#"{"id":"o","kind":"noise","identities":{"modbus":"test/2"}}"#;
const SETTINGS: &str = "connect = 'rtu:///dev/x'\nmap = 'rs485-noise'\nperiod_s = 10\nretries = 1";

/// Longer than any pause of these tests, and gone at once where time is paused.
const A_WHILE: Duration = Duration::from_secs(9);

fn framed(plain: &[u8]) -> Vec<u8> {
    [plain, &crc(plain).to_le_bytes()].concat()
}

fn begin(kit: &Kit, settings: &str) -> (DuplexStream, JoinHandle<Ended>) {
    let (ours, theirs) = duplex(4096);
    let shared = shared(kit, settings);
    let stop = kit.cx.stop.clone();
    #[expect(clippy::disallowed_methods, reason = "a test waits for its own task")]
    let served = tokio::spawn(async move {
        let mut link = Link::Rtu(RtuLink::new(Box::new(ours), Arc::new([])));
        let mut bus = Bus::new(shared, "test".to_owned(), "peer".to_owned(), stop);
        bus.run(&mut link, &mut Plan::default(), |_| true).await
    });
    (theirs, served)
}

async fn asked(peer: &mut DuplexStream) -> [u8; 8] {
    let mut asked = [0; 8];
    let read = timeout(A_WHILE * 8, peer.read_exact(&mut asked)).await;
    read.expect("something is asked").unwrap();
    asked
}

async fn silent(peer: &mut DuplexStream, why: &str) {
    let mut byte = [0];
    let read = timeout(A_WHILE, peer.read(&mut byte)).await;
    assert!(read.is_err(), "asked {why}");
}

fn values(submission: &Submission) -> Vec<f64> {
    let observations = submission.parts.iter().flat_map(|part| &part.observations);
    let number = |value: &Value| value.as_number().unwrap();
    observations.map(|seen| number(&seen.value)).collect()
}

fn reasons(submission: &Submission) -> Vec<&str> {
    let rejected = submission.parts.iter().flat_map(|part| &part.rejected);
    rejected.map(|rejected| rejected.reason.as_ref()).collect()
}

fn confirm(pending: sdk::Pending) {
    pending.confirm(Receipt {
        seq: 1,
        stored: 1,
        ..Receipt::default()
    });
}

#[tokio::test(start_paused = true)]
async fn a_reading_is_asked_for_and_committed_and_asked_for_again_a_period_later() {
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, _served) = begin(&kit, SETTINGS);
    assert_eq!(asked(&mut peer).await, [1, 3, 0, 0, 0, 1, 0x84, 0x0a]);
    peer.write_all(&framed(&[1, 3, 2, 2, 0x44])).await.unwrap();
    let submission = kit.store_next().await.unwrap();
    // 58.0 dB, and that the device has no fault.
    assert_eq!(values(&submission), [58.0, 0.0]);
    assert_eq!(submission.parts[0].device, DeviceKey(1));
    assert_eq!(submission.parts[0].received, 2);
    silent(&mut peer, "before the period was over").await;
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 2, 0x45])).await.unwrap();
    let submission = kit.store_next().await.unwrap();
    assert_eq!(
        values(&submission),
        [58.1],
        "the fault is told when it changes"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_until_the_last_answer_is_on_disk() {
    let mut kit = Kit::new(&[NOISE, OTHER]);
    let (mut peer, _served) = begin(&kit, SETTINGS);
    let first = asked(&mut peer).await;
    peer.write_all(&framed(&[first[0], 3, 2, 2, 0x44]))
        .await
        .unwrap();
    let pending = kit.next().await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_secs(4), peer.read(&mut byte)).await;
    assert!(early.is_err(), "asked before the commit");
    confirm(pending);
    assert_ne!(
        asked(&mut peer).await[0],
        first[0],
        "the other unit is next"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_too_busy_loses_a_poll_and_counts_it() {
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, _served) = begin(&kit, SETTINGS);
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 2, 0x44])).await.unwrap();
    // The writer does not answer for five seconds.
    let _kept = kit.next().await.unwrap();
    asked(&mut peer).await;
    assert_eq!(
        kit.refusals
            .drain()
            .messages
            .keys()
            .map(|(_, reason)| reason.as_ref())
            .collect::<Vec<_>>(),
        ["hub_busy"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_is_silent_is_counted_once_a_poll_and_asked_ever_more_rarely() {
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, _served) = begin(&kit, SETTINGS);
    asked(&mut peer).await;
    asked(&mut peer).await;
    let submission = kit.store_next().await.unwrap();
    assert_eq!(reasons(&submission), ["timeout"]);
    assert_eq!(
        (values(&submission), submission.parts[0].received),
        (vec![], 1)
    );
    let start = tokio::time::Instant::now();
    asked(&mut peer).await;
    assert!(
        start.elapsed() > Duration::from_secs(18),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(
        reasons(&kit.store_next().await.unwrap()),
        ["timeout"],
        "tried once only"
    );
    let start = tokio::time::Instant::now();
    asked(&mut peer).await;
    assert!(
        start.elapsed() > Duration::from_secs(35),
        "{:?}",
        start.elapsed()
    );
    // It answers again: what it owes is thrown away first, then it is read.
    peer.write_all(&framed(&[1, 3, 2, 0, 1])).await.unwrap();
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 2, 0x44])).await.unwrap();
    assert_eq!(values(&kit.store_next().await.unwrap()), [58.0, 0.0]);
}

#[tokio::test(start_paused = true)]
async fn exceptions_are_counted_and_tell_a_fault_that_goes_again() {
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, _served) = begin(&kit, SETTINGS);
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 0x83, 2])).await.unwrap();
    let submission = kit.store_next().await.unwrap();
    assert_eq!(reasons(&submission), ["exception_illegal_address"]);
    assert_eq!(values(&submission), [1.0]);
    // Busy is asked again at once, and no fault.
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 0x83, 6])).await.unwrap();
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 2, 0x44])).await.unwrap();
    let submission = kit.store_next().await.unwrap();
    assert_eq!(values(&submission), [58.0, 0.0]);
    // A gateway that cannot reach its unit tells nothing about the unit.
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 0x83, 11])).await.unwrap();
    let submission = kit.store_next().await.unwrap();
    assert_eq!(reasons(&submission), ["exception_gateway_target"]);
    assert_eq!(values(&submission), Vec::<f64>::new());
}

#[tokio::test(start_paused = true)]
async fn damaged_answers_are_counted_and_kept_for_the_engineer() {
    let mut short = framed(&[1, 3, 2, 2, 0x44]);
    let damaged = [&short[..6], &[0xff]].concat();
    short.truncate(4);
    for (bytes, reason) in [
        (damaged, "crc"),
        (short, "incomplete"),
        (framed(&[1, 3, 4, 0, 0, 0, 0]), "wrong_length"),
        (framed(&[9, 3, 2, 0, 0]), "unit_mismatch"),
    ] {
        let mut kit = Kit::new(&[NOISE]);
        let settings = SETTINGS.replace("retries = 1", "retries = 0");
        let (mut peer, _served) = begin(&kit, &settings);
        asked(&mut peer).await;
        peer.write_all(&bytes).await.unwrap();
        let submission = kit.store_next().await.unwrap();
        assert_eq!(reasons(&submission), [reason]);
        assert_eq!(submission.quarantined[0].bytes, bytes, "{reason}");
        assert_eq!(submission.quarantined[0].device, Some(DeviceKey(1)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_stop_ends_the_line_at_once_and_commits_what_came() {
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, served) = begin(&kit, SETTINGS);
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 2, 0x44])).await.unwrap();
    let pending = kit.next().await.unwrap();
    kit.cx.stop.cancel();
    sleep(Duration::from_secs(1)).await;
    assert!(!served.is_finished(), "it waits for its commit");
    confirm(pending);
    assert_eq!(served.await.unwrap(), Ended::Stopped);
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_gone_ends_with_the_reason() {
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, served) = begin(&kit, SETTINGS);
    asked(&mut peer).await;
    drop(peer);
    assert_eq!(reasons(&kit.store_next().await.unwrap()), ["link_closed"]);
    assert!(matches!(served.await.unwrap(), Ended::Closed(_)));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_registered_meanwhile_is_asked_too() {
    let kit = Kit::new(&[NOISE, OTHER]);
    let other = kit.cx.devices.get(DeviceKey(2)).unwrap();
    kit.cx.devices.remove(DeviceKey(1));
    kit.cx.devices.remove(DeviceKey(2));
    let (mut peer, _served) = begin(&kit, SETTINGS);
    silent(&mut peer, "though there is no device").await;
    kit.cx.devices.put([(*other).clone()]);
    assert_eq!(asked(&mut peer).await[0], 2);
}

fn latching() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "title = 't'\nsource = 's'\nmark = 'V'\nallow_writes = true\n\
                [readings.smoke_alarm]\nat = 0\nclear_latch = { register = 9, value = 1 }\n";
    std::fs::write(folder.path().join("latching.toml"), text).unwrap();
    folder
}

#[tokio::test(start_paused = true)]
async fn a_latched_alarm_is_cleared_after_its_commit_and_never_before() {
    let folder = latching();
    let settings = format!(
        "connect = 'rtu:///dev/x'\nmap = 'latching'\nperiod_s = 10\nmaps_dir = '{}'",
        folder.path().display()
    );
    let mut kit = Kit::new(&[NOISE]);
    let (mut peer, _served) = begin(&kit, &settings);
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 0, 1])).await.unwrap();
    let pending = kit.next().await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_secs(4), peer.read(&mut byte)).await;
    assert!(early.is_err(), "written before the commit");
    confirm(pending);
    let write = Request::WriteRegister { at: 9, value: 1 }.rtu(1);
    assert_eq!(asked(&mut peer).await, write);
    peer.write_all(&write).await.unwrap();
    // Quiet again: nothing is written.
    asked(&mut peer).await;
    peer.write_all(&framed(&[1, 3, 2, 0, 0])).await.unwrap();
    assert_eq!(values(&kit.store_next().await.unwrap()), [0.0]);
    silent(&mut peer, "for a latch that is not set").await;
}

#[tokio::test(start_paused = true)]
async fn a_latched_alarm_stays_when_its_commit_fails_or_refuses_it() {
    let folder = latching();
    let settings = format!(
        "connect = 'rtu:///dev/x'\nmap = 'latching'\nperiod_s = 10\nmaps_dir = '{}'",
        folder.path().display()
    );
    for refuses in [true, false] {
        let mut kit = Kit::new(&[NOISE]);
        let (mut peer, _served) = begin(&kit, &settings);
        asked(&mut peer).await;
        peer.write_all(&framed(&[1, 3, 2, 0, 1])).await.unwrap();
        let pending = kit.next().await.unwrap();
        if refuses {
            pending.confirm(Receipt {
                rejected: vec![model::Rejected {
                    metric: None,
                    reason: "clock_implausible".into(),
                    detail: None,
                }],
                ..Receipt::default()
            });
            silent(&mut peer, "for an alarm that is not on disk").await;
        } else {
            drop(pending);
            let mut rest = Vec::new();
            peer.read_to_end(&mut rest).await.unwrap();
            assert!(rest.is_empty(), "something was written");
        }
    }
}
