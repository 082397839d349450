//! Signatures of OneNET over the very bytes that were sent, and what is enciphered.
//!
//! Signatures and ciphers were made with Python's hashlib and the openssl command.

use super::{onenet, token};
use crate::{Content, Moment, Platform, Refused, Report};
use serde_json::json;

/// Puts a push together around the bytes of its message.
fn push(msg: &str, nonce: &str, signature: &str) -> String {
    format!(r#"{{ "nonce" : "{nonce}","msg" : {msg} ,"msg_signature":"{signature}"}}"#)
}

fn read(body: &str) -> Vec<Report> {
    onenet().read(body.as_bytes()).unwrap()
}

#[test]
fn blanks_escapes_and_number_forms_within_the_message_are_signed_as_they_are() {
    let escaped = r#"{"type":1, "dev_id" :2016617,"ds_id":"\u70df\u611f","at":1466133706841,"value":2.150E+1}"#;
    let reports = read(&push(escaped, "n+/ 1", "A27WV1S1jAO/MnV3Z+vs4w=="));
    assert_eq!(
        reports[0].content,
        Ok(Content::Values(json!({"烟感": 21.5})))
    );
    let texts = "{\n\t\"type\" : 1.0,\"dev_id\":\"2016617\",\"ds_id\":\"t\",\"at\":\"1772323200123\",\"value\":-0}";
    let reports = read(&push(texts, "n+/ 1", "y2ct4D2ANeOacIWRDczhOQ=="));
    assert_eq!(reports[0].names, [("onenet", "2016617".to_owned())]);
    assert!(matches!(reports[0].at, Moment::At(at) if at.millis() == 1_772_323_200_123));
    let slash = r#"{"type":1,"dev_id":1,"ds_id":"a\/b","at":1772323200123,"value":"x\u0000"}"#;
    assert_eq!(
        read(&push(slash, "n+/ 1", "ujCDIDHJOhW5IOQyMaabNg")).len(),
        1
    );
    assert_eq!(read(&push("[ ]", "n+/ 1", "ZrKg6EWLThAKkoGUbgMSvg==")), []);
    // One blank more is another message.
    let other = push("[  ]", "n+/ 1", "ZrKg6EWLThAKkoGUbgMSvg==");
    assert_eq!(onenet().read(other.as_bytes()), Err(Refused::Forged));
}

#[test]
fn a_signature_lives_through_what_addresses_do_to_it() {
    // Ht6REdXtZ0g/ZtMiFShx+g== is that of `5` with the nonce n12.
    for signature in [
        "Ht6REdXtZ0g%2FZtMiFShx%2Bg%3D%3D",
        "Ht6REdXtZ0g/ZtMiFShx+g==",
        "Ht6REdXtZ0g/ZtMiFShx+g",
        "Ht6REdXtZ0g/ZtMiFShx%20g%3D%3D",
        "Ht6REdXtZ0g%2fZtMiFShx g=",
    ] {
        let query = format!("msg=5&signature={signature}&nonce=n12");
        assert_eq!(onenet().validate(&query).as_deref(), Some("5"), "{query}");
    }
    for query in [
        "",
        "msg=5&nonce=n12",
        "msg=6&signature=Ht6REdXtZ0g/ZtMiFShx+g==&nonce=n12",
        "msg=5&signature=Ht6REdXtZ0g/ZtMiFShx+g==&nonce=n1",
        "msg=5&signature=Ht6REdXtZ0g/ZtMiFShx+G==&nonce=n12",
        "msg=5&signature=&nonce=n12",
        "msg=%ff&signature=Ht6REdXtZ0g/ZtMiFShx+g==&nonce=n12",
    ] {
        assert_eq!(onenet().validate(query), None, "{query}");
    }
    assert_eq!(
        Platform::Ctwing.validate("msg=5&nonce=n12&signature=x"),
        None
    );
}

#[test]
fn what_is_not_signed_is_not_even_read() {
    for body in [
        r#"{"msg":{"type":1},"nonce":"a"}"#,
        r#"{"msg":{"type":1},"nonce":"a","msg_signature":""}"#,
        r#"{"msg":{"type":1},"nonce":"a","signature":"AAAAAAAAAAAAAAAAAAAAAA=="}"#,
        r#"{"enc_msg":"AAAA","nonce":"a","signature":"AAAAAAAAAAAAAAAAAAAAAA=="}"#,
    ] {
        assert_eq!(
            onenet().read(body.as_bytes()),
            Err(Refused::Forged),
            "{body}"
        );
    }
    for (body, reason) in [
        ("", "empty_payload"),
        ("{", "invalid_json"),
        ("[1]", "wrong_shape"),
        (r#"{"msg_signature":"x"}"#, "wrong_shape"),
        // Two of them: nobody can tell which is signed.
        (r#"{"msg":1,"msg":2,"msg_signature":"x"}"#, "wrong_shape"),
    ] {
        let Err(Refused::Unreadable(why)) = onenet().read(body.as_bytes()) else {
            panic!("{body}");
        };
        assert_eq!(why.reason, reason, "{body}");
    }
}

/// Random bytes, length, `{"type":1,"dev_id":2016617,"ds_id":"烟感","at":1772323200123,"value":1}`.
const SEALED: &str = "4j/AuRx71kQlxVlzbpsMWJ8+BVIOv68h821t03clZTQR5jWHA8hecGUcA7xx/5frzDuOS0VcJNpMI17BHrzfS21SXjm1PAr9X3tCRNSdfnN72+B4rxzaGRhnsTUaGNYG";

/// The signature of what is sent.
const OF_SEALED: &str = "lo/7eCkTMtuvvUH9BK2SIw==";

/// The signature of what is meant.
const OF_OPENED: &str = "F3rZRd8SYqh+D1mwJpnuAA==";

fn sealed(signature: &str) -> String {
    json!({"enc_msg": SEALED, "nonce": "abcdefgh", "msg_signature": signature}).to_string()
}

#[test]
fn an_enciphered_message_is_opened_with_the_key() {
    for signature in [OF_SEALED, OF_OPENED] {
        let reports = read(&sealed(signature));
        let values = json!({"烟感": 1});
        assert_eq!(reports[0].content, Ok(Content::Values(values)));
    }
    let forged = sealed("AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(onenet().read(forged.as_bytes()), Err(Refused::Forged));
    for (key, reason) in [
        (None, "no_key"),
        (crate::AesKey::from_base64(&"B".repeat(43)), "cipher"),
    ] {
        let platform = Platform::Onenet {
            token: token(),
            key,
        };
        let reports = platform.read(sealed(OF_SEALED).as_bytes()).unwrap();
        assert_eq!(reports[0].content.as_ref().unwrap_err().reason, reason);
        assert_eq!(reports[0].names, []);
    }
}

#[test]
fn a_key_has_43_characters_and_is_never_shown() {
    assert!(crate::AesKey::from_base64("too short").is_none());
    assert!(crate::AesKey::from_base64(&"A".repeat(44)).is_none());
    let text = format!("{:?}", onenet());
    assert_eq!(text, "Onenet { token: Token(***), key: Some(AesKey(***)) }");
}
