//! Reads what the configuration says of the duty console: the map's drawings, phrases, shifts.

use crate::config::{ConfigError, Loaded, TileCrs, TileDatum, TilesConfig};
use model::QuickPhrase;
use serde_json::Value;
use std::path::Path;
use web::{DeskSetup, Layer, MapSetup, Tiles};

/// The layer that is made of `city.grid`.
const GRID: &str = "grid";

/// A drawing that is larger keeps a browser busy for seconds.
const LAYER_BYTES_MAX: u64 = 32 << 20;

/// Deepest step of a tile map.
const ZOOM_MAX: u8 = 22;

/// Reads everything, and says which key is wrong.
pub(crate) fn read(loaded: &Loaded) -> Result<DeskSetup, ConfigError> {
    Ok(DeskSetup {
        map: read_map(loaded)?,
        quick_phrases: read_phrases(loaded)?,
        checklist: loaded.config.handover.checklist.clone(),
        demo: loaded.config.city.demo,
    })
}

fn read_phrases(loaded: &Loaded) -> Result<Vec<QuickPhrase>, ConfigError> {
    let Some(path) = &loaded.config.city.quick_phrases else {
        return Ok(model::quick_phrases());
    };
    std::fs::read_to_string(path)
        .map_err(|error| error.to_string())
        .and_then(|text| model::read_quick_phrases(&text))
        .map_err(|error| loaded.error("city.quick_phrases", format!("{}: {error}", path.display())))
}

fn read_map(loaded: &Loaded) -> Result<MapSetup, ConfigError> {
    let map = &loaded.config.map;
    let center = match (map.center_lon, map.center_lat) {
        (None, None) => None,
        (Some(lon), Some(lat)) if model::geo::Point::from_degrees(lon, lat).is_some() => {
            Some([lon, lat])
        }
        _ => {
            let reason = "center_lon and center_lat must be given together, in degrees";
            return Err(loaded.error("map.center_lon", reason));
        }
    };
    if map.zoom > ZOOM_MAX {
        return Err(loaded.error("map.zoom", format!("must be 0 to {ZOOM_MAX}")));
    }
    let mut setup = MapSetup {
        center,
        zoom: map.zoom,
        tiles: map.tiles.as_ref().map(|of| tiles(loaded, of)).transpose()?,
        ..MapSetup::default()
    };
    if let Some(grid) = &loaded.config.city.grid {
        let layer = layer(grid, GRID).map_err(|reason| loaded.error("city.grid", reason))?;
        setup.layers.insert(GRID.to_owned(), layer);
    }
    for (name, of) in &map.layers {
        let key = format!("map.layers.{name}");
        loaded.check_name(&key, name)?;
        let layer = layer(&of.file, of.style.name())
            .map_err(|reason| loaded.error(&format!("{key}.file"), reason))?;
        setup.layers.insert(name.clone(), layer);
    }
    Ok(setup)
}

fn layer(path: &Path, style: &'static str) -> Result<Layer, String> {
    let named = |reason: String| format!("{}: {reason}", path.display());
    let bytes = std::fs::metadata(path).map_err(|error| named(error.to_string()))?;
    if bytes.len() > LAYER_BYTES_MAX {
        return Err(named(format!(
            "is larger than {} MiB",
            LAYER_BYTES_MAX >> 20
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let json: Value = serde_json::from_str(&text).map_err(|error| named(error.to_string()))?;
    if !json.get("features").is_some_and(Value::is_array) {
        return Err(named(
            "a GeoJSON FeatureCollection has `features`".to_owned(),
        ));
    }
    Ok(Layer::new(style, json.to_string()))
}

fn tiles(loaded: &Loaded, of: &TilesConfig) -> Result<Tiles, ConfigError> {
    let wrong = |reason: &str| Err(loaded.error("map.tiles.url", reason));
    if !["{z}", "{x}", "{y}"]
        .iter()
        .all(|part| of.url.contains(part))
    {
        return wrong("must have {z}, {x} and {y}");
    }
    if of.url.contains("{s}") == of.subdomains.is_empty() {
        return wrong("{s} and `subdomains` belong together");
    }
    let Some(hosts) = hosts(&of.url, &of.subdomains) else {
        return wrong("must be http:// or https:// with a plain host, or a path of this host");
    };
    Ok(Tiles {
        url: of.url.clone(),
        crs: match of.crs {
            TileCrs::Mercator => "EPSG3857",
            TileCrs::Degrees => "EPSG4326",
        },
        datum: match of.datum {
            TileDatum::Wgs84 => "wgs84",
            TileDatum::Gcj02 => "gcj02",
            TileDatum::Bd09 => "bd09",
        },
        attribution: of.attribution.clone(),
        approval_no: of.approval_no.clone(),
        subdomains: of.subdomains.clone(),
        hosts,
    })
}

/// Gives the origins that the tiles come from; none if the address is no such thing.
fn hosts(url: &str, subdomains: &str) -> Option<Vec<String>> {
    if url.starts_with('/') && !url.starts_with("//") {
        return Some(Vec::new());
    }
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let host = rest.split('/').next()?;
    let all: Vec<String> = if host.contains("{s}") {
        let names = subdomains.chars();
        names
            .map(|name| host.replace("{s}", &name.to_string()))
            .collect()
    } else {
        vec![host.to_owned()]
    };
    // It becomes part of a policy, in which a blank or semicolon would begin something else.
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':');
    all.iter()
        .all(|host| !host.is_empty() && host.bytes().all(plain))
        .then(|| {
            all.iter()
                .map(|host| format!("{scheme}://{host}"))
                .collect()
        })
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn tile_hosts_are_plain_origins_one_for_each_subdomain() {
        let named = |list: &[&str]| Some(list.iter().map(|&host| host.to_owned()).collect());
        assert_eq!(
            hosts("https://t{s}.map.example:8443/{z}/{x}/{y}", "01"),
            named(&["https://t0.map.example:8443", "https://t1.map.example:8443"])
        );
        assert_eq!(
            hosts("http://map.example/{z}/{x}/{y}?s={s}", "ab"),
            named(&["http://map.example"])
        );
        assert_eq!(hosts("/tiles/{z}/{x}/{y}.png", ""), named(&[]));
        for wrong in [
            "ftp://map.example/",
            "//map.example/",
            "https:///x",
            "https://map.example; script-src *",
            "map.example/{z}",
        ] {
            assert_eq!(hosts(wrong, ""), None, "{wrong}");
        }
    }
}
