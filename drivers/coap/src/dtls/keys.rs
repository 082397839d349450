//! The keys of devices, from a file of their own: the register keeps only hashes, and both ends of a
//! handshake need the key itself.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Before digits of a key that is no text.
const HEX: &str = "hex:";

/// A table with the columns `id` and `secret`, which is read again when it changes.
#[derive(Debug)]
pub(super) struct Keys {
    path: PathBuf,
    read: Mutex<Read>,
}

struct Read {
    changed: Option<SystemTime>,
    keys: HashMap<Vec<u8>, Arc<[u8]>>,
}

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} keys", self.keys.len())
    }
}

impl Keys {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let changed = changed(path);
        let keys = read(path)?;
        Ok(Self {
            path: path.to_owned(),
            read: Mutex::new(Read { changed, keys }),
        })
    }

    /// Gives the key of a device.
    pub(super) fn find(&self, identity: &[u8]) -> Option<Vec<u8>> {
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(&self.path);
        if changed != known.changed {
            match read(&self.path) {
                Ok(keys) => known.keys = keys,
                // The keys that were there still count: a file may be seen half written.
                Err(error) => tracing::warn!(error, "could not read the keys again"),
            }
            known.changed = changed;
        }
        known.keys.get(identity).map(|key| key.to_vec())
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|meta| meta.modified())
        .ok()
}

fn read(path: &Path) -> Result<HashMap<Vec<u8>, Arc<[u8]>>, String> {
    let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let mut table = csv::Reader::from_path(path).map_err(|error| wrong(&error))?;
    let columns = table.headers().map_err(|error| wrong(&error))?;
    let column = |name| {
        let at = columns.iter().position(|column| column.trim() == name);
        at.ok_or_else(|| wrong(&format!("there is no column `{name}`")))
    };
    let (id, secret) = (column("id")?, column("secret")?);
    let mut keys = HashMap::new();
    for row in table.records() {
        let row = row.map_err(|error| wrong(&error))?;
        let field = |at| row.get(at).unwrap_or_default().trim();
        let line = row.position().map_or(0, csv::Position::line);
        if field(secret).is_empty() {
            continue;
        }
        let key = key(field(secret)).ok_or_else(|| {
            let why = "after `hex:` there is no even number of hexadecimal digits";
            wrong(&format!("line {line}: {why}"))
        })?;
        keys.insert(field(id).as_bytes().to_vec(), key.into());
    }
    Ok(keys)
}

fn key(text: &str) -> Option<Vec<u8>> {
    let Some(digits) = text.strip_prefix(HEX) else {
        return Some(text.as_bytes().to_vec());
    };
    let digits = digits.chars().map(|digit| digit.to_digit(16));
    let digits: Vec<u8> = digits
        .map(|digit| u8::try_from(digit?).ok())
        .collect::<Option<_>>()?;
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| pair.iter().fold(0u8, |sum, digit| sum << 4 | digit);
    Some(digits.chunks_exact(2).map(byte).collect())
}

#[cfg(test)]
mod tests {
    use super::{Keys, key};
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_key_is_a_text_or_digits() {
        assert_eq!(key("s3cret"), Some(b"s3cret".to_vec()));
        assert_eq!(key("hex:00fF"), Some(vec![0, 255]));
        assert_eq!(
            (key("hex:0"), key("hex:"), key("hex:0g")),
            (None, None, None)
        );
    }

    #[test]
    fn the_file_of_devices_will_do_and_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("devices.csv");
        assert!(Keys::open(&path).is_err());
        std::fs::write(
            &path,
            "id,kind,secret\ngas-1,gas_pressure,s1\ngas-2,gas_pressure,\n",
        )
        .unwrap();
        let keys = Keys::open(&path).unwrap();
        assert_eq!(keys.find(b"gas-1"), Some(b"s1".to_vec()));
        assert_eq!((keys.find(b"gas-2"), keys.find(b"gas-3")), (None, None));
        let later = |seconds| {
            let file = std::fs::File::options().append(true).open(&path).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            file.set_modified(at).unwrap();
        };
        std::fs::write(&path, "id,secret\ngas-3,hex:0102\n").unwrap();
        later(1);
        assert_eq!(
            (keys.find(b"gas-1"), keys.find(b"gas-3")),
            (None, Some(vec![1, 2]))
        );
        // What cannot be read leaves what was.
        std::fs::write(&path, "id\n").unwrap();
        later(2);
        assert_eq!(keys.find(b"gas-3"), Some(vec![1, 2]));
    }
}
