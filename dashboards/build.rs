//! Chooses the folder of pages that this build carries, and writes the table that embeds it.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// How deep folders may nest: a cycle of links would otherwise never end.
const FOLDER_DEPTH_MAX: usize = 8;

/// One file and its compressed twins, which the console's build writes beside it.
#[derive(Default)]
struct Files {
    raw: Option<PathBuf>,
    br: Option<PathBuf>,
    gz: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let dist = here.join("console").join("dist");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=HUB_REQUIRE_CONSOLE");
    println!("cargo:rerun-if-changed=fallback");
    // Only `dist` is watched: Cargo would walk all of `node_modules` under `console`.
    println!("cargo:rerun-if-changed=console/dist");
    let built = dist.join("index.html").is_file();
    if !built && env::var("HUB_REQUIRE_CONSOLE").is_ok_and(|value| value == "1") {
        return Err(
            "HUB_REQUIRE_CONSOLE=1, but the console is not built: run `make console`".into(),
        );
    }
    let folder = if built { dist } else { here.join("fallback") };
    let mut files = BTreeMap::new();
    collect(&folder, "", FOLDER_DEPTH_MAX, &mut files)?;
    let out = PathBuf::from(env::var("OUT_DIR")?).join("assets.rs");
    fs::write(out, table(&files, built)?)?;
    Ok(())
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut BTreeMap<String, Files>,
) -> Result<(), Box<dyn Error>> {
    if depth == 0 {
        return Err(format!("{} nests too deep", folder.display()).into());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return Err(format!("{} is no UTF-8 name", path.display()).into());
        };
        if name.starts_with('.') {
            continue;
        }
        let route = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{route}/"), depth - 1, files)?;
        } else if let Some(plain) = route.strip_suffix(".br") {
            files.entry(plain.to_owned()).or_default().br = Some(path);
        } else if let Some(plain) = route.strip_suffix(".gz") {
            files.entry(plain.to_owned()).or_default().gz = Some(path);
        } else {
            files.entry(route).or_default().raw = Some(path);
        }
    }
    Ok(())
}

fn table(files: &BTreeMap<String, Files>, built: bool) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "pub(crate) const CONSOLE_IS_BUILT: bool = {built};\n\
         pub(crate) static ASSETS: &[Asset] = &[\n"
    );
    // The map is ordered, so that the table can be searched by halving.
    for (route, file) in files {
        let Some(raw) = &file.raw else {
            return Err(format!("`{route}` exists only compressed").into());
        };
        let hash = fnv1a_128(&fs::read(raw)?);
        writeln!(
            text,
            "    Asset {{ path: {route:?}, mime: {:?}, hash: \"{hash:032x}\", raw: {}, br: {}, gz: {} }},",
            mime(route),
            include(raw),
            option(file.br.as_deref()),
            option(file.gz.as_deref()),
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}

fn include(path: &Path) -> String {
    format!("include_bytes!({:?})", path.display().to_string())
}

fn option(path: Option<&Path>) -> String {
    path.map_or_else(
        || "None".to_owned(),
        |path| format!("Some({})", include(path)),
    )
}

fn mime(route: &str) -> &'static str {
    match route.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// FNV-1a with 128 bits: an entity tag needs to differ, not to withstand an attacker.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    hash
}
