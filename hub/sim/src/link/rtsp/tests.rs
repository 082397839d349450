//! Answers as RFC 2326 shows them.

use super::*;

#[test]
fn options_are_answered_with_the_number_of_the_question() {
    // The example of 10.1, with a camera's path.
    let question = "OPTIONS rtsp://127.0.0.1:8554/cam-1 RTSP/1.0\r\nCSeq: 7\r\n\r\n";
    let there = |path: &str| path == "cam-1";
    assert_eq!(
        answer(question, there).unwrap(),
        "RTSP/1.0 200 OK\r\nCSeq: 7\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY\r\n\r\n"
    );
    assert_eq!(answer(question, |_| false), None);
    let other = "DESCRIBE rtsp://127.0.0.1/cam-1 RTSP/1.0\r\ncseq:8\r\n\r\n";
    let refused = answer(other, there).unwrap();
    assert!(refused.starts_with("RTSP/1.0 501 "), "{refused}");
    assert!(refused.contains("\r\nCSeq: 8\r\n"), "{refused}");
    assert_eq!(answer("nonsense", there), None);
}
