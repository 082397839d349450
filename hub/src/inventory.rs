//! Devices of the configuration: CSV or JSON files that are registered at start.

use anyhow::{Context, Result, bail};
use model::Catalogue;
use sdk::Devices;
use std::path::{Path, PathBuf};
use web::{Roster, RosterRow};

/// Mistakes that are named at once; a file with more has a deeper problem.
const NAMED_MAX: usize = 20;

/// Lists the file itself, or every `.csv` and `.json` file of a folder in the order of the names.
pub fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("read {}", path.display()))?;
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|file| {
        matches!(
            file.extension().and_then(|ext| ext.to_str()),
            Some("csv" | "json")
        )
    });
    files.sort();
    Ok(files)
}

/// Reads one file and checks it against what is registered already. A file with a mistake gives
/// nothing; the error names every line that is wrong.
pub fn read(file: &Path, catalogue: &Catalogue, devices: &Devices) -> Result<Vec<RosterRow>> {
    let name = file.display().to_string();
    let bytes = std::fs::read(file).with_context(|| format!("read {name}"))?;
    let roster = match file.extension().and_then(|ext| ext.to_str()) {
        Some("json") => Roster::from_json(&bytes),
        _ => Roster::from_csv(&bytes),
    };
    let mut roster = roster.map_err(|reason| anyhow::anyhow!("{name}: {reason}"))?;
    roster.check(catalogue, devices);
    for warning in &roster.warnings {
        tracing::warn!(file = name, "{warning}");
    }
    if roster.errors.is_empty() {
        return Ok(roster.rows);
    }
    let named: Vec<String> = roster
        .errors
        .iter()
        .take(NAMED_MAX)
        .map(|error| format!("{name}: {error}"))
        .collect();
    let more = roster.errors.len().saturating_sub(NAMED_MAX);
    let tail = if more > 0 {
        format!("\n… and {more} more")
    } else {
        String::new()
    };
    bail!("{}{tail}", named.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::read;
    use model::Catalogue;
    use sdk::{Devices, SecretSalt};

    #[test]
    fn a_file_with_a_mistake_gives_nothing_and_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("devices.csv");
        let devices = Devices::new(SecretSalt([0; 16]));
        std::fs::write(&file, "id,kind\na,smoke\nb,toaster\n").unwrap();
        let error = read(&file, &Catalogue::built_in(), &devices)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("devices.csv: line 3") && error.contains("toaster"),
            "{error}"
        );
        std::fs::write(&file, "id,kind\na,smoke\nb,noise\n").unwrap();
        assert_eq!(
            read(&file, &Catalogue::built_in(), &devices).unwrap().len(),
            2
        );
    }
}
