//! Why the store could not do something: one variant for each thing that a caller does differently.

use std::path::PathBuf;

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the directory open for writing.
    #[error("the data directory {0} is in use by another hub")]
    Locked(PathBuf),
    /// A newer program wrote this directory.
    #[error("the data directory has format {found}, this program knows up to {known}")]
    NewerFormat { found: u32, known: u32 },
    /// What lies on the disk is not what was written.
    #[error("damaged: {0}")]
    Damaged(String),
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("{what}: {source}")]
    Sqlite {
        what: &'static str,
        source: rusqlite::Error,
    },
    /// An earlier failure left it unknown what is on disk; only a restart can tell.
    #[error("the journal refuses work after an earlier failure: {0}")]
    Broken(String),
    /// The events after the cursor are no longer kept.
    #[error("events before {oldest} are past retention")]
    Expired { oldest: u64 },
    #[error("{0}")]
    Invalid(String),
    /// What was asked for cannot be done here; nothing was changed.
    #[error("{0}")]
    Refused(String),
}

pub(crate) type Result<T> = std::result::Result<T, StoreError>;
