//! What went wrong, as RFC 9457 problem details: one shape for every error of the API.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// An error answer. The outermost layer writes its body, because it knows the request's id.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    /// The last part of the problem's `type`, such as `stale-version`.
    slug: &'static str,
    detail: String,
    /// Members beyond those of the standard, such as `errors`.
    more: Map<String, Value>,
    /// Seconds after which it is worth trying again.
    retry_after_s: Option<u32>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, slug: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            slug,
            detail: detail.into(),
            more: Map::new(),
            retry_after_s: None,
        }
    }

    /// The request itself is wrong: a parameter, a header, broken JSON.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    /// The request can be read, but what it asks for cannot be.
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(crate) fn busy(detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
        problem.retry_after_s = Some(1);
        problem
    }

    /// Something of ours failed. What exactly goes to the log, not to the caller.
    pub(crate) fn internal(what: &'static str, error: &dyn std::fmt::Display) -> Self {
        tracing::error!(what, %error, "a request failed");
        let detail = format!("{what} failed; the hub's log says why");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// Describes a bare status of the web framework.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (slug, detail) = match status {
            StatusCode::METHOD_NOT_ALLOWED => (
                "method-not-allowed",
                "this path exists, but not with this method; see the `allow` header",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "payload-too-large",
                "the body is larger than this path takes",
            ),
            StatusCode::BAD_REQUEST => ("bad-request", "the request could not be read"),
            _ => ("error", "the request failed"),
        };
        Self::new(status, slug, detail)
    }

    /// Adds a member of ours, such as the list of wrong rows.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn slug(&self) -> &'static str {
        self.slug
    }

    /// Writes the problem as a line of an answer that has begun.
    pub(crate) fn line(&self) -> String {
        let fields = json!({
            "type": format!("urn:cityhub:problem:{}", self.slug),
            "title": title(self.status),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        json!({ "problem": fields }).to_string()
    }

    /// Writes the body, now that the request's path and id are known.
    pub(crate) fn render(&self, instance: &str, request_id: &str) -> Response {
        let mut body = self.more.clone();
        body.insert(
            "type".into(),
            format!("urn:cityhub:problem:{}", self.slug).into(),
        );
        body.insert("title".into(), title(self.status).into());
        body.insert("status".into(), self.status.as_u16().into());
        body.insert("detail".into(), self.detail.as_str().into());
        body.insert("instance".into(), instance.into());
        body.insert("request_id".into(), request_id.into());
        let mut response = (self.status, json!(body).to_string()).into_response();
        let fields = response.headers_mut();
        fields.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            fields.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            fields.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"cityhub\""),
            );
        }
        response
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<sdk::CommandError> for Problem {
    fn from(error: sdk::CommandError) -> Self {
        use sdk::CommandError::{
            Busy, Conflict, Forbidden, Invalid, NotFound, Refused, ShuttingDown,
        };
        match error {
            NotFound(detail) => Self::not_found(detail),
            Conflict(detail) => Self::conflict(detail),
            Refused { reason, facts } => match facts {
                Value::Object(facts) => Self {
                    more: facts,
                    ..Self::conflict(reason)
                },
                _ => Self::conflict(reason),
            },
            Invalid(detail) => Self::invalid(detail),
            Forbidden(detail) => Self::new(StatusCode::FORBIDDEN, "forbidden", detail),
            Busy | ShuttingDown => Self::busy(error.to_string()),
        }
    }
}
