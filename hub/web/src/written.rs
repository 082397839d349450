//! Answers that are long: written where they are made, away from the threads that serve sockets.

use crate::problem::Problem;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A JSON text that is ready to be sent.
#[derive(Debug)]
pub(crate) struct Written(String);

impl Written {
    pub(crate) fn json(body: &impl Serialize) -> Result<Self, Problem> {
        serde_json::to_string(body)
            .map(Self)
            .map_err(|error| Problem::internal("write the answer", &error))
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    /// Writes `{"items": [...]}` row by row, so that a long list is never in memory twice.
    pub(crate) fn items(
        rows: impl Iterator<Item = Result<impl Serialize, Problem>>,
    ) -> Result<Self, Problem> {
        let mut text = "{\"items\":[".to_owned();
        for (index, row) in rows.enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&Self::json(&row?)?.0);
        }
        text.push_str("]}");
        Ok(Self(text))
    }
}

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], self.0).into_response()
    }
}
