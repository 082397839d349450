//! CBOR (RFC 8949), as much of it as a sensor writes.

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const DOUBLE: u8 = 0xfb;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;

/// Items one after the other.
#[derive(Debug, Default)]
pub(super) struct Cbor {
    pub(super) bytes: Vec<u8>,
}

impl Cbor {
    /// A major type with its argument, in as few bytes as there can be (3.1, 4.2.1).
    fn head(&mut self, major: u8, argument: u64) {
        let major = major << 5;
        let wide = argument.to_be_bytes();
        let (info, skip) = match argument {
            0..24 => {
                let small = u8::try_from(argument).unwrap_or(0);
                return self.bytes.push(major | small);
            }
            24..0x100 => (24, 7),
            0x100..0x1_0000 => (25, 6),
            0x1_0000..0x1_0000_0000 => (26, 4),
            _ => (27, 0),
        };
        self.bytes.push(major | info);
        self.bytes.extend(wide.iter().skip(skip));
    }

    pub(super) fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(UNSIGNED, value),
            Err(_) => self.head(NEGATIVE, (-1 - value).unsigned_abs()),
        }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.head(TEXT, text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    pub(super) fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    pub(super) fn map(&mut self, pairs: usize) {
        self.head(MAP, pairs as u64);
    }

    pub(super) fn float(&mut self, value: f64) {
        self.bytes.push(DOUBLE);
        self.bytes.extend(value.to_be_bytes());
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.bytes.push(if value { TRUE } else { FALSE });
    }
}
