//! Streams that are cut, glued, noisy and wrong.

use super::{find_in, find_in_until_stalled, framed, frames};
use crate::{Checksum, Finder, Found};
use bytes::BytesMut;
use proptest::prelude::*;

const GOOD: &str = "QN=20260301080500123;ST=39;CN=2011;PW=123456;MN=M1;Flag=5;CP=&&DataTime=20260301080500;LA-Rtd=63.2,LA-Flag=N&&";

fn good() -> String {
    framed(GOOD)
}

/// Segments of all frames, and the reasons of all that was skipped.
fn told(found: Vec<Found>) -> (Vec<String>, Vec<&'static str>) {
    let (mut segments, mut reasons) = (Vec::new(), Vec::new());
    for found in found {
        match found {
            Found::Frame(frame) => {
                segments.push(String::from_utf8(frame.segment.to_vec()).unwrap());
            }
            Found::Skipped { reason, .. } => reasons.push(reason),
        }
    }
    (segments, reasons)
}

#[test]
fn glued_frames_are_taken_one_by_one() {
    let bare = good().trim_end().to_owned();
    let glued = format!("{bare}{bare}\n{}{bare}", good());
    let (segments, reasons) = told(find_in(&[glued.as_bytes()]));
    assert_eq!(segments, [GOOD; 4]);
    assert!(reasons.is_empty());
}

#[test]
fn noise_before_a_frame_is_told_once_however_it_is_cut() {
    for noise in ["Real", "#", "\0\0\u{7f}garbage\r\nmore", "##1#", "##00A1Q"] {
        let bytes = format!("{noise}{}", good()).into_bytes();
        let whole = told(find_in(&[&bytes]));
        assert_eq!(whole.0, [GOOD], "{noise}");
        assert_eq!(whole.1.len(), 1, "{noise}: {:?}", whole.1);
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(told(find_in(&single)), whole, "{noise}");
    }
}

#[test]
fn an_end_mark_inside_a_text_does_not_end_the_frame() {
    let inner = framed("QN=1;CN=9014;CP=&&&&");
    let text =
        format!("QN=2;ST=32;CN=3020;MN=M1;Flag=5;CP=&&i11001-Info=//&&1C80\r\n##0020 {inner}//&&");
    let bytes = framed(&text).into_bytes();
    assert_eq!(told(find_in(&[&bytes])), (vec![text.clone()], vec![]));
    let single: Vec<_> = bytes.chunks(1).collect();
    assert_eq!(told(find_in(&single)), (vec![text], vec![]));
}

#[test]
fn a_wrong_length_does_no_harm_where_the_sum_is_right() {
    let crc = Checksum::Hj212.of(GOOD.as_bytes());
    let right = i32::try_from(GOOD.len()).unwrap();
    for off in [-100, -7, -2, -1, 1, 2, 3, 7, 500, 9000] {
        let length = right + off;
        let bytes = format!("##{length:04}{GOOD}{crc:04X}\r\n");
        assert_eq!(
            told(find_in(&[bytes.as_bytes()])),
            (vec![GOOD.to_owned()], vec![]),
            "{off}"
        );
        let single: Vec<_> = bytes.as_bytes().chunks(1).collect();
        assert_eq!(
            told(find_in(&single)),
            (vec![GOOD.to_owned()], vec![]),
            "{off}"
        );
    }
}

#[test]
fn a_length_that_is_too_great_and_no_line_end_are_decided_by_the_next_frame_or_by_time() {
    let crc = Checksum::Hj212.of(GOOD.as_bytes());
    let bytes = format!("##{:04}{GOOD}{crc:04X}", GOOD.len() + 100);
    assert_eq!(find_in(&[bytes.as_bytes()]), []);
    let waited = told(find_in_until_stalled(bytes.as_bytes()));
    assert_eq!(waited, (vec![GOOD.to_owned()], vec![]));
    let followed = format!("{bytes}{}", good());
    assert_eq!(
        told(find_in(&[followed.as_bytes()])),
        (vec![GOOD.to_owned(); 2], vec![])
    );
}

#[test]
fn a_frame_that_was_cut_off_costs_only_itself() {
    let bytes = format!("{}{}", good().split_at(60).0, good());
    assert_eq!(
        told(find_in(&[bytes.as_bytes()])),
        (vec![GOOD.to_owned()], vec!["bad_segment"])
    );
}

#[test]
fn a_frame_with_a_wrong_sum_costs_only_itself() {
    let wrong = good().replace("63.2", "63.3");
    let bytes = format!("{}{wrong}{}", good(), good());
    assert_eq!(
        told(find_in(&[bytes.as_bytes()])),
        (vec![GOOD.to_owned(); 2], vec!["crc_mismatch"])
    );
}

#[test]
fn every_kind_of_sum_is_found_in_either_case() {
    for checksum in Checksum::ALL {
        let crc = checksum.of(GOOD.as_bytes());
        for crc in [format!("{crc:04X}"), format!("{crc:04x}")] {
            let bytes = format!("##{:04}{GOOD}{crc}\r\n", GOOD.len());
            let found = frames(find_in(&[bytes.as_bytes()]));
            assert_eq!(found[0].checksum, Some(checksum));
        }
    }
}

#[test]
fn what_never_ends_is_dropped_at_the_greatest_size() {
    let mut endless = b"##9999QN=1;CP=&&".to_vec();
    endless.resize(10_000, b'x');
    let (segments, reasons) = told(find_in(&[&endless, good().as_bytes()]));
    assert_eq!(segments, [GOOD]);
    assert_eq!(reasons, ["frame_too_large", "noise"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_split_gives_the_same(
        pieces in prop::collection::vec(
            prop_oneof![
                Just(good()), Just(good().trim_end().to_owned()), Just("Real".to_owned()),
                Just("\r\n".to_owned()), Just(good().replace("63.2", "63.9")),
                "[a-z#&;=0-9]{0,12}",
            ],
            0..8,
        ),
        cuts in prop::collection::vec(1_usize..60, 1..40),
    ) {
        // At the end stands a frame, so that nothing waits for more.
        let stream = pieces.concat() + &good();
        let whole = frames(find_in(&[stream.as_bytes()]));
        let mut rest = stream.as_bytes();
        let mut split = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            split.push(piece);
            rest = after;
        }
        prop_assert_eq!(frames(find_in(&split)), whole);
    }

    #[test]
    fn no_bytes_make_it_panic_or_keep_more_than_a_frame(
        bytes in prop::collection::vec(
            prop_oneof![4 => any::<u8>(), 1 => Just(b'#'), 1 => Just(b'&'), 1 => b'0'..=b'9'],
            0..1500,
        ),
    ) {
        let mut finder = Finder::new(1024);
        let mut received = BytesMut::new();
        for piece in bytes.chunks(97) {
            received.extend_from_slice(piece);
            while finder.next(&mut received).is_some() {}
            prop_assert!(received.len() <= 2 * 1024);
        }
        while finder.stalled(&mut received).is_some() {}
    }
}
