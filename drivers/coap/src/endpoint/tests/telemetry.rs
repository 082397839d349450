//! Telemetry: stored before it is acknowledged, once, in every format, whole or in blocks.

use super::{JSON, Rig, TELEMETRY, post};
use crate::wire::{ACK, CON, NON, POST, Wire};
use model::Value;
use sdk::{IngestError, Receipt, Submission};

/// The pack of RFC 8428 section 5.1.1 with a metric's name and an older time: 312.5.
const SENML_JSON: &[u8] =
    br#"[{"bn":"urn:dev:gas-1:","bt":1763700000,"n":"pressure_kpa","u":"kPa","v":312.5}]"#;

/// `[{-2: "gas:", -3: 1763700000, 0: "pressure_kpa", 2: 312.5 (half float)}]`
const SENML_CBOR: &[u8] =
    b"\x81\xa4\x21\x64gas:\x22\x1a\x69\x1f\xed\x20\x00\x6cpressure_kpa\x02\xf9\x5c\xe2";

/// `{"ts": 1763700000000, "values": {"pressure_kpa": 312.5}}`
const CBOR: &[u8] =
    b"\xa2\x62ts\x1b\x00\x00\x01\x9a\xa4\xb6\x45\x00\x66values\xa1\x6cpressure_kpa\xf9\x5c\xe2";

/// The vector post_octet_stream_meokon_t_r: a report of the terminal SHMK19060013.
const FRAME: &str = "a55a00003b53484d4b313930363030313334c8003c000a0102006401f4021a5d1966b60219021a021602\
                     1802180213021e021c021d021d7e0355aa";

fn frame() -> Vec<u8> {
    let digits: Vec<u8> = FRAME.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks_exact(2).map(byte).collect()
}

fn values(submission: &Submission) -> Vec<(Option<i64>, Value)> {
    let all = submission.parts.iter().flat_map(|part| &part.observations);
    all.map(|o| (o.observed_at.map(|at| at.millis()), o.value))
        .collect()
}

fn kpa(number: f64) -> Value {
    Value::number(number).unwrap()
}

#[tokio::test]
async fn nothing_is_said_before_the_commit_and_2_04_after_it() {
    let mut rig = Rig::new();
    rig.tell(&post(CON, 7, JSON).token(&[1, 2, 3]));
    let (submission, sent) = rig.store().await;
    assert_eq!(values(&submission), [(Some(1_763_700_000_000), kpa(312.5))]);
    let [answer] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!((answer.kind, answer.mid), (ACK, 7));
    assert_eq!(
        (answer.code_text().as_str(), answer.token.as_slice()),
        ("2.04", &[1, 2, 3][..])
    );
    assert!(answer.payload.is_empty() && answer.options.is_empty());
}

#[tokio::test]
async fn a_repetition_is_stored_once_and_answered_with_the_same_bytes() {
    let mut rig = Rig::new();
    rig.tell(&post(CON, 7, JSON));
    rig.tell(&post(CON, 7, JSON));
    assert_eq!(rig.flights.len(), 1);
    let first = rig.store().await.1[0].bytes();
    rig.pass(200.0);
    assert_eq!(rig.hear_bytes(1, &post(CON, 7, JSON).bytes()), [first]);
    assert!(rig.flights.is_empty());
    rig.pass(60.0);
    rig.tell(&post(CON, 7, JSON));
    assert_eq!(
        rig.flights.len(),
        1,
        "after EXCHANGE_LIFETIME it is another request"
    );
}

#[tokio::test]
async fn a_request_that_is_not_confirmable_is_answered_by_one_that_is_not() {
    let mut rig = Rig::new();
    rig.tell(&post(NON, 7, JSON));
    let (_, sent) = rig.store().await;
    assert_eq!((sent[0].kind, sent[0].mid), (NON, 0x1000));
    assert_eq!(
        (sent[0].code_text().as_str(), sent[0].token.as_slice()),
        ("2.04", &[0xab][..])
    );
    // RFC 7252 section 4.3: a repetition is passed over.
    rig.tell(&post(NON, 7, JSON));
    assert!(rig.flights.is_empty());
}

#[tokio::test]
async fn answers_that_nobody_wants_are_not_sent() {
    // RFC 7967 table 2: 2.xx, 4.xx, 5.xx.
    for (unwanted, stored, failed) in [
        (2, None, Some("5.03")),
        (16, Some("2.04"), None),
        (26, None, None),
    ] {
        let mut rig = Rig::new();
        rig.tell(&post(NON, 1, JSON).with(258, &[unwanted]));
        let sent = rig.store().await.1;
        assert_eq!(sent.first().map(Wire::code_text).as_deref(), stored);
        rig.tell(&post(NON, 2, JSON).with(258, &[unwanted]));
        let sent = rig.fail(IngestError::Busy);
        assert_eq!(sent.first().map(Wire::code_text).as_deref(), failed);
    }
    // What is confirmable is acknowledged, but not answered.
    let mut rig = Rig::new();
    rig.tell(&post(CON, 1, JSON).with(258, &[2]));
    let sent = rig.store().await.1;
    assert_eq!((sent[0].kind, sent[0].code, sent[0].mid), (ACK, 0, 1));
}

#[tokio::test]
async fn a_device_that_is_too_fast_is_told_when_it_may_send_again() {
    let mut rig = Rig::new();
    rig.tell(&post(CON, 1, JSON));
    let sent = rig.fail(IngestError::TooFast { retry_after_s: 7 });
    // RFC 8516 section 3: 4.29 with Max-Age, which is option 14.
    assert_eq!(sent[0].code_text(), "4.29");
    assert_eq!(sent[0].option(14), Some(7));
}

#[tokio::test]
async fn a_commit_that_takes_long_is_acknowledged_first_and_answered_apart() {
    let mut rig = Rig::new();
    rig.tell(&post(CON, 7, JSON));
    let sent = rig.pass(1.6);
    let [empty] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!((empty.kind, empty.code, empty.mid), (ACK, 0, 7));
    assert!(empty.token.is_empty());
    let again = rig.ask(&post(CON, 7, JSON));
    assert_eq!(
        (again.kind, again.code),
        (ACK, 0),
        "a repetition hears the same"
    );
    let sent = rig.store().await.1;
    let [answer] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    assert_eq!((answer.kind, answer.code_text().as_str()), (CON, "2.04"));
    assert_eq!((answer.mid, answer.token.as_slice()), (0x1000, &[0xab][..]));
    // Sent again after 2 to 3 s, and with twice the pause each time, until it is acknowledged.
    assert!(rig.pass(1.9).is_empty());
    assert_eq!(rig.pass(1.2)[0].bytes(), answer.bytes());
    assert!(rig.pass(2.9).is_empty());
    assert_eq!(rig.pass(3.2).len(), 1);
    rig.tell(&Wire::new(ACK, 0, 0x1000).token(&[]));
    assert!(rig.pass(300.0).is_empty());
}

#[tokio::test]
async fn an_answer_apart_is_given_up_after_four_repetitions() {
    let mut rig = Rig::new();
    rig.tell(&post(CON, 7, JSON));
    rig.pass(1.6);
    rig.store().await;
    assert_eq!(rig.pass(300.0).len(), 4);
}

#[test]
fn a_commit_that_fails_is_5_03_with_max_age() {
    for error in [IngestError::Busy, IngestError::ShuttingDown] {
        let mut rig = Rig::new();
        rig.tell(&post(CON, 7, JSON));
        let sent = rig.fail(error);
        assert_eq!((sent[0].kind, sent[0].code_text().as_str()), (ACK, "5.03"));
        assert_eq!(sent[0].option(14), Some(5));
        rig.tell(&post(CON, 8, JSON));
        rig.pass(1.6);
        let sent = rig.fail(error);
        assert_eq!((sent[0].kind, sent[0].code_text().as_str()), (CON, "5.03"));
    }
}

#[tokio::test]
async fn every_format_says_the_same_named_or_not() {
    for (format, payload) in [
        (50, JSON),
        (60, CBOR),
        (110, SENML_JSON),
        (112, SENML_CBOR),
        // SenSML is the same pack (RFC 8428 section 4.8).
        (111, SENML_JSON),
        (113, SENML_CBOR),
    ] {
        for named in [true, false] {
            let mut rig = Rig::new();
            let mut request = Wire::to(CON, POST, 1, TELEMETRY).payload(payload);
            if named {
                request = request.with(12, &[format]);
            }
            rig.tell(&request);
            let (submission, sent) = rig.store().await;
            let expected = [(Some(1_763_700_000_000), kpa(312.5))];
            assert_eq!(values(&submission), expected, "{format} {named}");
            assert_eq!(sent[0].code_text(), "2.04");
        }
    }
}

#[tokio::test]
async fn a_pack_of_the_standard_is_read_with_its_names() {
    let mut rig = Rig::new();
    // The payload of the vector post_senml_cbor_112 names voltage and current, which are no metrics here.
    let line = include_str!("../../../testdata/vectors.jsonl")
        .lines()
        .find(|line| line.contains("post_senml_cbor_112"))
        .unwrap();
    let vector: serde_json::Value = serde_json::from_str(line).unwrap();
    let hex = vector["expect"]["payload_hex"].as_str().unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let payload: Vec<u8> = hex.as_bytes().chunks_exact(2).map(byte).collect();
    rig.tell(
        &Wire::to(CON, POST, 1, TELEMETRY)
            .with(12, &[112])
            .payload(&payload),
    );
    let (submission, sent) = rig
        .store_as(|_| Receipt {
            seq: 1,
            ..Receipt::default()
        })
        .await;
    let rejected: Vec<_> = submission.parts[0]
        .rejected
        .iter()
        .map(|r| r.metric.as_deref())
        .collect();
    assert_eq!(rejected.len(), 7);
    assert!(
        rejected
            .iter()
            .all(|metric| metric.is_some_and(|m| m == "voltage" || m == "current"))
    );
    assert_eq!(sent[0].code_text(), "4.22");
}

#[test]
fn a_format_that_is_not_known_is_4_15_and_is_not_kept() {
    let mut rig = Rig::new();
    // Text, XML, and the TLV of LwM2M (11542).
    for (mid, format) in (1..).zip([&[][..], &[41], &[0x2d, 0x16]]) {
        let request = Wire::to(CON, POST, mid, TELEMETRY)
            .with(12, format)
            .payload(b"21.5");
        assert_eq!(rig.ask(&request).code_text(), "4.15");
    }
    assert!(rig.flights.is_empty());
    assert_eq!(rig.refused(), [("unsupported_format".to_owned(), 3)]);
}

#[tokio::test]
async fn what_cannot_be_read_is_4_00_but_is_kept_and_counted() {
    for (format, payload, reason) in [
        (50, &b"{"[..], "invalid_json"),
        (50, b"", "empty_payload"),
        (60, b"\xa1", "invalid_cbor"),
        (110, b"{}", "not_an_array"),
    ] {
        let mut rig = Rig::new();
        rig.tell(
            &Wire::to(CON, POST, 1, TELEMETRY)
                .with(12, &[format])
                .payload(payload),
        );
        let (submission, sent) = rig
            .store_as(|_| Receipt {
                seq: 1,
                ..Receipt::default()
            })
            .await;
        assert_eq!(submission.parts[0].received, 1);
        assert_eq!(submission.quarantined[0].reason, reason);
        assert_eq!(sent[0].code_text(), "4.00", "{reason}");
        assert!(!sent[0].payload.is_empty(), "it says why");
    }
}

#[tokio::test]
async fn a_partly_good_message_is_2_04_with_what_was_refused() {
    let mut rig = Rig::new();
    rig.tell(&post(CON, 1, br#"{"pressure_kpa":1,"colour":2}"#));
    let answer = &rig.store().await.1[0];
    assert_eq!(
        (answer.code_text().as_str(), answer.option(12)),
        ("2.04", Some(50))
    );
    let body: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(body["stored"], 1);
    assert_eq!(body["rejected"][0]["metric"], "colour");
    // Whoever reads only CBOR hears the code alone.
    rig.tell(&post(CON, 2, br#"{"pressure_kpa":1,"colour":2}"#).with(17, &[60]));
    let answer = &rig.store().await.1[0];
    assert_eq!(
        (answer.code_text().as_str(), answer.payload.len()),
        ("2.04", 0)
    );
}

#[test]
fn strangers_hear_4_01_and_are_counted() {
    for (path, answer, reason) in [
        ("devices/gas-1/telemetry", "4.01", "no_secret"),
        ("devices/gas-1/telemetry?k=wrong", "4.01", "wrong_secret"),
        ("devices/gas-1/telemetry?k=s-gas-2", "4.01", "wrong_secret"),
        ("devices/gas-2/telemetry?k=s-gw", "4.01", "wrong_secret"),
        ("devices/nobody/telemetry?k=s", "4.01", "unknown_device"),
        ("devices/off/telemetry?k=s-off", "4.03", "device_disabled"),
    ] {
        let mut rig = Rig::new();
        let request = Wire::to(CON, POST, 1, path).payload(JSON);
        assert_eq!(rig.ask(&request).code_text(), answer, "{path}");
        let drained = rig.kit.refusals.drain();
        let (_, refusal, _) = &drained.samples[0];
        assert_eq!(refusal.reason, reason, "{path}");
        assert_eq!(refusal.claimed.as_deref(), path.split('/').nth(1));
        assert!(refusal.message && rig.flights.is_empty());
    }
}

#[test]
fn a_gateway_writes_for_its_child_by_secret_or_by_its_session() {
    let mut rig = Rig::new();
    rig.tell(&Wire::to(CON, POST, 1, "devices/gas-1/telemetry?k=s-gw").payload(JSON));
    rig.identity = Some("gw".into());
    rig.tell(&Wire::to(CON, POST, 2, "devices/gas-1/telemetry").payload(JSON));
    rig.identity = Some("gas-1".into());
    rig.tell(&Wire::to(CON, POST, 3, "devices/gas-1/telemetry").payload(JSON));
    assert_eq!(rig.flights.len(), 3);
    let stranger = Wire::to(CON, POST, 4, "devices/gas-2/telemetry").payload(JSON);
    assert_eq!(rig.ask(&stranger).code_text(), "4.01");
}

#[tokio::test]
async fn a_body_in_blocks_is_stored_when_it_is_whole() {
    let mut rig = Rig::new();
    let body: Vec<u8> = [JSON, &[b' '; 100]].concat();
    for (number, part) in (0u8..).zip(body.chunks(64)) {
        let more = u8::from(usize::from(number) * 64 + 64 < body.len());
        // Another token for each block, and a Request-Tag, as libcoap has them.
        let request = post(CON, u16::from(number), part)
            .token(&[number])
            .with(27, &[number << 4 | more << 3 | 2])
            .with(60, &[152])
            .with(292, b"\x3e\x09\xf6\x1c");
        if more == 1 {
            let answer = rig.ask(&request);
            assert_eq!((answer.kind, answer.code_text().as_str()), (ACK, "2.31"));
            assert_eq!(answer.option(27), Some(u32::from(number << 4 | 8 | 2)));
            assert_eq!(
                rig.ask(&request).bytes(),
                answer.bytes(),
                "and so is its repetition"
            );
        } else {
            rig.tell(&request);
        }
    }
    let (submission, sent) = rig.store().await;
    assert_eq!(values(&submission).len(), 1);
    assert_eq!(
        (sent[0].code_text().as_str(), sent[0].option(27)),
        ("2.04", Some(2 << 4 | 2))
    );
}

#[test]
fn blocks_that_do_not_fit_are_refused() {
    let mut rig = Rig::new();
    let lone = post(CON, 1, &[b' '; 64]).with(27, &[0x1a]);
    let answer = rig.ask(&lone);
    assert_eq!(
        (answer.code_text().as_str(), answer.option(27)),
        ("4.08", Some(0x1a))
    );
    let short = post(CON, 2, b"x").with(27, &[0x0a]);
    assert_eq!(rig.ask(&short).code_text(), "4.00");
    let tcp = post(CON, 3, b"x").with(27, &[0x0f]);
    assert_eq!(rig.ask(&tcp).code_text(), "4.00");
    let large = post(CON, 4, &[b' '; 64])
        .with(27, &[0x0a])
        .with(60, &[0x10, 0x01]);
    let answer = rig.ask(&large);
    assert_eq!(
        (answer.code_text().as_str(), answer.option(60)),
        ("4.13", Some(4_096))
    );
    let whole = post(CON, 5, &[b' '; 4_097]);
    let answer = rig.ask(&whole);
    assert_eq!(
        (answer.code_text().as_str(), answer.option(60)),
        ("4.13", Some(4_096))
    );
    for tag in 0..5 {
        let first = post(CON, 10 + u16::from(tag), &[b' '; 64])
            .with(27, &[0x0a])
            .with(292, &[tag]);
        let expected = if tag < 4 { "2.31" } else { "5.03" };
        assert_eq!(rig.ask(&first).code_text(), expected);
    }
    // A stranger's blocks are not kept at all.
    let stranger = Wire::to(CON, POST, 20, "devices/gas-1/telemetry?k=no").payload(&[0; 64]);
    assert_eq!(rig.ask(&stranger.with(27, &[0x0a])).code_text(), "4.01");
}

#[tokio::test]
async fn a_raw_frame_names_its_device_and_its_secret_comes_with_it() {
    let mut rig = Rig::new();
    let raw = |mid, path: &str| {
        Wire::to(CON, POST, mid, path)
            .with(12, &[42])
            .payload(&frame())
    };
    assert_eq!(rig.ask(&raw(1, "t/r")).code_text(), "4.01");
    assert_eq!(rig.ask(&raw(2, "t/r?k=no")).code_text(), "4.01");
    rig.tell(&raw(3, "t/r?k=s-gas-2"));
    let (submission, sent) = rig.store().await;
    assert_eq!(submission.parts[0].device, model::DeviceKey(2));
    assert!(
        values(&submission)
            .iter()
            .any(|(_, value)| *value == kpa(538.0)),
        "{submission:?}"
    );
    assert_eq!(sent[0].code_text(), "2.04");
    // The device may be named, and a frame may come to the ordinary path.
    rig.tell(&raw(4, "t/r?d=gas-1&k=s-gas-1"));
    rig.tell(&raw(5, TELEMETRY));
    assert_eq!(rig.flights.len(), 2);
    let mut broken = frame();
    broken[30] ^= 1;
    let broken = Wire::to(CON, POST, 6, "t/r?k=s-gas-2").payload(&broken);
    assert_eq!(rig.ask(&broken).code_text(), "4.00");
    let mut rig = Rig::with(|resources| resources.raw_without_secret = true);
    rig.tell(&raw(7, "t/r"));
    assert_eq!(rig.flights.len(), 1);
}
