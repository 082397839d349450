//! Units whose counts lie, and types that the vectors do not have.

use super::{Object, Place, UnitError, cut, text};
use crate::frame::Stamp;

#[test]
fn a_count_beyond_the_data_refuses_the_unit_and_bytes_beyond_the_count_do_not() {
    let mut unit = vec![21, 2, 0x08, 2, 58, 9, 26, 9, 12];
    assert_eq!(
        cut(&unit).unwrap_err(),
        UnitError::Count { count: 2, room: 1 }
    );
    unit[1] = 1;
    unit.push(0);
    assert_eq!(cut(&unit).unwrap().objects().count(), 1);
}

#[test]
fn the_state_and_the_operations_of_the_transmission_device_are_read() {
    // 传输装置主电源故障 and 查岗应答, 2012-09-26 09:58:02.
    let at = Stamp([2, 58, 9, 26, 9, 12]);
    let unit = [21, 1, 0x08, 2, 58, 9, 26, 9, 12];
    let read: Vec<_> = cut(&unit).unwrap().objects().collect();
    let state = Object::State {
        place: Place::Device,
        bits: 8,
        text: &[],
        at,
    };
    assert_eq!(read, [state]);
    let unit = [24, 1, 0x20, 1, 2, 58, 9, 26, 9, 12];
    let read: Vec<_> = cut(&unit).unwrap().objects().collect();
    let operation = Object::Operation {
        place: Place::Device,
        bits: 0x20,
        operator: 1,
        at,
    };
    assert_eq!(read, [operation]);
}

#[test]
fn versions_times_and_orders_hold_no_readings_and_makers_types_are_unknown() {
    for unit in [
        &[25u8, 1, 1, 1][..],
        &[28, 1, 2, 58, 9, 26, 9, 12],
        &[90, 1],
        &[],
    ] {
        assert_eq!(cut(unit).unwrap().objects().count(), 0);
    }
    assert_eq!(cut(&[128, 1, 0]).unwrap_err(), UnitError::UnknownType(128));
    assert_eq!(cut(&[9]).unwrap_err().reason(), "unknown_type");
}

#[test]
fn a_text_is_read_without_what_it_is_padded_with() {
    // 2号楼3层 in GB 18030.
    let bytes = b"2\xba\xc5\xc2\xa53\xb2\xe3      \0\0\0";
    assert_eq!(text(bytes), "2号楼3层");
    assert_eq!(text(b"\xffA\0"), "\u{fffd}A");
    assert_eq!(text(&[0; 31]), "");
}

#[test]
fn a_place_is_spelled_as_identities_spell_it() {
    let component = Place::Component([1, 3, 40], [0xd9, 0, 6, 0]);
    assert_eq!(component.to_string(), "1.3.40.d9000600");
    assert_eq!(Place::System([1, 11]).to_string(), "1.11");
}
