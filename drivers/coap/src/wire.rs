//! Messages for tests, written by hand after RFC 7252 section 3, without the codec under test.

/// The types.
pub(crate) const CON: u8 = 0;
pub(crate) const NON: u8 = 1;
pub(crate) const ACK: u8 = 2;
pub(crate) const RST: u8 = 3;

/// Methods and codes.
pub(crate) const GET: u8 = 1;
pub(crate) const POST: u8 = 2;

/// One message in parts.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    pub(crate) mid: u16,
    pub(crate) token: Vec<u8>,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(kind: u8, code: u8, mid: u16) -> Self {
        Self {
            kind,
            code,
            mid,
            token: vec![0xab],
            options: Vec::new(),
            payload: Vec::new(),
        }
    }

    /// A message with a path such as `devices/gas-1/telemetry?k=secret`.
    pub(crate) fn to(kind: u8, code: u8, mid: u16, path: &str) -> Self {
        let mut wire = Self::new(kind, code, mid);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        for segment in path.split('/') {
            wire.options.push((11, segment.as_bytes().to_vec()));
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            wire.options.push((15, pair.as_bytes().to_vec()));
        }
        wire
    }

    pub(crate) fn with(mut self, number: u16, value: &[u8]) -> Self {
        self.options.push((number, value.to_vec()));
        self
    }

    pub(crate) fn token(mut self, token: &[u8]) -> Self {
        self.token = token.to_vec();
        self
    }

    pub(crate) fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![
            0x40 | self.kind << 4 | u8::try_from(self.token.len()).unwrap(),
            self.code,
        ];
        bytes.extend(self.mid.to_be_bytes());
        bytes.extend(&self.token);
        let mut options = self.options.clone();
        options.sort_by_key(|(number, _)| *number);
        let mut last = 0;
        for (number, value) in options {
            let (delta, delta_more) = nibble(number - last);
            let (len, len_more) = nibble(u16::try_from(value.len()).unwrap());
            bytes.push(delta << 4 | len);
            bytes.extend(delta_more);
            bytes.extend(len_more);
            bytes.extend(value);
            last = number;
        }
        if !self.payload.is_empty() {
            bytes.push(0xff);
            bytes.extend(&self.payload);
        }
        bytes
    }

    /// Takes a message apart again.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let token_end = 4 + usize::from(bytes[0] & 0x0f);
        let mut wire = Self {
            kind: bytes[0] >> 4 & 3,
            code: bytes[1],
            mid: u16::from_be_bytes([bytes[2], bytes[3]]),
            token: bytes[4..token_end].to_vec(),
            options: Vec::new(),
            payload: Vec::new(),
        };
        let (mut at, mut number) = (token_end, 0u16);
        while at < bytes.len() && bytes[at] != 0xff {
            let head = bytes[at];
            at += 1;
            let mut more = |nibble: u8| match nibble {
                13 => {
                    at += 1;
                    u16::from(bytes[at - 1]) + 13
                }
                14 => {
                    at += 2;
                    u16::from_be_bytes([bytes[at - 2], bytes[at - 1]]) + 269
                }
                small => u16::from(small),
            };
            number += more(head >> 4);
            let len = usize::from(more(head & 0x0f));
            wire.options.push((number, bytes[at..at + len].to_vec()));
            at += len;
        }
        if at < bytes.len() {
            wire.payload = bytes[at + 1..].to_vec();
        }
        wire
    }

    /// The code as people write it.
    pub(crate) fn code_text(&self) -> String {
        format!("{}.{:02}", self.code >> 5, self.code & 0x1f)
    }

    pub(crate) fn option(&self, number: u16) -> Option<u32> {
        let found = self.options.iter().find(|(known, _)| *known == number)?;
        Some(
            found
                .1
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte)),
        )
    }
}

fn nibble(number: u16) -> (u8, Vec<u8>) {
    match number {
        0..=12 => (u8::try_from(number).unwrap(), Vec::new()),
        13..=268 => (13, vec![u8::try_from(number - 13).unwrap()]),
        _ => (14, (number - 269).to_be_bytes().to_vec()),
    }
}
