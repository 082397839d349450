//! The layer of secrets in files: `$CREDENTIALS_DIRECTORY`, as systemd and containers give it.

use super::ConfigError;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Where the name of a key begins in that of a file. Before it stands what systemd puts there when
/// it is given a whole folder; files without a key are for somebody else.
const PREFIX: &str = "CITYHUB__";

/// Reads every file that names a key as a variable does. Its content is the value, but for the
/// white space at the end.
pub(crate) fn read() -> Result<HashMap<String, String>, ConfigError> {
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(folder) if !folder.is_empty() => read_from(Path::new(&folder)),
        _ => Ok(HashMap::new()),
    }
}

fn read_from(folder: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let refuse = |file: PathBuf, error: std::io::Error| ConfigError {
        file: Some(file),
        reason: format!("cannot be read: {error}"),
        ..ConfigError::default()
    };
    let mut found = HashMap::new();
    let entries = folder.read_dir();
    for entry in entries.map_err(|error| refuse(folder.to_owned(), error))? {
        let path = entry
            .map_err(|error| refuse(folder.to_owned(), error))?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        let Some((_, key)) = name.and_then(|name| name.split_once(PREFIX)) else {
            continue;
        };
        let name = format!("{PREFIX}{key}");
        let text = std::fs::read_to_string(&path).map_err(|error| refuse(path.clone(), error))?;
        found.insert(name, text.trim_end().to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::read_from;
    use std::fs;

    #[test]
    fn a_file_is_a_key_by_its_name_and_the_line_break_at_its_end_is_no_part_of_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let name = "CITYHUB__SINKS__PLATFORM__SECRET";
        fs::write(folder.path().join(name), "whsec_ab cd\n").unwrap();
        fs::write(folder.path().join("secret_CITYHUB__LOG__LEVEL"), "warn").unwrap();
        fs::write(folder.path().join("other"), [0xff]).unwrap();
        fs::create_dir(folder.path().join("..data")).unwrap();
        let found = read_from(folder.path()).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[name], "whsec_ab cd");
        assert_eq!(found["CITYHUB__LOG__LEVEL"], "warn");
    }

    #[test]
    fn a_file_that_is_no_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("CITYHUB__LOG__LEVEL"), [0xff]).unwrap();
        let error = read_from(folder.path()).unwrap_err().to_string();
        assert!(error.contains("CITYHUB__LOG__LEVEL"), "{error}");
        assert!(read_from(&folder.path().join("none")).is_err());
    }
}
