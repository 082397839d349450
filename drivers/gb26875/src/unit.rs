//! Application data units (应用数据单元): what a frame says of systems, components and the transmission
//! device itself.

use crate::frame::Stamp;
use encoding_rs::GB18030;
use std::fmt;

/// 类型标志, table 3; the numbers of the standard.
pub(crate) mod kind {
    pub(crate) const SYSTEM: u8 = 1;
    pub(crate) const COMPONENT: u8 = 2;
    pub(crate) const ANALOG: u8 = 3;
    pub(crate) const OPERATION: u8 = 4;
    pub(crate) const COMPONENT_CONFIG: u8 = 7;
    pub(crate) const DEVICE: u8 = 21;
    pub(crate) const DEVICE_OPERATION: u8 = 24;
    pub(crate) const SET_CLOCK: u8 = 90;
    pub(crate) const GUARD_CALL: u8 = 91;
}

/// Types that are understood and hold no readings: versions, texts and times (8.3.1.5 to 8.3.1.8,
/// 8.3.1.11 to 8.3.1.13), and what only a centre sends (8.3.2).
const WITHOUT_READINGS: [u8; 6] = [5, 6, 8, 25, 26, 28];
const DOWNWARD: std::ops::RangeInclusive<u8> = 61..=91;

/// Bytes of 部件说明.
const TEXT_BYTES: usize = 31;

/// A system of a site, or one component of it, as frames name them.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The transmission device (用户信息传输装置) itself.
    Device,
    /// 系统类型 and 系统地址.
    System([u8; 2]),
    /// 系统类型, 系统地址, 部件类型 and 部件地址.
    Component([u8; 3], [u8; 4]),
}

/// As identities of devices spell it: `1.3` and `1.3.40.d9000600`, the address as its bytes come.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => Ok(()),
            Self::System([kind, address]) => write!(f, "{kind}.{address}"),
            Self::Component([system, address, component], [a, b, c, d]) => {
                write!(
                    f,
                    "{system}.{address}.{component}.{a:02x}{b:02x}{c:02x}{d:02x}"
                )
            }
        }
    }
}

/// One information object (信息对象).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Object<'a> {
    /// Types 1, 2 and 21: a place, its state bits, and for components a text.
    State {
        place: Place,
        bits: u16,
        text: &'a [u8],
        at: Stamp,
    },
    /// Type 3.
    Analog {
        place: Place,
        kind: u8,
        raw: i16,
        at: Stamp,
    },
    /// Types 4 and 24: what was done at a system or at the transmission device, and by whom.
    Operation {
        place: Place,
        bits: u8,
        operator: u8,
        at: Stamp,
    },
    /// Type 7: what a component is called.
    Config { place: Place, text: &'a [u8] },
}

/// A unit that was cut into its objects.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Unit<'a> {
    /// Nothing in it: a sign of life.
    Empty,
    /// Nothing of it becomes a reading.
    Silent,
    Objects {
        kind: u8,
        size: usize,
        objects: &'a [u8],
    },
}

/// Why a unit of a good frame cannot be read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum UnitError {
    /// It says that it has more objects than it has.
    Count {
        count: u8,
        room: usize,
    },
    UnknownType(u8),
}

impl UnitError {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Count { .. } => "count",
            Self::UnknownType(_) => "unknown_type",
        }
    }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count { count, room } => {
                write!(
                    f,
                    "{count} objects are said to be there, but only {room} are"
                )
            }
            Self::UnknownType(kind) => write!(f, "no type {kind} is known"),
        }
    }
}

/// Cuts a unit into its objects.
pub(crate) fn cut(unit: &[u8]) -> Result<Unit<'_>, UnitError> {
    let (kind, count, objects) = match unit {
        [] => return Ok(Unit::Empty),
        [kind] => (*kind, 0, &[][..]),
        [kind, count, objects @ ..] => (*kind, *count, objects),
    };
    if WITHOUT_READINGS.contains(&kind) || DOWNWARD.contains(&kind) {
        return Ok(Unit::Silent);
    }
    // Bytes of an object with its time, tables 4 to 9 and 8.3.1.
    let size = match kind {
        kind::SYSTEM | kind::OPERATION => 10,
        kind::COMPONENT => 46,
        kind::ANALOG => 16,
        kind::COMPONENT_CONFIG => 38,
        kind::DEVICE => 7,
        kind::DEVICE_OPERATION => 8,
        other => return Err(UnitError::UnknownType(other)),
    };
    let room = objects.len() / size;
    let Some(objects) = objects.get(..usize::from(count) * size) else {
        return Err(UnitError::Count { count, room });
    };
    Ok(Unit::Objects {
        kind,
        size,
        objects,
    })
}

impl<'a> Unit<'a> {
    pub(crate) fn objects(self) -> impl Iterator<Item = Object<'a>> {
        let (kind, size, objects) = match self {
            Self::Empty | Self::Silent => (0, 1, &[][..]),
            Self::Objects {
                kind,
                size,
                objects,
            } => (kind, size, objects),
        };
        let each = objects.chunks_exact(size.max(1));
        each.filter_map(move |object| read(kind, object))
    }
}

fn read(kind: u8, object: &[u8]) -> Option<Object<'_>> {
    let array = |at: usize| <[u8; 4]>::try_from(object.get(at..at + 4)?).ok();
    let stamp = |at: usize| Some(Stamp(object.get(at..at + 6)?.try_into().ok()?));
    let system = || Some(Place::System([*object.first()?, *object.get(1)?]));
    let component = || {
        let kinds = [*object.first()?, *object.get(1)?, *object.get(2)?];
        Some(Place::Component(kinds, array(3)?))
    };
    let word = |at: usize| Some([*object.get(at)?, *object.get(at + 1)?]);
    Some(match kind {
        kind::SYSTEM => Object::State {
            place: system()?,
            bits: u16::from_le_bytes(word(2)?),
            text: &[],
            at: stamp(4)?,
        },
        kind::COMPONENT => Object::State {
            place: component()?,
            bits: u16::from_le_bytes(word(7)?),
            text: object.get(9..9 + TEXT_BYTES)?,
            at: stamp(40)?,
        },
        kind::ANALOG => Object::Analog {
            place: component()?,
            kind: *object.get(7)?,
            raw: i16::from_le_bytes(word(8)?),
            at: stamp(10)?,
        },
        kind::OPERATION => Object::Operation {
            place: system()?,
            bits: *object.get(2)?,
            operator: *object.get(3)?,
            at: stamp(4)?,
        },
        kind::DEVICE => Object::State {
            place: Place::Device,
            bits: u16::from(*object.first()?),
            text: &[],
            at: stamp(1)?,
        },
        kind::DEVICE_OPERATION => Object::Operation {
            place: Place::Device,
            bits: *object.first()?,
            operator: *object.get(1)?,
            at: stamp(2)?,
        },
        kind::COMPONENT_CONFIG => Object::Config {
            place: component()?,
            text: object.get(7..7 + TEXT_BYTES)?,
        },
        _ => return None,
    })
}

/// Reads 部件说明 (GB 18030, 8.2.1.2), whatever it is padded with; bytes that are no text become
/// U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> String {
    let (text, _) = GB18030.decode_without_bom_handling(bytes);
    text.trim_end_matches(['\0', ' ']).to_owned()
}

#[cfg(test)]
mod tests;
