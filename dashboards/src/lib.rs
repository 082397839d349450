//! Serves the console's files, which are part of the program.
//!
//! The build embeds `console/dist` if it was built, and else `fallback`, a small page that needs
//! no build. Both are served the same way: strong entity tags, no inline script, no framing.

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;

#[cfg(test)]
mod tests;

/// One embedded file.
#[derive(Debug)]
struct Asset {
    path: &'static str,
    mime: &'static str,
    hash: &'static str,
    raw: &'static [u8],
    br: Option<&'static [u8]>,
    gz: Option<&'static [u8]>,
}

mod table {
    use super::Asset;
    include!(concat!(env!("OUT_DIR"), "/assets.rs"));
}

/// Everything comes from this origin and nothing is inline, so an injected script has no way in.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; connect-src 'self'; font-src 'self'; media-src 'self'; \
     worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

/// What the console asks of a browser: nothing but to be shown in full and to sound.
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), \
     display-capture=()";

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A year: the names of files under `assets/` carry a hash of their content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Tells whether this build carries the console, or only the fallback page.
pub fn console_is_built() -> bool {
    table::CONSOLE_IS_BUILT
}

/// Gives the hashes of all files, in the order of their paths.
pub fn hashes() -> impl Iterator<Item = &'static str> {
    table::ASSETS.iter().map(|asset| asset.hash)
}

/// Answers a GET or HEAD for a page or one of its files.
///
/// An unknown path gets the page itself, because the console names its screens by path; an unknown
/// file under `assets/` is 404, because a page in its place would be run as a script.
/// `None` means that there is nothing here for this request.
pub fn page(method: &Method, uri: &Uri, headers: &HeaderMap) -> Option<Response> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let asset = match find(path) {
        Some(asset) => asset,
        None if path.starts_with("assets/") || looks_like_a_file(path) => return None,
        None => find("index.html")?,
    };
    Some(answer(asset, method, headers))
}

fn find(path: &str) -> Option<&'static Asset> {
    let index = table::ASSETS
        .binary_search_by(|asset| asset.path.cmp(path))
        .ok()?;
    table::ASSETS.get(index)
}

fn looks_like_a_file(path: &str) -> bool {
    path.rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'))
}

fn answer(asset: &'static Asset, method: &Method, headers: &HeaderMap) -> Response {
    let (body, encoding) = choose(asset, headers);
    // Each encoding is a representation of its own, so each has its own strong tag.
    let tag = format!("\"{}{}\"", asset.hash, encoding.unwrap_or_default());
    let unchanged = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|given| given.trim().trim_start_matches("W/"))
        .any(|given| given == "*" || given == tag);
    let mut response = Response::new(if unchanged || method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(Bytes::from_static(body))
    });
    let fields = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        fields.insert(ETAG, tag);
    }
    let cache = if asset.path.starts_with("assets/") {
        IMMUTABLE
    } else {
        "no-cache"
    };
    fields.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    fields.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if unchanged {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(asset.mime));
    fields.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Some(encoding) = encoding {
        fields.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    response
}

/// Gives the content policy of the pages, with the hosts that images may come from beside our own.
pub fn policy(image_hosts: &[String]) -> HeaderValue {
    let mut images = "img-src 'self' data:".to_owned();
    for host in image_hosts {
        images.push(' ');
        images.push_str(host);
    }
    let text = POLICY.replace("img-src 'self' data:", &images);
    // The configuration lets hosts of plain letters pass only.
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(POLICY))
}

/// Forbids what no page of ours needs: sniffing, framing, foreign content, telling other sites.
pub fn protect(fields: &mut HeaderMap, policy: &HeaderValue) {
    // A page that brings a policy of its own has one without scripts.
    fields
        .entry(CONTENT_SECURITY_POLICY)
        .or_insert_with(|| policy.clone());
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    fields.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    fields.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    fields.insert(PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS));
    fields.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
}

fn choose(asset: &'static Asset, headers: &HeaderMap) -> (&'static [u8], Option<&'static str>) {
    let accepted = |coding: &str| {
        headers
            .get_all(ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|offer| accepts(offer, coding))
    };
    match asset {
        Asset { br: Some(br), .. } if accepted("br") => (br, Some("br")),
        Asset { gz: Some(gz), .. } if accepted("gzip") => (gz, Some("gzip")),
        _ => (asset.raw, None),
    }
}

/// Reads one offer such as `gzip;q=0.5`; a weight of zero is a refusal.
fn accepts(offer: &str, coding: &str) -> bool {
    let mut parts = offer.split(';').map(str::trim);
    let named = parts
        .next()
        .is_some_and(|name| name.eq_ignore_ascii_case(coding));
    let refused = parts.any(|part| {
        part.strip_prefix("q=")
            .and_then(|weight| weight.parse::<f32>().ok())
            .is_some_and(|weight| weight <= 0.0)
    });
    named && !refused
}
