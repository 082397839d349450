//! What a request is let in by: a token in a header, or a session in a cookie.
//!
//! A cookie is sent by the browser whoever made the request, so a change that comes with one must
//! also carry what no page of another site can send.

use crate::problem::Problem;
use crate::state::Shared;
use access::SignedIn;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use sdk::Actor;

/// The name of the cookie.
const COOKIE: &str = "cityhub_session";

/// A page of another site cannot send this without being asked for first, and is refused then.
const REQUESTED_BY: HeaderName = HeaderName::from_static("x-requested-by");

/// What a proxy says about how it was reached itself.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// What somebody was let in by.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    Token(String),
    Session(SignedIn),
}

impl Credential {
    /// Finds out who asks; a header counts before a cookie.
    pub(crate) fn of(shared: &Shared, headers: &HeaderMap) -> Result<(Actor, Self), Problem> {
        if let Some(token) = bearer(headers) {
            let actor = shared.access.check(token);
            let actor = actor.ok_or_else(|| unauthorized("this token is not known"))?;
            return Ok((actor, Self::Token(token.to_owned())));
        }
        let Some(cookie) = cookie(headers) else {
            return Err(unauthorized(
                "sign in, or send the header `Authorization: Bearer <token>`",
            ));
        };
        let session = shared.accounts.signed_in(cookie, shared.clock.now());
        let session = session.ok_or_else(|| unauthorized("this session is over; sign in again"))?;
        Ok((session.person.actor.clone(), Self::Session(session)))
    }

    /// Tells whether it still lets in the same actor.
    pub(crate) fn is_still_of(&self, shared: &Shared, actor: &Actor) -> bool {
        match self {
            Self::Token(token) => shared.access.check(token).as_ref() == Some(actor),
            Self::Session(session) => {
                shared.accounts.refresh();
                let now = shared.accounts.session(session.id, shared.clock.now());
                now.is_some_and(|now| {
                    now.person.actor == *actor && !now.person.must_change_password
                })
            }
        }
    }
}

pub(crate) fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

/// Gives the token of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, value)| *name == COOKIE && !value.is_empty())
        .map(|(_, value)| value)
}

/// Writes the cookie of a session, or the one that ends it. It goes when the browser is closed; the
/// session ends by its age.
pub(crate) fn set_cookie(value: Option<&str>, headers: &HeaderMap, is_tls_here: bool) -> String {
    let secure = if is_tls_here || is_behind_tls(headers) {
        "; Secure"
    } else {
        ""
    };
    let end = if value.is_none() { "; Max-Age=0" } else { "" };
    let value = value.unwrap_or_default();
    format!("{COOKIE}={value}; HttpOnly; SameSite=Strict; Path=/{secure}{end}")
}

/// A proxy before the hub says so. A false word harms its sender only.
fn is_behind_tls(headers: &HeaderMap) -> bool {
    first(headers, &FORWARDED_PROTO).is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

fn first<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name)?.to_str().ok()?;
    value.split(',').next().map(str::trim)
}

/// Refuses a change that a page of another site may have sent with the browser's cookie.
pub(crate) fn demand_console(headers: &HeaderMap) -> Result<(), Problem> {
    if first(headers, &REQUESTED_BY) != Some("console") {
        return Err(foreign(
            "a change with a cookie needs the header `X-Requested-By: console`",
        ));
    }
    demand_same_origin(headers)
}

/// Refuses a request that a browser says is of another site.
pub(crate) fn demand_same_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Ok(());
    };
    let origin = origin.to_str().ok().and_then(authority);
    let hosts = [&header::HOST, &FORWARDED_HOST];
    let is_ours = |origin: String| {
        let mut names = hosts.iter().filter_map(|name| first(headers, name));
        names.any(|host| origin.eq_ignore_ascii_case(bare(host)))
    };
    if origin.is_some_and(is_ours) {
        return Ok(());
    }
    Err(foreign(
        "the request comes from a page of another site; a proxy must hand on the header `Host`",
    ))
}

fn foreign(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "cross_site", detail)
}

/// Gives host and port of an origin, without the port that goes without saying.
fn authority(origin: &str) -> Option<String> {
    let rest = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"))?;
    Some(bare(rest).to_owned())
}

fn bare(host: &str) -> &str {
    let host = host.trim();
    host.strip_suffix(":80")
        .or_else(|| host.strip_suffix(":443"))
        .unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::{cookie, demand_console, set_cookie};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        let found = |line| cookie(&headers(&[("cookie", line)])).map(str::to_owned);
        assert_eq!(found("a=1; cityhub_session=42; b=2"), Some("42".to_owned()));
        assert_eq!(found("cityhub_session="), None);
        assert_eq!(found("xcityhub_session=1"), None);
    }

    #[test]
    fn the_cookie_is_for_this_site_alone_and_for_tls_where_there_is_tls() {
        let plain = "cityhub_session=42; HttpOnly; SameSite=Strict; Path=/";
        assert_eq!(set_cookie(Some("42"), &HeaderMap::new(), false), plain);
        let tls = headers(&[("x-forwarded-proto", "https")]);
        assert_eq!(
            set_cookie(Some("42"), &tls, false),
            format!("{plain}; Secure")
        );
        assert_eq!(
            set_cookie(Some("42"), &HeaderMap::new(), true),
            format!("{plain}; Secure")
        );
        let gone = "cityhub_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0";
        assert_eq!(set_cookie(None, &HeaderMap::new(), false), gone);
    }

    #[test]
    fn only_the_console_of_this_very_host_may_change_with_a_cookie() {
        let ours = ("x-requested-by", "console");
        let may = |pairs: &[(&'static str, &'static str)]| demand_console(&headers(pairs)).is_ok();
        assert!(may(&[ours]));
        assert!(!may(&[]));
        assert!(!may(&[("x-requested-by", "form")]));
        let host = ("host", "hub.city:8080");
        assert!(may(&[ours, host, ("origin", "http://hub.city:8080")]));
        assert!(may(&[ours, host, ("origin", "http://HUB.city:8080")]));
        assert!(!may(&[ours, host, ("origin", "http://hub.city:8081")]));
        assert!(!may(&[ours, host, ("origin", "http://evil.example")]));
        assert!(!may(&[ours, host, ("origin", "null")]));
        assert!(!may(&[ours, ("origin", "http://hub.city")]));
        let bare = ("host", "hub.city");
        assert!(may(&[ours, bare, ("origin", "https://hub.city:443")]));
        let inside = ("host", "127.0.0.1:8080");
        let outside = ("x-forwarded-host", "hub.city");
        assert!(may(&[
            ours,
            inside,
            outside,
            ("origin", "https://hub.city")
        ]));
    }
}
