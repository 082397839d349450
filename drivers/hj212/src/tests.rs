//! What the driver makes of bytes: the vectors, streams cut anywhere, values, talks.

mod conformance;
mod orders;
mod readings;
mod stream;
mod talks;
mod vectors;

use crate::{Checksum, Finder, Found, Frame};
use bytes::BytesMut;

/// Longest data segment in these tests, as in the default configuration.
const SEGMENT_BYTES_MAX: usize = 8192;

/// Feeds pieces and gives everything that was found.
fn find_in(pieces: &[&[u8]]) -> Vec<Found> {
    let mut finder = Finder::new(SEGMENT_BYTES_MAX);
    let mut received = BytesMut::new();
    let mut found = Vec::new();
    for piece in pieces {
        received.extend_from_slice(piece);
        while let Some(next) = finder.next(&mut received) {
            found.push(next);
        }
    }
    found
}

/// The same, and then nothing more comes for too long.
fn find_in_until_stalled(bytes: &[u8]) -> Vec<Found> {
    let mut finder = Finder::new(SEGMENT_BYTES_MAX);
    let mut received = BytesMut::from(bytes);
    let mut found = Vec::new();
    while let Some(next) = finder.next(&mut received) {
        found.push(next);
    }
    found.extend(finder.stalled(&mut received));
    found
}

fn frames(found: Vec<Found>) -> Vec<Frame> {
    let frame = |found| match found {
        Found::Frame(frame) => Some(frame),
        Found::Skipped { .. } => None,
    };
    found.into_iter().filter_map(frame).collect()
}

/// Puts head, checksum and end around a data segment.
fn framed(segment: &str) -> String {
    let crc = Checksum::Hj212.of(segment.as_bytes());
    format!("##{:04}{segment}{crc:04X}\r\n", segment.len())
}
