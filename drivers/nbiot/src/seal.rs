//! How OneNET signs and enciphers: base64(md5(token + nonce + msg)), and AES-256-CBC.

use crate::undecodable;
use aes::Aes256;
use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD_NO_PAD};
use base64::{alphabet, engine::DecodePaddingMode};
use codecs::Undecodable;
use md5::{Digest as _, Md5};
use serde::{Deserialize, Deserializer, de};
use std::fmt;
use subtle::ConstantTimeEq as _;

const BLOCK_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// Random bytes before the message.
const SALT_BYTES: usize = 16;

/// EncodingAESKey has 43 characters, whose last carries two bits too many; padding may be there.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What platform and hub both know; signatures are made with it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Token(String);

impl TryFrom<String> for Token {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err("a token has at least one character");
        }
        Ok(Self(text))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    /// Tells whether a signature is right. A `+` that became a blank on its way is taken for one,
    /// and the padding may be missing.
    pub(crate) fn signed(&self, nonce: &str, msg: &str, signature: &str) -> bool {
        let claimed = signature.replace(' ', "+");
        let claimed = claimed.trim_end_matches('=');
        let right = self.signature(nonce, msg);
        right.as_bytes().ct_eq(claimed.as_bytes()).into()
    }

    /// Signs a message, without padding.
    pub(crate) fn signature(&self, nonce: &str, msg: &str) -> String {
        let mut hash = Md5::new();
        hash.update(self.0.as_bytes());
        hash.update(nonce.as_bytes());
        hash.update(msg.as_bytes());
        STANDARD_NO_PAD.encode(hash.finalize())
    }
}

/// The key of enciphered pushes (EncodingAESKey).
#[derive(Clone, PartialEq, Eq)]
pub struct AesKey([u8; KEY_BYTES]);

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(***)")
    }
}

impl<'de> Deserialize<'de> for AesKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // The text itself is a secret and stays out of the message.
        Self::from_base64(&text)
            .ok_or_else(|| de::Error::custom("aes_key is the 43 characters of EncodingAESKey"))
    }
}

impl AesKey {
    pub fn from_base64(text: &str) -> Option<Self> {
        let bytes = KEY_BASE64.decode(text.trim()).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Opens `enc_msg`: sixteen random bytes, the length of the message (big endian), the message.
    pub(crate) fn open(&self, sealed: &str) -> Result<String, Undecodable> {
        let wrong = |why: &str| undecodable("cipher", why);
        let dense: String = sealed.split_ascii_whitespace().collect();
        let mut bytes = KEY_BASE64
            .decode(dense)
            .map_err(|error| wrong(&error.to_string()))?;
        let cipher = Aes256::new(&Array(self.0));
        let (blocks, odd) = bytes.as_chunks_mut::<BLOCK_BYTES>();
        if !odd.is_empty() {
            return Err(wrong("not a whole number of blocks"));
        }
        // CBC: each block is mixed with the sealed one before it, the first with half of the key.
        let mut before = [0; BLOCK_BYTES];
        before.copy_from_slice(self.0.split_at(BLOCK_BYTES).0);
        for block in blocks {
            let sealed = *block;
            let mut open = Array(sealed);
            cipher.decrypt_block(&mut open);
            for (byte, (open, mask)) in block.iter_mut().zip(open.0.iter().zip(before)) {
                *byte = open ^ mask;
            }
            before = sealed;
        }
        let message = || {
            let rest = bytes.get(SALT_BYTES..)?;
            let (len, rest) = rest.split_first_chunk::<4>()?;
            let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
            String::from_utf8(rest.get(..len)?.to_vec()).ok()
        };
        message().ok_or_else(|| wrong("the key does not fit"))
    }
}
