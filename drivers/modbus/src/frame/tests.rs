//! The reader of RTU answers against everything that a line can do to them.

use super::{Block, Cleared, Data, Reader, Reply, Request, Table, Trouble, crc};
use proptest::prelude::*;
use std::sync::Arc;

/// Captured from a real noise sensor: 58.0 dB as 580 tenths.
const NOISE: &[u8] = &[0x01, 0x03, 0x02, 0x02, 0x44, 0xb9, 0x17];
const HEARTBEAT: &[u8] = b"www.usr.cn";

fn read(at: u16, count: u16) -> Request {
    Request::Read(Block {
        table: Table::Holding,
        at,
        count,
    })
}

fn reader(known: &[&[u8]]) -> Reader {
    Reader::new(known.iter().map(|text| text.to_vec()).collect())
}

/// Puts the CRC behind a frame.
fn framed(plain: &[u8]) -> Vec<u8> {
    let mut frame = plain.to_vec();
    frame.extend(crc(plain).to_le_bytes());
    frame
}

/// Feeds pieces and gives the first answer.
fn answer<'a>(
    known: &[&[u8]],
    request: &Request,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Option<Reply> {
    let mut reader = reader(known);
    pieces.into_iter().find_map(|piece| {
        reader.feed(piece);
        reader.find(1, request).map(|found| found.reply)
    })
}

fn registers(reply: Option<Reply>) -> Vec<u16> {
    match reply {
        Some(Reply::Data(data)) => data.registers().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_are_what_the_standard_and_captures_show() {
    // A capture: 01 03 00 00 00 01 84 0A.
    let expected = [0x01, 0x03, 0x00, 0x00, 0x00, 0x01, 0x84, 0x0a];
    assert_eq!(read(0, 1).rtu(1), expected);
    // A capture: 01 03 50 0C 00 02; its CRC is 14 C8.
    assert_eq!(
        read(0x500c, 2).rtu(1)[..6],
        [0x01, 0x03, 0x50, 0x0c, 0x00, 0x02]
    );
    // Application Protocol 6.5 and 6.6: coil 173 on, register 2 becomes 3.
    let coil = Request::WriteCoil { at: 0xac, on: true };
    assert_eq!(coil.rtu(1)[1..6], [0x05, 0x00, 0xac, 0xff, 0x00]);
    let off = Request::WriteCoil {
        at: 0xac,
        on: false,
    };
    assert_eq!(off.rtu(1)[1..6], [0x05, 0x00, 0xac, 0x00, 0x00]);
    let register = Request::WriteRegister { at: 1, value: 3 };
    assert_eq!(register.rtu(1)[1..6], [0x06, 0x00, 0x01, 0x00, 0x03]);
}

#[test]
fn bits_stand_lowest_first() {
    // Application Protocol 6.1: CD 6B 05 are coils 20 to 38, the lowest bit of CD is coil 20.
    let data = Data::new(&[0xcd, 0x6b, 0x05]).unwrap();
    let bits: Vec<bool> = (0..8).map_while(|index| data.bit(index)).collect();
    assert_eq!(bits, [true, false, true, true, false, false, true, true]);
    assert_eq!(data.bit(24), None);
    let bits: Vec<bool> = (0..19).map_while(|index| data.bit(index)).collect();
    assert_eq!(Data::of_bits(&bits), Some(data));
    assert_eq!(Data::new(&[0; 251]), None);
    assert_eq!(Data::of_registers(&[0; 126]), None);
}

#[test]
fn an_answer_is_found_byte_by_byte_and_behind_anything() {
    let request = read(0, 1);
    let bytes: Vec<&[u8]> = NOISE.chunks(1).collect();
    assert_eq!(registers(answer(&[], &request, bytes)), [580]);
    for noise in [
        b"www.usr.cn".as_slice(),
        b"ZC1000",
        // A binary heartbeat that claims an answer of 255 bytes.
        &[0x01, 0x03, 0xff],
        &[0x01],
        &[0x01, 0x03],
        &[0x01, 0x03, 0x02, 0x00],
        &[0x00; 900],
    ] {
        let whole = [noise, NOISE].concat();
        assert_eq!(
            registers(answer(&[], &request, [&*whole])),
            [580],
            "{noise:02x?}"
        );
    }
}

#[test]
fn a_heartbeat_in_the_middle_of_an_answer_is_taken_out() {
    for place in 1..NOISE.len() {
        let (before, after) = NOISE.split_at(place);
        let torn = [before, HEARTBEAT, after].concat();
        for size in [1, 3, torn.len()] {
            let pieces = torn.chunks(size);
            assert_eq!(
                registers(answer(&[HEARTBEAT], &read(0, 1), pieces)),
                [580],
                "{place}"
            );
        }
    }
}

#[test]
fn a_registration_before_every_packet_of_an_answer_is_taken_out() {
    let torn = [b"ZC1000", &NOISE[..3], b"ZC1000", &NOISE[3..]].concat();
    assert_eq!(
        registers(answer(&[HEARTBEAT, b"ZC1000"], &read(0, 1), [&*torn])),
        [580]
    );
}

#[test]
fn data_that_looks_like_a_heartbeat_stays() {
    let frame = framed(&[1, 3, 4, 0x51, 0x51, 0, 7]);
    assert_eq!(
        registers(answer(&[b"QQ"], &read(0, 2), [&*frame])),
        [0x5151, 7]
    );
    // And with a real one beside it, in the middle.
    let torn = [&frame[..6], b"QQ", &frame[6..]].concat();
    assert_eq!(
        registers(answer(&[b"QQ"], &read(0, 2), [&*torn])),
        [0x5151, 7]
    );
}

#[test]
fn an_exception_is_an_answer() {
    let frame = framed(&[1, 0x83, 2]);
    assert_eq!(
        answer(&[], &read(0, 1), [&*frame]),
        Some(Reply::Exception(2))
    );
}

#[test]
fn a_write_is_answered_by_its_echo_only() {
    let request = Request::WriteRegister { at: 7, value: 1 };
    let echo = request.rtu(1);
    assert_eq!(
        answer(&[], &request, [echo.as_slice()]),
        Some(Reply::Written)
    );
    let other = Request::WriteRegister { at: 8, value: 1 }.rtu(1);
    assert_eq!(answer(&[], &request, [other.as_slice()]), None);
}

#[test]
fn what_follows_an_answer_stays_and_what_precedes_it_is_counted() {
    let mut reader = reader(&[HEARTBEAT]);
    reader.feed(&[HEARTBEAT, b"??", NOISE, NOISE].concat());
    let found = reader.find(1, &read(0, 1)).unwrap();
    assert_eq!(found.foreign, 2);
    assert_eq!(reader.received(), NOISE);
    assert_eq!(
        reader.clear(),
        Cleared {
            foreign: 7,
            frame: true
        }
    );
}

#[test]
fn the_beginning_of_a_heartbeat_survives_the_clearing() {
    let mut reader = reader(&[HEARTBEAT]);
    reader.feed(b"wwwwww.us");
    assert_eq!(reader.clear().foreign, 3);
    reader.feed(b"r.cn");
    assert_eq!(reader.clear(), Cleared::default());
}

#[test]
fn trouble_has_a_name() {
    let cases: [(&[u8], Trouble); 9] = [
        (&[], Trouble::Timeout),
        (HEARTBEAT, Trouble::Timeout),
        (b"hello", Trouble::Noise),
        (&[0x01, 0x03, 0x02, 0x02], Trouble::Incomplete),
        (&[0x01], Trouble::Incomplete),
        (&[0x01, 0x03, 0x02, 0x02, 0x44, 0xb9, 0x18], Trouble::Crc),
        (&framed(&[2, 3, 2, 2, 0x44]), Trouble::UnitMismatch),
        (&framed(&[1, 4, 2, 2, 0x44]), Trouble::FunctionMismatch),
        (&framed(&[1, 3, 4, 2, 0x44, 0, 0]), Trouble::WrongLength),
    ];
    for (bytes, expected) in cases {
        let mut reader = reader(&[HEARTBEAT]);
        reader.feed(bytes);
        assert_eq!(reader.find(1, &read(0, 1)), None, "{expected:?}");
        assert_eq!(reader.trouble(1, &read(0, 1)), expected, "{bytes:02x?}");
    }
}

#[test]
fn a_flood_is_bounded_and_counted() {
    let mut reader = reader(&[]);
    assert_eq!(reader.feed(&[0xaa; 5000]), 5000 - 1024);
    assert_eq!(reader.received().len(), 1024);
    assert_eq!(reader.feed(NOISE), NOISE.len());
    assert_eq!(
        registers(reader.find(1, &read(0, 1)).map(|found| found.reply)),
        [580]
    );
}

proptest! {
    #[test]
    fn any_split_of_any_stream_gives_the_same_answer(
        before in proptest::collection::vec(any::<u8>(), 0..40),
        words in proptest::collection::vec(any::<u16>(), 1..40),
        heartbeat_at in 0usize..100,
        sizes in proptest::collection::vec(1usize..9, 1..60),
    ) {
        let data = Data::of_registers(&words).unwrap();
        let mut plain = vec![1, 3, u8::try_from(data.bytes().len()).unwrap()];
        plain.extend_from_slice(data.bytes());
        let mut stream = [before, framed(&plain)].concat();
        let place = heartbeat_at.min(stream.len());
        stream.splice(place..place, HEARTBEAT.iter().copied());
        let request = read(0, u16::try_from(words.len()).unwrap());
        let mut pieces = Vec::new();
        let mut rest = stream.as_slice();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        // One stream in 65,536 has a right CRC at a wrong place.
        let plain = answer(&[], &request, [stream.as_slice()]);
        prop_assume!(plain.is_none_or(|reply| reply == Reply::Data(data.clone())));
        let whole = answer(&[HEARTBEAT], &request, [stream.as_slice()]);
        prop_assert_eq!(whole.clone(), Some(Reply::Data(data)));
        prop_assert_eq!(answer(&[HEARTBEAT], &request, pieces), whole);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..8),
        known in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..4), 0..3),
        unit: u8,
        count in 1u16..125,
    ) {
        let mut reader = Reader::new(Arc::from(known));
        for piece in pieces {
            reader.feed(&piece);
            let _found = reader.find(unit, &read(0, count));
            let _trouble = reader.trouble(unit, &read(0, count));
        }
        reader.clear();
    }
}
