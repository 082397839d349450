//! Which build this is: what a page that was loaded earlier compares itself with.

use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// Digits of the hash that are shown.
const DIGITS: usize = 12;

/// The version with a hash over the description of the API and the console's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Build {
    pub(crate) version: &'static str,
    pub(crate) hash: &'static str,
}

static HASH: LazyLock<String> = LazyLock::new(|| {
    let api = std::iter::once(crate::OPENAPI.as_bytes());
    hash_of(api.chain(dashboards::hashes().map(str::as_bytes)))
});

/// Gives the digits that are shown of the SHA-256 over some texts.
pub(crate) fn hash_of<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sum = Sha256::new();
    for text in texts {
        sum.update(text);
    }
    let mut hex = String::new();
    for byte in sum.finalize() {
        write!(hex, "{byte:02x}").expect("a string takes any text");
    }
    hex.truncate(DIGITS);
    hex
}

pub(crate) fn build(version: &'static str) -> Build {
    Build {
        version,
        hash: &HASH,
    }
}

impl Build {
    /// Gives the one word that changes with the build.
    pub(crate) fn id(&self) -> String {
        format!("{}+{}", self.version, self.hash)
    }
}
