//! Bytes that nobody can guess.

use crate::AccessError;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

const SOURCE: &str = "/dev/urandom";

/// Takes random bytes from the system.
pub fn random<const N: usize>() -> Result<[u8; N], AccessError> {
    let mut bytes = [0; N];
    File::open(SOURCE)
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| AccessError::File {
            what: "read",
            path: PathBuf::from(SOURCE),
            error,
        })?;
    Ok(bytes)
}

/// Writes bytes as digits of base 16.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads what [`to_hex`] wrote.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok())
        .collect()
}
