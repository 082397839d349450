//! Attacks the finder of HJ 212 frames and what reads them: it must not keep more than a frame, and
//! the count of every frame must balance.
#![no_main]

use bytes::BytesMut;
use driver_hj212::{Command, Content, Dialect, Finder, Found, Frame, Profile, Segment, text_of};
use libfuzzer_sys::fuzz_target;
use model::Catalogue;
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::built_in);
static DIALECT: LazyLock<Dialect> =
    LazyLock::new(|| Dialect::new(Profile::default(), &CATALOGUE).unwrap());

fn find(bytes: &[u8], piece: usize) -> Vec<Frame> {
    let mut finder = Finder::new(1024);
    let mut received = BytesMut::new();
    let mut frames = Vec::new();
    for piece in bytes.chunks(piece) {
        received.extend_from_slice(piece);
        while let Some(found) = finder.next(&mut received) {
            if let Found::Frame(frame) = found {
                frames.push(frame);
            }
        }
        assert!(received.len() < 8 * 1024);
    }
    while let Some(found) = finder.stalled(&mut received) {
        if let Found::Frame(frame) = found {
            frames.push(frame);
        }
    }
    frames
}

fuzz_target!(|bytes: &[u8]| {
    for frame in find(bytes, 512) {
        let text = text_of(&frame.segment);
        // A byte of GBK text before `CP` can take the `C` with it; the driver quarantines that.
        let Some(segment) = Segment::parse(&text) else {
            continue;
        };
        let content = Command::of(&segment).content;
        if matches!(content, Content::RealTime | Content::Statistics(_)) {
            let decoded = DIALECT.decode(&CATALOGUE, &segment, content);
            let counted = decoded.observations.len() + decoded.rejected.len();
            assert_eq!(decoded.received as usize, counted);
        }
    }
    find(bytes, 7);
});
