//! Tests of how embedded files are served.

use super::{Asset, accepts, answer, page, policy, protect};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;

static TEXT: Asset = Asset {
    path: "assets/app-1a2b.js",
    mime: "text/javascript; charset=utf-8",
    hash: "00ff",
    raw: b"alert",
    br: Some(b"BR"),
    gz: Some(b"GZIP"),
};

fn get(path: &str, headers: &[(header::HeaderName, &str)]) -> Option<Response> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, HeaderValue::from_str(value).unwrap());
    }
    page(&Method::GET, &path.parse::<Uri>().unwrap(), &map)
}

fn field<'a>(response: &'a Response, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[test]
fn the_page_has_a_strong_tag_and_a_known_tag_gets_304_without_a_body() {
    let first = get("/", &[]).unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let tag = field(&first, "etag").to_owned();
    assert!(tag.starts_with('"') && tag.len() > 30, "{tag}");
    let second = get("/", &[(header::IF_NONE_MATCH, &format!("\"x\", {tag}"))]).unwrap();
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(field(&second, "etag"), tag);
    assert_eq!(field(&second, "content-length"), "");
    let other = get("/", &[(header::IF_NONE_MATCH, "\"x\"")]).unwrap();
    assert_eq!(other.status(), StatusCode::OK);
}

#[test]
fn a_page_may_run_only_what_comes_from_its_own_origin() {
    let mut page = get("/", &[]).unwrap();
    protect(
        page.headers_mut(),
        &policy(&["https://t0.example".to_owned()]),
    );
    let policy = field(&page, "content-security-policy");
    assert!(policy.contains("img-src 'self' data: https://t0.example;"));
    assert!(policy.contains("default-src 'none'"));
    assert!(policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe"));
    assert_eq!(field(&page, "x-content-type-options"), "nosniff");
    assert_eq!(field(&page, "referrer-policy"), "same-origin");
    assert_eq!(field(&page, "x-frame-options"), "DENY");
    assert_eq!(field(&page, "cross-origin-resource-policy"), "same-origin");
    assert!(field(&page, "permissions-policy").starts_with("camera=(), microphone=()"));
    assert_eq!(field(&page, "cache-control"), "no-cache");
}

#[test]
fn the_page_itself_has_no_inline_script_or_style() {
    let html = include_str!("../fallback/index.html");
    assert!(!html.contains("<style"));
    assert!(!html.contains(" style="));
    assert!(!html.contains(" onclick"));
    for script in html.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(tag.contains("src=\"/"), "{tag}");
        assert!(rest.starts_with("</script>"), "{rest}");
    }
}

#[test]
fn a_screen_gets_the_page_and_a_missing_file_gets_nothing() {
    let screen = get("/alarms/a17", &[]).unwrap();
    assert_eq!(field(&screen, "content-type"), "text/html; charset=utf-8");
    assert!(get("/assets/gone-1a2b.js", &[]).is_none());
    assert!(get("/gone.png", &[]).is_none());
    assert!(page(&Method::POST, &Uri::from_static("/"), &HeaderMap::new()).is_none());
}

#[test]
fn head_tells_the_length_without_the_bytes() {
    let response = answer(&TEXT, &Method::HEAD, &HeaderMap::new());
    assert_eq!(field(&response, "content-length"), "5");
}

#[test]
fn a_compressed_twin_is_sent_to_whoever_takes_it_with_its_own_tag() {
    let with = |offer: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT_ENCODING,
            HeaderValue::from_str(offer).unwrap(),
        );
        answer(&TEXT, &Method::GET, &headers)
    };
    let best = with("gzip, deflate, br");
    assert_eq!(field(&best, "content-encoding"), "br");
    assert_eq!(field(&best, "content-length"), "2");
    assert_eq!(field(&best, "etag"), "\"00ffbr\"");
    assert_eq!(field(&best, "vary"), "accept-encoding");
    assert!(field(&best, "cache-control").contains("immutable"));
    assert_eq!(field(&with("gzip"), "content-encoding"), "gzip");
    assert_eq!(
        field(&with("br;q=0, gzip;q=0.5"), "content-encoding"),
        "gzip"
    );
    assert_eq!(field(&with("identity"), "content-encoding"), "");
}

#[test]
fn a_weight_of_zero_refuses() {
    assert!(accepts(" br ; q=1", "br"));
    assert!(!accepts("br;q=0", "br"));
    assert!(!accepts("x-br", "br"));
}

#[test]
fn the_page_reads_its_stream_and_orders_its_alarms_rightly() {
    let checks = concat!(env!("CARGO_MANIFEST_DIR"), "/checks/page.mjs");
    let run = std::process::Command::new("node")
        .args(["--test", "--test-reporter=tap", checks])
        .output()
        .expect("node is installed wherever the tests run");
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}");
    assert!(told.contains("# pass 5"), "{told}");
}
