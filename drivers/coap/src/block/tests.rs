//! Bodies in blocks, in order and out of it.

use super::{Block, Bodies, Key, Piece, Taken};
use crate::peer::Peer;
use std::time::Duration;
use tokio::time::Instant;

fn peer(port: u16) -> Peer {
    Peer {
        address: ([127, 0, 0, 1], port).into(),
        session: 0,
    }
}

fn key(tag: u8) -> Key {
    Key {
        path: vec!["telemetry".to_owned()],
        query: Vec::new(),
        tag: vec![vec![tag]],
    }
}

fn piece(number: u32, more: bool, payload: &[u8]) -> Piece<'_> {
    Piece {
        block: Block {
            number,
            more,
            exponent: 0,
        },
        size: None,
        payload,
    }
}

/// Sixteen bytes.
fn full(byte: u8) -> &'static [u8] {
    if byte == 1 { &[1; 16] } else { &[2; 16] }
}

#[test]
fn the_value_of_the_option_is_that_of_the_standard() {
    // The vector libcoap_block1_1: 1a is block 1, more to come, of 64 bytes.
    let block = Block::read(0x1a).unwrap();
    assert_eq!((block.number, block.more, block.bytes()), (1, true, 64));
    assert_eq!((block.begin(), block.value()), (64, 0x1a));
    assert!(Block::read(7).is_err());
    let body = [7; 100];
    let cut = |number: u32| Block::read(number << 4 | 2).unwrap().cut(&body);
    assert_eq!(
        cut(0).map(|(block, part)| (block.more, part.len())),
        Some((true, 64))
    );
    assert_eq!(
        cut(1).map(|(block, part)| (block.more, part.len())),
        Some((false, 36))
    );
    assert_eq!(cut(2), None);
    assert_eq!(cut(0x000f_ffff), None);
}

#[test]
fn blocks_in_order_make_a_body_and_a_repetition_is_no_harm() {
    let (mut bodies, now) = (Bodies::new(100, 10_000), Instant::now());
    assert_eq!(
        bodies.take(peer(1), key(1), piece(0, true, full(1)), now),
        Taken::Going
    );
    assert_eq!(
        bodies.take(peer(1), key(1), piece(1, true, full(2)), now),
        Taken::Going
    );
    assert_eq!(
        bodies.take(peer(1), key(1), piece(1, true, full(2)), now),
        Taken::Going
    );
    let whole = [full(1), full(2), b"end"].concat();
    assert_eq!(
        bodies.take(peer(1), key(1), piece(2, false, b"end"), now),
        Taken::Whole(whole)
    );
    assert_eq!((bodies.bytes, bodies.under_way.len()), (0, 0));
}

#[test]
fn blocks_may_become_smaller_on_the_way() {
    let (mut bodies, now) = (Bodies::new(100, 10_000), Instant::now());
    let large = Piece {
        block: Block {
            number: 0,
            more: true,
            exponent: 1,
        },
        ..piece(0, true, &[1; 32])
    };
    assert_eq!(bodies.take(peer(1), key(1), large, now), Taken::Going);
    assert_eq!(
        bodies.take(peer(1), key(1), piece(2, false, b"end"), now),
        Taken::Whole([&[1; 32][..], b"end"].concat())
    );
}

#[test]
fn what_does_not_belong_together_is_not_put_together() {
    let (mut bodies, now) = (Bodies::new(100, 10_000), Instant::now());
    let mut take = |port, tag, piece| bodies.take(peer(port), key(tag), piece, now);
    assert_eq!(
        take(1, 1, piece(1, false, b"x")),
        Taken::Incomplete,
        "no first block"
    );
    assert_eq!(take(1, 1, piece(0, true, full(1))), Taken::Going);
    assert_eq!(
        take(2, 1, piece(1, false, b"x")),
        Taken::Incomplete,
        "another endpoint"
    );
    assert_eq!(
        take(1, 2, piece(1, false, b"x")),
        Taken::Incomplete,
        "another Request-Tag"
    );
    assert_eq!(
        take(1, 1, piece(2, false, b"x")),
        Taken::Incomplete,
        "a block is missing"
    );
    assert_eq!(
        take(1, 1, piece(1, false, b"x")),
        Taken::Incomplete,
        "and it was given up"
    );
    assert_eq!(take(1, 1, piece(0, true, b"short")), Taken::Wrong);
    assert_eq!(take(1, 1, piece(0, false, &[0; 17])), Taken::Wrong);
}

#[test]
fn a_first_block_begins_anew() {
    let (mut bodies, now) = (Bodies::new(100, 10_000), Instant::now());
    let mut take = |piece| bodies.take(peer(1), key(1), piece, now);
    assert_eq!(take(piece(0, true, full(1))), Taken::Going);
    assert_eq!(take(piece(0, true, full(2))), Taken::Going);
    let whole = [full(2), b"x"].concat();
    assert_eq!(take(piece(1, false, b"x")), Taken::Whole(whole));
}

#[test]
fn no_body_grows_over_its_limit_and_no_endpoint_has_more_than_four() {
    let (mut bodies, now) = (Bodies::new(40, 10_000), Instant::now());
    let said = Piece {
        size: Some(41),
        ..piece(0, true, full(1))
    };
    assert_eq!(
        bodies.take(peer(1), key(1), said, now),
        Taken::TooLarge,
        "it says so"
    );
    let mut take = |tag, piece| bodies.take(peer(1), key(tag), piece, now);
    assert_eq!(take(1, piece(0, true, full(1))), Taken::Going);
    assert_eq!(take(1, piece(1, true, full(1))), Taken::Going);
    assert_eq!(
        take(1, piece(2, true, full(1))),
        Taken::TooLarge,
        "it becomes so"
    );
    for tag in 1..=4 {
        assert_eq!(take(tag, piece(0, true, full(1))), Taken::Going);
    }
    assert_eq!(take(5, piece(0, true, full(1))), Taken::Full);
    assert_eq!(
        take(4, piece(1, false, b"x")),
        Taken::Whole([full(1), b"x"].concat())
    );
    assert_eq!(take(5, piece(0, true, full(1))), Taken::Going);
}

#[test]
fn what_is_never_finished_is_forgotten_and_all_of_it_has_a_limit() {
    let (mut bodies, start) = (Bodies::new(100, 3 * (16 + 512)), Instant::now());
    for port in 1..=3 {
        assert_eq!(
            bodies.take(peer(port), key(1), piece(0, true, full(1)), start),
            Taken::Going
        );
    }
    assert_eq!(
        bodies.take(peer(4), key(1), piece(0, true, full(1)), start),
        Taken::Full
    );
    let later = start + Duration::from_secs(248);
    assert_eq!(
        bodies.take(peer(1), key(1), piece(1, false, b"x"), later),
        Taken::Incomplete
    );
    assert_eq!(
        bodies.take(peer(4), key(1), piece(0, true, full(1)), later),
        Taken::Going
    );
    let sixth = bodies.take(peer(6), key(1), piece(0, true, full(1)), later);
    assert_eq!(sixth, Taken::Going, "the old ones made room");
    assert_eq!(bodies.under_way.len(), 2);
    assert_eq!(bodies.bytes, 2 * (16 + 512));
}
