//! Answers: the vectors, pieces of them, and addresses as people write them.

use super::{AnswerError, Target, read};
use crate::tests::vectors;

#[test]
fn every_vector_is_judged_as_it_says() {
    let vectors = vectors("rtsp");
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let bytes = vector["input_text"].as_str().unwrap().as_bytes();
        let judged = read(bytes).unwrap();
        if vector["kind"] == "error" {
            assert_eq!(
                judged.unwrap_err().reason(),
                vector["expect_error"].as_str().unwrap()
            );
            continue;
        }
        let (answer, expect) = (judged.unwrap(), &vector["expect"]);
        assert_eq!(expect["alive"], true);
        assert_eq!(
            answer.wants_sign_in(),
            expect["auth_needed"].as_bool().unwrap_or(false)
        );
        assert_eq!(
            !answer.is_faulty(),
            expect["stream_ok"].as_bool().unwrap_or(true)
        );
        for end in 0..bytes.len() - 2 {
            assert_eq!(read(&bytes[..end]), None, "{end}");
        }
    }
}

#[test]
fn what_is_no_answer_of_rtsp_is_told_by_its_word() {
    for (text, error) in [
        ("HTTP/1.1 400 Bad Request\r\n", AnswerError::WrongService),
        ("SSH-2.0-x\r\n", AnswerError::WrongService),
        ("RTSP/1.0 abc\r\nCSeq: 1\r\n\r\n", AnswerError::Malformed),
        (
            "RTSP/1.0 2000 OK\r\nCSeq: 1\r\n\r\n",
            AnswerError::Malformed,
        ),
        ("RTSP/1.0 200 OK\r\n\r\n", AnswerError::Cseq),
        ("RTSP/1.0 200 OK\r\nCSeq: one\r\n\r\n", AnswerError::Cseq),
    ] {
        assert_eq!(read(text.as_bytes()), Some(Err(error)), "{text}");
    }
    let endless = format!("RTSP/1.0 200 OK\r\nX: {}", "x".repeat(9_000));
    assert_eq!(read(endless.as_bytes()), Some(Err(AnswerError::TooLarge)));
    let loose = b"RTSP/1.0 404 Not Found\nServer: x\ncseq : 1\n\n";
    assert_eq!(read(loose).unwrap().unwrap().status, 404);
}

#[test]
fn addresses_are_read_as_people_write_them_and_passwords_stay_here() {
    for (text, host, port, uri) in [
        ("rtsp://10.0.0.9", "10.0.0.9", 554, "rtsp://10.0.0.9:554/"),
        ("10.0.0.9:8554", "10.0.0.9", 8554, "rtsp://10.0.0.9:8554/"),
        (
            "rtsp://u:p@cam.example/a/b?c=1",
            "cam.example",
            554,
            "rtsp://cam.example:554/a/b?c=1",
        ),
        (
            "rtsp://[fe80::1]:555/",
            "fe80::1",
            555,
            "rtsp://[fe80::1]:555/",
        ),
        ("[fe80::1]", "fe80::1", 554, "rtsp://[fe80::1]:554/"),
    ] {
        let target = Target::parse(text).unwrap();
        assert_eq!((target.host.as_str(), target.port), (host, port));
        assert_eq!(target.uri.as_deref(), Some(uri));
    }
    let question = Target::parse("10.0.0.9").unwrap().question().unwrap();
    assert_eq!(
        question,
        "OPTIONS rtsp://10.0.0.9:554/ RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: cityhub\r\n\r\n"
    );
    assert_eq!(Target::parse("tcp://10.0.0.9:80").unwrap().question(), None);
    for wrong in [
        "",
        "rtsp://",
        "http://x/",
        "tcp://x",
        "x:99999",
        "a b",
        "x\r\nX: y",
    ] {
        assert!(Target::parse(wrong).is_err(), "{wrong}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        text in "[ -~é/:@\\[\\]]{0,40}",
    ) {
        let _read = read(&bytes);
        let _read = read(&[b"RTSP/1.0 ".as_slice(), &bytes].concat());
        drop(Target::parse(&text));
    }
}
