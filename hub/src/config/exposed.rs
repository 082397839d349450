//! Files with secrets that everybody on the machine can read.

use super::Loaded;

/// Keys whose values let somebody in, or sign for somebody.
const SECRET_KEYS: [&str; 6] = [
    "token",
    "secret",
    "next_secret",
    "password",
    "aes_key",
    "header",
];

/// Tells whether a line sets one of them to a text that is not empty.
fn sets_a_secret(line: &str) -> bool {
    let Some((key, value)) = line.split_once('=') else {
        return false;
    };
    let value = value.trim().trim_matches(['"', '\'']);
    SECRET_KEYS.contains(&key.trim()) && !value.is_empty()
}

impl Loaded {
    /// Says in the log that secrets are open to all, if they are.
    pub(crate) fn warn_if_exposed(&self) {
        if self.is_exposed() {
            tracing::warn!(
                file = ?self.file(),
                "everybody on this machine can read the secrets of the configuration"
            );
        }
    }

    /// Tells whether others than its owner and group can read the secrets of the file.
    #[cfg(unix)]
    fn is_exposed(&self) -> bool {
        use std::os::unix::fs::PermissionsExt as _;
        const OTHERS_READ: u32 = 0o004;
        let mode = self.file().and_then(|file| std::fs::metadata(file).ok());
        let is_open = mode.is_some_and(|found| found.permissions().mode() & OTHERS_READ != 0);
        is_open && self.text().lines().any(sets_a_secret)
    }

    #[cfg(not(unix))]
    fn is_exposed(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::sets_a_secret;

    #[test]
    fn a_line_with_a_secret_is_told_from_one_without() {
        assert!(sets_a_secret("token = \"abc\""));
        assert!(sets_a_secret("  secret='whsec_x' # of the platform"));
        for line in [
            "# token = \"abc\"",
            "token = \"\"",
            "tls_key = \"a.key\"",
            "[auth.tokens.a]",
        ] {
            assert!(!sets_a_secret(line), "{line}");
        }
    }
}
