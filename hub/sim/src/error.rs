//! Why a simulation could not run.

/// What went wrong, by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The command line makes no sense; exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The hub did not take the fleet or its rules.
    #[error("registering: {0}")]
    Register(String),
    /// A file or stream of our own failed.
    #[error("{what}: {source}")]
    Output {
        what: String,
        source: std::io::Error,
    },
}
