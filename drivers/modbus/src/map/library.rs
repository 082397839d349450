//! All maps there are: those that come with the driver, and the city's own files.

use super::{Map, MapError, MapFile, Profile};
use model::Catalogue;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// The maps that come with the driver.
pub const BUILT_IN: &[(&str, &str)] = &[
    (
        "pressure-f32",
        include_str!("../../data/maps/pressure-f32.toml"),
    ),
    (
        "pressure-i16",
        include_str!("../../data/maps/pressure-i16.toml"),
    ),
    ("qsa2700d", include_str!("../../data/maps/qsa2700d.toml")),
    ("rs-fsxcs", include_str!("../../data/maps/rs-fsxcs.toml")),
    (
        "rs485-noise",
        include_str!("../../data/maps/rs485-noise.toml"),
    ),
];

/// A map file is a page or two; more is something else.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Maps by name, and profiles by name.
#[derive(Clone, Debug, Default)]
pub struct Library {
    maps: HashMap<String, Arc<Map>>,
    profiles: HashMap<String, Arc<Map>>,
}

impl Library {
    /// Reads every map; a file of the city's replaces a built-in one of the same name.
    pub fn read(
        dir: Option<&Path>,
        profiles: &HashMap<String, Arc<Profile>>,
        catalogue: &Catalogue,
    ) -> Result<Self, MapError> {
        let mut files = BTreeMap::new();
        for (name, text) in BUILT_IN {
            files.insert((*name).to_owned(), parse(name, text)?);
        }
        if let Some(dir) = dir {
            for (name, text) in texts(dir)? {
                let file = parse(&name, &text)?;
                files.insert(name, file);
            }
        }
        let none = BTreeMap::new();
        let mut library = Self::default();
        for (name, file) in &files {
            let map = Map::new(name, file, &none, catalogue);
            let map = map.map_err(|why| MapError::at(format!("map {name}"), why.to_string()))?;
            library.maps.insert(name.clone(), Arc::new(map));
        }
        for (name, profile) in profiles {
            let wrong = |why: String| MapError::at(format!("profiles.{name}"), why);
            let file = files.get(&profile.map).ok_or_else(|| {
                wrong(format!(
                    "no map `{}`; known: {}",
                    profile.map,
                    names(&files)
                ))
            })?;
            let map = Map::new(&profile.map, file, &profile.readings, catalogue);
            let map = map.map_err(|why| wrong(why.to_string()))?;
            library.profiles.insert(name.clone(), Arc::new(map));
        }
        Ok(library)
    }

    pub fn map(&self, name: &str) -> Option<Arc<Map>> {
        self.maps.get(name).cloned()
    }

    pub fn profile(&self, name: &str) -> Option<Arc<Map>> {
        self.profiles.get(name).cloned()
    }

    /// Names all maps, for messages.
    pub fn names(&self) -> String {
        let mut names: Vec<&str> = self.maps.keys().map(String::as_str).collect();
        names.sort_unstable();
        names.join(", ")
    }
}

fn names(files: &BTreeMap<String, MapFile>) -> String {
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    names.join(", ")
}

fn parse(name: &str, text: &str) -> Result<MapFile, MapError> {
    toml::from_str(text).map_err(|error| MapError::at(format!("map {name}"), error.to_string()))
}

/// Reads the `*.toml` of a folder.
fn texts(dir: &Path) -> Result<Vec<(String, String)>, MapError> {
    let wrong = |path: &Path, error: &dyn std::fmt::Display| {
        MapError::at(path.display().to_string(), error.to_string())
    };
    let mut texts = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| wrong(dir, &error))? {
        let path = entry.map_err(|error| wrong(dir, &error))?.path();
        let is_map = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
            continue;
        };
        if !is_map {
            continue;
        }
        let bytes = std::fs::metadata(&path).map_err(|error| wrong(&path, &error))?;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(wrong(&path, &"too large for a register map"));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(&path, &error))?;
        texts.push((name.to_owned(), text));
    }
    Ok(texts)
}
