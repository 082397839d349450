//! Figures for Prometheus. A device's id is never a label: there may be a hundred thousand.

mod histogram;
mod list;
mod own;
mod page;
mod process;
mod sources;
mod table;

pub use histogram::Histogram;
pub use list::{Language, list_of_figures};
pub use page::{Counted, Measured, Number, Page, Sample};
pub use sources::Figures;
pub use table::{FigureKind, FigureRow};

use crate::problem::Problem;
use crate::query::RawParams;
use crate::state::{Shared, ask};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

/// The text form, version 0.0.4.
const MEDIA: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// `GET /metrics`
pub(crate) async fn show(
    State(shared): State<Shared>,
    raw: RawParams,
) -> Result<Response, Problem> {
    raw.only(&[])?;
    let page = ask(&shared, "collect the figures", own::collect).await?;
    Ok(([(header::CONTENT_TYPE, MEDIA)], page.text()).into_response())
}
