//! Messages cut, read and answered; the expected answers are written by hand from RFC 3261 and 3581.

use super::{Found, Message, find, head_bytes, user};
use bytes::Bytes;
use std::net::SocketAddr;

fn read(text: &str) -> Message {
    let whole = Bytes::copy_from_slice(text.as_bytes());
    let head = head_bytes(&whole).unwrap();
    Message::read(&whole.slice(..head), whole.slice(head..)).unwrap()
}

fn peer() -> SocketAddr {
    "10.1.2.3:40000".parse().unwrap()
}

const OPTIONS: &str = "OPTIONS sip:hub SIP/2.0\r\nv: SIP/2.0/UDP 192.168.1.20:5060;rport;branch=z9\
    ,SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b;branch=2\r\nf: \"<sip:x@y>\" <sip:34@dom>;tag=1\r\n\
    t: <sip:hub>\r\ni: c1\r\nCSeq: 7 OPTIONS\r\nl: 2\r\n\r\nab";

#[test]
fn an_answer_copies_what_it_must_and_tells_where_the_request_came_from() {
    let said = read(OPTIONS).answer((200, "OK"), (peer(), "t9"), &[("Allow", b"X")]);
    let expected = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.168.1.20:5060;rport=40000;branch=z9\
        ;received=10.1.2.3,SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b;branch=2\r\n\
        From: \"<sip:x@y>\" <sip:34@dom>;tag=1\r\nTo: <sip:hub>;tag=t9\r\nCall-ID: c1\r\n\
        CSeq: 7 OPTIONS\r\nAllow: X\r\nServer: cityhub\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        said.escape_ascii().to_string(),
        expected.escape_default().to_string()
    );
}

#[test]
fn a_via_that_asks_for_nothing_and_is_true_stays_as_it_is() {
    let text = OPTIONS.replace("192.168.1.20:5060;rport", "10.1.2.3:5060");
    let text = text.replace("<sip:hub>\r\ni", "<sip:hub>;tag=have\r\ni");
    let said = read(&text).answer((200, "OK"), (peer(), "t9"), &[]);
    let said = String::from_utf8(said.to_vec()).unwrap();
    assert!(said.contains("Via: SIP/2.0/UDP 10.1.2.3:5060;branch=z9,SIP/2.0/UDP a\r\n"));
    assert!(said.contains("To: <sip:hub>;tag=have\r\n"), "{said}");
}

#[test]
fn senders_are_found_in_every_form_of_an_address() {
    for (address, expected) in [
        (
            "<sip:34020000001320000001@3402000000>;tag=1",
            "34020000001320000001",
        ),
        ("sip:34020000001320000001@dom;tag=1", "34020000001320000001"),
        ("\"sip:no@x\" <SIP:me@dom>", "me"),
        ("<sip:me:secret@dom>", "me"),
        ("<sip:34020000001320000001>", "34020000001320000001"),
    ] {
        assert_eq!(user(address), Some(expected), "{address}");
    }
    assert_eq!(user("<tel:123>"), None);
    assert_eq!(user("<sip:@dom>"), None);
}

#[test]
fn expiry_is_the_contacts_own_before_the_headers() {
    let register = |contact: &str| {
        read(&format!(
            "REGISTER sip:h SIP/2.0\r\nContact: {contact}\r\nExpires: 3600\r\n\r\n"
        ))
    };
    assert_eq!(register("<sip:a@b>").expires_s(), Some(3_600));
    assert_eq!(
        register("<sip:a@b;expires=9>;expires=60").expires_s(),
        Some(60)
    );
    assert_eq!(register("*").expires_s(), Some(3_600));
    assert_eq!(register("<sip:a@b>;expires=no").expires_s(), None);
}

#[test]
fn folded_headers_and_bare_line_feeds_are_taken() {
    let message =
        read("OPTIONS sip:h SIP/2.0\nVia: SIP/2.0/UDP a\n ;branch=5\nFrom : <sip:a@b>\n\nxy");
    assert_eq!(message.sender(), Some("a"));
    assert_eq!(message.body.as_ref(), b"xy");
    assert!(message.transaction().starts_with(b"5\0"));
}

#[test]
fn a_stream_is_cut_by_content_length_and_what_is_no_message_is_passed_over() {
    let whole = OPTIONS.as_bytes();
    let message = Found::Message {
        head_bytes: whole.len() - 2,
        body_bytes: 2,
    };
    assert_eq!(find(whole), message);
    for end in 0..whole.len() {
        assert_eq!(find(&whole[..end]), Found::More, "{end}");
    }
    assert_eq!(find(b"\r\n\r\nOPT"), Found::Blank(4));
    assert_eq!(find(b"GET / HTTP/1.1\r\n"), Found::Noise(16, "start_line"));
    assert_eq!(find(&[b'x'; 9_000]), Found::Noise(9_000, "head_too_large"));
    for (length, reason) in [
        ("x", "content_length"),
        ("-1", "content_length"),
        ("+1", "content_length"),
        ("99999999", "body_too_large"),
        ("2\r\nContent-Length: 3", "content_length"),
    ] {
        let text = OPTIONS.replace("l: 2", &format!("l: {length}"));
        assert!(
            matches!(find(text.as_bytes()), Found::Noise(_, said) if said == reason),
            "{length}"
        );
    }
}

#[test]
fn a_request_names_its_method_twice_and_alike() {
    assert!(read(OPTIONS).has_true_sequence());
    assert!(!read(&OPTIONS.replace("7 OPTIONS", "7 REGISTER")).has_true_sequence());
    assert!(!read(&OPTIONS.replace("7 OPTIONS", "x OPTIONS")).has_true_sequence());
    assert!(read(OPTIONS).is_answerable());
    assert!(!read(&OPTIONS.replace("i: c1\r\n", "")).is_answerable());
    assert_eq!(read("SIP/2.0 200 OK\r\n\r\n").method, "");
}

proptest::proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(bytes in proptest::collection::vec(0u8..=255, 0..400)) {
        let _found = find(&bytes);
        let whole = Bytes::from([OPTIONS.as_bytes().get(..40).unwrap(), &bytes].concat());
        if let Some(message) = Message::read(&whole, Bytes::new()) {
            let _all = (message.sender(), message.expires_s(), message.transaction());
            let _said = message.answer((200, "OK"), (peer(), "t"), &[]);
        }
    }
}
