//! What fuzzers and the kept corpus do with the decoders, and what must hold.

/// Takes bytes as an answer of RTSP (first byte `r`) or as a call of WS-Discovery.
pub fn take(input: &[u8]) {
    let Some((which, bytes)) = input.split_first() else {
        return;
    };
    if *which != b'r' {
        if let Ok((_, callers)) = crate::discovery::read(bytes) {
            for caller in callers {
                assert!(!caller.uuid.is_empty(), "who calls has a name");
                let _address = caller.address(None);
            }
        }
        return;
    }
    // Once there is an answer, more bytes do not change it.
    let whole = crate::rtsp::read(bytes);
    for end in 0..bytes.len() {
        let part = crate::rtsp::read(bytes.get(..end).unwrap_or_default());
        if let Some(judged) = part {
            assert_eq!(Some(judged), whole, "more bytes change nothing");
            return;
        }
    }
}
