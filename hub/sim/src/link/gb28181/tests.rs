//! Requests as public captures have them; the digest is that of a recorded registration.

use super::super::frame::tests::{START_MS, device};
use super::*;

fn camera() -> Gb28181 {
    Gb28181::new(
        &device("camera", "gb28181", "34020000001320000001"),
        "12345678",
        "UDP",
    )
}

#[test]
fn the_digest_is_that_of_the_recorded_registration() {
    let challenge = "Digest realm=\"3402000000\", nonce=\"44010b73623249f6916a6acf7c316b8e\"";
    assert_eq!(
        camera().authorization(challenge),
        "Authorization: Digest username=\"34020000001320000001\", realm=\"3402000000\", \
         nonce=\"44010b73623249f6916a6acf7c316b8e\", \
         uri=\"sip:34020000002000000001@3402000000\", \
         response=\"da0b48d27ae30f5413ac57acfa686de3\", algorithm=MD5\r\n"
    );
}

#[test]
fn a_camera_registers_answers_the_challenge_and_then_says_that_it_is_there() {
    let mut wire = camera();
    let first = String::from_utf8(wire.greet(START_MS)).unwrap();
    assert!(
        first.starts_with(
            "REGISTER sip:34020000002000000001@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP "
        )
    );
    assert!(first.contains("\r\nTo: <sip:34020000001320000001@3402000000>\r\n"));
    assert!(
        first.contains("\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"),
        "{first}"
    );
    let mut challenge = b"SIP/2.0 401 Unauthorized\r\nCSeq: 1 REGISTER\r\nWWW-Authenticate: \
        Digest realm=\"3402000000\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n"
        .to_vec();
    let Some(Answer::Say(second)) = wire.take(&mut challenge, START_MS) else {
        panic!("a challenge is answered");
    };
    let second = String::from_utf8(second).unwrap();
    assert!(second.contains("\r\nCSeq: 2 REGISTER\r\n"), "{second}");
    assert!(
        second.contains("\r\nAuthorization: Digest username="),
        "{second}"
    );
    assert!(!wire.ready());
    let mut welcome = b"SIP/2.0 200 OK\r\nCSeq: 2 REGISTER\r\n\r\n".to_vec();
    assert_eq!(wire.take(&mut welcome, START_MS), Some(Answer::Nothing));
    assert!(wire.ready());
    let device = device("camera", "gb28181", "34020000001320000001");
    let parcel = wire.encode(&device, START_MS, &[]);
    let text = String::from_utf8(parcel.bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("Content-Length: {}", body.len())),
        "{text}"
    );
    assert!(
        body.contains("<CmdType>Keepalive</CmdType>\r\n<SN>3</SN>"),
        "{text}"
    );
    assert_eq!(parcel.expects, Some(3));
    let mut ok = b"SIP/2.0 200 OK\r\nCSeq: 3 MESSAGE\r\nContent-Length: 0\r\n\r\n".to_vec();
    assert_eq!(wire.take(&mut ok, START_MS), Some(Answer::Acked(Some(3))));
}

#[test]
fn a_hub_that_has_forgotten_the_camera_is_told_anew() {
    let mut wire = camera();
    wire.greet(START_MS);
    let mut welcome = b"SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n".to_vec();
    wire.take(&mut welcome, START_MS);
    wire.heartbeat(START_MS);
    let mut refused = b"SIP/2.0 403 Forbidden\r\nCSeq: 2 MESSAGE\r\n\r\n".to_vec();
    let taken = wire.take(&mut refused, START_MS);
    let Some(Answer::Say(bytes)) = taken else {
        panic!("{taken:?}");
    };
    assert!(bytes.starts_with(b"REGISTER "));
}
