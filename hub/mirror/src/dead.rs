//! Lines that a server refused for good: kept in a file, each after a comment that says why, in the form in
//! which they can be sent again by hand.

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that has grown beyond this becomes the old one, and the old one before it is gone.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// `<folder>/<mirror>.lp` and the one before it, `<mirror>.lp.1`.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    path: PathBuf,
}

impl DeadLetters {
    pub(crate) fn new(folder: &Path, mirror: &str) -> Self {
        Self {
            path: folder.join(format!("{mirror}.lp")),
        }
    }

    /// Keeps lines with the reason; what cannot be kept is counted all the same.
    pub(crate) fn keep(&self, reason: &str, lines: &str) {
        if let Err(error) = self.write(reason, lines) {
            let path = self.path.display();
            tracing::warn!(%path, %error, "refused lines are counted but not kept");
        }
    }

    fn write(&self, reason: &str, lines: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let size = std::fs::metadata(&self.path).map_or(0, |data| data.len());
        if size >= FILE_BYTES_MAX {
            rename(&self.path, self.path.with_extension("lp.1"))?;
        }
        let mut file = self.open()?;
        let reason = reason.replace(['\n', '\r'], " ");
        file.write_all(format!("# {reason}\n{lines}").as_bytes())
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        options.open(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::{DeadLetters, FILE_BYTES_MAX};

    #[test]
    fn refused_lines_are_kept_with_the_reason_and_two_files_at_most() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = folder.path().join("mirror");
        let dead = DeadLetters::new(&kept, "long_term");
        dead.keep("400: no\nsuch thing", "a,device=b x=1 1\n");
        let path = kept.join("long_term.lp");
        let text = std::fs::read_to_string(&path).expect("a file");
        assert_eq!(text, "# 400: no such thing\na,device=b x=1 1\n");
        let long = "x".repeat(usize::try_from(FILE_BYTES_MAX).expect("a small number"));
        for _ in 0..4 {
            dead.keep("r", &long);
        }
        let files: Vec<_> = std::fs::read_dir(&kept).expect("a folder").collect();
        assert_eq!(files.len(), 2);
    }
}
