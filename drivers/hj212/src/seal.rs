//! Enciphered data areas of HJ 212-2025: SM4 in whole blocks, and a plain rest.

use serde::{Deserialize, Deserializer, de};
use sm4::Sm4;
use sm4::cipher::{Array, BlockCipherDecrypt, KeyInit};
use std::fmt;

/// Bytes of a block and of a key (GB/T 32907).
const BLOCK_BYTES: usize = 16;

/// The SM4 key of one device or of all devices of a profile.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; BLOCK_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

impl Key {
    /// Reads 32 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; BLOCK_BYTES];
        let plain = text.len() == 2 * BLOCK_BYTES && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !plain {
            return None;
        }
        for (index, byte) in key.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
        }
        Some(Self(key))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text itself is a secret and stays out of the message.
        Self::from_hex(&text).ok_or_else(|| de::Error::custom("a key has 32 hexadecimal digits"))
    }
}

/// Deciphers `{0xNN,…}rest`: the braces hold whole blocks, the rest was too short for one.
pub(crate) fn open(key: &Key, content: &str) -> Option<Vec<u8>> {
    let (sealed, rest) = content.strip_prefix('{')?.split_once('}')?;
    let mut bytes = Vec::with_capacity(sealed.len() / 5 + rest.len() + 1);
    for byte in sealed.split(',') {
        let digits = byte.trim().strip_prefix("0x")?;
        let digits = (digits.len() == 2).then_some(digits)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    let cipher = Sm4::new(&Array(key.0));
    let (blocks, odd) = bytes.as_chunks_mut::<BLOCK_BYTES>();
    if !odd.is_empty() {
        return None;
    }
    for block in blocks {
        let mut open = Array(*block);
        cipher.decrypt_block(&mut open);
        *block = open.0;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Key, open};

    #[test]
    fn the_block_of_the_standard_is_deciphered() {
        // GB/T 32907-2016 annex A.1: the plain text is the key.
        let key = Key::from_hex("0123456789abcdeffedcba9876543210").unwrap();
        let block = "68 1E DF 34 D2 06 96 5E 86 B3 E9 4F 53 6E 42 46";
        let sealed: Vec<_> = block.split(' ').map(|byte| format!("0x{byte}")).collect();
        let plain = open(&key, &format!("{{{}}}rest", sealed.join(",")));
        let expected = [
            0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54,
            0x32, 0x10,
        ];
        assert_eq!(plain, Some([&expected[..], b"rest"].concat()));
    }

    #[test]
    fn what_was_not_enciphered_is_none() {
        let key = Key::from_hex("0123456789abcdeffedcba9876543210").unwrap();
        for content in ["", "{", "{}x", "{0x1}", "{0xZZ}", "{0x00,0x01}", "0x00"] {
            assert_eq!(open(&key, content), None, "{content}");
        }
        assert_eq!(Key::from_hex("0123"), None);
        assert_eq!(format!("{key:?}"), "Key(***)");
    }
}
