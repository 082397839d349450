//! Calls: the vectors, and what must not be taken.

use super::{Call, CallError, decoded, probe, read};
use crate::tests::vectors;

#[test]
fn every_vector_decodes_as_it_says() {
    let vectors = vectors("ws-discovery");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let read = read(vector["input_text"].as_str().unwrap().as_bytes());
        if vector["kind"] == "error" {
            assert_eq!(
                read.unwrap_err().reason(),
                vector["expect_error"].as_str().unwrap()
            );
            continue;
        }
        let (call, callers) = read.unwrap();
        let expect = &vector["expect"];
        assert_eq!(call.name(), expect["kind"].as_str().unwrap());
        let [caller] = callers.as_slice() else {
            panic!("{callers:?}");
        };
        assert_eq!(caller.uuid, expect["uuid"].as_str().unwrap());
        if call == Call::Bye {
            continue;
        }
        assert_eq!(caller.is_camera, expect["is_camera"].as_bool().unwrap());
        assert_eq!(caller.name.as_deref(), expect["name"].as_str());
        assert_eq!(serde_json::json!(caller.addresses), expect["xaddrs"]);
        assert_eq!(caller.address(None), expect["prefer_xaddr"].as_str());
        let sender = "169.254.76.145".parse().ok();
        assert_eq!(
            caller.address(sender),
            Some("http://169.254.76.145/onvif/services")
        );
    }
}

#[test]
fn other_documents_are_no_calls() {
    assert_eq!(read(b"<a/>"), Err(CallError::Unknown));
    // Our own question, which comes back to everybody in the group.
    assert_eq!(read(probe("1").as_bytes()), Err(CallError::Unknown));
    // The names without their namespaces.
    assert_eq!(
        read(b"<Envelope><Body><Hello/></Body></Envelope>"),
        Err(CallError::Unknown)
    );
    assert!(matches!(read(b"<a"), Err(CallError::Malformed(_))));
    assert!(matches!(read(&[0xff]), Err(CallError::Malformed(_))));
    let wide = format!("<a>{}</a>", "<b/>".repeat(5_000));
    assert_eq!(read(wide.as_bytes()), Err(CallError::TooLarge));
}

#[test]
fn names_are_decoded_and_broken_codes_stay() {
    assert_eq!(decoded("Front%20Door"), "Front Door");
    assert_eq!(decoded("%E5%89%8D%e9%97%a8"), "前门");
    assert_eq!(decoded("100%%2"), "100%%2");
}
